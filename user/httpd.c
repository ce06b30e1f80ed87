/* SPDX-License-Identifier: MIT
 *
 * A web server whose pages show the VM that serves them.
 */
#include <stdio.h>

#include "ilwaco/network.h"
#include "ilwaco/ilwaco.h"
#include "ilwaco/thread.h"
#include "user/web/web.h"

#include "lwip/tcpip.h"

int
main(void)
{
	network_start();
	LOCK_TCPIP_CORE();
	web_start();
	UNLOCK_TCPIP_CORE();
	printf("httpd: serving\n");
	thread_sleep(FOREVER - clock_now());
	return 0;
}
