/* SPDX-License-Identifier: ISC */
/*
 * From a file to a scenario: libconfuse behind conf/guard.h, its tables made
 * from lab_options[]. Every option is a list of strings to the parser; what
 * the words mean is decided here. The line of each word is remembered by the
 * address of its copy, so that later checks can name it. The parser's scanner
 * is global: one file at a time, one thread.
 */
#include "tools/lab/scenario.h"

#include <confuse.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/log.h"
#include "base/mem.h"
#include "conf/guard.h"
#include "conf/problem.h"
#include "tools/lab/scenario_check.h"
#include "tools/lab/scenario_options.h"

enum { FILE_MAX = 1 << 20, SCENARIO_ARENA_MAX = 16 << 20, TABLE_MAX = 32 };

struct place {
	const void	*what;		/* an option of the parser, or a text
					 * of ours */
	unsigned	 index;		/* of the value, for an option */
	int		 line;
};

struct reader {
	struct lab_scenario	*scenario;
	struct arena		*arena;		/* the scenario's */
	struct problems		 problems;
	struct guard		 guard;
	struct place		*places;	/* owned */
	size_t			 place_count, places_size;
	cfg_opt_t		 tables[LAB_SECTION_COUNT][TABLE_MAX];
	cfg_opt_t		 fault_table[LAB_KINDS + 1];
};

/* The parser's callbacks have no argument of ours. */
static struct reader *reader;

/* --- lines --- */

static void note_place(const void *what, unsigned place_index, int line)
{
	if (reader->place_count == reader->places_size) {
		reader->places_size = 2 * reader->places_size + 64;
		reader->places = mem_resize(reader->places,
		    reader->places_size, sizeof(*reader->places));
	}
	reader->places[reader->place_count++] = (struct place){
	    .what = what, .index = place_index, .line = line };
}

static int find_line(const void *what, unsigned place_index)
{
	for (size_t i = 0; i < reader->place_count; i++)
		if (reader->places[i].what == what &&
		    reader->places[i].index == place_index)
			return reader->places[i].line;
	return 0;
}

static int line_of_text(const void *arg, const char *text)
{
	(void)arg;
	return find_line(text, 0);
}

/* A copy in the arena that knows its line. */
static char *keep(const char *text, int line)
{
	char *copy = arena_dup_string(reader->arena, text);

	note_place(copy, 0, line);
	return copy;
}

static int on_word(cfg_t *cfg, cfg_opt_t *opt, const char *word, void *result)
{
	*(const char **)result = word;
	if (opt->nvalues == 1 && find_line(opt, 0) != 0)
		problems_add(&reader->problems, cfg->line, "%s is given "
		    "again, first in line %d; remove one of them", opt->name,
		    find_line(opt, 0));
	note_place(opt, opt->nvalues - 1, cfg->line);
	return 0;
}

/* --- what the parser complains about --- */

static void unknown_name(const cfg_t *cfg, const char *name)
{
	char list[400] = "";
	size_t used = 0;

	for (const cfg_opt_t *opt = cfg->opts; opt->name != NULL &&
	    used < sizeof(list); opt++)
		used += (size_t)snprintf(list + used, sizeof(list) - used,
		    "%s%s", used > 0 ? ", " : "", opt->name);
	problems_add(&reader->problems, cfg->line,
	    "unknown option '%.60s'%s%s; accepted: %s", name,
	    strcmp(cfg->name, "root") != 0 ? " in " : "",
	    strcmp(cfg->name, "root") != 0 ? cfg->name : "", list);
}

static void on_complaint(cfg_t *cfg, const char *format, va_list arguments)
{
	char sentence[300];

	if (strcmp(format, "no such option '%s'") == 0) {
		unknown_name(cfg, va_arg(arguments, const char *));
		return;
	}
	vsnprintf(sentence, sizeof(sentence), format, arguments);
	problems_add(&reader->problems, cfg->line,
	    "%s; accepted: NAME = VALUE, NAME = { VALUE, VALUE } or SECTION "
	    "TITLE { ... } as in postern-lab(7)", sentence);
}

/* --- the parser's tables --- */

static cfg_opt_t *add_options(cfg_opt_t *opt, enum lab_section section)
{
	for (size_t i = 0; i < lab_option_count; i++)
		if (lab_options[i].section == section)
			*opt++ = (cfg_opt_t)CFG_STR_LIST_CB(
			    lab_options[i].name, 0, CFGF_NODEFAULT, on_word);
	return opt;
}

static cfg_opt_t *add_kinds(cfg_opt_t *opt)
{
	for (int kind = 0; kind < LAB_KINDS; kind++)
		*opt++ = (cfg_opt_t)CFG_SEC(lab_kinds[kind].name,
		    reader->tables[kind], CFGF_MULTI | CFGF_TITLE |
		    CFGF_NO_TITLE_DUPES);
	return opt;
}

static cfg_t *new_parser(void)
{
	const cfg_opt_t end = CFG_END();
	cfg_opt_t *opt;
	cfg_t *cfg;

	for (int i = 0; i < LAB_SECTION_COUNT; i++)
		if (i != LAB_SECTION_TOP)
			*add_options(reader->tables[i],
			    (enum lab_section)i) = end;
	*add_kinds(reader->fault_table) = end;
	opt = add_kinds(add_options(reader->tables[LAB_SECTION_TOP],
	    LAB_SECTION_TOP));
	*opt++ = (cfg_opt_t)CFG_SEC("fault", reader->fault_table, CFGF_MULTI |
	    CFGF_TITLE | CFGF_NO_TITLE_DUPES);
	*opt++ = (cfg_opt_t)CFG_SEC("sender",
	    reader->tables[LAB_SECTION_SENDER], CFGF_NONE);
	*opt++ = (cfg_opt_t)CFG_SEC("receiver",
	    reader->tables[LAB_SECTION_RECEIVER], CFGF_NONE);
	*opt++ = (cfg_opt_t)CFG_SEC("step", reader->tables[LAB_SECTION_STEP],
	    CFGF_MULTI | CFGF_TITLE | CFGF_NO_TITLE_DUPES);
	*opt = end;
	cfg = cfg_init(reader->tables[LAB_SECTION_TOP], CFGF_NONE);
	if (cfg == NULL)
		fatal("scenario", log_text("error", "out of memory"));
	cfg_set_error_function(cfg, on_complaint);
	return cfg;
}

/* --- what the words mean --- */

static char *join(cfg_opt_t *opt, const char *between, const char *behind)
{
	struct buf all;
	char *text;

	buf_init(&all, FILE_MAX + 4);
	for (unsigned i = 0; i < opt->nvalues; i++) {
		buf_add_string(&all, i > 0 ? between : "");
		buf_add_string(&all, cfg_opt_getnstr(opt, i));
		buf_add_string(&all, behind);
	}
	text = keep(buf_string(&all), find_line(opt, 0));
	buf_release(&all);
	return text;
}

static void set_texts(struct lab_texts *texts, cfg_opt_t *opt)
{
	texts->count = opt->nvalues;
	texts->items = arena_alloc_array(reader->arena, opt->nvalues + 1,
	    sizeof(*texts->items));
	for (unsigned i = 0; i < opt->nvalues; i++)
		texts->items[i] = keep(cfg_opt_getnstr(opt, i),
		    find_line(opt, i));
}

static void set_number(int64_t *number, const struct lab_option *option,
    const char *word, int line)
{
	char *end;

	errno = 0;
	*number = strtoll(word, &end, 10);
	if (errno != 0 || *end != '\0' || *word == '\0' ||
	    *number < option->least || *number > option->most)
		problems_add(&reader->problems, line, "%s cannot be '%s'; "
		    "accepted: a whole number from %lld to %lld",
		    option->name, word, (long long)option->least,
		    (long long)option->most);
}

static void set_bool(bool *value, const char *word, int line)
{
	*value = strcmp(word, "yes") == 0;
	if (!*value && strcmp(word, "no") != 0)
		problems_add(&reader->problems, line, "'%s': accepted: yes, "
		    "no", word);
}

static void set_choice(void *member, const struct lab_option *option,
    const char *word, int line)
{
	int choice = lab_word_index(option->choices, word, strlen(word));
	unsigned number = choice == -1 ? 0 : (unsigned)choice;
	char list[200] = "";
	size_t used = 0;

	memcpy(member, &number, sizeof(number));
	if (choice != -1)
		return;
	for (int i = 0; option->choices[i] != NULL; i++)
		used += (size_t)snprintf(list + used, sizeof(list) - used,
		    "%s%s", i > 0 ? ", " : "", option->choices[i]);
	problems_add(&reader->problems, line, "%s cannot be '%s'; accepted: "
	    "%s", option->name, word, list);
}

static void set_single(void *member, const struct lab_option *option,
    const char *word, int line)
{
	switch (option->type) {
	case LAB_OPTION_NUMBER: set_number(member, option, word, line); break;
	case LAB_OPTION_BOOL: set_bool(member, word, line); break;
	case LAB_OPTION_CHOICE: set_choice(member, option, word, line); break;
	default: *(char **)member = keep(word, line);
	}
}

static void set_option(void *member, const struct lab_option *option,
    cfg_opt_t *opt)
{
	if (option->type == LAB_OPTION_TEXTS) {
		set_texts(member, opt);
	} else if (option->type == LAB_OPTION_PROSE) {
		*(char **)member = join(opt, " ", "");
	} else if (option->type == LAB_OPTION_LINES) {
		*(char **)member = join(opt, "", "\r\n");
	} else if (opt->nvalues != 1) {
		problems_add(&reader->problems, find_line(opt, 0),
		    "%s takes one value", option->name);
		if (option->type == LAB_OPTION_TEXT)
			*(char **)member = keep("", 0);
	} else {
		set_single(member, option, cfg_opt_getnstr(opt, 0),
		    find_line(opt, 0));
	}
}

static void set_default(void *member, const struct lab_option *option,
    cfg_t *section)
{
	if (option->fallback != NULL && option->type != LAB_OPTION_TEXTS)
		set_single(member, option, option->fallback, 0);
	else if (option->fallback == NULL)
		problems_add(&reader->problems, section->title != NULL ?
		    section->line : 0, "%s is missing%s%s", option->name,
		    section->title != NULL ? " in " : "",
		    section->title != NULL ? section->title : "");
}

/* Every option of a section; the mask of those that were given. */
static uint32_t fill(void *out, enum lab_section kind, cfg_t *section)
{
	uint32_t given = 0, bit = 1;

	for (size_t i = 0; i < lab_option_count; i++) {
		const struct lab_option *option = &lab_options[i];
		void *member = (char *)out + option->offset;
		cfg_opt_t *opt;

		if (option->section != kind)
			continue;
		opt = cfg_getopt(section, option->name);
		/* An empty list is given, too. */
		if (opt->nvalues > 0 || (opt->flags & CFGF_MODIFIED) != 0) {
			set_option(member, option, opt);
			given |= bit;
		} else {
			set_default(member, option, section);
		}
		bit <<= 1;
	}
	return given;
}

static void fill_title(void *out, cfg_t *section)
{
	*(char **)out = keep(cfg_title(section), section->line);
}

/* All sections of a world; masks as in struct lab_given, or null. */
static void fill_world(struct lab_world *world, cfg_t *cfg,
    struct lab_given *given)
{
	for (int kind = 0; kind < LAB_KINDS; kind++) {
		const struct lab_kind *shape = &lab_kinds[kind];
		unsigned count = cfg_size(cfg, lab_kinds[kind].name);
		char *items = arena_alloc_array(reader->arena, count + 1,
		    shape->size);
		uint32_t *masks = arena_alloc_array(reader->arena, count + 1,
		    sizeof(*masks));

		memcpy((char *)world + shape->items, &items, sizeof(items));
		*(size_t *)(void *)((char *)world + shape->count) = count;
		for (unsigned i = 0; i < count; i++) {
			cfg_t *section = cfg_getnsec(cfg, lab_kinds[kind].name, i);

			fill_title(items + i * shape->size, section);
			masks[i] = fill(items + i * shape->size,
			    (enum lab_section)kind, section);
		}
		if (given != NULL)
			given->masks[kind] = masks;
	}
}

static void fill_faults(struct lab_scenario *scenario, cfg_t *cfg)
{
	unsigned count = cfg_size(cfg, "fault");

	scenario->faults = arena_alloc_array(reader->arena, count + 1,
	    sizeof(*scenario->faults));
	scenario->fault_count = count;
	for (unsigned i = 0; i < count; i++) {
		cfg_t *section = cfg_getnsec(cfg, "fault", i);
		struct lab_fault *fault = &scenario->faults[i];

		fault->given = arena_alloc(reader->arena,
		    sizeof(struct lab_given));
		fault->name = keep(cfg_title(section), section->line);
		fill_world(&fault->changes, section, fault->given);
	}
}

static bool accepts(const struct lab_step *step, enum lab_outcome outcome)
{
	for (size_t i = 0; i < step->accept.count; i++)
		if (strcmp(step->accept.items[i],
		    lab_outcome_name(outcome)) == 0)
			return true;
	return step->expect == outcome;
}

static void fill_steps(struct lab_scenario *scenario, cfg_t *cfg)
{
	unsigned count = cfg_size(cfg, "step");

	scenario->steps = arena_alloc_array(reader->arena, count + 1,
	    sizeof(*scenario->steps));
	scenario->step_count = count;
	for (unsigned i = 0; i < count; i++) {
		cfg_t *section = cfg_getnsec(cfg, "step", i);
		struct lab_step *step = &scenario->steps[i];

		fill_title(step, section);
		fill(step, LAB_SECTION_STEP, section);
		if (cfg_size(section, "no-clear-mail") == 0)
			step->no_clear_mail = !accepts(step, LAB_CLEAR);
	}
}

/*
 * Every world has the sender's own domain, where bounces arrive. A scenario
 * that brings a zone or host of that name has its own way.
 */
static const char origin_text[] =
    "title = origin\n"
    "zone origin.example {\n"
    "records = { \"@ MX 10 mx\", \"mx A 192.0.2.250\","
    " \"mta A 192.0.2.251\" }\n"
    "}\n"
    "host mx.origin.example { addresses = { 192.0.2.250 } tls = none }\n";

/* "dir/name.scenario" is named "name". */
static char *name_of(const char *path)
{
	const char *slash = strrchr(path, '/');
	const char *base = slash != NULL ? slash + 1 : path, *end;

	end = strstr(base, ".scenario");
	return arena_dup_text(reader->arena, base, end != NULL && end > base ?
	    (size_t)(end - base) : strlen(base));
}

static cfg_t *parse(char *text)
{
	cfg_t *cfg = new_parser();
	FILE *stream = *text != '\0' ? fmemopen(text, strlen(text), "r") :
	    NULL;
	int result = stream != NULL ? cfg_parse_fp(cfg, stream) : CFG_SUCCESS;

	if (stream != NULL)
		fclose(stream);
	if (result != CFG_SUCCESS && reader->problems.count == 0)
		problems_add(&reader->problems, cfg->line, "the text cannot "
		    "be read; postern-lab(7) has the grammar");
	if (reader->problems.count == 0)
		return cfg;
	cfg_free(cfg);
	return NULL;
}

static bool title_is_used(cfg_t *cfg, const char *kind, const char *title)
{
	return cfg_gettsec(cfg, kind, title) != NULL;
}

static char *add_origin(char *text)
{
	cfg_t *cfg = parse(text);
	bool complete = cfg == NULL ||
	    title_is_used(cfg, "zone", "origin.example") ||
	    title_is_used(cfg, "host", "mx.origin.example");
	char *whole;

	if (cfg != NULL)
		cfg_free(cfg);
	reader->place_count = 0;
	if (cfg == NULL)
		return NULL;
	/* Behind the file's own text, so that its lines stay. */
	whole = mem_print("%s\n%s", text, complete ? "" :
	    strchr(origin_text, '\n') + 1);
	return whole;
}

static void read_text(char *text)
{
	struct lab_scenario *scenario = reader->scenario;
	struct lab_checker checker = { scenario, &reader->problems,
	    line_of_text, NULL };
	char *whole = add_origin(text);
	cfg_t *cfg = whole != NULL ? parse(whole) : NULL;

	if (cfg != NULL) {
		fill(scenario, LAB_SECTION_TOP, cfg);
		fill(&scenario->sender, LAB_SECTION_SENDER,
		    cfg_getsec(cfg, "sender"));
		fill(&scenario->receiver, LAB_SECTION_RECEIVER,
		    cfg_getsec(cfg, "receiver"));
		fill_world(&scenario->world, cfg, NULL);
		fill_faults(scenario, cfg);
		fill_steps(scenario, cfg);
		cfg_free(cfg);
		if (reader->problems.count == 0)
			lab_scenario_check(&checker);
	}
	mem_free(whole);
}

static char *load(const char *path)
{
	FILE *file = fopen(path, "re");
	char *text = mem_alloc(FILE_MAX + 1);
	size_t length = 0;

	if (file != NULL)
		length = fread(text, 1, FILE_MAX, file);
	if (file == NULL || ferror(file))
		problems_add(&reader->problems, 0, "%s", strerror(errno));
	else if (length == FILE_MAX)
		problems_add(&reader->problems, 0, "more than %d bytes",
		    FILE_MAX);
	else if (memchr(text, '\0', length) != NULL)
		problems_add(&reader->problems, 0, "not a text");
	if (file != NULL)
		fclose(file);
	return text;
}

struct lab_scenario *lab_scenario_read(const char *path, char **errors)
{
	struct arena *arena = arena_new(SCENARIO_ARENA_MAX);
	struct lab_scenario *scenario = arena_alloc(arena, sizeof(*scenario));
	struct reader *state = mem_alloc(sizeof(*state));
	char *text;

	reader = state;
	state->scenario = scenario;
	state->arena = scenario->arena = arena;
	problems_init(&state->problems, path);
	scenario->name = name_of(path);
	text = load(path);
	if (state->problems.count == 0) {
		if (guard_init(&state->guard, text, &state->problems) == 0)
			read_text(state->guard.text);
		guard_release(&state->guard);
	}
	mem_free(text);
	mem_free(state->places);
	*errors = problems_take(&state->problems);
	problems_release(&state->problems);
	mem_free(state);
	reader = NULL;
	if (*errors == NULL)
		return scenario;
	lab_scenario_free(scenario);
	return NULL;
}
