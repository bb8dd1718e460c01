/* SPDX-License-Identifier: ISC */
/*
 * Checks of the listeners and of the certificates they show.
 */
#include "conf/check_private.h"

#include <string.h>
#include <strings.h>

/* LOGIN_NAME_MAX leaves this much of a name (utmp). */
enum { GROUP_NAME_MAX = 32 };

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

		/* A Unix socket has addresses by default only. */
		if (listeners[j].socket[0] != '\0')
			continue;
		for (size_t m = 0; m < end; m++) {
			struct endpoint other;

			if (endpoint_parse(&other, texts->items[m],
			    (uint16_t)listeners[j].port) != 0 ||
			    !endpoints_collide(endpoint, &other))
				continue;
			problems_add(check->problems,
			    check_line(check, SECTION_LISTEN, i, "addresses"),
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

static void check_tls_required(const struct check *check)
{
	if (check->conf->tls_required_from.count > 0 &&
	    check->conf->certificate_count == 0)
		problems_add(check->problems,
		    check_line(check, SECTION_TOP, 0, "tls-required-from"),
		    "tls-required-from: there is no certificate; add a "
		    "section certificate NAME { chain = ... key = ... }");
}

static void check_requiretls(const struct check *check)
{
	if (check->conf->requiretls && check->conf->certificate_count == 0 &&
	    check_given(check, SECTION_TOP, 0, "requiretls"))
		problems_add(check->advice, check_top_line(check, "requiretls"),
		    "requiretls = yes, but REQUIRETLS is offered under TLS "
		    "only and there is no certificate; add a section "
		    "certificate NAME { chain = ... key = ... }");
}

static void tell_listener(const struct check *check, size_t i,
    const char *option, const char *problem)
{
	problems_add(check->problems,
	    check_line(check, SECTION_LISTEN, i, option), "listen %.80s: %s",
	    check->conf->listeners[i].name, problem);
}

/* A client that is asked for TLS must be able to get it, and one that shows a
 * password or certificate must do so under it. */
static void check_listener_tls(const struct check *check, size_t i)
{
	const struct conf_listener *listener = &check->conf->listeners[i];
	bool implicit = listener->tls == LISTENER_TLS_IMPLICIT;

	if ((listener->tls == LISTENER_TLS_REQUIRE || implicit) &&
	    check->conf->certificate_count == 0)
		problems_add(check->problems,
		    check_line(check, SECTION_LISTEN, i, "tls"),
		    "listen %.80s: tls = %s, but there is no certificate; "
		    "add a section certificate NAME { chain = ... key = ... }",
		    listener->name, implicit ? "implicit" : "require");
	if (implicit && listener->port == 25 && listener->socket[0] == '\0')
		tell_listener(check, i, "tls", "tls = implicit, but on port "
		    "25 everybody begins in clear; give the port, such as "
		    "465");
	if (listener->tls == LISTENER_TLS_NONE && listener->auth)
		tell_listener(check, i, "auth", "auth = yes, but nobody logs "
		    "in without TLS and tls = none; remove one of them");
	if (listener->tls == LISTENER_TLS_NONE &&
	    listener->client_certificates)
		tell_listener(check, i, "client-certificates",
		    "client-certificates = yes, but tls = none; remove one of "
		    "them");
	for (size_t k = 0; k < listener->certificates.count; k++)
		if (conf_certificate_find(check->conf,
		    listener->certificates.items[k]) == NULL)
			problems_add(check->problems,
			    check_line(check, SECTION_LISTEN, i,
			    "certificates"),
			    "listen %.80s: there is no certificate section "
			    "%.80s; accepted: names of such sections",
			    listener->name, listener->certificates.items[k]);
}

static void check_service(const struct check *check, size_t i)
{
	static const char *const for_mail[] = { "socket", "auth", "relay",
	    "client-certificates", "proxy-from", "milters" };
	const struct conf_listener *listener = &check->conf->listeners[i];

	if (listener->service == SERVICE_LMTP && listener->port == 25 &&
	    listener->socket[0] == '\0')
		tell_listener(check, i, "port", "LMTP must not be spoken on "
		    "port 25 (RFC 2033 5); give another one");
	if (listener->service == SERVICE_SUBMISSION && !listener->auth &&
	    listener->relay == RELAY_AUTHENTICATED &&
	    !listener->client_certificates)
		tell_listener(check, i, "auth", "nobody can send here, since "
		    "neither AUTH nor certificates are asked for; remove auth "
		    "= no or relay = authenticated");
	if (listener->service != SERVICE_MTA_STS)
		return;
	if (listener->tls != LISTENER_TLS_IMPLICIT)
		tell_listener(check, i, "tls", "policies are served by HTTPS; "
		    "remove tls");
	for (size_t k = 0; k < sizeof(for_mail) / sizeof(for_mail[0]); k++)
		if (check_given(check, SECTION_LISTEN, i, for_mail[k]))
			problems_add(check->problems,
			    check_line(check, SECTION_LISTEN, i, for_mail[k]),
			    "listen %.80s: %s is for mail, and service = "
			    "mta-sts takes none; remove it", listener->name,
			    for_mail[k]);
}

static void check_listener_socket(const struct check *check, size_t i)
{
	static const char *const for_ports[] = { "addresses", "port",
	    "proxy-from" };
	const struct conf_listener *listener = &check->conf->listeners[i];

	check_socket(check, "socket", check_line(check, SECTION_LISTEN, i,
	    "socket"), listener->socket);
	for (size_t k = 0; k < sizeof(for_ports) / sizeof(for_ports[0]); k++)
		if (check_given(check, SECTION_LISTEN, i, for_ports[k]))
			problems_add(check->problems,
			    check_line(check, SECTION_LISTEN, i, for_ports[k]),
			    "listen %.80s: %s means nothing for a Unix "
			    "socket; remove it or socket", listener->name,
			    for_ports[k]);
	for (size_t k = 0; k < i; k++)
		if (strcmp(check->conf->listeners[k].socket,
		    listener->socket) == 0)
			tell_listener(check, i, "socket", "another listen "
			    "section has the same socket; give it another "
			    "path");
	if (!check_is_user_name(listener->socket_group, GROUP_NAME_MAX))
		tell_listener(check, i, "socket-group", "socket-group is not "
		    "a group's name; accepted: lower-case letters, digits, "
		    "'_' and '-', a letter first");
}

static void check_proxies(const struct check *check, size_t i)
{
	const struct conf_networks *from =
	    &check->conf->listeners[i].proxy_from;

	for (size_t k = 0; k < from->count; k++)
		if (from->items[k].bits == 0)
			tell_listener(check, i, "proxy-from", "proxy-from has "
			    "the whole Internet in it, so anybody could say "
			    "who he is; name the load balancers");
}

static void check_listener(const struct check *check, size_t i)
{
	const struct conf_listener *listener = &check->conf->listeners[i];

	if (!check_is_label(listener->name))
		problems_add(check->problems,
		    check_line(check, SECTION_LISTEN, i, ""),
		    "listen '%.80s': not a name; accepted: letters, digits, "
		    "'.', '_' and '-'", listener->name);
	if (strcmp(listener->name, "local") == 0)
		tell_listener(check, i, "", "this name is taken by "
		    "local-socket; choose another one");
	check_listener_tls(check, i);
	check_service(check, i);
	check_proxies(check, i);
	if (listener->socket[0] != '\0') {
		check_listener_socket(check, i);
		return;
	}
	for (size_t k = 0; k < listener->addresses.count; k++) {
		struct endpoint endpoint;

		if (endpoint_parse(&endpoint, listener->addresses.items[k],
		    (uint16_t)listener->port) == 0)
			check_binding(check, i, k, &endpoint);
		else
			problems_add(check->problems,
			    check_line(check, SECTION_LISTEN, i, "addresses"),
			    "listen %.80s: %.100s is not an address; accepted: "
			    "such as 192.0.2.1, 0.0.0.0 or \"::\"",
			    listener->name, listener->addresses.items[k]);
	}
}

void check_listeners(const struct check *check)
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
		if (!check_is_label(check->conf->certificates[i].name))
			problems_add(check->problems,
			    check_line(check, SECTION_CERTIFICATE, i, ""),
			    "certificate '%.80s': not a name; accepted: "
			    "letters, digits, '.', '_' and '-'",
			    check->conf->certificates[i].name);
}
