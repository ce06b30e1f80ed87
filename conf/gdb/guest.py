# SPDX-License-Identifier: MIT
"""Inside gdb: symbols of guests, and who runs when the machine stops.

All guests live at the same addresses, so symbols of one program are loaded at a time. An address
below 0x40000000 means the VM that has the processor.
"""

from __future__ import annotations

import os
from pathlib import Path

import gdb  # type: ignore[import]

from conf.gdb import machine
from conf.inside import PAGE, Absent
from grade.harness.elf import Elf


def folder() -> Path:
    """Where the guest programs' linked files are: $DENALI_USER, or beside the kernel's folder."""
    if chosen := os.environ.get("DENALI_USER"):
        return Path(chosen)
    return Path(gdb.objfiles()[0].filename).resolve().parent.parent / "user"


def programs() -> dict[str, Path]:
    """The guest programs that there are symbols of, by name: those that are built; in a replay,
    also those that its machine runs, under the names that its kernel knows."""
    return {path.stem: path for path in folder().glob("*.elf")} | running()


def running() -> dict[str, Path]:
    """The programs that the machine of a replay runs; none outside of one."""
    replay = os.environ.get("DENALI_REPLAY")
    return {path.name: path for path in Path(replay, "files/build/user").glob("*")} if replay else {}


def symbol_at(program: str, address: int) -> str:
    """An address of a guest's in words: "main+0x12"; in numbers if nothing is known there."""
    path = programs().get(program)
    if address < PAGE or not path:  # page 0 is nobody's: symbols there are files and numbers
        return f"{address:#x}"
    best = None
    for symbol in Elf(path).symbols.values():
        if symbol.address <= address < symbol.address + max(symbol.size, 1):
            best = symbol
    if best is None:
        return f"{address:#x}"
    offset = address - best.address
    return f"{address:#x} ({best.name}{f'+{offset:#x}' if offset else ''})"


class Guest(gdb.Command):  # type: ignore[misc]
    """guest [K | NAME]: load the symbols of what VM K runs, or of program NAME; or list programs."""

    def __init__(self) -> None:
        super().__init__("guest", gdb.COMMAND_FILES)
        self.loaded = ""

    def names(self) -> list[str]:
        """The guest programs that there are symbols of."""
        return sorted(programs())

    def invoke(self, argument: str, from_tty: bool) -> None:
        """Replace the symbols of the guest loaded so far."""
        name = argument.strip()
        if name.isdecimal():
            name = self._program(int(name))
        if not name:
            print("guest programs:", *(f"*{n}" if n == self.loaded else n for n in self.names()))
        elif name not in self.names():
            raise gdb.GdbError(f"there is no {folder()}/{name}.elf to take symbols from")
        elif name != self.loaded:
            self.unload()
            gdb.execute(f"add-symbol-file '{programs()[name].resolve()}'", to_string=True)
            self.loaded = name
            print(f"guest symbols: {name}")

    def unload(self) -> None:
        """Forget the guest's symbols."""
        known = {str(path.resolve()) for path in programs().values()}
        for objfile in gdb.objfiles():
            if objfile.filename in known:
                gdb.execute(f"remove-symbol-file '{objfile.filename}'", to_string=True)
        self.loaded = ""

    def complete(self, text: str, word: str) -> list[str]:
        """Names for the Tab key."""
        return [name for name in self.names() if name.startswith(word)]

    @staticmethod
    def _program(number: int) -> str:
        try:
            return machine.inside().vm(number).program
        except Absent as absent:
            raise gdb.GdbError(str(absent)) from None


def announce(guest: Guest) -> None:
    """Say at each stop who has the processor."""

    def stopped(_event: object) -> None:
        try:
            text = machine.where()
        except gdb.error:  # the machine is gone, or runs on already
            return
        if text:
            hint = "" if not machine.in_guest() else _hint(guest)
            print(f"[{text}{hint}]")

    gdb.events.stop.connect(stopped)


def _hint(guest: Guest) -> str:
    """Whose symbols would fit, if others are loaded."""
    try:
        number = machine.inside().running()
        program = machine.inside().vm(number).program if number is not None else ""
    except Absent:
        return ""
    fits = program in (guest.loaded, "") or program not in guest.names()
    return "" if fits else f"; `guest {number}` loads its symbols"
