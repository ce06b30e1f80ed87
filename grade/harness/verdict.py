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


class Wrong(AssertionError):
    """The code under test did `what` wrong: what was `expected` of it, and what was `seen`."""

    def __init__(self, what: str, expected: str, seen: str) -> None:
        super().__init__(what, expected, seen)
        self.what, self.expected, self.seen = what, expected, seen

    def __str__(self) -> str:
        parts = [self.what]
        parts += [f"  expected: {self.expected}"] if self.expected else []
        parts += [f"  seen:     {self.seen}"] if self.seen else []
        return "\n".join(parts)


def same(what: str, seen: object, expected: object) -> None:
    """Wrong unless `seen` equals `expected`; `what` says in a student's words what they are."""
    __tracebackhide__ = True
    if seen != expected:
        at = _first_difference(seen, expected)
        place = f" (they part at [{at}])" if at is not None else ""
        raise Wrong(what + place, shown(expected, at or 0), shown(seen, at or 0))


def holds(condition: object, what: str, expected: object = "", seen: object = "") -> None:
    """Wrong unless `condition` is true; `what` is the claim."""
    __tracebackhide__ = True
    if not condition:
        raise Wrong(what, _plain(expected), _plain(seen))


_SEQUENCES = (list, tuple, bytes)
_AROUND = 4  # elements before the one that matters
_LONGEST = 300  # characters of a value that a person reads


def shown(value: object, at: int = 0) -> str:
    """`value` as a person compares it: large numbers in hexadecimal too, bytes in hexadecimal; of a
    long sequence what is around index `at`."""
    first = max(0, at - _AROUND)
    match value:
        case bool() | None | str():
            text = repr(value)
        case int():
            text = f"{value} ({value:#x})" if abs(value) > 999 else str(value)
        case bytes() | bytearray():
            text = f"{len(value)} bytes, from [{first}]: {value[first : first + 32].hex(' ')}"
        case list() | tuple():
            part = value[first : first + _AROUND * 3]
            text = ", ".join(["..."] * (first > 0) + [_item(item) for item in part])
            text = f"[{text}]" if first + len(part) == len(value) else f"[{text}, ...]"
            text += f", {len(value)} in all" if len(value) > len(part) else ""
        case _:
            text = repr(value)
    return text if len(text) <= _LONGEST else text[:_LONGEST] + " ..."


def _item(value: object) -> str:
    return hex(value) if isinstance(value, int) and abs(value) > 999 else shown(value)


def _plain(value: object) -> str:
    return value if isinstance(value, str) else shown(value)


def _first_difference(seen: object, expected: object) -> int | None:
    """Where two sequences part, as an index; None for anything else."""
    if not (isinstance(seen, _SEQUENCES) and isinstance(expected, _SEQUENCES)):
        return None
    same_place = (i for i, pair in enumerate(zip(seen, expected)) if pair[0] != pair[1])
    return next(same_place, min(len(seen), len(expected))) if len(expected) > 1 else None


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
