/* SPDX-License-Identifier: ISC */
/*
 * Names of the roles, and the pairs that get a channel.
 */
#include "base/role.h"

#include <string.h>

static const char *const names[ROLE_COUNT] = {
	[ROLE_SUPERVISOR] = "supervisor",
	[ROLE_SMTPD] = "smtpd",
	[ROLE_QUEUE] = "queue",
	[ROLE_DELIVERY] = "delivery",
	[ROLE_MAILBOX] = "mailbox",
	[ROLE_POLICY] = "policy",
	[ROLE_DIRECTORY] = "directory",
	[ROLE_STS] = "sts",		/* talks to nobody */
};

/* Whatever is not here cannot reach each other. */
static const enum role pairs[][2] = {
	{ ROLE_SMTPD, ROLE_QUEUE },
	{ ROLE_SMTPD, ROLE_POLICY },
	{ ROLE_SMTPD, ROLE_DIRECTORY },
	{ ROLE_QUEUE, ROLE_DELIVERY },
	{ ROLE_QUEUE, ROLE_MAILBOX },
	{ ROLE_DELIVERY, ROLE_POLICY },
};

const char *role_name(enum role role)
{
	return role < ROLE_COUNT ? names[role] : "nobody";
}

enum role role_find(const char *name)
{
	int role;

	for (role = 0; role < ROLE_COUNT; role++)
		if (strcmp(names[role], name) == 0)
			break;
	return role;
}

bool role_may_talk(enum role one, enum role other)
{
	size_t i;

	for (i = 0; i < sizeof(pairs) / sizeof(pairs[0]); i++)
		if ((pairs[i][0] == one && pairs[i][1] == other) ||
		    (pairs[i][0] == other && pairs[i][1] == one))
			return true;
	return false;
}
