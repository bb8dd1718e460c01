/* SPDX-License-Identifier: ISC */
/*
 * Who a stranger's message is really from: SPF at MAIL, DKIM and DMARC at the
 * end of the content, and the Authentication-Results field that says so. By the
 * options spf, dkim-verify and dmarc, at the top and of recipients' domains.
 */
#ifndef POSTERN_SMTPD_VERIFICATION_H
#define POSTERN_SMTPD_VERIFICATION_H

#include <stdbool.h>
#include <stddef.h>

#include "smtpd/checks.h"

/* Content begins: whether this wants to see it. */
bool	 verification_begin(struct session *session);
/* transaction->fields has ended. */
void	 verification_header(struct session *session);
void	 verification_body(struct session *session, const char *data,
	    size_t length);
/* The RCPT under way is accepted. */
void	 verification_accepted(struct session *session);
/* Cancels what is being asked; none is allowed. */
void	 verification_free(struct session *session);

/* What was found, as words for the log; null: not looked for. dkim is pass if
 * one signature is, else what became of the first one. */
struct verification_words {
	const char	*spf;
	const char	*dkim;
	const char	*dmarc;
};
void	 verification_tell(const struct session *session,
	    struct verification_words *words);

/* Rows of the table: MAIL (starts SPF, does not wait), KNOWN_RECIPIENT (SPF
 * where the recipient's domain enforces it), CONTENT (DKIM, DMARC, the field,
 * forged fields cut). */
enum check_answer	 verification_mail(struct session *session);
enum check_answer	 verification_recipient(struct session *session);
enum check_answer	 verification_content(struct session *session);

#endif
