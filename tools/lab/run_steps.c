/* SPDX-License-Identifier: ISC */
/*
 * The steps of a scenario. All waiting is in lab_state_attend(), which reads
 * events and buries children meanwhile.
 *
 * A step with the faults of the step before goes on in the same world, with
 * the MTA as it is; otherwise the servers are others, and the MTA is told to
 * forget what it knows of the DNS (verb refresh). A step ends well, or by the
 * MTA's fault (is_hung: then nothing more can be asked of it), or because it
 * cannot be judged, or by ours.
 */
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/clock.h"
#include "tools/lab/run_message.h"
#include "tools/lab/run_private.h"
#include "tools/lab/verdict.h"

enum {
	QUIET_MS = 300,		/* without events, before it is settled */
	GRACE_MS = 150,		/* what may still come after a delivery */
	TURN_MS = 20,
	GREETING_SECONDS = 20,
	FLUSHES_MAX = 3, FLUSH_PAUSE_MS = 1500,	/* longer than TTLs */
	EVENTS_MAX = 20000,	/* of one step */
	EVENT_MAX = 64 << 10
};

static const struct lab_texts no_faults;

/* --- waiting --- */

static void take_event(struct lab_state *state, const char *text, size_t length)
{
	json_t *event = json_loadb(text, length, 0, NULL);

	state->last_event = clock_monotonic();
	if (event != NULL && json_array_size(state->seen) < EVENTS_MAX)
		json_array_append_new(state->seen, event);
	else
		json_decref(event);
}

void lab_state_read_events(struct lab_state *state)
{
	static char text[EVENT_MAX];
	ssize_t got;

	while ((got = recv(state->events, text, sizeof(text),
	    MSG_DONTWAIT)) > 0)
		take_event(state, text, (size_t)got);
}

/* One turn; -1 when a server of ours is gone. */
static int attend(struct lab_state *state)
{
	struct pollfd poller = { .fd = state->events, .events = POLLIN };

	poll(&poller, 1, TURN_MS);
	lab_state_read_events(state);
	return lab_servers_watch(state->servers, state->error,
	    sizeof(state->error));
}

int lab_state_attend(struct lab_state *state, int64_t ms)
{
	int64_t end = clock_monotonic() + ms;

	while (clock_monotonic() < end)
		if (attend(state) == -1)
			return -1;
	return 0;
}

/* --- the world --- */

static int await_greeting(struct lab_state *state)
{
	if (lab_message_wait(GREETING_SECONDS, state->error,
	    sizeof(state->error)) == 0)
		return 0;
	state->is_hung = true;
	return -1;
}

static int start_mta(struct lab_state *state)
{
	if (lab_state_command(state, "start") == -1 ||
	    await_greeting(state) == -1)
		return -1;
	state->started = true;
	return 0;
}

int lab_state_enter(struct lab_state *state, const struct lab_texts *faults)
{
	if (state->faults != NULL && lab_texts_equal(state->faults, faults))
		return 0;
	state->faults = faults;
	if (lab_servers_start(state->servers, faults, state->error,
	    sizeof(state->error)) == -1)
		return -1;
	if (state->run->driver == NULL)
		return 0;
	if (!state->started)
		return start_mta(state);
	if (lab_state_command(state, "refresh") == -1)
		return -1;
	return await_greeting(state);
}

/* --- a message --- */

static bool is_waiting(const struct lab_state *state)
{
	struct lab_sight sight = lab_sight_of(state->seen, state->marker);

	return sight.host == NULL && sight.impostor == NULL && !sight.bounced;
}

/* Until something became of the message, or nothing will for now: settled says
 * whether the MTA put it off, or cannot tell. */
static int await_outcome(struct lab_state *state, enum lab_settled *settled)
{
	int64_t begin = clock_monotonic(), asked = begin;
	unsigned times = 0;

	*settled = LAB_SETTLED_NO;
	state->last_event = begin;
	while (clock_monotonic() - begin < LAB_PATIENCE_MS) {
		if (attend(state) == -1)
			return -1;
		if (!is_waiting(state)) {
			state->is_gone = true;
			return lab_state_attend(state, GRACE_MS);
		}
		if (clock_monotonic() - state->last_event < QUIET_MS ||
		    clock_monotonic() - asked < QUIET_MS)
			continue;
		/* Twice, with quiet between: it may be about to go on. */
		*settled = lab_state_settled(state);
		times = *settled == LAB_SETTLED_YES ? times + 1 : 0;
		asked = clock_monotonic();
		if (times == 2 || state->error[0] != '\0')
			break;
	}
	return state->error[0] == '\0' ? 0 : -1;
}

/* It takes none: that is the MTA's fault, and said as such. */
static int send_message(struct lab_state *state, const struct lab_step *step,
    json_t *seen)
{
	struct lab_handover handover;
	int result;

	state->marker++;
	state->is_gone = false;
	state->requiretls = step->requiretls;
	setenv("LAB_TO", step->to, 1);
	result = lab_message_send(step, state->marker, &handover);
	setenv("LAB_REPLY", handover.reply, 1);
	json_object_set_new(seen, "reply", json_stringn_nocheck(handover.reply,
	    strlen(handover.reply)));
	if (result == -1) {
		snprintf(state->error, sizeof(state->error), "%s",
		    handover.error);
		state->is_hung = true;
	}
	return result;
}

/* Would it be delivered if there were no faults? What is remembered of a
 * failure may cost an attempt or two, not more. */
static int heal(struct lab_state *state, json_t *seen)
{
	enum lab_settled settled;
	int64_t begun;

	state->seen = json_array();
	json_object_set_new(seen, "healed", state->seen);
	if (lab_state_enter(state, &no_faults) == -1)
		return -1;
	begun = clock_monotonic();
	for (int flushes = 0; flushes < FLUSHES_MAX &&
	    clock_monotonic() - begun < LAB_PATIENCE_MS; flushes++) {
		if ((flushes > 0 && lab_state_attend(state,
		    FLUSH_PAUSE_MS) == -1) ||
		    lab_state_command(state, "flush") == -1 ||
		    await_outcome(state, &settled) == -1)
			return -1;
		if (!is_waiting(state))
			break;
	}
	return 0;
}

static int follow_message(struct lab_state *state, const struct lab_step *step,
    json_t *seen)
{
	enum lab_settled settled;

	if (step->to[0] != '\0' && send_message(state, step, seen) == -1)
		return -1;
	json_object_set_new(seen, "marker", json_integer(state->marker));
	json_object_set_new(seen, "requiretls",
	    json_boolean(state->requiretls));
	/* What was delivered, or returned, in a step before has no outcome
	 * any more: there is nothing to wait for. */
	if (state->is_gone)
		return lab_state_attend(state, QUIET_MS);
	if (await_outcome(state, &settled) == -1)
		return -1;
	json_object_set_new(seen, "settled", json_boolean(
	    settled == LAB_SETTLED_YES));
	if (!is_waiting(state))
		return 0;
	if (settled == LAB_SETTLED_NO) {
		state->is_hung = true;
		snprintf(state->error, sizeof(state->error), "it neither "
		    "delivered the message, nor returned it, nor put it off "
		    "in %d seconds", LAB_PATIENCE_MS / 1000);
		return -1;
	}
	if (step->expect != LAB_WAITING && !state->run->twin)
		return heal(state, seen);
	return 0;
}

/* --- steps --- */

/* What the dialogue was about may have ended it for everybody. */
static int hold_dialogue(struct lab_state *state, const struct lab_step *step,
    json_t *seen)
{
	json_object_set_new(seen, "marker", json_integer(state->marker));
	if (lab_state_dialogue(state, step, seen) == -1)
		return -1;
	return await_greeting(state);
}

static int run_step(struct lab_state *state, const struct lab_step *step,
    json_t *seen)
{
	if (lab_state_enter(state, &step->faults) == -1 ||
	    lab_state_clock(state, step->clock) == -1 ||
	    await_greeting(state) == -1 ||
	    lab_state_attend(state, step->after * 1000) == -1 ||
	    (step->flush && lab_state_command(state, "flush") == -1))
		return -1;
	if (step->dialogue.count > 0)
		return hold_dialogue(state, step, seen);
	return follow_message(state, step, seen);
}

/* One that ended in a crash has more to say than that it hung. */
static int conclude(struct lab_state *state, int result, json_t *seen)
{
	char said[500];

	if (state->started && lab_state_crashed(state, said, sizeof(said)))
		json_object_set_new(seen, "crashed", json_string(said));
	if (result == 0)
		return 0;
	json_object_set_new(seen, state->is_hung ? "hung" : "problem",
	    json_string(state->error));
	if (state->is_hung)
		state->error[0] = '\0';
	return -1;
}

void lab_state_walk(struct lab_state *state, json_t *steps)
{
	const struct lab_scenario *scenario = state->run->scenario;

	for (size_t i = 0; i < scenario->step_count; i++) {
		const struct lab_step *step = &scenario->steps[i];
		json_t *seen = json_pack("{s:s}", "name", step->name);

		json_array_append_new(steps, seen);
		state->seen = json_array();
		json_object_set_new(seen, "events", state->seen);
		if (conclude(state, run_step(state, step, seen), seen) == -1)
			return;
	}
}
