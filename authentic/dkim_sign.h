/* SPDX-License-Identifier: ISC */
/*
 * Signing (RFC 6376 5, RFC 8463): body bytes pass through, then the header is
 * signed by each key. relaxed/relaxed, no l=, oversigned (AUTHN-1 to 12).
 */
#ifndef POSTERN_AUTHENTIC_DKIM_SIGN_H
#define POSTERN_AUTHENTIC_DKIM_SIGN_H

#include <stddef.h>
#include <stdint.h>

struct buf;
struct dkim_key;
struct dkim_signer;
struct fields;

/* What two fields can have at most; some 1500 bytes are usual. */
enum { DKIM_SIGNED_MAX = 8 << 10 };

struct dkim_signer	*dkim_signer_new(void);
void		 dkim_signer_free(struct dkim_signer *signer);
/* Bytes behind the empty line, CRLF lines, in any pieces. */
void		 dkim_signer_body(struct dkim_signer *signer,
		    const char *data, size_t length);
/*
 * Adds one DKIM-Signature field for each key (at most one of an algorithm; null
 * ones are passed over), the first key's on top. extra is a block of whole
 * fields that will stand above the content's header and be signed as part of it
 * (Date, Message-ID we added; null: none). now is wall ms. -1 and nothing added
 * when the library fails, there is no From, the header is too large, or out is
 * full. Call once.
 */
int		 dkim_signer_finish(struct dkim_signer *signer,
		    const struct fields *fields, const char *extra,
		    const struct dkim_key *const *keys, size_t count,
		    int64_t now, struct buf *out);

#endif
