/* SPDX-License-Identifier: MIT
 *
 * The web server's files on a disk: the records of a block store, by their paths, in
 * whole or one range of bytes. A thread reads them, SITE_BUFFER bytes at a time, so that
 * lwIP's never waits for the disk; a connection has one such buffer, and httpd's.
 *
 * A file under way is the connection's until httpd closes it; while the thread reads for
 * it, it is the thread's to free.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ilwaco/disk.h"
#include "ilwaco/ilwaco.h"
#include "ilwaco/store.h"
#include "ilwaco/sync.h"
#include "user/web/web.h"

#include "lwip/tcp.h"
#include "lwip/tcpip.h"

/* Bytes: an even number of whole segments. Clients acknowledge every second one at once,
 * and a single one late. */
#define SITE_BUFFER  (12 * TCP_MSS)
#define SITE_STACK   4096
#define HEADER_ROOM  288 /* bytes */
#define CONTENT_TYPE "\r\nContent-Type: "

struct site_file {
	struct site_file *next; /* in the queue */
	struct store_value value;
	u32 at, end;      /* what is still to be handed on, in the value */
	u32 buffer_at;    /* where in the value the buffer begins, */
	u32 buffer_bytes; /* and how much is in there */
	bool reading;     /* the thread has it */
	bool closed;      /* while it had: free it */
	struct tcp_pcb *pcb;
	fs_wait_cb callback;
	void *arg;
	u32 room;
	u8 buffer[];
};

static struct store *store; /* NULL: no site */
static struct mutex queue_lock;
static struct cond queue_filled;
static struct site_file *queue_first, *queue_last;

/* --- the thread that reads --------------------------------------------------------------- */

static void
queue_put(struct site_file *file)
{
	mutex_lock(&queue_lock);
	file->next = NULL;
	if (queue_first)
		queue_last->next = file;
	else
		queue_first = file;
	queue_last = file;
	cond_signal(&queue_filled);
	mutex_unlock(&queue_lock);
}

static struct site_file *
queue_take(void)
{
	struct site_file *file;

	mutex_lock(&queue_lock);
	while (!queue_first)
		cond_wait(&queue_filled, &queue_lock, FOREVER);
	file = queue_first;
	queue_first = file->next;
	mutex_unlock(&queue_lock);
	return file;
}

/* What was read goes to httpd. If it couldn't be, the client sees the connection end
 * before the body does: that is all one can say in the middle of it. Core locked. */
static void
hand_on(struct site_file *file, i32 got)
{
	file->reading = false;
	if (file->closed) {
		free(file);
	} else if (got <= 0) {
		printf("site: the disk fails: error %d\n", got);
		tcp_abort(file->pcb);
	} else {
		file->buffer_at = file->at;
		file->buffer_bytes = (u32)got;
		web_continue(file->pcb, file->callback, file->arg);
	}
}

static int
read_files(void *arg)
{
	(void)arg;
	for (;;) {
		struct site_file *file = queue_take();
		u32 room = MIN(file->room, file->end - file->at);
		i32 got = store_read(store, &file->value, file->at, file->buffer, room);

		LOCK_TCPIP_CORE();
		hand_on(file, got);
		UNLOCK_TCPIP_CORE();
	}
	return 0;
}

/* --- responses -------------------------------------------------------------------------------- */

static const struct {
	const char *suffix, *type;
} types[] = {
	{"html", "text/html; charset=utf-8"},
	{"htm", "text/html; charset=utf-8"},
	{"css", "text/css; charset=utf-8"},
	{"js", "text/javascript; charset=utf-8"},
	{"mjs", "text/javascript; charset=utf-8"},
	{"json", "application/json"},
	{"txt", "text/plain; charset=utf-8"},
	{"md", "text/markdown; charset=utf-8"},
	{"xml", "application/xml"},
	{"csv", "text/csv; charset=utf-8"},
	{"svg", "image/svg+xml"},
	{"png", "image/png"},
	{"jpg", "image/jpeg"},
	{"jpeg", "image/jpeg"},
	{"gif", "image/gif"},
	{"webp", "image/webp"},
	{"ico", "image/x-icon"},
	{"woff", "font/woff"},
	{"woff2", "font/woff2"},
	{"ttf", "font/ttf"},
	{"pdf", "application/pdf"},
	{"wasm", "application/wasm"},
	{"mp3", "audio/mpeg"},
	{"mp4", "video/mp4"},
	{"webm", "video/webm"},
	{"zip", "application/zip"},
	{"gz", "application/gzip"},
};

static const char *
type_of(const char *path)
{
	const char *name = strrchr(path, '/'), *dot = strrchr(path, '.');

	if (dot && dot > name)
		for (u32 i = 0; i < ARRAY_LEN(types); i++)
			if (strcmp(types[i].suffix, dot + 1) == 0)
				return types[i].type;
	return "application/octet-stream";
}

static const char *
status_line(u32 status)
{
	switch (status) {
	case 200:
		return "HTTP/1.1 200 OK";
	case 206:
		return "HTTP/1.1 206 Partial Content";
	case 400:
		return "HTTP/1.1 400 Bad Request";
	case 404:
		return "HTTP/1.1 404 Not Found";
	case 416:
		return "HTTP/1.1 416 Range Not Satisfiable";
	default:
		return "HTTP/1.1 501 Not Implemented";
	}
}

/* The part of the value that is asked for; 0 to `bytes` if all is. Returns the status. */
static u32
choose_part(u32 bytes, u32 *first, u32 *end)
{
	*first = 0;
	*end = bytes;
	if (!web_request.ranged)
		return 200;
	if (web_request.from_end) {
		*first = bytes - MIN(bytes, web_request.last);
	} else {
		*first = web_request.first;
		if (web_request.last < bytes)
			*end = web_request.last + 1;
	}
	return *first < *end ? 206 : 416;
}

/* Writes the header; returns its length, at most HEADER_ROOM. */
static u32
write_header(char *to, u32 status, const char *type, u32 bytes, u32 first, u32 end)
{
	char *at = web_append(to, status_line(status));

	at = web_append(at, "\r\nServer: Denali\r\nAccept-Ranges: bytes");
	if (status != 416)
		at = web_append(web_append(at, CONTENT_TYPE), type);
	if (status == 206 || status == 416)
		at = web_append(at, "\r\nContent-Range: bytes ");
	if (status == 206) {
		at = web_append_number(at, first);
		at = web_append(at, "-");
		at = web_append_number(at, end - 1);
	} else if (status == 416) {
		at = web_append(at, "*");
		first = end;
	}
	if (status == 206 || status == 416) {
		at = web_append(at, "/");
		at = web_append_number(at, bytes);
	}
	at = web_append(at, "\r\nContent-Length: ");
	at = web_append_number(at, end - first);
	return (u32)(web_append_end(at) - to);
}

/* The body of the response; its header is set. */
static err_t
open_stream(struct fs_file *handle, const struct store_value *value, u32 first, u32 end)
{
	u32 room = MIN(end - first, (u32)SITE_BUFFER);
	struct site_file *file = malloc(sizeof *file + room);

	if (!file)
		return ERR_MEM;
	*file = (struct site_file){
		.value = *value, .at = first, .end = end, .room = room, .pcb = web_connection()};
	*handle = (struct fs_file){.data = "",
				   .pextension = file,
				   .flags = WEB_STREAMED | FS_FILE_FLAGS_HEADER_INCLUDED |
					    FS_FILE_FLAGS_HEADER_PERSISTENT};
	return ERR_OK;
}

err_t
site_open(struct fs_file *handle, const char *path, u32 status)
{
	char text[HEADER_ROOM], *header;
	struct store_value value;
	u32 first, end, length;

	if (!path[0] || store_find(store, path, (u32)strlen(path), &value))
		return ERR_VAL;
	if (status == 200) {
		status = choose_part(value.bytes, &first, &end);
	} else {
		first = 0;
		end = value.bytes;
	}
	length = write_header(text, status, type_of(path), value.bytes, first, end);
	if (web_request.head || status == 416 || first == end)
		return web_open_header(handle, text, length);
	header = malloc(length);
	if (!header || open_stream(handle, &value, first, end) != ERR_OK) {
		free(header);
		return ERR_MEM;
	}
	memcpy(header, text, length);
	web_set_header(header, length);
	tcp_nagle_disable(web_connection()); /* a buffer's last bytes don't wait for the next */
	return ERR_OK;
}

/* --- bodies
 * --------------------------------------------------------------------------------------- */

int
site_read(struct fs_file *handle, char *to, int room, fs_wait_cb callback, void *arg)
{
	struct site_file *file = handle->pextension;
	u32 there = file->buffer_at + file->buffer_bytes - file->at, part;

	if (file->at == file->end)
		return FS_READ_EOF;
	if (file->buffer_bytes == 0 || there == 0) {
		file->callback = callback;
		file->arg = arg;
		file->reading = true;
		queue_put(file);
		return FS_READ_DELAYED;
	}
	part = MIN(there, (u32)room);
	memcpy(to, file->buffer + (file->at - file->buffer_at), part);
	file->at += part;
	return (int)part;
}

bool
site_is_ready(struct fs_file *handle)
{
	return !((struct site_file *)handle->pextension)->reading;
}

int
site_bytes_left(struct fs_file *handle)
{
	const struct site_file *file = handle->pextension;

	return (int)(file->end - file->at);
}

void
site_close(struct fs_file *handle)
{
	struct site_file *file = handle->pextension;

	if (file->reading)
		file->closed = true;
	else
		free(file);
}

/* --- the start
 * -------------------------------------------------------------------------------------- */

bool
site_present(void)
{
	return store != NULL;
}

bool
site_start(void)
{
	struct thread *thread;

	for (u32 disk = 0; disk < disk_count() && !store; disk++)
		store_open(&store, disk, 0);
	if (!store)
		return false;
	thread = thread_create("site", read_files, NULL, SITE_STACK);
	if (!thread)
		die("site: no memory");
	thread_detach(thread);
	return true;
}
