/* SPDX-License-Identifier: ISC */
/*
 * smtpd/sts_request.c: what is a request, what is none, and that nobody can
 * hide a second one in the first (RFC 9112 2.2, 3.2, 5.1, 6.3, 11.2).
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "base/mem.h"
#include "smtpd/sts_request.h"

#define GET "GET /.well-known/mta-sts.txt HTTP/1.1\r\n"
#define HOST "Host: mta-sts.example.org\r\n"

struct row {
	const char	*text;
	int		 status;
	const char	*host;
	bool		 policy, head, keep;
};

static const struct row rows[] = {
	{ GET HOST "\r\n", 200, "mta-sts.example.org", true, false, true },
	{ "HEAD /.well-known/mta-sts.txt HTTP/1.1\r\n" HOST "\r\n", 200,
	    "mta-sts.example.org", true, true, true },
	{ "\r\n" GET HOST "\r\n", 200, "mta-sts.example.org", true, false,
	    true },
	{ GET "host:\tMTA-STS.Example.ORG.:443 \r\n\r\n", 200,
	    "mta-sts.example.org", true, false, true },
	{ GET HOST "connection: a, Close\r\n\r\n", 200,
	    "mta-sts.example.org", true, false, false },
	{ GET HOST "Connection: closed\r\n\r\n", 200, "mta-sts.example.org",
	    true, false, true },
	{ GET HOST "Content-Length: 0\r\n\r\n", 200, "mta-sts.example.org",
	    true, false, true },
	{ "GET /.well-known/mta-sts.txt HTTP/1.0\r\n" HOST "\r\n", 200,
	    "mta-sts.example.org", true, false, false },
	{ "GET /.well-known/mta-sts.txt HTTP/1.0\r\n\r\n", 200, "", true,
	    false, false },
	{ "GET https://mta-sts.a.example:443/.well-known/mta-sts.txt "
	    "HTTP/1.1\r\n" HOST "\r\n", 200, "mta-sts.a.example", true, false,
	    true },
	{ "GET https://mta-sts.a.example HTTP/1.1\r\n" HOST "\r\n", 200,
	    "mta-sts.a.example", false, false, true },
	{ "GET / HTTP/1.1\r\n" HOST "\r\n", 200, "mta-sts.example.org", false,
	    false, true },
	{ "GET /.well-known/mta-sts.txt? HTTP/1.1\r\n" HOST "\r\n", 200,
	    "mta-sts.example.org", false, false, true },

	/* hosts */
	{ GET "\r\n", 400, NULL, false, false, false },
	{ GET HOST HOST "\r\n", 400, NULL, false, false, false },
	{ GET HOST "Host: other.example\r\n\r\n", 400, NULL, false, false,
	    false },
	{ GET "Host:\r\n\r\n", 400, NULL, false, false, false },
	{ GET "Host: a.example:x\r\n\r\n", 400, NULL, false, false, false },
	{ GET "Host: a.example/b\r\n\r\n", 400, NULL, false, false, false },
	{ GET "Host: a.example, b.example\r\n\r\n", 400, NULL, false, false,
	    false },
	{ GET "Host: u@a.example\r\n\r\n", 400, NULL, false, false, false },

	/* lines */
	{ "GET /\r\n" HOST "\r\n", 400, NULL, false, false, false },
	{ "GET  / HTTP/1.1\r\n" HOST "\r\n", 400, NULL, false, false, false },
	{ "GET / HTTP/1.1 \r\n" HOST "\r\n", 400, NULL, false, false, false },
	{ "GET / b HTTP/1.1\r\n" HOST "\r\n", 400, NULL, false, false,
	    false },
	{ "GET\t/ HTTP/1.1\r\n" HOST "\r\n", 400, NULL, false, false,
	    false },
	{ " GET / HTTP/1.1\r\n" HOST "\r\n", 400, NULL, false, false, false },
	{ "GET / http/1.1\r\n" HOST "\r\n", 400, NULL, false, false, false },
	{ "GET * HTTP/1.1\r\n" HOST "\r\n", 400, NULL, false, false, false },
	{ "GET http://a.example/ HTTP/1.1\r\n" HOST "\r\n", 400, NULL, false,
	    false, false },
	{ "GET / HTTP/2.0\r\n" HOST "\r\n", 505, NULL, false, false, false },
	{ "POST / HTTP/1.1\r\n" HOST "\r\n", 405, NULL, false, false, false },
	{ "get / HTTP/1.1\r\n" HOST "\r\n", 405, NULL, false, false, false },
	{ GET HOST "X: a\nY: b\r\n\r\n", 400, NULL, false, false, false },
	{ GET HOST "X: a\rY: b\r\n\r\n", 400, NULL, false, false, false },
	{ GET HOST "X: a\x7f\r\n\r\n", 400, NULL, false, false, false },
	{ GET HOST "X : a\r\n\r\n", 400, NULL, false, false, false },
	{ GET HOST ": a\r\n\r\n", 400, NULL, false, false, false },
	{ GET HOST "X\r\n\r\n", 400, NULL, false, false, false },
	{ GET HOST "X: a\r\n b\r\n\r\n", 400, NULL, false, false, false },
	{ GET " X: a\r\n" HOST "\r\n", 400, NULL, false, false, false },
	{ "GET / HTTP/1.1\n" HOST "\n", 400, NULL, false, false, false },
	{ "\r\n\r\n" GET HOST "\r\n", 400, NULL, false, false, false },

	/* bodies */
	{ GET HOST "Content-Length: 5\r\n\r\nhello", 413, NULL, false, false,
	    false },
	{ GET HOST "Content-Length: 00\r\n\r\n", 413, NULL, false, false,
	    false },
	{ GET HOST "Content-Length: 0\r\nContent-Length: 5\r\n\r\n", 413, NULL,
	    false, false, false },
	{ GET HOST "Content-Length: 0, 5\r\n\r\n", 413, NULL, false, false,
	    false },
	{ GET HOST "transfer-encoding: identity\r\n\r\n", 413, NULL, false,
	    false, false },
	{ GET HOST "Content-Length: 0\r\nTransfer-Encoding: chunked\r\n\r\n",
	    413, NULL, false, false, false },
};

static void test_requests(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const struct row *row = &rows[i];
		struct sts_request request;

		sts_request_read(&request, row->text, strlen(row->text));
		if (request.status != row->status)
			fail_msg("%s: %d", row->text, request.status);
		assert_string_not_equal(sts_request_reason(request.status),
		    "Error");
		assert_int_equal(request.keep, row->keep);
		if (row->status != 200) {
			assert_int_equal(request.length, 0);
			continue;
		}
		assert_int_equal(request.length, strlen(row->text));
		assert_string_equal(request.host, row->host);
		assert_int_equal(request.policy, row->policy);
		assert_int_equal(request.head, row->head);
	}
}

/* However little of it is there, it is waited for or refused, never taken;
 * and what stands behind it is left alone. */
static void test_every_cut(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const char *text = rows[i].text;
		struct sts_request request;
		char *longer;

		for (size_t k = 0; k < strlen(text); k++) {
			char *cut = mem_dup(text, k > 0 ? k : 1);

			sts_request_read(&request, cut, k);
			if (rows[i].status == 200)
				assert_int_equal(request.status, 0);
			else
				assert_int_not_equal(request.status, 200);
			mem_free(cut);
		}
		longer = mem_print("%s%s", text, GET HOST "\r\n");
		sts_request_read(&request, longer, strlen(longer));
		assert_int_equal(request.status, rows[i].status);
		assert_int_equal(request.length, rows[i].status == 200 ?
		    strlen(text) : 0);
		mem_free(longer);
	}
}

static int read_long(size_t fields, size_t value)
{
	char *text = mem_alloc(1 << 20), *at = text;
	struct sts_request request;

	at += snprintf(at, 200, "%s%s", GET, HOST);
	for (size_t i = 0; i < fields; i++)
		at += snprintf(at, (1 << 19), "X: %0*d\r\n", (int)value, 0);
	memcpy(at, "\r\n", 2);
	sts_request_read(&request, text, (size_t)(at - text) + 2);
	mem_free(text);
	return request.status;
}

static void test_ceilings(void **state)
{
	struct sts_request request;
	char *text = mem_alloc(STS_REQUEST_MAX);

	(void)state;
	assert_int_equal(read_long(STS_REQUEST_FIELDS_MAX - 1, 1), 200);
	assert_int_equal(read_long(STS_REQUEST_FIELDS_MAX, 1), 431);
	assert_int_equal(read_long(1, STS_REQUEST_MAX - 200), 200);
	assert_int_equal(read_long(1, STS_REQUEST_MAX), 431);
	memset(text, 'x', STS_REQUEST_MAX);
	sts_request_read(&request, text, STS_REQUEST_MAX - 1);
	assert_int_equal(request.status, 0);
	sts_request_read(&request, text, STS_REQUEST_MAX);
	assert_int_equal(request.status, 431);
	mem_free(text);
}

/* A zero byte ends nothing. */
static void test_zero_bytes(void **state)
{
	static const char text[] = GET "Host: mta-sts.example.org\0.evil\r\n"
	    "\r\n";
	struct sts_request request;

	(void)state;
	sts_request_read(&request, text, sizeof(text) - 1);
	assert_int_equal(request.status, 400);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_requests),
		cmocka_unit_test(test_every_cut),
		cmocka_unit_test(test_ceilings),
		cmocka_unit_test(test_zero_bytes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
