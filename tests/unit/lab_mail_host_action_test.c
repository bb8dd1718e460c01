/* SPDX-License-Identifier: ISC */
/*
 * The words of a host's behaviour: every action at every stage, which visits,
 * which bytes; and what is refused.
 */
#include "tools/lab/mail_host_action.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "tools/lab/actors.h"
#include "tools/lab/scenario_options.h"

/* A column a stage, in the order of the words; x: it means something there. */
static const char stages[] = "connect greeting ehlo helo starttls handshake "
    "flight secured mail rcpt data message idle quit";

static const struct { const char *action, *fits; } matrix[] = {
	{ "close",		"x x x x x x x x x x x x x x" },
	{ "cut",		"x x x x x x x x x x x x x x" },
	{ "reset",		"x x x x x x x x x x x x x x" },
	{ "stall",		"x x x x x x x x x x x x x x" },
	{ "garbage",		"x x x x x x . x x x x x x x" },
	{ "alert",		"x x x x x x . x x x x x x x" },
	{ "alert decode_error",	"x x x x x x . x x x x x x x" },
	{ "corrupt",		". x . x . . . x x x x x x x" },
	{ "tarpit",		". x x x x . . x x x x x . x" },
	{ "bytes",		". x x x x . . x x x x x . x" },
	{ "flood",		". x x x x . . x x x x x . x" },
	{ "long",		". x x x x . . x x x x x . x" },
	{ "bare",		". x x x x . . x x x x x . x" },
	{ "half",		". x x x x . . x x x x x . x" },
	{ "unwrap 250 ok",	". x . x . . . x x x x x x x" },
	{ "raw %00|",		"x x x x x x . x x x x x x x" },
	{ "250-a|250 b",	"x x x x x x . x x x x x x x" }
};

static void every_action_at_every_stage(void **state)
{
	const char *stage = stages;
	size_t column, i;

	(void)state;
	for (column = 0; column < LAB_STAGES; column++) {
		size_t length = strcspn(stage, " ");
		char word[32];

		snprintf(word, sizeof(word), "%.*s", (int)length, stage);
		assert_string_equal(word, lab_stage_words[column]);
		for (i = 0; i < sizeof(matrix) / sizeof(matrix[0]); i++) {
			bool fits = lab_action_fits(word, matrix[i].action);

			if (fits != (matrix[i].fits[column * 2] == 'x'))
				fail_msg("%s %s: %d", word, matrix[i].action,
				    fits);
		}
		stage += length + (stage[length] == ' ');
	}
	assert_null(lab_stage_words[LAB_STAGES]);
	assert_null(lab_action_words[LAB_ACT_REPLY]);
	assert_string_equal(lab_action_words[LAB_ACT_RAW], "raw");
}

static void mistakes(void **state)
{
	static const char *const rows[][2] = {
		{ "", "close" }, { "EHLO", "close" }, { "ehl", "close" },
		{ "ehlo ", "close" }, { "ehlo#", "close" },
		{ "ehlo#0", "close" }, { "ehlo#-", "close" },
		{ "ehlo#-2", "close" }, { "ehlo#2-3", "close" },
		{ "ehlo#x", "close" }, { "ehlo#01", "close" },
		{ "ehlo#99999999999", "close" }, { "#2", "close" },
		{ "ehlo", "" }, { "ehlo", "explode" }, { "ehlo", "close now" },
		{ "ehlo", "25" }, { "ehlo", "25 x" }, { "ehlo", "2500 x" },
		{ "ehlo", "%32%35%30 x" }, { "ehlo", "250 %" },
		{ "ehlo", "250 %4" }, { "ehlo", "250 %4g" },
		{ "ehlo", "250 %g4" }, { "ehlo", "raw" }, { "ehlo", "raw %" },
		{ "mail", "unwrap" }, { "mail", "unwrap 25" },
		{ "mail", "unwrap %" }, { "mail", "alert nothing" },
		{ "mail", "alert decode_error x" }, { "mail", "half 250 x" }
	};
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		if (lab_action_fits(rows[i][0], rows[i][1]))
			fail_msg("%s %s", rows[i][0], rows[i][1]);
}

static void visits(void **state)
{
	static const struct { const char *stage; unsigned first, last; }
	    rows[] = {
		{ "mail", 1, UINT32_MAX }, { "mail#1", 1, 1 },
		{ "mail#1-", 1, UINT32_MAX }, { "mail#20", 20, 20 },
		{ "mail#3-", 3, UINT32_MAX }
	};
	struct lab_action action;
	char line[64];
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		snprintf(line, sizeof(line), "%s  451 later", rows[i].stage);
		assert_int_equal(lab_action_read(&action, line), 0);
		assert_int_equal(action.stage, LAB_STAGE_MAIL);
		assert_int_equal(action.visits.first, rows[i].first);
		assert_int_equal(action.visits.last, rows[i].last);
		lab_action_release(&action);
	}
}

static void texts(void **state)
{
	static const struct { const char *line, *text; size_t length;
	    int code; enum lab_act act; } rows[] = {
#define ROW(line, text, code, act) { line, text, sizeof(text) - 1, code, act }
		ROW("mail 450 a", "450 a\r\n", 450, LAB_ACT_REPLY),
		ROW("mail 007", "007\r\n", 7, LAB_ACT_REPLY),
		ROW("ehlo 250-a|250 b", "250-a\r\n250 b\r\n", 250,
		    LAB_ACT_REPLY),
		ROW("mail 250 %00%7c%25%fF%0a", "250 \0|%\xff\n\r\n", 250,
		    LAB_ACT_REPLY),
		ROW("mail raw  a|%20", "a\r\n ", 0, LAB_ACT_RAW),
		ROW("mail unwrap 421 bye", "421 bye\r\n", 421, LAB_ACT_UNWRAP),
		ROW("mail close", "", 0, LAB_ACT_CLOSE),
#undef ROW
	};
	struct lab_action action;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		assert_int_equal(lab_action_read(&action, rows[i].line), 0);
		assert_int_equal(action.act, rows[i].act);
		assert_int_equal(action.code, rows[i].code);
		assert_int_equal(buf_length(&action.text), rows[i].length);
		assert_memory_equal(buf_data(&action.text), rows[i].text,
		    rows[i].length);
		assert_string_equal(action.words, rows[i].line);
		lab_action_release(&action);
	}
}

/* A path is a word and visits; what is not seen is not counted. */
static void paths(void **state)
{
	static const char *const good[] = { "", "strip", "strip#2",
	    "strip#2-", "pieces#1-", "impostor#3", "block", "block#2-",
	    "refuse#2-", "reset#1" };
	static const char *const bad[] = { "stripe", "#2", "strip#",
	    "strip#0", "strip 2", "block#2", "refuse#1" };
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(good) / sizeof(good[0]); i++)
		if (!lab_actors_path_fits(good[i]))
			fail_msg("\"%s\" is refused", good[i]);
	for (i = 0; lab_path_words[i] != NULL; i++)
		assert_true(lab_actors_path_fits(lab_path_words[i]));
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		if (lab_actors_path_fits(bad[i]))
			fail_msg("\"%s\" is taken", bad[i]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_action_at_every_stage),
		cmocka_unit_test(mistakes),
		cmocka_unit_test(visits),
		cmocka_unit_test(texts),
		cmocka_unit_test(paths)
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
