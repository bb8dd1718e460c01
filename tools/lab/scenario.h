/* SPDX-License-Identifier: ISC */
/*
 * A scenario as data: a world, the faults that can befall it, and steps with
 * the correct outcome. Read from a file whose grammar is in postern-lab(7).
 * Everything is owned by the scenario's arena and read-only once read.
 *
 * A fault is a part of a world: each section in it that has the title of one
 * in the world takes the place of the options it gives, and the others stay
 * (lab_world_with()). So a world without its faults is the healed one, and
 * each scenario has both.
 */
#ifndef POSTERN_TOOLS_LAB_SCENARIO_H
#define POSTERN_TOOLS_LAB_SCENARIO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct arena;

struct lab_texts {
	char	**items;
	size_t	  count;
};

/* The same words in the same order. */
bool	 lab_texts_equal(const struct lab_texts *one,
	    const struct lab_texts *other);

/* --- DNS --- */

enum lab_signing {
	LAB_SIGNED,
	LAB_UNSIGNED,		/* the parent proves that there is no DS */
	LAB_WRONG_DS,		/* signed; the DS has another digest */
	LAB_STRIPPED,		/* signed; the server leaves signatures out */
	LAB_UNKNOWN_ALGORITHM,	/* signed; DS and keys claim an algorithm that
				 * nobody knows (RFC 4035 5.2: insecure) */
	LAB_UNKNOWN_DIGEST,	/* signed; the DS is of an unknown digest type */
	LAB_NO_KEYS		/* signed; the server has no DNSKEY */
};
enum lab_validity { LAB_VALID, LAB_EXPIRED, LAB_FUTURE };
enum lab_denial { LAB_NSEC, LAB_NSEC3, LAB_NSEC3_OPT_OUT };
enum lab_dns_answer { LAB_ANSWER_TRUE, LAB_ANSWER_SERVFAIL,
    LAB_ANSWER_REFUSED, LAB_ANSWER_FORMERR, LAB_ANSWER_NOTIMP,
    LAB_ANSWER_NXDOMAIN,	/* forged: no proof with it */
    LAB_ANSWER_NODATA,		/* forged: no proof with it */
    LAB_ANSWER_SILENCE, LAB_ANSWER_TRUNCATED, /* UDP only; TCP is silent */
    LAB_ANSWER_TCP_ONLY,	/* truncated by UDP, the truth by TCP */
    LAB_ANSWER_LATE,		/* the truth, after two seconds */
    LAB_ANSWER_EMPTY,		/* NOERROR, and no record in any section */
    LAB_ANSWER_OTHER_PROOF,	/* NODATA with a signed proof that is about
				 * another name of the zone */
    LAB_ANSWER_GARBAGE };	/* bytes that are no message */

/* zone NAME { ... }. Parents up to the root are made as needed, signed. Every
 * zone has its own server address, 198.51.100.N. */
struct lab_zone {
	char			*name;		/* lower case, no final dot */
	/* "OWNER TYPE DATA", owner relative to the zone or "@"; TTL 1 unless
	 * "OWNER TTL TYPE DATA". TLSA data may be "U S M @CERTIFICATE" (its
	 * true digest) and RFC 3597's "\# N HEX". */
	struct lab_texts	 records;
	enum lab_signing	 signing;
	enum lab_validity	 validity;	/* of all its signatures */
	enum lab_denial		 denial;
	/* "OWNER TYPE": sets whose own signature is otherwise. */
	struct lab_texts	 expired_sets;
	struct lab_texts	 future_sets;
	struct lab_texts	 unsigned_sets;
	struct lab_texts	 tampered_sets;
	/* "OWNER TYPE ANSWER [SERVER]": what the servers, or that one of them
	 * (from 1), say to such questions; type ANY is every type; ANSWER as
	 * in enum lab_dns_answer, lower case with hyphens. */
	struct lab_texts	 answers;
	/* "OWNER TYPE RECORD-TYPE DATA": what is answered to such questions in
	 * place of the truth: records of OWNER, signed when the zone is. */
	struct lab_texts	 substitutes;
	int64_t			 servers;	/* 1 to 4, an address each */
	int64_t			 iterations;	/* of NSEC3, further ones */
	int64_t			 negative_ttl;	/* seconds; SOA minimum */
};

/* --- certificates --- */

enum lab_issuer { LAB_ISSUER_CA,	/* the lab's public authority, which
					 * the sender trusts */
    LAB_ISSUER_SELF,
    LAB_ISSUER_OTHER,			/* an authority nobody trusts */
    LAB_ISSUER_PRIVATE };		/* another, whose root is shown */

enum lab_key { LAB_KEY_P256, LAB_KEY_P384, LAB_KEY_ED25519, LAB_KEY_RSA2048,
    LAB_KEY_RSA1024 };
enum lab_digest { LAB_DIGEST_SHA256, LAB_DIGEST_SHA1, LAB_DIGEST_MD5 };
enum lab_usage { LAB_USAGE_SERVER, LAB_USAGE_CLIENT,	/* extended key usage */
    LAB_USAGE_NONE };
enum lab_chain { LAB_CHAIN_FULL,	/* leaf, intermediates and, for
					 * PRIVATE, the root */
    LAB_CHAIN_LEAF,			/* nothing behind the leaf */
    LAB_CHAIN_NO_ROOT,			/* for PRIVATE: all but the root */
    LAB_CHAIN_REVERSED,			/* the leaf, then the others from the
					 * root down */
    LAB_CHAIN_DOUBLED,			/* each of the others twice */
    LAB_CHAIN_SURPLUS,			/* and, between, some that have nothing
					 * to do with it */
    LAB_CHAIN_GAP };			/* without the leaf's own issuer */

/* certificate NAME { ... }; a key of its own each. */
struct lab_certificate {
	char			*name;
	/* DNS names (SAN), "%HH" for a byte; none: CN only */
	struct lab_texts	 names;
	struct lab_texts	 addresses;	/* IP addresses (SAN) */
	char			*common_name;	/* "" : the first of names */
	char			*organization;	/* "" none */
	enum lab_issuer		 issuer;
	enum lab_validity	 validity;
	enum lab_key		 key;
	enum lab_digest		 digest;	/* its issuer signed with */
	enum lab_usage		 usage;
	int64_t			 intermediates;	/* 0 to 100 between it and the
						 * root */
	/* Of the leaf's issuer, when that is an intermediate: */
	enum lab_validity	 issuer_validity;
	bool			 issuer_authority;	/* no: CA is FALSE in it */
	enum lab_chain		 chain;
};

/* --- mail hosts --- */

enum lab_tls { LAB_TLS_STARTTLS, LAB_TLS_IMPLICIT, LAB_TLS_NONE };

enum lab_client_certificate { LAB_CLIENT_IGNORED, LAB_CLIENT_ASKED,
    LAB_CLIENT_DEMANDED };
enum lab_unknown_name { LAB_NAME_SERVED, LAB_NAME_ALERT,	/* fatal */
    LAB_NAME_WARNED };			/* warning alert, then served: TLS 1.2 */

/* Where the keyword REQUIRETLS (RFC 8689) stands in replies to EHLO. */
enum lab_requiretls { LAB_REQUIRETLS_NO, LAB_REQUIRETLS_YES,	/* under TLS */
    LAB_REQUIRETLS_CLEAR };		/* in clear, and not under TLS */

/* host NAME { ... }: an SMTP server. */
struct lab_host {
	char			*name;
	struct lab_texts	 addresses;	/* 192.0.2.N, 2001:db8::N */
	int64_t			 port;
	char			*certificate;	/* name of one; "" none */
	/* "SERVERNAME CERTIFICATE": shown when the client asks for it */
	struct lab_texts	 sni;
	enum lab_tls		 tls;
	struct lab_texts	 versions;	/* of TLS: 1.0 to 1.3; none
						 * given: 1.2 and 1.3 */
	char			*ciphers;	/* for TLS up to 1.2, in words
						 * of OpenSSL; "" its own */
	int64_t			 tickets;	/* TLS 1.3, after a handshake */
	enum lab_client_certificate client_certificate;
	/* What is done with clients that ask for no name, or for one that is
	 * not in sni: */
	enum lab_unknown_name	 unknown_name;
	enum lab_requiretls	 requiretls;
	/*
	 * "STAGE ACTION" or "STAGE#VISIT ACTION": what it does otherwise than
	 * a good server, in order; the first that fits rules. VISIT counts
	 * the connections to this host while the world stands: "2" the second
	 * one, "2-" from the second one on. What stages and actions mean is
	 * in mail_host.h. A reply has lines with "|" between and "%HH" for a
	 * byte.
	 */
	struct lab_texts	 behaviour;
	/* What sits in the path to it, from connecting on, "WORD" or
	 * "WORD#VISIT"; "" nothing. See path.h. */
	char			*path;
};

/* --- MTA-STS --- */

enum lab_line_ends { LAB_ENDS_CRLF, LAB_ENDS_LF };

/* policy DOMAIN { ... }: an HTTPS host and what it serves. The A record of
 * mta-sts.DOMAIN and the TXT of _mta-sts.DOMAIN are the zone's business. */
struct lab_policy {
	char			*domain;
	/* 203.0.113.N, 2001:db8:1::N; and, to see who goes there, 127.0.0.N
	 * (not 1), 10.0.0.N, 169.254.0.N */
	struct lab_texts	 addresses;
	char			*certificate;
	bool			 needs_name;	/* alert unless asked for
						 * mta-sts.DOMAIN (SNI) */
	struct lab_texts	 versions;	/* of TLS, as of a host */
	char			*body;		/* lines end in CRLF */
	enum lab_line_ends	 line_ends;	/* as they are sent */
	int64_t			 padding;	/* bytes of lines with an unknown
						 * key, behind the body */
	int64_t			 status;	/* 200 */
	char			*type;		/* text/plain */
	struct lab_texts	 headers;	/* further ones */
	char			*fault;		/* "" none; see policy_host.h */
};

/* --- the whole --- */

struct lab_world {
	struct lab_zone		*zones;
	size_t			 zone_count;
	struct lab_certificate	*certificates;
	size_t			 certificate_count;
	struct lab_host		*hosts;
	size_t			 host_count;
	struct lab_policy	*policies;
	size_t			 policy_count;
};

struct lab_fault {		/* fault NAME { sections of a world } */
	char			*name;
	struct lab_world	 changes;
	/* which options the file gave, by section and option: the reader's
	 * own; lab_world_with() uses it */
	void			*given;
};

/* What is seen from outside. */
enum lab_outcome {
	LAB_AUTHENTICATED,	/* delivered; and not in the twin world, where
				 * another key answers */
	LAB_ENCRYPTED,		/* delivered under TLS; in the twin, too */
	LAB_CLEAR,		/* delivered in clear */
	LAB_WAITING,		/* neither delivered nor bounced so far */
	LAB_DEFERRED,		/* waiting; and delivered once the faults are
				 * lifted and the queue is flushed */
	LAB_BOUNCED,		/* a DSN came to the sender */
	/* of a dialogue with the MTA as a server: */
	LAB_SAFE,		/* every move went as the file says */
	LAB_UNSAFE,		/* it did what it may not */
	LAB_UNSERVED,		/* it refused what it should do */
	LAB_OUTCOMES
};

struct lab_step {		/* step NAME { ... }, in order */
	char			*name;
	struct lab_texts	 faults;	/* in force during it */
	char			*to;		/* a new message, or "": the one
						 * of the step before */
	/* Of the new message: handed over under TLS, MAIL saying REQUIRETLS;
	 * further parameters of MAIL; lines of its header, and of its text
	 * before the usual one. */
	bool			 requiretls;
	char			*parameters;
	struct lab_texts	 header;
	struct lab_texts	 body;
	int64_t			 after;		/* seconds to wait first */
	bool			 flush;		/* the queue, first */
	enum lab_outcome	 expect;
	struct lab_texts	 accept;	/* other outcomes as correct */
	/* The one outcome that is correct in the strict profile; "" the same
	 * as in the profile of the RFCs. */
	char			*strict;
	/* RFC 8460 4.3: "RESULT-TYPE [POLICY-TYPE]", what a report has to
	 * say of it; none: nothing, or success. */
	struct lab_texts	 report;
	/* Of a notification to the sender: "requiretls" (its MAIL says it),
	 * and status codes ("5.7.30"), one of which it has to name. */
	struct lab_texts	 notification;
	/* The MTA's clock from here on: "+8d", "-1y"; units s m h d y; "" as
	 * it was. */
	char			*clock;
	/* Hosts that may not see a connection, or not a MAIL in clear. */
	struct lab_texts	 untouched;
	bool			 no_clear_mail;	/* default: expect is not clear */
	/* A dialogue with the MTA as a server takes the message's place: moves
	 * as in dialogue.h; and who must, or may not, get mail by it. */
	struct lab_texts	 dialogue;
	struct lab_texts	 arrives;
	struct lab_texts	 never;
};

/* sender { ... }: the MTA under test. "" is its default; words of
 * postern.conf(5). */
struct lab_sender {
	char			*level;
	char			*no_starttls;
	char			*broken_tls;
	char			*sts_with_dane;
	char			*insecure_mx;
	char			*memory;	/* the MTA is to remember TLS, see
						 * postern-lab(7) */
	/* "DOMAIN HOST PORT starttls|implicit" */
	struct lab_texts	 routes;
};

/* receiver { ... }: the MTA as a server. */
struct lab_receiver {
	/* smtp (always there), submission (STARTTLS), submissions (implicit
	 * TLS): what dialogues connect to */
	struct lab_texts	 services;
	char			*certificate;	/* "" one of the lab's own */
};

/* Which outcome is the correct one, and how the MTA is configured: as the RFCs
 * have it; or strictly, so that nothing goes in clear (`strict` of a step). */
enum lab_profile { LAB_PROFILE_RFC, LAB_PROFILE_STRICT };

struct lab_scenario {
	char			*name;		/* of the file */
	char			*title;
	struct lab_texts	 clauses;	/* "RFC 7672 3.1.1", "DANE-75" */
	struct lab_texts	 catalogue;	/* rows: "N-01"; catalogue.h */
	struct lab_texts	 source;	/* where it was seen or described */
	bool			 in_depth;	/* only in long runs */
	char			*text;		/* some sentences */
	struct lab_world	 world;
	struct lab_fault	*faults;
	size_t			 fault_count;
	struct lab_sender	 sender;
	struct lab_receiver	 receiver;
	struct lab_step		*steps;
	size_t			 step_count;
	struct arena		*arena;		/* owned: everything above */
};

/* Null with lines "FILE:LINE: what is wrong; what is accepted" in errors
 * (owned by the caller). Cross references (certificates, faults, hosts) are
 * checked. */
struct lab_scenario	*lab_scenario_read(const char *path, char **errors);
void			 lab_scenario_free(struct lab_scenario *scenario);
/* The world under these faults; in arena. */
struct lab_world	*lab_world_with(const struct lab_scenario *scenario,
			    const struct lab_texts *faults,
			    struct arena *arena);
bool			 lab_scenario_has_fault(
			    const struct lab_scenario *scenario,
			    const char *name);
const char		*lab_outcome_name(enum lab_outcome outcome);
/* Does a message of it ask for REQUIRETLS? */
bool			 lab_scenario_asks_requiretls(
			    const struct lab_scenario *scenario);

#endif
