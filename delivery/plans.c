/* SPDX-License-Identifier: ISC */
/*
 * A table by question and a list, oldest first. Each entry lives for so short
 * a time that what is over goes from the front of the list when one is added.
 */
#include "delivery/plans.h"

#include <string.h>
#include <sys/queue.h>

#include "base/address.h"
#include "base/arena.h"
#include "base/clock.h"
#include "base/digest.h"
#include "base/hash.h"
#include "base/mem.h"
#include "delivery/plan_copy.h"
#include "policy/client.h"

enum { NAME_MAX_BYTES = 256, KEY_MAX = 2 * NAME_MAX_BYTES + 8 };

struct entry {
	TAILQ_ENTRY(entry)	 link;
	struct shared_plan	*shared;	/* a reference */
	int64_t			 end;		/* monotonic, ms */
	size_t			 bytes;
	size_t			 key_length;
	/* Domain and next host, each with its null byte, then the rest of the
	 * question. */
	char			 key[KEY_MAX];
};

struct plans {
	struct policy_client	*policy;	/* outlives us */
	struct hash		*table;		/* of entries, borrowed */
	TAILQ_HEAD(entries, entry) entries;	/* owned */
	size_t			 bytes;
};

/* --- sharing --- */

struct shared_plan *shared_plan_new(const struct plan *plan,
    struct arena *arena)
{
	struct shared_plan *shared = arena_alloc(arena, sizeof(*shared));

	shared->plan = plan;
	shared->arena = arena;
	shared->references = 1;
	return shared;
}

static struct shared_plan *share(struct shared_plan *shared)
{
	shared->references++;
	return shared;
}

void shared_plan_release(struct shared_plan *shared)
{
	if (shared != NULL && --shared->references == 0)
		arena_free(shared->arena);
}

/* --- entries --- */

static void drop(struct plans *plans, struct entry *entry)
{
	TAILQ_REMOVE(&plans->entries, entry, link);
	hash_remove(plans->table, entry->key, entry->key_length);
	plans->bytes -= entry->bytes;
	shared_plan_release(entry->shared);
	mem_free(entry);
}

static size_t add_name(char *key, size_t length, const char *name)
{
	size_t bytes = strnlen(name, NAME_MAX_BYTES - 1);

	memcpy(key + length, name, bytes);
	key[length + bytes] = '\0';
	return length + bytes + 1;
}

/* All of the question but the age of the mail: a plan that heeds that has no
 * time to live. */
static size_t make_key(char *key, const struct policy_question *question)
{
	const struct conf_next_hop *next = question->next;
	size_t length = add_name(key, 0, question->domain);

	length = add_name(key, length, next->host);
	key[length++] = (char)(next->port >> 8);
	key[length++] = (char)next->port;
	key[length++] = next->mx;
	key[length++] = next->implicit_tls;
	key[length++] = (char)question->wish;
	key[length++] = (char)question->message_level;
	return length;
}

static bool may_keep(const struct plan *plan)
{
	return plan->ttl > 0 && plan->exception == 0 &&
	    !plan->vanished_dane && !plan->vanished_sts && plan_can_try(plan);
}

static void make_room(struct plans *plans, size_t bytes)
{
	int64_t now = clock_monotonic();
	struct entry *first;

	while ((first = TAILQ_FIRST(&plans->entries)) != NULL &&
	    (first->end <= now || hash_count(plans->table) >= PLANS_MAX ||
	    plans->bytes + bytes > PLANS_BYTES_MAX))
		drop(plans, first);
}

static void keep(struct plans *plans, const struct policy_question *question,
    struct shared_plan *shared)
{
	uint32_t seconds = shared->plan->ttl;
	struct entry *entry = mem_alloc(sizeof(*entry)), *old;

	entry->key_length = make_key(entry->key, question);
	old = hash_find(plans->table, entry->key, entry->key_length);
	if (old != NULL)
		drop(plans, old);
	if (seconds > PLANS_SECONDS)
		seconds = PLANS_SECONDS;
	entry->end = clock_monotonic() + (int64_t)seconds * 1000;
	entry->bytes = sizeof(*entry) + arena_used(shared->arena);
	make_room(plans, entry->bytes);
	entry->shared = share(shared);
	plans->bytes += entry->bytes;
	hash_put(plans->table, entry->key, entry->key_length, entry);
	TAILQ_INSERT_TAIL(&plans->entries, entry, link);
}

/* --- the outside --- */

struct shared_plan *plans_find(struct plans *plans,
    const struct policy_question *question)
{
	char key[KEY_MAX];
	struct entry *entry;

	if (plans == NULL || !policy_client_is_connected(plans->policy))
		return NULL;
	entry = hash_find(plans->table, key, make_key(key, question));
	if (entry == NULL)
		return NULL;
	if (entry->end <= clock_monotonic()) {
		drop(plans, entry);
		return NULL;
	}
	return share(entry->shared);
}

struct shared_plan *plans_add(struct plans *plans,
    const struct policy_question *question, const struct plan *plan)
{
	struct arena *arena = arena_new(PLAN_COPY_ARENA_MAX);
	const struct plan *copy = plan_copy(plan, arena);
	struct shared_plan *shared;

	if (copy == NULL) {
		arena_free(arena);
		return NULL;
	}
	shared = shared_plan_new(copy, arena);
	if (plans != NULL && may_keep(copy))
		keep(plans, question, shared);
	return shared;
}

void plans_forget(struct plans *plans, const char *pattern)
{
	struct entry *entry, *next;

	for (entry = TAILQ_FIRST(&plans->entries); entry != NULL;
	    entry = next) {
		const char *host = entry->key + strlen(entry->key) + 1;

		next = TAILQ_NEXT(entry, link);
		if (pattern[0] == '\0' || domain_match(entry->key, pattern) ||
		    domain_match(host, pattern))
			drop(plans, entry);
	}
}

size_t plans_count(const struct plans *plans)
{
	return hash_count(plans->table);
}

struct plans *plans_new(struct policy_client *policy)
{
	struct plans *plans = mem_alloc(sizeof(*plans));

	plans->policy = policy;
	plans->table = hash_new();
	TAILQ_INIT(&plans->entries);
	return plans;
}

void plans_free(struct plans *plans)
{
	if (plans == NULL)
		return;
	plans_forget(plans, "");
	hash_free(plans->table);
	mem_free(plans);
}

/* --- the order --- */

/* Mixes count places. */
static void mix(unsigned char *order, size_t count)
{
	for (size_t i = count; i > 1; i--) {
		size_t other = random_below((uint32_t)i);
		unsigned char kept = order[i - 1];

		order[i - 1] = order[other];
		order[other] = kept;
	}
}

void plans_mix(const struct plan *plan, unsigned char order[PLAN_HOSTS_MAX])
{
	size_t first = 0;

	for (size_t i = 0; i < plan->host_count; i++) {
		order[i] = (unsigned char)i;
		if (plan->hosts[i].preference != plan->hosts[first].preference)
			first = i;
		if (i + 1 == plan->host_count || plan->hosts[i + 1].preference
		    != plan->hosts[i].preference)
			mix(order + first, i + 1 - first);
	}
}
