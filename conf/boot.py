# SPDX-License-Identifier: MIT
"""What a boot script will ask for: which programs its VMs run, and how many there are.

The supervisor (user/super/) runs the script; this only reads as much of it as the one who starts
the machine must know: each program has to be a boot module, and each VM needs a number.
"""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from pathlib import Path

_MAKERS = ("vm", "create")


@dataclass(frozen=True)
class Script:
    """Programs in the order of their first line, how many VMs in all, and whether some have disks."""

    programs: tuple[str, ...]
    vms: int
    disks: bool


def read(path: Path) -> Script:
    """Read the script at `path`. Lines that the supervisor will refuse are passed over: it says why."""
    programs: dict[str, None] = {}
    vms, disks = 0, False
    for line in path.read_text().splitlines():
        try:
            words = shlex.split(line, comments=True)
        except ValueError:
            continue
        if len(words) < 2 or words[0] not in _MAKERS:
            continue
        programs[words[1]] = None
        vms += _count(words)
        disks |= any(word.startswith("disk=") for word in words)
    return Script(tuple(programs), vms, disks)


def _count(words: list[str]) -> int:
    for word in words:
        if word.startswith("count=") and word[6:].isdecimal():
            return int(word[6:])
    return 1
