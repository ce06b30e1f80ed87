/* SPDX-License-Identifier: MIT
 *
 * op=http: answers requests for a page without keeping any state. What a server
 * would remember is read back from what the client acknowledges, as a SYN cookie
 * does: every connection starts at sequence number 0, so `ack` says how much of
 * the answer has arrived. The page and its checksum are made once. Nothing is
 * sent again: on a lossless link with clients that behave nothing is lost.
 */
#include "grade/floor/floor.h"
#include "grade/floor/packet.h"
#include "lib/format.h"
#include "lib/string.h"

#define PORT_HTTP  80
#define PAGE_BYTES 2258 /* the object of the paper's web experiments */
#define SEGMENT    1460
#define WINDOW     65535
#define MSS_OPTION (2u << 24 | 4u << 16 | SEGMENT)

/* An answer: head and page, cut in segments, with the sum of each. */
struct answer {
	u8 bytes[2 * SEGMENT];
	u32 length;
	u64 sums[2];
} __attribute__((aligned(4)));

static struct answer keep_answer, close_answer;

static void
answer_init(struct answer *answer, const char *connection)
{
	u32 head = (u32)format((char *)answer->bytes, sizeof(answer->bytes),
			       "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n"
			       "Content-Length: %u\r\nConnection: %s\r\n\r\n",
			       PAGE_BYTES, connection);

	memset(answer->bytes + head, 'x', PAGE_BYTES);
	answer->length = head + PAGE_BYTES;
	answer->sums[0] = sum_words(0, answer->bytes, SEGMENT);           /* a multiple of 4 */
	answer->sums[1] = sum_words(0, answer->bytes + SEGMENT, SEGMENT); /* zeros at the end */
}

/* The reply's headers, all but the checksums; `ack` is what we have of the client's bytes. */
static struct tcp *
reply_begin(const struct tcp *request, u32 sequence, u32 ack, u8 flags)
{
	struct tcp *reply = (struct tcp *)net_header();

	memcpy(reply, request, sizeof(*reply));
	memcpy(reply->ether.to, request->ether.from, 6);
	memcpy(reply->ether.from, request->ether.to, 6);
	reply->ip.version = 0x45;
	reply->ip.from = request->ip.to;
	reply->ip.to = request->ip.from;
	reply->from_port = request->to_port;
	reply->to_port = request->from_port;
	reply->sequence = swap32(sequence);
	reply->ack = swap32(ack);
	reply->offset = 20 << 2; /* 20 bytes, in words, in the upper four bits */
	reply->flags = flags;
	reply->window = swap16(WINDOW);
	reply->urgent = 0;
	return reply;
}

/* Completes lengths and checksums and sends: `head` bytes of TCP header, then the payload. */
static void
reply_end(struct tcp *reply, u32 head, const u8 *payload, u32 length, u64 sum)
{
	u16 bytes = (u16)(head + length);

	reply->ip.length = swap16((u16)(sizeof(struct ip) + bytes));
	reply->ip.checksum = 0;
	reply->ip.checksum = sum_fold(sum_words(0, &reply->ip, sizeof(struct ip)));
	reply->checksum = 0;
	sum = sum_words(sum, &reply->ip.from, 8 + head);
	reply->checksum = sum_fold(sum + swap16(bytes) + swap16(IP_TCP));
	net_send(offsetof(struct tcp, from_port) + head, payload, length);
}

static void
reply_empty(const struct tcp *request, u32 sequence, u32 ack, u8 flags)
{
	reply_end(reply_begin(request, sequence, ack, flags), 20, NULL, 0, 0);
}

static void
reply_syn(const struct tcp *request)
{
	struct tcp *reply =
		reply_begin(request, 0, swap32(request->sequence) + 1, TCP_SYN | TCP_ACK);

	reply->offset = 24 << 2;
	*(u32 *)(reply + 1) = swap32(MSS_OPTION);
	reply_end(reply, 24, NULL, 0, 0);
}

static void
reply_page(const struct tcp *request, u32 received, const struct answer *answer, u8 last)
{
	u32 sequence = swap32(request->ack), ack = swap32(request->sequence) + received;

	reply_end(reply_begin(request, sequence, ack, TCP_ACK), 20, answer->bytes, SEGMENT,
		  answer->sums[0]);
	reply_end(reply_begin(request, sequence + SEGMENT, ack, TCP_ACK | TCP_PSH | last), 20,
		  answer->bytes + SEGMENT, answer->length - SEGMENT, answer->sums[1]);
}

/* Whether a request wants the connection closed: HTTP/1.0, or the word "close" in its head. */
static bool
wants_close(const char *request, u32 length)
{
	for (u32 i = 0; i + 5 <= length; i++) {
		if (memcmp(request + i, "close", 5) == 0)
			return true;
		if (memcmp(request + i, "P/1.0", 5) == 0)
			return true;
	}
	return false;
}

static void
tcp_frame(const struct tcp *tcp)
{
	u32 head = (tcp->offset >> 4) * 4;
	u32 length = swap16(tcp->ip.length) - sizeof(struct ip) - head;
	const char *payload = (const char *)&tcp->from_port + head;
	u32 after = swap32(tcp->sequence) + length + 1; /* behind a FIN */

	if (tcp->flags & TCP_RST)
		return;
	if (tcp->flags & TCP_SYN) {
		reply_syn(tcp);
	} else if (length > 0) {
		if (wants_close(payload, length))
			reply_page(tcp, length, &close_answer, TCP_FIN);
		else
			reply_page(tcp, length, &keep_answer, 0);
	} else if (tcp->flags & TCP_FIN) {
		/* All of a kept connection's answers acknowledged: our FIN is due. */
		bool kept = (swap32(tcp->ack) - 1) % keep_answer.length == 0;

		reply_empty(tcp, swap32(tcp->ack), after, kept ? TCP_ACK | TCP_FIN : TCP_ACK);
	}
}

static void
http_frame(const u8 *frame, u32 length)
{
	const struct tcp *tcp = (const struct tcp *)frame;

	if (tcp->ether.type == swap16(ETHER_IPV4) && tcp->ip.protocol == IP_TCP) {
		if (tcp->to_port == swap16(PORT_HTTP))
			tcp_frame(tcp);
	} else {
		echo_frame(frame, length);
	}
}

void
op_http(void)
{
	u32 length;
	u8 *frame;

	answer_init(&keep_answer, "keep-alive");
	answer_init(&close_answer, "close");
	net_init();
	for (;;) {
		for (; (frame = net_receive(&length)) != NULL; net_release())
			http_frame(frame, length);
		net_flush();
		net_wait();
	}
}
