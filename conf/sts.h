/* SPDX-License-Identifier: ISC */
/*
 * Our own MTA-STS policies (RFC 8461 3): the text that a domain's section asks
 * for, its id, and which text is in force now. Pure: a function of the
 * configuration and of the list of approvals, used alike by the process that
 * serves policies and by the commands that say what to publish.
 *
 * mode = enforce is in force only once `postern sts publish` has looked at the
 * outside and approved this very text. Until then an earlier approved text
 * stays in force, or, where there is none, the same text in mode testing.
 */
#ifndef POSTERN_CONF_STS_H
#define POSTERN_CONF_STS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "conf/conf.h"

enum { CONF_STS_ID_MAX = 32,
    CONF_STS_MX_MAX = 128,	/* no reader takes more; ours neither */
    /* A policy that is being withdrawn is kept for a day (RFC 8461 8.3). */
    CONF_STS_WITHDRAWN_MAX_AGE = 86400,
    CONF_STS_APPROVALS_BYTES = 4 << 20 };

/* --- texts --- */

/* The policy of a domain in that mode; lines end in CRLF. Owned by the
 * caller. */
char	*conf_sts_text(const struct conf_domain *domain,
	    enum conf_sts_mode mode);
/* Of a text; changes with it and with nothing else. */
void	 conf_sts_id(const char *text, char id[CONF_STS_ID_MAX + 1]);
/* What stands at _mta-sts.DOMAIN for an id: "v=STSv1; id=...;". Owned by the
 * caller. */
char	*conf_sts_record(const char *id);
/* "enforce" and so on, as a policy has it; STS_PUBLISH_WITHDRAW is "none". */
const char	*conf_sts_mode_name(enum conf_sts_mode mode);
/* "mx.example.org", or "*.example.org" for names one label below it. */
bool	 conf_sts_is_pattern(const char *text);
/* Does the policy of the domain name this host (RFC 8461 4.1)? */
bool	 conf_sts_names(const struct conf_domain *domain, const char *host);

/* --- approvals --- */

/*
 * One line each in sts-approvals-file, words with a space between:
 *
 *	DOMAIN MODE WHEN LONGEST ID MAX-AGE MX...
 *
 * MODE is enforce, or none for one that was withdrawn; WHEN is a time in
 * seconds, LONGEST the longest max_age approved so far.
 */
struct sts_approval {
	char			*domain;	/* all owned */
	enum conf_sts_mode	 mode;		/* ENFORCE or WITHDRAW */
	int64_t			 when;
	int64_t			 longest;
	char			 id[CONF_STS_ID_MAX + 1];
	int64_t			 max_age;
	struct conf_texts	 mx;
};

struct sts_approvals {
	struct sts_approval	*items;
	size_t			 count;
};

void	 sts_approvals_init(struct sts_approvals *approvals);
void	 sts_approvals_release(struct sts_approvals *approvals);
/* Adds what a file says; null is an empty one. The number of lines that are
 * none, or whose id is not that of their text: they count for nothing. */
size_t	 sts_approvals_read(struct sts_approvals *approvals,
	    const char *text);
/* Null if there is none. */
const struct sts_approval	*sts_approvals_find(
				    const struct sts_approvals *approvals,
				    const char *domain);
/* Approves what the section asks for now, enforce or withdraw. */
void	 sts_approvals_set(struct sts_approvals *approvals,
	    const struct conf_domain *domain, int64_t when);
/* The file; owned by the caller. */
char	*sts_approvals_print(const struct sts_approvals *approvals);

/* --- in force --- */

enum sts_force {
	STS_FORCE_NOTHING,	/* the section asks for no policy */
	STS_FORCE_ASKED,	/* what it asks for */
	STS_FORCE_EARLIER,	/* enforce, but an earlier text */
	STS_FORCE_TESTING	/* its text, but in mode testing */
};

/* Null with STS_FORCE_NOTHING; else owned by the caller. */
char	*conf_sts_in_force(const struct conf_domain *domain,
	    const struct sts_approvals *approvals, enum sts_force *how);

#endif
