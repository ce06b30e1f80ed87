# SPDX-License-Identifier: MIT
"""JUnit XML: a suite for each exercise, points as properties. An error is the grader's, a failure the
submission's."""

from __future__ import annotations

from xml.etree import ElementTree
from xml.etree.ElementTree import Element, SubElement

from grade.export.facts import notes, told
from grade.export.text import clean, line
from grade.graded.results import INFRASTRUCTURE, PASS, ExerciseResult, GradingResult, TestResult


def export(results: list[tuple[str, GradingResult]]) -> str:
    """One document with the suites of all results."""
    top = Element("testsuites", name="denali")
    for name, result in results:
        for exercise in result.exercises:
            _suite(top, name, result, exercise)
    ElementTree.indent(top)
    return ElementTree.tostring(top, encoding="unicode", xml_declaration=True) + "\n"


def _suite(top: Element, name: str, result: GradingResult, exercise: ExerciseResult) -> None:
    tests = result.tests_of(exercise.number)
    errors = sum(test.verdict == INFRASTRUCTURE for test in tests)
    failures = sum(test.verdict not in (PASS, INFRASTRUCTURE) for test in tests)
    suite = SubElement(
        top,
        "testsuite",
        name=f"{exercise.number} {exercise.title}",
        tests=str(len(tests) or 1),
        failures=str(failures if tests else 1),
        errors=str(errors),
        time=f"{sum(test.seconds for test in tests):.3f}",
        timestamp=result.started.partition("+")[0],
    )
    known = {
        "student": line(name),
        "lab": result.lab,
        "points": exercise.points,
        "possible": exercise.possible,
        "verdict": line(exercise.verdict),
        "submission": result.submission,
        "grader": result.grader,
        "key": result.key,
        "compiler": line(result.compiler),
        "qemu": line(result.qemu),
        "notes": "; ".join(notes(result)),
    }
    _properties(suite, known)
    for test in tests:
        _case(suite, test)
    if not tests:
        case = SubElement(suite, "testcase", classname=f"lab{result.lab}", name="it builds", time="0")
        _ended(case, "failure", exercise.verdict, exercise.verdict, result.build_output)


def _case(suite: Element, test: TestResult) -> None:
    place = test.id.partition("::")[0].removesuffix(".py").replace("/", ".")
    case = SubElement(
        suite, "testcase", classname=line(place), name=line(test.name), time=f"{test.seconds:.3f}"
    )
    _properties(case, {"points": test.points, "possible": test.possible})
    if test.verdict == PASS:
        return
    kind = "error" if test.verdict == INFRASTRUCTURE else "failure"
    _ended(case, kind, test.verdict, test.message or test.verdict, told(test))


def _properties(parent: Element, known: dict[str, object]) -> None:
    properties = SubElement(parent, "properties")
    for name, value in known.items():
        SubElement(properties, "property", name=name, value=str(value))


def _ended(case: Element, kind: str, verdict: str, message: str, text: str) -> None:
    ended = SubElement(case, kind, type=line(verdict), message=line(message, 300))
    ended.text = clean(text)
