/* SPDX-License-Identifier: ISC */
/*
 * EHLO keywords (RFC 5321 4.1.1.1): one line each behind the first, a word and
 * perhaps parameters, in any case.
 */
#include "delivery/capability.h"

#include <ctype.h>
#include <stddef.h>
#include <string.h>
#include <strings.h>

#include "delivery/answer.h"

static const struct keyword {
	const char	*name;
	size_t		 offset;	/* of the bool */
} keywords[] = {
	{ "STARTTLS", offsetof(struct capability, starttls) },
	{ "PIPELINING", offsetof(struct capability, pipelining) },
	{ "CHUNKING", offsetof(struct capability, chunking) },
	{ "8BITMIME", offsetof(struct capability, eight_bit) },
	{ "SMTPUTF8", offsetof(struct capability, utf8) },
	{ "DSN", offsetof(struct capability, dsn) },
	{ "REQUIRETLS", offsetof(struct capability, requiretls) },
	{ "SIZE", offsetof(struct capability, size) },
};

/* RFC 1870 4: up to 20 digits. What does not fit limits nothing we hold. */
static uint64_t read_limit(const char *text, size_t length)
{
	uint64_t value = 0;
	size_t i;

	for (i = 0; i < length && isdigit((unsigned char)text[i]); i++) {
		unsigned digit = (unsigned)(text[i] - '0');

		if (value > (UINT64_MAX - digit) / 10)
			return 0;
		value = value * 10 + digit;
	}
	return i == length ? value : 0;
}

/* RFC 9422 4: 1 to 999999, in digits without leading zeros; what has another
 * form is no limit (4.1). */
static unsigned read_count(const char *text, size_t length)
{
	unsigned value = 0;
	size_t i;

	if (length == 0 || length > 6 || text[0] == '0')
		return 0;
	for (i = 0; i < length; i++) {
		if (!isdigit((unsigned char)text[i]))
			return 0;
		value = value * 10 + (unsigned)(text[i] - '0');
	}
	return value;
}

/* "MAILMAX=100 RCPTMAX=50": names in any case, others passed over. */
static void read_limits(struct capability *capability, const char *words,
    size_t length)
{
	while (length > 0) {
		const char *space = memchr(words, ' ', length);
		size_t word = space == NULL ? length :
		    (size_t)(space - words);

		if (word > 8 && strncasecmp(words, "MAILMAX=", 8) == 0)
			capability->mail_max = read_count(words + 8, word - 8);
		else if (word > 8 && strncasecmp(words, "RCPTMAX=", 8) == 0)
			capability->recipient_max = read_count(words + 8,
			    word - 8);
		word += word < length;
		words += word;
		length -= word;
	}
}

static void read_auth(struct capability *capability, const char *words,
    size_t length)
{
	if (length >= sizeof(capability->auth)) {
		length = sizeof(capability->auth) - 1;
		while (length > 0 && words[length] != ' ')
			length--;
	}
	memcpy(capability->auth, words, length);
	capability->auth[length] = '\0';
}

/*
 * A word of STARTTLS's length made of one filler letter, perhaps but for its
 * last one (XXXXXXXA is what known firewalls write), or STARTTLS with
 * something stuck to it.
 */
static bool is_mangled(const char *word, size_t length)
{
	size_t i;

	if (length > 8 && strncasecmp(word, "STARTTLS", 8) == 0)
		return true;
	if (length != 8)
		return false;
	for (i = 1; i < length - 1; i++)
		if (word[i] != word[0])
			return false;
	return true;
}

static void read_line(struct capability *capability, const char *line,
    size_t length)
{
	size_t word = 0, i;

	while (length > 0 && line[length - 1] == ' ')
		length--;
	while (word < length && line[word] != ' ')
		word++;
	if (word == 4 && word < length && strncasecmp(line, "AUTH", 4) == 0) {
		read_auth(capability, line + 5, length - 5);
		return;
	}
	if (word == 6 && word < length &&
	    strncasecmp(line, "LIMITS", 6) == 0) {
		read_limits(capability, line + 7, length - 7);
		return;
	}
	for (i = 0; i < sizeof(keywords) / sizeof(keywords[0]); i++) {
		const struct keyword *keyword = &keywords[i];

		if (strlen(keyword->name) != word ||
		    strncasecmp(keyword->name, line, word) != 0)
			continue;
		*(bool *)((char *)capability + keyword->offset) = true;
		if (keyword->offset == offsetof(struct capability, size) &&
		    word < length)
			capability->size_limit = read_limit(line + word + 1,
			    length - word - 1);
		return;
	}
	if (is_mangled(line, word))
		capability->starttls_mangled = true;
}

void capability_read(struct capability *capability, struct answer *reply)
{
	const char *line = answer_text(reply), *end;
	bool first = true;

	capability_reset(capability);
	for (; (end = strchr(line, '\n')) != NULL; line = end + 1) {
		if (!first)
			read_line(capability, line, (size_t)(end - line));
		first = false;
	}
	if (capability->starttls)
		capability->starttls_mangled = false;
}

void capability_words(struct answer *reply, char *out, size_t size)
{
	const char *line = strchr(answer_text(reply), '\n');
	size_t used = 0, word;

	out[0] = '\0';
	for (; line != NULL; line = strchr(line, '\n')) {
		word = strcspn(++line, " \n");
		if (word == 0)
			continue;
		if (used + word + 2 > size)
			return;
		if (used > 0)
			out[used++] = ' ';
		memcpy(out + used, line, word);
		used += word;
		out[used] = '\0';
	}
}

void capability_reset(struct capability *capability)
{
	memset(capability, 0, sizeof(*capability));
}
