# SPDX-License-Identifier: MIT
"""More memory promised than there is: pages go out and come in, and every byte is right."""

from __future__ import annotations

import pytest

from conf.qemu import EXIT_DONE
from grade.harness.lab import Lab

# Fills its memory with words that no other VM has, then looks at all of them, again and again,
# sleeping in between; changes one page in three each time.
FILLER = """
#define BASE   0x100000u
#define PAGES  %(pages)du
#define ROUNDS %(rounds)du

static u32 word(u32 page, u32 round, u32 i)
{
	return (VREGS->number << 20 ^ page << 8 ^ round) * 2654435761u + i;
}

static int run(void)
{
	static u32 rounds[PAGES];

	for (u32 round = 1; round <= ROUNDS; round++) {
		for (u32 page = 0; page < PAGES; page++) {
			volatile u32 *at = (volatile u32 *)(BASE + page * 4096);

			for (u32 i = 0; i < 1024; i += 73) {
				u32 want = rounds[page] ? word(page, rounds[page], i) : 0;
				if (at[i] != want) {
					say_number("page ", page);
					say_number("word ", i);
					say_number("is ", at[i]);
					say_number("not ", want);
					return 1;
				}
			}
			if ((page + round) %% 3 == 0)
				continue;
			rounds[page] = round;
			for (u32 i = 0; i < 1024; i += 73)
				at[i] = word(page, round, i);
		}
		idle(now() + 20000000 + VREGS->number * 1000000);
	}
	say("filled\\n");
	return 0;
}
"""


def filler(pages: int, rounds: int) -> str:
    """The text of a guest."""
    return FILLER % {"pages": pages, "rounds": rounds}


def fill(lab: Lab, count: int, pages: int, rounds: int, memory: int, options: str, swap: int = 0) -> str:
    """Boot `count` fillers; all must end well. The console."""
    guest = lab.program(filler(pages, rounds), count=count, memory="4M")
    machine = lab.boot(guest, memory=memory, options=f"when-done=exit {options}", swap=swap)
    for number in range(1, count + 1):
        machine.serial.rewind()
        machine.expect(rf"^vm {number}: terminated, status 0", seconds=120)
    assert machine.wait() == EXIT_DONE
    return machine.serial.text()


@pytest.mark.quick
def test_more_is_promised_than_there_is(lab: Lab) -> None:
    """40 VMs of 2 MB in some 28 MB."""
    fill(lab, 40, 512, 4, 128, "swap=ram swap-ram=96M")


@pytest.mark.quick
def test_swap_disks(lab: Lab) -> None:
    """The same on real disks."""
    fill(lab, 40, 512, 4, 32, "", swap=2)
