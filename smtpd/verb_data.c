/* SPDX-License-Identifier: ISC */
/*
 * DATA (RFC 5321 4.1.1.4): 354 only when there is a recipient and the queue
 * can take a message.
 */
#include "queue/envelope.h"
#include "smtpd/body.h"
#include "smtpd/refusal.h"
#include "smtpd/reply.h"
#include "smtpd/session.h"
#include "smtpd/transaction.h"
#include "smtpd/verbs.h"

enum verb_result verb_data(struct session *session, char *argument)
{
	const struct transaction *transaction = session->transaction;
	const struct refusal *refusal;

	(void)argument;		/* empty: VERB_NO_ARGUMENT */
	if (transaction->body != BODY_NONE)
		refusal = &refusal_data_after_bdat;	/* SMTP-104 */
	else if (transaction->envelope->recipient_count == 0)
		refusal = session_speaks_lmtp(session) ?
		    &refusal_recipient_first :		/* SMTP-189 */
		    &refusal_no_recipients;		/* SMTP-58, SMTP-86 */
	else
		refusal = transaction_refusal(session, transaction->declared);
	if (refusal != NULL) {
		reply_refuse(session, refusal);
		return VERB_DONE;
	}
	reply_text(session, "354 end with <CR><LF>.<CR><LF>\r\n");
	if (session->state == SESSION_CLOSED)
		return VERB_DONE;
	body_start(session, BODY_DATA);
	session_enter(session, SESSION_DATA);
	return VERB_DONE;
}
