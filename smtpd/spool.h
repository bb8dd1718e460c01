/* SPDX-License-Identifier: ISC */
/*
 * The content of a message while filters are asked about it: small ones on the
 * heap, larger ones in a memory file, none on a disk. What all spools of the
 * process hold together has a ceiling, so that a filter that sleeps does not
 * take the memory of the machine: a message beyond it is to come later.
 */
#ifndef POSTERN_SMTPD_SPOOL_H
#define POSTERN_SMTPD_SPOOL_H

#include <stddef.h>
#include <stdint.h>

struct spool;

enum { SPOOL_HEAP_MAX = 64 << 10 };

/* ceiling: in bytes, of all spools together. */
struct spool	*spool_new(uint64_t ceiling);
/* Null is allowed. The memory is given back. */
void		 spool_free(struct spool *spool);
/* 0; or -1, logged, when there is no memory: nothing was added then. */
int		 spool_add(struct spool *spool, const char *data,
		    size_t length);
uint64_t	 spool_length(const struct spool *spool);
/* Up to size bytes at offset; 0 at the end. */
size_t		 spool_read(const struct spool *spool, uint64_t offset,
		    char *out, size_t size);
/* Takes bytes out; those behind them move up. */
void		 spool_drop(struct spool *spool, uint64_t offset,
		    uint64_t length);
/* Bytes in all spools. */
uint64_t	 spool_total(void);

#endif
