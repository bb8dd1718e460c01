/* SPDX-License-Identifier: ISC */
/*
 * Checks across options: see check.h. One function per section or subject;
 * each says what is wrong, what is accepted and what to do, and where.
 */
#include "conf/check.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/un.h>

#include "base/address.h"
#include "base/hash.h"
#include "base/mem.h"
#include "base/net.h"
#include "conf/conf.h"
#include "conf/problem.h"
#include "conf/settings.h"

enum { LONGEST_USER_NAME = 32, LONGEST_ROLE_NAME = 12 };

struct check {
	const struct conf	*conf;
	const struct settings	*settings;
	struct problems		*problems;
	struct problems		*advice;
};

static int line_of(const struct check *check, enum option_section section,
    size_t index, const char *name)
{
	return settings_line(check->settings, section, index, name);
}

static bool given(const struct check *check, enum option_section section,
    size_t index, const char *name)
{
	return settings_given(check->settings, section, index, name);
}

static int top_line(const struct check *check, const char *name)
{
	return line_of(check, SECTION_TOP, 0, name);
}

/* --- names, addresses, patterns --- */

static bool is_domain(const char *text)
{
	char name[ADDRESS_DOMAIN_MAX + 1];

	return domain_parse(name, sizeof(name), text, strlen(text)) == 0 &&
	    strlen(name) == strlen(text);
}

static bool is_address(const char *text)
{
	struct endpoint endpoint;

	return endpoint_parse(&endpoint, text, 0) == 0;
}

/* A name that ends in digits would be taken for a mistyped IPv4 address. */
static bool is_host_name(const char *text)
{
	const char *last = strrchr(text, '.');

	last = last != NULL ? last + 1 : text;
	return is_domain(text) && strspn(last, "0123456789") != strlen(last);
}

static bool is_literal(const char *text)
{
	struct endpoint endpoint;

	return endpoint_parse_literal(&endpoint, text, 0) == 0;
}

static bool is_pattern(const char *text)
{
	if (strcmp(text, "*") == 0 || is_literal(text))
		return true;
	if (strncmp(text, "*.", 2) == 0)
		text++;
	return is_domain(text[0] == '.' ? text + 1 : text);
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

/* "ADDRESS" or "ADDRESS@PORT" */
static bool is_server(const char *text)
{
	char address[ENDPOINT_TEXT_MAX];
	const char *at = strchr(text, '@');
	size_t length = at != NULL ? (size_t)(at - text) : strlen(text);
	char *end;
	long port;

	if (length >= sizeof(address))
		return false;
	memcpy(address, text, length);
	address[length] = '\0';
	if (!is_address(address))
		return false;
	if (at == NULL)
		return true;
	if (at[1] < '0' || at[1] > '9')
		return false;
	port = strtol(at + 1, &end, 10);
	return *end == '\0' && port >= 1 && port <= 65535;
}

static bool is_user_name(const char *text, size_t longest)
{
	size_t length = strspn(text,
	    "abcdefghijklmnopqrstuvwxyz0123456789_-");

	return length == strlen(text) && length > 0 && length <= longest &&
	    strchr("0123456789-", text[0]) == NULL;
}

static bool is_local_part(const char *text)
{
	char whole[ADDRESS_MAX + 1];
	struct address address;

	if (snprintf(whole, sizeof(whole), "%s@example.org", text) >=
	    (int)sizeof(whole))
		return false;
	return address_parse(&address, whole) == ADDRESS_OK &&
	    strcmp(address.domain, "example.org") == 0;
}

/* --- the top level --- */

static void check_names(const struct check *check)
{
	const struct conf *conf = check->conf;
	int line = top_line(check, "hostname");
	struct address address;

	if (!is_host_name(conf->hostname) ||
	    strchr(conf->hostname, '.') == NULL) {
		if (given(check, SECTION_TOP, 0, "hostname"))
			problems_add(check->problems, line, "hostname = %.100s "
			    "is not fully qualified; accepted: a domain name "
			    "such as mx.example.org", conf->hostname);
		else
			problems_add(check->problems, 0, "hostname is not "
			    "given, and the name of the machine, '%.100s', is "
			    "not fully qualified; write hostname = and a name "
			    "such as mx.example.org", conf->hostname);
	}
	if (given(check, SECTION_TOP, 0, "postmaster") &&
	    address_parse(&address, conf->postmaster) != ADDRESS_OK)
		problems_add(check->problems, top_line(check, "postmaster"),
		    "postmaster = %.100s is not an address; accepted: "
		    "LOCAL-PART@DOMAIN", conf->postmaster);
}

static void check_networks(const struct check *check)
{
	const struct conf_networks *networks = &check->conf->relay_from;

	for (size_t i = 0; i < networks->count; i++)
		if (networks->items[i].bits == 0)
			problems_add(check->problems,
			    top_line(check, "relay-from"),
			    "relay-from has the whole Internet in it, which "
			    "makes an open relay; name the networks of your "
			    "own machines");
}

static void check_users(const struct check *check)
{
	static const char accepted[] = "lower-case letters, digits, '_' and "
	    "'-', a letter first";
	const struct conf *conf = check->conf;

	if (!is_user_name(conf->users_prefix, LONGEST_USER_NAME -
	    LONGEST_ROLE_NAME))
		problems_add(check->problems, top_line(check, "users-prefix"),
		    "users-prefix = %.100s cannot begin a user's name; "
		    "accepted: %s, at most %d", conf->users_prefix, accepted,
		    LONGEST_USER_NAME - LONGEST_ROLE_NAME);
	if (!is_user_name(conf->mail_user, LONGEST_USER_NAME))
		problems_add(check->problems, top_line(check, "mail-user"),
		    "mail-user = %.100s is not a user's name; accepted: %s",
		    conf->mail_user, accepted);
	if (!is_user_name(conf->control_group, LONGEST_USER_NAME))
		problems_add(check->problems, top_line(check, "control-group"),
		    "control-group = %.100s is not a group's name; accepted: "
		    "%s", conf->control_group, accepted);
}

static void check_paths(const struct check *check)
{
	const struct conf *conf = check->conf;
	size_t longest = sizeof(((struct sockaddr_un *)NULL)->sun_path) - 1;

	if (strlen(conf->control_socket) > longest)
		problems_add(check->problems,
		    top_line(check, "control-socket"),
		    "control-socket %.150s is longer than the %zu bytes the "
		    "system allows; give a shorter control-socket or "
		    "run-directory", conf->control_socket, longest);
	if (strcmp(conf->queue_directory, conf->mail_directory) == 0 ||
	    strcmp(conf->queue_directory, conf->state_directory) == 0)
		problems_add(check->problems,
		    top_line(check, "queue-directory"),
		    "queue-directory %.150s is also another directory; the "
		    "queue needs one of its own", conf->queue_directory);
}

static void check_retries(const struct check *check)
{
	const struct conf *conf = check->conf;
	int line = top_line(check, "retry-max");

	if (conf->retry_first > conf->retry_max)
		problems_add(check->problems,
		    line > 0 ? line : top_line(check, "retry-first"),
		    "retry-max is shorter than retry-first; accepted: "
		    "retry-first <= retry-max < message-expiry");
	if (conf->retry_max >= conf->message_expiry) {
		if (given(check, SECTION_TOP, 0, "message-expiry"))
			line = top_line(check, "message-expiry");
		problems_add(check->problems, line,
		    "message-expiry is not longer than retry-max, so messages "
		    "would expire between two attempts; accepted: retry-first "
		    "<= retry-max < message-expiry");
	}
}

static void check_sources(const struct check *check)
{
	const struct conf *conf = check->conf;
	int line = top_line(check, "source-addresses");
	bool v4 = false, v6 = false;

	if (!conf->ipv4 && !conf->ipv6)
		problems_add(check->problems, top_line(check, "ipv6"),
		    "ipv4 and ipv6 are both no, so nothing can be sent; set "
		    "one of them to yes");
	for (size_t i = 0; i < conf->source_addresses.count; i++) {
		const char *text = conf->source_addresses.items[i];
		struct endpoint endpoint;
		bool *seen;

		if (endpoint_parse(&endpoint, text, 0) != 0) {
			problems_add(check->problems, line,
			    "source-addresses: %.100s is not an address; "
			    "accepted: such as 192.0.2.1 and 2001:db8::1",
			    text);
			continue;
		}
		seen = endpoint.address.any.sa_family == AF_INET ? &v4 : &v6;
		if (*seen)
			problems_add(check->problems, line,
			    "source-addresses: %.100s is the second of its "
			    "kind; accepted: one IPv4 and one IPv6 address",
			    text);
		*seen = true;
	}
}

/* "ZONE SERVER" */
static bool is_stub_zone(const char *text)
{
	size_t length = strcspn(text, " ");
	char zone[ADDRESS_DOMAIN_MAX + 1];
	const char *server = text + length + strspn(text + length, " ");

	return text[length] == ' ' && is_server(server) &&
	    ((length == 1 && text[0] == '.') ||
	    domain_parse(zone, sizeof(zone), text, length) == 0);
}

static void check_resolver(const struct check *check)
{
	const struct conf *conf = check->conf;
	bool forward = conf->resolver == RESOLVER_FORWARD;

	if (forward && conf->forwarders.count == 0)
		problems_add(check->problems, top_line(check, "resolver"),
		    "resolver = forward needs forwarders; name them, such as "
		    "forwarders = 192.0.2.53");
	if (!forward && conf->forwarders.count > 0)
		problems_add(check->problems, top_line(check, "forwarders"),
		    "forwarders are used with resolver = forward only; write "
		    "that, or remove them");
	for (size_t i = 0; i < conf->forwarders.count; i++)
		if (!is_server(conf->forwarders.items[i]))
			problems_add(check->problems,
			    top_line(check, "forwarders"),
			    "forwarders: %.100s is not a server; accepted: "
			    "ADDRESS or ADDRESS@PORT, such as 192.0.2.53@53",
			    conf->forwarders.items[i]);
	for (size_t i = 0; i < conf->stub_zones.count; i++)
		if (!is_stub_zone(conf->stub_zones.items[i]))
			problems_add(check->problems,
			    top_line(check, "stub-zones"),
			    "stub-zones: \"%.100s\" is not a zone and its "
			    "server; accepted: \"ZONE ADDRESS\" or \"ZONE "
			    "ADDRESS@PORT\"", conf->stub_zones.items[i]);
}

/* --- listeners --- */

/* Would the system refuse to bind both? */
static bool endpoints_collide(const struct endpoint *one,
    const struct endpoint *other)
{
	static const struct in6_addr any6;
	bool v6 = one->address.any.sa_family == AF_INET6;

	if (one->address.any.sa_family != other->address.any.sa_family ||
	    endpoint_port(one) != endpoint_port(other))
		return false;
	if (endpoint_same_host(one, other))
		return true;
	if (v6)
		return memcmp(&one->address.v6.sin6_addr, &any6,
		    sizeof(any6)) == 0 ||
		    memcmp(&other->address.v6.sin6_addr, &any6,
		    sizeof(any6)) == 0;
	return one->address.v4.sin_addr.s_addr == 0 ||
	    other->address.v4.sin_addr.s_addr == 0;
}

/* Compares address k of listener i with all before it. */
static void check_binding(const struct check *check, size_t i, size_t k,
    const struct endpoint *endpoint)
{
	const struct conf_listener *listeners = check->conf->listeners;

	for (size_t j = 0; j <= i; j++) {
		const struct conf_texts *texts = &listeners[j].addresses;
		size_t end = j < i ? texts->count : k;

		for (size_t m = 0; m < end; m++) {
			struct endpoint other;

			if (endpoint_parse(&other, texts->items[m],
			    (uint16_t)listeners[j].port) != 0 ||
			    !endpoints_collide(endpoint, &other))
				continue;
			problems_add(check->problems,
			    line_of(check, SECTION_LISTEN, i, "addresses"),
			    "listen %.80s: address %.60s with port %d collides "
			    "with address %.60s of listen %.80s; give one of "
			    "them another port or address", listeners[i].name,
			    listeners[i].addresses.items[k],
			    (int)listeners[i].port, texts->items[m],
			    listeners[j].name);
			return;
		}
	}
}

static bool is_label(const char *text)
{
	return text[0] != '\0' && strspn(text, "abcdefghijklmnopqrstuvwxyz"
	    "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-") == strlen(text);
}

static void check_tls_required(const struct check *check)
{
	if (check->conf->tls_required_from.count > 0 &&
	    check->conf->certificate_count == 0)
		problems_add(check->problems,
		    line_of(check, SECTION_TOP, 0, "tls-required-from"),
		    "tls-required-from: there is no certificate; add a "
		    "section certificate NAME { chain = ... key = ... }");
}

static void check_requiretls(const struct check *check)
{
	if (check->conf->requiretls && check->conf->certificate_count == 0 &&
	    given(check, SECTION_TOP, 0, "requiretls"))
		problems_add(check->advice, top_line(check, "requiretls"),
		    "requiretls = yes, but REQUIRETLS is offered under TLS "
		    "only and there is no certificate; add a section "
		    "certificate NAME { chain = ... key = ... }");
}

static void check_listener(const struct check *check, size_t i)
{
	const struct conf_listener *listener = &check->conf->listeners[i];

	if (!is_label(listener->name))
		problems_add(check->problems,
		    line_of(check, SECTION_LISTEN, i, ""),
		    "listen '%.80s': not a name; accepted: letters, digits, "
		    "'.', '_' and '-'", listener->name);
	if (listener->tls == LISTENER_TLS_REQUIRE &&
	    check->conf->certificate_count == 0)
		problems_add(check->problems,
		    line_of(check, SECTION_LISTEN, i, "tls"),
		    "listen %.80s: tls = require, but there is no certificate; "
		    "add a section certificate NAME { chain = ... key = ... }",
		    listener->name);
	for (size_t k = 0; k < listener->addresses.count; k++) {
		struct endpoint endpoint;

		if (endpoint_parse(&endpoint, listener->addresses.items[k],
		    (uint16_t)listener->port) == 0)
			check_binding(check, i, k, &endpoint);
		else
			problems_add(check->problems,
			    line_of(check, SECTION_LISTEN, i, "addresses"),
			    "listen %.80s: %.100s is not an address; accepted: "
			    "such as 192.0.2.1, 0.0.0.0 or \"::\"",
			    listener->name, listener->addresses.items[k]);
	}
}

static void check_listeners(const struct check *check)
{
	bool offered = false;

	check_tls_required(check);
	check_requiretls(check);
	for (size_t i = 0; i < check->conf->listener_count; i++) {
		check_listener(check, i);
		if (check->conf->listeners[i].tls != LISTENER_TLS_NONE)
			offered = true;
	}
	if (check->conf->certificate_count == 0 && offered)
		problems_add(check->advice, 0, "there is no certificate, so "
		    "STARTTLS is not offered to those who send us mail; add a "
		    "section certificate NAME { chain = ... key = ... }");
	for (size_t i = 0; i < check->conf->certificate_count; i++)
		if (!is_label(check->conf->certificates[i].name))
			problems_add(check->problems,
			    line_of(check, SECTION_CERTIFICATE, i, ""),
			    "certificate '%.80s': not a name; accepted: "
			    "letters, digits, '.', '_' and '-'",
			    check->conf->certificates[i].name);
}

/* --- domains --- */

static void check_domain_users(const struct check *check, size_t i)
{
	const struct conf_domain *domain = &check->conf->domains[i];
	int line = line_of(check, SECTION_DOMAIN, i, "users");

	if (domain->users.count == 0 && domain->users_file[0] == '\0')
		problems_add(check->problems, line,
		    "domain %.80s has no users; give it users = { NAME, NAME "
		    "}, users-file = PATH, or users = \"*\" for everybody",
		    domain->name);
	for (size_t k = 0; k < domain->users.count; k++) {
		const char *user = domain->users.items[k];

		if (strcmp(user, "*") == 0) {
			if (domain->users.count > 1 ||
			    domain->users_file[0] != '\0')
				problems_add(check->advice, line,
				    "domain %.80s: \"*\" takes everybody, so "
				    "its other users mean nothing",
				    domain->name);
		} else if (strchr(user, '@') != NULL || !is_local_part(user)) {
			problems_add(check->problems, line,
			    "domain %.80s: user '%.80s' is not a local part; "
			    "accepted: what stands left of the @ in an address",
			    domain->name, user);
		}
	}
}

/* The process that writes mail sees nothing but the mail directory. */
static void check_maildir(const struct check *check, size_t i)
{
	const struct conf_domain *domain = &check->conf->domains[i];
	const char *above = check->conf->mail_directory;
	size_t length = strlen(above);

	while (length > 0 && above[length - 1] == '/')
		length--;
	if (!given(check, SECTION_DOMAIN, i, "maildir"))
		return;
	if (strncmp(domain->maildir, above, length) == 0 &&
	    domain->maildir[length] == '/' &&
	    domain->maildir[length + 1] != '\0' &&
	    strstr(domain->maildir, "/../") == NULL)
		return;
	problems_add(check->problems,
	    line_of(check, SECTION_DOMAIN, i, "maildir"),
	    "domain %.80s: maildir = %.150s is not below mail-directory, "
	    "%.150s; accepted: a path below it, or another mail-directory",
	    domain->name, domain->maildir, above);
}

/* Their titles may differ by case only, which the parser lets pass. */
static void check_domain_once(const struct check *check, struct hash *seen,
    size_t i)
{
	const char *name = check->conf->domains[i].name;
	const struct conf_domain *first = hash_put_text(seen, name,
	    &check->conf->domains[i]);

	if (first != NULL)
		problems_add(check->problems,
		    line_of(check, SECTION_DOMAIN, i, ""),
		    "domain %.80s is there twice, first in line %d; put all "
		    "its options into one", name, line_of(check,
		    SECTION_DOMAIN, (size_t)(first - check->conf->domains),
		    ""));
}

static void check_domains(const struct check *check)
{
	const struct conf *conf = check->conf;
	struct hash *seen = hash_new();

	for (size_t i = 0; i < conf->domain_count; i++) {
		const char *name = conf->domains[i].name;
		int line = line_of(check, SECTION_DOMAIN, i, "");

		if (!is_host_name(name))
			problems_add(check->problems, line,
			    "domain '%.80s' is not a domain name; accepted: "
			    "letters, digits and hyphens between dots, such "
			    "as example.org; other scripts, too", name);
		check_domain_once(check, seen, i);
		check_domain_users(check, i);
		check_maildir(check, i);
	}
	hash_free(seen);
	if (conf->domain_count == 0)
		problems_add(check->advice, 0, "there is no domain section, so "
		    "mail is accepted from the networks in relay-from only");
}

/* --- routes --- */

/* Patterns of one kind: their form, and those that never get a turn. */
static void check_patterns(const struct check *check,
    enum option_section section)
{
	const char *kind = sections[section].name;
	size_t count = section_count(check->conf, section);

	for (size_t i = 0; i < count; i++) {
		const char *pattern = *(char **)section_element(check->conf,
		    section, i);
		int line = line_of(check, section, i, "");

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
			    pattern, kind, other, line_of(check, section, k,
			    ""));
			break;
		}
	}
}

static void check_route_host(const struct check *check, size_t i)
{
	const struct conf_route *route = &check->conf->routes[i];
	bool address = is_address(route->host) || is_literal(route->host);

	if (route->host[0] != '\0' && !address && !is_host_name(route->host))
		problems_add(check->problems,
		    line_of(check, SECTION_ROUTE, i, "host"),
		    "route %.80s: host = %.100s is neither a host name nor an "
		    "address; accepted: such as mx.example.org, 192.0.2.1, "
		    "\"2001:db8::1\"", route->pattern, route->host);
	if (address && route->mx && given(check, SECTION_ROUTE, i, "mx"))
		problems_add(check->problems,
		    line_of(check, SECTION_ROUTE, i, "mx"),
		    "route %.80s: mx = yes, but an address has no MX records; "
		    "write mx = no or remove it", route->pattern);
}

static void check_route(const struct check *check, size_t i)
{
	static const char *const unused[] = { "host", "port", "mx", "tls" };
	const struct conf_route *route = &check->conf->routes[i];

	if (route->transport == TRANSPORT_SMTP) {
		check_route_host(check, i);
		if (route->tls == ROUTE_TLS_IMPLICIT && route->port == 25)
			problems_add(check->problems,
			    line_of(check, SECTION_ROUTE, i, "tls"),
			    "route %.80s: tls = implicit, but port 25 begins "
			    "in clear; give the port, such as 465",
			    route->pattern);
		if (route->tls != ROUTE_TLS_IMPLICIT && route->port == 465)
			problems_add(check->advice,
			    line_of(check, SECTION_ROUTE, i, "port"),
			    "route %.80s: port 465 begins with TLS; write "
			    "tls = implicit", route->pattern);
		return;
	}
	for (size_t k = 0; k < sizeof(unused) / sizeof(unused[0]); k++)
		if (given(check, SECTION_ROUTE, i, unused[k]))
			problems_add(check->problems,
			    line_of(check, SECTION_ROUTE, i, unused[k]),
			    "route %.80s: %s is for transport = smtp; remove "
			    "one of them", route->pattern, unused[k]);
	if (route->transport == TRANSPORT_MAILDIR &&
	    conf_domain_find(check->conf, route->pattern) == NULL)
		problems_add(check->problems,
		    line_of(check, SECTION_ROUTE, i, "transport"),
		    "route %.80s: transport = maildir is for our own domains; "
		    "add a section domain %.80s { ... }, or take another "
		    "transport", route->pattern, route->pattern);
}

/* --- destinations --- */

static void check_destination_names(const struct check *check, size_t i)
{
	const struct conf_destination *to = &check->conf->destinations[i];
	int line = line_of(check, SECTION_DESTINATION, i, "names");

	if (to->names.count > 0 && to->level != LEVEL_VERIFY &&
	    to->level != LEVEL_SECURE)
		problems_add(check->problems, line,
		    "destination %.80s: names are for the levels verify and "
		    "secure, this one is %s; set the level or remove them",
		    to->pattern, conf_level_name(to->level));
	for (size_t k = 0; k < to->names.count; k++) {
		const char *name = to->names.items[k];

		if (!is_host_name(name[0] == '.' ? name + 1 : name))
			problems_add(check->problems, line,
			    "destination %.80s: '%.100s' is not a name a "
			    "certificate can show; accepted: a domain name, or "
			    "\".DOMAIN\" for all names below it", to->pattern,
			    name);
	}
}

static void check_fallback(const struct check *check, size_t i,
    const char *name, int64_t after)
{
	const struct conf_destination *to = &check->conf->destinations[i];
	int line = line_of(check, SECTION_DESTINATION, i, name);

	if (!given(check, SECTION_DESTINATION, i, name))
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

	if (!heeded && given(check, SECTION_DESTINATION, i, option))
		problems_add(check->problems,
		    line_of(check, SECTION_DESTINATION, i, option),
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
		    line_of(check, SECTION_DESTINATION, i, "memory"),
		    "destination %.80s: memory = defer adds nothing at level "
		    "%s, which never sends in clear; it still tells of "
		    "records and policies that vanish, as warn does",
		    to->pattern, conf_level_name(to->level));
}

static void check_destination(const struct check *check, size_t i)
{
	const struct conf_destination *to = &check->conf->destinations[i];
	int line = line_of(check, SECTION_DESTINATION, i, "level");

	if (to->level == LEVEL_FINGERPRINT && to->fingerprint_count == 0)
		problems_add(check->problems, line,
		    "destination %.80s: level = fingerprint needs "
		    "fingerprints; give SHA-256 digests of the certificate or "
		    "its key", to->pattern);
	if (to->level != LEVEL_FINGERPRINT && to->fingerprint_count > 0)
		problems_add(check->problems,
		    line_of(check, SECTION_DESTINATION, i, "fingerprints"),
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
		    line_of(check, SECTION_DESTINATION, i, "broken-tls"),
		    "destination %.80s: broken-tls = clear makes no-starttls "
		    "worth little: who can hide STARTTLS can as well break it",
		    to->pattern);
}

void conf_check(const struct conf *conf, const struct settings *settings,
    struct problems *problems, struct problems *advice)
{
	const struct check check = { .conf = conf, .settings = settings,
	    .problems = problems, .advice = advice };

	check_names(&check);
	check_networks(&check);
	check_users(&check);
	check_paths(&check);
	check_retries(&check);
	check_sources(&check);
	check_resolver(&check);
	check_listeners(&check);
	check_domains(&check);
	check_patterns(&check, SECTION_ROUTE);
	for (size_t i = 0; i < conf->route_count; i++)
		check_route(&check, i);
	check_patterns(&check, SECTION_DESTINATION);
	for (size_t i = 0; i < conf->destination_count; i++)
		check_destination(&check, i);
}
