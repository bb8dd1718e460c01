/* SPDX-License-Identifier: ISC */
/*
 * See explain.h. Sets that are very large are cut, with the number of what is
 * left out, so that an explanation has a bound whatever is published.
 */
#include "policy/explain.h"

#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/control.h"
#include "base/digest.h"
#include "base/log.h"
#include "base/net.h"
#include "conf/conf.h"
#include "policy/plan.h"
#include "policy/sts_policy.h"

enum { ITEMS_MAX = 64, DATA_BYTES_MAX = 1024 };

static void put(json_t *object, const char *key, json_t *value)
{
	json_object_set_new(object, key, value);
}

static void put_text(json_t *object, const char *key, const char *value)
{
	if (value[0] != '\0')
		put(object, key, control_text(value));
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
	    "host", control_text(mx->host[0] == '\0' ? "." : mx->host));
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
		json_array_append_new(patterns, control_text(sts->policy.mx[i]));
	return json_pack("{s:s, s:o, s:I, s:o, s:b}", "mode",
	    sts_mode_name(sts->policy.mode), "mx", patterns, "max-age",
	    (json_int_t)sts->policy.max_age, "id", control_text(sts->id), "remembered",
	    sts->cached);
}

/* Times are RFC 3339; what never was is missing. */
static void put_time(json_t *object, const char *key, int64_t when)
{
	char out[40];

	if (when == 0)
		return;
	clock_format_iso(when, out, sizeof(out));
	put(object, key, json_string(out));
}

static json_t *explain_memory(const struct fact_memory *memory)
{
	json_t *expects = json_array(), *object;
	const struct {
		bool		 is;
		const char	*word;
	} words[] = { { memory->expects_tls, "tls" },
	    { memory->expects_dane, "dane" }, { memory->expects_sts, "sts" },
	    { memory->expects_web, "web" } };
	size_t i;

	for (i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		if (words[i].is)
			json_array_append_new(expects,
			    json_string(words[i].word));
	object = json_pack("{s:o, s:b, s:I}", "expects", expects,
	    "known-clear", memory->known_clear, "count",
	    (json_int_t)memory->count);
	put_time(object, "last", memory->last);
	return object;
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
	case QUERY_CNAME: return control_text(fact->alias);
	case QUERY_MEMORY:
	case QUERY_MEMORY_HOST: return explain_memory(&fact->memory[i]);
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

/* What is remembered was not asked of the DNS. */
static json_t *explain_answer(const struct fact *fact)
{
	if (fact->query.type == QUERY_MEMORY ||
	    fact->query.type == QUERY_MEMORY_HOST)
		return json_pack("{s:s, s:o, s:s}", "query",
		    query_type_name(fact->query.type), "name",
		    control_text(fact->query.name), "result",
		    result_name(fact->result));
	return json_pack("{s:s, s:o, s:s, s:s, s:I}", "query",
	    query_type_name(fact->query.type), "name", control_text(fact->query.name),
	    "result", result_name(fact->result), "dnssec", dnssec_name(fact),
	    "ttl", (json_int_t)fact->ttl);
}

static json_t *explain_fact(const struct fact *fact)
{
	json_t *object = explain_answer(fact), *data = json_array();
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

/* --- what was asked for --- */

static json_t *explain_prints(const uint8_t (*prints)[DIGEST_BYTES],
    size_t count)
{
	json_t *all = json_array();
	size_t i;

	for (i = 0; i < count; i++)
		json_array_append_new(all, hex(prints[i], DIGEST_BYTES));
	return all;
}

static json_t *explain_exception(const struct plan_exception *exception)
{
	return json_pack("{s:I, s:s, s:o, s:o}", "id",
	    (json_int_t)exception->id, "level",
	    conf_level_name(exception->level), "pattern",
	    control_text(exception->pattern), "reason", control_text(exception->reason));
}

static json_t *explain_pin(const struct plan_pin *pin)
{
	json_t *object = json_pack("{s:o, s:s, s:o, s:o, s:o}", "domain",
	    control_text(pin->domain), "level", pin_level_name(pin->level),
	    "fingerprints", explain_prints(pin->fingerprints,
	    pin->fingerprint_count), "reason", control_text(pin->reason), "author",
	    control_text(pin->author));

	put_time(object, "made", pin->made);
	return object;
}

/* Whether the exception and the pin count, the plan's notes say. */
static void put_wishes(json_t *object, const struct plan_facts *facts)
{
	put_text(object, "wish", plan_wish_name(facts->wish));
	if (facts->message_level >= 0)
		put(object, "message-level", json_string(conf_level_name(
		    (enum conf_level)facts->message_level)));
	if (facts->exception != NULL)
		put(object, "exception", explain_exception(facts->exception));
	if (facts->pin != NULL)
		put(object, "pin", explain_pin(facts->pin));
}

/* --- what follows from it --- */

static json_t *explain_status(const struct status *status)
{
	char enhanced[24];

	status_format_enhanced(status, enhanced, sizeof(enhanced));
	return json_pack("{s:s, s:s, s:s, s:o}", "outcome",
	    status_outcome_name(status->outcome), "reason",
	    status_reason_name(status->reason), "status", enhanced, "text",
	    control_text(status->text));
}

static json_t *explain_names(const struct plan_host *host)
{
	json_t *names = json_array();
	size_t i;

	for (i = 0; i < host->name_count; i++)
		json_array_append_new(names, control_text(host->names[i]));
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

/* What is tried, and what was learned: where there is any. */
static void put_ideal(json_t *object, const struct plan_host *host)
{
	if (host->ideal > host->requirement) {
		put(object, "ideal", json_string(
		    requirement_name(host->ideal)));
		put(object, "ideal-source", json_string(
		    plan_source_name(host->ideal_source)));
	}
	if (host->sts_mismatch)
		put(object, "sts-mismatch", json_true());
	if (host->expects_tls)
		put(object, "expects-tls", json_true());
	if (host->requiretls)
		put(object, "requiretls", json_true());
}

static json_t *explain_host(const struct plan_host *host)
{
	json_t *object = json_pack("{s:o, s:i, s:o, s:b, s:s, s:s, s:o, s:o, "
	    "s:b, s:o}", "name", control_text(host->name), "preference",
	    (int)host->preference, "addresses", explain_addresses(host),
	    "skip", host->skip, "requirement",
	    requirement_name(host->requirement), "source",
	    plan_source_name(host->source), "names", explain_names(host),
	    "tlsa", explain_records(host), "also-name", host->also_name,
	    "reason", control_text(host->reason));

	put_text(object, "sni", host->sni);
	put_text(object, "tlsa-domain", host->tlsa_domain);
	put_ideal(object, host);
	if (host->skip) {
		put(object, "skipped", explain_status(&host->skipped));
		put(object, "skipped-result", json_string(
		    tls_result_name(host->skipped_result)));
	}
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
		    "subject", control_text(plan->notes[i].subject), "clause",
		    control_text(plan->notes[i].clause), "text",
		    control_text(plan->notes[i].text)));
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

static json_t *explain_vanished(const struct plan *plan)
{
	json_t *vanished = json_array();

	if (plan->vanished_dane)
		json_array_append_new(vanished, json_string("dane"));
	if (plan->vanished_sts)
		json_array_append_new(vanished, json_string("sts"));
	return vanished;
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
	return json_pack("{s:o, s:i, s:b, s:s}", "host", control_text(next->host),
	    "port", (int)next->port, "mx", next->mx, "tls",
	    next->implicit_tls ? "implicit" : "starttls");
}

static const char *transport_name(enum conf_transport transport)
{
	switch (transport) {
	case TRANSPORT_SMTP: return "smtp";
	case TRANSPORT_LMTP: return "lmtp";
	case TRANSPORT_MAILDIR: return "maildir";
	case TRANSPORT_DISCARD: return "discard";
	default: bug("explain-transport");
	}
}

/* Of secrets only where they are. */
static json_t *explain_route(const struct conf_route *route)
{
	json_t *object = json_pack("{s:o, s:s}", "pattern",
	    control_text(route->pattern), "transport",
	    transport_name(route->transport));

	if (route->level != LEVEL_COUNT)
		put(object, "level", json_string(conf_level_name(
		    route->level)));
	put_text(object, "socket", route->socket);
	put_text(object, "credentials", route->credentials_file);
	put_text(object, "certificate", route->certificate);
	return object;
}

bool explain_has_plan(const struct conf_next_hop *next)
{
	return next->transport == TRANSPORT_SMTP ||
	    (next->transport == TRANSPORT_LMTP && next->host[0] != '\0');
}

json_t *explain_without_plan(const char *domain,
    const struct conf_next_hop *next)
{
	json_t *object = json_pack("{s:o, s:s}", "domain", control_text(domain),
	    "transport", transport_name(next->transport));

	if (next->route != NULL)
		put(object, "route", explain_route(next->route));
	return object;
}

json_t *explain_plan(const struct plan_facts *facts, const struct plan *plan)
{
	json_t *object = json_pack("{s:o, s:s, s:o, s:o, s:o, s:I, s:o, s:o, "
	    "s:o, s:o, s:o, s:I}", "domain", control_text(facts->domain), "level",
	    conf_level_name(facts->destination->level), "destination",
	    control_text(facts->destination->pattern == NULL ? "" :
	    facts->destination->pattern), "next-hop",
	    explain_next_hop(facts->next), "fingerprints",
	    explain_prints((const uint8_t (*)[DIGEST_BYTES])plan->fingerprints,
	    plan->fingerprint_count), "waited",
	    (json_int_t)facts->waited, "facts", explain_facts(facts),
	    "decisions", explain_notes(plan), "hosts", explain_hosts(plan),
	    "no-starttls", explain_fallback(plan->no_starttls,
	    plan->no_starttls_after), "broken-tls",
	    explain_fallback(plan->broken_tls, plan->broken_tls_after), "ttl",
	    (json_int_t)plan->ttl);

	put_wishes(object, facts);
	if (facts->next->route != NULL)
		put(object, "route", explain_route(facts->next->route));
	if (plan->vanished_dane || plan->vanished_sts)
		put(object, "vanished", explain_vanished(plan));
	if (!plan_can_try(plan))
		put(object, "status", explain_status(&plan->status));
	put_text(object, "alarm", plan->alarm);
	return object;
}
