/* SPDX-License-Identifier: ISC */
/*
 * policy/expand.c and policy/aliases.c: who gets the mail for an address
 * (SMTP-21 and what an operator writes), what is refused at load, and how long
 * large tables take.
 */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/mem.h"
#include "conf/bundle.h"
#include "conf/conf.h"
#include "policy/expand.h"

static const char configuration[] =
    "hostname = mx.example.org\n"
    "postmaster = alice@example.org\n"
    "aliases-file = /aliases\n"
    "srs-domain = example.org\n"
    "srs-secret-file = /secret\n"
    "domain example.org { users = { alice, bob, Carol, '\"a b\"', \"x+y\" }\n"
    "  aliases-file = /own }\n"
    "domain second.example { users = { alice, root } }\n"
    "domain open.example { users = \"*\" }\n"
    "domain catch.example { users = { dora }\n"
    "  catch-all = bob@example.org }\n"
    "domain relay.example { users = { erin } relay = yes }\n";

static const char common[] =
    "# of all domains\n"
    "root: alice\n"
    "sales: alice, bob@example.org,\n"
    "\tcarol@example.org, far@elsewhere.example\n"
    "\n"
    "\"quoted name\": alice@example.org\n"
    "abuse@second.example: alice\n"
    "shop+orders@example.org: carol\n"
    "shop: bob@example.org\n"
    "bob: bob, copy@elsewhere.example\n"
    "team: sales, root, erin@relay.example\n"
    "gone: nobody@example.org\n"
    "half: nobody@example.org, alice@example.org\n";

static const char own[] =
    "Root: bob\n"
    "postmaster@example.org: carol\n";

struct world {
	struct conf	*conf;
	struct expander	*expander;
	char		*errors, *advice;
};

static void make(struct world *world, const char *text,
    const char *const files[][2], size_t count)
{
	struct bundle_file items[8];
	struct bundle bundle = { .name = (char *)"postern.conf",
	    .files = items, .file_count = count };
	char *errors = NULL;

	for (size_t i = 0; i < count; i++)
		items[i] = (struct bundle_file){
		    .path = (char *)files[i][0],
		    .contents = (char *)files[i][1],
		    .length = strlen(files[i][1]), .role = ROLE_DIRECTORY };
	memset(world, 0, sizeof(*world));
	world->conf = conf_read("postern.conf", text, &errors);
	if (world->conf == NULL)
		fail_msg("%s", errors);
	world->expander = expander_new(world->conf, &bundle, &world->errors,
	    &world->advice);
}

static void unmake(struct world *world)
{
	expander_free(world->expander);
	conf_free(world->conf);
	mem_free(world->errors);
	mem_free(world->advice);
}

static void make_usual(struct world *world)
{
	static const char *const files[][2] = { { "/aliases", common },
	    { "/own", own }, { "/secret", "a long secret\n" } };

	make(world, configuration, files, 3);
	if (world->expander == NULL)
		fail_msg("%s", world->errors);
}

/* "FOUND: a@x >b@y from=..." */
static void expand(const struct world *world, const char *address,
    const char *sender, char *out, size_t size)
{
	static const char *const answers[] = { "found", "no user", "not ours",
	    "later" };
	const struct expand_question question = { address, sender,
	    1700000000000, NULL, NULL };
	struct arena *arena = arena_new(EXPAND_ARENA_MAX);
	struct expansion expansion;
	size_t used;

	expander_expand(world->expander, &question, arena, &expansion);
	used = (size_t)snprintf(out, size, "%s%s",
	    expansion.found.by_alias ? "alias " : "",
	    answers[expansion.answer]);
	for (size_t i = 0; i < expansion.found.count && used < size; i++)
		used += (size_t)snprintf(out + used, size - used, " %s%s",
		    expansion.found.targets[i].forwarded ? ">" : "",
		    expansion.found.targets[i].address);
	if (expansion.found.forward_sender != NULL)
		snprintf(out + used, size - used, " as %.5s",
		    expansion.found.forward_sender);
	arena_free(arena);
}

static const struct {
	const char	*address, *answer;
} cases[] = {
	/* users, in any case; the mailbox has one form */
	{ "alice@example.org", "found alice@example.org" },
	{ "ALICE@Example.ORG", "found alice@example.org" },
	{ "carol@example.org", "found carol@example.org" },
	{ "\"A b\"@example.org", "found \"a b\"@example.org" },
	{ "eve@example.org", "no user" },
	{ "alice@elsewhere.example", "not ours" },
	{ "alice@sub.example.org", "not ours" },
	{ "not an address", "not ours" },
	{ "", "not ours" },
	/* what is behind the delimiter is the user's own, unless ... */
	{ "alice+shop@example.org", "found alice@example.org" },
	{ "Alice+a+b@example.org", "found alice@example.org" },
	{ "x+y@example.org", "found x+y@example.org" },
	{ "x+z@example.org", "no user" },
	{ "+alice@example.org", "no user" },
	{ "shop+orders@example.org", "alias found carol@example.org" },
	{ "shop+other@example.org", "alias found bob@example.org "
	    ">copy@elsewhere.example as SRS0=" },
	/* aliases: the domain's own before those of all */
	{ "root@example.org", "alias found bob@example.org "
	    ">copy@elsewhere.example as SRS0=" },
	{ "root@second.example", "alias found alice@second.example" },
	{ "sales@second.example", "alias found alice@second.example "
	    "bob@example.org >copy@elsewhere.example carol@example.org "
	    ">far@elsewhere.example as SRS0=" },
	{ "\"Quoted Name\"@catch.example", "alias found alice@example.org" },
	{ "abuse@second.example", "alias found alice@second.example" },
	/* one that names itself is the mailbox */
	{ "bob@example.org", "alias found bob@example.org "
	    ">copy@elsewhere.example as SRS0=" },
	/* nobody twice; relay domains keep what was written */
	{ "team@second.example", "alias found alice@second.example "
	    "bob@example.org >copy@elsewhere.example carol@example.org "
	    ">far@elsewhere.example erin@relay.example as SRS0=" },
	{ "gone@example.org", "no user" },
	{ "half@example.org", "alias found alice@example.org" },
	{ "Erin+X@relay.example", "found Erin+X@relay.example" },
	{ "frank@relay.example", "no user" },
	{ "any.body+x@open.example", "found any.body@open.example" },
	/* the domain's catch-all is the last resort */
	{ "dora@catch.example", "found dora@catch.example" },
	{ "dora+x@catch.example", "found dora@catch.example" },
	{ "whoever@catch.example", "alias found bob@example.org "
	    ">copy@elsewhere.example as SRS0=" },
	/* SMTP-21, RFC 2142: always there */
	{ "postmaster", "alias found carol@example.org" },
	{ "PostMaster", "alias found carol@example.org" },
	{ "Postmaster@second.example", "alias found alice@example.org" },
	{ "postmaster@catch.example", "alias found alice@example.org" },
	{ "Postmaster@relay.example", "found Postmaster@relay.example" },
	{ "abuse@catch.example", "alias found alice@example.org" },
	{ "abuse@relay.example", "no user" },
	/* rewritten senders that nobody made */
	{ "SRS0=AAAA=BB=a.example=b@example.org", "no user" },
	{ "srs1=AAAA=a.example==x@example.org", "no user" },
};

static void test_expand(void **state)
{
	struct world world;
	char text[2048];

	(void)state;
	make_usual(&world);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		expand(&world, cases[i].address, "x@sender.example", text,
		    sizeof(text));
		if (strcmp(text, cases[i].answer) != 0)
			fail_msg("%s: %s, not %s", cases[i].address, text,
			    cases[i].answer);
	}
	if (strstr(world.advice, "/aliases:12: gone leads to "
	    "nobody@example.org, but there is nobody") == NULL)
		fail_msg("%s", world.advice);
	unmake(&world);
}

/* SMTP-182: the null sender stays; our own need no rewriting. */
static void test_senders(void **state)
{
	static const struct {
		const char	*sender, *end;
	} senders[] = {
		{ "", "copy@elsewhere.example" },
		{ "alice@example.org", "copy@elsewhere.example" },
		{ "a@relay.example", "copy@elsewhere.example" },
		{ "a@other.example", " as SRS0=" },
		{ "SRS0=XXXX=YY=a.example=b@other.example", " as SRS1=" },
		{ "a.very.long.local.part.that.leaves.no.room@"
		    "for.the.rest.of.it.example", "copy@elsewhere.example" },
	};
	struct world world;
	char text[512];

	(void)state;
	make_usual(&world);
	for (size_t i = 0; i < sizeof(senders) / sizeof(senders[0]); i++) {
		size_t length = strlen(senders[i].end), all;

		expand(&world, "bob@example.org", senders[i].sender, text,
		    sizeof(text));
		all = strlen(text);
		assert_true(all > length);
		assert_string_equal(text + all - length, senders[i].end);
	}
	unmake(&world);
}

/* What the forwarded mail's recipients answer comes back. */
static void test_back(void **state)
{
	const struct expand_question question = { "bob@example.org",
	    "Some.One@sender.example", 1700000000000, NULL, NULL };
	struct arena *arena = arena_new(EXPAND_ARENA_MAX);
	struct expansion expansion;
	struct world world;
	char text[512];

	(void)state;
	make_usual(&world);
	expander_expand(world.expander, &question, arena, &expansion);
	assert_non_null(expansion.found.forward_sender);
	expand(&world, expansion.found.forward_sender, "", text,
	    sizeof(text));
	assert_string_equal(text,
	    "alias found >Some.One@sender.example");
	unmake(&world);
	arena_free(arena);
}

#define ORG "hostname = mx.example.org\naliases-file = /aliases\n" \
    "domain example.org { users = { alice } }\n"

static const struct {
	const char	*text;		/* of the file */
	const char	*error;		/* its first line begins so */
} wrong[] = {
	{ "a: b\nb: c\nc: a\n", "/aliases:1: the alias leads in a circle: "
	    "a@example.org -> b@example.org -> c@example.org -> "
	    "a@example.org" },
	{ "a: b, alice\nb: a\n", "/aliases:1: the alias leads in a circle" },
	{ "a b: alice\n", "/aliases:1: \"a b\" cannot be an alias" },
	{ "x: alice\nalice\n", "/aliases:2: there is no colon" },
	{ "  x\n", "/aliases:1: the line begins with a space" },
	{ "x: alice bob\n", "/aliases:1: \"alice bob\" is not a target" },
	{ "x: alice\n bob\n", "/aliases:2: a comma is missing before" },
	{ "x:\n# c\ny: alice\n", "/aliases:1: x leads to nobody" },
	{ "x: |/bin/cat\n", "/aliases:1: \"|/bin/cat\": programs are not" },
	{ "x: \"|/bin/cat -a\"\n", "/aliases:1: \"\"|/bin/cat -a\"\": "
	    "programs are not" },
	{ "x: /dev/null\n", "/aliases:1: \"/dev/null\": mail is not written" },
	{ "x: alice,\n :include:/list\n", "/aliases:2: \":include:/list\": "
	    "lists in other files" },
	{ "x: \\alice\n", "/aliases:1: \"\\alice\": a backslash" },
	{ "x: alice\nX: alice\n", "/aliases:2: x is there already, in line "
	    "1" },
	{ "x@other.example: alice\n", "/aliases:1: x@other.example: that is "
	    "no domain of ours" },
	{ "x: alice@\n", "/aliases:1: \"alice@\" is not a target" },
	{ "x: a@b@c\n", "/aliases:1: \"a@b@c\" is not a target" },
	{ "x: \"alice\n", "/aliases:1: " },
};

static void test_wrong(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		const char *const files[][2] = { { "/aliases",
		    wrong[i].text } };
		struct world world;

		make(&world, ORG, files, 1);
		if (world.expander != NULL || strncmp(world.errors,
		    wrong[i].error, strlen(wrong[i].error)) != 0)
			fail_msg("%s: %s", wrong[i].text, world.errors);
		unmake(&world);
	}
}

/* Circles that pass a domain's own names, a catch-all, or postmaster. */
static void test_circles(void **state)
{
	static const char *const configurations[] = {
	    "domain one.example { users = { x } aliases-file = /own }\n",
	    "domain one.example { users = { x } aliases-file = /own\n"
	    " catch-all = a@one.example }\n",
	    "domain one.example { users = { x } aliases-file = /own\n"
	    " catch-all = \"else@two.example\" }\n"
	    "domain two.example { users = { x }\n"
	    " catch-all = \"else@one.example\" }\n",
	    "postmaster = any@one.example\n"
	    "domain one.example { users = { x } aliases-file = /own\n"
	    " catch-all = \"postmaster@one.example\" }\n" };
	static const char *const owns[] = { "a: b\n", "a: nobody\n",
	    "a: x\n", "a: x\n" };
	static const char *const commons[] = { "b: a\n", "c: x\n", "b: x\n",
	    "b: x\n" };

	(void)state;
	for (size_t i = 0; i < 4; i++) {
		const char *const files[][2] = { { "/own", owns[i] },
		    { "/aliases", commons[i] } };
		struct world world;
		char *text = mem_print("hostname = mx.example.org\n"
		    "aliases-file = /aliases\n"
		    "domain zero.example { users = { x, a } }\n%s",
		    configurations[i]);

		make(&world, text, files, 2);
		if (world.errors == NULL)
			fail_msg("%zu was taken", i);
		assert_non_null(strstr(world.errors, "in a circle"));
		unmake(&world);
		mem_free(text);
	}
}

static void make_chain(struct world *world, unsigned length, bool backwards)
{
	const char *files[1][2] = { { "/aliases", NULL } };
	struct buf text;

	buf_init(&text, 1 << 20);
	for (unsigned i = 0; i < length; i++) {
		unsigned n = backwards ? length - 1 - i : i;

		if (n + 1 == length)
			buf_print(&text, "n%u: alice\n", n);
		else
			buf_print(&text, "n%u: n%u\n", n, n + 1);
	}
	files[0][1] = buf_string(&text);
	make(world, ORG, (const char *const (*)[2])files, 1);
	buf_release(&text);
}

/* One behind the other as many as are allowed, and one more, in any order. */
static void test_depth(void **state)
{
	struct world world;
	char text[256];

	(void)state;
	for (int backwards = 0; backwards < 2; backwards++) {
		make_chain(&world, EXPAND_DEPTH_MAX + 1, backwards);
		assert_null(world.errors);
		expand(&world, "n0@example.org", "", text, sizeof(text));
		assert_string_equal(text, "alias found alice@example.org");
		unmake(&world);
		make_chain(&world, EXPAND_DEPTH_MAX + 2, backwards);
		assert_non_null(world.errors);
		assert_non_null(strstr(world.errors, "too many aliases one "
		    "behind the other: n"));
		unmake(&world);
	}
}

/* a and b name `each` others each, and both of them is c. */
static void make_wide(struct world *world, unsigned each, bool same)
{
	const char *files[1][2] = { { "/aliases", NULL } };
	struct buf text;

	buf_init(&text, 1 << 20);
	for (int which = 0; which < 2; which++) {
		buf_print(&text, "%c: alice", 'a' + which);
		for (unsigned i = 1; i < each; i++)
			buf_print(&text, ",\n %c%u@elsewhere.example",
			    same ? 'x' : 'a' + which, i);
		buf_add_string(&text, "\n");
	}
	buf_add_string(&text, "c: a, b\n");
	files[0][1] = buf_string(&text);
	make(world, ORG, (const char *const (*)[2])files, 1);
	buf_release(&text);
}

static void test_width(void **state)
{
	struct world world;

	(void)state;
	make_wide(&world, DIRECTORY_TARGETS_MAX, true);
	assert_null(world.errors);
	unmake(&world);
	make_wide(&world, DIRECTORY_TARGETS_MAX / 2, false);
	assert_null(world.errors);
	unmake(&world);
	make_wide(&world, DIRECTORY_TARGETS_MAX / 2 + 2, false);
	assert_non_null(world.errors);
	assert_non_null(strstr(world.errors, "c leads to more than 1000"));
	unmake(&world);
	make_wide(&world, DIRECTORY_TARGETS_MAX + 1, true);
	assert_non_null(world.errors);
	assert_non_null(strstr(world.errors, "a has more than 1000 targets"));
	unmake(&world);
}

/* Each alias names the next two twice: without a memory of what was seen this
 * would never end. */
static void test_diamonds(void **state)
{
	const char *files[1][2] = { { "/aliases", NULL } };
	struct world world;
	struct buf text;
	char out[256];

	(void)state;
	buf_init(&text, 1 << 20);
	for (unsigned i = 0; i < EXPAND_DEPTH_MAX; i++)
		buf_print(&text, "l%u: l%u, r%u\nr%u: l%u, r%u\n", i, i + 1,
		    i + 1, i, i + 1, i + 1);
	buf_print(&text, "l%d: alice\nr%d: alice, far@elsewhere.example\n",
	    EXPAND_DEPTH_MAX, EXPAND_DEPTH_MAX);
	files[0][1] = buf_string(&text);
	make(&world, ORG, (const char *const (*)[2])files, 1);
	assert_null(world.errors);
	expand(&world, "l0@example.org", "", out, sizeof(out));
	assert_string_equal(out, "alias found alice@example.org "
	    ">far@elsewhere.example");
	unmake(&world);
	buf_release(&text);
}

/* 100,000 users and as many aliases; half a second would be felt. */
static void test_large(void **state)
{
	enum { COUNT = 100000 };
	const char *files[2][2] = { { "/users", NULL }, { "/aliases", NULL } };
	struct buf users, aliases;
	struct world world;
	char out[256];
	clock_t start;

	(void)state;
	buf_init(&users, 4 << 20);
	buf_init(&aliases, 8 << 20);
	for (unsigned i = 0; i < COUNT; i++) {
		buf_print(&users, "user.number.%u\n", i);
		buf_print(&aliases, "alias.%u: user.number.%u%s\n", i, i,
		    i % 4 != 0 ? "" : ", other@elsewhere.example");
	}
	files[0][1] = buf_string(&users);
	files[1][1] = buf_string(&aliases);
	start = clock();
	make(&world, "hostname = mx.example.org\naliases-file = /aliases\n"
	    "domain example.org { users-file = /users }\n"
	    "domain example.net { users-file = /users }\n",
	    (const char *const (*)[2])files, 2);
	start = (clock() - start) / (CLOCKS_PER_SEC / 1000);
	assert_non_null(world.expander);
	print_message("%d users in two domains and %d aliases: %ld ms of "
	    "the processor\n", COUNT, COUNT, (long)start);
#ifndef __SANITIZE_ADDRESS__
	assert_true(start < 1000);
#endif
	expand(&world, "alias.99996@example.net", "", out, sizeof(out));
	assert_string_equal(out, "alias found user.number.99996@example.net "
	    ">other@elsewhere.example");
	unmake(&world);
	buf_release(&users);
	buf_release(&aliases);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_expand),
		cmocka_unit_test(test_senders),
		cmocka_unit_test(test_back),
		cmocka_unit_test(test_wrong),
		cmocka_unit_test(test_circles),
		cmocka_unit_test(test_depth),
		cmocka_unit_test(test_width),
		cmocka_unit_test(test_diamonds),
		cmocka_unit_test(test_large),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
