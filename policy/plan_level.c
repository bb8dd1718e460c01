/* SPDX-License-Identifier: ISC */
/*
 * What people ask for: the level that counts for this message, and a pin. The
 * level is the message's own, else that of an exception, else the destination's;
 * what is published binds unless one of these, or TLS-Required: No, says
 * otherwise. What an administrator demands, the sender's wish does not take
 * away (REQ-60), and a pin is a lower bound at every level that was written
 * down for longer than an exception.
 */
#include "policy/plan_private.h"

#include <inttypes.h>
#include <stdio.h>

static bool is_override(enum conf_level level)
{
	return level == LEVEL_NONE || level == LEVEL_MAY;
}

/* Levels whose point is that something published must hold. */
static bool is_demand(enum conf_level level)
{
	return level == LEVEL_DANE_ONLY || level == LEVEL_STS ||
	    level == LEVEL_STRICT;
}

/*
 * REQUIRETLS needs a proof of who the host is, and what is published may be
 * one: where a level or an exception overrides it, it is looked up completely
 * all the same. It does not bind then: a proof by WebPKI is as good to
 * RFC 8689 4.2.1.
 */
static enum heed choose_heed(const struct planner *planner)
{
	enum plan_wish wish = planner->facts->wish;

	if (planner->overridden)
		return wish == WISH_REQUIRETLS ? HEED_TRY : HEED_GLANCE;
	if (!conf_level_heeds_dane(planner->level))
		return HEED_NOTHING;
	return wish == WISH_OPTIONAL && !is_demand(planner->level) ?
	    HEED_TRY : HEED_BIND;
}

void planner_settle(struct planner *planner)
{
	const struct plan_facts *facts = planner->facts;
	bool own = facts->message_level >= 0;
	bool pinned = facts->pin != NULL;

	planner->level = facts->destination->level;
	if (own) {
		planner->level = (enum conf_level)facts->message_level;
		pinned = pinned && !is_override(planner->level);
	} else if (facts->exception != NULL) {
		planner->exception = facts->exception;
		planner->level = facts->exception->level;
		pinned = false;
	}
	if (pinned) {
		planner->pin = facts->pin;
		if (planner->pin->level == PIN_FINGERPRINT)
			planner->level = LEVEL_FINGERPRINT;
	}
	planner->overridden = planner->exception != NULL ||
	    is_override(planner->level);
	planner->heed = choose_heed(planner);
	planner->heeds_sts = planner->overridden ||
	    conf_level_heeds_sts(planner->level);
}

bool planner_needs_no_mx(const struct planner *planner)
{
	return planner->level == LEVEL_SECURE ||
	    planner->level == LEVEL_FINGERPRINT;
}

void prospect_require(struct prospect *prospect, enum requirement requirement,
    enum plan_source source)
{
	prospect->host.requirement = requirement;
	prospect->host.source = source;
}

/* What the level asks of a host by itself. */
static enum requirement requirement_of(enum conf_level level)
{
	switch (level) {
	case LEVEL_NONE: return REQUIRE_CLEAR;
	case LEVEL_ENCRYPT: return REQUIRE_ENCRYPTED;
	case LEVEL_VERIFY:
	case LEVEL_SECURE: return REQUIRE_NAME;
	case LEVEL_FINGERPRINT: return REQUIRE_FINGERPRINT;
	/* The others build upon what is published. */
	case LEVEL_AUTO:
	case LEVEL_MAY:
	case LEVEL_DANE:
	case LEVEL_DANE_ONLY:
	case LEVEL_STS:
	case LEVEL_STRICT: return REQUIRE_OPPORTUNISTIC;
	default: return REQUIRE_FINGERPRINT;	/* nothing matches: safe */
	}
}

/* Who set the level. */
static void set_reason(const struct planner *planner, struct plan_host *host,
    bool implicit)
{
	char who[120];

	if (planner->exception != NULL)
		snprintf(who, sizeof(who), "exception %" PRIu64,
		    planner->exception->id);
	else if (planner->facts->message_level >= 0)
		snprintf(who, sizeof(who), "queue set-tls");
	else
		snprintf(who, sizeof(who), "%s %.80s",
		    planner->facts->destination->of_route ? "route" :
		    "destination", planner->facts->destination->pattern);
	snprintf(host->reason, sizeof(host->reason), "%s: level %s%s", who,
	    conf_level_name(planner->level), implicit ?
	    ", on a route with implicit TLS" : "");
}

static void set_pin_reason(const struct planner *planner,
    struct plan_host *host)
{
	snprintf(host->reason, sizeof(host->reason), "pin %.80s: level %s",
	    planner->pin->domain, pin_level_name(planner->pin->level));
}

/* The level, and a route that speaks TLS at once: there is no clear on it. */
void prospect_require_level(struct planner *planner,
    struct prospect *prospect)
{
	enum requirement requirement = requirement_of(planner->level);
	bool implicit = planner->plan->implicit_tls &&
	    requirement < REQUIRE_ENCRYPTED;

	if (implicit)
		requirement = REQUIRE_ENCRYPTED;
	prospect_require(prospect, requirement, requirement >=
	    REQUIRE_ENCRYPTED ? SOURCE_LEVEL : SOURCE_NONE);
	if (requirement == REQUIRE_NAME)
		prospect_level_names(planner, prospect);
	set_reason(planner, &prospect->host, implicit);
}

void prospect_require_pin(struct planner *planner, struct prospect *prospect)
{
	static const enum requirement least[PIN_LEVELS] = {
	    [PIN_ENCRYPT] = REQUIRE_ENCRYPTED, [PIN_VERIFY] = REQUIRE_NAME,
	    [PIN_FINGERPRINT] = REQUIRE_FINGERPRINT };
	const struct plan_pin *pin = planner->pin;
	enum requirement requirement;

	if (pin == NULL)
		return;
	requirement = least[pin->level];
	/* A fingerprint is the level already, and this says whose. */
	if (prospect->host.requirement >= requirement &&
	    pin->level != PIN_FINGERPRINT)
		return;
	prospect_require(prospect, requirement, SOURCE_PIN);
	if (requirement == REQUIRE_NAME)
		prospect_own_name(planner, prospect);
	set_pin_reason(planner, &prospect->host);
}
