# SPDX-License-Identifier: MIT
"""`make grade` in a student's tree, from the first command to the result's file."""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from grade.graded.assemble import taken
from grade.graded.handin import read
from grade.graded.submission import hash_of, submission_hash
from grade.graded.versions import grader_version
from labs.stage import write_stage

pytestmark = pytest.mark.long


class Tree:
    """A student's tree of lab 1."""

    def __init__(self, root: Path, open_exercises: tuple[str, ...]) -> None:
        self.root = root
        write_stage(root, 1, open_exercises)

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        """`make grade` with arguments."""
        line = ["make", "grade", f"CC={os.environ.get('DENALI_CC', 'gcc')}", "SETUP=no", *arguments]
        clean = {k: v for k, v in os.environ.items() if not k.startswith(("MAKE", "MFLAGS"))}
        return subprocess.Popen(
            line, cwd=self.root, env=clean, text=True, stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip

    def grade(self, *arguments: str, status: int = 0) -> str:
        """What it prints; it must end with `status`."""
        process = self.start(*arguments)
        text = process.communicate(timeout=300)[0]
        assert process.returncode == status, text
        return text

    def result(self) -> dict[str, Any]:
        """The result's file."""
        loaded: dict[str, Any] = json.loads((self.root / "build/grade/lab1.json").read_text())
        return loaded


@pytest.fixture
def tree(tmp_path: Path) -> Callable[..., Tree]:
    """Makes trees; their path has a space and a comma."""
    return lambda *open_exercises: Tree(tmp_path / "my work, lab 1", open_exercises)


def test_a_fresh_tree_has_nothing_and_is_told_where_to_begin(tree: Callable[..., Tree]) -> None:
    """The first thing that a student sees of the grader must not be a wall of crashes."""
    text = tree("1.1", "1.2").grade("EX=1.1,1.2")
    assert re.search(r"1\.1 .* 0/15 +not written", text) and re.search(r"1\.2 .* 0/20 +not written", text)
    assert "next        1.1" in text and "write       memmap_usable in kern/memmap.c" in text
    assert "crash" not in text and "Traceback" not in text and "you changed" not in text


def test_points_grow_and_staff_files_are_watched(tree: Callable[..., Tree]) -> None:
    """From nothing to all points of an exercise, with the gain, one test alone, and a warning."""
    student = tree("1.6")
    assert "0/10  " in student.grade("EX=1.6")
    fresh = student.result()
    reference = Path("kern/backtrace.c").read_text()
    (student.root / "kern/backtrace.c").write_text(reference)
    with (student.root / "kern/main.c").open("a") as file:
        file.write("/* mine */\n")
    text = student.grade("T=1.6", "KEY=c0ffee")
    assert re.search(r"10/10 +\+10 +pass", text) and "+10  since last time" in text
    assert "you changed kern/main.c" in text
    result = student.result()
    assert (result["points"], result["key"], result["built"]) == (10, "c0ffee", True)
    assert result["submission"] != fresh["submission"] and result["grader"] == fresh["grader"]
    name = result["tests"][0]["name"]
    alone = student.grade(f"T={name}")
    assert alone.count("/") >= 2 and student.result()["tests"][0]["name"] == name
    student.grade("T=no_such_test", status=2)
    student.grade("EX=9.9", status=2)


def test_the_grader_has_one_name_in_all_trees(tmp_path: Path) -> None:
    """Keys follow from it: a student and the course would else draw different inputs."""
    for lab in (1, 2):
        write_stage(tmp_path / str(lab), lab, ())
    assert grader_version(1, tmp_path / "1") == grader_version(1, tmp_path / "2")
    with (tmp_path / "2/grade/graded/marks.py").open("a") as file:
        file.write("# another\n")
    assert grader_version(1, tmp_path / "1") != grader_version(1, tmp_path / "2")


def test_a_submission_has_one_key_at_home_and_with_the_instructor(tmp_path: Path) -> None:
    """What is drawn follows from it: a student's own marks must be those that count."""
    write_stage(tmp_path / "1", 1, ())
    (tmp_path / "1/kern/mine.c").write_text("int mine;\n")
    theirs = hash_of(taken(read(tmp_path / "1"), 1))
    assert submission_hash(tmp_path / "1", 1) == theirs
    (tmp_path / "1/kern/frame.c").write_text("")
    assert submission_hash(tmp_path / "1", 1) != theirs


def test_a_compile_error_is_shown_as_what_it_is(tree: Callable[..., Tree]) -> None:
    """The student needs the compiler's line, not the grader's traceback."""
    student = tree()
    with (student.root / "kern/frame.c").open("a") as file:
        file.write("int broken(\n")
    text = student.grade()
    assert text.count("doesn't build") >= 6 and "kern/frame.c:" in text and "error:" in text
    assert "Traceback" not in text
    result = student.result()
    assert result["built"] is False and result["points"] == 0 and result["possible"] == 100


def test_two_gradings_of_one_tree_at_once(tree: Callable[..., Tree]) -> None:
    """Two terminals, one tree: both build, both grade, and neither sees the other."""
    student = tree()
    both = [student.start("EX=1.2") for _ in range(2)]
    for process in both:
        text = process.communicate(timeout=300)[0]
        assert process.returncode == 0 and re.search(r"20/20 +pass", text), text
    assert student.result()["points"] == 20
