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
	mem_free(conf->route_destinations);
	release_options(SECTION_DESTINATION, &conf->unlisted);
	mem_free(conf->unlisted.pattern);
	mem_free(conf->warnings);
	release_options(SECTION_TOP, conf);
	mem_free(conf);
}

const struct conf_route *conf_route_find(const struct conf *conf,
    const char *domain)
{
	for (size_t i = 0; i < conf->route_count; i++)
		if (domain_match(domain, conf->routes[i].pattern))
			return &conf->routes[i];
	return NULL;
}

const struct conf_certificate *conf_certificate_find(const struct conf *conf,
    const char *name)
{
	for (size_t i = 0; i < conf->certificate_count; i++)
		if (strcasecmp(conf->certificates[i].name, name) == 0)
			return &conf->certificates[i];
	return NULL;
}

const struct conf_milter *conf_milter_find(const struct conf *conf,
    const char *name)
{
	for (size_t i = 0; i < conf->milter_count; i++)
		if (strcasecmp(conf->milters[i].name, name) == 0)
			return &conf->milters[i];
	return NULL;
}

const struct conf_listener *conf_listener_find(const struct conf *conf,
    const char *name)
{
	for (size_t i = 0; i < conf->listener_count; i++)
		if (strcmp(conf->listeners[i].name, name) == 0)
			return &conf->listeners[i];
	return NULL;
}

const struct conf_destination *conf_destination_find(const struct conf *conf,
    const char *domain)
{
	const struct conf_route *route = conf_route_find(conf, domain);

	if (route != NULL && route->level != LEVEL_COUNT)
		return &conf->route_destinations[route - conf->routes];
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
	next->route = route;
	next->routed = true;
	next->transport = route->transport;
	next->port = (uint16_t)route->port;
	next->implicit_tls = route->tls == ROUTE_TLS_IMPLICIT &&
	    (route->transport == TRANSPORT_SMTP ||
	    route->transport == TRANSPORT_LMTP);
	if (route->transport == TRANSPORT_MAILDIR)
		next->local = conf_domain_find(conf, domain);
	if (route->transport == TRANSPORT_LMTP) {
		set_host(next, route->host);
		if (route->socket[0] != '\0')
			next->port = 0;
	}
	if (route->transport == TRANSPORT_SMTP)
		next->mx = !set_host(next, route->host[0] != '\0' ?
		    route->host : domain) && route->mx;
}

void conf_next_hop(const struct conf *conf, const char *domain,
    struct conf_next_hop *next)
{
	const struct conf_route *route = conf_route_find(conf, domain);
	const struct conf_domain *own = conf_domain_find(conf, domain);

	memset(next, 0, sizeof(*next));
	next->port = PORT_SMTP;
	if (route != NULL) {
		follow_route(conf, route, domain, next);
		return;
	}
	if (own != NULL && !own->relay) {
		next->local = own;
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
