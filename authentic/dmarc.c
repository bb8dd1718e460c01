/* SPDX-License-Identifier: ISC */
/*
 * Policy discovery and alignment (RFC 9989 4.10, 5.3) from the start at each
 * step. Lookups that cannot change the result are not made: names that are
 * equal need no walk, and a name that is not below the author's organisation
 * cannot have the same one.
 */
#include "authentic/dmarc.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "authentic/dmarc_record.h"
#include "base/arena.h"

enum { SHORTENED = 7 };		/* labels that a long name is cut to */

enum outcome { OUTCOME_NO, OUTCOME_YES, OUTCOME_NEED,
    OUTCOME_UNKNOWN	/* a lookup failed */ };

struct run {
	const struct dmarc_question	*question;
	const struct lookup_answers	*answers;
	struct arena			*arena;
	struct dmarc_step		*step;
};

/* One domain of a walk; name is an end of where it began. */
struct level {
	const char		*name;
	bool			 found;
	struct dmarc_record	 record;
};

struct walk {
	struct level	 levels[DMARC_WALK_MAX];
	size_t		 count;
};

/* What is to be done, and who says so. */
struct policy {
	struct dmarc_record	 record;
	const char		*domain;
	bool			 own;	/* the author's domain itself */
};

const char *dmarc_wish_name(enum dmarc_wish wish)
{
	static const char *const names[] = { "none", "quarantine", "reject" };

	return names[wish];
}

/* --- names --- */

static size_t count_labels(const char *name)
{
	size_t count = 1;

	for (; *name != '\0'; name++)
		count += *name == '.';
	return count;
}

/* The last so many labels. */
static const char *last_labels(const char *name, size_t count)
{
	size_t labels;

	for (labels = count_labels(name); labels > count; labels--)
		name = strchr(name, '.') + 1;
	return name;
}

static bool is_within(const char *name, const char *domain)
{
	size_t length = strlen(name), tail = strlen(domain);

	if (length < tail || strcasecmp(name + length - tail, domain) != 0)
		return false;
	return length == tail || name[length - tail - 1] == '.';
}

/* --- lookups --- */

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

/* The one record among the texts; several are none (AUTHN-69). */
static enum outcome read_texts(const struct lookup_answer *answer,
    struct dmarc_record *record)
{
	struct dmarc_record one;
	size_t count = 0, i;

	for (i = 0; i < answer->count; i++)
		if (dmarc_record_read(answer->records[i].text,
		    answer->records[i].length, &one)) {
			*record = one;
			count++;
		}
	return count == 1 ? OUTCOME_YES : OUTCOME_NO;
}

static enum outcome fetch(struct run *run, struct level *level)
{
	const struct lookup_answer *answer;
	const char *name = arena_print(run->arena, "_dmarc.%s", level->name);

	if (!lookup_name_is_valid(name))
		return OUTCOME_NO;
	answer = ask(run, LOOKUP_TXT, name);
	if (answer == NULL)
		return OUTCOME_NEED;
	if (answer->status == LOOKUP_FAILED) {
		run->step->reason = arena_print(run->arena,
		    "%s cannot be looked up now", name);
		return OUTCOME_UNKNOWN;
	}
	if (answer->status != LOOKUP_FOUND)
		return OUTCOME_NO;
	return read_texts(answer, &level->record);
}

/* --- the walk: RFC 9989 4.10 --- */

static const char *next_name(const char *name, bool first)
{
	size_t labels = count_labels(name);

	if (labels == 1)
		return NULL;
	return last_labels(name, first && labels > SHORTENED ? SHORTENED :
	    labels - 1);
}

/* YES when it came to its end, with records or without. */
static enum outcome walk_up(struct run *run, const char *domain,
    struct walk *walk)
{
	enum outcome outcome;
	struct level *level;

	walk->count = 0;
	while (domain != NULL && walk->count < DMARC_WALK_MAX) {
		level = &walk->levels[walk->count];
		level->name = domain;
		outcome = fetch(run, level);
		if (outcome == OUTCOME_NEED || outcome == OUTCOME_UNKNOWN)
			return outcome;
		level->found = outcome == OUTCOME_YES;
		walk->count++;
		if (level->found && level->record.psd != DMARC_PSD_UNKNOWN)
			break;
		domain = next_name(domain, walk->count == 1);
	}
	return OUTCOME_YES;
}

/* RFC 9989 4.10.2: from the longest name to the shortest. */
static const char *organization_of(const struct walk *walk)
{
	const char *start = walk->levels[0].name, *shortest = start;
	const struct level *level;
	size_t i;

	for (i = 0; i < walk->count; i++) {
		level = &walk->levels[i];
		if (!level->found)
			continue;
		if (level->record.psd == DMARC_PSD_NO)
			return level->name;
		if (level->record.psd == DMARC_PSD_YES && i > 0)
			return last_labels(start,
			    count_labels(level->name) + 1);
		shortest = level->name;
	}
	return shortest;
}

/* --- the policy: RFC 9989 4.10.1 --- */

/* The organisation's record, else that of the public suffix. */
static const struct level *level_that_counts(const struct walk *walk)
{
	const char *organization = organization_of(walk);
	const struct level *level, *suffix = NULL;
	size_t i;

	for (i = 0; i < walk->count; i++) {
		level = &walk->levels[i];
		if (!level->found)
			continue;
		if (strcmp(level->name, organization) == 0)
			return level;
		if (level->record.psd == DMARC_PSD_YES)
			suffix = level;
	}
	return suffix;
}

static enum outcome find_policy(struct run *run, struct policy *policy)
{
	const char *author = run->question->author;
	const struct level *level;
	struct level own = { .name = author };
	struct walk walk;
	enum outcome outcome = fetch(run, &own);

	policy->own = outcome == OUTCOME_YES;
	policy->domain = author;
	policy->record = own.record;
	if (outcome != OUTCOME_NO)
		return outcome;
	outcome = walk_up(run, author, &walk);
	if (outcome != OUTCOME_YES)
		return outcome;
	level = level_that_counts(&walk);
	if (level == NULL)
		return OUTCOME_NO;
	policy->domain = level->name;
	policy->record = level->record;
	run->step->organization = organization_of(&walk);
	return OUTCOME_YES;
}

/* --- alignment: RFC 9989 4.10.2, 5.3.5 --- */

/* A domain that passed, and whether it must be the author's own. */
struct identifier {
	const char	*method;
	const char	*domain;
	bool		 strict;
};

enum { IDENTIFIERS_MAX = DMARC_DKIM_MAX + 1 };

static size_t list_identifiers(const struct run *run,
    const struct dmarc_record *record, struct identifier *identifiers)
{
	const struct dmarc_question *question = run->question;
	size_t count = 0, i;

	if (question->spf_pass && lookup_name_is_valid(question->spf_domain))
		identifiers[count++] = (struct identifier){ "SPF",
		    question->spf_domain, record->strict_spf };
	for (i = 0; i < question->dkim_count && i < DMARC_DKIM_MAX; i++)
		if (lookup_name_is_valid(question->dkim_domains[i]))
			identifiers[count++] = (struct identifier){ "DKIM",
			    question->dkim_domains[i], record->strict_dkim };
	return count;
}

static enum outcome is_aligned_relaxed(struct run *run, const char *domain)
{
	enum outcome outcome;
	struct walk walk;

	if (!is_within(domain, run->step->organization))
		return OUTCOME_NO;
	outcome = walk_up(run, domain, &walk);
	if (outcome != OUTCOME_YES)
		return outcome;
	return strcasecmp(organization_of(&walk), run->step->organization) ==
	    0 ? OUTCOME_YES : OUTCOME_NO;
}

static enum outcome find_organization(struct run *run)
{
	enum outcome outcome;
	struct walk walk;

	if (run->step->organization[0] != '\0')
		return OUTCOME_YES;
	outcome = walk_up(run, run->question->author, &walk);
	if (outcome == OUTCOME_YES)
		run->step->organization = organization_of(&walk);
	return outcome;
}

static void say_aligned(struct run *run, const struct identifier *identifier)
{
	run->step->reason = arena_print(run->arena, "%s of %s is aligned",
	    identifier->method, identifier->domain);
}

static enum outcome align_relaxed(struct run *run,
    const struct identifier *identifiers, size_t count)
{
	enum outcome outcome, all = OUTCOME_NO;
	size_t i;

	for (i = 0; i < count; i++) {
		if (identifiers[i].strict)
			continue;
		outcome = find_organization(run);
		if (outcome == OUTCOME_YES)
			outcome = is_aligned_relaxed(run,
			    identifiers[i].domain);
		if (outcome == OUTCOME_YES)
			say_aligned(run, &identifiers[i]);
		if (outcome == OUTCOME_YES || outcome == OUTCOME_NEED)
			return outcome;
		if (outcome == OUTCOME_UNKNOWN)
			all = outcome;
	}
	return all;
}

static enum outcome align(struct run *run, const struct dmarc_record *record)
{
	struct identifier identifiers[IDENTIFIERS_MAX];
	size_t count = list_identifiers(run, record, identifiers), i;

	for (i = 0; i < count; i++) {
		if (strcasecmp(identifiers[i].domain,
		    run->question->author) != 0)
			continue;
		if (run->step->organization[0] == '\0')
			run->step->organization = run->question->author;
		say_aligned(run, &identifiers[i]);
		return OUTCOME_YES;
	}
	return align_relaxed(run, identifiers, count);
}

/* --- what is wished --- */

/* RFC 9989 3.2.13: there are no addresses and no MX; one NXDOMAIN says it for
 * all types. */
static enum outcome exists(struct run *run, const char *name)
{
	static const enum lookup_type types[] = { LOOKUP_A, LOOKUP_AAAA,
	    LOOKUP_MX };
	const struct lookup_answer *answer;
	enum outcome all = OUTCOME_NO;
	size_t i;

	for (i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
		answer = ask(run, types[i], name);
		if (answer == NULL)
			return OUTCOME_NEED;
		if (answer->status == LOOKUP_FOUND)
			return OUTCOME_YES;
		if (answer->status == LOOKUP_MISSING)
			return OUTCOME_NO;
		if (answer->status == LOOKUP_FAILED)
			all = OUTCOME_UNKNOWN;
	}
	return all;
}

/* False: a lookup is needed. Whether the domain exists is only asked when it
 * makes a difference; the milder wish counts when it cannot be known. */
static bool set_wish(struct run *run, const struct policy *policy, bool fail)
{
	const struct dmarc_record *record = &policy->record;
	enum dmarc_wish wish = policy->own ? record->policy :
	    record->subdomain;

	if (fail && !policy->own && record->nonexistent != wish) {
		switch (exists(run, run->question->author)) {
		case OUTCOME_NEED:
			return false;
		case OUTCOME_NO:
			wish = record->nonexistent;
			break;
		case OUTCOME_UNKNOWN:
			if (record->nonexistent < wish)
				wish = record->nonexistent;
			break;
		default:
			break;
		}
	}
	if (record->testing && wish != DMARC_WISH_NONE)
		wish--;
	run->step->wish = wish;
	return true;
}

/* --- the question --- */

static void finish(struct run *run, enum proof proof, const char *reason)
{
	run->step->done = true;
	run->step->proof = proof;
	if (reason != NULL)
		run->step->reason = reason;
}

static void judge(struct run *run, const struct policy *policy)
{
	enum outcome outcome = align(run, &policy->record);
	bool temporary = run->question->temporary;

	if (outcome == OUTCOME_NEED || !set_wish(run, policy, outcome ==
	    OUTCOME_NO && !temporary))
		return;
	if (outcome == OUTCOME_YES)
		finish(run, PROOF_PASS, NULL);
	else if (outcome == OUTCOME_UNKNOWN)
		finish(run, PROOF_TEMPERROR, NULL);
	else if (temporary)
		finish(run, PROOF_TEMPERROR,
		    "SPF or DKIM cannot be judged now");
	else
		finish(run, PROOF_FAIL, arena_print(run->arena,
		    "nothing that passed is aligned with %s",
		    run->question->author));
}

void dmarc_step(const struct dmarc_question *question,
    const struct lookup_answers *answers, struct arena *arena,
    struct dmarc_step *step)
{
	struct run run = { .question = question, .answers = answers,
	    .arena = arena, .step = step };
	struct policy policy;
	enum outcome outcome;

	memset(step, 0, sizeof(*step));
	step->record_domain = step->organization = step->reason = "";
	if (!lookup_name_is_valid(question->author)) {
		finish(&run, PROOF_NONE, "the author's domain is none");
		return;
	}
	outcome = find_policy(&run, &policy);
	if (outcome == OUTCOME_NEED)
		return;
	if (outcome == OUTCOME_UNKNOWN) {
		finish(&run, PROOF_TEMPERROR, NULL);
	} else if (outcome == OUTCOME_NO) {
		finish(&run, PROOF_NONE, "there is no DMARC record");
	} else if (!policy.record.usable) {
		step->record_domain = policy.domain;
		finish(&run, PROOF_PERMERROR,
		    "the DMARC record has no policy");
	} else {
		step->has_record = true;
		step->record_domain = policy.domain;
		judge(&run, &policy);
	}
}
