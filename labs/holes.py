# SPDX-License-Identifier: MIT
"""Cuts holes: a function's body becomes one line that stops and names the exercise.

Where a C function, macro or type begins and ends is Universal Ctags' word; assembly functions stand
between ENTRY(name) and END(name). The comment above a hole, its contract, stays. What `cut` names
goes as soon as nothing that is left of the file mentions it.
"""

from __future__ import annotations

import json
import re
import subprocess
import tempfile
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from pathlib import Path

from labs.course import CourseError, Exercise

HEADER = '#include "lib/exercise.h"'
_INCLUDE = re.compile(r'^#include .*$', re.MULTILINE)
_COMMENT = re.compile(r"/\*.*?\*/|//[^\n]*", re.DOTALL)
_NAME = re.compile(r"(\w+)\s*(?:\[[^]]*\])*$")


@dataclass(frozen=True)
class Tag:
    """One definition of a C file; lines count from 1, `end` is its last."""

    name: str
    kind: str
    line: int
    end: int
    signature: str
    static: bool


def tags(path: Path) -> list[Tag]:
    """The definitions of a C file, in order; CourseError if ctags can't be run."""
    line = ["ctags", "--output-format=json", "--fields=+neSf", "--kinds-C=+fdsguvtex", "-o", "-", str(path)]
    try:
        done = subprocess.run(line, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError) as error:
        raise CourseError(f"Universal Ctags can't read {path}: {error}") from error
    found = []
    for text in done.stdout.splitlines():
        entry = json.loads(text)
        if entry.get("_type") != "tag":
            continue
        first = int(entry["line"])
        last = int(entry.get("end", first))
        found.append(
            Tag(
                entry["name"],
                entry["kind"],
                first,
                last,
                str(entry.get("signature", "")),
                bool(entry.get("file", False)),
            )
        )
    return found


def parameters(signature: str) -> list[str]:
    """Names of the parameters in "(u32 a, const char *b)"."""
    inside = signature.strip()[1:-1].strip()
    if inside in ("", "void"):
        return []
    names = []
    for part in inside.split(","):
        match = _NAME.search(part.strip())
        if match and part.strip() != "...":
            names.append(match[1])
    return names


def stop_line(exercise: Exercise, function: str) -> str:
    """What a hole says when it is reached."""
    return f"Lab {exercise.lab}, exercise {exercise.number}: {function} is yours to write"


def _stop(exercise: Exercise, function: str, names: list[str]) -> list[str]:
    """A hole's body. The parameters are mentioned, so that no compiler says that they are unused."""
    words = [f'"{stop_line(exercise, function)}"', *names]
    line = f"\tnot_written({', '.join(words)});"
    if len(line) < 90:
        return [line]
    return [f"\tnot_written({words[0]},", f"\t\t    {', '.join(names)});"]


def open_holes(path: Path, exercises: Iterable[Exercise], cut: Collection[str]) -> str:
    """The text of the file at `path` with the holes of `exercises` open."""
    text = path.read_text()
    chosen = {name: exercise for exercise in exercises for name in exercise.functions}
    if path.suffix == ".S":
        for name, exercise in chosen.items():
            text = _open_assembly(path, text, name, exercise)
        return _with_header(text)
    return _without_helpers(_with_header(_open_c(path, text, chosen)), cut)


def _open_c(path: Path, text: str, chosen: dict[str, Exercise]) -> str:
    lines = text.split("\n")
    functions = {tag.name: tag for tag in tags(path) if tag.kind == "function"}
    missing = [name for name in chosen if name not in functions]
    if missing:
        raise CourseError(f"{path}: no function {', '.join(missing)}")
    for name in sorted(chosen, key=lambda name: -functions[name].line):
        tag = functions[name]
        first = next(i for i in range(tag.line - 1, tag.end) if lines[i].startswith("{"))
        lines[first + 1 : tag.end - 1] = _stop(chosen[name], name, parameters(tag.signature))
    return "\n".join(lines)


def _open_assembly(path: Path, text: str, name: str, exercise: Exercise) -> str:
    pattern = re.compile(rf"(^\s*ENTRY\({name}\)\n).*?(^\s*END\({name}\))", re.MULTILINE | re.DOTALL)
    stop = f'\tNOT_WRITTEN("{stop_line(exercise, name)}")\n'
    changed, count = pattern.subn(lambda match: match[1] + stop + match[2], text)
    if count != 1:
        raise CourseError(f"{path}: no ENTRY({name}) with its END({name})")
    return changed


def _with_header(text: str) -> str:
    """`text` with the header that declares what a hole calls, after its other headers."""
    last = list(_INCLUDE.finditer(text))[-1]
    return text[: last.end()] + "\n" + HEADER + text[last.end() :]


def _tags_of(text: str) -> list[Tag]:
    with tempfile.TemporaryDirectory() as folder:
        scratch = Path(folder) / "text.c"
        scratch.write_text(text)
        return tags(scratch)


def _without_helpers(text: str, cut: Collection[str]) -> str:
    """Remove each helper in `cut` that nothing else in `text` mentions, until none is left."""
    while True:
        for tag in (tag for tag in _tags_of(text) if tag.name in cut and tag.kind != "member"):
            shorter = _remove(text, tag)
            if not re.search(rf"\b{tag.name}\b", _COMMENT.sub("", shorter)):
                text = shorter
                break
        else:
            return text


def _remove(text: str, tag: Tag) -> str:
    """`text` without one definition and the comment directly above it."""
    lines = text.split("\n")
    first, last = tag.line - 1, tag.end
    if tag.kind == "macro":
        while lines[last - 1].endswith("\\"):
            last += 1
    else:
        last = _end_of(lines, first, last)
        while first > 0 and lines[first - 1] and not lines[first - 1].startswith(("#", "}")):
            if _bare(lines[first - 1]).endswith(";"):
                break
            first -= 1
    before, after = lines[:first], lines[last:]
    while before and after and not before[-1] and not after[0]:
        after = after[1:]
    return "\n".join(before + after)


def _end_of(lines: list[str], first: int, last: int) -> int:
    """Index behind the definition's last line: ctags ends some variables at their first."""
    while last < len(lines) and not _bare(lines[last - 1]).endswith((";", "}")):
        last += 1
    return last


def _bare(line: str) -> str:
    """A line without a comment at its end."""
    return re.sub(r"/\*.*?\*/\s*$", "", line).rstrip()
