/* SPDX-License-Identifier: ISC */
/*
 * What the outside sees of us, asked by a command in its own process: lookups,
 * the fetch of a policy as policy/fetch does it for strangers, and what a mail
 * host shows after STARTTLS. One question at a time; each call returns when it
 * is answered or its time is over. There is one struct outside in a process,
 * which it takes over (event loop, log) until outside_close().
 */
#ifndef POSTERN_TOOLS_OUTSIDE_H
#define POSTERN_TOOLS_OUTSIDE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/tls.h"
#include "policy/dns.h"
#include "policy/fetch.h"

struct arena;
struct fetcher;
struct resolver;

struct outside {
	struct conf	*conf;		/* owned */
	char		*path;		/* owned; of the configuration */
	char		*text;		/* owned; the configuration */
	char		*trust_pem;	/* owned; may be null */
	/* By certificate section: its chain, owned; null: not to be read. */
	char		**chains;

	/* null unless outside_open() was told to look */
	struct resolver	*resolver;	/* owned */
	struct fetcher	*fetcher;	/* owned */
	struct arena	*arena;		/* owned; answers are in it */
};

/* What one mail host showed. */
struct outside_smtp {
	bool		 reached;	/* it took part in a handshake */
	bool		 offers;	/* STARTTLS */
	bool		 trusted;	/* WebPKI, for its name */
	bool		 matched;	/* one of the TLSA records */
	char		 address[64];
	char		 problem[256];	/* a sentence part; or "" */
};

/* Reads the configuration and its certificates (no keys); with look, also what
 * is needed to ask others. -1, or an exit status and words on stderr. */
int	 outside_open(struct outside *outside, const char *configuration,
	    bool look);
void	 outside_close(struct outside *outside);
/* A text file, owned by the caller; null with errno. */
char	*outside_read_file(const char *path);

/* The answer lives until outside_close(). */
const struct dns_answer	*outside_lookup(struct outside *outside,
			    const char *name, enum dns_type type);
/* A and AAAA of a name, with that port; how many, at most max. */
size_t	 outside_addresses(struct outside *outside, const char *name,
	    uint16_t port, struct endpoint *out, size_t max);
/* The policy of a domain; body and all live until outside_close(). */
void	 outside_fetch(struct outside *outside, const char *domain,
	    uint16_t port, struct fetch_answer *answer);
/* host on one of its addresses, at that port. tlsa: its secure and usable
 * records. */
void	 outside_smtp(struct outside *outside, const char *host,
	    uint16_t port, const struct tls_tlsa *tlsa, size_t tlsa_count,
	    struct outside_smtp *shown);

#endif
