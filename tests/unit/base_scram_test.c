/* SPDX-License-Identifier: ISC */
/*
 * SCRAM-SHA-256 against the example of RFC 7677 3 and RFC 7914 11 (PBKDF2),
 * our client against our server, and everything that must not be believed.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#include "base/buf.h"
#include "base/scram.h"

#define CLIENT_NONCE "rOprNGfwEbeRWgbNEkqO"
#define SERVER_NONCE "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0"
#define FIRST "n,,n=user,r=" CLIENT_NONCE
#define CHALLENGE "r=" CLIENT_NONCE SERVER_NONCE \
	",s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096"
#define FINAL "c=biws,r=" CLIENT_NONCE SERVER_NONCE \
	",p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="
#define SIGNATURE "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="

static const uint8_t binding[32] = "a TLS session that nobody shares";

static void make_secret(struct scram_secret *secret, const char *password)
{
	uint8_t salt[16];

	assert_int_equal(base64_parse(salt, sizeof(salt) + 2,
	    "W22ZaJ0SNY7soEsUEjb6gQ==") , 16);
	assert_int_equal(scram_secret_make(secret, password, salt,
	    sizeof(salt), 4096), 0);
}

static void check(struct buf *buf, const char *wanted)
{
	assert_string_equal(buf_string(buf), wanted);
	buf_reset(buf);
}

static void test_client_vector(void **state)
{
	struct scram_client *client = scram_client_new("user", "pencil",
	    SCRAM_BINDING_NONE, NULL, 0);
	struct buf out;

	(void)state;
	buf_init(&out, SCRAM_MESSAGE_MAX);
	scram_client_set_nonce(client, CLIENT_NONCE);
	scram_client_first(client, &out);
	check(&out, FIRST);
	assert_int_equal(scram_client_final(client, CHALLENGE,
	    strlen(CHALLENGE), &out), SCRAM_OK);
	check(&out, FINAL);
	assert_int_equal(scram_client_verify(client, SIGNATURE,
	    strlen(SIGNATURE)), SCRAM_OK);
	/* One bit less. */
	assert_int_equal(scram_client_verify(client,
	    "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G0=", 46),
	    SCRAM_REFUSED);
	assert_int_equal(scram_client_verify(client, "e=invalid-proof", 15),
	    SCRAM_REFUSED);
	assert_int_equal(scram_client_verify(client, "v=", 2),
	    SCRAM_MALFORMED);
	scram_client_free(client);
	buf_release(&out);
}

static void test_server_vector(void **state)
{
	struct scram_server *server = scram_server_new(false, false, NULL, 0);
	struct scram_secret secret;
	struct buf out;

	(void)state;
	buf_init(&out, SCRAM_MESSAGE_MAX);
	make_secret(&secret, "pencil");
	scram_server_set_nonce(server, SERVER_NONCE);
	assert_int_equal(scram_server_first(server, FIRST, strlen(FIRST)),
	    SCRAM_OK);
	assert_string_equal(scram_server_user(server), "user");
	assert_string_equal(scram_server_acts_for(server), "");
	scram_server_challenge(server, &secret, &out);
	check(&out, CHALLENGE);
	assert_int_equal(scram_server_final(server, FINAL, strlen(FINAL),
	    &out), SCRAM_OK);
	check(&out, SIGNATURE);
	scram_server_free(server);
	buf_release(&out);
}

/* RFC 7914 11: PBKDF2-HMAC-SHA-256 ("Password", "NaCl", 80000). */
static void test_stretch(void **state)
{
	uint8_t out[DIGEST_BYTES];
	char text[2 * DIGEST_BYTES + 1];

	(void)state;
	digest_stretch("Password", "NaCl", 4, 80000, out);
	hex_format(out, sizeof(out), text, sizeof(text));
	assert_string_equal(text, "4ddcd8f60b98be21830cee5ef22701f9"
	    "641a4418d04c0414aeff08876b34ab56");
}

/* What one side expects of the other, and what must come of it. */
struct pairing {
	const char		*user, *said_user;
	const char		*password, *said_password;
	enum scram_binding	 how;
	bool			 bound, offered, other_session;
	enum scram_result	 first, final;
};

static void run_pairing(const struct pairing *pairing)
{
	const uint8_t *bound = pairing->how == SCRAM_BINDING_USED ? binding :
	    NULL;
	struct scram_client *client = scram_client_new(pairing->said_user,
	    pairing->said_password, pairing->how, bound,
	    bound == NULL ? 0 : sizeof(binding));
	uint8_t theirs[32];
	struct scram_server *server;
	struct scram_secret secret;
	enum scram_result result;
	struct buf out, back;

	memcpy(theirs, binding, sizeof(theirs));
	theirs[0] ^= pairing->other_session;
	server = scram_server_new(pairing->bound, pairing->offered, theirs,
	    sizeof(theirs));
	make_secret(&secret, pairing->password);
	buf_init(&out, SCRAM_MESSAGE_MAX);
	buf_init(&back, SCRAM_MESSAGE_MAX);
	scram_client_first(client, &out);
	result = scram_server_first(server, buf_data(&out), buf_length(&out));
	assert_int_equal(result, pairing->first);
	if (result == SCRAM_OK) {
		assert_string_equal(scram_server_user(server), pairing->user);
		scram_server_challenge(server, &secret, &back);
		buf_reset(&out);
		assert_int_equal(scram_client_final(client, buf_data(&back),
		    buf_length(&back), &out), SCRAM_OK);
		buf_reset(&back);
		assert_int_equal(scram_server_final(server, buf_data(&out),
		    buf_length(&out), &back), pairing->final);
	}
	if (result == SCRAM_OK && pairing->final == SCRAM_OK)
		assert_int_equal(scram_client_verify(client, buf_data(&back),
		    buf_length(&back)), SCRAM_OK);
	else
		assert_int_equal(buf_length(&back), 0);
	scram_client_free(client);
	scram_server_free(server);
	buf_release(&out);
	buf_release(&back);
}

static void test_pairings(void **state)
{
	static const struct pairing pairings[] = {
		{ "u", "u", "p", "p", SCRAM_BINDING_NONE, false, false, false,
		    SCRAM_OK, SCRAM_OK },
		{ "u", "u", "p", "q", SCRAM_BINDING_NONE, false, false, false,
		    SCRAM_OK, SCRAM_REFUSED },
		{ "a=b,c", "a=b,c", "p=,", "p=,", SCRAM_BINDING_NONE, false,
		    false, false, SCRAM_OK, SCRAM_OK },
		/* -PLUS: bound to this session, and to no other. */
		{ "u", "u", "p", "p", SCRAM_BINDING_USED, true, true, false,
		    SCRAM_OK, SCRAM_OK },
		{ "u", "u", "p", "p", SCRAM_BINDING_USED, true, true, true,
		    SCRAM_OK, SCRAM_REFUSED },
		{ "u", "u", "p", "p", SCRAM_BINDING_USED, false, true, false,
		    SCRAM_REFUSED, SCRAM_OK },
		{ "u", "u", "p", "p", SCRAM_BINDING_NONE, true, true, false,
		    SCRAM_REFUSED, SCRAM_OK },
		/* "y": nobody showed it; somebody did, and it was taken out. */
		{ "u", "u", "p", "p", SCRAM_BINDING_UNOFFERED, false, false,
		    false, SCRAM_OK, SCRAM_OK },
		{ "u", "u", "p", "p", SCRAM_BINDING_UNOFFERED, false, true,
		    false, SCRAM_REFUSED, SCRAM_OK },
		{ "u", "u", "p", "p", SCRAM_BINDING_NONE, false, true, false,
		    SCRAM_OK, SCRAM_OK },
		/* RFC 4013 2.1: a space is a space, a soft hyphen nothing. */
		{ "I X", "I\xc2\xa0X", "p\xc2\xad" "q", "pq",
		    SCRAM_BINDING_NONE, false, false, false, SCRAM_OK,
		    SCRAM_OK },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(pairings) / sizeof(pairings[0]); i++)
		run_pairing(&pairings[i]);
}

static enum scram_result first_of(const char *message)
{
	struct scram_server *server = scram_server_new(false, false, NULL, 0);
	enum scram_result result = scram_server_first(server, message,
	    strlen(message));

	scram_server_free(server);
	return result;
}

static void test_bad_first(void **state)
{
	static const char *const bad[] = { "", "n", "n,", "n,,", "n,,n=u",
	    "n,,r=x", "n,,n=,r=x", "n,,n=u,r=", "x,,n=u,r=x", "n,,n=u=,r=x",
	    "n,,n=u=2c,r=x", "n,,m=x,n=u,r=x", "n,,n=u,r=x,m=1",
	    "n,,n=u,r=a b", "n,b=x,n=u,r=x", "n,a=,n=u,r=x", "p=,,n=u,r=x",
	    "n,,n=u,r=x,", "n,,n=u,r=x,abc", "n,,n=\x01,r=x",
	    "n,,n=\xff,r=x" };

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(first_of(bad[i]), SCRAM_MALFORMED);
	assert_int_equal(first_of("p=tls-unique,,n=u,r=x"), SCRAM_REFUSED);
	assert_int_equal(first_of("n,a=other,n=u,r=x,e=1"), SCRAM_OK);
}

static enum scram_result final_of(const char *message)
{
	struct scram_server *server = scram_server_new(false, false, NULL, 0);
	struct scram_secret secret;
	enum scram_result result;
	struct buf out;

	buf_init(&out, SCRAM_MESSAGE_MAX);
	make_secret(&secret, "pencil");
	scram_server_set_nonce(server, SERVER_NONCE);
	scram_server_first(server, FIRST, strlen(FIRST));
	scram_server_challenge(server, &secret, &out);
	result = scram_server_final(server, message, strlen(message), &out);
	scram_server_free(server);
	buf_release(&out);
	return result;
}

#define PROOF ",p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="

static void test_bad_final(void **state)
{
	static const struct { const char *text; enum scram_result result; }
	    cases[] = {
		{ FINAL, SCRAM_OK },
		{ "", SCRAM_MALFORMED },
		{ "p=", SCRAM_MALFORMED },
		{ "c=biws,r=" CLIENT_NONCE SERVER_NONCE, SCRAM_MALFORMED },
		{ "c=biws,r=" CLIENT_NONCE SERVER_NONCE ",p=AAAA",
		    SCRAM_MALFORMED },
		{ "c=biw,r=" CLIENT_NONCE SERVER_NONCE PROOF,
		    SCRAM_MALFORMED },
		{ "r=" CLIENT_NONCE SERVER_NONCE PROOF, SCRAM_MALFORMED },
		{ "c=biws,r=" CLIENT_NONCE SERVER_NONCE ",m=1" PROOF,
		    SCRAM_MALFORMED },
		/* another nonce, another header: "y,," */
		{ "c=biws,r=" CLIENT_NONCE "x" PROOF, SCRAM_REFUSED },
		{ "c=eSws,r=" CLIENT_NONCE SERVER_NONCE PROOF,
		    SCRAM_REFUSED },
		/* what is not part of what was proven */
		{ "c=biws,r=" CLIENT_NONCE SERVER_NONCE ",x=1" PROOF,
		    SCRAM_REFUSED },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		assert_int_equal(final_of(cases[i].text), cases[i].result);
}

static enum scram_result challenge_of(const char *message)
{
	struct scram_client *client = scram_client_new("user", "pencil",
	    SCRAM_BINDING_NONE, NULL, 0);
	enum scram_result result;
	struct buf out;

	buf_init(&out, SCRAM_MESSAGE_MAX);
	scram_client_set_nonce(client, "abc");
	scram_client_first(client, &out);
	result = scram_client_final(client, message, strlen(message), &out);
	scram_client_free(client);
	buf_release(&out);
	return result;
}

/* A server that has the client spend hours, or says another's nonce. */
static void test_bad_challenge(void **state)
{
	(void)state;
	assert_int_equal(challenge_of("r=abcd,s=QQ==,i=4096"), SCRAM_OK);
	assert_int_equal(challenge_of("r=abcd,s=QQ==,i=4095"), SCRAM_REFUSED);
	assert_int_equal(challenge_of("r=abcd,s=QQ==,i=1000001"),
	    SCRAM_REFUSED);
	assert_int_equal(challenge_of("r=abcd,s=QQ==,i=99999999999"),
	    SCRAM_MALFORMED);
	assert_int_equal(challenge_of("r=abc,s=QQ==,i=4096"), SCRAM_REFUSED);
	assert_int_equal(challenge_of("r=xbcd,s=QQ==,i=4096"), SCRAM_REFUSED);
	assert_int_equal(challenge_of("r=abcd,s=,i=4096"), SCRAM_MALFORMED);
	assert_int_equal(challenge_of("r=abcd,s=QQ,i=4096"), SCRAM_MALFORMED);
	assert_int_equal(challenge_of("m=1,r=abcd,s=QQ==,i=4096"),
	    SCRAM_MALFORMED);
	assert_int_equal(challenge_of("e=other-error"), SCRAM_MALFORMED);
}

static void test_prepare(void **state)
{
	char out[8];

	(void)state;
	assert_int_equal(scram_prepare(out, sizeof(out), ""), -1);
	assert_int_equal(scram_prepare(out, sizeof(out), "1234567"), 0);
	assert_int_equal(scram_prepare(out, sizeof(out), "12345678"), -1);
	assert_int_equal(scram_prepare(out, sizeof(out), "\x7f"), -1);
	assert_int_equal(scram_prepare(out, sizeof(out), "\xc2\x85"), -1);
	assert_int_equal(scram_prepare(out, sizeof(out), "\xed\xa0\x80"), -1);
	assert_int_equal(scram_prepare(out, sizeof(out), "\xc0\x80"), -1);
	assert_int_equal(scram_prepare(out, sizeof(out), "\xc3"), -1);
	assert_int_equal(scram_prepare(out, sizeof(out), "\xc2\xad"), -1);
	assert_int_equal(scram_prepare(out, sizeof(out), "\xc3\xa4"), 0);
	assert_string_equal(out, "\xc3\xa4");
	assert_null(scram_client_new("", "x", SCRAM_BINDING_NONE, NULL, 0));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_client_vector),
		cmocka_unit_test(test_server_vector),
		cmocka_unit_test(test_stretch),
		cmocka_unit_test(test_pairings),
		cmocka_unit_test(test_bad_first),
		cmocka_unit_test(test_bad_final),
		cmocka_unit_test(test_bad_challenge),
		cmocka_unit_test(test_prepare),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
