/* SPDX-License-Identifier: ISC */
/*
 * conf/options.c: the table is sound and complete, its defaults are what the
 * standards ask for (SMTP-22, SMTP-54, SMTP-157, SMTP-159, SMTP-174), and the
 * committed sample and manual are what it prints. Needs POSTERN_SRCDIR.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "base/mem.h"
#include "conf/conf.h"
#include "conf/options.h"
#include "conf/print.h"
#include "conf/value.h"
#include "config.h"

enum { MINUTE = 60, HOUR = 60 * MINUTE, DAY = 24 * HOUR };

/* Contents of a file below the sources; fails the test if there is none. */
static char *read_source(const char *name)
{
	const char *top = getenv("POSTERN_SRCDIR");
	char *path = mem_print("%s/%s", top != NULL ? top : ".", name);
	char *text = mem_alloc(1 << 20);
	FILE *file = fopen(path, "r");
	size_t length;

	if (file == NULL)
		fail_msg("cannot open %s", path);
	length = fread(text, 1, (1 << 20) - 1, file);
	fclose(file);
	text[length] = '\0';
	mem_free(path);
	return text;
}

static char *print_text(void (*print)(FILE *out))
{
	char *text = NULL;
	size_t length = 0;
	FILE *stream = open_memstream(&text, &length);

	assert_non_null(stream);
	print(stream);
	fclose(stream);
	return text;
}

/* configure may have chosen other places than the committed texts name. */
static bool has_other_places(void)
{
	return strcmp(POSTERN_STATE_DIR, "/var/lib/postern") != 0 ||
	    strcmp(POSTERN_MAIL_DIR, "/var/mail/postern") != 0;
}

static void test_sample_is_current(void **state)
{
	char *printed, *committed;

	(void)state;
	if (has_other_places())
		skip();
	printed = print_text(conf_print_sample);
	committed = read_source("conf/postern.conf.sample");
	assert_string_equal(printed, committed);
	free(printed);
	mem_free(committed);
}

static void test_manual_is_current(void **state)
{
	char *printed, *committed, *begin, *end;

	(void)state;
	if (has_other_places())
		skip();
	printed = print_text(conf_print_manual);
	committed = read_source("man/postern.conf.5");
	begin = strstr(committed, ".\\\" BEGIN options");
	assert_non_null(begin);
	begin = strchr(begin, '\n') + 1;
	end = strstr(begin, ".\\\" END options");
	assert_non_null(end);
	*end = '\0';
	assert_string_equal(printed, begin);
	free(printed);
	mem_free(committed);
}

/* The examples of the manual are configurations: the text of each literal
 * display, with a host name where it has none. */
static void check_example(const char *text, size_t length)
{
	char *whole = mem_print("%s%.*s", strncmp(text, "hostname", 8) == 0 ?
	    "" : "hostname = mx.example.org\n", (int)length, text), *errors;
	struct conf *conf = conf_read("manual", whole, &errors);

	if (conf == NULL)
		fail_msg("%s%s", whole, errors);
	conf_free(conf);
	mem_free(whole);
}

static void test_manual_examples(void **state)
{
	char *manual = read_source("man/postern.conf.5"), *at = manual;
	int count = 0, lines = 0;

	(void)state;
	while ((at = strstr(at, "\n.Bd -literal")) != NULL) {
		char *begin = strchr(at + 1, '\n') + 1;
		char *end = strstr(begin, ".Ed\n");

		assert_non_null(end);
		check_example(begin, (size_t)(end - begin));
		/* The first one, a whole server, is under ten lines. */
		for (char *byte = begin; count == 0 && byte < end; byte++)
			lines += *byte == '\n';
		count++;
		at = end;
	}
	assert_in_range(count, 3, 10);
	assert_in_range(lines, 1, 9);
	mem_free(manual);
}

/* Takes the '#' from options: "#name", "#\tname", "#}"; not from prose. */
static void uncomment(char *sample)
{
	char *to = sample;

	for (char *line = sample, *next; *line != '\0'; line = next) {
		size_t length = strcspn(line, "\n") + 1;

		next = line + length;
		if (line[0] == '#' && line[1] != ' ' && line[1] != '\n')
			line++;
		memmove(to, line, (size_t)(next - line));
		to += next - line;
	}
	*to = '\0';
}

/* The sample with every option in force says nothing but the defaults. */
static void test_sample_is_valid(void **state)
{
	char *sample = print_text(conf_print_sample), *errors;
	struct conf *conf;

	(void)state;
	uncomment(sample);
	conf = conf_read("sample", sample, &errors);
	if (conf == NULL)
		fail_msg("%s", errors);
	for (int i = SECTION_TOP + 1; i < SECTION_COUNT; i++)
		assert_int_equal(section_count(conf, (enum option_section)i),
		    1);
	assert_int_equal(conf->max_message_size, 50 << 20);
	assert_string_equal(conf->domains[0].users.items[1], "alice");
	assert_int_equal(conf->destinations[0].broken_tls_after, 4 * HOUR);
	conf_free(conf);
	free(sample);
}

static void test_names_and_texts(void **state)
{
	(void)state;
	for (size_t i = 0; i < option_count; i++) {
		const struct option *option = &options[i];
		size_t length = strlen(option->text);
		const struct option *outer;

		assert_ptr_equal(option_find(option->section, option->name),
		    option);
		assert_int_equal(strspn(option->name,
		    "abcdefghijklmnopqrstuvwxyz0123456789-"),
		    strlen(option->name));
		assert_true(length > 10 && option->text[length - 1] == '.');
		outer = option_find(SECTION_TOP, option->name);
		/* Of the same name, for one section instead of all. */
		assert_true(outer == NULL || outer->type == option->type);
	}
	assert_null(option_find(SECTION_TOP, "no-such-option"));
	assert_int_equal(section_find("destination"), SECTION_DESTINATION);
	assert_int_equal(section_find(""), SECTION_COUNT);
	assert_int_equal(section_find("root"), SECTION_COUNT);
}

static void test_defaults_are_in_range(void **state)
{
	(void)state;
	for (size_t i = 0; i < option_count; i++) {
		const struct option *option = &options[i];
		void *element = mem_alloc(sections[option->section].size);

		/* A bad one is a bug(), which ends this program. */
		value_set_default(option, element);
		value_release(option, element);
		mem_free(element);
	}
}

/*
 * Members of the structs in conf.h, found by their form ("type	 name;"),
 * against the table, and the other way round.
 */
static bool is_in_table(const char *member, size_t length)
{
	static const char *const others[] = { "certificates",
	    "certificate_count", "listeners", "listener_count",
	    "milters", "milter_count", "domains", "domain_count", "routes",
	    "route_count", "destinations", "destination_count",
	    "unlisted", "route_destinations", "warnings",
	    "name", "pattern", "fingerprint_count", "no_starttls_after",
	    "broken_tls_after", "of_route" };

	for (size_t i = 0; i < option_count; i++)
		if (strlen(options[i].member) == length &&
		    strncmp(options[i].member, member, length) == 0)
			return true;
	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
		if (strlen(others[i]) == length &&
		    strncmp(others[i], member, length) == 0)
			return true;
	return false;
}

/* The identifier before the semicolon or "[" of a line of a struct. */
static const char *find_member(const char *line, size_t *length)
{
	const char *end = line + strcspn(line, ";\n"), *open;

	if (line[0] != '\t' || strchr("* /", line[1]) != NULL ||
	    *end != ';')
		return NULL;
	open = memchr(line, '(', (size_t)(end - line));
	if (open != NULL)	/* uint8_t (*name)[N] */
		line = open, end = memchr(open, ')', (size_t)(end - open));
	*length = 0;
	while (end > line && strchr("\t *(", end[-1]) == NULL)
		end--, ++*length;
	return end;
}

static void test_every_member_is_in_table(void **state)
{
	char *header = read_source("conf/conf.h");
	char *line = strstr(header, "\nstruct conf_certificate {");
	char *stop = strstr(header, "\nstruct conf_next_hop");
	size_t members = 0, length;

	(void)state;
	assert_non_null(line);
	assert_non_null(stop);
	for (; line < stop; line += strcspn(line, "\n") + 1) {
		const char *member = find_member(line, &length);

		if (member == NULL || length == 0)
			continue;
		members++;
		if (!is_in_table(member, length))
			fail_msg("%.*s is in no row of conf/options.c",
			    (int)length, member);
	}
	/* The search itself works: it saw at least one member per option. */
	assert_true(members >= option_count);
	mem_free(header);
}

static void test_standards(void **state)
{
	char *errors;
	struct conf *conf = conf_read("f", "hostname = mx.example.org",
	    &errors);

	(void)state;
	assert_non_null(conf);
	/* SMTP-157: RFC 5321 4.5.3.2 */
	assert_true(conf->greeting_timeout >= 5 * MINUTE);
	assert_true(conf->reply_timeout >= 5 * MINUTE);
	assert_true(conf->data_reply_timeout >= 10 * MINUTE);
	/* SMTP-54: RFC 5321 4.5.3.2.7 */
	assert_true(conf->command_timeout >= 5 * MINUTE);
	/* SMTP-159: RFC 5321 4.5.4.1 */
	assert_int_equal(conf->retry_first, 5 * MINUTE);
	assert_int_equal(conf->retry_max, 4 * HOUR);
	assert_in_range(conf->message_expiry, 4 * DAY, 5 * DAY);
	/* SMTP-174: RFC 5321 6.3 */
	assert_true(conf->max_received >= 100);
	/* SMTP-22: RFC 5321 4.5.3.1.7 and 8 */
	assert_true(conf->max_message_size >= 64 << 10);
	assert_true(conf->max_recipients >= 100);
	assert_true(option_find(SECTION_TOP, "max-recipients")->min >= 100);
	assert_true(option_find(SECTION_TOP, "max-message-size")->min >=
	    64 << 10);
	assert_true(option_find(SECTION_TOP, "max-line")->min >= 1000);
	conf_free(conf);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_sample_is_current),
		cmocka_unit_test(test_manual_is_current),
		cmocka_unit_test(test_manual_examples),
		cmocka_unit_test(test_sample_is_valid),
		cmocka_unit_test(test_names_and_texts),
		cmocka_unit_test(test_defaults_are_in_range),
		cmocka_unit_test(test_every_member_is_in_table),
		cmocka_unit_test(test_standards),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
