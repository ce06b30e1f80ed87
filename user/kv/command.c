/* SPDX-License-Identifier: MIT
 *
 * The commands. Arguments are read one after the other from the request; replies and
 * errors are worded as Redis 7 words them. A command that finds no memory while the
 * log still holds old entries waits and is executed again, so it must not have changed
 * anything by then.
 */
#include <string.h>

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

struct command {
	const char *name;
	i32 arity; /* arguments, the name included; negative: at least so many */
	void (*run)(struct call *call);
};

u64 commands_executed;

/* One command runs at a time, on a small stack. */
static struct key key;
static u8 word[WORD_MAX + 1];

/* --- arguments ---------------------------------------------------------------------- */

/* The length of the next argument; its bytes are next. */
static u32
argument(struct call *call)
{
	u32 length;

	place_read(&call->at, &length, sizeof length);
	call->left--;
	return length;
}

/* Copies the next argument to `word`; returns its length, or WORD_MAX + 1 if it is
 * longer than any that means something: then `word` has only its start. */
static u32
take_word(struct call *call)
{
	u32 length = argument(call), kept = MIN(length, WORD_MAX);

	place_read(&call->at, word, kept);
	place_read(&call->at, NULL, length - kept);
	word[kept] = '\0';
	return MIN(length, WORD_MAX + 1);
}

/* Copies the next argument to `key`. A key that can't be is answered with an error. */
static bool
take_key(struct call *call)
{
	u32 length = argument(call);

	if (length == 0 || length > KEY_MAX) {
		reply_error(call->session, "ERR a key has 1 to %u bytes here", KEY_MAX);
		return false;
	}
	key.bytes = (u8)length;
	place_read(&call->at, key.text, length);
	key_hash(&key);
	return true;
}

static bool
take_number(struct call *call, i64 *number)
{
	u32 length = take_word(call);

	if (length <= WORD_MAX && resp_number(word, length, number))
		return true;
	reply_error(call->session, NOT_INTEGER);
	return false;
}

/* Whether `word`, of `length` bytes, is `name`, in whatever case. */
static bool
is_word(u32 length, const char *name)
{
	u32 i;

	for (i = 0; i < length && name[i]; i++) {
		u8 c = word[i];

		if ((c >= 'A' && c <= 'Z' ? c | 0x20 : c) != (u8)name[i])
			return false;
	}
	return i == length && !name[i];
}

/* --- changes ------------------------------------------------------------------------ */

/* Whether a change of `bytes` bytes of key and value may be made; answers if not. */
static bool
may_change(struct call *call, u32 bytes)
{
	const char *why = log_refuses(bytes);

	if (why)
		reply_error(call->session, "MISCONF Errors writing to the disk: %s", why);
	return !why;
}

/* A new entry for `key`; 0: it waits for memory, or was answered with an error. */
static u32
new_entry(struct call *call, u32 bytes, u64 expires, struct place *value)
{
	u32 entry = entry_new(&key, bytes, expires, value);

	if (entry)
		return entry;
	if (log_safe < log_changes)
		call->wait = true;
	else
		reply_error(call->session, OOM);
	return 0;
}

/* The time `amount` units of `unit` ms from now; false: there is no such time. */
static bool
time_after(i64 amount, i64 unit, u64 *when)
{
	i64 ms, sum;

	if (__builtin_mul_overflow(amount, unit, &ms) ||
	    __builtin_add_overflow(ms, (i64)table_now(), &sum))
		return false;
	*when = sum > 0 ? (u64)sum : 1; /* long ago; 0 would be never */
	return true;
}

/* --- strings ---------------------------------------------------------------------------- */

struct set_options {
	u64 expires;
	bool only_new, only_old;
};

/* EX or PX's argument. */
static bool
take_set_expiry(struct call *call, i64 unit, struct set_options *options)
{
	i64 amount;

	if (call->left == 0 || options->expires != NEVER) {
		reply_error(call->session, SYNTAX);
		return false;
	}
	if (!take_number(call, &amount))
		return false;
	if (amount > 0 && time_after(amount, unit, &options->expires))
		return true;
	reply_error(call->session, "ERR invalid expire time in 'set' command");
	return false;
}

static bool
take_set_options(struct call *call, struct set_options *options)
{
	while (call->left > 0) {
		u32 length = take_word(call);

		if (is_word(length, "nx") && !options->only_old) {
			options->only_new = true;
		} else if (is_word(length, "xx") && !options->only_new) {
			options->only_old = true;
		} else if (is_word(length, "ex") || is_word(length, "px")) {
			if (!take_set_expiry(call, is_word(length, "ex") ? 1000 : 1, options))
				return false;
		} else {
			reply_error(call->session, SYNTAX);
			return false;
		}
	}
	return true;
}

/* Copies a value within the cells. */
static void
copy_value(struct place to, struct place from, u32 bytes)
{
	static u8 piece[128];

	for (u32 count; bytes > 0; bytes -= count) {
		count = MIN(bytes, (u32)sizeof piece);
		place_read(&from, piece, count);
		place_write(&to, piece, count);
	}
}

static void
run_set(struct call *call)
{
	struct set_options options = {0};
	struct place from, to;
	u32 bytes, old, entry;

	if (!take_key(call))
		return;
	bytes = argument(call);
	from = call->at;
	place_read(&call->at, NULL, bytes);
	if (!take_set_options(call, &options))
		return;
	if (bytes > VALUE_MAX) {
		reply_error(call->session, "ERR string exceeds maximum allowed size (%u bytes)",
			    VALUE_MAX);
		return;
	}
	old = table_find(&key);
	if ((options.only_new && old) || (options.only_old && !old)) {
		reply_null(call->session);
		return;
	}
	if (!may_change(call, key.bytes + bytes))
		return;
	entry = new_entry(call, bytes, options.expires, &to);
	if (!entry)
		return;
	copy_value(to, from, bytes);
	table_put(entry, &key);
	reply_status(call->session, "OK");
}

static void
run_get(struct call *call)
{
	u32 entry;

	if (!take_key(call))
		return;
	entry = table_find(&key);
	if (entry)
		reply_value(call->session, entry);
	else
		reply_null(call->session);
}

/* The number that an entry holds. */
static bool
number_of(u32 entry, i64 *number)
{
	struct place value = entry_value(entry);
	u32 bytes = entry_head(entry)->value_bytes;

	if (bytes > WORD_MAX)
		return false;
	place_read(&value, word, bytes);
	return resp_number(word, bytes, number);
}

/* A number in decimal, to `word`; its length. */
static u32
number_to_word(i64 number)
{
	u64 left = number < 0 ? 0 - (u64)number : (u64)number;
	u32 at = WORD_MAX, length;

	do {
		word[--at] = (u8)('0' + left % 10);
		left /= 10;
	} while (left);
	if (number < 0)
		word[--at] = '-';
	length = WORD_MAX - at;
	memmove(word, word + at, length);
	return length;
}

static void
add(struct call *call, i64 step)
{
	struct place value;
	i64 number = 0;
	u32 old, entry, length;

	if (!take_key(call))
		return;
	old = table_find(&key);
	if (old && !number_of(old, &number)) {
		reply_error(call->session, NOT_INTEGER);
		return;
	}
	if (__builtin_add_overflow(number, step, &number)) {
		reply_error(call->session, "ERR increment or decrement would overflow");
		return;
	}
	length = number_to_word(number);
	if (!may_change(call, key.bytes + length))
		return;
	entry = new_entry(call, length, old ? entry_head(old)->expires : NEVER, &value);
	if (!entry)
		return;
	place_write(&value, word, length);
	table_put(entry, &key);
	reply_number(call->session, number);
}

static void
run_incr(struct call *call)
{
	add(call, 1);
}

static void
run_decr(struct call *call)
{
	add(call, -1);
}

/* --- keys --------------------------------------------------------------------------------- */

/* Whether every argument that is left can be a key; answers if not. Nothing is read. */
static bool
are_keys(struct call *call)
{
	struct call look = *call;

	while (look.left > 0) {
		if (!take_key(&look))
			return false;
	}
	return true;
}

static void
run_del(struct call *call)
{
	u32 deleted = 0, entry;

	if (!are_keys(call) || !may_change(call, call->left * KEY_MAX))
		return;
	while (call->left > 0) {
		take_key(call);
		entry = table_find(&key);
		if (entry) {
			table_remove(entry);
			deleted++;
		}
	}
	reply_number(call->session, deleted);
}

static void
run_exists(struct call *call)
{
	u32 found = 0;

	if (!are_keys(call))
		return;
	while (call->left > 0) {
		take_key(call);
		found += table_find(&key) != 0;
	}
	reply_number(call->session, found);
}

static void
run_expire(struct call *call)
{
	u64 expires;
	i64 seconds;
	u32 entry;

	if (!take_key(call) || !take_number(call, &seconds))
		return;
	if (!time_after(seconds, 1000, &expires)) {
		reply_error(call->session, "ERR invalid expire time in 'expire' command");
		return;
	}
	entry = table_find(&key);
	if (entry) {
		if (!may_change(call, key.bytes + entry_head(entry)->value_bytes))
			return;
		if (expires <= table_now())
			table_remove(entry);
		else
			table_expire(entry, expires);
	}
	reply_number(call->session, entry != 0);
}

static void
run_ttl(struct call *call)
{
	u64 expires;
	u32 entry;

	if (!take_key(call))
		return;
	entry = table_find(&key);
	expires = entry ? entry_head(entry)->expires : NEVER;
	if (!entry)
		reply_number(call->session, -2);
	else if (expires == NEVER)
		reply_number(call->session, -1);
	else
		reply_number(call->session, (i64)((expires - table_now() + 500) / 1000));
}

static void
run_persist(struct call *call)
{
	bool expires;
	u32 entry;

	if (!take_key(call))
		return;
	entry = table_find(&key);
	expires = entry && entry_head(entry)->expires != NEVER;
	if (expires) {
		if (!may_change(call, key.bytes + entry_head(entry)->value_bytes))
			return;
		table_expire(entry, NEVER);
	}
	reply_number(call->session, expires);
}

/* Copies the entry's key to `key`; whether it matches the pattern. */
static bool
key_matches(u32 entry, const u8 *pattern, u32 length)
{
	struct place place = entry_key(entry);

	key.bytes = entry_head(entry)->key_bytes;
	place_read(&place, key.text, key.bytes);
	return glob_matches(pattern, length, key.text, key.bytes);
}

static void
run_keys(struct call *call)
{
	static u8 pattern[KEY_MAX + 1];
	u32 length = argument(call), matches = 0, bytes = 0;

	if (length > sizeof pattern) {
		reply_error(call->session, "ERR a pattern has at most %u bytes here",
			    (u32)sizeof pattern);
		return;
	}
	place_read(&call->at, pattern, length);
	table_sweep();
	for (u32 entry = table_next(0); entry; entry = table_next(entry)) {
		if (key_matches(entry, pattern, length)) {
			matches++;
			bytes += key.bytes + 10u; /* "$255", two line ends */
		}
	}
	if (bytes / 32 >= cells_free(FOR_TALK)) {
		reply_error(call->session, OOM);
		return;
	}
	reply_array(call->session, matches);
	for (u32 entry = matches ? table_next(0) : 0; entry; entry = table_next(entry))
		if (key_matches(entry, pattern, length))
			reply_bulk(call->session, key.text, key.bytes);
}

static void
run_dbsize(struct call *call)
{
	table_sweep();
	reply_number(call->session, table_count());
}

static void
run_flushall(struct call *call)
{
	if (call->left > 1 || (call->left == 1 && !is_word(take_word(call), "sync") &&
			       !is_word((u32)strlen((char *)word), "async"))) {
		reply_error(call->session, SYNTAX);
		return;
	}
	if (!may_change(call, 0))
		return;
	table_clear();
	if (log_flush())
		reply_status(call->session, "OK");
	else
		reply_error(call->session, OOM);
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
		reply_error(call->session, "ERR unknown subcommand '%s'. Try CONFIG HELP.", word);
		return;
	}
	length = take_word(call);
	if (is_word(length, "save"))
		value = "";
	else if (is_word(length, "appendonly"))
		value = log_on() ? "yes" : "no";
	reply_array(call->session, value ? 2 : 0);
	if (value) {
		reply_bulk(call->session, word, length);
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

/* `word` is the name that nobody knows. */
static void
reply_unknown(struct call *call)
{
	static char name[WORD_MAX + 1], text[128];
	u32 used = 0;

	memcpy(name, word, sizeof name);
	text[0] = '\0';
	while (call->left > 0 && used + WORD_MAX + 4 < sizeof text) {
		take_word(call);
		text[used++] = '\'';
		for (u32 i = 0; word[i]; i++)
			text[used++] = (char)word[i];
		text[used++] = '\'';
		text[used++] = ' ';
		text[used] = '\0';
	}
	reply_error(call->session, "ERR unknown command '%s', with args beginning with: %s", name,
		    text);
}

bool
command_execute(struct session *session)
{
	const struct resp *in = &session->in;
	struct call call = {session, in->args.start, in->argc, in->argc, false};
	const struct command *command = find_command(take_word(&call));
	u32 least;

	if (!command) {
		reply_unknown(&call);
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
