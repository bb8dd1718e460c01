/* SPDX-License-Identifier: ISC */
/*
 * tools/command_policy_print.c and _table.c: what came from outside cannot move
 * a terminal's cursor, whatever member it is in; what is missing is no crash;
 * tables are aligned; the words for who asks.
 */
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "tools/command_policy_print.h"
#include "tools/command_policy_table.h"

static char path[] = "/tmp/postern-print-XXXXXX";

/* Every string below becomes hostile, keys and names of kinds stay. */
#define EVIL "evil\\u001b[2J\\u0007\\r\\n\\u0000x"

static const char explanation[] =
"{\"domain\": \"" EVIL "\", \"level\": \"auto\", \"destination\": \"" EVIL "\","
" \"next-hop\": {\"host\": \"" EVIL "\", \"port\": 25, \"mx\": true,"
" \"tls\": \"starttls\"}, \"alarm\": \"" EVIL "\", \"facts\": ["
" {\"query\": \"MX\", \"name\": \"" EVIL "\", \"result\": \"data\","
"  \"dnssec\": \"secure\", \"ttl\": 60, \"alias\": \"" EVIL "\", \"data\":"
"  [{\"preference\": 1, \"host\": \"" EVIL "\"}], \"reason\": \"" EVIL "\"},"
" {\"query\": \"TLSA\", \"name\": \"" EVIL "\", \"result\": \"data\","
"  \"dnssec\": \"secure\", \"data\": [{\"record\": \"" EVIL "\","
"  \"usable\": false, \"why\": \"" EVIL "\"}]},"
" {\"query\": \"STS\", \"name\": \"" EVIL "\", \"result\": \"data\","
"  \"data\": [{\"mode\": \"" EVIL "\", \"id\": \"" EVIL "\","
"  \"mx\": [\"" EVIL "\"]}]},"
" {\"query\": \"A\", \"name\": \"" EVIL "\", \"data\": [\"" EVIL "\"]},"
" {\"query\": \"MEMORY-HOST\", \"name\": \"" EVIL "\", \"result\":"
"  \"data\", \"data\": [{\"expects\": [\"" EVIL "\"], \"count\": 3,"
"  \"last\": \"" EVIL "\"}]}],"
" \"message-level\": \"" EVIL "\", \"wish\": \"optional\","
" \"exception\": {\"id\": 7, \"level\": \"" EVIL "\", \"pattern\":"
"  \"" EVIL "\", \"reason\": \"" EVIL "\"},"
" \"pin\": {\"level\": \"" EVIL "\", \"reason\": \"" EVIL "\"},"
" \"vanished\": [\"" EVIL "\"],"
" \"decisions\": [{\"subject\": \"" EVIL "\", \"clause\": \"" EVIL "\","
"  \"text\": \"" EVIL "\"}], \"hosts\": ["
" {\"name\": \"" EVIL "\", \"addresses\": [\"" EVIL "\"],"
"  \"requirement\": \"dane\", \"source\": \"dane\", \"requiretls\": true,"
"  \"ideal\": \"" EVIL "\", \"ideal-source\": \"" EVIL "\","
"  \"sts-mismatch\": true, \"names\":"
"  [\"" EVIL "\"], \"tlsa\": [\"" EVIL "\"], \"reason\": \"" EVIL "\"},"
" {\"name\": \"" EVIL "\", \"skip\": true, \"skipped\":"
"  {\"text\": \"" EVIL "\"}}]}";

static const char status[] = "{\"domain\": \"" EVIL "\", \"status\":"
" {\"outcome\": \"failed\", \"status\": \"" EVIL "\", \"text\": \"" EVIL
"\"}}";

static const char probe[] =
"{\"host\": \"" EVIL "\", \"address\": \"" EVIL "\", \"port\": 25,"
" \"verdict\": \"" EVIL "\", \"text\": \"" EVIL "\", \"tls\":"
" {\"version\": \"" EVIL "\", \"cipher\": \"" EVIL "\", \"problem\":"
"  \"" EVIL "\", \"matched-name\": \"" EVIL "\", \"chain\": [{\"subject\":"
"  \"" EVIL "\", \"issuer\": \"" EVIL "\", \"names\": \"" EVIL "\"}]}}";

static const char remembered[] = "{\"domain\": \"" EVIL "\", \"mode\": \""
EVIL "\", \"id\": \"" EVIL "\", \"mx\": [\"" EVIL "\"]}";

static const char entry[] = "{\"host\": \"" EVIL "\", \"tls\": 3,"
" \"first\": \"" EVIL "\", \"last\": \"" EVIL "\", \"tls-last\": \"" EVIL
"\", \"clear\": 1, \"clear-last\": \"" EVIL "\", \"lost-since\": \"" EVIL
"\", \"version\": \"" EVIL "\", \"expects\": [\"" EVIL "\"]}";
static const char pin[] = "{\"pin\": \"" EVIL "\", \"level\": \"" EVIL
"\", \"fingerprints\": [\"" EVIL "\"], \"reason\": \"" EVIL
"\", \"author\": \"" EVIL "\", \"made\": \"" EVIL "\"}";
static const char exception[] = "{\"id\": 7, \"domain\": \"" EVIL
"\", \"level\": \"" EVIL "\", \"until\": \"" EVIL "\", \"author\": \""
EVIL "\", \"reason\": \"" EVIL "\"}";
static const char event[] = "{\"kind\": \"" EVIL "\", \"signature\": \"" EVIL
"\", \"domain\": \"" EVIL "\", \"host\": \"" EVIL "\", \"address\": \""
EVIL "\", \"first\": \"" EVIL "\", \"last\": \"" EVIL "\", \"count\": 2,"
" \"expected\": {\"requirement\": \"" EVIL "\", \"source\": \"" EVIL "\"},"
" \"seen\": {\"stage\": \"" EVIL "\", \"symptom\": \"" EVIL
"\", \"keywords\": \"" EVIL "\", \"reply\": \"" EVIL "\", \"version\": \""
EVIL "\", \"cipher\": \"" EVIL "\", \"chain\": [\"" EVIL "\"],"
" \"problem\": \"" EVIL "\"}, \"mail\": \"" EVIL "\", \"destinations\":"
" [\"" EVIL "\"], \"over\": \"" EVIL "\"}";
static const char outcome[] = "{\"day\": \"" EVIL "\", \"domain\": \"" EVIL
"\", \"policy\": {\"policy-type\": \"" EVIL "\", \"policy-string\": [\"" EVIL
"\"], \"policy-domain\": \"" EVIL "\", \"mx-host\": [\"" EVIL "\"]},"
" \"failure-details\": [{\"result-type\": \"" EVIL
"\", \"receiving-mx-hostname\": \"" EVIL "\", \"receiving-ip\": \"" EVIL
"\", \"failure-reason-code\": \"" EVIL "\"}]}";

static void print_memory_heading(const json_t *object)
{
	(void)object;
	policy_table_memory_heading();
}

static void print_exception_heading(const json_t *object)
{
	(void)object;
	policy_table_exception_heading();
}

static void print_made(const json_t *object)
{
	policy_print_exception("made", object);
}

/* What a function prints of one text of JSON; static. */
static const char *printed(void (*print)(const json_t *object),
    const char *text)
{
	static char out[1 << 16];
	json_t *object = json_loads(text, JSON_ALLOW_NUL, NULL);
	int fd = open(path, O_RDWR | O_TRUNC), kept = dup(STDOUT_FILENO);
	ssize_t length;

	assert_non_null(object);
	assert_int_not_equal(fd, -1);
	fflush(stdout);
	dup2(fd, STDOUT_FILENO);
	print(object);
	fflush(stdout);
	dup2(kept, STDOUT_FILENO);
	close(kept);
	length = pread(fd, out, sizeof(out) - 1, 0);
	close(fd);
	json_decref(object);
	assert_true(length > 0);
	out[length] = '\0';
	return out;
}

static void test_escapes(void **state)
{
	static const struct {
		void		(*print)(const json_t *object);
		const char	*text;
	} cases[] = {
		{ policy_print_explanation, explanation },
		{ policy_print_summary, explanation },
		{ policy_print_explanation, status },
		{ policy_print_probe, probe },
		{ policy_print_remembered, remembered },
		{ policy_print_next, explanation },
		{ policy_print_next, status },
		{ policy_table_memory, entry },
		{ policy_table_memory, pin },
		{ policy_print_memory, entry },
		{ policy_print_memory, pin },
		{ policy_table_exception, exception },
		{ print_made, exception },
		{ policy_print_event, event },
		{ policy_print_outcome, outcome },
	};
	const char *out;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		out = printed(cases[i].print, cases[i].text);
		assert_non_null(strstr(out, "evil"));
		for (; *out != '\0'; out++)
			if ((unsigned char)*out < ' ' && *out != '\n')
				fail_msg("case %zu: raw byte %d", i, *out);
	}
}

/* Quotes are no danger, and people write them. */
static void test_quotes(void **state)
{
	(void)state;
	assert_non_null(strstr(printed(policy_table_exception,
	    "{\"reason\": \"the \\\"old\\\" host, \\\\o/\"}"),
	    "the \"old\" host, \\x5co/"));
}

/* An older or newer server leaves members out. */
static void test_missing(void **state)
{
	(void)state;
	printed(policy_print_explanation, "{}");
	printed(policy_print_explanation, "{\"facts\": [{}, 7],"
	    " \"hosts\": [{}, null], \"decisions\": [{}]}");
	printed(policy_print_probe, "{\"tls\": {\"chain\": [{}]}}");
	printed(policy_print_remembered, "{}");
	printed(policy_print_next, "{}");
	printed(policy_print_next, "{\"hosts\": [{}, 7, {\"skip\": true}],"
	    " \"exception\": {}, \"pin\": {}, \"vanished\": [7]}");
	printed(policy_table_memory, "{}");
	printed(policy_table_memory, "{\"pin\": \"a\"}");
	printed(policy_print_memory, "{}");
	printed(policy_print_memory, "{\"pin\": \"a\"}");
	printed(policy_table_exception, "{}");
	printed(print_made, "{}");
	printed(policy_print_event, "{}");
	printed(policy_print_event, "{\"expected\": {}, \"seen\": {}}");
	printed(policy_print_outcome, "{}");
	printed(policy_print_outcome, "{\"failure-details\": [{}, null]}");
}

/* Words for what decides: the source, and who asked. */
static void test_sources(void **state)
{
	static const struct {
		const char	*host;		/* members of it */
		const char	*words;		/* broken at a column */
	} rows[] = {
		{ "\"requirement\": \"name\", \"source\": \"sts\"",
		    "for its name (MTA-STS)" },
		{ "\"requirement\": \"name\", \"source\": \"requiretls\"",
		    "for its name (REQUIRETLS)" },
		{ "\"requirement\": \"name\", \"source\": \"pin\"",
		    "for its name (pinned)" },
		{ "\"requirement\": \"name\", \"source\": \"level\"",
		    "for one of the names of the configuration" },
		{ "\"requirement\": \"encrypted\", \"source\": \"memory\"",
		    "whoever answers (memory: it has always shown TLS)" },
		{ "\"requirement\": \"encrypted\", \"source\": \"level\"",
		    "over TLS, whoever answers" },
		{ "\"requirement\": \"fingerprint\", \"source\": \"pin\"",
		    "that was named (pinned)" },
		{ "\"requirement\": \"opportunistic\"",
		    "over TLS if it offers it" },
		{ "\"requirement\": \"clear\"", "in clear" },
		{ "\"requirement\": \"dane\", \"requiretls\": true",
		    "(DANE), with REQUIRETLS" },
	};
	char text[300], one_line[4000];

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const char *out, *from;
		char *to = one_line;

		snprintf(text, sizeof(text), "{\"hosts\": [{\"name\": \"m\", "
		    "%s}]}", rows[i].host);
		out = printed(policy_print_next, text);
		for (from = out; *from != '\0' && to < one_line +
		    sizeof(one_line) - 1; from++)
			if (*from != '\n' && (*from != ' ' || to == one_line ||
			    to[-1] != ' '))
				*to++ = *from;
			else if (*from == '\n')
				*to++ = ' ';
		*to = '\0';
		if (strstr(one_line, rows[i].words) == NULL)
			fail_msg("%s: %s", rows[i].host, one_line);
	}
}

/* The columns of a table are where its heading says. */
static void test_tables(void **state)
{
	const char *heading, *row;
	char kept[400];

	(void)state;
	heading = printed(print_memory_heading, "{}");
	snprintf(kept, sizeof(kept), "%s", heading);
	row = printed(policy_table_memory, "{\"destination\": \"example.org\""
	    ", \"tls\": 12, \"clear\": 1, \"tls-last\":"
	    " \"2026-11-22T10:11:12Z\", \"expects\": [\"tls\", \"dane\"],"
	    " \"lost-since\": \"2026-11-22T11:00:00Z\"}");
	assert_ptr_equal(strstr(row, "destination") - row,
	    strstr(kept, "kind") - kept);
	assert_ptr_equal(strstr(row, "12 ") + 2 - row,
	    strstr(kept, "tls ") + 3 - kept);
	assert_ptr_equal(strstr(row, "2026") - row,
	    strstr(kept, "last under") - kept);
	assert_ptr_equal(strstr(row, "tls dane  LOST\n") - row,
	    strstr(kept, "expected") - kept);
	row = printed(policy_table_memory, "{\"pin\": \"example.org\","
	    " \"level\": \"verify\", \"reason\": \"by phone\"}");
	assert_ptr_equal(strstr(row, "verify: by phone\n") - row,
	    strstr(kept, "expected") - kept);

	heading = printed(print_exception_heading, "{}");
	snprintf(kept, sizeof(kept), "%s", heading);
	row = printed(policy_table_exception, "{\"id\": 7, \"domain\":"
	    " \"example.org\", \"level\": \"may\", \"until\":"
	    " \"2026-11-22T10:11:12Z\", \"uses\": 3, \"reason\":"
	    " \"ticket 41\", \"author\": \"uid 0\"}");
	assert_ptr_equal(strstr(row, "example.org") - row,
	    strstr(kept, "domain") - kept);
	assert_ptr_equal(strstr(row, "may") - row,
	    strstr(kept, "level") - kept);
	assert_ptr_equal(strstr(row, "2026") - row,
	    strstr(kept, "until") - kept);
	assert_ptr_equal(strstr(row, "ticket 41, by uid 0\n") - row,
	    strstr(kept, "reason") - kept);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_escapes), cmocka_unit_test(test_quotes),
		cmocka_unit_test(test_missing),
		cmocka_unit_test(test_sources), cmocka_unit_test(test_tables),
	};
	int fd = mkstemp(path), result;

	if (fd == -1)
		return 1;
	close(fd);
	result = cmocka_run_group_tests(tests, NULL, NULL);
	unlink(path);
	return result;
}
