# SPDX-License-Identifier: MIT
"""Attacks on what lies between the parts: lives that end while something of theirs is under way,
and requests that are dear only together."""

from __future__ import annotations

from dataclasses import replace

import pytest

from conf.qemu import EXIT_DONE, Module
from conf.vdisk import Volume
from grade.harness.entry import EntryMeter
from grade.harness.lab import Lab
from grade.tests.test_super import HELP, VM_0, named

pytestmark = pytest.mark.long

# Eight disks that lie at the end of a full table; then the last one isn't there.
_EIGHT_DISKS = """
    make(1, "worker", "");
    for (u32 i = 0; i < DISKS_PER_VM; i++)
        copy(request.disks[i], "a-name-of-some-length-data-1007");
    for (u32 i = 0; i < 3; i++) {
        CHECK(gate(VI_VM_DESTROY, 1, 0) == (i ? -E_NOENT : 0));
        CHECK(gate(VI_VM_CREATE, (u32)&request, 0) == 1 && gate(VI_VM_DESTROY, 1, 0) == 0);
        request.disks[7][0] = 'b';
        CHECK(gate(VI_VM_CREATE, (u32)&request, 0) == -E_NOENT);
        request.disks[7][0] = 'a';
    }
"""

# Does whatever a supervisor may, in any order, to VMs that are busy dying.
_ANYTHING = """
    static const char *const kinds[] = {"1", "wait", "22", "333 an argument"};
    static const char *const names[] = {"", "common", "own-1", "own-2", "made", "nothing"};
    static struct vdisk_request wish = {"made", 3, 0};
    static char text[4096];
    u32 seed = VREGS->args[0];
    for (u32 step = 0; step < 6000; step++) {
        seed = seed * 1103515245 + 12345;
        u32 r = seed >> 16, k = 1 + r % 12, how = (r >> 4) % 16;
        if (how < 3) {
            make(how ? k : 0, "worker", kinds[r % 4]);
            gate(VI_VM_DESTROY, k, 0);
            copy(request.disks[0], names[r % 6]);
            copy(request.disks[5], names[(r >> 3) % 6]);
            request.number = k;
            gate(VI_VM_CREATE, (u32)&request, 0);
        } else if (how < 7)
            gate(VI_VM_START, k, 0);
        else if (how < 9)
            gate(VI_VM_STOP, k, how & 1);
        else if (how == 9)
            gate(VI_VM_DESTROY, k, 0);
        else if (how == 10)
            gate5(VI_VDISK_ATTACH, k, (u32)names[r % 6], 0, 0, 0);
        else if (how == 11)
            gate5(r & 1 ? VI_VDISK_CREATE : VI_VDISK_DESTROY, (u32)&wish, 0, 0, r, 0);
        else if (how == 12)
            gate5(VI_CONSOLE_HISTORY, k, (u32)text, sizeof text, 0, 0);
        else if (how == 13)
            gate(VI_VM_INSPECT, k, (u32)&info);
        else if (how == 14 && step % 16 == 0)
            gate(VI_CONSOLE_FOCUS, k, 0);
        else
            idle(now() + (r % 400) * 1000);
    }
    for (u32 k = 1; k < 65; k++) /* what the monitor prints stands alone then */
        gate(VI_VM_STOP, k, STOP_NOW);
    gate(VI_CONSOLE_FOCUS, CONSOLE_KERNEL, 0);
    idle(IDLE_FOREVER);
"""
_BUSY = """
static struct disk_element list[64];
static u8 frame[60];

static int
run(void)
{
    u32 seed = VREGS->number * 77 + VREGS->args[0] + VREGS->seed[0];

    for (u32 i = 0; i < 6; i++)
        frame[i] = VREGS->mac[i], frame[6 + i] = VREGS->mac[i];
    frame[12] = 8, frame[14] = 0x45;
    for (u32 i = 0; i < 4; i++)
        frame[26 + i] = VREGS->mac[2 + i];
    VREGS->virq_enable = 0;
    for (u32 step = 0; step < 1000; step++) {
        seed = seed * 1103515245 + 12345;
        u32 r = seed >> 16, page = 0x8000 + r % 16 * 4096;
        for (u32 i = 0; i < 64; i++)
            list[i] = (struct disk_element){r & 1, i % 3, page + i % 4 * 4096, i};
        frame[5] = (u8)(r % 13);
        switch (r >> 8 & 7) {
        case 0: gate(VI_DISK_READ_V, (u32)list, 64); break;
        case 1: gate(VI_DISK_WRITE_V, (u32)list, 64); break;
        case 2: gate(VI_DISCARD, page, 4 * 4096); break;
        case 3: gate5(VI_DISK_FLUSH, 0, 0, 0, 0, 0); break;
        case 4:
        case 5: gate(VI_PACKET_SEND, (u32)frame, sizeof frame); break;
        case 6: say("busy "); break;
        case 7: idle(now() + (r & 1) * 200000); break;
        }
        if (r % 97 == 0)
            *(volatile u32 *)0x30000000 = 1;
    }
    return 3;
}
"""

# Numbers up to 40 take no frame; 64 more have two each with VM 1, and what they may with the rest.
# All are told when there is room, so that the end of VM 1 wakes as many as there are frames.
_HOARD = """
static u8 frame[60];

static i32
send(u32 to)
{
    for (u32 i = 0; i < 6; i++)
        frame[i] = frame[6 + i] = VREGS->mac[i];
    for (u32 i = 0; i < 4; i++)
        frame[26 + i] = VREGS->mac[2 + i];
    frame[12] = 8, frame[14] = 0x45, frame[5] = (u8)to;
    return gate(VI_PACKET_SEND, (u32)frame, sizeof frame);
}

static int
run(void)
{
    VREGS->virq_enable = 0;
    if (VREGS->number > 40) {
        send(1), send(1);
        for (u32 i = 0; send(2 + (VREGS->number + i) % 38) != -E_AGAIN; i++)
            ;
    }
    for (u32 n = 0;; n++)
        idle(VREGS->number > 40 ? now() + 1000000000ull * VREGS->number : IDLE_FOREVER);
    return 0;
}
"""
_END_HOARD = """
    idle(now() + 300000000);
    CHECK(gate(VI_VM_INSPECT, 1, (u32)&info) == 0);
    CHECK(gate(VI_VM_STOP, 1, STOP_NOW) == 0);
    for (u32 k = 2; k < 100; k += 7)
        CHECK(gate(VI_VM_STOP, k, STOP_NOW) == 0);
    idle(now() + 1000000);
    gate(VI_CONSOLE_FOCUS, CONSOLE_KERNEL, 0);
    idle(IDLE_FOREVER);
"""


def _full_table(lab: Lab) -> Module:
    path = lab.folder() / "disk.img"
    with Volume.create(path, 3200) as volume:
        for number in range(1008):
            volume.add(f"a-name-of-some-length-data-{number:04}", 2, read_only=True)
    return Module(path, words=("ramdisk",))


def test_eight_disks_of_a_full_table_are_a_short_entry(lab: Lab) -> None:
    """A VM with eight disks is made, and one whose eighth disk isn't there."""
    meter = EntryMeter(lab.folder(), lab.build)
    supervisor = lab.program(HELP + f"static int run(void) {{ {_EIGHT_DISKS} return 0; }}")
    machine = lab.boot(
        replace(supervisor, words=VM_0),
        named(lab, "static int run(void) { return 0; }", "worker"),
        _full_table(lab),
        options="when-done=exit disk=ram",
        icount=True,
        extra=meter.options,
    )
    machine.expect("^vm 0: terminated, status 0")
    assert machine.wait() == EXIT_DONE
    print(meter.read())
    meter.read().check()


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize(
    "options",
    ["", "interrupts=immediate", "back=all share=off quantum=100us", "sched=turn console=all"],
)
def test_lives_end_while_anything_is_under_way(lab: Lab, options: str, seed: int) -> None:
    """VMs are made, started, killed and destroyed in any order while they use disks, frames and
    the console: the kernel's records agree all the same, and no entry is long."""
    path = lab.folder() / "disk.img"
    with Volume.create(path, 64) as volume:
        volume.add("common", 4, read_only=True)
        volume.add("own-1", 3)
        volume.add("own-2", 3)
    meter = EntryMeter(lab.folder(), lab.build)
    source = HELP + f"static int run(void) {{ {_ANYTHING} return 0; }}"
    machine = lab.boot(
        replace(lab.program(source, args=str(seed)), words=VM_0),
        named(lab, _BUSY, "worker"),
        Module(path, words=("ramdisk",)),
        options=f"disk=ram ramdisk-plan=20us,400us,1ms:eio,3ms vms=14 {options}",
        icount=True,
        extra=meter.options,
    )
    machine.expect("^console: the kernel's monitor$", seconds=120)
    assert " 0 problems" in machine.monitor("check")
    print(meter.read())
    meter.read().check()


@pytest.mark.parametrize("mode", ["batched", "immediate"])
def test_the_end_of_a_hoarder_of_frames_is_a_short_entry(lab: Lab, mode: str) -> None:
    """128 frames are freed at once, while 64 VMs wait for room to send."""
    meter = EntryMeter(lab.folder(), lab.build)
    source = HELP + f"static int run(void) {{ {_END_HOARD} return 0; }}"
    machine = lab.boot(
        lab.program(_HOARD, 104, memory="64K"),
        replace(lab.program(source), words=VM_0),
        options=f"interrupts={mode}",
        icount=True,
        extra=meter.options,
    )
    machine.expect("^console: the kernel's monitor$", seconds=120)
    assert machine.kernel_word("counter_packets_refused") >= 64
    assert machine.kernel_word("counter_net_dropped_dead") >= 128
    assert " 0 problems" in machine.monitor("check")
    entries = meter.read()
    print(entries)
    entries.check()
    assert entries.by_name["vinstr_vm_stop"] < 20000
