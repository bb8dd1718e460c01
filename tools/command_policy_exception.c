/* SPDX-License-Identifier: ISC */
/*
 * postern policy exception: add, list, revoke. Mail that waits for the
 * destination is tried again after a change, because whoever adds an exception
 * wants to see it work.
 */
#include "tools/command_policy.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/control.h"
#include "conf/conf.h"
#include "policy/exception.h"
#include "tools/command_policy_table.h"
#include "tools/command_text.h"
#include "tools/command_time.h"
#include "tools/control_client.h"

static int	run_add(int argc, char **argv);
static int	run_list(int argc, char **argv);
static int	run_revoke(int argc, char **argv);

static const struct command table[] = {
	{ "add", "DOMAIN --level none|may|encrypt --until TIME --reason TEXT "
	    "[--no-retry] [-j] [-c FILE]", "another level for a destination, "
	    "for a while, for a reason", run_add },
	{ "list", "[-j] [-c FILE]", "the exceptions that are in force",
	    run_list },
	{ "revoke", "ID [--no-retry] [-j] [-c FILE]", "end one before its "
	    "time", run_revoke },
};
enum verb { ADD, LIST, REVOKE };

static const char *const levels[] = { "none", "may", "encrypt", NULL };

static const char add_help[] =
"DOMAIN is a domain, or .DOMAIN for all below it. The exception replaces what\n"
"the domain publishes (DANE, MTA-STS), what memory knows, pins, and the level\n"
"of the configuration; not REQUIRETLS, which is the sender's.\n"
"  --level LEVEL  none: never TLS; may: TLS if offered, whoever answers;\n"
"                 encrypt: TLS, whoever answers\n"
"  --until TIME   from now: 90m, 72h, 3d; or 2026-12-24 (its beginning, UTC),\n"
"                 2026-12-24T12:00Z, 2026-12-24T13:00+01:00; 90 days at most\n"
"  --reason TEXT  why; it is kept, shown and logged\n"
"  --no-retry     do not try the mail that waits for it now\n";

static const char revoke_help[] =
"ID is the number that `postern policy exception list` shows.\n"
"  --no-retry     do not try the mail that waits for it now\n";

static const struct policy_form forms[] = {
	[ADD] = { "postern policy exception", &table[ADD], "LUrN", 1, 1,
	    "one domain is expected, or .DOMAIN for all below it", add_help },
	[LIST] = { "postern policy exception", &table[LIST], "", 0, 0,
	    "no argument is expected", NULL },
	[REVOKE] = { "postern policy exception", &table[REVOKE], "N", 1, 1,
	    "the number of one exception is expected", revoke_help },
};

/* A command line with its answer. */
struct request {
	struct policy_arguments	 arguments;
	enum verb		 verb;
	char			 pattern[256];	/* of the answer */
	bool			 headed;	/* the table's heading is out */
	long long		 messages;	/* tried again */
};

/* --- arguments --- */

/* What the verb takes for "until": seconds from now, or a time. */
static int read_until(const struct policy_arguments *arguments, json_t **until)
{
	const char *text = arguments->until;
	int64_t now = clock_wall() / 1000, moment, age;
	char iso[40];

	if (text == NULL)
		return policy_arguments_wrong(arguments, "--until", NULL,
		    "how long? such as 72h, 3d or 2026-12-24");
	age = command_read_age(text);
	moment = age >= 0 ? now + age : command_read_moment(text);
	if (moment < 0)
		return policy_arguments_wrong(arguments, "--until", text,
		    "accepted are 90m, 72h, 3d from now, or a time such as "
		    "2026-12-24, 2026-12-24T12:00Z, 2026-12-24T13:00+01:00");
	if (moment <= now)
		return policy_arguments_wrong(arguments, "--until", text,
		    "that is not in the future");
	if (moment - now > EXCEPTION_LENGTH_MAX / 1000)
		return policy_arguments_wrong(arguments, "--until", text,
		    "90 days is the longest; what is to last belongs into a "
		    "destination section of the configuration");
	clock_format_iso(moment * 1000, iso, sizeof(iso));
	*until = age >= 0 ? json_integer(age) : json_string(iso);
	return -1;
}

static int read_id(const struct policy_arguments *arguments, const char *text,
    json_int_t *id)
{
	char *end;

	*id = strtoll(text, &end, 10);
	if (strspn(text, "0123456789") == strlen(text) && *id > 0 &&
	    strlen(text) < 19)
		return -1;
	return policy_arguments_wrong(arguments, "", text, "that is no number "
	    "of an exception; `postern policy exception list` shows them");
}

/* --- mail that waits --- */

static void on_retried(void *arg, const json_t *object)
{
	struct request *request = arg;

	request->messages += number_of(object, "messages");
}

/* The queue's patterns have a star where ours begin with a dot. */
static json_t *selection(const char *pattern)
{
	char domain[300];

	snprintf(domain, sizeof(domain), "%s%s", pattern[0] == '.' ? "*" : "",
	    pattern);
	return json_pack("{s:s}", "domain", domain);
}

static void print_retried(long long messages)
{
	json_t *object = json_pack("{s:I}", "retried", (json_int_t)messages);

	text_print_json(object);
	json_decref(object);
}

static int ask_queue(struct request *request, const struct conf *conf)
{
	struct control_client_answer answer = { .line = on_retried,
	    .arg = request };
	int status = control_client_ask_quietly(conf, ROLE_QUEUE, "retry",
	    selection(request->pattern), &answer);

	if (status != CONTROL_OK && status != CONTROL_NONE_MATCHED) {
		fprintf(stderr, "postern: the mail that waits was not tried "
		    "again: %s; `postern queue retry --domain` does it\n",
		    answer.message);
		return status;
	}
	if (request->arguments.options.json)
		print_retried(request->messages);
	else if (request->messages == 0)
		printf("no message waits for it\n");
	else
		printf("%lld message(s) that wait for it are tried now\n",
		    request->messages);
	return CONTROL_OK;
}

static int retry(struct request *request)
{
	struct conf *conf = control_client_conf(
	    request->arguments.options.configuration);
	int status;

	if (conf == NULL)
		return CONTROL_CONFIG;
	status = ask_queue(request, conf);
	conf_free(conf);
	return status;
}

/* --- commands --- */

static void on_exception(void *arg, const json_t *object)
{
	struct request *request = arg;

	snprintf(request->pattern, sizeof(request->pattern), "%s",
	    text_of(object, "domain"));
	if (request->arguments.options.json) {
		text_print_json(object);
	} else if (request->verb == LIST) {
		if (!request->headed)
			policy_table_exception_heading();
		request->headed = true;
		policy_table_exception(object);
	} else {
		policy_print_exception(request->verb == ADD ? "made" :
		    "revoked", object);
	}
}

/* Asks for a change, then for what it is good for. */
static int change(struct request *request, const char *verb, json_t *wanted)
{
	int status = policy_ask(&request->arguments, verb, wanted,
	    on_exception, request);

	if (status != CONTROL_OK || request->arguments.no_retry ||
	    request->pattern[0] == '\0')
		return status;
	return retry(request);
}

static int run_add(int argc, char **argv)
{
	struct request request = { .verb = ADD };
	struct policy_arguments *arguments = &request.arguments;
	json_t *until = NULL;
	char pattern[256];
	int status = policy_arguments_read(arguments, &forms[ADD], argc, argv);

	if (status == -1)
		status = policy_read_pattern(arguments,
		    arguments->operands[0], pattern, sizeof(pattern));
	if (status == -1)
		status = policy_read_word(arguments, "--level",
		    arguments->level, levels);
	if (status == -1)
		status = policy_check_reason(arguments);
	if (status == -1)
		status = read_until(arguments, &until);
	if (status != -1)
		return status;
	return change(&request, "exception-add", json_pack(
	    "{s:s, s:s, s:s, s:o}", "domain", pattern, "level",
	    arguments->level, "reason", arguments->reason, "until", until));
}

static int run_list(int argc, char **argv)
{
	struct request request = { .verb = LIST };
	int status = policy_arguments_read(&request.arguments, &forms[LIST],
	    argc, argv);

	return status != -1 ? status : policy_ask(&request.arguments,
	    "exception-list", NULL, on_exception, &request);
}

static int run_revoke(int argc, char **argv)
{
	struct request request = { .verb = REVOKE };
	struct policy_arguments *arguments = &request.arguments;
	json_int_t id = 0;
	int status = policy_arguments_read(arguments, &forms[REVOKE], argc,
	    argv);

	if (status == -1)
		status = read_id(arguments, arguments->operands[0], &id);
	return status != -1 ? status : change(&request, "exception-revoke",
	    json_pack("{s:I}", "id", id));
}

int command_policy_exception(int argc, char **argv)
{
	return command_dispatch("postern policy exception", table,
	    sizeof(table) / sizeof(table[0]), argc, argv);
}
