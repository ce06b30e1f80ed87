# SPDX-License-Identifier: MIT
"""The labs' own graded tests: the reference has every point and the skeleton none, whatever else
the host does meanwhile."""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest

from grade.graded.grading import grade_tree
from grade.graded.report import next_exercise
from grade.graded.results import GradingResult
from labs.kernels import build_kernels
from labs.stage import every_exercise, write_stage

pytestmark = pytest.mark.long

LABS = (1, 2, 3)
COMPILER = os.environ.get("DENALI_CC", "gcc")


def _build(folder: Path, lab: int, open_exercises: tuple[str, ...]) -> Path:
    write_stage(folder, lab, open_exercises)
    line = ["make", "-s", "-j2", "SETUP=no", "WERROR=1", f"CC={COMPILER}", "O=build", "graded"]
    clean = {k: v for k, v in os.environ.items() if not k.startswith(("MAKE", "MFLAGS"))}
    result = subprocess.run(
        line, cwd=folder, env=clean, capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stdout + result.stderr
    return folder / "build"


@pytest.fixture(scope="module")
def kernels(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The kernels that lab 2's attack is judged by; the workers of a run share them."""
    base = tmp_path_factory.getbasetemp()
    shared = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base
    with open(shared / "kernels.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (shared / "kernels/index.json").exists():
            build_kernels(shared / "kernels")
    return shared / "kernels"


@pytest.fixture
def lab(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> int:
    """The lab's number; what its tests need besides its tree is there."""
    number = int(request.param)
    if number == 2:
        monkeypatch.setenv("DENALI_KERNELS", str(request.getfixturevalue("kernels")))
    return number


def _marks(result: GradingResult) -> dict[str, tuple[str, int]]:
    return {test.id: (test.verdict, test.points) for test in result.tests}


@contextmanager
def busy_cores() -> Iterator[None]:
    """Another process loads both cores."""
    spin = [sys.executable, "-c", "while True: pass"]
    busy = [subprocess.Popen(spin) for _ in range(2)]
    try:
        yield
    finally:
        for process in busy:
            process.kill()
            process.wait()


@pytest.mark.parametrize("lab", LABS, indirect=True)
def test_the_reference_has_every_point(lab: int, tmp_path: Path) -> None:
    """A test that a right solution fails teaches what is wrong."""
    build = _build(tmp_path / "tree", lab, ())
    result = grade_tree(build, lab, None, "beef", 2, compiler=COMPILER)
    assert result.points == result.possible == 100, [e.verdict for e in result.exercises]


BUSY = [pytest.param(n, marks=[pytest.mark.course] if n > 1 else []) for n in LABS]


@pytest.mark.parametrize("lab", BUSY, indirect=True)
def test_the_reference_has_every_point_also_twice_at_once_on_a_busy_host(
    lab: int, tmp_path: Path
) -> None:
    """Same code, three runs, three grades: that is what other graders were found to give."""
    build = _build(tmp_path / "tree", lab, ())
    alone = grade_tree(build, lab, None, "c0ffee", 2, compiler=COMPILER)
    assert alone.points == alone.possible == 100, [e.verdict for e in alone.exercises]
    with busy_cores(), ThreadPoolExecutor(2) as pool:
        both = list(
            pool.map(
                lambda key: grade_tree(build, lab, None, key, 1, compiler=COMPILER),
                ("c0ffee", "another".encode().hex()),
            )
        )
    for result in both:
        assert _marks(result) == _marks(alone)


@pytest.mark.parametrize("lab", LABS, indirect=True)
def test_the_skeleton_has_no_point_and_says_why(lab: int, tmp_path: Path) -> None:
    """Points for nothing are points for every forger; and a wall of crashes tells a student
    nothing."""
    build = _build(tmp_path / "tree", lab, tuple(every_exercise(lab)))
    result = grade_tree(build, lab, None, "c0ffee", 2, compiler=COMPILER)
    assert result.points == 0 and result.possible == 100
    waits = {e.verdict for e in result.exercises}
    assert all(v == "not written" or v.startswith("needs ") for v in waits), waits


@pytest.mark.course
@pytest.mark.parametrize("lab", LABS, indirect=True)
def test_who_follows_the_report_gains_at_each_step(lab: int, tmp_path: Path) -> None:
    """The report sends nobody to an exercise that can't be judged yet, nor in a circle; and what is
    right stays right when the next one is written."""
    missing, before = set(every_exercise(lab)) - set(every_exercise(lab - 1)), 0
    first = grade_tree(_build(tmp_path / "tree", lab, tuple(missing)), lab, None, "beef", 2, compiler=COMPILER)
    step = next_exercise(first)
    while step is not None:
        missing.remove(step.number)
        tree = tmp_path / f"tree{step.number}"
        result = grade_tree(_build(tree, lab, tuple(missing)), lab, None, "beef", 2, compiler=COMPILER)
        shutil.rmtree(tree)
        told = {e.number: (e.verdict, e.points) for e in result.exercises}
        assert result.points > before, f"after {step.number}: {told}"
        for exercise in result.exercises:
            waits = exercise.verdict == "not written" or exercise.verdict.startswith("needs ")
            waits |= exercise.number in missing and not exercise.functions  # no stub: a file
            assert waits or exercise.verdict in ("pass", "partly"), f"after {step.number}: {told}"
        print(step.number, told)
        before, step = result.points, next_exercise(result)
    assert not missing and before == 100
