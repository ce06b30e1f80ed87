/* SPDX-License-Identifier: MIT
 *
 * Control over the network: what goes over one TCP connection. Contents aren't
 * secret; that they come from who knows the key, whole, in order, once and in this
 * direction, is certain. Pure: it compiles for the host. conf/remote.py is the other
 * side, in Python.
 *
 *   server                                                       client
 *     hello:  "DENALI01", server's nonce              40 bytes ->
 *     <- 64 bytes       answer: client's nonce, HMAC(key, "control: client", nonces)
 *     welcome: HMAC(key, "control: server", nonces)   32 bytes ->
 *     <- records: a command each
 *     records: the command's answer in parts, its end ->
 *
 *   record:  type u8 | 0 u8 | length u16, big-endian | contents | code, 32 bytes
 *   code:    HMAC(session key of the direction, number u64 | type ... contents)
 *
 * Nonces are 32 random bytes; `nonces` is the server's, then the client's. Labels have
 * 16 bytes, NUL included. A direction's session key is HMAC(key, "control: to-vm0!" or
 * "control: from-vm", nonces); a direction's records are numbered from 0. Whatever is
 * wrong, a side closes the connection and says nothing.
 */
#ifndef SUPER_PROTOCOL_H
#define SUPER_PROTOCOL_H

#include "lib/sha256.h"

#define PROTOCOL_KEY      32
#define PROTOCOL_NONCE    32
#define PROTOCOL_HELLO    40
#define PROTOCOL_ANSWER   64
#define PROTOCOL_WELCOME  32
#define PROTOCOL_HEAD     4
#define PROTOCOL_CONTENTS 1024 /* bytes that a record has at most */
#define PROTOCOL_RECORD   (PROTOCOL_HEAD + PROTOCOL_CONTENTS + SHA256_BYTES)

enum record_type {
	RECORD_COMMAND = 1, /* client: a line */
	RECORD_OUTPUT = 2,  /* server: a part of the answer */
	RECORD_END = 3,     /* server: the answer is complete; contents: 1 byte, 0 is success */
};

/* The server's side of one connection. */
struct protocol {
	u8 nonces[2 * PROTOCOL_NONCE];
	u8 key_in[SHA256_BYTES], key_out[SHA256_BYTES];
	u64 received, sent; /* records */
};

/* Writes the server's hello, with a nonce of its own. `random` must never repeat. */
void protocol_hello(struct protocol *p, const u8 random[PROTOCOL_NONCE], u8 hello[PROTOCOL_HELLO]);

/* Judges the client's answer. true: it knows the key; `welcome` is written, records
 * may follow. false: close the connection. */
bool protocol_answer(struct protocol *p, const u8 key[PROTOCOL_KEY],
		     const u8 answer[PROTOCOL_ANSWER], u8 welcome[PROTOCOL_WELCOME]);

/* How many bytes the record has that begins with `head`, code included; 0: it's no
 * record that a client may send. */
u32 protocol_length(const u8 head[PROTOCOL_HEAD]);

/* Is `record`, of protocol_length bytes, the client's next? Once it isn't, none is. */
bool protocol_open(struct protocol *p, const u8 *record);

/* Writes the server's next record; returns its bytes. `count` <= PROTOCOL_CONTENTS. */
u32 protocol_seal(struct protocol *p, enum record_type type, const void *contents, u32 count,
		  u8 record[PROTOCOL_RECORD]);

#endif
