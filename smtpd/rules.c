/* SPDX-License-Identifier: ISC */
/*
 * Makes settings from the bundle that the supervisor sends. A bundle that is
 * not right changes nothing: the caller keeps what it had.
 */
#include "smtpd/rules.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "authentic/dkim_key.h"
#include "base/address.h"
#include "base/mem.h"
#include "base/tls.h"
#include "conf/bundle.h"
#include "conf/conf.h"

/* A program of this machine: known by its user, in no need of TLS. */
static const struct conf_listener local_listener = {
	.name = (char *)LOCAL_LISTENER,
	.service = SERVICE_SUBMISSION,
	.socket = (char *)"",
	.socket_group = (char *)"",
	.tls = LISTENER_TLS_NONE,
	.relay = RELAY_ANY,
};

/*
 * RFC 5321 4.1.1.1; SMTP-37: nothing is listed that would be refused. RFC 8689
 * 2: in clear REQUIRETLS would be worth nothing. RFC 9422 4.1: so many
 * recipients may be given; of messages there is no limit.
 */
static char *hello_text(const struct conf *conf, bool starttls, bool secure)
{
	return mem_print("250-%s\r\n250-PIPELINING\r\n250-SIZE %" PRId64
	    "\r\n%s250-8BITMIME\r\n250-CHUNKING\r\n250-DSN\r\n%s%s"
	    "250-LIMITS RCPTMAX=%" PRId64 "\r\n", conf->hostname,
	    conf->max_message_size, starttls ? "250-STARTTLS\r\n" : "",
	    conf->smtputf8 ? "250-SMTPUTF8\r\n" : "",
	    secure && conf->requiretls ? "250-REQUIRETLS\r\n" : "",
	    conf->max_recipients);
}

/* --- certificates of listeners --- */

static int add_certificate(struct tls_server *tls,
    const struct conf_certificate *certificate, const struct bundle *bundle,
    char *error, size_t size)
{
	const struct bundle_file *chain =
	    bundle_file(bundle, certificate->chain);
	const struct bundle_file *key = bundle_file(bundle, certificate->key);

	if (chain == NULL || key == NULL) {
		snprintf(error, size, "certificate %s: its chain or key did "
		    "not come with the configuration", certificate->name);
		return -1;
	}
	return tls_server_add(tls, certificate->name, chain->contents,
	    key->contents, error, size);
}

/* Those the listener names, in that order; else all. The first one is what
 * clients get who ask for no name, or for one that is unknown. */
static int add_certificates(struct reception *reception,
    const struct conf *conf, const struct bundle *bundle, char *error,
    size_t size)
{
	const struct conf_texts *named = &reception->listener->certificates;
	size_t count = named->count > 0 ? named->count :
	    conf->certificate_count;

	for (size_t i = 0; i < count; i++) {
		const struct conf_certificate *one = named->count == 0 ?
		    &conf->certificates[i] :
		    conf_certificate_find(conf, named->items[i]);

		if (one == NULL) {
			snprintf(error, size, "listen %s: there is no "
			    "certificate %s", reception->listener->name,
			    named->items[i]);
			return -1;
		}
		if (add_certificate(reception->tls, one, bundle, error,
		    size) == -1)
			return -1;
	}
	return 0;
}

/* --- receptions --- */

static void open_tls(struct reception *reception, struct tls_tickets *tickets)
{
	const struct conf_listener *listener = reception->listener;

	reception->tls = tls_server_new();
	if (listener->client_certificates)
		tls_server_ask_certificate(reception->tls);
	if (tickets != NULL)
		tls_server_give_tickets(reception->tls, tickets,
		    listener->name);
}

static void write_texts(struct reception *reception, const struct conf *conf)
{
	const struct conf_listener *listener = reception->listener;
	bool starttls = (listener->tls == LISTENER_TLS_OFFER ||
	    listener->tls == LISTENER_TLS_REQUIRE) &&
	    !tls_server_is_empty(reception->tls);

	reception->greeting = mem_print("220 %s %s Postern\r\n",
	    conf->hostname, listener->service == SERVICE_LMTP ? "LMTP" :
	    "ESMTP");
	reception->hello = hello_text(conf, starttls, false);
	reception->hello_secure = hello_text(conf, false, true);
}

static int open_receptions(struct rules *rules, const struct bundle *bundle,
    struct tls_tickets *tickets, char *error, size_t size)
{
	struct conf *conf = rules->conf;
	struct reception *reception;

	rules->receptions = mem_alloc_array(conf->listener_count + 1,
	    sizeof(*rules->receptions));
	for (size_t i = 0; i <= conf->listener_count; i++) {
		reception = &rules->receptions[rules->reception_count];
		reception->is_local = i == conf->listener_count;
		reception->listener = reception->is_local ? &local_listener :
		    &conf->listeners[i];
		if (reception->listener->service == SERVICE_MTA_STS)
			continue;
		rules->reception_count++;
		open_tls(reception, tickets);
		if (bundle != NULL &&
		    reception->listener->tls != LISTENER_TLS_NONE &&
		    add_certificates(reception, conf, bundle, error,
		    size) == -1)
			return -1;
		write_texts(reception, conf);
	}
	return 0;
}

static int read_clients(struct rules *rules, const struct bundle *bundle,
    char *error, size_t size)
{
	const char *path = rules->conf->relay_certificates_file;
	const struct bundle_file *file = bundle == NULL ? NULL :
	    bundle_file(bundle, path);

	return file == NULL ? 0 : certificates_read(&rules->certificates, path,
	    file->contents, error, size);
}

/* Those that sign what our own people send. */
static int read_keys(struct rules *rules, const struct bundle *bundle,
    char *error, size_t size)
{
	const char *path = rules->conf->dkim_keys_file;
	const struct bundle_file *file = bundle == NULL ? NULL :
	    bundle_file(bundle, path);
	char *errors = NULL;

	if (file == NULL)
		return 0;
	rules->dkim_keys = dkim_keys_read(path, file->contents, &errors);
	if (rules->dkim_keys == NULL)
		snprintf(error, size, "%s", errors);
	mem_free(errors);
	return rules->dkim_keys == NULL ? -1 : 0;
}

static void find_wishes(struct rules *rules)
{
	const struct conf *conf = rules->conf;
	const enum conf_verify off = VERIFY_OFF, top = VERIFY_BY_TOP;

	rules->wants_spf = conf->spf != off;
	rules->wants_dmarc = conf->dmarc != off;
	for (size_t i = 0; i < conf->domain_count; i++) {
		const struct conf_domain *domain = &conf->domains[i];

		rules->wants_spf |= domain->spf != off && domain->spf != top;
		rules->wants_dmarc |= domain->dmarc != off &&
		    domain->dmarc != top;
	}
	rules->wants_spf |= rules->wants_dmarc;
	rules->wants_dkim = conf->dkim_verify || rules->wants_dmarc;
}

struct rules *rules_new(struct conf *conf, const struct bundle *bundle,
    struct tls_tickets *tickets, char *error, size_t size)
{
	struct rules *rules = mem_alloc(sizeof(*rules));

	rules->conf = conf;
	rules->references = 1;
	certificates_init(&rules->certificates);
	find_wishes(rules);
	if (open_receptions(rules, bundle, tickets, error, size) == 0 &&
	    read_clients(rules, bundle, error, size) == 0 &&
	    read_keys(rules, bundle, error, size) == 0)
		return rules;
	rules_release(rules);
	return NULL;
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
	for (size_t i = 0; i < rules->reception_count; i++) {
		tls_server_free(rules->receptions[i].tls);
		mem_free(rules->receptions[i].greeting);
		mem_free(rules->receptions[i].hello);
		mem_free(rules->receptions[i].hello_secure);
	}
	mem_free(rules->receptions);
	certificates_release(&rules->certificates);
	dkim_keys_free(rules->dkim_keys);
	conf_free(rules->conf);
	mem_free(rules);
}

struct rules *rules_from_bundle(const void *data, size_t length,
    struct tls_tickets *tickets, char *error, size_t size)
{
	struct bundle *bundle = bundle_decode(data, length);
	struct rules *rules = NULL;
	struct conf *conf;
	char *errors = NULL;

	if (bundle == NULL) {
		snprintf(error, size, "the configuration came damaged");
		return NULL;
	}
	conf = conf_read(bundle->name, bundle->text, &errors);
	if (conf == NULL)
		snprintf(error, size, "%s", errors == NULL ? "" : errors);
	else
		rules = rules_new(conf, bundle, tickets, error, size);
	mem_free(errors);
	bundle_free(bundle);
	return rules;
}

bool rules_is_qualified(const struct rules *rules, const char *domain)
{
	return strchr(domain, '.') != NULL || domain_is_literal(domain) ||
	    conf_domain_find(rules->conf, domain) != NULL;
}

const struct reception *rules_reception_find(const struct rules *rules,
    const char *name)
{
	for (size_t i = 0; i < rules->reception_count; i++)
		if (strcmp(rules->receptions[i].listener->name, name) == 0)
			return &rules->receptions[i];
	return NULL;
}
