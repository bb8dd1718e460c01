/* SPDX-License-Identifier: ISC */
/*
 * smtpd/parameter.c: each parameter, its bounds, and the code of each error.
 */
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "queue/envelope.h"
#include "smtpd/parameter.h"
#include "smtpd/refusal.h"

static const struct {
	const char	*text;
	int		 code;		/* 0: taken */
	uint64_t	 size;
	unsigned	 flags;
	const char	*envid;
} mail_cases[] = {
	{ "", 0, 0, 0, NULL },
	{ " ", 0, 0, 0, NULL },
	{ "x", 501, 0, 0, NULL },			/* no space: SMTP-14 */
	{ " SIZE=0", 0, 0, 0, NULL },			/* SMTP-92 */
	{ " size=100", 0, 100, 0, NULL },		/* SMTP-12 */
	{ "   SIZE=100   BODY=7BIT ", 0, 100, 0, NULL },
	{ " SIZE=18446744073709551615", 0, UINT64_MAX, 0, NULL },
	{ " SIZE=18446744073709551616", 0, UINT64_MAX, 0, NULL },
	{ " SIZE=99999999999999999999", 0, UINT64_MAX, 0, NULL }, /* SMTP-94 */
	{ " SIZE=100000000000000000000", 501, 0, 0, NULL },
	{ " SIZE=+1", 501, 0, 0, NULL },
	{ " SIZE=1\t", 501, 0, 0, NULL },
	{ " SIZE", 501, 0, 0, NULL },
	{ " SIZE=", 501, 0, 0, NULL },
	{ " SIZE=1=2", 501, 0, 0, NULL },
	{ " SIZE=1 SIZE=2", 501, 0, 0, NULL },		/* SMTP-28 */
	{ " BODY=8BITMIME", 0, 0, ENVELOPE_8BIT, NULL },	/* SMTP-100 */
	{ " BODY=8bitmime body=7bit", 501, 0, 0, NULL },
	{ " BODY", 501, 0, 0, NULL },
	{ " BODY=BINARYMIME", 555, 0, 0, NULL },	/* SMTP-106 */
	{ " BODY=other", 501, 0, 0, NULL },
	{ " RET=FULL", 0, 0, ENVELOPE_RET_FULL, NULL },	/* SMTP-120 */
	{ " RET=hdrs", 0, 0, ENVELOPE_RET_HEADERS, NULL },
	{ " RET=", 501, 0, 0, NULL },
	{ " RET=ALL", 501, 0, 0, NULL },
	{ " ENVID=a", 0, 0, 0, "a" },
	{ " ENVID=a+2B+3D", 0, 0, 0, "a+2B+3D" },
	{ " ENVID=+", 501, 0, 0, NULL },
	{ " ENVID=+2", 501, 0, 0, NULL },
	{ " ENVID=+2b", 501, 0, 0, NULL },
	{ " ENVID", 501, 0, 0, NULL },
	{ " FROB", 555, 0, 0, NULL },
	{ " FROB=x", 555, 0, 0, NULL },
	{ " -FROB=x", 501, 0, 0, NULL },
	{ " FR_OB=x", 501, 0, 0, NULL },
	{ " =x", 501, 0, 0, NULL },
	{ " AUTH=<>", 0, 0, 0, NULL },			/* SMTP-150 */
	{ " SMTPUTF8", 0, 0, ENVELOPE_UTF8, NULL },	/* SMTP-137 */
	{ " smtputf8 BODY=8BITMIME", 0, 0, ENVELOPE_UTF8 | ENVELOPE_8BIT,
	    NULL },
	{ " SMTPUTF8=1", 501, 0, 0, NULL },
	{ " SMTPUTF8=", 501, 0, 0, NULL },
	{ " SMTPUTF8 SMTPUTF8", 501, 0, 0, NULL },
	{ " ENVID=\xc3\xb6", 501, 0, 0, NULL },
	{ " REQUIRETLS", 0, 0, ENVELOPE_REQUIRETLS, NULL },	/* REQ-1 */
	{ " requireTLS SIZE=5", 0, 5, ENVELOPE_REQUIRETLS, NULL },
	{ " REQUIRETLS=yes", 501, 0, 0, NULL },
	{ " REQUIRETLS=", 501, 0, 0, NULL },
	{ " REQUIRETLS REQUIRETLS", 501, 0, 0, NULL },	/* REQ-8 */
	{ " REQUIRE-TLS", 555, 0, 0, NULL },
};

static void test_mail(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(mail_cases) / sizeof(mail_cases[0]);
	    i++) {
		struct mail_parameters mail;
		const struct refusal *refusal;
		char text[256];

		snprintf(text, sizeof(text), "%s", mail_cases[i].text);
		refusal = parameters_of_mail(&mail, text);
		if ((refusal == NULL ? 0 : refusal->code) !=
		    mail_cases[i].code)
			fail_msg("\"%s\": %d", mail_cases[i].text,
			    refusal == NULL ? 0 : refusal->code);
		if (refusal != NULL)
			continue;
		assert_true(mail.size == mail_cases[i].size);
		assert_int_equal(mail.flags, mail_cases[i].flags);
		if (mail_cases[i].envid == NULL)
			assert_null(mail.envid);
		else
			assert_string_equal(mail.envid, mail_cases[i].envid);
	}
}

static const struct recipient_case {
	const char	*text;
	int		 code;
	unsigned	 notify;
	const char	*original;
} recipient_cases[] = {
	{ "", 0, 0, NULL },
	{ " NOTIFY=NEVER", 0, NOTIFY_NEVER, NULL },
	{ " notify=success", 0, NOTIFY_SUCCESS, NULL },
	{ " NOTIFY=SUCCESS,FAILURE,DELAY", 0,
	    NOTIFY_SUCCESS | NOTIFY_FAILURE | NOTIFY_DELAY, NULL },
	{ " NOTIFY=DELAY,DELAY", 0, NOTIFY_DELAY, NULL },
	{ " NOTIFY=NEVER,FAILURE", 501, 0, NULL },
	{ " NOTIFY=FAILURE,NEVER", 501, 0, NULL },
	{ " NOTIFY=FAILURE,", 501, 0, NULL },
	{ " NOTIFY=,FAILURE", 501, 0, NULL },
	{ " NOTIFY=FAIL", 501, 0, NULL },
	{ " NOTIFY", 501, 0, NULL },
	{ " NOTIFY=DELAY NOTIFY=DELAY", 501, 0, NULL },
	{ " ORCPT=rfc822;a@b.example", 0, 0, "rfc822;a@b.example" },
	{ " ORCPT=rfc822;a+20b@c", 0, 0, "rfc822;a+20b@c" },
	{ " ORCPT=rfc822;", 501, 0, NULL },
	{ " ORCPT=;a@b", 501, 0, NULL },
	{ " ORCPT=a@b", 501, 0, NULL },
	{ " ORCPT=rfc 822;a", 501, 0, NULL },
	{ " ORCPT=rfc_822;a", 501, 0, NULL },
	{ " ORCPT=rfc822;a+zz", 501, 0, NULL },
	{ " ORCPT=rfc822;a ORCPT=rfc822;a", 501, 0, NULL },
	{ " SIZE=1", 555, 0, NULL },
	/* SMTP-143: the forms of RFC 6533 3 */
	{ " ORCPT=utf-8;j\\x{F6}rg@b.example", 0, 0,
	    "utf-8;j\\x{F6}rg@b.example" },
	{ " ORCPT=UTF-8;a@b.example", 0, 0, "UTF-8;a@b.example" },
	{ " ORCPT=utf-8;j\xc3\xb6rg@b.example", 501, 0, NULL },
};

/* Where MAIL said SMTPUTF8. */
static const struct recipient_case utf8_cases[] = {
	{ " ORCPT=utf-8;j\xc3\xb6rg@b.example", 0, 0,
	    "utf-8;j\xc3\xb6rg@b.example" },
	{ " ORCPT=utf-8;j\xc3@b.example", 501, 0, NULL },
	{ " ORCPT=utf-8;a+20b@b.example", 501, 0, NULL },
	{ " ORCPT=utf-8;\\x{0D}@b.example", 501, 0, NULL },
	{ " ORCPT=rfc822;j\xc3\xb6rg@b.example", 501, 0, NULL },
	{ " ORCPT=\xc3\xb6;a@b.example", 501, 0, NULL },
	{ " NOTIFY=\xc3\xb6", 501, 0, NULL },
	{ " X\xc3\xb6=1", 501, 0, NULL },
};

static void check_recipient(const struct recipient_case *one, bool utf8)
{
	struct recipient_parameters recipient;
	const struct refusal *refusal;
	char text[256];

	snprintf(text, sizeof(text), "%s", one->text);
	refusal = parameters_of_recipient(&recipient, text, utf8);
	if ((refusal == NULL ? 0 : refusal->code) != one->code)
		fail_msg("\"%s\": %d", one->text,
		    refusal == NULL ? 0 : refusal->code);
	if (refusal != NULL)
		return;
	assert_int_equal(recipient.notify, one->notify);
	if (one->original == NULL)
		assert_null(recipient.original);
	else
		assert_string_equal(recipient.original, one->original);
}

static void test_recipient(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(recipient_cases) /
	    sizeof(recipient_cases[0]); i++)
		check_recipient(&recipient_cases[i], false);
	for (size_t i = 0; i < sizeof(utf8_cases) / sizeof(utf8_cases[0]);
	    i++)
		check_recipient(&utf8_cases[i], true);
}

/* SMTP-120: ENVID of 100 and ORCPT of 500 are the longest. */
static void test_lengths(void **state)
{
	char text[600];

	(void)state;
	for (int length = 99; length <= 102; length++) {
		struct mail_parameters mail;
		int at = snprintf(text, sizeof(text), " ENVID=");

		memset(text + at, 'x', (size_t)length);
		text[at + length] = '\0';
		assert_int_equal(parameters_of_mail(&mail, text) == NULL,
		    length <= PARAMETER_ENVID_MAX);
	}
	for (int length = 499; length <= 502; length++) {
		struct recipient_parameters recipient;
		int at = snprintf(text, sizeof(text), " ORCPT=");

		memset(text + at, 'x', (size_t)length);
		memcpy(text + at, "rfc822;", 7);
		text[at + length] = '\0';
		assert_int_equal(parameters_of_recipient(&recipient, text, false) ==
		    NULL, length <= PARAMETER_ORCPT_MAX);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_mail),
		cmocka_unit_test(test_recipient),
		cmocka_unit_test(test_lengths),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
