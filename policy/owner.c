/* SPDX-License-Identifier: ISC */
/*
 * Three tests in the order of their cost. Addresses of our domains are compared
 * as the directory does, without regard to case; so are others, which only the
 * account's list can name: an administrator who lists Bob@example.net means
 * bob@example.net, too.
 */
#include "policy/owner.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/address.h"
#include "base/arena.h"
#include "conf/conf.h"
#include "policy/accounts.h"
#include "policy/expand.h"

/* A name without a domain is one of the first domain. */
static bool user_address(const struct conf *conf, const char *user, char *out,
    size_t size)
{
	if (strchr(user, '@') != NULL)
		return (size_t)snprintf(out, size, "%s", user) < size;
	return conf->domain_count > 0 && (size_t)snprintf(out, size, "%s@%s",
	    user, conf->domains[0].name) < size;
}

static bool is_listed(const struct account *account, const char *address)
{
	const char *domain = strrchr(address, '@');

	for (size_t i = 0; account != NULL && i < account->address_count;
	    i++) {
		const char *one = account->addresses[i];

		if (strcmp(one, "*") == 0 || strcasecmp(one, address) == 0 ||
		    (one[0] == '@' && domain != NULL &&
		    strcasecmp(one, domain) == 0))
			return true;
	}
	return false;
}

/* The one mailbox that this address leads to; null: none, several, or one of
 * somebody else's server. */
static const char *mailbox_of(const struct expander *expander,
    const char *address, struct arena *arena)
{
	const struct expand_question question = { .address = address,
	    .sender = "" };
	struct expansion expansion;

	expander_expand(expander, &question, arena, &expansion);
	if (expansion.answer != DIRECTORY_FOUND ||
	    expansion.found.count != 1 ||
	    expansion.found.targets[0].forwarded)
		return NULL;
	return expansion.found.targets[0].address;
}

bool owner_is(const struct conf *conf, const struct expander *expander,
    const struct account *account, const char *user, const char *address)
{
	char own[ADDRESS_MAX + LOGIN_USER_MAX + 2];
	struct arena *arena;
	const char *one, *other;
	bool same;

	if (is_listed(account, address))
		return true;
	if (!user_address(conf, user, own, sizeof(own)))
		return false;
	if (strcasecmp(own, address) == 0)
		return true;
	arena = arena_new(2 * (size_t)EXPAND_ARENA_MAX);
	one = mailbox_of(expander, own, arena);
	other = one == NULL ? NULL : mailbox_of(expander, address, arena);
	same = other != NULL && strcasecmp(one, other) == 0;
	arena_free(arena);
	return same;
}
