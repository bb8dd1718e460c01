/* SPDX-License-Identifier: ISC */
/*
 * What the stages of plan_step() share: one run over the facts, the hosts that
 * it works on, and how a stage asks, tells and ends. For policy/plan_*.c only.
 * All of it lives in the arena of one run; facts are borrowed.
 */
#ifndef POSTERN_POLICY_PLAN_PRIVATE_H
#define POSTERN_POLICY_PLAN_PRIVATE_H

#include "policy/plan.h"

/* Clauses that more than one stage goes by. */
#define CLAUSE_LOOKUP_ERROR	"RFC 7672 2.1.2"
#define CLAUSE_DANE		"RFC 7672 2.2"
#define CLAUSE_DANE_MX		"RFC 7672 2.2.1"
#define CLAUSE_STS		"RFC 8461 5"

enum step { STEP_NEXT, STEP_NEED, STEP_DONE };

/* How the names of the hosts came to be known: what DANE builds upon. */
enum plan_path {
	PATH_UNKNOWN,
	PATH_ADDRESS,		/* the next hop is an address */
	PATH_NAME,		/* written by the administrator, or a domain
				 * that provably has no MX */
	PATH_NAME_UNPROVEN,	/* no MX, but nothing proves it */
	PATH_MX,		/* secure MX records */
	PATH_MX_INSECURE
};

enum dane_state {
	DANE_NOTHING,		/* DANE does not apply to the host */
	DANE_RECORDS,		/* secure records, none to authenticate with */
	DANE_USABLE
};

enum sts_state {
	STS_NOTHING,		/* no policy that binds */
	STS_ENFORCE,
	STS_UNKNOWN		/* discovery failed, and there is time to wait */
};

/* A host of the plan in the making. */
struct prospect {
	struct plan_host	 host;
	enum dane_state		 dane;
	char			 base[256];	/* TLSA base domain */
	struct dane_record	*usable;
	size_t			 usable_count;
};

/* One run. */
struct planner {
	const struct plan_facts	*facts;
	struct arena		*arena;
	struct plan_query	*query;
	struct plan		*plan;
	const char		*name;		/* the next hop */
	enum plan_path		 path;
	struct prospect		*prospects;
	size_t			 prospect_count;
	size_t			 tlsa_bytes;

	/* what stopped hosts from being used: the first is what is told */
	const struct fact	*error;
	bool			 met_self;
	bool			 met_unusable;
	/* A host that DANE may hold for, by the records of its alias, and
	 * whose addresses nobody signed (RFC 7672 2.2.2): what is wrong with
	 * them may be a forger's doing. */
	bool			 met_unsigned;

	/* set by the MX stage, for reference names: DANE-107 */
	const char		*expanded;	/* alias of the next hop, or "" */

	enum sts_state		 sts;
	const struct fact_sts	*sts_policy;	/* STS_ENFORCE */
};

/* --- plan_facts.c --- */

const struct fact	*planner_find(const struct planner *planner,
			    enum query_type type, const char *name);
/* The fact, or null after noting it as what is needed next. */
const struct fact	*planner_want(struct planner *planner,
			    enum query_type type, const char *name);
bool	 fact_is_error(const struct fact *fact);
/* The policy of an MTA-STS fact, or null. */
const struct fact_sts	*fact_policy(const struct fact *fact);
/* An address in any form, with or without brackets. */
bool	 planner_parse_address(const char *name, uint16_t port,
	    struct endpoint *endpoint);
enum conf_level	 planner_level(const struct planner *planner);
/* Levels none and may: what is published is looked at only to be able to say
 * that it is overridden. */
bool	 planner_is_advisory(const struct planner *planner);

void	 planner_note(struct planner *planner, const char *subject,
	    const char *clause, const char *format, ...)
	    __attribute__((format(printf, 4, 5)));
/* The first one stays. */
void	 planner_alarm(struct planner *planner, const char *format, ...)
	    __attribute__((format(printf, 2, 3)));
/* The host is not to be used because of policy: 4.7.5. */
void	 prospect_skip(struct planner *planner, struct prospect *prospect,
	    const char *clause, const char *format, ...)
	    __attribute__((format(printf, 4, 5)));
/* The same because of a failed lookup. */
void	 prospect_skip_lookup(struct planner *planner,
	    struct prospect *prospect, const struct fact *fact);
enum step	 planner_end_error(struct planner *planner,
		    const struct fact *fact);
/* What the DNS says is not authentic enough to go by. */
enum step	 planner_end_deferred(struct planner *planner,
		    const char *clause, const char *text);
/* Nobody to send to, for good; unless a policy in force says otherwise. */
enum step	 planner_end_failed(struct planner *planner,
		    enum status_reason reason, const char *enhanced,
		    const char *text);

/* --- the stages, in their order; a host's TLSA records are a step of the
 * third --- */

enum step	 plan_stage_literal(struct planner *planner);
enum step	 plan_stage_mx(struct planner *planner);
enum step	 plan_stage_hosts(struct planner *planner);
enum step	 plan_find_dane(struct planner *planner,
		    struct prospect *prospect);
/* Is MTA-STS not asked about this host? */
bool		 planner_dane_decides(const struct planner *planner,
		    const struct prospect *prospect);
enum step	 plan_stage_sts(struct planner *planner);
enum step	 plan_stage_requirement(struct planner *planner);
/* The end: the hosts, the key, the status when none can be tried. */
enum step	 plan_stage_finish(struct planner *planner);

#endif
