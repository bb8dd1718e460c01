/* SPDX-License-Identifier: ISC */
/*
 * A region of memory that is freed at once: one per mail transaction and one
 * per delivery job. Nothing in it is freed singly, and nothing from it may be
 * stored in something that lives longer (copy it instead). An arena is born
 * with a ceiling in bytes; passing it is our own mistake (callers bound what
 * peers send), so it ends the process.
 */
#ifndef POSTERN_BASE_ARENA_H
#define POSTERN_BASE_ARENA_H

#include <stddef.h>

struct arena;

struct arena	*arena_new(size_t ceiling_bytes);
void		 arena_free(struct arena *arena);
/* Forgets everything allocated, keeps the first block. */
void		 arena_reset(struct arena *arena);
/* Bytes handed out so far: what callers compare with their own bounds. */
size_t		 arena_used(const struct arena *arena);

/* Zeroed, aligned for any type; borrowed from the arena. */
void	*arena_alloc(struct arena *arena, size_t size);
void	*arena_alloc_array(struct arena *arena, size_t count, size_t size);
void	*arena_dup(struct arena *arena, const void *source, size_t size);
char	*arena_dup_string(struct arena *arena, const char *source);
/* A string of the size bytes at source, with a final null byte. */
char	*arena_dup_text(struct arena *arena, const char *source, size_t size);
char	*arena_print(struct arena *arena, const char *format, ...)
	    __attribute__((format(printf, 2, 3)));

#endif
