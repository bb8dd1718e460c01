/* SPDX-License-Identifier: ISC */
/*
 * smtpd/verbs.c and refusal.c as tables: what each verb needs before it, and
 * that every answer is well-formed.
 */
#include <ctype.h>
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "smtpd/refusal.h"
#include "smtpd/verbs.h"

/* SMTP-26, SMTP-45, SMTP-49, SMTP-8, TLS-15, SMTP-27 */
static const struct {
	const char	*name;
	unsigned	 flags;
} wanted[] = {
	/* SMTP-188 */
	{ "EHLO", VERB_BEFORE_TLS | VERB_LAST | VERB_NOT_LMTP },
	{ "HELO", VERB_LAST | VERB_NOT_LMTP },
	{ "LHLO", VERB_BEFORE_TLS | VERB_LAST | VERB_LMTP },
	{ "STARTTLS", VERB_BEFORE_TLS | VERB_LAST },
	{ "MAIL", VERB_AFTER_HELLO | VERB_KNOWN_CLIENT | VERB_UTF8 },
	{ "RCPT", VERB_AFTER_HELLO | VERB_KNOWN_CLIENT | VERB_AFTER_MAIL |
	    VERB_UTF8 },
	{ "DATA", VERB_AFTER_HELLO | VERB_KNOWN_CLIENT | VERB_AFTER_MAIL |
	    VERB_LAST | VERB_NO_ARGUMENT },
	{ "RSET", VERB_NO_ARGUMENT },
	{ "NOOP", VERB_BEFORE_TLS },
	{ "QUIT", VERB_BEFORE_TLS | VERB_NO_ARGUMENT },
	{ "VRFY", VERB_KNOWN_CLIENT | VERB_UTF8 },
	{ "HELP", 0 },
	{ "EXPN", 0 },
};

static void test_flags(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(wanted) / sizeof(wanted[0]); i++) {
		const struct verb *verb = verb_find(wanted[i].name);

		assert_non_null(verb);
		if ((verb->flags & ~(unsigned)VERB_CHATTER) != wanted[i].flags)
			fail_msg("%s: flags %x", verb->name, verb->flags);
	}
	/* BDAT must see its own line whatever the state: octets follow. */
	assert_true(verb_find("BDAT")->flags & VERB_OWN_CHECKS);
}

/* SMTP-12 */
static void test_find(void **state)
{
	(void)state;
	assert_ptr_equal(verb_find("mail"), verb_find("MAIL"));
	assert_ptr_equal(verb_find("mAiL"), verb_find("MAIL"));
	assert_null(verb_find(""));
	assert_null(verb_find("MAI"));
	assert_null(verb_find("MAILX"));
}

/* SMTP-32, SMTP-113, SMTP-114 */
static void check_refusal(const struct refusal *refusal)
{
	unsigned class, subject, detail;
	char again[32];

	assert_in_range(refusal->code, 400, 599);
	assert_int_equal(sscanf(refusal->enhanced, "%u.%u.%u", &class,
	    &subject, &detail), 3);
	snprintf(again, sizeof(again), "%u.%u.%u", class, subject, detail);
	assert_string_equal(refusal->enhanced, again);
	assert_int_equal(class, refusal->code / 100);
	assert_true(subject <= 7 && detail <= 30);
	assert_true(strlen(refusal->text) < 200);
	for (const char *byte = refusal->text; *byte != '\0'; byte++)
		assert_true(isprint((unsigned char)*byte));
	/* 421 always ends the session and names us (RFC 5321 4.2.2) */
	if (refusal->code == 421)
		assert_true(refusal->close && refusal->host);
}

static void test_refusals(void **state)
{
	static const struct refusal *const all[] = {
		&refusal_unknown, &refusal_not_implemented, &refusal_argument,
		&refusal_no_argument, &refusal_line_long,
		&refusal_line_endless, &refusal_line_bare, &refusal_line_nul,
		&refusal_line_8bit, &refusal_hello_first, &refusal_mail_first,
		&refusal_nested_mail, &refusal_recipient_first,
		&refusal_no_recipients, &refusal_http, &refusal_early,
		&refusal_pipelined, &refusal_starttls_residual,
		&refusal_parameter_unknown, &refusal_parameter_twice,
		&refusal_parameter_value, &refusal_tls_first,
		&refusal_tls_active, &refusal_tls_transaction,
		&refusal_tls_disabled, &refusal_tls_unavailable,
		&refusal_sender_syntax, &refusal_sender_domain,
		&refusal_recipient_syntax, &refusal_recipient_domain,
		&refusal_no_user, &refusal_relay, &refusal_recipients,
		&refusal_directory, &refusal_size, &refusal_space,
		&refusal_queue, &refusal_bare_newline, &refusal_nul,
		&refusal_message_line, &refusal_loop, &refusal_chunk_syntax,
		&refusal_chunk_size, &refusal_chunk_absurd,
		&refusal_chunk_after, &refusal_data_after_bdat,
		&refusal_errors, &refusal_timeout, &refusal_stopping,
		&refusal_internal, &refusal_busy, &refusal_busy_client,
	};

	(void)state;
	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
		check_refusal(all[i]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_flags),
		cmocka_unit_test(test_find),
		cmocka_unit_test(test_refusals),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
