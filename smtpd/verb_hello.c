/* SPDX-License-Identifier: ISC */
/*
 * EHLO and HELO (RFC 5321 4.1.1.1). Both begin anew like RSET (SMTP-47); a
 * refused one changes nothing. The name is taken as it is said, if it could be
 * a name at all: hosts that call themselves badly are not refused for it
 * (SMTP-48), and the characters that would do harm in a header are not there.
 */
#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "conf/conf.h"
#include "smtpd/login.h"
#include "smtpd/refusal.h"
#include "smtpd/reply.h"
#include "smtpd/rules.h"
#include "smtpd/session.h"
#include "smtpd/transaction.h"
#include "smtpd/verbs.h"

enum { MECHANISMS_MAX = 400 };	/* a reply line holds 512 */

static bool is_name(const char *text)
{
	size_t length = strlen(text);

	if (length == 0 || length > SESSION_HELLO_MAX)
		return false;
	for (; *text != '\0'; text++)
		if (!isalnum((unsigned char)*text) &&
		    strchr("._-:[]", *text) == NULL)
			return false;
	return true;
}

static bool take_name(struct session *session, const char *name, bool extended)
{
	if (!is_name(name)) {
		reply_refuse(session, &refusal_argument);
		return false;
	}
	transaction_end(session);
	snprintf(session->hello, sizeof(session->hello), "%s", name);
	session->extended = extended;
	return true;
}

static void answer_extended(struct session *session)
{
	const struct reception *reception = session->reception;
	char mechanisms[MECHANISMS_MAX], line[MECHANISMS_MAX + 16];

	reply_text(session, session_is_secure(session) ?
	    reception->hello_secure : reception->hello);
	login_mechanisms(session, mechanisms, sizeof(mechanisms));
	if (mechanisms[0] != '\0') {	/* TLS-81: never in clear */
		snprintf(line, sizeof(line), "250-AUTH%s\r\n", mechanisms);
		reply_text(session, line);
	}
	reply_text(session, "250 ENHANCEDSTATUSCODES\r\n");
}

/* A refused name is as if it had not been said (SMTP-47). */
static void answer(struct session *session, bool passed)
{
	if (!passed) {
		session->hello[0] = '\0';
		checks_reply(session);
	} else if (session->extended) {
		answer_extended(session);
	} else {
		/* SMTP-46: no list of extensions, no enhanced code. */
		reply(session, 250, "", "%s", session->rules->conf->hostname);
	}
}

static void on_checked(struct session *session, bool passed)
{
	answer(session, passed);
	session_resume(session);
}

static enum verb_result check(struct session *session)
{
	enum check_answer result = checks_run(session, CHECK_HELLO,
	    on_checked);

	if (result == CHECK_WAIT)
		return VERB_WAITING;
	answer(session, result == CHECK_PASS);
	return VERB_DONE;
}

/* LHLO, too (RFC 2033 4.1). */
enum verb_result verb_ehlo(struct session *session, char *argument)
{
	return take_name(session, argument, true) ? check(session) : VERB_DONE;
}

enum verb_result verb_helo(struct session *session, char *argument)
{
	return take_name(session, argument, false) ? check(session) :
	    VERB_DONE;
}
