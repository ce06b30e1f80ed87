# SPDX-License-Identifier: MIT
"""Denali's pack for gdb: `source conf/gdb/denali.py`, or `make gdb`, which does it.

Adds `denali vms`, `vm K`, `pt K`, `virq K`, `frames`, `trace`; `guest K` for symbols; and says at
each stop whether the kernel or which guest has the processor. With DENALI_START=entry in the
environment (conf/run) it runs the firmware up to the kernel's first instruction.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import gdb  # type: ignore[import]

ROOT = Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT))

from conf.gdb import commands, guest, machine  # noqa: E402


def to_entry() -> None:
    """Load a guest's symbols and run the firmware up to the kernel's entry."""
    for name in ("httpd", "hello"):
        if name in symbols.names():
            symbols.invoke(name, False)
            break
    if machine.register("pc") == 0xFFF0:  # the reset vector: nothing has run yet
        gdb.execute("tbreak boot_entry", to_string=True)
        gdb.execute("continue", to_string=True)
    gdb.execute("frame")
    print("Kernel and guest symbols are loaded; `guest` lists the guest programs.")
    print("`break kern/main.c:main` and `continue` lead to the kernel's C code.")
    print("`help denali` lists what shows VMs, page tables, frames and the trace.")


gdb.execute("set confirm off")
gdb.execute("set pagination off")
commands.register_all()
symbols = guest.Guest()
guest.announce(symbols)
if os.environ.get("DENALI_START") == "entry":
    to_entry()
