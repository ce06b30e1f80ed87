# SPDX-License-Identifier: MIT
"""From power-on to the first guest: memory, processor features, options."""

from __future__ import annotations

import re

import pytest

from conf.qemu import CPU, EXIT_DONE
from grade.harness.lab import Lab
from grade.harness.machine import EXIT_FATAL

DONE = "when-done=exit"


@pytest.mark.quick
def test_first_line_says_what_it_is(lab: Lab) -> None:
    """A person at the console must know at once that the kernel has control."""
    machine = lab.boot("hello", options=DONE)
    assert machine.wait() == EXIT_DONE
    assert machine.serial.text().startswith("denali: an isolation kernel")


@pytest.mark.parametrize("megabytes", [64, 100, 256, 1024, 2816, 3072, 4096])
def test_ram_is_found_and_used(lab: Lab, megabytes: int) -> None:
    """RAM is not an array: holes, reserved ranges and more than the kernel can map must all be
    survived; what is free must be nearly all there is, up to 2,816 MB."""
    machine = lab.boot("hello", options=DONE, memory=megabytes)
    free = int(machine.expect(r"^memory: (\d+) MB free")[1])
    usable = min(megabytes, 2816)
    assert usable - 8 <= free <= usable
    machine.expect("^vm 1: terminated, status 0")
    assert ("ignored" in machine.serial.text()) == (megabytes > 2816)
    assert machine.wait() == EXIT_DONE


def test_guest_memory_reaches_the_end_of_ram(lab: Lab) -> None:
    """Every free frame must be real RAM: guests take almost all of it, fill it and read it back. A
    frame of a hole, a device or the kernel would not keep its word."""
    fill = """
    static int run(void)
    {
    	u32 key = VREGS->number * 2654435761u;
    	for (u32 a = VREGS->image_end + 4096; a < VREGS->memory_size; a += 64)
    		*(volatile u32 *)a = a ^ key;
    	idle(now() + 300000000);
    	for (u32 a = VREGS->image_end + 4096; a < VREGS->memory_size; a += 64)
    		CHECK(*(volatile u32 *)a == (a ^ key));
    	return 0;
    }
    """
    count = 13  # times 17 MB (16 and a bit for tables) is 221 of the 254 MB free
    machine = lab.boot(lab.program(fill, count=count), options=DONE)
    assert machine.wait(60) == EXIT_DONE
    assert machine.serial.text().count("terminated, status 0") == count


def test_control_registers_protect(lab: Lab) -> None:
    """What the processor offers is on: UMIP, SMEP, SMAP, TSD, PGE, PSE; WP, EM, MP, TS, PG, PE."""
    machine = lab.boot("spin")
    machine.expect("^vms 1 to 1")
    registers = machine.qmp.registers()
    for bit in (2, 4, 7, 11, 20, 21):
        assert registers["cr4"] >> bit & 1, f"CR4 bit {bit} is off: {registers['cr4']:#x}"
    for bit in (0, 1, 2, 3, 16, 31):
        assert registers["cr0"] >> bit & 1, f"CR0 bit {bit} is off: {registers['cr0']:#x}"
    assert not registers["cr4"] >> 9 & 1, "CR4.OSFXSR is on"


@pytest.mark.parametrize("missing", ["umip", "smep", "smap"])
def test_processor_without_a_feature_still_boots(lab: Lab, missing: str) -> None:
    """QEMU hangs for ever at a CR4 bit that its processor lacks: CPUID must be asked, and what is
    missing must be said."""
    model = CPU.replace(f",+{missing}", "")
    machine = lab.boot("hello", options=DONE, extra=("-cpu", model))
    assert machine.wait() == EXIT_DONE
    named = re.findall(r"^cpu: no (\w+)", machine.serial.text(), re.MULTILINE)
    assert named == [missing.upper()]


@pytest.mark.parametrize(
    "option",
    ["back=some", "share=maybe", "sched=fifo", "quantum=", "quantum=10x", "seed=12", "nonsense=1"],
)
def test_bad_option_is_refused_by_name(lab: Lab, option: str) -> None:
    """An option that is misread in silence makes an experiment measure something else."""
    machine = lab.boot("hello", options=option)
    machine.expect(f"^fatal: .*{re.escape(option)}")
    assert machine.wait_crash() == EXIT_FATAL


def test_clock_and_seed_come_from_the_options(lab: Lab) -> None:
    """Guests get wall-clock time and randomness from nowhere else: one seed gives each VM its own
    bytes, the same at every boot."""
    show = """
    static int run(void)
    {
    	const volatile u32 *seed = (const volatile u32 *)VREGS->seed;
    	CHECK(VREGS->wall_base == 1234567890123456789ull);
    	for (u32 i = 0; i < 8; i++)
    		say_number("seed ", seed[i]);
    	return 0;
    }
    """
    found = []
    for key in ("ab" * 32, "ab" * 32, "cd" * 32):
        options = f"{DONE} wall=1234567890123456789 seed={key}"
        machine = lab.boot(lab.program(show, count=2), options=options)
        assert machine.wait() == EXIT_DONE
        found.append((machine.serial.lines(1), machine.serial.lines(2)))
        assert len(found[-1][0]) == 8
    assert found[0] == found[1], "one key must give the same seeds"
    assert found[0] != found[2] and found[0][0] != found[0][1]


def test_module_string_gives_count_memory_and_arguments(lab: Lab) -> None:
    """The operator's words must reach the VM that they are for, and no other."""
    show = """
    static int run(void)
    {
    	say_number("memory ", VREGS->memory_size);
    	say((const char *)VREGS->args);
    	say("\\n");
    	return 0;
    }
    """
    first = lab.program(show, count=2, memory="2M", args="one, two  three")
    machine = lab.boot(first, lab.program(show), options=DONE)
    assert machine.wait() == EXIT_DONE
    for vm in (1, 2):
        assert machine.serial.lines(vm) == ["memory 2097152", "one, two  three"]
    assert machine.serial.lines(3)[0] == "memory 16777216"


def test_run_can_be_repeated_exactly(lab: Lab) -> None:
    """Under -icount, with a seed, two runs must agree in every word: what depends on the host, on
    uninitialised memory or on the order of equal things can't be debugged or graded."""
    guests = (lab.guest("hello", count=5), lab.guest("spin", count=2), lab.guest("bench-null"))
    found = []
    for _ in range(2):
        machine = lab.boot(*guests, options="seed=" + "5a" * 32, icount=True)
        machine.expect("^vm 8: terminated")
        found.append(machine.serial.text().partition("vm 8: terminated")[0])
        machine.close()
    assert found[0] == found[1]
