/* SPDX-License-Identifier: ISC */
/*
 * postern queue: selectors from the command line become the arguments of the
 * queue's verbs (queue/selector.h); its answers become tables, or stay JSON.
 * Everything that came from outside is escaped before a terminal sees it.
 */
#include "tools/command.h"

#include <ctype.h>
#include <errno.h>
#include <getopt.h>
#include <jansson.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/control.h"
#include "base/digest.h"
#include "base/log.h"
#include "base/mem.h"
#include "conf/conf.h"
#include "config.h"
#include "tools/control_client.h"

static int	run_list(int argc, char **argv);
static int	run_show(int argc, char **argv);
static int	run_cat(int argc, char **argv);
static int	run_hold(int argc, char **argv);
static int	run_release(int argc, char **argv);
static int	run_retry(int argc, char **argv);
static int	run_delete(int argc, char **argv);
static int	run_bounce(int argc, char **argv);
static int	run_stats(int argc, char **argv);

#define SELECTORS "[SELECTOR...] [ID...] [-j] [-c FILE]"

static const struct command table[] = {
	{ "list", SELECTORS, "one entry a message", run_list },
	{ "show", SELECTORS, "everything about messages: each recipient, its "
	    "last attempt, its next", run_show },
	{ "cat", "ID [-c FILE]", "print the message itself", run_cat },
	{ "hold", "[--note TEXT] " SELECTORS, "keep messages until they are "
	    "released", run_hold },
	{ "release", SELECTORS, "let held messages go on", run_release },
	{ "retry", SELECTORS, "try messages now", run_retry },
	{ "delete", SELECTORS, "remove messages; nobody is told",
	    run_delete },
	{ "bounce", "[--note TEXT] " SELECTORS, "return messages to their "
	    "senders", run_bounce },
	{ "stats", "[-j] [-c FILE]", "messages and recipients by domain and "
	    "state", run_stats },
};
enum verb { LIST, SHOW, CAT, HOLD, RELEASE, RETRY, DELETE, BOUNCE, STATS,
    VERBS };

/* What the command line said. */
struct request {
	struct command_options	 options;
	json_t			*arguments;	/* owned until it is sent */
	enum verb		 verb;
	bool			 headed;	/* stats: the heading is out */
};

static const char selector_help[] =
"SELECTORS (all that are given must hold):\n"
"  --sender ADDRESS     sender; * stands for anything, <> for none\n"
"  --recipient ADDRESS  recipient\n"
"  --domain DOMAIN      of a recipient\n"
"  --state STATE        active, deferred or held\n"
"  --reason REASON      of the last attempt: no-starttls, certificate,\n"
"                       tls-handshake, connect, timeout, dns, reply ...\n"
"  --older TIME         at least this old: seconds, or with s, m, h, d\n"
"  --newer TIME         younger than this\n"
"  --limit NUMBER       of messages\n"
"  --all                every message\n";

static const struct option longs[] = {
	{ "config", required_argument, NULL, 'c' },
	{ "json", no_argument, NULL, 'j' },
	{ "help", no_argument, NULL, 'h' },
	{ "sender", required_argument, NULL, 's' },
	{ "recipient", required_argument, NULL, 'r' },
	{ "domain", required_argument, NULL, 'd' },
	{ "state", required_argument, NULL, 'S' },
	{ "reason", required_argument, NULL, 'R' },
	{ "older", required_argument, NULL, 'o' },
	{ "newer", required_argument, NULL, 'n' },
	{ "limit", required_argument, NULL, 'l' },
	{ "note", required_argument, NULL, 'N' },
	{ "all", no_argument, NULL, 'a' },
	{ NULL, 0, NULL, 0 }
};

/* --- the command line --- */

static int wrong(const struct request *request, const char *option,
    const char *value, const char *accepted)
{
	char problem[512];

	snprintf(problem, sizeof(problem), "--%s \"%s\": %s", option, value,
	    accepted);
	return command_usage("postern queue", &table[request->verb], problem);
}

/* A number with at most one letter of units behind; -1 if it is none. */
static json_int_t read_number(const char *text, const char *units,
    const int64_t *factors)
{
	const char *unit;
	long long number;
	char *end;

	if (!isdigit((unsigned char)text[0]))
		return -1;
	errno = 0;
	number = strtoll(text, &end, 10);
	if (errno != 0 || number > INT64_MAX / 86400)
		return -1;
	if (*end == '\0')
		return number;
	unit = strchr(units, *end);
	if (unit == NULL || end[1] != '\0')
		return -1;
	return number * factors[unit - units];
}

static json_int_t read_age(const char *text)
{
	static const int64_t factors[] = { 1, 60, 3600, 86400 };

	return read_number(text, "smhd", factors);
}

static void put(struct request *request, const char *name, json_t *value)
{
	json_object_set_new(request->arguments, name, value);
}

static int put_text(struct request *request, const char *name, const char *text)
{
	json_t *value = json_string(text);

	if (value == NULL)
		return wrong(request, name, "...", "is not UTF-8");
	put(request, name, value);
	return -1;
}

static int put_number(struct request *request, const char *name,
    const char *text, json_int_t number)
{
	if (number < 0)
		return wrong(request, name, text, strcmp(name, "limit") == 0 ?
		    "a number is expected" : "a time is expected: seconds, or "
		    "a number with s, m, h or d behind");
	put(request, name, json_integer(number));
	return -1;
}

static int take_option(struct request *request, int letter, const char *text)
{
	switch (letter) {
	case 'c': request->options.configuration = text; return -1;
	case 'j': request->options.json = true; return -1;
	case 'a': put(request, "all", json_true()); return -1;
	case 's': return put_text(request, "sender", text);
	case 'r': return put_text(request, "recipient", text);
	case 'd': return put_text(request, "domain", text);
	case 'S': return put_text(request, "state", text);
	case 'R': return put_text(request, "reason", text);
	case 'N': return put_text(request, "note", text);
	case 'o': return put_number(request, "older", text, read_age(text));
	case 'n': return put_number(request, "newer", text, read_age(text));
	case 'l': return put_number(request, "limit", text,
	    read_number(text, "", NULL));
	case 'h':
		printf("usage: postern queue %s %s\n\n%s\n\n%s",
		    table[request->verb].name,
		    table[request->verb].arguments,
		    table[request->verb].summary, selector_help);
		return CONTROL_OK;
	default:
		return CONTROL_INTERNAL;	/* every letter is above */
	}
}

/* -1: go on; else the exit status. */
static int read_command(struct request *request, enum verb verb, int argc,
    char **argv)
{
	json_t *ids, *id;
	int letter, status, i;

	request->verb = verb;
	request->options.configuration = POSTERN_SYSCONFDIR "/postern.conf";
	request->options.json = false;
	request->headed = false;
	request->arguments = json_object();
	optind = 1;
	opterr = 0;
	while ((letter = getopt_long(argc, argv, "c:jh", longs, NULL)) != -1) {
		status = letter == '?' ? command_wrong_option("postern queue",
		    &table[verb], argv[optind - 1]) :
		    take_option(request, letter, optarg);
		if (status != -1)
			return status;
	}
	if (optind == argc)
		return -1;
	ids = json_array();
	put(request, "id", ids);
	for (i = optind; i < argc; i++) {
		id = json_string(argv[i]);
		if (id == NULL)
			return command_usage("postern queue", &table[verb],
			    "an identifier has hexadecimal digits only");
		json_array_append_new(ids, id);
	}
	return -1;
}

/* --- printing --- */

static const char *text_of(const json_t *object, const char *key)
{
	const char *text = json_string_value(json_object_get(object, key));

	return text == NULL ? "" : text;
}

static long long number_of(const json_t *object, const char *key)
{
	return json_integer_value(json_object_get(object, key));
}

static void print_json(const json_t *object)
{
	json_dumpf(object, stdout, JSON_COMPACT);
	putchar('\n');
}

/* Why a recipient waits, in one line. */
static void print_recipient(const json_t *recipient)
{
	const char *next = text_of(recipient, "next");
	const char *text = text_of(recipient, "text");

	printf("    ");
	control_client_print(text_of(recipient, "address"));
	printf("  %s", text_of(recipient, "state"));
	if (number_of(recipient, "attempts") > 0)
		printf(" after %lld attempt(s)", number_of(recipient,
		    "attempts"));
	if (next[0] != '\0')
		printf(", next %s", next);
	if (text_of(recipient, "held")[0] != '\0') {
		printf(": ");
		control_client_print(text_of(recipient, "held"));
	}
	printf("\n");
	if (text_of(recipient, "status")[0] == '\0')
		return;
	printf("        %s %s", text_of(recipient, "status"),
	    text_of(recipient, "reason"));
	if (text_of(recipient, "host")[0] != '\0') {
		printf(" at ");
		control_client_print(text_of(recipient, "host"));
	}
	if (text_of(recipient, "tls")[0] != '\0') {
		printf(" tls=");
		control_client_print(text_of(recipient, "tls"));
	}
	printf("\n");
	if (text[0] != '\0') {
		printf("        ");
		control_client_print(text);
		printf("\n");
	}
}

static void print_origin(const json_t *object)
{
	static const char *const names[] = { "client", "helo", "protocol",
	    "tls", "envid" };
	size_t i;

	for (i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		if (text_of(object, names[i])[0] == '\0')
			continue;
		printf("    %s: ", names[i]);
		control_client_print(text_of(object, names[i]));
		printf("\n");
	}
}

static void print_message(const json_t *object)
{
	const json_t *recipients = json_object_get(object, "recipients");
	long long more = number_of(object, "selected") -
	    (long long)json_array_size(recipients);
	size_t i;

	printf("%s  %s  %lld bytes  %s  from <", text_of(object, "id"),
	    text_of(object, "arrival"), number_of(object, "size"),
	    text_of(object, "state"));
	control_client_print(text_of(object, "sender"));
	printf(">\n");
	print_origin(object);
	for (i = 0; i < json_array_size(recipients); i++)
		print_recipient(json_array_get(recipients, i));
	if (more > 0)
		printf("    and %lld more recipient(s)\n", more);
}

/* What a change did. */
static void print_change(const json_t *object)
{
	printf("%s: %lld message(s), %lld recipient(s)\n",
	    text_of(object, "verb"), number_of(object, "messages"),
	    number_of(object, "recipients"));
}

static void print_counts(const char *name, const json_t *counts)
{
	char shown[300];

	log_escape(name, strlen(name), shown, sizeof(shown));
	printf("%-30s %8lld %10lld %8lld %8lld %6lld  %s\n", shown,
	    number_of(counts, "messages"), number_of(counts, "recipients"),
	    number_of(counts, "active"), number_of(counts, "deferred"),
	    number_of(counts, "held"), text_of(counts, "oldest"));
}

/* A line a domain, and at the end the total. */
static void print_stats(struct request *request, const json_t *object)
{
	const json_t *total = json_object_get(object, "total");

	if (!request->headed)
		printf("%-30s %8s %10s %8s %8s %6s  %s\n", "domain",
		    "messages", "recipients", "active", "deferred", "held",
		    "oldest");
	request->headed = true;
	if (total == NULL)
		print_counts(text_of(object, "domain"), object);
	else
		print_counts("(all)", total);
}

/* A piece of a message: bytes as they are, since a file or a pipe wants them so;
 * a terminal gets what it can show. */
static void print_bytes(const char *hex)
{
	size_t size = strlen(hex) / 2 + 1;
	uint8_t *bytes = mem_alloc(size);
	int length = hex_parse(bytes, size, hex), i;

	for (i = 0; i < length; i++)
		if (isatty(STDOUT_FILENO) && bytes[i] != '\n' &&
		    bytes[i] != '\t' && (bytes[i] < 32 || bytes[i] == 127))
			bytes[i] = bytes[i] == '\r' ? ' ' : '?';
	if (length > 0)
		fwrite(bytes, 1, (size_t)length, stdout);
	mem_free(bytes);
}

static void print_line(void *arg, const json_t *object)
{
	struct request *request = arg;
	const char *hex = json_string_value(json_object_get(object, "hex"));

	if (request->options.json)
		print_json(object);
	else if (request->verb == CAT && hex != NULL)
		print_bytes(hex);
	else if (json_object_get(object, "recipients") != NULL &&
	    json_object_get(object, "id") != NULL)
		print_message(object);
	else if (json_object_get(object, "verb") != NULL)
		print_change(object);
	else
		print_stats(request, object);
}

/* --- verbs --- */

static int ask(enum verb verb, int argc, char **argv)
{
	struct request request;
	struct conf *conf;
	int status = read_command(&request, verb, argc, argv);

	if (status == -1) {
		conf = control_client_conf(request.options.configuration);
		if (conf == NULL) {
			status = CONTROL_CONFIG;
		} else {
			status = control_client_ask(conf, ROLE_QUEUE,
			    table[verb].name, json_incref(request.arguments),
			    print_line, &request);
			conf_free(conf);
		}
	}
	json_decref(request.arguments);
	return status;
}

static int run_list(int argc, char **argv)
{
	return ask(LIST, argc, argv);
}

static int run_show(int argc, char **argv)
{
	return ask(SHOW, argc, argv);
}

static int run_cat(int argc, char **argv)
{
	return ask(CAT, argc, argv);
}

static int run_hold(int argc, char **argv)
{
	return ask(HOLD, argc, argv);
}

static int run_release(int argc, char **argv)
{
	return ask(RELEASE, argc, argv);
}

static int run_retry(int argc, char **argv)
{
	return ask(RETRY, argc, argv);
}

static int run_delete(int argc, char **argv)
{
	return ask(DELETE, argc, argv);
}

static int run_bounce(int argc, char **argv)
{
	return ask(BOUNCE, argc, argv);
}

static int run_stats(int argc, char **argv)
{
	return ask(STATS, argc, argv);
}

int command_queue(int argc, char **argv)
{
	return command_dispatch("postern queue", table, VERBS, argc, argv);
}
