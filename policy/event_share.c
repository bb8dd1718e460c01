/* SPDX-License-Identifier: ISC */
/*
 * The share of TLS: of the destinations that memory knows for it and that were
 * seen in the window, how many show none now. One destination's fault is one
 * destination's; many at once have a cause near us. What ends the alarm is well
 * below what begins it, so that it is told once and not with every connection.
 */
#include "policy/event_internal.h"

#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/mem.h"

enum { MEMBERS_MAX = 20000, TICK_MILLISECONDS = 60000 };

static const char cause[] = "destinations that are known for TLS show none: "
    "the trouble is likely near this server (a middlebox in its network, its "
    "firewall, its TLS library), not theirs";

/* --- members --- */

static void member_free(struct share *share, struct share_member *member)
{
	share->total--;
	share->lost -= member->lost;
	TAILQ_REMOVE(&share->all, member, entry);
	hash_remove_text(share->by_name, member->name);
	mem_free(member->name);
	mem_free(member);
}

static void expire(struct share *share)
{
	int64_t now = clock_monotonic();
	struct share_member *member;

	while ((member = TAILQ_FIRST(&share->all)) != NULL &&
	    now - member->seen >= EVENT_SHARE_WINDOW)
		member_free(share, member);
}

/* The member, as seen now; behind all others. */
static struct share_member *touch(struct share *share, const char *name)
{
	struct share_member *member = hash_find_text(share->by_name, name);

	if (member == NULL) {
		if (share->total >= MEMBERS_MAX)
			member_free(share, TAILQ_FIRST(&share->all));
		member = mem_alloc(sizeof(*member));
		member->name = mem_dup_string(name);
		hash_put_text(share->by_name, name, member);
		share->total++;
	} else {
		TAILQ_REMOVE(&share->all, member, entry);
	}
	TAILQ_INSERT_TAIL(&share->all, member, entry);
	member->seen = clock_monotonic();
	return member;
}

/* --- the alarm --- */

static void name_destination(struct event_record *event, const char *name)
{
	size_t i;

	for (i = 0; i < event->destination_count; i++)
		if (strcmp(event->destinations[i], name) == 0)
			return;
	if (i < EVENT_NAMED_MAX)
		event->destinations[event->destination_count++] =
		    mem_dup_string(name);
}

static void on_tick(void *arg);

static void open_alarm(struct events *events)
{
	struct event_record wanted = { .kind = EVENT_SHARE, .memory = true,
	    .count = events->share.lost };
	const struct share_member *member;
	struct share *share = &events->share;

	snprintf(wanted.seen.reason, sizeof(wanted.seen.reason),
	    "%u of %u %.*s", share->lost, share->total,
	    (int)sizeof(wanted.seen.reason) - 30, cause);
	share->open = events_add(events, &wanted);
	TAILQ_FOREACH(member, &share->all, entry)
		if (member->lost)
			name_destination(share->open, member->name);
	event_save(events, share->open);
	log_error("share", log_number("destinations", share->lost),
	    log_number("known", share->total), log_text("problem", cause));
	timer_start(&share->tick, TICK_MILLISECONDS, on_tick, events);
}

static void close_alarm(struct events *events)
{
	struct share *share = &events->share;

	share->open->over = share->open->last = clock_wall();
	event_save(events, share->open);
	log_warn("share-over", log_number("destinations", share->lost),
	    log_number("known", share->total));
	share->open = NULL;
	timer_stop(&share->tick);
}

static bool is_alarming(const struct share *share)
{
	return share->lost >= EVENT_SHARE_DESTINATIONS &&
	    share->lost * 100 >= share->total * EVENT_SHARE_PERCENT;
}

/* Few enough are left of those that count; or nobody was seen for so long,
 * after a start as well, that nothing can be said any more. */
static bool is_calm(const struct share *share)
{
	bool few = share->lost * 2 < EVENT_SHARE_DESTINATIONS ||
	    share->lost * 200 < share->total * EVENT_SHARE_PERCENT;

	return few && (share->total >= EVENT_SHARE_DESTINATIONS ||
	    clock_monotonic() - share->lost_at >= EVENT_SHARE_WINDOW);
}

static void judge(struct events *events)
{
	struct share *share = &events->share;

	expire(share);
	if (share->open == NULL && is_alarming(share))
		open_alarm(events);
	else if (share->open != NULL && is_calm(share))
		close_alarm(events);
}

static void on_tick(void *arg)
{
	struct events *events = arg;

	judge(events);
	if (events->share.open != NULL)
		timer_start(&events->share.tick, TICK_MILLISECONDS, on_tick,
		    events);
}

void share_observe(struct events *events, const char *domain, bool lost)
{
	struct share *share = &events->share;
	struct share_member *member = touch(share, domain);
	bool fresh = lost && !member->lost;

	share->lost += lost;
	share->lost -= member->lost;
	member->lost = lost;
	if (lost)
		share->lost_at = member->seen;
	if (share->open != NULL && fresh) {
		name_destination(share->open, domain);
		if (share->lost > share->open->count)
			share->open->count = share->lost;
		share->open->last = clock_wall();
		event_save(events, share->open);
	}
	judge(events);
}

/* --- life --- */

void share_init(struct events *events)
{
	TAILQ_INIT(&events->share.all);
	events->share.by_name = hash_new();
}

void share_release(struct events *events)
{
	struct share *share = &events->share;

	timer_stop(&share->tick);
	while (!TAILQ_EMPTY(&share->all))
		member_free(share, TAILQ_FIRST(&share->all));
	hash_free(share->by_name);
}

void share_resume(struct events *events, struct event_record *event)
{
	struct share *share = &events->share;

	if (share->open != NULL)
		return;
	share->open = event;
	share->lost_at = clock_monotonic();
	timer_start(&share->tick, TICK_MILLISECONDS, on_tick, events);
}

void share_forget(struct events *events, const struct event_record *event)
{
	if (events->share.open != event)
		return;
	events->share.open = NULL;
	timer_stop(&events->share.tick);
}
