# SPDX-License-Identifier: MIT
"""The gate: every number, every error, every bad pointer; and the console behind it."""

from __future__ import annotations

from pathlib import Path

import pytest

from conf.qemu import EXIT_DONE
from grade.harness.elf import Elf
from grade.harness.lab import Lab
from grade.harness.witness import Witness


@pytest.mark.quick
def test_unknown_instruction_is_refused(lab: Lab) -> None:
    """A table indexed by a guest's number must have an end on both sides."""
    source = """
    static int run(void)
    {
    	static const u32 numbers[] = {VI_NULL, VI_COUNT, 100, 0x7fffffff, 0x80000000, 0xffffffff,
    				      0x40000000, 0x10000001};
    	for (u32 i = 0; i < ARRAY_LEN(numbers); i++)
    		CHECK(gate(numbers[i], 1, 2) == -E_NOSYS);
    	return 0;
    }
    """
    machine = lab.boot(lab.program(source), options="when-done=exit")
    machine.expect("^vm 1: terminated, status 0")


def test_bad_pointer_is_an_error_without_effect(lab: Lab) -> None:
    """Every argument that names memory, at every kind of bad place: null, page 0, the end of RAM,
    across it, the kernel, wrapping round, and the read-only text where the kernel would write."""
    source = """
    static struct packet_element list[2];
    static int run(void)
    {
    	static const u32 bad[] = {0, 4, 0xfff, 0x1000000, 0xfffffff, 0x3ffffff0, 0x40000000,
    				  0x40100000, 0xf0000000, 0xffffffff, 0xfffffff0, 0xfffff000};
    	for (u32 i = 0; i < ARRAY_LEN(bad); i++) {
    		CHECK(gate(VI_CONSOLE_WRITE, bad[i], 64) == -E_FAULT);
    		CHECK(gate(VI_PACKET_SEND, bad[i], 64) == -E_FAULT);
    		CHECK(gate(VI_PACKET_SEND_V, bad[i], 2) == -E_FAULT);
    		CHECK(gate(VI_PACKET_RECEIVE_V, bad[i], 2) == -E_FAULT);
    		list[0].address = bad[i];
    		list[0].length = 100;
    		CHECK(gate(VI_PACKET_SEND_V, (u32)list, 1) == -E_FAULT);
    		CHECK(gate(VI_PACKET_RECEIVE, bad[i], 1514) < 0);
    	}
    	CHECK(gate(VI_CONSOLE_WRITE, VREGS->memory_size - 8, 16) <= 8);
    	CHECK(gate(VI_PACKET_SEND, VREGS->memory_size - 60, 61) == -E_FAULT);
    	return 0;
    }
    """
    witness = Witness(turns=50)
    machine = lab.boot(lab.program(source), witness.module(lab))
    machine.expect("^vm 1: terminated, status 0")
    witness.check(machine, 2)


def test_lengths_are_checked_before_anything_is_done(lab: Lab) -> None:
    """Too long, too short, too many: refused by the right name; a limit that is off by one, or a
    product that wraps, is a way into the kernel."""
    source = """
    static u8 page[8192];
    static int run(void)
    {
    	u32 p = (u32)page;
    	CHECK(gate(VI_CONSOLE_WRITE, p, CONSOLE_MAX + 1) == -E_TOOLONG);
    	CHECK(gate(VI_CONSOLE_WRITE, p, 0xffffffff) == -E_TOOLONG);
    	CHECK(gate(VI_CONSOLE_WRITE, p, 0) == 0);
    	CHECK(gate(VI_PACKET_SEND, p, 0) == -E_INVAL);
    	CHECK(gate(VI_PACKET_SEND, p, FRAME_MIN - 1) == -E_INVAL);
    	CHECK(gate(VI_PACKET_SEND, p, FRAME_MAX + 1) == -E_TOOLONG);
    	CHECK(gate(VI_PACKET_SEND, p, 0xffffffff) == -E_TOOLONG);
    	CHECK(gate(VI_PACKET_SEND, p, 60) == -E_ADDR);
    	for (u32 i = 0; i < 500; i++) /* a refused frame costs no buffer */
    		CHECK(gate(VI_PACKET_SEND, p, 60) == -E_ADDR && gate(VI_PACKET_SEND, 0, 60) == -E_FAULT);
    	CHECK(gate(VI_PACKET_RECEIVE, p, 1514) == -E_AGAIN);
    	CHECK(gate(VI_PACKET_SEND_V, p, VECTOR_MAX + 1) < 0);
    	CHECK(gate(VI_PACKET_SEND_V, p, 0x20000001) < 0);
    	CHECK(gate(VI_PACKET_RECEIVE_V, p, 0xffffffff) < 0);
    	CHECK(gate(VI_PACKET_SEND_V, p, 0) == 0);
    	return 0;
    }
    """
    machine = lab.boot(lab.program(source), options="when-done=exit")
    machine.expect("^vm 1: terminated, status 0")


def test_kernel_writes_where_the_guest_never_wrote(lab: Lab) -> None:
    """The kernel's own write through its door must break sharing and back a page, as the guest's
    would: else it writes into the image that all VMs share."""
    receive = """
    static u8 shared[8192] __attribute__((aligned(4096))) = {1};
    static int run(void)
    {
    	i32 got;
    	while ((got = gate(VI_PACKET_RECEIVE, (u32)shared + 4096, 1514)) == -E_AGAIN)
    		idle(IDLE_FOREVER);
    	CHECK(got == 60 && shared[4096 + 14] == 0x45);
    	return 0;
    }
    """
    look = """
    static u8 frame[60] = {2, 0, 10, 1, 0, 1, 2, 0, 10, 1, 0, 3, 8, 0, 0x45};
    static int run(void)
    {
    	frame[26] = 10, frame[27] = 1, frame[29] = 3;
    	idle(now() + 10000000);
    	CHECK(gate(VI_PACKET_SEND, (u32)frame, 60) == 0);
    	return 0;
    }
    """
    machine = lab.boot(lab.program(receive, count=2), lab.program(look))
    machine.expect("^vm 1: terminated, status 0")
    with machine.stopped():
        elf = Elf(Path(machine.run.modules[0].image))
        shared = machine.spaces()[2].read(elf.address("shared"), 8192)
        assert shared == b"\x01" + bytes(8191), "VM 2 sees what VM 1 received"


def test_console_line_is_marked_with_its_writer(lab: Lab) -> None:
    """Two VMs that write at once must not forge, or break, each other's lines; control bytes that
    could move a person's cursor are not passed on."""
    source = """
    static int run(void)
    {
    	for (u32 i = 0; i < 40; i++) {
    		say("half ");
    		idle(now() + 1000000);
    		say("line\\n");
    	}
    	say("\\033[2Jescape \\r[vm 9] forged\\n");
    	return 0;
    }
    """
    machine = lab.boot(lab.program(source, count=3), options="when-done=exit")
    assert machine.wait() == EXIT_DONE
    text = machine.serial.text()
    assert "\033" not in text and "\n[vm 9]" not in text
    for vm in (1, 2, 3):
        said = "".join(machine.serial.lines(vm))
        assert said.count("half") == 40 and said.count("line") == 40


def test_console_flood_holds_up_nobody(lab: Lab) -> None:
    """One VM that prints without end must neither stop the others nor lose the kernel's lines."""
    flood = """
    static int run(void)
    {
    	static char text[4096];
    	for (u32 i = 0; i < sizeof text; i++)
    		text[i] = i % 64 == 63 ? '\\n' : 'x';
    	for (;;)
    		gate(VI_CONSOLE_WRITE, (u32)text, sizeof text);
    	return 0;
    }
    """
    work = "static int run(void) { for (u32 i = 0; i < 20; i++) idle(now() + 1000000); return 5; }"
    machine = lab.boot(lab.program(flood), lab.program(work))
    machine.expect("^vm 2: terminated, status 5", 60)


@pytest.mark.quick
def test_monitor_answers_while_guests_run(lab: Lab) -> None:
    """The console is the operator's only way in: it must work when every VM spins."""
    machine = lab.boot(lab.guest("spin", count=3))
    machine.expect("^vms 1 to 3")
    commands = machine.monitor("help")
    for name in ("vms", "vm", "mem", "counters", "backtrace", "help"):
        assert f"\n  {name} " in "\n" + commands
    assert machine.monitor("vms").count("  vm ") == 3
    assert "vm 2:" in machine.monitor("vm 2")
    assert "no such command" in machine.monitor("nonsense")
