/* SPDX-License-Identifier: ISC */
/*
 * conf/bundle.c: the files a configuration names are read or refused in words
 * that help; each role gets its own files and no other (private keys: smtpd
 * only); what comes over the channel is decoded with distrust.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/buf.h"
#include "base/mem.h"
#include "base/table.h"
#include "conf/bundle.h"
#include "conf/conf.h"

enum { ENCODED_MAX = 1 << 20, PATH_BYTES = 200 };

static char directory[PATH_BYTES];

/* Path of a file in our directory; good until the call after the next. */
static const char *path_of(const char *name)
{
	static char paths[2][PATH_BYTES * 2];
	static int turn;

	turn = !turn;
	snprintf(paths[turn], sizeof(paths[turn]), "%s/%s", directory, name);
	return paths[turn];
}

static void write_bytes(const char *name, const void *data, size_t length)
{
	FILE *file = fopen(path_of(name), "w");

	assert_non_null(file);
	assert_int_equal(fwrite(data, 1, length, file), length);
	fclose(file);
	assert_int_equal(chmod(path_of(name), 0600), 0);
}

static void write_file(const char *name, const char *text)
{
	write_bytes(name, text, strlen(text));
}

/* "@/" stands for our directory. Owned by the caller. */
static char *expand(const char *text)
{
	struct buf out;

	buf_init(&out, ENCODED_MAX);
	for (; *text != '\0'; text++)
		if (text[0] == '@' && text[1] == '/')
			buf_add_string(&out, directory);
		else
			buf_add_byte(&out, *text);
	return buf_take(&out);
}

static const char good[] =
    "hostname = mx.example.org\n"
    "trust-file = @/trust trust-anchor-file = @/anchor\n"
    "root-hints-file = @/hints\n"
    "srs-domain = example.org srs-secret-file = @/srs\n"
    "accounts-file = @/accounts\n"
    "certificate c { chain = @/chain key = @/key }\n"
    "domain example.org { users-file = @/users }\n"
    "domain example.net { users = a }\n";

static int set_up(void **state)
{
	(void)state;
	snprintf(directory, sizeof(directory), "/tmp/bundle-test.XXXXXX");
	assert_non_null(mkdtemp(directory));
	write_file("trust", "TRUST\n");
	write_file("anchor", "ANCHOR\n");
	write_file("hints", "HINTS\n");
	write_file("chain", "CHAIN\n");
	write_file("key", "SECRET-KEY\n");
	write_file("users", "USERS\n");
	write_file("srs", "SECRET-SRS\n");
	write_file("accounts", "PASSWORDS\n");
	write_file("empty", "");
	write_bytes("binary", "a\0b", 3);
	assert_int_equal(mkfifo(path_of("pipe"), 0600), 0);
	return 0;
}

static int tear_down(void **state)
{
	static const char *const names[] = { "trust", "anchor", "hints",
	    "chain", "key", "users", "srs",
	    "accounts", "empty", "binary", "pipe", "conf",
	    "large", "a.cdb", "u.cdb" };

	(void)state;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		unlink(path_of(names[i]));
	return rmdir(directory);
}

static struct bundle *load(const char *text, struct conf **conf,
    char **errors)
{
	char *expanded = expand(text);

	write_file("conf", expanded);
	mem_free(expanded);
	return bundle_load(path_of("conf"), conf, errors);
}

static void test_load(void **state)
{
	struct bundle *bundle;
	struct conf *conf;
	char *errors;

	(void)state;
	bundle = load(good, &conf, &errors);
	if (bundle == NULL)
		fail_msg("%s", errors);
	assert_null(errors);
	assert_null(conf->warnings);
	assert_string_equal(bundle->name, path_of("conf"));
	assert_int_equal(bundle->file_count, 9);	/* trust for two */
	assert_string_equal(bundle_file(bundle, path_of("users"))->contents,
	    "USERS\n");
	assert_int_equal(bundle_file(bundle, path_of("key"))->length, 11);
	assert_null(bundle_file(bundle, "/no/such"));
	assert_null(bundle_file(bundle, ""));
	conf_free(conf);
	bundle_free(bundle);
}

struct share {
	enum role	 role;
	const char	*markers[4];	/* the contents it gets */
};

static const struct share shares[] = {
	{ ROLE_SUPERVISOR, { NULL } },
	{ ROLE_SMTPD, { "CHAIN\n", "SECRET-KEY\n", NULL } },
	{ ROLE_QUEUE, { "USERS\n", "SECRET-SRS\n", NULL } },
	{ ROLE_DELIVERY, { "TRUST\n", NULL } },
	{ ROLE_MAILBOX, { NULL } },
	{ ROLE_POLICY, { "TRUST\n", "ANCHOR\n", "HINTS\n", NULL } },
	{ ROLE_DIRECTORY, { "USERS\n", "SECRET-SRS\n", "PASSWORDS\n",
	    NULL } },
	{ ROLE_STS, { NULL } },
};

static bool is_among(const char *marker, const char *const *markers)
{
	for (; *markers != NULL; markers++)
		if (strcmp(*markers, marker) == 0)
			return true;
	return false;
}

static void check_share(const struct bundle *bundle,
    const struct share *share)
{
	static const char *const all[] = { "CHAIN\n", "SECRET-KEY\n",
	    "TRUST\n", "ANCHOR\n", "HINTS\n", "USERS\n", "SECRET-SRS\n",
	    "PASSWORDS\n" };
	struct bundle *copy;
	struct buf out;

	buf_init(&out, ENCODED_MAX);
	assert_int_equal(bundle_encode(bundle, share->role, &out), 0);
	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
		assert_int_equal(memmem(buf_data(&out), buf_length(&out),
		    all[i], strlen(all[i])) != NULL,
		    is_among(all[i], share->markers));
	copy = bundle_decode(buf_data(&out), buf_length(&out));
	assert_non_null(copy);
	assert_string_equal(copy->name, bundle->name);
	assert_string_equal(copy->text, bundle->text);
	for (size_t i = 0; i < copy->file_count; i++) {
		assert_string_equal(copy->files[i].contents,
		    bundle_file(bundle, copy->files[i].path)->contents);
		assert_int_equal(copy->files[i].length,
		    strlen(copy->files[i].contents));
	}
	bundle_free(copy);
	buf_wipe(&out);
}

static void test_shares(void **state)
{
	struct bundle *bundle;
	struct conf *conf;
	char *errors;

	(void)state;
	assert_int_equal(sizeof(shares) / sizeof(shares[0]), ROLE_COUNT);
	bundle = load(good, &conf, &errors);
	assert_non_null(bundle);
	for (size_t i = 0; i < ROLE_COUNT; i++)
		check_share(bundle, &shares[i]);
	conf_free(conf);
	bundle_free(bundle);
}

static void test_ceiling(void **state)
{
	struct bundle *bundle;
	struct conf *conf;
	struct buf out;
	char *errors;

	(void)state;
	bundle = load(good, &conf, &errors);
	assert_non_null(bundle);
	buf_init(&out, 20);
	assert_int_equal(bundle_encode(bundle, ROLE_SMTPD, &out), -1);
	buf_release(&out);
	conf_free(conf);
	bundle_free(bundle);
}

/* Every prefix, every changed byte: null or a bundle, never a crash. */
static void test_damaged(void **state)
{
	struct bundle *bundle;
	struct conf *conf;
	struct buf out;
	char *errors, *copy;
	size_t length;

	(void)state;
	bundle = load(good, &conf, &errors);
	assert_non_null(bundle);
	buf_init(&out, ENCODED_MAX);
	assert_int_equal(bundle_encode(bundle, ROLE_SMTPD, &out), 0);
	length = buf_length(&out);
	for (size_t i = 0; i < length; i++) {
		copy = mem_dup(buf_data(&out), i > 0 ? i : 1);
		assert_null(bundle_decode(copy, i));
		mem_free(copy);
	}
	copy = mem_alloc(length + 1);
	memcpy(copy, buf_data(&out), length);
	assert_null(bundle_decode(copy, length + 1));
	for (size_t i = 0; i < length; i++) {
		copy[i] ^= 0x55;
		bundle_free(bundle_decode(copy, length));
		copy[i] ^= 0x55;
	}
	copy[0]++;
	assert_null(bundle_decode(copy, length));
	mem_free(copy);
	buf_wipe(&out);
	conf_free(conf);
	bundle_free(bundle);
}

struct refusal {
	const char	*text;
	const char	*line;		/* told, without name and user */
};

static const struct refusal refusals[] = {
	{ "certificate c { chain = @/none key = @/key }",
	    "chain of certificate c: cannot use @/none: No such file or "
	    "directory; give a text file of at most 4M that the user " },
	{ "certificate c { chain = @/chain key = @/empty }",
	    "key of certificate c: cannot use @/empty: it is empty; give a "
	    "text file" },
	{ "certificate c { chain = @/chain key = @/binary }",
	    "key of certificate c: cannot use @/binary: it holds a zero byte "
	    "and is no text; give" },
	{ "certificate c { chain = @/ key = @/key }",
	    "chain of certificate c: cannot use @/: it is a directory; give" },
	{ "trust-file = @/pipe",
	    "trust-file: cannot use @/pipe: it is not a regular file; give" },
	{ "trust-anchor-file = @/none",
	    "trust-anchor-file: cannot use @/none: No such file" },
	{ "root-hints-file = @/none",
	    "root-hints-file: cannot use @/none: No such file" },
	{ "domain a.b { users-file = @/large }",
	    "users-file of domain a.b: cannot use @/large: it is too large; "
	    "give" },
};

static void test_refusals(void **state)
{
	(void)state;
	write_file("large", "x");
	assert_int_equal(truncate(path_of("large"), (4 << 20) + 1), 0);
	for (size_t i = 0; i < sizeof(refusals) / sizeof(refusals[0]); i++) {
		char *text = mem_print("hostname = mx.example.org\n%s",
		    refusals[i].text);
		char *line = expand(refusals[i].line), *errors;
		struct conf *conf;

		assert_null(load(text, &conf, &errors));
		assert_null(conf);
		if (strstr(errors, line) == NULL)
			fail_msg("%s, not %s", errors, line);
		mem_free(errors);
		mem_free(line);
		mem_free(text);
	}
}

/* All of them are told, not only the first. */
static void test_several_refusals(void **state)
{
	struct conf *conf;
	char *errors;

	(void)state;
	assert_null(load("hostname = mx.example.org\n"
	    "certificate c { chain = @/a key = @/b }", &conf, &errors));
	assert_non_null(strstr(errors, "/a: No such"));
	assert_non_null(strstr(errors, "/b: No such"));
	mem_free(errors);
}

static void test_bad_configuration(void **state)
{
	static const char *const names[] = { "none", "empty", "binary",
	    "pipe" };
	struct conf *conf;
	char *errors;

	(void)state;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		assert_null(bundle_load(path_of(names[i]), &conf, &errors));
		assert_null(conf);
		assert_non_null(strstr(errors,
		    ": cannot read this file: "));
		mem_free(errors);
	}
	assert_null(load("hostname = x y", &conf, &errors));
	assert_non_null(strstr(errors, "/conf:1: "));
	mem_free(errors);
}

/* root reads everything, so this is tried as somebody else. */
static void test_unreadable(void **state)
{
	bool root = geteuid() == 0;
	struct conf *conf;
	char *errors;

	(void)state;
	assert_int_equal(chmod(path_of("key"), root ? 0600 : 0), 0);
	assert_int_equal(chmod(directory, 0755), 0);
	assert_int_equal(chmod(path_of("conf"), 0644), 0);
	if (root)
		assert_int_equal(seteuid(65534), 0);
	assert_null(bundle_load(path_of("conf"), &conf, &errors));
	if (root)
		assert_int_equal(seteuid(0), 0);
	assert_non_null(strstr(errors, "/key: Permission denied; give a text "
	    "file of at most 4M that the user "));
	assert_non_null(strstr(errors, root ? "user nobody can read" :
	    " can read"));
	mem_free(errors);
	chmod(path_of("key"), 0600);
}

static void test_open_key(void **state)
{
	struct bundle *bundle;
	struct conf *conf;
	char *errors;

	(void)state;
	assert_int_equal(chmod(path_of("key"), 0644), 0);
	bundle = load(good, &conf, &errors);
	assert_non_null(bundle);
	assert_non_null(conf->warnings);
	assert_non_null(strstr(conf->warnings, "key of certificate c: others "
	    "may read or change "));
	assert_non_null(strstr(conf->warnings, "(mode 0644)"));
	conf_free(conf);
	bundle_free(bundle);
	chmod(path_of("key"), 0600);
}

/* --- tables --- */

static void write_table(const char *name, const char *kind)
{
	struct table_writer *writer = table_writer_new(kind, "/text");
	struct table *table;
	const char *why;

	table_writer_add(writer, "key", 4, "value", 5);
	table = table_writer_end(writer, &why);
	assert_non_null(table);
	write_bytes(name, table_data(table), table_bytes(table));
	table_release(table);
}

/* As the supervisor would pass them. */
static const struct bundle *sender;

static int pass_on(const char *path)
{
	const struct bundle_file *file = bundle_file(sender, path);

	return file == NULL ? -1 : dup(table_descriptor(file->table));
}

static int pass_nothing(const char *path)
{
	(void)path;
	return -1;
}

static struct bundle *decode_for(const struct bundle *bundle, enum role role)
{
	struct bundle *copy;
	struct buf out;

	buf_init(&out, ENCODED_MAX);
	assert_int_equal(bundle_encode(bundle, role, &out), 0);
	copy = bundle_decode(buf_data(&out), buf_length(&out));
	assert_non_null(copy);
	buf_wipe(&out);
	return copy;
}

static const char with_tables[] =
    "hostname = mx.example.org\ntrust-anchor-file = @/anchor\n"
    "trust-file = @/trust\naliases-file = @/a.cdb\n"
    "domain example.org { users-file = @/u.cdb }\n"
    "domain example.net { users-file = @/u.cdb aliases-file = @/a.cdb }\n";

/* Each once, for directory and queue, and none without its descriptor. */
static void test_tables(void **state)
{
	static const enum role roles[] = { ROLE_DIRECTORY, ROLE_QUEUE };
	const struct bundle_file *file = NULL;
	struct bundle *bundle, *copy;
	struct conf *conf;
	char *errors, error[400];
	size_t count = 0;

	(void)state;
	write_table("a.cdb", "aliases");
	write_table("u.cdb", "users");
	bundle = load(with_tables, &conf, &errors);
	if (bundle == NULL)
		fail_msg("%s", errors);
	sender = bundle;
	assert_null(bundle_next_table(bundle, ROLE_SMTPD, NULL));
	while ((file = bundle_next_table(bundle, ROLE_QUEUE, file)) != NULL)
		count++;
	assert_int_equal(count, 2);
	for (size_t i = 0; i < 2; i++) {
		copy = decode_for(bundle, roles[i]);
		assert_int_equal(bundle_attach_tables(copy, pass_nothing,
		    error, sizeof(error)), -1);
		assert_non_null(strstr(error, "did not come"));
		assert_int_equal(bundle_attach_tables(copy, pass_on, error,
		    sizeof(error)), 0);
		file = bundle_file(copy, path_of("u.cdb"));
		assert_int_equal(table_count(file->table), 1);
		assert_int_equal(file->length, 0);
		bundle_free(copy);
	}
	copy = decode_for(bundle, ROLE_SMTPD);
	assert_int_equal(bundle_attach_tables(copy, pass_nothing, error,
	    sizeof(error)), 0);
	bundle_free(copy);
	conf_free(conf);
	bundle_free(bundle);
}

static void test_wrong_tables(void **state)
{
	static const struct { const char *name, *kind, *words; } cases[] = {
		{ "u.cdb", "aliases", "users-file of domain example.org: "
		    "cannot use the table " },
		{ "a.cdb", "users", "it is a table of users, not of aliases" },
		{ "a.cdb", NULL, "aliases-file: cannot use the table " },
		{ "u.cdb", NULL, "it is no table of Postern's" },
	};
	struct conf *conf;
	char *errors;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		write_table("a.cdb", "aliases");
		write_table("u.cdb", "users");
		if (cases[i].kind != NULL)
			write_table(cases[i].name, cases[i].kind);
		else
			write_file(cases[i].name, "alice\n");
		assert_null(load(with_tables, &conf, &errors));
		if (strstr(errors, cases[i].words) == NULL)
			fail_msg("%s", errors);
		mem_free(errors);
	}
	/* One file cannot be both. */
	write_table("a.cdb", "aliases");
	assert_null(load("hostname = mx.example.org\n"
	    "trust-anchor-file = @/anchor\ntrust-file = @/trust\n"
	    "domain a.example { users-file = @/a.cdb\n"
	    "aliases-file = @/a.cdb }\n", &conf, &errors));
	assert_non_null(strstr(errors, "it is a table of aliases, not of "
	    "users"));
	mem_free(errors);
	/* Nor what was read as a text before. */
	write_file("a.cdb", "CHAIN\n");
	assert_null(load("hostname = mx.example.org\n"
	    "trust-anchor-file = @/anchor\ntrust-file = @/trust\n"
	    "certificate c { chain = @/a.cdb key = @/key }\n"
	    "domain a.example { users-file = @/a.cdb }\n", &conf, &errors));
	assert_non_null(strstr(errors, "another option names it as a text"));
	mem_free(errors);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_load),
		cmocka_unit_test(test_shares),
		cmocka_unit_test(test_ceiling),
		cmocka_unit_test(test_damaged),
		cmocka_unit_test(test_refusals),
		cmocka_unit_test(test_several_refusals),
		cmocka_unit_test(test_bad_configuration),
		cmocka_unit_test(test_open_key),
		cmocka_unit_test(test_unreadable),
		cmocka_unit_test(test_tables),
		cmocka_unit_test(test_wrong_tables),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
