/* SPDX-License-Identifier: ISC */
/*
 * One hash table from byte strings to pointers, keyed by SipHash-2-4 with a
 * random key per process (peers choose some of the keys). Keys are copied;
 * values are borrowed and never freed by the table. Visiting order is not
 * defined; the entry being visited may be removed.
 */
#ifndef POSTERN_BASE_HASH_H
#define POSTERN_BASE_HASH_H

#include <stddef.h>
#include <stdint.h>

struct hash;

struct hash	*hash_new(void);
void		 hash_free(struct hash *hash);
size_t		 hash_count(const struct hash *hash);
/* Null if there is none. */
void		*hash_find(const struct hash *hash, const void *key,
		    size_t length);
/* Sets or replaces; returns the value that was there, or null. */
void		*hash_put(struct hash *hash, const void *key, size_t length,
		    void *value);
/* Removes; returns the value that was there, or null. */
void		*hash_remove(struct hash *hash, const void *key, size_t length);
void		 hash_each(struct hash *hash, void (*visit)(void *arg,
		    const void *key, size_t length, void *value), void *arg);

/*
 * The same over several calls, with changes in between: visits some entries,
 * few, which visit must not change; begins with cursor 0, answers with the next
 * one, and 0 at the end. What is in the table all the time is visited, perhaps
 * twice.
 */
uint64_t	 hash_scan(struct hash *hash, uint64_t cursor,
		    void (*visit)(void *arg, const void *key, size_t length,
		    void *value), void *arg);

void		*hash_find_text(const struct hash *hash, const char *key);
void		*hash_put_text(struct hash *hash, const char *key, void *value);
void		*hash_remove_text(struct hash *hash, const char *key);
void		*hash_find_id(const struct hash *hash, uint64_t key);
void		*hash_put_id(struct hash *hash, uint64_t key, void *value);
void		*hash_remove_id(struct hash *hash, uint64_t key);

/* SipHash-2-4 of length bytes under a key of 16 bytes. */
uint64_t	 hash_sip(const uint8_t *key, const void *data, size_t length);

#endif
