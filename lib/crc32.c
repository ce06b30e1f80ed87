/* SPDX-License-Identifier: MIT
 *
 * CRC-32, reflected, polynomial 0xedb88320, four bytes a step. A table's entry
 * is the sum (exclusive or) of the entries of its index's bits: so eight
 * constants stand for 256, and the compiler works them out.
 */
#include "lib/crc32.h"

#define BIT(i, n, value) ((i) >> (n)&1 ? (value) : 0u)
#define BITS(i, a, b, c, d, e, f, g, h)                                                            \
	(BIT(i, 0, a) ^ BIT(i, 1, b) ^ BIT(i, 2, c) ^ BIT(i, 3, d) ^ BIT(i, 4, e) ^ BIT(i, 5, f) ^ \
	 BIT(i, 6, g) ^ BIT(i, 7, h))
#define ROW4(i, ...)                                                              \
	BITS(i, __VA_ARGS__), BITS(i + 1, __VA_ARGS__), BITS(i + 2, __VA_ARGS__), \
		BITS(i + 3, __VA_ARGS__)
#define ROW16(i, ...)                                                             \
	ROW4(i, __VA_ARGS__), ROW4(i + 4, __VA_ARGS__), ROW4(i + 8, __VA_ARGS__), \
		ROW4(i + 12, __VA_ARGS__)
#define ROW64(i, ...)                                                                  \
	ROW16(i, __VA_ARGS__), ROW16(i + 16, __VA_ARGS__), ROW16(i + 32, __VA_ARGS__), \
		ROW16(i + 48, __VA_ARGS__)
#define TABLE(...)                                                                      \
	{                                                                               \
		ROW64(0, __VA_ARGS__), ROW64(64, __VA_ARGS__), ROW64(128, __VA_ARGS__), \
			ROW64(192, __VA_ARGS__)                                         \
	}

/* By how many bytes follow in the step, and the byte. */
static const u32 table[4][256] = {
	TABLE(0x77073096, 0xee0e612c, 0x076dc419, 0x0edb8832, 0x1db71064, 0x3b6e20c8, 0x76dc4190,
	      0xedb88320),
	TABLE(0x191b3141, 0x32366282, 0x646cc504, 0xc8d98a08, 0x4ac21251, 0x958424a2, 0xf0794f05,
	      0x3b83984b),
	TABLE(0x01c26a37, 0x0384d46e, 0x0709a8dc, 0x0e1351b8, 0x1c26a370, 0x384d46e0, 0x709a8dc0,
	      0xe1351b80),
	TABLE(0xb8bc6765, 0xaa09c88b, 0x8f629757, 0xc5b428ef, 0x5019579f, 0xa032af3e, 0x9b14583d,
	      0xed59b63b),
};

u32
crc32(u32 crc, const void *p, size_t n)
{
	const u8 *at = p;

	crc = ~crc;
	for (; n >= 4; n -= 4, at += 4) {
		crc ^= at[0] | at[1] << 8 | at[2] << 16 | (u32)at[3] << 24;
		crc = table[3][crc & 0xff] ^ table[2][crc >> 8 & 0xff] ^
		      table[1][crc >> 16 & 0xff] ^ table[0][crc >> 24];
	}
	for (; n > 0; n--, at++)
		crc = table[0][(crc ^ *at) & 0xff] ^ crc >> 8;
	return ~crc;
}
