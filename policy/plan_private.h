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
#define CLAUSE_DISCOVERY	"RFC 8461 3.1"
#define CLAUSE_REQUIRETLS	"RFC 8689 4.2.1"
#define CLAUSE_OPTIONAL		"RFC 8689 4.2.2"

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
	STS_NOTHING,		/* no policy that means anything */
	STS_TESTING,
	STS_ENFORCE,
	STS_UNKNOWN		/* discovery failed, and there is time to wait */
};

/* What becomes of what recipients publish: TLSA records, MTA-STS policies. */
enum heed {
	HEED_NOTHING,		/* the level decides alone: not looked at */
	HEED_GLANCE,		/* a level or an exception overrides it: looked
				 * at where that costs little, to be told */
	HEED_TRY,		/* all of it is looked up, and nothing binds */
	HEED_BIND
};

/* A host of the plan in the making. */
struct prospect {
	struct plan_host	 host;
	enum dane_state		 dane;
	bool			 dane_unknown;	/* a lookup on the way failed */
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

	/* what counts for this message: planner_settle() */
	enum conf_level		 level;
	const struct plan_exception *exception;	/* that decides, or null */
	const struct plan_pin	*pin;		/* that binds, or null */
	bool			 overridden;	/* the level or an exception
						 * is above what is published */
	enum heed		 heed;
	bool			 heeds_sts;	/* MTA-STS is part of it */

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
	const struct fact_sts	*sts_policy;	/* STS_ENFORCE, STS_TESTING */
	bool			 sts_failed;	/* discovery did */
	bool			 sts_absent;	/* known to be none */
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
/* What is published does not bind. It is looked at to be tried, told and
 * counted; a lookup that fails keeps no host from being used. */
bool	 planner_is_advisory(const struct planner *planner);
/* An MTA-STS policy to enforce, and it binds. */
bool	 planner_sts_binds(const struct planner *planner);
/* A policy to enforce has the host's name, whether or not it binds. */
bool	 planner_sts_vouches(const struct planner *planner,
	    const struct plan_host *host);

void	 planner_note(struct planner *planner, const char *subject,
	    const char *clause, const char *format, ...)
	    __attribute__((format(printf, 4, 5)));
/* The first one stays. */
void	 planner_alarm(struct planner *planner, const char *format, ...)
	    __attribute__((format(printf, 2, 3)));
/* The host is not to be used: 4.7.5, for a reason and a result to count that
 * stand in skipped. */
struct skip {
	const char		*clause;
	enum status_reason	 reason;
	enum tls_result		 result;
};
void	 prospect_skip(struct planner *planner, struct prospect *prospect,
	    const struct skip *skip, const char *format, ...)
	    __attribute__((format(printf, 4, 5)));
/* The same because REQUIRETLS can never be fulfilled there: 5.7.10. */
void	 prospect_skip_for_good(struct planner *planner,
	    struct prospect *prospect, const char *format, ...)
	    __attribute__((format(printf, 3, 4)));
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

/* --- plan_level.c, plan_names.c, plan_key.c --- */

/* Which level, exception and pin count, and whether what is published binds:
 * before the stages. */
void	 planner_settle(struct planner *planner);
/* Does the level show whom mail is said to without the word of MX records?
 * Level verify and its pin believe the names that those give. */
bool	 planner_needs_no_mx(const struct planner *planner);
void	 prospect_require(struct prospect *prospect,
	    enum requirement requirement, enum plan_source source);
void	 prospect_require_level(struct planner *planner,
	    struct prospect *prospect);
void	 prospect_require_pin(struct planner *planner,
	    struct prospect *prospect);

/* Each sets names anew: of the level; for usage 2; the host's own only. */
void	 prospect_level_names(const struct planner *planner,
	    struct prospect *prospect);
void	 prospect_dane_names(const struct planner *planner,
	    struct prospect *prospect);
void	 prospect_own_name(const struct planner *planner,
	    struct prospect *prospect);
/* Adds the host's own. */
void	 prospect_add_own_name(const struct planner *planner,
	    struct prospect *prospect);
/* Is the host named by an address? */
bool	 prospect_is_address(const struct prospect *prospect);

void	 planner_set_key(struct plan *plan);
/* For counting: never 0. */
uint64_t planner_digest_records(struct planner *planner,
	    const struct fact *fact);
uint64_t planner_digest_policy(const struct sts_policy *policy);

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
/* Parts of it: usable TLSA records, with a policy that binds as well; a
 * policy; REQUIRETLS; and what is only tried. */
void		 prospect_require_dane(struct planner *planner,
		    struct prospect *prospect, bool also_name);
void		 prospect_require_sts(struct planner *planner,
		    struct prospect *prospect);
void		 prospect_require_requiretls(struct planner *planner,
		    struct prospect *prospect);
void		 prospect_set_ideal(struct planner *planner,
		    struct prospect *prospect);
enum step	 plan_stage_memory(struct planner *planner);
/* The end: the hosts, the key, the status when none can be tried. */
enum step	 plan_stage_finish(struct planner *planner);

#endif
