/* SPDX-License-Identifier: ISC */
/*
 * A table of many entries in one file that is made whole and never changed: a
 * constant database (CDB), libcdb behind it. Its first record is ours: what
 * kind it is, what it was made from, and a SHA-256 over every byte.
 *
 * A table is never read from its file. It is copied into memory that is sealed
 * (memfd_create(2)): nobody can write to it or make it shorter, so a file that
 * is cut, overwritten or on a broken disk ends no process (SIGBUS) and changes
 * no answer; its digest was compared when it was copied. Processes that share
 * the descriptor share the memory.
 */
#ifndef POSTERN_BASE_TABLE_H
#define POSTERN_BASE_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct stat;
struct table;
struct table_writer;

enum { TABLE_KEY_MAX = 1024, TABLE_VALUE_MAX = 1 << 20, TABLE_KIND_MAX = 16,
    TABLE_SOURCE_MAX = 4096, TABLE_BYTES_MAX = 512 << 20,
    TABLE_ENTRIES_MAX = 1 << 26 };

/* Borrowed from the table. */
struct table_entry {
	const char	*key;
	size_t		 key_length;
	const void	*value;
	size_t		 length;
};

enum table_answer { TABLE_NONE, TABLE_FOUND, TABLE_DAMAGED };

/* Does a path name a table rather than a text? */
bool		 table_is_path(const char *path);

/* --- reading --- */

/* Copies a file and compares its digest. Null with the reason in why, which is
 * never freed. status, of the file, may be null. */
struct table	*table_load(const char *path, struct stat *status,
		    const char **why);
/* A copy that another process made; owns fd, also when it fails. Only what is
 * sealed is taken. */
struct table	*table_open(int fd, const char **why);
/* The same, from bytes; nothing is compared but what a reader relies on. */
struct table	*table_open_bytes(const void *data, size_t length,
		    const char **why);
/* One owner more; each releases it. Null is allowed in the second. */
struct table	*table_hold(struct table *table);
void		 table_release(struct table *table);

/* For the one who passes it on; stays the table's. */
int		 table_descriptor(const struct table *table);
size_t		 table_bytes(const struct table *table);
const char	*table_kind(const struct table *table);
const char	*table_source(const struct table *table);
size_t		 table_count(const struct table *table);
/* The whole of it, as it is in the file. */
const void	*table_data(const struct table *table);
/* entry is set with TABLE_FOUND only. */
enum table_answer table_find(const struct table *table, const void *key,
		    size_t length, struct table_entry *entry);
/* The next one, in the order in which they were written; position begins
 * with 0. */
enum table_answer table_next(const struct table *table, uint32_t *position,
		    struct table_entry *entry);

/* --- writing --- */

/* In memory: kind has at most TABLE_KIND_MAX - 1 bytes; source, a path, is cut
 * to what there is room for. */
struct table_writer	*table_writer_new(const char *kind, const char *source);
/* Whoever adds a key twice finds the first. What goes wrong is said at the
 * end. */
void		 table_writer_add(struct table_writer *writer, const void *key,
		    size_t key_length, const void *value, size_t length);
/* Frees the writer. Null with the reason in why. */
struct table	*table_writer_end(struct table_writer *writer,
		    const char **why);

#endif
