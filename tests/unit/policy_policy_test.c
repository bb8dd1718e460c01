/* SPDX-License-Identifier: ISC */
/*
 * policy/policy.c as the role that it is: the test is supervisor, delivery,
 * smtpd and name server. A reload asks what is under way anew, a peer that
 * goes takes its questions along, nonsense costs only the channel that it came
 * by, and too many questions at once are answered with a deferral.
 */
#include <ftw.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/channel.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/loop.h"
#include "base/mem.h"
#include "base/net.h"
#include "base/process.h"
#include "conf/bundle.h"
#include "policy/message.h"
#include "policy/plan.h"
#include "policy/policy.h"

/* More than the limit of questions even when all but those that wait for the
 * name server are answered between two reads. */
enum { FLOOD = 20000, TURNS = 20 };

/* --- a name server that says nothing until it is told to --- */

static int server;
static struct watch server_watch;
static struct endpoint server_address;
static bool speaks;
static unsigned queries;

/* Whatever was asked does not exist; without SOA, so not cached for long. */
static void on_query(void *arg, int flags)
{
	uint8_t packet[512];
	struct sockaddr_storage from;
	socklen_t length = sizeof(from);
	ssize_t got = recvfrom(server, packet, sizeof(packet), 0,
	    (struct sockaddr *)&from, &length);
	size_t end = 12;

	(void)arg;
	(void)flags;
	queries++;
	if (got < 17 || !speaks)
		return;
	while (packet[end] != 0)
		end += packet[end] + 1u;
	packet[2] = 0x81;
	packet[3] = 0x83;		/* NXDOMAIN */
	memset(packet + 6, 0, 6);
	sendto(server, packet, end + 5, 0, (struct sockaddr *)&from, length);
}

static void start_server(void)
{
	struct endpoint local;

	endpoint_parse(&local, "127.0.0.1", 0);
	server = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	assert_int_not_equal(server, -1);
	assert_int_equal(0, bind(server, &local.address.any, local.length));
	net_local(server, &server_address);
	watch_init(&server_watch, server, on_query, NULL);
	watch_set(&server_watch, WATCH_READ);
}

/* --- a peer of policy --- */

struct end {
	struct channel	*channel;	/* null once policy closed it */
	unsigned	 answers;
	uint32_t	 last_number;
	struct status	 last;		/* of a plan without hosts */
	size_t		 hosts;
	enum requirement requirement;
	unsigned	 deferred;
	unsigned	 refused;	/* ... for there being too many */
	char		 name[300];
};

static void on_plan(struct end *end, struct channel_message *message)
{
	struct arena *arena = arena_new(PLAN_MEMORY_MAX);
	struct plan *plan = plan_get(&message->body, arena);

	assert_non_null(plan);
	end->last = plan->status;
	end->hosts = plan->host_count;
	if (plan->host_count > 0)
		end->requirement = plan->hosts[0].requirement;
	else
		end->deferred += plan->status.outcome == STATUS_DEFERRED;
	end->refused += strstr(plan->status.text, "too many plans") != NULL;
	arena_free(arena);
}

static void on_answer(void *arg, struct channel *channel,
    struct channel_message *message)
{
	struct end *end = arg;
	struct arena *arena;

	(void)channel;
	end->answers++;
	end->last_number = message->request;
	if (message->type == POLICY_PLAN_ANSWER) {
		on_plan(end, message);
		return;
	}
	arena = arena_new(4096);
	snprintf(end->name, sizeof(end->name), "%s",
	    wire_get_text(&message->body, arena, POLICY_NAME_MAX));
	arena_free(arena);
}

static void on_closed(void *arg, struct channel *channel)
{
	struct end *end = arg;

	channel_free(channel);
	end->channel = NULL;
}

static const struct channel_rule rules[] = {
	{ .type = POLICY_PLAN_ANSWER, .max = POLICY_PLAN_MAX },
	{ .type = POLICY_REVERSE_ANSWER, .max = POLICY_NAME_MAX + 8 },
};
static const struct channel_handler handler = { .rules = rules,
    .rule_count = 2, .message = on_answer, .closed = on_closed };

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

static void wait_answers(struct end *end, unsigned count)
{
	int64_t start = clock_monotonic();

	while (end->answers < count && clock_monotonic() - start < 15000) {
		some_turns();
		usleep(1000);
	}
	assert_int_equal(end->answers, count);
}

static void end_open(struct end *end, enum role role, unsigned instance)
{
	const struct process_peer peer = { role, instance };
	int fds[2];

	memset(end, 0, sizeof(*end));
	assert_int_equal(0, socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK |
	    SOCK_CLOEXEC, 0, fds));
	policy_entry.peer(&peer, fds[1]);
	end->channel = channel_new(fds[0], "policy", &handler, end, 4 << 20);
}

static void end_close(struct end *end)
{
	if (end->channel != NULL)
		channel_free(end->channel);
	end->channel = NULL;
	some_turns();
}

static void ask(struct end *end, uint32_t number, const char *domain,
    const char *host)
{
	struct wire_writer *writer;

	writer = channel_begin(end->channel, POLICY_PLAN, number);
	wire_put_text(writer, domain);
	wire_put_text(writer, host);
	wire_put_u16(writer, 25);
	wire_put_u8(writer, host[0] == '\0');
	wire_put_u8(writer, 0);
	wire_put_u64(writer, 60);
	channel_end(end->channel);
}

static void ask_name(struct end *end, uint32_t number)
{
	struct wire_writer *writer;

	writer = channel_begin(end->channel, POLICY_REVERSE, number);
	wire_put_u8(writer, 4);
	wire_put_bytes(writer, "\300\0\2\1", 4);
	wire_put_u32(writer, 2000);
	channel_end(end->channel);
}

static char folder[] = "/tmp/postern-policy-XXXXXX";

static void configure(const char *level)
{
	char text[500], error[400] = "";
	struct bundle bundle = { .name = (char *)"test.conf", .text = text };
	struct buf bytes;

	snprintf(text, sizeof(text), "hostname = us.lab\nresolver = forward\n"
	    "forwarders = { \"127.0.0.1@%u\" }\ntrust-anchor-file = \"\"\n"
	    "ipv6 = no\nresolver-timeout = 20\nstate-directory = \"%s\"\n"
	    "destination \"*\" { level = %s }\n",
	    (unsigned)endpoint_port(&server_address), folder, level);
	buf_init(&bytes, 1 << 20);
	assert_int_equal(0, bundle_encode(&bundle, ROLE_POLICY, &bytes));
	if (policy_entry.configure(buf_data(&bytes), buf_length(&bytes),
	    error, sizeof(error)) == -1)
		fail_msg("%s", error);
	buf_release(&bytes);
}

/* --- tests --- */

static void test_reload(void **state)
{
	struct end end;

	(void)state;
	end_open(&end, ROLE_DELIVERY, 0);
	ask(&end, 1, "example.org", "192.0.2.1");
	wait_answers(&end, 1);
	assert_int_equal(end.requirement, REQUIRE_OPPORTUNISTIC);
	configure("encrypt");
	ask(&end, 2, "example.org", "192.0.2.1");
	wait_answers(&end, 2);
	assert_int_equal(end.requirement, REQUIRE_ENCRYPTED);
	/* Asked before the reload, not answered yet: by the new rules. */
	ask(&end, 3, "example.org", "192.0.2.1");
	ask(&end, 4, "slow.lab", "");
	some_turns();
	configure("none");
	ask(&end, 5, "example.org", "192.0.2.1");
	wait_answers(&end, 4);
	assert_int_equal(end.requirement, REQUIRE_CLEAR);
	configure("may");
	speaks = true;
	wait_answers(&end, 5);
	assert_int_equal(end.last_number, 4);
	assert_int_equal(end.last.outcome, STATUS_FAILED);	/* NXDOMAIN */
	end_close(&end);
}

/* A plan that is made but not sent yet when the reload comes. */
static void test_reload_in_between(void **state)
{
	struct end end;

	(void)state;
	end_open(&end, ROLE_DELIVERY, 0);
	ask(&end, 1, "example.org", "192.0.2.1");
	loop_defer(stop, NULL);
	loop_run();		/* it leaves */
	loop_defer(stop, NULL);
	loop_run();		/* it arrives; the answer waits for a turn */
	assert_int_equal(end.answers, 0);
	configure("encrypt");
	wait_answers(&end, 1);
	assert_int_equal(end.requirement, REQUIRE_ENCRYPTED);
	some_turns();
	assert_int_equal(end.answers, 1);
	configure("may");
	end_close(&end);
}

/* A peer goes, and comes back under the same name, with questions open. */
static void test_peer_goes(void **state)
{
	struct end old, fresh, other;

	(void)state;
	end_open(&other, ROLE_SMTPD, 3);
	end_open(&old, ROLE_DELIVERY, 0);
	ask(&old, 1, "slow1.lab", "");
	ask(&old, 2, "slow2.lab", "");
	some_turns();
	end_open(&fresh, ROLE_DELIVERY, 0);
	some_turns();
	assert_null(old.channel);
	ask(&fresh, 1, "slow1.lab", "");
	some_turns();
	end_close(&fresh);
	speaks = true;
	end_open(&fresh, ROLE_DELIVERY, 0);
	ask(&fresh, 9, "slow1.lab", "");
	wait_answers(&fresh, 1);
	assert_int_equal(fresh.last_number, 9);
	assert_non_null(other.channel);
	end_close(&fresh);
	end_close(&other);
}

static void test_nonsense(void **state)
{
	struct end good, bad;

	(void)state;
	end_open(&good, ROLE_DELIVERY, 0);
	end_open(&bad, ROLE_SMTPD, 1);
	/* smtpd may not ask for plans, nor about a family that is none. */
	ask(&bad, 1, "example.org", "192.0.2.1");
	some_turns();
	assert_null(bad.channel);
	end_open(&bad, ROLE_SMTPD, 1);
	wire_put_u8(channel_begin(bad.channel, POLICY_REVERSE, 1), 5);
	channel_end(bad.channel);
	some_turns();
	assert_null(bad.channel);
	ask(&good, 1, "example.org", "192.0.2.1");
	wait_answers(&good, 1);
	end_close(&good);
}

/* Far more questions than are worked on at once: delivery hears "later" for
 * the rest, keeps its channel, and is served again afterwards. */
static void test_flood(void **state)
{
	struct end end, other;
	char domain[64];
	uint32_t i;

	(void)state;
	end_open(&end, ROLE_DELIVERY, 0);
	end_open(&other, ROLE_SMTPD, 1);
	for (i = 1; i <= FLOOD; i++) {
		snprintf(domain, sizeof(domain), "f%u.lab", (unsigned)i);
		ask(&end, i, domain, "");
	}
	for (i = 0; i < 20; i++)
		some_turns();
	assert_non_null(end.channel);
	assert_true(end.answers > 0);
	assert_int_equal(end.answers, end.deferred);
	assert_true(end.refused > 0);
	assert_int_equal(end.last.reason, REASON_DNS);
	/* Nobody else is turned away for it by a closed door. */
	ask_name(&other, 1);
	wait_answers(&other, 1);
	assert_string_equal(other.name, "");
	end_close(&end);
	end_close(&other);
	end_open(&end, ROLE_DELIVERY, 0);
	ask(&end, 1, "example.org", "192.0.2.1");
	wait_answers(&end, 1);
	assert_int_equal(end.requirement, REQUIRE_OPPORTUNISTIC);
	end_close(&end);
}

static int set_up(void **state)
{
	(void)state;
	speaks = false;
	return 0;
}

/* --- operators --- */

/* What the role says to one request, up to the end; "" while it waits. */
static char operator_said[1 << 16];

static void collect(int fd)
{
	size_t used = strlen(operator_said);
	ssize_t got = recv(fd, operator_said + used, sizeof(operator_said) -
	    used - 1, MSG_DONTWAIT);

	if (got > 0)
		operator_said[used + (size_t)got] = '\0';
}

static int operator_asks(const char *request, bool privileged)
{
	const struct process_caller caller = { .privileged = privileged };
	int fds[2];

	assert_int_equal(0, socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK |
	    SOCK_CLOEXEC, 0, fds));
	operator_said[0] = '\0';
	policy_entry.control(fds[1], &caller);
	assert_int_equal(send(fds[0], request, strlen(request), 0),
	    strlen(request));
	return fds[0];
}

static void operator_hears(int fd, const char *words)
{
	int64_t start = clock_monotonic();

	while (strstr(operator_said, "\"end\"") == NULL &&
	    clock_monotonic() - start < 15000) {
		some_turns();
		collect(fd);
		usleep(1000);
	}
	if (strstr(operator_said, words) == NULL)
		fail_msg("\"%s\" is not in: %s", words, operator_said);
	close(fd);
	some_turns();
}

static void test_explain(void **state)
{
	int fd;

	(void)state;
	fd = operator_asks("{\"verb\":\"explain\",\"arguments\":{\"domain\":"
	    "\"[192.0.2.1]\",\"waited\":3600}}\n", false);
	operator_hears(fd, "\"end\":0");
	assert_non_null(strstr(operator_said, "\"waited\":3600"));
	assert_non_null(strstr(operator_said, "\"level\":\"may\""));
	assert_non_null(strstr(operator_said, "\"addresses\":[\"192.0.2.1\"]"));
	/* A plan without a host: exit status 1, and the reason. */
	speaks = true;
	fd = operator_asks("{\"verb\":\"explain\",\"arguments\":{\"domain\":"
	    "\"Absent.lab\"}}\n", false);
	operator_hears(fd, "\"end\":1");
	assert_non_null(strstr(operator_said, "\"domain\":\"absent.lab\""));
	assert_non_null(strstr(operator_said, "\"result\":\"nxdomain\""));
	assert_non_null(strstr(operator_said, "\"status\":\"5.1.2\""));
	fd = operator_asks("{\"verb\":\"explain\",\"arguments\":{\"domain\":"
	    "\"no domain\"}}\n", false);
	operator_hears(fd, "\"end\":64");
	fd = operator_asks("{\"verb\":\"explain\",\"arguments\":{}}\n", false);
	operator_hears(fd, "\"end\":64");
}

/* Under way while the configuration changes: by the new one. And one whose
 * asker goes away takes its lookups along (the sanitizer sees the rest). */
static void test_explain_reload(void **state)
{
	int fd, gone;

	(void)state;
	gone = operator_asks("{\"verb\":\"explain\",\"arguments\":{\"domain\":"
	    "\"slow7.lab\"}}\n", false);
	fd = operator_asks("{\"verb\":\"explain\",\"arguments\":{\"domain\":"
	    "\"slow8.lab\"}}\n", false);
	some_turns();
	close(gone);
	some_turns();
	configure("encrypt");
	speaks = true;
	operator_hears(fd, "\"level\":\"encrypt\"");
	configure("may");
}

static void test_remembered(void **state)
{
	int fd;

	(void)state;
	fd = operator_asks("{\"verb\":\"sts-list\",\"arguments\":{}}\n", false);
	operator_hears(fd, "\"end\":1");
	fd = operator_asks("{\"verb\":\"sts-forget\",\"arguments\":{\"domain\":"
	    "\"a.example\"}}\n", false);
	operator_hears(fd, "\"end\":77");
	fd = operator_asks("{\"verb\":\"sts-forget\",\"arguments\":{\"domain\":"
	    "\"a.example\"}}\n", true);
	operator_hears(fd, "\"end\":1");
}

/* Nobody waits any more: no answer comes, and others are not touched. */
static void test_cancel(void **state)
{
	struct end end;

	(void)state;
	end_open(&end, ROLE_DELIVERY, 0);
	ask(&end, 1, "slow9.lab", "");
	ask(&end, 2, "slow10.lab", "");
	some_turns();
	channel_begin(end.channel, POLICY_CANCEL, 1);
	channel_end(end.channel);
	channel_begin(end.channel, POLICY_CANCEL, 77);	/* never asked */
	channel_end(end.channel);
	some_turns();
	speaks = true;
	wait_answers(&end, 1);
	assert_int_equal(end.last_number, 2);
	some_turns();
	assert_int_equal(end.answers, 1);
	end_close(&end);
}

static int remove_one(const char *path, const struct stat *status, int type,
    struct FTW *where)
{
	(void)status;
	(void)type;
	(void)where;
	return remove(path);
}

static void make_folder(void)
{
	char path[100];

	if (mkdtemp(folder) == NULL)
		abort();
	snprintf(path, sizeof(path), "%s/policy", folder);
	if (mkdir(path, 0700) == -1)
		abort();
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup(name, set_up)
	const struct CMUnitTest tests[] = {
		TEST(test_reload), TEST(test_reload_in_between),
		TEST(test_peer_goes), TEST(test_nonsense), TEST(test_cancel),
		TEST(test_explain), TEST(test_explain_reload),
		TEST(test_remembered), TEST(test_flood),
	};
	int status;

	log_init("test", LOG_LEVEL_ERROR);
	loop_init();
	make_folder();
	start_server();
	configure("may");
	policy_entry.prepare();
	policy_entry.start();
	status = cmocka_run_group_tests(tests, NULL, NULL);
	policy_entry.stop();
	loop_run();
	watch_release(&server_watch);
	close(server);
	loop_release();
	nftw(folder, remove_one, 16, FTW_DEPTH | FTW_PHYS);
	return status;
}
