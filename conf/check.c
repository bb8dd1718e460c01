/* SPDX-License-Identifier: ISC */
/*
 * Checks across options: see check.h. Here are those of the top level; each
 * says what is wrong, what is accepted and what to do, and where.
 */
#include "conf/check.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "conf/check_private.h"

enum { LONGEST_USER_NAME = 32, LONGEST_ROLE_NAME = 12 };

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
	if (!check_is_address(address))
		return false;
	if (at == NULL)
		return true;
	if (at[1] < '0' || at[1] > '9')
		return false;
	port = strtol(at + 1, &end, 10);
	return *end == '\0' && port >= 1 && port <= 65535;
}

static void check_names(const struct check *check)
{
	const struct conf *conf = check->conf;
	int line = check_top_line(check, "hostname");
	struct address address;

	if (!check_is_host_name(conf->hostname) ||
	    strchr(conf->hostname, '.') == NULL) {
		if (check_given(check, SECTION_TOP, 0, "hostname"))
			problems_add(check->problems, line, "hostname = %.100s "
			    "is not fully qualified; accepted: a domain name "
			    "such as mx.example.org", conf->hostname);
		else
			problems_add(check->problems, 0, "hostname is not "
			    "given, and the name of the machine, '%.100s', is "
			    "not fully qualified; write hostname = and a name "
			    "such as mx.example.org", conf->hostname);
	}
	if (check_given(check, SECTION_TOP, 0, "postmaster") &&
	    address_parse(&address, conf->postmaster) != ADDRESS_OK)
		problems_add(check->problems, check_top_line(check, "postmaster"),
		    "postmaster = %.100s is not an address; accepted: "
		    "LOCAL-PART@DOMAIN", conf->postmaster);
}

static void check_networks(const struct check *check)
{
	const struct conf_networks *networks = &check->conf->relay_from;

	for (size_t i = 0; i < networks->count; i++)
		if (networks->items[i].bits == 0)
			problems_add(check->problems,
			    check_top_line(check, "relay-from"),
			    "relay-from has the whole Internet in it, which "
			    "makes an open relay; name the networks of your "
			    "own machines");
}

static void check_users(const struct check *check)
{
	static const char accepted[] = "lower-case letters, digits, '_' and "
	    "'-', a letter first";
	const struct conf *conf = check->conf;

	if (!check_is_user_name(conf->users_prefix, LONGEST_USER_NAME -
	    LONGEST_ROLE_NAME))
		problems_add(check->problems, check_top_line(check, "users-prefix"),
		    "users-prefix = %.100s cannot begin a user's name; "
		    "accepted: %s, at most %d", conf->users_prefix, accepted,
		    LONGEST_USER_NAME - LONGEST_ROLE_NAME);
	if (!check_is_user_name(conf->mail_user, LONGEST_USER_NAME))
		problems_add(check->problems, check_top_line(check, "mail-user"),
		    "mail-user = %.100s is not a user's name; accepted: %s",
		    conf->mail_user, accepted);
	if (!check_is_user_name(conf->control_group, LONGEST_USER_NAME))
		problems_add(check->problems, check_top_line(check, "control-group"),
		    "control-group = %.100s is not a group's name; accepted: "
		    "%s", conf->control_group, accepted);
}

static void check_paths(const struct check *check)
{
	const struct conf *conf = check->conf;

	check_socket(check, "control-socket",
	    check_top_line(check, "control-socket"), conf->control_socket);
	check_socket(check, "local-socket",
	    check_top_line(check, "local-socket"), conf->local_socket);
	check_socket(check, "auth-socket",
	    check_top_line(check, "auth-socket"), conf->auth_socket);
	if (strcmp(conf->queue_directory, conf->mail_directory) == 0 ||
	    strcmp(conf->queue_directory, conf->state_directory) == 0)
		problems_add(check->problems,
		    check_top_line(check, "queue-directory"),
		    "queue-directory %.150s is also another directory; the "
		    "queue needs one of its own", conf->queue_directory);
}

static void check_retries(const struct check *check)
{
	const struct conf *conf = check->conf;
	int line = check_top_line(check, "retry-max");

	if (conf->retry_first > conf->retry_max)
		problems_add(check->problems,
		    line > 0 ? line : check_top_line(check, "retry-first"),
		    "retry-max is shorter than retry-first; accepted: "
		    "retry-first <= retry-max < message-expiry");
	if (conf->retry_max >= conf->message_expiry) {
		if (check_given(check, SECTION_TOP, 0, "message-expiry"))
			line = check_top_line(check, "message-expiry");
		problems_add(check->problems, line,
		    "message-expiry is not longer than retry-max, so messages "
		    "would expire between two attempts; accepted: retry-first "
		    "<= retry-max < message-expiry");
	}
}

static void check_sources(const struct check *check)
{
	const struct conf *conf = check->conf;
	int line = check_top_line(check, "source-addresses");
	bool v4 = false, v6 = false;

	if (!conf->ipv4 && !conf->ipv6)
		problems_add(check->problems, check_top_line(check, "ipv6"),
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
		problems_add(check->problems, check_top_line(check, "resolver"),
		    "resolver = forward needs forwarders; name them, such as "
		    "forwarders = 192.0.2.53");
	if (!forward && conf->forwarders.count > 0)
		problems_add(check->problems, check_top_line(check, "forwarders"),
		    "forwarders are used with resolver = forward only; write "
		    "that, or remove them");
	for (size_t i = 0; i < conf->forwarders.count; i++)
		if (!is_server(conf->forwarders.items[i]))
			problems_add(check->problems,
			    check_top_line(check, "forwarders"),
			    "forwarders: %.100s is not a server; accepted: "
			    "ADDRESS or ADDRESS@PORT, such as 192.0.2.53@53",
			    conf->forwarders.items[i]);
	for (size_t i = 0; i < conf->stub_zones.count; i++)
		if (!is_stub_zone(conf->stub_zones.items[i]))
			problems_add(check->problems,
			    check_top_line(check, "stub-zones"),
			    "stub-zones: \"%.100s\" is not a zone and its "
			    "server; accepted: \"ZONE ADDRESS\" or \"ZONE "
			    "ADDRESS@PORT\"", conf->stub_zones.items[i]);
}

/* A name that cannot stand behind EHLO. */
static void check_hello(const struct check *check, const char *option,
    const char *name)
{
	if (check_given(check, SECTION_TOP, 0, option) &&
	    !check_is_host_name(name))
		problems_add(check->problems, check_top_line(check, option),
		    "%s = %.100s is not a host name; accepted: a domain name "
		    "such as out.example.org", option, name);
}

static bool is_mechanism(const char *name)
{
	static const char *const known[] = { "SCRAM-SHA-256-PLUS",
	    "SCRAM-SHA-256", "PLAIN", "LOGIN", "EXTERNAL" };

	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
		if (strcasecmp(known[i], name) == 0)
			return true;
	return false;
}

static void check_mechanisms(const struct check *check)
{
	const struct conf_texts *names = &check->conf->auth_mechanisms;
	int line = check_top_line(check, "auth-mechanisms");

	for (size_t i = 0; i < names->count; i++)
		if (!is_mechanism(names->items[i]))
			problems_add(check->problems, line,
			    "auth-mechanisms: '%.80s' is not offered here; "
			    "accepted: SCRAM-SHA-256-PLUS, SCRAM-SHA-256, "
			    "PLAIN, LOGIN, EXTERNAL", names->items[i]);
}

static void check_addressing(const struct check *check)
{
	const struct conf *conf = check->conf;
	const char *delimiter = conf->recipient_delimiter;

	if (delimiter[0] != '\0' && (delimiter[1] != '\0' ||
	    strchr("!#$%&'*+-/=?^_`{|}~", delimiter[0]) == NULL))
		problems_add(check->problems,
		    check_top_line(check, "recipient-delimiter"),
		    "recipient-delimiter = '%.20s' cannot stand in a local "
		    "part as one; accepted: one character of "
		    "!#$%%&'*+-/=?^_`{|}~, or nothing", delimiter);
	if (conf->srs_domain[0] != '\0' &&
	    conf_domain_find(conf, conf->srs_domain) == NULL)
		problems_add(check->problems,
		    check_top_line(check, "srs-domain"),
		    "srs-domain = %.100s is not one of our domains, so what "
		    "comes back to it would be refused; add a section domain "
		    "%.100s { ... }", conf->srs_domain, conf->srs_domain);
	if ((conf->srs_domain[0] != '\0') !=
	    (conf->srs_secret_file[0] != '\0'))
		problems_add(check->problems, check_top_line(check,
		    conf->srs_domain[0] != '\0' ? "srs-domain" :
		    "srs-secret-file"), "srs-domain and srs-secret-file need "
		    "each other; give both or none");
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
	check_hello(&check, "hello-ipv4", conf->hello_ipv4);
	check_hello(&check, "hello-ipv6", conf->hello_ipv6);
	check_mechanisms(&check);
	check_addressing(&check);
	check_listeners(&check);
	check_filters(&check);
	check_domains(&check);
	check_routes(&check);
	check_destinations(&check);
}
