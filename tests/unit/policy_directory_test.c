/* SPDX-License-Identifier: ISC */
/*
 * policy/directory_client.c with the true role behind it (directory.c), and
 * with a test in its place that dies, answers nonsense or the wrong question:
 * every question ends once, with UNAVAILABLE when nobody can tell (451).
 */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/buf.h"
#include "base/channel.h"
#include "base/log.h"
#include "base/loop.h"
#include "base/process.h"
#include "conf/bundle.h"
#include "policy/directory.h"
#include "policy/directory_client.h"
#include "policy/directory_message.h"

enum { TURNS = 12 };

static struct directory_client *client;
static struct channel *fake;		/* in the directory's place */
static uint32_t numbers[16];
static unsigned asked, closed, answered;
static enum directory_answer last;
static char mailbox[400], forward_sender[400];
static struct directory_request *victim;

static void stop(void *arg)
{
	(void)arg;
	loop_stop();
}

static void some_turns(void)
{
	int i;

	for (i = 0; i < TURNS; i++) {
		loop_defer(stop, NULL);
		loop_run();
	}
}

static void on_question(void *arg, struct channel *channel,
    struct channel_message *message)
{
	(void)arg;
	(void)channel;
	numbers[asked++] = message->request;
}

static void on_closed(void *arg, struct channel *channel)
{
	(void)arg;
	closed++;
	channel_free(channel);
	if (channel == fake)
		fake = NULL;
}

static const struct channel_rule rules[] = {
	{ .type = DIRECTORY_CHECK, .max = DIRECTORY_CHECK_BYTES },
	{ .type = DIRECTORY_ANSWER, .max = DIRECTORY_ANSWER_BYTES },
};
static const struct channel_handler handler = { .rules = rules,
    .rule_count = 2, .message = on_question, .closed = on_closed };

static void make_pair(int fds[2])
{
	assert_int_equal(0, socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK |
	    SOCK_CLOEXEC, 0, fds));
}

static void connect_fake(void)
{
	int fds[2];

	make_pair(fds);
	asked = 0;
	fake = channel_new(fds[1], "client", &handler, NULL, 1 << 20);
	directory_client_connect(client, fds[0]);
}

static void connect_role(unsigned instance)
{
	const struct process_peer peer = { ROLE_SMTPD, instance };
	int fds[2];

	make_pair(fds);
	directory_entry.peer(&peer, fds[1]);
	directory_client_connect(client, fds[0]);
}

static const char *aliases = "team: alice, far@elsewhere.example\n";

static int configure(const char *text)
{
	struct bundle_file files[] = {
	    { .path = (char *)"/aliases", .contents = (char *)aliases,
	    .length = strlen(aliases), .role = ROLE_DIRECTORY },
	    { .path = (char *)"/secret", .contents = (char *)"some secret",
	    .length = 11, .role = ROLE_DIRECTORY } };
	struct bundle bundle = { .name = (char *)"test.conf",
	    .text = (char *)text, .files = files, .file_count = 2 };
	char error[400] = "";
	struct buf bytes;
	int result;

	buf_init(&bytes, 1 << 20);
	assert_int_equal(0, bundle_encode(&bundle, ROLE_DIRECTORY, &bytes));
	result = directory_entry.configure(buf_data(&bytes),
	    buf_length(&bytes), error, sizeof(error));
	if (result == -1)
		assert_int_not_equal(error[0], '\0');
	buf_release(&bytes);
	return result;
}

static void on_answer(void *arg, enum directory_answer answer,
    const struct directory_found *found)
{
	(void)arg;
	answered++;
	last = answer;
	forward_sender[0] = '\0';
	snprintf(mailbox, sizeof(mailbox), "%s", found == NULL ? "-" :
	    found->targets[0].address);
	for (size_t i = 1; found != NULL && i < found->count; i++)
		snprintf(mailbox + strlen(mailbox), sizeof(mailbox) -
		    strlen(mailbox), " %s%s", found->targets[i].forwarded ?
		    ">" : "", found->targets[i].address);
	if (found != NULL && found->forward_sender != NULL)
		snprintf(forward_sender, sizeof(forward_sender), "%s",
		    found->forward_sender);
	if (victim != NULL)
		directory_cancel(victim);
	victim = NULL;
}

static struct directory_request *check(const char *address)
{
	unsigned before = answered;
	struct directory_request *request;

	request = directory_check(client, address, "x@sender.example",
	    on_answer, NULL);
	assert_int_equal(answered, before);	/* never inside the call */
	return request;
}

static int set_up(void **state)
{
	(void)state;
	client = directory_client_new();
	asked = closed = answered = 0;
	victim = NULL;
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	directory_client_free(client);
	if (fake != NULL)
		channel_free(fake);
	fake = NULL;
	some_turns();
	return 0;
}

static void expect(const char *address, enum directory_answer answer,
    const char *name)
{
	answered = 0;
	check(address);
	some_turns();
	assert_int_equal(answered, 1);
	assert_int_equal(last, answer);
	assert_string_equal(mailbox, name);
}

/* The true role: SMTP-21, and a reload in between. */
static void test_role(void **state)
{
	(void)state;
	assert_int_equal(0, configure("hostname = mx.example.org\n"
	    "domain example.org { users = { alice } }\n"));
	connect_role(0);
	expect("Alice@EXAMPLE.org", DIRECTORY_FOUND, "alice@example.org");
	expect("bob@example.org", DIRECTORY_NO_USER, "-");
	expect("alice@example.net", DIRECTORY_NOT_OURS, "-");
	expect("PostMaster", DIRECTORY_FOUND, "postmaster@example.org");
	assert_int_equal(0, configure("hostname = mx.example.org\n"
	    "domain example.org { users = { bob } }\n"));
	expect("bob@example.org", DIRECTORY_FOUND, "bob@example.org");
	expect("alice@example.org", DIRECTORY_NO_USER, "-");
	/* What cannot be used changes nothing. */
	assert_int_equal(-1, configure("domain example.org { users = \n"));
	assert_int_equal(-1, configure("hostname = mx.example.org\n"
	    "domain example.org { users = { \"a@b\" } }\n"));
	expect("bob@example.org", DIRECTORY_FOUND, "bob@example.org");
	/* The same smtpd again: its old channel is dead. */
	connect_role(0);
	expect("bob@example.org", DIRECTORY_FOUND, "bob@example.org");
}

/* Several targets and a rewritten sender come over; a file of aliases that
 * cannot be used keeps the old one. */
static void test_targets(void **state)
{
	static const char text[] = "hostname = mx.example.org\n"
	    "aliases-file = /aliases\nsrs-domain = example.org\n"
	    "srs-secret-file = /secret\n"
	    "domain example.org { users = { alice } }\n";

	(void)state;
	assert_int_equal(0, configure(text));
	connect_role(0);
	expect("team@example.org", DIRECTORY_FOUND,
	    "alice@example.org >far@elsewhere.example");
	assert_memory_equal(forward_sender, "SRS0=", 5);
	expect("alice@example.org", DIRECTORY_FOUND, "alice@example.org");
	assert_string_equal(forward_sender, "");
	aliases = "team: team2\nteam2: team\n";
	assert_int_equal(-1, configure(text));
	expect("team@example.org", DIRECTORY_FOUND,
	    "alice@example.org >far@elsewhere.example");
	aliases = "";
	assert_int_equal(0, configure("hostname = mx.example.org\n"
	    "domain example.org { users = { bob } }\n"));
}

/* A hostile smtpd loses its channel, and the role answers the others. */
static void test_hostile_question(void **state)
{
	const struct process_peer peer = { ROLE_SMTPD, 1 };
	int fds[2];

	(void)state;
	connect_role(0);
	make_pair(fds);
	directory_entry.peer(&peer, fds[1]);
	fake = channel_new(fds[0], "directory", &handler, NULL, 1 << 20);
	wire_put_u8(channel_begin(fake, DIRECTORY_CHECK, 1), 200);
	channel_end(fake);
	some_turns();
	assert_int_equal(closed, 1);
	expect("bob@example.org", DIRECTORY_FOUND, "bob@example.org");
}

static void test_not_connected(void **state)
{
	(void)state;
	expect("a@example.org", DIRECTORY_UNAVAILABLE, "-");
}

/* The directory dies: what was asked is answered 451, what comes later waits
 * for nobody, and a new directory answers again. */
static void test_restart(void **state)
{
	(void)state;
	connect_fake();
	check("a@example.org");
	check("b@example.org");
	some_turns();
	assert_int_equal(asked, 2);
	channel_free(fake);
	fake = NULL;
	some_turns();
	assert_int_equal(answered, 2);
	assert_int_equal(last, DIRECTORY_UNAVAILABLE);
	expect("a@example.org", DIRECTORY_UNAVAILABLE, "-");
	/* Asked of the old one; the new one does not know of it. */
	connect_fake();
	answered = 0;
	check("a@example.org");
	some_turns();
	closed = 0;
	connect_role(0);
	some_turns();
	assert_int_equal(closed, 1);
	assert_int_equal(answered, 1);
	expect("bob@example.org", DIRECTORY_FOUND, "bob@example.org");
}

static void send_answer(uint32_t number, unsigned answer, const char *name)
{
	struct wire_writer *writer;

	writer = channel_begin(fake, DIRECTORY_ANSWER, number);
	wire_put_u8(writer, (uint8_t)answer);
	if (answer == DIRECTORY_FOUND) {
		wire_put_u8(writer, 0);
		wire_put_u8(writer, 0);
		wire_put_text(writer, "");
		wire_put_u32(writer, 1);
		wire_put_text(writer, name);
		wire_put_u8(writer, 0);
	}
	channel_end(fake);
	some_turns();
}

static void test_malformed(void **state)
{
	static const unsigned wrong[] = { DIRECTORY_UNAVAILABLE + 1, 255 };
	size_t i;

	(void)state;
	for (i = 0; i < 4; i++) {
		connect_fake();
		answered = closed = 0;
		check("a@example.org");
		some_turns();
		if (i < 2) {
			send_answer(numbers[0], wrong[i], "a@example.org");
		} else {
			channel_begin(fake, i == 2 ? DIRECTORY_ANSWER : 77,
			    numbers[0]);
			channel_end(fake);
			some_turns();
		}
		assert_int_equal(closed, 1);
		assert_int_equal(answered, 1);
		assert_int_equal(last, DIRECTORY_UNAVAILABLE);
	}
}

static void test_cancel(void **state)
{
	struct directory_request *request;

	(void)state;
	request = check("nobody-connected@example.org");
	directory_cancel(request);
	some_turns();
	assert_int_equal(answered, 0);
	connect_fake();
	request = check("a@example.org");
	check("b@example.org");
	victim = check("c@example.org");
	some_turns();
	directory_cancel(request);
	send_answer(numbers[0], DIRECTORY_FOUND, "a@example.org");
	assert_int_equal(answered, 0);
	/* b's callback cancels c. */
	send_answer(numbers[1], DIRECTORY_FOUND, "b@example.org");
	assert_string_equal(mailbox, "b@example.org");
	send_answer(numbers[2], DIRECTORY_FOUND, "c@example.org");
	send_answer(numbers[1], DIRECTORY_FOUND, "b@example.org");
	assert_int_equal(answered, 1);
	assert_int_equal(closed, 0);
}

/* A target that is no address is not believed. */
static void test_no_address(void **state)
{
	(void)state;
	connect_fake();
	check("a@example.org");
	some_turns();
	send_answer(numbers[0], DIRECTORY_FOUND, "alice");
	assert_int_equal(last, DIRECTORY_UNAVAILABLE);
	assert_int_equal(closed, 1);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(test_role), TEST(test_hostile_question),
		TEST(test_not_connected), TEST(test_restart),
		TEST(test_malformed), TEST(test_cancel),
		TEST(test_no_address), TEST(test_targets),
	};
	int status;

	log_init("test", LOG_LEVEL_ERROR);
	loop_init();
	status = cmocka_run_group_tests(tests, NULL, NULL);
	directory_entry.stop();
	loop_run();
	loop_release();
	return status;
}
