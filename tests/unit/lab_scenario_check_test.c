/* SPDX-License-Identifier: ISC */
/*
 * tools/lab/scenario_check*.c: every option of a world, of steps, of sender
 * and receiver, with values that are taken and values that are not. Each row
 * of a world is tried twice: as the world itself, and as what a fault makes of
 * it; a mistake has the line of the row both times.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/mem.h"
#include "tools/lab/scenario.h"

#define STEP "step s { to = a@example.net expect = deferred }\n"
#define ZONE(rest) "zone z.example { " rest " }"
#define CERTIFICATE(rest) "certificate d { " rest " }"
#define HOST(rest) "host h { addresses = { 192.0.2.1 } certificate = c " \
    rest " }"
#define BEHAVES(text) HOST("behaviour = { \"" text "\" }")
#define CLEAR_HOST(rest) "host h { addresses = { 192.0.2.1 } tls = none " \
    rest " }"
#define POLICY(rest) "policy p.example { addresses = { 203.0.113.1 } " \
    "certificate = c " rest " }"
#define AT(address) "policy p.example { addresses = { \"" address "\" } " \
    "certificate = c }"

struct row {
	const char	*text;
	const char	*problem;	/* in the sentence; null: it is taken */
};

static char directory[] = "/tmp/lab-check-XXXXXX";

static const struct row zones[] = {
	{ ZONE("records = { \"@ MX 10 mx\", \"mx 60 A 192.0.2.1\" }"), NULL },
	{ ZONE("records = { \"_25._tcp TLSA 3 1 1 @c\" }"), NULL },
	{ ZONE("records = { \"_25._tcp TLSA 3 1 1 @c:issuer\" }"), NULL },
	{ ZONE("records = { \"_25._tcp TLSA 255 1 1 @c\" }"), NULL },
	{ ZONE("records = { \"_25._tcp 9 TLSA 2 1 1 @c:root\" }"), NULL },
	{ ZONE("records = { \"_25._tcp TLSA 3 1 1 @nobody\" }"),
	    "there is no certificate 'nobody'" },
	{ ZONE("records = { \"_25._tcp TLSA 3 1 1 @nobody:leaf\" }"),
	    "there is no certificate 'nobody'" },
	{ ZONE("records = { \"_25._tcp TLSA 3 1 1 @c:middle\" }"),
	    "is no record" },
	{ ZONE("records = { \"a TYPO x\" }"), "is no record" },
	{ ZONE("records = { \"a A 192.0.2\" }"), "is no record" },
	{ ZONE("expired-sets = { \"@ MX\" }"), NULL },
	{ ZONE("future-sets = { \"@ MX 10\" }"), "names no set" },
	{ ZONE("unsigned-sets = { \"@\" }"), "names no set" },
	{ ZONE("tampered-sets = { \"@ TYPO\" }"), "names no set" },
	{ ZONE("answers = { \"@ MX servfail\", \"a ANY tcp-only\" }"), NULL },
	{ ZONE("answers = { \"@ MX late 2\" } servers = 2"), NULL },
	{ ZONE("answers = { \"@ MX late 3\" } servers = 2"), "is no answer" },
	{ ZONE("answers = { \"@ MX late 0\" } servers = 2"), "is no answer" },
	{ ZONE("answers = { \"@ MX soon\" }"), "ANSWER one of true, " },
	{ ZONE("substitutes = { \"a MX A 192.0.2.9\" }"), NULL },
	{ ZONE("substitutes = { \"a TLSA TLSA 3 1 1 @c\" }"), NULL },
	{ ZONE("substitutes = { \"a TLSA TLSA 3 1 1 @nobody\" }"),
	    "there is no certificate 'nobody'" },
	{ ZONE("substitutes = { \"a MX\" }"), "is no substitute" },
	{ ZONE("signing = unknown-algorithm"), NULL },
	{ ZONE("signing = sealed"), "accepted: signed, unsigned" },
	{ ZONE("servers = 4"), NULL },
	{ ZONE("servers = 5"), "servers cannot be '5'; accepted: a whole "
	    "number from 1 to 4" },
	{ ZONE("servers = 0"), "a whole number from 1 to 4" },
	{ ZONE("iterations = 2500 denial = nsec3"), NULL },
	{ ZONE("iterations = 2501 denial = nsec3"), "from 0 to 2500" },
	{ ZONE("iterations = 1"), "add denial = nsec3" },
	{ ZONE("negative-ttl = 0"), NULL },
	{ ZONE("negative-ttl = \"-1\""), "from 0 to 604800" }
};

static const struct row certificates[] = {
	{ CERTIFICATE("names = { \"a%00b.example\", \"*.example\" }"), NULL },
	{ CERTIFICATE("names = { \"a%0b.example\" }"), NULL },
	{ CERTIFICATE("names = { \"a%0g\" }"), "a byte is written %HH" },
	{ CERTIFICATE("names = { \"a%\" }"), "a byte is written %HH" },
	{ CERTIFICATE("common-name = \"a%4\""), "a byte is written %HH" },
	{ CERTIFICATE("organization = \"100%\""), "a byte is written %HH" },
	{ CERTIFICATE("organization = \"100%25\""), NULL },
	{ CERTIFICATE("addresses = { 192.0.2.1, \"2001:db8::1\" }"), NULL },
	{ CERTIFICATE("addresses = { a.example }"), "is no address" },
	{ CERTIFICATE("key = rsa1024 digest = md5 usage = client"), NULL },
	{ CERTIFICATE("key = rsa512"), "accepted: p256, p384, ed25519" },
	{ CERTIFICATE("digest = md4"), "accepted: sha256, sha1, md5" },
	{ CERTIFICATE("usage = mail"), "accepted: server, client, none" },
	{ CERTIFICATE("issuer = self key = rsa2048 digest = md5"), NULL },
	{ CERTIFICATE("issuer = self digest = md5"), "md5 is RSA's" },
	{ CERTIFICATE("issuer = self digest = sha1"), NULL },
	{ CERTIFICATE("issuer = self digest = sha1 key = ed25519"),
	    "has no digest" },
	{ CERTIFICATE("issuer = self intermediates = 1"),
	    "do not go with issuer = self" },
	{ CERTIFICATE("intermediates = 100"), NULL },
	{ CERTIFICATE("intermediates = 101"), "from 0 to 100" },
	{ CERTIFICATE("intermediates = 1 issuer-validity = expired"), NULL },
	{ CERTIFICATE("issuer-validity = expired"), "add intermediates = 1" },
	{ CERTIFICATE("intermediates = 2 issuer-authority = no"), NULL },
	{ CERTIFICATE("issuer-authority = no"), "add intermediates = 1" },
	{ CERTIFICATE("chain = gap intermediates = 2"), NULL },
	{ CERTIFICATE("chain = gap intermediates = 1"),
	    "gap needs intermediates = 2" },
	{ CERTIFICATE("chain = no-root issuer = private"), NULL },
	{ CERTIFICATE("chain = no-root"), "needs issuer = private" },
	{ CERTIFICATE("chain = reversed issuer = private intermediates = 1"),
	    NULL },
	{ CERTIFICATE("chain = reversed intermediates = 1"),
	    "reversed needs two others" },
	{ CERTIFICATE("chain = doubled issuer = private"), NULL },
	{ CERTIFICATE("chain = doubled"), "doubled needs another" },
	{ CERTIFICATE("chain = surplus"), NULL },
	{ CERTIFICATE("chain = leaf intermediates = 3"), NULL },
	{ CERTIFICATE("chain = half"), "accepted: full, leaf, no-root" }
};

static const struct row hosts[] = {
	{ HOST("versions = { 1.0, 1.1 } ciphers = \"ALL\" tickets = 0"), NULL },
	{ HOST("versions = { 1.4 }"), "is no version of TLS; accepted: 1.0, "
	    "1.1, 1.2, 1.3" },
	{ HOST("versions = { TLSv1.2 }"), "is no version of TLS" },
	{ HOST("ciphers = \"aNULL:eNULL\""), NULL },
	{ HOST("ciphers = \"ROT13\""), "openssl-ciphers(1)" },
	{ HOST("tickets = 101"), "from 0 to 100" },
	{ HOST("port = 0"), "from 1 to 65535" },
	{ HOST("port = 65536"), "from 1 to 65535" },
	{ HOST("client-certificate = wanted"), "accepted: ignored, asked" },
	{ HOST("unknown-name = warned versions = { 1.2 }"), NULL },
	{ HOST("unknown-name = warned"), "add versions = { 1.2 }" },
	{ HOST("unknown-name = alert"), NULL },
	{ HOST("sni = { \"a.example c\" }"), NULL },
	{ HOST("sni = { \"a.example nobody\" }"), "no certificate 'nobody'" },
	{ HOST("sni = { a.example }"), "SERVERNAME CERTIFICATE" },
	{ HOST("path = impostor"), NULL },
	{ HOST("path = \"strip#2-\""), NULL },
	{ HOST("path = \"strip#2\""), NULL },
	{ HOST("path = \"strip#0\""), "is no path" },
	{ HOST("path = \"strip#\""), "is no path" },
	{ HOST("path = steal"), "is no path; accepted: \"\", strip, mangle" },
	{ "host h { tls = none }", "host h has no addresses" },
	{ "host h { addresses = { 10.0.0.1 } tls = none }",
	    "is no address of a mail host" },
	{ "host h { addresses = { \"2001:db8:1::1\" } tls = none }",
	    "is no address of a mail host" },
	{ "host h { addresses = { \"2001:db8::1\" } tls = none }", NULL },
	{ "host h { addresses = { 192.0.2.1 } certificate = nobody }",
	    "no certificate 'nobody'" },
	{ "host h2 { addresses = { 192.0.2.1 } }",
	    "host h2 has no certificate" },
	/* anonymous ciphers need none */
	{ "host h2 { addresses = { 192.0.2.1 } ciphers = aNULL "
	    "versions = { 1.2 } }", NULL },
	{ "host h2 { addresses = { 192.0.2.1 } ciphers = aNULL }",
	    "versions without 1.3" },
	{ BEHAVES("greeting 554 no"), NULL },
	{ BEHAVES("rcpt close"), NULL }, { BEHAVES("mail cut"), NULL },
	{ BEHAVES("handshake alert"), NULL },
	{ BEHAVES("handshake alert protocol_version"), NULL },
	{ BEHAVES("handshake alert no_such_alert"), "is no behaviour" },
	{ BEHAVES("secured alert"), NULL }, { BEHAVES("data stall"), NULL },
	{ BEHAVES("connect reset"), NULL },
	{ BEHAVES("ehlo 250-a|250 b"), NULL },
	{ BEHAVES("ehlo 250 100%25"), NULL },
	{ BEHAVES("ehlo 250 100%"), "is no behaviour" },
	{ BEHAVES("ehlo#2 250 a"), NULL }, { BEHAVES("ehlo#2- 250 a"), NULL },
	{ BEHAVES("ehlo#0 250 a"), "is no behaviour" },
	{ BEHAVES("ehlo# 250 a"), "is no behaviour" },
	{ BEHAVES("ehlo#2-3 250 a"), "is no behaviour" },
	{ BEHAVES("mail tarpit"), NULL }, { BEHAVES("helo bytes"), NULL },
	{ BEHAVES("ehlo flood"), NULL }, { BEHAVES("rcpt long"), NULL },
	{ BEHAVES("quit bare"), NULL }, { BEHAVES("message half"), NULL },
	{ BEHAVES("connect tarpit"), "is no behaviour" },
	{ BEHAVES("handshake flood"), "is no behaviour" },
	{ BEHAVES("flight half"), "is no behaviour" },
	{ BEHAVES("idle bare"), "is no behaviour" },
	{ BEHAVES("flight stall"), NULL },
	{ BEHAVES("idle 421 4.3.2 down"), NULL },
	{ BEHAVES("mail corrupt"), NULL },
	{ BEHAVES("ehlo corrupt"), "is no behaviour" },
	{ BEHAVES("mail unwrap 250 ok"), NULL },
	{ BEHAVES("mail unwrap"), "is no behaviour" },
	{ BEHAVES("ehlo unwrap 250 ok"), "is no behaviour" },
	{ BEHAVES("starttls raw 220 a|250 b|"), NULL },
	{ BEHAVES("starttls raw"), "is no behaviour" },
	{ BEHAVES("greeting"), "is no behaviour" },
	{ BEHAVES("hello 250 x"), "STAGE one of connect, greeting" },
	{ BEHAVES("rcpt 5x0 no"), "is no behaviour" },
	{ BEHAVES("rcpt vanish"), "ACTION one of close, cut" },
	{ BEHAVES("rcpt close now"), "is no behaviour" },
	{ BEHAVES(""), "is no behaviour" },
	{ CLEAR_HOST("behaviour = { \"ehlo 502 no\" }"), NULL },
	{ CLEAR_HOST("behaviour = { \"handshake#2 close\" }"),
	    "it never comes to this" },
	{ CLEAR_HOST("behaviour = { \"mail corrupt\" }"),
	    "it never comes to this" }
};

static const struct row policies[] = {
	{ AT("203.0.113.7"), NULL }, { AT("2001:db8:1::7"), NULL },
	{ AT("127.0.0.2"), NULL }, { AT("10.0.0.1"), NULL },
	{ AT("169.254.0.1"), NULL },
	{ AT("127.0.0.1"), "is no address of a policy host" },
	{ AT("10.1.0.1"), "is no address of a policy host" },
	{ AT("192.0.2.1"), "is no address of a policy host" },
	{ AT("203.0.113.256"), "is no address of a policy host" },
	{ AT("a.example"), "is no address of a policy host" },
	{ "policy q.example { certificate = c }", "has no addresses" },
	{ "policy q.example { addresses = { 203.0.113.1, 203.0.113.2 } "
	    "certificate = c }", NULL },
	{ "policy q.example { addresses = 203.0.113.1 certificate = n }",
	    "no certificate 'n'" },
	{ "policy Q.example { addresses = 203.0.113.1 certificate = c }",
	    "written in lower case" },
	{ POLICY("needs-name = yes versions = { 1.2 } line-ends = lf"), NULL },
	{ POLICY("needs-name = perhaps"), "accepted: yes, no" },
	{ POLICY("versions = { 3.0 }"), "is no version of TLS" },
	{ POLICY("line-ends = cr"), "accepted: crlf, lf" },
	{ POLICY("padding = 16777216"), NULL },
	{ POLICY("padding = 16777217"), "from 0 to 16777216" },
	{ POLICY("padding = 10"), NULL },
	{ POLICY("padding = 9"), "at least one line of 10 bytes" },
	{ POLICY("status = 99"), "from 100 to 999" },
	{ POLICY("fault = cut-chunk"), NULL },
	{ POLICY("fault = explode"), "is no fault; accepted: \"\", close" }
};

#define TEN "xxxxxxxxxx"
#define HUNDRED TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN

/* Behind "title = x\n", with a host h and a certificate c in the world. */
static const struct row steps[] = {
	{ "step s { to = a@b.example expect = clear clock = \"+8d\" }", NULL },
	{ "step s { to = a@b.example expect = clear clock = \"-1y\" }", NULL },
	{ "step s { to = a@b.example expect = clear clock = \"+0s\" }", NULL },
	{ "step s { to = a@b.example expect = clear clock = 8d }",
	    "no time to move the clock by" },
	{ "step s { to = a@b.example expect = clear clock = \"+8w\" }",
	    "one of s, m, h, d, y" },
	{ "step s { to = a@b.example expect = clear clock = \"+d\" }",
	    "no time to move the clock by" },
	{ "step s { to = a@b.example expect = clear clock = \"+8dd\" }",
	    "no time to move the clock by" },
	{ "step s { to = a@b.example expect = clear clock = \"+1234567s\" }",
	    "up to six digits" },
	{ "step s { to = a@b.example expect = clear after = 61 }",
	    "from 0 to 60" },
	{ "step s { to = a@b.example expect = clear strict = deferred }",
	    NULL },
	{ "step s { to = a@b.example expect = clear strict = clear }",
	    "accepted: authenticated, encrypted, waiting, deferred" },
	{ "step s { to = a@b.example expect = clear strict = safe }",
	    "in the strict profile" },
	{ "step s { to = a@b.example expect = clear accept = { unsafe } }",
	    "is no outcome of a message" },
	{ "step s { to = a@b.example expect = unserved }",
	    "what becomes of the message" },
	{ "step s { to = a@b.example }", "what becomes of the message" },
	{ "step s { to = a@b.example expect = deferred report = { "
	    "\"tlsa-invalid\", \"sts-policy-invalid sts\" } }", NULL },
	{ "step s { to = a@b.example expect = deferred report = { oops } }",
	    "RESULT-TYPE one of starttls-not-supported" },
	{ "step s { to = a@b.example expect = deferred report = { "
	    "\"tlsa-invalid dane\" } }", "POLICY-TYPE one of tlsa, sts" },
	{ "step s { to = a@b.example expect = deferred report = { "
	    "\"tlsa-invalid tlsa x\" } }", "is in no report" },
	{ "step s { to = a@b.example requiretls = yes parameters = \"RET=FULL\" "
	    "header = { \"A: b\", \" c\", \"D:e\" } body = { \"\", \".\" } "
	    "expect = bounced notification = { requiretls, 5.7.30 } }", NULL },
	{ "step s { to = a@b.example expect = clear header = { \"A b\" } }",
	    "'A b' is no line of a header" },
	{ "step s { to = a@b.example expect = clear header = { \" b\" } }",
	    "is no line of a header" },
	{ "step s { to = a@b.example expect = clear header = { \"A : b\" } }",
	    "is no line of a header" },
	{ "step s { to = a@b.example expect = clear body = { \""
	    HUNDRED HUNDRED HUNDRED HUNDRED HUNDRED "\" } }", NULL },
	{ "step s { to = a@b.example expect = clear body = { \""
	    HUNDRED HUNDRED HUNDRED HUNDRED HUNDRED "x\" } }",
	    "too long for a line" },
	{ "step s { to = a@b.example expect = clear parameters = \"A> B\" }",
	    "cannot stand behind MAIL FROM" },
	{ "step s { to = a@b.example expect = bounced "
	    "notification = { 5.7 } }", "accepted: requiretls, or a status" },
	{ "step s { to = a@b.example expect = bounced "
	    "notification = { 5.7.30.1 } }", "accepted: requiretls, or" },
	{ "step s { to = a@b.example expect = bounced "
	    "notification = { 5.7.1000 } }", "accepted: requiretls, or" },
	{ "step s { to = a@b.example expect = deferred } "
	    "step t { requiretls = yes expect = deferred }",
	    "are about a new message" },
	{ "step s { to = a@b.example expect = deferred } "
	    "step t { header = { \"A: b\" } expect = deferred }",
	    "are about a new message" },
	{ "step s { to = a@b.example expect = deferred } "
	    "step t { expect = bounced notification = { 5.7.10 } }", NULL },
	{ "step s { dialogue = { \"connect smtp\" } requiretls = yes }",
	    "do not go with a dialogue" },
	{ "step s { dialogue = { \"connect smtp\" } "
	    "notification = { 5.7.10 } }", "do not go with a dialogue" },
	{ "sender { memory = defer } "
	    "step s { to = a@b.example expect = clear }", NULL },
	{ "sender { memory = always } "
	    "step s { to = a@b.example expect = clear }", "memory 'always'" },
	{ "step s { to = a@b.example expect = deferred arrives = { a@b } }",
	    "belong to a dialogue" },
	{ "step s { to = a@b.example expect = deferred never = { a@b } }",
	    "belong to a dialogue" },
	{ "step s { expect = deferred }", "a message or a dialogue" },
	{ "step s { to = a@b.example expect = clear untouched = { h } }",
	    NULL },
	{ "step s { to = a@b.example expect = clear untouched = { i } }",
	    "no host 'i'" },
	/* a host that a fault brings */
	{ "step s { to = a@b.example expect = clear untouched = { i } } "
	    "fault f { host i { addresses = 192.0.2.9 tls = none } }", NULL },
	/* dialogues */
	{ "step s { dialogue = { \"connect smtp\", \"want 220\" } }", NULL },
	{ "step s { dialogue = { \"connect smtp\" } expect = safe "
	    "accept = { unserved } arrives = { a@b.example } "
	    "never = { c@b.example } }", NULL },
	{ "step s { dialogue = { \"connect smtp\" } accept = { unsafe } }",
	    "can be accepted with strict = safe only" },
	{ "step s { dialogue = { \"connect smtp\" } accept = { unsafe } "
	    "strict = safe }", NULL },
	{ "step s { dialogue = { \"connect smtp\" } expect = unsafe }",
	    "is safe, which need not be said" },
	{ "step s { dialogue = { \"connect smtp\" } expect = clear }",
	    "is safe, which need not be said" },
	{ "step s { dialogue = { \"connect smtp\" } to = a@b.example }",
	    "make it two steps" },
	{ "step s { dialogue = { \"connect smtp\" } strict = deferred }",
	    "is safe, and nothing else" },
	{ "step s { dialogue = { \"connect smtp\" } report = { "
	    "tlsa-invalid } }", "not about a dialogue" },
	{ "step s { dialogue = { \"want 220\" } }",
	    "a dialogue begins with \"connect SERVICE\"" },
	{ "step s { dialogue = { \"connect smtp\", \"dance\" } }",
	    "is no move of a dialogue; accepted: " },
	{ "step s { dialogue = { \"connect submission\" } }",
	    "services = { submission }" },
	{ "receiver { services = { submission } } "
	    "step s { dialogue = { \"connect submission\" } }", NULL },
	{ "step s { dialogue = { \"connect smtp\", \"cut a|\", "
	    "\"cut b|\" } }", "one cut a dialogue" },
	{ "step s { dialogue = { \"connect smtp\" } arrives = { bob } }",
	    "is no address of a recipient" },
	{ "step s { dialogue = { \"connect smtp\" } never = { \"a b@c\" } }",
	    "is no address of a recipient" },
	/* nothing was sent yet that it could go on with */
	{ "step s { dialogue = { \"connect smtp\" } } "
	    "step t { expect = deferred }", "a message or a dialogue" },
	{ "step s { to = a@b.example expect = deferred } "
	    "step t { dialogue = { \"connect smtp\" } } "
	    "step u { expect = deferred }", NULL },
	/* only together are two faults wrong */
	{ "fault f { certificate c { intermediates = 1 } } "
	    "fault g { certificate c { chain = reversed issuer = private "
	    "intermediates = 1 } } fault i { certificate c { issuer = ca } } "
	    "step s { to = a@b.example expect = clear faults = { g, i } }",
	    "reversed needs two others" },
	/* sender, receiver, the whole */
	{ "sender { level = dane-only no-starttls = defer "
	    "broken-tls = \"clear-after 4h\" sts-with-dane = both "
	    "insecure-mx = encrypt } " STEP, NULL },
	{ "sender { level = paranoid } " STEP, "accepted: auto, none, may" },
	{ "sender { no-starttls = bounce } " STEP, "clear, defer" },
	{ "sender { broken-tls = \"clear-after ever\" } " STEP,
	    "clear, defer" },
	{ "sender { sts-with-dane = sts } " STEP, "accepted: dane" },
	{ "sender { insecure-mx = trust } " STEP, "accepted: may" },
	{ "receiver { services = { smtp, submission, submissions } "
	    "certificate = c } " STEP, NULL },
	{ "receiver { services = { imap } } " STEP,
	    "is no service; accepted: smtp, submission, submissions" },
	{ "receiver { certificate = nobody } " STEP,
	    "no certificate 'nobody'" },
	{ "catalogue = { N-01, S-27 } " STEP, NULL },
	{ "catalogue = { N01 } " STEP, "is no row of the catalogue" },
	{ "catalogue = { n-01 } " STEP, "is no row of the catalogue" },
	{ "catalogue = { N-1 } " STEP, "is no row of the catalogue" },
	{ "catalogue = { N-012 } " STEP, "is no row of the catalogue" },
	{ "in-depth = yes source = { \"a b\" } " STEP, NULL },
	{ "in-depth = sometimes " STEP, "accepted: yes, no" }
};

/* 1 and a line if it is not as the row says. */
static int try_text(const struct row *row, const char *text)
{
	char *path = mem_print("%s/one.scenario", directory), *errors;
	FILE *file = fopen(path, "w");
	struct lab_scenario *scenario;
	bool right;

	assert_non_null(file);
	assert_true(fputs(text, file) >= 0);
	assert_int_equal(fclose(file), 0);
	scenario = lab_scenario_read(path, &errors);
	right = row->problem == NULL ? scenario != NULL && errors == NULL :
	    scenario == NULL && errors != NULL &&
	    strstr(errors, ":2: ") == errors + strlen(path) &&
	    strstr(errors, row->problem) != NULL &&
	    strchr(errors, '\n')[1] == '\0';
	if (!right)
		print_error("%s\nwanted: %s\n%s\n", text, row->problem != NULL ?
		    row->problem : "no problem", errors != NULL ? errors :
		    "no problem");
	lab_scenario_free(scenario);
	mem_free(errors);
	unlink(path);
	mem_free(path);
	return !right;
}

static void try_world(const struct row *rows, size_t count)
{
	int wrong = 0;
	size_t i;

	for (i = 0; i < count; i++) {
		char *text = mem_print("title = x\n%s\n"
		    "certificate c { names = { a.example } }\n" STEP,
		    rows[i].text);

		wrong += try_text(&rows[i], text);
		mem_free(text);
		text = mem_print("title = x\nfault f { %s }\n"
		    "certificate c { names = { a.example } }\n"
		    ZONE("") "\n" CERTIFICATE("") "\n" HOST("") "\n"
		    POLICY("") "\n" STEP, rows[i].text);
		/* A fault takes nothing away that the world has. */
		if (strstr(rows[i].text, "host h { tls = none }") == NULL)
			wrong += try_text(&rows[i], text);
		mem_free(text);
	}
	assert_int_equal(wrong, 0);
}

#define TRY_WORLD(rows) try_world(rows, sizeof(rows) / sizeof(rows[0]))

static void test_zones(void **state)
{
	(void)state;
	TRY_WORLD(zones);
}

static void test_certificates(void **state)
{
	(void)state;
	TRY_WORLD(certificates);
}

static void test_hosts(void **state)
{
	(void)state;
	TRY_WORLD(hosts);
}

static void test_policies(void **state)
{
	(void)state;
	TRY_WORLD(policies);
}

static void test_steps(void **state)
{
	int wrong = 0;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
		char *text = mem_print("title = x\n%s\n"
		    "certificate c { names = { a.example } }\n" HOST("") "\n",
		    steps[i].text);

		wrong += try_text(&steps[i], text);
		mem_free(text);
	}
	assert_int_equal(wrong, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_zones),
		cmocka_unit_test(test_certificates),
		cmocka_unit_test(test_hosts),
		cmocka_unit_test(test_policies),
		cmocka_unit_test(test_steps),
	};
	int failed;

	if (mkdtemp(directory) == NULL)
		return 1;
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	rmdir(directory);
	return failed;
}
