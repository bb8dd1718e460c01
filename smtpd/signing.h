/* SPDX-License-Identifier: ISC */
/*
 * DKIM signatures of our own on what our own people send. The last check of a
 * message: it sees what filters have made of it.
 */
#ifndef POSTERN_SMTPD_SIGNING_H
#define POSTERN_SMTPD_SIGNING_H

#include <stdbool.h>
#include <stddef.h>

#include "smtpd/checks.h"

bool	 signing_begin(struct session *session);
void	 signing_body(struct session *session, const char *data,
	    size_t length);
void	 signing_free(struct session *session);
/* Row of CONTENT; never waits, never stops: what cannot be signed goes
 * unsigned, and the log says so. */
enum check_answer	 signing_content(struct session *session);

#endif
