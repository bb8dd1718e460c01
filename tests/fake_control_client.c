/* SPDX-License-Identifier: ISC */
/*
 * Everything of the header is here, so that the linker takes nothing from the
 * library's own file.
 */
#include "tests/fake_control_client.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/control.h"
#include "base/mem.h"
#include "conf/conf.h"

enum { ANSWERS_MAX = 8, REQUESTS_MAX = 1 << 20 };

static struct {
	const char	*lines;
	int		 code;
	const char	*message;
} answers[ANSWERS_MAX];
static size_t answer_count, answer_next;
static char requests[REQUESTS_MAX];

void fake_control_reset(void)
{
	answer_count = answer_next = 0;
	requests[0] = '\0';
}

void fake_control_answer(const char *lines, int code, const char *message)
{
	if (answer_count == ANSWERS_MAX)
		abort();
	answers[answer_count].lines = lines;
	answers[answer_count].code = code;
	answers[answer_count++].message = message;
}

const char *fake_control_requests(void)
{
	return requests;
}

static void note(enum role role, const char *verb, json_t *arguments)
{
	char *text = arguments == NULL ? strdup("{}") : json_dumps(arguments,
	    JSON_COMPACT | JSON_SORT_KEYS);
	size_t used = strlen(requests);

	if (text == NULL || used + strlen(text) + 100 > sizeof(requests))
		abort();
	snprintf(requests + used, sizeof(requests) - used, "%s %s %s\n",
	    role_name(role), verb, text);
	free(text);
	json_decref(arguments);
}

static void send_lines(const char *lines, void (*line)(void *arg,
    const json_t *object), void *arg)
{
	json_t *object;
	size_t length;

	while (*lines != '\0') {
		length = strcspn(lines, "\n");
		object = json_loadb(lines, length, JSON_ALLOW_NUL, NULL);
		if (object == NULL)
			abort();
		line(arg, object);
		json_decref(object);
		lines += length + (lines[length] == '\n');
	}
}

int control_client_ask_quietly(const struct conf *conf, enum role role,
    const char *verb, json_t *arguments, struct control_client_answer *answer)
{
	size_t i = answer_next;

	(void)conf;
	note(role, verb, arguments);
	answer->message[0] = '\0';
	if (i == answer_count)
		return CONTROL_OK;
	answer_next++;
	send_lines(answers[i].lines, answer->line, answer->arg);
	snprintf(answer->message, sizeof(answer->message), "%s",
	    answers[i].message);
	return answers[i].code;
}

int control_client_ask(const struct conf *conf, enum role role,
    const char *verb, json_t *arguments, void (*line)(void *arg,
    const json_t *object), void *arg)
{
	struct control_client_answer answer = { .line = line, .arg = arg };
	int code = control_client_ask_quietly(conf, role, verb, arguments,
	    &answer);

	if (answer.message[0] != '\0')
		fprintf(code == CONTROL_OK ? stdout : stderr, "postern: %s\n",
		    answer.message);
	return code;
}

int control_client_ask_long(const struct conf *conf, enum role role,
    const char *verb, json_t *arguments, void (*line)(void *arg,
    const json_t *object), void *arg)
{
	return control_client_ask(conf, role, verb, arguments, line, arg);
}

int control_client_tell(const struct conf *conf, unsigned verb,
    void (*line)(void *arg, const json_t *object), void *arg)
{
	(void)conf, (void)verb, (void)line, (void)arg;
	return CONTROL_UNAVAILABLE;
}

int control_client_open(const struct conf *conf, enum role role,
    const char *verb, json_t *arguments)
{
	(void)conf, (void)role, (void)verb;
	json_decref(arguments);
	return -1;
}

struct conf *control_client_conf(const char *path)
{
	char *errors = NULL;
	struct conf *conf = conf_read(path, "hostname = mx.example.org\n",
	    &errors);

	mem_free(errors);
	return conf;
}

int control_client_try(const struct conf *conf)
{
	(void)conf;
	return 0;
}

void control_client_complain(const char *errors)
{
	fputs(errors, stderr);
}
