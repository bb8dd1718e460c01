/* SPDX-License-Identifier: ISC */
/*
 * policy/sts.c and its cache on a real directory, between a resolver, a fetch
 * and a clock that the test plays: what is in force when, who is asked for it,
 * and what survives a restart.
 */
#include <dirent.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/loop.h"
#include "base/mem.h"
#include "base/net.h"
#include "conf/conf.h"
#include "policy/fetch.h"
#include "policy/resolver.h"
#include "policy/store.h"
#include "policy/sts.h"
#include "tests/fake_disk.h"
#include "tests/scratch.h"

/* --- the clock --- */

#define MINUTES(n) ((int64_t)(n) * 60 * 1000)
#define DAYS(n) ((int64_t)(n) * 24 * 60 * 60 * 1000)

static int64_t wall_shift, monotonic_shift;	/* ms */

static int64_t read_clock(clockid_t which)
{
	struct timespec now;

	clock_gettime(which, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

int64_t clock_wall(void)
{
	return read_clock(CLOCK_REALTIME) + wall_shift;
}

int64_t clock_wall_micro(void)
{
	return clock_wall() * 1000;
}

int64_t clock_monotonic(void)
{
	return read_clock(CLOCK_MONOTONIC) + monotonic_shift;
}

void clock_format_mail(int64_t wall, char *out, size_t size)
{
	snprintf(out, size, "%lld", (long long)wall);
}

void clock_format_iso(int64_t wall, char *out, size_t size)
{
	snprintf(out, size, "%lld", (long long)wall);
}

static void pass(int64_t milliseconds)
{
	wall_shift += milliseconds;
	monotonic_shift += milliseconds;
}

/* --- the resolver --- */

struct resolver_query {
	char		 name[256];
	enum dns_type	 type;
	struct timer	 timer;
	resolver_done	*done;
	void		*arg;
};

static struct {
	enum fact_result	 result;	/* of TXT */
	const char		*texts[3];
	size_t			 count;
	enum fact_result	 host_result;
	uint32_t		 ttl;
	unsigned		 asked_txt, asked_hosts, cancelled;
	char			 names[4096];	/* all, each with its type */
} dns;

static void answer_host(const struct resolver_query *query,
    struct dns_answer *answer, struct endpoint *address)
{
	answer->result = dns.host_result;
	if (dns.host_result == FACT_DATA) {
		endpoint_parse(address, query->type == DNS_A ? "192.0.2.7" :
		    "2001:db8::7", 0);
		answer->addresses = address;
		answer->count = 1;
	} else {
		snprintf(answer->reason, sizeof(answer->reason), "SERVFAIL");
	}
}

static void on_dns(void *arg)
{
	struct resolver_query *query = arg;
	struct dns_answer answer = { .ttl = dns.ttl };
	struct endpoint address;
	size_t lengths[3], i;

	if (query->type != DNS_TXT) {
		answer_host(query, &answer, &address);
	} else {
		answer.result = dns.result;
		for (i = 0; i < dns.count; i++)
			lengths[i] = strlen(dns.texts[i]);
		if (dns.result == FACT_DATA) {
			answer.texts = (char **)(uintptr_t)dns.texts;
			answer.text_lengths = lengths;
			answer.count = dns.count;
		}
	}
	query->done(query->arg, &answer);
	timer_stop(&query->timer);
	mem_free(query);
}

struct resolver_query *resolver_lookup(struct resolver *resolver,
    const char *name, enum dns_type type, resolver_done *done, void *arg)
{
	struct resolver_query *query = mem_alloc(sizeof(*query));
	size_t used = strlen(dns.names);

	(void)resolver;
	if (type == DNS_TXT)
		dns.asked_txt++;
	else
		dns.asked_hosts++;
	snprintf(dns.names + used, sizeof(dns.names) - used, "%s/%d ", name,
	    (int)type);
	query->type = type;
	query->done = done;
	query->arg = arg;
	timer_start(&query->timer, 0, on_dns, query);
	return query;
}

void resolver_cancel(struct resolver_query *query)
{
	dns.cancelled++;
	timer_stop(&query->timer);
	mem_free(query);
}

static void publish(const char *text)
{
	dns.result = text == NULL ? FACT_NXDOMAIN : FACT_DATA;
	dns.texts[0] = text;
	dns.count = text == NULL ? 0 : 1;
}

/* --- the fetch --- */

struct fetch {
	struct timer	 timer;
	fetch_done	*done;
	void		*arg;
	struct fetch	*next;		/* held */
};

static struct {
	enum fetch_result	 result;
	const char		*body;
	bool			 hold;
	struct fetch		*held;
	unsigned		 started, running, most, cancelled;
	struct fetch_question	 question;	/* the last one */
	char			 domain[256];
	struct endpoint		 first;
} web;

struct fetcher *fetcher_new(const char *trust_pem)
{
	(void)trust_pem;
	return NULL;
}

void fetcher_free(struct fetcher *fetcher)
{
	(void)fetcher;
}

static void on_web(void *arg)
{
	struct fetch *fetch = arg;
	struct fetch_answer answer = { .result = web.result };

	web.running--;
	if (web.result == FETCH_BODY) {
		answer.body = web.body;
		answer.length = strlen(web.body);
	} else {
		snprintf(answer.problem, sizeof(answer.problem), "blocked");
	}
	fetch->done(fetch->arg, &answer);
	timer_stop(&fetch->timer);
	mem_free(fetch);
}

struct fetch *fetch_start(struct fetcher *fetcher,
    const struct fetch_question *question, fetch_done *done, void *arg)
{
	struct fetch *fetch = mem_alloc(sizeof(*fetch));

	(void)fetcher;
	web.started++;
	if (++web.running > web.most)
		web.most = web.running;
	web.question = *question;
	snprintf(web.domain, sizeof(web.domain), "%s", question->domain);
	if (question->count > 0)
		web.first = question->addresses[0];
	fetch->done = done;
	fetch->arg = arg;
	if (web.hold) {
		fetch->next = web.held;
		web.held = fetch;
	} else {
		timer_start(&fetch->timer, 0, on_web, fetch);
	}
	return fetch;
}

void fetch_cancel(struct fetch *fetch)
{
	struct fetch **at;

	web.running--;
	web.cancelled++;
	for (at = &web.held; *at != NULL; at = &(*at)->next)
		if (*at == fetch) {
			*at = fetch->next;
			break;
		}
	timer_stop(&fetch->timer);
	mem_free(fetch);
}

const char *fetch_result_name(enum fetch_result result)
{
	return result == FETCH_UNTRUSTED ? "sts-webpki-invalid" :
	    result == FETCH_NO_TEXT ? "sts-policy-invalid" :
	    result == FETCH_FAILED ? "sts-policy-fetch-error" : NULL;
}

static void release_fetches(void)
{
	struct fetch *fetch;

	web.hold = false;
	while ((fetch = web.held) != NULL) {
		web.held = fetch->next;
		timer_start(&fetch->timer, 0, on_web, fetch);
	}
}

/* --- the asking side --- */

#define ENFORCE "version: STSv1\nmode: enforce\nmx: mx.example.org\n" \
    "max_age: 604800\n"
#define TESTING "version: STSv1\nmode: testing\nmx: *.example.org\n" \
    "max_age: 604800\n"
#define NONE "version: STSv1\nmode: none\nmax_age: 604800\n"
#define BRIEF "version: STSv1\nmode: enforce\nmx: mx.example.org\n" \
    "max_age: 600\n"

static struct conf conf;
static struct sts *sts;
static char directory[64];
static struct timer patience;

/* What the last answer said. */
static struct {
	unsigned		 count;
	struct sts_answer	 answer;
	char			 mx[256];
} got;

static void stop(void *arg)
{
	(void)arg;
	loop_stop();
}

static void on_answer(void *arg, const struct sts_answer *answer)
{
	unsigned *left = arg;

	got.count++;
	got.answer = *answer;
	got.mx[0] = '\0';
	if (answer->source != STS_SOURCE_NONE && answer->policy.mx_count > 0)
		snprintf(got.mx, sizeof(got.mx), "%s", answer->policy.mx[0]);
	got.answer.policy.mx = NULL;
	if (left == NULL || --*left == 0)
		loop_stop();
}

static void run_for(int milliseconds)
{
	timer_start(&patience, milliseconds, stop, NULL);
	loop_run();
	timer_stop(&patience);
}

/* Asks and waits; the source that came of it, or -1: not known. */
static int ask(const char *domain)
{
	unsigned before = got.count;

	sts_lookup(sts, domain, false, on_answer, NULL);
	assert_int_equal(got.count, before);	/* never inside the call */
	run_for(20000);
	assert_int_equal(got.count, before + 1);
	return got.answer.known ? (int)got.answer.source : -1;
}

static int ask_cache(const char *domain)
{
	unsigned before = got.count, asked = dns.asked_txt;

	sts_lookup(sts, domain, true, on_answer, NULL);
	assert_int_equal(got.count, before);
	run_for(20000);
	assert_int_equal(got.count, before + 1);
	assert_int_equal(dns.asked_txt, asked);
	assert_false(got.answer.asked);
	return got.answer.known ? (int)got.answer.source : -1;
}

static void start(void)
{
	sts = sts_new(&conf, NULL, directory, NULL);
}

static void restart(void)
{
	sts_free(sts);
	start();
}

/* How many records of these words the log gets while the function runs. */
static unsigned count_logged(void (*work)(void), const char *words)
{
	static char text[65536];
	int saved = dup(2), file = memfd_create("log", 0);
	const char *at;
	unsigned count = 0;
	ssize_t n;

	log_flush();
	dup2(file, 2);
	work();
	log_flush();
	dup2(saved, 2);
	close(saved);
	n = pread(file, text, sizeof(text) - 1, 0);
	text[n > 0 ? n : 0] = '\0';
	close(file);
	for (at = text; (at = strstr(at, words)) != NULL; at++)
		count++;
	return count;
}

static int set_up(void **state)
{
	(void)state;
	if (scratch_make(directory, sizeof(directory), "sts") == -1)
		return -1;
	memset(&dns, 0, sizeof(dns));
	memset(&web, 0, sizeof(web));
	memset(&got, 0, sizeof(got));
	wall_shift = monotonic_shift = 0;
	conf = (struct conf){ .ipv4 = true, .ipv6 = true,
	    .sts_fetch_timeout = 60, .sts_refresh = 86400 };
	dns.ttl = 300;
	dns.host_result = FACT_DATA;
	web.result = FETCH_BODY;
	web.body = ENFORCE;
	publish("v=STSv1; id=1;");
	start();
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	sts_free(sts);
	assert_int_equal(web.running, 0);
	return scratch_remove(directory);
}

/* --- discovery --- */

/* STS-1, STS-20, STS-34, STS-85, STS-88; S-01, S-37: the first message waits. */
static void test_first(void **state)
{
	(void)state;
	assert_int_equal(ask("example.org"), STS_SOURCE_FETCHED);
	assert_int_equal(got.answer.policy.mode, STS_MODE_ENFORCE);
	assert_int_equal(got.answer.policy.max_age, 604800);
	assert_string_equal(got.mx, "mx.example.org");
	assert_string_equal(got.answer.id, "1");
	assert_string_equal(got.answer.txt, "v=STSv1; id=1;");
	assert_string_equal(got.answer.problem, "");
	assert_null(got.answer.result);
	assert_true(got.answer.asked);
	assert_int_equal(got.answer.ttl, 300);
	assert_in_range(got.answer.expires - clock_wall(), 604700000,
	    604800000);
	/* STS-3, S-31: nobody above is asked. */
	assert_string_equal(dns.names, "_mta-sts.example.org/16 "
	    "mta-sts.example.org/1 mta-sts.example.org/28 ");
	assert_string_equal(web.domain, "example.org");
	assert_int_equal(web.question.count, 2);
	assert_int_equal(web.question.milliseconds, 60000);
	assert_false(web.question.allow_loopback);
	assert_int_equal(endpoint_port(&web.first), 443);
	assert_int_equal(ask("example.org"), STS_SOURCE_CACHED);
	assert_string_equal(got.mx, "mx.example.org");
	assert_int_equal(web.started, 1);
	assert_int_equal(ask_cache("example.org"), STS_SOURCE_CACHED);
	assert_int_equal(ask_cache("sub.example.org"), STS_SOURCE_NONE);
}

static void test_families(void **state)
{
	(void)state;
	conf.ipv6 = false;
	sts_set_port(sts, 4443);
	assert_int_equal(ask("example.org"), STS_SOURCE_FETCHED);
	assert_null(strstr(dns.names, "/28"));
	assert_int_equal(web.question.count, 1);
	assert_int_equal(endpoint_port(&web.first), 4443);
}

/* STS-35: no record, no fetch; STS-96: kept for the time of the DNS. */
static void test_none(void **state)
{
	static const char *const texts[] = { "v=spf1 -all", "v=STSv1",
	    "V=stsv1; id=1" };
	size_t i;

	(void)state;
	publish(NULL);
	assert_int_equal(ask("example.org"), STS_SOURCE_NONE);
	assert_string_equal(got.answer.problem, "");
	assert_int_equal(got.answer.ttl, 300);
	for (i = 0; i < 3; i++) {
		publish(texts[i]);
		assert_int_equal(ask("example.org"), STS_SOURCE_NONE);
	}
	/* S-14, STS-9: meant for us, but wrong. */
	publish("v=STSv1; id=;");
	assert_int_equal(ask("example.org"), STS_SOURCE_NONE);
	assert_string_not_equal(got.answer.problem, "");
	publish("v=STSv1; id=1;");
	dns.texts[1] = "v=STSv1; id=2;";
	dns.count = 2;
	assert_int_equal(ask("example.org"), STS_SOURCE_NONE);
	assert_non_null(strstr(got.answer.problem, "2 TXT records"));
	assert_int_equal(web.started, 0);
}

/* STS-4, STS-21, S-33: which names are asked for. */
static void test_names(void **state)
{
	char name[300];

	(void)state;
	assert_int_equal(ask("[192.0.2.1]"), STS_SOURCE_NONE);
	assert_int_equal(ask(""), STS_SOURCE_NONE);
	assert_int_equal(ask("."), STS_SOURCE_NONE);
	assert_int_equal(ask("a..example"), STS_SOURCE_NONE);
	assert_int_equal(ask("a/../b.example"), STS_SOURCE_NONE);
	assert_int_equal(ask("a\r\nX: y"), STS_SOURCE_NONE);
	memset(name, 'a', sizeof(name));
	name[245] = '\0';
	assert_int_equal(ask(name), STS_SOURCE_NONE);
	assert_int_equal(dns.asked_txt, 0);
	name[244] = '\0';
	assert_int_equal(ask(name), STS_SOURCE_FETCHED);
	assert_int_equal(ask("xn--bcher-kva.example"), STS_SOURCE_FETCHED);
	assert_string_equal(web.domain, "xn--bcher-kva.example");
	assert_int_equal(ask("XN--bcher-KVA.example."), STS_SOURCE_CACHED);
}

/* STS-97, S-17, S-35: another id brings another policy, also a weaker one. */
static void test_changed(void **state)
{
	(void)state;
	assert_int_equal(ask("example.org"), STS_SOURCE_FETCHED);
	publish("v=STSv1; id=2");
	web.body = TESTING;
	assert_int_equal(ask("example.org"), STS_SOURCE_FETCHED);
	assert_int_equal(got.answer.policy.mode, STS_MODE_TESTING);
	publish("v=STSv1; id=3");
	web.body = NONE;
	assert_int_equal(ask("example.org"), STS_SOURCE_FETCHED);
	assert_int_equal(got.answer.policy.mode, STS_MODE_NONE);
	assert_int_equal(web.started, 3);
	/* Cached, too, and not asked for again. */
	publish(NULL);
	assert_int_equal(ask("example.org"), STS_SOURCE_CACHED);
	assert_int_equal(got.answer.policy.mode, STS_MODE_NONE);
	/* STS-15: ids have no order. */
	publish("v=STSv1; id=1");
	web.body = ENFORCE;
	assert_int_equal(ask("example.org"), STS_SOURCE_FETCHED);
	assert_int_equal(got.answer.policy.mode, STS_MODE_ENFORCE);
}

/* --- failures --- */

static void ask_once(void)
{
	ask("example.org");
}

/* S-18, STS-31, STS-86, STS-94: the old policy stays, and its host is left
 * alone for five minutes. */
static void test_changed_blocked(void **state)
{
	(void)state;
	assert_int_equal(ask("example.org"), STS_SOURCE_FETCHED);
	publish("v=STSv1; id=2");
	web.result = FETCH_FAILED;
	assert_int_equal(count_logged(ask_once, "sts-trouble "
	    "domain=example.org result=sts-policy-fetch-error "
	    "problem=blocked cached=enforce"), 1);
	assert_int_equal(got.answer.source, STS_SOURCE_CACHED);
	assert_int_equal(got.answer.policy.mode, STS_MODE_ENFORCE);
	assert_string_equal(got.answer.id, "1");
	assert_string_equal(got.answer.result, "sts-policy-fetch-error");
	assert_int_equal(web.started, 2);
	pass(MINUTES(4));
	assert_int_equal(ask("example.org"), STS_SOURCE_CACHED);
	assert_string_equal(got.answer.problem, "blocked");
	assert_int_equal(web.started, 2);
	/* Another id is another matter. */
	publish("v=STSv1; id=3");
	assert_int_equal(ask("example.org"), STS_SOURCE_CACHED);
	assert_int_equal(web.started, 3);
	pass(MINUTES(5) + 1);
	web.result = FETCH_BODY;
	web.body = NONE;
	assert_int_equal(ask("example.org"), STS_SOURCE_FETCHED);
	assert_int_equal(got.answer.policy.mode, STS_MODE_NONE);
	assert_string_equal(got.answer.id, "3");
}

/* STS-87, S-11, S-09: a record, but no policy to be had. */
static void test_blocked(void **state)
{
	static const enum fetch_result results[] = { FETCH_FAILED,
	    FETCH_UNTRUSTED, FETCH_NO_TEXT };
	size_t i;

	(void)state;
	for (i = 0; i < 3; i++) {
		web.result = results[i];
		assert_int_equal(ask("example.org"), STS_SOURCE_NONE);
		assert_string_equal(got.answer.result,
		    fetch_result_name(results[i]));
		assert_int_equal(web.started, i + 1);
		assert_int_equal(ask("example.org"), STS_SOURCE_NONE);
		assert_string_equal(got.answer.result,
		    fetch_result_name(results[i]));
		assert_int_equal(web.started, i + 1);
		pass(MINUTES(6));
	}
	/* S-11: the name of the policy host does not resolve. */
	dns.host_result = FACT_ERROR;
	assert_int_equal(ask("example.org"), STS_SOURCE_NONE);
	assert_string_equal(got.answer.result, "sts-policy-fetch-error");
	assert_non_null(strstr(got.answer.problem, "SERVFAIL"));
	assert_int_equal(web.started, 3);
	assert_true(got.answer.ttl <= 300);
}

/* STS-49, S-28: what is no policy never takes the place of one. */
static void test_invalid(void **state)
{
	(void)state;
	web.body = "version: STSv1\nmode: enforce\nmax_age: 1\n";
	assert_int_equal(ask("example.org"), STS_SOURCE_NONE);
	assert_string_equal(got.answer.result, "sts-policy-invalid");
	web.body = ENFORCE;
	pass(MINUTES(6));
	assert_int_equal(ask("example.org"), STS_SOURCE_FETCHED);
	publish("v=STSv1; id=2");
	web.body = "<html></html>";
	assert_int_equal(ask("example.org"), STS_SOURCE_CACHED);
	assert_int_equal(got.answer.policy.mode, STS_MODE_ENFORCE);
	assert_string_equal(got.answer.result, "sts-policy-invalid");
}

/* STS-16, S-12, S-14: the record is gone, or wrong. */
static void test_stripped(void **state)
{
	(void)state;
	assert_int_equal(ask("example.org"), STS_SOURCE_FETCHED);
	publish(NULL);
	assert_int_equal(count_logged(ask_once, "level=error"), 1);
	assert_int_equal(got.answer.source, STS_SOURCE_CACHED);
	assert_string_equal(got.answer.result, "sts-policy-fetch-error");
	/* Once a day is enough. */
	assert_int_equal(count_logged(ask_once, "level=error"), 0);
	pass(DAYS(1));
	publish("v=STSv1; i=2");
	assert_int_equal(count_logged(ask_once, "level=error"), 1);
	assert_int_equal(got.answer.source, STS_SOURCE_CACHED);
	publish("v=STSv1; id=2;");
	dns.texts[1] = "v=STSv1; id=1;";
	dns.count = 2;
	assert_int_equal(ask("example.org"), STS_SOURCE_CACHED);
	assert_int_equal(web.started, 1);
}

/* S-03: mode none gives no alarm, whatever fails. */
static void test_quiet(void **state)
{
	(void)state;
	web.body = NONE;
	assert_int_equal(ask("example.org"), STS_SOURCE_FETCHED);
	publish(NULL);
	assert_int_equal(count_logged(ask_once, "level="), 0);
	publish("v=STSv1; id=2");
	web.result = FETCH_FAILED;
	assert_int_equal(count_logged(ask_once, "level="), 0);
	assert_int_equal(got.answer.source, STS_SOURCE_CACHED);
	assert_int_equal(web.started, 2);
}

/* STS-17, S-13: whether there is a record is not known. */
static void test_lookup_error(void **state)
{
	static const enum fact_result results[] = { FACT_ERROR, FACT_BOGUS };
	size_t i;

	(void)state;
	for (i = 0; i < 2; i++) {
		dns.result = results[i];
		assert_int_equal(ask("other.example"), -1);
		assert_string_equal(got.answer.result,
		    "sts-policy-fetch-error");
		assert_string_not_equal(got.answer.problem, "");
		assert_true(got.answer.ttl <= 60);
	}
	publish("v=STSv1; id=1");
	assert_int_equal(ask("example.org"), STS_SOURCE_FETCHED);
	for (i = 0; i < 2; i++) {
		dns.result = results[i];
		assert_int_equal(ask("example.org"), STS_SOURCE_CACHED);
		assert_int_equal(ask("other.example"), -1);
	}
}

/* What fails on our side is not "no policy", and nobody's failure. */
static void test_ours(void **state)
{
	(void)state;
	web.result = FETCH_OURS;
	assert_int_equal(ask("example.org"), -1);
	assert_null(got.answer.result);
	web.result = FETCH_BODY;
	assert_int_equal(ask("example.org"), STS_SOURCE_FETCHED);
	publish("v=STSv1; id=2");
	web.result = FETCH_OURS;
	assert_int_equal(ask("example.org"), STS_SOURCE_CACHED);
}

/* --- time --- */

/* STS-95, S-21 */
static void test_no_age(void **state)
{
	(void)state;
	assert_int_equal(ask("example.org"), STS_SOURCE_FETCHED);
	publish("v=STSv1; id=2");
	web.body = "version: STSv1\nmode: enforce\nmx: a.example\nmax_age: 0\n";
	assert_int_equal(ask("example.org"), STS_SOURCE_FETCHED);
	assert_string_equal(got.mx, "a.example");
	assert_int_equal(got.answer.ttl, 0);
	assert_int_equal(ask_cache("example.org"), STS_SOURCE_NONE);
	assert_int_equal(ask("example.org"), STS_SOURCE_FETCHED);
	assert_int_equal(web.started, 3);
	restart();
	assert_int_equal(ask_cache("example.org"), STS_SOURCE_NONE);
}

/* STS-85, S-20 */
static void test_expiry(void **state)
{
	(void)state;
	web.body = BRIEF;
	assert_int_equal(ask("example.org"), STS_SOURCE_FETCHED);
	assert_int_equal(got.answer.ttl, 300);
	pass(MINUTES(9));
	assert_int_equal(ask("example.org"), STS_SOURCE_CACHED);
	assert_in_range(got.answer.ttl, 1, 60);
	pass(MINUTES(1));
	assert_int_equal(ask_cache("example.org"), STS_SOURCE_NONE);
	/* The same id: fetched again, since none is in force. */
	assert_int_equal(ask("example.org"), STS_SOURCE_FETCHED);
	assert_int_equal(web.started, 2);
	pass(MINUTES(11));
	web.result = FETCH_FAILED;
	assert_int_equal(count_logged(ask_once, "level=error"), 1);
	assert_int_equal(got.answer.source, STS_SOURCE_NONE);
	assert_true(got.answer.known);
	dns.result = FACT_ERROR;
	assert_int_equal(ask("example.org"), -1);
	/* It has run out, and there is no record: over. */
	publish(NULL);
	assert_int_equal(count_logged(ask_once, "sts-expired"), 1);
	assert_int_equal(count_logged(ask_once, "level="), 0);
	assert_int_equal(ask("example.org"), STS_SOURCE_NONE);
	assert_string_equal(got.answer.problem, "");
}

/* S-39: a clock that is set changes nothing. */
static void test_clock_is_set(void **state)
{
	(void)state;
	assert_int_equal(ask("example.org"), STS_SOURCE_FETCHED);
	wall_shift += DAYS(4000);
	assert_int_equal(ask("example.org"), STS_SOURCE_CACHED);
	assert_true(got.answer.expires > clock_wall());
	wall_shift -= DAYS(9000);
	assert_int_equal(ask("example.org"), STS_SOURCE_CACHED);
	assert_int_equal(web.started, 1);
	monotonic_shift += DAYS(7) + 1000;
	assert_int_equal(ask_cache("example.org"), STS_SOURCE_NONE);
}

/* STS-93: fetched in the future: again at once, and not for ever. */
static void test_from_future(void **state)
{
	(void)state;
	web.body = BRIEF;
	assert_int_equal(ask("example.org"), STS_SOURCE_FETCHED);
	wall_shift -= DAYS(30);
	restart();
	web.result = FETCH_FAILED;
	assert_int_equal(ask("example.org"), STS_SOURCE_CACHED);
	assert_int_equal(web.started, 2);
	assert_int_equal(ask("example.org"), STS_SOURCE_CACHED);
	assert_int_equal(web.started, 2);	/* STS-31 */
	pass(MINUTES(10));
	assert_int_equal(ask("example.org"), STS_SOURCE_NONE);
	/* A fetch sets it right. */
	restart();
	web.result = FETCH_BODY;
	assert_int_equal(ask("example.org"), STS_SOURCE_FETCHED);
	assert_int_equal(ask("example.org"), STS_SOURCE_CACHED);
	assert_int_equal(web.started, 4);
}

/* --- several at once --- */

/* One discovery for all who ask. */
static void test_shared(void **state)
{
	struct sts_query *queries[20];
	unsigned left = 10, i;

	(void)state;
	for (i = 0; i < 20; i++)
		queries[i] = sts_lookup(sts, "example.org", false, on_answer,
		    &left);
	for (i = 0; i < 20; i += 2)
		sts_cancel(queries[i]);
	run_for(20000);
	assert_int_equal(got.count, 10);
	assert_int_equal(dns.asked_txt, 1);
	assert_int_equal(web.started, 1);
	assert_int_equal(got.answer.source, STS_SOURCE_FETCHED);
}

/* A discovery without anybody goes on; the next one profits. */
static void test_cancelled(void **state)
{
	struct sts_query *query;

	(void)state;
	query = sts_lookup(sts, "example.org", false, on_answer, NULL);
	sts_cancel(query);
	query = sts_lookup(sts, "example.org", true, on_answer, NULL);
	sts_cancel(query);
	run_for(300);
	assert_int_equal(got.count, 0);
	assert_int_equal(web.started, 1);
	assert_int_equal(ask("example.org"), STS_SOURCE_CACHED);
	/* tear_down frees everything over this one */
	publish("v=STSv1; id=2");
	web.hold = true;
	sts_lookup(sts, "example.org", false, on_answer, NULL);
	sts_lookup(sts, "example.org", true, on_answer, NULL);
	sts_lookup(sts, "other.example", false, on_answer, NULL);
	run_for(100);
	sts_lookup(sts, "third.example", false, on_answer, NULL);
}

static struct sts_query *victim;

static void on_first(void *arg, const struct sts_answer *answer)
{
	(void)arg;
	assert_int_equal(answer->source, STS_SOURCE_FETCHED);
	sts_cancel(victim);
	publish("v=STSv1; id=2");
	sts_lookup(sts, "example.org", false, on_answer, NULL);
}

static void on_victim(void *arg, const struct sts_answer *answer)
{
	(void)arg;
	(void)answer;
	fail_msg("a cancelled query is answered");
}

static void test_inside_callback(void **state)
{
	(void)state;
	sts_lookup(sts, "example.org", false, on_first, NULL);
	victim = sts_lookup(sts, "example.org", false, on_victim, NULL);
	run_for(20000);
	assert_int_equal(got.count, 1);
	assert_string_equal(got.answer.id, "2");
	assert_int_equal(web.started, 2);
	assert_int_equal(ask("example.org"), STS_SOURCE_CACHED);
}

/* So many processes and no more; others wait, and too many are told so. */
static void test_bounded(void **state)
{
	enum { MANY = 600 };
	char domain[32];
	unsigned left = MANY, i;

	(void)state;
	web.hold = true;
	for (i = 0; i < MANY; i++) {
		snprintf(domain, sizeof(domain), "d%u.example", i);
		sts_lookup(sts, domain, false, on_answer, &left);
	}
	run_for(1000);
	assert_int_equal(web.most, 8);
	assert_int_equal(got.count, MANY - 512 - 8);
	assert_false(got.answer.known);
	release_fetches();
	run_for(60000);
	assert_int_equal(got.count, MANY);
	assert_true(got.answer.known);
	assert_int_equal(web.started, 520);
	assert_int_equal(web.most, 8);
}

static void test_too_many(void **state)
{
	char domain[32];
	unsigned left = 3000, i;

	(void)state;
	publish(NULL);
	for (i = 0; i < 3000; i++) {
		snprintf(domain, sizeof(domain), "d%u.example", i);
		sts_lookup(sts, domain, false, on_answer, &left);
	}
	assert_int_equal(dns.asked_txt, 2048);
	run_for(60000);
	assert_int_equal(got.count, 3000);
	assert_int_equal(ask("example.org"), STS_SOURCE_NONE);
}

/* --- what survives --- */

/* STS-92 */
static void test_restart(void **state)
{
	int64_t fetched;

	(void)state;
	assert_int_equal(ask("example.org"), STS_SOURCE_FETCHED);
	fetched = got.answer.fetched;
	web.body = TESTING;
	assert_int_equal(ask("other.example"), STS_SOURCE_FETCHED);
	restart();
	pass(DAYS(3));
	assert_int_equal(ask("example.org"), STS_SOURCE_CACHED);
	assert_int_equal(got.answer.policy.mode, STS_MODE_ENFORCE);
	assert_string_equal(got.answer.id, "1");
	assert_string_equal(got.mx, "mx.example.org");
	assert_true(got.answer.fetched == fetched);
	assert_int_equal(ask_cache("other.example"), STS_SOURCE_CACHED);
	assert_string_equal(got.mx, "*.example.org");
	assert_int_equal(web.started, 2);
	pass(DAYS(4));
	restart();
	assert_int_equal(ask_cache("example.org"), STS_SOURCE_NONE);
}

/* The child's loop is its own. */
static void ask_in_child(const char *domain, int wanted)
{
	loop_init();
	start();
	_exit(ask(domain) == wanted ? 0 : 1);
}

/* Killed as soon as the answer is there: by then it is on the disk. */
static void test_killed(void **state)
{
	int status, i;
	pid_t child;

	(void)state;
	for (i = 0; i < 3; i++) {
		child = fork();
		if (child == 0) {
			loop_init();
			start();
			if (ask("example.org") == (i == 0 ?
			    STS_SOURCE_FETCHED : STS_SOURCE_CACHED))
				raise(SIGKILL);
			_exit(1);
		}
		waitpid(child, &status, 0);
		assert_true(WIFSIGNALED(status));
		assert_int_equal(WTERMSIG(status), SIGKILL);
	}
	assert_int_equal(ask("example.org"), STS_SOURCE_CACHED);
}

static void damage(void)
{
	char path[128];
	int fd;

	snprintf(path, sizeof(path), "%s/sts/policy.db", directory);
	fd = open(path, O_WRONLY);
	assert_int_not_equal(fd, -1);
	assert_int_equal(7, pwrite(fd, "garbage", 7, 0));
	assert_int_equal(7, pwrite(fd, "garbage", 7, 4096 + 100));
	close(fd);
}

/* Entries of the directory whose name holds these words. */
static unsigned count_named(const char *words)
{
	DIR *stream = opendir(directory);
	struct dirent *entry;
	unsigned count = 0;

	assert_non_null(stream);
	while ((entry = readdir(stream)) != NULL)
		count += strstr(entry->d_name, words) != NULL;
	closedir(stream);
	return count;
}

static void fork_and_ask(void)
{
	int status;
	pid_t child = fork();

	if (child == 0)
		ask_in_child("example.org", -1);
	waitpid(child, &status, 0);
	assert_int_equal(status, 0);
}

/* S-38: nothing is known then, which is not "no policy"; an alarm, and all is
 * learnt again. (Berkeley DB does not free what it had of a damaged store: the
 * process that meets it is another.) */
static void test_damaged(void **state)
{
	(void)state;
	assert_int_equal(ask("example.org"), STS_SOURCE_FETCHED);
	sts_free(sts);
	damage();
	dns.result = FACT_ERROR;
	assert_true(count_logged(fork_and_ask, "level=error") >= 1);
	assert_int_equal(count_named("sts.damaged-"), 1);
	start();
	dns.result = FACT_DATA;
	assert_int_equal(ask("example.org"), STS_SOURCE_FETCHED);
	restart();
	assert_int_equal(ask("example.org"), STS_SOURCE_CACHED);
	assert_int_equal(count_named("sts.damaged-"), 1);
}

/* Rows that are none of ours: dropped, and no others with them. */
static void test_unreadable(void **state)
{
	static const unsigned char rows[][24] = {
		{ 0 }, { 2 }, { 1, 0, 0, 0, 1, 'i' },
		{ 1, 255, 255, 255, 255 },
		{ 1, 0, 0, 0, 1, '-' },
		{ 1, 0, 0, 0, 1, 'i', 0, 0, 0, 0, 0, 0, 0, 1 },
	};
	struct policy_store *store;
	char path[128], domain[32];
	size_t i;

	(void)state;
	assert_int_equal(ask("example.org"), STS_SOURCE_FETCHED);
	sts_free(sts);
	snprintf(path, sizeof(path), "%s/sts", directory);
	store = policy_store_open(path);
	assert_non_null(store);
	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		snprintf(domain, sizeof(domain), "d%zu.example", i);
		assert_int_equal(0, policy_store_put(store, domain, rows[i],
		    i == 0 ? 0 : sizeof(rows[i])));
	}
	policy_store_close(store);
	start();
	assert_int_equal(ask_cache("example.org"), STS_SOURCE_CACHED);
	assert_int_equal(ask_cache("d1.example"), STS_SOURCE_NONE);
	restart();
	assert_int_equal(count_logged(ask_once, "not readable"), 0);
	assert_int_equal(got.answer.source, STS_SOURCE_CACHED);
}

/* Without a directory everything works, and nothing lasts. */
static void test_no_directory(void **state)
{
	(void)state;
	sts_free(sts);
	sts = sts_new(&conf, NULL, "", NULL);
	assert_int_equal(ask("example.org"), STS_SOURCE_FETCHED);
	assert_int_equal(ask("example.org"), STS_SOURCE_CACHED);
	sts_free(sts);
	sts = sts_new(&conf, NULL, "", NULL);
	assert_int_equal(ask_cache("example.org"), STS_SOURCE_NONE);
	assert_int_equal(count_named("sts"), 0);
}

/* --- for people --- */

static char listed[512];

static void each_policy(void (*visit)(void *arg, const char *domain,
    const struct sts_answer *answer), void *arg)
{
	uint64_t cursor = 0;

	do
		cursor = sts_scan(sts, cursor, visit, arg);
	while (cursor != 0);
}

static void list_one(void *arg, const char *domain,
    const struct sts_answer *answer)
{
	size_t used = strlen(listed);

	(void)arg;
	snprintf(listed + used, sizeof(listed) - used, "%s=%s,%s,%s ", domain,
	    sts_mode_name(answer->policy.mode), answer->id, answer->problem);
}

static void test_list(void **state)
{
	(void)state;
	assert_int_equal(ask("example.org"), STS_SOURCE_FETCHED);
	publish("v=STSv1; id=2");
	web.result = FETCH_FAILED;
	assert_int_equal(ask("example.org"), STS_SOURCE_CACHED);
	listed[0] = '\0';
	each_policy(list_one, NULL);
	assert_string_equal(listed, "example.org=enforce,1,blocked ");
	restart();
	listed[0] = '\0';
	each_policy(list_one, NULL);
	assert_string_equal(listed, "example.org=enforce,1, ");
	assert_false(sts_forget(sts, "other.example"));
	assert_true(sts_forget(sts, "example.org"));
	assert_false(sts_forget(sts, "example.org"));
	assert_int_equal(ask_cache("example.org"), STS_SOURCE_NONE);
	restart();
	assert_int_equal(ask_cache("example.org"), STS_SOURCE_NONE);
}

/* --- the refresh --- */

static unsigned wanted_fetches;

/* Until so many fetches were begun, and some more time. */
static void run_until_fetched(void)
{
	int64_t start_time = read_clock(CLOCK_MONOTONIC);

	while (web.started < wanted_fetches &&
	    read_clock(CLOCK_MONOTONIC) - start_time < 20000)
		run_for(20);
	run_for(100);
}

/* STS-89, STS-90, S-41: by itself, before it runs out, whatever TXT says. */
static void test_refresh(void **state)
{
	(void)state;
	conf.sts_refresh = 1;
	assert_int_equal(ask("example.org"), STS_SOURCE_FETCHED);
	sts_start_refresh(sts);
	run_for(200);
	assert_int_equal(web.started, 1);
	pass(DAYS(5));
	wanted_fetches = 2;
	run_until_fetched();
	assert_in_range(web.started, 2, 3);
	pass(DAYS(5));
	assert_int_equal(ask_cache("example.org"), STS_SOURCE_CACHED);
	publish(NULL);
	wanted_fetches = web.started + 1;
	run_until_fetched();
	pass(DAYS(5));
	dns.result = FACT_ERROR;
	wanted_fetches = web.started + 1;
	run_until_fetched();
	pass(DAYS(5));
	assert_int_equal(ask("example.org"), STS_SOURCE_CACHED);
	assert_string_equal(got.answer.id, "1");
	/* A new policy under a new id. */
	publish("v=STSv1; id=9");
	web.body = TESTING;
	wanted_fetches = web.started + 1;
	run_until_fetched();
	assert_int_equal(ask_cache("example.org"), STS_SOURCE_CACHED);
	assert_string_equal(got.answer.id, "9");
	assert_int_equal(got.answer.policy.mode, STS_MODE_TESTING);
}

/* STS-91: an alarm each day, long before it runs out. */
static void test_refresh_fails(void **state)
{
	int day;

	(void)state;
	conf.sts_refresh = 1;
	assert_int_equal(ask("example.org"), STS_SOURCE_FETCHED);
	sts_start_refresh(sts);
	web.result = FETCH_UNTRUSTED;
	for (day = 1; day < 7; day++) {
		pass(DAYS(1));
		wanted_fetches = web.started + 1;
		assert_int_equal(count_logged(run_until_fetched,
		    "result=sts-webpki-invalid problem=blocked "
		    "cached=enforce days-left="), 1);
	}
	assert_int_equal(ask_cache("example.org"), STS_SOURCE_CACHED);
	pass(DAYS(1));
	assert_int_equal(ask_cache("example.org"), STS_SOURCE_NONE);
	wanted_fetches = web.started + 1;
	assert_int_equal(count_logged(run_until_fetched, "level=error"), 1);
	/* It comes back, and so does the policy. */
	web.result = FETCH_BODY;
	pass(DAYS(1));
	wanted_fetches = web.started + 1;
	run_until_fetched();
	assert_int_equal(ask_cache("example.org"), STS_SOURCE_CACHED);
}

/* S-03, STS-91 */
static void test_refresh_of_none(void **state)
{
	(void)state;
	conf.sts_refresh = 1;
	web.body = NONE;
	assert_int_equal(ask("example.org"), STS_SOURCE_FETCHED);
	sts_start_refresh(sts);
	web.result = FETCH_FAILED;
	pass(DAYS(1));
	wanted_fetches = 2;
	assert_int_equal(count_logged(run_until_fetched, "level="), 0);
	assert_int_equal(web.started, 2);
}

/* Mail does not wait for a refresh when nothing is new. */
static void test_refresh_hangs(void **state)
{
	(void)state;
	conf.sts_refresh = 1;
	assert_int_equal(ask("example.org"), STS_SOURCE_FETCHED);
	sts_start_refresh(sts);
	web.hold = true;
	pass(DAYS(1));
	wanted_fetches = 2;
	run_until_fetched();
	assert_int_equal(ask("example.org"), STS_SOURCE_CACHED);
	assert_int_equal(web.started, 2);
	release_fetches();
	run_for(100);
	assert_int_equal(ask("example.org"), STS_SOURCE_CACHED);
}

/* Few at a time, however many are due; after a restart, too. */
static void test_refresh_bounded(void **state)
{
	char domain[32];
	unsigned i;

	(void)state;
	for (i = 0; i < 20; i++) {
		snprintf(domain, sizeof(domain), "d%u.example", i);
		assert_int_equal(ask(domain), STS_SOURCE_FETCHED);
	}
	restart();
	conf.sts_refresh = 1;
	web.hold = true;
	web.most = 0;
	pass(DAYS(1));
	sts_start_refresh(sts);
	run_for(400);
	assert_int_equal(web.most, 2);
	assert_int_equal(web.started, 22);
	/* Mail is not kept waiting by them. */
	web.hold = false;
	assert_int_equal(ask("other.example"), STS_SOURCE_FETCHED);
	release_fetches();
	wanted_fetches = 41;
	run_until_fetched();
	assert_in_range(web.started, 41, 60);
}

/* STS-89, STS-98: in the order in which they are due, so that some that want a
 * refresh all the time cannot keep it from the others; and not slowly. */
static void test_refresh_in_turn(void **state)
{
	char domain[32], name[64];
	const char *at = dns.names, *found;
	unsigned i;

	(void)state;
	for (i = 0; i < 8; i++) {
		snprintf(domain, sizeof(domain), "d%u.example", i);
		assert_int_equal(ask(domain), STS_SOURCE_FETCHED);
		pass(MINUTES(180));	/* more than the jitter */
	}
	pass(DAYS(2));
	dns.names[0] = '\0';
	sts_start_refresh(sts);
	wanted_fetches = 16;
	run_until_fetched();
	assert_int_equal(web.started, 16);
	for (i = 0; i < 8; i++) {
		snprintf(name, sizeof(name), "_mta-sts.d%u.example", i);
		found = strstr(dns.names, name);
		assert_non_null(found);
		assert_true(found >= at);
		at = found;
	}
}

static unsigned of_id_two;

static void count_id_two(void *arg, const char *domain,
    const struct sts_answer *answer)
{
	(void)arg;
	(void)domain;
	if (strcmp(answer->id, "2") == 0)
		of_id_two++;
}

/* S-39: a clock that is years ahead when the machine starts makes everything
 * look old and unused; nothing is thrown away for it. */
static void test_clock_far_ahead(void **state)
{
	(void)state;
	conf.sts_refresh = 1;
	assert_int_equal(ask("example.org"), STS_SOURCE_FETCHED);
	wall_shift += DAYS(3000);
	web.result = FETCH_UNTRUSTED;
	restart();
	sts_start_refresh(sts);
	run_for(300);
	assert_int_equal(ask_cache("example.org"), STS_SOURCE_NONE);
	wall_shift -= DAYS(3000);
	restart();
	assert_int_equal(ask_cache("example.org"), STS_SOURCE_CACHED);
}

/* The ceiling of all texts holds for what replaces others, too; what has no
 * room is in force all the same while it can be fetched. */
static void test_replaced_within_bounds(void **state)
{
	enum { DOMAINS = 1100, LARGE = 65000, MOST = 64 << 20 };
	static char large[LARGE + 1];
	char domain[32];
	unsigned i;

	(void)state;
	sts_free(sts);
	sts = sts_new(&conf, NULL, "", NULL);
	for (i = 0; i < DOMAINS; i++) {
		snprintf(domain, sizeof(domain), "d%u.example", i);
		assert_int_equal(ask(domain), STS_SOURCE_FETCHED);
	}
	snprintf(large, sizeof(large), "%sx: ", ENFORCE);
	memset(large + strlen(large), 'y', LARGE - strlen(large));
	web.body = large;
	publish("v=STSv1; id=2;");
	for (i = 0; i < DOMAINS; i++) {
		snprintf(domain, sizeof(domain), "d%u.example", i);
		assert_int_equal(ask(domain), STS_SOURCE_FETCHED);
		assert_string_equal(got.answer.id, "2");
	}
	each_policy(count_id_two, NULL);
	assert_in_range(of_id_two, 1000, MOST / LARGE);
	/* What is short finds room again. */
	web.body = NONE;
	publish("v=STSv1; id=3;");
	assert_int_equal(ask("d0.example"), STS_SOURCE_FETCHED);
	assert_int_equal(ask_cache("d0.example"), STS_SOURCE_CACHED);
	assert_string_equal(got.answer.id, "3");
}

/* A full disk: what was not written is, later; what was is left alone, since
 * each row waits for the disk, and mail with it. */
static void test_full_disk(void **state)
{
	char domain[32];
	unsigned i;

	(void)state;
	for (i = 0; i < 100; i++) {
		snprintf(domain, sizeof(domain), "d%u.example", i);
		assert_int_equal(ask(domain), STS_SOURCE_FETCHED);
	}
	fake_disk.is_full = true;
	assert_int_equal(ask("late.example"), STS_SOURCE_FETCHED);
	web.body = NONE;
	publish("v=STSv1; id=2;");
	assert_int_equal(ask("d7.example"), STS_SOURCE_FETCHED);
	fake_disk.is_full = false;
	pass(MINUTES(2));
	fake_disk.flushes = 0;
	sts_start_refresh(sts);
	run_for(200);
	assert_in_range(fake_disk.flushes, 1, 40);
	restart();
	for (i = 0; i < 100; i++) {
		snprintf(domain, sizeof(domain), "d%u.example", i);
		assert_int_equal(ask_cache(domain), STS_SOURCE_CACHED);
		assert_string_equal(got.answer.id, i == 7 ? "2" : "1");
	}
	assert_int_equal(ask_cache("late.example"), STS_SOURCE_CACHED);
}

/* STS-98 */
static void test_evicted(void **state)
{
	(void)state;
	conf.sts_refresh = 86400;
	assert_int_equal(ask("enforce.example"), STS_SOURCE_FETCHED);
	web.body = NONE;
	assert_int_equal(ask("none.example"), STS_SOURCE_FETCHED);
	web.body = "version: STSv1\nmode: enforce\nmx: a.example\n"
	    "max_age: 31557600\n";
	assert_int_equal(ask("long.example"), STS_SOURCE_FETCHED);
	web.result = FETCH_FAILED;
	pass(DAYS(29));
	sts_start_refresh(sts);
	run_for(300);
	listed[0] = '\0';
	each_policy(list_one, NULL);
	assert_non_null(strstr(listed, "enforce.example="));
	assert_non_null(strstr(listed, "none.example="));
	pass(DAYS(2));
	sts_start_refresh(sts);
	run_for(300);
	listed[0] = '\0';
	each_policy(list_one, NULL);
	assert_null(strstr(listed, "none.example="));
	assert_null(strstr(listed, "enforce.example="));
	assert_non_null(strstr(listed, "long.example="));
}

/* --- who else hears of it --- */

static char failures[400], changes[400];

static void on_failed(void *arg, const char *domain, const char *result,
    const char *problem)
{
	size_t used = strlen(failures);

	assert_ptr_equal(arg, &conf);
	assert_string_not_equal(problem, "");
	snprintf(failures + used, sizeof(failures) - used, "%s/%s ", domain,
	    result);
}

static void on_changed(void *arg, const char *domain)
{
	size_t used = strlen(changes);

	assert_ptr_equal(arg, &conf);
	snprintf(changes + used, sizeof(changes) - used, "%s ", domain);
}

static void listen_to_hooks(void)
{
	const struct sts_hooks hooks = { .failed = on_failed,
	    .changed = on_changed, .arg = &conf };

	sts_set_hooks(sts, &hooks);
	failures[0] = changes[0] = '\0';
}

/* STS-115, RPT-43 to RPT-45: a record, and no policy to be had; each fetch
 * once, and not what failed on our side or could not be looked up. */
static void test_hook_failed(void **state)
{
	static const enum fetch_result results[] = { FETCH_FAILED,
	    FETCH_UNTRUSTED, FETCH_NO_TEXT, FETCH_OURS };
	size_t i;

	(void)state;
	listen_to_hooks();
	for (i = 0; i < 4; i++) {
		web.result = results[i];
		ask("example.org");
		ask("example.org");
		pass(MINUTES(6));
	}
	web.result = FETCH_BODY;
	web.body = "<html></html>";
	ask("example.org");
	assert_string_equal(failures, "example.org/sts-policy-fetch-error "
	    "example.org/sts-webpki-invalid example.org/sts-policy-invalid "
	    "example.org/sts-policy-invalid ");
	failures[0] = '\0';
	dns.result = FACT_ERROR;
	ask("example.org");
	publish(NULL);
	ask("example.org");
	assert_string_equal(failures, "");
	assert_string_equal(changes, "");
}

/* STS-116: whatever fails of a refresh; but not of a policy in mode none, which
 * was to have no consequence. */
static void test_hook_failed_refresh(void **state)
{
	(void)state;
	listen_to_hooks();
	conf.sts_refresh = 1;
	assert_int_equal(ask("example.org"), STS_SOURCE_FETCHED);
	/* A plan that meets the missing record is no refresh. */
	publish(NULL);
	assert_int_equal(ask("example.org"), STS_SOURCE_CACHED);
	assert_string_equal(failures, "");
	sts_start_refresh(sts);
	web.result = FETCH_UNTRUSTED;
	pass(DAYS(1));
	wanted_fetches = 2;
	run_until_fetched();
	assert_string_equal(failures, "example.org/sts-policy-fetch-error "
	    "example.org/sts-webpki-invalid ");
	/* Now the policy says none, and nobody is told. */
	publish("v=STSv1; id=2");
	web.result = FETCH_BODY;
	web.body = NONE;
	pass(DAYS(1));
	assert_int_equal(ask("example.org"), STS_SOURCE_FETCHED);
	failures[0] = '\0';
	web.result = FETCH_FAILED;
	pass(DAYS(1));
	wanted_fetches = web.started + 1;
	run_until_fetched();
	assert_string_equal(failures, "");
}

static void test_hook_changed(void **state)
{
	(void)state;
	listen_to_hooks();
	assert_int_equal(ask("example.org"), STS_SOURCE_FETCHED);
	assert_string_equal(changes, "example.org ");
	assert_int_equal(ask("example.org"), STS_SOURCE_CACHED);
	assert_string_equal(changes, "example.org ");
	publish("v=STSv1; id=2");
	web.body = TESTING;
	assert_int_equal(ask("example.org"), STS_SOURCE_FETCHED);
	assert_string_equal(changes, "example.org example.org ");
	/* Forgotten by an operator, once. */
	changes[0] = '\0';
	assert_true(sts_forget(sts, "example.org"));
	assert_false(sts_forget(sts, "example.org"));
	assert_string_equal(changes, "example.org ");
	/* What is never remembered changes nothing for others, however often
	 * it is fetched; else a plan would begin again for ever. */
	changes[0] = '\0';
	web.body = "version: STSv1\nmode: enforce\nmx: a.example\nmax_age: 0\n";
	assert_int_equal(ask("example.org"), STS_SOURCE_FETCHED);
	assert_int_equal(ask("example.org"), STS_SOURCE_FETCHED);
	assert_string_equal(changes, "");
	/* But it takes away what was. */
	web.body = ENFORCE;
	assert_int_equal(ask("example.org"), STS_SOURCE_FETCHED);
	publish("v=STSv1; id=3");
	web.body = "version: STSv1\nmode: enforce\nmx: a.example\nmax_age: 0\n";
	changes[0] = '\0';
	assert_int_equal(ask("example.org"), STS_SOURCE_FETCHED);
	assert_string_equal(changes, "example.org ");
}

/* RPT-58: the very text. */
static void test_text(void **state)
{
	const char *text;
	size_t length;

	(void)state;
	assert_null(sts_text(sts, "example.org", "1", &length));
	assert_int_equal(ask("example.org"), STS_SOURCE_FETCHED);
	text = sts_text(sts, "Example.org.", "1", &length);
	assert_non_null(text);
	assert_int_equal(length, strlen(ENFORCE));
	assert_memory_equal(text, ENFORCE, length);
	assert_null(sts_text(sts, "example.org", "2", &length));
	assert_null(sts_text(sts, "[192.0.2.1]", "1", &length));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(test_first), TEST(test_families), TEST(test_none),
		TEST(test_names), TEST(test_changed),
		TEST(test_changed_blocked), TEST(test_blocked),
		TEST(test_invalid), TEST(test_stripped), TEST(test_quiet),
		TEST(test_lookup_error), TEST(test_ours), TEST(test_no_age),
		TEST(test_expiry), TEST(test_clock_is_set),
		TEST(test_from_future), TEST(test_shared),
		TEST(test_cancelled), TEST(test_inside_callback),
		TEST(test_bounded), TEST(test_too_many), TEST(test_restart),
		TEST(test_killed), TEST(test_damaged), TEST(test_unreadable),
		TEST(test_no_directory), TEST(test_list), TEST(test_refresh),
		TEST(test_refresh_fails), TEST(test_refresh_of_none),
		TEST(test_refresh_hangs), TEST(test_refresh_bounded),
		TEST(test_refresh_in_turn), TEST(test_clock_far_ahead),
		TEST(test_replaced_within_bounds), TEST(test_full_disk),
		TEST(test_evicted), TEST(test_hook_failed),
		TEST(test_hook_failed_refresh), TEST(test_hook_changed),
		TEST(test_text),
	};
	int status;

	log_init("test", LOG_LEVEL_INFO);
	loop_init();
	status = cmocka_run_group_tests(tests, NULL, NULL);
	loop_release();
	return status;
}
