/* SPDX-License-Identifier: ISC */
/*
 * Destinations are keyed by where the connection goes, so that a thousand
 * domains behind one smart host are one place. A failure of the host halves
 * the jobs it gets at once; the second in a row lets it rest for as long as a
 * message would wait, so that mail for a dead host costs one probe a time.
 */
#include "queue/destination.h"

#include <stdio.h>
#include <string.h>

#include "base/digest.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/mem.h"

enum {
	/* One failure may be one bad connection; two in a row are the host. */
	REST_AFTER = 2,
	/* Of that many turns one goes to old mail though fresh mail waits. */
	OLD_TURN = 4,
	/* A failure is remembered for so long if the rest is over. */
	MEMORY_MILLISECONDS = 3600 * 1000,
	DISCARD_LIMIT = 1 << 20,
	KEY_MAX = 640
};

struct destinations {
	const struct conf	*conf;		/* outlives us */
	struct hash		*by_key;	/* owns the values */
	TAILQ_HEAD(runnable, destination) runnable[DESTINATION_KINDS];
	struct heap		 resting;
};

int64_t destination_backoff(const struct conf *conf, unsigned failures)
{
	int64_t wait = conf->retry_first * 1000;
	int64_t most = conf->retry_max * 1000;

	while (failures-- > 1 && wait < most)
		wait *= 2;
	if (wait > most)
		wait = most;
	if (wait < 1000)
		wait = 1000;
	return wait - wait / 10 + random_below((uint32_t)(wait / 5) + 1);
}

bool destination_is_blamed(const struct status *status)
{
	if (status->outcome != STATUS_DEFERRED)
		return false;
	switch (status->reason) {
	case REASON_CONNECT: case REASON_LOST: case REASON_TIMEOUT:
	case REASON_DNS: case REASON_DNS_BOGUS: case REASON_NO_HOST:
	case REASON_NO_STARTTLS: case REASON_STARTTLS_REFUSED:
	case REASON_TLS_HANDSHAKE: case REASON_CERTIFICATE:
	case REASON_DANE_MISMATCH: case REASON_STS_CERTIFICATE:
	case REASON_LOGIN:
		return true;
	case REASON_REPLY:	/* RFC 5321 3.8: closing the channel */
		return status->code == 421;
	default:
		return false;
	}
}

static enum destination_kind kind_of(const struct conf_next_hop *next)
{
	return next->transport == TRANSPORT_MAILDIR ? DESTINATION_MAILBOX :
	    DESTINATION_DELIVERY;
}

static const char *lane_name(unsigned lane)
{
	switch (lane) {
	case LANE_COMMON: return "";
	case LANE_REQUIRETLS: return "requiretls";
	case LANE_OPTIONAL: return "tls-optional";
	default: return conf_level_name((enum conf_level)(lane - LANE_LEVEL));
	}
}

/* Who logs in at a host, or shows a certificate, may fail where others do not:
 * its mail keeps theirs from waiting. Jobs say whether a route leads there, and
 * delivery refuses one that does not say what it knows itself: what a route
 * names is not the place of the domain of that name. */
static void write_way(char *way, size_t size, const struct conf_next_hop *next)
{
	const struct conf_route *route = next->route;

	way[0] = '\0';
	if (route != NULL && (route->credentials_file[0] != '\0' ||
	    route->certificate[0] != '\0'))
		snprintf(way, size, " route %s", route->pattern);
	else if (next->routed)
		snprintf(way, size, " by route");
}

static void write_host_key(char *key, size_t size,
    const struct conf_next_hop *next, unsigned lane)
{
	char way[300];

	write_way(way, sizeof(way), next);
	snprintf(key, size, "%s%s:%s%s:%u%s%s%s",
	    next->transport == TRANSPORT_LMTP ? "lmtp" : "smtp",
	    next->implicit_tls ? "s" : "", next->mx ? "mx/" : "", next->host,
	    next->port, way, lane == LANE_COMMON ? "" : " ",
	    lane_name(lane));
}

/* The text that tells next hops apart, and lanes. */
static void write_key(char *key, size_t size, const struct conf_next_hop *next,
    const char *domain, unsigned lane)
{
	switch (next->transport) {
	case TRANSPORT_SMTP:
		write_host_key(key, size, next, lane);
		return;
	case TRANSPORT_DISCARD:
		snprintf(key, size, "discard");
		return;
	case TRANSPORT_MAILDIR:
		snprintf(key, size, "maildir:%s", domain);
		return;
	case TRANSPORT_LMTP:
		/* No TLS on a Unix socket, so no lanes. */
		if (next->route->socket[0] != '\0')
			snprintf(key, size, "lmtp:%s", next->route->socket);
		else
			write_host_key(key, size, next, lane);
		return;
	}
	bug("transport");
}

struct destinations *destinations_new(const struct conf *conf)
{
	struct destinations *all = mem_alloc(sizeof(*all));

	all->conf = conf;
	all->by_key = hash_new();
	for (int kind = 0; kind < DESTINATION_KINDS; kind++)
		TAILQ_INIT(&all->runnable[kind]);
	heap_init(&all->resting);
	return all;
}

static void drop_entries(struct entries *entries)
{
	struct entry *entry;

	while ((entry = TAILQ_FIRST(entries)) != NULL) {
		TAILQ_REMOVE(entries, entry, link);
		mem_free(entry);
	}
}

static void destination_free(struct destinations *all,
    struct destination *destination)
{
	hash_remove_text(all->by_key, destination->key);
	heap_remove(&all->resting, &destination->rest);
	if (destination->runnable)
		TAILQ_REMOVE(&all->runnable[destination->kind], destination,
		    link);
	drop_entries(&destination->fresh);
	drop_entries(&destination->old);
	mem_free(destination->key);
	mem_free(destination);
}

static void free_one(void *arg, const void *key, size_t length, void *value)
{
	(void)key;
	(void)length;
	destination_free(arg, value);
}

void destinations_free(struct destinations *all)
{
	if (all == NULL)
		return;
	hash_each(all->by_key, free_one, all);
	hash_free(all->by_key);
	heap_release(&all->resting);
	mem_free(all);
}

size_t destinations_count(const struct destinations *all)
{
	return hash_count(all->by_key);
}

static unsigned limit_of(const struct destinations *all,
    const struct conf_next_hop *next)
{
	if (next->transport == TRANSPORT_DISCARD)
		return DISCARD_LIMIT;
	return all->conf->destination_concurrency < 1 ? 1 :
	    (unsigned)all->conf->destination_concurrency;
}

static struct destination *destination_new(struct destinations *all,
    const char *key, const struct conf_next_hop *next)
{
	struct destination *destination = mem_alloc(sizeof(*destination));

	destination->key = mem_dup_string(key);
	destination->kind = kind_of(next);
	destination->next = *next;
	/* The roles find these themselves; ours may be reloaded. */
	destination->next.local = NULL;
	destination->next.route = NULL;
	TAILQ_INIT(&destination->fresh);
	TAILQ_INIT(&destination->old);
	destination->limit_max = limit_of(all, next);
	destination->limit = destination->limit_max;
	hash_put_text(all->by_key, key, destination);
	return destination;
}

struct destination *destination_find(struct destinations *all,
    const char *domain, unsigned lane)
{
	struct conf_next_hop next;
	char key[KEY_MAX];

	conf_next_hop(all->conf, domain, &next);
	write_key(key, sizeof(key), &next, domain, lane);
	return hash_find_text(all->by_key, key);
}

struct destination *destination_get(struct destinations *all,
    const char *domain, unsigned lane)
{
	struct conf_next_hop next;
	struct destination *destination;
	char key[KEY_MAX];

	conf_next_hop(all->conf, domain, &next);
	write_key(key, sizeof(key), &next, domain, lane);
	destination = hash_find_text(all->by_key, key);
	if (destination == NULL)
		return destination_new(all, key, &next);
	return destination;
}

static void configure_one(void *arg, const void *key, size_t length,
    void *value)
{
	struct destinations *all = arg;
	struct destination *destination = value;

	(void)key;
	(void)length;
	if (destination->waiting > 0)
		bug("destination-busy");
	destination->limit_max = limit_of(all, &destination->next);
	if (destination->limit > destination->limit_max)
		destination->limit = destination->limit_max;
}

void destinations_configure(struct destinations *all, const struct conf *conf)
{
	all->conf = conf;
	hash_each(all->by_key, configure_one, all);
}

struct purge {
	struct destinations	*all;
	int64_t			 now;
};

static void purge_one(void *arg, const void *key, size_t length, void *value)
{
	struct purge *purge = arg;
	struct destination *destination = value;

	(void)key;
	(void)length;
	if (destination->waiting > 0 || destination->in_flight > 0 ||
	    destination->more || destination->rescanning)
		return;
	if (heap_contains(&destination->rest) || (destination->failures > 0 &&
	    destination->failed_at + MEMORY_MILLISECONDS > purge->now))
		return;
	destination_free(purge->all, destination);
}

void destinations_purge(struct destinations *all, int64_t now)
{
	struct purge purge = { all, now };

	hash_each(all->by_key, purge_one, &purge);
}

bool destination_is_resting(const struct destination *destination, int64_t now)
{
	return heap_contains(&destination->rest) &&
	    destination->rest.due > now;
}

/* Puts it into or takes it out of the list of those who may have a job. */
static void refresh(struct destinations *all, struct destination *destination)
{
	bool runnable = destination->waiting > 0 &&
	    destination->in_flight < destination->limit &&
	    !heap_contains(&destination->rest);

	if (runnable == destination->runnable)
		return;
	destination->runnable = runnable;
	if (runnable)
		TAILQ_INSERT_TAIL(&all->runnable[destination->kind],
		    destination, link);
	else
		TAILQ_REMOVE(&all->runnable[destination->kind], destination,
		    link);
}

static struct entries *list_of(struct entry *entry)
{
	return entry->attempt == 0 ? &entry->destination->fresh :
	    &entry->destination->old;
}

void destination_add(struct destinations *all, struct entry *entry)
{
	TAILQ_INSERT_TAIL(list_of(entry), entry, link);
	entry->in_flight = false;
	entry->destination->waiting++;
	refresh(all, entry->destination);
}

void destination_remove(struct destinations *all, struct entry *entry)
{
	TAILQ_REMOVE(list_of(entry), entry, link);
	entry->destination->waiting--;
	refresh(all, entry->destination);
}

/* Fresh mail first, but old mail is never starved. */
static struct entry *choose(struct destination *destination)
{
	struct entry *fresh = TAILQ_FIRST(&destination->fresh);
	struct entry *old = TAILQ_FIRST(&destination->old);

	destination->turns++;
	if (fresh == NULL)
		return old;
	if (old != NULL && destination->turns % OLD_TURN == 0)
		return old;
	return fresh;
}

struct entry *destinations_take(struct destinations *all,
    enum destination_kind kind)
{
	struct destination *destination = TAILQ_FIRST(&all->runnable[kind]);
	struct entry *entry;

	if (destination == NULL)
		return NULL;
	entry = choose(destination);
	TAILQ_REMOVE(list_of(entry), entry, link);
	entry->in_flight = true;
	destination->waiting--;
	destination->in_flight++;
	/* To the back of the line: everybody gets a turn. */
	TAILQ_REMOVE(&all->runnable[kind], destination, link);
	destination->runnable = false;
	refresh(all, destination);
	return entry;
}

void destination_done(struct destinations *all,
    struct destination *destination)
{
	if (destination->in_flight == 0)
		bug("destination-flight");
	destination->in_flight--;
	refresh(all, destination);
}

void destination_succeeded(struct destinations *all,
    struct destination *destination)
{
	destination->failures = 0;
	if (destination->limit < destination->limit_max)
		destination->limit++;
	heap_remove(&all->resting, &destination->rest);
	refresh(all, destination);
}

void destination_failed(struct destinations *all,
    struct destination *destination, const struct status *status, int64_t now)
{
	destination->trouble = *status;
	destination->failed_at = now;
	destination->limit = destination->limit > 1 ?
	    destination->limit / 2 : 1;
	/* Jobs that were under way when the rest began tell nothing new. */
	if (!heap_contains(&destination->rest) &&
	    ++destination->failures >= REST_AFTER) {
		int64_t wait = destination_backoff(all->conf,
		    destination->failures - 1);

		destination->limit = 1;
		heap_insert(&all->resting, &destination->rest, now + wait);
		log_info("destination-rests",
		    log_text("destination", destination->key),
		    log_number("seconds", wait / 1000),
		    log_text("reason", status_reason_name(status->reason)),
		    log_text("text", status->text));
	}
	refresh(all, destination);
}

void destination_wake(struct destinations *all,
    struct destination *destination)
{
	destination->failures = 0;
	destination->limit = destination->limit_max;
	heap_remove(&all->resting, &destination->rest);
	refresh(all, destination);
}

int64_t destinations_wake_due(struct destinations *all, int64_t now,
    void (*visit)(void *arg, struct destination *destination), void *arg)
{
	struct heap_node *node;

	while ((node = heap_first(&all->resting)) != NULL &&
	    node->due <= now) {
		struct destination *destination = (struct destination *)
		    ((char *)node - offsetof(struct destination, rest));

		heap_remove(&all->resting, node);
		refresh(all, destination);
		visit(arg, destination);
	}
	return node == NULL ? -1 : node->due;
}

struct visit {
	void	(*visit)(void *arg, struct destination *destination);
	void	*arg;
};

static void visit_one(void *arg, const void *key, size_t length, void *value)
{
	struct visit *visit = arg;

	(void)key;
	(void)length;
	visit->visit(visit->arg, value);
}

void destinations_each(struct destinations *all, void (*visit)(void *arg,
    struct destination *destination), void *arg)
{
	struct visit each = { visit, arg };

	hash_each(all->by_key, visit_one, &each);
}
