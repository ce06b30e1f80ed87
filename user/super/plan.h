/* SPDX-License-Identifier: MIT
 *
 * What VMs somebody wants, as the words of a line say:
 *
 *   httpd count=16 mem=16M disk=site args="a b" number=3 stopped
 *
 * Pure: it compiles for the host.
 */
#ifndef SUPER_PLAN_H
#define SUPER_PLAN_H

#include "lib/abi.h"

struct plan {
	u32 count;
	bool stopped; /* make them, don't start them */
	u32 disk_count;
	struct vm_request request; /* the first one's; a % in a disk's name isn't replaced yet */
};

#define PLAN_WORDS "IMAGE [count=N] [mem=SIZE] [disk=NAME] [args=\"TEXT\"] [number=K] [stopped]"

/* Reads `count` words. NULL, or what is wrong; `*which` is the word that is then. */
const char *plan_read(struct plan *plan, int count, char **words, const char **which);

/* The request for the `ordinal`th VM of `plan`, from 1: with its number, if the plan
 * names one, and each % in a disk's name replaced by `ordinal`. false: a name would
 * be too long. */
bool plan_request(const struct plan *plan, u32 ordinal, struct vm_request *request);

#endif
