/* SPDX-License-Identifier: ISC */
/*
 * A second opinion on the plan, written from the standards' checklists and
 * plan.h, without a view of the code: what each source says about a host
 * stands in tables, a row with its clause, and what they say is then put
 * together. Where the clauses leave a choice, all that they allow is accepted.
 */
#ifndef POSTERN_TESTS_UNIT_POLICY_PLAN_ORACLE_H
#define POSTERN_TESTS_UNIT_POLICY_PLAN_ORACLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "tests/unit/policy_plan_world.h"

enum { ORACLE_CLAUSES_MAX = 24, ORACLE_HOSTS_MAX = 2, ORACLE_NAMES_MAX = 6 };

/* Whether the MX records, or whoever named the host, can be believed. */
enum oracle_path { PATH_TRUSTED, PATH_UNSIGNED, PATH_UNPROVEN, PATH_LITERAL,
    PATHS };

/* What came of the TLSA lookups of a host, all candidates together. */
enum oracle_found { FOUND_NONE, FOUND_USABLE, FOUND_UNUSABLE, FOUND_ERROR };

struct oracle_host {
	const char		*name;
	bool			 has_addresses;	/* without an error */
	enum oracle_found	 found;
	const char		*base;		/* of the set; or null */
	unsigned		 usable;	/* records */

	bool		 skip;
	bool		 lasting;	/* FAILED, not DEFERRED */
	bool		 nowhere;	/* it has no address */
	uint64_t	 skip_reasons;	/* bits: any of these */
	uint32_t	 skip_results;

	uint32_t	 requirements;	/* bits: any of these */
	uint32_t	 sources;
	bool		 asks_memory;
	bool		 also_name;
	bool		 expects_tls, requiretls;
	/* What does not bind: bits, any of these; not below the certain one
	 * where that is above the requirement. */
	uint32_t	 ideals;
	uint32_t	 ideal_sources;
	enum requirement certain_ideal;
};

struct oracle {
	struct oracle_host	 hosts[ORACLE_HOSTS_MAX];
	unsigned		 host_count;
	enum oracle_path	 path;
	uint32_t		 outcomes;	/* where nobody can be tried */

	enum conf_level		 level;		/* that is in force */
	bool			 advisory;	/* what is published is */
	bool			 alone;		/* level or pin: nothing else */
	bool			 asks_tlsa, asks_sts, asks_memory;
	enum conf_fallback	 no_starttls, broken_tls;
	uint64_t		 exception;
	bool			 pin_prints;	/* the pin's fingerprints */
	bool			 must_alarm;
	bool			 vanished_dane_must, vanished_dane_may;
	bool			 vanished_sts_must, vanished_sts_may;

	const char		*clauses[ORACLE_CLAUSES_MAX];
	unsigned		 clause_count;
};

void	 oracle_judge(const struct world *world, struct oracle *oracle);
/* Null: it may be asked after those of the log. Otherwise the clause. */
const char	*oracle_forbids(const struct world *world,
		    const struct oracle *oracle, const struct plan_query *log,
		    size_t count, const struct plan_query *query);
/* The names that must be accepted for what is asked of a host, a set of which
 * the first is first where it is REQUIRE_DANE. False: any. */
bool	 oracle_names(const struct world *world, const struct oracle *oracle,
	    const struct oracle_host *host, enum requirement requirement,
	    uint32_t source, const char *names[ORACLE_NAMES_MAX]);

#endif
