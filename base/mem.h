/* SPDX-License-Identifier: ISC */
/*
 * Memory of the process. Allocation never returns null: a role that cannot
 * get memory ends and is restarted, because the queue keeps everything that
 * was promised. What a peer can make us allocate is bounded by the caller
 * before it comes here. Sizes are in bytes and products are checked.
 */
#ifndef POSTERN_BASE_MEM_H
#define POSTERN_BASE_MEM_H

#include <stddef.h>

/* Zeroed memory of size bytes (at least one). Owned by the caller. */
void	*mem_alloc(size_t size);
/* Zeroed memory for count things of size bytes; overflow ends the process. */
void	*mem_alloc_array(size_t count, size_t size);
/* Like realloc for count * size bytes; new memory is not zeroed. */
void	*mem_resize(void *memory, size_t count, size_t size);
/* A copy of size bytes. Owned by the caller. */
void	*mem_dup(const void *source, size_t size);
/* A copy of a string; null gives null. Owned by the caller. */
char	*mem_dup_string(const char *source);
/* A formatted string. Owned by the caller. */
char	*mem_print(const char *format, ...)
	    __attribute__((format(printf, 1, 2)));
/* free(3), for symmetry; null is allowed. */
void	 mem_free(void *memory);
/* Overwrites a secret in a way the compiler may not drop. */
void	 mem_wipe(void *memory, size_t size);
/* Wipes and frees a secret string; null is allowed. */
void	 mem_free_secret(char *secret);

#endif
