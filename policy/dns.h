/* SPDX-License-Identifier: ISC */
/*
 * What one DNS lookup said, and the bounded reader that gets it out of an
 * answer packet. The reader trusts nothing: names have a hop limit, every
 * length is checked, counts are capped. It follows the CNAME chain from the
 * name that was asked.
 */
#ifndef POSTERN_POLICY_DNS_H
#define POSTERN_POLICY_DNS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "policy/plan.h"

struct arena;

enum dns_type { DNS_A = 1, DNS_CNAME = 5, DNS_SOA = 6, DNS_PTR = 12,
    DNS_MX = 15, DNS_TXT = 16, DNS_AAAA = 28, DNS_DNSKEY = 48,
    DNS_TLSA = 52 };

/* More records than fit are an error, never a part of the set. */
enum { DNS_RECORDS_MAX = 256, DNS_CHAIN_MAX = 16, DNS_NAME_MAX = 255 };

struct dns_answer {
	enum fact_result	 result;
	bool			 secure;
	uint32_t		 ttl;		/* least of what was used */
	struct fact_mx		*mx;		/* DNS_MX */
	struct endpoint		*addresses;	/* DNS_A, DNS_AAAA; port 0 */
	char			**names;	/* DNS_PTR, DNS_CNAME */
	struct dane_record	*tlsa;		/* DNS_TLSA, any length */
	/* DNS_TXT: the strings of each record joined (STS-7), any bytes, a
	 * nul after them. */
	char			**texts;
	size_t			*text_lengths;
	size_t			 count;		/* all that SOA, DNSKEY have */
	/* Where a chain of aliases ended, or "". DNS_CNAME, which is not
	 * followed: what the first one says. "." is the root. */
	char			 alias[256];
	char			 reason[160];	/* of an error */
};

/*
 * Reads a packet. name is what was asked (lower case or not, no final dot but
 * "." for the root). Malformed packets, and one malformed record among good
 * ones, give FACT_ERROR with a reason. secure and bogus are the caller's to
 * set; the rcode is the packet's own.
 */
void	 dns_read(const uint8_t *packet, size_t length, const char *name,
	    enum dns_type type, struct arena *arena, struct dns_answer *answer);

#endif
