/* SPDX-License-Identifier: ISC */
/*
 * Making identities; see identity.h.
 */
#include "delivery/identity.h"

#include <string.h>

#include "base/tls.h"
#include "conf/conf.h"
#include "delivery/credentials.h"
#include "delivery/profile.h"

/* Our configured address of the same family, if there is one. */
static void set_source(struct identity *identity, const struct conf *conf,
    const struct endpoint *remote)
{
	const struct conf_texts *texts = &conf->source_addresses;
	struct endpoint local;
	size_t i;

	for (i = 0; i < texts->count; i++)
		if (endpoint_parse(&local, texts->items[i], 0) == 0 &&
		    local.address.any.sa_family ==
		    remote->address.any.sa_family) {
			identity->source = local;
			return;
		}
}

static const char *hello_for(const struct conf *conf,
    const struct endpoint *remote)
{
	switch (remote->address.any.sa_family) {
	case AF_INET: return conf->hello_ipv4;
	case AF_INET6: return conf->hello_ipv6;
	default: return conf->hostname;
	}
}

/* With the null byte: where one text ends is part of it. */
static void add_text(struct digest *digest, const char *text)
{
	digest_add(digest, text, strlen(text) + 1);
}

static void set_digest(struct identity *identity)
{
	struct digest *digest = digest_new();
	const uint8_t flags = (uint8_t)(identity->lmtp |
	    identity->by_route << 1 | (identity->credentials != NULL) << 2 |
	    (identity->certificate != NULL) << 3);
	char source[ENDPOINT_TEXT_MAX] = "";

	if (identity->source.length > 0)
		endpoint_format(&identity->source, source, sizeof(source));
	digest_add(digest, &flags, 1);
	add_text(digest, identity->hello);
	add_text(digest, source);
	add_text(digest, identity->socket);
	if (identity->credentials != NULL) {
		add_text(digest, identity->credentials->user);
		add_text(digest, identity->credentials->password);
	}
	if (identity->certificate != NULL)
		digest_add(digest, tls_identity_digest(identity->certificate),
		    DIGEST_BYTES);
	digest_end(digest, identity->digest);
}

void identity_make(struct identity *identity, const struct profile *profile,
    const struct conf_route *route, const struct endpoint *address)
{
	const struct profile_route *own;

	memset(identity, 0, sizeof(*identity));
	identity->hello = hello_for(profile->conf, address);
	identity->socket = identity->certificate_name = "";
	set_source(identity, profile->conf, address);
	if (route != NULL) {
		own = profile_route(profile, route);
		identity->by_route = true;
		identity->credentials = own->credentials;
		identity->certificate = own->certificate;
		identity->certificate_name = route->certificate;
		identity->lmtp = route->transport == TRANSPORT_LMTP;
		if (identity->lmtp)
			identity->socket = route->socket;
	}
	set_digest(identity);
}
