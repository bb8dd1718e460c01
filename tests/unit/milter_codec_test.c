/* SPDX-License-Identifier: ISC */
/*
 * The parts of milter/ without a connection: frames, the words of a refusal,
 * macro lists, fields on their way to a filter.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "authentic/fields.h"
#include "base/buf.h"
#include "base/mem.h"
#include "base/net.h"
#include "milter/changes.h"
#include "milter/macros.h"
#include "milter/negotiate.h"
#include "milter/packet.h"
#include "milter/question.h"
#include "milter/reply.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define BYTES(text) text, sizeof(text) - 1

/* --- frames --- */

static void test_find(void **state)
{
	static const struct {
		const char		*bytes;
		size_t			 length;
		enum packet_found	 found;
		char			 code;
		size_t			 data;
	} rows[] = {
		{ BYTES(""), PACKET_NONE, 0, 0 },
		{ BYTES("\0\0\0"), PACKET_NONE, 0, 0 },
		{ BYTES("\0\0\0\1"), PACKET_NONE, 0, 0 },
		{ BYTES("\0\0\0\1c"), PACKET_WHOLE, 'c', 0 },
		{ BYTES("\0\0\0\3yab\0\0"), PACKET_WHOLE, 'y', 2 },
		{ BYTES("\0\0\0\3ya"), PACKET_NONE, 0, 0 },
		{ BYTES("\0\0\0\0"), PACKET_BAD, 0, 0 },
		{ BYTES("\0\x10\0\0"), PACKET_NONE, 0, 0 },
		{ BYTES("\0\x10\0\1"), PACKET_BAD, 0, 0 },
		{ BYTES("\xff\xff\xff\xff"), PACKET_BAD, 0, 0 },
		{ BYTES("\x80\0\0\1c"), PACKET_BAD, 0, 0 },
	};
	struct packet packet;
	struct buf buf;

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		buf_init(&buf, 64);
		buf_add(&buf, rows[i].bytes, rows[i].length);
		assert_int_equal(packet_find(&buf, &packet), rows[i].found);
		if (rows[i].found == PACKET_WHOLE) {
			assert_int_equal(packet.code, rows[i].code);
			assert_int_equal(packet.length, rows[i].data);
			assert_int_equal(packet_size(&packet),
			    5 + rows[i].data);
		}
		buf_release(&buf);
	}
}

static void test_write(void **state)
{
	static const char wanted[] = "\0\0\0\1Q\0\0\0\13B\1\2\3\4\5\6ab\0c";
	struct packet_writer writer;
	struct buf buf;

	(void)state;
	buf_init(&buf, sizeof(wanted) - 1);
	packet_begin(&writer, &buf, COMMAND_QUIT);
	assert_int_equal(packet_end(&writer), 0);
	packet_begin(&writer, &buf, COMMAND_BODY);
	packet_put_u16(&writer, 0x0102);
	packet_put_u32(&writer, 0x03040506);
	packet_put_text(&writer, "ab");
	packet_put_bytes(&writer, "c", 1);
	assert_int_equal(packet_end(&writer), 0);
	assert_int_equal(buf_length(&buf), sizeof(wanted) - 1);
	assert_memory_equal(buf_data(&buf), wanted, sizeof(wanted) - 1);
	/* What does not fit leaves nothing behind. */
	packet_begin(&writer, &buf, COMMAND_BODY);
	assert_int_equal(packet_end(&writer), -1);
	assert_int_equal(buf_length(&buf), sizeof(wanted) - 1);
	buf_release(&buf);
}

/* --- words --- */

static void test_words(void **state)
{
	static const struct {
		const char	*words;
		int		 code;		/* 0: no refusal */
		const char	*enhanced;
		const char	*text;
	} rows[] = {
		{ "550 5.7.1 No", 550, "5.7.1", "No" },
		{ "450 4.7.1 Later", 450, "4.7.1", "Later" },
		{ "550 No", 550, "", "No" },
		{ "550", 550, "", "" },
		{ "550 ", 550, "", "" },
		{ "550 5.7.1", 550, "5.7.1", "" },
		{ "550 5.7.1 ", 550, "5.7.1", "" },
		{ "559 5.100.999 x", 559, "5.100.999", "x" },
		/* RFC 2034 4: of another class, or none at all */
		{ "550 4.7.1 No", 550, "", "No" },
		{ "550 2.0.0 No", 550, "", "No" },
		{ "550 5.7.1000 x", 550, "", "5.7.1000 x" },
		{ "550 5.7.1.2 x", 550, "", "5.7.1.2 x" },
		{ "550 5..1 x", 550, "", "5..1 x" },
		{ "550 5.7 x", 550, "", "5.7 x" },
		{ "550 3.7.1 x", 550, "", "3.7.1 x" },
		/* lines */
		{ "550-5.7.1 a\r\n550 5.7.1 b", 550, "5.7.1", "a\nb" },
		{ "550-5.7.1 a\n550 5.7.1 b\n", 550, "5.7.1", "a\nb" },
		{ "550-5.7.1 a\r\n550-\r\n550 c\r\n", 550, "5.7.1",
		    "a\n\nc" },
		{ "550 a\r\n550 b", 550, "", "a\nb" },
		{ "550-5.7.1 a\r\n551 5.7.1 b", 0, "", "" },
		{ "550-a\r\nb", 0, "", "" },
		{ "550-a\r\n\r\n550 b", 0, "", "" },
		/* RFC 5321 4.2 */
		{ "", 0, "", "" },
		{ "55", 0, "", "" },
		{ "5500 x", 0, "", "" },
		{ "550x", 0, "", "" },
		{ "250 ok", 0, "", "" },
		{ "354 go", 0, "", "" },
		{ "560 x", 0, "", "" },
		{ "650 x", 0, "", "" },
		{ "5a0 x", 0, "", "" },
		{ " 550 x", 0, "", "" },
		/* smfi_setreply: a percent sign is doubled */
		{ "550 100%% no %d %", 550, "", "100% no %d %" },
		{ "550 %%%%", 550, "", "%%" },
		{ "550 a\x01\x7f\xc3\xa4\tb\rc", 550, "", "a???? b?c" },
	};
	char enhanced[16], text[REPLY_TEXT_SIZE];
	int code;

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		int result = reply_words(rows[i].words, &code, enhanced,
		    text);

		assert_int_equal(result, rows[i].code == 0 ? -1 : 0);
		if (result != 0)
			continue;
		assert_int_equal(code, rows[i].code);
		assert_string_equal(enhanced, rows[i].enhanced);
		assert_string_equal(text, rows[i].text);
	}
}

static void test_many_words(void **state)
{
	char enhanced[16], text[REPLY_TEXT_SIZE];
	struct buf buf;
	int code, lines = 1;

	(void)state;
	buf_init(&buf, 1 << 20);
	for (int i = 0; i < 100; i++) {
		buf_add_string(&buf, "550 5.7.1 ");
		for (int k = 0; k < 1000; k++)
			buf_add_byte(&buf, 'x');
		buf_add_string(&buf, "\r\n");
	}
	assert_int_equal(reply_words(buf_string(&buf), &code, enhanced, text),
	    0);
	assert_int_equal(strlen(text), REPLY_TEXT_SIZE - 1);
	for (const char *at = text; *at != '\0'; at++)
		lines += *at == '\n';
	assert_int_equal(lines, REPLY_LINES_MAX);
	/* One of those that are cut is still no other code. */
	buf_add_string(&buf, "450 x");
	assert_int_equal(reply_words(buf_string(&buf), &code, enhanced, text),
	    -1);
	buf_release(&buf);
}

/* --- replies --- */

static void test_replies(void **state)
{
	static const struct {
		const char		*bytes;
		size_t			 length;
		int			 result;
		enum reply_kind		 kind;
		enum milter_action	 action;
	} rows[] = {
		{ BYTES("c"), 0, REPLY_ANSWER, MILTER_CONTINUE },
		{ BYTES("a"), 0, REPLY_ANSWER, MILTER_ACCEPT },
		{ BYTES("d"), 0, REPLY_ANSWER, MILTER_DISCARD },
		{ BYTES("r"), 0, REPLY_ANSWER, MILTER_REJECT },
		{ BYTES("t"), 0, REPLY_ANSWER, MILTER_TEMPFAIL },
		{ BYTES("4"), 0, REPLY_ANSWER, MILTER_SHUTDOWN },
		{ BYTES("f"), 0, REPLY_ANSWER, MILTER_SHUTDOWN },
		{ BYTES("p"), 0, REPLY_PROGRESS, MILTER_CONTINUE },
		{ BYTES("s"), 0, REPLY_SKIP, MILTER_CONTINUE },
		{ BYTES("y550 x\0"), 0, REPLY_WORDS, MILTER_CONTINUE },
		{ BYTES("b"), 0, REPLY_EDIT, MILTER_CONTINUE },
		{ BYTES("bab\0c"), 0, REPLY_EDIT, MILTER_CONTINUE },
		{ BYTES("q\0"), 0, REPLY_EDIT, MILTER_CONTINUE },
		{ BYTES("2a\0"), 0, REPLY_EDIT, MILTER_CONTINUE },
		{ BYTES("2a\0b\0"), 0, REPLY_EDIT, MILTER_CONTINUE },
		{ BYTES("2a\0b"), -1, 0, 0 },
		{ BYTES("2"), -1, 0, 0 },
		{ BYTES("ax"), -1, 0, 0 },
		{ BYTES("p\0"), -1, 0, 0 },
		{ BYTES("y"), -1, 0, 0 },
		{ BYTES("y550 x\0y"), -1, 0, 0 },
		{ BYTES("l"), -1, 0, 0 },
		{ BYTES("\0"), -1, 0, 0 },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		const struct packet packet = { rows[i].bytes[0],
		    rows[i].bytes + 1, rows[i].length - 1 };
		const char *why = NULL;
		struct reply reply;

		assert_int_equal(reply_read(&reply, &packet, &why),
		    rows[i].result);
		if (rows[i].result != 0) {
			assert_non_null(why);
			continue;
		}
		assert_int_equal(reply.kind, rows[i].kind);
		assert_int_equal(reply.action, rows[i].action);
	}
}

/* --- changes --- */

static int add(struct changes *changes, enum milter_edit_kind kind,
    const char *name, const char *value)
{
	const struct reply reply = { .kind = REPLY_EDIT, .edit = kind,
	    .name = name, .value = value, .length = value == NULL ? 0 :
	    strlen(value) };
	const char *why = NULL;
	int result = changes_add(changes, &reply, false, &why);

	assert_true(result == 0 || why != NULL);
	return result;
}

static void test_changes_are_bounded(void **state)
{
	char *large = mem_alloc((1 << 20) + 1);
	struct changes changes;
	int added;

	(void)state;
	changes_init(&changes, 100);
	for (added = 0; added <= CHANGES_MAX; added++)
		if (add(&changes, MILTER_REMOVE_RECIPIENT, "a@b", NULL) != 0)
			break;
	assert_int_equal(added, CHANGES_MAX);
	changes_reset(&changes);
	memset(large, 'x', 1 << 20);
	for (added = 0; added < 10; added++)
		if (add(&changes, MILTER_ADD_HEADER, "X", large) != 0)
			break;
	assert_int_equal(added, 3);
	changes_reset(&changes);
	/* Pieces of one body are one edit. */
	for (added = 0; added < 200; added++)
		if (add(&changes, MILTER_REPLACE_BODY, NULL, "x") != 0)
			break;
	assert_int_equal(added, 100);
	assert_int_equal(changes.count, 1);
	changes_end(&changes);
	assert_int_equal(TAILQ_FIRST(&changes.list)->length, 100);
	changes_reset(&changes);
	/* Whatever the reason says, it is one. */
	assert_int_equal(add(&changes, MILTER_QUARANTINE, NULL, "a\r\nb\x7f"),
	    0);
	assert_string_equal(TAILQ_FIRST(&changes.list)->value, "a  b ");
	changes_reset(&changes);
	memset(large, 'x', 1025);
	large[1025] = '\0';
	assert_int_equal(add(&changes, MILTER_ADD_RECIPIENT, large, NULL), -1);
	assert_int_equal(add(&changes, MILTER_ADD_RECIPIENT, "a@b", large),
	    -1);
	large[1024] = '\0';
	assert_int_equal(add(&changes, MILTER_ADD_RECIPIENT, large, large), 0);
	changes_reset(&changes);
	mem_free(large);
}

/* --- macros --- */

static const char *echo(void *arg, const char *name)
{
	(void)arg;
	return name;
}

static const char *nothing(void *arg, const char *name)
{
	(void)arg;
	(void)name;
	return NULL;
}

static void expect_macros(const char *list, const char *wanted,
    size_t length)
{
	struct macros macros = { { NULL } };
	struct buf out;

	assert_int_equal(macros_set(&macros, MACRO_MAIL, list), 0);
	buf_init(&out, 1 << 20);
	macros_write(&macros, MACRO_MAIL, 'M', echo, NULL, &out);
	assert_int_equal(buf_length(&out), length);
	assert_memory_equal(buf_data(&out), wanted, length);
	buf_release(&out);
	macros_release(&macros);
}

static void test_macros(void **state)
{
	char name[80] = "i ";

	(void)state;
	expect_macros("i", BYTES("\0\0\0\6DMi\0i\0"));
	expect_macros(" {i},,{ab}\t",
	    BYTES("\0\0\0\x10" "DMi\0i\0{ab}\0{ab}\0"));
	expect_macros("", BYTES(""));
	expect_macros(" , ", BYTES(""));
	/* A name that no macro has. */
	memset(name + 2, 'x', 64);
	expect_macros(name, BYTES("\0\0\0\6DMi\0i\0"));
}

static void test_macro_bounds(void **state)
{
	char *list = mem_alloc(MACRO_LIST_MAX + 2);
	struct macros macros = { { NULL } };
	struct buf out;

	(void)state;
	assert_int_equal(macros_set(&macros, MACRO_STAGES, "i"), -1);
	assert_int_equal(macros_set(&macros, UINT32_MAX, "i"), -1);
	for (size_t i = 0; i <= MACRO_LIST_MAX; i++)
		list[i] = i % 2 ? ' ' : 'i';
	assert_int_equal(macros_set(&macros, MACRO_CONNECT, list), -1);
	list[MACRO_LIST_MAX] = '\0';
	assert_int_equal(macros_set(&macros, MACRO_CONNECT, list), 0);
	assert_int_equal(macros_set(&macros, MACRO_CONNECT, "j"), 0);
	buf_init(&out, 1 << 20);
	macros_write(&macros, MACRO_HELO, 'H', nothing, NULL, &out);
	assert_int_equal(buf_length(&out), 0);
	buf_release(&out);
	macros_release(&macros);
	mem_free(list);
}

static const char *endless(void *arg, const char *name)
{
	return strcmp(name, "{short}") == 0 ? "x" : arg;
}

/* A frame that libmilter would refuse is never made. */
static void test_large_macros(void **state)
{
	char *value = mem_alloc(40001);
	struct macros macros = { { NULL } };
	struct buf out;

	(void)state;
	memset(value, 'v', 40000);
	assert_int_equal(macros_set(&macros, MACRO_DATA,
	    "{aa} {bb} {short}"), 0);
	buf_init(&out, 1 << 20);
	macros_write(&macros, MACRO_DATA, 'T', endless, value, &out);
	/* {aa} and {short} */
	assert_int_equal(buf_length(&out), 4 + 2 + 5 + 40001 + 8 + 2);
	buf_release(&out);
	macros_release(&macros);
	mem_free(value);
}

/* --- questions --- */

static void expect_field(const char *text, bool spaced, size_t max,
    const char *wanted)
{
	struct fields *fields = fields_new();
	char shown[256];
	struct buf out;
	size_t i;

	fields_feed(fields, text, strlen(text));
	fields_finish(fields);
	assert_int_equal(fields->count, 1);
	buf_init(&out, 200);
	question_field(&out, &fields->items[0], spaced, max);
	assert_true(buf_length(&out) <= max);
	for (i = 0; i < buf_length(&out); i++)
		shown[i] = buf_data(&out)[i] == '\0' ? '|' :
		    buf_data(&out)[i];
	shown[i] = '\0';
	assert_string_equal(shown, wanted);
	buf_release(&out);
	fields_free(fields);
}

static void test_fields(void **state)
{
	(void)state;
	expect_field("A: b\r\n", false, 200, "A|b|");
	expect_field("A: b\r\n", true, 200, "A| b|");
	expect_field("A:b\r\n", true, 200, "A|b|");
	expect_field("A:\r\n", true, 200, "A||");
	expect_field("A:  \t b \r\n", false, 200, "A|b |");
	expect_field("A:\r\n b\r\n\tc\r\n", false, 200, "A|b\n\tc|");
	expect_field("A:\r\n b\r\n\tc\r\n", true, 200, "A|\n b\n\tc|");
	expect_field("A : b\r\n", false, 200, "A|b|");
	expect_field("A: b", false, 200, "A|b|");
	/* cut to what the filter takes */
	expect_field("Name: value\r\n", false, 9, "Name|val|");
	expect_field("Name: value\r\n", false, 6, "Name||");
	expect_field("Name: value\r\n", false, 5, "");
}

static void test_questions_are_bounded(void **state)
{
	static const char *const parameters[] = { "SIZE=1", NULL };
	struct endpoint client;
	struct buf out;

	(void)state;
	assert_int_equal(endpoint_parse(&client, "192.0.2.1", 25), 0);
	for (size_t max = 0; max < 40; max++) {
		buf_init(&out, max);
		assert_int_equal(question_connect(&out, "name", &client),
		    max < 18 ? -1 : 0);
		assert_true(buf_length(&out) == (max < 18 ? 0 : 18));
		buf_release(&out);
		assert_int_equal(question_address(&out, "a@b", parameters),
		    max < 13 ? -1 : 0);
		assert_true(buf_length(&out) == (max < 13 ? 0 : 13));
		buf_release(&out);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_find),
		cmocka_unit_test(test_write),
		cmocka_unit_test(test_words),
		cmocka_unit_test(test_many_words),
		cmocka_unit_test(test_replies),
		cmocka_unit_test(test_changes_are_bounded),
		cmocka_unit_test(test_macros),
		cmocka_unit_test(test_macro_bounds),
		cmocka_unit_test(test_large_macros),
		cmocka_unit_test(test_fields),
		cmocka_unit_test(test_questions_are_bounded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
