/* SPDX-License-Identifier: ISC */
/*
 * The correct outcome of a delivery, from the standards alone: RFC 5321 5.1,
 * RFC 6698, RFC 7671, RFC 7672, RFC 8461, RFC 3207. It shares no code and no
 * structure with policy/, so that a mistake there is not repeated here. The
 * facts are what is true of the world, not what anybody found out about it.
 *
 * What the standards leave to local policy is a choice (enum lab_choice). A
 * sender is a set of choices; for each the facts have one outcome, as the
 * verdict would see it: what is delivered under TLS in the true world counts
 * by what becomes of it in the twin. Correct is what some such sender does.
 */
#ifndef POSTERN_TOOLS_LAB_ORACLE_H
#define POSTERN_TOOLS_LAB_ORACLE_H

#include <stdbool.h>
#include <stddef.h>

#include "tools/lab/certificate.h"
#include "tools/lab/scenario.h"

enum { LAB_FACT_HOSTS = 4, LAB_FACT_RECORDS = 6 };

/* What a question brings, when it is asked through a validating resolver. */
enum lab_found {
	LAB_FOUND_NONE,		/* absence: proved, or of an unsigned zone */
	LAB_FOUND_SECURE,
	LAB_FOUND_INSECURE,
	LAB_FOUND_BOGUS,	/* or a forged absence */
	LAB_FOUND_ERROR,	/* SERVFAIL, REFUSED, nothing, garbage, ... */
	/* One of several servers fails, the others do not; or the answer comes
	 * so late that a resolver may have given up. */
	LAB_FOUND_SHAKY
};

/* One TLSA record. A digest or a copy of a part of a certificate's chain. */
struct lab_tlsa_fact {
	int				 usage, selector, matching;
	const struct lab_certificate	*of;
	enum lab_tlsa_of		 part;
	bool				 malformed;	/* of another length,
							 * or not DER */
};

struct lab_tlsa_facts {
	enum lab_found		 found;		/* aliases included */
	struct lab_tlsa_fact	 records[LAB_FACT_RECORDS];
	size_t			 count;
};

/* How far a client comes with a host, whatever its certificate is. */
enum lab_wire {
	LAB_WIRE_GOOD,
	LAB_WIRE_UNREACHABLE,	/* nothing comes to EHLO's end */
	LAB_WIRE_NO_STARTTLS,	/* not offered, and not known either */
	LAB_WIRE_UNOFFERED,	/* not offered, but it would do it */
	LAB_WIRE_REFUSED,	/* offered, and STARTTLS has no 220 */
	LAB_WIRE_BROKEN,	/* the handshake, or what comes before the
				 * first reply under TLS */
	LAB_WIRE_OBSOLETE,	/* TLS before 1.2, or ciphers without
				 * encryption */
	LAB_WIRE_ANONYMOUS,	/* ciphers without authentication */
	LAB_WIRE_INJECTED,	/* bytes behind the 220 to STARTTLS */
	LAB_WIRE_LATE_DEMAND,	/* a client certificate is demanded */
	LAB_WIRE_IMPOSTOR	/* another server has taken its place */
};

enum lab_taking {		/* once MAIL is said */
	LAB_TAKES, LAB_REFUSES,		/* 5xx */
	LAB_PUTS_OFF,			/* 4xx, or the connection breaks */
	LAB_TAKING_COUNT
};

struct lab_host_facts {
	const char			*name;		/* as in the MX */
	/* The name at the end of its aliases; null: it has none. */
	const char			*target;
	enum lab_found			 address;	/* aliases included */
	/* Whether the first alias record is signed, where there is one. */
	bool				 alias_secure;
	struct lab_tlsa_facts		 tlsa, target_tlsa;
	enum lab_wire			 wire;
	bool				 wire_once;	/* on the first
							 * connection only */
	enum lab_taking			 taking;
	/* What is shown to everybody; and to who asks for a name. */
	const struct lab_certificate	*certificate;
	const char			*sni_name;	/* null: no such thing */
	const struct lab_certificate	*sni_certificate;
	bool				 demands_name;	/* alert without it */
};

struct lab_sts_policy {		/* one that can be read */
	enum lab_sts_mode { LAB_STS_NONE, LAB_STS_TESTING,
	    LAB_STS_ENFORCE }	 mode;
	struct lab_texts	 patterns;	/* mx */
};

struct lab_sts_facts {
	enum lab_sts_record { LAB_RECORD_NONE, LAB_RECORD_INVALID,
	    LAB_RECORD_VALID, LAB_RECORD_ERROR } record;
	enum lab_sts_fetch { LAB_FETCH_WORKS, LAB_FETCH_FAILS,
	    LAB_FETCH_ODD_TYPE } fetch;	/* odd: not text/plain */
	struct lab_sts_policy	 policy;
	/* Seen before and not expired; the id is the record's own, when that
	 * is valid and same_id. */
	bool			 cached, same_id;
	struct lab_sts_policy	 before;
};

enum lab_level { LAB_LEVEL_AUTO, LAB_LEVEL_ENCRYPT, LAB_LEVEL_DANE_ONLY };

struct lab_facts {
	const char		*domain;
	/* Of the MX records; none: the domain is its own host, and the only
	 * one below. */
	enum lab_found		 mx;
	bool			 null_mx;
	struct lab_host_facts	 hosts[LAB_FACT_HOSTS];	/* by preference */
	size_t			 host_count;
	struct lab_sts_facts	 sts;
	enum lab_level		 level;
};

/* Where a sender may go either way, with the text that lets it. No bit set:
 * what the standards would rather have, and this project does. */
enum lab_choice {
	LAB_CHOICE_INSECURE_MX_OPEN,	/* no DANE behind unsigned MX records:
					 * RFC 7672 2.2.1 */
	LAB_CHOICE_NO_MX_ALIAS,		/* passes over hosts that are aliases:
					 * RFC 5321 5.1, RFC 7672 2.2.2 */
	LAB_CHOICE_PKIX_USAGES,		/* usages 0 and 1 are used: RFC 7672
					 * 3.1.3 leaves them undefined */
	LAB_CHOICE_BOTH,		/* MTA-STS binds where DANE holds, too:
					 * RFC 8461 2, 5 */
	LAB_CHOICE_STS_ERROR_OPEN,	/* goes on when nobody says whether
					 * there is a policy: RFC 8461 3.1 is
					 * silent */
	LAB_CHOICE_STS_ERROR_DANE,	/* then goes to hosts that DANE
					 * authenticates: RFC 8461 2 */
	LAB_CHOICE_ANY_TYPE,		/* takes a policy of another media
					 * type: RFC 8461 3.2 SHOULD */
	LAB_CHOICE_COMMON_NAME,		/* where there are no DNS names: RFC
					 * 7672 3.2.3 MAY */
	LAB_CHOICE_WEAK_REFUSED,	/* keys and digests of former times:
					 * RFC 9325 4.5, RFC 6698 4.1 */
	LAB_CHOICE_ANONYMOUS,		/* where no key is needed: RFC 7672
					 * 8.2 */
	LAB_CHOICE_CLEAR_AT_ONCE,	/* when TLS breaks and nothing binds:
					 * RFC 7672 2.2, RFC 3207 6 */
	LAB_CHOICE_TRY_UNOFFERED,	/* STARTTLS all the same */
	LAB_CHOICE_BEAR_INJECTION,	/* drops the bytes and goes on: RFC
					 * 3207 4.2 */
	LAB_CHOICE_RETRY_AT_ONCE,	/* the same host again: RFC 5321
					 * 4.5.4.1 */
	LAB_CHOICE_STAY,		/* 4xx puts the message off without
					 * the next host: RFC 5321 5.1 */
	LAB_CHOICE_STS_LOOK,		/* connects to hosts that the policy
					 * has not got */
	LAB_CHOICE_NO_BARE_KEY,		/* RFC 7671 5.2.3 is a SHOULD */
	LAB_CHOICE_LEAF_AUTHORITY,	/* usage 2 of a leaf that signed
					 * itself; RFC 7671 5.2 is silent */
	LAB_CHOICE_LAX_AUTHORITY,	/* dates and constraints of the trust
					 * anchor itself: RFC 5280 6.1.1 */
	LAB_CHOICE_KNOWN_ROOT,		/* a public root that was not shown is
					 * taken from the local store: RFC 7671
					 * 5.2.2 */
	LAB_CHOICE_NO_NAME,		/* no SNI where no key is needed */
	LAB_CHOICE_DANE_SHAKY,		/* gives up with the first server that
					 * fails, or soon: RFC 7672 2.1.2 */
	LAB_CHOICE_NULL_MX_HELD,	/* not believed against a policy that
					 * was seen before: RFC 8461 5 */
	LAB_CHOICES
};

struct lab_answer {
	enum lab_outcome	 expect;	/* of the sender without bits */
	unsigned		 outcomes;	/* 1 << enum lab_outcome */
	/* Hosts by index, that no such sender connects to. */
	unsigned		 untouched;
	/* Some such sender says MAIL in clear; some such sender cannot know
	 * the impostor from the host, and loses the message to it. */
	bool			 clear_mail, lost;
	/* There is a host that demands something, and has not got it; and one
	 * where its having taken the message would not be noticed. */
	bool			 violable, blind;
	/* Null, or what the level `encrypt` makes of it (without bits), where
	 * mail may go in clear otherwise: for the strict profile. */
	const char		*strict;
	const char		*clauses[6];	/* null-ended */
};

struct lab_answer	 lab_oracle(const struct lab_facts *facts);

/* RFC 6125 6.4.3, RFC 7672 3.2.3: the asterisk is the whole first label. */
bool	 lab_oracle_name_fits(const char *pattern, const char *name);

#endif
