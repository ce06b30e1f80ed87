/* SPDX-License-Identifier: MIT
 *
 * The trace: what happened lately, as events of 16 bytes in one ring that is
 * always on. The kernel only writes it. Those who read are the monitor, and
 * `make trace`, which follows the ring from outside while the machine runs.
 *
 *   bit 63                                   0
 *      +--------------------------------------+
 *      |  when: the time stamp counter        |
 *      +------------------+-------+-----------+
 *      |  value           | kind  |  VM       |
 *      +------------------+-------+-----------+
 *       32 bits            8 bits  24 bits
 *
 * Events are emitted around what may be written anew, not in it. A trace explains
 * what was seen; no verdict is based on it.
 */
#ifndef KERN_TRACE_H
#define KERN_TRACE_H

#include "kern/x86.h"
#include "lib/types.h"

/* The kinds: a name, and what the value means. conf/trace.py reads this list. */
#define TRACE_KINDS(X)                                                    \
	X(STATE, "state")           /* old << 8 | new, enum vm_state */   \
	X(POST, "post")             /* VIRQ_* bits pending since then */  \
	X(DELIVER, "deliver")       /* VIRQ_* bits that it took */        \
	X(SEND, "send")             /* bytes that the VM sent */          \
	X(QUEUE, "queue")           /* bytes that wait for the VM */      \
	X(RECEIVE, "receive")       /* bytes that the VM took */          \
	X(DROP, "drop")             /* bytes that were lost to it */      \
	X(UPLINK_IN, "uplink-in")   /* bytes from outside; no VM */       \
	X(UPLINK_OUT, "uplink-out") /* bytes to the outside; no VM */     \
	X(DISK_START, "disk-start") /* block << 1 | write */              \
	X(DISK_END, "disk-end")     /* the status, 0 or an error */       \
	X(WORK_BEGIN, "work-begin") /* address of the slice's function */ \
	X(WORK_END, "work-end")     /* the same */                        \
	X(PAGE, "page")             /* address | TRACE_PAGE_* */          \
	X(KILLED, "killed")         /* 0 */                               \
	X(TERMINATED, "terminated") /* its status */                      \
	X(SUPERVISOR, "supervisor") /* number of the instruction */       \
	X(WAIT, "wait")             /* the processor waits; no VM */      \
	X(WAKE, "wake")             /* an interrupt came; no VM */

enum trace_kind {
#define X(name, text) TRACE_##name,
	TRACE_KINDS(X)
#undef X
		TRACE_KIND_COUNT
};

#define TRACE_NO_VM 0xffffffu /* the number in events that are no VM's */

/* What a page got. */
#define TRACE_PAGE_OWN  0u /* a frame, at its first touch */
#define TRACE_PAGE_COPY 1u /* its copy of a shared one */
#define TRACE_PAGE_IN   2u /* what its region has of it */
#define TRACE_PAGE_GONE 3u /* it has lost its frame */

struct trace_event {
	u64 when; /* 0: never written */
	u32 what; /* kind << 24 | VM */
	u32 value;
};

extern struct trace_event *trace_ring, *trace_end; /* NULL: off */
extern struct trace_event *trace_next;             /* the place of the next event */
extern u32 trace_laps;                             /* how often the ring was filled */

/* Writes an event; some 15 machine instructions. `vm` is a number below 2^24,
 * or TRACE_NO_VM. A reader outside sees whole events: those before trace_next.
 * Context: any in the kernel. */
static inline void
trace(enum trace_kind kind, u32 vm, u32 value)
{
	struct trace_event *event = trace_next;

	if (!event)
		return;
	event->when = rdtsc();
	event->what = (u32)kind << 24 | vm;
	event->value = value;
	BARRIER();
	if (++event != trace_end) {
		trace_next = event;
	} else {
		trace_next = trace_ring;
		BARRIER();
		trace_laps++;
	}
}

/* Takes memory for the ring. Context: boot, before frame_init. */
void trace_init(void);

#endif
