/* SPDX-License-Identifier: ISC */
/*
 * Events of the history as JSON, for `queue show` and `queue history`.
 */
#include <string.h>

#include "base/arena.h"
#include "base/control.h"
#include "base/status.h"
#include "queue/history.h"
#include "queue/message.h"
#include "queue/queue.h"
#include "queue/record.h"
#include "queue/rows.h"

enum { NAMED_MAX = 10 };

const char *history_verdict(const char *tls)
{
	const char *verdict = strstr(tls, " verify=");

	if (verdict == NULL)
		return strcmp(tls, "none") == 0 ? "none" : "";
	return verdict + strlen(" verify=");
}

json_t *history_status_value(const struct status *status)
{
	static const struct status nothing;
	char code[32] = "";

	if (status == NULL)
		status = &nothing;
	else
		status_format_enhanced(status, code, sizeof(code));
	return json_pack("{s:o, s:s, s:s, s:o, s:o, s:o, s:o}",
	    "code", status->code == 0 ? json_null() :
	    json_integer(status->code),
	    "status", code,
	    "reason", status_reason_name(status->reason),
	    "text", control_text(status->text),
	    "host", control_text(status->host),
	    "tls", control_text(status->tls),
	    "verdict", control_text(history_verdict(status->tls)));
}

/* Who leaves says who it is; others have a number only. */
static const char *address_of(const struct history_item *item,
    const struct history_names *names)
{
	if (item->address != NULL)
		return item->address;
	for (size_t i = 0; i < names->count; i++)
		if (names->list[i].index == item->index)
			return names->list[i].address;
	return NULL;
}

static bool is_alike(const struct history_item *one,
    const struct history_item *other)
{
	return one->outcome == other->outcome && one->status == other->status;
}

/* The object for all those who fared as item number first did. */
static json_t *group_value(const struct history_event *event, uint32_t first,
    const struct history_names *names)
{
	const struct history_item *item = &event->items[first];
	json_t *recipients = json_array(), *value;
	uint32_t count = 0;

	for (uint32_t i = first; i < event->count; i++) {
		const char *address;

		if (!is_alike(item, &event->items[i]))
			continue;
		address = address_of(&event->items[i], names);
		if (count++ < NAMED_MAX && address != NULL)
			json_array_append_new(recipients,
			    control_text(address));
	}
	value = json_pack("{s:o, s:o, s:s, s:o, s:I}",
	    "time", control_time(event->time),
	    "attempt", event->attempt == 0 ? json_null() :
	    json_integer(event->attempt),
	    "outcome", history_outcome_name(item->outcome),
	    "recipients", recipients,
	    "count", (json_int_t)count);
	json_object_update_new(value, history_status_value(item->status));
	return value;
}

void history_add_attempts(json_t *array, const struct history_event *event,
    const struct history_names *names)
{
	for (uint32_t i = 0; i < event->count; i++) {
		uint32_t first = 0;

		while (!is_alike(&event->items[first], &event->items[i]))
			first++;
		if (first == i)
			json_array_append_new(array,
			    group_value(event, i, names));
	}
}

/* --- of a slice that waits --- */

struct listing {
	json_t			*array;		/* borrowed */
	struct history_names	 names;
	size_t			 most;
};

static void add(void *arg, const struct history_event *event)
{
	struct listing *listing = arg;

	history_add_attempts(listing->array, event, &listing->names);
	while (json_array_size(listing->array) > listing->most)
		json_array_remove(listing->array, 0);
}

json_t *history_attempts_json(struct queue *queue, uint64_t id,
    uint32_t slice, size_t most)
{
	struct history_name list[QUEUE_SLICE_RECIPIENTS];
	struct listing listing = { .array = json_array(), .most = most,
	    .names = { .list = list } };
	struct arena *arena = arena_new(RECORD_ARENA_MAX);
	struct record_slice *record = rows_find_slice(queue->store, id, slice,
	    arena);

	for (uint32_t i = 0; record != NULL && i < record->recipient_count; i++)
		list[listing.names.count++] = (struct history_name){
		    record->recipients[i].index,
		    record->recipients[i].who.address };
	if (record != NULL && record->flags & SLICE_NOTED)
		history_each_event(queue, id, slice, add, &listing);
	arena_free(arena);
	return listing.array;
}
