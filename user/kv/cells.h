/* SPDX-License-Identifier: MIT
 *
 * Memory for the key-value server: cells of 64 bytes, linked into texts. Keys,
 * values, requests and replies all live here. Cells are all alike, so memory
 * doesn't fragment: what is freed can become anything, and it's full exactly when
 * no cell is left. The heap stays for lwIP, whatever clients store.
 *
 *   text:  | next, 60 bytes | -> | next, 60 bytes | -> | next, some bytes |
 *
 * A part of the cells is reserved: data can't take it, so that a server whose memory
 * is full still reads requests and answers them.
 */
#ifndef USER_KV_CELLS_H
#define USER_KV_CELLS_H

#include "lib/types.h"

#define CELL_SIZE 64u
#define CELL_DATA 4u /* offset of the bytes, behind `next` */

struct cell {
	u32 next; /* number of the next cell of a text; 0: none */
	u8 bytes[CELL_SIZE - CELL_DATA];
};

/* A place in a text. */
struct place {
	u32 cell;
	u32 at; /* offset in the cell: CELL_DATA to CELL_SIZE */
};

/* A queue of bytes: appended at its end, taken at its start. All zero: empty. */
struct text {
	struct place start, end;
	u32 bytes;
};

/* Who asks for cells. */
enum purpose {
	FOR_DATA, /* leaves the reserve alone */
	FOR_TALK, /* may take the last cell */
};

/* Once: makes `bytes` at `memory` cells, all free. */
void cells_init(void *memory, u32 bytes);

/* How many cells `purpose` can still have; how many there are. */
u32 cells_free(enum purpose purpose);
u32 cells_total(void);

/* The cell of a number that was allocated. */
void *cell_at(u32 cell);

/* A chain of cells for `bytes` bytes of which the first cell takes `first`; 0: too
 * few are left. */
u32 cells_allocate(u32 bytes, u32 first, enum purpose purpose);

/* Frees a whole chain; 0 is none. */
void cells_free_chain(u32 cell);

/* Copies `bytes` bytes between memory and a chain that has as many, and moves *place
 * behind them. `to` may be NULL: skips them. */
void place_read(struct place *place, void *to, u32 bytes);
void place_write(struct place *place, const void *from, u32 bytes);

/* Whether the next `bytes` bytes are those at `text`. *place stays. */
bool place_equals(struct place place, const void *text, u32 bytes);

/* Appends all or nothing; false: too few cells. */
bool text_append(struct text *text, const void *bytes, u32 length, enum purpose purpose);

/* Takes up to `room` bytes away, returns how many; frees the cells behind it. */
u32 text_take(struct text *text, void *to, u32 room);

/* Empties it. */
void text_clear(struct text *text);

#endif
