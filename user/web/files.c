/* SPDX-License-Identifier: MIT
 *
 * The web server's files: lwIP's "file system" interface (lwip/apps/fs.h) over
 * what user/web/pack.py compiled in. Opening a file writes the whole response,
 * header and body, for the request at hand; closing frees it.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ilwaco/ilwaco.h"
#include "user/web/web.h"

#include "lwip/apps/fs.h"
#include "lwip/apps/httpd.h"

#include "user/web-files.inc" /* static const struct web_file web_files[] */

#define HEADER_MAX 192 /* bytes */

static const struct web_file *
find(const char *path)
{
	for (size_t i = 0; i < ARRAY_LEN(web_files); i++)
		if (strcmp(web_files[i].path, path) == 0)
			return &web_files[i];
	return NULL;
}

static const char *
reason(u16 status)
{
	switch (status) {
	case 200:
		return "OK";
	case 400:
		return "Bad Request";
	case 404:
		return "Not Found";
	default:
		return "Not Implemented";
	}
}

/* The most bytes that the body may take. */
static u32
body_room(const struct web_file *file)
{
	u32 room = 0;

	for (u32 i = 0; i < file->count; i++)
		room += file->pieces[i].length + (file->pieces[i].value ? WEB_VALUE_MAX : 0);
	return room;
}

/* Writes the body, with the values of this moment; returns its length. */
static u32
write_body(const struct web_file *file, char *to)
{
	char *at = to;

	for (u32 i = 0; i < file->count; i++) {
		const struct web_piece *piece = &file->pieces[i];

		memcpy(at, piece->text, piece->length);
		at += piece->length;
		if (piece->value)
			at += MIN(piece->value(at, WEB_VALUE_MAX), WEB_VALUE_MAX - 1);
	}
	return (u32)(at - to);
}

static u32
write_header(const struct web_file *file, u32 body, char *to)
{
	return (u32)snprintf(to, HEADER_MAX,
			     "HTTP/1.1 %u %s\r\n"
			     "Server: Denali\r\n"
			     "Content-Type: %s\r\n"
			     "Content-Length: %u\r\n"
			     "Cache-Control: no-cache\r\n"
			     "Connection: %s\r\n\r\n",
			     file->status, reason(file->status), file->type, body,
			     web_request.persistent ? "keep-alive" : "close");
}

/*
 * The body goes where the longest header would end; the header then moves up to
 * it, so that both are one piece.
 */
err_t
fs_open(struct fs_file *handle, const char *path)
{
	const struct web_file *file = find(path);
	char header[HEADER_MAX], *buffer;
	u32 header_length, body_length;

	if (!file)
		return ERR_VAL;
	buffer = malloc(HEADER_MAX + body_room(file));
	if (!buffer)
		return ERR_MEM;
	body_length = write_body(file, buffer + HEADER_MAX);
	header_length = write_header(file, body_length, header);
	memcpy(buffer + HEADER_MAX - header_length, header, header_length);
	if (web_request.head)
		body_length = 0;
	*handle = (struct fs_file){
		.data = buffer + HEADER_MAX - header_length,
		.len = (int)(header_length + body_length),
		.index = (int)(header_length + body_length),
		.pextension = buffer,
		.flags = FS_FILE_FLAGS_HEADER_INCLUDED | FS_FILE_FLAGS_HEADER_PERSISTENT,
	};
	return ERR_OK;
}

void
fs_close(struct fs_file *handle)
{
	free(handle->pextension);
}

/* All of a file is in memory from the start. */
int
fs_bytes_left(struct fs_file *handle)
{
	return handle->len - handle->index;
}
