# SPDX-License-Identifier: MIT
"""A service that nobody asks for anything must cost nothing: not a single wake-up."""

from __future__ import annotations

import re

import pytest

from grade.harness import packet
from grade.harness.lab import Lab
from grade.harness.machine import Machine

# VM 2: fetches a page from VM 1 by a TCP of its own, ends the connection in order, lets time pass
# on command, and says so. All of it in virtual time: nothing depends on the host's.
VISITOR = r"""
static u8 out[1600], in[1600];
static u32 next = 1000, seen;

static void put(u8 *p, u32 bytes, u32 value)
{
	while (bytes--)
		p[bytes] = (u8)value, value >>= 8;
}

static u32 get(const u8 *p, u32 bytes)
{
	u32 value = 0;
	while (bytes--)
		value = value << 8 | *p++;
	return value;
}

static u32 sum(const u8 *p, u32 bytes, u32 total)
{
	for (u32 i = 0; i < bytes; i++)
		total += i % 2 ? p[i] : p[i] << 8;
	while (total >> 16)
		total = (total & 0xffff) + (total >> 16);
	return total;
}

static void segment(u32 flags, const char *data)
{
	static const u8 head[] = {2, 0, 10, 1, 0, 1, 2, 0, 10, 1, 0, 2, 8, 0, 0x45, 0};
	u32 length = 0;
	for (u32 i = 0; i < sizeof out; i++)
		out[i] = i < sizeof head ? head[i] : 0;
	while (data[length])
		out[54 + length] = (u8)data[length], length++;
	put(out + 16, 2, 40 + length);
	out[22] = 64, out[23] = 6;
	put(out + 26, 4, 0x0a010002), put(out + 30, 4, 0x0a010001);
	put(out + 24, 2, ~sum(out + 14, 20, 0));
	put(out + 34, 2, 4000), put(out + 36, 2, 80);
	put(out + 38, 4, next), put(out + 42, 4, seen);
	out[46] = 0x50, out[47] = (u8)flags;
	put(out + 48, 2, 8192);
	put(out + 50, 2, ~sum(out + 34, 20 + length, sum(out + 26, 8, 6 + 20 + length)));
	next += length + (flags & 3 ? 1 : 0);
	CHECK(gate(VI_PACKET_SEND, (u32)out, 54 + length) == 0);
}

static i32 take(void)
{
	i32 got;
	while ((got = gate(VI_PACKET_RECEIVE, (u32)in, sizeof in)) == -E_AGAIN)
		idle(IDLE_FOREVER);
	return got;
}

/* The next TCP segment; what it carries is acknowledged by the next one sent. */
static u32 answer(void)
{
	do
		take();
	while (in[23] != 6 || in[12] != 8 || in[13] != 0);
	u32 length = get(in + 16, 2) - 20 - (in[46] >> 4) * 4;
	if (in[47] & 2)
		seen = get(in + 38, 4);
	if (get(in + 38, 4) == seen)
		seen += length + (in[47] & 3 ? 1 : 0);
	return in[47];
}

static void visit(void)
{
	u32 flags;
	segment(2, "");
	CHECK((answer() & 18) == 18);
	segment(24, "GET / HTTP/1.0\r\n\r\n");
	while (!((flags = answer()) & 1)) {
		CHECK(!(flags & 4));
		segment(16, "");
	}
	segment(17, "");
	while (get(in + 42, 4) != next)
		answer();
}

static void pass(u32 seconds)
{
	u64 start = now();
	for (u32 i = 1; i <= seconds; i++)
		while (now() < start + i * 1000000000ull)
			idle(start + i * 1000000000ull);
}

static int run(void)
{
	pass(1);
	visit();
	pass(10);
	say("visited\n");
	take();
	pass(600);
	say("ten minutes\n");
	idle(IDLE_FOREVER);
	return 0;
}
"""


def _activity(machine: Machine, vm: int) -> tuple[int, ...]:
    """Quanta given to a VM, and interrupts posted to it."""
    text = machine.monitor(f"vm {vm}")
    found = re.search(r"(\d+) quant(?:a|um)(?:.|\n)*posted (\d+)", text)
    assert found, text
    return int(found[1]), int(found[2])


@pytest.mark.quick
def test_idle_httpd_wakes_not_once_in_ten_minutes(lab: Lab) -> None:
    """A hundred thousand idle servers that wake once a second each would be a busy machine. The
    server here has served a page and its connection has ended; then 600 virtual seconds pass, in
    which the visitor wakes 600 times and the server must not get a single quantum."""
    wire = lab.wire()
    machine = lab.boot("httpd", lab.program(VISITOR), wire=wire, icount=True)
    machine.expect(r"^\[vm 2\] visited", 60)
    before, visitor = _activity(machine, 1), _activity(machine, 2)
    wire.send(packet.udp_to_vm(2, 9, b"go"))
    machine.expect(r"^\[vm 2\] ten minutes", 60)
    assert _activity(machine, 2)[0] - visitor[0] >= 600, "the witness slept"
    assert _activity(machine, 1) == before


def test_idle_machine_halts_the_processor(lab: Lab) -> None:
    """With nobody to run, the kernel must wait for an interrupt, not look for work for ever."""
    wire = lab.wire()
    machine = lab.boot(lab.guest("httpd", count=20), wire=wire)
    machine.expect("^vms 1 to 20")
    for number in range(1, 21):
        wire.ping(number)
    switches = machine.counter("switches")
    halted = [machine.qmp.registers()["halted"] for _ in range(50)]
    assert sum(halted) >= 45
    assert machine.counter("switches") == switches
