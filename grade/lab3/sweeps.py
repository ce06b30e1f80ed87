# SPDX-License-Identifier: MIT
"""The sweep of lab 3: the end of a disk's transfer, moved over what a guest executes, an instruction
from turn to turn (grade/lab3/race.h). Under instruction counting one instruction is a nanosecond,
and a disk in RAM keeps to its plan: every grading has the same meetings.
"""

from __future__ import annotations

from dataclasses import dataclass

from conf.qemu import Module
from grade.graded.bench import Bench
from grade.harness.machine import Machine
from grade.harness.verdict import holds
from grade.lab3.virqs import MASK, run_out, volume

TURNS = 3200
# Of the second transfer of a turn, and of the first: the kernel reads three blocks before. Behind the
# end of the first it takes some 3,000 instructions to get back to the guest. So the first turns'
# second ends come in the kernel still, and later ones on each instruction of the upcall.
PLAN = "11000ns,9000ns"
# What is posted while a handler runs comes with the next exit: none takes long.
QUANTUM = "100us"
_PRIME = 16777619

_GRADERS = """
#include "grade/lab3/race.h"

static char pages[2][4096] __attribute__((aligned(4096)));

static i32
race_start(u32 block, u32 tag)
{
	return gate5(VI_DISK_READ, 0, block, (u32)pages[block], tag, 0);
}

__attribute__((used)) static void
race_handler(void)
{
	race_note();
}

extern char race_entry[];
__asm__(".text\\n"
	".globl race_entry, race_handled, race_return\\n"
	"race_entry:\\n"
	"	pushl 0x1008\\n"
	"	pushl 0x100c\\n"
	"	pushal\\n"
	"	cld\\n"
	"	call race_handler\\n"
	"	popal\\n"
	"	popfl\\n"
	"	movl $1, 0x1000\\n"
	"	ret\\n");

static int
run(void)
{
	VREGS->virq_handler = (u32)race_entry;
	VREGS->virq_enable = 1;
	say_number("witness ", race_run(%(turns)uu, %(secret)uu));
	return race_wrong != 0;
}
"""


@dataclass(frozen=True)
class Swept:
    """A sweep that has ended, and what it has to have come to."""

    machine: Machine
    secret: int

    def expected(self) -> int:
        """The chain of a sweep in which every turn had two ends, and nothing was changed."""
        link = self.secret
        for turn in range(TURNS):
            link = ((link ^ 2 * (turn + 1)) * _PRIME) & MASK
        return link

    def check(self, where: str) -> None:
        """Assert that no event was lost or doubled, and no register, flag or word of the stack
        changed, by upcalls `where`."""
        said = f"[vm 1] witness {self.expected()}"
        lines = [line for line in self.machine.serial.text().splitlines() if "vm 1" in line]
        what = f"{2 * TURNS} upcalls come {where}, each once, and nothing is changed by them"
        holds(said in lines, what, said, " / ".join(lines[-3:]) or "nothing on the console")


def swept(bench: Bench, kind: str) -> Swept:
    """Run the sweep: with the grader's own upcall handler ("grade"), or Ilwaco's ("ilwaco")."""
    secret = bench.rng.getrandbits(32)
    if kind == "grade":
        words = {"turns": TURNS, "secret": secret}
        guest = bench.program(_GRADERS % words, memory="1M", disks=("data",))
    else:
        image = bench.build / "grade/lab3/race"
        guest = Module(image, args=f"{TURNS} {secret}", memory="1M", disks=("data",))
    machine = bench.boot(
        guest,
        volume(bench, data=8),
        options=f"when-done=exit disk=ram ramdisk-plan={PLAN} quantum={QUANTUM}",
        record=False,
    )
    run_out(machine, 10)
    return Swept(machine, secret)
