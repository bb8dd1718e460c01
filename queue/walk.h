/* SPDX-License-Identifier: ISC */
/*
 * Going through the queue for an operator's command, a page of messages a
 * turn, so that neither memory nor a turn grows with the queue. The walk
 * belongs to its control connection and goes with it.
 */
#ifndef POSTERN_QUEUE_WALK_H
#define POSTERN_QUEUE_WALK_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/loop.h"
#include "queue/commit.h"
#include "queue/selector.h"

struct control;
struct queue;
struct record_message;
struct walk;

struct walk_verb {
	const char	*name;		/* in the log and in the answer */
	bool		 changes;	/* wants a selection; is logged */
	size_t		 page;		/* messages a turn; what they say has to
					 * fit into the output at once */
	/* A message whose envelope was selected; slices are the visitor's to
	 * look at. Adds to the counts what it took. */
	void	(*visit)(struct walk *walk, uint64_t id,
		    const struct record_message *message);
	/* Null if the verb has no "level"; else reads it: a sentence about
	 * what is wrong, or null. */
	const char	*(*read_level)(struct walk *walk, const json_t *value);
	/* Null, or adds to the answer about what was changed. */
	void	(*conclude)(const struct walk *walk, json_t *answer);
};

struct walk {
	struct queue		*queue;		/* outlives us */
	struct control		*control;	/* outlives us */
	const struct walk_verb	*verb;
	struct selector		 selector;	/* owned */
	char			*note;		/* owned, or null */
	uint64_t		 limit;		/* of messages */
	uint64_t		 uid;		/* who asks */
	int			 level;		/* set-tls: enum conf_level; -1 */
	uint64_t		 kept;		/* messages: see its answer */

	uint64_t		 next_id;	/* where the next page begins */
	uint64_t		 end_id;	/* what comes in later is not meant */
	size_t			 next_position;	/* in the selector's ids */
	uint64_t		 messages;	/* taken so far */
	uint64_t		 recipients;
	bool			 sent;		/* a line in this turn */
	bool			 ended;
	struct timer		 timer;
	struct commit_wait	 wait;
};

void	 walk_start(struct queue *queue, struct control *control,
	    const json_t *arguments, const struct walk_verb *verb);
/* A line of the answer. */
void	 walk_send(struct walk *walk, json_t *object);

#endif
