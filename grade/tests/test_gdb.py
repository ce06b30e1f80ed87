# SPDX-License-Identifier: MIT
"""The gdb pack (conf/gdb): real gdb on real machines; what it prints is compared with what the
harness reads out of RAM on its own."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from conf.qemu import Module
from conf.tracering import NO_VM, Kernel, Ring
from grade.harness.lab import Lab
from grade.harness.machine import Machine
from grade.harness.memory import KERNEL_BASE, PAGE

ROOT = Path(__file__).resolve().parent.parent.parent
PACK = ROOT / "conf/gdb/denali.py"

# VM 1 stands still in a loop, its registers known, an interrupt pending that it doesn't want.
HOLDS = """
static int run(void)
{
    VREGS->virq_handler = (u32)upcall_entry;
    while (!VREGS->virq_pending) { }
    say("pending\\n");
    __asm__ volatile("mov $0x11111111, %eax; mov $0x22222222, %ebx; mov $0x33333333, %ecx;"
                     "mov $0x44444444, %edx; mov $0x55555555, %esi; mov $0x66666666, %edi;"
                     "mov $0x77777777, %ebp; 1: jmp 1b");
    return 0;
}
"""
# VM 2 sends it a frame, then sleeps.
SENDS = """
static u8 frame[60] = {2, 0, 10, 1, 0, 1, 2, 0, 10, 1, 0, 2, 8, 0, 0x45, 0, 0, 46,
                       0, 0, 0, 0, 64, 200, 0, 0, 10, 1, 0, 2, 10, 1, 0, 1};
static int run(void)
{
    CHECK(gate(VI_PACKET_SEND, (u32)frame, sizeof frame) == 0);
    idle(IDLE_FOREVER);
    return 0;
}
"""
KNOWN = {"eax": 0x11111111, "ebx": 0x22222222, "ecx": 0x33333333, "edx": 0x44444444}
KNOWN |= {"esi": 0x55555555, "edi": 0x66666666, "ebp": 0x77777777}


def gdb(machine: Machine, *commands: str, kernel: Path | None = None) -> str:
    """What gdb with the pack prints on a machine, which stands still meanwhile; errors too."""
    machine.qmp.command("stop")
    image = kernel or (machine.cwd or Path()) / machine.run.kernel
    line = ["gdb", "-q", "-nx", "-batch", "-iex", "set auto-load off", str(image)]
    line += ["-ex", f"target remote {machine.gdb_path}", "-x", str(PACK)]
    for command in commands:
        line += ["-ex", command]
    user = Path(image).resolve().parent.parent / "user"
    done = subprocess.run(
        line,
        env={**os.environ, "DENALI_USER": str(user)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=60,
        check=False,
    )
    return done.stdout


@pytest.fixture(name="machine")
def make_machine(lab: Lab) -> Iterator[Machine]:
    """Four VMs: one that waits in a loop, a sleeper, one that has ended, one that spins."""
    modules = (lab.program(HOLDS), lab.program(SENDS), lab.guest("hello"), lab.guest("spin"))
    machine = lab.boot(*modules)
    machine.expect_all("pending", r"vm 3: terminated")
    machine.monitor("vms")  # everything has been printed: nothing more will change but turns
    machine.qmp.command("stop")
    yield machine


def numbers(text: str, pattern: str) -> list[int]:
    """The groups of the first match, as numbers."""
    found = re.search(pattern, text)
    assert found, f"no {pattern!r} in:\n{text}"
    return [int(group, 0) for group in found.groups()]


def test_vms_lists_every_vm_as_it_is(machine: Machine) -> None:
    """The list is where a search begins: a VM missing or a wrong state would lead astray."""
    spaces = machine.spaces()
    text = gdb(machine, "denali vms")
    lines = {int(m[1]): m[0] for m in re.finditer(r"^vm (\d+) .*$", text, re.MULTILINE)}
    assert sorted(lines) == [1, 2, 3, 4], text
    assert re.search(r" idle ", lines[2]) and re.search(r" dead +hello ", lines[3]), text
    assert re.search(r" (ready|running) +spin ", lines[4]), text
    for number, space in spaces.items():
        if "dead" not in lines[number]:
            private = numbers(lines[number], r" (\d+) KB of")[0] // 4
            writable = [p for p in space.guest_pages() if p.writable and p.va != 0x1000]
            assert private == len(writable), lines[number]
    assert "4 VMs: " in text and "1 idle, 1 dead" in text


def test_vm_shows_registers_and_virtual_registers(machine: Machine) -> None:
    """The registers are the guest's own, to the bit; the virtual ones are those in its page."""
    space = machine.spaces()[1]
    text = gdb(machine, "denali vm 1")
    for name, value in KNOWN.items():
        assert f"{name} {value:08x}" in text, text
    for name, offset in (("virq_handler", 4), ("virq_pending", 0x14), ("image_end", 0x4C)):
        assert numbers(text, rf"\b{name} +(0x\w+)") == [space.word(0x1000 + offset)], text
    assert numbers(text, r"\bnumber +(0x\w+)") == [1]


def test_pt_shows_what_is_mapped_and_how(machine: Machine) -> None:
    """Isolation is what isn't in the table: every page of every VM, with its rights."""
    for number, space in machine.spaces().items():
        if number == 3:
            continue  # it has ended: what is left of its directory isn't the kernel's any more
        text = gdb(machine, f"denali pt {number}")
        shown = {}
        for start, end, words in re.findall(r"^  (\w{8})-(\w{8}) .*?(ring 3.*)$", text, re.M):
            for va in range(int(start, 16), int(end, 16), PAGE):
                shown[va] = "read-write" in words
        assert shown == {page.va: page.writable for page in space.guest_pages()}, text
        assert numbers(text, r"machine address (0x\w+)") == [space.directory]
        assert re.search(r"^  40000000-\w+ .*kernel read-write.* global$", text, re.M), text


def test_pt_walks_to_one_address(machine: Machine) -> None:
    """Where an address ends up, and through which entries."""
    space = machine.spaces()[1]
    page = space.translate(0x2004)
    assert page
    text = gdb(machine, "denali pt 1 0x2004", "denali pt 1 0", "denali pt 1 0x40100000")
    assert f"0x2004 is machine address {page.pa + 4:#x}: ring 3" in text, text
    assert f"directory entry at {space.directory:08x}" in text
    assert f"table     entry at {space.tables()[0] + 8:08x}" in text
    assert "0x0 isn't mapped: nothing" in text
    assert "0x40100000 is machine address 0x100000: kernel read-write global" in text


def test_virq_shows_mask_handler_and_counts(machine: Machine) -> None:
    """A lost wake-up is looked for here: what is pending, and may it come."""
    space = machine.spaces()[1]
    text = gdb(machine, "denali virq 1", "denali virq 2")
    one, _, two = text.rpartition("vm 2: ")
    assert "pending    0x2: network" in one or "pending    0x2: net" in one, one
    assert "enabled    no (0x0 in its page)" in one
    assert numbers(one, r"handler +(0x\w+)") == [space.word(0x1004)]
    assert numbers(one, r"posted (\d+), merged (\d+), delivered (\d+)")[::2] == [1, 0], one
    assert two.startswith("idle, in idle") and "pending    0x0: none" in two, two
    assert re.search(r"handler +0x0$", two, re.MULTILINE), two  # no symbol is at 0


def test_frames_adds_up(machine: Machine) -> None:
    """The account of frames is the kernel's, complete."""
    at = machine.kernel.address("frame_count") - KERNEL_BASE
    text = gdb(machine, "denali frames")
    counts = [int(m) for m in re.findall(r"^  \S.*? +(\d+) frames", text, re.MULTILINE)]
    assert counts[:-1] == [machine.memory.word(at + 4 * i) for i in range(len(counts) - 1)], text
    assert sum(counts[:-1]) == counts[-1] > 60000
    assert re.search(r"free +\d+ frames", text) and re.search(r"page tables +3 frames", text), text


def test_trace_shows_the_last_events(machine: Machine) -> None:
    """The same events as the ring in RAM has, the newest last."""
    kernel = Kernel(Path(machine.run.kernel), ROOT)
    ring = Ring(kernel, machine.memory.read)
    ring.only_last(7)
    ring.poll()
    text = gdb(machine, "denali trace 7")
    shown = re.findall(r"^ +(\d+\.\d{9})  (vm \d    | {8})  ([a-z].*)$", text, re.MULTILINE)
    events = ring.events()
    assert [at for at, _, _ in shown] == [f"{event.ns / 1e9:.9f}" for event in events], text
    whose = ["" if event.vm == NO_VM else f"vm {event.vm}" for event in events]
    assert [who.strip() for _, who, _ in shown] == whose, text
    turns = [what for (_, _, what), event in zip(shown, events, strict=True) if event.kind == "state"]
    assert all(re.fullmatch(r"\w+ to \w+", turn) for turn in turns), text
    assert len(shown) == 7, text


def test_stop_says_who_runs(lab: Lab) -> None:
    """All guests share their addresses: at a stop one must be told which one it is."""
    machine = lab.boot(lab.guest("spin", count=2))
    machine.expect("denali>")
    text = gdb(
        machine, "guest 2", "hbreak main", "continue", "info symbol $pc", "continue", "continue",
        "delete", "hbreak run_guest_trap", "continue", "denali vm",
    )  # fmt: skip
    assert "guest symbols: spin" in text, text
    assert "main in section .text" in text, text
    stops = re.findall(r"^\[(.*)\]$", text, re.MULTILINE)
    assert {"guest 1 (spin)", "guest 2 (spin)"} & set(stops), text
    last = re.search(r"^\[the kernel, for guest (\d) \(spin\)\]$", text, re.MULTILINE)
    assert last and f"vm {last[1]}: running, spin" in text, text


def test_what_is_not_there_is_said(machine: Machine) -> None:
    """A wrong number or word gives a sentence, never Python's traceback."""
    text = gdb(
        machine, "denali vm 9", "denali vm x", "denali pt 3", "denali virq 3", "guest 9",
        "guest nobody", "denali trace x",
    )  # fmt: skip
    assert "there is no VM 9: numbers go up to 4" in text
    assert "x: a number is wanted for K" in text and "a number is wanted for N" in text
    assert "VM 3 is dead: it has no address space" in text, text
    assert "nobody.elf to take symbols from" in text
    assert "Traceback" not in text and "Python Exception" not in text


def test_before_the_kernel_runs_it_says_so(lab: Lab) -> None:
    """`make gdb` connects before the first instruction: nothing is there yet."""
    machine = lab.boot("hello", extra=("-S",))
    commands = ("vms", "vm 1", "pt", "pt 1", "virq 1", "frames", "trace")
    text = gdb(machine, *(f"denali {command}" for command in commands), "tbreak main", "continue")
    assert text.count("the kernel has made no VMs yet") >= 4, text
    assert "paging is off" in text and "keeps no trace" in text and "no frames yet" in text
    assert "main (" in text and "[the kernel]" in text
    assert "Traceback" not in text and "Python Exception" not in text


@pytest.mark.long
@pytest.mark.parametrize("stage", range(1, 7))
def test_every_stage_is_understood(lab: Lab, stage: int) -> None:
    """The pack comes with lab 1, long before there are VMs: what isn't there yet is said."""
    folder = lab.build / f"stage/lab{stage}"
    line = ["make", "-s", "SETUP=no", f"LAB={stage}", f"O={folder}", "kernel", "programs"]
    if "DENALI_CC" in os.environ:
        line.append(f"CC={os.environ['DENALI_CC']}")
    subprocess.run(line, check=True, capture_output=True, timeout=300)
    modules = [Module(folder.resolve() / "user/hello")] if stage > 1 else []
    machine = lab.boot(*modules, kernel=folder / "kern/denali")
    machine.expect("vm 1: terminated" if modules else "denali>")
    commands = ("frames", "vms", "vm 1", "pt", "virq 1", "trace 3")
    text = gdb(machine, *(f"denali {command}" for command in commands), kernel=folder / "kern/denali")
    assert re.search(r"free +\d+ frames", text), text
    assert re.search(r"40000000-\w+ .*kernel read-write.* global", text), text
    if stage == 1:
        assert text.count("this kernel has no virtual machines: lab 2 brings them") == 2, text
    else:
        assert re.search(r"^vm 1 +(dead|dying) +hello ", text, re.MULTILINE), text
    if stage < 3:
        assert "this kernel has no virtual interrupts: lab 3 brings them" in text, text
    assert "Traceback" not in text and "Python Exception" not in text
