# SPDX-License-Identifier: MIT
"""The physical disk, as far as it exists: found by its serial, read by interrupt, errors survived."""

from __future__ import annotations

import secrets
from pathlib import Path

import pytest

from grade.harness.lab import Lab


def _image(lab: Lab, sectors: int) -> tuple[Path, bytes]:
    path, data = lab.folder() / "disk", secrets.token_bytes(512)
    with open(path, "wb") as file:
        file.truncate(sectors * 512)
        file.seek((sectors - 1) * 512)
        file.write(data)
    return path, data


@pytest.mark.quick
@pytest.mark.parametrize("sectors", [2048, 3_355_443_200])
def test_last_sector_is_read(lab: Lab, sectors: int) -> None:
    """Sector numbers have 64 bits: on a disk of 1.6 TB a product that wraps reads another one."""
    path, data = _image(lab, sectors)
    machine = lab.boot("spin", disk=f"file={path},format=raw")
    machine.expect("^vms 1 to 1")
    assert str(sectors) in machine.monitor("disks")
    machine.serial.send(f"disk disk {sectors - 1}\r")
    for line in range(8):
        wanted = data[16 * line : 16 * line + 16].hex(" ")
        machine.expect(f"^  {16 * line:03x}  {wanted}")


def test_sector_behind_the_end_is_an_error(lab: Lab) -> None:
    """The device refuses; the kernel must say so and go on."""
    path, _ = _image(lab, 2048)
    machine = lab.boot("spin", disk=f"file={path},format=raw")
    machine.expect("^vms 1 to 1")
    machine.serial.send("disk disk 2048\r")
    machine.expect("^disk: sector 2048: ")
    assert "wanted" in machine.monitor("disk nonsense 1") and machine.running()
