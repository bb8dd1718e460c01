/* SPDX-License-Identifier: ISC */
/*
 * Making and counting profiles.
 */
#include "delivery/profile.h"

#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "conf/bundle.h"
#include "conf/conf.h"
#include "delivery/credentials.h"

static int make_contexts(struct profile *profile, const struct bundle *bundle,
    char *error, size_t size)
{
	const struct bundle_file *trust = NULL;
	int check;

	if (profile->conf->trust_file != NULL)
		trust = bundle_file(bundle, profile->conf->trust_file);
	for (check = TLS_CHECK_NONE; check < TLS_CHECKS; check++) {
		const char *pem = NULL;

		/* DANE uses it only for hosts that must meet both. */
		if ((check == TLS_CHECK_NAME || check == TLS_CHECK_DANE) &&
		    trust != NULL)
			pem = trust->contents;
		profile->tls[check] = tls_client_new((enum tls_check)check,
		    pem, error, size);
		if (profile->tls[check] == NULL)
			return -1;
	}
	return 0;
}

/* --- routes --- */

static int take_credentials(struct profile_route *own,
    const struct conf_route *route, const struct bundle *bundle, char *error,
    size_t size)
{
	const struct bundle_file *file = bundle_file(bundle,
	    route->credentials_file);

	if (route->credentials_file[0] == '\0')
		return 0;
	if (file == NULL) {
		snprintf(error, size, "the credentials of route %.200s did "
		    "not arrive", route->pattern);
		return -1;
	}
	if (strlen(file->contents) != file->length) {
		snprintf(error, size, "%.200s: a null byte is no part of a "
		    "user name or a password", file->path);
		return -1;
	}
	own->credentials = credentials_read(file->path, file->contents, error,
	    size);
	return own->credentials == NULL ? -1 : 0;
}

static int take_certificate(struct profile_route *own,
    const struct conf_certificate *section, const struct bundle *bundle,
    char *error, size_t size)
{
	const struct bundle_file *chain = bundle_file(bundle, section->chain);
	const struct bundle_file *key = bundle_file(bundle, section->key);

	if (chain == NULL || key == NULL) {
		snprintf(error, size, "certificate %.200s did not arrive",
		    section->name);
		return -1;
	}
	own->certificate = tls_identity_new(section->name, chain->contents,
	    key->contents, error, size);
	return own->certificate == NULL ? -1 : 0;
}

static int make_routes(struct profile *profile, const struct bundle *bundle,
    char *error, size_t size)
{
	const struct conf *conf = profile->conf;
	size_t i;

	profile->routes = mem_alloc_array(conf->route_count + 1,
	    sizeof(*profile->routes));
	for (i = 0; i < conf->route_count; i++) {
		const struct conf_route *route = &conf->routes[i];
		const struct conf_certificate *section =
		    conf_certificate_find(conf, route->certificate);

		if (take_credentials(&profile->routes[i], route, bundle,
		    error, size) == -1)
			return -1;
		if (section != NULL && take_certificate(&profile->routes[i],
		    section, bundle, error, size) == -1)
			return -1;
	}
	return 0;
}

const struct profile_route *profile_route(const struct profile *profile,
    const struct conf_route *route)
{
	return &profile->routes[route - profile->conf->routes];
}

static void free_routes(struct profile *profile)
{
	size_t i;

	for (i = 0; profile->routes != NULL &&
	    i < profile->conf->route_count; i++) {
		credentials_free(profile->routes[i].credentials);
		tls_identity_free(profile->routes[i].certificate);
	}
	mem_free(profile->routes);
}

/* --- the whole --- */

static struct conf *read_conf(const struct bundle *bundle, char *error,
    size_t size)
{
	char *errors = NULL;
	struct conf *conf = conf_read(bundle->name, bundle->text, &errors);

	if (conf == NULL)
		snprintf(error, size, "%s", errors == NULL ?
		    "the configuration cannot be read" : errors);
	mem_free(errors);
	return conf;
}

struct profile *profile_new(const void *data, size_t length, char *error,
    size_t size)
{
	struct bundle *bundle = bundle_decode(data, length);
	struct profile *profile;

	if (bundle == NULL) {
		snprintf(error, size, "the configuration did not arrive whole");
		return NULL;
	}
	profile = mem_alloc(sizeof(*profile));
	profile->references = 1;
	profile->conf = read_conf(bundle, error, size);
	if (profile->conf == NULL ||
	    make_contexts(profile, bundle, error, size) < 0 ||
	    make_routes(profile, bundle, error, size) < 0) {
		profile_release(profile);
		profile = NULL;
	}
	bundle_free(bundle);
	return profile;
}

struct profile *profile_share(struct profile *profile)
{
	profile->references++;
	return profile;
}

void profile_release(struct profile *profile)
{
	int check;

	if (profile == NULL || --profile->references > 0)
		return;
	for (check = TLS_CHECK_NONE; check < TLS_CHECKS; check++)
		if (profile->tls[check] != NULL)
			tls_client_free(profile->tls[check]);
	free_routes(profile);
	if (profile->conf != NULL)
		conf_free(profile->conf);
	mem_free(profile);
}
