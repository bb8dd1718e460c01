/* SPDX-License-Identifier: ISC */
/*
 * DMARC (RFC 7489, and the tree walk of RFC 9989 in place of a list of public
 * suffixes): a pure machine over TXT answers, like spf.h.
 */
#ifndef POSTERN_AUTHENTIC_DMARC_H
#define POSTERN_AUTHENTIC_DMARC_H

#include <stdbool.h>
#include <stddef.h>

#include "authentic/lookup.h"
#include "authentic/proof.h"

struct arena;
struct fields;

enum dmarc_wish { DMARC_WISH_NONE, DMARC_WISH_QUARANTINE, DMARC_WISH_REJECT };

/* Domains are lower case A-labels. */
struct dmarc_question {
	const char	*author;	/* From's domain */
	bool		 spf_pass;
	const char	*spf_domain;	/* of MAIL FROM (or HELO for <>) */
	/* d= of signatures that passed */
	const char *const *dkim_domains;
	size_t		 dkim_count;
	bool		 temporary;	/* some SPF or DKIM was temperror */
};

enum {
	DMARC_DKIM_MAX = 8,	/* more are not looked at */
	DMARC_WALK_MAX = 8,	/* AUTHN-68 */
	/* No question needs more lookups: a walk from each domain, and does the
	 * author's domain exist? */
	DMARC_LOOKUPS_MAX = DMARC_WALK_MAX * (2 + DMARC_DKIM_MAX) + 3,
	DMARC_MEMORY_MAX = 64 << 10	/* that a step takes from the arena */
};

struct dmarc_step {
	bool			 done;
	enum lookup_type	 type;	/* LOOKUP_TXT; or A/AAAA/MX to see
					 * whether the author domain exists
					 * (np=) */
	const char		*name;

	/* done: pass, fail, none (no record), temperror, permerror (a record
	 * that says no policy; has_record is false then) */
	enum proof		 proof;
	bool			 has_record;
	enum dmarc_wish		 wish;	/* after sp, np, t; what to do on fail */
	const char		*record_domain;	/* where it was found; "" */
	const char		*organization;	/* of author; "" */
	const char		*reason;	/* for people; never null */
};

void	 dmarc_step(const struct dmarc_question *question,
	    const struct lookup_answers *answers, struct arena *arena,
	    struct dmarc_step *step);
const char	*dmarc_wish_name(enum dmarc_wish wish);
/* The one domain of the From field, lower case A-labels, from raw header
 * fields; null when there is not exactly one From with exactly one domain
 * (AUTHN-65), or the header was too large. */
char	*dmarc_author_domain(const struct fields *fields, struct arena *arena);

#endif
