/* SPDX-License-Identifier: ISC */
/*
 * policy/users.c: who is in the table, and what a wrong list of users is
 * answered. What becomes of addresses is policy_expand_test.c's.
 */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "conf/problem.h"
#include "policy/users.h"

static char *read_users(struct users *users, const char *text)
{
	struct problems problems;

	problems_init(&problems, "/users");
	users_read(users, "file.example", text, strlen(text), &problems);
	return problems_take(&problems);
}

static void test_find(void **state)
{
	struct users *users = users_new();

	(void)state;
	assert_int_equal(users_add(users, "example.org", "Bob.Builder"), 0);
	assert_int_equal(users_add(users, "example.org", "o'neil"), 0);
	assert_int_equal(users_add(users, "example.org", "\"a b\""), 0);
	assert_int_equal(users_add(users, "open.example", "*"), 0);
	assert_null(read_users(users, "# staff\ncarol\n\n  Dave \r\n\"x y\""));
	assert_true(users_has(users, "bob.builder", "example.org"));
	assert_true(users_has(users, "o'neil", "example.org"));
	assert_true(users_has(users, "a b", "example.org"));
	assert_true(users_has(users, "carol", "file.example"));
	assert_true(users_has(users, "dave", "file.example"));
	assert_true(users_has(users, "x y", "file.example"));
	assert_false(users_has(users, "carol", "example.org"));
	assert_false(users_has(users, "anyone", "open.example"));
	assert_true(users_is_open(users, "open.example"));
	assert_false(users_is_open(users, "example.org"));
	users_free(users);
}

static void test_wrong(void **state)
{
	static const char *const bad[] = { "dave@file.example", "a b", "a..b",
	    "a@b@c", "\"x", "" };
	struct users *users = users_new();
	char *errors = read_users(users, "carol\ndave@file.example\nx y\n");

	(void)state;
	assert_non_null(strstr(errors, "/users:2: "));
	assert_non_null(strstr(errors, "/users:3: "));
	mem_free(errors);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(users_add(users, "example.org", bad[i]), -1);
	users_free(users);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_find),
		cmocka_unit_test(test_wrong),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
