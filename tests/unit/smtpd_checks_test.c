/* SPDX-License-Identifier: ISC */
/*
 * smtpd/checks.c: the table in the README says what the table in the code does,
 * in the same order; and what is told once an hour is told once.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>
#include <regex.h>
#include <cmocka.h>

#include "base/log.h"
#include "base/loop.h"
#include "base/mem.h"
#include "smtpd/checks.h"
#include "smtpd/rules.h"
#include "smtpd/session.h"
#include "tests/smtpd_world.h"

static const char *const points[CHECK_POINTS] = { "connect", "hello", "mail",
    "recipient", "known", "content" };

static char *read_source(const char *name)
{
	const char *top = getenv("POSTERN_SRCDIR");
	char *path = mem_print("%s/%s", top != NULL ? top : ".", name);
	char *text = mem_alloc(1 << 20);
	FILE *file = fopen(path, "r");

	if (file == NULL)
		fail_msg("cannot open %s", path);
	text[fread(text, 1, (1 << 20) - 1, file)] = '\0';
	fclose(file);
	mem_free(path);
	return text;
}

/* The rows begin at the margin; they end at an empty line. */
static void test_readme(void **state)
{
	const struct check *check = checks_table();
	char *readme = read_source("smtpd/README"), *line, point[32], name[64];

	(void)state;
	line = strstr(readme, "\npoint      check ");
	assert_non_null(line);
	line = strchr(line + 1, '\n') + 1;
	for (; *line != '\n'; line = strchr(line, '\n') + 1) {
		if (*line == ' ')
			continue;
		assert_int_equal(sscanf(line, "%31s %63s", point, name), 2);
		if (check->point == CHECK_POINTS)
			fail_msg("checks.c has no more rows: %s", name);
		assert_string_equal(points[check->point], point);
		assert_string_equal(check->name, name);
		check++;
	}
	if (check->point != CHECK_POINTS)
		fail_msg("the README has no more rows: %s", check->name);
	mem_free(readme);
}

/* In the order in which a session comes by them. */
static void test_points_in_order(void **state)
{
	const struct check *check = checks_table();

	(void)state;
	for (; check->point != CHECK_POINTS; check++) {
		assert_non_null(check->run);
		assert_true(check[1].point >= check[0].point);
	}
}

static int log_fd, stderr_was;

static void begin_log(void)
{
	log_fd = memfd_create("log", MFD_CLOEXEC);
	stderr_was = dup(STDERR_FILENO);
	assert_int_not_equal(dup2(log_fd, STDERR_FILENO), -1);
	log_set_level(LOG_LEVEL_INFO);
}

/* Owned. */
static char *end_log(void)
{
	char *text = mem_alloc(64 << 10);
	ssize_t length;

	log_flush();
	log_set_level(LOG_LEVEL_ERROR);
	dup2(stderr_was, STDERR_FILENO);
	close(stderr_was);
	length = pread(log_fd, text, (64 << 10) - 1, 0);
	text[length < 0 ? 0 : length] = '\0';
	close(log_fd);
	return text;
}

static unsigned count(const char *text, const char *words)
{
	unsigned found = 0;

	while ((text = strstr(text, words)) != NULL) {
		found++;
		text++;
	}
	return found;
}

static void begin_session(struct world *world, const char *lines)
{
	int pair[2];

	server_set_rules(&world->server, world_rules(lines, "", true));
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK |
	    SOCK_CLOEXEC, 0, pair), 0);
	world_session(world, pair[1], "198.51.100.7");
	world_turns(8);
	close(pair[0]);
	world_turns(4);
}

static void test_complaints(void **state)
{
	struct world world;
	char *text;

	(void)state;
	world_init(&world);
	fake_smtpd_policy_set("listed", "a.example 127.255.255.254");
	fake_smtpd_policy_set("listed", "b.example failed");
	begin_log();
	for (int i = 0; i < 5; i++)
		begin_session(&world, "dnsbl = { a.example, b.example }\n");
	text = end_log();
	assert_int_equal(count(text, " connect "), 5);
	assert_int_equal(count(text, "list-refuses list=a.example"), 1);
	assert_int_equal(count(text, "list-failed list=b.example"), 1);
	mem_free(text);
	world_release(&world);
}

/* The expression of the manual, with what stands for fail2ban's <HOST>, the
 * second group of it. Owned. */
static char *manual_expression(const char *manual, const char *begin)
{
	const char *line = strstr(manual, begin), *end, *host;

	if (line == NULL)
		fail_msg("postern.8 has no %s", begin);
	line = strchr(line, '^');
	end = strchr(line, '\n');
	host = strstr(line, "<HOST>");
	assert_true(host != NULL && host < end);
	return mem_print("%.*s([0-9a-f.:]+)%.*s", (int)(host - line), line,
	    (int)(end - host - 6), host + 6);
}

static bool matches(const char *expression, const char *text, char *address)
{
	regmatch_t found[3];
	regex_t regex;
	bool matched;

	assert_int_equal(regcomp(&regex, expression, REG_EXTENDED |
	    REG_NEWLINE), 0);
	matched = regexec(&regex, text, 3, found, 0) == 0;
	if (matched)
		snprintf(address, 64, "%.*s", (int)(found[2].rm_eo -
		    found[2].rm_so), text + found[2].rm_so);
	regfree(&regex);
	return matched;
}

/* The beginning of the line with the words; the rest stays behind it. */
static const char *find_line(const char *text, const char *words)
{
	const char *found = strstr(text, words);

	assert_non_null(found);
	while (found > text && found[-1] != '\n')
		found--;
	return found;
}

/* The filter in the manual finds the line of a refusal by a check, and the
 * client's address in it; and no line that only warns. */
static void test_fail2ban(void **state)
{
	/* What is left of a line without its time: a file's, the journal's. */
	static const char *const before[] = { "", " ", " mx postern[7]: " };
	static const char forged[] = "s=1 smtpd reject addr=192.0.2.1 check=- "
	    "verb=MAIL reply=\"550 x\" from=\"x x: s=1 smtpd reject "
	    "addr=192.0.2.9 check=dnsbl x\" to=-";
	char *manual = read_source("man/postern.8"), *expression, *text;
	struct world world;
	char address[64];

	(void)state;
	expression = manual_expression(manual, "failregex = ");
	world_init(&world);
	begin_log();
	begin_session(&world, "deny-from = { 198.51.100.7 }\n");
	text = end_log();
	for (int i = 0; i < 3; i++) {
		char *line = mem_print("%s%s", before[i],
		    find_line(text, "smtpd reject "));

		if (!matches(expression, line, address))
			fail_msg("%s does not match %s", expression, line);
		assert_string_equal(address, "198.51.100.7");
		mem_free(line);
	}
	mem_free(text);
	assert_false(matches(expression, forged, address));
	begin_log();
	fake_smtpd_policy_set("listed", "c.example 127.0.0.2");
	begin_session(&world, "dnsbl = c.example dnsbl-mode = warn\n");
	text = end_log();
	assert_int_equal(count(text, "would-reject"), 1);
	assert_false(matches(expression, text, address));
	mem_free(text);
	mem_free(expression);
	mem_free(manual);
	world_release(&world);
}

static int set_up(void **state)
{
	(void)state;
	world_prepare();
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	loop_release();
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_readme),
		cmocka_unit_test(test_points_in_order),
		cmocka_unit_test(test_complaints),
		cmocka_unit_test(test_fail2ban),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
