# SPDX-License-Identifier: MIT
"""Batching of virtual interrupts, the paper's figure 4: what a switch costs is shared by all the
packets that came in the meantime, if a packet doesn't demand one of its own."""

from __future__ import annotations

from grade.harness.accounts import wait_rest
from grade.harness.lab import Lab

VMS, FRAMES, AT_ONCE = 64, 300, 8

# A ring of VMs, each of which passes on what it receives: AT_ONCE frames for each are on their way,
# until everybody has sent FRAMES. Interrupts stay disabled: idle returns when there is something.
RING = r"""
static u8 out[60], in[FRAME_MAX];
static u32 sent;

static void address(u8 *mac, u8 *ip, u32 vm)
{
	mac[0] = 2, mac[1] = 0;
	for (u32 i = 0; i < 4; i++)
		mac[2 + i] = ip[i] = (u8)((0x0a010000 + vm) >> (24 - 8 * i));
}

static void pass_on(void)
{
	if (sent < %(frames)d)
		sent += gate(VI_PACKET_SEND, (u32)out, sizeof out) == 0;
}

static int run(void)
{
	u32 vm = VREGS->number;

	address(out, out + 30, vm %% %(vms)d + 1);
	address(out + 6, out + 26, vm);
	out[12] = 8, out[14] = 0x45;
	idle(100000000);
	for (u32 i = 0; i < %(at_once)d; i++)
		pass_on();
	while (upcalls == 0) { /* for ever */
		idle(IDLE_FOREVER);
		while (gate(VI_PACKET_RECEIVE, (u32)in, sizeof in) > 0)
			pass_on();
	}
	return 1;
}
"""


def _switches(lab: Lab, mode: str) -> float:
    """Switches of address spaces per 1,000 packets."""
    source = RING % {"vms": VMS, "frames": FRAMES, "at_once": AT_ONCE}
    ring = lab.program(source, count=VMS)
    machine = lab.boot(ring, options=f"interrupts={mode}", icount=True)
    machine.expect(f"^vms 1 to {VMS}")
    counters = wait_rest(machine)
    assert counters["net_queued"] == VMS * FRAMES, "a frame was lost"
    return 1000 * counters["switches"] / counters["net_queued"]


def test_batching_saves_switches(lab: Lab) -> None:
    """With 64 busy VMs the same packets cost several times as many switches when each is delivered
    at once; batched, one switch serves the packets that have come in the meantime."""
    batched, immediate = _switches(lab, "batched"), _switches(lab, "immediate")
    print(f"switches per 1,000 packets: {batched:.0f} batched, {immediate:.0f} immediate")
    assert batched < 300, f"{batched:.0f} switches per 1,000 packets"
    assert immediate > 3 * batched, f"{immediate:.0f} immediate, {batched:.0f} batched"
