# SPDX-License-Identifier: MIT
"""The machine's serial console: a log file that QEMU appends to, and its standard input.

`expect` reads forward from where the last one ended. What it waits for is limited in QEMU's CPU
time; wall time counts three times as long, so that a loaded host doesn't change a verdict.
"""

from __future__ import annotations

import re
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

from grade.harness.process import cpu_seconds
from grade.harness.verdict import Infrastructure, TimedOut

WALL_PER_CPU = 3.0
_POLL = 0.005
_STILL_CPU = 0.05  # seconds: a halted QEMU uses a few ms of CPU now and then
_STILL_WALL = 15.0  # seconds: longer than any test's guest sleeps
PROMPT = "denali> "
_BEHIND_PROMPT = re.compile(rf"^{PROMPT}(?=(?:vm \d+|panic|denali):)", re.MULTILINE)
_TAIL = 25  # lines of the log that a failure shows


class Budget:
    """Time for one wait: `seconds` of QEMU's CPU time, or three times as much by the wall clock."""

    def __init__(self, pid: int, seconds: float) -> None:
        self._pid = pid
        self.seconds = seconds
        self._cpu = cpu_seconds(pid)
        self._wall = time.monotonic()
        self._seen = (self._cpu, self._wall)  # CPU time when it last moved, and when that was

    def spent(self) -> str | None:
        """None while there is time left, else which limit was reached."""
        cpu, wall = cpu_seconds(self._pid) - self._cpu, time.monotonic() - self._wall
        if cpu > self.seconds:
            return f"after {cpu:.1f} s of QEMU's CPU time"
        if wall > self.seconds * WALL_PER_CPU:
            return f"after {wall:.1f} s, of which QEMU used {cpu:.1f} s of CPU"
        return None

    def still(self) -> bool:
        """Whether QEMU has hardly used the CPU for so long that a sleeper would have woken."""
        cpu, wall = cpu_seconds(self._pid), time.monotonic()
        if cpu - self._seen[0] > _STILL_CPU:
            self._seen = (cpu, wall)
        return wall - self._seen[1] > _STILL_WALL

    def starved(self) -> bool:
        """Whether the host has given QEMU less than a third of the time that it could have used."""
        return cpu_seconds(self._pid) - self._cpu < self.seconds / 3


def is_half(match: re.Match[str]) -> bool:
    """Whether what matched may be half of a word or number, the other half of which is to come: one
    more letter or digit would be part of it, or forbid it."""
    text, start, end = match.string, match.start(), match.end()
    if start == end or end < len(text) or not text[-1].isalnum():
        return False
    longer = [match.re.search(text + more, start) for more in "0a"]
    return any(other is None or other.end() > end for other in longer)


def echo(line: str) -> str:
    """A pattern for the echo of what was typed: lines that come meanwhile may break it anywhere."""
    return r"(?:\n(?:.*\n)*?)?".join(map(re.escape, line))


class Serial:
    """Log and input of one machine's console.

    `on_end` raises what the machine's end means; `asleep` says whether the machine's CPU is halted;
    `sleeps_on` whether it is known that nothing will wake it.
    """

    def __init__(self, log: Path, process: subprocess.Popen[bytes], command: str) -> None:
        self.log = log
        self._process = process
        self._command = command
        self._place = 0
        self.sent = 0  # how often something was typed
        self.on_end: Callable[[str], None] = lambda what: None
        self.asleep: Callable[[], bool] = lambda: True
        self.sleeps_on: Callable[[], bool] = lambda: False

    def text(self) -> str:
        """Everything so far, without carriage returns; what the kernel says right behind the
        monitor's prompt is a line of its own."""
        text = self.log.read_bytes().decode("utf-8", "replace").replace("\r", "")
        return _BEHIND_PROMPT.sub(PROMPT + "\n", text)

    def send(self, text: str) -> None:
        """Type `text`."""
        assert self._process.stdin is not None
        self._process.stdin.write(text.encode())
        self._process.stdin.flush()
        self.sent += 1

    def rewind(self) -> None:
        """Let `expect` look at everything again."""
        self._place = 0

    def lines(self, vm: int) -> list[str]:
        """The lines that VM `vm` wrote, without their prefix."""
        prefix = f"[vm {vm}] "
        return [
            line.removeprefix(prefix)
            for line in self.text().splitlines()
            if line.startswith(prefix)
        ]

    def expect(self, pattern: str, seconds: float = 20.0) -> re.Match[str]:
        """Wait for a regular expression (multi-line mode) after the last match. One that ends in $
        waits for the line's end. Half a word or number, as the log may have it now, is no match
        as long as more may come."""
        budget = Budget(self._process.pid, seconds)
        whole_line = "(?=\n)" if pattern.endswith("$") else ""
        expression = re.compile(pattern + whole_line, re.MULTILINE)
        match = None
        while True:
            # Before the log is read, so that nothing is missed.
            ended = self._process.poll() is not None
            last = ended or (match and (budget.spent() or self._sleeps(budget)))
            match = expression.search(self.text(), self._place)
            if match and (last or not is_half(match)):
                self._place = match.end()
                return match
            what = f"waited on the console for {pattern!r}"
            if ended:
                self.on_end(self.report(what))
            if not match and (spent := budget.spent()):
                self.give_up(f"{what}: not there {spent}", budget)
            if not match and self._sleeps(budget):
                raise TimedOut(self.report(f"{what}: the machine sleeps, and nothing wakes it"))
            time.sleep(_POLL)

    def _sleeps(self, budget: Budget) -> bool:
        """Whether nothing more is to come, as far as can be told."""
        return self.sleeps_on() or (budget.still() and self.asleep())

    def report(self, what: str) -> str:
        """`what` and everything that a person needs to see why."""
        lines = self.text().splitlines()[-_TAIL:]
        shown = "\n".join(f"    | {line}" for line in lines)
        return f"{what}\n  last lines:\n{shown}\n  log: {self.log}\n  command: {self._command}"

    def give_up(self, what: str, budget: Budget | None = None) -> NoReturn:
        """Raise what the end of a wait means, with a spent `budget`: no CPU for a machine that
        wants some is the host's fault."""
        if budget and budget.starved() and not self.asleep():
            raise Infrastructure(self.report(f"{what}: the host gave QEMU too little CPU time"))
        raise TimedOut(self.report(what))
