/* SPDX-License-Identifier: ISC */
/*
 * A table of first words, each with the reader of what follows. A word that is
 * not known is passed over, as the protocol asks, and so are parameters.
 */
#include "policy/dovecot_line.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

/* Takes what stands before the next tab; null: nothing is left. */
static char *next(char **rest)
{
	char *word = *rest;

	if (word == NULL)
		return NULL;
	*rest = strchr(word, '\t');
	if (*rest != NULL)
		*(*rest)++ = '\0';
	return word;
}

static int take_number(const char *text, uint32_t *out)
{
	unsigned long value;

	if (text == NULL || *text == '\0' || strlen(text) > 10 ||
	    text[strspn(text, "0123456789")] != '\0')
		return -1;
	value = strtoul(text, NULL, 10);
	if (value > UINT32_MAX)
		return -1;
	*out = (uint32_t)value;
	return 0;
}

/* Byte 1 and a letter stand for tab, line end, NUL and byte 1: none of them
 * is in the name of a user. Control characters are not, either. */
static int take_user(char *out, const char *text)
{
	if (strlen(text) > LOGIN_USER_MAX)
		return -1;
	for (; *text != '\0'; text++) {
		if ((unsigned char)*text < ' ' || *text == 0x7f)
			return -1;
		*out++ = *text;
	}
	*out = '\0';
	return 0;
}

bool dovecot_is_mechanism(const char *name)
{
	size_t length = strlen(name);

	if (length == 0 || length > DOVECOT_MECHANISM_MAX)
		return false;
	for (; *name != '\0'; name++)
		if (!isalnum((unsigned char)*name) && *name != '-' &&
		    *name != '_')
			return false;
	return true;
}

static int read_version(struct dovecot_line *line, char *rest)
{
	uint32_t major;

	if (take_number(next(&rest), &major) == -1)
		return -1;
	line->major = major;
	return 0;
}

static int read_mechanism(struct dovecot_line *line, char *rest)
{
	const char *name = next(&rest), *word;

	if (name == NULL || !dovecot_is_mechanism(name))
		return -1;
	memcpy(line->mechanism, name, strlen(name) + 1);
	while ((word = next(&rest)) != NULL)
		line->is_private |= strcmp(word, "private") == 0;
	return 0;
}

static int read_id(struct dovecot_line *line, char **rest)
{
	return take_number(next(rest), &line->id) == -1 || line->id == 0 ?
	    -1 : 0;
}

static int read_challenge(struct dovecot_line *line, char *rest)
{
	if (read_id(line, &rest) == -1)
		return -1;
	line->data = next(&rest);
	if (line->data == NULL)
		line->data = "";
	return 0;
}

static int read_end(struct dovecot_line *line, char *rest)
{
	const char *word;

	if (read_id(line, &rest) == -1)
		return -1;
	while ((word = next(&rest)) != NULL) {
		if (strncmp(word, "user=", 5) == 0 &&
		    take_user(line->user, word + 5) == -1) {
			/* Who was not let in may have said any name: it costs
			 * the others nothing. */
			if (line->kind == DOVECOT_OK)
				return -1;
			line->user[0] = '\0';
		}
		line->temporary |= strcmp(word, "temp") == 0 ||
		    strcmp(word, "code=temp_fail") == 0;
	}
	return line->kind == DOVECOT_OK && line->user[0] == '\0' ? -1 : 0;
}

static int read_nothing(struct dovecot_line *line, char *rest)
{
	(void)line;
	(void)rest;
	return 0;
}

static const struct {
	const char	*word;
	enum dovecot_kind kind;
	int		(*read)(struct dovecot_line *line, char *rest);
} words[] = {
	{ "VERSION", DOVECOT_VERSION, read_version },
	{ "MECH", DOVECOT_MECH, read_mechanism },
	{ "DONE", DOVECOT_DONE, read_nothing },
	{ "CONT", DOVECOT_CONT, read_challenge },
	{ "OK", DOVECOT_OK, read_end },
	{ "FAIL", DOVECOT_FAIL, read_end },
};

int dovecot_line_parse(struct dovecot_line *line, char *text)
{
	char *rest = text;
	const char *word = next(&rest);

	memset(line, 0, sizeof(*line));
	line->kind = DOVECOT_OTHER;
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		if (strcmp(words[i].word, word) != 0)
			continue;
		line->kind = words[i].kind;
		return words[i].read(line, rest);
	}
	return 0;
}
