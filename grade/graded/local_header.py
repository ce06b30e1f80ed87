#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""kern/local.h only declares: `local_header.py FILE` tells what else a student's has.

The file is a student's, and every record of a VM contains its `struct vm_local`: so it is also a part
of the grader's driver. A macro, or another name for a symbol, would change what the driver says. So
it may have declarations, types, inline functions, its include guard, macros called LOCAL_...,
and headers of lib/. Ends with 1, and a line for each fault, unless that is all.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path

_COMMENT = re.compile(r"""/\*.*?\*/|//[^\n]*|("(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*')""", re.DOTALL)
_STRING = re.compile(r'"(?:\\.|[^"\\\n])*"')
_DIRECTIVE = re.compile(r"\s*(?:#|%:)\s*(.*)")
_MAY = (
    re.compile(r"(?:ifndef|define)\s+KERN_LOCAL_H"),
    re.compile(r"endif"),
    re.compile(r"pragma\s+once"),
    re.compile(r"define\s+LOCAL_[A-Z0-9_]+\b.*"),
    re.compile(r'include\s+"lib/[a-z0-9_]+\.h"'),
)
_NEVER = re.compile(r"\b(?:asm|__asm|__asm__|_Pragma|__attribute|__attribute__)\b")


def faults(text: str) -> Iterator[str]:
    """What the header has that it may not have: a line's number and what is wrong there."""
    plain = _COMMENT.sub(_without, text.replace("\r", "\n"))
    if "\\\n" in plain:
        yield "a line may not end with a backslash"
    for number, line in enumerate(plain.split("\n"), 1):
        directive = _DIRECTIVE.fullmatch(line)
        if directive and not any(may.fullmatch(directive[1].strip()) for may in _MAY):
            yield f'{number}: "#{directive[1].strip()[:40]}": only #define LOCAL_NAME and #include "lib/..." here'
        elif word := _NEVER.search(_STRING.sub("", line)):
            yield f"{number}: {word[0]} isn't for this file"


def _without(match: re.Match[str]) -> str:
    """A string stays; of a comment the ends of lines stay."""
    return match[1] or " " + "\n" * match[0].count("\n")


def main(argv: list[str]) -> int:
    """Run the command line of the module's docstring."""
    path = Path(argv[1])
    found = list(faults(path.read_text(errors="replace"))) if path.exists() else []
    for fault in found:
        print(f"{path}:{fault}", file=sys.stderr)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv))
