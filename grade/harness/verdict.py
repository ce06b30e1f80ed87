# SPDX-License-Identifier: MIT
"""What a test can end with, and the exceptions that say so.

A *failure* is the code under test doing the wrong thing: an assertion, a machine that sleeps for
ever (timeout), a panic or a triple fault (crash). An *infrastructure* error is the harness or its
surroundings not being able to judge; it is never a mark against the code, and never silent.
"""

from __future__ import annotations

from enum import Enum


class Verdict(Enum):
    """The five verdicts; the value is what a person reads."""

    PASS = "pass"
    FAIL = "fail"
    TIMEOUT = "timeout"
    CRASH = "crash"
    INFRASTRUCTURE = "infrastructure"


class TimedOut(Exception):
    """The machine had its time, of its own clock or of QEMU's CPU, and didn't get there."""


class Crashed(Exception):
    """The kernel panicked, or QEMU reset (triple fault) or died; carries the backtrace."""


class Infrastructure(Exception):
    """The harness can't judge: a tool, a right or the host's time is missing."""


_BY_TYPE: tuple[tuple[type[BaseException], Verdict], ...] = (
    (TimedOut, Verdict.TIMEOUT),
    (Crashed, Verdict.CRASH),
    (Infrastructure, Verdict.INFRASTRUCTURE),
)


def classify(error: BaseException) -> Verdict:
    """The verdict of a test that ended with `error`."""
    for kind, verdict in _BY_TYPE:
        if isinstance(error, kind):
            return verdict
    return Verdict.FAIL
