/* SPDX-License-Identifier: ISC */
/*
 * SMTP-66, SMTP-162, RFC 5321 4.5.4.1: the connection is lost, closed or goes
 * silent behind every single line of a dialogue. Whatever the place, nobody is
 * delivered who was not, nothing fails for good, and before the final dot the
 * next host gets the mail. Also while we log in; and in LMTP behind each of the
 * replies to the message, where those answered are done (SMTP-190).
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "base/buf.h"
#include "base/mem.h"
#include "tests/dialog-client/dialog.h"

#define MAIL "C MAIL FROM:<sender@example.org>", "S 250 ok", \
    "C RCPT TO:<a@example.net>", "S 250 ok", "C RCPT TO:<b@example.net>", \
    "S 250 ok", "C DATA", "S 354 go", "D", "S 250 taken"
#define SECURED "S 220 mx1.test", "C EHLO client.test", "S 250-mx1.test", \
    "S 250 STARTTLS", "C STARTTLS", "S 220 go", "TLS", "C EHLO client.test"

static const struct dialogue {
	const char	*world;
	const char	*requirement;
	const char	*outcome;	/* when nothing is lost */
	size_t		 replies;	/* to the message */
	const char	*lines[32];	/* null at the end */
} smtp = { "", "encrypted", "relayed", 1, { SECURED, "S 250 mx1.test", MAIL } },
    login = { "credentials bob secret\n", "name\nname mx2.test\nname mx1.test",
    "relayed", 1, { SECURED, "S 250-mx1.test", "S 250 AUTH LOGIN",
    "C AUTH LOGIN", "S 334", "C Ym9i", "S 334", "C c2VjcmV0", "S 235 in",
    MAIL } },
    lmtp = { "lmtp\n", "clear", "delivered", 2, { "S 220 mx1.test",
    "C LHLO client.test", "S 250 mx1.test", MAIL, "S 250 taken" } };

static size_t count_lines(const struct dialogue *dialogue)
{
	size_t count = 0;

	while (dialogue->lines[count] != NULL)
		count++;
	return count;
}

static void add_lines(struct buf *script, const struct dialogue *dialogue,
    size_t count)
{
	size_t i;

	for (i = 0; i < count; i++)
		buf_print(script, "%s\n", dialogue->lines[i]);
}

/* replies: how many to the message were heard. In LMTP each is for one. */
static void add_expectations(struct buf *script,
    const struct dialogue *dialogue, size_t replies)
{
	bool first = replies > 0, second = replies >= dialogue->replies;

	buf_print(script, "expect a@example.net %s\nexpect b@example.net %s\n",
	    first ? dialogue->outcome : "deferred",
	    second ? dialogue->outcome : "deferred");
}

/* Lost behind the first `count` lines of host 1; host 2 is well. Behind 354
 * the whole message is said at once: it is small. */
static void lose_at(const struct dialogue *dialogue, size_t count,
    const char *how)
{
	struct dialog_result *result = mem_alloc(sizeof(*result));
	size_t all = count_lines(dialogue), said = all - dialogue->replies - 1;
	bool decided = count >= said;
	struct buf script;

	buf_init(&script, 8192);
	buf_print(&script, "%shosts 2\ntimeout reply 1\ntimeout final 1\n"
	    "timeout greeting 1\ntimeout handshake 1\njob\n"
	    "require %s\nto a@example.net\nto b@example.net\n",
	    dialogue->world, dialogue->requirement);
	add_expectations(&script, dialogue, !decided ? dialogue->replies :
	    count == said ? 0 : count - said - 1);
	buf_print(&script, "server 1\n");
	add_lines(&script, dialogue, count);
	buf_print(&script, "%s\n", how);
	if (!decided) {
		buf_print(&script, "server 2\n");
		add_lines(&script, dialogue, all);
		buf_print(&script, "C QUIT\nS 221 bye\n");
	}
	dialog_play(buf_string(&script), result);
	if (result->error[0] != '\0')
		print_error("%s behind %zu lines\n%s\n%s\n", how, count,
		    result->transcript, result->error);
	assert_string_equal(result->error, "");
	if (dialogue != &lmtp)
		assert_int_equal(result->mail_in_clear, 0);
	assert_int_equal(result->connections, decided ? 1 : 2);
	buf_release(&script);
	mem_free(result);
}

static void lose_everywhere(const char *how)
{
	static const struct dialogue *const all[] = { &smtp, &login, &lmtp };
	size_t i, count;

	for (i = 0; i < sizeof(all) / sizeof(all[0]); i++)
		for (count = 0; count <= count_lines(all[i]); count++)
			lose_at(all[i], count, how);
}

static void resets(void **state)
{
	(void)state;
	lose_everywhere("HEAR 60\nRESET");
}

static void closes(void **state)
{
	(void)state;
	lose_everywhere("HEAR 60\nCLOSE");
}

/* SMTP-157: a deadline for every command; a second each here. */
static void silences(void **state)
{
	(void)state;
	lose_at(&smtp, 0, "STALL");
	lose_at(&smtp, 2, "STALL");
	lose_at(&smtp, 5, "STALL");
	lose_at(&smtp, 6, "STALL");
	lose_at(&smtp, 8, "STALL");
	lose_at(&smtp, 10, "STALL");
	lose_at(&smtp, 12, "STALL");
	lose_at(&smtp, 14, "STALL");
	lose_at(&smtp, 16, "STALL");
	lose_at(&smtp, count_lines(&smtp) - 1, "STALL");
	lose_at(&login, 11, "STALL");
	lose_at(&lmtp, count_lines(&lmtp) - 1, "STALL");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(resets),
		cmocka_unit_test(closes),
		cmocka_unit_test(silences),
	};
	int status;

	dialog_init();
	status = cmocka_run_group_tests(tests, NULL, NULL);
	dialog_release();
	return status;
}
