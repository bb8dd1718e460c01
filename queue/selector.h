/* SPDX-License-Identifier: ISC */
/*
 * Which messages and recipients the operator means. All criteria that are
 * given must hold; texts are patterns (queue/pattern.h):
 *
 *	id		"3f2a" or a list of them
 *	sender		"<>" is the null sender
 *	user		who is answerable: struct envelope says how it is put
 *	recipient
 *	domain		of the recipient
 *	host		of the last attempt, its name or its address
 *	older, newer	seconds since arrival, at least and less than
 *	larger, smaller	bytes that go out, at least and less than
 *	state		"active", "deferred" or "held"
 *	reason		of the last attempt: a word of status_reason_set(), or
 *			a list of them
 *	tag		"requiretls", "optional" or "none"
 *	all		true: everything, said on purpose
 *	limit		so many messages at most; whoever visits them counts
 */
#ifndef POSTERN_QUEUE_SELECTOR_H
#define POSTERN_QUEUE_SELECTOR_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct queue;
struct record_message;
struct record_recipient;
struct record_slice;
struct status;

enum slice_state { SLICE_ANY, SLICE_IS_ACTIVE, SLICE_IS_DEFERRED,
    SLICE_IS_HELD };

struct selector {
	uint64_t	*ids;		/* owned; null: any */
	size_t		 id_count;
	char		*sender;	/* owned patterns; null: any */
	char		*user;
	char		*recipient;
	char		*domain;
	char		*host;
	int64_t		 older;		/* seconds; -1: any */
	int64_t		 newer;
	int64_t		 larger;	/* bytes; -1: any */
	int64_t		 smaller;
	enum slice_state state;
	uint64_t	 reasons;	/* status_reason_set(); 0: any */
	char		*tag;		/* owned; "none" for neither */
	bool		 all;
	uint64_t	 limit;		/* UINT64_MAX: none */
};

/* Null, or a sentence about what is wrong with the arguments. others: names of
 * arguments that are the verb's own business, with a null behind the last; null
 * for none. Any other name is an error: a misspelled one selects too much. */
const char	*selector_read(struct selector *selector,
		    const json_t *arguments, const char *const *others);
void	 selector_release(struct selector *selector);
/* True when nothing was given, not even "all"; a limit does not count. */
bool	 selector_is_empty(const struct selector *selector);

/* "mx.example.org[192.0.2.7]" by its name, its address or as it stands. */
bool	 selector_matches_host(const char *pattern, const char *host);
bool	 selector_takes_message(const struct selector *selector,
	    const struct record_message *message, int64_t now);
bool	 selector_takes_slice(const struct selector *selector,
	    enum slice_state state, const struct record_slice *slice);
bool	 selector_takes_recipient(const struct selector *selector,
	    const struct queue *queue, const struct record_slice *slice,
	    const struct record_recipient *recipient);
/* The last two questions at once: whether it takes a recipient of the slice. */
bool	 selector_takes_any(const struct selector *selector,
	    const struct queue *queue, uint64_t id, uint32_t number,
	    const struct record_slice *slice);

/* What a slice is doing; next gets when it is tried (0: not by itself). */
enum slice_state slice_state_of(const struct queue *queue, uint64_t id,
	    uint32_t number, const struct record_slice *slice, int64_t *next);
const char	*slice_state_name(enum slice_state state);
/* Why a recipient of the slice waits: its last attempt, or the trouble of the
 * destination that keeps it from a first one. Null if for nothing. */
const struct status	*slice_trouble(const struct queue *queue,
			    const struct record_slice *slice,
			    const struct record_recipient *recipient);

#endif
