/* SPDX-License-Identifier: ISC */
/*
 * smtpd/received.c: the clauses and their order, folding, and that nothing a
 * stranger says gets out of its place.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "base/buf.h"
#include "base/clock.h"
#include "smtpd/received.h"

static struct buf out;

static struct received plain(void)
{
	return (struct received){
		.hello = "client.example",
		.name = "mail.client.example",
		.literal = "[192.0.2.1]",
		.hostname = "mx.example.org",
		.protocol = "ESMTP",
		.id = 0x7c31,
		.uid = -1,
		.wall = 1795351326000,
	};
}

/* The field unfolded, without CRLF at the end; every line checked. */
static const char *format(const struct received *received)
{
	static char text[8192];
	char *to = text;

	buf_reset(&out);
	assert_int_equal(received_format(&out, received), 0);
	for (const char *from = buf_string(&out); *from != '\0'; from++) {
		if (*from != '\r') {
			assert_true(*from >= ' ' && *from <= '~');
			*to++ = *from;
			continue;
		}
		assert_int_equal(from[1], '\n');
		from++;
		if (from[1] == '\t') {
			*to++ = ' ';
			from++;
		} else {
			assert_int_equal(from[1], '\0');
		}
	}
	*to = '\0';
	return text;
}

static void check(const struct received *received, const char *wanted)
{
	char date[64], text[8192];

	clock_format_mail(received->wall, date, sizeof(date));
	snprintf(text, sizeof(text), "Received: %s; %s", wanted, date);
	assert_string_equal(format(received), text);
}

/* SMTP-71, SMTP-72, SMTP-74 */
static void test_plain(void **state)
{
	struct received received = plain();

	(void)state;
	check(&received, "from client.example (mail.client.example "
	    "[192.0.2.1]) by mx.example.org with ESMTP id 7c31");
}

/* SMTP-73 */
static void test_recipient(void **state)
{
	struct received received = plain();

	(void)state;
	received.recipient = "alice@example.org";
	check(&received, "from client.example (mail.client.example "
	    "[192.0.2.1]) by mx.example.org with ESMTP id 7c31 "
	    "for <alice@example.org>");
	received.recipient = "\"a b (c\"@example.org";
	check(&received, "from client.example (mail.client.example "
	    "[192.0.2.1]) by mx.example.org with ESMTP id 7c31 "
	    "for <\"a b (c\"@example.org>");
}

/* SMTP-75, SMTP-77; RFC 8314 4.3 puts tls behind for. */
static void test_tls(void **state)
{
	struct received received = plain();

	(void)state;
	received.protocol = "ESMTPS";
	received.tls_version = "TLSv1.3";
	received.tls_cipher = "TLS_AES_256_GCM_SHA384";
	check(&received, "from client.example (mail.client.example "
	    "[192.0.2.1]) by mx.example.org with ESMTPS id 7c31 "
	    "tls TLS_AES_256_GCM_SHA384 (TLSv1.3)");
	received.tls_group = "";
	received.recipient = "a@b.example";
	check(&received, "from client.example (mail.client.example "
	    "[192.0.2.1]) by mx.example.org with ESMTPS id 7c31 "
	    "for <a@b.example> tls TLS_AES_256_GCM_SHA384 (TLSv1.3)");
	received.tls_group = "X25519";
	check(&received, "from client.example (mail.client.example "
	    "[192.0.2.1]) by mx.example.org with ESMTPS id 7c31 "
	    "for <a@b.example> tls TLS_AES_256_GCM_SHA384 group X25519 "
	    "(TLSv1.3)");
}

/* SMTP-72: no value can add a line, a comment or a clause of its own line. */
static void test_harmless(void **state)
{
	struct received received = plain();

	(void)state;
	received.hello = "a\r\nX-Evil: 1";
	received.name = "evil) by me (\\";
	received.recipient = "a\r\nb\x80@c";
	check(&received, "from a??X-Evil: 1 (evil? by me ?? [192.0.2.1]) "
	    "by mx.example.org with ESMTP id 7c31 for <a??b?@c>");
}

/* Long values: each line holds one piece, no piece is cut below its limit. */
static void test_long(void **state)
{
	struct received received = plain();
	char hello[256], name[256], recipient[400];

	(void)state;
	memset(hello, 'h', sizeof(hello));
	hello[255] = '\0';
	memset(name, 'n', sizeof(name));
	name[255] = '\0';
	memset(recipient, 'r', sizeof(recipient));
	recipient[399] = '\0';
	received.hello = hello;
	received.name = name;
	received.recipient = recipient;
	assert_non_null(strstr(format(&received), hello));
	assert_non_null(strstr(format(&received), name));
	assert_non_null(strstr(format(&received), recipient));
}

/* RFC 5322 2.1.1: lines of ordinary values stay below 79 columns. */
static void test_folding(void **state)
{
	struct received received = plain();
	const char *line;

	(void)state;
	received.recipient = "somebody.with.a.name@department.example.org";
	received.tls_version = "TLSv1.3";
	received.tls_cipher = "TLS_AES_256_GCM_SHA384";
	received.tls_group = "X25519";
	format(&received);
	for (line = buf_string(&out); *line != '\0';
	    line = strstr(line, "\r\n") + 2)
		assert_true(strstr(line, "\r\n") - line <= 78);
}

static void test_full(void **state)
{
	struct received received = plain();
	struct buf little;

	(void)state;
	buf_init(&little, 60);
	assert_int_equal(received_format(&little, &received), -1);
	buf_release(&little);
}

/* A Unix socket has no address: its user is named. */
static void test_user(void **state)
{
	struct received received = plain();

	(void)state;
	received.uid = 1000;
	received.protocol = "LMTP";
	check(&received, "from client.example (userid 1000) by "
	    "mx.example.org with LMTP id 7c31");
	received.is_local = true;
	received.uid = 0;
	check(&received, "by mx.example.org (from userid 0) with LMTP id "
	    "7c31");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_plain),
		cmocka_unit_test(test_recipient),
		cmocka_unit_test(test_tls),
		cmocka_unit_test(test_harmless),
		cmocka_unit_test(test_user),
		cmocka_unit_test(test_long),
		cmocka_unit_test(test_folding),
		cmocka_unit_test(test_full),
	};
	int failed;

	buf_init(&out, 8192);
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	buf_release(&out);
	return failed;
}
