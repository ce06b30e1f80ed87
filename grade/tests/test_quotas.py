# SPDX-License-Identifier: MIT
"""Overload stays with the one that causes it: quotas, thresholds, and who is told of room."""

from __future__ import annotations

import struct

from conf.qemu import EXIT_DONE, Module
from grade.harness import packet
from grade.harness.lab import Lab
from grade.harness.packet import vm_address, vm_mac
from grade.tests.test_switch import PRELUDE


def _guest(lab: Lab, body: str, count: int = 1) -> Module:
    return lab.program(PRELUDE + "static int run(void) {" + body + "\n\treturn 0; }", count=count)


def test_vms_that_never_receive_cannot_shut_the_uplink(lab: Lab) -> None:
    """Frames for VMs that don't fetch them lie in the kernel. However many there are, a VM that does
    fetch its frames must go on getting them."""
    wire = lab.wire()
    deaf = 100
    machine = lab.boot(lab.guest("frames"), lab.guest("spin", count=deaf), wire=wire)
    machine.expect(f"^vms 2 to {deaf + 1}: .* {deaf} of {deaf} started")
    for round_ in range(140):
        for number in range(2, deaf + 2):
            wire.send(packet.udp_to_vm(number, 9, struct.pack(">I", round_)))
    for i in range(20):
        wire.echo(1, struct.pack(">I", i))
    assert machine.counter("net_dropped_full") > 0
    machine.check()


def test_vms_that_flood_another_leave_room_for_the_uplink(lab: Lab) -> None:
    """Senders inside must not be able to fill the receiver's queue so that the outside is shut out."""
    wire = lab.wire()
    flood = "for (;;) { make(1, 0); if (send() == -E_AGAIN) idle(now() + 100000); }"
    machine = lab.boot(lab.guest("frames"), _guest(lab, flood, count=3), wire=wire)
    machine.expect("^vms 2 to 4: .* started")
    for i in range(100):
        wire.echo(1, struct.pack(">I", i))
    assert machine.counter("net_dropped_full") > 0, "the flood was none"
    machine.check()


def test_who_sends_little_always_may(lab: Lab) -> None:
    """Two hundred VMs take all the packets that they can get, by sending to ones that don't fetch. The
    next VM's first frame leaves all the same."""
    hog = """
	for (;;) { make(VREGS->number + 1, 0); if (send() == -E_AGAIN) idle(now() + 1000000000); }
    """
    late = "idle(now() + 300000000); make(1, 7); CHECK(send() == 0);"
    machine = lab.boot(_guest(lab, hog, count=200), _guest(lab, late))
    machine.expect("^vm 201: terminated, status 0", seconds=60)
    assert machine.counter("packets_refused") > 200, "the hogs could have had more"
    machine.check()


def test_a_sender_that_was_refused_is_told_of_room(lab: Lab) -> None:
    """-E_AGAIN is a promise: VIRQ_NET comes when there is room, here when the receiver ends."""
    receiver = "idle(now() + 300000000);"
    sender = """
	i32 got;
	make(1, 7);
	while ((got = send()) == 0)
		;
	CHECK(got == -E_AGAIN);
	CHECK(idle(now() + 20000000000) & VIRQ_NET);
	CHECK(send() == 0);
    """
    machine = lab.boot(_guest(lab, receiver), _guest(lab, sender))
    machine.expect_all("^vm 1: terminated, status 0", "^vm 2: terminated, status 0")
    machine.check()


def test_lies_from_outside_about_a_vm_are_dropped(lab: Lab) -> None:
    """A neighbour on the wire must not be able to redirect what one VM sends to another."""
    wire = lab.wire()
    machine = lab.boot(lab.guest("echo"), lab.guest("echo"), wire=wire)
    machine.expect("^vms 2 to 2: .* started")
    wire.echo(1, b"up")
    dropped = machine.counter("net_dropped_source")
    queued = machine.counter("net_queued")
    liar = "52:54:00:00:00:66"
    for operation in (1, 2):
        for mac, address in ((liar, vm_address(2)), (vm_mac(2), "10.0.0.1")):
            wire.send(packet.arp(operation, mac, address, vm_mac(1), vm_address(1), to=vm_mac(1)))
    wire.send(packet.ethernet(vm_mac(1), vm_mac(2), 0x0800, b"\0" * 46))
    wire.drain()
    assert machine.counter("net_dropped_source") == dropped + 5
    assert machine.counter("net_queued") == queued
    wire.echo(1, b"still up")


def test_a_long_text_is_written_in_pieces(lab: Lab) -> None:
    """One entry of the kernel does a bounded amount of work, so console_write may write less than it
    is given; a guest that goes on from there loses nothing."""
    body = """
	static char text[4096];
	u32 done = 0;
	for (u32 i = 0; i < 4096; i++)
		text[i] = i % 64 == 63 ? '\\n' : (char)('a' + i / 64 % 26);
	while (done < 4096) {
		i32 n = gate(VI_CONSOLE_WRITE, (u32)text + done, 4096 - done);
		CHECK(n > 0 && n < 4096);
		done += (u32)n;
	}
    """
    machine = lab.boot(_guest(lab, body), options="when-done=exit")
    assert machine.wait() == EXIT_DONE
    lines = machine.serial.lines(1)
    assert lines == [chr(ord("a") + i % 26) * 63 for i in range(64)]
