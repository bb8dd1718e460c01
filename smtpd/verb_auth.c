/* SPDX-License-Identifier: ISC */
/*
 * AUTH (RFC 4954 4): whether a login may begin now. In clear it never does:
 * nothing that came with the command is looked at (TLS-80, TLS-82).
 */
#include <stddef.h>
#include <string.h>

#include "conf/conf.h"
#include "smtpd/login.h"
#include "smtpd/refusal.h"
#include "smtpd/reply.h"
#include "smtpd/session.h"
#include "smtpd/verbs.h"

static const struct refusal *find_refusal(const struct session *session)
{
	if (!session->listener->auth || !session->extended)
		return &refusal_auth_disabled;
	if (!session_is_secure(session))
		return session_offers_tls(session) ? &refusal_tls_first :
		    &refusal_auth_disabled;
	if (session->logged_in)
		return &refusal_auth_done;		/* SMTP-147 */
	if (session->transaction != NULL)
		return &refusal_auth_transaction;	/* SMTP-147 */
	return NULL;
}

/* Takes the mechanism off; what is left is one word, or null: none. */
static const struct refusal *split(char *argument, const char **initial)
{
	size_t length = strcspn(argument, " ");
	char *rest = argument + length;

	*initial = NULL;
	if (length == 0 || strchr(rest + strspn(rest, " "), ' ') != NULL)
		return &refusal_argument;
	if (*rest != '\0') {
		*rest++ = '\0';
		*initial = rest + strspn(rest, " ");
	}
	return length > LOGIN_WORD_MAX ? &refusal_login_mechanism : NULL;
}

enum verb_result verb_auth(struct session *session, char *argument)
{
	const struct refusal *refusal = find_refusal(session);
	const char *initial;

	if (refusal == NULL)
		refusal = split(argument, &initial);
	if (refusal != NULL) {
		reply_refuse(session, refusal);
		return VERB_DONE;
	}
	return login_begin(session, argument, initial) ? VERB_WAITING :
	    VERB_DONE;
}
