/* SPDX-License-Identifier: ISC */
/*
 * The mechanisms step by step: SMTP-148, TLS-84, TLS-90; and the lines of
 * Dovecot's protocol.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "base/mem.h"
#include "base/scram.h"
#include "policy/dovecot_line.h"
#include "policy/sasl_server.h"

static void find(void *arg, const char *user, struct scram_secret *secret)
{
	(void)arg;
	assert_int_equal(scram_secret_make(secret, strcmp(user, "alice") == 0 ?
	    "secret" : "something else", "0123456789abcdef", 16, 4096), 0);
}

static struct sasl_server *make(enum sasl_mechanism mechanism,
    const char *certificate)
{
	static const uint8_t binding[32] = "binding";

	return sasl_server_new(mechanism, &(struct sasl_context){
	    .certificate = certificate, .binding = binding,
	    .binding_length = sizeof(binding), .plus_offered = true,
	    .find = find });
}

/* The last result of a login in which the client says these, cut at "|";
 * out: the last challenge. */
static enum sasl_result say(struct sasl_server *sasl, const char *text,
    size_t length, char *challenge, size_t size)
{
	enum sasl_result result;
	struct buf out;

	buf_init(&out, 4096);
	result = sasl_server_step(sasl, text, length, &out);
	assert_true(buf_length(&out) < size);
	memcpy(challenge, buf_data(&out), buf_length(&out));
	challenge[buf_length(&out)] = '\0';
	buf_release(&out);
	return result;
}

static void test_plain(void **state)
{
	static const struct {
		const char	*text;
		size_t		 length;
		enum sasl_result result;
	} cases[] = {
		{ "\0alice\0secret", 13, SASL_PASSWORD },
		{ "Alice\0alice\0secret", 18, SASL_PASSWORD },
		{ "bob\0alice\0secret", 16, SASL_REJECTED },
		{ "alice\0secret", 12, SASL_MALFORMED },
		{ "\0alice\0", 7, SASL_MALFORMED },
		{ "\0\0secret", 8, SASL_MALFORMED },
		{ "\0alice\0se\0ret", 13, SASL_MALFORMED },
		{ "\0alice\0\xff", 8, SASL_MALFORMED },
		{ "", 0, SASL_MALFORMED },
	};
	char challenge[256];

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct sasl_server *sasl = make(SASL_PLAIN, "");

		if (i % 2 == 0) {
			assert_int_equal(say(sasl, NULL, 0, challenge,
			    sizeof(challenge)), SASL_CHALLENGE);
			assert_string_equal(challenge, "");
		}
		assert_int_equal(say(sasl, cases[i].text, cases[i].length,
		    challenge, sizeof(challenge)), cases[i].result);
		if (cases[i].result == SASL_PASSWORD) {
			assert_string_equal(sasl_server_user(sasl), "alice");
			assert_string_equal(sasl_server_password(sasl),
			    "secret");
		}
		sasl_server_free(sasl);
	}
}

static void test_login(void **state)
{
	struct sasl_server *sasl = make(SASL_LOGIN, "");
	char challenge[256];

	(void)state;
	assert_int_equal(say(sasl, NULL, 0, challenge, sizeof(challenge)),
	    SASL_CHALLENGE);
	assert_string_equal(challenge, "Username:");
	assert_int_equal(say(sasl, "alice", 5, challenge, sizeof(challenge)),
	    SASL_CHALLENGE);
	assert_string_equal(challenge, "Password:");
	assert_int_equal(say(sasl, "secret", 6, challenge, sizeof(challenge)),
	    SASL_PASSWORD);
	assert_string_equal(sasl_server_password(sasl), "secret");
	sasl_server_free(sasl);
	sasl = make(SASL_LOGIN, "");
	assert_int_equal(say(sasl, "", 0, challenge, sizeof(challenge)),
	    SASL_MALFORMED);
	sasl_server_free(sasl);
}

static void run_scram(enum sasl_mechanism mechanism, const char *password,
    const char *thanks, enum sasl_result proof, enum sasl_result end)
{
	static const uint8_t binding[32] = "binding";
	bool plus = mechanism == SASL_SCRAM_PLUS;
	struct scram_client *client = scram_client_new("alice", password,
	    plus ? SCRAM_BINDING_USED : SCRAM_BINDING_NONE, binding,
	    plus ? sizeof(binding) : 0);
	struct sasl_server *sasl = make(mechanism, "");
	char challenge[1024];
	struct buf out;

	buf_init(&out, 4096);
	scram_client_first(client, &out);
	assert_int_equal(say(sasl, buf_data(&out), buf_length(&out),
	    challenge, sizeof(challenge)), SASL_CHALLENGE);
	assert_string_equal(sasl_server_user(sasl), "alice");
	buf_reset(&out);
	assert_int_equal(scram_client_final(client, challenge,
	    strlen(challenge), &out), SCRAM_OK);
	assert_int_equal(say(sasl, buf_data(&out), buf_length(&out),
	    challenge, sizeof(challenge)), proof);
	if (proof == SASL_CHALLENGE) {
		assert_int_equal(scram_client_verify(client, challenge,
		    strlen(challenge)), SCRAM_OK);
		assert_int_equal(say(sasl, thanks, strlen(thanks), challenge,
		    sizeof(challenge)), end);
	}
	scram_client_free(client);
	sasl_server_free(sasl);
	buf_release(&out);
}

static void test_scram(void **state)
{
	(void)state;
	run_scram(SASL_SCRAM, "secret", "", SASL_CHALLENGE, SASL_PROVEN);
	run_scram(SASL_SCRAM_PLUS, "secret", "", SASL_CHALLENGE, SASL_PROVEN);
	run_scram(SASL_SCRAM, "Secret", "", SASL_REJECTED, SASL_REJECTED);
	run_scram(SASL_SCRAM, "secret", "x", SASL_CHALLENGE, SASL_MALFORMED);
}

/* RFC 5802 6: a client that could bind, and was told that we cannot. */
static void test_downgrade(void **state)
{
	struct sasl_server *sasl = make(SASL_SCRAM, "");
	char challenge[256];

	(void)state;
	assert_int_equal(say(sasl, "y,,n=alice,r=abc", 16, challenge,
	    sizeof(challenge)), SASL_REJECTED);
	sasl_server_free(sasl);
	sasl = make(SASL_SCRAM, "");
	assert_int_equal(say(sasl, "n,a=bob,n=alice,r=abc", 21, challenge,
	    sizeof(challenge)), SASL_REJECTED);
	sasl_server_free(sasl);
}

static void test_external(void **state)
{
	static const struct {
		const char	*certificate, *text;
		enum sasl_result result;
	} cases[] = {
		{ "laptop", "", SASL_CERTIFICATE },
		{ "laptop", "Laptop", SASL_CERTIFICATE },
		{ "laptop", "alice", SASL_REJECTED },
		{ "", "", SASL_REJECTED },
		{ "", "alice", SASL_REJECTED },
		{ "laptop", "\x01", SASL_MALFORMED },
	};
	char challenge[256];

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct sasl_server *sasl = make(SASL_EXTERNAL,
		    cases[i].certificate);

		assert_int_equal(say(sasl, cases[i].text,
		    strlen(cases[i].text), challenge, sizeof(challenge)),
		    cases[i].result);
		if (cases[i].result == SASL_CERTIFICATE)
			assert_string_equal(sasl_server_user(sasl), "laptop");
		sasl_server_free(sasl);
	}
}

static void test_names(void **state)
{
	(void)state;
	for (unsigned i = 0; i < SASL_MECHANISMS; i++)
		assert_int_equal(sasl_server_find(sasl_server_name(i)), i);
	assert_int_equal(sasl_server_find("scram-sha-256-plus"),
	    SASL_SCRAM_PLUS);
	assert_int_equal(sasl_server_find("SCRAM-SHA-1"), SASL_MECHANISMS);
	assert_int_equal(sasl_server_find(""), SASL_MECHANISMS);
}

static int parse(struct dovecot_line *line, const char *text)
{
	static char copy[1024];

	snprintf(copy, sizeof(copy), "%s", text);
	return dovecot_line_parse(line, copy);
}

static void test_dovecot(void **state)
{
	static const char *const bad[] = { "VERSION", "VERSION\tx", "MECH",
	    "MECH\ta b", "OK", "OK\t1", "OK\tx\tuser=a", "OK\t0\tuser=a",
	    "OK\t1\tuser=", "OK\t1\tuser=a\001tb", "CONT", "CONT\t",
	    "FAIL\t99999999999", "FAIL\t4294967296" };
	struct dovecot_line line;
	char text[LOGIN_USER_MAX + 64];

	(void)state;
	assert_int_equal(parse(&line, "VERSION\t1\t2"), 0);
	assert_int_equal(line.kind, DOVECOT_VERSION);
	assert_int_equal(line.major, 1);
	assert_int_equal(parse(&line, "MECH\tPLAIN\tplaintext"), 0);
	assert_string_equal(line.mechanism, "PLAIN");
	assert_false(line.is_private);
	assert_int_equal(parse(&line, "MECH\tX\tprivate"), 0);
	assert_true(line.is_private);
	assert_int_equal(parse(&line, "DONE"), 0);
	assert_int_equal(line.kind, DOVECOT_DONE);
	assert_int_equal(parse(&line, "SPID\t12"), 0);
	assert_int_equal(line.kind, DOVECOT_OTHER);
	assert_int_equal(parse(&line, "OK\t7\tuser=alice@x.example\tuid=1"),
	    0);
	assert_int_equal(line.id, 7);
	assert_string_equal(line.user, "alice@x.example");
	assert_int_equal(parse(&line, "FAIL\t8\tuser=a\ttemp"), 0);
	assert_true(line.temporary);
	assert_int_equal(parse(&line, "FAIL\t8\tcode=temp_fail"), 0);
	assert_true(line.temporary);
	assert_int_equal(parse(&line, "FAIL\t8\tuser=a"), 0);
	assert_false(line.temporary);
	/* A stranger's idea of a name comes back as he said it. */
	snprintf(text, sizeof(text), "FAIL\t8\tuser=%0*d", LOGIN_USER_MAX + 1,
	    0);
	assert_int_equal(parse(&line, text), 0);
	assert_string_equal(line.user, "");
	assert_int_equal(parse(&line, "FAIL\t8\tuser=a\001tb\ttemp"), 0);
	assert_string_equal(line.user, "");
	assert_true(line.temporary);
	assert_int_equal(parse(&line, "CONT\t4294967295\tQUJD"), 0);
	assert_int_equal(line.id, UINT32_MAX);
	assert_string_equal(line.data, "QUJD");
	assert_int_equal(parse(&line, "CONT\t9"), 0);
	assert_string_equal(line.data, "");
	assert_int_equal(parse(&line, ""), 0);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(parse(&line, bad[i]), -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_plain),
		cmocka_unit_test(test_login),
		cmocka_unit_test(test_scram),
		cmocka_unit_test(test_downgrade),
		cmocka_unit_test(test_external),
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_dovecot),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
