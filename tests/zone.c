/* SPDX-License-Identifier: ISC */
/*
 * See zone.h. Names are compared as the bytes of their labels, dots between.
 */
#include "tests/zone.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/loop.h"

enum { TYPE_A = 1, TYPE_CNAME = 5, TYPE_SOA = 6, TYPE_MX = 15, TYPE_TXT = 16,
    TYPE_AAAA = 28, RECORDS_MAX = 256, DATA_MAX = 4096, NAME_MAX_BYTES = 300,
    PACKET_MAX = 8192, SERVFAIL = 2, NXDOMAIN = 3 };

struct zone_record {
	char		 name[NAME_MAX_BYTES];
	unsigned	 type;
	uint8_t		 data[DATA_MAX];
	size_t		 length;
};

struct packet {
	uint8_t	 bytes[PACKET_MAX];
	size_t	 length;
	unsigned answers, authorities;
};

unsigned zone_questions;
bool zone_silent;
char zone_asked[NAME_MAX_BYTES];

static struct zone_record records[RECORDS_MAX];
static size_t record_count;
static struct watch watch;
static int server = -1;

/* --- the records --- */

static size_t wire_name(const char *name, uint8_t *out)
{
	size_t used = 0, length;

	while (*name != '\0') {
		length = strcspn(name, ".");
		out[used++] = (uint8_t)length;
		memcpy(out + used, name, length);
		used += length;
		name += length + (name[length] == '.');
	}
	out[used++] = 0;
	return used;
}

void zone_record(const char *name, unsigned type, const void *data,
    size_t length)
{
	struct zone_record *record = &records[record_count++];

	if (record_count == RECORDS_MAX || length > DATA_MAX)
		abort();
	snprintf(record->name, sizeof(record->name), "%s", name);
	record->type = type;
	memcpy(record->data, data, length);
	record->length = length;
}

void zone_address(const char *name, const char *address)
{
	struct endpoint endpoint;

	if (endpoint_parse(&endpoint, address, 0) == -1)
		abort();
	if (endpoint.address.any.sa_family == AF_INET6)
		zone_record(name, TYPE_AAAA, &endpoint.address.v6.sin6_addr,
		    16);
	else
		zone_record(name, TYPE_A, &endpoint.address.v4.sin_addr, 4);
}

void zone_text(const char *name, const char *const *strings)
{
	uint8_t data[DATA_MAX];
	size_t used = 0, length;

	for (; *strings != NULL; strings++) {
		length = strlen(*strings);
		data[used++] = (uint8_t)length;
		memcpy(data + used, *strings, length);
		used += length;
	}
	zone_record(name, TYPE_TXT, data, used);
}

void zone_txt(const char *name, const char *text)
{
	uint8_t data[DATA_MAX];
	size_t used = 0, length;

	do {
		length = strnlen(text, 255);
		data[used++] = (uint8_t)length;
		memcpy(data + used, text, length);
		used += length;
		text += length;
	} while (*text != '\0');
	zone_record(name, TYPE_TXT, data, used);
}

void zone_mx(const char *name, unsigned preference, const char *host)
{
	uint8_t data[2 + NAME_MAX_BYTES] = { (uint8_t)(preference >> 8),
	    (uint8_t)preference };

	zone_record(name, TYPE_MX, data, 2 + wire_name(host, data + 2));
}

void zone_name(const char *name, unsigned type, const char *target)
{
	uint8_t data[NAME_MAX_BYTES];

	zone_record(name, type, data, wire_name(target, data));
}

/* --- answers --- */

static void add(struct packet *packet, const void *bytes, size_t length)
{
	if (packet->length + length > sizeof(packet->bytes))
		abort();
	memcpy(packet->bytes + packet->length, bytes, length);
	packet->length += length;
}

static void add_record(struct packet *packet, const char *name, unsigned type,
    const void *data, size_t length)
{
	uint8_t wire[NAME_MAX_BYTES], rest[10] = { (uint8_t)(type >> 8),
	    (uint8_t)type, 0, 1, 0, 0, 1, 44, (uint8_t)(length >> 8),
	    (uint8_t)length };

	add(packet, wire, wire_name(name, wire));
	add(packet, rest, sizeof(rest));
	add(packet, data, length);
}

/* The rcode; aliases are left to the resolver. */
static unsigned answer(struct packet *packet, const char *name, unsigned type)
{
	static const uint8_t soa[22] = { 0, 0, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0,
	    0, 1, 0, 0, 0, 1, 0, 0, 0, 10 };
	bool there = false;
	size_t i;

	for (i = 0; i < record_count; i++) {
		if (strcasecmp(records[i].name, name) != 0)
			continue;
		there = true;
		if (records[i].type != type && records[i].type != TYPE_CNAME)
			continue;
		add_record(packet, name, records[i].type, records[i].data,
		    records[i].length);
		packet->answers++;
	}
	if (packet->answers > 0)
		return 0;
	add_record(packet, "", TYPE_SOA, soa, sizeof(soa));
	packet->authorities++;
	return there ? 0 : NXDOMAIN;
}

/* Reads the question; the offset behind it. */
static size_t read_question(const uint8_t *query, size_t length, char *name,
    unsigned *type)
{
	size_t at = 12, used = 0;

	while (at < length && query[at] != 0) {
		if (used > 0)
			name[used++] = '.';
		memcpy(name + used, query + at + 1, query[at]);
		used += query[at];
		at += query[at] + 1u;
	}
	name[used] = '\0';
	*type = (unsigned)query[at + 1] << 8 | query[at + 2];
	return at + 5;
}

static void on_query(void *arg, int flags)
{
	static struct packet packet;
	struct sockaddr_storage from;
	socklen_t from_length = sizeof(from);
	uint8_t query[600];
	ssize_t got = recvfrom(server, query, sizeof(query), 0,
	    (struct sockaddr *)&from, &from_length);
	unsigned type, rcode;

	(void)arg;
	(void)flags;
	if (got < 17)
		return;
	zone_questions++;
	memset(&packet, 0, sizeof(packet));
	add(&packet, query, read_question(query, (size_t)got, zone_asked,
	    &type));
	if (zone_silent || strstr(zone_asked, "silent") != NULL)
		return;
	memset(packet.bytes + 6, 0, 6);
	rcode = strstr(zone_asked, "servfail") != NULL ? SERVFAIL :
	    answer(&packet, zone_asked, type);
	packet.bytes[2] = 0x81;		/* an answer; recursion desired */
	packet.bytes[3] = (uint8_t)(0x80 | rcode);
	packet.bytes[7] = (uint8_t)packet.answers;
	packet.bytes[9] = (uint8_t)packet.authorities;
	sendto(server, packet.bytes, packet.length, 0,
	    (struct sockaddr *)&from, from_length);
}

void zone_start(struct endpoint *address)
{
	struct endpoint local;

	endpoint_parse(&local, "127.0.0.1", 0);
	server = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (server == -1 || bind(server, &local.address.any,
	    local.length) == -1)
		abort();
	net_local(server, address);
	watch_init(&watch, server, on_query, NULL);
	watch_set(&watch, WATCH_READ);
	zone_questions = 0;
	zone_silent = false;
}

void zone_stop(void)
{
	watch_release(&watch);
	close(server);
	server = -1;
	record_count = 0;
}
