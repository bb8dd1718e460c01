/* SPDX-License-Identifier: ISC */
/*
 * Two lookups in a row under one deadline. Only the first PTR name is
 * confirmed: more would let a stranger make us look up a list of his choice.
 */
#include "policy/reverse.h"

#include <string.h>

#include "base/address.h"
#include "base/loop.h"
#include "base/mem.h"
#include "base/net.h"
#include "policy/resolver.h"

struct reverse {
	struct resolver		*resolver;	/* outlives us */
	struct resolver_query	*query;		/* under way, or null */
	struct endpoint		 address;
	struct timer		 timer;
	char			 name[DNS_NAME_MAX + 1];
	reverse_done		*done;
	void			*arg;
};

void reverse_cancel(struct reverse *reverse)
{
	if (reverse->query != NULL)
		resolver_cancel(reverse->query);
	timer_stop(&reverse->timer);
	mem_free(reverse);
}

static void finish(struct reverse *reverse, const char *name)
{
	reverse->done(reverse->arg, name);
	reverse_cancel(reverse);
}

static void on_deadline(void *arg)
{
	finish(arg, "");
}

/* What an answer without data says: no name, or nothing about it. */
static const char *no_name(const struct dns_answer *answer)
{
	switch (answer->result) {
	case FACT_DATA:
	case FACT_NODATA:
	case FACT_NXDOMAIN:
		return NULL;
	default:
		return "";
	}
}

static void on_addresses(void *arg, const struct dns_answer *answer)
{
	struct reverse *reverse = arg;
	bool confirmed = false;
	size_t i;

	reverse->query = NULL;
	for (i = 0; i < answer->count; i++)
		if (endpoint_same_host(&answer->addresses[i],
		    &reverse->address))
			confirmed = true;
	finish(reverse, confirmed ? reverse->name : no_name(answer));
}

static void on_name(void *arg, const struct dns_answer *answer)
{
	struct reverse *reverse = arg;
	bool v6 = reverse->address.address.any.sa_family == AF_INET6;

	reverse->query = NULL;
	/* The name goes into headers and the log: host names only. */
	if (answer->result != FACT_DATA || domain_parse(reverse->name,
	    sizeof(reverse->name), answer->names[0],
	    strnlen(answer->names[0], DNS_NAME_MAX)) == -1) {
		finish(reverse, no_name(answer));
		return;
	}
	reverse->query = resolver_lookup(reverse->resolver, reverse->name,
	    v6 ? DNS_AAAA : DNS_A, on_addresses, reverse);
}

struct reverse *reverse_start(struct resolver *resolver,
    const struct endpoint *address, int64_t milliseconds, reverse_done *done,
    void *arg)
{
	struct reverse *reverse = mem_alloc(sizeof(*reverse));
	char name[128];

	reverse->resolver = resolver;
	reverse->address = *address;
	reverse->done = done;
	reverse->arg = arg;
	endpoint_reverse_name(address, name, sizeof(name));
	timer_start(&reverse->timer, milliseconds, on_deadline, reverse);
	reverse->query = resolver_lookup(resolver, name, DNS_PTR, on_name,
	    reverse);
	return reverse;
}
