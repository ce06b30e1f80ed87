/* SPDX-License-Identifier: MIT
 *
 * Connections: lwIP's raw interface on one side, sessions on the other. Input that a
 * session doesn't take yet stays here and counts against the receive window, so that a
 * client that sends faster than it reads has to wait.
 */
#include <stdio.h>
#include <stdlib.h>

#include "ilwaco/ilwaco.h"
#include "ilwaco/network.h"
#include "ilwaco/random.h"
#include "ilwaco/thread.h"
#include "user/kv/kv.h"

#include "lwip/tcp.h"
#include "lwip/tcpip.h"

#define KV_PORT      6379
#define POLL_SECONDS 2 /* lwIP counts half seconds */
#define PIECE        1460
#define NS_PER_MS    1000000u

/* Of memory: what lwIP, the log's index and threads keep. */
#define HEAP_SHARE      4 /* a quarter */
#define HEAP_SHARE_DISK 2 /* half: the store keeps every key in memory too */

struct client {
	struct client *next;
	struct tcp_pcb *pcb;
	struct pbuf *input; /* not yet taken */
	bool ended;         /* the client won't send more */
	struct session session;
};

u32 server_clients;

static struct client *clients;
static u8 output[PIECE]; /* on its way into TCP */

static err_t on_recv(void *arg, struct tcp_pcb *pcb, struct pbuf *p, err_t error);
static err_t on_sent(void *arg, struct tcp_pcb *pcb, u16_t length);
static err_t on_poll(void *arg, struct tcp_pcb *pcb);
static void on_error(void *arg, err_t error);

/* --- life ------------------------------------------------------------------------ */

/* Forgets a client whose pcb is gone or will be. */
static void
client_free(struct client *client)
{
	struct client **at = &clients;

	while (*at != client)
		at = &(*at)->next;
	*at = client->next;
	server_clients--;
	if (client->input)
		pbuf_free(client->input);
	session_end(&client->session);
	free(client);
}

/* Calls for this connection go to `client`, or, if that is NULL, nowhere. */
static void
client_attach(struct client *client, struct tcp_pcb *pcb)
{
	tcp_arg(pcb, client);
	tcp_recv(pcb, client ? on_recv : NULL);
	tcp_sent(pcb, client ? on_sent : NULL);
	tcp_poll(pcb, client ? on_poll : NULL, POLL_SECONDS * 2);
	tcp_err(pcb, client ? on_error : NULL);
}

/* Ends a connection at once, without an answer. */
static void
client_abort(struct client *client)
{
	struct tcp_pcb *pcb = client->pcb;

	client_attach(NULL, pcb);
	client_free(client);
	tcp_abort(pcb);
}

/* Ends it in order: all that was queued is sent. If TCP has no memory now, the poll
 * will try again. */
static void
client_close(struct client *client)
{
	struct tcp_pcb *pcb = client->pcb;

	if (client->input) { /* unread input would make it a reset */
		tcp_recved(pcb, client->input->tot_len);
		pbuf_free(client->input);
		client->input = NULL;
	}
	client_attach(NULL, pcb);
	if (tcp_close(pcb) == ERR_OK)
		client_free(client);
	else
		client_attach(client, pcb);
}

/* --- bytes ------------------------------------------------------------------------- */

/* Moves replies to TCP while it has room. */
static void
client_output(struct client *client)
{
	struct tcp_pcb *pcb = client->pcb;
	u32 room, count;

	while (tcp_sndqueuelen(pcb) + 4 < TCP_SND_QUEUELEN) {
		room = MIN((u32)tcp_sndbuf(pcb), (u32)PIECE);
		if (room == 0)
			break;
		count = session_output(&client->session, output, room);
		if (count == 0)
			break;
		if (tcp_write(pcb, output, (u16_t)count, TCP_WRITE_FLAG_COPY) != ERR_OK) {
			client->session.broken = true; /* bytes are lost: nothing can follow */
			break;
		}
	}
	tcp_output(pcb);
}

/* Gives the session what it takes of the input; whether it took some. */
static bool
client_input(struct client *client)
{
	u32 total = 0, taken;

	while (client->input) {
		taken = session_input(&client->session, client->input->payload, client->input->len);
		if (taken == 0)
			break;
		total += taken;
		client->input = pbuf_free_header(client->input, (u16_t)taken);
	}
	if (total)
		tcp_recved(client->pcb, (u16_t)total);
	return total > 0;
}

/* Whether the connection has come to its end. */
static bool
is_over(const struct client *client)
{
	const struct session *session = &client->session;
	bool idle = session->out.bytes == 0 && !session->entry && !session->waiting;

	return idle && (session->closing || (client->ended && !client->input));
}

/*
 * Does for a client what can be done. ERR_ABRT: it was cut off, and its pcb must not be
 * touched any more.
 */
static err_t
client_work(struct client *client)
{
	do
		client_output(client);
	while (client_input(client));
	if (client->session.broken) {
		client_abort(client);
		return ERR_ABRT;
	}
	client_output(client);
	if (is_over(client))
		client_close(client);
	return ERR_OK;
}

/* --- lwIP's calls -------------------------------------------------------------------- */

static err_t
on_recv(void *arg, struct tcp_pcb *pcb, struct pbuf *p, err_t error)
{
	struct client *client = arg;

	(void)pcb;
	(void)error;
	if (!p)
		client->ended = true;
	else if (client->input)
		pbuf_cat(client->input, p);
	else
		client->input = p;
	return client_work(client);
}

static err_t
on_sent(void *arg, struct tcp_pcb *pcb, u16_t length)
{
	(void)pcb;
	(void)length;
	return client_work(arg);
}

static err_t
on_poll(void *arg, struct tcp_pcb *pcb)
{
	(void)pcb;
	return client_work(arg);
}

static void
on_error(void *arg, err_t error)
{
	(void)error;
	client_free(arg);
}

static err_t
on_accept(void *arg, struct tcp_pcb *pcb, err_t error)
{
	struct client *client;

	(void)arg;
	if (error != ERR_OK || !pcb)
		return ERR_VAL;
	client = calloc(1, sizeof *client);
	if (!client)
		return ERR_MEM; /* lwIP resets the connection */
	client->pcb = pcb;
	client->next = clients;
	clients = client;
	server_clients++;
	tcp_nagle_disable(pcb);
	client_attach(client, pcb);
	return ERR_OK;
}

/* Changes have become safe; or, `lost`, what isn't safe yet never will be, and who waits
 * for it can't be told anything that is true. */
static void
on_safe(bool lost)
{
	struct client *next;

	for (struct client *client = clients; client; client = next) {
		next = client->next;
		if (lost && client->session.hold > log_safe)
			client->session.broken = true;
		session_retry(&client->session);
		client_work(client);
	}
}

/* --- start ----------------------------------------------------------------------------- */

/* ms since 1970; if the machine doesn't know the date, ms for which it was on. */
static u64
now_ms(void)
{
	return (VREGS->wall_base + clock_now()) / NS_PER_MS + clock_ahead;
}

/* Makes most of memory cells. */
static void
start_memory(void)
{
	u32 heap = VREGS->memory_size - (u32)image_end;
	u32 bytes = heap - heap / (VREGS->disks ? HEAP_SHARE_DISK : HEAP_SHARE);
	u32 secret[2] = {random32(), random32()};
	void *memory;

	/* malloc rounds up to a class; a quarter more at most */
	memory = malloc(bytes -= bytes / 4);
	if (!memory || !table_init(secret, now_ms))
		die("kv: no memory");
	cells_init(memory, bytes);
}

static void
start_server(void)
{
	struct tcp_pcb *pcb;

	LOCK_TCPIP_CORE();
	pcb = tcp_new();
	if (!pcb || tcp_bind(pcb, IP4_ADDR_ANY, KV_PORT) != ERR_OK)
		die("kv: no port");
	pcb = tcp_listen_with_backlog(pcb, 16);
	if (!pcb)
		die("kv: no memory to listen");
	tcp_accept(pcb, on_accept);
	UNLOCK_TCPIP_CORE();
}

int
main(void)
{
	start_memory();
	network_start();
	log_start();
	start_server();
	printf("kv: serving\n");
	log_run(on_safe);
	thread_sleep(FOREVER);
	return 0;
}
