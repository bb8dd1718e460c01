/* SPDX-License-Identifier: ISC */
/*
 * postern address: what the directory would answer, from the configuration
 * and its files alone, with each step. The server need not run.
 */
#include "tools/command.h"

#include <getopt.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "config.h"

#include "base/arena.h"
#include "base/clock.h"
#include "base/control.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/table.h"
#include "conf/bundle.h"
#include "conf/conf.h"
#include "policy/expand.h"
#include "tools/control_client.h"

static const struct command address_command = { "address",
    "[-c FILE] [--sender ADDRESS] [--json] ADDRESS",
    "Says who gets the mail for an address, and why; and which sender is said "
    "for\nmail from --sender that an alias sends to another domain. A name "
    "alone is one\nof the first domain. The server need not run.",
    command_address };

struct answer {
	bool	 json;
	json_t	*steps;		/* owned; with json */
};

static const char *answer_name(enum directory_answer answer)
{
	static const char *const names[DIRECTORY_ANSWERS] = {
		[DIRECTORY_FOUND] = "found",
		[DIRECTORY_NO_USER] = "no-user",
		[DIRECTORY_NOT_OURS] = "not-ours",
		[DIRECTORY_UNAVAILABLE] = "too-much",
	};

	return names[answer];
}

/* --- the files --- */

enum list { LIST_OTHER, LIST_USERS, LIST_ALIASES };

/* One more of the files that the directory gets; -1 after a word on stderr. */
static int add_file(struct bundle *bundle, const char *path, enum list kind)
{
	struct bundle_file file = { .role = ROLE_DIRECTORY,
	    .is_table = kind != LIST_OTHER && table_is_path(path) };
	char *errors = NULL;

	if (path[0] == '\0' || bundle_file(bundle, path) != NULL)
		return 0;
	if (file.is_table)
		file.table = bundle_read_table(path, kind == LIST_USERS,
		    &errors);
	else
		file.contents = bundle_read_list(path, &errors);
	if (errors != NULL) {
		control_client_complain(errors);
		mem_free(errors);
		return -1;
	}
	file.path = mem_dup_string(path);
	file.length = file.is_table ? 0 : strlen(file.contents);
	bundle->files = mem_resize(bundle->files, bundle->file_count + 1,
	    sizeof(*bundle->files));
	bundle->files[bundle->file_count++] = file;
	return 0;
}

/* Whoever may not read the secret sees all but the rewritten sender. */
static int add_secret(struct bundle *bundle, struct conf *conf)
{
	if (conf->srs_domain[0] == '\0' ||
	    access(conf->srs_secret_file, R_OK) == 0)
		return add_file(bundle, conf->srs_secret_file, LIST_OTHER);
	fprintf(stderr, "postern: %s cannot be read: senders are shown as "
	    "they are\n", conf->srs_secret_file);
	conf->srs_domain[0] = '\0';
	return 0;
}

static struct bundle *read_files(const char *name, struct conf *conf)
{
	struct bundle *bundle = mem_alloc(sizeof(*bundle));
	int result;

	bundle->name = mem_dup_string(name);
	bundle->text = mem_dup_string("");
	result = add_file(bundle, conf->aliases_file, LIST_ALIASES);
	for (size_t i = 0; i < conf->domain_count && result == 0; i++) {
		result = add_file(bundle, conf->domains[i].users_file,
		    LIST_USERS);
		if (result == 0)
			result = add_file(bundle,
			    conf->domains[i].aliases_file, LIST_ALIASES);
	}
	if (result == 0)
		result = add_secret(bundle, conf);
	if (result == 0)
		return bundle;
	bundle_free(bundle);
	return NULL;
}

static struct expander *make_expander(const char *name, struct conf *conf)
{
	struct bundle *bundle = read_files(name, conf);
	struct expander *expander;
	char *errors = NULL;

	if (bundle == NULL)
		return NULL;
	expander = expander_new(conf, bundle, &errors, NULL);
	if (expander == NULL)
		control_client_complain(errors);
	mem_free(errors);
	bundle_free(bundle);
	return expander;
}

/* --- the answer --- */

static void on_step(void *arg, unsigned depth, const char *address,
    const char *what)
{
	struct answer *answer = arg;

	if (!answer->json)
		printf("%*s%s: %s\n", (int)depth * 2, "", address, what);
	else
		json_array_append_new(answer->steps, json_pack(
		    "{s:I, s:s, s:s}", "depth", (json_int_t)depth, "address",
		    address, "what", what));
}

static void print_text(const struct expansion *expansion, const char *sender)
{
	const struct directory_found *found = &expansion->found;

	printf("\n");
	if (expansion->answer == DIRECTORY_NO_USER)
		printf("refused: 550 5.1.1, nobody of that name\n");
	else if (expansion->answer == DIRECTORY_NOT_OURS)
		printf("not ours: taken only from clients that may relay\n");
	else if (expansion->answer == DIRECTORY_UNAVAILABLE)
		printf("not answered: 451, too many aliases or recipients\n");
	for (size_t i = 0; i < found->count; i++)
		printf("goes to %s%s%s%s\n", found->targets[i].address,
		    found->targets[i].forwarded ? ", another domain" : "",
		    found->targets[i].forwarded && sender[0] != '\0' ?
		    ", from " : "", !found->targets[i].forwarded ||
		    sender[0] == '\0' ? "" : found->forward_sender != NULL ?
		    found->forward_sender : sender);
}

static json_t *json_of(const struct expansion *expansion, json_t *steps)
{
	const struct directory_found *found = &expansion->found;
	json_t *targets = json_array();

	for (size_t i = 0; i < found->count; i++)
		json_array_append_new(targets, json_pack("{s:s, s:b}",
		    "address", found->targets[i].address,
		    "forwarded", found->targets[i].forwarded));
	return json_pack("{s:s, s:o, s:b, s:o, s:O}",
	    "answer", answer_name(expansion->answer), "targets", targets,
	    "by-alias", found->by_alias, "forward-sender",
	    found->forward_sender == NULL ? json_null() :
	    json_string(found->forward_sender), "steps", steps);
}

static void print_json(const struct expansion *expansion,
    const struct answer *answer)
{
	json_t *object = json_of(expansion, answer->steps);

	json_dumpf(object, stdout, JSON_INDENT(2));
	printf("\n");
	json_decref(object);
}

/* A local part alone is one of the first domain, as in `postern user`. */
static char *complete(const struct conf *conf, const char *address)
{
	return strchr(address, '@') != NULL || conf->domain_count == 0 ?
	    mem_dup_string(address) :
	    mem_print("%s@%s", address, conf->domains[0].name);
}

static int show(const struct expander *expander, const char *address,
    const char *sender, bool json)
{
	struct answer answer = { .json = json, .steps = json_array() };
	const struct expand_question question = { address, sender,
	    clock_wall(), on_step, &answer };
	struct arena *arena = arena_new(EXPAND_ARENA_MAX);
	struct expansion expansion;

	expander_expand(expander, &question, arena, &expansion);
	if (json)
		print_json(&expansion, &answer);
	else
		print_text(&expansion, sender);
	json_decref(answer.steps);
	arena_free(arena);
	return expansion.answer == DIRECTORY_FOUND ? CONTROL_OK :
	    CONTROL_NONE_MATCHED;
}

/* --- the command --- */

/* -1: go on; otherwise the exit status. */
static int read_options(int argc, char **argv,
    struct command_options *options, const char **sender)
{
	static const struct option longs[] = {
		{ "config", required_argument, NULL, 'c' },
		{ "json", no_argument, NULL, 'j' },
		{ "sender", required_argument, NULL, 's' },
		{ "help", no_argument, NULL, 'h' },
		{ NULL, 0, NULL, 0 }
	};
	int letter;

	opterr = 0;
	optind = 1;
	while ((letter = getopt_long(argc, argv, "c:js:h", longs,
	    NULL)) != -1) {
		if (letter == 'c') {
			options->configuration = optarg;
		} else if (letter == 'j') {
			options->json = true;
		} else if (letter == 's') {
			*sender = optarg;
		} else if (letter == 'h') {
			printf("usage: postern %s %s\n\n%s\n",
			    address_command.name, address_command.arguments,
			    address_command.summary);
			return CONTROL_OK;
		} else {
			return command_wrong_option("postern",
			    &address_command, argv[optind - 1]);
		}
	}
	return optind == argc - 1 ? -1 : command_usage("postern",
	    &address_command, "one address is expected");
}

int command_address(int argc, char **argv)
{
	struct command_options options = {
	    .configuration = POSTERN_SYSCONFDIR "/postern.conf" };
	const char *sender = "sender@elsewhere.example";
	struct expander *expander;
	struct conf *conf;
	char *address;
	int status = read_options(argc, argv, &options, &sender);

	if (status != -1)
		return status;
	log_init("address", LOG_LEVEL_WARN);
	conf = control_client_conf(options.configuration);
	if (conf == NULL)
		return CONTROL_CONFIG;
	expander = make_expander(options.configuration, conf);
	address = complete(conf, argv[optind]);
	status = expander == NULL ? CONTROL_CONFIG :
	    show(expander, address, sender, options.json);
	mem_free(address);
	expander_free(expander);
	conf_free(conf);
	return status;
}
