/* SPDX-License-Identifier: ISC */
/*
 * A line that an operator wrote (a reason, who it was): what is kept of it on
 * the disk is asked again at the next start.
 */
#ifndef POSTERN_POLICY_LINE_H
#define POSTERN_POLICY_LINE_H

#include <stdbool.h>
#include <stddef.h>

/* Terminated within size bytes, UTF-8, and no control character in it (RFC 3629
 * 4; ISO 6429: C0, DEL, C1). May be empty. */
bool	 line_is_sound(const char *text, size_t size);

#endif
