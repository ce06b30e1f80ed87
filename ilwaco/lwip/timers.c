/* SPDX-License-Identifier: MIT
 *
 * lwIP's timers, in place of its core/timeouts.c: none runs unless it's needed,
 * so that a service without connections sleeps until a packet comes.
 *
 * TCP ticks while a connection exists. The ARP table ages by arithmetic: seconds
 * that went by are made up for when somebody next looks at it. Only a request
 * that waits for its answer needs a clock; sending one starts it.
 */
#include "ilwaco/ilwaco.h"
#include "ilwaco/netif.h"

#include "lwip/etharp.h"
#include "lwip/mem.h"
#include "lwip/opt.h"
#include "lwip/priv/tcp_priv.h"
#include "lwip/sys.h"
#include "lwip/tcpip.h"
#include "lwip/timeouts.h"

#if IP_REASSEMBLY || LWIP_DHCP || LWIP_AUTOIP || LWIP_IGMP || LWIP_DNS || LWIP_IPV6
#error "these have timers that ilwaco/lwip/timers.c doesn't know"
#endif

#define ARP_FORGETS (ARP_MAXAGE + 1) /* ticks after which no entry is left */
#define ARP_WATCH   8                /* ticks that a request may need: ARP_MAXPENDING is 5 */

static struct sys_timeo *first; /* by time */
static bool tcp_armed;
static u32_t arp_aged;  /* ms: the ARP table is as old as this */
static u32_t arp_watch; /* ticks that are still due */

static bool
is_before(u32_t a, u32_t b)
{
	return (s32_t)(a - b) < 0;
}

void
sys_timeouts_init(void)
{
	arp_aged = sys_now();
}

/* Calls handler(arg) in lwIP's thread in `ms` milliseconds, once. Core locked. */
void
sys_timeout(u32_t ms, sys_timeout_handler handler, void *arg)
{
	struct sys_timeo *timeout = mem_malloc(sizeof *timeout), **at = &first;

	LWIP_ASSERT("sys_timeout: out of memory", timeout);
	timeout->time = sys_now() + ms;
	timeout->h = handler;
	timeout->arg = arg;
	while (*at && !is_before(timeout->time, (*at)->time))
		at = &(*at)->next;
	timeout->next = *at;
	*at = timeout;
	if (at == &first)
		network_wake(); /* lwIP's thread may sleep for longer than this */
}

/* Takes back the first timeout with this handler and argument. Core locked. */
void
sys_untimeout(sys_timeout_handler handler, void *arg)
{
	for (struct sys_timeo **at = &first; *at; at = &(*at)->next) {
		struct sys_timeo *timeout = *at;

		if (timeout->h == handler && timeout->arg == arg) {
			*at = timeout->next;
			mem_free(timeout);
			return;
		}
	}
}

/* Calls the handlers whose time has come. lwIP's thread, core locked. */
void
sys_check_timeouts(void)
{
	u32_t now = sys_now(); /* what a handler arms for now has to wait a turn */

	while (first && !is_before(now, first->time)) {
		struct sys_timeo timeout = *first;

		mem_free(first);
		first = timeout.next;
		timeout.h(timeout.arg);
	}
}

/* Milliseconds until the next timeout is due. Core locked. */
u32_t
sys_timeouts_sleeptime(void)
{
	u32_t now = sys_now();

	if (!first)
		return SYS_TIMEOUTS_SLEEPTIME_INFINITE;
	return is_before(now, first->time) ? first->time - now : 0;
}

/* --- TCP -------------------------------------------------------------------------- */

/* A clock has stopped. If it was the last one, there is no connection any more, and it
 * may be long until the next one comes: what they needed goes back to the machine. */
static void
rest(void)
{
	if (first)
		return;
	port_rest();
	heap_trim();
}

static void
tcp_tick(void *arg)
{
	(void)arg;
	tcp_tmr();
	tcp_armed = false;
	tcp_timer_needed();
	rest();
}

void
tcp_timer_needed(void)
{
	if (tcp_armed || !(tcp_active_pcbs || tcp_tw_pcbs))
		return;
	tcp_armed = true;
	sys_timeout(TCP_TMR_INTERVAL, tcp_tick, NULL);
}

/* --- ARP -------------------------------------------------------------------------- */

void
timers_age_arp(void)
{
	u32_t seconds = (sys_now() - arp_aged) / ARP_TMR_INTERVAL;

	arp_aged += seconds * ARP_TMR_INTERVAL;
	for (seconds = LWIP_MIN(seconds, ARP_FORGETS); seconds > 0; seconds--)
		etharp_tmr();
}

static void
arp_tick(void *arg)
{
	(void)arg;
	timers_age_arp();
	if (--arp_watch > 0)
		sys_timeout(ARP_TMR_INTERVAL, arp_tick, NULL);
	rest();
}

void
timers_watch_arp(void)
{
	if (arp_watch == 0)
		sys_timeout(ARP_TMR_INTERVAL, arp_tick, NULL);
	arp_watch = ARP_WATCH;
}
