/* SPDX-License-Identifier: MIT
 *
 * What a page can say about the machine that serves it.
 */
#include <stdio.h>

#include "ilwaco/ilwaco.h"
#include "user/web/web.h"

#define NS_PER_S 1000000000u

/* Values that change have one width: a page is always as long as it was before. */
#define VALUE_FORMAT "%10u"

int
web_value_number(char *to, size_t size)
{
	return snprintf(to, size, "%u", VREGS->number);
}

int
web_value_address(char *to, size_t size)
{
	u32 a = VREGS->address;

	return snprintf(to, size, "%u.%u.%u.%u", a >> 24, a >> 16 & 255, a >> 8 & 255, a & 255);
}

int
web_value_mac(char *to, size_t size)
{
	const volatile u8 *m = VREGS->mac;

	return snprintf(to, size, "%02x:%02x:%02x:%02x:%02x:%02x", m[0], m[1], m[2], m[3], m[4],
			m[5]);
}

int
web_value_memory(char *to, size_t size)
{
	return snprintf(to, size, "%u", VREGS->memory_size >> 20);
}

int
web_value_pages(char *to, size_t size)
{
	return snprintf(to, size, VALUE_FORMAT, VREGS->frames_used);
}

int
web_value_uptime(char *to, size_t size)
{
	return snprintf(to, size, VALUE_FORMAT, (u32)(clock_now() / NS_PER_S));
}

int
web_value_requests(char *to, size_t size)
{
	return snprintf(to, size, VALUE_FORMAT, web_requests);
}
