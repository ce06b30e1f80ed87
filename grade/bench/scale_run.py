# SPDX-License-Identifier: MIT
"""The machine of `make scale`: N web VMs from one boot script, swap disks, slow disks."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from conf import qemu, swapfile, tap
from conf.rundir import RunError

SPARE_NUMBERS = 2  # with a region besides the web VMs: the supervisor, and one to be sure
PRESETS = {  # an IDE disk of that year: 10 ms a transfer, 40 MB/s
    "2002": "iops-total=100,bps-total=40000000"
}
_UNITS = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30}


@dataclass(frozen=True)
class Plan:
    """What to run. Paths are absolute, or relative to the checkout, where QEMU is started."""

    build: Path
    vms: int
    memory: int = 1024  # MB
    disks: int = 0
    swap_folder: Path | None = None  # where their files are; None: the build folder
    throttle: str = ""  # as the user wrote it
    options: str = ""  # more options of the kernel
    sample: int = 0  # of the sweep; 0: all VMs
    requests: int = 0  # of the load; 0: `seconds` count
    seconds: float = 10.0
    zipf: float = 1.0
    connections: int = 8
    timeout: float = 30.0  # s for one request
    seed: int = 1


def size(text: str) -> int:
    """Bytes, of "1G", "512M", "64K" or a plain number; RunError for anything else."""
    match = re.fullmatch(r"(\d{1,12})([KMG]?)", text)
    if not match:
        raise RunError(f"{text}: a size such as 512M is wanted")
    return int(match[1]) * _UNITS[match[2]]


def throttling(text: str) -> str:
    """QEMU's limits of a disk as slow as `text` says: a name of PRESETS, transfers a second, or what
    QEMU understands ("iops-total=100,bps-total=20000000"). RunError if it says something else."""
    limits = PRESETS.get(text, f"iops-total={text}" if text.isdecimal() else text)
    for word in filter(None, limits.split(",")):
        if not re.fullmatch(r"[a-z]+(-[a-z]+)*=[1-9]\d*", word):
            raise RunError(
                f"THROTTLE={text}: wanted {', '.join(PRESETS)}, a number of transfers a second, or "
                "iops-total=100,bps-total=20000000"
            )
    return limits


@contextmanager
def swap_disks(plan: Plan) -> Iterator[tuple[str, ...]]:
    """The swap disks as -drive values: sparse files in the plan's folder, removed at the end."""
    if not plan.disks:
        yield ()
        return
    region = swapfile.region_of(plan.options.split())
    megabytes = swapfile.disk_mb(plan.vms + SPARE_NUMBERS, plan.disks, region)
    with swapfile.made(plan.swap_folder or plan.build, plan.disks, megabytes) as paths:
        yield tuple(qemu.swap_disk(path, throttling(plan.throttle)) for path in paths)


def machine(plan: Plan, folder: Path, swap: tuple[str, ...]) -> qemu.Run:
    """The machine on conf/tap.py's tap; its boot script is written into `folder`."""
    script = folder / "scale.boot"
    script.write_text(f"vm httpd count={plan.vms}\n")
    programs = plan.build / "user"
    for program in ("supervisor", "httpd"):
        if not (programs / program).is_file():
            raise RunError(f"{programs / program} is not built: make")
    return qemu.Run(
        kernel=plan.build / "kern/denali",
        memory=plan.memory,
        append=(f"vms={plan.vms}", "console=focus", *plan.options.split()),
        modules=(
            qemu.Module(programs / "supervisor", words=("supervisor",)),
            qemu.Module(script, words=("script",)),
            qemu.Module(programs / "httpd", words=("image",)),
        ),
        netdev=qemu.tap_network(tap.INTERFACE),
        swap=swap,
    )
