/* SPDX-License-Identifier: ISC */
/*
 * The content of a message on its way from the input to the queue: reading
 * (data.h), limits, the Received field, and the queue's credit. What cannot
 * be given to the queue now stays in the input, which stops the client.
 *
 * When content is refused half-way the queue forgets it at once, and the rest
 * is read and thrown away, so that the refusal is the answer to all of it.
 */
#ifndef POSTERN_SMTPD_BODY_H
#define POSTERN_SMTPD_BODY_H

#include "smtpd/transaction.h"

struct session;

/* Whether to go on, wait for input, or wait for somebody else. */
enum step { STEP_GO, STEP_INPUT, STEP_WAIT };

/* The content of the session's transaction begins. */
void		 body_start(struct session *session, enum body_kind kind);
/* In SESSION_DATA and SESSION_CHUNK: does one piece of work. */
enum step	 body_step_data(struct session *session);
enum step	 body_step_chunk(struct session *session);

#endif
