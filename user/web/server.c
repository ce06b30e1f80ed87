/* SPDX-License-Identifier: MIT
 *
 * The web server's start.
 */
#include "lwip/apps/httpd.h"

#include "user/web/gate.h"
#include "user/web/web.h"

void
web_start(void)
{
	gate_start();
	httpd_init();
}
