/* SPDX-License-Identifier: ISC */
/*
 * Which addresses are a user's to send from: the one of that name, those that
 * the account lists, and each whose mail goes into this user's mailbox and
 * nowhere else. Pure.
 */
#ifndef POSTERN_POLICY_OWNER_H
#define POSTERN_POLICY_OWNER_H

#include <stdbool.h>

struct account;
struct conf;
struct expander;

/* account may be null: a user whom another server knows. */
bool	 owner_is(const struct conf *conf, const struct expander *expander,
	    const struct account *account, const char *user,
	    const char *address);

#endif
