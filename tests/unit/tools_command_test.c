/* SPDX-License-Identifier: ISC */
/*
 * The command lines of `postern policy` and `postern queue`: what each asks of
 * which role, what it says when the line is wrong, and what it prints and
 * returns for an answer. The server is tests/fake_control_client.c.
 */
#include <errno.h>
#include <fcntl.h>
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

#include "base/control.h"
#include "tests/fake_control_client.h"
#include "tools/command.h"
#include "tools/command_text.h"
#include "tools/queue_progress.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define HEX "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"

enum { WORDS_MAX = 40, OUTPUT_MAX = 1 << 20 };

static char output_path[] = "/tmp/postern-command-XXXXXX";
static char output[OUTPUT_MAX];

/* Words of a line, separated by single spaces; a word with spaces has "~"
 * instead. */
static int split(char *line, char **words)
{
	int count = 0;
	char *word, *byte;

	while ((word = strsep(&line, " ")) != NULL && count < WORDS_MAX - 1) {
		for (byte = word; *byte != '\0'; byte++)
			if (*byte == '~')
				*byte = ' ';
		words[count++] = word;
	}
	words[count] = NULL;
	return count;
}

/* A process reads one command line: what getopt(3) keeps of it must go. */
static void forget_line(void)
{
	char *words[] = { output_path, NULL };

	optind = 0;
	getopt(1, words, "");
}

/* Runs "policy ..." or "queue ..."; output gets both streams. */
static int run(const char *text)
{
	char line[4096], *words[WORDS_MAX];
	int fd = open(output_path, O_RDWR | O_TRUNC | O_APPEND), status, count;
	int out = dup(STDOUT_FILENO), err = dup(STDERR_FILENO);
	ssize_t length;

	assert_int_not_equal(fd, -1);
	snprintf(line, sizeof(line), "%s", text);
	count = split(line, words);
	forget_line();
	fflush(stdout);
	dup2(fd, STDOUT_FILENO);
	dup2(fd, STDERR_FILENO);
	status = strcmp(words[0], "policy") == 0 ?
	    command_policy(count, words) : command_queue(count, words);
	fflush(stdout);
	dup2(out, STDOUT_FILENO);
	dup2(err, STDERR_FILENO);
	close(out);
	close(err);
	length = pread(fd, output, sizeof(output) - 1, 0);
	close(fd);
	output[length > 0 ? length : 0] = '\0';
	return status;
}

/* --- lines that are right --- */

struct asks {
	const char	*line;
	const char	*request;
};

static const struct asks policy_lines[] = {
	{ "policy explain example.org",
	    "policy explain {\"domain\":\"example.org\",\"waited\":0}\n" },
	{ "policy explain Bob@bücher.example --waited 1d",
	    "policy explain {\"domain\":\"xn--bcher-kva.example\","
	    "\"waited\":86400}\n" },
	{ "policy explain 192.0.2.1 --requiretls --level dane-only",
	    "policy explain {\"domain\":\"[192.0.2.1]\",\"level\":"
	    "\"dane-only\",\"waited\":0,\"wish\":\"requiretls\"}\n" },
	{ "policy explain --tls-optional Example.ORG.",
	    "policy explain {\"domain\":\"example.org\",\"waited\":0,"
	    "\"wish\":\"optional\"}\n" },
	{ "policy list", "policy sts-list {}\n" },
	{ "policy forget bücher.example",
	    "policy sts-forget {\"domain\":\"xn--bcher-kva.example\"}\n" },
	{ "policy memory list", "policy memory-list {}\n" },
	{ "policy memory list bücher.example",
	    "policy memory-list {\"name\":\"xn--bcher-kva.example\"}\n" },
	{ "policy memory show mx1.example.org -j",
	    "policy memory-show {\"name\":\"mx1.example.org\"}\n" },
	{ "policy memory forget [192.0.2.1]",
	    "policy memory-forget {\"name\":\"[192.0.2.1]\"}\n" },
	{ "policy memory pin example.org --level verify --reason by~phone",
	    "policy memory-pin {\"domain\":\"example.org\",\"level\":"
	    "\"verify\",\"reason\":\"by phone\"}\n" },
	{ "policy memory pin example.org --level fingerprint --fingerprint "
	    HEX " --reason x --fingerprint " HEX,
	    "policy memory-pin {\"domain\":\"example.org\",\"fingerprints\":"
	    "[\"" HEX "\",\"" HEX "\"],\"level\":\"fingerprint\",\"reason\":"
	    "\"x\"}\n" },
	{ "policy memory unpin example.org",
	    "policy memory-unpin {\"domain\":\"example.org\"}\n" },
	{ "policy memory export", "policy memory-export {}\n" },
	{ "policy exception add example.org --level may --until 72h --reason "
	    "ticket~41 --no-retry",
	    "policy exception-add {\"domain\":\"example.org\",\"level\":"
	    "\"may\",\"reason\":\"ticket 41\",\"until\":259200}\n" },
	{ "policy exception add .bücher.example --level none --until 3d "
	    "--reason x --no-retry",
	    "policy exception-add {\"domain\":\".xn--bcher-kva.example\","
	    "\"level\":\"none\",\"reason\":\"x\",\"until\":259200}\n" },
	{ "policy exception list", "policy exception-list {}\n" },
	{ "policy exception revoke 7 --no-retry",
	    "policy exception-revoke {\"id\":7}\n" },
	{ "policy events", "policy events {\"since\":604800}\n" },
	{ "policy events --since 1h bücher.example",
	    "policy events {\"domain\":\"xn--bcher-kva.example\",\"since\":"
	    "3600}\n" },
	/* a time that is to come is now; one long ago is as far as it goes */
	{ "policy events --since 2999-01-01", "policy events {\"since\":0}\n" },
	{ "policy events --since 1970-01-01",
	    "policy events {\"since\":315360000}\n" },
	{ "policy outcomes --day 2026-11-22",
	    "policy outcomes {\"day\":\"2026-11-22\"}\n" },
};

static const struct asks queue_lines[] = {
	{ "queue list --reason broken-tls --limit 5",
	    "queue list {\"limit\":5,\"progress\":true,\"reason\":"
	    "\"broken-tls\"}\n" },
	{ "queue list --failure sts-mx --older 2h",
	    "queue list {\"older\":7200,\"progress\":true,\"reason\":"
	    "\"sts-mx\"}\n" },
	{ "queue list --domain *.bücher.example --sender a@bücher.example "
	    "--recipient *@Example.org",
	    "queue list {\"domain\":\"*.xn--bcher-kva.example\",\"progress\":"
	    "true,\"recipient\":\"*@Example.org\",\"sender\":"
	    "\"a@xn--bcher-kva.example\"}\n" },
	{ "queue list --user uid~1000 --host mx*.example.org --larger 1M "
	    "--smaller 2g --tag none --newer 1d --state held",
	    "queue list {\"host\":\"mx*.example.org\",\"larger\":1048576,"
	    "\"newer\":86400,\"progress\":true,\"smaller\":2147483648,"
	    "\"state\":\"held\",\"tag\":\"none\",\"user\":\"uid 1000\"}\n" },
	{ "queue cat --original 3f2a --limit 1",
	    "queue cat {\"id\":[\"3f2a\"],\"limit\":1,\"original\":true,"
	    "\"progress\":true}\n" },
	{ "queue hold --note a~note 3f2a",
	    "queue hold {\"id\":[\"3f2a\"],\"note\":\"a note\",\"progress\":"
	    "true}\n" },
	{ "queue delete --all --dry-run",
	    "queue delete {\"all\":true,\"dry-run\":true,\"progress\":"
	    "true}\n" },
	{ "queue delete -nv --all",
	    "queue delete {\"all\":true,\"dry-run\":true,\"each\":true,"
	    "\"progress\":true}\n" },
	{ "queue bounce -j --dry-run 1",
	    "queue bounce {\"dry-run\":true,\"each\":true,\"id\":[\"1\"],"
	    "\"progress\":true}\n" },
	{ "queue list --all-recipients 1",
	    "queue list {\"all-recipients\":true,\"id\":[\"1\"],"
	    "\"progress\":true}\n" },
	{ "queue redirect joe@example.org 1 2 --state held",
	    "queue redirect {\"id\":[\"1\",\"2\"],\"progress\":true,"
	    "\"state\":\"held\",\"to\":\"joe@example.org\"}\n" },
	{ "queue set-tls 3f2a may --reason ticket~41",
	    "queue set-tls {\"id\":[\"3f2a\"],\"level\":\"may\",\"note\":"
	    "\"ticket 41\",\"progress\":true}\n" },
	{ "queue set-tls --reason x --domain example.org --failure tls "
	    "default",
	    "queue set-tls {\"domain\":\"example.org\",\"level\":\"default\","
	    "\"note\":\"x\",\"progress\":true,\"reason\":\"tls\"}\n" },
	{ "queue set-tls 1 2 dane-only --note x",
	    "queue set-tls {\"id\":[\"1\",\"2\"],\"level\":\"dane-only\","
	    "\"note\":\"x\",\"progress\":true}\n" },
};

static void check_asks(const struct asks *rows, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		fake_control_reset();
		if (run(rows[i].line) != CONTROL_OK)
			fail_msg("%s: %s", rows[i].line, output);
		if (strcmp(fake_control_requests(), rows[i].request) != 0)
			fail_msg("%s: %s", rows[i].line,
			    fake_control_requests());
	}
}

static void test_asks(void **state)
{
	(void)state;
	check_asks(policy_lines, COUNT(policy_lines));
	check_asks(queue_lines, COUNT(queue_lines));
}

/* --- lines that are wrong --- */

/* Nothing is asked; the problem names the place, and the usage line follows. */
static const struct asks wrong_lines[] = {
	{ "policy explain", "one domain or mail address is expected" },
	{ "policy explain a b", "one domain or mail address is expected" },
	{ "policy explain a_b.example", "\"a_b.example\": it is not a domain" },
	{ "policy explain ☃.example", "cannot stand in a domain name" },
	{ "policy explain [x]", "no address in brackets" },
	{ "policy explain \xff.example\x1b[2J", "\"\\xff.example\\x1b[2J\":" },
	{ "queue list --sender a@\xff\xfe",
	    "--sender \"a@\\xff\\xfe\": it is not UTF-8" },
	{ "policy explain a@b@c", "" },
	{ "policy explain example.org --level verify",
	    "--level \"verify\": expected is none, may, encrypt, auto, dane, "
	    "dane-only, sts or strict" },
	{ "policy explain example.org --requiretls --tls-optional",
	    "exclude each other" },
	{ "policy explain example.org --waited 1w", "--waited \"1w\"" },
	{ "policy explain example.org --until 3d", "\"--until\" is no option" },
	{ "policy probe example.org --requiretls",
	    "\"--requiretls\" is no option" },
	{ "policy list example.org", "no argument is expected" },
	{ "policy forget", "one domain" },
	{ "policy memory show", "one name" },
	{ "policy memory list a b", "one name at most" },
	{ "policy memory pin example.org --reason x",
	    "--level: it must be given" },
	{ "policy memory pin example.org --level may --reason x",
	    "--level \"may\": expected is encrypt, verify or fingerprint" },
	{ "policy memory pin example.org --level verify", "--reason: why?" },
	{ "policy memory pin example.org --level verify --reason a\nb",
	    "one line of printable text" },
	{ "policy memory pin example.org --level verify --reason a\xff",
	    "one line of printable text" },
	{ "policy memory pin example.org --level verify --reason x "
	    "--fingerprint " HEX, "for --level fingerprint only" },
	{ "policy memory pin example.org --level fingerprint --reason x",
	    "needs one at least" },
	{ "policy memory pin example.org --level fingerprint --reason x "
	    "--fingerprint 1234", "--fingerprint \"1234\": a SHA-256" },
	{ "policy memory pin .example.org --level verify --reason x",
	    "it is not a domain name" },
	{ "policy memory import", "one file is expected" },
	{ "policy exception add example.org --level may --until 72h",
	    "--reason: why?" },
	{ "policy exception add example.org --level may --reason x",
	    "--until: how long?" },
	{ "policy exception add example.org --until 3d --reason x",
	    "--level: it must be given" },
	{ "policy exception add example.org --level strict --until 3d "
	    "--reason x", "--level \"strict\": expected is none, may or" },
	{ "policy exception add * --level may --until 3d --reason x",
	    "it is not a domain name" },
	{ "policy exception add example.org --level may --until tomorrow "
	    "--reason x", "--until \"tomorrow\": accepted are" },
	{ "policy exception add example.org --level may --until 0 --reason x",
	    "not in the future" },
	{ "policy exception add example.org --level may --until 2020-01-01 "
	    "--reason x", "not in the future" },
	{ "policy exception add example.org --level may --until 91d "
	    "--reason x", "90 days is the longest" },
	{ "policy exception add example.org --level may --until 2026-12-24T12:"
	    "00 --reason x", "accepted are" },
	{ "policy exception revoke", "the number of one exception" },
	{ "policy exception revoke x", "no number of an exception" },
	{ "policy exception revoke 0", "no number of an exception" },
	{ "policy exception revoke 99999999999999999999",
	    "no number of an exception" },
	{ "policy exception list --until 3d", "\"--until\" is no option" },
	{ "policy events --since soon", "--since \"soon\": accepted are" },
	{ "policy outcomes --day monday", "--day \"monday\": accepted are" },
	{ "policy outcomes example.org", "no argument is expected" },
	{ "queue set-tls 3f2a --reason x", "the last word must be a level" },
	{ "queue set-tls --reason x", "the last word must be a level" },
	{ "queue set-tls 3f2a verify --reason x",
	    "the last word must be a level" },
	{ "queue set-tls 3f2a may", "--reason: why?" },
	{ "queue set-tls 3f2a may --reason ", "--reason: why?" },
	{ "queue list --older 1w", "--older \"1w\"" },
	{ "queue list --limit 5d", "--limit \"5d\": a number is expected" },
	{ "queue list --domain mx*.bücher.example", "within a name" },
	{ "queue list --domain a.example --domain b.example",
	    "--domain is given twice" },
	{ "queue list --reason tls --failure connect",
	    "--failure is given twice" },
	{ "queue list --larger 1T", "--larger \"1T\": a size is expected" },
	{ "queue list --larger 99999999999999999999", "a size is expected" },
	{ "queue list --dry-run", "\"--dry-run\" is no option" },
	{ "queue delete --all -v", "--verbose goes with --dry-run" },
	{ "queue delete --all --original", "\"--original\" is no option" },
	{ "queue redirect", "ADDRESS is missing" },
	{ "queue list --recipient a@☃.example",
	    "cannot stand in a domain name" },
};

static void test_wrong(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(wrong_lines); i++) {
		fake_control_reset();
		if (run(wrong_lines[i].line) != CONTROL_USAGE)
			fail_msg("%s: %s", wrong_lines[i].line, output);
		assert_string_equal(fake_control_requests(), "");
		if (strstr(output, wrong_lines[i].request) == NULL ||
		    strstr(output, "usage: postern ") == NULL)
			fail_msg("%s: %s", wrong_lines[i].line, output);
	}
}

/* --- exceptions and the mail that waits --- */

#define MADE "{\"id\":7,\"domain\":\".example.org\",\"level\":\"may\"," \
    "\"reason\":\"ticket 41\",\"author\":\"root (uid 0)\",\"made\":" \
    "\"2026-11-22T10:00:00Z\",\"until\":\"2026-11-25T10:00:00Z\"," \
    "\"uses\":0}\n"
#define ADD "policy exception add .example.org --level may --until 72h " \
    "--reason ticket~41"

static void test_exception_retries(void **state)
{
	(void)state;
	fake_control_reset();
	fake_control_answer(MADE, CONTROL_OK, "");
	fake_control_answer("{\"verb\":\"retry\",\"messages\":3,"
	    "\"recipients\":4}\n", CONTROL_OK, "");
	assert_int_equal(run(ADD), CONTROL_OK);
	assert_non_null(strstr(fake_control_requests(),
	    "queue retry {\"domain\":\"*.example.org\"}\n"));
	assert_string_equal(output, "made exception 7: .example.org, level "
	    "may, until 2026-11-25T10:00:00Z: ticket\n41\n"
	    "3 message(s) that wait for it are tried now\n");

	fake_control_reset();
	fake_control_answer(MADE, CONTROL_OK, "");
	fake_control_answer("", CONTROL_NONE_MATCHED, "no message matches");
	assert_int_equal(run("policy exception revoke 7"), CONTROL_OK);
	assert_non_null(strstr(output, "revoked exception 7"));
	assert_non_null(strstr(output, "no message waits for it\n"));

	fake_control_reset();
	fake_control_answer(MADE, CONTROL_OK, "");
	fake_control_answer("", CONTROL_NONE_MATCHED, "no message matches");
	assert_int_equal(run(ADD " -j"), CONTROL_OK);
	assert_string_equal(strchr(output, '\n') + 1, "{\"retried\":0}\n");
}

/* It is in force although the queue is away: the command says both. */
static void test_exception_without_queue(void **state)
{
	(void)state;
	fake_control_reset();
	fake_control_answer(MADE, CONTROL_OK, "");
	fake_control_answer("", CONTROL_UNAVAILABLE, "the queue is away");
	assert_int_equal(run(ADD), CONTROL_UNAVAILABLE);
	assert_non_null(strstr(output, "made exception 7"));
	assert_non_null(strstr(output, "was not tried again: the queue is "
	    "away"));

	/* and when it was refused, nothing is tried */
	fake_control_reset();
	fake_control_answer("", CONTROL_DENIED, "not for you");
	assert_int_equal(run(ADD), CONTROL_DENIED);
	assert_null(strstr(fake_control_requests(), "queue"));

	fake_control_reset();
	fake_control_answer("", CONTROL_NONE_MATCHED,
	    "no exception is in force");
	assert_int_equal(run("policy exception list"), CONTROL_NONE_MATCHED);
	assert_string_equal(output, "postern: no exception is in force\n");
}

/* --- memory import --- */

static char import_path[] = "/tmp/postern-import-XXXXXX";

static void write_file(const char *text, size_t times)
{
	FILE *file = fopen(import_path, "w");

	assert_non_null(file);
	while (times-- > 0)
		fputs(text, file);
	fclose(file);
}

static int import_file(void)
{
	char line[100];

	snprintf(line, sizeof(line), "policy memory import %s", import_path);
	return run(line);
}

static size_t count_lines(const char *text)
{
	size_t count = 0;

	for (; *text != '\0'; text++)
		count += *text == '\n';
	return count;
}

/* Refused objects are named by the lines of the file, blank lines and all,
 * whether this command or the server refuses them. */
static void test_import(void **state)
{
	char expected[200];

	(void)state;
	write_file("{\"destination\":\"a.example\"}\n\nno json\n[1]\n"
	    "  {\"host\":\"b.example\"}\n{\"host\":\"c.example\"}", 1);
	fake_control_reset();
	fake_control_answer("{\"imported\":2,\"refused\":[{\"index\":1,"
	    "\"problem\":\"it has no dates\\u001b[2J\"}]}\n", CONTROL_DATA,
	    "some of the objects were refused");
	assert_int_equal(import_file(), CONTROL_DATA);
	assert_string_equal(fake_control_requests(),
	    "policy memory-import {\"objects\":[{\"destination\":\"a.example\""
	    "},{\"host\":\"b.example\"},{\"host\":\"c.example\"}]}\n");
	snprintf(expected, sizeof(expected), "postern: %s:3: it is no JSON "
	    "object", import_path);
	assert_non_null(strstr(output, expected));
	snprintf(expected, sizeof(expected), "postern: %s:4: it is no JSON "
	    "object", import_path);
	assert_non_null(strstr(output, expected));
	snprintf(expected, sizeof(expected), "postern: %s:5: it has no dates",
	    import_path);
	assert_non_null(strstr(output, expected));
	assert_null(strchr(output, '\x1b'));
	snprintf(expected, sizeof(expected), "%s: 2 objects taken over, 3 "
	    "refused\n", import_path);
	assert_non_null(strstr(output, expected));
}

/* Pages of 200 objects, and of fewer when they are long: a request is 64 KiB
 * at most. */
static void test_import_pages(void **state)
{
	const char *request;
	size_t length;

	(void)state;
	fake_control_reset();
	write_file("{\"host\":\"a.example\"}\n", 450);
	assert_int_equal(import_file(), CONTROL_OK);
	assert_int_equal(count_lines(fake_control_requests()), 3);

	fake_control_reset();
	write_file("{\"pin\":\"a.example\",\"reason\":\""
	    "0123456789012345678901234567890123456789012345678901234567890123"
	    "4567890123456789012345678901234567890123456789012345678901234567"
	    "890123456789\",\"x\":\"" HEX HEX HEX HEX HEX HEX HEX HEX
	    "\"}\n", 300);
	assert_int_equal(import_file(), CONTROL_OK);
	request = fake_control_requests();
	assert_true(count_lines(request) > 2);
	for (; *request != '\0'; request += length + 1) {
		length = strcspn(request, "\n");
		assert_true(length < 64 << 10);
	}
}

/* After a page that did not arrive nothing more is sent. */
static void test_import_fails(void **state)
{
	(void)state;
	fake_control_reset();
	write_file("{\"host\":\"a.example\"}\n", 450);
	fake_control_answer("{\"imported\":200,\"refused\":[]}\n", CONTROL_OK,
	    "");
	fake_control_answer("", CONTROL_UNAVAILABLE, "policy is away");
	assert_int_equal(import_file(), CONTROL_UNAVAILABLE);
	assert_int_equal(count_lines(fake_control_requests()), 2);
	assert_non_null(strstr(output, "policy is away"));
	assert_non_null(strstr(output, "200 objects taken over, 0 refused; "
	    "the rest was not sent"));

	fake_control_reset();
	assert_int_equal(run("policy memory import /nonexistent/file"),
	    CONTROL_DATA);
	assert_non_null(strstr(output, "/nonexistent/file: "));
	assert_string_equal(fake_control_requests(), "");
}

/* --- queue show --- */

#define SHOWN "{\"id\":\"3f2a\",\"sender\":\"a@b.example\",\"arrival\":" \
    "\"2026-11-22T10:00:00Z\",\"size\":10,\"state\":\"deferred\"," \
    "\"tls-tag\":\"requiretls\",\"selected\":3,\"recipients\":[" \
    "{\"address\":\"x@c.example\",\"domain\":\"c.example\",\"state\":" \
    "\"deferred\",\"attempts\":2,\"next\":\"2026-11-22T12:00:00Z\"," \
    "\"reason\":\"certificate\",\"status\":\"4.7.5\",\"text\":\"evil" \
    "\\u001b[2J\",\"host\":\"mx.c.example[192.0.2.1]\",\"tls\":null," \
    "\"tls-level\":\"dane\",\"tls-set\":\"2026-11-22T11:00:00Z\"," \
    "\"tls-author\":\"uid 0\",\"tls-reason\":\"ticket 41\"}," \
    "{\"address\":\"y@c.example\",\"domain\":\"c.example\",\"state\":" \
    "\"deferred\",\"tls-level\":\"dane\"}," \
    "{\"address\":\"z@d.example\",\"domain\":\"d.example\",\"state\":" \
    "\"held\",\"tls-level\":null}]}\n"
#define PLAN "{\"domain\":\"c.example\",\"level\":\"auto\"," \
    "\"message-level\":\"dane\",\"destination\":\"*\",\"wish\":" \
    "\"requiretls\",\"hosts\":[{\"name\":\"mx.c.example\"," \
    "\"requirement\":\"dane\",\"source\":\"dane\",\"requiretls\":true," \
    "\"reason\":\"usable TLSA records\"},{\"name\":\"evil\\u0007\"," \
    "\"skip\":true,\"skipped\":{\"text\":\"no keyword\"}}]}\n"

/* One question for each domain and level, as delivery would ask it. */
static void test_show_next(void **state)
{
	const char *at;

	(void)state;
	fake_control_reset();
	fake_control_answer(SHOWN, CONTROL_OK, "");
	fake_control_answer(PLAN, CONTROL_OK, "");
	fake_control_answer("", CONTROL_UNAVAILABLE, "policy is away");
	assert_int_equal(run("queue show 3f2a"), CONTROL_OK);
	at = strstr(fake_control_requests(), "\npolicy explain {\"domain\":"
	    "\"c.example\",\"level\":\"dane\",\"waited\":");
	assert_non_null(at);
	assert_non_null(strstr(at, ",\"wish\":\"requiretls\"}\npolicy explain "
	    "{\"domain\":\"d.example\",\"waited\":"));
	assert_int_equal(count_lines(fake_control_requests()), 3);
	assert_null(strpbrk(output, "\x1b\x07"));
	assert_non_null(strstr(output,
	    "        level dane, set at 2026-11-22T11:00:00Z by uid 0: "
	    "ticket 41\n"));
	assert_non_null(strstr(output,
	    "  next attempt, to c.example, at 2026-11-22T12:00:00Z:\n"
	    "    level auto (destination *)\n"
	    "    the level is the message's own: dane (queue set-tls)\n"
	    "    the sender demands REQUIRETLS\n"
	    "      1. mx.c.example: over TLS that its TLSA records "
	    "authenticate (DANE), with\n         REQUIRETLS\n"
	    "         usable TLSA records\n"));
	assert_non_null(strstr(output, "left out: no keyword\n"
	    "  next attempt, to d.example, when it is released:\n"
	    "    policy could not be asked: policy is away\n"));
}

static void test_show_json(void **state)
{
	const char *line;

	(void)state;
	fake_control_reset();
	fake_control_answer(SHOWN, CONTROL_OK, "");
	fake_control_answer(PLAN, CONTROL_NONE_MATCHED, "would wait");
	fake_control_answer("", CONTROL_UNAVAILABLE, "policy is away");
	assert_int_equal(run("queue show 3f2a -j"), CONTROL_OK);
	assert_int_equal(count_lines(output), 3);
	line = strchr(output, '\n') + 1;
	assert_ptr_equal(strstr(line, "{\"id\":\"3f2a\",\"domain\":"
	    "\"c.example\",\"policy\":{"), line);
	line = strchr(line, '\n') + 1;
	assert_string_equal(line, "{\"id\":\"3f2a\",\"domain\":\"d.example\","
	    "\"problem\":\"policy is away\"}\n");
}

/* A notification is sent as well as can be: that is no wish of a plan. */
static void test_show_notification(void **state)
{
	(void)state;
	fake_control_reset();
	fake_control_answer("{\"id\":\"1\",\"sender\":\"\",\"tls-tag\":"
	    "\"requiretls\",\"recipients\":[{\"domain\":\"c.example\","
	    "\"state\":\"active\"}]}\n", CONTROL_OK, "");
	fake_control_answer("{\"transport\":\"maildir\"}\n", CONTROL_OK, "");
	assert_int_equal(run("queue show 1"), CONTROL_OK);
	assert_non_null(strstr(fake_control_requests(),
	    "policy explain {\"domain\":\"c.example\",\"waited\":0}\n"));
	assert_non_null(strstr(output, "next attempt, to c.example, now:\n"
	    "    into mailboxes here\n"));
	assert_non_null(strstr(output, "it is a notification"));
}

/* Policy is not asked about many messages, and the order stays. */
static void test_show_many(void **state)
{
	static char lines[100000];
	size_t used = 0;

	(void)state;
	for (unsigned i = 1; i <= 60; i++)
		used += (size_t)snprintf(lines + used, sizeof(lines) - used,
		    "{\"id\":\"%x\",\"recipients\":[{\"domain\":\"c.example\""
		    "}]}\n", i);
	fake_control_reset();
	fake_control_answer(lines, CONTROL_OK, "");
	assert_int_equal(run("queue show --all -j"), CONTROL_OK);
	assert_int_equal(count_lines(fake_control_requests()), 1);
	assert_memory_equal(output, lines, used);
	assert_non_null(strstr(output, "choose fewer"));
}

/* What is left out is counted, and all of it at the end; not where a limit may
 * have left out messages. */
static void test_list_total(void **state)
{
	static const char lines[] = "{\"id\":\"1\",\"size\":1500,\"selected\":"
	    "3,\"recipients\":[{\"address\":\"a@b.example\"}]}\n{\"id\":\"2\","
	    "\"size\":548,\"selected\":1,\"recipients\":[{\"address\":"
	    "\"c@b.example\"}]}\n";

	(void)state;
	fake_control_reset();
	fake_control_answer(lines, CONTROL_OK, "");
	assert_int_equal(run("queue list"), CONTROL_OK);
	assert_non_null(strstr(output, "\n    (+2 more)\n"));
	assert_non_null(strstr(output, "\n2 messages, 4 recipients, 2.0K\n"));
	fake_control_answer(lines, CONTROL_OK, "");
	assert_int_equal(run("queue list --limit 2"), CONTROL_OK);
	assert_null(strstr(output, "messages"));
	fake_control_answer(lines, CONTROL_OK, "");
	assert_int_equal(run("queue list -j"), CONTROL_OK);
	assert_null(strstr(output, "messages"));
}

/* A role that was taken over writes to no terminal: neither where words are
 * escaped nor where they are printed as they are, nor as JSON. */
static void test_answers_are_clean(void **state)
{
	static const char line[] = "{\"id\":\"3\\u001b[2Jf\",\"list\":[{"
	    "\"state\":\"\\u009b31m\\u007f\\r\\ttwo\\nlines \\u00e4\"}]}";
	static const char *const bad[] = { "no JSON", "[1",
	    "{\"a\\u001b[2J\":1}", "[{\"\\u009b\":[]}]" };
	json_t *object = text_read_answer(line, strlen(line));

	(void)state;
	assert_string_equal(text_of(object, "id"), "3?[2Jf");
	assert_string_equal(text_of(json_array_get(json_object_get(object,
	    "list"), 0), "state"), "\?\?31m\?\?\ttwo\nlines \xc3\xa4");
	json_decref(object);
	for (size_t i = 0; i < COUNT(bad); i++)
		assert_null(text_read_answer(bad[i], strlen(bad[i])));
}

static void test_set_tls_answer(void **state)
{
	(void)state;
	fake_control_reset();
	fake_control_answer("{\"verb\":\"set-tls\",\"messages\":2,"
	    "\"recipients\":5,\"level\":\"may\",\"requiretls\":1,\"notice\":"
	    "\"the sender's demand stays\"}\n", CONTROL_OK, "");
	assert_int_equal(run("queue set-tls 1 2 may --reason x"), CONTROL_OK);
	assert_string_equal(output, "set-tls may: 2 message(s), 5 "
	    "recipient(s)\nthe sender's demand stays\n");
}

/* What a long verb says on its way is no part of its answer. */
static void test_progress_is_no_answer(void **state)
{
	static const char line[] = "{\"id\":\"1\",\"recipients\":[]}\n";
	static const char both[] = "{\"progress\":{\"seen\":5}}\n"
	    "{\"id\":\"1\",\"recipients\":[]}\n{\"progress\":{\"seen\":6}}\n";

	(void)state;
	fake_control_reset();
	fake_control_answer(both, CONTROL_OK, "");
	assert_int_equal(run("queue list -j"), CONTROL_OK);
	assert_string_equal(output, line);
	fake_control_answer(both, CONTROL_OK, "");
	assert_int_equal(run("queue list"), CONTROL_OK);
	assert_null(strstr(output, "progress"));
}

static void test_progress_line(void **state)
{
	static const struct {
		const char	*values;
		int64_t		 elapsed;
		size_t		 width;
		const char	*line;
	} cases[] = {
		{ "{\"seen\":7}", 1000, 80, "7" },
		{ "{\"seen\":7,\"changed\":3}", 1000, 80, "7, 3 changed" },
		{ "{\"seen\":50,\"total\":100,\"changed\":40}", 60000, 80,
		    "[############............]  50%  50 of 100, 40 changed, "
		    "1:00 left" },
		{ "{\"seen\":1,\"total\":1000001}", 1000, 80,
		    "[........................]   0%  1 of 1000001, "
		    "277:46:40 left" },
		{ "{\"seen\":100,\"total\":100}", 5000, 80,
		    "[########################] 100%  100 of 100, 0:00 left" },
		/* More than there were: some came in meanwhile. */
		{ "{\"seen\":101,\"total\":100}", 5000, 80, "101" },
		{ "{\"seen\":50,\"total\":100}", 60000, 40,
		    " 50%  50 of 100, 1:00 left" },
		{ "{\"seen\":50,\"total\":100}", 60000, 10, " 50%  50 " },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		json_t *values = json_loads(cases[i].values, 0, NULL);
		char line[200];

		queue_progress_format(values, cases[i].elapsed,
		    cases[i].width, line, sizeof(line));
		assert_string_equal(line, cases[i].line);
		json_decref(values);
	}
}

/* --- help --- */

static void test_help(void **state)
{
	static const struct asks rows[] = {
		{ "policy --help", "outcomes" },
		{ "policy explain --help", "--tls-optional" },
		{ "policy memory --help", "import FILE" },
		{ "policy memory pin --help", "--level fingerprint" },
		{ "policy memory import --help", "named by their lines" },
		{ "policy exception add --help", "2026-12-24T12:00Z" },
		{ "policy events --help", "a week if not given" },
		{ "policy outcomes --help", "yesterday" },
		{ "queue list --help", "dane-mismatch, sts-mx" },
		{ "queue list --help", "broken-tls" },
		{ "queue set-tls --help", "LEVEL, the last word" },
		{ "queue delete --help", "--dry-run" },
		{ "queue redirect --help", "ADDRESS [SELECTOR...] [ID...]" },
		{ "queue --help", "hold-rule add|list|remove ..." },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		fake_control_reset();
		assert_int_equal(run(rows[i].line), CONTROL_OK);
		if (strstr(output, rows[i].request) == NULL)
			fail_msg("%s: %s", rows[i].line, output);
	}
	assert_int_equal(run("policy memory"), CONTROL_USAGE);
	assert_int_equal(run("policy exception remove"), CONTROL_USAGE);
	assert_non_null(strstr(output, "there is no command \"postern policy "
	    "exception remove\"; there are: add list revoke\n"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_asks),
		cmocka_unit_test(test_wrong),
		cmocka_unit_test(test_exception_retries),
		cmocka_unit_test(test_exception_without_queue),
		cmocka_unit_test(test_import),
		cmocka_unit_test(test_import_pages),
		cmocka_unit_test(test_import_fails),
		cmocka_unit_test(test_show_next),
		cmocka_unit_test(test_show_json),
		cmocka_unit_test(test_show_notification),
		cmocka_unit_test(test_show_many),
		cmocka_unit_test(test_list_total),
		cmocka_unit_test(test_answers_are_clean),
		cmocka_unit_test(test_set_tls_answer),
		cmocka_unit_test(test_progress_is_no_answer),
		cmocka_unit_test(test_progress_line),
		cmocka_unit_test(test_help),
	};
	int one = mkstemp(output_path), other = mkstemp(import_path), result;

	if (one == -1 || other == -1)
		return 1;
	close(one);
	close(other);
	result = cmocka_run_group_tests(tests, NULL, NULL);
	unlink(output_path);
	unlink(import_path);
	return result;
}
