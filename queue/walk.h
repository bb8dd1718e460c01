/* SPDX-License-Identifier: ISC */
/*
 * Going through the queue for an operator's command. A turn of the loop works
 * for a few milliseconds and no longer, whatever the size of the queue, and
 * when mail is coming in or going out it rests as long as it worked, but for
 * the first tenth of a second of what changes nothing. What
 * changes something waits until the changes of a turn are durable before it
 * goes on, so that a slow disk is never a step behind. The walk belongs to its
 * control connection and goes with it.
 *
 * Besides its selection each walk takes "progress": true, which has it say
 *
 *	{"progress":{"seen":N,"total":N,"changed":N}}
 *
 * on its way, and ends early when the caller says so (control_on_stop()). Verbs
 * that change something take "dry-run": true, which has them change nothing,
 * and with it "each": true, a line about each message.
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
	bool		 wants_selection;	/* although it changes nothing */
	bool		 whole;		/* no stop in the midst of a message */
	size_t		 page;		/* messages between two looks at the
					 * clock; what they say has to fit into
					 * the output at once */
	/* A message whose envelope was selected; slices are the visitor's to
	 * look at. Adds to the counts what it took. False: it has not finished,
	 * and is called again for the same message in a later turn. */
	bool	(*visit)(struct walk *walk, uint64_t id,
		    const struct record_message *message);
	/* Names of arguments that it takes besides, with a null behind the
	 * last; null: none. */
	const char	*const *arguments;
	/* Null, or looks at the arguments before anything is done: a sentence
	 * about what is wrong, or null. */
	const char	*(*read)(struct walk *walk, const json_t *arguments);
	/* Null, or adds to the answer about what was changed. */
	void	(*conclude)(const struct walk *walk, json_t *answer);
	/* Null, or frees walk->own, if that is not null. */
	void	(*release)(struct walk *walk);
};

struct walk {
	struct queue		*queue;		/* outlives us */
	struct control		*control;	/* outlives us */
	const struct walk_verb	*verb;
	struct selector		 selector;	/* owned */
	char			*note;		/* owned, or null */
	bool			 dry_run;
	bool			 each;		/* a line a message */
	bool			 wants_progress;
	uint64_t		 uid;		/* who asks */
	int			 level;		/* set-tls: enum conf_level; -1 */
	uint64_t		 kept;		/* messages: see its answer */
	void			*own;		/* the verb's */

	uint64_t		 next_id;	/* where the next page begins */
	bool			 by_slices;	/* they are looked at first */
	uint32_t		 scan_slice;	/* behind next_id's: the same */
	uint64_t		 end_id;	/* what comes in later is not meant */
	size_t			 next_position;	/* in the selector's ids */
	uint64_t		 visited;	/* the message that was last */
	bool			 unfinished;	/* it is not done */
	uint32_t		 next_slice;	/* of it: the visitor's */
	uint64_t		 taken;		/* recipients of it: the same */
	uint64_t		 seen;		/* messages looked at */
	uint64_t		 expected;	/* in all; 0: nobody knows */
	uint64_t		 messages;	/* taken so far */
	uint64_t		 recipients;
	bool			 sent;		/* a line in this step */
	bool			 worked;	/* a message in this step */
	int64_t			 deadline;	/* of it: monotonic, ms */
	bool			 waiting;	/* for the disk */
	bool			 stopped;	/* the caller has enough */
	const char		*failure;	/* static; null: none */
	int			 failure_code;
	bool			 ended;
	int64_t			 pause;		/* ms before the next step */
	int64_t			 spent;		/* ms in steps */
	int64_t			 renewed;	/* monotonic, ms */
	int64_t			 told;		/* progress, the same */
	struct timer		 timer;
	struct commit_wait	 wait;
};

void	 walk_start(struct queue *queue, struct control *control,
	    const json_t *arguments, const struct walk_verb *verb);
/* A line of the answer. */
void	 walk_send(struct walk *walk, json_t *object);
/* The step has worked long enough: a visitor with more to do returns false. */
bool	 walk_is_due(const struct walk *walk);
/* Ends the answer with a complaint (a literal), once the visitor returns. */
void	 walk_fail(struct walk *walk, int code, const char *message);
/* Whether a recipient of the message is selected: for those who want whole
 * messages. */
bool	 walk_selects(struct walk *walk, uint64_t id);

#endif
