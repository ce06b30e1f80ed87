/* SPDX-License-Identifier: MIT
 *
 * lwIP's view of the compiler and of Ilwaco's C library.
 */
#ifndef ILWACO_ARCH_CC_H
#define ILWACO_ARCH_CC_H

#include <stdio.h>
#include <stdlib.h>

#include "ilwaco/ilwaco.h"
#include "ilwaco/random.h"

/* These headers don't exist here; lwIP then brings its own definitions. */
#define LWIP_NO_INTTYPES_H 1
#define LWIP_NO_UNISTD_H   1
#define LWIP_NO_CTYPE_H    1

/* What <inttypes.h> would have defined: formats of 32-bit numbers. */
#define X8_F  "02x"
#define U16_F "u"
#define S16_F "d"
#define X16_F "x"
#define U32_F "u"
#define S32_F "d"
#define X32_F "x"
#define SZT_F "u"

/* Every thread has its own errno; the numbers are lwIP's. */
#define LWIP_PROVIDE_ERRNO 1
int *errno_location(void);
#define errno (*errno_location())

#define LWIP_RAND()                random32()
#define LWIP_PLATFORM_DIAG(x)      ((void)printf x)
#define LWIP_PLATFORM_ASSERT(text) die("lwip: %s (%s:%d)", (text), __FILE__, __LINE__)

/* The i386 swaps bytes in one instruction. */
#define lwip_htons(x) __builtin_bswap16(x)
#define lwip_htonl(x) __builtin_bswap32(x)

#endif
