/* SPDX-License-Identifier: MIT
 *
 * A web server that can be killed: the datagram "die" to UDP port 9 makes it
 * write through a null pointer.
 */
#include <stdio.h>
#include <string.h>

#include "ilwaco/ilwaco.h"
#include "ilwaco/network.h"
#include "user/web/web.h"

#include "lwip/sockets.h"
#include "lwip/tcpip.h"

#define DEATH_PORT 9

static void
wait_for_death(void)
{
	struct sockaddr_in any = {.sin_family = AF_INET, .sin_port = lwip_htons(DEATH_PORT)};
	int s = socket(AF_INET, SOCK_DGRAM, 0);
	char text[8];
	ssize_t n;

	if (s < 0 || bind(s, (struct sockaddr *)&any, sizeof any) < 0)
		die("mortal: no socket");
	do {
		n = recv(s, text, sizeof text, 0);
	} while (n < 3 || memcmp(text, "die", 3) != 0);
	*(volatile int *)NULL = 0;
}

int
main(void)
{
	network_start();
	LOCK_TCPIP_CORE();
	web_start();
	UNLOCK_TCPIP_CORE();
	printf("mortal: serving\n");
	wait_for_death();
	return 1;
}
