/* SPDX-License-Identifier: ISC */
/*
 * Who looks at the content of a message as it passes to the queue: the header
 * as fields, for whom needs it; verification, signing and the spool of the
 * filters. Costs nothing where nobody looks.
 */
#ifndef POSTERN_SMTPD_CONTENT_H
#define POSTERN_SMTPD_CONTENT_H

#include <stddef.h>

struct session;

/* Content begins: who wants to see it? */
void	 content_begin(struct session *session);
/* Canonical bytes, as they go to the queue. */
void	 content_feed(struct session *session, const char *data,
	    size_t length);
/* It is whole; then the checks of CHECK_CONTENT run. */
void	 content_end(struct session *session);
/* Nobody looks any more. */
void	 content_release(struct session *session);

#endif
