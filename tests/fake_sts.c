/* SPDX-License-Identifier: ISC */
/*
 * See fake_sts.h.
 */
#include "tests/fake_sts.h"

#include <stdio.h>

#include "base/loop.h"
#include "base/mem.h"

struct sts_answer fake_sts_answer;
bool fake_sts_silent;
unsigned fake_sts_questions;
unsigned fake_sts_cancelled;
char fake_sts_domain[256];
static char somewhere;
struct sts *const fake_sts = (struct sts *)&somewhere;

struct sts_query {
	sts_done	*done;
	void		*arg;
};

static void answer(void *arg)
{
	struct sts_query query = *(struct sts_query *)arg;

	mem_free(arg);
	query.done(query.arg, &fake_sts_answer);
}

struct sts_query *sts_lookup(struct sts *sts, const char *domain,
    bool cache_only, sts_done *done, void *arg)
{
	struct sts_query *query = mem_alloc(sizeof(*query));

	(void)sts;
	(void)cache_only;
	fake_sts_questions++;
	snprintf(fake_sts_domain, sizeof(fake_sts_domain), "%s", domain);
	query->done = done;
	query->arg = arg;
	if (!fake_sts_silent)
		loop_defer(answer, query);
	return query;
}

void sts_cancel(struct sts_query *query)
{
	fake_sts_cancelled++;
	loop_undefer(query);
	mem_free(query);
}
