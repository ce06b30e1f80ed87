/* SPDX-License-Identifier: MIT
 *
 * What lwIP's httpd.c sees of the gate: the names by which it talks to TCP. Only
 * httpd.c includes this (ilwaco/lwip/hooks.h).
 */
#ifndef USER_WEB_GATE_H
#define USER_WEB_GATE_H

#include "lwip/tcp.h"

#undef altcp_recv
#undef altcp_sent
#undef altcp_poll
#undef altcp_recved
#undef altcp_nagle_disable
#undef altcp_write
#undef altcp_close

#define altcp_close(pcb)                      gate_close(pcb)
#define altcp_recv(pcb, fn)                   gate_recv(pcb, fn)
#define altcp_sent(pcb, fn)                   gate_sent(pcb, fn)
#define altcp_poll(pcb, fn, interval)         gate_poll(pcb, fn, interval)
#define altcp_recved(pcb, length)             /* the gate opens the window */
#define altcp_write(pcb, data, length, flags) gate_write(pcb, data, length, flags)
#define altcp_nagle_disable(pcb)              gate_response_done(pcb)

void gate_recv(struct tcp_pcb *pcb, tcp_recv_fn recv);
void gate_sent(struct tcp_pcb *pcb, tcp_sent_fn sent);
void gate_poll(struct tcp_pcb *pcb, tcp_poll_fn poll, u8_t interval);

/* Once, before httpd starts. Core locked. */
void gate_start(void);

/* Queues part of a body, and before the first the header. */
err_t gate_write(struct tcp_pcb *pcb, const void *data, u16_t length, u8_t flags);

/* Ends the connection so that the client gets all that was queued. */
err_t gate_close(struct tcp_pcb *pcb);

/* httpd has queued all of a response and waits for the next request; the one
 * place where it turns Nagle's algorithm off. */
void gate_response_done(struct tcp_pcb *pcb);

#endif
