# SPDX-License-Identifier: MIT
"""Exercise 3.6: `vregs_refresh`, for made-up records and pages, and for a guest that scribbles."""

from __future__ import annotations

import struct
from dataclasses import replace

from grade.graded.bench import Bench
from grade.graded.calls import wide
from grade.graded.marks import exercise, points, rule
from grade.harness.verdict import same
from grade.lab3.virqs import RUNNING, Chain, Records, State, run_out, state_at

pytestmark = exercise("3.6")

SECTION = "lab3.html#exercise-3-6"
PAGE = 4096
ROUNDS = 24


@points(3)
@rule("Time, bits and packets at every entry; counters when a quantum is new; nothing else.", SECTION,
      "vregs_refresh")  # fmt: skip
def test_the_page_says_what_the_record_says(bench: Bench) -> None:
    """What isn't refreshed on one path is a clock that stands still there; what is written besides
    is a word of the kernel's."""
    records = Records(bench)
    calls, rng = records.calls, records.rng
    made = []
    for i in range(ROUNDS):
        vm = records.record(1 + i % 8)
        state = State(RUNNING, rng.getrandbits(5), rng.getrandbits(32), rng.getrandbits(32),
                      rng.getrandbits(32), 0, i % 2, rng.getrandbits(32), rng.getrandbits(32),
                      rng.getrandbits(16), rng.getrandbits(16))  # fmt: skip
        now, page = rng.getrandbits(64), rng.randbytes(PAGE)
        content = calls.data(page, align=PAGE)
        calls.call("driver_set_vregs", vm, content)
        records.set(vm, state)
        calls.call("vregs_refresh", vm, wide(now))
        made.append((state, now, page, content, records.get(vm)))
    results = calls.run()
    for state, now, page, content, after in made:
        words: dict[int, tuple[str, int]] = {
            0x20: ("time", now & 0xFFFFFFFF),
            0x24: ("time, the high word", now >> 32),
            0x14: ("virq_pending", state.pending),
            0x18: ("packets_waiting", state.queue_length),
        }
        if state.quanta_new:
            words |= {0x80: ("quanta", state.quanta), 0x84: ("virqs_posted", state.posted),
                      0x88: ("virqs_merged", state.merged), 0x8C: ("virqs_delivered", state.delivered),
                      0x90: ("packets_dropped", state.packets_dropped),
                      0x94: ("frames_used", state.frames)}  # fmt: skip
        found = results.read(content, PAGE)
        case = "at the start of a quantum" if state.quanta_new else "in mid-quantum"
        for at in range(0, PAGE, 4):
            seen = struct.unpack_from("<I", found, at)[0]
            name, wanted = words.get(at, (f"the word at {at:#x}", struct.unpack_from("<I", page, at)[0]))
            same(f"{name} {case}", f"{seen:#x}", f"{wanted:#x}")
        same("the record afterwards", state_at(results, after), replace(state, quanta_new=0))


_SCRIBBLE = """
static u8 copy[4096];

static void
work(void)
{
	volatile u8 *page = (volatile u8 *)VREGS;
	u64 last = now();
	u32 backwards = 0;

	for (u32 i = 0; i < 4096; i++)
		copy[i] = page[i];
	for (u32 turn = 0; turn < 200; turn++) {
		for (u32 i = 0; i < 4096; i++)
			page[i] = (u8)(turn * 37 + i);
		VREGS->virq_enable = 0;
		idle(turn % 8 ? 0 : last + 3000000);
		backwards += now() < last || now() > last + 1000000000;
		last = now();
	}
	link_in(backwards);
	link_in(VREGS->virq_pending);
	link_in(*(u32 *)(copy + 0x44));
	link_in(*(u32 *)(copy + 0x48));
}
"""


@points(2)
@rule("The page is output: what a guest writes there changes nothing for the kernel.", SECTION,
      "vregs_refresh")  # fmt: skip
def test_a_guest_may_scribble_over_its_registers(bench: Bench) -> None:
    """A kernel that reads its own words back from a guest believes whatever the guest says."""
    chains = [Chain.draw(bench.rng) for _ in range(2)]
    machine = bench.boot(
        *(chain.program(bench, _SCRIBBLE) for chain in chains), options="when-done=exit"
    )
    run_out(machine)
    for vm, chain in enumerate(chains, start=1):
        chain.check(machine, vm, [0, 0, vm, 1 << 20], "time goes on, whatever stands in the page")
