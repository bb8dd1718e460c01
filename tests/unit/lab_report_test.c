/* SPDX-License-Identifier: ISC */
/*
 * tools/lab/report*.c, keep.c, show.c and text.c: trials that are made here,
 * in every form; what is kept of them; and that nothing a peer said reaches a
 * terminal or a parser as anything but text.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/mem.h"
#include "tools/lab/namespace.h"
#include "tools/lab/report.h"
#include "tools/lab/show.h"
#include "tools/lab/text.h"

#define WORD(text) ((char *)(uintptr_t)(text))

enum { TRIALS_MAX = 8 };

static struct lab_step steps[] = {
	{ .name = WORD("first"), .expect = LAB_DEFERRED, .to = WORD("a@b"),
	    .strict = WORD("") },
	{ .name = WORD("second"), .expect = LAB_CLEAR, .to = WORD(""),
	    .strict = WORD("deferred") },
};
static const struct lab_scenario scenario = { .name = WORD("world"),
    .title = WORD("A title"), .text = WORD(""), .steps = steps,
    .step_count = 2 };
static const struct lab_driver drivers[] = { { WORD("one"), NULL },
    { WORD("two"), NULL } };

/* A trial of which both steps have this mark; the second says this. */
static void make_trial(struct lab_trial *trial, size_t driver,
    enum lab_mark mark, const char *said)
{
	memset(trial, 0, sizeof(*trial));
	trial->run.scenario = &scenario;
	trial->run.driver = &drivers[driver];
	trial->round = 1;
	trial->seconds = 1.5;
	trial->mark = mark;
	trial->state = LAB_TRIAL_DONE;
	trial->verdicts = mem_alloc_array(2, sizeof(*trial->verdicts));
	trial->verdicts[0].outcome = LAB_DEFERRED;
	snprintf(trial->verdicts[0].said, sizeof(trial->verdicts[0].said),
	    "it waited");
	trial->verdicts[1].outcome = mark == LAB_CORRECT ? LAB_CLEAR :
	    LAB_BOUNCED;
	trial->verdicts[1].mark = mark;
	snprintf(trial->verdicts[1].said, sizeof(trial->verdicts[1].said),
	    "%s", said);
	trial->seen = json_pack("{s:s, s:[{s:s, s:s, s:i, s:[{s:s, s:s, s:s, "
	    "s:i}]}, {s:s, s:[]}]}", "log", "a line\n\x1b[31mred\n", "steps",
	    "name", "first", "reply", "250 ok", "marker", 7, "events",
	    "actor", "mx", "event", "command", "line", "EHLO \x1b[2Jx",
	    "time", 5000, "name", "second", "events");
	assert_non_null(trial->seen);
}

/* --- text --- */

static const struct {
	const char	*text, *safe, *xml;
} texts[] = {
	{ "plain", "plain", "plain" },
	{ "a\nb\tc\x1b[2J\x7f", "a?b?c?[2J?", "a&#10;b&#9;c?[2J?" },
	{ "<a b=\"c\" d='e'>&", "<a b=\"c\" d='e'>&",
	    "&lt;a b=&quot;c&quot; d=&apos;e&apos;&gt;&amp;" },
	{ "gr\xc3\xbc\xc3\x9f", "gr\xc3\xbc\xc3\x9f", "gr\xc3\xbc\xc3\x9f" },
	/* the control characters of the other set; CSI is one of them */
	{ "\xc2\x9b" "31m", "?31m", "?31m" },
	/* direction, zero width, byte order */
	{ "\xe2\x80\xae\xe2\x80\x8b\xef\xbb\xbf", "???", "???" },
	/* not UTF-8: cut, overlong, surrogate, too large, alone */
	{ "\xc3", "?", "?" }, { "\xc0\xaf", "??", "??" },
	{ "\xed\xa0\x80", "???", "???" },
	{ "\xf4\x90\x80\x80", "????", "????" }, { "\x80\xff", "??", "??" },
	{ "\xe2\x82", "??", "??" },
	{ "\xf0\x9f\x93\xac", "\xf0\x9f\x93\xac", "\xf0\x9f\x93\xac" },
	/* no character of XML 1.0 */
	{ "\xef\xbf\xbf", "\xef\xbf\xbf", "?" },
};

static void test_text(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		char *safe, *xml;
		size_t length;
		FILE *out = open_memstream(&safe, &length);

		lab_text_put(out, texts[i].text);
		fclose(out);
		out = open_memstream(&xml, &length);
		lab_text_put_xml(out, texts[i].text);
		fclose(out);
		if (strcmp(safe, texts[i].safe) != 0 ||
		    strcmp(xml, texts[i].xml) != 0)
			fail_msg("case %zu: '%s', '%s'", i, safe, xml);
		free(safe);
		free(xml);
	}
}

static void test_text_lines(void **state)
{
	char *text;
	size_t length;
	FILE *out = open_memstream(&text, &length);

	(void)state;
	lab_text_put_lines(out, "> ", "one\r\n\ttwo\x1b[0m\n\nlast\r");
	fclose(out);
	assert_string_equal(text, "> one\n> \ttwo?[0m\n> \n> last?\n");
	free(text);
}

/* --- reports --- */

struct told {
	char	*text;
	int	 status;
};

/* The whole report of these trials, two MTAs a row unless said otherwise. */
static struct told tell(struct lab_report *report, struct lab_trial *trials,
    size_t count)
{
	struct told told;
	size_t length;

	report->out = open_memstream(&told.text, &length);
	report->drivers = drivers;
	if (report->rounds == 0)
		report->rounds = 1;
	lab_report_begin(report, trials, count);
	for (size_t i = 0; i < count; i += report->driver_count)
		lab_report_row(report, &trials[i]);
	told.status = lab_report_end(report, trials, count);
	fclose(report->out);
	for (size_t i = 0; i < count; i++)
		lab_trial_release(&trials[i]);
	return told;
}

static void assert_has(const char *text, const char *part)
{
	if (strstr(text, part) == NULL)
		fail_msg("'%s' is not in:\n%s", part, text);
}

static void test_table(void **state)
{
	struct lab_report report = { .format = LAB_TABLE, .driver_count = 2 };
	struct lab_trial trials[2];
	struct told told;

	(void)state;
	make_trial(&trials[0], 0, LAB_CORRECT, "fine");
	make_trial(&trials[1], 1, LAB_TOO_LAX, "it was \x1b[31mred");
	told = tell(&report, trials, 2);
	/* The first MTA is the one judged. */
	assert_int_equal(told.status, 0);
	assert_has(told.text, "SCENARIO  EXPECTED         one");
	assert_has(told.text, "world     deferred, clear  correct     "
	    "deferred, clear  too lax     deferred, bounced");
	assert_has(told.text, "    two, step second: too lax: expected clear; "
	    "it was ?[31mred\n");
	assert_has(told.text, "too lax: it let happen what may not");
	assert_has(told.text, "one: 1 correct, 0 too lax, 0 too strict, "
	    "0 crashed, 0 hung, 0 not applicable, 0 failed\n");
	assert_has(told.text, "two: 0 correct, 1 too lax, ");
	free(told.text);
}

/* Many steps with one outcome do not make a table too wide to read. */
static void test_many_steps(void **state)
{
	struct lab_report report = { .format = LAB_TABLE, .driver_count = 1 };
	struct lab_step many[6];
	struct lab_scenario wide = scenario;
	struct lab_trial trial;
	struct told told;

	(void)state;
	for (size_t i = 0; i < 6; i++)
		many[i] = steps[i == 4 ? 1 : 0];
	wide.steps = many;
	wide.step_count = 6;
	make_trial(&trial, 0, LAB_CORRECT, "fine");
	mem_free(trial.verdicts);
	trial.verdicts = mem_alloc_array(6, sizeof(*trial.verdicts));
	trial.run.scenario = &wide;
	for (size_t i = 0; i < 6; i++)
		trial.verdicts[i].outcome = i < 2 ? LAB_WAITING : LAB_DEFERRED;
	told = tell(&report, &trial, 1);
	assert_has(told.text, "world     deferred x 4, clear, deferred  "
	    "correct     waiting, waiting, deferred x 4");
	free(told.text);
}

/* What each mark of the first MTA does to the exit status. */
static void test_status(void **state)
{
	static const int wanted[LAB_MARKS] = { [LAB_CORRECT] = 0,
	    [LAB_TOO_LAX] = 1, [LAB_TOO_STRICT] = 1, [LAB_CRASHED] = 1,
	    [LAB_HUNG] = 1, [LAB_NOT_APPLICABLE] = LAB_UNAVAILABLE,
	    [LAB_FAILED] = 1 };
	static const enum lab_format forms[] = { LAB_TABLE, LAB_JSON, LAB_TAP,
	    LAB_JUNIT };

	(void)state;
	for (int mark = 0; mark < LAB_MARKS; mark++)
		for (size_t i = 0; i < 4; i++) {
			struct lab_report report = { .format = forms[i],
			    .driver_count = 1 };
			struct lab_trial trial;
			struct told told;

			make_trial(&trial, 0, (enum lab_mark)mark, "x");
			told = tell(&report, &trial, 1);
			assert_int_equal(told.status, wanted[mark]);
			/* A testcase without a child is a good one, and one
			 * that is skipped needs no word for it. */
			if (forms[i] != LAB_JUNIT)
				assert_has(told.text, lab_mark_name(
				    (enum lab_mark)mark));
			free(told.text);
		}
}

static void test_profiles(void **state)
{
	struct lab_report report = { .format = LAB_TABLE, .driver_count = 1,
	    .profiles = true };
	struct lab_trial trials[2];
	struct told told;

	(void)state;
	make_trial(&trials[0], 0, LAB_CORRECT, "fine");
	make_trial(&trials[1], 0, LAB_TOO_STRICT, "it came back");
	trials[1].run.profile = LAB_PROFILE_STRICT;
	told = tell(&report, trials, 2);
	assert_int_equal(told.status, 1);
	assert_has(told.text, "world [rfc]     deferred, clear     correct");
	assert_has(told.text, "world [strict]  deferred, deferred  too strict");
	assert_has(told.text, "one [rfc]: 1 correct");
	assert_has(told.text, "one [strict]: 0 correct, 0 too lax, 1 too ");
	free(told.text);
}

/* A mark that is not the same in all rounds makes the whole wrong. */
static void test_rounds(void **state)
{
	static const struct { enum lab_mark one, other; int status; }
	    cases[] = { { LAB_CORRECT, LAB_CORRECT, 0 },
	    { LAB_CORRECT, LAB_NOT_APPLICABLE, 1 },
	    { LAB_NOT_APPLICABLE, LAB_NOT_APPLICABLE, LAB_UNAVAILABLE } };

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct lab_report report = { .format = LAB_TAP,
		    .driver_count = 1, .rounds = 2 };
		struct lab_trial trials[2];
		struct told told;

		make_trial(&trials[0], 0, cases[i].one, "x");
		make_trial(&trials[1], 0, cases[i].other, "x");
		trials[1].round = 2;
		told = tell(&report, trials, 2);
		assert_int_equal(told.status, cases[i].status);
		assert_has(told.text, "1..2\n");
		assert_has(told.text, "ok 2 - world [round 2]");
		free(told.text);
	}
}

static void test_tap(void **state)
{
	struct lab_report report = { .format = LAB_TAP, .driver_count = 1 };
	struct lab_trial trials[3];
	struct told told;

	(void)state;
	make_trial(&trials[0], 0, LAB_CORRECT, "fine");
	make_trial(&trials[1], 0, LAB_HUNG, "no\nanswer");
	make_trial(&trials[2], 0, LAB_NOT_APPLICABLE, "x");
	trials[2].unavailable = mem_dup_string("no\nmoon");
	told = tell(&report, trials, 3);
	assert_has(told.text, "TAP version 14\n1..3\nok 1 - world\n  ---\n"
	    "  duration_ms: 1500\n  one: \"correct: deferred, clear\"\n");
	assert_has(told.text, "\nnot ok 2 - world\n");
	assert_has(told.text, "\n# step second: hung: expected clear; "
	    "no?answer\n");
	assert_has(told.text, "\nok 3 - world # SKIP no?moon\n");
	free(told.text);
}

static void test_junit(void **state)
{
	struct lab_report report = { .format = LAB_JUNIT, .driver_count = 2 };
	struct lab_trial trials[6];
	struct told told;

	(void)state;
	make_trial(&trials[0], 0, LAB_CORRECT, "fine");
	make_trial(&trials[1], 1, LAB_CORRECT, "fine");
	make_trial(&trials[2], 0, LAB_TOO_LAX, "<it> & \"that\"\x01");
	make_trial(&trials[3], 1, LAB_CRASHED, "it fell");
	make_trial(&trials[4], 0, LAB_FAILED, "x");
	trials[4].problem = mem_dup_string("the run broke");
	make_trial(&trials[5], 1, LAB_NOT_APPLICABLE, "x");
	trials[5].unavailable = mem_dup_string("no moon");
	told = tell(&report, trials, 6);
	assert_has(told.text, "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
	    "<testsuites name=\"postern-lab\" tests=\"6\" failures=\"2\" "
	    "errors=\"1\" skipped=\"1\" time=\"9.000\">\n"
	    " <testsuite name=\"one\" tests=\"3\" failures=\"1\" errors=\"1\" "
	    "skipped=\"0\" time=\"4.500\">\n"
	    "  <testcase classname=\"one\" name=\"world\" time=\"1.500\"/>\n"
	    "  <testcase classname=\"one\" name=\"world\" time=\"1.500\">"
	    "<failure type=\"too lax\" message=\"step second: too lax: "
	    "expected clear; &lt;it&gt; &amp; &quot;that&quot;?\">step second:"
	    " too lax: expected clear; &lt;it&gt; &amp; &quot;that&quot;?\n"
	    "</failure></testcase>\n");
	assert_has(told.text, "<error type=\"failed\" message=\"the run broke\">"
	    "the run broke\nstep second: failed: x\n</error>");
	assert_has(told.text, "<testsuite name=\"two\" tests=\"3\" "
	    "failures=\"1\" errors=\"0\" skipped=\"1\"");
	assert_has(told.text, "<skipped message=\"no moon\"/></testcase>");
	assert_has(told.text, "</testsuite>\n</testsuites>\n");
	free(told.text);
}

/* What a step says and the trial repeats is told once. */
static void test_problem_once(void **state)
{
	static const enum lab_format forms[] = { LAB_TABLE, LAB_TAP,
	    LAB_JUNIT };

	(void)state;
	for (size_t i = 0; i < 3; i++) {
		struct lab_report report = { .format = forms[i],
		    .driver_count = 1 };
		struct lab_trial trial;
		struct told told;
		const char *body;

		make_trial(&trial, 0, LAB_FAILED, "the run broke");
		trial.problem = mem_dup_string("the run broke");
		told = tell(&report, &trial, 1);
		body = strstr(told.text, i == 2 ? "\">step" : "the run broke");
		assert_non_null(body);
		body = strstr(body, "the run broke");
		assert_non_null(body);
		assert_null(strstr(body + 1, "the run broke"));
		free(told.text);
	}
}

static void test_json(void **state)
{
	struct lab_report report = { .format = LAB_JSON, .driver_count = 1 };
	struct lab_trial trial;
	struct told told;
	const char *mark = NULL, *step_mark = NULL, *reply = NULL;
	int marker = 0, correct = 1;
	json_t *row;

	(void)state;
	make_trial(&trial, 0, LAB_TOO_STRICT, "it came back");
	told = tell(&report, &trial, 1);
	row = json_loads(told.text, 0, NULL);
	assert_non_null(row);
	assert_int_equal(json_unpack(row, "{s:[{s:s, s:b, s:[{s:s, s:i}, "
	    "{s:s}]}]}", "mtas", "mark", &mark, "correct", &correct, "steps",
	    "reply", &reply, "marker", &marker, "mark", &step_mark), 0);
	assert_string_equal(mark, "too strict");
	assert_string_equal(step_mark, "too strict");
	assert_string_equal(reply, "250 ok");
	assert_int_equal(marker, 7);
	assert_false(correct);
	json_decref(row);
	free(told.text);
}

/* --- what is kept, and shown --- */

static char *read_file(const char *directory, const char *name)
{
	char *path = mem_print("%s/%s", directory, name);
	char *text = mem_alloc(65536);
	FILE *file = fopen(path, "r");

	if (file == NULL)
		fail_msg("%s is not there", path);
	assert_true(fread(text, 1, 65535, file) > 0);
	fclose(file);
	mem_free(path);
	return text;
}

static void check_shown(const json_t *trial)
{
	char *text;
	size_t length;
	FILE *out = open_memstream(&text, &length);

	lab_show_trial(out, trial, "first");
	fclose(out);
	assert_has(text, "world: A title\none, profile strict, round 1: too "
	    "lax\n");
	assert_has(text, "step first: correct\n");
	assert_has(text, "    0.000  mx  >  EHLO ?[2Jx\n");
	assert_null(strstr(text, "step second"));
	assert_null(strchr(text, '\x1b'));
	assert_true(lab_show_has_step(trial, "second"));
	assert_false(lab_show_has_step(trial, "third"));
	free(text);
}

static void test_keep(void **state)
{
	char place[] = "/tmp/lab_report_test.XXXXXX", error[600];
	static const char *const names[] = { "results",
	    "world.one.strict.json", "world.one.strict.log" };
	struct lab_report report = { .format = LAB_TABLE, .driver_count = 1 };
	struct lab_trial trial;
	struct told told;
	const char *mark = NULL, *file = NULL;
	char *text;
	json_t *object;

	(void)state;
	assert_non_null(mkdtemp(place));
	report.keep = lab_keep_new(place, error, sizeof(error));
	assert_non_null(report.keep);
	make_trial(&trial, 0, LAB_TOO_LAX, "x");
	trial.run.profile = LAB_PROFILE_STRICT;
	told = tell(&report, &trial, 1);
	assert_has(told.text, place);
	assert_false(lab_keep_failed(report.keep));
	object = lab_keep_results(place, error, sizeof(error));
	assert_int_equal(json_unpack(object, "[{s:s, s:s}]", "mark", &mark,
	    "file", &file), 0);
	assert_string_equal(mark, "too lax");
	assert_string_equal(file, names[1]);
	json_decref(object);
	text = read_file(place, names[2]);
	assert_string_equal(text, "a line\n\x1b[31mred\n");
	mem_free(text);
	text = read_file(place, names[1]);
	object = json_loads(text, 0, NULL);
	check_shown(object);
	json_decref(object);
	mem_free(text);
	free(told.text);
	lab_keep_free(report.keep);
	for (size_t i = 0; i < 3; i++) {
		text = mem_print("%s/%s", place, names[i]);
		assert_int_equal(unlink(text), 0);
		mem_free(text);
	}
	assert_int_equal(rmdir(place), 0);
}

static bool is_there(const char *root, unsigned number)
{
	char *path = mem_print("%s/postern-lab/%u", root, number);
	bool there = access(path, F_OK) == 0;

	mem_free(path);
	return there;
}

/* The newest stay; what has no number is not touched. */
static void test_numbers(void **state)
{
	char root[] = "/tmp/lab_report_test.XXXXXX", error[600];
	size_t count;
	unsigned *numbers;
	char *path, *found;

	(void)state;
	assert_non_null(mkdtemp(root));
	setenv("XDG_STATE_HOME", root, 1);
	for (unsigned i = 1; i <= LAB_RUNS_KEPT + 3; i++) {
		struct lab_keep *keep = lab_keep_new(NULL, error,
		    sizeof(error));

		assert_non_null(keep);
		lab_keep_text(keep, "a", "text");
		lab_keep_free(keep);
		if (i == 1) {
			path = mem_print("%s/postern-lab/007", root);
			assert_int_equal(mkdir(path, 0700), 0);
			mem_free(path);
		}
	}
	numbers = lab_keep_numbers(&count);
	assert_int_equal(count, LAB_RUNS_KEPT);
	assert_int_equal(numbers[0], 4);
	assert_int_equal(numbers[count - 1], LAB_RUNS_KEPT + 3);
	mem_free(numbers);
	assert_false(is_there(root, 3));
	assert_true(is_there(root, 4));
	path = mem_print("%s/postern-lab/007", root);
	assert_int_equal(rmdir(path), 0);
	mem_free(path);

	found = lab_keep_find("last", error, sizeof(error));
	assert_has(found, "/23");
	mem_free(found);
	found = lab_keep_find(root, error, sizeof(error));
	assert_string_equal(found, root);
	mem_free(found);
	assert_null(lab_keep_find("3", error, sizeof(error)));
	assert_has(error, "there is no run 3");

	for (unsigned i = 4; i <= LAB_RUNS_KEPT + 3; i++)
		for (int k = 0; k < 3; k++) {
			static const char *const names[] = { "/a", "/results",
			    "" };

			path = mem_print("%s/postern-lab/%u%s", root, i,
			    names[k]);
			assert_int_equal(remove(path), 0);
			mem_free(path);
		}
	path = mem_print("%s/postern-lab", root);
	assert_int_equal(rmdir(path), 0);
	mem_free(path);
	assert_int_equal(rmdir(root), 0);
}

static void test_keep_nowhere(void **state)
{
	char error[600];

	(void)state;
	assert_null(lab_keep_new("/nonexistent/here", error, sizeof(error)));
	assert_has(error, "/nonexistent/here: No such file");
	setenv("XDG_STATE_HOME", "relative", 1);
	unsetenv("HOME");
	assert_null(lab_keep_new(NULL, error, sizeof(error)));
	assert_has(error, "neither XDG_STATE_HOME nor HOME");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_text),
		cmocka_unit_test(test_text_lines),
		cmocka_unit_test(test_table),
		cmocka_unit_test(test_many_steps),
		cmocka_unit_test(test_status),
		cmocka_unit_test(test_profiles),
		cmocka_unit_test(test_rounds),
		cmocka_unit_test(test_tap),
		cmocka_unit_test(test_junit),
		cmocka_unit_test(test_problem_once),
		cmocka_unit_test(test_json),
		cmocka_unit_test(test_keep),
		cmocka_unit_test(test_numbers),
		cmocka_unit_test(test_keep_nowhere),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
