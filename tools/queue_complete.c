/* SPDX-License-Identifier: ISC */
/*
 * Says nothing where nothing is known, and never complains: an error message
 * in the middle of a line that is being typed helps nobody. Identifiers come
 * from the running server, if it answers.
 */
#include "tools/queue_complete.h"

#include <stdio.h>
#include <string.h>

#include "base/control.h"
#include "conf/conf.h"
#include "config.h"
#include "tools/command_text.h"
#include "tools/control_client.h"
#include "tools/queue_request.h"

enum { IDS_SHOWN = 100 };

struct line {
	const struct queue_command *command;
	const char	*configuration;
	const char	*word;		/* the unfinished one */
};

static void offer(const struct line *line, const char *prefix,
    const char *candidate)
{
	char whole[128];

	snprintf(whole, sizeof(whole), "%s%s", prefix, candidate);
	if (strncmp(whole, line->word, strlen(line->word)) == 0)
		puts(whole);
}

static void offer_words(const struct line *line,
    const char *(*words)(size_t i))
{
	const char *word;
	size_t i;

	for (i = 0; words != NULL && (word = words(i)) != NULL; i++)
		offer(line, "", word);
}

static void offer_options(const struct line *line)
{
	const struct queue_option *option;
	size_t i;

	for (i = 0; (option = queue_request_option(line->command, i)) != NULL;
	    i++)
		offer(line, "--", option->name);
}

/* Bash expands what it is offered: another word would be obeyed. */
static void offer_id(void *arg, const json_t *object)
{
	const char *id = text_of(object, "id");

	if (id[strspn(id, "0123456789abcdef")] == '\0')
		offer(arg, "", id);
}

/* What is wrong with the configuration goes to stderr; the shell throws it away. */
static void offer_ids(struct line *line)
{
	struct control_client_answer answer = { .line = offer_id,
	    .arg = line };
	struct conf *conf = control_client_conf(line->configuration);

	if (conf == NULL)
		return;
	control_client_ask_quietly(conf, ROLE_QUEUE, "list",
	    json_pack("{s:i}", "limit", IDS_SHOWN), &answer);
	conf_free(conf);
}

static bool is_path(const char *operand)
{
	return operand != NULL && (strcmp(operand, "FILE") == 0 ||
	    strcmp(operand, "DIRECTORY") == 0);
}

static void offer_value(const struct line *line,
    const struct queue_option *option)
{
	if (is_path(option->value))
		puts(":files");
	else
		offer_words(line, option->words);
}

/* operands: how many stand before the unfinished word. */
static void offer_operands(struct line *line, int operands)
{
	const struct queue_command *command = line->command;

	if (command->before != NULL && operands == 0) {
		if (is_path(command->before))
			puts(":files");
		return;
	}
	offer_words(line, command->after_words);
	if (command->takes & (QUEUE_SELECTORS | QUEUE_IDS))
		offer_ids(line);
}

/* "--older" or "-c" of the command; null: it is no option. */
static const struct queue_option *find_option(
    const struct queue_command *command, const char *word)
{
	const struct queue_option *option;
	size_t i;

	if (word[0] != '-' || word[1] == '\0')
		return NULL;
	for (i = 0; (option = queue_request_option(command, i)) != NULL; i++)
		if (word[1] == '-' ? strcmp(word + 2, option->name) == 0 :
		    word[1] == option->letter && word[2] == '\0')
			return option;
	return NULL;
}

static void complete_line(struct line *line, int count, char **words)
{
	const struct queue_option *option, *open = NULL;
	int i, operands = 0;

	/* Bash makes three words of "--state=held". */
	if (strcmp(line->word, "=") == 0)
		line->word = "";
	for (i = 0; i + 1 < count; i++) {
		if (open != NULL && strcmp(words[i], "=") == 0)
			continue;
		if (open != NULL) {
			if (strcmp(open->name, "config") == 0)
				line->configuration = words[i];
			open = NULL;
			continue;
		}
		option = find_option(line->command, words[i]);
		if (option != NULL && option->kind != QUEUE_FLAG)
			open = option;
		else if (words[i][0] != '-')
			operands++;
	}
	if (open != NULL)
		offer_value(line, open);
	else if (line->word[0] == '-')
		offer_options(line);
	else
		offer_operands(line, operands);
}

int queue_complete(const struct queue_command *const *table, int count,
    char **words)
{
	struct line line = { .configuration = POSTERN_SYSCONFDIR
	    "/postern.conf", .word = count > 0 ? words[count - 1] : "" };
	size_t i;

	for (i = 0; table[i] != NULL; i++) {
		if (count <= 1) {
			offer(&line, "", table[i]->name);
		} else if (strcmp(words[0], table[i]->name) == 0) {
			if (table[i]->commands != NULL)
				return queue_complete(table[i]->commands,
				    count - 1, words + 1);
			line.command = table[i];
			complete_line(&line, count - 1, words + 1);
		}
	}
	return CONTROL_OK;
}
