/* SPDX-License-Identifier: ISC */
/*
 * The validating resolver, inside this process: libunbound on our loop. The
 * only file that knows it. Every lookup has a deadline of ours and can be
 * cancelled; the answer never comes before the call returns.
 *
 * Errors come before status: SERVFAIL, REFUSED, time-outs and stripped
 * signatures arrive without any security status and are FACT_ERROR; a bogus
 * answer's contents are never looked at. secure is about the whole chain of
 * aliases (DANE-15): a resolver that we forward to and that leaves out the
 * signatures gives errors, never "insecure".
 */
#ifndef POSTERN_POLICY_RESOLVER_H
#define POSTERN_POLICY_RESOLVER_H

#include <stddef.h>

#include "policy/dns.h"

struct conf;
struct resolver;
struct resolver_query;

/* answer is borrowed until it returns. */
typedef void resolver_done(void *arg, const struct dns_answer *answer);

/*
 * Before any chroot: reads what it needs of the file system. trust_anchor is
 * the text of an anchor file, or null: nothing is validated then. Null with a
 * sentence in error.
 */
struct resolver	*resolver_new(const struct conf *conf,
		    const char *trust_anchor, char *error, size_t size);
/*
 * The same with a state file that libunbound keeps up to date as the root
 * changes its keys (RFC 5011). It is written anew beside itself whenever the
 * root's keys are fetched, so path must name it before and after the chroot.
 */
struct resolver	*resolver_new_following(const struct conf *conf,
		    const char *path, char *error, size_t size);
/* One that validates nothing: whether it gets an answer says only that somebody
 * answers; now, if it was not asked that before. */
struct resolver	*resolver_new_plain(const struct conf *conf, char *error,
		    size_t size);
/* Cancels everything; null is allowed. */
void		 resolver_free(struct resolver *resolver);

struct resolver_query	*resolver_lookup(struct resolver *resolver,
			    const char *name, enum dns_type type,
			    resolver_done *done, void *arg);
void			 resolver_cancel(struct resolver_query *query);

#endif
