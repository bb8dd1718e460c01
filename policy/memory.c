/* SPDX-License-Identifier: ISC */
/*
 * What an observation teaches, and what the plan is told. Only what was seen
 * counts, whoever asked for it: a message under an exception or with
 * TLS-Required: No teaches like any other. A connection on which TLS was not
 * wanted (level none) has shown nothing.
 */
#include "policy/memory.h"

#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/hash.h"
#include "base/idn.h"
#include "base/mem.h"
#include "conf/conf.h"
#include "policy/memory_private.h"
#include "policy/observation.h"

/* Until there is a configuration; the defaults of the options. */
enum { OBSERVATIONS = 5 };
#define AGE ((int64_t)60 * 24 * 3600 * 1000)

/* --- learning --- */

static void count_up(uint32_t *count)
{
	if (*count < UINT32_MAX)
		++*count;
}

/* Whose demand the result was measured against: what binds, if it is
 * published; else what would be ideal, where it asks for more than what binds,
 * so that it was tried. */
static enum plan_source judge_of(const struct observation *observation)
{
	if (observation->source == SOURCE_DANE ||
	    observation->source == SOURCE_STS ||
	    observation->requirement > REQUIRE_ENCRYPTED)
		return observation->source;
	return observation->ideal_source;
}

/* By TLSA records themselves: a set without a usable one asks for less. */
static bool is_dane(const struct observation *observation)
{
	return judge_of(observation) == SOURCE_DANE &&
	    (observation->source != SOURCE_DANE ||
	    observation->requirement == REQUIRE_DANE);
}

static void learn_policies(const struct memory *memory,
    struct memory_record *record, const struct observation *observation)
{
	if (observation->result != RESULT_SUCCESS)
		return;
	if (is_dane(observation)) {
		if (!memory_is_fresh(memory, record->dane_then))
			record->dane_count = 0;
		count_up(&record->dane_count);
		record->dane_last = record->last;
		record->dane_then = record->seen.due;
	}
	if (judge_of(observation) == SOURCE_STS) {
		if (!memory_is_fresh(memory, record->sts_then))
			record->sts_count = 0;
		count_up(&record->sts_count);
		record->sts_last = record->last;
		record->sts_then = record->seen.due;
	}
}

static void learn_secured(const struct memory *memory,
    struct memory_record *record, const struct observation *observation)
{
	if (!memory_is_fresh(memory, record->tls_then)) {
		record->tls_count = 0;
		record->web_count = 0;
	}
	count_up(&record->tls_count);
	record->tls_last = record->last;
	record->tls_then = record->seen.due;
	record->lost_since = 0;
	snprintf(record->version, sizeof(record->version), "%s",
	    observation->version);
	if (observation->web == WEB_VALID)
		count_up(&record->web_count);
	else if (observation->web == WEB_INVALID)
		record->web_count = 0;
	learn_policies(memory, record, observation);
}

static void learn_loss(struct memory_record *record)
{
	if (record->tls_last != 0 && record->lost_since == 0)
		record->lost_since = record->last;
}

static void learn_clear(struct memory_record *record)
{
	count_up(&record->clear_count);
	record->clear_last = record->last;
	learn_loss(record);
}

static bool teaches(const struct observation *observation)
{
	switch (observation->stage) {
	case OBSERVED_SECURED:
		return true;
	case OBSERVED_CLEAR:
		return observation->requirement != REQUIRE_CLEAR;
	case OBSERVED_FAILED:
		/* Of TLS: another certificate, or a keyword missing under
		 * TLS, does not say that TLS is gone. */
		return observation->symptom[0] != '\0' &&
		    observation->version[0] == '\0';
	default:
		return false;
	}
}

static void learn(struct memory *memory, enum memory_kind kind,
    const char *text, const struct observation *observation)
{
	struct memory_record *record;
	char name[256];

	if (memory_read_name(text, name, sizeof(name)) == -1)
		return;
	/* Trouble alone makes no name worth to be known. */
	if (observation->stage == OBSERVED_FAILED &&
	    memory_find(memory, kind, name) == NULL)
		return;
	record = memory_make(memory, kind, name);
	heap_insert(&memory->seen[record->expected], &record->seen,
	    clock_monotonic());
	record->last = clock_wall();
	if (record->first == 0)
		record->first = record->last;
	if (observation->stage == OBSERVED_SECURED)
		learn_secured(memory, record, observation);
	else if (observation->stage == OBSERVED_CLEAR)
		learn_clear(record);
	else
		learn_loss(record);
	memory_write_soon(memory, record);
	memory_settle(memory, record);
}

void memory_observe(struct memory *memory,
    const struct observation *observation)
{
	if (!teaches(observation))
		return;
	learn(memory, MEMORY_DESTINATION, observation->domain, observation);
	learn(memory, MEMORY_HOST, observation->host, observation);
}

/* --- asking --- */

bool memory_fact(struct memory *memory, enum memory_kind kind,
    const char *name, struct fact_memory *fact)
{
	const struct memory_record *record = NULL;
	uint32_t enough = memory->observations;
	char known[256];

	memset(fact, 0, sizeof(*fact));
	if (memory_read_name(name, known, sizeof(known)) == 0)
		record = memory_find(memory, kind, known);
	if (record == NULL)
		return false;
	fact->expects_tls = record->tls_count >= enough &&
	    memory_is_fresh(memory, record->tls_then);
	fact->expects_web = record->web_count >= enough &&
	    memory_is_fresh(memory, record->tls_then);
	fact->expects_dane = record->dane_count >= enough &&
	    memory_is_fresh(memory, record->dane_then);
	fact->expects_sts = record->sts_count >= enough &&
	    memory_is_fresh(memory, record->sts_then);
	fact->known_clear = record->known_clear;
	fact->count = record->tls_count;
	fact->last = record->tls_last;
	return true;
}

size_t memory_count(const struct memory *memory)
{
	return memory->count;
}

/* --- an operator's word --- */

unsigned memory_forget(struct memory *memory, const char *name)
{
	struct memory_record *record;
	unsigned forgotten = 0;
	char known[256];
	int kind;

	if (memory_read_name(name, known, sizeof(known)) == -1 &&
	    domain_to_ascii(known, sizeof(known), name) != NULL)
		return 0;
	for (kind = 0; kind < MEMORY_KINDS; kind++) {
		record = memory_find(memory, kind, known);
		if (record == NULL)
			continue;
		memory_delete_row(memory, record, true);
		memory_remove(memory, record);
		forgotten++;
	}
	return forgotten;
}

/* --- life --- */

static bool some_defer(const struct conf *conf)
{
	size_t i;

	for (i = 0; i < conf->destination_count; i++)
		if (conf->destinations[i].memory == MEMORY_DEFER)
			return true;
	return conf->unlisted.memory == MEMORY_DEFER;
}

void memory_configure(struct memory *memory, const struct conf *conf)
{
	int64_t age = conf->memory_age * 1000;
	uint32_t observations = (uint32_t)conf->memory_observations;

	memory->defers = some_defer(conf);
	if (age == memory->age && observations == memory->observations)
		return;
	memory->age = age;
	memory->observations = observations;
	memory_settle_all(memory);
}

struct memory *memory_new(struct ledger *ledger,
    void (*changed)(void *arg, const char *domain), void *arg)
{
	struct memory *memory = mem_alloc(sizeof(*memory));
	int i;

	memory->ledger = ledger;
	memory->changed = changed;
	memory->arg = arg;
	memory->observations = OBSERVATIONS;
	memory->age = AGE;
	for (i = 0; i < MEMORY_KINDS; i++)
		memory->names[i] = hash_new();
	for (i = 0; i < RECORD_CLASSES; i++)
		heap_init(&memory->seen[i]);
	heap_init(&memory->binding);
	memory_add_rows(memory);
	memory_add_pins(memory);
	return memory;
}

static void remove_one(void *arg, struct memory_record *record)
{
	memory_remove(arg, record);
}

void memory_free(struct memory *memory)
{
	int i;

	if (memory == NULL)
		return;
	memory->silent = true;
	memory_each_record(memory, remove_one, memory);
	timer_stop(&memory->ageing);
	timer_stop(&memory->telling);
	memory_free_pins(memory);
	for (i = 0; i < MEMORY_KINDS; i++)
		hash_free(memory->names[i]);
	for (i = 0; i < RECORD_CLASSES; i++)
		heap_release(&memory->seen[i]);
	heap_release(&memory->binding);
	mem_free(memory);
}
