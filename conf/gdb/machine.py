# SPDX-License-Identifier: MIT
"""Inside gdb: the machine as the pack sees it, through QEMU's stub.

RAM is read by machine address, so it doesn't matter whose address space is loaded or whether paging
is on; structures come from the debug information of the kernel that gdb was started with.
"""

from __future__ import annotations

from pathlib import Path

import gdb  # type: ignore[import]

from conf.gdb.layouts import describe
from conf.inside import Absent, Inside
from conf.layout import TYPES, Layout
from conf.tracering import KERNEL_BASE, Kernel

ROOT = Path(__file__).resolve().parent.parent.parent


def read(address: int, length: int) -> bytes:
    """RAM at a machine address; shorter, or empty, where there is none."""
    gdb.execute("maintenance packet Qqemu.PhyMemMode:1", to_string=True)
    try:
        return bytes(gdb.selected_inferior().read_memory(address, length))
    except gdb.MemoryError:
        return b""
    finally:
        gdb.execute("maintenance packet Qqemu.PhyMemMode:0", to_string=True)


def register(name: str) -> int:
    """A register of the processor, as an unsigned number."""
    return int(gdb.parse_and_eval(f"(unsigned int)${name}"))


def connected() -> bool:
    """Whether there is a machine, standing still."""
    thread = gdb.selected_thread()
    return thread is not None and thread.is_valid() and not thread.is_running()


_known: dict[str, Inside] = {}


def inside() -> Inside:
    """The reader of the connected machine; Absent if there is none."""
    if not connected():
        raise Absent("no machine stands still here: `target remote` connects, Ctrl-C stops it")
    path = str(gdb.objfiles()[0].filename)
    if path not in _known:
        _known[path] = Inside(read, Kernel(Path(path), ROOT), Layout(describe(TYPES)))
    return _known[path]


def in_guest() -> bool:
    """Whether the processor is in ring 3."""
    return register("cs") & 3 == 3


def where() -> str:
    """Who has the processor: the kernel (on whose behalf), or which guest with which program."""
    try:
        machine = inside()
        number = machine.running()
    except Absent:
        return ""
    if not in_guest():
        if register("pc") < KERNEL_BASE:
            return "the machine starts: paging is off yet"
        return "the kernel" if number is None else f"the kernel, for {_name(machine, number)}"
    return "no VM that the kernel knows, in ring 3" if number is None else _name(machine, number)


def _name(machine: Inside, number: int) -> str:
    try:
        return f"guest {number} ({machine.vm(number).program})"
    except Absent:
        return f"guest {number}"
