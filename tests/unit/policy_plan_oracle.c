/* SPDX-License-Identifier: ISC */
/*
 * Tables first, in the order of the standards: the path to the host, its
 * addresses, its TLSA records, the policy, the level, memory, the pin, the
 * sender's wish. ANY in a row matches everything; the first row that matches
 * counts.
 */
#include "tests/unit/policy_plan_oracle.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define BIT(value) ((uint32_t)1 << (value))

enum { ANY = -1, NO_REQUIREMENT = -2, SKIP = -3 };

static bool is(int row, int value)
{
	return row == ANY || row == value;
}

static void cite(struct oracle *oracle, const char *clause)
{
	for (unsigned i = 0; i < oracle->clause_count; i++)
		if (strcmp(oracle->clauses[i], clause) == 0)
			return;
	if (oracle->clause_count < ORACLE_CLAUSES_MAX)
		oracle->clauses[oracle->clause_count++] = clause;
}

/* Who named the host. A plan that has none ends with one of the outcomes;
 * remembered: with the policy of a domain that is said not to be there. */
static const struct {
	enum oracle_path	 path;
	int			 outcome, remembered;
	const char		*clause;
} hop_rows[HOPS] = {
	[HOP_MX_SECURE] = { PATH_TRUSTED, 0, 0, "DANE-33" },
	[HOP_MX_UNSIGNED] = { PATH_UNSIGNED, 0, 0, "DANE-33" },
	[HOP_NO_MX] = { PATH_TRUSTED, 0, 0, "DANE-25" },
	[HOP_NO_MX_UNSIGNED] = { PATH_UNPROVEN, 0, 0, "M-14" },
	[HOP_ROUTE] = { PATH_TRUSTED, 0, 0, "DANE-23" },
	[HOP_ROUTE_MX] = { PATH_TRUSTED, 0, 0, "DANE-24" },
	[HOP_MX_ALIAS] = { PATH_TRUSTED, 0, 0, "DANE-32" },
	[HOP_LITERAL] = { PATH_LITERAL, 0, 0, "DANE-20 STS-4" },
	[HOP_MX_ERROR] = { PATHS, STATUS_DEFERRED, STATUS_DEFERRED, "DANE-9" },
	[HOP_MX_BOGUS] = { PATHS, STATUS_DEFERRED, STATUS_DEFERRED, "DANE-7" },
	[HOP_NULL_MX] = { PATHS, STATUS_FAILED, STATUS_DEFERRED, "DANE-26" },
	[HOP_NULL_MX_UNSIGNED] = { PATHS, STATUS_FAILED, STATUS_DEFERRED,
	    "DANE-26" },
	[HOP_NXDOMAIN] = { PATHS, STATUS_FAILED, STATUS_DEFERRED,
	    "SMTP-168" },
	[HOP_NXDOMAIN_UNSIGNED] = { PATHS, STATUS_FAILED, STATUS_DEFERRED,
	    "SMTP-168" },
};

/* The names at which TLSA records are looked for, in order. */
enum candidates { CANDIDATES_NONE, CANDIDATES_NAME, CANDIDATES_BOTH,
    CANDIDATES_UNKNOWN };

static const struct {
	enum { HAS, HAS_NONE, FAILS, IS_BOGUS } state;
	enum candidates	 candidates;
	const char	*clause;
} address_rows[ADDRESSES] = {
	[ADDRESS_SECURE] = { HAS, CANDIDATES_NAME, "DANE-48" },
	[ADDRESS_INSECURE] = { HAS, CANDIDATES_NONE, "DANE-47" },
	[ADDRESS_ALIAS_SECURE] = { HAS, CANDIDATES_BOTH, "DANE-51" },
	[ADDRESS_ALIAS_OUT] = { HAS, CANDIDATES_NAME, "DANE-50" },
	[ADDRESS_ALIAS_INSECURE] = { HAS, CANDIDATES_NONE, "DANE-49" },
	[ADDRESS_ALIAS_ERROR] = { HAS, CANDIDATES_UNKNOWN,
	    "DANE-17 DANE-11" },
	[ADDRESS_ALIAS_BOGUS] = { HAS, CANDIDATES_UNKNOWN,
	    "DANE-17 DANE-11" },
	[ADDRESS_ONLY_A] = { HAS, CANDIDATES_NAME, "DANE-48" },
	[ADDRESS_ONLY_AAAA] = { HAS, CANDIDATES_NAME, "DANE-48" },
	[ADDRESS_A_SECURE] = { HAS, CANDIDATES_NAME, "DANE-53" },
	[ADDRESS_AAAA_SECURE] = { HAS, CANDIDATES_NAME, "DANE-53" },
	[ADDRESS_NONE] = { HAS_NONE, CANDIDATES_NONE, "DANE-46" },
	[ADDRESS_NONE_UNSIGNED] = { HAS_NONE, CANDIDATES_NONE, "DANE-46" },
	[ADDRESS_NXDOMAIN] = { HAS_NONE, CANDIDATES_NONE, "DANE-46" },
	[ADDRESS_ERROR] = { FAILS, CANDIDATES_NONE, "DANE-10" },
	[ADDRESS_BOGUS] = { IS_BOGUS, CANDIDATES_NONE, "DANE-7 DANE-10" },
	/* The family that answered is secure, and enough. */
	[ADDRESS_A_ERROR] = { HAS, CANDIDATES_NAME, "DANE-53" },
	[ADDRESS_AAAA_ERROR] = { HAS, CANDIDATES_NAME, "DANE-53" },
	/* Both are of one name: the zone is known to be insecure. */
	[ADDRESS_A_INSECURE_ERROR] = { HAS, CANDIDATES_NONE, "DANE-47" },
	[ADDRESS_AAAA_INSECURE_ERROR] = { HAS, CANDIDATES_NONE, "DANE-47" },
};

static const struct {
	enum oracle_found	 found;
	unsigned		 usable;
	const char		*clause;
} tlsa_rows[TLSAS] = {
	[TLSA_NODATA] = { FOUND_NONE, 0, "DANE-6 DANE-59" },
	[TLSA_EE] = { FOUND_USABLE, 1, "DANE-70" },
	[TLSA_TA] = { FOUND_USABLE, 1, "DANE-70" },
	[TLSA_MIXED] = { FOUND_USABLE, 1, "DANE-71 DANE-72" },
	[TLSA_UNUSABLE] = { FOUND_UNUSABLE, 0, "DANE-71" },
	[TLSA_MALFORMED] = { FOUND_UNUSABLE, 0, "DANE-73" },
	[TLSA_NODATA_UNSIGNED] = { FOUND_NONE, 0, "DANE-6" },
	[TLSA_UNSIGNED] = { FOUND_NONE, 0, "DANE-59" },
	[TLSA_NXDOMAIN] = { FOUND_NONE, 0, "DANE-6" },
	[TLSA_ERROR] = { FOUND_ERROR, 0, "DANE-62" },
	[TLSA_BOGUS] = { FOUND_ERROR, 0, "DANE-7 DANE-62" },
};

/* What DANE asks. insecure_mx is the world's number: dane, encrypt, may. */
enum { FREELY = 2 };

static const struct dane_row {
	int		 path, insecure_mx, found;
	int		 requirement;	/* or NO_REQUIREMENT, SKIP */
	enum plan_source source;
	const char	*clause;
} dane_rows[] = {
	{ PATH_LITERAL, ANY, ANY, NO_REQUIREMENT, 0, "DANE-20" },
	{ PATH_UNPROVEN, ANY, ANY, NO_REQUIREMENT, 0, "M-14" },
	{ PATH_TRUSTED, ANY, FOUND_USABLE, REQUIRE_DANE, SOURCE_DANE,
	    "DANE-75" },
	{ PATH_TRUSTED, ANY, FOUND_UNUSABLE, REQUIRE_ENCRYPTED, SOURCE_DANE,
	    "DANE-76" },
	{ PATH_TRUSTED, ANY, FOUND_ERROR, SKIP, 0, "DANE-11 DANE-12" },
	{ PATH_TRUSTED, ANY, FOUND_NONE, NO_REQUIREMENT, 0, "DANE-63" },
	{ ANY, FREELY, ANY, NO_REQUIREMENT, 0, "DANE-35" },
	{ ANY, 1, FOUND_USABLE, REQUIRE_ENCRYPTED, SOURCE_HALF_DANE,
	    "DANE-36" },
	{ ANY, 0, FOUND_USABLE, REQUIRE_DANE, SOURCE_HALF_DANE, "DANE-36" },
	{ ANY, ANY, FOUND_UNUSABLE, REQUIRE_ENCRYPTED, SOURCE_HALF_DANE,
	    "DANE-36 DANE-76" },
	{ ANY, ANY, FOUND_ERROR, SKIP, 0, "DANE-36 DANE-11" },
	{ ANY, ANY, FOUND_NONE, NO_REQUIREMENT, 0, "DANE-35" },
};

/* What the policy asks; tried: it only would ask, where the mode is testing. */
enum says { SAYS_NOTHING, SAYS_NAME, SAYS_SKIP, SAYS_WAIT, SAYS_UNKNOWN };

static const struct sts_row {
	enum says	 binding;
	bool		 tried, may_be_tried;
	const char	*clause;
} sts_rows[STS_STATES] = {
	[STS_NONE] = { SAYS_NOTHING, false, false, "STS-8" },
	[STS_ENFORCE] = { SAYS_NAME, false, false, "STS-60 STS-70" },
	[STS_ENFORCE_OTHER] = { SAYS_SKIP, false, false, "STS-55 STS-78" },
	[STS_TESTING] = { SAYS_NOTHING, true, true, "STS-71" },
	[STS_TESTING_OTHER] = { SAYS_NOTHING, false, true, "STS-71 STS-78" },
	[STS_OFF] = { SAYS_NOTHING, false, false, "STS-72" },
	[STS_UNKNOWN_EARLY] = { SAYS_WAIT, false, false, "STS-17" },
	[STS_UNKNOWN_LATE] = { SAYS_UNKNOWN, false, false, "STS-17" },
};

/* Does the policy bind beside what DANE asks? both: the world's number. */
static const struct meeting_row {
	int		 source, requirement, both;
	bool		 binds;
	const char	*clause;
} meeting_rows[] = {
	{ SOURCE_DANE, REQUIRE_DANE, 0, false, "DANE-139" },
	{ SOURCE_DANE, REQUIRE_DANE, 1, true, "DANE-139" },
	{ ANY, ANY, ANY, true, "STS-70" },
};

enum demand { DEMAND_NOTHING, DEMAND_DANE, DEMAND_EITHER, DEMAND_PROOF };

static const struct level_row {
	enum requirement	 least;
	enum plan_source	 source;
	bool			 dane, sts;	/* heeded */
	enum demand		 demand;
	bool			 alone;		/* decides by itself */
	bool			 overrides;	/* what is published */
	const char		*clause;
} level_rows[LEVEL_COUNT] = {
	[LEVEL_AUTO] = { REQUIRE_OPPORTUNISTIC, SOURCE_NONE, true, true,
	    DEMAND_NOTHING, false, false, "TLS-72" },
	[LEVEL_NONE] = { REQUIRE_CLEAR, SOURCE_NONE, true, true,
	    DEMAND_NOTHING, false, true, "TLS-70" },
	[LEVEL_MAY] = { REQUIRE_OPPORTUNISTIC, SOURCE_NONE, true, true,
	    DEMAND_NOTHING, false, true, "TLS-71a" },
	[LEVEL_ENCRYPT] = { REQUIRE_ENCRYPTED, SOURCE_LEVEL, true, true,
	    DEMAND_NOTHING, false, false, "TLS-71a TLS-73" },
	[LEVEL_DANE] = { REQUIRE_OPPORTUNISTIC, SOURCE_NONE, true, false,
	    DEMAND_NOTHING, false, false, "TLS-71b" },
	[LEVEL_DANE_ONLY] = { REQUIRE_OPPORTUNISTIC, SOURCE_NONE, true, false,
	    DEMAND_DANE, false, false, "DANE-133 DANE-134" },
	[LEVEL_STS] = { REQUIRE_OPPORTUNISTIC, SOURCE_NONE, true, true,
	    DEMAND_EITHER, false, false, "TLS-71b" },
	[LEVEL_STRICT] = { REQUIRE_OPPORTUNISTIC, SOURCE_NONE, true, true,
	    DEMAND_PROOF, false, false, "TLS-71b" },
	[LEVEL_VERIFY] = { REQUIRE_NAME, SOURCE_LEVEL, false, false,
	    DEMAND_NOTHING, true, false, "TLS-71b" },
	[LEVEL_SECURE] = { REQUIRE_NAME, SOURCE_LEVEL, false, false,
	    DEMAND_NOTHING, true, false, "TLS-71b TLS-101" },
	[LEVEL_FINGERPRINT] = { REQUIRE_FINGERPRINT, SOURCE_LEVEL, false,
	    false, DEMAND_NOTHING, true, false, "TLS-73" },
};

/* What satisfies a demand: DANE's source and requirement, or a policy. Half
 * DANE proves nothing about the domain (DANE-38, DANE-134). */
static const struct {
	enum demand	 demand;
	int		 source, requirement;	/* NO_REQUIREMENT: by policy */
	const char	*clause;
} demand_rows[] = {
	{ DEMAND_DANE, SOURCE_DANE, REQUIRE_DANE, "DANE-133" },
	{ DEMAND_EITHER, SOURCE_DANE, REQUIRE_DANE, "TLS-71b" },
	{ DEMAND_EITHER, SOURCE_DANE, REQUIRE_ENCRYPTED, "TLS-71b" },
	{ DEMAND_EITHER, SOURCE_STS, NO_REQUIREMENT, "STS-70" },
	{ DEMAND_PROOF, SOURCE_DANE, REQUIRE_DANE, "TLS-71b" },
	{ DEMAND_PROOF, SOURCE_STS, NO_REQUIREMENT, "STS-70" },
};

/* Is TLS expected of the first host, of the second, of a literal? */
static const struct {
	bool	 first, second, literal, dane, sts;
} memory_rows[MEMORY_FACTS] = {
	[MEMORY_NOTHING] = { false, false, false, false, false },
	[MEMORY_OF_HOST] = { true, false, true, false, false },
	[MEMORY_OF_DOMAIN] = { true, true, false, false, false },
	[MEMORY_OLD_HOST] = { false, true, false, false, false },
	[MEMORY_OF_PUBLISHED] = { false, false, false, true, true },
	[MEMORY_OF_ALL] = { true, true, true, true, true },
};

/* The world's numbers of the ladder. */
enum { LADDER_WARN, LADDER_DEFER, LADDER_OBSERVE };

static const struct {
	int		 least;
	bool		 alone;
	const char	*clause;
} pin_rows[WORLD_PINS] = {
	[WORLD_PIN_NONE] = { NO_REQUIREMENT, false, "" },
	[WORLD_PIN_ENCRYPT] = { REQUIRE_ENCRYPTED, false, "pin encrypt" },
	[WORLD_PIN_VERIFY] = { REQUIRE_NAME, false, "pin verify" },
	[WORLD_PIN_FINGERPRINT] = { REQUIRE_FINGERPRINT, true,
	    "pin fingerprint" },
};

/* How the administrator's own words authenticate: by the host's name, which
 * may have come from DNS, or without DNS. */
enum own { OWN_NOTHING, OWN_HOST, OWN_DOMAIN };
enum policy { POLICY_NONE, POLICY_MATCHES, POLICY_UNKNOWN };
enum demanded { DEMANDED_ENOUGH, DEMANDED_NAME, DEMANDED_NAME_BY_POLICY,
    DEMANDED_WAIT, DEMANDED_FAIL };

static const struct requiretls_row {
	int		 path, own, policy;
	enum demanded	 outcome;
	const char	*clause;
} requiretls_rows[] = {
	{ PATH_LITERAL, OWN_NOTHING, ANY, DEMANDED_FAIL, "REQ-35 REQ-36" },
	{ PATH_LITERAL, ANY, ANY, DEMANDED_ENOUGH, "REQ-35" },
	{ PATH_UNSIGNED, OWN_DOMAIN, ANY, DEMANDED_ENOUGH, "REQ-33 REQ-35" },
	{ PATH_UNSIGNED, ANY, POLICY_MATCHES, DEMANDED_NAME_BY_POLICY,
	    "REQ-31" },
	{ PATH_UNSIGNED, ANY, POLICY_UNKNOWN, DEMANDED_WAIT, "REQ-45" },
	{ PATH_UNSIGNED, ANY, ANY, DEMANDED_FAIL, "REQ-31 REQ-32" },
	{ PATH_TRUSTED, ANY, ANY, DEMANDED_NAME, "REQ-35 REQ-36 REQ-39" },
	{ PATH_UNPROVEN, ANY, ANY, DEMANDED_NAME, "REQ-33 REQ-36" },
};

/* Reading the world. */

static bool exception_holds(const struct world *world)
{
	return world->at[AT_EXCEPTION] != WORLD_EXCEPTION_NO &&
	    world->at[AT_MESSAGE_LEVEL] == 0;
}

static enum conf_level level_in_force(const struct world *world)
{
	static const enum conf_level of_exception[] = { LEVEL_AUTO, LEVEL_NONE,
	    LEVEL_MAY, LEVEL_ENCRYPT };

	if (world->at[AT_MESSAGE_LEVEL] != 0)
		return (enum conf_level)(world->at[AT_MESSAGE_LEVEL] - 1);
	if (exception_holds(world))
		return of_exception[world->at[AT_EXCEPTION]];
	return world->at[AT_LEVEL];
}

/* Pins do not bind under an exception, nor under the message's own none and
 * may. */
static unsigned pin_in_force(const struct world *world)
{
	bool own = world->at[AT_MESSAGE_LEVEL] != 0 &&
	    level_rows[world->at[AT_MESSAGE_LEVEL] - 1].overrides;

	return exception_holds(world) || own ? WORLD_PIN_NONE :
	    world->at[AT_PIN];
}

static bool policy_is_remembered(const struct world *world)
{
	return world->at[AT_STS_CACHED] != 0 &&
	    (world->at[AT_STS] == STS_ENFORCE ||
	    world->at[AT_STS] == STS_ENFORCE_OTHER);
}

static const struct dane_row *dane_row(const struct world *world,
    const struct oracle *oracle, const struct oracle_host *host)
{
	for (size_t i = 0; i < COUNT(dane_rows); i++)
		if (is(dane_rows[i].path, (int)oracle->path) &&
		    is(dane_rows[i].insecure_mx, world->at[AT_INSECURE_MX]) &&
		    is(dane_rows[i].found, (int)host->found))
			return &dane_rows[i];
	return NULL;
}

static bool policy_binds(const struct world *world, struct oracle *oracle,
    const struct dane_row *dane)
{
	for (size_t i = 0; i < COUNT(meeting_rows); i++) {
		const struct meeting_row *row = &meeting_rows[i];

		if (is(row->source, dane->requirement >= 0 ?
		    (int)dane->source : SOURCE_NONE) &&
		    is(row->requirement, dane->requirement) &&
		    is(row->both, world->at[AT_STS_WITH_DANE])) {
			cite(oracle, row->clause);
			return row->binds;
		}
	}
	return true;
}

/* Putting together. */

static enum requirement strongest(uint32_t requirements)
{
	int top = REQUIREMENTS - 1;

	while (top > 0 && (requirements & BIT(top)) == 0)
		top--;
	return (enum requirement)top;
}

/* At least this; who asks for as much is named, too. */
static void raise_to(struct oracle_host *host, enum requirement requirement,
    enum plan_source source)
{
	enum requirement now = strongest(host->requirements);

	if (requirement > now) {
		host->requirements = BIT(requirement);
		host->sources = BIT(source);
	} else if (requirement == now) {
		host->sources |= BIT(source);
	}
}

static void skip(struct oracle_host *host, uint64_t reasons, uint32_t results)
{
	host->skip = true;
	host->skip_reasons |= reasons;
	host->skip_results |= results;
}

static void find_addresses(const struct world *world, unsigned number,
    struct oracle *oracle, struct oracle_host *host)
{
	static const char *const no_names[2];
	enum world_address address = world_address(world, number);
	const char *bases[2] = { host->name, NULL };
	enum world_tlsa tlsa;

	host->has_addresses = true;
	if (oracle->path == PATH_LITERAL)
		return;
	cite(oracle, address_rows[address].clause);
	host->has_addresses = address_rows[address].state == HAS;
	host->nowhere = address_rows[address].state == HAS_NONE;
	if (address_rows[address].candidates == CANDIDATES_NONE ||
	    address_rows[address].candidates == CANDIDATES_UNKNOWN)
		memcpy(bases, no_names, sizeof(bases));
	if (address_rows[address].candidates == CANDIDATES_UNKNOWN &&
	    oracle->asks_tlsa)
		host->found = FOUND_ERROR;
	if (address_rows[address].candidates == CANDIDATES_BOTH) {
		bases[0] = world_alias;
		bases[1] = host->name;
	}
	for (unsigned i = 0; i < 2 && bases[i] != NULL &&
	    host->found == FOUND_NONE && oracle->asks_tlsa; i++) {
		tlsa = world_tlsa(world, number, i);
		host->found = tlsa_rows[tlsa].found;
		host->usable = tlsa_rows[tlsa].usable;
		host->base = host->found == FOUND_NONE ||
		    host->found == FOUND_ERROR ? NULL : bases[i];
		cite(oracle, tlsa_rows[tlsa].clause);
	}
}

static void skip_for_addresses(const struct world *world, unsigned number,
    struct oracle_host *host)
{
	switch (address_rows[world_address(world, number)].state) {
	case HAS: return;
	case HAS_NONE:
		skip(host, BIT(REASON_NO_HOST) | BIT(REASON_DNS), 0);
		return;
	case FAILS: skip(host, BIT(REASON_DNS), BIT(RESULT_DNSSEC_INVALID));
		return;
	case IS_BOGUS:
		skip(host, BIT(REASON_DNS_BOGUS), BIT(RESULT_DNSSEC_INVALID));
		return;
	}
}

static void meet_demand(struct oracle *oracle, struct oracle_host *host,
    const struct dane_row *dane, bool by_policy)
{
	enum demand demand = level_rows[oracle->level].demand;

	if (demand == DEMAND_NOTHING)
		return;
	for (size_t i = 0; i < COUNT(demand_rows); i++) {
		if (demand_rows[i].demand != demand)
			continue;
		if (demand_rows[i].requirement == NO_REQUIREMENT ? by_policy :
		    dane->requirement == demand_rows[i].requirement &&
		    (int)dane->source == demand_rows[i].source) {
			cite(oracle, demand_rows[i].clause);
			return;
		}
	}
	skip(host, BIT(REASON_POLICY) | BIT(REASON_DNS) |
	    BIT(REASON_DNS_BOGUS), BIT(RESULT_DANE_REQUIRED) |
	    BIT(RESULT_VALIDATION_FAILURE) | BIT(RESULT_TLSA_INVALID) |
	    BIT(RESULT_STS_POLICY_FETCH_ERROR) | BIT(RESULT_DNSSEC_INVALID));
}

/* DANE, MTA-STS and the level's demand, where what is published binds. */
static void bind_published(const struct world *world, unsigned number,
    struct oracle *oracle, struct oracle_host *host)
{
	const struct level_row *level = &level_rows[oracle->level];
	const struct dane_row *dane = dane_row(world, oracle, host);
	const struct sts_row *sts = &sts_rows[world_sts(world, number)];
	bool by_policy = false;

	cite(oracle, dane->clause);
	if (dane->requirement == SKIP)
		skip(host, BIT(REASON_DNS) | BIT(REASON_DNS_BOGUS),
		    BIT(RESULT_DNSSEC_INVALID));
	else if (dane->requirement >= 0)
		raise_to(host, (enum requirement)dane->requirement,
		    dane->source);
	if (level->sts && oracle->path != PATH_LITERAL &&
	    policy_binds(world, oracle, dane)) {
		cite(oracle, sts->clause);
		if (sts->binding == SAYS_SKIP)
			skip(host, BIT(REASON_STS_MX),
			    BIT(RESULT_VALIDATION_FAILURE));
		if (sts->binding == SAYS_WAIT)
			skip(host, BIT(REASON_DNS) | BIT(REASON_POLICY),
			    BIT(RESULT_STS_POLICY_FETCH_ERROR));
		if (sts->binding == SAYS_UNKNOWN && !host->skip)
			oracle->must_alarm = true;
		by_policy = sts->binding == SAYS_NAME;
		if (by_policy && dane->requirement == REQUIRE_DANE)
			host->also_name = true;
		if (by_policy)
			raise_to(host, REQUIRE_NAME, SOURCE_STS);
		if (host->also_name && dane->source == SOURCE_HALF_DANE)
			host->sources = BIT(SOURCE_STS);
	}
	meet_demand(oracle, host, dane, by_policy);
}

/* What is published and does not bind. A level that overrides it need not have
 * a policy fetched, nor the alias looked at; and names are for one thing only,
 * so that nothing is tried beyond REQUIRE_NAME. */
static void find_ideal(const struct world *world, unsigned number,
    struct oracle *oracle, struct oracle_host *host)
{
	const struct dane_row *dane = dane_row(world, oracle, host);
	const struct sts_row *sts = &sts_rows[world_sts(world, number)];
	bool heeds_sts = level_rows[oracle->level].sts &&
	    oracle->path != PATH_LITERAL;
	bool overridden = exception_holds(world) ||
	    level_rows[oracle->level].overrides;
	bool advised = oracle->advisory && sts->binding == SAYS_NAME;
	bool left_out = oracle->advisory && sts->binding == SAYS_SKIP;
	bool of_dane = oracle->advisory &&
	    dane->requirement > REQUIRE_OPPORTUNISTIC;

	if (heeds_sts && (sts->may_be_tried || advised || left_out)) {
		host->ideals |= BIT(REQUIRE_NAME);
		host->ideal_sources |= BIT(SOURCE_STS);
		if ((sts->tried || advised) && (!overridden ||
		    world->at[AT_STS_CACHED] != 0))
			host->certain_ideal = REQUIRE_NAME;
	}
	if (of_dane) {
		host->ideals |= BIT(dane->requirement);
		host->ideal_sources |= BIT(SOURCE_DANE) | BIT(dane->source);
		if (dane->source == SOURCE_DANE && !(overridden &&
		    world_address(world, number) == ADDRESS_ALIAS_OUT) &&
		    dane->requirement > (int)host->certain_ideal)
			host->certain_ideal =
			    (enum requirement)dane->requirement;
	}
	if (oracle->level == LEVEL_NONE ||
	    strongest(host->requirements) >= REQUIRE_NAME)
		host->certain_ideal = 0;
	if (host->ideals != 0)
		cite(oracle, oracle->advisory ? "DANE-140 STS-108 DANE-84" :
		    "STS-71");
}

static void apply_memory(const struct world *world, unsigned number,
    struct oracle *oracle, struct oracle_host *host)
{
	unsigned facts = world->at[AT_MEMORY_FACTS];
	bool expected = oracle->path == PATH_LITERAL ?
	    memory_rows[facts].literal : number == 0 ?
	    memory_rows[facts].first : memory_rows[facts].second;

	host->asks_memory = oracle->asks_memory && !host->skip &&
	    strongest(host->requirements) == REQUIRE_OPPORTUNISTIC;
	if (!host->asks_memory || !expected)
		return;
	cite(oracle, "TLS-18 TLS-65");
	if (world->at[AT_MEMORY] == LADDER_WARN)
		host->expects_tls = true;
	else
		raise_to(host, REQUIRE_ENCRYPTED, SOURCE_MEMORY);
}

static enum own own_words(const struct world *world,
    const struct oracle *oracle)
{
	unsigned pin = pin_in_force(world);

	if (pin == WORLD_PIN_FINGERPRINT || oracle->level == LEVEL_SECURE ||
	    oracle->level == LEVEL_FINGERPRINT)
		return OWN_DOMAIN;
	return pin == WORLD_PIN_VERIFY || oracle->level == LEVEL_VERIFY ?
	    OWN_HOST : OWN_NOTHING;
}

static void demand_name(struct oracle *oracle, struct oracle_host *host,
    const struct dane_row *dane, uint32_t sources)
{
	bool by_dane = oracle->advisory && dane->requirement == REQUIRE_DANE;

	if (strongest(host->requirements) < REQUIRE_NAME) {
		host->requirements = BIT(REQUIRE_NAME);
		host->sources = sources;
	}
	/* Either proof is one by RFC 8689 4.2.1. */
	if (by_dane && strongest(host->requirements) == REQUIRE_NAME) {
		host->requirements |= BIT(REQUIRE_DANE);
		host->sources |= BIT(dane->source) | sources;
	}
}

/* REQUIRETLS, after everything else. */
static void apply_wish(const struct world *world, unsigned number,
    struct oracle *oracle, struct oracle_host *host)
{
	const struct dane_row *dane = dane_row(world, oracle, host);
	enum world_sts sts = world_sts(world, number);
	enum policy policy = sts == STS_ENFORCE ? POLICY_MATCHES :
	    sts >= STS_UNKNOWN_EARLY ? POLICY_UNKNOWN : POLICY_NONE;
	enum own own = own_words(world, oracle);
	const struct requiretls_row *row = requiretls_rows;

	host->requiretls = world->at[AT_WISH] == WISH_REQUIRETLS ||
	    world->at[AT_WISH] == WISH_REQUIRETLS_BOUNCE;
	if (world->at[AT_WISH] != WISH_REQUIRETLS || host->skip)
		return;
	while (!is(row->path, (int)oracle->path) || !is(row->own, (int)own) ||
	    !is(row->policy, (int)policy))
		row++;
	cite(oracle, row->clause);
	switch (row->outcome) {
	case DEMANDED_ENOUGH: return;
	case DEMANDED_NAME:
		demand_name(oracle, host, dane, BIT(SOURCE_REQUIRETLS) |
		    (oracle->advisory && policy == POLICY_MATCHES ?
		    BIT(SOURCE_STS) : 0));
		return;
	case DEMANDED_NAME_BY_POLICY:
		if (strongest(host->requirements) == REQUIRE_DANE &&
		    !host->also_name) {
			host->also_name = true;
			host->sources |= BIT(SOURCE_STS);
		}
		demand_name(oracle, host, dane, BIT(SOURCE_REQUIRETLS) |
		    BIT(SOURCE_STS));
		return;
	case DEMANDED_WAIT:
		skip(host, BIT(REASON_DNS) | BIT(REASON_POLICY) |
		    BIT(REASON_REQUIRETLS), 0);
		return;
	case DEMANDED_FAIL:
		skip(host, BIT(REASON_REQUIRETLS), 0);
		host->lasting = true;
		return;
	}
}

static void judge_host(const struct world *world, unsigned number,
    struct oracle *oracle)
{
	struct oracle_host *host = &oracle->hosts[number];
	const struct level_row *level = &level_rows[oracle->level];
	unsigned pin = pin_in_force(world);

	host->name = world_host_name(world, number);
	host->requirements = BIT(level->least);
	host->sources = BIT(level->source);
	find_addresses(world, number, oracle, host);
	skip_for_addresses(world, number, host);
	if (!oracle->alone && !oracle->advisory)
		bind_published(world, number, oracle, host);
	if (pin_rows[pin].alone) {
		host->requirements = BIT(pin_rows[pin].least);
		host->sources = BIT(SOURCE_PIN);
	} else if (pin_rows[pin].least >= 0) {
		raise_to(host, (enum requirement)pin_rows[pin].least,
		    SOURCE_PIN);
	}
	if (pin != WORLD_PIN_NONE)
		cite(oracle, pin_rows[pin].clause);
	if (world->at[AT_IMPLICIT] != 0) {
		cite(oracle, "N-25 N-26");	/* the administrator's way */
		raise_to(host, REQUIRE_ENCRYPTED, SOURCE_LEVEL);
	}
	apply_wish(world, number, oracle, host);
	apply_memory(world, number, oracle, host);
	if (!oracle->alone)
		find_ideal(world, number, oracle, host);
}

/* The whole plan. */

static void judge_level(const struct world *world, struct oracle *oracle)
{
	const struct level_row *level;
	enum plan_wish wish = world->at[AT_WISH];
	bool own_lookup = oracle->path == PATH_UNSIGNED &&
	    wish == WISH_REQUIRETLS;

	oracle->level = level_in_force(world);
	level = &level_rows[oracle->level];
	cite(oracle, level->clause);
	oracle->exception = exception_holds(world) ? 41 : 0;
	oracle->pin_prints = pin_rows[pin_in_force(world)].alone;
	oracle->alone = level->alone || oracle->pin_prints;
	oracle->advisory = !oracle->alone && (exception_holds(world) ||
	    level->overrides || (wish == WISH_OPTIONAL &&
	    level->demand == DEMAND_NOTHING));
	oracle->asks_tlsa = !oracle->alone && level->dane &&
	    (oracle->path == PATH_TRUSTED || (oracle->path == PATH_UNSIGNED &&
	    world->at[AT_INSECURE_MX] != FREELY));
	oracle->asks_sts = oracle->path != PATH_LITERAL &&
	    ((!oracle->alone && level->sts) || (own_lookup &&
	    own_words(world, oracle) != OWN_DOMAIN));
	oracle->asks_memory = !oracle->alone && !oracle->advisory &&
	    wish != WISH_OPTIONAL && level->dane &&
	    world->at[AT_MEMORY] != LADDER_OBSERVE;
}

static void judge_fallback(const struct world *world, struct oracle *oracle)
{
	static const struct {
		enum conf_fallback	 no_starttls, broken_tls;
	} configured[WORLD_FALLBACKS] = {
		{ FALLBACK_CLEAR, FALLBACK_CLEAR_AFTER },
		{ FALLBACK_DEFER, FALLBACK_DEFER },
		{ FALLBACK_CLEAR_AFTER, FALLBACK_CLEAR },
	};
	bool now = world->at[AT_WISH] == WISH_OPTIONAL;
	bool own = exception_holds(world) || world->at[AT_MESSAGE_LEVEL] != 0;

	oracle->no_starttls = configured[world->at[AT_FALLBACK]].no_starttls;
	oracle->broken_tls = configured[world->at[AT_FALLBACK]].broken_tls;
	if (now && oracle->no_starttls == FALLBACK_CLEAR_AFTER)
		oracle->no_starttls = FALLBACK_CLEAR;
	if (now && oracle->broken_tls == FALLBACK_CLEAR_AFTER)
		oracle->broken_tls = FALLBACK_CLEAR;
	if (own && level_rows[oracle->level].overrides)
		oracle->no_starttls = oracle->broken_tls = FALLBACK_CLEAR;
}

static void judge_vanished(const struct world *world, struct oracle *oracle)
{
	unsigned facts = world->at[AT_MEMORY_FACTS];
	enum world_sts sts = world->at[AT_STS];
	bool asked = oracle->asks_memory && oracle->path != PATH_LITERAL;
	bool present = false, looked = false, failed = false, tried = false;
	bool undecided = false;

	for (unsigned i = 0; i < oracle->host_count; i++) {
		struct oracle_host *host = &oracle->hosts[i];
		const struct dane_row *dane = dane_row(world, oracle, host);

		present |= host->base != NULL;
		failed |= !host->has_addresses || host->found == FOUND_ERROR;
		tried |= !host->skip;
		looked |= host->has_addresses && host->found == FOUND_NONE;
		undecided |= !host->skip && (dane->source != SOURCE_DANE ||
		    dane->requirement != REQUIRE_DANE);
	}
	oracle->vanished_dane_may = asked && memory_rows[facts].dane &&
	    !present && looked;
	oracle->vanished_dane_must = oracle->vanished_dane_may && !failed &&
	    tried && oracle->asks_tlsa &&
	    address_rows[world->at[AT_ADDRESS]].candidates != CANDIDATES_NONE;
	oracle->vanished_sts_may = asked && memory_rows[facts].sts &&
	    oracle->asks_sts && (sts == STS_NONE || sts == STS_OFF);
	oracle->vanished_sts_must = oracle->vanished_sts_may && undecided &&
	    level_rows[oracle->level].sts;
}

/* When no host is left. Bits of all outcomes that the clauses allow. */
static uint32_t judge_outcome(const struct world *world,
    const struct oracle *oracle)
{
	bool all_lasting = true, nowhere = true;

	for (unsigned i = 0; i < oracle->host_count; i++) {
		all_lasting &= oracle->hosts[i].lasting;
		nowhere &= oracle->hosts[i].nowhere || oracle->hosts[i].lasting;
	}
	if (all_lasting)
		return BIT(STATUS_FAILED);
	/* SMTP-169 calls it an error, and leaves open which. */
	if (nowhere && !policy_is_remembered(world))
		return BIT(STATUS_FAILED) | BIT(STATUS_DEFERRED);
	return BIT(STATUS_DEFERRED);
}

void oracle_judge(const struct world *world, struct oracle *oracle)
{
	enum world_hop hop = world->at[AT_HOP];

	memset(oracle, 0, sizeof(*oracle));
	cite(oracle, hop_rows[hop].clause);
	oracle->path = hop_rows[hop].path;
	judge_level(world, oracle);
	judge_fallback(world, oracle);
	oracle->host_count = world_host_count(world);
	for (unsigned i = 0; i < oracle->host_count; i++)
		judge_host(world, i, oracle);
	if (oracle->host_count > 0) {
		judge_vanished(world, oracle);
		oracle->outcomes = judge_outcome(world, oracle);
	} else {
		oracle->outcomes = BIT(policy_is_remembered(world) ?
		    hop_rows[hop].remembered : hop_rows[hop].outcome);
	}
}

/* Queries. */

static bool has(const struct plan_query *log, size_t count,
    enum query_type type, const char *name)
{
	for (size_t i = 0; i < count; i++)
		if (log[i].type == type && (name == NULL ||
		    strcasecmp(log[i].name, name) == 0))
			return true;
	return false;
}

static int find_host(const struct oracle *oracle, const char *name)
{
	for (unsigned i = 0; i < oracle->host_count; i++)
		if (strcasecmp(oracle->hosts[i].name, name) == 0)
			return (int)i;
	return -1;
}

static bool has_mx_lookup(const struct world *world)
{
	return world->at[AT_HOP] != HOP_LITERAL &&
	    world->at[AT_HOP] != HOP_ROUTE;
}

static const char *forbids_tlsa(const struct world *world,
    const struct oracle *oracle, const struct plan_query *log, size_t count,
    const char *name)
{
	const char *owner = strstr(name, "_tcp.");
	enum world_address address;
	bool at_alias;
	char before[300];
	int host;

	if (owner == NULL || strncmp(name, world->at[AT_HOP] == HOP_ROUTE ?
	    "_2525._tcp." : "_25._tcp.", (size_t)(owner - name) + 5) != 0)
		return "DANE-55 DANE-56";
	owner += 5;
	at_alias = strcasecmp(owner, world_alias) == 0;
	host = at_alias ? 0 : find_host(oracle, owner);
	if (host < 0 || !oracle->hosts[host].has_addresses)
		return "DANE-46";
	if (!oracle->asks_tlsa)
		return "DANE-35: it changes nothing";
	if (!has(log, count, QUERY_A, oracle->hosts[host].name) ||
	    !has(log, count, QUERY_AAAA, oracle->hosts[host].name))
		return "DANE-45";
	address = world_address(world, (unsigned)host);
	switch (address_rows[address].candidates) {
	case CANDIDATES_NONE: return "DANE-47";
	case CANDIDATES_UNKNOWN: return "DANE-17 DANE-11";
	case CANDIDATES_NAME:
		return at_alias ? "DANE-50" : address == ADDRESS_ALIAS_OUT &&
		    !has(log, count, QUERY_CNAME, owner) ? "DANE-17" : NULL;
	case CANDIDATES_BOTH:
		break;
	}
	snprintf(before, sizeof(before), "%.*s%s", (int)(owner - name), name,
	    world_alias);
	if (at_alias)
		return NULL;
	if (!has(log, count, QUERY_TLSA, before))
		return "DANE-51";
	return tlsa_rows[world_tlsa(world, 0, 0)].found == FOUND_NONE ? NULL :
	    "DANE-60 DANE-62";
}

static const char *forbids_sts(const struct world *world,
    const struct oracle *oracle, const struct plan_query *log, size_t count)
{
	bool decided = !oracle->alone && !oracle->advisory &&
	    level_rows[oracle->level].dane && oracle->path == PATH_TRUSTED &&
	    world->at[AT_STS_WITH_DANE] == 0;

	if (!oracle->asks_sts)
		return "STS-4 STS-109: no policy is of interest";
	if (has(log, count, QUERY_MEMORY, NULL) ||
	    has(log, count, QUERY_MEMORY_HOST, NULL))
		return "memory is asked after the policy";
	for (unsigned i = 0; i < oracle->host_count; i++)
		decided &= oracle->hosts[i].has_addresses &&
		    oracle->hosts[i].found == FOUND_USABLE;
	return decided ? "DANE-139: DANE decides for all" : NULL;
}

const char *oracle_forbids(const struct world *world,
    const struct oracle *oracle, const struct plan_query *log, size_t count,
    const struct plan_query *query)
{
	int host = find_host(oracle, query->name);
	bool hop_known = !has_mx_lookup(world) ||
	    has(log, count, QUERY_MX, NULL);

	if (has(log, count, query->type, query->name))
		return "asked twice";
	if (oracle->path == PATH_LITERAL && query->type != QUERY_MEMORY_HOST)
		return "SMTP-173 DANE-20 STS-4";
	if (query->type == QUERY_MX)
		return has_mx_lookup(world) ? NULL : "DANE-23";
	if (!hop_known)
		return "SMTP-168";
	if (query->type == QUERY_STS_CACHED)
		return world->at[AT_HOP] == HOP_MX_ERROR ||
		    world->at[AT_HOP] == HOP_MX_BOGUS ? "DANE-9" : NULL;
	if (oracle->host_count == 0)
		return "DANE-9 DANE-26";
	switch (query->type) {
	case QUERY_A: case QUERY_AAAA:
		return host < 0 ? "SMTP-169" : NULL;
	case QUERY_CNAME:
		return host < 0 || !world_is_aliased(world_address(world,
		    (unsigned)host)) || world_address(world, (unsigned)host) ==
		    ADDRESS_ALIAS_SECURE || !oracle->asks_tlsa ? "DANE-17" :
		    NULL;
	case QUERY_TLSA:
		return forbids_tlsa(world, oracle, log, count, query->name);
	case QUERY_STS: return forbids_sts(world, oracle, log, count);
	case QUERY_MEMORY:
		return oracle->asks_memory ? NULL : "memory is not heeded";
	case QUERY_MEMORY_HOST:
		return host >= 0 && oracle->hosts[host].asks_memory ? NULL :
		    "memory of a host that needs none";
	default: return "no such query";
	}
}

/* Names. */

static unsigned dane_names(const struct world *world,
    const struct oracle *oracle, const struct oracle_host *host,
    const char **names)
{
	unsigned count = 0;

	names[count++] = host->base;			/* DANE-105 */
	if (oracle->path != PATH_TRUSTED)
		return count;				/* DANE-109 */
	if (world_is_mx(world))
		names[count++] = world_next_hop(world);	/* DANE-106 */
	else if (strcmp(host->base, host->name) != 0)
		names[count++] = host->name;		/* DANE-108 */
	if (world->at[AT_HOP] == HOP_MX_ALIAS)
		names[count++] = world_mx_alias;	/* DANE-107 */
	return count;
}

static unsigned level_names(const struct world *world,
    const struct oracle *oracle, const struct oracle_host *host,
    const char **names)
{
	static char below[260];

	if (world->at[AT_NAMES] != 0) {
		names[0] = world_names[0];
		names[1] = world_names[1];
		return 2;
	}
	if (oracle->level != LEVEL_SECURE) {
		names[0] = host->name;			/* verify */
		return 1;
	}
	names[0] = world_next_hop(world);		/* TLS-95, TLS-101 */
	if (!has_mx_lookup(world))
		return 1;
	snprintf(below, sizeof(below), ".%s", names[0]);
	names[1] = below;
	return 2;
}

bool oracle_names(const struct world *world, const struct oracle *oracle,
    const struct oracle_host *host, enum requirement requirement,
    uint32_t source, const char *names[ORACLE_NAMES_MAX])
{
	memset(names, 0, ORACLE_NAMES_MAX * sizeof(*names));
	if (oracle->path == PATH_LITERAL)
		return false;
	if (requirement == REQUIRE_DANE) {
		if (host->base == NULL)
			return false;
		dane_names(world, oracle, host, names);
	} else if (requirement != REQUIRE_NAME) {
		return false;
	} else if ((source & BIT(SOURCE_LEVEL)) != 0) {
		level_names(world, oracle, host, names);
	} else {
		names[0] = host->name;			/* STS-60, REQ-36 */
	}
	return true;
}
