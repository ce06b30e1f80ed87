/* SPDX-License-Identifier: MIT
 *
 * Sorts exceptions: whose fault one is, and of which kind. It decides nothing else.
 */
#include "kern/classify.h"
#include "kern/isa.h"
#include "kern/x86.h"
#include "lib/abi.h"

static enum trap_reason
page_reason(u32 error, gva_t address)
{
	if ((error & (PF_PRESENT | PF_USER)) == PF_PRESENT)
		return REASON_EXCLUDED;
	return address >= VREGS_BASE && address < GUEST_LIMIT ? REASON_PAGE : REASON_OUTSIDE;
}

static enum trap_reason
instruction_reason(const u8 *bytes, u32 length)
{
	const struct isa_entry *entry = isa_find(bytes, length);

	if (!entry || entry->class != ISA_EXCLUDED)
		return REASON_EXCEPTION;
	return entry->first == INT_OPCODE ? REASON_INT : REASON_EXCLUDED;
}

enum trap_reason
trap_classify(const struct trap_scene *scene)
{
	const struct trapframe *frame = scene->frame;

	if (!(frame->cs & 3) || frame->vector == TRAP_MC)
		return REASON_KERNEL;
	if (frame->vector == TRAP_PF)
		return page_reason(frame->error, scene->cr2);
	if (frame->vector != TRAP_DB)
		return instruction_reason(scene->bytes, scene->length);
	if (scene->before == INT1_OPCODE && !(frame->eflags & EFLAGS_TF))
		return REASON_INT1;
	return REASON_DEBUG;
}
