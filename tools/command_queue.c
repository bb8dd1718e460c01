/* SPDX-License-Identifier: ISC */
/*
 * postern queue: selectors from the command line become the arguments of the
 * queue's verbs (queue/selector.h); its answers become tables, or stay JSON.
 * Everything that came from outside is escaped before a terminal sees it.
 */
#include "tools/command.h"

#include <getopt.h>
#include <jansson.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "base/address.h"
#include "base/control.h"
#include "base/digest.h"
#include "base/idn.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/status.h"
#include "conf/conf.h"
#include "config.h"
#include "tools/command_queue_next.h"
#include "tools/command_text.h"
#include "tools/command_time.h"
#include "tools/control_client.h"

static int	run_list(int argc, char **argv);
static int	run_show(int argc, char **argv);
static int	run_cat(int argc, char **argv);
static int	run_hold(int argc, char **argv);
static int	run_release(int argc, char **argv);
static int	run_retry(int argc, char **argv);
static int	run_delete(int argc, char **argv);
static int	run_bounce(int argc, char **argv);
static int	run_set_tls(int argc, char **argv);
static int	run_stats(int argc, char **argv);

#define SELECTORS "[SELECTOR...] [ID...] [-j] [-c FILE]"

static const struct command table[] = {
	{ "list", SELECTORS, "one entry a message", run_list },
	{ "show", SELECTORS, "everything about messages: each recipient, its "
	    "last attempt, and what the next one will ask for", run_show },
	{ "cat", "[--original] ID [-c FILE]", "print the message itself, as it "
	    "will be sent", run_cat },
	{ "hold", "[--note TEXT] " SELECTORS, "keep messages until they are "
	    "released", run_hold },
	{ "release", SELECTORS, "let held messages go on", run_release },
	{ "retry", SELECTORS, "try messages now", run_retry },
	{ "delete", SELECTORS, "remove messages; nobody is told",
	    run_delete },
	{ "bounce", "[--note TEXT] " SELECTORS, "return messages to their "
	    "senders", run_bounce },
	{ "set-tls", "[SELECTOR...] [ID...] LEVEL --reason TEXT [-j] "
	    "[-c FILE]", "what TLS messages need from now on, instead of what "
	    "their destinations need", run_set_tls },
	{ "stats", "[-j] [-c FILE]", "messages and recipients by domain and "
	    "state", run_stats },
};
enum verb { LIST, SHOW, CAT, HOLD, RELEASE, RETRY, DELETE, BOUNCE, SET_TLS,
    STATS, VERBS };

/* What the command line said. */
struct request {
	struct command_options	 options;
	json_t			*arguments;	/* owned until it is sent */
	enum verb		 verb;
	bool			 headed;	/* stats: the heading is out */
	/* show: messages that wait until the queue has said all, since policy
	 * is asked about each */
	json_t			*kept;		/* owned; null: none is kept */
};

static const char selector_help[] =
"SELECTORS (all that are given must hold):\n"
"  --sender ADDRESS     sender; * stands for anything, <> for none\n"
"  --recipient ADDRESS  recipient\n"
"  --domain DOMAIN      of a recipient\n"
"  --state STATE        active, deferred or held\n"
"  --reason REASON      of the last attempt; a word of those below\n"
"  --failure REASON     the same\n"
"  --older TIME         at least this old: seconds, or with s, m, h, d\n"
"  --newer TIME         younger than this\n"
"  --limit NUMBER       of messages\n"
"  --all                every message\n";

static const char set_tls_help[] =
"LEVEL, the last word of the line, replaces the level of the destination for\n"
"these messages, and what an exception says; it does not weaken REQUIRETLS:\n"
"  none, may, encrypt, auto, dane, dane-only, sts, strict (postern.conf(5)),\n"
"  or default to take back what was set\n"
"  --reason TEXT        why; it is kept with the messages (also --note; the\n"
"                       selector by reason is --failure here)\n"
"The messages are tried at once, unless they are held.\n";

static const char cat_help[] =
"  --original           as it came in, before filters changed it\n";

static const struct option longs[] = {
	{ "config", required_argument, NULL, 'c' },
	{ "json", no_argument, NULL, 'j' },
	{ "help", no_argument, NULL, 'h' },
	{ "sender", required_argument, NULL, 's' },
	{ "recipient", required_argument, NULL, 'r' },
	{ "domain", required_argument, NULL, 'd' },
	{ "state", required_argument, NULL, 'S' },
	{ "reason", required_argument, NULL, 'R' },
	{ "failure", required_argument, NULL, 'f' },
	{ "older", required_argument, NULL, 'o' },
	{ "newer", required_argument, NULL, 'n' },
	{ "limit", required_argument, NULL, 'l' },
	{ "note", required_argument, NULL, 'N' },
	{ "all", no_argument, NULL, 'a' },
	{ "original", no_argument, NULL, 'O' },
	{ NULL, 0, NULL, 0 }
};

/* --- the command line --- */

static int wrong(const struct request *request, const char *option,
    const char *value, const char *accepted)
{
	char problem[512], shown[200];

	text_clean(value, shown, sizeof(shown));
	snprintf(problem, sizeof(problem), "--%s \"%s\": %s", option, shown,
	    accepted);
	return command_usage("postern queue", &table[request->verb], problem);
}

/* -1 if it is none. */
static json_int_t read_count(const char *text)
{
	return text[strspn(text, "0123456789")] == '\0' ?
	    command_read_age(text) : -1;
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

/* As the roles write domains and addresses. */
static int put_name(struct request *request, const char *name,
    const char *text)
{
	char ascii[ADDRESS_MAX + 1];
	const char *why = NULL;

	/* What has no other script in it may be a pattern of any kind. */
	if (!idn_is_needed(text))
		return put_text(request, name, text);
	why = strcmp(name, "domain") == 0 ?
	    domain_pattern_to_ascii(ascii, sizeof(ascii), text) :
	    address_pattern_to_ascii(ascii, sizeof(ascii), text);
	return why == NULL ? put_text(request, name, ascii) :
	    wrong(request, name, text, why);
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

/* Every word that --reason takes, from the place that knows them. */
static void print_reasons(void)
{
	char line[TEXT_BYTES] = "REASONS: ";
	size_t used = strlen(line);
	int i;

	for (i = REASON_NONE + 1; i < STATUS_REASONS; i++)
		used += (size_t)snprintf(line + used, sizeof(line) - used,
		    "%s, ", status_reason_name((enum status_reason)i));
	snprintf(line + used, sizeof(line) - used, "or a class of them: "
	    "broken-tls (STARTTLS refused, handshake failed), tls (whatever "
	    "is about TLS or its policy), temporary-dns");
	text_line(0, line);
}

static int print_help(const struct request *request)
{
	printf("usage: postern queue %s %s\n\n%s\n\n",
	    table[request->verb].name, table[request->verb].arguments,
	    table[request->verb].summary);
	if (request->verb == SET_TLS)
		printf("%s\n", set_tls_help);
	if (request->verb == CAT)
		printf("%s", cat_help);
	if (request->verb != STATS && request->verb != CAT) {
		printf("%s", selector_help);
		print_reasons();
	}
	return CONTROL_OK;
}

static int take_option(struct request *request, int letter, const char *text)
{
	switch (letter) {
	case 'c': request->options.configuration = text; return -1;
	case 'j': request->options.json = true; return -1;
	case 'a': put(request, "all", json_true()); return -1;
	case 'O': put(request, "original", json_true()); return -1;
	case 's': return put_name(request, "sender", text);
	case 'r': return put_name(request, "recipient", text);
	case 'd': return put_name(request, "domain", text);
	case 'S': return put_text(request, "state", text);
	/* In set-tls it is the operator's own. */
	case 'R': return put_text(request, request->verb == SET_TLS ? "note" :
	    "reason", text);
	case 'f': return put_text(request, "reason", text);
	case 'N': return put_text(request, "note", text);
	case 'o': return put_number(request, "older", text,
	    command_read_age(text));
	case 'n': return put_number(request, "newer", text,
	    command_read_age(text));
	case 'l': return put_number(request, "limit", text,
	    read_count(text));
	case 'h': return print_help(request);
	default:
		return CONTROL_INTERNAL;	/* every letter is above */
	}
}

/* The last operand of set-tls, and its reason. */
static int take_level(struct request *request, int argc, char **argv,
    int *operands_end)
{
	static const char *const levels[] = { "none", "may", "encrypt", "auto",
	    "dane", "dane-only", "sts", "strict", "default" };
	const char *level = optind < argc ? argv[argc - 1] : "";
	size_t i;

	for (i = 0; i < sizeof(levels) / sizeof(levels[0]); i++)
		if (strcmp(level, levels[i]) == 0)
			break;
	if (i == sizeof(levels) / sizeof(levels[0]))
		return command_usage("postern queue", &table[request->verb],
		    "the last word must be a level: none, may, encrypt, auto, "
		    "dane, dane-only, sts, strict, or default");
	if (json_string_length(json_object_get(request->arguments,
	    "note")) == 0)
		return command_usage("postern queue", &table[request->verb],
		    "--reason: why? a few words that are kept with the "
		    "messages, such as \"ticket 41\"");
	put(request, "level", json_string(level));
	*operands_end = argc - 1;
	return -1;
}

static int take_ids(struct request *request, int end, char **argv)
{
	json_t *ids, *id;
	int i;

	if (optind == end)
		return -1;
	ids = json_array();
	put(request, "id", ids);
	for (i = optind; i < end; i++) {
		id = json_string(argv[i]);
		if (id == NULL)
			return command_usage("postern queue",
			    &table[request->verb], "an identifier has "
			    "hexadecimal digits only");
		json_array_append_new(ids, id);
	}
	return -1;
}

/* -1: go on; else the exit status. */
static int read_command(struct request *request, enum verb verb, int argc,
    char **argv)
{
	int letter, status, end = argc;

	memset(request, 0, sizeof(*request));
	request->verb = verb;
	request->options.configuration = POSTERN_SYSCONFDIR "/postern.conf";
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
	if (verb == SET_TLS) {
		status = take_level(request, argc, argv, &end);
		if (status != -1)
			return status;
	}
	return take_ids(request, end, argv);
}

/* --- printing --- */

/* The level that an operator gave the message, or took back. */
static void print_level(const json_t *recipient)
{
	const char *level = text_of(recipient, "tls-level");

	if (level[0] == '\0' && text_of(recipient, "tls-set")[0] == '\0')
		return;
	printf("        level %s, set", level[0] == '\0' ? "default" : level);
	if (text_of(recipient, "tls-set")[0] != '\0') {
		printf(" at %s by ", text_of(recipient, "tls-set"));
		text_print(text_of(recipient, "tls-author"), 0);
		printf(": ");
		text_print(text_of(recipient, "tls-reason"), 0);
	}
	printf("\n");
}

/* What clear-after counts from. */
static void print_trouble(const json_t *recipient)
{
	if (text_of(recipient, "tls-trouble")[0] != '\0')
		printf("        TLS fails since %s\n", text_of(recipient,
		    "tls-trouble"));
}

/* What was written to, and who is said to send it, where that is another
 * address. */
static void print_addresses(const json_t *recipient)
{
	const char *original = text_of(recipient, "original");

	if (original[0] != '\0' && strcasecmp(original,
	    text_of(recipient, "address")) != 0) {
		printf("        for <");
		text_print(original, 0);
		printf(">\n");
	}
	if (json_is_true(json_object_get(recipient, "forwarded"))) {
		printf("        forwarded, from <");
		text_print(text_of(recipient, "sender"), 0);
		printf(">\n");
	}
}

/* Why a recipient waits, in one line. */
static void print_recipient(const json_t *recipient)
{
	const char *next = text_of(recipient, "next");
	const char *text = text_of(recipient, "text");

	printf("    ");
	text_print(text_of(recipient, "address"), 0);
	printf("  %s", text_of(recipient, "state"));
	if (number_of(recipient, "attempts") > 0)
		printf(" after %lld attempt(s)", number_of(recipient,
		    "attempts"));
	if (next[0] != '\0')
		printf(", next %s", next);
	if (strcmp(text_of(recipient, "held-by"), "filter") == 0)
		printf(" by a filter");
	if (text_of(recipient, "held")[0] != '\0') {
		printf(": ");
		text_print(text_of(recipient, "held"), 0);
	}
	printf("\n");
	print_addresses(recipient);
	print_level(recipient);
	if (text_of(recipient, "status")[0] == '\0')
		return;
	printf("        %s %s", text_of(recipient, "status"),
	    text_of(recipient, "reason"));
	if (text_of(recipient, "host")[0] != '\0') {
		printf(" at ");
		text_print(text_of(recipient, "host"), 0);
	}
	if (text_of(recipient, "tls")[0] != '\0') {
		printf(" tls=");
		text_print(text_of(recipient, "tls"), 0);
	}
	printf("\n");
	if (text[0] != '\0') {
		printf("        ");
		text_print(text, 0);
		printf("\n");
	}
	print_trouble(recipient);
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
		text_print(text_of(object, names[i]), 0);
		printf("\n");
	}
	if (json_is_true(json_object_get(object, "edited")))
		printf("    changed by filters\n");
}

/* What the sender asks for (RFC 8689). */
static void print_tag(const json_t *object)
{
	const char *tag = text_of(object, "tls-tag");

	if (strcmp(tag, "requiretls") == 0)
		printf("    REQUIRETLS: only where TLS leads on\n");
	else if (strcmp(tag, "optional") == 0)
		printf("    TLS-Required: No: what the recipient's domain "
		    "publishes does not bind\n");
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
	text_print(text_of(object, "sender"), 0);
	printf(">\n");
	print_tag(object);
	print_origin(object);
	for (i = 0; i < json_array_size(recipients); i++)
		print_recipient(json_array_get(recipients, i));
	if (more > 0)
		printf("    and %lld more recipient(s)\n", more);
}

/* What a change did. */
static void print_change(const json_t *object)
{
	printf("%s%s%s: %lld message(s), %lld recipient(s)\n",
	    text_of(object, "verb"), text_of(object, "level")[0] == '\0' ? "" :
	    " ", text_of(object, "level"), number_of(object, "messages"),
	    number_of(object, "recipients"));
	if (text_of(object, "notice")[0] != '\0')
		text_line(0, text_of(object, "notice"));
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

static void show(const struct request *request, const json_t *object)
{
	if (request->options.json)
		text_print_json(object);
	else
		print_message(object);
}

/* When there are more than policy is asked about, nothing is kept any more. */
static void keep(struct request *request, const json_t *object)
{
	const json_t *message;
	size_t i;

	json_array_append(request->kept, (json_t *)object);
	if (json_array_size(request->kept) <= QUEUE_NEXT_MESSAGES)
		return;
	json_array_foreach(request->kept, i, message)
		show(request, message);
	json_decref(request->kept);
	request->kept = NULL;
}

static void print_line(void *arg, const json_t *object)
{
	struct request *request = arg;
	const char *hex = json_string_value(json_object_get(object, "hex"));

	if (request->kept != NULL) {
		keep(request, object);
		return;
	}
	if (request->options.json)
		text_print_json(object);
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

/* The queue has said what it has; policy says what comes next. */
static void show_kept(struct request *request, const struct conf *conf)
{
	const json_t *message;
	size_t i;

	if (request->kept == NULL) {
		fflush(stdout);
		fprintf(stderr, "postern: policy was not asked what the next "
		    "attempts will do, since there are more than %d messages; "
		    "choose fewer\n", QUEUE_NEXT_MESSAGES);
		return;
	}
	json_array_foreach(request->kept, i, message) {
		show(request, message);
		fflush(stdout);
		queue_next_tell(conf, message, request->options.json);
	}
	json_decref(request->kept);
	request->kept = NULL;
}

static int ask_queue(struct request *request, const struct conf *conf)
{
	int status;

	if (request->verb == SHOW)
		request->kept = json_array();
	status = control_client_ask(conf, ROLE_QUEUE,
	    table[request->verb].name, json_incref(request->arguments),
	    print_line, request);
	if (request->verb == SHOW)
		show_kept(request, conf);
	return status;
}

static int ask(enum verb verb, int argc, char **argv)
{
	struct request request;
	struct conf *conf;
	int status = read_command(&request, verb, argc, argv);

	if (status == -1) {
		conf = control_client_conf(request.options.configuration);
		status = conf == NULL ? CONTROL_CONFIG :
		    ask_queue(&request, conf);
		conf_free(conf);
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

static int run_set_tls(int argc, char **argv)
{
	return ask(SET_TLS, argc, argv);
}

static int run_stats(int argc, char **argv)
{
	return ask(STATS, argc, argv);
}

int command_queue(int argc, char **argv)
{
	return command_dispatch("postern queue", table, VERBS, argc, argv);
}
