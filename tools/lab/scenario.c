/* SPDX-License-Identifier: ISC */
/*
 * What can be done with a scenario once it is read: worlds under faults, and
 * the names of outcomes.
 */
#include "tools/lab/scenario.h"

#include <string.h>

#include "base/arena.h"
#include "base/log.h"
#include "base/mem.h"
#include "tools/lab/scenario_options.h"

static size_t option_size(enum lab_option_type type)
{
	switch (type) {
	case LAB_OPTION_TEXTS:
		return sizeof(struct lab_texts);
	case LAB_OPTION_NUMBER:
		return sizeof(int64_t);
	case LAB_OPTION_BOOL:
		return sizeof(bool);
	case LAB_OPTION_CHOICE:
		return sizeof(enum lab_outcome);
	default:
		return sizeof(char *);
	}
}

/* The options that the fault's section gives replace those of the other. So
 * does its title, which is the same word in another line of the file. */
static void overlay(enum lab_section kind, char *section, const char *change,
    uint32_t given)
{
	unsigned bit = 0;

	memcpy(section, change, sizeof(void *));
	for (size_t i = 0; i < lab_option_count; i++) {
		const struct lab_option *option = &lab_options[i];

		if (option->section != kind)
			continue;
		if (given & (UINT32_C(1) << bit++))
			memcpy(section + option->offset,
			    change + option->offset,
			    option_size(option->type));
	}
}

static const char *title_of(const char *section)
{
	const char *title;

	memcpy(&title, section, sizeof(title));
	return title;
}

/* One kind of section of world, changed by those of a fault. */
static void merge_kind(struct lab_world *world, enum lab_section kind,
    const struct lab_fault *fault, struct arena *arena)
{
	const struct lab_kind *shape = &lab_kinds[kind];
	const struct lab_given *given = fault->given;
	char **items = (char **)(void *)((char *)world + shape->items);
	size_t *count = (size_t *)(void *)((char *)world + shape->count);
	const char *changes, *const *from = (const char *const *)
	    (const void *)((const char *)&fault->changes + shape->items);
	size_t changed = *(const size_t *)(const void *)
	    ((const char *)&fault->changes + shape->count), k;
	char *merged;

	if (changed == 0)
		return;
	changes = *from;
	merged = arena_alloc_array(arena, *count + changed, shape->size);
	if (*count > 0)
		memcpy(merged, *items, *count * shape->size);
	*items = merged;
	for (size_t i = 0; i < changed; i++) {
		const char *change = changes + i * shape->size;

		for (k = 0; k < *count; k++)
			if (strcmp(title_of(merged + k * shape->size),
			    title_of(change)) == 0)
				break;
		if (k == *count)
			memcpy(merged + (*count)++ * shape->size, change,
			    shape->size);
		else
			overlay(kind, merged + k * shape->size, change,
			    given->masks[kind][i]);
	}
}

static const struct lab_fault *find_fault(const struct lab_scenario *scenario,
    const char *name)
{
	for (size_t i = 0; i < scenario->fault_count; i++)
		if (strcmp(scenario->faults[i].name, name) == 0)
			return &scenario->faults[i];
	return NULL;
}

struct lab_world *lab_world_with(const struct lab_scenario *scenario,
    const struct lab_texts *faults, struct arena *arena)
{
	struct lab_world *world = arena_dup(arena, &scenario->world,
	    sizeof(*world));

	for (size_t i = 0; i < faults->count; i++) {
		const struct lab_fault *fault = find_fault(scenario,
		    faults->items[i]);

		if (fault == NULL)	/* the reader has looked */
			bug("fault");
		for (int kind = 0; kind < LAB_KINDS; kind++)
			merge_kind(world, (enum lab_section)kind, fault,
			    arena);
	}
	return world;
}

bool lab_texts_equal(const struct lab_texts *one,
    const struct lab_texts *other)
{
	if (one->count != other->count)
		return false;
	for (size_t i = 0; i < one->count; i++)
		if (strcmp(one->items[i], other->items[i]) != 0)
			return false;
	return true;
}

bool lab_scenario_has_fault(const struct lab_scenario *scenario,
    const char *name)
{
	for (size_t i = 0; i < scenario->fault_count; i++)
		if (strcmp(scenario->faults[i].name, name) == 0)
			return true;
	return false;
}

bool lab_scenario_asks_requiretls(const struct lab_scenario *scenario)
{
	for (size_t i = 0; i < scenario->step_count; i++)
		if (scenario->steps[i].requiretls)
			return true;
	return false;
}

const char *lab_outcome_name(enum lab_outcome outcome)
{
	return outcome < LAB_OUTCOMES ? lab_outcome_words[outcome] :
	    "unknown";
}

void lab_scenario_free(struct lab_scenario *scenario)
{
	struct arena *arena;

	if (scenario == NULL)
		return;
	arena = scenario->arena;	/* the scenario itself is in it */
	arena_free(arena);
}
