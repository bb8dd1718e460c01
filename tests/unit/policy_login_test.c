/* SPDX-License-Identifier: ISC */
/*
 * Logins and ownership through the whole door: policy/directory_client_login.c
 * on one end of a socket pair, the true role with accounts on the other.
 * SMTP-148, SMTP-149, SMTP-152, TLS-84, TLS-85, TLS-90.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#include "base/buf.h"
#include "base/channel.h"
#include "base/log.h"
#include "base/loop.h"
#include "base/mem.h"
#include "base/process.h"
#include "base/scram.h"
#include "conf/bundle.h"
#include "policy/accounts.h"
#include "policy/directory.h"
#include "policy/directory_client.h"
#include "policy/directory_message.h"
#include "policy/password.h"
#include "policy/throttle.h"

enum { TURNS = 20, PATIENCE_MS = 20000, MANY = 16 };

static struct directory_client *client;
static struct buf accounts_text;

/* --- what came of it --- */

static unsigned answers;
static enum login_answer last;
static enum owner_answer owner;
static char challenge[1024], user[LOGIN_USER_MAX + 1];

static void on_login(void *arg, enum login_answer answer, const void *data,
    size_t length, const char *who)
{
	(void)arg;
	answers++;
	last = answer;
	assert_true(length < sizeof(challenge));
	memcpy(challenge, data, length);
	challenge[length] = '\0';
	snprintf(user, sizeof(user), "%s", who == NULL ? "" : who);
	loop_stop();
}

static void on_owner(void *arg, enum owner_answer answer)
{
	(void)arg;
	owner = answer;
	answers++;
	loop_stop();
}

static void give_up(void *arg)
{
	(void)arg;
	loop_stop();
}

/* Until there is one answer more. */
static void wait_answer(void)
{
	struct timer timer = { .event = NULL };
	unsigned before = answers;

	timer_start(&timer, PATIENCE_MS, give_up, NULL);
	loop_run();
	timer_stop(&timer);
	assert_int_equal(answers, before + 1);
}

static void some_turns(void)
{
	for (int i = 0; i < TURNS; i++) {
		loop_defer(give_up, NULL);
		loop_run();
	}
}

/* --- the role --- */

static void add(struct accounts *accounts, const char *name,
    const char *password, const char *address, bool disabled)
{
	struct account *account = accounts_add(accounts, name);

	assert_int_equal(account_set_password(account, password), 0);
	if (address != NULL)
		assert_true(account_add_address(account, address));
	account->disabled = disabled;
}

static void make_accounts(void)
{
	struct accounts *accounts = accounts_new();

	add(accounts, "alice@example.org", "secret", "@lists.example", false);
	add(accounts, "bob", "secret-2", NULL, false);
	add(accounts, "carol@example.org", "secret-3", NULL, true);
	add(accounts, "laptop", "secret-4", "*", false);
	buf_init(&accounts_text, 1 << 20);
	assert_int_equal(accounts_print(accounts, &accounts_text), 0);
	accounts_free(accounts);
}

static int configure(const char *more, const char *text)
{
	static const char aliases[] = "info: alice\nboth: alice, bob\n"
	    "away: alice@elsewhere.example\n";
	struct bundle_file files[] = {
		{ .path = (char *)"/accounts", .contents = (char *)text,
		    .length = strlen(text), .role = ROLE_DIRECTORY },
		{ .path = (char *)"/aliases", .contents = (char *)aliases,
		    .length = strlen(aliases), .role = ROLE_DIRECTORY } };
	struct bundle bundle = { .name = (char *)"test.conf",
	    .files = files, .file_count = 2 };
	char error[400] = "";
	struct buf bytes;
	int result;

	bundle.text = mem_print("hostname = mx.example.org\n"
	    "accounts-file = \"/accounts\"\naliases-file = \"/aliases\"\n"
	    "domain example.org { users = { alice, bob, carol } }\n"
	    "domain other.example { users = { bob } }\n%s", more);
	buf_init(&bytes, 1 << 20);
	assert_int_equal(0, bundle_encode(&bundle, ROLE_DIRECTORY, &bytes));
	result = directory_entry.configure(buf_data(&bytes),
	    buf_length(&bytes), error, sizeof(error));
	if (result == -1 && error[0] == '\0')
		fail();
	if (result == -1 && text[0] == 'x')
		assert_non_null(strstr(error, "/accounts:1: "));
	buf_release(&bytes);
	mem_free(bundle.text);
	return result;
}

static void connect_role(void)
{
	const struct process_peer peer = { ROLE_SMTPD, 0 };
	int fds[2];

	assert_int_equal(0, socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK |
	    SOCK_CLOEXEC, 0, fds));
	directory_entry.peer(&peer, fds[1]);
	directory_client_connect(client, fds[0]);
}

static struct directory_login *begin(const char *mechanism,
    const char *address, const char *certificate, const void *initial,
    size_t length)
{
	struct login_context context = { .mechanism = mechanism,
	    .certificate = certificate, .binding_length = 32 };
	struct endpoint from, local;

	assert_int_equal(endpoint_parse(&from, address, 1000), 0);
	assert_int_equal(endpoint_parse(&local, "192.0.2.25", 587), 0);
	context.client = &from;
	context.local = &local;
	return directory_login(client, &context, initial, length, on_login,
	    NULL);
}

static void plain(const char *name, const char *password,
    const char *address)
{
	char text[256];
	int length = snprintf(text, sizeof(text), "%c%s%c%s", 0, name, 0,
	    password);

	begin("PLAIN", address, "", text, (size_t)length);
	wait_answer();
}

/* --- tests --- */

static void test_passwords(void **state)
{
	(void)state;
	plain("alice@example.org", "secret", "192.0.2.1");
	assert_int_equal(last, LOGIN_ACCEPTED);
	assert_string_equal(user, "alice@example.org");
	plain("ALICE@example.ORG", "secret", "192.0.2.1");
	assert_int_equal(last, LOGIN_ACCEPTED);
	assert_string_equal(user, "alice@example.org");
	plain("bob", "secret-2", "192.0.2.1");
	assert_string_equal(user, "bob");
	plain("alice@example.org", "secret-2", "192.0.2.1");
	assert_int_equal(last, LOGIN_REJECTED);
	/* TLS-85: right or wrong, it is the same. */
	plain("carol@example.org", "secret-3", "192.0.2.1");
	assert_int_equal(last, LOGIN_REJECTED);
	plain("nobody@example.org", "secret", "192.0.2.1");
	assert_int_equal(last, LOGIN_REJECTED);
	assert_string_equal(user, "");
	begin("PLAIN", "192.0.2.1", "", "x", 1);
	wait_answer();
	assert_int_equal(last, LOGIN_MALFORMED);
	begin("CRAM-MD5", "192.0.2.1", "", NULL, 0);
	wait_answer();
	assert_int_equal(last, LOGIN_UNKNOWN);
}

static void test_steps(void **state)
{
	struct directory_login *login = begin("LOGIN", "192.0.2.2", "", NULL,
	    0);

	(void)state;
	wait_answer();
	assert_int_equal(last, LOGIN_CHALLENGE);
	assert_string_equal(challenge, "Username:");
	directory_login_go_on(login, "alice@example.org", 17);
	wait_answer();
	directory_login_go_on(login, "secret", 6);
	wait_answer();
	assert_int_equal(last, LOGIN_ACCEPTED);
	/* An empty response, after an empty challenge. */
	login = begin("PLAIN", "192.0.2.2", "", NULL, 0);
	wait_answer();
	assert_string_equal(challenge, "");
	directory_login_go_on(login, "", 0);
	wait_answer();
	assert_int_equal(last, LOGIN_MALFORMED);
	/* Who goes in between is forgotten. */
	login = begin("LOGIN", "192.0.2.2", "", NULL, 0);
	wait_answer();
	directory_login_cancel(login);
	login = begin("PLAIN", "192.0.2.2", "", "\0bob\0secret-2", 13);
	directory_login_cancel(login);
	some_turns();
}

static void scram(const char *name, const char *password, bool plus,
    char *salt)
{
	uint8_t binding[32] = "";
	struct scram_client *one = scram_client_new(name, password,
	    plus ? SCRAM_BINDING_USED : SCRAM_BINDING_NONE, binding,
	    plus ? 32 : 0);
	struct directory_login *login;
	struct buf out;

	buf_init(&out, 4096);
	scram_client_first(one, &out);
	login = begin(plus ? "SCRAM-SHA-256-PLUS" : "SCRAM-SHA-256",
	    "192.0.2.3", "", buf_data(&out), buf_length(&out));
	wait_answer();
	assert_int_equal(last, LOGIN_CHALLENGE);
	snprintf(salt, 64, "%.60s", strstr(challenge, ",s="));
	buf_reset(&out);
	assert_int_equal(scram_client_final(one, challenge,
	    strlen(challenge), &out), SCRAM_OK);
	directory_login_go_on(login, buf_data(&out), buf_length(&out));
	wait_answer();
	if (last == LOGIN_CHALLENGE) {
		assert_int_equal(scram_client_verify(one, challenge,
		    strlen(challenge)), SCRAM_OK);
		directory_login_go_on(login, "", 0);
		wait_answer();
	}
	scram_client_free(one);
	buf_release(&out);
}

/* What is shown of a user who is not there looks like one who is. */
static void test_scram(void **state)
{
	char salt[64], again[64];

	(void)state;
	scram("alice@example.org", "secret", false, salt);
	assert_int_equal(last, LOGIN_ACCEPTED);
	assert_string_equal(user, "alice@example.org");
	scram("Alice@example.org", "secret", true, again);
	assert_int_equal(last, LOGIN_ACCEPTED);
	assert_string_equal(salt, again);
	scram("alice@example.org", "wrong", false, again);
	assert_int_equal(last, LOGIN_REJECTED);
	assert_string_equal(salt, again);
	scram("nobody", "secret", false, salt);
	assert_int_equal(last, LOGIN_REJECTED);
	scram("Nobody", "secret", false, again);
	assert_int_equal(last, LOGIN_REJECTED);
	assert_string_equal(salt, again);
	assert_int_equal(strlen(salt), strlen(",s=0123456789012345678901==,"
	    "i=10000"));
	scram("carol@example.org", "secret-3", false, salt);
	assert_int_equal(last, LOGIN_REJECTED);
	scram("carol@example.org", "secret-3", false, again);
	assert_string_equal(salt, again);
}

static void test_external(void **state)
{
	(void)state;
	begin("EXTERNAL", "192.0.2.4", "laptop", "", 0);
	wait_answer();
	assert_int_equal(last, LOGIN_ACCEPTED);
	assert_string_equal(user, "laptop");
	/* One without an account has the rights of the list. */
	begin("EXTERNAL", "192.0.2.4", "phone", "", 0);
	wait_answer();
	assert_int_equal(last, LOGIN_ACCEPTED);
	assert_string_equal(user, "");
	begin("EXTERNAL", "192.0.2.4", "carol@example.org", "", 0);
	wait_answer();
	assert_int_equal(last, LOGIN_REJECTED);
	begin("EXTERNAL", "192.0.2.4", "", "", 0);
	wait_answer();
	assert_int_equal(last, LOGIN_UNKNOWN);
}

static void test_throttle(void **state)
{
	char address[32];

	(void)state;
	for (unsigned i = 0; i <= THROTTLE_CLIENT_FREE; i++) {
		begin("EXTERNAL", "192.0.2.5", "laptop", "other", 5);
		wait_answer();
		assert_int_equal(last, LOGIN_REJECTED);
	}
	begin("EXTERNAL", "192.0.2.5", "laptop", "", 0);
	wait_answer();
	assert_int_equal(last, LOGIN_LATER);
	/* By the name: from everywhere, but for who was here before. */
	plain("bob", "secret-2", "198.51.100.1");
	assert_int_equal(last, LOGIN_ACCEPTED);
	for (unsigned i = 0; i <= THROTTLE_NAME_FREE; i++) {
		snprintf(address, sizeof(address), "203.0.113.%u", i);
		plain("bob", "wrong", address);
		assert_int_equal(last, LOGIN_REJECTED);
	}
	plain("bob", "secret-2", "203.0.113.99");
	assert_int_equal(last, LOGIN_LATER);
	plain("bob", "secret-2", "198.51.100.1");
	assert_int_equal(last, LOGIN_ACCEPTED);
}

static void check_owner(const char *who, const char *address, bool owns)
{
	directory_owns(client, who, address, on_owner, NULL);
	wait_answer();
	if (owner != (owns ? OWNER_YES : OWNER_NO))
		fail_msg("%s, %s", who, address);
}

/* SMTP-152 */
static void test_owner(void **state)
{
	static const struct { const char *who, *address; bool owns; } cases[] =
	    {
		{ "alice@example.org", "alice@example.org", true },
		{ "alice@example.org", "Alice@example.org", true },
		{ "alice@example.org", "alice+shop@example.org", true },
		{ "alice@example.org", "info@example.org", true },
		{ "alice@example.org", "info@other.example", false },
		{ "alice@example.org", "both@example.org", false },
		{ "alice@example.org", "away@example.org", false },
		{ "alice@example.org", "bob@example.org", false },
		{ "alice@example.org", "nobody@example.org", false },
		{ "alice@example.org", "alice@elsewhere.example", false },
		{ "alice@example.org", "any@lists.example", true },
		{ "alice@example.org", "any@sub.lists.example", false },
		{ "bob", "bob@example.org", true },
		{ "bob", "bob@other.example", false },
		{ "laptop", "who@ever.example", true },
		{ "alice@example.org", "", true },
		/* disabled, and removed, since they logged in */
		{ "carol@example.org", "carol@example.org", false },
		{ "carol@example.org", "", false },
		{ "dora@example.org", "dora@example.org", false },
		{ "dora@example.org", "", false },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		check_owner(cases[i].who, cases[i].address, cases[i].owns);
}

/* Whom Dovecot lets in needs no account of ours. */
static void test_owner_elsewhere(void **state)
{
	char *kept = mem_dup_string(buf_string(&accounts_text));

	(void)state;
	assert_int_equal(configure("auth-socket = \"/nowhere\"\n", kept),
	    0);
	check_owner("dora@example.org", "dora@example.org", true);
	check_owner("dora@example.org", "", true);
	check_owner("dora@example.org", "alice@example.org", false);
	assert_int_equal(configure("", kept), 0);
	mem_free(kept);
}

/* --- an smtpd that does not keep the rules --- */

static unsigned refused, heard;

static void on_heard(void *arg, struct channel *channel,
    struct channel_message *message)
{
	(void)arg;
	(void)channel;
	(void)message;
	heard++;
}

static void on_refused(void *arg, struct channel *channel)
{
	(void)arg;
	(void)channel;
	refused++;
}

static void say_login(struct channel *channel, uint32_t number)
{
	struct wire_writer *writer = channel_begin(channel, DIRECTORY_LOGIN,
	    number);

	wire_put_text(writer, "PLAIN");
	wire_put_text(writer, "192.0.2.9");
	wire_put_u16(writer, 1000);
	wire_put_text(writer, "192.0.2.25");
	wire_put_u16(writer, 587);
	wire_put_text(writer, "");
	wire_put_bytes(writer, "", 0);
	wire_put_u8(writer, 0);
	wire_put_bytes(writer, "", 0);
	assert_int_equal(channel_end(channel), 0);
}

/* Numbers are what bounds the logins under way: none is used twice. */
static void test_number_twice(void **state)
{
	static const struct channel_rule rules[] = {
		{ .type = DIRECTORY_LOGIN_ANSWER, .max = 8192 } };
	static const struct channel_handler handler = { .rules = rules,
	    .rule_count = 1, .message = on_heard, .closed = on_refused };
	const struct process_peer peer = { ROLE_SMTPD, 1 };
	struct channel *channel;
	int fds[2];

	(void)state;
	assert_int_equal(0, socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK |
	    SOCK_CLOEXEC, 0, fds));
	directory_entry.peer(&peer, fds[1]);
	channel = channel_new(fds[0], "directory", &handler, NULL, 1 << 20);
	say_login(channel, 7);
	say_login(channel, 8);
	some_turns();
	assert_int_equal(heard, 2);
	assert_int_equal(refused, 0);
	say_login(channel, 7);
	some_turns();
	assert_int_equal(heard, 2);
	assert_int_equal(refused, 1);
	channel_free(channel);
}

/* Many at once: each is answered, and the loop is never held for as long as
 * a hash takes (they are on other threads): by this thread's own time, as the
 * machine may have other work. */
static int64_t longest;
static struct timespec before;

static void tick(void *arg)
{
	struct timespec now;
	int64_t took;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
	took = (now.tv_sec - before.tv_sec) * 1000 +
	    (now.tv_nsec - before.tv_nsec) / 1000000;
	if (took > longest)
		longest = took;
	before = now;
	timer_start(arg, 1, tick, arg);
}

/* What one hash takes of this thread, in milliseconds. */
static int64_t cost_of_hash(void)
{
	char hash[PASSWORD_HASH_MAX + 1];
	struct timespec began, ended;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &began);
	assert_int_equal(password_hash("secret", hash, sizeof(hash)), 0);
	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &ended);
	return (ended.tv_sec - began.tv_sec) * 1000 +
	    (ended.tv_nsec - began.tv_nsec) / 1000000;
}

static void test_many(void **state)
{
	static struct timer timer;
	unsigned wanted = answers + MANY;
	int64_t cost = cost_of_hash();

	(void)state;
	longest = 0;
	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &before);
	timer_start(&timer, 1, tick, &timer);
	for (unsigned i = 0; i < MANY; i++)
		begin("PLAIN", "192.0.2.6", "",
		    "\0alice@example.org\0secret", 25);
	while (answers < wanted && last == LOGIN_ACCEPTED)
		loop_run();
	timer_stop(&timer);
	assert_int_equal(last, LOGIN_ACCEPTED);
	/* That is, not for half of them in a row. */
	assert_true(longest < MANY / 2 * cost);
}

static void test_reload(void **state)
{
	const char *kept;

	(void)state;
	/* A mechanism that is taken away, an account that is, a bad file. */
	kept = mem_dup_string(buf_string(&accounts_text));
	assert_int_equal(configure("auth-mechanisms = { LOGIN }\n", kept), 0);
	plain("alice@example.org", "secret", "192.0.2.7");
	assert_int_equal(last, LOGIN_UNKNOWN);
	assert_int_equal(configure("", "x secret\n"), -1);
	assert_int_equal(configure("", ""), 0);
	plain("alice@example.org", "secret", "192.0.2.7");
	assert_int_equal(last, LOGIN_REJECTED);
	assert_int_equal(configure("", kept), 0);
	plain("alice@example.org", "secret", "192.0.2.7");
	assert_int_equal(last, LOGIN_ACCEPTED);
	mem_free((char *)kept);
}

/* The directory goes away: what is under way is unavailable, once. */
static void test_lost(void **state)
{
	struct directory_login *login = begin("LOGIN", "192.0.2.8", "", NULL,
	    0);
	unsigned wanted;

	(void)state;
	wait_answer();
	begin("LOGIN", "192.0.2.8", "", NULL, 0);
	wanted = answers + 2;	/* the one whose client thinks, too */
	connect_role();
	some_turns();
	assert_int_equal(answers, wanted);
	assert_int_equal(last, LOGIN_UNAVAILABLE);
	(void)login;
}

static int begin_all(void **state)
{
	(void)state;
	log_init("test", LOG_LEVEL_FATAL);
	loop_init();
	make_accounts();
	client = directory_client_new();
	if (configure("", buf_string(&accounts_text)) != 0)
		return -1;
	connect_role();
	return 0;
}

static int end_all(void **state)
{
	(void)state;
	directory_client_free(client);
	directory_entry.stop();
	buf_wipe(&accounts_text);
	some_turns();
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_passwords),
		cmocka_unit_test(test_steps),
		cmocka_unit_test(test_scram),
		cmocka_unit_test(test_external),
		cmocka_unit_test(test_throttle),
		cmocka_unit_test(test_owner),
		cmocka_unit_test(test_owner_elsewhere),
		cmocka_unit_test(test_number_twice),
		cmocka_unit_test(test_many),
		cmocka_unit_test(test_reload),
		cmocka_unit_test(test_lost),
	};

	return cmocka_run_group_tests(tests, begin_all, end_all);
}
