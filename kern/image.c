/* SPDX-License-Identifier: MIT
 *
 * Reads guest images. An ELF file comes from whoever wrote the service, so it
 * is input from an enemy: all sums are checked before they are used.
 */
#include "kern/image.h"
#include "kern/kernel.h"
#include "kern/layout.h"
#include "lib/abi.h"
#include "lib/string.h"

/* The parts of [ELF] that a statically linked 32-bit x86 program has. */
struct elf_header {
	u8 ident[16];
	u16 type, machine;
	u32 version, entry, program_offset, section_offset, flags;
	u16 header_size, program_size, program_count;
	u16 section_size, section_count, section_names;
};

struct elf_program {
	u32 type, offset, vaddr, paddr, file_bytes, memory_bytes, flags, align;
};

#define ELF_EXECUTABLE  2
#define ELF_MACHINE_386 3
#define ELF_LOAD        1
#define ELF_WRITABLE    2u

static const u8 elf_ident[] = {0x7f, 'E', 'L', 'F', 1, 1, 1}; /* 32-bit, little-endian, version 1 */

/* Does [start, start + bytes) lie within [0, limit)? */
static bool
fits(u32 start, u32 bytes, u32 limit)
{
	return start <= limit && bytes <= limit - start;
}

static const char *
check_header(const struct elf_header *h, u32 length)
{
	if (length < sizeof *h || memcmp(h->ident, elf_ident, sizeof elf_ident) != 0)
		return "not a 32-bit ELF file";
	if (h->type != ELF_EXECUTABLE || h->machine != ELF_MACHINE_386)
		return "not an x86 executable";
	if (h->program_size != sizeof(struct elf_program) || h->program_count == 0)
		return "no program headers";
	if (!fits(h->program_offset, h->program_count * sizeof(struct elf_program), length) ||
	    h->program_offset % sizeof(u32) != 0)
		return "program headers lie outside the file";
	return NULL;
}

static const char *
check_segment(const struct elf_program *p, u32 length)
{
	if (p->file_bytes > p->memory_bytes)
		return "a segment is larger in the file than in memory";
	if (!fits(p->offset, p->file_bytes, length))
		return "a segment lies outside the file";
	if (p->vaddr < IMAGE_BASE)
		return "a segment lies below the image's base";
	if (!fits(p->vaddr, p->memory_bytes, GUEST_LIMIT))
		return "a segment lies outside guest memory";
	return NULL;
}

static gva_t
segment_end(const struct segment *s)
{
	return s->start + s->memory_bytes;
}

/* Do two segments touch the same page? */
static bool
share_page(const struct segment *a, const struct segment *b)
{
	return ALIGN_DOWN(a->start, PAGE_SIZE) < ALIGN_UP(segment_end(b), PAGE_SIZE) &&
	       ALIGN_DOWN(b->start, PAGE_SIZE) < ALIGN_UP(segment_end(a), PAGE_SIZE);
}

static const char *
add_segment(struct image *image, const struct elf_program *p)
{
	struct segment s = {p->vaddr, p->memory_bytes, p->file_bytes, p->offset,
			    (p->flags & ELF_WRITABLE) != 0};

	if (image->segment_count == SEGMENTS_MAX)
		return "too many segments";
	for (u32 i = 0; i < image->segment_count; i++)
		if (share_page(&image->segments[i], &s))
			return "two segments share a page";
	image->segments[image->segment_count++] = s;
	image->end = MAX(image->end, segment_end(&s));
	return NULL;
}

static const char *
read_image(struct image *image)
{
	const struct elf_header *h = (const struct elf_header *)image->file;
	const char *why = check_header(h, image->length);
	const struct elf_program *p;

	if (why)
		return why;
	p = (const struct elf_program *)(image->file + h->program_offset);
	for (u32 i = 0; i < h->program_count; i++, p++) {
		if (p->type != ELF_LOAD || p->memory_bytes == 0)
			continue;
		why = check_segment(p, image->length);
		if (!why)
			why = add_segment(image, p);
		if (why)
			return why;
	}
	image->entry = h->entry;
	if (h->entry < IMAGE_BASE || h->entry >= image->end)
		return "the entry point lies outside the image";
	return NULL;
}

int
image_check(struct image *image, const char **why)
{
	image->segment_count = 0;
	image->end = 0;
	*why = read_image(image);
	return *why ? -E_IMAGE : 0;
}

const struct segment *
image_segment(const struct image *image, gva_t page)
{
	for (u32 i = 0; i < image->segment_count; i++) {
		const struct segment *s = &image->segments[i];

		if (page >= ALIGN_DOWN(s->start, PAGE_SIZE) && page < segment_end(s))
			return s;
	}
	return NULL;
}

void
image_fill(const struct image *image, const struct segment *s, gva_t address, u8 *page)
{
	gva_t from = MAX(address, s->start);
	gva_t to = MIN(address + PAGE_SIZE, s->start + s->file_bytes);

	if (from < to)
		memcpy(page + (from - address), image->file + s->offset + (from - s->start),
		       to - from);
}

pa_t
image_frame(const struct image *image, const struct segment *s, gva_t address)
{
	u32 askew = (s->offset - s->start) & PAGE_MASK;
	bool has_zeros = s->memory_bytes > s->file_bytes;

	if (askew || address >= s->start + s->file_bytes ||
	    (has_zeros && address + PAGE_SIZE > s->start + s->file_bytes))
		return 0;
	return kva_to_pa(image->file + s->offset) + (address - s->start);
}
