/* SPDX-License-Identifier: ISC */
/*
 * See signed_root.h. RFC 4034 3.1.8.1 (what is signed), 6.2 and 6.3 (its
 * canonical form and order). The server says nothing about what is absent,
 * which would need NSEC: such questions get SERVFAIL. That there is no name of
 * one label, it says without a proof.
 */
#include "tests/signed_root.h"

#include <openssl/bn.h>
#include <openssl/ec.h>
#include <openssl/ecdsa.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/loop.h"

enum { TYPE_CNAME = 5, TYPE_SOA = 6, TYPE_RRSIG = 46, TYPE_DNSKEY = 48,
    TYPE_OPT = 41, ALGORITHM = 13, KEY_BYTES = 64, DAY = 86400, TTL = 600 };

struct root_record {
	char		 name[256];
	unsigned	 type;
	uint8_t		 data[600];
	size_t		 length;
};

struct packet {
	uint8_t	 bytes[4096];
	size_t	 length;
	unsigned answers;
};

enum root_fault root_fault;
bool root_second_key;
unsigned root_questions;

static struct root_record records[64];
static size_t record_count;
static EVP_PKEY *keys[2];
static struct watch watch;
static int server = -1;

static void add(struct packet *packet, const void *bytes, size_t length)
{
	if (packet->length + length > sizeof(packet->bytes))
		abort();
	memcpy(packet->bytes + packet->length, bytes, length);
	packet->length += length;
}

static void add_number(struct packet *packet, unsigned long value,
    unsigned bytes)
{
	uint8_t byte;

	while (bytes-- > 0) {
		byte = (uint8_t)(value >> 8 * bytes);
		add(packet, &byte, 1);
	}
}

size_t root_wire_name(const char *name, uint8_t *out)
{
	size_t used = 0, length;

	while (*name != '\0' && strcmp(name, ".") != 0) {
		length = strcspn(name, ".");
		out[used++] = (uint8_t)length;
		memcpy(out + used, name, length);
		used += length;
		name += length + (name[length] == '.');
	}
	out[used++] = 0;
	return used;
}

static void add_name(struct packet *packet, const char *name)
{
	uint8_t wire[300];

	add(packet, wire, root_wire_name(name, wire));
}

static unsigned labels(const char *name)
{
	uint8_t wire[300];
	unsigned count = 0;
	size_t i;

	root_wire_name(name, wire);
	for (i = 0; wire[i] != 0; i += wire[i] + 1u)
		count++;
	return count;
}

/* --- keys --- */

static void key_data(EVP_PKEY *key, unsigned flags, struct packet *out)
{
	uint8_t point[2 * KEY_BYTES];
	size_t length = 0;

	if (EVP_PKEY_get_octet_string_param(key, "pub", point, sizeof(point),
	    &length) != 1 || length != KEY_BYTES + 1)
		abort();
	out->length = 0;
	add_number(out, flags, 2);
	add_number(out, 3, 1);
	add_number(out, ALGORITHM, 1);
	add(out, point + 1, KEY_BYTES);
}

static unsigned key_tag(EVP_PKEY *key)
{
	struct packet data;
	unsigned long sum = 0;
	size_t i;

	key_data(key, 257, &data);
	for (i = 0; i < data.length; i++)
		sum += (i & 1) != 0 ? data.bytes[i] :
		    (unsigned long)data.bytes[i] << 8;
	return (unsigned)((sum + (sum >> 16)) & 0xffff);
}

const char *root_anchor(void)
{
	static char text[300];
	char base64[200];
	struct packet data;

	key_data(keys[0], 257, &data);
	EVP_EncodeBlock((unsigned char *)base64, data.bytes + 4, KEY_BYTES);
	snprintf(text, sizeof(text), ". IN DNSKEY 257 3 13 %s\n", base64);
	return text;
}

static void sign(EVP_PKEY *key, const struct packet *what, uint8_t *raw)
{
	EVP_MD_CTX *context = EVP_MD_CTX_new();
	unsigned char der[128];
	const unsigned char *position = der;
	size_t length = sizeof(der);
	ECDSA_SIG *signature;

	if (EVP_DigestSignInit(context, NULL, EVP_sha256(), NULL, key) != 1 ||
	    EVP_DigestSign(context, der, &length, what->bytes,
	    what->length) != 1)
		abort();
	signature = d2i_ECDSA_SIG(NULL, &position, (long)length);
	BN_bn2binpad(ECDSA_SIG_get0_r(signature), raw, KEY_BYTES / 2);
	BN_bn2binpad(ECDSA_SIG_get0_s(signature), raw + KEY_BYTES / 2,
	    KEY_BYTES / 2);
	ECDSA_SIG_free(signature);
	EVP_MD_CTX_free(context);
}

/* --- answers --- */

static void add_record(struct packet *packet, const char *name, unsigned type,
    const void *data, size_t length)
{
	add_name(packet, name);
	add_number(packet, type, 2);
	add_number(packet, 1, 2);
	add_number(packet, TTL, 4);
	add_number(packet, length, 2);
	add(packet, data, length);
}

static int compare(const void *one, const void *other)
{
	const struct root_record *const *a = one, *const *b = other;
	size_t length = (*a)->length < (*b)->length ? (*a)->length :
	    (*b)->length;
	int order = memcmp((*a)->data, (*b)->data, length);

	return order != 0 ? order : (int)(*a)->length - (int)(*b)->length;
}

static void add_signature(struct packet *packet, const char *name,
    unsigned type, struct root_record **set, size_t count)
{
	struct packet what = { .length = 0 };
	unsigned long now = (unsigned long)time(NULL);
	bool expired = root_fault == ROOT_EXPIRED && type != TYPE_DNSKEY;
	EVP_PKEY *key = keys[root_fault == ROOT_OTHER_KEY];
	uint8_t raw[KEY_BYTES];
	struct packet data;
	size_t i;

	add_number(&what, type, 2);
	add_number(&what, ALGORITHM, 1);
	add_number(&what, labels(name), 1);
	add_number(&what, TTL, 4);
	add_number(&what, expired ? now - 3 * DAY : now + 30 * DAY, 4);
	add_number(&what, now - 30 * DAY, 4);
	add_number(&what, key_tag(key), 2);
	add_number(&what, 0, 1);	/* the signer: the root */
	data = what;
	qsort(set, count, sizeof(*set), compare);
	for (i = 0; i < count; i++)
		add_record(&what, name, type, set[i]->data, set[i]->length);
	if (root_fault == ROOT_TAMPERED && type != TYPE_DNSKEY)
		what.bytes[what.length - 1] ^= 1;
	sign(key, &what, raw);
	add(&data, raw, sizeof(raw));
	add_record(packet, name, TYPE_RRSIG, data.bytes, data.length);
	packet->answers++;
}

/* The records of a name and type with their signature; how many. */
static size_t add_set(struct packet *packet, const char *name, unsigned type)
{
	struct root_record *set[64];
	size_t i, count = 0;

	for (i = 0; i < record_count; i++)
		if (records[i].type == type &&
		    strcasecmp(records[i].name, name) == 0)
			set[count++] = &records[i];
	if (type == TYPE_DNSKEY && count == 2 && !root_second_key)
		count = 1;
	for (i = 0; i < count; i++)
		add_record(packet, name, type, set[i]->data, set[i]->length);
	packet->answers += (unsigned)count;
	if (count > 0 && root_fault != ROOT_STRIPPED)
		add_signature(packet, name, type, set, count);
	return count;
}

static bool answer(struct packet *packet, const char *question, unsigned type)
{
	char name[300];
	size_t i;
	int links;

	snprintf(name, sizeof(name), "%s", question);
	for (links = 0; links < 20; links++) {
		if (add_set(packet, name, type) > 0)
			return true;
		if (add_set(packet, name, TYPE_CNAME) == 0)
			return false;
		for (i = 0; i < record_count; i++)
			if (records[i].type == TYPE_CNAME &&
			    strcasecmp(records[i].name, name) == 0)
				break;
		name[0] = '\0';
		for (const uint8_t *at = records[i].data; *at != 0;
		    at += *at + 1) {
			size_t used = strlen(name);

			snprintf(name + used, sizeof(name) - used, "%s%.*s",
			    used > 0 ? "." : "", *at, (const char *)at + 1);
		}
	}
	return true;
}

/* Reads the question as text; the offset behind it. */
static size_t read_question(const uint8_t *query, size_t length, char *name,
    unsigned *type)
{
	size_t at = 12, used = 0, i;

	while (at < length && query[at] != 0) {
		if (used > 0)
			name[used++] = '.';
		for (i = 1; i <= query[at]; i++)
			name[used++] = (char)query[at + i];
		at += query[at] + 1u;
	}
	name[used] = '\0';
	if (used == 0)
		snprintf(name, 2, ".");
	*type = (unsigned)query[at + 1] << 8 | query[at + 2];
	return at + 5;
}

static void on_query(void *arg, int flags)
{
	struct packet packet = { .length = 0 };
	struct sockaddr_storage from;
	socklen_t from_length = sizeof(from);
	uint8_t query[600];
	ssize_t got = recvfrom(server, query, sizeof(query), 0,
	    (struct sockaddr *)&from, &from_length);
	unsigned type, rcode;
	char name[300];

	(void)arg;
	(void)flags;
	root_questions++;
	if (got < 17 || root_fault == ROOT_SILENT)
		return;
	add(&packet, query, read_question(query, (size_t)got, name, &type));
	memset(packet.bytes + 6, 0, 6);
	rcode = root_fault == ROOT_REFUSES ? 5 :
	    answer(&packet, name, type) ? 0 :
	    strchr(name, '.') == NULL ? 3 : 2;
	packet.bytes[2] = 0x81;
	packet.bytes[3] = (uint8_t)(0x80 | rcode);
	packet.bytes[7] = (uint8_t)packet.answers;
	packet.bytes[11] = 1;
	add_number(&packet, 0, 1);		/* EDNS with DO */
	add_number(&packet, TYPE_OPT, 2);
	add_number(&packet, 1232, 2);
	add_number(&packet, 0x8000, 4);
	add_number(&packet, 0, 2);
	sendto(server, packet.bytes, packet.length, 0,
	    (struct sockaddr *)&from, from_length);
}

void root_add(const char *name, unsigned type, const void *data,
    size_t length)
{
	struct root_record *record = &records[record_count++];

	if (record_count == sizeof(records) / sizeof(records[0]) ||
	    length > sizeof(record->data))
		abort();
	snprintf(record->name, sizeof(record->name), "%s", name);
	record->type = type;
	if (length > 0)
		memcpy(record->data, data, length);
	record->length = length;
}

static void add_apex(void)
{
	uint8_t soa[300];
	struct packet data;
	size_t length, i;

	for (i = 0; i < 2; i++) {
		key_data(keys[i], 257, &data);
		root_add(".", TYPE_DNSKEY, data.bytes, data.length);
	}
	length = root_wire_name("ns.lab", soa);
	length += root_wire_name("ns.lab", soa + length);
	memset(soa + length, 1, 20);
	root_add(".", TYPE_SOA, soa, length + 20);
}

void root_start(struct endpoint *address)
{
	struct endpoint local;

	if (keys[0] == NULL) {
		keys[0] = EVP_EC_gen("P-256");
		keys[1] = EVP_EC_gen("P-256");
		add_apex();
	}
	endpoint_parse(&local, "127.0.0.1", 0);
	server = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (server == -1 || bind(server, &local.address.any,
	    local.length) == -1)
		abort();
	net_local(server, address);
	watch_init(&watch, server, on_query, NULL);
	watch_set(&watch, WATCH_READ);
	root_fault = ROOT_TRUE;
	root_second_key = false;
	root_questions = 0;
}

void root_stop(void)
{
	watch_release(&watch);
	close(server);
	server = -1;
}
