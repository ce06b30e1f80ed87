/* SPDX-License-Identifier: MIT
 *
 * VMs for tables of calls: grade/driver/vms.h says what each function is for. The linker
 * leads the kernel's calls of guest_page and run_unload here (--wrap).
 */
#include "grade/driver/vms.h"
#include "grade/driver/driver.h"
#include "kern/door.h"
#include "kern/frame.h"
#include "kern/gate.h"
#include "kern/kernel.h"
#include "kern/kmap.h"
#include "kern/layout.h"
#include "kern/run.h"
#include "kern/x86.h"
#include "lib/string.h"

int __real_guest_page(struct vm *vm, gva_t address, bool write, void **pointer);
int __wrap_guest_page(struct vm *vm, gva_t address, bool write, void **pointer);
void __real_run_unload(struct vm *vm);
void __wrap_run_unload(struct vm *vm);

struct driver_page *driver_pages;
struct driver_asked driver_asked[64];
struct driver_probe driver_probes[64];
u32 driver_page_count, driver_asked_count, driver_probe_count;
u32 driver_unloaded, driver_unload_count, driver_unload_free;
i32 driver_probe_result;

static const struct image nothing = {.name = "nothing"};
static struct vm vms[DRIVER_VMS];
static u32 user_table[PTES_PER_TABLE] __attribute__((aligned(PAGE_SIZE)));

struct vm *
driver_vm(u32 number, u32 memory_size)
{
	struct vm *vm = &vms[number % DRIVER_VMS];

	memset(vm, 0, sizeof *vm);
	vm->number = number;
	vm->memory_size = memory_size;
	vm->image = &nothing;
	return vm;
}

u32
driver_vm_directory(const struct vm *vm)
{
	return (u32)vm->directory;
}

u32
driver_vm_vregs(const struct vm *vm)
{
	return (u32)vm->vregs;
}

u32
driver_vm_frames(const struct vm *vm)
{
	return vm->frames;
}

void
driver_vm_set_frames(struct vm *vm, u32 frames)
{
	vm->frames = (u16)frames;
}

struct trapframe *
driver_vm_regs(struct vm *vm)
{
	return &vm->regs;
}

void
driver_dirty(u32 value)
{
	pa_t frame, last = 0;

	/* A frame that is taken holds the address of the one taken before. */
	while ((frame = frame_alloc(FRAME_GUEST, false)) != FRAME_NONE) {
		u32 *words = pa_to_kva(frame);

		for (u32 i = 0; i < PAGE_SIZE / sizeof *words; i++)
			words[i] = value;
		words[0] = last;
		last = frame;
	}
	while ((frame = last) != 0) {
		u32 *words = pa_to_kva(frame);

		last = words[0];
		words[0] = value;
		frame_free(frame);
	}
}

static int
scripted_page(gva_t address, bool write, void **pointer)
{
	for (u32 i = 0; i < driver_page_count; i++) {
		const struct driver_page *page = &driver_pages[i];

		if (page->page != ALIGN_DOWN(address, PAGE_SIZE))
			continue;
		if (page->error < 0 || (write && !page->writable))
			return page->error < 0 ? page->error : -E_FAULT;
		*pointer = page->bytes + (address & PAGE_MASK);
		return 0;
	}
	return -E_FAULT;
}

int
__wrap_guest_page(struct vm *vm, gva_t address, bool write, void **pointer)
{
	if (!driver_pages)
		return __real_guest_page(vm, address, write, pointer);
	if (driver_asked_count < ARRAY_LEN(driver_asked))
		driver_asked[driver_asked_count] = (struct driver_asked){address, write};
	driver_asked_count++;
	return scripted_page(address, write, pointer);
}

void
__wrap_run_unload(struct vm *vm)
{
	if (driver_unload_count++ == 0)
		driver_unload_free = frame_count[FRAME_FREE];
	driver_unloaded = (u32)vm;
	__real_run_unload(vm);
}

#if LAB == 2
static i32
probed(struct vm *vm, u32 number)
{
	struct driver_probe *probe =
		&driver_probes[driver_probe_count++ % ARRAY_LEN(driver_probes)];

	*probe = (struct driver_probe){number, vm->number, vm->regs};
	return driver_probe_result;
}

#define PROBE(number)                            \
	static i32 probe_##number(struct vm *vm) \
	{                                        \
		return probed(vm, number);       \
	}                                        \
	VINSTR(number, "probe", probe_##number)

PROBE(1);
PROBE(5);
PROBE(9);
PROBE(15);
PROBE(16);
PROBE(21);
PROBE(28);
_Static_assert(VI_SUPERVISOR == 16 && VI_COUNT == 29, "the first and the last of each kind");
#endif

void
driver_map_user(gva_t address, void *bytes)
{
	user_table[address >> PAGE_SHIFT] = kva_to_pa(bytes) | PTE_P | PTE_W | PTE_U;
	kernel_directory[0] = kva_to_pa(user_table) | PTE_P | PTE_W | PTE_U;
	write_cr3(kva_to_pa(kernel_directory));
}

void
driver_enter(struct trapframe *frame, u32 fs, u32 gs)
{
	/* Nothing has set up interrupts; a guest has them on. */
	outb(0x21, 0xff);
	outb(0xa1, 0xff);
	__asm__ volatile("movl %0, %%fs; movl %1, %%gs" : : "r"(fs), "r"(gs));
	driver_call_user(guest_enter, frame);
}
