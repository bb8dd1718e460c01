/* SPDX-License-Identifier: ISC */
/*
 * What became of mail, kept for a while (`history`, `history-space`): every
 * attempt of a slice, and how each recipient left. What a turn learns of a
 * slice is noted while the slice is loaded and goes into the batch that saves
 * it: a row of STORE_ATTEMPTS while recipients wait, one row of a volume with
 * all that is known when the last one leaves. Mail that leaves at its first
 * attempt costs that row and nothing else; what is too old, or too much, or in
 * the way of new mail on a full disk, goes by the volume (store.h).
 *
 * Of a slice at most HISTORY_KEPT attempts are kept, the first and the latest.
 */
#ifndef POSTERN_QUEUE_HISTORY_H
#define POSTERN_QUEUE_HISTORY_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "queue/history_record.h"

struct history;
struct queue;
struct record_message;
struct record_recipient;
struct slice;
struct status;

enum { HISTORY_KEPT = 100, HISTORY_KEPT_FIRST = 10 };

struct history	*history_new(struct queue *queue);
void		 history_free(struct history *history);

/*
 * Something became of a recipient of a loaded slice; status (or null) lives
 * until the slice is saved. Before slice_drop(), which says HISTORY_DELETED of
 * those of whom nothing was said.
 */
void	 history_note(struct slice *slice,
	    const struct record_recipient *recipient,
	    enum history_outcome outcome, const struct status *status);
/* For slice.c: a recipient is taken out; the slice is saved; it is gone, and
 * message (null: its row cannot be read) is still there. */
void	 history_drop(struct slice *slice,
	    const struct record_recipient *recipient);
void	 history_save(struct slice *slice);
void	 history_finish(struct slice *slice,
	    const struct record_message *message);

/* --- reading --- */

/* Goes through the events of a slice that waits, in their order. */
void	 history_each_event(struct queue *queue, uint64_t id, uint32_t slice,
	    void (*visit)(void *arg, const struct history_event *event),
	    void *arg);
/*
 * The attempts of a slice that waits, for `queue show`: an array of objects,
 * oldest first (see history_add_attempts), at most so many. A new reference.
 */
json_t	*history_attempts_json(struct queue *queue, uint64_t id,
	    uint32_t slice, size_t most);

/*
 * Adds objects {"time","attempt","outcome","code","status","reason","text",
 * "host","tls","verdict","recipients","count"} for an event, one for each
 * outcome that is not that of others. "attempt" is null for what was decided
 * without one, "code" when no server said one; "verdict" is what TLS proved
 * ("verify=" of "tls"). "recipients" names ten of those "count" it is about.
 */
struct history_name {
	uint32_t	 index;
	const char	*address;
};
struct history_names {
	const struct history_name	*list;
	size_t				 count;
};
void	 history_add_attempts(json_t *array, const struct history_event *event,
	    const struct history_names *names);
/* {"code","status","reason","text","host","tls","verdict"}; null: nothing was
 * said. A new reference. */
json_t	*history_status_value(const struct status *status);
/* "dane" of "TLSv1.3 ... verify=dane"; "" when nothing was said. */
const char	*history_verdict(const char *tls);

#endif
