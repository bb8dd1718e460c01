/* SPDX-License-Identifier: ISC */
/*
 * authentic/spf*.c against tests/vectors/spf: the result of each question, and
 * where a case says so the exact lookups, the mechanism that decided, the
 * explanation and what was counted. Each step starts with an empty arena of the
 * size that is promised. Beside it what no vector can say.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <jansson.h>

#include "authentic/spf.h"
#include "authentic/spf_macro.h"
#include "authentic/spf_record.h"
#include "base/arena.h"
#include "tests/unit/authentic_dns.h"

static const char *const files[] = { "spf/begin.json", "spf/record.json",
    "spf/address.json", "spf/names.json", "spf/other.json",
    "spf/macro.json", "spf/limit.json", "spf/explanation.json" };

/* --- vectors --- */

static void set_client(struct endpoint *client, const char *text)
{
	static const uint8_t mapped[12] = { [10] = 0xff, [11] = 0xff };
	struct endpoint v4;

	/* As a socket of both families has it. */
	if (strncmp(text, "mapped ", 7) == 0) {
		assert_int_equal(0, endpoint_parse(&v4, text + 7, 25));
		memset(client, 0, sizeof(*client));
		client->address.v6.sin6_family = AF_INET6;
		memcpy(client->address.v6.sin6_addr.s6_addr, mapped, 12);
		memcpy(client->address.v6.sin6_addr.s6_addr + 12,
		    &v4.address.v4.sin_addr, 4);
		client->length = sizeof(client->address.v6);
		return;
	}
	assert_int_equal(0, endpoint_parse(client, text, 25));
}

static void read_question(const json_t *test, struct spf_question *question)
{
	const char *at;

	memset(question, 0, sizeof(*question));
	set_client(&question->client, vector_text(test, "client",
	    "192.0.2.1"));
	question->sender = vector_text(test, "sender", "user@example.org");
	at = strrchr(question->sender, '@');
	question->domain = vector_text(test, "domain", at == NULL ?
	    question->sender : at + 1);
	question->hello = vector_text(test, "hello", "mail.example.org");
	question->receiver = vector_text(test, "receiver", "mx.example.net");
	question->now = 1234567890;
	question->explain = json_object_get(test, "explanation") != NULL;
}

static void run(struct small_dns *dns, const struct spf_question *question,
    struct arena *arena, struct spf_step *step)
{
	for (;;) {
		arena_reset(arena);
		spf_step(question, &dns->answers, arena, step);
		if (step->done)
			break;
		assert_in_range(dns->answers.count, 0, SPF_LOOKUPS_MAX - 1);
		small_dns_answer(dns, step->type, step->name);
	}
}

static void compare_count(const json_t *test, const char *key, unsigned count)
{
	const json_t *expected = json_object_get(test, key);

	if (expected != NULL)
		assert_int_equal(count, json_integer_value(expected));
}

static void compare(const json_t *test, const struct spf_step *step)
{
	const char *expected = vector_text(test, "mechanism", NULL);

	if (strcmp(proof_name(step->proof), vector_text(test, "result", "?")) !=
	    0)
		fail_msg("%s (%s), not %s", proof_name(step->proof),
		    step->mechanism, vector_text(test, "result", "?"));
	assert_string_not_equal(step->mechanism, "");
	if (expected != NULL)
		assert_string_equal(step->mechanism, expected);
	assert_string_equal(step->explanation, vector_text(test, "explanation",
	    ""));
	compare_count(test, "terms", step->terms);
	compare_count(test, "voids", step->voids);
}

/* "record" is short for the TXT record of example.org. */
static void test_vector(void **state)
{
	json_t *test = *state, *names = json_object_get(test, "zone");
	json_t *record = json_object_get(test, "record");
	struct arena *arena = arena_new(SPF_MEMORY_MAX);
	struct spf_question question;
	struct spf_step step;
	struct small_dns dns;

	names = names == NULL ? json_object() : json_deep_copy(names);
	if (record != NULL)
		json_object_set_new(names, "example.org",
		    json_pack("{s: [O]}", "TXT", record));
	small_dns_init(&dns, names);
	read_question(test, &question);
	run(&dns, &question, arena, &step);
	compare(test, &step);
	small_dns_compare(&dns, json_object_get(test, "queries"));
	small_dns_release(&dns);
	arena_free(arena);
	json_decref(names);
}

/* --- the worst that can be --- */

/* Ten names of hosts, of MX or PTR. */
static const char *list_hosts(char *text, size_t size, const char *format,
    unsigned first)
{
	size_t length = 1;
	unsigned i;

	text[0] = '[';
	for (i = 0; i < SPF_MX_MAX; i++) {
		snprintf(text + length, size - length, format, first + i);
		length += strlen(text + length);
		text[length++] = i + 1 < SPF_MX_MAX ? ',' : ']';
	}
	text[length] = '\0';
	return text;
}

static void add_name(json_t *names, const char *name, const char *type,
    const char *json)
{
	json_t *list = json_loads(json, 0, NULL);

	assert_non_null(list);
	json_object_set_new(names, name, json_pack("{s: o}", type, list));
}

/*
 * Ten terms of ten hosts each, a name of the client in the explanation and ten
 * of those: no question needs more lookups or more memory (AUTHN-50, 51).
 */
static void test_most_lookups(void **state)
{
	struct arena *arena = arena_new(SPF_MEMORY_MAX);
	struct spf_question question;
	json_t *names = json_object();
	char text[1024], name[64];
	struct small_dns dns;
	struct spf_step step;
	unsigned i;

	(void)state;
	snprintf(text, sizeof(text), "[\"v=spf1 mx:m0.x.org mx:m1.x.org "
	    "mx:m2.x.org mx:m3.x.org mx:m4.x.org mx:m5.x.org mx:m6.x.org "
	    "mx:m7.x.org mx:m8.x.org mx:m9.x.org exp=%%{p}.x.org -all\"]");
	add_name(names, "example.org", "TXT", text);
	for (i = 0; i < SPF_TERMS_MAX; i++) {
		snprintf(name, sizeof(name), "m%u.x.org", i);
		add_name(names, name, "MX", list_hosts(text,
		    sizeof(text), "[1, \"h%u.example.net\"]", i *
		    SPF_MX_MAX));
	}
	add_name(names, "192.0.2.1", "PTR", list_hosts(text, sizeof(text),
	    "\"h%u.example.com\"", 0));
	for (i = 0; i < SPF_TERMS_MAX * SPF_MX_MAX; i++) {
		snprintf(name, sizeof(name), "h%u.example.net", i);
		add_name(names, name, "A", "[\"192.0.2.2\"]");
	}
	small_dns_init(&dns, names);
	read_question(NULL, &question);
	question.explain = true;
	run(&dns, &question, arena, &step);
	assert_int_equal(step.proof, PROOF_FAIL);
	assert_int_equal(dns.answers.count, 1 + 10 + 100 + 1 + 10 + 1);
	small_dns_release(&dns);
	arena_free(arena);
	json_decref(names);
}

/* The machine of the second lookup does not remember the first: what it is
 * given is what counts. */
static void test_starts_anew(void **state)
{
	struct lookup_record record = { .text = "v=spf1 +all",
	    .length = sizeof("v=spf1 +all") - 1 };
	struct lookup_answer item = { .type = LOOKUP_TXT,
	    .name = "example.org", .status = LOOKUP_FOUND,
	    .records = &record, .count = 1 };
	struct lookup_answers answers = { &item, 1 };
	struct arena *arena = arena_new(SPF_MEMORY_MAX);
	struct spf_question question;
	struct spf_step step;

	(void)state;
	read_question(NULL, &question);
	spf_step(&question, &answers, arena, &step);
	assert_true(step.done);
	assert_int_equal(step.proof, PROOF_PASS);
	answers.count = 0;
	spf_step(&question, &answers, arena, &step);
	assert_false(step.done);
	assert_int_equal(step.type, LOOKUP_TXT);
	assert_string_equal(step.name, "example.org");
	arena_free(arena);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_most_lookups),
		cmocka_unit_test(test_starts_anew),
	};
	int failed = cmocka_run_group_tests(tests, NULL, NULL);

	return failed + vector_run("spf", files, sizeof(files) / sizeof(files[0]),
	    test_vector);
}
