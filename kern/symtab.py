#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Write the kernel's symbol table, as assembly, from the output of `nm -n`.

    nm -n KERNEL | kern/symtab.py > symtab.S     (no input: an empty table)
"""

from __future__ import annotations

import sys


def main() -> None:
    """Read nm's lines from standard input, print the table."""
    functions: list[tuple[str, str]] = []
    end = "0"
    for line in sys.stdin:
        fields = line.split()
        if len(fields) != 3:
            continue
        address, kind, name = fields
        if name == "kernel_text_end":
            end = address
        elif kind in "tT" and not name.startswith("stub_"):
            functions.append((address, name))
    print("/* Made by kern/symtab.py. */")
    print('\t.section .symtab_kernel, "a"\n\t.p2align 2')
    print("\t.globl symbols, symbol_count, symbol_text_end")
    print("symbols:")
    for index, (address, _) in enumerate(functions):
        print(f"\t.long 0x{address}, name_{index}")
    print(f"symbol_count:\n\t.long {len(functions)}")
    print(f"symbol_text_end:\n\t.long 0x{end}")
    for index, (_, name) in enumerate(functions):
        print(f'name_{index}:\t.asciz "{name}"')
    print('\t.section .note.GNU-stack, "", @progbits')


main()
