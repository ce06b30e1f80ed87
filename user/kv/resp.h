/* SPDX-License-Identifier: MIT
 *
 * RESP, the protocol of Redis, version 2: requests, from bytes in whatever pieces they
 * come. A request is an array of byte strings, or a line of words ("inline").
 */
#ifndef USER_KV_RESP_H
#define USER_KV_RESP_H

#include "user/kv/cells.h"

#define LINE_MAX     512         /* bytes of a line, its end included */
#define REQUEST_MAX  0x110000u   /* bytes of all arguments together; more are refused */
#define BULK_LIMIT   0x20000000u /* bytes; who announces more is cut off, as by Redis */
#define WORDS_LIMIT  0x100000u   /* arguments; as by Redis */
#define SMALL_TALK   1024        /* bytes of a request that may use reserved memory */
#define REFUSAL_ROOM 64

enum resp_result {
	RESP_MORE,    /* all bytes were taken; there is no request yet */
	RESP_REQUEST, /* a request: argc, args; call resp_reset when done with it */
	RESP_BROKEN,  /* not RESP: `refusal` says why; nothing that follows makes sense */
};

enum resp_state { RESP_LINE, RESP_LENGTH, RESP_BULK, RESP_BULK_END };

/* All zero: at the start of a request. */
struct resp {
	enum resp_state state;
	u32 argc;
	u32 bulks_left; /* of the request */
	u32 bulk_left;  /* bytes of this one, or of its line end */
	u32 seen;       /* bytes of arguments, kept or not */
	u16 line_used;
	struct text args;           /* argc times: length (u32), bytes */
	char refusal[REFUSAL_ROOM]; /* not "": why this request isn't executed; no args */
	char line[LINE_MAX];
};

/* Takes bytes up to the end of a request; *taken says how many. */
enum resp_result resp_input(struct resp *resp, const u8 *bytes, u32 count, u32 *taken);

/* Ready for the next request. */
void resp_reset(struct resp *resp);

/* A decimal number in exactly `length` bytes, as Redis reads it: no sign but a minus, no
 * zero in front, no space. */
bool resp_number(const void *text, u32 length, i64 *number);

#endif
