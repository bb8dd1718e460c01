/* SPDX-License-Identifier: ISC */
/*
 * TLS-46, TLS-55 to TLS-65, TLS-74: every way in which a host can fail to show
 * TLS, against every requirement. Where TLS is required no MAIL is ever heard
 * in clear and the mail waits; where it is opportunistic, the options
 * no-starttls and broken-tls decide, and after broken TLS clear goes over a
 * connection of its own. The same for every wish of a sender (RFC 8689), where
 * mail may come back (REQ-42 to REQ-45, REQ-59), and with an ideal beside it,
 * which changes nothing; and what is observed of each (RPT-35, RPT-39).
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "base/mem.h"
#include "tests/dialog-client/dialog.h"

/* KIND_NEVER: clear is never the answer to it. KIND_HOST: not about TLS; the
 * host fails whatever is allowed. */
enum kind { KIND_MISSING, KIND_BROKEN, KIND_NEVER, KIND_HOST };

/* Whether it may pass by itself: REQ-45. */
enum { STAYS, PASSES };

static const struct symptom_case {
	const char	*name;
	enum kind	 kind;
	const char	*reason;	/* of the status when it is deferred */
	const char	*opening;	/* what the server does */
	const char	*end;		/* ... when the client gives it up */
	bool		 passes;
} symptoms[] = {
#define GREETING "S 220 mx1.test\nC EHLO client.test\n"
#define OFFER GREETING "S 250-mx1.test\nS 250 STARTTLS\nC STARTTLS\n"
#define GOODBYE "C QUIT\nS 221 bye\n"
	{ "TLS-55 absent", KIND_MISSING, "no-starttls",
	    GREETING "S 250-mx1.test\nS 250 HELP\n", GOODBYE, STAYS },
	{ "TLS-56 XXXXXXXA", KIND_MISSING, "no-starttls",
	    GREETING "S 250-mx1.test\nS 250 XXXXXXXA\n", GOODBYE, STAYS },
	{ "TLS-56 XXXXXXXX", KIND_MISSING, "no-starttls",
	    GREETING "S 250-mx1.test\nS 250-XXXXXXXX\nS 250 HELP\n",
	    GOODBYE, STAYS },
	{ "TLS-56 STARTTLSX", KIND_MISSING, "no-starttls",
	    GREETING "S 250-mx1.test\nS 250 STARTTLSX\n", GOODBYE, STAYS },
	{ "TLS-57 EHLO 500", KIND_MISSING, "no-starttls",
	    GREETING "S 500 what\n", GOODBYE, STAYS },
	{ "TLS-57 EHLO 502", KIND_MISSING, "no-starttls",
	    GREETING "S 502 what\n", GOODBYE, STAYS },
	{ "TLS-58 EHLO 530", KIND_MISSING, "no-starttls",
	    GREETING "S 530 5.7.0 TLS first\n", GOODBYE, STAYS },
#define REFUSAL_THAT(code, passes) \
	{ "STARTTLS " code, KIND_BROKEN, "starttls-refused", \
	    OFFER "S " code " no\n", GOODBYE, passes }
#define REFUSAL(code) REFUSAL_THAT(code, STAYS)
	/* TLS-58 */
	REFUSAL("500"), REFUSAL("501"), REFUSAL("502"), REFUSAL("503"),
	REFUSAL("504"), REFUSAL("530"), REFUSAL("550"), REFUSAL("554"),
	/* TLS-59 */
	REFUSAL_THAT("454", PASSES), REFUSAL_THAT("450", PASSES),
	REFUSAL_THAT("451", PASSES),
	{ "N-05 STARTTLS 421", KIND_NEVER, "starttls-refused",
	    OFFER "S 421 4.3.2 going down\n", GOODBYE, PASSES },
	/* N-07: only 220 is a yes */
	REFUSAL("200"), REFUSAL("221"), REFUSAL("235"), REFUSAL("250"),
	REFUSAL("299"), REFUSAL("354"),
	{ "N-07 several lines of 250", KIND_BROKEN, "starttls-refused",
	    OFFER "S 250-220 go\nS 250 220 ready\n", GOODBYE, STAYS },
	{ "TLS-60 SMTP instead of TLS", KIND_BROKEN, "tls-handshake",
	    OFFER "S 220 go\nHEAR 20000\nR 500 what is that\\r\\n\n",
	    "STALL\n", STAYS },
	{ "TLS-60 garbage", KIND_BROKEN, "tls-handshake",
	    OFFER "S 220 go\nHEAR 20000\nR \\x00\\xff\\x17zzzzzzzzzz\n",
	    "STALL\n", STAYS },
	{ "TLS-60 reset instead of TLS", KIND_BROKEN, "tls-handshake",
	    OFFER "S 220 go\nHEAR 20000\nRESET\n", "", PASSES },
	{ "TLS-60 end instead of TLS", KIND_BROKEN, "tls-handshake",
	    OFFER "S 220 go\nHEAR 20000\nCLOSE\n", "", PASSES },
	{ "TLS-61 reset at STARTTLS", KIND_BROKEN, "starttls-refused",
	    OFFER "RESET\n", "", PASSES },
	{ "TLS-61 end at STARTTLS", KIND_BROKEN, "starttls-refused",
	    OFFER "CLOSE\n", "", PASSES },
	{ "TLS-61 silence at STARTTLS", KIND_BROKEN, "starttls-refused",
	    OFFER "STALL\n", "", PASSES },
	{ "TLS-62 alert protocol_version", KIND_BROKEN, "tls-handshake",
	    OFFER "S 220 go\nHEAR 20000\n"
	    "R \\x15\\x03\\x01\\x00\\x02\\x02\\x46\n", "STALL\n", STAYS },
	{ "TLS-62 alert handshake_failure", KIND_BROKEN, "tls-handshake",
	    OFFER "S 220 go\nHEAR 20000\n"
	    "R \\x15\\x03\\x03\\x00\\x02\\x02\\x28\n", "STALL\n", STAYS },
	{ "TLS-62 alert internal_error", KIND_BROKEN, "tls-handshake",
	    OFFER "S 220 go\nHEAR 20000\n"
	    "R \\x15\\x03\\x03\\x00\\x02\\x02\\x50\n", "STALL\n", STAYS },
	{ "TLS-62 silence in the handshake", KIND_BROKEN, "tls-handshake",
	    OFFER "S 220 go\nSTALL\n", "", PASSES },
	{ "T-20 reset behind the handshake", KIND_BROKEN, "tls-handshake",
	    OFFER "S 220 go\nTLS\nRESET\n", "", PASSES },
	{ "T-20 end behind the handshake", KIND_BROKEN, "tls-handshake",
	    OFFER "S 220 go\nTLS\nCLOSE\n", "", PASSES },
	{ "TLS-28 injection", KIND_NEVER, "tls-handshake",
	    OFFER "R 220 go\\r\\n250 AUTH PLAIN\\r\\n\n", "STALL\n", PASSES },
	{ "N-13 injection behind several lines", KIND_NEVER, "tls-handshake",
	    OFFER "R 220-go\\r\\n220 now\\r\\n250 mx1.test\\r\\n\n",
	    "STALL\n", PASSES },
	{ "I-30 greeting behind the handshake", KIND_HOST, "protocol",
	    OFFER "S 220 go\nTLS\nS 220 mx1.test\n", "STALL\n", STAYS },
	{ "I-02 a session in advance", KIND_HOST, "protocol",
	    "R 220 mx1.test\\r\\n250 mx1.test\\r\\n250 ok\\r\\n"
	    "250 ok\\r\\n354 go\\r\\n250 ok\\r\\n\n", "STALL\n", STAYS },
	{ "I-04 half an answer in advance", KIND_HOST, "protocol",
	    GREETING "R 250-mx1.test\\r\\n250 STARTTLS\\r\\n22\n",
	    "STALL\n", STAYS },
	{ "N-15 greeting 354", KIND_HOST, "protocol", "S 354 go\n", GOODBYE,
	    STAYS },
	{ "N-15 greeting 421", KIND_HOST, "reply", "S 421 no\n", GOODBYE,
	    STAYS },
	{ "N-16 bare line feed", KIND_HOST, "protocol",
	    GREETING "R 250-mx1.test\\n250 STARTTLS\\n\n", "STALL\n", STAYS },
	{ "greeting 554", KIND_HOST, "reply", "S 554 no\n", GOODBYE, STAYS },
	{ "greeting 530", KIND_HOST, "reply", "S 530 5.7.0 TLS\n", GOODBYE,
	    STAYS },
	{ "EHLO 421", KIND_HOST, "reply", GREETING "S 421 busy\n", GOODBYE,
	    STAYS },
	{ "lost behind the greeting", KIND_HOST, "lost", GREETING "RESET\n",
	    "", STAYS },
};
enum { SYMPTOM_COUNT = sizeof(symptoms) / sizeof(symptoms[0]) };

#define TRANSACTION \
	"C MAIL FROM:<sender@example.org>\nS 250 ok\n" \
	"C RCPT TO:<a@example.net>\nS 250 ok\nC DATA\nS 354 go\nD\n" \
	"S 250 ok\nC QUIT\nS 221 bye\n"
#define CLEAR_CONNECTION \
	"server\nS 220 mx1.test\nC EHLO client.test\n" \
	"S 250-mx1.test\nS 250 STARTTLS\n" TRANSACTION
#define WORLD "timeout reply 1\ntimeout handshake 1\njob\nto a@example.net\n"

static void play(const char *name, const char *script,
    struct dialog_result *result)
{
	dialog_play(script, result);
	if (result->error[0] != '\0')
		print_error("%s\n%s\n%s\n", name, result->transcript,
		    result->error);
	assert_string_equal(result->error, "");
}

/* What is observed of the first connection: RPT-35, RPT-39. */
static void check_observed(const struct symptom_case *symptom)
{
	const struct observation *seen = &fake_policy_seen[0];
	bool is_handshake = strcmp(symptom->reason, "tls-handshake") == 0;

	assert_true(fake_policy_seen_count > 0);
	if (symptom->kind == KIND_HOST) {
		assert_int_equal(seen->stage, OBSERVED_FAILED);
		assert_string_equal(seen->symptom, "");
		return;
	}
	assert_int_equal(seen->result, is_handshake ?
	    RESULT_VALIDATION_FAILURE : RESULT_STARTTLS_NOT_SUPPORTED);
	assert_string_not_equal(seen->symptom, "");
	assert_string_not_equal(seen->reason, "");
	assert_string_equal(seen->host, "mx1.test");
	/* "EHLO 5xx" has none to tell. */
	if (strstr(symptom->opening, "S 250-mx1.test") != NULL)
		assert_string_not_equal(seen->keywords, "");
}

/* Deferred, in words that name the host, and nothing said in clear. */
static void play_deferred(const char *name, const char *plan,
    const struct symptom_case *symptom)
{
	struct dialog_result *result = mem_alloc(sizeof(*result));
	char *script = mem_print("%s%sexpect-all deferred\nserver\n%s%s",
	    WORLD, plan, symptom->opening, symptom->end);

	play(name, script, result);
	assert_int_equal(result->mail_in_clear, 0);
	assert_int_equal(result->connections, 1);
	assert_int_equal(result->first.outcome, STATUS_DEFERRED);
	assert_int_equal(result->first.enhanced_class, 4);
	assert_string_equal(status_reason_name(result->first.reason),
	    symptom->reason);
	assert_non_null(strstr(result->first.host, "mx1.test"));
	assert_int_equal(fake_policy_seen_count, 1);
	assert_int_equal(fake_policy_seen[0].stage, OBSERVED_FAILED);
	check_observed(symptom);
	if (symptom->kind != KIND_HOST) {
		assert_non_null(strstr(result->first.text, "expected TLS"));
		assert_non_null(strstr(result->first.text, "seen: "));
	}
	mem_free(script);
	mem_free(result);
}

static void refuse_all(const char *plan)
{
	size_t i;

	for (i = 0; i < SYMPTOM_COUNT; i++)
		play_deferred(symptoms[i].name, plan, &symptoms[i]);
}

static void encrypted(void **state)
{
	(void)state;
	refuse_all("require encrypted\nno-starttls clear\nbroken-tls clear\n");
}

static void name(void **state)
{
	(void)state;
	refuse_all("require name\nno-starttls clear\nbroken-tls clear\n");
}

static void fingerprint(void **state)
{
	(void)state;
	refuse_all("require fingerprint\npin good\nno-starttls clear\n"
	    "broken-tls clear\n");
}

/* DANE-79 to DANE-82, whoever asks for it. */
static void dane(void **state)
{
	(void)state;
	refuse_all("require dane\ntlsa 3 1 good\nno-starttls clear\n"
	    "broken-tls clear\n");
	refuse_all("require dane\nsource half-dane\ntlsa 2 1 authority\n"
	    "tlsa 3 0 good\nno-starttls 3600\nbroken-tls 3600\n"
	    "trouble 999999\n");
}

/* DANE-76: nothing usable, but TLS all the same. */
static void dane_unusable(void **state)
{
	(void)state;
	refuse_all("require encrypted\nsource dane\nno-starttls clear\n"
	    "broken-tls clear\n");
}

static void sts(void **state)
{
	(void)state;
	refuse_all("require name\nsource sts\nno-starttls clear\n"
	    "broken-tls clear\n");
}

static void opportunistic_defer(void **state)
{
	(void)state;
	refuse_all("no-starttls defer\nbroken-tls defer\n"
	    "trouble 999999\n");
}

/* clear-after counts from the first trouble of the message: too young. */
static void opportunistic_young(void **state)
{
	(void)state;
	refuse_all("no-starttls 3600\nbroken-tls 3600\n");
}

static void opportunistic_nearly(void **state)
{
	(void)state;
	refuse_all("no-starttls 3600\nbroken-tls 3600\ntrouble 3500\n");
}

/* What the client says in clear on the same connection. */
static const char *continuation(const struct symptom_case *symptom)
{
	if (strstr(symptom->name, "EHLO 5") != NULL)
		return "C HELO client.test\nS 250 mx1.test\n" TRANSACTION;
	return TRANSACTION;
}

static void play_clear(const struct symptom_case *symptom, const char *plan)
{
	struct dialog_result *result = mem_alloc(sizeof(*result));
	bool broken = symptom->kind == KIND_BROKEN;
	char *script = mem_print("%s%sexpect-all relayed\n"
	    "expect-tls a@example.net none\nserver\n%s%s%s", WORLD, plan,
	    symptom->opening,
	    broken ? symptom->end : continuation(symptom),
	    broken ? CLEAR_CONNECTION : "");

	play(symptom->name, script, result);
	assert_int_equal(result->mail_in_clear, 3);
	assert_int_equal(result->connections, broken ? 2 : 1);
	assert_int_equal(result->tls_trouble, broken);
	/* One for each connection, the last of them in clear. */
	assert_int_equal(fake_policy_seen_count, result->connections);
	assert_int_equal(fake_policy_seen[result->connections - 1].stage,
	    OBSERVED_CLEAR);
	check_observed(symptom);
	mem_free(script);
	mem_free(result);
}

static void allow_all(const char *plan)
{
	size_t i;

	for (i = 0; i < SYMPTOM_COUNT; i++) {
		if (symptoms[i].kind == KIND_MISSING ||
		    symptoms[i].kind == KIND_BROKEN)
			play_clear(&symptoms[i], plan);
		else
			play_deferred(symptoms[i].name, plan, &symptoms[i]);
	}
}

static void opportunistic_clear(void **state)
{
	(void)state;
	allow_all("no-starttls clear\nbroken-tls clear\n");
}

static void opportunistic_old_enough(void **state)
{
	(void)state;
	allow_all("no-starttls 3600\nbroken-tls 3600\ntrouble 3700\n");
}

/* Each option rules its own symptoms. */
static void options_apart(void **state)
{
	size_t i;

	(void)state;
	for (i = 0; i < SYMPTOM_COUNT; i++) {
		if (symptoms[i].kind == KIND_MISSING)
			play_deferred(symptoms[i].name,
			    "no-starttls defer\nbroken-tls clear\n",
			    &symptoms[i]);
		if (symptoms[i].kind == KIND_BROKEN)
			play_deferred(symptoms[i].name,
			    "no-starttls clear\nbroken-tls defer\n",
			    &symptoms[i]);
	}
}

/* REQ-42 to REQ-45: returned with 5.7.10 where TLS is not to be had for a
 * reason that stays, else it waits; never a word of mail in clear. */
static void requiretls(const char *plan)
{
	struct dialog_result *result = mem_alloc(sizeof(*result));
	size_t i;

	for (i = 0; i < SYMPTOM_COUNT; i++) {
		const struct symptom_case *symptom = &symptoms[i];
		bool returned = symptom->kind != KIND_HOST && !symptom->passes;
		char *script = mem_print("%s%sexpect-all %s\nserver\n%s%s",
		    WORLD, plan, returned ? "failed 5.7.10 requiretls" :
		    "deferred", symptom->opening, symptom->end);

		play(symptom->name, script, result);
		assert_int_equal(result->mail_in_clear, 0);
		assert_int_equal(result->connections, 1);
		if (!returned)
			assert_string_equal(status_reason_name(
			    result->first.reason), symptom->reason);
		check_observed(symptom);
		mem_free(script);
	}
	mem_free(result);
}

static void requiretls_dane(void **state)
{
	(void)state;
	requiretls("wish requiretls\nrequire dane\ntlsa 3 1 good\n"
	    "no-starttls clear\nbroken-tls clear\n");
}

static void requiretls_name(void **state)
{
	(void)state;
	requiretls("wish requiretls\nrequire name\nsource requiretls\n"
	    "no-starttls clear\nbroken-tls clear\n");
}

/* REQ-73: a notification about such a message is as other mail in the end. */
static void bounce(void **state)
{
	(void)state;
	refuse_all("wish bounce\nrequire encrypted\nno-starttls clear\n"
	    "broken-tls clear\n");
	refuse_all("wish bounce\nno-starttls defer\nbroken-tls defer\n");
}

/* DANE-140, STS-108, REQ-55 to REQ-57: nothing published holds it up; what an
 * administrator demands, and an attack, do (REQ-60). */
static void optional(void **state)
{
	(void)state;
	allow_all("wish optional\nideal dane dane\ntlsa 3 1 good\n"
	    "no-starttls clear\nbroken-tls clear\n");
	allow_all("wish optional\nideal name sts\nsts 7\n"
	    "no-starttls clear\nbroken-tls clear\n");
	refuse_all("wish optional\nrequire encrypted\nideal dane dane\n"
	    "tlsa 3 1 good\nno-starttls clear\nbroken-tls clear\n");
}

#define INSISTENCE "C MAIL FROM:<sender@example.org>\n" \
	"S 530 5.7.0 Must issue a STARTTLS command first\n" GOODBYE

/* REQ-59: and the server takes nothing in clear. */
static void optional_insisted(void **state)
{
	struct dialog_result *result = mem_alloc(sizeof(*result));
	size_t i;

	(void)state;
	for (i = 0; i < SYMPTOM_COUNT; i++) {
		const struct symptom_case *symptom = &symptoms[i];
		bool broken = symptom->kind == KIND_BROKEN;
		char *script;

		if (symptom->kind != KIND_MISSING && !broken)
			continue;
		script = mem_print("%swish optional\nno-starttls clear\n"
		    "broken-tls clear\nexpect-all %s reply\n"
		    "server\n%s%s%s%s%s", WORLD, symptom->passes ?
		    "deferred 4.7.0" : "failed 5.7.0", symptom->opening,
		    broken ? symptom->end : "",
		    broken ? "server\nS 220 mx1.test\nC EHLO client.test\n"
		    "S 250-mx1.test\nS 250 STARTTLS\n" : "",
		    strstr(symptom->name, "EHLO 5") != NULL ?
		    "C HELO client.test\nS 250 mx1.test\n" : "",
		    INSISTENCE);
		play(symptom->name, script, result);
		mem_free(script);
	}
	mem_free(result);
}

/* An ideal beside an opportunistic host changes nothing. */
static void ideal(void **state)
{
	(void)state;
	allow_all("ideal dane dane\ntlsa 2 1 authority\ntlsa 3 1 bad\n"
	    "no-starttls clear\nbroken-tls clear\n");
	refuse_all("ideal name sts\nno-starttls defer\nbroken-tls defer\n");
	refuse_all("ideal name\nno-starttls 3600\nbroken-tls 3600\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(encrypted),
		cmocka_unit_test(name),
		cmocka_unit_test(fingerprint),
		cmocka_unit_test(dane),
		cmocka_unit_test(dane_unusable),
		cmocka_unit_test(sts),
		cmocka_unit_test(opportunistic_defer),
		cmocka_unit_test(opportunistic_young),
		cmocka_unit_test(opportunistic_nearly),
		cmocka_unit_test(opportunistic_clear),
		cmocka_unit_test(opportunistic_old_enough),
		cmocka_unit_test(options_apart),
		cmocka_unit_test(requiretls_dane),
		cmocka_unit_test(requiretls_name),
		cmocka_unit_test(bounce),
		cmocka_unit_test(optional),
		cmocka_unit_test(optional_insisted),
		cmocka_unit_test(ideal),
	};
	int status;

	dialog_init();
	status = cmocka_run_group_tests(tests, NULL, NULL);
	dialog_release();
	return status;
}
