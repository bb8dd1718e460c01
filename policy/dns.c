/* SPDX-License-Identifier: ISC */
/*
 * A reader for RFC 1035 answers: header, question, answer section, and the SOA
 * of the authority section for how long "no" holds (RFC 2308 5).
 */
#include "policy/dns.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/arena.h"

enum { HEADER_BYTES = 12, HOPS_MAX = 128, TYPE_CNAME = 5, TYPE_SOA = 6,
    CLASS_IN = 1, RCODE_NXDOMAIN = 3, NEGATIVE_TTL = 300,
    TEXT_MAX = 4 * DNS_NAME_MAX + 1 };

/* Where in the packet we are; bad once anything was wrong. */
struct packet {
	const uint8_t	*data;
	size_t		 length;
	size_t		 position;
	bool		 bad;
};

struct record {
	char		 owner[TEXT_MAX];
	uint16_t	 type;
	uint16_t	 class;
	uint32_t	 ttl;
	size_t		 data;		/* offset */
	uint16_t	 data_length;
};

static uint8_t get_u8(struct packet *packet)
{
	if (packet->bad || packet->position >= packet->length) {
		packet->bad = true;
		return 0;
	}
	return packet->data[packet->position++];
}

static uint16_t get_u16(struct packet *packet)
{
	uint16_t high = get_u8(packet);

	return (uint16_t)(high << 8 | get_u8(packet));
}

static uint32_t get_u32(struct packet *packet)
{
	uint32_t high = get_u16(packet);

	return high << 16 | get_u16(packet);
}

/* One label as text; bytes that are not of host names become \DDD. */
static size_t add_label(char *out, size_t used, const uint8_t *label,
    size_t length)
{
	size_t i;

	if (used > 0)
		out[used++] = '.';
	for (i = 0; i < length; i++) {
		if (isalnum(label[i]) || label[i] == '-' || label[i] == '_')
			out[used++] = (char)tolower(label[i]);
		else
			used += (size_t)snprintf(out + used, 5, "\\%03u",
			    label[i]);
	}
	return used;
}

/*
 * A name at the current position, with compression (RFC 1035 4.1.4). The root
 * is the empty text. At most 255 bytes of labels, so out (TEXT_MAX) holds it
 * with every byte escaped.
 */
static void get_name(struct packet *packet, char *out)
{
	size_t position = packet->position, used = 0, wire = 0;
	unsigned hops = 0;
	bool jumped = false;
	uint8_t length;

	out[0] = '\0';
	while (!packet->bad && position < packet->length) {
		length = packet->data[position++];
		if ((length & 0xc0) == 0xc0) {
			if (position >= packet->length || ++hops > HOPS_MAX)
				break;
			if (!jumped)
				packet->position = position + 1;
			jumped = true;
			position = (size_t)(length & 0x3f) << 8 |
			    packet->data[position];
			continue;
		}
		if (length == 0) {
			if (!jumped)
				packet->position = position;
			out[used] = '\0';
			return;
		}
		wire += length + 1u;
		if (length > 63 || position + length > packet->length ||
		    wire > DNS_NAME_MAX - 1)
			break;
		used = add_label(out, used, packet->data + position, length);
		position += length;
	}
	packet->bad = true;
	out[0] = '\0';
}

static void get_record(struct packet *packet, struct record *record)
{
	get_name(packet, record->owner);
	record->type = get_u16(packet);
	record->class = get_u16(packet);
	record->ttl = get_u32(packet);
	if (record->ttl > INT32_MAX)	/* RFC 2181 8 */
		record->ttl = 0;
	record->data_length = get_u16(packet);
	record->data = packet->position;
	if (packet->bad ||
	    record->data_length > packet->length - packet->position)
		packet->bad = true;
	else
		packet->position += record->data_length;
}

/* A reader for the data of a record: names may point back into the packet,
 * but not read past the record's end. */
static struct packet record_data(const struct packet *packet,
    const struct record *record)
{
	struct packet data = *packet;

	data.position = record->data;
	data.length = record->data + record->data_length;
	return data;
}

/* A record that cannot be used must not look like one that is not there: MX
 * would give way to the domain's own address (SMTP-169). */
static void note_malformed(struct dns_answer *answer)
{
	snprintf(answer->reason, sizeof(answer->reason),
	    "a record is malformed");
}

static void take_mx(struct packet *data, struct dns_answer *answer)
{
	struct fact_mx *mx = &answer->mx[answer->count];
	char name[TEXT_MAX];

	mx->preference = get_u16(data);
	get_name(data, name);
	if (data->bad || strlen(name) >= sizeof(mx->host)) {
		note_malformed(answer);
		return;
	}
	memcpy(mx->host, name, strlen(name) + 1);
	answer->count++;
}

static void take_name(struct packet *data, struct arena *arena,
    struct dns_answer *answer)
{
	char name[TEXT_MAX];

	get_name(data, name);
	if (!data->bad && name[0] != '\0' && strlen(name) <= DNS_NAME_MAX)
		answer->names[answer->count++] = arena_dup_string(arena, name);
}

static void take_address(const struct packet *data,
    const struct record *record, struct dns_answer *answer)
{
	bool v4 = record->type == DNS_A;

	if (record->data_length != (v4 ? 4 : 16)) {
		note_malformed(answer);
		return;
	}
	endpoint_from_bytes(&answer->addresses[answer->count++],
	    v4 ? AF_INET : AF_INET6, data->data + record->data, 0);
}

static void take_record(const struct packet *packet,
    const struct record *record, struct arena *arena, struct dns_answer *answer)
{
	struct packet data = record_data(packet, record);

	if (answer->count == DNS_RECORDS_MAX)
		return;
	switch (record->type) {
	case DNS_MX: take_mx(&data, answer); break;
	case DNS_PTR: take_name(&data, arena, answer); break;
	default: take_address(&data, record, answer); break;
	}
}

static void lower_ttl(struct dns_answer *answer, uint32_t ttl)
{
	if (ttl < answer->ttl)
		answer->ttl = ttl;
}

/* One pass over the answer section for records at
 * owner. A CNAME there moves owner on and true is returned: another pass is
 * needed. A section that ends early makes the packet bad: what is missing in
 * it must not be taken for absent. */
static bool read_answers(struct packet *whole, unsigned count, char *owner,
    struct arena *arena, enum dns_type type, struct dns_answer *answer)
{
	struct packet packet = *whole, data;
	struct record record;
	char target[TEXT_MAX];

	while (count-- > 0) {
		get_record(&packet, &record);
		if (packet.bad) {
			whole->bad = true;
			return false;
		}
		if (record.class != CLASS_IN ||
		    strcasecmp(record.owner, owner) != 0)
			continue;
		if (record.type == (uint16_t)type) {
			lower_ttl(answer, record.ttl);
			take_record(&packet, &record, arena, answer);
		} else if (record.type == TYPE_CNAME && answer->count == 0) {
			data = record_data(&packet, &record);
			get_name(&data, target);
			if (data.bad) {
				note_malformed(answer);
				continue;
			}
			lower_ttl(answer, record.ttl);
			memcpy(owner, target, strlen(target) + 1);
			return true;
		}
	}
	return false;
}

/* How long the absence holds: the SOA's TTL and minimum, whichever is less. */
static uint32_t negative_ttl(struct packet packet, unsigned answers,
    unsigned authorities)
{
	struct record record;
	struct packet data;
	char name[TEXT_MAX];
	uint32_t minimum;

	while (answers-- > 0)
		get_record(&packet, &record);
	while (authorities-- > 0 && !packet.bad) {
		get_record(&packet, &record);
		if (packet.bad || record.type != TYPE_SOA)
			continue;
		data = record_data(&packet, &record);
		get_name(&data, name);
		get_name(&data, name);
		data.position += 16;	/* serial, refresh, retry, expire */
		minimum = get_u32(&data);
		if (!data.bad)
			return minimum < record.ttl ? minimum : record.ttl;
	}
	return NEGATIVE_TTL;
}

static void set_error(struct dns_answer *answer, const char *reason)
{
	answer->result = FACT_ERROR;
	answer->count = 0;
	answer->ttl = 0;
	snprintf(answer->reason, sizeof(answer->reason), "%s", reason);
}

static void make_room(struct dns_answer *answer, struct arena *arena,
    enum dns_type type)
{
	if (type == DNS_MX)
		answer->mx = arena_alloc_array(arena, DNS_RECORDS_MAX,
		    sizeof(*answer->mx));
	else if (type == DNS_PTR)
		answer->names = arena_alloc_array(arena, DNS_RECORDS_MAX,
		    sizeof(*answer->names));
	else
		answer->addresses = arena_alloc_array(arena, DNS_RECORDS_MAX,
		    sizeof(*answer->addresses));
}

void dns_read(const uint8_t *data, size_t length, const char *name,
    enum dns_type type, struct arena *arena, struct dns_answer *answer)
{
	struct packet packet = { .data = data, .length = length };
	unsigned rcode, questions, answers, authorities, chain = 0;
	char owner[TEXT_MAX];

	memset(answer, 0, sizeof(*answer));
	answer->ttl = UINT32_MAX;
	if (length < HEADER_BYTES || strlen(name) >= sizeof(owner)) {
		set_error(answer, "the answer is too short");
		return;
	}
	rcode = data[3] & 15;
	packet.position = 4;
	questions = get_u16(&packet);
	answers = get_u16(&packet);
	authorities = get_u16(&packet);
	packet.position = HEADER_BYTES;
	while (questions-- > 0 && !packet.bad) {
		get_name(&packet, owner);
		packet.position += 4;	/* type and class */
	}
	snprintf(owner, sizeof(owner), "%s", name);
	make_room(answer, arena, type);
	while (!packet.bad && read_answers(&packet, answers, owner, arena, type,
	    answer) && ++chain < DNS_CHAIN_MAX)
		;
	if (packet.bad) {
		set_error(answer, "the answer is malformed");
	} else if (rcode != 0 && rcode != RCODE_NXDOMAIN) {
		set_error(answer, "the name server reports an error");
	} else if (chain == DNS_CHAIN_MAX) {
		set_error(answer, "the CNAME chain is too long");
	} else if (answer->count > 0) {
		answer->result = FACT_DATA;
	} else if (answer->reason[0] != '\0') {
		set_error(answer, "a record is malformed");
	} else {
		answer->result = rcode == RCODE_NXDOMAIN ? FACT_NXDOMAIN :
		    FACT_NODATA;
		lower_ttl(answer, negative_ttl(packet, answers, authorities));
	}
}
