/* SPDX-License-Identifier: ISC */
/*
 * sendmail(8) without a server: the command line, the message from what a
 * program wrote, and the files of the drop directory.
 */
#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/buf.h"
#include "base/mem.h"
#include "tests/scratch.h"
#include "tools/drop_file.h"
#include "tools/outgoing.h"
#include "tools/sendmail_message.h"
#include "tools/sendmail_options.h"

enum { WORDS_MAX = 60, MESSAGE_MAX = 100000 };

static struct sendmail_options options;
static char problem[1000];

/* --- the command line --- */

static int read_line(const char *line)
{
	static char copy[500];
	static char *words[WORDS_MAX + 1];
	char *rest = copy;
	int count = 0;

	snprintf(copy, sizeof(copy), "%s", line);
	while (rest != NULL && count < WORDS_MAX)
		words[count++] = strsep(&rest, " ");
	words[count] = NULL;
	return sendmail_options_read(&options, count, words, problem);
}

static void test_modes(void **state)
{
	static const struct {
		const char		*line;
		enum sendmail_mode	 mode;
	} cases[] = {
		{ "sendmail alice", SENDMAIL_DELIVER },
		{ "/usr/sbin/sendmail -bm alice", SENDMAIL_DELIVER },
		{ "sendmail -bs", SENDMAIL_SMTP },
		{ "sendmail -bp", SENDMAIL_LIST },
		{ "/usr/bin/mailq", SENDMAIL_LIST },
		{ "sendmail -bi", SENDMAIL_ALIASES },
		{ "sendmail -I", SENDMAIL_ALIASES },
		{ "newaliases", SENDMAIL_ALIASES },
		{ "sendmail -q", SENDMAIL_FLUSH },
		{ "sendmail --drained=/run/x", SENDMAIL_DRAINED },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		assert_int_equal(0, read_line(cases[i].line));
		assert_int_equal(options.mode, cases[i].mode);
	}
	assert_string_equal(options.socket, "/run/x");
	assert_true(sendmail_is_name("/a/b/mailq"));
	assert_false(sendmail_is_name("/usr/sbin/postern"));
	assert_false(sendmail_is_name("xsendmail"));
}

/* As cron, PHP, mutt, git send-email, mailx and logwatch say it. */
static void test_callers(void **state)
{
	(void)state;
	assert_int_equal(0, read_line("sendmail -i -FCronDaemon -B8BITMIME "
	    "-oem root"));
	assert_true(options.dots);
	assert_string_equal(options.full_name, "CronDaemon");
	assert_true(options.eight_bit);
	assert_string_equal(options.operands[0], "root");
	assert_null(options.operands[1]);
	assert_int_equal(0, read_line("sendmail -t -i -fwww@example.org"));
	assert_true(options.from_header);
	assert_string_equal(options.sender, "www@example.org");
	assert_null(options.operands[0]);
	assert_int_equal(0, read_line("sendmail -oem -oi -f a@b.example -- "
	    "-x@c.example d@e.example"));
	assert_true(options.dots);
	assert_string_equal(options.operands[0], "-x@c.example");
	assert_int_equal(0, read_line("sendmail -i a@b.example -fevil"));
	assert_null(options.sender);
	assert_string_equal(options.operands[1], "-fevil");
	assert_int_equal(0, read_line("sendmail -r <> -N failure,DELAY -R hdrs "
	    "-V id=1 -O IgnoreDots=true -O Timeout=1s -h 3 -Ac -L tag -d0.1 "
	    "-v -U -G -n -m -X /dev/null -p ESMTP -e m a"));
	assert_string_equal(options.sender, "<>");
	assert_string_equal(options.notify, "FAILURE,DELAY");
	assert_string_equal(options.ret, "HDRS");
	assert_string_equal(options.envid, "id=1");
	assert_true(options.dots && options.verbose);
	assert_string_equal(options.operands[0], "a");
	assert_int_equal(0, read_line("sendmail -N never -R FULL a"));
	assert_string_equal(options.notify, "NEVER");
	assert_string_equal(options.ret, "FULL");
}

static void test_refused(void **state)
{
	static const char *const cases[] = {
		"sendmail -bd", "sendmail -bt", "sendmail -bv a",
		"sendmail -q30m", "sendmail -B 9BIT a", "sendmail -R some a",
		"sendmail -N sometimes a", "sendmail -N never,delay a",
		"sendmail -N delay, a", "sendmail -Z a", "sendmail -f",
		"sendmail -V \x01 a",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		problem[0] = '\0';
		if (read_line(cases[i]) != -1)
			fail_msg("%s is taken", cases[i]);
		assert_true(strlen(problem) > 5);
	}
}

/* --- the message --- */

/* 0 or -1. */
static int read_text(struct buf *out, const char *text, size_t length,
    const struct message_rules *rules)
{
	char path[] = "/tmp/postern-sendmail-XXXXXX";
	int fd = mkstemp(path), result;

	assert_int_not_equal(fd, -1);
	unlink(path);
	assert_int_equal((ssize_t)length, write(fd, text, length));
	lseek(fd, 0, SEEK_SET);
	result = message_read(out, fd, rules, problem);
	close(fd);
	return result;
}

static void test_lines(void **state)
{
	static const struct {
		const char	*text;
		const char	*lines;
		bool		 dots;
	} cases[] = {
		{ "a\nb\n", "a\r\nb\r\n", true },
		{ "a\r\nb", "a\r\nb\r\n", true },
		{ "a\rb\r", "a\r\nb\r\n", true },
		{ "a\r\r\nb\n\rc", "a\r\n\r\nb\r\n\r\nc\r\n", true },
		{ "", "", true },
		{ "\n", "\r\n", true },
		{ "a\n.\nb\n", "a\r\n.\r\nb\r\n", true },
		{ "a\n.\nb\n", "a\r\n", false },
		{ "a\n.\r\nb\n", "a\r\n", false },
		{ ".\na\n", "", false },
		{ "a\n.", "a\r\n", false },
		{ "a\n..\n.b\n. \n", "a\r\n..\r\n.b\r\n. \r\n", false },
		{ "a\n.", "a\r\n.\r\n", true },
		{ "12345678901", "12345678\r\n901\r\n", true },
	};
	struct message_rules rules = { .max_line = 10 };
	struct buf out;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		rules.dots = cases[i].dots;
		buf_init(&out, MESSAGE_MAX);
		assert_int_equal(0, read_text(&out, cases[i].text,
		    strlen(cases[i].text), &rules));
		assert_string_equal(buf_string(&out), cases[i].lines);
		buf_release(&out);
	}
	buf_init(&out, 5);
	assert_int_equal(0, read_text(&out, "a\0b", 3, &rules));
	assert_string_equal(buf_string(&out), "a?b\r\n");
	buf_reset(&out);
	assert_int_equal(-1, read_text(&out, "abcdef", 6, &rules));
	assert_non_null(strstr(problem, "larger"));
	buf_release(&out);
}

static struct message_facts facts = { .domain = "example.org",
    .from = "alice@example.org", .full_name = "Alice Cooper",
    .hostname = "mx.example.org", .wall = 1700000000000 };

static struct outgoing outgoing;

/* The completed message; null if it is refused. */
static const char *complete(const char *text)
{
	struct buf input;
	int result;

	outgoing_release(&outgoing);
	outgoing_init(&outgoing, MESSAGE_MAX);
	buf_init(&input, MESSAGE_MAX);
	buf_add_string(&input, text);
	result = message_complete(&outgoing, &input, &facts, problem);
	buf_release(&input);
	return result == 0 ? buf_string(&outgoing.message) : NULL;
}

static void assert_has(const char *text, const char *part, bool has)
{
	if ((strstr(text, part) != NULL) != has)
		fail_msg("\"%s\" in: %s", part, text);
}

static void test_fields(void **state)
{
	const char *got;

	(void)state;
	facts.take_recipients = false;
	got = complete("Subject: x\r\n\r\nbody\r\n");
	assert_has(got, "Subject: x\r\nFrom: Alice Cooper "
	    "<alice@example.org>\r\n", true);
	assert_has(got, "\r\nDate: ", true);
	assert_has(got, "@mx.example.org>\r\n", true);
	assert_has(got, "\r\nTo: undisclosed-recipients:;\r\n\r\nbody\r\n",
	    true);
	/* What is there stays. */
	got = complete("from: a@b.example\r\nDATE : x\r\n"
	    "message-id: <y@z>\r\nCc: c\r\n\r\nbody\r\n");
	assert_string_equal(got, "from: a@b.example\r\nDATE : x\r\n"
	    "message-id: <y@z>\r\nCc: c\r\n\r\nbody\r\n");
	/* Blind copies, and what only a last host writes, do not. */
	got = complete("Bcc: secret@b.example,\r\n\tother\r\nTo: c\r\n"
	    "Resent-Bcc: d\r\nReturn-Path: <e>\r\nX: Bcc: f\r\n\r\nBcc: g\r\n");
	assert_has(got, "secret", false);
	assert_has(got, "other", false);
	assert_has(got, "Resent", false);
	assert_has(got, "Return", false);
	assert_has(got, "To: c\r\nX: Bcc: f\r\n", true);
	assert_has(got, "\r\n\r\nBcc: g\r\n", true);
	/* No header at all, and a header that ends without an empty line. */
	got = complete("hello there\r\n");
	assert_has(got, ":;\r\n\r\nhello there\r\n", true);
	got = complete(" hello: there\r\n");
	assert_has(got, ":;\r\n\r\n hello: there\r\n", true);
	got = complete("Subject: x\r\nthis is text\r\n");
	assert_has(got, ":;\r\n\r\nthis is text\r\n", true);
	got = complete("\r\ntext\r\n");
	assert_has(got, ":;\r\n\r\ntext\r\n", true);
	got = complete("");
	assert_has(got, ":;\r\n\r\n", true);
	/* The line between the messages of a mailbox. */
	got = complete("From alice Mon Nov 23\r\nSubject: x\r\n\r\ny\r\n");
	assert_has(got, "From alice", false);
	assert_has(got, "Subject: x\r\n", true);
	assert_false(outgoing.eight_bit);
	complete("Subject: x\r\n\r\n\xc3\xa4\r\n");
	assert_true(outgoing.eight_bit);
}

static void test_names(void **state)
{
	static const struct {
		const char	*name;
		const char	*from;
	} cases[] = {
		{ "", "From: alice@example.org\r\n" },
		{ "Alice", "From: Alice <alice@example.org>\r\n" },
		{ "A. \"B\" C\\",
		    "From: \"A. \\\"B\\\" C\\\\\" <alice@example.org>\r\n" },
		{ "J\xc3\xb6rg",
		    "From: =?utf-8?B?SsO2cmc=?= <alice@example.org>\r\n" },
		{ "\xff", "From: alice@example.org\r\n" },
		{ "a\r\nBcc: evil", "From: alice@example.org\r\n" },
		{ "\xc3\xb6\xc3\xb6\xc3\xb6\xc3\xb6\xc3\xb6\xc3\xb6\xc3\xb6"
		    "\xc3\xb6\xc3\xb6\xc3\xb6\xc3\xb6\xc3\xb6\xc3\xb6\xc3\xb6"
		    "\xc3\xb6\xc3\xb6\xc3\xb6\xc3\xb6\xc3\xb6\xc3\xb6\xc3\xb6"
		    "\xc3\xb6\xc3\xb6",
		    "From: =?utf-8?B?w7bDtsO2w7bDtsO2w7bDtsO2w7bDtsO2w7bDtsO2"
		    "w7bDtsO2w7bDtsO2?=\r\n <alice@example.org>\r\n" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		facts.full_name = cases[i].name;
		assert_has(complete("Subject: x\r\n\r\n"), cases[i].from,
		    true);
	}
	facts.full_name = "Alice Cooper";
}

static void assert_recipients(const char *text, const char *expected)
{
	char got[500] = "";
	size_t used = 0;

	if (complete(text) == NULL)
		fail_msg("%s: %s", text, problem);
	for (size_t i = 0; i < outgoing.recipients.count; i++)
		used += (size_t)snprintf(got + used, sizeof(got) - used,
		    "%s ", outgoing.recipients.items[i]);
	assert_string_equal(got, expected);
}

static void test_recipients(void **state)
{
	(void)state;
	facts.take_recipients = true;
	assert_recipients("To: A <a@b.example>,\r\n b\r\nTO: c\r\n"
	    "Cc: d (x)\r\nBcc: e\r\nSubject: To: f\r\n\r\nTo: g\r\n",
	    "a@b.example b@example.org c@example.org d@example.org "
	    "e@example.org ");
	/* RFC 5322 3.6.6 */
	assert_recipients("To: a\r\nResent-To: b\r\nResent-Bcc: c\r\n\r\n",
	    "b@example.org c@example.org ");
	assert_recipients("Subject: x\r\n\r\nTo: a\r\n", "");
	assert_null(complete("To: a, b c\r\n\r\n"));
	assert_non_null(strstr(problem, "field To"));
	facts.take_recipients = false;
	outgoing_release(&outgoing);
}

/* --- the drop directory --- */

static char folder[200];

static void fill(void)
{
	static const char list[] = "b@c.example, \"x y\"@d.example";

	outgoing_release(&outgoing);
	outgoing_init(&outgoing, MESSAGE_MAX);
	mem_free(outgoing.sender);
	outgoing.sender = mem_dup_string("alice@example.org");
	assert_int_equal(0, address_list_parse(&outgoing.recipients, list,
	    strlen(list), "e", problem));
	outgoing.eight_bit = true;
	snprintf(outgoing.notify, sizeof(outgoing.notify), "NEVER");
	snprintf(outgoing.ret, sizeof(outgoing.ret), "HDRS");
	outgoing_xtext("a+b =c", outgoing.envid, sizeof(outgoing.envid));
	buf_add_string(&outgoing.message, "Subject: x\r\n\r\ntext\r\n");
}

static size_t read_only_file(char *out, size_t size, char *name)
{
	DIR *stream = opendir(folder);
	const struct dirent *entry;
	char path[500] = "";
	struct stat status;
	size_t length;
	FILE *file;

	assert_non_null(stream);
	while ((entry = readdir(stream)) != NULL)
		if (entry->d_name[0] != '.') {
			assert_true(path[0] == '\0');
			snprintf(path, sizeof(path), "%s/%s", folder,
			    entry->d_name);
			snprintf(name, DROP_NAME_MAX, "%.60s", entry->d_name);
		}
	closedir(stream);
	assert_int_equal(0, stat(path, &status));
	assert_int_equal(status.st_mode & 07777, 0600);
	file = fopen(path, "r");
	length = fread(out, 1, size, file);
	fclose(file);
	unlink(path);
	return length;
}

static void test_drop(void **state)
{
	char text[1000], name[DROP_NAME_MAX], unnamed[500];
	struct outgoing back;
	size_t length;
	mode_t before;

	(void)state;
	fill();
	assert_string_equal(outgoing.envid, "a+2Bb+20+3Dc");
	before = umask(0777);
	assert_int_equal(0, drop_write(folder, &outgoing, problem));
	umask(before);
	length = read_only_file(text, sizeof(text), name);
	assert_true(drop_is_name(name, DROP_PREFIX));
	assert_false(drop_is_name(name, DROP_TEMPORARY));
	assert_false(drop_is_name("drop-0", DROP_PREFIX));
	assert_false(drop_is_name("drop-0123456789abcdef0123456789abcdeg",
	    DROP_PREFIX));
	assert_false(drop_is_name("drop-0123456789abcdef0123456789abcdef0",
	    DROP_PREFIX));
	outgoing_init(&back, MESSAGE_MAX);
	assert_int_equal(0, drop_read(&back, text, length, problem));
	assert_string_equal(back.sender, outgoing.sender);
	assert_int_equal(back.recipients.count, 2);
	assert_string_equal(back.recipients.items[1], "\"x y\"@d.example");
	assert_true(back.eight_bit);
	assert_string_equal(back.notify, "NEVER");
	assert_string_equal(back.ret, "HDRS");
	assert_string_equal(back.envid, outgoing.envid);
	assert_string_equal(buf_string(&back.message),
	    "Subject: x\r\n\r\ntext\r\n");
	outgoing_release(&back);
	/* Cut anywhere, or longer by a byte: nothing. */
	for (size_t cut = 0; cut < length; cut++) {
		outgoing_init(&back, MESSAGE_MAX);
		assert_int_equal(-1, drop_read(&back, text, cut, problem));
		outgoing_release(&back);
	}
	outgoing_init(&back, MESSAGE_MAX);
	text[length] = 'x';
	assert_int_equal(-1, drop_read(&back, text, length + 1, problem));
	outgoing_release(&back);
	/* Where nothing can be written. */
	snprintf(unnamed, sizeof(unnamed), "%s/none", folder);
	assert_int_equal(-1, drop_write(unnamed, &outgoing, problem));
	assert_non_null(strstr(problem, "none"));
	outgoing_release(&outgoing);
}

static void test_drop_hostile(void **state)
{
	static const char *const heads[] = {
		"", "postern-drop 2\nfrom a@b.c\nto a@b.c\nsize 0\n\n",
		"postern-drop 1\nfrom a@b.c\nsize 0\n\n",
		"postern-drop 1\nfrom a\nto a@b.c\nsize 0\n\n",
		"postern-drop 1\nto a@b.c, d@e.f\nsize 0\n\n",
		"postern-drop 1\nto a@b.c>\r\nRCPT TO:<x@y.z\nsize 0\n\n",
		"postern-drop 1\nto a@b.c\r\nsize 0\n\n",
		"postern-drop 1\nto a@b.c\nto a@b.c\nsize 0\n\n",
		"postern-drop 1\nto a@b.c\nsize -1\n\n",
		"postern-drop 1\nto a@b.c\nsize 18446744073709551616\n\n",
		"postern-drop 1\nto a@b.c\nsize 0\nto d@e.f\n\n",
		"postern-drop 1\nto a@b.c\nnotify NEVER RET=FULL\nsize 0\n\n",
		"postern-drop 1\nto a@b.c\nenvid \nsize 0\n\n",
		"postern-drop 1\nto a@b.c\nwhat x\nsize 0\n\n",
		"postern-drop 1\nto a@b.c\nsize 0\n",
	};
	static const char right[] = "postern-drop 1\nfrom \n"
	    "to a@b.example\nsize 1\n\nx";
	struct outgoing back;

	(void)state;
	for (size_t i = 0; i < sizeof(heads) / sizeof(heads[0]); i++) {
		outgoing_init(&back, MESSAGE_MAX);
		if (drop_read(&back, heads[i], strlen(heads[i]),
		    problem) != -1)
			fail_msg("%s is taken", heads[i]);
		outgoing_release(&back);
	}
	outgoing_init(&back, MESSAGE_MAX);
	assert_int_equal(0, drop_read(&back, right, strlen(right),
	    problem));
	assert_string_equal(back.sender, "");
	outgoing_release(&back);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_modes),
		cmocka_unit_test(test_callers),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_lines),
		cmocka_unit_test(test_fields),
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_recipients),
		cmocka_unit_test(test_drop),
		cmocka_unit_test(test_drop_hostile),
	};
	int status;

	if (scratch_make(folder, sizeof(folder), "sendmail") == -1)
		return 1;
	status = cmocka_run_group_tests(tests, NULL, NULL);
	return scratch_remove(folder) == 0 ? status : 1;
}
