/* SPDX-License-Identifier: ISC */
/*
 * One sender's way through the facts, host by host, and then the ways of all
 * senders there may be. Only choices that a way depends on are tried both
 * ways, so their number stays small.
 */
#include "tools/lab/oracle.h"

#include <string.h>

#include "base/log.h"
#include "tools/lab/oracle_private.h"
#include "tools/lab/scenario_options.h"

enum { CLAUSES_MAX = 5 };

/* What one host does to a message. */
enum course {
	COURSE_NEXT,		/* as if it could not be reached */
	COURSE_WITHHELD,	/* the same, because a demand is not met */
	COURSE_TLS,		/* it has it, under TLS */
	COURSE_CLEAR,
	COURSE_RETURNED,	/* permanently refused */
	COURSE_KEPT		/* put off, and no other host is tried */
};

struct way {
	const struct lab_facts	*facts;
	struct sender		*sender;
	bool			 twin;		/* every key is another's */
	enum lab_level		 level;
	const struct lab_sts_policy	*enforced;	/* or null */
	bool			 unknown;	/* whether there is a policy */

	/* what is noted on the way */
	unsigned		 touched, withheld;
	bool			 clear_mail, lost;
	const char		*clauses[CLAUSES_MAX];
	size_t			 clause_count;
};

/* What a host has to be, and how it is to be asked. */
struct demand {
	enum { DANE_NONE, DANE_UNUSABLE, DANE_USABLE,
	    DANE_FAILED }		 dane;
	const struct lab_tlsa_facts	*records;
	const char			*base;	/* RFC 7672 2.2.3 */
	bool				 sts, tls;
};

static void cite(struct way *way, const char *clause)
{
	for (size_t i = 0; i < way->clause_count; i++)
		if (strcmp(way->clauses[i], clause) == 0)
			return;
	if (way->clause_count < CLAUSES_MAX)
		way->clauses[way->clause_count++] = clause;
}

/* --- names in the DNS --- */

/* RFC 7672 2.1.1: bogus, forged and unanswered are one class. */
static bool is_failed(enum lab_found found, struct sender *sender)
{
	return found == LAB_FOUND_BOGUS || found == LAB_FOUND_ERROR ||
	    (found == LAB_FOUND_SHAKY &&
	    sender_chooses(sender, LAB_CHOICE_DANE_SHAKY));
}

static bool is_secure(enum lab_found found)
{
	return found == LAB_FOUND_SECURE || found == LAB_FOUND_SHAKY;
}

static bool has_usable(const struct lab_tlsa_facts *records,
    struct sender *sender)
{
	for (size_t i = 0; i < records->count; i++)
		if (record_is_usable(&records->records[i], sender))
			return true;
	return false;
}

/* True when that settles it: RFC 7672 2.2.3. */
static bool look_at(struct way *way, struct demand *demand,
    const struct lab_tlsa_facts *records, const char *base)
{
	if (is_failed(records->found, way->sender)) {
		cite(way, "RFC 7672 2.1.2");
		demand->dane = DANE_FAILED;
		return true;
	}
	if (!is_secure(records->found))
		return false;
	demand->records = records;
	demand->base = base;
	demand->dane = has_usable(records, way->sender) ? DANE_USABLE :
	    DANE_UNUSABLE;
	cite(way, "RFC 7672 2.2");
	return true;
}

/* RFC 7672 2.2.1 to 2.2.3; the address is there. */
static void find_records(struct way *way, const struct lab_host_facts *host,
    struct demand *demand)
{
	bool secure = is_secure(host->address);

	if (way->facts->mx == LAB_FOUND_INSECURE) {
		cite(way, "RFC 7672 2.2.1");
		if (!secure && !(host->target != NULL && host->alias_secure))
			return;
		if (sender_chooses(way->sender, LAB_CHOICE_INSECURE_MX_OPEN))
			return;
	}
	if (host->target != NULL)
		cite(way, "RFC 7672 2.2.2");
	if (host->target != NULL && secure && look_at(way, demand,
	    &host->target_tlsa, host->target))
		return;
	if (secure || (host->target != NULL && host->alias_secure))
		look_at(way, demand, &host->tlsa, host->name);
}

/* RFC 8461 4.1. */
static bool is_listed(const struct lab_sts_policy *policy, const char *name)
{
	for (size_t i = 0; i < policy->patterns.count; i++)
		if (lab_oracle_name_fits(policy->patterns.items[i], name))
			return true;
	return false;
}

static struct demand find_demand(struct way *way,
    const struct lab_host_facts *host)
{
	struct demand demand = { .dane = DANE_NONE, .base = host->name };

	find_records(way, host, &demand);
	if (way->enforced != NULL)
		cite(way, "RFC 8461 5");
	/* RFC 8461 2: the stronger proof is enough, or both are asked for.
	 * Behind unsigned MX records it is not the stronger one. */
	demand.sts = way->enforced != NULL && (demand.dane != DANE_USABLE ||
	    way->facts->mx == LAB_FOUND_INSECURE ||
	    sender_chooses(way->sender, LAB_CHOICE_BOTH));
	demand.tls = demand.sts || demand.dane == DANE_USABLE ||
	    demand.dane == DANE_UNUSABLE || way->level != LAB_LEVEL_AUTO;
	return demand;
}

/* --- the connection --- */

static bool is_authentic(const struct demand *demand)
{
	return demand->sts || demand->dane == DANE_USABLE;
}

/* RFC 7672 8.1, RFC 8461 7.1; null: no name is sent. */
static const char *asked_name(struct way *way,
    const struct lab_host_facts *host, const struct demand *demand)
{
	if (demand->dane == DANE_USABLE)
		return demand->base;
	if (demand->sts)
		return host->name;
	if (!host->demands_name && host->sni_name == NULL)
		return host->name;
	return sender_chooses(way->sender, LAB_CHOICE_NO_NAME) ? NULL :
	    demand->base;
}

static const struct lab_certificate *shown_to(
    const struct lab_host_facts *host, const char *name)
{
	return host->sni_name != NULL && name != NULL &&
	    strcmp(name, host->sni_name) == 0 ? host->sni_certificate :
	    host->certificate;
}

static bool is_proved(struct way *way, const struct lab_host_facts *host,
    const struct demand *demand, const struct lab_certificate *shown)
{
	const struct lab_facts *facts = way->facts;
	struct proof proof = { .shown = shown,
	    .names = { demand->base, facts->domain },
	    /* RFC 7672 3.2.2: a name from unsigned MX records is nobody's. */
	    .name_count = facts->mx == LAB_FOUND_INSECURE ? 1 : 2 };

	if (!is_authentic(demand))
		return true;
	if (way->twin || shown == NULL)
		return false;
	if (demand->sts && !public_proof(shown, host->name)) {
		cite(way, "RFC 8461 4.2");
		return false;
	}
	if (demand->dane == DANE_USABLE &&
	    !records_fit(demand->records, &proof, way->sender)) {
		cite(way, "RFC 7672 3.1");
		return false;
	}
	return true;
}

static enum course hand_over(const struct lab_host_facts *host,
    enum course course, struct way *way)
{
	if (course == COURSE_CLEAR)
		way->clear_mail = true;
	switch (host->taking) {
	case LAB_TAKES:
		return course;
	case LAB_REFUSES:
		cite(way, "RFC 5321 4.2.1");
		return COURSE_RETURNED;
	case LAB_PUTS_OFF:
		cite(way, "RFC 5321 5.1");
		return sender_chooses(way->sender, LAB_CHOICE_STAY) ?
		    COURSE_KEPT : COURSE_NEXT;
	default:
		bug("lab-oracle");
	}
}

/* TLS was tried and there is none; what follows depends on who wants it. */
static enum course without_tls(const struct lab_host_facts *host,
    const struct demand *demand, struct way *way)
{
	cite(way, "RFC 3207 6");
	if (demand->tls)
		return COURSE_WITHHELD;
	/* A host that was good once is met again on another connection. */
	return sender_chooses(way->sender, LAB_CHOICE_CLEAR_AT_ONCE) ?
	    hand_over(host, COURSE_CLEAR, way) : COURSE_NEXT;
}

static enum course not_offered(const struct lab_host_facts *host,
    const struct demand *demand, struct way *way)
{
	cite(way, "RFC 3207 6");
	return demand->tls ? COURSE_WITHHELD :
	    hand_over(host, COURSE_CLEAR, way);
}

static enum course secured(const struct lab_host_facts *host,
    const struct demand *demand, struct way *way)
{
	const char *name = asked_name(way, host, demand);
	const struct lab_certificate *shown = shown_to(host, name);

	if (host->demands_name && (name == NULL || host->sni_name == NULL ||
	    strcmp(name, host->sni_name) != 0)) {
		cite(way, "RFC 7672 8.1");
		return without_tls(host, demand, way);
	}
	if (shown != NULL && certificate_is_weak(shown) &&
	    sender_chooses(way->sender, LAB_CHOICE_WEAK_REFUSED))
		return without_tls(host, demand, way);
	if (!is_proved(way, host, demand, shown))
		return COURSE_WITHHELD;
	return hand_over(host, COURSE_TLS, way);
}

static enum course anonymous(const struct lab_host_facts *host,
    const struct demand *demand, struct way *way)
{
	cite(way, "RFC 7672 8.2");
	if (is_authentic(demand))
		return COURSE_WITHHELD;
	return sender_chooses(way->sender, LAB_CHOICE_ANONYMOUS) ?
	    hand_over(host, COURSE_TLS, way) : without_tls(host, demand, way);
}

static enum course meet(const struct lab_host_facts *host,
    const struct demand *demand, struct way *way)
{
	enum lab_wire wire = host->wire;

	if (wire != LAB_WIRE_GOOD && host->wire_once &&
	    sender_chooses(way->sender, LAB_CHOICE_RETRY_AT_ONCE))
		wire = LAB_WIRE_GOOD;
	switch (wire) {
	case LAB_WIRE_GOOD:
		return secured(host, demand, way);
	case LAB_WIRE_UNREACHABLE:
		cite(way, "RFC 5321 5.1");
		return COURSE_NEXT;
	case LAB_WIRE_NO_STARTTLS:
		return not_offered(host, demand, way);
	case LAB_WIRE_UNOFFERED:
		return sender_chooses(way->sender,
		    LAB_CHOICE_TRY_UNOFFERED) ? secured(host, demand, way) :
		    not_offered(host, demand, way);
	case LAB_WIRE_OBSOLETE:
		cite(way, "RFC 8996 4");
		return without_tls(host, demand, way);
	case LAB_WIRE_REFUSED:
	case LAB_WIRE_BROKEN:
	case LAB_WIRE_LATE_DEMAND:
		return without_tls(host, demand, way);
	case LAB_WIRE_ANONYMOUS:
		return anonymous(host, demand, way);
	case LAB_WIRE_INJECTED:
		cite(way, "RFC 3207 4.2");
		return sender_chooses(way->sender,
		    LAB_CHOICE_BEAR_INJECTION) ? secured(host, demand, way) :
		    without_tls(host, demand, way);
	case LAB_WIRE_IMPOSTOR:
		/* Its key is nobody's; where none is asked for, mail is
		 * lost. */
		way->lost |= !is_authentic(demand);
		return COURSE_WITHHELD;
	default:
		bug("lab-oracle");
	}
}

/* --- one host --- */

static enum course try_host(struct way *way, size_t which)
{
	const struct lab_host_facts *host = &way->facts->hosts[which];
	struct demand demand;

	if (host->target != NULL && way->facts->mx != LAB_FOUND_NONE &&
	    sender_chooses(way->sender, LAB_CHOICE_NO_MX_ALIAS))
		return COURSE_NEXT;
	if (is_failed(host->address, way->sender)) {
		cite(way, "RFC 7672 2.1.2");
		return COURSE_WITHHELD;
	}
	if (host->address == LAB_FOUND_NONE)
		return COURSE_NEXT;
	demand = find_demand(way, host);
	if (demand.dane == DANE_FAILED)
		return COURSE_WITHHELD;
	if (demand.sts && !is_listed(way->enforced, host->name)) {
		cite(way, "RFC 8461 4.1");
		if (sender_chooses(way->sender, LAB_CHOICE_STS_LOOK))
			way->touched |= 1u << which;
		return COURSE_WITHHELD;
	}
	if (way->unknown && (demand.dane != DANE_USABLE ||
	    way->facts->mx == LAB_FOUND_INSECURE ||
	    sender_chooses(way->sender, LAB_CHOICE_BOTH))) {
		cite(way, "RFC 8461 3.1");
		return COURSE_WITHHELD;
	}
	way->touched |= 1u << which;
	/* RFC 7672 2.2.1, 6: a demand of the administrator's. */
	if (way->level == LAB_LEVEL_DANE_ONLY &&
	    (demand.dane != DANE_USABLE ||
	    way->facts->mx == LAB_FOUND_INSECURE)) {
		cite(way, "RFC 7672 6");
		return COURSE_WITHHELD;
	}
	return meet(host, &demand, way);
}

/* --- MTA-STS --- */

/* RFC 8461 3.3: what was seen before holds as long as nothing newer is. */
static const struct lab_sts_policy *find_policy(const struct lab_facts *facts,
    struct sender *sender, bool *unknown)
{
	const struct lab_sts_facts *sts = &facts->sts;
	const struct lab_sts_policy *before = sts->cached ? &sts->before :
	    NULL;

	*unknown = false;
	if (sts->record == LAB_RECORD_ERROR)
		*unknown = before == NULL &&
		    !sender_chooses(sender, LAB_CHOICE_STS_ERROR_OPEN);
	if (sts->record != LAB_RECORD_VALID || (before != NULL &&
	    sts->same_id))
		return before;
	if (sts->fetch == LAB_FETCH_WORKS || (sts->fetch ==
	    LAB_FETCH_ODD_TYPE && sender_chooses(sender,
	    LAB_CHOICE_ANY_TYPE)))
		return &sts->policy;
	return before;
}

/* --- the whole way --- */

static enum course walk_hosts(struct way *way)
{
	for (size_t i = 0; i < way->facts->host_count; i++) {
		enum course course = try_host(way, i);

		if (course == COURSE_WITHHELD)
			way->withheld |= 1u << i;
		else if (course != COURSE_NEXT)
			return course;
	}
	return COURSE_NEXT;
}

static enum course walk(struct way *way)
{
	const struct lab_facts *facts = way->facts;
	const struct lab_sts_policy *policy;

	if (is_failed(facts->mx, way->sender)) {
		cite(way, "RFC 7672 2.1.2");
		return COURSE_KEPT;
	}
	policy = find_policy(facts, way->sender, &way->unknown);
	if (way->unknown && (facts->null_mx ||
	    !sender_chooses(way->sender, LAB_CHOICE_STS_ERROR_DANE))) {
		cite(way, "RFC 8461 3.1");
		return COURSE_KEPT;
	}
	if (policy != NULL && policy->mode == LAB_STS_ENFORCE)
		way->enforced = policy;
	if (!facts->null_mx)
		return walk_hosts(way);
	cite(way, "RFC 7505 3");
	return way->enforced != NULL && sender_chooses(way->sender,
	    LAB_CHOICE_NULL_MX_HELD) ? COURSE_KEPT : COURSE_RETURNED;
}

static struct way new_way(const struct lab_facts *facts,
    struct sender *sender, enum lab_level level)
{
	return (struct way){ .facts = facts, .sender = sender,
	    .level = level };
}

/* As the verdict has it: see verdict.c. */
static enum lab_outcome seen_as(enum course here, enum course twin)
{
	switch (here) {
	case COURSE_CLEAR:
		return LAB_CLEAR;
	case COURSE_RETURNED:
		return LAB_BOUNCED;
	case COURSE_TLS:
		return twin == COURSE_TLS ? LAB_ENCRYPTED :
		    twin == COURSE_CLEAR ? LAB_CLEAR :
		    twin == COURSE_RETURNED ? LAB_BOUNCED :
		    LAB_AUTHENTICATED;
	default:
		return LAB_DEFERRED;
	}
}

struct ends {
	enum lab_outcome	 outcome;
	struct way		 here, there;	/* there: the twin */
};

static struct ends end_of(const struct lab_facts *facts,
    struct sender *sender, enum lab_level level)
{
	struct ends ends = { .here = new_way(facts, sender, level),
	    .there = new_way(facts, sender, level) };
	enum course here, there;

	ends.there.twin = true;
	here = walk(&ends.here);
	there = here == COURSE_TLS ? walk(&ends.there) : COURSE_NEXT;
	ends.outcome = seen_as(here, there);
	return ends;
}

/* --- all senders --- */

struct all {
	struct lab_answer	 answer;
	unsigned		 touched;	/* by any of them */
	bool			 seen_withheld;
};

static void add_sender(struct all *all, const struct lab_facts *facts,
    struct sender *sender)
{
	struct ends ends = end_of(facts, sender, facts->level);

	all->answer.outcomes |= 1u << ends.outcome;
	all->touched |= ends.here.touched;
	all->answer.clear_mail |= ends.here.clear_mail ||
	    ends.there.clear_mail;
	all->answer.lost |= ends.here.lost || ends.there.lost;
	all->seen_withheld |= (ends.here.withheld & ends.here.touched) != 0;
	if (sender->choices != 0)
		return;
	all->answer.expect = ends.outcome;
	all->answer.violable = ends.here.withheld != 0 ||
	    ends.outcome == LAB_AUTHENTICATED || is_failed(facts->mx, sender);
	for (size_t i = 0; i < ends.here.clause_count; i++)
		all->answer.clauses[i] = ends.here.clauses[i];
}

/* Every set of choices within `asked`; what they ask further is added. */
static unsigned add_senders(struct all *all, const struct lab_facts *facts,
    unsigned asked)
{
	unsigned further = asked, choices = 0;

	do {
		struct sender sender = { .choices = choices };

		add_sender(all, facts, &sender);
		further |= sender.asked;
		choices = (choices - asked) & asked;	/* the next subset */
	} while (choices != 0);
	return further;
}

struct lab_answer lab_oracle(const struct lab_facts *facts)
{
	struct all all = { .answer = { .outcomes = 0 } };
	struct sender plain = { 0 };
	unsigned asked = 0, before;

	do {
		before = asked;
		asked = add_senders(&all, facts, asked);
	} while (asked != before);
	all.answer.untouched = ~all.touched &
	    ((1u << facts->host_count) - 1);
	all.answer.blind = all.seen_withheld && (all.answer.outcomes &
	    (1u << LAB_ENCRYPTED | 1u << LAB_CLEAR)) != 0;
	if ((all.answer.outcomes & 1u << LAB_CLEAR) != 0)
		all.answer.strict = lab_outcome_name(end_of(facts, &plain,
		    LAB_LEVEL_ENCRYPT).outcome);
	return all.answer;
}
