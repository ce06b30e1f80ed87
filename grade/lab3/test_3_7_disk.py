# SPDX-License-Identifier: MIT
"""Exercise 3.7: transfers on virtual disks, from `vdisk_start` to `vdisk_done`."""

from __future__ import annotations

from grade.graded.bench import Bench
from grade.graded.calls import Address, Result
from grade.graded.marks import exercise, points, rule
from grade.harness.machine import Machine
from grade.harness.verdict import holds, same
from grade.lab3.virqs import (
    DISK,
    DYING,
    E_AGAIN,
    E_FAULT,
    E_INVAL,
    E_IO,
    E_NOENT,
    E_NOMEM,
    E_PERM,
    ENQUEUE,
    IDLE,
    POST,
    RELEASE,
    RUNNING,
    Chain,
    Records,
    State,
    content,
    kernel_word,
    run_out,
    state_name,
    volume,
)

pytestmark = exercise("3.7")

SECTION = "lab3.html#exercise-3-7"
PAGE = 4096
READ, WRITE = 0, 1  # enum block_operation
INFLIGHT = 32
VREGS, IMAGE_BASE = 0x1000, 0x2000

_IO = """
static char pages[40][4096] __attribute__((aligned(4096)));
static u32 taken;

/* Waits for one completion and links it. */
static UNUSED void
take(void)
{
	while (VREGS->disk_completed == taken)
		idle(IDLE_FOREVER);
	link_in(VREGS->disk_ring[taken % DISK_RING].tag);
	link_in((u32)VREGS->disk_ring[taken % DISK_RING].status);
	taken++;
}

static UNUSED i32
start(u32 number, u32 disk, u32 block, const void *page, u32 tag)
{
	return gate5(number, disk, block, (u32)page, tag, 0);
}
"""

_COPIES = """
static void
work(void)
{
	for (u32 i = 0; i < 6; i++) {
		link_in((u32)start(VI_DISK_READ, 0, 5 - i, pages[i], 100 + i));
		take();
		for (u32 at = 0; at < 4096; at += 64)
			link_in(*(u32 *)(pages[i] + at));
		link_in((u32)start(VI_DISK_WRITE, 1, i, pages[i], 200 + i));
		take();
	}
}
"""


@points(5)
@rule("A block goes to its place on its disk, and comes from there; the completion says which.", SECTION,
      "vdisk_start")  # fmt: skip
def test_blocks_go_where_they_belong(bench: Bench) -> None:
    """Where one block is off, a neighbour's data is gone."""
    blocks = [bench.rng.randbytes(PAGE) for _ in range(6)]
    guard = bench.rng.randbytes(PAGE) * 4
    image = volume(bench, 96, before=4, first=6, between=4, second=6, behind=4,
                   fill={"before": guard, "first": b"".join(blocks), "between": guard, "behind": guard})  # fmt: skip
    chain = Chain.draw(bench.rng)
    machine = bench.boot(
        chain.program(bench, _IO + _COPIES, disks=("first", "second")),
        image,
        options="when-done=exit disk=ram",
    )
    run_out(machine)
    values: list[int] = []
    for i, block in enumerate(reversed(blocks)):
        values += [0, 100 + i, 0, *(int.from_bytes(block[at : at + 4], "little") for at in range(0, PAGE, 64))]
        values += [0, 200 + i, 0]
    chain.check(machine, 1, values, "the guest reads what is on its disk, and is told of each end")
    now = content(bench, machine, image)
    before = guard + b"".join(blocks) + guard
    place = now.find(before)
    holds(place >= 0, "the disk that was read, and its neighbours", "unchanged", "changed")
    same("the disk that was written to", now[place + len(before) :][: 6 * PAGE] == b"".join(reversed(blocks)), True)
    same("its neighbour", now[place + len(before) + 6 * PAGE :][: 4 * PAGE] == guard, True)


_FAILS = """
static void
work(void)
{
	for (u32 i = 0; i < 8; i++)
		link_in((u32)start(i & 1 ? VI_DISK_WRITE : VI_DISK_READ, 0, i, pages[i], 7 * i));
	while (taken < 8)
		take();
	link_in((u32)start(VI_DISK_READ, 0, 0, pages[0], 99));
	take();
}
"""


@points(4)
@rule("What the device failed at, the guest is told as failed; what it did, as done.", SECTION,
      "vdisk_done")  # fmt: skip
def test_an_error_is_told_as_one(bench: Bench) -> None:
    """A service that is told "done" forgets its own copy."""
    chain = Chain.draw(bench.rng)
    plan = "1us,1us,1us,50us,60us:eio,70us,80us,30us:eio,90us,20us,100us:eio,5us"
    machine = bench.boot(
        chain.program(bench, _IO + _FAILS, disks=("data",)),
        volume(bench, data=8),
        options=f"when-done=exit disk=ram ramdisk-plan={plan}",
    )
    run_out(machine)
    times = [(50, 0), (60, E_IO), (70, 0), (80, 0), (30, E_IO), (90, 0), (20, 0), (100, E_IO)]
    values = [0] * 8
    for i in sorted(range(8), key=lambda i: times[i][0]):
        values += [7 * i, times[i][1]]
    chain.check(machine, 1, [*values, 0, 99, 0], "eight transfers end as the device's plan has it")


class Starts:
    """Calls of vdisk_start for a made-up VM with one disk, and what went to the queue."""

    def __init__(self, bench: Bench) -> None:
        self.records = Records(bench, memory=64)
        self.calls = self.records.calls
        self.records.note()
        pages = self.calls.words(
            [0x10000, 0, 0, 1, 0x11000, 0, 0, 0, VREGS, 0, 0, 1, IMAGE_BASE, 0, 0, 1]
        )
        self.page, self.other = (self.calls.data(PAGE, align=PAGE) for _ in range(2))
        self.calls.point(pages + 8, self.page)
        self.calls.point(pages + 24, self.other)
        self.calls.point(pages + 40, self.other)
        self.calls.point(pages + 56, self.other)
        self.calls.store(self.calls.address("driver_pages"), pages)
        self.calls.store(self.calls.address("driver_page_count"), 4)
        self.vm = self.records.record(3)
        self.made: list[tuple[tuple[int, ...], int, Result, Result, Result, Address]] = []
        self.under_way: list[tuple[int, Result]] = []  # before, and after

    def start(
        self, first: int, blocks: int, operation: int, disk: int, block: int, address: int,
        shared: bool = False, under_way: int = 0, wanted: int = 0,
    ) -> None:  # fmt: skip
        """One call; it has to give `wanted`."""
        calls, records = self.calls, self.records
        tag = records.rng.getrandbits(32)
        records.set(self.vm, State(state=RUNNING))
        calls.call("driver_give_disk", self.vm, first, blocks, int(shared), under_way)
        element = calls.words([disk, block, address, tag])
        before = records.noted()
        result = calls.call("vdisk_start", self.vm, operation, element)
        after, request = records.noted(), calls.data(7 * 4)
        self.under_way.append((under_way, calls.call("driver_under_way")))
        calls.copy(request, calls.address("driver_request"), 7 * 4)
        what = (first, blocks, operation, disk, block, address, tag)
        self.made.append((what, wanted, result, before, after, request))

    def check(self) -> None:
        """Compare results, and what went to the device."""
        results = self.calls.run()
        for (what, wanted, result, before, after, request), (had, has) in zip(self.made, self.under_way):
            first, blocks, operation, disk, block, address, tag = what
            case = (f"vdisk_start of {'a write' if operation == WRITE else 'a read'} of block {block:#x}"
                    f" of disk {disk} (blocks {first:#x} to {first + blocks - 1:#x}) at {address:#x}")  # fmt: skip
            same(f"{case}: its result", results.signed(result), wanted)
            kinds = [kind for kind, _, _ in self.records.notes(results, results[before], results[after])]
            same(f"{case}: transfers that went to the queue", kinds.count(ENQUEUE), int(wanted == 0))
            same(f"{case}: transfers under way", results[has], had + (wanted == 0))
            if wanted == 0:
                page = results.at(self.page if address == 0x10000 else self.other) - (1 << 30)
                found = results.words(request, 7)
                sector = found[5] | found[6] << 32
                same(f"{case}: its first sector", f"{sector:#x}", f"{(first + block) * 8:#x}")
                same(f"{case}: operation, bytes, memory, address, tag", found[:5],
                     [operation, PAGE, page, address, tag])  # fmt: skip


@points(4)
@rule("What is wrong is refused; what is right starts as the guest asked: a sector has 64 bits.", SECTION,
      "vdisk_start")  # fmt: skip
def test_what_is_wrong_is_refused_and_starts_nothing(bench: Bench) -> None:
    """Block times eight doesn't fit in 32 bits: it would be a block of somebody else's."""
    starts = Starts(bench)
    rng = bench.rng
    for first in (4, rng.randrange(1 << 20), (1 << 29) - 3, rng.randrange(1 << 30, 1 << 31), 0xF0000000):
        starts.start(first, 8, READ, 0, 7, 0x10000)
        starts.start(first, 8, WRITE, 0, rng.randrange(8), rng.choice((0x10000, 0x11000)))
        starts.start(first, 8, READ, 0, 8, 0x10000, wanted=E_INVAL)
        starts.start(first, 8, WRITE, 0, 0x20000000, 0x10000, wanted=E_INVAL)
        starts.start(first, 8, READ, 0, 0xFFFFFFFF, 0x10000, wanted=E_INVAL)
    starts.start(9, 8, READ, 0, 0, 0x11000, wanted=E_FAULT)
    starts.start(9, 8, WRITE, 0, 0, 0x11000)
    starts.start(9, 8, READ, 1, 0, 0x10000, wanted=E_NOENT)
    starts.start(9, 8, READ, 0xFFFFFFFF, 0, 0x10000, wanted=E_NOENT)
    starts.start(9, 8, READ, 0, 0, 0x10004, wanted=E_INVAL)
    starts.start(9, 8, READ, 0, 0, VREGS, wanted=E_FAULT)
    starts.start(9, 8, WRITE, 0, 0, 0, wanted=E_FAULT)
    starts.start(9, 8, READ, 0, 0, 0x20000, wanted=E_FAULT)
    starts.start(9, 8, WRITE, 0, 1, 0x10000, shared=True, wanted=E_PERM)
    starts.start(9, 8, READ, 0, 1, 0x10000, shared=True)
    starts.start(9, 8, READ, 0, 1, 0x10000, under_way=INFLIGHT - 1)
    starts.start(9, 8, READ, 0, 1, 0x10000, under_way=INFLIGHT, wanted=E_AGAIN)
    starts.start(9, 8, READ, 0, 1, IMAGE_BASE)
    starts.calls.call("driver_use_up_memory")
    starts.start(9, 8, WRITE, 0, 1, 0x10000, wanted=E_NOMEM)
    starts.check()


_MANY = """
static void
work(void)
{
	u32 started = 0;

	for (u32 turn = 0; turn < 3; turn++) {
		for (u32 i = 0; i < 34; i++) {
			i32 result = start(VI_DISK_READ, 0, i % 8, pages[i % 34], i);

			link_in((u32)result);
			started += result == 0;
		}
		while (taken < started)
			take();
	}
}
"""


@points(2)
@rule("32 transfers may be under way, and no more; each that ends makes room.", SECTION, "vdisk_start")
def test_the_thirty_third_waits_its_turn(bench: Bench) -> None:
    """The ring has room for as many: one more would overwrite what was never read."""
    chain = Chain.draw(bench.rng)
    machine = bench.boot(
        chain.program(bench, _IO + _MANY, disks=("data",)),
        volume(bench, data=8),
        options="when-done=exit disk=ram ramdisk-plan=3ms",
    )
    run_out(machine)
    turn = [0] * INFLIGHT + [E_AGAIN] * 2
    for i in range(INFLIGHT):
        turn += [i, 0]
    chain.check(machine, 1, turn * 3, "32 start, two are refused, and then there is room again")


def _a_transfer_holds_its_vm(bench: Bench) -> None:
    """One VM of each kind, with two transfers that the device has: what follows when they end."""
    starts = Starts(bench)
    calls, records = starts.calls, starts.records
    made = []
    for state, status in ((RUNNING, 0), (DYING, 0), (IDLE, E_IO), (DYING, E_IO)):
        records.set(starts.vm, State(state=RUNNING))
        calls.call("driver_give_disk", starts.vm, 9, 8, 0, 0)
        active = []
        for tag in range(2):
            calls.call("vdisk_start", starts.vm, READ, calls.words([0, tag, 0x10000, tag]))
            active.append(calls.call("driver_activate"))
        records.set(starts.vm, State(state=state))
        for left, transfer in reversed(list(enumerate(active))):
            before = records.noted()
            calls.call("vdisk_finish", transfer, status & 0xFFFFFFFF)
            made.append((state, left, before, records.noted()))
    results = calls.run()
    for state, left, before, after in made:
        notes = records.notes(results, results[before], results[after])
        text = f"vdisk_finish of a VM's transfer, {left} others are active; it is {state_name(state)}"
        posts = [value for kind, _, value in notes if kind == POST]
        same(f"{text}: posts to it", posts, [] if state == DYING else [DISK])
        releases = [held for kind, _, held in notes if kind == RELEASE and not held]
        same(f"{text}: calls of vm_release with none active", len(releases), int(left == 0))


_LEAVES = """
static void
work(void)
{
	for (u32 i = 0; i < 24; i++)
		link_in((u32)start(VI_DISK_READ, 0, i % 8, pages[i], i));
	say_number("witness ", chain);
	gate(VI_NULL, chain, ~chain);
	finish(0);
}
"""

_HEIR = """
static u32 room[300][1024];

static void
work(void)
{
	u32 dirty = 0;

	idle(now() + 2000000);
	for (u32 i = 0; i < 300; i++) {
		for (u32 j = 0; j < 1024; j++)
			dirty += room[i][j] != 0;
		room[i][0] = i;
	}
	idle(now() + 60000000);
	for (u32 i = 0; i < 300; i++)
		for (u32 j = 0; j < 1024; j++)
			dirty += room[i][j] != (j ? 0 : i);
	link_in(dirty);
}
"""


@points(5)
@rule("A VM that ends, or goes out, is held by its transfers: until the last has ended, no longer.", SECTION,
      "vdisk_finish")  # fmt: skip
def test_nothing_is_written_into_a_dead_vms_memory(bench: Bench) -> None:
    """The device writes whenever it likes: by then the page may be somebody else's."""
    _a_transfer_holds_its_vm(bench)
    secret = bench.rng.randbytes(8 * PAGE)
    gone, heir = Chain.draw(bench.rng), Chain.draw(bench.rng)
    machine = bench.boot(
        gone.program(bench, _IO + _LEAVES, disks=("data",)),
        heir.program(bench, _HEIR, memory="2M"),
        volume(bench, data=8, fill={"data": secret}),
        options="when-done=exit back=touch disk=ram ramdisk-plan=1us,1us,1us,25ms,30ms,40ms:eio",
        memory=64,
    )
    run_out(machine)
    gone.check(machine, 1, [0] * 24, "24 transfers are started by a VM that ends")
    heir.check(machine, 2, [0], "the next owner of its memory finds it as it left it")
    _check_all_is_given_back(bench, machine, transfers=24)


def _check_all_is_given_back(bench: Bench, machine: Machine, transfers: int) -> None:
    """Every VM has ended: no frame is a VM's any more."""
    ram = bench.ram(machine)
    assert ram is not None
    at = machine.kernel.address("frame_count") - (1 << 30)
    uses = {name: ram.word(at + 4 * use) for use, name in ((1, "guest pages"), (3, "directories"))}
    same("frames that are still VMs' after the last has ended", uses, {"guest pages": 0, "directories": 0})
    same("counter_vdisk_transfers: transfers that ended, also those of a VM that had ended",
         kernel_word(bench, machine, "counter_vdisk_transfers"), transfers)  # fmt: skip
