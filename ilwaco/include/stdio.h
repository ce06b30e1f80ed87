/* SPDX-License-Identifier: MIT
 *
 * Standard output goes to the virtual console; there are no files.
 */
#ifndef ILWACO_STDIO_H
#define ILWACO_STDIO_H

#include <stdarg.h>
#include <stddef.h>

typedef struct file FILE; /* only ever NULL: "all streams" */

#define PRINTF_MAX 512 /* bytes that one printf writes at most, NUL included; more is cut */

int printf(const char *format, ...) __attribute__((format(printf, 1, 2)));
int vprintf(const char *format, va_list args);
int snprintf(char *to, size_t size, const char *format, ...) __attribute__((format(printf, 3, 4)));
int vsnprintf(char *to, size_t size, const char *format, va_list args);
int puts(const char *text);
int putchar(int c);
int fflush(FILE *stream);

#endif
