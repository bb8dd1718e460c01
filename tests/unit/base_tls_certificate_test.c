/* SPDX-License-Identifier: ISC */
/*
 * base/tls_certificate.c: our own chains, looked at for what we publish.
 * DANE-148, DANE-150, DANE-154, STS-23, STS-60, STS-61, STS-65.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "base/mem.h"
#include "base/tls_certificate.h"
#include "tests/unit/certificates.h"

static struct certificate *authority, *leaf, *stranger, *old;
static char *chain;

static int set_up(void **state)
{
	(void)state;
	tls_init();
	authority = certificate_new(&(struct certificate_plan){
	    .common_name = "CA", .authority = true });
	leaf = certificate_new(&(struct certificate_plan){
	    .common_name = "common.example.org", .issuer = authority,
	    .alternative_names = "DNS:mx.example.org,DNS:*.wild.example.org" });
	stranger = certificate_new(&(struct certificate_plan){
	    .common_name = "x", .alternative_names = "DNS:mx.example.org" });
	old = certificate_new(&(struct certificate_plan){
	    .common_name = "x", .alternative_names = "DNS:mx.example.org",
	    .issuer = authority, .from_days = -20, .until_days = -10 });
	chain = certificate_chain(leaf, authority);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	mem_free(chain);
	certificate_free(old);
	certificate_free(stranger);
	certificate_free(leaf);
	certificate_free(authority);
	return 0;
}

static void test_names(void **state)
{
	(void)state;
	assert_int_equal(tls_certificate_count(chain), 2);
	assert_true(tls_certificate_covers(chain, "MX.example.org"));
	assert_true(tls_certificate_covers(chain, "a.wild.example.org"));
	assert_false(tls_certificate_covers(chain, "b.a.wild.example.org"));
	assert_false(tls_certificate_covers(chain, "wild.example.org"));
	/* STS-61: the common name is no name. */
	assert_false(tls_certificate_covers(chain, "common.example.org"));
	assert_false(tls_certificate_covers("", "mx.example.org"));
	assert_true(tls_certificate_is_authority(chain, 1));
	assert_false(tls_certificate_is_authority(chain, 0));
	assert_false(tls_certificate_is_authority(chain, 2));
}

static void test_damage(void **state)
{
	char *broken = mem_dup_string(chain);

	(void)state;
	broken[strlen(broken) - 60] = '!';
	assert_int_equal(tls_certificate_count(broken), 0);
	assert_false(tls_certificate_covers(broken, "mx.example.org"));
	mem_free(broken);
}

static void test_digests(void **state)
{
	uint8_t digest[DIGEST_BYTES];

	(void)state;
	assert_int_equal(tls_certificate_digest(chain, 0, true, digest), 0);
	assert_memory_equal(digest, certificate_key_digest(leaf),
	    DIGEST_BYTES);
	assert_int_equal(tls_certificate_digest(chain, 0, false, digest), 0);
	assert_memory_equal(digest, certificate_digest(leaf), DIGEST_BYTES);
	assert_int_equal(tls_certificate_digest(chain, 1, false, digest), 0);
	assert_memory_equal(digest, certificate_digest(authority),
	    DIGEST_BYTES);
	assert_int_equal(tls_certificate_digest(chain, 2, false, digest), -1);
}

static bool matches(uint8_t usage, uint8_t selector,
    const uint8_t digest[DIGEST_BYTES])
{
	return tls_certificate_matches(chain, &(struct tls_tlsa){ usage,
	    selector, 1, digest, DIGEST_BYTES });
}

static void test_matches(void **state)
{
	(void)state;
	assert_true(matches(3, 1, certificate_key_digest(leaf)));
	assert_true(matches(3, 0, certificate_digest(leaf)));
	assert_true(matches(2, 0, certificate_digest(authority)));
	assert_true(matches(2, 1, certificate_key_digest(authority)));
	assert_false(matches(3, 0, certificate_key_digest(leaf)));
	assert_false(matches(3, 0, certificate_digest(authority)));
	assert_false(matches(2, 0, certificate_digest(leaf)));
	assert_false(matches(1, 0, certificate_digest(leaf)));
	assert_false(matches(3, 1, certificate_key_digest(stranger)));
}

static void test_verify(void **state)
{
	const char *trust = certificate_pem(authority);
	char why[160];

	(void)state;
	assert_int_equal(tls_certificate_verify(chain, trust,
	    "mx.example.org", why, sizeof(why)), 0);
	assert_string_equal(why, "");
	assert_int_equal(tls_certificate_verify(chain, trust,
	    "common.example.org", why, sizeof(why)), -1);
	assert_non_null(strstr(why, "mismatch"));
	assert_int_equal(tls_certificate_verify(chain, NULL,
	    "mx.example.org", why, sizeof(why)), -1);
	assert_int_equal(tls_certificate_verify(certificate_pem(stranger),
	    trust, "mx.example.org", why, sizeof(why)), -1);
	assert_int_equal(tls_certificate_verify(certificate_pem(old), trust,
	    "mx.example.org", why, sizeof(why)), -1);
	assert_non_null(strstr(why, "expired"));
	assert_int_equal(tls_certificate_verify("", trust, "mx.example.org",
	    why, sizeof(why)), -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_damage),
		cmocka_unit_test(test_digests),
		cmocka_unit_test(test_matches),
		cmocka_unit_test(test_verify),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
