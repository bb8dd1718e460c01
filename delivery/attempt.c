/* SPDX-License-Identifier: ISC */
/*
 * The attempt; see attempt.h.
 */
#include "delivery/attempt.h"

#include <stdio.h>
#include <string.h>

#include "base/address.h"
#include "base/arena.h"
#include "base/broken.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/loop.h"
#include "base/mem.h"
#include "conf/conf.h"
#include "delivery/client.h"
#include "delivery/delivery_log.h"
#include "delivery/mail.h"
#include "delivery/observe.h"
#include "delivery/plan_copy.h"
#include "delivery/plans.h"
#include "delivery/pool.h"
#include "delivery/profile.h"
#include "policy/client.h"
#include "policy/plan.h"
#include "queue/client.h"

/*
 *	   +-------------------+----------+
 *	   v                   |          |
 *	ASKING -> TRYING -> OPENING -> SENDING -> OVER
 *	   |       |  ^        |          |         ^
 *	   |       |  +--------+----------+         |
 *	   +-------+--------------------------------+
 *
 * TRYING looks for the next address; it ends in the same call. Back to ASKING
 * when the policy changed: before MAIL at once, else behind the transaction.
 */
enum attempt_state { ATTEMPT_ASKING, ATTEMPT_TRYING, ATTEMPT_OPENING,
    ATTEMPT_SENDING, ATTEMPT_OVER, ATTEMPT_STATES };

/* How much one attempt may do: addresses it connects to, and those of them
 * that answered and then were of no use. RFC 5321 5.1 wants two at least. */
enum { CONNECTS_MAX = 20, SESSIONS_MAX = 6 };

/* And sessions in clear behind those. */
enum { CLEAR_MAX = 3 };

/* How often the plan may change on the way. */
enum { REPLANS_MAX = 5 };

/* Hosts are gone through in this order, each phase only if those before did
 * not find one that takes the mail. */
enum phase {
	PHASE_PLAN,		/* the hosts of the plan */
	PHASE_LESSER,		/* a notification about a REQUIRETLS message:
				 * those that are up, but not to that */
	PHASE_CLEAR		/* places where TLS broke and this message may
				 * go in clear */
};

/* A place to come back to in a later phase. */
struct place {
	size_t		 host;
	size_t		 address;
	bool		 secure;	/* LESSER: there was TLS */
	enum symptom	 symptom;	/* CLEAR: what broke */
	bool		 lasting;	/* CLEAR: and will break again */
	bool		 used;
};

struct attempt {
	enum attempt_state	 state;		/* set by enter() only */
	struct attempt_scene	*scene;		/* outlives us */
	struct profile		*profile;	/* shared */
	const struct conf_route	*route;		/* the profile's; or null */
	struct mail		 mail;		/* with the job, borrowed */
	struct policy_request	*request;	/* null unless ASKING */
	struct shared_plan	*shared;	/* a reference; null: no plan */
	const struct plan	*plan;		/* in it */
	unsigned char		 order[PLAN_HOSTS_MAX];	/* of its hosts */

	enum plan_wish		 wish;
	unsigned		 replans;
	bool			 outdated;	/* the plan is, in SENDING */

	/* the place in the plan; void with it */
	enum phase		 phase;
	size_t			 host;		/* in order */
	size_t			 address;
	struct place		 lesser[PLAN_HOSTS_MAX];
	size_t			 lesser_count;
	struct place		 clear[CLEAR_MAX];
	size_t			 clear_count;
	struct place		*place;		/* in a later phase */
	struct client_need	 need;
	struct client		*client;	/* owned; null when TRYING */

	/* what was met */
	unsigned		 connects;
	unsigned		 sessions;
	bool			 tls_trouble;
	bool			 has_passing;	/* a failure that may pass */
	bool			 has_failure;
	struct status		 failure;	/* the most telling one */
	bool			 has_misfit;
	struct status		 misfit;	/* a host cannot take it */
	bool			 stopping;
	struct delivery_log_relay relay;	/* last one spoken to */
};

static void enter(struct attempt *attempt, enum attempt_state state)
{
	static const unsigned next[ATTEMPT_STATES] = {
		[ATTEMPT_ASKING] = 1 << ATTEMPT_TRYING | 1 << ATTEMPT_OVER,
		[ATTEMPT_TRYING] = 1 << ATTEMPT_OPENING |
		    1 << ATTEMPT_SENDING | 1 << ATTEMPT_OVER,
		[ATTEMPT_OPENING] = 1 << ATTEMPT_TRYING |
		    1 << ATTEMPT_SENDING | 1 << ATTEMPT_ASKING,
		[ATTEMPT_SENDING] = 1 << ATTEMPT_TRYING |
		    1 << ATTEMPT_SENDING | 1 << ATTEMPT_OVER |
		    1 << ATTEMPT_ASKING,
	};

	if ((next[attempt->state] & (1u << state)) == 0)
		bug("attempt-state");
	attempt->state = state;
}

/* --- the end --- */

static void attempt_free(struct attempt *attempt)
{
	if (attempt->request != NULL)
		policy_cancel(attempt->request);
	if (attempt->client != NULL)
		client_close(attempt->client);
	mail_release(&attempt->mail);
	shared_plan_release(attempt->shared);
	profile_release(attempt->profile);
	mem_free(attempt);
}

static void free_later(void *arg)
{
	attempt_free(arg);
}

/* One line for each recipient that was settled since the last call: by the
 * host that was spoken to last. */
static void log_settled(struct attempt *attempt)
{
	struct mail *mail = &attempt->mail;
	size_t i;

	for (i = 0; i < mail->job->recipient_count; i++) {
		if (mail->states[i] != RECIPIENT_DONE || mail->logged[i])
			continue;
		mail->logged[i] = true;
		delivery_log_verdict(mail->job, &mail->job->recipients[i],
		    &mail->statuses[i], &attempt->relay);
	}
}

/* Every recipient is DONE: the log, the queue, our own end. */
static void finish(struct attempt *attempt)
{
	struct job *job = attempt->mail.job;

	enter(attempt, ATTEMPT_OVER);
	log_settled(attempt);
	worker_finish(job, attempt->mail.statuses, attempt->tls_trouble);
	attempt->mail.job = NULL;
	attempt->scene->over(attempt->scene->arg, attempt);
	loop_defer(free_later, attempt);
}

static void finish_open(struct attempt *attempt, const struct status *status)
{
	mail_settle(&attempt->mail, RECIPIENT_OPEN, RECIPIENT_DONE, status);
	finish(attempt);
}

/* REQ-45: only when no host's failure may pass, and all were asked. */
static void soften(const struct attempt *attempt, struct status *status)
{
	if (status->outcome != STATUS_FAILED ||
	    (!attempt->has_passing && !attempt->stopping))
		return;
	status->outcome = STATUS_DEFERRED;
	status->enhanced_class = 4;
}

static void try_hosts(struct attempt *attempt);

/* Every host said that it has no SMTPUTF8, and only the addresses of some
 * recipients need it: the others get the message, so all hosts once more. */
static bool go_on_without(struct attempt *attempt)
{
	if (attempt->has_failure || attempt->stopping ||
	    !attempt->has_misfit || !mail_needs_utf8(&attempt->mail) ||
	    mail_settle_international(&attempt->mail, &attempt->misfit) == 0)
		return false;
	log_settled(attempt);
	attempt->phase = PHASE_PLAN;
	attempt->place = NULL;
	attempt->host = attempt->address = 0;
	attempt->lesser_count = attempt->clear_count = 0;
	attempt->connects = attempt->sessions = 0;
	attempt->has_misfit = false;
	return true;
}

/* No further host. Those still open wait, unless all hosts that could be
 * asked cannot take the message. */
static void give_up(struct attempt *attempt)
{
	struct status status;

	if (go_on_without(attempt)) {
		try_hosts(attempt);
		return;
	}

	/* Stopped: there may be hosts that were not asked. */
	if (attempt->has_failure) {
		status = attempt->failure;
		soften(attempt, &status);
	}
	else if (attempt->stopping)
		status_set(&status, STATUS_DEFERRED, REASON_LOCAL, "4.3.2",
		    "the delivery role was told to stop");
	else if (attempt->has_misfit)
		status = attempt->misfit;
	else
		status_set(&status, STATUS_DEFERRED, REASON_NO_HOST, "4.4.4",
		    "no host has an address that may be used");
	if (attempt->wish == WISH_REQUIRETLS_BOUNCE &&
	    status.outcome == STATUS_FAILED &&
	    status.reason == REASON_REQUIRETLS)
		delivery_log_dropped(attempt->mail.job, &status);
	finish_open(attempt, &status);
}

/* --- what was met on the way --- */

/* A host that the plan leaves out has failed on its security. */
static bool is_telling(const struct status *status)
{
	return status_is_about_tls(status) ||
	    status->reason == REASON_POLICY ||
	    status->reason == REASON_DNS_BOGUS;
}

/* Keeps the last failure, but one about TLS before any other: that is what
 * the operator must know. */
static void remember(struct attempt *attempt, const struct status *status)
{
	attempt->has_passing |= status->outcome != STATUS_FAILED;
	if (attempt->has_failure && is_telling(&attempt->failure) &&
	    !is_telling(status))
		return;
	attempt->failure = *status;
	attempt->has_failure = true;
}

static bool fallback_allows(const struct attempt *attempt,
    enum conf_fallback fallback, int64_t after_seconds)
{
	int64_t since = attempt->mail.job->tls_trouble_since;

	switch (fallback) {
	case FALLBACK_CLEAR: return true;
	case FALLBACK_DEFER: return false;
	case FALLBACK_CLEAR_AFTER:
		if (after_seconds <= 0)
			return true;
		return since > 0 &&
		    clock_wall() - since >= after_seconds * 1000;
	default: bug("attempt-fallback");
	}
}

static const struct plan_host *host_at(const struct attempt *attempt,
    size_t place)
{
	return &attempt->plan->hosts[attempt->order[place]];
}

static const struct plan_host *host_of(const struct attempt *attempt)
{
	return host_at(attempt, attempt->host);
}

static bool is_opportunistic(const struct attempt *attempt)
{
	return host_of(attempt)->requirement == REQUIRE_OPPORTUNISTIC;
}

static bool demands_requiretls(const struct attempt *attempt)
{
	return attempt->wish == WISH_REQUIRETLS ||
	    (attempt->wish == WISH_REQUIRETLS_BOUNCE &&
	    attempt->profile->conf->requiretls_bounce ==
	    REQUIRETLS_BOUNCE_DROP);
}

/* No TLS, or broken TLS, at the host at hand: may this message go in clear
 * there? This is the one place that says so. Never where TLS is required, and
 * never at a port that is for TLS alone (N-25). */
static bool may_go_clear(const struct attempt *attempt,
    enum conf_fallback fallback, int64_t after_seconds)
{
	if (broken("clear-at-once"))
		return true;
	return is_opportunistic(attempt) && !attempt->plan->implicit_tls &&
	    fallback_allows(attempt, fallback, after_seconds);
}

/* TLS broke: may this message go in clear on another connection? Then that is
 * a place to come back to when nobody else takes it under TLS (N-22). */
static bool note_clear(struct attempt *attempt,
    const struct client_failure *failure)
{
	if (attempt->phase == PHASE_CLEAR || demands_requiretls(attempt) ||
	    !symptom_is_broken(failure->symptom) ||
	    attempt->clear_count == CLEAR_MAX ||
	    !may_go_clear(attempt, attempt->plan->broken_tls,
	    attempt->plan->broken_tls_after))
		return false;
	attempt->clear[attempt->clear_count++] = (struct place){
	    .host = attempt->host, .address = attempt->address,
	    .symptom = failure->symptom, .lasting = failure->lasting };
	return true;
}

static void next_address(struct attempt *attempt)
{
	attempt->address++;
}

static void next_host(struct attempt *attempt)
{
	attempt->host++;
	attempt->address = 0;
}

static size_t least(size_t one, size_t other)
{
	return one < other ? one : other;
}

/* REQ-40: every host is to be asked, before the message may be returned. */
static bool asks_every_host(const struct attempt *attempt)
{
	return attempt->wish == WISH_REQUIRETLS ||
	    attempt->wish == WISH_REQUIRETLS_BOUNCE;
}

static size_t sessions_max(const struct attempt *attempt)
{
	return asks_every_host(attempt) ? CONNECTS_MAX : SESSIONS_MAX;
}

/* What is left of the attempt is for the hosts behind: each is to have its
 * turn, however many addresses this one has (RFC 5321 5.1, DANE-81). Half of
 * it is this host's in any case, unless all of them must be asked. */
static bool is_used_up(const struct attempt *attempt)
{
	size_t i, others = 0, half = asks_every_host(attempt) ? 1 : 2;

	for (i = attempt->host + 1; i < attempt->plan->host_count; i++)
		others += !host_at(attempt, i)->skip;
	return attempt->connects + least(others, CONNECTS_MAX / half) >=
	    CONNECTS_MAX ||
	    attempt->sessions + least(others, sessions_max(attempt) / half) >=
	    sessions_max(attempt);
}

/* --- trying --- */

static void ask_again(struct attempt *attempt);
static void on_client(void *arg, struct client *client,
    enum client_event event);

static void drop_client(struct attempt *attempt)
{
	const struct conf *conf = attempt->profile->conf;
	struct client *client = attempt->client;

	attempt->client = NULL;
	/* After a reload the old connections are not for new messages. */
	if (attempt->stopping || attempt->outdated ||
	    attempt->profile != attempt->scene->profile)
		client_close(client);
	else
		pool_put(attempt->scene->pool, client,
		    (unsigned)conf->reuse_limit, (unsigned)conf->reuse_idle);
}

/* REQ-73: a host that takes the notification as the message was to be taken
 * may be behind this one. */
static bool is_lesser(const struct attempt *attempt)
{
	return attempt->wish == WISH_REQUIRETLS_BOUNCE &&
	    attempt->phase == PHASE_PLAN && host_of(attempt)->requiretls &&
	    attempt->lesser_count < PLAN_HOSTS_MAX &&
	    !client_takes_requiretls(attempt->client);
}

/* The client is at READY: say the mail, or leave it for the next host. */
static void use_client(struct attempt *attempt)
{
	struct client *client = attempt->client;
	struct status status;

	delivery_log_relay(&attempt->relay, client, host_of(attempt)->reason);
	if (!mail_fits(&attempt->mail, client_capability(client), &status)) {
		client_stamp(client, &status);
		attempt->misfit = status;
		attempt->has_misfit = true;
	} else if (is_lesser(attempt)) {
		attempt->lesser[attempt->lesser_count++] = (struct place){
		    .host = attempt->host, .address = attempt->address,
		    .secure = client_is_secure(client) };
	} else {
		enter(attempt, ATTEMPT_SENDING);
		client_send(client, &attempt->mail);
		return;
	}
	drop_client(attempt);
	if (attempt->state != ATTEMPT_TRYING)
		enter(attempt, ATTEMPT_TRYING);
	next_host(attempt);
	try_hosts(attempt);
}

static void on_failed(struct attempt *attempt, struct client *client)
{
	const struct client_failure *failure = client_failure(client);

	delivery_log_relay(&attempt->relay, client, host_of(attempt)->reason);
	attempt->client = NULL;
	enter(attempt, ATTEMPT_TRYING);
	/* The clock of clear-after; a busy server does not start it. */
	if (is_opportunistic(attempt) && failure->symptom != SYMPTOM_NONE &&
	    failure->symptom != SYMPTOM_CLOSING)
		attempt->tls_trouble = true;
	/* What is said in clear there will be more telling. */
	if (!note_clear(attempt, failure))
		remember(attempt, &failure->status);
	attempt->sessions += failure->connected;
	if (is_used_up(attempt))
		next_host(attempt);
	else
		next_address(attempt);
	try_hosts(attempt);
}

/* Recipients are open after a transaction: where do they go? */
static void go_on(struct attempt *attempt, struct client *client)
{
	size_t i;

	if (client_was_stale(client) || client_is_spent(client)) {
		/* Nothing was said to the host yet, or it takes no more on
		 * this connection; the same place again. */
		if (attempt->place != NULL)
			attempt->place->used = false;
		drop_client(attempt);
		enter(attempt, ATTEMPT_TRYING);
		try_hosts(attempt);
		return;
	}
	if (!client_was_refused(client) && !attempt->stopping) {
		enter(attempt, ATTEMPT_SENDING);
		client_send(client, &attempt->mail);
		return;
	}
	for (i = 0; attempt->mail.states[i] != RECIPIENT_OPEN; i++)
		continue;
	/* Of those that were in the transaction all say the same. */
	if (attempt->mail.statuses[i].text[0] != '\0')
		remember(attempt, &attempt->mail.statuses[i]);
	attempt->sessions++;
	drop_client(attempt);
	enter(attempt, ATTEMPT_TRYING);
	next_host(attempt);
	try_hosts(attempt);
}

static void on_sent(struct attempt *attempt, struct client *client)
{
	struct mail *mail = &attempt->mail;
	bool progress = client_delivered(client);

	/* "Too many recipients" is worth a transaction of their own only if
	 * this one took some (SMTP-161). */
	mail_move(mail, RECIPIENT_LATER, progress && !attempt->stopping &&
	    client_is_usable(client) ? RECIPIENT_OPEN : RECIPIENT_DONE);
	log_settled(attempt);
	if (mail_count(mail, RECIPIENT_OPEN) == 0) {
		drop_client(attempt);
		finish(attempt);
	} else if (attempt->outdated && !attempt->stopping) {
		drop_client(attempt);
		ask_again(attempt);
	} else {
		go_on(attempt, client);
	}
}

/* A server of this machine is none of policy's business. */
static bool is_local(const struct attempt *attempt)
{
	return attempt->route != NULL &&
	    attempt->route->transport == TRANSPORT_LMTP &&
	    attempt->route->socket[0] != '\0';
}

static void on_client(void *arg, struct client *client,
    enum client_event event)
{
	struct attempt *attempt = arg;

	switch (event) {
	case CLIENT_READY:
		if (!is_local(attempt))
			observe_ready(attempt->scene->policy, &attempt->need,
			    client);
		use_client(attempt);
		break;
	case CLIENT_FAILED:
		if (!is_local(attempt))
			observe_failed(attempt->scene->policy, &attempt->need,
			    client);
		on_failed(attempt, client);
		break;
	case CLIENT_SENT: on_sent(attempt, client); break;
	default: bug("attempt-event");
	}
}

static void make_need(struct attempt *attempt)
{
	const struct plan *plan = attempt->plan;
	const struct plan_host *host = host_of(attempt);
	bool is_clear = attempt->phase == PHASE_CLEAR;

	attempt->need = (struct client_need){
		.plan = plan,
		.host = host,
		.address = &host->addresses[attempt->address],
		.host_from_dns = attempt->mail.job->next.mx,
		.clear_only = is_clear,
		.broken = is_clear ? attempt->place->symptom : SYMPTOM_NONE,
		.is_hopeless = is_clear && attempt->place->lasting,
		.clear_if_missing = may_go_clear(attempt, plan->no_starttls,
		    plan->no_starttls_after),
	};
	identity_make(&attempt->need.identity, attempt->profile,
	    attempt->route, attempt->need.address);
}

/* The operator lets nothing go to this host or address: another may do. */
static bool is_paused(struct attempt *attempt)
{
	const struct plan_host *host = host_of(attempt);
	const struct worker *worker = attempt->mail.job->worker;
	char address[64];
	struct status status;
	const char *reason = worker_paused(worker, host->name);

	if (reason == NULL) {
		endpoint_format(&host->addresses[attempt->address],
		    address, sizeof(address));
		reason = worker_paused(worker, address);
	}
	if (reason == NULL)
		return false;
	status_print(&status, STATUS_DEFERRED, REASON_PAUSED, "4.3.2",
	    "host %s is paused by the operator: %s", host->name, reason);
	remember(attempt, &status);
	return true;
}

/* Takes or opens a connection to the address at hand; false: not this one. */
static bool try_address(struct attempt *attempt)
{
	const struct plan_host *host = host_of(attempt);
	struct client *client;

	if (is_paused(attempt))
		return false;
	if (!is_local(attempt) && !client_may_connect(attempt->profile,
	    attempt->mail.job->next.host, &host->addresses[attempt->address]))
		return false;
	make_need(attempt);
	client = pool_take(attempt->scene->pool, &attempt->need);
	if (client != NULL) {
		attempt->client = client;
		client_set_owner(client, on_client, attempt);
		use_client(attempt);
		return true;
	}
	if (attempt->phase == PHASE_PLAN &&
	    (attempt->connects == CONNECTS_MAX ||
	    attempt->sessions >= sessions_max(attempt)))
		return false;
	attempt->connects++;
	enter(attempt, ATTEMPT_OPENING);
	attempt->client = client_new(attempt->profile, &attempt->need,
	    on_client, attempt);
	return true;
}

/* DANE-12, STS-78: not one connection to it; the next host may do. */
static void skip_host(struct attempt *attempt)
{
	const struct plan_host *host = host_of(attempt);

	delivery_log_skipped(attempt->mail.job, host, &attempt->relay);
	observe_skipped(attempt->scene->policy, attempt->plan, host);
	remember(attempt, &host->skipped);
	next_host(attempt);
}

static bool try_place(struct attempt *attempt, enum phase phase,
    struct place *place)
{
	place->used = true;
	attempt->phase = phase;
	attempt->place = place;
	attempt->host = place->host;
	attempt->address = place->address;
	return try_address(attempt);
}

/* No host takes the notification as the message was to be taken: the best TLS
 * there is, then (REQ-73). */
static bool try_lesser(struct attempt *attempt)
{
	size_t i, round;

	for (round = 0; round < 2; round++)
		for (i = 0; i < attempt->lesser_count; i++) {
			struct place *place = &attempt->lesser[i];

			if (!place->used && place->secure == (round == 0) &&
			    try_place(attempt, PHASE_LESSER, place))
				return true;
		}
	return false;
}

/* Every place has been asked for TLS; those where it broke are asked once more,
 * without. */
static bool try_clear(struct attempt *attempt)
{
	size_t i;

	for (i = 0; i < attempt->clear_count; i++) {
		struct place *place = &attempt->clear[i];
		const struct plan_host *host = host_at(attempt, place->host);

		if (place->used)
			continue;
		delivery_log_clear(attempt->mail.job, host,
		    &host->addresses[place->address], place->symptom);
		if (try_place(attempt, PHASE_CLEAR, place))
			return true;
	}
	return false;
}

/* An address that was not asked may be the one (REQ-45). */
static void leave_out(struct attempt *attempt)
{
	attempt->has_passing = true;
	next_address(attempt);
}

static void try_hosts(struct attempt *attempt)
{
	while (!attempt->stopping && attempt->phase == PHASE_PLAN &&
	    attempt->host < attempt->plan->host_count) {
		if (host_of(attempt)->skip)
			skip_host(attempt);
		else if (attempt->address == host_of(attempt)->address_count)
			next_host(attempt);
		else if (try_address(attempt))
			return;
		else
			leave_out(attempt);
	}
	if (attempt->stopping ||
	    (!try_lesser(attempt) && !try_clear(attempt)))
		give_up(attempt);
}

/* --- the plan --- */

static void make_question(const struct attempt *attempt,
    struct policy_question *question)
{
	const struct job *job = attempt->mail.job;
	int64_t waited = (clock_wall() - job->arrival) / 1000;

	*question = (struct policy_question){ .domain = job->domain,
	    .next = &job->next, .waited = waited < 0 ? 0 : waited,
	    .wish = attempt->wish, .message_level = job->tls_level };
}

static void take_plan(struct attempt *attempt, struct shared_plan *shared)
{
	attempt->shared = shared;
	attempt->plan = shared->plan;
	for (size_t i = 0; i < PLAN_HOSTS_MAX; i++)
		attempt->order[i] = (unsigned char)i;
}

/* Of those that are kept the order is the one of who asked first. */
static void take_kept_plan(struct attempt *attempt, struct shared_plan *shared)
{
	take_plan(attempt, shared);
	plans_mix(shared->plan, attempt->order);
}

static void on_plan(void *arg, const struct plan *plan)
{
	struct attempt *attempt = arg;
	struct policy_question question;
	struct shared_plan *shared;
	struct status status;
	size_t i;

	attempt->request = NULL;
	if (!plan_can_try(plan)) {
		for (i = 0; i < plan->host_count; i++) {
			delivery_log_skipped(attempt->mail.job,
			    &plan->hosts[i], &attempt->relay);
			observe_skipped(attempt->scene->policy, plan,
			    &plan->hosts[i]);
		}
		status = plan->status;
		finish_open(attempt, &status);
		return;
	}
	if (plan->wish != attempt->wish) {
		status_set(&status, STATUS_DEFERRED, REASON_LOCAL, "4.3.5",
		    "the plan is for mail of another kind");
		finish_open(attempt, &status);
		return;
	}
	make_question(attempt, &question);
	shared = plans_add(attempt->scene->plans, &question, plan);
	if (shared == NULL) {
		status_set(&status, STATUS_DEFERRED, REASON_LOCAL, "4.3.5",
		    "the plan is too large, or makes no sense");
		finish_open(attempt, &status);
		return;
	}
	take_plan(attempt, shared);
	enter(attempt, ATTEMPT_TRYING);
	try_hosts(attempt);
}

static void try_now(void *arg)
{
	struct attempt *attempt = arg;

	enter(attempt, ATTEMPT_TRYING);
	try_hosts(attempt);
}

/* One place, in clear: nothing leaves the machine. */
static struct shared_plan *make_local_plan(const struct attempt *attempt)
{
	struct arena *arena = arena_new(PLAN_COPY_ARENA_MAX);
	struct plan *plan = arena_alloc(arena, sizeof(*plan));
	struct plan_host *host = arena_alloc(arena, sizeof(*host));

	host->addresses = arena_alloc(arena, sizeof(*host->addresses));
	host->addresses->address.any.sa_family = AF_UNIX;
	host->address_count = 1;
	snprintf(host->name, sizeof(host->name), "%s", attempt->route->socket);
	snprintf(host->reason, sizeof(host->reason), "route %.100s",
	    attempt->route->pattern);
	plan->hosts = host;
	plan->host_count = 1;
	plan->wish = attempt->wish;
	return shared_plan_new(plan, arena);
}

static void ask_plan(struct attempt *attempt);

/* Behind all that came in this turn: policy may have said that plans changed
 * before the queue gave this mail. */
static void use_kept_plan(void *arg)
{
	struct attempt *attempt = arg;
	struct policy_question question;
	struct shared_plan *shared = NULL;

	make_question(attempt, &question);
	if (!attempt->stopping)
		shared = plans_find(attempt->scene->plans, &question);
	if (shared != NULL)
		take_kept_plan(attempt, shared);
	if (shared != NULL || attempt->stopping)
		try_now(attempt);
	else
		ask_plan(attempt);
}

static void ask_plan(struct attempt *attempt)
{
	struct policy_question question;
	struct shared_plan *shared;

	if (is_local(attempt)) {
		take_plan(attempt, make_local_plan(attempt));
		loop_defer(try_now, attempt);
		return;
	}
	make_question(attempt, &question);
	shared = plans_find(attempt->scene->plans, &question);
	if (shared != NULL)
		loop_defer(use_kept_plan, attempt);
	else
		attempt->request = policy_plan(attempt->scene->policy,
		    &question, on_plan, attempt);
	shared_plan_release(shared);
}

/* What was met on the way was met under another plan. */
static void forget_plan(struct attempt *attempt)
{
	shared_plan_release(attempt->shared);
	attempt->shared = NULL;
	attempt->plan = NULL;
	attempt->outdated = false;
	attempt->phase = PHASE_PLAN;
	attempt->host = attempt->address = 0;
	attempt->lesser_count = attempt->clear_count = 0;
	attempt->place = NULL;
	attempt->connects = attempt->sessions = 0;
	attempt->has_passing = attempt->has_failure = false;
	attempt->has_misfit = false;
	profile_release(attempt->profile);
	attempt->profile = profile_share(attempt->scene->profile);
	attempt->route = conf_route_find(attempt->profile->conf,
	    attempt->mail.job->domain);
}

/*
 * The queue says where mail goes, and the configuration here as whom. Between
 * two reloads the two may differ: then it waits, since a host that sees us
 * without our login may refuse for good, and another host's login is none of
 * its business.
 */
static bool is_outdated(const struct conf *conf, const struct job *job)
{
	struct conf_next_hop next;

	conf_next_hop(conf, job->domain, &next);
	if (next.route == NULL && !job->next.routed)
		return false;
	return next.routed != job->next.routed ||
	    next.transport != job->next.transport ||
	    strcmp(next.host, job->next.host) != 0 ||
	    next.port != job->next.port || next.mx != job->next.mx ||
	    next.implicit_tls != job->next.implicit_tls;
}

static void status_outdated(struct status *status)
{
	status_set(status, STATUS_DEFERRED, REASON_LOCAL, "4.3.5",
	    "its route was changed meanwhile");
}

/* The plan at hand does not hold any more. Nobody goes by such a one: when it
 * changes again and again, the mail waits. */
static void ask_again(struct attempt *attempt)
{
	struct status status;

	if (attempt->replans == REPLANS_MAX) {
		enter(attempt, ATTEMPT_TRYING);
		status_print(&status, STATUS_DEFERRED, REASON_POLICY, "4.7.0",
		    "the policy for %.253s changed %d times on the way",
		    attempt->mail.job->domain, REPLANS_MAX + 1);
		finish_open(attempt, &status);
		return;
	}
	attempt->replans++;
	log_debug("plan-asked-again", log_message(attempt->mail.job->message),
	    log_text("domain", attempt->mail.job->domain));
	forget_plan(attempt);
	enter(attempt, ATTEMPT_ASKING);
	if (is_outdated(attempt->profile->conf, attempt->mail.job)) {
		status_outdated(&status);
		finish_open(attempt, &status);
		return;
	}
	ask_plan(attempt);
}

static bool is_meant(const struct attempt *attempt, const char *pattern)
{
	const struct job *job = attempt->mail.job;

	return pattern[0] == '\0' || domain_match(job->domain, pattern) ||
	    domain_match(job->next.host, pattern);
}

void attempt_replan(struct attempt *attempt, const char *pattern)
{
	if (attempt->state == ATTEMPT_OVER || attempt->stopping ||
	    is_local(attempt) || !is_meant(attempt, pattern))
		return;
	switch (attempt->state) {
	case ATTEMPT_ASKING:	/* policy answers by what holds then */
		break;
	case ATTEMPT_OPENING:
		client_close(attempt->client);
		attempt->client = NULL;
		ask_again(attempt);
		break;
	case ATTEMPT_SENDING:
		attempt->outdated = true;
		break;
	default:
		bug("attempt-replan");
	}
}

/* --- beginning --- */

static void finish_at_once(struct job *job, const struct status *status)
{
	struct delivery_log_relay relay = { .tls = "none" };
	struct status *statuses = mem_alloc_array(job->recipient_count,
	    sizeof(*statuses));
	size_t i;

	snprintf(relay.place, sizeof(relay.place), "%s",
	    job->next.transport == TRANSPORT_DISCARD ? "discard" : "");
	for (i = 0; i < job->recipient_count; i++) {
		statuses[i] = *status;
		delivery_log_verdict(job, &job->recipients[i], status, &relay);
	}
	worker_finish(job, statuses, false);
	mem_free(statuses);
}

static void finish_later(void *arg)
{
	finish(arg);
}

/* Not a matter of sending; then it is said what becomes of it. */
static bool is_for_nobody(const struct attempt_scene *scene,
    const struct job *job, struct status *status)
{
	switch (job->next.transport) {
	case TRANSPORT_DISCARD:
		status_set(status, STATUS_DELIVERED, REASON_NONE, "2.0.0",
		    "discarded");
		return true;
	case TRANSPORT_SMTP:
	case TRANSPORT_LMTP:
		if (!is_outdated(scene->profile->conf, job))
			return false;
		status_outdated(status);
		return true;
	default:
		status_set(status, STATUS_DEFERRED, REASON_LOCAL, "4.3.5",
		    "this mail is not for the delivery role");
		return true;
	}
}

struct attempt *attempt_start(struct attempt_scene *scene, struct job *job)
{
	struct attempt *attempt;
	struct status status;

	if (is_for_nobody(scene, job, &status)) {
		finish_at_once(job, &status);
		return NULL;
	}
	attempt = mem_alloc(sizeof(*attempt));
	attempt->scene = scene;
	attempt->profile = profile_share(scene->profile);
	attempt->route = conf_route_find(scene->profile->conf, job->domain);
	mail_init(&attempt->mail, job);
	attempt->wish = mail_wish(&attempt->mail);
	mail_refuse_unsafe(&attempt->mail);
	if (mail_count(&attempt->mail, RECIPIENT_OPEN) == 0)
		loop_defer(finish_later, attempt);
	else
		ask_plan(attempt);
	return attempt;
}

bool attempt_stop(struct attempt *attempt)
{
	bool begun = attempt->state == ATTEMPT_SENDING ||
	    mail_count(&attempt->mail, RECIPIENT_DONE) > 0;

	attempt->stopping = true;
	if (begun && attempt->state != ATTEMPT_OPENING &&
	    attempt->request == NULL)
		return true;
	if (!begun) {
		loop_undefer(attempt);
		attempt_free(attempt);
		return false;
	}
	/* Some are settled; the host being opened is not for the others, and
	 * policy may be gone before it answers. */
	if (attempt->request != NULL)
		policy_cancel(attempt->request);
	else
		client_close(attempt->client);
	attempt->request = NULL;
	attempt->client = NULL;
	enter(attempt, ATTEMPT_TRYING);
	try_hosts(attempt);
	return true;
}
