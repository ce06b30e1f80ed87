/* SPDX-License-Identifier: MIT
 *
 * The web server: lwIP's httpd between two files of ours. gate.c cuts what
 * comes into requests and hands httpd one at a time, in plain form; files.c
 * makes the responses, pages of today's values included.
 */
#ifndef USER_WEB_WEB_H
#define USER_WEB_WEB_H

#include "lib/types.h"

#define WEB_PATH_MAX 63 /* bytes; no file has a longer name */

/* The request that httpd works on. lwIP's core is locked. */
struct web_request {
	u16 status;      /* what the gate makes of it: 200, or an error to be answered */
	bool persistent; /* the connection stays open afterwards */
	bool head;       /* only the header is wanted */
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

/* Starts the server on port 80. Core locked. */
void web_start(void);

#endif
