# SPDX-License-Identifier: MIT
"""Frames on the wire: right ones are answered, wrong ones cost nothing, floods starve nobody.

Each test ends with an exchange that only a live machine answers, and with counters that must have
come back to where they were: what nobody wants must be dropped, counted, and given back.
"""

from __future__ import annotations

import random
import struct

import pytest

from grade.harness import packet
from grade.harness.accounts import check_sums, frames
from grade.harness.lab import Lab
from grade.harness.machine import Machine
from grade.harness.packet import HOST_IP, HOST_MAC, vm_address, vm_mac
from grade.harness.wire import Wire


def _echo(lab: Lab, count: int = 2, options: str = "") -> tuple[Machine, Wire]:
    """`count` echo servers, all of which answer."""
    wire = lab.wire()
    machine = lab.boot(lab.guest("echo", count=count), wire=wire, options=options)
    machine.expect(f"^vms 1 to {count}")
    for number in range(1, count + 1):
        wire.echo(number, b"are you there %d" % number)
    return machine, wire


def _dropped(machine: Machine) -> int:
    names = ("source", "broadcast", "nobody", "malformed", "full", "dead")
    return sum(machine.counter(f"net_dropped_{name}") for name in names)


def _settle(machine: Machine, wire: Wire, answer: bytes = b"still there") -> None:
    """Both VMs answer, and no frame of memory or packet has gone."""
    for number in (1, 2):
        wire.echo(number, answer)
    machine.check()


@pytest.mark.quick
def test_vm_echoes_what_it_was_sent(lab: Lab) -> None:
    """The whole path, both ways, for every length of a UDP datagram that fits in a frame."""
    machine, wire = _echo(lab)
    for length in (0, 1, 17, 18, 19, 500, 1471, 1472):
        data = random.Random(length).randbytes(length)
        if length:
            answer = wire.echo(2, data)
            assert (answer.sender, answer.source) == (vm_mac(2), vm_address(2))
            assert (answer.to, answer.target, answer.port) == (HOST_MAC, HOST_IP, 4000)
    wire.ping(1)
    machine.check()


def test_frames_are_padded_with_zeros(lab: Lab) -> None:
    """A short frame is padded to 60 bytes. If the padding is what the buffer held before, one VM's
    bytes leave with another's frame (Etherleak)."""
    machine, wire = _echo(lab)
    for _ in range(20):
        wire.echo(1, b"\xee" * 1472)
        wire.echo(2, b"x")
        assert len(wire.seen[-1]) == 60 and wire.seen[-1][14 + 20 + 8 + 1 :] == bytes(17)
    machine.check()


def test_every_vm_is_found_by_arp_and_nobody_else(lab: Lab) -> None:
    """The switch answers for VMs that live, by arithmetic; an answer for anybody else would take
    the host's traffic away."""
    machine, wire = _echo(lab, count=3)
    for number in (1, 2, 3):
        request = packet.arp_request(vm_address(number))
        answer = wire.ask(request, lambda f: f.kind == "arp" and f.operation == 2)
        assert (answer.source, answer.sender) == (vm_address(number), vm_mac(number))
        assert (answer.data, answer.to) == (packet.mac_bytes(vm_mac(number)), HOST_MAC)
    wire.drain()
    for address in ("10.1.0.0", "10.1.0.4", "10.1.1.1", "10.0.0.2", "255.255.255.255", "0.0.0.0"):
        wire.send(packet.arp_request(address))
    assert not [f for f in wire.drain() if f.kind == "arp" and f.operation == 2]
    machine.check()


TRUNCATED = [packet.udp_to_vm(1, 7, b"x" * 40)[:length] for length in (*range(14, 60), 60, 80)]


def test_truncated_frames_are_dropped(lab: Lab) -> None:
    """A length that promises more than there is, at every cut: who believes it reads another's
    bytes, or past the end."""
    machine, wire = _echo(lab)
    for frame in TRUNCATED[:-1]:
        wire.send(frame)
    for length in range(0, 14):
        wire.send(packet.arp_request(vm_address(1))[: max(length, 1)])
    answers = [f for f in wire.drain() if f.kind == "udp"]
    assert not answers
    _settle(machine, wire)


def test_lies_in_headers_are_dropped(lab: Lab) -> None:
    """Wrong checksums, lengths, versions, fragments, options: each is dropped in silence, and the
    next right frame is served."""
    machine, wire = _echo(lab)
    good = packet.udp_to_vm(1, 7, b"data" * 10)
    for at in (*range(14, 34), 38, 39):  # every byte of the IPv4 header; UDP's length
        for flip in (0x01, 0xFF):
            wrong = bytearray(good)
            wrong[at] ^= flip
            wire.send(bytes(wrong))
    wrong_sum = packet.udp(HOST_IP, 4000, vm_address(1), 7, b"data" * 10, sum16=0x1234)
    wire.send(packet.to_vm(1, wrong_sum))
    assert not [f for f in wire.drain() if f.kind == "udp"]
    _settle(machine, wire)


def test_oversized_frame_is_dropped(lab: Lab) -> None:
    """A frame longer than a buffer must not spill into the next one's memory."""
    machine, wire = _echo(lab)
    before = _dropped(machine)
    for length in (1515, 1518, 1600, 2000, 9000, 60000):
        wire.send(packet.ethernet(vm_mac(1), HOST_MAC, packet.ETH_IP, b"E" * (length - 14)))
    assert not [f for f in wire.drain() if f.kind != "arp"]
    _settle(machine, wire)
    assert _dropped(machine) >= before


def test_random_bytes_are_survived(lab: Lab) -> None:
    """Five thousand frames of noise, and of noise behind a plausible start."""
    machine, wire = _echo(lab)
    dice = random.Random(7)
    for _ in range(5000):
        start = packet.udp_to_vm(1, 7, b"")[: dice.randrange(60)]
        frame = start + dice.randbytes(dice.randrange(1, 400))
        wire.send(frame[:1514])
        if dice.random() < 0.1:
            while wire.receive(0.001):
                pass
    wire.drain()
    _settle(machine, wire)


def test_sender_from_outside_that_claims_to_be_a_vm_is_dropped(lab: Lab) -> None:
    """A frame from the uplink with a VM's address would be believed by its neighbours."""
    machine, wire = _echo(lab)
    before = machine.counter("net_dropped_source")
    forged = packet.udp(vm_address(2), 7, vm_address(1), 7, b"forged")
    wire.send(packet.to_vm(1, forged))
    wire.send(packet.to_vm(1, packet.udp(HOST_IP, 9, vm_address(1), 7, b"forged"), mac=vm_mac(2)))
    wire.send(packet.arp(2, vm_mac(2), vm_address(2), vm_mac(1), vm_address(1), vm_mac(1)))
    assert not [f for f in wire.drain() if f.data == b"forged"]
    _settle(machine, wire)
    assert machine.counter("net_dropped_source") >= before + 3
    check_sums(machine)


def test_broadcast_storm_wakes_nobody(lab: Lab) -> None:
    """Ten thousand broadcasts to a machine full of VMs must not become ten thousand frames for each
    of them: nobody is woken, nothing is kept, everybody still answers."""
    machine, wire = _echo(lab)
    received = machine.counter("net_queued")
    free = frames(machine)["free"]
    gratuitous = packet.arp(1, HOST_MAC, HOST_IP, "00:00:00:00:00:00", HOST_IP)
    smurf = packet.ipv4(HOST_IP, "10.255.255.255", packet.ICMP, packet.icmp_echo(1, 1))
    for i in range(10000):
        broadcast = packet.ethernet(packet.BROADCAST, HOST_MAC, packet.ETH_IP, smurf)
        wire.send(gratuitous if i % 2 else broadcast)
    wire.echo(1, b"after the storm")
    assert machine.counter("net_queued") <= received + 5
    _settle(machine, wire)
    assert frames(machine)["free"] >= free - 8
    check_sums(machine)


def test_storm_to_one_vm_costs_the_other_nothing(lab: Lab) -> None:
    """Overload stays where it arises: one VM that never takes its frames is flooded with 10,000;
    its queue is bounded, its drops are its own, and the other VM answers every single ping."""
    wire = lab.wire()
    deaf = "static int run(void) { for (;;) idle(IDLE_FOREVER); return 0; }"
    machine = lab.boot(lab.program(deaf), lab.guest("echo"), wire=wire)
    machine.expect("^vms 2 to 2")
    wire.echo(2, b"there")
    full = machine.counter("net_dropped_full")
    for i in range(10000):
        wire.send(packet.udp_to_vm(1, 9, b"flood %d" % i))
        if i % 1000 == 0:
            wire.echo(2, b"alive %d" % i)
    wire.echo(2, b"and after")
    assert machine.counter("net_dropped_full") - full >= 9000
    check_sums(machine)


def test_everything_is_given_back(lab: Lab) -> None:
    """After thousands of frames the kernel holds what it held before: a leak of one buffer in a
    thousand frames would stop a real machine in an hour. (Its pool of buffers may have grown, to
    the most that were under way at once, and so may the guests' heaps; buffers in use may not.)"""
    machine, wire = _echo(lab)
    for round_ in range(4):
        if round_ == 1:  # the first round fills the kernel's pools to their usual size
            before, used = frames(machine), machine.counter("packets_used")
        for i in range(2000):
            wire.send(packet.udp_to_vm(1 + i % 2, 7, struct.pack(">II", round_, i)))
            if i % 32 == 31:
                while wire.receive(0.002):
                    pass
        wire.drain()
        _settle(machine, wire)
    for _ in range(20):  # what was sent last counts until the card has been looked at again
        if check_sums(machine)["packets_used"] == used:
            break
        _settle(machine, wire)
    assert check_sums(machine)["packets_used"] == used
    after = frames(machine)
    for table in (before, after):
        for pool in ("packets", "guest pages", "page tables"):
            table["free"] += table.pop(pool)
    assert after == before


def test_half_open_connections_do_not_shut_a_server(lab: Lab) -> None:
    """Thousands of handshakes that are never finished, from addresses where nobody lives, fill the
    server's table of connections; a client that does finish its own is served at once."""
    wire = lab.wire()
    machine = lab.boot(lab.guest("httpd"), wire=wire)
    machine.expect(r"^\[vm 1\] httpd: serving")
    dice = random.Random(9)
    server = vm_address(1)
    for _ in range(1000):
        nobody = f"10.9.{dice.randrange(256)}.{dice.randrange(1, 255)}"
        port, sequence = dice.randrange(1024, 65536), dice.getrandbits(32)
        wire.send(packet.to_vm(1, packet.tcp(nobody, port, server, 80, sequence)))
    wire.drain()
    syn = packet.to_vm(1, packet.tcp(HOST_IP, 5000, server, 80, 1000))
    answer = wire.ask(syn, lambda f: f.kind == "tcp" and f.port == 5000 and f.acknowledge == 1001)
    assert answer.flags == packet.SYN | packet.ACK
    request = b"GET /status.json HTTP/1.1\r\nHost: vm\r\n\r\n"
    segment = packet.tcp(HOST_IP, 5000, server, 80, 1001, answer.sequence + 1, packet.ACK, request)
    page = wire.ask(packet.to_vm(1, segment), lambda f: f.port == 5000 and bool(f.data))
    assert page.data.startswith(b"HTTP/1.1 200 OK")
    machine.check()
