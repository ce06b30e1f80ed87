# SPDX-License-Identifier: MIT
"""Exercise 2.2: `space_destroy`, from the frames that are free afterwards and what others still have."""

from __future__ import annotations

from grade.graded.bench import Bench
from grade.graded.calls import Result, Value
from grade.graded.marks import exercise, points, rule
from grade.harness.memory import KERNEL_BASE, PAGE
from grade.harness.verdict import holds, same
from grade.lab2.vms import (
    ENTRIES,
    FIRST,
    GUEST,
    GUEST_LIMIT,
    IMAGE_PAGE,
    KERNEL_FIRST,
    MB,
    P,
    RIGHTS,
    TABLE,
    U,
    Vms,
    entries,
    same_counts,
    seen,
)  # fmt: skip

pytestmark = exercise("2.2")

SECTION = "lab2.html#exercise-2-2"
TABLE_COST = 16  # SPACE_TABLE_COST
SPACE = 3  # frames of a new space
ALL = 0xFFFFFFFF  # a budget that no space uses up


class Space:
    """A space that was created in a table of calls, and what was mapped in it."""

    def __init__(self, vms: Vms, number: int) -> None:
        self.vms = vms
        self.call = vms.calls.call
        self.vm = vms.vm(number)
        self.pages: dict[int, Result] = {}
        self.secrets: list[tuple[Result, int]] = []
        self.call("space_create", self.vm)

    def map(self, address: int, frame: Value, flags: int = RIGHTS) -> None:
        """Map a page to somebody's frame."""
        self.call("space_map", self.vm, address, frame, flags)

    def own(self, address: int) -> None:
        """Map a page to a new frame of the VM's, with a secret in it."""
        frame = self.call("frame_alloc", GUEST, 0)
        secret = self.vms.rng.getrandbits(32)
        self.vms.calls.store(frame + KERNEL_BASE, secret)
        self.map(address, frame)
        self.pages[address] = frame
        self.secrets.append((frame, secret))

    def fill(self, count: int) -> None:
        """Map `count` pages of the VM's own all over its memory, and say so in vm->frames."""
        places = self.vms.rng.sample(range(2, 40 * MB // PAGE), count - 1)
        for place in (*places, GUEST_LIMIT // PAGE - 1):
            self.own(place * PAGE)
        self.call("driver_vm_set_frames", self.vm, count)

    def destroy(self, budget: int = ALL) -> Result:
        """One call of space_destroy."""
        return self.call("space_destroy", self.vm, budget)

    def look(self) -> list[Result]:
        """The secrets that stand in its pages at this moment."""
        return [self.vms.calls.load(frame + KERNEL_BASE) for frame, _ in self.secrets]

    def state(self) -> list[Result]:
        """vm->directory, vm->vregs, vm->frames."""
        return [self.vms.directory(self.vm), self.vms.vregs(self.vm),
                self.call("driver_vm_frames", self.vm)]  # fmt: skip


@points(3)
@rule(
    "What a VM had comes back, all of it, and nothing of anybody else's.",
    section=SECTION,
    breakpoint="space_destroy",
)
def test_a_thousand_lives_leave_nothing(bench: Bench) -> None:
    """A frame lost at each end of a VM is a machine that has to be restarted every week."""
    vms = Vms(bench, 60)
    kernel = vms.calls.address("kernel_directory")
    marks = [KERNEL_FIRST + 700, ENTRIES - 1]
    for i in marks:  # what is in the kernel's half is nobody's to give back
        vms.calls.store(kernel + 4 * i, (FIRST + 20 * MB) | P)
    witness = Space(vms, 1)
    witness.fill(10)
    before, again = vms.counts(), []
    for life in range(1000):
        space = Space(vms, 2 + life % 20)
        space.fill(3)
        again.append(space.destroy())
        if life % 100 == 99:
            again.append(space.destroy())  # nothing is left: that is no error
    after, found = vms.counts(), witness.look()
    results = vms.calls.run()
    same("answers that there is more to do, with a budget for everything",
         sum(results.flag(one) for one in again), 0)  # fmt: skip
    same_counts("after a thousand lives", seen(results, after), seen(results, before))
    same("secrets in the pages of a VM that went on", seen(results, found),
         [secret for _, secret in witness.secrets])  # fmt: skip


@points(2)
@rule(
    "vm->frames falls with each guest page given back; a page of the image isn't the VM's to give.",
    section=SECTION,
    breakpoint="space_destroy",
)
def test_what_is_not_the_vms_stays(bench: Bench) -> None:
    """Whoever frees what it doesn't own pulls the page from under a neighbour."""
    vms = Vms(bench, 60)
    other, space = Space(vms, 1), Space(vms, 2)
    other.fill(12)
    shared = list(other.pages.values())
    for i, frame in enumerate(shared[:6]):
        space.map(3 * MB + i * PAGE, frame, P | U | IMAGE_PAGE)
    for i, frame in enumerate(shared[6:]):  # no entry that is present: these are notes
        space.map(3 * MB + (i + 10) * PAGE, frame, RIGHTS & ~P)
    space.fill(7)
    vms.calls.call("driver_vm_set_frames", space.vm, 50)
    answer, state, counts, found = space.destroy(), space.state(), vms.counts(), other.look()
    directory = vms.directory(other.vm)
    results = vms.calls.run()
    same("is there more to do?", results.flag(answer), False)
    same("vm->directory, vm->vregs and vm->frames, which was 50, of a VM with 7 pages of its own",
         seen(results, state), [0, 0, 43])  # fmt: skip
    same("frames in use: guests', registers', directories': the other VM's alone are left",
         seen(results, counts)[1:4], [12, 1, 1])  # fmt: skip
    same("secrets in the pages of the other VM", seen(results, found), [s for _, s in other.secrets])
    kernel = results.words(vms.calls.address("kernel_directory"), ENTRIES)
    same("the other VM's view of the kernel",
         entries(results, results[directory] - KERNEL_BASE)[KERNEL_FIRST:], kernel[KERNEL_FIRST:])  # fmt: skip


@points(3)
@rule(
    "A call spends no more than its budget, gets further, and says whether there is more to do.",
    section=SECTION,
    breakpoint="space_destroy",
)
def test_a_budget_bounds_each_call(bench: Bench) -> None:
    """A VM of 16 MB that is freed at one go holds up ten thousand others."""
    for budget in (TABLE_COST + 1, bench.rng.randrange(TABLE_COST + 2, 40), 64):
        check_budget(bench, budget)
    check_tables(bench, 64)
    check_looks(bench, 4 * TABLE_COST - 1)


def check_tables(bench: Bench, budget: int) -> None:
    """A space of many page tables, each with a single page: the looks are what costs."""
    vms, tables = Vms(bench, 120), 40
    space = Space(vms, 1)
    for i in range(tables):
        space.own((2 + i) * 4 * MB + bench.rng.randrange(ENTRIES) * PAGE)
    vms.calls.call("driver_vm_set_frames", space.vm, tables)
    slices = [(space.destroy(budget), vms.count(GUEST)) for _ in range(2 * tables)]
    results = vms.calls.run()
    left, most = tables, budget // (TABLE_COST + 1)
    for number, (_, now) in enumerate(slices, 1):
        given, left = left - results[now], results[now]
        holds(given <= most, f"pages given back by call {number}, with {budget} units, each page in a table"
              f" of its own, which costs {TABLE_COST} to look through", f"at most {most}", given)  # fmt: skip
    same("pages left in the end", left, 0)


def check_looks(bench: Bench, budget: int) -> None:
    """A space of many page tables with one page each of an image, which costs nothing: a look that
    can be paid for in part alone is left to the next call."""
    vms, tables = Vms(bench, 120), 40
    other, space = Space(vms, 1), Space(vms, 2)
    other.own(8 * MB)
    for i in range(tables):
        address = (2 + i) * 4 * MB + bench.rng.randrange(ENTRIES) * PAGE
        space.map(address, other.pages[8 * MB], P | U | IMAGE_PAGE)
    before = vms.count(TABLE)
    slices = [(space.destroy(budget), vms.count(TABLE)) for _ in range(tables)]
    results = vms.calls.run()
    for number, (_, now) in enumerate(slices, 1):
        given, most = results[before] - results[now], number * (budget // TABLE_COST)
        holds(given <= most, f"page tables given back by {number} calls with {budget} units each, of tables"
              f" that cost {TABLE_COST} each to look through", f"at most {most}", given)  # fmt: skip
    same("page tables given back in the end", results[before] - results[slices[-1][1]], tables + 1)


def check_budget(bench: Bench, budget: int) -> None:
    """Take a space apart in slices of `budget`."""
    vms, pages = Vms(bench, 200), 90
    witness, space = Space(vms, 1), Space(vms, 2)
    witness.fill(5)
    before = vms.count()
    for i in range(pages - 1):
        space.own(8 * MB + i * PAGE)
    space.own(300 * MB)
    vms.calls.call("driver_vm_set_frames", space.vm, pages)
    free, slices = vms.count(), []
    for _ in range(2 * pages):  # each must get further: even one by one that is enough
        slices.append((space.destroy(budget), vms.count()))
    state, counts, found = space.state(), vms.counts(), witness.look()
    results = vms.calls.run()
    left = results[free]
    for number, (more, now) in enumerate(slices, 1):
        freed, left = results[now] - left, results[now]
        holds(freed <= budget, f"frames given back by call {number} with a budget of {budget} units",
              f"at most {budget}", freed)  # fmt: skip
        holds(freed > 0 or not results.flag(more), f"call {number}, with more to do, gets further",
              "frames given back", freed)  # fmt: skip
    finished = sum(results.flag(more) for more, _ in slices)
    least = pages // budget
    holds(least <= finished < len(slices), f"calls that say there is more, of {pages} pages with {budget} units each",
          f"at least {least}, and an end", finished)  # fmt: skip
    same("vm->directory, vm->vregs, vm->frames in the end", seen(results, state), [0, 0, 0])
    same("frames in use in the end: guests', registers', directories'",
         seen(results, counts)[1:4], [5, 1, 1])  # fmt: skip
    same("secrets of a VM that went on", seen(results, found), [s for _, s in witness.secrets])
    same("frames free in the end: what the space was made of, and what it got", results[counts[0]],
         results[before] + SPACE)  # fmt: skip


@points(2)
@rule(
    "The processor leaves a space before any of its frames is given back; a space that isn't there is no error.",
    section=SECTION,
    breakpoint="space_destroy",
)
def test_the_processor_leaves_first(bench: Bench) -> None:
    """A directory that is free but in CR3 is somebody else's data, read as page tables."""
    vms = Vms(bench, 30)
    calls = vms.calls
    nobody = vms.vm(3)
    nothing = calls.call("space_destroy", nobody, ALL)
    space = Space(vms, 1)
    space.fill(4)
    calls.store(calls.address("driver_unload_count"), 0)
    free = vms.count()
    answer, state = space.destroy(), space.state()
    count, who, then = (calls.load(calls.address(f"driver_{name}"))
                        for name in ("unload_count", "unloaded", "unload_free"))  # fmt: skip
    after = vms.count()
    results = calls.run()
    same("is there more to do, of a VM without a space, and of one with a budget for all?",
         [results.flag(nothing), results.flag(answer)], [False, False])  # fmt: skip
    same("vm->directory, vm->vregs, vm->frames", seen(results, state), [0, 0, 0])
    holds(results[count] >= 1, "run_unload is called, whoever runs", "at least once", results[count])
    same("the VM that run_unload was called for", results[who], results[space.vm])
    same("frames free when run_unload was called first", results[then], results[free])
    same("frames free in the end", results[after], 30)
