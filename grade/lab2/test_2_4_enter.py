# SPDX-License-Identifier: MIT
"""Exercise 2.4: `guest_enter`, from the registers that ring 3 finds at its first instruction.

A few instructions in ring 3 store the selectors that they find, then trap: the frame that the trap
saves has all other registers. And a whole kernel is booted: QEMU's own record of the first crossing
has them as the processor had them.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from grade.graded.bench import Bench
from grade.graded.calls import Address, Calls, Result, Results
from grade.graded.marks import exercise, points, rule
from grade.harness.elf import Image, Segment, code
from grade.harness.machine import Machine
from grade.harness.memory import PAGE
from grade.harness.verdict import Crashed, Wrong, holds, same
from grade.lab2.vms import IMAGE_BASE, MB

pytestmark = exercise("2.4")

SECTION = "lab2.html#exercise-2-4"
FRAME = "edi esi ebp unused ebx edx ecx eax vector error eip cs eflags esp ss".split()
GENERAL = "eax ebx ecx edx esi edi ebp".split()
SELECTORS = "ds es fs gs ss".split()
CODE, DATA = 0x1B, 0x23  # SEL_UCODE, SEL_DATA
GATE = 0x80
_TRAP = 24 * 4  # bytes of struct driver_trap: frame, 15 words of it, eight more
_BEHIND = [0xB00DB00D] * 8  # words behind a frame: no one's to touch
_TEXT, _SEEN = 0x5000, 0x6000  # in ring 3: the code; where it stores selectors
# mov %ds, 0x6000; mov %es, 0x6004; mov %fs, 0x6008; mov %gs, 0x600c; mov %ss, 0x6010; int $0x80
_CODE = bytes.fromhex("8c1d00600000 8c0504600000 8c2508600000 8c2d0c600000 8c1510600000 cd80")

# int $0x80; mov $2, %eax; int $0x80: an unknown instruction, then terminate.
_TWICE = bytes.fromhex("cd80 b802000000 cd80")

FIXED, IF = 1 << 1, 1 << 9
FREE = 0x0CD5 | 1 << 21  # EFLAGS_GUEST: CF PF AF ZF SF DF OF, ID
VM = 1 << 17
CLOSED = {"TF": 8, "IOPL 1": 12, "IOPL 2": 13, "NT": 14, "RF": 16, "VM": 17, "AC": 18, "VIF": 19, "VIP": 20}


@dataclass(frozen=True)
class Entry:
    """One entry into ring 3: the frame as it was, and where to find what came of it."""

    before: dict[str, int]
    frame: Address
    selectors: Address
    esp0: Result


class Entries:
    """Entries into ring 3, in a table of calls."""

    def __init__(self, bench: Bench, count: int) -> None:
        self.rng = bench.rng
        self.calls = Calls(bench)
        self.made: list[Entry] = []
        self.calls.call("driver_map")
        self.calls.call("desc_init")
        self._text = self.calls.data(_CODE, align=PAGE)
        self._stack = self.calls.data(PAGE, align=PAGE)
        self.traps = self.calls.data(count * _TRAP)
        self.calls.store(self.calls.address("driver_traps"), self.traps)
        self.calls.store(self.calls.address("driver_traps_max"), count)

    def enter(self, fs: int = DATA, gs: int = DATA, **chosen: int) -> None:
        """Enter once. What isn't chosen is random; fs and gs are what the guest had loaded."""
        before = {name: self.rng.getrandbits(32) for name in FRAME}
        before |= {"eip": _TEXT, "eflags": IF | FIXED, **chosen}
        seen = self.calls.data(PAGE, align=PAGE)
        self.calls.call("driver_map_user", _TEXT, self._text)
        self.calls.call("driver_map_user", _SEEN, seen)
        frame = self.calls.words([*before.values(), *_BEHIND])
        self.calls.call("driver_enter", frame, fs, gs)
        esp0 = self.calls.load(self.calls.address("kernel_tss") + 4)
        self.made.append(Entry(before, frame, seen, esp0))

    def run(self) -> list[tuple[Entry, dict[str, int], Results]]:
        """Make all entries. Gives each, with the trapframe that ended it and its address."""
        results = self.calls.run()
        return [(entry, self._trap(results, i), results) for i, entry in enumerate(self.made)]

    def _trap(self, results: Results, number: int) -> dict[str, int]:
        words = results.words(self.traps + _TRAP * number, 16)
        return {"at": words[0], **dict(zip(FRAME, words[1:]))}


def check_arrived(entry: Entry, trap: dict[str, int], results: Results) -> None:
    """It got to ring 3, to the right instruction, and back by its own trap."""
    same("vector of the trap that ended the stay in ring 3 (0x80 is its own)", trap["vector"], GATE)
    same("eip behind it: of the instruction after int $0x80", trap["eip"], entry.before["eip"] + len(_CODE))
    same("where that trap saved its frame", trap["at"], results.at(entry.frame))


@points(4)
@rule(
    "Ring 3 finds the frame's registers, all of them; the next trap saves at the same place.",
    section=SECTION,
    breakpoint="guest_enter",
)
def test_registers_are_the_frames(bench: Bench) -> None:
    """A register that keeps the kernel's value is a secret told; one that is lost, a wrong program."""
    entries = Entries(bench, 20)
    for _ in range(20):
        entries.enter()
    for entry, trap, results in entries.run():
        check_arrived(entry, trap, results)
        for name in (*GENERAL, "esp"):
            same(f"{name} in ring 3", trap[name], entry.before[name])
        same("esp0 of the task state: the frame's end", results[entry.esp0], results.at(entry.frame) + 60)
        same("what stands behind the frame", results.words(entry.frame + 60, 8), _BEHIND)


@points(4)
@rule(
    "Of EFLAGS a guest may choose the arithmetic flags, DF and ID; IF is set, all else is clear.",
    section=SECTION,
    breakpoint="guest_enter",
)
def test_flags_are_the_guests_to_choose_but_few(bench: Bench) -> None:
    """With IOPL 3 ring 3 turns interrupts off; with TF, NT or AC it disturbs whoever comes next."""
    chosen = [0, FREE, 0xFFFFFFFF, 0xFFFFFFFF ^ FREE, FIXED, *(1 << bit for bit in CLOSED.values())]
    chosen += [bench.rng.getrandbits(32) for _ in range(40 - len(chosen))]
    check_flags(bench, [flags & ~VM for flags in chosen])
    try:  # last, as ring 3 is another mode then, in which nothing else can be seen
        check_flags(bench, [flags | VM for flags in chosen])
    except Crashed:
        raise Wrong("flags that no guest may have, with VM (bit 17) set in the frame", "clear",
                    "virtual-8086 mode, or the machine's end") from None  # fmt: skip


def check_flags(bench: Bench, chosen: Sequence[int]) -> None:
    """Enter with these in the frame, and look at what ring 3 has of them."""
    entries = Entries(bench, len(chosen))
    for flags in chosen:
        entries.enter(eflags=flags)
    for entry, trap, results in entries.run():
        given = entry.before["eflags"]
        wrong = [name for name, bit in CLOSED.items() if trap["eflags"] >> bit & 1]
        holds(not wrong, f"flags that no guest may have, with {given:#x} in the frame", "clear",
              ", ".join(wrong))  # fmt: skip
        same(f"EFLAGS in ring 3, with {given:#x} in the frame", trap["eflags"], given & FREE | IF | FIXED)
        check_arrived(entry, trap, results)


@points(3)
@rule(
    "cs, ss and the four data segments are the flat ones, whatever the guest had loaded.",
    section=SECTION,
    breakpoint="guest_enter",
)
def test_segments_are_flat(bench: Bench) -> None:
    """A selector of ring 0's, or what another VM left in gs, is a way past the page tables, or a
    message."""
    pairs = [(fs, gs) for fs in (DATA, 0, 3, CODE) for gs in (DATA, 0, CODE)]
    entries = Entries(bench, len(pairs) + 4)
    for fs, gs in pairs:
        entries.enter(fs, gs)
    for cs, ss in ((0x08, 0x10), (0, 0), (DATA, CODE), (0xFFFF, 0xFFFF)):
        entries.enter(cs=cs, ss=ss)
    for entry, trap, results in entries.run():
        check_arrived(entry, trap, results)
        found = [word & 0xFFFF for word in results.words(entry.selectors, len(SELECTORS))]
        same(f"{', '.join(SELECTORS)} in ring 3", found, [DATA] * len(SELECTORS))
        same("cs and ss that the trap saved", [trap["cs"] & 0xFFFF, trap["ss"] & 0xFFFF], [CODE, DATA])


_CROSSING = re.compile(
    r"v=([0-9a-f]{2}) e=\w+ i=1 cpl=3 IP=\w+:([0-9a-f]{8})[^\n]*\n((?:[^\n]*\n){12})"
)


def first_crossing(bench: Bench, machine: Machine) -> tuple[int, int, dict[str, int]]:
    """QEMU's record of the first `int n` in ring 3: vector, eip, registers and selectors."""
    path = bench.trace(machine)
    match = _CROSSING.search(path.read_text(errors="replace")) if path else None
    holds(match, "a VM gets to ring 3, and executes its first instruction", "int $0x80",
          "no crossing from ring 3")  # fmt: skip
    assert match is not None
    words = re.findall(r"\b(E[A-Z]{2})=([0-9a-f]{8})", match[3])
    words += re.findall(r"\b([C-GS]S) ?=([0-9a-f]{4})", match[3])
    return int(match[1], 16), int(match[2], 16), {name.lower(): int(word, 16) for name, word in words}


@points(4)
@rule(
    "A VM's first instruction is the one at its image's entry, in ring 3, with registers that say nothing.",
    section=SECTION,
    breakpoint="guest_enter",
)
def test_a_vm_begins_at_its_entry(bench: Bench) -> None:
    """All that came before leads here: a kernel of which a program is none the wiser."""
    for _ in range(2):
        place = IMAGE_BASE + bench.rng.randrange(4 * MB // PAGE) * PAGE
        before = bench.rng.randrange(PAGE)
        rest = Segment(16 * MB - PAGE, 1, PAGE, 6, data=b"x")
        text = code(b"\xf4" * before + _TWICE, place)
        image = bench.image(Image(place + before, [text, rest]).build())
        machine = bench.boot(image, options="when-done=exit")
        machine.wait_crash(5)  # what becomes of the gate is another exercise's
        check_first(bench, machine, place + before)


def check_first(bench: Bench, machine: Machine, entry: int) -> None:
    """The registers of the first crossing."""
    vector, eip, found = first_crossing(bench, machine)
    same("eip and vector of the first crossing from ring 3", [eip, vector], [entry, GATE])
    same("general registers at the first instruction of a VM",
         {name: found[name] for name in (*GENERAL, "esp")}, dict.fromkeys((*GENERAL, "esp"), 0))  # fmt: skip
    same("EFLAGS there", found["efl"], IF | FIXED)
    same("cs, ss, ds, es, fs, gs there", [found[name] for name in ("cs", "ss", "ds", "es", "fs", "gs")],
         [CODE, *[DATA] * 5])  # fmt: skip
