/* SPDX-License-Identifier: ISC */
/*
 * SMTP-66, SMTP-162, RFC 5321 4.5.4.1: the connection is lost, closed or goes
 * silent behind every single line of a dialogue. Whatever the place, nobody is
 * delivered who was not, nothing fails for good, and before the final dot the
 * next host gets the mail.
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

static const char *const lines[] = {
	"S 220 mx1.test",
	"C EHLO client.test",
	"S 250-mx1.test",
	"S 250 STARTTLS",
	"C STARTTLS",
	"S 220 go",
	"TLS",
	"C EHLO client.test",
	"S 250 mx1.test",
	"C MAIL FROM:<sender@example.org>",
	"S 250 ok",
	"C RCPT TO:<a@example.net>",
	"S 250 ok",
	"C RCPT TO:<b@example.net>",
	"S 250 ok",
	"C DATA",
	"S 354 go",
	"D",
	"S 250 taken",
};
/* Behind 354 the whole message is said at once: it is small. */
enum { LINE_COUNT = sizeof(lines) / sizeof(lines[0]),
    SAID = LINE_COUNT - 2 };

static void add_lines(struct buf *script, size_t count)
{
	size_t i;

	for (i = 0; i < count; i++)
		buf_print(script, "%s\n", lines[i]);
}

/* Lost behind the first `count` lines of host 1; host 2 is well. */
static void lose_at(size_t count, const char *how)
{
	struct dialog_result *result = mem_alloc(sizeof(*result));
	struct buf script;
	bool decided = count >= SAID;

	buf_init(&script, 8192);
	buf_print(&script, "hosts 2\ntimeout reply 1\ntimeout final 1\n"
	    "timeout greeting 1\ntimeout handshake 1\njob\n"
	    "require encrypted\nto a@example.net\nto b@example.net\n"
	    "expect-all %s\nserver 1\n",
	    decided && count < LINE_COUNT ? "deferred" : "relayed");
	add_lines(&script, count);
	buf_print(&script, "%s\n", how);
	if (!decided) {
		buf_print(&script, "server 2\n");
		add_lines(&script, LINE_COUNT);
		buf_print(&script, "C QUIT\nS 221 bye\n");
	}
	dialog_play(buf_string(&script), result);
	if (result->error[0] != '\0')
		print_error("%s behind %zu lines\n%s\n%s\n", how, count,
		    result->transcript, result->error);
	assert_string_equal(result->error, "");
	assert_int_equal(result->mail_in_clear, 0);
	assert_int_equal(result->connections, decided ? 1 : 2);
	buf_release(&script);
	mem_free(result);
}

static void lose_everywhere(const char *how)
{
	size_t count;

	for (count = 0; count <= LINE_COUNT; count++) {
		lose_at(count, how);
	}
}

static void resets(void **state)
{
	(void)state;
	lose_everywhere("PAUSE 30\nRESET");
}

static void closes(void **state)
{
	(void)state;
	lose_everywhere("PAUSE 30\nCLOSE");
}

/* SMTP-157: a deadline for every command; a second each here. */
static void silences(void **state)
{
	(void)state;
	lose_at(0, "STALL");
	lose_at(2, "STALL");
	lose_at(5, "STALL");
	lose_at(6, "STALL");
	lose_at(8, "STALL");
	lose_at(10, "STALL");
	lose_at(12, "STALL");
	lose_at(14, "STALL");
	lose_at(16, "STALL");
	lose_at(SAID + 1, "STALL");
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
