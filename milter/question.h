/* SPDX-License-Identifier: ISC */
/*
 * The data of our commands, added to a buf.
 */
#ifndef POSTERN_MILTER_QUESTION_H
#define POSTERN_MILTER_QUESTION_H

#include <stdbool.h>
#include <stddef.h>

struct buf;
struct endpoint;
struct field;

/* Each writes all of the data or, when the ceiling of the buf is in the way,
 * nothing and gives -1. */
int	 question_connect(struct buf *out, const char *name,
	    const struct endpoint *client);
int	 question_hello(struct buf *out, const char *name);
/* MAIL and RCPT. */
int	 question_address(struct buf *out, const char *address,
	    const char *const *parameters);
/* spaced: the filter wants the space behind the colon. A field that does not
 * fit into max bytes is cut. */
void	 question_field(struct buf *out, const struct field *field, bool spaced,
	    size_t max);

#endif
