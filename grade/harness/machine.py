# SPDX-License-Identifier: MIT
"""One machine under test: QEMU, its console, its exit status, its memory.

    with Machine(Run(modules=(Module("build/user/hello"),), append=("when-done=exit",))) as machine:
        machine.serial.expect("vm 1: terminated, status 0")
        assert machine.wait() == EXIT_DONE

Sockets are in a temporary folder, the console's log in a folder that the caller gives and keeps.
The process is gone after `close`, which `with` calls, and whatever happens to the harness.
"""

from __future__ import annotations

import dataclasses
import re
import signal
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import cached_property
from pathlib import Path

from conf.qemu import EXIT_DONE, EXIT_PANIC, EXIT_RESET, Run, command, printable
from grade.harness.elf import Elf
from grade.harness.gdb import Gdb
from grade.harness.keeper import make_folder, remove_folder
from grade.harness.memory import KERNEL_BASE, Memory, Space
from grade.harness.process import end, start
from grade.harness.qmp import Qmp
from grade.harness.serial import PROMPT, Budget, Serial, echo
from grade.harness.verdict import Crashed, Infrastructure, TimedOut


def icount_options(shift: int = 0) -> tuple[str, ...]:
    """Instruction counting: one instruction is 2**`shift` virtual nanoseconds, halting takes no
    host time."""
    return ("-icount", f"shift={shift},sleep=off,align=off")


ICOUNT = icount_options()  # an instruction a nanosecond

LEAVING = 5.0  # seconds in which a QEMU that has closed its connections ends

EXIT_FATAL = 249  # the kernel left with 0x7c: it can't start as it was told to
_EXIT_QEMU = 1  # QEMU's own errors: a wrong option, a file that isn't there
# Signals that end a QEMU from outside: they say nothing about the code under test.
FROM_OUTSIDE = (signal.SIGKILL, signal.SIGTERM, signal.SIGINT, signal.SIGHUP)

_MEANING = {
    EXIT_DONE: "the kernel left: the last VM has ended",
    EXIT_PANIC: "the kernel panicked",
    EXIT_RESET: "the machine reset (triple fault)",
    EXIT_FATAL: "the kernel refused to start",
}


class Machine:
    """A running QEMU. `log` is the console's log file; `prefix` a command that runs QEMU (nsenter);
    `folder` where it runs, which names in `run` are relative to (None: the current one).

    `run`'s serial, qmp and gdb are replaced by the harness's own. `patience` is how long a wait
    lasts, in seconds of QEMU's CPU time, if it isn't told.
    """

    def __init__(
        self, run: Run, log: Path, prefix: Sequence[str] = (), folder: Path | None = None
    ) -> None:
        self.cwd = folder
        self.closed = False
        self.patience = 20.0
        self.trace: Path | None = None  # QEMU's record of crossings, where one is kept
        self._folder = make_folder()
        self.gdb_path = self._folder / "gdb"
        self.run = dataclasses.replace(
            run,
            serial="chardev:console",
            qmp=self._folder / "qmp",
            gdb=self.gdb_path,
            extra=(*_channels(run.memory), *run.extra),
        )
        line = [*prefix, *command(self.run)]
        self.command = printable(line)
        self.log = log
        log.parent.mkdir(parents=True, exist_ok=True)
        self._process = self._start(line)
        self.serial = Serial(log, self._process, self.command)
        self.serial.on_end = self._ended_early
        self.serial.asleep = self.halted

    def _start(self, line: Sequence[str]) -> subprocess.Popen[bytes]:
        with open(self.log, "wb") as out, open(self.log.with_suffix(".stderr"), "wb") as err:
            return start(line, stdin=subprocess.PIPE, stdout=out, stderr=err, cwd=self.cwd)

    def __enter__(self) -> Machine:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def pid(self) -> int:
        """QEMU's process id."""
        return self._process.pid

    @cached_property
    def qmp(self) -> Qmp:
        """The machine protocol, connected at first use."""
        return Qmp(self._folder / "qmp")

    @cached_property
    def memory(self) -> Memory:
        """RAM, mapped at first use."""
        self.qmp.command("query-status")  # answers when the machine has been made
        return Memory(self.pid, self.run.memory << 20)

    @cached_property
    def kernel(self) -> Elf:
        """The kernel's symbols."""
        return Elf((self.cwd or Path()) / self.run.kernel)

    def expect(self, pattern: str, seconds: float | None = None) -> re.Match[str]:
        """Wait for `pattern` on the console; see Serial.expect."""
        return self.serial.expect(pattern, seconds or self.patience)

    def expect_all(self, *patterns: str, seconds: float | None = None) -> None:
        """Wait for every pattern, anywhere on the console: VMs end in no certain order."""
        for pattern in patterns:
            self.serial.rewind()
            self.expect(pattern, seconds)

    def monitor(self, line: str, seconds: float = 20.0) -> str:
        """Type one line to the kernel's monitor and give back what it answers."""
        self.serial.send(line + "\r")
        return self.serial.expect(rf"{echo(line)}\n((?s:.*?))^{PROMPT}", seconds)[1]

    def gdb(self) -> Gdb:
        """Stop the machine and connect to its gdb stub; the caller detaches."""
        self.qmp.command("stop")
        return Gdb(self.gdb_path)

    def kernel_word(self, name: str) -> int:
        """The 32-bit word at the kernel's symbol `name`."""
        return self.memory.word(self.kernel.address(name) - KERNEL_BASE)

    def counter(self, name: str) -> int:
        """The kernel's counter `name`, without its prefix."""
        return self.kernel_word(f"counter_{name}")

    @contextmanager
    def stopped(self) -> Iterator[None]:
        """The machine stands still inside."""
        self.qmp.command("stop")
        try:
            yield
        finally:
            if self._process.poll() is None:
                self.qmp.command("cont")

    def spaces(self) -> dict[int, Space]:
        """The address space of every VM by number; stop the machine first. A number that two
        spaces claim is an error of the kernel (or of a guest that writes over its registers)."""
        cr3 = self.qmp.registers()["cr3"]
        found: dict[int, Space] = {}
        for space in self.memory.spaces(cr3):
            number = space.number()
            if number is not None:
                assert number not in found, f"two address spaces say that they are VM {number}"
                found[number] = space
        return found

    def wait(self, seconds: float | None = None) -> int:
        """Wait until QEMU ends and give back its exit status; a crash raises Crashed."""
        budget = Budget(self.pid, seconds or self.patience)
        while self._process.poll() is None:
            if spent := budget.spent():
                self.serial.give_up(f"waited for the machine's end: still on {spent}", budget)
            if self.serial.sleeps_on():
                self.serial.give_up("waited for the machine's end: it sleeps for ever (no timer is armed, and no device is at work)")
            time.sleep(0.005)
        self._check_crash(self.serial.report("waited for the machine's end"))
        return self._process.returncode

    def wait_crash(self, seconds: float | None = None) -> int:
        """Wait until QEMU ends in whatever way and give back its exit status."""
        try:
            return self.wait(seconds)
        except Crashed:
            return self._process.returncode

    def running(self) -> bool:
        """Whether QEMU still runs."""
        return self._process.poll() is None

    def status(self) -> int | None:
        """QEMU's exit status, negative if a signal ended it; None while it runs."""
        return self._process.poll()

    def check(self) -> None:
        """Raise Crashed if the machine has crashed meanwhile."""
        if not self.running():
            self._check_crash(self.serial.report("looked at the machine"))

    def kill(self) -> None:
        """Kill QEMU; whoever waits for the machine sees its end."""
        with suppress(ProcessLookupError):
            self._process.kill()

    def close(self) -> None:
        """Kill QEMU and remove its sockets; may be called twice."""
        self.closed = self.closed or self.running()
        for part in ("memory", "qmp"):
            if part in self.__dict__:
                self.__dict__.pop(part).close()
        end(self._process)
        remove_folder(self._folder)

    def halted(self) -> bool:
        """Whether the machine runs, and its CPU waits for an interrupt."""
        try:
            return self.running() and self.qmp.registers()["halted"] == 1
        except Infrastructure:
            if self._leaves():  # between the two questions: it was not halted
                return False
            raise

    def _leaves(self) -> bool:
        """Whether QEMU, which has closed a connection, is on its way out."""
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(LEAVING)
        return not self.running()

    def _check_crash(self, what: str) -> None:
        status = self._process.returncode
        if status == _EXIT_QEMU or -status in FROM_OUTSIDE:
            raise Infrastructure(f"{self._meaning(status)}\n{what}")
        if status != EXIT_DONE:
            raise Crashed(f"{self._meaning(status)}\n{what}")

    def _ended_early(self, what: str) -> None:
        self._check_crash(what)
        raise AssertionError(f"{what}\n  but {self._meaning(self._process.returncode)}")

    def _meaning(self, status: int) -> str:
        text = _MEANING.get(status, "QEMU ended")
        errors = self.log.with_suffix(".stderr").read_text(errors="replace").strip()
        return f"{text}, status {status}" + (f"; it said: {errors}" if errors else "")


def _channels(memory: int) -> tuple[str, ...]:
    """QEMU options for the harness's own doors: the console on standard input and output, RAM in a
    memfd. The machine that the kernel sees stays that of `make qemu`."""
    return (
        "-chardev",
        "stdio,id=console,signal=off",
        "-object",
        f"memory-backend-memfd,id=ram,size={memory}M,share=on",
        "-machine",
        "memory-backend=ram",
    )
