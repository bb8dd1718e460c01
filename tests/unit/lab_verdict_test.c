/* SPDX-License-Identifier: ISC */
/*
 * tools/lab/verdict.c: what events amount to. Each row is a step, what was
 * seen in the true world and in its twin, and the judgement. The letters:
 *
 *	t	delivered under TLS		c	delivered in clear
 *	b	a bounce came			i	taken by an impostor
 *	m	MAIL in clear			o	MAIL in clear, origin's host
 *	x	mx2 saw a connection		2	a delivery of another message
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
	bool			 correct;
	const char		*said;	/* a part of it */
} rows[] = {
	/* delivered, and what the twin world makes of it */
	{ LAB_AUTHENTICATED, "t", NULL, "", LAB_AUTHENTICATED, true,
	    "not where another key answers" },
	{ LAB_AUTHENTICATED, "t", NULL, "t", LAB_ENCRYPTED, false,
	    "to another key" },
	{ LAB_AUTHENTICATED, "t", NULL, "c", LAB_CLEAR, false,
	    "twin world, where another key answers, it went to mx in clear" },
	{ LAB_AUTHENTICATED, "t", NULL, "b", LAB_BOUNCED, false,
	    "instead of waiting" },
	{ LAB_AUTHENTICATED, "t", NULL, "2", LAB_AUTHENTICATED, true, "" },
	{ LAB_ENCRYPTED, "t", NULL, "t", LAB_ENCRYPTED, true, "" },
	{ LAB_ENCRYPTED, "t", NULL, "", LAB_AUTHENTICATED, false, "" },
	{ LAB_CLEAR, "mc", NULL, NULL, LAB_CLEAR, true, "in clear" },
	{ LAB_AUTHENTICATED, "mc", NULL, NULL, LAB_CLEAR, false,
	    "delivered to mx in clear" },
	/* not delivered */
	{ LAB_DEFERRED, "", "t", NULL, LAB_DEFERRED, true, "" },
	{ LAB_DEFERRED, "", "", NULL, LAB_WAITING, false, "not even after" },
	{ LAB_DEFERRED, "", "b", NULL, LAB_BOUNCED, false, "after the" },
	{ LAB_DEFERRED, "b", NULL, NULL, LAB_BOUNCED, false,
	    "returned to the sender" },
	{ LAB_DEFERRED, "2", "2", NULL, LAB_WAITING, false, "" },
	{ LAB_WAITING, "", NULL, NULL, LAB_WAITING, true, "" },
	{ LAB_WAITING, "t", NULL, "t", LAB_ENCRYPTED, false, "" },
	{ LAB_BOUNCED, "ob", NULL, NULL, LAB_BOUNCED, true, "" },
	{ LAB_BOUNCED, "", "t", NULL, LAB_DEFERRED, false, "" },
	/* the rules that always hold */
	{ LAB_DEFERRED, "i", "", NULL, LAB_WAITING, false,
	    "an impostor in the path to mx took it" },
	{ LAB_DEFERRED, "m", "t", NULL, LAB_DEFERRED, false,
	    "mx heard MAIL in clear" },
	{ LAB_DEFERRED, "x", "t", NULL, LAB_DEFERRED, false,
	    "mx2 saw a connection" },
	{ LAB_AUTHENTICATED, "t", NULL, "x", LAB_AUTHENTICATED, false,
	    "mx2 saw a connection in the twin world" },
	{ LAB_AUTHENTICATED, "t", NULL, "m", LAB_AUTHENTICATED, false,
	    "mx heard MAIL in clear in the twin world" },
};

static void test_rows(void **state)
{
	char *hosts[] = { (char *)(uintptr_t)"mx2" };

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const struct row *row = &rows[i];
		const struct lab_step step = { .expect = row->expect,
		    .untouched = { hosts, 1 },
		    .no_clear_mail = row->expect != LAB_CLEAR };
		json_t *seen = seen_of(row->seen, row->healed);
		json_t *twin = row->twin != NULL ? seen_of(row->twin, NULL) :
		    NULL;
		struct lab_verdict verdict;

		lab_judge(&step, seen, twin, &verdict);
		if (verdict.outcome != row->outcome || verdict.correct !=
		    row->correct || strstr(verdict.said, row->said) == NULL)
			fail_msg("row %zu: %s, %d, %s", i,
			    lab_outcome_name(verdict.outcome),
			    verdict.correct, verdict.said);
		json_decref(seen);
		json_decref(twin);
	}
}

static void test_accept(void **state)
{
	char *words[] = { (char *)(uintptr_t)"encrypted" };
	const struct lab_step step = { .expect = LAB_AUTHENTICATED,
	    .accept = { words, 1 }, .no_clear_mail = true };
	json_t *seen = seen_of("t", NULL);
	struct lab_verdict verdict;

	(void)state;
	lab_judge(&step, seen, seen, &verdict);
	assert_int_equal(verdict.outcome, LAB_ENCRYPTED);
	assert_true(verdict.correct);
	json_decref(seen);
}

/* A run that went wrong is never correct. */
static void test_problem(void **state)
{
	const struct lab_step step = { .expect = LAB_WAITING };
	json_t *seen = seen_of("", NULL);
	struct lab_verdict verdict;

	(void)state;
	json_object_set_new(seen, "problem", json_string("it broke"));
	lab_judge(&step, seen, NULL, &verdict);
	assert_false(verdict.correct);
	assert_string_equal(verdict.said, "it broke");
	json_decref(seen);
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
		cmocka_unit_test(test_accept),
		cmocka_unit_test(test_problem),
		cmocka_unit_test(test_twin_is_needed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
