/* SPDX-License-Identifier: ISC */
/*
 * Our own certificate chains as PEM text (leaf first), looked at in order to
 * say what to publish: which names they cover, what TLSA records would hold,
 * and whether others would believe them. Nothing is kept; every call reads the
 * text anew. base/tls.h's tls_certificate_read() tells dates and names.
 */
#ifndef POSTERN_BASE_TLS_CERTIFICATE_H
#define POSTERN_BASE_TLS_CERTIFICATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/digest.h"
#include "base/tls.h"

/* How many certificates there are; 0 when the text is damaged, too. */
size_t	 tls_certificate_count(const char *pem);
/* Is there a DNS name in the leaf that stands for host? A wildcard is a whole
 * first label. Common names are not looked at. */
bool	 tls_certificate_covers(const char *pem, const char *host);
/* SHA-256 of the certificate at that depth (0: the leaf), or of its public
 * key; -1 when there is none. */
int	 tls_certificate_digest(const char *pem, size_t depth, bool key,
	    uint8_t digest[DIGEST_BYTES]);
/* May the certificate at that depth sign others? */
bool	 tls_certificate_is_authority(const char *pem, size_t depth);
/* Is this what the record speaks of: usage 3 the leaf, usage 2 one of the
 * others (RFC 7671 5.1, 5.2)? */
bool	 tls_certificate_matches(const char *pem,
	    const struct tls_tlsa *record);
/* What a sender would find that trusts those authorities and asked for host:
 * 0, or -1 with a sentence part. */
int	 tls_certificate_verify(const char *pem, const char *trust_pem,
	    const char *host, char *why, size_t size);

#endif
