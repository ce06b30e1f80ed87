# SPDX-License-Identifier: MIT
"""A witness: a guest that works through the whole test and proves it with a secret.

"Nothing bad happened" also holds when nobody ran. So a negative test boots a witness beside the
culprit: it chains a hash from a secret that the test draws, giving the CPU away now and then, and
prints the last link. Only a VM whose every instruction, register and page survived prints it.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field

from conf.qemu import Module
from grade.harness.lab import Lab
from grade.harness.machine import Machine

_SOURCE = """
static u32 table[8192];
static int
run(void)
{
	u32 h = %(secret)uu;

	for (u32 turn = 0; turn < %(turns)u; turn++) {
		for (u32 i = 0; i < 8192; i++) {
			h = h * 1664525 + 1013904223 + table[i];
			table[i] = h;
		}
		idle(now() + 1000000);
	}
	say_number("witness ", h);
	return 0;
}
"""


@dataclass
class Witness:
    """One secret, and what comes of it after `turns` turns of at least a millisecond each."""

    turns: int = 200
    secret: int = field(default_factory=lambda: secrets.randbits(32))

    def module(self, lab: Lab) -> Module:
        """The module to boot."""
        return lab.program(_SOURCE % {"secret": self.secret, "turns": self.turns})

    def expected(self) -> int:
        """The last link of the chain."""
        link, table = self.secret, [0] * 8192
        for _ in range(self.turns):
            for i, word in enumerate(table):
                link = (link * 1664525 + 1013904223 + word) & 0xFFFFFFFF
                table[i] = link
        return link

    def check(self, machine: Machine, vm: int) -> None:
        """Wait until VM `vm` has finished, and assert that it did all of its work."""
        machine.expect_all(
            rf"^\[vm {vm}\] witness {self.expected()}\n", rf"^vm {vm}: terminated, status 0$"
        )
