/* SPDX-License-Identifier: MIT
 *
 * Cells: the free ones, and texts made of them.
 */
#include <string.h>

#include "user/kv/cells.h"

#define RESERVE_SHIFT 3 /* an eighth of all */

static struct cell *cells; /* number 0 is none */
static u32 cell_count;
static u32 fresh; /* cells from here on were never used: their pages weren't touched */
static u32 free_first;
static u32 free_count; /* the fresh ones too */

void
cells_init(void *memory, u32 bytes)
{
	cells = memory;
	cell_count = bytes / CELL_SIZE;
	fresh = 1;
	free_first = 0;
	free_count = cell_count - 1;
}

u32
cells_total(void)
{
	return cell_count - 1;
}

u32
cells_free(enum purpose purpose)
{
	u32 reserve = purpose == FOR_DATA ? cell_count >> RESERVE_SHIFT : 0;

	return free_count > reserve ? free_count - reserve : 0;
}

void *
cell_at(u32 cell)
{
	return &cells[cell];
}

/* There is one. The cell last freed comes first: its page is in use anyway. */
static u32
take_cell(void)
{
	u32 cell = free_first;

	if (cell)
		free_first = cells[cell].next;
	else
		cell = fresh++;
	free_count--;
	cells[cell].next = 0;
	return cell;
}

static void
free_cell(u32 cell)
{
	cells[cell].next = free_first;
	free_first = cell;
	free_count++;
}

u32
cells_allocate(u32 bytes, u32 first, enum purpose purpose)
{
	u32 more = bytes > first ? bytes - first : 0;
	u32 count = 1 + (more + CELL_SIZE - CELL_DATA - 1) / (CELL_SIZE - CELL_DATA);
	u32 chain, cell;

	if (count > cells_free(purpose))
		return 0;
	chain = cell = take_cell();
	for (u32 i = 1; i < count; i++)
		cell = cells[cell].next = take_cell();
	return chain;
}

void
cells_free_chain(u32 cell)
{
	u32 next;

	for (; cell; cell = next) {
		next = cells[cell].next;
		free_cell(cell);
	}
}

/* The bytes from *place to its cell's end, at most `most`; goes to the next cell at
 * the end of one. */
static u8 *
place_run(struct place *place, u32 most, u32 *length)
{
	u8 *bytes;

	if (place->at == CELL_SIZE)
		*place = (struct place){cells[place->cell].next, CELL_DATA};
	bytes = (u8 *)&cells[place->cell] + place->at;
	*length = MIN(most, CELL_SIZE - place->at);
	place->at += *length;
	return bytes;
}

void
place_read(struct place *place, void *to, u32 bytes)
{
	u8 *at = to, *run;
	u32 length;

	for (; bytes > 0; bytes -= length) {
		run = place_run(place, bytes, &length);
		if (at) {
			memcpy(at, run, length);
			at += length;
		}
	}
}

void
place_write(struct place *place, const void *from, u32 bytes)
{
	const u8 *at = from;
	u8 *run;
	u32 length;

	for (; bytes > 0; bytes -= length, at += length) {
		run = place_run(place, bytes, &length);
		memcpy(run, at, length);
	}
}

bool
place_equals(struct place place, const void *text, u32 bytes)
{
	const u8 *at = text;
	u8 *run;
	u32 length;

	for (; bytes > 0; bytes -= length, at += length) {
		run = place_run(&place, bytes, &length);
		if (memcmp(run, at, length) != 0)
			return false;
	}
	return true;
}

bool
text_append(struct text *text, const void *bytes, u32 length, enum purpose purpose)
{
	u32 room = text->end.cell ? CELL_SIZE - text->end.at : 0, chain;

	if (length > room) {
		chain = cells_allocate(length - room, CELL_SIZE - CELL_DATA, purpose);
		if (!chain)
			return false;
		if (text->end.cell)
			cells[text->end.cell].next = chain;
		else
			text->start = text->end = (struct place){chain, CELL_DATA};
	}
	text->bytes += length;
	place_write(&text->end, bytes, length);
	return true;
}

u32
text_take(struct text *text, void *to, u32 room)
{
	u32 taken = MIN(room, text->bytes), left = taken, length, first;
	u8 *at = to, *run;

	for (; left > 0; left -= length, at += length) {
		first = text->start.cell;
		run = place_run(&text->start, left, &length);
		memcpy(at, run, length);
		if (text->start.cell != first)
			free_cell(first);
	}
	text->bytes -= taken;
	if (text->bytes == 0)
		text_clear(text);
	return taken;
}

void
text_clear(struct text *text)
{
	cells_free_chain(text->start.cell);
	*text = (struct text){0};
}
