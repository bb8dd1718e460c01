/* SPDX-License-Identifier: ISC */
/*
 * The plan: where mail for a next hop goes, in which order, and what TLS each
 * host must show. plan_step() is a pure function of facts: no I/O, no clock,
 * no randomness. It answers NEED (a query whose answer is not among the facts)
 * or DONE. Which query comes next is part of the standard, so the vectors in
 * tests/vectors/plan hold the exact ordered list of queries.
 *
 * Effective requirement: the strongest of configuration, pin, REQUIRETLS, DANE,
 * MTA-STS and memory. `TLS-Required: No` takes away DANE, MTA-STS and memory for
 * its message; an exception replaces everything but REQUIRETLS.
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
#include "policy/tls_result.h"

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
	QUERY_MEMORY,		/* what a destination has shown before */
	QUERY_MEMORY_HOST,	/* what a mail host has shown before */
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

/* QUERY_MEMORY and QUERY_MEMORY_HOST: FACT_DATA with one of these, or
 * FACT_NODATA. What counts as enough, and for how long, is memory.h's. */
struct fact_memory {
	bool		 expects_tls;	/* seen often enough, not too long ago */
	bool		 expects_dane;	/* TLSA records: the same */
	bool		 expects_sts;	/* a policy to enforce: the same */
	bool		 expects_web;	/* a chain that holds by WebPKI */
	bool		 known_clear;	/* TLS never, clear often enough */
	uint32_t	 count;		/* connections under TLS */
	int64_t		 last;		/* the last of them; wall, ms */
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
	struct fact_memory	*memory;	/* QUERY_MEMORY..., count 1 */
	size_t			 count;
	char			 reason[160];	/* of an error, or what was
						 * met; may be empty */
};

/* What the sender asks for this message (RFC 8689). */
enum plan_wish {
	WISH_NONE,
	WISH_REQUIRETLS,	/* MAIL FROM:<x> REQUIRETLS */
	WISH_REQUIRETLS_BOUNCE,	/* the same with the null sender: where no host
				 * can do it, it goes as well as can be (REQ-73) */
	WISH_OPTIONAL,		/* TLS-Required: No */
	WISHES
};

/* An exception in force for the domain (policy/exception.h). */
struct plan_exception {
	uint64_t	 id;
	enum conf_level	 level;		/* none, may, encrypt */
	char		 pattern[256];
	char		 reason[200];
};

enum pin_level {
	PIN_ENCRYPT,		/* TLS, at least */
	PIN_VERIFY,		/* WebPKI for the host's name, at least */
	PIN_FINGERPRINT,	/* one of these certificates or keys; decides
				 * alone, as level fingerprint does */
	PIN_LEVELS
};

enum { PLAN_PIN_FINGERPRINTS_MAX = 8 };

/* What an operator pinned for the domain (policy/memory.h). */
struct plan_pin {
	char		 domain[256];
	enum pin_level	 level;
	uint8_t		 fingerprints[PLAN_PIN_FINGERPRINTS_MAX][DIGEST_BYTES];
	size_t		 fingerprint_count;
	char		 reason[200];
	char		 author[64];
	int64_t		 made;		/* wall, ms */
};

struct plan_facts {
	/* the question: constant */
	const struct conf_next_hop	*next;
	const char			*domain;	/* of the recipients */
	const struct conf_destination	*destination;	/* configured level */
	bool				 ipv4, ipv6;
	enum conf_family		 prefer;	/* of a host's addresses */
	bool				 allow_loopback;
	const char			*own_name;	/* loop: SMTP-171 */
	const struct endpoint		*own_addresses;
	size_t				 own_address_count;
	uint32_t			 shuffle_seed;	/* equal preferences */
	int64_t				 waited;	/* age of the mail, s */
	int64_t				 sts_discovery_wait;
	enum plan_wish			 wish;
	/* The message's own level (`postern queue set-tls`), which replaces
	 * the destination's and an exception's; -1: none. */
	int				 message_level;
	const struct plan_exception	*exception;	/* null: none */
	const struct plan_pin		*pin;		/* null: none */
	/* REQ-36a: under REQUIRETLS a usage 3 match must name the host, too */
	bool				 requiretls_names;
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
	SOURCE_MEMORY,		/* it has shown TLS before */
	SOURCE_PIN,
	SOURCE_REQUIRETLS,	/* where nothing published asks for as much */
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
	/* DEFERRED; FAILED where only REQUIRETLS forbids the host, and for
	 * more than now (REQ-45). */
	struct status		 skipped;
	enum tls_result		 skipped_result;	/* for counting: RPT-30 */

	enum requirement	 requirement;
	enum plan_source	 source;
	/*
	 * What is published would ask for this, but does not bind here (mode
	 * testing, TLS-Required: No, a level or an exception that overrides
	 * it), or nobody asks (memory's softer fact): it is tried, told and
	 * counted, and its failure changes nothing. tlsa and names are for
	 * whichever of requirement and ideal is the stronger. Not above
	 * requirement: there is nothing to try. It is above only where
	 * requirement is REQUIRE_OPPORTUNISTIC or REQUIRE_ENCRYPTED, so what
	 * must be shown never needs names or records of its own beside it.
	 */
	enum requirement	 ideal;
	enum plan_source	 ideal_source;	/* DANE, STS or NONE */
	/* ideal_source STS, and the policy leaves this host out: a failure to
	 * count whatever the host shows (STS-78, RPT-47). */
	bool			 sts_mismatch;
	/* Memory, when it only warns: TLS was there before. */
	bool			 expects_tls;
	/* REQUIRETLS: the server must offer the extension under TLS, and MAIL
	 * says it (REQ-37, REQ-46). With wish REQUIRETLS_BOUNCE: if it does. */
	bool			 requiretls;
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
	/* The TLSA set that was published, usable or not, and signed: its base
	 * domain, and a digest of its text for counting; 0: none. */
	char			 tlsa_domain[256];
	uint64_t		 tlsa_digest;
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
	uint64_t		 generation;	/* of all that is not the DNS's:
						 * configuration, exceptions,
						 * pins, memory, policies */
	char			 next_hop[256];	/* whose mail hosts these are:
						 * the policy domain */
	enum plan_wish		 wish;
	uint64_t		 exception;	/* that decided; 0: none */
	uint64_t		 sts_digest;	/* of the policy in mode enforce
						 * or testing; 0: none */
	/* What memory knows of and nobody publishes any more. */
	bool			 vanished_dane;
	bool			 vanished_sts;

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
/* "dane", "half-dane", "sts", "level", "memory", "pin", "requiretls", "none". */
const char	*plan_source_name(enum plan_source source);
/* "requiretls", "requiretls-bounce", "optional"; "" for none. */
const char	*plan_wish_name(enum plan_wish wish);
/* "encrypt", "verify", "fingerprint". */
const char	*pin_level_name(enum pin_level level);
/* "MX", "TLSA", "STS", "STS-CACHED", "MEMORY", "MEMORY-HOST"... */
const char	*query_type_name(enum query_type type);
void		 plan_put(struct wire_writer *writer, const struct plan *plan);
/* Null when the bytes are no plan or pass a limit. */
struct plan	*plan_get(struct wire_reader *reader, struct arena *arena);

#endif
