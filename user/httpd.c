/* SPDX-License-Identifier: MIT
 *
 * A web server. If its VM has a disk with a block store (make site), the files there
 * are the site; otherwise its pages show the VM that serves them.
 *
 *   httpd         serves
 *   httpd spin    serves while its main thread never rests
 */
#include <stdio.h>
#include <string.h>

#include "ilwaco/ilwaco.h"
#include "ilwaco/network.h"
#include "ilwaco/thread.h"
#include "user/web/web.h"

#include "lwip/tcpip.h"

static volatile u32 spin_count;

int
main(int argc, char **argv)
{
	bool site = site_start();

	network_start();
	LOCK_TCPIP_CORE();
	web_start();
	UNLOCK_TCPIP_CORE();
	printf(site ? "httpd: serving its disk\n" : "httpd: serving\n");
	while (argc > 1 && strcmp(argv[1], "spin") == 0)
		spin_count++;
	thread_sleep(FOREVER);
	return 0;
}
