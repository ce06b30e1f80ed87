/* SPDX-License-Identifier: MIT
 *
 * Whole VMs out and in. A VM that goes out leaves its record behind, nothing else;
 * block 0 of its region, which no page needs, says what the other blocks hold:
 *
 *   block   0         1           2 ...
 *         +---------+-----------+--------------------------------+
 *         | map     | registers | pages of RAM, each at its place |
 *         +---------+-----------+--------------------------------+
 *
 * Out: write what the region doesn't have yet, in few long transfers in the order of
 * addresses, and the map; when all has been written, free everything.
 * In: read the map; build the tables from it; read the pages that the VM used when it
 * was last in, all others when they are touched.
 */
#include "kern/backing.h"
#include "kern/evict.h"
#include "kern/frame.h"
#include "kern/gatekeeper.h"
#include "kern/image.h"
#include "kern/kernel.h"
#include "kern/layout.h"
#include "kern/space.h"
#include "kern/swap.h"
#include "kern/trace.h"
#include "kern/vdisk.h"
#include "kern/vmswap.h"
#include "kern/x86.h"
#include "lib/string.h"

#define MAP_MAGIC 0x70616d76u /* "vmap" */
#define CODE_BITS 2u
#define CODE_MASK 3u
#define CODES     (32u / CODE_BITS) /* in a word */

/* Costs in units of some 100 machine instructions; a slice has SLICE_BUDGET of them. */
#define SLICE_BUDGET 80
#define OVERDRAFT    (-48)
#define LOOK_PAGES   8u   /* entries looked at for one unit */
#define WRITE_COST   6u   /* a disk in RAM copies the page */
#define ZERO_BYTES   256u /* looked at for one unit */
#define SHARE_COST   2u
#define READ_COST    6u

/* What is known of a page that is out. */
enum code {
	CODE_NONE,   /* never written: zero, or what the image has */
	CODE_ZERO,   /* zero, whatever the image has */
	CODE_STORED, /* in the region */
	CODE_USED    /* in the region, and to be fetched at once */
};

struct swap_map {
	u32 magic;
	u32 number, starts; /* whose it is, and in which of its lives */
	u32 pages;
	u32 least; /* for begin_map: the least that its working set is taken to be */
	u32 codes[PAGE_SIZE / sizeof(u32) - 5];
};

COUNTER(vms_out);
COUNTER(vms_in);

static struct swap_map *
map_of(const struct vm *vm)
{
	return pa_to_kva(vm->map);
}

static void
set_code(struct vm *vm, gva_t page, enum code code)
{
	u32 n = page >> PAGE_SHIFT;

	map_of(vm)->codes[n / CODES] |= (u32)code << n % CODES * CODE_BITS;
}

static enum code
get_code(const struct vm *vm, gva_t page)
{
	u32 n = page >> PAGE_SHIFT;

	return map_of(vm)->codes[n / CODES] >> n % CODES * CODE_BITS & CODE_MASK;
}

static void
free_map(struct vm *vm)
{
	if (vm->map)
		frame_free(vm->map);
	vm->map = 0;
}

static void
move_done(struct swap_io *io, int status)
{
	struct vm *vm = io->vm;

	if (status < 0)
		swap_failed(io);
	swap_io_free(io);
	swap_ended(vm);
	if (vm->state == VM_DYING && vm->swap_ios == 0)
		free_map(vm);
}

/* The transfer that is being put together, of one VM at a time. */
static struct swap_io *open_io;

static void
start_open(void)
{
	struct swap_io *io = open_io;

	open_io = NULL;
	if (!io)
		return;
	swap_began(io->vm);
	swap_io_start(io);
}

/* Adds the block that `frame` holds, or is to hold, to a transfer. False: there is no
 * record for it now; vm->work goes on when there is. */
static bool
transfer(struct vm *vm, u32 block, pa_t frame, bool write)
{
	struct swap_io *io = open_io;

	if (io && (block != io->block + io->count || io->count == SWAP_CLUSTER_MAX ||
		   block % STRIPE_BLOCKS == 0))
		start_open();
	if (!open_io) {
		io = swap_io_new(vm);
		if (!io) {
			swap_io_wait(&vm->work);
			return false;
		}
		io->block = block;
		io->count = 0;
		io->write = write;
		io->done = move_done;
		open_io = io;
	}
	open_io->frames[open_io->count++] = frame;
	return true;
}

/* Spends `units` of the budget for `page`; false when the slice is to end there: if the
 * budget is used up, with the last page of a stripe, lest a transfer be cut; but if it is
 * overdrawn, at once. */
static bool
spend(i32 *budget, u32 units, gva_t page)
{
	*budget -= (i32)units;
	return *budget > 0 || (stripe_rest(page >> PAGE_SHIFT) > 1 && *budget > OVERDRAFT);
}

/* Works out what becomes of a page of the VM's own; *write: its frame must be written.
 * Of a VM that has come to rest, what it used is its working set; one that has to leave
 * in the middle of something will want all that it had. */
static enum code
judge(const struct vm *vm, gva_t page, u32 entry, bool *write, u32 *cost)
{
	const void *bytes = pa_to_kva(ALIGN_DOWN(entry, PAGE_SIZE));
	enum code stored = entry & PTE_A || !vm->in_idle ? CODE_USED : CODE_STORED;
	u32 zeros;

	*write = false;
	if (page == VREGS_BASE) {
		*write = true;
		return CODE_USED;
	}
	if (!(entry & PTE_D))
		return entry & PTE_STORED ? stored : CODE_NONE;
	zeros = page_zeros(bytes);
	*cost += zeros / ZERO_BYTES;
	if (zeros == PAGE_SIZE)
		return image_segment(vm->image, page) ? CODE_ZERO : CODE_NONE;
	*write = true;
	return stored;
}

/* Deals with one entry of the VM's page table; false if that has to wait. */
static bool
save_page(struct vm *vm, gva_t page, u32 entry, u32 *cost)
{
	enum code code = CODE_NONE;
	bool write = false;

	if (!(entry & PTE_P))
		code = entry & PTE_SWAP ? CODE_STORED : entry & PTE_ZERO ? CODE_ZERO : CODE_NONE;
	else if (!(entry & PTE_IMAGE))
		code = judge(vm, page, entry, &write, cost);
	if (write && !transfer(vm, page >> PAGE_SHIFT, ALIGN_DOWN(entry, PAGE_SIZE), true))
		return false;
	*cost += write ? WRITE_COST : 0;
	vm->working_set = (u16)(vm->working_set + (code == CODE_USED));
	set_code(vm, page, code);
	return true;
}

/* Goes on with the walk over the VM's pages; 0 at the end, 1 if there is more to do,
 * -E_AGAIN if vm->work has to wait. */
static int
save_some(struct vm *vm)
{
	i32 budget = SLICE_BUDGET;

	for (; vm->backed < vm->memory_size; vm->backed += PAGE_SIZE) {
		const u32 *entry = space_entry(vm, vm->backed);
		u32 cost = vm->backed / PAGE_SIZE % LOOK_PAGES == 0;

		if (!entry) { /* no table: nothing in all of it */
			vm->backed = ALIGN_UP(vm->backed + 1, BIT(PDE_SHIFT)) - PAGE_SIZE;
			continue;
		}
		if (*entry && !save_page(vm, vm->backed, *entry, &cost))
			return -E_AGAIN;
		if (!spend(&budget, cost, vm->backed)) {
			vm->backed += PAGE_SIZE;
			return 1;
		}
	}
	return 0;
}

/* Who wanted frames that weren't there needs more than it had. */
static u32
least_set(const struct vm *vm)
{
	return vm->starved ? MIN(2u * vm->frames, vm->memory_size >> PAGE_SHIFT) : 0;
}

/* Begins the map; false if there is no frame for it now. */
static bool
begin_map(struct vm *vm)
{
	struct swap_map *map;

	vm->map = frame_alloc(FRAME_SWAP, true);
	if (vm->map == FRAME_NONE)
		return false;
	map = map_of(vm);
	map->magic = MAP_MAGIC;
	map->number = vm->number;
	map->starts = vm->starts;
	map->pages = vm->memory_size >> PAGE_SHIFT;
	map->least = least_set(vm);
	vm->working_set = 0;
	vm->backed = VREGS_BASE;
	return true;
}

#define WRITTEN GUEST_LIMIT /* vm->backed when everything has been given to the disk */

/* Goes on writing; as save_some. */
static int
write_some(struct vm *vm)
{
	int more;

	if (!vm->map && !begin_map(vm))
		return 1;
	more = save_some(vm);
	start_open();
	if (more != 0)
		return more;
	if (!transfer(vm, 0, vm->map, true))
		return -E_AGAIN;
	start_open();
	vm->backed = WRITTEN;
	vm->has_region = true;
	vm->working_set = (u16)MAX(vm->working_set, map_of(vm)->least);
	return -E_AGAIN; /* until it has been written */
}

/* The VM has nothing left but its record. Has something happened meanwhile, or did it
 * not leave of its own accord? */
static void
be_out(struct vm *vm)
{
	free_map(vm);
	counter_vms_out++;
	vm_enter_state(vm, VM_OUT);
	gate_frames_freed();
	if (vm->pending || !vm->in_idle)
		vm_enter_state(vm, VM_QUEUED);
}

static bool
out_slice(struct work *work)
{
	struct vm *vm = (struct vm *)((u8 *)work - offsetof(struct vm, work));

	if (vm_is_held(vm)) /* until vm_release */
		return false;
	if (vm->backed != WRITTEN)
		return write_some(vm) > 0;
	if (space_destroy(vm, SPACE_SLICE))
		return true;
	be_out(vm);
	return false;
}

void
vm_out(struct vm *vm)
{
	vm->starved = vm->state == VM_WAITING;
	vm_enter_state(vm, VM_LEAVING);
	vm->backed = 0;
	vm->work.run = out_slice;
	work_add(&vm->work);
}

/* Starts to read the map: 1 if there are no frames now, -E_AGAIN when it is on the way. */
static int
read_map(struct vm *vm)
{
	if (!vm->directory && space_create(vm) < 0)
		return 1;
	vm->map = frame_alloc(FRAME_SWAP, false);
	if (!vm->map)
		return 1;
	if (!transfer(vm, 0, vm->map, false)) {
		free_map(vm);
		return -E_AGAIN;
	}
	start_open();
	vm->backed = 0;
	return -E_AGAIN;
}

static bool
map_is_good(const struct vm *vm)
{
	const struct swap_map *map = map_of(vm);

	return map->magic == MAP_MAGIC && map->number == vm->number && map->starts == vm->starts &&
	       map->pages == vm->memory_size >> PAGE_SHIFT;
}

/* Gives the page a frame, and starts to read it; as save_some, 0 if that went well. */
static int
fetch(struct vm *vm, gva_t page)
{
	const struct segment *segment = image_segment(vm->image, page);
	u32 flags = PTE_P | PTE_U | PTE_STORED | (!segment || segment->writable ? PTE_W : 0);
	pa_t frame = frame_alloc(FRAME_GUEST, false);

	if (frame == FRAME_NONE)
		return 1;
	if (!transfer(vm, page >> PAGE_SHIFT, frame, false)) {
		frame_free(frame);
		return -E_AGAIN;
	}
	*space_entry(vm, page) = frame | flags;
	resident_set(frame, vm, page);
	vm->frames++;
	return 0;
}

/* Restores one page of the VM, adding to *cost; as save_some. Where there is nothing of it in the
 * region, it is what it was at the VM's start. */
static int
restore(struct vm *vm, gva_t page, enum code code, u32 *cost)
{
	*cost += code == CODE_NONE ? SHARE_COST : READ_COST;
	if (page == VREGS_BASE)
		return transfer(vm, page >> PAGE_SHIFT, kva_to_pa(vm->vregs), false) ? 0 : -E_AGAIN;
	if (code == CODE_NONE)
		return backing_image(vm, page) < 0;
	if (space_map(vm, page, 0, code == CODE_ZERO ? PTE_ZERO : PTE_SWAP) < 0)
		return 1;
	/* No more than it was promised: two that each took what the other needs to come
	 * in would wait for ever. */
	return code == CODE_USED && vm->frames < vm->promise ? fetch(vm, page) : 0;
}

/* The first page from `page` on, in the same word of the map, of which there is anything
 * to do; or the one behind that word. */
static gva_t
skip(const struct vm *vm, gva_t page)
{
	u32 n = page >> PAGE_SHIFT;

	if (page >= vm->image->end && n % CODES == 0 && map_of(vm)->codes[n / CODES] == 0)
		return (n + CODES) << PAGE_SHIFT;
	return page;
}

static int
restore_some(struct vm *vm)
{
	i32 budget = SLICE_BUDGET;

	while (vm->backed < vm->memory_size) {
		gva_t page = skip(vm, vm->backed);
		u32 cost = 1;
		int more;

		if (page == vm->backed) {
			more = restore(vm, page, get_code(vm, page), &cost);
			if (more != 0)
				return more;
			page += PAGE_SIZE;
		}
		vm->backed = page;
		if (!spend(&budget, cost, page - PAGE_SIZE))
			return 1;
	}
	return 0;
}

int
vm_in(struct vm *vm)
{
	int more;

	if (vm->swap_ios > 0)
		return -E_AGAIN;
	if (!vm->map)
		return read_map(vm);
	if (vm->backed == 0 && !map_is_good(vm)) {
		vm_kill(vm, "swap: the map of its region is damaged");
		return -E_IO;
	}
	vm->backed = MAX(vm->backed, (gva_t)VREGS_BASE);
	more = restore_some(vm);
	start_open();
	if (more != 0)
		return more;
	if (vm->swap_ios > 0)
		return -E_AGAIN;
	free_map(vm);
	counter_vms_in++;
	return 0;
}

/* An end on the way. What the disk is still at is waited for (VM_HOLD). */
static void
vmswap_destroy(struct vm *vm)
{
	if (vm->swap_ios == 0)
		free_map(vm);
}

VM_HOOK(vmswap, NULL, vmswap_destroy);

static u32
region_size(void)
{
	return region_blocks * PAGE_SIZE;
}

static const struct vm_mover mover = {swap_regions, region_size, vm_out, vm_in};

void
vmswap_init(void)
{
	vm_mover = &mover;
}
