/* SPDX-License-Identifier: ISC */
/*
 * A growing byte buffer that is born with its ceiling. Bytes are added at the
 * end and consumed from the front; consuming is cheap (an offset moves).
 * An addition that would pass the ceiling fails and changes nothing, so no
 * caller can hold more than it said it would. The struct is public so that it
 * can be a member; touch it through the functions only.
 */
#ifndef POSTERN_BASE_BUF_H
#define POSTERN_BASE_BUF_H

#include <stdbool.h>
#include <stddef.h>

struct buf {
	char	*memory;	/* owned; null until something is added */
	size_t	 start;		/* offset of the first byte not consumed */
	size_t	 end;		/* offset behind the last byte */
	size_t	 size;		/* bytes allocated */
	size_t	 max;		/* ceiling for end - start */
	bool	 secret;	/* see buf_keep_secret() */
};

void	 buf_init(struct buf *buf, size_t max_bytes);
/* Frees the memory; the buffer may be used again. */
void	 buf_release(struct buf *buf);
/* Empties, keeps the memory. */
void	 buf_reset(struct buf *buf);
/* Wipes what it held, then releases: for secrets. Growing leaves a copy
 * behind: who keeps secrets reserves the ceiling first, or says so. */
void	 buf_wipe(struct buf *buf);
/* From now on, and after a release, too: whatever leaves the buffer, or stays
 * behind when it moves, is overwritten. buf_take() gives it to the caller. */
void	 buf_keep_secret(struct buf *buf);

/* First byte not consumed (never null), and how many there are. */
const char	*buf_data(const struct buf *buf);
size_t		 buf_length(const struct buf *buf);
/* How many bytes may still be added. */
size_t		 buf_room(const struct buf *buf);

/* 0, or -1 when the ceiling would be passed (nothing is added then). */
int	 buf_add(struct buf *buf, const void *data, size_t length);
int	 buf_add_string(struct buf *buf, const char *text);
int	 buf_add_byte(struct buf *buf, char byte);
int	 buf_print(struct buf *buf, const char *format, ...)
	    __attribute__((format(printf, 2, 3)));

/*
 * For reading straight into the buffer: reserve room for want bytes (or null
 * if the ceiling forbids), write there, then commit what was written.
 */
char	*buf_reserve(struct buf *buf, size_t want);
void	 buf_commit(struct buf *buf, size_t written);

/* Overwrites bytes that are there (a length known only at the end). */
void	 buf_patch(struct buf *buf, size_t offset, const void *data,
	    size_t length);
/* Drops length bytes from the front; more than there are is a bug. */
void	 buf_consume(struct buf *buf, size_t length);
/* The same, and overwrites them first: for secrets in a buffer that goes on. */
void	 buf_wipe_front(struct buf *buf, size_t length);
/* Cuts the contents to length bytes, from the end. */
void	 buf_truncate(struct buf *buf, size_t length);
/* Offset of the first byte `byte` at or after from, or -1. */
long	 buf_find(const struct buf *buf, char byte, size_t from);
/* Contents as a null-terminated string; owned by the caller; buf is empty. */
char	*buf_take(struct buf *buf);
/* Contents with a null byte behind them (not counted); borrowed. */
const char	*buf_string(struct buf *buf);

#endif
