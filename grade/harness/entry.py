# SPDX-License-Identifier: MIT
"""The longest entry of the kernel, in instructions, measured by a QEMU plugin (grade/plugin).

    meter = EntryMeter(lab.folder(), lab.build)
    machine = lab.boot(..., icount=True, extra=meter.options)
    ...
    print(meter.read())

An entry is what the kernel executes from the first instruction after ring 3, or after a wait, to
the next instruction that gives the processor away: the iret into ring 3, the hlt of cpu_wait, the
sti of cpu_breathe. The boot up to the first of them doesn't count, nor does an entry in which the
monitor's `check` ran: that one stops the world on purpose, and no guest can ask for it.
"""

from __future__ import annotations

import os
import re
import struct
import subprocess
from dataclasses import dataclass
from pathlib import Path

from grade.harness.elf import Elf
from grade.harness.verdict import Infrastructure

LIMIT = 50000  # instructions: no entry is longer, whatever guests do
SOURCE = Path(__file__).resolve().parent.parent / "plugin/entry.c"

_TRAIL, _BUCKETS, _MARKS = 32, 32, 1024
_RESULT = struct.Struct(f"<5Q{_TRAIL}Q{_BUCKETS}Q{_MARKS}Q")
_REMEMBERED = re.compile(
    r"stub_\d+|vinstr_\w+|command_\w+|\w+_slice|\w+_expire|\w+_poll|\w+_interrupt|\w+_later|"
    r"poll_devices|work_run|guest_exception|virq_deliver|backing_touch|vm_kill"
)
_NOT_COUNTED = ("check_all",)


@dataclass(frozen=True)
class Entries:
    """What was measured. `trail` names what the longest entry came by; `by_name` has the longest
    entry that came by each of them; `histogram` counts entries by the bits of their length."""

    entries: int
    skipped: int
    longest: int
    instructions: int
    trail: tuple[str, ...]
    histogram: tuple[int, ...]
    by_name: dict[str, int]

    def __str__(self) -> str:
        mean = self.instructions / max(1, self.entries)
        return (
            f"longest kernel entry: {self.longest} instructions, by {' '.join(self.trail)}; "
            f"{self.entries} entries, {mean:.0f} on average"
        )

    def check(self) -> None:
        """Assert that the kernel ran, and that no entry was too long."""
        assert self.entries > 0, "no entry of the kernel was measured"
        assert self.longest <= LIMIT, f"{self} (at most {LIMIT})"


class EntryMeter:
    """The plugin for one machine that runs the kernel of `build`; its files are in `folder`."""

    def __init__(self, folder: Path, build: Path) -> None:
        kernel = Elf(build / "kern/denali")
        self._names = _marked(kernel)
        self._out, marks = folder / "entries", folder / "marks"
        kinds = _kinds(kernel, self._names)
        self._addresses = sorted(kinds)
        marks.write_text("".join(f"{at:x} {kinds[at]}\n" for at in self._addresses))
        self.options = ("-plugin", f"{_plugin(build)},out={self._out},marks={marks}")

    def read(self) -> Entries:
        """What was measured so far; the machine may run, or have ended."""
        words = _RESULT.unpack(self._out.read_bytes())
        entries, skipped, longest, instructions, length = words[:5]
        trail, rest = words[5 : 5 + length], words[5 + _TRAIL :]
        by_name = {
            self._names[at]: count
            for at, count in zip(self._addresses, rest[_BUCKETS:])
            if count and at in self._names
        }
        names = tuple(self._names.get(at, f"{at:#x}") for at in trail)
        return Entries(
            entries, skipped, longest, instructions, names, rest[:_BUCKETS], by_name
        )


def _marked(kernel: Elf) -> dict[int, str]:
    """Functions that an entry's trail shows, by address."""
    text = range(kernel.address("kernel_text"), kernel.address("kernel_text_end"))
    return {
        symbol.address: _shown(name)
        for name, symbol in kernel.symbols.items()
        if symbol.address in text and _REMEMBERED.fullmatch(name)
    }


def _shown(name: str) -> str:
    return f"vector {int(name[5:]):#04x}" if name.startswith("stub_") else name


def _kinds(kernel: Elf, names: dict[int, str]) -> dict[int, str]:
    """The marks: address and letter, as grade/plugin/entry.c wants them."""
    kinds = dict.fromkeys(names, "v")
    for name in _NOT_COUNTED:
        if name in kernel.symbols:
            kinds[kernel.address(name)] = "s"
    enter = kernel.symbols["guest_enter"]
    kinds[enter.address + enter.size - 1] = "x"  # its last instruction is iret, one byte
    kinds[kernel.address("cpu_wait") + 1] = "x"  # sti; hlt
    if "cpu_breathe" in kernel.symbols:
        kinds[kernel.address("cpu_breathe")] = "x"
    return kinds


def _plugin(build: Path) -> Path:
    """The plugin, compiled if it is older than its source."""
    plugin = build.resolve() / "grade/entry.so"
    if plugin.exists() and plugin.stat().st_mtime > SOURCE.stat().st_mtime:
        return plugin
    plugin.parent.mkdir(parents=True, exist_ok=True)
    fresh = plugin.with_suffix(f".{os.getpid()}")
    line = ["cc", "-O2", "-Wall", "-Wextra", "-Werror", "-shared", "-fPIC"]
    result = subprocess.run(
        [*line, "-o", str(fresh), str(SOURCE)], capture_output=True, text=True, check=False
    )
    if result.returncode != 0:
        raise Infrastructure(f"the plugin doesn't compile:\n{result.stderr}")
    os.replace(fresh, plugin)  # workers may build at the same time
    return plugin
