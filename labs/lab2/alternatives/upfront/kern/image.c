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

static gva_t
segment_end(const struct segment *s)
{
	return s->start + s->memory_bytes;
}

/* With 64 bits no sum of two numbers of the file wraps. */
static bool
inside(u64 start, u64 bytes, u64 limit)
{
	return start + bytes <= limit;
}

static bool
header_is_good(const struct elf_header *h, u32 length)
{
	static const u8 wanted[7] = {0x7f, 'E', 'L', 'F', 1, 1, 1};

	if (length < sizeof *h)
		return false;
	for (u32 i = 0; i < sizeof wanted; i++)
		if (h->ident[i] != wanted[i])
			return false;
	return h->type == ELF_EXECUTABLE && h->machine == ELF_MACHINE_386 &&
	       h->program_size == sizeof(struct elf_program) && h->program_count > 0 &&
	       (h->program_offset & 3) == 0 &&
	       inside(h->program_offset, (u64)h->program_count * h->program_size, length);
}

static bool
segment_is_good(const struct elf_program *p, u32 length)
{
	return p->file_bytes <= p->memory_bytes && inside(p->offset, p->file_bytes, length) &&
	       p->vaddr >= IMAGE_BASE && inside(p->vaddr, p->memory_bytes, GUEST_LIMIT);
}

static u32
first_page(const struct segment *s)
{
	return s->start / PAGE_SIZE;
}

static u32
last_page(const struct segment *s)
{
	return (s->start + s->memory_bytes - 1) / PAGE_SIZE;
}

/* Is every page of the last segment its own? */
static bool
last_is_apart(const struct image *image)
{
	const struct segment *last = &image->segments[image->segment_count - 1];

	for (const struct segment *s = image->segments; s < last; s++)
		if (!(last_page(s) < first_page(last) || last_page(last) < first_page(s)))
			return false;
	return true;
}

static int
refuse(const char **why, const char *text)
{
	*why = text;
	return -E_IMAGE;
}

int
image_check(struct image *image, const char **why)
{
	const struct elf_header *h = (const void *)image->file;
	const struct elf_program *programs;

	image->segment_count = 0;
	image->end = 0;
	if (!header_is_good(h, image->length))
		return refuse(why, "the header is wrong");
	programs = (const void *)&image->file[h->program_offset];
	for (u32 i = 0; i < h->program_count; i++) {
		const struct elf_program *p = &programs[i];
		struct segment *s = &image->segments[image->segment_count];

		if (p->type != ELF_LOAD || !p->memory_bytes)
			continue;
		if (image->segment_count >= SEGMENTS_MAX || !segment_is_good(p, image->length))
			return refuse(why, "a segment is wrong, or one too many");
		s->start = p->vaddr;
		s->memory_bytes = p->memory_bytes;
		s->file_bytes = p->file_bytes;
		s->offset = p->offset;
		s->writable = p->flags & ELF_WRITABLE;
		image->segment_count++;
		if (!last_is_apart(image))
			return refuse(why, "two segments share a page");
		if (image->end < segment_end(s))
			image->end = segment_end(s);
	}
	image->entry = h->entry;
	if (h->entry < IMAGE_BASE || h->entry >= image->end)
		return refuse(why, "the entry point is wrong");
	return 0;
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
	for (u32 i = 0; i < PAGE_SIZE; i++) {
		u64 at = (u64)address + i;

		if (at >= s->start && at < (u64)s->start + s->file_bytes)
			page[i] = image->file[s->offset + (at - s->start)];
	}
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
