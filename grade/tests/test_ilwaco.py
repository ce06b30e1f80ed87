# SPDX-License-Identifier: MIT
"""The library operating system, judged by a program that uses it."""

from __future__ import annotations

from conf.qemu import EXIT_DONE
from grade.harness.lab import Lab


def test_ilwaco_passes_its_own_tests(lab: Lab) -> None:
    """Heap, checksums, mutexes, conditions, sleep, requests, and the end: functions given to atexit
    run in order though they block and another thread ends meanwhile."""
    machine = lab.boot("selftest", options="when-done=exit")
    assert machine.wait(60.0) == EXIT_DONE
    lines = machine.serial.lines(1)
    assert lines[-1] == "selftest: 0 failed", lines
    assert "selftest: ok: functions given to atexit run, the last one first" in lines
