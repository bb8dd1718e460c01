/* SPDX-License-Identifier: ISC */
/*
 * postern policy memory: what destinations and hosts have shown, and pins. An
 * export is a file of JSON, one object a line, that import reads again, here
 * or on another machine.
 */
#include "tools/command_policy.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/control.h"
#include "base/digest.h"
#include "base/mem.h"
#include "conf/conf.h"
#include "tools/command_policy_table.h"
#include "tools/command_text.h"
#include "tools/control_client.h"

/* A request is 64 KiB at most (base/control.h): a page ends before that, or
 * with what the verb takes. */
enum { PAGE_OBJECTS = 200, PAGE_BYTES = 48 << 10, LINE_BYTES_MAX = 8 << 10 };

static int	run_list(int argc, char **argv);
static int	run_show(int argc, char **argv);
static int	run_forget(int argc, char **argv);
static int	run_pin(int argc, char **argv);
static int	run_unpin(int argc, char **argv);
static int	run_export(int argc, char **argv);
static int	run_import(int argc, char **argv);

static const struct command table[] = {
	{ "list", "[NAME] [-j] [-c FILE]", "what is remembered: of all, or of "
	    "a name and those below it", run_list },
	{ "show", "NAME [-j] [-c FILE]", "all that is remembered of one name",
	    run_show },
	{ "forget", "NAME [-c FILE]", "forget what a destination or host has "
	    "shown; a pin stays", run_forget },
	{ "pin", "DOMAIN --level LEVEL [--fingerprint HEX]... --reason TEXT "
	    "[-c FILE]", "demand at least this of a destination, until it is "
	    "unpinned", run_pin },
	{ "unpin", "DOMAIN [-c FILE]", "take a pin away", run_unpin },
	{ "export", "[-c FILE]", "print everything, one JSON object a line",
	    run_export },
	{ "import", "FILE [-c FILE]", "take an export over; - is standard "
	    "input", run_import },
};
enum verb { LIST, SHOW, FORGET, PIN, UNPIN, EXPORT, IMPORT };

static const char *const pin_levels[] = { "encrypt", "verify", "fingerprint",
    NULL };

static const char pin_help[] =
"  --level encrypt       TLS, whoever answers\n"
"  --level verify        TLS, and a certificate of a known authority for the\n"
"                        mail host's name\n"
"  --level fingerprint   TLS, and one of the certificates or keys that are\n"
"                        given by --fingerprint\n"
"  --fingerprint HEX     SHA-256, colons if you like; up to eight times\n"
"  --reason TEXT         why; it is kept with the pin\n"
"A pin binds whatever the domain publishes or the configuration says; only an\n"
"exception or `queue set-tls` goes over it.\n";

static const char import_help[] =
"Counts are added to what is known, dates widen, a pin replaces a pin.\n"
"Objects that are refused are named by their lines; the others are taken over.\n";

#define ONE_NAME "one name of a destination or mail host is expected"
#define ONE_DOMAIN "one domain is expected"

static const struct policy_form forms[] = {
	[LIST] = { "postern policy memory", &table[LIST], "", 0, 1,
	    "one name at most is expected", NULL },
	[SHOW] = { "postern policy memory", &table[SHOW], "", 1, 1,
	    ONE_NAME, NULL },
	[FORGET] = { "postern policy memory", &table[FORGET], "", 1, 1,
	    ONE_NAME, NULL },
	[PIN] = { "postern policy memory", &table[PIN], "LFr", 1, 1,
	    ONE_DOMAIN, pin_help },
	[UNPIN] = { "postern policy memory", &table[UNPIN], "", 1, 1,
	    ONE_DOMAIN, NULL },
	[EXPORT] = { "postern policy memory", &table[EXPORT], "", 0, 0,
	    "no argument is expected; write > FILE to keep it", NULL },
	[IMPORT] = { "postern policy memory", &table[IMPORT], "", 1, 1,
	    "one file is expected, or - for standard input", import_help },
};

/* A command line with its answer. */
struct request {
	struct policy_arguments	 arguments;
	enum verb		 verb;
	char			 name[256];	/* the operand; or empty */
	bool			 headed;	/* the table's heading is out */
};

static int read_command(struct request *request, enum verb verb, int argc,
    char **argv)
{
	struct policy_arguments *arguments = &request->arguments;
	int status;

	memset(request, 0, sizeof(*request));
	request->verb = verb;
	status = policy_arguments_read(arguments, &forms[verb], argc, argv);
	if (status == -1 && arguments->operand_count > 0 && verb != IMPORT)
		status = policy_read_target(arguments, arguments->operands[0],
		    request->name, sizeof(request->name));
	return status;
}

/* --- looking --- */

static void on_entry(void *arg, const json_t *object)
{
	struct request *request = arg;

	if (request->arguments.options.json || request->verb == EXPORT) {
		text_print_json(object);
	} else if (request->verb == SHOW) {
		policy_print_memory(object);
	} else {
		if (!request->headed)
			policy_table_memory_heading();
		request->headed = true;
		policy_table_memory(object);
	}
}

static int run_list(int argc, char **argv)
{
	struct request request;
	int status = read_command(&request, LIST, argc, argv);

	return status != -1 ? status : policy_ask(&request.arguments,
	    "memory-list", request.name[0] == '\0' ? NULL :
	    json_pack("{s:s}", "name", request.name), on_entry, &request);
}

static int run_show(int argc, char **argv)
{
	struct request request;
	int status = read_command(&request, SHOW, argc, argv);

	return status != -1 ? status : policy_ask(&request.arguments,
	    "memory-show", json_pack("{s:s}", "name", request.name),
	    on_entry, &request);
}

static int run_export(int argc, char **argv)
{
	struct request request;
	int status = read_command(&request, EXPORT, argc, argv);

	return status != -1 ? status : policy_ask(&request.arguments,
	    "memory-export", NULL, on_entry, &request);
}

/* --- changing --- */

static void on_change(void *arg, const json_t *object)
{
	const struct request *request = arg;

	if (request->arguments.options.json) {
		text_print_json(object);
		return;
	}
	text_print(request->name, 0);
	if (request->verb == FORGET)
		printf(": forgotten, %lld of its entries\n",
		    number_of(object, "forgotten"));
	else if (request->verb == PIN)
		printf(": pinned, %s\n", text_of(object, "level"));
	else
		printf(": its pin is gone\n");
}

static int run_forget(int argc, char **argv)
{
	struct request request;
	int status = read_command(&request, FORGET, argc, argv);

	return status != -1 ? status : policy_ask(&request.arguments,
	    "memory-forget", json_pack("{s:s}", "name", request.name),
	    on_change, &request);
}

static int check_fingerprints(const struct policy_arguments *arguments)
{
	bool wanted = strcmp(arguments->level, "fingerprint") == 0;
	uint8_t digest[DIGEST_BYTES];
	size_t i;

	if (wanted && arguments->fingerprint_count == 0)
		return policy_arguments_wrong(arguments, "--fingerprint", NULL,
		    "level fingerprint needs one at least; `postern policy "
		    "probe` shows those of a server");
	if (!wanted && arguments->fingerprint_count > 0)
		return policy_arguments_wrong(arguments, "--fingerprint", NULL,
		    "it is for --level fingerprint only");
	for (i = 0; i < arguments->fingerprint_count; i++)
		if (hex_parse(digest, sizeof(digest),
		    arguments->fingerprints[i]) != DIGEST_BYTES)
			return policy_arguments_wrong(arguments,
			    "--fingerprint", arguments->fingerprints[i], "a "
			    "SHA-256 digest is expected, 64 hexadecimal "
			    "digits");
	return -1;
}

static json_t *pin_request(const struct request *request)
{
	const struct policy_arguments *arguments = &request->arguments;
	json_t *object = json_pack("{s:s, s:s, s:s}", "domain", request->name,
	    "level", arguments->level, "reason", arguments->reason);
	json_t *fingerprints = json_array();
	size_t i;

	for (i = 0; i < arguments->fingerprint_count; i++)
		json_array_append_new(fingerprints,
		    json_string(arguments->fingerprints[i]));
	if (object != NULL && arguments->fingerprint_count > 0)
		json_object_set(object, "fingerprints", fingerprints);
	json_decref(fingerprints);
	return object;
}

static int run_pin(int argc, char **argv)
{
	struct request request;
	struct policy_arguments *arguments = &request.arguments;
	int status = read_command(&request, PIN, argc, argv);

	if (status == -1)
		status = policy_read_word(arguments, "--level",
		    arguments->level, pin_levels);
	if (status == -1)
		status = check_fingerprints(arguments);
	if (status == -1)
		status = policy_check_reason(arguments);
	return status != -1 ? status : policy_ask(arguments, "memory-pin",
	    pin_request(&request), on_change, &request);
}

static int run_unpin(int argc, char **argv)
{
	struct request request;
	int status = read_command(&request, UNPIN, argc, argv);

	return status != -1 ? status : policy_ask(&request.arguments,
	    "memory-unpin", json_pack("{s:s}", "domain", request.name),
	    on_change, &request);
}

/* --- import --- */

/* One reading of a file: the page that is being gathered, and the counts. */
struct import {
	const struct policy_arguments *arguments;
	const struct conf	*conf;
	const char		*name;		/* of the file, for messages */
	json_t			*objects;	/* owned */
	unsigned long		 lines[PAGE_OBJECTS];	/* of the objects */
	size_t			 bytes;
	unsigned long		 line;
	long long		 imported, refused;
};

static void refuse(struct import *import, unsigned long line,
    const char *problem)
{
	char shown[TEXT_BYTES];

	text_clean(problem, shown, sizeof(shown));
	fprintf(stderr, "postern: %s:%lu: %s\n", import->name, line, shown);
	import->refused++;
}

static void on_imported(void *arg, const json_t *object)
{
	struct import *import = arg;
	const json_t *refused = json_object_get(object, "refused"), *item;
	size_t i, index;

	import->imported += number_of(object, "imported");
	json_array_foreach(refused, i, item) {
		index = (size_t)number_of(item, "index");
		refuse(import, index < PAGE_OBJECTS ? import->lines[index] : 0,
		    text_of(item, "problem"));
	}
}

/* -1: go on; else what the server or the way there had against the page. */
static int send_page(struct import *import)
{
	struct control_client_answer answer = { .line = on_imported,
	    .arg = import };
	int status;

	if (json_array_size(import->objects) == 0)
		return -1;
	status = control_client_ask_quietly(import->conf, ROLE_POLICY,
	    "memory-import", json_pack("{s:O}", "objects", import->objects),
	    &answer);
	json_array_clear(import->objects);
	import->bytes = 0;
	if (status == CONTROL_OK || status == CONTROL_DATA)
		return -1;
	fprintf(stderr, "postern: %s\n", answer.message);
	return status;
}

static int take_line(struct import *import, const char *text, size_t length)
{
	json_t *object;
	size_t count;
	int status = -1;

	if (strspn(text, " \t\r\n") == length)
		return -1;
	object = length > LINE_BYTES_MAX ? NULL : json_loads(text, 0, NULL);
	if (!json_is_object(object)) {
		json_decref(object);
		refuse(import, import->line, "it is no JSON object in one "
		    "line, as `postern policy memory export` prints them");
		return -1;
	}
	count = json_array_size(import->objects);
	if (count == PAGE_OBJECTS || import->bytes + length > PAGE_BYTES) {
		status = send_page(import);
		count = 0;
	}
	import->lines[count] = import->line;
	import->bytes += length;
	json_array_append_new(import->objects, object);
	return status;
}

static int read_lines(struct import *import, FILE *in)
{
	char *text = NULL;
	size_t size = 0;
	ssize_t length;
	int status = -1;

	while (status == -1 && (length = getline(&text, &size, in)) > 0) {
		import->line++;
		status = take_line(import, text, (size_t)length);
	}
	if (status == -1 && ferror(in)) {
		fprintf(stderr, "postern: %s: %s\n", import->name,
		    strerror(errno));
		status = CONTROL_DATA;
	}
	free(text);
	return status == -1 ? send_page(import) : status;
}

static int import_from(struct import *import, FILE *in)
{
	int status;

	import->conf = control_client_conf(
	    import->arguments->options.configuration);
	if (import->conf == NULL)
		return CONTROL_CONFIG;
	import->objects = json_array();
	status = read_lines(import, in);
	json_decref(import->objects);
	conf_free((struct conf *)import->conf);
	printf("%s: %lld objects taken over, %lld refused%s\n", import->name,
	    import->imported, import->refused, status == -1 ? "" :
	    "; the rest was not sent");
	if (status != -1)
		return status;
	return import->refused > 0 ? CONTROL_DATA : CONTROL_OK;
}

static int run_import(int argc, char **argv)
{
	struct request request;
	struct import *import;
	FILE *in = stdin;
	int status = read_command(&request, IMPORT, argc, argv);

	if (status != -1)
		return status;
	import = mem_alloc(sizeof(*import));
	import->arguments = &request.arguments;
	import->name = request.arguments.operands[0];
	if (strcmp(import->name, "-") == 0)
		import->name = "standard input";
	else
		in = fopen(import->name, "re");
	if (in == NULL) {
		fprintf(stderr, "postern: %s: %s\n", import->name,
		    strerror(errno));
		status = CONTROL_DATA;
	} else {
		status = import_from(import, in);
		if (in != stdin)
			fclose(in);
	}
	mem_free(import);
	return status;
}

int command_policy_memory(int argc, char **argv)
{
	return command_dispatch("postern policy memory", table,
	    sizeof(table) / sizeof(table[0]), argc, argv);
}
