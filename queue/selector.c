/* SPDX-License-Identifier: ISC */
/*
 * Reading and applying the operator's criteria. An argument that is not known
 * is an error: a misspelled one would select too much.
 */
#include "queue/selector.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/hash.h"
#include "base/mem.h"
#include "base/status.h"
#include "queue/pattern.h"
#include "queue/queue.h"
#include "queue/record.h"
#include "queue/schedule.h"
#include "queue/view.h"

enum { IDS_MAX = 10000 };

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

/* "3F2A" and "03f2a" are one message, which is visited, and counted, once. */
static int add_id(struct selector *selector, struct hash *seen,
    const json_t *value)
{
	uint64_t id;

	if (read_id(value, &id) < 0)
		return -1;
	if (hash_put_id(seen, id, selector) == NULL)
		selector->ids[selector->id_count++] = id;
	return 0;
}

static const char *read_ids(struct selector *selector, const json_t *value)
{
	size_t count = json_is_array(value) ? json_array_size(value) : 1;
	struct hash *seen;
	int result = 0;

	if (count == 0 || count > IDS_MAX)
		return "\"id\": 1 to 10000 identifiers are expected";
	selector->ids = mem_alloc_array(count, sizeof(*selector->ids));
	seen = hash_new();
	for (size_t i = 0; i < count && result == 0; i++)
		result = add_id(selector, seen, json_is_array(value) ?
		    json_array_get(value, i) : value);
	hash_free(seen);
	return result == 0 ? NULL : "\"id\": a queue identifier has 1 to 16 "
	    "hexadecimal digits";
}

static const char *read_pattern(char **out, const json_t *value)
{
	const char *text = json_string_value(value);

	if (text == NULL || text[0] == '\0')
		return "a pattern is a text that is not empty";
	*out = mem_dup_string(strcmp(text, "<>") == 0 ? "" : text);
	return NULL;
}

static const char *read_number(int64_t *out, const json_t *value)
{
	if (!json_is_integer(value) || json_integer_value(value) < 0)
		return "an age is a number of seconds, a size one of bytes";
	*out = json_integer_value(value);
	return NULL;
}

static const char *read_limit(struct selector *selector, const json_t *value)
{
	if (json_integer_value(value) <= 0)
		return "\"limit\": a number of messages is expected";
	selector->limit = (uint64_t)json_integer_value(value);
	return NULL;
}

static const char *read_tag(struct selector *selector, const json_t *value)
{
	const char *text = json_string_value(value);

	if (text == NULL || (strcmp(text, "requiretls") != 0 &&
	    strcmp(text, "optional") != 0 && strcmp(text, "none") != 0))
		return "\"tag\": requiretls, optional or none is expected";
	selector->tag = mem_dup_string(text);
	return NULL;
}

static const char *read_all(struct selector *selector, const json_t *value)
{
	selector->all = json_is_true(value);
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
			return "\"reason\": no such reason; `postern "
			    "queue list --help` names them";
		selector->reasons |= set;
	}
	return count == 0 ? "\"reason\": a word is expected" : NULL;
}

/* What is a text or a number of its own, by name. */
static const char *read_member(struct selector *selector, const char *name,
    const json_t *value, bool *known)
{
	const struct { const char *name; char **out; } patterns[] = {
		{ "sender", &selector->sender }, { "user", &selector->user },
		{ "recipient", &selector->recipient },
		{ "domain", &selector->domain }, { "host", &selector->host } };
	const struct { const char *name; int64_t *out; } numbers[] = {
		{ "older", &selector->older }, { "newer", &selector->newer },
		{ "larger", &selector->larger },
		{ "smaller", &selector->smaller } };

	*known = true;
	for (size_t i = 0; i < sizeof(patterns) / sizeof(patterns[0]); i++)
		if (strcmp(name, patterns[i].name) == 0)
			return read_pattern(patterns[i].out, value);
	for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++)
		if (strcmp(name, numbers[i].name) == 0)
			return read_number(numbers[i].out, value);
	*known = false;
	return NULL;
}

static const char *read_one(struct selector *selector, const char *name,
    const json_t *value, const char *const *others)
{
	static const struct {
		const char	*name;
		const char	*(*read)(struct selector *selector,
				    const json_t *value);
	} readers[] = { { "id", read_ids }, { "state", read_state },
		{ "reason", read_reasons }, { "tag", read_tag },
		{ "all", read_all }, { "limit", read_limit } };
	const char *error;
	bool known;

	error = read_member(selector, name, value, &known);
	if (known)
		return error;
	for (size_t i = 0; i < sizeof(readers) / sizeof(readers[0]); i++)
		if (strcmp(name, readers[i].name) == 0)
			return readers[i].read(selector, value);
	for (; others != NULL && *others != NULL; others++)
		if (strcmp(name, *others) == 0)
			return NULL;
	return "unknown argument: the command and the running server differ "
	    "in version, or this verb does not take it";
}

const char *selector_read(struct selector *selector, const json_t *arguments,
    const char *const *others)
{
	const char *name, *error;
	json_t *value;

	memset(selector, 0, sizeof(*selector));
	selector->older = selector->newer = -1;
	selector->larger = selector->smaller = -1;
	selector->limit = UINT64_MAX;
	json_object_foreach((json_t *)arguments, name, value) {
		error = read_one(selector, name, value, others);
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
	mem_free(selector->user);
	mem_free(selector->recipient);
	mem_free(selector->domain);
	mem_free(selector->host);
	mem_free(selector->tag);
	memset(selector, 0, sizeof(*selector));
}

bool selector_is_empty(const struct selector *selector)
{
	return selector->ids == NULL && selector->sender == NULL &&
	    selector->user == NULL && selector->recipient == NULL &&
	    selector->domain == NULL && selector->host == NULL &&
	    selector->older < 0 && selector->newer < 0 &&
	    selector->larger < 0 && selector->smaller < 0 &&
	    selector->state == SLICE_ANY && selector->reasons == 0 &&
	    selector->tag == NULL && !selector->all;
}

static bool takes_size(const struct selector *selector,
    const struct record_message *message)
{
	uint64_t size;

	if (selector->larger < 0 && selector->smaller < 0)
		return true;
	size = view_message_size(message->envelope, message->body_length);
	return (selector->larger < 0 || size >= (uint64_t)selector->larger) &&
	    (selector->smaller < 0 || size < (uint64_t)selector->smaller);
}

static bool takes_tag(const struct selector *selector,
    const struct envelope *envelope)
{
	const char *tag = envelope_tls_tag(envelope);

	return selector->tag == NULL || strcmp(selector->tag, tag == NULL ?
	    "none" : tag) == 0;
}

bool selector_takes_message(const struct selector *selector,
    const struct record_message *message, int64_t now)
{
	const struct envelope *envelope = message->envelope;
	int64_t age = (now - message->arrival) / 1000;

	return pattern_matches(selector->sender, envelope->sender) &&
	    pattern_matches(selector->user, envelope->user) &&
	    (selector->older < 0 || age >= selector->older) &&
	    (selector->newer < 0 || age < selector->newer) &&
	    takes_tag(selector, envelope) && takes_size(selector, message);
}

bool selector_takes_slice(const struct selector *selector,
    enum slice_state state, const struct record_slice *slice)
{
	return pattern_matches(selector->domain, slice->domain) &&
	    (selector->state == SLICE_ANY || selector->state == state);
}

const struct status *slice_trouble(const struct queue *queue,
    const struct record_slice *slice, const struct record_recipient *recipient)
{
	struct destination *destination = destination_find(
	    schedule_destinations(queue->schedule), slice->domain,
	    record_slice_lane(slice));

	if (destination != NULL && destination->paused)
		return &destination->trouble;
	if (recipient->status != NULL)
		return recipient->status;
	if (destination != NULL &&
	    destination_is_resting(destination, clock_wall()))
		return &destination->trouble;
	return NULL;
}

bool selector_matches_host(const char *pattern, const char *host)
{
	char part[STATUS_HOST_MAX];
	size_t name = strcspn(host, "[");

	if (pattern_matches(pattern, host))
		return true;
	if (host[name] == '\0' || strlen(host) >= sizeof(part))
		return false;
	memcpy(part, host, name);
	part[name] = '\0';
	if (name > 0 && pattern_matches(pattern, part))
		return true;
	memcpy(part, host + name + 1, strlen(host + name));
	part[strcspn(part, "]")] = '\0';
	return pattern_matches(pattern, part);
}

bool selector_takes_recipient(const struct selector *selector,
    const struct queue *queue, const struct record_slice *slice,
    const struct record_recipient *recipient)
{
	const struct status *status;
	unsigned reason;

	if (!pattern_matches(selector->recipient, recipient->who.address))
		return false;
	if (selector->reasons == 0 && selector->host == NULL)
		return true;
	status = slice_trouble(queue, slice, recipient);
	reason = status == NULL ? REASON_NONE : status->reason;
	return (selector->reasons == 0 || (selector->reasons >> reason & 1)) &&
	    (selector->host == NULL || selector_matches_host(selector->host,
	    status == NULL ? "" : status->host));
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
	if (destination != NULL && destination->paused) {
		*next = destination->paused_until;
		return SLICE_IS_DEFERRED;
	}
	if (destination != NULL && destination_is_resting(destination, now) &&
	    destination->rest.due > *next)
		*next = destination->rest.due;
	return *next <= now ? SLICE_IS_ACTIVE : SLICE_IS_DEFERRED;
}

bool selector_takes_any(const struct selector *selector,
    const struct queue *queue, uint64_t id, uint32_t number,
    const struct record_slice *slice)
{
	enum slice_state state = SLICE_ANY;
	int64_t next;

	if (selector->state != SLICE_ANY)
		state = slice_state_of(queue, id, number, slice, &next);
	if (!selector_takes_slice(selector, state, slice))
		return false;
	for (uint32_t i = 0; i < slice->recipient_count; i++)
		if (selector_takes_recipient(selector, queue, slice,
		    &slice->recipients[i]))
			return true;
	return false;
}
