/* SPDX-License-Identifier: MIT
 *
 * Guest images: ELF files, given as boot modules.
 */
#ifndef KERN_IMAGE_H
#define KERN_IMAGE_H

#include "lib/types.h"

#define SEGMENTS_MAX 8

/* A piece of a guest's memory that comes from the image: file_bytes from the
 * file, zeros up to memory_bytes. Two segments never share a page. */
struct segment {
	gva_t start;
	u32 memory_bytes;
	u32 file_bytes; /* <= memory_bytes */
	u32 offset;     /* in the file */
	bool writable;
};

struct image {
	const char *name;
	const u8 *file; /* page-aligned, kernel pointer; stays for ever */
	u32 length;     /* bytes */
	gva_t entry;
	gva_t end; /* first address behind all segments */
	u32 segment_count;
	struct segment segments[SEGMENTS_MAX];
};

/*
 * Reads the ELF file `image->file`, `image->length` bytes, and fills in the rest of `image`,
 * but for its name. The file is hostile: everything is checked before anything is believed,
 * and no sum of two numbers of the file may wrap. It is refused unless
 * - its header is complete: 32-bit, little-endian, version 1; an executable, for the 386;
 * - there is at least one program header, of the size that [ELF] says; they all lie within
 *   the file, at a multiple of 4.
 * Program headers that aren't PT_LOAD, or have no bytes in memory, say nothing, and are
 * passed over. Each of the others is a segment, in their order, writable if it has PF_W; it
 * is refused unless
 * - it has at most as many bytes in the file as in memory, and these lie within the file
 *   (where there are none, their offset may be anything, or be refused);
 * - it lies from IMAGE_BASE up to GUEST_LIMIT, its end included;
 * - no page has bytes of it and of an earlier segment;
 * - there are at most SEGMENTS_MAX.
 * The entry point lies from IMAGE_BASE up to the highest end of a segment, not included.
 * Returns 0, whatever *why is then; or -E_IMAGE with *why set to what is wrong, in words,
 * whatever `image` holds then. Pure but for *image and *why.
 * Source: [ELF] chapters 1 and 2.
 */
int image_check(struct image *image, const char **why);

/* The segment that page `page` (page-aligned) of a guest comes from; NULL if
 * it is plain memory. */
const struct segment *image_segment(const struct image *image, gva_t page);

/*
 * Fills `page` (zeroed, kernel pointer) with what the image's file has for the guest
 * page at `address` (page-aligned) of `segment`, which has bytes in that page: of the
 * segment's file bytes those that fall into the page, each at its place. All else stays
 * zero: what is before the segment's start, and behind its last byte in the file.
 */
void image_fill(const struct image *image, const struct segment *segment, gva_t address, u8 *page);

/* The machine address of the file's page that can stand for the guest page at
 * `address` of `segment`, or 0 if there is none: part of the page must be zero,
 * or it lies askew in the file. Around a segment's first and last byte the page
 * shows what else the file has there; the guest is promised nothing of that. */
pa_t image_frame(const struct image *image, const struct segment *segment, gva_t address);

#endif
