/* SPDX-License-Identifier: ISC */
/*
 * What is an event. Without any expectation there is one only where what was
 * seen is no server's own choice: a keyword that was written over, bytes behind
 * the answer, a command that was offered and does not work, a handshake that
 * breaks. That a host has no TLS and never had is none.
 *
 * The same again within an hour (kind, signature, domain, host) is the same
 * event: it counts, and shows what was seen last.
 */
#include "policy/event_internal.h"

#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/mem.h"
#include "policy/ledger.h"
#include "policy/plan.h"

/* --- what it looks like --- */

/* By the names of delivery/symptom.h. */
static const struct look {
	const char		*symptom;
	enum event_signature	 signature;
	bool			 telling;	/* without expectation, too */
} looks[] = {
	{ "starttls-absent", SIGNATURE_KEYWORD_GONE, false },
	{ "starttls-mangled", SIGNATURE_KEYWORD_MANGLED, true },
	{ "ehlo-refused", SIGNATURE_COMMAND_BLOCKED, false },
	{ "starttls-refused", SIGNATURE_COMMAND_BLOCKED, true },
	{ "starttls-unavailable", SIGNATURE_COMMAND_BLOCKED, true },
	{ "starttls-closing", SIGNATURE_COMMAND_BLOCKED, false },
	{ "starttls-odd-answer", SIGNATURE_COMMAND_BLOCKED, true },
	{ "starttls-cut", SIGNATURE_COMMAND_BLOCKED, true },
	{ "starttls-injection", SIGNATURE_INJECTION, true },
	{ "handshake-failed", SIGNATURE_HANDSHAKE_BROKEN, true },
	{ "handshake-stalled", SIGNATURE_HANDSHAKE_BROKEN, true },
	{ "tls-too-old", SIGNATURE_HANDSHAKE_BROKEN, false },
};

static const struct look *find_look(const char *symptom)
{
	size_t i;

	for (i = 0; i < sizeof(looks) / sizeof(looks[0]); i++)
		if (strcmp(looks[i].symptom, symptom) == 0)
			return &looks[i];
	return NULL;
}

/* --- the table --- */

static const char *key_of(const struct event_record *event, char *key,
    size_t size)
{
	snprintf(key, size, "%u %u %u %s %s", (unsigned)event->kind,
	    (unsigned)event->signature, event->kind == EVENT_VANISHED ?
	    (unsigned)event->seen.source : 0, event->seen.domain,
	    event->seen.host);
	return key;
}

static void event_free(struct events *events, struct event_record *event)
{
	char key[600];

	share_forget(events, event);
	if (hash_find_text(events->latest, key_of(event, key, sizeof(key))) ==
	    event)
		hash_remove_text(events->latest, key);
	TAILQ_REMOVE(&events->all, event, entry);
	events->count--;
	event_release(event);
	mem_free(event);
}

static void insert(struct events *events, struct event_record *event)
{
	struct event_record *before = TAILQ_LAST(&events->all, event_list);
	const struct event_record *latest;
	char key[600];

	while (before != NULL && before->id > event->id)
		before = TAILQ_PREV(before, event_list, entry);
	if (before != NULL)
		TAILQ_INSERT_AFTER(&events->all, before, event, entry);
	else
		TAILQ_INSERT_HEAD(&events->all, event, entry);
	events->count++;
	latest = hash_find_text(events->latest, key_of(event, key,
	    sizeof(key)));
	if (latest == NULL || latest->id < event->id)
		hash_put_text(events->latest, key, event);
	if (events->last_id < event->id)
		events->last_id = event->id;
}

static void make_room(struct events *events)
{
	struct event_record *oldest;

	while (events->count >= EVENTS_MAX) {
		oldest = TAILQ_FIRST(&events->all);
		event_unsave(events, oldest);
		event_free(events, oldest);
	}
}

/* Ids are times, so that those of a store that was away when we began are
 * others than ours. */
struct event_record *events_add(struct events *events,
    const struct event_record *wanted)
{
	struct event_record *event = mem_dup(wanted, sizeof(*wanted));
	int64_t now = clock_wall();

	make_room(events);
	event->first = event->last = now;
	event->id = events->last_id + 1;
	if (now > 0 && (uint64_t)now > event->id)
		event->id = (uint64_t)now;
	insert(events, event);
	return event;
}

/* The open one of the same kind; null: none. */
static struct event_record *find_open(struct events *events,
    const struct event_record *wanted)
{
	struct event_record *event;
	char key[600];
	int64_t age;

	event = hash_find_text(events->latest, key_of(wanted, key,
	    sizeof(key)));
	if (event == NULL)
		return NULL;
	age = clock_wall() - event->first;
	return age < EVENT_JOIN_MILLISECONDS && age > -EVENT_JOIN_MILLISECONDS
	    ? event : NULL;
}

static void join(struct events *events, struct event_record *event,
    const struct event_record *again)
{
	event->count += again->count;
	event->last = clock_wall();
	event->memory = event->memory || again->memory;
	if (again->mail > event->mail)
		event->mail = again->mail;
	event->seen = again->seen;
	event_save(events, event);
}

/* --- the log --- */

static const char *source_of(const struct event_record *event)
{
	const struct observation *seen = &event->seen;

	if (seen->source != SOURCE_NONE)
		return plan_source_name(seen->source);
	if (seen->ideal_source != SOURCE_NONE)
		return plan_source_name(seen->ideal_source);
	return event->memory ? "memory" : "none";
}

static void tell(const struct event_record *event)
{
	const struct observation *seen = &event->seen;
	const char *what = seen->symptom;

	if (what[0] == '\0')
		what = !event->observed || seen->result == RESULT_SUCCESS ?
		    observed_stage_name(seen->stage) :
		    tls_result_name(seen->result);
	if (!event->observed)
		what = "plan";
	log_warn(event_kind_name(event->kind), log_text("domain",
	    seen->domain), log_text("host", seen->host),
	    log_text("expected", event->observed && seen->requirement >=
	    REQUIRE_ENCRYPTED ? requirement_name(seen->requirement) :
	    strcmp(source_of(event), "none") != 0 ? "tls" : "nothing"),
	    log_text("source", source_of(event)),
	    log_text("seen", what), log_text("signature",
	    event_signature_name(event->signature)),
	    log_text("problem", seen->reason));
}

static void note(struct events *events, const struct event_record *wanted)
{
	struct event_record *event = find_open(events, wanted);

	if (event != NULL) {
		join(events, event, wanted);
		return;
	}
	event = events_add(events, wanted);
	event_save(events, event);
	tell(event);
}

/* --- observations --- */

/* Only REQUIRETLS asks for it: a sender's wish, which says nothing about the
 * host. */
static bool is_wish(const struct observation *seen)
{
	return seen->source == SOURCE_REQUIRETLS &&
	    seen->ideal_source == SOURCE_NONE;
}

static bool is_expected(const struct observation *seen, bool known)
{
	return known || seen->expects_tls ||
	    seen->ideal_source != SOURCE_NONE ||
	    (seen->requirement >= REQUIRE_ENCRYPTED && !is_wish(seen));
}

static bool is_about_certificate(enum tls_result result)
{
	return result == RESULT_TLSA_INVALID ||
	    result == RESULT_CERTIFICATE_HOST_MISMATCH ||
	    result == RESULT_CERTIFICATE_EXPIRED ||
	    result == RESULT_CERTIFICATE_NOT_TRUSTED;
}

/* The policy leaves the host out: the reason is reports' own word (RPT-47), as
 * the result has others. */
static bool is_conflict(const struct observation *seen)
{
	return strcmp(seen->reason, "sts-mx-mismatch") == 0;
}

/* Records that nobody can use ask for TLS, and it was there. */
static bool is_useless_set(const struct observation *seen)
{
	return seen->result == RESULT_TLSA_INVALID &&
	    seen->requirement == REQUIRE_ENCRYPTED &&
	    (seen->source == SOURCE_DANE || seen->source == SOURCE_HALF_DANE);
}

/* EVENT_KINDS: it is none. */
static enum event_kind kind_of_skip(const struct observation *seen)
{
	switch (seen->result) {
	case RESULT_DNSSEC_INVALID:
	case RESULT_DANE_REQUIRED:
	case RESULT_TLSA_INVALID: return EVENT_DNSSEC;
	default: return is_conflict(seen) ? EVENT_CONFLICT : EVENT_KINDS;
	}
}

/* The plan asks nothing of a host that it leaves out; who forbids it is known
 * from the kind. */
static void take_skip(struct event_record *wanted)
{
	wanted->kind = kind_of_skip(&wanted->seen);
	if (wanted->seen.source == SOURCE_NONE)
		wanted->seen.source = wanted->kind == EVENT_CONFLICT ?
		    SOURCE_STS : SOURCE_DANE;
}

static enum event_kind kind_under_tls(const struct observation *seen,
    bool chain_was_valid)
{
	if (is_conflict(seen))
		return EVENT_CONFLICT;
	if ((seen->result != RESULT_SUCCESS && !is_useless_set(seen)) ||
	    strcmp(seen->symptom, "certificate") == 0)
		return is_wish(seen) ? EVENT_KINDS : EVENT_CERTIFICATE;
	if (chain_was_valid && seen->web == WEB_INVALID &&
	    seen->requirement <= REQUIRE_ENCRYPTED)
		return EVENT_CHAIN;
	return EVENT_KINDS;
}

static enum event_kind kind_without_tls(const struct observation *seen,
    const struct look *look, bool expected)
{
	if (look != NULL)
		return look->telling || expected ? EVENT_DOWNGRADE :
		    EVENT_KINDS;
	if (is_conflict(seen))
		return EVENT_CONFLICT;
	if (strcmp(seen->symptom, "certificate") == 0 ||
	    is_about_certificate(seen->result))
		return is_wish(seen) ? EVENT_KINDS : EVENT_CERTIFICATE;
	return seen->stage == OBSERVED_CLEAR && expected &&
	    seen->requirement != REQUIRE_CLEAR ? EVENT_DOWNGRADE : EVENT_KINDS;
}

/* Mail goes in clear on a new connection after TLS broke on another: that is
 * the end of the event that the broken one was. */
static bool ends_another(struct events *events, struct event_record *wanted)
{
	enum event_signature signature;
	struct event_record *event = NULL;

	if (wanted->seen.stage != OBSERVED_CLEAR ||
	    wanted->seen.symptom[0] != '\0')
		return false;
	wanted->kind = EVENT_DOWNGRADE;
	for (signature = 0; signature < SIGNATURES && event == NULL;
	    signature++) {
		wanted->signature = signature;
		event = find_open(events, wanted);
	}
	wanted->signature = SIGNATURE_NONE;
	if (event == NULL)
		return false;
	event->mail = MAIL_CLEAR;
	event->last = clock_wall();
	event_save(events, event);
	return true;
}

static void lower(char *name)
{
	for (; *name != '\0'; name++)
		if (*name >= 'A' && *name <= 'Z')
			*name = (char)(*name - 'A' + 'a');
}

static enum event_mail mail_of(enum observed_stage stage)
{
	return stage == OBSERVED_CLEAR ? MAIL_CLEAR : stage ==
	    OBSERVED_SECURED ? MAIL_TLS : MAIL_WAITED;
}

/* TLS was there, or was not; a host that failed otherwise says nothing. */
static void count_share(struct events *events,
    const struct observation *seen, const struct look *look)
{
	bool under_tls = seen->stage == OBSERVED_SECURED ||
	    strcmp(seen->symptom, "certificate") == 0;

	if (under_tls || look != NULL || (seen->stage == OBSERVED_CLEAR &&
	    seen->requirement != REQUIRE_CLEAR))
		share_observe(events, seen->domain, !under_tls);
}

void events_observe(struct events *events, const struct observation *seen,
    bool known, bool chain_was_valid)
{
	const struct look *look = find_look(seen->symptom);
	struct event_record wanted = { .observed = true, .count = 1,
	    .memory = known || seen->expects_tls, .seen = *seen,
	    .mail = mail_of(seen->stage) };
	bool expected = is_expected(seen, known);

	lower(wanted.seen.domain);
	lower(wanted.seen.host);
	if (known && seen->stage != OBSERVED_SKIPPED)
		count_share(events, &wanted.seen, look);
	if (ends_another(events, &wanted))
		return;
	if (look != NULL)
		wanted.signature = look->signature;
	if (seen->stage == OBSERVED_SKIPPED)
		take_skip(&wanted);
	else if (seen->stage == OBSERVED_SECURED)
		wanted.kind = kind_under_tls(seen, chain_was_valid);
	else
		wanted.kind = kind_without_tls(seen, look, expected);
	if (wanted.kind == EVENT_CHAIN && seen->reason[0] == '\0')
		snprintf(wanted.seen.reason, sizeof(wanted.seen.reason),
		    "the chain does not hold by WebPKI any more");
	if (wanted.kind != EVENT_KINDS)
		note(events, &wanted);
}

/* --- plans --- */

static void note_plan(struct events *events, const struct plan *plan,
    struct event_record *wanted)
{
	size_t i;

	wanted->count = 1;
	snprintf(wanted->seen.domain, sizeof(wanted->seen.domain), "%s",
	    plan->next_hop);
	lower(wanted->seen.domain);
	for (i = 0; wanted->seen.reason[i] != '\0'; i++)
		if (wanted->seen.reason[i] < ' ' ||
		    wanted->seen.reason[i] > '~')
			wanted->seen.reason[i] = '?';
	note(events, wanted);
}

static void note_vanished(struct events *events, const struct plan *plan,
    enum plan_source source, const char *what)
{
	struct event_record wanted = { .kind = EVENT_VANISHED, .memory = true,
	    .seen.source = source };

	snprintf(wanted.seen.reason, sizeof(wanted.seen.reason), "%s", what);
	note_plan(events, plan, &wanted);
}

void events_plan(struct events *events, const struct plan *plan)
{
	struct event_record bogus = { .kind = EVENT_DNSSEC,
	    .mail = MAIL_WAITED };

	if (plan->vanished_dane)
		note_vanished(events, plan, SOURCE_DANE, "the TLSA records that "
		    "its hosts had are not published any more");
	if (plan->vanished_sts)
		note_vanished(events, plan, SOURCE_STS, "the MTA-STS policy "
		    "that it had is not in force any more");
	if (plan->host_count == 0 &&
	    plan->status.reason == REASON_DNS_BOGUS) {
		snprintf(bogus.seen.reason, sizeof(bogus.seen.reason), "%.*s",
		    (int)sizeof(bogus.seen.reason) - 1, plan->status.text);
		note_plan(events, plan, &bogus);
	}
}

/* --- life --- */

static int load(void *arg, const char *key, const void *value, size_t length)
{
	struct events *events = arg;
	struct event_record read, *event;

	if (event_read_row(&read, key, value, length) == -1)
		return -1;
	if (events->count >= EVENTS_MAX) {
		event_release(&read);
		return -1;
	}
	event = TAILQ_LAST(&events->all, event_list);
	while (event != NULL && event->id > read.id)
		event = TAILQ_PREV(event, event_list, entry);
	if (event != NULL && event->id == read.id) {	/* ours is newer */
		event_release(&read);
		return 0;
	}
	event = mem_dup(&read, sizeof(read));
	insert(events, event);
	if (event->kind == EVENT_SHARE && event->over == 0)
		share_resume(events, event);
	return 0;
}

static void save_all(void *arg)
{
	struct events *events = arg;
	const struct event_record *event;

	TAILQ_FOREACH(event, &events->all, entry)
		event_save(events, event);
}

struct events *events_new(struct ledger *ledger)
{
	struct events *events = mem_alloc(sizeof(*events));

	events->ledger = ledger;
	events->latest = hash_new();
	TAILQ_INIT(&events->all);
	share_init(events);
	ledger_add(ledger, EVENT_PREFIX, load, events);
	ledger_on_loss(ledger, EVENT_PREFIX, save_all);
	return events;
}

void events_free(struct events *events)
{
	share_release(events);
	while (!TAILQ_EMPTY(&events->all))
		event_free(events, TAILQ_FIRST(&events->all));
	hash_free(events->latest);
	mem_free(events);
}
