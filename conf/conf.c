/* SPDX-License-Identifier: ISC */
/*
 * What the roles ask of a configuration they have: which destination, which
 * domain, which next hop; and the end of its life. Freeing walks the table of
 * options, so a new member is freed without an edit here.
 */
#include "conf/conf.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/address.h"
#include "base/mem.h"
#include "conf/options.h"
#include "conf/value.h"

enum { PORT_SMTP = 25 };

static void release_options(enum option_section section, void *element)
{
	for (size_t i = 0; i < option_count; i++)
		if (options[i].section == section)
			value_release(&options[i], element);
}

static void release_section(struct conf *conf, enum option_section section)
{
	size_t count = section_count(conf, section);

	for (size_t i = 0; i < count; i++) {
		void *element = section_element(conf, section, i);

		release_options(section, element);
		mem_free(*(char **)element);	/* the title */
	}
	mem_free(section_element(conf, section, 0));
}

void conf_free(struct conf *conf)
{
	if (conf == NULL)
		return;
	for (int i = SECTION_TOP + 1; i < SECTION_COUNT; i++)
		release_section(conf, (enum option_section)i);
	release_options(SECTION_DESTINATION, &conf->unlisted);
	mem_free(conf->unlisted.pattern);
	mem_free(conf->warnings);
	release_options(SECTION_TOP, conf);
	mem_free(conf);
}

const struct conf_destination *conf_destination_find(const struct conf *conf,
    const char *domain)
{
	for (size_t i = 0; i < conf->destination_count; i++)
		if (domain_match(domain, conf->destinations[i].pattern))
			return &conf->destinations[i];
	return &conf->unlisted;
}

const struct conf_domain *conf_domain_find(const struct conf *conf,
    const char *domain)
{
	for (size_t i = 0; i < conf->domain_count; i++)
		if (strcasecmp(conf->domains[i].name, domain) == 0)
			return &conf->domains[i];
	return NULL;
}

/* A name as it is, an address as a literal; true for an address. */
static bool set_host(struct conf_next_hop *next, const char *host)
{
	struct endpoint endpoint;

	if (domain_is_literal(host) ||
	    endpoint_parse(&endpoint, host, next->port) != 0) {
		snprintf(next->host, sizeof(next->host), "%s", host);
		return domain_is_literal(host);
	}
	endpoint_format_literal(&endpoint, next->host, sizeof(next->host));
	return true;
}

static void follow_route(const struct conf *conf,
    const struct conf_route *route, const char *domain,
    struct conf_next_hop *next)
{
	next->transport = route->transport;
	next->port = (uint16_t)route->port;
	next->implicit_tls = route->transport == TRANSPORT_SMTP &&
	    route->tls == ROUTE_TLS_IMPLICIT;
	if (route->transport == TRANSPORT_MAILDIR)
		next->local = conf_domain_find(conf, domain);
	if (route->transport == TRANSPORT_SMTP)
		next->mx = !set_host(next, route->host[0] != '\0' ?
		    route->host : domain) && route->mx;
}

void conf_next_hop(const struct conf *conf, const char *domain,
    struct conf_next_hop *next)
{
	memset(next, 0, sizeof(*next));
	next->port = PORT_SMTP;
	for (size_t i = 0; i < conf->route_count; i++)
		if (domain_match(domain, conf->routes[i].pattern)) {
			follow_route(conf, &conf->routes[i], domain, next);
			return;
		}
	next->local = conf_domain_find(conf, domain);
	if (next->local != NULL) {
		next->transport = TRANSPORT_MAILDIR;
		return;
	}
	next->transport = TRANSPORT_SMTP;
	next->mx = !set_host(next, domain);
}

bool conf_networks_contain(const struct conf_networks *networks,
    const struct endpoint *endpoint)
{
	for (size_t i = 0; i < networks->count; i++)
		if (network_contains(&networks->items[i], endpoint))
			return true;
	return false;
}
