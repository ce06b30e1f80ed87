# SPDX-License-Identifier: MIT
"""Isolation, judged from the page tables as the processor sees them.

Nothing here asks the kernel what it believes: address spaces are found in machine memory and walked
from their directories, and every frame that a guest can reach is accounted for.
"""

from __future__ import annotations

import secrets
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from grade.harness.accounts import frames
from grade.harness.elf import Elf
from grade.harness.lab import Lab
from grade.harness.machine import Machine
from grade.harness.memory import KERNEL_BASE, PAGE, VREGS, Page, Space

# Touches text, data, heap and the top of memory, says so, and sleeps for ever.
SETTLE = """
static volatile u32 own[3000] = {1};
static int run(void)
{
	own[2999] = VREGS->number;
	*(volatile u32 *)(VREGS->memory_size - 4096) = VREGS->number;
	say("settled\\n");
	idle(IDLE_FOREVER);
	return 0;
}
"""


def _settled(lab: Lab, count: int = 4, options: str = "") -> Machine:
    """A machine whose `count` VMs of one image have all settled, stopped."""
    machine = lab.boot(lab.program(SETTLE, count=count), options=options)
    for _ in range(count):
        machine.expect(r"^\[vm \d+\] settled")
    machine.qmp.command("stop")
    return machine


def _image(machine: Machine) -> Elf:
    return Elf(Path(machine.run.modules[0].image))


def _text(space: Space, machine: Machine) -> list[Page]:
    """The pages of the image's read-only segment."""
    segments = _image(machine).segments
    end = segments[0].vaddr + segments[0].memsz
    return [page for page in space.guest_pages() if segments[0].vaddr <= page.va < end]


def _each(machine: Machine, count: int) -> Iterator[Space]:
    spaces = machine.spaces()
    assert sorted(spaces) == list(range(1, count + 1))
    yield from spaces.values()


@pytest.mark.quick
@pytest.mark.parametrize("options", ["", "back=all", "share=off", "back=all share=off"])
def test_guest_reaches_nothing_but_its_own(lab: Lab, options: str) -> None:
    """The heart of isolation: what a guest can reach is its RAM, not page 0, not the kernel, not a
    page table, and no frame that another VM can write."""
    machine = _settled(lab, options=options)
    writable: Counter[int] = Counter()
    forbidden: set[int] = set()
    mapped: list[Page] = []
    for space in _each(machine, 4):
        forbidden |= {space.directory, *space.tables()}
        for page in space.pages():
            if page.va >= KERNEL_BASE:
                assert not page.user, f"ring 3 reaches the kernel at {page.va:#x}"
                continue
            assert page.user and VREGS <= page.va < 16 << 20
            mapped.append(page)
            writable[page.pa] += page.writable
    kernel = range(0x100000, machine.kernel.address("kernel_end") - KERNEL_BASE)
    reach = Counter(page.pa for page in mapped)
    assert not forbidden & reach.keys(), "a guest reaches a page table"
    assert not [pa for pa in reach if pa in kernel or pa < 0x100000]
    assert all(reach[pa] == 1 for pa, count in writable.items() if count)


@pytest.mark.parametrize("options", ["", "share=off", "back=all"])
def test_text_is_read_only(lab: Lab, options: str) -> None:
    """Shared text that one VM can write is every VM's text; private text stays read-only, too, so
    that a guest behaves alike under every policy."""
    machine = _settled(lab, options=options)
    for space in _each(machine, 4):
        pages = _text(space, machine)
        assert pages and not any(page.writable for page in pages)


def test_image_pages_are_shared_until_written(lab: Lab) -> None:
    """A thousand VMs of one image must hold its unwritten pages once; a written one is private."""
    machine = _settled(lab)
    spaces = list(_each(machine, 4))
    assert len({tuple(page.pa for page in _text(space, machine)) for space in spaces}) == 1
    own = _image(machine).address("own")
    last = [space.translate(own + 4 * 2999) for space in spaces]
    assert len({page.pa for page in last if page}) == 4
    assert [space.word(own + 4 * 2999) for space in spaces] == [1, 2, 3, 4]


def test_sharing_can_be_turned_off(lab: Lab) -> None:
    """share=off is the control of every experiment on sharing: no guest frame may be in two VMs."""
    machine = _settled(lab, options="share=off")
    spaces = list(_each(machine, 4))
    frames = Counter(page.pa for space in spaces for page in space.guest_pages())
    assert set(frames.values()) == {1}
    assert all(_text(space, machine) for space in spaces)


def test_page_gets_its_frame_at_first_touch(lab: Lab) -> None:
    """A service of 12 KB in a space of 16 MB must cost about 12 KB."""
    machine = _settled(lab)
    for space in _each(machine, 4):
        assert len(space.guest_pages()) <= 16


def test_backing_everything_at_creation(lab: Lab) -> None:
    """back=all promises that no touch can fail later: each page of 16 MB but page 0 has a frame."""
    machine = _settled(lab, options="back=all")
    for space in _each(machine, 4):
        assert [page.va for page in space.guest_pages()] == list(range(VREGS, 16 << 20, PAGE))


def test_private_memory_does_not_survive_its_owner(lab: Lab) -> None:
    """A frame that changes hands must be empty. One VM fills 14 MB with a secret and ends; others
    then take all of the machine's memory, and must find nothing but zeros."""
    secret = secrets.randbits(32) | 1
    spill = f"""
    static int run(void)
    {{
    	for (u32 a = 1 << 20; a < 15 << 20; a += 4)
    		*(volatile u32 *)a = {secret}u;
    	return 0;
    }}
    """
    search = f"""
    static int run(void)
    {{
    	idle(now() + 500000000);
    	for (u32 a = 1 << 20; a < 15 << 20; a += 4) {{
    		CHECK(*(volatile u32 *)a == 0);
    		*(volatile u32 *)a = {~secret & 0xFFFFFFFF}u;
    	}}
    	return 0;
    }}
    """
    machine = lab.boot(lab.program(spill), lab.program(search, count=3), memory=64)
    for _ in range(4):
        machine.expect(r"^vm \d: terminated, status 0")


def test_memory_runs_out_for_the_one_who_asks(lab: Lab) -> None:
    """Whoever touches the page that isn't there ends; nobody else does, and what it had comes
    back: the VM that starts late finds room."""
    greedy = """
    static int run(void)
    {
    	for (u32 a = 1 << 20; a < VREGS->memory_size; a += 4096)
    		*(volatile u32 *)a = a;
    	say("full\\n");
    	idle(IDLE_FOREVER);
    	return 0;
    }
    """
    modest = """
    static int run(void)
    {
    	idle(now() + 1500000000);
    	for (u32 a = 1 << 20; a < 3 << 20; a += 4096)
    		*(volatile u32 *)a = a;
    	return 0;
    }
    """
    hogs = lab.program(greedy, count=2, memory="48M")
    machine = lab.boot(lab.program(modest), hogs, memory=64)
    machine.expect(r"^vm [23]: killed: out of memory")
    machine.expect(r"^vm 1: terminated, status 0")


def test_the_dead_leave_nothing(lab: Lab) -> None:
    """Undo everything: a page, a table or a directory that a dead VM keeps is lost for good. Fifty
    VMs of three kinds end in three ways; the machine then holds what it held for the one left."""
    touch = """
    static int run(void)
    {
    	for (u32 a = 1 << 20; a < VREGS->memory_size; a += 1 << 18)
    		*(volatile u32 *)a = a;
    	idle(now() + 50000000 + VREGS->number * 1000000);
    	if (VREGS->number % 2)
    		*(volatile u32 *)0 = 1;
    	return 0;
    }
    """
    alone = lab.boot(lab.program(SETTLE))
    alone.expect(r"settled")
    wanted = frames(alone)
    alone.close()
    machine = lab.boot(lab.program(SETTLE), lab.program(touch, count=40), lab.guest("hello", 10))
    for _ in range(50):
        machine.expect(r"^vm \d+: (terminated|killed)")
    left = frames(machine)
    wanted.pop("free"), left.pop("free")
    assert left == wanted
