# SPDX-License-Identifier: MIT
"""A failure, explained from what its machines left: what a student is shown, and a report keeps.

`judged` turns an exception into the one that says whose fault it was: a harness that lost its
machine because the kernel crashed has seen a crash; a machine that somebody outside killed says
nothing about the kernel. `explain` gathers what a person needs to see why.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path

from conf.qemu import VM_MAX
from grade.graded import crossings
from grade.graded.bench import Bench
from grade.harness.machine import FROM_OUTSIDE, Machine
from grade.harness.memory import Space
from grade.harness.verdict import Crashed, Infrastructure, TimedOut, Wrong

CROSSINGS = 10
_CONSOLE_LINES = 12
_DYING = 0.5  # seconds for a QEMU that a read has failed on to be gone
_LINE_LONGEST = 200
_MESSAGE_LONGEST = 2000
_WAITED = "\nwaited for the machine's end"
_STUB = re.compile(r"Lab \d+, exercise (\d+\.\d+): (.{1,60}?) is yours to write")
_STOPPED = re.compile(r"^(panic|fatal): .*(?:\n  e\w\w [^\n]*)?", re.MULTILINE)
_BACKTRACE = re.compile(r"^backtrace:\n((?:.+\n?)*)", re.MULTILINE)


@dataclass(frozen=True)
class Explanation:
    """What is known of a failure. Lists are in the order of time."""

    message: str
    expected: str = ""
    seen: str = ""
    crossings: list[str] = field(default_factory=list)
    console: list[str] = field(default_factory=list)
    backtrace: list[str] = field(default_factory=list)
    stub: str = ""  # the exercise whose stub was reached
    stub_text: str = ""  # what it said


def judged(error: Exception, bench: Bench) -> Exception:
    """The exception that says what `error` means, given how the machines ended."""
    if flood := bench.flooded():
        return TimedOut(flood)
    harness = not isinstance(error, (AssertionError, Crashed, TimedOut))
    patience = time.monotonic() + (_DYING if harness and bench.machines else 0.0)
    while True:
        for machine in (machine for machine in bench.machines if not machine.closed):
            status = machine.status()
            if status is not None and -status in FROM_OUTSIDE:
                return Infrastructure(f"something outside killed QEMU (signal {-status}): {error}")
            if status is not None and harness:
                return _end_of(machine, error)
        if time.monotonic() >= patience:
            return error
        time.sleep(0.01)


def _end_of(machine: Machine, error: Exception) -> Exception:
    """What a machine's end means to a harness that still wanted something of it."""
    try:
        machine.check()
    except (Crashed, Infrastructure) as end:
        return end
    return error


def explain(error: BaseException, bench: Bench | None) -> Explanation:
    """What is known of a test that ended with `error`: everything, or if what the machines left
    can't be read, as a hostile kernel may have arranged, what the error says."""
    try:
        return _explain(error, bench)
    except Exception as trouble:  # whatever it is, it must not end the grading
        text = f"{error}\n(no more can be told: {type(trouble).__name__})"
        return Explanation(message=printable(text, _MESSAGE_LONGEST))


def _explain(error: BaseException, bench: Bench | None) -> Explanation:
    machine = bench.machines[-1] if bench is not None and bench.machines else None
    text = machine.serial.text() if machine else ""
    everything = "\n".join(m.serial.text() for m in bench.machines) if bench else ""
    stub = _STUB.search(everything)
    wrong = error if isinstance(error, Wrong) else None
    return Explanation(
        message=printable(_message(error, text), _MESSAGE_LONGEST),
        expected=printable(wrong.expected) if wrong else "",
        seen=printable(wrong.seen) if wrong else "",
        crossings=_crossings(bench, machine) if bench and machine else [],
        console=[printable(line) for line in text.splitlines()[-_CONSOLE_LINES:]],
        backtrace=_backtrace(text, machine) if machine else [],
        stub=stub[1] if stub else "",
        stub_text=printable(stub[0]) if stub else "",
    )


def printable(text: str, longest: int = _LINE_LONGEST) -> str:
    """`text` without anything that a terminal or a page would obey."""
    clean = "".join(char if char.isprintable() or char in "\n\t" else "?" for char in text)
    return clean if len(clean) <= longest else clean[:longest] + " ..."


def _message(error: BaseException, console: str) -> str:
    if isinstance(error, Wrong):
        return error.what
    head = str(error).split("\n  last lines:")[0] or type(error).__name__
    if isinstance(error, Crashed) and (stopped := _STOPPED.search(console)):
        return f"{stopped[0]}\n{head.removesuffix(_WAITED)}"
    return head if isinstance(error, (AssertionError, Crashed, TimedOut, Infrastructure)) else (
        f"{type(error).__name__}: {head}"
    )


def _backtrace(console: str, machine: Machine) -> list[str]:
    """The kernel's own backtrace, with names from the kernel's symbols where it gave none."""
    found = _BACKTRACE.search(console)
    if found is None:
        return []
    symbols = crossings.Symbols(_kernel(machine))
    return [printable(_named(line.strip(), symbols)) for line in found[1].splitlines()[:20]]


def _named(line: str, symbols: crossings.Symbols) -> str:
    address = re.fullmatch(r"(?:0x)?([0-9a-f]{8})", line)
    return f"{line} {symbols.name(int(address[1], 16))}".strip() if address else line


def _crossings(bench: Bench, machine: Machine) -> list[str]:
    """The last crossings in words; the same one again and again is one line."""
    trace = bench.trace(machine)
    if trace is None:
        return []
    kernel = crossings.Symbols(_kernel(machine))
    guests = crossings.guests_of(machine.run.modules, machine.cwd or Path())
    owner = _owner(bench, machine)
    lines = (
        crossings.in_words(crossing, owner, kernel, guests)
        for crossing in crossings.last(trace, 5 * CROSSINGS)
    )
    grouped = [(line, len(list(group))) for line, group in groupby(lines)]
    return [
        printable(line if count == 1 else f"{line} ({count} times)")
        for line, count in grouped[-CROSSINGS:]
    ]


def _owner(bench: Bench, machine: Machine) -> Callable[[int], int | None]:
    """Whose address space a CR3 is, as its page of virtual registers says."""
    memory = bench.ram(machine)

    def owner(cr3: int) -> int | None:
        try:
            number = Space(memory, cr3).number() if memory else None
            return number if number is not None and number <= VM_MAX else None
        except ValueError:  # tables that point outside RAM
            return None

    return owner


def _kernel(machine: Machine) -> Path:
    return (machine.cwd or Path()) / machine.run.kernel
