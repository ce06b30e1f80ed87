/* SPDX-License-Identifier: MIT
 *
 * Finds the line of kern/isa.def that an instruction belongs to. Pure: it looks
 * at bytes, not at who executes them.
 */
#include "kern/isa.h"

enum map { ONE, TWO, T38, T3A };

/* What the table's words mean; those of columns that only others read are dropped. */
enum prefix { PREFIX_ANY, PREFIX_NP, PREFIX_P66, PREFIX_PF2, PREFIX_PF3 };

#define IN_MEMORY     0x100u /* in a key: the ModRM byte names memory */
#define NEXT_ANY      0, 0
#define NEXT_BYTE(b)  0xff, b
#define NEXT_R(n)     0x38, (n) << 3
#define NEXT_MEM      IN_MEMORY, IN_MEMORY
#define NEXT_REG      IN_MEMORY, 0
#define NEXT_MEM_R(n) IN_MEMORY | 0x38, IN_MEMORY | (n) << 3
#define NEXT_REG_R(n) IN_MEMORY | 0x38, (n) << 3

static const struct isa_entry entries[] = {
#define ISA(map, first, last, prefix, next, class, when, name, note) \
	{map, first, last, PREFIX_##prefix, NEXT_##next, ISA_##class, name},
#include "kern/isa.def"
#undef ISA
};

/* An instruction, as far as the table asks. */
struct encoding {
	u8 map, opcode, prefix;
	bool has_next;
	u16 next; /* the byte behind the opcode, and IN_MEMORY */
};

/* Notes a prefix; false if the byte is none. F2 and F3 outdo 66, the last of
 * them the others. */
static bool
take_prefix(struct encoding *e, u8 byte)
{
	switch (byte) {
	case 0x66:
		if (e->prefix == PREFIX_NP)
			e->prefix = PREFIX_P66;
		return true;
	case 0xf2:
		e->prefix = PREFIX_PF2;
		return true;
	case 0xf3:
		e->prefix = PREFIX_PF3;
		return true;
	case 0x26: /* segments */
	case 0x2e:
	case 0x36:
	case 0x3e:
	case 0x64:
	case 0x65:
	case 0x67: /* address size */
	case 0xf0: /* lock */
		return true;
	}
	return false;
}

/* Reads up to the byte behind the opcode; false if the opcode isn't there. */
static bool
read_encoding(struct encoding *e, const u8 *bytes, u32 length)
{
	u32 i = 0;

	*e = (struct encoding){.map = ONE, .prefix = PREFIX_NP};
	while (i < length && take_prefix(e, bytes[i]))
		i++;
	if (i < length && bytes[i] == 0x0f) {
		e->map = TWO;
		i++;
		if (i < length && (bytes[i] == 0x38 || bytes[i] == 0x3a))
			e->map = bytes[i++] == 0x38 ? T38 : T3A;
	}
	if (i >= length)
		return false;
	e->opcode = bytes[i++];
	e->has_next = i < length;
	if (e->has_next)
		e->next = (u16)(bytes[i] | (bytes[i] < 0xc0 ? IN_MEMORY : 0));
	return true;
}

static bool
fits(const struct isa_entry *entry, const struct encoding *e)
{
	return entry->map == e->map && entry->first <= e->opcode && e->opcode <= entry->last &&
	       (entry->prefix == PREFIX_ANY || entry->prefix == e->prefix) &&
	       (entry->mask == 0 || (e->has_next && (e->next & entry->mask) == entry->value));
}

const struct isa_entry *
isa_find(const u8 *bytes, u32 length)
{
	struct encoding e;

	if (!read_encoding(&e, bytes, length < ISA_LENGTH_MAX ? length : ISA_LENGTH_MAX))
		return NULL;
	for (const struct isa_entry *entry = entries; entry < entries + ARRAY_LEN(entries); entry++)
		if (fits(entry, &e))
			return entry->class == ISA_UNDEFINED ? NULL : entry;
	return NULL;
}
