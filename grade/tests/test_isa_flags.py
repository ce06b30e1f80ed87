# SPDX-License-Identifier: MIT
"""EFLAGS: the kernel has its own, the guest gets its own back, and nothing that it may not have."""

from __future__ import annotations

import struct

from grade.harness.lab import Lab

TF, IF, DF, NT, AC, ID = 1 << 8, 1 << 9, 1 << 10, 1 << 14, 1 << 18, 1 << 21
IOPL, RF, VM, VIF, VIP = 3 << 12, 1 << 16, 1 << 17, 1 << 19, 1 << 20
TRICKS = DF | NT | AC | ID
GUESTS_OWN = 0x2008D5 | DF  # CF PF AF ZF SF OF DF ID
_FRAME_CS = 44  # struct trapframe of kern/trap.h: cs, then eflags

_LOOP = f"""
static int run(void)
{{
	static const u32 tricks[] = {{{DF}, {NT}, {AC}, {ID}, {TRICKS}}};
	for (u32 i = 0;; i = (i + 1) % 5)
		__asm__ volatile("pushl %0; popfl; int $0x80; pushl $2; popfl"
				 : : "r"(tricks[i] | 0xD7), "a"(VI_NULL) : "memory", "cc");
	return 0;
}}
"""


def test_kernel_runs_with_flags_of_its_own(lab: Lab) -> None:
    """A guest enters with DF, NT, AC or ID set, or all. Where C begins they are clear: with DF memcpy
    would run backwards, with AC the kernel could touch guest pages in spite of SMAP."""
    machine = lab.boot(lab.program(_LOOP))
    machine.expect("^vms 1 to 1")
    gdb = machine.gdb()
    entry, wanted = machine.kernel.address("trap_dispatch"), {DF, NT, AC, ID, TRICKS}
    gdb.insert(entry)
    gdb.resume()
    for _ in range(60):
        registers = gdb.registers()
        frame = struct.unpack("<I", gdb.read(registers["esp"] + 4, 4))[0]
        cs, eflags = struct.unpack("<II", gdb.read(frame + _FRAME_CS, 8))
        mine = registers["eflags"] & (TRICKS | TF | IF | IOPL | VM | RF)
        assert mine == 0, f"the kernel has {mine:#x} of a guest with eflags {eflags:#x}"
        if cs & 3 == 3:
            wanted.discard(eflags & TRICKS)
        if not wanted:
            break
        gdb.resume_over(entry)
    gdb.detach()
    assert not wanted, "the guest never entered with these flags"


def test_kernel_copies_forwards_for_a_guest_that_copies_backwards(lab: Lab) -> None:
    """The same from outside: with DF set a text of many bytes arrives whole."""
    source = """
    static char text[] = "the quick brown fox jumps over the lazy dog, forwards all the way\\n";
    static int run(void)
    {
    	i32 result;
    	__asm__ volatile("std; int $0x80; cld"
    			 : "=a"(result) : "0"(VI_CONSOLE_WRITE), "b"(text),
    			 "c"(sizeof text - 1) : "memory", "cc");
    	return result == sizeof text - 1 ? 0 : 1;
    }
    """
    machine = lab.boot(lab.program(source))
    machine.expect(r"^\[vm 1\] the quick brown fox jumps over the lazy dog, forwards all the way$")
    machine.expect("^vm 1: terminated, status 0$")


def test_guest_gets_its_flags_back(lab: Lab) -> None:
    """Every combination of the eight flags goes through the gate unchanged; IF is on afterwards;
    IOPL, NT, VM, RF, AC, VIF and VIP are off, whatever was tried."""
    source = f"""
    static u32 through(u32 flags)
    {{
    	u32 result;
    	__asm__ volatile("pushl %1; popfl; int $0x80; pushfl; popl %0; pushl $2; popfl"
    			 : "=r"(result) : "r"(flags), "a"(VI_NULL) : "memory", "cc");
    	return result;
    }}
    static int run(void)
    {{
    	const u32 own = {GUESTS_OWN:#x}, foreign = {NT | AC | IOPL | RF | VM | VIF | VIP:#x};
    	u32 flags = 0;
    	do {{
    		CHECK(through(flags | 2) == (flags | 0x202));
    		CHECK(through(flags | 2 | foreign) == (flags | 0x202));
    		flags = (flags - own) & own; /* the next subset */
    	}} while (flags);
    	return 77;
    }}
    """
    machine = lab.boot(lab.program(source))
    machine.expect("^vm 1: terminated, status 77$")


def test_flags_survive_the_end_of_a_quantum(lab: Lab) -> None:
    """Two VMs with opposite flags take turns for 20 quanta each; neither sees the other's."""
    source = """
    static int run(void)
    {
    	u32 mine = (VREGS->number & 1) ? %#x : 0x2, end, until = VREGS->quanta + 20;
    	while ((i32)(VREGS->quanta - until) < 0) {
    		__asm__ volatile("pushl %%1; popfl; movl $2000000, %%%%ecx\\n"
    				 "1: leal -1(%%%%ecx), %%%%ecx; jecxz 2f; jmp 1b\\n"
    				 "2: pushfl; popl %%0; pushl $2; popfl"
    				 : "=r"(end) : "r"(mine) : "ecx", "cc", "memory");
    		CHECK(end == (mine | 0x200));
    		gate(VI_NULL, 0, 0);
    	}
    	return 77;
    }
    """ % (GUESTS_OWN | 2)
    machine = lab.boot(lab.program(source, count=2), options="quantum=1ms")
    machine.expect_all("^vm 1: terminated, status 77$", "^vm 2: terminated, status 77$")


def test_without_umip_its_instructions_are_ambiguous(lab: Lab) -> None:
    """What the table says of sgdt, sidt, sldt, str and smsw: they end the VM only where the
    processor has UMIP."""
    body = 'sgdt 64(%%esp); sidt 64(%%esp); sldt %%eax; str %%eax; smsw %%eax'
    source = f"""
    static int run(void)
    {{
    	__asm__ volatile("subl $128, %%esp; {body}; addl $128, %%esp" ::: "eax", "memory");
    	return 77;
    }}
    """
    machine = lab.boot(lab.program(source), extra=("-cpu", "qemu32,+smep,+smap"))
    machine.expect("^vm 1: terminated, status 77$")
    machine = lab.boot(lab.program(source))
    machine.expect("^vm 1: killed: excluded instruction: sgdt at 0x")
