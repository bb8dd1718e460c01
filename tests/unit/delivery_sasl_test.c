/* SPDX-License-Identifier: ISC */
/*
 * Logging in: which mechanism is taken, its messages, a server that cannot
 * prove itself; the file that credentials come from; and who we are to a host,
 * as the digest that keeps connections apart.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "base/buf.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/scram.h"
#include "conf/conf.h"
#include "delivery/credentials.h"
#include "delivery/identity.h"
#include "delivery/profile.h"
#include "delivery/sasl.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static char user[] = "bob", password[] = "secret";
static const struct credentials bob = { user, password };
static const uint8_t binding[32] = { 1, 2, 3 };

static struct sasl_means means_of(bool credentials, bool certificate,
    bool bound)
{
	return (struct sasl_means){ .credentials = credentials ? &bob : NULL,
	    .certificate = certificate, .binding = binding,
	    .binding_length = bound ? sizeof(binding) : 0 };
}

/* --- which one --- */

static void chooses(void **state)
{
	static const char all[] = "LOGIN PLAIN EXTERNAL SCRAM-SHA-256 "
	    "SCRAM-SHA-256-PLUS GSSAPI";
	static const struct {
		bool			 credentials, certificate, bound;
		const char		*offered;
		unsigned		 refused;
		enum sasl_mechanism	 chosen;
	} rows[] = {
		{ true, false, true, all, 0, SASL_SCRAM_SHA_256_PLUS },
		{ true, true, true, all, 0, SASL_SCRAM_SHA_256_PLUS },
		{ true, false, false, all, 0, SASL_SCRAM_SHA_256 },
		{ true, false, true, all, 1 << SASL_SCRAM_SHA_256_PLUS,
		    SASL_SCRAM_SHA_256 },
		{ true, false, true, all, 3, SASL_PLAIN },
		{ true, false, true, all, 7, SASL_LOGIN },
		{ true, false, true, all, 15, SASL_MECHANISMS },
		{ true, true, true, "EXTERNAL", 0, SASL_MECHANISMS },
		{ false, true, true, all, 0, SASL_EXTERNAL },
		{ false, false, true, all, 0, SASL_MECHANISMS },
		{ true, false, true, "plain", 0, SASL_PLAIN },
		{ true, false, true, "  XPLAIN PLAINX login", 0, SASL_LOGIN },
		{ true, false, true, "", 0, SASL_MECHANISMS },
		{ true, false, true, "SCRAM-SHA-1 CRAM-MD5", 0,
		    SASL_MECHANISMS },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct sasl_means means = means_of(rows[i].credentials,
		    rows[i].certificate, rows[i].bound);

		assert_int_equal(sasl_choose(&means, rows[i].offered,
		    rows[i].refused), rows[i].chosen);
	}
}

/* --- messages --- */

static void says_plain(void **state)
{
	struct sasl_means means = means_of(true, false, false);
	struct sasl *sasl = sasl_new(SASL_PLAIN, &means, "PLAIN");
	struct buf out;

	(void)state;
	buf_init(&out, SASL_MESSAGE_MAX);
	assert_true(sasl_begin(sasl, &out));
	assert_int_equal(buf_length(&out), 11);
	assert_memory_equal(buf_data(&out), "\0bob\0secret", 11);
	assert_int_equal(sasl_end(sasl), SASL_OK);
	assert_int_equal(sasl_go_on(sasl, "x", 1, &out), SASL_ODD);
	buf_wipe(&out);
	sasl_free(sasl);
}

static void says_login(void **state)
{
	struct sasl_means means = means_of(true, false, false);
	struct sasl *sasl = sasl_new(SASL_LOGIN, &means, "LOGIN");
	struct buf out;

	(void)state;
	buf_init(&out, SASL_MESSAGE_MAX);
	assert_false(sasl_begin(sasl, &out));
	assert_int_equal(sasl_go_on(sasl, "", 0, &out), SASL_OK);
	assert_string_equal(buf_string(&out), "bob");
	buf_reset(&out);
	assert_int_equal(sasl_go_on(sasl, "Passwort?", 9, &out), SASL_OK);
	assert_string_equal(buf_string(&out), "secret");
	buf_reset(&out);
	assert_int_equal(sasl_go_on(sasl, "more", 4, &out), SASL_ODD);
	assert_int_equal(buf_length(&out), 0);
	buf_wipe(&out);
	sasl_free(sasl);
}

static void says_external(void **state)
{
	struct sasl_means means = means_of(false, true, false);
	struct sasl *sasl = sasl_new(SASL_EXTERNAL, &means, "EXTERNAL");
	struct buf out;

	(void)state;
	buf_init(&out, SASL_MESSAGE_MAX);
	assert_true(sasl_begin(sasl, &out));
	assert_int_equal(buf_length(&out), 0);
	assert_int_equal(sasl_end(sasl), SASL_OK);
	sasl_free(sasl);
}

/* The other side is the one that smtpd's directory has. server_knows: it has
 * the password. What the client thinks of it in the end. */
static enum sasl_result play_scram(enum sasl_mechanism mechanism, bool bound,
    bool shown_plus, bool server_knows, bool skip_proof)
{
	struct sasl_means means = means_of(true, false, bound);
	bool plus = mechanism == SASL_SCRAM_SHA_256_PLUS;
	struct sasl *sasl = sasl_new(mechanism, &means, shown_plus ?
	    "SCRAM-SHA-256-PLUS SCRAM-SHA-256" : "SCRAM-SHA-256");
	struct scram_server *server = scram_server_new(plus, shown_plus,
	    plus ? binding : NULL, plus ? sizeof(binding) : 0);
	enum sasl_result result = SASL_ODD;
	struct scram_secret secret;
	struct buf said, heard;

	buf_init(&said, SASL_MESSAGE_MAX);
	buf_init(&heard, SASL_MESSAGE_MAX);
	assert_int_equal(scram_secret_make(&secret, server_knows ? "secret" :
	    "another", "0123456789abcdef", 16, 4096), 0);
	assert_true(sasl_begin(sasl, &said));
	if (scram_server_first(server, buf_data(&said), buf_length(&said)) ==
	    SCRAM_OK) {
		scram_server_challenge(server, &secret, &heard);
		buf_reset(&said);
		result = sasl_go_on(sasl, buf_data(&heard),
		    buf_length(&heard), &said);
		assert_int_equal(result, SASL_OK);
		assert_int_equal(sasl_end(sasl), SASL_FALSE_SERVER);
		buf_reset(&heard);
		if (scram_server_final(server, buf_data(&said),
		    buf_length(&said), &heard) != SCRAM_OK)
			buf_add_string(&heard, "v=AAAAAAAAAAAAAAAAAAAAAAAAAAAA"
			    "AAAAAAAAAAAAAAA=");
		buf_reset(&said);
		if (!skip_proof)
			result = sasl_go_on(sasl, buf_data(&heard),
			    buf_length(&heard), &said);
		assert_int_equal(buf_length(&said), 0);
		if (result == SASL_OK)
			result = sasl_end(sasl);
	}
	buf_wipe(&said);
	buf_wipe(&heard);
	scram_server_free(server);
	sasl_free(sasl);
	return result;
}

static void proves_by_scram(void **state)
{
	(void)state;
	assert_int_equal(play_scram(SASL_SCRAM_SHA_256_PLUS, true, true, true,
	    false), SASL_OK);
	assert_int_equal(play_scram(SASL_SCRAM_SHA_256, false, false, true,
	    false), SASL_OK);
	/* "y": it could, and -PLUS was not shown. */
	assert_int_equal(play_scram(SASL_SCRAM_SHA_256, true, false, true,
	    false), SASL_OK);
	/* "n": -PLUS was refused, or there is no binding under TLS 1.2. */
	assert_int_equal(play_scram(SASL_SCRAM_SHA_256, false, true, true,
	    false), SASL_OK);
	assert_int_equal(play_scram(SASL_SCRAM_SHA_256, true, true, true,
	    false), SASL_OK);
}

static void finds_false_servers(void **state)
{
	(void)state;
	assert_int_equal(play_scram(SASL_SCRAM_SHA_256_PLUS, true, true, false,
	    false), SASL_FALSE_SERVER);
	assert_int_equal(play_scram(SASL_SCRAM_SHA_256, false, false, false,
	    false), SASL_FALSE_SERVER);
	assert_int_equal(play_scram(SASL_SCRAM_SHA_256_PLUS, true, true, true,
	    true), SASL_FALSE_SERVER);
}

/* --- the file --- */

static void reads_credentials(void **state)
{
	static const struct {
		const char	*text, *user, *password, *error;
	} rows[] = {
		{ "bob\nsecret\n", "bob", "secret", NULL },
		{ "bob\r\nsecret\r\n\n", "bob", "secret", NULL },
		{ "bob\nse cret # 1", "bob", "se cret # 1", NULL },
		{ "b\xc3\xb6" "b\np\xc3\xa4ss\n", "b\xc3\xb6" "b",
		    "p\xc3\xa4ss", NULL },
		{ "", NULL, NULL, "f:1: the user name is missing" },
		{ "\nsecret\n", NULL, NULL, "f:1: the user name is missing" },
		{ "bob\n", NULL, NULL, "f:2: the password is missing" },
		{ "bob\n\nsecret\n", NULL, NULL,
		    "f:2: the password is missing" },
		{ "bob\nsecret\nalice\n", NULL, NULL, "f:3: there is more" },
		{ "b\x01\nsecret\n", NULL, NULL, "f:1: the user name has" },
		{ "bob\ns\xff\n", NULL, NULL, "f:2: the password has" },
	};
	char error[400];

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct credentials *got = credentials_read("f", rows[i].text,
		    error, sizeof(error));

		if (rows[i].error != NULL) {
			assert_null(got);
			assert_ptr_equal(strstr(error, rows[i].error), error);
			assert_null(strstr(error, "secret"));
			continue;
		}
		assert_non_null(got);
		assert_string_equal(got->user, rows[i].user);
		assert_string_equal(got->password, rows[i].password);
		credentials_free(got);
	}
}

static void refuses_long_ones(void **state)
{
	char *text = mem_alloc(3000), error[400];

	(void)state;
	memset(text, 'a', 1500);
	memcpy(text + 1400, "\nsecret\n", 9);
	assert_null(credentials_read("f", text, error, sizeof(error)));
	assert_non_null(strstr(error, "f:1: the user name is too long"));
	memset(text, 'a', 1500);
	memcpy(text, "bob\n", 4);
	text[1500] = '\0';
	assert_null(credentials_read("f", text, error, sizeof(error)));
	assert_non_null(strstr(error, "f:2: the password is too long"));
	mem_free(text);
}

/* --- who we are --- */

static char *source = (char[]){ "192.0.2.7" };

/* Whatever differs makes another identity; nothing else does. */
static void keeps_apart(void **state)
{
	struct conf conf = { .hostname = (char[]){ "h" },
	    .hello_ipv4 = (char[]){ "four" }, .hello_ipv6 = (char[]){ "six" } };
	struct conf_route routes[2] = { { .socket = (char[]){ "" },
	    .certificate = (char[]){ "" } }, { .socket = (char[]){ "" },
	    .certificate = (char[]){ "" } } };
	char third[] = "third";
	struct credentials other = { user, third };
	struct profile_route own[2] = { { .credentials = NULL } };
	struct profile profile = { .conf = &conf, .routes = own };
	struct identity all[8], same;
	struct endpoint four, six;
	size_t count = 0;

	(void)state;
	conf.routes = routes;
	conf.route_count = 2;
	endpoint_parse(&four, "192.0.2.1", 25);
	endpoint_parse(&six, "2001:db8::1", 25);
	identity_make(&all[count++], &profile, NULL, &four);
	assert_string_equal(all[0].hello, "four");
	identity_make(&all[count++], &profile, NULL, &six);
	assert_string_equal(all[1].hello, "six");
	identity_make(&all[count++], &profile, &routes[0], &four);
	own[0].credentials = (struct credentials *)(uintptr_t)&bob;
	identity_make(&all[count++], &profile, &routes[0], &four);
	identity_make(&same, &profile, &routes[0], &four);
	assert_memory_equal(same.digest, all[count - 1].digest, DIGEST_BYTES);
	own[1].credentials = &other;
	identity_make(&all[count++], &profile, &routes[1], &four);
	routes[1].transport = TRANSPORT_LMTP;
	identity_make(&all[count++], &profile, &routes[1], &four);
	routes[1].socket = (char[]){ "/run/x" };
	identity_make(&all[count++], &profile, &routes[1], &four);
	conf.source_addresses.items = &source;
	conf.source_addresses.count = 1;
	identity_make(&all[count++], &profile, NULL, &four);
	assert_int_equal(count, COUNT(all));
	for (size_t i = 0; i < count; i++)
		for (size_t k = 0; k < i; k++)
			assert_memory_not_equal(all[i].digest, all[k].digest,
			    DIGEST_BYTES);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(chooses),
		cmocka_unit_test(says_plain),
		cmocka_unit_test(says_login),
		cmocka_unit_test(says_external),
		cmocka_unit_test(proves_by_scram),
		cmocka_unit_test(finds_false_servers),
		cmocka_unit_test(reads_credentials),
		cmocka_unit_test(refuses_long_ones),
		cmocka_unit_test(keeps_apart),
	};

	log_init("test", LOG_LEVEL_ERROR);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
