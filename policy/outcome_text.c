/* SPDX-License-Identifier: ISC */
/*
 * The texts of policies, by the digests that plans carry: TLSA records as
 * "3 1 1 HEX", a line each (RPT-57), and MTA-STS policies as they were
 * published (RPT-58). Plans bring them, since observations only name them. A
 * text is written down once some session counts under it.
 */
#include "policy/outcome_internal.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/digest.h"
#include "base/hash.h"
#include "base/mem.h"
#include "policy/dane.h"
#include "policy/plan.h"
#include "policy/sts_policy.h"

/* A connection may outlive its plan by hours. */
#define WANTED_MILLISECONDS ((int64_t)2 * 24 * 3600 * 1000)

enum { SWEEP_MILLISECONDS = 60000 };

struct outcome_text *outcome_text_find(const struct outcomes *outcomes,
    uint64_t digest)
{
	return hash_find_id(outcomes->texts, digest);
}

bool outcome_text_add(struct outcomes *outcomes, uint64_t digest, char *text,
    bool useless)
{
	struct outcome_text *made;

	if (hash_count(outcomes->texts) >= OUTCOME_TEXTS_MAX ||
	    outcomes->text_bytes + strlen(text) > OUTCOME_TEXT_BYTES_MAX)
		outcome_texts_sweep(outcomes);
	if (outcome_text_find(outcomes, digest) != NULL ||
	    hash_count(outcomes->texts) >= OUTCOME_TEXTS_MAX ||
	    outcomes->text_bytes + strlen(text) > OUTCOME_TEXT_BYTES_MAX) {
		mem_free(text);
		return false;
	}
	made = mem_alloc(sizeof(*made));
	made->digest = digest;
	made->text = text;
	made->useless = useless;
	made->wanted = clock_wall();
	outcomes->text_bytes += strlen(text);
	hash_put_id(outcomes->texts, digest, made);
	return true;
}

/* --- forgetting --- */

static void text_free(struct outcomes *outcomes, struct outcome_text *text)
{
	outcomes->text_bytes -= strlen(text->text);
	mem_free(text->text);
	mem_free(text);
}

static void unmark(void *arg, const void *key, size_t length, void *value)
{
	struct outcome_text *text = value;

	(void)arg;
	(void)key;
	(void)length;
	text->in_use = false;
}

static void mark_used(struct outcomes *outcomes)
{
	const struct outcome_day *day;
	const struct outcome *outcome;
	struct outcome_text *text;

	TAILQ_FOREACH(day, &outcomes->days, entry)
		STAILQ_FOREACH(outcome, &day->all, entry) {
			text = outcome_text_find(outcomes, outcome->digest);
			if (text != NULL)
				text->in_use = true;
		}
}

static void sweep_one(void *arg, const void *key, size_t length, void *value)
{
	struct outcomes *outcomes = arg;
	struct outcome_text *text = value;
	int64_t age = clock_wall() - text->wanted;

	if (text->in_use || (age >= 0 && age < WANTED_MILLISECONDS))
		return;
	if (text->saved)
		outcome_unsave_text(outcomes, text);
	hash_remove(outcomes->texts, key, length);
	text_free(outcomes, text);
}

void outcome_texts_sweep(struct outcomes *outcomes)
{
	int64_t now = clock_monotonic();

	if (outcomes->swept_at != 0 &&
	    now - outcomes->swept_at < SWEEP_MILLISECONDS)
		return;
	outcomes->swept_at = now;
	hash_each(outcomes->texts, unmark, NULL);
	mark_used(outcomes);
	hash_each(outcomes->texts, sweep_one, outcomes);
}

static void free_one(void *arg, const void *key, size_t length, void *value)
{
	(void)key;
	(void)length;
	text_free(arg, value);
}

void outcome_texts_free(struct outcomes *outcomes)
{
	hash_each(outcomes->texts, free_one, outcomes);
	hash_free(outcomes->texts);
}

/* --- learning --- */

/* Has it been learnt already? It is wanted, then. */
static bool is_known(struct outcomes *outcomes, uint64_t digest)
{
	struct outcome_text *text = outcome_text_find(outcomes, digest);

	if (text == NULL)
		return false;
	text->wanted = clock_wall();
	return true;
}

/* One line, whatever bytes it is made of; nothing when there is no room. */
static void add_line(struct buf *text, const char *line, size_t length)
{
	size_t i;

	if (length + 1 > buf_room(text))
		return;
	for (i = 0; i < length; i++)
		buf_add_byte(text, line[i] >= ' ' && line[i] <= '~' ? line[i] :
		    '?');
	buf_add_byte(text, '\n');
}

static void add_record(struct buf *text, const struct dane_record *record)
{
	size_t size = 2 * record->length + 24, used;
	char *line;

	if (!record->whole || size > OUTCOME_TEXT_MAX)
		return;
	line = mem_alloc(size);
	used = (size_t)snprintf(line, size, "%u %u %u ", record->usage,
	    record->selector, record->matching);
	hex_format(record->data, record->length, line + used, size - used);
	add_line(text, line, strlen(line));
	mem_free(line);
}

/* The set at "_25._tcp.DOMAIN". */
static const struct fact *find_records(const struct plan_facts *facts,
    const char *domain)
{
	char name[sizeof(facts->facts->query.name)];
	const struct fact *fact;
	size_t i;

	if (snprintf(name, sizeof(name), "_%u._tcp.%s", facts->next->port,
	    domain) >= (int)sizeof(name))
		return NULL;
	for (i = 0; i < facts->fact_count; i++) {
		fact = &facts->facts[i];
		if (fact->query.type == QUERY_TLSA && fact->result ==
		    FACT_DATA && strcasecmp(fact->query.name, name) == 0)
			return fact;
	}
	return NULL;
}

static void learn_records(struct outcomes *outcomes,
    const struct plan_host *host, const struct plan_facts *facts)
{
	const struct fact *fact;
	bool useless = true;
	struct buf text;
	size_t i;

	if (host->tlsa_digest == 0 || is_known(outcomes, host->tlsa_digest))
		return;
	fact = find_records(facts, host->tlsa_domain);
	if (fact == NULL)
		return;
	buf_init(&text, OUTCOME_TEXT_MAX);
	for (i = 0; i < fact->count; i++) {
		add_record(&text, &fact->tlsa[i]);
		if (useless && dane_is_usable(&fact->tlsa[i], NULL, 0))
			useless = false;
	}
	outcome_text_add(outcomes, host->tlsa_digest, buf_take(&text),
	    useless);
}

static const struct fact_sts *find_policy(const struct plan_facts *facts)
{
	const struct fact *fact;
	size_t i;

	for (i = 0; i < facts->fact_count; i++) {
		fact = &facts->facts[i];
		if ((fact->query.type == QUERY_STS || fact->query.type ==
		    QUERY_STS_CACHED) && fact->result == FACT_DATA &&
		    fact->count > 0)
			return fact->sts;
	}
	return NULL;
}

static void add_published(struct buf *text, const char *body, size_t length)
{
	const char *end = body + length, *stop;
	size_t line;

	for (; body < end; body = stop + 1) {
		stop = memchr(body, '\n', (size_t)(end - body));
		if (stop == NULL)
			stop = end;
		line = (size_t)(stop - body);
		if (line > 0 && body[line - 1] == '\r')
			line--;
		if (line > 0)
			add_line(text, body, line);
	}
}

static void add_values(struct buf *text, const struct sts_policy *policy)
{
	char line[300];
	size_t i;

	add_published(text, "version: STSv1", 14);
	snprintf(line, sizeof(line), "mode: %s", sts_mode_name(policy->mode));
	add_line(text, line, strlen(line));
	for (i = 0; i < policy->mx_count; i++) {
		snprintf(line, sizeof(line), "mx: %s", policy->mx[i]);
		add_line(text, line, strlen(line));
	}
	snprintf(line, sizeof(line), "max_age: %lld",
	    (long long)policy->max_age);
	add_line(text, line, strlen(line));
}

static void learn_policy(struct outcomes *outcomes, const struct plan *plan,
    const struct plan_facts *facts)
{
	const struct fact_sts *policy;
	const char *body = NULL;
	struct buf text;
	size_t length;

	if (plan->sts_digest == 0 || is_known(outcomes, plan->sts_digest))
		return;
	policy = find_policy(facts);
	if (policy == NULL)
		return;
	if (outcomes->source != NULL)
		body = outcomes->source(outcomes->source_arg, plan->next_hop,
		    policy->id, &length);
	buf_init(&text, OUTCOME_TEXT_MAX);
	if (body != NULL)
		add_published(&text, body, length);
	else
		add_values(&text, &policy->policy);
	outcome_text_add(outcomes, plan->sts_digest, buf_take(&text), false);
}

void outcomes_plan(struct outcomes *outcomes, const struct plan *plan,
    const struct plan_facts *facts)
{
	size_t i;

	learn_policy(outcomes, plan, facts);
	for (i = 0; i < plan->host_count; i++)
		learn_records(outcomes, &plan->hosts[i], facts);
}
