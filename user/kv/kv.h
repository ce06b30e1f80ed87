/* SPDX-License-Identifier: MIT
 *
 * The key-value server: it speaks Redis's protocol (RESP2) on TCP port 6379.
 *
 *   server.c   connections   bytes in, bytes out, when TCP has room
 *   session.c  one client    requests out of bytes, replies into bytes
 *   resp.c     the protocol's grammar
 *   command.c, strings.c, keys.c   what each command does to the table
 *   table.c, cells.c         entries, and the memory that they are in
 *   log.c      the disk      when a change is safe
 *
 * Everything runs with lwIP's core locked, in lwIP's thread; only the log waits for
 * the disk, in main's.
 */
#ifndef USER_KV_KV_H
#define USER_KV_KV_H

#include "user/kv/resp.h"
#include "user/kv/table.h"

#define OUTPUT_ENOUGH 4096 /* bytes of replies with which a client executes no more */

/* A client. All zero: a new one. */
struct session {
	struct resp in;
	struct text out;    /* replies */
	u32 entry;          /* then the value of this entry, held; 0: none */
	struct place value; /* what of it is to be sent next */
	u32 value_left;     /* bytes */
	u64 hold;           /* replies wait until the log is done with this change */
	bool waiting;       /* for memory: the log holds entries that are no longer needed */
	bool closing;       /* ends when everything is sent */
	bool broken;        /* a reply was lost for want of memory: to be cut off */
};

/* --- session.c ------------------------------------------------------------------ */

/* Takes bytes and executes the requests that they complete; returns how many it took:
 * fewer than `count` when replies have to leave first, or memory to come. */
u32 session_input(struct session *session, const u8 *bytes, u32 count);

/* Executes a request that had to wait; the log is done with something. */
void session_retry(struct session *session);

/* Moves up to `room` bytes of replies to `to`; 0: none are left, or they wait for
 * the log. */
u32 session_output(struct session *session, u8 *to, u32 room);

/* Frees what it holds. */
void session_end(struct session *session);

/* Replies. `text` is without the line's end. */
void reply_status(struct session *session, const char *text);
void reply_error(struct session *session, const char *format, ...) PRINTF(2, 3);
void reply_number(struct session *session, i64 number);
void reply_null(struct session *session);
void reply_array(struct session *session, u32 count);
void reply_bulk(struct session *session, const void *bytes, u32 count);
void reply_bulk_head(struct session *session, u32 count);
void reply_value(struct session *session, u32 entry);

/* Bytes of an answer, as they are. */
void reply_raw(struct session *session, const void *bytes, u32 count);

/* --- command.c ------------------------------------------------------------------ */

/* Executes the request that session->in holds; false: it waits for memory. */
bool command_execute(struct session *session);

extern u64 commands_executed;

/* --- info.c --------------------------------------------------------------------- */

/* The text of INFO. Returns its length. */
u32 info_text(char *to, u32 room);

/* Clients that are connected. (server.c) */
extern u32 server_clients;

/* --- glob.c --------------------------------------------------------------------- */

bool glob_matches(const u8 *pattern, u32 pattern_bytes, const u8 *text, u32 text_bytes);

/* --- log.c: core locked, but for log_start and log_run ---------------------------------- */

/* Changes so far; those of them that are safe. Equal without a disk. */
extern u64 log_changes, log_safe;

/* On a machine that doesn't know the date: how far its clock, in ms, had come by the last
 * record. */
extern u64 clock_ahead;

/* Whether there is a disk. */
bool log_on(void);

/* NULL if `bytes` bytes of key and value can be logged, else why not. */
const char *log_refuses(u32 bytes);

/* Everything shall be deleted. False: no memory to note it. */
bool log_flush(void);

/* Fills the table from the store on the first disk, if there is one. From a thread,
 * before there are clients. */
void log_start(void);

/* Makes changes safe as they come; calls `safe`, core locked, when some are, or with
 * `lost` when those beyond log_safe never will be. Returns only if there is no disk. */
void log_run(void (*safe)(bool lost));

/* Appends what INFO says of it. */
u32 log_info(char *to, u32 room);

#endif
