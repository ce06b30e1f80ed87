/* SPDX-License-Identifier: MIT
 *
 * flood ADDRESS RATE SECONDS: sends RATE UDP datagrams a second to ADDRESS, in bursts of
 * a millisecond's worth, whoever may hear them. Prints one JSON object with how many
 * there were.
 */
#include "grade/bench/load/load.h"

#include <sys/socket.h>
#include <unistd.h>

#define PORT     9    /* discard [RFC 863] */
#define BYTES    1000 /* of a datagram */
#define RATE_MAX 1000000
#define PAUSE    1000 /* us from one burst to the next */

int
main(int argc, char **argv)
{
	static char data[BYTES];
	unsigned long sent = 0;
	struct sockaddr_in to;
	double seconds, start, at;
	int rate, s;

	if (argc != 4) {
		fprintf(stderr, "usage: flood ADDRESS RATE SECONDS\n");
		return 2;
	}
	to = address(argv[1], PORT);
	rate = number(argv[2], RATE_MAX);
	seconds = real(argv[3]);
	s = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0);
	if (s < 0 || connect(s, (struct sockaddr *)&to, sizeof(to)) < 0)
		die("flood");
	start = now();
	while ((at = now() - start) < seconds) {
		/* One that finds no room is lost, as on a wire. */
		for (; sent < (unsigned long)(rate * at); sent++)
			(void)!send(s, data, sizeof(data), 0);
		usleep(PAUSE);
	}
	printf("{\"rate\": %d, \"seconds\": %g, \"sent\": %lu}\n", rate, seconds, sent);
	return 0;
}
