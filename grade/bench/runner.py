# SPDX-License-Identifier: MIT
"""One boot of a machine for the benchmark, by the test harness's Machine."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from conf.qemu import Run
from grade.harness.keeper import make_folder, remove_folder
from grade.harness.machine import Machine
from grade.harness.verdict import Crashed, Infrastructure, TimedOut


class Failure(Exception):
    """A measurement that gave no figure, and why."""


# What can go wrong while a figure is taken; everything else is a bug of the benchmark.
FAILURES = (Failure, TimedOut, Crashed, Infrastructure)


@contextmanager
def boot(run: Run) -> Iterator[Machine]:
    """A machine that runs inside the `with`; its log is removed with it. A Failure inside gets what
    the machine has printed: a VM that has died is the first thing to look for."""
    folder = make_folder()
    try:
        with Machine(run, folder / "console") as machine:
            try:
                yield machine
            except Failure as failure:
                raise Failure(machine.serial.report(str(failure))) from None
    finally:
        remove_folder(folder)


def results(machine: Machine) -> list[dict[str, Any]]:
    """The JSON objects that the machine prints, one a line, before it leaves in good order."""
    machine.wait()
    found = re.findall(r"(\{\".*\})\s*$", machine.serial.text(), re.MULTILINE)
    if not found:
        raise Failure("no result on the console")
    return [dict(json.loads(line)) for line in found]
