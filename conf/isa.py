# SPDX-License-Identifier: MIT
"""The table of instructions (kern/isa.def) for tools: look-up by bytes, and as Markdown.

    conf/isa.py                 print the table as Markdown, for the manual
    conf/isa.py 'f3 0f b8 c0'   say which line these bytes belong to

The kernel's look-up (kern/isa.c) reads the same lines; a test compares the two.
"""

from __future__ import annotations

import re
import sys
from dataclasses import dataclass
from enum import Enum
from functools import cache
from pathlib import Path

TABLE = Path(__file__).resolve().parent.parent / "kern/isa.def"

_MAPS = {"ONE": b"", "TWO": b"\x0f", "T38": b"\x0f\x38", "T3A": b"\x0f\x3a"}
_PREFIXES = {0x66: "P66", 0xF2: "PF2", 0xF3: "PF3"}
_OTHER_PREFIXES = (0x26, 0x2E, 0x36, 0x3E, 0x64, 0x65, 0x67, 0xF0)
_LENGTH_MAX = 15
_LINE = re.compile(
    r"ISA\((\w+), 0x(\w\w), 0x(\w\w), (\w+), ([A-Z_]+)(?:\((\w+)\))?, (\w+), (\w+), "
    r'"(.*?)", "(.*)"\)'
)


class Class(Enum):
    """What an instruction may do; the value is what the manual says of the class."""

    ORDINARY = "runs directly"
    VIRTUAL = "is carried out by the kernel"
    EXCLUDED = "traps, and ends the VM"
    AMBIGUOUS = "sensitive, but doesn't trap: at worst the VM harms itself"
    UNDEFINED = "no instruction: ends the VM"


class When(Enum):
    """When the class holds; the value is the manual's remark."""

    ALWAYS = ""
    FEATURE = "undefined on processors that lack it"
    OPERANDS = "not with all operands"
    UMIP = "ambiguous on processors without UMIP"
    DIFFERS = "QEMU 7.2 differs from processors"


@dataclass(frozen=True)
class Entry:
    """One line of the table. `key` is the byte behind the opcode that it wants, None for any."""

    map: str
    first: int
    last: int
    prefix: str
    next: str
    key: int | None
    kind: Class
    when: When
    name: str
    note: str

    def fits(self, map_name: str, opcode: int, prefix: str, behind: int | None) -> bool:
        """Whether an instruction belongs to this line."""
        if map_name != self.map or not self.first <= opcode <= self.last:
            return False
        if self.prefix not in ("ANY", prefix):
            return False
        return self.next == "ANY" or (behind is not None and self._fits_next(behind))

    def _fits_next(self, behind: int) -> bool:
        if self.next == "BYTE":
            return behind == self.key
        if self.next.startswith("MEM") and behind >= 0xC0:
            return False
        if self.next.startswith("REG") and behind < 0xC0:
            return False
        return not self.next.endswith("R") or behind >> 3 & 7 == self.key

    def encoding(self) -> str:
        """The encoding as manuals write it: "F3 0F AE /5 reg"."""
        words = [] if self.prefix == "ANY" else [self.prefix.removeprefix("P")]
        words += [f"{byte:02X}" for byte in _MAPS[self.map]]
        words.append(f"{self.first:02X}" + (f"-{self.last:02X}" if self.last > self.first else ""))
        if self.next == "BYTE":
            words.append(f"{self.key:02X}")
        elif self.key is not None:
            words.append(f"/{self.key}")
        form = self.next.partition("_")[0]
        if form in ("MEM", "REG"):
            words.append(form.lower())
        return " ".join(words)


UNLISTED = Entry("ONE", 0, 0, "ANY", "ANY", None, Class.UNDEFINED, When.ALWAYS, "", "")


@cache
def table() -> tuple[Entry, ...]:
    """Every line, in order; ValueError names one that isn't of the one form."""
    found = []
    for line in TABLE.read_text().splitlines():
        if not line.startswith("ISA("):
            continue
        match = _LINE.fullmatch(line)
        if not match:
            raise ValueError(f"{TABLE.name}: not understood: {line}")
        group, first, last, prefix, behind, key, kind, when, name, note = match.groups()
        found.append(
            Entry(
                group, int(first, 16), int(last, 16), prefix, behind,
                None if key is None else int(key, 0), Class[kind], When[when], name, note,
            )
        )  # fmt: skip
    return tuple(found)


def find(code: bytes) -> Entry:
    """The line for the instruction that `code` begins with, or UNLISTED."""
    prefix, at, code = "NP", 0, code[:_LENGTH_MAX]
    while at < len(code) and code[at] in (*_PREFIXES, *_OTHER_PREFIXES):
        if code[at] in _PREFIXES and (code[at] != 0x66 or prefix == "NP"):
            prefix = _PREFIXES[code[at]]
        at += 1
    map_name = "ONE"
    for name in ("T38", "T3A", "TWO"):
        if code[at:].startswith(_MAPS[name]):
            map_name = name
            break
    at += len(_MAPS[map_name])
    return _find(map_name, prefix, code[at : at + 2])


@cache
def _find(map_name: str, prefix: str, tail: bytes) -> Entry:
    if not tail:
        return UNLISTED
    behind = tail[1] if len(tail) > 1 else None
    for entry in table():
        if entry.fits(map_name, tail[0], prefix, behind):
            return entry
    return UNLISTED


def markdown() -> str:
    """The table for the manual: one section for each class but the undefined."""
    parts = []
    for kind in (Class.VIRTUAL, Class.EXCLUDED, Class.AMBIGUOUS, Class.ORDINARY):
        parts.append(f"### {kind.name.capitalize()}: {kind.value}\n")
        parts.append("| instruction | encoding | remarks |\n| --- | --- | --- |")
        parts += [_row(name, rows) for name, rows in _by_name(kind).items()]
        parts.append("")
    return "\n".join(parts)


def _by_name(kind: Class) -> dict[str, list[Entry]]:
    rows: dict[str, list[Entry]] = {}
    for entry in table():
        if entry.kind is kind:
            rows.setdefault(entry.name, []).append(entry)
    return rows


def _row(name: str, entries: list[Entry]) -> str:
    remarks = dict.fromkeys(text for e in entries for text in (e.when.value, e.note) if text)
    encodings = ", ".join(f"`{e.encoding()}`" for e in entries)
    return f"| {name} | {encodings} | {'; '.join(remarks)} |"


def main(argv: list[str]) -> int:
    """What the module's docstring says."""
    if len(argv) == 1:
        print(markdown())
        return 0
    try:
        entry = find(bytes.fromhex("".join(argv[1:])))
    except ValueError:
        print(__doc__, file=sys.stderr)
        return 2
    print(f"{entry.kind.name.lower()}: {entry.name or 'no instruction'}; {entry.note or '-'}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv))
