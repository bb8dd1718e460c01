/* SPDX-License-Identifier: ISC */
/*
 * Reading and applying the operator's criteria. An argument that is not known
 * is an error: a misspelled one would select too much.
 */
#include "queue/selector.h"

#include <fnmatch.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/status.h"
#include "queue/queue.h"
#include "queue/record.h"
#include "queue/schedule.h"

enum { IDS_MAX = 10000 };

/* Arguments of verbs that say nothing about the selection; walk.c reads them. */
static const char *const other_arguments[] = { "note", "limit", "level",
    "original" };

static const char *const state_names[] = { [SLICE_ANY] = "any",
    [SLICE_IS_ACTIVE] = "active", [SLICE_IS_DEFERRED] = "deferred",
    [SLICE_IS_HELD] = "held" };

const char *slice_state_name(enum slice_state state)
{
	return state_names[state];
}

static int read_id(const json_t *value, uint64_t *id)
{
	const char *text = json_string_value(value);
	char *end;

	if (text == NULL || strlen(text) > 16 ||
	    text[strspn(text, "0123456789abcdefABCDEF")] != '\0')
		return -1;
	*id = strtoull(text, &end, 16);
	return *id == 0 ? -1 : 0;
}

static const char *read_ids(struct selector *selector, const json_t *value)
{
	size_t count = json_is_array(value) ? json_array_size(value) : 1;

	if (count == 0 || count > IDS_MAX)
		return "\"id\": 1 to 10000 identifiers are expected";
	selector->ids = mem_alloc_array(count, sizeof(*selector->ids));
	for (size_t i = 0; i < count; i++) {
		const json_t *item = json_is_array(value) ?
		    json_array_get(value, i) : value;

		if (read_id(item, &selector->ids[i]) < 0)
			return "\"id\": a queue identifier has 1 to 16 "
			    "hexadecimal digits";
	}
	selector->id_count = count;
	return NULL;
}

static const char *read_pattern(char **out, const json_t *value)
{
	const char *text = json_string_value(value);

	if (text == NULL || text[0] == '\0')
		return "a pattern is a text that is not empty";
	*out = mem_dup_string(strcmp(text, "<>") == 0 ? "" : text);
	return NULL;
}

static const char *read_age(int64_t *out, const json_t *value)
{
	if (!json_is_integer(value) || json_integer_value(value) < 0)
		return "an age is a number of seconds";
	*out = json_integer_value(value);
	return NULL;
}

static const char *read_state(struct selector *selector, const json_t *value)
{
	const char *text = json_string_value(value);

	for (int i = SLICE_IS_ACTIVE; i <= SLICE_IS_HELD; i++) {
		if (text != NULL && strcmp(text, state_names[i]) == 0) {
			selector->state = (enum slice_state)i;
			return NULL;
		}
	}
	return "\"state\": active, deferred or held is expected";
}

static const char *read_reasons(struct selector *selector, const json_t *value)
{
	size_t count = json_is_array(value) ? json_array_size(value) : 1;

	for (size_t i = 0; i < count; i++) {
		const char *text = json_string_value(json_is_array(value) ?
		    json_array_get(value, i) : value);
		uint64_t set = text == NULL ? 0 : status_reason_set(text);

		if (set == 0)
			return "\"reason\": no such reason";
		selector->reasons |= set;
	}
	return count == 0 ? "\"reason\": a word is expected" : NULL;
}

static const char *read_one(struct selector *selector, const char *name,
    const json_t *value)
{
	if (strcmp(name, "id") == 0)
		return read_ids(selector, value);
	if (strcmp(name, "sender") == 0)
		return read_pattern(&selector->sender, value);
	if (strcmp(name, "recipient") == 0)
		return read_pattern(&selector->recipient, value);
	if (strcmp(name, "domain") == 0)
		return read_pattern(&selector->domain, value);
	if (strcmp(name, "older") == 0)
		return read_age(&selector->older, value);
	if (strcmp(name, "newer") == 0)
		return read_age(&selector->newer, value);
	if (strcmp(name, "state") == 0)
		return read_state(selector, value);
	if (strcmp(name, "reason") == 0)
		return read_reasons(selector, value);
	if (strcmp(name, "all") == 0) {
		selector->all = json_is_true(value);
		return NULL;
	}
	for (size_t i = 0; i < sizeof(other_arguments) /
	    sizeof(other_arguments[0]); i++) {
		if (strcmp(name, other_arguments[i]) == 0)
			return NULL;
	}
	return "unknown argument: id, sender, recipient, domain, older, "
	    "newer, state, reason and all are known";
}

const char *selector_read(struct selector *selector, const json_t *arguments)
{
	const char *name, *error;
	json_t *value;

	memset(selector, 0, sizeof(*selector));
	selector->older = -1;
	selector->newer = -1;
	json_object_foreach((json_t *)arguments, name, value) {
		error = read_one(selector, name, value);
		if (error != NULL) {
			selector_release(selector);
			return error;
		}
	}
	return NULL;
}

void selector_release(struct selector *selector)
{
	mem_free(selector->ids);
	mem_free(selector->sender);
	mem_free(selector->recipient);
	mem_free(selector->domain);
	memset(selector, 0, sizeof(*selector));
}

bool selector_is_empty(const struct selector *selector)
{
	return selector->ids == NULL && selector->sender == NULL &&
	    selector->recipient == NULL && selector->domain == NULL &&
	    selector->older < 0 && selector->newer < 0 &&
	    selector->state == SLICE_ANY && selector->reasons == 0 &&
	    !selector->all;
}

/* An address may contain what fnmatch() takes for a class: only "*" and "?"
 * are special here. */
static bool matches(const char *pattern, const char *text)
{
	char escaped[2048];
	size_t length = 0;

	if (pattern == NULL)
		return true;
	if (pattern[0] == '\0')
		return text[0] == '\0';
	for (; *pattern != '\0' && length + 3 < sizeof(escaped); pattern++) {
		if (strchr("[]\\", *pattern) != NULL)
			escaped[length++] = '\\';
		escaped[length++] = *pattern;
	}
	escaped[length] = '\0';
	return fnmatch(escaped, text, FNM_CASEFOLD) == 0;
}

bool selector_takes_message(const struct selector *selector,
    const struct record_message *message, int64_t now)
{
	int64_t age = (now - message->arrival) / 1000;

	return matches(selector->sender, message->envelope->sender) &&
	    (selector->older < 0 || age >= selector->older) &&
	    (selector->newer < 0 || age < selector->newer);
}

bool selector_takes_slice(const struct selector *selector,
    enum slice_state state, const struct record_slice *slice)
{
	return matches(selector->domain, slice->domain) &&
	    (selector->state == SLICE_ANY || selector->state == state);
}

const struct status *slice_trouble(const struct queue *queue,
    const struct record_slice *slice, const struct record_recipient *recipient)
{
	struct destination *destination;

	if (recipient->status != NULL)
		return recipient->status;
	destination = destination_find(schedule_destinations(queue->schedule),
	    slice->domain, record_slice_lane(slice));
	if (destination != NULL &&
	    destination_is_resting(destination, clock_wall()))
		return &destination->trouble;
	return NULL;
}

bool selector_takes_recipient(const struct selector *selector,
    const struct queue *queue, const struct record_slice *slice,
    const struct record_recipient *recipient)
{
	const struct status *status = slice_trouble(queue, slice, recipient);
	unsigned reason = status == NULL ? REASON_NONE : status->reason;

	return matches(selector->recipient, recipient->who.address) &&
	    (selector->reasons == 0 || (selector->reasons >> reason & 1));
}

enum slice_state slice_state_of(const struct queue *queue, uint64_t id,
    uint32_t number, const struct record_slice *slice, int64_t *next)
{
	struct destinations *all = schedule_destinations(queue->schedule);
	struct destination *destination;
	int64_t now = clock_wall();

	*next = 0;
	if (slice->flags & SLICE_HELD)
		return SLICE_IS_HELD;
	*next = slice->due;
	if (schedule_is_in_flight(queue->schedule, id, number))
		return SLICE_IS_ACTIVE;
	destination = destination_find(all, slice->domain,
	    record_slice_lane(slice));
	if (destination != NULL && destination_is_resting(destination, now) &&
	    destination->rest.due > *next)
		*next = destination->rest.due;
	return *next <= now ? SLICE_IS_ACTIVE : SLICE_IS_DEFERRED;
}
