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

enum dns_type { DNS_A = 1, DNS_PTR = 12, DNS_MX = 15, DNS_AAAA = 28 };

enum { DNS_RECORDS_MAX = 64, DNS_CHAIN_MAX = 16, DNS_NAME_MAX = 255 };

struct dns_answer {
	enum fact_result	 result;
	bool			 secure;
	uint32_t		 ttl;		/* least of what was used */
	struct fact_mx		*mx;		/* DNS_MX */
	struct endpoint		*addresses;	/* DNS_A, DNS_AAAA; port 0 */
	char			**names;	/* DNS_PTR */
	size_t			 count;
	char			 reason[128];	/* of an error */
};

/*
 * Reads a packet. name is what was asked (lower case or not, no final dot).
 * Malformed packets give FACT_ERROR with a reason. secure and bogus are the
 * caller's to set; the rcode is the packet's own.
 */
void	 dns_read(const uint8_t *packet, size_t length, const char *name,
	    enum dns_type type, struct arena *arena, struct dns_answer *answer);

#endif
