/* SPDX-License-Identifier: ISC */
/*
 * conf/sts.c: texts and ids of our own policies, the list of approvals, and
 * what is in force. STS-40 to STS-46 (the form that we write is the one that
 * we read), STS-120, STS-121, STS-122.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "base/arena.h"
#include "base/mem.h"
#include "conf/sts.h"
#include "policy/sts_policy.h"

enum { DAY = 86400 };

static char first[] = "mx.example.org", second[] = "*.mx.example.org";
static char *both[] = { first, second };

static struct conf_domain make_domain(enum conf_sts_mode mode, size_t names,
    int64_t max_age)
{
	static char name[] = "example.org";

	return (struct conf_domain){ .name = name, .sts = mode,
	    .sts_mx = { both, names }, .sts_max_age = max_age };
}

static void test_text(void **state)
{
	struct conf_domain domain = make_domain(STS_PUBLISH_ENFORCE, 2, 14 *
	    DAY);
	char *text = conf_sts_text(&domain, STS_PUBLISH_ENFORCE);

	(void)state;
	assert_string_equal(text, "version: STSv1\r\nmode: enforce\r\n"
	    "mx: mx.example.org\r\nmx: *.mx.example.org\r\n"
	    "max_age: 1209600\r\n");
	mem_free(text);
	text = conf_sts_text(&domain, STS_PUBLISH_WITHDRAW);
	assert_non_null(strstr(text, "mode: none\r\n"));
	assert_non_null(strstr(text, "max_age: 86400\r\n"));
	mem_free(text);
	domain.sts_max_age = 60;
	text = conf_sts_text(&domain, STS_PUBLISH_WITHDRAW);
	assert_non_null(strstr(text, "max_age: 60\r\n"));
	mem_free(text);
}

/* A sender takes it, and what it takes is what was meant. */
static void test_text_is_a_policy(void **state)
{
	static const enum conf_sts_mode modes[] = { STS_PUBLISH_TESTING,
	    STS_PUBLISH_ENFORCE, STS_PUBLISH_WITHDRAW };
	static const enum sts_mode read_as[] = { STS_MODE_TESTING,
	    STS_MODE_ENFORCE, STS_MODE_NONE };

	(void)state;
	for (size_t i = 0; i < 3; i++) {
		struct conf_domain domain = make_domain(modes[i], 2, 3600);
		char *text = conf_sts_text(&domain, modes[i]);
		struct arena *arena = arena_new(1 << 20);
		struct sts_policy policy;
		char why[160];

		assert_int_equal(sts_read_policy(text, strlen(text), arena,
		    &policy, why, sizeof(why)), 0);
		assert_int_equal(policy.mode, read_as[i]);
		assert_int_equal(policy.max_age, 3600);
		assert_int_equal(policy.mx_count, 2);
		assert_true(sts_matches(&policy, "a.mx.example.org"));
		arena_free(arena);
		mem_free(text);
	}
}

static void id_of(enum conf_sts_mode mode, size_t names, int64_t max_age,
    char id[CONF_STS_ID_MAX + 1])
{
	struct conf_domain domain = make_domain(mode, names, max_age);
	char *text = conf_sts_text(&domain, mode);

	conf_sts_id(text, id);
	mem_free(text);
}

static void test_id(void **state)
{
	char ids[5][CONF_STS_ID_MAX + 1], why[80], read[STS_ID_MAX + 1];
	char *record;
	size_t length;

	(void)state;
	id_of(STS_PUBLISH_ENFORCE, 1, DAY, ids[0]);
	id_of(STS_PUBLISH_TESTING, 1, DAY, ids[1]);
	id_of(STS_PUBLISH_ENFORCE, 2, DAY, ids[2]);
	id_of(STS_PUBLISH_ENFORCE, 1, DAY + 1, ids[3]);
	id_of(STS_PUBLISH_ENFORCE, 1, DAY, ids[4]);
	assert_string_equal(ids[0], ids[4]);
	for (int i = 0; i < 4; i++) {
		for (int k = 0; k < i; k++)
			assert_string_not_equal(ids[i], ids[k]);
		record = conf_sts_record(ids[i]);
		length = strlen(record);
		assert_int_equal(sts_read_txt((const char *const *)&record,
		    &length, 1, read, why, sizeof(why)), 0);
		assert_string_equal(read, ids[i]);
		mem_free(record);
	}
	/* It must not change when Postern is updated: senders would come. */
	assert_string_equal(ids[0], "c947324af3282149c606b4383a21f2ed");
}

static void test_patterns(void **state)
{
	static const char *const good[] = { "mx.example.org", "*.example.org",
	    "xn--bcher-kva.example", "MX.Example.ORG" };
	static const char *const bad[] = { "", "mx", "*", "*.", "*.org.",
	    "mx.example.org.", "*mx.example.org", "*.*.example.org",
	    ".example.org", "a b.example", "mx.example.org\r\nmode: none",
	    "[192.0.2.1]" };
	struct conf_domain domain = make_domain(STS_PUBLISH_TESTING, 2, DAY);

	(void)state;
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
		assert_true(conf_sts_is_pattern(good[i]));
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_false(conf_sts_is_pattern(bad[i]));
	assert_true(conf_sts_names(&domain, "MX.example.org"));
	assert_true(conf_sts_names(&domain, "a.mx.example.org"));
	assert_false(conf_sts_names(&domain, "b.a.mx.example.org"));
	assert_false(conf_sts_names(&domain, "example.org"));
	assert_false(conf_sts_names(&domain, "xmx.example.org"));
}

static void test_approvals(void **state)
{
	struct conf_domain domain = make_domain(STS_PUBLISH_ENFORCE, 2, 30 *
	    DAY);
	const struct sts_approval *one;
	struct sts_approvals made, read;
	char *text, *again;

	(void)state;
	sts_approvals_init(&made);
	sts_approvals_set(&made, &domain, 1000);
	domain.sts_max_age = 7 * DAY;
	domain.sts = STS_PUBLISH_WITHDRAW;
	sts_approvals_set(&made, &domain, 2000);
	text = sts_approvals_print(&made);
	sts_approvals_init(&read);
	assert_int_equal(sts_approvals_read(&read, text), 0);
	assert_int_equal(read.count, 1);
	one = sts_approvals_find(&read, "example.org");
	assert_non_null(one);
	assert_int_equal(one->mode, STS_PUBLISH_WITHDRAW);
	assert_int_equal(one->when, 2000);
	/* STS-122: others may remember the first one as long as this. */
	assert_int_equal(one->longest, 30 * DAY);
	assert_int_equal(one->max_age, DAY);
	assert_int_equal(one->mx.count, 2);
	assert_null(sts_approvals_find(&read, "example.net"));
	again = sts_approvals_print(&read);
	assert_string_equal(again, text);
	mem_free(again);
	mem_free(text);
	sts_approvals_release(&read);
	sts_approvals_release(&made);
}

/* Wherever a line is damaged, it approves nothing. */
static void test_damaged_approvals(void **state)
{
	struct conf_domain domain = make_domain(STS_PUBLISH_ENFORCE, 2, DAY);
	struct sts_approvals made, read;
	char *text, *line;

	(void)state;
	sts_approvals_init(&made);
	sts_approvals_set(&made, &domain, 1000);
	text = sts_approvals_print(&made);
	line = strchr(text, '\n') + 1;
	for (size_t i = strlen("example.org "); line[i] != '\0'; i++) {
		char before = line[i];

		line[i] = before == 'x' ? 'y' : 'x';
		sts_approvals_init(&read);
		sts_approvals_read(&read, text);
		assert_int_equal(read.count, 0);
		sts_approvals_release(&read);
		line[i] = before;
	}
	sts_approvals_init(&read);
	assert_int_equal(sts_approvals_read(&read, "\nexample.org\n# x\n"
	    "example.org enforce 1 1 x 1 mx.example.org\n"), 2);
	assert_int_equal(read.count, 0);
	sts_approvals_release(&read);
	mem_free(text);
	sts_approvals_release(&made);
}

static void expect_force(const struct sts_approvals *approvals,
    enum conf_sts_mode mode, size_t names, enum sts_force wanted,
    const char *has)
{
	struct conf_domain domain = make_domain(mode, names, DAY);
	enum sts_force how;
	char *text = conf_sts_in_force(&domain, approvals, &how);

	assert_int_equal(how, wanted);
	if (has == NULL)
		assert_null(text);
	else
		assert_non_null(strstr(text, has));
	mem_free(text);
}

static void test_in_force(void **state)
{
	struct conf_domain domain = make_domain(STS_PUBLISH_ENFORCE, 1, DAY);
	struct sts_approvals approvals;

	(void)state;
	sts_approvals_init(&approvals);
	expect_force(&approvals, STS_PUBLISH_NONE, 1, STS_FORCE_NOTHING, NULL);
	expect_force(&approvals, STS_PUBLISH_TESTING, 1, STS_FORCE_ASKED,
	    "mode: testing");
	expect_force(&approvals, STS_PUBLISH_WITHDRAW, 1, STS_FORCE_ASKED,
	    "mode: none");
	expect_force(&approvals, STS_PUBLISH_ENFORCE, 1, STS_FORCE_TESTING,
	    "mode: testing");
	sts_approvals_set(&approvals, &domain, 1);
	expect_force(&approvals, STS_PUBLISH_ENFORCE, 1, STS_FORCE_ASKED,
	    "mode: enforce");
	/* Another text: the approved one stays (STS-121). */
	expect_force(&approvals, STS_PUBLISH_ENFORCE, 2, STS_FORCE_EARLIER,
	    "mode: enforce\r\nmx: mx.example.org\r\nmax_age");
	expect_force(&approvals, STS_PUBLISH_TESTING, 1, STS_FORCE_ASKED,
	    "mode: testing");
	expect_force(&approvals, STS_PUBLISH_NONE, 1, STS_FORCE_NOTHING, NULL);
	/* Withdrawn: to enforce again, it is looked at again. */
	domain.sts = STS_PUBLISH_WITHDRAW;
	sts_approvals_set(&approvals, &domain, 2);
	expect_force(&approvals, STS_PUBLISH_ENFORCE, 1, STS_FORCE_TESTING,
	    "mode: testing");
	sts_approvals_release(&approvals);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_text),
		cmocka_unit_test(test_text_is_a_policy),
		cmocka_unit_test(test_id),
		cmocka_unit_test(test_patterns),
		cmocka_unit_test(test_approvals),
		cmocka_unit_test(test_damaged_approvals),
		cmocka_unit_test(test_in_force),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
