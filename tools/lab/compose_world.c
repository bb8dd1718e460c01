/* SPDX-License-Identifier: ISC */
/*
 * From a plan to sections: the good world, the broken one, and the difference
 * between them as a fault.
 */
#include "tools/lab/compose_private.h"

#include <stdio.h>
#include <string.h>

#include "base/arena.h"
#include "base/log.h"
#include "tools/lab/scenario_options.h"

enum { OLD_ID = 1, NEW_ID = 2, BIT_COUNT = 32 };

static const char *const zone_names[PLAN_ZONES] = {
	[ZONE_DOMAIN] = "example.net", [ZONE_PROVIDER] = "provider.example" };

/* A world while it is put together. */
struct draft {
	struct plan		*plan;
	bool			 broken;
	struct lab_zone		 zones[PLAN_ZONES];
	struct lab_host		 hosts[PLAN_HOSTS];
	struct lab_policy	 policy;
};

/* --- names --- */

/* Relative to its zone; "@" is the zone itself. */
static const char *owner_of(struct plan *plan, int zone, const char *name)
{
	size_t length = strlen(name), tail = strlen(zone_names[zone]);

	if (length == tail)
		return "@";
	return arena_dup_text(plan->arena, name, length - tail - 1);
}

/* PREFIX.NAME, relative. */
static const char *under(struct plan *plan, int zone, const char *prefix,
    const char *name)
{
	const char *owner = owner_of(plan, zone, name);

	return strcmp(owner, "@") == 0 ? prefix : arena_print(plan->arena,
	    "%s.%s", prefix, owner);
}

/* --- records --- */

static void spoil(struct draft *draft, int zone, enum trouble trouble,
    const char *owner, const char *question, const char *set)
{
	static const char *const words[TROUBLES] = {
		[TROUBLE_SERVFAIL] = "servfail",
		[TROUBLE_REFUSED] = "refused",
		[TROUBLE_FORMERR] = "formerr",
		[TROUBLE_NOTIMP] = "notimp",
		[TROUBLE_NXDOMAIN] = "nxdomain",
		[TROUBLE_NODATA] = "nodata",
		[TROUBLE_SILENCE] = "silence",
		[TROUBLE_TRUNCATED] = "truncated",
		[TROUBLE_TCP_ONLY] = "tcp-only",
		[TROUBLE_LATE] = "late",
		[TROUBLE_EMPTY] = "empty",
		[TROUBLE_OTHER_PROOF] = "other-proof",
		[TROUBLE_GARBAGE] = "garbage",
		[TROUBLE_SHAKY] = "servfail 1",
	};
	struct lab_zone *section = &draft->zones[zone];
	struct lab_texts *sets[] = { [TROUBLE_EXPIRED] =
	    &section->expired_sets, [TROUBLE_FUTURE] = &section->future_sets,
	    [TROUBLE_UNSIGNED] = &section->unsigned_sets,
	    [TROUBLE_TAMPERED] = &section->tampered_sets };

	if (trouble == TROUBLE_NONE)
		return;
	if (trouble == TROUBLE_SHAKY)
		section->servers = 2;
	if (words[trouble] != NULL)
		texts_add(draft->plan, &section->answers, "%s %s %s", owner,
		    question, words[trouble]);
	else if (set != NULL)
		texts_add(draft->plan, sets[trouble], "%s %s", owner, set);
}

static void add_record(struct draft *draft, int zone, const char *owner,
    const char *rest)
{
	texts_add(draft->plan, &draft->zones[zone].records, "%s %s", owner,
	    rest);
}

static const char *record_data(struct plan *plan,
    const struct lab_tlsa_fact *record)
{
	static const char *const parts[] = { [LAB_TLSA_BY_USAGE] = "",
	    [LAB_TLSA_LEAF] = ":leaf", [LAB_TLSA_ISSUER] = ":issuer",
	    [LAB_TLSA_ROOT] = ":root" };

	return arena_print(plan->arena, "TLSA %d %d %d @%s%s", record->usage,
	    record->selector, record->matching, record->of->name,
	    parts[record->part]);
}

static void add_tlsa_data(struct draft *draft, int zone, const char *owner,
    const struct tlsa_plan *tlsa)
{
	for (size_t i = 0; i < tlsa->count; i++)
		add_record(draft, zone, owner, tlsa->raw[i] != NULL ?
		    arena_print(draft->plan->arena, "TLSA %s", tlsa->raw[i]) :
		    record_data(draft->plan, &tlsa->records[i]));
}

/* The records of one name, and how they are found. */
static void add_tlsa(struct draft *draft, int zone, const char *name,
    const struct tlsa_plan *tlsa)
{
	struct plan *plan = draft->plan;
	const char *owner = under(plan, zone, "_25._tcp", name);
	const char *other = arena_print(plan->arena, "_dane-%s",
	    strcspn(name, ".") == 3 ? arena_dup_text(plan->arena, name, 3) :
	    "domain");

	switch (tlsa->count == 0 ? TLSA_DIRECT : tlsa->way) {
	case TLSA_DIRECT:
		add_tlsa_data(draft, zone, owner, tlsa);
		spoil(draft, zone, tlsa->trouble, owner, "TLSA",
		    tlsa->count > 0 ? "TLSA" : NULL);
		break;
	case TLSA_WILDCARD:
		add_tlsa_data(draft, zone, under(plan, zone, "*._tcp", name),
		    tlsa);
		spoil(draft, zone, tlsa->trouble, tlsa->trouble <
		    TROUBLE_SERVFAIL ? under(plan, zone, "*._tcp", name) :
		    owner, "TLSA", "TLSA");
		break;
	case TLSA_ALIAS_SAME:
		add_record(draft, zone, owner, arena_print(plan->arena, "CNAME %s",
		    other));
		add_tlsa_data(draft, zone, other, tlsa);
		spoil(draft, zone, tlsa->trouble, owner, "TLSA", "CNAME");
		break;
	case TLSA_ALIAS_OTHER:
		add_record(draft, zone, owner, arena_print(plan->arena,
		    "CNAME %s.%s.", other, zone_names[ZONE_PROVIDER]));
		add_tlsa_data(draft, ZONE_PROVIDER, other, tlsa);
		spoil(draft, ZONE_PROVIDER, tlsa->trouble, other, "TLSA",
		    "TLSA");
		break;
	case TLSA_ALIAS_DANGLING:
		add_record(draft, zone, owner, arena_print(plan->arena,
		    "CNAME _none.%s.", zone_names[zone]));
		spoil(draft, zone, tlsa->trouble, owner, "TLSA", "CNAME");
		break;
	default:
		bug("lab-compose");
	}
}

static void add_addresses(struct draft *draft, const struct host_plan *host)
{
	struct plan *plan = draft->plan;
	const char *owner = owner_of(plan, host->zone, host->name);
	const char *data = arena_print(plan->arena, "A %s",
	    host->host.addresses.items[0]), *end;

	if (!draft->broken || host->target == NULL) {
		add_record(draft, host->zone, owner, data);
		if (draft->broken)
			spoil(draft, host->zone, host->address_trouble, owner,
			    "A", "A");
		return;
	}
	end = owner_of(plan, host->target_zone, host->target);
	add_record(draft, host->zone, owner, arena_print(plan->arena, "CNAME %s.",
	    host->target));
	add_record(draft, host->target_zone, end, data);
	if (host->target_zone == host->zone)
		spoil(draft, host->zone, host->address_trouble, owner, "A",
		    "CNAME");
	else
		spoil(draft, host->target_zone, host->address_trouble, end,
		    "A", "A");
}

static void add_mail_hosts(struct draft *draft)
{
	struct plan *plan = draft->plan;

	if (draft->broken && plan->mx == MX_NULL)
		add_record(draft, ZONE_DOMAIN, "@", "MX 0 .");
	else if (plan->mx != MX_IMPLICIT)
		for (size_t i = 0; i < plan->host_count; i++)
			add_record(draft, ZONE_DOMAIN, "@",
			    arena_print(plan->arena, "MX %zu %s.",
			    10 * (i + 1), plan->hosts[i].name));
	if (draft->broken)
		spoil(draft, ZONE_DOMAIN, plan->mx_trouble, "@", "MX",
		    plan->mx == MX_IMPLICIT ? NULL : "MX");
	for (size_t i = 0; i < plan->host_count; i++)
		add_addresses(draft, &plan->hosts[i]);
}

static void add_keys(struct draft *draft)
{
	for (size_t i = 0; i < draft->plan->host_count; i++) {
		const struct host_plan *host = &draft->plan->hosts[i];
		const struct tlsa_plan good = { .count = 1, .records = { {
		    .usage = 3, .selector = 1, .matching = 1,
		    .of = host->good } } };

		if (draft->broken) {
			add_tlsa(draft, host->zone, host->name, &host->tlsa);
			if (host->target != NULL)
				add_tlsa(draft, host->target_zone,
				    host->target, &host->target_tlsa);
		} else if (draft->plan->level == LAB_LEVEL_DANE_ONLY) {
			add_tlsa(draft, host->zone, host->name, &good);
		}
	}
}

/* "%d" is the id. */
static const char *record_text(struct plan *plan, const char *text, int id)
{
	const char *mark = strstr(text, "%d");

	return mark == NULL ? arena_print(plan->arena, "TXT %s", text) :
	    arena_print(plan->arena, "TXT %.*s%d%s", (int)(mark - text), text,
	    id, mark + 2);
}

static void add_policy_records(struct draft *draft)
{
	struct plan *plan = draft->plan;
	const struct sts_plan *sts = &plan->sts;
	int zone = sts->alias ? ZONE_PROVIDER : ZONE_DOMAIN;
	const char *owner = sts->alias ? "_sts" : "_mta-sts";

	if (!draft->broken) {
		add_record(draft, ZONE_DOMAIN, "mta-sts", "A 203.0.113.10");
		add_record(draft, ZONE_DOMAIN, "_mta-sts", record_text(plan,
		    "\"v=STSv1; id=%d;\"", OLD_ID));
		return;
	}
	if (!sts->no_address)
		add_record(draft, ZONE_DOMAIN, "mta-sts", "A 203.0.113.10");
	if (sts->alias)
		add_record(draft, ZONE_DOMAIN, "_mta-sts",
		    "CNAME _sts.provider.example.");
	for (size_t i = 0; i < 2; i++)
		if (sts->texts[i] != NULL)
			add_record(draft, zone, owner, record_text(plan,
			    sts->texts[i], sts->same_id ? OLD_ID : NEW_ID));
	spoil(draft, zone, sts->trouble, owner, "TXT", sts->texts[0] != NULL ?
	    "TXT" : NULL);
}

/* --- policy --- */

static void add_line(struct plan *plan, struct lab_policy *policy,
    const char *line)
{
	policy->body = arena_print(plan->arena, "%s%s\r\n", policy->body,
	    line);
}

static void add_rules(struct plan *plan, struct lab_policy *policy,
    const struct lab_sts_policy *rules)
{
	static const char *const modes[] = { [LAB_STS_NONE] = "none",
	    [LAB_STS_TESTING] = "testing", [LAB_STS_ENFORCE] = "enforce" };

	add_line(plan, policy, arena_print(plan->arena, "mode: %s", modes[rules->mode]));
	for (size_t i = 0; i < rules->patterns.count; i++)
		add_line(plan, policy, arena_print(plan->arena, "mx: %s",
		    rules->patterns.items[i]));
}

static void add_policy(struct draft *draft)
{
	struct plan *plan = draft->plan;
	struct lab_policy *policy = &draft->policy;
	struct lab_texts usual = { NULL, 0 };
	const struct lab_texts *lines = &usual;

	texts_add(plan, &usual, "version: STSv1");
	texts_add(plan, &usual, "%%m");
	texts_add(plan, &usual, "max_age: 86400");
	*policy = (struct lab_policy){ .status = 200,
	    .type = arena_dup_string(plan->arena, "text/plain"),
	    .fault = arena_dup_string(plan->arena, ""),
	    .certificate = arena_dup_string(plan->arena, "web") };
	if (draft->broken)
		*policy = plan->sts.host;
	if (draft->broken && plan->sts.body.count > 0)
		lines = &plan->sts.body;
	policy->domain = arena_dup_string(plan->arena,
	    zone_names[ZONE_DOMAIN]);
	texts_add(plan, &policy->addresses, "203.0.113.10");
	policy->body = arena_dup_string(plan->arena, "");
	for (size_t i = 0; i < lines->count; i++)
		if (strcmp(lines->items[i], "%m") == 0)
			add_rules(plan, policy, draft->broken ?
			    &plan->facts.sts.policy :
			    &plan->facts.sts.before);
		else
			add_line(plan, policy, lines->items[i]);
}

/* --- hosts and zones --- */

static void add_host(struct draft *draft, size_t i)
{
	const struct lab_host_facts *facts = &draft->plan->facts.hosts[i];
	const struct host_plan *plan = &draft->plan->hosts[i];
	struct lab_host *host = &draft->hosts[i];

	if (!draft->broken) {
		*host = (struct lab_host){ .name = plan->host.name,
		    .addresses = plan->host.addresses, .port = 25,
		    .certificate = plan->good->name, .tickets = 2 };
		host->ciphers = host->path = arena_dup_string(
		    draft->plan->arena, "");
		return;
	}
	*host = plan->host;
	host->certificate = facts->certificate->name;
	if (facts->sni_name != NULL)
		texts_add(draft->plan, &host->sni, "%s %s", facts->sni_name,
		    facts->sni_certificate->name);
}

static void add_zone(struct draft *draft, int i)
{
	const struct zone_plan *plan = &draft->plan->zones[i];
	struct lab_zone *zone = &draft->zones[i];

	zone->name = arena_dup_string(draft->plan->arena, zone_names[i]);
	zone->servers = 1;
	zone->negative_ttl = 1;
	zone->denial = plan->denial;
	zone->iterations = plan->denial == LAB_NSEC ? 0 : plan->iterations;
	if (draft->broken) {
		zone->signing = plan->signing;
		zone->validity = plan->validity;
	}
}

static void draft_world(struct draft *draft)
{
	for (int i = 0; i < PLAN_ZONES; i++)
		add_zone(draft, i);
	for (size_t i = 0; i < draft->plan->host_count; i++)
		add_host(draft, i);
	add_mail_hosts(draft);
	add_keys(draft);
	if (!draft->plan->sts.there)
		return;
	add_policy_records(draft);
	add_policy(draft);
}

/* --- certificates --- */

static bool is_named(const struct lab_texts *texts, const char *name)
{
	for (size_t i = 0; i < texts->count; i++) {
		const char *at = strrchr(texts->items[i], '@');
		size_t length = strlen(name);

		if (at == NULL)
			at = strrchr(texts->items[i], ' ');
		if (at != NULL && strncmp(at + 1, name, length) == 0 &&
		    (at[1 + length] == '\0' || at[1 + length] == ':'))
			return true;
	}
	return false;
}

static bool is_used(const struct draft *draft, const char *name)
{
	for (int i = 0; i < PLAN_ZONES; i++)
		if (is_named(&draft->zones[i].records, name))
			return true;
	for (size_t i = 0; i < draft->plan->host_count; i++)
		if (strcmp(draft->hosts[i].certificate, name) == 0 ||
		    is_named(&draft->hosts[i].sni, name))
			return true;
	return draft->policy.certificate != NULL &&
	    strcmp(draft->policy.certificate, name) == 0;
}

/* --- the difference --- */

static bool is_same_value(const struct lab_option *option, const void *one,
    const void *other)
{
	switch (option->type) {
	case LAB_OPTION_TEXTS:
		return lab_texts_equal(one, other);
	case LAB_OPTION_NUMBER:
		return memcmp(one, other, sizeof(int64_t)) == 0;
	case LAB_OPTION_BOOL:
		return memcmp(one, other, sizeof(bool)) == 0;
	case LAB_OPTION_CHOICE:
		return memcmp(one, other, sizeof(unsigned)) == 0;
	default:
		return strcmp(*(char *const *)one, *(char *const *)other) == 0;
	}
}

/* A bit for each option of the section that is not the same. */
static uint32_t difference(enum lab_section kind, const char *one,
    const char *other)
{
	uint32_t bits = 0;
	unsigned bit = 0;

	for (size_t i = 0; i < lab_option_count; i++) {
		const struct lab_option *option = &lab_options[i];

		if (option->section != kind)
			continue;
		if (bit == BIT_COUNT)
			bug("lab-compose");
		if (!is_same_value(option, one + option->offset,
		    other + option->offset))
			bits |= UINT32_C(1) << bit;
		bit++;
	}
	return bits;
}

/* Sections that differ, in order; how many. */
static size_t take_changes(struct plan *plan, enum lab_section kind,
    const void *good, const void *broken, size_t count, void **changes,
    uint32_t **masks)
{
	size_t size = lab_kinds[kind].size, taken = 0;

	*changes = arena_alloc_array(plan->arena, count + 1, size);
	*masks = arena_alloc_array(plan->arena, count + 1, sizeof(**masks));
	for (size_t i = 0; i < count; i++) {
		const char *one = (const char *)good + i * size;
		const char *other = (const char *)broken + i * size;
		uint32_t bits = difference(kind, one, other);

		if (bits == 0)
			continue;
		memcpy((char *)*changes + taken * size, other, size);
		(*masks)[taken++] = bits;
	}
	return taken;
}

static void set_fault(struct plan *plan, struct lab_scenario *scenario,
    const struct draft *good, const struct draft *broken)
{
	struct lab_fault *fault = arena_alloc(plan->arena, sizeof(*fault));
	struct lab_given *given = arena_alloc(plan->arena, sizeof(*given));
	struct lab_world *changes = &fault->changes;
	void *sections;

	changes->zone_count = take_changes(plan, LAB_SECTION_ZONE,
	    good->zones, broken->zones, PLAN_ZONES, &sections,
	    &given->masks[LAB_SECTION_ZONE]);
	changes->zones = sections;
	changes->host_count = take_changes(plan, LAB_SECTION_HOST,
	    good->hosts, broken->hosts, plan->host_count, &sections,
	    &given->masks[LAB_SECTION_HOST]);
	changes->hosts = sections;
	changes->policy_count = !plan->sts.there ? 0 : take_changes(plan,
	    LAB_SECTION_POLICY, &good->policy, &broken->policy, 1, &sections,
	    &given->masks[LAB_SECTION_POLICY]);
	changes->policies = sections;
	fault->name = arena_dup_string(plan->arena, "broken");
	fault->given = given;
	scenario->faults = fault;
	scenario->fault_count = 1;
}

static void set_world(struct plan *plan, struct lab_world *world,
    const struct draft *good, const struct draft *broken)
{
	bool second = good->zones[ZONE_PROVIDER].records.count > 0 ||
	    broken->zones[ZONE_PROVIDER].records.count > 0;

	*world = (struct lab_world){
	    .zones = arena_dup(plan->arena, good->zones, sizeof(good->zones)),
	    .zone_count = second ? PLAN_ZONES : PLAN_ZONES - 1,
	    .hosts = arena_dup(plan->arena, good->hosts, sizeof(good->hosts)),
	    .host_count = plan->host_count,
	    .policies = arena_dup(plan->arena, &good->policy,
	    sizeof(good->policy)), .policy_count = plan->sts.there };
	world->certificates = arena_alloc_array(plan->arena,
	    plan->certificate_count + 1, sizeof(*world->certificates));
	for (size_t i = 0; i < plan->certificate_count; i++)
		if (is_used(good, plan->certificates[i].name) ||
		    is_used(broken, plan->certificates[i].name))
			world->certificates[world->certificate_count++] =
			    plan->certificates[i];
}

void plan_build(struct plan *plan, struct lab_scenario *scenario)
{
	struct draft good = { .plan = plan }, broken = { .plan = plan,
	    .broken = true };

	draft_world(&good);
	draft_world(&broken);
	set_world(plan, &scenario->world, &good, &broken);
	set_fault(plan, scenario, &good, &broken);
}
