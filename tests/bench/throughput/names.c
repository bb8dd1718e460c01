/* SPDX-License-Identifier: ISC */
/*
 * names: the name server of the bench, on UDP, for servers that ask the resolver
 * of resolv.conf. It answers at once and out of a rule, so that nobody waits for
 * it, and claims to have validated: what a server with a validating resolver on
 * its own machine gets at best.
 *
 *	MX    X                  10 mx.X
 *	A     mx.dN.anything     an address of its own in 127.64.0.0/10 and up
 *	A     anything else      127.0.0.1
 *	PTR   anything           localhost
 *	TLSA  anything           3 1 1 and the digest of --tlsa, if there is one
 *	all else                 no data
 */
#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <getopt.h>
#include <netinet/in.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

enum { PACKET_MAX = 1024, QUESTION_MAX = 512, HEADER = 12,
    DIGEST = 32, TTL = 86400 };

enum type { TYPE_A = 1, TYPE_SOA = 6, TYPE_PTR = 12, TYPE_MX = 15,
    TYPE_OPT = 41, TYPE_TLSA = 52 };

struct packet {
	uint8_t	 bytes[PACKET_MAX];
	size_t	 length;
};

static struct {
	uint8_t	 digest[DIGEST];
	bool	 has_digest;
} names;

static void die(const char *format, ...)
    __attribute__((format(printf, 1, 2), noreturn));

static void die(const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	fputs("names: ", stderr);
	vfprintf(stderr, format, arguments);
	va_end(arguments);
	fputc('\n', stderr);
	exit(2);
}

/* --- an answer --- */

static void put(struct packet *packet, const void *bytes, size_t length)
{
	if (packet->length + length > sizeof(packet->bytes))
		die("an answer is too long");
	memcpy(packet->bytes + packet->length, bytes, length);
	packet->length += length;
}

static void put_number(struct packet *packet, uint32_t value, int bytes)
{
	while (bytes-- > 0) {
		uint8_t one = (uint8_t)(value >> (8 * bytes));

		put(packet, &one, 1);
	}
}

/* A record of the name that was asked for; the caller puts its data. */
static void put_record(struct packet *packet, enum type type, size_t length)
{
	put_number(packet, 0xc000 | HEADER, 2);
	put_number(packet, type, 2);
	put_number(packet, 1, 2);
	put_number(packet, TTL, 4);
	put_number(packet, (uint32_t)length, 2);
}

/* The address of mx.dN.anything; 127.0.0.1 for others. */
static uint32_t address_of(const uint8_t *name)
{
	uint32_t number = 0;
	size_t length;

	if (name[0] != 2 || strncasecmp((const char *)name + 1, "mx", 2) != 0)
		return 0x7f000001;
	name += 3;
	length = *name++;
	if (length < 2 || tolower(*name) != 'd')
		return 0x7f000001;
	for (size_t i = 1; i < length; i++) {
		if (!isdigit(name[i]))
			return 0x7f000001;
		number = number * 10 + (uint32_t)(name[i] - '0');
	}
	return 0x7f400001 + number;
}

/* How many records. */
static unsigned put_answer(struct packet *packet, const uint8_t *name,
    unsigned type)
{
	static const uint8_t localhost[] = "\011localhost", mx[] = "\002mx";

	switch (type) {
	case TYPE_A:
		put_record(packet, TYPE_A, 4);
		put_number(packet, address_of(name), 4);
		return 1;
	case TYPE_PTR:
		put_record(packet, TYPE_PTR, sizeof(localhost));
		put(packet, localhost, sizeof(localhost));
		return 1;
	case TYPE_MX:
		put_record(packet, TYPE_MX, 7);
		put_number(packet, 10, 2);
		put(packet, mx, 3);
		put_number(packet, 0xc000 | HEADER, 2);
		return 1;
	case TYPE_TLSA:
		if (!names.has_digest)
			return 0;
		put_record(packet, TYPE_TLSA, 3 + DIGEST);
		put(packet, "\3\1\1", 3);
		put(packet, names.digest, DIGEST);
		return 1;
	default:
		return 0;
	}
}

/* That there is nothing, to be remembered. */
static void put_denial(struct packet *packet)
{
	put_record(packet, TYPE_SOA, 22);
	put(packet, "\0\0", 2);
	for (int i = 0; i < 5; i++)
		put_number(packet, TTL, 4);
}

/* The length of the question, with type and class; 0: it makes no sense. */
static size_t question_length(const uint8_t *bytes, size_t length)
{
	size_t at = 0;

	while (at < length && bytes[at] != 0) {
		if (bytes[at] > 63)
			return 0;
		at += 1u + bytes[at];
	}
	at += 5;
	return at <= length && at <= QUESTION_MAX ? at : 0;
}

static bool answer(const struct packet *query, struct packet *reply)
{
	const uint8_t *name = query->bytes + HEADER;
	size_t length;
	unsigned type, count;
	bool has_options;

	if (query->length < HEADER + 5)
		return false;
	length = question_length(name, query->length - HEADER);
	if (length == 0)
		return false;
	type = (unsigned)name[length - 4] << 8 | name[length - 3];
	has_options = query->bytes[11] == 1;
	reply->length = 0;
	put(reply, query->bytes, 2);
	/* QR, AA, RD as asked; RA and AD. */
	put_number(reply, 0x8400u | (query->bytes[2] & 1u) << 8 | 0xa0, 2);
	put_number(reply, 1, 2);
	put_number(reply, 0, 6);
	put(reply, name, length);
	count = put_answer(reply, name, type);
	if (count == 0)
		put_denial(reply);
	reply->bytes[count > 0 ? 7 : 9] = 1;
	if (has_options) {
		put(reply, "\0", 1);
		put_number(reply, TYPE_OPT, 2);
		put_number(reply, 1232, 2);
		put_number(reply, 0x8000, 4);
		put_number(reply, 0, 2);
		reply->bytes[11] = 1;
	}
	return true;
}

/* --- the whole --- */

static void take_digest(const char *text)
{
	char pair[3] = "";

	if (strlen(text) != 2 * DIGEST)
		die("--tlsa wants %d hexadecimal digits", 2 * DIGEST);
	for (int i = 0; i < DIGEST; i++) {
		memcpy(pair, text + 2 * i, 2);
		names.digest[i] = (uint8_t)strtoul(pair, NULL, 16);
	}
	names.has_digest = true;
}

static int listener_new(const char *host, unsigned long port)
{
	struct sockaddr_in address = { .sin_family = AF_INET };
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), size = 4 << 20;

	address.sin_port = htons((uint16_t)port);
	if (fd < 0 || inet_pton(AF_INET, host, &address.sin_addr) != 1)
		die("%s is not an IPv4 address", host);
	setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size));
	if (bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0)
		die("port %lu: %s", port, strerror(errno));
	return fd;
}

static void serve(int fd)
{
	struct packet query, reply;
	struct sockaddr_in peer;
	socklen_t size;
	ssize_t got;

	for (;;) {
		size = sizeof(peer);
		got = recvfrom(fd, query.bytes, sizeof(query.bytes), 0,
		    (struct sockaddr *)&peer, &size);
		if (got < 0)
			continue;
		query.length = (size_t)got;
		if (answer(&query, &reply))
			sendto(fd, reply.bytes, reply.length, 0,
			    (struct sockaddr *)&peer, size);
	}
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "port", required_argument, NULL, 'p' },
		{ "address", required_argument, NULL, 'a' },
		{ "tlsa", required_argument, NULL, 't' },
		{ NULL, 0, NULL, 0 },
	};
	const char *address = "127.0.0.1";
	unsigned long port = 53;
	int letter, fd;

	while ((letter = getopt_long(argc, argv, "", options, NULL)) != -1)
		switch (letter) {
		case 'p': port = strtoul(optarg, NULL, 10); break;
		case 'a': address = optarg; break;
		case 't': take_digest(optarg); break;
		default:
			fputs("usage: names [--address ADDRESS] [--port N]"
			    " [--tlsa DIGEST]\n", stderr);
			return 2;
		}
	fd = listener_new(address, port);
	puts("listening");
	fflush(stdout);
	serve(fd);
	return 0;
}
