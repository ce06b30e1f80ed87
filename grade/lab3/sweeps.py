# SPDX-License-Identifier: MIT
"""The sweep of lab 3: the end of a disk's transfer, moved over what a guest executes, an instruction
from turn to turn (grade/lab3/race.h). Under instruction counting one instruction is a nanosecond,
and a disk in RAM keeps to its plan: every grading has the same meetings.
"""

from __future__ import annotations

from dataclasses import dataclass

from conf.qemu import Module
from grade.graded.bench import Bench
from grade.graded.crossings import told
from grade.harness.machine import Machine
from grade.harness.memory import PAGE
from grade.harness.verdict import holds
from grade.lab3.virqs import MASK, run_out, volume

TURNS = 3200
# Of the second transfer of a turn, and of the first: the kernel reads three blocks before. Behind the
# end of the first it takes some 3,000 instructions to get back to the guest. So the first turns'
# second ends come in the kernel still, and later ones on each instruction of the upcall.
PLAN = "11000ns,9000ns"
# What is posted while a handler runs comes with the next exit: none takes long.
QUANTUM = "100us"
BLOCKS = 8  # of the disk: four turns of two
_PRIME = 16777619

_GRADERS = """
#include "grade/lab3/race.h"

static i32
race_start(u32 block, void *page, u32 tag)
{
	return gate5(VI_DISK_READ, 0, block, (u32)page, tag, 0);
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
	u32 chain;

	VREGS->virq_handler = (u32)race_entry;
	VREGS->virq_enable = 1;
	chain = race_run(%(turns)uu, %(secret)uu);
	if (race_wrong)
		say_number(race_words[race_why], race_when);
	say_number("witness ", chain);
	gate(VI_NULL, chain, ~chain);
	return race_wrong != 0;
}
"""


@dataclass(frozen=True)
class Race:
    """A run of the guest, and what it has to come to: `turns` of two transfers, whose blocks hold
    `words`; the guest can't know them unless it reads them."""

    turns: int
    secret: int
    words: tuple[int, ...]

    @classmethod
    def draw(cls, bench: Bench, turns: int) -> Race:
        """One with a new secret, and new blocks."""
        words = tuple(bench.rng.getrandbits(32) for _ in range(BLOCKS))
        return cls(turns, bench.rng.getrandbits(32), words)

    def disk(self, bench: Bench) -> Module:
        """The disk that is read."""
        blocks = b"".join(word.to_bytes(4, "little").ljust(PAGE, b"\0") for word in self.words)
        return volume(bench, data=BLOCKS, fill={"data": blocks})

    def ilwaco(self, bench: Bench) -> Module:
        """The guest whose upcalls are Ilwaco's."""
        args = f"{self.turns} {self.secret}"
        return Module(bench.build / "grade/lab3/race", args=args, memory="1M", disks=("data",))

    def end(self) -> int:
        """The chain of a run in which every turn had two ends, and nothing was changed."""
        link = self.secret
        for turn in range(self.turns):
            first, second = self.words[2 * turn % BLOCKS], self.words[(2 * turn + 1) % BLOCKS]
            link = ((link ^ 2 * (turn + 1)) * _PRIME + first + 3 * second) & MASK
        return link

    def check(self, machine: Machine, where: str) -> None:
        """Assert that no event was lost or doubled, and no register, flag or word of the stack
        changed, by upcalls `where`."""
        said = f"[vm 1] witness {self.end()}"
        lines = [line for line in machine.serial.text().splitlines() if "vm 1" in line]
        what = f"{2 * self.turns} upcalls come {where}, each once, and nothing is changed by them"
        holds(said in lines, what, said, " / ".join(lines[-3:]) or "nothing on the console")
        holds(told(machine.trace, self.end()), "the guest itself has told so, at the gate",
              f"{self.end():#x} in ebx", "no such crossing")  # fmt: skip


def sweep(bench: Bench, kind: str, where: str) -> None:
    """Run the sweep, and check it: with the grader's own upcall handler ("grade"), or Ilwaco's
    ("ilwaco")."""
    race = Race.draw(bench, TURNS)
    if kind == "grade":
        words = {"turns": TURNS, "secret": race.secret}
        guest = bench.program(_GRADERS % words, memory="1M", disks=("data",))
    else:
        guest = race.ilwaco(bench)
    machine = bench.boot(
        guest,
        race.disk(bench),
        options=f"when-done=exit disk=ram ramdisk-plan={PLAN} quantum={QUANTUM}",
    )
    run_out(machine, 10)
    race.check(machine, where)
