# SPDX-License-Identifier: MIT
"""Single instructions, thousands in one boot: each VM of one image executes the one that has its
number, in surroundings in which most instructions have nothing to complain of.

All registers point to writable memory but ecx, which is 2 (string instructions repeat twice); the
stack holds what ret, iret and pop may want. Behind the instruction the VM ends with status WENT_ON.
"""

from __future__ import annotations

import dataclasses
import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from conf.isa import Class, find
from conf.qemu import Module
from grade.harness.elf import Elf
from grade.harness.lab import Lab
from grade.harness.machine import Machine
from grade.harness.verdict import Infrastructure
from grade.harness.witness import Witness

WENT_ON = 77
SCRATCH = 0x110023  # where the registers point; its low half is the selector of ring 3's data
_SLOT = 24  # bytes of one case, of which the processor sees no more than 15 as an instruction

_SOURCE = """
#define LANDING 0x100023
#define SCRATCH %(scratch)#x
#define SLOT %(slot)d

__asm__(".section .bss.cases, \\"aw\\", @progbits\\n"
	"cases: .incbin \\"%(file)s\\"\\n"
	".section .data.slot, \\"aw\\", @progbits\\n"
	".p2align 12\\n"
	"slot: .skip 64\\n"
	".text\\n"
	"landing: movl $%(status)d, %%ebx; movl $2, %%eax; int $0x80\\n"
	"landing_end:\\n");
extern u8 cases[], slot[], landing[], landing_end[];

static void copy(u8 *to, const u8 *from, u32 n)
{
	while (n--)
		*to++ = *from++;
}

static int run(void)
{
	u32 *scratch = (u32 *)SCRATCH, *stack = (u32 *)(LANDING + 0x801);

	copy(slot, cases + (VREGS->number - %(first)d) * SLOT, SLOT);
	slot[SLOT] = 0xe9; /* jmp LANDING */
	*(u32 *)(slot + SLOT + 1) = LANDING - (u32)(slot + SLOT + 5);
	copy((u8 *)LANDING, landing, landing_end - landing);
	for (u32 i = 0; i < 32; i++)
		scratch[i] = 0x90909090;
	scratch[0] = scratch[1] = 0x90900023; /* a selector; and harmless as code */
	copy((u8 *)&scratch[32], landing, landing_end - landing);
	stack[0] = LANDING;
	stack[1] = 0x1b;
	stack[2] = 0x202;
	__asm__ volatile("movl %%0, %%%%esp; pushl $slot; pushl $2; popfl\\n"
			 "movl %%1, %%%%eax; movl %%%%eax, %%%%edx; movl %%%%eax, %%%%ebx\\n"
			 "movl %%%%eax, %%%%ebp; movl %%%%eax, %%%%esi; movl %%%%eax, %%%%edi\\n"
			 "movl $2, %%%%ecx; ret" : : "r"(stack), "i"(SCRATCH) : "memory");
	return 0;
}
"""


# What harness/witness.py does, but it says with its status whether all went well: among thousands
# of VMs that end, a line of a guest's may find no room on the console.
_WITNESS = """
static u32 table[8192];
static int run(void)
{
	u32 h = %(secret)uu;

	for (u32 turn = 0; turn < %(turns)u; turn++)
		for (u32 i = 0; i < 8192; i++)
			h = table[i] = h * 1664525 + 1013904223 + table[i];
	return h == %(expected)uu ? 0 : 1;
}
"""


@dataclass(frozen=True)
class Ending:
    """How one VM ended: `text` as the console has it; `kind` is went-on, excluded, undefined,
    fault or other; `name` what the kernel called the instruction, if it stood at its place."""

    text: str
    kind: str
    name: str


_EXCLUDED = re.compile(r"killed: excluded instruction: (.*) at 0x([0-9a-f]{8})")
_OTHER = re.compile(r"killed: ([a-z ]+)(?: \([0-9a-f]+\))?: (.*) at 0x([0-9a-f]{8})")


def _ending(text: str, slot: int) -> Ending:
    if text == f"terminated, status {WENT_ON}":
        return Ending(text, "went-on", "")
    if match := _EXCLUDED.fullmatch(text):
        place = int(match[2], 16)
        return Ending(text, "excluded" if place == slot else "other", match[1])
    if match := _OTHER.fullmatch(text):
        here = int(match[3], 16) == slot
        kind = "undefined" if match[1] == "invalid opcode" else "fault"
        return Ending(text, kind if here else "other", match[2])
    return Ending(text, "fault" if text.startswith("killed: page fault") else "other", "")


def _lengths(cases: list[bytes], folder: Path) -> list[int]:
    """How long each instruction is, the bytes included that a case leaves to its operands. Only
    those matter, so a disassembler's opinion is good enough."""
    path = folder / "cases.bin"
    path.write_bytes(b"".join(case.ljust(_SLOT, b"\x90") for case in cases))
    line = ["objdump", "-D", "-w", "-b", "binary", "-m", "i386", str(path)]
    result = subprocess.run(line, capture_output=True, text=True, check=False)
    if result.returncode != 0:
        raise Infrastructure(f"objdump: {result.stderr}")
    found = [0] * len(cases)
    for match in re.finditer(r"^ *([0-9a-f]+):\t((?:[0-9a-f]{2} )+)", result.stdout, re.MULTILINE):
        case, offset = divmod(int(match[1], 16), _SLOT)
        if offset == 0:
            found[case] = len(match[2]) // 3
    return found


def complete(cases: list[bytes], folder: Path) -> list[bytes]:
    """The slots: each case, zeros for the rest of its operands, then nops. (Of what is no
    instruction nobody knows the length.)"""
    return [
        (case if find(case).kind is Class.UNDEFINED else case.ljust(length, b"\0")).ljust(
            _SLOT, b"\x90"
        )
        for case, length in zip(cases, _lengths(cases, folder))
    ]


def run(
    lab: Lab, cases: list[bytes], witness: Module, options: str, seconds: float = 120
) -> tuple[Machine, list[Ending]]:
    """Execute each of `cases` in a VM of its own, beside VM 1, a witness, whom the caller judges.
    Gives the machine, when every VM has ended, and how those of the cases ended."""
    folder = lab.folder()
    (folder / "slots").write_bytes(b"".join(complete(cases, folder)))
    words = {"scratch": SCRATCH, "slot": _SLOT, "status": WENT_ON, "first": 2}
    source = _SOURCE.replace("%(file)s", str(folder / "slots")) % words
    image = lab.program(source, count=len(cases), memory="2M")
    machine = lab.boot(witness, image, memory=512, options=options)
    slot = _slot_address(Path(image.image))
    machine.wait(seconds)
    text = machine.serial.text()
    ends = {int(vm): how for vm, how in re.findall(r"^vm (\d+): (.*)$", text, re.MULTILINE)}
    return machine, [_ending(ends.get(i + 2, "no word of it"), slot) for i in range(len(cases))]


def execute(lab: Lab, cases: list[bytes]) -> list[Ending]:
    """The same beside a witness of its own; how each VM ended."""
    witness = Witness(turns=100)
    worker = lab.program(
        _WITNESS % {"expected": witness.expected(), **dataclasses.asdict(witness)}
    )
    machine, ends = run(lab, cases, worker, "when-done=exit")
    ending = re.search(r"^vm 1: (.*)$", machine.serial.text(), re.MULTILINE)
    assert ending and ending[1] == "terminated, status 0", f"the witness: {ending}"
    return ends


def _slot_address(image: Path) -> int:
    return Elf(image).address("slot")


# --- which encodings ---------------------------------------------------------

LOCK = 0xF0
_PREFIXES = (0x26, 0x2E, 0x36, 0x3E, 0x64, 0x65, 0x66, 0x67, 0xF0, 0xF2, 0xF3)
_ALU = {base + low for base in range(0, 0x40, 8) for low in range(4)}
_MODRM_ONE = {0x62, 0x63, 0x69, 0x6B, 0xC0, 0xC1, 0xF6, 0xF7, 0xFE, 0xFF, *_ALU}
_MODRM_ONE |= {*range(0x80, 0x90), *range(0xC4, 0xC8), *range(0xD0, 0xD4), *range(0xD8, 0xE0)}
_PLAIN_TWO = {*range(0x05, 0x0A), 0x0B, 0x0E, *range(0x30, 0x38), 0x77, *range(0x80, 0x90)}
_PLAIN_TWO |= {0xA0, 0xA1, 0xA2, 0xA8, 0xA9, 0xAA, *range(0xC8, 0xD0)}
_GROUPS_TWO = (0x00, 0x01, *range(0x18, 0x20), 0xAE, 0xB8, 0xBA, 0xC7)
_OPERANDS = {0xD4: b"\x0a"}  # aam: not by zero
_OPERANDS |= {op: SCRATCH.to_bytes(4, "little") for op in range(0xA0, 0xA4)}


def _modrm(registers: range = range(8)) -> Iterator[bytes]:
    """ModRM bytes: each middle field, with eax and with the memory at esi."""
    for middle in registers:
        yield bytes([0xC0 | middle << 3])
        yield bytes([0x06 | middle << 3])


def one_byte() -> Iterator[bytes]:
    """Every one-byte opcode, with every middle field where there is one."""
    for opcode in range(256):
        if opcode in _PREFIXES or opcode == 0x0F:
            continue
        if opcode in _MODRM_ONE:
            yield from (bytes([opcode]) + modrm for modrm in _modrm())
        elif opcode == 0xCD:
            yield from (bytes([opcode, vector]) for vector in (0, 3, 13, 14, 0x20, 0x80, 0x81, 0xFF))
        else:
            yield bytes([opcode]) + _OPERANDS.get(opcode, b"")


def two_byte() -> Iterator[bytes]:
    """Every opcode behind 0F, with every middle field where there is one."""
    for opcode in range(256):
        if opcode in _PLAIN_TWO:
            yield bytes([0x0F, opcode])
        elif opcode not in (0x38, 0x3A):
            yield from (bytes([0x0F, opcode]) + modrm for modrm in _modrm())
    yield from (bytes([0x0F, 0x01, behind]) for behind in range(0xC0, 0x100))


def three_byte() -> Iterator[bytes]:
    """Every opcode behind 0F 38 and 0F 3A."""
    for escape in (0x38, 0x3A):
        for opcode in range(256):
            yield from (bytes([0x0F, escape, opcode]) + modrm for modrm in _modrm(range(1)))


def _sample() -> Iterator[bytes]:
    """What is worth a prefix: each one-byte opcode, two-byte ones with one register each, those
    whose prefix or middle field chooses the instruction with all of them."""
    for case in one_byte():
        if len(case) != 2 or case[0] not in _MODRM_ONE or case[1] & 0x38 in (0, 0x18, 0x30):
            yield case
    for case in two_byte():
        if len(case) == 2 or case[1] in _GROUPS_TWO or case[2] & 0x38 == 0x08:
            yield case
    yield from (case for case in three_byte() if case[2] >= 0xF0 or case[2] % 0x10 == 0)


def _aborts_qemu(case: bytes) -> bool:
    """QEMU 7.2 ends itself ("tcg fatal error") at bt, bts, btr and btc of a register, locked."""
    return len(case) == 3 and case[1] in (0xA3, 0xAB, 0xB3, 0xBA, 0xBB) and case[2] >= 0xC0


def prefixed(prefix: int) -> list[bytes]:
    """A sample of all encodings behind `prefix`."""
    cases = (case for case in _sample() if prefix != LOCK or not _aborts_qemu(case))
    return [bytes([prefix]) + case for case in cases]
