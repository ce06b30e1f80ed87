/* SPDX-License-Identifier: MIT
 *
 * printf's formatter, for kernel and guests.
 */
#ifndef LIB_FORMAT_H
#define LIB_FORMAT_H

#include <stdarg.h>

#include "lib/types.h"

/*
 * Formats as C's vsnprintf does: flags - and 0, width, precision (for strings),
 * conversions c s d i u x X p %, lengths hh h l ll z. Writes at most `size` bytes,
 * the final NUL included, if size > 0. Returns the length that the whole text
 * has, the NUL not counted; a result >= size means that the text was cut.
 */
int vformat(char *buffer, size_t size, const char *format, va_list args);

/* vformat with its arguments inline. */
int format(char *buffer, size_t size, const char *format, ...) PRINTF(3, 4);

/* The string of an error number of lib/abi.h, either sign; never NULL. */
const char *error_string(int error);

#endif
