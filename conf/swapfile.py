# SPDX-License-Identifier: MIT
"""Files of the host that are swap disks: as large as the VMs' regions, and sparse.

A sparse file takes room only for what was swapped out. What is in it means nothing to the next run,
so it goes when its run ends, unless somebody wants to look at it.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from conf.rundir import RunError

DISKS_MAX = 4
REGION_MB = 16  # the kernel's default
STRIPE_KB = 64


def disk_mb(numbers: int, disks: int, region_mb: int = REGION_MB) -> int:
    """How large each of `disks` disks must be, in MB, for the regions of VMs 0 to `numbers` - 1."""
    stripes = -(-region_mb * 1024 // STRIPE_KB // disks)
    return -(-numbers * stripes * STRIPE_KB // 1024)


def region_of(options: Sequence[str]) -> int:
    """The size of a region, in MB, with these options of the kernel."""
    sizes = [option.removeprefix("region=") for option in options if option.startswith("region=")]
    return int(sizes[-1]) if sizes and sizes[-1].isdecimal() else REGION_MB


def make(folder: Path, disks: int, size_mb: int) -> list[Path]:
    """New files swap0, swap1 and so on in `folder`; RunError if its file system can't have them."""
    paths = [folder / f"swap{number}" for number in range(disks)]
    for path in paths:
        try:
            with path.open("wb") as file:
                file.truncate(size_mb << 20)
        except OSError as error:
            raise RunError(f"{path}: no file of {size_mb} MB: {error.strerror}") from None
    return paths


@contextlib.contextmanager
def made(top: Path, disks: int, size_mb: int, keep: bool = False) -> Iterator[list[Path]]:
    """The same in a new folder below `top`, which goes at the end, unless it is to be kept."""
    _remove_dead(top)
    prefix = "swap-kept-" if keep else f"swap-{os.getpid()}-"
    folder = Path(tempfile.mkdtemp(prefix=prefix, dir=top))
    try:
        yield make(folder, disks, size_mb)
    finally:
        if not keep:
            shutil.rmtree(folder, ignore_errors=True)


def _remove_dead(top: Path) -> None:
    """Remove what runs left behind that were killed. A QEMU that still has the files keeps them."""
    for folder in top.glob("swap-[0-9]*-*"):
        if not Path("/proc", folder.name.split("-")[1]).exists():
            shutil.rmtree(folder, ignore_errors=True)
