/* SPDX-License-Identifier: ISC */
/*
 * A mail that a program of this machine gave to sendmail(8): the envelope, and
 * the message with CRLF lines as it goes to the server. It lives in the memory
 * of the user's own process and is bounded by max-message-size.
 */
#ifndef POSTERN_TOOLS_OUTGOING_H
#define POSTERN_TOOLS_OUTGOING_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"
#include "tools/address_list.h"

/* Longest texts of an envelope; RFC 3461 4.4. */
enum { OUTGOING_NOTIFY_MAX = 32, OUTGOING_ENVID_MAX = 100 };

struct outgoing {
	char			*sender;	/* owned; "" is the null sender */
	struct address_list	 recipients;
	bool			 eight_bit;	/* BODY=8BITMIME is needed */
	/* RFC 3461; empty where the program said nothing. */
	char			 notify[OUTGOING_NOTIFY_MAX + 1];
	char			 ret[5];	/* "FULL" or "HDRS" */
	char			 envid[OUTGOING_ENVID_MAX + 1];	/* xtext */
	struct buf		 message;
};

void	 outgoing_init(struct outgoing *outgoing, size_t max_bytes);
void	 outgoing_release(struct outgoing *outgoing);
/* Does an address have bytes above 127 (SMTPUTF8)? */
bool	 outgoing_needs_utf8(const struct outgoing *outgoing);
/* Text as xtext (RFC 3461 4), cut at the size of out. */
void	 outgoing_xtext(const char *text, char *out, size_t size);

#endif
