# SPDX-License-Identifier: MIT
"""The rules of holes (labs/labN/lab.toml), which let labs follow each other without merging text.

A file with a hole belongs to one lab and holds that lab's holes alone, is the same at every stage,
and its holes can be cut out: whole functions that others may call. labs/check prints what these
functions find, one line for each broken rule.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path

from labs.course import POINTS_PER_LAB, Exercise, LabSpec
from labs.holes import Tag, tags

_CONDITION = re.compile(r"^\s*#\s*(?:if|ifdef|ifndef|elif|else|endif)\b")


def check_specs(specs: Collection[LabSpec]) -> Iterator[str]:
    """Numbers run from N.1, points add up, and what an exercise needs can be there before it."""
    known = {e.number: e for spec in specs for e in spec.exercises}
    for spec in specs:
        where = f"labs/lab{spec.number}/lab.toml"
        numbers = [e.number for e in spec.exercises]
        if numbers != [f"{spec.number}.{i}" for i in range(1, len(numbers) + 1)]:
            yield f"{where}: the exercises are numbered {', '.join(numbers)}"
        if (points := sum(e.points for e in spec.exercises)) != POINTS_PER_LAB:
            yield f"{where}: {points} points, not {POINTS_PER_LAB}"
        for exercise in spec.exercises:
            for name in exercise.needs:
                if name not in known or known[name].lab > spec.number:
                    yield f"{where}: {exercise.number} needs {name}, which isn't there"
            if exercise.number in _all_needs(exercise, known):
                yield f"{where}: {exercise.number} needs itself"


def _all_needs(exercise: Exercise, known: Mapping[str, Exercise]) -> set[str]:
    """What an exercise needs, and what that needs."""
    todo, found = list(exercise.needs), set[str]()
    while todo:
        name = todo.pop()
        if name in known and name not in found:
            found.add(name)
            todo += known[name].needs
    return found


def check_hole_files(
    specs: Collection[LabSpec], claims: Mapping[str, set[int]], staged: Collection[str]
) -> Iterator[str]:
    """A file with a hole is its lab's alone, and the same at every stage."""
    setters: dict[str, int] = {}
    for spec in specs:
        for name in spec.hole_files:
            first = setters.setdefault(name, spec.number)
            if first != spec.number:
                yield f"{name}: holes of lab {first} and of lab {spec.number}"
            if (owners := claims.get(name)) is not None and owners != {spec.number}:
                yield f"{name}: a hole of lab {spec.number}, but a file of lab {min(owners)}"
            if name in staged:
                yield f"{name}: a hole in a file that isn't the same at every stage"
        for name in spec.cut:
            if name not in spec.hole_files:
                yield f"labs/lab{spec.number}/lab.toml: cuts {name}, which has no hole"


def check_holes(root: Path, specs: Collection[LabSpec]) -> Iterator[str]:
    """Every hole can be cut, and what is cut with it is a helper of that file."""
    for spec in specs:
        for name in spec.hole_files:
            path = root / name
            exercises = [e for e in spec.exercises if e.file == name]
            if not path.is_file():
                yield f"{name}: has a hole, but isn't there"
            elif not all(e.functions for e in exercises):
                yield from _check_whole_file(root, spec, name, exercises)
            else:
                holes = [function for e in exercises for function in e.functions]
                for function, count in Counter(holes).items():
                    if count > 1:
                        yield f"{name}: {function} is the hole of {count} exercises"
                check = _check_assembly if path.suffix == ".S" else _check_c
                yield from check(path, name, dict.fromkeys(holes), spec.cut.get(name, ()))


def _check_whole_file(
    root: Path, spec: LabSpec, name: str, exercises: Collection[Exercise]
) -> Iterator[str]:
    """A whole file is one exercise, and begins as a skeleton."""
    if len(exercises) != 1:
        yield f"{name}: a whole file, and another hole in it"
    if not (root / f"labs/lab{spec.number}/skeleton" / name).is_file():
        yield f"{name}: a whole file without labs/lab{spec.number}/skeleton/{name}"


def _check_assembly(
    path: Path, name: str, holes: Collection[str], cut: Collection[str]
) -> Iterator[str]:
    """A hole stands between ENTRY and END, each once; nothing is cut."""
    text = path.read_text()
    for hole in holes:
        body = re.findall(rf"^\s*ENTRY\({hole}\)\n(.*?)^\s*END\({hole}\)", text, re.M | re.S)
        if len(body) != 1:
            yield f"{name}: no ENTRY({hole}) with its END({hole})"
        elif any(_CONDITION.match(line) for line in body[0].split("\n")):
            yield f"{name}: #if inside {hole}"
    for helper in cut:
        yield f"{name}: {helper} can't be cut from assembly"


def _check_c(path: Path, name: str, holes: Collection[str], cut: Collection[str]) -> Iterator[str]:
    """A hole is one function that isn't static nor made by a macro, with no #if in it; a helper is
    defined in this file, and known nowhere else."""
    defined = tags(path)
    lines = path.read_text().split("\n")
    for hole in holes:
        found = [tag for tag in defined if tag.name == hole and tag.kind == "function"]
        if len(found) != 1:
            yield f"{name}: {len(found)} functions {hole}, not one"
            continue
        yield from (f"{name}: {fault}" for fault in _faults(found[0], lines))
    for helper in cut:
        kinds = [tag for tag in defined if tag.name == helper and tag.kind != "member"]
        if not kinds:
            yield f"{name}: no {helper} to cut"
        elif any(tag.kind in ("function", "variable") and not tag.static for tag in kinds):
            yield f"{name}: {helper} is cut, but others may use it"


def _faults(tag: Tag, lines: list[str]) -> Iterator[str]:
    """Why a function can't be a hole."""
    body = lines[tag.line - 1 : tag.end]
    if tag.static:
        yield f"{tag.name} is static"
    if any(_CONDITION.match(line) for line in body):
        yield f"#if inside {tag.name}"
    if not any(line.startswith("{") for line in body) or body[-1] != "}":
        yield f"{tag.name} doesn't stand between two braces of its own"
