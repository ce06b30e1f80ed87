# SPDX-License-Identifier: MIT
"""Exercise 2.7: `trap_classify`, by calls with made-up traps, and by guests that cause real ones.

Hundreds of instructions, each in a VM of its own; and sixteen VMs, one of them hostile.
"""

from __future__ import annotations

import random
import re
import struct
from dataclasses import replace

from conf.isa import Class, find
from conf.qemu import Module
from grade.graded.bench import Bench
from grade.graded.calls import Calls
from grade.graded.marks import exercise, points, rule
from grade.harness import encodings
from grade.harness.verdict import holds, same
from grade.lab2.vms import GUEST_LIMIT, VREGS_BASE, Witness, endings, run_out

pytestmark = exercise("2.7")

SECTION = "lab2.html#exercise-2-7"
KERNEL, PAGE_, OUTSIDE, EXCLUDED, INT, INT1, DEBUG, EXCEPTION = range(8)  # enum trap_reason
REASONS = "KERNEL PAGE OUTSIDE EXCLUDED INT INT1 DEBUG EXCEPTION".split()
DB, UD, GP, PF, MC = 1, 6, 13, 14, 18
PF_PRESENT, PF_WRITE, PF_USER = 1, 2, 4
TF = 1 << 8
_FRAME = struct.Struct("<15I")
_LENGTH_MAX = 15


class Scenes:
    """Made-up traps, in a table of calls."""

    def __init__(self, bench: Bench) -> None:
        self.rng, self.calls = bench.rng, Calls(bench, record=False)
        self._made: list[tuple[str, object, int]] = []

    def add(self, wanted: int, vector: int, *, ring: int = 3, error: int = 0, cr2: int = 0,
            code: bytes = b"\x90", before: int = 0x90, flags: int = 0x202) -> None:  # fmt: skip
        """One trap, and the reason that it has."""
        cs = self.rng.choice((0x1B, 0x23 | 3)) if ring else 0x08
        words = [self.rng.getrandbits(32) for _ in range(15)]
        words[8:13] = [vector, error, self.rng.randrange(0x2000, 1 << 24), cs, flags]
        frame = self.calls.data(_FRAME.pack(*words))
        scene = self.calls.data(
            struct.pack("<3I", 0, cr2, len(code)) + code.ljust(_LENGTH_MAX, b"\xcd") + bytes([before, 0])
        )
        self.calls.point(scene, frame)
        what = f"vector {vector} from ring {ring}, error {error:#x}"
        what += f", address {cr2:#x}" if vector == PF else f", instruction {code.hex(' ')}"
        what += f" behind {before:02x}, EFLAGS {flags:#x}" if vector == DB else ""
        self._made.append((what, self.calls.call("trap_classify", scene), wanted))

    def check(self) -> None:
        """Make all calls, and compare."""
        results = self.calls.run()
        for what, answer, wanted in self._made:
            seen = results[answer]  # type: ignore[index]
            text = REASONS[seen] if seen < len(REASONS) else str(seen)
            holds(seen == wanted, f"reason for {what}", f"REASON_{REASONS[wanted]}", f"REASON_{text}")


def some_code(rng: random.Random, kinds: tuple[Class, ...]) -> bytes:
    """An instruction of one of these classes."""
    cases = [case for case in _CASES if find(case).kind in kinds and case[0] != 0xCD]
    return rng.choice(cases)


_CASES = [*encodings.one_byte(), *encodings.two_byte()]
_FAULTS = (0, 4, 5, 6, 7, 10, 11, 12, 13, 16, 17, 19)  # what an instruction can raise, but for 1 and 14


@points(2)
@rule(
    "What ring 0 raised is the kernel's fault, whatever it was; a machine check is no guest's.",
    section=SECTION,
    breakpoint="trap_classify",
)
def test_the_kernels_faults_are_its_own(bench: Bench) -> None:
    """A kernel that blames a guest for its own fault goes on with broken records."""
    scenes, rng = Scenes(bench), bench.rng
    for vector in range(20):
        code = some_code(rng, tuple(Class))
        scenes.add(KERNEL, vector, ring=0, error=rng.randrange(8), cr2=rng.getrandbits(30), code=code)
        scenes.add(KERNEL, vector, ring=0, cr2=0x2000, code=b"\xfa", before=0xF1)
        if vector not in (2, 8, DB, PF, MC):
            scenes.add(EXCLUDED, vector, code=b"\xfa")
    scenes.add(KERNEL, MC, code=b"\xfa")
    scenes.add(KERNEL, MC)
    scenes.check()


@points(2)
@rule(
    "A trap of ring 3 has the reason that ring, vector, error code, address and instruction say.",
    section=SECTION,
    breakpoint="trap_classify",
)
def test_each_trap_has_its_reason(bench: Bench) -> None:
    """Sensitive, privileged, or merely wrong: Popek and Goldberg's question, for each trap."""
    scenes, rng = Scenes(bench), bench.rng
    edges = (VREGS_BASE, GUEST_LIMIT - 1, 0x2000), (0, VREGS_BASE - 1, GUEST_LIMIT, 0xFFFFFFFF)
    for reason, addresses in zip((PAGE_, OUTSIDE), edges):
        for address in addresses:
            for error in (PF_USER, PF_USER | PF_WRITE, PF_USER | PF_PRESENT, 7, 0, PF_WRITE):
                scenes.add(reason, PF, error=error, cr2=address, code=rng.choice((b"\xfa", b"\x90")))
            scenes.add(EXCLUDED, PF, error=PF_PRESENT, cr2=address, code=b"\x90")
            scenes.add(EXCLUDED, PF, error=PF_PRESENT | PF_WRITE, cr2=address)
    for _ in range(60):
        vector = rng.choice(_FAULTS)
        ordinary = (Class.ORDINARY, Class.AMBIGUOUS, Class.VIRTUAL, Class.UNDEFINED)
        scenes.add(EXCLUDED, vector, code=some_code(rng, (Class.EXCLUDED,)))
        scenes.add(EXCEPTION, vector, code=some_code(rng, ordinary))
    for number in (3, 13, 0x20, 0x7F, 0x81, 0xFF):
        scenes.add(INT, GP, error=number << 3 | 2, code=bytes([0xCD, number]))
        scenes.add(INT, GP, error=number << 3 | 2, code=bytes([0x66, 0xCD, number, 0x90]))
    for code in (b"", b"\x0f", b"\x66" * 15, b"\x0f\x00"):  # nothing there, or no end
        scenes.add(EXCEPTION, rng.choice((UD, GP)), code=code)
    for before, flags, reason in ((0xF1, 0x202, INT1), (0xF1, 0x202 | TF, DEBUG), (0x90, 0x202, DEBUG),
                                  (0x90, 0x202 | TF, DEBUG), (0, 2, DEBUG), (0xCD, 0x602, DEBUG)):  # fmt: skip
        scenes.add(reason, DB, before=before, flags=flags, code=rng.choice((b"\xf1", b"\xfa", b"\x90")))
    scenes.check()


def allowed(case: bytes) -> set[str]:
    """How a VM that executes `case` may end."""
    entry = find(case)
    if entry.kind is Class.EXCLUDED:
        return {"excluded"} | ({"went-on"} if entry.when.name in ("DIFFERS", "OPERANDS") else set())
    if entry.kind is Class.UNDEFINED:
        return {"undefined"} | ({"went-on"} if entry.when.name == "DIFFERS" else set())
    return {"went-on", "undefined", "fault"} - ({"fault", "undefined"} if case in _PLAIN else set())


_PLAIN = (b"\x90", b"\xf8", b"\xf9", b"\xfc", b"\x40", b"\x98", b"\x99", b"\x0f\xa2")
_KNOWN = [b"\xfa", b"\xf4", b"\xcc", b"\xce", b"\xf1", b"\xcd\x03", b"\xcd\x81", b"\xcd\x0d", b"\x0f\x30",
          b"\x0f\x20\xc0", b"\x0f\x22\xd8", b"\x0f\x01\x16", b"\x0f\x31", b"\xe4\x60", b"\xec", b"\x0f\x0b",
          b"\x9b\xdb\xe3", b"\x0f\x34", b"\xfb", b"\x0f\x06"]  # fmt: skip


@points(3)
@rule(
    "An excluded instruction ends its VM and names it; any other goes on; nobody else notices.",
    section=SECTION,
    breakpoint="trap_classify",
)
def test_hundreds_of_instructions(bench: Bench) -> None:
    """What slips through in ring 3 is the end of isolation; what is stopped without need, of use."""
    cases = [*_PLAIN, *_KNOWN, *bench.rng.sample([c for c in _CASES if c not in _KNOWN + [*_PLAIN]], 270)]
    witness = Witness.draw(bench.rng, turns=60)
    machine, ends = encodings.run(
        bench, cases, witness.module(bench), options="when-done=exit back=touch quantum=1ms"
    )
    witness.check(machine, 1)
    kinds = [end.kind for end in ends]
    for case, end in zip(cases, ends):
        entry = find(case)
        what = f"{case.hex(' ')} ({entry.name or 'no instruction'}, {entry.kind.name.lower()})"
        holds(end.kind in allowed(case), f"how a VM ends that executes {what}",
              " or ".join(sorted(allowed(case))), end.text)  # fmt: skip
        if end.kind == "excluded":
            name = entry.name.partition(" $")[0]
            holds(end.name.startswith(name), f"the kernel names {what}", name, end.text)
    same("VMs that went on after a harmless instruction", kinds[: len(_PLAIN)].count("went-on"), len(_PLAIN))


_HOSTILE = """
static u32 order[] = {%(order)s};
static int
run(void)
{
	for (u32 i = 0; i < 400; i++) {
		gate5(%(seed)uu * i, 0x40100000, 4096, 0, 0, 0);
		gate(VI_CONSOLE_WRITE, %(seed)uu * (i + 1) & 0xfffff000, 512);
	}
	__asm__ volatile("pushl $0x44ed7; popfl; movl $0x23, %%%%eax; movw %%%%ax, %%%%fs; cld" ::: "eax");
	for (u32 i = 0; i < 100000; i++)
		order[i %% ARRAY_LEN(order)] += i;
	%(end)s
	return 0;
}
"""
_ENDS = {  # what a VM is killed for, and what it did
    "page fault: write of 40100000": "*(volatile u32 *)0x40100000 = 1;",
    "page fault: write of 00000000": "*(volatile u32 *)0 = 1;",
    "page fault: write of fffffffc": '__asm__ volatile("xorl %esp, %esp; pushl %eax");',
    "excluded instruction: cli": '__asm__ volatile("cli");',
    "excluded instruction: int $0x20": '__asm__ volatile("int $0x20");',
    "excluded instruction: int3": '__asm__ volatile("int3");',
    "excluded instruction: far jmp": '__asm__ volatile("ljmp $8, $0x40100000");',
    "debug trap": '__asm__ volatile("pushl $0x302; popfl; nop");',
}


@points(3)
@rule(
    "Sixteen VMs, one of them hostile: it ends, fifteen go on to the end of their work.",
    section=SECTION,
    breakpoint="trap_classify",
)
def test_fifteen_of_sixteen_live(bench: Bench) -> None:
    """What the lab is for. Fifteen compute, each with a secret of its own; the one beside them tries
    the gate, bad pointers, flags and selectors, and then what no VM may."""
    rng = bench.rng
    for reason in ("page fault", "excluded", "debug trap"):
        killed, end = rng.choice([one for one in _ENDS.items() if one[0].startswith(reason)])
        place = rng.randrange(1, 17)
        words = {"order": ", ".join(str(rng.randrange(99)) for _ in range(50)), "seed": rng.getrandbits(32) | 1,
                 "end": end}  # fmt: skip
        hostile = replace(bench.program(_HOSTILE % words), memory="1M")
        witnesses = {vm: Witness.draw(rng, turns=8) for vm in range(1, 17) if vm != place}
        modules: list[Module] = [
            witnesses[vm].module(bench) if vm in witnesses else hostile for vm in range(1, 17)
        ]
        machine = bench.boot(*modules, options="when-done=exit quantum=100us")
        run_out(machine)
        for vm, witness in witnesses.items():
            witness.check(machine, vm)
        how = endings(machine).get(place, "nothing of it on the console")
        what = f"how VM {place} ended, whose last deed is {end}"
        holds(how.startswith(f"killed: {killed} "), what, f"killed: {killed} ...", how)
        machine.close()
