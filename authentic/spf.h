/* SPDX-License-Identifier: ISC */
/*
 * SPF (RFC 7208): check_host() as a pure machine. It runs from the start at
 * each step over the answers so far, so the order of lookups is a function of
 * the answers and tests name it. All limits of 4.6.4 are kept here; the time
 * budget is the driver's.
 */
#ifndef POSTERN_AUTHENTIC_SPF_H
#define POSTERN_AUTHENTIC_SPF_H

#include <stdbool.h>
#include <stdint.h>

#include "authentic/lookup.h"
#include "authentic/proof.h"

struct arena;

struct spf_question {
	struct endpoint	 client;	/* IPv4-mapped IPv6 counts as IPv4 */
	const char	*domain;	/* <domain>: of MAIL FROM, or HELO; U-labels
					 * are made A-labels */
	const char	*sender;	/* <sender>: local@domain */
	const char	*hello;		/* %{h} */
	const char	*receiver;	/* %{r}: our name */
	int64_t		 now;		/* %{t}: wall, s */
	bool		 explain;	/* look up exp= on fail */
};

enum {
	SPF_EXPLANATION_MAX = 256,
	SPF_TERMS_MAX = 10,	/* AUTHN-50 */
	SPF_VOIDS_MAX = 2,	/* AUTHN-52 */
	SPF_MX_MAX = 10,	/* AUTHN-51 */
	SPF_PTR_MAX = 10,
	SPF_LOOKUPS_MAX = 128,	/* no question needs more, whatever is answered */
	SPF_MEMORY_MAX = 128 << 10	/* that a step takes from the arena */
};

/* What is in the arena is valid until it is reset: a driver may do that
 * before each step. */
struct spf_step {
	bool			 done;
	enum lookup_type	 type;	/* not done: the lookup that it needs */
	const char		*name;	/* in the arena; lower case, no last dot */

	/* done */
	enum proof		 proof;
	const char		*mechanism;	/* that decided, as written, or
						 * why an error; never null */
	const char		*explanation;	/* ASCII, printable; "" */
	unsigned		 terms;		/* DNS terms, void lookups so */
	unsigned		 voids;		/* far */
};

void	 spf_step(const struct spf_question *question,
	    const struct lookup_answers *answers, struct arena *arena,
	    struct spf_step *step);

#endif
