/* SPDX-License-Identifier: ISC */
/*
 * authentic/fields.c: what is a field and where it is, in pieces of any size.
 */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "authentic/fields.h"
#include "base/buf.h"
#include "base/mem.h"

/* "name@offset+length=value offset|..." and what the section was. */
static void describe(const struct fields *fields, size_t used, struct buf *out)
{
	for (size_t i = 0; i < fields->count; i++) {
		const struct field *field = &fields->items[i];

		buf_print(out, "%.*s@%zu+%zu=%zu|", (int)field->name_length,
		    field->text, field->offset, field->length, field->value);
	}
	buf_print(out, "%zu/%zu%s%s", used, fields->length,
	    fields->has_body ? " body" : "",
	    fields->too_large ? " large" : "");
}

static void take(const char *text, size_t length, size_t piece,
    struct buf *out)
{
	struct fields *fields = fields_new();
	size_t used = 0, offset = 0;

	while (offset < length) {
		size_t part = length - offset < piece ? length - offset : piece;

		used += fields_feed(fields, text + offset, part);
		offset += part;
	}
	fields_finish(fields);
	assert_true(fields->ended);
	describe(fields, used, out);
	fields_free(fields);
}

static const struct {
	const char	*text, *expected;
} sections[] = {
	{ "", "0/0" },
	{ "\r\nbody", "2/2 body" },
	{ "\nbody\n", "1/1 body" },
	{ "A: b\r\n\r\nC: d\r\n\r\n", "A@0+6=2|8/8 body" },
	{ "A: b\r\nLong-Name:c\r\n d\r\n\te\r\nF : g\r\n\r\n",
	    "A@0+6=2|Long-Name@6+21=10|F@27+7=3|36/36 body" },
	/* a header without an empty line, and without a line end */
	{ "A: b\r\nC: d", "A@0+6=2|C@6+4=2|10/10" },
	{ "A: b\r\nC: d\r", "A@0+6=2|C@6+5=2|11/11" },
	{ "A: b\r\nC: d\r\n", "A@0+6=2|C@6+6=2|12/12" },
	/* LF alone ends a line as well */
	{ "A: b\nC:\n d\n\nbody", "A@0+5=2|C@5+6=2|12/12 body" },
	/* no fields at all */
	{ "no colon\r\nA: b\r\n\r\n", "@0+10=0|A@10+6=2|18/18 body" },
	{ "From me@x Mon: 1\r\n\r\n", "@0+18=0|20/20 body" },
	{ " folded: x\r\nA: b\r\n\r\n", "@0+12=0|A@12+6=2|20/20 body" },
	{ ": x\r\n\r\n", "@0+5=0|7/7 body" },
	{ "A\r\n : x\r\n\r\n", "@0+9=0|11/11 body" },
	{ "N\xc3\xa4me: x\r\n\r\n", "@0+10=0|12/12 body" },
	/* a lone CR ends nothing */
	{ "A: b\rC: d\r\n\r\n", "A@0+11=2|13/13 body" },
	{ "A: b\r\n\r\r\n\r\n", "A@0+6=2|@6+3=0|11/11 body" },
	/* a line of blanks continues the field */
	{ "A: b\r\n \r\nC: d\r\n\r\n", "A@0+9=2|C@9+6=2|17/17 body" },
};

static void test_sections(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(sections) / sizeof(sections[0]); i++) {
		for (size_t piece = 1; piece < 40; piece++) {
			struct buf out;

			buf_init(&out, 4096);
			take(sections[i].text, strlen(sections[i].text), piece,
			    &out);
			assert_string_equal(buf_string(&out),
			    sections[i].expected);
			buf_release(&out);
		}
	}
}

static void test_find(void **state)
{
	static const char text[] = "A: 1\r\nb: 2\r\na : 3\r\n\r\n";
	struct fields *fields = fields_new();

	(void)state;
	fields_feed(fields, text, 6);
	/* Items are not valid before the end. */
	assert_null(fields_find(fields, "a", 0));
	assert_int_equal(fields_count(fields, "a"), 0);
	fields_feed(fields, text + 6, strlen(text) - 6);
	assert_int_equal(fields_feed(fields, "X: y\r\n", 6), 0);
	assert_ptr_equal(fields_find(fields, "a", 0), &fields->items[0]);
	assert_ptr_equal(fields_find(fields, "a", 1), &fields->items[2]);
	assert_null(fields_find(fields, "a", 3));
	assert_ptr_equal(fields_find_last(fields, "A", 99), &fields->items[2]);
	assert_ptr_equal(fields_find_last(fields, "A", 2), &fields->items[0]);
	assert_null(fields_find_last(fields, "A", 0));
	assert_int_equal(fields_count(fields, "B"), 1);
	assert_int_equal(fields_count(fields, ""), 0);
	assert_null(fields_find(fields, "", 0));
	fields_free(fields);
	fields_free(NULL);
}

/* AUTHN-27: both ceilings end it at the same byte whatever the pieces. */
static void test_ceilings(void **state)
{
	const size_t sizes[] = { 1, 1000, 1 << 20 };
	struct buf text, first, other;

	(void)state;
	buf_init(&text, 1 << 20);
	buf_init(&first, 1 << 20);
	buf_init(&other, 1 << 20);
	for (int kind = 0; kind < 2; kind++) {
		buf_reset(&text);
		for (int i = 0; i < FIELDS_MAX + 10; i++)
			buf_add_string(&text, kind == 0 ? "A: b\r\n" :
			    "A: 0123456789012345678901234567890123456789"
			    "012345678901234567890123456789\r\n");
		buf_add_string(&text, "\r\n");
		buf_reset(&first);
		take(buf_data(&text), buf_length(&text), sizes[0], &first);
		assert_non_null(strstr(buf_string(&first), " large"));
		for (size_t i = 1; i < 3; i++) {
			buf_reset(&other);
			take(buf_data(&text), buf_length(&text), sizes[i],
			    &other);
			assert_string_equal(buf_string(&other),
			    buf_string(&first));
		}
	}
	buf_release(&text);
	buf_release(&first);
	buf_release(&other);
}

/* What fits exactly is not too large. */
static void test_exact(void **state)
{
	char *text = mem_alloc(FIELDS_BYTES_MAX);
	struct fields *fields = fields_new();

	(void)state;
	memset(text, 'x', FIELDS_BYTES_MAX);
	memcpy(text, "A: ", 3);
	memcpy(text + FIELDS_BYTES_MAX - 4, "\r\n\r\n", 4);
	assert_int_equal(fields_feed(fields, text, FIELDS_BYTES_MAX),
	    FIELDS_BYTES_MAX);
	assert_true(fields->has_body && !fields->too_large);
	assert_int_equal(fields->count, 1);
	fields_free(fields);
	mem_free(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_sections),
		cmocka_unit_test(test_find),
		cmocka_unit_test(test_ceilings),
		cmocka_unit_test(test_exact),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
