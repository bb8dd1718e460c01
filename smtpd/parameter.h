/* SPDX-License-Identifier: ISC */
/*
 * The parameters behind the address of MAIL and RCPT (RFC 5321 4.1.2,
 * RFC 1870, RFC 6152, RFC 3461, RFC 6531, RFC 8689). Each may be given once; one
 * that is not known is refused with 555. The text is taken apart in place;
 * results point into it.
 */
#ifndef POSTERN_SMTPD_PARAMETER_H
#define POSTERN_SMTPD_PARAMETER_H

#include <stdbool.h>
#include <stdint.h>

struct refusal;

enum { PARAMETER_AUTH_MAX = 500, PARAMETER_ENVID_MAX = 100, PARAMETER_ORCPT_MAX = 500 };

struct mail_parameters {
	bool		 has_size;
	uint64_t	 size;		/* UINT64_MAX when larger (SMTP-94) */
	unsigned	 flags;		/* enum envelope_flag */
	const char	*envid;		/* xtext, or null */
};

struct recipient_parameters {
	unsigned	 notify;	/* enum notify_flag; 0: not given */
	/* "type;xtext", or null; with type utf-8 a form of RFC 6533 3. */
	const char	*original;
};

/* text is what follows ">": empty, or a space and parameters. utf8: MAIL said
 * SMTPUTF8. Null when all is well. */
const struct refusal	*parameters_of_mail(struct mail_parameters *mail,
			    char *text);
const struct refusal	*parameters_of_recipient(
			    struct recipient_parameters *recipient, char *text,
			    bool utf8);

#endif
