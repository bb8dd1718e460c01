/* SPDX-License-Identifier: ISC */
/*
 * The plan: where mail for a next hop goes, in which order, and what TLS each
 * host must show. plan_step() is a pure function of facts: no I/O, no clock,
 * no randomness. It answers NEED (a query whose answer is not among the facts)
 * or DONE. Which query comes next is part of the standard, so the vectors in
 * tests/vectors/plan hold the exact ordered list of queries.
 *
 * Levels of this floor: none, may, encrypt, verify, secure, fingerprint. DANE,
 * MTA-STS, REQUIRETLS and memory add facts and requirements here, in this
 * machine and nowhere else.
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

enum query_type { QUERY_MX, QUERY_A, QUERY_AAAA, QUERY_TYPES };

struct plan_query {
	enum query_type	 type;
	char		 name[256];
};

struct fact_mx {
	uint16_t	 preference;
	char		 host[256];	/* "" is the null MX's "." */
};

struct fact {			/* one answered query */
	struct plan_query	 query;
	enum fact_result	 result;
	bool			 secure;	/* DNSSEC, the whole chain */
	uint32_t		 ttl;		/* seconds */
	struct fact_mx		*mx;		/* QUERY_MX, FACT_DATA */
	struct endpoint		*addresses;	/* QUERY_A and QUERY_AAAA */
	size_t			 count;
	char			 reason[128];	/* of an error; may be empty */
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
	REQUIREMENTS
};

enum { PLAN_HOSTS_MAX = 20, PLAN_ADDRESSES_MAX = 16, PLAN_NAMES_MAX = 16,
    PLAN_FINGERPRINTS_MAX = 32 };

struct plan_host {
	char			 name[256];	/* SNI; for the log */
	uint16_t		 preference;
	struct endpoint		*addresses;	/* with the port set */
	size_t			 address_count;
	enum requirement	 requirement;
	char			**names;	/* REQUIRE_NAME */
	size_t			 name_count;
	char			 reason[160];	/* why this, with its clause */
};

struct plan {
	/* Hosts to try, in order. None: status says what to do instead. */
	struct plan_host	*hosts;
	size_t			 host_count;
	struct status		 status;	/* when there is no host */

	enum conf_fallback	 no_starttls;	/* for opportunistic hosts */
	int64_t			 no_starttls_after;	/* seconds */
	enum conf_fallback	 broken_tls;
	int64_t			 broken_tls_after;
	uint8_t			(*fingerprints)[DIGEST_BYTES];
	size_t			 fingerprint_count;

	/* Connections may be shared by jobs whose plans have equal keys: the
	 * digest of everything above that decides TLS. */
	uint8_t			 key[DIGEST_BYTES];
	uint32_t		 ttl;		/* least of all inputs */
	uint64_t		 generation;	/* of the configuration */
};

enum plan_answer { PLAN_NEED, PLAN_DONE };

/* NEED fills query; DONE fills plan (its arrays in the arena). */
enum plan_answer	 plan_step(const struct plan_facts *facts,
			    struct arena *arena, struct plan_query *query,
			    struct plan *plan);

const char	*requirement_name(enum requirement requirement);
const char	*query_type_name(enum query_type type);
void		 plan_put(struct wire_writer *writer, const struct plan *plan);
/* Null when the bytes are no plan or pass a limit. */
struct plan	*plan_get(struct wire_reader *reader, struct arena *arena);

#endif
