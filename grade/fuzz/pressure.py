# SPDX-License-Identifier: MIT
"""Cases under pressure: less RAM than VMs that use and check all of theirs want (ballast.c), a swap
disk with a plan, policies at random, and somebody at the monitor who sends VMs and pages out, and shows, stops, ends and starts VMs.

What is drawn depends on the seed alone; when a line is typed depends on the host. A transfer that
fails may end any VM, the neighbours too, with the reason "swap: ...": then their chain isn't asked
for, all else is.
"""

from __future__ import annotations

import random
import re
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from grade.harness.machine import Machine

ROUNDS = 1500  # links of the referee's chain
_SWAP_MB = 24
_NEIGHBOURS = 4  # they are never ended from the monitor
_LINES = 4000
_AT_ONCE = 8  # lines that are typed before the monitor has done them
_PAUSE = 0.05  # s, between looks whether it has
_DONE = r"^  \d+ under way of"  # what "swap" says in the end
_PLANS = (
    "1us", "20us", "100us,3ms", "2ms,7us,40us", "50us,10us,1us,9ms", "300us,20us:eio,90us,4us,1ms",
)  # fmt: skip


@dataclass(frozen=True)
class Load:
    """The kernel's options, RAM in MB, who uses it, and what is typed."""

    options: str
    memory: int
    ballast: int  # VMs
    ballast_size: str
    commands: tuple[str, ...]


def _failures(rng: random.Random) -> str:
    places = [f"{rng.choice(('read', 'write'))}@{rng.randrange(1, 2000)}" for _ in range(8)]
    return f" swap-fail={','.join(places)}" if rng.random() < 0.4 else ""


def _options(rng: random.Random) -> str:
    words = {
        "swap": ("ram",),
        "swap-ram": (f"{_SWAP_MB}M",),
        "swap-plan": _PLANS,
        "swap-block": (4, 8, 16, 32, 64),
        "gate": ("fifo", "heat"),
        "replace": ("wsclock", "clock"),
        "back": ("touch", "touch", "all"),
        "share": ("on", "off"),
        "sched": ("rr", "plain", "turn"),
        "interrupts": ("batched", "immediate"),
        "wake-rate": ("off", "100,32"),
        "quantum": ("211us", "300us", "2ms"),
        "disk": ("ram",),
        "ramdisk-plan": ("100us", "10us,2ms:eio,50us", "1us", "3ms,7us:eio"),
    }
    chosen = " ".join(f"{name}={rng.choice(values)}" for name, values in words.items())
    return f"{chosen}{_failures(rng)} seed={rng.randbytes(32).hex()}"


def _command(rng: random.Random, last: int) -> str:
    anybody, case = rng.randint(1, last), rng.randint(_NEIGHBOURS + 1, last)
    return rng.choices(
        (f"out {anybody}", f"evict {anybody}", f"out {rng.randint(1, 4)}",
         f"evict {rng.randint(1, 4)}", f"vm {anybody}", f"stop {case}", f"kill {case}",
         f"start {case}", "mem", "gate", "check"),
        (30, 20, 6, 6, 3, 3, 6, 8, 1, 1, 1),
    )[0]  # fmt: skip


def draw(rng: random.Random, cases: int) -> Load:
    """A load for `cases` cases."""
    options = _options(rng)
    memory = _SWAP_MB + rng.choice((9, 11, 14))
    ballast, size = rng.choice(((2, "6M"), (4, "3M"), (12, "1M")))
    last = _NEIGHBOURS + cases + ballast
    lines = tuple(_command(rng, last) for _ in range(_LINES))
    return Load(options, memory, ballast, size, lines)


@contextmanager
def typing(machine: Machine, commands: Sequence[str]) -> Iterator[None]:
    """Somebody types the commands meanwhile, some at a time, until the last or the end."""
    done = threading.Event()

    def type_all() -> None:
        for turn in range(len(commands) // _AT_ONCE):
            some = commands[turn * _AT_ONCE : (turn + 1) * _AT_ONCE]
            try:
                machine.serial.send("".join(f"{command}\r" for command in (*some, "swap")))
            except OSError:  # the machine has ended; whoever waits for it says why
                return
            while len(re.findall(_DONE, machine.serial.text(), re.M)) <= turn:
                if done.wait(_PAUSE):
                    return

    thread = threading.Thread(target=type_all, daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()
