/* SPDX-License-Identifier: ISC */
/*
 * postern policy: what TLS mail to a domain needs, and why; and the MTA-STS
 * policies that are remembered. The running server is asked where there is
 * one, since it knows what mail will be judged by; else the command asks the
 * world itself and says so.
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

#include "base/address.h"
#include "base/control.h"
#include "base/net.h"
#include "conf/conf.h"
#include "config.h"
#include "tools/command_policy_alone.h"
#include "tools/command_policy_print.h"
#include "tools/control_client.h"

static int	run_explain(int argc, char **argv);
static int	run_probe(int argc, char **argv);
static int	run_list(int argc, char **argv);
static int	run_forget(int argc, char **argv);

#define TARGET "DOMAIN|ADDRESS [-j] [--standalone] [--waited TIME] [-c FILE]"

static const struct command table[] = {
	{ "explain", TARGET, "what TLS mail to a domain needs: each fact, each "
	    "decision, and the plan", run_explain },
	{ "probe", TARGET, "make the plan, connect as delivery would, and say "
	    "what was shown; no mail is sent", run_probe },
	{ "list", "[-j] [-c FILE]", "the MTA-STS policies that are remembered",
	    run_list },
	{ "forget", "DOMAIN [-c FILE]", "forget the MTA-STS policy of a domain",
	    run_forget },
};
enum verb { EXPLAIN, PROBE, LIST, FORGET, VERBS };

/* What the command line said, and what has been seen of the answer. */
struct request {
	struct command_options	 options;
	enum verb		 verb;
	bool			 standalone;
	int64_t			 waited;	/* seconds */
	char			 domain[256];
	bool			 can_try;	/* the plan has a host */
	bool			 mail;		/* a probe would send mail */
};

static const struct option longs[] = {
	{ "config", required_argument, NULL, 'c' },
	{ "json", no_argument, NULL, 'j' },
	{ "help", no_argument, NULL, 'h' },
	{ "standalone", no_argument, NULL, 's' },
	{ "waited", required_argument, NULL, 'w' },
	{ NULL, 0, NULL, 0 }
};

static const char target_help[] =
"A mail address stands for its domain. An address of a host is written as\n"
"in mail, [192.0.2.1] or [IPv6:2001:db8::1].\n"
"  --standalone   ask the world from this process, not the running server\n"
"  --waited TIME  as for a message of this age: seconds, or with s, m, h, d\n"
"  -j, --json     one JSON object a line; postern-policy(8) has the members\n";

/* --- the command line --- */

static int wrong(const struct request *request, const char *problem)
{
	return command_usage("postern policy", &table[request->verb],
	    problem);
}

static int read_waited(struct request *request, const char *text)
{
	static const char units[] = "smhd";
	static const int64_t factors[] = { 1, 60, 3600, 86400 };
	const char *unit;
	long long number;
	char *end;

	errno = 0;
	number = strtoll(text, &end, 10);
	unit = *end == '\0' ? units : strchr(units, *end);
	if (!isdigit((unsigned char)text[0]) || errno != 0 ||
	    number > INT32_MAX || unit == NULL || (*end != '\0' &&
	    end[1] != '\0'))
		return wrong(request, "--waited: a time is expected: seconds, "
		    "or a number with s, m, h or d behind");
	request->waited = number * factors[unit - units];
	return -1;
}

static int take_option(struct request *request, int letter, const char *text)
{
	switch (letter) {
	case 'c': request->options.configuration = text; return -1;
	case 'j': request->options.json = true; return -1;
	case 's': request->standalone = true; return -1;
	case 'w': return read_waited(request, text);
	default: break;
	}
	printf("usage: postern policy %s %s\n\n%s\n",
	    table[request->verb].name, table[request->verb].arguments,
	    table[request->verb].summary);
	if (request->verb == EXPLAIN || request->verb == PROBE)
		printf("\n%s", target_help);
	return CONTROL_OK;
}

/* "user@example.org", "example.org.", "[192.0.2.1]", "192.0.2.1". */
static int read_target(const char *text, char *out, size_t size)
{
	struct address address;
	struct endpoint endpoint;

	if (endpoint_parse(&endpoint, text, 0) == 0) {
		endpoint_format_literal(&endpoint, out, size);
		return 0;
	}
	if (text[0] != '[' && strchr(text, '@') != NULL) {
		if (address_parse(&address, text) != ADDRESS_OK)
			return -1;
		snprintf(out, size, "%s", address.domain);
		return out[0] == '\0' ? -1 : 0;
	}
	if (domain_is_literal(text)) {
		snprintf(out, size, "%s", text);
		return 0;
	}
	return domain_parse(out, size, text, strlen(text));
}

static int read_operand(struct request *request, int argc, char **argv)
{
	char problem[400];
	bool wanted = request->verb != LIST;

	if (argc - optind != wanted)
		return wrong(request, wanted ? "one domain or mail address is "
		    "expected" : "no argument is expected");
	if (!wanted || read_target(argv[optind], request->domain,
	    sizeof(request->domain)) == 0)
		return -1;
	snprintf(problem, sizeof(problem), "\"%.255s\" is no domain, mail "
	    "address or address in brackets (names of other scripts are "
	    "written as xn--...)", argv[optind]);
	return wrong(request, problem);
}

/* -1: go on; else the exit status. */
static int read_command(struct request *request, enum verb verb, int argc,
    char **argv)
{
	int letter, status;

	memset(request, 0, sizeof(*request));
	request->verb = verb;
	request->options.configuration = POSTERN_SYSCONFDIR "/postern.conf";
	optind = 1;
	opterr = 0;
	while ((letter = getopt_long(argc, argv, "c:jh", longs, NULL)) != -1) {
		if (letter == '?')
			return command_wrong_option("postern policy",
			    &table[verb], argv[optind - 1]);
		if ((letter == 's' || letter == 'w') && verb != EXPLAIN &&
		    verb != PROBE)
			return command_wrong_option("postern policy",
			    &table[verb], letter == 's' ? "--standalone" :
			    "--waited");
		status = take_option(request, letter, optarg);
		if (status != -1)
			return status;
	}
	return read_operand(request, argc, argv);
}

/* --- answers --- */

static void print_json(const json_t *object)
{
	json_dumpf(object, stdout, JSON_COMPACT);
	putchar('\n');
}

static void on_explained(void *arg, const json_t *object)
{
	struct request *request = arg;

	request->can_try = json_object_get(object, "status") == NULL &&
	    json_object_get(object, "transport") == NULL;
	if (request->options.json)
		print_json(object);
	else if (request->verb == PROBE)
		policy_print_summary(object);
	else
		policy_print_explanation(object);
	fflush(stdout);
}

static void on_probed(void *arg, const json_t *object)
{
	struct request *request = arg;

	if (json_is_true(json_object_get(object, "mail")))
		request->mail = true;
	if (request->options.json)
		print_json(object);
	else
		policy_print_probe(object);
	fflush(stdout);
}

static void on_remembered(void *arg, const json_t *object)
{
	const struct request *request = arg;

	if (request->options.json)
		print_json(object);
	else if (json_object_get(object, "forgotten") == NULL)
		policy_print_remembered(object);
}

/* --- asking --- */

static int ask_alone(struct request *request, const char *why)
{
	const struct policy_alone question = {
		.configuration = request->options.configuration,
		.domain = request->domain,
		.waited = request->waited,
		.explained = on_explained,
		.probed = request->verb == PROBE ? on_probed : NULL,
		.arg = request,
	};

	if (why != NULL)
		fprintf(stderr, "postern: %s: asked by this command itself, "
		    "which knows no remembered policies\n", why);
	return policy_alone_run(&question);
}

/* The plan is shown first; delivery makes its own from the same facts. */
static int ask_server(struct request *request, const struct conf *conf)
{
	int status = control_client_ask(conf, ROLE_POLICY, "explain",
	    json_pack("{s:s, s:I}", "domain", request->domain, "waited",
	    (json_int_t)request->waited), on_explained, request);

	if (status != CONTROL_OK || request->verb != PROBE ||
	    !request->can_try)
		return status;
	status = control_client_ask(conf, ROLE_DELIVERY, "probe",
	    json_pack("{s:s, s:I}", "domain", request->domain, "waited",
	    (json_int_t)request->waited), on_probed, request);
	return status == CONTROL_OK && !request->mail ?
	    CONTROL_NONE_MATCHED : status;
}

/* The server, or why it cannot be asked. */
static int ask(struct request *request)
{
	struct conf *conf;
	int error, status;

	if (request->standalone)
		return ask_alone(request, NULL);
	conf = control_client_conf(request->options.configuration);
	if (conf == NULL)
		return CONTROL_CONFIG;
	error = control_client_try(conf);
	if (error == 0)
		status = ask_server(request, conf);
	else if (error == ENOENT || error == ECONNREFUSED)
		status = ask_alone(request, "no server is running");
	else
		status = ask_alone(request, error == EACCES ? "the server "
		    "may only be asked by its group" : strerror(error));
	conf_free(conf);
	return status;
}

static int ask_about_remembered(struct request *request)
{
	struct conf *conf = control_client_conf(
	    request->options.configuration);
	int status;

	if (conf == NULL)
		return CONTROL_CONFIG;
	status = request->verb == LIST ?
	    control_client_ask(conf, ROLE_POLICY, "sts-list", NULL,
	    on_remembered, request) :
	    control_client_ask(conf, ROLE_POLICY, "sts-forget",
	    json_pack("{s:s}", "domain", request->domain), on_remembered,
	    request);
	conf_free(conf);
	return status;
}

static int run(enum verb verb, int argc, char **argv)
{
	struct request request;
	int status = read_command(&request, verb, argc, argv);

	if (status != -1)
		return status;
	return verb == EXPLAIN || verb == PROBE ? ask(&request) :
	    ask_about_remembered(&request);
}

static int run_explain(int argc, char **argv)
{
	return run(EXPLAIN, argc, argv);
}

static int run_probe(int argc, char **argv)
{
	return run(PROBE, argc, argv);
}

static int run_list(int argc, char **argv)
{
	return run(LIST, argc, argv);
}

static int run_forget(int argc, char **argv)
{
	return run(FORGET, argc, argv);
}

int command_policy(int argc, char **argv)
{
	return command_dispatch("postern policy", table, VERBS, argc, argv);
}
