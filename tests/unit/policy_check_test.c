/* SPDX-License-Identifier: ISC */
/*
 * What smtpd asks policy about clients and messages, from its door to the DNS
 * and back: policy/client.h over a channel to the role, the true resolver, and
 * a name server (tests/zone.h); and a signed world for what does not validate.
 * SPF, TXT records, DMARC, lists, greylisting; cancelled, asked again, bounded.
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
#include <unistd.h>

#include <cmocka.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/loop.h"
#include "base/net.h"
#include "conf/bundle.h"
#include "conf/conf.h"
#include "policy/check.h"
#include "policy/client.h"
#include "policy/lookup_run.h"
#include "policy/policy.h"
#include "policy/resolver.h"
#include "tests/scratch.h"
#include "tests/signed_root.h"
#include "tests/zone.h"

enum { PATIENCE = 15000, TURNS = 20 };

static struct endpoint zone;
static struct policy_client *client;
static char folder[64];

/* --- waiting --- */

static unsigned answered;
static struct timer patience;

static void stop(void *arg)
{
	(void)arg;
	loop_stop();
}

static void wait_answer(void)
{
	timer_start(&patience, PATIENCE, stop, NULL);
	loop_run();
	timer_stop(&patience);
	assert_int_equal(answered, 1);
	answered = 0;
}

static void some_turns(void)
{
	int i;

	for (i = 0; i < TURNS; i++) {
		loop_defer(stop, NULL);
		loop_run();
	}
}

static struct endpoint address(const char *text)
{
	struct endpoint endpoint;

	assert_int_equal(0, endpoint_parse(&endpoint, text, 25));
	return endpoint;
}

/* --- SPF --- */

static struct {
	enum proof	 proof;
	bool		 of_hello;
	char		 domain[256], mechanism[256], explanation[256];
} spf;

static void on_spf(void *arg, const struct policy_spf_answer *answer)
{
	(void)arg;
	answered++;
	spf.proof = answer->proof;
	spf.of_hello = answer->of_hello;
	snprintf(spf.domain, sizeof(spf.domain), "%s", answer->domain);
	snprintf(spf.mechanism, sizeof(spf.mechanism), "%s",
	    answer->mechanism);
	snprintf(spf.explanation, sizeof(spf.explanation), "%s",
	    answer->explanation);
	loop_stop();
}

static struct policy_request *ask_spf(const char *from, const char *hello,
    const char *sender)
{
	struct endpoint endpoint = address(from);
	const struct policy_spf_question question = { .client = &endpoint,
	    .hello = hello, .sender = sender, .receiver = "mx.lab" };

	return policy_spf(client, &question, on_spf, NULL);
}

static void test_spf(void **state)
{
	static const struct {
		const char	*from, *hello, *sender;
		enum proof	 proof;
		bool		 of_hello;
		const char	*domain, *mechanism;
	} cases[] = {
		/* AUTHN-45 */
		{ "192.0.2.7", "h.lab", "a@ip.lab", PROOF_PASS, false,
		    "ip.lab", "ip4:192.0.2.0/24" },
		{ "198.51.100.7", "h.lab", "a@ip.lab", PROOF_FAIL, false,
		    "ip.lab", "-all" },
		{ "2001:db8::7", "h.lab", "a@IP.lab", PROOF_PASS, false,
		    "ip.lab", "ip6:2001:db8::/32" },
		/* ... strings joined (AUTHN-48) */
		{ "192.0.2.7", "h.lab", "a@cut.lab", PROOF_PASS, false,
		    "cut.lab", "ip4:192.0.2.7" },
		/* ... each kind of lookup */
		{ "192.0.2.20", "h.lab", "a@a.lab", PROOF_PASS, false,
		    "a.lab", "a:host.lab" },
		{ "2001:db8::20", "h.lab", "a@a.lab", PROOF_PASS, false,
		    "a.lab", "a:host.lab" },
		{ "192.0.2.20", "h.lab", "a@mx.lab", PROOF_PASS, false,
		    "mx.lab", "mx" },
		{ "192.0.2.20", "h.lab", "a@ptr.lab", PROOF_PASS, false,
		    "ptr.lab", "ptr:host.lab" },
		{ "192.0.2.20", "h.lab", "a@include.lab", PROOF_PASS, false,
		    "include.lab", "include:a.lab" },
		{ "192.0.2.20", "h.lab", "a@alias.lab", PROOF_PASS, false,
		    "alias.lab", "a:host.lab" },
		/* ... names of other bytes than those of hosts */
		{ "192.0.2.7", "h.lab", "a+b/c@exists.lab", PROOF_PASS, false,
		    "exists.lab", "exists:%{l}._l.lab" },
		{ "192.0.2.7", "h.lab", "other@exists.lab", PROOF_FAIL, false,
		    "exists.lab", "-all" },
		/* AUTHN-47 */
		{ "192.0.2.7", "h.lab", "a@nothing.lab", PROOF_NONE, false,
		    "nothing.lab", NULL },
		{ "192.0.2.7", "h.lab", "a@host.lab", PROOF_NONE, false,
		    "host.lab", NULL },
		{ "192.0.2.7", "h.lab", "a@single", PROOF_NONE, false, "",
		    NULL },
		{ "192.0.2.7", "h.lab", "a@[192.0.2.7]", PROOF_NONE, false, "",
		    NULL },
		{ "192.0.2.7", "h.lab", "a@servfail.lab", PROOF_TEMPERROR,
		    false, "servfail.lab", NULL },
		{ "192.0.2.7", "h.lab", "a@two.lab", PROOF_PERMERROR, false,
		    "two.lab", NULL },
		/* AUTHN-46: HELO decides when it fails, */
		{ "192.0.2.7", "fail.lab", "a@ip.lab", PROOF_FAIL, true,
		    "fail.lab", "-all" },
		/* ... not when it passes, softfails or cannot be found out, */
		{ "192.0.2.7", "ip.lab", "a@nothing.lab", PROOF_NONE, false,
		    "nothing.lab", NULL },
		{ "198.51.100.9", "soft.lab", "a@any.lab", PROOF_PASS, false,
		    "any.lab", "all" },
		{ "192.0.2.7", "servfail.lab", "a@any.lab", PROOF_PASS, false,
		    "any.lab", "all" },
		/* ... nor when it is no domain name. */
		{ "192.0.2.7", "[192.0.2.7]", "a@any.lab", PROOF_PASS, false,
		    "any.lab", "all" },
		{ "192.0.2.7", "localhost", "a@any.lab", PROOF_PASS, false,
		    "any.lab", "all" },
		/* The null sender is postmaster@HELO. */
		{ "192.0.2.7", "IP.lab", "", PROOF_PASS, true, "ip.lab",
		    "ip4:192.0.2.0/24" },
		{ "192.0.2.7", "who.lab", "", PROOF_PASS, true, "who.lab",
		    "exists:%{l}._l.lab" },
		{ "192.0.2.7", "[192.0.2.7]", "", PROOF_NONE, true, "", NULL },
		{ "192.0.2.7", "localhost", "", PROOF_NONE, true, "", NULL },
	};
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		ask_spf(cases[i].from, cases[i].hello, cases[i].sender);
		assert_int_equal(answered, 0);
		wait_answer();
		if (spf.proof != cases[i].proof ||
		    spf.of_hello != cases[i].of_hello ||
		    strcmp(spf.domain, cases[i].domain) != 0 ||
		    (cases[i].mechanism != NULL &&
		    strcmp(spf.mechanism, cases[i].mechanism) != 0))
			fail_msg("%s %s <%s>: %s of %s %s by %s",
			    cases[i].from, cases[i].hello, cases[i].sender,
			    proof_name(spf.proof), spf.of_hello ? "HELO" :
			    "MAIL", spf.domain, spf.mechanism);
	}
}

/* AUTHN-55; and the words of strangers are printable when they arrive. */
static void test_spf_explanation(void **state)
{
	(void)state;
	ask_spf("192.0.2.7", "h.lab", "a@exp.lab");
	wait_answer();
	assert_int_equal(spf.proof, PROOF_FAIL);
	assert_string_equal(spf.explanation, "192.0.2.7 is not of exp.lab");
	ask_spf("192.0.2.7", "h.lab", "a@\xc3\xbc.lab");
	wait_answer();
	assert_int_equal(spf.proof, PROOF_NONE);
}

/* A name server that does not answer: each lookup ends by itself, and all of
 * them together in time (AUTHN-52). */
static void test_spf_silent(void **state)
{
	int64_t begin = clock_monotonic();

	(void)state;
	ask_spf("192.0.2.7", "[192.0.2.7]", "a@silent.lab");
	wait_answer();
	assert_int_equal(spf.proof, PROOF_TEMPERROR);
	assert_true(clock_monotonic() - begin < 10000);
}

/* --- TXT --- */

static enum dkim_key_answer key_answer;
static char key_text[20000];

static void on_text(void *arg, enum dkim_key_answer answer, const char *text)
{
	(void)arg;
	answered++;
	key_answer = answer;
	snprintf(key_text, sizeof(key_text), "%s", text);
	loop_stop();
}

static void test_text(void **state)
{
	static const struct {
		const char		*name;
		enum dkim_key_answer	 answer;
		const char		*text;
	} cases[] = {
		{ "s1._domainkey.lab", DKIM_KEY_FOUND, "v=DKIM1; p=AAAA" },
		{ "S1._DomainKey.lab", DKIM_KEY_FOUND, "v=DKIM1; p=AAAA" },
		{ "odd._domainkey.lab", DKIM_KEY_FOUND, "p=A  B" },
		{ "zero._domainkey.lab", DKIM_KEY_MISSING, "" },
		{ "none._domainkey.lab", DKIM_KEY_MISSING, "" },
		{ "host.lab", DKIM_KEY_MISSING, "" },
		{ "servfail._domainkey.lab", DKIM_KEY_UNREACHABLE, "" },
		/* Names that cannot be, and one that ends the server's text. */
		{ "a..lab", DKIM_KEY_MISSING, "" },
		{ ".lab", DKIM_KEY_MISSING, "" },
		{ "", DKIM_KEY_MISSING, "" },
		{ "0123456789012345678901234567890123456789012345678901234567890"
		    "123.lab", DKIM_KEY_MISSING, "" },
		{ "012345678901234567890123456789012345678901234567890123456789"
		    "0123.lab", DKIM_KEY_MISSING, "" },
		{ "\\046.lab", DKIM_KEY_MISSING, "" },
	};
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		policy_text(client, cases[i].name, on_text, NULL);
		assert_int_equal(answered, 0);
		wait_answer();
		if (key_answer != cases[i].answer ||
		    strcmp(key_text, cases[i].text) != 0)
			fail_msg("%s: %d \"%s\"", cases[i].name,
			    (int)key_answer, key_text);
	}
	policy_text(client, "two._domainkey.lab", on_text, NULL);
	wait_answer();
	assert_int_equal(key_answer, DKIM_KEY_FOUND);
	assert_true(strcmp(key_text, "p=one\np=two") == 0 ||
	    strcmp(key_text, "p=two\np=one") == 0);
}

/* --- DMARC --- */

static struct {
	enum proof	 proof;
	enum dmarc_wish	 wish;
	bool		 has_record;
	char		 record_domain[256], organization[256];
} dmarc;

static void on_dmarc(void *arg, const struct dmarc_step *step)
{
	(void)arg;
	assert_true(step->done);
	answered++;
	dmarc.proof = step->proof;
	dmarc.wish = step->wish;
	dmarc.has_record = step->has_record;
	snprintf(dmarc.record_domain, sizeof(dmarc.record_domain), "%s",
	    step->record_domain);
	snprintf(dmarc.organization, sizeof(dmarc.organization), "%s",
	    step->organization);
	loop_stop();
}

static void test_dmarc(void **state)
{
	static const struct {
		const char	*author, *spf, *dkim;
		enum proof	 proof;
		enum dmarc_wish	 wish;
		const char	*record;
	} cases[] = {
		/* AUTHN-70: aligned, or not */
		{ "d.org.lab", NULL, "org.lab", PROOF_PASS, DMARC_WISH_REJECT,
		    "org.lab" },
		{ "org.lab", "org.lab", NULL, PROOF_PASS, DMARC_WISH_REJECT,
		    "org.lab" },
		{ "org.lab", "other.lab", "other.lab", PROOF_FAIL,
		    DMARC_WISH_REJECT, "org.lab" },
		{ "org.lab", NULL, NULL, PROOF_FAIL, DMARC_WISH_REJECT,
		    "org.lab" },
		/* AUTHN-67: no record */
		{ "host.lab", "host.lab", NULL, PROOF_NONE, DMARC_WISH_NONE,
		    "" },
		/* AUTHN-74 */
		{ "broken.lab", NULL, NULL, PROOF_TEMPERROR, DMARC_WISH_NONE,
		    NULL },
	};
	struct dmarc_question question;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		question = (struct dmarc_question){
			.author = cases[i].author,
			.spf_pass = cases[i].spf != NULL,
			.spf_domain = cases[i].spf == NULL ? "" :
			    cases[i].spf,
			.dkim_domains = &cases[i].dkim,
			.dkim_count = cases[i].dkim != NULL,
		};
		policy_dmarc(client, &question, on_dmarc, NULL);
		assert_int_equal(answered, 0);
		wait_answer();
		if (dmarc.proof != cases[i].proof ||
		    dmarc.wish != cases[i].wish || (cases[i].record != NULL &&
		    strcmp(dmarc.record_domain, cases[i].record) != 0))
			fail_msg("%s: %s, wish %s, of \"%s\"", cases[i].author,
			    proof_name(dmarc.proof),
			    dmarc_wish_name(dmarc.wish), dmarc.record_domain);
	}
}

/* --- lists --- */

static bool listed_failed;
static char listed[400];

static void on_listed(void *arg, bool failed, const struct endpoint *answers,
    size_t count)
{
	char text[ENDPOINT_TEXT_MAX];
	size_t i, used = 0;

	(void)arg;
	answered++;
	listed_failed = failed;
	listed[0] = '\0';
	for (i = 0; i < count; i++) {
		endpoint_format(&answers[i], text, sizeof(text));
		used += (size_t)snprintf(listed + used, sizeof(listed) - used,
		    "%s ", text);
	}
	loop_stop();
}

static void expect_listed(const char *from, const char *name,
    const char *addresses, bool failed)
{
	struct endpoint endpoint = address(from);

	policy_listed(client, &endpoint, name, on_listed, NULL);
	assert_int_equal(answered, 0);
	wait_answer();
	assert_string_equal(listed, addresses);
	assert_int_equal(listed_failed, failed);
}

static void test_listed(void **state)
{
	char name[32];
	unsigned i;

	(void)state;
	expect_listed("192.0.2.99", "bl.lab", "127.0.0.2 ", false);
	expect_listed("192.0.2.98", "bl.lab", "", false);
	expect_listed("2001:db8::99", "bl.lab", "127.0.0.3 ", false);
	expect_listed("2001:db8::98", "bl.lab", "", false);
	/* A name without A records, a name server that fails or lies. */
	expect_listed("192.0.2.97", "bl.lab", "", false);
	expect_listed("192.0.2.96", "bl.lab", "", true);
	/* No more than can be told. */
	for (i = 0; i < 40; i++) {
		snprintf(name, sizeof(name), "127.0.1.%u", i);
		zone_address("95.2.0.192.bl.lab", name);
	}
	expect_listed("192.0.2.95", "bl.lab", listed, false);
	assert_int_equal(strlen(listed) >= POLICY_LISTED_MAX * 10, 1);
}

/* --- greylisting --- */

static int64_t grey_wait;

static void on_greylist(void *arg, int64_t wait)
{
	(void)arg;
	answered++;
	grey_wait = wait;
	loop_stop();
}

static int64_t ask_greylist(const char *from, const char *sender,
    bool look_only)
{
	struct endpoint endpoint = address(from);
	const struct policy_greylist_question question = {
	    .client = &endpoint, .sender = sender, .recipient = "b@us.lab",
	    .look_only = look_only };

	policy_greylist(client, &question, on_greylist, NULL);
	assert_int_equal(answered, 0);
	wait_answer();
	return grey_wait;
}

/* Times are the business of policy_greylist_test.c. */
static void test_greylist_first(void **state)
{
	(void)state;
	assert_int_equal(ask_greylist("192.0.2.7", "a@x.lab", true), 1);
	assert_int_equal(ask_greylist("192.0.2.7", "a@x.lab", false), 1);
}

/* A second later. */
static void test_greylist_again(void **state)
{
	int64_t begin = clock_monotonic();

	(void)state;
	while (ask_greylist("192.0.2.8", "a@x.lab", true) > 0 &&
	    clock_monotonic() - begin < PATIENCE)
		usleep(1000);
	assert_int_equal(ask_greylist("192.0.2.8", "a@x.lab", false), 0);
	assert_int_equal(ask_greylist("192.0.2.8", "c@x.lab", false), 0);
	assert_int_equal(ask_greylist("192.0.3.8", "c@x.lab", false), 1);
}

/* --- asked, and not any more --- */

static void connect_client(unsigned instance)
{
	const struct process_peer peer = { ROLE_SMTPD, instance };
	int fds[2];

	assert_int_equal(0, socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK |
	    SOCK_CLOEXEC, 0, fds));
	policy_entry.peer(&peer, fds[1]);
	policy_client_connect(client, fds[0]);
}

static void test_cancel(void **state)
{
	struct endpoint endpoint = address("192.0.2.7");
	const struct dmarc_question question = { .author = "mute.lab",
	    .spf_domain = "" };
	struct policy_request *requests[4];
	unsigned i;

	(void)state;
	requests[0] = ask_spf("192.0.2.7", "h.lab", "a@silent1.lab");
	requests[1] = policy_text(client, "silent2.lab", on_text, NULL);
	requests[2] = policy_dmarc(client, &question, on_dmarc, NULL);
	requests[3] = policy_listed(client, &endpoint, "silent3.lab",
	    on_listed, NULL);
	some_turns();
	for (i = 0; i < 4; i++)
		policy_cancel(requests[i]);
	some_turns();
	assert_int_equal(answered, 0);
	/* Before it was sent, too. */
	policy_cancel(ask_spf("192.0.2.7", "h.lab", "a@any.lab"));
	some_turns();
	assert_int_equal(answered, 0);
}

/* Policy was restarted: what was asked is asked again, and answered once. */
static void test_again(void **state)
{
	(void)state;
	zone_silent = true;
	policy_text(client, "again.lab", on_text, NULL);
	some_turns();
	connect_client(0);
	some_turns();
	zone_silent = false;
	wait_answer();
	assert_int_equal(key_answer, DKIM_KEY_FOUND);
	some_turns();
	assert_int_equal(answered, 0);
}

/* --- bounds of a run --- */

static struct resolver *resolver;
static unsigned steps, failures;
static bool run_finished;

/* Never content. */
static bool on_step(void *arg, const struct lookup_answers *answers,
    struct arena *arena, struct lookup_need *need)
{
	size_t i;

	(void)arg;
	steps++;
	failures = 0;
	for (i = 0; i < answers->count; i++)
		failures += answers->items[i].status == LOOKUP_FAILED;
	need->type = LOOKUP_TXT;
	need->name = arena_print(arena, "big%u.lab", steps);
	return false;
}

static void on_done(void *arg, bool finished)
{
	(void)arg;
	answered++;
	run_finished = finished;
	loop_stop();
}

static void test_bounds(void **state)
{
	char name[32], text[3001];
	unsigned i;

	(void)state;
	memset(text, 'x', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	for (i = 1; i <= LOOKUP_RUN_LOOKUPS_MAX; i++) {
		snprintf(name, sizeof(name), "big%u.lab", i);
		zone_txt(name, text);
	}
	lookup_run_start(resolver, on_step, on_done, NULL);
	wait_answer();
	assert_false(run_finished);
	assert_int_equal(steps, LOOKUP_RUN_LOOKUPS_MAX + 1);
	/* More than may be kept: the last ones, and only they. */
	assert_true(failures > 20 && failures < 60);
}

/* --- what does not validate --- */

static struct check *check_signed(const char *sender)
{
	struct endpoint endpoint = address("192.0.2.7");
	const struct policy_spf_question question = { .client = &endpoint,
	    .hello = "localhost", .sender = sender, .receiver = "mx.lab" };

	return check_spf_start(resolver, &question, on_spf, NULL);
}

static struct resolver *make_resolver(const struct endpoint *server,
    const char *anchor)
{
	char text[100], error[200] = "";
	char *forwarder = text;
	struct conf conf = { .resolver = RESOLVER_FORWARD, .ipv4 = true,
	    .forwarders = { &forwarder, 1 }, .resolver_timeout = 5 };
	struct resolver *made;

	snprintf(text, sizeof(text), "127.0.0.1@%u",
	    (unsigned)endpoint_port(server));
	made = resolver_new(&conf, anchor, error, sizeof(error));
	if (made == NULL)
		fail_msg("%s", error);
	return made;
}

/* A forged record is neither believed nor taken for absent. */
static void test_bogus(void **state)
{
	static const char record[] = "\x0bv=spf1 +all";
	struct endpoint server;
	struct resolver *plain = resolver;

	(void)state;
	root_start(&server);
	root_add("good.lab", DNS_TXT, record, sizeof(record) - 1);
	root_add("bad.lab", DNS_TXT, record, sizeof(record) - 1);
	resolver = make_resolver(&server, root_anchor());
	check_signed("a@good.lab");
	wait_answer();
	assert_int_equal(spf.proof, PROOF_PASS);
	root_fault = ROOT_TAMPERED;
	check_signed("a@bad.lab");
	wait_answer();
	assert_int_equal(spf.proof, PROOF_TEMPERROR);
	resolver_free(resolver);
	resolver = plain;
	root_stop();
}

/* --- the world --- */

static void fill_zone(void)
{
	static const char *const cut[] = { "v=spf1 ip4:192.", "0.2.7 -all",
	    NULL };

	zone_txt("ip.lab", "v=spf1 ip4:192.0.2.0/24 ip6:2001:db8::/32 -all");
	zone_text("cut.lab", cut);
	zone_txt("a.lab", "v=spf1 a:host.lab -all");
	zone_address("host.lab", "192.0.2.20");
	zone_address("host.lab", "2001:db8::20");
	zone_txt("mx.lab", "v=spf1 mx -all");
	zone_mx("mx.lab", 10, "host.lab");
	zone_txt("ptr.lab", "v=spf1 ptr:host.lab -all");
	zone_name("20.2.0.192.in-addr.arpa", DNS_PTR, "host.lab");
	zone_txt("include.lab", "v=spf1 include:a.lab -all");
	zone_name("alias.lab", DNS_CNAME, "a.lab");
	zone_txt("exists.lab", "v=spf1 exists:%{l}._l.lab -all");
	zone_txt("who.lab", "v=spf1 exists:%{l}._l.lab -all");
	zone_address("a+b/c._l.lab", "127.0.0.1");
	zone_address("postmaster._l.lab", "127.0.0.1");
	zone_txt("two.lab", "v=spf1 +all");
	zone_txt("two.lab", "v=spf1 -all");
	zone_txt("fail.lab", "v=spf1 -all");
	zone_txt("soft.lab", "v=spf1 ~all");
	zone_txt("any.lab", "v=spf1 all");
	zone_txt("exp.lab", "v=spf1 exp=why.lab -all");
	zone_txt("why.lab", "%{i} is not of %{d}");

	zone_txt("s1._domainkey.lab", "v=DKIM1; p=AAAA");
	zone_txt("odd._domainkey.lab", "p=A \nB");
	zone_record("zero._domainkey.lab", DNS_TXT, "\5p=\0AA", 6);
	zone_txt("two._domainkey.lab", "p=one");
	zone_txt("two._domainkey.lab", "p=two");

	zone_txt("again.lab", "p=A");

	zone_txt("_dmarc.org.lab", "v=DMARC1; p=reject");
	zone_address("org.lab", "192.0.2.20");
	zone_address("d.org.lab", "192.0.2.20");
	zone_name("_dmarc.mute.lab", DNS_CNAME, "silent5.lab");
	zone_name("_dmarc.broken.lab", DNS_CNAME, "servfail.lab");

	zone_address("99.2.0.192.bl.lab", "127.0.0.2");
	zone_txt("97.2.0.192.bl.lab", "not an address");
	zone_name("96.2.0.192.bl.lab", DNS_CNAME, "servfail.lab");
	zone_address("9.9.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0."
	    "1.0.0.2.bl.lab", "127.0.0.3");
}

static void configure(void)
{
	char text[500], error[400] = "";
	struct bundle bundle = { .name = (char *)"test.conf", .text = text };
	struct buf bytes;

	snprintf(text, sizeof(text), "hostname = us.lab\nresolver = forward\n"
	    "forwarders = { \"127.0.0.1@%u\" }\ntrust-anchor-file = \"\"\n"
	    "ipv6 = no\nresolver-timeout = 1\nstate-directory = \"%s\"\n"
	    "greylist-delay = 1\n",
	    (unsigned)endpoint_port(&zone), folder);
	buf_init(&bytes, 1 << 20);
	assert_int_equal(0, bundle_encode(&bundle, ROLE_POLICY, &bytes));
	if (policy_entry.configure(buf_data(&bytes), buf_length(&bytes),
	    error, sizeof(error)) == -1)
		fail_msg("%s", error);
	buf_release(&bytes);
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
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_spf),
		cmocka_unit_test(test_spf_explanation),
		cmocka_unit_test(test_text), cmocka_unit_test(test_dmarc),
		cmocka_unit_test(test_listed),
		cmocka_unit_test(test_greylist_first),
		cmocka_unit_test(test_spf_silent),
		cmocka_unit_test(test_greylist_again),
		cmocka_unit_test(test_cancel), cmocka_unit_test(test_again),
		cmocka_unit_test(test_bounds), cmocka_unit_test(test_bogus),
	};
	int status;

	log_init("test", LOG_LEVEL_ERROR);
	loop_init();
	make_folder();
	zone_start(&zone);
	fill_zone();
	configure();
	policy_entry.prepare();
	policy_entry.start();
	client = policy_client_new();
	connect_client(0);
	resolver = make_resolver(&zone, NULL);
	status = cmocka_run_group_tests(tests, NULL, NULL);
	resolver_free(resolver);
	policy_client_free(client);
	policy_entry.stop();
	loop_run();
	zone_stop();
	loop_release();
	scratch_remove(folder);
	return status;
}
