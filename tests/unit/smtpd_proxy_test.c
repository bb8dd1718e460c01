/* SPDX-License-Identifier: ISC */
/*
 * smtpd/proxy.c: headers of both versions, at every cut, with something behind
 * them; and what is none.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "smtpd/proxy.h"

#define SIGNATURE "\r\n\r\n\0\r\nQUIT\n"
#define BYTES(text) text, sizeof(text) - 1

static const struct {
	const char		*data;
	size_t			 length;
	enum proxy_result	 result;
	const char		*client, *local;
	uint16_t		 client_port, local_port;
} cases[] = {
	{ BYTES("PROXY TCP4 192.0.2.1 198.51.100.1 56324 25\r\n"),
	    PROXY_CLIENT, "192.0.2.1", "198.51.100.1", 56324, 25 },
	{ BYTES("PROXY TCP4 255.255.255.255 255.255.255.255 65535 65535\r\n"),
	    PROXY_CLIENT, "255.255.255.255", "255.255.255.255", 65535, 65535 },
	{ BYTES("PROXY TCP6 2001:db8::1 2001:db8::2 1 465\r\n"),
	    PROXY_CLIENT, "2001:db8::1", "2001:db8::2", 1, 465 },
	/* The longest one there is. */
	{ BYTES("PROXY TCP6 ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff "
	    "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535 65535\r\n"),
	    PROXY_CLIENT, "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
	    "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", 65535, 65535 },
	{ BYTES("PROXY TCP6 ::ffff:192.0.2.1 ::ffff:192.0.2.2 7 25\r\n"),
	    PROXY_CLIENT, "192.0.2.1", "192.0.2.2", 7, 25 },
	{ BYTES("PROXY UNKNOWN\r\n"), PROXY_UNKNOWN, NULL, NULL, 0, 0 },
	{ BYTES("PROXY UNKNOWN ffff::1 whatever that is\r\n"),
	    PROXY_UNKNOWN, NULL, NULL, 0, 0 },
	{ BYTES(SIGNATURE "\x21\x11\0\x0c" "\xc0\0\x02\x01\xc6\x33\x64\x01"
	    "\xdc\x04\0\x19"), PROXY_CLIENT, "192.0.2.1", "198.51.100.1",
	    56324, 25 },
	/* with TLVs behind the addresses */
	{ BYTES(SIGNATURE "\x21\x11\0\x10" "\xc0\0\x02\x01\xc6\x33\x64\x01"
	    "\xdc\x04\0\x19\x04\0\x01\xff"), PROXY_CLIENT, "192.0.2.1",
	    "198.51.100.1", 56324, 25 },
	{ BYTES(SIGNATURE "\x21\x21\0\x24" "\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0"
	    "\0\0\0\x01\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x02\0\x01"
	    "\x01\xd1"), PROXY_CLIENT, "2001:db8::1", "2001:db8::2", 1, 465 },
	{ BYTES(SIGNATURE "\x20\0\0\0"), PROXY_LOCAL, NULL, NULL, 0, 0 },
	/* LOCAL: whatever family, skipped */
	{ BYTES(SIGNATURE "\x20\x11\0\x02xx"), PROXY_LOCAL, NULL, NULL, 0, 0 },
	{ BYTES(SIGNATURE "\x21\0\0\x01x"), PROXY_UNKNOWN, NULL, NULL, 0, 0 },
	{ BYTES(SIGNATURE "\x21\x31\0\0"), PROXY_UNKNOWN, NULL, NULL, 0, 0 },
};

static const struct {
	const char	*data;
	size_t		 length;
} wrong[] = {
	{ BYTES("EHLO client.example\r\n") },
	{ BYTES("proxy TCP4 192.0.2.1 198.51.100.1 1 25\r\n") },
	{ BYTES("PROXYTCP4 192.0.2.1 198.51.100.1 1 25\r\n") },
	{ BYTES("PROXY \r\n") },
	{ BYTES("PROXY\r\n") },
	{ BYTES("PROXY  TCP4 192.0.2.1 198.51.100.1 1 25\r\n") },
	{ BYTES("PROXY TCP4  192.0.2.1 198.51.100.1 1 25\r\n") },
	{ BYTES("PROXY TCP4 192.0.2.1 198.51.100.1 1\r\n") },
	{ BYTES("PROXY TCP4 192.0.2.1 198.51.100.1 1 25 \r\n") },
	{ BYTES("PROXY TCP4 192.0.2.1 198.51.100.1 1 25 x\r\n") },
	{ BYTES("PROXY TCP4 192.0.2.1 198.51.100.1 1 25\n") },
	{ BYTES("PROXY TCP4 192.0.2.1 198.51.100.1 1 25\r\r\n") },
	{ BYTES("PROXY TCP4 192.0.2.1\r 198.51.100.1 1 25\r\n") },
	{ BYTES("PROXY TCP4 192.0.2.1 198.51.100.1 1 65536\r\n") },
	{ BYTES("PROXY TCP4 192.0.2.1 198.51.100.1 01 25\r\n") },
	{ BYTES("PROXY TCP4 192.0.2.1 198.51.100.1 -1 25\r\n") },
	{ BYTES("PROXY TCP4 192.0.2.1 198.51.100.1 1 \r\n") },
	{ BYTES("PROXY TCP4 192.0.2.256 198.51.100.1 1 25\r\n") },
	{ BYTES("PROXY TCP4 2001:db8::1 2001:db8::2 1 25\r\n") },
	{ BYTES("PROXY TCP6 192.0.2.1 198.51.100.1 1 25\r\n") },
	{ BYTES("PROXY TCP6 fe80::1%eth0 fe80::2 1 25\r\n") },
	{ BYTES("PROXY UDP4 192.0.2.1 198.51.100.1 1 25\r\n") },
	{ BYTES("PROXY TCP4 192.0.2.1\0 198.51.100.1 1 25\r\n") },
	{ BYTES("\r\n\r\n\0\r\nQUIT\r") },
	/* version, command, family and lengths that are none */
	{ BYTES(SIGNATURE "\x11\x11\0\x0c" "123456789012") },
	{ BYTES(SIGNATURE "\x22\x11\0\x0c" "123456789012") },
	{ BYTES(SIGNATURE "\x21\x12\0\x0c" "123456789012") },
	{ BYTES(SIGNATURE "\x21\x11\0\x0b" "12345678901") },
	{ BYTES(SIGNATURE "\x21\x21\0\x23" "12345678901234567890123456789012345")
	},
	{ BYTES(SIGNATURE "\x21\x11\x07\xf1") },	/* 2033 + 16 */
};

static void check(const char *data, size_t length, size_t used, size_t i)
{
	struct proxy proxy;
	enum proxy_result result = proxy_parse(&proxy, data, length);
	char text[ENDPOINT_TEXT_MAX];

	if (result != cases[i].result)
		fail_msg("case %zu: result %d", i, (int)result);
	assert_int_equal(proxy.used, used);
	if (result != PROXY_CLIENT)
		return;
	endpoint_format(&proxy.client, text, sizeof(text));
	assert_string_equal(text, cases[i].client);
	assert_int_equal(endpoint_port(&proxy.client), cases[i].client_port);
	endpoint_format(&proxy.local, text, sizeof(text));
	assert_string_equal(text, cases[i].local);
	assert_int_equal(endpoint_port(&proxy.local), cases[i].local_port);
}

/* With and without something behind; every beginning wants more. */
static void test_headers(void **state)
{
	char data[256];
	struct proxy proxy;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		memcpy(data, cases[i].data, cases[i].length);
		memcpy(data + cases[i].length, "EHLO x\r\n", 8);
		check(data, cases[i].length, cases[i].length, i);
		check(data, cases[i].length + 8, cases[i].length, i);
		for (size_t cut = 0; cut < cases[i].length; cut++)
			if (proxy_parse(&proxy, data, cut) != PROXY_MORE)
				fail_msg("case %zu is cut at %zu", i, cut);
	}
}

static void test_wrong(void **state)
{
	struct proxy proxy;

	(void)state;
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
		if (proxy_parse(&proxy, wrong[i].data, wrong[i].length) !=
		    PROXY_BAD)
			fail_msg("case %zu", i);
}

/* Nobody may send a line without end. */
static void test_endless(void **state)
{
	char data[PROXY_BYTES_MAX];
	struct proxy proxy;

	(void)state;
	memset(data, 'x', sizeof(data));
	memcpy(data, "PROXY UNKNOWN ", 14);
	assert_int_equal(proxy_parse(&proxy, data, PROXY_LINE_MAX - 1),
	    PROXY_MORE);
	assert_int_equal(proxy_parse(&proxy, data, PROXY_LINE_MAX), PROXY_BAD);
	data[PROXY_LINE_MAX - 2] = '\r';
	data[PROXY_LINE_MAX - 1] = '\n';
	assert_int_equal(proxy_parse(&proxy, data, PROXY_LINE_MAX),
	    PROXY_UNKNOWN);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_headers),
		cmocka_unit_test(test_wrong),
		cmocka_unit_test(test_endless),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
