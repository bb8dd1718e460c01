/* SPDX-License-Identifier: ISC */
/*
 * What the files of a mail host share: the host as it was read, and one
 * connection to it. mail_host_reply.c says and does, mail_host_tls.c shakes
 * hands, mail_host_message.c reads mail, mail_host.c knows the verbs.
 */
#ifndef POSTERN_TOOLS_LAB_MAIL_HOST_PRIVATE_H
#define POSTERN_TOOLS_LAB_MAIL_HOST_PRIVATE_H

#include <jansson.h>
#include <openssl/ssl.h>
#include <stdbool.h>
#include <stddef.h>

#include "tools/lab/actors_link.h"
#include "tools/lab/mail_host.h"
#include "tools/lab/mail_host_action.h"

enum { LAB_MESSAGE_MAX = 10 << 20 };

struct lab_mail_host {
	const struct lab_host	*host;		/* outlives us */
	enum lab_part		 part;
	struct lab_action	*actions;	/* owned */
	size_t			 action_count;
	SSL_CTX			*context;	/* owned */
	SSL_CTX			**by_name;	/* owned; one for each sni */
};

/* A mail transaction; sender is null outside one. */
struct lab_transaction {
	char		*sender;		/* owned */
	bool		 requiretls;		/* MAIL said so */
	json_t		*recipients;		/* owned */
};

enum { LAB_STATUSES_MAX = 8 };

/* What is read of a message. */
struct lab_content {
	char	 marker[256];
	/* of a notification: codes of its fields Status, and whether the text
	 * of the message is in it */
	char	 statuses[LAB_STATUSES_MAX][16];
	size_t	 status_count;
	bool	 has_text;
	size_t	 length;
	bool	 in_body;
	bool	 at_start;	/* the line before ended in CRLF */
};

struct lab_session {
	const struct lab_mail_host *host;
	const char		*name;		/* of the actor */
	unsigned		 visit;
	struct lab_link		 link;
	struct lab_line		 line;
	struct lab_transaction	 transaction;
	bool			 greeted;	/* EHLO or HELO was accepted */
	bool			 offers_requiretls;	/* the last EHLO said so */
	bool			 over;
	const char		*cause;		/* the action that ended it */
	/* A message that waits for its reply: it is taken with the last byte
	 * of a reply that accepts it. Borrowed; null otherwise. */
	const struct lab_content *arrived;
};

/* --- mail_host_reply.c --- */

/* The action that rules at this stage now, or null. */
const struct lab_action	*lab_session_action(const struct lab_session *session,
			    enum lab_stage stage);
/* A reply that no section can change; "|" between lines. */
void			 lab_session_say(struct lab_session *session,
			    const char *reply);
/* What an action is; usual is the true reply. The code of what was said, and
 * 0 when that was no reply or the connection is over. */
int			 lab_session_perform(struct lab_session *session,
			    const struct lab_action *action,
			    const char *usual);
/* The action of a stage, or else the true reply; the same. */
int			 lab_session_answer(struct lab_session *session,
			    enum lab_stage stage, const char *usual);

/* --- mail_host_tls.c --- */

/* Makes the contexts of a host; -1 with a sentence in error. */
int			 lab_mail_host_prepare(struct lab_mail_host *host,
			    const struct lab_identities *identities,
			    char *error, size_t size);
void			 lab_session_start_tls(struct lab_session *session);

/* --- mail_host_message.c --- */

/* Does MAIL ask for REQUIRETLS? */
bool			 lab_mail_requires_tls(const char *arguments);
/* The text between the angle brackets of "FROM:<...> PARAMETERS"; owned by the
 * caller; null when it is not like this. */
char			*lab_mail_path(const char *arguments,
			    const char *keyword);
void			 lab_transaction_end(
			    struct lab_transaction *transaction);
/* The event of the message that arrived. */
void			 lab_session_tell_message(
			    const struct lab_session *session);
/* Behind a 354. */
void			 lab_session_take_message(struct lab_session *session);

#endif
