/* SPDX-License-Identifier: MIT
 *
 * The web server's files: lwIP's "file system" interface (lwip/apps/fs.h) over
 * what user/web/pack.py compiled in, or over the site on a disk (user/web/site.c). A file without
 * values is sent from where it stands; one with values is written anew for each request. The header
 * always is.
 */
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

char *
web_append(char *to, const char *text)
{
	u32 length = (u32)strlen(text);

	memcpy(to, text, length);
	return to + length;
}

char *
web_append_number(char *to, u32 number)
{
	char digits[10];
	u32 at = sizeof digits;

	do {
		digits[--at] = (char)('0' + number % 10);
		number /= 10;
	} while (number > 0);
	memcpy(to, digits + at, sizeof digits - at);
	return to + sizeof digits - at;
}

char *
web_append_end(char *to)
{
	return web_append(to, web_request.persistent ? "\r\nConnection: keep-alive\r\n\r\n"
						     : "\r\nConnection: close\r\n\r\n");
}

/* The header of the response to web_request, from malloc; NULL: no memory. */
static char *
make_header(const struct web_file *file, u32 body, u32 *length)
{
	char text[HEADER_MAX], *at = text, *header;

	at = web_append(at, file->header);
	at = web_append_number(at, body);
	at = web_append_end(at);
	*length = (u32)(at - text);
	header = malloc(*length);
	if (header)
		memcpy(header, text, *length);
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

/* Opens one of the files that are compiled in. */
static err_t
open_file(struct fs_file *handle, const char *path)
{
	const struct web_file *file = find(path);
	char *header;
	u32 length;

	if (!file)
		return ERR_VAL;
	if (!open_body(handle, file))
		return ERR_MEM;
	header = make_header(file, (u32)handle->len, &length);
	if (!header) {
		free(handle->pextension);
		return ERR_MEM;
	}
	if (web_request.head || handle->len == 0) { /* the header is all there is to send */
		free(handle->pextension);
		handle->pextension = header;
		handle->data = header;
		handle->len = (int)length;
	} else {
		web_set_header(header, length);
	}
	handle->index = handle->len; /* all of it is in memory */
	return ERR_OK;
}

err_t
web_open_header(struct fs_file *handle, const char *header, u32 length)
{
	char *copy = malloc(length);

	if (!copy)
		return ERR_MEM;
	memcpy(copy, header, length);
	*handle = (struct fs_file){.data = copy,
				   .len = (int)length,
				   .index = (int)length,
				   .pextension = copy,
				   .flags = FS_FILE_FLAGS_HEADER_INCLUDED |
					    FS_FILE_FLAGS_HEADER_PERSISTENT};
	return ERR_OK;
}

/* The status that a file stands for if httpd asks for it by its own name: "/404.html". */
static u32
status_of(const char *name)
{
	u32 status = 0;

	for (u32 i = 1; i <= 3 && name[i] >= '0' && name[i] <= '9'; i++)
		status = status * 10 + (u32)(name[i] - '0');
	return status >= 400 ? status : 200;
}

err_t
fs_open(struct fs_file *handle, const char *name)
{
	bool requested = strcmp(name, WEB_REQUESTED) == 0;
	const char *path = requested ? web_request.path : name;
	err_t error;

	if (!site_present())
		return open_file(handle, path);
	error = site_open(handle, path, requested ? 200 : status_of(name));
	return error == ERR_VAL && !requested ? open_file(handle, path) : error;
}

void
fs_close(struct fs_file *handle)
{
	if (handle->flags & WEB_STREAMED)
		site_close(handle);
	else
		free(handle->pextension);
}

int
fs_bytes_left(struct fs_file *handle)
{
	return handle->flags & WEB_STREAMED ? site_bytes_left(handle) : handle->len - handle->index;
}

int
fs_read_async(struct fs_file *handle, char *to, int room, fs_wait_cb callback, void *arg)
{
	return handle->flags & WEB_STREAMED ? site_read(handle, to, room, callback, arg)
					    : FS_READ_EOF;
}

int
fs_is_file_ready(struct fs_file *handle, fs_wait_cb callback, void *arg)
{
	(void)callback, (void)arg; /* a read under way has them */
	return !handle || !(handle->flags & WEB_STREAMED) || site_is_ready(handle);
}
