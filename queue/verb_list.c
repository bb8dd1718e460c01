/* SPDX-License-Identifier: ISC */
/*
 * list and show: one object for each message, with the recipients that are
 * selected. show adds what is known of where it came from. Neither reads a
 * header or a body.
 */
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/arena.h"
#include "base/mem.h"
#include "base/status.h"
#include "base/xtext.h"
#include "conf/conf.h"
#include "queue/dsn.h"
#include "queue/envelope.h"
#include "queue/history.h"
#include "queue/queue.h"
#include "queue/record.h"
#include "queue/rows.h"
#include "queue/verbs.h"
#include "queue/view.h"
#include "queue/walk.h"

enum { LIST_RECIPIENTS = 100, ALL_RECIPIENTS = 1500, SHOW_ATTEMPTS = 1000 };

struct list {
	bool		 all;		/* recipients */
};

struct listing {
	struct walk	*walk;
	const struct envelope *envelope;
	json_t		*recipients;	/* owned */
	json_t		*attempts;	/* owned; null: it is not show */
	size_t		 most;		/* in the array */
	uint64_t	 selected;
	bool		 any[SLICE_IS_HELD + 1];	/* states seen */
};

/* Addresses may hold bytes that are no UTF-8. */
static json_t *text_value(const char *text)
{
	json_t *value = json_string(text);
	char *copy;

	if (value != NULL)
		return value;
	copy = mem_dup_string(text);
	for (char *byte = copy; *byte != '\0'; byte++) {
		if ((unsigned char)*byte >= 0x80)
			*byte = '?';
	}
	value = json_string(copy);
	mem_free(copy);
	return value;
}

/* What the operator has set for it; null for nothing. */
static json_t *level_value(const struct record_slice *slice)
{
	return slice->tls_level < 0 ? json_null() :
	    json_string(conf_level_name((enum conf_level)slice->tls_level));
}

/* Who holds it; null for nobody. */
static json_t *holder_value(const struct record_slice *slice)
{
	if (!(slice->flags & SLICE_HELD))
		return json_null();
	if (slice->flags & SLICE_DAMAGED)
		return json_string("queue");
	if (slice->flags & SLICE_RULED)
		return json_string("rule");
	return json_string(slice->flags & SLICE_FILTERED ? "filter" :
	    "operator");
}

static json_t *recipient_value(struct walk *walk,
    const struct record_slice *slice, const struct record_recipient *recipient,
    enum slice_state state, int64_t next)
{
	const struct status *status = slice_trouble(walk->queue, slice,
	    recipient);
	char code[32] = "";

	if (status != NULL)
		status_format_enhanced(status, code, sizeof(code));
	return json_pack("{s:o, s:o, s:s, s:I, s:o, s:o, s:s, s:s, s:o, s:o, "
	    "s:o, s:o, s:o, s:o}",
	    "address", text_value(recipient->who.address),
	    "domain", text_value(slice->domain),
	    "state", slice_state_name(state),
	    "attempts", (json_int_t)slice->attempt,
	    "next", control_time(next),
	    "tried", control_time(slice->tried_at),
	    "reason", status == NULL ? "none" :
	    status_reason_name(status->reason),
	    "status", code,
	    "text", text_value(status == NULL ? "" : status->text),
	    "host", text_value(status == NULL ? "" : status->host),
	    "tls", text_value(status == NULL ? "" : status->tls),
	    "held", text_value(slice->held_reason),
	    "held-by", holder_value(slice),
	    "tls-level", level_value(slice));
}

/* "rfc822;joe+2Bshop@example.org" as the address it is; null for none. */
static json_t *original_value(const struct envelope_recipient *who)
{
	char text[ENVELOPE_TEXT_MAX];
	const char *address = who->original == NULL ? NULL :
	    strchr(who->original, ';');

	if (address == NULL)
		return json_null();
	if (strncasecmp(who->original, "utf-8;", 6) != 0 ||
	    utf8_addr_read(text, sizeof(text), address + 1) < 0)
		dsn_read_xtext(address + 1, text, sizeof(text));
	return text_value(text);
}

/* Only show has these: what was written to, and the sender that is said. */
static void add_addresses(json_t *value, const struct record_slice *slice,
    const struct envelope_recipient *who, const struct envelope *envelope)
{
	json_object_set_new(value, "original", original_value(who));
	json_object_set_new(value, "forwarded",
	    json_boolean(who->flags & RECIPIENT_FORWARDED));
	json_object_set_new(value, "sender",
	    text_value(record_slice_sender(slice, envelope)));
}

/* Only show has these: the history of set-tls, and since when a host that
 * could go without TLS has it broken (clear-after counts from there). */
static void add_tls_history(json_t *recipient,
    const struct record_slice *slice)
{
	json_object_set_new(recipient, "tls-reason",
	    text_value(slice->tls_reason));
	json_object_set_new(recipient, "tls-author",
	    text_value(slice->tls_author));
	json_object_set_new(recipient, "tls-set", control_time(slice->tls_set));
	json_object_set_new(recipient, "tls-trouble",
	    control_time(slice->tls_trouble_since));
}

static void add_recipient(struct listing *listing,
    const struct record_slice *slice, const struct record_recipient *recipient,
    enum slice_state state, int64_t next)
{
	json_t *value;

	listing->selected++;
	listing->any[state] = true;
	if (json_array_size(listing->recipients) >= listing->most)
		return;
	value = recipient_value(listing->walk, slice, recipient, state, next);
	if (listing->attempts != NULL) {
		add_tls_history(value, slice);
		add_addresses(value, slice, &recipient->who,
		    listing->envelope);
	}
	json_array_append_new(listing->recipients, value);
}

/* Only show has these. */
static void add_attempts(struct listing *listing, uint64_t id,
    uint32_t number)
{
	json_t *attempts = history_attempts_json(listing->walk->queue, id,
	    number, SHOW_ATTEMPTS - json_array_size(listing->attempts));

	json_array_extend(listing->attempts, attempts);
	json_decref(attempts);
}

static void add_slice(struct listing *listing, uint64_t id, uint32_t number,
    const struct record_slice *slice)
{
	struct walk *walk = listing->walk;
	int64_t next;
	enum slice_state state = slice_state_of(walk->queue, id, number,
	    slice, &next);
	uint64_t before = listing->selected;

	if (!selector_takes_slice(&walk->selector, state, slice))
		return;
	for (uint32_t i = 0; i < slice->recipient_count; i++) {
		const struct record_recipient *recipient =
		    &slice->recipients[i];

		if (!selector_takes_recipient(&walk->selector, walk->queue,
		    slice, recipient))
			continue;
		add_recipient(listing, slice, recipient, state, next);
	}
	if (listing->selected > before && listing->attempts != NULL)
		add_attempts(listing, id, number);
}

static const char *state_of(const struct listing *listing)
{
	for (int i = SLICE_IS_ACTIVE; i < SLICE_IS_HELD; i++) {
		if (listing->any[i])
			return slice_state_name((enum slice_state)i);
	}
	return slice_state_name(SLICE_IS_HELD);
}

static json_t *message_value(const struct listing *listing, uint64_t id,
    const struct record_message *message)
{
	const char *tag = envelope_tls_tag(message->envelope);
	json_t *object;
	char name[32];

	snprintf(name, sizeof(name), "%llx", (unsigned long long)id);
	object = json_pack("{s:s, s:o, s:o, s:I, s:s, s:b, s:I, s:O}",
	    "id", name,
	    "sender", text_value(message->envelope->sender),
	    "arrival", control_time(message->arrival),
	    "size", (json_int_t)view_message_size(message->envelope,
	    message->body_length),
	    "state", state_of(listing),
	    "notification", message->envelope->flags & ENVELOPE_BOUNCE,
	    "selected", (json_int_t)listing->selected,
	    "recipients", listing->recipients);
	if (tag != NULL)
		json_object_set_new(object, "tls-tag", json_string(tag));
	return object;
}

static void add_origin(json_t *object, const struct record_message *message)
{
	const struct envelope *envelope = message->envelope;

	json_object_set_new(object, "client", text_value(envelope->client));
	json_object_set_new(object, "user", text_value(envelope->user));
	json_object_set_new(object, "helo", text_value(envelope->helo));
	json_object_set_new(object, "protocol",
	    text_value(envelope->protocol));
	json_object_set_new(object, "tls", envelope->tls == NULL ?
	    json_null() : text_value(envelope->tls));
	json_object_set_new(object, "envid", envelope->envid == NULL ?
	    json_null() : text_value(envelope->envid));
	json_object_set_new(object, "accepted",
	    json_integer(message->recipient_count));
	json_object_set_new(object, "edited",
	    json_boolean(envelope->piece_count > 0));
}

static void visit(struct walk *walk, uint64_t id,
    const struct record_message *message, size_t most, bool show)
{
	struct listing listing = { .walk = walk, .most = most,
	    .envelope = message->envelope };
	struct arena *arena = arena_new(RECORD_ARENA_MAX);
	struct record_slice *slice;
	uint32_t number = 0;

	listing.recipients = json_array();
	if (show)
		listing.attempts = json_array();
	while (rows_next_slice(walk->queue->store, id, &number, arena,
	    &slice)) {
		if (slice != NULL)
			add_slice(&listing, id, number, slice);
		arena_reset(arena);
		if (++number == 0)
			break;
	}
	arena_free(arena);
	if (listing.selected > 0) {
		json_t *object = message_value(&listing, id, message);

		if (show) {
			add_origin(object, message);
			json_object_set(object, "attempts",
			    listing.attempts);
		}
		walk->messages++;
		walk->recipients += listing.selected;
		walk_send(walk, object);
	}
	json_decref(listing.recipients);
	json_decref(listing.attempts);
}

static bool visit_list(struct walk *walk, uint64_t id,
    const struct record_message *message)
{
	const struct list *list = walk->own;

	visit(walk, id, message, list->all ? ALL_RECIPIENTS : LIST_RECIPIENTS,
	    false);
	/* The output is to be drained before another one as large. */
	if (list->all && message->recipient_count > LIST_RECIPIENTS)
		walk->deadline = 0;
	return true;
}

static bool visit_show(struct walk *walk, uint64_t id,
    const struct record_message *message)
{
	visit(walk, id, message, ALL_RECIPIENTS, true);
	return true;
}

static const char *read_list(struct walk *walk, const json_t *arguments)
{
	struct list *list = walk->own = mem_alloc(sizeof(*list));

	list->all = json_is_true(json_object_get(arguments,
	    "all-recipients"));
	return NULL;
}

static void release_list(struct walk *walk)
{
	mem_free(walk->own);
}

void verb_list(struct control *control, const json_t *arguments)
{
	static const char *const own[] = { "all-recipients", NULL };
	static const struct walk_verb verb = { .name = "list",
	    .page = 16, .visit = visit_list, .arguments = own,
	    .read = read_list, .release = release_list };

	walk_start(verbs_queue(), control, arguments, &verb);
}

void verb_show(struct control *control, const json_t *arguments)
{
	static const struct walk_verb verb = { .name = "show",
	    .page = 1, .visit = visit_show };

	walk_start(verbs_queue(), control, arguments, &verb);
}
