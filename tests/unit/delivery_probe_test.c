/* SPDX-License-Identifier: ISC */
/*
 * delivery/probe.c against servers on the loopback: what is reported of each
 * kind of host, in which order, and that no server ever hears MAIL.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/queue.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/log.h"
#include "base/loop.h"
#include "base/mem.h"
#include "base/net.h"
#include "base/stream.h"
#include "base/tls.h"
#include "conf/conf.h"
#include "delivery/probe.h"
#include "delivery/profile.h"
#include "policy/plan.h"
#include "tests/unit/certificates.h"

enum { HOSTS_MAX = 6, REPORTS_MAX = 16, PATIENCE = 30000 };

/* What a server does; WELL takes mail, and TLS where it offers it. */
enum manner { WELL, NO_STARTTLS, MANGLED, REFUSES_STARTTLS, REFUSES, SILENT,
    IMPLICIT, CLOSED };

struct server {
	enum manner	 manner;
	int		 listener;
	struct watch	 watch;
	struct endpoint	 address;
};

struct visit {
	LIST_ENTRY(visit)	 link;
	struct server		*server;
	struct stream		*stream;
};

static LIST_HEAD(, visit) visits = LIST_HEAD_INITIALIZER(visits);
static struct certificate *authority, *leaf;
static struct tls_server *tls;
static struct profile *profile;
static struct server servers[HOSTS_MAX];
static struct plan_host hosts[HOSTS_MAX];
static struct dane_record tlsa[1];
static struct plan plan;
static struct conf_next_hop next = { .transport = TRANSPORT_SMTP,
    .host = "b.test", .port = 25, .mx = true };
static size_t host_count;
static json_t *reports[REPORTS_MAX];
static size_t report_count;
static bool ended;
static unsigned quits, hellos, connections;
static char names[] = "mx.test";
static char *name_list[] = { names };

/* --- servers --- */

static void say(struct visit *visit, const char *text)
{
	stream_write(visit->stream, text, strlen(text));
}

static void leave(struct visit *visit)
{
	stream_free(visit->stream);
	LIST_REMOVE(visit, link);
	mem_free(visit);
}

static void answer_hello(struct visit *visit)
{
	bool secure = stream_is_secure(visit->stream);

	hellos++;
	if (secure && visit->server->manner == WELL)
		say(visit, "250-mx.test\r\n250 REQUIRETLS\r\n");
	else if (secure || visit->server->manner == NO_STARTTLS)
		say(visit, "250-mx.test\r\n250 HELP\r\n");
	else if (visit->server->manner == MANGLED)
		say(visit, "250-mx.test\r\n250 XXXXXXXA\r\n");
	else
		say(visit, "250-mx.test\r\n250 STARTTLS\r\n");
}

/* False: the visit is over. */
static bool answer(struct visit *visit, const char *line)
{
	if (strncmp(line, "EHLO", 4) == 0) {
		answer_hello(visit);
	} else if (strncmp(line, "STARTTLS", 8) == 0) {
		if (visit->server->manner == REFUSES_STARTTLS) {
			say(visit, "454 4.7.0 not now\r\n");
			return true;
		}
		say(visit, "220 go\r\n");
		stream_secure_server(visit->stream, tls);
	} else if (strncmp(line, "QUIT", 4) == 0) {
		quits++;
		leave(visit);
		return false;
	} else {
		/* MAIL above all */
		fail_msg("the probe said %s", line);
	}
	return true;
}

static void on_visit(void *arg, struct stream *stream, enum stream_event event)
{
	struct visit *visit = arg;
	struct buf *input = stream_input(stream);
	char line[200];
	long end;

	if (event == STREAM_SECURED && visit->server->manner == IMPLICIT)
		say(visit, "220 mx.test\r\n");
	if (event == STREAM_END || event == STREAM_TRUNCATED ||
	    event == STREAM_FAILED) {
		leave(visit);
		return;
	}
	if (event != STREAM_INPUT)
		return;
	while ((end = buf_find(input, '\n', 0)) >= 0) {
		snprintf(line, sizeof(line), "%.*s", (int)end,
		    buf_data(input));
		buf_consume(input, (size_t)end + 1);
		stream_consumed(stream);
		if (!answer(visit, line))
			return;
	}
}

static void on_connection(void *arg, int flags)
{
	struct server *server = arg;
	struct endpoint from;
	struct visit *visit;
	int fd = net_accept(server->listener, &from);

	(void)flags;
	if (fd < 0)
		return;
	connections++;
	visit = mem_alloc(sizeof(*visit));
	visit->server = server;
	visit->stream = stream_new(fd, 4096, on_visit, visit);
	LIST_INSERT_HEAD(&visits, visit, link);
	if (server->manner == IMPLICIT)
		stream_secure_server(visit->stream, tls);
	else if (server->manner == REFUSES)
		say(visit, "554 5.7.1 not you\r\n");
	else if (server->manner != SILENT)
		say(visit, "220 mx.test\r\n");
}

/* --- the world --- */

static struct plan_host *add_host(enum manner manner, enum requirement
    requirement)
{
	struct server *server = &servers[host_count];
	struct plan_host *host = &hosts[host_count++];

	server->manner = manner;
	endpoint_parse(&server->address, "127.0.0.1", 0);
	server->listener = net_listen(&server->address, 8);
	net_local(server->listener, &server->address);
	if (manner == CLOSED) {
		close(server->listener);
		server->listener = -1;
	} else {
		watch_init(&server->watch, server->listener, on_connection,
		    server);
		watch_set(&server->watch, WATCH_READ);
	}
	*host = (struct plan_host){ .requirement = requirement,
	    .addresses = &server->address, .address_count = 1,
	    .names = name_list, .name_count = 1, .tlsa = tlsa,
	    .tlsa_count = 1 };
	snprintf(host->name, sizeof(host->name), "mx%zu.test", host_count);
	snprintf(host->sni, sizeof(host->sni), "mx.test");
	snprintf(host->reason, sizeof(host->reason), "reason %zu",
	    host_count);
	plan.host_count = host_count;
	return host;
}

static void on_report(void *arg, json_t *object)
{
	assert_ptr_equal(arg, &plan);
	assert_false(ended);
	if (object == NULL) {
		ended = true;
		loop_stop();
		return;
	}
	assert_true(report_count < REPORTS_MAX);
	reports[report_count++] = object;
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
		usleep(1000);
	}
}

static void run(void)
{
	struct timer patience = { 0 };

	probe_start(profile, &next, &plan, on_report, &plan);
	assert_int_equal(report_count, 0);
	timer_start(&patience, PATIENCE, stop, NULL);
	loop_run();
	timer_stop(&patience);
	assert_true(ended);
	/* for the goodbyes */
	some_turns(30);
}

static const char *text_of(size_t index, const char *key)
{
	const char *text = json_string_value(json_object_get(reports[index],
	    key));

	return text == NULL ? "" : text;
}

static const json_t *tls_of(size_t index)
{
	return json_object_get(reports[index], "tls");
}

static void check(size_t index, const char *verdict, bool mail,
    const char *symptom)
{
	char host[20];

	assert_true(index < report_count);
	snprintf(host, sizeof(host), "mx%zu.test", index + 1);
	assert_string_equal(text_of(index, "host"), host);
	if (strcmp(text_of(index, "verdict"), verdict) != 0 ||
	    strcmp(text_of(index, "symptom"), symptom) != 0)
		fail_msg("host %zu: %s %s %s", index + 1,
		    text_of(index, "verdict"), text_of(index, "symptom"),
		    text_of(index, "text"));
	assert_int_equal(json_is_true(json_object_get(reports[index],
	    "mail")), mail);
	assert_true(text_of(index, "text")[0] != '\0');
	assert_true(text_of(index, "reason")[0] != '\0');
}

static void make_profile(void)
{
	char error[200];
	int i;

	profile = mem_alloc(sizeof(*profile));
	profile->references = 1;
	profile->conf = mem_alloc(sizeof(*profile->conf));
	profile->conf->hostname = mem_dup_string("client.test");
	profile->conf->hello_ipv4 = mem_dup_string("client.test");
	profile->conf->hello_ipv6 = mem_dup_string("client.test");
	profile->conf->connect_timeout = profile->conf->reply_timeout = 20;
	profile->conf->greeting_timeout = 20;
	profile->conf->handshake_timeout = 20;
	profile->conf->allow_loopback = true;
	for (i = 0; i < TLS_CHECKS; i++)
		profile->tls[i] = tls_client_new((enum tls_check)i,
		    i == TLS_CHECK_NAME ? certificate_pem(authority) : NULL,
		    error, sizeof(error));
}

static int set_up(void **state)
{
	(void)state;
	make_profile();
	memset(&plan, 0, sizeof(plan));
	plan.hosts = hosts;
	plan.broken_tls = plan.no_starttls = FALLBACK_CLEAR;
	host_count = report_count = 0;
	quits = hellos = connections = 0;
	ended = false;
	tlsa[0] = (struct dane_record){ .usage = 3, .selector = 1,
	    .matching = 1, .whole = true,
	    .data = certificate_key_digest(leaf), .length = 32 };
	return 0;
}

static int tear_down(void **state)
{
	size_t i;

	(void)state;
	for (i = 0; i < report_count; i++)
		json_decref(reports[i]);
	while (!LIST_EMPTY(&visits))
		leave(LIST_FIRST(&visits));
	for (i = 0; i < host_count; i++) {
		if (servers[i].listener == -1)
			continue;
		watch_release(&servers[i].watch);
		close(servers[i].listener);
	}
	profile_release(profile);
	some_turns(3);
	return 0;
}

/* --- tests --- */

/* The chain, the match, the verdict; EHLO inside, QUIT, no MAIL. */
static void shows_dane(void **state)
{
	const json_t *seen, *chain;

	(void)state;
	add_host(WELL, REQUIRE_DANE)->source = SOURCE_DANE;
	add_host(WELL, REQUIRE_DANE)->source = SOURCE_HALF_DANE;
	run();
	assert_int_equal(report_count, 2);
	check(0, "dane", true, "");
	check(1, "half-dane", true, "");
	assert_string_equal(text_of(0, "requirement"), "dane");
	assert_string_equal(text_of(0, "source"), "dane");
	assert_string_equal(text_of(0, "address"), "127.0.0.1");
	assert_int_equal(json_integer_value(json_object_get(reports[0],
	    "port")), endpoint_port(&servers[0].address));
	seen = tls_of(0);
	assert_true(json_is_true(json_object_get(seen, "verified")));
	assert_string_equal(json_string_value(json_object_get(seen,
	    "version")), "TLSv1.3");
	assert_string_equal(json_string_value(json_object_get(seen, "sni")),
	    "mx.test");
	assert_memory_equal(json_string_value(json_object_get(seen,
	    "matched-tlsa")), "3 1 1 ", 6);
	chain = json_object_get(seen, "chain");
	assert_int_equal(json_array_size(chain), 1);
	assert_string_equal(json_string_value(json_object_get(
	    json_array_get(chain, 0), "names")), "mx.test");
	assert_int_equal(strlen(json_string_value(json_object_get(
	    json_array_get(chain, 0), "key-sha256"))), 64);
	assert_int_equal(hellos, 4);
	assert_int_equal(quits, 2);
}

/* What is published and does not bind, and whether REQUIRETLS would do. */
static void shows_more(void **state)
{
	struct plan_host *host;

	(void)state;
	host = add_host(WELL, REQUIRE_OPPORTUNISTIC);
	host->ideal = REQUIRE_NAME;
	host->ideal_source = SOURCE_STS;
	add_host(WELL, REQUIRE_OPPORTUNISTIC);
	add_host(NO_STARTTLS, REQUIRE_OPPORTUNISTIC);
	run();
	check(0, "opportunistic", true, "");
	assert_string_equal(text_of(0, "ideal"), "name");
	assert_true(json_is_true(json_object_get(reports[0], "ideal-met")));
	assert_true(json_is_true(json_object_get(reports[0], "requiretls")));
	/* Nobody proved who it is. */
	assert_null(json_object_get(reports[1], "ideal"));
	assert_true(json_is_false(json_object_get(reports[1],
	    "requiretls")));
	assert_null(json_object_get(reports[2], "requiretls"));
}

/* What is refused is shown, too. */
static void shows_mismatch(void **state)
{
	uint8_t wrong[32] = { 0 };

	(void)state;
	tlsa[0].data = wrong;
	add_host(WELL, REQUIRE_DANE)->source = SOURCE_DANE;
	run();
	check(0, "refused", false, "certificate");
	assert_non_null(strstr(text_of(0, "text"), "no TLSA record matches"));
	assert_true(json_is_false(json_object_get(tls_of(0), "verified")));
	assert_int_equal(json_array_size(json_object_get(tls_of(0),
	    "chain")), 1);
	assert_int_equal(quits, 1);
}

/* Every kind of host, reported in the plan's order. */
static void every_kind(void **state)
{
	struct plan_host *host;

	(void)state;
	add_host(REFUSES, REQUIRE_OPPORTUNISTIC);
	add_host(NO_STARTTLS, REQUIRE_OPPORTUNISTIC);
	host = add_host(WELL, REQUIRE_OPPORTUNISTIC);
	host->skip = true;
	status_set(&host->skipped, STATUS_DEFERRED, REASON_POLICY, "4.7.5",
	    "it is left out");
	add_host(CLOSED, REQUIRE_OPPORTUNISTIC);
	add_host(WELL, REQUIRE_NAME)->source = SOURCE_STS;
	add_host(NO_STARTTLS, REQUIRE_ENCRYPTED)->source = SOURCE_LEVEL;
	run();
	assert_int_equal(report_count, 6);
	check(0, "refused", false, "");
	assert_non_null(strstr(text_of(0, "text"), "not you"));
	check(1, "none", true, "starttls-absent");
	check(2, "skipped", false, "");
	assert_null(json_object_get(reports[2], "address"));
	assert_string_equal(text_of(2, "text"), "it is left out");
	check(3, "unreachable", false, "");
	check(4, "sts", true, "");
	check(5, "refused", false, "starttls-absent");
	assert_int_equal(connections, 4);
	assert_null(tls_of(1));
}

/* As delivery: clear after broken TLS on a connection of its own, if now. */
static void opportunistic(void **state)
{
	(void)state;
	add_host(REFUSES_STARTTLS, REQUIRE_OPPORTUNISTIC);
	add_host(MANGLED, REQUIRE_OPPORTUNISTIC);
	add_host(WELL, REQUIRE_OPPORTUNISTIC);
	run();
	check(0, "none", true, "starttls-unavailable");
	check(1, "none", true, "starttls-mangled");
	check(2, "opportunistic", true, "");
	assert_int_equal(connections, 4);
}

static void opportunistic_later(void **state)
{
	(void)state;
	plan.broken_tls = plan.no_starttls = FALLBACK_CLEAR_AFTER;
	plan.broken_tls_after = plan.no_starttls_after = 3600;
	add_host(REFUSES_STARTTLS, REQUIRE_OPPORTUNISTIC);
	add_host(MANGLED, REQUIRE_OPPORTUNISTIC);
	run();
	check(0, "refused", false, "starttls-unavailable");
	check(1, "refused", false, "starttls-mangled");
	assert_int_equal(connections, 2);
}

static void implicit(void **state)
{
	(void)state;
	plan.implicit_tls = true;
	add_host(IMPLICIT, REQUIRE_DANE)->source = SOURCE_DANE;
	add_host(WELL, REQUIRE_OPPORTUNISTIC);
	run();
	check(0, "dane", true, "");
	check(1, "refused", false, "handshake-failed");
	assert_int_equal(hellos, 1);
}

/* Addresses that mail is never sent to are not probed either. */
static void no_loopback(void **state)
{
	(void)state;
	profile->conf->allow_loopback = false;
	add_host(WELL, REQUIRE_OPPORTUNISTIC);
	run();
	check(0, "unreachable", false, "");
	assert_int_equal(connections, 0);
}

/* Every address of a host has a report. */
static void all_addresses(void **state)
{
	struct endpoint both[2];

	(void)state;
	add_host(WELL, REQUIRE_OPPORTUNISTIC);
	both[0] = both[1] = servers[0].address;
	hosts[0].addresses = both;
	hosts[0].address_count = 2;
	run();
	assert_int_equal(report_count, 2);
	assert_string_equal(text_of(1, "host"), "mx1.test");
	assert_int_equal(connections, 2);
}

static void nothing(void **state)
{
	(void)state;
	run();
	assert_int_equal(report_count, 0);
}

/* At every moment: nothing is reported afterwards, nothing is left behind. */
static void cancelled(void **state)
{
	int turns;

	(void)state;
	add_host(SILENT, REQUIRE_OPPORTUNISTIC);
	add_host(WELL, REQUIRE_ENCRYPTED);
	add_host(WELL, REQUIRE_DANE);
	for (turns = 0; turns < 12; turns++) {
		struct probe *probe = probe_start(profile, &next, &plan,
		    on_report, &plan);

		some_turns(turns);
		probe_cancel(probe);
		some_turns(2);
		assert_false(ended);
		/* The first one never speaks, so nobody may. */
		assert_int_equal(report_count, 0);
	}
}

int main(void)
{
#define WITH_WORLD(test) \
	cmocka_unit_test_setup_teardown(test, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		WITH_WORLD(shows_dane),
		WITH_WORLD(shows_more),
		WITH_WORLD(shows_mismatch),
		WITH_WORLD(every_kind),
		WITH_WORLD(opportunistic),
		WITH_WORLD(opportunistic_later),
		WITH_WORLD(implicit),
		WITH_WORLD(no_loopback),
		WITH_WORLD(all_addresses),
		WITH_WORLD(nothing),
		WITH_WORLD(cancelled),
	};
	char error[200];
	int status;

	log_init("test", LOG_LEVEL_ERROR);
	tls_init();
	loop_init();
	authority = certificate_new(&(struct certificate_plan){
	    .common_name = "authority", .authority = true });
	leaf = certificate_new(&(struct certificate_plan){
	    .common_name = "leaf", .alternative_names = "DNS:mx.test",
	    .issuer = authority });
	tls = tls_server_new();
	if (tls_server_add(tls, "test", certificate_pem(leaf),
	    certificate_key_pem(leaf), error, sizeof(error)) != 0)
		return 1;
	status = cmocka_run_group_tests(tests, NULL, NULL);
	tls_server_free(tls);
	certificate_free(leaf);
	certificate_free(authority);
	loop_release();
	return status;
}
