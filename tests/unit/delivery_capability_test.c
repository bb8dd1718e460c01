/* SPDX-License-Identifier: ISC */
/*
 * delivery/capability.c and symptom.c: what is offered, and what only looks as
 * if it had been.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "delivery/answer.h"
#include "delivery/capability.h"
#include "delivery/symptom.h"

enum { TLS = 1, MANGLED = 2, PIPELINING = 4, BIT8 = 8, UTF8 = 16, DSN = 32,
    SIZE = 64, REQUIRETLS = 128 };

static const struct capability_case {
	const char	*lines;
	int		 flags;
	uint64_t	 limit;
} cases[] = {
	{ "250 mx\r\n", 0, 0 },
	/* the first line is a name, whatever it says */
	{ "250 STARTTLS\r\n", 0, 0 },
	{ "250-mx\r\n250 STARTTLS\r\n", TLS, 0 },
	{ "250-mx\r\n250 starttls\r\n", TLS, 0 },
	{ "250-mx\r\n250 STARTTLS  \r\n", TLS, 0 },
	{ "250-mx\r\n250 STARTTLS junk\r\n", TLS, 0 },
	{ "250-mx\r\n250-PIPELINING\r\n250-8BITMIME\r\n250-SMTPUTF8\r\n"
	    "250-DSN\r\n250-SIZE 1000\r\n250 STARTTLS\r\n",
	    TLS | PIPELINING | BIT8 | UTF8 | DSN | SIZE, 1000 },
	/* REQ-1 */
	{ "250-mx\r\n250 requiretls\r\n", REQUIRETLS, 0 },
	{ "250-mx\r\n250 REQUIRETLSX\r\n", 0, 0 },
	/* SMTP-92, SMTP-94 */
	{ "250-mx\r\n250 SIZE\r\n", SIZE, 0 },
	{ "250-mx\r\n250 SIZE 0\r\n", SIZE, 0 },
	{ "250-mx\r\n250 SIZE 18446744073709551615\r\n", SIZE, UINT64_MAX },
	{ "250-mx\r\n250 SIZE 18446744073709551616\r\n", SIZE, 0 },
	{ "250-mx\r\n250 SIZE 99999999999999999999\r\n", SIZE, 0 },
	{ "250-mx\r\n250 SIZE 12x\r\n", SIZE, 0 },
	{ "250-mx\r\n250 SIZEX 12\r\n", 0, 0 },
	/* TLS-56 */
	{ "250-mx\r\n250 XXXXXXXA\r\n", MANGLED, 0 },
	{ "250-mx\r\n250 XXXXXXXX\r\n", MANGLED, 0 },
	{ "250-mx\r\n250 ********\r\n", MANGLED, 0 },
	{ "250-mx\r\n250 STARTTLSX\r\n", MANGLED, 0 },
	{ "250-mx\r\n250 xstarttls\r\n", 0, 0 },
	{ "250-mx\r\n250 X-FOOBAR\r\n", 0, 0 },
	{ "250-mx\r\n250-XXXXXXXX\r\n250 STARTTLS\r\n", TLS, 0 },
	{ "250-mx\r\n250-\r\n250 \r\n", 0, 0 },
};

/* RFC 9422 4.1: what is not of its form is no limit. */
static void limits(void **state)
{
	static const struct {
		const char	*line;
		unsigned	 mail, recipients;
	} wanted[] = {
		{ "LIMITS", 0, 0 }, { "LIMITS ", 0, 0 },
		{ "LIMITS MAILMAX=5", 5, 0 },
		{ "limits rcptmax=7 mailmax=5", 5, 7 },
		{ "LIMITS RCPTDOMAINMAX=1 RCPTMAX=999999", 0, 999999 },
		{ "LIMITS RCPTMAX=1000000", 0, 0 },
		{ "LIMITS RCPTMAX=0", 0, 0 }, { "LIMITS RCPTMAX=01", 0, 0 },
		{ "LIMITS RCPTMAX=", 0, 0 }, { "LIMITS RCPTMAX=x", 0, 0 },
		{ "LIMITS RCPTMAX=1x MAILMAX=2", 2, 0 },
		{ "LIMITS RCPTMAX = 5", 0, 0 }, { "LIMITS  MAILMAX=2", 2, 0 },
		{ "LIMITS XMAILMAX=2 X=y=z", 0, 0 }, { "LIMITSX MAILMAX=2",
		    0, 0 },
	};
	struct capability capability;
	struct answer answer;
	struct buf input;

	(void)state;
	for (size_t i = 0; i < sizeof(wanted) / sizeof(wanted[0]); i++) {
		answer_init(&answer);
		buf_init(&input, 4096);
		buf_print(&input, "250-mx\r\n250 %s\r\n", wanted[i].line);
		assert_int_equal(answer_read(&answer, &input), ANSWER_READY);
		capability_read(&capability, &answer);
		if (capability.mail_max != wanted[i].mail ||
		    capability.recipient_max != wanted[i].recipients)
			fail_msg("%s: %u %u", wanted[i].line,
			    capability.mail_max, capability.recipient_max);
		buf_release(&input);
		answer_release(&answer);
	}
}

static int flags_of(const struct capability *capability)
{
	return (capability->starttls ? TLS : 0) |
	    (capability->starttls_mangled ? MANGLED : 0) |
	    (capability->pipelining ? PIPELINING : 0) |
	    (capability->eight_bit ? BIT8 : 0) |
	    (capability->utf8 ? UTF8 : 0) | (capability->dsn ? DSN : 0) |
	    (capability->size ? SIZE : 0) |
	    (capability->requiretls ? REQUIRETLS : 0);
}

static void table(void **state)
{
	struct capability capability;
	struct answer answer;
	struct buf input;
	size_t i;

	(void)state;
	memset(&capability, 0xff, sizeof(capability));
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		answer_init(&answer);
		buf_init(&input, 4096);
		buf_add_string(&input, cases[i].lines);
		assert_int_equal(answer_read(&answer, &input), ANSWER_READY);
		capability_read(&capability, &answer);
		if (flags_of(&capability) != cases[i].flags ||
		    capability.size_limit != cases[i].limit)
			fail_msg("%s: flags %d, limit %llu", cases[i].lines,
			    flags_of(&capability),
			    (unsigned long long)capability.size_limit);
		buf_release(&input);
		answer_release(&answer);
	}
}

/* What is remembered of an EHLO in clear. */
static void words(void **state)
{
	static const struct {
		const char	*lines;
		size_t		 size;
		const char	*words;
	} wanted[] = {
		{ "250 mx\r\n", 100, "" },
		{ "250-mx greets\r\n250 STARTTLS\r\n", 100, "STARTTLS" },
		{ "250-mx\r\n250-Size 10 20\r\n250-\r\n250-XXXXXXXA\r\n"
		    "250 HELP \r\n", 100, "Size XXXXXXXA HELP" },
		{ "250-mx\r\n250-ONE\r\n250-TWO\r\n250 THREE\r\n", 9,
		    "ONE TWO" },
		{ "250-mx\r\n250-ONE\r\n250 TWO\r\n", 8, "ONE TWO" },
		{ "250-mx\r\n250-ONE\r\n250 TWO\r\n", 7, "ONE" },
		{ "250-mx\r\n250 a\x01\xff\r\n", 100, "a??" },
	};
	struct answer answer;
	struct buf input;
	char out[100];
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(wanted) / sizeof(wanted[0]); i++) {
		answer_init(&answer);
		buf_init(&input, 4096);
		buf_add_string(&input, wanted[i].lines);
		assert_int_equal(answer_read(&answer, &input), ANSWER_READY);
		memset(out, 'x', sizeof(out));
		capability_words(&answer, out, wanted[i].size);
		assert_string_equal(out, wanted[i].words);
		buf_release(&input);
		answer_release(&answer);
	}
}

/* TLS-32 */
static void reset(void **state)
{
	struct capability capability;

	(void)state;
	memset(&capability, 1, sizeof(capability));
	capability_reset(&capability);
	assert_int_equal(flags_of(&capability), 0);
	assert_int_equal(capability.size_limit, 0);
}

/* TLS-74: each symptom has words, a reason, and a code of class 4; at most one
 * of the two options rules it. */
static void symptoms(void **state)
{
	int i;

	(void)state;
	for (i = SYMPTOM_NONE; i < SYMPTOMS; i++) {
		enum symptom symptom = (enum symptom)i;

		assert_non_null(symptom_name(symptom));
		assert_non_null(symptom_text(symptom));
		assert_int_equal(symptom_enhanced(symptom)[0], '4');
		assert_false(symptom_is_missing(symptom) &&
		    symptom_is_broken(symptom));
		/* RPT-35, RPT-39 */
		assert_int_equal(symptom_result(symptom),
		    symptom == SYMPTOM_NONE ||
		    symptom == SYMPTOM_NO_REQUIRETLS ? RESULT_SUCCESS :
		    strncmp(symptom_name(symptom), "starttls-", 9) == 0 &&
		    symptom != SYMPTOM_INJECTION ?
		    RESULT_STARTTLS_NOT_SUPPORTED :
		    symptom == SYMPTOM_NO_EHLO ?
		    RESULT_STARTTLS_NOT_SUPPORTED :
		    RESULT_VALIDATION_FAILURE);
		/* An observation has room for 23 bytes of it. */
		assert_in_range(strlen(symptom_name(symptom)), 1, 23);
		if (symptom != SYMPTOM_NONE)
			assert_int_not_equal(symptom_reason(symptom,
			    SOURCE_LEVEL), REASON_NONE);
		/* Who asks matters to certificates alone. */
		if (symptom != SYMPTOM_CERTIFICATE)
			assert_int_equal(symptom_reason(symptom, SOURCE_DANE),
			    symptom_reason(symptom, SOURCE_STS));
	}
	/* REQ-45: what is only for now */
	assert_false(symptom_is_lasting(SYMPTOM_REFUSED_FOR_NOW));
	assert_false(symptom_is_lasting(SYMPTOM_CLOSING));
	assert_false(symptom_is_lasting(SYMPTOM_CUT));
	assert_false(symptom_is_lasting(SYMPTOM_STALLED));
	assert_false(symptom_is_lasting(SYMPTOM_INJECTION));
	assert_true(symptom_is_lasting(SYMPTOM_ABSENT));
	assert_true(symptom_is_lasting(SYMPTOM_REFUSED));
	assert_true(symptom_is_lasting(SYMPTOM_CERTIFICATE));
	assert_true(symptom_is_lasting(SYMPTOM_NO_REQUIRETLS));
	assert_int_equal(symptom_reason(SYMPTOM_CERTIFICATE, SOURCE_DANE),
	    REASON_DANE_MISMATCH);
	assert_int_equal(symptom_reason(SYMPTOM_CERTIFICATE,
	    SOURCE_HALF_DANE), REASON_DANE_MISMATCH);
	assert_int_equal(symptom_reason(SYMPTOM_CERTIFICATE, SOURCE_STS),
	    REASON_STS_CERTIFICATE);
	assert_int_equal(symptom_reason(SYMPTOM_CERTIFICATE, SOURCE_PIN),
	    REASON_CERTIFICATE);
	assert_false(symptom_is_broken(SYMPTOM_INJECTION));
	assert_false(symptom_is_broken(SYMPTOM_CERTIFICATE));
	assert_false(symptom_is_missing(SYMPTOM_CERTIFICATE));
	assert_true(symptom_is_missing(SYMPTOM_NO_EHLO));
	assert_true(symptom_is_broken(SYMPTOM_STALLED));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(table),
		cmocka_unit_test(limits),
		cmocka_unit_test(words),
		cmocka_unit_test(reset),
		cmocka_unit_test(symptoms),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
