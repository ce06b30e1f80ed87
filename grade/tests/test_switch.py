# SPDX-License-Identifier: MIT
"""The virtual switch between VMs: who may send what, and who may see it.

The guests here are bare: they send and receive Ethernet frames through the gate.
"""

from __future__ import annotations

import pytest

from conf.qemu import EXIT_DONE, Module
from grade.harness import packet
from grade.harness.lab import Lab
from grade.harness.packet import vm_mac

# Frames as a guest makes them: `make` builds UDP from this VM to VM `to`.
PRELUDE = """
static u8 frame[1600], room[1600];
static UNUSED void address(u8 *mac, u8 *ip, u32 vm)
{
	static const u8 head[] = {2, 0, 10, 1};
	for (u32 i = 0; i < 4; i++)
		mac[i] = head[i];
	mac[4] = (u8)(vm >> 8), mac[5] = (u8)vm;
	ip[0] = 10, ip[1] = 1, ip[2] = (u8)(vm >> 8), ip[3] = (u8)vm;
}
static UNUSED void make(u32 to, u32 tag)
{
	address(frame, frame + 30, to);
	address(frame + 6, frame + 26, VREGS->number);
	frame[12] = 8, frame[13] = 0, frame[14] = 0x45, frame[17] = 46, frame[23] = 17;
	*(u32 *)(frame + 44) = tag;
}
static UNUSED i32 send(void) { return gate(VI_PACKET_SEND, (u32)frame, 60); }
static UNUSED i32 receive(u64 deadline)
{
	i32 got;
	while ((got = gate(VI_PACKET_RECEIVE, (u32)room, sizeof room)) == -E_AGAIN)
		if (idle(deadline) & VIRQ_TIMER && now() >= deadline)
			return -E_AGAIN;
	return got;
}
"""

LISTEN = """
	i32 got = receive(now() + 400000000);
	if (got == -E_AGAIN)
		return 0;
	say_number("heard ", *(u32 *)(room + 44));
	return got;
"""


def _guest(lab: Lab, body: str, count: int = 1) -> Module:
    return lab.program(PRELUDE + "static int run(void) {" + body + "\n\treturn 0; }", count=count)


@pytest.mark.quick
def test_frame_reaches_its_receiver_alone(lab: Lab) -> None:
    """Unicast that a third VM sees is a wire-tap."""
    send = "idle(now() + 50000000); make(2, 4711); CHECK(send() == 0);"
    machine = lab.boot(_guest(lab, send), _guest(lab, LISTEN, count=2), options="when-done=exit")
    assert machine.wait() == EXIT_DONE
    assert machine.serial.lines(2) == ["heard 4711"]
    assert "vm 2: terminated, status 60" in machine.serial.text()
    assert "vm 3: terminated, status 0" in machine.serial.text()


FORGERIES = {
    "another's Ethernet address": "frame[11] = 2;",
    "another's IPv4 address": "frame[29] = 2;",
    "the gateway's IPv4 address": "frame[27] = 0; frame[29] = 1;",
    "no address at all": "frame[26] = frame[27] = frame[29] = 0;",
    "a broadcast address as sender": "for (u32 i = 6; i < 12; i++) frame[i] = 255;",
    "IPv6": "frame[12] = 0x86; frame[13] = 0xdd;",
    "a VLAN tag": "frame[12] = 0x81; frame[13] = 0;",
    "an unknown protocol": "frame[12] = 0x88; frame[13] = 0xcc;",
    "IPv4 with another version": "frame[14] = 0x65;",
    "ARP for another": "frame[12] = 8; frame[13] = 6; frame[15] = 1; frame[14] = 0; frame[16] = 8;"
    "frame[17] = 0; frame[18] = 6; frame[19] = 4; frame[20] = 0; frame[21] = 2;"
    "address(frame + 22, frame + 28, 2);",
}


@pytest.mark.parametrize("lie", FORGERIES)
def test_sender_cannot_be_forged(lab: Lab, lie: str) -> None:
    """Names are addresses here: a VM that can send as another is that other. The forged frame is
    refused with an error, nobody hears it, and the next honest frame arrives."""
    send = f"""
	idle(now() + 50000000);
	make(3, 1);
	{FORGERIES[lie]}
	CHECK(send() == -E_ADDR);
	for (u32 i = 0; i < 60; i++)
		frame[i] = 0;
	make(3, 2);
	CHECK(send() == 0);
    """
    wire = lab.wire()
    idle = "idle(now() + 300000000);"
    guests = (_guest(lab, send), _guest(lab, idle), _guest(lab, LISTEN))
    machine = lab.boot(*guests, wire=wire, options="when-done=exit")
    assert machine.wait() == EXIT_DONE
    assert machine.serial.lines(3) == ["heard 2"]
    assert "vm 1: terminated, status 0" in machine.serial.text()
    assert not wire.drain(0.1)


def test_short_ipv4_header_is_not_read_past_its_end(lab: Lab) -> None:
    """A frame of 14 to 33 bytes has no source address: what stands behind it in the buffer is
    another frame's, and must not vouch for this one."""
    send = """
	make(2, 1);
	for (u32 length = FRAME_MIN; length < 34; length++)
		CHECK(gate(VI_PACKET_SEND, (u32)frame, length) == -E_ADDR);
	CHECK(gate(VI_PACKET_SEND, (u32)frame, 34) == 0);
    """
    machine = lab.boot(_guest(lab, send), options="when-done=exit")
    machine.expect("^vm 1: terminated, status 0")


def test_vm_finds_its_neighbour_by_arp(lab: Lab) -> None:
    """The switch answers a VM's request itself, and wakes nobody for it."""
    ask = """
	static const u8 head[] = {8, 6, 0, 1, 8, 0, 6, 4, 0, 1};
	for (u32 i = 0; i < 6; i++)
		frame[i] = 255;
	for (u32 i = 0; i < 10; i++)
		frame[12 + i] = head[i];
	u8 ip[4];
	address(frame + 6, ip, 1);
	address(frame + 22, frame + 28, 1);
	address(room, frame + 38, 2);
	CHECK(gate(VI_PACKET_SEND, (u32)frame, 42) == 0);
	CHECK(receive(now() + 400000000) >= 42);
	u8 mac[6];
	address(mac, ip, 2);
	for (u32 i = 0; i < 6; i++)
		CHECK(room[6 + i] == mac[i] && room[22 + i] == mac[i] && room[i] == frame[6 + i]);
	CHECK(room[21] == 2 && room[31] == 2);
    """
    machine = lab.boot(_guest(lab, ask), _guest(lab, LISTEN), options="when-done=exit")
    assert machine.wait() == EXIT_DONE
    assert machine.serial.text().count("terminated, status 0") == 2


def test_vm_reaches_the_wire_with_its_own_address(lab: Lab) -> None:
    """What isn't for a VM goes out, unchanged, and only that."""
    send = """
	idle(now() + 20000000);
	make(2, 1);
	CHECK(send() == 0);
	frame[0] = 0x52, frame[1] = 0x54, frame[2] = 0, frame[30] = 10, frame[31] = 0;
	*(u32 *)(frame + 44) = 0x64636261;
	CHECK(send() == 0);
    """
    wire = lab.wire()
    machine = lab.boot(_guest(lab, send), _guest(lab, LISTEN), wire=wire)
    machine.expect("^vm 1: terminated, status 0")
    raw = wire.receive()
    assert raw is not None and raw[6:12] == packet.mac_bytes(vm_mac(1))
    assert raw[44:48] == b"abcd" and len(raw) == 60
    assert wire.receive(0.2) is None, "a frame between VMs left the machine"


def test_padding_holds_nothing_of_earlier_frames(lab: Lab) -> None:
    """A short frame is padded on its way out. If with what the buffer held before, one VM's bytes
    leave with another's frame (Etherleak): here every buffer has held 0xee."""
    send = """
	for (u32 i = 0; i < 300; i++) {
		make(2, 0);
		frame[0] = 0x52, frame[31] = 0;
		for (u32 j = 34; j < 1514; j++)
			frame[j] = 0xee;
		while (gate(VI_PACKET_SEND, (u32)frame, 1514) == -E_AGAIN)
			idle(now() + 1000000);
	}
	idle(now() + 50000000);
	for (u32 i = 0; i < 30; i++)
		CHECK(gate(VI_PACKET_SEND, (u32)frame, 34) == 0);
    """
    wire = lab.wire()
    machine = lab.boot(_guest(lab, send), wire=wire)
    frames = []
    while (raw := wire.receive(1.0)) is not None:
        frames.append(raw)
    machine.expect("^vm 1: terminated, status 0")
    short = [raw for raw in frames if len(raw) == 60]
    assert len(short) == 30 and all(raw[34:] == bytes(26) for raw in short)


def test_sender_that_floods_is_held_back_not_its_neighbours(lab: Lab) -> None:
    """A queued frame is charged to its sender: when nobody takes its frames, the flooder runs into
    its own limit, while another VM's frames still arrive, every one."""
    flood = """
	make(3, 1);
	for (u32 i = 0; i < 20000; i++)
		if (send() == -E_AGAIN)
			idle(now() + 100000);
    """
    steady = """
	for (u32 i = 1; i <= 50; i++) {
		make(4, i);
		CHECK(send() == 0);
		idle(now() + 2000000);
	}
    """
    count = """
	for (u32 i = 1; i <= 50; i++) {
		CHECK(receive(now() + 3000000000ull) == 60);
		CHECK(*(u32 *)(room + 44) == i);
	}
	return 50;
    """
    deaf = "idle(now() + 2000000000ull); idle(now() + 2000000000ull);"
    guests = [_guest(lab, body) for body in (flood, steady, deaf, count)]
    machine = lab.boot(*guests)
    machine.expect("^vm 4: terminated, status 50")


def test_lists_are_done_in_order_up_to_the_first_bad_element(lab: Lab) -> None:
    """A vectored instruction is all or nothing for each element: none is sent twice, none is half
    sent, and the caller learns how many are done."""
    send = """
	static struct packet_element list[64];
	static u8 frames[64][60];
	idle(now() + 50000000);
	for (u32 i = 0; i < 64; i++) {
		make(2, i);
		for (u32 j = 0; j < 60; j++)
			frames[i][j] = frame[j];
		list[i].address = (u32)frames[i];
		list[i].length = 60;
	}
	list[5].address = 0;
	CHECK(gate(VI_PACKET_SEND_V, (u32)list, 64) == 5);
	CHECK(gate(VI_PACKET_SEND_V, (u32)(list + 5), 59) == -E_FAULT);
	list[5].address = (u32)frames[5];
	list[9].length = 13;
	CHECK(gate(VI_PACKET_SEND_V, (u32)(list + 5), 59) == 4);
	CHECK(gate(VI_PACKET_SEND_V, (u32)(list + 9), 1) == -E_INVAL);
	list[9].length = 60;
	for (u32 done = 9; done < 64;) {
		i32 n = gate(VI_PACKET_SEND_V, (u32)(list + done), 64 - done);
		CHECK(n > 0 || n == -E_AGAIN);
		if (n == -E_AGAIN)
			idle(now() + 1000000);
		else
			done += (u32)n;
	}
    """
    take = """
	static struct packet_element list[8];
	static u8 rooms[8][1514];
	for (u32 next = 0; next < 64;) {
		for (u32 i = 0; i < 8; i++) {
			list[i].address = (u32)rooms[i];
			list[i].length = 1514;
		}
		i32 n = gate(VI_PACKET_RECEIVE_V, (u32)list, 8);
		if (n == -E_AGAIN) {
			idle(IDLE_FOREVER);
			continue;
		}
		CHECK(n > 0);
		for (i32 i = 0; i < n; i++, next++)
			CHECK(list[i].length == 60 && *(u32 *)(rooms[i] + 44) == next);
	}
	CHECK(gate(VI_PACKET_RECEIVE, (u32)room, 1514) == -E_AGAIN);
	return 64;
    """
    machine = lab.boot(_guest(lab, send), _guest(lab, take))
    machine.expect_all("^vm 1: terminated, status 0", "^vm 2: terminated, status 64")


def test_frame_stays_until_there_is_room(lab: Lab) -> None:
    """A receive that fails, for want of room or for a bad address, must not lose the frame."""
    send = "idle(now() + 50000000); make(2, 99); CHECK(send() == 0);"
    take = """
	while (gate(VI_PACKET_RECEIVE, (u32)room, 10) == -E_AGAIN)
		idle(IDLE_FOREVER);
	CHECK(VREGS->packets_waiting == 1);
	CHECK(gate(VI_PACKET_RECEIVE, (u32)room, 59) == -E_TOOLONG);
	CHECK(gate(VI_PACKET_RECEIVE, 0, 1514) == -E_FAULT);
	CHECK(gate(VI_PACKET_RECEIVE, VREGS->memory_size - 30, 60) == -E_FAULT);
	CHECK(gate(VI_PACKET_RECEIVE, (u32)room, 60) == 60 && *(u32 *)(room + 44) == 99);
	CHECK(VREGS->packets_waiting == 0);
    """
    machine = lab.boot(_guest(lab, send), _guest(lab, take), options="when-done=exit")
    assert machine.wait() == EXIT_DONE
    assert machine.serial.text().count("terminated, status 0") == 2


def test_frames_for_the_dead_are_dropped_and_given_back(lab: Lab) -> None:
    """A VM that ends with a full queue, and one that is written to after its end, must cost the
    sender nothing for ever: its quota comes back."""
    send = """
	for (u32 i = 0; i < 3000; i++) {
		make(2, i);
		i32 result = send();
		CHECK(result == 0 || result == -E_AGAIN);
		if (result == -E_AGAIN)
			idle(now() + 1000000);
	}
	make(3, 7);
	CHECK(send() == 0);
    """
    die = "idle(now() + 100000000); *(volatile u32 *)0 = 1;"
    guests = [_guest(lab, body) for body in (send, die, LISTEN.replace("400000000", "9000000000ull"))]
    machine = lab.boot(*guests)
    machine.expect_all("^vm 2: killed", r"^\[vm 3\] heard 7", "^vm 1: terminated, status 0")
