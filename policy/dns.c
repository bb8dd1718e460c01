/* SPDX-License-Identifier: ISC */
/*
 * A reader for RFC 1035 answers: header, question, answer section, and the SOA
 * of the authority section for how long "no" holds (RFC 2308 5). Two passes
 * over the records at a name: the first counts, so that memory is taken for
 * what is there and no more.
 */
#include "policy/dns.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/arena.h"

enum { HEADER_BYTES = 12, HOPS_MAX = 128, CLASS_IN = 1,
    RCODE_NXDOMAIN = 3, NEGATIVE_TTL = 300,
    TEXT_MAX = 4 * DNS_NAME_MAX + 1 };

static const char malformed[] = "the answer is malformed";

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

/* What is looked for, and where along the aliases we are. */
struct question {
	char		 owner[TEXT_MAX];
	enum dns_type	 type;
	struct arena	*arena;
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
 * would give way to the domain's own address (SMTP-169). Nor is the rest of
 * the set an answer: who left one out could have left out any. */
static void take_mx(struct packet *data, struct dns_answer *answer)
{
	struct fact_mx *mx = &answer->mx[answer->count];
	char name[TEXT_MAX];

	mx->preference = get_u16(data);
	get_name(data, name);
	if (strlen(name) >= sizeof(mx->host))
		data->bad = true;
	else
		memcpy(mx->host, name, strlen(name) + 1);
}

static void take_name(struct packet *data, struct arena *arena,
    struct dns_answer *answer)
{
	char name[TEXT_MAX];

	get_name(data, name);
	answer->names[answer->count] = arena_dup_string(arena,
	    name[0] == '\0' ? "." : name);
}

static void take_address(struct packet *data, const struct record *record,
    struct dns_answer *answer)
{
	bool v4 = record->type == DNS_A;

	if (record->data_length != (v4 ? 4 : 16))
		data->bad = true;
	else
		endpoint_from_bytes(&answer->addresses[answer->count],
		    v4 ? AF_INET : AF_INET6, data->data + record->data, 0);
}

/* Any length is a record, none too: what it is worth is dane.c's to say. */
static void take_tlsa(const struct packet *data, const struct record *record,
    struct arena *arena, struct dns_answer *answer)
{
	const void *rdata = arena_dup_text(arena,
	    (const char *)data->data + record->data, record->data_length);

	dane_read(rdata, record->data_length, &answer->tlsa[answer->count]);
}

/* The strings of one record become one text (RFC 8461 3.1, RFC 7208 3.3). */
static void take_text(struct packet *data, const struct record *record,
    struct arena *arena, struct dns_answer *answer)
{
	char *text = arena_alloc(arena, record->data_length + 1u);
	size_t used = 0;
	uint8_t length;

	if (record->data_length == 0)	/* RFC 1035 3.3.14: one or more */
		data->bad = true;
	while (!data->bad && data->position < data->length) {
		length = get_u8(data);
		if (length > data->length - data->position) {
			data->bad = true;
			break;
		}
		memcpy(text + used, data->data + data->position, length);
		used += length;
		data->position += length;
	}
	answer->texts[answer->count] = text;
	answer->text_lengths[answer->count] = used;
}

/* False when it is malformed. */
static bool take_record(const struct packet *packet,
    const struct record *record, struct arena *arena, struct dns_answer *answer)
{
	struct packet data = record_data(packet, record);

	switch (record->type) {
	case DNS_MX: take_mx(&data, answer); break;
	case DNS_PTR:
	case DNS_CNAME: take_name(&data, arena, answer); break;
	case DNS_TXT: take_text(&data, record, arena, answer); break;
	case DNS_TLSA: take_tlsa(&data, record, arena, answer); break;
	case DNS_SOA:
	case DNS_DNSKEY: break;		/* they are counted */
	default: take_address(&data, record, answer); break;
	}
	answer->count++;
	return !data.bad;
}

static void lower_ttl(struct dns_answer *answer, uint32_t ttl)
{
	if (ttl < answer->ttl)
		answer->ttl = ttl;
}

/* What the answer section holds at one name. */
struct found {
	unsigned	 wanted;	/* records of the type asked for */
	bool		 alias;
	uint32_t	 alias_ttl;
	char		 target[TEXT_MAX];
};

/* One pass over the answer section. A section that ends early makes the packet
 * bad: what is missing in it must not be taken for absent. */
static void look_at(struct packet *whole, unsigned count, const char *owner,
    enum dns_type type, struct found *found)
{
	struct packet packet = *whole, data;
	struct record record;

	memset(found, 0, sizeof(*found));
	while (count-- > 0 && !whole->bad) {
		get_record(&packet, &record);
		whole->bad = packet.bad;
		if (packet.bad || record.class != CLASS_IN ||
		    strcasecmp(record.owner, owner) != 0)
			continue;
		if (record.type == (uint16_t)type) {
			found->wanted++;
		} else if (record.type == DNS_CNAME && !found->alias) {
			data = record_data(&packet, &record);
			get_name(&data, found->target);
			whole->bad = data.bad;
			found->alias = true;
			found->alias_ttl = record.ttl;
		}
	}
}

static void make_room(struct dns_answer *answer, struct arena *arena,
    enum dns_type type, size_t count)
{
	switch (type) {
	case DNS_MX:
		answer->mx = arena_alloc_array(arena, count,
		    sizeof(*answer->mx));
		break;
	case DNS_A:
	case DNS_AAAA:
		answer->addresses = arena_alloc_array(arena, count,
		    sizeof(*answer->addresses));
		break;
	case DNS_PTR:
	case DNS_CNAME:
		answer->names = arena_alloc_array(arena, count,
		    sizeof(*answer->names));
		break;
	case DNS_TLSA:
		answer->tlsa = arena_alloc_array(arena, count,
		    sizeof(*answer->tlsa));
		break;
	case DNS_TXT:
		answer->texts = arena_alloc_array(arena, count,
		    sizeof(*answer->texts));
		answer->text_lengths = arena_alloc_array(arena, count,
		    sizeof(*answer->text_lengths));
		break;
	case DNS_SOA:
	case DNS_DNSKEY:
		break;
	}
}

/* The second pass: how many there are is known. */
static void take_all(struct packet *whole, unsigned count, const char *owner,
    enum dns_type type, struct arena *arena, struct dns_answer *answer)
{
	struct packet packet = *whole;
	struct record record;

	while (count-- > 0 && !whole->bad) {
		get_record(&packet, &record);
		if (record.class != CLASS_IN ||
		    record.type != (uint16_t)type ||
		    strcasecmp(record.owner, owner) != 0)
			continue;
		lower_ttl(answer, record.ttl);
		if (!take_record(&packet, &record, arena, answer))
			whole->bad = true;
	}
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
		if (packet.bad || record.type != DNS_SOA)
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

/* Nothing of what was read so far is left. */
static void set_error(struct dns_answer *answer, const char *reason)
{
	memset(answer, 0, sizeof(*answer));
	answer->result = FACT_ERROR;
	snprintf(answer->reason, sizeof(answer->reason), "%s", reason);
}

/*
 * From name along the aliases to the records. The end of the chain is kept
 * whether or not anything is there. Null, or what is wrong.
 */
static const char *follow(struct packet *packet, unsigned answers,
    struct question *question, struct dns_answer *answer)
{
	struct found found;
	unsigned chain;

	for (chain = 0; chain < DNS_CHAIN_MAX; chain++) {
		look_at(packet, answers, question->owner, question->type,
		    &found);
		if (packet->bad)
			return malformed;
		if (found.wanted > DNS_RECORDS_MAX)
			return "the answer has more records than are taken";
		if (found.wanted > 0) {
			make_room(answer, question->arena, question->type,
			    found.wanted);
			take_all(packet, answers, question->owner,
			    question->type, question->arena, answer);
			return packet->bad ? "a record is malformed" : NULL;
		}
		if (!found.alias)
			return NULL;
		lower_ttl(answer, found.alias_ttl);
		memcpy(question->owner, found.target,
		    strlen(found.target) + 1);
		if (strlen(found.target) >= sizeof(answer->alias))
			return "the name at the end of the aliases is too long";
		snprintf(answer->alias, sizeof(answer->alias), "%.255s",
		    found.target[0] == '\0' ? "." : found.target);
	}
	return "the chain of aliases (CNAME) is too long or a circle";
}

/* Skips the question; the packet stands at the answer section then. */
static void read_header(struct packet *packet, unsigned *answers,
    unsigned *authorities)
{
	unsigned questions;
	char owner[TEXT_MAX];

	packet->position = 4;
	questions = get_u16(packet);
	*answers = get_u16(packet);
	*authorities = get_u16(packet);
	packet->position = HEADER_BYTES;
	while (questions-- > 0 && !packet->bad) {
		get_name(packet, owner);
		packet->position += 4;	/* type and class */
	}
}

void dns_read(const uint8_t *data, size_t length, const char *name,
    enum dns_type type, struct arena *arena, struct dns_answer *answer)
{
	struct packet packet = { .data = data, .length = length };
	struct question question = { .type = type, .arena = arena };
	unsigned rcode, answers, authorities;
	const char *wrong;

	memset(answer, 0, sizeof(*answer));
	answer->ttl = UINT32_MAX;
	if (length < HEADER_BYTES || strlen(name) >= sizeof(question.owner)) {
		set_error(answer, "the answer is too short");
		return;
	}
	rcode = data[3] & 15;
	read_header(&packet, &answers, &authorities);
	if (strcmp(name, ".") != 0)	/* the root is the empty name here */
		snprintf(question.owner, sizeof(question.owner), "%s", name);
	wrong = packet.bad ? malformed : follow(&packet, answers, &question,
	    answer);
	if (wrong == NULL && rcode != 0 && rcode != RCODE_NXDOMAIN)
		wrong = "the name server reports an error";
	if (wrong != NULL) {
		set_error(answer, wrong);
	} else if (answer->count > 0) {
		answer->result = FACT_DATA;
		if (type == DNS_CNAME)
			snprintf(answer->alias, sizeof(answer->alias), "%.255s",
			    answer->names[0]);
	} else {
		answer->result = rcode == RCODE_NXDOMAIN ? FACT_NXDOMAIN :
		    FACT_NODATA;
		lower_ttl(answer, negative_ttl(packet, answers, authorities));
	}
}
