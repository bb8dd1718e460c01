/* SPDX-License-Identifier: ISC */
/*
 * Every move of a dialogue, both ways: against a server for which it holds,
 * and against one for which it does not, with the outcome that is meant for
 * each. And the grammar, and the sweep.
 */
#include "tools/lab/dialogue.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/unit/lab_dialogue_server.h"

/* --- grammar --- */

static void test_grammar(void **state)
{
	static const struct { const char *move; bool good; } cases[] = {
		{ "connect smtp", true }, { "connect submission", true },
		{ "connect submissions pieces", true },
		{ "connect", false }, { "connect imap", false },
		{ "connect smtp slowly", false },
		{ "secure", true }, { "secure no-name resume early", true },
		{ "secure name=a.example version=1.2 ciphers=aNULL", true },
		{ "secure may-fail", true }, { "secure name=", false },
		{ "secure version=0.9", false }, { "secure gently", false },
		{ "insecure version=1.0", true },
		{ "insecure may-fail", false },
		{ "accepts 1.2 c02b,3a3a long", true },
		{ "refuses ssl2 0005", true }, { "refuses 1.3 1301", false },
		{ "refuses 1.2", false }, { "refuses 1.2 c02", false },
		{ "refuses 1.2 c02b,", false }, { "refuses 1.2 c02g", false },
		{ "refuses 1.2 c02b short", false },
		{ "renegotiate", true }, { "renegotiate now", false },
		{ "keep", true }, { "fresh", true }, { "fresh air", false },
		{ "say EHLO a", true }, { "say", false }, { "say %0", false },
		{ "say %zz", false }, { "send |%00%25", true },
		{ "repeat 10 a", true }, { "repeat a", false },
		{ "repeat 500000 abc", false }, { "unasked", true },
		{ "unasked for", false },
		{ "pieces 1 a", true }, { "pieces 0 a", false },
		{ "pieces a", false }, { "cut ab", true }, { "cut a", false },
		{ "cut %0D%0A", true }, { "want 250", true },
		{ "want 2xx,354", true }, { "want", false },
		{ "want 25", false }, { "want 250,", false },
		{ "want 2x0", false }, { "only 5xx", true },
		{ "enough 421,5xx", true }, { "offers SIZE", true },
		{ "offers", false }, { "lacks AUTH PLAIN", false },
		{ "needs CHUNKING", true }, { "quiet 100", true },
		{ "quiet", false }, { "quiet 0", false },
		{ "quiet 40000", false }, { "quiet 1s", false },
		{ "closed", true }, { "unwrap", true }, { "close", true },
		{ "drop", true }, { "reset", true }, { "wait 5", true },
		{ "wait", false }, { "shout", false }, { "", false },
		{ "saying nothing", false },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		if ((lab_move_problem(cases[i].move) == NULL) != cases[i].good)
			fail_msg("%s", cases[i].move);
}

static void test_whole_dialogues(void **state)
{
	char *good[] = { (char *)(size_t)"connect smtp",
	    (char *)(size_t)"cut ab" };
	char *bad[] = { (char *)(size_t)"want 220" };
	char *twice[] = { good[0], good[1], good[1] };
	const struct lab_texts texts[] = { { good, 2 }, { bad, 1 },
	    { twice, 3 }, { NULL, 0 } };

	(void)state;
	assert_null(lab_dialogue_problem(&texts[0]));
	assert_non_null(lab_dialogue_problem(&texts[1]));
	assert_non_null(lab_dialogue_problem(&texts[2]));
	assert_null(lab_dialogue_problem(&texts[3]));
}

/* --- moves --- */

enum { MOVES_MAX = 10, TRIES = 4 };

struct test_case {
	const char	*moves[MOVES_MAX];
	const char	*script[WORDS_MAX];
	const char	*outcome;
	const char	*move;		/* that failed or, if safe, ended it */
	const char	*ended;		/* how the server saw the end, or null */
	int		 place;		/* 0: null */
	int		 visits;	/* 0: as many as there may be */
};

static const char *text_of(const json_t *object, const char *key)
{
	const char *text = json_string_value(json_object_get(object, key));

	return text != NULL ? text : "";
}

static json_t *run(const struct test_case *test, struct server *server)
{
	char *items[MOVES_MAX], port[16];
	struct lab_step step = { .dialogue = { items, 0 } };

	snprintf(port, sizeof(port), "%d", server->port);
	setenv("LAB_PORT", port, 1);
	/* Nobody is there: 1 is tcpmux. */
	setenv("LAB_SUBMISSION_PORT", "1", 1);
	while (step.dialogue.count < MOVES_MAX &&
	    test->moves[step.dialogue.count] != NULL) {
		items[step.dialogue.count] = (char *)(size_t)
		    test->moves[step.dialogue.count];
		step.dialogue.count++;
	}
	assert_null(lab_dialogue_problem(&step.dialogue));
	return lab_dialogue_run(&step);
}

static bool holds(const struct test_case *test)
{
	struct server server;
	const char *move = test->move != NULL ? test->move : "";
	json_t *result, *place;
	bool safe = strcmp(test->outcome, "safe") == 0, good;

	server_start(&server, test->script);
	result = run(test, &server);
	place = json_object_get(result, "place");
	good = strcmp(text_of(result, "outcome"), test->outcome) == 0 &&
	    strcmp(text_of(result, safe ? "ended" : "move"), move) == 0 &&
	    text_of(result, "said")[0] != '\0' &&
	    (test->place > 0 ? json_integer_value(place) == test->place :
	    !json_is_integer(place));
	/* The server may be behind. */
	for (int i = 0; good && i < 2000 && ((test->ended != NULL &&
	    server.seen->ended[0] == '\0') ||
	    server.seen->visits < test->visits); i++)
		usleep(10000);
	good = good && (test->ended == NULL ||
	    strcmp(server.seen->ended, test->ended) == 0) &&
	    (test->visits == 0 || server.seen->visits == test->visits);
	if (!good) {
		char *text = json_dumps(result, 0);

		print_message("ended %s: %s\n", server.seen->ended, text);
		free(text);
		for (int i = 0; i < MOVES_MAX && test->moves[i] != NULL; i++)
			print_message("  %s\n", test->moves[i]);
	}
	json_decref(result);
	server_stop(&server);
	return good;
}

/* What the server reads at once is for the machine to say, if it is busy:
 * what is right is so in one of some tries, what is wrong in none. */
static void check(const struct test_case *test)
{
	bool good = false;

	for (int i = 0; !good && i < TRIES; i++)
		good = holds(test);
	assert_true(good);
}

#define CHECK(...) do { \
	static const struct test_case test = { __VA_ARGS__ }; \
	check(&test); \
} while (0)
#define MOVES(...) .moves = { "connect smtp", __VA_ARGS__ }
#define SCRIPT(...) .script = { __VA_ARGS__ }
#define SAFE .outcome = "safe"
#define ENDED(text) .outcome = "safe", .move = text
#define UNSAFE(text) .outcome = "unsafe", .move = text
#define UNSERVED(text) .outcome = "unserved", .move = text

static void test_replies(void **state)
{
	(void)state;
	CHECK(MOVES("want 220"), SCRIPT("> 220-a|220 b|"), SAFE);
	CHECK(.moves = { "connect submission" }, SCRIPT("> 220 a|"),
	    UNSERVED("connect submission"));
	CHECK(MOVES("want 220"), SCRIPT("> 421 a|"), UNSERVED("want 220"));
	CHECK(MOVES("want 220"), SCRIPT("> 220-a|", "close"),
	    UNSERVED("want 220"));
	CHECK(MOVES("want 220"), SCRIPT("> hello|"), UNSERVED("want 220"));
	CHECK(MOVES("want 2xx"), SCRIPT("> 220|"), SAFE);
	CHECK(MOVES("only 5xx,220"), SCRIPT("> 220 a|"), SAFE);
	CHECK(MOVES("only 5xx"), SCRIPT("> 220 a|"), UNSAFE("only 5xx"));
	CHECK(MOVES("only 5xx"), SCRIPT("> hello|"), UNSAFE("only 5xx"));
	CHECK(MOVES("only 5xx"), SCRIPT("close"), ENDED("only 5xx"));
	CHECK(MOVES("only 5xx"), SCRIPT("reset"), ENDED("only 5xx"));
	CHECK(MOVES("only 2xx", "enough 220", "want 250"),
	    SCRIPT("> 220 a|"), ENDED("enough 220"));
	CHECK(MOVES("want 220", "enough 5xx", "want 250"),
	    SCRIPT("> 220 a|250 b|"), SAFE);
	CHECK(MOVES("want 250", "offers size", "needs CHUNKING",
	    "lacks AUTH"), SCRIPT("> 250-a|250-SIZE 10|250 CHUNKING|"), SAFE);
	CHECK(MOVES("want 250", "offers SIZ"),
	    SCRIPT("> 250-a|250-SIZE 10|250 CHUNKING|"), UNSERVED("offers SIZ"));
	CHECK(MOVES("want 250", "needs AUTH", "want 250"),
	    SCRIPT("> 250 a|"), ENDED("needs AUTH"));
	CHECK(MOVES("want 250", "lacks AUTH"),
	    SCRIPT("> 250-a|250 AUTH=LOGIN|"), UNSAFE("lacks AUTH"));
}

static void test_silence(void **state)
{
	(void)state;
	CHECK(MOVES("want 220", "quiet 100"), SCRIPT("> 220 a|"), SAFE);
	CHECK(MOVES("want 220", "quiet 5000"), SCRIPT("> 220 a|",
	    "sleep 50", "> 250 b|"), UNSAFE("quiet 5000"));
	CHECK(MOVES("want 220", "quiet 5000"), SCRIPT("> 220 a|250 b|"),
	    UNSAFE("quiet 5000"));
	CHECK(MOVES("want 220", "quiet 5000"), SCRIPT("> 220 a|", "close"),
	    ENDED("quiet 5000"));
	CHECK(MOVES("want 220", "quiet 5000"), SCRIPT("> 220 a|", "alert"),
	    ENDED("quiet 5000"));
	/* Tickets of TLS 1.3 are nothing that was said. */
	CHECK(MOVES("secure", "quiet 100"), SCRIPT("tls"), SAFE);
	CHECK(MOVES("closed"), SCRIPT("> 220 a|", "close"), SAFE);
	CHECK(MOVES("closed"), SCRIPT("reset"), SAFE);
	CHECK(MOVES("closed"), SCRIPT("> 220 a|", "sleep 9000"),
	    UNSAFE("closed"));
	CHECK(MOVES("wait 300", "want 220"), SCRIPT("sleep 200", "> 220 a|"),
	    SAFE);
}

static void test_saying(void **state)
{
	(void)state;
	CHECK(MOVES("say a%41%25", "want 250"), SCRIPT("got aA%25|"), SAFE);
	CHECK(MOVES("send a%00b", "want 250"), SCRIPT("got a%00b"), SAFE);
	CHECK(MOVES("repeat 3 ab", "want 250"), SCRIPT("got ababab"), SAFE);
	CHECK(MOVES("send ab", "want 250"), SCRIPT("got a"),
	    UNSERVED("want 250"));
	CHECK(MOVES("pieces 1 abc|", "want 250"), SCRIPT("reads 4"), SAFE);
	CHECK(MOVES("send abc|", "want 250"), SCRIPT("reads 2"),
	    UNSERVED("want 250"));
	CHECK(.moves = { "connect smtp pieces", "send abc|", "want 250" },
	    SCRIPT("sleep 50", "<", "is abc"), SAFE);
}

static void test_sweep(void **state)
{
	(void)state;
	/* Five bytes: whole, and four cuts. */
	CHECK(MOVES("cut abc|", "want 250"), SCRIPT("<", "is abc"), SAFE,
	    .visits = 5);
	CHECK(MOVES("cut ab", "needs SIZE"), SCRIPT("sleep 1"),
	    ENDED("needs SIZE"), .visits = 2);
	CHECK(MOVES("cut abcd", "only 250"), SCRIPT("got abcd"),
	    UNSAFE("only 250"), .place = 1, .visits = 2);
	CHECK(MOVES("cut ab", "send c", "only 5xx"), SCRIPT("got a"),
	    UNSAFE("only 5xx"), .place = 1);
}

static void test_handshakes(void **state)
{
	(void)state;
	CHECK(MOVES("secure", "want 250"), SCRIPT("tls",
	    "sni mta.origin.example"), SAFE);
	CHECK(MOVES("secure name=other.example", "want 250"), SCRIPT("tls",
	    "sni other.example"), SAFE);
	CHECK(MOVES("secure no-name", "want 250"), SCRIPT("tls", "sni -"),
	    SAFE);
	CHECK(MOVES("secure version=1.2", "want 250"), SCRIPT("tls",
	    "version TLSv1.2"), SAFE);
	CHECK(MOVES("secure version=1.3", "want 250"), SCRIPT("tls",
	    "version TLSv1.3"), SAFE);
	CHECK(MOVES("secure"), SCRIPT("> 220 a|"), UNSERVED("secure"));
	CHECK(MOVES("secure"), SCRIPT("alert"), UNSERVED("secure"));
	CHECK(MOVES("secure may-fail", "want 250"), SCRIPT("alert"),
	    ENDED("secure may-fail"));
	CHECK(MOVES("secure", "secure"), SCRIPT("tls"), UNSERVED("secure"));
	CHECK(MOVES("insecure version=1.2"), SCRIPT("alert"),
	    ENDED("insecure version=1.2"));
	CHECK(MOVES("insecure version=1.2"), SCRIPT("close"),
	    ENDED("insecure version=1.2"));
	CHECK(MOVES("insecure"), SCRIPT("tls demand"), ENDED("insecure"));
	CHECK(MOVES("insecure"), SCRIPT("tls"), UNSAFE("insecure"));
	CHECK(MOVES("insecure version=1.1"), SCRIPT("tls"),
	    ENDED("insecure version=1.1"));
	/* What we cannot do is no refusal. */
	CHECK(MOVES("insecure ciphers=NOSUCH"), SCRIPT("tls"),
	    UNSERVED("insecure ciphers=NOSUCH"));
}

static void test_hellos(void **state)
{
	(void)state;
	CHECK(MOVES("accepts 1.2 3a3a,c02b"), SCRIPT("tls"), SAFE);
	CHECK(MOVES("accepts 1.2 c02b long"), SCRIPT("tls"), SAFE);
	CHECK(MOVES("accepts 1.2 0005"), SCRIPT("tls"),
	    UNSERVED("accepts 1.2 0005"));
	CHECK(MOVES("accepts 1.2 c02b"), SCRIPT("close"),
	    UNSERVED("accepts 1.2 c02b"));
	CHECK(MOVES("refuses 1.2 c02b"), SCRIPT("tls"),
	    UNSAFE("refuses 1.2 c02b"));
	CHECK(MOVES("refuses 1.2 0005,000a"), SCRIPT("tls"),
	    ENDED("refuses 1.2 0005,000a"));
	CHECK(MOVES("refuses 1.1 c009"), SCRIPT("tls"),
	    ENDED("refuses 1.1 c009"));
	CHECK(MOVES("refuses ssl3 0035"), SCRIPT("tls"),
	    ENDED("refuses ssl3 0035"));
	CHECK(MOVES("refuses ssl2 0035"), SCRIPT("tls"),
	    ENDED("refuses ssl2 0035"));
	CHECK(MOVES("refuses ssl2 0035"), SCRIPT("> %80%0b%04%00%01%00%02"),
	    UNSAFE("refuses ssl2 0035"));
}

static void test_sessions(void **state)
{
	(void)state;
	CHECK(.moves = { "connect smtp", "secure version=1.2", "want 250",
	    "keep", "connect smtp", "secure resume version=1.2", "want 250",
	    "fresh" }, SCRIPT("tls", "version TLSv1.2"), UNSAFE("fresh"));
	CHECK(.moves = { "connect smtp", "secure", "want 220", "keep", "close",
	    "connect smtp", "secure resume", "fresh" },
	    SCRIPT("tls", "> 220 a|"), UNSAFE("fresh"));
	CHECK(.moves = { "connect smtp", "secure", "want 250", "keep",
	    "connect smtp", "secure", "want 250", "fresh" },
	    SCRIPT("tls", "resumed no"), SAFE);
	CHECK(.moves = { "connect smtp", "secure", "want 220", "keep", "close",
	    "connect smtp", "secure resume early" },
	    SCRIPT("tls early", "> 220 a|"), UNSAFE("secure resume early"));
	CHECK(.moves = { "connect smtp", "secure", "want 220", "keep", "close",
	    "connect smtp", "secure resume early", "want 220" },
	    SCRIPT("tls", "> 220 a|"), SAFE);
	CHECK(MOVES("secure version=1.2", "unasked"), SCRIPT("tls"), SAFE);
	CHECK(MOVES("secure version=1.2", "unasked"), SCRIPT("tls ask"),
	    UNSAFE("unasked"));
	CHECK(MOVES("secure version=1.3", "unasked"), SCRIPT("tls"),
	    UNSERVED("unasked"));
	CHECK(MOVES("secure version=1.2", "renegotiate"), SCRIPT("tls"),
	    ENDED("renegotiate"));
	CHECK(MOVES("secure version=1.2", "renegotiate"),
	    SCRIPT("tls renegotiate"), UNSAFE("renegotiate"));
	CHECK(MOVES("secure version=1.3", "renegotiate"), SCRIPT("tls"),
	    UNSERVED("renegotiate"));
}

static void test_ends(void **state)
{
	(void)state;
	CHECK(MOVES("send a", "close"), SCRIPT("end"), SAFE, .ended = "eof");
	CHECK(MOVES("secure", "send a", "close"), SCRIPT("tls", "end"), SAFE,
	    .ended = "notify");
	CHECK(MOVES("secure", "send a", "drop"), SCRIPT("tls", "end"), SAFE,
	    .ended = "eof");
	CHECK(MOVES("send a", "reset"), SCRIPT("end"), SAFE,
	    .ended = "reset");
	CHECK(MOVES("secure", "unwrap", "send a|", "want 250"),
	    SCRIPT("tls", "end"), UNSERVED("want 250"), .ended = "notify");
	CHECK(MOVES("unwrap"), SCRIPT("> 220 a|"), UNSERVED("unwrap"));
	CHECK(MOVES("close", "want 220"), SCRIPT("> 220 a|"),
	    UNSERVED("want 220"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_grammar),
		cmocka_unit_test(test_whole_dialogues),
		cmocka_unit_test(test_replies),
		cmocka_unit_test(test_silence),
		cmocka_unit_test(test_saying),
		cmocka_unit_test(test_sweep),
		cmocka_unit_test(test_handshakes),
		cmocka_unit_test(test_hellos),
		cmocka_unit_test(test_sessions),
		cmocka_unit_test(test_ends),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
