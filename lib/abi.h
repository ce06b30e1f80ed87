/* SPDX-License-Identifier: MIT
 *
 * The virtual architecture: everything that a guest may rely on, in one
 * header that kernel and guests both include. Names, order and meaning are
 * frozen at ABI_VERSION; later changes are additions. Constants that assembly
 * needs stand above the __ASSEMBLER__ line.
 *
 *   guest memory, one flat address space per VM
 *
 *   0x00000000  +--------------------------+
 *               | page 0: never mapped     |  a null pointer faults
 *   0x00001000  +--------------------------+
 *               | virtual registers        |  struct vregs
 *   0x00002000  +--------------------------+
 *               | image: text, read-only   |  shared among VMs of one image
 *               | data  (own pages)        |
 *               | stack, data, bss, heap   |
 *   memory size +--------------------------+  16 MB unless chosen otherwise
 *               | nothing: access ends VM  |
 *   0x40000000  +--------------------------+
 *               | the kernel, out of reach |
 *               +--------------------------+
 */
#ifndef LIB_ABI_H
#define LIB_ABI_H

#define ABI_VERSION 1

#define VREGS_BASE  0x1000     /* the page of virtual registers */
#define IMAGE_BASE  0x2000     /* lowest address of an image */
#define GUEST_LIMIT 0x40000000 /* no guest memory at or above */

/* The gate: `int $GATE_VECTOR`; number in eax; arguments in ebx, ecx, edx,
 * esi, edi; result in eax, an error if negative. No other register and no
 * flag changes. */
#define GATE_VECTOR 0x80

/* Virtual instructions.                 ebx            ecx            result */
#define VI_NULL             0 /*          -              -              -E_NOSYS, always */
#define VI_IDLE             1 /*          deadline, low  deadline, high 0 or pending mask */
#define VI_TERMINATE        2 /*          status         -              never returns */
#define VI_CONSOLE_WRITE    3 /*          address        bytes          bytes written */
#define VI_PACKET_SEND      4 /*          address        bytes          0 */
#define VI_PACKET_RECEIVE   5 /*          address        room in bytes  length of the frame */
#define VI_PACKET_SEND_V    6 /*          list           elements       elements done */
#define VI_PACKET_RECEIVE_V 7 /*         list           elements       elements done */
#define VI_COUNT            8

/* Bits of the pending mask. Bit 31 is never used: a mask is never an error. */
#define VIRQ_TIMER   (1u << 0) /* the deadline of an idle passed */
#define VIRQ_NET     (1u << 1) /* a frame came; or room to send, after -E_AGAIN */
#define VIRQ_DISK    (1u << 2) /* a transfer completed */
#define VIRQ_CONSOLE (1u << 3) /* input waits */
#define VIRQ_CONTROL (1u << 4) /* the supervisor asks this VM to end */

/* Offsets in the page of virtual registers that assembly uses; assertions in
 * kern/vregs.c prove that they agree with struct vregs. */
#define VREG_VIRQ_ENABLE   0x00
#define VREG_UPCALL_EIP    0x08
#define VREG_UPCALL_EFLAGS 0x0c

#define FRAME_MIN   14   /* bytes: an Ethernet header */
#define FRAME_MAX   1514 /* bytes: header and 1500, no checksum */
#define VECTOR_MAX  64   /* elements in one vectored instruction */
#define CONSOLE_MAX 4096 /* bytes in one console call */
#define ARGS_MAX    256  /* bytes of boot arguments, the final NUL included */

#ifndef __ASSEMBLER__

#include "lib/types.h"

#define IDLE_FOREVER (~(u64)0) /* a deadline that never comes */

/* Errors: a virtual instruction returns the number, negated. The one list
 * also makes the strings (error_string). */
#define ERRORS(X)                                        \
	X(PERM, 1, "not permitted")                      \
	X(NOSYS, 2, "no such virtual instruction")       \
	X(FAULT, 3, "bad address")                       \
	X(INVAL, 4, "bad argument")                      \
	X(TOOLONG, 5, "too long")                        \
	X(AGAIN, 6, "nothing there now, or no room now") \
	X(NOMEM, 7, "out of memory")                     \
	X(ADDR, 8, "not a frame that this VM may send")  \
	X(IO, 9, "the device failed")                    \
	X(IMAGE, 10, "not a valid image")

enum error {
#define X(name, number, text) E_##name = number,
	ERRORS(X)
#undef X
};

/* One element of a vectored packet instruction. `length` is the frame's
 * length to send, or the room to receive; the kernel then writes the length
 * of the frame received. */
struct packet_element {
	u32 address;
	u32 length;
};

/* The virtual registers. The guest may write every byte; the kernel reads
 * back only the words marked (guest), trusts none of them, and refreshes the
 * rest at every entry ("entry"), at the start of each quantum ("quantum"), or
 * once when the VM is made ("boot"). A 64-bit
 * register is read high, low, high again, until both highs agree. */
struct vregs {
	/* 0x000: virtual interrupts */
	u32 virq_enable;     /* (guest) 1: upcalls may come; an upcall clears it */
	u32 virq_handler;    /* (guest) address of the upcall handler; set it before the flag */
	u32 upcall_eip;      /* upcall: where the VM was */
	u32 upcall_eflags;   /* upcall: its flags */
	u32 upcall_bits;     /* upcall: all bits that this upcall delivers */
	u32 virq_pending;    /* entry: bits still pending; a hint */
	u32 packets_waiting; /* entry: frames in the receive queue */
	u32 reserved0;
	u64 time;      /* entry: ns since the machine started */
	u64 wall_base; /* boot: ns since 1970 at time 0; 0: unknown */
	u8 reserved1[16];
	/* 0x040: what this VM is */
	u32 abi_version; /* boot: ABI_VERSION */
	u32 number;      /* boot: this VM's number k */
	u32 memory_size; /* boot: bytes of RAM, a multiple of 4096 */
	u32 image_end;   /* boot: first address after the image, its bss included */
	u32 cpu_khz;     /* boot: speed of the time stamp counter */
	u32 quantum_us;  /* boot: length of a quantum in microseconds */
	u32 address;     /* boot: IPv4 address in host order: 10.1.0.0 + k */
	u32 gateway;     /* boot: IPv4 address in host order: 10.0.0.1 */
	u32 netmask;     /* boot: IPv4 mask in host order: 255.0.0.0 */
	u8 mac[6];       /* boot: 02:00 and the four bytes of the address */
	u8 reserved2[2];
	u32 disks; /* boot: number of virtual disks */
	u8 reserved3[16];
	/* 0x080: counters */
	u32 quanta;          /* quantum: quanta given */
	u32 virqs_posted;    /* quantum: interrupts posted */
	u32 virqs_merged;    /* quantum: of those, merged with one still pending */
	u32 virqs_delivered; /* quantum: upcalls, and masks returned by idle */
	u32 packets_dropped; /* quantum: frames for this VM that found no room */
	u32 frames_used;     /* quantum: pages of RAM that this VM owns */
	u8 reserved4[40];
	/* 0x0c0 */
	u8 seed[32]; /* boot: random, different for every VM and start */
	u8 reserved5[32];
	/* 0x100 */
	char args[ARGS_MAX]; /* boot: arguments, NUL-terminated */

	/* 0x200: reserved for the disk's completion ring and the console */
};

/* The page at VREGS_BASE, as a guest sees it. */
#define VREGS ((volatile struct vregs *)VREGS_BASE)

#endif /* __ASSEMBLER__ */
#endif
