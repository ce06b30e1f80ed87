# SPDX-License-Identifier: MIT
"""The trees of the course's stages: what is in them, and that they build with any hole open."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest

from labs import holes
from labs.course import Exercise, labs, load
from labs.files import load as load_files
from labs.stage import ROOT, every_exercise, write_stage

COMPILER = os.environ.get("DENALI_CC", "gcc")
LABS = labs()
EXERCISES = [exercise for lab in LABS for exercise in load(lab).exercises]
FUNCTIONS = [exercise for exercise in EXERCISES if exercise.functions]


def number(exercise: Exercise) -> str:
    """What a test's case is called."""
    return exercise.number


def make(tree: Path, *arguments: str) -> None:
    """Run make in a tree; no warning passes."""
    line = ["make", "-s", "-j2", "SETUP=no", "WERROR=1", f"CC={COMPILER}", *arguments]
    done = subprocess.run(line, cwd=tree, capture_output=True, text=True, check=False)
    assert done.returncode == 0 and "warning" not in done.stderr, done.stdout + done.stderr


@pytest.mark.parametrize("lab", LABS)
@pytest.mark.parametrize("opened", ["all", "none"])
def test_stage_builds_without_a_warning(tmp_path: Path, lab: int, opened: str) -> None:
    """Who clones the course begins with a tree that compiles; so does who is given the solution."""
    write_stage(tmp_path / "tree", lab, every_exercise(lab) if opened == "all" else ())
    make(tmp_path / "tree", "kernel", "programs")


@pytest.mark.parametrize("exercise", FUNCTIONS, ids=number)
def test_a_file_compiles_with_one_hole_open(tmp_path: Path, exercise: Exercise) -> None:
    """Students fill holes one after the other: no helper is left over, none is missing."""
    write_stage(tmp_path / "tree", exercise.lab, [exercise.number])
    make(tmp_path / "tree", f"build/{Path(exercise.file).with_suffix('.o')}")


@pytest.mark.parametrize("exercise", FUNCTIONS, ids=number)
def test_a_hole_says_which_exercise_it_is(tmp_path: Path, exercise: Exercise) -> None:
    """A machine that stops there tells what to do next; all around it is as it was."""
    write_stage(tmp_path / "tree", exercise.lab, [exercise.number])
    text = (tmp_path / "tree" / exercise.file).read_text()
    for function in exercise.functions:
        assert text.count(f'"{holes.stop_line(exercise, function)}"') == 1
    others = [e for e in EXERCISES if e.file == exercise.file and e is not exercise]
    for name in (name for other in others for name in other.functions):
        assert f"{name} is yours to write" not in text


@pytest.mark.parametrize("lab", LABS)
def test_the_solution_is_the_reference(tmp_path: Path, lab: int) -> None:
    """A stage's solution has the reference's text: what is graded is what was handed out."""
    write_stage(tmp_path / "tree", lab, ())
    for exercise in (e for e in EXERCISES if e.lab <= lab):
        mine = (tmp_path / "tree" / exercise.file).read_bytes()
        assert mine == (ROOT / exercise.file).read_bytes(), exercise.file


def test_no_later_lab_and_no_answer_is_in_a_tree(tmp_path: Path) -> None:
    """A stage ends with its lab; mutants, rubrics and helpers' names are the staff's."""
    write_stage(tmp_path / "tree", 1, every_exercise(1))
    names = {str(path.relative_to(tmp_path / "tree")) for path in (tmp_path / "tree").rglob("*")}
    later = [s.path for group in load_files(ROOT).groups.values() for s in group if s.lab > 1]
    assert later and not names & set(later)
    assert not [name for name in names if re.search(r"mutant|alternative|forger|rubric|skeleton", name)]
    assert not [name for name in names if name.startswith("handouts/lab2")]
    assert "[cut]" not in (tmp_path / "tree/labs/lab1/lab.toml").read_text()
    for path in (tmp_path / "tree/kern").glob("*.[chS]"):
        assert not re.search(r"^#\s*if.*\bLAB\b", path.read_text(), re.MULTILINE), path


def test_the_reference_knows_nothing_of_exercises() -> None:
    """Whoever reads the kernel as a model finds no scars of the course."""
    folders = ("kern", "lib", "ilwaco", "user")
    sources = [path for folder in folders for path in (ROOT / folder).rglob("*.[chS]")]
    assert len(sources) > 100
    for path in sources:
        assert not re.search(r"not_written|[Ee]xercise|yours to write", path.read_text()), path


def test_what_a_student_adds_is_built(tmp_path: Path) -> None:
    """A file more under kern/ or user/ needs no change to a list of the staff's."""
    tree = tmp_path / "tree"
    write_stage(tree, 2, ())
    (tree / "kern/mine.c").write_text('#include "kern/mine.h"\nint mine(void) { return 1; }\n')
    (tree / "kern/mine.h").write_text("int mine(void);\n")
    (tree / "user/own.c").write_text("int main(void);\nint main(void) { return 7; }\n")
    make(tree, "kernel", "programs")
    assert (tree / "build/kern/mine.o").exists() and (tree / "build/user/own").exists()
