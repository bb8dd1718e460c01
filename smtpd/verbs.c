/* SPDX-License-Identifier: ISC */
/*
 * Finds the verb, checks what its flags ask for, calls its handler.
 */
#include "smtpd/verbs.h"

#include <stddef.h>
#include <string.h>
#include <strings.h>

#include "base/buf.h"
#include "base/stream.h"
#include "conf/conf.h"
#include "smtpd/refusal.h"
#include "smtpd/reply.h"
#include "smtpd/rules.h"
#include "smtpd/session.h"

/* So many commands that bring no mail are free per message. */
enum { CHATTER_FREE = 100 };

/* What STARTTLS is refused with has its own code (TLS-27). RFC 3207 4 lets
 * NOOP, EHLO, STARTTLS and QUIT through before TLS, not HELO or RSET. */
static const struct verb verbs[] = {
	{ "MAIL", verb_mail, VERB_AFTER_HELLO | VERB_KNOWN_CLIENT |
	    VERB_UTF8 },
	{ "RCPT", verb_rcpt, VERB_AFTER_HELLO | VERB_KNOWN_CLIENT |
	    VERB_AFTER_MAIL | VERB_UTF8 },
	{ "DATA", verb_data, VERB_AFTER_HELLO | VERB_KNOWN_CLIENT |
	    VERB_AFTER_MAIL | VERB_LAST | VERB_NO_ARGUMENT },
	{ "EHLO", verb_ehlo, VERB_BEFORE_TLS | VERB_LAST | VERB_CHATTER |
	    VERB_NOT_LMTP },
	{ "LHLO", verb_ehlo, VERB_BEFORE_TLS | VERB_LAST | VERB_CHATTER |
	    VERB_LMTP },
	{ "AUTH", verb_auth, VERB_AFTER_HELLO | VERB_CHATTER |
	    VERB_NOT_LMTP },
	{ "QUIT", verb_quit, VERB_BEFORE_TLS | VERB_NO_ARGUMENT },
	{ "STARTTLS", verb_starttls, VERB_BEFORE_TLS | VERB_LAST |
	    VERB_CHATTER },
	{ "BDAT", verb_bdat, VERB_BEFORE_TLS | VERB_OWN_CHECKS },
	{ "HELO", verb_helo, VERB_LAST | VERB_CHATTER | VERB_NOT_LMTP },
	{ "RSET", verb_rset, VERB_NO_ARGUMENT | VERB_CHATTER },
	{ "NOOP", verb_noop, VERB_BEFORE_TLS | VERB_CHATTER },
	{ "VRFY", verb_vrfy, VERB_CHATTER | VERB_KNOWN_CLIENT | VERB_UTF8 },
	{ "HELP", verb_help, VERB_CHATTER },
	/* known to the standards, not offered (SMTP-37) */
	{ "EXPN", verb_not_implemented, 0 },
	{ "ETRN", verb_not_implemented, 0 },
	{ "ATRN", verb_not_implemented, 0 },
	{ "TURN", verb_not_implemented, 0 },
	{ "SEND", verb_not_implemented, 0 },
	{ "SOML", verb_not_implemented, 0 },
	{ "SAML", verb_not_implemented, 0 },
	/* a web browser that was led here */
	{ "GET", verb_http, VERB_BEFORE_TLS },
	{ "POST", verb_http, VERB_BEFORE_TLS },
	{ "PUT", verb_http, VERB_BEFORE_TLS },
	{ "HEAD", verb_http, VERB_BEFORE_TLS },
	{ "CONNECT", verb_http, VERB_BEFORE_TLS },
	{ "OPTIONS", verb_http, VERB_BEFORE_TLS },
	{ "DELETE", verb_http, VERB_BEFORE_TLS },
	{ "PATCH", verb_http, VERB_BEFORE_TLS },
	{ "TRACE", verb_http, VERB_BEFORE_TLS },
	{ "PRI", verb_http, VERB_BEFORE_TLS },
};

const struct verb *verb_find(const char *name)
{
	for (size_t i = 0; i < sizeof(verbs) / sizeof(verbs[0]); i++)
		if (strcasecmp(verbs[i].name, name) == 0)
			return &verbs[i];
	return NULL;
}

/* By the listener for everybody, or by the client's network (TLS-17). */
static bool must_use_tls(const struct session *session)
{
	return session->listener->tls == LISTENER_TLS_REQUIRE ||
	    conf_networks_contain(&session->rules->conf->tls_required_from,
	    &session->address);
}

const struct refusal *verb_refusal(const struct session *session,
    unsigned flags, const char *argument)
{
	if (!(flags & VERB_BEFORE_TLS) && !session_is_secure(session) &&
	    must_use_tls(session))
		return &refusal_tls_first;
	if ((flags & VERB_NO_ARGUMENT) && *argument != '\0')
		return &refusal_no_argument;
	if ((flags & VERB_AFTER_HELLO) && session->hello[0] == '\0')
		return session_speaks_lmtp(session) ? &refusal_lhlo_first :
		    &refusal_hello_first;
	if ((flags & VERB_KNOWN_CLIENT) &&
	    session->listener->service == SERVICE_SUBMISSION &&
	    !session_is_known(session))
		return &refusal_unknown_client;
	if ((flags & VERB_AFTER_MAIL) && session->transaction == NULL)
		return &refusal_mail_first;
	return NULL;
}

static void refuse_residual(struct session *session)
{
	bool starttls = session->verb->handler == verb_starttls;

	session_end(session, starttls ? &refusal_starttls_residual :
	    &refusal_pipelined, starttls ? "injection" : "pipelining");
}

static bool is_spoken(const struct session *session, const struct verb *verb)
{
	return !(verb->flags & (session_speaks_lmtp(session) ? VERB_NOT_LMTP :
	    VERB_LMTP));
}

/* Takes the verb off the line. */
static char *split(char *line)
{
	char *argument = line + strcspn(line, " ");

	if (*argument == '\0')
		return argument;
	*argument++ = '\0';
	return argument + strspn(argument, " ");
}

bool verb_takes_utf8(const struct session *session, const char *line)
{
	size_t length = strcspn(line, " ");
	const struct verb *verb;
	char name[16];

	if (!session->rules->conf->smtputf8 || length >= sizeof(name))
		return false;
	memcpy(name, line, length);
	name[length] = '\0';
	verb = verb_find(name);
	return verb != NULL && verb->flags & VERB_UTF8;
}

enum verb_result verb_run(struct session *session, char *line)
{
	const struct verb *verb;
	const struct refusal *refusal;
	char *argument = split(line);

	verb = verb_find(line);
	if (verb != NULL && !is_spoken(session, verb))
		verb = NULL;
	session->verb = verb;
	if (verb == NULL) {
		refusal = verb_refusal(session, 0, argument);
		reply_refuse(session, refusal != NULL ? refusal :
		    &refusal_unknown);
		return VERB_DONE;
	}
	if ((verb->flags & VERB_LAST) &&
	    buf_length(stream_input(session->stream)) > 0) {
		refuse_residual(session);
		return VERB_DONE;
	}
	if ((verb->flags & VERB_CHATTER) && ++session->chatter > CHATTER_FREE &&
	    reply_count_error(session))
		return VERB_DONE;
	if (!(verb->flags & VERB_OWN_CHECKS)) {
		refusal = verb_refusal(session, verb->flags, argument);
		if (refusal != NULL) {
			reply_refuse(session, refusal);
			return VERB_DONE;
		}
	}
	return verb->handler(session, argument);
}
