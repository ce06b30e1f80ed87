/* SPDX-License-Identifier: MIT
 *
 * Wins back frames when few are left: asks the policy page by page, and the
 * gatekeeper for a whole VM when that doesn't help.
 */
#include "kern/evict.h"
#include "kern/frame.h"
#include "kern/gatekeeper.h"
#include "kern/kernel.h"
#include "kern/layout.h"
#include "kern/run.h"
#include "kern/space.h"
#include "kern/swap.h"
#include "kern/trace.h"
#include "kern/vdisk.h"
#include "kern/work.h"
#include "kern/x86.h"
#include "lib/string.h"

#define SCAN_SLICE 160u /* frames looked at in one slice */
#define SCANS_MAX  8u   /* slices in which the policy finds little, before a VM goes out */
#define LITTLE     8u   /* frames */

COUNTER(pages_evicted);
COUNTER(pages_zero);

static const struct replacer *replacer;
bool reclaim_urgent;

static u32 low, high; /* frames that are free */

static int
option_replace(const char *value)
{
	TABLE_FOR(replacers, struct replacer, policy)
	{
		if (strcmp(policy->name, value) == 0)
			replacer = policy;
	}
	return replacer && strcmp(replacer->name, value) == 0 ? 0 : -1;
}

OPTION("replace", option_replace, "wsclock or clock: whose pages make room");

u32
page_zeros(const void *page)
{
	const u32 *word = page;
	u32 bytes = 0;

	for (; bytes < PAGE_SIZE; bytes += 8 * sizeof *word, word += 8)
		if (word[0] | word[1] | word[2] | word[3] | word[4] | word[5] | word[6] | word[7])
			break;
	return bytes;
}

enum evicted
page_evict(struct vm *vm, gva_t page)
{
	u32 *entry = space_entry(vm, page), old = *entry;
	pa_t frame = ALIGN_DOWN(old, PAGE_SIZE);
	bool zero;

	if (resident_is_busy(frame) || vdisk_busy(vm, page))
		return EVICT_NOT;
	zero = old & PTE_D && page_zeros(pa_to_kva(frame)) == PAGE_SIZE;
	if (old & PTE_D && !zero)
		return swap_clean(vm, page) ? EVICT_WRITES : EVICT_NOT;
	*entry = old & PTE_STORED ? PTE_SWAP : 0;
	if (zero)
		*entry = image_segment(vm->image, page) ? PTE_ZERO : 0;
	run_flush(vm, page);
	frame_free(frame);
	vm->frames--;
	counter_pages_evicted++;
	counter_pages_zero += zero;
	trace(TRACE_PAGE, vm->number, page | TRACE_PAGE_GONE);
	return EVICT_DONE;
}

/* Goes on until enough are free, or will be when those are out who are leaving. */
static bool
reclaim_slice(struct work *work)
{
	static u32 scans;

	(void)work;
	if (swap_io_busy() < SWAP_IO_MAX) /* else they may wait for that */
		gate_frames_freed();
	if (frame_count[FRAME_FREE] + gate_leaving >= high) {
		scans = 0;
		reclaim_urgent = false;
		return false;
	}
	if (replacer->scan(SCAN_SLICE) >= LITTLE) {
		scans = 0;
	} else if (++scans >= SCANS_MAX) {
		scans = 0;
		reclaim_urgent = !gate_relieve() && gate_leaving == 0;
		if (reclaim_urgent && swap_io_busy() == 0)
			return vm_state_count[VM_WAITING] > 0;
	}
	return true;
}

static struct work reclaim_work = {.run = reclaim_slice};

void
reclaim_start(void)
{
	work_add(&reclaim_work);
}

static bool
reclaim_poll(void)
{
	if (frame_count[FRAME_FREE] + gate_leaving < low)
		reclaim_start();
	return false;
}

POLLER(reclaim_poll);

void
reclaim_init(void)
{
	if (!replacer)
		option_replace("wsclock");
	low = 2 * gate_reserve;
	high = 3 * gate_reserve;
}
