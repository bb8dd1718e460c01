/* SPDX-License-Identifier: ISC */
/*
 * SHA-256 against the examples of FIPS 180-2, hexadecimal both ways, and the
 * bounds of random numbers.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <string.h>

#include "base/digest.h"
#include "base/mem.h"

static const struct {
	const char	*text;
	const char	*digest;
} vectors[] = {
	{ "", "e3b0c44298fc1c149afbf4c8996fb924"
	    "27ae41e4649b934ca495991b7852b855" },
	{ "abc", "ba7816bf8f01cfea414140de5dae2223"
	    "b00361a396177a9cb410ff61f20015ad" },
	{ "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
	    "248d6a61d20638b8e5c026930c3e6039"
	    "a33ce45964ff2167f6ecedd419db06c1" }
};

static void test_vectors(void **state)
{
	char text[2 * DIGEST_BYTES + 1];
	uint8_t out[DIGEST_BYTES];
	size_t i;

	(void)state;
	for (i = 0; i < sizeof vectors / sizeof vectors[0]; i++) {
		digest_of(vectors[i].text, strlen(vectors[i].text), out);
		hex_format(out, sizeof out, text, sizeof text);
		assert_string_equal(text, vectors[i].digest);
	}
}

static void test_pieces(void **state)
{
	struct digest *digest = digest_new();
	uint8_t whole[DIGEST_BYTES], pieces[DIGEST_BYTES];
	char data[1000];
	size_t i;

	(void)state;
	for (i = 0; i < sizeof data; i++)
		data[i] = (char)(i * 7);
	digest_of(data, sizeof data, whole);
	for (i = 0; i < sizeof data; i += 8)
		digest_add(digest, data + i, 8);
	digest_end(digest, pieces);
	assert_memory_equal(whole, pieces, sizeof whole);
	digest_free(digest_new());
	digest_free(NULL);
}

static void test_hex(void **state)
{
	static const struct {
		const char	*text;
		int		 count;
	} cases[] = {
		{ "", 0 }, { "00", 1 }, { "0aFf", 2 }, { "0a:ff:10", 3 },
		{ "0aff:10", 3 }, { "00112233", 4 }, { "0011223344", -1 },
		{ "0", -1 }, { "0g", -1 }, { "00:", -1 }, { ":00", -1 },
		{ "00::11", -1 }, { "0:0", -1 }, { " 00", -1 }, { "00 ", -1 }
	};
	uint8_t out[4];
	size_t i;

	(void)state;
	for (i = 0; i < sizeof cases / sizeof cases[0]; i++)
		assert_int_equal(hex_parse(out, sizeof out, cases[i].text),
		    cases[i].count);
	assert_int_equal(hex_parse(out, sizeof out, "0a:FF:10"), 3);
	assert_memory_equal(out, "\x0a\xff\x10", 3);
}

static void test_base64(void **state)
{
	static const struct { const char *text; int count; } cases[] = {
		{ "", 0 }, { "Zg==", 1 }, { "Zm8=", 2 }, { "Zm9v", 3 },
		{ "Zm9vYmFy", 6 }, { "Zm9", -1 }, { "Zm9v ", -1 },
		{ "Zg==Zg==", -1 }, { "Z===", -1 }, { "====", -1 },
		{ "Zm9*", -1 }, { " m9v", -1 }, { "Zm9vYmFyZm9v", -1 } };
	uint8_t out[8];
	size_t i;

	(void)state;
	for (i = 0; i < sizeof cases / sizeof cases[0]; i++)
		assert_int_equal(base64_parse(out, sizeof out, cases[i].text),
		    cases[i].count);
	assert_int_equal(base64_parse(out, sizeof out, "+/8A"), 3);
	assert_memory_equal(out, "\xfb\xff\0", 3);
}

static void test_random(void **state)
{
	uint8_t one[32], other[32];
	unsigned seen[7] = { 0 };
	size_t i;

	(void)state;
	random_bytes(one, sizeof one);
	random_bytes(other, sizeof other);
	assert_memory_not_equal(one, other, sizeof one);
	assert_int_equal(random_below(1), 0);
	for (i = 0; i < 7000; i++) {
		uint32_t value = random_below(7);

		assert_in_range(value, 0, 6);
		seen[value]++;
	}
	/* 1,000 expected; 700 is ten standard deviations away. */
	for (i = 0; i < 7; i++)
		assert_in_range(seen[i], 700, 1300);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_vectors), cmocka_unit_test(test_pieces),
		cmocka_unit_test(test_hex), cmocka_unit_test(test_base64),
		cmocka_unit_test(test_random)
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
