/* SPDX-License-Identifier: ISC */
/*
 * Digests: the key of a plan, by which connections are shared, and the short
 * ones by which sessions name the policies they were judged by.
 */
#include "policy/plan_private.h"

#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/digest.h"

static void digest_text(struct digest *digest, const char *text)
{
	digest_add(digest, text, strlen(text) + 1);
}

static int compare_digests(const void *one, const void *other)
{
	return memcmp(one, other, DIGEST_BYTES);
}

/* A set: resolvers turn the order of records, and equal preferences are
 * shuffled, which is nothing to TLS. */
static void digest_set(struct digest *digest, uint8_t (*set)[DIGEST_BYTES],
    size_t count)
{
	qsort(set, count, DIGEST_BYTES, compare_digests);
	digest_add(digest, set, count * DIGEST_BYTES);
}

static void digest_record(const struct dane_record *record, uint8_t *out)
{
	uint8_t head[] = { record->usage, record->selector, record->matching,
	    record->whole };
	struct digest *digest = digest_new();

	digest_add(digest, head, sizeof(head));
	if (record->length > 0)
		digest_add(digest, record->data, record->length);
	digest_end(digest, out);
}

static void digest_records(struct digest *digest, const struct plan_host *host)
{
	uint8_t set[PLAN_TLSA_MAX][DIGEST_BYTES];
	size_t i;

	for (i = 0; i < host->tlsa_count; i++)
		digest_record(&host->tlsa[i], set[i]);
	digest_set(digest, set, host->tlsa_count);
}

static void digest_host(const struct plan_host *host, uint8_t *out)
{
	struct digest *digest = digest_new();
	uint32_t numbers[] = { host->requirement, host->source,
	    host->also_name, host->ideal, host->ideal_source,
	    host->requiretls, (uint32_t)host->name_count };
	size_t i;

	digest_add(digest, numbers, sizeof(numbers));
	digest_text(digest, host->name);
	digest_text(digest, host->sni);
	for (i = 0; i < host->name_count; i++)
		digest_text(digest, host->names[i]);
	digest_records(digest, host);
	digest_end(digest, out);
}

/* Everything that decides TLS, and nothing that does not: a host that is
 * skipped has no connection that could be shared. The wish, too: a message
 * with one of its own never goes over a connection made for others. */
void planner_set_key(struct plan *plan)
{
	struct digest *digest = digest_new();
	uint8_t hosts[PLAN_HOSTS_MAX][DIGEST_BYTES];
	uint32_t numbers[] = { plan->wish, (uint32_t)plan->fingerprint_count,
	    plan->implicit_tls, plan->no_starttls, plan->broken_tls };
	int64_t times[] = { plan->no_starttls_after, plan->broken_tls_after };
	size_t i, count = 0;

	digest_add(digest, numbers, sizeof(numbers));
	digest_add(digest, times, sizeof(times));
	if (plan->fingerprint_count > 0)
		digest_add(digest, plan->fingerprints,
		    plan->fingerprint_count * DIGEST_BYTES);
	for (i = 0; i < plan->host_count; i++)
		if (!plan->hosts[i].skip)
			digest_host(&plan->hosts[i], hosts[count++]);
	digest_set(digest, hosts, count);
	digest_end(digest, plan->key);
}

/* --- policies --- */

static uint64_t end_short(struct digest *digest)
{
	uint8_t bytes[DIGEST_BYTES];
	uint64_t value = 0;
	size_t i;

	digest_end(digest, bytes);
	for (i = 0; i < sizeof(value); i++)
		value = value << 8 | bytes[i];
	return value == 0 ? 1 : value;
}

uint64_t planner_digest_records(struct planner *planner,
    const struct fact *fact)
{
	uint8_t (*set)[DIGEST_BYTES] = arena_alloc_array(planner->arena,
	    fact->count, DIGEST_BYTES);
	struct digest *digest = digest_new();
	size_t i;

	for (i = 0; i < fact->count; i++)
		digest_record(&fact->tlsa[i], set[i]);
	digest_set(digest, set, fact->count);
	return end_short(digest);
}

/* What stands in it (RFC 8461 3.2); its id is not part of the text. */
uint64_t planner_digest_policy(const struct sts_policy *policy)
{
	struct digest *digest = digest_new();
	size_t i;

	digest_text(digest, sts_mode_name(policy->mode));
	for (i = 0; i < policy->mx_count; i++)
		digest_text(digest, policy->mx[i]);
	digest_add(digest, &policy->max_age, sizeof(policy->max_age));
	return end_short(digest);
}
