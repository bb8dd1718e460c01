/* SPDX-License-Identifier: ISC */
/*
 * Streams against real sockets. The stream under test runs on the loop; the
 * peer is a thread with a blocking socket and OpenSSL of its own, or a second
 * stream. What the owner hears is kept as text, one letter an event:
 *
 *	C connected  S secured  I input  D drained  E end  T truncated
 *	L deadline  F failed
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/log.h"
#include "base/loop.h"
#include "base/net.h"
#include "base/stream.h"
#include "base/tls.h"
#include "tests/unit/certificates.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

enum { GIVE_UP_MS = 20000, BIG = 10 << 20 };

static struct certificate *authority, *leaf;
static struct tls_server *server;
static struct tls_client *plain_client;
static const struct tls_expect no_check = { .check = TLS_CHECK_NONE,
    .sni = "mx.example.org" };

/* --- the owner of a stream --- */

struct owner {
	struct stream	*stream;
	char		 heard[256];
	char		 got[512];	/* the beginning of what came in */
	size_t		 total;
	bool		 hungry;	/* consumes the input at once */
	const char	*stop_at;	/* letters that end the loop */
	void		(*react)(struct owner *owner, enum stream_event event);
	void		*extra;
};

static struct timer give_up;
static bool gave_up, stopped;

/* Ends run(), which other reasons to stop the loop do not. */
static void stop(void)
{
	stopped = true;
	loop_stop();
}

static void on_give_up(void *arg)
{
	(void)arg;
	gave_up = true;
	loop_stop();
}

static void take_input(struct owner *owner)
{
	struct buf *input = stream_input(owner->stream);
	size_t length = buf_length(input), room, used = owner->total;

	if (used < sizeof owner->got - 1) {
		room = sizeof owner->got - 1 - used;
		memcpy(owner->got + used, buf_data(input),
		    length < room ? length : room);
	}
	owner->total += length;
	buf_consume(input, length);
	stream_consumed(owner->stream);
}

static void on_event(void *arg, struct stream *stream, enum stream_event event)
{
	static const char letters[] = "CIDSETLF";
	struct owner *owner = arg;
	size_t length = strlen(owner->heard);

	assert_true(owner->stream == NULL || owner->stream == stream);
	if (length + 1 < sizeof owner->heard)
		owner->heard[length] = letters[event];
	if (event == STREAM_INPUT && owner->hungry)
		take_input(owner);
	if (owner->react != NULL)
		owner->react(owner, event);
	if (owner->stop_at != NULL &&
	    strchr(owner->stop_at, letters[event]) != NULL)
		stop();
}

/* Runs until *flag is true; 20 seconds mean that it will never be. */
static void run_until(const bool *flag)
{
	gave_up = false;
	timer_start(&give_up, GIVE_UP_MS, on_give_up, NULL);
	while (!*flag && !gave_up)
		loop_run();
	timer_stop(&give_up);
	if (gave_up)
		fail_msg("the loop waits for something that does not come");
}

/* Runs until somebody calls stop(). */
static void run(void)
{
	stopped = false;
	run_until(&stopped);
}

/* Runs what is ready and what that brings, a few turns long. */
static void on_settled(void *arg)
{
	*(bool *)arg = true;
	loop_stop();
}

static void run_for(int milliseconds)
{
	struct timer timer = { 0 };
	bool settled = false;

	timer_start(&timer, milliseconds, on_settled, &settled);
	run_until(&settled);
	timer_stop(&timer);
}

/* All but D: when the last byte has left and when the answer is there depends
 * on the peer's thread. */
static void assert_heard(const struct owner *owner, const char *expected)
{
	char heard[sizeof owner->heard];
	const char *from;
	char *to = heard;

	for (from = owner->heard; *from != '\0'; from++)
		if (*from != 'D')
			*to++ = *from;
	*to = '\0';
	assert_string_equal(heard, expected);
}

/* --- a peer in a thread --- */

struct peer {
	int		 fd;
	SSL_CTX		*context;
	SSL		*ssl;
	pthread_t	 thread;
	struct loop_notify done;
	bool		 finished;
	void		(*script)(struct peer *peer);
	char		 got[256];	/* what the script chose to keep */
	char		 problem[128];	/* of a failed handshake */
	bool		 secured;
	int		 version;	/* 0: 1.2 and 1.3 */
	bool		 as_client;
};

static void need(bool worked, const char *what)
{
	if (worked)
		return;
	fprintf(stderr, "peer: %s failed\n", what);
	abort();
}

static void say(struct peer *peer, const char *text)
{
	need(send(peer->fd, text, strlen(text), MSG_NOSIGNAL) ==
	    (ssize_t)strlen(text), "send");
}

/* Reads in clear up to the first newline, or to the end. */
static void hear_line(struct peer *peer)
{
	size_t length = strlen(peer->got);
	char byte;

	while (length + 1 < sizeof peer->got &&
	    recv(peer->fd, &byte, 1, 0) == 1) {
		peer->got[length++] = byte;
		if (byte == '\n')
			break;
	}
	peer->got[length] = '\0';
}

static void make_session(struct peer *peer)
{
	peer->context = SSL_CTX_new(TLS_method());
	SSL_CTX_set_security_level(peer->context, 0);
	if (peer->version != 0) {
		SSL_CTX_set_min_proto_version(peer->context, peer->version);
		SSL_CTX_set_max_proto_version(peer->context, peer->version);
	}
	if (!peer->as_client) {
		BIO *chain = BIO_new_mem_buf(certificate_pem(leaf), -1);
		BIO *text = BIO_new_mem_buf(certificate_key_pem(leaf), -1);
		X509 *x509 = PEM_read_bio_X509(chain, NULL, NULL, NULL);
		EVP_PKEY *key = PEM_read_bio_PrivateKey(text, NULL, NULL,
		    NULL);

		SSL_CTX_use_certificate(peer->context, x509);
		SSL_CTX_use_PrivateKey(peer->context, key);
		X509_free(x509);
		EVP_PKEY_free(key);
		BIO_free(chain);
		BIO_free(text);
	}
	peer->ssl = SSL_new(peer->context);
	if (peer->as_client)
		SSL_set_connect_state(peer->ssl);
	else
		SSL_set_accept_state(peer->ssl);
}

static void secure(struct peer *peer)
{
	if (peer->ssl == NULL)
		make_session(peer);
	SSL_set_fd(peer->ssl, peer->fd);
	ERR_clear_error();
	peer->secured = SSL_do_handshake(peer->ssl) == 1;
	if (!peer->secured) {
		const char *words = ERR_reason_error_string(ERR_peek_error());

		snprintf(peer->problem, sizeof peer->problem, "%s",
		    words != NULL ? words : "?");
	}
}

static void say_secure(struct peer *peer, const char *text)
{
	need(SSL_write(peer->ssl, text, (int)strlen(text)) > 0, "SSL_write");
}

static void hear_secure(struct peer *peer)
{
	size_t length = strlen(peer->got);
	int result = SSL_read(peer->ssl, peer->got + length,
	    (int)(sizeof peer->got - 1 - length));

	if (result > 0)
		peer->got[length + (size_t)result] = '\0';
}

static void *run_peer(void *arg)
{
	struct peer *peer = arg;

	peer->script(peer);
	SSL_free(peer->ssl);
	SSL_CTX_free(peer->context);
	close(peer->fd);
	OPENSSL_thread_stop();
	loop_notify_send(&peer->done);
	return NULL;
}

static void on_peer_done(void *arg)
{
	struct peer *peer = arg;

	peer->finished = true;
	loop_stop();
}

/* A socket pair: ours goes into a stream, theirs into the thread. */
static int start_peer(struct peer *peer, void (*script)(struct peer *peer))
{
	int fds[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0,
	    fds), 0);
	fcntl(fds[0], F_SETFL, O_NONBLOCK);
	peer->fd = fds[1];
	peer->script = script;
	peer->finished = false;
	loop_notify_init(&peer->done, on_peer_done, peer);
	assert_int_equal(pthread_create(&peer->thread, NULL, run_peer, peer),
	    0);
	return fds[0];
}

/* The loop runs on meanwhile: a stream may be busy finishing. */
static void join_peer(struct peer *peer)
{
	run_until(&peer->finished);
	pthread_join(peer->thread, NULL);
	loop_notify_release(&peer->done);
	/* Its end of the connection is closed: so will ours be. */
	run_for(1);
}

static void own(struct owner *owner, int fd, size_t max_input)
{
	owner->stream = stream_new(fd, max_input, on_event, owner);
}

/* --- in clear --- */

static void script_echo_line(struct peer *peer)
{
	hear_line(peer);
	say(peer, peer->got);
	shutdown(peer->fd, SHUT_WR);
	hear_line(peer);
}

static void test_clear(void **state)
{
	struct owner owner = { .hungry = true, .stop_at = "E" };
	struct peer peer = { 0 };

	(void)state;
	own(&owner, start_peer(&peer, script_echo_line), 100);
	assert_int_equal(stream_write(owner.stream, "hel", 3), 0);
	assert_int_equal(stream_write(owner.stream, "lo\n", 3), 0);
	assert_int_equal(stream_pending(owner.stream), 6);
	/* Nothing is told inside a call. */
	assert_string_equal(owner.heard, "");
	run();
	assert_heard(&owner, "IE");
	assert_string_equal(owner.got, "hello\n");
	assert_int_equal(stream_bytes_in(owner.stream), 6);
	assert_int_equal(stream_bytes_out(owner.stream), 6);
	assert_false(stream_is_secure(owner.stream));
	assert_null(stream_facts(owner.stream));
	assert_string_equal(stream_sni(owner.stream), "");
	/* The peer has closed one direction only. */
	assert_int_equal(stream_write(owner.stream, "bye\n", 4), 0);
	owner.stop_at = "D";
	run();
	stream_free(owner.stream);
	join_peer(&peer);
	assert_string_equal(peer.got, "hello\nbye\n");
}

/* All writes of a turn are one packet. */
static void test_one_write_a_turn(void **state)
{
	struct owner owner = { .stop_at = "D" };
	char packet[100];
	int fds[2];

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK,
	    0, fds), 0);
	own(&owner, fds[0], 100);
	stream_write(owner.stream, "250-a\r\n", 7);
	stream_write(owner.stream, "250-b\r\n", 7);
	stream_write(owner.stream, "250 c\r\n", 7);
	run();
	assert_int_equal(recv(fds[1], packet, sizeof packet, 0), 21);
	assert_memory_equal(packet, "250-a\r\n250-b\r\n250 c\r\n", 21);
	assert_string_equal(owner.heard, "D");
	stream_free(owner.stream);
	close(fds[1]);
}

static void write_little(void *arg)
{
	const struct owner *owner = arg;

	stream_write(owner->stream, "250 x\r\n", 7);
}

static struct timer little;

/* Fires in the next turn, before anybody is told anything. */
static void write_little_soon(void *arg)
{
	timer_start(&little, 0, write_little, arg);
}

/* Who waits for the end of much output hears of it, although a little came
 * behind it before he could be told. */
static void test_drained_above(void **state)
{
	struct owner owner = { .stop_at = "D" };
	char much[200] = { 0 };
	int fds[2];

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0,
	    fds), 0);
	own(&owner, fds[0], 100);
	stream_set_drained_above(owner.stream, 100);
	write_little(&owner);
	run_for(20);
	assert_string_equal(owner.heard, "");
	stream_write(owner.stream, much, sizeof much);
	loop_defer_output(write_little_soon, &owner);
	run();
	timer_stop(&little);
	assert_string_equal(owner.heard, "D");
	assert_int_equal(stream_pending(owner.stream), 0);
	stream_free(owner.stream);
	close(fds[1]);
}

static void test_ceilings(void **state)
{
	struct owner owner = { .stop_at = "I" };
	char big[300] = { 0 };
	int fds[2];

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0,
	    fds), 0);
	own(&owner, fds[0], 100);
	stream_set_max_output(owner.stream, 250);
	assert_int_equal(stream_write(owner.stream, big, 251), -1);
	assert_int_equal(stream_pending(owner.stream), 0);
	assert_int_equal(stream_write(owner.stream, big, 200), 0);
	assert_int_equal(stream_write(owner.stream, big, 51), -1);
	assert_int_equal(stream_write(owner.stream, big, 50), 0);
	assert_int_equal(send(fds[1], big, sizeof big, 0), sizeof big);
	run();
	/* Full: nothing more is read until something was consumed. */
	run_for(20);
	assert_int_equal(buf_length(stream_input(owner.stream)), 100);
	assert_string_equal(owner.heard, "ID");
	buf_consume(stream_input(owner.stream), 60);
	stream_consumed(owner.stream);
	run();
	assert_int_equal(buf_length(stream_input(owner.stream)), 100);
	/* Paused: room alone is not enough. */
	stream_pause(owner.stream);
	buf_consume(stream_input(owner.stream), 100);
	stream_consumed(owner.stream);
	run_for(20);
	assert_int_equal(buf_length(stream_input(owner.stream)), 0);
	stream_resume(owner.stream);
	run();
	assert_int_equal(buf_length(stream_input(owner.stream)), 100);
	stream_free(owner.stream);
	close(fds[1]);
}

static void test_connect(void **state)
{
	struct owner owner = { .stop_at = "CF" };
	struct endpoint any, there;
	int listener, accepted;

	(void)state;
	assert_int_equal(endpoint_parse(&any, "127.0.0.1", 0), 0);
	listener = net_listen(&any, 5);
	net_local(listener, &there);
	owner.stream = stream_connect(&there, &any, 100, on_event, &owner);
	/* What is written early leaves when the connection is there. */
	stream_write(owner.stream, "x", 1);
	assert_string_equal(owner.heard, "");
	run();
	owner.stop_at = "D";
	run();
	assert_string_equal(owner.heard, "CD");
	accepted = net_accept(listener, NULL);
	assert_int_not_equal(accepted, -1);
	stream_free(owner.stream);
	close(accepted);
	close(listener);

	memset(&owner, 0, sizeof owner);
	owner.stop_at = "CF";
	owner.stream = stream_connect(&there, NULL, 100, on_event, &owner);
	assert_string_equal(owner.heard, "");
	run();
	assert_string_equal(owner.heard, "F");
	assert_int_equal(stream_failure(owner.stream),
	    STREAM_FAILURE_CONNECT);
	assert_string_equal(stream_problem(owner.stream),
	    "Connection refused");
	stream_finish(owner.stream, 100);

	/* Failing at once is told later as well. */
	memset(&owner, 0, sizeof owner);
	owner.stop_at = "CF";
	assert_int_equal(endpoint_parse(&any, "192.0.2.1", 0), 0);
	owner.stream = stream_connect(&there, &any, 100, on_event, &owner);
	assert_string_equal(owner.heard, "");
	run();
	assert_string_equal(owner.heard, "F");
	assert_int_equal(stream_failure(owner.stream),
	    STREAM_FAILURE_CONNECT);
	stream_free(owner.stream);
}

/* What we lack is told apart from what is wrong with the other side. */
static void test_connect_shortage(void **state)
{
	struct owner owner = { .stop_at = "CF" };
	struct rlimit before, none;
	struct endpoint there;

	(void)state;
	assert_int_equal(endpoint_parse(&there, "127.0.0.1", 1), 0);
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
	none = before;
	none.rlim_cur = 0;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
	owner.stream = stream_connect(&there, NULL, 100, on_event, &owner);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
	run();
	assert_string_equal(owner.heard, "F");
	assert_int_equal(stream_failure(owner.stream),
	    STREAM_FAILURE_SHORTAGE);
	assert_string_equal(stream_problem(owner.stream),
	    "Too many open files");
	stream_finish(owner.stream, 100);
}

static void script_last_words(struct peer *peer)
{
	say(peer, "421 too busy\r\n");
}

/* A server that says 421 and closes: its words come before the failure. */
static void test_last_words(void **state)
{
	struct owner owner = { .hungry = true, .stop_at = "F" };
	struct peer peer = { 0 };
	int fd;

	(void)state;
	fd = start_peer(&peer, script_last_words);
	join_peer(&peer);
	own(&owner, fd, 100);
	stream_write(owner.stream, "EHLO x\r\n", 8);
	run();
	assert_string_equal(owner.got, "421 too busy\r\n");
	assert_int_equal(owner.heard[0], 'I');
	assert_int_equal(stream_failure(owner.stream), STREAM_FAILURE_IO);
	assert_string_equal(stream_problem(owner.stream), "Broken pipe");
	/* Nothing happens to a dead stream any more. */
	assert_int_equal(stream_write(owner.stream, "x", 1), 0);
	assert_int_equal(stream_pending(owner.stream), 8);
	stream_free(owner.stream);
}

static void test_deadline(void **state)
{
	struct owner owner = { .stop_at = "L" };
	int fds[2];

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0,
	    fds), 0);
	own(&owner, fds[0], 100);
	stream_deadline(owner.stream, 20);
	run();
	assert_string_equal(owner.heard, "L");
	/* Once; then replaced; then none. */
	run_for(40);
	assert_string_equal(owner.heard, "L");
	stream_deadline(owner.stream, 10);
	stream_deadline(owner.stream, 10000);
	run_for(30);
	assert_string_equal(owner.heard, "L");
	stream_deadline(owner.stream, 10);
	stream_deadline(owner.stream, 0);
	run_for(30);
	assert_string_equal(owner.heard, "L");
	stream_free(owner.stream);
	close(fds[1]);
}

static void free_at_once(struct owner *owner, enum stream_event event)
{
	(void)event;
	stream_free(owner->stream);
	owner->stream = NULL;
}

/* In every callback the stream may be freed, and nothing comes afterwards. */
static void test_free_inside(void **state)
{
	struct endpoint any, there;
	struct owner owner = { .react = free_at_once, .stop_at = "IDELFC" };
	int fds[2], listener, i;

	(void)state;
	for (i = 0; i < 3; i++) {
		assert_int_equal(socketpair(AF_UNIX,
		    SOCK_STREAM | SOCK_NONBLOCK, 0, fds), 0);
		memset(owner.heard, 0, sizeof owner.heard);
		own(&owner, fds[0], 100);
		stream_deadline(owner.stream, i == 1 ? 5 : 5000);
		if (i == 0) {
			/* Input, end and drained at the same time. */
			assert_int_equal(send(fds[1], "x", 1, 0), 1);
			stream_write(owner.stream, "y", 1);
			shutdown(fds[1], SHUT_WR);
		} else if (i == 2) {
			stream_write(owner.stream, "y", 1);
		}
		run();
		run_for(10);
		assert_int_equal(strlen(owner.heard), 1);
		close(fds[1]);
	}
	assert_int_equal(endpoint_parse(&any, "127.0.0.1", 0), 0);
	listener = net_listen(&any, 5);
	net_local(listener, &there);
	memset(owner.heard, 0, sizeof owner.heard);
	owner.stream = stream_connect(&there, NULL, 100, on_event, &owner);
	run();
	assert_string_equal(owner.heard, "C");
	close(listener);
	/* Before anything was told. */
	owner.stream = stream_connect(&there, NULL, 100, on_event, &owner);
	stream_free(owner.stream);
	run_for(10);
	assert_string_equal(owner.heard, "C");
	stream_free(NULL);
}

/* --- finishing --- */

static void script_read_slowly(struct peer *peer)
{
	char chunk[5000];
	ssize_t result;
	size_t total = 0;

	usleep(20000);
	while ((result = recv(peer->fd, chunk, sizeof chunk, 0)) > 0)
		total += (size_t)result;
	/* More than our side will ever read. */
	say(peer, "some last words");
	snprintf(peer->got, sizeof peer->got, "%zu", total);
}

static void test_finish(void **state)
{
	struct owner owner = { 0 };
	struct peer peer = { 0 };
	char *big = calloc(1, 1 << 20);

	(void)state;
	own(&owner, start_peer(&peer, script_read_slowly), 100);
	assert_int_equal(stream_write(owner.stream, big, 1 << 20), 0);
	stream_finish(owner.stream, 10000);
	join_peer(&peer);
	assert_string_equal(peer.got, "1048576");
	assert_string_equal(owner.heard, "");
	free(big);
}

/* Who has said goodbye gets the last words and the end, and is not waited for;
 * what lies unread does not take them away. */
static void check_leave(const char *unread, int still_there)
{
	struct owner owner = { 0 };
	char got[32] = "";
	int fds[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0,
	    fds), 0);
	own(&owner, fds[0], 100);
	stream_pause(owner.stream);
	assert_int_equal(send(fds[1], unread, strlen(unread), 0),
	    (int)strlen(unread));
	assert_int_equal(stream_write(owner.stream, "221 bye\r\n", 9), 0);
	stream_leave(owner.stream, 10000);
	run_for(20);
	assert_int_equal(send(fds[1], "x", 1, MSG_NOSIGNAL), still_there);
	assert_int_equal(recv(fds[1], got, sizeof got - 1, 0), 9);
	assert_string_equal(got, "221 bye\r\n");
	assert_int_equal(recv(fds[1], got, sizeof got, 0), 0);
	close(fds[1]);
	run_for(20);
	assert_string_equal(owner.heard, "");
}

static void test_leave(void **state)
{
	(void)state;
	check_leave("", -1);
	check_leave("more", 1);
}

/* A peer that reads nothing and never closes costs us the time we gave. */
static void test_finish_deadline(void **state)
{
	struct owner owner = { 0 };
	char *big = calloc(1, 1 << 20), byte;
	int fds[2], i;

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0,
	    fds), 0);
	own(&owner, fds[0], 100);
	assert_int_equal(stream_write(owner.stream, big, 1 << 20), 0);
	stream_finish(owner.stream, 500);
	run_for(20);
	assert_int_equal(send(fds[1], "x", 1, MSG_NOSIGNAL), 1);
	/* Closed when our writes fail. */
	for (i = 0; i < 200 && send(fds[1], "x", 1, MSG_NOSIGNAL) == 1; i++)
		run_for(50);
	assert_in_range(i, 1, 199);
	while (recv(fds[1], &byte, 1, 0) == 1)
		;
	close(fds[1]);
	free(big);
}

/* --- TLS --- */

static void script_starttls_client(struct peer *peer)
{
	hear_line(peer);
	secure(peer);
	if (!peer->secured)
		return;
	say_secure(peer, "EHLO x\r\n");
	hear_secure(peer);
	say_secure(peer, "QUIT\r\n");
	hear_secure(peer);
	SSL_shutdown(peer->ssl);
	SSL_shutdown(peer->ssl);
}

static void serve_starttls(struct owner *owner, enum stream_event event)
{
	if (event == STREAM_INPUT) {
		/* The handshake is over: what came is under TLS. */
		assert_true(stream_is_secure(owner->stream));
		stream_write(owner->stream, "250 ok\r\n", 8);
	}
}

static void check_starttls_server(int version, const char *name)
{
	struct owner owner = { .hungry = true, .stop_at = "ETF",
	    .react = serve_starttls };
	struct peer peer = { .as_client = true, .version = version };

	own(&owner, start_peer(&peer, script_starttls_client), 100);
	stream_write(owner.stream, "220 go\r\n", 8);
	stream_secure_server(owner.stream, server);
	assert_false(stream_is_secure(owner.stream));
	run();
	assert_string_equal(stream_problem(owner.stream), "");
	assert_heard(&owner, "SIIE");
	assert_string_equal(owner.got, "EHLO x\r\nQUIT\r\n");
	assert_string_equal(stream_facts(owner.stream)->version, name);
	assert_false(stream_facts(owner.stream)->has_peer);
	stream_finish(owner.stream, 10000);
	join_peer(&peer);
	assert_string_equal(peer.got, "220 go\r\n250 ok\r\n250 ok\r\n");
}

static void test_server_handshake(void **state)
{
	(void)state;
	check_starttls_server(0, "TLSv1.3");
	check_starttls_server(TLS1_2_VERSION, "TLSv1.2");
}

/* The end of TLS comes behind the last words. */
static void script_quit(struct peer *peer)
{
	char byte;

	secure(peer);
	if (!peer->secured)
		return;
	say_secure(peer, "QUIT\r\n");
	hear_secure(peer);
	if (SSL_read(peer->ssl, &byte, 1) == 0 &&
	    SSL_get_shutdown(peer->ssl) & SSL_RECEIVED_SHUTDOWN)
		snprintf(peer->problem, sizeof peer->problem, "notified");
}

static void serve_quit(struct owner *owner, enum stream_event event)
{
	if (event != STREAM_INPUT)
		return;
	stream_write(owner->stream, "221 bye\r\n", 9);
	stream_leave(owner->stream, 10000);
}

static void test_leave_secure(void **state)
{
	struct owner owner = { .hungry = true, .react = serve_quit };
	struct peer peer = { .as_client = true };

	(void)state;
	own(&owner, start_peer(&peer, script_quit), 100);
	stream_secure_server(owner.stream, server);
	join_peer(&peer);
	assert_string_equal(peer.got, "221 bye\r\n");
	assert_string_equal(peer.problem, "notified");
}

static void script_starttls_server(struct peer *peer)
{
	hear_line(peer);
	say(peer, "220 go\r\n");
	secure(peer);
	if (!peer->secured)
		return;
	hear_secure(peer);
	say_secure(peer, "250 ok\r\n");
	hear_secure(peer);
	/* close_notify of the client, RFC 8314 3.4 (TLS-51). */
	if (SSL_read(peer->ssl, peer->problem, 1) == 0 &&
	    SSL_get_shutdown(peer->ssl) & SSL_RECEIVED_SHUTDOWN)
		snprintf(peer->problem, sizeof peer->problem, "notified");
	SSL_shutdown(peer->ssl);
}

static void ask_starttls(struct owner *owner, enum stream_event event)
{
	if (event == STREAM_INPUT && !stream_is_secure(owner->stream))
		stream_secure_client(owner->stream, plain_client, &no_check);
	else if (event == STREAM_SECURED)
		stream_write(owner->stream, "EHLO x\r\n", 8);
	else if (event == STREAM_INPUT)
		stop();
}

static void test_client_handshake(void **state)
{
	static const int versions[] = { 0, TLS1_2_VERSION };
	size_t i;

	(void)state;
	for (i = 0; i < COUNT(versions); i++) {
		struct owner owner = { .hungry = true, .stop_at = "ETFL",
		    .react = ask_starttls };
		struct peer peer = { .version = versions[i] };
		const struct tls_facts *facts;

		own(&owner, start_peer(&peer, script_starttls_server), 100);
		stream_write(owner.stream, "STARTTLS\r\n", 10);
		run();
		assert_string_equal(stream_problem(owner.stream), "");
		assert_heard(&owner, "ISI");
		assert_string_equal(owner.got, "220 go\r\n250 ok\r\n");
		facts = stream_facts(owner.stream);
		assert_true(facts->has_peer);
		assert_memory_equal(facts->certificate_digest,
		    certificate_digest(leaf), DIGEST_BYTES);
		stream_write(owner.stream, "QUIT\r\n", 6);
		stream_finish(owner.stream, 10000);
		join_peer(&peer);
		assert_string_equal(peer.got, "STARTTLS\r\nEHLO x\r\nQUIT\r\n");
		assert_string_equal(peer.problem, "notified");
	}
}

/* TLS-87: TLS from the first byte; names are checked on the way. */
static void test_both_ends(void **state)
{
	static const char *const names[] = { "mx.example.org",
	    "other.example.org" };
	char error[128];
	struct tls_client *client = tls_client_new(TLS_CHECK_NAME,
	    certificate_pem(authority), error, sizeof error);
	size_t i;

	(void)state;
	assert_non_null(client);
	for (i = 0; i < COUNT(names); i++) {
		struct owner one = { .stop_at = "SF" }, other = { 0 };
		struct tls_expect expect = { .check = TLS_CHECK_NAME,
		    .sni = names[i], .names = &names[i], .name_count = 1 };
		int fds[2];

		assert_int_equal(socketpair(AF_UNIX,
		    SOCK_STREAM | SOCK_NONBLOCK, 0, fds), 0);
		own(&one, fds[0], 100);
		own(&other, fds[1], 100);
		stream_secure_server(other.stream, server);
		stream_secure_client(one.stream, client, &expect);
		run();
		while (other.heard[0] == '\0')
			run_for(5);
		assert_string_equal(one.heard, "S");
		assert_string_equal(other.heard, "S");
		assert_string_equal(stream_sni(other.stream), names[i]);
		assert_string_equal(stream_facts(one.stream)->group, "X25519");
		/* The refusal is the owner's: the session goes on. */
		assert_int_equal(stream_facts(one.stream)->verified, i == 0);
		assert_string_equal(stream_facts(one.stream)->problem, i == 0 ?
		    "" : "the certificate is not for other.example.org");
		stream_free(one.stream);
		stream_free(other.stream);
	}
	tls_client_free(client);
}

/* --- TLS-25 to TLS-30: injection --- */

static void script_pipelined_starttls(struct peer *peer)
{
	say(peer, "STARTTLS\r\nRSET\r\n");
	hear_line(peer);
}

/* Answers STARTTLS as smtpd would, having taken its line and no more. */
static void answer_starttls(struct owner *owner, enum stream_event event)
{
	if (event != STREAM_INPUT)
		return;
	buf_consume(stream_input(owner->stream), 10);
	stream_consumed(owner->stream);
	stream_write(owner->stream, "220 go\r\n", 8);
	stream_secure_server(owner->stream, server);
}

/* TLS-26, TLS-29: one reader, and its buffer must be empty on upgrade. */
static void test_command_injection(void **state)
{
	/* RSET waits in the input, or, where only STARTTLS had room, in the
	 * socket. */
	static const size_t max_input[] = { 100, 10 };
	size_t i;

	(void)state;
	for (i = 0; i < COUNT(max_input); i++) {
		struct owner owner = { .stop_at = "SFE",
		    .react = answer_starttls };
		struct peer peer = { .as_client = true };
		int fd = start_peer(&peer, script_pipelined_starttls);
		struct pollfd entry = { .fd = fd, .events = POLLIN };

		poll(&entry, 1, 5000);
		own(&owner, fd, max_input[i]);
		run();
		assert_heard(&owner, "IF");
		assert_int_equal(stream_failure(owner.stream),
		    STREAM_FAILURE_INJECTION);
		assert_string_not_equal(stream_problem(owner.stream), "");
		assert_false(stream_is_secure(owner.stream));
		stream_free(owner.stream);
		join_peer(&peer);
		/* Not even the 220 has left. */
		assert_string_equal(peer.got, "");
	}
}

/* Bytes come while the line that begins TLS cannot leave yet. */
static void test_injection_before_220(void **state)
{
	struct owner owner = { .stop_at = "SF" };
	char *big = calloc(1, 1 << 20);
	int fds[2];

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0,
	    fds), 0);
	own(&owner, fds[0], 100);
	assert_int_equal(stream_write(owner.stream, big, 1 << 20), 0);
	stream_secure_server(owner.stream, server);
	run_for(20);
	assert_string_equal(owner.heard, "");
	assert_true(stream_pending(owner.stream) > 0);
	assert_int_equal(send(fds[1], "R", 1, 0), 1);
	run();
	assert_string_equal(owner.heard, "F");
	assert_int_equal(stream_failure(owner.stream),
	    STREAM_FAILURE_INJECTION);
	stream_free(owner.stream);
	close(fds[1]);
	free(big);
}

static void script_evil_reply(struct peer *peer)
{
	hear_line(peer);
	say(peer, "220 go\r\n250-evil\r\n250 AUTH PLAIN\r\n");
	secure(peer);
}

/* TLS-28 */
static void take_reply(struct owner *owner, enum stream_event event)
{
	if (event != STREAM_INPUT)
		return;
	buf_consume(stream_input(owner->stream), 8);
	stream_consumed(owner->stream);
	stream_secure_client(owner->stream, plain_client, &no_check);
}

static void test_response_injection(void **state)
{
	static const size_t max_input[] = { 100, 8 };
	size_t i;

	(void)state;
	for (i = 0; i < COUNT(max_input); i++) {
		struct owner owner = { .stop_at = "SFE", .react = take_reply };
		struct peer peer = { 0 };

		own(&owner, start_peer(&peer, script_evil_reply),
		    max_input[i]);
		stream_write(owner.stream, "STARTTLS\r\n", 10);
		run();
		assert_heard(&owner, "IF");
		assert_int_equal(stream_failure(owner.stream),
		    STREAM_FAILURE_INJECTION);
		stream_free(owner.stream);
		join_peer(&peer);
		assert_false(peer.secured);
	}
}

static void script_clear_instead(struct peer *peer)
{
	hear_line(peer);
	say(peer, "220 go\r\n");
	/* The ClientHello has come: answer it in clear. */
	need(recv(peer->fd, peer->got, 1, 0) == 1, "recv");
	say(peer, "250-mx.example.org\r\n250 SIZE\r\n");
}

/* TLS-60 */
static void test_clear_after_220(void **state)
{
	struct owner owner = { .hungry = true, .stop_at = "SFE",
	    .react = ask_starttls };
	struct peer peer = { 0 };

	(void)state;
	own(&owner, start_peer(&peer, script_clear_instead), 100);
	stream_write(owner.stream, "STARTTLS\r\n", 10);
	run();
	assert_heard(&owner, "IF");
	assert_int_equal(stream_failure(owner.stream),
	    STREAM_FAILURE_HANDSHAKE);
	assert_string_equal(stream_problem(owner.stream),
	    "handshake: peer sent clear text instead of TLS");
	assert_string_equal(owner.got, "220 go\r\n");
	stream_free(owner.stream);
	join_peer(&peer);
}

/* Bytes written while the handshake runs leave under TLS, not before it. */
static void script_count_clear(struct peer *peer)
{
	hear_line(peer);
	secure(peer);
	hear_secure(peer);
}

static void test_write_during_upgrade(void **state)
{
	struct owner owner = { .stop_at = "D" };
	struct peer peer = { .as_client = true };

	(void)state;
	own(&owner, start_peer(&peer, script_count_clear), 100);
	stream_write(owner.stream, "220 go\r\n", 8);
	stream_secure_server(owner.stream, server);
	stream_write(owner.stream, "421 bye\r\n", 9);
	run();
	stream_free(owner.stream);
	join_peer(&peer);
	assert_true(peer.secured);
	assert_string_equal(peer.got, "220 go\r\n421 bye\r\n");
}

/* --- handshakes that fail --- */

static void script_plaintext(struct peer *peer)
{
	say(peer, "EHLO client.example\r\nMAIL FROM:<>\r\n");
	while (strlen(peer->got) < 20) {
		size_t length = strlen(peer->got);

		hear_line(peer);
		if (strlen(peer->got) == length)
			break;
	}
}

/* TLS-33: the answer is an alert at most, never a line of SMTP. */
static void test_plaintext_to_tls_port(void **state)
{
	struct owner owner = { .stop_at = "SFE" };
	struct peer peer = { 0 };

	(void)state;
	own(&owner, start_peer(&peer, script_plaintext), 100);
	stream_secure_server(owner.stream, server);
	run();
	assert_string_equal(owner.heard, "F");
	assert_int_equal(stream_failure(owner.stream),
	    STREAM_FAILURE_HANDSHAKE);
	assert_string_equal(stream_problem(owner.stream),
	    "handshake: peer sent clear text instead of TLS");
	assert_false(stream_was_lost(owner.stream));
	stream_finish(owner.stream, 10000);
	join_peer(&peer);
	/* An alert record begins with 21. */
	assert_true(peer.got[0] == '\0' || peer.got[0] == 21);
}

static void script_only_handshake(struct peer *peer)
{
	secure(peer);
	hear_line(peer);
}

/* TLS-105, in both roles; the alert is named. */
static void test_old_version(void **state)
{
	struct owner owner = { .stop_at = "SFE" };
	struct peer peer = { .as_client = true, .version = TLS1_1_VERSION };

	(void)state;
	own(&owner, start_peer(&peer, script_only_handshake), 100);
	stream_secure_server(owner.stream, server);
	run();
	assert_string_equal(owner.heard, "F");
	assert_string_equal(stream_problem(owner.stream), "handshake: "
	    "unsupported protocol: the peer has no TLS 1.2 or 1.3");
	stream_finish(owner.stream, 10000);
	join_peer(&peer);
	assert_string_equal(peer.problem, "tlsv1 alert protocol version");

	memset(&owner, 0, sizeof owner);
	owner.stop_at = "SFE";
	memset(&peer, 0, sizeof peer);
	peer.version = TLS1_1_VERSION;
	own(&owner, start_peer(&peer, script_only_handshake), 100);
	stream_secure_client(owner.stream, plain_client, &no_check);
	run();
	assert_string_equal(owner.heard, "F");
	assert_int_equal(stream_failure(owner.stream),
	    STREAM_FAILURE_HANDSHAKE);
	assert_string_equal(stream_problem(owner.stream),
	    "handshake: tlsv1 alert protocol version");
	stream_free(owner.stream);
	join_peer(&peer);
}

static void script_no_suites(struct peer *peer)
{
	make_session(peer);
	SSL_set_cipher_list(peer->ssl, "AES128-SHA");
	secure(peer);
	hear_line(peer);
}

static void script_hang_up(struct peer *peer)
{
	char byte;

	need(recv(peer->fd, &byte, 1, 0) == 1, "recv");
	shutdown(peer->fd, SHUT_RDWR);
}

static void test_alert_is_named(void **state)
{
	struct owner owner = { .stop_at = "SFE" };
	struct peer peer = { .version = TLS1_2_VERSION };

	(void)state;
	own(&owner, start_peer(&peer, script_no_suites), 100);
	stream_secure_client(owner.stream, plain_client, &no_check);
	run();
	assert_string_equal(stream_problem(owner.stream),
	    "handshake: sslv3 alert handshake failure");
	/* REQ-45 tells what may pass from what will not. */
	assert_false(stream_was_lost(owner.stream));
	stream_free(owner.stream);
	join_peer(&peer);

	memset(&peer, 0, sizeof peer);
	own(&owner, start_peer(&peer, script_hang_up), 100);
	stream_secure_client(owner.stream, plain_client, &no_check);
	run();
	assert_int_equal(stream_failure(owner.stream),
	    STREAM_FAILURE_HANDSHAKE);
	assert_true(stream_was_lost(owner.stream));
	/* Which of the two depends on what the peer had not read. */
	if (strcmp(stream_problem(owner.stream),
	    "handshake: Connection reset by peer") != 0)
		assert_string_equal(stream_problem(owner.stream),
		    "handshake: the peer closed the connection");
	stream_free(owner.stream);
	join_peer(&peer);
}

static void test_handshake_deadline(void **state)
{
	struct owner owner = { .stop_at = "SFEL" };
	int fds[2], i;

	(void)state;
	for (i = 0; i < 2; i++) {
		assert_int_equal(socketpair(AF_UNIX,
		    SOCK_STREAM | SOCK_NONBLOCK, 0, fds), 0);
		memset(owner.heard, 0, sizeof owner.heard);
		own(&owner, fds[0], 100);
		stream_deadline(owner.stream, 30);
		if (i == 0)
			stream_secure_client(owner.stream, plain_client,
			    &no_check);
		else
			stream_secure_server(owner.stream, server);
		run();
		assert_string_equal(owner.heard, "L");
		assert_false(stream_is_secure(owner.stream));
		stream_finish(owner.stream, 1000);
		close(fds[1]);
	}
}

/* --- odd ways of transport --- */

/* Moves what the session wants to say to the socket, a byte at a time. */
static void drip(struct peer *peer, BIO *out)
{
	char byte;

	while (BIO_read(out, &byte, 1) == 1) {
		need(send(peer->fd, &byte, 1, MSG_NOSIGNAL) == 1, "send");
		if (rand() % 4 == 0)
			sched_yield();
	}
}

static void soak(struct peer *peer, BIO *in)
{
	char bytes[7];
	ssize_t result = recv(peer->fd, bytes, sizeof bytes, 0);

	need(result > 0, "recv");
	need(BIO_write(in, bytes, (int)result) == result, "BIO_write");
}

static void script_drip(struct peer *peer)
{
	BIO *in = BIO_new(BIO_s_mem()), *out = BIO_new(BIO_s_mem());

	BIO_set_mem_eof_return(in, -1);
	make_session(peer);
	SSL_set_bio(peer->ssl, in, out);
	while (SSL_do_handshake(peer->ssl) != 1) {
		drip(peer, out);
		soak(peer, in);
	}
	say_secure(peer, "slow but sure");
	drip(peer, out);
	while (SSL_read(peer->ssl, peer->got, sizeof peer->got - 1) <= 0)
		soak(peer, in);
	SSL_shutdown(peer->ssl);
	drip(peer, out);
}

static void answer_once(struct owner *owner, enum stream_event event)
{
	if (event == STREAM_INPUT && owner->total == 13)
		stream_write(owner->stream, "sure", 4);
}

static void test_byte_at_a_time(void **state)
{
	int as_client;

	(void)state;
	for (as_client = 0; as_client < 2; as_client++) {
		struct owner owner = { .hungry = true, .stop_at = "FTE",
		    .react = answer_once };
		struct peer peer = { .as_client = as_client };

		own(&owner, start_peer(&peer, script_drip), 100);
		if (as_client)
			stream_secure_server(owner.stream, server);
		else
			stream_secure_client(owner.stream, plain_client,
			    &no_check);
		run();
		assert_string_equal(stream_problem(owner.stream), "");
		assert_string_equal(owner.got, "slow but sure");
		assert_heard(&owner, "SIE");
		stream_free(owner.stream);
		join_peer(&peer);
		assert_string_equal(peer.got, "sure");
	}
}

static void script_cut(struct peer *peer)
{
	secure(peer);
	say_secure(peer, "half a mess");
	/* No close_notify. */
	shutdown(peer->fd, SHUT_WR);
	hear_line(peer);
}

/* TLS-34 */
static void test_truncation(void **state)
{
	static const int versions[] = { 0, TLS1_2_VERSION };
	size_t i;

	(void)state;
	for (i = 0; i < COUNT(versions); i++) {
		struct owner owner = { .hungry = true, .stop_at = "FTE" };
		struct peer peer = { .as_client = true,
		    .version = versions[i] };

		own(&owner, start_peer(&peer, script_cut), 100);
		stream_secure_server(owner.stream, server);
		run();
		assert_heard(&owner, "SIT");
		assert_string_equal(owner.got, "half a mess");
		stream_finish(owner.stream, 10000);
		join_peer(&peer);
	}
}

static void script_garbage(struct peer *peer)
{
	secure(peer);
	say(peer, "this is not TLS at all\r\n");
	hear_line(peer);
}

/* Clear bytes in the middle of TLS are never taken for input. */
static void test_garbage_under_tls(void **state)
{
	struct owner owner = { .hungry = true, .stop_at = "FTE" };
	struct peer peer = { .as_client = true };

	(void)state;
	own(&owner, start_peer(&peer, script_garbage), 100);
	stream_secure_server(owner.stream, server);
	run();
	assert_string_equal(owner.heard, "SF");
	assert_int_equal(stream_failure(owner.stream), STREAM_FAILURE_IO);
	assert_int_equal(owner.total, 0);
	stream_free(owner.stream);
	join_peer(&peer);
}

/* --- much data --- */

struct flood {
	size_t	 sent;
	size_t	 got;
	bool	 wrong;
	bool	 lazy;		/* consumes in a later turn, a part only */
};

static unsigned char pattern(size_t place)
{
	return (unsigned char)(place * 31 + place / 997);
}

static void feed(struct owner *owner)
{
	struct flood *flood = owner->extra;
	unsigned char chunk[30000];
	size_t i, length = BIG - flood->sent;

	if (length > sizeof chunk)
		length = sizeof chunk;
	for (i = 0; i < length; i++)
		chunk[i] = pattern(flood->sent + i);
	assert_int_equal(stream_write(owner->stream, chunk, length), 0);
	flood->sent += length;
}

static void eat(struct owner *owner, size_t most)
{
	struct flood *flood = owner->extra;
	struct buf *input = stream_input(owner->stream);
	const char *data = buf_data(input);
	size_t length = buf_length(input), i;

	if (length > most)
		length = most;
	for (i = 0; i < length; i++)
		if ((unsigned char)data[i] != pattern(flood->got + i))
			flood->wrong = true;
	flood->got += length;
	buf_consume(input, length);
	stream_consumed(owner->stream);
}

static unsigned flooding;

static void eat_later(void *arg)
{
	struct owner *owner = arg;
	struct flood *flood = owner->extra;

	eat(owner, 700);
	if (buf_length(stream_input(owner->stream)) > 0)
		loop_defer(eat_later, owner);
	if (flood->got == BIG && --flooding == 0)
		stop();
}

static void flood_react(struct owner *owner, enum stream_event event)
{
	struct flood *flood = owner->extra;

	if (event == STREAM_SECURED || event == STREAM_DRAINED) {
		if (flood->sent < BIG)
			feed(owner);
	} else if (event == STREAM_INPUT && flood->lazy) {
		loop_undefer(owner);
		loop_defer(eat_later, owner);
	} else if (event == STREAM_INPUT) {
		assert_true(buf_length(stream_input(owner->stream)) <= 4096);
		eat(owner, SIZE_MAX);
		if (flood->got == BIG && --flooding == 0)
			stop();
	} else {
		fail_msg("%s", stream_problem(owner->stream));
	}
}

/* 10 MB each way at the same time, through 4 KB of input; one side is lazy. */
static void test_flood(void **state)
{
	struct flood floods[2] = { { .lazy = false }, { .lazy = true } };
	struct owner owners[2] = {
		{ .react = flood_react, .extra = &floods[0] },
		{ .react = flood_react, .extra = &floods[1] } };
	struct endpoint any, there;
	int listener, i;

	(void)state;
	assert_int_equal(endpoint_parse(&any, "127.0.0.1", 0), 0);
	listener = net_listen(&any, 5);
	net_local(listener, &there);
	owners[0].stream = stream_connect(&there, NULL, 4096, on_event,
	    &owners[0]);
	owners[0].react = NULL;
	owners[0].stop_at = "CF";
	run();
	owners[0].react = flood_react;
	owners[0].stop_at = NULL;
	own(&owners[1], net_accept(listener, NULL), 4096);
	close(listener);
	stream_secure_client(owners[0].stream, plain_client, &no_check);
	stream_secure_server(owners[1].stream, server);
	flooding = 2;
	run();
	for (i = 0; i < 2; i++) {
		assert_int_equal(floods[i].got, BIG);
		assert_false(floods[i].wrong);
		assert_int_equal(stream_bytes_in(owners[i].stream), BIG);
		assert_int_equal(stream_bytes_out(owners[i].stream), BIG);
		stream_free(owners[i].stream);
	}
}

static void script_one_record(struct peer *peer)
{
	char big[16000];

	memset(big, 'x', sizeof big);
	secure(peer);
	need(SSL_write(peer->ssl, big, sizeof big) == sizeof big, "SSL_write");
	/* Nothing more comes: the socket will not wake anybody. */
	hear_secure(peer);
}

/* A whole record is decrypted at once; what has no room stays with OpenSSL
 * and comes when there is room, although the socket is silent. */
static void test_held_back(void **state)
{
	struct owner owner = { .hungry = false, .stop_at = "IFTE" };
	struct peer peer = { .as_client = true };
	size_t total = 0;

	(void)state;
	own(&owner, start_peer(&peer, script_one_record), 1000);
	stream_secure_server(owner.stream, server);
	while (total < 16000) {
		run();
		assert_string_equal(stream_problem(owner.stream), "");
		run_for(1);
		assert_int_equal(buf_length(stream_input(owner.stream)), 1000);
		/* The pause holds it back too. */
		if (total == 5000) {
			stream_pause(owner.stream);
			buf_consume(stream_input(owner.stream), 1000);
			stream_consumed(owner.stream);
			run_for(10);
			assert_int_equal(buf_length(
			    stream_input(owner.stream)), 0);
			stream_resume(owner.stream);
		} else {
			buf_consume(stream_input(owner.stream), 1000);
			stream_consumed(owner.stream);
		}
		total += 1000;
	}
	stream_write(owner.stream, "thanks", 6);
	stream_finish(owner.stream, 10000);
	join_peer(&peer);
	assert_string_equal(peer.got, "thanks");
}

static int set_up(void **state)
{
	char error[256];

	(void)state;
	log_init("test", LOG_LEVEL_ERROR);
	loop_init();
	tls_init();
	authority = certificate_new(&(struct certificate_plan){
	    .common_name = "authority", .authority = true });
	leaf = certificate_new(&(struct certificate_plan){
	    .common_name = "leaf", .alternative_names = "DNS:mx.example.org",
	    .issuer = authority });
	server = tls_server_new();
	plain_client = tls_client_new(TLS_CHECK_NONE, NULL, error,
	    sizeof error);
	return tls_server_add(server, "test", certificate_pem(leaf),
	    certificate_key_pem(leaf), error, sizeof error);
}

static int tear_down(void **state)
{
	(void)state;
	tls_server_free(server);
	tls_client_free(plain_client);
	certificate_free(leaf);
	certificate_free(authority);
	loop_release();
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_clear),
		cmocka_unit_test(test_one_write_a_turn),
		cmocka_unit_test(test_drained_above),
		cmocka_unit_test(test_ceilings),
		cmocka_unit_test(test_connect),
		cmocka_unit_test(test_connect_shortage),
		cmocka_unit_test(test_last_words),
		cmocka_unit_test(test_deadline),
		cmocka_unit_test(test_free_inside),
		cmocka_unit_test(test_finish),
		cmocka_unit_test(test_leave),
		cmocka_unit_test(test_finish_deadline),
		cmocka_unit_test(test_server_handshake),
		cmocka_unit_test(test_leave_secure),
		cmocka_unit_test(test_client_handshake),
		cmocka_unit_test(test_both_ends),
		cmocka_unit_test(test_command_injection),
		cmocka_unit_test(test_injection_before_220),
		cmocka_unit_test(test_response_injection),
		cmocka_unit_test(test_clear_after_220),
		cmocka_unit_test(test_write_during_upgrade),
		cmocka_unit_test(test_plaintext_to_tls_port),
		cmocka_unit_test(test_old_version),
		cmocka_unit_test(test_alert_is_named),
		cmocka_unit_test(test_handshake_deadline),
		cmocka_unit_test(test_byte_at_a_time),
		cmocka_unit_test(test_truncation),
		cmocka_unit_test(test_garbage_under_tls),
		cmocka_unit_test(test_flood),
		cmocka_unit_test(test_held_back)
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
