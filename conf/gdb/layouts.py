# SPDX-License-Identifier: MIT
"""Inside gdb: where the fields of the kernel's structures lie, out of its debug information.

conf/layout.py uses what `describe` says; it runs `dump` in a gdb of its own where there is none.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

import gdb  # type: ignore[import]


def describe(names: Iterable[str]) -> dict[str, Any]:
    """For each name that the kernel has, "struct vm" or "enum vm_state": of a structure its size
    and its fields ("regs.eip": first bit, bits), of an enumeration its values by name."""
    found: dict[str, Any] = {}
    for name in names:
        try:
            kind = gdb.lookup_type(name)
        except gdb.error:
            continue
        if kind.code == gdb.TYPE_CODE_ENUM:
            found[name] = {field.name: int(field.enumval) for field in kind.fields()}
        else:
            found[name] = {"size": int(kind.sizeof), "fields": _fields(kind, 0, "")}
    return found


def dump(path: str, names: Iterable[str]) -> None:
    """Write `describe` as JSON to `path`."""
    with open(path, "w", encoding="utf-8") as file:
        json.dump(describe(names), file)


def _fields(kind: Any, base: int, prefix: str) -> dict[str, tuple[int, int]]:
    """Every field of a structure, those of the structures in it too."""
    found: dict[str, tuple[int, int]] = {}
    for field in kind.fields():
        inner = field.type.strip_typedefs()
        bit, bits = base + field.bitpos, field.bitsize or inner.sizeof * 8
        found[prefix + field.name] = (bit, bits)
        if inner.code == gdb.TYPE_CODE_STRUCT:
            found.update(_fields(inner, bit, f"{prefix}{field.name}."))
    return found
