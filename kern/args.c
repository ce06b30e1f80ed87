/* SPDX-License-Identifier: MIT
 *
 * Places for boot arguments, 15 to a page:
 *
 *   | used, next, previous |  text 1  |  text 2  | ... |  text 15 |
 *           256 bytes        256 bytes
 *
 * Pages are taken when all places are full, and given back with their last text:
 * there are never more than a fifteenth as many as VMs, but for those that are
 * partly empty.
 */
#include "kern/args.h"
#include "kern/check.h"
#include "kern/frame.h"
#include "kern/kernel.h"
#include "kern/layout.h"
#include "kern/vm.h"
#include "lib/abi.h"
#include "lib/string.h"

#define PLACES   (PAGE_SIZE / ARGS_MAX) /* the first is the page's own */
#define ALL_USED ((1u << PLACES) - 1)

struct args_page {
	u32 used; /* a bit for each place; bit 0 is always set */
	struct args_page *next, *previous;
};

_Static_assert(sizeof(struct args_page) <= ARGS_MAX, "it fits in its place");

/* Pages that have a free place, and those that have none. */
static struct args_page *with_room, *full;

static void
link_page(struct args_page **list, struct args_page *page)
{
	page->previous = NULL;
	page->next = *list;
	if (*list)
		(*list)->previous = page;
	*list = page;
}

static void
unlink_page(struct args_page **list, struct args_page *page)
{
	if (page->next)
		page->next->previous = page->previous;
	if (page->previous)
		page->previous->next = page->next;
	else
		*list = page->next;
}

static void
move_page(struct args_page **from, struct args_page **to, struct args_page *page)
{
	unlink_page(from, page);
	link_page(to, page);
}

static bool
grow(void)
{
	pa_t frame = frame_alloc(FRAME_ARGS, true);
	struct args_page *page;

	if (frame == FRAME_NONE)
		return false;
	page = pa_to_kva(frame);
	page->used = 1;
	link_page(&with_room, page);
	return true;
}

const char *
args_keep(const char *text)
{
	struct args_page *page;
	char *to;
	u32 place;

	if (!text[0])
		return "";
	if (!with_room && !grow())
		return NULL;
	page = with_room;
	place = (u32)__builtin_ctz(~page->used);
	page->used |= 1u << place;
	if (page->used == ALL_USED)
		move_page(&with_room, &full, page);
	to = (char *)page + place * ARGS_MAX;
	memcpy(to, text, strlen(text) + 1);
	return to;
}

/* Does the text lie in one of the pages? Others are the boot modules'. */
static bool
is_kept(const char *text)
{
	return text[0] && frame_use_of(ALIGN_DOWN(kva_to_pa(text), PAGE_SIZE)) == FRAME_ARGS;
}

void
args_drop(const char *text)
{
	struct args_page *page = (struct args_page *)ALIGN_DOWN((u32)text, PAGE_SIZE);

	if (!is_kept(text))
		return;
	if (page->used == ALL_USED)
		move_page(&full, &with_room, page);
	page->used &= ~(1u << ((u32)text & PAGE_MASK) / ARGS_MAX);
	if (page->used == 1) {
		unlink_page(&with_room, page);
		frame_free(kva_to_pa(page));
	}
}

/* Names the pages of a list; the texts in them. */
static u32
check_list(const struct args_page *page)
{
	u32 texts = 0;

	for (; page; page = page->next) {
		if (!check_pointer(page) || !frame_claim(kva_to_pa(page), FRAME_ARGS)) {
			check_problem("%08x is no page of arguments", (u32)page);
			break;
		}
		for (u32 bits = page->used & ~1u; bits; bits &= bits - 1)
			texts++;
	}
	return texts;
}

static u32
check_args(enum check_phase phase)
{
	static u32 texts;
	u32 owned = 0;

	if (phase != CHECK_WALK)
		return texts;
	/* First, as the pages' use is another once they are named. */
	for (u32 i = 0; i < vm_count; i++)
		owned += vm_table[i].args && is_kept(vm_table[i].args);
	texts = check_list(with_room) + check_list(full);
	CHECK_THAT(texts == owned, "%u arguments are kept, of %u VMs", texts, owned);
	return texts;
}

CHECKER("arguments", check_args);
