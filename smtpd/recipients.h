/* SPDX-License-Identifier: ISC */
/*
 * The recipients of a transaction: those the client names and we keep as they
 * are, and those that the directory says get the mail instead. Nobody is there
 * twice. What the client may name and what aliases may add have a ceiling each.
 */
#ifndef POSTERN_SMTPD_RECIPIENTS_H
#define POSTERN_SMTPD_RECIPIENTS_H

#include <stdbool.h>

struct directory_found;
struct refusal;
struct session;

/* RFC 5321 4.5.3.1.10: 452 then, and what was accepted stays. */
bool	 recipients_are_full(const struct session *session);
/* The one that waits, under that address. */
void	 recipients_add(struct session *session, const char *address);
/* Those whom the directory found for it. Null, or why there is no room (for
 * now: in a transaction of its own there is). */
const struct refusal	*recipients_add_found(struct session *session,
			    const struct directory_found *found);

#endif
