/* SPDX-License-Identifier: ISC */
/*
 * conf/guard.c, read.c, value.c: the form of a configuration and the values
 * of its options. Each row is a text with a mistake and the whole of what is
 * told about it; the line before each text gives a host name, so that the
 * first line of a text is line 2.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/mem.h"
#include "conf/conf.h"

static const char first_line[] = "hostname = mx.example.org\n";

struct row {
	const char	*text;
	const char	*errors;
};

static const struct row bad_form[] = {
	{ "x = ${HOME}",
	    "f.conf:2: '${': the environment is not read here; write "
	    "the value itself\n" },
	{ "postmaster = \"${HOME}\"",
	    "f.conf:2: '${': the environment is not read here; write "
	    "the value itself\n" },
	{ "postmaster = \"a${B\n"
	    "max-errors = 0",
	    "f.conf:2: '${': the environment is not read here; write "
	    "the value itself\n"
	    "f.conf:2: the string that begins with \" does not end on "
	    "its line; close it with \"\n" },
	{ "postmaster = \"abc\n"
	    "max-errors = \"1\"",
	    "f.conf:2: the string that begins with \" does not end on "
	    "its line; close it with \"\n" },
	{ "postmaster = 'abc",
	    "f.conf:2: the string that begins with ' does not end on "
	    "its line; close it with '\n" },
	{ "postmaster = \"a\\n\"",
	    "f.conf:2: '\\' before something other than '\\' or the "
	    "quote; write \"\\\\\" for one backslash\n" },
	{ "postmaster = 'a\\n'",
	    "f.conf:2: '\\' before something other than '\\' or the "
	    "quote; write \"\\\\\" for one backslash\n" },
	{ "postmaster = a\\b",
	    "f.conf:2: '\\' outside quotes; put values that hold it in "
	    "double quotes, as \"\\\\\"\n" },
	{ "postmaster = a+b@c.d",
	    "f.conf:2: '+' outside quotes; put values that hold it in "
	    "double quotes\n" },
	{ "route * { }",
	    "f.conf:2: '*' outside quotes; put values that hold it in "
	    "double quotes\n" },
	{ "include('/etc/passwd')",
	    "f.conf:2: '(' outside quotes; put values that hold it in "
	    "double quotes\n"
	    "f.conf:2: ')' outside quotes; put values that hold it in "
	    "double quotes\n" },
	{ "include = x",
	    "f.conf:2: unknown option 'include'; postern.conf(5) lists "
	    "all of them\n" },
	{ "// c",
	    "f.conf:2: '//' outside quotes; a comment begins with '#', "
	    "a path has single slashes\n" },
	{ "/* c */",
	    "f.conf:2: '/*' outside quotes; a comment begins with '#', "
	    "a path has single slashes\n"
	    "f.conf:2: '*' outside quotes; put values that hold it in "
	    "double quotes\n" },
	{ "trust-file = /a//b",
	    "f.conf:2: '//' outside quotes; a comment begins with '#', "
	    "a path has single slashes\n" },
	{ "ipv4 = yes\001",
	    "f.conf:2: control character 0x01; a configuration is "
	    "plain text, remove it\n" },
	{ "domain a.b { users = x",
	    "f.conf:2: '{' is never closed; add the '}' that ends it\n" },
	{ "domain a.b {\n"
	    "listen c { port = 26 }",
	    "f.conf:2: '{' is never closed; add the '}' that ends it\n" },
	{ "}",
	    "f.conf:2: '}' closes nothing; remove it, or add the '{' "
	    "it belongs to\n" },
	{ "max-errors 3",
	    "f.conf:2: no '=' after max-errors; accepted: max-errors = "
	    "VALUE\n" },
	{ "max-errors = = 3",
	    "f.conf:2: '=' is not expected here; accepted: NAME = "
	    "VALUE, NAME = { VALUE, VALUE } or SECTION TITLE { ... }\n" },
	{ "max-errors =",
	    "f.conf:2: the file ends in the middle of an option; "
	    "accepted: NAME = VALUE\n" },
	{ "max-errors",
	    "f.conf:2: the file ends in the middle of an option; "
	    "accepted: NAME = VALUE\n" },
	{ "max-errors = { 3, 4",
	    "f.conf:2: '{' is never closed; add the '}' that ends it\n" },
	{ "domain { }",
	    "f.conf:2: section domain has no title; accepted: domain "
	    "TITLE { ... }\n" },
	{ "domain a.b users = x",
	    "f.conf:2: no '{' after the title of section domain; "
	    "accepted: domain TITLE { ... }\n" },
	{ "domain = x",
	    "f.conf:2: section domain has no title; accepted: domain "
	    "TITLE { ... }\n" },
	{ "\"\" = 3",
	    "f.conf:2: the text cannot be read; accepted: NAME = VALUE "
	    "or SECTION TITLE { ... }\n" },
	{ "\"a|b\" = 3",
	    "f.conf:2: '|' in the name of an option; write the option "
	    "into its section\n" },
	{ "domain a.b { users = x }\n"
	    "\"domain=a.b|users\" = y",
	    "f.conf:3: unknown option 'users'; it belongs into a "
	    "section domain\n" },
	{ "domain a.b { users = { a b } }",
	    "f.conf:2: 'b' is not expected here; accepted: NAME = "
	    "VALUE, NAME = { VALUE, VALUE } or SECTION TITLE { ... }\n" },
	{ ", ",
	    "f.conf:2: ',' is not expected here; accepted: NAME = "
	    "VALUE, NAME = { VALUE, VALUE } or SECTION TITLE { ... }\n" },
};

static const struct row bad_names[] = {
	{ "max-mesage-size = 3M # c\n"
	    "\n"
	    "# c\n"
	    "foo = { a, b } bar = c\n"
	    "level = may\n"
	    "comand-timeout = 3",
	    "f.conf:2: unknown option 'max-mesage-size'; did you mean "
	    "'max-message-size'?\n"
	    "f.conf:5: unknown option 'foo'; postern.conf(5) lists all "
	    "of them\n"
	    "f.conf:5: unknown option 'bar'; postern.conf(5) lists all "
	    "of them\n"
	    "f.conf:6: unknown option 'level'; it belongs into a "
	    "section route\n"
	    "f.conf:7: unknown option 'comand-timeout'; did you mean "
	    "'command-timeout'?\n" },
	{ "domian a { }",
	    "f.conf:2: unknown option 'domian'; did you mean 'domain'?\n" },
	{ "domain a.b { mailbox = maildir }",
	    "f.conf:2: unknown option 'mailbox' in domain; did you "
	    "mean 'maildir'?\n" },
	{ "listen a { addresses = { \"::1\" }\n"
	    "xyz = {} }",
	    "f.conf:3: unknown option 'xyz' in listen; accepted: "
	    "service, addresses, port, socket, socket-group, tls, "
	    "certificates, client-certificates, auth, relay, proxy-from, "
	    "max-sessions-per-client, milters\n" },
	{ "listen a { users = x }",
	    "f.conf:2: unknown option 'users' in listen; it belongs "
	    "into a section domain\n" },
	{ "listen a { hostname = x }",
	    "f.conf:2: unknown option 'hostname' in listen; it belongs "
	    "outside of all sections\n" },
	{ "foo bar { }",
	    "f.conf:2: unknown option 'foo'; postern.conf(5) lists all "
	    "of them\n" },
	{ "hostname = a.b",
	    "f.conf:2: hostname is given again, first in line 1; "
	    "remove one of them\n" },
	{ "relay-from = 10.0.0.0/8\n"
	    "relay-from = ::1",
	    "f.conf:3: relay-from is given again, first in line 2; "
	    "remove one of them\n" },
	{ "relay-from = 10.0.0.0/8\n"
	    "relay-from = {}",
	    "f.conf:3: relay-from is given again, as an empty list; "
	    "remove one of them\n" },
	{ "listen a { port = 1\n"
	    "port = 2 }",
	    "f.conf:3: port is given again, first in line 2; remove "
	    "one of them\n" },
	{ "domain a.b { users = x }\n"
	    "domain a.b { users = x }",
	    "f.conf:3: second section with the title 'a.b', the first "
	    "is in line 2; put all its options into one\n" },
	{ "domain a.b { users = x }\n"
	    "domain A.b { users = x }",
	    "f.conf:3: domain a.b is there twice, first in line 2; put "
	    "all its options into one\n" },
};

static const struct row bad_values[] = {
	{ "command-timeout = 5x",
	    "f.conf:2: command-timeout = 5x is not a time; accepted: "
	    "1s to 1h, in seconds or with s, m, h or d\n" },
	{ "command-timeout = 2d",
	    "f.conf:2: command-timeout = 2d is out of range; accepted: "
	    "1s to 1h, in seconds or with s, m, h or d\n" },
	{ "command-timeout = 0",
	    "f.conf:2: command-timeout = 0 is out of range; accepted: "
	    "1s to 1h, in seconds or with s, m, h or d\n" },
	{ "max-recipients = 99",
	    "f.conf:2: max-recipients = 99 is out of range; accepted: "
	    "100 to 50000\n" },
	{ "max-recipients = 1K",
	    "f.conf:2: max-recipients = 1K is not a number; accepted: "
	    "100 to 50000\n" },
	{ "max-recipients = -1",
	    "f.conf:2: max-recipients = -1 is not a number; accepted: "
	    "100 to 50000\n" },
	{ "max-message-size = 3X",
	    "f.conf:2: max-message-size = 3X is not a size; accepted: "
	    "64K to 2G, in bytes or with K, M or G\n" },
	{ "max-message-size = 63K",
	    "f.conf:2: max-message-size = 63K is out of range; "
	    "accepted: 64K to 2G, in bytes or with K, M or G\n" },
	{ "max-message-size = 99999999999999999999",
	    "f.conf:2: max-message-size = 99999999999999999999 is not "
	    "a size; accepted: 64K to 2G, in bytes or with K, M or G\n" },
	{ "max-message-size = 9999999999G",
	    "f.conf:2: max-message-size = 9999999999G is not a size; "
	    "accepted: 64K to 2G, in bytes or with K, M or G\n" },
	{ "ipv4 = maybe",
	    "f.conf:2: ipv4 = maybe is not yes or no; accepted: yes or "
	    "no\n" },
	{ "log-level = trace",
	    "f.conf:2: log-level = trace is not one of the words; "
	    "accepted: debug, info, warn or error\n" },
	{ "trust-file = ca.pem",
	    "f.conf:2: trust-file = ca.pem is not a whole path; "
	    "accepted: a path that begins with /\n" },
	{ "trust-file = ''",
	    "f.conf:2: trust-file may not be empty; accepted: a path "
	    "that begins with /\n" },
	{ "relay-from = { 192.0.2.1/24 }",
	    "f.conf:2: relay-from = 192.0.2.1/24 is not a network; "
	    "accepted: addresses and networks such as 192.0.2.0/24 and "
	    "2001:db8::/32, with zeros behind the prefix\n" },
	{ "relay-from = { ::1, x }",
	    "f.conf:2: relay-from = x is not a network; accepted: "
	    "addresses and networks such as 192.0.2.0/24 and "
	    "2001:db8::/32, with zeros behind the prefix\n" },
	{ "resolver = dns",
	    "f.conf:2: resolver = dns is not one of the words; "
	    "accepted: recursive, forward or resolv.conf\n" },
	{ "max-errors = { 3, 4 }",
	    "f.conf:2: max-errors is one value, not a list; accepted: "
	    "1 to 10000\n" },
	{ "max-errors = { }",
	    "f.conf:2: max-errors is one value, not a list; accepted: "
	    "1 to 10000\n" },
	{ "source-addresses = { \"\" }",
	    "f.conf:2: source-addresses = \"\" is not a text; accepted: "
	    "{ VALUE, VALUE }, none of them empty\n" },
	{ "listen a { addresses = {} }",
	    "f.conf:2: addresses may not be empty; accepted: { VALUE, "
	    "VALUE }, none of them empty\n" },
};

/* Like conf_read(), behind first_line. */
static struct conf *read_text(const char *text, char **errors)
{
	char *whole = mem_print("%s%s", first_line, text);
	struct conf *conf = conf_read("f.conf", whole, errors);

	mem_free(whole);
	return conf;
}

static void check_rows(const struct row *rows, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		char *errors = NULL;
		struct conf *conf = read_text(rows[i].text, &errors);

		if (conf != NULL)
			fail_msg("accepted: %s", rows[i].text);
		assert_string_equal(errors, rows[i].errors);
		mem_free(errors);
	}
}

#define CHECK_ROWS(rows) check_rows(rows, sizeof(rows) / sizeof((rows)[0]))

static void test_form(void **state)
{
	(void)state;
	CHECK_ROWS(bad_form);
}

static void test_names(void **state)
{
	(void)state;
	CHECK_ROWS(bad_names);
}

static void test_values(void **state)
{
	(void)state;
	CHECK_ROWS(bad_values);
}

/* The parser keeps state of its own: a mistake must not reach the next run. */
static void test_good_after_bad(void **state)
{
	char *errors;
	struct conf *conf;

	(void)state;
	for (size_t i = 0; i < sizeof(bad_form) / sizeof(bad_form[0]); i++) {
		assert_null(read_text(bad_form[i].text, &errors));
		mem_free(errors);
		conf = read_text("max-errors = 7", &errors);
		assert_non_null(conf);
		assert_null(errors);
		assert_int_equal(conf->max_errors, 7);
		conf_free(conf);
	}
}

/* More mistakes than are kept: the first ones, and how many more. */
static void test_many_problems(void **state)
{
	char text[4096] = "", *errors, *last;

	(void)state;
	for (int i = 0; i < 60; i++)
		snprintf(text + strlen(text), sizeof(text) - strlen(text),
		    "listen l%d { port = 0 }\n", i);
	assert_null(read_text(text, &errors));
	last = strstr(errors, "f.conf: and ");
	assert_non_null(last);
	assert_string_equal(last, "f.conf: and 35 more\n");
	assert_non_null(strstr(errors, "f.conf:2: port = 0 is out"));
	mem_free(errors);
}

static void test_many_unknown_names(void **state)
{
	char text[4096] = "", *errors;

	(void)state;
	for (int i = 0; i < 60; i++)
		snprintf(text + strlen(text), sizeof(text) - strlen(text),
		    "wrong%d = 1\n", i);
	assert_null(read_text(text, &errors));
	assert_non_null(strstr(errors, "f.conf:26: unknown option 'wrong24'"));
	mem_free(errors);
}

/* Everything the syntax has, in one text. */
static const char good_text[] =
    "\xef\xbb\xbf# comment\n"
    "hostname = MX.Example.ORG # and \"another\r\n"
    "max-message-size\t=\n"
    "  64k\r\n"
    "relay-from = { 10.0.0.0/8, # the office's {\n"
    "    2001:db8::/32,\n"
    "}\n"
    "bare-newline-from = 192.0.2.1\n"
    "command-timeout = 90 data-timeout = 2m\n"
    "ipv6 = off mail-directory = /mail/\n"
    "postmaster = '\"o neill\"@example.net'\n"
    "certificate c { chain = \"/a b/#\\\\c\" key = '/k' }\n"
    "domain Example.org { users = { alice, '\"b c\"', } }\n"
    "domain b.example { users-file = /u maildir = /mail/m }\n"
    "listen smtp { port = 2525 tls = require addresses = \"::1\" }\n"
    "route .Example.net { host = relay.example mx = no port = 26 }\n"
    "destination \"*\" { level = fingerprint fingerprints = { "
    "9F:86:D0:81:88:4c:7d:65:9a:2f:ea:a0:c5:5a:d0:15:"
    "a3:bf:4f:1b:2b:0b:82:2c:d1:5d:6c:15:b0:f0:0a:08,\n"
    "0000000000000000000000000000000000000000000000000000000000000001 } }";

static void test_good_syntax(void **state)
{
	char *errors;
	struct conf *conf = conf_read("f.conf", good_text, &errors);

	(void)state;
	if (conf == NULL)
		fail_msg("refused: %s", errors);
	assert_null(errors);
	assert_string_equal(conf->hostname, "mx.example.org");
	assert_int_equal(conf->max_message_size, 65536);
	assert_int_equal(conf->relay_from.count, 2);
	assert_int_equal(conf->bare_newline_from.count, 1);
	assert_int_equal(conf->command_timeout, 90);
	assert_int_equal(conf->data_timeout, 120);
	assert_true(conf->ipv4);
	assert_false(conf->ipv6);
	assert_string_equal(conf->postmaster, "\"o neill\"@example.net");
	assert_string_equal(conf->certificates[0].name, "c");
	assert_string_equal(conf->certificates[0].chain, "/a b/#\\c");
	assert_string_equal(conf->domains[0].name, "example.org");
	assert_int_equal(conf->domains[0].users.count, 2);
	assert_string_equal(conf->domains[0].users.items[1], "\"b c\"");
	assert_string_equal(conf->domains[1].maildir, "/mail/m");
	assert_string_equal(conf->listeners[0].addresses.items[0], "::1");
	assert_int_equal(conf->listeners[0].tls, LISTENER_TLS_REQUIRE);
	assert_string_equal(conf->routes[0].pattern, ".example.net");
	assert_int_equal(conf->destinations[0].level, LEVEL_FINGERPRINT);
	assert_int_equal(conf->destinations[0].fingerprint_count, 2);
	assert_int_equal(conf->destinations[0].fingerprints[0][0], 0x9f);
	assert_int_equal(conf->destinations[0].fingerprints[1][31], 1);
	assert_null(conf->warnings);
	conf_free(conf);
}

/* Nothing of the parser's may reach the terminal. */
static void test_says_nothing_itself(void **state)
{
	int saved_out = dup(1), saved_err = dup(2);
	FILE *file = tmpfile();
	char *errors;
	long written;

	(void)state;
	assert_non_null(file);
	fflush(NULL);
	dup2(fileno(file), 1);
	dup2(fileno(file), 2);
	for (size_t i = 0; i < sizeof(bad_form) / sizeof(bad_form[0]); i++) {
		conf_free(read_text(bad_form[i].text, &errors));
		mem_free(errors);
	}
	fflush(NULL);
	written = lseek(fileno(file), 0, SEEK_END);
	dup2(saved_out, 1);
	dup2(saved_err, 2);
	close(saved_out);
	close(saved_err);
	fclose(file);
	assert_int_equal(written, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_form),
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_values),
		cmocka_unit_test(test_good_after_bad),
		cmocka_unit_test(test_many_problems),
		cmocka_unit_test(test_many_unknown_names),
		cmocka_unit_test(test_good_syntax),
		cmocka_unit_test(test_says_nothing_itself),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
