/* SPDX-License-Identifier: ISC */
/*
 * Domains hold groups (one a lane), groups hold cells (one for each host and
 * reason). Hosts are numbered once, and counted by the cells that name them.
 * A removal that finds nothing marks the tally as broken and changes nothing
 * more: it is for statistics, and whoever owns it counts anew.
 */
#include "queue/tally.h"

#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "base/log.h"
#include "base/mem.h"

enum { GROUP_CELLS = 200 };	/* they are searched one by one */

struct host {
	char		*name;		/* owned; null: the number is free */
	uint32_t	 cells;		/* that name it */
};

struct tally {
	struct tally_bounds	 most;
	struct hash		*by_name;	/* domains; owns the values */
	struct tally_domain	*others;	/* owned; null: nothing folded */
	struct hash		*host_numbers;	/* by name, as pointers */
	struct host		*hosts;		/* owned */
	uint32_t		 host_count, host_size;
	size_t			 cell_count;	/* in all groups */
	struct tally_minute	*minutes;	/* owned; the first is for what
						 * has no place */
	size_t			 minute_count, minute_size;
	uint64_t		 messages;
	uint64_t		 bytes;
	bool			 broken;
};

static const struct tally_bounds defaults = { .domains = 20000,
    .hosts = 10000, .cells = 300000, .minutes = 100000 };

struct tally *tally_new(const struct tally_bounds *bounds)
{
	struct tally *tally = mem_alloc(sizeof(*tally));

	tally->most = defaults;
	if (bounds != NULL && bounds->domains > 0)
		tally->most.domains = bounds->domains;
	if (bounds != NULL && bounds->hosts > 0)
		tally->most.hosts = bounds->hosts;
	if (bounds != NULL && bounds->cells > 0)
		tally->most.cells = bounds->cells;
	if (bounds != NULL && bounds->minutes > 0)
		tally->most.minutes = bounds->minutes;
	tally->by_name = hash_new();
	tally->host_numbers = hash_new();
	tally->host_count = TALLY_FIRST_HOST;
	tally->minute_size = 64;
	tally->minutes = mem_alloc_array(tally->minute_size,
	    sizeof(*tally->minutes));
	tally->minute_count = 1;
	return tally;
}

static void domain_free(struct tally_domain *domain)
{
	struct tally_group *group;

	while ((group = domain->groups) != NULL) {
		domain->groups = group->next;
		mem_free(group->cells);
		mem_free(group);
	}
	mem_free(domain->name);
	mem_free(domain);
}

static void free_one(void *arg, const void *key, size_t length, void *value)
{
	(void)arg;
	(void)key;
	(void)length;
	domain_free(value);
}

void tally_free(struct tally *tally)
{
	if (tally == NULL)
		return;
	hash_each(tally->by_name, free_one, NULL);
	if (tally->others != NULL)
		domain_free(tally->others);
	hash_free(tally->by_name);
	hash_free(tally->host_numbers);
	for (uint32_t i = TALLY_FIRST_HOST; i < tally->host_count; i++)
		mem_free(tally->hosts[i].name);
	mem_free(tally->hosts);
	mem_free(tally->minutes);
	mem_free(tally);
}

bool tally_is_broken(const struct tally *tally)
{
	return tally->broken;
}

static void mark_broken(struct tally *tally, const char *what)
{
	if (!tally->broken)
		log_error("tally", log_text("broken", what));
	tally->broken = true;
}

/* --- hosts --- */

/* "mx.example.net[192.0.2.1]" is mx.example.net; "[192.0.2.1]" stays. */
size_t tally_host_length(const char *host)
{
	const char *bracket = strchr(host, '[');

	return bracket == NULL || bracket == host ? strlen(host) :
	    (size_t)(bracket - host);
}

static uint32_t host_find(const struct tally *tally, const char *host)
{
	size_t length = tally_host_length(host);
	uintptr_t number;

	if (length == 0)
		return TALLY_NO_HOST;
	number = (uintptr_t)hash_find(tally->host_numbers, host, length);
	return number == 0 ? TALLY_OTHER_HOSTS : (uint32_t)number;
}

/* Numbers that are free again are looked for only when the array is full. */
static uint32_t free_number(struct tally *tally)
{
	for (uint32_t i = TALLY_FIRST_HOST; i < tally->host_count; i++)
		if (tally->hosts[i].name == NULL)
			return i;
	return TALLY_OTHER_HOSTS;
}

static uint32_t host_add(struct tally *tally, const char *host)
{
	size_t length = tally_host_length(host);
	uint32_t number = tally->host_count;

	if (hash_count(tally->host_numbers) >= tally->most.hosts)
		return TALLY_OTHER_HOSTS;
	if (number - TALLY_FIRST_HOST > hash_count(tally->host_numbers))
		number = free_number(tally);
	else
		tally->host_count++;
	if (number >= tally->host_size) {
		tally->host_size = number + number / 2 + 16;
		tally->hosts = mem_resize(tally->hosts, tally->host_size,
		    sizeof(*tally->hosts));
	}
	tally->hosts[number].name = mem_alloc(length + 1);
	memcpy(tally->hosts[number].name, host, length);
	tally->hosts[number].cells = 0;
	hash_put(tally->host_numbers, host, length,
	    (void *)(uintptr_t)number);
	return number;
}

static void host_release(struct tally *tally, uint32_t number)
{
	struct host *host = &tally->hosts[number];

	if (number < TALLY_FIRST_HOST || --host->cells > 0)
		return;
	hash_remove(tally->host_numbers, host->name, strlen(host->name));
	mem_free(host->name);
	host->name = NULL;
}

/* --- cells --- */

static struct tally_cell *cell_find(const struct tally_group *group,
    uint32_t host, uint16_t reason)
{
	for (uint32_t i = 0; i < group->cell_count; i++)
		if (group->cells[i].host == host &&
		    group->cells[i].reason == reason)
			return &group->cells[i];
	return NULL;
}

static struct tally_cell *cell_add(struct tally *tally,
    struct tally_group *group, uint32_t host, uint16_t reason)
{
	struct tally_cell *cell;

	if (group->cell_count == group->cell_size) {
		group->cell_size = group->cell_size * 2 + 1;
		group->cells = mem_resize(group->cells, group->cell_size,
		    sizeof(*group->cells));
	}
	cell = &group->cells[group->cell_count++];
	*cell = (struct tally_cell){ .host = host, .reason = reason };
	if (host >= TALLY_FIRST_HOST)
		tally->hosts[host].cells++;
	tally->cell_count++;
	return cell;
}

static void cell_drop(struct tally *tally, struct tally_group *group,
    struct tally_cell *cell)
{
	host_release(tally, cell->host);
	*cell = group->cells[--group->cell_count];
	tally->cell_count--;
}

/* Where a recipient with that status is counted. A host may have a cell of its
 * own here only while none is counted as one of the others: see tally.h. */
static struct tally_cell *cell_for(struct tally *tally,
    struct tally_group *group, const struct status *status, bool may_add)
{
	uint32_t host = status == NULL ? TALLY_UNTRIED :
	    host_find(tally, status->host);
	uint16_t reason = status == NULL ? REASON_NONE :
	    (uint16_t)status->reason;
	struct tally_cell *cell = cell_find(group, host, reason);

	if (cell != NULL || host < TALLY_OTHER_HOSTS)
		return cell != NULL || !may_add ? cell :
		    cell_add(tally, group, host, reason);
	cell = cell_find(group, TALLY_OTHER_HOSTS, reason);
	if (cell != NULL || !may_add)
		return cell;
	if (tally->cell_count >= tally->most.cells ||
	    group->cell_count >= GROUP_CELLS)
		host = TALLY_OTHER_HOSTS;
	else if (host == TALLY_OTHER_HOSTS)
		host = host_add(tally, status->host);
	return cell_add(tally, group, host, reason);
}

/* --- domains --- */

static struct tally_domain *domain_new(const char *name)
{
	struct tally_domain *domain = mem_alloc(sizeof(*domain));

	domain->name = mem_dup_string(name);
	return domain;
}

/* Where the slices of a domain are; null if it has none. */
static struct tally_domain *domain_find(const struct tally *tally,
    const char *name)
{
	struct tally_domain *domain = hash_find_text(tally->by_name, name);

	return domain != NULL ? domain : tally->others;
}

static struct tally_domain *domain_get(struct tally *tally, const char *name)
{
	struct tally_domain *domain = domain_find(tally, name);

	if (domain != NULL)
		return domain;
	if (hash_count(tally->by_name) < tally->most.domains) {
		domain = domain_new(name);
		hash_put_text(tally->by_name, name, domain);
		return domain;
	}
	tally->others = domain_new("(others)");
	tally->others->is_others = true;
	return tally->others;
}

static void domain_drop(struct tally *tally, struct tally_domain *domain)
{
	if (domain->messages != 0 || domain->recipients != 0 ||
	    domain->bytes != 0)
		mark_broken(tally, "domain");
	if (domain->is_others)
		tally->others = NULL;
	else
		hash_remove_text(tally->by_name, domain->name);
	domain_free(domain);
}

/* The common domain has no place that it goes to, so no lanes. */
static struct tally_group **group_link(struct tally_domain *domain,
    unsigned lane)
{
	struct tally_group **link = &domain->groups;

	if (domain->is_others)
		lane = 0;
	while (*link != NULL && (*link)->lane != lane)
		link = &(*link)->next;
	return link;
}

static struct tally_group *group_get(struct tally_domain *domain,
    unsigned lane)
{
	struct tally_group **link = group_link(domain, lane);

	if (*link == NULL) {
		*link = mem_alloc(sizeof(**link));
		(*link)->lane = domain->is_others ? 0 : lane;
	}
	return *link;
}

static void group_drop(struct tally *tally, struct tally_group **link)
{
	struct tally_group *group = *link;

	if (group->cell_count != 0)
		mark_broken(tally, "group");
	while (group->cell_count > 0)
		cell_drop(tally, group, &group->cells[0]);
	*link = group->next;
	mem_free(group->cells);
	mem_free(group);
}

/* --- arrivals --- */

static uint32_t second_of(int64_t wall)
{
	int64_t second = wall / 1000;

	return second < 0 ? 0 : second > UINT32_MAX ? UINT32_MAX :
	    (uint32_t)second;
}

/* The last span that begins at or before a second; -1: all begin later. */
static int span_find(const struct tally_domain *domain, uint32_t second)
{
	int i = (int)domain->span_count - 1;

	while (i >= 0 && domain->spans[i].oldest > second)
		i--;
	return i;
}

static void span_remove_at(struct tally_domain *domain, unsigned i)
{
	domain->span_count--;
	memmove(&domain->spans[i], &domain->spans[i + 1],
	    (domain->span_count - i) * sizeof(domain->spans[0]));
}

/* The two neighbours that are the shortest together become one. */
static void span_merge(struct tally_domain *domain)
{
	struct tally_span *spans = domain->spans;
	unsigned best = 0;

	for (unsigned i = 1; i + 1 < domain->span_count; i++)
		if (spans[i + 1].newest - spans[i].oldest <
		    spans[best + 1].newest - spans[best].oldest)
			best = i;
	spans[best].newest = spans[best + 1].newest;
	spans[best].slices += spans[best + 1].slices;
	span_remove_at(domain, best + 1);
}

/* Only what is newer than everything begins a span: another one would take
 * over what is counted in the one before it. */
static void span_add(struct tally_domain *domain, uint32_t second)
{
	int at = span_find(domain, second);
	struct tally_span *span = &domain->spans[at < 0 ? 0 : at];

	if (domain->span_count == 0 || (at == (int)domain->span_count - 1 &&
	    second > span->newest)) {
		if (domain->span_count == TALLY_SPANS)
			span_merge(domain);
		domain->spans[domain->span_count++] = (struct tally_span){
		    second, second, 1 };
		return;
	}
	if (second < span->oldest)
		span->oldest = second;
	if (second > span->newest)
		span->newest = second;
	span->slices++;
}

static void span_remove(struct tally *tally, struct tally_domain *domain,
    uint32_t second)
{
	int at = span_find(domain, second);

	if (at < 0) {
		mark_broken(tally, "arrival");
		return;
	}
	if (--domain->spans[at].slices == 0)
		span_remove_at(domain, (unsigned)at);
}

int64_t tally_domain_oldest(const struct tally_domain *domain)
{
	return domain->span_count == 0 ? 0 :
	    (int64_t)domain->spans[0].oldest * 1000;
}

/* --- minutes --- */

/* The first of all but the common one that is not before minute. */
static size_t minute_place(const struct tally *tally, uint32_t minute)
{
	size_t low = 1, high = tally->minute_count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (tally->minutes[middle].minute < minute)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static bool minute_is_empty(const struct tally_minute *minute)
{
	return minute->messages == 0 && minute->recipients == 0;
}

static struct tally_minute *minute_insert(struct tally *tally, size_t place,
    uint32_t minute)
{
	struct tally_minute *at;

	if (tally->minute_count == tally->minute_size) {
		tally->minute_size *= 2;
		tally->minutes = mem_resize(tally->minutes,
		    tally->minute_size, sizeof(*tally->minutes));
	}
	at = &tally->minutes[place];
	memmove(at + 1, at, (tally->minute_count - place) * sizeof(*at));
	*at = (struct tally_minute){ .minute = minute };
	tally->minute_count++;
	return at;
}

static struct tally_minute *minute_for(struct tally *tally, int64_t arrival)
{
	uint32_t minute = second_of(arrival) / 60;
	size_t place = minute_place(tally, minute);

	if (place < tally->minute_count &&
	    tally->minutes[place].minute == minute)
		return &tally->minutes[place];
	if (!minute_is_empty(&tally->minutes[0]) ||
	    tally->minute_count >= tally->most.minutes)
		return &tally->minutes[0];
	return minute_insert(tally, place, minute);
}

static void minute_drop_empty(struct tally *tally, struct tally_minute *minute)
{
	size_t place = (size_t)(minute - tally->minutes);

	if (place == 0 || !minute_is_empty(minute))
		return;
	tally->minute_count--;
	memmove(minute, minute + 1,
	    (tally->minute_count - place) * sizeof(*minute));
}

/* --- putting in and taking out --- */

void tally_add(struct tally *tally, const struct tally_slice *slice)
{
	struct tally_domain *domain = domain_get(tally, slice->domain);
	struct tally_group *group = group_get(domain, slice->lane);

	domain->slices++;
	domain->recipients += slice->recipient_count;
	span_add(domain, second_of(slice->arrival));
	group->slices++;
	group->states[slice->state] += slice->recipient_count;
	for (uint32_t i = 0; i < slice->recipient_count; i++)
		cell_for(tally, group, slice->statuses[i], true)->recipients++;
	minute_for(tally, slice->arrival)->recipients +=
	    slice->recipient_count;
}

static bool has_all(const struct tally_domain *domain,
    const struct tally_group *group, const struct tally_slice *slice)
{
	return group != NULL && domain->slices > 0 && group->slices > 0 &&
	    domain->recipients >= slice->recipient_count &&
	    group->states[slice->state] >= slice->recipient_count;
}

static void remove_cells(struct tally *tally, struct tally_group *group,
    const struct tally_slice *slice)
{
	for (uint32_t i = 0; i < slice->recipient_count; i++) {
		struct tally_cell *cell = cell_for(tally, group,
		    slice->statuses[i], false);

		if (cell == NULL)
			mark_broken(tally, "cell");
		else if (--cell->recipients == 0)
			cell_drop(tally, group, cell);
	}
}

static void remove_minute(struct tally *tally, const struct tally_slice *slice)
{
	struct tally_minute *minute = minute_for(tally, slice->arrival);

	if (minute->recipients < slice->recipient_count)
		mark_broken(tally, "minute");
	else
		minute->recipients -= slice->recipient_count;
	minute_drop_empty(tally, minute);
}

void tally_remove(struct tally *tally, const struct tally_slice *slice)
{
	struct tally_domain *domain = domain_find(tally, slice->domain);
	struct tally_group **link = domain == NULL ? NULL :
	    group_link(domain, slice->lane);
	struct tally_group *group = link == NULL ? NULL : *link;

	if (tally->broken)
		return;
	if (domain == NULL || !has_all(domain, group, slice)) {
		mark_broken(tally, "slice");
		return;
	}
	domain->slices--;
	domain->recipients -= slice->recipient_count;
	span_remove(tally, domain, second_of(slice->arrival));
	group->slices--;
	group->states[slice->state] -= slice->recipient_count;
	remove_cells(tally, group, slice);
	remove_minute(tally, slice);
	if (group->slices == 0)
		group_drop(tally, link);
	if (domain->slices == 0)
		domain_drop(tally, domain);
}

void tally_due(struct tally *tally, const char *domain, unsigned lane,
    uint32_t recipients)
{
	struct tally_domain *at = domain_find(tally, domain);
	struct tally_group *group = at == NULL ? NULL :
	    *group_link(at, lane);

	if (group == NULL || group->states[TALLY_PENDING] < recipients) {
		mark_broken(tally, "due");
		return;
	}
	group->states[TALLY_PENDING] -= recipients;
	group->states[TALLY_DUE] += recipients;
}

void tally_message(struct tally *tally, int64_t arrival, uint64_t bytes,
    int sign)
{
	struct tally_minute *minute = minute_for(tally, arrival);

	if (sign > 0) {
		minute->messages++;
		minute->bytes += bytes;
		tally->messages++;
		tally->bytes += bytes;
		return;
	}
	if (minute->messages == 0 || minute->bytes < bytes ||
	    tally->messages == 0 || tally->bytes < bytes) {
		mark_broken(tally, "message");
		return;
	}
	minute->messages--;
	minute->bytes -= bytes;
	tally->messages--;
	tally->bytes -= bytes;
	minute_drop_empty(tally, minute);
}

void tally_message_at(struct tally *tally, const char *domain,
    uint64_t bytes, int sign)
{
	struct tally_domain *at = domain_find(tally, domain);

	if (at == NULL || (sign < 0 && (at->messages == 0 ||
	    at->bytes < bytes))) {
		mark_broken(tally, "message-at");
		return;
	}
	at->messages = sign > 0 ? at->messages + 1 : at->messages - 1;
	at->bytes = sign > 0 ? at->bytes + bytes : at->bytes - bytes;
}

/* --- reading --- */

size_t tally_domains(const struct tally *tally)
{
	return hash_count(tally->by_name) + (tally->others != NULL);
}

struct visit {
	void	(*visit)(void *arg, const struct tally_domain *domain);
	void	*arg;
};

static void visit_one(void *arg, const void *key, size_t length, void *value)
{
	struct visit *visit = arg;

	(void)key;
	(void)length;
	visit->visit(visit->arg, value);
}

void tally_each_domain(const struct tally *tally, void (*visit)(void *arg,
    const struct tally_domain *domain), void *arg)
{
	struct visit each = { visit, arg };

	hash_each(tally->by_name, visit_one, &each);
	if (tally->others != NULL)
		visit(arg, tally->others);
}

const char *tally_host_name(const struct tally *tally, uint32_t host)
{
	return tally->hosts[host].name;
}

uint32_t tally_hosts(const struct tally *tally)
{
	return tally->host_count;
}

size_t tally_minutes(const struct tally *tally,
    const struct tally_minute **minutes)
{
	bool none = minute_is_empty(&tally->minutes[0]);

	*minutes = tally->minutes + none;
	return tally->minute_count - none;
}

uint64_t tally_messages(const struct tally *tally)
{
	return tally->messages;
}

uint64_t tally_bytes(const struct tally *tally)
{
	return tally->bytes;
}
