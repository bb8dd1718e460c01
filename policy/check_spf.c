/* SPDX-License-Identifier: ISC */
/*
 * Two runs of check_host() (RFC 7208 2.3, 2.4; AUTHN-45, 46). The HELO name is
 * looked at first, when it is a domain name with a dot in it. Only its "fail"
 * is a decision: that host may not say that name, whoever the mail is from.
 * Anything else, "pass" too, says nothing about MAIL FROM, which is the answer
 * then. It is looked at in any case, for DMARC asks for nothing else (AUTHN-71).
 * With the null sender there is only the HELO name, as postmaster@HELO.
 */
#include <string.h>

#include "authentic/spf.h"
#include "base/address.h"
#include "base/arena.h"
#include "base/clock.h"
#include "base/mem.h"
#include "policy/check.h"
#include "policy/lookup_run.h"

enum { TEXTS_MAX = 16 << 10 };

_Static_assert((int)SPF_LOOKUPS_MAX <= (int)LOOKUP_RUN_LOOKUPS_MAX &&
    (int)SPF_MEMORY_MAX <= (int)LOOKUP_RUN_SCRATCH_MAX, "the machine fits");

struct check_spf {
	struct check		 check;
	struct resolver		*resolver;	/* outlives us */
	struct lookup_run	*run;		/* owned; null in done */
	struct arena		*arena;		/* owned: texts */
	struct spf_question	 question;	/* of the run */
	const char		*sender;	/* domain in A-labels; "" */
	const char		*sender_domain;	/* "": none that has SPF */
	bool			 of_hello;
	struct policy_spf_answer hello_failed;	/* domain null: it has not */
	struct spf_step		 step;
	policy_spf_done		*done;
	void			*arg;
};

static void release(struct check_spf *spf)
{
	arena_free(spf->arena);
	mem_free(spf);
}

static void cancel(struct check *check)
{
	struct check_spf *spf = (struct check_spf *)check;

	if (spf->run != NULL)
		lookup_run_cancel(spf->run);
	release(spf);
}

/* RFC 7208 4.3: one label, a literal and what is no domain name have no SPF:
 * "". A-labels otherwise (AUTHN-58: U-labels became them in smtpd). */
static const char *domain_of(struct arena *arena, const char *text)
{
	char domain[ADDRESS_DOMAIN_MAX + 1];

	if (domain_parse(domain, sizeof(domain), text, strlen(text)) == -1 ||
	    strchr(domain, '.') == NULL)
		return "";
	return arena_dup_string(arena, domain);
}

static bool on_step(void *arg, const struct lookup_answers *answers,
    struct arena *arena, struct lookup_need *need)
{
	struct check_spf *spf = arg;

	memset(&spf->step, 0, sizeof(spf->step));
	if (spf->question.domain[0] == '\0') {
		spf->step.proof = PROOF_NONE;
		spf->step.mechanism = "no domain name";
		spf->step.explanation = "";
		return true;
	}
	spf_step(&spf->question, answers, arena, &spf->step);
	need->type = spf->step.type;
	need->name = spf->step.name;
	return spf->step.done;
}

static void on_done(void *arg, bool finished);

static void start(struct check_spf *spf, bool of_hello)
{
	struct spf_question *question = &spf->question;

	spf->of_hello = of_hello;
	if (of_hello) {
		question->domain = domain_of(spf->arena, question->hello);
		question->sender = arena_print(spf->arena, "postmaster@%s",
		    question->domain);
	} else {
		question->domain = spf->sender_domain;
		question->sender = spf->sender;
	}
	spf->run = lookup_run_start(spf->resolver, on_step, on_done, spf);
}

/* The answer, whatever MAIL FROM gives; the run's texts go with it. */
static void keep_failure(struct check_spf *spf,
    const struct policy_spf_answer *answer)
{
	spf->hello_failed = *answer;
	spf->hello_failed.mechanism = arena_dup_string(spf->arena,
	    answer->mechanism);
	spf->hello_failed.explanation = arena_dup_string(spf->arena,
	    answer->explanation);
}

static void on_done(void *arg, bool finished)
{
	struct check_spf *spf = arg;
	struct policy_spf_answer answer = {
		.of_hello = spf->of_hello,
		.domain = spf->question.domain,
	};

	spf->run = NULL;
	answer.proof = finished ? spf->step.proof : PROOF_TEMPERROR;
	answer.mechanism = finished ? spf->step.mechanism :
	    "no end within the time or number of lookups";
	answer.explanation = finished ? spf->step.explanation : "";
	if (spf->of_hello && spf->sender[0] != '\0') {
		if (answer.proof == PROOF_FAIL)
			keep_failure(spf, &answer);
		start(spf, false);
		return;
	}
	answer.mail_from = answer.proof;
	answer.mail_from_domain = answer.domain;
	if (spf->hello_failed.domain != NULL) {
		spf->hello_failed.mail_from = answer.proof;
		spf->hello_failed.mail_from_domain = answer.domain;
		answer = spf->hello_failed;
	}
	spf->done(spf->arg, &answer);
	release(spf);
}

/* local@domain with the domain as it is looked up. */
static void take_sender(struct check_spf *spf, const char *sender)
{
	const char *at = strrchr(sender, '@');

	spf->sender_domain = at == NULL ? "" : domain_of(spf->arena, at + 1);
	if (spf->sender_domain[0] == '\0')
		spf->sender = arena_dup_string(spf->arena, sender);
	else
		spf->sender = arena_print(spf->arena, "%.*s@%s",
		    (int)(at - sender), sender, spf->sender_domain);
}

struct check *check_spf_start(struct resolver *resolver,
    const struct policy_spf_question *question, policy_spf_done *done,
    void *arg)
{
	struct check_spf *spf = mem_alloc(sizeof(*spf));

	spf->check.cancel = cancel;
	spf->resolver = resolver;
	spf->arena = arena_new(TEXTS_MAX);
	spf->done = done;
	spf->arg = arg;
	spf->question = (struct spf_question){
		.client = *question->client,
		.hello = arena_dup_string(spf->arena, question->hello),
		.receiver = arena_dup_string(spf->arena, question->receiver),
		.now = clock_wall() / 1000,
		.explain = true,
	};
	take_sender(spf, question->sender);
	start(spf, spf->sender[0] == '\0' ||
	    domain_of(spf->arena, question->hello)[0] != '\0');
	return &spf->check;
}
