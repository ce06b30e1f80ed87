/* SPDX-License-Identifier: MIT
 *
 * Fills the page of virtual registers of a VM that begins. The guest may scribble
 * over all of it: what the kernel needs, it keeps in its own record.
 */
#include "kern/clock.h"
#include "kern/kernel.h"
#include "kern/layout.h"
#include "kern/netaddr.h"
#include "kern/quantum.h"
#include "kern/vregs.h"
#include "kern/x86.h"
#include "lib/chacha20.h"
#include "lib/string.h"

u64 wall_base;

static u32 seed_key[8];
static bool seeded;

/* Offsets that assembly uses, and what the manual promises. */
_Static_assert(offsetof(struct vregs, virq_enable) == VREG_VIRQ_ENABLE, "abi");
_Static_assert(offsetof(struct vregs, upcall_eip) == VREG_UPCALL_EIP, "abi");
_Static_assert(offsetof(struct vregs, upcall_eflags) == VREG_UPCALL_EFLAGS, "abi");
_Static_assert(offsetof(struct vregs, abi_version) == 0x40, "abi");
_Static_assert(offsetof(struct vregs, quanta) == 0x80, "abi");
_Static_assert(offsetof(struct vregs, seed) == 0xc0, "abi");
_Static_assert(offsetof(struct vregs, args) == 0x100, "abi");
_Static_assert(offsetof(struct vregs, disk_ring) == 0x200, "abi");
_Static_assert(offsetof(struct vregs, disk) == 0x400, "abi");
_Static_assert(offsetof(struct vregs, console) == 0x800, "abi");
_Static_assert(sizeof(struct vregs) == PAGE_SIZE, "abi");

static int
option_wall(const char *value)
{
	for (wall_base = 0; *value >= '0' && *value <= '9'; value++)
		wall_base = wall_base * 10 + (u32)(*value - '0');
	return *value ? -1 : 0;
}

OPTION("wall", option_wall, "nanoseconds since 1970 at boot");

static int
hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static int
option_seed(const char *value)
{
	for (u32 i = 0; i < 64; i++) {
		int digit = hex_digit(value[i]);

		if (digit < 0)
			return -1;
		seed_key[i / 8] = seed_key[i / 8] << 4 | (u32)digit;
	}
	seeded = true;
	return value[64] ? -1 : 0;
}

OPTION("seed", option_seed, "64 hexadecimal digits");

/* Each VM's seed is a block of ChaCha20 under the machine's key, another at each
 * start, so that no VM can work out another's from its own. Without the option the key is the time
 * stamp counter: different from boot to boot, but guessable. */
static void
fill_seed(struct vm *vm)
{
	const u32 nonce[3] = {vm->number, vm->starts - 1, 0};
	u32 block[16];

	if (!seeded) {
		u64 now = rdtsc();

		memcpy(seed_key, &now, sizeof now);
		seeded = true;
		kprintf("random: no seed= given; the guests' seeds are guessable\n");
	}
	chacha20_block(block, seed_key, 0, nonce);
	memcpy(vm->vregs->seed, block, sizeof vm->vregs->seed);
}

void
vregs_init(struct vm *vm, const char *args)
{
	struct vregs *v = vm->vregs;

	v->abi_version = ABI_VERSION;
	v->number = vm->number;
	v->memory_size = vm->memory_size;
	v->image_end = vm->image->end;
	v->cpu_khz = clock_rates.tsc_khz;
	v->quantum_us = (u32)(quantum_length / NS_PER_US);
	v->address = VM_NETWORK + vm->number;
	v->gateway = GATEWAY;
	v->netmask = NETMASK;
	mac_of_address(v->mac, v->address);
	v->wall_base = wall_base;
	fill_seed(vm);
	memcpy(v->args, args, strlen(args) + 1);
}
