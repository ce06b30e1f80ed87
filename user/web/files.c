/* SPDX-License-Identifier: MIT
 *
 * The web server's files: lwIP's "file system" interface (lwip/apps/fs.h) over
 * what user/web/pack.py compiled in. A file without values is sent from where it
 * stands; one with values is written anew for each request. The header always is.
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

/* The header of the response to web_request, from malloc; NULL: no memory. */
static char *
make_header(const struct web_file *file, u32 body)
{
	char text[HEADER_MAX], *header;
	int length = snprintf(text, sizeof text,
			      "HTTP/1.1 %u %s\r\n"
			      "Server: Denali\r\n"
			      "Content-Type: %s\r\n"
			      "Content-Length: %u\r\n"
			      "Connection: %s\r\n\r\n",
			      file->status, reason(file->status), file->type, body,
			      web_request.persistent ? "keep-alive" : "close");

	header = malloc((size_t)length + 1);
	if (header)
		memcpy(header, text, (size_t)length + 1);
	return header;
}

/* The body of `file` into *handle; what has to be freed is its pextension. */
static bool
open_body(struct fs_file *handle, const struct web_file *file)
{
	*handle = (struct fs_file){.flags = FS_FILE_FLAGS_HEADER_INCLUDED |
					    FS_FILE_FLAGS_HEADER_PERSISTENT};
	if (file->count == 1) {
		handle->data = file->pieces[0].text;
		handle->len = (int)file->pieces[0].length;
		return true;
	}
	handle->pextension = malloc(body_room(file));
	if (!handle->pextension)
		return false;
	handle->data = handle->pextension;
	handle->len = (int)write_body(file, handle->pextension);
	return true;
}

err_t
fs_open(struct fs_file *handle, const char *path)
{
	const struct web_file *file = find(path);
	char *header;

	if (!file)
		return ERR_VAL;
	if (!open_body(handle, file))
		return ERR_MEM;
	header = make_header(file, (u32)handle->len);
	if (!header) {
		free(handle->pextension);
		return ERR_MEM;
	}
	if (web_request.head || handle->len == 0) { /* the header is all there is to send */
		free(handle->pextension);
		handle->pextension = header;
		handle->data = header;
		handle->len = (int)strlen(header);
	} else {
		web_set_header(header);
	}
	handle->index = handle->len; /* all of it is in memory */
	return ERR_OK;
}

void
fs_close(struct fs_file *handle)
{
	free(handle->pextension);
}

int
fs_bytes_left(struct fs_file *handle)
{
	return handle->len - handle->index;
}
