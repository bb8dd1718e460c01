/* SPDX-License-Identifier: ISC */
/*
 * policy/anchor.c: who wins when the packaged trust anchor and the state file
 * of RFC 5011 say different things, and what happens to files that are damaged
 * or cannot be written. The keys are the true ones of the DNS root.
 */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/log.h"
#include "base/mem.h"
#include "policy/anchor.h"

#define BODY_ONE "3 8 " \
    "AwEAAaz/tAm8yTn4Mfeh5eyI96WSVexTBAvkMgJzkKTOiW1vkIbzxeF3+/4RgWOq" \
    "7HrxRixHlFlExOLAJr5emLvN7SWXgnLh4+B5xQlNVz8Og8kvArMtNROxVQuCaSnI" \
    "DdD5LKyWbRd2n9WGe2R8PzgCmr3EgVLrjyBxWezF0jLHwVN8efS3rCj/EWgvIWgb" \
    "9tarpVUDK/b58Da+sqqls3eNbuv7pr+eoZG+SrDK6nWeL3c6H5Apxz7LjVc1uTId" \
    "sIXxuOLYA4/ilBmSVIzuDWfdRUfhHdY6+cn8HFRm+2hM8AnXGXws9555KrUB5qih" \
    "ylGa8subX2Nn6UwNR1AkUTV74bU="
#define KEY_ONE "257 " BODY_ONE
#define KEY_TWO "257 3 8 " \
    "AwEAAa96jeuknZlaeSrvyAJj6ZHv28hhOKkx3rLGXVaC6rXTsDc449/cidltpkyG" \
    "wCJNnOAlFNKF2jBosZBU5eeHspaQWOmOElZsjICMQMC3aeHbGiShvZsx4wMYSjH8" \
    "e7Vrhbu6irwCzVBApESjbUdpWWmEnhathWu1jo+siFUiRAAxm9qyJNg/wOZqqzL/" \
    "dL/q8PkcRU5oUKEpUge71M3ej2/7CPqpdVwuMoTvoB+ZOT4YeGyxMvHmbrxlFzGO" \
    "HOijtzN+u1TQNatX2XBuzZNQ1K+s2CXkPIZo7s6JgZyvaBevYtxPvYLw4z9mR7K2" \
    "vaF18UYH9Z9GNUUeayffKC73PYc="
/* The same keys as digests, and two that only the tests know. */
#define DS_ONE "20326 8 2 " \
    "E06D44B80B8F1D39A95C0B0D7C65D08458E880409BBC683457104237C7F8EC8D"
#define DS_TWO "38696 8 2 " \
    "683D2D0ACB8C9B712A1948B27F741219298D0A450D612C483AF444A4C0FB2B16"
#define DS_THREE "33333 13 2 " \
    "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
#define DS_FOUR "44444 13 2 " \
    "BBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBB"

#define HEAD "; autotrust trust anchor file\n;;id: . 1\n"
#define STATE(key, state) ".\t172800\tIN\tDNSKEY\t" key \
    " ;{id = 1 (ksk), size = 2048b} ;;state=" state " [  X  ] ;;count=0\n"
#define VALID "2"
#define PENDING "1"
#define MISSING "3"
#define REVOKED "4"
#define PACKAGE_ONE ". IN DNSKEY " KEY_ONE " ; keytag 20326\n"
#define PACKAGE_TWO ". IN DNSKEY " KEY_TWO " ; keytag 38696\n"
#define LINE(ds) ". IN DS " ds "\n"

/* Which of the keys a text trusts, by words of theirs, in any form. */
static void expect(const char *state, const char *before,
    const char *packaged, const char *const *there, const char *const *gone)
{
	char *merged = anchor_merge(state, before, packaged);
	char why[64];

	assert_non_null(merged);
	assert_int_equal(anchor_check(merged, why, sizeof(why)), 0);
	for (; *there != NULL; there++)
		if (strstr(merged, *there) == NULL)
			fail_msg("\"%s\" is missing in:\n%s", *there, merged);
	for (; *gone != NULL; gone++)
		if (strstr(merged, *gone) != NULL)
			fail_msg("\"%s\" is in:\n%s", *gone, merged);
	mem_free(merged);
}
#define LIST(...) ((const char *const []){ __VA_ARGS__ __VA_OPT__(,) NULL })

static void test_begins(void **state)
{
	(void)state;
	expect(NULL, NULL, PACKAGE_ONE PACKAGE_TWO, LIST(KEY_ONE, KEY_TWO),
	    LIST());
	/* A state of which nothing can be read is none. */
	expect("what is this\n", PACKAGE_ONE, PACKAGE_ONE, LIST(KEY_ONE),
	    LIST("what"));
	expect(HEAD, NULL, LINE(DS_ONE), LIST(DS_ONE), LIST());
	expect(HEAD STATE(KEY_ONE, PENDING), NULL, PACKAGE_TWO, LIST(KEY_TWO),
	    LIST());
}

/* The package says what it said before: the state knows better. */
static void test_old_package(void **state)
{
	(void)state;
	/* The root went over to the second key and revoked the first. */
	expect(HEAD STATE(KEY_TWO, VALID), PACKAGE_ONE, PACKAGE_ONE,
	    LIST(STATE(KEY_TWO, VALID), HEAD), LIST(KEY_ONE));
	expect(HEAD STATE(KEY_ONE, REVOKED) STATE(KEY_TWO, VALID), PACKAGE_ONE,
	    PACKAGE_ONE, LIST(STATE(KEY_ONE, REVOKED)), LIST(PACKAGE_ONE));
	expect(HEAD STATE(KEY_ONE, MISSING), PACKAGE_ONE, PACKAGE_ONE,
	    LIST(STATE(KEY_ONE, MISSING)), LIST(PACKAGE_ONE));
	/* What was not there when it was last merged is not known: together. */
	expect(HEAD STATE(KEY_TWO, VALID), NULL, PACKAGE_ONE,
	    LIST(KEY_ONE, STATE(KEY_TWO, VALID)), LIST());
}

/* The package has changed: what it brings counts, what it drops does not. */
static void test_new_package(void **state)
{
	(void)state;
	/* The machine slept while the root changed its key. */
	expect(HEAD STATE(KEY_ONE, VALID), PACKAGE_ONE,
	    PACKAGE_ONE PACKAGE_TWO, LIST(STATE(KEY_ONE, VALID), PACKAGE_TWO),
	    LIST());
	/* Withdrawn by those who made the package. */
	expect(HEAD STATE(KEY_ONE, VALID) STATE(KEY_TWO, VALID),
	    PACKAGE_ONE PACKAGE_TWO, PACKAGE_TWO, LIST(STATE(KEY_TWO, VALID)),
	    LIST(KEY_ONE));
	/* Vouched for before the waiting time is over. */
	expect(HEAD STATE(KEY_ONE, VALID) STATE(KEY_TWO, PENDING),
	    PACKAGE_ONE, PACKAGE_ONE PACKAGE_TWO, LIST(PACKAGE_TWO),
	    LIST(STATE(KEY_TWO, PENDING)));
	/* What was learnt stays beside what is new. */
	expect(HEAD STATE(KEY_ONE, VALID) STATE(KEY_TWO, VALID), PACKAGE_ONE,
	    PACKAGE_ONE LINE(DS_THREE), LIST(STATE(KEY_TWO, VALID), DS_THREE),
	    LIST());
	/* A revoked key never comes back, whatever the package has. */
	expect(HEAD STATE(KEY_ONE, REVOKED) STATE(KEY_TWO, VALID),
	    LINE(DS_TWO), PACKAGE_ONE PACKAGE_TWO,
	    LIST(STATE(KEY_ONE, REVOKED)), LIST(PACKAGE_ONE));
	expect(HEAD STATE(KEY_ONE, REVOKED) STATE(KEY_TWO, VALID),
	    PACKAGE_TWO, PACKAGE_ONE, LIST(STATE(KEY_TWO, VALID)),
	    LIST(PACKAGE_ONE));
}

/* A DS and its DNSKEY are one key. */
static void test_forms(void **state)
{
	(void)state;
	expect(HEAD STATE(KEY_ONE, VALID), LINE(DS_ONE), PACKAGE_ONE,
	    LIST(STATE(KEY_ONE, VALID)), LIST(PACKAGE_ONE));
	expect(HEAD STATE(KEY_ONE, VALID) STATE(KEY_TWO, VALID),
	    LINE(DS_ONE) LINE(DS_TWO), PACKAGE_TWO,
	    LIST(STATE(KEY_TWO, VALID)), LIST(KEY_ONE));
	/* With the REVOKE bit the tag is another, the key is not. */
	expect(HEAD STATE("385 " BODY_ONE, REVOKED) STATE(KEY_TWO, VALID),
	    PACKAGE_TWO, PACKAGE_ONE PACKAGE_TWO, LIST("385 " BODY_ONE),
	    LIST(PACKAGE_ONE));
}

/* Another root, in a laboratory: nothing of the old one is left. */
static void test_other_root(void **state)
{
	(void)state;
	expect(HEAD STATE(KEY_ONE, VALID) STATE(KEY_TWO, VALID), PACKAGE_ONE,
	    LINE(DS_THREE), LIST(DS_THREE), LIST(KEY_ONE, KEY_TWO));
	expect(LINE(DS_THREE) LINE(DS_FOUR), LINE(DS_THREE), PACKAGE_ONE,
	    LIST(KEY_ONE), LIST(DS_THREE, DS_FOUR));
}

/* What is no root key is not for RFC 5011. */
static void test_unfit(void **state)
{
	static const char *const packages[] = { "", "; nothing\n",
	    "example. IN DS " DS_ONE "\n", ". IN DS nonsense\n",
	    ". IN DNSKEY 256 3 8 AwEAAQ==\n", ". IN DNSKEY 257 3 8 A*==\n",
	    ". IN A 192.0.2.1\n", ".\n", ". IN DS\n", ". 3600 IN\n",
	    PACKAGE_ONE "example. IN DS " DS_TWO "\n" };
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(packages) / sizeof(packages[0]); i++)
		assert_null(anchor_merge(NULL, NULL, packages[i]));
}

/* --- files --- */

static char folder[] = "/tmp/postern-anchor-XXXXXX";

static void put(const char *name, const char *text)
{
	char path[200];
	FILE *out;

	snprintf(path, sizeof(path), "%s/%s", folder, name);
	out = fopen(path, "w");
	assert_non_null(out);
	fputs(text, out);
	fclose(out);
}

/* Owned by the caller; null when it is not there. */
static char *got(const char *name)
{
	char path[200];
	char *text;
	FILE *in;

	snprintf(path, sizeof(path), "%s/%s", folder, name);
	in = fopen(path, "r");
	if (in == NULL)
		return NULL;
	text = mem_alloc(1 << 16);
	text[fread(text, 1, (1 << 16) - 1, in)] = '\0';
	fclose(in);
	return text;
}

static void assert_has(const char *name, const char *words)
{
	char *text = got(name);

	assert_non_null(text);
	assert_non_null(strstr(text, words));
	mem_free(text);
}

static int clean(void **state)
{
	static const char *const names[] = { ANCHOR_STATE, ANCHOR_PACKAGED,
	    ANCHOR_DAMAGED };
	char path[200];
	size_t i;

	(void)state;
	for (i = 0; i < 3; i++) {
		snprintf(path, sizeof(path), "%s/%s", folder, names[i]);
		unlink(path);
	}
	return 0;
}

static void test_files(void **state)
{
	char *keys;

	(void)state;
	assert_int_equal(anchor_prepare(folder, PACKAGE_ONE, &keys), 0);
	assert_null(keys);
	assert_has(ANCHOR_STATE, KEY_ONE);
	assert_has(ANCHOR_PACKAGED, PACKAGE_ONE);
	/* libunbound has learnt of a key; the package brings it later. */
	put(ANCHOR_STATE, HEAD STATE(KEY_ONE, REVOKED) STATE(KEY_TWO, VALID));
	assert_int_equal(anchor_prepare(folder, PACKAGE_ONE, &keys), 0);
	assert_has(ANCHOR_STATE, STATE(KEY_ONE, REVOKED));
	assert_int_equal(anchor_prepare(folder, PACKAGE_ONE PACKAGE_TWO,
	    &keys), 0);
	assert_has(ANCHOR_STATE, STATE(KEY_TWO, VALID));
	assert_has(ANCHOR_PACKAGED, PACKAGE_TWO);
}

static void test_damage(void **state)
{
	char *keys, *text;

	(void)state;
	put(ANCHOR_STATE, HEAD STATE(KEY_ONE, VALID) "\001\002 half a li");
	assert_int_equal(anchor_prepare(folder, PACKAGE_TWO, &keys), 0);
	assert_has(ANCHOR_STATE, KEY_TWO);
	assert_has(ANCHOR_DAMAGED, "half a li");
	text = got(ANCHOR_STATE);
	assert_null(strstr(text, KEY_ONE));
	mem_free(text);
	/* libunbound was of another opinion than we. */
	anchor_set_aside(folder, "for a test");
	assert_null(got(ANCHOR_STATE));
	assert_has(ANCHOR_DAMAGED, KEY_TWO);
	assert_int_equal(anchor_prepare(folder, PACKAGE_TWO, &keys), 0);
	assert_has(ANCHOR_STATE, KEY_TWO);
}

/* A link that somebody left is not followed, neither way. */
static void test_link(void **state)
{
	char path[200], other[200], *keys, *text;

	(void)state;
	put("elsewhere", "keep me\n");
	snprintf(path, sizeof(path), "%s/" ANCHOR_STATE, folder);
	snprintf(other, sizeof(other), "%s/elsewhere", folder);
	assert_int_equal(0, symlink(other, path));
	assert_int_equal(anchor_prepare(folder, PACKAGE_ONE, &keys), 0);
	assert_has(ANCHOR_STATE, KEY_ONE);
	text = got("elsewhere");
	assert_string_equal(text, "keep me\n");
	mem_free(text);
	unlink(other);
}

/* What cannot be written is followed no further, but is known: pending and
 * revoked keys are not trusted. */
static void test_unwritable(void **state)
{
	char path[200], *keys;

	(void)state;
	put(ANCHOR_STATE, HEAD STATE(KEY_TWO, PENDING) STATE(KEY_ONE, VALID));
	put(ANCHOR_PACKAGED, PACKAGE_ONE);
	/* Root writes where it may not: a folder is in the way. */
	snprintf(path, sizeof(path), "%s/" ANCHOR_STATE ".new", folder);
	assert_int_equal(0, mkdir(path, 0700));
	assert_int_equal(anchor_prepare(folder, PACKAGE_ONE, &keys), -1);
	assert_non_null(strstr(keys, KEY_ONE));
	assert_null(strstr(keys, KEY_TWO));
	mem_free(keys);
	rmdir(path);
	/* No directory, and no keys of the root: as they are. */
	assert_int_equal(anchor_prepare("/nowhere", PACKAGE_ONE, &keys), -1);
	assert_string_equal(keys, PACKAGE_ONE);
	mem_free(keys);
	assert_int_equal(anchor_prepare(folder, "lab. IN DS " DS_ONE "\n",
	    &keys), -1);
	assert_string_equal(keys, "lab. IN DS " DS_ONE "\n");
	mem_free(keys);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_begins),
		cmocka_unit_test(test_old_package),
		cmocka_unit_test(test_new_package),
		cmocka_unit_test(test_forms),
		cmocka_unit_test(test_other_root),
		cmocka_unit_test(test_unfit),
		cmocka_unit_test_setup(test_files, clean),
		cmocka_unit_test_setup(test_damage, clean),
		cmocka_unit_test_setup(test_link, clean),
		cmocka_unit_test_setup(test_unwritable, clean),
	};
	int status;

	log_init("test", LOG_LEVEL_FATAL);
	if (mkdtemp(folder) == NULL)
		return 1;
	status = cmocka_run_group_tests(tests, NULL, NULL);
	clean(NULL);
	rmdir(folder);
	return status;
}
