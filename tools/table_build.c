/* SPDX-License-Identifier: ISC */
/*
 * The text is read as the directory reads it, the table is made in memory and
 * then tried as the directory tries it, with a configuration that names no
 * other list: what is wrong elsewhere is another command's (postern check).
 */
#include "tools/table_build.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/control.h"
#include "base/mem.h"
#include "base/table.h"
#include "conf/bundle.h"
#include "conf/conf.h"
#include "conf/problem.h"
#include "policy/aliases.h"
#include "policy/expand.h"
#include "policy/users.h"
#include "tools/control_client.h"
#include "tools/kept_file.h"

struct build {
	const char	*configuration;
	const char	*path;		/* of the table */
	const char	*from;		/* of the text */
	const char	*text;
	const char	*domain;	/* or null: see table_use() */
	bool		 users;
	char		*errors;	/* owned; or null */
	size_t		 count;		/* of entries */
};

static void add_use(enum table_use *sum, enum table_use use,
    const char **domain, const char *name)
{
	*domain = *sum == TABLE_UNUSED ? name : NULL;
	*sum |= use;
}

enum table_use table_use(const struct conf *conf, const char *path,
    const char **domain)
{
	enum table_use use = TABLE_UNUSED;

	*domain = NULL;
	if (strcmp(conf->aliases_file, path) == 0)
		add_use(&use, TABLE_OF_ALIASES, domain, NULL);
	for (size_t i = 0; i < conf->domain_count; i++) {
		const struct conf_domain *one = &conf->domains[i];

		if (strcmp(one->users_file, path) == 0)
			add_use(&use, TABLE_OF_USERS, domain, one->name);
		if (strcmp(one->aliases_file, path) == 0)
			add_use(&use, TABLE_OF_ALIASES, domain, one->name);
	}
	return use;
}

/* As a configuration has it, which has no relative ones; owned by the caller.
 * What cannot be found stays as it is. */
static char *whole_path(const char *path)
{
	const char *slash = strrchr(path, '/');
	char *folder = slash == NULL ? mem_dup_string(".") :
	    mem_print("%.*s", (int)(slash - path), path);
	char *real = path[0] == '/' ? NULL : realpath(folder, NULL);
	char *whole = real == NULL ? mem_dup_string(path) :
	    mem_print("%s/%s", real, slash == NULL ? path : slash + 1);

	free(real);
	mem_free(folder);
	return whole;
}

/* --- the table --- */

static void write_users(struct build *build, struct table_writer *writer)
{
	struct users *users = users_new();
	struct problems problems;

	problems_init(&problems, build->from);
	users_write(users, writer);
	users_read(users, "", build->text, strlen(build->text), &problems);
	build->count = users_count(users);
	build->errors = problems_take(&problems);
	users_free(users);
}

static void write_aliases(struct build *build, struct table_writer *writer)
{
	struct aliases *aliases = aliases_new();
	struct problems problems;

	problems_init(&problems, build->from);
	aliases_read(aliases, build->text, strlen(build->text), build->domain,
	    &problems);
	build->count = aliases_count(aliases);
	build->errors = problems_take(&problems);
	if (build->errors == NULL)
		aliases_write(aliases, writer);
	aliases_free(aliases);
}

/* Null with errors. */
static struct table *make(struct build *build)
{
	struct table_writer *writer = table_writer_new(build->users ?
	    "users" : "aliases", build->from);
	struct table *table;
	const char *why = "";

	if (build->users)
		write_users(build, writer);
	else
		write_aliases(build, writer);
	table = table_writer_end(writer, &why);
	if (table != NULL && build->errors == NULL)
		return table;
	if (build->errors == NULL)
		build->errors = mem_print("%s: cannot make this table: %s\n",
		    build->path, why);
	table_release(table);
	return NULL;
}

/* --- trying it --- */

static void keep_only(char *path, const char *wanted)
{
	if (strcmp(path, wanted) != 0)
		path[0] = '\0';
}

/* The configuration with this table alone. */
static void narrow(struct conf *conf, const char *path)
{
	conf->srs_domain[0] = '\0';
	keep_only(conf->aliases_file, path);
	for (size_t i = 0; i < conf->domain_count; i++) {
		keep_only(conf->domains[i].users_file, path);
		keep_only(conf->domains[i].aliases_file, path);
	}
}

/* Circles, chains that are too long, too many recipients, names in domains
 * that are not ours. */
static int try(struct build *build, struct conf *conf, struct table *table)
{
	struct bundle_file file = { .path = (char *)build->path,
	    .contents = (char *)"", .role = ROLE_DIRECTORY, .table = table,
	    .is_table = true };
	struct bundle bundle = { .name = (char *)build->configuration,
	    .text = (char *)"", .files = &file, .file_count = 1 };
	struct expander *expander;
	char *advice = NULL;

	narrow(conf, build->path);
	expander = expander_new(conf, &bundle, &build->errors, &advice);
	mem_free(advice);	/* of users who are in other lists */
	expander_free(expander);
	return build->errors == NULL ? 0 : -1;
}

static int put(const struct build *build, const struct table *table)
{
	struct kept_file file;
	int result;

	if (kept_file_lock(&file, build->path, build->from) == -1)
		return -1;
	result = kept_file_write(&file, table_data(table),
	    table_bytes(table));
	kept_file_end(&file);
	if (result == 0)
		printf("%s: %zu %s from %s\n", build->path, build->count,
		    build->users ? "users" : "aliases", build->from);
	return result;
}

static int run(struct build *build, struct conf *conf)
{
	char *text = bundle_read_source(build->from, &build->errors);
	struct table *table = NULL;
	int status = CONTROL_DATA;

	build->text = text;
	if (text != NULL)
		table = make(build);
	if (table != NULL && try(build, conf, table) == 0)
		status = put(build, table) == 0 ? CONTROL_OK : CONTROL_OUTPUT;
	if (build->errors != NULL)
		control_client_complain(build->errors);
	table_release(table);
	mem_free(build->errors);
	mem_free(text);
	return status;
}

int table_build(const char *configuration, const char *name, const char *text)
{
	struct conf *conf = control_client_conf(configuration);
	char *path = whole_path(name), *from = text == NULL ? NULL :
	    whole_path(text);
	char *default_from = table_is_path(path) ? mem_print("%.*s",
	    (int)(strlen(path) - strlen(".cdb")), path) : NULL;
	struct build build = { .configuration = configuration, .path = path,
	    .from = from != NULL ? from : default_from };
	enum table_use use = conf == NULL ? TABLE_UNUSED :
	    table_use(conf, path, &build.domain);
	int status = CONTROL_USAGE;

	build.users = use == TABLE_OF_USERS;
	if (conf == NULL)
		status = CONTROL_CONFIG;
	else if (!table_is_path(path))
		fprintf(stderr, "postern: %s: the name of a table ends in "
		    ".cdb\n", path);
	else if (use == TABLE_UNUSED)
		fprintf(stderr, "postern: %s: no users-file or aliases-file in "
		    "%s names this table; name it there first\n", path,
		    configuration);
	else if (use == TABLE_OF_BOTH)
		fprintf(stderr, "postern: %s: named as users-file and as "
		    "aliases-file in %s; these are two tables\n", path,
		    configuration);
	else
		status = run(&build, conf);
	mem_free(default_from);
	mem_free(from);
	mem_free(path);
	if (conf != NULL)
		conf_free(conf);
	return status;
}
