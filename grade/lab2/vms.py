# SPDX-License-Identifier: MIT
"""What the tests of lab 2 share: VMs in a table of calls (grade/driver/vms.h), and witnesses.

At stage 2 a guest can't wait, nor read the time: a witness computes, and is preempted. It chains a
hash from a secret and says with a line, and in its registers at the gate, what came of it.
"""

from __future__ import annotations

import random
import re
import struct
from collections.abc import Sequence
from dataclasses import dataclass

from conf.qemu import EXIT_DONE, Module
from grade.graded.bench import Bench
from grade.graded.calls import Address, Calls, Result, Results, Value
from grade.graded.crossings import told
from grade.harness.machine import Machine
from grade.harness.memory import KERNEL_BASE, PAGE
from grade.harness.verdict import holds, same

MB = 1 << 20
E_PERM, E_NOSYS, E_FAULT, E_NOMEM, E_IMAGE = -1, -2, -3, -7, -10
GUEST_LIMIT = 1 << 30
VREGS_BASE, IMAGE_BASE = 0x1000, 0x2000
ENTRIES = 1024  # of a directory, or a page table
KERNEL_FIRST = KERNEL_BASE >> 22  # entry of a directory
FREE, GUEST, VREGS_USE, DIRECTORY, TABLE = range(5)  # enum frame_use
P, W, U, IMAGE_PAGE = 1, 2, 4, 1 << 9
RIGHTS = P | W | U

RAM = 48  # MB of a machine for calls; the allocator is given what is above FIRST
FIRST, LAST = 24 * MB, RAM * MB


class Vms:
    """A kernel with an allocator of `frames` frames, all of them full of rubbish, in a table of
    calls; nothing else of it has come up."""

    def __init__(self, bench: Bench, frames: int) -> None:
        self.rng = bench.rng
        self.calls = Calls(bench, memory=RAM)
        call = self.calls.call
        call("driver_map")
        self.frames = frames
        first = FIRST + PAGE * self.rng.randrange(64)
        table = self.calls.data(4 * (LAST // PAGE), align=PAGE)
        ranges = self.calls.data(struct.pack("<QQ", first, first + frames * PAGE))
        call("frame_init", table, LAST, ranges, 1)
        call("driver_dirty", self.rng.getrandbits(32) | 1)

    def vm(self, number: int, memory: int = 16 * MB) -> Result:
        """A VM's record."""
        return self.calls.call("driver_vm", number, memory)

    def directory(self, vm: Value) -> Result:
        """vm->directory, at this moment."""
        return self.calls.call("driver_vm_directory", vm)

    def vregs(self, vm: Value) -> Result:
        """vm->vregs, at this moment."""
        return self.calls.call("driver_vm_vregs", vm)

    def count(self, use: int = FREE) -> Result:
        """frame_count[use], at this moment."""
        return self.calls.load(self.calls.address("frame_count") + 4 * use)

    def counts(self) -> list[Result]:
        """How many frames are in use for what a VM needs, and free."""
        return [self.count(use) for use in range(5)]

    def use(self, frame: Value) -> Result:
        """What a frame is used for, at this moment."""
        return self.calls.call("frame_use_of", frame)


def seen(results: Results, wanted: Sequence[Result]) -> list[int]:
    """The values of several calls."""
    return [results[one] for one in wanted]


_COUNTED = ("registers' pages", "page directories", "page tables", "guests' pages", "free frames")


def same_counts(when: str, counts: Sequence[int], expected: Sequence[int]) -> None:
    """Wrong unless Vms.counts gave what is expected; free frames are told last: they say least."""
    order = (2, 3, 4, 1, 0)
    for name, i in zip(_COUNTED, order):
        same(f"{name}, {when}", counts[i], expected[i])


def entries(results: Results, table: int) -> list[int]:
    """The entries of a directory or table, at a machine address."""
    return results.words(table + KERNEL_BASE, ENTRIES)


def words_of(content: bytes) -> list[int]:
    """Bytes as 32-bit words."""
    return list(struct.unpack(f"<{len(content) // 4}I", content))


# --- guests ---------------------------------------------------------------------

_WITNESS = """
static u32 table[4096];
static int
run(void)
{
	u32 h = %(secret)uu;

	for (u32 turn = 0; turn < %(turns)uu; turn++) {
		for (u32 i = 0; i < 4096; i++) {
			h = h * 1664525 + 1013904223 + table[i];
			table[i] = h;
		}
		h += (u32)gate(VI_NULL, h, turn);
	}
	say_number("witness ", h);
	gate(VI_NULL, h, ~h);
	return 0;
}
"""


@dataclass(frozen=True)
class Witness:
    """A secret, and what comes of it after `turns` turns of some 30,000 instructions each."""

    secret: int
    turns: int = 20

    @classmethod
    def draw(cls, rng: random.Random, turns: int = 20) -> Witness:
        """One with a new secret."""
        return cls(rng.getrandbits(32), turns)

    def last(self) -> int:
        """The last link of the chain."""
        link, table = self.secret, [0] * 4096
        for _ in range(self.turns):
            for i, word in enumerate(table):
                link = (link * 1664525 + 1013904223 + word) & 0xFFFFFFFF
                table[i] = link
            link = (link + E_NOSYS) & 0xFFFFFFFF
        return link

    def module(self, bench: Bench) -> Module:
        """The module to boot."""
        words = {"secret": self.secret, "turns": self.turns}
        return bench.program(_WITNESS % words, memory="1M")

    def check(self, machine: Machine, vm: int) -> None:
        """Assert that VM `vm`, of a machine that has ended, did all of its work."""
        text = machine.serial.text()
        said = f"[vm {vm}] witness {self.last()}"
        holds(said in text, f"VM {vm} computes, undisturbed, and says what came of it", said,
              _about(text, vm))  # fmt: skip
        holds(told(machine.trace, self.last()), f"VM {vm} itself has told so, at the gate",
              f"{self.last():#x} in ebx", "no such crossing")  # fmt: skip
        same(f"how VM {vm} ended", endings(machine).get(vm), "terminated, status 0")


def _about(text: str, vm: int) -> str:
    """What the console has of a VM."""
    lines = [line for line in text.splitlines() if f"vm {vm}]" in line or f"vm {vm}:" in line]
    return " / ".join(lines[-3:]) or "nothing of it on the console"


def endings(machine: Machine) -> dict[int, str]:
    """How each VM ended, by number."""
    found = re.findall(r"^vm (\d+): ((?:terminated|killed).*)$", machine.serial.text(), re.MULTILINE)
    return {int(vm): how for vm, how in found}


def run_out(machine: Machine, seconds: float = 20.0) -> None:
    """Wait until the last VM has ended (option when-done=exit)."""
    same("QEMU's exit status when the last VM has ended", machine.wait(seconds), EXIT_DONE)
