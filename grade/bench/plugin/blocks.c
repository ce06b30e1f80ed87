/* SPDX-License-Identifier: MIT
 *
 * A QEMU plugin that counts how often each translated block runs. For every
 * block it writes, when QEMU ends, one line into the file of its argument
 * `out=FILE`: address, instructions in the block, times run. profile.py makes
 * functions of that. QEMU 7.2 as Debian builds it loads plugins but comes
 * without their header: what is used of its interface (version 1) is declared
 * here.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define EXPORT   __attribute__((visibility("default")))
#define ADD_U64  0 /* QEMU_PLUGIN_INLINE_ADD_U64 */
#define OUT_NAME "out="

struct qemu_plugin_tb;

void qemu_plugin_register_vcpu_tb_trans_cb(uint64_t id,
					   void (*call)(uint64_t, struct qemu_plugin_tb *));
void qemu_plugin_register_vcpu_tb_exec_inline(struct qemu_plugin_tb *tb, int what, void *word,
					      uint64_t amount);
void qemu_plugin_register_atexit_cb(uint64_t id, void (*call)(uint64_t, void *), void *data);
size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb *tb);
uint64_t qemu_plugin_tb_vaddr(const struct qemu_plugin_tb *tb);

EXPORT extern int qemu_plugin_version;
EXPORT int qemu_plugin_install(uint64_t id, const void *info, int argc, char **argv);

int qemu_plugin_version = 1;

struct block {
	struct block *next;
	uint64_t address, instructions, times;
};

static struct block *blocks;
static FILE *out;

/* A block was translated, perhaps not for the first time: each gets its counter. */
static void
translated(uint64_t id, struct qemu_plugin_tb *tb)
{
	struct block *block = calloc(1, sizeof(*block));

	(void)id;
	if (!block)
		abort();
	block->address = qemu_plugin_tb_vaddr(tb);
	block->instructions = qemu_plugin_tb_n_insns(tb);
	block->next = blocks;
	blocks = block;
	qemu_plugin_register_vcpu_tb_exec_inline(tb, ADD_U64, &block->times, 1);
}

static void
ended(uint64_t id, void *data)
{
	(void)id;
	(void)data;
	for (struct block *b = blocks; b; b = b->next)
		fprintf(out, "%llx %llu %llu\n", (unsigned long long)b->address,
			(unsigned long long)b->instructions, (unsigned long long)b->times);
	fclose(out);
}

int
qemu_plugin_install(uint64_t id, const void *info, int argc, char **argv)
{
	(void)info;
	if (argc != 1 || strncmp(argv[0], OUT_NAME, strlen(OUT_NAME)) != 0)
		return 1;
	out = fopen(argv[0] + strlen(OUT_NAME), "w");
	if (!out)
		return 1;
	qemu_plugin_register_vcpu_tb_trans_cb(id, translated);
	qemu_plugin_register_atexit_cb(id, ended, NULL);
	return 0;
}
