/* SPDX-License-Identifier: ISC */
/*
 * A dialogue is made by a process of its own, because its calls block; its
 * result comes over a pipe. Meanwhile, and for a while afterwards, events are
 * read here: they say who got mail by it.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"
#include "tools/lab/dialogue.h"
#include "tools/lab/event.h"
#include "tools/lab/run_child.h"
#include "tools/lab/run_private.h"

enum {
	TURN_MS = 20,
	NEVER_MS = 1000,	/* how long mail that may not come is awaited */
	RESULT_MAX = 64 << 10,
	DIALOGUE_MS = 180000	/* above what lab_dialogue_run() takes */
};

static void make_dialogue(const struct lab_state *state,
    const struct lab_step *step, int out)
{
	json_t *result;
	char *text;

	lab_event_open(state->events_out);
	result = lab_dialogue_run(step);
	text = json_dumps(result, JSON_COMPACT);
	if (text == NULL || write(out, text, strlen(text)) !=
	    (ssize_t)strlen(text))
		_exit(1);
	_exit(0);
}

/* Reads from the process until it closes its pipe; its object, or null. */
static json_t *read_result(struct lab_state *state, int fd)
{
	int64_t end = clock_monotonic() + DIALOGUE_MS;
	char text[4096];
	struct buf all;
	ssize_t got = 1;
	json_t *result;

	buf_init(&all, RESULT_MAX);
	while (got != 0 && clock_monotonic() < end) {
		struct pollfd pollers[] = { { fd, POLLIN, 0 },
		    { state->events, POLLIN, 0 } };

		poll(pollers, 2, TURN_MS);
		lab_state_read_events(state);
		if (pollers[0].revents == 0)
			continue;
		got = read(fd, text, sizeof(text));
		if (got > 0 && buf_add(&all, text, (size_t)got) == -1)
			break;
		if (got == -1 && errno != EINTR)
			break;
	}
	result = json_loadb(buf_data(&all), buf_length(&all), 0, NULL);
	buf_release(&all);
	return result;
}

static json_t *hold_dialogue(struct lab_state *state,
    const struct lab_step *step)
{
	struct lab_child child = { 0 };
	json_t *result;
	int ends[2];
	pid_t pid;

	if (pipe2(ends, O_CLOEXEC) == -1 ||
	    (pid = lab_child_fork(&child, state->log)) == -1) {
		snprintf(state->error, sizeof(state->error), "no process for "
		    "the dialogue: %s", strerror(errno));
		return NULL;
	}
	if (pid == 0)
		make_dialogue(state, step, ends[1]);
	close(ends[1]);
	result = read_result(state, ends[0]);
	close(ends[0]);
	lab_child_kill(&child);
	if (result == NULL)
		snprintf(state->error, sizeof(state->error), "the dialogue "
		    "ended without a result");
	return result;
}

/* --- mail --- */

static bool has_recipient(const json_t *event, const char *address)
{
	const json_t *recipients = json_object_get(event, "recipients");
	const json_t *one;
	size_t i;

	json_array_foreach(recipients, i, one)
		if (strcasecmp(json_string_value(one), address) == 0)
			return true;
	return false;
}

static bool has_mail(const struct lab_state *state, const char *address)
{
	const char *kind;
	const json_t *event;
	size_t i;

	json_array_foreach(state->seen, i, event) {
		kind = json_string_value(json_object_get(event, "event"));
		if (kind != NULL && strcmp(kind, "message") == 0 &&
		    has_recipient(event, address))
			return true;
	}
	return false;
}

/* The first who has not got any; null: all have. */
static const char *find_missing(const struct lab_state *state,
    const struct lab_texts *addresses)
{
	for (size_t i = 0; i < addresses->count; i++)
		if (!has_mail(state, addresses->items[i]))
			return addresses->items[i];
	return NULL;
}

static const char *find_present(const struct lab_state *state,
    const struct lab_texts *addresses)
{
	for (size_t i = 0; i < addresses->count; i++)
		if (has_mail(state, addresses->items[i]))
			return addresses->items[i];
	return NULL;
}

static void set_outcome(json_t *result, const char *outcome,
    const char *format, const char *address)
{
	char said[400];

	snprintf(said, sizeof(said), format, address);
	json_object_set_new(result, "outcome", json_string(outcome));
	json_object_set_new(result, "said", json_string(said));
}

static bool is_safe(const json_t *result)
{
	const char *outcome = json_string_value(json_object_get(result,
	    "outcome"));

	return outcome != NULL && strcmp(outcome, "safe") == 0;
}

/* Mail that must come is awaited; other mail is given some time to come. */
static int judge_mail(struct lab_state *state, const struct lab_step *step,
    json_t *result)
{
	int64_t end = clock_monotonic() + LAB_PATIENCE_MS;
	bool ended = !json_is_null(json_object_get(result, "ended"));
	const char *address = NULL;

	while (!ended && is_safe(result) && (address = find_missing(state,
	    &step->arrives)) != NULL && clock_monotonic() < end)
		if (lab_state_attend(state, TURN_MS) == -1)
			return -1;
	if (step->never.count > 0 && lab_state_attend(state, NEVER_MS) == -1)
		return -1;
	if (address != NULL)
		set_outcome(result, "unserved", "%s got no mail", address);
	address = find_present(state, &step->never);
	if (address != NULL)
		set_outcome(result, "unsafe", "%s got mail, and may not",
		    address);
	return 0;
}

int lab_state_dialogue(struct lab_state *state, const struct lab_step *step,
    json_t *seen)
{
	json_t *result = hold_dialogue(state, step);

	if (result == NULL)
		return -1;
	json_object_set_new(seen, "dialogue", result);
	return judge_mail(state, step, result);
}
