/* SPDX-License-Identifier: MIT
 *
 * Drives the supervisor's parser (user/super/words.c, plan.c), compiled for the
 * host. Each line of standard input is cut into words, and read as a plan for VMs;
 * what became of it is printed. Usage: plan_test < lines
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "user/super/plan.h"
#include "user/super/words.h"

static void
print_plan(const struct plan *plan)
{
	struct vm_request last;

	printf(" image=%s count=%u mem=%u number=%u stopped=%d args=%s", plan->request.image,
	       plan->count, plan->request.memory_size, plan->request.number, plan->stopped,
	       plan->request.args);
	if (!plan_request(plan, plan->count, &last)) {
		printf(" last: a name is too long");
		return;
	}
	printf(" last=%u", last.number);
	for (u32 i = 0; i < DISKS_PER_VM; i++)
		if (last.disks[i][0])
			printf(" disk=%s", last.disks[i]);
}

static void
try_line(const char *line)
{
	char *text = strdup(line); /* exactly as long as it is: an access past its end is seen */
	const char *bad = "", *which;
	char *words[WORDS_MAX];
	struct plan plan;
	int count = words_split(text, words, &bad);

	printf("%d", count);
	for (int i = 0; i < count; i++)
		printf(" <%s>", words[i]);
	if (count >= 0)
		bad = plan_read(&plan, count, words, &which);
	if (bad)
		printf(" | %s", bad);
	else
		print_plan(&plan);
	putchar('\n');
	free(text);
}

int
main(void)
{
	static char line[65536];

	while (fgets(line, sizeof line, stdin)) {
		line[strcspn(line, "\n")] = '\0';
		try_line(line);
	}
	return 0;
}
