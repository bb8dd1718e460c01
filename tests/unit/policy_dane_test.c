/* SPDX-License-Identifier: ISC */
/*
 * policy/dane.c: which TLSA records are of use to SMTP (DANE-70 to DANE-74),
 * by a table; DER with a real certificate and key, cut and lengthened by every
 * octet; and what is printed.
 */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/x509.h>

#include "base/digest.h"
#include "policy/dane.h"

enum { RDATA_MAX = 4096 };

/* A record of these three octets and so many of data, all 0xaa. */
static bool usable(unsigned usage, unsigned selector, unsigned matching,
    size_t length, char *why, size_t size)
{
	uint8_t rdata[RDATA_MAX];
	struct dane_record record;

	memset(rdata, 0xaa, sizeof(rdata));
	rdata[0] = (uint8_t)usage;
	rdata[1] = (uint8_t)selector;
	rdata[2] = (uint8_t)matching;
	dane_read(rdata, 3 + length, &record);
	assert_true(record.whole);
	assert_int_equal(record.length, length);
	return dane_is_usable(&record, why, size);
}

static void test_table(void **state)
{
	static const struct {
		unsigned	 usage, selector, matching;
		size_t		 length;
		const char	*why;		/* null: usable */
	} cases[] = {
		/* DANE-70, DANE-74 */
		{ 2, 0, 1, 32, NULL }, { 2, 1, 1, 32, NULL },
		{ 3, 0, 1, 32, NULL }, { 3, 1, 1, 32, NULL },
		{ 2, 0, 2, 64, NULL }, { 2, 1, 2, 64, NULL },
		{ 3, 0, 2, 64, NULL }, { 3, 1, 2, 64, NULL },
		/* DANE-71 */
		{ 0, 0, 1, 32, "usage 0 is not for SMTP" },
		{ 1, 1, 1, 32, "usage 1 is not for SMTP" },
		/* DANE-72 */
		{ 4, 1, 1, 32, "usage 4 is unknown" },
		{ 255, 1, 1, 32, "usage 255 is unknown" },
		{ 3, 2, 1, 32, "selector 2 is unknown" },
		{ 2, 255, 1, 32, "selector 255 is unknown" },
		{ 3, 1, 3, 32, "matching type 3 is unknown" },
		{ 3, 1, 255, 64, "matching type 255 is unknown" },
		/* DANE-73 */
		{ 3, 1, 1, 0, "its digest has 0 octets, not 32" },
		{ 3, 1, 1, 20, "its digest has 20 octets, not 32" },
		{ 3, 1, 1, 31, "its digest has 31 octets, not 32" },
		{ 3, 1, 1, 33, "its digest has 33 octets, not 32" },
		{ 3, 1, 1, 64, "its digest has 64 octets, not 32" },
		{ 2, 0, 2, 32, "its digest has 32 octets, not 64" },
		{ 2, 0, 2, 63, "its digest has 63 octets, not 64" },
		{ 2, 0, 2, 65, "its digest has 65 octets, not 64" },
		{ 3, 0, 0, 0, "its data is no certificate" },
		{ 3, 1, 0, 0, "its data is no public key" },
		{ 2, 0, 0, 32, "its data is no certificate" },
		{ 3, 1, 0, 91, "its data is no public key" },
	};
	char why[128];
	bool good;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		why[0] = '\0';
		good = usable(cases[i].usage, cases[i].selector,
		    cases[i].matching, cases[i].length, why, sizeof(why));
		assert_int_equal(good, cases[i].why == NULL);
		assert_string_equal(why, good ? "" : cases[i].why);
		/* Nobody has to want to know. */
		assert_int_equal(good, usable(cases[i].usage,
		    cases[i].selector, cases[i].matching, cases[i].length,
		    NULL, 0));
	}
}

/* RDATA of less than three octets is a record, of no use. */
static void test_short(void **state)
{
	static const uint8_t rdata[3] = { 3, 1, 1 };
	struct dane_record record;
	char text[DANE_TEXT_MAX], why[128];
	size_t length;

	(void)state;
	for (length = 0; length < sizeof(rdata); length++) {
		dane_read(length == 0 ? NULL : rdata, length, &record);
		assert_false(record.whole);
		assert_int_equal(record.length, 0);
		assert_int_equal(record.usage, length > 0 ? 3 : 0);
		assert_int_equal(record.selector, length > 1 ? 1 : 0);
		assert_false(dane_is_usable(&record, why, sizeof(why)));
		assert_string_equal(why, "it is too short to be a TLSA record");
		dane_format(&record, text, sizeof(text));
		assert_string_equal(text, "(less than three octets)");
	}
	dane_read(rdata, sizeof(rdata), &record);
	assert_true(record.whole);
	assert_int_equal(record.length, 0);
	assert_false(dane_is_usable(&record, NULL, 0));
}

/* --- DER --- */

static EVP_PKEY *pair;

static X509 *make_certificate(void)
{
	X509 *certificate = X509_new();
	X509_NAME *name;

	assert_non_null(certificate);
	X509_set_version(certificate, 2);
	ASN1_INTEGER_set(X509_get_serialNumber(certificate), 1);
	X509_gmtime_adj(X509_getm_notBefore(certificate), 0);
	X509_gmtime_adj(X509_getm_notAfter(certificate), 86400);
	name = X509_get_subject_name(certificate);
	X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC,
	    (const unsigned char *)"mx.example", -1, -1, 0);
	X509_set_issuer_name(certificate, name);
	X509_set_pubkey(certificate, pair);
	assert_int_not_equal(0, X509_sign(certificate, pair, EVP_sha256()));
	return certificate;
}

/* The RDATA "3 SELECTOR 0" of the certificate or the key. */
static size_t make_full(uint8_t *rdata, unsigned selector)
{
	X509 *certificate = make_certificate();
	unsigned char *end = rdata + 3;
	int length = selector == 0 ? i2d_X509(certificate, &end) :
	    i2d_PUBKEY(pair, &end);

	X509_free(certificate);
	assert_in_range(length, 64, RDATA_MAX - 16);
	rdata[0] = 3;
	rdata[1] = (uint8_t)selector;
	rdata[2] = 0;
	return 3 + (size_t)length;
}

static bool rdata_is_usable(const uint8_t *rdata, size_t length)
{
	struct dane_record record;

	dane_read(rdata, length, &record);
	return dane_is_usable(&record, NULL, 0);
}

/* DANE-73: exactly one certificate or key, under its own selector; whatever
 * OpenSSL complained about is not left for others to find. */
static void test_full(void **state)
{
	uint8_t rdata[RDATA_MAX];
	unsigned selector;
	size_t length, cut;

	(void)state;
	for (selector = 0; selector < 2; selector++) {
		memset(rdata, 0, sizeof(rdata));
		length = make_full(rdata, selector);
		assert_true(rdata_is_usable(rdata, length));
		rdata[0] = 2;
		assert_true(rdata_is_usable(rdata, length));
		rdata[0] = 1;
		assert_false(rdata_is_usable(rdata, length));
		rdata[0] = 3;
		for (cut = 0; cut < length; cut++)
			assert_false(rdata_is_usable(rdata, cut));
		assert_false(rdata_is_usable(rdata, length + 1));
		assert_false(rdata_is_usable(rdata, length + 16));
		rdata[1] = (uint8_t)!selector;
		assert_false(rdata_is_usable(rdata, length));
		assert_int_equal(ERR_peek_error(), 0);
	}
}

/* A certificate whose key nobody can read cannot be matched either. */
static void test_unknown_key(void **state)
{
	static const uint8_t algorithm[] = { 0x06, 0x07, 0x2a, 0x86, 0x48,
	    0xce, 0x3d, 0x02, 0x01 };	/* id-ecPublicKey */
	uint8_t rdata[RDATA_MAX], *found;
	unsigned selector;
	size_t length;

	(void)state;
	for (selector = 0; selector < 2; selector++) {
		length = make_full(rdata, selector);
		found = memmem(rdata, length, algorithm, sizeof(algorithm));
		assert_non_null(found);
		found[sizeof(algorithm) - 1] = 0x7f;
		assert_false(rdata_is_usable(rdata, length));
	}
}

/* --- text --- */

static void test_format(void **state)
{
	uint8_t rdata[RDATA_MAX] = { 3, 1, 1 };
	char text[DANE_TEXT_MAX], hex[65], wanted[80], small[8];
	struct dane_record record;

	(void)state;
	memset(rdata + 3, 0x5a, sizeof(rdata) - 3);
	hex_format(rdata + 3, 32, hex, sizeof(hex));
	dane_read(rdata, 3 + 32, &record);
	dane_format(&record, text, sizeof(text));
	snprintf(wanted, sizeof(wanted), "3 1 1 %s", hex);
	assert_string_equal(text, wanted);
	dane_read(rdata, sizeof(rdata), &record);
	dane_format(&record, text, sizeof(text));
	assert_in_range(strlen(text), 60, DANE_TEXT_MAX - 1);
	assert_memory_equal(text, "3 1 1 5a5a", 10);
	assert_string_equal(text + strlen(text) - 5, "5a...");
	memset(rdata, 255, 3);
	dane_read(rdata, sizeof(rdata), &record);
	dane_format(&record, text, sizeof(text));
	assert_memory_equal(text, "255 255 255 5a", 14);
	assert_string_equal(text + strlen(text) - 5, "5a...");
	dane_read(rdata, 3, &record);
	dane_format(&record, text, sizeof(text));
	assert_string_equal(text, "255 255 255 ");
	dane_format(&record, small, sizeof(small));
	assert_string_equal(small, "255 255");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_table),
		cmocka_unit_test(test_short),
		cmocka_unit_test(test_full),
		cmocka_unit_test(test_unknown_key),
		cmocka_unit_test(test_format),
	};
	int failed;

	pair = EVP_EC_gen("P-256");
	if (pair == NULL)
		return 2;
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	EVP_PKEY_free(pair);
	return failed;
}
