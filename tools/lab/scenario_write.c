/* SPDX-License-Identifier: ISC */
/*
 * From a scenario to a file, by the same table the reader uses. What has its
 * default is left out, but not in a fault: there, what was given is written,
 * and nothing else. So are the sender's own zone and host, which every
 * scenario gets, as long as they are those.
 */
#include "tools/lab/scenario_write.h"

#include <ctype.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "tools/lab/scenario_options.h"

enum { PROSE_WIDTH = 60 };

/* --- words --- */

static bool is_bare(const char *text, size_t length)
{
	static const char others[] = "-._@:";

	for (size_t i = 0; i < length; i++)
		if (!isalnum((unsigned char)text[i]) &&
		    strchr(others, text[i]) == NULL)
			return false;
	return length > 0;
}

/* Between quotes of the kind that the text has not got, as far as possible. */
static void write_word(FILE *out, const char *text, size_t length)
{
	char quote = memchr(text, '"', length) != NULL ? '\'' : '"';

	if (is_bare(text, length)) {
		fwrite(text, 1, length, out);
		return;
	}
	fputc(quote, out);
	for (size_t i = 0; i < length; i++) {
		if (text[i] == '\\' || text[i] == quote)
			fputc('\\', out);
		fputc(text[i], out);
	}
	fputc(quote, out);
}

static void write_text(FILE *out, const char *text)
{
	write_word(out, text, strlen(text));
}

static void indent(FILE *out, unsigned depth)
{
	while (depth-- > 0)
		fputc('\t', out);
}

/* --- lists --- */

/* A list that is written item by item, each on a line of its own. */
struct list {
	FILE		*out;
	unsigned	 depth;
	size_t		 count;
};

static void list_add(struct list *list, const char *text, size_t length)
{
	fputs(list->count++ > 0 ? ",\n" : "\n", list->out);
	indent(list->out, list->depth + 1);
	write_word(list->out, text, length);
}

static void list_end(struct list *list)
{
	fputc('\n', list->out);
	indent(list->out, list->depth);
	fputc('}', list->out);
}

static void write_texts(FILE *out, const struct lab_texts *texts,
    unsigned depth)
{
	struct list list = { .out = out, .depth = depth };

	fputc('{', out);
	if (texts->count == 0) {
		fputs(" }", out);
	} else if (texts->count == 1) {
		fputc(' ', out);
		write_text(out, texts->items[0]);
		fputs(" }", out);
	} else {
		for (size_t i = 0; i < texts->count; i++)
			list_add(&list, texts->items[i],
			    strlen(texts->items[i]));
		list_end(&list);
	}
}

/* Lines that each end in CRLF. */
static void write_lines(FILE *out, const char *text, unsigned depth)
{
	struct list list = { .out = out, .depth = depth };
	const char *end;

	fputc('{', out);
	for (; (end = strstr(text, "\r\n")) != NULL; text = end + 2)
		list_add(&list, text, (size_t)(end - text));
	if (*text != '\0')
		bug("scenario-lines");
	list_end(&list);
}

/* How much of the text fits on a line; it is cut at single spaces only, which
 * the reader puts in again. */
static size_t prose_length(const char *text)
{
	size_t best = 0, i;

	for (i = 0; text[i] != '\0'; i++) {
		if (text[i] != ' ')
			continue;
		if (i > PROSE_WIDTH && best > 0)
			return best;
		best = i;
	}
	return i <= PROSE_WIDTH || best == 0 ? i : best;
}

static void write_prose(FILE *out, const char *text, unsigned depth)
{
	struct list list = { .out = out, .depth = depth };

	if (strlen(text) <= PROSE_WIDTH) {
		write_text(out, text);
		return;
	}
	fputc('{', out);
	while (*text != '\0') {
		size_t length = prose_length(text);

		list_add(&list, text, length);
		text += length;
		if (*text == ' ' && *++text == '\0')
			list_add(&list, "", 0);
	}
	list_end(&list);
}

/* --- options --- */

static unsigned choice_of(const void *member)
{
	unsigned value;

	memcpy(&value, member, sizeof(value));
	return value;
}

static bool has_default(const void *member, const struct lab_option *option)
{
	const char *fallback = option->fallback;

	if (fallback == NULL)
		return false;
	switch (option->type) {
	case LAB_OPTION_TEXTS:
		return ((const struct lab_texts *)member)->count == 0;
	case LAB_OPTION_NUMBER:
		return *(const int64_t *)member == strtoll(fallback, NULL, 10);
	case LAB_OPTION_BOOL:
		return *(const bool *)member == (strcmp(fallback, "yes") == 0);
	case LAB_OPTION_CHOICE:
		return strcmp(option->choices[choice_of(member)],
		    fallback) == 0;
	default:
		return strcmp(*(char *const *)member, fallback) == 0;
	}
}

static void write_value(FILE *out, const void *member,
    const struct lab_option *option, unsigned depth)
{
	switch (option->type) {
	case LAB_OPTION_TEXT:
		write_text(out, *(char *const *)member);
		break;
	case LAB_OPTION_PROSE:
		write_prose(out, *(char *const *)member, depth);
		break;
	case LAB_OPTION_LINES:
		write_lines(out, *(char *const *)member, depth);
		break;
	case LAB_OPTION_TEXTS:
		write_texts(out, member, depth);
		break;
	case LAB_OPTION_NUMBER:
		fprintf(out, "%lld", (long long)*(const int64_t *)member);
		break;
	case LAB_OPTION_BOOL:
		fputs(*(const bool *)member ? "yes" : "no", out);
		break;
	case LAB_OPTION_CHOICE:
		write_text(out, option->choices[choice_of(member)]);
		break;
	default:
		bug("scenario-option");
	}
}

static void write_option(FILE *out, const void *member,
    const struct lab_option *option, unsigned depth)
{
	indent(out, depth);
	fprintf(out, "%s = ", option->name);
	write_value(out, member, option, depth);
	fputc('\n', out);
}

static bool accepts_clear(const struct lab_step *step)
{
	for (size_t i = 0; i < step->accept.count; i++)
		if (strcmp(step->accept.items[i],
		    lab_outcome_name(LAB_CLEAR)) == 0)
			return true;
	return step->expect == LAB_CLEAR;
}

/* What nobody would miss if it were left out. */
static bool is_implied(const void *section, const struct lab_option *option)
{
	const struct lab_step *step = section;

	if (option->section != LAB_SECTION_STEP)
		return has_default((const char *)section + option->offset,
		    option);
	/* Its default depends on expect: see the reader. */
	if (option->offset == offsetof(struct lab_step, no_clear_mail))
		return step->no_clear_mail == !accepts_clear(step);
	return option->offset != offsetof(struct lab_step, expect) &&
	    has_default((const char *)section + option->offset, option);
}

/* The options of one section; given null: those that say something. */
static void write_options(FILE *out, const void *section,
    enum lab_section kind, const uint32_t *given, unsigned depth)
{
	uint32_t bit = 1;

	for (size_t i = 0; i < lab_option_count; i++) {
		const struct lab_option *option = &lab_options[i];

		if (option->section != kind)
			continue;
		if (given != NULL ? (*given & bit) != 0 :
		    !is_implied(section, option))
			write_option(out, (const char *)section +
			    option->offset, option, depth);
		bit <<= 1;
	}
}

/* --- sections --- */

static const char *const origin_records[] = { "@ MX 10 mx",
    "mx A 192.0.2.250", "mta A 192.0.2.251", NULL };
static const char *const origin_addresses[] = { "192.0.2.250", NULL };

static bool are_words(const struct lab_texts *texts, const char *const *words)
{
	size_t i = 0;

	while (i < texts->count && words[i] != NULL &&
	    strcmp(texts->items[i], words[i]) == 0)
		i++;
	return i == texts->count && words[i] == NULL;
}

/* Every option but this one has its default. */
static bool is_usual_but(const void *section, enum lab_section kind,
    size_t offset)
{
	for (size_t i = 0; i < lab_option_count; i++)
		if (lab_options[i].section == kind &&
		    lab_options[i].offset != offset &&
		    !has_default((const char *)section +
		    lab_options[i].offset, &lab_options[i]))
			return false;
	return true;
}

static bool is_origin_zone(const struct lab_zone *zone)
{
	return strcmp(zone->name, "origin.example") == 0 &&
	    are_words(&zone->records, origin_records) &&
	    is_usual_but(zone, LAB_SECTION_ZONE,
	    offsetof(struct lab_zone, records));
}

static bool is_origin_host(const struct lab_host *host)
{
	struct lab_host other = *host;

	other.tls = LAB_TLS_STARTTLS;
	return strcmp(host->name, "mx.origin.example") == 0 &&
	    are_words(&host->addresses, origin_addresses) &&
	    host->tls == LAB_TLS_NONE && is_usual_but(&other,
	    LAB_SECTION_HOST, offsetof(struct lab_host, addresses));
}

/* The reader adds both of them when neither is there. */
static bool has_usual_origin(const struct lab_world *world)
{
	bool zone = false, host = false;

	for (size_t i = 0; i < world->zone_count; i++)
		zone |= is_origin_zone(&world->zones[i]);
	for (size_t i = 0; i < world->host_count; i++)
		host |= is_origin_host(&world->hosts[i]);
	return zone && host;
}

static bool is_left_out(const void *section, enum lab_section kind)
{
	return kind == LAB_SECTION_ZONE ? is_origin_zone(section) :
	    kind == LAB_SECTION_HOST && is_origin_host(section);
}

static void write_head(FILE *out, const char *kind, const char *title,
    unsigned depth)
{
	indent(out, depth);
	fprintf(out, "%s ", kind);
	write_text(out, title);
	fputs(" {\n", out);
}

static void write_tail(FILE *out, unsigned depth)
{
	indent(out, depth);
	fputs("}\n", out);
}

static void write_world(FILE *out, const struct lab_world *world,
    const struct lab_given *given, unsigned depth)
{
	bool usual = given == NULL && has_usual_origin(world);

	for (int kind = 0; kind < LAB_KINDS; kind++) {
		const struct lab_kind *shape = &lab_kinds[kind];
		size_t count = *(const size_t *)(const void *)
		    ((const char *)world + shape->count);
		const char *items;

		memcpy(&items, (const char *)world + shape->items,
		    sizeof(items));
		for (size_t i = 0; i < count; i++) {
			const char *section = items + i * shape->size;

			if (usual && is_left_out(section,
			    (enum lab_section)kind))
				continue;
			write_head(out, shape->name,
			    *(char *const *)(const void *)section, depth);
			write_options(out, section, (enum lab_section)kind,
			    given != NULL ? &given->masks[kind][i] : NULL,
			    depth + 1);
			write_tail(out, depth);
		}
	}
}

static bool says_something(const void *section, enum lab_section kind)
{
	for (size_t i = 0; i < lab_option_count; i++)
		if (lab_options[i].section == kind &&
		    !is_implied(section, &lab_options[i]))
			return true;
	return false;
}

/* sender and receiver, which have no title. */
static void write_single(FILE *out, const char *name, const void *section,
    enum lab_section kind)
{
	if (!says_something(section, kind))
		return;
	fprintf(out, "\n%s {\n", name);
	write_options(out, section, kind, NULL, 1);
	fputs("}\n", out);
}

int lab_scenario_write(const struct lab_scenario *scenario, FILE *out)
{
	write_options(out, scenario, LAB_SECTION_TOP, NULL, 0);
	fputc('\n', out);
	write_world(out, &scenario->world, NULL, 0);
	for (size_t i = 0; i < scenario->fault_count; i++) {
		const struct lab_fault *fault = &scenario->faults[i];

		fputc('\n', out);
		write_head(out, "fault", fault->name, 0);
		write_world(out, &fault->changes, fault->given, 1);
		write_tail(out, 0);
	}
	write_single(out, "sender", &scenario->sender, LAB_SECTION_SENDER);
	write_single(out, "receiver", &scenario->receiver,
	    LAB_SECTION_RECEIVER);
	for (size_t i = 0; i < scenario->step_count; i++) {
		fputc('\n', out);
		write_head(out, "step", scenario->steps[i].name, 0);
		write_options(out, &scenario->steps[i], LAB_SECTION_STEP,
		    NULL, 1);
		write_tail(out, 0);
	}
	return fflush(out) == 0 && !ferror(out) ? 0 : -1;
}
