/* SPDX-License-Identifier: ISC */
/*
 * The Authentication-Results field (RFC 8601): ours is made here, and fields
 * from outside that claim to be ours are recognised (AUTHN-32 to 40).
 */
#ifndef POSTERN_AUTHENTIC_RESULTS_H
#define POSTERN_AUTHENTIC_RESULTS_H

#include <stdbool.h>
#include <stddef.h>

#include "authentic/dkim_verify.h"
#include "authentic/proof.h"

struct buf;
struct field;

struct results {
	const char	*name;		/* our authserv-id */
	bool		 spf_done;
	enum proof	 spf;
	bool		 spf_of_hello;	/* smtp.helo, not smtp.mailfrom */
	const char	*spf_domain;
	const struct dkim_result *const *dkim;
	size_t		 dkim_count;
	bool		 dkim_done;	/* and none found: dkim=none */
	bool		 dmarc_done;
	enum proof	 dmarc;
	const char	*dmarc_domain;	/* From's */
	const char	*dmarc_policy;	/* "none", "quarantine", "reject", or ""
					 * when there is no record */
	const char	*user;		/* auth=pass smtp.auth; null */
	bool		 iprev_done;
	enum proof	 iprev;
	const char	*client;	/* address as text, for iprev */
	bool		 utf8;		/* the message is SMTPUTF8 */
};

/* What a field has at most: of many signatures with long names only results,
 * domains and the letters that tell them apart are written. */
enum { RESULTS_BYTES_MAX = 6 << 10 };

/* "Authentication-Results: ...\r\n", folded, no line over 998; values from
 * outside quoted. Nothing done: "NAME; none". -1 at out's ceiling, or when
 * NAME cannot be one. */
int	 results_print(const struct results *results, struct buf *out);
/* Is it an Authentication-Results field with our name (any case, comments,
 * folding, quoted), or one that cannot be read or has another version? Those
 * are taken out of mail from outside. */
bool	 results_field_is_ours(const struct field *field, const char *name);

#endif
