# SPDX-License-Identifier: MIT
"""Fairness between senders: a flood costs the one that makes it, and delays others by turns.

Losses are counted in frames and delays in turns or in the machine's own time, never by the host's
clock.
"""

from __future__ import annotations

import struct
from pathlib import Path

import pytest

from conf.qemu import EXIT_DONE, Module
from grade.harness import packet
from grade.harness.entry import EntryMeter
from grade.harness.lab import Lab
from grade.harness.packet import vm_mac
from grade.harness.verdict import TimedOut
from grade.harness.wire import Wire
from grade.tests.test_switch import PRELUDE

# Targets of a flood, as C: a VM's number, or one that nobody has, whose frames leave the machine.
TARGETS = {"the outside": "60000", "the victim": "1", "each other": "next"}
QLEN = Path("/proc/sys/net/unix/max_dgram_qlen")
TX_RING = 64  # frames that may lie in the card's ring, in a fixed order


def _guest(lab: Lab, body: str, count: int = 1) -> Module:
    return lab.program(PRELUDE + "static int run(void) {" + body + "\n\treturn 0; }", count=count)


def _flood(lab: Lab, target: str, count: int, first: int) -> Module:
    """VMs `first` and up; they stop for nothing but a lack of packets."""
    body = f"""
	u32 next UNUSED = VREGS->number + 1 < {first + count} ? VREGS->number + 1 : {first};
	u32 sent = 0;
	make({target}, 0);
	if ({target} == 60000) /* not a VM's address, but the host's */
		frame[0] = 0x52;
	for (;;) {{
		if (send() == -E_AGAIN)
			idle(now() + 1000000);
		else
			sent++;
		while (gate(VI_PACKET_RECEIVE, (u32)room, sizeof room) >= 0)
			;
	}}
    """
    return _guest(lab, body, count)


def _echoes(wire: Wire, number: int, count: int) -> int:
    """How many of `count` datagrams to VM `number`, one after the other, come back."""
    came = 0
    for i in range(count):
        data = struct.pack(">I", i)
        wire.send(packet.udp_to_vm(number, 7, data))
        try:
            wire.wait(lambda f, d=data: f.kind == "udp" and f.data == d)  # type: ignore[misc]
            came += 1
        except TimedOut:
            pass
    return came


@pytest.mark.parametrize("count", [1, 10])
@pytest.mark.parametrize("target", TARGETS)
def test_the_outside_is_answered_through_a_flood(lab: Lab, target: str, count: int) -> None:
    """Whatever VMs flood, another's frames to and from the outside get through."""
    wire = lab.wire()
    wire.lenient = True
    machine = lab.boot(lab.guest("frames"), _flood(lab, TARGETS[target], count, 2), wire=wire)
    machine.expect(f"^vms 2 to {count + 1}: .* started")
    wire.echo(1, b"up")
    before = machine.counter("net_from_vm")
    assert _echoes(wire, 1, 60) >= 58
    assert machine.counter("net_from_vm") - before > 1000, "the flood was none"
    machine.check()


def test_the_card_is_shared_by_turns(lab: Lab) -> None:
    """Ten VMs have all their packets in front of a card that takes none. The frames that another VM
    sends then leave behind what lies in the ring, and one frame of each other for each of its own;
    in the order in which they came it would be behind all 640."""
    wire = lab.wire()
    wire.lenient = True
    count, own = 10, 5
    late = f"""
	idle(now() + 500000000);
	make(60000, 7);
	frame[0] = 0x52;
	for (u32 i = 0; i < {own}; i++)
		CHECK(send() == 0);
	say("sent\\n");
	idle(-1ull);
    """
    machine = lab.boot(_flood(lab, "60000", count, 1), _guest(lab, late), wire=wire)
    machine.expect(rf"^\[vm {count + 1}\] sent$")
    assert machine.counter("packets_used") > TX_RING + count * 32, "the flood was none"
    limit = TX_RING + int(QLEN.read_text()) + 2 + (count + 1) * (own + 1)
    senders = [frame[6:12].hex(":") for _ in range(limit) if (frame := wire.receive(20))]
    places = [i for i, sender in enumerate(senders) if sender == vm_mac(count + 1)]
    assert len(places) == own, f"{len(places)} of {own} within {limit} frames"
    gaps = [b - a for a, b in zip(places, places[1:])]
    assert max(gaps) <= count + 1, "more than a frame of each other lies between"
    machine.check()


@pytest.mark.parametrize("count", [2, 10])
def test_a_newcomer_finds_room_in_a_flooded_queue(lab: Lab, count: int) -> None:
    """A VM that doesn't fetch its frames is flooded; its queue still takes the frame of one that
    has none there."""
    receiver = f"""
	u32 from[{count + 3}] = {{0}};
	u64 end = now() + 200000000;
	while (now() < end)
		idle(end); /* each frame ends it */
	while (gate(VI_PACKET_RECEIVE, (u32)room, sizeof room) > 0)
		from[room[11]]++;
	CHECK(from[{count + 2}] == 1);
	for (u32 i = 2; i < {count + 2}; i++)
		CHECK(from[i] >= 1);
    """
    flood = """
	make(1, 0);
	for (u32 i = 0; i < 500; i++)
		send(); /* or it has as many under way as it may */
	idle(now() + 300000000);
    """
    late = "idle(now() + 100000000); make(1, 7); CHECK(send() == 0);"
    guests = [_guest(lab, receiver), _guest(lab, flood, count), _guest(lab, late)]
    machine = lab.boot(*guests, options="when-done=exit quantum=100us", icount=True)
    assert machine.wait() == EXIT_DONE
    machine.expect_all(*(f"^vm {k}: terminated, status 0" for k in range(1, count + 3)))


@pytest.mark.parametrize("count", [1, 10])
@pytest.mark.parametrize("target", ["the victim", "each other"])
def test_an_echo_between_vms_takes_two_rounds_at_most(lab: Lab, target: str, count: int) -> None:
    """In the machine's own time: VM 2 asks VM 1 while others flood; nothing is lost, and nothing
    waits longer than everybody's turn on the way there and back."""
    probe = f"""
	for (u32 i = 1; i <= 40; i++) {{
		u64 start = now();
		make(1, i);
		frame[37] = 7;
		CHECK(send() == 0);
		CHECK(receive(start + 2 * {count + 2} * 1000000) == 60);
		CHECK(*(u32 *)(room + 44) == i);
		idle(now() + 300000);
	}}
    """
    machine = lab.boot(
        lab.guest("frames"), _guest(lab, probe), _flood(lab, TARGETS[target], count, 3),
        options="quantum=1ms", icount=True,
    )  # fmt: skip
    machine.expect("^vm 2: terminated, status 0", seconds=60)
    assert machine.counter("net_from_vm") > 1000, "the flood was none"


def test_looking_through_a_full_queue_costs_no_long_entry(lab: Lab) -> None:
    """Who has many frames elsewhere is counted in the queue, frame by frame: here each of a list of
    long frames, in the longest queue."""
    deaf = "u64 end = now() + 100000000; while (now() < end) idle(end);"
    flood = """
	static u8 list[64][8];
	make(2, 0);
	for (u32 i = 0; i < 58; i++)
		send();
	make(1, 0);
	for (u32 i = 0; i < 64; i++)
		*(u32 *)list[i] = (u32)frame, *(u32 *)(list[i] + 4) = 1514;
	for (u32 i = 0; i < 400; i++)
		gate(VI_PACKET_SEND_V, (u32)list, 64);
    """
    meter = EntryMeter(lab.folder(), lab.build)
    machine = lab.boot(
        _guest(lab, deaf, 2), _guest(lab, flood, 20),
        options="when-done=exit quantum=100us", icount=True, extra=meter.options,
    )  # fmt: skip
    machine.wait(120)
    print(meter.read())
    meter.read().check()
