/* SPDX-License-Identifier: ISC */
/*
 * Buckets of chains. The table doubles when there are more entries than
 * buckets and halves when it is nearly empty, never while it is being visited.
 * SipHash is from Aumasson and Bernstein, "SipHash: a fast short-input PRF"
 * (2012), with 2 rounds a word and 4 at the end.
 */
#include "base/hash.h"

#include <endian.h>
#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <sys/random.h>

#include "base/log.h"
#include "base/mem.h"

enum { SMALLEST_TABLE = 16, SIP_KEY_BYTES = 16 };

struct entry {
	struct entry	*next;		/* owned */
	uint64_t	 hash;
	void		*value;		/* borrowed */
	size_t		 length;
	unsigned char	 key[];
};

struct hash {
	struct entry	**buckets;	/* owned; size is a power of two */
	size_t		  size;
	size_t		  count;
	unsigned	  visiting;	/* how many hash_each() are under way */
};

static uint8_t process_key[SIP_KEY_BYTES];
static pthread_once_t key_once = PTHREAD_ONCE_INIT;

static void make_process_key(void)
{
	if (getrandom(process_key, sizeof(process_key), 0) !=
	    (ssize_t)sizeof(process_key))
		fatal("getrandom", log_errno(errno));
}

/* --- SipHash --- */

static uint64_t rotate(uint64_t word, unsigned bits)
{
	return word << bits | word >> (64 - bits);
}

static void sip_rounds(uint64_t v[4], int rounds)
{
	while (rounds-- > 0) {
		v[0] += v[1];
		v[2] += v[3];
		v[1] = rotate(v[1], 13) ^ v[0];
		v[3] = rotate(v[3], 16) ^ v[2];
		v[0] = rotate(v[0], 32);
		v[2] += v[1];
		v[0] += v[3];
		v[1] = rotate(v[1], 17) ^ v[2];
		v[3] = rotate(v[3], 21) ^ v[0];
		v[2] = rotate(v[2], 32);
	}
}

static uint64_t load(const uint8_t *bytes)
{
	uint64_t word;

	memcpy(&word, bytes, sizeof(word));
	return le64toh(word);
}

static void sip_word(uint64_t v[4], uint64_t word)
{
	v[3] ^= word;
	sip_rounds(v, 2);
	v[0] ^= word;
}

uint64_t hash_sip(const uint8_t *key, const void *data, size_t length)
{
	uint64_t k0 = load(key), k1 = load(key + 8);
	uint64_t v[4] = { k0 ^ 0x736f6d6570736575, k1 ^ 0x646f72616e646f6d,
	    k0 ^ 0x6c7967656e657261, k1 ^ 0x7465646279746573 };
	const uint8_t *bytes = data;
	uint64_t last = (uint64_t)length << 56;
	size_t left, i;

	for (left = length; left >= 8; left -= 8, bytes += 8)
		sip_word(v, load(bytes));
	for (i = 0; i < left; i++)
		last |= (uint64_t)bytes[i] << 8 * i;
	sip_word(v, last);
	v[2] ^= 0xff;
	sip_rounds(v, 4);
	return v[0] ^ v[1] ^ v[2] ^ v[3];
}

/* --- the table --- */

static uint64_t hash_of(const void *key, size_t length)
{
	pthread_once(&key_once, make_process_key);
	return hash_sip(process_key, key, length);
}

/* The link that leads to the entry, or to the null where it would be. */
static struct entry **find_link(const struct hash *hash, const void *key,
    size_t length, uint64_t number)
{
	struct entry **link = &hash->buckets[number & (hash->size - 1)];

	for (; *link != NULL; link = &(*link)->next)
		if ((*link)->hash == number && (*link)->length == length &&
		    (length == 0 || memcmp((*link)->key, key, length) == 0))
			break;
	return link;
}

static void resize(struct hash *hash, size_t size)
{
	struct entry **buckets = mem_alloc_array(size, sizeof(*buckets));
	struct entry **link, *entry;
	size_t i;

	for (i = 0; i < hash->size; i++) {
		while ((entry = hash->buckets[i]) != NULL) {
			hash->buckets[i] = entry->next;
			link = &buckets[entry->hash & (size - 1)];
			entry->next = *link;
			*link = entry;
		}
	}
	mem_free(hash->buckets);
	hash->buckets = buckets;
	hash->size = size;
}

static void fit(struct hash *hash)
{
	if (hash->visiting > 0)
		return;
	if (hash->count > hash->size)
		resize(hash, hash->size * 2);
	while (hash->size > SMALLEST_TABLE && hash->count < hash->size / 8)
		resize(hash, hash->size / 2);
}

struct hash *hash_new(void)
{
	struct hash *hash = mem_alloc(sizeof(*hash));

	hash->size = SMALLEST_TABLE;
	hash->buckets = mem_alloc_array(hash->size, sizeof(*hash->buckets));
	return hash;
}

void hash_free(struct hash *hash)
{
	struct entry *entry;
	size_t i;

	if (hash == NULL)
		return;
	for (i = 0; i < hash->size; i++) {
		while ((entry = hash->buckets[i]) != NULL) {
			hash->buckets[i] = entry->next;
			mem_free(entry);
		}
	}
	mem_free(hash->buckets);
	mem_free(hash);
}

size_t hash_count(const struct hash *hash)
{
	return hash->count;
}

void *hash_find(const struct hash *hash, const void *key, size_t length)
{
	struct entry *entry;

	entry = *find_link(hash, key, length, hash_of(key, length));
	return entry != NULL ? entry->value : NULL;
}

void *hash_put(struct hash *hash, const void *key, size_t length, void *value)
{
	uint64_t number = hash_of(key, length);
	struct entry **link = find_link(hash, key, length, number);
	struct entry *entry = *link;
	void *before;

	if (entry != NULL) {
		before = entry->value;
		entry->value = value;
		return before;
	}
	entry = mem_resize(NULL, 1, sizeof(*entry) + length);
	entry->next = NULL;
	entry->hash = number;
	entry->value = value;
	entry->length = length;
	if (length > 0)
		memcpy(entry->key, key, length);
	*link = entry;
	hash->count++;
	fit(hash);
	return NULL;
}

void *hash_remove(struct hash *hash, const void *key, size_t length)
{
	struct entry **link = find_link(hash, key, length,
	    hash_of(key, length));
	struct entry *entry = *link;
	void *value;

	if (entry == NULL)
		return NULL;
	*link = entry->next;
	value = entry->value;
	mem_free(entry);
	hash->count--;
	fit(hash);
	return value;
}

void hash_each(struct hash *hash, void (*visit)(void *arg, const void *key,
    size_t length, void *value), void *arg)
{
	struct entry *entry, *next;
	size_t i;

	hash->visiting++;
	for (i = 0; i < hash->size; i++) {
		for (entry = hash->buckets[i]; entry != NULL; entry = next) {
			next = entry->next;
			visit(arg, entry->key, entry->length, entry->value);
		}
	}
	hash->visiting--;
	fit(hash);
}

static uint64_t reverse_bits(uint64_t word)
{
	uint64_t result = 0;
	unsigned i;

	for (i = 0; i < 64; i++, word >>= 1)
		result = result << 1 | (word & 1);
	return result;
}

/* A bucket is divided by its highest bit when the table grows, and joined so
 * when it shrinks: counting from that bit downwards, what has been visited
 * stays behind the cursor whatever the size is. */
uint64_t hash_scan(struct hash *hash, uint64_t cursor,
    void (*visit)(void *arg, const void *key, size_t length, void *value),
    void *arg)
{
	uint64_t mask = hash->size - 1;
	const struct entry *entry = hash->buckets[cursor & mask];

	hash->visiting++;
	for (; entry != NULL; entry = entry->next)
		visit(arg, entry->key, entry->length, entry->value);
	hash->visiting--;
	return reverse_bits(reverse_bits(cursor | ~mask) + 1);
}

/* --- keys of the two common kinds --- */

void *hash_find_text(const struct hash *hash, const char *key)
{
	return hash_find(hash, key, strlen(key));
}

void *hash_put_text(struct hash *hash, const char *key, void *value)
{
	return hash_put(hash, key, strlen(key), value);
}

void *hash_remove_text(struct hash *hash, const char *key)
{
	return hash_remove(hash, key, strlen(key));
}

void *hash_find_id(const struct hash *hash, uint64_t key)
{
	return hash_find(hash, &key, sizeof(key));
}

void *hash_put_id(struct hash *hash, uint64_t key, void *value)
{
	return hash_put(hash, &key, sizeof(key), value);
}

void *hash_remove_id(struct hash *hash, uint64_t key)
{
	return hash_remove(hash, &key, sizeof(key));
}
