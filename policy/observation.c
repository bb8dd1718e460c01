/* SPDX-License-Identifier: ISC */
/*
 * An observation on its way from delivery to policy. Delivery speaks with
 * strangers, so nothing of it is believed: what passes an array, a number that
 * is no word of ours and bytes that are left over spoil the whole, and texts
 * are made printable.
 */
#include "policy/observation.h"

#include <string.h>

#include "base/wire.h"

static const char *const stage_names[OBSERVED_STAGES] = {
	[OBSERVED_SKIPPED] = "skipped", [OBSERVED_FAILED] = "failed",
	[OBSERVED_CLEAR] = "clear", [OBSERVED_SECURED] = "secured",
};

const char *observed_stage_name(enum observed_stage stage)
{
	return (unsigned)stage < OBSERVED_STAGES ? stage_names[stage] : "";
}

static void put_text(struct wire_writer *writer, const char *text,
    size_t size)
{
	wire_put_bytes(writer, text, strnlen(text, size - 1));
}

#define PUT_TEXT(writer, array) put_text(writer, array, sizeof(array))

/* No bytes for none, also for what is no address of the Internet. */
static void put_address(struct wire_writer *writer,
    const struct endpoint *endpoint)
{
	sa_family_t family = endpoint->length == 0 ? AF_UNSPEC :
	    endpoint->address.any.sa_family;

	if (family == AF_INET6)
		wire_put_bytes(writer, &endpoint->address.v6.sin6_addr, 16);
	else if (family == AF_INET)
		wire_put_bytes(writer, &endpoint->address.v4.sin_addr, 4);
	else
		wire_put_bytes(writer, "", 0);
	wire_put_u16(writer, family == AF_INET6 || family == AF_INET ?
	    endpoint_port(endpoint) : 0);
}

void observation_put(struct wire_writer *writer,
    const struct observation *observation)
{
	size_t i;

	PUT_TEXT(writer, observation->domain);
	PUT_TEXT(writer, observation->host);
	put_address(writer, &observation->address);
	wire_put_u8(writer, (uint8_t)observation->stage);
	wire_put_u8(writer, (uint8_t)observation->wish);
	wire_put_u8(writer, (uint8_t)observation->requirement);
	wire_put_u8(writer, (uint8_t)observation->source);
	wire_put_u8(writer, (uint8_t)observation->ideal_source);
	wire_put_u8(writer, observation->expects_tls);
	wire_put_u64(writer, observation->tlsa_digest);
	PUT_TEXT(writer, observation->tlsa_domain);
	wire_put_u64(writer, observation->sts_digest);
	wire_put_u8(writer, (uint8_t)observation->result);
	PUT_TEXT(writer, observation->reason);
	PUT_TEXT(writer, observation->symptom);
	PUT_TEXT(writer, observation->keywords);
	PUT_TEXT(writer, observation->reply);
	PUT_TEXT(writer, observation->version);
	PUT_TEXT(writer, observation->cipher);
	wire_put_u8(writer, (uint8_t)observation->web);
	wire_put_u8(writer, (uint8_t)observation->chain_count);
	for (i = 0; i < observation->chain_count; i++)
		wire_put_bytes(writer, observation->chain[i], DIGEST_BYTES);
}

/* What a peer wrote is shown to people and stands in logs and reports. */
static void get_text(struct wire_reader *reader, char *out, size_t size)
{
	wire_copy_text(reader, out, size);
	for (; *out != '\0'; out++)
		if (*out < ' ' || *out > '~')
			*out = '?';
}

#define GET_TEXT(reader, array) get_text(reader, array, sizeof(array))

static void get_address(struct wire_reader *reader, struct endpoint *endpoint)
{
	size_t length;
	const void *bytes = wire_get_bytes(reader, 16, &length);
	uint16_t port = wire_get_u16(reader);

	if (length == 16)
		endpoint_from_bytes(endpoint, AF_INET6, bytes, port);
	else if (length == 4)
		endpoint_from_bytes(endpoint, AF_INET, bytes, port);
	else if (length != 0 || port != 0)
		reader->bad = true;
}

static void get_chain(struct wire_reader *reader,
    struct observation *observation)
{
	const void *bytes;
	size_t length, i;

	observation->chain_count = wire_get_enum(reader,
	    OBSERVATION_CHAIN_MAX + 1);
	for (i = 0; i < observation->chain_count; i++) {
		bytes = wire_get_bytes(reader, DIGEST_BYTES, &length);
		if (length == DIGEST_BYTES)
			memcpy(observation->chain[i], bytes, DIGEST_BYTES);
		else
			reader->bad = true;
	}
}

static void get_question(struct wire_reader *reader,
    struct observation *observation)
{
	observation->wish = wire_get_enum(reader, WISHES);
	observation->requirement = wire_get_enum(reader, REQUIREMENTS);
	observation->source = wire_get_enum(reader, SOURCES);
	observation->ideal_source = wire_get_enum(reader, SOURCES);
	observation->expects_tls = wire_get_enum(reader, 2);
	observation->tlsa_digest = wire_get_u64(reader);
	GET_TEXT(reader, observation->tlsa_domain);
	observation->sts_digest = wire_get_u64(reader);
}

static void get_answer(struct wire_reader *reader,
    struct observation *observation)
{
	observation->result = wire_get_enum(reader, TLS_RESULTS);
	GET_TEXT(reader, observation->reason);
	GET_TEXT(reader, observation->symptom);
	GET_TEXT(reader, observation->keywords);
	GET_TEXT(reader, observation->reply);
	GET_TEXT(reader, observation->version);
	GET_TEXT(reader, observation->cipher);
	observation->web = wire_get_enum(reader, WEB_STATES);
	get_chain(reader, observation);
}

/* Nobody connects to a host that is left out. */
static bool is_sound(const struct observation *observation)
{
	enum plan_source ideal = observation->ideal_source;

	return observation->domain[0] != '\0' &&
	    observation->host[0] != '\0' &&
	    (ideal == SOURCE_NONE || ideal == SOURCE_DANE ||
	    ideal == SOURCE_STS) &&
	    (observation->stage != OBSERVED_SKIPPED ||
	    observation->chain_count == 0);
}

int observation_get(struct wire_reader *reader,
    struct observation *observation)
{
	memset(observation, 0, sizeof(*observation));
	GET_TEXT(reader, observation->domain);
	GET_TEXT(reader, observation->host);
	get_address(reader, &observation->address);
	observation->stage = wire_get_enum(reader, OBSERVED_STAGES);
	get_question(reader, observation);
	get_answer(reader, observation);
	return wire_read_end(reader) == 0 && is_sound(observation) ? 0 : -1;
}
