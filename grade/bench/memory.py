# SPDX-License-Identifier: MIT
"""How many bytes an idle web VM costs, by owner.

Two boots with different numbers of VMs, each of which has served a page and lost its connection;
the difference of the kernel's own frame counts, divided by the difference in VMs, is what one VM
takes. Frames are counted by use in the kernel (kern/frame.h names the uses); a VM's record is an
element of a table, whose size the debug information tells.
"""

from __future__ import annotations

import re
import subprocess
import time
from pathlib import Path

from conf import qemu
from grade.bench import network
from grade.bench.runner import Failure, boot
from grade.harness.memory import KERNEL_BASE

PAGE = 4096
OWNERS = ("GUEST", "VREGS", "DIRECTORY", "TABLE")  # kern/frame.h: uses that belong to VMs
ROOT = Path(__file__).resolve().parents[2]
SETTLED = 12.0  # seconds: TIME_WAIT (2 x MSL of 1 s), and the ARP clock, have ended

# The floor, by arithmetic: nothing shared away, nothing spare. A record; a directory and a page
# table, without which there is no address space; and one page of its own, in which registers,
# stack and data would all have to fit.
FLOOR = {"record": 512, "DIRECTORY": PAGE, "TABLE": PAGE, "VREGS": PAGE, "GUEST": 0}


def frame_uses() -> list[str]:
    """The uses of frames in the order in which frame_count has them."""
    text = (ROOT / "kern/frame.h").read_text()
    return re.findall(r"X\((\w+),\s*\"", text)


def record_bytes(kernel: Path) -> int:
    """Bytes of one VM's record."""
    line = ["gdb", "-nx", "-batch", "-ex", "print sizeof(struct vm)", str(kernel)]
    done = subprocess.run(line, capture_output=True, text=True)
    found = re.search(r"= (\d+)", done.stdout)
    if not found:
        raise Failure(f"gdb can't tell the size of struct vm: {done.stderr.strip()}")
    return int(found.group(1))


def frames_used(run: qemu.Run, vms: int) -> dict[str, int]:
    """Frames by use, once each of `vms` VMs has served a page and none has a connection."""
    with boot(run) as machine:
        network.first_page(machine, vms)
        for number in range(1, vms + 1):
            network.get_page(number)
        time.sleep(SETTLED)
        at = machine.kernel.address("frame_count") - KERNEL_BASE
        return {use: machine.memory.word(at + 4 * i) for i, use in enumerate(frame_uses())}


def per_vm(few: qemu.Run, fewer: int, many: qemu.Run, more: int) -> dict[str, float]:
    """Bytes of one VM by owner, from a run with `fewer` VMs and one with `more`."""
    low, high = frames_used(few, fewer), frames_used(many, more)
    bytes_by = {use: (high[use] - low[use]) * PAGE / (more - fewer) for use in OWNERS}
    return {"record": float(record_bytes(Path(many.kernel))), **bytes_by}
