# SPDX-License-Identifier: MIT
"""What lab 3 ends with: a shell in a VM that copies blocks between its disks while others tick."""

from __future__ import annotations

import time

from conf.vdisk import BLOCK_SIZE, Volume
from grade.harness.elf import Elf
from grade.harness.lab import Lab
from grade.harness.serial import Budget


def test_shell_copies_blocks_while_fifty_others_tick(lab: Lab) -> None:
    """The host finds on the disks what the shell was told to do, and every other VM woke in time."""
    path = lab.folder() / "disk.img"
    with Volume.create(path, 600, disks=63) as volume:
        for name in ("left", "right"):
            volume.add(name, 256, False)
    shell = lab.guest("blocks", words=("supervisor",), disks=("left", "right"), memory="1M")
    machine = lab.boot(
        shell, lab.guest("tick", count=50, memory="1M"), disk=f"file={path},format=raw"
    )
    machine.expect("blocks> ")
    for line, answer in (
        ("disks", "disk 1: 256 blocks"),
        ("fill 0 0 200 denali-", r"fill: 200 blocks in \d+ us"),
        ("copy 0 1 100", r"copy: 100 blocks in \d+ us"),
        ("show 1 99", "denali-denali-"),
        ("show 1 100", r"\.{40}"),
        ("show 1 256", "bad argument"),
        ("copy 0 2 1", "no such thing"),
        ("fill 0", "quit"),
    ):
        machine.serial.send(line + "\r")
        machine.expect(answer)
        machine.expect("blocks> ")
    ticks = Elf(lab.build / "user/tick.elf").address("tick_count")
    budget, counts = Budget(machine.pid, 20), [0]
    while min(counts) < 3 and not budget.spent():
        with machine.stopped():
            spaces = machine.spaces()
            counts = [spaces[vm].word(ticks) for vm in range(1, 51)]
        time.sleep(0.05)
    assert min(counts) >= 3 and max(counts) - min(counts) <= 2, counts
    machine.serial.send("quit\r")
    machine.expect("vm 0: terminated, status 0")
    machine.close()
    with Volume.open(path) as volume:
        right = volume.find("right")
        assert volume.read(right, 99).startswith(b"denali-denali-")
        assert volume.read(right, 100) == bytes(BLOCK_SIZE)
