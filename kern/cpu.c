/* SPDX-License-Identifier: MIT
 *
 * Processor features. A bit of CR4 is set only after CPUID announced it:
 * hardware raises #GP for an unknown bit, and QEMU's translator hangs.
 */
#include "kern/cpu.h"
#include "kern/kernel.h"
#include "kern/x86.h"

#define MSR_SYSENTER_CS 0x174

#define LEAF_FEATURES   1
#define LEAF_STRUCTURED 7

enum output { EAX, EBX, ECX, EDX };

struct feature {
	const char *name;
	u32 leaf;
	enum output word;
	u32 bit;
	u32 cr4;
	const char *without; /* what guests can do where it is missing */
};

static const struct feature features[] = {
	{"TSC", LEAF_FEATURES, EDX, 4, CR4_TSD, NULL},
	{"PGE", LEAF_FEATURES, EDX, 13, CR4_PGE, "each switch flushes the kernel's mapping"},
	{"UMIP", LEAF_STRUCTURED, ECX, 2, CR4_UMIP, "guests can read descriptor table addresses"},
	{"SMEP", LEAF_STRUCTURED, EBX, 7, CR4_SMEP, "a kernel bug may run guest code"},
	{"SMAP", LEAF_STRUCTURED, EBX, 20, CR4_SMAP, "a kernel bug may touch guest pages"},
};

static bool
has(u32 leaf, enum output word, u32 bit)
{
	u32 out[4];

	cpuid(0, out);
	if (out[EAX] < leaf)
		return false;
	cpuid(leaf, out);
	return out[word] >> bit & 1;
}

bool
cpu_has_global_pages(void)
{
	return has(LEAF_FEATURES, EDX, 13);
}

void
cpu_init(void)
{
	u32 cr4 = CR4_PSE; /* all others as the loader left them: cleared */

	if (!has(LEAF_FEATURES, EDX, 4) || !has(LEAF_FEATURES, EDX, 9))
		fatal("cpu: no time stamp counter or no local APIC");
	for (const struct feature *f = features; f < features + ARRAY_LEN(features); f++) {
		if (has(f->leaf, f->word, f->bit))
			cr4 |= f->cr4;
		else
			kprintf("cpu: no %s: %s\n", f->name, f->without);
	}
	if (has(LEAF_FEATURES, EDX, 11))
		wrmsr(MSR_SYSENTER_CS, 0); /* makes sysenter trap, whatever the loader left */
	write_cr4(cr4);
	write_cr0(CR0_PE | CR0_PG | CR0_WP | CR0_ET | CR0_NE | CR0_EM | CR0_MP | CR0_TS);
}
