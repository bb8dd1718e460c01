/* SPDX-License-Identifier: ISC */
/*
 * Usage lines, --help, and the list of commands.
 */
#include "tools/queue_help.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "tools/command.h"
#include "tools/command_text.h"
#include "tools/queue_options.h"
#include "tools/queue_request.h"

enum { COMMANDS_MAX = 40, ARGUMENTS_BYTES = 512, OPTION_COLUMN = 23 };

__attribute__((format(printf, 3, 4)))
static void add(char *out, size_t size, const char *format, ...)
{
	size_t used = strlen(out);
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(out + used, size - used, format, arguments);
	va_end(arguments);
}

static void add_own(const struct queue_command *command, char *out,
    size_t size)
{
	const struct queue_option *option;

	for (option = command->options; option != NULL &&
	    option->name != NULL; option++) {
		add(out, size, "%s--%s", option->needed ? "" : "[",
		    option->name);
		if (option->value != NULL)
			add(out, size, " %s", option->value);
		add(out, size, option->needed ? " " : "] ");
	}
}

static void add_below(const struct queue_command *command, char *out,
    size_t size)
{
	const struct queue_command *const *below;

	for (below = command->commands; *below != NULL; below++)
		add(out, size, "%s%s", below == command->commands ? "" : "|",
		    (*below)->name);
	add(out, size, " ...");
}

void queue_request_format(const struct queue_command *command, char *out,
    size_t size)
{
	out[0] = '\0';
	if (command->commands != NULL) {
		add_below(command, out, size);
		return;
	}
	if (command->before != NULL)
		add(out, size, "%s ", command->before);
	add_own(command, out, size);
	if (command->takes & QUEUE_SELECTORS)
		add(out, size, "[SELECTOR...] ");
	if (command->takes & (QUEUE_SELECTORS | QUEUE_IDS))
		add(out, size, "[ID...] ");
	if (command->after != NULL)
		add(out, size, "%s ", command->after);
	if (command->takes & QUEUE_DRY_RUN)
		add(out, size, "[--dry-run [-v]] ");
	add(out, size, "[-j] [-c FILE]");
}

/* "  --older TIME         at least this old" */
static void print_option(const struct queue_option *option)
{
	char head[128];
	int length;

	length = snprintf(head, sizeof(head), "  --%s", option->name);
	if (option->letter != '\0')
		length = snprintf(head, sizeof(head), "  -%c, --%s",
		    option->letter, option->name);
	if (option->value != NULL)
		snprintf(head + length, sizeof(head) - (size_t)length, " %s",
		    option->value);
	printf("%-*s", OPTION_COLUMN - 1, head);
	if (strlen(head) >= OPTION_COLUMN)
		printf("\n%*s", OPTION_COLUMN - 1, "");
	printf(" ");
	text_wrap(OPTION_COLUMN, option->help);
}

/* Of the options at list, those that the command has. */
static void print_options(const struct queue_command *command,
    const struct queue_option *list)
{
	const struct queue_option *option, *own;

	for (option = list; option != NULL && option->name != NULL; option++) {
		for (own = command->options; list != command->options &&
		    own != NULL && own->name != NULL; own++)
			if (strcmp(own->name, option->name) == 0)
				break;
		if (list == command->options || own == NULL ||
		    own->name == NULL)
			print_option(option);
	}
}

/* Every word that --reason takes, from the place that knows them. */
static void print_reasons(void)
{
	char line[TEXT_BYTES] = "REASONS: ";
	const char *word;
	size_t i;

	for (i = 0; (word = queue_options_reasons(i)) != NULL; i++)
		add(line, sizeof(line), "%s%s", i == 0 ? "" : ", ", word);
	add(line, sizeof(line), "; broken-tls is STARTTLS refused or a "
	    "handshake that failed, tls whatever is about TLS or its policy, "
	    "temporary-dns what a resolver may answer otherwise later");
	text_line(0, line);
}

/* Lines that begin with a space as they are, the others as paragraphs. */
static void print_text(const char *text)
{
	char line[TEXT_BYTES] = "";
	size_t indent, length;

	for (; *text != '\0'; text += length + (text[length] == '\n')) {
		indent = strspn(text, " ");
		text += indent;
		length = strcspn(text, "\n");
		add(line, sizeof(line), "%s%.*s", line[0] == '\0' ? "" : " ",
		    (int)length, text);
		if (indent == 0 && text[length] == '\n' &&
		    strchr(" \n", text[length + 1]) == NULL)
			continue;
		text_line(indent, line);
		line[0] = '\0';
	}
}

void queue_help_print(const char *prefix, const struct queue_command *command)
{
	char arguments[ARGUMENTS_BYTES];

	queue_request_format(command, arguments, sizeof(arguments));
	printf("usage: %s %s %s\n\n%s\n\n", prefix, command->name, arguments,
	    command->summary);
	if (command->help != NULL) {
		print_text(command->help);
		printf("\n");
	}
	print_options(command, command->options);
	if (command->takes & QUEUE_DRY_RUN)
		print_options(command, queue_options_dry_run);
	print_options(command, queue_options_common);
	if (command->takes & QUEUE_SELECTORS) {
		printf("SELECTORS (all that are given must hold):\n");
		print_options(command, queue_options_selectors);
		print_reasons();
	}
}

int queue_help_list(const char *prefix,
    const struct queue_command *const *table, int argc, char **argv)
{
	struct command commands[COMMANDS_MAX];
	char *arguments = mem_alloc_array(COMMANDS_MAX, ARGUMENTS_BYTES);
	size_t count;
	int status;

	for (count = 0; table[count] != NULL && count < COMMANDS_MAX;
	    count++) {
		char *text = arguments + count * ARGUMENTS_BYTES;

		queue_request_format(table[count], text, ARGUMENTS_BYTES);
		commands[count] = (struct command){
		    .name = table[count]->name, .arguments = text,
		    .summary = table[count]->summary };
	}
	status = command_dispatch(prefix, commands, count, argc, argv);
	mem_free(arguments);
	return status;
}
