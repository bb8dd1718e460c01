/* SPDX-License-Identifier: ISC */
/*
 * policy/resolver.c with the true libunbound, forwarding to a small name
 * server on the same loop. The server answers by the first label of what it is
 * asked; names are under .lab, since .test is libunbound's own.
 *
 * What must hold (see resolver.h): an error is never read as "nothing there"
 * or "insecure"; the answer never comes inside the call, also when libunbound
 * has it at hand; nothing comes after a cancel.
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

#include "base/clock.h"
#include "base/log.h"
#include "base/loop.h"
#include "base/mem.h"
#include "base/net.h"
#include "conf/conf.h"
#include "policy/plan_request.h"
#include "policy/resolver.h"

/* --- the name server --- */

enum { NOERROR, SERVFAIL = 2, NXDOMAIN, REFUSED = 5 };
enum { TYPE_CNAME = 5, TYPE_SOA = 6, DEAD_HOSTS = 11 };

static int server = -1;
static struct watch server_watch;
static struct endpoint server_address;
static unsigned questions;

struct reply {
	uint8_t	 bytes[512];
	size_t	 length;
	unsigned answers;
	unsigned authorities;
};

static void add(struct reply *reply, const void *bytes, size_t length)
{
	memcpy(reply->bytes + reply->length, bytes, length);
	reply->length += length;
}

static void add_u16(struct reply *reply, unsigned value)
{
	add(reply, (uint8_t[]){ (uint8_t)(value >> 8), (uint8_t)value }, 2);
}

/* "a.lab" as labels. */
static void add_name(struct reply *reply, const char *name)
{
	size_t length;

	while (*name != '\0') {
		length = strcspn(name, ".");
		add(reply, (uint8_t[]){ (uint8_t)length }, 1);
		add(reply, name, length);
		name += length + (name[length] == '.');
	}
	add(reply, "", 1);
}

/* A record of a name; its data is added by the caller behind length. */
static void add_record(struct reply *reply, const char *owner, unsigned type,
    unsigned length)
{
	add_name(reply, owner);
	add_u16(reply, type);
	add_u16(reply, 1);
	add_u16(reply, 0);
	add_u16(reply, 300);
	add_u16(reply, length);
}

static void add_address(struct reply *reply, const char *owner)
{
	add_record(reply, owner, DNS_A, 4);
	add(reply, (uint8_t[]){ 192, 0, 2, 7 }, 4);
	reply->answers++;
}

static void add_soa(struct reply *reply)
{
	add_record(reply, "lab", TYPE_SOA, 22);
	add(reply, "\0\0", 2);
	add(reply, "\0\0\0\1\0\0\0\1\0\0\0\1\0\0\0\1\0\0\0\12", 20);
	reply->authorities++;
}

/* One MX that can be found, and many whose name server is dead. */
static void add_many(struct reply *reply)
{
	char host[16];
	unsigned i;

	for (i = 0; i <= DEAD_HOSTS; i++) {
		snprintf(host, sizeof(host), i == 0 ? "host.lab" :
		    "silent%c.lab", (int)('a' + i));
		add_record(reply, "many.lab", DNS_MX,
		    (unsigned)strlen(host) + 4);
		add_u16(reply, 10 + i);
		add_name(reply, host);
		reply->answers++;
	}
}

/* The answer section for a name; the rcode, or -1 to say nothing. */
static int answer(struct reply *reply, const char *name, unsigned type)
{
	if (strncmp(name, "silent", 6) == 0)
		return -1;
	if (strncmp(name, "servfail", 8) == 0)
		return SERVFAIL;
	if (strncmp(name, "refused", 7) == 0)
		return REFUSED;
	if (strncmp(name, "absent", 6) == 0) {
		add_soa(reply);
		return NXDOMAIN;
	}
	if (strncmp(name, "alias", 5) == 0) {
		add_record(reply, name, TYPE_CNAME, 10);
		add_name(reply, "host.lab");
		reply->answers++;
		name = "host.lab";
	}
	if (type == DNS_MX && strcmp(name, "many.lab") == 0) {
		add_many(reply);
	} else if (type == DNS_A && strncmp(name, "host", 4) == 0) {
		add_address(reply, name);
	} else if (type == DNS_MX && strncmp(name, "host", 4) == 0) {
		add_record(reply, name, DNS_MX, 12);
		add_u16(reply, 10);
		add_name(reply, "host.lab");
		reply->answers++;
	} else {
		add_soa(reply);
	}
	return NOERROR;
}

/* Reads the question; the offset behind it. */
static size_t read_question(const uint8_t *query, size_t length, char *name,
    unsigned *type)
{
	size_t at = 12, used = 0, i;

	while (at < length && query[at] != 0) {
		if (used > 0)
			name[used++] = '.';
		for (i = 1; i <= query[at]; i++)
			name[used++] = (char)(query[at + i] | 0x20);
		at += query[at] + 1u;
	}
	name[used] = '\0';
	*type = (unsigned)query[at + 1] << 8 | query[at + 2];
	return at + 5;
}

static void on_query(void *arg, int flags)
{
	struct reply reply = { .length = 0 };
	uint8_t query[512];
	struct sockaddr_storage from;
	socklen_t from_length = sizeof(from);
	ssize_t got = recvfrom(server, query, sizeof(query), 0,
	    (struct sockaddr *)&from, &from_length);
	char name[300];
	unsigned type;
	size_t end;
	int rcode;

	(void)arg;
	(void)flags;
	if (got < 17)
		return;
	questions++;
	end = read_question(query, (size_t)got, name, &type);
	add(&reply, query, end);
	rcode = answer(&reply, name, type);
	if (rcode == -1)
		return;
	reply.bytes[2] = 0x81;		/* an answer; recursion desired */
	reply.bytes[3] = (uint8_t)(0x80 | rcode);
	memset(reply.bytes + 6, 0, 6);
	reply.bytes[7] = (uint8_t)reply.answers;
	reply.bytes[9] = (uint8_t)reply.authorities;
	sendto(server, reply.bytes, reply.length, 0,
	    (struct sockaddr *)&from, from_length);
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

/* --- the asking side --- */

static struct resolver *resolver;
static unsigned answered;
static struct dns_answer last;
static char last_host[300];
static struct timer patience;

static void stop(void *arg)
{
	(void)arg;
	loop_stop();
}

static void on_answer(void *arg, const struct dns_answer *got)
{
	(void)arg;
	answered++;
	last = *got;
	if (got->mx != NULL && got->count > 0)
		snprintf(last_host, sizeof(last_host), "%s", got->mx[0].host);
	loop_stop();
}

static struct resolver_query *ask(const char *name, enum dns_type type)
{
	unsigned before = answered;
	struct resolver_query *query;

	query = resolver_lookup(resolver, name, type, on_answer, NULL);
	assert_int_equal(answered, before);	/* never inside the call */
	return query;
}

/* For so long, or until the answer. */
static void wait_for(int milliseconds)
{
	timer_start(&patience, milliseconds, stop, NULL);
	loop_run();
	timer_stop(&patience);
}

static void expect(const char *name, enum dns_type type,
    enum fact_result result, size_t count)
{
	answered = 0;
	ask(name, type);
	wait_for(8000);
	assert_int_equal(answered, 1);
	assert_int_equal(last.result, result);
	assert_int_equal(last.count, count);
	assert_false(last.secure);
}

static struct resolver *make(const char *anchor, int64_t seconds)
{
	char text[100], error[200] = "";
	char *forwarder = text;
	struct conf conf = { .resolver = RESOLVER_FORWARD, .ipv4 = true,
	    .forwarders = { &forwarder, 1 }, .resolver_timeout = seconds };

	snprintf(text, sizeof(text), "127.0.0.1@%u",
	    (unsigned)endpoint_port(&server_address));
	return resolver_new(&conf, anchor, error, sizeof(error));
}

static int set_up(void **state)
{
	(void)state;
	start_server();
	resolver = make(NULL, 10);
	assert_non_null(resolver);
	answered = 0;
	questions = 0;
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	resolver_free(resolver);
	watch_release(&server_watch);
	close(server);
	return 0;
}

static void test_data(void **state)
{
	struct endpoint wanted;

	(void)state;
	endpoint_parse(&wanted, "192.0.2.7", 0);
	expect("host1.lab", DNS_A, FACT_DATA, 1);
	assert_true(last.ttl > 0 && last.ttl <= 300);
	expect("host1.lab", DNS_MX, FACT_DATA, 1);
	assert_string_equal(last_host, "host.lab");
	/* SMTP-168: an alias leads to its target's records. */
	expect("alias.lab", DNS_A, FACT_DATA, 1);
	expect("alias.lab", DNS_MX, FACT_DATA, 1);
}

/* "No" is an answer, and arrives with libunbound's rcode 0. */
static void test_absent(void **state)
{
	(void)state;
	expect("absent1.lab", DNS_MX, FACT_NXDOMAIN, 0);
	expect("host1.lab", DNS_AAAA, FACT_NODATA, 0);
	expect("other.lab", DNS_MX, FACT_NODATA, 0);
	/* A domain behind an alias to a host without MX. */
	assert_true(last.ttl <= 10);
}

/* Behind a good answer the packet of an error holds that answer's bytes. */
static void test_errors(void **state)
{
	static const char *const names[] = { "servfail1.lab", "refused1.lab" };
	size_t i;

	(void)state;
	for (i = 0; i < 2; i++) {
		expect("host1.lab", DNS_A, FACT_DATA, 1);
		expect(names[i], DNS_A, FACT_ERROR, 0);
		assert_null(last.addresses);
		assert_int_not_equal(last.reason[0], '\0');
	}
}

/* What libunbound has at hand it says inside the call; we do not. */
static void test_at_hand(void **state)
{
	struct resolver_query *query;

	(void)state;
	expect("host1.lab", DNS_A, FACT_DATA, 1);
	questions = 0;
	expect("host1.lab", DNS_A, FACT_DATA, 1);
	expect("localhost", DNS_A, FACT_DATA, 1);
	assert_int_equal(questions, 0);
	/* Cancelled between libunbound's answer and ours. */
	answered = 0;
	query = ask("host1.lab", DNS_A);
	resolver_cancel(query);
	query = ask("localhost", DNS_A);
	resolver_cancel(query);
	wait_for(100);
	assert_int_equal(answered, 0);
}

/* Names libunbound refuses to ask for are an error of their own. */
static void test_impossible_name(void **state)
{
	char name[300];

	(void)state;
	expect("a..lab", DNS_A, FACT_ERROR, 0);
	memset(name, 'a', 70);
	memcpy(name + 70, ".lab", 5);
	expect(name, DNS_A, FACT_ERROR, 0);
}

static void test_timeout(void **state)
{
	int64_t start;

	(void)state;
	resolver_free(resolver);
	resolver = make(NULL, 1);
	start = clock_monotonic();
	expect("silent1.lab", DNS_A, FACT_ERROR, 0);
	assert_string_equal(last.reason, "no answer in time");
	assert_true(clock_monotonic() - start >= 990);
	assert_true(clock_monotonic() - start < 15000);
	/* Nothing comes behind it, and others are served meanwhile. */
	answered = 0;
	wait_for(300);
	assert_int_equal(answered, 0);
	expect("host1.lab", DNS_A, FACT_DATA, 1);
}

static void test_cancel(void **state)
{
	struct resolver_query *query;
	int i;

	(void)state;
	query = ask("silent1.lab", DNS_A);
	wait_for(50);
	resolver_cancel(query);
	query = ask("host1.lab", DNS_A);	/* its answer is on the way */
	resolver_cancel(query);
	wait_for(300);
	assert_int_equal(answered, 0);
	for (i = 0; i < 20; i++)
		ask("silent2.lab", DNS_A);
	ask("localhost", DNS_A);
	/* tear_down frees the resolver over all of them */
}

/* One callback cancels the next and asks again. */
static struct resolver_query *victim;
static unsigned told;

static void on_first(void *arg, const struct dns_answer *got)
{
	(void)arg;
	assert_int_equal(got->result, FACT_DATA);
	told++;
	if (victim != NULL)
		resolver_cancel(victim);
	victim = NULL;
	ask("host3.lab", DNS_A);
}

static void on_victim(void *arg, const struct dns_answer *got)
{
	(void)arg;
	(void)got;
	fail_msg("a cancelled lookup answers");
}

static void test_inside_callback(void **state)
{
	(void)state;
	resolver_lookup(resolver, "host1.lab", DNS_A, on_first, NULL);
	victim = resolver_lookup(resolver, "host2.lab", DNS_A, on_victim,
	    NULL);
	wait_for(8000);
	assert_int_equal(told, 1);
	assert_int_equal(answered, 1);
	assert_int_equal(last.result, FACT_DATA);
	wait_for(100);
}

/* A plan is made in the time that its asker waits: hosts that cannot be looked
 * up by then do not keep mail from the one that can. */
static bool plan_is_usable;		/* its first host is not left out */
static unsigned plans;

static void on_plan(void *arg, const struct plan *plan,
    const struct plan_facts *facts)
{
	(void)arg;
	(void)facts;
	plan_is_usable = plan->host_count > 0 && !plan->hosts[0].skip;
	plans++;
	loop_stop();
}

static void test_plan_in_time(void **state)
{
	struct conf_next_hop next = { .transport = TRANSPORT_SMTP,
	    .host = "many.lab", .port = 25, .mx = true };
	struct conf conf = { .hostname = (char *)"us.example", .ipv4 = true,
	    .resolver_timeout = 1, .unlisted = { .pattern = (char *)"*",
	    .level = LEVEL_MAY } };
	struct plan_context context = { .conf = &conf };
	struct plan_question question = { .domain = "many.lab",
	    .next = &next, .message_level = -1 };
	int64_t start = clock_monotonic();

	(void)state;
	resolver_free(resolver);
	resolver = make(NULL, 1);
	context.resolver = resolver;
	plan_request_start(&context, &question, on_plan, NULL);
	wait_for(20000);
	assert_int_equal(plans, 1);
	assert_true(plan_is_usable);
	assert_true(clock_monotonic() - start < 1000 * DEAD_HOSTS - 1500);
}

/* With a trust anchor an unsigned world is an error, not an insecure one: the
 * signatures may have been stripped. */
static void test_stripped(void **state)
{
	static const char anchor[] = ". IN DS 20326 8 2 E06D44B80B8F1D39A95C0B"
	    "0D7C65D08458E880409BBC683457104237C7F8EC8D\n";

	(void)state;
	resolver_free(resolver);
	resolver = make(anchor, 5);
	assert_non_null(resolver);
	answered = 0;
	ask("host1.lab", DNS_A);
	wait_for(8000);
	assert_int_equal(answered, 1);
	assert_true(last.result == FACT_BOGUS || last.result == FACT_ERROR);
	assert_int_equal(last.count, 0);
	assert_false(last.secure);
}

static void test_unusable_anchor(void **state)
{
	char error[200] = "";
	struct conf conf = { .resolver = RESOLVER_RECURSIVE,
	    .resolver_timeout = 1 };

	(void)state;
	assert_null(resolver_new(&conf, "; nothing\n", error, sizeof(error)));
	assert_non_null(strstr(error, "trust anchor"));
	/* libunbound takes it, and would refuse every lookup later. */
	assert_null(resolver_new(&conf, ". IN DS nonsense\n", error,
	    sizeof(error)));
	assert_non_null(strstr(error, "trust anchor"));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(test_data), TEST(test_absent), TEST(test_errors),
		TEST(test_at_hand), TEST(test_impossible_name),
		TEST(test_timeout), TEST(test_cancel),
		TEST(test_inside_callback), TEST(test_plan_in_time),
		TEST(test_stripped),
		TEST(test_unusable_anchor),
	};
	int status;

	log_init("test", LOG_LEVEL_ERROR);
	loop_init();
	status = cmocka_run_group_tests(tests, NULL, NULL);
	loop_release();
	return status;
}
