/* SPDX-License-Identifier: ISC */
/*
 * A mail under way: begins with MAIL, ends with the answer to its content,
 * RSET, EHLO or the connection. It and all its strings live in the session's
 * arena. Whatever ends it early cancels what the queue already has of it.
 */
#ifndef POSTERN_SMTPD_TRANSACTION_H
#define POSTERN_SMTPD_TRANSACTION_H

#include <stdbool.h>
#include <stdint.h>

#include "base/header.h"
#include "smtpd/data.h"

struct edits;
struct envelope;
struct fields;
struct hash;
struct mail_parameters;
struct refusal;
struct session;
struct signing;
struct verification;
struct waiting_recipient;
struct submission;

/* What one recipient may take of the session's arena: address, its domain,
 * ORCPT, and its place in a growing array. */
enum { TRANSACTION_RECIPIENT_BYTES = 2560 };

enum body_kind { BODY_NONE, BODY_DATA, BODY_CHUNKS };

struct transaction {
	struct envelope		*envelope;	/* in the arena */
	uint64_t		 declared;	/* SIZE=; 0: not said */
	/* The recipient as the client wrote it, for the Received field. */
	const char		*first_recipient;

	unsigned		 accepted;	/* RCPT commands: LMTP answers
						 * for each (SMTP-189) */

	/* recipients.c: address -> its number in the envelope, from 1 */
	struct hash		*known;		/* owned; null before RCPT */

	/* the RCPT that waits for the directory */
	const char		*waiting_address;	/* null: none waits */
	const char		*waiting_original;
	unsigned		 waiting_notify;
	/* and for the checks behind it: what the directory said */
	struct waiting_recipient *waiting;	/* owned; null: one address */
	const char		*waiting_target;	/* in the arena or conf */

	/* content; from the first byte on */
	enum body_kind		 body;
	struct data_reader	 reader;
	struct header_scan	 scan;
	uint64_t		 size;		/* of the content so far */
	int64_t			 body_end;	/* monotonic: total deadline */
	const struct refusal	*problem;	/* why it will be refused */
	bool			 chunk_failed;	/* RSET is the only way on */

	/* what looks at content as it passes (content.c); null: nobody */
	struct fields		*fields;	/* owned */
	struct verification	*verification;	/* owned; verification.c */
	struct signing		*signing;	/* owned; signing.c */
	struct edits		*edits;		/* owned; null: none (edits.h) */
	/* Whole fields that go behind our Received field: what the header
	 * lacked. In the arena; "" is none. */
	const char		*added;
	bool			 cleaned;	/* of forged results */
	bool			 revised;	/* checks changed the envelope */
	const char		*signed_by;	/* domain; null: not signed */

	uint64_t		 id;		/* of the queue */
	struct submission	*submission;	/* owned; null before, after */
	/* made, but beyond the queue's credit */
	char			 carry[DATA_ROOM_MIN];
	unsigned		 carry_length;
};

/* MAIL: session->transaction is it. */
void	 transaction_begin(struct session *session, const char *sender,
	    const struct mail_parameters *parameters);
/* Ends it without a word; there being none is allowed. */
void	 transaction_end(struct session *session);
/* Whole header fields on top of the envelope's prefix. -1, and nothing is
 * changed, where that would get too long. The envelope is revised. */
int	 transaction_add_prefix(struct session *session, const char *text,
	    size_t length);
/* Why no (more) content of that size can be taken now; null: it can. */
const struct refusal	*transaction_refusal(const struct session *session,
			    uint64_t size);

#endif
