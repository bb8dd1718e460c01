/* SPDX-License-Identifier: ISC */
/*
 * Looks at everything in a store: each row that can be read and belongs to
 * something, each body against its digest. A bounded step at a time, so that a
 * queue that is at work can be looked at; what is found is said at once, in the
 * turn in which it is true. Nothing is changed. A page whose checksum is wrong
 * is no finding: it ends the process, as every read of it would (queue/store.h).
 */
#ifndef POSTERN_QUEUE_VERIFY_H
#define POSTERN_QUEUE_VERIFY_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "queue/destination.h"
#include "queue/store.h"

struct verify;

enum verify_problem {
	VERIFY_MESSAGE_UNREADABLE,	/* its row */
	VERIFY_RECIPIENTS_LOST,		/* a message without a slice */
	VERIFY_BODY_DAMAGED,		/* not what was accepted, or not there */
	VERIFY_SLICE_UNREADABLE,
	VERIFY_ENVELOPE_LOST,		/* a slice without its message */
	VERIFY_NOT_SCHEDULED,		/* a slice that nobody would try */
	VERIFY_SCHEDULE_UNREADABLE,
	VERIFY_SCHEDULE_ASTRAY,		/* no slice, a held one, another time */
	VERIFY_ATTEMPTS_ASTRAY,		/* of a message that is not there */
	VERIFY_PROBLEMS
};

struct verify_finding {
	enum verify_problem	 problem;
	struct place		 place;	/* id; slice and due where they matter */
	enum store_table	 table;
	struct store_bytes	 key;	/* of the row; borrowed, may be empty */
};

/* Store and found outlive it. */
struct verify	*verify_new(struct store *store, void (*found)(void *arg,
		    const struct verify_finding *finding), void *arg);
void	 verify_free(struct verify *verify);
/* Some thousand rows, or a megabyte of bodies; false: it was the last one. */
bool	 verify_step(struct verify *verify);

struct verify_counts {
	uint64_t	 rows[STORE_TABLE_COUNT + 1];	/* history: the last */
	uint64_t	 bodies, body_bytes;
	uint64_t	 problems;
};
const struct verify_counts	*verify_counts(const struct verify *verify);
/* "body-damaged", and a sentence. */
const char	*verify_problem_name(enum verify_problem problem);
const char	*verify_problem_text(enum verify_problem problem);
const char	*verify_table_name(enum store_table table);
/* {"rows":{"messages":N,...},"bodies":N,"bytes":N,"problems":N}; a new
 * reference. */
json_t	*verify_summary(const struct verify *verify);

#endif
