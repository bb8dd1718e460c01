/* SPDX-License-Identifier: ISC */
/*
 * policy/policy.c as the role that it is: the test is supervisor, delivery,
 * smtpd, name server and operator. A reload asks what is under way anew, and
 * so does whatever else changes plans: exceptions, pins, memory. A peer that
 * goes takes its questions along, nonsense costs only the channel that it came
 * by, and too many questions at once are answered with a deferral.
 */
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
#include <time.h>
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
#include "policy/client.h"
#include "policy/exception.h"
#include "policy/greylist.h"
#include "policy/message.h"
#include "policy/observation.h"
#include "policy/plan.h"
#include "policy/policy.h"
#include "policy/records.h"
#include "tests/scratch.h"

/* More than the limit of questions even when all but those that wait for the
 * name server are answered between two reads. */
enum { FLOOD = 20000, TURNS = 20 };

/* --- a name server that says nothing until it is told to --- */

static int server;
static struct watch server_watch;
static struct endpoint server_address;
static bool speaks;
static unsigned queries;

/* "hostN.lab" has an address. The length of the answer. */
static size_t answer_address(uint8_t *packet, size_t end)
{
	static const uint8_t record[] = { 0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60,
	    0, 4, 192, 0, 2, 9 };

	packet[3] = 0x80;
	packet[7] = 1;
	memcpy(packet + end, record, sizeof(record));
	return end + sizeof(record);
}

/* Whatever else was asked does not exist; without SOA, so not cached for
 * long. */
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
	end += 5;
	if (memcmp(packet + 13, "host", 4) == 0 && packet[end - 3] == 1)
		end = answer_address(packet, end);
	sendto(server, packet, end, 0, (struct sockaddr *)&from, length);
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
	enum plan_source source;
	uint64_t	 exception;
	uint64_t	 generation;
	char		 changes[400];	/* patterns, each with a blank */
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
	end->exception = plan->exception;
	end->generation = plan->generation;
	if (plan->host_count > 0) {
		end->requirement = plan->hosts[0].requirement;
		end->source = plan->hosts[0].source;
	} else
		end->deferred += plan->status.outcome == STATUS_DEFERRED;
	end->refused += strstr(plan->status.text, "too many plans") != NULL;
	arena_free(arena);
}

static void on_change(struct end *end, struct channel_message *message)
{
	struct arena *arena = arena_new(4096);
	const char *pattern = wire_get_text(&message->body, arena,
	    POLICY_NAME_MAX);
	size_t used = strlen(end->changes);

	assert_int_equal(0, wire_read_end(&message->body));
	snprintf(end->changes + used, sizeof(end->changes) - used, "%s ",
	    pattern[0] == '\0' ? "all" : pattern);
	arena_free(arena);
}

static void on_answer(void *arg, struct channel *channel,
    struct channel_message *message)
{
	struct end *end = arg;
	struct arena *arena;

	(void)channel;
	if (message->type == POLICY_CHANGED) {
		on_change(end, message);
		return;
	}
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
	{ .type = POLICY_CHANGED, .max = POLICY_NAME_MAX + 8 },
};
static const struct channel_handler handler = { .rules = rules,
    .rule_count = 3, .message = on_answer, .closed = on_closed };

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

/* As it goes over the wire: the level plus one. */
static uint8_t ask_wish, ask_level;

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
	wire_put_u8(writer, ask_wish);
	wire_put_u8(writer, ask_level);
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

static char folder[64];
static const char *memory_option = "";

static void configure(const char *level)
{
	char text[500], error[400] = "";
	struct bundle bundle = { .name = (char *)"test.conf", .text = text };
	struct buf bytes;

	snprintf(text, sizeof(text), "hostname = us.lab\nresolver = forward\n"
	    "forwarders = { \"127.0.0.1@%u\" }\ntrust-anchor-file = \"\"\n"
	    "ipv6 = no\nresolver-timeout = 20\nstate-directory = \"%s\"\n"
	    "memory-observations = 3\n"
	    "destination \"*\" { level = %s %s }\n",
	    (unsigned)endpoint_port(&server_address), folder, level,
	    memory_option);
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
	assert_string_equal(end.changes, "all all all ");
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
	assert_string_equal(other.name, POLICY_NAME_UNKNOWN);
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
	ask_wish = WISH_NONE;
	ask_level = 0;
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

/* --- what changes plans --- */

/* Requests under way and open connections hear of it at once; and it ends by
 * itself. */
static void test_exception(void **state)
{
	struct end end, other;
	int64_t start;
	uint64_t generation;
	int fd;

	(void)state;
	configure("encrypt");
	end_open(&end, ROLE_DELIVERY, 0);
	end_open(&other, ROLE_DELIVERY, 1);
	ask(&end, 1, "exempt.lab", "192.0.2.1");
	wait_answers(&end, 1);
	assert_int_equal(end.requirement, REQUIRE_ENCRYPTED);
	assert_int_equal(end.exception, 0);
	generation = end.generation;
	fd = operator_asks("{\"verb\":\"exception-add\",\"arguments\":{"
	    "\"domain\":\"Exempt.lab\",\"level\":\"may\",\"until\":2,"
	    "\"reason\":\"ticket 41\"}}\n", true);
	operator_hears(fd, "\"end\":0");
	assert_non_null(strstr(operator_said, "\"domain\":\"exempt.lab\""));
	assert_non_null(strstr(operator_said, "\"author\":\"root (uid 0)\""));
	some_turns();
	assert_string_equal(end.changes, "exempt.lab ");
	assert_string_equal(other.changes, "exempt.lab ");
	ask(&end, 2, "exempt.lab", "192.0.2.1");
	ask(&other, 1, "other.lab", "192.0.2.1");
	wait_answers(&end, 2);
	wait_answers(&other, 1);
	assert_int_equal(end.requirement, REQUIRE_OPPORTUNISTIC);
	assert_int_not_equal(end.exception, 0);
	assert_true(end.generation > generation);
	assert_int_equal(other.requirement, REQUIRE_ENCRYPTED);
	fd = operator_asks("{\"verb\":\"exception-list\",\"arguments\":{}}\n",
	    false);
	operator_hears(fd, "\"uses\":1");
	start = clock_monotonic();
	while (strcmp(end.changes, "exempt.lab exempt.lab ") != 0 &&
	    clock_monotonic() - start < 10000) {
		some_turns();
		usleep(1000);
	}
	assert_string_equal(end.changes, "exempt.lab exempt.lab ");
	ask(&end, 3, "exempt.lab", "192.0.2.1");
	wait_answers(&end, 3);
	assert_int_equal(end.requirement, REQUIRE_ENCRYPTED);
	fd = operator_asks("{\"verb\":\"exception-list\",\"arguments\":{}}\n",
	    false);
	operator_hears(fd, "\"end\":1");
	end_close(&end);
	end_close(&other);
	configure("may");
}

/* A plan that is made but not sent when the exception comes, for the domain
 * and for all below another; revoked, it is the old plan again. */
static void test_exception_in_between(void **state)
{
	static const char *const arguments[] = { "between.lab", ".lab" };
	struct exception wanted = { .level = LEVEL_NONE,
	    .reason = "a test", .author = "uid 0" }, made;
	struct end end;
	char request[200];
	size_t i;
	int fd;

	(void)state;
	configure("encrypt");
	for (i = 0; i < 2; i++) {
		end_open(&end, ROLE_DELIVERY, 0);
		ask(&end, 1, "between.lab", "192.0.2.1");
		loop_defer(stop, NULL);
		loop_run();
		loop_defer(stop, NULL);
		loop_run();
		assert_int_equal(end.answers, 0);
		snprintf(wanted.pattern, sizeof(wanted.pattern), "%s",
		    arguments[i]);
		wanted.until = clock_wall() + 60000;
		assert_null(exceptions_add(policy_records()->exceptions,
		    &wanted, &made));
		wait_answers(&end, 1);
		assert_int_equal(end.requirement, REQUIRE_CLEAR);
		assert_int_equal(end.exception, made.id);
		some_turns();
		assert_int_equal(end.answers, 1);
		snprintf(request, sizeof(request), "{\"verb\":"
		    "\"exception-revoke\",\"arguments\":{\"id\":%u}}\n",
		    (unsigned)made.id);
		fd = operator_asks(request, true);
		operator_hears(fd, "\"reason\":\"a test\"");
		ask(&end, 2, "between.lab", "192.0.2.1");
		wait_answers(&end, 2);
		assert_int_equal(end.requirement, REQUIRE_ENCRYPTED);
		fd = operator_asks(request, true);
		operator_hears(fd, "\"end\":1");
		end_close(&end);
	}
	configure("may");
}

static void test_wish_and_level(void **state)
{
	struct end end;

	(void)state;
	end_open(&end, ROLE_DELIVERY, 0);
	ask_level = LEVEL_ENCRYPT + 1;
	ask(&end, 1, "example.org", "192.0.2.1");
	wait_answers(&end, 1);
	assert_int_equal(end.requirement, REQUIRE_ENCRYPTED);
	/* REQUIRETLS needs more than an address. */
	ask_level = 0;
	ask_wish = WISH_REQUIRETLS;
	ask(&end, 2, "example.org", "[192.0.2.1]");
	wait_answers(&end, 2);
	assert_int_equal(end.last.reason, REASON_REQUIRETLS);
	/* Levels that need names, and wishes that are none: nonsense. */
	ask_wish = WISH_NONE;
	ask_level = LEVEL_VERIFY + 1;
	ask(&end, 3, "example.org", "192.0.2.1");
	some_turns();
	assert_null(end.channel);
	end_open(&end, ROLE_DELIVERY, 0);
	ask_level = 0;
	ask_wish = WISHES;
	ask(&end, 4, "example.org", "192.0.2.1");
	some_turns();
	assert_null(end.channel);
}

/* --- what delivery saw --- */

static void observe(struct end *end, const char *host,
    enum observed_stage stage, const char *symptom)
{
	struct observation seen = { .stage = stage,
	    .requirement = REQUIRE_OPPORTUNISTIC };

	snprintf(seen.domain, sizeof(seen.domain), "%s", host);
	snprintf(seen.host, sizeof(seen.host), "%s", host);
	snprintf(seen.symptom, sizeof(seen.symptom), "%s", symptom);
	if (stage == OBSERVED_SECURED)
		snprintf(seen.version, sizeof(seen.version), "TLSv1.3");
	else
		seen.result = RESULT_STARTTLS_NOT_SUPPORTED;
	endpoint_parse(&seen.address, "192.0.2.9", 25);
	observation_put(channel_begin(end->channel, POLICY_OBSERVED, 0),
	    &seen);
	channel_end(end->channel);
}

/* Three connections under TLS, and with memory = defer TLS is required; what
 * is missing then is an event, and all of it is counted. */
static void test_memory(void **state)
{
	struct end end;
	int fd, i;

	(void)state;
	speaks = true;
	memory_option = "memory = defer";
	configure("auto");
	end_open(&end, ROLE_DELIVERY, 0);
	ask(&end, 1, "learned.lab", "host1.lab");
	wait_answers(&end, 1);
	assert_int_equal(end.hosts, 1);
	assert_int_equal(end.requirement, REQUIRE_OPPORTUNISTIC);
	observe(&end, "host1.lab", OBSERVED_CLEAR, "starttls-absent");
	for (i = 0; i < 3; i++)
		observe(&end, "host1.lab", OBSERVED_SECURED, "");
	some_turns();
	/* The destination began to bind, and the host, which may be anybody's. */
	assert_string_equal(end.changes, "all ");
	ask(&end, 2, "learned.lab", "host1.lab");
	wait_answers(&end, 2);
	assert_int_equal(end.requirement, REQUIRE_ENCRYPTED);
	assert_int_equal(end.source, SOURCE_MEMORY);
	/* Without TLS before it was known: no event; now: one. */
	fd = operator_asks("{\"verb\":\"events\",\"arguments\":{\"since\":"
	    "3600}}\n", false);
	operator_hears(fd, "\"end\":1");
	observe(&end, "host1.lab", OBSERVED_CLEAR, "starttls-absent");
	some_turns();
	fd = operator_asks("{\"verb\":\"events\",\"arguments\":{\"since\":"
	    "3600,\"domain\":\"host1.lab\"}}\n", false);
	operator_hears(fd, "\"end\":0");
	assert_non_null(strstr(operator_said, "\"kind\":\"downgrade\""));
	assert_non_null(strstr(operator_said,
	    "\"signature\":\"keyword-gone\""));
	assert_non_null(strstr(operator_said, "\"memory\":true"));
	assert_non_null(strstr(operator_said, "\"mail\":\"clear\""));
	fd = operator_asks("{\"verb\":\"events\",\"arguments\":{\"since\":"
	    "3600,\"domain\":\"other.lab\"}}\n", false);
	operator_hears(fd, "\"end\":1");
	fd = operator_asks("{\"verb\":\"outcomes\",\"arguments\":{}}\n",
	    false);
	operator_hears(fd, "\"total-successful-session-count\":3,"
	    "\"total-failure-session-count\":2");
	end_close(&end);
}

/* Follows the one before: what it learnt is shown, taken along and forgotten,
 * and each change is heard of. */
static void test_memory_verbs(void **state)
{
	struct end end;
	char request[8000], *line;
	int fd;

	(void)state;
	speaks = true;
	end_open(&end, ROLE_DELIVERY, 0);
	fd = operator_asks("{\"verb\":\"memory-show\",\"arguments\":{"
	    "\"name\":\"host1.lab\"}}\n", false);
	operator_hears(fd, "\"end\":0");
	assert_non_null(strstr(operator_said, "\"destination\":\"host1.lab\""));
	assert_non_null(strstr(operator_said, "\"host\":\"host1.lab\""));
	fd = operator_asks("{\"verb\":\"memory-list\",\"arguments\":{"
	    "\"name\":\"lab\"}}\n", false);
	operator_hears(fd, "\"host\":\"host1.lab\"");
	fd = operator_asks("{\"verb\":\"memory-list\",\"arguments\":{"
	    "\"name\":\"ost1.lab\"}}\n", false);
	operator_hears(fd, "\"end\":1");
	fd = operator_asks("{\"verb\":\"memory-export\",\"arguments\":{}}\n",
	    false);
	operator_hears(fd, "\"end\":0");
	line = strstr(operator_said, "{\"destination\"");
	assert_non_null(line);
	*strchr(line, '\n') = '\0';
	snprintf(request, sizeof(request), "{\"verb\":\"memory-import\","
	    "\"arguments\":{\"objects\":[%s,{\"no\":1}]}}\n", line);
	fd = operator_asks("{\"verb\":\"memory-forget\",\"arguments\":{"
	    "\"name\":\"host1.lab\"}}\n", true);
	operator_hears(fd, "\"forgotten\":2");
	some_turns();
	assert_non_null(strstr(end.changes, "host1.lab "));
	ask(&end, 1, "learned.lab", "host1.lab");
	wait_answers(&end, 1);
	assert_int_equal(end.requirement, REQUIRE_OPPORTUNISTIC);
	fd = operator_asks(request, true);
	operator_hears(fd, "\"imported\":1");
	assert_non_null(strstr(operator_said, "\"index\":1"));
	assert_non_null(strstr(operator_said, "\"end\":65"));
	ask(&end, 2, "learned.lab", "host1.lab");
	wait_answers(&end, 2);
	assert_int_equal(end.source, SOURCE_MEMORY);
	memory_option = "";
	configure("may");
	end_close(&end);
}

static void test_pin(void **state)
{
	struct end end;
	int fd;

	(void)state;
	speaks = true;
	end_open(&end, ROLE_DELIVERY, 0);
	fd = operator_asks("{\"verb\":\"memory-pin\",\"arguments\":{"
	    "\"domain\":\"host2.lab\",\"level\":\"verify\",\"reason\":"
	    "\"a bank\"}}\n", true);
	operator_hears(fd, "\"pinned\":\"host2.lab\"");
	some_turns();
	assert_string_equal(end.changes, "host2.lab ");
	ask(&end, 1, "host2.lab", "host2.lab");
	wait_answers(&end, 1);
	assert_int_equal(end.requirement, REQUIRE_NAME);
	assert_int_equal(end.source, SOURCE_PIN);
	fd = operator_asks("{\"verb\":\"memory-show\",\"arguments\":{"
	    "\"name\":\"host2.lab\"}}\n", false);
	operator_hears(fd, "\"author\":\"root (uid 0)\"");
	fd = operator_asks("{\"verb\":\"memory-unpin\",\"arguments\":{"
	    "\"domain\":\"host2.lab\"}}\n", true);
	operator_hears(fd, "\"unpinned\":\"host2.lab\"");
	some_turns();
	assert_string_equal(end.changes, "host2.lab host2.lab ");
	ask(&end, 2, "host2.lab", "host2.lab");
	wait_answers(&end, 2);
	assert_int_equal(end.requirement, REQUIRE_OPPORTUNISTIC);
	end_close(&end);
}

/* An observation is believed from delivery only, and only whole. */
static void test_observation_nonsense(void **state)
{
	struct end end;

	(void)state;
	end_open(&end, ROLE_SMTPD, 1);
	observe(&end, "host9.lab", OBSERVED_SECURED, "");
	some_turns();
	assert_null(end.channel);
	end_open(&end, ROLE_DELIVERY, 0);
	wire_put_text(channel_begin(end.channel, POLICY_OBSERVED, 0), "a");
	channel_end(end.channel);
	some_turns();
	assert_null(end.channel);
}

/* --- arguments --- */

static const struct {
	const char	*verb;
	const char	*arguments;
	const char	*named;		/* in the sentence; null: denied */
} wrongs[] = {
	{ "explain", "{\"domain\":\"a.lab\",\"wish\":\"no\"}", "wish" },
	{ "explain", "{\"domain\":\"a.lab\",\"level\":\"verify\"}",
	    "level" },
	{ "explain", "{\"domain\":\"a.lab\",\"waited\":-1}", "waited" },
	{ "memory-list", "{\"name\":\"no name\"}", "name" },
	{ "memory-show", "{}", "name" },
	{ "memory-forget", "{\"name\":7}", "name" },
	{ "memory-pin", "{\"domain\":\"a.lab\",\"level\":\"may\","
	    "\"reason\":\"x\"}", "level" },
	{ "memory-pin", "{\"domain\":\"a.lab\",\"level\":\"verify\"}",
	    "reason" },
	{ "memory-pin", "{\"domain\":\"a.lab\",\"level\":\"verify\","
	    "\"reason\":\"x\",\"fingerprints\":[\"00\"]}", "fingerprints" },
	{ "memory-pin", "{\"domain\":\"a.lab\",\"level\":\"fingerprint\","
	    "\"reason\":\"x\",\"fingerprints\":[\"00\"]}", "fingerprints" },
	{ "memory-pin", "{\"domain\":\"a.lab\",\"level\":\"fingerprint\","
	    "\"reason\":\"x\"}", "fingerprints" },
	{ "memory-unpin", "{}", "domain" },
	{ "memory-import", "{\"objects\":[]}", "objects" },
	{ "memory-import", "{}", "objects" },
	{ "exception-add", "{\"domain\":\"*\",\"level\":\"may\","
	    "\"until\":60,\"reason\":\"x\"}", "domain" },
	{ "exception-add", "{\"domain\":\"a.lab\",\"level\":\"strict\","
	    "\"until\":60,\"reason\":\"x\"}", "level" },
	{ "exception-add", "{\"domain\":\"a.lab\",\"level\":\"may\","
	    "\"reason\":\"x\"}", "until" },
	{ "exception-add", "{\"domain\":\"a.lab\",\"level\":\"may\","
	    "\"until\":99999999,\"reason\":\"x\"}", "until" },
	{ "exception-add", "{\"domain\":\"a.lab\",\"level\":\"may\","
	    "\"until\":\"tomorrow\",\"reason\":\"x\"}", "until" },
	{ "exception-add", "{\"domain\":\"a.lab\",\"level\":\"may\","
	    "\"until\":\"2020-01-01T00:00:00Z\",\"reason\":\"x\"}", "until" },
	{ "exception-add", "{\"domain\":\"a.lab\",\"level\":\"may\","
	    "\"until\":60,\"reason\":\"  \"}", "reason" },
	{ "exception-add", "{\"domain\":\"a.lab\",\"level\":\"may\","
	    "\"until\":60,\"reason\":\"a\\nb\"}", "reason" },
	{ "exception-revoke", "{\"id\":\"1\"}", "id" },
	{ "events", "{}", "since" },
	{ "events", "{\"since\":60,\"domain\":7}", "domain" },
	{ "outcomes", "{\"day\":\"today\"}", "day" },
	{ "memory-forget", "{\"name\":\"a.lab\"}", NULL },
	{ "memory-pin", "{}", NULL }, { "memory-unpin", "{}", NULL },
	{ "memory-import", "{}", NULL }, { "exception-add", "{}", NULL },
	{ "exception-revoke", "{\"id\":1}", NULL },
	{ "greylist-list", "{\"name\":7}", "name" },
	{ "greylist-list", "{\"name\":\"\"}", "name" },
	{ "greylist-forget", "{}", "name" },
	{ "greylist-forget", "{\"name\":\"a.lab\"}", NULL },
};

static void test_wrong_arguments(void **state)
{
	char request[400], expected[60];
	size_t i;
	int fd;

	(void)state;
	for (i = 0; i < sizeof(wrongs) / sizeof(wrongs[0]); i++) {
		snprintf(request, sizeof(request),
		    "{\"verb\":\"%s\",\"arguments\":%s}\n",
		    wrongs[i].verb, wrongs[i].arguments);
		fd = operator_asks(request, wrongs[i].named != NULL);
		if (wrongs[i].named == NULL) {
			operator_hears(fd, "\"end\":77");
			continue;
		}
		snprintf(expected, sizeof(expected),
		    "{\"end\":64,\"message\":\"argument \\\"%s\\\": ",
		    wrongs[i].named);
		operator_hears(fd, expected);
	}
}

/* The forms of time of RFC 3339; all of them a day or so from now. */
static void test_until(void **state)
{
	static const char *const forms[] = { "%Y-%m-%dT%H:%M:%SZ",
	    "%Y-%m-%dt%H:%M:%S.25z", "%Y-%m-%dT%H:%M:%S+02:00",
	    "%Y-%m-%dT%H:%M:%S-11:30" };
	static const int seconds_east[] = { 0, 0, 7200, -41400 };
	time_t until = (time_t)(clock_wall() / 1000) + 86400, local;
	char text[60], request[300], expected[60];
	struct tm parts;
	size_t i;
	int fd;

	(void)state;
	gmtime_r(&until, &parts);
	strftime(expected, sizeof(expected),
	    "\"until\":\"%Y-%m-%dT%H:%M:%SZ\"", &parts);
	for (i = 0; i < 4; i++) {
		local = until + seconds_east[i];
		gmtime_r(&local, &parts);
		strftime(text, sizeof(text), forms[i], &parts);
		snprintf(request, sizeof(request), "{\"verb\":"
		    "\"exception-add\",\"arguments\":{\"domain\":"
		    "\"until.lab\",\"level\":\"may\",\"until\":\"%s\","
		    "\"reason\":\"x\"}}\n", text);
		fd = operator_asks(request, true);
		operator_hears(fd, expected);
	}
}

static void ask_greylist(const char *from, const char *sender)
{
	struct endpoint client;
	const struct policy_greylist_question question = { .client = &client,
	    .sender = sender, .recipient = "b@us.lab" };

	endpoint_parse(&client, from, 25);
	greylist_ask(policy_records()->greylist, &question);
}

static void test_greylist_verbs(void **state)
{
	int fd;

	(void)state;
	fd = operator_asks("{\"verb\":\"greylist-list\",\"arguments\":{}}\n",
	    false);
	operator_hears(fd, "\"end\":1");
	ask_greylist("203.0.113.7", "a@y.lab");
	ask_greylist("192.0.2.7", "a@x.lab");
	fd = operator_asks("{\"verb\":\"greylist-list\",\"arguments\":{}}\n",
	    false);
	operator_hears(fd, "\"end\":0");
	assert_non_null(strstr(operator_said, "\"state\":\"waiting\""));
	assert_non_null(strstr(operator_said, "\"recipient\":\"b@us.lab\""));
	/* In order. */
	assert_non_null(strstr(strstr(operator_said, "192.0.2.0/24"),
	    "203.0.113.0/24"));
	fd = operator_asks("{\"verb\":\"greylist-list\",\"arguments\":"
	    "{\"name\":\"X.lab\"}}\n", false);
	operator_hears(fd, "a@x.lab");
	assert_null(strstr(operator_said, "y.lab"));
	fd = operator_asks("{\"verb\":\"greylist-forget\",\"arguments\":"
	    "{\"name\":\"192.0.2.99\"}}\n", true);
	operator_hears(fd, "\"forgotten\":1");
	fd = operator_asks("{\"verb\":\"greylist-forget\",\"arguments\":"
	    "{\"name\":\"192.0.2.99\"}}\n", true);
	operator_hears(fd, "\"end\":1");
}

static void make_folder(void)
{
	char path[100];

	if (scratch_make(folder, sizeof(folder), "policy") == -1)
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
		TEST(test_remembered), TEST(test_exception),
		TEST(test_exception_in_between), TEST(test_wish_and_level),
		TEST(test_memory), TEST(test_memory_verbs), TEST(test_pin),
		TEST(test_observation_nonsense), TEST(test_wrong_arguments),
		TEST(test_greylist_verbs),
		TEST(test_until), TEST(test_flood),
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
	scratch_remove(folder);
	return status;
}
