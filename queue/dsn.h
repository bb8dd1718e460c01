/* SPDX-License-Identifier: ISC */
/*
 * The text of a delivery status notification (RFC 3461 6, RFC 3464, RFC 6522):
 * a part in plain words, the part for programs, and the original or its
 * headers. Pure: facts in, bytes out; who gets it and whether one is sent at
 * all is decided in bounce.c. Everything is borrowed.
 */
#ifndef POSTERN_QUEUE_DSN_H
#define POSTERN_QUEUE_DSN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct buf;
struct envelope_recipient;
struct status;

enum { DSN_ORIGINAL_MAX = 256 << 10, DSN_HEADERS_MAX = 64 << 10,
    DSN_MAX = 2 << 20 };

struct dsn_recipient {
	const struct envelope_recipient	*who;
	const struct status		*status;
	int64_t				 tried_at;	/* wall, ms; 0: never */
};

struct dsn {
	const char		*hostname;
	const char		*domain;	/* of From; null: hostname */
	const char		*to;		/* who gets it */
	uint64_t		 id;		/* of the notification */
	int64_t			 now;		/* wall, ms */
	/* the original is from the null sender: this is for the postmaster */
	bool			 is_double;
	/* the original asks for REQUIRETLS: so does this, and it holds no more
	 * of it than its header (RFC 8689 5) */
	bool			 requires_tls;
	/* the original came with SMTPUTF8, so its sender may be told with the
	 * types of RFC 6533; still 7-bit text on the way, for who knows who
	 * hands it on (SMTP-143) */
	bool			 utf8;

	uint64_t		 original_id;
	int64_t			 arrival;
	const char		*envid;		/* xtext, or null */
	const struct dsn_recipient *recipients;
	size_t			 recipient_count;
	/* wall, ms: a delay is told of, and when they are given up; else 0 */
	int64_t			 retry_until;
	/* Message or header section, prefix included; null: it is damaged. */
	const char		*original;
	size_t			 original_length;
	bool			 original_is_whole;
};

/* 0, or -1 when out's ceiling was passed. */
int	 dsn_write(struct buf *out, const struct dsn *dsn);
/* Reads xtext (RFC 3461 4) into out, without control characters. */
void	 dsn_read_xtext(const char *text, char *out, size_t size);

#endif
