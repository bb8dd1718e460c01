/* SPDX-License-Identifier: ISC */
/*
 * Checks of what stands between a client and the queue: milters, tests and
 * limits of clients, who mail is really from.
 */
#include "conf/check_private.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "conf/listing.h"

/* --- filters --- */

static void tell_milter(const struct check *check, size_t i,
    const char *option, const char *problem)
{
	problems_add(check->problems,
	    check_line(check, SECTION_MILTER, i, option), "milter %.80s: %s",
	    check->conf->milters[i].name, problem);
}

static void check_milter_host(const struct check *check, size_t i)
{
	const struct conf_milter *milter = &check->conf->milters[i];
	struct endpoint endpoint;

	if (milter->port == 0)
		tell_milter(check, i, "host", "host needs a port beside it; "
		    "give port =");
	if (endpoint_parse(&endpoint, milter->host, 0) != 0)
		problems_add(check->problems,
		    check_line(check, SECTION_MILTER, i, "host"),
		    "milter %.80s: host = %.100s is not an address; accepted: "
		    "such as 127.0.0.1 and \"::1\"", milter->name,
		    milter->host);
	else if (!endpoint_is_loopback(&endpoint))
		problems_add(check->advice,
		    check_line(check, SECTION_MILTER, i, "host"),
		    "milter %.80s: mail goes to %.60s in clear; let a tunnel "
		    "lead there", milter->name, milter->host);
}

/* Does the chain of anybody have it? */
static bool is_asked(const struct conf *conf, const char *name)
{
	for (size_t i = 0; i < conf->milter_chain.count; i++)
		if (strcasecmp(conf->milter_chain.items[i], name) == 0)
			return true;
	for (size_t i = 0; i < conf->listener_count; i++) {
		const struct conf_texts *chain = &conf->listeners[i].milters;

		for (size_t k = 0; k < chain->count; k++)
			if (strcasecmp(chain->items[k], name) == 0)
				return true;
	}
	return false;
}

static void check_milter(const struct check *check, size_t i)
{
	const struct conf_milter *milter = &check->conf->milters[i];
	bool has_socket = milter->socket[0] != '\0';
	bool has_host = milter->host[0] != '\0';

	if (!check_is_label(milter->name))
		problems_add(check->problems,
		    check_line(check, SECTION_MILTER, i, ""),
		    "milter '%.80s': not a name; accepted: letters, digits, "
		    "'.', '_' and '-'", milter->name);
	if (has_socket == has_host)
		tell_milter(check, i, has_socket ? "host" : "", has_socket ?
		    "socket and host are two places; remove one of them" :
		    "it is nowhere; give socket = PATH, or host and port");
	if (!has_host && milter->port != 0)
		tell_milter(check, i, "port", "port is for a host; give one "
		    "or remove it");
	check_socket(check, "socket", check_line(check, SECTION_MILTER, i,
	    "socket"), milter->socket);
	if (has_host)
		check_milter_host(check, i);
	if (!is_asked(check->conf, milter->name))
		problems_add(check->advice,
		    check_line(check, SECTION_MILTER, i, ""),
		    "milter %.80s is never asked; name it in milters",
		    milter->name);
}

/* A chain, at a line; where is "" or "listen NAME: ". */
static void check_chain(const struct check *check, int line,
    const char *where, const struct conf_texts *chain)
{
	for (size_t i = 0; i < chain->count; i++) {
		const char *name = chain->items[i];

		if (conf_milter_find(check->conf, name) == NULL)
			problems_add(check->problems, line, "%.100smilters: "
			    "there is no milter section %.80s; accepted: "
			    "names of such sections", where, name);
		for (size_t k = 0; k < i; k++)
			if (strcasecmp(chain->items[k], name) == 0) {
				problems_add(check->problems, line,
				    "%.100smilters: %.80s is there twice; "
				    "remove one of them", where, name);
				break;
			}
	}
}

static void check_chains(const struct check *check)
{
	const struct conf *conf = check->conf;

	check_chain(check, check_top_line(check, "milters"), "",
	    &conf->milter_chain);
	for (size_t i = 0; i < conf->listener_count; i++) {
		char where[112];

		if (!check_given(check, SECTION_LISTEN, i, "milters"))
			continue;
		snprintf(where, sizeof(where), "listen %.80s: ",
		    conf->listeners[i].name);
		check_chain(check, check_line(check, SECTION_LISTEN, i,
		    "milters"), where, &conf->listeners[i].milters);
	}
}

/* --- who mail is really from --- */

/* RFC 8601 2.2: we write it without quotes, so it is a token (RFC 2045 5.1). */
static bool is_token(const char *text)
{
	for (const char *byte = text; *byte != '\0'; byte++)
		if (*byte <= ' ' || *byte > '~' ||
		    strchr("()<>@,;:\\\"/[]?=", *byte) != NULL)
			return false;
	return text[0] != '\0';
}

static void check_authentic(const struct check *check)
{
	const struct conf *conf = check->conf;

	if (check_given(check, SECTION_TOP, 0, "authserv-id") &&
	    !is_token(conf->authentication_name))
		problems_add(check->problems,
		    check_top_line(check, "authserv-id"),
		    "authserv-id = %.100s cannot stand in Authentication-"
		    "Results; accepted: a word such as mx.example.org",
		    conf->authentication_name);
	if (conf->spf == VERIFY_ENFORCE && (conf->dmarc == VERIFY_ENFORCE ||
	    conf->dmarc == VERIFY_OBSERVE))
		problems_add(check->advice, check_top_line(check, "spf"),
		    "spf = enforce refuses mail before DMARC could see that "
		    "its DKIM signature is good (RFC 7489 10.1); spf = observe "
		    "leaves it to dmarc");
}

/* --- lists in the DNS --- */

static void check_listings(const struct check *check, const char *option,
    const struct conf_texts *texts)
{
	struct conf_listing listing;

	for (size_t i = 0; i < texts->count; i++)
		if (!conf_listing_read(&listing, texts->items[i]))
			problems_add(check->problems,
			    check_top_line(check, option),
			    "%s: \"%.100s\" is not a list; accepted: ZONE, or "
			    "\"ZONE ANSWERS\" with addresses of 127.0.0.0/8 "
			    "and ranges of them by commas, such as \"bl.example "
			    "127.0.0.2-127.0.0.11,127.0.0.20\"", option,
			    texts->items[i]);
	if (texts->count > CONF_LISTINGS_MAX)
		problems_add(check->problems, check_top_line(check, option),
		    "%s has more than %d lists; remove some", option,
		    CONF_LISTINGS_MAX);
}

static void check_good_lists(const struct check *check)
{
	const struct conf *conf = check->conf;

	if (conf->dnswl.count > 0 && conf->dnsbl.count == 0 &&
	    conf->reverse_name == MODE_OFF && conf->greylist == MODE_OFF)
		problems_add(check->advice, check_top_line(check, "dnswl"),
		    "dnswl spares clients dnsbl, reverse-name and greylist, "
		    "and all of them are off");
}

/* --- limits and tests --- */

/* Is all of one in the other? */
static bool is_within(const struct network *inner, const struct network *outer)
{
	struct endpoint first;

	if (inner->family != outer->family || inner->bits < outer->bits)
		return false;
	endpoint_from_bytes(&first, inner->family, inner->bytes, 0);
	return network_contains(outer, &first);
}

static void check_allowed(const struct check *check)
{
	const struct conf_networks *deny = &check->conf->deny_from;
	const struct conf_networks *allow = &check->conf->allow_from;

	for (size_t i = 0; i < deny->count; i++)
		for (size_t k = 0; k < allow->count; k++) {
			if (!is_within(&deny->items[i], &allow->items[k]))
				continue;
			problems_add(check->advice,
			    check_top_line(check, "deny-from"),
			    "deny-from: network %zu of it is never refused, "
			    "because network %zu of allow-from has all of it",
			    i + 1, k + 1);
			break;
		}
}

/* Of a client and of its network, over the same time. */
static void check_rates(const struct check *check, const char *option,
    const struct conf_rate *network, const struct conf_rate *client)
{
	if (network->seconds > 0 && network->seconds == client->seconds &&
	    network->count < client->count)
		problems_add(check->advice, check_top_line(check, option),
		    "%s is less than one of its clients may have alone, so "
		    "that limit is never reached", option);
}

static void check_limits(const struct check *check)
{
	const struct conf *conf = check->conf;

	if (conf->greylist_delay >= conf->greylist_window)
		problems_add(check->problems, check_top_line(check,
		    check_given(check, SECTION_TOP, 0, "greylist-window") ?
		    "greylist-window" : "greylist-delay"),
		    "greylist-window is not longer than greylist-delay, so "
		    "nobody could come again in time; accepted: greylist-delay "
		    "< greylist-window");
	if (conf->tarpit > 0 && conf->tarpit_after >= conf->max_errors)
		problems_add(check->advice,
		    check_top_line(check, "tarpit-after"),
		    "tarpit-after is never reached: max-errors ends a session "
		    "before that");
	check_rates(check, "network-connection-rate",
	    &conf->network_connection_rate, &conf->connection_rate);
	check_rates(check, "network-recipient-rate",
	    &conf->network_recipient_rate, &conf->recipient_rate);
}

void check_filters(const struct check *check)
{
	for (size_t i = 0; i < check->conf->milter_count; i++)
		check_milter(check, i);
	check_chains(check);
	check_authentic(check);
	check_listings(check, "dnsbl", &check->conf->dnsbl);
	check_listings(check, "dnswl", &check->conf->dnswl);
	check_good_lists(check);
	check_allowed(check);
	check_limits(check);
}
