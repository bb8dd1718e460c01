/* SPDX-License-Identifier: ISC */
/*
 * conf/conf.c and print.c: the answers a configuration gives to the roles
 * (SMTP-168, SMTP-173: what is looked up by MX and what is not), and that a
 * printed configuration is read back as the same one.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "base/mem.h"
#include "base/net.h"
#include "conf/conf.h"
#include "conf/print.h"

static const char text[] =
    "hostname = mx.example.org\n"
    "state-directory = /s drop-privileges = no\n"
    "relay-from = { 192.0.2.0/24, 2001:db8::/32 }\n"
    "trust-file = \"/a b\"\n"
    "certificate c { chain = /c key = '/k\"\\\\' }\n"
    "domain Example.org { users = { \"*\" } }\n"
    "domain b.example { users-file = /u maildir = /s/mail/m }\n"
    "domain moved.example { users = \"#\" }\n"
    "listen one { addresses = ::1 }\n"
    "listen two { port = 2525 tls = none }\n"
    "route a.example { host = relay.example port = 26 }\n"
    "route .a.example { host = relay.example mx = no }\n"
    "route v4.example { host = 192.0.2.9 }\n"
    "route v6.example { host = '2001:db8::9' port = 2525 }\n"
    "route literal.example { host = '[192.0.2.8]' }\n"
    "route direct.example { mx = no }\n"
    "route null.example { transport = discard }\n"
    "route moved.example { host = new.example }\n"
    "route '[192.0.2.7]' { host = '192.0.2.70' }\n"
    "destination a.example { level = secure names = { x.y, .z } }\n"
    "destination .a.example { level = fingerprint fingerprints = "
    "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08 }\n"
    "destination c.example { no-starttls = 'clear-after 90' }\n"
    "destination d.example { level = none }\n"
    "destination e.example { level = encrypt }\n";

static struct conf *read_conf(const char *from)
{
	char *errors;
	struct conf *conf = conf_read("f.conf", from, &errors);

	if (conf == NULL)
		fail_msg("%s", errors);
	return conf;
}

struct hop {
	const char		*domain;
	enum conf_transport	 transport;
	const char		*host;
	int			 port;
	bool			 mx;
	const char		*local;		/* name of the domain */
};

static const struct hop hops[] = {
	{ "other.example", TRANSPORT_SMTP, "other.example", 25, true, NULL },
	{ "example.org", TRANSPORT_MAILDIR, "", 25, false, "example.org" },
	{ "EXAMPLE.org", TRANSPORT_MAILDIR, "", 25, false, "example.org" },
	{ "x.example.org", TRANSPORT_SMTP, "x.example.org", 25, true, NULL },
	{ "b.example", TRANSPORT_MAILDIR, "", 25, false, "b.example" },
	/* a route wins over our own domain */
	{ "moved.example", TRANSPORT_SMTP, "new.example", 25, true, NULL },
	{ "a.example", TRANSPORT_SMTP, "relay.example", 26, true, NULL },
	{ "x.a.example", TRANSPORT_SMTP, "relay.example", 25, false, NULL },
	{ "v4.example", TRANSPORT_SMTP, "[192.0.2.9]", 25, false, NULL },
	{ "v6.example", TRANSPORT_SMTP, "[IPv6:2001:db8::9]", 2525, false,
	    NULL },
	{ "literal.example", TRANSPORT_SMTP, "[192.0.2.8]", 25, false, NULL },
	{ "direct.example", TRANSPORT_SMTP, "direct.example", 25, false,
	    NULL },
	{ "null.example", TRANSPORT_DISCARD, "", 25, false, NULL },
	/* SMTP-173 */
	{ "[192.0.2.1]", TRANSPORT_SMTP, "[192.0.2.1]", 25, false, NULL },
	{ "[192.0.2.7]", TRANSPORT_SMTP, "[192.0.2.70]", 25, false, NULL },
};

static void test_next_hop(void **state)
{
	struct conf *conf = read_conf(text);

	(void)state;
	for (size_t i = 0; i < sizeof(hops) / sizeof(hops[0]); i++) {
		const struct hop *hop = &hops[i];
		struct conf_next_hop next;

		conf_next_hop(conf, hop->domain, &next);
		assert_int_equal(next.transport, hop->transport);
		assert_string_equal(next.host, hop->host);
		assert_int_equal(next.port, hop->port);
		assert_int_equal(next.mx, hop->mx);
		assert_string_equal(next.local != NULL ? next.local->name :
		    "", hop->local != NULL ? hop->local : "");
	}
	conf_free(conf);
}

/* The default of a destination that no section names. */
static void test_unlisted(void **state)
{
	struct conf *conf = read_conf(text);
	const struct conf_destination *to = conf_destination_find(conf,
	    "other.example");

	(void)state;
	assert_ptr_equal(to, &conf->unlisted);
	assert_int_equal(to->level, LEVEL_AUTO);
	assert_int_equal(to->no_starttls, FALLBACK_CLEAR);
	assert_int_equal(to->broken_tls, FALLBACK_CLEAR_AFTER);
	assert_int_equal(to->broken_tls_after, 4 * 60 * 60);
	assert_int_equal(to->names.count, 0);
	conf_free(conf);
}

static void test_destinations(void **state)
{
	struct conf *conf = read_conf(text);
	const struct conf_destination *to;

	(void)state;
	to = conf_destination_find(conf, "A.example");
	assert_int_equal(to->level, LEVEL_SECURE);
	assert_string_equal(to->names.items[1], ".z");
	to = conf_destination_find(conf, "x.y.a.example");
	assert_int_equal(to->level, LEVEL_FINGERPRINT);
	to = conf_destination_find(conf, "c.example");
	assert_int_equal(to->no_starttls, FALLBACK_CLEAR_AFTER);
	assert_int_equal(to->no_starttls_after, 90);
	conf_free(conf);
}

/* The first match in the file wins. */
static void test_order(void **state)
{
	struct conf *conf = read_conf("hostname = mx.example.org\n"
	    "destination .example { level = encrypt }\n"
	    "destination '*' { level = verify }\n");

	(void)state;
	assert_int_equal(conf_destination_find(conf, "a.example")->level,
	    LEVEL_ENCRYPT);
	assert_int_equal(conf_destination_find(conf, "example")->level,
	    LEVEL_VERIFY);
	conf_free(conf);
}

static void test_networks(void **state)
{
	static const struct {
		const char *address;
		bool inside;
	} rows[] = {
		{ "192.0.2.1", true }, { "192.0.3.1", false },
		{ "2001:db8::1", true }, { "2001:db9::1", false },
		{ "127.0.0.1", false }, { "::ffff:192.0.2.7", true },
	};
	struct conf *conf = read_conf(text);

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct endpoint endpoint;

		assert_int_equal(endpoint_parse(&endpoint, rows[i].address,
		    25), 0);
		assert_int_equal(conf_networks_contain(&conf->relay_from,
		    &endpoint), rows[i].inside);
	}
	conf_free(conf);
}

/* No open relay by default: only this machine may send anywhere. */
static void test_relay_default(void **state)
{
	struct conf *conf = read_conf("hostname = mx.example.org");
	struct endpoint endpoint;

	(void)state;
	endpoint_parse(&endpoint, "127.0.0.1", 25);
	assert_true(conf_networks_contain(&conf->relay_from, &endpoint));
	endpoint_parse(&endpoint, "127.0.0.2", 25);
	assert_false(conf_networks_contain(&conf->relay_from, &endpoint));
	endpoint_parse(&endpoint, "10.0.0.1", 25);
	assert_false(conf_networks_contain(&conf->relay_from, &endpoint));
	assert_int_equal(conf->bare_newline_from.count, 0);
	conf_free(conf);
}

static void test_directories(void **state)
{
	struct conf *conf = read_conf(text);

	(void)state;
	assert_string_equal(conf->queue_directory, "/s/queue");
	assert_string_equal(conf->mail_directory, "/s/mail");
	assert_string_equal(conf->run_directory, "/s/run");
	assert_string_equal(conf->control_socket, "/s/run/control");
	assert_string_equal(conf->domains[0].maildir, "/s/mail/example.org");
	assert_string_equal(conf->domains[1].maildir, "/s/mail/m");
	assert_string_equal(conf->postmaster, "postmaster@example.org");
	conf_free(conf);
}

static void test_default_listener(void **state)
{
	struct conf *conf = read_conf("hostname = mx.example.org");

	(void)state;
	assert_int_equal(conf->listener_count, 1);
	assert_string_equal(conf->listeners[0].name, "smtp");
	assert_int_equal(conf->listeners[0].port, 25);
	assert_int_equal(conf->listeners[0].tls, LISTENER_TLS_OFFER);
	assert_int_equal(conf->listeners[0].addresses.count, 2);
	conf_free(conf);
}

static char *print_conf(const struct conf *conf)
{
	char *out = NULL;
	size_t length = 0;
	FILE *stream = open_memstream(&out, &length);

	assert_non_null(stream);
	conf_print(stream, conf);
	fclose(stream);
	return out;
}

static void check_round_trip(const char *from)
{
	struct conf *conf = read_conf(from), *again;
	char *first = print_conf(conf), *second;

	again = read_conf(first);
	second = print_conf(again);
	assert_string_equal(first, second);
	assert_int_equal(again->route_count, conf->route_count);
	assert_int_equal(again->listener_count, conf->listener_count);
	free(first);
	free(second);
	conf_free(conf);
	conf_free(again);
}

/* A server for people: every kind of listener, domain and route. */
static const char people[] =
    "hostname = mx.example.org\n"
    "certificate c { chain = /c key = /k }\n"
    "listen smtp { }\n"
    "listen submission { }\n"
    "listen submissions { port = 4650 }\n"
    "listen laptops { service = submission port = 26 "
    "client-certificates = yes relay = authenticated }\n"
    "listen lmtp { socket = /run/postern/lmtp }\n"
    "listen web { service = mta-sts port = 8443 }\n"
    "domain example.org { users = alice catch-all = alice@example.org "
    "quota = 1G mta-sts = enforce }\n"
    "domain backup.example { users = bob relay = yes }\n"
    "route dovecot.example { transport = lmtp socket = /run/dovecot/lmtp }\n"
    "route far.example { transport = lmtp host = 192.0.2.5 port = 24 }\n"
    "route home.example { host = home.example mx = no port = 26 "
    "certificate = c credentials-file = /p level = secure "
    "names = home.example }\n"
    "destination home.example { level = none }\n";

static const struct {
	const char		*name;
	enum conf_service	 service;
	int64_t			 port;
	enum conf_listener_tls	 tls;
	bool			 auth;
} services[] = {
	{ "smtp", SERVICE_SMTP, 25, LISTENER_TLS_OFFER, false },
	{ "submission", SERVICE_SUBMISSION, 587, LISTENER_TLS_REQUIRE, true },
	{ "submissions", SERVICE_SUBMISSION, 4650, LISTENER_TLS_IMPLICIT,
	    true },
	{ "laptops", SERVICE_SUBMISSION, 26, LISTENER_TLS_REQUIRE, true },
	{ "lmtp", SERVICE_LMTP, 24, LISTENER_TLS_NONE, false },
	{ "web", SERVICE_MTA_STS, 8443, LISTENER_TLS_IMPLICIT, false },
};

/* TLS-14: what demands TLS by default is for our own people. */
static void test_services(void **state)
{
	struct conf *conf = read_conf(people);

	(void)state;
	for (size_t i = 0; i < sizeof(services) / sizeof(services[0]); i++) {
		const struct conf_listener *one = conf_listener_find(conf,
		    services[i].name);

		assert_non_null(one);
		assert_int_equal(one->service, services[i].service);
		assert_int_equal(one->port, services[i].port);
		assert_int_equal(one->tls, services[i].tls);
		assert_int_equal(one->auth, services[i].auth);
		assert_string_equal(one->socket_group, conf->control_group);
	}
	assert_null(conf_listener_find(conf, "other"));
	assert_string_equal(conf->domains[0].sts_mx.items[0],
	    "mx.example.org");
	conf_free(conf);
}

static void test_routes_of_their_own(void **state)
{
	struct conf *conf = read_conf(people);
	const struct conf_destination *to;
	struct conf_next_hop next;

	(void)state;
	to = conf_destination_find(conf, "home.example");
	assert_int_equal(to->level, LEVEL_SECURE);
	assert_string_equal(to->names.items[0], "home.example");
	assert_int_equal(conf_destination_find(conf, "x.example")->level,
	    LEVEL_AUTO);
	conf_next_hop(conf, "home.example", &next);
	assert_ptr_equal(next.route, conf_route_find(conf, "home.example"));
	assert_int_equal(next.port, 26);
	conf_next_hop(conf, "dovecot.example", &next);
	assert_int_equal(next.transport, TRANSPORT_LMTP);
	assert_int_equal(next.port, 0);
	conf_next_hop(conf, "far.example", &next);
	assert_int_equal(next.transport, TRANSPORT_LMTP);
	assert_string_equal(next.host, "[192.0.2.5]");
	assert_false(next.mx);
	/* Sent on by its MX records, though it is ours. */
	conf_next_hop(conf, "backup.example", &next);
	assert_int_equal(next.transport, TRANSPORT_SMTP);
	assert_true(next.mx);
	assert_null(next.local);
	conf_next_hop(conf, "example.org", &next);
	assert_int_equal(next.transport, TRANSPORT_MAILDIR);
	conf_free(conf);
}

static void test_print_round_trip(void **state)
{
	(void)state;
	check_round_trip(text);
	check_round_trip("hostname = mx.example.org");
	check_round_trip(people);
}

static void test_print_says_it(void **state)
{
	struct conf *conf = read_conf(text);
	char *out = print_conf(conf);

	(void)state;
	assert_non_null(strstr(out, "\nmax-message-size = 50M\n"));
	assert_non_null(strstr(out, "\ntrust-file = \"/a b\"\n"));
	assert_non_null(strstr(out, "\tkey = \"/k\\\"\\\\\"\n"));
	assert_non_null(strstr(out, "\tusers = { \"#\" }\n"));
	assert_non_null(strstr(out, "\tno-starttls = \"clear-after 90s\"\n"));
	assert_non_null(strstr(out, "\nlisten two {\n"));
	free(out);
	conf_free(conf);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_next_hop),
		cmocka_unit_test(test_unlisted),
		cmocka_unit_test(test_services),
		cmocka_unit_test(test_routes_of_their_own),
		cmocka_unit_test(test_destinations),
		cmocka_unit_test(test_order),
		cmocka_unit_test(test_networks),
		cmocka_unit_test(test_relay_default),
		cmocka_unit_test(test_directories),
		cmocka_unit_test(test_default_listener),
		cmocka_unit_test(test_print_round_trip),
		cmocka_unit_test(test_print_says_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
