/* SPDX-License-Identifier: ISC */
/*
 * Reads lines by their rows. An option that is given twice is refused: an
 * operator who writes two domains means both, and no verb does.
 */
#include "tools/queue_request.h"

#include <errno.h>
#include <getopt.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/address.h"
#include "base/control.h"
#include "base/idn.h"
#include "conf/conf.h"
#include "config.h"
#include "tools/command.h"
#include "tools/command_text.h"
#include "tools/command_time.h"
#include "tools/control_client.h"
#include "tools/queue_help.h"
#include "tools/queue_options.h"
#include "tools/queue_progress.h"

enum { OPTIONS_MAX = 64, USAGE_BYTES = 1024, NAME_BYTES = 64,
    FIRST_CODE = 256, ID_DIGITS = 16 };

/* --- complaints --- */

int queue_request_usage(const struct queue_request *request,
    const char *problem)
{
	char arguments[USAGE_BYTES];

	queue_request_format(request->command, arguments, sizeof(arguments));
	fprintf(stderr, "postern: %s\nusage: %s %s %s\n", problem,
	    request->prefix, request->command->name, arguments);
	return CONTROL_USAGE;
}

int queue_request_wrong(const struct queue_request *request,
    const char *option, const char *value, const char *problem)
{
	char text[512], shown[200];

	text_clean(value, shown, sizeof(shown));
	snprintf(text, sizeof(text), "--%s \"%s\": %s", option, shown,
	    problem);
	return queue_request_usage(request, text);
}

/* --- one option --- */

/* -1: it was taken; else the exit status, as in all that follow. */
static int put(struct queue_request *request,
    const struct queue_option *option, json_t *value)
{
	json_t *all = option->local ? request->own : request->arguments;
	const char *member = option->member == NULL ? option->name :
	    option->member;
	char problem[NAME_BYTES + 64];

	if (json_object_get(all, member) != NULL &&
	    option->kind != QUEUE_FLAG) {
		json_decref(value);
		snprintf(problem, sizeof(problem), "--%s is given twice: "
		    "once is all there may be", option->name);
		return queue_request_usage(request, problem);
	}
	json_object_set_new(all, member, value);
	return -1;
}

static int put_text(struct queue_request *request,
    const struct queue_option *option, const char *text)
{
	json_t *value = json_string(text);

	return value == NULL ? queue_request_wrong(request, option->name,
	    "...", "is not UTF-8") : put(request, option, value);
}

/* As the roles write domains and addresses. */
static int put_name(struct queue_request *request,
    const struct queue_option *option, const char *text)
{
	char ascii[ADDRESS_MAX + 1];
	const char *why = NULL;

	/* What has no other script in it may be a pattern of any kind. */
	if (!idn_is_needed(text))
		return put_text(request, option, text);
	why = option->kind == QUEUE_DOMAIN ?
	    domain_pattern_to_ascii(ascii, sizeof(ascii), text) :
	    address_pattern_to_ascii(ascii, sizeof(ascii), text);
	return why == NULL ? put_text(request, option, ascii) :
	    queue_request_wrong(request, option->name, text, why);
}

/* -1 if it is none. */
static int64_t read_count(const char *text)
{
	return text[strspn(text, "0123456789")] == '\0' ?
	    command_read_age(text) : -1;
}

static int64_t read_size(const char *text)
{
	static const char units[] = "kKmMgG";
	const char *unit;
	long long number;
	char *end;

	if (text[0] < '0' || text[0] > '9')
		return -1;
	errno = 0;
	number = strtoll(text, &end, 10);
	if (errno != 0 || number > INT64_MAX >> 30)
		return -1;
	if (*end == '\0')
		return number;
	unit = strchr(units, *end);
	return unit == NULL || end[1] != '\0' ? -1 :
	    number << 10 * ((unit - units) / 2 + 1);
}

static int put_number(struct queue_request *request,
    const struct queue_option *option, const char *text)
{
	int64_t number;
	const char *expected;

	switch (option->kind) {
	case QUEUE_AGE:
		number = command_read_age(text);
		expected = "a time is expected: seconds, or a number with s, "
		    "m, h or d behind";
		break;
	case QUEUE_SIZE:
		number = read_size(text);
		expected = "a size is expected: bytes, or a number with K, M "
		    "or G behind";
		break;
	default:
		number = read_count(text);
		expected = "a number is expected, 1 at least";
		if (number == 0)
			number = -1;
		break;
	}
	return number < 0 ? queue_request_wrong(request, option->name, text,
	    expected) : put(request, option, json_integer(number));
}

static int take_option(struct queue_request *request,
    const struct queue_option *option, const char *text)
{
	switch (option->kind) {
	case QUEUE_FLAG:
		return put(request, option, json_true());
	case QUEUE_TEXT:
	case QUEUE_WORD:
		return put_text(request, option, text);
	case QUEUE_ADDRESS:
	case QUEUE_DOMAIN:
		return put_name(request, option, text);
	case QUEUE_AGE:
	case QUEUE_SIZE:
	case QUEUE_COUNT:
	default:
		return put_number(request, option, text);
	}
}

/* --- the line --- */

/* The options of a command as getopt_long(3) wants them; shorts gets their
 * letters. */
static void list_options(const struct queue_command *command,
    struct option *longs, char *shorts)
{
	const struct queue_option *option;
	size_t i;

	for (i = 0; i < OPTIONS_MAX && (option = queue_request_option(command,
	    i)) != NULL; i++) {
		int takes = option->kind == QUEUE_FLAG ? no_argument :
		    required_argument;

		longs[i] = (struct option){ option->name, takes, NULL,
		    FIRST_CODE + (int)i };
		if (option->letter == '\0')
			continue;
		longs[i].val = option->letter;
		*shorts++ = option->letter;
		if (takes == required_argument)
			*shorts++ = ':';
	}
	longs[i] = (struct option){ NULL, 0, NULL, 0 };
	*shorts = '\0';
}

static const struct queue_option *find_option(
    const struct queue_command *command, int code)
{
	const struct queue_option *option;
	size_t i;

	if (code >= FIRST_CODE)
		return queue_request_option(command,
		    (size_t)(code - FIRST_CODE));
	for (i = 0; (option = queue_request_option(command, i)) != NULL; i++)
		if (option->letter == code)
			return option;
	return NULL;
}

static int read_options(struct queue_request *request, int argc, char **argv)
{
	struct option longs[OPTIONS_MAX + 1];
	char shorts[2 * OPTIONS_MAX + 1];
	const struct queue_option *option;
	char problem[256];
	int code, status;

	list_options(request->command, longs, shorts);
	optind = 1;
	opterr = 0;
	while ((code = getopt_long(argc, argv, shorts, longs, NULL)) != -1) {
		option = code == '?' ? NULL : find_option(request->command,
		    code);
		if (option == NULL) {
			snprintf(problem, sizeof(problem), "\"%.150s\" is no "
			    "option of this command, or its value is missing",
			    argv[optind - 1]);
			return queue_request_usage(request, problem);
		}
		if (strcmp(option->name, "help") == 0) {
			queue_help_print(request->prefix, request->command);
			return CONTROL_OK;
		}
		status = take_option(request, option, optarg);
		if (status != -1)
			return status;
	}
	return -1;
}

static bool is_id(const char *text)
{
	return strlen(text) <= ID_DIGITS && text[strspn(text,
	    "0123456789abcdefABCDEF")] == '\0' &&
	    text[strspn(text, "0")] != '\0';
}

/* The queue counts one that is written in two ways once. */
static int take_ids(struct queue_request *request, int end, char **argv)
{
	char problem[256], shown[100];
	json_t *ids;
	int i;

	if (optind >= end)
		return -1;
	if (!(request->command->takes & (QUEUE_SELECTORS | QUEUE_IDS)))
		return queue_request_usage(request, "there is a word too "
		    "many");
	ids = json_array();
	json_object_set_new(request->arguments, "id", ids);
	for (i = optind; i < end; i++) {
		if (!is_id(argv[i])) {
			text_clean(argv[i], shown, sizeof(shown));
			snprintf(problem, sizeof(problem), "\"%s\": an "
			    "identifier has 1 to %d hexadecimal digits, as "
			    "`postern queue list` shows it", shown,
			    ID_DIGITS);
			return queue_request_usage(request, problem);
		}
		json_array_append_new(ids, json_string(argv[i]));
	}
	return -1;
}

static bool is_word(const char *(*words)(size_t i), const char *text)
{
	const char *word;
	size_t i;

	for (i = 0; (word = words(i)) != NULL; i++)
		if (strcmp(word, text) == 0)
			return true;
	return false;
}

/* "the last word must be a level: none, may" */
static int wrong_after(const struct queue_request *request)
{
	const struct queue_command *command = request->command;
	char problem[512], name[NAME_BYTES];
	const char *word;
	size_t used, i;

	for (i = 0; command->after[i] != '\0' && i + 1 < sizeof(name); i++)
		name[i] = (char)(command->after[i] >= 'A' &&
		    command->after[i] <= 'Z' ? command->after[i] + 'a' - 'A' :
		    command->after[i]);
	name[i] = '\0';
	used = (size_t)snprintf(problem, sizeof(problem),
	    "the last word must be a %s", name);
	for (i = 0; command->after_words != NULL &&
	    (word = command->after_words(i)) != NULL &&
	    used < sizeof(problem); i++)
		used += (size_t)snprintf(problem + used, sizeof(problem) -
		    used, "%s%s", i == 0 ? ": " : ", ", word);
	return queue_request_usage(request, problem);
}

static int take_operands(struct queue_request *request, int argc, char **argv)
{
	const struct queue_command *command = request->command;
	char problem[NAME_BYTES + 64];
	int end = argc;

	if (command->before != NULL) {
		if (optind >= end) {
			snprintf(problem, sizeof(problem), "%s is missing",
			    command->before);
			return queue_request_usage(request, problem);
		}
		request->before = argv[optind++];
	}
	if (command->after != NULL) {
		if (optind >= end || (command->after_words != NULL &&
		    !is_word(command->after_words, argv[end - 1])))
			return wrong_after(request);
		request->after = argv[--end];
	}
	return take_ids(request, end, argv);
}

/* What every command has, out of the arguments. */
static int take_common(struct queue_request *request)
{
	json_t *verbose = json_object_get(request->own, "verbose");
	const char *file = json_string_value(json_object_get(request->own,
	    "config"));

	request->configuration = file != NULL ? file :
	    POSTERN_SYSCONFDIR "/postern.conf";
	request->json = json_is_true(json_object_get(request->own, "json"));
	request->dry_run = json_is_true(json_object_get(request->arguments,
	    "dry-run"));
	if (verbose != NULL && !request->dry_run &&
	    request->command->takes & QUEUE_DRY_RUN)
		return queue_request_usage(request,
		    "--verbose goes with --dry-run");
	if (request->dry_run && (verbose != NULL || request->json))
		json_object_set_new(request->arguments, "each", json_true());
	return -1;
}

/* -1: go on; else the exit status. */
static int read_line(struct queue_request *request, int argc, char **argv)
{
	int status = read_options(request, argc, argv);

	if (status == -1)
		status = take_common(request);
	if (status == -1)
		status = take_operands(request, argc, argv);
	return status;
}

static int run(const char *prefix, const struct queue_command *command,
    int argc, char **argv)
{
	struct queue_request request = { .command = command,
	    .prefix = prefix, .arguments = json_object(),
	    .own = json_object() };
	int status = read_line(&request, argc, argv);

	if (status == -1) {
		request.conf = control_client_conf(request.configuration);
		status = request.conf == NULL ? CONTROL_CONFIG :
		    command->run(&request);
		conf_free(request.conf);
	}
	json_decref(request.arguments);
	json_decref(request.own);
	return status;
}

static int run_below(const char *prefix, const struct queue_command *command,
    int argc, char **argv)
{
	char below[NAME_BYTES];

	snprintf(below, sizeof(below), "%s %s", prefix, command->name);
	return queue_request_dispatch(below, command->commands, argc, argv);
}

int queue_request_dispatch(const char *prefix,
    const struct queue_command *const *table, int argc, char **argv)
{
	const struct queue_command *command;
	size_t i;

	for (i = 0; argc > 1 && table[i] != NULL; i++) {
		command = table[i];
		if (strcmp(command->name, argv[1]) != 0)
			continue;
		return command->commands != NULL ?
		    run_below(prefix, command, argc - 1, argv + 1) :
		    run(prefix, command, argc - 1, argv + 1);
	}
	return queue_help_list(prefix, table, argc, argv);
}

/* --- asking --- */

struct asking {
	const struct queue_request *request;
	struct queue_progress	 progress;
	void	(*print)(void *arg, const json_t *object);
	void	*arg;
	bool	 all;		/* print gets every object */
};

static void on_line(void *arg, const json_t *object)
{
	struct asking *asking = arg;

	if (queue_progress_take(&asking->progress, object))
		return;
	queue_progress_clear(&asking->progress);
	if (asking->request->json && !asking->all)
		text_print_json(object);
	else if (asking->print != NULL)
		asking->print(asking->arg, object);
}

static int ask(struct queue_request *request, const char *verb,
    struct asking *asking)
{
	int status;

	queue_progress_init(&asking->progress,
	    request->command->takes & QUEUE_PROGRESS);
	/* It is a sign of life, too, if nobody looks at it. */
	if (request->command->takes & QUEUE_PROGRESS)
		json_object_set_new(request->arguments, "progress",
		    json_true());
	asking->request = request;
	status = (request->command->takes & QUEUE_PROGRESS ?
	    control_client_ask_long : control_client_ask)(request->conf,
	    ROLE_QUEUE, verb, json_incref(request->arguments), on_line,
	    asking);
	queue_progress_clear(&asking->progress);
	return status;
}

int queue_request_ask(struct queue_request *request, const char *verb,
    void (*print)(void *arg, const json_t *object), void *arg)
{
	struct asking asking = { .print = print, .arg = arg };

	return ask(request, verb, &asking);
}

int queue_request_ask_all(struct queue_request *request, const char *verb,
    void (*print)(void *arg, const json_t *object), void *arg)
{
	struct asking asking = { .print = print, .arg = arg, .all = true };

	return ask(request, verb, &asking);
}
