/* SPDX-License-Identifier: ISC */
/*
 * The stream drives a transport from a watch, a timer and two deferred calls:
 * one that writes what a turn has collected, one that tells the owner what
 * happened. Nothing here loops until a peer
 * does something: each call moves a bounded number of bytes and goes back to
 * the loop.
 */
#include "base/stream.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/queue.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/log.h"
#include "base/loop.h"
#include "base/mem.h"
#include "base/net.h"
#include "base/tls.h"
#include "base/tls_session.h"
#include "base/tls_transport.h"

/*
 *	CONNECTING --> CLEAR --> UPGRADING --> HANDSHAKE --> SECURE
 *	     |           |           |             |            |
 *	     +-----------+-----------+-------------+------------+--> FAILED
 *
 *	any of them --> CLOSING (stream_finish)
 *
 * UPGRADING is the time in which the line that agrees to TLS is leaving. No
 * way leads from the right to the left.
 */
enum stream_state { STATE_CONNECTING, STATE_CLEAR, STATE_UPGRADING,
    STATE_HANDSHAKE, STATE_SECURE, STATE_FAILED, STATE_CLOSING };

enum {
	OUTPUT_MAX = 1 << 20,		/* until stream_set_max_output() */
	RECORD_MAX = 16384,		/* RFC 8446 5.1 */
	TURN_MAX = 16 * RECORD_MAX	/* bytes of one direction in a turn */
};

struct stream {
	enum stream_state	 state;		/* set by enter() only */
	struct transport	 transport;	/* its fd is owned here */
	stream_callback		*callback;
	void			*arg;
	struct watch		 watch;
	struct timer		 deadline;
	LIST_ENTRY(stream)	 link;		/* CLOSING: in closing */

	struct buf		 input;
	struct buf		 output;
	size_t			 max_output;
	size_t			 drained_above;	/* less is not told of */
	/* UPGRADING: how much of the output was queued before, in clear. */
	size_t			 clear_left;
	uint64_t		 bytes_in;
	uint64_t		 bytes_out;

	bool			 secret;	/* its bytes are wiped */
	bool			 paused;	/* by the owner */
	bool			 ended;		/* nothing more can be read */
	bool			 may_hold;	/* read again without waiting */
	bool			 shut;		/* CLOSING: we have sent FIN */
	bool			 leaves;	/* CLOSING: without lingering */
	bool			 undrained;	/* STREAM_DRAINED is due */

	/* telling the owner */
	unsigned		 events;	/* bits of enum stream_event */
	bool			 telling;	/* a callback is running */
	bool			 freed;		/* ... and called stream_free */
	bool			 flush_waits;	/* deferred calls under way */
	bool			 tell_waits;

	/* TLS */
	struct tls_server	*server;	/* shared with the owner */
	struct tls_wanted	*wanted;	/* owned; null on the server */
	struct tls_facts	*facts;		/* owned; null until SECURE */

	enum stream_failure	 failure;
	char			 problem[256];
};

/* Nobody else knows of those that say their last words. */
static LIST_HEAD(, stream) closing = LIST_HEAD_INITIALIZER(closing);

/* Reading goes through here, so that an idle stream has no large buffer. */
static char scratch[RECORD_MAX];

/* The order in which events of one turn are told: causes first. */
static const enum stream_event telling_order[] = { STREAM_CONNECTED,
    STREAM_SECURED, STREAM_INPUT, STREAM_DRAINED, STREAM_END,
    STREAM_TRUNCATED, STREAM_DEADLINE, STREAM_FAILED };

enum { EVENTS = sizeof telling_order / sizeof telling_order[0] };

static void enter(struct stream *stream, enum stream_state state)
{
	stream->state = state;
}

static bool has_event(const struct stream *stream, enum stream_event event)
{
	return (stream->events & 1u << event) != 0;
}

/* Bytes of the owner's or of TLS that have to leave. */
static bool has_output(const struct stream *stream)
{
	return buf_length(&stream->output) > 0 ||
	    transport_is_holding(&stream->transport);
}

/* --- what to wait for --- */

/* Nothing is read under TLS before the owner has heard that it is there. */
static bool may_read(const struct stream *stream)
{
	return (stream->state == STATE_CLEAR ||
	    stream->state == STATE_SECURE) && !stream->paused &&
	    !stream->ended && !has_event(stream, STREAM_SECURED) &&
	    buf_room(&stream->input) > 0;
}

static int wanted_flags(const struct stream *stream)
{
	int flags = 0;

	switch (stream->state) {
	case STATE_CONNECTING:
		return WATCH_WRITE;
	case STATE_UPGRADING:
		return WATCH_READ | WATCH_WRITE;
	case STATE_HANDSHAKE:
		return stream->transport.read_wants;
	case STATE_CLOSING:
		return stream->shut ? WATCH_READ :
		    stream->transport.write_wants;
	case STATE_CLEAR:
	case STATE_SECURE:
		if (may_read(stream))
			flags |= stream->transport.read_wants;
		if (has_output(stream))
			flags |= stream->transport.write_wants;
		return flags;
	case STATE_FAILED:
		return 0;
	default:
		bug("stream-state");
	}
}

static void flush(void *arg);

/* Comes back at the end of the turn, when all of its output is together. */
static void flush_later(struct stream *stream)
{
	if (stream->flush_waits || stream->state == STATE_FAILED)
		return;
	stream->flush_waits = true;
	loop_defer_output(flush, stream);
}

static bool is_established(const struct stream *stream)
{
	return stream->state == STATE_CLEAR || stream->state == STATE_SECURE;
}

/* After anything that changed state, buffers or pauses. While the owner has
 * something to hear, what it does then decides. */
static void settle(struct stream *stream)
{
	if (stream->tell_waits)
		return;
	if (stream->may_hold && may_read(stream))
		flush_later(stream);
	/* Nobody has written behind what TLS had to say. */
	if (is_established(stream) && !stream->transport.clogged &&
	    transport_is_holding(&stream->transport))
		flush_later(stream);
	/* A flush is under way: it decides what to wait for. */
	if (!stream->flush_waits)
		watch_set(&stream->watch, wanted_flags(stream));
}

/* --- telling the owner --- */

static void destroy(struct stream *stream)
{
	if (stream->flush_waits || stream->tell_waits)
		loop_undefer(stream);
	if (stream->state == STATE_CLOSING)
		LIST_REMOVE(stream, link);
	timer_stop(&stream->deadline);
	watch_release(&stream->watch);
	transport_release(&stream->transport);
	if (stream->transport.fd != -1)
		close(stream->transport.fd);
	buf_release(&stream->input);
	buf_release(&stream->output);
	tls_server_free(stream->server);
	tls_wanted_free(stream->wanted);
	mem_free(stream->facts);
	mem_free(stream);
}

/* Only from the loop. The stream may be gone afterwards. */
static void tell(void *arg)
{
	struct stream *stream = arg;
	unsigned i;

	stream->tell_waits = false;
	stream->telling = true;
	for (i = 0; i < EVENTS && !stream->freed; i++) {
		enum stream_event event = telling_order[i];

		if (!has_event(stream, event))
			continue;
		stream->events &= ~(1u << event);
		/* More was written meanwhile: it is told when that has left. */
		if (event == STREAM_DRAINED && buf_length(&stream->output) > 0) {
			stream->undrained = true;
			continue;
		}
		if (stream->callback != NULL)
			stream->callback(stream->arg, stream, event);
	}
	stream->telling = false;
	if (stream->freed)
		destroy(stream);
	else
		settle(stream);
}

static void raise_event(struct stream *stream, enum stream_event event)
{
	stream->events |= 1u << event;
	if (stream->tell_waits)
		return;
	stream->tell_waits = true;
	loop_defer(tell, stream);
}

/*
 * The first failure is the cause; nothing is read or written afterwards. A
 * stream that is closing goes on to the end of that.
 */
static void fail(struct stream *stream, enum stream_failure failure,
    const char *problem)
{
	if (stream->state == STATE_CLOSING) {
		stream->transport.broken = true;
		return;
	}
	enter(stream, STATE_FAILED);
	stream->failure = failure;
	snprintf(stream->problem, sizeof stream->problem, "%s%s",
	    failure == STREAM_FAILURE_HANDSHAKE ? "handshake: " : "", problem);
	watch_set(&stream->watch, 0);
	timer_stop(&stream->deadline);
	raise_event(stream, STREAM_FAILED);
}

static void fail_injection(struct stream *stream)
{
	fail(stream, STREAM_FAILURE_INJECTION,
	    "the peer sent data in clear behind the line that begins TLS");
}

/* --- reading and writing --- */

/*
 * Reads until the input is full, the peer has nothing more, or the share of
 * this turn is used up. In the first and last case TLS may hold back bytes
 * that the socket will not announce again: may_hold says to come back.
 */
static void receive(struct stream *stream)
{
	size_t total = 0, got = 0;
	enum moved moved = MOVED_SOME;

	while (may_read(stream) && total < TURN_MAX) {
		size_t room = buf_room(&stream->input);

		if (room > sizeof scratch)
			room = sizeof scratch;
		moved = transport_read(&stream->transport, scratch, room,
		    &got);
		if (moved != MOVED_SOME)
			break;
		if (buf_add(&stream->input, scratch, got) != 0)
			bug("stream-input-ceiling");
		if (stream->secret)
			mem_wipe(scratch, got);
		total += got;
		/* Less than asked for: most likely all there is, and if not,
		 * the socket says so. */
		if (got < room && !transport_holds_back(&stream->transport)) {
			moved = MOVED_LATER;
			stream->transport.read_wants = WATCH_READ;
		}
		if (moved != MOVED_SOME)
			break;
	}
	stream->may_hold = moved == MOVED_SOME && stream->transport.secure;
	stream->bytes_in += total;
	if (total > 0)
		raise_event(stream, STREAM_INPUT);
	if (moved == MOVED_END || moved == MOVED_CUT) {
		stream->ended = true;
		raise_event(stream, moved == MOVED_END ? STREAM_END :
		    STREAM_TRUNCATED);
	} else if (moved == MOVED_FAILED) {
		fail(stream, STREAM_FAILURE_IO, stream->transport.problem);
	}
}

/* How much of the output may leave as things are. */
static size_t sendable(const struct stream *stream)
{
	switch (stream->state) {
	case STATE_UPGRADING:
		return stream->clear_left;
	case STATE_CLEAR:
	case STATE_SECURE:
	case STATE_CLOSING:
		return buf_length(&stream->output);
	default:
		return 0;
	}
}

/* A peer may have said why it went away before our write found out. */
static void fail_write(struct stream *stream, enum moved moved)
{
	char problem[sizeof stream->transport.problem];

	snprintf(problem, sizeof problem, "%s", moved == MOVED_FAILED ?
	    stream->transport.problem : "the peer ended TLS");
	if (stream->state == STATE_CLEAR)
		receive(stream);
	if (stream->state != STATE_FAILED)
		fail(stream, STREAM_FAILURE_IO, problem);
}

static void transmit(struct stream *stream)
{
	size_t length, total = 0, put = 0;
	enum moved moved = MOVED_SOME;

	while ((length = sendable(stream)) > 0 && total < TURN_MAX) {
		moved = transport_write(&stream->transport,
		    buf_data(&stream->output), length, &put);
		if (moved != MOVED_SOME)
			break;
		buf_consume(&stream->output, put);
		if (stream->state == STATE_UPGRADING)
			stream->clear_left -= put;
		total += put;
	}
	stream->bytes_out += total;
	/* close_notify goes with the last bytes. */
	if (moved == MOVED_SOME && stream->state != STATE_CLOSING)
		moved = transport_push(&stream->transport);
	if (moved == MOVED_SOME)
		stream->transport.write_wants = WATCH_WRITE;
	else if (moved != MOVED_LATER)
		fail_write(stream, moved);
	if (stream->undrained && !has_output(stream) &&
	    stream->state != STATE_UPGRADING) {
		stream->undrained = false;
		raise_event(stream, STREAM_DRAINED);
	}
}

/* --- connecting --- */

static void complete_connect(struct stream *stream)
{
	int error = net_connect_result(stream->transport.fd);

	if (error != 0) {
		fail(stream, STREAM_FAILURE_CONNECT, strerror(error));
		return;
	}
	enter(stream, STATE_CLEAR);
	raise_event(stream, STREAM_CONNECTED);
}

/* --- the upgrade --- */

static void begin_handshake(struct stream *stream)
{
	enter(stream, STATE_HANDSHAKE);
	stream->undrained = buf_length(&stream->output) >
	    stream->drained_above;
	stream->transport.read_wants = WATCH_READ;
}

/*
 * The last clear bytes leave. What comes before they are gone cannot be an
 * answer to them. The look and the write are as close together as they can
 * be; what slips between them goes to the TLS parser, which takes no commands.
 */
static void push_upgrade(struct stream *stream)
{
	enum moved early = transport_peek(&stream->transport);

	if (early == MOVED_SOME) {
		fail_injection(stream);
		return;
	}
	if (early == MOVED_END) {
		stream->transport.lost = true;
		fail(stream, STREAM_FAILURE_HANDSHAKE,
		    "the peer closed the connection");
		return;
	}
	transmit(stream);
	if (stream->state == STATE_UPGRADING && stream->clear_left == 0)
		begin_handshake(stream);
}

static void secured(struct stream *stream)
{
	struct ssl_st *ssl = stream->transport.ssl;

	stream->facts = mem_alloc(sizeof *stream->facts);
	tls_facts_fill(stream->facts, ssl);
	if (stream->wanted != NULL)
		tls_facts_judge(stream->facts, ssl, stream->wanted);
	enter(stream, STATE_SECURE);
	/* The last flight of the handshake may have brought data along. */
	stream->may_hold = true;
	raise_event(stream, STREAM_SECURED);
}

static void shake(struct stream *stream)
{
	enum moved moved = transport_shake(&stream->transport);

	if (moved == MOVED_SOME)
		secured(stream);
	else if (moved == MOVED_FAILED)
		fail(stream, STREAM_FAILURE_HANDSHAKE,
		    stream->transport.problem);
}

/* --- closing --- */

/*
 * The next step towards the end; true when everything is done. After our last
 * words what comes in is read and forgotten, because closing with unread bytes
 * would reset the connection and take those words away from the peer. A peer
 * that has taken its leave says nothing more: where nothing lies unread the
 * words, the end of TLS and that of the connection go out in one.
 */
static bool closing_is_done(struct stream *stream)
{
	struct transport *transport = &stream->transport;

	if (!stream->shut) {
		transport->is_last = stream->leaves && !transport->broken &&
		    transport_peek(transport) == MOVED_LATER;
		if (!transport->broken)
			transmit(stream);
		if (buf_length(&stream->output) > 0 && !transport->broken)
			return false;
		if (transport_goodbye(transport) == MOVED_LATER)
			return false;
		/* Sends what waits for the FIN: close() alone would drop it
		 * if something came since the look. */
		shutdown(transport->fd, SHUT_WR);
		if (transport->is_last && !transport->broken)
			return true;
		stream->shut = true;
	}
	return transport_discard(transport, TURN_MAX);
}

/* --- from the loop --- */

/* One step, whatever the state; the stream may be gone afterwards. */
static void step(struct stream *stream, bool ready)
{
	switch (stream->state) {
	case STATE_CONNECTING:
		if (ready)
			complete_connect(stream);
		break;
	case STATE_UPGRADING:
		push_upgrade(stream);
		/* Servers wait for the client to begin. */
		if (stream->state == STATE_HANDSHAKE && stream->server == NULL)
			shake(stream);
		break;
	case STATE_HANDSHAKE:
		shake(stream);
		break;
	case STATE_CLEAR:
	case STATE_SECURE:
		if (ready || stream->may_hold)
			receive(stream);
		/* What TLS holds may go with an answer. */
		if (!stream->flush_waits && (!stream->tell_waits ||
		    buf_length(&stream->output) > 0 || stream->undrained))
			transmit(stream);
		break;
	case STATE_CLOSING:
		if (closing_is_done(stream)) {
			destroy(stream);
			return;
		}
		break;
	case STATE_FAILED:
		return;
	default:
		bug("stream-state");
	}
	settle(stream);
}

static void flush(void *arg)
{
	struct stream *stream = arg;

	stream->flush_waits = false;
	step(stream, false);
}

static void on_ready(void *arg, int flags)
{
	(void)flags;
	step(arg, true);
}

static void on_deadline(void *arg)
{
	struct stream *stream = arg;

	if (stream->state == STATE_CLOSING)
		destroy(stream);
	else
		raise_event(stream, STREAM_DEADLINE);
}

/* --- life --- */

static struct stream *make(int fd, size_t max_input, stream_callback *callback,
    void *arg)
{
	struct stream *stream = mem_alloc(sizeof *stream);

	transport_init(&stream->transport, fd);
	stream->callback = callback;
	stream->arg = arg;
	stream->max_output = OUTPUT_MAX;
	buf_init(&stream->input, max_input);
	/* Its ceiling can be changed, so stream_write() keeps it. */
	buf_init(&stream->output, SIZE_MAX);
	watch_init(&stream->watch, fd, on_ready, stream);
	return stream;
}

struct stream *stream_new(int fd, size_t max_input, stream_callback *callback,
    void *arg)
{
	struct stream *stream = make(fd, max_input, callback, arg);

	enter(stream, STATE_CLEAR);
	settle(stream);
	return stream;
}

/* The other side has no part in it. */
static bool is_shortage(int error)
{
	return error == EMFILE || error == ENFILE || error == ENOBUFS ||
	    error == ENOMEM;
}

struct stream *stream_connect(const struct endpoint *remote,
    const struct endpoint *local, size_t max_input, stream_callback *callback,
    void *arg)
{
	int fd = net_connect(remote, local);
	int error = errno;
	struct stream *stream = make(fd, max_input, callback, arg);

	enter(stream, STATE_CONNECTING);
	if (fd == -1) {
		fail(stream, is_shortage(error) ? STREAM_FAILURE_SHORTAGE :
		    STREAM_FAILURE_CONNECT, strerror(error));
		return stream;
	}
	settle(stream);
	return stream;
}

void stream_free(struct stream *stream)
{
	if (stream == NULL)
		return;
	if (!stream->telling) {
		destroy(stream);
		return;
	}
	/* tell() is below us on the stack and does the rest. */
	stream->freed = true;
	stream->callback = NULL;
}

static void begin_closing(struct stream *stream, int milliseconds, bool leaves)
{
	bool established = is_established(stream) ||
	    (stream->state == STATE_FAILED &&
	    stream->failure != STREAM_FAILURE_CONNECT &&
	    stream->failure != STREAM_FAILURE_SHORTAGE);

	if (!established) {
		stream_free(stream);
		return;
	}
	stream->leaves = leaves;
	/* After a failure only the lingering is left to do. */
	if (stream->state == STATE_FAILED) {
		stream->transport.broken = true;
		buf_reset(&stream->output);
	}
	stream->callback = NULL;
	buf_release(&stream->input);
	enter(stream, STATE_CLOSING);
	LIST_INSERT_HEAD(&closing, stream, link);
	stream->transport.write_wants = WATCH_WRITE;
	timer_start(&stream->deadline, milliseconds, on_deadline, stream);
	watch_set(&stream->watch, 0);
	flush_later(stream);
}

void stream_finish(struct stream *stream, int milliseconds)
{
	begin_closing(stream, milliseconds, false);
}

void stream_leave(struct stream *stream, int milliseconds)
{
	begin_closing(stream, milliseconds, true);
}

void stream_end_all(void)
{
	struct stream *stream;

	while ((stream = LIST_FIRST(&closing)) != NULL)
		destroy(stream);
}

void stream_set_callback(struct stream *stream, stream_callback *callback,
    void *arg)
{
	stream->callback = callback;
	stream->arg = arg;
}

/* --- bytes --- */

struct buf *stream_input(struct stream *stream)
{
	return &stream->input;
}

void stream_consumed(struct stream *stream)
{
	settle(stream);
}

void stream_pause(struct stream *stream)
{
	stream->paused = true;
	settle(stream);
}

void stream_resume(struct stream *stream)
{
	stream->paused = false;
	settle(stream);
}

int stream_write(struct stream *stream, const void *data, size_t length)
{
	size_t waiting = buf_length(&stream->output);

	if (waiting > stream->max_output ||
	    length > stream->max_output - waiting)
		return -1;
	/* Nobody will read it: the owner is about to hear so. */
	if (stream->state == STATE_FAILED || length == 0)
		return 0;
	if (buf_add(&stream->output, data, length) != 0)
		bug("stream-output-ceiling");
	if (buf_length(&stream->output) > stream->drained_above)
		stream->undrained = true;
	if (is_established(stream))
		flush_later(stream);
	return 0;
}

size_t stream_pending(const struct stream *stream)
{
	return buf_length(&stream->output);
}

void stream_set_max_output(struct stream *stream, size_t bytes)
{
	stream->max_output = bytes;
}

void stream_set_drained_above(struct stream *stream, size_t bytes)
{
	stream->drained_above = bytes;
}

void stream_keep_secret(struct stream *stream)
{
	stream->secret = true;
	buf_keep_secret(&stream->input);
	buf_keep_secret(&stream->output);
	transport_keep_secret(&stream->transport);
}

void stream_deadline(struct stream *stream, int64_t milliseconds)
{
	stream->events &= ~(1u << STREAM_DEADLINE);
	if (milliseconds > 0)
		timer_start(&stream->deadline, milliseconds, on_deadline,
		    stream);
	else
		timer_stop(&stream->deadline);
}

/* --- TLS --- */

/* What both sides do before the handshake; false when it may not begin. */
static bool prepare_upgrade(struct stream *stream)
{
	if (stream->state == STATE_FAILED)
		return false;
	if (stream->state != STATE_CLEAR)
		bug("stream-upgrade-state");
	if (buf_length(&stream->input) > 0) {
		fail_injection(stream);
		return false;
	}
	stream->clear_left = buf_length(&stream->output);
	return true;
}

/* silent: nothing may have come from the peer yet. */
static void start_upgrade(struct stream *stream, bool silent)
{
	stream->paused = false;
	if (silent)
		enter(stream, STATE_UPGRADING);
	else
		begin_handshake(stream);
	/* The first step comes from the loop, with the last clear bytes. */
	flush_later(stream);
}

void stream_secure_server(struct stream *stream, struct tls_server *server)
{
	if (!prepare_upgrade(stream))
		return;
	stream->server = tls_server_share(server);
	transport_begin_tls(&stream->transport, tls_server_session(server));
	/* Without a line of ours to wait for, a ClientHello may be there. */
	start_upgrade(stream, stream->clear_left > 0);
}

void stream_secure_client(struct stream *stream, struct tls_client *client,
    const struct tls_expect *expect)
{
	if (!prepare_upgrade(stream))
		return;
	transport_begin_tls(&stream->transport, tls_client_session(client,
	    expect, &stream->wanted));
	/* Servers wait for us to begin: whatever is there is not TLS. */
	start_upgrade(stream, true);
}

/* --- asking --- */

bool stream_is_secure(const struct stream *stream)
{
	return stream->facts != NULL;
}

const struct tls_facts *stream_facts(const struct stream *stream)
{
	return stream->facts;
}

size_t stream_binding(const struct stream *stream, uint8_t *out, size_t size)
{
	if (stream->facts == NULL || size < STREAM_BINDING_BYTES)
		return 0;
	return transport_binding(&stream->transport, out,
	    STREAM_BINDING_BYTES);
}

const char *stream_sni(const struct stream *stream)
{
	return transport_server_name(&stream->transport);
}

enum stream_failure stream_failure(const struct stream *stream)
{
	return stream->failure;
}

bool stream_was_lost(const struct stream *stream)
{
	return stream->transport.lost;
}

const char *stream_problem(const struct stream *stream)
{
	return stream->problem;
}

int stream_fd(const struct stream *stream)
{
	return stream->transport.fd;
}

uint64_t stream_bytes_in(const struct stream *stream)
{
	return stream->bytes_in;
}

uint64_t stream_bytes_out(const struct stream *stream)
{
	return stream->bytes_out;
}
