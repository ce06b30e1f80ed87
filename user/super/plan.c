/* SPDX-License-Identifier: MIT
 *
 * Reads the words that say which VMs to make.
 */
#include "user/super/plan.h"
#include "lib/format.h"
#include "lib/string.h"
#include "user/super/words.h"

#define COUNT_MAX  262143
#define MEMORY_MAX (48u << 20)
#define MEMORY_MIN (64u << 10)

/* Copies a string to a place of `room` bytes; false: it's empty or too long. */
static bool
copy_text(char *to, u32 room, const char *from)
{
	u32 length = (u32)strlen(from);

	if (length == 0 || length >= room)
		return false;
	memcpy(to, from, length + 1);
	return true;
}

static const char *
read_count(struct plan *plan, const char *value)
{
	return word_number(value, &plan->count) && plan->count > 0 && plan->count <= COUNT_MAX
		       ? NULL
		       : "wanted count=1 to count=262143";
}

static const char *
read_memory(struct plan *plan, const char *value)
{
	u64 bytes;

	if (!word_size(value, &bytes) || bytes < MEMORY_MIN || bytes > MEMORY_MAX)
		return "wanted mem=64K to mem=48M";
	plan->request.memory_size = ALIGN_UP((u32)bytes, PAGE_SIZE);
	return NULL;
}

static const char *
read_disk(struct plan *plan, const char *value)
{
	if (plan->disk_count == DISKS_PER_VM)
		return "a VM has at most 8 disks";
	return copy_text(plan->request.disks[plan->disk_count++], NAME_SIZE, value)
		       ? NULL
		       : "a disk's name has 1 to 31 characters";
}

static const char *
read_args(struct plan *plan, const char *value)
{
	return *value == '\0' || copy_text(plan->request.args, ARGS_MAX, value)
		       ? NULL
		       : "arguments have at most 255 characters";
}

static const char *
read_number(struct plan *plan, const char *value)
{
	return word_number(value, &plan->request.number) && plan->request.number > 0 &&
			       plan->request.number <= COUNT_MAX
		       ? NULL
		       : "wanted number=1 to number=262143";
}

static const struct {
	const char *name;
	const char *(*read)(struct plan *plan, const char *value);
} settings[] = {
	{"count", read_count}, {"mem", read_memory},    {"disk", read_disk},
	{"args", read_args},   {"number", read_number},
};

static const char *
read_word(struct plan *plan, const char *word)
{
	for (u32 i = 0; i < ARRAY_LEN(settings); i++) {
		const char *value = word_value(word, settings[i].name);

		if (value)
			return settings[i].read(plan, value);
	}
	if (strcmp(word, "stopped") != 0)
		return "unknown word; wanted " PLAN_WORDS;
	plan->stopped = true;
	return NULL;
}

const char *
plan_read(struct plan *plan, int count, char **words, const char **which)
{
	const char *bad = NULL;

	memset(plan, 0, sizeof *plan);
	plan->count = 1;
	*which = "";
	if (count < 1)
		return "wanted " PLAN_WORDS;
	*which = words[0];
	if (!copy_text(plan->request.image, NAME_SIZE, words[0]))
		return "an image's name has 1 to 31 characters";
	for (int i = 1; i < count && !bad; i++) {
		*which = words[i];
		bad = read_word(plan, words[i]);
	}
	return bad;
}

/* Copies a name with each % replaced; false: too long. */
static bool
fill_name(char to[NAME_SIZE], const char *from, const char *ordinal)
{
	u32 length = 0;

	for (; *from; from++) {
		char one[2] = {*from, '\0'};
		const char *part = *from == '%' ? ordinal : one;
		u32 more = (u32)strlen(part);

		if (length + more >= NAME_SIZE)
			return false;
		memcpy(to + length, part, more);
		length += more;
	}
	memset(to + length, 0, NAME_SIZE - length);
	return true;
}

bool
plan_request(const struct plan *plan, u32 ordinal, struct vm_request *request)
{
	char digits[12];

	format(digits, sizeof digits, "%u", ordinal);
	*request = plan->request;
	if (request->number)
		request->number += ordinal - 1;
	for (u32 i = 0; i < plan->disk_count; i++)
		if (!fill_name(request->disks[i], plan->request.disks[i], digits))
			return false;
	return true;
}
