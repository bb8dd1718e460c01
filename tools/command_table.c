/* SPDX-License-Identifier: ISC */
/*
 * postern table: long lists, made from texts and looked at.
 */
#include "tools/command.h"

#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "base/control.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/table.h"
#include "conf/conf.h"
#include "tools/command_text.h"
#include "tools/control_client.h"
#include "tools/table_build.h"

static int	run_build(int argc, char **argv);
static int	run_show(int argc, char **argv);

static const struct command verbs[] = {
	{ "build", "[-c FILE] [TABLE.cdb [TEXT]]", "Makes a table that the "
	    "configuration names as users-file or\naliases-file, from a text "
	    "of the same form: without a name, from the path\nwithout .cdb; "
	    "without both, all tables. What is wrong in a text is said with\n"
	    "its line, and the old table stays. A running server then has the "
	    "new one.", run_build },
	{ "show", "[-j] TABLE.cdb", "Says what a table is, from what it was "
	    "made, and whether it is whole.", run_show },
};
enum { VERBS = sizeof(verbs) / sizeof(verbs[0]) };

/* --- build --- */

/* A server that does not run reads it when it starts. */
static int tell_server(const char *configuration)
{
	struct conf *conf = control_client_conf(configuration);
	int status = CONTROL_CONFIG, error;

	if (conf == NULL)
		return status;
	error = control_client_try(conf);
	if (error == ENOENT || error == ECONNREFUSED) {
		printf("no server is running: it holds from its next start\n");
		status = CONTROL_OK;
	} else {
		status = control_client_tell(conf, CONTROL_RELOAD, NULL,
		    NULL);
	}
	conf_free(conf);
	return status;
}

static int build_one(const char *configuration, const char *path, int status)
{
	int result;

	if (!table_is_path(path))
		return status;
	result = table_build(configuration, path, NULL);
	return status == CONTROL_OK ? result : status;
}

/* Was it named before in the configuration? Those before domain i only. */
static bool was_named(const struct conf *conf, size_t count, const char *path)
{
	for (size_t i = 0; i < count; i++)
		if (strcmp(conf->domains[i].users_file, path) == 0 ||
		    strcmp(conf->domains[i].aliases_file, path) == 0)
			return true;
	return strcmp(conf->aliases_file, path) == 0;
}

/* All that can be made are; the first failure is the answer. */
static int build_all(const char *configuration)
{
	struct conf *conf = control_client_conf(configuration);
	int status = CONTROL_OK;

	if (conf == NULL)
		return CONTROL_CONFIG;
	status = build_one(configuration, conf->aliases_file, status);
	for (size_t i = 0; i < conf->domain_count; i++) {
		const struct conf_domain *one = &conf->domains[i];

		if (!was_named(conf, i, one->users_file))
			status = build_one(configuration, one->users_file,
			    status);
		if (!was_named(conf, i, one->aliases_file))
			status = build_one(configuration, one->aliases_file,
			    status);
	}
	conf_free(conf);
	return status;
}

static int run_build(int argc, char **argv)
{
	struct command_options options;
	int status = command_read_options("postern table", &verbs[0],
	    &options, &argc, &argv);

	if (status != -1)
		return status;
	if (argc > 2)
		return command_usage("postern table", &verbs[0],
		    "a table and a text are expected, or none");
	log_init("table", LOG_LEVEL_WARN);
	status = argc == 0 ? build_all(options.configuration) :
	    table_build(options.configuration, argv[0], argc == 2 ? argv[1] :
	    NULL);
	return status == CONTROL_OK ? tell_server(options.configuration) :
	    status;
}

/* --- show --- */

static void print(const char *path, const struct table *table)
{
	printf("%s: %zu ", path, table_count(table));
	text_print(table_kind(table), 0);
	printf(" in %zu bytes, made from ", table_bytes(table));
	text_print(table_source(table), 0);
	printf("\n");
}

static void print_json(const char *path, const struct table *table)
{
	json_t *object = json_pack("{s:s, s:s, s:I, s:I, s:s}", "table", path,
	    "kind", table_kind(table), "entries",
	    (json_int_t)table_count(table), "bytes",
	    (json_int_t)table_bytes(table), "from", table_source(table));

	json_dumpf(object, stdout, 0);
	printf("\n");
	json_decref(object);
}

static int run_show(int argc, char **argv)
{
	struct command_options options;
	int status = command_read_options("postern table", &verbs[1],
	    &options, &argc, &argv);
	struct table *table;
	const char *why;

	if (status != -1)
		return status;
	if (argc != 1)
		return command_usage("postern table", &verbs[1],
		    "one table is expected");
	table = table_load(argv[0], NULL, &why);
	if (table == NULL) {
		fprintf(stderr, "postern: %s: %s\n", argv[0], why);
		return CONTROL_DATA;
	}
	if (options.json)
		print_json(argv[0], table);
	else
		print(argv[0], table);
	table_release(table);
	return CONTROL_OK;
}

int command_table(int argc, char **argv)
{
	return command_dispatch("postern table", verbs, VERBS, argc, argv);
}
