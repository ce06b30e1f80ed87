# SPDX-License-Identifier: MIT
"""The suite's plugin: verdicts, the conventions of a graded test, and the fixtures.

A test says what it is worth with the markers that gradescope-utils has made familiar (points,
number, visibility). Each test ends with one of five verdicts (grade/harness/verdict.py); all of
them go to the summary, and with --results=FILE to a JSON file that the controller writes, so that
nothing a machine under test prints can forge them.
"""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Callable, Generator, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from _pytest.runner import runtestprotocol

from grade.graded.bench import Bench, grading_key
from grade.harness.lab import Lab
from grade.harness.verdict import Verdict, classify

ROOT = Path(__file__).resolve().parent.parent

_MARKERS = (
    "points(n): what the test is worth in its lab",
    "number(text): the exercise that the test belongs to, such as 2.1",
    "rule(text, section, breakpoint): what a graded test checks, for who fails it",
    "visibility(text): visible, hidden or after_due_date",
    "quick: belongs to the edit loop (make check-quick)",
    "host: judges the project's tools, not what a compiler made",
    "course: proves more than make check has time for; in make check-all alone",
    "long: takes its time, or says little about a compiler; the second one's build has it in check-all alone",
)


def pytest_addoption(parser: pytest.Parser) -> None:
    """The suite's own options."""
    group = parser.getgroup("denali")
    group.addoption("--results", metavar="FILE", help="write verdicts to FILE as JSON")


def pytest_configure(config: pytest.Config) -> None:
    """Register the markers, and the collector of results in the controller."""
    _forget_make()
    for line in _MARKERS:
        config.addinivalue_line("markers", line)
    if not hasattr(config, "workerinput"):
        config.pluginmanager.register(Results(config), "denali-results")


def _forget_make() -> None:
    """Drop what the make that runs the tests exports: what a test builds is its own affair."""
    flags = os.environ.get("MAKEFLAGS", "").split()
    given = [word.partition("=")[0] for word in flags if "=" in word and not word.startswith("-")]
    for name in (*given, "MAKEFLAGS", "MFLAGS", "MAKEOVERRIDES", "MAKELEVEL"):
        os.environ.pop(name, None)


def pytest_runtest_protocol(item: pytest.Item, nextitem: pytest.Item | None) -> bool:
    """Run a test; once more if the harness could not judge, which says nothing about the code."""
    item.ihook.pytest_runtest_logstart(nodeid=item.nodeid, location=item.location)
    reports = runtestprotocol(item, log=False, nextitem=nextitem)
    if any(_verdict(report) == Verdict.INFRASTRUCTURE.value for report in reports):
        item._initrequest()  # type: ignore[attr-defined]  # new fixtures, as pytest itself does it
        item.stash[_FAILED] = False
        reports = runtestprotocol(item, log=False, nextitem=nextitem)
    for report in reports:
        item.ihook.pytest_runtest_logreport(report=report)
    item.ihook.pytest_runtest_logfinish(nodeid=item.nodeid, location=item.location)
    return True


def _verdict(report: pytest.TestReport) -> str:
    return str(dict(report.user_properties).get("verdict", "fail"))


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, Any, None]:
    """Note verdict and markers in the report: it then travels from worker to controller."""
    outcome = yield
    report = outcome.get_result()
    verdict = Verdict.PASS
    if report.failed and call.excinfo is not None:
        verdict = classify(call.excinfo.value)
        if verdict is not Verdict.FAIL:  # the message says all; a traceback would bury it
            report.longrepr = f"{verdict.value}: {call.excinfo.value}"
    notes: dict[str, object] = {"verdict": verdict.value}
    for name in ("points", "number", "visibility"):
        if mark := item.get_closest_marker(name):
            notes[name] = mark.args[0]
    report.user_properties = [*report.user_properties, *notes.items()]  # its own list, not the test's
    item.stash.setdefault(_FAILED, False)
    item.stash[_FAILED] |= bool(report.failed)


def pytest_report_teststatus(report: pytest.TestReport) -> tuple[str, str, str] | None:
    """Show timeout, crash and infrastructure as what they are, not as failures."""
    if not isinstance(report, pytest.TestReport) or not report.failed:
        return None
    verdict = _verdict(report)
    letter = {"fail": "F", "timeout": "T", "crash": "C", "infrastructure": "I"}[verdict]
    return "failed", letter, verdict.upper()


class Results:
    """Collects the verdict of every test, counts them, and writes them down."""

    def __init__(self, config: pytest.Config) -> None:
        self._path = config.getoption("--results")
        self._tests: dict[str, dict[str, Any]] = {}

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Keep the worst phase of each test."""
        entry = self._tests.setdefault(report.nodeid, {"verdict": "pass", "seconds": 0.0})
        entry["seconds"] = round(entry["seconds"] + report.duration, 3)
        notes = dict(report.user_properties)
        if report.skipped:
            notes["verdict"] = "skip"
        elif report.failed:
            notes.setdefault("verdict", "crash")  # it took its worker down
        if entry["verdict"] == "pass":
            entry.update(notes)

    def pytest_terminal_summary(self, terminalreporter: Any) -> None:
        """One line with the number of each verdict; the file."""
        counts = Counter(str(entry["verdict"]) for entry in self._tests.values())
        line = ", ".join(f"{count} {name}" for name, count in sorted(counts.items()))
        terminalreporter.write_line(f"verdicts: {line or 'none'}")
        if self._path:
            Path(self._path).parent.mkdir(parents=True, exist_ok=True)
            Path(self._path).write_text(json.dumps(self._tests, indent=1) + "\n")


_FAILED = pytest.StashKey[bool]()


@pytest.fixture
def lab(request: pytest.FixtureRequest) -> Iterator[Lab]:
    """Where a test makes its machines, wires and taps: all are gone when it ends. Logs of a test
    that passed are removed, those of one that failed stay in build/grade/logs."""
    build, logs = _places(request)
    with ExitStack() as stack:
        made = Lab(build, logs, stack)
        yield made
    if not request.node.stash.get(_FAILED, True):
        made.remove_logs()


@pytest.fixture
def bench(request: pytest.FixtureRequest) -> Iterator[Bench]:
    """The same for a graded test: grade/graded/bench.py."""
    build, logs = _places(request)
    with ExitStack() as stack:
        made = Bench(build, logs, stack, grading_key(), request.node.name)
        yield made
    if not request.node.stash.get(_FAILED, True):
        made.remove_logs()


def _places(request: pytest.FixtureRequest) -> tuple[Path, Path]:
    """What was built, and where this test's logs go."""
    os.chdir(ROOT)  # images are named relative to the project: no space in a path reaches QEMU
    build = Path(os.environ.get("DENALI_BUILD", "build"))
    logs = Path(os.environ.get("DENALI_LOGS", str(build / "grade/logs")))
    name = request.node.nodeid.rpartition("/")[2].replace("::", ".").replace("/", "_")
    return build, logs / _plain(name)


@pytest.fixture
def boot(lab: Lab) -> Callable[..., Any]:
    """`lab.boot`: starts a machine."""
    return lab.boot


def _plain(name: str) -> str:
    return "".join(char if char.isalnum() or char in "._-" else "_" for char in name)
