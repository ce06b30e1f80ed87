/* SPDX-License-Identifier: MIT
 *
 * What the commands share: a call's arguments, which are read one after the other, and
 * the rules for changes. One command runs at a time, on a small stack: the key and the
 * word at hand are global. (command.c)
 */
#ifndef USER_KV_CALL_H
#define USER_KV_CALL_H

#include "user/kv/kv.h"

#define WORD_MAX 32u /* bytes of a command, an option or a number */

#define SYNTAX      "ERR syntax error"
#define NOT_INTEGER "ERR value is not an integer or out of range"
#define OOM         "OOM command not allowed when used memory > 'maxmemory'."

/* A command's execution. */
struct call {
	struct session *session;
	struct place at; /* the next argument */
	u32 argc;        /* the command's name included */
	u32 left;        /* arguments not yet read */
	bool wait;       /* for memory: to be executed again */
};

extern struct key call_key;
extern u8 call_word[WORD_MAX + 1];

/* The length of the next argument; its bytes are next. */
u32 argument(struct call *call);

/* Copies the next argument to call_word; returns its length, or WORD_MAX + 1 if it is
 * longer than any that means something: then call_word has only its start. */
u32 take_word(struct call *call);

/* Copies the next argument to call_key. A key that can't be is answered with an error. */
bool take_key(struct call *call);

/* Reads the next argument as a number; answers if it isn't one. */
bool take_number(struct call *call, i64 *number);

/* Whether call_word, of `length` bytes, is `name` (in small letters), in whatever case. */
bool is_word(u32 length, const char *name);

/* Whether a change of `bytes` bytes of key and value may be made; answers if not. */
bool may_change(struct call *call, u32 bytes);

/* A new entry for call_key; 0: the call waits for memory, or was answered with an error. */
u32 new_entry(struct call *call, u32 bytes, u64 expires, struct place *value);

/* The time `amount` units of `unit` ms from now; false: there is no such time. */
bool time_after(i64 amount, i64 unit, u64 *when);

/* strings.c */
void run_set(struct call *call);
void run_get(struct call *call);
void run_incr(struct call *call);
void run_decr(struct call *call);

/* keys.c */
void run_del(struct call *call);
void run_exists(struct call *call);
void run_expire(struct call *call);
void run_ttl(struct call *call);
void run_persist(struct call *call);
void run_keys(struct call *call);
void run_dbsize(struct call *call);
void run_flushall(struct call *call);

#endif
