/* SPDX-License-Identifier: ISC */
/*
 * What our configuration shows to the world, against what is published of it:
 * the certificates of each listener, TLSA records, and all that an MTA-STS
 * policy in mode enforce needs. Results are findings, one sentence each.
 */
#ifndef POSTERN_TOOLS_PUBLISHED_H
#define POSTERN_TOOLS_PUBLISHED_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "conf/conf.h"

struct bundle;
struct outside;
struct sts_approvals;

/* --- findings --- */

enum finding_kind { FINDING_OK, FINDING_NOTE, FINDING_PROBLEM };

struct findings {
	json_t		*list;		/* owned; {"kind", "about", "text"} */
	unsigned	 problems;
};

void	 findings_init(struct findings *findings);
void	 findings_release(struct findings *findings);
/* about is a word: "txt", "policy", "mx", "certificate", "tlsa". */
void	 findings_add(struct findings *findings, enum finding_kind kind,
	    const char *about, const char *format, ...)
	    __attribute__((format(printf, 4, 5)));
void	 findings_print(const struct findings *findings);

/* --- certificates --- */

/* Does a listener with that service show certificate i? */
bool	 published_is_shown(const struct conf *conf, enum conf_service service,
	    size_t i);
/* Is there a listener with that service? */
bool	 published_is_served(const struct conf *conf,
	    enum conf_service service);
/* Is there a certificate for host among those that such listeners show?
 * chains: PEM by certificate section; may have nulls. */
bool	 published_covers(const struct conf *conf, char *const *chains,
	    enum conf_service service, const char *host);

/* Is certificate i what such listeners show to who asks for host? One of those
 * for host; else the first one. */
bool	 published_is_used(const struct conf *conf, char *const *chains,
	    enum conf_service service, const char *host, size_t i);

/* The same of one listener, for those who ask for this host. */
bool	 published_is_used_at(const struct conf *conf, char *const *chains,
	    const struct conf_listener *listener, size_t i);

/*
 * What can be known of policies in mode enforce without the network: there are
 * certificates for the host of the policy, and for this one where the policy
 * names it. -1 with lines in errors, owned by the caller.
 */
int	 published_check_offline(const struct conf *conf,
	    const struct bundle *bundle, char **errors);

/* --- the outside --- */

/* The TLSA records of this host at the listener's port against the chains that are
 * configured for it there (RFC 7671 8). */
void	 published_check_tlsa(struct outside *outside,
	    const struct conf_listener *listener,
	    struct findings *findings);
/* Everything about the policy of a domain: what does not agree is a
 * problem. */
void	 published_check_sts(struct outside *outside,
	    const struct conf_domain *domain,
	    const struct sts_approvals *approvals,
	    struct findings *findings);

#endif
