/* SPDX-License-Identifier: ISC */
/*
 * policy/resolver.c and policy/validation.c against a world with true
 * signatures (tests/signed_root.c): what is secure, what is bogus, what is an
 * error; that libunbound keeps the trust anchor's state by RFC 5011; and what
 * the log says when nothing validates.
 */
#include <fcntl.h>
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

#include "base/clock.h"
#include "base/log.h"
#include "base/loop.h"
#include "base/mem.h"
#include "conf/conf.h"
#include "policy/anchor.h"
#include "policy/resolver.h"
#include "policy/validation.h"
#include "tests/signed_root.h"

static struct endpoint root;
static struct resolver *resolver;
static struct timer patience;
static unsigned answered;
static struct dns_answer last;
static size_t last_lengths[8];		/* of TLSA data */
static bool last_whole[8];
static char folder[] = "/tmp/postern-validation-XXXXXX";

static void stop(void *arg)
{
	(void)arg;
	loop_stop();
}

static void wait_for(int milliseconds)
{
	timer_start(&patience, milliseconds, stop, NULL);
	loop_run();
	timer_stop(&patience);
}

static void on_answer(void *arg, const struct dns_answer *answer)
{
	size_t i;

	(void)arg;
	answered++;
	last = *answer;
	for (i = 0; answer->tlsa != NULL && i < answer->count && i < 8; i++) {
		last_lengths[i] = answer->tlsa[i].length;
		last_whole[i] = answer->tlsa[i].whole;
	}
	loop_stop();
}

static void expect(const char *name, enum dns_type type,
    enum fact_result result, bool secure)
{
	answered = 0;
	resolver_lookup(resolver, name, type, on_answer, NULL);
	wait_for(30000);
	assert_int_equal(answered, 1);
	if (last.result != result)
		fail_msg("%s: result %d: %s", name, last.result, last.reason);
	assert_int_equal(last.secure, secure);
	if (result == FACT_BOGUS || result == FACT_ERROR) {
		assert_int_equal(last.count, 0);
		assert_string_not_equal(last.reason, "");
	}
}

enum kind { STATIC, FOLLOWING, PLAIN };

static struct resolver *make(enum kind kind)
{
	char text[100], error[200] = "";
	char *forwarder = text;
	struct conf conf = { .resolver = RESOLVER_FORWARD, .ipv4 = true,
	    .forwarders = { &forwarder, 1 }, .resolver_timeout = 10 };
	struct resolver *made = NULL;

	snprintf(text, sizeof(text), "127.0.0.1@%u",
	    (unsigned)endpoint_port(&root));
	switch (kind) {
	case STATIC:
		made = resolver_new(&conf, root_anchor(), error,
		    sizeof(error));
		break;
	case FOLLOWING:
		made = resolver_new_following(&conf, ANCHOR_STATE, error,
		    sizeof(error));
		break;
	case PLAIN:
		made = resolver_new_plain(&conf, error, sizeof(error));
		break;
	}
	if (made == NULL)
		fail_msg("%s", error);
	return made;
}

static int set_up(void **state)
{
	(void)state;
	root_start(&root);
	resolver = NULL;
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	resolver_free(resolver);
	unlink(ANCHOR_STATE);
	unlink(ANCHOR_PACKAGED);
	unlink(ANCHOR_DAMAGED);
	root_stop();
	return 0;
}

/* DANE-7, DANE-15: secure covers the chain; a TLSA record of any length is
 * there, and secure. */
static void test_secure(void **state)
{
	size_t i, whole = 0, bytes = 0;

	(void)state;
	resolver = make(STATIC);
	expect("host.lab", DNS_A, FACT_DATA, true);
	assert_int_equal(last.count, 1);
	expect("alias.lab", DNS_A, FACT_DATA, true);
	assert_string_equal(last.alias, "host.lab");
	expect("alias.lab", DNS_CNAME, FACT_DATA, true);
	assert_string_equal(last.alias, "host.lab");
	expect("_25._tcp.host.lab", DNS_TLSA, FACT_DATA, true);
	assert_int_equal(last.count, 5);
	for (i = 0; i < 5; i++) {
		whole += last_whole[i];
		bytes += last_whole[i] ? last_lengths[i] : 0;
	}
	assert_int_equal(whole, 2);	/* of 0, 1, 2, 3 and 35 octets */
	assert_int_equal(bytes, 32);
	expect(".", DNS_DNSKEY, FACT_DATA, true);
}

/* DANE-4, DANE-7: whoever strips or breaks signatures makes errors, never
 * "insecure". */
static void test_faults(void **state)
{
	static const struct {
		enum root_fault fault;
		enum fact_result result;
	} cases[] = { { ROOT_STRIPPED, FACT_BOGUS }, { ROOT_EXPIRED,
	    FACT_BOGUS }, { ROOT_TAMPERED, FACT_BOGUS }, { ROOT_REFUSES,
	    FACT_ERROR }, { ROOT_OTHER_KEY, FACT_BOGUS } };
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		root_fault = ROOT_TRUE;
		resolver = make(STATIC);
		expect("host.lab", DNS_A, FACT_DATA, true);
		root_fault = cases[i].fault;
		expect("_25._tcp.host.lab", DNS_TLSA, cases[i].result, false);
		resolver_free(resolver);
		/* From the start, the root's keys too. */
		resolver = make(STATIC);
		answered = 0;
		resolver_lookup(resolver, "host.lab", DNS_A, on_answer, NULL);
		wait_for(30000);
		assert_int_equal(answered, 1);
		assert_true(last.result == FACT_BOGUS ||
		    last.result == FACT_ERROR);
		assert_false(last.secure);
		assert_int_equal(last.count, 0);
		resolver_free(resolver);
	}
	resolver = NULL;
}

/* Without an anchor nothing is secure, signed or not. */
static void test_plain(void **state)
{
	(void)state;
	resolver = make(PLAIN);
	expect("host.lab", DNS_A, FACT_DATA, false);
	root_questions = 0;
	root_fault = ROOT_STRIPPED;
	expect(".", DNS_SOA, FACT_DATA, false);
	expect("nowhere", DNS_A, FACT_NXDOMAIN, false);
	assert_int_equal(root_questions, 2);
}

/* What was looked up is remembered for as long as it may be, whatever other
 * resolvers there are in the process: libunbound has options that are not of
 * one context. */
static void test_remembered(void **state)
{
	struct resolver *other;

	(void)state;
	resolver = make(STATIC);
	other = make(PLAIN);
	expect("host.lab", DNS_A, FACT_DATA, true);
	expect("_25._tcp.host.lab", DNS_TLSA, FACT_DATA, true);
	assert_int_equal(last.ttl, 600);
	usleep(2100000);
	root_questions = 0;
	expect("host.lab", DNS_A, FACT_DATA, true);
	expect("_25._tcp.host.lab", DNS_TLSA, FACT_DATA, true);
	assert_in_range(last.ttl, 500, 600);
	assert_int_equal(root_questions, 0);
	resolver_free(other);
}

/* --- RFC 5011 --- */

static void read_state(char *out, size_t size)
{
	FILE *in = fopen(ANCHOR_STATE, "r");

	assert_non_null(in);
	out[fread(out, 1, size - 1, in)] = '\0';
	fclose(in);
}

static void test_following(void **state)
{
	char text[4000], *keys;

	(void)state;
	assert_int_equal(anchor_prepare(".", root_anchor(), &keys), 0);
	resolver = make(FOLLOWING);
	root_second_key = true;
	expect("host.lab", DNS_A, FACT_DATA, true);
	/* It has seen the new key and will trust it in a month. */
	read_state(text, sizeof(text));
	assert_non_null(strstr(text, ";;state=2 [  VALID  ]"));
	assert_non_null(strstr(text, ";;state=1 [ ADDPEND ]"));
	resolver_free(resolver);
	/* What it wrote is what we read, and it begins with it again. */
	assert_int_equal(anchor_prepare(".", root_anchor(), &keys), 0);
	read_state(text, sizeof(text));
	assert_non_null(strstr(text, ";;state=1 [ ADDPEND ]"));
	resolver = make(FOLLOWING);
	expect("host.lab", DNS_A, FACT_DATA, true);
}

static void test_state_gone_bad(void **state)
{
	struct conf conf = { .resolver = RESOLVER_RECURSIVE,
	    .resolver_timeout = 1 };
	char error[200] = "";

	(void)state;
	assert_null(resolver_new_following(&conf, "nowhere.anchor", error,
	    sizeof(error)));
	assert_string_not_equal(error, "");
}

/* --- what the log says --- */

static char log_path[100];
static int real_stderr;

static void catch_log(void)
{
	int fd = open(log_path, O_RDWR | O_CREAT | O_TRUNC, 0600);

	assert_int_not_equal(fd, -1);
	log_flush();
	fflush(stderr);
	real_stderr = dup(STDERR_FILENO);
	dup2(fd, STDERR_FILENO);
	close(fd);
}

static void release_log(char *out, size_t size)
{
	FILE *in;

	log_flush();
	dup2(real_stderr, STDERR_FILENO);
	close(real_stderr);
	in = fopen(log_path, "r");
	out[fread(out, 1, size - 1, in)] = '\0';
	fclose(in);
}

/* Until the log has a line. */
static void wait_log(void)
{
	int64_t start = clock_monotonic();
	struct stat status;

	do {
		wait_for(20);
		log_flush();
		assert_int_equal(0, stat(log_path, &status));
	} while (status.st_size == 0 && clock_monotonic() - start < 40000);
}

static void test_words(void **state)
{
	static const struct {
		enum root_fault fault;
		const char *words;
	} cases[] = {
		{ ROOT_TRUE, "DNSSEC answers validate" },
		{ ROOT_STRIPPED, "no DNSSEC answer validates" },
		{ ROOT_OTHER_KEY, "no DNSSEC answer validates" },
		{ ROOT_SILENT, "no name server answers" },
		{ ROOT_REFUSES, "no name server answers" },
	};
	struct validation *validation;
	struct resolver *plain;
	char text[4000];
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		resolver = make(STATIC);
		plain = make(PLAIN);
		root_fault = cases[i].fault;
		catch_log();
		validation = validation_start(resolver, plain);
		wait_log();
		validation_stop(validation);
		release_log(text, sizeof(text));
		resolver_free(plain);
		resolver_free(resolver);
		resolver = NULL;
		root_fault = ROOT_TRUE;
		if (strstr(text, cases[i].words) == NULL)
			fail_msg("case %zu: %s", i, text);
		assert_int_equal(strstr(text, "level=error") != NULL,
		    cases[i].fault != ROOT_TRUE);
	}
}

static void add_names(void)
{
	uint8_t wire[300], tlsa[35] = { 3, 1, 1 };
	size_t i;

	root_add("host.lab", DNS_A, "\300\0\2\7", 4);
	root_add("alias.lab", DNS_CNAME, wire, root_wire_name("host.lab",
	    wire));
	for (i = 0; i < 4; i++)
		root_add("_25._tcp.host.lab", DNS_TLSA, tlsa, i);
	root_add("_25._tcp.host.lab", DNS_TLSA, tlsa, sizeof(tlsa));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(test_secure), TEST(test_faults), TEST(test_plain),
		TEST(test_remembered), TEST(test_following), TEST(test_state_gone_bad),
		TEST(test_words),
	};
	int status;

	log_init("test", LOG_LEVEL_INFO);
	if (mkdtemp(folder) == NULL || chdir(folder) == -1)
		return 1;
	snprintf(log_path, sizeof(log_path), "%s/log", folder);
	loop_init();
	add_names();
	status = cmocka_run_group_tests(tests, NULL, NULL);
	loop_release();
	unlink(log_path);
	rmdir(folder);
	return status;
}
