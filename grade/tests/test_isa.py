# SPDX-License-Identifier: MIT
"""The table of instructions (kern/isa.def) against the machine: what the table says of an encoding
is what happens to a VM that executes it."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable, Iterable

import pytest

from conf.isa import Class, Entry, When, find, markdown, table
from grade.harness import encodings
from grade.harness.encodings import Ending
from grade.harness.lab import Lab

_DIVIDES = ("bound", "div", "idiv")  # with these operands out of range
_LOADS_SEGMENT = ("mov to segment register", "les", "lds", "lss", "lfs", "lgs")
ADDRESS_SIZE = 0x67


def _may_fault(case: bytes, entry: Entry) -> bool:
    """Whether the operands, such as the test has them, are a reason to fault."""
    if case[0] == ADDRESS_SIZE:  # the addresses of 16 bits are those of page 0
        return True
    if entry.name in _DIVIDES or entry.name in _LOADS_SEGMENT:
        return True
    if entry.name == "ret":
        return case[0] == 0x66  # 16 bits of the address
    return entry.name in ("call", "jmp") and case[-1] < 0xC0  # through a pointer that is none


def _allowed(case: bytes, entry: Entry) -> set[str]:
    """The endings that the table allows."""
    kinds = {
        Class.ORDINARY: {"went-on"},
        Class.VIRTUAL: {"went-on"},
        Class.AMBIGUOUS: {"went-on"},
        Class.EXCLUDED: {"excluded"},
        Class.UNDEFINED: {"undefined"},
    }[entry.kind]
    if entry.when is When.FEATURE or entry.when is When.DIFFERS and entry.kind is Class.ORDINARY:
        kinds |= {"undefined"}
    if entry.when in (When.DIFFERS, When.OPERANDS):
        kinds |= {"went-on"}
    if "went-on" in kinds and _may_fault(case, entry):
        kinds |= {"fault"}
    if case[0] == encodings.LOCK and "went-on" in kinds:
        kinds |= {"undefined"}
    return kinds


def check(cases: Iterable[bytes], ends: Iterable[Ending]) -> list[str]:
    """One line for each case that ended otherwise than the table says."""
    wrong = []
    for case, end in zip(cases, ends, strict=True):
        entry = find(case)
        if end.kind not in _allowed(case, entry):
            wrong.append(f"{case.hex(' ')} ({entry.kind.name} {entry.name}): {end.text}")
        elif end.kind == "excluded" and not end.name.startswith(entry.name.partition(" $")[0]):
            wrong.append(f"{case.hex(' ')} is {entry.name}, but the kernel says: {end.text}")
    return wrong


_GROUPS: dict[str, Callable[[], Iterable[bytes]]] = {
    "one-byte": encodings.one_byte,
    "two-byte": encodings.two_byte,
    "three-byte": encodings.three_byte,
}
for _prefix in (0x65, 0x66, ADDRESS_SIZE, encodings.LOCK, 0xF2, 0xF3):
    _GROUPS[f"{_prefix:02x}"] = lambda prefix=_prefix: encodings.prefixed(prefix)  # type: ignore[misc]


@pytest.mark.quick
@pytest.mark.parametrize("group", list(_GROUPS))
def test_instruction_is_of_its_class(lab: Lab, group: str) -> None:
    """Every encoding in a VM of its own: ordinary, virtual and ambiguous ones go on, excluded ones
    end the VM with their name, what is no instruction is refused. A witness works beside them all."""
    cases = list(_GROUPS[group]())
    assert len(cases) >= 1000 and len(set(cases)) >= 1000, "the test has lost its cases"
    wrong = check(cases, encodings.execute(lab, cases))
    assert not wrong, f"{len(wrong)} of {len(cases)}:\n" + "\n".join(wrong[:40])


def test_check_notices_a_wrong_class() -> None:
    """A judge that accepts everything would accept a wrong table."""
    went_on, excluded = Ending("", "went-on", ""), Ending("", "excluded", "cli")
    assert not check([b"\xfa", b"\x90"], [excluded, went_on])
    assert len(check([b"\xfa", b"\x90"], [went_on, excluded])) == 2
    assert len(check([b"\xf4"], [excluded])) == 1, "hlt isn't cli"


def test_table_lists_every_one_byte_opcode() -> None:
    """An opcode that somebody forgot would be called undefined."""
    listed = {op for e in table() if e.map == "ONE" for op in range(e.first, e.last + 1)}
    prefixes = {0x0F, 0x26, 0x2E, 0x36, 0x3E, 0x64, 0x65, 0x66, 0x67, 0xF0, 0xF2, 0xF3}
    assert listed | prefixes == set(range(256)) and not listed & prefixes
    assert len(table()) > 250


def test_table_is_fit_for_the_manual() -> None:
    """Every name that can end a VM appears, with its encoding; undefined lines have no name."""
    text = markdown()
    for entry in table():
        assert bool(entry.name) == (entry.kind is not Class.UNDEFINED), entry
        assert not entry.name or f"| {entry.name} |" in text
    assert "| cli | `FA` |" in text and "`F3 0F AE /5 reg`" in text


_C_MAIN = r"""
#include <stdio.h>
#include "kern/isa.c"
int main(void)
{
	u8 code[3];
	unsigned a, b, c;
	while (scanf("%2x%2x%2x", &a, &b, &c) == 3) {
		const struct isa_entry *e;
		code[0] = a, code[1] = b, code[2] = c;
		e = isa_find(code, 3);
		printf("%d %s\n", e ? e->class : ISA_UNDEFINED, e ? e->name : "");
	}
	return 0;
}
"""


@pytest.mark.host
def test_kernel_and_tools_read_the_table_alike(lab: Lab) -> None:
    """kern/isa.c and conf/isa.py, asked about the same bytes, say the same: behind 0F, behind each
    prefix that matters, and cut short."""
    folder = lab.folder()
    (folder / "main.c").write_text(_C_MAIN)
    line = ["gcc", "-O1", "-I.", "-o", str(folder / "main"), str(folder / "main.c")]
    subprocess.run(line, check=True, capture_output=True)
    cases = [bytes([a, b, c]) for a in (0x0F, 0x66, 0xF2, 0xF3, 0x90) for b in range(256)
             for c in range(0, 256, 1 if a == 0x0F else 5)]  # fmt: skip
    cases += [bytes([a, b, 0x66]) for a in range(256) for b in range(0, 256, 3)]
    said = subprocess.run(
        [str(folder / "main")], input="\n".join(c.hex() for c in cases),
        capture_output=True, text=True, check=True,
    ).stdout.splitlines()  # fmt: skip
    order = list(Class)
    for case, line_said in zip(cases, said, strict=True):
        entry = find(case)
        assert line_said == f"{order.index(entry.kind)} {entry.name}", case.hex(" ")


def test_reason_names_the_instruction(lab: Lab) -> None:
    """The place is the instruction's, prefixes included; what is none is shown byte by byte; what
    has no end is no instruction."""
    body = "\tstatic const u8 code[] __attribute__((aligned(4096))) = {%s};\n"
    texts = {
        "0x66, 0xf3, 0x3e, 0xfa": r"excluded instruction: cli",
        "0xcd, 0x21": r"excluded instruction: int \$0x21",
        "0x0f, 0xa6, 1, 2, 3, 4, 5, 6, 7": "invalid opcode: bytes 0f a6 01 02 03 04 05 06",
        ", ".join(["0x66"] * 16): r"general protection \(0\): bytes( 66){8}",
        "0xf0, 0x01, 0xc0": "invalid opcode: add",
        "0x31, 0xc9, 0xf7, 0xf1": "divide error: div",
    }
    modules = [
        lab.program("static int run(void)\n{\n" + body % code + "\t((void (*)(void))code)();\n"
                    "\treturn 0;\n}\n")
        for code in texts
    ]  # fmt: skip
    machine = lab.boot(*modules, options="when-done=exit")
    machine.wait()
    said = machine.serial.text()
    for number, (code, reason) in enumerate(texts.items(), 1):
        place = "[0-9a-f]{5}002" if "div" in reason else "[0-9a-f]{5}000"
        assert re.search(rf"^vm {number}: killed: {reason} at 0x{place}$", said, re.MULTILINE), (
            f"{code}: {said}"
        )


def test_instruction_at_the_edge_is_read_to_its_end(lab: Lab) -> None:
    """An instruction may lie across two pages, or end where memory ends: the kernel reads what
    there is, and no more."""
    source = """
    static int run(void)
    {
    	u8 *at = (u8 *)(VREGS->number == 1 ? 0x80fff : VREGS->memory_size - %s);
    	at[0] = 0x0f;
    	if (VREGS->number == 1 || VREGS->number == 2)
    		at[1] = 0x30; /* wrmsr */
    	((void (*)(void))at)();
    	return 0;
    }
    """
    machine = lab.boot(
        lab.program(source % 2), lab.program(source % 2), lab.program(source % 1),
        options="when-done=exit",
    )  # fmt: skip
    machine.wait()
    machine.serial.rewind()
    machine.expect("^vm 1: killed: excluded instruction: wrmsr at 0x00080fff$")
    machine.serial.rewind()
    machine.expect("^vm 2: killed: excluded instruction: wrmsr at 0x00fffffe$")
    machine.serial.rewind()
    machine.expect("^vm 3: killed: page fault: read of 01000000 at eip 00ffffff$")
