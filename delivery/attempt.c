/* SPDX-License-Identifier: ISC */
/*
 * The attempt; see attempt.h.
 */
#include "delivery/attempt.h"

#include <stdio.h>
#include <string.h>

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
#include "delivery/plan_copy.h"
#include "delivery/pool.h"
#include "delivery/profile.h"
#include "policy/client.h"
#include "policy/plan.h"
#include "queue/client.h"
#include "queue/envelope.h"

/*
 *	ASKING -> TRYING -> OPENING -> SENDING -> OVER
 *	   |       |  ^        |          |         ^
 *	   |       |  +--------+----------+         |
 *	   +-------+--------------------------------+
 *
 * TRYING looks for the next address; it ends in the same call.
 */
enum attempt_state { ATTEMPT_ASKING, ATTEMPT_TRYING, ATTEMPT_OPENING,
    ATTEMPT_SENDING, ATTEMPT_OVER, ATTEMPT_STATES };

/* How much one attempt may do: addresses it connects to, and those of them
 * that answered and then were of no use. RFC 5321 5.1 wants two at least. */
enum { CONNECTS_MAX = 20, SESSIONS_MAX = 6 };

/* And sessions in clear behind those. */
enum { CLEAR_MAX = 3 };

/* Where TLS broke and this message may go in clear, but not before every other
 * place has been asked for TLS. */
struct clear_place {
	size_t		 host;
	size_t		 address;
	enum symptom	 symptom;
};

struct attempt {
	enum attempt_state	 state;		/* set by enter() only */
	struct attempt_scene	*scene;		/* outlives us */
	struct profile		*profile;	/* shared */
	struct mail		 mail;		/* with the job, borrowed */
	struct policy_request	*request;	/* null unless ASKING */
	struct arena		*arena;		/* owned; holds the plan */
	const struct plan	*plan;

	/* the place in the plan */
	size_t			 host;
	size_t			 address;
	struct clear_place	 clear[CLEAR_MAX];
	size_t			 clear_count, clear_next;
	bool			 clear_only;	/* the last places: clear[] */
	struct client_need	 need;
	struct client		*client;	/* owned; null when TRYING */

	/* what was met */
	unsigned		 connects;
	unsigned		 sessions;
	bool			 tls_trouble;
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
		[ATTEMPT_OPENING] = 1 << ATTEMPT_TRYING | 1 << ATTEMPT_SENDING,
		[ATTEMPT_SENDING] = 1 << ATTEMPT_TRYING |
		    1 << ATTEMPT_SENDING | 1 << ATTEMPT_OVER,
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
	arena_free(attempt->arena);
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

/* No further host. Those still open wait, unless all hosts that could be
 * asked cannot take the message. */
static void give_up(struct attempt *attempt)
{
	struct status status;

	/* Stopped: there may be hosts that were not asked. */
	if (attempt->has_failure)
		status = attempt->failure;
	else if (attempt->stopping)
		status_set(&status, STATUS_DEFERRED, REASON_LOCAL, "4.3.2",
		    "the delivery role was told to stop");
	else if (attempt->has_misfit)
		status = attempt->misfit;
	else
		status_set(&status, STATUS_DEFERRED, REASON_NO_HOST, "4.4.4",
		    "no host has an address that may be used");
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

static const struct plan_host *host_of(const struct attempt *attempt)
{
	return &attempt->plan->hosts[attempt->host];
}

static bool is_opportunistic(const struct attempt *attempt)
{
	return host_of(attempt)->requirement == REQUIRE_OPPORTUNISTIC;
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
static bool note_clear(struct attempt *attempt, enum symptom symptom)
{
	if (attempt->clear_only || !symptom_is_broken(symptom) ||
	    attempt->clear_count == CLEAR_MAX ||
	    !may_go_clear(attempt, attempt->plan->broken_tls,
	    attempt->plan->broken_tls_after))
		return false;
	attempt->clear[attempt->clear_count++] = (struct clear_place){
	    attempt->host, attempt->address, symptom };
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

/* What is left of the attempt is for the hosts behind: each is to have its
 * turn, however many addresses this one has (RFC 5321 5.1, DANE-81). Half of
 * it is this host's in any case. */
static bool is_used_up(const struct attempt *attempt)
{
	size_t i, others = 0;

	for (i = attempt->host + 1; i < attempt->plan->host_count; i++)
		others += !attempt->plan->hosts[i].skip;
	return attempt->connects + least(others, CONNECTS_MAX / 2) >=
	    CONNECTS_MAX ||
	    attempt->sessions + least(others, SESSIONS_MAX / 2) >=
	    SESSIONS_MAX;
}

/* --- can this host take this message? --- */

static bool has_8bit(const struct job *job)
{
	return (job->flags & ENVELOPE_HAS_8BIT) != 0;
}

/* False with a status when the server cannot take the message as it is. No
 * message is changed for it: a signature would break. */
static bool server_takes(const struct mail *mail,
    const struct capability *capability, struct status *status)
{
	const struct job *job = mail->job;

	if (capability->size && capability->size_limit > 0 &&
	    mail_size(mail) > capability->size_limit) {
		status_print(status, STATUS_FAILED, REASON_MEDIA, "5.3.4",
		    "the message has %llu bytes, the server takes %llu",
		    (unsigned long long)mail_size(mail),
		    (unsigned long long)capability->size_limit);
		return false;
	}
	if ((job->flags & ENVELOPE_UTF8) != 0 && !capability->utf8) {
		status_set(status, STATUS_FAILED, REASON_MEDIA, "5.6.7",
		    "the message needs SMTPUTF8, which the server has not");
		return false;
	}
	if (has_8bit(job) && !capability->eight_bit) {
		status_set(status, STATUS_FAILED, REASON_MEDIA, "5.6.3",
		    "the message has 8-bit text and the server no 8BITMIME");
		return false;
	}
	return true;
}

/* --- trying --- */

static void try_hosts(struct attempt *attempt);
static void on_client(void *arg, struct client *client,
    enum client_event event);

static void drop_client(struct attempt *attempt)
{
	const struct conf *conf = attempt->profile->conf;
	struct client *client = attempt->client;

	attempt->client = NULL;
	/* After a reload the old connections are not for new messages. */
	if (attempt->stopping || attempt->profile != attempt->scene->profile)
		client_close(client);
	else
		pool_put(attempt->scene->pool, client,
		    (unsigned)conf->reuse_limit, (unsigned)conf->reuse_idle);
}

/* The client is at READY: say the mail, or leave it for the next host. */
static void use_client(struct attempt *attempt)
{
	struct client *client = attempt->client;
	struct status status;

	delivery_log_relay(&attempt->relay, client, host_of(attempt)->reason);
	if (server_takes(&attempt->mail, client_capability(client),
	    &status)) {
		enter(attempt, ATTEMPT_SENDING);
		client_send(client, &attempt->mail);
		return;
	}
	client_stamp(client, &status);
	attempt->misfit = status;
	attempt->has_misfit = true;
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
	if (!note_clear(attempt, failure->symptom))
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

	if (client_was_stale(client)) {
		/* Nothing was said to the host yet; the same place again. */
		attempt->clear_next -= attempt->clear_only;
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
	if (mail_count(mail, RECIPIENT_OPEN) > 0) {
		go_on(attempt, client);
		return;
	}
	drop_client(attempt);
	finish(attempt);
}

static void on_client(void *arg, struct client *client,
    enum client_event event)
{
	struct attempt *attempt = arg;

	switch (event) {
	case CLIENT_READY: use_client(attempt); break;
	case CLIENT_FAILED: on_failed(attempt, client); break;
	case CLIENT_SENT: on_sent(attempt, client); break;
	default: bug("attempt-event");
	}
}

static void make_need(struct attempt *attempt)
{
	const struct plan *plan = attempt->plan;
	const struct plan_host *host = host_of(attempt);

	attempt->need = (struct client_need){
		.plan = plan,
		.host = host,
		.address = &host->addresses[attempt->address],
		.host_from_dns = attempt->mail.job->next.mx,
		.clear_only = attempt->clear_only,
		.clear_if_missing = may_go_clear(attempt, plan->no_starttls,
		    plan->no_starttls_after),
	};
}

/* Takes or opens a connection to the address at hand; false: not this one. */
static bool try_address(struct attempt *attempt)
{
	const struct plan_host *host = host_of(attempt);
	struct client *client;

	if (!client_may_connect(attempt->profile,
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
	if (!attempt->clear_only && (attempt->connects == CONNECTS_MAX ||
	    attempt->sessions == SESSIONS_MAX))
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
	remember(attempt, &host->skipped);
	next_host(attempt);
}

/* Every place has been asked for TLS; those where it broke are asked once more,
 * without. */
static bool try_clear(struct attempt *attempt)
{
	const struct clear_place *place;

	while (attempt->clear_next < attempt->clear_count) {
		place = &attempt->clear[attempt->clear_next++];
		attempt->clear_only = true;
		attempt->host = place->host;
		attempt->address = place->address;
		delivery_log_clear(attempt->mail.job, host_of(attempt),
		    &host_of(attempt)->addresses[place->address],
		    place->symptom);
		if (try_address(attempt))
			return true;
	}
	return false;
}

static void try_hosts(struct attempt *attempt)
{
	while (!attempt->stopping && !attempt->clear_only &&
	    attempt->host < attempt->plan->host_count) {
		if (host_of(attempt)->skip)
			skip_host(attempt);
		else if (attempt->address == host_of(attempt)->address_count)
			next_host(attempt);
		else if (try_address(attempt))
			return;
		else
			next_address(attempt);
	}
	if (attempt->stopping || !try_clear(attempt))
		give_up(attempt);
}

/* --- the plan --- */

static void on_plan(void *arg, const struct plan *plan)
{
	struct attempt *attempt = arg;
	struct status status;
	size_t i;

	attempt->request = NULL;
	if (!plan_can_try(plan)) {
		for (i = 0; i < plan->host_count; i++)
			delivery_log_skipped(attempt->mail.job,
			    &plan->hosts[i], &attempt->relay);
		status = plan->status;
		finish_open(attempt, &status);
		return;
	}
	attempt->plan = plan_copy(plan, attempt->arena);
	if (attempt->plan == NULL) {
		status_set(&status, STATUS_DEFERRED, REASON_LOCAL, "4.3.5",
		    "the plan is too large");
		finish_open(attempt, &status);
		return;
	}
	enter(attempt, ATTEMPT_TRYING);
	try_hosts(attempt);
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

/* An address that would not stay inside its command. The length is a bound
 * of ours; servers have smaller ones. */
static bool is_unsafe(const char *address)
{
	if (strlen(address) > ENVELOPE_TEXT_MAX)
		return true;
	for (; *address != '\0'; address++)
		if ((unsigned char)*address < ' ' || *address == 0x7f)
			return true;
	return false;
}

/* Settles recipients that can be said to nobody. */
static void refuse_unsafe(struct mail *mail)
{
	const struct job *job = mail->job;
	struct status status;
	size_t i;

	status_set(&status, STATUS_FAILED, REASON_LOCAL, "5.1.3",
	    "the address cannot stand in a command");
	for (i = 0; i < job->recipient_count; i++) {
		if (!is_unsafe(job->sender) &&
		    !is_unsafe(job->recipients[i].address))
			continue;
		mail->states[i] = RECIPIENT_DONE;
		mail->statuses[i] = status;
	}
}

static void ask_plan(struct attempt *attempt)
{
	const struct job *job = attempt->mail.job;
	int64_t waited = (clock_wall() - job->arrival) / 1000;
	struct policy_question question = { .domain = job->domain,
	    .next = &job->next, .waited = waited < 0 ? 0 : waited };

	attempt->request = policy_plan(attempt->scene->policy, &question,
	    on_plan, attempt);
}

static void finish_later(void *arg)
{
	finish(arg);
}

struct attempt *attempt_start(struct attempt_scene *scene, struct job *job)
{
	struct attempt *attempt;
	struct status status;

	if (job->next.transport == TRANSPORT_DISCARD) {
		status_set(&status, STATUS_DELIVERED, REASON_NONE, "2.0.0",
		    "discarded");
		finish_at_once(job, &status);
		return NULL;
	}
	if (job->next.transport != TRANSPORT_SMTP) {
		status_set(&status, STATUS_DEFERRED, REASON_LOCAL, "4.3.5",
		    "this mail is not for the delivery role");
		finish_at_once(job, &status);
		return NULL;
	}
	attempt = mem_alloc(sizeof(*attempt));
	attempt->scene = scene;
	attempt->profile = profile_share(scene->profile);
	attempt->arena = arena_new(PLAN_COPY_ARENA_MAX);
	mail_init(&attempt->mail, job);
	refuse_unsafe(&attempt->mail);
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
	if (begun && attempt->state != ATTEMPT_OPENING)
		return true;
	if (!begun) {
		loop_undefer(attempt);
		attempt_free(attempt);
		return false;
	}
	/* Some are settled; the host being opened is not for the others. */
	client_close(attempt->client);
	attempt->client = NULL;
	enter(attempt, ATTEMPT_TRYING);
	try_hosts(attempt);
	return true;
}
