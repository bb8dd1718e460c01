/* SPDX-License-Identifier: ISC */
/*
 * The only file that knows libconfuse. It makes the parser's tables from ours,
 * runs it over the text that guard.h has made safe, and notes each word with
 * its line; what the words mean is decided in value.c. Every option is given
 * to the parser as a list of strings, so that a wrong value never stops it.
 *
 * The parser stops at a name it does not know. To tell more than the first,
 * such a name is then declared (a decoy) and the text parsed again; a decoy
 * that is met is a problem. The parser's scanner is global, so this file is
 * not reentrant: one configuration at a time, one thread.
 */
#include "conf/settings.h"

#include <confuse.h>
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "conf/guard.h"
#include "conf/problem.h"

enum { NAME_MAX_SHOWN = 80, SUGGESTION_DISTANCE = 3, SUGGESTION_MAX = 32,
    HINT_MAX = 200 };

struct decoy {
	enum option_section	 section;
	char			*name;	/* owned */
};

struct reader {
	struct settings	*settings;
	struct problems	*problems;
	struct guard	 guard;
	cfg_opt_t	*tables[SECTION_COUNT];		/* owned */
	struct decoy	 decoys[PROBLEMS_MAX];
	size_t		 decoy_count;
	bool		 again;		/* a decoy was added */
	size_t		 open;		/* block being read; 0: none */
	size_t		 closed;	/* sections read to their end */
	bool		 skip;		/* words of an option given again */
};

/* The parser's callbacks have no argument of ours. */
static struct reader *reader;

static enum option_section section_of(const cfg_t *cfg)
{
	enum option_section section = section_find(cfg->name);

	return section != SECTION_COUNT ? section : SECTION_TOP;
}

static bool is_decoy(enum option_section section, const char *name)
{
	for (size_t i = 0; i < reader->decoy_count; i++)
		if (reader->decoys[i].section == section &&
		    strcmp(reader->decoys[i].name, name) == 0)
			return true;
	return false;
}

/* Levenshtein's distance, for short names; large if one is long. */
static size_t distance(const char *one, const char *other)
{
	size_t row[SUGGESTION_MAX + 1], length = strlen(other);

	if (length > SUGGESTION_MAX || strlen(one) > SUGGESTION_MAX)
		return SUGGESTION_MAX;
	for (size_t k = 0; k <= length; k++)
		row[k] = k;
	for (size_t i = 0; one[i] != '\0'; i++) {
		size_t corner = row[0]++;

		for (size_t k = 0; k < length; k++) {
			size_t cost = corner + (one[i] != other[k]);

			corner = row[k + 1];
			if (row[k] + 1 < cost)
				cost = row[k] + 1;
			if (corner + 1 < cost)
				cost = corner + 1;
			row[k + 1] = cost;
		}
	}
	return row[length];
}

/* The name in section that looks most like name; null if none does. */
static const char *find_nearest(enum option_section section, const char *name)
{
	size_t best = SUGGESTION_DISTANCE + 1, apart;
	const char *nearest = NULL;

	for (size_t i = 0; i < option_count; i++) {
		apart = distance(name, options[i].name);
		if (options[i].section == section && apart < best) {
			best = apart;
			nearest = options[i].name;
		}
	}
	for (int i = SECTION_TOP + 1; i < SECTION_COUNT; i++) {
		apart = distance(name, sections[i].name);
		if (section == SECTION_TOP && apart < best) {
			best = apart;
			nearest = sections[i].name;
		}
	}
	/* Half of a short name changed is another name. */
	return best * 2 <= strlen(name) ? nearest : NULL;
}

static const struct option *find_elsewhere(const char *name)
{
	for (size_t i = 0; i < option_count; i++)
		if (strcmp(options[i].name, name) == 0)
			return &options[i];
	return NULL;
}

/* What might have been meant, as the end of a sentence. */
static void suggest(char *out, size_t size, enum option_section section,
    const char *name)
{
	const struct option *elsewhere = find_elsewhere(name);
	const char *nearest = find_nearest(section, name);
	size_t used = 0;

	if (elsewhere != NULL && elsewhere->section == SECTION_TOP)
		snprintf(out, size, "it belongs outside of all sections");
	else if (elsewhere != NULL)
		snprintf(out, size, "it belongs into a section %s",
		    sections[elsewhere->section].name);
	else if (nearest != NULL)
		snprintf(out, size, "did you mean '%s'?", nearest);
	else if (section == SECTION_TOP)
		snprintf(out, size, "postern.conf(5) lists all of them");
	if (section == SECTION_TOP || elsewhere != NULL || nearest != NULL)
		return;
	for (size_t i = 0; i < option_count && used < size; i++)
		if (options[i].section == section)
			used += (size_t)snprintf(out + used, size - used,
			    "%s%s", used == 0 ? "accepted: " : ", ",
			    options[i].name);
}

static void unknown_name(enum option_section section, int line,
    const char *name)
{
	char hint[HINT_MAX];

	suggest(hint, sizeof(hint), section, name);
	problems_add(reader->problems, line, "unknown option '%.*s'%s%s; %s",
	    NAME_MAX_SHOWN, name, section != SECTION_TOP ? " in " : "",
	    sections[section].name, hint);
}

/* The block that a value in cfg belongs to. */
static size_t current_block(const cfg_t *cfg)
{
	int line = 0;

	if (section_of(cfg) == SECTION_TOP)
		return 0;
	if (reader->open == 0) {
		if (reader->closed < reader->guard.section_count)
			line = reader->guard.section_lines[reader->closed];
		settings_add_block(reader->settings, section_of(cfg),
		    cfg->title, line);
		reader->open = reader->settings->block_count - 1;
	}
	return reader->open;
}

static int on_word(cfg_t *cfg, cfg_opt_t *opt, const char *word, void *result)
{
	size_t block = current_block(cfg);
	const struct option *option = option_find(section_of(cfg), opt->name);
	struct setting *setting;

	*(const char **)result = word;
	if (option == NULL) {
		if (opt->nvalues == 1)
			unknown_name(section_of(cfg), cfg->line, opt->name);
		return 0;
	}
	setting = settings_find(reader->settings, block, option->name);
	if (opt->nvalues == 1)
		reader->skip = setting != NULL;
	if (reader->skip && opt->nvalues == 1)
		problems_add(reader->problems, cfg->line,
		    "%s is given again, first in line %d; remove one of them",
		    option->name, setting->line);
	if (setting == NULL)
		setting = settings_add(reader->settings, option, block,
		    cfg->line);
	if (!reader->skip)
		setting_add_word(setting, word);
	return 0;
}

/* A list given as "{}" has no words, so on_word() never saw it. */
static void note_empty(cfg_t *cfg, size_t block)
{
	for (cfg_opt_t *opt = cfg->opts; opt->name != NULL; opt++) {
		const struct option *option = option_find(section_of(cfg),
		    opt->name);

		if (opt->type != CFGT_STR || opt->nvalues > 0 ||
		    (opt->flags & CFGF_MODIFIED) == 0)
			continue;
		if (option == NULL)
			unknown_name(section_of(cfg), cfg->line, opt->name);
		else if (settings_find(reader->settings, block, opt->name))
			problems_add(reader->problems, cfg->line,
			    "%s is given again, as an empty list; remove one "
			    "of them", opt->name);
		else
			settings_add(reader->settings, option, block,
			    cfg->line);
	}
}

static int on_section_end(cfg_t *cfg, cfg_opt_t *opt)
{
	cfg_t *section = opt->values[opt->nvalues - 1]->section;

	(void)cfg;
	note_empty(section, current_block(section));
	reader->open = 0;
	reader->closed++;
	return 0;
}

/* --- what the parser complains about --- */

static void on_unknown(const cfg_t *cfg, const char *name)
{
	enum option_section section = section_of(cfg);

	if (reader->decoy_count == PROBLEMS_MAX || *name == '\0' ||
	    strchr(name, '|') != NULL || is_decoy(section, name)) {
		unknown_name(section, cfg->line, name);
		return;
	}
	reader->decoys[reader->decoy_count++] = (struct decoy){
	    .section = section, .name = mem_dup_string(name) };
	reader->again = true;
}

static void on_missing_equals(const cfg_t *cfg, const char *name)
{
	if (is_decoy(section_of(cfg), name))
		unknown_name(section_of(cfg), cfg->line, name);
	else
		problems_add(reader->problems, cfg->line,
		    "no '=' after %.*s; accepted: %.*s = VALUE",
		    NAME_MAX_SHOWN, name, NAME_MAX_SHOWN, name);
}

static void on_missing_title(const cfg_t *cfg, const char *name)
{
	problems_add(reader->problems, cfg->line,
	    "section %s has no title; accepted: %s TITLE { ... }", name, name);
}

static void on_missing_brace(const cfg_t *cfg, const char *name)
{
	problems_add(reader->problems, cfg->line,
	    "no '{' after the title of section %s; accepted: %s TITLE { ... }",
	    name, name);
}

static void on_duplicate_title(const cfg_t *cfg, const char *title)
{
	int first = 0;

	for (size_t i = 0; i < reader->settings->block_count; i++)
		if (strcmp(reader->settings->blocks[i].title, title) == 0)
			first = reader->settings->blocks[i].line;
	problems_add(reader->problems, cfg->line,
	    "second section with the title '%.*s', the first is in line %d; "
	    "put all its options into one", NAME_MAX_SHOWN, title, first);
}

static void on_unexpected(const cfg_t *cfg, const char *token)
{
	problems_add(reader->problems, cfg->line,
	    "'%.*s' is not expected here; accepted: NAME = VALUE, "
	    "NAME = { VALUE, VALUE } or SECTION TITLE { ... }",
	    NAME_MAX_SHOWN, token);
}

/* The parser would follow "domain=example.org|users" into a section. */
static void on_path(const cfg_t *cfg, const char *name)
{
	(void)name;
	problems_add(reader->problems, cfg->line,
	    "'|' in the name of an option; write the option into its section");
}

static void on_end_of_file(const cfg_t *cfg, const char *nothing)
{
	(void)nothing;
	problems_add(reader->problems, cfg->line,
	    "the file ends in the middle of an option; accepted: NAME = "
	    "VALUE");
}

/* Keyed by the parser's format; the first argument, if any, is a string. */
static const struct complaint {
	const char	*format;
	void		(*tell)(const cfg_t *cfg, const char *name);
} complaints[] = {
	{ "no such option '%s'", on_unknown },
	{ "missing equal sign after option '%s'", on_missing_equals },
	{ "missing title for section '%s'", on_missing_title },
	{ "missing opening brace for section '%s'", on_missing_brace },
	{ "found duplicate title '%s'", on_duplicate_title },
	{ "unexpected token '%s'", on_unexpected },
	{ "no sub-section title/index for '%s'", on_path },
	{ "no sub-section '%s' in '%s'", on_path },
	{ "premature end of file", on_end_of_file },
};

static void on_complaint(cfg_t *cfg, const char *format, va_list arguments)
{
	char sentence[300];

	for (size_t i = 0; i < sizeof(complaints) / sizeof(complaints[0]); i++)
		if (strcmp(complaints[i].format, format) == 0) {
			complaints[i].tell(cfg, strchr(format, '%') != NULL ?
			    va_arg(arguments, const char *) : "");
			return;
		}
	/* A newer parser, or a case not met yet: its own words. */
	vsnprintf(sentence, sizeof(sentence), format, arguments);
	problems_add(reader->problems, cfg->line, "%s; postern.conf(5) "
	    "describes the syntax", sentence);
}

/* --- the parser's tables --- */

static void fill_table(enum option_section section)
{
	cfg_opt_t *opt = mem_alloc_array(option_count + PROBLEMS_MAX +
	    SECTION_COUNT + 1, sizeof(*opt));
	const cfg_opt_t end = CFG_END();

	reader->tables[section] = opt;
	for (size_t i = 0; i < option_count; i++)
		if (options[i].section == section)
			*opt++ = (cfg_opt_t)CFG_STR_LIST_CB(options[i].name, 0,
			    CFGF_NODEFAULT, on_word);
	for (size_t i = 0; i < reader->decoy_count; i++)
		if (reader->decoys[i].section == section)
			*opt++ = (cfg_opt_t)CFG_STR_LIST_CB(
			    reader->decoys[i].name, 0, CFGF_NODEFAULT,
			    on_word);
	if (section == SECTION_TOP)
		for (int i = SECTION_TOP + 1; i < SECTION_COUNT; i++) {
			*opt = (cfg_opt_t)CFG_SEC(sections[i].name,
			    reader->tables[i], CFGF_MULTI | CFGF_TITLE |
			    CFGF_NO_TITLE_DUPES);
			opt++->validcb = on_section_end;
		}
	*opt = end;
}

static cfg_t *new_parser(void)
{
	cfg_t *cfg;

	for (int i = SECTION_COUNT - 1; i >= SECTION_TOP; i--)
		fill_table((enum option_section)i);
	cfg = cfg_init(reader->tables[SECTION_TOP], CFGF_NONE);
	if (cfg == NULL)
		fatal("configuration", log_text("error", "out of memory"));
	cfg_set_error_function(cfg, on_complaint);
	return cfg;
}

static int run_parser(cfg_t *cfg)
{
	char *text = reader->guard.text;
	FILE *stream;
	int failed;

	if (*text == '\0')
		return 0;
	stream = fmemopen(text, strlen(text), "r");
	if (stream == NULL)
		fatal("configuration", log_text("error", "out of memory"));
	failed = cfg_parse_fp(cfg, stream) != CFG_SUCCESS;
	fclose(stream);
	if (!failed)
		note_empty(cfg, 0);
	else if (!reader->again && reader->problems->count == 0)
		problems_add(reader->problems, cfg->line,
		    "the text cannot be read; accepted: NAME = VALUE or "
		    "SECTION TITLE { ... }");
	return failed ? -1 : 0;
}

static int parse_once(void)
{
	cfg_t *cfg = new_parser();
	int result;

	settings_reset(reader->settings);
	problems_reset(reader->problems);
	reader->again = false;
	reader->open = reader->closed = 0;
	result = run_parser(cfg);
	cfg_free(cfg);
	for (int i = SECTION_TOP; i < SECTION_COUNT; i++) {
		mem_free(reader->tables[i]);
		reader->tables[i] = NULL;
	}
	return result;
}

int settings_read(struct settings *settings, const char *text,
    struct problems *problems)
{
	struct reader state = { .settings = settings, .problems = problems };
	int result;

	memset(settings, 0, sizeof(*settings));
	settings_reset(settings);
	result = guard_init(&state.guard, text, problems);
	reader = &state;
	if (result == 0) {
		do {
			result = parse_once();
		} while (state.again);
	}
	reader = NULL;
	for (size_t i = 0; i < state.decoy_count; i++)
		mem_free(state.decoys[i].name);
	guard_release(&state.guard);
	return result == 0 && problems->count == 0 ? 0 : -1;
}
