/* SPDX-License-Identifier: ISC */
/*
 * What is kept of attempts, and of recipients when they are done with: an
 * event is one attempt, or one thing that was decided here (expiry, an
 * operator), with what became of each recipient it concerned. While a slice
 * waits its events are rows of STORE_ATTEMPTS; when its last recipient leaves
 * they become one row of a volume:
 *
 *	attempts	id, slice, number	event
 *	volumes		'r', place, id, slice	history_row
 *			'p', id, slice		place, if it is not the id
 *
 * A place is a time like that in identifiers: rows are in the order of their
 * finishing, give or take HISTORY_SKEW_SECONDS. A slice that was done soon after
 * its identifier was made has that for its place, so that mail which leaves at
 * once is one row and is found by its identifier. Reading treats rows as
 * hostile, as in record.h. Never header, subject or body of a message.
 */
#ifndef POSTERN_QUEUE_HISTORY_RECORD_H
#define POSTERN_QUEUE_HISTORY_RECORD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct arena;
struct buf;
struct record_key;
struct status;

/* The numbers are stored: new ones go to the end. */
enum history_outcome { HISTORY_DEFERRED, HISTORY_DELIVERED, HISTORY_RELAYED,
    HISTORY_FAILED, HISTORY_EXPIRED, HISTORY_BOUNCED, HISTORY_DELETED,
    HISTORY_REDIRECTED, HISTORY_OUTCOMES };

enum { HISTORY_ITEMS_MAX = 200, HISTORY_TEXT_MAX = 256,
    HISTORY_EVENT_MAX = 512 << 10, HISTORY_ROW_MAX = 1 << 20,
    HISTORY_EVENTS_MAX = 512, HISTORY_ARENA_MAX = 8 << 20,
    HISTORY_SKEW_SECONDS = 60 };

struct history_item {
	uint32_t		 index;		/* of the recipient */
	enum history_outcome	 outcome;
	const struct status	*status;	/* null: nothing was said */
	/* Of one who leaves (not HISTORY_DEFERRED); else null. */
	const char		*address;
	const char		*original;	/* ORCPT as it came, or null */
};

struct history_event {
	int64_t			 time;		/* wall, ms */
	uint32_t		 attempt;	/* 0: it is none */
	struct history_item	*items;
	uint32_t		 count;
	uint32_t		 waiting;	/* of them: those who stay */
};
/* -1: past out's ceiling. */
int	 history_put_event(struct buf *out, const struct history_event *event);
struct history_event	*history_get_event(const void *data, size_t length,
			    struct arena *arena);

struct history_row {
	uint64_t	 id;		/* in the key, these two */
	uint32_t	 slice;
	int64_t		 finished;	/* wall, ms */
	int64_t		 arrival;
	uint64_t	 size;		/* of what went out */
	uint32_t	 flags;		/* enum envelope_flag */
	uint32_t	 accepted;	/* recipients of the message */
	uint32_t	 attempts;	/* of the slice */
	uint32_t	 unkept;	/* events that were too many */
	const char	*domain;
	const char	*sender;
	const char	*client;
	const char	*helo;
	const char	*protocol;
	const char	*tls;		/* when it came; "" for none */
	const char	*user;
	/* As rows of STORE_ATTEMPTS, in their order, each with its length. */
	const void	*events;
	size_t		 events_length;
};
int	 history_put_row(struct buf *out, const struct history_row *row);
/* The key's members are the caller's. */
struct history_row	*history_get_row(const void *data, size_t length,
			    struct arena *arena);
/* Adds an event that was written to those of a row. */
void	 history_add_event(struct buf *events, const void *data,
	    size_t length);
/* The next one at *offset; null at the end, or when it cannot be read. */
struct history_event	*history_next_event(const struct history_row *row,
			    size_t *offset, struct arena *arena);

const char	*history_outcome_name(enum history_outcome outcome);
/* -1 if there is no such outcome. */
int	 history_outcome_find(const char *name);

void	 history_key_event(struct record_key *key, uint64_t id,
	    uint32_t slice, uint64_t number);
void	 history_key_row(struct record_key *key, uint64_t place, uint64_t id,
	    uint32_t slice);
void	 history_key_pointer(struct record_key *key, uint64_t id,
	    uint32_t slice);
/* -1: it is no such key. */
int	 history_get_key_event(const void *data, size_t length, uint64_t *id,
	    uint32_t *slice, uint64_t *number);
int	 history_get_key_row(const void *data, size_t length, uint64_t *place,
	    uint64_t *id, uint32_t *slice);
int	 history_get_key_pointer(const void *data, size_t length,
	    uint64_t *id, uint32_t *slice);

#endif
