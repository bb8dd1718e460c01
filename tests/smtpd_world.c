/* SPDX-License-Identifier: ISC */
/*
 * See smtpd_world.h.
 */
#include "tests/smtpd_world.h"

#include <openssl/bio.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/loop.h"
#include "base/mem.h"
#include "base/net.h"
#include "base/tls.h"
#include "base/tls_tickets.h"
#include "conf/bundle.h"
#include "conf/conf.h"
#include "policy/client.h"
#include "policy/directory_client.h"
#include "queue/client.h"
#include "smtpd/certificates.h"
#include "smtpd/origin.h"
#include "smtpd/rules.h"
#include "smtpd/session.h"

static char *chain_pem, *key_pem;
static struct tls_tickets *tickets;
const char *world_certificates = "";

static char *take_bio(BIO *bio)
{
	char *data, *text;
	long length = BIO_get_mem_data(bio, &data);

	text = mem_alloc((size_t)length + 1);
	for (long i = 0; i < length; i++)
		text[i] = data[i];
	BIO_free(bio);
	return text;
}

static void make_certificate(void)
{
	EVP_PKEY *key = EVP_EC_gen("P-256");
	X509 *certificate = X509_new();
	X509_NAME *name = X509_get_subject_name(certificate);
	BIO *chain = BIO_new(BIO_s_mem()), *secret = BIO_new(BIO_s_mem());

	ASN1_INTEGER_set(X509_get_serialNumber(certificate), 1);
	X509_gmtime_adj(X509_getm_notBefore(certificate), -3600);
	X509_gmtime_adj(X509_getm_notAfter(certificate), 86400);
	X509_set_pubkey(certificate, key);
	X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC,
	    (const unsigned char *)"mx.example.org", -1, -1, 0);
	X509_set_issuer_name(certificate, name);
	X509_sign(certificate, key, EVP_sha256());
	PEM_write_bio_X509(chain, certificate);
	PEM_write_bio_PrivateKey(secret, key, NULL, NULL, 0, NULL, NULL);
	chain_pem = take_bio(chain);
	key_pem = take_bio(secret);
	X509_free(certificate);
	EVP_PKEY_free(key);
}

void world_prepare(void)
{
	log_init("smtpd", getenv("WORLD_LOG") == NULL ? LOG_LEVEL_ERROR :
	    LOG_LEVEL_DEBUG);
	loop_init();
	tls_init();
	tickets = tls_tickets_new();
	make_certificate();
}

void world_init(struct world *world)
{
	fake_peers_reset();
	world->queue = queue_client_new();
	world->policy = policy_client_new();
	world->directory = directory_client_new();
	server_init(&world->server, world->queue, world->policy,
	    world->directory);
}

static struct timer turn_timer;
static unsigned turns_left;

static void turn(void *arg)
{
	(void)arg;
	if (turns_left-- == 0)
		loop_stop();
	else
		timer_start(&turn_timer, 0, turn, NULL);
}

void world_turns(unsigned turns)
{
	turns_left = turns;
	timer_start(&turn_timer, 0, turn, NULL);
	loop_run();
	timer_stop(&turn_timer);
}

void world_release(struct world *world)
{
	struct session *session;

	while ((session = TAILQ_FIRST(&world->server.sessions)) != NULL)
		session_drop(session, "test");
	world_turns(2);
	server_release(&world->server);
	world_turns(2);
	session_pool_release();
	queue_client_free(world->queue);
	policy_client_free(world->policy);
	directory_client_free(world->directory);
}

struct rules *world_rules(const char *lines, const char *listener,
    bool with_certificate)
{
	struct bundle_file files[] = {
		{ .path = (char *)"/chain", .contents = chain_pem,
		    .length = strlen(chain_pem) },
		{ .path = (char *)"/key", .contents = key_pem,
		    .length = strlen(key_pem) },
		{ .path = (char *)"/relay-certificates",
		    .contents = (char *)world_certificates,
		    .length = strlen(world_certificates) },
	};
	struct bundle bundle = { .files = files,
	    .file_count = sizeof(files) / sizeof(files[0]) };
	char error[256] = "", *text, *errors = NULL;
	struct rules *rules;
	struct conf *conf;

	text = mem_print("hostname = mx.example.org\n"
	    "%srelay-certificates-file = \"/relay-certificates\"\n"
	    "domain \"example.org\" { users = { alice, bob } }\n"
	    "certificate \"test\" { chain = \"/chain\" key = \"/key\" }\n"
	    "listen smtp { port = 2525 %s }\n%s", strstr(lines, "relay-from =") != NULL ? "" :
	    "relay-from = { \"192.0.2.0/24\" }\n", listener, lines);
	conf = conf_read("test", text, &errors);
	mem_free(text);
	if (conf == NULL) {
		fprintf(stderr, "%s\n", errors);
		mem_free(errors);
		return NULL;
	}
	mem_free(errors);
	rules = rules_new(conf, with_certificate ? &bundle : NULL, tickets,
	    error, sizeof(error));
	if (rules == NULL) {
		fprintf(stderr, "%s\n", error);
		abort();
	}
	return rules;
}

char *world_certificate_line(const char *name)
{
	struct certificate_entry entry = { .kind = CERTIFICATE_WHOLE };
	struct tls_shown shown;
	char line[192];

	if (tls_certificate_read(chain_pem, &shown) != 0)
		abort();
	memcpy(entry.digest, shown.certificate_digest, DIGEST_BYTES);
	snprintf(entry.name, sizeof(entry.name), "%s", name);
	certificate_format(&entry, line, sizeof(line));
	return mem_dup_string(line);
}

struct tls_identity *world_identity(void)
{
	struct tls_identity *identity;
	char error[200];

	identity = tls_identity_new("client", chain_pem, key_pem, error,
	    sizeof(error));
	if (identity == NULL)
		abort();
	return identity;
}

struct session *world_session(struct world *world, int fd,
    const char *address)
{
	bool local = strcmp(address, "local") == 0;
	struct origin origin = { .uid = local ? 1000 : -1 };

	if (!local && endpoint_parse(&origin.address, address, 40000) < 0)
		abort();
	if (!local && endpoint_parse(&origin.local, "192.0.2.25", 25) < 0)
		abort();
	return session_start(&world->server, fd, &origin,
	    rules_reception_find(world->server.rules, local ? LOCAL_LISTENER :
	    "smtp"));
}
