/* SPDX-License-Identifier: ISC */
/*
 * The users of our domains, as one table built from a configuration and the
 * files that came with it. Local parts of our own users are compared without
 * regard to case (RFC 5321 2.4 leaves that to us).
 */
#ifndef POSTERN_POLICY_USERS_H
#define POSTERN_POLICY_USERS_H

#include <stddef.h>

#include "base/address.h"
#include "policy/directory_client.h"

struct bundle;
struct conf;
struct users;

/* Null with a sentence in error that names the file and line. */
struct users	*users_new(const struct conf *conf,
		    const struct bundle *bundle, char *error, size_t size);
void		 users_free(struct users *users);
/* address: "local@domain" or "postmaster"; mailbox is filled when found. */
enum directory_answer	 users_find(const struct users *users,
			    const char *address, char *mailbox, size_t size);

#endif
