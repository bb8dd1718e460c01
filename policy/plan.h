/* SPDX-License-Identifier: ISC */
/*
 * The plan: where mail for a next hop goes, in which order, and what TLS each
 * host must show. plan_step() is a pure function of facts: no I/O, no clock,
 * no randomness. It answers NEED (a query whose answer is not among the facts)
 * or DONE. Which query comes next is part of the standard, so the vectors in
 * tests/vectors/plan hold the exact ordered list of queries.
 *
 * REQUIRETLS, TLS-Required, exceptions, pins and memory will add facts and
 * requirements here, in this machine and nowhere else.
 */
#ifndef POSTERN_POLICY_PLAN_H
#define POSTERN_POLICY_PLAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/digest.h"
#include "base/net.h"
#include "base/status.h"
#include "conf/conf.h"
#include "policy/dane.h"
#include "policy/sts_policy.h"

struct arena;
struct wire_reader;
struct wire_writer;

/* What one lookup said. Errors come before status: an error is never read as
 * "insecure" or "nothing there". */
enum fact_result {
	FACT_UNKNOWN,		/* not asked yet */
	FACT_DATA, FACT_NODATA, FACT_NXDOMAIN,
	FACT_BOGUS,		/* validation failed: treated as an error */
	FACT_ERROR,		/* SERVFAIL, REFUSED, time-out, lame */
	FACT_RESULTS
};

enum query_type {
	QUERY_MX, QUERY_A, QUERY_AAAA,
	QUERY_CNAME,		/* is the first alias itself secure? DANE-17 */
	QUERY_TLSA,
	QUERY_STS,		/* the MTA-STS policy of a domain, with all
				 * that its discovery takes */
	QUERY_STS_CACHED,	/* the same, but nobody is asked */
	QUERY_TYPES
};

struct plan_query {
	enum query_type	 type;
	char		 name[256];
};

struct fact_mx {
	uint16_t	 preference;
	char		 host[256];	/* "" is the null MX's "." */
};

/* QUERY_STS: FACT_DATA with one of these, FACT_NODATA where no policy is in
 * force, FACT_ERROR where that could not be found out (STS-17). */
struct fact_sts {
	struct sts_policy	 policy;
	char			 id[STS_ID_MAX + 1];
	bool			 cached;	/* not fetched just now */
};

struct fact {			/* one answered query */
	struct plan_query	 query;
	enum fact_result	 result;
	bool			 secure;	/* DNSSEC, the whole chain */
	uint32_t		 ttl;		/* seconds */
	/* Where a chain of aliases led; "" when the name was none. */
	char			 alias[256];
	struct fact_mx		*mx;		/* QUERY_MX, FACT_DATA */
	struct endpoint		*addresses;	/* QUERY_A and QUERY_AAAA */
	struct dane_record	*tlsa;		/* QUERY_TLSA */
	struct fact_sts		*sts;		/* QUERY_STS..., count 1 */
	size_t			 count;
	char			 reason[160];	/* of an error, or what was
						 * met; may be empty */
};

struct plan_facts {
	/* the question: constant */
	const struct conf_next_hop	*next;
	const char			*domain;	/* of the recipients */
	const struct conf_destination	*destination;	/* configured level */
	bool				 ipv4, ipv6;
	bool				 allow_loopback;
	const char			*own_name;	/* loop: SMTP-171 */
	const struct endpoint		*own_addresses;
	size_t				 own_address_count;
	uint32_t			 shuffle_seed;	/* equal preferences */
	int64_t				 waited;	/* age of the mail, s */
	int64_t				 sts_discovery_wait;
	bool				 explain;	/* make notes */
	/* what is known */
	struct fact			*facts;
	size_t				 fact_count;
};

/* What a host must show before any mail is said to it. */
enum requirement {
	REQUIRE_CLEAR,		/* STARTTLS is not used (level none) */
	REQUIRE_OPPORTUNISTIC,	/* TLS if offered; fallback as configured */
	REQUIRE_ENCRYPTED,	/* TLS, whoever answers */
	REQUIRE_NAME,		/* WebPKI path and one of names */
	REQUIRE_FINGERPRINT,	/* certificate or key digest */
	REQUIRE_DANE,		/* one of tlsa; usage 2: and one of names */
	REQUIREMENTS
};

/* Who asks for it: the word after tls= in the log, when it was fulfilled. */
enum plan_source {
	SOURCE_NONE,		/* opportunistic, or level none */
	SOURCE_LEVEL,		/* the configured level */
	SOURCE_DANE,
	SOURCE_HALF_DANE,	/* TLSA of a host that unsigned MX named: not
				 * authenticated for the domain (DANE-38) */
	SOURCE_STS,		/* also with REQUIRE_DANE and also_name, where
				 * TLSA alone would be half-dane */
	SOURCES
};

enum { PLAN_HOSTS_MAX = 20, PLAN_ADDRESSES_MAX = 16, PLAN_NAMES_MAX = 16,
    PLAN_FINGERPRINTS_MAX = 32, PLAN_TLSA_MAX = 256, PLAN_NOTES_MAX = 256 };

/* Octets of TLSA data in one plan: a host whose usable records would pass it
 * is skipped, never given a part of its set. Then what plan_put() writes, and
 * what plan_step() or plan_get() take of an arena, at most. */
enum { PLAN_TLSA_BYTES_MAX = 128 << 10, PLAN_WIRE_MAX = 384 << 10,
    PLAN_MEMORY_MAX = 1 << 20 };

struct plan_host {
	char			 name[256];	/* as MX or route wrote it */
	uint16_t		 preference;
	struct endpoint		*addresses;	/* with the port set */
	size_t			 address_count;

	/* Not to be connected to (DANE-12, STS-78), and why: a deferral that
	 * counts as this host's failure. */
	bool			 skip;
	struct status		 skipped;

	enum requirement	 requirement;
	enum plan_source	 source;
	/* Server name to ask for: the TLSA base domain under REQUIRE_DANE,
	 * else name; empty for an address. */
	char			 sni[256];
	/* REQUIRE_NAME: WebPKI names. REQUIRE_DANE: reference identifiers for
	 * usage 2, the base domain first (DANE-105 to DANE-109). */
	char			**names;
	size_t			 name_count;
	/* REQUIRE_DANE: the usable; the octets stay where the fact has them */
	struct dane_record	*tlsa;
	size_t			 tlsa_count;
	/* REQUIRE_DANE and an MTA-STS policy that binds as well: WebPKI for
	 * name, too (sts-with-dane = both; half-dane). */
	bool			 also_name;
	/* REQUIRE_DANE, and it decides over a policy: whether the policy
	 * would have been met is for the log, and changes nothing (DANE-139). */
	bool			 note_name;
	char			 reason[160];	/* why this, with its clause */
};

/* One step of the explanation. */
struct plan_note {
	char	 subject[256];	/* the domain or host it is about */
	char	 clause[32];	/* "RFC 7672 2.2.2", "destination *" */
	char	 text[256];
};

struct plan {
	/* Hosts in the order in which to try them, with those to skip in
	 * between. When none is to be tried, status says what to do. */
	struct plan_host	*hosts;
	size_t			 host_count;
	struct status		 status;

	bool			 implicit_tls;	/* no STARTTLS: at once */
	enum conf_fallback	 no_starttls;	/* for opportunistic hosts */
	int64_t			 no_starttls_after;	/* seconds */
	enum conf_fallback	 broken_tls;
	int64_t			 broken_tls_after;
	uint8_t			(*fingerprints)[DIGEST_BYTES];
	size_t			 fingerprint_count;

	/* Connections and TLS sessions may be shared by jobs whose plans have
	 * equal keys: the digest of everything above that decides TLS. */
	uint8_t			 key[DIGEST_BYTES];
	uint32_t		 ttl;		/* least of all inputs; 0 where
						 * the age of the mail decided */
	uint64_t		 generation;	/* of the configuration */

	/* Something the administrator should hear, a line for the log: a
	 * level that overrides a published policy, a lookup given up on. */
	char			 alarm[200];
	struct plan_note	*notes;		/* when facts->explain; not
						 * sent to delivery */
	size_t			 note_count;
};

enum plan_answer { PLAN_NEED, PLAN_DONE };

/* NEED fills query; DONE fills plan (its arrays in the arena). */
enum plan_answer	 plan_step(const struct plan_facts *facts,
			    struct arena *arena, struct plan_query *query,
			    struct plan *plan);

/* Is there a host that is not to be skipped? */
bool		 plan_can_try(const struct plan *plan);
const char	*requirement_name(enum requirement requirement);
/* "dane", "half-dane", "sts", "level", "none". */
const char	*plan_source_name(enum plan_source source);
/* "MX", "TLSA", "STS", "STS-CACHED"... */
const char	*query_type_name(enum query_type type);
void		 plan_put(struct wire_writer *writer, const struct plan *plan);
/* Null when the bytes are no plan or pass a limit. */
struct plan	*plan_get(struct wire_reader *reader, struct arena *arena);

#endif
