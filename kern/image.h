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
 * Reads the ELF file `image->file` and fills in the rest of `image`. The file
 * is hostile: everything is checked before anything is believed.
 * Returns 0, or -E_IMAGE with *why set to what is wrong. Pure but for *image.
 * Source: [ELF] chapters 1 and 2.
 */
int image_check(struct image *image, const char **why);

/* The segment that page `page` (page-aligned) of a guest comes from; NULL if
 * it is plain memory. */
const struct segment *image_segment(const struct image *image, gva_t page);

/*
 * Fills `page` (zeroed, kernel pointer) with what the image has for the guest
 * page at `address` (page-aligned) of `segment`.
 */
void image_fill(const struct image *image, const struct segment *segment, gva_t address, u8 *page);

/* The machine address of the file's page that can stand for the guest page at
 * `address` of `segment`, or 0 if there is none: part of the page must be zero,
 * or it lies askew in the file. Around a segment's first and last byte the page
 * shows what else the file has there; the guest is promised nothing of that. */
pa_t image_frame(const struct image *image, const struct segment *segment, gva_t address);

#endif
