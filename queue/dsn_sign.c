/* SPDX-License-Identifier: ISC */
/*
 * A notification is whole in memory when it is signed, so header and body are
 * told apart here and given to the signer at once.
 */
#include "queue/dsn_sign.h"

#include <stdio.h>
#include <string.h>

#include "authentic/dkim_key.h"
#include "authentic/dkim_sign.h"
#include "authentic/fields.h"
#include "base/log.h"
#include "base/mem.h"
#include "conf/bundle.h"
#include "conf/conf.h"

static struct dkim_keys *own;		/* owned; null: none */

struct dkim_keys *dsn_sign_read(const struct bundle *bundle,
    const struct conf *conf, char *error, size_t size)
{
	const struct bundle_file *file = bundle_file(bundle,
	    conf->dkim_keys_file);
	char *errors = NULL;
	struct dkim_keys *keys = dkim_keys_read(conf->dkim_keys_file,
	    file == NULL ? "" : file->contents, &errors);

	if (keys == NULL)
		snprintf(error, size, "%s", errors == NULL ? "" : errors);
	mem_free(errors);
	return keys;
}

void dsn_sign_use(struct dkim_keys *keys)
{
	dkim_keys_free(own);
	own = keys;
}

static bool may_sign(const struct conf *conf, const char *name)
{
	const struct conf_domain *domain = conf_domain_find(conf, name);

	return domain == NULL || domain->dkim_sign;
}

/* Null if there is none, or the domain's section forbids it. */
static const struct dkim_key *find_key(const struct conf *conf,
    const char *domain, enum dkim_algorithm algorithm)
{
	const struct dkim_key *key = own == NULL ? NULL :
	    dkim_keys_active(own, domain, algorithm);

	return key != NULL && may_sign(conf, domain) &&
	    may_sign(conf, key->domain) ? key : NULL;
}

static bool can_sign(const struct conf *conf, const char *domain)
{
	return find_key(conf, domain, DKIM_RSA) != NULL ||
	    find_key(conf, domain, DKIM_ED25519) != NULL;
}

const char *dsn_sign_domain(const struct conf *conf)
{
	const char *at = conf->postmaster == NULL ? NULL :
	    strrchr(conf->postmaster, '@');

	if (at != NULL && !can_sign(conf, conf->hostname) &&
	    conf_domain_find(conf, at + 1) != NULL && can_sign(conf, at + 1))
		return at + 1;
	return conf->hostname;
}

static int sign(const struct dkim_key *const *keys, size_t count,
    const char *text, size_t length, int64_t now, struct buf *out)
{
	struct fields *fields = fields_new();
	struct dkim_signer *signer = dkim_signer_new();
	size_t header = fields_feed(fields, text, length);
	int result;

	fields_finish(fields);
	dkim_signer_body(signer, text + header, length - header);
	result = dkim_signer_finish(signer, fields, NULL, keys, count, now,
	    out);
	dkim_signer_free(signer);
	fields_free(fields);
	return result;
}

int dsn_sign_add(const struct conf *conf, const char *domain, const char *text,
    size_t length, int64_t now, struct buf *out)
{
	const struct dkim_key *keys[2];
	size_t count = 0;

	for (int algorithm = DKIM_RSA; algorithm <= DKIM_ED25519;
	    algorithm++) {
		keys[count] = find_key(conf, domain,
		    (enum dkim_algorithm)algorithm);
		count += keys[count] != NULL;
	}
	if (count == 0)
		return 0;
	if (sign(keys, count, text, length, now, out) == 0)
		return 0;
	log_error("notification-unsigned", log_text("domain", domain),
	    log_text("reason", "it could not be signed"));
	return -1;
}
