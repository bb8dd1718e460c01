/* SPDX-License-Identifier: ISC */
/*
 * What the log says of mail on its way: requiretls= and keyword= (REQ-95), a
 * downgrade that memory knew better of, an ideal that was not met (at debug,
 * and never more), and a notification that was given up.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/log.h"
#include "base/mem.h"
#include "tests/dialog-client/dialog.h"

enum { LOGGED_MAX = 64 << 10 };

static char logged[LOGGED_MAX];

/* Plays the script; what went to descriptor 2 meanwhile is in logged. */
static void play(const char *script, enum log_level level)
{
	struct dialog_result *result = mem_alloc(sizeof(*result));
	FILE *file = tmpfile();
	int kept = dup(STDERR_FILENO);
	size_t length;

	assert_non_null(file);
	dup2(fileno(file), STDERR_FILENO);
	log_set_level(level);
	dialog_play(script, result);
	log_flush();
	log_set_level(LOG_LEVEL_ERROR);
	dup2(kept, STDERR_FILENO);
	close(kept);
	rewind(file);
	length = fread(logged, 1, sizeof(logged) - 1, file);
	logged[length] = '\0';
	fclose(file);
	assert_string_equal(result->error, "");
	mem_free(result);
}

/* How many lines of the log have all of these words. */
static unsigned count(const char *one, const char *two, const char *three)
{
	char *copy = mem_dup_string(logged), *rest = copy, *line;
	unsigned found = 0;

	while ((line = strsep(&rest, "\n")) != NULL)
		found += strstr(line, one) != NULL &&
		    strstr(line, two) != NULL && strstr(line, three) != NULL;
	mem_free(copy);
	return found;
}

#define CLEAR "server\nS 220 mx1.test\nC EHLO client.test\nS 250 mx1.test\n"
#define UNDER_TLS(certificate, keyword) \
	"server\nS 220 mx1.test\nC EHLO client.test\nS 250-mx1.test\n" \
	"S 250 STARTTLS\nC STARTTLS\nS 220 go\nTLS " certificate "\n" \
	"C EHLO client.test\nS 250-mx1.test\nS 250 " keyword "\n"
#define MAIL(sender, more, to) \
	"C MAIL FROM:<" sender ">" more "\nS 250 ok\n" \
	"C RCPT TO:<" to ">\nS 250 ok\nC DATA\nS 354 go\nD\nS 250 ok\n"
#define BYE "C QUIT\nS 221 bye\n"
#define SENDER "sender@example.org"

/* REQ-95: attributable, whether it went or not. */
static void requiretls(void **state)
{
	(void)state;
	play("job\nwish requiretls\nrequire name\nsource sts\n"
	    "to a@example.net\nexpect-all relayed\n"
	    "job\nwish requiretls\nrequire name\nsource sts\n"
	    "to b@example.net\nexpect-all failed\n"
	    "job\nto c@example.net\nexpect-all relayed\n"
	    UNDER_TLS("good", "REQUIRETLS")
	    MAIL(SENDER, " REQUIRETLS", "a@example.net") BYE
	    UNDER_TLS("good", "DSN") BYE
	    CLEAR MAIL(SENDER, "", "c@example.net") BYE, LOG_LEVEL_INFO);
	assert_int_equal(count("relayed r=a@", "tls=sts",
	    "requiretls=yes"), 1);
	assert_int_equal(count("relayed r=a@", "keyword=yes",
	    "why=\"as the test says\""), 1);
	assert_int_equal(count("failed r=b@", "requiretls=yes",
	    "keyword=no"), 1);
	assert_int_equal(count("failed r=b@", "status=5.7.30",
	    "reason=requiretls"), 1);
	assert_int_equal(count("relayed r=c@", "requiretls=no", ""), 1);
	assert_int_equal(count("relayed r=c@", "keyword=", ""), 0);
}

/* One warning for a connection, however many messages go over it. */
static void downgrade(void **state)
{
	(void)state;
	play("reuse 5\njob\nexpects-tls\nto a@example.net\n"
	    "expect-all relayed\njob\nexpects-tls\nto b@example.net\n"
	    "expect-all relayed\n" CLEAR MAIL(SENDER, "", "a@example.net")
	    MAIL(SENDER, "", "b@example.net") BYE, LOG_LEVEL_INFO);
	assert_int_equal(count(" downgrade ", "relay=mx1.test",
	    "level=warn"), 1);
	assert_int_equal(count(" downgrade ",
	    "seen=\"STARTTLS is not offered\"", "mail=clear"), 1);
	/* Not when TLS is there, nor where nothing was expected. */
	play("job\nexpects-tls\nto a@example.net\nexpect-all relayed\n"
	    "job\nto a@example.net\nexpect-all relayed\n"
	    UNDER_TLS("self", "DSN") MAIL(SENDER, "", "a@example.net") BYE
	    CLEAR MAIL(SENDER, "", "a@example.net") BYE, LOG_LEVEL_INFO);
	assert_int_equal(count("downgrade", "", ""), 0);
}

/* After broken TLS, on the connection of its own. */
static void downgrade_broken(void **state)
{
	(void)state;
	play("job\nexpects-tls\nbroken-tls clear\nto a@example.net\n"
	    "expect-all relayed\nserver\nS 220 mx1.test\n"
	    "C EHLO client.test\nS 250-mx1.test\nS 250 STARTTLS\n"
	    "C STARTTLS\nS 454 no\n" BYE
	    CLEAR MAIL(SENDER, "", "a@example.net") BYE, LOG_LEVEL_INFO);
	assert_int_equal(count(" downgrade ",
	    "seen=\"STARTTLS was refused for now\"", "level=warn"), 1);
}

/* Told at debug; the line about the mail promises what was required. */
static void ideal(void **state)
{
	static const char script[] =
	    "job\nwish optional\nideal dane dane\ntlsa 3 1 bad\n"
	    "to a@example.net\nexpect-all relayed\n"
	    UNDER_TLS("good", "DSN") MAIL(SENDER, "", "a@example.net") BYE;

	(void)state;
	play(script, LOG_LEVEL_DEBUG);
	assert_int_equal(count(" ideal ", "met=no",
	    "seen=\"no TLSA record matches"), 1);
	assert_int_equal(count("relayed r=a@", "tls=opportunistic",
	    "requiretls=no"), 1);
	play(script, LOG_LEVEL_INFO);
	assert_int_equal(count("ideal", "", ""), 0);
	assert_int_equal(count("level=warn", "", ""), 0);
}

/* requiretls-bounce = drop: somebody should hear of it. */
static void dropped(void **state)
{
	(void)state;
	play("requiretls-bounce drop\njob\nwish bounce\nideal name\n"
	    "to a@example.net\nexpect-all failed\n"
	    UNDER_TLS("good", "DSN") BYE, LOG_LEVEL_INFO);
	assert_int_equal(count("requiretls-notification-dropped",
	    "why=\"mx1.test", "level=warn"), 1);
	assert_int_equal(count("failed r=a@", "requiretls=yes",
	    "keyword=no"), 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(requiretls),
		cmocka_unit_test(downgrade),
		cmocka_unit_test(downgrade_broken),
		cmocka_unit_test(ideal),
		cmocka_unit_test(dropped),
	};
	int status;

	dialog_init();
	status = cmocka_run_group_tests(tests, NULL, NULL);
	dialog_release();
	return status;
}
