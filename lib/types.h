/* SPDX-License-Identifier: MIT
 *
 * Integer and address types that kernel and guests share. The kind of an
 * address is in its type: gva_t is an address as a guest sees it, pa_t a
 * machine (physical) address; a kernel-virtual address is a plain pointer.
 */
#ifndef LIB_TYPES_H
#define LIB_TYPES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef uint8_t u8;
typedef uint16_t u16;
typedef uint32_t u32;
typedef uint64_t u64;
typedef int32_t i32;
typedef int64_t i64;

typedef u32 gva_t; /* guest virtual address: [0, memory size) */
typedef u32 pa_t;  /* machine address of RAM or of a device below 4 GB */

#define PAGE_SHIFT   12
#define PAGE_SIZE    4096u
#define PAGE_MASK    (PAGE_SIZE - 1)
#define ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))
/* To a multiple of `a`, a power of two, in the type of `x`: a u64 stays one. */
#define ALIGN_DOWN(x, a) ((x) & ~((__typeof__(x))(a)-1))
#define ALIGN_UP(x, a)   ALIGN_DOWN((x) + ((a)-1), a)

/* The smaller, the larger of two; each argument is evaluated once: it may be a
 * register that changes between two looks. */
#define MIN(a, b)                                  \
	({                                         \
		__auto_type min_a_ = (a);          \
		__auto_type min_b_ = (b);          \
		min_a_ < min_b_ ? min_a_ : min_b_; \
	})
#define MAX(a, b)                                  \
	({                                         \
		__auto_type max_a_ = (a);          \
		__auto_type max_b_ = (b);          \
		max_a_ > max_b_ ? max_a_ : max_b_; \
	})

#define NORETURN          __attribute__((noreturn))
#define PACKED            __attribute__((packed))
#define PRINTF(fmt, args) __attribute__((format(printf, fmt, args)))

/* The compiler may neither drop, repeat nor split this access. */
#define READ_ONCE(x)     (*(const volatile __typeof__(x) *)&(x))
#define WRITE_ONCE(x, v) (*(volatile __typeof__(x) *)&(x) = (v))
#define BARRIER()        __asm__ volatile("" ::: "memory")

#endif
