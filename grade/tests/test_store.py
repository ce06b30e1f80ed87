# SPDX-License-Identifier: MIT
"""The block store on the real machine: killed at random moments, full, and quick to open."""

from __future__ import annotations

import random
import re
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from conf.qemu import EXIT_DONE, Module, Run, command
from conf.store import Store
from conf.vdisk import Volume
from grade.harness.lab import Lab
from grade.harness.process import end, start

VMS = 8


def make_image(lab: Lab, count: int, blocks: int) -> Path:
    """An image with disks data-1 to data-`count`."""
    path = lab.folder() / "disk.img"
    with Volume.create(path, count * blocks + 64, disks=63) as volume:
        for number in range(1, count + 1):
            volume.add(f"data-{number}", blocks)
    return path


def last_numbers(text: str, word: str) -> dict[int, int]:
    """By VM, the last number that follows `word` in what they printed."""
    found = re.finditer(rf"^\D*(\d+)\D*append: {word} (\d+)$", text, re.MULTILINE)
    return {int(match[1]): int(match[2]) for match in found}


def run_and_kill(lab: Lab, image: Path, log: Path, seconds: float) -> str:
    """Boot 8 VMs that append; SIGKILL for QEMU `seconds` after all of them began. The console."""
    guest = lab.guest("append", count=VMS, disks=("data-%",))
    drive = f"file={image},format=raw"
    log.unlink(missing_ok=True)
    run = Run(kernel=lab.kernel, modules=(guest,), serial=f"file:{log}", disk=drive)
    process = start(command(run))
    try:
        wait_for(lambda: log.exists() and len(last_numbers(read(log), "holds")) == VMS, log)
        time.sleep(seconds)
    finally:
        process.kill()
        end(process)
    return read(log)


def read(log: Path) -> str:
    """The console so far, whole lines only."""
    return log.read_text(errors="replace").replace("\r", "").rpartition("\n")[0]


def wait_for(holds: Callable[[], bool], log: Path) -> None:
    """Until it does; 30 seconds are a failure, a VM that ended too."""
    limit = time.monotonic() + 30
    while not holds():
        text = read(log) if log.exists() else ""
        assert "ilwaco:" not in text and time.monotonic() < limit, text
        time.sleep(0.01)


def kill_often(lab: Lab, kills: int, seed: int) -> None:
    """Kill, boot, compare: what was said to be safe must be there, whole, with no gap."""
    rng = random.Random(seed)
    # More than any of them can fill while the others still read what they have.
    image = make_image(lab, VMS, 65536)
    log = lab.folder() / "console"
    safe = dict.fromkeys(range(1, VMS + 1), 0)
    for _ in range(kills):
        text = run_and_kill(lab, image, log, rng.uniform(0, 0.06))
        assert "ilwaco:" not in text, text
        for number, held in last_numbers(text, "holds").items():
            assert held >= safe[number], f"VM {number} holds {held}, said {safe[number]}"
        safe |= last_numbers(text, "holds") | last_numbers(text, "safe")
    assert min(safe.values()) > kills, safe
    with Volume.open(image) as volume:
        for number, count in safe.items():
            found = Store.open(volume, volume.find(f"data-{number}"))
            assert len(found.records) >= count and found.damaged == 0


def test_what_was_acknowledged_survives_a_kill(lab: Lab) -> None:
    """QEMU killed 6 times while 8 VMs append: 48 stores cut off anywhere."""
    kill_often(lab, 6, 1)


SEEDS = [pytest.param(n, marks=[pytest.mark.course] if n > 2 else []) for n in range(2, 7)]


@pytest.mark.long
@pytest.mark.parametrize("seed", SEEDS)
def test_what_was_acknowledged_survives_hundreds_of_kills(lab: Lab, seed: int) -> None:
    """The same 5 times 10 times: 400 stores cut off."""
    kill_often(lab, 10, seed)


def append(lab: Lab, image: Path, count: int) -> tuple[str, int]:
    """Run `append COUNT` to its end; its console, and QEMU's status."""
    guest = replace(lab.guest("append", args=str(count)), disks=("data-1",))
    machine = lab.boot(guest, options="when-done=exit", disk=f"file={image},format=raw")
    text = machine.expect(r"append: (done|opened .*)", seconds=60)[0]
    machine.expect("^vm 1: terminated", seconds=60)
    return text, machine.wait()


def test_a_full_disk_is_an_error_and_loses_nothing(lab: Lab) -> None:
    """Records until there is no room: E_FULL; all that was put is there at the next boot."""
    image = make_image(lab, 1, 64)
    guest: Module = lab.guest("append", disks=("data-1",))
    machine = lab.boot(guest, options="when-done=exit", disk=f"file={image},format=raw")
    machine.expect("ilwaco: put .*: error -13")
    machine.wait()
    text, _ = append(lab, image, 0)
    with Volume.open(image) as volume:
        found = Store.open(volume, volume.find("data-1"))
    assert f"opened {len(found.records)} records" in text and len(found.records) > 20
    assert set(found.records) == {n.to_bytes(4, "little") for n in range(1, len(found.records) + 1)}


def test_opening_100_000_records_takes_seconds_at_most(lab: Lab) -> None:
    """Put once, opened again: the host's reader finds them too."""
    image = make_image(lab, 1, 8192)
    assert append(lab, image, 100_000)[1] == EXIT_DONE
    text, _ = append(lab, image, 0)
    match = re.search(r"opened 100000 records in (\d+) us", text)
    assert match and int(match[1]) < 5_000_000, text
    print(text)
    with Volume.open(image) as volume:
        assert len(Store.open(volume, volume.find("data-1")).records) == 100_000
