/* SPDX-License-Identifier: ISC */
/*
 * One table per command: keyword and reader of its value. The reader answers
 * whether the value is right.
 */
#include "smtpd/parameter.h"

#include <ctype.h>
#include <string.h>
#include <strings.h>

#include "base/xtext.h"
#include "queue/envelope.h"
#include "smtpd/refusal.h"

/* What readers of RCPT's parameters get. */
struct recipient_target {
	struct recipient_parameters	*parameters;
	bool				 utf8;
};

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

static const struct refusal *read_envid(void *target, const char *value)
{
	struct mail_parameters *mail = target;

	if (value == NULL || *value == '\0' || !xtext_is_valid(value) ||
	    strlen(value) > PARAMETER_ENVID_MAX)
		return &refusal_parameter_value;
	mail->envid = value;
	return NULL;
}

/* RFC 4954 5: who submitted it first, as somebody says whom we do not trust
 * with it: checked, and not passed on (SMTP-150). */
static const struct refusal *read_auth(void *target, const char *value)
{
	(void)target;
	if (value == NULL || strlen(value) > PARAMETER_AUTH_MAX ||
	    !xtext_is_valid(value))
		return &refusal_parameter_value;
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

/* RFC 6531 3.4. Whether it was offered is verb_mail.c's to know. */
static const struct refusal *read_utf8(void *target, const char *value)
{
	struct mail_parameters *mail = target;

	if (value != NULL)
		return &refusal_parameter_value;
	mail->flags |= ENVELOPE_UTF8;
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
	struct recipient_target *from = target;
	struct recipient_parameters *recipient = from->parameters;
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

/* Behind the type. RFC 6533 3 writes addresses of its type in a way of its
 * own, and in UTF-8 where MAIL said SMTPUTF8. */
static bool is_original(const char *type, const char *text, bool utf8)
{
	return strncasecmp(type, "utf-8;", 6) == 0 ?
	    utf8_addr_is_valid(text, utf8) : xtext_is_valid(text);
}

static const struct refusal *read_original(void *target, const char *value)
{
	struct recipient_target *from = target;
	struct recipient_parameters *recipient = from->parameters;
	const char *semicolon;

	if (value == NULL || strlen(value) > PARAMETER_ORCPT_MAX)
		return &refusal_parameter_value;
	semicolon = strchr(value, ';');
	if (semicolon == NULL || semicolon == value || semicolon[1] == '\0' ||
	    !is_original(value, semicolon + 1, from->utf8))
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
	{ "AUTH", read_auth },
	{ "SMTPUTF8", read_utf8 },
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
	/* RFC 6531 3.3 adds UTF-8: whether it may be said in a parameter is
	 * known to the reader of that. */
	for (; *value != '\0'; value++)
		if ((*value >= 0 && *value <= ' ') || *value == 0x7f ||
		    *value == '=')
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
    struct recipient_parameters *recipient, char *text, bool utf8)
{
	struct recipient_target target = { recipient, utf8 };

	memset(recipient, 0, sizeof(*recipient));
	return read_all(recipient_table, &target, text);
}
