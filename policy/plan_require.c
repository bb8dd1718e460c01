/* SPDX-License-Identifier: ISC */
/*
 * What each host must show: the configured level, DANE and MTA-STS put
 * together. The strongest binds; usable TLSA records over secure MX decide
 * alone over MTA-STS, unless sts-with-dane = both (RFC 8461 2: a policy never
 * overrides DANE). What cannot be fulfilled takes the host out until later:
 * no failure of policy is permanent.
 */
#include "policy/plan_private.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/arena.h"
#include "base/broken.h"
#include "base/digest.h"

static void require(struct prospect *prospect, enum requirement requirement,
    enum plan_source source)
{
	prospect->host.requirement = requirement;
	prospect->host.source = source;
}

static void set_reason(struct prospect *prospect, const char *clause,
    const char *text, const char *name)
{
	snprintf(prospect->host.reason, sizeof(prospect->host.reason),
	    "%s: %s%s%.60s", clause, text, name[0] == '\0' ? "" : " ", name);
}

/* --- names --- */

static void new_names(const struct planner *planner, struct plan_host *host)
{
	host->names = arena_alloc_array(planner->arena, PLAN_NAMES_MAX,
	    sizeof(*host->names));
}

/* Each name once. */
static void add_name(const struct planner *planner, struct plan_host *host,
    const char *format, const char *name)
{
	char *text = arena_print(planner->arena, format, name);
	size_t i;

	for (i = 0; i < host->name_count; i++)
		if (strcasecmp(host->names[i], text) == 0)
			return;
	if (host->name_count < PLAN_NAMES_MAX)
		host->names[host->name_count++] = text;
}

/* A next hop that is an address is met by that address in the certificate, in
 * the form the certificate check knows (RFC 9525 6.4). */
static void add_address_name(const struct planner *planner,
    struct plan_host *host)
{
	char text[ENDPOINT_TEXT_MAX];

	endpoint_format(&host->addresses[0], text, sizeof(text));
	add_name(planner, host, "%s", text);
}

/*
 * The names a certificate may show at the levels verify and secure. Configured
 * ones decide alone; otherwise `verify` believes the host name that DNS gave,
 * and `secure` only what the administrator or the recipient's address said
 * (RFC 9525 6.1.1): the configured host, or the recipient's domain and one
 * label below it.
 */
static void set_level_names(const struct planner *planner,
    struct plan_host *host)
{
	const struct conf_destination *destination =
	    planner->facts->destination;
	struct endpoint literal;
	size_t i;

	new_names(planner, host);
	for (i = 0; i < destination->names.count; i++)
		add_name(planner, host, "%s", destination->names.items[i]);
	if (host->name_count > 0)
		return;
	if (planner_parse_address(host->name, 0, &literal)) {
		add_address_name(planner, host);
		return;
	}
	if (destination->level == LEVEL_VERIFY) {
		add_name(planner, host, "%s", host->name);
		return;
	}
	add_name(planner, host, "%s", planner->name);
	if (planner->facts->next->mx)
		add_name(planner, host, ".%s", planner->name);
}

/*
 * Reference identifiers for usage 2 (RFC 7672 3.2.2): the base domain; over
 * secure MX also the next hop and where its alias leads; without MX also the
 * next hop, when the base is where that leads. Over unsigned MX the base only:
 * the others would be a stranger's claim.
 */
static void set_dane_names(const struct planner *planner,
    const struct prospect *prospect, struct plan_host *host)
{
	new_names(planner, host);
	add_name(planner, host, "%s", prospect->base);
	if (planner->path == PATH_MX_INSECURE)
		return;
	add_name(planner, host, "%s", planner->name);
	if (planner->path == PATH_MX && planner->expanded[0] != '\0')
		add_name(planner, host, "%s", planner->expanded);
}

/* --- what is published --- */

static bool is_half(const struct planner *planner)
{
	return planner->path == PATH_MX_INSECURE;
}

/* RFC 8461 4.1: the name in the MX record, as it stands there. A host that
 * the policy does not know gets no connection (STS-78). */
static bool passes_sts(struct planner *planner, struct prospect *prospect)
{
	const char *name = prospect->host.name;

	if (planner->sts == STS_UNKNOWN) {
		prospect_skip(planner, prospect, "RFC 8461 3.1",
		    "whether %.200s has an MTA-STS policy could not be found "
		    "out yet", planner->name);
		return false;
	}
	if (planner->sts != STS_ENFORCE)
		return true;
	if (sts_matches(&planner->sts_policy->policy, name)) {
		planner_note(planner, name, "RFC 8461 4.1", "its name matches "
		    "the MTA-STS policy of %.150s", planner->name);
		return true;
	}
	prospect_skip(planner, prospect, "RFC 8461 4.1",
	    "its name is not in the MTA-STS policy of %.200s", planner->name);
	return false;
}

/* Levels that ask for more than what happens to be published. */
static bool reaches_level(struct planner *planner, struct prospect *prospect)
{
	enum conf_level level = planner_level(planner);
	bool records = prospect->dane != DANE_NOTHING && !is_half(planner);
	bool usable = records && prospect->dane == DANE_USABLE;

	if (usable || planner->sts == STS_ENFORCE)
		return true;
	switch (level) {
	case LEVEL_DANE_ONLY:
		prospect_skip(planner, prospect, "RFC 7672 6", "level "
		    "dane-only needs TLSA records to authenticate it with, and "
		    "there %s", records ? "are only unusable ones" :
		    "are none that are signed");
		return false;
	case LEVEL_STRICT:
		prospect_skip(planner, prospect, "level strict", "level strict "
		    "needs usable TLSA records over signed MX records, or an "
		    "MTA-STS policy to enforce, and %s", records ?
		    "the TLSA records are unusable" : "there is neither");
		return false;
	case LEVEL_STS:
		if (records)
			return true;
		prospect_skip(planner, prospect, "level sts", "level sts needs "
		    "TLSA records over signed MX records, or an MTA-STS policy "
		    "to enforce, and there is neither");
		return false;
	default:
		return true;
	}
}

/* DANE-139: DANE is enough, but where the policy says otherwise one of the two
 * is wrong. What the certificate says to it is delivery's to see. */
static void tell_mismatch(struct planner *planner, struct plan_host *host)
{
	if (planner->sts != STS_ENFORCE || host->also_name)
		return;
	host->note_name = true;
	if (sts_matches(&planner->sts_policy->policy, host->name))
		return;
	planner_alarm(planner, "%.100s is not in the MTA-STS policy in force: "
	    "DANE decides", host->name);
	planner_note(planner, host->name, "RFC 8461 2", "its name is not in "
	    "the MTA-STS policy of %.150s: DANE decides", planner->name);
}

static void require_dane(struct planner *planner, struct prospect *prospect)
{
	struct plan_host *host = &prospect->host;
	bool half = is_half(planner);

	host->also_name = planner->sts == STS_ENFORCE &&
	    !planner_dane_decides(planner, prospect);
	require(prospect, REQUIRE_DANE, !half ? SOURCE_DANE : host->also_name ?
	    SOURCE_STS : SOURCE_HALF_DANE);
	set_dane_names(planner, prospect, host);
	tell_mismatch(planner, host);
	snprintf(host->sni, sizeof(host->sni), "%s", prospect->base);
	host->tlsa = prospect->usable;
	host->tlsa_count = prospect->usable_count;
	if (host->also_name)
		set_reason(prospect, "RFC 7672 2.2, RFC 8461 5", "usable TLSA "
		    "records and an MTA-STS policy to enforce, base",
		    prospect->base);
	else if (half)
		set_reason(prospect, CLAUSE_DANE_MX, "usable TLSA records, but "
		    "MX records that are not signed, base", prospect->base);
	else
		set_reason(prospect, CLAUSE_DANE, "usable TLSA records, base",
		    prospect->base);
}

/* RFC 7672 2.2: TLS, but it need not be shown to whom. */
static void require_tls_of_records(struct planner *planner,
    struct prospect *prospect)
{
	if (is_half(planner)) {
		require(prospect, REQUIRE_ENCRYPTED, SOURCE_HALF_DANE);
		set_reason(prospect, CLAUSE_DANE_MX, "TLSA records, but MX "
		    "records that are not signed: TLS, base", prospect->base);
		return;
	}
	require(prospect, REQUIRE_ENCRYPTED, SOURCE_DANE);
	set_reason(prospect, CLAUSE_DANE, "TLSA records, none of them usable: "
	    "TLS, base", prospect->base);
}

static void require_sts(struct planner *planner, struct prospect *prospect)
{
	struct plan_host *host = &prospect->host;

	require(prospect, REQUIRE_NAME, SOURCE_STS);
	new_names(planner, host);
	add_name(planner, host, "%s", host->name);
	set_reason(prospect, CLAUSE_STS, "MTA-STS policy, mode enforce, of",
	    planner->name);
}

/* --- a host --- */

static void require_published(struct planner *planner,
    struct prospect *prospect)
{
	bool alone = planner_dane_decides(planner, prospect);

	if (!alone && !passes_sts(planner, prospect))
		return;
	if (!reaches_level(planner, prospect))
		return;
	if (prospect->dane == DANE_USABLE && !(planner->sts == STS_ENFORCE &&
	    broken("sts-over-dane")))
		require_dane(planner, prospect);
	else if (planner->sts == STS_ENFORCE)
		require_sts(planner, prospect);
	else if (prospect->dane == DANE_RECORDS && !broken("unusable-none"))
		require_tls_of_records(planner, prospect);
}

/* What the level asks of a host by itself. */
static enum requirement requirement_of(enum conf_level level)
{
	switch (level) {
	case LEVEL_NONE: return REQUIRE_CLEAR;
	case LEVEL_ENCRYPT: return REQUIRE_ENCRYPTED;
	case LEVEL_VERIFY:
	case LEVEL_SECURE: return REQUIRE_NAME;
	case LEVEL_FINGERPRINT: return REQUIRE_FINGERPRINT;
	/* The others build upon what is published. */
	case LEVEL_AUTO:
	case LEVEL_MAY:
	case LEVEL_DANE:
	case LEVEL_DANE_ONLY:
	case LEVEL_STS:
	case LEVEL_STRICT: return REQUIRE_OPPORTUNISTIC;
	default: return REQUIRE_FINGERPRINT;	/* nothing matches: safe */
	}
}

/* The level, and a route that speaks TLS at once: there is no clear on it. */
static void require_level(struct planner *planner, struct prospect *prospect)
{
	const struct conf_destination *destination =
	    planner->facts->destination;
	enum requirement requirement = requirement_of(destination->level);
	bool implicit = planner->plan->implicit_tls &&
	    requirement < REQUIRE_ENCRYPTED;
	struct plan_host *host = &prospect->host;

	if (implicit)
		requirement = REQUIRE_ENCRYPTED;
	require(prospect, requirement, requirement >= REQUIRE_ENCRYPTED ?
	    SOURCE_LEVEL : SOURCE_NONE);
	if (requirement == REQUIRE_NAME)
		set_level_names(planner, host);
	snprintf(host->reason, sizeof(host->reason),
	    "destination %.80s: level %s%s", destination->pattern,
	    conf_level_name(destination->level), implicit ?
	    ", on a route with implicit TLS" : "");
}

static void set_sni(struct plan_host *host)
{
	struct endpoint address;

	if (!planner_parse_address(host->name, 0, &address))
		snprintf(host->sni, sizeof(host->sni), "%s", host->name);
}

static void note_requirement(struct planner *planner,
    const struct plan_host *host)
{
	char clause[sizeof(planner->plan->notes->clause)];
	const char *colon = strstr(host->reason, ": ");
	int length = colon == NULL ? 0 : (int)(colon - host->reason);

	snprintf(clause, sizeof(clause), "%.*s", length, host->reason);
	planner_note(planner, host->name, clause, "required: %s%s, by %s: %s",
	    requirement_name(host->requirement), host->also_name ?
	    " and name" : "", plan_source_name(host->source),
	    colon == NULL ? host->reason : colon + 2);
}

/* An administrator may go below what is published, but not unheard. */
static void tell_override(struct planner *planner,
    const struct prospect *prospect)
{
	const char *level = conf_level_name(planner_level(planner));
	bool records = prospect->dane != DANE_NOTHING;
	const char *what = records ? "TLSA records" :
	    "the MTA-STS policy in force";

	if (!planner_is_advisory(planner) ||
	    (!records && planner->sts != STS_ENFORCE))
		return;
	planner_alarm(planner, "%.100s: level %s overrides %s", records ?
	    prospect->host.name : planner->name, level, what);
	planner_note(planner, prospect->host.name, "RFC 7672 9.1",
	    "level %s overrides %s", level, what);
}

enum step plan_stage_requirement(struct planner *planner)
{
	struct prospect *prospect;
	size_t i;

	planner->plan->implicit_tls = planner->facts->next->implicit_tls;
	for (i = 0; i < planner->prospect_count; i++) {
		prospect = &planner->prospects[i];
		if (prospect->host.skip)
			continue;
		set_sni(&prospect->host);
		require_level(planner, prospect);
		if (conf_level_heeds_dane(planner_level(planner)))
			require_published(planner, prospect);
		if (prospect->host.skip)
			continue;
		note_requirement(planner, &prospect->host);
		tell_override(planner, prospect);
	}
	return STEP_NEXT;
}

/* --- the end --- */

static void digest_text(struct digest *digest, const char *text)
{
	digest_add(digest, text, strlen(text) + 1);
}

static int compare_digests(const void *one, const void *other)
{
	return memcmp(one, other, DIGEST_BYTES);
}

/* A set: resolvers turn the order of records, and equal preferences are
 * shuffled, which is nothing to TLS. */
static void digest_set(struct digest *digest, uint8_t (*set)[DIGEST_BYTES],
    size_t count)
{
	qsort(set, count, DIGEST_BYTES, compare_digests);
	digest_add(digest, set, count * DIGEST_BYTES);
}

static void digest_records(struct digest *digest, const struct plan_host *host)
{
	uint8_t set[PLAN_TLSA_MAX][DIGEST_BYTES];
	const struct dane_record *record;
	struct digest *one;
	size_t i;

	for (i = 0; i < host->tlsa_count; i++) {
		record = &host->tlsa[i];
		uint8_t head[] = { record->usage, record->selector,
		    record->matching };

		one = digest_new();
		digest_add(one, head, sizeof(head));
		digest_add(one, record->data, record->length);
		digest_end(one, set[i]);
	}
	digest_set(digest, set, host->tlsa_count);
}

static void digest_host(const struct plan_host *host, uint8_t *out)
{
	struct digest *digest = digest_new();
	uint32_t numbers[] = { host->requirement, host->source,
	    host->also_name, (uint32_t)host->name_count };
	size_t i;

	digest_add(digest, numbers, sizeof(numbers));
	digest_text(digest, host->name);
	digest_text(digest, host->sni);
	for (i = 0; i < host->name_count; i++)
		digest_text(digest, host->names[i]);
	digest_records(digest, host);
	digest_end(digest, out);
}

/* Everything that decides TLS, and nothing that does not: a host that is
 * skipped has no connection that could be shared. */
static void set_key(struct plan *plan)
{
	struct digest *digest = digest_new();
	uint8_t hosts[PLAN_HOSTS_MAX][DIGEST_BYTES];
	uint32_t numbers[] = { (uint32_t)plan->fingerprint_count,
	    plan->implicit_tls, plan->no_starttls, plan->broken_tls };
	int64_t times[] = { plan->no_starttls_after, plan->broken_tls_after };
	size_t i, count = 0;

	digest_add(digest, numbers, sizeof(numbers));
	digest_add(digest, times, sizeof(times));
	if (plan->fingerprint_count > 0)
		digest_add(digest, plan->fingerprints,
		    plan->fingerprint_count * DIGEST_BYTES);
	for (i = 0; i < plan->host_count; i++)
		if (!plan->hosts[i].skip)
			digest_host(&plan->hosts[i], hosts[count++]);
	digest_set(digest, hosts, count);
	digest_end(digest, plan->key);
}

static void copy_destination(struct planner *planner)
{
	const struct conf_destination *destination =
	    planner->facts->destination;
	struct plan *plan = planner->plan;

	plan->no_starttls = destination->no_starttls;
	plan->no_starttls_after = destination->no_starttls_after;
	plan->broken_tls = destination->broken_tls;
	plan->broken_tls_after = destination->broken_tls_after;
	plan->fingerprint_count = destination->fingerprint_count;
	if (plan->fingerprint_count > PLAN_FINGERPRINTS_MAX)
		plan->fingerprint_count = PLAN_FINGERPRINTS_MAX;
	if (plan->fingerprint_count > 0)
		plan->fingerprints = arena_dup(planner->arena,
		    destination->fingerprints,
		    plan->fingerprint_count * DIGEST_BYTES);
}

/* What policy forbids says more than what could not be reached. */
static void set_status(struct plan *plan)
{
	enum { SECURITY = 7 };		/* RFC 3463 3.8 */
	const struct status *told = NULL;
	size_t i;

	for (i = 0; i < plan->host_count; i++) {
		const struct status *skipped = &plan->hosts[i].skipped;

		if (told == NULL || (told->enhanced_subject != SECURITY &&
		    skipped->enhanced_subject == SECURITY))
			told = skipped;
	}
	plan->status = *told;
}

enum step plan_stage_finish(struct planner *planner)
{
	struct plan *plan = planner->plan;
	size_t i;

	plan->hosts = arena_alloc_array(planner->arena,
	    planner->prospect_count, sizeof(*plan->hosts));
	for (i = 0; i < planner->prospect_count; i++)
		plan->hosts[i] = planner->prospects[i].host;
	plan->host_count = planner->prospect_count;
	copy_destination(planner);
	set_key(plan);
	if (!plan_can_try(plan))
		set_status(plan);
	return STEP_DONE;
}
