/* SPDX-License-Identifier: ISC */
/*
 * The rows of the queue and their keys. A message is one message row, its body
 * (the store's business), and one slice row for each group of recipients at
 * one domain; a slice that may be tried has one row in the schedule, in the
 * order in which slices are due. Every row begins with a version byte; rows of
 * earlier versions are read (version 1 knew nothing of TLS levels and lanes;
 * what is forwarded came with version 2 of messages and 3 of slices, what
 * filters did with version 3 of messages, the user with version 4) and written
 * in the latest. Reading treats rows as hostile (a disk can lie) and returns
 * null or -1 for what it cannot read.
 *
 *	messages	id			record_message
 *	slices		id, slice		record_slice
 *	schedule	due, id, slice		record_schedule
 */
#ifndef POSTERN_QUEUE_RECORD_H
#define POSTERN_QUEUE_RECORD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/digest.h"
#include "queue/envelope.h"

struct arena;
struct buf;
struct status;

enum { RECORD_KEY_MAX = 24, RECORD_MESSAGE_MAX = 768 << 10,
    RECORD_SLICE_MAX = 512 << 10, RECORD_SCHEDULE_MAX = 512,
    RECORD_ARENA_MAX = 4 << 20 };

/* Big endian, so that byte order is the order of the numbers. */
struct record_key {
	uint8_t	 bytes[RECORD_KEY_MAX];
	size_t	 length;
};
/* For those who make keys of their own; key->length is 0 to begin with. */
void	 record_key_add_u64(struct record_key *key, uint64_t value);
void	 record_key_add_u32(struct record_key *key, uint32_t value);
void	 record_key_message(struct record_key *key, uint64_t id);
void	 record_key_slice(struct record_key *key, uint64_t id, uint32_t slice);
void	 record_key_schedule(struct record_key *key, int64_t due, uint64_t id,
	    uint32_t slice);
int	 record_key_get_message(const void *data, size_t length, uint64_t *id);
int	 record_key_get_slice(const void *data, size_t length, uint64_t *id,
	    uint32_t *slice);
int	 record_key_get_schedule(const void *data, size_t length, int64_t *due,
	    uint64_t *id, uint32_t *slice);

struct record_message {
	struct envelope	*envelope;	/* its recipients are in the slices */
	int64_t		 arrival;	/* wall, ms */
	uint64_t	 body_length;	/* stored: see queue/view.h */
	uint32_t	 slice_count;	/* when it was accepted */
	uint32_t	 recipient_count;
	uint8_t		 digest[DIGEST_BYTES];	/* of the stored body */
};
int	 record_put_message(struct buf *out,
	    const struct record_message *message);
struct record_message	*record_get_message(const void *data, size_t length,
			    struct arena *arena);

struct record_recipient {
	uint32_t			 index;		/* never given again */
	struct envelope_recipient	 who;
	struct status			*status;	/* last; null: untried */
};

enum record_slice_flag {
	SLICE_HELD = 1 << 0,		/* not in the schedule */
	SLICE_BOUNCE = 1 << 1,		/* the message is one of our DSNs */
	SLICE_DAMAGED = 1 << 2,		/* held since its body is damaged */
	SLICE_REQUIRETLS = 1 << 3,	/* the message's, as in its envelope */
	SLICE_TLS_OPTIONAL = 1 << 4,
	SLICE_AGAIN = 1 << 5,		/* no wait after the try under way */
	SLICE_FORWARDED = 1 << 6,	/* its recipients are */
	SLICE_FILTERED = 1 << 7,	/* held by a filter, from the first */
	SLICE_RULED = 1 << 8,		/* the same by a rule of the operator */
	SLICE_NOTED = 1 << 12,		/* it has rows in STORE_ATTEMPTS */
	SLICE_WARNED = 1 << 13		/* the sender was told of the delay, if
					 * he is to be told at all */
};

struct record_slice {
	char			*domain;
	uint32_t		 flags;		/* enum record_slice_flag */
	char			*held_reason;	/* empty unless held */
	int64_t			 arrival;	/* wall, ms, as all below */
	int64_t			 due;		/* key in the schedule */
	int64_t			 tried_at;	/* 0: never */
	int64_t			 tls_trouble_since;	/* 0: never */
	/* `postern queue set-tls`: the level that replaces the destination's
	 * (enum conf_level; -1: none), and its history */
	int			 tls_level;
	char			*tls_reason;	/* empty or null: never set */
	char			*tls_author;	/* "uid 0" */
	int64_t			 tls_set;	/* wall, ms; 0: never */
	uint32_t		 attempt;	/* tries so far */
	uint64_t		 last_job;	/* whose result was applied */
	struct record_recipient	*recipients;	/* those not settled */
	uint32_t		 recipient_count;
};
int	 record_put_slice(struct buf *out, const struct record_slice *slice);
struct record_slice	*record_get_slice(const void *data, size_t length,
			    struct arena *arena);

/* The fields alone, where a row is looked at in passing: the domain of a slice
 * (null: none); the stored bytes of a message (0) and its arrival (0). */
char		*record_peek_domain(const void *data, size_t length,
		    struct arena *arena);
uint64_t	 record_peek_length(const void *data, size_t length,
		    int64_t *arrival);

/* Whom the mail comes from, for this slice's recipients; borrowed. */
char		*record_slice_sender(const struct record_slice *slice,
		    const struct envelope *envelope);
/* Where it stands in line: see enum destination_lane. */
unsigned	 record_slice_lane(const struct record_slice *slice);

struct record_schedule {
	uint32_t	 attempt;
	char		*domain;
	unsigned	 lane;
	uint32_t	 group;		/* record_group(); 0 in older rows */
};
/* A number for who sent it: the login or whoever else is answerable for it,
 * for mail of strangers the sender. Those of one number share turns at a
 * destination (queue/waiting.h). */
uint32_t record_group(const struct envelope *envelope);
int	 record_put_schedule(struct buf *out,
	    const struct record_schedule *schedule);
struct record_schedule	*record_get_schedule(const void *data, size_t length,
			    struct arena *arena);

#endif
