/* SPDX-License-Identifier: MIT
 *
 * The web server: lwIP's httpd between files of ours. gate.c cuts what
 * comes into requests and hands httpd one at a time, in plain form; files.c
 * makes the responses, pages of today's values included; if this VM has a disk
 * with a block store on it, they are the files there, and site.c's.
 */
#ifndef USER_WEB_WEB_H
#define USER_WEB_WEB_H

#include "lib/types.h"

#include "lwip/apps/fs.h"
#include "lwip/err.h"

struct tcp_pcb;

#define WEB_PATH_MAX 63 /* bytes; no file has a longer name */

/* The request that httpd works on. lwIP's core is locked. */
struct web_request {
	u16 status;      /* what the gate makes of it: 200, or an error to be answered */
	bool persistent; /* the connection stays open afterwards */
	bool head;       /* only the header is wanted */
	bool ranged;     /* only a part of the body is wanted: */
	bool from_end;   /* its last `last` bytes; or */
	u32 first, last; /* from byte `first` up to `last`, inclusive; the last may be behind the
			  * end */
	char path[WEB_PATH_MAX + 1];
};

extern struct web_request web_request;

/* Requests answered so far. */
extern u32 web_requests;

/* A piece of a file: text, then a value (or NULL). */
struct web_piece {
	const char *text;
	u32 length;
	int (*value)(char *to, size_t size);
};

/* The name by which httpd opens the file of web_request; no path of a client's is it. */
#define WEB_REQUESTED "/*"

struct web_file {
	const char *path;
	const char *header; /* of the response, up to where the body's length goes */
	u32 count;
	const struct web_piece *pieces;
};

#define WEB_VALUE_MAX 24 /* bytes of a value, its NUL included */

/* The values that a page may name as {{name}}; each returns its length. */
int web_value_number(char *to, size_t size);
int web_value_address(char *to, size_t size);
int web_value_mac(char *to, size_t size);
int web_value_memory(char *to, size_t size);
int web_value_pages(char *to, size_t size);
int web_value_uptime(char *to, size_t size);
int web_value_requests(char *to, size_t size);

/*
 * Reads one request from the start of `text`. Returns the bytes that it takes, 0
 * if it isn't complete yet. What it is, or the error to answer, is in *request.
 */
u32 web_parse(const char *text, u32 length, struct web_request *request);

/* Sends `header`, `length` bytes from malloc that it takes over, before the body of
 * the response to the request at hand. */
void web_set_header(char *header, u32 length);

/* The connection whose request is at hand. */
struct tcp_pcb *web_connection(void);

/* Calls httpd back with a file that it waits for, outside of TCP's calls: httpd leaves it
 * to them to send what it queues last. */
void web_continue(struct tcp_pcb *pcb, fs_wait_cb callback, void *arg);

/* Writes to a header; each returns its new end. (files.c) */
char *web_append(char *to, const char *text);
char *web_append_number(char *to, u32 number);

/* The end of a header: whether the connection stays. */
char *web_append_end(char *to);

/* Makes `handle` a response without a body, of `length` bytes at `header`, which it
 * copies. (files.c) */
err_t web_open_header(struct fs_file *handle, const char *header, u32 length);

/* --- files on a disk (site.c) ---------------------------------------------------------- */

#define WEB_STREAMED 0x80 /* in fs_file.flags: the file is on the disk */

/* Looks for a disk with a block store, and serves its records from now on. false: there
 * is none. Before web_start; from a thread, core not locked. */
bool site_start(void);

/* Whether there is a site; then its files are served, and none of those compiled in but
 * for errors. */
bool site_present(void);

/* As those of lwip/apps/fs.h, for a file on the disk; `status` is that of the response.
 * ERR_VAL: no such file. */
err_t site_open(struct fs_file *handle, const char *path, u32 status);
int site_read(struct fs_file *handle, char *to, int room, fs_wait_cb callback, void *arg);
bool site_is_ready(struct fs_file *handle);
int site_bytes_left(struct fs_file *handle);
void site_close(struct fs_file *handle);

/* Starts the server on port 80. Core locked. */
void web_start(void);

#endif
