/* SPDX-License-Identifier: ISC */
/*
 * One run of the machine of DMARC (RFC 7489, 9989). What cannot be found out in
 * time is neither pass nor fail (AUTHN-74).
 */
#include <string.h>

#include "authentic/dmarc.h"
#include "base/arena.h"
#include "base/mem.h"
#include "policy/check.h"
#include "policy/lookup_run.h"

enum { TEXTS_MAX = 16 << 10 };

_Static_assert((int)DMARC_LOOKUPS_MAX <= (int)LOOKUP_RUN_LOOKUPS_MAX &&
    (int)DMARC_MEMORY_MAX <= (int)LOOKUP_RUN_SCRATCH_MAX, "the machine fits");

struct check_dmarc {
	struct check		 check;
	struct lookup_run	*run;		/* owned; null in done */
	struct arena		*arena;		/* owned: of the question */
	struct dmarc_question	 question;
	struct dmarc_step	 step;
	policy_dmarc_done	*done;
	void			*arg;
};

static void release(struct check_dmarc *dmarc)
{
	arena_free(dmarc->arena);
	mem_free(dmarc);
}

static void cancel(struct check *check)
{
	struct check_dmarc *dmarc = (struct check_dmarc *)check;

	if (dmarc->run != NULL)
		lookup_run_cancel(dmarc->run);
	release(dmarc);
}

static bool on_step(void *arg, const struct lookup_answers *answers,
    struct arena *arena, struct lookup_need *need)
{
	struct check_dmarc *dmarc = arg;

	memset(&dmarc->step, 0, sizeof(dmarc->step));
	dmarc_step(&dmarc->question, answers, arena, &dmarc->step);
	need->type = dmarc->step.type;
	need->name = dmarc->step.name;
	return dmarc->step.done;
}

static void on_done(void *arg, bool finished)
{
	struct check_dmarc *dmarc = arg;
	const struct dmarc_step unknown = {
		.done = true,
		.name = "",
		.proof = PROOF_TEMPERROR,
		.record_domain = "",
		.organization = "",
		.reason = "no end within the time or number of lookups",
	};

	dmarc->run = NULL;
	dmarc->done(dmarc->arg, finished ? &dmarc->step : &unknown);
	release(dmarc);
}

struct check *check_dmarc_start(struct resolver *resolver,
    const struct dmarc_question *question, policy_dmarc_done *done, void *arg)
{
	struct check_dmarc *dmarc = mem_alloc(sizeof(*dmarc));
	const char **domains;
	size_t i;

	dmarc->check.cancel = cancel;
	dmarc->arena = arena_new(TEXTS_MAX);
	dmarc->done = done;
	dmarc->arg = arg;
	dmarc->question = *question;
	dmarc->question.author = arena_dup_string(dmarc->arena,
	    question->author);
	dmarc->question.spf_domain = arena_dup_string(dmarc->arena,
	    question->spf_domain);
	domains = arena_alloc_array(dmarc->arena, DMARC_DKIM_MAX,
	    sizeof(*domains));
	if (dmarc->question.dkim_count > DMARC_DKIM_MAX)
		dmarc->question.dkim_count = DMARC_DKIM_MAX;
	for (i = 0; i < dmarc->question.dkim_count; i++)
		domains[i] = arena_dup_string(dmarc->arena,
		    question->dkim_domains[i]);
	dmarc->question.dkim_domains = domains;
	dmarc->run = lookup_run_start(resolver, on_step, on_done, dmarc);
	return &dmarc->check;
}
