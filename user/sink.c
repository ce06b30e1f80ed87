/* SPDX-License-Identifier: MIT
 *
 * A throughput sink: lwIP's own lwiperf, for a real `iperf` (version 2) client on
 * TCP port 5001. One line on the console for each test that has ended.
 */
#include <stdio.h>

#include "ilwaco/ilwaco.h"
#include "ilwaco/network.h"
#include "ilwaco/thread.h"

#include "lwip/apps/lwiperf.h"
#include "lwip/tcpip.h"

static const char *const outcomes[] = {
	[LWIPERF_TCP_DONE_SERVER] = "received",
	[LWIPERF_TCP_DONE_CLIENT] = "sent",
	[LWIPERF_TCP_ABORTED_LOCAL] = "gave up after",
	[LWIPERF_TCP_ABORTED_LOCAL_DATAERROR] = "wrong data after",
	[LWIPERF_TCP_ABORTED_LOCAL_TXERROR] = "failed to send after",
	[LWIPERF_TCP_ABORTED_REMOTE] = "was left after",
};

/* A test has ended; lwIP's thread, core locked. */
static void
report(void *arg, enum lwiperf_report_type type, const ip_addr_t *local, u16_t local_port,
       const ip_addr_t *remote, u16_t remote_port, u32_t bytes, u32_t ms, u32_t kbit_per_s)
{
	(void)arg;
	(void)local;
	(void)local_port;
	(void)remote;
	(void)remote_port;
	printf("sink: %s %u bytes in %u ms, %u kbit/s\n", outcomes[type], bytes, ms, kbit_per_s);
}

int
main(void)
{
	void *server;

	network_start();
	LOCK_TCPIP_CORE();
	server = lwiperf_start_tcp_server_default(report, NULL);
	UNLOCK_TCPIP_CORE();
	if (!server)
		die("sink: no memory for a server");
	printf("sink: serving\n");
	thread_sleep(FOREVER);
	return 0;
}
