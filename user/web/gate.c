/* SPDX-License-Identifier: MIT
 *
 * Between TCP and lwIP's httpd, which takes whatever comes in one segment for
 * one request, forgets what comes while it answers, and closes when the client
 * stops sending. The gate keeps bytes until they are a whole request, hands on
 * one request at a time, rewritten in the few words that httpd looks for, and
 * reports the end of input only when everything before it is answered.
 *
 * Headers are the gate's too: httpd sends bodies, which may then stand in
 * read-only memory and be sent from there.
 *
 * What is kept counts against the connection's receive window: a client that
 * sends faster than it is answered has to wait.
 */
#include <stdlib.h>
#include <string.h>

#include "user/web/gate.h"
#include "user/web/web.h"

#define HEAD_MAX  2048 /* bytes of a request; longer ones are refused */
#define CHAIN_MAX 8    /* buffers to keep a request in, until they become one */
#define LINGER    4    /* half seconds in which a connection that ended is still read */
#define PLAIN_MAX 80   /* bytes of a rewritten request */

/* One connection. Lives in the first extra argument of its pcb. */
struct gate {
	struct pbuf *kept; /* input not yet handed on */
	char *header;      /* of the response under way, until it is queued; from malloc */
	u16 header_length;
	bool busy;  /* httpd is answering */
	bool ended; /* the client won't send more */
};

struct web_request web_request;
u32 web_requests;

static tcp_recv_fn httpd_recv;
static tcp_sent_fn httpd_sent;
static tcp_poll_fn httpd_poll;
static u8_t gate_id;
static struct gate *pumped; /* whose request httpd is looking at */
static struct tcp_pcb *pumped_pcb;
static struct gate *continued; /* in web_continue, and still there */

static struct gate *
gate_of(struct tcp_pcb *pcb)
{
	return tcp_ext_arg_get(pcb, gate_id);
}

/* --- life ------------------------------------------------------------------------ */

static void
gate_free(u8_t id, void *data)
{
	struct gate *gate = data;

	(void)id;
	if (!gate)
		return;
	if (gate == continued)
		continued = NULL;
	if (gate->kept)
		pbuf_free(gate->kept);
	free(gate->header);
	free(gate);
}

static const struct tcp_ext_arg_callbacks callbacks = {.destroy = gate_free};

/* httpd lets go of a connection that still lives in TCP. All input counts as
 * read: TCP would answer unread input with a reset, which may overtake the response. */
static void
gate_detach(struct tcp_pcb *pcb)
{
	struct gate *gate = gate_of(pcb);

	if (gate && gate->kept)
		tcp_recved(pcb, gate->kept->tot_len);
	gate_free(gate_id, gate);
	tcp_ext_arg_set(pcb, gate_id, NULL);
}

/* --- one request ------------------------------------------------------------------- */

static u8 *
append(u8 *to, const char *text)
{
	u32 length = (u32)strlen(text);

	memcpy(to, text, length);
	return to + length;
}

static const char *
path_of(const struct web_request *request)
{
	switch (request->status) {
	case 200:
		return WEB_REQUESTED;
	case 501:
		return "/501.html";
	default:
		return "/400.html";
	}
}

/* The request in httpd's words. An error is a file of that name. */
static struct pbuf *
plain_request(const struct web_request *request)
{
	struct pbuf *p = pbuf_alloc(PBUF_RAW, PLAIN_MAX, PBUF_RAM);
	u8 *at;

	if (!p)
		return NULL;
	at = append(p->payload, "GET ");
	at = append(at, path_of(request));
	at = append(at, request->persistent ? " HTTP/1.1\r\nConnection: keep-alive\r\n\r\n"
					    : " HTTP/1.1\r\n\r\n");
	pbuf_realloc(p, (u16_t)(at - (u8 *)p->payload));
	return p;
}

/* Takes the next request from what is kept into web_request; false: none is
 * complete. Opens the window for what it takes. */
static bool
next_request(struct tcp_pcb *pcb, struct gate *gate)
{
	u32 length;

	if (!gate->kept)
		return false;
	if (gate->kept->next)
		gate->kept = pbuf_coalesce(gate->kept, PBUF_RAW);
	if (gate->kept->next)
		return false; /* no memory: when more comes, or never */
	length = web_parse(gate->kept->payload, gate->kept->len, &web_request);
	if (length == 0) {
		if (gate->kept->len < HEAD_MAX && !gate->ended)
			return false;
		length = gate->kept->len;
		web_request = (struct web_request){.status = 400};
	}
	tcp_recved(pcb, (u16_t)length);
	gate->kept = pbuf_free_header(gate->kept, (u16_t)length);
	return true;
}

/*
 * Hands httpd what it can take now. Returns ERR_ABRT if the connection is gone
 * altogether; its pcb must then not be touched.
 */
static err_t
gate_pump(void *arg, struct tcp_pcb *pcb)
{
	struct gate *gate;
	struct pbuf *p;
	err_t result = ERR_OK;

	while ((gate = gate_of(pcb)) != NULL && !gate->busy && next_request(pcb, gate)) {
		p = plain_request(&web_request);
		if (!p) {
			tcp_abort(pcb);
			return ERR_ABRT;
		}
		gate->busy = true;
		web_requests++;
		pumped = gate;
		pumped_pcb = pcb;
		result = httpd_recv(arg, pcb, p, ERR_OK);
		if (result == ERR_ABRT)
			return result;
	}
	if (gate && !gate->busy && gate->ended)
		result = httpd_recv(arg, pcb, NULL, ERR_OK);
	return result;
}

/* --- the end ---------------------------------------------------------------------------- */

static err_t
drain(void *arg, struct tcp_pcb *pcb, struct pbuf *p, err_t err)
{
	(void)arg;
	(void)err;
	if (p) {
		tcp_recved(pcb, p->tot_len);
		pbuf_free(p);
	}
	return ERR_OK;
}

/* The client had its time. What it sends from now on is answered with a reset. */
static err_t
drain_ends(void *arg, struct tcp_pcb *pcb)
{
	(void)arg;
	tcp_poll(pcb, NULL, 0);
	return tcp_close(pcb);
}

/*
 * Sends the end of the stream and goes on reading for a while [RFC 9112, 9.6]: a
 * client that is still sending would get a reset, and with it might lose the
 * response that it hasn't read yet.
 */
err_t
gate_close(struct tcp_pcb *pcb)
{
	err_t result = tcp_shutdown(pcb, 0, 1);

	if (result == ERR_OK) {
		tcp_recv(pcb, drain);
		tcp_poll(pcb, drain_ends, LINGER);
	}
	return result;
}

/* --- TCP's calls --------------------------------------------------------------------- */

static err_t
on_recv(void *arg, struct tcp_pcb *pcb, struct pbuf *p, err_t err)
{
	struct gate *gate = gate_of(pcb);

	if (!gate || err != ERR_OK) {
		if (p) {
			tcp_recved(pcb, p->tot_len);
			pbuf_free(p);
		}
		return ERR_OK;
	}
	if (!p)
		gate->ended = true;
	else if (gate->kept)
		pbuf_cat(gate->kept, p);
	else
		gate->kept = p;
	if (gate->kept && pbuf_clen(gate->kept) > CHAIN_MAX)
		gate->kept = pbuf_coalesce(gate->kept, PBUF_RAW);
	return gate_pump(arg, pcb);
}

static err_t
on_sent(void *arg, struct tcp_pcb *pcb, u16_t length)
{
	err_t result = httpd_sent(arg, pcb, length);

	return result == ERR_ABRT ? result : gate_pump(arg, pcb);
}

static err_t
on_poll(void *arg, struct tcp_pcb *pcb)
{
	err_t result = httpd_poll(arg, pcb);

	return result == ERR_ABRT ? result : gate_pump(arg, pcb);
}

/* --- httpd's calls ---------------------------------------------------------------------- */

void
gate_recv(struct tcp_pcb *pcb, tcp_recv_fn recv)
{
	struct gate *gate;

	if (!recv) {
		gate_detach(pcb);
		tcp_recv(pcb, NULL);
		return;
	}
	httpd_recv = recv;
	gate = calloc(1, sizeof *gate); /* NULL: on_recv drops what comes, and poll closes */
	tcp_ext_arg_set_callbacks(pcb, gate_id, &callbacks);
	tcp_ext_arg_set(pcb, gate_id, gate);
	tcp_recv(pcb, on_recv);
}

void
gate_sent(struct tcp_pcb *pcb, tcp_sent_fn sent)
{
	if (sent)
		httpd_sent = sent;
	tcp_sent(pcb, sent ? on_sent : NULL);
}

void
gate_poll(struct tcp_pcb *pcb, tcp_poll_fn poll, u8_t interval)
{
	if (poll)
		httpd_poll = poll;
	tcp_poll(pcb, poll ? on_poll : NULL, interval);
}

struct tcp_pcb *
web_connection(void)
{
	return pumped_pcb;
}

void
web_continue(struct tcp_pcb *pcb, fs_wait_cb callback, void *arg)
{
	continued = gate_of(pcb);
	callback(arg);
	if (continued)
		tcp_output(pcb);
	continued = NULL;
}

void
web_set_header(char *header, u32 length)
{
	free(pumped->header);
	pumped->header = header;
	pumped->header_length = (u16)length;
}

err_t
gate_write(struct tcp_pcb *pcb, const void *data, u16_t length, u8_t flags)
{
	struct gate *gate = gate_of(pcb);

	if (gate && gate->header) {
		err_t result = tcp_write(pcb, gate->header, gate->header_length,
					 TCP_WRITE_FLAG_COPY | TCP_WRITE_FLAG_MORE);

		if (result != ERR_OK)
			return result;
		free(gate->header);
		gate->header = NULL;
	}
	return tcp_write(pcb, data, length, flags);
}

void
gate_response_done(struct tcp_pcb *pcb)
{
	struct gate *gate = gate_of(pcb);

	if (gate)
		gate->busy = false;
	tcp_nagle_disable(pcb);
}

void
gate_start(void)
{
	gate_id = tcp_ext_arg_alloc_id();
}
