/* SPDX-License-Identifier: ISC */
/*
 * What is asked for, from whom, and what the caller hears. The mail is either
 * with the server or in the drop directory when this ends with 0; with any
 * other status nobody got it, but where a drained file is said to be sent to
 * some of its recipients.
 */
#include "tools/sendmail.h"

#include <errno.h>
#include <pwd.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/control.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/table.h"
#include "conf/bundle.h"
#include "conf/conf.h"
#include "conf/problem.h"
#include "config.h"
#include "policy/aliases.h"
#include "tools/command.h"
#include "tools/control_client.h"
#include "tools/drop_file.h"
#include "tools/outgoing.h"
#include "tools/sendmail_message.h"
#include "tools/sendmail_options.h"
#include "tools/sendmail_relay.h"
#include "tools/submit.h"
#include "tools/table_build.h"

enum { NAME_BYTES = 120, DRAINED_MAX = 1 << 30,
    /* Of what the fields that are added may need. */
    ADDED_BYTES = 8 << 10 };

/* Who calls. */
struct caller {
	char	 login[NAME_BYTES];
	char	 full_name[NAME_BYTES];
};

static const char usage[] =
"usage: sendmail [-i] [-t] [-f SENDER] [-F NAME] [-B 7BIT|8BITMIME]\n"
"                [-N NOTIFY] [-R full|hdrs] [-V ID] [-C FILE] [-v]\n"
"                [RECIPIENT...]\n"
"       sendmail -bs | -bp | -bi | -q [-C FILE]\n"
"       mailq | newaliases [-C FILE]\n\n"
"Gives a message on standard input to the mail server of this machine.\n"
"See sendmail(8).\n";

/* Each line of text, for people. */
static void complain(const char *text)
{
	char *copy = mem_dup_string(text), *rest = copy, *line;

	while ((line = strsep(&rest, "\n")) != NULL)
		if (line[0] != '\0')
			fprintf(stderr, "sendmail: %s\n", line);
	mem_free(copy);
}

static const char *path_of(const struct sendmail_options *options)
{
	return options->configuration != NULL ? options->configuration :
	    POSTERN_SYSCONFDIR "/postern.conf";
}

/* What counts when the file says nothing. */
static struct conf *built_in(void)
{
	char name[256] = "", *text, *errors = NULL;
	struct conf *conf;

	if (gethostname(name, sizeof(name) - 1) == -1 ||
	    strpbrk(name, "\"\\\n") != NULL)
		name[0] = '\0';
	text = mem_print("hostname = \"%s%s\"\n", name[0] == '\0' ?
	    "localhost" : name, strchr(name, '.') != NULL ? "" :
	    ".localdomain");
	conf = conf_read("the built-in configuration", text, &errors);
	if (conf == NULL)
		complain(errors);
	mem_free(errors);
	mem_free(text);
	return conf;
}

/* A file that is being edited, or that this user may not read, is no reason to
 * lose mail: what was built in is nearly always right. Not for one that the
 * caller names. */
static struct conf *read_conf(const struct sendmail_options *options)
{
	const char *path = path_of(options);
	char *errors = NULL, *text = bundle_read_text(path, &errors);
	struct conf *conf = NULL;

	if (text != NULL)
		conf = conf_read(path, text, &errors);
	if (conf == NULL && (options->verbose ||
	    options->configuration != NULL))
		complain(errors);
	mem_free(errors);
	mem_free(text);
	return conf != NULL || options->configuration != NULL ? conf :
	    built_in();
}

/* Whose addresses a name without a domain is one of. */
static const char *local_domain(const struct conf *conf)
{
	for (size_t i = 0; i < conf->domain_count; i++)
		if (!conf->domains[i].relay)
			return conf->domains[i].name;
	return conf->hostname;
}

/* The first part of the GECOS field; "&" in it is the login name. */
static void copy_full_name(struct caller *caller, const char *gecos)
{
	size_t used = 0, length = strlen(caller->login);

	for (; *gecos != '\0' && *gecos != ',' && used + 1 < NAME_BYTES;
	    gecos++) {
		if (*gecos != '&') {
			caller->full_name[used++] = *gecos;
		} else if (used + length + 1 < NAME_BYTES) {
			memcpy(caller->full_name + used, caller->login,
			    length);
			if (caller->login[0] >= 'a' && caller->login[0] <= 'z')
				caller->full_name[used] -= 'a' - 'A';
			used += length;
		}
	}
	caller->full_name[used] = '\0';
}

static void find_caller(struct caller *caller)
{
	const struct passwd *entry = getpwuid(getuid());

	memset(caller, 0, sizeof(*caller));
	if (entry == NULL) {
		snprintf(caller->login, sizeof(caller->login), "uid-%u",
		    (unsigned)getuid());
		return;
	}
	snprintf(caller->login, sizeof(caller->login), "%s", entry->pw_name);
	copy_full_name(caller, entry->pw_gecos);
}

/* --- a message --- */

/* -f, where "<>" and "" are nobody; else the caller. */
static int take_sender(struct outgoing *outgoing,
    const struct sendmail_options *options, const char *login,
    const char *domain)
{
	const char *text = options->sender == NULL ? login : options->sender;
	char problem[ADDRESS_LIST_PROBLEM], *sender;

	if (options->sender != NULL && (strcmp(text, "") == 0 ||
	    strcmp(text, "<>") == 0))
		return 0;
	sender = address_list_parse_one(text, domain, problem);
	if (sender == NULL) {
		fprintf(stderr, "sendmail: the sender: %s\n", problem);
		return EX_USAGE;
	}
	mem_free(outgoing->sender);
	outgoing->sender = sender;
	return 0;
}

static int take_operands(struct outgoing *outgoing,
    const struct sendmail_options *options, const char *domain)
{
	char problem[ADDRESS_LIST_PROBLEM];

	for (char **one = options->operands; *one != NULL; one++)
		if (address_list_parse(&outgoing->recipients, *one,
		    strlen(*one), domain, problem) == -1) {
			fprintf(stderr, "sendmail: a recipient: %s\n",
			    problem);
			return EX_USAGE;
		}
	if (outgoing->recipients.count > 0 || options->from_header)
		return 0;
	fprintf(stderr, "sendmail: no recipients: name them, or use -t\n\n%s",
	    usage);
	return EX_USAGE;
}

static void take_wishes(struct outgoing *outgoing,
    const struct sendmail_options *options)
{
	outgoing->eight_bit = options->eight_bit;
	if (options->notify != NULL)
		snprintf(outgoing->notify, sizeof(outgoing->notify), "%s",
		    options->notify);
	if (options->ret != NULL)
		snprintf(outgoing->ret, sizeof(outgoing->ret), "%s",
		    options->ret);
	if (options->envid != NULL)
		outgoing_xtext(options->envid, outgoing->envid,
		    sizeof(outgoing->envid));
}

/* Reads and completes the message. From is the sender, or else the caller. */
static int take_message(struct outgoing *outgoing, const struct conf *conf,
    const struct sendmail_options *options, const struct caller *caller)
{
	struct message_rules rules = { .dots = options->dots,
	    .max_line = (size_t)conf->max_line };
	char *from = mem_print("%s@%s", caller->login, local_domain(conf));
	struct message_facts facts = { .domain = local_domain(conf),
	    .from = outgoing->sender[0] != '\0' ? outgoing->sender : from,
	    .full_name = options->full_name != NULL ? options->full_name :
	    caller->full_name, .hostname = conf->hostname,
	    .wall = clock_wall(), .take_recipients = options->from_header };
	char problem[MESSAGE_PROBLEM];
	struct buf text;
	int status = 0;

	buf_init(&text, (size_t)conf->max_message_size);
	if (message_read(&text, STDIN_FILENO, &rules, problem) == -1 ||
	    message_complete(outgoing, &text, &facts, problem) == -1) {
		complain(problem);
		status = EX_DATAERR;
	} else if (outgoing->recipients.count == 0) {
		complain("-t, but the header names no recipients");
		status = EX_USAGE;
	}
	buf_release(&text);
	mem_free(from);
	return status;
}

/* Into the drop directory, when the server could not be given it: why. */
static int leave(const struct conf *conf, const struct outgoing *outgoing,
    const char *why, bool verbose)
{
	char problem[DROP_PROBLEM];

	if (drop_write(conf->drop_directory, outgoing, problem) == 0) {
		if (verbose)
			printf("%s\nkept in %s until the server takes it\n",
			    why, conf->drop_directory);
		return EX_OK;
	}
	complain(why);
	complain(problem);
	complain("not sent: try again later");
	return EX_TEMPFAIL;
}

static int send_it(const struct conf *conf, const struct outgoing *outgoing,
    bool verbose)
{
	struct submit_order order = { .socket = conf->local_socket,
	    .hello = conf->hostname, .verbose = verbose };
	struct submit_result result;

	submit(&order, outgoing, &result);
	switch (result.outcome) {
	case SUBMIT_DONE:
		return EX_OK;
	case SUBMIT_LATER:
		return leave(conf, outgoing, result.text, verbose);
	default:
		complain(result.text);
		complain("not sent");
		return result.exit_status;
	}
}

static int deliver(const struct conf *conf,
    const struct sendmail_options *options)
{
	const char *domain = local_domain(conf);
	struct outgoing outgoing;
	struct caller caller;
	int status;

	find_caller(&caller);
	outgoing_init(&outgoing, (size_t)conf->max_message_size + ADDED_BYTES);
	take_wishes(&outgoing, options);
	status = take_sender(&outgoing, options, caller.login, domain);
	if (status == 0)
		status = take_operands(&outgoing, options, domain);
	if (status == 0)
		status = take_message(&outgoing, conf, options, &caller);
	if (status == 0)
		status = send_it(conf, &outgoing, options->verbose);
	outgoing_release(&outgoing);
	return status;
}

/* --- a file of the drop directory --- */

/* All of standard input, which must be a file. Null with a sentence. */
static char *read_file(size_t *length, char *problem)
{
	struct stat status;
	size_t used = 0;
	ssize_t got;
	char *text;

	if (fstat(STDIN_FILENO, &status) == -1 || !S_ISREG(status.st_mode) ||
	    status.st_size > DRAINED_MAX) {
		snprintf(problem, DROP_PROBLEM, "standard input is not such a "
		    "file");
		return NULL;
	}
	text = mem_alloc((size_t)status.st_size + 1);
	while (used < (size_t)status.st_size) {
		got = read(STDIN_FILENO, text + used,
		    (size_t)status.st_size - used);
		if (got == -1 && errno == EINTR)
			continue;
		if (got <= 0)
			break;
		used += (size_t)got;
	}
	*length = used;
	return text;
}

static int deliver_drained(const char *socket)
{
	struct submit_order order = { .socket = socket, .hello = "localhost",
	    .partly = true };
	struct submit_result result = { .outcome = SUBMIT_REFUSED,
	    .exit_status = EX_DATAERR };
	struct outgoing outgoing;
	size_t length = 0;
	char *text;

	outgoing_init(&outgoing, DRAINED_MAX);
	text = read_file(&length, result.text);
	if (text != NULL && drop_read(&outgoing, text, length,
	    result.text) == 0)
		submit(&order, &outgoing, &result);
	mem_free(text);
	outgoing_release(&outgoing);
	if (result.outcome == SUBMIT_DONE)
		return EX_OK;
	complain(result.text);
	if (result.sent)
		complain("the other recipients got it");
	return result.outcome == SUBMIT_LATER ? EX_TEMPFAIL :
	    result.exit_status;
}

/* --- the other modes --- */

static int run_queue(const struct sendmail_options *options, const char *verb,
    const char *selector)
{
	char *words[] = { (char *)"queue", (char *)verb, (char *)"-c",
	    (char *)path_of(options), (char *)selector, NULL };

	return command_end(command_queue(selector == NULL ? 4 : 5, words));
}

/* The aliases of one file, or a table made anew; false if it has faults. */
static bool check_aliases(const char *configuration, const char *path)
{
	char *errors = NULL, *text;
	struct aliases *aliases;
	struct problems problems;

	if (path[0] == '\0')
		return true;
	if (table_is_path(path))
		return table_build(configuration, path, NULL) == CONTROL_OK;
	text = bundle_read_list(path, &errors);
	if (text != NULL) {
		problems_init(&problems, path);
		aliases = aliases_new();
		aliases_read(aliases, text, strlen(text), NULL, &problems);
		errors = problems_take(&problems);
		if (errors == NULL)
			printf("%s: %zu aliases\n", path,
			    aliases_count(aliases));
		aliases_free(aliases);
	}
	if (errors != NULL)
		complain(errors);
	mem_free(errors);
	mem_free(text);
	return text != NULL && errors == NULL;
}

static int renew_aliases(const struct conf *conf,
    const struct sendmail_options *options)
{
	char *words[] = { (char *)"reload", (char *)"-c",
	    (char *)path_of(options), NULL };
	bool good = check_aliases(path_of(options), conf->aliases_file);

	for (size_t i = 0; i < conf->domain_count; i++)
		good = check_aliases(path_of(options),
		    conf->domains[i].aliases_file) && good;
	return command_end(good ? command_reload(3, words) : EX_DATAERR);
}

static int run_mode(const struct sendmail_options *options)
{
	struct conf *conf;
	int status;

	switch (options->mode) {
	case SENDMAIL_DRAINED: return deliver_drained(options->socket);
	case SENDMAIL_LIST: return run_queue(options, "list", NULL);
	case SENDMAIL_FLUSH: return run_queue(options, "retry", "--all");
	default: break;
	}
	conf = read_conf(options);
	if (conf == NULL)
		return EX_CONFIG;
	if (options->mode == SENDMAIL_SMTP)
		status = sendmail_relay(conf->local_socket, conf->hostname);
	else if (options->mode == SENDMAIL_ALIASES)
		status = renew_aliases(conf, options);
	else
		status = deliver(conf, options);
	conf_free(conf);
	return status;
}

int sendmail_main(int argc, char **argv)
{
	struct sendmail_options options;
	char problem[SENDMAIL_PROBLEM];

	if (argc == 2 && strcmp(argv[1], "--help") == 0) {
		printf("%s", usage);
		return EX_OK;
	}
	if (sendmail_options_read(&options, argc, argv, problem) == -1) {
		fprintf(stderr, "sendmail: %s\n\n%s", problem, usage);
		return EX_USAGE;
	}
	log_init("sendmail", LOG_LEVEL_ERROR);
	return run_mode(&options);
}
