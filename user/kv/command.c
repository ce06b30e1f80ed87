/* SPDX-License-Identifier: MIT
 *
 * Commands: their arguments, who executes them, and the few about the connection.
 * Replies and errors are worded as Redis 7 words them. A command that finds no memory
 * while the log still holds old entries waits and is executed again, so it must not
 * have changed anything by then.
 */
#include <string.h>

#include "user/kv/call.h"

#define ECHO_MAX 128u /* bytes of what is wrong that an error repeats */

struct command {
	const char *name;
	i32 arity; /* arguments, the name included; negative: at least so many */
	void (*run)(struct call *call);
};

u64 commands_executed;

struct key call_key;
u8 call_word[WORD_MAX + 1];

/* --- arguments ---------------------------------------------------------------------- */

u32
argument(struct call *call)
{
	u32 length;

	place_read(&call->at, &length, sizeof length);
	call->left--;
	return length;
}

u32
take_word(struct call *call)
{
	u32 length = argument(call), kept = MIN(length, WORD_MAX);

	place_read(&call->at, call_word, kept);
	place_read(&call->at, NULL, length - kept);
	call_word[kept] = '\0';
	return MIN(length, WORD_MAX + 1);
}

bool
take_key(struct call *call)
{
	u32 length = argument(call);

	if (length == 0 || length > KEY_MAX) {
		reply_error(call->session, "ERR a key has 1 to %u bytes here", KEY_MAX);
		return false;
	}
	call_key.bytes = (u8)length;
	place_read(&call->at, call_key.text, length);
	key_hash(&call_key);
	return true;
}

bool
take_number(struct call *call, i64 *number)
{
	u32 length = take_word(call);

	if (length <= WORD_MAX && resp_number(call_word, length, number))
		return true;
	reply_error(call->session, NOT_INTEGER);
	return false;
}

bool
is_word(u32 length, const char *name)
{
	u32 i;

	for (i = 0; i < length && name[i]; i++) {
		u8 c = call_word[i];

		if ((c >= 'A' && c <= 'Z' ? c | 0x20 : c) != (u8)name[i])
			return false;
	}
	return i == length && !name[i];
}

/* --- changes ------------------------------------------------------------------------ */

bool
may_change(struct call *call, u32 bytes)
{
	const char *why = log_refuses(bytes);

	if (why)
		reply_error(call->session, "MISCONF Errors writing to the disk: %s", why);
	return !why;
}

u32
new_entry(struct call *call, u32 bytes, u64 expires, struct place *value)
{
	u32 entry = entry_new(&call_key, bytes, expires, value);

	if (entry)
		return entry;
	if (log_safe < log_changes)
		call->wait = true;
	else
		reply_error(call->session, OOM);
	return 0;
}

bool
time_after(i64 amount, i64 unit, u64 *when)
{
	i64 ms, sum;

	if (__builtin_mul_overflow(amount, unit, &ms) ||
	    __builtin_add_overflow(ms, (i64)table_now(), &sum))
		return false;
	*when = sum > 0 ? (u64)sum : 1; /* long ago; 0 would be never */
	return true;
}

/* --- the connection, the server --------------------------------------------------------- */

/* Gives the next argument back, whatever its size. */
static void
reply_argument(struct call *call)
{
	static u8 piece[128];
	u32 left = argument(call);

	reply_bulk_head(call->session, left);
	for (u32 count; left > 0; left -= count) {
		count = MIN(left, (u32)sizeof piece);
		place_read(&call->at, piece, count);
		reply_raw(call->session, piece, count);
	}
	reply_raw(call->session, "\r\n", 2);
}

static void
run_echo(struct call *call)
{
	reply_argument(call);
}

static void
run_ping(struct call *call)
{
	if (call->argc > 2)
		reply_error(call->session, "ERR wrong number of arguments for 'ping' command");
	else if (call->left)
		reply_argument(call);
	else
		reply_status(call->session, "PONG");
}

static void
run_select(struct call *call)
{
	i64 number;

	if (!take_number(call, &number))
		return;
	if (number == 0)
		reply_status(call->session, "OK");
	else if (number != (i32)number)
		reply_error(call->session, "ERR value is out of range, value must between "
					   "-2147483648 and 2147483647");
	else
		reply_error(call->session, "ERR DB index is out of range");
}

static void
run_quit(struct call *call)
{
	reply_status(call->session, "OK");
	call->session->closing = true;
}

static void
run_info(struct call *call)
{
	static char text[1024];

	table_sweep();
	reply_bulk(call->session, text, info_text(text, sizeof text));
}

static void run_command(struct call *call);

/* CONFIG GET: what redis-benchmark and redis-cli ask about. */
static void
run_config(struct call *call)
{
	const char *value = NULL;
	u32 length = take_word(call);

	if (!is_word(length, "get") || call->left != 1) {
		reply_error(call->session, "ERR unknown subcommand '%s'. Try CONFIG HELP.",
			    call_word);
		return;
	}
	length = take_word(call);
	if (is_word(length, "save"))
		value = "";
	else if (is_word(length, "appendonly"))
		value = log_on() ? "yes" : "no";
	reply_array(call->session, value ? 2 : 0);
	if (value) {
		reply_bulk(call->session, call_word, length);
		reply_bulk(call->session, value, (u32)strlen(value));
	}
}

/* --- dispatch ---------------------------------------------------------------------------- */

static const struct command commands[] = {
	{"ping", -1, run_ping},        {"echo", 2, run_echo},       {"set", -3, run_set},
	{"get", 2, run_get},           {"del", -2, run_del},        {"incr", 2, run_incr},
	{"decr", 2, run_decr},         {"exists", -2, run_exists},  {"expire", 3, run_expire},
	{"ttl", 2, run_ttl},           {"persist", 2, run_persist}, {"keys", 2, run_keys},
	{"dbsize", 1, run_dbsize},     {"info", -1, run_info},      {"command", -1, run_command},
	{"config", -2, run_config},    {"select", 2, run_select},   {"flushall", -1, run_flushall},
	{"flushdb", -1, run_flushall}, {"quit", -1, run_quit},
};

/* COMMAND: their number; no documentation. */
static void
run_command(struct call *call)
{
	if (call->left == 1 && is_word(take_word(call), "count"))
		reply_number(call->session, ARRAY_LEN(commands));
	else
		reply_array(call->session, 0);
}

static const struct command *
find_command(u32 length)
{
	for (u32 i = 0; i < ARRAY_LEN(commands); i++)
		if (is_word(length, commands[i].name))
			return &commands[i];
	return NULL;
}

/* Appends the start of the next argument, up to a NUL, to `text`, which has `used` bytes;
 * at most `most` of it. Returns the bytes used then. */
static u32
append_argument(struct call *call, char *text, u32 used, u32 most)
{
	u32 length = argument(call), kept = MIN(length, most);

	place_read(&call->at, text + used, kept);
	place_read(&call->at, NULL, length - kept);
	text[used + kept] = '\0';
	return used + (u32)strlen(text + used);
}

/* As Redis does it: no more than ECHO_MAX bytes of the name, and about as many of the
 * arguments. */
static void
reply_unknown(struct session *session)
{
	static char name[ECHO_MAX + 1], text[2 * ECHO_MAX];
	struct call call = {session, session->in.args.start, 0, session->in.argc, false};
	u32 used = 0;

	append_argument(&call, name, 0, ECHO_MAX);
	text[0] = '\0';
	while (call.left > 0 && used < ECHO_MAX) {
		text[used] = '\'';
		used = append_argument(&call, text, used + 1, ECHO_MAX - used);
		memcpy(text + used, "' ", 3);
		used += 2;
	}
	reply_error(session, "ERR unknown command '%s', with args beginning with: %s", name, text);
}

bool
command_execute(struct session *session)
{
	const struct resp *in = &session->in;
	struct call call = {session, in->args.start, in->argc, in->argc, false};
	const struct command *command = find_command(take_word(&call));
	u32 least;

	if (!command) {
		reply_unknown(session);
		return true;
	}
	least = (u32)(command->arity < 0 ? -command->arity : command->arity);
	if (call.argc < least || (command->arity > 0 && call.argc > least))
		reply_error(session, "ERR wrong number of arguments for '%s' command",
			    command->name);
	else
		command->run(&call);
	if (!call.wait)
		commands_executed++;
	return !call.wait;
}
