# SPDX-License-Identifier: MIT
"""How long the kernel may be busy with disks before it looks at anything else."""

from __future__ import annotations

from dataclasses import replace

from conf.qemu import EXIT_DONE, Module
from conf.vdisk import Volume
from grade.harness.entry import EntryMeter
from grade.harness.lab import Lab

# As much at once as a guest can ask for: lists of 64 on pages that nobody has touched, again and
# again, until it has used up its memory; the last 32 transfers are under way when it ends.
_GREEDY = """
static struct disk_element list[64];

static int
run(void)
{
	u32 page = 0x20000, started = 0;

	while (started < 600) {
		for (u32 i = 0; i < 64; i++)
			list[i] = (struct disk_element){0, i, page + i * 4096, i};
		i32 n = gate(started & 1 ? VI_DISK_READ_V : VI_DISK_WRITE_V, (u32)list, 64);
		if (n < 0)
			idle(IDLE_FOREVER);
		started += n > 0 ? (u32)n : 0;
		page += n > 0 ? (u32)n * 4096 : 0;
	}
	return 0;
}
"""

_CHANGES = """
static struct vdisk_request wish = {"wish", 3, 0};

static i32
change(u32 number, const void *what)
{
	u32 before = VREGS->disk_completed;
	i32 error = gate5(number, (u32)what, 0, 0, 0, 0);

	while (!error && VREGS->disk_completed == before)
		idle(IDLE_FOREVER);
	return error ? error : VREGS->disk_ring[before % DISK_RING].status;
}

static int
run(void)
{
	for (u32 i = 0; i < 3; i++) {
		CHECK(change(VI_VDISK_CREATE, &wish) == 0);
		CHECK(change(VI_VDISK_CREATE, &wish) == -E_EXISTS);
		CHECK(change(VI_VDISK_DESTROY, "data-1006") == (i ? -E_NOENT : 0));
		CHECK(change(VI_VDISK_DESTROY, "wish") == 0);
	}
	return 0;
}
"""


def test_transfers_of_many_are_short_entries(lab: Lab) -> None:
    """20 VMs ask for all that they can, and the device ends its transfers in bursts."""
    path = lab.folder() / "disk.img"
    with Volume.create(path, 200, 63) as volume:
        volume.add("common", 64, read_only=True)
        for number in range(1, 3):
            volume.add(f"data-{number}", 64)
    meter = EntryMeter(lab.folder(), lab.build)
    greedy, reader = lab.program(_GREEDY), _GREEDY.replace("VI_DISK_WRITE_V", "VI_DISK_READ_V")
    machine = lab.boot(
        replace(greedy, disks=("data-%",), count=2, memory="4M"),
        replace(lab.program(reader, 20), disks=("common",)),
        Module(path, words=("ramdisk",)),
        options="when-done=exit disk=ram ramdisk-plan=3ms,2ms,1ms",
        icount=True,
        extra=meter.options,
    )
    assert machine.wait(60) == EXIT_DONE
    assert machine.serial.text().count("terminated, status 0") == 22
    entries = meter.read()
    print(entries)
    entries.check()


def test_changes_of_a_full_table_are_short_entries(lab: Lab) -> None:
    """1,007 disks: the supervisor makes and destroys the last one, and looks for names that are
    there and that aren't."""
    path = lab.folder() / "disk.img"
    with Volume.create(path, 3000) as volume:
        for number in range(1007):
            volume.add(f"data-{number}", 2)
    meter = EntryMeter(lab.folder(), lab.build)
    machine = lab.boot(
        replace(lab.program(_CHANGES), words=("supervisor",)),
        Module(path, words=("ramdisk",)),
        options="when-done=exit disk=ram",
        icount=True,
        extra=meter.options,
    )
    machine.expect("^vdisk: 1007 virtual disks")
    machine.expect("^vm 0: terminated, status 0")
    assert machine.wait() == EXIT_DONE
    entries = meter.read()
    print(entries)
    entries.check()
