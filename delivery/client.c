/* SPDX-License-Identifier: ISC */
/*
 * The life of an outgoing connection: connecting, what the stream reports,
 * how it ends, and what its owner is told. Events to the owner are deferred
 * to the end of the turn, so that no owner is called from its own call.
 */
#include "delivery/client.h"

#include <stdio.h>
#include <string.h>

#include "base/broken.h"
#include "base/log.h"
#include "base/loop.h"
#include "base/mem.h"
#include "base/process.h"
#include "base/stream.h"
#include "conf/conf.h"
#include "delivery/client_private.h"
#include "delivery/delivery_log.h"
#include "delivery/mail.h"
#include "delivery/profile.h"
#include "delivery/sasl.h"

enum { FINISH_MILLISECONDS = 2000 };

static unsigned leaving_count;
static uint64_t last_id;

/* --- states --- */

#define BIT(state) (1u << CLIENT_STATE_##state)

static const struct state_entry {
	const char	*name;
	unsigned	 next;		/* legal transitions */
} states[CLIENT_STATES] = {
	[CLIENT_STATE_CONNECTING] = { "connecting", BIT(OPENING) | BIT(GONE) },
	[CLIENT_STATE_OPENING] = { "opening", BIT(SECURING) | BIT(READY) |
	    BIT(LEAVING) | BIT(GONE) },
	[CLIENT_STATE_SECURING] = { "securing", BIT(OPENING) | BIT(LEAVING) |
	    BIT(GONE) },
	[CLIENT_STATE_READY] = { "ready", BIT(SENDING) | BIT(LEAVING) |
	    BIT(GONE) },
	[CLIENT_STATE_SENDING] = { "sending", BIT(READY) | BIT(GONE) },
	[CLIENT_STATE_LEAVING] = { "leaving", BIT(GONE) },
	[CLIENT_STATE_GONE] = { "gone", 0 },
};

static void free_now(void *arg)
{
	struct client *client = arg;

	loop_undefer(client);
	if (client->stream != NULL)
		stream_free(client->stream);
	payload_release(&client->payload);
	answer_release(&client->reply);
	buf_wipe(&client->command);
	sasl_free(client->sasl);
	profile_release(client->profile);
	mem_free(client);
}

void client_enter(struct client *client, enum client_state state)
{
	bool left_politely = client->state == CLIENT_STATE_LEAVING;
	bool was_connecting = client->state == CLIENT_STATE_CONNECTING;

	if ((states[client->state].next & (1u << state)) == 0)
		bug("client-state");
	log_debug("client-state", log_session(client->id),
	    log_text("from", states[client->state].name),
	    log_text("to", states[state].name));
	leaving_count += state == CLIENT_STATE_LEAVING;
	leaving_count -= left_politely;
	client->state = state;
	if (state != CLIENT_STATE_GONE)
		return;
	payload_stop(&client->payload);
	if (was_connecting && client->identity.socket[0] != '\0')
		process_connect_cancel(client);
	/* TLS-51: close_notify, but never in the middle of something. */
	if (left_politely)
		stream_finish(client->stream, FINISH_MILLISECONDS);
	else if (client->stream != NULL)
		stream_free(client->stream);
	client->stream = NULL;
	client->usable = false;
	if (client->callback == NULL)
		loop_defer(free_now, client);
}

/* --- telling the owner --- */

static void deliver(struct client *client, enum client_event event)
{
	client_callback *callback = client->callback;

	client->is_reporting = false;
	if (event == CLIENT_FAILED)
		client->callback = NULL;
	callback(client->arg, client, event);
	/* Of a failed client nobody else remains to free it. */
	if (event == CLIENT_FAILED && client->state == CLIENT_STATE_GONE)
		loop_defer(free_now, client);
}

static void deliver_ready(void *arg)
{
	deliver(arg, CLIENT_READY);
}

static void deliver_failed(void *arg)
{
	deliver(arg, CLIENT_FAILED);
}

static void deliver_sent(void *arg)
{
	deliver(arg, CLIENT_SENT);
}

void client_report(struct client *client, enum client_event event)
{
	static loop_callback *const deliverers[] = {
		[CLIENT_READY] = deliver_ready,
		[CLIENT_FAILED] = deliver_failed,
		[CLIENT_SENT] = deliver_sent,
	};

	/* A failure right behind READY takes its place. */
	loop_undefer(client);
	client->reported = event;
	client->is_reporting = true;
	loop_defer(deliverers[event], client);
}

/* --- what is known about the connection, for a status --- */

static bool is_secure(const struct client *client)
{
	return client->stream != NULL && stream_is_secure(client->stream);
}

static const char *name_word(const struct client *client)
{
	if (client->source == SOURCE_STS)
		return "sts";
	return client->name_from_dns ? "verified" : "secure";
}

/* DANE-38: records of a host that anybody may have named. With SOURCE_STS it
 * is the policy that makes it the domain's. */
static const char *dane_word(const struct client *client)
{
	switch (client->source) {
	case SOURCE_HALF_DANE: return "half-dane";
	case SOURCE_STS: return "sts";
	default: return "dane";
	}
}

const char *client_tls_name(const struct client *client)
{
	if (!client->was_secure)
		return "none";
	/* Encrypted, and nobody knows with whom: no mail was said. */
	if (!client->was_accepted)
		return "encrypted";
	switch (client->requirement) {
	case REQUIRE_CLEAR:
	case REQUIRE_OPPORTUNISTIC:
		return client->implicit_tls ? "encrypted" : "opportunistic";
	case REQUIRE_ENCRYPTED: return "encrypted";
	case REQUIRE_NAME: return name_word(client);
	case REQUIRE_FINGERPRINT: return "secure";
	case REQUIRE_DANE: return dane_word(client);
	default: bug("client-requirement");
	}
}

/* For people; a host that is only an address is not named twice. */
const char *client_host(const struct client *client)
{
	struct endpoint endpoint;

	if (client->host[0] == '[' ||
	    endpoint_parse(&endpoint, client->host, 0) == 0)
		return "";
	return client->host;
}

void client_stamp(const struct client *client, struct status *status)
{
	char address[ENDPOINT_TEXT_MAX] = "";

	if (client->identity.socket[0] == '\0')
		endpoint_format(&client->address, address, sizeof(address));
	status_set_host(status, client_host(client), address);
	if (client->was_secure)
		snprintf(status->tls, sizeof(status->tls), "%s verify=%s",
		    client->tls_text, client_tls_name(client));
	else
		snprintf(status->tls, sizeof(status->tls), "none");
}

void client_status(struct client *client, struct status *status)
{
	status_from_reply(status, client->reply.code,
	    answer_text(&client->reply));
	client_stamp(client, status);
}

bool client_is_told_to_secure(struct client *client)
{
	struct status status;

	if (client->was_secure || answer_class(&client->reply) != 5)
		return false;
	/* RFC 3207 4; RFC 5248: 523 and X.7.10, encryption needed */
	status_from_reply(&status, client->reply.code,
	    answer_text(&client->reply));
	return client->reply.code == 530 || client->reply.code == 523 ||
	    (status.enhanced_subject == 7 && status.enhanced_detail == 10);
}

/* REQ-59: TLS-Required: No, at a server that takes nothing in clear, and TLS is
 * not to be had there: not because of us, and not just for now. */
static bool insists_in_vain(struct client *client)
{
	return client->wish == WISH_OPTIONAL &&
	    client->seen.symptom != SYMPTOM_NONE && client->tls_is_hopeless &&
	    client_is_told_to_secure(client);
}

void client_status_host(struct client *client, struct status *status)
{
	status_from_reply(status, client->reply.code,
	    answer_text(&client->reply));
	if (status->outcome != STATUS_DEFERRED && !insists_in_vain(client)) {
		/* What a host says about itself is not about the message. */
		status->outcome = STATUS_DEFERRED;
		status->enhanced_class = 4;
		if (status->reason == REASON_NONE)
			status->reason = REASON_REPLY;
	}
	client_stamp(client, status);
}

/* --- ways to end --- */

/* Says QUIT if the connection is good for it, else drops it. */
static void leave(struct client *client)
{
	switch (client->state) {
	case CLIENT_STATE_OPENING:
	case CLIENT_STATE_SECURING:
	case CLIENT_STATE_READY:
		client_enter(client, CLIENT_STATE_LEAVING);
		answer_reset(&client->reply);
		client_say(client, STEP_QUIT);
		break;
	case CLIENT_STATE_CONNECTING:
	case CLIENT_STATE_SENDING:
		client_enter(client, CLIENT_STATE_GONE);
		break;
	case CLIENT_STATE_LEAVING:
	case CLIENT_STATE_GONE:
		break;
	default:
		bug("client-leave");
	}
}

static void fail(struct client *client, const struct status *status)
{
	client->failure.status = *status;
	client_stamp(client, &client->failure.status);
	client->failure.connected = client->state != CLIENT_STATE_CONNECTING;
	client->failure.answered = client->was_answered;
	client->need = NULL;
	client_report(client, CLIENT_FAILED);
}

void client_fail(struct client *client, const struct status *status)
{
	fail(client, status);
	leave(client);
}

void client_fail_tls(struct client *client, enum symptom symptom,
    const char *seen)
{
	struct status status;

	if (seen == NULL)
		seen = "";
	client->seen.symptom = client->failure.symptom = symptom;
	client->failure.lasting = symptom_is_lasting(symptom) &&
	    !client->was_lost;
	snprintf(client->seen.detail, sizeof(client->seen.detail), "%s", seen);
	client_status_tls(client, &status);
	delivery_log_symptom(client, symptom, seen);
	if (client->state == CLIENT_STATE_SECURING && !is_secure(client)) {
		fail(client, &status);
		client_enter(client, CLIENT_STATE_GONE);
	} else {
		client_fail(client, &status);
	}
}

void client_break(struct client *client, const struct status *status)
{
	struct status stamped = *status;

	client_stamp(client, &stamped);
	switch (client->state) {
	case CLIENT_STATE_CONNECTING:
	case CLIENT_STATE_OPENING:
	case CLIENT_STATE_SECURING:
		fail(client, &stamped);
		break;
	case CLIENT_STATE_READY:
		/* What was sent stays sent: only the connection is lost. */
		if (client->is_reporting && client->reported == CLIENT_SENT)
			break;
		fail(client, &stamped);
		break;
	case CLIENT_STATE_SENDING:
		client_break_transaction(client, &stamped);
		break;
	case CLIENT_STATE_LEAVING:
		break;
	case CLIENT_STATE_GONE:
		return;
	default:
		bug("client-break");
	}
	client_enter(client, CLIENT_STATE_GONE);
}

/* --- what the stream reports --- */

/* TLS was begun and the server has not yet said anything under it. In TLS 1.3
 * its alert may come behind our handshake: that is a failure of TLS, too
 * (T-20). */
static bool is_between_clear_and_tls(const struct client *client)
{
	return client->state == CLIENT_STATE_SECURING ||
	    (client->state == CLIENT_STATE_OPENING && is_secure(client) &&
	    !client->answered);
}

static bool waits_for_starttls(const struct client *client)
{
	return client->state == CLIENT_STATE_OPENING &&
	    client->receiving.step == STEP_STARTTLS;
}

static void break_tls(struct client *client, enum symptom symptom,
    const char *seen)
{
	client_fail_tls(client, symptom, seen);
	/* No QUIT on a connection that does not work. */
	if (client->state != CLIENT_STATE_GONE)
		client_enter(client, CLIENT_STATE_GONE);
}

/* The connection ended under us. */
static void on_lost(struct client *client, const char *problem)
{
	struct status status;

	if (client->state == CLIENT_STATE_CONNECTING)
		status_print(&status, STATUS_DEFERRED, REASON_CONNECT, "4.4.1",
		    "cannot connect: %s", problem);
	else
		status_print(&status, STATUS_DEFERRED, REASON_LOST, "4.4.2",
		    "connection lost while waiting for the answer to %s: %s",
		    step_name(client->receiving.step), problem);
	if (waits_for_starttls(client))
		break_tls(client, SYMPTOM_CUT, problem);
	else if (is_between_clear_and_tls(client))
		break_tls(client, SYMPTOM_HANDSHAKE, problem);
	else
		client_break(client, &status);
}

static void on_deadline(struct client *client)
{
	struct status status;

	if (client->state == CLIENT_STATE_READY) {
		status_set(&status, STATUS_DEFERRED, REASON_TIMEOUT, "4.4.2",
		    "idle for long enough");
		client_fail(client, &status);
		return;
	}
	if (client->state == CLIENT_STATE_CONNECTING)
		status_set(&status, STATUS_DEFERRED, REASON_CONNECT, "4.4.1",
		    "cannot connect: no answer in time");
	else if (payload_is_active(&client->payload))
		status_set(&status, STATUS_DEFERRED, REASON_TIMEOUT, "4.4.2",
		    "the message was not taken in time");
	else
		status_print(&status, STATUS_DEFERRED, REASON_TIMEOUT, "4.4.2",
		    "no answer to %s in time",
		    step_name(client->receiving.step));
	if (waits_for_starttls(client))
		break_tls(client, SYMPTOM_CUT, "no answer in time");
	else if (is_between_clear_and_tls(client))
		break_tls(client, SYMPTOM_STALLED, NULL);
	else
		client_break(client, &status);
}

/* Nobody was asked, so nobody is to blame. */
static void on_shortage(struct client *client, const char *problem)
{
	struct status status;

	status_print(&status, STATUS_DEFERRED, REASON_LOCAL, "4.3.0",
	    "no connection could be begun: %s", problem);
	client_break(client, &status);
}

static void on_failed(struct client *client)
{
	const char *problem = stream_problem(client->stream);

	client->was_lost = stream_was_lost(client->stream);
	switch (stream_failure(client->stream)) {
	case STREAM_FAILURE_INJECTION:
		/* N-26: nothing was asked for in clear here */
		if (client->implicit_tls)
			break_tls(client, SYMPTOM_HANDSHAKE,
			    "the server spoke first, in clear text");
		else
			break_tls(client, SYMPTOM_INJECTION, problem);
		break;
	case STREAM_FAILURE_HANDSHAKE:
		break_tls(client, SYMPTOM_HANDSHAKE, problem);
		break;
	case STREAM_FAILURE_SHORTAGE:
		on_shortage(client, problem);
		break;
	default:
		on_lost(client, problem);
	}
}

static void on_drained(struct client *client)
{
	if (!payload_is_active(&client->payload))
		return;
	/* RFC 5321 4.5.3.2.5: the clock of a block starts anew. */
	stream_deadline(client->stream,
	    client->profile->conf->reply_timeout * 1000);
	payload_pump(&client->payload);
}

static void on_end(struct client *client, const char *problem)
{
	client_receive(client);
	if (client->state == CLIENT_STATE_GONE)
		return;
	client->was_lost = true;
	on_lost(client, problem);
}

static void on_stream(void *arg, struct stream *stream,
    enum stream_event event)
{
	struct client *client = arg;

	(void)stream;
	switch (event) {
	case STREAM_CONNECTED:
		client_on_connected(client);
		break;
	case STREAM_INPUT: client_receive(client); break;
	case STREAM_DRAINED: on_drained(client); break;
	case STREAM_SECURED: client_on_secured(client); break;
	case STREAM_END: on_end(client, "closed by the server"); break;
	case STREAM_TRUNCATED:
		on_end(client, "TLS ended without close_notify");
		break;
	case STREAM_DEADLINE: on_deadline(client); break;
	case STREAM_FAILED:
		client_receive(client);
		if (client->state != CLIENT_STATE_GONE)
			on_failed(client);
		break;
	default: bug("client-event");
	}
}

/* --- opening --- */

bool client_may_connect(const struct profile *profile, const char *written,
    const struct endpoint *address)
{
	struct endpoint literal;

	if (!endpoint_is_loopback(address))
		return !endpoint_is_unusable(address);
	return profile->conf->allow_loopback ||
	    endpoint_parse(&literal, written, 0) == 0 ||
	    endpoint_parse_literal(&literal, written, 0) == 0;
}

/* Was the host's own name, which came from the DNS, good enough? */
static bool has_name(const struct plan_host *host)
{
	size_t i;

	for (i = 0; i < host->name_count; i++)
		if (strcmp(host->names[i], host->name) == 0)
			return true;
	return false;
}

/* --- over a Unix socket, which the supervisor connects --- */

static void on_unix(void *arg, int fd, int error)
{
	struct client *client = arg;

	if (fd == -1) {
		on_lost(client, strerror(error));
		return;
	}
	client->stream = stream_new(fd, CLIENT_INPUT_MAX, on_stream, client);
	client_on_connected(client);
}

static void begin_connecting(struct client *client)
{
	const struct identity *identity = &client->identity;

	if (identity->socket[0] != '\0') {
		process_connect(identity->socket, on_unix, client);
		return;
	}
	client->stream = stream_connect(&client->address,
	    identity->source.length > 0 ? &identity->source : NULL,
	    CLIENT_INPUT_MAX, on_stream, client);
	stream_deadline(client->stream,
	    client->profile->conf->connect_timeout * 1000);
}

struct client *client_new(struct profile *profile,
    const struct client_need *need, client_callback *callback, void *arg)
{
	struct client *client = mem_alloc(sizeof(*client));

	client->id = ++last_id;
	client->profile = profile_share(profile);
	client->callback = callback;
	client->arg = arg;
	client->need = need;
	snprintf(client->host, sizeof(client->host), "%s", need->host->name);
	client->address = *need->address;
	client->identity = need->identity;
	memcpy(client->key, need->plan->key, sizeof(client->key));
	client->requirement = need->host->requirement;
	client->source = need->host->source;
	client->wish = need->plan->wish;
	client->requiretls = need->host->requiretls;
	client->expects_tls = need->host->expects_tls;
	client->seen.ideal = client_tells_ideal(need->host);
	client->check = client_check_of(client->seen.ideal ?
	    need->host->ideal : need->host->requirement);
	client->implicit_tls = need->plan->implicit_tls;
	client->clear_only = need->clear_only;
	client->seen.symptom = need->broken;
	client->tls_is_hopeless = need->is_hopeless;
	client->name_from_dns = need->host_from_dns && has_name(need->host);
	client->sending.step = client->receiving.step = STEP_NONE;
	answer_init(&client->reply);
	buf_init(&client->command, CLIENT_COMMAND_MAX);
	payload_init(&client->payload);
	begin_connecting(client);
	return client;
}

void client_set_owner(struct client *client, client_callback *callback,
    void *arg)
{
	client->callback = callback;
	client->arg = arg;
}

void client_idle(struct client *client, int64_t milliseconds)
{
	payload_rest(&client->payload);
	stream_deadline(client->stream, milliseconds);
}

void client_close(struct client *client)
{
	loop_undefer(client);
	client->callback = NULL;
	client->need = NULL;
	if (client->state == CLIENT_STATE_GONE) {
		loop_defer(free_now, client);
		return;
	}
	/* In the middle of the dialogue there is no place for QUIT. */
	if (client->state == CLIENT_STATE_READY)
		leave(client);
	else
		client_enter(client, CLIENT_STATE_GONE);
}

unsigned client_leaving(void)
{
	return leaving_count;
}

/* --- questions --- */

const struct client_failure *client_failure(const struct client *client)
{
	return &client->failure;
}

const struct capability *client_capability(const struct client *client)
{
	return &client->capability;
}

/* Is there room for one more message on the connection? */
static bool has_mail_left(const struct client *client)
{
	return client->capability.mail_max == 0 ||
	    client->transactions < client->capability.mail_max;
}

bool client_is_usable(const struct client *client)
{
	return client->usable && client->state == CLIENT_STATE_READY &&
	    has_mail_left(client);
}

bool client_is_spent(const struct client *client)
{
	return client->usable && client->state == CLIENT_STATE_READY &&
	    !client->refused && !has_mail_left(client);
}

bool client_delivered(const struct client *client)
{
	return client->delivered;
}

bool client_was_stale(const struct client *client)
{
	return client->stale;
}

bool client_was_refused(const struct client *client)
{
	return client->refused || !client_is_usable(client);
}

unsigned client_transactions(const struct client *client)
{
	return client->transactions;
}

/* A Unix socket is a place by its path, which the identity has. */
static bool is_same_place(const struct client *client,
    const struct endpoint *address)
{
	if (client->identity.socket[0] != '\0')
		return address->address.any.sa_family == AF_UNIX;
	return client->address.length == address->length &&
	    endpoint_same_host(&client->address, address) &&
	    endpoint_port(&client->address) == endpoint_port(address);
}

/* The key is all of the plan that decides TLS; the host's own part of it is
 * compared for itself. */
static bool is_same_demand(const struct client *client,
    const struct client_need *need)
{
	return memcmp(client->key, need->plan->key,
	    sizeof(client->key)) == 0 &&
	    client->requirement == need->host->requirement &&
	    client->source == need->host->source &&
	    client->wish == need->plan->wish &&
	    client->implicit_tls == need->plan->implicit_tls &&
	    client->clear_only == need->clear_only &&
	    memcmp(client->identity.digest, need->identity.digest,
	    sizeof(client->identity.digest)) == 0 &&
	    strcmp(client->host, need->host->name) == 0;
}

bool client_fits(const struct client *client, const struct client_need *need)
{
	if (!is_same_place(client, need->address))
		return false;
	if (broken("shared-plans"))
		return true;
	if (!is_same_demand(client, need))
		return false;
	if (client->requirement == REQUIRE_CLEAR || is_secure(client))
		return true;
	/* In clear: only where this message may be said in clear, too. */
	return client->clear_only || need->clear_if_missing;
}

bool client_is_secure(const struct client *client)
{
	return client->was_secure;
}

bool client_demands_requiretls(const struct client *client)
{
	return client->requiretls && (client->wish == WISH_REQUIRETLS ||
	    (client->wish == WISH_REQUIRETLS_BOUNCE &&
	    client->profile->conf->requiretls_bounce ==
	    REQUIRETLS_BOUNCE_DROP));
}

bool client_takes_requiretls(const struct client *client)
{
	return is_secure(client) && client->seen.verified &&
	    client->capability.requiretls;
}

const struct client_seen *client_seen(const struct client *client)
{
	return &client->seen;
}

const struct tls_facts *client_facts(const struct client *client)
{
	return client->stream == NULL ? NULL : stream_facts(client->stream);
}

const struct endpoint *client_address(const struct client *client)
{
	return &client->address;
}
