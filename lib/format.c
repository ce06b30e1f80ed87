/* SPDX-License-Identifier: MIT
 *
 * printf's formatter: one pass over the format into a bounded buffer. It owns
 * no device; the kernel's console and Ilwaco's stdio hand its result on.
 */
#include "lib/abi.h"
#include "lib/format.h"
#include "lib/string.h"

struct output {
	char *buffer;
	size_t size;
	size_t length; /* of the whole text, also beyond size */
};

struct spec {
	bool left, zero, upper;
	int width, precision, longs; /* precision -1: none given */
};

static void
put(struct output *out, char c)
{
	if (out->length + 1 < out->size)
		out->buffer[out->length] = c;
	out->length++;
}

static void
pad(struct output *out, char c, int n)
{
	while (n-- > 0)
		put(out, c);
}

static void
put_field(struct output *out, const struct spec *spec, const char *text, int n)
{
	if (!spec->left)
		pad(out, ' ', spec->width - n);
	for (int i = 0; i < n; i++)
		put(out, text[i]);
	if (spec->left)
		pad(out, ' ', spec->width - n);
}

static void
put_number(struct output *out, const struct spec *spec, u64 value, u32 base, bool negative)
{
	const char *digits = spec->upper ? "0123456789ABCDEF" : "0123456789abcdef";
	char text[24];
	int at = sizeof text;

	do {
		text[--at] = digits[value % base];
		value /= base;
	} while (value);
	if (spec->zero && !spec->left) {
		if (negative)
			put(out, '-');
		pad(out, '0', spec->width - (int)sizeof text + at - negative);
		for (; at < (int)sizeof text; at++)
			put(out, text[at]);
		return;
	}
	if (negative)
		text[--at] = '-';
	put_field(out, spec, text + at, (int)sizeof text - at);
}

static const char *
parse_int(const char *f, int *value, va_list *args)
{
	if (*f == '*') {
		*value = va_arg(*args, int);
		return f + 1;
	}
	for (*value = 0; *f >= '0' && *f <= '9'; f++)
		*value = *value * 10 + *f - '0';
	return f;
}

static const char *
parse_spec(const char *f, struct spec *spec, va_list *args)
{
	*spec = (struct spec){.precision = -1};
	for (;; f++) {
		if (*f == '-')
			spec->left = true;
		else if (*f == '0')
			spec->zero = true;
		else if (*f != '#' && *f != '+' && *f != ' ')
			break;
	}
	f = parse_int(f, &spec->width, args);
	if (spec->width < 0) {
		spec->left = true;
		spec->width = -spec->width;
	}
	if (*f == '.')
		f = parse_int(f + 1, &spec->precision, args);
	for (;; f++) {
		if (*f == 'l')
			spec->longs++;
		else if (*f != 'h' && *f != 'z')
			return f;
	}
}

static void
convert(struct output *out, char conversion, struct spec *spec, va_list *args)
{
	const char *text;
	char c;
	i64 value;

	switch (conversion) {
	case 'd':
	case 'i':
		value = spec->longs > 1 ? va_arg(*args, i64) : va_arg(*args, int);
		put_number(out, spec, value < 0 ? -(u64)value : (u64)value, 10, value < 0);
		break;
	case 'u':
	case 'x':
	case 'X':
		spec->upper = conversion == 'X';
		put_number(out, spec, spec->longs > 1 ? va_arg(*args, u64) : va_arg(*args, u32),
			   conversion == 'u' ? 10 : 16, false);
		break;
	case 'p':
		spec->zero = true;
		spec->width = 8;
		put_number(out, spec, va_arg(*args, u32), 16, false);
		break;
	case 'c':
		c = (char)va_arg(*args, int);
		put_field(out, spec, &c, 1);
		break;
	case 's':
		text = va_arg(*args, const char *);
		if (!text)
			text = "(null)";
		put_field(out, spec, text,
			  (int)(spec->precision < 0 ? strlen(text)
						    : strnlen(text, (size_t)spec->precision)));
		break;
	default:
		put(out, '%');
		if (conversion != '%')
			put(out, conversion);
	}
}

int
vformat(char *buffer, size_t size, const char *f, va_list args)
{
	struct output out = {buffer, size, 0};
	struct spec spec;
	va_list copy;

	va_copy(copy, args);
	for (; *f; f++) {
		if (*f != '%') {
			put(&out, *f);
			continue;
		}
		f = parse_spec(f + 1, &spec, &copy);
		if (!*f)
			break;
		convert(&out, *f, &spec, &copy);
	}
	va_end(copy);
	if (size > 0)
		buffer[MIN(out.length, size - 1)] = '\0';
	return (int)out.length;
}

int
format(char *buffer, size_t size, const char *f, ...)
{
	va_list args;
	int n;

	va_start(args, f);
	n = vformat(buffer, size, f, args);
	va_end(args);
	return n;
}

const char *
error_string(int error)
{
	switch (error < 0 ? -error : error) {
#define X(name, number, text) \
	case E_##name:        \
		return text;
		ERRORS(X)
#undef X
	default:
		return "unknown error";
	}
}
