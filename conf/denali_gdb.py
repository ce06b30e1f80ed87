# SPDX-License-Identifier: MIT
"""Inside gdb: symbols of kernel and guest together, the trace (denali-trace), and a stop at the
kernel's first instruction.

conf/run has loaded the kernel's symbols and connected. Guests all live at the same addresses, so
the symbols of one guest program are loaded at a time: `guest NAME` chooses it. An address below
0x40000000 then means the VM that runs when the machine stops.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import gdb  # type: ignore[import]

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from conf.timeline import Mark, Names, Timeline  # noqa: E402
from conf.tracering import KERNEL_BASE, NO_VM, Event, Kernel, Ring  # noqa: E402

USER = Path(os.environ["DENALI_USER"])


class Guest(gdb.Command):  # type: ignore[misc]
    """guest [NAME]: load the symbols of the guest program build/user/NAME.elf, or list them."""

    def __init__(self) -> None:
        super().__init__("guest", gdb.COMMAND_FILES)
        self.loaded = ""

    def names(self) -> list[str]:
        """The guest programs that are built."""
        return sorted(path.stem for path in USER.glob("*.elf"))

    def invoke(self, argument: str, from_tty: bool) -> None:
        """Replace the symbols of the guest loaded so far."""
        if argument not in self.names():
            print("guest programs:", *(f"*{n}" if n == self.loaded else n for n in self.names()))
            return
        if argument == self.loaded:
            return
        self.unload()
        gdb.execute(f"add-symbol-file '{USER / argument}.elf'", to_string=True)
        self.loaded = argument
        print(f"guest symbols: {argument}")

    def unload(self) -> None:
        """Forget the guest's symbols."""
        for objfile in gdb.objfiles():
            if objfile.filename and Path(objfile.filename).parent == USER:
                gdb.execute(f"remove-symbol-file '{objfile.filename}'", to_string=True)

    def complete(self, text: str, word: str) -> list[str]:
        """Names for the Tab key."""
        return [name for name in self.names() if name.startswith(word)]


class Trace(gdb.Command):  # type: ignore[misc]
    """denali-trace [N]: the last N events of the kernel's trace (20)."""

    def __init__(self) -> None:
        super().__init__("denali-trace", gdb.COMMAND_STATUS)

    def invoke(self, argument: str, from_tty: bool) -> None:
        """Read the ring and print it; the machine stands still."""
        kernel = Kernel(Path(gdb.objfiles()[0].filename), ROOT)
        ring = Ring(kernel, self._read)
        ring.only_last(int(argument or 20))
        ring.poll()
        names = Names(kernel.states, kernel.interrupts, kernel.functions, kernel.instructions)
        words = Timeline([], names)
        for event in ring.events():
            who = "" if event.vm == NO_VM else f"vm {event.vm}"
            print(f"{event.ns / 1e9:14.9f}  {who:8}  {self._text(event, kernel, words)}")

    @staticmethod
    def _read(address: int, length: int) -> bytes:
        return bytes(gdb.selected_inferior().read_memory(KERNEL_BASE + address, length))

    @staticmethod
    def _text(event: Event, kernel: Kernel, words: Timeline) -> str:
        if event.kind == "state":
            return f"{kernel.states[event.value >> 8]} to {kernel.states[event.value & 0xFF]}"
        if event.kind in ("work-begin", "work-end"):
            return f"{event.kind} {kernel.functions.get(event.value, '?')}"
        if event.kind in ("wait", "wake"):
            return event.kind
        return words.describe(Mark(event.ns, event.kind, event.value))


def start() -> None:
    """Load a guest's symbols and run the firmware up to the kernel's entry."""
    gdb.execute("set confirm off")
    gdb.execute("set pagination off")
    guest = Guest()
    Trace()
    for name in ("httpd", "hello"):
        if name in guest.names():
            guest.invoke(name, False)
            break
    pc = int(gdb.parse_and_eval("(unsigned int)$pc"))
    if pc == 0xFFF0:  # the reset vector: nothing has run yet
        gdb.execute("tbreak boot_entry", to_string=True)
        gdb.execute("continue", to_string=True)
    gdb.execute("frame")
    print("Kernel and guest symbols are loaded; `guest` lists the guest programs.")
    print("`break kern/main.c:main` and `continue` lead to the kernel's C code.")


start()
