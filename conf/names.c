/* SPDX-License-Identifier: ISC */
/*
 * The list of members that hold a name is here and nowhere else. Not among
 * them: names of certificate and listen sections, which are labels of ours,
 * and stub-zones.
 */
#include "conf/names.h"

#include "base/address.h"
#include "base/idn.h"
#include "base/mem.h"
#include "conf/conf.h"
#include "conf/problem.h"
#include "conf/settings.h"

typedef const char *to_ascii(char *out, size_t size, const char *text);

struct place {
	const struct settings	*settings;
	struct problems		*problems;
	enum option_section	 section;
	size_t			 index;
	const char		*name;		/* of the option; "": the title */
};

static void convert(const struct place *place, char **text,
    to_ascii *domain_form)
{
	const char *kind = sections[place->section].name, *why;
	char out[ADDRESS_MAX + 1];

	if (!idn_is_needed(*text))
		return;
	why = domain_form(out, sizeof(out), *text);
	if (why == NULL) {
		mem_free(*text);
		*text = mem_dup_string(out);
		return;
	}
	problems_add(place->problems, settings_line(place->settings,
	    place->section, place->index, place->name), "%s%s%s%s '%.100s': "
	    "%s; accepted: a name such as example.org, in any script, or its "
	    "xn-- form", kind, kind[0] != '\0' && place->name[0] != '\0' ?
	    ": " : "", place->name, place->name[0] != '\0' ? " =" : "", *text,
	    why);
}

static void convert_top(struct conf *conf, struct place place)
{
	place.section = SECTION_TOP;
	place.name = "hostname";
	convert(&place, &conf->hostname, domain_to_ascii);
	place.name = "postmaster";
	convert(&place, &conf->postmaster, address_pattern_to_ascii);
	place.name = "srs-domain";
	convert(&place, &conf->srs_domain, domain_to_ascii);
	place.name = "hello-ipv4";
	convert(&place, &conf->hello_ipv4, domain_to_ascii);
	place.name = "hello-ipv6";
	convert(&place, &conf->hello_ipv6, domain_to_ascii);
}

static void convert_titles(struct conf *conf, struct place place)
{
	place.name = "";
	place.section = SECTION_DOMAIN;
	for (place.index = 0; place.index < conf->domain_count; place.index++)
		convert(&place, &conf->domains[place.index].name,
		    domain_to_ascii);
	place.section = SECTION_ROUTE;
	for (place.index = 0; place.index < conf->route_count; place.index++)
		convert(&place, &conf->routes[place.index].pattern,
		    domain_pattern_to_ascii);
	place.section = SECTION_DESTINATION;
	for (place.index = 0; place.index < conf->destination_count;
	    place.index++)
		convert(&place, &conf->destinations[place.index].pattern,
		    domain_pattern_to_ascii);
}

static void convert_list(const struct place *place, struct conf_texts *names)
{
	for (size_t i = 0; i < names->count; i++)
		convert(place, &names->items[i], domain_pattern_to_ascii);
}

static void convert_routes(struct conf *conf, struct place place)
{
	place.section = SECTION_ROUTE;
	for (place.index = 0; place.index < conf->route_count;
	    place.index++) {
		place.name = "host";
		convert(&place, &conf->routes[place.index].host,
		    domain_to_ascii);
		place.name = "names";
		convert_list(&place, &conf->routes[place.index].names);
	}
}

static void convert_destinations(struct conf *conf, struct place place)
{
	place.section = SECTION_DESTINATION;
	place.name = "names";
	for (place.index = 0; place.index < conf->destination_count;
	    place.index++)
		convert_list(&place, &conf->destinations[place.index].names);
}

static void convert_domains(struct conf *conf, struct place place)
{
	place.section = SECTION_DOMAIN;
	for (place.index = 0; place.index < conf->domain_count;
	    place.index++) {
		place.name = "mta-sts-mx";
		convert_list(&place, &conf->domains[place.index].sts_mx);
		place.name = "catch-all";
		convert(&place, &conf->domains[place.index].catch_all,
		    address_pattern_to_ascii);
	}
}

void names_convert(struct conf *conf, const struct settings *settings,
    struct problems *problems)
{
	struct place place = { .settings = settings, .problems = problems };

	convert_top(conf, place);
	convert_titles(conf, place);
	convert_routes(conf, place);
	convert_destinations(conf, place);
	convert_domains(conf, place);
}
