/* SPDX-License-Identifier: ISC */
/*
 * The Sender Rewriting Scheme, in the form that other implementations have:
 *
 *	SRS0=HHHH=TT=domain=local@ours		made from local@domain
 *	SRS1=HHHH=host==HHHH=TT=...@ours	made from SRS0=...@host
 *
 * HHHH is the beginning of an HMAC-SHA-1 in base64, compared without regard to
 * case (some host on the way may have changed it); TT is the day, in base32,
 * modulo 1024. An address is believed for SRS_DAYS.
 */
#ifndef POSTERN_POLICY_SRS_H
#define POSTERN_POLICY_SRS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/address.h"

enum { SRS_DAYS = 21 };

enum srs_error {
	SRS_OK,
	SRS_MALFORMED,
	SRS_FORGED,		/* none of our secrets made it */
	SRS_EXPIRED,
	SRS_TOO_LONG		/* longer than a local part may be */
};

struct srs;

/* secrets: one a line, the first signs; blank lines and lines that begin with
 * # are passed over. Null if there is none, or one is too short. */
struct srs	*srs_new(const char *domain, const char *secrets,
		    size_t length, char *error, size_t size);
void		 srs_free(struct srs *srs);
const char	*srs_domain(const struct srs *srs);
/* A sentence for people. */
const char	*srs_error_text(enum srs_error error);
/* Does the local part look like one that SRS made? */
bool		 srs_is_rewritten(const char *local);
/* Sender in; out is what we say instead of it. */
enum srs_error	 srs_forward(const struct srs *srs,
		    const struct address *sender, int64_t wall_ms,
		    struct address *out);
/* The way back: whom an address of srs_domain() stands for. */
enum srs_error	 srs_reverse(const struct srs *srs,
		    const struct address *rewritten, int64_t wall_ms,
		    struct address *out);

#endif
