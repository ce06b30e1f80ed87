/* SPDX-License-Identifier: MIT
 *
 * A QEMU plugin that measures entries of the kernel, in instructions. An entry
 * is what the kernel executes between two instructions that give the processor
 * away: the iret into ring 3, the hlt that waits, the sti that lets interrupts in.
 * Its results lie in a shared file, so that they can be read at any moment and
 * survive QEMU's death. Boot, up to the first such instruction, doesn't count.
 *
 *   entry.so,out=FILE,marks=FILE
 *
 * `marks` has a line for each instruction that means something: its address in
 * hexadecimal and a letter. x: an entry ends before it. s: this entry isn't to be
 * counted. v: remember that the entry came by. Lines are in ascending order.
 *
 * Every kernel block adds its number of instructions when it begins; a block that
 * a device access cuts in two counts twice in part, so a result is never too small.
 * A string instruction counts once for each element. The interface (version 1) is
 * declared here: Debian's QEMU 7.2 comes without its header.
 */
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define EXPORT      __attribute__((visibility("default")))
#define ADD_U64     0 /* QEMU_PLUGIN_INLINE_ADD_U64 */
#define NO_REGS     0 /* QEMU_PLUGIN_CB_NO_REGS */
#define KERNEL_BASE 0x40000000u

struct qemu_plugin_tb;
struct qemu_plugin_insn;

void qemu_plugin_register_vcpu_tb_trans_cb(uint64_t id,
					   void (*call)(uint64_t, struct qemu_plugin_tb *));
void qemu_plugin_register_vcpu_tb_exec_inline(struct qemu_plugin_tb *tb, int what, void *word,
					      uint64_t amount);
void qemu_plugin_register_vcpu_insn_exec_cb(struct qemu_plugin_insn *insn,
					    void (*call)(unsigned, void *), int flags, void *data);
size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb *tb);
uint64_t qemu_plugin_tb_vaddr(const struct qemu_plugin_tb *tb);
struct qemu_plugin_insn *qemu_plugin_tb_get_insn(const struct qemu_plugin_tb *tb, size_t index);
uint64_t qemu_plugin_insn_vaddr(const struct qemu_plugin_insn *insn);

EXPORT extern int qemu_plugin_version;
EXPORT int qemu_plugin_install(uint64_t id, const void *info, int argc, char **argv);

int qemu_plugin_version = 1;

#define MARKS_MAX 1024
#define TRAIL_MAX 32
#define BUCKETS   32

/* The file of results, as grade/harness/entry.py reads it. */
struct result {
	uint64_t entries;            /* measured */
	uint64_t skipped;            /* not to be counted */
	uint64_t longest;            /* instructions */
	uint64_t instructions;       /* in all of the measured ones */
	uint64_t trail_length;       /* of the longest */
	uint64_t trail[TRAIL_MAX];   /* addresses of its marks, in order */
	uint64_t histogram[BUCKETS]; /* by the number of bits of the length */
	uint64_t by_mark[MARKS_MAX]; /* the longest entry that came by each mark */
};

struct mark {
	uint32_t address;
	char kind;
};

static struct mark marks[MARKS_MAX];
static size_t mark_count;
static struct result *result;

static uint64_t executed; /* kernel instructions so far */
static uint64_t begun;    /* `executed` when this entry began */
static int booted, skip;
static uint32_t trail[TRAIL_MAX]; /* places in `marks` that this entry came by */
static size_t trail_length;

static unsigned
bits(uint64_t length)
{
	return length ? 64 - (unsigned)__builtin_clzll(length) : 0;
}

static void
measure(uint64_t length)
{
	result->entries++;
	result->instructions += length;
	result->histogram[bits(length) < BUCKETS ? bits(length) : BUCKETS - 1]++;
	for (size_t i = 0; i < trail_length; i++)
		if (result->by_mark[trail[i]] < length)
			result->by_mark[trail[i]] = length;
	if (length <= result->longest)
		return;
	result->longest = length;
	result->trail_length = trail_length;
	for (size_t i = 0; i < trail_length; i++)
		result->trail[i] = marks[trail[i]].address;
}

/* An entry ends. */
static void
entry_ends(unsigned cpu, void *data)
{
	(void)cpu;
	(void)data;
	if (booted && !skip)
		measure(executed - begun);
	result->skipped += (uint64_t)(booted && skip);
	booted = 1;
	skip = 0;
	begun = executed;
	trail_length = 0;
}

static void
entry_skipped(unsigned cpu, void *data)
{
	(void)cpu;
	(void)data;
	skip = 1;
}

static void
entry_came_by(unsigned cpu, void *data)
{
	(void)cpu;
	if (trail_length < TRAIL_MAX)
		trail[trail_length++] = (uint32_t)((struct mark *)data - marks);
}

static int
compare(const void *address, const void *mark)
{
	uint32_t a = *(const uint32_t *)address, b = ((const struct mark *)mark)->address;

	return a < b ? -1 : a > b;
}

static void
watch(struct qemu_plugin_insn *insn)
{
	uint32_t address = (uint32_t)qemu_plugin_insn_vaddr(insn);
	struct mark *mark = bsearch(&address, marks, mark_count, sizeof *marks, compare);

	if (mark)
		qemu_plugin_register_vcpu_insn_exec_cb(insn,
						       mark->kind == 'x'   ? entry_ends
						       : mark->kind == 's' ? entry_skipped
									   : entry_came_by,
						       NO_REGS, mark);
}

static void
translated(uint64_t id, struct qemu_plugin_tb *tb)
{
	size_t n = qemu_plugin_tb_n_insns(tb);

	(void)id;
	if (qemu_plugin_tb_vaddr(tb) < KERNEL_BASE)
		return;
	qemu_plugin_register_vcpu_tb_exec_inline(tb, ADD_U64, &executed, n);
	for (size_t i = 0; i < n; i++)
		watch(qemu_plugin_tb_get_insn(tb, i));
}

static int
read_marks(const char *path)
{
	FILE *file = fopen(path, "r");

	if (!file)
		return -1;
	while (mark_count < MARKS_MAX &&
	       fscanf(file, "%x %c", &marks[mark_count].address, &marks[mark_count].kind) == 2)
		mark_count++;
	fclose(file);
	return mark_count ? 0 : -1;
}

static int
open_result(const char *path)
{
	int file = open(path, O_RDWR | O_CREAT | O_TRUNC, 0600);
	void *at;

	if (file < 0 || ftruncate(file, sizeof *result) < 0)
		return -1;
	at = mmap(NULL, sizeof *result, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
	close(file);
	result = at;
	return at == MAP_FAILED ? -1 : 0;
}

int
qemu_plugin_install(uint64_t id, const void *info, int argc, char **argv)
{
	(void)info;
	if (argc != 2 || strncmp(argv[0], "out=", 4) != 0 || strncmp(argv[1], "marks=", 6) != 0)
		return 1;
	if (open_result(argv[0] + 4) < 0 || read_marks(argv[1] + 6) < 0) {
		fprintf(stderr, "entry.so: can't use %s, %s\n", argv[0], argv[1]);
		return 1;
	}
	qemu_plugin_register_vcpu_tb_trans_cb(id, translated);
	return 0;
}
