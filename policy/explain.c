/* SPDX-License-Identifier: ISC */
/*
 * See explain.h. Sets that are very large are cut, with the number of what is
 * left out, so that an explanation has a bound whatever is published.
 */
#include "policy/explain.h"

#include <stdio.h>
#include <string.h>

#include "base/digest.h"
#include "base/log.h"
#include "base/net.h"
#include "conf/conf.h"
#include "policy/plan.h"
#include "policy/sts_policy.h"

enum { ITEMS_MAX = 64, DATA_BYTES_MAX = 1024 };

/* Text that may have come from outside; JSON wants UTF-8. */
static json_t *text(const char *value)
{
	json_t *string = json_string(value);
	char escaped[1024];

	if (string != NULL)
		return string;
	log_escape(value, strlen(value), escaped, sizeof(escaped));
	return json_string(escaped);
}

static void put(json_t *object, const char *key, json_t *value)
{
	json_object_set_new(object, key, value);
}

static void put_text(json_t *object, const char *key, const char *value)
{
	if (value[0] != '\0')
		put(object, key, text(value));
}

static json_t *hex(const uint8_t *data, size_t length)
{
	char out[2 * DATA_BYTES_MAX + 1];

	if (length > DATA_BYTES_MAX)
		length = DATA_BYTES_MAX;
	hex_format(data, length, out, sizeof(out));
	return json_string(out);
}

/* --- what was found --- */

static json_t *explain_mx(const struct fact_mx *mx)
{
	return json_pack("{s:i, s:o}", "preference", (int)mx->preference,
	    "host", text(mx->host[0] == '\0' ? "." : mx->host));
}

static json_t *explain_address(const struct endpoint *endpoint)
{
	char address[ENDPOINT_TEXT_MAX];

	endpoint_format(endpoint, address, sizeof(address));
	return json_string(address);
}

static json_t *explain_tlsa(const struct dane_record *record)
{
	char shown[DANE_TEXT_MAX], why[160] = "";
	bool usable = dane_is_usable(record, why, sizeof(why));
	json_t *object;

	dane_format(record, shown, sizeof(shown));
	object = json_pack("{s:s, s:b, s:I, s:o}", "record", shown,
	    "usable", usable, "length", (json_int_t)record->length, "data",
	    hex(record->data, record->length));
	if (!usable)
		put_text(object, "why", why);
	return object;
}

static json_t *explain_policy(const struct fact_sts *sts)
{
	json_t *patterns = json_array();
	size_t i;

	for (i = 0; i < sts->policy.mx_count; i++)
		json_array_append_new(patterns, text(sts->policy.mx[i]));
	return json_pack("{s:s, s:o, s:I, s:o, s:b}", "mode",
	    sts_mode_name(sts->policy.mode), "mx", patterns, "max-age",
	    (json_int_t)sts->policy.max_age, "id", text(sts->id), "remembered",
	    sts->cached);
}

static json_t *explain_item(const struct fact *fact, size_t i)
{
	switch (fact->query.type) {
	case QUERY_MX: return explain_mx(&fact->mx[i]);
	case QUERY_A:
	case QUERY_AAAA: return explain_address(&fact->addresses[i]);
	case QUERY_TLSA: return explain_tlsa(&fact->tlsa[i]);
	case QUERY_STS:
	case QUERY_STS_CACHED: return explain_policy(&fact->sts[i]);
	case QUERY_CNAME: return text(fact->alias);
	default: bug("query of an explanation");
	}
}

static const char *result_name(enum fact_result result)
{
	static const char *const names[FACT_RESULTS] = {
		[FACT_UNKNOWN] = "unknown", [FACT_DATA] = "data",
		[FACT_NODATA] = "nodata", [FACT_NXDOMAIN] = "nxdomain",
		[FACT_BOGUS] = "bogus", [FACT_ERROR] = "error" };

	return names[result];
}

static const char *dnssec_name(const struct fact *fact)
{
	if (fact->result == FACT_BOGUS)
		return "bogus";
	if (fact->result == FACT_ERROR)
		return "error";
	return fact->secure ? "secure" : "insecure";
}

static json_t *explain_fact(const struct fact *fact)
{
	json_t *object = json_pack("{s:s, s:o, s:s, s:s, s:I}", "query",
	    query_type_name(fact->query.type), "name", text(fact->query.name),
	    "result", result_name(fact->result), "dnssec", dnssec_name(fact),
	    "ttl", (json_int_t)fact->ttl);
	json_t *data = json_array();
	size_t i;

	for (i = 0; i < fact->count && i < ITEMS_MAX &&
	    fact->result == FACT_DATA; i++)
		json_array_append_new(data, explain_item(fact, i));
	put(object, "data", data);
	if (fact->count > ITEMS_MAX)
		put(object, "more", json_integer((json_int_t)(fact->count -
		    ITEMS_MAX)));
	put_text(object, "alias", fact->alias);
	put_text(object, "reason", fact->reason);
	return object;
}

/* --- what follows from it --- */

static json_t *explain_status(const struct status *status)
{
	char enhanced[24];

	status_format_enhanced(status, enhanced, sizeof(enhanced));
	return json_pack("{s:s, s:s, s:s, s:o}", "outcome",
	    status_outcome_name(status->outcome), "reason",
	    status_reason_name(status->reason), "status", enhanced, "text",
	    text(status->text));
}

static json_t *explain_names(const struct plan_host *host)
{
	json_t *names = json_array();
	size_t i;

	for (i = 0; i < host->name_count; i++)
		json_array_append_new(names, text(host->names[i]));
	return names;
}

static json_t *explain_addresses(const struct plan_host *host)
{
	json_t *addresses = json_array();
	size_t i;

	for (i = 0; i < host->address_count; i++)
		json_array_append_new(addresses,
		    explain_address(&host->addresses[i]));
	return addresses;
}

static json_t *explain_records(const struct plan_host *host)
{
	json_t *records = json_array();
	char shown[DANE_TEXT_MAX];
	size_t i;

	for (i = 0; i < host->tlsa_count && i < ITEMS_MAX; i++) {
		dane_format(&host->tlsa[i], shown, sizeof(shown));
		json_array_append_new(records, json_string(shown));
	}
	return records;
}

static json_t *explain_host(const struct plan_host *host)
{
	json_t *object = json_pack("{s:o, s:i, s:o, s:b, s:s, s:s, s:o, s:o, "
	    "s:b, s:o}", "name", text(host->name), "preference",
	    (int)host->preference, "addresses", explain_addresses(host),
	    "skip", host->skip, "requirement",
	    requirement_name(host->requirement), "source",
	    plan_source_name(host->source), "names", explain_names(host),
	    "tlsa", explain_records(host), "also-name", host->also_name,
	    "reason", text(host->reason));

	put_text(object, "sni", host->sni);
	if (host->skip)
		put(object, "skipped", explain_status(&host->skipped));
	return object;
}

static json_t *explain_hosts(const struct plan *plan)
{
	json_t *hosts = json_array();
	size_t i;

	for (i = 0; i < plan->host_count; i++)
		json_array_append_new(hosts, explain_host(&plan->hosts[i]));
	return hosts;
}

static json_t *explain_notes(const struct plan *plan)
{
	json_t *notes = json_array();
	size_t i;

	for (i = 0; i < plan->note_count; i++)
		json_array_append_new(notes, json_pack("{s:o, s:o, s:o}",
		    "subject", text(plan->notes[i].subject), "clause",
		    text(plan->notes[i].clause), "text",
		    text(plan->notes[i].text)));
	return notes;
}

/* "clear", "defer", "clear-after 14400" (seconds). */
static json_t *explain_fallback(enum conf_fallback fallback, int64_t after)
{
	char out[48];

	snprintf(out, sizeof(out), "clear-after %lld", (long long)after);
	return json_string(fallback == FALLBACK_CLEAR ? "clear" :
	    fallback == FALLBACK_DEFER ? "defer" : out);
}

static json_t *explain_fingerprints(const struct plan *plan)
{
	json_t *fingerprints = json_array();
	size_t i;

	for (i = 0; i < plan->fingerprint_count; i++)
		json_array_append_new(fingerprints,
		    hex(plan->fingerprints[i], DIGEST_BYTES));
	return fingerprints;
}

static json_t *explain_facts(const struct plan_facts *facts)
{
	json_t *all = json_array();
	size_t i;

	for (i = 0; i < facts->fact_count; i++)
		json_array_append_new(all, explain_fact(&facts->facts[i]));
	return all;
}

static json_t *explain_next_hop(const struct conf_next_hop *next)
{
	return json_pack("{s:o, s:i, s:b, s:s}", "host", text(next->host),
	    "port", (int)next->port, "mx", next->mx, "tls",
	    next->implicit_tls ? "implicit" : "starttls");
}

json_t *explain_plan(const struct plan_facts *facts, const struct plan *plan)
{
	json_t *object = json_pack("{s:o, s:s, s:o, s:o, s:o, s:I, s:o, s:o, "
	    "s:o, s:o, s:o, s:I}", "domain", text(facts->domain), "level",
	    conf_level_name(facts->destination->level), "destination",
	    text(facts->destination->pattern == NULL ? "" :
	    facts->destination->pattern), "next-hop",
	    explain_next_hop(facts->next), "fingerprints",
	    explain_fingerprints(plan), "waited",
	    (json_int_t)facts->waited, "facts", explain_facts(facts),
	    "decisions", explain_notes(plan), "hosts", explain_hosts(plan),
	    "no-starttls", explain_fallback(plan->no_starttls,
	    plan->no_starttls_after), "broken-tls",
	    explain_fallback(plan->broken_tls, plan->broken_tls_after), "ttl",
	    (json_int_t)plan->ttl);

	if (!plan_can_try(plan))
		put(object, "status", explain_status(&plan->status));
	put_text(object, "alarm", plan->alarm);
	return object;
}
