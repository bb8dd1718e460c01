/* SPDX-License-Identifier: ISC */
/*
 * The milters of a session: asked at each point in the order of the listener's
 * chain, and about the whole message one after the other, each seeing what the
 * ones before it have changed. What they change is kept as edits (edits.h) and
 * as a revised envelope. A session whose listener has no milters has none of
 * this.
 */
#ifndef POSTERN_SMTPD_FILTER_H
#define POSTERN_SMTPD_FILTER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "smtpd/checks.h"

struct directory_found;

/* Content begins: whether there is a filter to see it. */
bool	 filter_begin(struct session *session);
void	 filter_feed(struct session *session, const char *data, size_t length);
/* The message is over for them; the session goes on. */
void	 filter_release(struct session *session);
/* The session is over. */
void	 filter_free(struct session *session);

/* The name of the client's address is known now. */
void	 filter_name_known(struct session *session);
/* In SESSION_CHECKING: the queue has credit again. */
void	 filter_ready(struct session *session);
/* A recipient was refused by somebody else; some filters want to know. */
void	 filter_refused(struct session *session, const char *recipient,
	    const char *enhanced, const char *text);

/* The one that waits is in the envelope now. found: as the directory said it;
 * null: its target alone. */
void	 filter_taken(struct session *session,
	    const struct directory_found *found);

/* Rows of the table. */
enum check_answer	 filter_connect(struct session *session);
enum check_answer	 filter_hello(struct session *session);
enum check_answer	 filter_mail(struct session *session);
enum check_answer	 filter_recipient(struct session *session);
enum check_answer	 filter_content(struct session *session);

/*
 * For the checks behind filter_content(): up to size bytes of the message as it
 * will go out, header and body, behind the envelope's prefix; 0 at its end.
 * transaction->fields are those of its header. Only where filters were asked.
 */
size_t	 filter_read(const struct session *session, uint64_t offset,
	    char *out, size_t size);

#endif
