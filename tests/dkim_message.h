/* SPDX-License-Identifier: ISC */
/*
 * A whole message signed, or verified, for tests: what smtpd does with it as it
 * streams, in pieces of any size.
 */
#ifndef POSTERN_TESTS_DKIM_MESSAGE_H
#define POSTERN_TESTS_DKIM_MESSAGE_H

#include <stddef.h>
#include <stdint.h>

#include "authentic/dkim_verify.h"

struct buf;
struct dkim_keys;

/* What the DNS has; what is not listed is missing. */
struct dkim_message_key {
	const char		*name;
	enum dkim_key_answer	 answer;
	const char		*record;
};

struct dkim_message {
	const char			*text;
	size_t				 length;
	size_t				 piece;	/* bytes at a time; 0: all */
	int64_t				 now;
	const struct dkim_message_key	*keys;	/* ends with a null name */
};

/* A line for each signature: "PROOF d=DOMAIN i=IDENTITY s=SELECTOR a=ALGORITHM
 * b=SIGNATURE REASON", with " testing" behind PROOF. */
void	 dkim_message_verify(const struct dkim_message *message,
	    struct buf *out);
/* The fields of domain's active keys; extra may be null. As
 * dkim_signer_finish(). */
int	 dkim_message_sign(const struct dkim_message *message,
	    const struct dkim_keys *keys, const char *domain,
	    const char *extra, struct buf *out);

#endif
