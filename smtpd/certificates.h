/* SPDX-License-Identifier: ISC */
/*
 * The client certificates that may relay: relay-certificates-file, kept by
 * `postern relay`. A line is
 *
 *	certificate SHA-256-OF-IT NAME
 *	key SHA-256-OF-ITS-SUBJECT-PUBLIC-KEY-INFO NAME
 *
 * with spaces or tabs between; "#" begins a comment, empty lines are none.
 * Digests are hexadecimal, colons between pairs allowed. Names and digests
 * stand there once. Read by smtpd and by the command with the same code; who
 * signed a certificate, and until when, is nowhere asked: it is known or not.
 */
#ifndef POSTERN_SMTPD_CERTIFICATES_H
#define POSTERN_SMTPD_CERTIFICATES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/digest.h"

enum { CERTIFICATES_MAX = 10000, CERTIFICATE_NAME_MAX = 63 };

enum certificate_kind { CERTIFICATE_WHOLE, CERTIFICATE_KEY };

struct certificate_entry {
	enum certificate_kind	 kind;
	uint8_t			 digest[DIGEST_BYTES];
	char			 name[CERTIFICATE_NAME_MAX + 1];
};

struct certificates {
	struct certificate_entry	*entries;	/* owned */
	size_t				 count;
};

void	 certificates_init(struct certificates *list);
void	 certificates_release(struct certificates *list);
/* Into a list that is empty. -1 with "FILE:LINE: sentence" in error, and the
 * list is empty. */
int	 certificates_read(struct certificates *list, const char *file,
	    const char *text, char *error, size_t size);
/* The name under which one of them is listed; null if neither is. */
const char	*certificates_find(const struct certificates *list,
		    const uint8_t *certificate_digest,
		    const uint8_t *key_digest);
/* Null if there is none of that name. */
const struct certificate_entry	*certificates_named(
				    const struct certificates *list,
				    const char *name);
/* 1 to CERTIFICATE_NAME_MAX letters, digits, and ". _ - @". */
bool	 certificate_is_name(const char *text);
/* The line of an entry, with its newline; out holds 192. */
void	 certificate_format(const struct certificate_entry *entry, char *out,
	    size_t size);

#endif
