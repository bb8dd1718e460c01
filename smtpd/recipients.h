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

/* SMTP-21: who gets the mail for postmaster where the directory knows none;
 * null when given, of ours or without a domain, is another one. */
const char	*recipients_postmaster(const struct session *session,
		    const char *given);

/* Whether the arena has room for one more address: a filter adds it. */
bool	 recipients_have_room(const struct session *session);
/* Takes that address out, if it is there; and what says that it was expanded. */
void	 recipients_remove(struct session *session, const char *address);

/* A copy of what the directory found, to be kept while checks are made. */
struct waiting_recipient;
struct waiting_recipient	*recipients_keep(
				    const struct directory_found *found);
const struct directory_found	*recipients_kept(
				    const struct waiting_recipient *waiting);
void	 recipients_forget(struct waiting_recipient *waiting);

#endif
