/* SPDX-License-Identifier: MIT
 *
 * echo ADDRESS WINDOW SECONDS: keeps WINDOW datagrams of a UDP echo on their
 * way for SECONDS and counts those that come back. A frame is 64 bytes long,
 * checksum not counted. Datagrams that don't return within a second of silence
 * are given up as lost and the window is filled again.
 */
#define _GNU_SOURCE
#include "grade/bench/load/load.h"

#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#define PORT       7
#define PAYLOAD    22 /* bytes: 64 less Ethernet, IP and UDP headers */
#define WINDOW_MAX 256
#define PATIENCE   1000 /* ms without an answer until what is out is lost */

struct load {
	int socket, out; /* out: on their way */
	unsigned long back, lost, wrong;
	unsigned char room[WINDOW_MAX][PAYLOAD + 1];
	struct iovec iov[WINDOW_MAX];
	struct mmsghdr messages[WINDOW_MAX];
};

static void
prepare(struct load *load)
{
	for (int i = 0; i < WINDOW_MAX; i++) {
		memset(load->room[i], 'e', PAYLOAD);
		load->iov[i] = (struct iovec){load->room[i], PAYLOAD};
		load->messages[i].msg_hdr =
			(struct msghdr){.msg_iov = &load->iov[i], .msg_iovlen = 1};
	}
}

/* Sends until `window` are out, or the kernel takes no more now. */
static void
fill(struct load *load, int window)
{
	while (load->out < window) {
		int n = sendmmsg(load->socket, load->messages, (unsigned)(window - load->out), 0);

		if (n < 0 && (errno == EAGAIN || errno == ENOBUFS))
			return;
		if (n < 0)
			die("sendmmsg");
		load->out += n;
	}
}

/* Takes what has come back; waits for the first. */
static void
drain(struct load *load)
{
	struct pollfd wait = {.fd = load->socket, .events = POLLIN};
	int n;

	if (poll(&wait, 1, PATIENCE) == 0) {
		load->lost += (unsigned)load->out;
		load->out = 0;
		return;
	}
	n = recvmmsg(load->socket, load->messages, WINDOW_MAX, MSG_DONTWAIT, NULL);
	if (n < 0 && errno != EAGAIN)
		die("recvmmsg"); /* ECONNREFUSED: no echo there */
	for (int i = 0; i < n; i++)
		load->wrong += load->messages[i].msg_len != PAYLOAD;
	if (n > 0) {
		load->back += (unsigned)n;
		load->out = load->out > n ? load->out - n : 0;
	}
}

int
main(int argc, char **argv)
{
	static struct load load;
	struct sockaddr_in to;
	double start, seconds;
	int window;

	if (argc != 4) {
		fprintf(stderr, "usage: echo ADDRESS WINDOW SECONDS\n");
		return 2;
	}
	to = address(argv[1], PORT);
	window = number(argv[2], WINDOW_MAX);
	seconds = number(argv[3], 3600);
	load.socket = socket(AF_INET, SOCK_DGRAM, 0);
	if (load.socket < 0 || connect(load.socket, (struct sockaddr *)&to, sizeof(to)) < 0)
		die(argv[1]);
	prepare(&load);
	start = now();
	while (now() - start < seconds) {
		fill(&load, window);
		drain(&load);
	}
	printf("{\"per_second\": %.1f, \"done\": %lu, \"lost\": %lu, \"wrong\": %lu}\n",
	       (double)load.back / (now() - start), load.back, load.lost, load.wrong);
	return 0;
}
