/* SPDX-License-Identifier: ISC */
/*
 * Makes settings from the bundle that the supervisor sends. A bundle that is
 * not right changes nothing: the caller keeps what it had.
 */
#include "smtpd/rules.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/address.h"
#include "base/mem.h"
#include "base/tls.h"
#include "conf/bundle.h"
#include "conf/conf.h"

/* RFC 5321 4.1.1.1; SMTP-37: nothing is listed that would be refused. */
static char *hello_text(const struct conf *conf, const char *starttls,
    const char *requiretls)
{
	return mem_print("250-%s\r\n250-PIPELINING\r\n250-SIZE %" PRId64
	    "\r\n%s250-8BITMIME\r\n250-CHUNKING\r\n250-DSN\r\n%s"
	    "250 ENHANCEDSTATUSCODES\r\n", conf->hostname,
	    conf->max_message_size, starttls, requiretls);
}

struct rules *rules_new(struct conf *conf, struct tls_server *tls)
{
	struct rules *rules = mem_alloc(sizeof(*rules));

	rules->conf = conf;
	rules->tls = tls;
	rules->references = 1;
	rules->greeting = mem_print("220 %s ESMTP Postern\r\n",
	    conf->hostname);
	rules->hello = hello_text(conf, "", "");
	rules->hello_starttls = hello_text(conf, "250-STARTTLS\r\n", "");
	/* RFC 8689 2: in clear the keyword would be worth nothing. */
	rules->hello_secure = hello_text(conf, "",
	    conf->requiretls ? "250-REQUIRETLS\r\n" : "");
	return rules;
}

struct rules *rules_share(struct rules *rules)
{
	rules->references++;
	return rules;
}

void rules_release(struct rules *rules)
{
	if (rules == NULL || --rules->references > 0)
		return;
	conf_free(rules->conf);
	tls_server_free(rules->tls);
	mem_free(rules->greeting);
	mem_free(rules->hello);
	mem_free(rules->hello_starttls);
	mem_free(rules->hello_secure);
	mem_free(rules);
}

static int add_certificates(struct tls_server *tls, const struct conf *conf,
    const struct bundle *bundle, char *error, size_t size)
{
	for (size_t i = 0; i < conf->certificate_count; i++) {
		const struct conf_certificate *certificate =
		    &conf->certificates[i];
		const struct bundle_file *chain =
		    bundle_file(bundle, certificate->chain);
		const struct bundle_file *key =
		    bundle_file(bundle, certificate->key);

		if (chain == NULL || key == NULL) {
			snprintf(error, size, "certificate %s: its chain or "
			    "key did not come with the configuration",
			    certificate->name);
			return -1;
		}
		if (tls_server_add(tls, certificate->name, chain->contents,
		    key->contents, error, size) == -1)
			return -1;
	}
	return 0;
}

struct rules *rules_from_bundle(const void *data, size_t length, char *error, size_t size)
{
	struct bundle *bundle = bundle_decode(data, length);
	struct tls_server *tls;
	struct conf *conf;
	char *errors = NULL;

	if (bundle == NULL) {
		snprintf(error, size, "the configuration came damaged");
		return NULL;
	}
	conf = conf_read(bundle->name, bundle->text, &errors);
	if (conf == NULL) {
		snprintf(error, size, "%s", errors == NULL ? "" : errors);
		mem_free(errors);
		bundle_free(bundle);
		return NULL;
	}
	mem_free(errors);
	tls = tls_server_new();
	if (add_certificates(tls, conf, bundle, error, size) == -1) {
		tls_server_free(tls);
		conf_free(conf);
		bundle_free(bundle);
		return NULL;
	}
	bundle_free(bundle);
	return rules_new(conf, tls);
}

bool rules_is_qualified(const struct rules *rules, const char *domain)
{
	return strchr(domain, '.') != NULL || domain_is_literal(domain) ||
	    conf_domain_find(rules->conf, domain) != NULL;
}

const struct conf_listener *rules_listener_find(const struct rules *rules, const char *name)
{
	for (size_t i = 0; i < rules->conf->listener_count; i++)
		if (strcmp(rules->conf->listeners[i].name, name) == 0)
			return &rules->conf->listeners[i];
	return NULL;
}
