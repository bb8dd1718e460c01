/* SPDX-License-Identifier: ISC */
/*
 * Counting. A session counts once under each policy that was applied to its
 * host (RPT-22, RPT-23), or under "no policy found" (RPT-24). What delivery
 * says of it is one result, judged by what decided; where another policy was
 * published as well, its own result follows from what else was seen.
 */
#include "policy/outcome_internal.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/digest.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/mem.h"
#include "policy/ledger.h"
#include "policy/observation.h"

#define DAY_MILLISECONDS ((int64_t)24 * 3600 * 1000)

/* The id of the entry that has what is not told apart, and of a failure that
 * has more hosts or reasons than are: behind it is the result. */
static const char overflow_id[] = "0000000000000000";

/* --- days --- */

bool outcomes_is_day(const char *text)
{
	static const char shape[] = "dddd-dd-dd";
	size_t i;

	for (i = 0; i < sizeof(shape) - 1; i++)
		if (shape[i] == 'd' ? !isdigit((unsigned char)text[i]) :
		    text[i] != shape[i])
			return false;
	return text[i] == '\0';
}

static void day_name(int64_t wall, char *out)
{
	char text[40];

	clock_format_iso(wall, text, sizeof(text));
	snprintf(out, 16, "%.10s", text);
}

struct outcome_day *outcome_day_find(const struct outcomes *outcomes,
    const char *name)
{
	struct outcome_day *day;

	TAILQ_FOREACH(day, &outcomes->days, entry)
		if (strcmp(day->name, name) == 0)
			return day;
	return NULL;
}

/* The day of a key. */
static struct outcome_day *day_get(struct outcomes *outcomes, const char *key)
{
	struct outcome_day *day, *after;
	char name[sizeof(day->name)];

	snprintf(name, sizeof(name), "%.10s", key);
	day = outcome_day_find(outcomes, name);
	if (day != NULL)
		return day;
	day = mem_alloc(sizeof(*day));
	memcpy(day->name, name, sizeof(name));
	STAILQ_INIT(&day->all);
	TAILQ_FOREACH(after, &outcomes->days, entry)
		if (strcmp(after->name, day->name) > 0)
			break;
	if (after != NULL)
		TAILQ_INSERT_BEFORE(after, day, entry);
	else
		TAILQ_INSERT_TAIL(&outcomes->days, day, entry);
	return day;
}

static void outcome_free(struct outcomes *outcomes, struct outcome *outcome)
{
	struct outcome_failure *failure;

	while ((failure = STAILQ_FIRST(&outcome->details)) != NULL) {
		STAILQ_REMOVE_HEAD(&outcome->details, entry);
		mem_free(failure->host);
		mem_free(failure->address);
		mem_free(failure->reason);
		mem_free(failure);
		outcomes->rows--;
	}
	hash_remove_text(outcomes->by_key, outcome->key);
	mem_free(outcome->domain);
	mem_free(outcome->policy_domain);
	mem_free(outcome);
	outcomes->rows--;
}

static void day_free(struct outcomes *outcomes, struct outcome_day *day,
    bool unsave)
{
	struct outcome *outcome;

	while ((outcome = STAILQ_FIRST(&day->all)) != NULL) {
		STAILQ_REMOVE_HEAD(&day->all, entry);
		if (unsave)
			outcome_unsave(outcomes, outcome);
		outcome_free(outcomes, outcome);
	}
	TAILQ_REMOVE(&outcomes->days, day, entry);
	mem_free(day);
}

/* Days in the future, from before a clock was set back, stay until they are
 * old; there is no end of clocks that are set, but of days. */
static void drop_old_days(struct outcomes *outcomes)
{
	struct outcome_day *day;
	char oldest[16];
	unsigned count = 0;
	bool any = false;

	day_name(clock_wall() - (OUTCOME_DAYS - 1) * DAY_MILLISECONDS, oldest);
	TAILQ_FOREACH(day, &outcomes->days, entry)
		count++;
	while ((day = TAILQ_FIRST(&outcomes->days)) != NULL &&
	    (strcmp(day->name, oldest) < 0 || count > 2 * OUTCOME_DAYS)) {
		day_free(outcomes, day, true);
		count--;
		any = true;
	}
	if (any)
		outcome_texts_sweep(outcomes);
}

/* For one more row. Never at the cost of the day itself. */
static bool make_room(struct outcomes *outcomes, const char *name)
{
	struct outcome_day *day;

	while (outcomes->rows >= OUTCOME_ROWS_MAX) {
		day = TAILQ_FIRST(&outcomes->days);
		if (day == NULL || strncmp(day->name, name, 10) == 0)
			return false;
		log_warn("too many outcomes: a day is dropped",
		    log_text("day", day->name));
		day_free(outcomes, day, true);
	}
	return true;
}

/* --- policies of a day --- */

struct outcome *outcome_find(const struct outcomes *outcomes, const char *key)
{
	return hash_find_text(outcomes->by_key, key);
}

struct outcome *outcome_add(struct outcomes *outcomes, const char *key)
{
	bool overflow = strcmp(key + 11, overflow_id) == 0;
	struct outcome_day *day;
	struct outcome *outcome;

	if (!make_room(outcomes, key) && !overflow)
		return NULL;
	day = day_get(outcomes, key);
	if (day->count >= OUTCOME_POLICIES_MAX && !overflow)
		return NULL;
	outcome = mem_alloc(sizeof(*outcome));
	snprintf(outcome->key, sizeof(outcome->key), "%s", key);
	STAILQ_INIT(&outcome->details);
	STAILQ_INSERT_TAIL(&day->all, outcome, entry);
	day->count++;
	outcomes->rows++;
	hash_put_text(outcomes->by_key, outcome->key, outcome);
	return outcome;
}

static uint64_t id_of(const char *text)
{
	uint8_t digest[DIGEST_BYTES];
	uint64_t id = 0;
	size_t i;

	digest_of(text, strlen(text), digest);
	for (i = 0; i < 8; i++)
		id = id << 8 | digest[i];
	return id;
}

/* In lower case. */
static char *name_of(const char *text)
{
	char *name = mem_dup_string(text), *c;

	for (c = name; *c != '\0'; c++)
		*c = *c < ' ' || *c > '~' ? '?' :
		    (char)tolower((unsigned char)*c);
	return name;
}

/* What identifies a policy. */
struct policy {
	enum policy_type type;
	const char	*domain;
	const char	*policy_domain;
	uint64_t	 digest;
};

static struct outcome *overflow_of(struct outcomes *outcomes, const char *day)
{
	char key[OUTCOME_KEY_MAX];
	struct outcome *outcome;

	snprintf(key, sizeof(key), "%s/%s", day, overflow_id);
	outcome = outcome_find(outcomes, key);
	if (outcome != NULL)
		return outcome;
	outcome = outcome_add(outcomes, key);
	outcome->type = POLICY_NOT_FOUND;
	outcome->domain = mem_dup_string("");
	outcome->policy_domain = mem_dup_string("");
	return outcome;
}

/* The one of today. */
static struct outcome *outcome_get(struct outcomes *outcomes,
    const struct policy *policy)
{
	char *domain = name_of(policy->domain), key[OUTCOME_KEY_MAX], day[16];
	char *policy_domain = name_of(policy->policy_domain);
	char *identity = mem_print("%d %s %s %" PRIx64, (int)policy->type,
	    domain, policy_domain, policy->digest);
	struct outcome *outcome;

	day_name(clock_wall(), day);
	snprintf(key, sizeof(key), "%s/%016" PRIx64, day, id_of(identity));
	mem_free(identity);
	outcome = outcome_find(outcomes, key);
	if (outcome == NULL && (outcome = outcome_add(outcomes, key)) !=
	    NULL) {
		outcome->type = policy->type;
		outcome->domain = domain;
		outcome->policy_domain = policy_domain;
		outcome->digest = policy->digest;
		return outcome;
	}
	mem_free(domain);
	mem_free(policy_domain);
	return outcome != NULL ? outcome : overflow_of(outcomes, day);
}

/* --- failures --- */

struct outcome_failure *outcome_failure_find(const struct outcome *outcome,
    uint64_t id)
{
	struct outcome_failure *failure;

	STAILQ_FOREACH(failure, &outcome->details, entry)
		if (failure->id == id)
			return failure;
	return NULL;
}

struct outcome_failure *outcome_failure_add(struct outcomes *outcomes,
    struct outcome *outcome, const struct outcome_failure *wanted)
{
	struct outcome_failure *failure = mem_alloc(sizeof(*failure));

	failure->id = wanted->id;
	failure->result = wanted->result;
	failure->host = name_of(wanted->host);
	failure->address = mem_dup_string(wanted->address);
	failure->reason = mem_dup_string(wanted->reason);
	STAILQ_INSERT_TAIL(&outcome->details, failure, entry);
	outcome->kinds++;
	outcomes->rows++;
	return failure;
}

/* RPT-32: by equal results, hosts, addresses and reasons. */
static struct outcome_failure *failure_get(struct outcomes *outcomes,
    struct outcome *outcome, struct outcome_failure *wanted)
{
	char *identity = mem_print("%d %s %s %s", (int)wanted->result,
	    wanted->host, wanted->address, wanted->reason), none[] = "",
	    others[] = "other hosts and reasons";
	struct outcome_failure *failure;

	wanted->id = id_of(identity);
	mem_free(identity);
	failure = outcome_failure_find(outcome, wanted->id);
	if (failure != NULL)
		return failure;
	if (outcome->domain[0] != '\0' && outcome->kinds <
	    OUTCOME_FAILURES_MAX && make_room(outcomes, outcome->key))
		return outcome_failure_add(outcomes, outcome, wanted);
	wanted->id = wanted->result;
	failure = outcome_failure_find(outcome, wanted->id);
	if (failure != NULL)
		return failure;
	wanted->host = wanted->address = none;
	wanted->reason = others;
	return outcome_failure_add(outcomes, outcome, wanted);
}

static void save_text(struct outcomes *outcomes, uint64_t digest)
{
	struct outcome_text *text = digest == 0 ? NULL :
	    outcome_text_find(outcomes, digest);

	if (text != NULL && !text->saved)
		outcome_save_text(outcomes, text);
}

/* what: result, host, address and reason. */
static void count(struct outcomes *outcomes, const struct policy *policy,
    const struct outcome_failure *what)
{
	struct outcome_failure wanted = *what, *failure;
	struct outcome *outcome;

	drop_old_days(outcomes);
	outcome = outcome_get(outcomes, policy);
	save_text(outcomes, outcome->digest);
	if (what->result == RESULT_SUCCESS) {
		outcome->successes++;
	} else {
		outcome->failures++;
		failure = failure_get(outcomes, outcome, &wanted);
		failure->count++;
		outcome_save_failure(outcomes, outcome, failure);
	}
	outcome_save(outcomes, outcome);
}

/* --- sessions --- */

/* Only REQUIRETLS forbids the host: the sender's wish, not the recipient's
 * policy. */
static bool is_wish(const struct observation *seen)
{
	return seen->wish == WISH_REQUIRETLS &&
	    seen->result == RESULT_VALIDATION_FAILURE &&
	    strcmp(seen->reason, "sts-mx-mismatch") != 0;
}

/* Nobody is to be told of what was not tried, or of a host that was busy before
 * TLS could begin (RPT-25); nor of an administrator who wants no TLS. */
static bool is_session(const struct observation *seen)
{
	switch (seen->stage) {
	case OBSERVED_SKIPPED:
		return seen->result != RESULT_SUCCESS && !is_wish(seen);
	case OBSERVED_FAILED:
		return seen->symptom[0] != '\0' || seen->version[0] != '\0';
	case OBSERVED_CLEAR:
		return seen->requirement != REQUIRE_CLEAR;
	default:
		return true;
	}
}

/* Only TLSA records can have it. */
static bool is_about_dane(enum tls_result result)
{
	return result == RESULT_TLSA_INVALID ||
	    result == RESULT_DNSSEC_INVALID || result == RESULT_DANE_REQUIRED;
}

static bool is_about_certificate(enum tls_result result)
{
	return result == RESULT_TLSA_INVALID ||
	    result == RESULT_CERTIFICATE_HOST_MISMATCH ||
	    result == RESULT_CERTIFICATE_EXPIRED ||
	    result == RESULT_CERTIFICATE_NOT_TRUSTED;
}

static bool is_judged_by(const struct observation *seen,
    enum plan_source source)
{
	return seen->source == source || (seen->requirement <=
	    REQUIRE_ENCRYPTED && seen->ideal_source == source);
}

/* A set without a usable record cannot be met (RPT-40). */
static void count_tlsa(struct outcomes *outcomes,
    const struct observation *seen, struct outcome_failure what)
{
	const struct outcome_text *text = seen->tlsa_digest == 0 ? NULL :
	    outcome_text_find(outcomes, seen->tlsa_digest);
	const struct policy policy = { POLICY_TLSA, seen->domain,
	    seen->tlsa_domain[0] != '\0' ? seen->tlsa_domain : seen->host,
	    seen->tlsa_digest };
	char useless[] = "no TLSA record of the set can be used";

	if (what.result == RESULT_SUCCESS && text != NULL && text->useless) {
		what.result = RESULT_TLSA_INVALID;
		what.reason = useless;
	}
	count(outcomes, &policy, &what);
}

/* Where DANE decided, the policy was met if WebPKI would have held. */
static void count_sts(struct outcomes *outcomes,
    const struct observation *seen, struct outcome_failure what)
{
	const struct policy policy = { POLICY_STS, seen->domain, seen->domain,
	    seen->sts_digest };
	char unmet[] = "the chain does not hold by WebPKI for the host's name";

	if (is_judged_by(seen, SOURCE_DANE) && !is_judged_by(seen,
	    SOURCE_STS) && (what.result == RESULT_SUCCESS ||
	    is_about_certificate(what.result))) {
		if (seen->web == WEB_VALID) {
			what.result = RESULT_SUCCESS;
		} else if (seen->web == WEB_INVALID) {
			what.result = RESULT_CERTIFICATE_NOT_TRUSTED;
			what.reason = unmet;
		} else if (what.result == RESULT_TLSA_INVALID) {
			what.result = RESULT_VALIDATION_FAILURE;
		}
	}
	count(outcomes, &policy, &what);
}

/* A host that the plan left out was judged by one policy only (RPT-30). */
static void count_skipped(struct outcomes *outcomes,
    const struct observation *seen, const struct outcome_failure *what)
{
	const struct policy none = { POLICY_NOT_FOUND, seen->domain,
	    seen->domain, 0 };

	if (is_about_dane(seen->result) && (seen->result !=
	    RESULT_DANE_REQUIRED || seen->sts_digest != 0))
		count_tlsa(outcomes, seen, *what);
	else if (seen->sts_digest != 0 ||
	    seen->result >= RESULT_STS_POLICY_FETCH_ERROR)
		count_sts(outcomes, seen, *what);
	else if (seen->tlsa_digest != 0)
		count_tlsa(outcomes, seen, *what);
	else
		count(outcomes, &none, what);
}

static void count_session(struct outcomes *outcomes,
    const struct observation *seen, const struct outcome_failure *what)
{
	const struct policy none = { POLICY_NOT_FOUND, seen->domain,
	    seen->domain, 0 };

	if (seen->tlsa_digest != 0)
		count_tlsa(outcomes, seen, *what);
	if (seen->sts_digest != 0)
		count_sts(outcomes, seen, *what);
	if (seen->tlsa_digest == 0 && seen->sts_digest == 0)
		count(outcomes, &none, what);
}

void outcomes_observe(struct outcomes *outcomes,
    const struct observation *seen)
{
	char address[ENDPOINT_TEXT_MAX] = "", reason[OUTCOME_REASON_MAX];
	struct outcome_failure what = { .result = seen->result,
	    .address = address, .reason = reason };

	if (!is_session(seen))
		return;
	what.host = name_of(seen->host);
	snprintf(reason, sizeof(reason), "%s", seen->reason);
	if (seen->stage == OBSERVED_SKIPPED) {
		count_skipped(outcomes, seen, &what);
	} else {
		if (seen->address.address.any.sa_family != AF_UNSPEC)
			endpoint_format(&seen->address, address,
			    sizeof(address));
		count_session(outcomes, seen, &what);
	}
	mem_free(what.host);
}

void outcomes_fetch_failed(struct outcomes *outcomes, const char *domain,
    enum tls_result result, const char *reason)
{
	const struct policy policy = { POLICY_STS, domain, domain, 0 };
	char none[] = "", why[OUTCOME_REASON_MAX];
	struct outcome_failure what = { .result = result, .host = none,
	    .address = none, .reason = why };
	size_t i;

	snprintf(why, sizeof(why), "%s", reason);
	for (i = 0; why[i] != '\0'; i++)
		if (why[i] < ' ' || why[i] > '~')
			why[i] = '?';
	count(outcomes, &policy, &what);
}

/* --- life --- */

struct outcomes *outcomes_new(struct ledger *ledger)
{
	struct outcomes *outcomes = mem_alloc(sizeof(*outcomes));

	outcomes->ledger = ledger;
	outcomes->by_key = hash_new();
	outcomes->texts = hash_new();
	TAILQ_INIT(&outcomes->days);
	ledger_add(ledger, OUTCOME_PREFIX, outcome_load, outcomes);
	ledger_on_loss(ledger, OUTCOME_PREFIX, outcome_save_all);
	return outcomes;
}

void outcomes_set_source(struct outcomes *outcomes,
    const char *(*text)(void *arg, const char *domain, const char *id,
    size_t *length), void *arg)
{
	outcomes->source = text;
	outcomes->source_arg = arg;
}

void outcomes_free(struct outcomes *outcomes)
{
	while (!TAILQ_EMPTY(&outcomes->days))
		day_free(outcomes, TAILQ_FIRST(&outcomes->days), false);
	outcome_texts_free(outcomes);
	hash_free(outcomes->by_key);
	mem_free(outcomes);
}
