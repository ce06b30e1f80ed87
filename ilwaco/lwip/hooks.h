/* SPDX-License-Identifier: MIT
 *
 * lwIP's hooks: where its sources, unmodified, call out.
 */
#ifndef ILWACO_LWIP_HOOKS_H
#define ILWACO_LWIP_HOOKS_H

#include "ilwaco/random.h"

/* Sequence numbers that nobody can guess. */
#define LWIP_HOOK_TCP_ISN(local_ip, local_port, remote_ip, remote_port) random32()

/* A new connection on a port whose last one is in TIME_WAIT. */
struct pbuf;
int timewait_make_way(const struct pbuf *p);
#define LWIP_HOOK_IP4_INPUT(p, netif) timewait_make_way(p)

#ifdef BUILDING_HTTPD /* only lwIP's httpd.c sees this part */
#include "user/web/gate.h"

/* What was made for one request is freed before it is sent; the rest is constant. */
#define HTTP_IS_DATA_VOLATILE(hs) ((hs)->handle->pextension ? TCP_WRITE_FLAG_COPY : 0)
#endif

#endif
