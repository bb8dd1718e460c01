/* SPDX-License-Identifier: ISC */
/*
 * quoted-printable (RFC 2045 6.7): any bytes as lines of ASCII.
 */
#ifndef POSTERN_BASE_QUOTED_H
#define POSTERN_BASE_QUOTED_H

#include <stddef.h>

struct buf;

/* Adds data to out. CRLF stays the end of a line, a lone CR or LF does not
 * become one. -1 when out's ceiling was passed. */
int	 quoted_add(struct buf *out, const char *data, size_t length);

#endif
