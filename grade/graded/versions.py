# SPDX-License-Identifier: MIT
"""What a grade is a function of, besides the submission: the grader's own files, and the tools.

The official tools are those that CI proves the labs with. Others may well do; a student who gets
another result than the course's must know that this is why.
"""

from __future__ import annotations

import hashlib
import re
import subprocess
from functools import cache
from pathlib import Path

from conf.qemu import QEMU
from labs.course import load

ROOT = Path(__file__).resolve().parent.parent.parent
OFFICIAL = {"gcc": "12.2", "clang": "14.0", "qemu": "7.2"}
_MADE_OF = ("grade/graded", "grade/harness", "grade/driver", "grade/guest", "conf/qemu.py")
_VERSION = re.compile(r"\b(\d+\.\d+(?:\.\d+)?)\b")


def grader_version(lab: int, root: Path = ROOT) -> str:
    """Names the text of the grader for one lab: the same wherever the same tests judge, in the
    complete source and in the course tree of any stage."""
    total = hashlib.sha256()
    for path in sorted(_grader_files(lab, root)):
        total.update(f"{path.relative_to(root)}\0".encode())
        total.update(hashlib.sha256(path.read_bytes()).digest())
    total.update(repr(load(lab, root).exercises).encode())  # lab.toml itself differs: [cut]
    return total.hexdigest()[:16]


def _grader_files(lab: int, root: Path) -> list[Path]:
    found: list[Path] = []
    for name in (*_MADE_OF, f"grade/lab{lab}"):
        place = root / name
        if place.is_file():
            found.append(place)
        found += (path for path in place.rglob("*") if _is_source(path))
    return found


def _is_source(path: Path) -> bool:
    return path.is_file() and path.suffix in (".py", ".c", ".h", ".S", ".ld", ".toml")


@cache
def compiler_version(command: str) -> str:
    """"gcc 12.2.0"; "" if there is no such compiler."""
    text = _first_line(command, "--version")
    version = _VERSION.search(text.rpartition(")")[2] if "clang" not in text else text)
    name = "clang" if "clang" in text else "gcc"
    return f"{name} {version[1]}" if version else ""


@cache
def qemu_version() -> str:
    """"7.2.22"; "" if there is no QEMU."""
    version = _VERSION.search(_first_line(QEMU, "--version"))
    return version[1] if version else ""


def tool_warnings(compiler: str, qemu: str) -> list[str]:
    """One line for each tool that isn't an official one."""
    name, _, version = compiler.partition(" ")
    lines = []
    for tool, has in ((name, version), ("qemu", qemu)):
        official = OFFICIAL.get(tool, "")
        if has and not f"{has}.".startswith(f"{official}."):
            lines.append(f"{tool} {has} here; the course grades with {tool} {official}")
    return lines


def _first_line(*line: str) -> str:
    try:
        result = subprocess.run(line, capture_output=True, text=True, check=False, timeout=20)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return result.stdout.partition("\n")[0]
