# SPDX-License-Identifier: MIT
"""A machine with a supervisor, and somebody at its console.

    shell = Shell(lab, "vm httpd count=3", images=("httpd",))
    assert "no VM 17" in shell.run("stat 17")
"""

from __future__ import annotations

import re
import time

from conf.qemu import Module
from grade.harness.lab import Lab
from grade.harness.machine import Machine
from grade.harness.wire import Wire

PROMPT = "denali# "


class Shell:
    """A booted machine: VM 0 has run `script` (its lines), and its shell waits for a command.
    `images` are guest programs by name; `modules` come behind them."""

    def __init__(
        self,
        lab: Lab,
        script: str = "",
        images: tuple[str, ...] = (),
        modules: tuple[Module, ...] = (),
        args: str = "",
        options: str = "",
        memory: int = 256,
        wire: Wire | None = None,
        control: int | None = None,
        disk: str | None = None,
    ) -> None:
        self.machine: Machine = lab.boot(
            lab.guest("supervisor", args=args, words=("supervisor",)),
            lab.text("test.boot", script, ("script",)),
            *(lab.guest(name, words=("image",)) for name in images),
            *modules,
            options=options,
            memory=memory,
            wire=wire,
            control=control,
            disk=disk,
        )
        self.booted = self.machine.expect(rf"((?s:.*?))^{PROMPT}")[1]

    def type(self, keys: str) -> None:
        """Press keys."""
        self.machine.serial.send(keys)

    def run(self, line: str, seconds: float = 20.0) -> str:
        """Give a command and return what it answers, up to the next prompt; what the kernel says
        meanwhile is in it, too."""
        self.type(line + "\r")
        return self.answer(seconds)

    def answer(self, seconds: float = 20.0) -> str:
        """What comes behind the line that was typed, up to the next prompt."""
        return self.machine.expect(rf"\n((?s:.*?))^{PROMPT}", seconds)[1]

    def states(self, which: str = "all") -> dict[int, str]:
        """The state of each VM that `vms` lists."""
        rows = re.findall(r"^ *(\d+) ([a-z]+) +\d+K", self.run(f"vms {which}"), re.MULTILINE)
        return {int(number): state for number, state in rows}

    def wait_for(self, number: int, state: str, seconds: float = 20.0) -> None:
        """Ask until VM `number` is in `state`."""
        deadline = time.monotonic() + seconds
        while (found := self.states().get(number)) != state:
            assert time.monotonic() < deadline, f"VM {number} is {found}, not {state}"
            time.sleep(0.05)
