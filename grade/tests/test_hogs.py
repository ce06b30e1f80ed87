# SPDX-License-Identifier: MIT
"""The isolation benchmark, in short: it measures what it says it does. How much a hog may cost is
for `make isolation` to say, on a machine that does nothing else."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from grade.bench.isolation import HOGS, Hog, Pair, Record, Result, Window
from grade.harness.lab import Lab
from grade.harness.verdict import Infrastructure

ROOT = Path(__file__).resolve().parents[2]
FLAGS = ["-O2", "-Wall", "-Wextra", "-Werror", f"-I{ROOT}"]


def _tools(folder: Path) -> Path:
    for name in ("zipf", "openloop", "flood"):
        source = ROOT / f"grade/bench/load/{name}.c"
        line = ["gcc", *FLAGS, "-o", str(folder / name), str(source), "-lm"]
        subprocess.run(line, check=True)
    return folder


def _measure(lab: Lab) -> dict[str, Any]:
    folder = lab.folder()
    report = folder / "isolation.json"
    line = ["/usr/bin/python3", str(ROOT / "grade/bench/isolation.py"), "--quick"]
    line += ["--build", str(lab.build), "--tools", str(_tools(folder)), "--report", str(report)]
    done = subprocess.run(line, capture_output=True, text=True, timeout=240)
    if done.returncode == 2:
        raise Infrastructure(done.stderr)
    assert done.returncode == 0, done.stdout + done.stderr
    return dict(json.loads(report.read_text()))


@pytest.mark.host
def test_each_hog_hogs_and_the_web_servers_go_on(lab: Lab) -> None:
    """All six run beside 16 web servers, take what they are there to take, and requests are answered
    meanwhile. No bound on how many: other tests share this machine."""
    report = _measure(lab)
    assert report["vms"] == 16 and report["rate_per_s"] > 0
    assert [hog["hog"] for hog in report["hogs"]] == [hog.name for hog in HOGS]
    for hog in report["hogs"]:
        assert not hog["failure"]
        assert hog["hogged"] and hog["console"], hog
        for window in (*hog["alone"], *hog["with_hog"]):
            assert window["requests"] >= report["rate_per_s"] * report["seconds"] - 1
            assert window["completed"] > 0
            parts = window["completed"] + window["late"] + window["failed"]
            assert parts == window["requests"]


@pytest.mark.quick
def test_a_loss_is_counted_in_requests() -> None:
    """The median over the rounds, each against the window before it."""
    hog = Hog("x", "things", 5, lambda a, b: b.sent - a.sent)
    result = Result(hog, 2.0)
    for alone, hogged, took in ((100, 80, 12), (100, 100, 11), (200, 190, 9)):
        with_hog = Window({"completed": hogged}, took)
        result.pairs.append(Pair(Window({"completed": alone}), with_hog))
    assert result.loss == pytest.approx(0.05)
    assert result.took == 9 and not result.hogged, "5 a second for 2 s are 10"
    assert hog.took(Record(0, 0, 3, 0, 0), Record(0, 0, 10, 0, 0)) == 7
