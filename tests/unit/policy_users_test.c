/* SPDX-License-Identifier: ISC */
/*
 * policy/users.c: who is ours (SMTP-21), and what a wrong list of users is
 * answered.
 */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "conf/bundle.h"
#include "conf/conf.h"
#include "policy/users.h"

static char *closed_users[] = { (char *)"alice", (char *)"Bob.Builder",
    (char *)"o'neil" };
static char *open_users[] = { (char *)"*" };

static struct conf_domain domains[] = {
	{ .name = (char *)"example.org", .users = { closed_users, 3 } },
	{ .name = (char *)"open.example", .users = { open_users, 1 } },
	{ .name = (char *)"file.example", .users_file = (char *)"/users" },
};
static struct conf conf = { .domains = domains, .domain_count = 3 };

static struct users *make(const char *file, char *error, size_t size)
{
	struct bundle_file files[] = { { (char *)"/users", (char *)file,
	    strlen(file),
	    ROLE_DIRECTORY } };
	struct bundle bundle = { .files = files, .file_count = 1 };

	return users_new(&conf, &bundle, error, size);
}

static void test_find(void **state)
{
	static const struct {
		const char		*address;
		enum directory_answer	 answer;
		const char		*mailbox;
	} cases[] = {
		{ "alice@example.org", DIRECTORY_FOUND, "alice@example.org" },
		{ "ALICE@Example.ORG", DIRECTORY_FOUND, "alice@example.org" },
		{ "bob.builder@example.org", DIRECTORY_FOUND,
		    "bob.builder@example.org" },
		{ "o'neil@example.org", DIRECTORY_FOUND,
		    "o'neil@example.org" },
		{ "eve@example.org", DIRECTORY_NO_USER, NULL },
		{ "alice@sub.example.org", DIRECTORY_NOT_OURS, NULL },
		{ "alice@example.com", DIRECTORY_NOT_OURS, NULL },
		{ "anyone@open.example", DIRECTORY_FOUND,
		    "anyone@open.example" },
		{ "carol@file.example", DIRECTORY_FOUND,
		    "carol@file.example" },
		{ "dave@file.example", DIRECTORY_FOUND,
		    "dave@file.example" },
		{ "alice@file.example", DIRECTORY_NO_USER, NULL },
		{ "postmaster", DIRECTORY_FOUND, "postmaster@example.org" },
		{ "POSTMASTER", DIRECTORY_FOUND, "postmaster@example.org" },
		{ "PostMaster@file.example", DIRECTORY_FOUND,
		    "postmaster@file.example" },
		{ "not an address", DIRECTORY_NOT_OURS, NULL },
		{ "", DIRECTORY_NOT_OURS, NULL },
	};
	char error[256] = "", mailbox[512];
	struct users *users = make("# staff\ncarol\n\n  dave \r\n", error,
	    sizeof(error));
	size_t i;

	(void)state;
	assert_non_null(users);
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		if (users_find(users, cases[i].address, mailbox,
		    sizeof(mailbox)) != cases[i].answer)
			fail_msg("%s", cases[i].address);
		if (cases[i].mailbox != NULL)
			assert_string_equal(mailbox, cases[i].mailbox);
	}
	users_free(users);
}

static void test_wrong_file(void **state)
{
	char error[256] = "";

	(void)state;
	assert_null(make("carol\ndave@file.example\n", error, sizeof(error)));
	assert_non_null(strstr(error, "/users:2:"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_find),
		cmocka_unit_test(test_wrong_file),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
