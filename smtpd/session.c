/* SPDX-License-Identifier: ISC */
/*
 * The machine of one connection: events of the stream come in, input is worked
 * off step by step until more of it, or somebody's answer, is needed. What
 * waits in the input meanwhile waits; so pipelining needs nothing special.
 */
#include "smtpd/session.h"

#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/loop.h"
#include "base/mem.h"
#include "base/stream.h"
#include "base/tls.h"
#include "conf/conf.h"
#include "policy/directory_client.h"
#include "smtpd/body.h"
#include "smtpd/client.h"
#include "smtpd/filter.h"
#include "smtpd/login.h"
#include "smtpd/origin.h"
#include "smtpd/reply.h"
#include "smtpd/rules.h"
#include "smtpd/screening.h"
#include "smtpd/server.h"
#include "smtpd/smtpd_log.h"
#include "smtpd/transaction.h"
#include "smtpd/verbs.h"

enum {
	INPUT_MAX = 64 << 10,
	OUTPUT_MAX = 256 << 10,
	/* A client that does not read its answers is not read either. */
	OUTPUT_HOLD = 32 << 10,
	POOL_MAX = 256,
	FINISH_MS = 2000,
	/* Other roles answer sooner than that, or never. */
	WAITING_MS = 60 * 1000,
	COMMIT_MS = 300 * 1000,
	/* Each check has a deadline of its own, and it is shorter. */
	CHECKING_MS = 3700 * 1000,
	/* After a bare newline the end that we know may never come. */
	SALVAGE_MS = 5000
};

/* Ended sessions with their arenas, for the next clients. */
static struct session_list pool = TAILQ_HEAD_INITIALIZER(pool);
static unsigned pool_count;

static struct session *take_session(void)
{
	struct session *session = TAILQ_FIRST(&pool);
	struct arena *arena;
	size_t ceiling;

	if (session == NULL)
		return mem_alloc(sizeof(*session));
	TAILQ_REMOVE(&pool, session, link);
	pool_count--;
	arena = session->arena;
	ceiling = session->arena_ceiling;
	memset(session, 0, sizeof(*session));
	session->arena = arena;
	session->arena_ceiling = ceiling;
	return session;
}

static void free_session(struct session *session)
{
	arena_free(session->arena);
	mem_free(session);
}

/* Deferred: nobody holds the pointer any more. */
static void give_back(void *arg)
{
	struct session *session = arg;

	rules_release(session->rules);
	session->rules = NULL;
	if (pool_count >= POOL_MAX) {
		free_session(session);
		return;
	}
	TAILQ_INSERT_HEAD(&pool, session, link);
	pool_count++;
}

void session_pool_release(void)
{
	struct session *session;

	while ((session = TAILQ_FIRST(&pool)) != NULL) {
		TAILQ_REMOVE(&pool, session, link);
		pool_count--;
		free_session(session);
	}
}

bool session_may_relay(const struct session *session)
{
	switch (session->listener->relay) {
	case RELAY_ANY:
		return session->listed || session->user[0] != '\0' ||
		    session->certificate[0] != '\0';
	case RELAY_AUTHENTICATED:
		return session->user[0] != '\0' ||
		    session->certificate[0] != '\0';
	default:
		return false;
	}
}

bool session_is_known(const struct session *session)
{
	return session_may_relay(session) || session->user[0] != '\0' ||
	    session->certificate[0] != '\0';
}

bool session_speaks_lmtp(const struct session *session)
{
	return session->listener->service == SERVICE_LMTP;
}

void session_judge_certificate(struct session *session)
{
	const struct certificates *list = &session->server->rules->certificates;
	const struct tls_facts *facts = session->state == SESSION_CLOSED ?
	    NULL : stream_facts(session->stream);
	const char *name = NULL;

	if (facts != NULL && facts->has_peer &&
	    session->listener->client_certificates)
		name = certificates_find(list, facts->certificate_digest,
		    facts->key_digest);
	/* Whoever logged in may have done so by it (EXTERNAL), or be about
	 * to. */
	if (session->certificate[0] != '\0' && (name == NULL ||
	    strcmp(name, session->certificate) != 0)) {
		session->user[0] = '\0';
		session->certificate_changed = true;
	}
	snprintf(session->certificate, sizeof(session->certificate), "%s",
	    name == NULL ? "" : name);
}

bool session_is_secure(const struct session *session)
{
	return session->trial || stream_is_secure(session->stream);
}

/* TLS-1, TLS-5 */
bool session_offers_tls(const struct session *session)
{
	return session->listener->tls != LISTENER_TLS_NONE &&
	    !session_is_secure(session) &&
	    !tls_server_is_empty(session->reception->tls);
}

void session_forget(struct session *session)
{
	transaction_end(session);
	command_splitter_init(&session->splitter);
	memset(session->hello, 0, sizeof(session->hello));
	session->extended = false;
	session->verb = NULL;
}

/* How long the client, or we, may take in this state; in milliseconds. */
static int64_t time_allowed(const struct session *session)
{
	const struct conf *conf = session->rules->conf;
	const struct transaction *transaction = session->transaction;
	int64_t allowed, end, left;

	switch (session->state) {
	case SESSION_WAITING:
		return session->checks_done != NULL ? CHECKING_MS :
		    WAITING_MS;
	case SESSION_CHECKING:
		return CHECKING_MS;
	case SESSION_COMMIT:
		return COMMIT_MS;
	case SESSION_TLS:
		return conf->handshake_timeout * 1000;
	case SESSION_DATA:
	case SESSION_CHUNK:
		allowed = conf->data_timeout * 1000;
		break;
	default:
		allowed = conf->command_timeout * 1000;
		/* Our own silence is not the client's. */
		if (session->held != NULL)
			allowed += conf->tarpit * 1000;
		break;
	}
	if (transaction != NULL && transaction->body != BODY_NONE)
		end = transaction->body_end;
	else if (session->state == SESSION_CHUNK)
		end = session->chunk_end;
	else
		return allowed;
	if (session->state == SESSION_DATA && transaction->problem != NULL &&
	    transaction->problem->close && allowed > SALVAGE_MS)
		allowed = SALVAGE_MS;
	left = end - clock_monotonic();
	if (left < 1)
		left = 1;
	return left < allowed ? left : allowed;
}

static void start_deadline(struct session *session)
{
	stream_deadline(session->stream, time_allowed(session));
}

void session_enter(struct session *session, enum session_state state)
{
	if (session->state == SESSION_CLOSED)
		return;
	session->state = state;
	if (state != SESSION_CLOSED)
		start_deadline(session);
}

/* What becomes of the stream. */
enum ending {
	ENDING_DROP,	/* at once, and of what waits */
	ENDING_FINISH,	/* what waits is sent, and the client's end heard */
	ENDING_LEAVE	/* the client wants no more than what waits */
};

static void end_stream(struct session *session, enum ending ending)
{
	if (ending == ENDING_DROP)
		stream_free(session->stream);
	else if (ending == ENDING_FINISH)
		stream_finish(session->stream, FINISH_MS);
	else
		stream_leave(session->stream, FINISH_MS);
	session->stream = NULL;
}

static void close_session(struct session *session, const char *reason,
    enum ending ending)
{
	if (session->state == SESSION_CLOSED)
		return;
	smtpd_log_disconnect(session, reason);
	session_enter(session, SESSION_CLOSED);
	if (session->lookup != NULL)
		directory_cancel(session->lookup);
	session->lookup = NULL;
	if (session->login != NULL)
		directory_login_cancel(session->login);
	session->login = NULL;
	checks_cancel(session);
	transaction_end(session);
	screening_free(session);
	reply_forget(session);
	filter_free(session);
	client_leave(session);
	end_stream(session, ending);
	TAILQ_REMOVE(&session->server->sessions, session, link);
	session->server->session_count--;
	server_session_gone(session->server);
	loop_undefer(session);
	loop_defer(give_back, session);
}

void session_drop(struct session *session, const char *reason)
{
	close_session(session, reason, ENDING_DROP);
}

void session_leave(struct session *session)
{
	close_session(session, "quit", ENDING_LEAVE);
}

void session_end(struct session *session, const struct refusal *refusal,
    const char *reason)
{
	if (session->state == SESSION_CLOSED)
		return;
	/* Between 220 and the end of the handshake nothing is said (TLS-8).
	 * While the queue decides nothing said would be true: a 4yz promises
	 * that the message is not kept (SMTP-61). */
	if (session->state == SESSION_TLS ||
	    session->state == SESSION_COMMIT) {
		session_drop(session, reason);
		return;
	}
	if (refusal != NULL)
		reply_refuse(session, refusal);
	close_session(session, reason, ENDING_FINISH);
}

void session_stop(struct session *session)
{
	bool idle = session->state == SESSION_COMMAND ||
	    session->state == SESSION_AUTH ||
	    (session->state == SESSION_WAITING && !session->greeted);

	if (session->state == SESSION_TLS)
		session_drop(session, "stop");
	else if (idle && session->transaction == NULL)
		session_end(session, &refusal_stopping, "stop");
}

/* One line of input; a line that is none is answered, too (SMTP-33). */
static enum step read_command(struct session *session)
{
	static char line[COMMAND_MAX];
	enum command_result result;

	result = command_take(&session->splitter,
	    stream_input(session->stream), line);
	if (result == COMMAND_NONE)
		return STEP_INPUT;
	session->commands++;
	session->verb = NULL;
	if (result == COMMAND_8BIT && verb_takes_utf8(session, line))
		result = COMMAND_LINE;
	switch (result) {
	case COMMAND_LINE:
		if (verb_run(session, line) == VERB_WAITING)
			session_enter(session, SESSION_WAITING);
		else if (session->state == SESSION_COMMAND)
			start_deadline(session);
		if (session->verb != NULL && session->verb->handler ==
		    verb_auth)
			mem_wipe(line, sizeof(line));
		break;
	case COMMAND_TOO_LONG:
		reply_refuse(session, &refusal_line_long);
		break;
	case COMMAND_NUL:
		reply_refuse(session, &refusal_line_nul);
		break;
	case COMMAND_8BIT:
		reply_refuse(session, &refusal_line_8bit);
		break;
	case COMMAND_ENDLESS:
		session_end(session, &refusal_line_endless, "line");
		break;
	case COMMAND_BARE:
		session_end(session, &refusal_line_bare, "bare newline");
		break;
	default:
		bug("command-result");
	}
	return STEP_GO;
}

static enum step step_command(struct session *session)
{
	if (session->server->stopping && session->transaction == NULL) {
		session_end(session, &refusal_stopping, "stop");
		return STEP_WAIT;
	}
	if (stream_pending(session->stream) > OUTPUT_HOLD)
		return STEP_WAIT;	/* STREAM_DRAINED goes on */
	return read_command(session);
}

static enum step step(struct session *session)
{
	if (session->held != NULL)
		return STEP_WAIT;	/* reply.c goes on */
	switch (session->state) {
	case SESSION_COMMAND:
		return step_command(session);
	case SESSION_DATA:
		return body_step_data(session);
	case SESSION_CHUNK:
		return body_step_chunk(session);
	case SESSION_AUTH:
		return login_step(session);
	default:
		return STEP_WAIT;
	}
}

void session_continue(struct session *session)
{
	enum step next;

	if (session->working)
		return;
	session->working = true;
	do
		next = step(session);
	while (next == STEP_GO);
	session->working = false;
	if (session->state == SESSION_CLOSED)
		return;
	/* In the handshake the input belongs to the stream. */
	if (session->state != SESSION_TLS)
		stream_consumed(session->stream);
	/* SMTP-52, TLS-34: an unfinished line or message is nothing. What
	 * was answered may still be read by the client. */
	if (session->input_ended && next == STEP_INPUT)
		session_end(session, NULL,
		    session->truncated ? "truncated" : "lost");
}

void session_resume(struct session *session)
{
	if (session->state == SESSION_CLOSED)
		return;
	session_enter(session, SESSION_COMMAND);
	session_continue(session);
}

void session_name_known(struct session *session)
{
	smtpd_log_connect(session);
	screening_name_known(session);
	filter_name_known(session);
	session_continue(session);
}

static void greet(struct session *session)
{
	session->greeted = true;
	reply_text(session, session->reception->greeting);
}

/* Nothing was said before this; a refusal is the greeting then. */
static void on_connect_checked(struct session *session, bool passed)
{
	if (!passed) {
		session->outcome.close = true;
		checks_reply(session);
		return;
	}
	greet(session);
	session_resume(session);
}

static void begin(struct session *session)
{
	switch (checks_run(session, CHECK_CONNECT, on_connect_checked)) {
	case CHECK_PASS:
		greet(session);
		break;
	case CHECK_WAIT:
		session_enter(session, SESSION_WAITING);
		break;
	case CHECK_STOP:
		on_connect_checked(session, false);
		break;
	}
}

static void on_secured(struct session *session)
{
	session_forget(session);
	if (session->listener->auth)
		stream_keep_secret(session->stream);
	session_judge_certificate(session);
	smtpd_log_tls(session);
	session_enter(session, SESSION_COMMAND);
	if (session->server->stopping)
		session_continue(session);
	else if (!session->greeted)
		begin(session);
}

static void on_deadline(struct session *session)
{
	const struct transaction *transaction = session->transaction;

	switch (session->state) {
	case SESSION_TLS:
		session_drop(session, "handshake timeout");
		break;
	case SESSION_WAITING:
	case SESSION_CHECKING:
	case SESSION_COMMIT:
		session_end(session, &refusal_internal, "no answer inside");
		break;
	case SESSION_DATA:
		if (transaction->problem != NULL &&
		    transaction->problem->close) {
			session_end(session, transaction->problem, "content");
			break;
		}
		/* fallthrough */
	default:
		session_end(session, &refusal_timeout, "timeout");
		break;
	}
}

static void on_input(struct session *session)
{
	if (session->state == SESSION_DATA || session->state == SESSION_CHUNK)
		start_deadline(session);
	if (session->state == SESSION_WAITING && !session->greeted)
		screening_heard(session);
	session_continue(session);
}

static void on_input_end(struct session *session, bool truncated)
{
	session->input_ended = true;
	session->truncated = truncated;
	/* It does not want the greeting that it waits for. */
	if (session->state == SESSION_WAITING && !session->greeted)
		session_drop(session, "lost");
	if (session->state != SESSION_CLOSED)
		reply_let_go(session);
	session_continue(session);
}

static void on_failure(struct session *session)
{
	char reason[160];

	if (session->state != SESSION_TLS) {
		session_drop(session, "lost");
		return;
	}
	smtpd_log_connect(session);
	log_info("tls-failed", log_session(session->id),
	    log_text("problem", stream_problem(session->stream)),
	    log_text("sni", stream_sni(session->stream)));
	snprintf(reason, sizeof(reason), "tls: %s",
	    stream_problem(session->stream));
	session_drop(session, reason);
}

static void on_stream(void *arg, struct stream *stream,
    enum stream_event event)
{
	struct session *session = arg;

	(void)stream;
	switch (event) {
	case STREAM_INPUT:
		on_input(session);
		break;
	case STREAM_DRAINED:
		session_continue(session);
		break;
	case STREAM_SECURED:
		on_secured(session);
		break;
	case STREAM_END:
		on_input_end(session, false);
		break;
	case STREAM_TRUNCATED:
		on_input_end(session, true);
		break;
	case STREAM_DEADLINE:
		on_deadline(session);
		break;
	case STREAM_FAILED:
		on_failure(session);
		break;
	case STREAM_CONNECTED:
	default:
		bug("stream-event");
	}
}

/* SMTP-8: input that was there before anything was said. */
static bool talks_first(int fd)
{
	char byte;

	return recv(fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) > 0;
}

static void take_origin(struct session *session, const struct origin *origin)
{
	session->address = origin->address;
	session->local = origin->local;
	session->uid = origin->uid;
	session->listed = session->reception->is_local ||
	    (!origin->is_nameless && conf_networks_contain(
	    &session->rules->conf->relay_from, &origin->address));
	session->trial = origin->is_trial;
	if (session->trial && origin->user[0] != '\0') {
		snprintf(session->user, sizeof(session->user), "%s",
		    origin->user);
		session->logged_in = true;
	}
}

/* RFC 8314: TLS from the first byte, and what was said there already is the
 * beginning of it. */
static void start_implicit(struct session *session)
{
	session_enter(session, SESSION_TLS);
	stream_secure_server(session->stream, session->reception->tls);
}

static void start_clear(struct session *session)
{
	session_enter(session, SESSION_COMMAND);
	begin(session);
}

struct session *session_start(struct server *server, int fd,
    const struct origin *origin, const struct reception *reception)
{
	struct session *session = take_session();
	bool implicit = reception->listener->tls == LISTENER_TLS_IMPLICIT &&
	    !origin->is_trial;

	session->id = server->next_session++;
	session->server = server;
	session->rules = rules_share(server->rules);
	session->reception = reception;
	session->listener = reception->listener;
	take_origin(session, origin);
	session->early = !implicit && talks_first(fd);
	command_splitter_init(&session->splitter);
	session->stream = stream_new(fd, INPUT_MAX, on_stream, session);
	stream_set_max_output(session->stream, OUTPUT_MAX);
	stream_set_drained_above(session->stream, OUTPUT_HOLD);
	TAILQ_INSERT_TAIL(&server->sessions, session, link);
	server->session_count++;
	client_join(server->clients, session);
	if (!client_name_pending(session))
		smtpd_log_connect(session);
	if (!implicit)
		start_clear(session);
	else if (tls_server_is_empty(reception->tls))
		session_drop(session, "no certificate");
	else
		start_implicit(session);
	return session;
}
