/* SPDX-License-Identifier: ISC */
/*
 * tools/lab/verdict.c: what events amount to. Each row is a step, what was
 * seen in the true world and in its twin, and the judgement. The letters:
 *
 *	t	delivered under TLS		c	delivered in clear
 *	b	a bounce came			i	taken by an impostor
 *	m	MAIL in clear			o	MAIL in clear, origin's host
 *	x	mx2 saw a connection		2	a delivery of another message
 *	h	mx showed its key
 * and of REQUIRETLS:
 *	r	delivered under TLS, asking for it
 *	l	MAIL in clear that asks for it
 *	q	a bounce that asks for it, of status 5.7.30
 *	w	one that holds the text of the message
 *	s	one of status 4.4.1 and 5.4.4
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "base/mem.h"
#include "tools/lab/verdict.h"

enum { MARKER = 7 };

static json_t *message(const char *marker, bool tls, bool dsn, bool impostor)
{
	return json_pack("{s:s, s:s, s:s, s:b, s:b, s:b}", "actor", "mx",
	    "event", "message", "marker", marker, "tls", tls, "dsn", dsn,
	    "impostor", impostor);
}

static json_t *command(const char *actor, bool tls)
{
	return json_pack("{s:s, s:s, s:s, s:b}", "actor", actor, "event",
	    "command", "line", "MAIL FROM:<a@b>", "tls", tls);
}

/* Further members; the format is json_pack()'s. */
static json_t *with(json_t *event, const char *format, ...)
{
	va_list arguments;
	json_t *more;

	va_start(arguments, format);
	more = json_vpack_ex(NULL, 0, format, arguments);
	va_end(arguments);
	assert_non_null(more);
	json_object_update(event, more);
	json_decref(more);
	return event;
}

static json_t *event_of(char letter)
{
	switch (letter) {
	case 't': return message("7", true, false, false);
	case 'c': return message("7", false, false, false);
	case 'b': return message("", false, true, false);
	case 'i': return message("7", true, false, true);
	case 'm': return command("mx", false);
	case 'o': return command(LAB_ORIGIN_HOST, false);
	case 'x': return json_pack("{s:s, s:s}", "actor", "mx2", "event",
	    "connect");
	case '2': return message("8", true, false, false);
	case 'h': return json_pack("{s:s, s:s}", "actor", "mx", "event",
	    "handshake");
	case 'r': return with(message("7", true, false, false), "{s:b}",
	    "requiretls", 1);
	case 'l': return with(command("mx", false), "{s:s}", "line",
	    "MAIL FROM:<a@b> SIZE=1 REQUIRETLS");
	case 'q': return with(message("7", true, true, false),
	    "{s:b, s:[s]}", "requiretls", 1, "statuses", "5.7.30");
	case 'w': return with(message("", true, true, false), "{s:b}",
	    "text", 1);
	case 's': return with(message("", true, true, false), "{s:[s, s]}",
	    "statuses", "4.4.1", "5.4.4");
	default: return command("mx", true);
	}
}

static json_t *events_of(const char *letters)
{
	json_t *events = json_array();

	for (; *letters != '\0'; letters++)
		json_array_append_new(events, event_of(*letters));
	return events;
}

/* healed: null when the faults were not lifted */
static json_t *seen_of(const char *letters, const char *healed)
{
	json_t *seen = json_pack("{s:i, s:o}", "marker", MARKER, "events",
	    events_of(letters));

	if (healed != NULL)
		json_object_set_new(seen, "healed", events_of(healed));
	return seen;
}

static const struct row {
	enum lab_outcome	 expect;
	const char		*seen, *healed, *twin;
	enum lab_outcome	 outcome;
	enum lab_mark		 mark;
	const char		*said;	/* a part of it */
} rows[] = {
	/* delivered, and what the twin world makes of it */
	{ LAB_AUTHENTICATED, "t", NULL, "", LAB_AUTHENTICATED, LAB_CORRECT,
	    "not where another key answers" },
	{ LAB_AUTHENTICATED, "t", NULL, "t", LAB_ENCRYPTED, LAB_TOO_LAX,
	    "to another key" },
	{ LAB_AUTHENTICATED, "t", NULL, "c", LAB_CLEAR, LAB_TOO_LAX,
	    "twin world, where another key answers, it went to mx in clear" },
	{ LAB_AUTHENTICATED, "t", NULL, "b", LAB_BOUNCED, LAB_TOO_STRICT,
	    "instead of waiting" },
	{ LAB_AUTHENTICATED, "t", NULL, "2", LAB_AUTHENTICATED, LAB_CORRECT,
	    "" },
	{ LAB_ENCRYPTED, "t", NULL, "t", LAB_ENCRYPTED, LAB_CORRECT, "" },
	{ LAB_ENCRYPTED, "t", NULL, "", LAB_AUTHENTICATED, LAB_TOO_STRICT,
	    "" },
	{ LAB_CLEAR, "mc", NULL, NULL, LAB_CLEAR, LAB_CORRECT, "in clear" },
	{ LAB_AUTHENTICATED, "mc", NULL, NULL, LAB_CLEAR, LAB_TOO_LAX,
	    "delivered to mx in clear" },
	/* not delivered */
	{ LAB_DEFERRED, "", "t", NULL, LAB_DEFERRED, LAB_CORRECT, "" },
	{ LAB_DEFERRED, "", "", NULL, LAB_WAITING, LAB_TOO_STRICT,
	    "not even after" },
	{ LAB_DEFERRED, "", "b", NULL, LAB_BOUNCED, LAB_TOO_STRICT,
	    "after the" },
	{ LAB_DEFERRED, "b", NULL, NULL, LAB_BOUNCED, LAB_TOO_STRICT,
	    "returned to the sender" },
	{ LAB_DEFERRED, "2", "2", NULL, LAB_WAITING, LAB_TOO_STRICT, "" },
	{ LAB_WAITING, "", NULL, NULL, LAB_WAITING, LAB_CORRECT, "" },
	{ LAB_WAITING, "t", NULL, "t", LAB_ENCRYPTED, LAB_TOO_LAX, "" },
	{ LAB_BOUNCED, "ob", NULL, NULL, LAB_BOUNCED, LAB_CORRECT, "" },
	{ LAB_BOUNCED, "", "t", NULL, LAB_DEFERRED, LAB_TOO_STRICT, "" },
	/* the rules that always hold */
	{ LAB_DEFERRED, "i", "", NULL, LAB_WAITING, LAB_TOO_LAX,
	    "an impostor in the path to mx took it" },
	{ LAB_AUTHENTICATED, "t", NULL, "i", LAB_AUTHENTICATED, LAB_TOO_LAX,
	    "an impostor in the path to mx took it in the twin world" },
	{ LAB_DEFERRED, "m", "t", NULL, LAB_DEFERRED, LAB_TOO_LAX,
	    "mx heard MAIL in clear" },
	{ LAB_DEFERRED, "x", "t", NULL, LAB_DEFERRED, LAB_TOO_LAX,
	    "mx2 saw a connection" },
	{ LAB_DEFERRED, "hx", "t", NULL, LAB_DEFERRED, LAB_TOO_LAX,
	    "mx2 saw a connection, and may not" },
	{ LAB_DEFERRED, "xb", NULL, NULL, LAB_BOUNCED, LAB_TOO_LAX,
	    "mx2 saw a connection" },
	/* in the twin it may go on from an impostor, but not begin there */
	{ LAB_AUTHENTICATED, "t", NULL, "x", LAB_AUTHENTICATED, LAB_TOO_LAX,
	    "mx2 saw a connection in the twin world" },
	{ LAB_AUTHENTICATED, "t", NULL, "hx", LAB_AUTHENTICATED, LAB_CORRECT,
	    "" },
	{ LAB_AUTHENTICATED, "t", NULL, "hxt", LAB_ENCRYPTED, LAB_TOO_LAX,
	    "" },
	{ LAB_AUTHENTICATED, "t", NULL, "m", LAB_AUTHENTICATED, LAB_TOO_LAX,
	    "mx heard MAIL in clear in the twin world" },
};

static void judge_row(size_t i)
{
	const struct row *row = &rows[i];
	char *hosts[] = { (char *)(uintptr_t)"mx2" };
	const struct lab_step step = { .expect = row->expect,
	    .untouched = { hosts, 1 },
	    .no_clear_mail = row->expect != LAB_CLEAR };
	json_t *seen = seen_of(row->seen, row->healed);
	json_t *twin = row->twin != NULL ? seen_of(row->twin, NULL) : NULL;
	struct lab_verdict verdict;

	lab_judge(&step, LAB_PROFILE_RFC, seen, twin, &verdict);
	if (verdict.outcome != row->outcome || verdict.mark != row->mark ||
	    strstr(verdict.said, row->said) == NULL)
		fail_msg("row %zu: %s, %s, %s", i,
		    lab_outcome_name(verdict.outcome),
		    lab_mark_name(verdict.mark), verdict.said);
	json_decref(seen);
	json_decref(twin);
}

static void test_rows(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		judge_row(i);
}

/* Every cell: a letter for each outcome that came, in the order of the enum. */
static const struct {
	enum lab_outcome	 expected;
	const char		*marks;	/* c, l, s; f: not of one kind */
} cells[LAB_OUTCOMES] = {
	{ LAB_AUTHENTICATED, "cllsssfff" },
	{ LAB_ENCRYPTED, "sclsssfff" },
	{ LAB_CLEAR, "sscsssfff" },
	{ LAB_WAITING, "lllccsfff" },
	{ LAB_DEFERRED, "lllscsfff" },
	{ LAB_BOUNCED, "lllsscfff" },
	{ LAB_SAFE, "ffffffcls" },
	{ LAB_UNSAFE, "fffffffcs" },
	{ LAB_UNSERVED, "fffffffl" "c" },
};

static void test_cells(void **state)
{
	static const char letters[] = "cls" "??" "?" "f";

	(void)state;
	for (size_t i = 0; i < LAB_OUTCOMES; i++)
		for (int came = 0; came < LAB_OUTCOMES; came++) {
			enum lab_mark mark = lab_mark_of(cells[i].expected,
			    (enum lab_outcome)came);

			if (letters[mark] != cells[i].marks[came])
				fail_msg("expected %s, came %s: %s",
				    lab_outcome_name(cells[i].expected),
				    lab_outcome_name((enum lab_outcome)came),
				    lab_mark_name(mark));
		}
}

/* What `accept` adds, and what it does not. */
static void test_accept(void **state)
{
	static const struct {
		enum lab_outcome	 expect;
		const char		*accept, *seen, *healed, *twin;
		enum lab_mark		 mark;
	} cases[] = {
		{ LAB_AUTHENTICATED, "encrypted", "t", NULL, "t",
		    LAB_CORRECT },
		{ LAB_AUTHENTICATED, "encrypted", "c", NULL, NULL,
		    LAB_TOO_LAX },
		/* more than one of them, less than the other: too far */
		{ LAB_ENCRYPTED, "deferred", "t", NULL, "", LAB_TOO_STRICT },
		{ LAB_ENCRYPTED, "deferred", "c", NULL, NULL, LAB_TOO_LAX },
		{ LAB_AUTHENTICATED, "deferred", "t", NULL, "t",
		    LAB_TOO_LAX },
		{ LAB_AUTHENTICATED, "bounced", "", "t", NULL,
		    LAB_TOO_STRICT },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char *words[] = { (char *)(uintptr_t)cases[i].accept };
		const struct lab_step step = { .expect = cases[i].expect,
		    .accept = { words, 1 } };
		json_t *seen = seen_of(cases[i].seen, cases[i].healed);
		json_t *twin = cases[i].twin != NULL ?
		    seen_of(cases[i].twin, NULL) : NULL;
		struct lab_verdict verdict;

		lab_judge(&step, LAB_PROFILE_RFC, seen, twin, &verdict);
		if (verdict.mark != cases[i].mark)
			fail_msg("case %zu: %s", i,
			    lab_mark_name(verdict.mark));
		json_decref(seen);
		json_decref(twin);
	}
}

/* `strict` is the only correct outcome there, and forbids MAIL in clear. */
static void test_strict(void **state)
{
	char *words[] = { (char *)(uintptr_t)"encrypted" };
	struct lab_step step = { .expect = LAB_CLEAR, .accept = { words, 1 },
	    .strict = (char *)(uintptr_t)"deferred" };
	static const struct {
		const char	*seen, *healed;
		enum lab_mark	 rfc, strict;
		const char	*said;		/* strict */
	} cases[] = {
		{ "mc", NULL, LAB_CORRECT, LAB_TOO_LAX, "in clear" },
		{ "", "t", LAB_TOO_STRICT, LAB_CORRECT, "it waited" },
		{ "m", "t", LAB_TOO_STRICT, LAB_TOO_LAX, "heard MAIL" },
		{ "t", NULL, LAB_CORRECT, LAB_TOO_LAX, "under TLS" },
	};

	(void)state;
	assert_int_equal(lab_expected(&step, LAB_PROFILE_RFC), LAB_CLEAR);
	assert_int_equal(lab_expected(&step, LAB_PROFILE_STRICT),
	    LAB_DEFERRED);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		json_t *seen = seen_of(cases[i].seen, cases[i].healed);
		struct lab_verdict verdict;

		lab_judge(&step, LAB_PROFILE_RFC, seen, NULL, &verdict);
		assert_int_equal(verdict.mark, cases[i].rfc);
		lab_judge(&step, LAB_PROFILE_STRICT, seen, NULL, &verdict);
		assert_int_equal(verdict.mark, cases[i].strict);
		assert_non_null(strstr(verdict.said, cases[i].said));
		json_decref(seen);
	}
	/* Without one of its own, a step is the same in both. */
	step.strict = (char *)(uintptr_t)"";
	assert_int_equal(lab_expected(&step, LAB_PROFILE_STRICT), LAB_CLEAR);
}

/* What the run says of the MTA's state, in either world, and of itself. */
static void test_states(void **state)
{
	static const struct {
		const char	*seen, *twin;		/* events */
		const char	*keys, *twin_keys;	/* c, h, p */
		enum lab_mark	 mark;
		const char	*said;
	} cases[] = {
		{ "", NULL, "p", "", LAB_FAILED, "it broke" },
		{ "", NULL, "h", "", LAB_HUNG, "it hangs" },
		{ "", NULL, "c", "", LAB_CRASHED, "it fell" },
		{ "", NULL, "hp", "", LAB_FAILED, "it broke" },
		{ "", NULL, "cp", "", LAB_CRASHED, "it fell" },
		{ "", NULL, "chp", "", LAB_CRASHED, "it fell" },
		/* too lax is worse than hung, and no worse than crashed */
		{ "mc", NULL, "h", "", LAB_TOO_LAX, "in clear" },
		{ "mc", NULL, "c", "", LAB_CRASHED, "it fell" },
		{ "t", "", "", "c", LAB_CRASHED, "fell in the twin world" },
		{ "t", "", "", "h", LAB_HUNG, "hangs in the twin world" },
		{ "t", "", "", "p", LAB_FAILED, "broke in the twin world" },
		{ "t", "", "c", "p", LAB_CRASHED, "it fell" },
	};
	static const struct { char letter; const char *key, *said; }
	    keys[] = { { 'c', "crashed", "it fell" },
	    { 'h', "hung", "it hangs" }, { 'p', "problem", "it broke" } };
	const struct lab_step step = { .expect = LAB_AUTHENTICATED };

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		json_t *seen = seen_of(cases[i].seen, NULL);
		json_t *twin = cases[i].twin != NULL ?
		    seen_of(cases[i].twin, NULL) : NULL;
		struct lab_verdict verdict;

		for (size_t k = 0; k < 3; k++) {
			if (strchr(cases[i].keys, keys[k].letter) != NULL)
				json_object_set_new(seen, keys[k].key,
				    json_string(keys[k].said));
			if (strchr(cases[i].twin_keys, keys[k].letter) != NULL)
				json_object_set_new(twin, keys[k].key,
				    json_string(keys[k].said));
		}
		lab_judge(&step, LAB_PROFILE_RFC, seen, twin, &verdict);
		if (verdict.mark != cases[i].mark ||
		    strstr(verdict.said, cases[i].said) == NULL)
			fail_msg("case %zu: %s: %s", i,
			    lab_mark_name(verdict.mark), verdict.said);
		json_decref(seen);
		json_decref(twin);
	}
}

/* RFC 8689: what a message that asks for REQUIRETLS may not meet, and what one
 * that does not may not. REQ-4, REQ-46, REQ-61, REQ-70, REQ-71. */
static void test_requiretls(void **state)
{
	static const struct {
		bool			 asks;
		enum lab_outcome	 expect;
		const char		*notification;
		const char		*seen, *healed, *twin;
		enum lab_mark		 mark;
		const char		*said;
	} cases[] = {
		{ true, LAB_AUTHENTICATED, NULL, "r", NULL, "", LAB_CORRECT,
		    "not where another key" },
		{ true, LAB_AUTHENTICATED, NULL, "r", NULL, "q", LAB_CORRECT,
		    "returned where another key answers" },
		{ true, LAB_AUTHENTICATED, NULL, "r", NULL, "r", LAB_TOO_LAX,
		    "to another key" },
		{ true, LAB_AUTHENTICATED, NULL, "t", NULL, "", LAB_TOO_LAX,
		    "mx took the message without REQUIRETLS" },
		{ true, LAB_DEFERRED, NULL, "", "t", NULL, LAB_TOO_LAX,
		    "mx took the message without REQUIRETLS" },
		{ true, LAB_DEFERRED, NULL, "", "r", NULL, LAB_CORRECT, "" },
		{ true, LAB_BOUNCED, NULL, "2q", NULL, NULL, LAB_CORRECT,
		    "" },
		{ true, LAB_BOUNCED, NULL, "lq", NULL, NULL, LAB_TOO_LAX,
		    "heard MAIL" },
		{ true, LAB_BOUNCED, NULL, "w", NULL, NULL, LAB_TOO_LAX,
		    "with the text of a message that asks" },
		{ true, LAB_BOUNCED, "requiretls", "q", NULL, NULL,
		    LAB_CORRECT, "" },
		{ true, LAB_BOUNCED, "requiretls", "s", NULL, NULL,
		    LAB_TOO_LAX, "without REQUIRETLS to mx" },
		{ true, LAB_BOUNCED, "5.7.30", "q", NULL, NULL, LAB_CORRECT,
		    "" },
		{ true, LAB_BOUNCED, "5.4.4", "s", NULL, NULL, LAB_CORRECT,
		    "" },
		{ true, LAB_BOUNCED, "5.7.10", "s", NULL, NULL,
		    LAB_TOO_STRICT, "the notification says 4.4.1" },
		{ true, LAB_BOUNCED, "5.7.10", "b", NULL, NULL,
		    LAB_TOO_STRICT, "no status code" },
		/* of another message */
		{ true, LAB_DEFERRED, "5.7.10", "2", "2r", NULL, LAB_CORRECT,
		    "" },
		/* nobody asked for it */
		{ false, LAB_AUTHENTICATED, NULL, "r", NULL, "", LAB_TOO_LAX,
		    "mx was asked for REQUIRETLS" },
		{ false, LAB_BOUNCED, NULL, "w", NULL, NULL, LAB_CORRECT,
		    "" },
		{ false, LAB_AUTHENTICATED, NULL, "t", NULL, "q",
		    LAB_TOO_LAX, "mx was asked for REQUIRETLS, for which "
		    "nobody asked in the twin world" },
		{ false, LAB_CLEAR, NULL, "lc", NULL, NULL, LAB_TOO_LAX,
		    "MAIL with REQUIRETLS in clear" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char *words[] = { (char *)(uintptr_t)cases[i].notification };
		const struct lab_step step = { .expect = cases[i].expect,
		    .no_clear_mail = cases[i].expect != LAB_CLEAR,
		    .notification = { words, words[0] != NULL } };
		json_t *seen = seen_of(cases[i].seen, cases[i].healed);
		json_t *twin = cases[i].twin != NULL ?
		    seen_of(cases[i].twin, NULL) : NULL;
		struct lab_verdict verdict;

		json_object_set_new(seen, "requiretls",
		    json_boolean(cases[i].asks));
		if (twin != NULL)
			json_object_set_new(twin, "requiretls",
			    json_boolean(cases[i].asks));
		lab_judge(&step, LAB_PROFILE_RFC, seen, twin, &verdict);
		if (verdict.mark != cases[i].mark ||
		    strstr(verdict.said, cases[i].said) == NULL)
			fail_msg("case %zu: %s: %s", i,
			    lab_mark_name(verdict.mark), verdict.said);
		json_decref(seen);
		json_decref(twin);
	}
}

static void test_dialogues(void **state)
{
	static const struct {
		const char	*outcome, *move, *letters, *hung;
		enum lab_outcome come;
		enum lab_mark	 mark;
		const char	*said;
	} cases[] = {
		{ "safe", NULL, "", NULL, LAB_SAFE, LAB_CORRECT,
		    "all went well" },
		{ "unsafe", "quiet 500", "", NULL, LAB_UNSAFE, LAB_TOO_LAX,
		    "\"quiet 500\": all went well" },
		{ "unserved", "want 250", "", NULL, LAB_UNSERVED,
		    LAB_TOO_STRICT, "want 250" },
		/* the rules that always hold; but not the one of senders */
		{ "safe", NULL, "x", NULL, LAB_SAFE, LAB_TOO_LAX,
		    "mx2 saw a connection" },
		{ "safe", NULL, "m", NULL, LAB_SAFE, LAB_CORRECT, "" },
		{ NULL, NULL, "", "it hangs", LAB_UNSERVED, LAB_HUNG,
		    "it hangs" },
		{ NULL, NULL, "", NULL, LAB_UNSERVED, LAB_FAILED,
		    "does not say" },
	};
	char *hosts[] = { (char *)(uintptr_t)"mx2" };
	char *moves[] = { (char *)(uintptr_t)"connect smtp" };
	const struct lab_step step = { .expect = LAB_SAFE,
	    .untouched = { hosts, 1 }, .no_clear_mail = true,
	    .dialogue = { moves, 1 } };

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		json_t *seen = seen_of(cases[i].letters, NULL);
		struct lab_verdict verdict;

		if (cases[i].outcome != NULL)
			json_object_set_new(seen, "dialogue", json_pack(
			    "{s:s, s:s?, s:s, s:n}", "outcome",
			    cases[i].outcome, "move", cases[i].move, "said",
			    "all went well", "place"));
		if (cases[i].hung != NULL)
			json_object_set_new(seen, "hung",
			    json_string(cases[i].hung));
		assert_int_equal(lab_needs_twin(seen), false);
		lab_judge(&step, LAB_PROFILE_RFC, seen, NULL, &verdict);
		if (verdict.outcome != cases[i].come || verdict.mark !=
		    cases[i].mark || strstr(verdict.said, cases[i].said) ==
		    NULL)
			fail_msg("case %zu: %s, %s: %s", i,
			    lab_outcome_name(verdict.outcome),
			    lab_mark_name(verdict.mark), verdict.said);
		json_decref(seen);
	}
}

/* A sentence that is cut ends with a whole character. */
static void test_long_sentence(void **state)
{
	const struct lab_step step = { .expect = LAB_WAITING };
	struct lab_verdict verdict;

	(void)state;
	for (size_t start = 0; start < 3; start++) {
		char text[1200] = "";
		json_t *seen = seen_of("", NULL), *said;

		memset(text, 'x', start);
		while (strlen(text) < sizeof(text) - 4)
			memcpy(text + strlen(text), "\xe2\x82\xac", 3);
		json_object_set_new(seen, "problem", json_string(text));
		lab_judge(&step, LAB_PROFILE_RFC, seen, NULL, &verdict);
		assert_true(strlen(verdict.said) > sizeof(verdict.said) - 5);
		said = json_string(verdict.said);
		assert_non_null(said);
		json_decref(said);
		json_decref(seen);
	}
}

static void test_marks(void **state)
{
	/* worst first */
	static const char *const order[] = { "failed", "crashed", "too lax",
	    "hung", "too strict", "not applicable", "correct" };

	(void)state;
	assert_int_equal(sizeof(order) / sizeof(order[0]), LAB_MARKS);
	assert_int_equal(lab_mark_find("splendid"), LAB_MARKS);
	for (size_t i = 0; i < LAB_MARKS; i++)
		for (size_t k = 0; k < LAB_MARKS; k++)
			assert_string_equal(lab_mark_name(lab_mark_worse(
			    lab_mark_find(order[i]), lab_mark_find(
			    order[k]))), order[i < k ? i : k]);
}

static void test_twin_is_needed(void **state)
{
	static const struct { const char *seen; bool needed; } cases[] = {
		{ "t", true }, { "c", false }, { "", false }, { "b", false },
		{ "2", false }, { "xmt", true },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		json_t *seen = seen_of(cases[i].seen, NULL);

		assert_int_equal(lab_needs_twin(seen), cases[i].needed);
		json_decref(seen);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rows),
		cmocka_unit_test(test_cells),
		cmocka_unit_test(test_accept),
		cmocka_unit_test(test_strict),
		cmocka_unit_test(test_states),
		cmocka_unit_test(test_requiretls),
		cmocka_unit_test(test_dialogues),
		cmocka_unit_test(test_long_sentence),
		cmocka_unit_test(test_marks),
		cmocka_unit_test(test_twin_is_needed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
