/* SPDX-License-Identifier: ISC */
/*
 * postern policy greylist: who waits and who is known (options greylist-*).
 */
#include "tools/command_policy.h"

#include <stdio.h>
#include <string.h>

#include "base/idn.h"
#include "tools/command_policy_table.h"
#include "tools/command_text.h"

static int	run_list(int argc, char **argv);
static int	run_forget(int argc, char **argv);

static const struct command table[] = {
	{ "list", "[NAME] [-j] [-c FILE]", "who was asked to come again, and "
	    "who has", run_list },
	{ "forget", "NAME [-j] [-c FILE]", "ask them to come again",
	    run_forget },
};
enum verb { LIST, FORGET };

static const char name_help[] =
"NAME is a network (192.0.2.0/24), an address in one, the domain of senders, a\n"
"sender or a recipient.\n";

static const struct policy_form forms[] = {
	[LIST] = { "postern policy greylist", &table[LIST], "", 0, 1,
	    "one name at most is expected", name_help },
	[FORGET] = { "postern policy greylist", &table[FORGET], "", 1, 1,
	    "one name is expected", name_help },
};

struct request {
	struct policy_arguments	 arguments;
	char			 name[256];	/* the operand; or empty */
	bool			 headed;	/* the table's heading is out */
};

static int read_command(struct request *request, enum verb verb, int argc,
    char **argv)
{
	struct policy_arguments *arguments = &request->arguments;
	const char *problem;
	int status;

	memset(request, 0, sizeof(*request));
	status = policy_arguments_read(arguments, &forms[verb], argc, argv);
	if (status != -1 || arguments->operand_count == 0)
		return status;
	problem = strlen(arguments->operands[0]) >= sizeof(request->name) ?
	    "that is too long" : address_pattern_to_ascii(request->name,
	    sizeof(request->name), arguments->operands[0]);
	return problem == NULL ? -1 : policy_arguments_wrong(arguments, "",
	    arguments->operands[0], problem);
}

static void on_entry(void *arg, const json_t *object)
{
	struct request *request = arg;

	if (request->arguments.options.json) {
		text_print_json(object);
		return;
	}
	if (!request->headed)
		policy_table_greylist_heading();
	request->headed = true;
	policy_table_greylist(object);
}

static int run_list(int argc, char **argv)
{
	struct request request;
	int status = read_command(&request, LIST, argc, argv);

	return status != -1 ? status : policy_ask(&request.arguments,
	    "greylist-list", request.name[0] == '\0' ? NULL :
	    json_pack("{s:s}", "name", request.name), on_entry, &request);
}

static void on_forgotten(void *arg, const json_t *object)
{
	const struct request *request = arg;

	if (request->arguments.options.json) {
		text_print_json(object);
		return;
	}
	text_print(request->name, 0);
	printf(": forgotten, %lld of its entries\n",
	    number_of(object, "forgotten"));
}

static int run_forget(int argc, char **argv)
{
	struct request request;
	int status = read_command(&request, FORGET, argc, argv);

	return status != -1 ? status : policy_ask(&request.arguments,
	    "greylist-forget", json_pack("{s:s}", "name", request.name),
	    on_forgotten, &request);
}

int command_policy_greylist(int argc, char **argv)
{
	return command_dispatch("postern policy greylist", table,
	    sizeof(table) / sizeof(table[0]), argc, argv);
}
