/* SPDX-License-Identifier: ISC */
/*
 * Values: see value.h. The members of struct conf and its parts are reached
 * by their offsets in the table of options, here and nowhere else.
 */
#include "conf/value.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/buf.h"
#include "base/log.h"
#include "base/mem.h"
#include "conf/conf.h"
#include "conf/options.h"

enum { DEFAULT_WORDS_MAX = 8, ACCEPTED_MAX = 160,
    RATE_COUNT_MAX = 1000000, RATE_SECONDS_MAX = 31 * 86400 };

struct type {
	/* The words into the member; false with why and wrong set. */
	bool	(*set)(const struct option *option, char *element,
		    char **words, size_t count, size_t *wrong);
	void	(*release)(const struct option *option, char *element);
	void	(*print)(const struct option *option, const char *element,
		    struct buf *out);
	void	(*accepted)(const struct option *option, struct buf *out);
	const char	*noun;		/* "is not <noun>" */
	bool		 list;
};

struct unit {
	char	 letter;
	int64_t	 factor;
};

/* Largest first; 0 ends. */
static const struct unit size_units[] = { { 'G', 1 << 30 }, { 'M', 1 << 20 },
    { 'K', 1 << 10 }, { 0, 1 } };
static const struct unit duration_units[] = { { 'd', 86400 }, { 'h', 3600 },
    { 'm', 60 }, { 's', 1 }, { 0, 1 } };

/* --- words --- */

/* What libconfuse takes as one word without quotes, and a little less. */
static bool is_plain_word(const char *text)
{
	for (const char *byte = text; *byte != '\0'; byte++)
		if ((unsigned char)*byte <= ' ' || *byte == 127 ||
		    strchr("#\"'\\={}()+,$*", *byte) != NULL ||
		    (byte[0] == '/' && byte[1] == '/'))
			return false;
	return *text != '\0';
}

void value_print_word(const char *text, struct buf *out)
{
	if (is_plain_word(text)) {
		buf_add_string(out, text);
		return;
	}
	buf_add_byte(out, '"');
	for (; *text != '\0'; text++) {
		if (*text == '"' || *text == '\\')
			buf_add_byte(out, '\\');
		buf_add_byte(out, *text);
	}
	buf_add_byte(out, '"');
}

static void print_list(char *const *words, size_t count, struct buf *out)
{
	buf_add_string(out, count == 0 ? "{ }" : "{ ");
	for (size_t i = 0; i < count; i++) {
		value_print_word(words[i], out);
		buf_add_string(out, i + 1 < count ? ", " : " }");
	}
}

/* --- numbers --- */

/* Digits and, where units is not null, one of its letters. */
static bool read_number(const char *word, const struct unit *units,
    int64_t *number)
{
	int64_t value = 0;

	if (*word < '0' || *word > '9')
		return false;
	for (; *word >= '0' && *word <= '9'; word++)
		if (__builtin_mul_overflow(value, 10, &value) ||
		    __builtin_add_overflow(value, *word - '0', &value))
			return false;
	if (units != NULL && word[0] != '\0' && word[1] == '\0')
		for (; units->letter != 0; units++)
			if (strncasecmp(word, &units->letter, 1) == 0) {
				*number = value;
				return !__builtin_mul_overflow(value,
				    units->factor, number);
			}
	*number = value;
	return *word == '\0';
}

/* In the largest unit that divides it; 0 in the smallest one. */
static void print_number(int64_t number, const struct unit *units,
    struct buf *out)
{
	const struct unit *unit = units;

	while (unit->letter != 0 && (number < unit->factor ||
	    number % unit->factor != 0))
		unit++;
	buf_print(out, "%" PRId64, number / unit->factor);
	if (unit->letter != 0)
		buf_add_byte(out, unit->letter);
}

static const struct unit *units_of(enum option_type type)
{
	static const struct unit none[] = { { 0, 1 } };

	switch (type) {
	case OPTION_SIZE: return size_units;
	case OPTION_DURATION: return duration_units;
	case OPTION_FALLBACK: return duration_units;
	case OPTION_INTEGER: return none;
	default: bug("not a number");
	}
}

static bool set_number(const struct option *option, char *element,
    char **words, size_t count, size_t *wrong)
{
	int64_t number;

	(void)count, (void)wrong;
	if (!read_number(words[0], units_of(option->type), &number) ||
	    number < option->min || number > option->max)
		return false;
	memcpy(element + option->offset, &number, sizeof(number));
	return true;
}

static void put_number(const struct option *option, const char *element,
    struct buf *out)
{
	int64_t number;

	memcpy(&number, element + option->offset, sizeof(number));
	print_number(number, units_of(option->type), out);
}

static void accept_number(const struct option *option, struct buf *out)
{
	const struct unit *units = units_of(option->type);

	print_number(option->min, units, out);
	buf_add_string(out, " to ");
	print_number(option->max, units, out);
}

static void accept_size(const struct option *option, struct buf *out)
{
	accept_number(option, out);
	buf_add_string(out, ", in bytes or with K, M or G");
}

static void accept_duration(const struct option *option, struct buf *out)
{
	accept_number(option, out);
	buf_add_string(out, ", in seconds or with s, m, h or d");
}

/* --- choices --- */

static int find_choice(const char *const *choices, const char *word)
{
	for (int i = 0; choices[i] != NULL; i++)
		if (strcmp(choices[i], word) == 0)
			return i;
	return -1;
}

static void accept_choices(const struct option *option, struct buf *out)
{
	for (size_t i = 0; option->choices[i] != NULL; i++)
		buf_print(out, "%s%s", i == 0 ? "" :
		    option->choices[i + 1] != NULL ? ", " : " or ",
		    option->choices[i]);
}

static bool set_enum(const struct option *option, char *element, char **words,
    size_t count, size_t *wrong)
{
	int choice = find_choice(option->choices, words[0]);

	(void)count, (void)wrong;
	if (choice < 0)
		return false;
	_Static_assert(sizeof(enum conf_level) == sizeof(choice), "enum size");
	memcpy(element + option->offset, &choice, sizeof(choice));
	return true;
}

static int get_enum(const struct option *option, const char *element)
{
	int choice;

	memcpy(&choice, element + option->offset, sizeof(choice));
	return choice;
}

static void put_enum(const struct option *option, const char *element,
    struct buf *out)
{
	buf_add_string(out, option->choices[get_enum(option, element)]);
}

static bool set_bool(const struct option *option, char *element, char **words,
    size_t count, size_t *wrong)
{
	static const char *const names[] = { "no", "yes", "false", "true",
	    "off", "on", NULL };
	int choice = find_choice(names, words[0]);
	bool value = choice % 2 == 1;

	(void)count, (void)wrong;
	if (choice < 0)
		return false;
	memcpy(element + option->offset, &value, sizeof(value));
	return true;
}

static void put_bool(const struct option *option, const char *element,
    struct buf *out)
{
	bool value;

	memcpy(&value, element + option->offset, sizeof(value));
	buf_add_string(out, value ? "yes" : "no");
}

static void accept_bool(const struct option *option, struct buf *out)
{
	(void)option;
	buf_add_string(out, "yes or no");
}

/* --- "clear", "defer", "clear-after 4h" --- */

static const char *const fallback_names[] = { "clear", "defer", NULL };
static const char after[] = "clear-after ";

static bool set_fallback(const struct option *option, char *element,
    char **words, size_t count, size_t *wrong)
{
	int choice = find_choice(fallback_names, words[0]);
	const char *rest = words[0] + sizeof(after) - 1;
	int64_t seconds = 0;

	(void)count, (void)wrong;
	if (choice < 0) {
		if (strncmp(words[0], after, sizeof(after) - 1) != 0)
			return false;
		rest += strspn(rest, " ");
		if (!read_number(rest, duration_units, &seconds) ||
		    seconds < option->min || seconds > option->max)
			return false;
		choice = FALLBACK_CLEAR_AFTER;
	}
	memcpy(element + option->offset, &choice, sizeof(choice));
	memcpy(element + option->second_offset, &seconds, sizeof(seconds));
	return true;
}

static void put_fallback(const struct option *option, const char *element,
    struct buf *out)
{
	int choice = get_enum(option, element);
	int64_t seconds;

	if (choice != FALLBACK_CLEAR_AFTER) {
		buf_add_string(out, fallback_names[choice]);
		return;
	}
	memcpy(&seconds, element + option->second_offset, sizeof(seconds));
	buf_print(out, "\"%s", after);
	print_number(seconds, duration_units, out);
	buf_add_byte(out, '"');
}

static void accept_fallback(const struct option *option, struct buf *out)
{
	buf_add_string(out, "clear, defer or \"clear-after T\" with T from ");
	accept_number(option, out);
}

/* --- "off", "100/1h", "100/1h warn" --- */

static bool set_rate(const struct option *option, char *element,
    char **words, size_t count, size_t *wrong)
{
	struct conf_rate rate = { 0, 0, false };
	char *copy = mem_dup_string(words[0]);
	char *time = strchr(copy, '/'), *rest;
	bool good = strcmp(copy, "off") == 0;

	(void)count, (void)wrong;
	if (!good && time != NULL) {
		*time++ = '\0';
		rest = time + strcspn(time, " ");
		if (*rest == ' ') {
			*rest++ = '\0';
			rest += strspn(rest, " ");
		}
		rate.warn = strcmp(rest, "warn") == 0;
		good = (*rest == '\0' || rate.warn) &&
		    read_number(copy, NULL, &rate.count) &&
		    read_number(time, duration_units, &rate.seconds) &&
		    rate.count >= 1 && rate.count <= RATE_COUNT_MAX &&
		    rate.seconds >= 1 && rate.seconds <= RATE_SECONDS_MAX;
	}
	mem_free(copy);
	if (good)
		memcpy(element + option->offset, &rate, sizeof(rate));
	return good;
}

static void put_rate(const struct option *option, const char *element,
    struct buf *out)
{
	struct conf_rate rate;

	memcpy(&rate, element + option->offset, sizeof(rate));
	if (rate.seconds == 0) {
		buf_add_string(out, "off");
		return;
	}
	buf_print(out, "\"%" PRId64 "/", rate.count);
	print_number(rate.seconds, duration_units, out);
	buf_add_string(out, rate.warn ? " warn\"" : "\"");
}

static void accept_rate(const struct option *option, struct buf *out)
{
	(void)option;
	buf_add_string(out, "off, or \"N/TIME\", or \"N/TIME warn\", with N "
	    "from 1 to 1000000 and TIME from 1s to 31d");
}

/* --- texts --- */

static char *get_text(const struct option *option, const char *element)
{
	char *text;

	memcpy(&text, element + option->offset, sizeof(text));
	return text;
}

static void release_text(const struct option *option, char *element)
{
	char *none = NULL;

	mem_free(get_text(option, element));
	memcpy(element + option->offset, &none, sizeof(none));
}

static bool set_text(const struct option *option, char *element, char **words,
    size_t count, size_t *wrong)
{
	char *copy;

	(void)count, (void)wrong;
	if (option->choices != NULL &&
	    find_choice(option->choices, words[0]) < 0)
		return false;
	/* A default may be empty although the file may not say so. */
	if (option->type == OPTION_PATH && words[0][0] != '/' &&
	    words[0][0] != '\0')
		return false;
	release_text(option, element);
	copy = mem_dup_string(words[0]);
	memcpy(element + option->offset, &copy, sizeof(copy));
	return true;
}

static void put_text(const struct option *option, const char *element,
    struct buf *out)
{
	value_print_word(get_text(option, element), out);
}

static void accept_text(const struct option *option, struct buf *out)
{
	if (option->choices != NULL)
		accept_choices(option, out);
	else
		buf_add_string(out, "a word, or a text in double quotes");
}

static void accept_path(const struct option *option, struct buf *out)
{
	(void)option;
	buf_add_string(out, "a path that begins with /");
}

/* --- lists --- */

static void release_texts(const struct option *option, char *element)
{
	struct conf_texts texts;

	memcpy(&texts, element + option->offset, sizeof(texts));
	for (size_t i = 0; i < texts.count; i++)
		mem_free(texts.items[i]);
	mem_free(texts.items);
	memset(element + option->offset, 0, sizeof(texts));
}

static bool set_texts(const struct option *option, char *element,
    char **words, size_t count, size_t *wrong)
{
	struct conf_texts texts = { .count = count };

	for (*wrong = 0; *wrong < count; ++*wrong)
		if (words[*wrong][0] == '\0')
			return false;
	release_texts(option, element);
	texts.items = mem_alloc_array(count, sizeof(*texts.items));
	for (size_t i = 0; i < count; i++)
		texts.items[i] = mem_dup_string(words[i]);
	memcpy(element + option->offset, &texts, sizeof(texts));
	return true;
}

static void put_texts(const struct option *option, const char *element,
    struct buf *out)
{
	struct conf_texts texts;

	memcpy(&texts, element + option->offset, sizeof(texts));
	print_list(texts.items, texts.count, out);
}

static void accept_texts(const struct option *option, struct buf *out)
{
	(void)option;
	buf_add_string(out, "{ VALUE, VALUE }, none of them empty");
}

static void release_networks(const struct option *option, char *element)
{
	struct conf_networks networks;

	memcpy(&networks, element + option->offset, sizeof(networks));
	mem_free(networks.items);
	memset(element + option->offset, 0, sizeof(networks));
}

static bool set_networks(const struct option *option, char *element,
    char **words, size_t count, size_t *wrong)
{
	struct conf_networks networks = { .count = count };

	networks.items = mem_alloc_array(count, sizeof(*networks.items));
	for (*wrong = 0; *wrong < count; ++*wrong)
		if (network_parse(&networks.items[*wrong], words[*wrong])) {
			mem_free(networks.items);
			return false;
		}
	release_networks(option, element);
	memcpy(element + option->offset, &networks, sizeof(networks));
	return true;
}

static void put_networks(const struct option *option, const char *element,
    struct buf *out)
{
	struct conf_networks networks;
	char text[ENDPOINT_TEXT_MAX];

	memcpy(&networks, element + option->offset, sizeof(networks));
	buf_add_string(out, networks.count == 0 ? "{ }" : "{ ");
	for (size_t i = 0; i < networks.count; i++) {
		struct endpoint endpoint;

		endpoint_from_bytes(&endpoint, networks.items[i].family,
		    networks.items[i].bytes, 0);
		endpoint_format(&endpoint, text, sizeof(text));
		buf_print(out, "%s/%u%s", text, networks.items[i].bits,
		    i + 1 < networks.count ? ", " : " }");
	}
}

static void accept_networks(const struct option *option, struct buf *out)
{
	(void)option;
	buf_add_string(out, "addresses and networks such as 192.0.2.0/24 and "
	    "2001:db8::/32, with zeros behind the prefix");
}

/* --- fingerprints --- */

static void get_fingerprints(const struct option *option, const char *element,
    uint8_t (**items)[DIGEST_BYTES], size_t *count)
{
	memcpy(items, element + option->offset, sizeof(*items));
	memcpy(count, element + option->second_offset, sizeof(*count));
}

static void release_fingerprints(const struct option *option, char *element)
{
	uint8_t (*items)[DIGEST_BYTES];
	size_t count;

	get_fingerprints(option, element, &items, &count);
	mem_free(items);
	memset(element + option->offset, 0, sizeof(items));
	memset(element + option->second_offset, 0, sizeof(count));
}

static bool set_fingerprints(const struct option *option, char *element,
    char **words, size_t count, size_t *wrong)
{
	uint8_t (*items)[DIGEST_BYTES] = mem_alloc_array(count,
	    sizeof(*items));

	for (*wrong = 0; *wrong < count; ++*wrong)
		if (hex_parse(items[*wrong], DIGEST_BYTES, words[*wrong]) !=
		    DIGEST_BYTES) {
			mem_free(items);
			return false;
		}
	release_fingerprints(option, element);
	memcpy(element + option->offset, &items, sizeof(items));
	memcpy(element + option->second_offset, &count, sizeof(count));
	return true;
}

static void put_fingerprints(const struct option *option, const char *element,
    struct buf *out)
{
	uint8_t (*items)[DIGEST_BYTES];
	char text[DIGEST_BYTES * 2 + 1];
	size_t count;

	get_fingerprints(option, element, &items, &count);
	buf_add_string(out, count == 0 ? "{ }" : "{ ");
	for (size_t i = 0; i < count; i++) {
		hex_format(items[i], DIGEST_BYTES, text, sizeof(text));
		buf_print(out, "%s%s", text, i + 1 < count ? ", " : " }");
	}
}

static void accept_fingerprints(const struct option *option, struct buf *out)
{
	(void)option;
	buf_add_string(out, "SHA-256 digests: 64 hexadecimal digits, colons "
	    "between pairs if you like");
}

/* --- all types --- */

static const struct type types[] = {
	[OPTION_BOOL] = { set_bool, NULL, put_bool, accept_bool,
	    "yes or no", false },
	[OPTION_INTEGER] = { set_number, NULL, put_number, accept_number,
	    "a number", false },
	[OPTION_SIZE] = { set_number, NULL, put_number, accept_size,
	    "a size", false },
	[OPTION_DURATION] = { set_number, NULL, put_number, accept_duration,
	    "a time", false },
	[OPTION_TEXT] = { set_text, release_text, put_text, accept_text,
	    "one of the words", false },
	[OPTION_PATH] = { set_text, release_text, put_text, accept_path,
	    "a whole path", false },
	[OPTION_TEXTS] = { set_texts, release_texts, put_texts, accept_texts,
	    "a text", true },
	[OPTION_NETWORKS] = { set_networks, release_networks, put_networks,
	    accept_networks, "a network", true },
	[OPTION_ENUM] = { set_enum, NULL, put_enum, accept_choices,
	    "one of the words", false },
	[OPTION_FALLBACK] = { set_fallback, NULL, put_fallback,
	    accept_fallback, "one of the words", false },
	[OPTION_RATE] = { set_rate, NULL, put_rate, accept_rate, "a rate",
	    false },
	[OPTION_FINGERPRINTS] = { set_fingerprints, release_fingerprints,
	    put_fingerprints, accept_fingerprints, "a fingerprint", true },
};

void value_print_accepted(const struct option *option, struct buf *out)
{
	types[option->type].accepted(option, out);
}

static void explain(const struct option *option, const char *what, char *why)
{
	struct buf accepted;

	buf_init(&accepted, ACCEPTED_MAX);
	value_print_accepted(option, &accepted);
	snprintf(why, VALUE_WHY_MAX, "%s; accepted: %s", what,
	    buf_string(&accepted));
	buf_release(&accepted);
}

/* A number by its form, so the bounds are what it fails. */
static bool is_out_of_range(const struct option *option, const char *word)
{
	int64_t number;

	switch (option->type) {
	case OPTION_INTEGER: break;
	case OPTION_SIZE: break;
	case OPTION_DURATION: break;
	default: return false;
	}
	return read_number(word, units_of(option->type), &number);
}

int value_set(const struct option *option, void *element, char **words,
    size_t count, char *why, size_t *wrong)
{
	const struct type *type = &types[option->type];
	char what[80];

	*wrong = 0;
	if (!type->list && count != 1) {
		explain(option, "is one value, not a list", why);
		*wrong = count;
		return -1;
	}
	if (option->required && (count == 0 || words[0][0] == '\0')) {
		explain(option, "may not be empty", why);
		*wrong = count;
		return -1;
	}
	if (type->set(option, element, words, count, wrong))
		return 0;
	snprintf(what, sizeof(what), "is not %s", type->noun);
	explain(option, is_out_of_range(option, words[*wrong]) ?
	    "is out of range" : what, why);
	return -1;
}

void value_set_default(const struct option *option, void *element)
{
	char *copy = mem_dup_string(option->fallback), *next = copy, *word;
	char *words[DEFAULT_WORDS_MAX] = { copy };
	const struct type *type = &types[option->type];
	size_t count = 1, wrong;

	if (type->list)
		for (count = 0; count < DEFAULT_WORDS_MAX &&
		    (word = strsep(&next, " ")) != NULL;)
			if (*word != '\0')
				words[count++] = word;
	if (!type->set(option, element, words, count, &wrong))
		bug("a default in conf/options.c");
	mem_free(copy);
}

void value_release(const struct option *option, void *element)
{
	if (types[option->type].release != NULL)
		types[option->type].release(option, element);
}

void value_print(const struct option *option, const void *element,
    struct buf *out)
{
	types[option->type].print(option, element, out);
}
