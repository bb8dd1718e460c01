/* SPDX-License-Identifier: ISC */
/*
 * A name that is not listed does not exist, unless one below it does; one
 * that is has those records and no more. "fail" in place of a name's or a
 * type's records: the lookup fails. A name that is an address stands for its
 * reverse name.
 */
#include "tests/unit/authentic_dns.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <cmocka.h>

#include "base/arena.h"
#include "base/mem.h"

enum { CASES_MAX = 1024, FILES_MAX = 16 };

static const char *const types[] = { "TXT", "A", "AAAA", "MX", "PTR" };

const char *vector_text(const json_t *object, const char *key,
    const char *fallback)
{
	const char *text = json_string_value(json_object_get(object, key));

	return text == NULL ? fallback : text;
}

bool vector_flag(const json_t *object, const char *key)
{
	return json_is_true(json_object_get(object, key));
}

void small_dns_init(struct small_dns *dns, const json_t *names)
{
	memset(dns, 0, sizeof(*dns));
	dns->arena = arena_new(4 << 20);
	dns->names = names;
	dns->answers.items = arena_alloc_array(dns->arena, SMALL_DNS_LOOKUPS_MAX,
	    sizeof(struct lookup_answer));
}

void small_dns_release(struct small_dns *dns)
{
	arena_free(dns->arena);
}

/* --- finding --- */

/* Is it this name, written as a name or as an address? */
static bool is_name(const char *key, const char *name)
{
	struct endpoint endpoint;
	char reverse[ENDPOINT_TEXT_MAX + sizeof("ip6.arpa")];

	if (endpoint_parse(&endpoint, key, 0) == 0) {
		endpoint_reverse_name(&endpoint, reverse, sizeof(reverse));
		key = reverse;
	}
	return strcasecmp(key, name) == 0;
}

static bool is_below(const char *key, const char *name)
{
	size_t length = strlen(key), tail = strlen(name);

	return length > tail && key[length - tail - 1] == '.' &&
	    strcasecmp(key + length - tail, name) == 0;
}

/* The records of a name; exists: it or one below it is there. */
static const json_t *find_name(const json_t *names, const char *name,
    bool *exists)
{
	const json_t *records, *found = NULL;
	const char *key;

	json_object_foreach((json_t *)names, key, records) {
		if (is_name(key, name))
			found = records;
		if (found != NULL || is_below(key, name))
			*exists = true;
	}
	return found;
}

/* --- reading records --- */

/* Of several strings: joined. Zero bytes are kept. */
static void read_text(struct small_dns *dns, const json_t *value,
    struct lookup_record *record)
{
	char text[65536];
	size_t length = 0, i, parts = json_is_array(value) ?
	    json_array_size(value) : 1;
	const json_t *part;

	for (i = 0; i < parts; i++) {
		part = json_is_array(value) ? json_array_get(value, i) : value;
		assert_in_range(length + json_string_length(part), 0,
		    sizeof(text) - 1);
		memcpy(text + length, json_string_value(part),
		    json_string_length(part));
		length += json_string_length(part);
	}
	record->text = arena_dup_text(dns->arena, text, length);
	record->length = length;
}

static void read_record(struct small_dns *dns, enum lookup_type type,
    const json_t *value, struct lookup_record *record)
{
	switch (type) {
	case LOOKUP_TXT:
		read_text(dns, value, record);
		break;
	case LOOKUP_MX:
		record->preference = (unsigned)json_integer_value(
		    json_array_get(value, 0));
		read_text(dns, json_array_get(value, 1), record);
		break;
	case LOOKUP_PTR:
		read_text(dns, value, record);
		break;
	default:
		/* An AAAA record may hold an IPv4-mapped address: what
		 * resolvers make of it is no IPv6 address either. */
		assert_int_equal(0, endpoint_parse(&record->address,
		    json_string_value(value), 0));
		break;
	}
}

static void fill(struct small_dns *dns, const json_t *records,
    struct lookup_answer *answer)
{
	const json_t *list = json_object_get(records, types[answer->type]);
	size_t i;

	if (json_is_string(records) || json_is_string(list)) {
		assert_string_equal("fail", json_string_value(
		    json_is_string(records) ? records : list));
		answer->status = LOOKUP_FAILED;
		return;
	}
	answer->count = json_array_size(list);
	answer->status = answer->count > 0 ? LOOKUP_FOUND : LOOKUP_EMPTY;
	answer->records = arena_alloc_array(dns->arena, answer->count + 1,
	    sizeof(*answer->records));
	for (i = 0; i < answer->count; i++)
		read_record(dns, answer->type, json_array_get(list, i),
		    &answer->records[i]);
}

void small_dns_answer(struct small_dns *dns, enum lookup_type type,
    const char *name)
{
	struct lookup_answer *answer = &dns->answers.items[
	    dns->answers.count];
	const json_t *records;
	bool exists = false;

	assert_null(lookup_find(&dns->answers, type, name));
	assert_true(lookup_name_is_valid(name));
	assert_in_range(dns->answers.count, 0, SMALL_DNS_LOOKUPS_MAX - 1);
	dns->log[dns->answers.count] = arena_print(dns->arena, "%s %s",
	    types[type], name);
	answer->type = type;
	answer->name = arena_dup_string(dns->arena, name);
	records = find_name(dns->names, name, &exists);
	if (records != NULL)
		fill(dns, records, answer);
	else
		answer->status = exists ? LOOKUP_EMPTY : LOOKUP_MISSING;
	dns->answers.count++;
}

void small_dns_compare(const struct small_dns *dns, const json_t *queries)
{
	size_t i;

	if (queries == NULL)
		return;
	for (i = 0; i < dns->answers.count &&
	    i < json_array_size(queries); i++)
		assert_string_equal(dns->log[i], json_string_value(
		    json_array_get(queries, i)));
	if (dns->answers.count > json_array_size(queries))
		fail_msg("asked %s, which is not in the list", dns->log[i]);
	if (dns->answers.count < json_array_size(queries))
		fail_msg("did not ask %s", json_string_value(
		    json_array_get(queries, i)));
}

/* --- running files --- */

static json_t *load(const char *name)
{
	const char *source = getenv("POSTERN_SRCDIR");
	json_error_t error;
	char path[1024];
	json_t *root;

	snprintf(path, sizeof(path), "%s/tests/vectors/%s",
	    source == NULL ? "." : source, name);
	root = json_load_file(path, JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL,
	    &error);
	if (root == NULL) {
		fprintf(stderr, "%s:%d: %s\n", path, error.line, error.text);
		exit(2);
	}
	return root;
}

/* "AUTHN-50 AUTHN-51 ten terms and no more"; owned by the caller. */
static char *name_of(const json_t *one)
{
	const json_t *ids = json_object_get(one, "requirements");
	char *name = mem_dup_string(""), *longer;
	size_t i;

	for (i = 0; i < json_array_size(ids); i++) {
		longer = mem_print("%s%s ", name, json_string_value(
		    json_array_get(ids, i)));
		mem_free(name);
		name = longer;
	}
	longer = mem_print("%s%s", name, vector_text(one, "name", "?"));
	mem_free(name);
	return longer;
}

int vector_run(const char *group, const char *const *files, size_t count,
    void (*test)(void **state))
{
	static struct CMUnitTest tests[CASES_MAX];
	json_t *roots[FILES_MAX], *cases, *one;
	size_t total = 0, i, j;
	int failed;

	for (i = 0; i < count; i++) {
		roots[i] = load(files[i]);
		cases = json_object_get(roots[i], "cases");
		if (total + json_array_size(cases) > CASES_MAX)
			return 2;
		for (j = 0; j < json_array_size(cases); j++) {
			one = json_array_get(cases, j);
			tests[total++] = (struct CMUnitTest){
			    .name = name_of(one), .test_func = test,
			    .initial_state = one };
		}
	}
	failed = _cmocka_run_group_tests(group, tests, total, NULL, NULL);
	for (i = 0; i < total; i++)
		mem_free((char *)tests[i].name);
	for (i = 0; i < count; i++)
		json_decref(roots[i]);
	return failed;
}
