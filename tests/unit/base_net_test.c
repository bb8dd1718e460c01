/* SPDX-License-Identifier: ISC */
/*
 * Endpoints and networks as tables; listening and connecting on loopback.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/net.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static struct endpoint make(const char *text, uint16_t port)
{
	struct endpoint endpoint;

	if (endpoint_parse(&endpoint, text, port) != 0)
		fail_msg("%s", text);
	return endpoint;
}

/* SMTP-19 for the literals. */
static void test_endpoint_text(void **state)
{
	static const struct {
		const char	*in;		/* numeric */
		const char	*out;		/* null: refused */
		const char	*literal;
		const char	*reverse;
	} cases[] = {
		{ "192.0.2.1", "192.0.2.1", "[192.0.2.1]",
		    "1.2.0.192.in-addr.arpa" },
		{ "255.254.253.252", "255.254.253.252", "[255.254.253.252]",
		    "252.253.254.255.in-addr.arpa" },
		{ "2001:DB8:0::1f", "2001:db8::1f", "[IPv6:2001:db8::1f]",
		    "f.1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0."
		    "8.b.d.0.1.0.0.2.ip6.arpa" },
		{ "::", "::", "[IPv6:::]",
		    "0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0."
		    "0.0.0.0.0.0.0.0.ip6.arpa" },
		{ "::ffff:192.0.2.1", "192.0.2.1", "[192.0.2.1]",
		    "1.2.0.192.in-addr.arpa" },
		{ "", NULL, NULL, NULL }, { "localhost", NULL, NULL, NULL },
		{ "192.0.2", NULL, NULL, NULL },
		{ "192.0.2.256", NULL, NULL, NULL },
		{ "192.0.2.1 ", NULL, NULL, NULL },
		{ "[192.0.2.1]", NULL, NULL, NULL },
		{ "192.0.2.1:25", NULL, NULL, NULL },
		{ "fe80::1%lo", NULL, NULL, NULL },
		{ "2001:db8:::1", NULL, NULL, NULL }
	};
	char text[ENDPOINT_TEXT_MAX], reverse[128];
	size_t i;

	(void)state;
	for (i = 0; i < COUNT(cases); i++) {
		struct endpoint endpoint, again;
		int result = endpoint_parse(&endpoint, cases[i].in, 2525);

		if (result != (cases[i].out != NULL ? 0 : -1))
			fail_msg("%s", cases[i].in);
		if (result != 0)
			continue;
		endpoint_format(&endpoint, text, sizeof text);
		assert_string_equal(text, cases[i].out);
		assert_int_equal(endpoint_port(&endpoint), 2525);
		endpoint_reverse_name(&endpoint, reverse, sizeof reverse);
		assert_string_equal(reverse, cases[i].reverse);
		endpoint_format_literal(&endpoint, text, sizeof text);
		assert_string_equal(text, cases[i].literal);
		assert_int_equal(endpoint_parse_literal(&again, text, 25), 0);
		assert_true(endpoint_same_host(&endpoint, &again));
		assert_int_equal(endpoint_port(&again), 25);
	}
}

static void test_literal_refused(void **state)
{
	static const char *const cases[] = { "", "[]", "[", "192.0.2.1",
	    "[192.0.2.1", "192.0.2.1]", "[2001:db8::1]", "[IPv6:192.0.2.1]",
	    "[IPv6:]", "[IPv6:1:2:3:4:5:6:7::]", "[192.0.2.1]x" };
	struct endpoint endpoint;
	size_t i;

	(void)state;
	for (i = 0; i < COUNT(cases); i++)
		if (endpoint_parse_literal(&endpoint, cases[i], 25) != -1)
			fail_msg("%s", cases[i]);
}

static void test_no_internet(void **state)
{
	struct endpoint none = { .length = 0 }, local;
	struct sockaddr_un path = { .sun_family = AF_UNIX };
	struct endpoint v4 = make("192.0.2.1", 25);
	char text[128];

	(void)state;
	endpoint_from_socket(&local, (struct sockaddr *)&path, sizeof path);
	endpoint_format(&local, text, sizeof text);
	assert_string_equal(text, "local");
	endpoint_format(&none, text, sizeof text);
	assert_string_equal(text, "local");
	assert_int_equal(endpoint_port(&local), 0);
	assert_false(endpoint_same_host(&none, &none));
	assert_false(endpoint_same_host(&none, &v4));
	assert_false(endpoint_is_loopback(&local));
	assert_true(endpoint_is_unusable(&none));
	endpoint_reverse_name(&local, text, sizeof text);
	assert_string_equal(text, "");
	endpoint_from_socket(&none, (struct sockaddr *)&path, 0);
	assert_int_equal(none.length, 0);
}

static void test_mapped(void **state)
{
	struct sockaddr_in6 mapped = { .sin6_family = AF_INET6,
	    .sin6_port = htons(25) };
	struct endpoint v4 = make("192.0.2.1", 26), endpoint;

	(void)state;
	memcpy(&mapped.sin6_addr, "\0\0\0\0\0\0\0\0\0\0\xff\xff\xc0\0\2\1", 16);
	endpoint_from_socket(&endpoint, (struct sockaddr *)&mapped,
	    sizeof mapped);
	assert_int_equal(endpoint.address.any.sa_family, AF_INET);
	assert_int_equal(endpoint_port(&endpoint), 25);
	assert_true(endpoint_same_host(&endpoint, &v4));
	endpoint_from_bytes(&endpoint, AF_INET6, &mapped.sin6_addr, 25);
	assert_true(endpoint_same_host(&endpoint, &v4));
}

static void test_kinds(void **state)
{
	static const struct {
		const char	*text;
		bool		 loopback, unusable;
	} cases[] = {
		{ "127.0.0.1", true, false }, { "127.255.0.9", true, false },
		{ "::1", true, false }, { "0.0.0.0", false, true },
		{ "0.1.2.3", false, true }, { "224.0.0.1", false, true },
		{ "239.255.255.255", false, true },
		{ "240.0.0.1", false, true },
		{ "255.255.255.255", false, true },
		{ "169.254.169.254", false, true }, { "::", false, true },
		{ "::2", false, true }, { "::192.0.2.1", false, true },
		{ "ff02::1", false, true }, { "fe80::1", false, true },
		{ "febf::1", false, true }, { "100::1", false, true },
		{ "192.0.2.1", false, false }, { "10.0.0.1", false, false },
		{ "203.0.113.9", false, false }, { "1.1.1.1", false, false },
		{ "223.255.255.255", false, false },
		{ "2001:db8::1", false, false }, { "fec0::1", false, false },
		{ "fd00::1", false, false }, { "100:0:0:1::1", false, false },
		{ "::ffff:127.0.0.1", true, false },
		{ "::ffff:224.0.0.1", false, true }
	};
	size_t i;

	(void)state;
	for (i = 0; i < COUNT(cases); i++) {
		struct endpoint endpoint = make(cases[i].text, 25);

		if (endpoint_is_loopback(&endpoint) != cases[i].loopback ||
		    endpoint_is_unusable(&endpoint) != cases[i].unusable)
			fail_msg("%s", cases[i].text);
	}
}

static void test_network_syntax(void **state)
{
	static const struct {
		const char	*text;
		int		 bits;	/* -1: refused */
	} cases[] = {
		{ "192.0.2.0/24", 24 }, { "192.0.2.1", 32 },
		{ "192.0.2.128/25", 25 }, { "0.0.0.0/0", 0 },
		{ "192.0.2.1/32", 32 }, { "2001:db8::/32", 32 },
		{ "::/0", 0 }, { "2001:db8::1", 128 },
		{ "2001:db8::1/128", 128 }, { "::ffff:192.0.2.0/120", 24 },
		{ "192.0.2.1/24", -1 }, { "192.0.2.128/24", -1 },
		{ "192.0.2.0/33", -1 }, { "2001:db8::/129", -1 },
		{ "2001:db8::1/64", -1 }, { "192.0.2.0/", -1 },
		{ "192.0.2.0/024", -1 }, { "192.0.2.0/2x", -1 },
		{ "192.0.2.0/-1", -1 }, { "192.0.2.0/ 24", -1 },
		{ "192.0.2.0/4294967320", -1 }, { "192.0.2.0//24", -1 },
		{ "192.0.2", -1 }, { "/24", -1 }, { "", -1 },
		{ "example.org/24", -1 }, { "[192.0.2.0]/24", -1 }
	};
	size_t i;

	(void)state;
	for (i = 0; i < COUNT(cases); i++) {
		struct network network;
		int result = network_parse(&network, cases[i].text);

		if (result != (cases[i].bits >= 0 ? 0 : -1))
			fail_msg("%s", cases[i].text);
		if (result == 0)
			assert_int_equal(network.bits, cases[i].bits);
	}
}

static void test_network_contains(void **state)
{
	static const struct {
		const char	*network, *host;
		bool		 inside;
	} cases[] = {
		{ "192.0.2.0/24", "192.0.2.0", true },
		{ "192.0.2.0/24", "192.0.2.255", true },
		{ "192.0.2.0/24", "192.0.3.0", false },
		{ "192.0.2.0/25", "192.0.2.127", true },
		{ "192.0.2.0/25", "192.0.2.128", false },
		{ "192.0.2.8/31", "192.0.2.9", true },
		{ "192.0.2.8/31", "192.0.2.10", false },
		{ "192.0.2.8", "192.0.2.8", true },
		{ "192.0.2.8", "192.0.2.9", false },
		{ "0.0.0.0/0", "203.0.113.1", true },
		{ "0.0.0.0/0", "2001:db8::1", false },
		{ "::/0", "192.0.2.1", false },
		{ "::/0", "2001:db8::1", true },
		{ "2001:db8::/33", "2001:db8:7fff::1", true },
		{ "2001:db8::/33", "2001:db8:8000::1", false },
		{ "192.0.2.0/24", "::ffff:192.0.2.7", true },
		{ "::ffff:192.0.2.0/120", "192.0.2.7", true }
	};
	struct endpoint none = { .length = 0 };
	struct network network;
	size_t i;

	(void)state;
	for (i = 0; i < COUNT(cases); i++) {
		struct endpoint host = make(cases[i].host, 0);

		assert_int_equal(network_parse(&network, cases[i].network), 0);
		if (network_contains(&network, &host) != cases[i].inside)
			fail_msg("%s in %s", cases[i].host, cases[i].network);
		assert_false(network_contains(&network, &none));
	}
}

static void wait_for(int fd, short what)
{
	struct pollfd entry = { .fd = fd, .events = what };

	assert_int_equal(poll(&entry, 1, 10000), 1);
}

static void check_flags(int fd)
{
	assert_true(fcntl(fd, F_GETFL) & O_NONBLOCK);
	assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
}

static void meet(const char *address)
{
	struct endpoint any = make(address, 0), there, peer, mine;
	int listener = net_listen(&any, 5), client, server;

	/* A machine without IPv6 says so here. */
	if (listener == -1 && (errno == EAFNOSUPPORT ||
	    errno == EADDRNOTAVAIL))
		return;
	assert_int_not_equal(listener, -1);
	check_flags(listener);
	errno = 0;
	assert_int_equal(net_accept(listener, &peer), -1);
	assert_int_equal(errno, EAGAIN);
	net_local(listener, &there);
	client = net_connect(&there, &any);
	assert_int_not_equal(client, -1);
	check_flags(client);
	wait_for(client, POLLOUT);
	assert_int_equal(net_connect_result(client), 0);
	wait_for(listener, POLLIN);
	server = net_accept(listener, &peer);
	assert_int_not_equal(server, -1);
	check_flags(server);
	net_no_delay(server);
	net_local(client, &mine);
	assert_true(endpoint_same_host(&mine, &peer));
	assert_int_equal(endpoint_port(&mine), endpoint_port(&peer));
	close(server);
	close(client);
	close(listener);
	/* The port is closed now. */
	client = net_connect(&there, NULL);
	if (client != -1) {
		wait_for(client, POLLOUT);
		assert_int_equal(net_connect_result(client), ECONNREFUSED);
		close(client);
	}
}

static void test_tcp(void **state)
{
	(void)state;
	meet("127.0.0.1");
	meet("::1");
}

static void test_unix(void **state)
{
	char folder[] = "/tmp/postern-net-XXXXXX", path[64], text[64];
	char long_path[300];
	struct endpoint peer;
	struct stat status;
	int first, client, server, file;

	(void)state;
	assert_non_null(mkdtemp(folder));
	snprintf(path, sizeof path, "%s/socket", folder);
	errno = 0;
	assert_int_equal(net_connect_unix(path), -1);
	assert_int_equal(errno, ENOENT);
	first = net_listen_unix(path, 0660, 5);
	assert_int_not_equal(first, -1);
	check_flags(first);
	assert_int_equal(stat(path, &status), 0);
	assert_int_equal(status.st_mode & 07777, 0660);
	client = net_connect_unix(path);
	assert_int_not_equal(client, -1);
	check_flags(client);
	server = net_accept(first, &peer);
	assert_int_not_equal(server, -1);
	endpoint_format(&peer, text, sizeof text);
	assert_string_equal(text, "local");

	/* Somebody listens: it is not taken away. */
	errno = 0;
	assert_int_equal(net_listen_unix(path, 0600, 5), -1);
	assert_int_equal(errno, EADDRINUSE);
	close(server);
	close(client);
	close(first);

	/* Nobody does any more: it is replaced. */
	first = net_listen_unix(path, 0600, 5);
	assert_int_not_equal(first, -1);
	assert_int_equal(stat(path, &status), 0);
	assert_int_equal(status.st_mode & 07777, 0600);
	close(first);
	unlink(path);

	/* A file is never removed. */
	file = open(path, O_CREAT | O_WRONLY, 0600);
	close(file);
	errno = 0;
	assert_int_equal(net_listen_unix(path, 0600, 5), -1);
	assert_int_equal(errno, EEXIST);
	unlink(path);
	rmdir(folder);

	memset(long_path, 'x', sizeof long_path);
	long_path[sizeof long_path - 1] = '\0';
	assert_int_equal(net_listen_unix(long_path, 0600, 5), -1);
	assert_int_equal(errno, ENAMETOOLONG);
}

/* The last descriptors are for others than peers. */
static void test_scarce(void **state)
{
	struct rlimit before, few;
	struct endpoint there;
	int listener, client;

	(void)state;
	there = make("127.0.0.1", 0);
	listener = net_listen(&there, 5);
	assert_int_not_equal(listener, -1);
	net_local(listener, &there);
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
	few = before;
	few.rlim_cur = 1000;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &few), 0);
	assert_int_equal(net_room(), 1000 - NET_RESERVE);
	assert_false(net_is_scarce(1000 - NET_RESERVE - 1));
	assert_true(net_is_scarce(1000 - NET_RESERVE));
	assert_false(net_is_scarce(-1));
	/* Of few it keeps a quarter. */
	few.rlim_cur = 20;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &few), 0);
	assert_int_equal(net_room(), 15);
	few.rlim_cur = (rlim_t)listener + 2;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &few), 0);
	errno = 0;
	assert_int_equal(net_connect(&there, NULL), -1);
	assert_int_equal(errno, EMFILE);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
	client = net_connect(&there, NULL);
	assert_int_not_equal(client, -1);
	close(client);
	close(listener);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_endpoint_text),
		cmocka_unit_test(test_literal_refused),
		cmocka_unit_test(test_no_internet),
		cmocka_unit_test(test_mapped), cmocka_unit_test(test_kinds),
		cmocka_unit_test(test_network_syntax),
		cmocka_unit_test(test_network_contains),
		cmocka_unit_test(test_tcp), cmocka_unit_test(test_unix),
		cmocka_unit_test(test_scarce)
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
