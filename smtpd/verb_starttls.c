/* SPDX-License-Identifier: ISC */
/*
 * STARTTLS (RFC 3207). That nothing follows it in the input was checked by
 * verb_run(), for every form of it; stream checks again until the 220 has left
 * (TLS-26 to TLS-30).
 */
#include "base/stream.h"
#include "base/tls.h"
#include "conf/conf.h"
#include "smtpd/refusal.h"
#include "smtpd/reply.h"
#include "smtpd/rules.h"
#include "smtpd/session.h"
#include "smtpd/verbs.h"

static const struct refusal *find_refusal(const struct session *session,
    const char *argument)
{
	if (*argument != '\0')
		return &refusal_no_argument;		/* TLS-2 */
	if (session_is_secure(session))
		return &refusal_tls_active;		/* TLS-6 */
	if (session->listener->tls == LISTENER_TLS_NONE)
		return &refusal_tls_disabled;		/* TLS-4 */
	if (session->transaction != NULL)
		return &refusal_tls_transaction;	/* TLS-7 */
	if (tls_server_is_empty(session->reception->tls))
		return &refusal_tls_unavailable;	/* TLS-3 */
	return NULL;
}

enum verb_result verb_starttls(struct session *session, char *argument)
{
	const struct refusal *refusal = find_refusal(session, argument);

	if (refusal != NULL) {
		reply_refuse(session, refusal);
		return VERB_DONE;
	}
	reply(session, 220, "2.0.0", "ready for TLS");
	if (session->state == SESSION_CLOSED)
		return VERB_DONE;
	session_enter(session, SESSION_TLS);
	stream_secure_server(session->stream, session->reception->tls);
	return VERB_DONE;
}
