/* SPDX-License-Identifier: ISC */
/*
 * check_host() by descent: each step runs it from the start. A lookup that was
 * not answered yet, or an error, unwinds everything (verdicts NEED and ERROR).
 * No answer is remembered between steps, so nothing can go stale.
 */
#include "authentic/spf.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "authentic/spf_macro.h"
#include "authentic/spf_record.h"
#include "base/address.h"
#include "base/arena.h"
#include "base/idn.h"
#include "base/utf8.h"

enum { MECHANISM_MAX = 255 };	/* so much of it is shown */

/* What a mechanism says. */
enum verdict { VERDICT_NO, VERDICT_MATCH, VERDICT_ERROR, VERDICT_NEED };

struct run {
	const struct spf_question	*question;
	const struct lookup_answers	*answers;
	struct arena			*arena;
	struct spf_step			*step;	/* proof and mechanism are set
						 * with VERDICT_ERROR */
	struct endpoint			 client;
	enum lookup_type		 address;	/* A or AAAA */
	struct spf_macros		 macros;	/* domain: <domain> */
	bool				 utf8_local;
};

/* A record being evaluated. */
struct host {
	const char	*domain;
	const char	*text;
	size_t		 length;
};

/* --- unwinding --- */

static enum verdict fail(struct run *run, enum proof proof, const char *why)
{
	run->step->proof = proof;
	run->step->mechanism = why;
	return VERDICT_ERROR;
}

static enum verdict fail_lookup(struct run *run, const char *name)
{
	return fail(run, PROOF_TEMPERROR, arena_print(run->arena,
	    "%s cannot be looked up now", name));
}

/* Null: it is asked for now. */
static const struct lookup_answer *ask(struct run *run, enum lookup_type type,
    const char *name)
{
	const struct lookup_answer *answer = lookup_find(run->answers, type,
	    name);

	if (answer == NULL) {
		run->step->type = type;
		run->step->name = name;
	}
	return answer;
}

static const char *lower(struct run *run, const char *name)
{
	char *copy = arena_dup_string(run->arena, name);
	size_t i;

	for (i = 0; copy[i] != '\0'; i++)
		if (copy[i] >= 'A' && copy[i] <= 'Z')
			copy[i] += 'a' - 'A';
	return copy;
}

/* --- limits --- */

/* RFC 7208 4.6.4 */
static enum verdict count_term(struct run *run)
{
	if (run->step->terms == SPF_TERMS_MAX)
		return fail(run, PROOF_PERMERROR,
		    "more than 10 terms need the DNS");
	run->step->terms++;
	return VERDICT_NO;
}

static enum verdict count_void(struct run *run)
{
	if (run->step->voids == SPF_VOIDS_MAX)
		return fail(run, PROOF_PERMERROR,
		    "more than 2 lookups found nothing");
	run->step->voids++;
	return VERDICT_NO;
}

/*
 * The lookup of a term's own target: VERDICT_MATCH with records, else what the
 * term comes to.
 */
static enum verdict look_up(struct run *run, enum lookup_type type,
    const char *name, const struct lookup_answer **answer)
{
	*answer = ask(run, type, name);
	if (*answer == NULL)
		return VERDICT_NEED;
	switch ((*answer)->status) {
	case LOOKUP_FOUND:
		if ((*answer)->count > 0)
			return VERDICT_MATCH;
		return count_void(run);
	case LOOKUP_FAILED:
		return fail_lookup(run, name);
	default:
		return count_void(run);
	}
}

/* --- addresses --- */

static const uint8_t *bytes_of(const struct endpoint *endpoint)
{
	return endpoint->address.any.sa_family == AF_INET6 ?
	    endpoint->address.v6.sin6_addr.s6_addr :
	    (const uint8_t *)&endpoint->address.v4.sin_addr;
}

static bool same_prefix(const uint8_t *one, const uint8_t *other,
    unsigned bits)
{
	unsigned rest = bits % 8;

	if (memcmp(one, other, bits / 8) != 0)
		return false;
	return rest == 0 || ((one[bits / 8] ^ other[bits / 8]) >>
	    (8 - rest)) == 0;
}

static bool client_is_ip6(const struct run *run)
{
	return run->address == LOOKUP_AAAA;
}

static bool has_client(const struct run *run,
    const struct lookup_answer *answer, const struct spf_term *term)
{
	unsigned bits = client_is_ip6(run) ? term->bits6 : term->bits4;
	sa_family_t family = run->client.address.any.sa_family;
	size_t i;

	for (i = 0; i < answer->count; i++)
		if (answer->records[i].address.address.any.sa_family ==
		    family && same_prefix(bytes_of(&run->client),
		    bytes_of(&answer->records[i].address), bits))
			return true;
	return false;
}

/* An IPv4-mapped network has no client: those count as IPv4. */
static enum verdict match_network(const struct run *run,
    const struct spf_term *term)
{
	bool ip6 = term->type == SPF_IP6;

	if (ip6 != client_is_ip6(run))
		return VERDICT_NO;
	return same_prefix(bytes_of(&run->client), term->address, ip6 ?
	    term->bits6 : term->bits4) ? VERDICT_MATCH : VERDICT_NO;
}

/* --- names of the client: RFC 7208 5.5 --- */

static bool is_within(const char *name, const char *domain)
{
	size_t length = strlen(name), tail = strlen(domain);

	if (tail == 0 || length < tail ||
	    strcasecmp(name + length - tail, domain) != 0)
		return false;
	return length == tail || name[length - tail - 1] == '.';
}

/* A name that is not to be had has not the client's address. */
static enum verdict validate(struct run *run, const char *name)
{
	static const struct spf_term whole = { .bits4 = 32, .bits6 = 128 };
	const struct lookup_answer *answer;

	if (!lookup_name_is_valid(name))
		return VERDICT_NO;
	answer = ask(run, run->address, lower(run, name));
	if (answer == NULL)
		return VERDICT_NEED;
	return answer->status == LOOKUP_FOUND &&
	    has_client(run, answer, &whole) ? VERDICT_MATCH : VERDICT_NO;
}

static const struct lookup_answer *reverse_names(struct run *run)
{
	char name[ENDPOINT_TEXT_MAX + sizeof("ip6.arpa")];

	endpoint_reverse_name(&run->client, name, sizeof(name));
	return ask(run, LOOKUP_PTR, arena_dup_string(run->arena, name));
}

static size_t count_names(const struct lookup_answer *answer)
{
	if (answer->status != LOOKUP_FOUND)
		return 0;
	return answer->count < SPF_PTR_MAX ? answer->count : SPF_PTR_MAX;
}

/* Names that would not match are not asked for. */
static enum verdict match_ptr(struct run *run, const char *target)
{
	const struct lookup_answer *answer = reverse_names(run);
	enum verdict verdict;
	size_t i;

	if (answer == NULL)
		return VERDICT_NEED;
	if (answer->status == LOOKUP_FAILED)
		return VERDICT_NO;
	if (count_names(answer) == 0)
		return count_void(run);
	for (i = 0; i < count_names(answer); i++) {
		if (!is_within(answer->records[i].text, target))
			continue;
		verdict = validate(run, answer->records[i].text);
		if (verdict != VERDICT_NO)
			return verdict;
	}
	return VERDICT_NO;
}

/* How well a name would serve as %{p}: the domain, a name below it, any. */
static int rank_of(const char *name, const char *domain)
{
	if (strcasecmp(name, domain) == 0)
		return 0;
	return is_within(name, domain) ? 1 : 2;
}

/* RFC 7208 7.3: sets %{p}; NO when that is done. Not a term: nothing of it
 * counts, and it never fails. */
static enum verdict find_validated(struct run *run)
{
	const struct lookup_answer *answer = reverse_names(run);
	enum verdict verdict;
	const char *name;
	size_t i;
	int rank;

	run->macros.validated = "unknown";
	if (answer == NULL)
		return VERDICT_NEED;
	for (rank = 0; rank <= 2; rank++) {
		for (i = 0; i < count_names(answer); i++) {
			name = answer->records[i].text;
			if (rank_of(name, run->macros.domain) != rank)
				continue;
			verdict = validate(run, name);
			if (verdict == VERDICT_MATCH)
				run->macros.validated = lower(run, name);
			if (verdict != VERDICT_NO)
				return verdict == VERDICT_MATCH ? VERDICT_NO :
				    verdict;
		}
	}
	return VERDICT_NO;
}

/* --- targets --- */

/* RFC 8616 4: a local part beyond ASCII is in no name of the DNS. */
static bool never_matches(const struct run *run, const struct spf_term *term)
{
	return run->utf8_local && term->domain != NULL &&
	    spf_macro_has(term->domain, term->domain_length, "sl");
}

/* <target-name>; NO when it is there. */
static enum verdict find_target(struct run *run, const struct host *host,
    const struct spf_term *term, const char **target)
{
	run->macros.domain = host->domain;
	if (term->domain == NULL) {
		*target = host->domain;
		return VERDICT_NO;
	}
	if (spf_macro_has(term->domain, term->domain_length, "p") &&
	    find_validated(run) == VERDICT_NEED)
		return VERDICT_NEED;
	*target = spf_macro_name(&run->macros, term->domain,
	    term->domain_length, run->arena);
	return VERDICT_NO;
}

/* --- mechanisms that ask --- */

static enum verdict match_address(struct run *run, const struct spf_term *term,
    const char *target)
{
	const struct lookup_answer *answer;
	enum verdict verdict = look_up(run, run->address, target, &answer);

	if (verdict != VERDICT_MATCH)
		return verdict;
	return has_client(run, answer, term) ? VERDICT_MATCH : VERDICT_NO;
}

/* RFC 7208 5.7: an A record of whatever address, for IPv6 clients, too. */
static enum verdict match_exists(struct run *run, const char *target)
{
	const struct lookup_answer *answer;

	return look_up(run, LOOKUP_A, target, &answer);
}

/* By preference, then by name: so the order is the answer's no more. */
static void sort_hosts(const struct lookup_record **hosts, size_t count)
{
	const struct lookup_record *one;
	size_t i, j;

	for (i = 1; i < count; i++) {
		one = hosts[i];
		for (j = i; j > 0 && (hosts[j - 1]->preference >
		    one->preference || (hosts[j - 1]->preference ==
		    one->preference && strcasecmp(hosts[j - 1]->text,
		    one->text) > 0)); j--)
			hosts[j] = hosts[j - 1];
		hosts[j] = one;
	}
}

/*
 * A host of MX that does not exist is void, as it is somebody else's server
 * who is asked for it (RFC 7208 11.1). One that has only addresses of the other
 * family is in order and costs nothing.
 */
static enum verdict match_host(struct run *run, const struct spf_term *term,
    const char *name)
{
	const struct lookup_answer *answer;

	if (!lookup_name_is_valid(name))
		return VERDICT_NO;
	name = lower(run, name);
	answer = ask(run, run->address, name);
	if (answer == NULL)
		return VERDICT_NEED;
	switch (answer->status) {
	case LOOKUP_FOUND:
		return has_client(run, answer, term) ? VERDICT_MATCH :
		    VERDICT_NO;
	case LOOKUP_FAILED:
		return fail_lookup(run, name);
	case LOOKUP_MISSING:
		return count_void(run);
	default:
		return VERDICT_NO;
	}
}

static enum verdict match_mx(struct run *run, const struct spf_term *term,
    const char *target)
{
	const struct lookup_record *hosts[SPF_MX_MAX];
	const struct lookup_answer *answer;
	enum verdict verdict = look_up(run, LOOKUP_MX, target, &answer);
	size_t i;

	if (verdict != VERDICT_MATCH)
		return verdict;
	if (answer->count > SPF_MX_MAX)
		return fail(run, PROOF_PERMERROR, arena_print(run->arena,
		    "%s has more than 10 MX records", target));
	for (i = 0; i < answer->count; i++)
		hosts[i] = &answer->records[i];
	sort_hosts(hosts, answer->count);
	for (i = 0; i < answer->count; i++) {
		verdict = match_host(run, term, hosts[i]->text);
		if (verdict != VERDICT_NO)
			return verdict;
	}
	return VERDICT_NO;
}

/* --- records --- */

static bool is_multi_label(const char *domain)
{
	return lookup_name_is_valid(domain) && strchr(domain, '.') != NULL &&
	    strpbrk(domain, "[]@ ") == NULL;
}

static enum verdict set_none(struct run *run, const char *why)
{
	return fail(run, PROOF_NONE, why);
}

/* RFC 7208 4.3 to 4.5: NO when host has its record. */
static enum verdict find_record(struct run *run, struct host *host)
{
	const struct lookup_answer *answer;
	size_t i;

	host->text = NULL;
	if (!is_multi_label(host->domain))
		return set_none(run, "the domain is none");
	answer = ask(run, LOOKUP_TXT, host->domain);
	if (answer == NULL)
		return VERDICT_NEED;
	if (answer->status == LOOKUP_FAILED)
		return fail_lookup(run, host->domain);
	for (i = 0; answer->status == LOOKUP_FOUND && i < answer->count; i++) {
		if (!spf_record_is_one(answer->records[i].text,
		    answer->records[i].length))
			continue;
		if (host->text != NULL)
			return fail(run, PROOF_PERMERROR, arena_print(
			    run->arena, "%s has several records",
			    host->domain));
		host->text = answer->records[i].text;
		host->length = answer->records[i].length;
	}
	if (host->text == NULL)
		return set_none(run, arena_print(run->arena,
		    "%s has no SPF record", host->domain));
	return VERDICT_NO;
}

/* The whole record before anything of it is used: RFC 7208 4.6. */
static enum verdict check_record(struct run *run, const struct host *host)
{
	const char *problem = spf_record_problem(host->text, host->length,
	    run->arena);

	if (problem == NULL)
		return VERDICT_NO;
	return fail(run, PROOF_PERMERROR, arena_print(run->arena, "%s: %s",
	    host->domain, problem));
}

static enum verdict check_host(struct run *run, struct host *host);

/* RFC 7208 5.2 */
static enum verdict match_include(struct run *run, const char *target)
{
	struct host host = { .domain = target };
	enum verdict verdict = check_host(run, &host);

	if (verdict == VERDICT_NEED)
		return verdict;
	switch (run->step->proof) {
	case PROOF_PASS:
		return VERDICT_MATCH;
	case PROOF_NONE:
		run->step->proof = PROOF_PERMERROR;
		return VERDICT_ERROR;
	case PROOF_TEMPERROR:
	case PROOF_PERMERROR:
		return VERDICT_ERROR;
	default:
		return VERDICT_NO;
	}
}

static enum verdict match_target(struct run *run, const struct spf_term *term,
    const char *target)
{
	/* RFC 7208 4.8 leaves it open; here it matches nothing. */
	if (term->type != SPF_INCLUDE && !lookup_name_is_valid(target))
		return VERDICT_NO;
	switch (term->type) {
	case SPF_INCLUDE: return match_include(run, target);
	case SPF_A: return match_address(run, term, target);
	case SPF_MX: return match_mx(run, term, target);
	case SPF_PTR: return match_ptr(run, target);
	default: return match_exists(run, target);
	}
}

static enum verdict match_term(struct run *run, const struct host *host,
    const struct spf_term *term)
{
	enum verdict verdict;
	const char *target;

	switch (term->type) {
	case SPF_ALL:
		return VERDICT_MATCH;
	case SPF_IP4:
	case SPF_IP6:
		return match_network(run, term);
	case SPF_REDIRECT:
	case SPF_EXPLANATION:
	case SPF_UNKNOWN:
		return VERDICT_NO;
	default:
		break;
	}
	verdict = count_term(run);
	if (verdict != VERDICT_NO || never_matches(run, term))
		return verdict;
	verdict = find_target(run, host, term, &target);
	return verdict != VERDICT_NO ? verdict :
	    match_target(run, term, target);
}

/* RFC 7208 6.1; the record at the target takes host's place. */
static enum verdict follow(struct run *run, struct host *host,
    const struct spf_term *redirect)
{
	enum verdict verdict = count_term(run);
	struct host next = { 0 };

	if (verdict == VERDICT_NO)
		verdict = find_target(run, host, redirect, &next.domain);
	if (verdict != VERDICT_NO)
		return verdict;
	verdict = check_host(run, &next);
	if (verdict == VERDICT_ERROR && run->step->proof == PROOF_NONE)
		run->step->proof = PROOF_PERMERROR;
	*host = next;
	return verdict;
}

/* No mechanism matched: RFC 7208 4.7. */
static enum verdict default_result(struct run *run, struct host *host)
{
	struct spf_term redirect;

	if (spf_record_find(host->text, host->length, SPF_REDIRECT,
	    &redirect) && !never_matches(run, &redirect))
		return follow(run, host, &redirect);
	run->step->proof = PROOF_NEUTRAL;
	run->step->mechanism = "no mechanism matches";
	return VERDICT_MATCH;
}

/*
 * MATCH with proof and mechanism when a record decided: host is the one that
 * did then. host->domain is all that is known before.
 */
static enum verdict check_host(struct run *run, struct host *host)
{
	enum verdict verdict = find_record(run, host);
	struct spf_term term;
	const char *problem;
	size_t at = 0;

	if (verdict == VERDICT_NO)
		verdict = check_record(run, host);
	if (verdict != VERDICT_NO)
		return verdict;
	while (spf_record_next(host->text, host->length, &at, &term,
	    &problem)) {
		verdict = match_term(run, host, &term);
		if (verdict == VERDICT_NO)
			continue;
		if (verdict == VERDICT_MATCH) {
			run->step->proof = term.proof;
			run->step->mechanism = arena_dup_text(run->arena,
			    term.text, term.length < MECHANISM_MAX ?
			    term.length : MECHANISM_MAX);
		}
		return verdict;
	}
	return default_result(run, host);
}

/* --- explanation: RFC 7208 6.2 --- */

static bool is_printable(const char *text)
{
	for (; *text != '\0'; text++)
		if (*text < ' ' || *text > '~')
			return false;
	return true;
}

/* Its text, if there is just one and it has no mistake. */
static const struct lookup_record *only_text(const struct lookup_answer *answer)
{
	if (answer->status != LOOKUP_FOUND || answer->count != 1 ||
	    !spf_macro_is_valid(answer->records[0].text,
	    answer->records[0].length, SPF_MACRO_TEXT))
		return NULL;
	return &answer->records[0];
}

/* Whatever is wrong with it: there is none. NO when that is settled. */
static enum verdict explain(struct run *run, const struct host *host)
{
	const struct lookup_answer *answer;
	const struct lookup_record *record;
	struct spf_term exp;
	const char *name, *text;

	if (!spf_record_find(host->text, host->length, SPF_EXPLANATION,
	    &exp) || never_matches(run, &exp))
		return VERDICT_NO;
	if (find_target(run, host, &exp, &name) == VERDICT_NEED)
		return VERDICT_NEED;
	if (!lookup_name_is_valid(name))
		return VERDICT_NO;
	answer = ask(run, LOOKUP_TXT, name);
	if (answer == NULL)
		return VERDICT_NEED;
	record = only_text(answer);
	if (record == NULL)
		return VERDICT_NO;
	if (spf_macro_has(record->text, record->length, "p") &&
	    find_validated(run) == VERDICT_NEED)
		return VERDICT_NEED;
	text = spf_macro_text(&run->macros, record->text, record->length,
	    SPF_EXPLANATION_MAX, run->arena);
	if (is_printable(text))
		run->step->explanation = text;
	return VERDICT_NO;
}

/* --- the question --- */

/* A-labels (RFC 8616 4); what cannot be is no name, and found out later. */
static const char *to_ascii(struct run *run, const char *name)
{
	char out[ADDRESS_DOMAIN_MAX + 1];
	size_t length;

	if (idn_is_needed(name) &&
	    domain_to_ascii(out, sizeof(out), name) == NULL)
		return arena_dup_string(run->arena, out);
	length = strnlen(name, SPF_VALUE_MAX);
	if (length > 0 && name[length - 1] == '.')
		length--;
	return lower(run, arena_dup_text(run->arena, name, length));
}

/* The address a socket has is kept but for one that only looks like IPv6. */
static void set_client(struct run *run)
{
	const struct endpoint *client = &run->question->client;
	bool ip6 = client->address.any.sa_family == AF_INET6;

	endpoint_from_bytes(&run->client, ip6 ? AF_INET6 : AF_INET,
	    bytes_of(client), 0);
	run->address = run->client.address.any.sa_family == AF_INET6 ?
	    LOOKUP_AAAA : LOOKUP_A;
}

/* RFC 7208 4.3: without a local part it is the postmaster's. */
static void set_macros(struct run *run)
{
	const struct spf_question *question = run->question;
	struct spf_macros *macros = &run->macros;
	const char *at = strrchr(question->sender, '@');
	size_t local = at == NULL ? 0 : (size_t)(at - question->sender);

	if (local > SPF_VALUE_MAX)
		local = SPF_VALUE_MAX;
	macros->local = local == 0 ? "postmaster" :
	    arena_dup_text(run->arena, question->sender, local);
	macros->sender_domain = to_ascii(run, at == NULL ? question->sender :
	    at + 1);
	macros->sender = arena_print(run->arena, "%s@%s", macros->local,
	    macros->sender_domain);
	macros->hello = to_ascii(run, question->hello);
	macros->receiver = question->receiver[0] == '\0' ? "unknown" :
	    question->receiver;
	macros->client = &run->client;
	macros->now = question->now;
	run->utf8_local = !utf8_is_ascii(macros->local);
}

void spf_step(const struct spf_question *question,
    const struct lookup_answers *answers, struct arena *arena,
    struct spf_step *step)
{
	struct run run = { .question = question, .answers = answers,
	    .arena = arena, .step = step };
	struct host host = { 0 };
	enum verdict verdict;

	memset(step, 0, sizeof(*step));
	step->mechanism = step->explanation = "";
	set_client(&run);
	set_macros(&run);
	host.domain = to_ascii(&run, question->domain);
	run.macros.domain = host.domain;
	verdict = check_host(&run, &host);
	if (verdict == VERDICT_MATCH && step->proof == PROOF_FAIL &&
	    question->explain)
		verdict = explain(&run, &host);
	step->done = verdict != VERDICT_NEED;
}
