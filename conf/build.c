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
	fill(&conf->local_socket, mem_print("%s/submit",
	    conf->run_directory));
	fill(&conf->drop_directory, mem_print("%s/drop", state));
	fill(&conf->accounts_file, mem_print("%s/accounts", state));
	fill(&conf->sts_approvals_file, mem_print("%s/sts-approvals", state));
	fill(&conf->dkim_keys_file, mem_print("%s/dkim-keys", state));
	fill(&conf->relay_certificates_file,
	    mem_print("%s/relay-certificates", state));
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
	fill(&conf->hello_ipv4, mem_dup_string(conf->hostname));
	fill(&conf->hello_ipv6, mem_dup_string(conf->hostname));
	fill(&conf->authentication_name, mem_dup_string(conf->hostname));
	fill(&conf->postmaster, mem_print("postmaster@%s",
	    conf->domain_count > 0 ? conf->domains[0].name :
	    conf->hostname));
}

/* The first host of ours that a policy would name is this one. */
static void fill_policies(struct conf *conf)
{
	for (size_t i = 0; i < conf->domain_count; i++) {
		struct conf_texts *names = &conf->domains[i].sts_mx;

		if (names->count > 0)
			continue;
		mem_free(names->items);
		names->items = mem_alloc_array(1, sizeof(*names->items));
		names->items[0] = mem_dup_string(conf->hostname);
		names->count = 1;
	}
}

/* --- listeners --- */

/* What a name stands for when the section does not say. */
static const struct preset {
	const char		*name;
	enum conf_service	 service;
	int64_t			 port;
	enum conf_listener_tls	 tls;
} presets[] = {
	{ "smtp", SERVICE_SMTP, 25, LISTENER_TLS_OFFER },
	{ "submission", SERVICE_SUBMISSION, 587, LISTENER_TLS_REQUIRE },
	{ "submissions", SERVICE_SUBMISSION, 465, LISTENER_TLS_IMPLICIT },
	{ "lmtp", SERVICE_LMTP, 24, LISTENER_TLS_OFFER },
	{ "mta-sts", SERVICE_MTA_STS, 443, LISTENER_TLS_IMPLICIT },
};

/* By the name, where that says the same service; else the first of its
 * service. */
static const struct preset *find_preset(const struct conf_listener *listener,
    bool service_given)
{
	const struct preset *found = NULL;

	for (size_t i = 0; i < sizeof(presets) / sizeof(presets[0]); i++) {
		bool named = strcmp(presets[i].name, listener->name) == 0;
		bool serves = presets[i].service == listener->service;

		if (named && (serves || !service_given))
			return &presets[i];
		if (serves && found == NULL)
			found = &presets[i];
	}
	return found;
}

static void copy_texts(struct conf_texts *texts, const struct conf_texts *from)
{
	mem_free(texts->items);
	texts->items = mem_alloc_array(from->count, sizeof(*texts->items));
	for (size_t i = 0; i < from->count; i++)
		texts->items[i] = mem_dup_string(from->items[i]);
	texts->count = from->count;
}

static void fill_listener(struct conf *conf, const struct settings *settings,
    size_t i)
{
	struct conf_listener *one = &conf->listeners[i];
	const struct preset *preset = find_preset(one,
	    settings_given(settings, SECTION_LISTEN, i, "service"));

	one->service = preset->service;
	if (!settings_given(settings, SECTION_LISTEN, i, "port"))
		one->port = preset->port;
	if (!settings_given(settings, SECTION_LISTEN, i, "tls"))
		one->tls = one->socket[0] != '\0' ? LISTENER_TLS_NONE :
		    preset->tls;
	if (!settings_given(settings, SECTION_LISTEN, i, "auth"))
		one->auth = one->service == SERVICE_SUBMISSION;
	if (!settings_given(settings, SECTION_LISTEN, i, "milters"))
		copy_texts(&one->milters, &conf->milter_chain);
	fill(&one->socket_group, mem_dup_string(conf->control_group));
}

/* Without a listen section there is one, as if "listen smtp { }" stood there.
 */
static void fill_listeners(struct conf *conf, const struct settings *settings)
{
	if (conf->listener_count == 0) {
		mem_free(conf->listeners);
		conf->listeners = mem_alloc_array(1,
		    sizeof(*conf->listeners));
		conf->listener_count = 1;
		conf->listeners[0].name = mem_dup_string("smtp");
		set_defaults(SECTION_LISTEN, &conf->listeners[0]);
	}
	for (size_t i = 0; i < conf->listener_count; i++)
		fill_listener(conf, settings, i);
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

/* A level of a route's own, in the form that destinations have. */
static void fill_route_destinations(struct conf *conf)
{
	conf->route_destinations = mem_alloc_array(conf->route_count,
	    sizeof(*conf->route_destinations));
	for (size_t i = 0; i < conf->route_count; i++) {
		struct conf_destination *to = &conf->route_destinations[i];
		const struct conf_route *route = &conf->routes[i];

		*to = conf->unlisted;
		to->pattern = route->pattern;
		to->of_route = true;
		to->level = route->level;
		to->names = route->names;
		to->fingerprints = route->fingerprints;
		to->fingerprint_count = route->fingerprint_count;
	}
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
	fill_policies(conf);
	fill_listeners(conf, settings);
	problems_init(&advice, problems->file);
	conf_check(conf, settings, problems, &advice);
	settle_routes(conf);
	fill_route_destinations(conf);
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
