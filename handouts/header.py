# SPDX-License-Identifier: MIT
"""What a C header says: its structures with offsets, its constants, its lists.

Names and comments are read from the text; numbers come from the compiler, which is asked for
`offsetof` and the values of constants, for the machine that guests run on. Nothing here knows a
number by itself.
"""

from __future__ import annotations

import re
import shlex
import struct
import subprocess
import tempfile
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
ABI = "lib/abi.h"
TARGET = ["-m32", "-march=i686", "-ffreestanding", "-std=gnu11", f"-I{ROOT}"]

_DEFINE = re.compile(r"^#define (\w+) +(\S.*)$", re.MULTILINE)
_COMMENT = re.compile(r"/\*(.*?)\*/", re.DOTALL)
_STRUCT = re.compile(r"^struct (\w+) \{\n(.*?)^\};", re.MULTILINE | re.DOTALL)
_FIELD = re.compile(r"^\t((?:const |struct )?\w+) ([^;/]+);[ \t]*(/\*.*?\*/)?", re.M | re.S)
_ERROR = re.compile(r'X\((\w+), (\d+), +"([^"]*)"\)')
_INSTRUCTION = re.compile(r"^#define (VI_\w+) +(\d+) +/\* \((.*?)\) (.*) \*/$", re.MULTILINE)


class HeaderError(Exception):
    """The header hasn't what the manual asks for."""


@dataclass(frozen=True)
class Field:
    """One member of a structure."""

    name: str
    type: str  # as declared: "u32", "char[256]"
    offset: int
    size: int
    comment: str


@dataclass(frozen=True)
class Instruction:
    """One virtual instruction: `arguments` in the order of the registers."""

    name: str
    number: int
    arguments: str
    result: str


@dataclass(frozen=True)
class Error:
    """One error that a virtual instruction may return, negated."""

    name: str
    number: int
    text: str


def clean(comment: str) -> str:
    """A comment's text in one line."""
    text = _COMMENT.sub(r"\1", comment)
    return " ".join(re.sub(r"^\s*\*", "", line).strip() for line in text.splitlines()).strip()


class Header:
    """The header at `path` (from the top), as `compiler` sees it."""

    def __init__(self, path: str, compiler: str = "gcc") -> None:
        self.path = path
        self._compiler = shlex.split(compiler)
        self.text = (ROOT / path).read_text()

    def constant(self, name: str) -> int:
        """The value of a constant expression; HeaderError if it is none."""
        return self._values([name])[0]

    def comment(self, name: str) -> str:
        """What stands behind the #define of `name`."""
        match = re.search(rf"^#define {name} +[^/\n]*/\*(.*?)\*/", self.text, re.M | re.S)
        return clean(f"/*{match[1]}*/") if match else ""

    @cached_property
    def instructions(self) -> list[Instruction]:
        """Every virtual instruction, by number."""
        found = _INSTRUCTION.findall(self.text)
        all_names = set(re.findall(r"^#define (VI_\w+) ", self.text, re.M))
        missing = all_names - {name for name, *_ in found} - {"VI_COUNT", "VI_SUPERVISOR"}
        if missing:
            raise HeaderError(f"{self.path}: no arguments and result beside {sorted(missing)}")
        return [Instruction(name, int(number), args, res) for name, number, args, res in found]

    @cached_property
    def errors(self) -> list[Error]:
        """Every error, by number."""
        return [Error(f"E_{n}", int(number), text) for n, number, text in _ERROR.findall(self.text)]

    def structure(self, name: str) -> tuple[list[Field], int]:
        """The members of a structure and its size."""
        match = next((m for m in _STRUCT.finditer(self.text) if m[1] == name), None)
        if not match:
            raise HeaderError(f"{self.path}: no struct {name}")
        declared = list(self._members(match[2]))
        asked = [f"sizeof(struct {name})"]
        for _, member, _ in declared:
            asked.append(f"__builtin_offsetof(struct {name}, {member})")
            asked.append(f"sizeof(((struct {name} *)0)->{member})")
        size, *numbers = self._values(asked)
        places = zip(declared, numbers[::2], numbers[1::2])
        return [Field(n, t, offset, bytes_, c) for (t, n, c), offset, bytes_ in places], size

    @staticmethod
    def _members(body: str) -> list[tuple[str, str, str]]:
        """Type, name and comment of each member of a structure's text."""
        found = []
        for kind, names, comment in _FIELD.findall(body):
            for name in names.split(","):
                match = re.fullmatch(r"\s*(\w+)((?:\[\w[^]]*\])*)\s*", name)
                if not match:
                    raise HeaderError(f"cannot read the member {name.strip()!r}")
                found.append((kind + match[2], match[1], clean(comment)))
        return found

    def _values(self, expressions: list[str]) -> list[int]:
        """What constant expressions are worth. The compiler puts them into a section of an object
        file, from where they are read: nothing is run."""
        items = ", ".join(f"(unsigned)({text})" for text in expressions)
        source = (
            f'#include "{self.path}"\n'
            f'__attribute__((section(".answers"), used)) const unsigned answers[] = {{{items}}};\n'
        )
        with tempfile.TemporaryDirectory() as folder:
            code, thing, raw = (f"{folder}/{name}" for name in ("a.c", "a.o", "a.bin"))
            Path(code).write_text(source)
            line = [*self._compiler, *TARGET, "-c", "-o", thing, code]
            result = subprocess.run(line, capture_output=True, text=True, check=False)
            if result.returncode:
                raise HeaderError(f"{self.path}: {result.stderr.strip()}")
            copy = ["objcopy", "-O", "binary", "-j", ".answers", thing, raw]
            subprocess.run(copy, check=True)
            data = Path(raw).read_bytes()
        return list(struct.unpack(f"<{len(expressions)}I", data[: 4 * len(expressions)]))
