/* SPDX-License-Identifier: ISC */
/*
 * Users and aliases in tables: the same answers as from texts, whatever is
 * asked; circles that are found when they are asked for, and by who looks for
 * them; damage that is "later", never "nobody of that name".
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/arena.h"
#include "base/mem.h"
#include "base/table.h"
#include "conf/bundle.h"
#include "conf/conf.h"
#include "conf/problem.h"
#include "policy/aliases.h"
#include "policy/expand.h"
#include "policy/users.h"

enum { FILES_MAX = 8 };

/* A list; its path in a configuration is that, or with ".cdb" behind it. */
struct list {
	const char	*path;
	const char	*text;
	const char	*domain;	/* null: of all, or of several */
	bool		 users;
};

struct world {
	struct conf		*conf;
	struct bundle_file	 files[FILES_MAX];
	struct bundle		 bundle;
	struct expander		*expander;
	char			*errors, *advice;
};

static struct table *make_table(const struct list *list)
{
	struct table_writer *writer = table_writer_new(list->users ? "users" :
	    "aliases", list->path);
	struct aliases *aliases = aliases_new();
	struct users *users = users_new();
	struct problems problems;
	struct table *table;
	const char *why;
	char *errors;

	problems_init(&problems, list->path);
	if (list->users) {
		users_write(users, writer);
		users_read(users, "", list->text, strlen(list->text),
		    &problems);
	} else {
		aliases_read(aliases, list->text, strlen(list->text),
		    list->domain, &problems);
		aliases_write(aliases, writer);
	}
	errors = problems_take(&problems);
	if (errors != NULL)
		fail_msg("%s", errors);
	table = table_writer_end(writer, &why);
	assert_non_null(table);
	users_free(users);
	aliases_free(aliases);
	return table;
}

/* "%" in the configuration is nothing, or ".cdb". */
static struct conf *read_conf(const char *text, bool tables)
{
	char whole[8192], *out = whole, *errors = NULL;
	struct conf *conf;

	for (; *text != '\0'; text++)
		if (*text != '%')
			*out++ = *text;
		else
			out += snprintf(out, 5, "%s", tables ? ".cdb" : "");
	*out = '\0';
	conf = conf_read("postern.conf", whole, &errors);
	if (conf == NULL)
		fail_msg("%s", errors);
	return conf;
}

static void make(struct world *world, const char *text,
    const struct list *lists, bool tables, bool whole)
{
	memset(world, 0, sizeof(*world));
	world->conf = read_conf(text, tables);
	world->bundle.name = (char *)"postern.conf";
	world->bundle.files = world->files;
	for (; lists->path != NULL; lists++) {
		struct bundle_file *file =
		    &world->files[world->bundle.file_count++];

		file->role = ROLE_DIRECTORY;
		file->path = mem_print("%s%s", lists->path, tables ? ".cdb" :
		    "");
		file->contents = (char *)(tables ? "" : lists->text);
		file->length = strlen(file->contents);
		file->is_table = tables;
		file->table = tables ? make_table(lists) : NULL;
	}
	world->expander = expander_new(world->conf, &world->bundle,
	    &world->errors, whole ? &world->advice : NULL);
	/* The expander has its own hold. */
	for (size_t i = 0; i < world->bundle.file_count; i++)
		table_release(world->files[i].table);
}

static void unmake(struct world *world)
{
	expander_free(world->expander);
	conf_free(world->conf);
	for (size_t i = 0; i < world->bundle.file_count; i++)
		mem_free(world->files[i].path);
	mem_free(world->errors);
	mem_free(world->advice);
}

/* "found a@x >b@y" */
static void expand(const struct world *world, const char *address, char *out,
    size_t size)
{
	static const char *const answers[] = { "found", "no user", "not ours",
	    "later" };
	const struct expand_question question = { address, "", 0, NULL,
	    NULL };
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
	arena_free(arena);
}

static const char configuration[] =
    "hostname = mx.example.org\n"
    "postmaster = alice@example.org\n"
    "aliases-file = /aliases%\n"
    "domain example.org { users = { extra } users-file = /users%\n"
    "  aliases-file = /own% }\n"
    "domain second.example { users-file = /users%\n"
    "  aliases-file = /shared% catch-all = carol@example.org }\n"
    "domain third.example { users-file = /empty%\n"
    "  aliases-file = /shared% }\n"
    "domain open.example { users-file = /everybody% }\n"
    "domain relay.example { users-file = /users% relay = yes }\n";

#define LONG64 "abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyz" \
    "abcdefghijkl"

static const struct list lists[] = {
	{ "/aliases", "# of all\nroot: alice\n"
	    "sales: alice, bob@example.org,\n\tfar@elsewhere.example\n"
	    "\"quoted name\": alice@example.org\n"
	    "\"*\": bob@example.org\n"
	    "\"local@second.example\": carol@example.org\n"
	    "abuse@second.example: alice\n"
	    "shop+orders@example.org: carol\nshop: bob@example.org\n"
	    "bob: bob, copy@elsewhere.example\n"
	    "team: sales, root, erin@relay.example\n"
	    "gone: nobody@example.org\n"
	    "outer: \"a@b\"@elsewhere.example\n"
	    LONG64 ": bob@example.org\n", NULL, false },
	{ "/own", "Root: bob\npostmaster@example.org: carol\n"
	    "info: sales, info@third.example\n", "example.org", false },
	{ "/shared", "info: alice\nlocal: root\nloop: loop, extra\n",
	    NULL, false },
	{ "/users", "alice\nBob\n# comment\ncarol\n\"a b\"\nx+y\nerin\n"
	    "\"*\"\nerin\n", NULL, true },
	{ "/empty", "", NULL, true },
	{ "/everybody", "dora\n*\n", NULL, true },
	{ NULL, NULL, NULL, false }
};

static const char *const addresses[] = {
	"alice@example.org", "ALICE@Example.ORG", "bob@example.org",
	"\"A b\"@example.org", "\"*\"@example.org", "*@example.org",
	"*@second.example", "\"*\"@third.example", "*@open.example",
	"eve@example.org", "eve@second.example", "eve@third.example",
	"extra@example.org", "extra+x@example.org", "extra@second.example",
	"alice+shop@example.org", "x+y@example.org", "x+z@example.org",
	"+alice@example.org", "shop+orders@example.org",
	"shop+orders@second.example", "shop+other@example.org",
	"root@example.org", "ROOT@second.example", "root@third.example",
	"sales@example.org", "sales@second.example", "team@second.example",
	"\"Quoted Name\"@third.example", "quoted@third.example",
	"abuse@second.example", "abuse@example.org", "abuse@relay.example",
	"gone@example.org", "outer@example.org", "outer@third.example",
	"info@example.org", "info@second.example", "info@third.example",
	"local@second.example", "local@third.example",
	"\"local@second.example\"@example.org",
	"loop@second.example", "loop@third.example",
	"Erin+X@relay.example", "frank@relay.example",
	"any.body+x@open.example", "dora@open.example",
	"postmaster", "PostMaster@example.org", "postmaster@relay.example",
	LONG64 "@example.org", LONG64 "x@example.org",
	LONG64 LONG64 LONG64 "@example.org", "alice@example.org.",
	"alice\1@example.org", "\"\\\"\"@example.org", "alice@", "@", "",
	"\"alice\"@example.org", "\"\"@example.org", "alice@elsewhere.example",
	"\xc3\xa4@example.org", "a@[192.0.2.1]", "\"a\\@b\"@example.org",
};

static void test_same_answers(void **state)
{
	static const struct { const char *address, *answer; } known[] = {
		{ "alice+x@second.example", "found alice@second.example" },
		{ "eve@third.example", "no user" },
		{ "eve@second.example", "alias found carol@example.org" },
		{ "\"*\"@second.example", "alias found bob@example.org "
		    ">copy@elsewhere.example" },
		{ "info@example.org", "alias found alice@example.org "
		    "bob@example.org >copy@elsewhere.example "
		    ">far@elsewhere.example" },
		{ "any@open.example", "found any@open.example" },
	};
	struct world text, table, whole;
	char one[2048], other[2048];

	(void)state;
	make(&text, configuration, lists, false, true);
	make(&table, configuration, lists, true, false);
	make(&whole, configuration, lists, true, true);
	if (text.errors != NULL || table.errors != NULL ||
	    whole.errors != NULL)
		fail_msg("%s %s %s", text.errors, table.errors, whole.errors);
	assert_non_null(strstr(whole.advice, "/aliases:13: gone leads to "
	    "nobody@example.org, but there is nobody"));
	for (size_t i = 0; i < sizeof(addresses) / sizeof(addresses[0]);
	    i++) {
		expand(&text, addresses[i], one, sizeof(one));
		expand(&table, addresses[i], other, sizeof(other));
		if (strcmp(one, other) != 0)
			fail_msg("%s: %s; by tables: %s", addresses[i], one,
			    other);
	}
	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
		expand(&table, known[i].address, one, sizeof(one));
		assert_string_equal(one, known[i].answer);
	}
	unmake(&text);
	unmake(&table);
	unmake(&whole);
}

#define ORG "hostname = mx.example.org\naliases-file = /aliases%\n" \
    "domain example.org { users = { alice } }\n"

/* Circles and long chains: refused by who goes through the table; else borne
 * by each question. */
static void test_circles(void **state)
{
	static const struct {
		const char	*text, *error, *address, *answer;
	} cases[] = {
		{ "x: alice\na: b\nb: c\nc: a\n", "/aliases:2: the alias leads "
		    "in a circle: a@example.org -> b@example.org -> "
		    "c@example.org -> a@example.org", "a@example.org",
		    "later" },
		{ "a: b, alice\nb: a\n", "/aliases:1: the alias leads in a "
		    "circle", "b@example.org", "alias found "
		    "alice@example.org" },
		{ "x@other.example: alice\n", "/aliases:1: x@other.example: "
		    "that is no domain of ours", "x@example.org", "no user" },
		{ "a: b, c\nb: d\nc: d\nd: nobody\n", NULL, "a@example.org",
		    "no user" },
		{ "a: a\n", NULL, "a@example.org", "no user" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const struct list one[] = { { "/aliases", cases[i].text, NULL,
		    false }, { NULL, NULL, NULL, false } };
		struct world world;
		char answer[512];

		make(&world, ORG, one, true, true);
		assert_true((world.errors == NULL) ==
		    (cases[i].error == NULL));
		if (world.errors != NULL && strncmp(world.errors,
		    cases[i].error, strlen(cases[i].error)) != 0)
			fail_msg("%s", world.errors);
		unmake(&world);
		make(&world, ORG, one, true, false);
		assert_null(world.errors);
		expand(&world, cases[i].address, answer, sizeof(answer));
		if (strcmp(answer, cases[i].answer) != 0)
			fail_msg("%s: %s", cases[i].address, answer);
		unmake(&world);
	}
}

static void test_long_chain(void **state)
{
	char text[4096] = "", answer[512];
	const struct list one[] = { { "/aliases", text, NULL, false },
	    { NULL, NULL, NULL, false } };
	struct world world;
	size_t used = 0;

	(void)state;
	for (int i = 0; i < EXPAND_DEPTH_MAX + 5; i++)
		used += (size_t)snprintf(text + used, sizeof(text) - used,
		    "a%d: a%d\n", i, i + 1);
	snprintf(text + used, sizeof(text) - used, "a25: alice\n");
	make(&world, ORG, one, true, true);
	assert_non_null(strstr(world.errors, "too many aliases one behind"));
	unmake(&world);
	make(&world, ORG, one, true, false);
	expand(&world, "a0@example.org", answer, sizeof(answer));
	assert_string_equal(answer, "later");
	expand(&world, "a20@example.org", answer, sizeof(answer));
	assert_string_equal(answer, "alias found alice@example.org");
	unmake(&world);
}

/* Aliases that fan out over a whole table: one question is not that long. */
static void test_fan(void **state)
{
	enum { LISTS = 60, NAMES = 1000, SIZE = LISTS * NAMES * 16 };
	char *text = mem_alloc(SIZE), answer[512];
	const struct list one[] = { { "/aliases", text, NULL, false },
	    { NULL, NULL, NULL, false } };
	struct world world;
	size_t used = (size_t)snprintf(text, SIZE, "all: alice");

	(void)state;
	for (int i = 0; i < LISTS; i++)
		used += (size_t)snprintf(text + used, SIZE - used, ", l%d", i);
	for (int i = 0; i < LISTS; i++)
		for (int k = 0; k < NAMES; k++)
			used += (size_t)snprintf(text + used, SIZE - used,
			    k == 0 ? "\nl%d: n%d" : ", n%d-%d", i, k);
	snprintf(text + used, SIZE - used, "\n");
	make(&world, ORG, one, true, false);
	assert_null(world.errors);
	expand(&world, "all@example.org", answer, sizeof(answer));
	assert_string_equal(answer, "later");
	expand(&world, "l5@example.org", answer, sizeof(answer));
	assert_string_equal(answer, "no user");
	unmake(&world);
	mem_free(text);
}

/* From a text into a table and back: nobody is told that nobody is there. */
static void test_circle_through_both(void **state)
{
	static const char text[] = "hostname = mx.example.org\n"
	    "aliases-file = /aliases.cdb\ndomain example.org "
	    "{ users = { alice } aliases-file = /own }\n";
	const struct list aliases = { "/aliases", "b: a\nc: alice, a\n", NULL,
	    false };
	struct bundle_file files[] = {
	    { .path = (char *)"/aliases.cdb", .contents = (char *)"",
	    .is_table = true, .table = make_table(&aliases) },
	    { .path = (char *)"/own", .contents = (char *)"a: b\n",
	    .length = 5 } };
	struct bundle bundle = { .name = (char *)"c", .files = files,
	    .file_count = 2 };
	struct world world = { .conf = read_conf(text, true) };
	char answer[512];

	(void)state;
	assert_null(expander_new(world.conf, &bundle, &world.errors,
	    &world.advice));
	assert_non_null(strstr(world.errors, "/own:1: the alias leads in a "
	    "circle: a@example.org -> b@example.org -> a@example.org"));
	mem_free(world.errors);
	mem_free(world.advice);
	world.advice = NULL;
	world.expander = expander_new(world.conf, &bundle, &world.errors,
	    NULL);
	assert_non_null(world.expander);
	expand(&world, "a@example.org", answer, sizeof(answer));
	assert_string_equal(answer, "later");
	expand(&world, "c@example.org", answer, sizeof(answer));
	assert_string_equal(answer, "alias found alice@example.org");
	table_release(files[0].table);
	unmake(&world);
}

/* Every byte of it, with no digest compared: no crash, and who was there is
 * never sent to somebody else's domain. */
static void test_damaged(void **state)
{
	static const struct list aliases = { "/aliases", "info: alice, "
	    "bob@example.org\nother: info\n", NULL, false };
	static const char text[] = "hostname = mx.example.org\n"
	    "aliases-file = /aliases.cdb\n"
	    "domain example.org { users = { alice, bob } }\n";
	struct table *good = make_table(&aliases);
	size_t length = table_bytes(good), later = 0;
	char *data = mem_dup(table_data(good), length);
	struct bundle_file file = { .path = (char *)"/aliases.cdb",
	    .contents = (char *)"", .is_table = true };
	struct bundle bundle = { .name = (char *)"c", .files = &file,
	    .file_count = 1 };
	struct world world = { .conf = read_conf(text, true) };

	(void)state;
	for (size_t i = 2048; i < length; i++) {
		char answer[512];
		const char *why;

		data[i] ^= 0x81;
		file.table = table_open_bytes(data, length, &why);
		data[i] ^= 0x81;
		if (file.table == NULL)
			continue;
		for (int whole = 0; whole < 2; whole++) {
			world.expander = expander_new(world.conf, &bundle,
			    &world.errors, whole ? &world.advice : NULL);
			if (world.expander != NULL) {
				expand(&world, "other@example.org", answer,
				    sizeof(answer));
				later += strcmp(answer, "later") == 0 ||
				    strcmp(answer, "alias later") == 0;
			}
			expander_free(world.expander);
			mem_free(world.errors);
			mem_free(world.advice);
			world.errors = world.advice = NULL;
		}
		table_release(file.table);
	}
	assert_true(later > 10);
	world.expander = NULL;
	table_release(good);
	mem_free(data);
	unmake(&world);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_same_answers),
		cmocka_unit_test(test_circles),
		cmocka_unit_test(test_long_chain),
		cmocka_unit_test(test_fan),
		cmocka_unit_test(test_circle_through_both),
		cmocka_unit_test(test_damaged),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
