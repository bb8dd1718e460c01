/* SPDX-License-Identifier: ISC */
/*
 * authentic/dkim_canonical.c and dkim_tags.c: the vectors of RFC 6376 3.4 and
 * 3.2 (AUTHN-18), bodies in pieces of any size.
 */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "authentic/dkim_canonical.h"
#include "authentic/dkim_tags.h"
#include "base/buf.h"
#include "base/mem.h"

static const struct {
	const char	*body, *simple, *relaxed;
} bodies[] = {
	/* RFC 6376 3.4.5 */
	{ " C \r\nD \t E\r\n\r\n\r\n", " C \r\nD \t E\r\n", " C\r\nD E\r\n" },
	/* 3.4.3, 3.4.4: no body */
	{ "", "\r\n", "" },
	{ "\r\n", "\r\n", "" },
	{ "\r\n\r\n\r\n", "\r\n", "" },
	{ " \r\n\t\r\n", " \r\n\t\r\n", "" },
	/* no line end at the end */
	{ "a", "a\r\n", "a\r\n" },
	{ "a \t", "a \t\r\n", "a\r\n" },
	{ "a\r\n\r\nb", "a\r\n\r\nb\r\n", "a\r\n\r\nb\r\n" },
	/* empty lines within, and at the beginning */
	{ "\r\n\r\na\r\n", "\r\n\r\na\r\n", "\r\n\r\na\r\n" },
	{ "a\r\n \r\n\r\nb\r\n", "a\r\n \r\n\r\nb\r\n",
	    "a\r\n\r\n\r\nb\r\n" },
	{ "a\t b  c\t\r\n", "a\t b  c\t\r\n", "a b c\r\n" },
	{ "a\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\nb",
	    "a\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\nb\r\n",
	    "a\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\nb\r\n" },
	/* a lone CR or LF is a byte */
	{ "a\rb\r\n", "a\rb\r\n", "a\rb\r\n" },
	{ "a \r b\r\n", "a \r b\r\n", "a \r b\r\n" },
	{ "a\nb\n", "a\nb\n\r\n", "a\nb\n\r\n" },
	{ "a\r\r\n", "a\r\r\n", "a\r\r\n" },
	{ "a\r", "a\r\r\n", "a\r\r\n" },
	{ "\r\n\r", "\r\n\r\r\n", "\r\n\r\r\n" },
	{ "a\r\n.\r\n", "a\r\n.\r\n", "a\r\n.\r\n" },
};

static void check_body(enum dkim_canonical kind, const char *text,
    const char *expected, size_t piece)
{
	uint8_t digest[DIGEST_BYTES], right[DIGEST_BYTES];
	size_t length = strlen(text);
	struct dkim_body body;

	dkim_body_init(&body, kind, UINT64_MAX);
	for (size_t i = 0; i < length; i += piece)
		dkim_body_feed(&body, text + i,
		    length - i < piece ? length - i : piece);
	dkim_body_end(&body, digest);
	digest_of(expected, strlen(expected), right);
	assert_int_equal(body.length, strlen(expected));
	assert_memory_equal(digest, right, DIGEST_BYTES);
}

static void test_bodies(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(bodies) / sizeof(bodies[0]); i++)
		for (size_t piece = 1; piece < 12; piece++) {
			check_body(DKIM_SIMPLE, bodies[i].body,
			    bodies[i].simple, piece);
			check_body(DKIM_RELAXED, bodies[i].body,
			    bodies[i].relaxed, piece);
		}
}

/* AUTHN-18: the digests that the RFC prints. */
static void test_empty(void **state)
{
	static const char *const expected[] = {
	    "frcCV1k9oG9oKj3dpUqdJg1PxRT2RSN/XKdLCPjaYaY=",
	    "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=" };
	char text[BASE64_LENGTH(DIGEST_BYTES) + 1];
	uint8_t digest[DIGEST_BYTES];
	struct dkim_body body;

	(void)state;
	for (int kind = DKIM_SIMPLE; kind <= DKIM_RELAXED; kind++) {
		dkim_body_init(&body, (enum dkim_canonical)kind, UINT64_MAX);
		dkim_body_end(&body, digest);
		base64_format(digest, sizeof(digest), text, sizeof(text));
		assert_string_equal(text, expected[kind]);
	}
	dkim_body_init(&body, DKIM_SIMPLE, 1);
	dkim_body_release(&body);
}

/* l= counts canonical bytes, and those behind are counted all the same. */
static void test_limit(void **state)
{
	static const char text[] = "ab  c\r\n\r\n\r\nd\r\n";
	static const char canonical[] = "ab c\r\n\r\n\r\nd\r\n";

	(void)state;
	for (uint64_t limit = 0; limit <= sizeof(canonical); limit++) {
		uint8_t digest[DIGEST_BYTES], right[DIGEST_BYTES];
		size_t part = limit < strlen(canonical) ? (size_t)limit :
		    strlen(canonical);
		struct dkim_body body;

		dkim_body_init(&body, DKIM_RELAXED, limit);
		dkim_body_feed(&body, text, strlen(text));
		dkim_body_end(&body, digest);
		digest_of(canonical, part, right);
		assert_memory_equal(digest, right, DIGEST_BYTES);
		assert_int_equal(body.length, strlen(canonical));
	}
}

static const struct {
	const char	*field, *relaxed;
} fields[] = {
	/* RFC 6376 3.4.5 */
	{ "A: X\r\n", "a:X" },
	{ "B : Y\t\r\n\tZ  \r\n", "b:Y Z" },
	{ "Subject:\r\n", "subject:" },
	{ "Subject:  \r\n \r\n", "subject:" },
	{ "SUBJect \t :\tAbC  d\t\te \r\n", "subject:AbC d e" },
	{ "a:b:c : d\r\n", "a:b:c : d" },
	{ "a:b", "a:b" },
	{ "a:\xc3\xa4  \xc3\xb6\r\n", "a:\xc3\xa4 \xc3\xb6" },
};

static void test_fields(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++) {
		size_t length = strlen(fields[i].field);
		struct buf out;

		buf_init(&out, length);
		assert_int_equal(dkim_canonical_field(DKIM_RELAXED,
		    fields[i].field, length, &out), 0);
		assert_string_equal(buf_string(&out), fields[i].relaxed);
		buf_reset(&out);
		assert_int_equal(dkim_canonical_field(DKIM_SIMPLE,
		    fields[i].field, length, &out), 0);
		assert_int_equal(strncmp(buf_string(&out), fields[i].field,
		    buf_length(&out)), 0);
		buf_release(&out);
		buf_init(&out, 1);
		assert_int_equal(dkim_canonical_field(DKIM_RELAXED,
		    fields[i].field, length, &out), -1);
		buf_release(&out);
	}
}

/* Null: they are read, into as many tags. */
static const struct {
	const char	*text, *wrong;
	size_t		 count;
} lists[] = {
	{ "v=1", NULL, 1 },
	{ "v=1;", NULL, 1 },
	{ " v = 1 ; a=b c ;\r\n d=\r\n\te ; \r\n", NULL, 3 },
	{ "v=;a==;_=x", "a tag without name and \"=\"", 0 },
	{ "v=;a==;b_1=x", NULL, 3 },
	{ "v=1;V=2", NULL, 2 },
	{ "v=\xc3\xa4", NULL, 1 },
	{ "v=\xff", "a tag is not UTF-8", 0 },
	{ "", "there are no tags", 0 },
	{ " \r\n", "a tag without name and \"=\"", 0 },
	{ ";", "a tag without name and \"=\"", 0 },
	{ "v=1;;a=b", "a tag without name and \"=\"", 0 },
	{ "v=1; ;", "a tag without name and \"=\"", 0 },
	{ "v", "a tag without name and \"=\"", 0 },
	{ "v 1=2", "a tag without name and \"=\"", 0 },
	{ "1v=2", "a tag without name and \"=\"", 0 },
	{ "v=1;a=b; v=1", "a tag is there twice", 0 },
	{ "v=1\n", "a line end in a tag", 0 },
	{ "v=1\r a=2", "a line end in a tag", 0 },
	{ "v=1\r\na=2", "a line end in a tag", 0 },
	{ "v=1\x01", "a control character in a tag", 0 },
	{ "v=1\x7f", "a control character in a tag", 0 },
};

static void test_tags(void **state)
{
	struct dkim_tags tags;
	struct buf many;

	(void)state;
	for (size_t i = 0; i < sizeof(lists) / sizeof(lists[0]); i++) {
		const char *wrong = dkim_tags_read(&tags, lists[i].text,
		    strlen(lists[i].text));

		if (lists[i].wrong == NULL) {
			assert_null(wrong);
			assert_int_equal(tags.count, lists[i].count);
		} else {
			assert_non_null(wrong);
			assert_string_equal(wrong, lists[i].wrong);
		}
	}
	assert_non_null(dkim_tags_read(&tags, "v=1\0", 4));
	buf_init(&many, 4096);
	for (int i = 0; i <= DKIM_TAGS_MAX; i++)
		buf_print(&many, "a%d=;", i);
	assert_string_equal(dkim_tags_read(&tags, buf_data(&many),
	    buf_length(&many)), "too many tags");
	buf_release(&many);
}

static void test_values(void **state)
{
	static const char text[] = " l =\r\n  a:\r\n\tb : c; e=; n=0123;"
	    " m=99999999999999999999999; k= Zm 9v\r\n ; x=1:";
	const char *word;
	struct dkim_tags tags;
	size_t offset = 0, length;
	uint64_t number;
	uint8_t bytes[8];
	char *packed;

	(void)state;
	assert_null(dkim_tags_read(&tags, text, strlen(text)));
	assert_null(dkim_tags_find(&tags, "L"));
	assert_true(dkim_tag_is(dkim_tags_find(&tags, "e"), ""));
	assert_false(dkim_tag_is(NULL, ""));
	for (const char *one = "abc"; *one != '\0'; one++) {
		assert_true(dkim_tag_next(dkim_tags_find(&tags, "l"), &offset,
		    &word, &length));
		assert_int_equal(length, 1);
		assert_int_equal(*word, *one);
	}
	assert_false(dkim_tag_next(dkim_tags_find(&tags, "l"), &offset, &word,
	    &length));
	assert_true(dkim_tag_lists(dkim_tags_find(&tags, "l"), "b"));
	assert_false(dkim_tag_lists(dkim_tags_find(&tags, "l"), "a:"));
	assert_true(dkim_tag_lists(dkim_tags_find(&tags, "x"), ""));
	assert_int_equal(dkim_tag_number(dkim_tags_find(&tags, "n"), 4,
	    &number), 0);
	assert_int_equal(number, 123);
	assert_int_equal(dkim_tag_number(dkim_tags_find(&tags, "n"), 3,
	    &number), -1);
	assert_int_equal(dkim_tag_number(dkim_tags_find(&tags, "e"), 3,
	    &number), -1);
	assert_int_equal(dkim_tag_number(dkim_tags_find(&tags, "x"), 3,
	    &number), -1);
	assert_int_equal(dkim_tag_number(dkim_tags_find(&tags, "m"), 76,
	    &number), 0);
	assert_true(number == UINT64_MAX);
	assert_int_equal(dkim_tag_base64(dkim_tags_find(&tags, "k"), bytes,
	    sizeof(bytes)), 3);
	assert_memory_equal(bytes, "foo", 3);
	packed = dkim_tag_packed(dkim_tags_find(&tags, "l"));
	assert_string_equal(packed, "a:b:c");
	mem_free(packed);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_bodies),
		cmocka_unit_test(test_empty),
		cmocka_unit_test(test_limit),
		cmocka_unit_test(test_fields),
		cmocka_unit_test(test_tags),
		cmocka_unit_test(test_values),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
