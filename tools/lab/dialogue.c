/* SPDX-License-Identifier: ISC */
/*
 * The walk through a dialogue, once, or as often as its sweep asks for. Each
 * walk is a client of its own: nothing is left of the one before. The first
 * walk that is not safe ends the sweep.
 */
#include "tools/lab/dialogue.h"

#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "tools/lab/dialogue_private.h"

enum { DIALOGUE_MS = 120000 };	/* for all walks */

struct walk {
	enum lab_move_end	 end;
	const char		*move;		/* that ended it; null none */
	char			 said[LAB_SAID_MAX];
};

/* Into how many places the cut leads: 0 when there is none. */
static size_t count_places(const struct lab_texts *moves)
{
	size_t count = 0;

	for (size_t i = 0; i < moves->count && count == 0; i++) {
		struct lab_move move;
		struct buf bytes;

		if (lab_move_read(&move, moves->items[i]) != NULL ||
		    move.verb != LAB_VERB_CUT)
			continue;
		buf_init(&bytes, LAB_BYTES_MAX);
		lab_move_bytes(move.argument, &bytes);
		count = buf_length(&bytes) - 1;
		buf_release(&bytes);
	}
	return count;
}

static void take_walk(const struct lab_texts *moves, size_t cut_at,
    struct walk *walk)
{
	struct lab_client client;

	lab_client_init(&client);
	*walk = (struct walk){ .end = LAB_MOVE_HOLDS };
	for (size_t i = 0; i < moves->count && walk->end == LAB_MOVE_HOLDS;
	    i++) {
		struct lab_move move;

		walk->move = moves->items[i];
		walk->end = lab_move_read(&move, walk->move) == NULL ?
		    lab_client_move(&client, &move, cut_at) :
		    lab_client_say(&client, LAB_MOVE_UNSERVED,
		    "there is no such move");
	}
	if (walk->end == LAB_MOVE_HOLDS)
		walk->move = NULL;
	snprintf(walk->said, sizeof(walk->said), "%s", client.said);
	lab_client_release(&client);
}

const char *lab_dialogue_problem(const struct lab_texts *moves)
{
	struct lab_move move;
	size_t cuts = 0;

	for (size_t i = 0; i < moves->count; i++)
		if (lab_move_read(&move, moves->items[i]) == NULL &&
		    move.verb == LAB_VERB_CUT)
			cuts++;
	if (moves->count > 0 && (lab_move_read(&move, moves->items[0]) !=
	    NULL || move.verb != LAB_VERB_CONNECT))
		return "a dialogue that begins with connect";
	return cuts > 1 ? "one cut in a dialogue" : NULL;
}

static json_t *describe(const struct walk *walk, size_t place, bool swept)
{
	bool failed = walk->end == LAB_MOVE_UNSAFE ||
	    walk->end == LAB_MOVE_UNSERVED;
	/* What a server said can be any bytes. */
	json_t *said = walk->said[0] == '\0' ?
	    json_string("every move went as it should") :
	    json_stringn(walk->said, strlen(walk->said));

	return json_pack("{s:s, s:s?, s:s?, s:o, s:o}", "outcome",
	    walk->end == LAB_MOVE_UNSAFE ? "unsafe" :
	    walk->end == LAB_MOVE_UNSERVED ? "unserved" : "safe", "move",
	    failed ? walk->move : NULL, "ended", failed ? NULL : walk->move,
	    "said", said != NULL ? said : json_string("(no text)"), "place",
	    failed && swept ? json_integer((json_int_t)place) : json_null());
}

json_t *lab_dialogue_run(const struct lab_step *step)
{
	int64_t end = clock_monotonic() + DIALOGUE_MS;
	size_t places = count_places(&step->dialogue), place;
	struct walk walk = { .end = LAB_MOVE_HOLDS }, last;

	for (place = 0; place <= places; place++) {
		take_walk(&step->dialogue, place, &last);
		/* That one of them was refused is worth telling. */
		if (last.end != LAB_MOVE_HOLDS)
			walk = last;
		if (last.end == LAB_MOVE_UNSAFE ||
		    last.end == LAB_MOVE_UNSERVED)
			break;
		if (place < places && clock_monotonic() > end) {
			walk.end = LAB_MOVE_UNSERVED;
			walk.move = NULL;
			snprintf(walk.said, sizeof(walk.said), "it took too "
			    "long: %zu of %zu places in %d seconds", place + 1,
			    places + 1, DIALOGUE_MS / 1000);
			break;
		}
	}
	return describe(&walk, place, places > 0);
}
