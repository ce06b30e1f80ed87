/* SPDX-License-Identifier: MIT
 *
 * The server's side of control over the network.
 */
#include "user/super/protocol.h"
#include "lib/string.h"

#define LABEL 16 /* bytes */

static const char magic[] = "DENALI01";

static void
derive(const struct protocol *p, const u8 key[PROTOCOL_KEY], const char *label,
       u8 code[SHA256_BYTES])
{
	struct hmac hmac;
	char padded[LABEL] = {0};

	memcpy(padded, label, strnlen(label, LABEL));
	hmac_begin(&hmac, key, PROTOCOL_KEY);
	hmac_add(&hmac, padded, LABEL);
	hmac_add(&hmac, p->nonces, sizeof p->nonces);
	hmac_end(&hmac, code);
}

void
protocol_hello(struct protocol *p, const u8 random[PROTOCOL_NONCE], u8 hello[PROTOCOL_HELLO])
{
	memset(p, 0, sizeof *p);
	memcpy(p->nonces, random, PROTOCOL_NONCE);
	memcpy(hello, magic, PROTOCOL_HELLO - PROTOCOL_NONCE);
	memcpy(hello + PROTOCOL_HELLO - PROTOCOL_NONCE, random, PROTOCOL_NONCE);
}

bool
protocol_answer(struct protocol *p, const u8 key[PROTOCOL_KEY], const u8 answer[PROTOCOL_ANSWER],
		u8 welcome[PROTOCOL_WELCOME])
{
	u8 expected[SHA256_BYTES];

	memcpy(p->nonces + PROTOCOL_NONCE, answer, PROTOCOL_NONCE);
	derive(p, key, "control: client", expected);
	if (!hmac_equal(expected, answer + PROTOCOL_NONCE))
		return false;
	derive(p, key, "control: server", welcome);
	derive(p, key, "control: to-vm0!", p->key_in);
	derive(p, key, "control: from-vm", p->key_out);
	return true;
}

u32
protocol_length(const u8 head[PROTOCOL_HEAD])
{
	u32 contents = (u32)head[2] << 8 | head[3];

	if (head[0] != RECORD_COMMAND || head[1] != 0 || contents > PROTOCOL_CONTENTS)
		return 0;
	return PROTOCOL_HEAD + contents + SHA256_BYTES;
}

/* The code of a record's first `count` bytes, the `number`th of its direction. */
static void
record_code(const u8 key[SHA256_BYTES], u64 number, const u8 *record, u32 count,
	    u8 code[SHA256_BYTES])
{
	struct hmac hmac;
	u8 big[8];

	for (u32 i = 0; i < sizeof big; i++)
		big[i] = (u8)(number >> (56 - 8 * i));
	hmac_begin(&hmac, key, SHA256_BYTES);
	hmac_add(&hmac, big, sizeof big);
	hmac_add(&hmac, record, count);
	hmac_end(&hmac, code);
}

bool
protocol_open(struct protocol *p, const u8 *record)
{
	u32 count = protocol_length(record) - SHA256_BYTES;
	u8 expected[SHA256_BYTES];

	record_code(p->key_in, p->received, record, count, expected);
	if (!hmac_equal(expected, record + count)) {
		p->received = ~0ull; /* of no record that anybody will ever send */
		return false;
	}
	p->received++;
	return true;
}

u32
protocol_seal(struct protocol *p, enum record_type type, const void *contents, u32 count,
	      u8 record[PROTOCOL_RECORD])
{
	record[0] = (u8)type;
	record[1] = 0;
	record[2] = (u8)(count >> 8);
	record[3] = (u8)count;
	memcpy(record + PROTOCOL_HEAD, contents, count);
	count += PROTOCOL_HEAD;
	record_code(p->key_out, p->sent++, record, count, record + count);
	return count + SHA256_BYTES;
}
