/* SPDX-License-Identifier: ISC */
/*
 * delivery/attempt.c where no dialogue is needed: discard, plans without
 * hosts, addresses nobody may connect to, being stopped at each stage, and how
 * much of a message is held at once.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <cmocka.h>
#include <openssl/ssl.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/loop.h"
#include "base/mem.h"
#include "base/net.h"
#include "base/stream.h"
#include "base/tls.h"
#include "conf/conf.h"
#include "delivery/attempt.h"
#include "delivery/payload.h"
#include "delivery/pool.h"
#include "delivery/profile.h"
#include "policy/plan.h"
#include "queue/envelope.h"
#include "tests/fake_policy_client.h"
#include "tests/fake_worker.h"
#include "tests/unit/certificates.h"

static struct attempt_scene scene;
static struct profile *profile;
static struct status last;
static unsigned finished;
static struct plan plan;
static struct plan_host host;
static struct endpoint address;

static void on_finished(const struct job *job, const struct status *statuses,
    bool tls_trouble)
{
	(void)tls_trouble;
	assert_true(job->recipient_count > 0);
	last = statuses[0];
	finished++;
}

static void on_over(void *arg, struct attempt *attempt)
{
	(void)arg;
	(void)attempt;
	loop_stop();
}

static void stop(void *arg)
{
	(void)arg;
	loop_stop();
}

static void some_turns(int turns)
{
	while (turns-- > 0) {
		loop_defer(stop, NULL);
		loop_run();
	}
}

static void set_profile(void)
{
	char error[100];

	profile = mem_alloc(sizeof(*profile));
	profile->references = 1;
	profile->conf = mem_alloc(sizeof(*profile->conf));
	profile->conf->hostname = mem_dup_string("client.test");
	profile->conf->hello_ipv4 = mem_dup_string("client.test");
	profile->conf->hello_ipv6 = mem_dup_string("client.test");
	profile->conf->connect_timeout = profile->conf->reply_timeout = 20;
	profile->conf->greeting_timeout = 20;
	profile->tls[TLS_CHECK_NONE] = tls_client_new(TLS_CHECK_NONE, NULL,
	    error, sizeof(error));
	scene.profile = profile;
}

static int set_up(void **state)
{
	(void)state;
	set_profile();
	scene = (struct attempt_scene){ .profile = profile,
	    .pool = pool_new(), .over = on_over };
	memset(&plan, 0, sizeof(plan));
	memset(&host, 0, sizeof(host));
	snprintf(host.name, sizeof(host.name), "mx.test");
	host.requirement = REQUIRE_CLEAR;
	host.addresses = &address;
	host.address_count = 1;
	plan.hosts = &host;
	fake_policy_plan = &plan;
	fake_worker_finished = on_finished;
	fake_policy_seen_count = 0;
	finished = 0;
	memset(&last, 0, sizeof(last));
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	pool_free(scene.pool);
	profile_release(profile);
	some_turns(3);
	return 0;
}

static struct job *make_job(enum conf_transport transport, const char *to)
{
	struct fake_job made = { .transport = transport, .domain = "b.test",
	    .sender = "a@a.test", .body = "x\r\n", .body_length = 3 };
	struct job *job = fake_job_new(&made);

	fake_job_add(job, to, NULL, 0);
	return job;
}

/* Discard does not ask for a plan or read a byte, and is cheap: far more than
 * 10,000 a second of processor time, also under the sanitizers. */
static void discard(void **state)
{
	clock_t start = clock();
	unsigned questions = fake_policy_questions, reads = fake_worker_reads;
	int i;

	(void)state;
	for (i = 0; i < 10000; i++)
		assert_null(attempt_start(&scene,
		    make_job(TRANSPORT_DISCARD, "b@b.test")));
	assert_int_equal(finished, 10000);
	assert_int_equal(last.outcome, STATUS_DELIVERED);
	assert_string_equal(last.text, "discarded");
	assert_int_equal(fake_policy_questions, questions);
	assert_int_equal(fake_worker_reads, reads);
	assert_true(clock() - start < 5 * CLOCKS_PER_SEC);
}

static void misdirected(void **state)
{
	(void)state;
	assert_null(attempt_start(&scene,
	    make_job(TRANSPORT_MAILDIR, "b@b.test")));
	assert_int_equal(finished, 1);
	assert_int_equal(last.outcome, STATUS_DEFERRED);
}

/* A plan without hosts decides by itself: null MX, DNS errors (SMTP-172). */
static void no_hosts(void **state)
{
	(void)state;
	plan.host_count = 0;
	status_set(&plan.status, STATUS_FAILED, REASON_NULL_MX, "5.1.10",
	    "the domain takes no mail");
	attempt_start(&scene, make_job(TRANSPORT_SMTP, "b@b.test"));
	loop_run();
	assert_int_equal(finished, 1);
	assert_int_equal(last.outcome, STATUS_FAILED);
	assert_int_equal(last.reason, REASON_NULL_MX);
}

/* The plan is that of the recipients' domain, also where a route sends several
 * domains to one host: each has a level of its own. */
static void asks_for_the_domain(void **state)
{
	struct job *job = make_job(TRANSPORT_SMTP, "b@b.test");

	(void)state;
	plan.host_count = 0;
	status_set(&plan.status, STATUS_DEFERRED, REASON_DNS, "4.4.3", "x");
	snprintf(job->next.host, sizeof(job->next.host), "smarthost.test");
	job->next.port = 587;
	job->next.implicit_tls = true;
	job->arrival = clock_wall() - 7205000;
	attempt_start(&scene, job);
	assert_string_equal(fake_policy_domain, "b.test");
	assert_string_equal(fake_policy_next.host, "smarthost.test");
	assert_int_equal(fake_policy_next.port, 587);
	assert_true(fake_policy_next.implicit_tls);
	assert_in_range(fake_policy_waited, 7205, 7300);
	assert_int_equal(fake_policy_wish, WISH_NONE);
	assert_int_equal(fake_policy_level, -1);
	loop_run();
	assert_int_equal(finished, 1);
}

/* What the sender and the operator wish goes into the question. */
static void asks_with_the_wish(void **state)
{
	static const struct {
		uint32_t	 flags;
		const char	*sender;
		enum plan_wish	 wish;
	} cases[] = {
		{ 0, "a@a.test", WISH_NONE },
		{ 0, "", WISH_NONE },
		{ ENVELOPE_BOUNCE, "", WISH_NONE },
		{ ENVELOPE_REQUIRETLS, "a@a.test", WISH_REQUIRETLS },
		{ ENVELOPE_REQUIRETLS, "", WISH_REQUIRETLS_BOUNCE },
		{ ENVELOPE_REQUIRETLS | ENVELOPE_BOUNCE, "",
		    WISH_REQUIRETLS_BOUNCE },
		{ ENVELOPE_TLS_OPTIONAL, "a@a.test", WISH_OPTIONAL },
		{ ENVELOPE_TLS_OPTIONAL, "", WISH_OPTIONAL },
		/* REQ-17 */
		{ ENVELOPE_TLS_OPTIONAL | ENVELOPE_REQUIRETLS, "a@a.test",
		    WISH_REQUIRETLS },
	};
	struct job *job;
	size_t i;

	(void)state;
	plan.host_count = 0;
	status_set(&plan.status, STATUS_DEFERRED, REASON_DNS, "4.4.3", "x");
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		job = make_job(TRANSPORT_SMTP, "b@b.test");
		job->flags = cases[i].flags;
		job->sender = (char *)(uintptr_t)cases[i].sender;
		job->tls_level = (int)i;
		attempt_start(&scene, job);
		assert_int_equal(fake_policy_wish, cases[i].wish);
		assert_int_equal(fake_policy_level, i);
		loop_run();
	}
	assert_int_equal(finished, i);
}

/* A plan that was made for other mail is not gone by. */
static void plan_of_another_wish(void **state)
{
	struct job *job = make_job(TRANSPORT_SMTP, "b@b.test");

	(void)state;
	plan.host_count = 1;
	job->flags = ENVELOPE_REQUIRETLS;
	attempt_start(&scene, job);
	loop_run();
	assert_int_equal(finished, 1);
	assert_int_equal(last.outcome, STATUS_DEFERRED);
	assert_int_equal(last.reason, REASON_LOCAL);
	assert_int_equal(fake_policy_seen_count, 0);
}

/* The end of the role does not wait for policy, which may be gone first: who
 * is settled is reported, the others wait. */
static void stop_while_asking(void **state)
{
	struct job *job = make_job(TRANSPORT_SMTP, "b@b.test");
	struct attempt *attempt;

	(void)state;
	fake_job_add(job, "bad\r\n@b.test", NULL, 0);
	plan.host_count = 1;
	attempt = attempt_start(&scene, job);
	/* nothing to ask again: nothing was answered yet */
	attempt_replan(attempt, "");
	assert_true(attempt_stop(attempt));
	assert_int_equal(finished, 1);
	assert_int_equal(last.outcome, STATUS_DEFERRED);
	assert_int_equal(last.reason, REASON_LOCAL);
	/* and nothing comes of a change any more */
	attempt_replan(attempt, "");
	some_turns(3);
	assert_int_equal(finished, 1);
}

/* Hosts whose addresses are not for mail: SMTP-175. */
static void bad_addresses(void **state)
{
	static const char *const texts[] = { "127.0.0.1", "127.9.9.9", "::1",
	    "0.0.0.0", "::", "224.0.0.1", "255.255.255.255" };
	size_t i;

	(void)state;
	plan.host_count = 1;
	for (i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		assert_int_equal(endpoint_parse(&address, texts[i], 25), 0);
		attempt_start(&scene, make_job(TRANSPORT_SMTP, "b@b.test"));
		loop_run();
		assert_int_equal(last.outcome, STATUS_DEFERRED);
		assert_int_equal(last.reason, REASON_NO_HOST);
	}
	assert_int_equal(finished, sizeof(texts) / sizeof(texts[0]));
}

/* The administrator's own address is taken at its word. */
static void written_loopback(void **state)
{
	struct job *job = make_job(TRANSPORT_SMTP, "b@b.test");

	(void)state;
	plan.host_count = 1;
	snprintf(job->next.host, sizeof(job->next.host), "127.0.0.1");
	/* port 1 of this machine: nobody listens */
	assert_int_equal(endpoint_parse(&address, "127.0.0.1", 1), 0);
	attempt_start(&scene, job);
	loop_run();
	assert_int_equal(last.outcome, STATUS_DEFERRED);
	assert_int_equal(last.reason, REASON_CONNECT);
}

/* What the operator has paused is not connected to, by name or address, and
 * whatever else is wrong, the mail waits. */
static void paused_host(void **state)
{
	static const char *const pauses[] = { "mx.b.test", "127.0.0.1" };
	struct job *job;

	(void)state;
	plan.host_count = 1;
	snprintf(host.name, sizeof(host.name), "mx.b.test");
	assert_int_equal(endpoint_parse(&address, "127.0.0.1", 1), 0);
	for (size_t i = 0; i < sizeof(pauses) / sizeof(pauses[0]); i++) {
		job = make_job(TRANSPORT_SMTP, "b@b.test");
		snprintf(job->next.host, sizeof(job->next.host), "127.0.0.1");
		fake_worker_pause = pauses[i];
		attempt_start(&scene, job);
		loop_run();
		fake_worker_pause = NULL;
		assert_int_equal(finished, i + 1);
		assert_int_equal(last.outcome, STATUS_DEFERRED);
		assert_int_equal(last.reason, REASON_PAUSED);
		assert_non_null(strstr(last.text, "their move"));
	}
}

/* An address with a line end in it is said to nobody. */
static void unsafe_address(void **state)
{
	(void)state;
	plan.host_count = 1;
	attempt_start(&scene, make_job(TRANSPORT_SMTP,
	    "b@b.test>\r\nRCPT TO:<c@c.test"));
	loop_run();
	assert_int_equal(finished, 1);
	assert_int_equal(last.outcome, STATUS_FAILED);
	assert_int_equal(last.enhanced_detail, 3);
}

/* Stopped before anything was said: the job stays the queue's. */
static void stop_early(void **state)
{
	struct job *job = make_job(TRANSPORT_SMTP, "b@b.test");
	struct attempt *attempt;
	struct endpoint local;
	int turns, listener;

	(void)state;
	/* A host that never greets. */
	endpoint_parse(&local, "127.0.0.1", 0);
	listener = net_listen(&local, 4);
	net_local(listener, &address);
	profile->conf->allow_loopback = true;
	plan.host_count = 1;
	for (turns = 0; turns < 4; turns++) {
		attempt = attempt_start(&scene, job);
		some_turns(turns);
		assert_false(attempt_stop(attempt));
		some_turns(3);
		assert_int_equal(finished, 0);
	}
	fake_job_free(job);
	close(listener);
}

/* A server in a process of its own that offers little room and hears QUIT. */
static pid_t serve_small(int listener)
{
	static const char greeting[] = "220 small.test\r\n",
	    offer[] = "250-small.test\r\n250 SIZE 2\r\n";
	pid_t server = fork();
	char line[200];
	int fd;

	assert_int_not_equal(server, -1);
	if (server > 0)
		return server;
	while ((fd = accept(listener, NULL, NULL)) == -1)
		usleep(1000);
	fcntl(fd, F_SETFL, 0);
	if (write(fd, greeting, sizeof(greeting) - 1) < 0 ||
	    read(fd, line, sizeof(line)) <= 0 ||
	    write(fd, offer, sizeof(offer) - 1) < 0)
		_exit(1);
	while (read(fd, line, sizeof(line)) > 0)
		if (strncmp(line, "QUIT", 4) == 0)
			break;
	_exit(0);
}

/* SMTP-97: a message is too large only when every host said so. One host did,
 * and the role is stopped before the next could speak: it waits. */
static void stop_before_last_host(void **state)
{
	struct job *job = make_job(TRANSPORT_SMTP, "b@b.test");
	struct plan_host hosts[2];
	struct endpoint places[2], local;
	int listeners[2], status, i;
	struct attempt *attempt;
	pid_t server;

	(void)state;
	/* Somebody is settled, so that stopping has to report. */
	fake_job_add(job, "bad\r\n@b.test", NULL, 0);
	endpoint_parse(&local, "127.0.0.1", 0);
	for (i = 0; i < 2; i++) {
		listeners[i] = net_listen(&local, 4);
		net_local(listeners[i], &places[i]);
		hosts[i] = host;
		hosts[i].addresses = &places[i];
	}
	server = serve_small(listeners[0]);
	profile->conf->allow_loopback = true;
	plan.hosts = hosts;
	plan.host_count = 2;
	attempt = attempt_start(&scene, job);
	while (waitpid(server, &status, WNOHANG) == 0) {
		some_turns(3);
		usleep(1000);
	}
	assert_int_equal(status, 0);
	some_turns(5);
	assert_int_equal(finished, 0);	/* the second host is silent */
	assert_true(attempt_stop(attempt));
	some_turns(5);
	assert_int_equal(finished, 1);
	assert_int_equal(last.outcome, STATUS_DEFERRED);
	plan.hosts = &host;
	close(listeners[0]);
	close(listeners[1]);
}

/* A server that takes a message, and only then hears of what comes. */
static pid_t serve_all(int listener)
{
	static const char *const replies[] = { "220 a.test\r\n",
	    "250 a.test\r\n", "250 ok\r\n", "250 ok\r\n", "354 go\r\n",
	    "250 ok\r\n" };
	pid_t server = fork();
	char line[200];
	size_t i;
	int fd;

	assert_int_not_equal(server, -1);
	if (server > 0)
		return server;
	while ((fd = accept(listener, NULL, NULL)) == -1)
		usleep(1000);
	fcntl(fd, F_SETFL, 0);
	for (i = 0; i < sizeof(replies) / sizeof(replies[0]); i++)
		if (write(fd, replies[i], strlen(replies[i])) < 0 ||
		    read(fd, line, sizeof(line)) <= 0)
			_exit(i + 1 == sizeof(replies) / sizeof(replies[0]) ?
			    0 : 1);
	_exit(0);
}

/* A connection opened before a reload serves no message of after it. */
static void reload_on_the_way(void **state)
{
	struct profile *old = profile;
	struct endpoint local;
	int listener, status, reloads;
	pid_t server;

	for (reloads = 0; reloads < 2; reloads++) {
		endpoint_parse(&local, "127.0.0.1", 0);
		listener = net_listen(&local, 4);
		net_local(listener, &address);
		old->conf->allow_loopback = true;
		old->conf->reuse_limit = old->conf->reuse_idle = 10;
		old->conf->data_reply_timeout = 20;
		plan.host_count = 1;
		server = serve_all(listener);
		attempt_start(&scene, make_job(TRANSPORT_SMTP, "b@b.test"));
		some_turns(2);
		if (reloads > 0) {
			profile = NULL;
			scene.profile = NULL;
			set_profile();
			profile_release(old);
		}
		loop_run();
		assert_int_equal(last.outcome, STATUS_RELAYED);
		assert_int_equal(pool_count(scene.pool), reloads == 0);
		pool_flush(scene.pool);
		some_turns(3);
		close(listener);
		while (waitpid(server, &status, WNOHANG) == 0)
			some_turns(1);
		assert_int_equal(status, 0);
	}
	(void)state;
}

static int accept_one(int listener)
{
	int fd;

	while ((fd = accept(listener, NULL, NULL)) == -1)
		usleep(1000);
	fcntl(fd, F_SETFL, 0);
	return fd;
}

/* Says text and waits for a line that begins so. */
static void exchange(int fd, const char *text, const char *wanted)
{
	char line[200] = "";

	if (write(fd, text, strlen(text)) < 0 ||
	    read(fd, line, sizeof(line) - 1) <= 0 ||
	    strncmp(line, wanted, strlen(wanted)) != 0)
		_exit(1);
}

/* TLS is broken at both addresses; each is asked for STARTTLS before the first
 * is asked in clear, and in clear both are busy. */
static pid_t serve_two(const int listeners[2])
{
	static const char offer[] = "250-a.test\r\n250 STARTTLS\r\n";
	pid_t server = fork();
	int fd, i;

	assert_int_not_equal(server, -1);
	if (server > 0)
		return server;
	for (i = 0; i < 4; i++) {
		fd = accept_one(listeners[i % 2]);
		if (i >= 2) {
			exchange(fd, "421 busy\r\n", "QUIT");
		} else {
			exchange(fd, "220 a.test\r\n", "EHLO");
			exchange(fd, offer, "STARTTLS");
			exchange(fd, "454 no\r\n", "QUIT");
		}
		close(fd);
	}
	_exit(0);
}

/* TLS-65, N-22: clear after broken TLS is for the addresses where it broke, and
 * comes when all of them have been asked for TLS. */
static void clear_comes_last(void **state)
{
	struct endpoint places[2], local;
	int listeners[2], status, i;
	pid_t server;

	(void)state;
	endpoint_parse(&local, "127.0.0.1", 0);
	for (i = 0; i < 2; i++) {
		listeners[i] = net_listen(&local, 4);
		net_local(listeners[i], &places[i]);
	}
	profile->conf->allow_loopback = true;
	host.requirement = REQUIRE_OPPORTUNISTIC;
	host.addresses = places;
	host.address_count = 2;
	plan.host_count = 1;
	plan.broken_tls = FALLBACK_CLEAR;
	server = serve_two(listeners);
	attempt_start(&scene, make_job(TRANSPORT_SMTP, "b@b.test"));
	while (waitpid(server, &status, WNOHANG) == 0)
		some_turns(2);
	assert_int_equal(status, 0);
	close(listeners[0]);
	close(listeners[1]);
	for (i = 0; i < 2000 && finished == 0; i++) {
		some_turns(2);
		usleep(1000);
	}
	assert_int_equal(finished, 1);
	assert_int_equal(last.outcome, STATUS_DEFERRED);
}

/* A certificate of its own making, and one is demanded of the client. */
static SSL_CTX *demanding_context(void)
{
	struct certificate *certificate = certificate_new(
	    &(struct certificate_plan){ .common_name = "a.test" });
	SSL_CTX *context = SSL_CTX_new(TLS_server_method());

	SSL_CTX_set_min_proto_version(context, TLS1_3_VERSION);
	SSL_CTX_use_certificate(context, certificate_x509(certificate));
	SSL_CTX_use_PrivateKey(context, certificate_key(certificate));
	SSL_CTX_set_verify(context, SSL_VERIFY_PEER |
	    SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
	certificate_free(certificate);
	return context;
}

/* Under TLS 1.3 the client is done before the server looks at what it showed:
 * the alert comes behind the handshake. Then, perhaps, a session in clear. */
static pid_t serve_alert(int listener, bool then_clear)
{
	static const char offer[] = "250-a.test\r\n250 STARTTLS\r\n";
	pid_t server = fork();
	char rest[100];
	SSL *ssl;
	int fd;

	assert_int_not_equal(server, -1);
	if (server > 0)
		return server;
	fd = accept_one(listener);
	exchange(fd, "220 a.test\r\n", "EHLO");
	exchange(fd, offer, "STARTTLS");
	if (write(fd, "220 go\r\n", 8) != 8)
		_exit(1);
	ssl = SSL_new(demanding_context());
	SSL_set_fd(ssl, fd);
	if (SSL_accept(ssl) == 1)
		_exit(2);
	while (read(fd, rest, sizeof(rest)) > 0)
		continue;
	close(fd);
	if (!then_clear)
		_exit(0);
	fd = accept_one(listener);
	exchange(fd, "220 a.test\r\n", "EHLO");
	exchange(fd, offer, "MAIL");
	exchange(fd, "450 enough\r\n", "QUIT");
	_exit(0);
}

/* T-20, T-21: that is broken TLS, not a lost connection. */
static void alert_behind_the_handshake(void **state)
{
	static const enum requirement requirements[] = { REQUIRE_ENCRYPTED,
	    REQUIRE_OPPORTUNISTIC };
	struct endpoint local;
	int listener, status;
	pid_t server;
	size_t i;

	(void)state;
	profile->conf->allow_loopback = true;
	profile->conf->handshake_timeout = 20;
	plan.host_count = 1;
	plan.broken_tls = FALLBACK_CLEAR;
	for (i = 0; i < 2; i++) {
		endpoint_parse(&local, "127.0.0.1", 0);
		listener = net_listen(&local, 4);
		net_local(listener, &address);
		host.requirement = requirements[i];
		server = serve_alert(listener, i == 1);
		attempt_start(&scene, make_job(TRANSPORT_SMTP, "b@b.test"));
		loop_run();
		assert_int_equal(last.outcome, STATUS_DEFERRED);
		if (i == 0)
			assert_int_equal(last.reason, REASON_TLS_HANDSHAKE);
		else
			assert_int_equal(last.code, 450);
		close(listener);
		while (waitpid(server, &status, WNOHANG) == 0)
			some_turns(1);
		assert_int_equal(status, 0);
	}
}

/* What waits in the process of a message that the peer does not read. */
static struct stream *halves[2];
static size_t most;
static bool said;

static void on_stream(void *arg, struct stream *stream,
    enum stream_event event)
{
	struct payload *payload = arg;

	if (event == STREAM_INPUT && stream == halves[1]) {
		buf_reset(stream_input(stream));
		stream_consumed(stream);
	}
	if (event == STREAM_DRAINED && payload != NULL)
		payload_pump(payload);
	if (stream_pending(halves[0]) > most)
		most = stream_pending(halves[0]);
	if (said && stream_bytes_in(halves[1]) == stream_bytes_out(halves[0]) &&
	    stream_pending(halves[0]) == 0)
		loop_stop();
}

static void on_payload(void *arg, enum payload_event event)
{
	(void)arg;
	assert_int_equal(event, PAYLOAD_SAID);
	said = true;
}

/* SMTP-88: 10 MB through a window, to a reader with a small buffer. */
static void window(void **state)
{
	size_t length = 10 << 20;
	char *body = mem_alloc(length);
	struct fake_job made = { .domain = "b.test", .sender = "a@a.test",
	    .body = body, .body_length = length };
	struct job *job = fake_job_new(&made);
	struct payload payload;
	int fds[2];

	(void)state;
	memset(body, 'x', length);
	assert_int_equal(socketpair(AF_UNIX,
	    SOCK_STREAM | SOCK_NONBLOCK, 0, fds), 0);
	payload_init(&payload);
	halves[0] = stream_new(fds[0], 1024, on_stream, &payload);
	halves[1] = stream_new(fds[1], 1024, on_stream, NULL);
	most = 0;
	said = false;
	fake_worker_reads = 0;
	payload_start(&payload, job, halves[0], on_payload, NULL);
	loop_run();
	assert_true(fake_worker_reads >= length / WORKER_READ_MAX);
	assert_int_equal(stream_bytes_out(halves[0]), length + 5);
	assert_true(most <= PAYLOAD_WINDOW + 2 * WORKER_READ_MAX + 16);
	stream_free(halves[0]);
	stream_free(halves[1]);
	payload_release(&payload);
	fake_job_free(job);
	mem_free(body);
}

int main(void)
{
#define WITH_SCENE(test) \
	cmocka_unit_test_setup_teardown(test, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		WITH_SCENE(discard),
		WITH_SCENE(misdirected),
		WITH_SCENE(no_hosts),
		WITH_SCENE(asks_for_the_domain),
		WITH_SCENE(asks_with_the_wish),
		WITH_SCENE(plan_of_another_wish),
		WITH_SCENE(stop_while_asking),
		WITH_SCENE(bad_addresses),
		WITH_SCENE(written_loopback),
		WITH_SCENE(paused_host),
		WITH_SCENE(unsafe_address),
		WITH_SCENE(stop_early),
		WITH_SCENE(stop_before_last_host),
		WITH_SCENE(reload_on_the_way),
		WITH_SCENE(clear_comes_last),
		WITH_SCENE(alert_behind_the_handshake),
		cmocka_unit_test(window),
	};
	int status;

	log_init("test", LOG_LEVEL_ERROR);
	tls_init();
	loop_init();
	status = cmocka_run_group_tests(tests, NULL, NULL);
	loop_release();
	return status;
}
