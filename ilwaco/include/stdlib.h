/* SPDX-License-Identifier: MIT
 *
 * The part of <stdlib.h> that a service needs. Memory that malloc returns is
 * aligned to 8 bytes.
 */
#ifndef ILWACO_STDLIB_H
#define ILWACO_STDLIB_H

#include <stddef.h>

#define EXIT_SUCCESS 0
#define EXIT_FAILURE 1

void *malloc(size_t size);
void *calloc(size_t count, size_t size);
void *realloc(void *block, size_t size);
void free(void *block);
int atexit(void (*function)(void)); /* -1: no more than 8 */
void exit(int status) __attribute__((noreturn));
void abort(void) __attribute__((noreturn));
int atoi(const char *text);

#endif
