/* SPDX-License-Identifier: ISC */
/*
 * Discovery: what the TXT record says now, beside what is remembered (RFC 8461
 * 3.3, 5.1, 10.2). Whatever fails, a policy that is remembered and has not run
 * out stays in force; only another whole policy takes its place. What fails on
 * our side (no process, too many fetches) is never read as "no policy".
 */
#include "policy/sts_internal.h"

#include <stdio.h>
#include <string.h>

#include "base/arena.h"
#include "base/broken.h"
#include "base/clock.h"
#include "base/digest.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/mem.h"
#include "conf/conf.h"
#include "policy/fetch.h"
#include "policy/resolver.h"

enum {
	FETCHES_MAX = 8,		/* processes at a time */
	WAITING_MAX = 512,		/* for a process */
	FAILURES_MAX = 8192,

	MINUTE = 60 * 1000,		/* milliseconds */
	BACK_OFF = 5 * MINUTE,		/* STS-31 */
	HOUR = 60 * MINUTE,
	DAY = 24 * HOUR
};

/* --- times --- */

/* Within a tenth of the time, so that what began together does not stay so. */
int64_t sts_with_jitter(int64_t milliseconds)
{
	uint32_t tenth = (uint32_t)(milliseconds / 10 > UINT32_MAX / 2 ?
	    UINT32_MAX / 2 : milliseconds / 10);

	return milliseconds - (tenth > 0 ? random_below(tenth) : 0);
}

/* Long before it runs out, but not for ever at it. */
int64_t sts_refresh_interval(const struct sts *sts,
    const struct sts_entry *entry)
{
	int64_t wanted = sts->conf->sts_refresh * 1000;
	int64_t half = entry->policy.max_age * 1000 / 2;

	if (half < BACK_OFF)
		half = BACK_OFF;
	return wanted < half ? wanted : half;
}

struct sts_entry *sts_current_entry(struct sts *sts, const char *domain)
{
	struct sts_entry *entry = sts_cache_find(sts->cache, domain);

	return entry != NULL && sts_entry_left(entry) > 0 ? entry : NULL;
}

/* --- answers --- */

void sts_copy_policy(struct arena *arena, struct sts_policy *to,
    const struct sts_policy *from)
{
	size_t i;

	*to = *from;
	to->mx = arena_alloc_array(arena, from->mx_count + 1,
	    sizeof(*to->mx));
	for (i = 0; i < from->mx_count; i++)
		to->mx[i] = arena_dup_string(arena, from->mx[i]);
}

void sts_answer_with(struct sts_answer *answer, struct arena *arena,
    const struct sts_entry *entry, enum sts_source source)
{
	int64_t left = sts_entry_left(entry);

	answer->known = true;
	answer->source = source;
	sts_copy_policy(arena, &answer->policy, &entry->policy);
	memcpy(answer->id, entry->id, sizeof(answer->id));
	answer->fetched = entry->fetched;
	answer->expires = clock_wall() + left;
	if (left < (int64_t)answer->ttl * 1000)
		answer->ttl = left > 0 ? (uint32_t)(left / 1000) : 0;
}

void sts_set_problem(struct sts_answer *answer, const char *result,
    const char *problem)
{
	answer->result = result;
	snprintf(answer->problem, sizeof(answer->problem), "%.*s",
	    (int)sizeof(answer->problem) - 1, problem);
}

/* Everybody who waits hears; each may cancel any other meanwhile. */
static void tell_queries(struct sts_discovery *discovery)
{
	struct sts_query *query;

	while ((query = TAILQ_FIRST(&discovery->queries)) != NULL) {
		TAILQ_REMOVE(&discovery->queries, query, entry);
		query->discovery = NULL;
		query->done(query->arg, &discovery->answer);
		sts_query_free(query);
	}
}

/* --- what went wrong --- */

static void log_trouble(enum log_level level,
    const struct sts_discovery *discovery, const struct sts_entry *entry)
{
	const struct sts_answer *answer = &discovery->answer;

	log_write(level, "sts-trouble", LOG_FIELDS(
	    log_text("domain", discovery->domain),
	    log_text("result", answer->result),
	    log_text("problem", answer->problem),
	    log_text("cached", entry == NULL ? "no" :
	    sts_mode_name(entry->policy.mode)),
	    log_number("days-left", entry == NULL ? 0 :
	    sts_entry_left(entry) / DAY)));
}

/* For reports (RFC 8461 6). Mode none was to have no consequence. */
static void tell_failed(const struct sts_discovery *discovery)
{
	const struct sts_hooks *hooks = &discovery->sts->hooks;
	const struct sts_entry *entry = sts_current_entry(discovery->sts,
	    discovery->domain);

	if (hooks->failed != NULL && discovery->answer.result != NULL &&
	    (entry == NULL || entry->policy.mode != STS_MODE_NONE))
		hooks->failed(hooks->arg, discovery->domain,
		    discovery->answer.result, discovery->answer.problem);
}

/*
 * With a policy that is remembered (or was, until it ran out) somebody may be
 * keeping its successor from us: an alarm, each day again (STS-91). Mode none
 * was to have no consequence, so it has not that one either.
 */
static void report_trouble(struct sts_discovery *discovery)
{
	struct sts_entry *entry = sts_cache_find(discovery->sts->cache,
	    discovery->domain);
	int64_t now = clock_monotonic();

	if (entry == NULL) {
		log_trouble(discovery->answer.result != NULL ?
		    LOG_LEVEL_WARN : LOG_LEVEL_DEBUG, discovery, NULL);
		return;
	}
	if (entry->policy.mode == STS_MODE_NONE || (entry->alarmed_at != 0 &&
	    now - entry->alarmed_at < DAY)) {
		log_trouble(LOG_LEVEL_DEBUG, discovery, entry);
		return;
	}
	entry->alarmed_at = now;
	log_trouble(LOG_LEVEL_ERROR, discovery, entry);
}

void sts_failure_forget(struct sts *sts, const char *domain)
{
	mem_free(hash_remove_text(sts->failures, domain));
}

struct purge {
	struct sts	*sts;
	int64_t		 now;
	unsigned	 spare;		/* of those that are not over yet */
};

static void purge_one(void *arg, const void *key, size_t length, void *value)
{
	struct purge *purge = arg;
	struct sts_failure *failure = value;

	if (failure->until > purge->now && purge->spare > 0) {
		purge->spare--;
		return;
	}
	hash_remove(purge->sts->failures, key, length);
	mem_free(failure);
}

void sts_failures_purge(struct sts *sts, unsigned spare)
{
	struct purge purge = { sts, clock_monotonic(), spare };

	hash_each(sts->failures, purge_one, &purge);
}

static void failure_note(struct sts_discovery *discovery)
{
	struct sts *sts = discovery->sts;
	struct sts_failure *failure = hash_find_text(sts->failures,
	    discovery->domain);

	if (failure == NULL) {
		if (hash_count(sts->failures) >= FAILURES_MAX)
			sts_failures_purge(sts, FAILURES_MAX / 2);
		failure = mem_alloc(sizeof(*failure));
		hash_put_text(sts->failures, discovery->domain, failure);
	}
	memcpy(failure->id, discovery->id, sizeof(failure->id));
	failure->until = clock_monotonic() + BACK_OFF;
	failure->result = discovery->answer.result;
	memcpy(failure->problem, discovery->answer.problem,
	    sizeof(failure->problem));
}

/* STS-31: is it too early to fetch this id again? */
static const struct sts_failure *failure_find(struct sts_discovery *discovery)
{
	const struct sts_failure *failure = hash_find_text(
	    discovery->sts->failures, discovery->domain);

	return failure != NULL && failure->until > clock_monotonic() &&
	    strcmp(failure->id, discovery->id) == 0 ? failure : NULL;
}

/* --- states --- */

static bool has_process(enum sts_discovery_state state)
{
	return state == DISCOVERY_ADDRESSES || state == DISCOVERY_FETCHING;
}

/* The only place that sets the state; it keeps the counts and the queue. */
static void enter(struct sts_discovery *discovery,
    enum sts_discovery_state state)
{
	struct sts *sts = discovery->sts;

	if (has_process(discovery->state))
		sts->fetches--;
	if (has_process(state))
		sts->fetches++;
	if (discovery->state == DISCOVERY_WAITING) {
		TAILQ_REMOVE(&sts->waiting, discovery, entry);
		sts->waiters--;
	}
	if (state == DISCOVERY_WAITING) {
		TAILQ_INSERT_TAIL(&sts->waiting, discovery, entry);
		sts->waiters++;
	}
	discovery->state = state;
}

/* --- the end of a discovery --- */

static void	start_waiting(struct sts *sts);

void sts_discovery_free(struct sts_discovery *discovery)
{
	struct sts *sts = discovery->sts;
	size_t i;

	for (i = 0; i < 2; i++)
		if (discovery->queries_under_way[i] != NULL)
			resolver_cancel(discovery->queries_under_way[i]);
	if (discovery->fetch != NULL)
		fetch_cancel(discovery->fetch);
	enter(discovery, DISCOVERY_OVER);
	/* A query that was answered may have begun another for the domain. */
	if (hash_find_text(sts->by_domain, discovery->domain) == discovery)
		hash_remove_text(sts->by_domain, discovery->domain);
	sts->discoveries--;
	if (discovery->refresh)
		sts->refreshes--;
	arena_free(discovery->arena);
	mem_free(discovery);
}

/* Without a policy of its own, a discovery ends with what is remembered. */
static void fall_back(struct sts_discovery *discovery)
{
	struct sts_entry *entry = sts_current_entry(discovery->sts,
	    discovery->domain);

	if (entry != NULL && !broken("forget-policy"))
		sts_answer_with(&discovery->answer, discovery->arena, entry,
		    STS_SOURCE_CACHED);
}

static void discovery_finish(struct sts_discovery *discovery)
{
	struct sts *sts = discovery->sts;

	hash_remove_text(sts->by_domain, discovery->domain);
	if (discovery->answer.source == STS_SOURCE_NONE)
		fall_back(discovery);
	tell_queries(discovery);
	if (discovery->changed && sts->hooks.changed != NULL)
		sts->hooks.changed(sts->hooks.arg, discovery->domain);
	sts_discovery_free(discovery);
	start_waiting(sts);
}

/* --- the fetch --- */

static void put_off_refresh(struct sts_discovery *discovery)
{
	struct sts_entry *entry = sts_cache_find(discovery->sts->cache,
	    discovery->domain);
	int64_t wait;

	if (entry == NULL)
		return;
	wait = sts_refresh_interval(discovery->sts, entry);
	entry->refresh_at = clock_monotonic() +
	    sts_with_jitter(wait < HOUR ? wait : HOUR);
}

/* The policy was not to be had; that lies with its publisher or the path. */
static void fetch_failed(struct sts_discovery *discovery, const char *result,
    const char *problem)
{
	sts_set_problem(&discovery->answer, result, problem);
	discovery->answer.known = true;		/* STS-87 */
	failure_note(discovery);
	if (discovery->answer.ttl > BACK_OFF / 1000)
		discovery->answer.ttl = BACK_OFF / 1000;
	put_off_refresh(discovery);
	report_trouble(discovery);
	tell_failed(discovery);
	discovery_finish(discovery);
}

/* We could not try: whether there is a policy is not known. */
static void give_up(struct sts_discovery *discovery, const char *problem)
{
	sts_set_problem(&discovery->answer, NULL, problem);
	discovery->answer.known = false;
	discovery->answer.ttl = STS_TTL_FAILED;
	put_off_refresh(discovery);
	log_warn("sts-trouble", log_text("domain", discovery->domain),
	    log_text("result", NULL), log_text("problem", problem));
	discovery_finish(discovery);
}

static void log_policy(const struct sts_discovery *discovery,
    const struct sts_policy *policy, bool changed)
{
	log_write(changed ? LOG_LEVEL_INFO : LOG_LEVEL_DEBUG, "sts-policy",
	    LOG_FIELDS(log_text("domain", discovery->domain),
	    log_text("mode", sts_mode_name(policy->mode)),
	    log_text("id", discovery->id),
	    log_text("source", discovery->refresh ? "refreshed" : "fetched"),
	    log_number("mx", (int64_t)policy->mx_count),
	    log_number("max-age", policy->max_age)));
}

/* In force from now on, instead of whatever was (STS-94, STS-97). */
static void take_policy(struct sts_discovery *discovery,
    const struct fetch_answer *fetched, const struct sts_policy *policy)
{
	struct sts *sts = discovery->sts;
	struct sts_entry *entry = sts_cache_find(sts->cache,
	    discovery->domain);
	struct sts_answer *answer = &discovery->answer;
	bool changed = entry == NULL ||
	    strcmp(entry->id, discovery->id) != 0 ||
	    entry->length != fetched->length ||
	    memcmp(entry->body, fetched->body, fetched->length) != 0;

	sts_failure_forget(sts, discovery->domain);
	log_policy(discovery, policy, changed);
	answer->known = true;
	answer->source = STS_SOURCE_FETCHED;
	answer->policy = *policy;
	memcpy(answer->id, discovery->id, sizeof(answer->id));
	answer->fetched = clock_wall();
	answer->expires = answer->fetched + policy->max_age * 1000;
	sts_set_problem(answer, NULL, "");
	if (answer->ttl > policy->max_age)
		answer->ttl = (uint32_t)policy->max_age;
	if (policy->max_age == 0) {		/* STS-95 */
		discovery->changed = sts_cache_remove(sts->cache,
		    discovery->domain);
		return;
	}
	entry = sts_cache_put(sts->cache, discovery->domain, discovery->id,
	    fetched->body, fetched->length);
	if (entry == NULL) {
		put_off_refresh(discovery);	/* of the one before */
		return;
	}
	discovery->changed = changed;
	entry->refresh_at = clock_monotonic() +
	    sts_with_jitter(sts_refresh_interval(sts, entry));
}

static void on_fetched(void *arg, const struct fetch_answer *fetched)
{
	struct sts_discovery *discovery = arg;
	struct sts_policy policy;
	char why[160];

	discovery->fetch = NULL;
	if (fetched->result == FETCH_OURS) {
		give_up(discovery, fetched->problem);
	} else if (fetched->result != FETCH_BODY) {
		fetch_failed(discovery, fetch_result_name(fetched->result),
		    fetched->problem);
	} else if (sts_read_policy(fetched->body, fetched->length,
	    discovery->arena, &policy, why, sizeof(why)) == -1) {
		fetch_failed(discovery, "sts-policy-invalid", why);
	} else {
		take_policy(discovery, fetched, &policy);
		discovery_finish(discovery);
	}
}

/* One of each family in turn, IPv6 first. */
static size_t mix_addresses(const struct sts_discovery *discovery,
    struct endpoint *mixed)
{
	size_t count = 0, i;

	for (i = 0; i < STS_ADDRESSES_MAX; i++) {
		if (i < discovery->address_counts[1])
			mixed[count++] = discovery->addresses[1][i];
		if (i < discovery->address_counts[0])
			mixed[count++] = discovery->addresses[0][i];
	}
	return count;
}

static void start_fetch(struct sts_discovery *discovery)
{
	struct endpoint addresses[2 * STS_ADDRESSES_MAX];
	const struct conf *conf = discovery->sts->conf;
	struct fetch_question question = {
		.domain = discovery->domain,
		.addresses = addresses,
		.count = mix_addresses(discovery, addresses),
		.milliseconds = conf->sts_fetch_timeout * 1000,
		.allow_loopback = conf->allow_loopback,
	};

	if (question.count == 0 && discovery->lookup_problem[0] != '\0') {
		fetch_failed(discovery, "sts-policy-fetch-error",
		    discovery->lookup_problem);
		return;
	}
	enter(discovery, DISCOVERY_FETCHING);
	discovery->fetch = fetch_start(discovery->sts->fetcher, &question,
	    on_fetched, discovery);
}

/* --- the addresses of the policy host --- */

static void add_addresses(struct sts_discovery *discovery, int family,
    const struct dns_answer *answer)
{
	uint16_t port = discovery->sts->port;
	size_t i;

	if (answer->result == FACT_ERROR || answer->result == FACT_BOGUS)
		snprintf(discovery->lookup_problem,
		    sizeof(discovery->lookup_problem),
		    "looking up the policy host failed: %s", answer->reason);
	if (answer->result != FACT_DATA)
		return;
	for (i = 0; i < answer->count && i < STS_ADDRESSES_MAX; i++) {
		struct endpoint *to = &discovery->addresses[family][i];

		*to = answer->addresses[i];
		if (to->address.any.sa_family == AF_INET6)
			to->address.v6.sin6_port = htons(port);
		else
			to->address.v4.sin_port = htons(port);
		discovery->address_counts[family] = i + 1;
	}
}

static void on_addresses(struct sts_discovery *discovery, int family,
    const struct dns_answer *answer)
{
	discovery->queries_under_way[family] = NULL;
	add_addresses(discovery, family, answer);
	if (discovery->queries_under_way[!family] == NULL)
		start_fetch(discovery);
}

static void on_v4(void *arg, const struct dns_answer *answer)
{
	on_addresses(arg, 0, answer);
}

static void on_v6(void *arg, const struct dns_answer *answer)
{
	on_addresses(arg, 1, answer);
}

static void look_up_addresses(struct sts_discovery *discovery)
{
	struct sts *sts = discovery->sts;
	char host[DNS_NAME_MAX + 1];

	enter(discovery, DISCOVERY_ADDRESSES);
	snprintf(host, sizeof(host), "mta-sts.%s", discovery->domain);
	if (sts->conf->ipv4)
		discovery->queries_under_way[0] = resolver_lookup(
		    sts->resolver, host, DNS_A, on_v4, discovery);
	if (sts->conf->ipv6)
		discovery->queries_under_way[1] = resolver_lookup(
		    sts->resolver, host, DNS_AAAA, on_v6, discovery);
	if (!sts->conf->ipv4 && !sts->conf->ipv6)
		start_fetch(discovery);
}

/* In their order; the refresh never has more than a few of them. */
static void start_waiting(struct sts *sts)
{
	struct sts_discovery *discovery;

	while (sts->fetches < FETCHES_MAX &&
	    (discovery = TAILQ_FIRST(&sts->waiting)) != NULL)
		look_up_addresses(discovery);
}

static void want_fetch(struct sts_discovery *discovery)
{
	struct sts *sts = discovery->sts;

	if (sts->waiters >= WAITING_MAX) {
		give_up(discovery, "too many policies are being fetched");
		return;
	}
	enter(discovery, DISCOVERY_WAITING);
	start_waiting(sts);
}

/* --- the TXT record --- */

/* What people see of it: the record that was meant, if there is one. */
static void keep_text(struct sts_answer *answer,
    const struct dns_answer *found)
{
	size_t i, j;

	for (i = 0; i < found->count; i++)
		if (strncmp(found->texts[i], "v=STSv1", 7) == 0)
			break;
	if (i == found->count)
		return;
	for (j = 0; j < found->text_lengths[i] &&
	    j < sizeof(answer->txt) - 1; j++) {
		char c = found->texts[i][j];

		answer->txt[j] = c >= 0x20 && c <= 0x7e ? c : '?';
	}
	answer->txt[j] = '\0';
}

/* Fills id if there is one; otherwise says why there is none. */
static void read_record(struct sts_discovery *discovery,
    const struct dns_answer *found)
{
	struct sts_answer *answer = &discovery->answer;
	bool had = sts_cache_find(discovery->sts->cache,
	    discovery->domain) != NULL;
	char why[160], problem[200];

	answer->ttl = found->ttl < STS_TTL_MAX ? found->ttl : STS_TTL_MAX;
	answer->known = true;
	switch (found->result) {
	case FACT_DATA:
		keep_text(answer, found);
		if (sts_read_txt((const char *const *)found->texts,
		    found->text_lengths, found->count, discovery->id, why,
		    sizeof(why)) == 0)
			return;
		/* S-14: a record that was meant for us is worth a word. */
		if (had || answer->txt[0] != '\0')
			sts_set_problem(answer, had ? "sts-policy-fetch-error" :
			    NULL, why);
		break;
	case FACT_NODATA:
	case FACT_NXDOMAIN:
		if (had)	/* S-12 */
			sts_set_problem(answer, "sts-policy-fetch-error",
			    "there is no TXT record any more");
		break;
	default:
		answer->known = false;
		answer->ttl = STS_TTL_FAILED;
		snprintf(problem, sizeof(problem),
		    "the TXT lookup failed: %s", found->reason);
		sts_set_problem(answer, "sts-policy-fetch-error", problem);
		log_trouble(LOG_LEVEL_INFO, discovery,
		    sts_current_entry(discovery->sts, discovery->domain));
		if (discovery->refresh && had)
			tell_failed(discovery);
		return;
	}
	if (answer->problem[0] == '\0')
		return;
	report_trouble(discovery);
	/* Plans meet it, too: told when it is our own turn to ask. */
	if (discovery->refresh)
		tell_failed(discovery);
}

/* A policy that has run out, and no record: the domain has none any more. */
static void forget_expired(struct sts_discovery *discovery,
    const struct dns_answer *found)
{
	struct sts *sts = discovery->sts;
	const struct sts_entry *entry = sts_cache_find(sts->cache,
	    discovery->domain);

	if ((found->result != FACT_NODATA && found->result != FACT_NXDOMAIN) ||
	    entry == NULL || sts_entry_left(entry) > 0)
		return;
	log_warn("sts-expired", log_text("domain", discovery->domain),
	    log_text("mode", sts_mode_name(entry->policy.mode)));
	sts_cache_remove(sts->cache, discovery->domain);
}

/* Queries are answered; what is left to do is for the next ones. */
static void decide(struct sts_discovery *discovery)
{
	fall_back(discovery);
	discovery->decided = true;
	tell_queries(discovery);
}

/* STS-88: another id, or none that is in force, wants a fetch. */
static bool is_wanted(struct sts_discovery *discovery)
{
	struct sts_entry *entry = sts_current_entry(discovery->sts,
	    discovery->domain);

	return discovery->id[0] != '\0' && (entry == NULL ||
	    entry->from_future || strcmp(entry->id, discovery->id) != 0);
}

/* A refresh fetches under the old id when there is no new one (STS-35). */
static void take_old_id(struct sts_discovery *discovery)
{
	const struct sts_entry *entry = sts_cache_find(discovery->sts->cache,
	    discovery->domain);

	if (discovery->id[0] == '\0' && entry != NULL)
		memcpy(discovery->id, entry->id, sizeof(discovery->id));
}

static void on_txt(void *arg, const struct dns_answer *found)
{
	struct sts_discovery *discovery = arg;
	const struct sts_failure *failure;
	bool wanted;

	discovery->queries_under_way[0] = NULL;
	discovery->answer.asked = true;
	discovery->answer.txt_secure = found->secure;
	forget_expired(discovery, found);
	read_record(discovery, found);
	wanted = is_wanted(discovery);
	if (!wanted && discovery->refresh) {
		decide(discovery);
		take_old_id(discovery);
		wanted = discovery->id[0] != '\0';
	}
	if (!wanted) {
		discovery_finish(discovery);
		return;
	}
	failure = failure_find(discovery);
	if (failure == NULL) {
		want_fetch(discovery);
		return;
	}
	sts_set_problem(&discovery->answer, failure->result, failure->problem);
	if (discovery->answer.ttl > BACK_OFF / 1000)
		discovery->answer.ttl = BACK_OFF / 1000;
	put_off_refresh(discovery);
	discovery_finish(discovery);
}

struct sts_discovery *sts_discovery_start(struct sts *sts, const char *domain,
    bool refresh)
{
	struct sts_discovery *discovery = mem_alloc(sizeof(*discovery));
	char name[DNS_NAME_MAX + 1];

	discovery->sts = sts;
	discovery->refresh = refresh;
	discovery->arena = arena_new(STS_ANSWER_BYTES);
	TAILQ_INIT(&discovery->queries);
	snprintf(discovery->domain, sizeof(discovery->domain), "%s", domain);
	hash_put_text(sts->by_domain, domain, discovery);
	sts->discoveries++;
	if (refresh)
		sts->refreshes++;
	snprintf(name, sizeof(name), "_mta-sts.%s", domain);
	discovery->queries_under_way[0] = resolver_lookup(sts->resolver, name,
	    DNS_TXT, on_txt, discovery);
	return discovery;
}
