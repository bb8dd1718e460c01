/* SPDX-License-Identifier: ISC */
/*
 * Checks of routes and destinations: their patterns, and what goes together.
 */
#include "conf/check_private.h"

#include <string.h>

static bool is_pattern(const char *text)
{
	if (strcmp(text, "*") == 0 || check_is_literal(text))
		return true;
	if (strncmp(text, "*.", 2) == 0)
		text++;
	return check_is_domain(text[0] == '.' ? text + 1 : text);
}

/* Does pattern match all that other does? */
static bool pattern_covers(const char *pattern, const char *other)
{
	if (strcmp(pattern, "*") == 0)
		return true;
	pattern += pattern[0] == '*';
	other += strncmp(other, "*.", 2) == 0;
	if (strcmp(pattern, other) == 0)
		return true;
	if (pattern[0] != '.' || other[0] == '*')
		return false;
	return domain_match(other + (other[0] == '.'), pattern);
}

/* Patterns of one kind: their form, and those that never get a turn. */
static void check_patterns(const struct check *check,
    enum option_section section)
{
	const char *kind = sections[section].name;
	size_t count = section_count(check->conf, section);

	for (size_t i = 0; i < count; i++) {
		const char *pattern = *(char **)section_element(check->conf,
		    section, i);
		int line = check_line(check, section, i, "");

		if (!is_pattern(pattern)) {
			problems_add(check->problems, line,
			    "%s '%.80s' is not a pattern; accepted: a domain "
			    "name, \".DOMAIN\" for all names below it, "
			    "\"[ADDRESS]\" or \"*\"", kind, pattern);
			continue;
		}
		for (size_t k = 0; k < i; k++) {
			const char *other = *(char **)section_element(
			    check->conf, section, k);

			if (!pattern_covers(other, pattern))
				continue;
			problems_add(strcmp(other, pattern) == 0 ?
			    check->problems : check->advice, line,
			    "%s %.80s is never used, because %s %.80s in line "
			    "%d matches first; remove it or move it up", kind,
			    pattern, kind, other, check_line(check, section, k,
			    ""));
			break;
		}
	}
}

/* What a certificate may have to show. */
static void check_names_shown(const struct check *check,
    enum option_section section, size_t i, const struct conf_texts *names)
{
	for (size_t k = 0; k < names->count; k++) {
		const char *name = names->items[k];

		if (check_is_host_name(name[0] == '.' ? name + 1 : name))
			continue;
		problems_add(check->problems,
		    check_line(check, section, i, "names"),
		    "%s %.80s: '%.100s' is not a name a certificate can show; "
		    "accepted: a domain name, or \".DOMAIN\" for all names "
		    "below it", sections[section].name,
		    *(char **)section_element(check->conf, section, i), name);
	}
}

static void check_route_host(const struct check *check, size_t i)
{
	const struct conf_route *route = &check->conf->routes[i];
	bool address = check_is_address(route->host) || check_is_literal(route->host);

	if (route->host[0] != '\0' && !address && !check_is_host_name(route->host))
		problems_add(check->problems,
		    check_line(check, SECTION_ROUTE, i, "host"),
		    "route %.80s: host = %.100s is neither a host name nor an "
		    "address; accepted: such as mx.example.org, 192.0.2.1, "
		    "\"2001:db8::1\"", route->pattern, route->host);
	if (address && route->mx && check_given(check, SECTION_ROUTE, i, "mx"))
		problems_add(check->problems,
		    check_line(check, SECTION_ROUTE, i, "mx"),
		    "route %.80s: mx = yes, but an address has no MX records; "
		    "write mx = no or remove it", route->pattern);
}

static void check_route_port(const struct check *check, size_t i)
{
	const struct conf_route *route = &check->conf->routes[i];

	if (route->tls == ROUTE_TLS_IMPLICIT && route->port == 25)
		problems_add(check->problems,
		    check_line(check, SECTION_ROUTE, i, "tls"),
		    "route %.80s: tls = implicit, but port 25 begins in clear; "
		    "give the port, such as 465", route->pattern);
	if (route->tls != ROUTE_TLS_IMPLICIT && route->port == 465)
		problems_add(check->advice,
		    check_line(check, SECTION_ROUTE, i, "port"),
		    "route %.80s: port 465 begins with TLS; write tls = "
		    "implicit", route->pattern);
}

/* Given, and not as "nothing". */
static bool is_set(const struct check *check, size_t i, const char *name)
{
	const struct option *option = option_find(SECTION_ROUTE, name);
	const char *text;

	if (!check_given(check, SECTION_ROUTE, i, name))
		return false;
	if (option->type != OPTION_TEXT && option->type != OPTION_PATH)
		return true;
	memcpy(&text, (const char *)&check->conf->routes[i] + option->offset,
	    sizeof(text));
	return text[0] != '\0';
}

/* Options that say nothing together with what the route is. */
static void refuse_unused(const struct check *check, size_t i,
    const char *const *unused, const char *why)
{
	for (; *unused != NULL; unused++)
		if (is_set(check, i, *unused))
			problems_add(check->problems,
			    check_line(check, SECTION_ROUTE, i, *unused),
			    "route %.80s: %s is %s; remove one of them",
			    check->conf->routes[i].pattern, *unused, why);
}

/* A password or key is for one host, which must prove who it is. */
static void check_route_identity(const struct check *check, size_t i)
{
	const struct conf_route *route = &check->conf->routes[i];
	bool proves = route->level == LEVEL_DANE_ONLY ||
	    route->level == LEVEL_VERIFY || route->level == LEVEL_SECURE ||
	    route->level == LEVEL_FINGERPRINT;

	if (route->credentials_file[0] != '\0' && !proves)
		problems_add(check->problems,
		    check_line(check, SECTION_ROUTE, i, "credentials-file"),
		    "route %.80s: a password is said to an authenticated host "
		    "only, so credentials-file needs level = secure (or "
		    "verify, fingerprint, dane-only) beside it",
		    route->pattern);
	if (route->credentials_file[0] != '\0' && route->host[0] == '\0')
		problems_add(check->problems,
		    check_line(check, SECTION_ROUTE, i, "credentials-file"),
		    "route %.80s: credentials-file is for one host; give host "
		    "= and its name", route->pattern);
	if (route->certificate[0] != '\0' &&
	    conf_certificate_find(check->conf, route->certificate) == NULL)
		problems_add(check->problems,
		    check_line(check, SECTION_ROUTE, i, "certificate"),
		    "route %.80s: there is no certificate section %.80s; "
		    "accepted: the name of one", route->pattern,
		    route->certificate);
}

static void check_route_level(const struct check *check, size_t i)
{
	const struct conf_route *route = &check->conf->routes[i];
	bool named = route->level == LEVEL_VERIFY ||
	    route->level == LEVEL_SECURE;
	int line = check_line(check, SECTION_ROUTE, i, "level");

	if ((route->level == LEVEL_FINGERPRINT) !=
	    (route->fingerprint_count > 0))
		problems_add(check->problems, line, "route %.80s: level = "
		    "fingerprint and fingerprints need each other; give both "
		    "or none", route->pattern);
	if (route->names.count > 0 && !named)
		problems_add(check->problems, check_line(check, SECTION_ROUTE,
		    i, "names"), "route %.80s: names are for the levels verify "
		    "and secure; set the level or remove them",
		    route->pattern);
	if (route->level == LEVEL_DANE_ONLY &&
	    check->conf->trust_anchor_file[0] == '\0')
		problems_add(check->problems, line, "route %.80s: level = "
		    "dane-only needs validated DNS, and trust-anchor-file is "
		    "empty; remove one of them", route->pattern);
	check_names_shown(check, SECTION_ROUTE, i, &route->names);
}

static void check_lmtp(const struct check *check, size_t i)
{
	static const char *const beside_socket[] = { "host", "port", "tls",
	    "level", "names", "fingerprints", "credentials-file",
	    "certificate", NULL };
	static const char *const never[] = { "mx", NULL };
	const struct conf_route *route = &check->conf->routes[i];

	refuse_unused(check, i, never, "not for transport = lmtp");
	if (route->socket[0] != '\0') {
		refuse_unused(check, i, beside_socket, "not for a Unix socket");
		check_socket(check, "socket", check_line(check, SECTION_ROUTE,
		    i, "socket"), route->socket);
		return;
	}
	if (route->host[0] == '\0')
		problems_add(check->problems,
		    check_line(check, SECTION_ROUTE, i, "transport"),
		    "route %.80s: transport = lmtp needs socket = PATH, or "
		    "host and port", route->pattern);
	else if (route->port == 25)
		problems_add(check->problems,
		    check_line(check, SECTION_ROUTE, i, "port"),
		    "route %.80s: LMTP must not be spoken on port 25 (RFC 2033 "
		    "5); give the port of the LMTP server, such as 24",
		    route->pattern);
	check_route_host(check, i);
}

static void check_route(const struct check *check, size_t i)
{
	static const char *const for_lmtp[] = { "socket", NULL };
	static const char *const for_hosts[] = { "host", "port", "mx", "tls",
	    "socket", "credentials-file", "certificate", "level", "names",
	    "fingerprints", NULL };
	const struct conf_route *route = &check->conf->routes[i];
	const struct conf_domain *own = conf_domain_find(check->conf,
	    route->pattern);

	check_route_level(check, i);
	check_route_identity(check, i);
	switch (route->transport) {
	case TRANSPORT_SMTP:
		refuse_unused(check, i, for_lmtp, "for transport = lmtp");
		check_route_host(check, i);
		check_route_port(check, i);
		return;
	case TRANSPORT_LMTP:
		check_lmtp(check, i);
		return;
	default:
		refuse_unused(check, i, for_hosts, "for transport = smtp or "
		    "lmtp");
	}
	if (route->transport == TRANSPORT_MAILDIR &&
	    (own == NULL || own->relay))
		problems_add(check->problems,
		    check_line(check, SECTION_ROUTE, i, "transport"),
		    "route %.80s: transport = maildir is for our own domains; "
		    "add a section domain %.80s { ... } without relay = yes, "
		    "or take another transport", route->pattern,
		    route->pattern);
}

/* --- destinations --- */

static void check_destination_names(const struct check *check, size_t i)
{
	const struct conf_destination *to = &check->conf->destinations[i];
	int line = check_line(check, SECTION_DESTINATION, i, "names");

	if (to->names.count > 0 && to->level != LEVEL_VERIFY &&
	    to->level != LEVEL_SECURE)
		problems_add(check->problems, line,
		    "destination %.80s: names are for the levels verify and "
		    "secure, this one is %s; set the level or remove them",
		    to->pattern, conf_level_name(to->level));
	check_names_shown(check, SECTION_DESTINATION, i, &to->names);
}

static void check_fallback(const struct check *check, size_t i,
    const char *name, int64_t after)
{
	const struct conf_destination *to = &check->conf->destinations[i];
	int line = check_line(check, SECTION_DESTINATION, i, name);

	if (!check_given(check, SECTION_DESTINATION, i, name))
		return;
	if (!conf_level_may_fall_back(to->level))
		problems_add(check->problems, line,
		    "destination %.80s: %s is for the levels auto, dane and "
		    "may, this one is %s, which never falls back; set the "
		    "level or remove it", to->pattern, name,
		    conf_level_name(to->level));
	else if (after >= check->conf->message_expiry)
		problems_add(check->problems, line,
		    "destination %.80s: %s waits as long as message-expiry or "
		    "longer, so nothing would be sent; accepted: a shorter "
		    "time, or defer", to->pattern, name);
}

/* An option about what is published, at a level that does not look there. */
static void check_heeded(const struct check *check, size_t i,
    const char *option, bool heeded)
{
	const struct conf_destination *to = &check->conf->destinations[i];

	if (!heeded && check_given(check, SECTION_DESTINATION, i, option))
		problems_add(check->problems,
		    check_line(check, SECTION_DESTINATION, i, option),
		    "destination %.80s: %s means nothing at level %s; set the "
		    "level or remove it", to->pattern, option,
		    conf_level_name(to->level));
}

/* It is asked where what is published decides, and can make mail wait where
 * that leaves TLS to chance. */
static void check_memory(const struct check *check, size_t i)
{
	const struct conf_destination *to = &check->conf->destinations[i];

	check_heeded(check, i, "memory", conf_level_heeds_dane(to->level));
	if (conf_level_heeds_dane(to->level) && to->memory == MEMORY_DEFER &&
	    !conf_level_may_fall_back(to->level))
		problems_add(check->advice,
		    check_line(check, SECTION_DESTINATION, i, "memory"),
		    "destination %.80s: memory = defer adds nothing at level "
		    "%s, which never sends in clear; it still tells of "
		    "records and policies that vanish, as warn does",
		    to->pattern, conf_level_name(to->level));
}

static void check_destination(const struct check *check, size_t i)
{
	const struct conf_destination *to = &check->conf->destinations[i];
	int line = check_line(check, SECTION_DESTINATION, i, "level");

	if (to->level == LEVEL_FINGERPRINT && to->fingerprint_count == 0)
		problems_add(check->problems, line,
		    "destination %.80s: level = fingerprint needs "
		    "fingerprints; give SHA-256 digests of the certificate or "
		    "its key", to->pattern);
	if (to->level != LEVEL_FINGERPRINT && to->fingerprint_count > 0)
		problems_add(check->problems,
		    check_line(check, SECTION_DESTINATION, i, "fingerprints"),
		    "destination %.80s: fingerprints are for level = "
		    "fingerprint, this one is %s; set the level or remove "
		    "them", to->pattern, conf_level_name(to->level));
	if (to->level == LEVEL_DANE_ONLY && (check->conf->trust_anchor_file ==
	    NULL || check->conf->trust_anchor_file[0] == '\0'))
		problems_add(check->problems, line,
		    "destination %.80s: level = dane-only needs validated "
		    "DNS, and trust-anchor-file is empty; remove one of them",
		    to->pattern);
	check_destination_names(check, i);
	check_heeded(check, i, "insecure-mx", to->level != LEVEL_DANE_ONLY &&
	    conf_level_heeds_dane(to->level));
	check_heeded(check, i, "sts-with-dane",
	    conf_level_heeds_sts(to->level));
	check_memory(check, i);
	check_fallback(check, i, "no-starttls", to->no_starttls ==
	    FALLBACK_CLEAR_AFTER ? to->no_starttls_after : 0);
	check_fallback(check, i, "broken-tls", to->broken_tls ==
	    FALLBACK_CLEAR_AFTER ? to->broken_tls_after : 0);
	if (to->level == LEVEL_NONE)
		problems_add(check->advice, line,
		    "destination %.80s: level = none sends in clear even where "
		    "TLS is offered, and overrides what the destination "
		    "publishes", to->pattern);
	if (conf_level_may_fall_back(to->level) &&
	    to->no_starttls != FALLBACK_CLEAR &&
	    to->broken_tls == FALLBACK_CLEAR)
		problems_add(check->advice,
		    check_line(check, SECTION_DESTINATION, i, "broken-tls"),
		    "destination %.80s: broken-tls = clear makes no-starttls "
		    "worth little: who can hide STARTTLS can as well break it",
		    to->pattern);
}

void check_routes(const struct check *check)
{
	check_patterns(check, SECTION_ROUTE);
	for (size_t i = 0; i < check->conf->route_count; i++)
		check_route(check, i);
}

void check_destinations(const struct check *check)
{
	check_patterns(check, SECTION_DESTINATION);
	for (size_t i = 0; i < check->conf->destination_count; i++)
		check_destination(check, i);
}
