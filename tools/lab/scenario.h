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
	LAB_STRIPPED		/* signed; the server leaves signatures out */
};
enum lab_validity { LAB_VALID, LAB_EXPIRED, LAB_FUTURE };
enum lab_denial { LAB_NSEC, LAB_NSEC3, LAB_NSEC3_OPT_OUT };
enum lab_dns_answer { LAB_ANSWER_TRUE, LAB_ANSWER_SERVFAIL,
    LAB_ANSWER_REFUSED, LAB_ANSWER_FORMERR, LAB_ANSWER_NOTIMP,
    LAB_ANSWER_NXDOMAIN,	/* forged: no proof with it */
    LAB_ANSWER_NODATA,		/* forged: no proof with it */
    LAB_ANSWER_SILENCE, LAB_ANSWER_TRUNCATED /* UDP only; TCP is silent */ };

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
	/* "OWNER TYPE ANSWER": what the server says to such questions; type
	 * ANY is every type; ANSWER as in enum lab_dns_answer, lower case. */
	struct lab_texts	 answers;
};

/* --- certificates --- */

enum lab_issuer { LAB_ISSUER_CA,	/* the lab's public authority, which
					 * the sender trusts */
    LAB_ISSUER_SELF,
    LAB_ISSUER_OTHER,			/* an authority nobody trusts */
    LAB_ISSUER_PRIVATE };		/* another, whose root is shown */

/* certificate NAME { ... }; a key of its own each. */
struct lab_certificate {
	char			*name;
	struct lab_texts	 names;		/* DNS names (SAN); none: CN */
	char			*common_name;	/* "" : the first of names */
	enum lab_issuer		 issuer;
	enum lab_validity	 validity;
	bool			 intermediate;	/* one between it and the CA */
	bool			 send_chain;	/* intermediates and, for
						 * PRIVATE, the root */
};

/* --- mail hosts --- */

enum lab_tls { LAB_TLS_STARTTLS, LAB_TLS_IMPLICIT, LAB_TLS_NONE };

/* host NAME { ... }: an SMTP server. */
struct lab_host {
	char			*name;
	struct lab_texts	 addresses;	/* 192.0.2.N, 2001:db8::N */
	int64_t			 port;
	char			*certificate;	/* name of one; "" none */
	/* "SERVERNAME CERTIFICATE": shown when the client asks for it */
	struct lab_texts	 sni;
	enum lab_tls		 tls;
	/*
	 * "STAGE ACTION": what it does otherwise than a good server, in order;
	 * the first that fits the stage rules. STAGE is connect, greeting,
	 * ehlo, starttls, handshake, secured (the EHLO under TLS), mail,
	 * rcpt, data, message, quit. ACTION is a reply ("454 4.7.0 not
	 * now"; lines with "|" between), or close, reset, stall, garbage,
	 * alert. For ehlo, a reply is said in place of the true one.
	 */
	struct lab_texts	 behaviour;
	/*
	 * What sits in the path to it, from connecting on: strip (STARTTLS
	 * taken out of the reply), mangle (the same length of X, banner and
	 * command overwritten, as an old firewall does), block (SYN dropped),
	 * reset, refuse, impostor (another server with the names and a key
	 * of its own; what it takes is lost). "" nothing.
	 */
	char			*path;
};

/* --- MTA-STS --- */

/* policy DOMAIN { ... }: an HTTPS host and what it serves. The A record of
 * mta-sts.DOMAIN and the TXT of _mta-sts.DOMAIN are the zone's business. */
struct lab_policy {
	char			*domain;
	char			*address;	/* 203.0.113.N */
	char			*certificate;
	char			*body;
	int64_t			 status;	/* 200 */
	char			*type;		/* text/plain */
	struct lab_texts	 headers;	/* further ones */
	char			*fault;		/* "", close, reset, stall, drip,
						 * short (less than announced),
						 * endless, block, refuse */
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
	LAB_OUTCOMES
};

struct lab_step {		/* step NAME { ... }, in order */
	char			*name;
	struct lab_texts	 faults;	/* in force during it */
	char			*to;		/* a new message, or "": the one
						 * of the step before */
	int64_t			 after;		/* seconds to wait first */
	bool			 flush;		/* the queue, first */
	enum lab_outcome	 expect;
	struct lab_texts	 accept;	/* other outcomes as correct */
	/* Hosts that may not see a connection, or not a MAIL in clear. */
	struct lab_texts	 untouched;
	bool			 no_clear_mail;	/* default: expect is not clear */
};

struct lab_sender {		/* sender { ... }: the MTA under test */
	char			*level;		/* "" its default */
	char			*no_starttls;
	char			*broken_tls;
	/* "DOMAIN HOST PORT starttls|implicit" */
	struct lab_texts	 routes;
};

struct lab_scenario {
	char			*name;		/* of the file */
	char			*title;
	struct lab_texts	 clauses;	/* "RFC 7672 3.1.1", "DANE-75" */
	char			*text;		/* some sentences */
	struct lab_world	 world;
	struct lab_fault	*faults;
	size_t			 fault_count;
	struct lab_sender	 sender;
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
const char		*lab_outcome_name(enum lab_outcome outcome);

#endif
