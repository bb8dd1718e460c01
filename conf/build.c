/* SPDX-License-Identifier: ISC */
/*
 * From the written settings to struct conf: defaults, then what was given,
 * then what follows from other options, then the checks. What follows from
 * others depends on the text and the name of the machine only, never on who
 * runs this or what is on disk: the roles read the same text again, each as
 * its own user, and must come to the same answer.
 */
#include "conf/conf.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/address.h"
#include "base/buf.h"
#include "base/mem.h"
#include "conf/check.h"
#include "conf/names.h"
#include "conf/problem.h"
#include "conf/settings.h"
#include "conf/value.h"

enum { HOST_NAME_BYTES = 256, WORD_SHOWN_MAX = 120 };

static void set_defaults(enum option_section section, void *element)
{
	for (size_t i = 0; i < option_count; i++)
		if (options[i].section == section)
			value_set_default(&options[i], element);
}

/* --- sections --- */

/* Elements of one kind, each with its title and defaults. */
static void add_section(struct conf *conf, const struct settings *settings,
    enum option_section section)
{
	const struct section *kind = &sections[section];
	size_t count = settings->counts[section];
	char *array;

	array = mem_alloc_array(count, kind->size);
	memcpy((char *)conf + kind->array_offset, &array, sizeof(array));
	memcpy((char *)conf + kind->count_offset, &count, sizeof(count));
	for (size_t i = 0; i < count; i++) {
		char *element = array + i * kind->size;

		*(char **)(void *)element = mem_dup_string(
		    settings_block(settings, section, i)->title);
		set_defaults(section, element);
	}
}

/* Names of domains in one form, so that they compare by bytes. */
static void lower_title(char *title)
{
	for (; *title != '\0'; title++)
		if (*title >= 'A' && *title <= 'Z')
			*title += 'a' - 'A';
}

static void lower_titles(struct conf *conf)
{
	for (size_t i = 0; i < conf->domain_count; i++)
		lower_title(conf->domains[i].name);
	for (size_t i = 0; i < conf->route_count; i++)
		lower_title(conf->routes[i].pattern);
	for (size_t i = 0; i < conf->destination_count; i++)
		lower_title(conf->destinations[i].pattern);
}

static struct conf *new_conf(const struct settings *settings)
{
	struct conf *conf = mem_alloc(sizeof(*conf));

	set_defaults(SECTION_TOP, conf);
	conf->unlisted.pattern = mem_dup_string("*");
	set_defaults(SECTION_DESTINATION, &conf->unlisted);
	for (int i = SECTION_TOP + 1; i < SECTION_COUNT; i++)
		add_section(conf, settings, (enum option_section)i);
	lower_titles(conf);
	return conf;
}

/* --- what was given --- */

static void apply(struct conf *conf, const struct settings *settings,
    const struct setting *setting, struct problems *problems)
{
	const struct block *block = &settings->blocks[setting->block];
	const struct option *option = setting->option;
	char why[VALUE_WHY_MAX];
	struct buf word;
	size_t wrong;

	if (value_set(option, section_element(conf, block->section,
	    block->index), setting->words, setting->word_count, why,
	    &wrong) == 0)
		return;
	if (wrong == setting->word_count) {
		problems_add(problems, setting->line, "%s %s", option->name,
		    why);
		return;
	}
	buf_init(&word, WORD_SHOWN_MAX);
	value_print_word(setting->words[wrong], &word);
	problems_add(problems, setting->line, "%s = %s %s", option->name,
	    buf_string(&word), why);
	buf_release(&word);
}

static bool is_empty(const struct option *option, const void *element)
{
	char *text;

	if (option->type != OPTION_TEXT && option->type != OPTION_PATH)
		return false;
	memcpy(&text, (const char *)element + option->offset, sizeof(text));
	return text[0] == '\0';
}

static void tell_missing(const struct block *block,
    const struct option *option, struct problems *problems)
{
	struct buf accepted;

	buf_init(&accepted, VALUE_WHY_MAX);
	value_print_accepted(option, &accepted);
	problems_add(problems, block->line, "%s %.80s has no %s; accepted: %s",
	    sections[block->section].name, block->title, option->name,
	    buf_string(&accepted));
	buf_release(&accepted);
}

static void check_required(struct conf *conf, const struct settings *settings,
    struct problems *problems)
{
	for (size_t i = 0; i < settings->block_count; i++) {
		const struct block *block = &settings->blocks[i];
		void *element = section_element(conf, block->section,
		    block->index);

		for (size_t k = 0; k < option_count; k++)
			if (options[k].section == block->section &&
			    options[k].required &&
			    is_empty(&options[k], element))
				tell_missing(block, &options[k], problems);
	}
}

/* --- what follows from other options --- */

/* Takes over value if the option was left empty. */
static void fill(char **text, char *value)
{
	if ((*text)[0] != '\0') {
		mem_free(value);
		return;
	}
	mem_free(*text);
	*text = value;
}

static void fill_directories(struct conf *conf)
{
	const char *state = conf->state_directory;
	bool system = conf->drop_privileges;

	fill(&conf->queue_directory, mem_print("%s/queue", state));
	fill(&conf->mail_directory, system ?
	    mem_dup_string(system_mail_directory) :
	    mem_print("%s/mail", state));
	fill(&conf->run_directory, system ?
	    mem_dup_string(system_run_directory) :
	    mem_print("%s/run", state));
	fill(&conf->control_socket, mem_print("%s/control",
	    conf->run_directory));
	for (size_t i = 0; i < conf->domain_count; i++)
		fill(&conf->domains[i].maildir, mem_print("%s/%s",
		    conf->mail_directory, conf->domains[i].name));
}

static void fill_names(struct conf *conf)
{
	char name[HOST_NAME_BYTES] = "";

	if (gethostname(name, sizeof(name) - 1) != 0)
		name[0] = '\0';
	fill(&conf->hostname, mem_dup_string(name));
	lower_title(conf->hostname);
	fill(&conf->postmaster, mem_print("postmaster@%s",
	    conf->domain_count > 0 ? conf->domains[0].name :
	    conf->hostname));
}

/* Without a listen section there is one, as if "listen smtp { }" stood there.
 */
static void fill_listeners(struct conf *conf)
{
	if (conf->listener_count > 0)
		return;
	mem_free(conf->listeners);
	conf->listeners = mem_alloc_array(1, sizeof(*conf->listeners));
	conf->listener_count = 1;
	conf->listeners[0].name = mem_dup_string("smtp");
	set_defaults(SECTION_LISTEN, &conf->listeners[0]);
}

/* After the checks, which want to see what was given: an address has no MX. */
static void settle_routes(struct conf *conf)
{
	struct endpoint endpoint;

	for (size_t i = 0; i < conf->route_count; i++)
		if (domain_is_literal(conf->routes[i].host) ||
		    endpoint_parse(&endpoint, conf->routes[i].host, 0) == 0)
			conf->routes[i].mx = false;
}

static struct conf *build(const struct settings *settings,
    struct problems *problems)
{
	struct conf *conf = new_conf(settings);
	struct problems advice;

	for (size_t i = 0; i < settings->count; i++)
		apply(conf, settings, &settings->items[i], problems);
	names_convert(conf, settings, problems);
	if (problems->count > 0)
		return conf;
	check_required(conf, settings, problems);
	fill_directories(conf);
	fill_names(conf);
	fill_listeners(conf);
	problems_init(&advice, problems->file);
	conf_check(conf, settings, problems, &advice);
	settle_routes(conf);
	conf->warnings = problems_take(&advice);
	return conf;
}

struct conf *conf_read(const char *name, const char *text, char **errors)
{
	struct problems problems;
	struct settings settings;
	struct conf *conf;

	problems_init(&problems, name);
	settings_read(&settings, text, &problems);
	/* Also after bad syntax: what was read may have wrong values. */
	conf = build(&settings, &problems);
	settings_release(&settings);
	*errors = problems_take(&problems);
	if (*errors != NULL) {
		conf_free(conf);
		return NULL;
	}
	return conf;
}
