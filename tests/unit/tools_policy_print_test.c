/* SPDX-License-Identifier: ISC */
/*
 * tools/command_policy_print.c: what came from outside cannot move a terminal's
 * cursor, whatever member it is in; and what is missing is no crash.
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
" {\"query\": \"A\", \"name\": \"" EVIL "\", \"data\": [\"" EVIL "\"]}],"
" \"decisions\": [{\"subject\": \"" EVIL "\", \"clause\": \"" EVIL "\","
"  \"text\": \"" EVIL "\"}], \"hosts\": ["
" {\"name\": \"" EVIL "\", \"addresses\": [\"" EVIL "\"],"
"  \"requirement\": \"dane\", \"source\": \"dane\", \"names\":"
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

/* An older or newer server leaves members out. */
static void test_missing(void **state)
{
	(void)state;
	printed(policy_print_explanation, "{}");
	printed(policy_print_explanation, "{\"facts\": [{}, 7],"
	    " \"hosts\": [{}, null], \"decisions\": [{}]}");
	printed(policy_print_probe, "{\"tls\": {\"chain\": [{}]}}");
	printed(policy_print_remembered, "{}");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_escapes), cmocka_unit_test(test_missing),
	};
	int fd = mkstemp(path), result;

	if (fd == -1)
		return 1;
	close(fd);
	result = cmocka_run_group_tests(tests, NULL, NULL);
	unlink(path);
	return result;
}
