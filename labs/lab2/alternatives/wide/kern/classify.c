/* SPDX-License-Identifier: MIT
 *
 * Sorts exceptions: questions, one after the other, each with its answer.
 */
#include "kern/classify.h"
#include "kern/isa.h"
#include "kern/x86.h"
#include "lib/abi.h"

struct question {
	bool (*fits)(const struct trap_scene *scene);
	enum trap_reason reason;
};

static bool
is_kernels(const struct trap_scene *s)
{
	return (s->frame->cs & 3) == 0 || s->frame->vector == TRAP_MC;
}

static bool
is_refused_page(const struct trap_scene *s)
{
	return s->frame->vector == TRAP_PF && s->frame->error & PF_PRESENT &&
	       !(s->frame->error & PF_USER);
}

static bool
is_guest_page(const struct trap_scene *s)
{
	return s->frame->vector == TRAP_PF && s->cr2 / PAGE_SIZE > 0 && s->cr2 < GUEST_LIMIT;
}

static bool
is_page(const struct trap_scene *s)
{
	return s->frame->vector == TRAP_PF;
}

static bool
is_int1(const struct trap_scene *s)
{
	return s->frame->vector == TRAP_DB && (s->frame->eflags & EFLAGS_TF) == 0 &&
	       s->before == INT1_OPCODE;
}

static bool
is_debug(const struct trap_scene *s)
{
	return s->frame->vector == TRAP_DB;
}

static bool
is_excluded(const struct trap_scene *s)
{
	const struct isa_entry *entry = isa_find(s->bytes, s->length);

	return entry && entry->class == ISA_EXCLUDED;
}

static bool
is_int(const struct trap_scene *s)
{
	return is_excluded(s) && isa_find(s->bytes, s->length)->first == INT_OPCODE;
}

enum trap_reason
trap_classify(const struct trap_scene *scene)
{
	static const struct question questions[] = {
		{is_kernels, REASON_KERNEL},  {is_refused_page, REASON_EXCLUDED},
		{is_guest_page, REASON_PAGE}, {is_page, REASON_OUTSIDE},
		{is_int1, REASON_INT1},       {is_debug, REASON_DEBUG},
		{is_int, REASON_INT},         {is_excluded, REASON_EXCLUDED},
	};

	for (u32 i = 0; i < ARRAY_LEN(questions); i++)
		if (questions[i].fits(scene))
			return questions[i].reason;
	return REASON_EXCEPTION;
}
