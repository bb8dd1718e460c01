/* SPDX-License-Identifier: ISC */
/*
 * The accounts file: what is read is what was written, each error names its
 * line, and nothing of a wrong line is repeated. Passwords.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#include "base/buf.h"
#include "base/mem.h"
#include "policy/accounts.h"
#include "policy/password.h"

#define KEY "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="
#define SCRAM "scram=4096,QQ==," KEY "," KEY

static struct accounts *parse(const char *text, char *error, size_t size)
{
	error[0] = '\0';
	return accounts_parse("accounts", text, strlen(text), error, size);
}

static void test_round(void **state)
{
	struct accounts *accounts = accounts_new(), *again;
	struct account *account = accounts_add(accounts, "Alice@Example.org");
	struct scram_secret one, other;
	char error[256];
	struct buf out;

	(void)state;
	assert_non_null(account);
	assert_string_equal(account->name, "alice@example.org");
	assert_ptr_equal(accounts_add(accounts, "ALICE@example.ORG"), account);
	assert_int_equal(account_set_password(account, "secret"), 0);
	assert_true(account_add_address(account, "info@example.org"));
	assert_true(account_add_address(account, "INFO@example.org"));
	assert_true(account_add_address(account, "@lists.example"));
	assert_false(account_add_address(account, "no address"));
	assert_int_equal(account->address_count, 2);
	accounts_add(accounts, "bob")->disabled = true;
	buf_init(&out, ACCOUNTS_FILE_MAX);
	assert_int_equal(accounts_print(accounts, &out), 0);
	again = accounts_parse("accounts", buf_data(&out), buf_length(&out),
	    error, sizeof(error));
	assert_non_null(again);
	assert_int_equal(accounts_count(again), 2);
	account = accounts_find(again, "aLice@example.org");
	assert_non_null(account);
	assert_false(account->disabled);
	assert_true(password_is_right("secret", account->password));
	assert_false(password_is_right("Secret", account->password));
	assert_memory_equal(&account->scram, &accounts_get(accounts, 0)->scram,
	    sizeof(account->scram));
	assert_string_equal(account->addresses[1], "@lists.example");
	assert_true(account_remove_address(account, "info@EXAMPLE.org"));
	assert_false(account_remove_address(account, "info@EXAMPLE.org"));
	assert_true(accounts_find(again, "bob")->disabled);
	assert_null(accounts_find(again, "carol"));
	/* What strangers are shown outlives the process. */
	accounts_invent(accounts, "Carol", &one);
	accounts_invent(again, "carol", &other);
	assert_memory_equal(one.salt, other.salt, ACCOUNT_SALT);
	assert_int_equal(one.iterations, ACCOUNT_ITERATIONS);
	accounts_invent(again, "dora", &other);
	assert_memory_not_equal(one.salt, other.salt, ACCOUNT_SALT);
	accounts_remove(again, account);
	assert_null(accounts_find(again, "alice@example.org"));
	assert_int_equal(accounts_count(again), 1);
	accounts_free(accounts);
	accounts_free(again);
	buf_release(&out);
}

static void test_errors(void **state)
{
	static const struct { const char *text, *error; } cases[] = {
		{ "alice secret-word", "accounts:1: a word that is none" },
		{ "\n# x\nalice x=1", "accounts:3: a word" },
		{ "alice\nALICE", "accounts:2: this name was given" },
		{ "a,b disabled", "accounts:1: the name" },
		{ "alice password=abc", "accounts:1: password= is" },
		{ "alice password=$y$j9T$x$y password=$y$j9T$x$y",
		    "accounts:1: password= is" },
		{ "alice scram=1", "accounts:1: scram= is" },
		{ "alice scram=100,QQ==," KEY "," KEY, "accounts:1: scram=" },
		{ "alice scram=4096,QQ==," KEY, "accounts:1: scram= is" },
		{ "alice scram=4096,QQ==," KEY "," KEY ",x",
		    "accounts:1: scram= is" },
		{ "alice scram=4096,," KEY "," KEY, "accounts:1: scram= is" },
		{ "alice " SCRAM " " SCRAM, "accounts:1: scram= is given" },
		{ "alice address=x", "accounts:1: address= is not" },
		{ "alice address=@", "accounts:1: address= is not" },
		{ "* secret=x", "accounts:1: the line of *" },
		{ "*", "accounts:1: the line of *" },
		{ "* secret=" KEY "\n* secret=" KEY, "accounts:2: the line" },
		{ "alice disabled=1", "accounts:1: a word" },
	};
	char error[256];

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		assert_null(parse(cases[i].text, error, sizeof(error)));
		assert_non_null(strstr(error, cases[i].error));
		assert_null(strstr(error, "secret-word"));
	}
	assert_null(accounts_parse("a", "x\0y", 3, error, sizeof(error)));
}

static void test_good(void **state)
{
	struct accounts *accounts;
	char error[256];

	(void)state;
	accounts = parse("  # c\n\nalice\t" SCRAM "  address=*\r\n"
	    "bob@example.org disabled\n* secret=" KEY, error, sizeof(error));
	assert_non_null(accounts);
	assert_int_equal(accounts_count(accounts), 2);
	assert_int_equal(accounts_get(accounts, 0)->scram.iterations, 4096);
	assert_null(accounts_get(accounts, 0)->password);
	accounts_free(accounts);
	accounts = parse("", error, sizeof(error));
	assert_non_null(accounts);
	accounts_free(accounts);
}

/* SMTP-149: who is not there costs as much to ask about. */
static void test_nobody(void **state)
{
	(void)state;
	assert_true(password_hash_is_sound(password_hash_of_nobody()));
	assert_false(password_is_right("x", password_hash_of_nobody()));
	assert_int_equal(strncmp(password_hash_of_nobody(), "$y$j9T$", 7), 0);
	assert_false(password_hash_is_sound("*0"));
	assert_false(password_hash_is_sound(""));
	assert_false(password_hash_is_sound("ab1234567890A"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_round),
		cmocka_unit_test(test_errors),
		cmocka_unit_test(test_good),
		cmocka_unit_test(test_nobody),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
