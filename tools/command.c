/* SPDX-License-Identifier: ISC */
/*
 * Finding the command, and the options all of them share.
 */
#include "tools/command.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/control.h"
#include "base/process.h"
#include "base/role.h"
#include "config.h"
#include "delivery/delivery.h"
#include "delivery/mailbox.h"
#include "policy/directory.h"
#include "policy/policy.h"
#include "queue/queue.h"
#include "smtpd/smtpd.h"
#include "smtpd/sts_server.h"
#include "tools/sendmail.h"
#include "tools/sendmail_options.h"
#include "tools/command_dkim.h"
#include "tools/command_dns.h"
#include "tools/queue_readers.h"
#include "tools/command_sts.h"

static const struct command commands[] = {
	{ "run", "[-c FILE]", "start the server and stay in the foreground",
	    command_run },
	{ "stop", "[-c FILE]", "stop the running server, finishing what is "
	    "in flight", command_stop },
	{ "reload", "[-c FILE]", "read configuration and certificates again",
	    command_reload },
	{ "status", "[-c FILE] [-j]", "show the processes and listeners of "
	    "the running server", command_status },
	{ "check", "[-c FILE]", "check configuration, certificates, ports and "
	    "directories without starting", command_check },
	{ "check-message", "FILE --from SENDER --to RECIPIENT --client "
	    "ADDRESS ...", "what would be said to a message, and why, without "
	    "taking it", command_check_message },
	{ "address", "[-c FILE] [--sender ADDRESS] [-j] ADDRESS", "who gets "
	    "the mail for an address, and why", command_address },
	{ "table", "build|show ...", "long lists of users and of aliases, made "
	    "from texts", command_table },
	{ "conf", "check|print|sample|manual [-c FILE]",
	    "work with the configuration file", command_conf },
	{ "queue", "list|show|cat|hold|release|retry|delete|bounce|redirect|"
	    "set-tls|stats|top|history ...", "look at queued mail, at what "
	    "became of it, and change it: postern-queue(8)", command_queue },
	{ "policy", "explain|probe|list|forget|memory|exception|events|"
	    "outcomes ...", "what TLS mail to a domain needs, why, and what "
	    "its hosts have shown", command_policy },
	{ "sts", "show|status|publish ...", "our own MTA-STS policies: what "
	    "they say, what the outside sees, approving enforce",
	    command_sts },
	{ "dns", "[check] DOMAIN [FILE] [-j] [-c FILE]", "every DNS record "
	    "that a domain of ours needs", command_dns },
	{ "user", "add|passwd|address|list|disable|enable|remove|test ...",
	    "who may log in, and the addresses they send from", command_user },
	{ "dkim", "new|list|dns|activate|retire|remove ...", "keys that sign "
	    "mail of our domains", command_dkim },
	{ "relay", "allow|list|revoke ...", "client certificates that may send "
	    "to any domain", command_relay },
	{ "sendmail", "[-t] [-i] [-f SENDER] [RECIPIENT...]", "give a message "
	    "on standard input to the server: sendmail(8)", sendmail_main },
	{ "lab", "list|run|shell ...", "judge this server, or another, in "
	    "worlds of hostile networks", command_lab },
};
enum { COMMANDS = sizeof(commands) / sizeof(commands[0]) };

static const struct role_entry *const roles[ROLE_COUNT] = {
	[ROLE_SMTPD] = &smtpd_entry,
	[ROLE_QUEUE] = &queue_entry,
	[ROLE_DELIVERY] = &delivery_entry,
	[ROLE_MAILBOX] = &mailbox_entry,
	[ROLE_POLICY] = &policy_entry,
	[ROLE_DIRECTORY] = &directory_entry,
	[ROLE_STS] = &sts_entry,
};

/* In lines of 80 columns at most. */
static void print_summary(FILE *out, const char *text)
{
	enum { INDENT = 6, WIDTH = 80 };
	size_t column = 0;

	while (*text != '\0') {
		size_t length = strcspn(text, " \n");

		if (column > 0 && column + 1 + length > WIDTH) {
			fputc('\n', out);
			column = 0;
		}
		column += (size_t)fprintf(out, "%*s%.*s", column == 0 ?
		    INDENT : 1, "", (int)length, text);
		text += length + strspn(text + length, " \n");
	}
	fputc('\n', out);
}

static void print_table(FILE *out, const char *prefix,
    const struct command *table, size_t count)
{
	size_t i;

	for (i = 0; i < count; i++) {
		fprintf(out, "  %s %s%s%s\n", prefix, table[i].name,
		    table[i].arguments[0] != '\0' ? " " : "",
		    table[i].arguments);
		print_summary(out, table[i].summary);
	}
}

static int print_help(const char *prefix, const struct command *table,
    size_t count)
{
	printf("usage: %s COMMAND [ARGUMENTS]\n\n", prefix);
	print_table(stdout, prefix, table, count);
	printf("\nThe configuration is %s/postern.conf unless -c names "
	    "another file.\nSee postern(8) and postern.conf(5).\n",
	    POSTERN_SYSCONFDIR);
	return CONTROL_OK;
}

static bool is_help(const char *word)
{
	return strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0 ||
	    strcmp(word, "help") == 0;
}

int command_dispatch(const char *prefix, const struct command *table,
    size_t count, int argc, char **argv)
{
	size_t i;

	if (argc < 2) {
		fprintf(stderr, "usage: %s COMMAND [ARGUMENTS]\n\n", prefix);
		print_table(stderr, prefix, table, count);
		return CONTROL_USAGE;
	}
	if (is_help(argv[1]))
		return print_help(prefix, table, count);
	for (i = 0; i < count; i++)
		if (strcmp(table[i].name, argv[1]) == 0)
			return table[i].run(argc - 1, argv + 1);
	fprintf(stderr, "postern: there is no command \"%s %s\"; there are:",
	    prefix, argv[1]);
	for (i = 0; i < count; i++)
		fprintf(stderr, " %s", table[i].name);
	fprintf(stderr, "\n");
	return CONTROL_USAGE;
}

int command_usage(const char *prefix, const struct command *command,
    const char *problem)
{
	if (problem != NULL)
		fprintf(stderr, "postern: %s\n", problem);
	fprintf(stderr, "usage: %s %s %s\n", prefix, command->name,
	    command->arguments);
	return CONTROL_USAGE;
}

int command_wrong_option(const char *prefix, const struct command *command,
    const char *word)
{
	char problem[256];

	snprintf(problem, sizeof(problem), "\"%.150s\" is no option of this "
	    "command, or its value is missing", word);
	return command_usage(prefix, command, problem);
}

int command_read_options(const char *prefix, const struct command *command,
    struct command_options *options, int *argc, char ***argv)
{
	static const struct option longs[] = {
		{ "config", required_argument, NULL, 'c' },
		{ "json", no_argument, NULL, 'j' },
		{ "help", no_argument, NULL, 'h' },
		{ NULL, 0, NULL, 0 }
	};
	int letter;

	options->configuration = POSTERN_SYSCONFDIR "/postern.conf";
	options->json = false;
	optind = 1;
	opterr = 0;
	while ((letter = getopt_long(*argc, *argv, "c:jh", longs,
	    NULL)) != -1) {
		if (letter == 'c') {
			options->configuration = optarg;
		} else if (letter == 'j') {
			options->json = true;
		} else if (letter == 'h') {
			printf("usage: %s %s %s\n\n%s\n", prefix,
			    command->name, command->arguments,
			    command->summary);
			return CONTROL_OK;
		} else {
			return command_wrong_option(prefix, command,
			    (*argv)[optind - 1]);
		}
	}
	*argc -= optind;
	*argv += optind;
	return -1;
}

/* Only the supervisor starts the binary so; descriptors 2 and 3 are set. */
static int run_role(int argc, char **argv)
{
	const char *name = argv[1] + strlen("--role=");
	enum role role = role_find(name);
	unsigned instance = 0;

	if (argc > 2 && strncmp(argv[2], "--instance=", 11) == 0)
		instance = (unsigned)strtoul(argv[2] + 11, NULL, 10);
	if (role >= ROLE_COUNT || roles[role] == NULL) {
		fprintf(stderr, "postern: no role \"%s\"\n", name);
		return CONTROL_USAGE;
	}
	if (role == ROLE_QUEUE)
		queue_readers_install();
	return process_run(roles[role], instance);
}

int command_end(int status)
{
	if (fflush(stdout) == 0 && !ferror(stdout))
		return status;
	fprintf(stderr, "postern: cannot write the output: %s\n",
	    strerror(errno));
	return CONTROL_OUTPUT;
}

int command_main(int argc, char **argv)
{
	if (argc > 0 && sendmail_is_name(argv[0]))
		return command_end(sendmail_main(argc, argv));
	if (argc > 1 && strncmp(argv[1], "--role=", 7) == 0)
		return run_role(argc, argv);
	if (argc > 1 && (strcmp(argv[1], "--version") == 0 ||
	    strcmp(argv[1], "version") == 0)) {
		printf("postern %s\n", POSTERN_VERSION);
		return command_end(CONTROL_OK);
	}
	return command_end(command_dispatch("postern", commands, COMMANDS,
	    argc, argv));
}
