# SPDX-License-Identifier: MIT
"""Every class of instruction: excluded ones end the VM, ambiguous ones harm at most the VM itself.

One image carries all attempts; its boot argument chooses one. Beside them a witness works through,
and proves that nobody else noticed.
"""

from __future__ import annotations

import re

import pytest

from conf.qemu import Module
from grade.harness.elf import Image, code
from grade.harness.lab import Lab
from grade.harness.witness import Witness

SURVIVED = 77

# Privileged, sensitive or undefined: the VM must be killed.
EXCLUDED = [
    "cli", "sti", "hlt", "clts", "wbinvd", "invd",
    "in $0x60, %%al", "in %%dx, %%eax", "out %%al, $0x80", "out %%eax, %%dx", "insb", "outsb",
    "mov %%cr0, %%eax", "mov %%cr2, %%eax", "mov %%cr3, %%eax", "mov %%cr4, %%eax",
    "mov %%eax, %%cr0", "mov %%eax, %%cr3", "mov %%eax, %%cr4",
    "mov %%dr7, %%eax", "mov %%eax, %%dr7",
    "lgdt 0x3000", "lidt 0x3000", "lldt %%ax", "ltr %%ax", "lmsw %%ax", "invlpg 0x3000",
    "rdmsr", "wrmsr", "rdpmc", "rdtsc",
    "sgdt -16(%%esp)", "sidt -16(%%esp)", "sldt %%ax", "str %%ax", "smsw %%ax",
    "int3", "int $0", "int $8", "int $14", "int $0x20", "int $0x7f", "int $0x81", "int $0xff",
    "mov $0x7fffffff, %%eax; add $1, %%eax; into", "ud2", "xor %%ecx, %%ecx; div %%ecx",
    "fninit", "fld1", "xorps %%xmm0, %%xmm0", "sysenter", "sysexit",
    "lcall $0x08, $0", "ljmp $0x08, $0x40100000", "pushl $8; pushl $0x40100000; lret",
    "pushl $0; pushfl; pushl $8; pushl $0x40100000; iret",
    "mov $0x10, %%eax; mov %%ax, %%ds", "pushl $0x10; pop %%ss", "pushl $0x08; pop %%es",
    "mov $0x28, %%eax; mov %%ax, %%fs", "mov $0x53, %%eax; mov %%ax, %%gs",
    "pushl $0x100; popfl; nop; nop", "pushl $0x4000; popfl; iret",
    "pushl $0x3000; popfl; cli", "pushl $0x20202; popfl; cli",
]  # fmt: skip

# Accesses outside the VM's memory, and writes to what is read-only.
OUTSIDE = [
    "mov 0, %%eax", "mov %%eax, 0", "mov $0, %%eax; call *%%eax", "mov 0xfff, %%al",
    "mov 0x1000000, %%eax", "mov %%eax, 0x1000000", "mov 0xfffffd, %%eax",
    "mov $0x1000000, %%eax; jmp *%%eax", "mov 0x3ffffffc, %%eax",
    "mov 0x40000000, %%eax", "mov %%eax, 0x40100000", "mov $0x40100000, %%eax; call *%%eax",
    "mov 0xf0000000, %%eax", "mov 0xffffffff, %%al", "mov %%eax, 0xffc00000",
    "mov $0xfffffff0, %%eax; jmp *%%eax", "mov %%eax, 0x2000", "lock incl 0x2000",
    "xor %%esp, %%esp; push %%eax", "mov $0x40001000, %%esp; push %%eax",
    "mov $0xffffffff, %%ecx; mov $0x2000, %%edi; cld; rep stosb",
]  # fmt: skip

# Sensitive, but they don't trap: the VM may go on, with nothing gained.
AMBIGUOUS = [
    "pushfl; popl %%eax; test $0x200, %%eax; jz 9f",
    "pushl $0; popfl; pushfl; popl %%eax; test $0x200, %%eax; jz 9f",
    "pushl $0x3202; popfl; pushfl; popl %%eax; test $0x3000, %%eax; jnz 9f",
    "mov $0x10, %%ecx; lar %%ecx, %%eax", "mov $0x10, %%ecx; lsl %%ecx, %%eax; jz 9f",
    "mov $0x10, %%ecx; verr %%cx; jz 9f", "mov $0x10, %%ecx; verw %%cx; jz 9f",
    "cpuid", "mov %%cs, %%eax; and $3, %%eax; cmp $3, %%eax; jne 9f",
    "pushl $0x44202; popfl; mov $0, %%eax; int $0x80; pushfl; popl %%eax; pushl $2; popfl; "
    "test $0x44000, %%eax; jnz 9f",  # NT and AC don't come back from the kernel
    "std; mov $3, %%eax; mov $0x2000, %%ebx; mov $16, %%ecx; int $0x80; pushfl; popl %%eax; "
    "cld; test $0x400, %%eax; jz 9f",
    "xor %%eax, %%eax; mov %%ax, %%fs; mov %%ax, %%gs", "nop; pause; mfence; lfence; sfence",
]  # fmt: skip


def _source(attempts: list[str]) -> str:
    """A guest whose argument chooses one attempt; label 9 is where a wrong outcome ends."""
    cases = "\n".join(
        f'\tcase {i}: __asm__ volatile("{text}; jmp 8f; 9: mov $0, %%eax; ud2; 8:" '
        '::: "eax", "ebx", "ecx", "edx", "esi", "edi", "memory", "cc"); break;'
        for i, text in enumerate(attempts)
    )
    return f"""
    static int run(void)
    {{
    	const volatile char *p = VREGS->args;
    	u32 n = 0;
    	while (*p)
    		n = n * 10 + *p++ - '0';
    	switch (n) {{
    {cases}
    	}}
    	return {SURVIVED};
    }}
    """


def _run(lab: Lab, attempts: list[str]) -> dict[int, str]:
    """Run every attempt beside a witness; how each VM ended, by its number."""
    witness = Witness()
    image = lab.program(_source(attempts))
    modules = [Module(image.image, args=str(i)) for i in range(len(attempts))]
    machine = lab.boot(witness.module(lab), *modules)
    witness.check(machine, 1)
    machine.serial.rewind()
    for _ in range(len(attempts) + 1):
        machine.expect(r"^vm \d+: (terminated|killed)")
    ends = re.findall(r"^vm (\d+): (.*)$", machine.serial.text(), re.MULTILINE)
    return {int(vm): how for vm, how in ends}


@pytest.mark.quick
@pytest.mark.parametrize("half", [0, 1])
def test_excluded_instruction_ends_the_vm_alone(lab: Lab, half: int) -> None:
    """A privileged instruction that slips through in ring 3 is the end of isolation."""
    attempts = EXCLUDED[half::2]
    ends = _run(lab, attempts)
    for i, text in enumerate(attempts):
        assert ends[i + 2].startswith("killed: "), f"{text}: {ends[i + 2]}"
        assert re.search(r"at (eip )?(0x)?0000[2-9a-f]", ends[i + 2]), f"{text}: {ends[i + 2]}"


@pytest.mark.quick
def test_access_outside_memory_ends_the_vm_alone(lab: Lab) -> None:
    """Null pointers, the end of RAM, the kernel, the devices, the own text: reason and address are
    on record, everybody else goes on."""
    ends = _run(lab, OUTSIDE)
    for i, text in enumerate(OUTSIDE):
        assert re.match(
            r"killed: page fault: (read of|write of|jump to) (0x)?[0-9a-f]{8} at eip", ends[i + 2]
        ), f"{text}: {ends[i + 2]}"


def test_ambiguous_instruction_gains_nothing(lab: Lab) -> None:
    """What doesn't trap must not tell or change anything: IF stays on, IOPL stays 0, the kernel's
    descriptors stay closed, and flags such as NT, AC and DF don't disturb the kernel."""
    ends = _run(lab, AMBIGUOUS)
    for i, text in enumerate(AMBIGUOUS):
        assert ends[i + 2] == f"terminated, status {SURVIVED}", f"{text}: {ends[i + 2]}"


def test_guest_starts_with_clean_registers(lab: Lab) -> None:
    """Whatever the kernel leaves in a register is a secret told; the first instruction must find
    zeros, and flags 0x202."""
    text = bytes.fromhex(
        "a310800000 891d14800000 890d18800000 89151c800000"  # eax, ebx, ecx, edx to 0x8010 ...
        "892520800000 892d24800000 893528800000 893d2c800000"  # ... esp, ebp, esi, edi
        "bc00900000 9c 8b1c24 81f302020000"  # flags ^ 0x202 in ebx
        "0b1d10800000 0b1d14800000 0b1d18800000 0b1d1c800000"  # and all of them into it
        "0b1d20800000 0b1d24800000 0b1d28800000 0b1d2c800000"
        "b802000000 cd80"  # terminate(ebx)
    )
    machine = lab.boot(lab.image(Image(segments=[code(text)]).build()))
    machine.expect("^vm 1: terminated, status 0$")
