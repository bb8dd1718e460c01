/* SPDX-License-Identifier: ISC */
/*
 * Worlds for the plan: one small number for each thing that can differ. A
 * world answers the plan's queries by itself, and can be said in words. What
 * ought to follow from it is policy_plan_oracle.h's.
 */
#ifndef POSTERN_TESTS_UNIT_POLICY_PLAN_WORLD_H
#define POSTERN_TESTS_UNIT_POLICY_PLAN_WORLD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "policy/plan.h"

/* The route without MX leads to port 2525. */
enum world_hop { HOP_MX_SECURE, HOP_MX_UNSIGNED, HOP_NO_MX, HOP_NO_MX_UNSIGNED,
    HOP_ROUTE, HOP_ROUTE_MX, HOP_MX_ALIAS, HOP_LITERAL, HOP_MX_ERROR,
    HOP_MX_BOGUS, HOP_NULL_MX, HOP_NULL_MX_UNSIGNED, HOP_NXDOMAIN,
    HOP_NXDOMAIN_UNSIGNED, HOPS };

/* Of the first host. A and AAAA are alike where nothing else is said. */
enum world_address { ADDRESS_SECURE, ADDRESS_INSECURE,
    ADDRESS_ALIAS_SECURE,		/* secure all the way */
    ADDRESS_ALIAS_OUT,			/* secure alias, insecure target */
    ADDRESS_ALIAS_INSECURE, ADDRESS_ALIAS_ERROR, ADDRESS_ALIAS_BOGUS,
    ADDRESS_ONLY_A, ADDRESS_ONLY_AAAA, ADDRESS_A_SECURE, ADDRESS_AAAA_SECURE,
    ADDRESS_NONE, ADDRESS_NONE_UNSIGNED, ADDRESS_NXDOMAIN, ADDRESS_ERROR,
    ADDRESS_BOGUS, ADDRESS_A_ERROR, ADDRESS_AAAA_ERROR,
    ADDRESS_A_INSECURE_ERROR, ADDRESS_AAAA_INSECURE_ERROR, ADDRESSES };

enum world_tlsa { TLSA_NODATA, TLSA_EE, TLSA_TA, TLSA_MIXED, TLSA_UNUSABLE,
    TLSA_MALFORMED, TLSA_NODATA_UNSIGNED, TLSA_UNSIGNED, TLSA_NXDOMAIN,
    TLSA_ERROR, TLSA_BOGUS, TLSAS };

enum world_sts { STS_NONE, STS_ENFORCE, STS_ENFORCE_OTHER, STS_TESTING,
    STS_TESTING_OTHER, STS_OFF, STS_UNKNOWN_EARLY, STS_UNKNOWN_LATE,
    STS_STATES };

enum world_memory { MEMORY_NOTHING, MEMORY_OF_HOST, MEMORY_OF_DOMAIN,
    MEMORY_OLD_HOST, MEMORY_OF_PUBLISHED, MEMORY_OF_ALL, MEMORY_FACTS };

enum { WORLD_PIN_NONE, WORLD_PIN_ENCRYPT, WORLD_PIN_VERIFY,
    WORLD_PIN_FINGERPRINT, WORLD_PINS };

enum { WORLD_EXCEPTION_NO, WORLD_EXCEPTION_NONE, WORLD_EXCEPTION_MAY,
    WORLD_EXCEPTION_ENCRYPT, WORLD_EXCEPTIONS };

enum { WORLD_FALLBACK_USUAL, WORLD_FALLBACK_DEFER, WORLD_FALLBACK_LATER,
    WORLD_FALLBACKS };

enum world_dimension { AT_HOP, AT_ADDRESS, AT_TLSA,
    AT_OTHER_TLSA,	/* at the name before an alias */
    AT_STS, AT_STS_CACHED, AT_LEVEL, AT_WISH, AT_INSECURE_MX,
    AT_STS_WITH_DANE, AT_MEMORY, AT_MEMORY_FACTS, AT_PIN, AT_EXCEPTION,
    AT_MESSAGE_LEVEL,	/* 0: none, else conf_level plus one */
    AT_FALLBACK,
    AT_STRICT_NAMES,	/* requiretls-dane-ee = name-too */
    AT_NAMES,		/* configured, for verify and secure */
    AT_IMPLICIT,	/* a route's: TLS from the first byte on */
    AT_SECOND,		/* a second MX host, which is well */
    DIMENSIONS };

struct world {
	uint8_t	 at[DIMENSIONS];
};

/* How many values a dimension has, and what each is called. */
unsigned	 world_values(enum world_dimension dimension);
const char	*world_dimension_name(enum world_dimension dimension);
const char	*world_value_name(enum world_dimension dimension,
		    unsigned value);
/* Only what is not the default. */
void	 world_say(const struct world *world, char *out, size_t size);
/* A dimension that cannot matter here is 0 in the one world that counts. */
bool	 world_is_canonical(const struct world *world);
/* Makes it that one. */
void	 world_make_canonical(struct world *world);

bool		 world_has_hosts(const struct world *world);
bool		 world_is_mx(const struct world *world);
unsigned	 world_host_count(const struct world *world);
const char	*world_next_hop(const struct world *world);
const char	*world_host_name(const struct world *world, unsigned host);
/* What is true of one host: the first is as the world says. */
enum world_address	 world_address(const struct world *world,
			    unsigned host);
/* candidate 0 is the first to be asked. */
enum world_tlsa	 world_tlsa(const struct world *world, unsigned host,
		    unsigned candidate);
enum world_sts	 world_sts(const struct world *world, unsigned host);
bool		 world_is_aliased(enum world_address address);

extern const char	 world_domain[], world_alias[], world_mx_alias[];
extern const char	*const world_names[];	/* with AT_NAMES */

/* A plan's question; keeps pointers into itself. */
struct world_question {
	struct conf_next_hop	 next;
	struct conf_destination	 destination;
	struct plan_exception	 exception;
	struct plan_pin		 pin;
	struct plan_facts	 facts;
};

void	 world_ask(const struct world *world, struct world_question *question);
/* False: there is no such name in this world. What the fact points to is
 * static, the policy's lists as well. */
bool	 world_answer(const struct world *world,
	    const struct plan_query *query, struct fact *fact);

#endif
