/* SPDX-License-Identifier: ISC */
/*
 * MTA-STS (RFC 8461) as policy uses it: what is in force for a domain now.
 * Discovery (TXT), the fetch by a child of its own, the durable cache and its
 * refresh are behind this door. The resolver is used for the lookups.
 */
#ifndef POSTERN_POLICY_STS_H
#define POSTERN_POLICY_STS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "policy/sts_policy.h"

struct arena;
struct conf;
struct resolver;
struct sts;
struct sts_query;

/* How it is known. */
enum sts_source {
	STS_SOURCE_NONE,	/* no policy is in force */
	STS_SOURCE_FETCHED,	/* just now */
	STS_SOURCE_CACHED	/* remembered and unexpired */
};

struct sts_answer {
	/* False: the TXT lookup failed and nothing is cached, so that it is
	 * not known whether there is a policy (STS-17). */
	bool			 known;
	enum sts_source		 source;
	struct sts_policy	 policy;	/* unless STS_SOURCE_NONE */
	char			 id[33];
	int64_t			 fetched;	/* wall clock, ms */
	int64_t			 expires;	/* wall clock, ms */
	uint32_t		 ttl;	/* seconds this answer may be kept */
	/* What discovery met, for people and for reports: a sentence part,
	 * empty when all went well; result is the RFC 8460 4.3 type. */
	char			 problem[160];
	const char		*result;	/* "sts-policy-fetch-error"...,
						 * constant; null: none */
	/* The TXT lookup, for the explanation. */
	bool			 asked;		/* false: cache only */
	bool			 txt_secure;
	char			 txt[96];	/* the record, may be empty */
};

/* What others want to hear. Both come from the loop, or from sts_forget(); a
 * hook starts and cancels nothing here before it has returned. */
struct sts_hooks {
	/* A policy that is published, or is to be refreshed, could not be had
	 * (STS-115, STS-116); not where a policy in mode none is in force.
	 * result: RFC 8460 4.3.2.2. */
	void	(*failed)(void *arg, const char *domain, const char *result,
		    const char *problem);
	/* What is remembered of the domain is not what it was. */
	void	(*changed)(void *arg, const char *domain);
	void	 *arg;
};

/* Borrowed until it returns. */
typedef void sts_done(void *arg, const struct sts_answer *answer);

/*
 * Before the chroot. directory is where the cache lives (an empty string: no
 * cache, nothing survives; for commands), trust_pem the CA certificates that
 * policy hosts must chain to (null: nothing can be fetched, which is logged, and
 * whether there is a policy is not known).
 * Damage of the cache is logged, set aside and begun anew (S-38).
 */
struct sts	*sts_new(const struct conf *conf, struct resolver *resolver,
		    const char *directory, const char *trust_pem);
void		 sts_free(struct sts *sts);
/* A reload: the new conf; the old one is not used any more. */
void		 sts_configure(struct sts *sts, const struct conf *conf);
void		 sts_set_hooks(struct sts *sts, const struct sts_hooks *hooks);
/* For tests: where policies are served instead of port 443. */
void		 sts_set_port(struct sts *sts, uint16_t port);
/* Refreshes what is cached, by itself, from now on (STS-89). */
void		 sts_start_refresh(struct sts *sts);

/* domain: A-labels, lower case. cache_only asks nobody. done comes from the
 * loop, once, never before this returns; several queries for one domain share
 * one discovery. */
struct sts_query	*sts_lookup(struct sts *sts, const char *domain,
			    bool cache_only, sts_done *done, void *arg);
void			 sts_cancel(struct sts_query *query);
/* Each cached policy, in no order, over several calls, as hash_scan() does it:
 * some of them, few; the next cursor, 0: the end. */
uint64_t sts_scan(struct sts *sts, uint64_t cursor, void (*visit)(void *arg,
	    const char *domain, const struct sts_answer *answer), void *arg);
/* The text of the policy that is remembered under this id, as it was fetched;
 * null: there is none. Borrowed until the next call. */
const char	*sts_text(struct sts *sts, const char *domain, const char *id,
		    size_t *length);
/* Forgets one; false when there was none. */
bool	 sts_forget(struct sts *sts, const char *domain);

#endif
