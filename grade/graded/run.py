#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""`make grade`: build this tree, grade it, and say what is there and what comes next.

    grade/graded/run.py --lab N [--build FOLDER] [--cc gcc] [--jobs 2] [--key HEX]
                        [--exercise 1.2[,1.4]] [--test 1.2|NAME] [--strict]

The result goes to FOLDER/grade/labN.json (grade/graded/README.md says what is in it), the logs of
machines whose tests failed to FOLDER/grade/logs/labN, a drawing for who has all points to
FOLDER/grade/labN.svg. Ends with 0 when the tree was graded, whatever the points (--strict: 1
unless all of them are there), with 2 when it could not be.
"""

from __future__ import annotations

import argparse
import os
import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT))

from grade.graded import build, submission, versions  # noqa: E402
from grade.graded.explain import printable  # noqa: E402
from grade.graded.grading import GraderError, grade_tree, not_built  # noqa: E402
from grade.graded.history import read_history, write_history  # noqa: E402
from grade.graded.keepsake import keepsake
from grade.graded.report import Style, report  # noqa: E402
from grade.graded.results import GradingResult, write_json  # noqa: E402
from grade.harness.keeper import make_folder, remove_folder  # noqa: E402
from labs.course import CourseError, labs, load  # noqa: E402

_NAMED = 4  # files that a warning names
_NUMBER = re.compile(r"\d+\.\d+")


def main(argv: list[str]) -> int:
    """Run the command line of the module's docstring."""
    arguments = _arguments(argv)
    try:
        if arguments.lab not in labs(ROOT):
            known = ", ".join(str(number) for number in labs(ROOT))
            raise GraderError(f"lab {arguments.lab} has no exercises here; LAB={known} have")
        spec = load(arguments.lab, ROOT)
        numbers, only = _selection(arguments)
        for number in numbers or ():
            spec.exercise(number)
        result = _grade(arguments, numbers, only)
    except (GraderError, CourseError) as error:
        print(f"make grade: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130
    return 1 if arguments.strict and result.points < result.possible else 0


def _grade(
    arguments: argparse.Namespace, numbers: list[str] | None, only: str
) -> GradingResult:
    """Build, grade, keep the result and print the report."""
    folder = Path(arguments.build)
    submitted = submission.submission_hash(ROOT, arguments.lab)
    key = arguments.key or submission.key_of(submitted, arguments.lab)
    progress = Progress()
    copy = make_folder()
    try:
        progress.say("building ...")
        build.build(build.plan(arguments.lab, folder), arguments.cc, arguments.jobs, copy)
        progress.say("grading ...")
        result = grade_tree(
            copy,
            arguments.lab,
            numbers,
            key,
            arguments.jobs,
            only=only,
            logs=ROOT / folder / f"grade/logs/lab{arguments.lab}",
            compiler=arguments.cc,
            on_test=progress.test,
        )
    except build.BuildError as error:
        text = printable(str(error), 20000)
        result = not_built(arguments.lab, key, text, arguments.cc, numbers)
    finally:
        remove_folder(copy)
        progress.clear()
    result.submission = submitted
    result.warnings = _warnings(result)
    _keep(ROOT / folder, result, every=numbers is not None or bool(only))
    return result


def _keep(folder: Path, result: GradingResult, every: bool) -> None:
    """Write the result down, print the report, remember it for the next."""
    history, logs = folder / "grade/history.json", folder / f"grade/logs/lab{result.lab}"
    with build.locked(folder):
        before = read_history(history)
        write_json(folder / f"grade/lab{result.lab}.json", result.to_json())
        sys.stdout.write(report(result, before, _style(), every, os.path.relpath(logs)))
        sys.stdout.flush()
        before.note(result)
        write_history(history, before)
        if result.complete and result.points == result.possible:
            drawing = folder / f"grade/lab{result.lab}.svg"
            drawing.write_text(keepsake(result, before.climb[str(result.lab)]), encoding="utf-8")
            print(f"   Your way up, to keep: {os.path.relpath(drawing)}")


def _warnings(result: GradingResult) -> list[str]:
    changed = submission.changed_staff_files(ROOT)
    names = ", ".join(changed[:_NAMED])
    names += f" and {len(changed) - _NAMED} more" if changed[_NAMED:] else ""
    lines = [f"you changed {names}; the course's grader uses its own"] if changed else []
    return lines + versions.tool_warnings(result.compiler, result.qemu)


def _selection(arguments: argparse.Namespace) -> tuple[list[str] | None, str]:
    """The exercises that were asked for (None: all), and the name of tests."""
    numbers = [word for word in arguments.exercise.split(",") if word]
    if _NUMBER.fullmatch(arguments.test):
        return [*numbers, arguments.test], ""
    return numbers or None, arguments.test


class Progress:
    """One line that says how far it is, on a terminal; nothing elsewhere."""

    def __init__(self) -> None:
        self._on = sys.stderr.isatty()
        self._ended = 0

    def say(self, text: str) -> None:
        """Replace the line."""
        if self._on:
            print(f"\r\x1b[K{text}", end="", file=sys.stderr, flush=True)

    def test(self, name: str, verdict: str) -> None:
        """A test has ended."""
        self._ended += 1
        self.say(f"grading ... {self._ended} done; {name.rpartition('::')[2]}: {verdict}"[:78])

    def clear(self) -> None:
        """Remove the line."""
        self.say("")


def _style() -> Style:
    terminal = sys.stdout.isatty() and os.environ.get("TERM", "dumb") != "dumb"
    utf8 = (sys.stdout.encoding or "").lower().replace("-", "") == "utf8"
    return Style(colour=terminal and "NO_COLOR" not in os.environ, blocks=terminal and utf8)


def _arguments(argv: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="grade/graded/run.py", description="grade this tree")
    parser.add_argument("--lab", type=int, required=True)
    parser.add_argument("--build", default="build")
    parser.add_argument("--cc", default="gcc")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--key", default="", type=_key)
    parser.add_argument("--exercise", default="")
    parser.add_argument("--test", default="")
    parser.add_argument("--strict", action="store_true")
    return parser.parse_args(argv[1:])


def _key(text: str) -> str:
    if text and not re.fullmatch(r"[0-9a-f]{1,64}", text):
        raise argparse.ArgumentTypeError("a key is hexadecimal, as in KEY=c0ffee")
    return text


if __name__ == "__main__":
    sys.exit(main(sys.argv))
