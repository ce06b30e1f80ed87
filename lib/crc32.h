/* SPDX-License-Identifier: MIT
 *
 * CRC-32, the one of Ethernet, gzip and zlib.crc32: finds damage, proves nothing
 * about who did it.
 */
#ifndef LIB_CRC32_H
#define LIB_CRC32_H

#include "lib/types.h"

/*
 * Goes on with checksum `crc` (0 to begin with) over `n` bytes at `p`:
 * crc32(crc32(0, a), b) is the checksum of a and b in a row. About four machine
 * instructions a byte.
 */
u32 crc32(u32 crc, const void *p, size_t n);

#endif
