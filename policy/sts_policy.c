/* SPDX-License-Identifier: ISC */
/*
 * Both grammars of RFC 8461, 3.1 and 3.2, character by character: a text that
 * is not of the grammar is no policy, never a part of one. Sentence parts say
 * where it went wrong and never repeat bytes from outside.
 */
#include "policy/sts_policy.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/arena.h"
#include "base/broken.h"
#include "base/net.h"

enum { NAME_MAX_LENGTH = 32, LABEL_MAX = 63, HOST_MAX = 253, AGE_DIGITS = 10 };

/* A part of the text that is read. */
struct span {
	const char	*at;
	size_t		 length;
};

/* RFC 5234 B.1; no locale has a say. */
static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static bool is_alphanumeric(char c)
{
	return is_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static bool is_white(char c)
{
	return c == ' ' || c == '\t';
}

static bool is_word(struct span span, const char *word)
{
	return span.length == strlen(word) &&
	    memcmp(span.at, word, span.length) == 0;
}

/* Extension names, of fields and of keys: sts-ext-name, sts-policy-ext-name. */
static bool is_name(struct span span)
{
	size_t i;

	if (span.length == 0 || span.length > NAME_MAX_LENGTH ||
	    !is_alphanumeric(span.at[0]))
		return false;
	for (i = 1; i < span.length; i++)
		if (!is_alphanumeric(span.at[i]) && span.at[i] != '_' &&
		    span.at[i] != '-' && span.at[i] != '.')
			return false;
	return true;
}

static void skip_white(struct span *rest)
{
	while (rest->length > 0 && is_white(*rest->at)) {
		rest->at++;
		rest->length--;
	}
}

/* --- the TXT record --- */

static const char txt_version[] = "v=STSv1";

/*
 * Does a record begin as one of ours, with rest behind the version? The text
 * of 3.1 says "v=STSv1;", its grammar lets white space stand before the
 * semicolon: both count.
 */
static bool begins_as_ours(struct span record, struct span *rest)
{
	size_t length = sizeof(txt_version) - 1;
	struct span after;

	if (record.length < length ||
	    memcmp(record.at, txt_version, length) != 0)
		return false;
	after.at = record.at + length;
	after.length = record.length - length;
	*rest = after;
	skip_white(&after);
	return after.length > 0 && *after.at == ';';
}

/* sts-field-delim */
static bool take_delimiter(struct span *rest)
{
	skip_white(rest);
	if (rest->length == 0 || *rest->at != ';')
		return false;
	rest->at++;
	rest->length--;
	skip_white(rest);
	return true;
}

/* 1*(%x21-3A / %x3C / %x3E-7E): visible, but no "=" and no ";". */
static bool is_field_value(char c)
{
	return c >= 0x21 && c <= 0x7e && c != ';' && c != '=';
}

static bool take_field(struct span *rest, struct span *name,
    struct span *value)
{
	const char *end = rest->at + rest->length, *p = rest->at;

	name->at = p;
	while (p < end && *p != '=' && is_field_value(*p))
		p++;
	name->length = (size_t)(p - name->at);
	if (p == end || *p != '=' || !is_name(*name))
		return false;
	value->at = ++p;
	while (p < end && is_field_value(*p))
		p++;
	value->length = (size_t)(p - value->at);
	rest->length = (size_t)(end - p);
	rest->at = p;
	return true;
}

static bool is_id(struct span value)
{
	size_t i;

	if (value.length == 0 || value.length > STS_ID_MAX)
		return false;
	for (i = 0; i < value.length; i++)
		if (!is_alphanumeric(value.at[i]))
			return false;
	return true;
}

/* The fields behind the version; of several ids the first one counts. */
static int read_fields(struct span rest, char *id, char *why, size_t size)
{
	struct span name, value;
	bool found = false;

	while (rest.length > 0) {
		if (!take_delimiter(&rest)) {
			snprintf(why, size, "the TXT record has something "
			    "other than \";\" between its fields");
			return -1;
		}
		if (rest.length == 0)
			break;		/* one delimiter may end it */
		if (!take_field(&rest, &name, &value) || value.length == 0) {
			snprintf(why, size, "a field of the TXT record is not "
			    "of the form name=value");
			return -1;
		}
		if (found || !is_word(name, "id"))
			continue;
		if (!is_id(value)) {
			snprintf(why, size, "the id in the TXT record is not "
			    "1 to %d letters and digits", STS_ID_MAX);
			return -1;
		}
		memcpy(id, value.at, value.length);
		id[value.length] = '\0';
		found = true;
	}
	if (!found)
		snprintf(why, size, "the TXT record has no id");
	return found ? 0 : -1;
}

int sts_read_txt(const char *const *records, const size_t *lengths,
    size_t count, char id[STS_ID_MAX + 1], char *why, size_t size)
{
	struct span ours = { NULL, 0 }, rest;
	size_t i, found = 0;

	id[0] = '\0';
	for (i = 0; i < count; i++) {
		struct span record = { records[i], lengths[i] };

		if (!begins_as_ours(record, &rest))
			continue;
		ours = rest;
		found++;
	}
	if (found == 1) {
		if (read_fields(ours, id, why, size) == 0)
			return 0;
		id[0] = '\0';
	} else if (found == 0) {
		snprintf(why, size, "no TXT record begins with v=STSv1;");
	} else {
		snprintf(why, size, "there are %zu TXT records that begin with "
		    "v=STSv1; instead of one", found);
	}
	return -1;
}

/* --- the policy: lines --- */

/* Length of the UTF-8 character at p, or 0 (RFC 3629 4). */
static size_t utf8_length(const unsigned char *p, size_t left)
{
	unsigned char low = 0x80, high = 0xbf;
	size_t length, i;

	if (p[0] >= 0xc2 && p[0] <= 0xdf)
		length = 2;
	else if (p[0] >= 0xe0 && p[0] <= 0xef)
		length = 3;
	else if (p[0] >= 0xf0 && p[0] <= 0xf4)
		length = 4;
	else
		return 0;
	if (length > left)
		return 0;
	switch (p[0]) {
	case 0xe0: low = 0xa0; break;		/* not shorter */
	case 0xed: high = 0x9f; break;		/* no surrogates */
	case 0xf0: low = 0x90; break;
	case 0xf4: high = 0x8f; break;		/* at most U+10FFFF */
	default: break;
	}
	if (p[1] < low || p[1] > high)
		return 0;
	for (i = 2; i < length; i++)
		if (p[i] < 0x80 || p[i] > 0xbf)
			return 0;
	return length;
}

/* sts-policy-ext-value, which the values of all keys are, too. */
static bool is_policy_value(struct span value)
{
	const unsigned char *p = (const unsigned char *)value.at;
	size_t i = 0, step;

	while (i < value.length) {
		step = p[i] >= 0x20 && p[i] <= 0x7e ? 1 :
		    utf8_length(p + i, value.length - i);
		if (step == 0)
			return false;
		i += step;
	}
	return value.length > 0;
}

/* Takes a line off the text, without its terminator. */
static struct span take_line(struct span *rest)
{
	const char *end = memchr(rest->at, '\n', rest->length);
	struct span line = *rest;

	if (end == NULL) {
		rest->length = 0;
		return line;
	}
	line.length = (size_t)(end - line.at);
	rest->at = end + 1;
	rest->length -= line.length + 1;
	if (line.length > 0 && line.at[line.length - 1] == '\r')
		line.length--;
	return line;
}

/* key ":" *WSP value *WSP */
static bool split_line(struct span line, struct span *key, struct span *value)
{
	const char *colon = memchr(line.at, ':', line.length);

	if (colon == NULL)
		return false;
	key->at = line.at;
	key->length = (size_t)(colon - line.at);
	value->at = colon + 1;
	value->length = line.length - key->length - 1;
	skip_white(value);
	while (value->length > 0 && is_white(value->at[value->length - 1]))
		value->length--;
	return is_name(*key) && is_policy_value(*value);
}

/* --- the policy: values --- */

/* Domain of RFC 5321 4.1.2: labels of letters, digits and inner hyphens. */
static bool is_domain(struct span span)
{
	size_t i, label = 0;

	if (span.length == 0 || span.length > HOST_MAX)
		return false;
	for (i = 0; i < span.length; i++) {
		char c = span.at[i];

		if (c == '.') {
			if (label == 0 || span.at[i - 1] == '-')
				return false;
			label = 0;
			continue;
		}
		if (!(is_alphanumeric(c) || (c == '-' && label > 0)) ||
		    ++label > LABEL_MAX)
			return false;
	}
	return label > 0 && span.at[span.length - 1] != '-';
}

/* The grammar of Domain lets an IPv4 address through; it is no name. */
static bool is_address(struct span span)
{
	char text[HOST_MAX + 1];
	struct endpoint endpoint;

	memcpy(text, span.at, span.length);
	text[span.length] = '\0';
	return endpoint_parse(&endpoint, text, 0) == 0;
}

static bool is_mx(struct span value)
{
	if (value.length >= 2 && value.at[0] == '*' && value.at[1] == '.') {
		value.at += 2;
		value.length -= 2;
	}
	return is_domain(value) && !is_address(value);
}

static char *lower_copy(struct arena *arena, struct span value)
{
	char *text = arena_dup_text(arena, value.at, value.length), *p;

	for (p = text; *p != '\0'; p++)
		if (*p >= 'A' && *p <= 'Z')
			*p |= 0x20;
	return text;
}

static bool read_mode(struct span value, enum sts_mode *mode)
{
	static const enum sts_mode modes[] = { STS_MODE_NONE,
	    STS_MODE_TESTING, STS_MODE_ENFORCE };
	size_t i;

	for (i = 0; i < sizeof(modes) / sizeof(modes[0]); i++)
		if (is_word(value, sts_mode_name(modes[i]))) {
			*mode = modes[i];
			return true;
		}
	return false;
}

/* 1*10DIGIT; the text's maximum is less than the grammar's: clamped. */
static bool read_max_age(struct span value, int64_t *seconds)
{
	size_t i;

	if (value.length == 0 || value.length > AGE_DIGITS)
		return false;
	*seconds = 0;
	for (i = 0; i < value.length; i++) {
		if (!is_digit(value.at[i]))
			return false;
		*seconds = *seconds * 10 + (value.at[i] - '0');
	}
	if (*seconds > STS_MAX_AGE_MAX)
		*seconds = STS_MAX_AGE_MAX;
	return true;
}

/* --- the policy --- */

enum key { KEY_VERSION, KEY_MODE, KEY_MAX_AGE, KEY_MX, KEY_OTHER };

static const char *const key_names[] = {
	[KEY_VERSION] = "version", [KEY_MODE] = "mode",
	[KEY_MAX_AGE] = "max_age", [KEY_MX] = "mx",
};

struct reading {
	struct sts_policy	*policy;
	struct arena		*arena;
	char			*mx[STS_MX_MAX];
	bool			 seen[KEY_OTHER];
};

static enum key key_of(struct span name)
{
	enum key key;

	for (key = KEY_VERSION; key < KEY_OTHER; key++)
		if (is_word(name, key_names[key]))
			break;
	return key;
}

/* Null, or what is wrong with the value. */
static const char *read_value(struct reading *reading, enum key key,
    struct span value)
{
	struct sts_policy *policy = reading->policy;

	if (key == KEY_OTHER || (reading->seen[key] && key != KEY_MX))
		return NULL;	/* of the others, the first one counts */
	reading->seen[key] = true;
	switch (key) {
	case KEY_VERSION:
		return is_word(value, "STSv1") ? NULL :
		    "the version is not STSv1";
	case KEY_MODE:
		return read_mode(value, &policy->mode) ? NULL :
		    "the mode is not enforce, testing or none";
	case KEY_MAX_AGE:
		return read_max_age(value, &policy->max_age) ? NULL :
		    "max_age is not a number of 1 to 10 digits";
	default:
		break;
	}
	if (!is_mx(value))
		return "an mx is not a host name, or \"*.\" and a host name";
	if (policy->mx_count == STS_MX_MAX)
		return "there are too many mx";
	reading->mx[policy->mx_count++] = lower_copy(reading->arena, value);
	return NULL;
}

static const char *what_is_missing(const struct reading *reading)
{
	if (!reading->seen[KEY_VERSION])
		return "the version is missing";
	if (!reading->seen[KEY_MODE])
		return "the mode is missing";
	if (!reading->seen[KEY_MAX_AGE])
		return "max_age is missing";
	if (!reading->seen[KEY_MX] && reading->policy->mode != STS_MODE_NONE)
		return "there is no mx";
	return NULL;
}

/* More than the grammar allows: empty lines at the end, which some editors
 * leave. To refuse the policy for them would be to send without it. */
static void drop_empty_end(struct span *body)
{
	while (body->length > 1 && body->at[body->length - 1] == '\n' &&
	    (body->at[body->length - 2] == '\n' ||
	    (body->length > 2 && body->at[body->length - 2] == '\r' &&
	    body->at[body->length - 3] == '\n')))
		body->length -= body->at[body->length - 2] == '\n' ? 1 : 2;
}

int sts_read_policy(const char *body, size_t length, struct arena *arena,
    struct sts_policy *policy, char *why, size_t size)
{
	struct reading reading = { .policy = policy, .arena = arena };
	struct span rest = { body, length }, line, key, value;
	const char *problem;
	unsigned number = 0;

	memset(policy, 0, sizeof(*policy));
	if (length > STS_BODY_MAX) {
		snprintf(why, size, "the policy has more than %d bytes",
		    STS_BODY_MAX);
		return -1;
	}
	drop_empty_end(&rest);
	while (rest.length > 0) {
		line = take_line(&rest);
		number++;
		problem = !split_line(line, &key, &value) ?
		    "it is not of the form key: value" :
		    read_value(&reading, key_of(key), value);
		if (problem != NULL) {
			snprintf(why, size, "line %u of the policy: %s",
			    number, problem);
			return -1;
		}
	}
	problem = what_is_missing(&reading);
	if (problem != NULL) {
		snprintf(why, size, "in the policy %s", problem);
		return -1;
	}
	policy->mx = arena_alloc_array(arena, policy->mx_count + 1,
	    sizeof(*policy->mx));
	if (policy->mx_count > 0)
		memcpy(policy->mx, reading.mx,
		    policy->mx_count * sizeof(*policy->mx));
	return 0;
}

/* --- matching --- */

static bool matches_pattern(const char *pattern, const char *host,
    size_t length)
{
	const char *dot;

	if (pattern[0] == '*' && pattern[1] == '.') {
		/* The star stands for exactly one label. */
		dot = memchr(host, '.', length);
		if (dot == NULL || dot == host)
			return false;
		length -= (size_t)(dot + 1 - host);
		host = dot + 1;
		pattern += 2;
	}
	return strlen(pattern) == length &&
	    strncasecmp(pattern, host, length) == 0;
}

bool sts_matches(const struct sts_policy *policy, const char *host)
{
	size_t length = strlen(host), i;

	if (broken("mx-match"))
		return true;
	if (length > 0 && host[length - 1] == '.')
		length--;
	if (length == 0)
		return false;
	for (i = 0; i < policy->mx_count; i++)
		if (matches_pattern(policy->mx[i], host, length))
			return true;
	return false;
}

const char *sts_mode_name(enum sts_mode mode)
{
	switch (mode) {
	case STS_MODE_TESTING: return "testing";
	case STS_MODE_ENFORCE: return "enforce";
	case STS_MODE_NONE: break;
	}
	return "none";
}
