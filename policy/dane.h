/* SPDX-License-Identifier: ISC */
/*
 * TLSA records (RFC 6698, 7671, 7672): what one says, and whether it is of any
 * use to SMTP. Matching a certificate with them is OpenSSL's work, behind
 * base/tls.h.
 */
#ifndef POSTERN_POLICY_DANE_H
#define POSTERN_POLICY_DANE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { DANE_USAGE_TA = 2, DANE_USAGE_EE = 3, DANE_TEXT_MAX = 96 };

struct dane_record {
	/* The first three octets of the RDATA; whole says whether there were
	 * that many. */
	uint8_t		 usage;
	uint8_t		 selector;
	uint8_t		 matching;
	bool		 whole;
	const uint8_t	*data;		/* in the arena of who read it */
	size_t		 length;
};

/* Any RDATA is a record, however short; nothing is copied. */
void	 dane_read(const uint8_t *rdata, size_t length,
	    struct dane_record *record);
/*
 * Usable: usage 2 or 3, selector 0 or 1, matching type 0, 1 or 2, data of the
 * right length, or DER that OpenSSL can read (DANE-70 to DANE-74). Otherwise
 * why, as part of a sentence ("usage 1 is not for SMTP"), when why is not null.
 */
bool	 dane_is_usable(const struct dane_record *record, char *why,
	    size_t size);
/* "3 1 1 0123456789ab..."; long data is cut with "...". */
void	 dane_format(const struct dane_record *record, char *out, size_t size);

#endif
