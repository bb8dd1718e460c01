/* SPDX-License-Identifier: ISC */
/*
 * Making and counting profiles.
 */
#include "delivery/profile.h"

#include <stdio.h>

#include "base/mem.h"
#include "conf/bundle.h"
#include "conf/conf.h"

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
	    make_contexts(profile, bundle, error, size) < 0) {
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
	if (profile->conf != NULL)
		conf_free(profile->conf);
	mem_free(profile);
}
