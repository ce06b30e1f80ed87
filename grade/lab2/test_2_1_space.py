# SPDX-License-Identifier: MIT
"""Exercise 2.1: `space_map` and `space_create`, from the page tables as the processor sees them.

Spaces are made by calls, in frames full of rubbish, and walked from their directories.
"""

from __future__ import annotations

from grade.graded.bench import Bench
from grade.graded.calls import Result, Results
from grade.graded.marks import exercise, points, rule
from grade.harness.memory import KERNEL_BASE, PAGE, Memory, Space
from grade.harness.verdict import holds, same
from grade.lab2.vms import (
    DIRECTORY,
    ENTRIES,
    E_NOMEM,
    GUEST,
    GUEST_LIMIT,
    IMAGE_BASE,
    KERNEL_FIRST,
    LAST,
    MB,
    P,
    RIGHTS,
    TABLE,
    U,
    VREGS_BASE,
    VREGS_USE,
    W,
    Vms,
    entries,
    same_counts,
    seen,
    words_of,
)  # fmt: skip

pytestmark = exercise("2.1")

SECTION = "lab2.html#exercise-2-1"


def check_mapped(what: str, entry: int, rights: int = RIGHTS) -> None:
    """An entry is present, with these rights, and leads to RAM."""
    same(f"{what}: present, writable, for ring 3", entry & RIGHTS, rights)
    holds(0 < entry & ~0xFFF < LAST, f"{what} leads to a frame", "RAM", entry)


def check_empty(what: str, table: list[int], used: int, end: int = ENTRIES) -> None:
    """All entries up to `end` but one are 0."""
    rest = {i: entry for i, entry in enumerate(table[:end]) if entry and i != used}
    holds(not rest, f"{what}: every entry but [{used}] is 0", "zeros",
          ", ".join(f"[{i}]: {entry:#x}" for i, entry in list(rest.items())[:4]))  # fmt: skip


def check_new(results: Results, directory: int, vregs: int, kernel: list[int]) -> set[int]:
    """A new space is what the contract says, all of it. Gives its three frames."""
    first = entries(results, directory)
    check_empty("guest's half of the directory", first, 0, KERNEL_FIRST)
    check_mapped("directory entry [0]", first[0])
    same("kernel's half of the directory", first[KERNEL_FIRST:], kernel[KERNEL_FIRST:])
    table = entries(results, first[0] & ~0xFFF)
    check_empty("page table of the first 4 MB", table, VREGS_BASE // PAGE)
    check_mapped("entry of VREGS_BASE", table[1])
    same("vm->vregs: the frame at VREGS_BASE", vregs - KERNEL_BASE, table[1] & ~0xFFF)
    page = results.read(vregs, PAGE)
    same("bytes of the page of virtual registers that aren't 0", PAGE - page.count(0), 0)
    return {directory, first[0] & ~0xFFF, table[1] & ~0xFFF}


@points(5)
@rule(
    "A new space has the kernel's half, the page of virtual registers, and nothing else.",
    section=SECTION,
    breakpoint="space_create",
)
def test_new_space_holds_nothing_but_its_registers(bench: Bench) -> None:
    """Isolation is what is not mapped: an entry too many is somebody else's page."""
    vms, rng = Vms(bench, 64), bench.rng
    kernel = vms.calls.address("kernel_directory")
    marks = {i: rng.getrandbits(31) << 1 for i in (KERNEL_FIRST + 700, ENTRIES - 2, ENTRIES - 1)}
    for i, mark in marks.items():  # not present, but the kernel's all the same
        vms.calls.store(kernel + 4 * i, mark)
    made = []
    for number in range(1, 9):
        vm = vms.vm(number)
        error = vms.calls.call("space_create", vm)
        made.append((error, vms.directory(vm), vms.vregs(vm)))
    uses = [(vms.use(d + -KERNEL_BASE), vms.use(v + -KERNEL_BASE)) for _, d, v in made]
    counts = vms.counts()
    results = vms.calls.run()
    expected = results.words(kernel, ENTRIES)
    frames: set[int] = set()
    for error, directory, vregs in made:
        same("result of space_create", results.signed(error), 0)
        frames |= check_new(results, results[directory] - KERNEL_BASE, results[vregs], expected)
    same("frames of eight spaces, three each, no two the same", len(frames), 24)
    same("what directory and register page are frames of",
         [seen(results, pair) for pair in uses], [[DIRECTORY, VREGS_USE]] * 8)  # fmt: skip
    same_counts("with eight spaces", seen(results, counts), [40, 0, 8, 8, 8])


def map_pages(vms: Vms, vm: Result, count: int) -> dict[int, tuple[Result, int, int]]:
    """Map pages of new frames, each with a secret in it: address, then frame, rights, secret."""
    places = vms.rng.sample(range(IMAGE_BASE // PAGE, 5 * MB // PAGE), count - 2)
    places += [GUEST_LIMIT // PAGE - 1, vms.rng.randrange(6 * MB, GUEST_LIMIT // 2) // PAGE]
    mapped = {}
    for place in places:
        frame, secret = vms.calls.call("frame_alloc", GUEST, 1), vms.rng.getrandbits(32)
        rights = vms.rng.choice((P | U, RIGHTS))
        vms.calls.store(frame + KERNEL_BASE, secret)
        vms.calls.call("space_map", vm, place * PAGE, frame, rights)
        mapped[place * PAGE] = (frame, rights, secret)
    return mapped


def _rights(entry: int) -> str:
    return " ".join(name for name, bit in (("P", P), ("W", W), ("U", U)) if entry & bit)


def check_reach(memory: Memory, space: Space, expected: dict[int, tuple[int, int]]) -> set[int]:
    """What ring 3 reaches in `space` is just what was mapped; the frames."""
    reached = [page for page in space.pages() if page.user or page.va < KERNEL_BASE]
    same("pages that ring 3 reaches", [page.va for page in reached], sorted(expected))
    for page in reached:
        rights, secret = expected[page.va]
        table = memory.word(space.directory + (page.va >> 22) * 4)
        entry = memory.word((table & ~0xFFF) + (page.va >> 12 & 1023) * 4)
        holds(page.writable == bool(rights & W), f"ring 3 may write at {page.va:#x}", bool(rights & W),
              f"{page.writable}: the table's entry has {_rights(table)}, the page's {_rights(entry)}")  # fmt: skip
        same(f"the word that stands at {page.va:#x}", memory.word(page.pa), secret)
    return {page.pa for page in reached} | {space.directory, *space.tables()}


@points(4)
@rule(
    "What ring 3 reaches is what was mapped for this VM, with these rights, and no other VM's.",
    section=SECTION,
    breakpoint="space_map",
)
def test_no_space_reaches_into_another(bench: Bench) -> None:
    """Walked as the processor walks it: a frame that two VMs reach is a wall with a door in it."""
    vms, made = Vms(bench, 400), []
    for number in range(1, 9):
        vm, secret = vms.vm(number), bench.rng.getrandbits(32)
        vms.calls.call("space_create", vm)
        directory, vregs = vms.directory(vm), vms.vregs(vm)
        vms.calls.store(vregs, secret)
        made.append((directory, secret, map_pages(vms, vm, 12)))
    results = vms.calls.run()
    memory = results.machine.memory
    owned: set[int] = set()
    for directory, secret, mapped in made:
        space = Space(memory, results[directory] - KERNEL_BASE)
        expected = {va: (rights, word) for va, (_, rights, word) in mapped.items()}
        frames = check_reach(memory, space, {**expected, VREGS_BASE: (RIGHTS, secret)})
        holds(not owned & frames, "no frame is in two spaces", "none", sorted(owned & frames))
        owned |= frames


@points(3)
@rule(
    "When frames run out, space_create undoes all that it did.",
    section=SECTION,
    breakpoint="space_create",
)
def test_creation_that_runs_out_leaves_nothing(bench: Bench) -> None:
    """Memory runs out in the middle as well as at the beginning; what is lost then is lost for good."""
    for frames in (0, 1, 2):
        check_running_out(bench, frames)


def check_running_out(bench: Bench, frames: int) -> None:
    """Three frames for one space, and too few for another."""
    vms = Vms(bench, frames + 3)
    tries = []
    witness = vms.vm(1)
    first = vms.calls.call("space_create", witness)
    for number in (2, 3):
        vm = vms.vm(number)
        error = vms.calls.call("space_create", vm)
        tries.append((error, vms.directory(vm), vms.vregs(vm), vms.counts()))
    directory, vregs = vms.directory(witness), vms.vregs(witness)
    results = vms.calls.run()
    same("result of space_create, with three frames left", results.signed(first), 0)
    for error, its_directory, its_vregs, counts in tries:
        same(f"result of space_create, with {frames} frames left", results.signed(error), E_NOMEM)
        same("vm->directory and vm->vregs then", seen(results, [its_directory, its_vregs]), [0, 0])
        same_counts(f"with one space, and another that found {frames} frames", seen(results, counts),
                    [frames, 0, 1, 1, 1])  # fmt: skip
    kernel = results.words(vms.calls.address("kernel_directory"), ENTRIES)
    check_new(results, results[directory] - KERNEL_BASE, results[vregs], kernel)


@points(3)
@rule(
    "space_map takes one zeroed page table for each 4 MB that needs one; without a frame nothing changes.",
    section=SECTION,
    breakpoint="space_map",
)
def test_mapping_takes_one_table_for_each_4_mb(bench: Bench) -> None:
    """A table for every page would eat the machine; a table full of rubbish would open it."""
    vms = Vms(bench, 5)
    call = vms.calls.call
    vm = vms.vm(1)
    call("space_create", vm)
    at = 4 * MB * bench.rng.randrange(2, 200) + PAGE * bench.rng.randrange(100, 900)
    frame = (LAST - 4 * MB) | P | U
    steps = [at, at + PAGE, at + 4 * MB, at + 8 * MB, at - PAGE]
    made = [(call("space_map", vm, a, frame - P - U, P | U), vms.count(TABLE)) for a in steps]
    again = call("space_map", vm, at + PAGE, frame + PAGE - P - U, RIGHTS)
    directory = vms.directory(vm)
    results = vms.calls.run()
    same("results of space_map, with two frames for tables: the third 4 MB has none",
         [results.signed(error) for error, _ in made], [0, 0, 0, E_NOMEM, 0])  # fmt: skip
    same("frames in use for tables after each", [results[n] for _, n in made], [2, 2, 3, 3, 3])
    same("result of mapping a page anew", results.signed(again), 0)
    first = words_of(results.read(results[directory], 1024))
    slot = at >> 22
    same("directory entries of the guest's half that are in use",
         [i for i, entry in enumerate(first) if entry], [0, slot, slot + 1])  # fmt: skip
    table = entries(results, first[slot] & ~0xFFF)
    place = at >> 12 & 1023
    same("entries of the page table that aren't 0",
         {i: entry for i, entry in enumerate(table) if entry},
         {place - 1: frame, place: frame, place + 1: frame + PAGE | W})  # fmt: skip
