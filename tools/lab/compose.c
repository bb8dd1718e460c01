/* SPDX-License-Identifier: ISC */
/*
 * The generator is splitmix64 (Steele, Lea, Flood 2014), started from seed and
 * number; it is used by whole numbers only, so that all machines agree.
 *
 * Each world has a main part. Those of a seed come in an order of their own,
 * one after the other, so that every part has its turn within as many worlds
 * as there are parts; then the order is drawn anew. The rest of a world,
 * further parts included, is chance, weighted so that most worlds demand
 * something that can be broken. What does not go together, or would not show,
 * is drawn again.
 *
 * What comes out has been written and read as a file, so it is one.
 */
#include "tools/lab/compose.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/log.h"
#include "base/mem.h"
#include "tools/lab/compose_private.h"
#include "tools/lab/scenario_write.h"

enum { PLAN_ARENA_MAX = 4 << 20, PARTS_MAX = 256, TRIES = 2000 };

/* --- chance --- */

static uint64_t mix(uint64_t value)
{
	value = (value ^ value >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	value = (value ^ value >> 27) * UINT64_C(0x94d049bb133111eb);
	return value ^ value >> 31;
}

static uint64_t next(uint64_t *state)
{
	*state += UINT64_C(0x9e3779b97f4a7c15);
	return mix(*state);
}

/* 0 to limit - 1; the bias is beyond notice for limits like ours. */
static unsigned below(uint64_t *state, unsigned limit)
{
	return (unsigned)((next(state) >> 32) * limit >> 32);
}

unsigned plan_below(struct plan *plan, unsigned limit)
{
	return below(&plan->state, limit);
}

bool plan_chance(struct plan *plan, unsigned percent)
{
	return plan_below(plan, 100) < percent;
}

void texts_add(struct plan *plan, struct lab_texts *texts,
    const char *format, ...)
{
	char **items = arena_alloc_array(plan->arena, texts->count + 1,
	    sizeof(*items)), line[4096];
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(line, sizeof(line), format, arguments);
	va_end(arguments);
	if (texts->count > 0)
		memcpy(items, texts->items, texts->count * sizeof(*items));
	items[texts->count++] = arena_dup_string(plan->arena, line);
	texts->items = items;
}

/* --- the good world --- */

struct lab_certificate *plan_certificate(struct plan *plan, const char *name)
{
	struct lab_certificate *certificate;

	if (plan->certificate_count == PLAN_CERTIFICATES)
		bug("lab-compose");
	certificate = &plan->certificates[plan->certificate_count++];
	*certificate = (struct lab_certificate){ .issuer_authority = true };
	certificate->name = arena_dup_string(plan->arena, name);
	certificate->common_name = arena_dup_string(plan->arena, "");
	certificate->organization = arena_dup_string(plan->arena, "");
	return certificate;
}

static struct lab_certificate *host_certificate(struct plan *plan,
    const char *name, size_t i)
{
	struct lab_certificate *certificate = plan_certificate(plan,
	    arena_print(plan->arena, "%s%zu", name, i + 1));

	texts_add(plan, &certificate->names, "%%h");
	return certificate;
}

static void start_host(struct plan *plan, size_t i)
{
	struct host_plan *host = &plan->hosts[i];
	unsigned issuer = plan_below(plan, 100);

	host->zone = plan_chance(plan, 70) ? ZONE_DOMAIN : ZONE_PROVIDER;
	host->target_zone = -1;
	host->good = host_certificate(plan, "good", i);
	host->certificate = host_certificate(plan, "mx", i);
	texts_add(plan, &host->certificate->names, "%%t");
	host->certificate->issuer = issuer < 55 ? LAB_ISSUER_CA :
	    issuer < 85 ? LAB_ISSUER_SELF : LAB_ISSUER_PRIVATE;
	host->other = host_certificate(plan, "other", i);
	host->other->issuer = LAB_ISSUER_OTHER;
	host->host.port = 25;
	host->host.tickets = 2;
	host->host.ciphers = host->host.path = arena_dup_string(plan->arena,
	    "");
	texts_add(plan, &host->host.addresses, "192.0.2.%zu", i + 11);
}

static void start_policy(struct plan *plan)
{
	struct sts_plan *sts = &plan->sts;
	struct lab_certificate *web = plan_certificate(plan, "web");

	texts_add(plan, &web->names, "mta-sts.example.net");
	sts->record = LAB_RECORD_VALID;
	sts->texts[0] = "\"v=STSv1; id=%d;\"";
	sts->mode = sts->mode_before = LAB_STS_ENFORCE;
	sts->host.certificate = web->name;
	sts->host.status = 200;
	sts->host.type = arena_dup_string(plan->arena, "text/plain");
	sts->host.fault = arena_dup_string(plan->arena, "");
}

static void start(struct plan *plan)
{
	unsigned hosts = plan_below(plan, 100);

	plan->host_count = hosts < 55 ? 1 : hosts < 88 ? 2 : 3;
	for (size_t i = 0; i < PLAN_HOSTS; i++)
		start_host(plan, i);
	for (int i = 0; i < PLAN_ZONES; i++) {
		unsigned denial = plan_below(plan, 100);

		plan->zones[i].denial = denial < 50 ? LAB_NSEC :
		    denial < 85 ? LAB_NSEC3 : LAB_NSEC3_OPT_OUT;
		plan->zones[i].iterations = plan_below(plan, 11);
	}
	start_policy(plan);
}

/* --- what is demanded --- */

struct needs {		/* per cent; what is left is nothing */
	unsigned	 dane, sts, both, unusable;
};

static const struct needs usual_needs = { 42, 25, 8, 8 };

/* Parts show best where something depends on them. */
static const struct {
	const struct part_list	*parts;
	struct needs		 needs;
} lists[] = {
	{ &dns_parts, { 60, 20, 8, 4 } },
	{ &tlsa_parts, { 85, 0, 15, 0 } },
	{ &certificate_parts, { 45, 45, 5, 0 } },
	{ &host_parts, { 38, 24, 6, 8 } },
	{ &sts_parts, { 5, 75, 10, 2 } },
};

enum { LISTS = sizeof(lists) / sizeof(lists[0]) };

static void demand_policy(struct plan *plan)
{
	plan->sts.there = true;
	for (size_t i = 0; i < plan->host_count; i++)
		if (plan_chance(plan, 92))
			plan->hosts[i].certificate->issuer = LAB_ISSUER_CA;
}

static void demand(struct plan *plan, const struct needs *needs)
{
	unsigned what = plan_below(plan, 100);
	bool dane = what < needs->dane, sts = !dane &&
	    what < needs->dane + needs->sts, both = !dane && !sts &&
	    what < needs->dane + needs->sts + needs->both;
	bool unusable = !dane && !sts && !both && what < needs->dane +
	    needs->sts + needs->both + needs->unusable;

	if (sts || both)
		demand_policy(plan);
	for (size_t i = 0; i < plan->host_count; i++) {
		if (i > 0 && plan_chance(plan, 20))
			continue;
		if (dane || both)
			plan_dane(plan, &plan->hosts[i]);
		else if (unusable)
			plan_unusable(plan, &plan->hosts[i]);
	}
}

/* --- parts --- */

static const struct part *find_part(unsigned which, const struct needs **needs)
{
	for (size_t i = 0; i < LISTS; i++) {
		if (which < lists[i].parts->count) {
			*needs = &lists[i].needs;
			return &lists[i].parts->parts[which];
		}
		which -= (unsigned)lists[i].parts->count;
	}
	bug("lab-compose");
}

static unsigned count_parts(void)
{
	unsigned count = 0;

	for (size_t i = 0; i < LISTS; i++)
		count += (unsigned)lists[i].parts->count;
	if (count > PARTS_MAX)
		bug("lab-compose");
	return count;
}

unsigned lab_compose_parts(void)
{
	return count_parts();
}

const char *lab_compose_part(unsigned which)
{
	const struct needs *needs;

	return find_part(which, &needs)->name;
}

/* Which part is the main one: a new order for each round through them. */
static unsigned main_part(uint64_t seed, unsigned number)
{
	unsigned count = count_parts(), order[PARTS_MAX];
	uint64_t state = mix(seed) ^ mix(number / count +
	    UINT64_C(0x5bd1e995));

	for (unsigned i = 0; i < count; i++)
		order[i] = i;
	for (unsigned i = count - 1; i > 0; i--) {
		unsigned k = below(&state, i + 1), kept = order[i];

		order[i] = order[k];
		order[k] = kept;
	}
	return order[number % count];
}

static void apply(struct plan *plan, const struct part *part)
{
	size_t i = plan_chance(plan, 70) ? 0 : plan_below(plan,
	    (unsigned)plan->host_count);

	part->apply(plan, &plan->hosts[i], part->which + (part->among == 0 ?
	    0 : (int)plan_below(plan, (unsigned)part->among)));
	if (plan->part_count < PLAN_PARTS)
		plan->parts[plan->part_count++] = part->name;
}

/* Who takes a demand for none shows it best where there is no STARTTLS. */
static void press(struct plan *plan)
{
	static const char *const names[] = { "path strip", "path mangle",
	    "host no tls", "host no offer" };
	const char *name = names[plan_below(plan, 4)];

	for (size_t i = 0; i < host_parts.count; i++)
		if (strcmp(host_parts.parts[i].name, name) == 0)
			apply(plan, &host_parts.parts[i]);
}

static void apply_further(struct plan *plan)
{
	unsigned what = plan_below(plan, 100), count = what < 45 ? 0 :
	    what < 80 ? 1 : 2;
	const struct needs *needs;

	while (count-- > 0)
		apply(plan, find_part(plan_below(plan, count_parts()),
		    &needs));
	if (plan->level == LAB_LEVEL_AUTO && plan_chance(plan, 5))
		plan->level = plan_chance(plan, 50) ? LAB_LEVEL_ENCRYPT :
		    LAB_LEVEL_DANE_ONLY;
}

/* A policy that was seen before; never where DANE is all that counts, for who
 * has that need not look at policies. */
static void remember(struct plan *plan)
{
	struct sts_plan *sts = &plan->sts;
	unsigned mode = plan_below(plan, 100);

	if (!sts->there || plan->level != LAB_LEVEL_AUTO ||
	    !plan_chance(plan, 45))
		return;
	sts->cached = true;
	sts->same_id = sts->record != LAB_RECORD_VALID ||
	    plan_chance(plan, 60);
	sts->mode_before = mode < 80 ? LAB_STS_ENFORCE : mode < 90 ?
	    LAB_STS_TESTING : LAB_STS_NONE;
}

/* --- drawing --- */

/* Whether the world is worth having; by chance, where it is not clear. */
static bool is_wanted(struct plan *plan, const struct lab_answer *answer)
{
	if (answer->lost)
		return false;
	/* The sender's own host has no TLS for a notification. */
	if (plan->level != LAB_LEVEL_AUTO && (answer->outcomes &
	    1u << LAB_BOUNCED) != 0)
		return false;
	/* Rare ones. */
	if (answer->expect == LAB_CLEAR || answer->expect == LAB_BOUNCED)
		return true;
	if (answer->blind)
		return plan_chance(plan, 15);
	return answer->violable || plan_chance(plan, 60);
}

/* -1: try again. */
static int draw(struct plan *plan, unsigned part, struct lab_answer *answer)
{
	const struct needs *needs;
	const struct part *chosen = find_part(part, &needs);

	start(plan);
	demand(plan, plan_chance(plan, 85) ? needs : &usual_needs);
	apply(plan, chosen);
	if (plan_chance(plan, 20))
		press(plan);
	apply_further(plan);
	remember(plan);
	for (size_t i = 0; i < plan->host_count; i++)
		plan_settle(&plan->hosts[i]);
	plan_name(plan);
	if (plan_find_facts(plan) == -1)
		return -1;
	*answer = lab_oracle(&plan->facts);
	return is_wanted(plan, answer) ? 0 : -1;
}

static void draw_until(struct plan *plan, uint64_t seed, unsigned number,
    struct lab_answer *answer)
{
	unsigned part = main_part(seed, number);

	for (unsigned try = 0; try < TRIES; try++) {
		struct arena *arena = plan->arena;

		arena_reset(arena);
		*plan = (struct plan){ .arena = arena, .state = mix(seed) ^
		    mix(((uint64_t)number << 20 | try) + 1) };
		if (draw(plan, part, answer) == 0)
			return;
	}
	bug("lab-compose");
}

/* --- the scenario --- */

static void set_step(struct plan *plan, struct lab_step *step,
    const char *name, const struct lab_facts *facts)
{
	struct lab_answer answer = lab_oracle(facts);

	step->name = arena_dup_string(plan->arena, name);
	step->to = arena_dup_string(plan->arena, "bob@example.net");
	step->clock = arena_dup_string(plan->arena, "");
	step->parameters = arena_dup_string(plan->arena, "");
	step->expect = answer.expect;
	for (int i = 0; i < LAB_OUTCOMES; i++)
		if ((answer.outcomes & 1u << i) != 0 &&
		    (enum lab_outcome)i != answer.expect)
			texts_add(plan, &step->accept, "%s",
			    lab_outcome_name((enum lab_outcome)i));
	step->strict = arena_dup_string(plan->arena, answer.strict != NULL ?
	    answer.strict : "");
	for (size_t i = 0; i < facts->host_count; i++)
		if ((answer.untouched & 1u << i) != 0)
			texts_add(plan, &step->untouched, "%s",
			    facts->hosts[i].name);
	step->no_clear_mail = !answer.clear_mail;
}

static void set_steps(struct plan *plan, struct lab_scenario *scenario)
{
	size_t count = plan->sts.cached ? 2 : 1;
	struct lab_step *steps = arena_alloc_array(plan->arena, count,
	    sizeof(*steps));

	if (count == 2)
		set_step(plan, &steps[0], "before", &plan->good_facts);
	set_step(plan, &steps[count - 1], "broken", &plan->facts);
	texts_add(plan, &steps[count - 1].faults, "broken");
	scenario->steps = steps;
	scenario->step_count = count;
}

static void set_top(struct plan *plan, struct lab_scenario *scenario,
    const struct lab_answer *answer)
{
	static const char *const levels[] = { [LAB_LEVEL_AUTO] = "",
	    [LAB_LEVEL_ENCRYPT] = "encrypt",
	    [LAB_LEVEL_DANE_ONLY] = "dane-only" };
	char *none = arena_dup_string(plan->arena, "");

	for (size_t i = 0; answer->clauses[i] != NULL; i++)
		texts_add(plan, &scenario->clauses, "%s", answer->clauses[i]);
	scenario->sender = (struct lab_sender){ .no_starttls = none,
	    .broken_tls = none, .sts_with_dane = none, .insecure_mx = none,
	    .memory = none,
	    .level = arena_dup_string(plan->arena, levels[plan->level]) };
	scenario->receiver.certificate = none;
}

static void set_words(struct plan *plan, struct lab_scenario *scenario,
    uint64_t seed, unsigned number)
{
	char *text = arena_print(plan->arena, "Composed by postern lab random "
	    "--seed %" PRIu64 " --first %u --count 1. Parts:", seed, number);

	scenario->title = arena_print(plan->arena, "Composed world %" PRIu64
	    "-%u", seed, number);
	for (size_t i = 0; i < plan->part_count; i++)
		text = arena_print(plan->arena, "%s %s%s", text,
		    plan->parts[i], i + 1 < plan->part_count ? ";" : ".");
	scenario->text = text;
}

/* By way of a file in memory: what cannot be written and read, or breaks a
 * rule of the reader's, is a mistake of ours. */
static struct lab_scenario *as_read(const struct lab_scenario *scenario)
{
	int fd = memfd_create("scenario", MFD_CLOEXEC);
	FILE *file = fd != -1 ? fdopen(fd, "w") : NULL;
	struct lab_scenario *again;
	char path[40], *errors = NULL;

	if (file == NULL || lab_scenario_write(scenario, file) == -1)
		fatal("lab-compose", log_text("failed", "memfd"));
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	again = lab_scenario_read(path, &errors);
	if (again == NULL) {
		lab_scenario_write(scenario, stderr);
		fputs(errors, stderr);
		bug("lab-compose");
	}
	mem_free(errors);
	fclose(file);
	return again;
}

struct lab_scenario *lab_compose(uint64_t seed, unsigned number)
{
	struct plan *plan = mem_alloc(sizeof(*plan));
	struct lab_scenario whole = { 0 }, *scenario;
	struct lab_answer answer;

	plan->arena = arena_new(PLAN_ARENA_MAX);
	draw_until(plan, seed, number, &answer);
	plan_build(plan, &whole);
	set_steps(plan, &whole);
	set_top(plan, &whole, &answer);
	set_words(plan, &whole, seed, number);
	scenario = as_read(&whole);
	scenario->name = arena_print(scenario->arena, "random-%" PRIu64 "-%u",
	    seed, number);
	arena_free(plan->arena);
	mem_free(plan);
	return scenario;
}
