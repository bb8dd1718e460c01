/* SPDX-License-Identifier: ISC */
/*
 * memory-list, -show, -forget, -pin, -unpin, -import, -export: what
 * destinations and hosts have shown, and what an operator pinned. The objects
 * are policy/memory.h's.
 */
#include "policy/verbs.h"

#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/digest.h"
#include "policy/memory.h"
#include "policy/policy.h"
#include "policy/records.h"

enum { IMPORT_MAX = 200 };

/* --- lists --- */

static const char nothing[] = "nothing is remembered of that name";

static unsigned walk_more(void *arg, struct verbs_page *page)
{
	json_t *object;
	unsigned cost = memory_walk_next(arg, &object);

	if (object != NULL)
		verbs_page_add(page, object);
	return cost;
}

static void walk_release(void *arg)
{
	memory_walk_free(arg);
}

static void send_walk(struct control *control, const char *name)
{
	verbs_send(control, walk_more, walk_release,
	    memory_walk_new(policy_records()->memory, name), name[0] == '\0' ?
	    "nothing is remembered" : nothing);
}

void verb_memory_list(struct control *control, const json_t *arguments)
{
	char name[256] = "";

	if (json_object_get(arguments, "name") != NULL &&
	    verbs_read_domain(control, arguments, "name", name,
	    sizeof(name)) == -1)
		return;
	send_walk(control, name);
}

void verb_memory_export(struct control *control, const json_t *arguments)
{
	(void)arguments;
	send_walk(control, "");
}

struct answer {
	struct control	*control;
	bool		 any;
};

static void send_one(void *arg, json_t *object)
{
	struct answer *answer = arg;

	control_send(answer->control, object);
	answer->any = true;
}

void verb_memory_show(struct control *control, const json_t *arguments)
{
	struct answer answer = { .control = control };
	char name[256];

	if (verbs_read_domain(control, arguments, "name", name,
	    sizeof(name)) == -1)
		return;
	memory_each_of(policy_records()->memory, name, send_one, &answer);
	control_end(control, answer.any ? CONTROL_OK : CONTROL_NONE_MATCHED,
	    answer.any ? NULL : nothing);
}

/* --- forgetting --- */

void verb_memory_forget(struct control *control, const json_t *arguments)
{
	char name[256], detail[40];
	unsigned count;

	if (verbs_read_domain(control, arguments, "name", name,
	    sizeof(name)) == -1)
		return;
	count = memory_forget(policy_records()->memory, name);
	if (count == 0) {
		control_end(control, CONTROL_NONE_MATCHED, nothing);
		return;
	}
	snprintf(detail, sizeof(detail), "entries %u", count);
	verbs_log(control, "memory-forget", name, detail);
	control_send(control, json_pack("{s:I, s:s}", "forgotten",
	    (json_int_t)count, "name", name));
	control_end(control, CONTROL_OK, NULL);
}

/* --- pins --- */

static int wrong_fingerprints(struct control *control)
{
	control_end(control, CONTROL_USAGE, "argument \"fingerprints\": one to "
	    "eight SHA-256 digests in hexadecimal are expected with level "
	    "fingerprint, and none with another");
	return -1;
}

static int read_fingerprints(struct control *control, const json_t *arguments,
    struct plan_pin *pin)
{
	const json_t *given = json_object_get(arguments, "fingerprints");
	bool wanted = pin->level == PIN_FINGERPRINT;
	uint8_t *to;
	const char *text;
	size_t i;

	pin->fingerprint_count = json_array_size(given);
	if ((given != NULL && !json_is_array(given)) ||
	    wanted != (pin->fingerprint_count > 0) ||
	    pin->fingerprint_count > PLAN_PIN_FINGERPRINTS_MAX)
		return wrong_fingerprints(control);
	for (i = 0; i < pin->fingerprint_count; i++) {
		to = pin->fingerprints[i];
		text = json_string_value(json_array_get(given, i));
		if (text == NULL || hex_parse(to, DIGEST_BYTES, text) !=
		    DIGEST_BYTES)
			return wrong_fingerprints(control);
	}
	return 0;
}

static int read_pin_level(struct control *control, const json_t *arguments,
    enum pin_level *level)
{
	const char *given = json_string_value(json_object_get(arguments,
	    "level"));

	for (*level = 0; given != NULL && *level < PIN_LEVELS; (*level)++)
		if (strcmp(given, pin_level_name(*level)) == 0)
			return 0;
	control_end(control, CONTROL_USAGE, "argument \"level\": encrypt, "
	    "verify or fingerprint is expected");
	return -1;
}

void verb_memory_pin(struct control *control, const json_t *arguments)
{
	struct plan_pin pin = { .made = clock_wall() };
	const char *problem;

	if (verbs_read_domain(control, arguments, "domain", pin.domain,
	    sizeof(pin.domain)) == -1 ||
	    read_pin_level(control, arguments, &pin.level) == -1 ||
	    read_fingerprints(control, arguments, &pin) == -1 ||
	    verbs_read_reason(control, arguments, pin.reason,
	    sizeof(pin.reason)) == -1)
		return;
	verbs_author(control, pin.author, sizeof(pin.author));
	problem = memory_set_pin(policy_records()->memory, &pin);
	if (problem != NULL) {
		control_end(control, CONTROL_USAGE, problem);
		return;
	}
	verbs_log(control, "memory-pin", pin.domain,
	    pin_level_name(pin.level));
	control_send(control, json_pack("{s:s, s:s}", "pinned", pin.domain,
	    "level", pin_level_name(pin.level)));
	control_end(control, CONTROL_OK, NULL);
}

void verb_memory_unpin(struct control *control, const json_t *arguments)
{
	char domain[256];

	if (verbs_read_domain(control, arguments, "domain", domain,
	    sizeof(domain)) == -1)
		return;
	if (!memory_unpin(policy_records()->memory, domain)) {
		control_end(control, CONTROL_NONE_MATCHED,
		    "that domain has no pin");
		return;
	}
	verbs_log(control, "memory-unpin", domain, NULL);
	control_send(control, json_pack("{s:s}", "unpinned", domain));
	control_end(control, CONTROL_OK, NULL);
}

/* --- import --- */

static json_t *import_all(const json_t *objects, size_t *refused)
{
	json_t *problems = json_array();
	const char *problem;
	size_t i, count = json_array_size(objects);

	for (i = 0; i < count; i++) {
		problem = memory_import(policy_records()->memory,
		    json_array_get(objects, i));
		if (problem != NULL)
			json_array_append_new(problems, json_pack("{s:I, s:s}",
			    "index", (json_int_t)i, "problem", problem));
	}
	*refused = json_array_size(problems);
	return problems;
}

void verb_memory_import(struct control *control, const json_t *arguments)
{
	const json_t *objects = json_object_get(arguments, "objects");
	size_t count = json_array_size(objects), refused;
	json_t *problems;
	char detail[40];

	if (!json_is_array(objects) || count == 0 || count > IMPORT_MAX) {
		control_end(control, CONTROL_USAGE, "argument \"objects\": an "
		    "array of 1 to 200 objects of an export is expected");
		return;
	}
	problems = import_all(objects, &refused);
	snprintf(detail, sizeof(detail), "objects %zu", count - refused);
	verbs_log(control, "memory-import", NULL, detail);
	control_send(control, json_pack("{s:I, s:o}", "imported",
	    (json_int_t)(count - refused), "refused", problems));
	control_end(control, refused == 0 ? CONTROL_OK : CONTROL_DATA,
	    refused == 0 ? NULL : "some of the objects were refused");
}
