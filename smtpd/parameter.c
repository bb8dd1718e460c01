/* SPDX-License-Identifier: ISC */
/*
 * One table per command: keyword and reader of its value. The reader answers
 * whether the value is right.
 */
#include "smtpd/parameter.h"

#include <ctype.h>
#include <string.h>
#include <strings.h>

#include "queue/envelope.h"
#include "smtpd/refusal.h"

struct parameter {
	const char	*keyword;
	/* value is null when there was no "=". */
	const struct refusal	*(*read)(void *target, const char *value);
};

static const struct refusal *read_size(void *target, const char *value)
{
	struct mail_parameters *mail = target;
	size_t digits = value == NULL ? 0 : strspn(value, "0123456789");
	uint64_t size = 0;

	if (digits == 0 || digits > 20 || value[digits] != '\0')
		return &refusal_parameter_value;
	for (; *value != '\0'; value++) {
		unsigned digit = (unsigned)(*value - '0');

		if (size > (UINT64_MAX - digit) / 10) {
			size = UINT64_MAX;
			break;
		}
		size = size * 10 + digit;
	}
	mail->has_size = true;
	mail->size = size;
	return NULL;
}

static const struct refusal *read_body(void *target, const char *value)
{
	struct mail_parameters *mail = target;

	if (value == NULL)
		return &refusal_parameter_value;
	if (strcasecmp(value, "8BITMIME") == 0)
		mail->flags |= ENVELOPE_8BIT;
	else if (strcasecmp(value, "BINARYMIME") == 0)
		return &refusal_parameter_unknown;	/* not offered */
	else if (strcasecmp(value, "7BIT") != 0)
		return &refusal_parameter_value;
	return NULL;
}

static const struct refusal *read_return(void *target, const char *value)
{
	struct mail_parameters *mail = target;

	if (value != NULL && strcasecmp(value, "FULL") == 0)
		mail->flags |= ENVELOPE_RET_FULL;
	else if (value != NULL && strcasecmp(value, "HDRS") == 0)
		mail->flags |= ENVELOPE_RET_HEADERS;
	else
		return &refusal_parameter_value;
	return NULL;
}

/* RFC 3461 4: "+" and two upper-case hexadecimal digits, or itself. */
static bool is_xtext(const char *text)
{
	static const char hex[] = "0123456789ABCDEF";

	for (; *text != '\0'; text++) {
		if (*text <= ' ' || *text > '~' || *text == '=')
			return false;
		if (*text != '+')
			continue;
		if (text[1] == '\0' || strchr(hex, text[1]) == NULL ||
		    text[2] == '\0' || strchr(hex, text[2]) == NULL)
			return false;
		text += 2;
	}
	return true;
}

static const struct refusal *read_envid(void *target, const char *value)
{
	struct mail_parameters *mail = target;

	if (value == NULL || *value == '\0' || !is_xtext(value) ||
	    strlen(value) > PARAMETER_ENVID_MAX)
		return &refusal_parameter_value;
	mail->envid = value;
	return NULL;
}

/* RFC 8689 2: a keyword without a value. Whether it may be said in this session
 * is verb_mail.c's to know. */
static const struct refusal *read_requiretls(void *target, const char *value)
{
	struct mail_parameters *mail = target;

	if (value != NULL)
		return &refusal_parameter_value;
	mail->flags |= ENVELOPE_REQUIRETLS;
	return NULL;
}

/* The flag of the word of length bytes at text; 0 if there is none. */
static unsigned notify_word(const char *text, size_t length)
{
	static const struct { const char *word; unsigned flag; } words[] = {
		{ "NEVER", NOTIFY_NEVER }, { "SUCCESS", NOTIFY_SUCCESS },
		{ "FAILURE", NOTIFY_FAILURE }, { "DELAY", NOTIFY_DELAY },
	};

	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		if (strlen(words[i].word) == length &&
		    strncasecmp(words[i].word, text, length) == 0)
			return words[i].flag;
	return 0;
}

static const struct refusal *read_notify(void *target, const char *value)
{
	struct recipient_parameters *recipient = target;
	unsigned flag, flags = 0;
	size_t length;

	if (value == NULL)
		return &refusal_parameter_value;
	for (;;) {
		length = strcspn(value, ",");
		flag = notify_word(value, length);
		if (flag == 0)
			return &refusal_parameter_value;
		flags |= flag;
		if (value[length] == '\0')
			break;
		value += length + 1;
	}
	/* NEVER stands alone (RFC 3461 4.1). */
	if ((flags & NOTIFY_NEVER) && flags != NOTIFY_NEVER)
		return &refusal_parameter_value;
	recipient->notify = flags;
	return NULL;
}

static const struct refusal *read_original(void *target, const char *value)
{
	struct recipient_parameters *recipient = target;
	const char *semicolon;

	if (value == NULL || strlen(value) > PARAMETER_ORCPT_MAX)
		return &refusal_parameter_value;
	semicolon = strchr(value, ';');
	if (semicolon == NULL || semicolon == value || semicolon[1] == '\0' ||
	    !is_xtext(semicolon + 1))
		return &refusal_parameter_value;
	for (const char *byte = value; byte < semicolon; byte++)
		if (!isalnum((unsigned char)*byte) && *byte != '-')
			return &refusal_parameter_value;
	recipient->original = value;
	return NULL;
}

static const struct parameter mail_table[] = {
	{ "SIZE", read_size },
	{ "BODY", read_body },
	{ "RET", read_return },
	{ "ENVID", read_envid },
	{ "REQUIRETLS", read_requiretls },
	{ NULL, NULL }
};

static const struct parameter recipient_table[] = {
	{ "NOTIFY", read_notify },
	{ "ORCPT", read_original },
	{ NULL, NULL }
};

/* RFC 5321 4.1.2: esmtp-keyword, and esmtp-value when there is one. */
static bool is_well_formed(const char *keyword, const char *value)
{
	if (!isalnum((unsigned char)*keyword))
		return false;
	for (; *keyword != '\0'; keyword++)
		if (!isalnum((unsigned char)*keyword) && *keyword != '-')
			return false;
	if (value == NULL)
		return true;
	if (*value == '\0')
		return false;
	for (; *value != '\0'; value++)
		if (*value <= ' ' || *value > '~' || *value == '=')
			return false;
	return true;
}

static const struct refusal *read_one(const struct parameter *table,
    unsigned *seen, void *target, char *word)
{
	char *value = strchr(word, '=');

	if (value != NULL)
		*value++ = '\0';
	if (!is_well_formed(word, value))
		return &refusal_argument;
	for (unsigned i = 0; table[i].keyword != NULL; i++) {
		if (strcasecmp(table[i].keyword, word) != 0)
			continue;
		if (*seen & 1u << i)
			return &refusal_parameter_twice;
		*seen |= 1u << i;
		return table[i].read(target, value);
	}
	return &refusal_parameter_unknown;
}

static const struct refusal *read_all(const struct parameter *table,
    void *target, char *text)
{
	const struct refusal *refusal;
	unsigned seen = 0;
	char *end;

	if (*text != '\0' && *text != ' ')
		return &refusal_argument;
	for (;;) {
		text += strspn(text, " ");
		if (*text == '\0')
			return NULL;
		end = text + strcspn(text, " ");
		if (*end != '\0')
			*end++ = '\0';
		refusal = read_one(table, &seen, target, text);
		if (refusal != NULL)
			return refusal;
		text = end;
	}
}

const struct refusal *parameters_of_mail(struct mail_parameters *mail,
    char *text)
{
	memset(mail, 0, sizeof(*mail));
	return read_all(mail_table, mail, text);
}

const struct refusal *parameters_of_recipient(
    struct recipient_parameters *recipient, char *text)
{
	memset(recipient, 0, sizeof(*recipient));
	return read_all(recipient_table, recipient, text);
}
