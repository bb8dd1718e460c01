/* SPDX-License-Identifier: ISC */
/*
 * What a server offered in its EHLO reply. Nothing else may be used
 * (SMTP-158), and what was offered in clear is void once TLS is on (TLS-32).
 */
#ifndef POSTERN_DELIVERY_CAPABILITY_H
#define POSTERN_DELIVERY_CAPABILITY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct answer;

enum { CAPABILITY_AUTH_MAX = 400 };

struct capability {
	bool		 starttls;
	/* A word stands where STARTTLS may have been: XXXXXXXA, STARTTLSX
	 * (TLS-56). Somebody in between may have changed it. */
	bool		 starttls_mangled;
	bool		 pipelining;
	bool		 chunking;	/* RFC 3030: BDAT */
	bool		 eight_bit;	/* 8BITMIME */
	bool		 utf8;		/* SMTPUTF8 */
	bool		 dsn;
	bool		 requiretls;	/* RFC 8689 2; worth nothing in clear */
	/* Mechanisms behind AUTH (RFC 4954 3), blanks between; whole words, as
	 * many as there is room for. Worth nothing in clear. */
	char		 auth[CAPABILITY_AUTH_MAX];
	bool		 size;		/* MAIL may carry SIZE= */
	uint64_t	 size_limit;	/* 0: none said */
	/* LIMITS (RFC 9422): what it takes on a connection, and in one message;
	 * 0: not said. RCPTDOMAINMAX needs no heed: the recipients of a
	 * message of ours are in one domain, and it is 1 at least. */
	unsigned	 mail_max;	/* MAILMAX */
	unsigned	 recipient_max;	/* RCPTMAX */
};

/* From a 2xx reply to EHLO. */
void	 capability_read(struct capability *capability, struct answer *reply);
/* The keywords of such a reply, in order, with blanks between; whole words, as
 * many as there is room for. */
void	 capability_words(struct answer *reply, char *out, size_t size);
/* After HELO, and at STARTTLS: nothing is offered. */
void	 capability_reset(struct capability *capability);

#endif
