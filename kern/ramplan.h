/* SPDX-License-Identifier: MIT
 *
 * Disks in RAM that behave as a plan says, for runs that must be the same each
 * time: every transfer takes the time, and has the result, that the plan has for
 * it, whatever the host does. The data moves when that time is over.
 */
#ifndef KERN_RAMPLAN_H
#define KERN_RAMPLAN_H

#include "kern/block.h"
#include "lib/types.h"

#define PLAN_STEPS_MAX    32u
#define PLAN_FAILURES_MAX 8u

/* The first, the second, ... transfer; from the start again behind the last. */
struct plan_step {
	u64 time; /* ns */
	bool fails;
};

/* The count-th transfer of this kind fails, too. */
struct plan_failure {
	enum block_operation operation;
	u32 count;
};

struct plan {
	struct plan_step steps[PLAN_STEPS_MAX];
	u32 step_count; /* 0: every transfer takes 100 us */
	struct plan_failure failures[PLAN_FAILURES_MAX];
	u32 failure_count;
};

/* A disk with a plan. Its maker sets disk's name, sizes and what it can do, the
 * plan and move. */
struct planned_disk {
	struct block_disk disk; /* first */
	struct plan plan;
	/* Moves `bytes`, whole sectors, between the disk from `sector` on and memory;
	 * for BLOCK_ZERO without memory. False: the transfer fails. */
	bool (*move)(struct planned_disk *disk, enum block_operation operation, u64 sector,
		     void *memory, u32 bytes);
	/* ramplan.c */
	struct planned_disk *next;
	u32 at;                        /* in the plan */
	u32 started[BLOCK_ZERO + 1];   /* so far, by operation */
	struct block_request *pending; /* by when they end */
	u32 moved;                     /* pages of the first */
};

/* What the options say, "20us,5ms:eio,..." and "write@17,..."; 0, or -1. */
int plan_read_steps(struct plan *plan, const char *value);
int plan_read_failures(struct plan *plan, const char *value);

/* The size in an option, "64M" with 1 to `max` MB: in MB; 0 if it is none. */
u32 plan_read_size(const char *value, u32 max);

/* block_add with a plan. Context: boot. */
void planned_add(struct planned_disk *disk);

#endif
