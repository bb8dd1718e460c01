/* SPDX-License-Identifier: ISC */
/*
 * postern check-message: a session with the running server as a client that
 * the operator names (smtpd/trial.h). The server tells each decision; nothing
 * is accepted. What is printed is what the server said, in its order.
 */
#include "tools/command.h"

#include <errno.h>
#include <getopt.h>
#include <jansson.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "config.h"

#include "base/control.h"
#include "base/mem.h"
#include "conf/conf.h"
#include "tools/command_text.h"
#include "tools/control_client.h"

enum { RECIPIENTS_MAX = 100, COMMAND_MAX_BYTES = 1024 };

static const struct command check_message_command = { "check-message",
    "[-c FILE] [-j] FILE --from SENDER --to RECIPIENT... --client ADDRESS\n"
    "           [--helo NAME] [--listener NAME] [--user NAME]",
    "Says what the running server would answer to the message in FILE (- is\n"
    "standard input) from that client, and why: each check of client, sender,\n"
    "recipients and content with its result. Nothing is accepted, counted or\n"
    "remembered; milters are really asked. --user: who has logged in. \"\" is "
    "the\nnull sender. Ends with 0 when it would be accepted, 1 when not.",
    command_check_message };

struct trial {
	const char	*configuration;
	const char	*file;
	const char	*sender;
	const char	*recipients[RECIPIENTS_MAX];
	size_t		 recipient_count;
	const char	*client;
	const char	*hello;
	const char	*listener;
	const char	*user;
	bool		 json;

	/* Two streams, for what has come and was not read yet stays in one. */
	FILE		*server;	/* to read from */
	FILE		*to_server;
	char		*line;		/* owned; of getline() */
	size_t		 line_size;
	int		 code;		/* of the last reply; 0: none came */
	bool		 wrong;		/* the server says the request was */
};

/* --- what the server says --- */

/* What strangers wrote is for a terminal: no control characters but line
 * ends. */
static void put(const char *text)
{
	for (; *text != '\0'; text++)
		if (((unsigned char)*text >= ' ' && *text != 0x7f) ||
		    strchr("\t\r\n", *text) != NULL)
			putchar(*text);
		else
			putchar('?');
}

static void put_line(const char *what, const char *text)
{
	printf("%-23s ", what);
	put(text);
	putchar('\n');
}

static void print_message(const json_t *object)
{
	const json_t *recipients = json_object_get(object, "recipients");
	const json_t *one;
	size_t i;

	put_line("sender", text_of(object, "sender")[0] == '\0' ? "<>" :
	    text_of(object, "sender"));
	json_array_foreach(recipients, i, one)
		put_line("recipient", json_string_value(one));
	if (json_is_string(json_object_get(object, "hold")))
		put_line("held", text_of(object, "hold"));
	printf("%-23s %lld\n", "edits", (long long)json_integer_value(
	    json_object_get(object, "edits")));
	printf("new fields:\n");
	put(text_of(object, "prefix"));
}

static void print_decision(const struct trial *trial, const char *line)
{
	json_t *object = text_read_answer(line, strlen(line));

	if (object == NULL)
		return;
	if (trial->json)
		text_print_json(object);
	else if (json_object_get(object, "recipients") != NULL)
		print_message(object);
	else if (json_object_get(object, "end") != NULL)
		fprintf(stderr, "postern: %s\n", text_of(object, "message"));
	else {
		printf("%-23s %-9s ", text_of(object, "check"),
		    text_of(object, "result"));
		put(text_of(object, "text"));
		putchar('\n');
	}
	json_decref(object);
}

/* What was answered to what. */
static void print_reply(const struct trial *trial, const char *to,
    const char *line)
{
	json_t *object;
	char *text;

	if (!trial->json) {
		printf("%-23s %s\n", to, line);
		return;
	}
	object = json_pack("{s:s s:s}", "command", to, "reply", line);
	text = object == NULL ? NULL : json_dumps(object, JSON_COMPACT);
	if (text != NULL)
		printf("%s\n", text);
	free(text);
	json_decref(object);
}

/* Up to the end of one reply; its code, 0 when the server went away. */
static int read_reply(struct trial *trial, const char *to)
{
	bool first = true;
	ssize_t length;

	trial->code = 0;
	while ((length = getline(&trial->line, &trial->line_size,
	    trial->server)) > 0) {
		trial->line[strcspn(trial->line, "\r\n")] = '\0';
		if (trial->line[0] == '{') {
			trial->wrong |= strstr(trial->line, "\"end\"") != NULL;
			print_decision(trial, trial->line);
			continue;
		}
		/* Of an agreement the first line is enough. */
		if (first || trial->line[0] != '2')
			print_reply(trial, to, trial->line);
		first = false;
		if (strlen(trial->line) < 4 || trial->line[3] != '-') {
			trial->code = (int)strtol(trial->line, NULL, 10);
			return trial->code;
		}
	}
	return 0;
}

/* --- what we say --- */

__attribute__((format(printf, 3, 4)))
static int say(struct trial *trial, const char *to, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	vfprintf(trial->to_server, format, arguments);
	va_end(arguments);
	fputs("\r\n", trial->to_server);
	trial->code = 0;
	/* Where that fails the last word may be there to be read. */
	(void)fflush(trial->to_server);
	return read_reply(trial, to);
}

/* Lines with CRLF and dots doubled (RFC 5321 4.5.2), whatever the file has. */
static void send_content(struct trial *trial, FILE *in)
{
	char *line = NULL;
	size_t size = 0;
	ssize_t length;

	while ((length = getline(&line, &size, in)) > 0) {
		while (length > 0 && (line[length - 1] == '\n' ||
		    line[length - 1] == '\r'))
			length--;
		if (length > 0 && line[0] == '.')
			fputc('.', trial->to_server);
		fwrite(line, 1, (size_t)length, trial->to_server);
		fputs("\r\n", trial->to_server);
	}
	free(line);
}

/* Whether the message would be accepted for somebody. */
static bool converse(struct trial *trial, FILE *message)
{
	bool any = false;

	if (read_reply(trial, "connection") != 220 ||
	    say(trial, "EHLO", "EHLO %s", trial->hello) != 250 ||
	    say(trial, "MAIL", "MAIL FROM:<%s>", trial->sender) != 250)
		return false;
	for (size_t i = 0; i < trial->recipient_count; i++)
		any |= say(trial, "RCPT", "RCPT TO:<%s>",
		    trial->recipients[i]) == 250;
	if (!any || say(trial, "DATA", "DATA") != 354)
		return false;
	send_content(trial, message);
	return say(trial, "content", ".") == 250;
}

/* --- the command --- */

/* Null with errno, for a directory too, which fopen() takes. */
static FILE *open_message(const char *path)
{
	FILE *file = fopen(path, "r");
	int first = file == NULL ? EOF : getc(file);

	if (file == NULL || !ferror(file)) {
		if (first != EOF)
			ungetc(first, file);
		return file;
	}
	first = errno;
	fclose(file);
	errno = first;
	return NULL;
}

static int read_options(struct trial *trial, int argc, char **argv)
{
	static const struct option known[] = {
		{ "config", required_argument, NULL, 'c' },
		{ "json", no_argument, NULL, 'j' },
		{ "help", no_argument, NULL, 'h' },
		{ "from", required_argument, NULL, 'f' },
		{ "to", required_argument, NULL, 't' },
		{ "client", required_argument, NULL, 'i' },
		{ "helo", required_argument, NULL, 'e' },
		{ "listener", required_argument, NULL, 'l' },
		{ "user", required_argument, NULL, 'u' },
		{ NULL, 0, NULL, 0 },
	};
	int option;

	opterr = 0;
	optind = 1;
	while ((option = getopt_long(argc, argv, "c:jh", known, NULL)) != -1)
		switch (option) {
		case 'c': trial->configuration = optarg; break;
		case 'j': trial->json = true; break;
		case 'f': trial->sender = optarg; break;
		case 'i': trial->client = optarg; break;
		case 'e': trial->hello = optarg; break;
		case 'l': trial->listener = optarg; break;
		case 'u': trial->user = optarg; break;
		case 't':
			if (trial->recipient_count == RECIPIENTS_MAX)
				return command_usage("postern", &check_message_command,
				    "too many recipients");
			trial->recipients[trial->recipient_count++] = optarg;
			break;
		case 'h':
			printf("usage: postern check-message %s\n\n%s\n",
			    check_message_command.arguments,
			    check_message_command.summary);
			return CONTROL_OK;
		default:
			return command_wrong_option("postern", &check_message_command,
			    argv[optind - 1]);
		}
	if (optind + 1 != argc)
		return command_usage("postern", &check_message_command,
		    "name one file, or - for standard input");
	trial->file = argv[optind];
	return -1;
}

/* Nothing that would be more than one command. */
static bool is_clean(const char *text)
{
	return text[strcspn(text, "\r\n")] == '\0' &&
	    strlen(text) < COMMAND_MAX_BYTES;
}

static const char *find_problem(const struct trial *trial)
{
	if (trial->sender == NULL)
		return "--from is missing (\"\" is the null sender)";
	if (trial->recipient_count == 0)
		return "--to is missing";
	if (trial->client == NULL)
		return "--client is missing: the address of the host that "
		    "would send it";
	if (!is_clean(trial->sender) || !is_clean(trial->hello))
		return "--from or --helo is no single line";
	for (size_t i = 0; i < trial->recipient_count; i++)
		if (!is_clean(trial->recipients[i]))
			return "--to is no single line";
	return NULL;
}

static int run(struct trial *trial, const struct conf *conf, FILE *message)
{
	json_t *arguments = json_pack("{s:s s:s s:s}", "client",
	    trial->client, "listener", trial->listener, "user", trial->user);
	bool good;
	int fd;

	if (arguments == NULL)
		return command_usage("postern", &check_message_command,
		    "an argument is not UTF-8");
	fd = control_client_open(conf, ROLE_SMTPD, "trial", arguments);
	if (fd == -1)
		return errno == EACCES ? CONTROL_DENIED : CONTROL_UNAVAILABLE;
	/* It may answer and close before it has heard all of the content. */
	signal(SIGPIPE, SIG_IGN);
	trial->server = fdopen(fd, "r");
	trial->to_server = fdopen(dup(fd), "w");
	good = converse(trial, message);
	if (good || trial->code != 0)
		fputs("QUIT\r\n", trial->to_server);
	fclose(trial->to_server);
	fclose(trial->server);
	free(trial->line);
	if (trial->wrong)
		return CONTROL_USAGE;
	if (trial->code == 0) {
		fprintf(stderr, "postern: the server closed the connection\n");
		return CONTROL_UNAVAILABLE;
	}
	return good ? CONTROL_OK : CONTROL_NONE_MATCHED;
}

int command_check_message(int argc, char **argv)
{
	struct trial trial = { .configuration = POSTERN_SYSCONFDIR
	    "/postern.conf",
	    .hello = "client.invalid", .listener = "", .user = "" };
	int status = read_options(&trial, argc, argv);
	const char *problem;
	struct conf *conf;
	FILE *message;

	if (status != -1)
		return status;
	problem = find_problem(&trial);
	if (problem != NULL)
		return command_usage("postern", &check_message_command, problem);
	conf = control_client_conf(trial.configuration);
	if (conf == NULL)
		return CONTROL_CONFIG;
	message = strcmp(trial.file, "-") == 0 ? stdin :
	    open_message(trial.file);
	if (message == NULL) {
		fprintf(stderr, "postern: %s: %s\n", trial.file,
		    strerror(errno));
		status = CONTROL_DATA;
	} else {
		status = run(&trial, conf, message);
		if (message != stdin)
			fclose(message);
	}
	conf_free(conf);
	return status;
}
