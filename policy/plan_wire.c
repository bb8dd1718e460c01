/* SPDX-License-Identifier: ISC */
/*
 * A plan on its way from policy to delivery, without its notes. Reading bounds
 * every count before it takes memory: policy parses what strangers publish, so
 * delivery does not believe it either. A host whose requirement comes without
 * what would fulfil it is no host.
 */
#include "policy/plan.h"

#include <string.h>

#include "base/arena.h"
#include "base/wire.h"

enum { NAME_MAX_BYTES = 255 };

/* The TLSA octets that a plan under reading may still have. */
struct allowance {
	size_t	 tlsa_bytes;
};

static void put_endpoint(struct wire_writer *writer,
    const struct endpoint *endpoint)
{
	if (endpoint->address.any.sa_family == AF_INET6)
		wire_put_bytes(writer, &endpoint->address.v6.sin6_addr, 16);
	else
		wire_put_bytes(writer, &endpoint->address.v4.sin_addr, 4);
	wire_put_u16(writer, endpoint_port(endpoint));
}

static void put_tlsa(struct wire_writer *writer,
    const struct dane_record *record)
{
	wire_put_u8(writer, record->usage);
	wire_put_u8(writer, record->selector);
	wire_put_u8(writer, record->matching);
	wire_put_bytes(writer, record->data, record->length);
}

static void put_host(struct wire_writer *writer, const struct plan_host *host)
{
	size_t i;

	wire_put_text(writer, host->name);
	wire_put_u16(writer, host->preference);
	wire_put_u8(writer, host->skip);
	if (host->skip) {
		status_put(writer, &host->skipped);
		wire_put_u8(writer, (uint8_t)host->skipped_result);
	}
	wire_put_u8(writer, (uint8_t)host->requirement);
	wire_put_u8(writer, (uint8_t)host->source);
	wire_put_u8(writer, (uint8_t)host->ideal);
	wire_put_u8(writer, (uint8_t)host->ideal_source);
	wire_put_u8(writer, host->sts_mismatch);
	wire_put_u8(writer, host->expects_tls);
	wire_put_u8(writer, host->requiretls);
	wire_put_u8(writer, host->also_name);
	wire_put_u8(writer, host->note_name);
	wire_put_text(writer, host->sni);
	wire_put_text(writer, host->tlsa_domain);
	wire_put_u64(writer, host->tlsa_digest);
	wire_put_text(writer, host->reason);
	wire_put_u8(writer, (uint8_t)host->address_count);
	for (i = 0; i < host->address_count; i++)
		put_endpoint(writer, &host->addresses[i]);
	wire_put_u8(writer, (uint8_t)host->name_count);
	for (i = 0; i < host->name_count; i++)
		wire_put_text(writer, host->names[i]);
	wire_put_u16(writer, (uint16_t)host->tlsa_count);
	for (i = 0; i < host->tlsa_count; i++)
		put_tlsa(writer, &host->tlsa[i]);
}

void plan_put(struct wire_writer *writer, const struct plan *plan)
{
	size_t i;

	status_put(writer, &plan->status);
	wire_put_text(writer, plan->alarm);
	wire_put_u8(writer, plan->implicit_tls);
	wire_put_u8(writer, (uint8_t)plan->no_starttls);
	wire_put_u64(writer, (uint64_t)plan->no_starttls_after);
	wire_put_u8(writer, (uint8_t)plan->broken_tls);
	wire_put_u64(writer, (uint64_t)plan->broken_tls_after);
	wire_put_bytes(writer, plan->key, DIGEST_BYTES);
	wire_put_u32(writer, plan->ttl);
	wire_put_u64(writer, plan->generation);
	wire_put_text(writer, plan->next_hop);
	wire_put_u8(writer, (uint8_t)plan->wish);
	wire_put_u64(writer, plan->exception);
	wire_put_u64(writer, plan->sts_digest);
	wire_put_u8(writer, plan->vanished_dane);
	wire_put_u8(writer, plan->vanished_sts);
	wire_put_u8(writer, (uint8_t)plan->fingerprint_count);
	for (i = 0; i < plan->fingerprint_count; i++)
		wire_put_bytes(writer, plan->fingerprints[i], DIGEST_BYTES);
	wire_put_u8(writer, (uint8_t)plan->host_count);
	for (i = 0; i < plan->host_count; i++)
		put_host(writer, &plan->hosts[i]);
}

/* A field of exactly that many bytes. */
static void get_exactly(struct wire_reader *reader, void *out, size_t length)
{
	const void *bytes;
	size_t got;

	bytes = wire_get_bytes(reader, length, &got);
	if (got == length)
		memcpy(out, bytes, length);
	else
		reader->bad = true;
}

static void get_endpoint(struct wire_reader *reader, struct endpoint *endpoint)
{
	const void *bytes;
	size_t length;
	uint16_t port;

	bytes = wire_get_bytes(reader, 16, &length);
	port = wire_get_u16(reader);
	if (length == 16)
		endpoint_from_bytes(endpoint, AF_INET6, bytes, port);
	else if (length == 4)
		endpoint_from_bytes(endpoint, AF_INET, bytes, port);
	else
		reader->bad = true;
}

static void get_name(struct wire_reader *reader, struct arena *arena,
    char *out, size_t size)
{
	const char *text = wire_get_text(reader, arena, size - 1);

	memcpy(out, text, strlen(text) + 1);
}

/* A record that policy would not have called usable is not from policy; DER is
 * not read again. */
static void get_tlsa(struct wire_reader *reader, struct arena *arena,
    struct allowance *allowance, struct dane_record *record)
{
	static const size_t digest_bytes[] = { [1] = 32, [2] = 64 };
	const void *data;

	record->usage = (uint8_t)wire_get_enum(reader, DANE_USAGE_EE + 1);
	record->selector = (uint8_t)wire_get_enum(reader, 2);
	record->matching = (uint8_t)wire_get_enum(reader, 3);
	record->whole = true;
	data = wire_get_bytes(reader, allowance->tlsa_bytes, &record->length);
	if (record->usage < DANE_USAGE_TA || record->length == 0 ||
	    (record->matching > 0 &&
	    record->length != digest_bytes[record->matching]))
		reader->bad = true;
	if (reader->bad)
		return;
	allowance->tlsa_bytes -= record->length;
	record->data = arena_dup(arena, data, record->length);
}

static void get_records(struct wire_reader *reader, struct arena *arena,
    struct allowance *allowance, struct plan_host *host)
{
	size_t i;

	host->tlsa_count = wire_get_u16(reader);
	if (host->tlsa_count > PLAN_TLSA_MAX)
		reader->bad = true;
	if (reader->bad)
		host->tlsa_count = 0;
	host->tlsa = arena_alloc_array(arena, host->tlsa_count,
	    sizeof(*host->tlsa));
	for (i = 0; i < host->tlsa_count && !reader->bad; i++)
		get_tlsa(reader, arena, allowance, &host->tlsa[i]);
}

static void get_addresses(struct wire_reader *reader, struct arena *arena,
    struct plan_host *host)
{
	size_t i;

	host->address_count = wire_get_enum(reader, PLAN_ADDRESSES_MAX + 1);
	host->addresses = arena_alloc_array(arena, host->address_count,
	    sizeof(*host->addresses));
	for (i = 0; i < host->address_count && !reader->bad; i++)
		get_endpoint(reader, &host->addresses[i]);
}

static void get_names(struct wire_reader *reader, struct arena *arena,
    struct plan_host *host)
{
	size_t i;

	host->name_count = wire_get_enum(reader, PLAN_NAMES_MAX + 1);
	host->names = arena_alloc_array(arena, host->name_count,
	    sizeof(*host->names));
	for (i = 0; i < host->name_count && !reader->bad; i++)
		host->names[i] = wire_get_text(reader, arena,
		    NAME_MAX_BYTES);
}

/* A host that is left out waits; only REQUIRETLS gives mail back. */
static bool has_right_skip(const struct plan_host *host, enum plan_wish wish)
{
	return host->skipped.outcome == STATUS_DEFERRED ||
	    (host->skipped.outcome == STATUS_FAILED &&
	    host->skipped.reason == REASON_REQUIRETLS &&
	    wish == WISH_REQUIRETLS);
}

/* What is tried beside a requirement would take its names away. */
static bool has_right_ideal(const struct plan_host *host)
{
	bool above = host->ideal > host->requirement;

	switch (host->ideal_source) {
	case SOURCE_NONE:
	case SOURCE_DANE:
	case SOURCE_STS:
		break;
	default:
		return false;
	}
	if (above && (host->requirement == REQUIRE_CLEAR ||
	    host->requirement >= REQUIRE_NAME ||
	    host->ideal == REQUIRE_FINGERPRINT))
		return false;
	return !host->sts_mismatch ||
	    (above && host->ideal_source == SOURCE_STS);
}

/* What a wish and memory say of a host is there, and only what they do. */
static bool has_right_marks(const struct plan_host *host, enum plan_wish wish)
{
	if (host->requiretls != (wish == WISH_REQUIRETLS ||
	    wish == WISH_REQUIRETLS_BOUNCE))
		return false;
	if (wish == WISH_REQUIRETLS && host->requirement < REQUIRE_NAME)
		return false;
	return !host->expects_tls ||
	    host->requirement == REQUIRE_OPPORTUNISTIC;
}

/* No records would mean any certificate of a known authority to OpenSSL. */
static bool has_means(const struct plan_host *host)
{
	enum requirement most = host->ideal > host->requirement ?
	    host->ideal : host->requirement;

	if (most == REQUIRE_DANE && host->tlsa_count == 0)
		return false;
	if ((most == REQUIRE_DANE || most == REQUIRE_NAME) &&
	    host->name_count == 0)
		return false;
	if (host->requirement != REQUIRE_DANE)
		return !host->also_name && !host->note_name;
	return !(host->also_name && host->note_name);
}

static bool is_complete(const struct plan_host *host, enum plan_wish wish)
{
	if ((host->tlsa_domain[0] == '\0') != (host->tlsa_digest == 0))
		return false;
	if (host->skip)
		return has_right_skip(host, wish);
	return has_right_ideal(host) && has_right_marks(host, wish) &&
	    has_means(host);
}

static void get_host(struct wire_reader *reader, struct arena *arena,
    struct allowance *allowance, enum plan_wish wish, struct plan_host *host)
{
	get_name(reader, arena, host->name, sizeof(host->name));
	host->preference = wire_get_u16(reader);
	host->skip = wire_get_enum(reader, 2);
	if (host->skip) {
		status_get(reader, &host->skipped);
		host->skipped_result = wire_get_enum(reader, TLS_RESULTS);
	}
	host->requirement = wire_get_enum(reader, REQUIREMENTS);
	host->source = wire_get_enum(reader, SOURCES);
	host->ideal = wire_get_enum(reader, REQUIREMENTS);
	host->ideal_source = wire_get_enum(reader, SOURCES);
	host->sts_mismatch = wire_get_enum(reader, 2);
	host->expects_tls = wire_get_enum(reader, 2);
	host->requiretls = wire_get_enum(reader, 2);
	host->also_name = wire_get_enum(reader, 2);
	host->note_name = wire_get_enum(reader, 2);
	get_name(reader, arena, host->sni, sizeof(host->sni));
	get_name(reader, arena, host->tlsa_domain, sizeof(host->tlsa_domain));
	host->tlsa_digest = wire_get_u64(reader);
	get_name(reader, arena, host->reason, sizeof(host->reason));
	get_addresses(reader, arena, host);
	get_names(reader, arena, host);
	get_records(reader, arena, allowance, host);
	if (!is_complete(host, wish))
		reader->bad = true;
}

static bool all_fail(const struct plan *plan)
{
	size_t i;

	for (i = 0; i < plan->host_count; i++)
		if (!plan->hosts[i].skip ||
		    plan->hosts[i].skipped.outcome != STATUS_FAILED)
			return false;
	return true;
}

/* What to do when nobody is to be tried: where one host only waits, the mail
 * does, and none is ever delivered by a plan. */
static bool has_right_status(const struct plan *plan)
{
	if (plan_can_try(plan))
		return true;
	return plan->status.outcome == STATUS_DEFERRED ||
	    (plan->status.outcome == STATUS_FAILED && all_fail(plan));
}

static void get_fallbacks(struct wire_reader *reader, struct plan *plan)
{
	plan->no_starttls = wire_get_enum(reader, FALLBACK_CLEAR_AFTER + 1);
	plan->no_starttls_after = (int64_t)wire_get_u64(reader);
	plan->broken_tls = wire_get_enum(reader, FALLBACK_CLEAR_AFTER + 1);
	plan->broken_tls_after = (int64_t)wire_get_u64(reader);
}

struct plan *plan_get(struct wire_reader *reader, struct arena *arena)
{
	struct allowance allowance = { .tlsa_bytes = PLAN_TLSA_BYTES_MAX };
	struct plan *plan = arena_alloc(arena, sizeof(*plan));
	size_t i;

	status_get(reader, &plan->status);
	get_name(reader, arena, plan->alarm, sizeof(plan->alarm));
	plan->implicit_tls = wire_get_enum(reader, 2);
	get_fallbacks(reader, plan);
	get_exactly(reader, plan->key, DIGEST_BYTES);
	plan->ttl = wire_get_u32(reader);
	plan->generation = wire_get_u64(reader);
	get_name(reader, arena, plan->next_hop, sizeof(plan->next_hop));
	plan->wish = wire_get_enum(reader, WISHES);
	plan->exception = wire_get_u64(reader);
	plan->sts_digest = wire_get_u64(reader);
	plan->vanished_dane = wire_get_enum(reader, 2);
	plan->vanished_sts = wire_get_enum(reader, 2);
	plan->fingerprint_count = wire_get_enum(reader,
	    PLAN_FINGERPRINTS_MAX + 1);
	plan->fingerprints = arena_alloc_array(arena, plan->fingerprint_count,
	    DIGEST_BYTES);
	for (i = 0; i < plan->fingerprint_count && !reader->bad; i++)
		get_exactly(reader, plan->fingerprints[i], DIGEST_BYTES);
	plan->host_count = wire_get_enum(reader, PLAN_HOSTS_MAX + 1);
	plan->hosts = arena_alloc_array(arena, plan->host_count,
	    sizeof(*plan->hosts));
	for (i = 0; i < plan->host_count && !reader->bad; i++)
		get_host(reader, arena, &allowance, plan->wish,
		    &plan->hosts[i]);
	if (wire_read_end(reader) == -1 || !has_right_status(plan))
		return NULL;
	return plan;
}
