/* SPDX-License-Identifier: ISC */
/*
 * A small name server for tests, on a port of the loopback and the loop of the
 * process, that signs nothing. It has the records it is given and says
 * truly of all else that there is no such name, or nothing of that type. Names
 * with "silent" in them are never answered, those with "servfail" are with
 * SERVFAIL. For signed worlds see signed_root.h.
 */
#ifndef POSTERN_TESTS_ZONE_H
#define POSTERN_TESTS_ZONE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/net.h"

void	 zone_start(struct endpoint *address);
void	 zone_stop(void);
/* A or AAAA. */
void	 zone_address(const char *name, const char *address);
/* One string after the other, each of at most 255 bytes; strings ends with a
 * null pointer. */
void	 zone_text(const char *name, const char *const *strings);
/* The same of one text, cut into strings. */
void	 zone_txt(const char *name, const char *text);
void	 zone_mx(const char *name, unsigned preference, const char *host);
/* PTR (12) or CNAME (5); a CNAME is followed by the resolver. */
void	 zone_name(const char *name, unsigned type, const char *target);
/* Any record. */
void	 zone_record(const char *name, unsigned type, const void *data,
	    size_t length);
/* Nothing at all is answered. */
extern bool	 zone_silent;
/* Questions so far, and the last one's name. */
extern unsigned	 zone_questions;
extern char	 zone_asked[300];

#endif
