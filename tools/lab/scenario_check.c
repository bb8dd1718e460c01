/* SPDX-License-Identifier: ISC */
/*
 * Checks of a scenario that was read; each problem is told with the line of
 * the text that is wrong.
 */
#include "tools/lab/scenario_check.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "base/arena.h"
#include "conf/problem.h"
#include "tools/lab/scenario_options.h"

enum { WORDS_MAX = 8, WORLD_ARENA_MAX = 4 << 20 };

struct words {
	const char	*at[WORDS_MAX];
	size_t		 length[WORDS_MAX];
	size_t		 count;		/* may be more than there are */
};

#define wrong(checker, text, ...) problems_add((checker)->problems, \
    (checker)->line_of((checker)->arg, text), __VA_ARGS__)

static void split(const char *text, struct words *words)
{
	words->count = 0;
	while (*(text += strspn(text, " \t")) != '\0') {
		if (words->count < WORDS_MAX) {
			words->at[words->count] = text;
			words->length[words->count] = strcspn(text, " \t");
		}
		words->count++;
		text += strcspn(text, " \t");
	}
}

/* "close, reset, stall" */
static const char *list_words(const char *const *words, char *out, size_t size)
{
	size_t used = 0;

	out[0] = '\0';
	for (; *words != NULL && used < size; words++)
		used += (size_t)snprintf(out + used, size - used, "%s%s",
		    used > 0 ? ", " : "", **words != '\0' ? *words :
		    "\"\"");
	return out;
}

/* One word of a list, or said to be wrong. */
static void check_word(const struct lab_checker *checker, const char *text,
    const char *const *accepted, const char *what)
{
	char list[200];

	if (lab_word_index(accepted, text, strlen(text)) == -1)
		wrong(checker, text, "'%s' is no %s; accepted: %s", text, what,
		    list_words(accepted, list, sizeof(list)));
}

static bool has_certificate(const struct lab_world *world, const char *name)
{
	for (size_t i = 0; i < world->certificate_count; i++)
		if (strcmp(world->certificates[i].name, name) == 0)
			return true;
	return false;
}

static bool has_host(const struct lab_world *world, const char *name)
{
	for (size_t i = 0; i < world->host_count; i++)
		if (strcmp(world->hosts[i].name, name) == 0)
			return true;
	return false;
}

/* named: where the name begins in text, which the line is known of. */
static void check_certificate(const struct lab_checker *checker,
    const struct lab_world *world, const char *text, const char *named)
{
	if (!has_certificate(world, named))
		wrong(checker, text, "there is no certificate '%s'; add a "
		    "section certificate %s { ... }", named, named);
}

static void check_record(const struct lab_checker *checker,
    const struct lab_world *world, const char *text)
{
	struct words words;

	split(text, &words);
	if (words.count < 3) {
		wrong(checker, text, "'%s' is no record; accepted: \"OWNER "
		    "[TTL] TYPE DATA\"", text);
		return;
	}
	for (size_t i = 1; i < 3; i++)
		if (words.length[i] == 4 &&
		    strncmp(words.at[i], "TLSA", 4) == 0 &&
		    words.count == i + 5 && words.at[i + 4][0] == '@')
			check_certificate(checker, world, text,
			    words.at[i + 4] + 1);
}

static void check_set(const struct lab_checker *checker, const char *text)
{
	struct words words;

	split(text, &words);
	if (words.count != 2)
		wrong(checker, text, "'%s' names no set of records; accepted: "
		    "\"OWNER TYPE\"", text);
}

static void check_answer(const struct lab_checker *checker, const char *text)
{
	struct words words;
	char list[200];

	split(text, &words);
	if (words.count != 3 || lab_word_index(lab_answer_words, words.at[2],
	    words.length[2]) == -1)
		wrong(checker, text, "'%s' is no answer; accepted: \"OWNER "
		    "TYPE ANSWER\", ANSWER one of %s", text,
		    list_words(lab_answer_words, list, sizeof(list)));
}

static void check_name(const struct lab_checker *checker, const char *name)
{
	size_t length = strlen(name);

	for (size_t i = 0; i < length; i++)
		if (isupper((unsigned char)name[i])) {
			wrong(checker, name, "'%s': names are written in lower "
			    "case", name);
			return;
		}
	if (length > 1 && name[length - 1] == '.')
		wrong(checker, name, "'%s': names are written without a final "
		    "dot", name);
}

static void check_zone(const struct lab_checker *checker,
    const struct lab_world *world, const struct lab_zone *zone)
{
	const struct lab_texts *sets[] = { &zone->expired_sets,
	    &zone->future_sets, &zone->unsigned_sets, &zone->tampered_sets };

	check_name(checker, zone->name);
	for (size_t i = 0; i < zone->records.count; i++)
		check_record(checker, world, zone->records.items[i]);
	for (size_t k = 0; k < sizeof(sets) / sizeof(sets[0]); k++)
		for (size_t i = 0; i < sets[k]->count; i++)
			check_set(checker, sets[k]->items[i]);
	for (size_t i = 0; i < zone->answers.count; i++)
		check_answer(checker, zone->answers.items[i]);
}

static bool is_in(const char *text, const char *network)
{
	struct in_addr address;
	struct in6_addr address6;

	if (strncmp(text, network, strlen(network)) != 0)
		return false;
	return inet_pton(AF_INET, text, &address) == 1 ||
	    inet_pton(AF_INET6, text, &address6) == 1;
}

static void check_behaviour(const struct lab_checker *checker,
    const char *text)
{
	struct words words;
	char stages[200], actions[200];
	const char *action;

	split(text, &words);
	action = words.count > 1 ? words.at[1] : "";
	if (words.count >= 2 && lab_word_index(lab_stage_words, words.at[0],
	    words.length[0]) != -1 && ((isdigit((unsigned char)action[0]) &&
	    isdigit((unsigned char)action[1]) &&
	    isdigit((unsigned char)action[2])) || (words.count == 2 &&
	    lab_word_index(lab_action_words, action, words.length[1]) != -1)))
		return;
	wrong(checker, text, "'%s' is no behaviour; accepted: \"STAGE REPLY\" "
	    "or \"STAGE ACTION\", STAGE one of %s, ACTION one of %s", text,
	    list_words(lab_stage_words, stages, sizeof(stages)),
	    list_words(lab_action_words, actions, sizeof(actions)));
}

static void check_sni(const struct lab_checker *checker,
    const struct lab_world *world, const char *text)
{
	struct words words;

	split(text, &words);
	if (words.count != 2)
		wrong(checker, text, "'%s' is wrong; accepted: \"SERVERNAME "
		    "CERTIFICATE\"", text);
	else
		check_certificate(checker, world, text, words.at[1]);
}

static void check_host(const struct lab_checker *checker,
    const struct lab_world *world, const struct lab_host *host)
{
	if (host->addresses.count == 0)
		wrong(checker, host->name, "host %s has no addresses; "
		    "accepted: addresses = { 192.0.2.1 }", host->name);
	for (size_t i = 0; i < host->addresses.count; i++)
		if (!is_in(host->addresses.items[i], "192.0.2.") &&
		    !is_in(host->addresses.items[i], "2001:db8:"))
			wrong(checker, host->addresses.items[i], "'%s' is no "
			    "address of a mail host; accepted: 192.0.2.N, "
			    "2001:db8::N", host->addresses.items[i]);
	if (host->port < 1 || host->port > 65535)
		wrong(checker, host->name, "host %s: port is 1 to 65535",
		    host->name);
	if (host->certificate[0] != '\0')
		check_certificate(checker, world, host->certificate,
		    host->certificate);
	else if (host->tls != LAB_TLS_NONE)
		wrong(checker, host->name, "host %s has no certificate; add "
		    "certificate = NAME, or tls = none", host->name);
	for (size_t i = 0; i < host->sni.count; i++)
		check_sni(checker, world, host->sni.items[i]);
	for (size_t i = 0; i < host->behaviour.count; i++)
		check_behaviour(checker, host->behaviour.items[i]);
	check_word(checker, host->path, lab_path_words, "path");
}

static void check_policy(const struct lab_checker *checker,
    const struct lab_world *world, const struct lab_policy *policy)
{
	check_name(checker, policy->domain);
	if (!is_in(policy->address, "203.0.113."))
		wrong(checker, policy->address[0] != '\0' ? policy->address :
		    policy->domain, "policy %s: '%s' is no address of a policy "
		    "host; accepted: 203.0.113.N", policy->domain,
		    policy->address);
	check_certificate(checker, world, policy->certificate[0] != '\0' ?
	    policy->certificate : policy->domain, policy->certificate);
	if (policy->status < 100 || policy->status > 999)
		wrong(checker, policy->domain, "policy %s: status is a number "
		    "of three digits", policy->domain);
	check_word(checker, policy->fault, lab_policy_fault_words, "fault");
}

static void check_world(const struct lab_checker *checker,
    const struct lab_world *world)
{
	for (size_t i = 0; i < world->zone_count; i++)
		check_zone(checker, world, &world->zones[i]);
	for (size_t i = 0; i < world->host_count; i++)
		check_host(checker, world, &world->hosts[i]);
	for (size_t i = 0; i < world->policy_count; i++)
		check_policy(checker, world, &world->policies[i]);
}

static bool has_fault(const struct lab_scenario *scenario, const char *name)
{
	for (size_t i = 0; i < scenario->fault_count; i++)
		if (strcmp(scenario->faults[i].name, name) == 0)
			return true;
	return false;
}

static void check_step(const struct lab_checker *checker,
    const struct lab_step *step, bool first)
{
	const char *at = strrchr(step->to, '@');

	for (size_t i = 0; i < step->faults.count; i++)
		if (!has_fault(checker->scenario, step->faults.items[i]))
			wrong(checker, step->faults.items[i], "there is no "
			    "fault '%s'; add a section fault %s { ... }",
			    step->faults.items[i], step->faults.items[i]);
	for (size_t i = 0; i < step->accept.count; i++)
		check_word(checker, step->accept.items[i], lab_outcome_words,
		    "outcome");
	for (size_t i = 0; i < step->untouched.count; i++)
		if (!has_host(&checker->scenario->world,
		    step->untouched.items[i]))
			wrong(checker, step->untouched.items[i], "there is no "
			    "host '%s' in the world", step->untouched.items[i]);
	if (step->to[0] == '\0' ? first : at == NULL || at == step->to ||
	    at[1] == '\0' || strpbrk(step->to, " <>") != NULL)
		wrong(checker, step->to[0] != '\0' ? step->to : step->name,
		    "step %s: to is the address of a recipient%s", step->name,
		    first ? "" : ", or is left out to go on with the message "
		    "of the step before");
	if (step->after < 0 || step->after > 60)
		wrong(checker, step->name, "step %s: after is 0 to 60 seconds",
		    step->name);
}

static void check_route(const struct lab_checker *checker, const char *text)
{
	static const char *const kinds[] = { "starttls", "implicit", NULL };
	struct words words;

	split(text, &words);
	if (words.count != 4 || lab_word_index(kinds, words.at[3],
	    words.length[3]) == -1)
		wrong(checker, text, "'%s' is no route; accepted: \"DOMAIN "
		    "HOST PORT starttls\" or implicit", text);
}

void lab_scenario_check(const struct lab_checker *checker)
{
	const struct lab_scenario *scenario = checker->scenario;
	struct arena *arena;

	check_world(checker, &scenario->world);
	for (size_t i = 0; i < scenario->fault_count; i++) {
		char *names[] = { scenario->faults[i].name };
		const struct lab_texts one = { names, 1 };
		size_t before = checker->problems->count;

		if (before > 0)
			break;	/* they would be told again */
		arena = arena_new(WORLD_ARENA_MAX);
		check_world(checker, lab_world_with(scenario, &one, arena));
		arena_free(arena);
	}
	for (size_t i = 0; i < scenario->sender.routes.count; i++)
		check_route(checker, scenario->sender.routes.items[i]);
	if (scenario->step_count == 0)
		problems_add(checker->problems, 0, "there is no step; add "
		    "step NAME { to = ADDRESS expect = OUTCOME }");
	for (size_t i = 0; i < scenario->step_count; i++)
		check_step(checker, &scenario->steps[i], i == 0);
}
