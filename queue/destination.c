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
#include "queue/orders.h"

enum {
	/* One failure may be one bad connection; two in a row are the host. */
	REST_AFTER = 2,
	/* Jobs at once at a host of which nothing is known. */
	LIMIT_FIRST = 4,
	/* A failure is remembered for so long if the rest is over. */
	MEMORY_MILLISECONDS = 3600 * 1000,
	/* So often a host that is well and has no mail is kept, and so many. */
	IDLE_PURGES = 60,
	KEPT_MAX = 10000,
	DISCARD_LIMIT = 1 << 20,
	RATE_MILLISECONDS = 10 * 1000,
	KEY_MAX = 640,
	/* Domains of which it is remembered where their mail goes. */
	KNOWN_MAX = 32768,
	KNOWN_KEY_MAX = 256,
	/* So few of all are looked at for one that may be forgotten. */
	SEARCH_MOST = 64,
	/* Slots of groups at a destination, as a power of two. */
	SLOT_BITS = 8,
	MERGE_BITS = 2,
	/* A half of what places of which nothing is known may have is given
	 * out at once, the rest so slowly that it lasts: all may hang. */
	UNPACED_PART = 2,
	/* Who answers makes room for another at once: for a quarter, so long
	 * after. */
	CREDIT_PART = 4,
	CREDIT_MILLISECONDS = 1000
};

/* At the end of the key of what is paused. */
static const char paused_mark[] = " (paused)";

TAILQ_HEAD(line, destination);

/* Who may have a job of one kind of worker. */
struct lines {
	struct line	 lines[TRUST_COUNT][WAITING_SENDERS];
	unsigned	 runnable[TRUST_COUNT];	/* in these lines */
	unsigned	 last[TRUST_COUNT];	/* whose turn it was */
	unsigned	 last_trust;
	/* Of those of whom nothing is known the last one that came has every
	 * other turn: the many before it may all hang. */
	struct destination	*newest;	/* or null */
	bool		 was_newest;
	unsigned	 in_flight[TRUST_COUNT];
	unsigned	 slots;
	/* See pace(); times are monotonic, ms. */
	int64_t		 now;			/* of the last turn */
	int64_t		 paced_at;		/* the last one given out so */
	unsigned	 credit;
	int64_t		 credit_at;
	int64_t		 patience;		/* that a try may hang */
};

/* Where the mail of a domain goes, in one lane: it is asked for each message,
 * and the answer costs more than all the rest. */
struct known_domain {
	struct destination	*destination;
	LIST_ENTRY(known_domain) link;
	size_t			 length;
	char			 key[];		/* lane, domain */
};

struct destinations {
	const struct conf	*conf;		/* outlives us */
	const struct orders	*orders;	/* outlives us; or null */
	struct hash		*by_key;	/* owns the values */
	struct hash		*by_domain;	/* of known_domain, borrowed */
	struct room		*room;		/* owned */
	struct hosts		*hosts;		/* owned */
	struct lines		 kinds[DESTINATION_KINDS];
	struct heap		 resting;
	uint32_t		 salt;		/* who shares a slot with whom */
	unsigned		 slot_bits;
	uint64_t		 search;	/* destinations_idlest() */
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

static void lines_init(struct lines *lines)
{
	for (int trust = 0; trust < TRUST_COUNT; trust++)
		for (int sender = 0; sender < WAITING_SENDERS; sender++)
			TAILQ_INIT(&lines->lines[trust][sender]);
}

static void lines_configure(struct destinations *all)
{
	for (int kind = 0; kind < DESTINATION_KINDS; kind++)
		all->kinds[kind].patience = all->conf->connect_timeout * 1000;
}

struct destinations *destinations_new(const struct conf *conf,
    const struct orders *orders)
{
	struct destinations *all = mem_alloc(sizeof(*all));

	all->conf = conf;
	all->orders = orders;
	all->by_key = hash_new();
	all->by_domain = hash_new();
	all->room = room_new();
	all->hosts = hosts_new();
	for (int kind = 0; kind < DESTINATION_KINDS; kind++)
		lines_init(&all->kinds[kind]);
	lines_configure(all);
	heap_init(&all->resting);
	random_bytes(&all->salt, sizeof(all->salt));
	all->slot_bits = SLOT_BITS;
	return all;
}

static void leave_line(struct destinations *all,
    struct destination *destination)
{
	struct lines *lines = &all->kinds[destination->kind];

	if (!destination->runnable)
		return;
	destination->runnable = false;
	if (lines->newest == destination)
		lines->newest = NULL;
	lines->runnable[destination->trust]--;
	TAILQ_REMOVE(&lines->lines[destination->trust][destination->sender],
	    destination, link);
}

/* --- domains --- */

/* The lane, and the name; false: it is too long. */
static bool write_domain_key(char *key, size_t *length, const char *domain,
    unsigned lane)
{
	size_t name = strlen(domain);

	if (name >= KNOWN_KEY_MAX)
		return false;
	key[0] = (char)lane;
	memcpy(key + 1, domain, name);
	*length = name + 1;
	return true;
}

static void forget_domains(struct destinations *all,
    struct destination *destination)
{
	struct known_domain *known;

	while ((known = LIST_FIRST(&destination->known)) != NULL) {
		LIST_REMOVE(known, link);
		hash_remove(all->by_domain, known->key, known->length);
		mem_free(known);
	}
}

static void forget_one(void *arg, const void *key, size_t length, void *value)
{
	(void)key;
	(void)length;
	forget_domains(arg, value);
}

static void remember_domain(struct destinations *all,
    struct destination *destination, const char *domain, unsigned lane)
{
	struct known_domain *known;
	char key[KNOWN_KEY_MAX];
	size_t length;

	if (!write_domain_key(key, &length, domain, lane))
		return;
	if (hash_count(all->by_domain) >= KNOWN_MAX)
		hash_each(all->by_key, forget_one, all);
	known = mem_alloc(sizeof(*known) + length);
	known->destination = destination;
	known->length = length;
	memcpy(known->key, key, length);
	hash_put(all->by_domain, key, length, known);
	LIST_INSERT_HEAD(&destination->known, known, link);
}

static struct destination *recall_domain(const struct destinations *all,
    const char *domain, unsigned lane)
{
	const struct known_domain *known;
	char key[KNOWN_KEY_MAX];
	size_t length;

	if (!write_domain_key(key, &length, domain, lane))
		return NULL;
	known = hash_find(all->by_domain, key, length);
	return known == NULL ? NULL : known->destination;
}

static void destination_free(struct destinations *all,
    struct destination *destination)
{
	forget_domains(all, destination);
	hash_remove_text(all->by_key, destination->key);
	heap_remove(&all->resting, &destination->rest);
	waiting_clear(&destination->waiting, all->room);
	leave_line(all, destination);
	host_forget(all->hosts, destination);
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
	hash_free(all->by_domain);
	heap_release(&all->resting);
	room_free(all->room);
	hosts_free(all->hosts);
	mem_free(all);
}

size_t destinations_count(const struct destinations *all)
{
	return hash_count(all->by_key);
}

size_t destinations_resting(const struct destinations *all)
{
	return all->resting.count;
}

struct room *destinations_room(struct destinations *all)
{
	return all->room;
}

void destinations_set_slots(struct destinations *all,
    enum destination_kind kind, unsigned slots)
{
	all->kinds[kind].slots = slots;
}

static unsigned limit_of(const struct destinations *all,
    const struct conf_next_hop *next)
{
	if (next->transport == TRANSPORT_DISCARD)
		return DISCARD_LIMIT;
	return all->conf->destination_concurrency < 1 ? 1 :
	    (unsigned)all->conf->destination_concurrency;
}

/* Hosts of others are asked how much they take; what is ours is known. */
static unsigned first_limit(const struct destination *destination)
{
	bool is_known = destination->next.transport == TRANSPORT_MAILDIR ||
	    destination->next.transport == TRANSPORT_DISCARD;

	return is_known || destination->limit_max < LIMIT_FIRST ?
	    destination->limit_max : LIMIT_FIRST;
}

/* The pause that mail for domain lies under, or null. */
static const struct order *find_pause(const struct destinations *all,
    const char *domain, const struct conf_next_hop *next)
{
	const struct order *pause;

	if (all->orders == NULL)
		return NULL;
	pause = orders_find_pause(all->orders, domain);
	if (pause == NULL && !next->mx && next->host[0] != '\0')
		pause = orders_find_pause(all->orders, next->host);
	return pause;
}

/* Where it goes, the text for that, and the pause it lies under. */
static const struct order *find_way(const struct destinations *all,
    const char *domain, unsigned lane, struct conf_next_hop *next, char *key)
{
	const struct order *pause;

	conf_next_hop(all->conf, domain, next);
	write_key(key, KEY_MAX - sizeof(paused_mark), next, domain, lane);
	pause = find_pause(all, domain, next);
	if (pause != NULL)
		snprintf(key + strlen(key), KEY_MAX - strlen(key), "%s",
		    paused_mark);
	return pause;
}

/* What messages are said to wait for. */
static void set_pause(struct destination *destination,
    const struct order *pause)
{
	destination->paused = true;
	destination->paused_until = pause->ends;
	status_print(&destination->trouble, STATUS_DEFERRED, REASON_PAUSED,
	    "4.3.2", "paused by the operator: %s", pause->reason);
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
	LIST_INIT(&destination->known);
	waiting_init(&destination->waiting);
	destination->limit_max = limit_of(all, next);
	destination->limit = first_limit(destination);
	hash_put_text(all->by_key, key, destination);
	return destination;
}

struct destination *destination_find(struct destinations *all,
    const char *domain, unsigned lane)
{
	struct destination *destination = recall_domain(all, domain, lane);
	struct conf_next_hop next;
	char key[KEY_MAX];

	if (destination != NULL)
		return destination;
	find_way(all, domain, lane, &next, key);
	destination = hash_find_text(all->by_key, key);
	if (destination != NULL)
		remember_domain(all, destination, domain, lane);
	return destination;
}

struct destination *destination_get(struct destinations *all,
    const char *domain, unsigned lane)
{
	struct destination *destination = recall_domain(all, domain, lane);
	struct conf_next_hop next;
	const struct order *pause;
	char key[KEY_MAX];

	if (destination != NULL)
		return destination;
	pause = find_way(all, domain, lane, &next, key);
	destination = hash_find_text(all->by_key, key);
	if (destination == NULL)
		destination = destination_new(all, key, &next);
	if (pause != NULL)
		set_pause(destination, pause);
	remember_domain(all, destination, domain, lane);
	return destination;
}

static void configure_one(void *arg, const void *key, size_t length,
    void *value)
{
	struct destinations *all = arg;
	struct destination *destination = value;

	(void)key;
	(void)length;
	if (destination->waiting.count > 0)
		bug("destination-busy");
	/* Its mail, or that of its domains, may go elsewhere from now on. */
	forget_domains(all, destination);
	destination->limit_max = limit_of(all, &destination->next);
	if (destination->limit > destination->limit_max)
		destination->limit = destination->limit_max;
}

void destinations_configure(struct destinations *all, const struct conf *conf)
{
	all->conf = conf;
	all->slot_bits = SLOT_BITS;
	lines_configure(all);
	hash_each(all->by_key, configure_one, all);
}

struct purge {
	struct destinations	*all;
	int64_t			 now;
};

static void refresh(struct destinations *all, struct destination *destination);

/* Its rest, and that of its host, would end when the clock is there again. */
static void clock_was_set_back(struct destinations *all,
    struct destination *destination, int64_t now)
{
	destination->failed_at = now;
	host_forget(all->hosts, destination);
	heap_remove(&all->resting, &destination->rest);
	refresh(all, destination);
}

static void purge_one(void *arg, const void *key, size_t length, void *value)
{
	struct purge *purge = arg;
	struct destination *destination = value;

	(void)key;
	(void)length;
	if (destination->failed_at > purge->now)
		clock_was_set_back(purge->all, destination, purge->now);
	if (destination->waiting.group_count > 0 || destination->in_flight > 0)
		return;
	if (heap_contains(&destination->rest) || (destination->failures > 0 &&
	    destination->failed_at + MEMORY_MILLISECONDS > purge->now))
		return;
	if (destination->proven && destination->idle++ < IDLE_PURGES &&
	    destinations_count(purge->all) < KEPT_MAX)
		return;
	destination_free(purge->all, destination);
}

void destinations_purge(struct destinations *all, int64_t now)
{
	struct purge purge = { all, now };

	hash_each(all->by_key, purge_one, &purge);
}

static struct destination *of_rest(struct heap_node *node)
{
	return (struct destination *)((char *)node -
	    offsetof(struct destination, rest));
}

struct search {
	int64_t			 failed_before;
	struct destination	*best;		/* or null */
	int64_t			 worth;		/* of it: the more the better */
	unsigned		 seen;
};

static void weigh(void *arg, const void *key, size_t length, void *value)
{
	struct search *search = arg;
	struct destination *destination = value;
	int64_t worth = INT64_MAX;

	(void)key;
	(void)length;
	search->seen++;
	if (destination->in_flight > 0)
		return;
	if (heap_contains(&destination->rest))
		worth = destination->failed_at <= search->failed_before ?
		    destination->rest.due : -1;
	else if (destination->waiting.group_count > 0 && !destination->paused)
		worth = search->failed_before < INT64_MAX ? -1 :
		    !destination->fresh;
	if (worth < 0 || (search->best != NULL && worth <= search->worth))
		return;
	search->best = destination;
	search->worth = worth;
}

struct destination *destinations_idlest(struct destinations *all,
    int64_t failed_before)
{
	struct search search = { .failed_before = failed_before };
	int ends = 0;

	/* From where the last search ended; all of them, if they are few. */
	while (search.seen < SEARCH_MOST && ends < 2) {
		all->search = hash_scan(all->by_key, all->search, weigh,
		    &search);
		ends += all->search == 0;
	}
	return search.best;
}

void destinations_forget(struct destinations *all,
    struct destination *destination)
{
	if (destination->waiting.group_count > 0 || destination->in_flight > 0)
		bug("destination-in-use");
	destination_free(all, destination);
}

bool destination_is_resting(const struct destination *destination, int64_t now)
{
	return heap_contains(&destination->rest) &&
	    destination->rest.due > now;
}

/* --- lines --- */

static enum trust trust_of(const struct destination *destination)
{
	if (destination->failures >= REST_AFTER)
		return TRUST_TROUBLED;
	if (destination->proven)
		return TRUST_PROVEN;
	if (destination->failures > 0)
		return TRUST_TROUBLED;
	return destination->fresh ? TRUST_NEW : TRUST_UNTRIED;
}

/* Puts it into or takes it out of the lines of those who may have a job. */
static void refresh(struct destinations *all, struct destination *destination)
{
	struct lines *lines = &all->kinds[destination->kind];
	const struct wait_group *next = waiting_next(&destination->waiting);
	enum trust trust = trust_of(destination);
	unsigned sender;

	if (next == NULL || destination->paused ||
	    destination->in_flight >= destination->limit ||
	    heap_contains(&destination->rest)) {
		leave_line(all, destination);
		return;
	}
	sender = next->slot % WAITING_SENDERS;
	if (destination->runnable && destination->trust == trust &&
	    destination->sender == sender)
		return;
	leave_line(all, destination);
	destination->runnable = true;
	destination->trust = trust;
	destination->sender = sender;
	if (trust == TRUST_NEW && destination->in_flight == 0)
		lines->newest = destination;
	lines->runnable[trust]++;
	TAILQ_INSERT_TAIL(&lines->lines[trust][sender], destination, link);
}

/* How many slots those of this trust, and of less, may have together. */
static unsigned slots_for(const struct lines *lines, enum trust trust)
{
	unsigned slots = lines->slots, part;

	switch (trust) {
	case TRUST_PROVEN: return slots;
	case TRUST_NEW: part = slots - slots / 4; break;
	case TRUST_UNTRIED: part = slots / 2; break;
	default: part = slots / 4; break;
	}
	return part < 1 ? 1 : part;
}

/* --- those of whom nothing is known --- */

/* What they may have, as long as those below them have what they have. */
static unsigned new_part(const struct lines *lines)
{
	unsigned part = slots_for(lines, TRUST_NEW);
	unsigned others = lines->in_flight[TRUST_UNTRIED] +
	    lines->in_flight[TRUST_TROUBLED];

	return part > others ? part - others : 0;
}

static bool is_paced(const struct lines *lines)
{
	return lines->in_flight[TRUST_NEW] >=
	    (new_part(lines) + 1) / UNPACED_PART;
}

static bool has_credit(const struct lines *lines)
{
	return lines->credit > 0 &&
	    lines->now - lines->credit_at < CREDIT_MILLISECONDS;
}

/* One of them has answered. */
static void give_credit(struct lines *lines)
{
	if (!has_credit(lines))
		lines->credit = 0;
	lines->credit_at = lines->now;
	if (lines->credit < new_part(lines) / CREDIT_PART)
		lines->credit++;
}

static void use_credit(struct lines *lines)
{
	if (has_credit(lines))
		lines->credit--;
	else
		lines->paced_at = lines->now;
}

/* How long none of them may be tried; 0 if one may. However many hang, there is
 * a slot for the next one soon: the fewer are left, the longer each lasts. */
static int64_t pace(const struct lines *lines)
{
	unsigned part = new_part(lines);
	unsigned taken = lines->in_flight[TRUST_NEW];
	int64_t next;

	if (!is_paced(lines) || has_credit(lines) || taken >= part)
		return 0;
	next = lines->paced_at + lines->patience / (part - taken);
	return lines->paced_at > 0 && next > lines->now ?
	    next - lines->now : 0;
}

int64_t destinations_pace(struct destinations *all,
    enum destination_kind kind, int64_t now)
{
	struct lines *lines = &all->kinds[kind];
	int64_t wait = 0;

	lines->now = now;
	if (lines->slots > 0 && lines->runnable[TRUST_NEW] > 0)
		wait = pace(lines);
	return wait > 0 ? wait : -1;
}

/* Every kind of trust has its part together with all that have less. */
static bool may_run(const struct lines *lines, enum trust trust)
{
	unsigned taken = 0;

	if (lines->runnable[trust] == 0)
		return false;
	if (lines->slots == 0)
		return true;
	if (trust == TRUST_NEW && pace(lines) > 0)
		return false;
	for (int part = TRUST_COUNT - 1; part >= 0; part--) {
		taken += lines->in_flight[part];
		if (part <= (int)trust &&
		    taken >= slots_for(lines, (enum trust)part))
			return false;
	}
	return true;
}

/* Whose turn it is; null if nobody may have a job. */
static struct destination *choose(struct lines *lines)
{
	unsigned trust = lines->last_trust, sender;

	for (unsigned i = 0; i < TRUST_COUNT; i++) {
		trust = (trust + 1) % TRUST_COUNT;
		if (!may_run(lines, trust))
			continue;
		lines->last_trust = trust;
		lines->was_newest = trust == TRUST_NEW &&
		    lines->newest != NULL &&
		    (!lines->was_newest || is_paced(lines));
		if (lines->was_newest)
			return lines->newest;
		sender = lines->last[trust];
		do
			sender = (sender + 1) % WAITING_SENDERS;
		while (TAILQ_EMPTY(&lines->lines[trust][sender]));
		lines->last[trust] = sender;
		return TAILQ_FIRST(&lines->lines[trust][sender]);
	}
	return NULL;
}

/* --- who waits --- */

struct wait_group *destination_group(struct destinations *all,
    struct destination *destination, uint32_t number, bool tried)
{
	uint32_t mixed = (number ^ all->salt) * 0x9e3779b1u;
	unsigned slot = mixed >> 16 & ((1u << all->slot_bits) - 1);

	return waiting_get(&destination->waiting, all->room, destination, slot,
	    tried ? RING_OLD : RING_FRESH);
}

bool destinations_may_merge(const struct destinations *all)
{
	return all->slot_bits > 0;
}

void destinations_merge_groups(struct destinations *all)
{
	if (room_groups(all->room) > 0)
		bug("groups-busy");
	all->slot_bits -= MERGE_BITS;
}

void destination_add(struct destinations *all, struct wait_group *group,
    const struct place *place)
{
	waiting_put(&group->destination->waiting, all->room, group, place);
	refresh(all, group->destination);
}

void destination_add_first(struct destinations *all,
    struct wait_group *group, const struct place *place)
{
	waiting_put_first(&group->destination->waiting, all->room, group,
	    place);
	refresh(all, group->destination);
}

void destination_sift(struct destinations *all, struct wait_group *group,
    bool (*leaves)(void *arg, const struct place *place), void *arg)
{
	struct destination *destination = group->destination;

	waiting_sift(&destination->waiting, all->room, group, leaves, arg);
	waiting_drop(&destination->waiting, all->room, group);
	refresh(all, destination);
}

void destination_clear(struct destinations *all,
    struct destination *destination)
{
	waiting_clear(&destination->waiting, all->room);
	refresh(all, destination);
}

struct entry *destination_take_place(struct destination *destination,
    const struct place *place)
{
	struct entry *entry = mem_alloc(sizeof(*entry));

	entry->place = *place;
	entry->destination = destination;
	entry->trust = TRUST_COUNT;
	destination->in_flight++;
	destination->idle = 0;
	return entry;
}

struct entry *destinations_take(struct destinations *all,
    enum destination_kind kind, int64_t now)
{
	struct lines *lines = &all->kinds[kind];
	struct destination *destination;
	struct wait_group *group;
	struct entry *entry;
	struct place place;

	lines->now = now;
	destination = choose(lines);
	if (destination == NULL)
		return NULL;
	group = waiting_next(&destination->waiting);
	waiting_take(&destination->waiting, all->room, group, &place);
	entry = destination_take_place(destination, &place);
	entry->slot = group->slot;
	entry->ring = group->ring;
	entry->trust = (uint8_t)destination->trust;
	if (entry->trust == TRUST_NEW && is_paced(lines))
		use_credit(lines);
	lines->in_flight[entry->trust]++;
	waiting_drop(&destination->waiting, all->room, group);
	/* To the back of its line: everybody gets a turn. */
	leave_line(all, destination);
	refresh(all, destination);
	return entry;
}

void destination_done(struct destinations *all, struct entry *entry)
{
	struct destination *destination = entry->destination;
	struct lines *lines = &all->kinds[destination->kind];

	if (destination->in_flight == 0)
		bug("destination-flight");
	destination->in_flight--;
	if (entry->trust < TRUST_COUNT)
		lines->in_flight[entry->trust]--;
	if (entry->trust == TRUST_NEW && destination->proven)
		give_credit(lines);
	mem_free(entry);
	refresh(all, destination);
}

/* --- what becomes of the host --- */

void destination_succeeded(struct destinations *all,
    struct destination *destination)
{
	host_forget(all->hosts, destination);
	destination->failures = 0;
	destination->proven = true;
	if (destination->limit < destination->limit_max)
		destination->limit++;
	heap_remove(&all->resting, &destination->rest);
	refresh(all, destination);
}

/* It has no jobs until then. */
static void rest(struct destinations *all, struct destination *destination,
    int64_t until)
{
	destination->limit = 1;
	destination->proven = false;
	heap_insert(&all->resting, &destination->rest, until);
}

void destination_failed(struct destinations *all,
    struct destination *destination, const struct status *status, int64_t now)
{
	int64_t wait;

	destination->trouble = *status;
	destination->failed_at = now;
	destination->limit = destination->limit > 1 ?
	    destination->limit / 2 : 1;
	host_failed(all->hosts, destination, status, all->conf, now);
	/* Jobs that were under way when the rest began tell nothing new. */
	if (!heap_contains(&destination->rest)) {
		/* A host that is known to be dead need not fail twice. */
		if (++destination->failures < REST_AFTER &&
		    host_is_resting(destination, now))
			destination->failures = REST_AFTER;
		if (destination->failures >= REST_AFTER) {
			wait = destination_backoff(all->conf,
			    destination->failures - 1);
			rest(all, destination, now + wait);
			log_info("destination-rests",
			    log_text("destination", destination->key),
			    log_number("seconds", wait / 1000),
			    log_text("reason",
			    status_reason_name(status->reason)),
			    log_text("text", status->text));
		}
	}
	refresh(all, destination);
}

void destinations_answered(struct destinations *all, const char *name)
{
	struct host *host = hosts_find(all->hosts, name);
	struct destination *destination, *next;

	if (host == NULL)
		return;
	for (destination = LIST_FIRST(&host->destinations);
	    destination != NULL; destination = next) {
		next = LIST_NEXT(destination, at_host);
		host_forget(all->hosts, destination);
		/* What it is worth its first job will tell. */
		heap_remove(&all->resting, &destination->rest);
		refresh(all, destination);
	}
}

void destination_wake(struct destinations *all,
    struct destination *destination)
{
	host_forget(all->hosts, destination);
	destination->failures = 0;
	destination->fresh = false;
	destination->limit = first_limit(destination);
	heap_remove(&all->resting, &destination->rest);
	refresh(all, destination);
}

int64_t destinations_wake_due(struct destinations *all, int64_t now,
    void (*visit)(void *arg, struct destination *destination), void *arg)
{
	struct heap_node *node;
	int64_t until;

	while ((node = heap_first(&all->resting)) != NULL &&
	    node->due <= now) {
		struct destination *destination = of_rest(node);

		heap_remove(&all->resting, node);
		until = host_wait(destination, all->conf, now);
		if (until > now) {
			heap_insert(&all->resting, node, until);
			continue;
		}
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

uint64_t destinations_scan(struct destinations *all, uint64_t cursor,
    void (*visit)(void *arg, struct destination *destination), void *arg)
{
	struct visit each = { visit, arg };

	return hash_scan(all->by_key, cursor, visit_one, &each);
}

/* Windows follow each other; the one before counts for what of it still lies
 * within the last ten seconds. */
void destination_note(struct destination *destination,
    enum status_outcome outcome, int64_t now)
{
	int64_t age = now - destination->lately_from;

	destination->outcomes[outcome]++;
	if (outcome != STATUS_DELIVERED && outcome != STATUS_RELAYED)
		return;
	if (age < 0 || age >= RATE_MILLISECONDS) {
		destination->before = age >= 0 && age < 2 * RATE_MILLISECONDS ?
		    destination->lately : 0;
		destination->lately = 0;
		destination->lately_from = age >= 0 &&
		    age < 2 * RATE_MILLISECONDS ?
		    destination->lately_from + RATE_MILLISECONDS : now;
	}
	destination->lately++;
}

double destination_rate(const struct destination *destination, int64_t now)
{
	int64_t age = now - destination->lately_from;
	double count = destination->lately;

	if (age < 0 || age >= 2 * RATE_MILLISECONDS)
		return 0;
	if (age < RATE_MILLISECONDS)
		count += (double)destination->before *
		    (double)(RATE_MILLISECONDS - age) / RATE_MILLISECONDS;
	else
		count *= (double)(2 * RATE_MILLISECONDS - age) /
		    RATE_MILLISECONDS;
	return count * 1000 / RATE_MILLISECONDS;
}
