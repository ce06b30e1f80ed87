/* SPDX-License-Identifier: MIT
 *
 * The server's side of control over the network (user/super/protocol.c), compiled for
 * the host, on standard input and output: whatever the client sends that is wrong ends
 * it with status 1. A command is answered with itself. Usage: protocol_test KEY NONCE,
 * both as 64 hex digits.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "user/super/protocol.h"

static struct protocol protocol;

static void
read_hex(u8 *to, const char *text)
{
	for (u32 i = 0; i < 32; i++) {
		char pair[3] = {text[2 * i], text[2 * i + 1], '\0'};

		to[i] = (u8)strtoul(pair, NULL, 16);
	}
}

static void
write_all(const void *bytes, u32 count)
{
	fwrite(bytes, 1, count, stdout);
	fflush(stdout);
}

/* Answers one record; false: there are no more. Its memory is exactly as long as the
 * record, so that an access past it is seen. */
static bool
answer_record(void)
{
	u8 head[PROTOCOL_HEAD], out[PROTOCOL_RECORD], failed = 0;
	u8 *record;
	u32 length;

	if (fread(head, 1, sizeof head, stdin) != sizeof head)
		return false;
	length = protocol_length(head);
	if (length == 0)
		exit(1);
	record = malloc(length);
	memcpy(record, head, sizeof head);
	if (fread(record + sizeof head, 1, length - sizeof head, stdin) != length - sizeof head ||
	    !protocol_open(&protocol, record))
		exit(1);
	write_all(out, protocol_seal(&protocol, RECORD_OUTPUT, record + sizeof head,
				     length - sizeof head - SHA256_BYTES, out));
	write_all(out, protocol_seal(&protocol, RECORD_END, &failed, 1, out));
	free(record);
	return true;
}

int
main(int argc, char **argv)
{
	u8 key[PROTOCOL_KEY], nonce[PROTOCOL_NONCE], hello[PROTOCOL_HELLO];
	u8 answer[PROTOCOL_ANSWER], welcome[PROTOCOL_WELCOME];

	if (argc != 3)
		return 2;
	read_hex(key, argv[1]);
	read_hex(nonce, argv[2]);
	protocol_hello(&protocol, nonce, hello);
	write_all(hello, sizeof hello);
	if (fread(answer, 1, sizeof answer, stdin) != sizeof answer ||
	    !protocol_answer(&protocol, key, answer, welcome))
		return 1;
	write_all(welcome, sizeof welcome);
	while (answer_record())
		;
	return 0;
}
