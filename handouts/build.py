#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Build the handouts as HTML.

    handouts/build.py FOLDER [COMPILER]         pages into FOLDER/handouts, sources of them beside it
    handouts/build.py FOLDER COMPILER print     one page for a printer, into FOLDER/handouts-print

The chapters are Markdown with a few marks, which are replaced by what the headers say today:

    @table instruction NAME     what VI_NAME is called with, and what comes back
    @table struct [HEADER] NAME members with offsets
    @table errors               all errors
    @table instructions         all virtual instructions
    @table isa                  classes of instructions
    @[NAME]                     the value of a constant of lib/abi.h
    @#[NAME]                    the same, in hexadecimal

A mark that nothing answers, and any warning of Sphinx, is an error.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from conf import isa  # noqa: E402
from handouts.header import ABI, Field, Header, HeaderError, Instruction  # noqa: E402

SOURCE = ROOT / "handouts"
ELSEWHERE = {"gdb.md": ROOT / "conf/gdb/README.md"}  # chapters that stand beside what they tell of
REGISTERS = ("ebx", "ecx", "edx", "esi")

_TABLE = re.compile(r"^@table (.+)$", re.MULTILINE)
_VALUE = re.compile(r"@(#?)\[(\w+)\]")


def row(*cells: str) -> str:
    """One line of a Markdown table."""
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |\n"


def head(*cells: str) -> str:
    """A table's head."""
    return row(*cells) + row(*("---" for _ in cells))


class Expander:
    """Replaces the marks of a chapter."""

    def __init__(self, compiler: str) -> None:
        self._compiler = compiler
        self._headers: dict[str, Header] = {}
        self.told: set[str] = set()  # instructions that have a table

    def header(self, path: str) -> Header:
        """The header at `path`, read once."""
        return self._headers.setdefault(path, Header(path, self._compiler))

    def expand(self, text: str) -> str:
        """A chapter with every mark replaced."""
        text = _TABLE.sub(lambda match: self._table(*match[1].split()), text)
        return _VALUE.sub(lambda match: self._value(match[2], bool(match[1])), text)

    def _value(self, name: str, hexadecimal: bool) -> str:
        value = self.header(ABI).constant(name)
        return f"{value:#x}" if hexadecimal else f"{value:,}"

    def _table(self, kind: str, *words: str) -> str:
        if kind == "instruction":
            return self._instruction(words[0])
        if kind == "struct":
            return self._struct(self.header(words[0] if len(words) > 1 else ABI), words[-1])
        if kind == "errors":
            return self._errors()
        if kind == "instructions":
            return self._instructions()
        if kind == "isa":
            return isa.markdown().rstrip() + "\n"
        raise HeaderError(f"no such table: {kind}")

    def _instruction(self, name: str) -> str:
        found = {i.name: i for i in self.header(ABI).instructions}
        if f"VI_{name}" not in found:
            raise HeaderError(f"no instruction VI_{name}")
        instruction = found[f"VI_{name}"]
        self.told.add(instruction.name)
        text = head("eax", *self._registers(instruction), "result")
        arguments = [a.strip() for a in instruction.arguments.split(",") if a.strip()]
        return text + row(f"{instruction.number}", *arguments, instruction.result)

    @staticmethod
    def _registers(instruction: Instruction) -> tuple[str, ...]:
        count = sum(1 for a in instruction.arguments.split(",") if a.strip())
        return REGISTERS[:count]

    def _instructions(self) -> str:
        text = head("number", "name", "arguments (ebx, ecx, edx, esi)", "result")
        for i in self.header(ABI).instructions:
            anchor = i.name.removeprefix("VI_").lower()
            text += row(str(i.number), f"[`{i.name}`](#{anchor})", i.arguments or "none", i.result)
        return text

    def _errors(self) -> str:
        text = head("value", "name", "says")
        for error in self.header(ABI).errors:
            text += row(f"-{error.number}", f"`{error.name}`", error.text)
        return text

    @staticmethod
    def _struct(header: Header, name: str) -> str:
        fields, size = header.structure(name)
        text = head("offset", "bytes", "member", "meaning")
        for field in fields:
            text += row(*_cells(field))
        return text + f"\n`struct {name}` of `{header.path}`, {size:,} bytes.\n"


def _cells(field: Field) -> tuple[str, ...]:
    kind, bracket, rest = field.type.partition("[")
    name = f"`{kind} {field.name}{bracket}{rest}`"
    return f"`{field.offset:#06x}`", str(field.size), name, field.comment


def prepare(folder: Path, expander: Expander) -> None:
    """Fill `folder` with Sphinx's sources."""
    shutil.rmtree(folder, ignore_errors=True)
    for path in sorted(SOURCE.rglob("*")):
        target = folder / path.relative_to(SOURCE)
        if path.is_dir() or path.name in ("README.md", "Makefrag") or "__pycache__" in path.parts:
            continue
        target.parent.mkdir(parents=True, exist_ok=True)
        if path.suffix == ".md":
            target.write_text(expander.expand(path.read_text()))
        elif path.suffix in (".svg", ".css", ".js"):
            shutil.copy(path, target)
    for name, path in ELSEWHERE.items():
        shutil.copy(path, folder / name)
    shutil.copy(SOURCE / "settings.py", folder / "conf.py")
    told = expander.told
    missing = [i.name for i in expander.header(ABI).instructions if i.name not in told]
    if missing:
        raise HeaderError(f"the manual says nothing of {', '.join(missing)}")


def main(arguments: list[str]) -> int:
    """Run the module's docstring; the status is Sphinx's."""
    if not 1 <= len(arguments) <= 3 or arguments[2:] not in ([], ["print"]):
        print(__doc__, file=sys.stderr)
        return 2
    folder = Path(arguments[0])
    builder, name = ("singlehtml", "handouts-print") if arguments[2:] else ("html", "handouts")
    source, pages = folder / f"{name}-source", folder / name
    try:
        prepare(source, Expander(arguments[1] if len(arguments) > 1 else "gcc"))
    except HeaderError as error:
        print(f"handouts/build.py: {error}", file=sys.stderr)
        return 1
    line = [sys.executable, "-m", "sphinx", "-b", builder, "-q", "-W", "--keep-going", "-d"]
    line += [str(folder / f"{name}-cache"), str(source), str(pages)]
    return subprocess.run(line, check=False).returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
