/* SPDX-License-Identifier: ISC */
/*
 * See world.h. RFC 4034 3.1.8.1 (what is signed), 4.1.2 (types of an NSEC
 * record), 5.1.4 (a DS digest). Every set has one record, so there is no order
 * to keep. It answers as a forwarder's upstream does: any name, recursion done.
 */
#include "tests/bench/plans/world.h"

#include <openssl/bn.h>
#include <openssl/ec.h>
#include <openssl/ecdsa.h>
#include <openssl/evp.h>
#include <openssl/sha.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

enum { TYPE_A = 1, TYPE_NS = 2, TYPE_SOA = 6, TYPE_MX = 15, TYPE_TXT = 16,
    TYPE_AAAA = 28, TYPE_OPT = 41, TYPE_DS = 43, TYPE_RRSIG = 46,
    TYPE_NSEC = 47, TYPE_DNSKEY = 48, TYPE_TLSA = 52, TYPES_MAX = 56,
    ALGORITHM = 13, KEY_BYTES = 64, DAY = 86400, NAME_BYTES = 256,
    LABELS_MAX = 128 };

#define TYPE_BIT(type) (UINT64_C(1) << (type))

struct packet {
	uint8_t	 bytes[4096];
	size_t	 length;
	unsigned answers, authorities;
};

/* Where a name is. */
enum place { PLACE_ROOT, PLACE_TOP, PLACE_APEX, PLACE_HOST, PLACE_TLSA,
    PLACE_POLICY, PLACE_NOWHERE };

struct question {
	uint8_t		 name[NAME_BYTES];
	size_t		 length;
	const uint8_t	*labels[LABELS_MAX];	/* the root's comes last */
	unsigned	 count;			/* without the root's */
	unsigned	 type;
	enum place	 place;
	unsigned	 number;		/* of the destination */
	const uint8_t	*zone;			/* in name */
	bool		 is_signed;		/* the zone */
};

static EVP_PKEY *key;
static uint8_t key_data[4 + KEY_BYTES];
static unsigned key_tag;
static uint32_t inception, expiration;

/* --- destinations --- */

enum world_kind world_kind(unsigned number)
{
	switch (number % 10) {
	case 0: return WORLD_STS;
	case 5: return WORLD_OPEN;
	case 9: return WORLD_SIGNED_STS;
	default: return WORLD_DANE;
	}
}

static bool is_signed(unsigned number)
{
	enum world_kind kind = world_kind(number);

	return kind == WORLD_DANE || kind == WORLD_SIGNED_STS;
}

static bool has_policy(unsigned number)
{
	enum world_kind kind = world_kind(number);

	return kind == WORLD_STS || kind == WORLD_SIGNED_STS;
}

void world_domain(unsigned number, char *out, size_t size)
{
	snprintf(out, size, "d%05u.lab", number);
}

void world_host(unsigned number, char *out, size_t size)
{
	snprintf(out, size, "mx.d%05u.lab", number);
}

/* --- bytes --- */

static void add(struct packet *packet, const void *bytes, size_t length)
{
	if (packet->length + length > sizeof(packet->bytes))
		abort();
	memcpy(packet->bytes + packet->length, bytes, length);
	packet->length += length;
}

static void add_number(struct packet *packet, uint32_t value, unsigned bytes)
{
	uint8_t byte;

	while (bytes-- > 0) {
		byte = (uint8_t)(value >> 8 * bytes);
		add(packet, &byte, 1);
	}
}

/* The length of a name in wire form. */
static size_t name_length(const uint8_t *name)
{
	size_t length = 0;

	while (name[length] != 0)
		length += name[length] + 1u;
	return length + 1;
}

static void add_name(struct packet *packet, const uint8_t *name)
{
	add(packet, name, name_length(name));
}

static void add_record(struct packet *packet, const uint8_t *name,
    unsigned type, const struct packet *data)
{
	add_name(packet, name);
	add_number(packet, type, 2);
	add_number(packet, 1, 2);
	add_number(packet, WORLD_TTL, 4);
	add_number(packet, (uint32_t)data->length, 2);
	add(packet, data->bytes, data->length);
}

/* --- the key --- */

static void sign(const struct packet *what, uint8_t *raw)
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

static void make_key(void)
{
	static const uint8_t head[4] = { 257 >> 8, 257 & 0xff, 3, ALGORITHM };
	uint8_t point[2 * KEY_BYTES];
	unsigned long sum = 0;
	size_t length = 0, i;

	key = EVP_EC_gen("P-256");
	if (EVP_PKEY_get_octet_string_param(key, "pub", point, sizeof(point),
	    &length) != 1 || length != KEY_BYTES + 1)
		abort();
	memcpy(key_data, head, sizeof(head));
	memcpy(key_data + sizeof(head), point + 1, KEY_BYTES);
	for (i = 0; i < sizeof(key_data); i++)
		sum += (i & 1) != 0 ? key_data[i] :
		    (unsigned long)key_data[i] << 8;
	key_tag = (unsigned)((sum + (sum >> 16)) & 0xffff);
	inception = (uint32_t)time(NULL) - 30 * DAY;
	expiration = (uint32_t)time(NULL) + 30 * DAY;
}

const char *world_anchor(void)
{
	static char text[300];
	char base64[200];

	EVP_EncodeBlock((unsigned char *)base64, key_data + 4, KEY_BYTES);
	snprintf(text, sizeof(text), ". IN DNSKEY 257 3 13 %s\n", base64);
	return text;
}

/* --- what a name has --- */

static uint64_t types_at(const struct question *question)
{
	static const uint64_t apex = TYPE_BIT(TYPE_SOA) | TYPE_BIT(TYPE_NS) |
	    TYPE_BIT(TYPE_DNSKEY);
	unsigned number = question->number;

	switch (question->place) {
	case PLACE_ROOT:
		return apex;
	case PLACE_TOP:
		return question->type == TYPE_DS ?
		    TYPE_BIT(TYPE_NS) | TYPE_BIT(TYPE_DS) : apex;
	case PLACE_APEX:
		if (question->type == TYPE_DS)	/* in the parent */
			return TYPE_BIT(TYPE_NS) | (is_signed(number) ?
			    TYPE_BIT(TYPE_DS) : 0);
		return apex | TYPE_BIT(TYPE_MX);
	case PLACE_HOST:
		return TYPE_BIT(TYPE_A) | (number % 2 == 0 ?
		    TYPE_BIT(TYPE_AAAA) : 0);
	case PLACE_TLSA:
		return world_kind(number) == WORLD_DANE ?
		    TYPE_BIT(TYPE_TLSA) : 0;
	case PLACE_POLICY:
		return has_policy(number) ? TYPE_BIT(TYPE_TXT) : 0;
	default:
		return 0;
	}
}

static void put_ds(const struct question *question, struct packet *data)
{
	uint8_t digest[SHA256_DIGEST_LENGTH];
	struct packet what = { .length = 0 };

	add_name(&what, question->name);
	add(&what, key_data, sizeof(key_data));
	SHA256(what.bytes, what.length, digest);
	add_number(data, key_tag, 2);
	add_number(data, ALGORITHM, 1);
	add_number(data, 2, 1);
	add(data, digest, sizeof(digest));
}

static void put_soa(const struct question *question, struct packet *data)
{
	add(data, "\2ns", 3);
	add_name(data, question->zone);
	add(data, "\4host", 5);
	add_name(data, question->zone);
	add_number(data, 1, 4);
	add_number(data, WORLD_TTL, 4);
	add_number(data, WORLD_TTL, 4);
	add_number(data, WORLD_TTL, 4);
	add_number(data, WORLD_TTL, 4);
}

static void put_tlsa(const struct question *question, struct packet *data)
{
	uint8_t digest[SHA256_DIGEST_LENGTH];

	SHA256(question->name, question->length, digest);
	add(data, "\3\1\1", 3);
	add(data, digest, sizeof(digest));
}

/* Of a type that the name has. */
static void put_data(const struct question *question, unsigned type,
    struct packet *data)
{
	static const char text[] = "v=STSv1; id=2026;";

	switch (type) {
	case TYPE_A:
		add(data, "\313\0\161", 3);	/* 203.0.113 */
		add_number(data, 1 + question->number % 250, 1);
		break;
	case TYPE_AAAA:
		add(data, "\40\1\15\270\0\0\0\0\0\0\0\0", 12); /* 2001:db8:: */
		add_number(data, question->number + 1, 4);
		break;
	case TYPE_NS:
		add(data, "\2ns", 3);
		add_name(data, question->zone);
		break;
	case TYPE_MX:
		add_number(data, 10, 2);
		add(data, "\2mx", 3);
		add_name(data, question->name);
		break;
	case TYPE_TXT:
		add_number(data, sizeof(text) - 1, 1);
		add(data, text, sizeof(text) - 1);
		break;
	case TYPE_SOA: put_soa(question, data); break;
	case TYPE_DS: put_ds(question, data); break;
	case TYPE_DNSKEY: add(data, key_data, sizeof(key_data)); break;
	case TYPE_TLSA: put_tlsa(question, data); break;
	default: abort();
	}
}

/* The name right behind it is the next one; the bits of its types. */
static void put_nsec(const struct question *question, struct packet *data)
{
	uint64_t types = types_at(question) | TYPE_BIT(TYPE_RRSIG) |
	    TYPE_BIT(TYPE_NSEC);
	unsigned type;
	uint8_t map[TYPES_MAX / 8] = { 0 };

	for (type = 0; type < TYPES_MAX; type++)
		if ((types & TYPE_BIT(type)) != 0)
			map[type / 8] |= (uint8_t)(0x80 >> type % 8);
	add(data, "\1\0", 2);
	add_name(data, question->name);
	add_number(data, 0, 1);
	add_number(data, sizeof(map), 1);
	add(data, map, sizeof(map));
}

/* --- answers --- */

static unsigned labels_of(const uint8_t *name)
{
	unsigned count = 0;

	for (; *name != 0; name += *name + 1)
		count++;
	return count;
}

/* One record and, in a signed zone, its signature; how many. */
static unsigned add_set(struct packet *packet, const struct question *question,
    const uint8_t *name, unsigned type)
{
	struct packet data = { .length = 0 }, what = { .length = 0 };
	uint8_t raw[KEY_BYTES];

	if (type == TYPE_NSEC)
		put_nsec(question, &data);
	else
		put_data(question, type, &data);
	add_record(packet, name, type, &data);
	if (!question->is_signed)
		return 1;
	add_number(&what, type, 2);
	add_number(&what, ALGORITHM, 1);
	add_number(&what, labels_of(name), 1);
	add_number(&what, WORLD_TTL, 4);
	add_number(&what, expiration, 4);
	add_number(&what, inception, 4);
	add_number(&what, key_tag, 2);
	add_name(&what, question->zone);
	add_record(&what, name, type, &data);
	sign(&what, raw);
	data.length = 0;
	add(&data, what.bytes, 18 + name_length(question->zone));
	add(&data, raw, sizeof(raw));
	add_record(packet, name, TYPE_RRSIG, &data);
	return 2;
}

static void add_answer(struct packet *packet, const struct question *question)
{
	if (question->type < TYPES_MAX &&
	    (types_at(question) & TYPE_BIT(question->type)) != 0) {
		packet->answers = add_set(packet, question, question->name,
		    question->type);
		return;
	}
	packet->authorities = add_set(packet, question, question->zone,
	    TYPE_SOA);
	if (question->is_signed)
		packet->authorities += add_set(packet, question,
		    question->name, TYPE_NSEC);
}

/* --- questions --- */

static bool is_label(const uint8_t *label, const char *text)
{
	return label[0] == strlen(text) && memcmp(label + 1, text,
	    label[0]) == 0;
}

/* Below the destination's zone, whose label is the last but one. */
static enum place place_below(const struct question *question)
{
	const uint8_t *const *labels = question->labels;

	switch (question->count) {
	case 2: return PLACE_APEX;
	case 3: return is_label(labels[0], "mx") ? PLACE_HOST :
	    is_label(labels[0], "_mta-sts") ? PLACE_POLICY : PLACE_NOWHERE;
	case 5: return is_label(labels[0], "_25") &&
	    is_label(labels[2], "mx") ? PLACE_TLSA : PLACE_NOWHERE;
	default: return PLACE_NOWHERE;
	}
}

static void find_place(struct question *question)
{
	unsigned count = question->count, zone_labels;
	char digits[6];

	question->place = count == 0 ? PLACE_ROOT : count == 1 ? PLACE_TOP :
	    place_below(question);
	zone_labels = count < 2 ? count : 2;
	if (count >= 2 && question->labels[count - 2][0] == 6) {
		memcpy(digits, question->labels[count - 2] + 2, 5);
		digits[5] = '\0';
		question->number = (unsigned)strtoul(digits, NULL, 10);
	}
	if (question->type == TYPE_DS && count == zone_labels && count > 0)
		zone_labels--;
	question->zone = question->labels[count - zone_labels];
	question->is_signed = zone_labels < 2 || is_signed(question->number);
}

/* The offset behind the question, or 0. */
static size_t read_question(const uint8_t *query, size_t length,
    struct question *question)
{
	size_t at = 12, i;

	while (at + 5 <= length && query[at] != 0) {
		if (question->count == LABELS_MAX - 1)
			return 0;
		question->labels[question->count++] = question->name + at - 12;
		at += query[at] + 1u;
	}
	if (at + 5 > length || at - 12 >= sizeof(question->name))
		return 0;
	question->length = at + 1 - 12;
	for (i = 0; i < question->length; i++)
		question->name[i] = query[12 + i] >= 'A' &&
		    query[12 + i] <= 'Z' ? query[12 + i] + 32 : query[12 + i];
	question->labels[question->count] = question->name + at - 12;
	question->type = (unsigned)query[at + 1] << 8 | query[at + 2];
	find_place(question);
	return at + 5;
}

static void add_options(struct packet *packet)
{
	add_number(packet, 0, 1);		/* EDNS with DO */
	add_number(packet, TYPE_OPT, 2);
	add_number(packet, 1232, 2);
	add_number(packet, 0x8000, 4);
	add_number(packet, 0, 2);
}

static void answer(int fd, struct world_count *count)
{
	struct packet packet = { .length = 0 };
	struct question question = { .count = 0 };
	struct sockaddr_storage from;
	socklen_t from_length = sizeof(from);
	uint8_t query[600];
	ssize_t got = recvfrom(fd, query, sizeof(query), 0,
	    (struct sockaddr *)&from, &from_length);
	size_t end = got < 17 ? 0 : read_question(query, (size_t)got,
	    &question);

	if (end == 0)
		return;
	atomic_fetch_add(question.count < 2 ? &count->others :
	    &count->questions, 1);
	add(&packet, query, end);
	memset(packet.bytes + 6, 0, 6);
	add_answer(&packet, &question);
	add_options(&packet);
	packet.bytes[2] = 0x81;
	packet.bytes[3] = 0x80;
	packet.bytes[7] = (uint8_t)packet.answers;
	packet.bytes[9] = (uint8_t)packet.authorities;
	packet.bytes[11] = 1;
	sendto(fd, packet.bytes, packet.length, 0, (struct sockaddr *)&from,
	    from_length);
}

int world_open(struct endpoint *address)
{
	struct endpoint local;
	int fd, bytes = 1 << 20;

	make_key();
	endpoint_parse(&local, "127.0.0.1", 0);
	fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd == -1 || bind(fd, &local.address.any, local.length) == -1)
		abort();
	setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof(bytes));
	net_local(fd, address);
	return fd;
}

void world_serve(int fd, struct world_count *count)
{
	for (;;)
		answer(fd, count);
}
