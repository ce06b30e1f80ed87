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

/* Virtual instructions: (ebx, ecx, edx, esi) and the result. Structures are
 * given by their addresses. */
#define VI_NULL             0  /* () -E_NOSYS, always */
#define VI_IDLE             1  /* (deadline low, deadline high) 0, or pending mask */
#define VI_TERMINATE        2  /* (status) never returns */
#define VI_CONSOLE_WRITE    3  /* (address, bytes) bytes written */
#define VI_PACKET_SEND      4  /* (address, bytes) 0 */
#define VI_PACKET_RECEIVE   5  /* (address, room) length of the frame */
#define VI_PACKET_SEND_V    6  /* (list, elements) elements done */
#define VI_PACKET_RECEIVE_V 7  /* (list, elements) elements done */
#define VI_DISK_READ        8  /* (disk, block, address, tag) 0: started */
#define VI_DISK_WRITE       9  /* (disk, block, address, tag) 0: started */
#define VI_DISK_READ_V      10 /* (list, elements) elements started */
#define VI_DISK_WRITE_V     11 /* (list, elements) elements started */
#define VI_DISK_FLUSH       12 /* (disk, -, -, tag) 0: started */
#define VI_CONSOLE_READ     13 /* (address, room) bytes read */
#define VI_DISCARD          14 /* (address, bytes) bytes done */

/* Those from here on are the supervisor's (VM 0); others get -E_PERM. */
#define VI_SUPERVISOR 16

#define VI_VM_CREATE       16 /* (vm_request) number */
#define VI_VM_START        17 /* (number) 0 */
#define VI_VM_STOP         18 /* (number, STOP_*) 0 */
#define VI_VM_DESTROY      19 /* (number) 0 */
#define VI_VM_INSPECT      20 /* (number, vm_info) 0 */
#define VI_VDISK_CREATE    21 /* (vdisk_request, -, -, tag) 0: started */
#define VI_VDISK_ATTACH    22 /* (number, name) disk */
#define VI_VDISK_DESTROY   23 /* (name, -, -, tag) 0: started */
#define VI_VDISK_INSPECT   24 /* (index, vdisk_info) 0 */
#define VI_MACHINE_INSPECT 25 /* (machine_info) 0 */
#define VI_MODULE_READ     26 /* (index, offset, address, bytes) bytes read */
#define VI_CONSOLE_FOCUS   27 /* (number) 0 */
#define VI_CONSOLE_HISTORY 28 /* (number, address, room) bytes read */

#define VI_COUNT 29

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
#define DISCARD_MAX 64   /* pages in one discard */
#define ARGS_MAX    256  /* bytes of boot arguments, the final NUL included */

#define BLOCK_SIZE     4096 /* bytes: a block of a virtual disk */
#define DISKS_PER_VM   8
#define DISK_INFLIGHT  32         /* transfers of one VM at a time */
#define DISK_RING      64         /* places in the completion ring */
#define NAME_SIZE      32         /* bytes of a name, the final NUL included */
#define CONSOLE_KEPT   2048       /* bytes of output that a VM's page keeps */
#define CONSOLE_KERNEL 0xffffffff /* to VI_CONSOLE_FOCUS: the kernel's monitor */
#define STOP_ASK       0          /* post VIRQ_CONTROL: the VM may end in order */
#define STOP_NOW       1          /* end it */

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
	X(IMAGE, 10, "not a valid image")                \
	X(NOENT, 11, "no such thing")                    \
	X(BUSY, 12, "in use")                            \
	X(FULL, 13, "full")                              \
	X(DAMAGED, 14, "damaged")                        \
	X(EXISTS, 15, "exists already")

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

/* One element of a vectored disk instruction: transfers one block between the
 * disk and the page at `address` (page-aligned). `tag` comes back with the
 * completion. */
struct disk_element {
	u32 disk; /* below `disks` */
	u32 block;
	u32 address;
	u32 tag;
};

/* A transfer that has ended. */
struct disk_completion {
	u32 tag;
	i32 status; /* 0, or a negative error; the page then holds anything */
};

#define DISK_READ_ONLY (1u << 0)
#define DISK_CAN_FLUSH (1u << 1) /* VI_DISK_FLUSH does something */

struct disk_geometry {
	u32 blocks;
	u32 flags; /* DISK_* */
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
	u64 time;            /* entry: ns since the machine started */
	u64 wall_base;       /* boot: ns since 1970 at time 0; 0: unknown */
	u32 disk_completed;  /* entry: transfers ended so far; number n stands in
			      * disk_ring[n % DISK_RING] */
	u32 console_waiting; /* entry: bytes of input */
	u32 console_written; /* console_write: bytes of output ever; byte n is kept in
			      * console[n % CONSOLE_KEPT] */
	u32 reserved1;
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
	/* 0x200: virtual disks. At most DISK_INFLIGHT transfers are under way, so
	 * a guest that reads the ring before it starts more misses none. */
	struct disk_completion disk_ring[DISK_RING]; /* entry */
	/* 0x400 */
	struct disk_geometry disk[DISKS_PER_VM]; /* boot */
	u8 reserved6[960];
	/* 0x800 */
	char console[CONSOLE_KEPT]; /* console_write: the last output */
};

/* What follows is between the kernel and the supervisor. Names are
 * NUL-terminated. */

/* A VM to be made. It is made stopped: VI_VM_START starts it. */
struct vm_request {
	u32 number;      /* 0: the lowest that is free */
	u32 memory_size; /* bytes; 0: the default */
	u32 reserved[2];
	char image[NAME_SIZE]; /* the last part of a boot module's path */
	char args[ARGS_MAX];
	char disks[DISKS_PER_VM][NAME_SIZE]; /* "": none */
};

/* What is known of a VM. */
struct vm_info {
	u32 number;
	u32 memory_size; /* bytes */
	u32 frames;      /* pages of RAM that it owns */
	u32 eip;
	u64 run_time; /* ns */
	u32 quanta, virqs_posted, virqs_merged, virqs_delivered;
	u32 packets_sent, packets_received, packets_dropped;
	u32 disk_transfers, disk_errors;
	u32 console_written;
	u32 disks;
	u32 reserved[5];
	char state[16]; /* "free": the number is not in use */
	char image[NAME_SIZE];
	char reason[96]; /* why it ended; "": it hasn't, or that is long ago */
	char args[ARGS_MAX];
};

/* A virtual disk to be made. */
struct vdisk_request {
	char name[NAME_SIZE];
	u32 blocks;
	u32 flags; /* DISK_READ_ONLY: any number of VMs may have it; its content comes
		    * from the host */
};

/* What is known of a virtual disk. */
struct vdisk_info {
	char name[NAME_SIZE];
	u32 blocks;
	u32 flags;
	u32 attached; /* VMs that have it */
	u32 owner;    /* the VM that has it, if it is private; 0: none */
};

/* What is known of the machine. */
struct machine_info {
	u64 time; /* ns since it started */
	u64 idle; /* ns of those in which no VM ran */
	u32 frames, frames_free;
	u32 cpu_khz;
	u32 numbers; /* of VMs: 0 to numbers - 1 */
	u32 vms;     /* made and not destroyed, the supervisor too */
	u32 modules; /* boot modules */
	u32 vdisks;  /* places in the table of virtual disks, used or not */
	u32 focus;   /* the VM that has the console, or CONSOLE_KERNEL */
	u32 switches, packets_in, packets_out, disk_transfers;
	u32 disk_error;    /* why there are no virtual disks; 0: there are */
	u32 script_module; /* index of the boot script, if there is one: VI_MODULE_READ */
	u32 reserved[2];
	char script[NAME_SIZE]; /* name of the boot script's module; "": none */
};

/* The page at VREGS_BASE, as a guest sees it. */
#define VREGS ((volatile struct vregs *)VREGS_BASE)

#endif /* __ASSEMBLER__ */
#endif
