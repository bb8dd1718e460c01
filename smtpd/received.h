/* SPDX-License-Identifier: ISC */
/*
 * Our Received field (RFC 5321 4.4, RFC 8314 4.3), folded, CRLF-ended. Every
 * value that came from outside is made harmless here: what is not printable
 * ASCII, and what could end a comment, becomes "?".
 */
#ifndef POSTERN_SMTPD_RECEIVED_H
#define POSTERN_SMTPD_RECEIVED_H

#include <stdbool.h>
#include <stdint.h>

struct buf;

struct received {
	const char	*hello;		/* what EHLO or HELO said */
	const char	*name;		/* reverse name, or "unknown" */
	const char	*literal;	/* "[192.0.2.1]", "[IPv6:2001:db8::1]" */
	const char	*hostname;	/* ours */
	/* The user behind a Unix socket; -1 for others: stands in the place of
	 * name and literal. Where programs of this machine submit (is_local)
	 * nobody cares what they call themselves. */
	int64_t		 uid;
	bool		 is_local;
	const char	*protocol;	/* "ESMTPS": registered by RFC 3848 */
	uint64_t	 id;		/* of the queue */
	const char	*recipient;	/* the only one, or null (SMTP-73) */
	const char	*tls_version;	/* null: no TLS */
	const char	*tls_cipher;
	const char	*tls_group;	/* null or empty: not known */
	int64_t		 wall;
};

/* Adds the field to out. -1 if out is full. */
int	 received_format(struct buf *out, const struct received *received);

#endif
