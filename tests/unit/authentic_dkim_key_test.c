/* SPDX-License-Identifier: ISC */
/*
 * authentic/dkim_key.c and dkim_record.c: the file of private keys, with what
 * is wrong in it named by line and remedy; records of public ones (AUTHN-1,
 * AUTHN-2, AUTHN-21, AUTHN-22).
 */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "authentic/dkim_key.h"
#include "authentic/dkim_record.h"
#include "base/buf.h"
#include "base/mem.h"
#include "tests/dkim_keys.h"

#define WHEN "2026-11-22T12:42:06Z 2026-11-22T12:42:06Z "

static struct dkim_keys *read_keys(const char *text)
{
	char *errors = NULL;
	struct dkim_keys *keys = dkim_keys_read("keys", text, &errors);

	if (keys == NULL)
		fail_msg("%s", errors);
	assert_null(errors);
	return keys;
}

static void test_round(void **state)
{
	struct dkim_keys *keys = read_keys("# ours\n\n" DKIM_TEST_FILE);
	struct buf out;

	(void)state;
	assert_int_equal(keys->count, 2);
	assert_string_equal(keys->items[1].domain, "example.org");
	assert_string_equal(keys->items[1].selector, "e1");
	assert_int_equal(keys->items[1].algorithm, DKIM_ED25519);
	assert_int_equal(keys->items[1].state, DKIM_ACTIVE);
	assert_true(keys->items[1].created == 1795351326000);
	buf_init(&out, 1 << 16);
	assert_int_equal(dkim_keys_print(keys, &out), 0);
	assert_string_equal(buf_string(&out), DKIM_TEST_FILE);
	dkim_keys_free(keys);
	buf_release(&out);
	buf_init(&out, 100);
	keys = read_keys(DKIM_TEST_FILE);
	assert_int_equal(dkim_keys_print(keys, &out), -1);
	dkim_keys_free(keys);
	buf_release(&out);
	keys = read_keys("");
	assert_int_equal(keys->count, 0);
	dkim_keys_free(keys);
	dkim_keys_free(NULL);
}

/* Words that must be in the errors. */
static const struct {
	const char	*text, *line, *words;
} wrongs[] = {
	{ "\nexample.org\n", "keys:2:", "seven words" },
	{ "a.example s rsa active " WHEN " x", "keys:1:", "seven words" },
	{ "a.example s ed25519 active " WHEN DKIM_TEST_ED25519 " ", "keys:1:",
	    "seven words" },
	{ "A.example s ed25519 active " WHEN DKIM_TEST_ED25519, "keys:1:",
	    "not a domain; write it in lower case" },
	{ "a.example. s ed25519 active " WHEN DKIM_TEST_ED25519, "keys:1:",
	    "not a domain" },
	{ "b\xc3\xbc.example s ed25519 active " WHEN DKIM_TEST_ED25519,
	    "keys:1:", "xn-- labels" },
	{ "a.example S ed25519 active " WHEN DKIM_TEST_ED25519, "keys:1:",
	    "not a selector" },
	{ "a.example "
	    "s123456789012345678901234567890123456789012345678901234567890123 "
	    "ed25519 active " WHEN DKIM_TEST_ED25519, "keys:1:",
	    "up to 63 small letters" },
	{ "a.example s dsa active " WHEN DKIM_TEST_ED25519, "keys:1:",
	    "write rsa or ed25519" },
	{ "a.example s ed25519 old " WHEN DKIM_TEST_ED25519, "keys:1:",
	    "waiting, active or retired" },
	{ "a.example s ed25519 active 2026-11-31T12:42:06Z "
	    "2026-11-22T12:42:06Z " DKIM_TEST_ED25519, "keys:1:",
	    "not both dates; write them as" },
	{ "a.example s ed25519 active 2026-11-22T12:42:06Z "
	    "2026-11-22 " DKIM_TEST_ED25519, "keys:1:", "not both dates" },
	{ "a.example s ed25519 active 2026-11-22T12:42:06Zx "
	    "2026-11-22T12:42:06Z " DKIM_TEST_ED25519, "keys:1:",
	    "not both dates" },
	{ "a.example s rsa active " WHEN DKIM_TEST_ED25519, "keys:1:",
	    "not of the algorithm in the third word" },
	{ "a.example s ed25519 active " WHEN DKIM_TEST_RSA, "keys:1:",
	    "not of the algorithm in the third word" },
	{ "a.example s rsa active " WHEN DKIM_TEST_EC, "keys:1:",
	    "not of the algorithm" },
	{ "a.example s rsa active " WHEN DKIM_TEST_RSA_512, "keys:1:",
	    "less than 1024 bits" },
	{ "a.example s rsa active " WHEN "AAAA", "keys:1:",
	    "not a private key" },
	{ "a.example s rsa active " WHEN "A" DKIM_TEST_RSA, "keys:1:",
	    "not a private key" },
	{ "a.example s ed25519 active " WHEN DKIM_TEST_ED25519 "AAAA",
	    "keys:1:", "not a private key" },
	{ DKIM_TEST_FILE "example.org e1 ed25519 retired " WHEN
	    DKIM_TEST_ED25519 "\n", "keys:3:", "has that selector" },
};

static void test_wrong(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(wrongs) / sizeof(wrongs[0]); i++) {
		char *errors = NULL;

		assert_null(dkim_keys_read("keys", wrongs[i].text, &errors));
		if (errors == NULL || strstr(errors, wrongs[i].line) == NULL ||
		    strstr(errors, wrongs[i].words) == NULL)
			fail_msg("%s: %s", wrongs[i].words, errors);
		/* A remedy, and nothing of a key. */
		assert_non_null(strchr(errors, ';'));
		assert_null(strstr(errors, "MC4"));
		assert_null(strstr(errors, "MII"));
		mem_free(errors);
	}
}

/* All lines are judged, and each is named. */
static void test_many(void **state)
{
	char *errors = NULL;
	struct buf text;

	(void)state;
	assert_null(dkim_keys_read("f", "x\n" DKIM_TEST_FILE "y\n", &errors));
	assert_non_null(strstr(errors, "f:1: "));
	assert_non_null(strstr(errors, "\nf:4: "));
	assert_null(strstr(errors, "f:2:"));
	mem_free(errors);
	buf_init(&text, 1 << 20);
	for (int i = 0; i <= DKIM_KEYS_MAX; i++)
		buf_print(&text, "example.org s%d ed25519 active " WHEN "%s\n",
		    i, DKIM_TEST_ED25519);
	assert_null(dkim_keys_read("f", buf_string(&text), &errors));
	assert_non_null(strstr(errors, "f:1001: there are more than 1000"));
	mem_free(errors);
	buf_release(&text);
}

/* A key whose numbers were damaged is read by OpenSSL without a word. */
static void test_damaged(void **state)
{
	char *text = mem_dup_string("a.example s rsa active " WHEN
	    DKIM_TEST_RSA "\n");
	char *errors = NULL, *place;

	(void)state;
	/* Within the modulus. */
	place = strstr(text, "MII") + 100;
	*place = *place == 'A' ? 'B' : 'A';
	assert_null(dkim_keys_read("f", text, &errors));
	assert_non_null(strstr(errors, "f:1: the key is damaged"));
	mem_free(errors);
	mem_free(text);
}

/* AUTHN-1, AUTHN-2: what is made signs and can be published. */
static void test_make(void **state)
{
	struct dkim_keys *keys = read_keys("");
	struct buf record, again;

	(void)state;
	buf_init(&record, 4096);
	buf_init(&again, 1 << 16);
	assert_int_equal(dkim_keys_make(keys, "a.example", "s1", DKIM_RSA,
	    1700000000999), 0);
	assert_int_equal(dkim_keys_make(keys, "a.example", "s2",
	    DKIM_ED25519, 1700000000999), 0);
	assert_int_equal(dkim_keys_make(keys, "a.example", "s2", DKIM_RSA,
	    0), -1);
	assert_int_equal(dkim_keys_make(keys, "a..example", "s3", DKIM_RSA,
	    0), -1);
	assert_int_equal(dkim_keys_make(keys, "a.example", "S3", DKIM_RSA,
	    0), -1);
	for (size_t i = 0; i < 2; i++) {
		const struct dkim_key *key = &keys->items[i];

		assert_int_equal(key->state, DKIM_WAITING);
		buf_reset(&record);
		assert_int_equal(dkim_key_record(key, &record), 0);
		assert_int_equal(strncmp(buf_string(&record), i == 0 ?
		    "v=DKIM1; k=rsa; p=" : "v=DKIM1; k=ed25519; p=", 18), 0);
		assert_true(dkim_key_is_published(key, buf_data(&record),
		    buf_length(&record)));
		assert_false(dkim_key_is_published(&keys->items[1 - i],
		    buf_data(&record), buf_length(&record)));
	}
	assert_int_equal(dkim_keys_print(keys, &again), 0);
	dkim_keys_free(keys);
	keys = read_keys(buf_string(&again));
	assert_true(keys->items[0].created == 1700000000000);
	/* 2048 bits: 392 letters. */
	buf_reset(&record);
	dkim_key_record(&keys->items[0], &record);
	assert_int_equal(buf_length(&record), 18 + 392);
	buf_release(&record);
	buf_init(&record, 30);
	assert_int_equal(dkim_key_record(&keys->items[0], &record), -1);
	assert_int_equal(buf_length(&record), 0);
	dkim_keys_free(keys);
	buf_release(&record);
	buf_release(&again);
}

#define LINE(domain, selector, state, changed) domain " " selector \
	" ed25519 " state " 2026-01-01T00:00:00Z " changed " " \
	DKIM_TEST_ED25519 "\n"

/* Whose key signs, and which. */
static void test_active(void **state)
{
	static const struct {
		const char	*domain;
		enum dkim_algorithm algorithm;
		const char	*selector;
	} cases[] = {
		{ "example.org", DKIM_ED25519, "new" },
		{ "Example.ORG", DKIM_ED25519, "new" },
		{ "example.org", DKIM_RSA, NULL },
		{ "deep.er.example.org", DKIM_ED25519, "new" },
		/* its own is only waiting: the one above goes on */
		{ "w.example.org", DKIM_ED25519, "new" },
		/* it has an active one: none of the other kind from above */
		{ "own.example.net", DKIM_ED25519, "own" },
		{ "own.example.net", DKIM_RSA, NULL },
		{ "x.own.example.net", DKIM_ED25519, "own" },
		{ "example.net", DKIM_RSA, "r" },
		{ "y.example.net", DKIM_RSA, "r" },
		{ "notexample.org", DKIM_ED25519, NULL },
		{ "org", DKIM_ED25519, NULL },
		{ "", DKIM_ED25519, NULL },
	};
	struct dkim_keys *keys = read_keys(
	    LINE("example.org", "old", "active", "2026-01-01T00:00:00Z")
	    LINE("example.org", "new", "active", "2026-02-01T00:00:00Z")
	    LINE("example.org", "gone", "retired", "2026-03-01T00:00:00Z")
	    LINE("example.org", "next", "waiting", "2026-04-01T00:00:00Z")
	    LINE("w.example.org", "w", "waiting", "2026-04-01T00:00:00Z")
	    LINE("own.example.net", "own", "active", "2026-04-01T00:00:00Z")
	    "example.net r rsa active " WHEN DKIM_TEST_RSA "\n");

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const struct dkim_key *key = dkim_keys_active(keys,
		    cases[i].domain, cases[i].algorithm);

		if (cases[i].selector == NULL) {
			assert_null(key);
			continue;
		}
		assert_non_null(key);
		assert_string_equal(key->selector, cases[i].selector);
	}
	dkim_keys_free(keys);
}

/* RFC 8463 A.2, RFC 6376 C: 32 bytes; 1024 bits, as SubjectPublicKeyInfo. */
#define ED25519_P "11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo="
#define RSA_P "MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQDwIRP/UC3SBsEmGqZ9ZJW3/" \
	"DkMoGeLnQg1fWn7/zYtIxN2SnFCjxOCKG9v3b4jYfcTNh5ijSsq631uBItLa7od+v" \
	"/RtdC2UzJ1lWT947qR+Rcac2gbto/NMqJ0fzfVjH4OuKhitdY9tf6mcwGjaNBcWTo" \
	"IMmPSPDdQPNUYckcQ2QIDAQAB"
/* The same as RSAPublicKey: behind the 22 bytes of its envelope. */
#define RSA_BARE \
	"MIGJAoGBAPAhE/9QLdIGwSYapn1klbf8OQygZ4udCDV9afv/Ni0jE3ZKcUKPE4Io" \
	"b2/dviNh9xM2HmKNKyrrfW4Ei0truh36/9G10LZTMnWVZP3jupH5FxpzaBu2j80y" \
	"onR/N9WMfg64qGK11j21/qZzAaNo0FxZOggyY9I8N1A81RhyRxDZAgMBAAE="
/* AUTHN-22: of 512 and of 5000 bits, and with a monstrous exponent. */
#define RSA_512 \
	"MFwwDQYJKoZIhvcNAQEBBQADSwAwSAJBAPNenNQQT+Tedz4bXYn1SQ0Wyd2nbFf6" \
	"Zk69y9K3+sZAGTY00eaTCqTxGUru0XiCmS/mgTv0XKQ/asQ3iiWuJskCAwEAAQ=="
#define RSA_5000 \
	"MIICkzANBgkqhkiG9w0BAQEFAAOCAoAAMIICewKCAnIAgAAAAAAAAAAAAAAAAAAA" \
	"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA" \
	"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA" \
	"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA" \
	"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA" \
	"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA" \
	"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA" \
	"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA" \
	"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA" \
	"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA" \
	"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA" \
	"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA" \
	"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA" \
	"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAIAAQIDAQAB"
#define RSA_EXPONENT \
	"MIIBDTANBgkqhkiG9w0BAQEFAAOB+wAwgfcCgYEA8CET/1At0gbBJhqmfWSVt/w5" \
	"DKBni50INX1p+/82LSMTdkpxQo8Tgihvb92+I2H3EzYeYo0rKut9bgSLS2u6Hfr/" \
	"0bXQtlMydZVk/eO6kfkXGnNoG7aPzTKidH831Yx+DrioYrXWPbX+pnMBo2jQXFk6" \
	"CDJj0jw3UDzVGHJHENkCcRAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA" \
	"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA" \
	"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAB"

/* Null: it is taken. */
static const struct {
	const char	*record, *wrong;
	const char	*flags;		/* of taken ones: y, s */
} records[] = {
	{ "v=DKIM1; p=" RSA_P, NULL, "" },
	{ "p=" RSA_P, NULL, "" },
	{ "k=rsa; p=" RSA_BARE ";", NULL, "" },
	{ "v=DKIM1; k=ed25519; p=" ED25519_P, NULL, "" },
	{ "v=DKIM1; k=ed25519; t=y:s; n=it; x=1; p=" ED25519_P, NULL, "ys" },
	{ "v=DKIM1; k=ed25519; t= s ; p=" ED25519_P, NULL, "s" },
	{ "v=DKIM1; k=ed25519; t=z:y; p=" ED25519_P, NULL, "y" },
	{ "v=DKIM1; k=ed25519; h=sha1 : sha256; p=" ED25519_P, NULL, "" },
	{ "v=DKIM1; k=ed25519; s=other:email; p=" ED25519_P, NULL, "" },
	{ "v=DKIM1; k=ed25519; s=*; p=" ED25519_P, NULL, "" },
	{ "v=DKIM1; k=ed25519; p= 11qYAYKxCrfVS/7TyWQHOg7h\t"
	    "cvPapiMlrwIaaPcHURo = ", NULL, "" },
	{ "p=" RSA_P "; v=DKIM1", "does not begin with v=DKIM1", "" },
	{ "v=DKIM2; p=" RSA_P, "does not begin with v=DKIM1", "" },
	{ "v=dkim1; p=" RSA_P, "does not begin with v=DKIM1", "" },
	{ "V=DKIM1", "has no p=", "" },
	{ "v=DKIM1; h=sha1; p=" RSA_P, "not for sha256", "" },
	{ "v=DKIM1; h=; p=" RSA_P, "not for sha256", "" },
	{ "v=DKIM1; s=tlsrpt; p=" RSA_P, "not for mail", "" },
	{ "v=DKIM1; k=dsa; p=" RSA_P, "unknown kind", "" },
	{ "v=DKIM1; k=RSA; p=" RSA_P, "unknown kind", "" },
	{ "v=DKIM1; k=; p=" RSA_P, "unknown kind", "" },
	{ "v=DKIM1; k=rsa; p=", "revoked", "" },
	{ "v=DKIM1; k=rsa; p= ;", "revoked", "" },
	{ "v=DKIM1; k=rsa; p=!", "not base64", "" },
	{ "v=DKIM1; k=rsa; p=" RSA_P "AAAA", "cannot be read", "" },
	{ "v=DKIM1; k=rsa; p=AAAA", "cannot be read", "" },
	{ "v=DKIM1; k=rsa; p=" ED25519_P, "cannot be read", "" },
	{ "v=DKIM1; k=ed25519; p=" RSA_P, "cannot be read", "" },
	{ "v=DKIM1; k=ed25519; p=AAAA", "cannot be read", "" },
	{ "v=DKIM1; p=" RSA_P "; p=" RSA_P, "cannot be read", "" },
	{ "v=spf1 -all", "does not begin with v=DKIM1", "" },
	{ "", "cannot be read", "" },
	{ "v=DKIM1; p=" RSA_512, "less than 1024 bits", "" },
	{ "v=DKIM1; p=" RSA_5000, "more than 4096 bits", "" },
	{ "v=DKIM1; p=" RSA_EXPONENT, "exponent", "" },
};

static void test_records(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(records) / sizeof(records[0]); i++) {
		struct dkim_record record;
		const char *wrong = dkim_record_read(&record,
		    records[i].record, strlen(records[i].record));

		if (records[i].wrong != NULL) {
			if (wrong == NULL ||
			    strstr(wrong, records[i].wrong) == NULL)
				fail_msg("%s: %s", records[i].record, wrong);
			assert_null(record.key);
			continue;
		}
		if (wrong != NULL)
			fail_msg("%s: %s", records[i].record, wrong);
		assert_int_equal(record.testing,
		    strchr(records[i].flags, 'y') != NULL);
		assert_int_equal(record.no_subdomains,
		    strchr(records[i].flags, 's') != NULL);
		dkim_record_release(&record);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_round),
		cmocka_unit_test(test_wrong),
		cmocka_unit_test(test_many),
		cmocka_unit_test(test_damaged),
		cmocka_unit_test(test_make),
		cmocka_unit_test(test_active),
		cmocka_unit_test(test_records),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
