# SPDX-License-Identifier: MIT
"""Virtual interrupts and idle: the rules of the manual, one by one. Races are in test_race.py."""

from __future__ import annotations

import pytest

from conf.qemu import EXIT_DONE
from grade.harness.lab import Lab

RULES = {
    "a past deadline posts the timer bit and returns at once": """
        upcalls_on();
        CHECK(idle(0) == 0 && upcalls == 1 && upcall_mask == VIRQ_TIMER);
        CHECK(VREGS->virq_enable == 1);
    """,
    "with interrupts off, idle returns the mask and clears it": """
        CHECK(idle(0) == (i32)VIRQ_TIMER);
        u64 start = now();
        CHECK(idle(start + 5000000) == (i32)VIRQ_TIMER && now() >= start + 5000000);
    """,
    "idle ends at its deadline, neither before nor much later": """
        for (u32 ms = 1; ms < 40; ms += 6) {
            u64 end = now() + ms * 1000000ull;
            CHECK(idle(end) == (i32)VIRQ_TIMER);
            CHECK(now() >= end && now() < end + 2000000000ull);
        }
    """,
    "deadlines need all of their 64 bits": """
        u64 end = (1ull << 32) + 50000000;
        CHECK(idle(end) == (i32)VIRQ_TIMER && now() >= end);
    """,
    "an upcall takes the flag, the next comes only after it is set again": """
        VREGS->virq_handler = (u32)upcall_entry;
        VREGS->virq_enable = 1;
        idle(0);
        CHECK(upcalls == 1);
        VREGS->virq_enable = 0;
        CHECK(idle(0) == (i32)VIRQ_TIMER && upcalls == 1);
    """,
    "bits posted while interrupts are off come when they are on again": """
        VREGS->virq_handler = (u32)upcall_entry;
        CHECK(gate(VI_PACKET_SEND, 0, 0) < 0);
        u64 end = now() + 1000000;
        while (now() < end)
            gate(VI_NULL, 0, 0);
        CHECK(upcalls == 0);
        VREGS->virq_enable = 1;
        CHECK(idle(0) == 0 && upcalls == 1);
    """,
    "the upcall is entered with DF and TF clear, and gives DF back": """
        u32 flags;
        upcalls_on();
        __asm__ volatile("std; int $0x80; pushfl; cld; popl %0"
                         : "=r"(flags) : "a"(VI_IDLE), "b"(0), "c"(0) : "memory");
        CHECK(upcalls == 1 && flags & 0x400 && !(upcall_flags & 0x500));
    """,
    "every register but eax survives an idle with its upcall": """
        upcalls_on();
        u32 bad;
        __asm__ volatile("pushl %%ebp; mov $0x11, %%edx; mov $0x22, %%esi; mov $0x33, %%edi; "
                         "mov $0x44, %%ebp; int $0x80; xor $0x11, %%edx; xor $0x22, %%esi; "
                         "xor $0x33, %%edi; xor $0x44, %%ebp; or %%esi, %%edx; or %%edi, %%edx; "
                         "or %%ebp, %%edx; or %%ebx, %%edx; or %%ecx, %%edx; or %%eax, %%edx; "
                         "popl %%ebp; mov %%edx, %0"
                         : "=m"(bad) : "a"(VI_IDLE), "b"(0), "c"(0)
                         : "edx", "esi", "edi", "memory", "cc");
        CHECK(bad == 0 && upcalls == 1);
    """,
    "pending bits in the register are a hint that nobody trusts": """
        upcalls_on();
        for (u32 i = 0; i < 100; i++) {
            VREGS->virq_pending = 0xffffffff;
            VREGS->upcall_bits = 0xffffffff;
            gate(VI_NULL, 0, 0);
        }
        CHECK(upcalls == 0);
        idle(0);
        CHECK(upcall_mask == VIRQ_TIMER);
    """,
    "time never goes back, and passes": """
        u64 last = now(), first = last;
        for (u32 i = 0; i < 100000; i++) {
            gate(VI_NULL, 0, 0);
            u64 t = now();
            CHECK(t >= last);
            last = t;
        }
        CHECK(last > first);
    """,
    "counters of interrupts add up": """
        idle(0);
        u32 posted = VREGS->virqs_posted;
        for (u32 i = 0; i < 10; i++)
            CHECK(idle(now() + 1000000) == (i32)VIRQ_TIMER);
        u64 end = now() + 50000000;
        u32 quanta = VREGS->quanta;
        while (VREGS->quanta == quanta && now() < end)
            gate(VI_NULL, 0, 0);
        CHECK(VREGS->virqs_posted - posted >= 9 && VREGS->virqs_posted - posted <= 11);
        CHECK(VREGS->virqs_delivered >= VREGS->virqs_posted - VREGS->virqs_merged - 1);
    """,
    "idle wakes exactly once for one deadline": """
        for (u32 i = 0; i < 50; i++) {
            u64 end = now() + 100000;
            CHECK(idle(end) == (i32)VIRQ_TIMER);
            CHECK(now() >= end);
        }
        upcalls_on();
        u64 end = now() + 3000000;
        while (now() < end)
            gate(VI_NULL, 0, 0);
        CHECK(upcalls == 0);
    """,
}


@pytest.mark.quick
@pytest.mark.parametrize("rule", RULES)
def test_rule(lab: Lab, rule: str) -> None:
    """Guests lean on each of these; the manual promises them."""
    source = "static int run(void) {" + RULES[rule] + "return 0; }"
    machine = lab.boot(lab.program(source), "spin", options="quantum=2ms")
    machine.expect("^vm 1: terminated, status 0$")


def test_spinning_vm_gets_its_upcall_at_a_quantum_end(lab: Lab) -> None:
    """A VM that never calls the kernel must still hear of events, and never lose the CPU for good:
    here it spins on memory until its own upcall tells it."""
    wait = """
    static int run(void)
    {
    	upcalls_on();
    	while (!upcalls)
    		;
    	return (int)upcall_mask;
    }
    """
    send = """
    static int run(void)
    {
    	static u8 frame[60] = {2, 0, 10, 1, 0, 1, 2, 0, 10, 1, 0, 2, 8, 0, 0x45};
    	frame[26] = 10, frame[27] = 1, frame[29] = 2;
    	idle(now() + 30000000);
    	CHECK(gate(VI_PACKET_SEND, (u32)frame, 60) == 0);
    	return 0;
    }
    """
    machine = lab.boot(lab.program(wait), lab.program(send), options="when-done=exit")
    machine.expect("^vm 1: terminated, status 2$")  # VIRQ_NET
    assert machine.wait() == EXIT_DONE


@pytest.mark.parametrize("on", [0, 1])
def test_events_that_meet_are_delivered_together(lab: Lab, on: int) -> None:
    """A deadline passes, and a frame comes, while somebody else has the processor: both bits must
    arrive, in one upcall or one mask. Posting that replaces the mask loses the first."""
    wait = f"""
    static int run(void)
    {{
    	if ({on})
    		upcalls_on();
    	u32 bits = (u32)idle(1000000000);
    	CHECK((bits | upcall_mask) == (VIRQ_TIMER | VIRQ_NET));
    	CHECK(upcalls == {on} && (bits == 0) == {on});
    	return 0;
    }}
    """
    busy = """
    static int run(void)
    {
    	static u8 frame[60] = {2, 0, 10, 1, 0, 1, 2, 0, 10, 1, 0, 2, 8, 0, 0x45};
    	frame[26] = 10, frame[27] = 1, frame[29] = 2;
    	idle(900000000);
    	while (now() < 1010000000)
    		gate(VI_NULL, 0, 0);
    	CHECK(gate(VI_PACKET_SEND, (u32)frame, 60) == 0);
    	return 0;
    }
    """
    modules = (lab.program(wait), lab.program(busy))
    machine = lab.boot(*modules, options="quantum=800ms when-done=exit", icount=True)
    assert machine.wait() == EXIT_DONE
    assert machine.serial.text().count("terminated, status 0") == 2


@pytest.mark.parametrize("policy", ["rr", "turn"])
def test_spinners_share_the_processor(lab: Lab, policy: str) -> None:
    """With four VMs that never give up the CPU, each must get its share, not the first all of it."""
    spin = """
    static int run(void)
    {
    	idle(now() + 50000000);
    	u64 end = now() + 600000000;
    	u32 start = VREGS->quanta;
    	while (now() < end)
    		;
    	say_number("quanta ", VREGS->quanta - start);
    	return 0;
    }
    """
    machine = lab.boot(lab.program(spin, count=4), options=f"sched={policy}", icount=True)
    shares = [int(machine.expect(r"quanta (\d+)")[1]) for _ in range(4)]
    assert min(shares) >= 13 and max(shares) <= 17, f"60 quanta of 10 ms for 4 VMs gave {shares}"


def test_handler_in_the_kernel_harms_only_its_owner(lab: Lab) -> None:
    """The handler's address is the guest's to choose; entering it in ring 0's memory must be the
    guest's fault, not the kernel's."""
    for handler in ("0x40100000", "0", "0xffffffff", "0x00fff000"):
        wild = f"""
        static int run(void)
        {{
        	VREGS->virq_handler = {handler};
        	VREGS->virq_enable = 1;
        	idle(0);
        	return 0;
        }}
        """
        machine = lab.boot(lab.program(wild), "hello", options="when-done=exit")
        assert machine.wait() == EXIT_DONE
        assert "vm 1: killed: " in machine.serial.text()
        assert "vm 2: terminated, status 0" in machine.serial.text()
        machine.close()


def test_garbage_over_the_virtual_registers_harms_only_its_owner(lab: Lab) -> None:
    """Page 1 is shared memory: an output for the kernel, never an input. A guest that fills it with
    every pattern, again and again, must not mislead the kernel about anybody."""
    scribble = """
    static u32 state = 12345;
    static int run(void)
    {
    	for (u32 round = 0; round < 2000; round++) {
    		for (u32 i = 1; i < 1024; i++) {
    			state = state * 1664525 + 1013904223;
    			((volatile u32 *)VREGS)[i] = state;
    		}
    		gate(VI_NULL, 0, 0);
    		CHECK(idle(0) == (i32)VIRQ_TIMER);
    	}
    	return 0;
    }
    """
    machine = lab.boot(lab.program(scribble), "hello", options="when-done=exit")
    assert machine.wait() == EXIT_DONE
    assert "vm 1: terminated, status 0" in machine.serial.text()
    assert "vm 2: terminated, status 0" in machine.serial.text()
