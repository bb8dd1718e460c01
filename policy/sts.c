/* SPDX-License-Identifier: ISC */
/*
 * Who asks, and the refresh that asks by itself. Each domain has at most one
 * discovery under way, begun by a query or by the refresh, and every query for
 * the domain waits for that one; a refresh whose first answer is clear keeps
 * nobody waiting.
 */
#include "policy/sts_internal.h"

#include <stdio.h>
#include <string.h>

#include "base/arena.h"
#include "base/clock.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/mem.h"
#include "conf/conf.h"
#include "policy/fetch.h"

enum {
	REFRESHES_MAX = 2,		/* discoveries of the refresh */
	HTTPS_PORT = 443,
	DAY = 24 * 60 * 60 * 1000,	/* milliseconds */
	UNUSED_DAYS = 30,		/* STS-98 */
	TICK_MAX = 30 * 1000, TICK_MIN = 50,
	TICK_BUSY = 500			/* while more is due */
};

/* --- answers that are at hand --- */

void sts_query_free(struct sts_query *query)
{
	timer_stop(&query->timer);
	if (query->arena != NULL)
		arena_free(query->arena);
	mem_free(query->answer);
	mem_free(query);
}

static void tell(void *arg)
{
	struct sts_query *query = arg;

	TAILQ_REMOVE(&query->sts->told, query, entry);
	query->done(query->arg, query->answer);
	sts_query_free(query);
}

/* The answer is at hand: it comes in the next turn. */
static void tell_later(struct sts_query *query)
{
	query->discovery = NULL;
	TAILQ_INSERT_TAIL(&query->sts->told, query, entry);
	timer_start(&query->timer, 0, tell, query);
}

/* A copy of its own of an answer. */
static void give(struct sts_query *query, const struct sts_answer *answer)
{
	query->arena = arena_new(STS_ANSWER_BYTES);
	query->answer = mem_dup(answer, sizeof(*answer));
	if (answer->source != STS_SOURCE_NONE)
		sts_copy_policy(query->arena, &query->answer->policy,
		    &answer->policy);
	tell_later(query);
}

/* --- queries --- */

/* Lower case and without a final dot, into a name of STS_DOMAIN_MAX. A-labels
 * as they stand in host names: nothing else goes into the URL. */
static bool take_name(char *name, const char *domain)
{
	size_t length = strlen(domain), i;

	if (length > 0 && domain[length - 1] == '.')
		length--;
	if (length == 0 || length > STS_DOMAIN_MAX)
		return false;
	for (i = 0; i < length; i++)
		name[i] = domain[i] >= 'A' && domain[i] <= 'Z' ?
		    (char)(domain[i] | 0x20) : domain[i];
	name[length] = '\0';
	return name[0] != '.' && name[length - 1] != '.' &&
	    strstr(name, "..") == NULL &&
	    strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789-_.") == length;
}

/* What can be said without asking anybody; name is null where there can be no
 * policy. */
static void answer_now(struct sts_query *query, const char *name, bool known,
    const char *problem)
{
	struct sts_entry *entry = name == NULL ? NULL :
	    sts_current_entry(query->sts, name);

	query->arena = arena_new(STS_ANSWER_BYTES);
	query->answer = mem_alloc(sizeof(*query->answer));
	query->answer->known = known;
	query->answer->ttl = name == NULL ? STS_TTL_MAX : STS_TTL_FAILED;
	sts_set_problem(query->answer, NULL, problem);
	if (entry != NULL)
		sts_answer_with(query->answer, query->arena, entry,
		    STS_SOURCE_CACHED);
	tell_later(query);
}

/* Waits for the domain's discovery, which is begun if there is none. */
static void join(struct sts_query *query, const char *name)
{
	struct sts *sts = query->sts;
	struct sts_discovery *discovery = hash_find_text(sts->by_domain, name);

	if (discovery != NULL && discovery->decided) {
		give(query, &discovery->answer);
		return;
	}
	if (discovery == NULL && sts->discoveries >= STS_DISCOVERIES_MAX) {
		answer_now(query, name, false,
		    "too many policies are being looked for");
		return;
	}
	if (discovery == NULL)
		discovery = sts_discovery_start(sts, name, false);
	query->discovery = discovery;
	TAILQ_INSERT_TAIL(&discovery->queries, query, entry);
}

struct sts_query *sts_lookup(struct sts *sts, const char *domain,
    bool cache_only, sts_done *done, void *arg)
{
	struct sts_query *query = mem_alloc(sizeof(*query));
	struct sts_entry *entry;
	char name[STS_DOMAIN_MAX + 1];

	sts_cache_load(sts->cache);
	query->sts = sts;
	query->done = done;
	query->arg = arg;
	/* Address literals, and names too long to have a policy (STS-4). */
	if (!take_name(name, domain)) {
		answer_now(query, NULL, true, "");
		return query;
	}
	entry = sts_cache_find(sts->cache, name);
	if (entry != NULL)
		entry->used = clock_wall();
	if (cache_only)
		answer_now(query, name, true, "");
	else
		join(query, name);
	return query;
}

/* A discovery goes on without its last query: it will be asked for again. */
void sts_cancel(struct sts_query *query)
{
	if (query->discovery != NULL)
		TAILQ_REMOVE(&query->discovery->queries, query, entry);
	else
		TAILQ_REMOVE(&query->sts->told, query, entry);
	sts_query_free(query);
}

/* --- the refresh --- */

struct choice {
	struct sts		*sts;
	struct sts_entry	*entry;		/* due for longest, or null */
};

static void visit_for_refresh(void *arg, struct sts_entry *entry)
{
	struct choice *choice = arg;
	struct sts *sts = choice->sts;
	int64_t unused = clock_wall() - entry->used;

	if (hash_find_text(sts->by_domain, entry->domain) != NULL)
		return;
	/* Not at once after a start: the clock may be wrong then. */
	if (unused > (int64_t)UNUSED_DAYS * DAY &&
	    clock_monotonic() - entry->since > DAY && (sts_entry_left(entry) <=
	    0 || entry->policy.mode == STS_MODE_NONE)) {
		log_info("sts-forgotten", log_text("domain", entry->domain),
		    log_text("mode", sts_mode_name(entry->policy.mode)));
		sts_cache_remove(sts->cache, entry->domain);
		return;
	}
	if (clock_monotonic() >= entry->refresh_at && (choice->entry == NULL ||
	    entry->refresh_at < choice->entry->refresh_at))
		choice->entry = entry;
}

/* In the order in which they were due: domains whose policies want a refresh
 * every few minutes, or whose hosts answer slowly, take turns with the others.
 * True when there may be more to do. */
static bool start_refreshes(struct sts *sts)
{
	struct choice choice = { .sts = sts };

	while (sts->refreshes < REFRESHES_MAX &&
	    sts->discoveries < STS_DISCOVERIES_MAX) {
		choice.entry = NULL;
		sts_cache_each(sts->cache, visit_for_refresh, &choice);
		if (choice.entry == NULL)
			return false;
		sts_discovery_start(sts, choice.entry->domain, true);
	}
	return true;
}

static void on_tick(void *arg)
{
	struct sts *sts = arg;
	int64_t pause = sts->conf->sts_refresh * 1000 / 16;
	int64_t most = TICK_MAX;

	sts_cache_tend(sts->cache);
	sts_failures_purge(sts, UINT32_MAX);
	if (start_refreshes(sts))
		most = TICK_BUSY;
	timer_start(&sts->tick, pause > most ? most : pause < TICK_MIN ?
	    TICK_MIN : pause, on_tick, sts);
}

/* What was read from the store is due when it would have been; what came from
 * the future at once. */
static void set_refresh_time(void *arg, struct sts_entry *entry)
{
	const struct sts *sts = arg;
	int64_t due = sts_with_jitter(sts_refresh_interval(sts, entry)) -
	    entry->age_then;

	if (entry->refresh_at == 0 && !entry->from_future && due > 0)
		entry->refresh_at = entry->since + due;
}

void sts_start_refresh(struct sts *sts)
{
	sts_cache_load(sts->cache);
	sts_cache_each(sts->cache, set_refresh_time, sts);
	timer_start(&sts->tick, TICK_MIN, on_tick, sts);
}

/* --- life --- */

struct sts *sts_new(const struct conf *conf, struct resolver *resolver,
    const char *directory, const char *trust_pem)
{
	struct sts *sts = mem_alloc(sizeof(*sts));

	sts->conf = conf;
	sts->resolver = resolver;
	sts->fetcher = fetcher_new(trust_pem);
	sts->cache = sts_cache_new(directory);
	sts->by_domain = hash_new();
	sts->failures = hash_new();
	sts->port = HTTPS_PORT;
	TAILQ_INIT(&sts->waiting);
	TAILQ_INIT(&sts->told);
	return sts;
}

void sts_configure(struct sts *sts, const struct conf *conf)
{
	sts->conf = conf;
}

void sts_set_hooks(struct sts *sts, const struct sts_hooks *hooks)
{
	sts->hooks = *hooks;
}

void sts_set_port(struct sts *sts, uint16_t port)
{
	sts->port = port;
}

static void free_discovery(void *arg, const void *key, size_t length,
    void *value)
{
	struct sts_discovery *discovery = value;
	struct sts_query *query;

	(void)arg;
	(void)key;
	(void)length;
	while ((query = TAILQ_FIRST(&discovery->queries)) != NULL)
		sts_cancel(query);
	sts_discovery_free(discovery);
}

void sts_free(struct sts *sts)
{
	struct sts_query *query;

	if (sts == NULL)
		return;
	timer_stop(&sts->tick);
	while ((query = TAILQ_FIRST(&sts->told)) != NULL)
		sts_cancel(query);
	hash_each(sts->by_domain, free_discovery, sts);
	hash_free(sts->by_domain);
	sts_failures_purge(sts, 0);
	hash_free(sts->failures);
	sts_cache_free(sts->cache);
	fetcher_free(sts->fetcher);
	mem_free(sts);
}

/* --- for people --- */

struct visit {
	struct sts	*sts;
	void		(*visit)(void *arg, const char *domain,
			    const struct sts_answer *answer);
	void		*arg;
};

static void visit_one(void *arg, struct sts_entry *entry)
{
	const struct visit *visit = arg;
	const struct sts_failure *failure = hash_find_text(visit->sts->failures,
	    entry->domain);
	struct arena *arena = arena_new(STS_ANSWER_BYTES);
	struct sts_answer answer = { .ttl = STS_TTL_MAX };

	sts_answer_with(&answer, arena, entry, STS_SOURCE_CACHED);
	if (failure != NULL)
		sts_set_problem(&answer, failure->result, failure->problem);
	visit->visit(visit->arg, entry->domain, &answer);
	arena_free(arena);
}

uint64_t sts_scan(struct sts *sts, uint64_t cursor, void (*visit)(void *arg,
    const char *domain, const struct sts_answer *answer), void *arg)
{
	struct visit visitor = { sts, visit, arg };

	sts_cache_load(sts->cache);
	return sts_cache_scan(sts->cache, cursor, visit_one, &visitor);
}

const char *sts_text(struct sts *sts, const char *domain, const char *id,
    size_t *length)
{
	const struct sts_entry *entry;
	char name[STS_DOMAIN_MAX + 1];

	if (!take_name(name, domain))
		return NULL;
	entry = sts_cache_find(sts->cache, name);
	if (entry == NULL || strcmp(entry->id, id) != 0)
		return NULL;
	*length = entry->length;
	return entry->body;
}

bool sts_forget(struct sts *sts, const char *domain)
{
	sts_cache_load(sts->cache);
	sts_failure_forget(sts, domain);
	if (!sts_cache_remove(sts->cache, domain))
		return false;
	if (sts->hooks.changed != NULL)
		sts->hooks.changed(sts->hooks.arg, domain);
	return true;
}
