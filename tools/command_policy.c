/* SPDX-License-Identifier: ISC */
/*
 * postern policy: what TLS mail to a domain needs, and why; and the MTA-STS
 * policies that are remembered. The running server is asked where there is
 * one, since it knows what mail will be judged by; else the command asks the
 * world itself and says so.
 */
#include "tools/command_policy.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/control.h"
#include "conf/conf.h"
#include "policy/plan.h"
#include "tools/command_policy_alone.h"
#include "tools/command_policy_print.h"
#include "tools/command_text.h"
#include "tools/control_client.h"

static int	run_explain(int argc, char **argv);
static int	run_probe(int argc, char **argv);
static int	run_list(int argc, char **argv);
static int	run_forget(int argc, char **argv);

static const struct command table[] = {
	{ "explain", "DOMAIN|ADDRESS [-j] [--standalone] [--waited TIME] "
	    "[--requiretls|--tls-optional] [--level LEVEL] [-c FILE]",
	    "what TLS mail to a domain needs: each fact, each decision, and "
	    "the plan", run_explain },
	{ "probe", "DOMAIN|ADDRESS [-j] [--standalone] [--waited TIME] "
	    "[-c FILE]", "make the plan, connect as delivery would, and say "
	    "what was shown; no mail is sent", run_probe },
	{ "list", "[-j] [-c FILE]", "the MTA-STS policies that are remembered",
	    run_list },
	{ "forget", "DOMAIN [-c FILE]", "forget the MTA-STS policy of a domain",
	    run_forget },
	{ "memory", "list|show|forget|pin|unpin|export|import ...", "what "
	    "destinations and hosts have shown, and pins",
	    command_policy_memory },
	{ "exception", "add|list|revoke ...", "for one destination, for a "
	    "while, for a reason: another level", command_policy_exception },
	{ "events", "[--since TIME] [DOMAIN] [-j] [-c FILE]", "downgrades: "
	    "what was expected against what was seen", command_policy_events },
	{ "outcomes", "[--day DAY] [-j] [-c FILE]", "the TLS results of a day, "
	    "counted by policy and host", command_policy_outcomes },
	{ "greylist", "list|forget ...", "who was asked to come again, and who "
	    "has", command_policy_greylist },
};
enum verb { EXPLAIN, PROBE, LIST, FORGET };

/* What the command line said, and what has been seen of the answer. */
struct question {
	struct policy_arguments	 arguments;
	enum verb		 verb;
	char			 domain[256];
	bool			 can_try;	/* the plan has a host */
	bool			 mail;		/* a probe would send mail */
};

/* Also those of `queue set-tls`. */
static const char *const message_levels[] = { "none", "may", "encrypt", "auto",
    "dane", "dane-only", "sts", "strict", NULL };

static const char explain_help[] =
"A mail address stands for its domain. An address of a host is written as\n"
"in mail, [192.0.2.1] or [IPv6:2001:db8::1]. Names may be of any script.\n"
"  --standalone    ask the world from this process, not the running server\n"
"  --waited TIME   as for a message of this age: seconds, or with s, m, h, d\n"
"  --requiretls    as for a message whose sender demands REQUIRETLS\n"
"  --tls-optional  as for a message that says TLS-Required: No\n"
"  --level LEVEL   as for a message that got this level by queue set-tls:\n"
"                  none, may, encrypt, auto, dane, dane-only, sts or strict\n"
"  -j, --json      one JSON object a line; postern-policy(8) has the members\n";

static const char probe_help[] =
"A mail address stands for its domain. An address of a host is written as\n"
"in mail, [192.0.2.1] or [IPv6:2001:db8::1]. Names may be of any script.\n"
"  --standalone    ask the world from this process, not the running server\n"
"  --waited TIME   as for a message of this age: seconds, or with s, m, h, d\n"
"  -j, --json      one JSON object a line; postern-policy(8) has the members\n";

static const struct policy_form forms[] = {
	[EXPLAIN] = { "postern policy", &table[EXPLAIN], "swROL", 1, 1,
	    "one domain or mail address is expected", explain_help },
	[PROBE] = { "postern policy", &table[PROBE], "sw", 1, 1,
	    "one domain or mail address is expected", probe_help },
	[LIST] = { "postern policy", &table[LIST], "", 0, 0,
	    "no argument is expected", NULL },
	[FORGET] = { "postern policy", &table[FORGET], "", 1, 1,
	    "one domain or mail address is expected", NULL },
};

/* -1: go on; else the exit status. */
static int read_command(struct question *question, enum verb verb, int argc,
    char **argv)
{
	struct policy_arguments *arguments = &question->arguments;
	int status;

	memset(question, 0, sizeof(*question));
	question->verb = verb;
	status = policy_arguments_read(arguments, &forms[verb], argc, argv);
	if (status == -1 && arguments->level != NULL)
		status = policy_read_word(arguments, "--level",
		    arguments->level, message_levels);
	if (status == -1 && arguments->operand_count > 0)
		status = policy_read_target(arguments, arguments->operands[0],
		    question->domain, sizeof(question->domain));
	return status;
}

/* --- answers --- */

static void on_explained(void *arg, const json_t *object)
{
	struct question *question = arg;

	question->can_try = json_object_get(object, "status") == NULL &&
	    json_object_get(object, "transport") == NULL;
	if (question->arguments.options.json)
		text_print_json(object);
	else if (question->verb == PROBE)
		policy_print_summary(object);
	else
		policy_print_explanation(object);
	fflush(stdout);
}

static void on_probed(void *arg, const json_t *object)
{
	struct question *question = arg;

	if (is_true(object, "mail"))
		question->mail = true;
	if (question->arguments.options.json)
		text_print_json(object);
	else
		policy_print_probe(object);
	fflush(stdout);
}

static void on_remembered(void *arg, const json_t *object)
{
	const struct question *question = arg;

	if (question->arguments.options.json)
		text_print_json(object);
	else if (json_object_get(object, "forgotten") == NULL)
		policy_print_remembered(object);
}

/* --- asking --- */

/* The index in message_levels is not the enum's value. */
static int message_level(const char *level)
{
	int i;

	for (i = 0; level != NULL && i < LEVEL_COUNT; i++)
		if (strcmp(conf_level_name((enum conf_level)i), level) == 0)
			return i;
	return -1;
}

static int ask_alone(struct question *question, const char *why)
{
	const struct policy_arguments *arguments = &question->arguments;
	const struct policy_alone alone = {
		.configuration = arguments->options.configuration,
		.domain = question->domain,
		.waited = arguments->waited,
		.wish = arguments->requiretls ? WISH_REQUIRETLS :
		    arguments->tls_optional ? WISH_OPTIONAL : WISH_NONE,
		.message_level = message_level(arguments->level),
		.explained = on_explained,
		.probed = question->verb == PROBE ? on_probed : NULL,
		.arg = question,
	};

	if (why != NULL)
		fprintf(stderr, "postern: %s: asked by this command itself, "
		    "which knows no remembered policies, no exceptions, no "
		    "pins and no memory\n", why);
	return policy_alone_run(&alone);
}

static json_t *explain_request(const struct question *question)
{
	const struct policy_arguments *arguments = &question->arguments;
	json_t *request = json_pack("{s:s, s:I}", "domain", question->domain,
	    "waited", (json_int_t)arguments->waited);

	if (arguments->requiretls || arguments->tls_optional)
		json_object_set_new(request, "wish",
		    json_string(arguments->requiretls ? "requiretls" :
		    "optional"));
	if (arguments->level != NULL)
		json_object_set_new(request, "level",
		    json_string(arguments->level));
	return request;
}

/* The plan is shown first; delivery makes its own from the same facts. */
static int ask_server(struct question *question, const struct conf *conf)
{
	int status = control_client_ask(conf, ROLE_POLICY, "explain",
	    explain_request(question), on_explained, question);

	if (status != CONTROL_OK || question->verb != PROBE ||
	    !question->can_try)
		return status;
	status = control_client_ask(conf, ROLE_DELIVERY, "probe",
	    explain_request(question), on_probed, question);
	return status == CONTROL_OK && !question->mail ?
	    CONTROL_NONE_MATCHED : status;
}

/* The server, or why it cannot be asked. */
static int ask(struct question *question)
{
	struct conf *conf;
	int error, status;

	if (question->arguments.standalone)
		return ask_alone(question, NULL);
	conf = control_client_conf(
	    question->arguments.options.configuration);
	if (conf == NULL)
		return CONTROL_CONFIG;
	error = control_client_try(conf);
	if (error == 0)
		status = ask_server(question, conf);
	else if (error == ENOENT || error == ECONNREFUSED)
		status = ask_alone(question, "no server is running");
	else
		status = ask_alone(question, error == EACCES ? "the server "
		    "may only be asked by its group" : strerror(error));
	conf_free(conf);
	return status;
}

static int run_question(enum verb verb, int argc, char **argv)
{
	struct question question;
	int status = read_command(&question, verb, argc, argv);

	return status != -1 ? status : ask(&question);
}

static int run_explain(int argc, char **argv)
{
	return run_question(EXPLAIN, argc, argv);
}

static int run_probe(int argc, char **argv)
{
	return run_question(PROBE, argc, argv);
}

static int run_list(int argc, char **argv)
{
	struct question question;
	int status = read_command(&question, LIST, argc, argv);

	return status != -1 ? status : policy_ask(&question.arguments,
	    "sts-list", NULL, on_remembered, &question);
}

static int run_forget(int argc, char **argv)
{
	struct question question;
	int status = read_command(&question, FORGET, argc, argv);

	return status != -1 ? status : policy_ask(&question.arguments,
	    "sts-forget", json_pack("{s:s}", "domain", question.domain),
	    on_remembered, &question);
}

int command_policy(int argc, char **argv)
{
	return command_dispatch("postern policy", table,
	    sizeof(table) / sizeof(table[0]), argc, argv);
}
