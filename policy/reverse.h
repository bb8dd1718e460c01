/* SPDX-License-Identifier: ISC */
/*
 * The confirmed name of an address: PTR, then the name's own addresses; it
 * counts only when the address is among them (RFC 8499 6, "FCrDNS").
 */
#ifndef POSTERN_POLICY_REVERSE_H
#define POSTERN_POLICY_REVERSE_H

#include <stdint.h>

struct endpoint;
struct resolver;
struct reverse;

/* name is null when there is none, "" when that could not be found out;
 * borrowed. */
typedef void reverse_done(void *arg, const char *name);

struct reverse	*reverse_start(struct resolver *resolver,
		    const struct endpoint *address, int64_t milliseconds,
		    reverse_done *done, void *arg);
void		 reverse_cancel(struct reverse *reverse);

#endif
