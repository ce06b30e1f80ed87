# SPDX-License-Identifier: MIT
"""Where the kernel keeps what: the layout of its structures, out of its debug information.

gdb alone reads that. Within gdb conf/gdb/layouts.py asks it directly; elsewhere `of_kernel` lets a
gdb look at the kernel's file, in a tenth of a second. So a reader outside keeps no offsets of its
own, and a structure may change without it.
"""

from __future__ import annotations

import json
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent

# What conf/inside.py reads. A stage without VMs has no struct vm: it isn't in the layout then.
TYPES = (
    "struct vm",
    "struct vregs",
    "struct image",
    "struct ending",
    "struct boot_info",
    "struct boot_module",
    "struct memory_region",
    "struct range",
    "enum vm_state",
    "enum frame_use",
)


class NoLayout(Exception):
    """The kernel's file can't be read, or has no debug information."""


@dataclass(frozen=True)
class Struct:
    """A structure: `size` in bytes, and of each field the first bit and how many there are."""

    size: int
    fields: dict[str, tuple[int, int]]

    def get(self, data: bytes, name: str) -> int:
        """The field as an unsigned number; `data` is the whole structure."""
        bit, bits = self.fields[name]
        first, shift = divmod(bit, 8)
        whole = int.from_bytes(data[first : first + (shift + bits + 7) // 8], "little")
        return whole >> shift & (1 << bits) - 1

    def place(self, name: str) -> tuple[int, int]:
        """A field's offset and length in bytes."""
        bit, bits = self.fields[name]
        return bit // 8, bits // 8

    def part(self, data: bytes, name: str) -> bytes:
        """The field's bytes."""
        offset, length = self.place(name)
        return data[offset : offset + length]


class Layout:
    """The structures and enumerations that `describe` of conf/gdb/layouts.py found."""

    def __init__(self, found: dict[str, Any]) -> None:
        self._found = found

    def __contains__(self, name: str) -> bool:
        return name in self._found

    def struct(self, name: str) -> Struct:
        """The structure called "struct NAME"; NoLayout if the kernel has none."""
        found = self._found.get(f"struct {name}")
        if found is None:
            raise NoLayout(f"the kernel's debug information has no struct {name}")
        return Struct(found["size"], {key: (bit, bits) for key, (bit, bits) in found["fields"].items()})

    def names(self, name: str, prefix: str) -> dict[int, str]:
        """The values of "enum NAME" and what they are called, without `prefix`."""
        values: dict[str, int] = self._found.get(f"enum {name}", {})
        return {number: text.removeprefix(prefix) for text, number in values.items()}


def of_kernel(image: Path, seconds: float = 20.0) -> Layout:
    """The layout of a kernel's file; NoLayout if it can't be had."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "layout"
        code = f"from conf.gdb.layouts import dump; dump({str(out)!r}, {TYPES!r})"
        line = ["gdb", "-nx", "-batch", "-iex", "set auto-load off"]
        line += ["-ex", f"python import sys; sys.path.insert(0, {str(ROOT)!r})"]
        line += ["-ex", f"python {code}", str(image)]
        try:
            done = subprocess.run(line, capture_output=True, text=True, timeout=seconds, check=False)
            found: dict[str, Any] = json.loads(out.read_text())
        except (OSError, ValueError, subprocess.TimeoutExpired) as error:
            raise NoLayout(f"gdb can't read {image}: {error}") from None
    if not found:
        raise NoLayout(f"{image} has no debug information: {done.stderr.strip()[:300]}")
    return Layout(found)
