# SPDX-License-Identifier: MIT
"""The graders, graded: a mutant of each exercise loses points on a test of that exercise.

One for each exercise, the first by name; `make mutants` takes all of them, `make check-all` on both
compilers.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from labs.course import labs, load
from labs.mutants import Beds, Mutant, judge_mutant, mutants
from labs.stage import write_stage

ROOT = Path(__file__).resolve().parent.parent.parent
COMPILER = os.environ.get("DENALI_CC", "gcc")

pytestmark = pytest.mark.long
PER_EXERCISE = 4


def _run(*arguments: str) -> subprocess.CompletedProcess[str]:
    line = [sys.executable, str(ROOT / "labs/mutants.py"), *arguments, "--cc", COMPILER, "--jobs", "1"]
    clean = {k: v for k, v in os.environ.items() if not k.startswith(("MAKE", "MFLAGS", "DENALI_"))}
    return subprocess.run(line, env=clean, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("lab", labs())
def test_each_exercise_has_its_mutants(lab: int) -> None:
    """An exercise that nobody has tried to get wrong has tests that nobody has tried."""
    count = {exercise.number: 0 for exercise in load(lab).exercises if exercise.functions}
    for mutant in mutants(lab):
        count[mutant.exercise] += 1
    assert min(count.values()) >= PER_EXERCISE, count


@pytest.mark.parametrize("lab", labs())
def test_every_mutant_changes_the_reference(lab: int, tmp_path: Path) -> None:
    """A patch whose place is gone tests nothing; and nobody would know before the next full run."""
    write_stage(tmp_path / "tree", lab, ())
    for mutant in mutants(lab):
        line = ["patch", "-p1", "-s", "-F0", "--dry-run", "-i", str(mutant.patch)]
        done = subprocess.run(line, cwd=tmp_path / "tree", capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"{mutant.patch.name}: {done.stdout}"


def test_a_forger_has_no_points() -> None:
    """One of the five, with the instructor's grader; `make forgers` has them all, in all labs."""
    line = [sys.executable, str(ROOT / "labs/forgers.py"), "--lab", "1", "--only", "includes"]
    clean = {k: v for k, v in os.environ.items() if not k.startswith(("MAKE", "MFLAGS", "DENALI_"))}
    done = subprocess.run([*line, "--cc", COMPILER], env=clean, capture_output=True, text=True, check=False)
    assert done.returncode == 0 and "0 points 1 of 1" in done.stdout, done.stdout + done.stderr


@pytest.mark.parametrize("lab", labs())
def test_a_mutant_of_each_exercise_is_killed(lab: int) -> None:
    """A wrong solution that keeps its points teaches what is wrong."""
    done = _run("mutants", "--lab", str(lab), "--first")
    told = re.search(r"^killed (\d+) of (\d+)$", done.stdout, re.MULTILINE)
    assert done.returncode == 0 and told, done.stdout + done.stderr
    assert told[1] == told[2] and int(told[1]) == len({mutant.exercise for mutant in mutants(lab)})


def test_a_mutant_that_is_right_survives(tmp_path: Path) -> None:
    """The witness of the others: what changes nothing keeps its points, and is told."""
    patch = tmp_path / "1.6-is-right.patch"
    patch.write_text("# nothing is wrong with this one\n")
    source = (ROOT / "kern/backtrace.c").read_text()
    (tmp_path / "new.c").write_text(source + "\n/* nothing else */\n")
    line = ["diff", "-u", "--label", "a/kern/backtrace.c", "--label", "b/kern/backtrace.c"]
    line += [str(ROOT / "kern/backtrace.c"), str(tmp_path / "new.c")]
    changed = subprocess.run(line, capture_output=True, text=True, check=False).stdout
    patch.write_text(patch.read_text() + changed)
    right = Mutant(1, "1.6", "is-right", "nothing is wrong with this one", patch)
    outcome = judge_mutant(Beds(1, tmp_path / "beds", 1, COMPILER, ()), right)
    assert not outcome.good and "SURVIVES: nothing is wrong" in outcome.text
