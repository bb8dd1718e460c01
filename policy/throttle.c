/* SPDX-License-Identifier: ISC */
/*
 * Three tables of one form: addresses, names, and pairs of both that are
 * known. Keys are digests under a key of this process, so that entries are
 * small whatever was typed, and a password that somebody gave for a name is
 * not kept here.
 */
#include "policy/throttle.h"

#include <ctype.h>
#include <stdint.h>
#include <string.h>
#include <sys/queue.h>

#include "base/clock.h"
#include "base/digest.h"
#include "base/hash.h"
#include "base/mem.h"
#include "base/net.h"

enum { KEY_BYTES = 16, PREFIX_BYTES = 8, KNOWN_MS = 7 * 24 * 3600 * 1000 };

struct entry {
	TAILQ_ENTRY(entry) by_age;
	uint8_t		 key[KEY_BYTES];
	unsigned	 failures;
	int64_t		 counted;	/* monotonic: when failures was so */
	int64_t		 until;		/* of the pause; or of the knowledge */
};

TAILQ_HEAD(entries, entry);

struct table {
	struct hash	*hash;		/* owned */
	struct entries	 by_age;	/* owned; the most recent last */
};

struct throttle {
	struct table	 clients, names, known;
	uint8_t		 secret[DIGEST_BYTES];
};

static void init(struct table *table)
{
	table->hash = hash_new();
	TAILQ_INIT(&table->by_age);
}

static void forget(struct table *table, struct entry *entry)
{
	hash_remove(table->hash, entry->key, KEY_BYTES);
	TAILQ_REMOVE(&table->by_age, entry, by_age);
	mem_free(entry);
}

static void release(struct table *table)
{
	while (!TAILQ_EMPTY(&table->by_age))
		forget(table, TAILQ_FIRST(&table->by_age));
	hash_free(table->hash);
}

/* New if need be; the most recent from now on. */
static struct entry *touch(struct table *table, const uint8_t *key)
{
	struct entry *entry = hash_find(table->hash, key, KEY_BYTES);

	if (entry != NULL) {
		TAILQ_REMOVE(&table->by_age, entry, by_age);
	} else {
		if (hash_count(table->hash) >= THROTTLE_ENTRIES_MAX)
			forget(table, TAILQ_FIRST(&table->by_age));
		entry = mem_alloc(sizeof(*entry));
		memcpy(entry->key, key, KEY_BYTES);
		entry->counted = clock_monotonic();
		hash_put(table->hash, key, KEY_BYTES, entry);
	}
	TAILQ_INSERT_TAIL(&table->by_age, entry, by_age);
	return entry;
}

/* --- keys --- */

/* The unit that one holder has at will. */
static size_t address_bytes(const struct endpoint *client, uint8_t *out)
{
	switch (client->address.any.sa_family) {
	case AF_INET:
		memcpy(out, &client->address.v4.sin_addr, 4);
		return 4;
	case AF_INET6:
		memcpy(out, &client->address.v6.sin6_addr, PREFIX_BYTES);
		return PREFIX_BYTES;
	default:
		return 0;
	}
}

static void make_key(const struct throttle *throttle,
    const struct endpoint *client, const char *name, uint8_t *key)
{
	uint8_t digest[DIGEST_BYTES], text[PREFIX_BYTES + 1024];
	size_t length = 1, i;

	text[0] = 0;
	if (client != NULL) {
		length += address_bytes(client, text + 1);
		text[0] = (uint8_t)length;
	}
	for (i = 0; name[i] != '\0' && length < sizeof(text); i++)
		text[length++] = (uint8_t)tolower((unsigned char)name[i]);
	digest_keyed(throttle->secret, sizeof(throttle->secret), text, length,
	    digest);
	memcpy(key, digest, KEY_BYTES);
}

/* --- counts --- */

static void age(struct entry *entry)
{
	int64_t halves = (clock_monotonic() - entry->counted) /
	    THROTTLE_HALVES;

	if (halves <= 0)
		return;
	entry->failures = halves > 31 ? 0 : entry->failures >> halves;
	entry->counted += halves * THROTTLE_HALVES;
}

static void count(struct entry *entry, unsigned unpunished, int64_t longest)
{
	int64_t pause = THROTTLE_PAUSE_FIRST;

	age(entry);
	entry->failures++;
	if (entry->failures <= unpunished)
		return;
	for (unsigned i = unpunished + 1; i < entry->failures &&
	    pause < longest; i++)
		pause *= 2;
	entry->until = clock_monotonic() + (pause < longest ? pause : longest);
}

static bool is_paused(const struct table *table, const uint8_t *key)
{
	const struct entry *entry = hash_find(table->hash, key, KEY_BYTES);

	return entry != NULL && clock_monotonic() < entry->until;
}

/* --- entry points --- */

struct throttle *throttle_new(void)
{
	struct throttle *throttle = mem_alloc(sizeof(*throttle));

	init(&throttle->clients);
	init(&throttle->names);
	init(&throttle->known);
	random_bytes(throttle->secret, sizeof(throttle->secret));
	return throttle;
}

void throttle_free(struct throttle *throttle)
{
	if (throttle == NULL)
		return;
	release(&throttle->clients);
	release(&throttle->names);
	release(&throttle->known);
	mem_free(throttle);
}

bool throttle_allows(struct throttle *throttle, const struct endpoint *client)
{
	uint8_t key[KEY_BYTES];

	make_key(throttle, client, "", key);
	return !is_paused(&throttle->clients, key);
}

bool throttle_allows_name(struct throttle *throttle,
    const struct endpoint *client, const char *name)
{
	uint8_t key[KEY_BYTES];

	make_key(throttle, client, name, key);
	if (is_paused(&throttle->known, key))	/* known until then */
		return true;
	make_key(throttle, NULL, name, key);
	return !is_paused(&throttle->names, key);
}

void throttle_failed(struct throttle *throttle,
    const struct endpoint *client, const char *name)
{
	uint8_t key[KEY_BYTES];

	make_key(throttle, client, "", key);
	count(touch(&throttle->clients, key), THROTTLE_CLIENT_FREE,
	    THROTTLE_CLIENT_PAUSE_MAX);
	if (name[0] == '\0')
		return;
	make_key(throttle, NULL, name, key);
	count(touch(&throttle->names, key), THROTTLE_NAME_FREE,
	    THROTTLE_NAME_PAUSE_MAX);
}

/* The address keeps its count: who has one account may guess for others. */
void throttle_succeeded(struct throttle *throttle,
    const struct endpoint *client, const char *name)
{
	uint8_t key[KEY_BYTES];

	make_key(throttle, client, name, key);
	touch(&throttle->known, key)->until = clock_monotonic() + KNOWN_MS;
}

size_t throttle_count(const struct throttle *throttle)
{
	return hash_count(throttle->clients.hash) +
	    hash_count(throttle->names.hash) +
	    hash_count(throttle->known.hash);
}
