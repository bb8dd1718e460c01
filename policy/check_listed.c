/* SPDX-License-Identifier: ISC */
/*
 * A client in a list (RFC 5782 2.1, 2.4): the parts of its address backwards,
 * as of a reverse name, below the list's zone. An error is "not known", never
 * "not listed". More answers than POLICY_LISTED_MAX are cut: no list has them.
 */
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "base/net.h"
#include "policy/check.h"
#include "policy/lookup_run.h"
#include "policy/message.h"

struct check_listed {
	struct check		 check;
	struct lookup_run	*run;		/* owned; null in done */
	char			 name[128 + POLICY_NAME_MAX + 2];
	bool			 failed;
	struct endpoint		 answers[POLICY_LISTED_MAX];
	size_t			 count;
	policy_listed_done	*done;
	void			*arg;
};

static void cancel(struct check *check)
{
	struct check_listed *listed = (struct check_listed *)check;

	if (listed->run != NULL)
		lookup_run_cancel(listed->run);
	mem_free(listed);
}

static void take(struct check_listed *listed,
    const struct lookup_answer *answer)
{
	size_t i;

	listed->failed = answer->status == LOOKUP_FAILED;
	for (i = 0; i < answer->count && i < POLICY_LISTED_MAX; i++)
		listed->answers[listed->count++] = answer->records[i].address;
}

static bool on_step(void *arg, const struct lookup_answers *answers,
    struct arena *arena, struct lookup_need *need)
{
	struct check_listed *listed = arg;

	(void)arena;
	need->type = LOOKUP_A;
	need->name = listed->name;
	if (answers->count == 0)
		return false;
	take(listed, &answers->items[0]);
	return true;
}

static void on_done(void *arg, bool finished)
{
	struct check_listed *listed = arg;

	listed->run = NULL;
	listed->done(listed->arg, !finished || listed->failed,
	    listed->answers, listed->count);
	mem_free(listed);
}

struct check *check_listed_start(struct resolver *resolver,
    const struct endpoint *address, const char *zone,
    policy_listed_done *done, void *arg)
{
	struct check_listed *listed = mem_alloc(sizeof(*listed));
	char reversed[128], *tail;

	listed->check.cancel = cancel;
	listed->done = done;
	listed->arg = arg;
	endpoint_reverse_name(address, reversed, sizeof(reversed));
	tail = strstr(reversed, ".in-addr.arpa");
	if (tail == NULL)
		tail = strstr(reversed, ".ip6.arpa");
	if (tail != NULL)
		*tail = '\0';
	snprintf(listed->name, sizeof(listed->name), "%s.%s", reversed, zone);
	listed->run = lookup_run_start(resolver, on_step, on_done, listed);
	return &listed->check;
}
