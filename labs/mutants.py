#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Grade the graders: wrong solutions have to lose points, right ones none.

    labs/mutants.py mutants [--lab N] [--only TEXT] [--first]   each loses points on a test of its exercise
    labs/mutants.py alternatives [--lab N] [--only TEXT]        each scores 100
    labs/mutants.py stages [--lab N]                            the solution scores 100, the skeleton 0

A mutant is labs/labN/mutants/EXERCISE-NAME.patch: a line `# what is wrong`, and a difference from the
reference that touches the exercise's functions. An alternative is labs/labN/alternatives/NAME/, files
in place of the reference's: right, but written differently. --first takes one mutant for each exercise.
Each is built in a stage's tree of its own and graded as a submission is; --jobs N at a time. The last
line counts: `killed K of N`. Ends with 1 unless all is as it has to be.
"""

from __future__ import annotations

import argparse
import queue
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from grade.graded.build import BuildError, messages, take  # noqa: E402
from grade.graded.grading import GraderError, grade_tree  # noqa: E402
from grade.graded.results import INFRASTRUCTURE, GradingResult  # noqa: E402
from grade.harness.keeper import make_folder, remove_folder  # noqa: E402
from labs.course import POINTS_PER_LAB, CourseError, labs, load  # noqa: E402
from labs.stage import every_exercise, write_stage  # noqa: E402


@dataclass(frozen=True)
class Mutant:
    """One wrong solution."""

    lab: int
    exercise: str
    name: str
    wrong: str  # in a line
    patch: Path


@dataclass(frozen=True)
class Outcome:
    """What became of one of them; `good` says whether it is what has to be."""

    good: bool
    text: str


def mutants(lab: int) -> list[Mutant]:
    """The mutants of a lab, by exercise and name; CourseError for one that says too little."""
    found = []
    for path in sorted((ROOT / f"labs/lab{lab}/mutants").glob("*.patch")):
        exercise, _, name = path.stem.partition("-")
        first = path.read_text().partition("\n")[0]
        load(lab).exercise(exercise)
        if not name or not first.startswith("# "):
            raise CourseError(f"{path}: named EXERCISE-NAME.patch, its first line `# what is wrong`")
        found.append(Mutant(lab, exercise, name, first.removeprefix("# "), path))
    return found


def alternatives(lab: int) -> list[Path]:
    """The folders of a lab's honest alternatives."""
    found = (ROOT / f"labs/lab{lab}/alternatives").glob("*")
    return sorted(path for path in found if path.is_dir())


class Bed:
    """A stage's tree that has been built, to be changed, graded, and put back."""

    def __init__(self, folder: Path, compiler: str, jobs: int) -> None:
        self.folder = folder
        self._compiler, self._jobs = compiler, jobs

    def build(self) -> None:
        """Build what a grading needs; BuildError with the compiler's messages."""
        line = ["make", "-s", f"-j{self._jobs}", "SETUP=no", "O=build", f"CC={self._compiler}", "graded"]
        done = subprocess.run(
            line,
            cwd=self.folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            check=False,
        )
        if done.returncode != 0:
            raise BuildError(messages(done.stdout))

    def grade(self, lab: int, exercises: list[str] | None, jobs: int) -> GradingResult:
        """Grade a copy of what was built."""
        copy = make_folder()
        try:
            take(self.folder / "build", copy)
            return grade_tree(copy, lab, exercises, jobs=jobs, compiler=self._compiler)
        finally:
            remove_folder(copy)

    @contextmanager
    def patched(self, patch: Path) -> Iterator[None]:
        """The tree with a patch applied inside; CourseError if it doesn't apply as it is."""
        line = ["patch", "-p1", "-s", "-F0", "--no-backup-if-mismatch", "-i", str(patch)]
        done = subprocess.run(line, cwd=self.folder, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise CourseError(f"{patch}: doesn't apply: {done.stdout.strip()} {done.stderr.strip()}")
        try:
            yield
        finally:
            subprocess.run([*line, "-R"], cwd=self.folder, capture_output=True, check=True)

    @contextmanager
    def replaced(self, folder: Path) -> Iterator[None]:
        """The tree with the files of `folder` in place of its own inside."""
        names = [path.relative_to(folder) for path in folder.rglob("*") if path.is_file()]
        before = {name: (self.folder / name).read_bytes() for name in names}
        for name in names:
            shutil.copyfile(folder / name, self.folder / name)
        try:
            yield
        finally:
            for name, content in before.items():
                (self.folder / name).write_bytes(content)


class Beds:
    """The beds of one lab, as many as there are workers, all copies of one that was built."""

    def __init__(self, lab: int, folder: Path, count: int, compiler: str, opened: tuple[str, ...]) -> None:
        first = Bed(folder / "0", compiler, count)
        write_stage(first.folder, lab, opened)
        first.build()
        self._free: queue.Queue[Bed] = queue.Queue()
        self._free.put(first)
        for number in range(1, count):
            shutil.copytree(first.folder, folder / str(number), symlinks=True)
            self._free.put(Bed(folder / str(number), compiler, 1))

    @contextmanager
    def one(self) -> Iterator[Bed]:
        """A bed that nobody else has."""
        bed = self._free.get()
        try:
            yield bed
        finally:
            self._free.put(bed)


def judge_mutant(beds: Beds, mutant: Mutant) -> Outcome:
    """Whether a mutant loses points on a test of its exercise."""
    title = f"{mutant.exercise} {mutant.name}"
    with beds.one() as bed:
        try:
            with bed.patched(mutant.patch):
                bed.build()
                result = bed.grade(mutant.lab, [mutant.exercise], jobs=1)
        except BuildError as error:
            return Outcome(False, f"{title}: DOESN'T BUILD\n{error}")
    lost = [test for test in result.tests if test.points < test.possible]
    judged = [test.name for test in lost if test.verdict != INFRASTRUCTURE]
    if judged:
        return Outcome(True, f"{title}: killed by {', '.join(judged)}")
    why = "no verdict" if lost else "SURVIVES"
    return Outcome(False, f"{title}: {why}: {mutant.wrong}")


def judge_alternative(beds: Beds, lab: int, folder: Path) -> Outcome:
    """Whether an honest alternative scores all points."""
    with beds.one() as bed:
        try:
            with bed.replaced(folder):
                bed.build()
                result = bed.grade(lab, None, jobs=2)
        except BuildError as error:
            return Outcome(False, f"lab {lab}, {folder.name}: DOESN'T BUILD\n{error}")
    return scored(result, f"lab {lab}, alternative {folder.name}", POINTS_PER_LAB)


def judge_stage(lab: int, compiler: str, opened: tuple[str, ...], wanted: int) -> Outcome:
    """Whether the solution, or the skeleton, scores what it has to."""
    folder = make_folder()
    try:
        beds = Beds(lab, folder, 1, compiler, opened)
        with beds.one() as bed:
            result = bed.grade(lab, None, jobs=2)
    except BuildError as error:
        return Outcome(False, f"lab {lab}: DOESN'T BUILD\n{error}")
    finally:
        remove_folder(folder)
    return scored(result, f"lab {lab}, {'skeleton' if opened else 'solution'}", wanted)


def scored(result: GradingResult, title: str, wanted: int) -> Outcome:
    """Whether a grading came to `wanted` points; what stands out, if not."""
    text = f"{title}: {result.points} of {result.possible}"
    if result.points == wanted and result.possible == POINTS_PER_LAB:
        return Outcome(True, text)
    odd = [t for t in result.tests if (t.points > 0) != (wanted > 0)]
    lines = [f"  {t.id}: {t.verdict}: {t.message}" for t in odd]
    return Outcome(False, "\n".join([f"{text}, NOT {wanted}", *lines]))


Job = Callable[[], Outcome]


def _call(job: Job) -> Outcome:
    return job()


def run(jobs: list[Job], workers: int) -> list[Outcome]:
    """Run jobs, some at a time; print each outcome as it comes."""
    outcomes = []
    with ThreadPoolExecutor(workers) as pool:
        for outcome in pool.map(_call, jobs):
            print(("ok    " if outcome.good else "WRONG ") + outcome.text, flush=True)
            outcomes.append(outcome)
    return outcomes


def run_lab(lab: int, arguments: argparse.Namespace) -> list[Outcome]:
    """All that was asked for of one lab."""
    if arguments.what == "stages":
        return [
            *run([partial(judge_stage, lab, arguments.cc, (), POINTS_PER_LAB)], 1),
            *run([partial(judge_stage, lab, arguments.cc, every_exercise(lab), 0)], 1),
        ]
    chosen = [m for m in mutants(lab) if arguments.only in f"{m.exercise}-{m.name}"]
    folders = [f for f in alternatives(lab) if arguments.only in f.name]
    if arguments.first:
        chosen = list({m.exercise: m for m in reversed(chosen)}.values())[::-1]
    if not (chosen if arguments.what == "mutants" else folders):
        return []
    folder = make_folder()
    try:
        workers = arguments.jobs if arguments.what == "mutants" else 1
        beds = Beds(lab, folder, workers, arguments.cc, ())
        jobs: list[Job] = [partial(judge_mutant, beds, mutant) for mutant in chosen]
        if arguments.what == "alternatives":
            jobs = [partial(judge_alternative, beds, lab, path) for path in folders]
        return run(jobs, workers)
    finally:
        remove_folder(folder)


def main(argv: list[str]) -> int:
    """Run the command line of the module's docstring."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("what", choices=("mutants", "alternatives", "stages"))
    parser.add_argument("--lab", type=int, choices=labs(), help="of this lab alone")
    parser.add_argument("--only", default="", help="those with this in their names, as in 1.2")
    parser.add_argument("--first", action="store_true", help="one mutant for each exercise")
    parser.add_argument("--cc", default="gcc")
    parser.add_argument("--jobs", type=int, default=2)
    arguments = parser.parse_args(argv[1:])
    outcomes: list[Outcome] = []
    try:
        for lab in [arguments.lab] if arguments.lab else labs():
            outcomes += run_lab(lab, arguments)
    except (CourseError, GraderError, BuildError) as error:
        print(f"labs/mutants.py: {error}", file=sys.stderr)
        return 2
    good = sum(outcome.good for outcome in outcomes)
    verb = {"mutants": "killed", "alternatives": "right", "stages": "right"}[arguments.what]
    print(f"{verb} {good} of {len(outcomes)}")
    return 0 if outcomes and good == len(outcomes) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv))
