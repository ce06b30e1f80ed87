# SPDX-License-Identifier: MIT
"""The pytest plugin of a grading: loaded with -p beside grade/conftest.py.

The controller collects the tests itself and writes them down before any of them runs: the table of
points. A worker then only says how a test ended. So a test that takes its worker down has scored
nothing, and a test that was never run is seen to be missing. The file that --graded names has one
JSON object a line (grade/graded/grading.py reads it): what was written before a grading was cut
short is kept. Nothing that a submission runs in can reach that file.

    {"table": [{"id": ..., "exercise": ..., "points": ..., ...}, ...]}
    {"test": {"id": ..., "verdict": ..., "seconds": ..., ...}}        as each test ends
    {"error": "a file of tests that can't be read"}
    {"end": true}
"""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import IO, Any

import pytest

from grade.graded.bench import Bench
from grade.graded.explain import explain, judged

_WORST = ("pass", "fail", "timeout", "crash", "infrastructure")


def pytest_addoption(parser: pytest.Parser) -> None:
    """The grading's own options."""
    group = parser.getgroup("denali grading")
    group.addoption("--graded", metavar="FILE", help="write the table and the verdicts to FILE")
    group.addoption("--exercises", default="", help="grade only these: 1.2,1.4")
    group.addoption("--ids", default="", help="run only the tests that this file names, by id")
    group.addoption("--only", default="", help="run only the tests whose name has this in it")


def pytest_configure(config: pytest.Config) -> None:
    """Write in the controller alone."""
    if config.getoption("--graded") and not hasattr(config, "workerinput"):
        config.pluginmanager.register(Writer(Path(config.getoption("--graded"))), "denali-graded")


@pytest.hookimpl(tryfirst=True)
def pytest_collection(session: pytest.Session) -> None:
    """Collect in the controller too, which pytest-xdist leaves to its workers."""
    config = session.config
    if config.pluginmanager.hasplugin("dsession") and config.getoption("--graded"):
        session.perform_collect()


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Keep what --exercises, --only and --ids name."""
    wanted = [word for word in config.getoption("--exercises").split(",") if word]
    kept = [item for item in items if not wanted or _mark(item, "number") in wanted]
    kept = _named(kept, config.getoption("--only"))
    if config.getoption("--ids"):
        names = Path(config.getoption("--ids")).read_text().splitlines()
        kept = [item for item in kept if item.nodeid in names]
    if writer := config.pluginmanager.get_plugin("denali-graded"):
        writer.table(items, kept)
    items[:] = kept


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    """Call a graded test; what it raises becomes what it means."""
    funcargs: dict[str, Any] = pyfuncitem.funcargs
    bench = funcargs.get("bench")
    if not isinstance(bench, Bench):
        return None
    names = pyfuncitem._fixtureinfo.argnames
    try:
        pyfuncitem.obj(**{name: funcargs[name] for name in names})
    except Exception as error:
        meant = judged(error, bench)
        if meant is error:
            raise
        raise meant from error
    return True


@pytest.hookimpl(hookwrapper=True, tryfirst=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Any:
    """Add the explanation of a failure to its report, which travels to the controller."""
    outcome = yield
    report = outcome.get_result()
    if report.failed and call.excinfo is not None:
        funcargs: dict[str, Any] = getattr(item, "funcargs", {})
        bench = funcargs.get("bench")
        found = explain(call.excinfo.value, bench if isinstance(bench, Bench) else None)
        told = ("explanation", dataclasses.asdict(found))
        report.user_properties = [*report.user_properties, told]


class Writer:
    """The controller's side: the table at collection, then each test as it ends."""

    def __init__(self, path: Path) -> None:
        self._file: IO[str] = open(path, "w")  # closed at the session's end
        self._open: dict[str, dict[str, Any]] = {}

    def table(self, items: list[pytest.Item], kept: list[pytest.Item]) -> None:
        """Write down what there is to be had, and which of it this grading runs."""
        chosen = set(kept)
        self._line({"table": [_entry(item, item in chosen) for item in items]})

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        """Write down that a file of tests can't be read: then there is no table."""
        if report.failed:
            self._line({"error": f"{report.nodeid}: {report.longreprtext}"})

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Keep the worst phase of a test."""
        entry = self._open.setdefault(
            report.nodeid, {"id": report.nodeid, "verdict": "pass", "seconds": 0.0}
        )
        entry["seconds"] = round(entry["seconds"] + report.duration, 3)
        notes = dict(report.user_properties)
        verdict = "pass"
        if report.failed:  # without a note it took its worker down
            verdict = str(notes.get("verdict", "crash"))
        elif report.skipped:
            verdict = "infrastructure"
            notes["explanation"] = {"message": f"skipped: {report.longrepr}"}
        if _WORST.index(verdict) > _WORST.index(entry["verdict"]):
            entry["verdict"] = verdict
            entry["explanation"] = notes.get("explanation") or {"message": _first(report)}

    def pytest_runtest_logfinish(self, nodeid: str) -> None:
        """Write a test down when its last phase is there."""
        if entry := self._open.pop(nodeid, None):
            self._line({"test": entry})

    def pytest_sessionfinish(self) -> None:
        """Write down what a lost worker left, and that this is all."""
        for nodeid in list(self._open):
            self.pytest_runtest_logfinish(nodeid)
        self._line({"end": True})
        self._file.close()

    def _line(self, data: dict[str, Any]) -> None:
        self._file.write(json.dumps(data) + "\n")
        self._file.flush()


def _named(items: list[pytest.Item], only: str) -> list[pytest.Item]:
    """The tests called `only`; if there are none, those with it in their name."""
    only = only.removeprefix("grade/")
    exact = [item for item in items if only in _names(item)]
    return exact or [item for item in items if only in item.nodeid]


def _names(item: pytest.Item) -> set[str]:
    """What a test may be called: with its case and without, with its file and without."""
    return {part for text in (item.nodeid, item.name) for part in (text, text.partition("[")[0])}


def _entry(item: pytest.Item, chosen: bool) -> dict[str, Any]:
    rule = item.get_closest_marker("rule")
    doc = getattr(getattr(item, "obj", None), "__doc__", None) or ""
    return {
        "id": item.nodeid,
        "name": item.name,
        "exercise": str(_mark(item, "number")),
        "points": int(_mark(item, "points") or 0),
        "why": " ".join(doc.split()),
        "rule": str(rule.args[0]) if rule else "",
        "section": str(rule.kwargs.get("section", "")) if rule else "",
        "breakpoint": str(rule.kwargs.get("breakpoint", "")) if rule else "",
        "chosen": chosen,
    }


def _mark(item: pytest.Item, name: str) -> Any:
    mark = item.get_closest_marker(name)
    return mark.args[0] if mark else ""


def _first(report: pytest.TestReport) -> str:
    text = str(report.longrepr or "")
    return text.strip().splitlines()[0] if text.strip() else "it ended without a word"
