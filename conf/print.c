/* SPDX-License-Identifier: ISC */
/*
 * Printing from the table: see print.h. Each function walks options[] in its
 * order, so what is printed is complete by construction.
 */
#include "conf/print.h"

#include <stdbool.h>
#include <string.h>

#include "base/buf.h"
#include "base/mem.h"
#include "conf/conf.h"
#include "conf/options.h"
#include "conf/value.h"

enum { COLUMNS = 78, TAB = 8, VALUE_MAX = 4 << 20 };

static const char *const type_names[] = {
	[OPTION_BOOL] = "yes | no", [OPTION_INTEGER] = "number",
	[OPTION_SIZE] = "size", [OPTION_DURATION] = "time",
	[OPTION_TEXT] = "text", [OPTION_PATH] = "path",
	[OPTION_TEXTS] = "list", [OPTION_NETWORKS] = "networks",
	[OPTION_ENUM] = "word", [OPTION_FALLBACK] = "fallback",
	[OPTION_RATE] = "rate",
	[OPTION_FINGERPRINTS] = "fingerprints",
};

/* A default as the table has it, in the syntax of the file. */
static void print_default(const struct option *option, struct buf *out)
{
	void *element = mem_alloc(sections[option->section].size);

	value_set_default(option, element);
	value_print(option, element, out);
	value_release(option, element);
	mem_free(element);
}

/* "Accepted: ...", for types whose name does not say it; or nothing. */
static void print_accepted(const struct option *option, struct buf *out)
{
	switch (option->type) {
	case OPTION_INTEGER: break;
	case OPTION_SIZE: break;
	case OPTION_DURATION: break;
	case OPTION_ENUM: break;
	case OPTION_FALLBACK: break;
	case OPTION_RATE: break;
	case OPTION_FINGERPRINTS: break;
	case OPTION_NETWORKS: break;
	case OPTION_TEXT:
		if (option->choices == NULL)
			return;
		break;
	default: return;
	}
	buf_add_string(out, "Accepted: ");
	value_print_accepted(option, out);
	buf_add_string(out, ".");
}

/* --- the sample --- */

/* text in lines that begin with prefix and end before COLUMNS. */
static void print_prose(FILE *out, const char *prefix, size_t indent,
    const char *text)
{
	size_t column = 0;

	while (*text != '\0') {
		size_t length = strcspn(text, " ");

		if (column > 0 && column + 1 + length > COLUMNS) {
			putc('\n', out);
			column = 0;
		}
		if (column == 0)
			fputs(prefix, out);
		column += column == 0 ? indent + 1 : 1;
		fprintf(out, " %.*s", (int)length, text);
		column += length;
		text += length;
		text += strspn(text, " ");
	}
	putc('\n', out);
}

static void sample_option(FILE *out, const struct option *option)
{
	bool inner = option->section != SECTION_TOP;
	const char *prefix = inner ? "#\t#" : "#";
	size_t indent = inner ? TAB + 1 : 1;
	struct buf text;

	buf_init(&text, VALUE_MAX);
	print_prose(out, prefix, indent, option->text);
	print_accepted(option, &text);
	if (buf_length(&text) > 0)
		print_prose(out, prefix, indent, buf_string(&text));
	buf_reset(&text);
	if (option->computed != NULL) {
		buf_print(&text, "Default: %s.", option->computed);
		print_prose(out, prefix, indent, buf_string(&text));
		buf_reset(&text);
	}
	if (option->example != NULL)
		buf_add_string(&text, option->example);
	else
		print_default(option, &text);
	fprintf(out, "#%s%s = %s\n", inner ? "\t" : "", option->name,
	    buf_string(&text));
	buf_release(&text);
}

static void sample_section(FILE *out, enum option_section section)
{
	const struct section *kind = &sections[section];
	bool first = true;

	fputs("\n", out);
	if (section != SECTION_TOP) {
		print_prose(out, "#", 1, kind->text);
		fprintf(out, "#%s %s {\n", kind->name, kind->example);
	}
	for (size_t i = 0; i < option_count; i++) {
		if (options[i].section != section)
			continue;
		if (!first)
			fputs(section == SECTION_TOP ? "\n" : "#\n", out);
		sample_option(out, &options[i]);
		first = false;
	}
	if (section != SECTION_TOP)
		fputs("#}\n", out);
}

void conf_print_sample(FILE *out)
{
	print_prose(out, "#", 1, "Every option of Postern with its default; "
	    "postern.conf(5) describes the syntax and shows a working file of "
	    "a few lines. Here prose begins with a number sign and a space; "
	    "an option is put in force by removing its number sign.");
	for (int i = SECTION_TOP; i < SECTION_COUNT; i++)
		sample_section(out, (enum option_section)i);
}

/* --- the manual --- */

static void manual_word(FILE *out, const char *word, size_t length)
{
	for (size_t i = 0; i < length; i++)
		if (word[i] == '\\')
			fputs("\\e", out);
		else
			putc(word[i], out);
}

/*
 * Text of mdoc: a backslash is \e, a line may not begin with a full stop or
 * an apostrophe, and each sentence begins a line.
 */
static void manual_text(FILE *out, const char *text)
{
	size_t column = 0;

	while (*text != '\0') {
		size_t length = strcspn(text, " ");

		if (column > 0 && column + 1 + length > COLUMNS) {
			putc('\n', out);
			column = 0;
		}
		if (column > 0)
			putc(' ', out);
		else if (*text == '.' || *text == '\'')
			fputs("\\&", out);
		manual_word(out, text, length);
		column += length + 1;
		if (text[length - 1] == '.' && text[length] == ' ') {
			putc('\n', out);
			column = 0;
		}
		text += length + strspn(text + length, " ");
	}
	putc('\n', out);
}

static void manual_option(FILE *out, const struct option *option)
{
	struct buf text;

	buf_init(&text, VALUE_MAX);
	fprintf(out, ".It Ic %s No = Ar %s\n", option->name,
	    type_names[option->type]);
	manual_text(out, option->text);
	print_accepted(option, &text);
	if (buf_length(&text) > 0)
		manual_text(out, buf_string(&text));
	buf_reset(&text);
	if (option->computed != NULL) {
		buf_print(&text, "Default: %s.", option->computed);
	} else if (option->required && option->fallback[0] == '\0') {
		buf_add_string(&text, "Must be given.");
	} else {
		buf_add_string(&text, "Default: ");
		print_default(option, &text);
		buf_add_byte(&text, '.');
	}
	manual_text(out, buf_string(&text));
	buf_release(&text);
}

static void manual_section(FILE *out, enum option_section section)
{
	const struct section *kind = &sections[section];

	if (section == SECTION_TOP)
		fputs(".Ss Outside of sections\n", out);
	else
		fprintf(out, ".Ss Section %s %s\n", kind->name, kind->title);
	if (section != SECTION_TOP)
		manual_text(out, kind->text);
	fputs(".Bl -tag -width Ds\n", out);
	for (size_t i = 0; i < option_count; i++)
		if (options[i].section == section)
			manual_option(out, &options[i]);
	fputs(".El\n", out);
}

void conf_print_manual(FILE *out)
{
	for (int i = SECTION_TOP; i < SECTION_COUNT; i++)
		manual_section(out, (enum option_section)i);
}

/* --- what is in force --- */

/*
 * Options that another one of the section makes meaningless: the checks refuse
 * them when they are given.
 */
static bool is_among(const struct option *option, const char *const *names)
{
	for (; *names != NULL; names++)
		if (strcmp(option->name, *names) == 0)
			return true;
	return false;
}

static bool is_moot_in_listener(const struct option *option,
    const struct conf_listener *listener)
{
	static const char *const for_ports[] = { "addresses", "port",
	    "proxy-from", NULL };
	static const char *const for_mail[] = { "socket", "auth", "relay",
	    "client-certificates", "proxy-from", "milters", NULL };

	if (listener->socket[0] != '\0' && is_among(option, for_ports))
		return true;
	return listener->service == SERVICE_MTA_STS &&
	    is_among(option, for_mail);
}

static bool is_moot_in_route(const struct option *option,
    const struct conf_route *route)
{
	if (strcmp(option->name, "transport") == 0)
		return false;
	if (strcmp(option->name, "socket") == 0)
		return route->transport != TRANSPORT_LMTP;
	if (route->transport != TRANSPORT_SMTP &&
	    (route->transport != TRANSPORT_LMTP || route->socket[0] != '\0'))
		return true;
	if (strcmp(option->name, "mx") == 0)
		return route->transport == TRANSPORT_LMTP;
	if (option->type == OPTION_TEXTS)
		return route->level != LEVEL_VERIFY &&
		    route->level != LEVEL_SECURE;
	return option->type == OPTION_FINGERPRINTS &&
	    route->level != LEVEL_FINGERPRINT;
}

static bool is_moot_in_destination(const struct option *option,
    const struct conf_destination *to)
{
	switch (option->type) {
	case OPTION_FALLBACK: return !conf_level_may_fall_back(to->level);
	case OPTION_TEXTS: return to->level != LEVEL_VERIFY &&
	    to->level != LEVEL_SECURE;
	case OPTION_FINGERPRINTS: return to->level != LEVEL_FINGERPRINT;
	case OPTION_ENUM:
		if (strcmp(option->name, "sts-with-dane") == 0)
			return !conf_level_heeds_sts(to->level);
		if (strcmp(option->name, "memory") == 0)
			return !conf_level_heeds_dane(to->level);
		return strcmp(option->name, "insecure-mx") == 0 &&
		    (to->level == LEVEL_DANE_ONLY ||
		    !conf_level_heeds_dane(to->level));
	default: return false;
	}
}

static bool is_moot(const struct option *option, const void *element)
{
	static const char *const kept[] = { "maildir", "quota", NULL };
	const struct conf_domain *domain = element;

	switch (option->section) {
	case SECTION_LISTEN:
		return is_moot_in_listener(option, element);
	case SECTION_DOMAIN:
		return domain->relay && is_among(option, kept);
	case SECTION_ROUTE:
		return is_moot_in_route(option, element);
	case SECTION_DESTINATION:
		return is_moot_in_destination(option, element);
	default:
		return false;
	}
}

static void print_element(FILE *out, enum option_section section,
    const void *element)
{
	struct buf text;

	buf_init(&text, VALUE_MAX);
	for (size_t i = 0; i < option_count; i++) {
		if (options[i].section != section ||
		    is_moot(&options[i], element))
			continue;
		buf_reset(&text);
		value_print(&options[i], element, &text);
		fprintf(out, "%s%s = %s\n", section == SECTION_TOP ? "" : "\t",
		    options[i].name, buf_string(&text));
	}
	buf_release(&text);
}

static void print_sections(FILE *out, const struct conf *conf,
    enum option_section section)
{
	size_t count = section_count(conf, section);
	struct buf title;

	buf_init(&title, VALUE_MAX);
	for (size_t i = 0; i < count; i++) {
		const void *element = section_element(conf, section, i);

		buf_reset(&title);
		value_print_word(*(char *const *)element, &title);
		fprintf(out, "\n%s %s {\n", sections[section].name,
		    buf_string(&title));
		print_element(out, section, element);
		fputs("}\n", out);
	}
	buf_release(&title);
}

void conf_print(FILE *out, const struct conf *conf)
{
	print_element(out, SECTION_TOP, conf);
	for (int i = SECTION_TOP + 1; i < SECTION_COUNT; i++)
		print_sections(out, conf, (enum option_section)i);
}
