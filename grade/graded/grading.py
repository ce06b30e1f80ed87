# SPDX-License-Identifier: MIT
"""Grade a tree that has been built: run its lab's tests, and add up what they found.

    result = grade_tree(Path("build"), 1, None, "c0ffee", jobs=2)

Nothing is printed, and nothing is read of the tree but what make built. The tests, and all that
they run with, are those beside this file. Every grading has temporary files of its own: any number
of them may run at once, of one tree too.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from grade.graded.bench import KEY
from grade.graded.results import (
    INFRASTRUCTURE,
    NEEDS,
    NO_BUILD,
    NOT_WRITTEN,
    PARTLY,
    PASS,
    ExerciseResult,
    GradingResult,
    TestResult,
)
from grade.graded.versions import ROOT, compiler_version, grader_version, qemu_version
from grade.harness.keeper import make_folder, remove_folder
from grade.harness.process import end, start
from labs.course import LabSpec, load

DEADLINE = 900.0  # seconds of wall-clock time for a whole grading: then what is missing is missing
_PYTHON = "/usr/bin/python3"  # the distribution's, as everywhere in the project
_POLL = 0.05
_COUNTED = ("crash", "timeout", "fail")

OnTest = Callable[[str, str], None]  # a test's id and verdict, as it ends


class GraderError(Exception):
    """The grader itself is wrong or can't run; says nothing about the submission."""


def grade_tree(
    build: Path,
    lab: int,
    exercises: Collection[str] | None = None,
    key: str = "0",
    jobs: int = 2,
    *,
    only: str = "",
    logs: Path | None = None,
    compiler: str = "gcc",
    on_test: OnTest | None = None,
    tests: Path | None = None,
    spec: LabSpec | None = None,
) -> GradingResult:
    """Grade what was built into `build` for lab `lab`, all of it or some `exercises`, or only the
    tests with `only` in their name. `key` is what secrets are drawn from. `logs` is where consoles'
    logs of failed tests are left (None: nowhere); `compiler` compiles the guests of the tests.
    `tests` and `spec` replace the lab's own. GraderError if the tests can't be run."""
    spec = spec or load(lab, ROOT)
    wanted = [e.number for e in spec.exercises if exercises is None or e.number in exercises]
    began, result = time.monotonic(), _empty(spec, key, compiler)
    with _folder() as folder:
        place = tests or ROOT / f"grade/lab{lab}"
        environment = _environment(build, key, compiler, folder)
        arguments = [f"--exercises={','.join(wanted)}", f"--only={only}", str(place)]
        if ROOT not in place.resolve().parents:  # pytest finds the suite's own by itself
            arguments += ["-p", "grade.conftest"]
        lines = _run(folder, arguments, environment, jobs, on_test)
        if time.monotonic() - began < DEADLINE / 2:
            lines += _again(folder, arguments, environment, lines)
        if logs is not None:
            _keep_logs(folder / "logs", logs)
    result.seconds = round(time.monotonic() - began, 1)
    result.complete = exercises is None and not only
    result.tests = _tests(lines)
    _add_up(result, spec, wanted, lines, only)
    return result


def not_built(
    lab: int, key: str, output: str, compiler: str, exercises: Collection[str] | None = None
) -> GradingResult:
    """The result of a tree that doesn't build: no points, and what the compiler said. `exercises`:
    those that were asked for (None: all)."""
    spec = load(lab, ROOT)
    result = _empty(spec, key, compiler)
    result.built, result.build_output = False, output
    numbers = [e.number for e in spec.exercises if exercises is None or e.number in exercises]
    result.exercises = [_exercise(spec, number) for number in numbers]
    result.complete = exercises is None
    for exercise in result.exercises:
        exercise.verdict = NO_BUILD
    return result


def _empty(spec: LabSpec, key: str, compiler: str) -> GradingResult:
    """A result that knows all but what was found."""
    return GradingResult(
        lab=spec.number,
        title=spec.title,
        key=key,
        grader=grader_version(spec.number),
        compiler=compiler_version(compiler),
        qemu=qemu_version(),
        started=datetime.now(timezone.utc).isoformat(timespec="seconds"),
    )


def _environment(build: Path, key: str, compiler: str, folder: Path) -> dict[str, str]:
    """What the tests' process is told; no plugin, option or package of this user's comes along."""
    return {
        **{name: text for name, text in os.environ.items() if not name.startswith("PYTEST_")},
        KEY: key,
        "DENALI_BUILD": str(build.resolve()),
        "DENALI_LOGS": str(folder / "logs"),
        "DENALI_CC": compiler,
        "PYTHONPATH": str(ROOT),
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONNOUSERSITE": "1",
        "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
    }


@contextmanager
def _folder() -> Iterator[Path]:
    folder = make_folder()
    try:
        yield folder
    finally:
        remove_folder(folder)


def _run(
    folder: Path,
    arguments: list[str],
    environment: dict[str, str],
    jobs: int,
    on_test: OnTest | None,
) -> list[dict[str, Any]]:
    """Run pytest; give back the lines that its controller wrote."""
    out, said = folder / "graded", folder / "said"
    line = [_PYTHON, "-m", "pytest", "-c", str(ROOT / "grade/pytest.ini")]
    line += ["--rootdir", str(ROOT / "grade"), "--confcutdir", str(ROOT / "grade")]
    line += ["-p", "xdist.plugin", "-p", "grade.graded.plugin", "-n", str(jobs), "-q"]
    line += [f"--graded={out}", *arguments]
    with open(said, "wb") as output:
        process = start(line, stdout=output, stderr=subprocess.STDOUT, environment=environment)
        try:
            _follow(process, out, on_test)
        finally:
            end(process)
    lines = _read(out)
    if errors := [line["error"] for line in lines if "error" in line]:
        raise GraderError("the tests can't be read:\n" + "\n".join(errors)[-3000:])
    if not any("table" in line for line in lines) or process.returncode in (3, 4):
        what = f"the tests can't be run (pytest ended with {process.returncode})"
        raise GraderError(f"{what}:\n{said.read_text(errors='replace')[-3000:]}")
    return lines


def _again(
    folder: Path, arguments: list[str], environment: dict[str, str], lines: list[dict[str, Any]]
) -> list[dict[str, Any]]:
    """Run what could not be judged once more, alone; what is still missing stays so."""
    ended = {line["test"]["id"]: line["test"]["verdict"] for line in lines if "test" in line}
    chosen = [entry["id"] for entry in _table(lines) if entry["chosen"]]
    lost = [name for name in chosen if ended.get(name, INFRASTRUCTURE) == INFRASTRUCTURE]
    if not lost:
        return []
    names = folder / "names"
    names.write_text("\n".join(lost))
    again = make_folder()
    try:
        later = _run(again, [*arguments, f"--ids={names}"], environment, 1, None)
    finally:
        remove_folder(again)
    return [line for line in later if "test" in line]


def _follow(process: subprocess.Popen[bytes], out: Path, on_test: OnTest | None) -> None:
    """Wait for the end, telling of each test as it ends."""
    deadline, told = time.monotonic() + DEADLINE, 0
    while process.poll() is None and time.monotonic() < deadline:
        time.sleep(_POLL)
        if on_test:
            ended = [line["test"] for line in _read(out) if "test" in line]
            for test in ended[told:]:
                on_test(test["id"], test["verdict"])
            told = len(ended)


def _read(out: Path) -> list[dict[str, Any]]:
    """The lines so far; the last may be half-written."""
    if not out.exists():
        return []
    whole = out.read_text().rpartition("\n")[0]
    return [json.loads(line) for line in whole.splitlines()]


def _keep_logs(source: Path, destination: Path) -> None:
    """Replace the logs of the last grading by those of this one."""
    fresh = destination.with_name(f"{destination.name}.{os.getpid()}")
    destination.parent.mkdir(parents=True, exist_ok=True)
    if source.exists():
        shutil.copytree(source, fresh)
    else:
        fresh.mkdir()
    shutil.rmtree(destination, ignore_errors=True)
    try:
        fresh.rename(destination)
    except OSError:  # another grading was quicker: its logs stay
        shutil.rmtree(fresh, ignore_errors=True)


def _table(lines: list[dict[str, Any]]) -> list[dict[str, Any]]:
    tables: list[list[dict[str, Any]]] = [line["table"] for line in lines if "table" in line]
    return tables[-1]


def _tests(lines: list[dict[str, Any]]) -> list[TestResult]:
    """The tests that were to run, in order, with how each ended."""
    ended = {line["test"]["id"]: line["test"] for line in lines if "test" in line}
    found = []
    for entry in (entry for entry in _table(lines) if entry["chosen"]):
        end = ended.get(entry["id"], {})
        found.append(_test(entry, end, end.get("explanation") or {}))
    return found


def _test(entry: dict[str, Any], end: dict[str, Any], told: dict[str, Any]) -> TestResult:
    verdict = str(end.get("verdict", INFRASTRUCTURE))
    missing = "" if end else "the grading was cut short before this test had ended"
    name = str(entry["name"])
    return TestResult(
        id=entry["id"],
        name=name,
        exercise=entry["exercise"],
        possible=entry["points"],
        points=entry["points"] if verdict == PASS else 0,
        verdict=verdict,
        seconds=float(end.get("seconds", 0.0)),
        why=entry["why"],
        rule=entry["rule"],
        section=entry["section"],
        breakpoint=entry["breakpoint"],
        message=told.get("message", missing),
        expected=told.get("expected", ""),
        seen=told.get("seen", ""),
        crossings=told.get("crossings", []),
        console=told.get("console", []),
        backtrace=told.get("backtrace", []),
        stub=told.get("stub", ""),
        stub_text=told.get("stub_text", ""),
        rerun=f"make grade T={_short(name)}",
        replay=f"make replay TEST={_short(name)}",
    )


def _short(name: str) -> str:
    """A test's name as an argument in a shell, without its case."""
    return name.partition("[")[0]


def _add_up(
    result: GradingResult,
    spec: LabSpec,
    wanted: list[str],
    lines: list[dict[str, Any]],
    only: str,
) -> None:
    """Check the table of points, then fill in the exercises."""
    numbers = [n for n in wanted if not only or result.tests_of(n)]
    if only and not numbers:
        raise GraderError(f"lab {spec.number} has no test like {only!r}")
    _check_table(spec, numbers, _table(lines))
    result.exercises = [_exercise(spec, number) for number in numbers]
    for exercise in result.exercises:
        tests = result.tests_of(exercise.number)
        exercise.tests = len(tests)
        exercise.passed = sum(test.verdict == PASS for test in tests)
        exercise.points = sum(test.points for test in tests)
        exercise.whole = exercise.possible == sum(test.possible for test in tests)
        exercise.possible = sum(test.possible for test in tests)
    for exercise in result.exercises:
        _judge(exercise, result)


def _check_table(spec: LabSpec, wanted: list[str], table: list[dict[str, Any]]) -> None:
    """GraderError unless the tests of each exercise add up to its points."""
    wrong = []
    for exercise in spec.exercises:
        worth = sum(entry["points"] for entry in table if entry["exercise"] == exercise.number)
        if exercise.number in wanted and worth != exercise.points:
            wrong.append(f"{exercise.number}: its tests are worth {worth}, not {exercise.points}")
    known = {exercise.number for exercise in spec.exercises}
    lost = [entry for entry in table if entry["exercise"] not in known]
    wrong += [f"{entry['id']}: no exercise {entry['exercise']!r}" for entry in lost]
    if wrong:
        raise GraderError("the table of points is wrong: " + "; ".join(wrong))


def _exercise(spec: LabSpec, number: str) -> ExerciseResult:
    exercise = spec.exercise(number)
    return ExerciseResult(
        number=number,
        title=exercise.title,
        file=exercise.file,
        functions=list(exercise.functions),
        section=exercise.section,
        hint=exercise.hint,
        needs=list(exercise.needs),
        possible=exercise.points,
    )


def _judge(exercise: ExerciseResult, result: GradingResult) -> None:
    """Say "not written" or "needs X" where that is why tests failed, then give the verdict."""
    tests = result.tests_of(exercise.number)
    missing = _missing(exercise, result)
    for test in tests:
        if test.verdict in _COUNTED:
            if test.stub == exercise.number:
                test.verdict = NOT_WRITTEN
            elif test.stub:
                test.verdict = NEEDS + test.stub
            elif missing and exercise.points == 0:
                test.verdict = NEEDS + missing
    exercise.verdict = _verdict([test.verdict for test in tests])


def _missing(exercise: ExerciseResult, result: GradingResult) -> str:
    """The first prerequisite that was graded too and scored nothing, or ""."""
    for other in result.exercises:
        if other.number in exercise.needs and other.points == 0:
            return other.number
    return ""


def _verdict(verdicts: list[str]) -> str:
    """One verdict for an exercise."""
    if all(verdict == PASS for verdict in verdicts):
        return PASS
    if INFRASTRUCTURE in verdicts:
        return INFRASTRUCTURE
    if PASS in verdicts:
        return PARTLY
    if NOT_WRITTEN in verdicts:
        return NOT_WRITTEN
    own = [verdict for verdict in verdicts if not verdict.startswith(NEEDS)]
    return (own or verdicts)[0]
