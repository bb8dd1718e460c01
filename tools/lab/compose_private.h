/* SPDX-License-Identifier: ISC */
/*
 * A world in the making. First it is drawn: parts (compose_dns.c,
 * compose_host.c, compose_sts.c) change the plan, which starts from a good
 * world. Then it is built: the facts for the oracle (compose_facts.c), and
 * zones, hosts and policy, once good and once broken (compose_world.c).
 * Everything is in the arena.
 */
#ifndef POSTERN_TOOLS_LAB_COMPOSE_PRIVATE_H
#define POSTERN_TOOLS_LAB_COMPOSE_PRIVATE_H

#include "tools/lab/oracle.h"
#include "tools/lab/scenario.h"

struct arena;

enum { PLAN_HOSTS = 3, PLAN_PARTS = 8, PLAN_CERTIFICATES = 16 };

/* What goes wrong with one question. The sets first: their signatures. */
enum trouble { TROUBLE_NONE, TROUBLE_EXPIRED, TROUBLE_FUTURE,
    TROUBLE_UNSIGNED, TROUBLE_TAMPERED, TROUBLE_SERVFAIL, TROUBLE_REFUSED,
    TROUBLE_FORMERR, TROUBLE_NOTIMP, TROUBLE_NXDOMAIN, TROUBLE_NODATA,
    TROUBLE_SILENCE, TROUBLE_TRUNCATED, TROUBLE_TCP_ONLY, TROUBLE_LATE,
    TROUBLE_EMPTY, TROUBLE_OTHER_PROOF, TROUBLE_GARBAGE,
    TROUBLE_SHAKY,		/* SERVFAIL from one of two servers */
    TROUBLES };

enum { ZONE_DOMAIN, ZONE_PROVIDER, PLAN_ZONES };

struct zone_plan {
	enum lab_signing	 signing;
	enum lab_validity	 validity;
	enum lab_denial		 denial;
	int64_t			 iterations;
};

/* How TLSA records are found. */
enum tlsa_way { TLSA_DIRECT, TLSA_WILDCARD, TLSA_ALIAS_SAME, TLSA_ALIAS_OTHER,
    TLSA_ALIAS_DANGLING };

struct tlsa_plan {
	struct lab_tlsa_fact	 records[LAB_FACT_RECORDS];
	const char		*raw[LAB_FACT_RECORDS];	/* data, or null */
	size_t			 count;
	enum tlsa_way		 way;
	enum trouble		 trouble;
};

struct host_plan {
	int			 zone;		/* of its name */
	int			 target_zone;	/* of its alias; -1: none */
	enum trouble		 address_trouble;
	struct tlsa_plan	 tlsa, target_tlsa;
	struct lab_host		 host;		/* as it is when broken */
	struct lab_certificate	*certificate;	/* what it shows */
	struct lab_certificate	*good, *other;	/* never shown: other */
	enum lab_wire		 wire;
	enum lab_taking		 taking;
	bool			 once, has_wire, has_sni;
	const char		*name, *target;	/* set when it is built */
};

struct sts_plan {
	bool			 there;
	enum trouble		 trouble;	/* of the record */
	bool			 alias;		/* the record is at the
						 * provider's */
	enum lab_sts_record	 record;
	const char		*texts[2];	/* of the record; "%d" id */
	enum lab_sts_fetch	 fetch;
	enum lab_sts_mode	 mode, mode_before;
	struct lab_texts	 patterns;	/* empty: every host's name */
	struct lab_texts	 body;		/* empty: made of the above */
	struct lab_policy	 host;		/* what is otherwise there */
	bool			 no_address, has_body, has_fetch;
	bool			 cached, same_id;
};

struct plan {
	struct arena		*arena;
	uint64_t		 state;		/* of the generator */
	struct zone_plan	 zones[PLAN_ZONES];
	struct host_plan	 hosts[PLAN_HOSTS];
	size_t			 host_count;
	enum trouble		 mx_trouble;
	enum { MX_USUAL, MX_NULL, MX_IMPLICIT } mx;
	struct sts_plan		 sts;
	enum lab_level		 level;
	struct lab_certificate	 certificates[PLAN_CERTIFICATES];
	size_t			 certificate_count;
	const char		*parts[PLAN_PARTS];
	size_t			 part_count;

	/* built */
	struct lab_facts	 facts, good_facts;
};

/* --- chance: compose.c --- */

unsigned	 plan_below(struct plan *plan, unsigned limit);
bool		 plan_chance(struct plan *plan, unsigned percent);
void		 texts_add(struct plan *plan, struct lab_texts *texts,
		    const char *format, ...)
		    __attribute__((format(printf, 3, 4)));
struct lab_certificate	*plan_certificate(struct plan *plan,
			    const char *name);

/* --- parts: compose_dns.c, compose_host.c, compose_sts.c --- */

/* Changes the plan; what does not fit into it is left as it is. */
struct part {
	const char	*name;
	void		(*apply)(struct plan *plan, struct host_plan *host,
			    int which);
	int		 which;
	int		 among;		/* one of so many from there on; 0
					 * is one */
};

struct part_list {
	const struct part	*parts;
	size_t			 count;
};

extern const struct part_list	 dns_parts, tlsa_parts, certificate_parts,
				 host_parts, sts_parts;

/* A good record of the DANE-EE or DANE-TA kind, where there is none yet. */
void	 plan_dane(struct plan *plan, struct host_plan *host);
void	 plan_unusable(struct plan *plan, struct host_plan *host);
/* Once all parts are applied. */
void	 plan_settle(struct host_plan *host);

/* --- building: compose_facts.c, compose_world.c --- */

/* Names first: parts may not need them, oracles do. */
void	 plan_name(struct plan *plan);
/* -1 when the parts do not go together. */
int	 plan_find_facts(struct plan *plan);
/* World and fault "broken", into a scenario that is all zero but its arena. */
void	 plan_build(struct plan *plan, struct lab_scenario *scenario);

#endif
