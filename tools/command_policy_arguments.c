/* SPDX-License-Identifier: ISC */
/*
 * One table of options for all commands of `postern policy`; each command
 * says which of them it takes.
 */
#include "tools/command_policy.h"

#include <getopt.h>
#include <stdio.h>
#include <string.h>

#include "base/address.h"
#include "base/control.h"
#include "base/idn.h"
#include "base/net.h"
#include "conf/conf.h"
#include "config.h"
#include "policy/exception.h"
#include "tools/command_text.h"
#include "tools/command_time.h"
#include "tools/control_client.h"

static const struct option longs[] = {
	{ "config", required_argument, NULL, 'c' },
	{ "json", no_argument, NULL, 'j' },
	{ "help", no_argument, NULL, 'h' },
	{ "standalone", no_argument, NULL, 's' },
	{ "waited", required_argument, NULL, 'w' },
	{ "requiretls", no_argument, NULL, 'R' },
	{ "tls-optional", no_argument, NULL, 'O' },
	{ "level", required_argument, NULL, 'L' },
	{ "fingerprint", required_argument, NULL, 'F' },
	{ "reason", required_argument, NULL, 'r' },
	{ "until", required_argument, NULL, 'U' },
	{ "no-retry", no_argument, NULL, 'N' },
	{ "since", required_argument, NULL, 'S' },
	{ "day", required_argument, NULL, 'D' },
	{ NULL, 0, NULL, 0 }
};

/* --- what is wrong --- */

int policy_arguments_wrong(const struct policy_arguments *arguments,
    const char *place, const char *value, const char *problem)
{
	char sentence[800], shown[256];

	text_clean(value == NULL ? "" : value, shown, sizeof(shown));
	if (value == NULL)
		snprintf(sentence, sizeof(sentence), "%s%s%s", place,
		    place[0] != '\0' ? ": " : "", problem);
	else
		snprintf(sentence, sizeof(sentence), "%s%s\"%s\": %s",
		    place, place[0] != '\0' ? " " : "", shown, problem);
	return command_usage(arguments->form->prefix,
	    arguments->form->command, sentence);
}

static int wrong_option(const struct policy_form *form, const char *word)
{
	return command_wrong_option(form->prefix, form->command, word);
}

/* --- options --- */

static int print_help(const struct policy_form *form)
{
	printf("usage: %s %s %s\n\n%s\n", form->prefix, form->command->name,
	    form->command->arguments, form->command->summary);
	if (form->help != NULL)
		printf("\n%s", form->help);
	return CONTROL_OK;
}

static int take_waited(struct policy_arguments *arguments, const char *text)
{
	arguments->waited = command_read_age(text);
	if (arguments->waited >= 0)
		return -1;
	return policy_arguments_wrong(arguments, "--waited", text,
	    "a time is expected: seconds, or a number with s, m, h or d "
	    "behind");
}

static int take_fingerprint(struct policy_arguments *arguments,
    const char *text)
{
	if (arguments->fingerprint_count == POLICY_FINGERPRINTS_MAX)
		return policy_arguments_wrong(arguments, "--fingerprint", NULL,
		    "at most eight can be given");
	arguments->fingerprints[arguments->fingerprint_count++] = text;
	return -1;
}

static int take_option(struct policy_arguments *arguments, int letter,
    const char *text)
{
	switch (letter) {
	case 'c': arguments->options.configuration = text; return -1;
	case 'j': arguments->options.json = true; return -1;
	case 's': arguments->standalone = true; return -1;
	case 'w': return take_waited(arguments, text);
	case 'R': arguments->requiretls = true; return -1;
	case 'O': arguments->tls_optional = true; return -1;
	case 'L': arguments->level = text; return -1;
	case 'F': return take_fingerprint(arguments, text);
	case 'r': arguments->reason = text; return -1;
	case 'U': arguments->until = text; return -1;
	case 'N': arguments->no_retry = true; return -1;
	case 'S': arguments->since = text; return -1;
	case 'D': arguments->day = text; return -1;
	default: return print_help(arguments->form);
	}
}

/* As it was typed, for people. */
static const char *option_name(int letter)
{
	static char name[32];
	size_t i;

	for (i = 0; longs[i].name != NULL; i++)
		if (longs[i].val == letter)
			snprintf(name, sizeof(name), "--%s", longs[i].name);
	return name;
}

int policy_arguments_read(struct policy_arguments *arguments,
    const struct policy_form *form, int argc, char **argv)
{
	int letter, status;

	memset(arguments, 0, sizeof(*arguments));
	arguments->form = form;
	arguments->options.configuration = POSTERN_SYSCONFDIR "/postern.conf";
	optind = 1;
	opterr = 0;
	while ((letter = getopt_long(argc, argv, "c:jh", longs, NULL)) != -1) {
		if (letter == '?')
			return wrong_option(form, argv[optind - 1]);
		if (strchr("cjh", letter) == NULL &&
		    strchr(form->options, letter) == NULL)
			return wrong_option(form, option_name(letter));
		status = take_option(arguments, letter, optarg);
		if (status != -1)
			return status;
	}
	if (arguments->requiretls && arguments->tls_optional)
		return policy_arguments_wrong(arguments, "", NULL,
		    "--requiretls and --tls-optional exclude each other, as "
		    "they do for a message");
	arguments->operands = argv + optind;
	arguments->operand_count = argc - optind;
	if (arguments->operand_count < form->least ||
	    arguments->operand_count > form->most)
		return policy_arguments_wrong(arguments, "", NULL,
		    form->operands);
	return -1;
}

/* --- operands --- */

/* A mail address stands for its domain. */
static const char *read_domain(const char *text, char *out, size_t size)
{
	char ascii[ADDRESS_MAX + 1];
	struct address address;
	const char *why;

	if (strchr(text, '@') == NULL)
		return domain_to_ascii(out, size, text);
	why = address_pattern_to_ascii(ascii, sizeof(ascii), text);
	if (why != NULL)
		return why;
	if (address_parse(&address, ascii) != ADDRESS_OK ||
	    address.domain[0] == '\0')
		return "it is no mail address";
	snprintf(out, size, "%s", address.domain);
	return NULL;
}

int policy_read_target(const struct policy_arguments *arguments,
    const char *text, char *out, size_t size)
{
	struct endpoint endpoint;
	const char *why;

	if (endpoint_parse(&endpoint, text, 0) == 0) {
		endpoint_format_literal(&endpoint, out, size);
		return -1;
	}
	if (domain_is_literal(text)) {
		snprintf(out, size, "%s", text);
		return -1;
	}
	why = text[0] == '[' ? "it is no address in brackets" :
	    read_domain(text, out, size);
	return why == NULL ? -1 : policy_arguments_wrong(arguments, "", text,
	    why);
}

int policy_read_pattern(const struct policy_arguments *arguments,
    const char *text, char *out, size_t size)
{
	const char *why;

	if (text[0] != '.')
		return policy_read_target(arguments, text, out, size);
	out[0] = '.';
	why = domain_to_ascii(out + 1, size - 1, text + 1);
	return why == NULL ? -1 : policy_arguments_wrong(arguments, "", text,
	    why);
}

int policy_read_word(const struct policy_arguments *arguments,
    const char *place, const char *text, const char *const *words)
{
	char problem[300] = "expected is";
	size_t used = strlen(problem), i;

	if (text == NULL)
		return policy_arguments_wrong(arguments, place, NULL,
		    "it must be given");
	for (i = 0; words[i] != NULL; i++) {
		if (strcmp(words[i], text) == 0)
			return -1;
		used += (size_t)snprintf(problem + used, sizeof(problem) -
		    used, "%s%s", i == 0 ? " " : words[i + 1] == NULL ?
		    " or " : ", ", words[i]);
	}
	return policy_arguments_wrong(arguments, place, text, problem);
}

/* It is stored, shown and logged: one line of text. */
int policy_check_reason(const struct policy_arguments *arguments)
{
	const char *text = arguments->reason, *byte;
	json_t *string;

	if (text == NULL || text[0] == '\0')
		return policy_arguments_wrong(arguments, "--reason", NULL,
		    "why? a few words for who finds this later, such as "
		    "\"ticket 41\"");
	if (strlen(text) >= EXCEPTION_REASON_MAX)
		return policy_arguments_wrong(arguments, "--reason", NULL,
		    "it is longer than 199 bytes");
	string = json_string(text);
	json_decref(string);
	for (byte = text; *byte != '\0'; byte++)
		if ((unsigned char)*byte < ' ' || *byte == 0x7f)
			break;
	if (*byte != '\0' || string == NULL)
		return policy_arguments_wrong(arguments, "--reason", NULL,
		    "one line of printable text (UTF-8) is expected");
	return -1;
}

/* --- asking --- */

int policy_ask(const struct policy_arguments *arguments, const char *verb,
    json_t *request, void (*line)(void *arg, const json_t *object), void *arg)
{
	struct conf *conf = control_client_conf(
	    arguments->options.configuration);
	int status;

	if (conf == NULL) {
		json_decref(request);
		return CONTROL_CONFIG;
	}
	status = control_client_ask(conf, ROLE_POLICY, verb, request, line,
	    arg);
	conf_free(conf);
	return status;
}
