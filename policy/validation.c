/* SPDX-License-Identifier: ISC */
/*
 *	UNKNOWN --> WORKS <--> UNVALIDATED, SILENT
 *
 * A probe asks the validating resolver for the root's keys. When that fails
 * for another reason than a bad signature, the plain resolver tells whether
 * somebody answers at all: signatures that are stripped on the way look just
 * like a server that does not answer.
 */
#include "policy/validation.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "base/clock.h"
#include "base/digest.h"
#include "base/log.h"
#include "base/loop.h"
#include "base/mem.h"
#include "policy/resolver.h"

/* Milliseconds: how soon to look again (if all is good, when the resolver has
 * forgotten the last answer), and how often to repeat. */
enum { AGAIN_BAD = 60000, AGAIN_GOOD = 3660000, REPEAT = 15 * 60000 };

enum state { UNKNOWN, WORKS, UNVALIDATED, SILENT };

struct validation {
	struct resolver		*resolver;	/* outlive us */
	struct resolver		*plain;
	struct resolver_query	*query;		/* under way, or null */
	enum state		 state;
	int64_t			 told;		/* monotonic, ms */
	char			 reason[160];
	struct timer		 timer;
};

static void tell(const struct validation *validation)
{
	if (validation->state == SILENT)
		log_error("no name server answers: mail that needs the DNS "
		    "waits; is there a network?",
		    log_text("reason", validation->reason));
	else
		log_error("no DNSSEC answer validates: all mail that needs the "
		    "DNS waits; is the clock right, the trust anchor, does a "
		    "resolver or firewall strip signatures?",
		    log_text("reason", validation->reason));
}

static void	probe(void *arg);

/* The only place where the state changes; a probe has ended. */
static void enter(struct validation *validation, enum state state)
{
	bool changed = validation->state != state;
	bool bad = state != WORKS;

	if (changed && !bad)
		log_info(validation->state == UNKNOWN ?
		    "DNSSEC answers validate" : "DNSSEC answers validate "
		    "again: what waited will be tried");
	validation->state = state;
	if (bad && (changed || clock_monotonic() - validation->told >=
	    REPEAT)) {
		validation->told = clock_monotonic();
		tell(validation);
	}
	timer_start(&validation->timer, bad ? AGAIN_BAD : AGAIN_GOOD, probe,
	    validation);
}

static void on_plain(void *arg, const struct dns_answer *answer)
{
	struct validation *validation = arg;

	validation->query = NULL;
	enter(validation, answer->result == FACT_ERROR ? SILENT :
	    UNVALIDATED);
}

/* Each time about another name, so that it is not remembered; that there is
 * none is an answer. */
static void ask_plainly(struct validation *validation)
{
	char name[40];

	snprintf(name, sizeof(name), "probe-%08x%08x",
	    (unsigned)random_below(UINT32_MAX),
	    (unsigned)random_below(UINT32_MAX));
	validation->query = resolver_lookup(validation->plain, name, DNS_A,
	    on_plain, validation);
}

static void on_keys(void *arg, const struct dns_answer *answer)
{
	struct validation *validation = arg;

	validation->query = NULL;
	if (answer->result == FACT_DATA && answer->secure) {
		enter(validation, WORKS);
		return;
	}
	snprintf(validation->reason, sizeof(validation->reason), "%s",
	    answer->reason[0] != '\0' ? answer->reason :
	    "the root's keys came without a signature that counts");
	if (answer->result != FACT_ERROR)
		enter(validation, UNVALIDATED);
	else
		ask_plainly(validation);
}

static void probe(void *arg)
{
	struct validation *validation = arg;

	validation->query = resolver_lookup(validation->resolver, ".",
	    DNS_DNSKEY, on_keys, validation);
}

struct validation *validation_start(struct resolver *resolver,
    struct resolver *plain)
{
	struct validation *validation = mem_alloc(sizeof(*validation));

	validation->resolver = resolver;
	validation->plain = plain;
	probe(validation);
	return validation;
}

void validation_stop(struct validation *validation)
{
	if (validation == NULL)
		return;
	if (validation->query != NULL)
		resolver_cancel(validation->query);
	timer_stop(&validation->timer);
	mem_free(validation);
}
