/* SPDX-License-Identifier: ISC */
/*
 * The certificates of one listener. Certificates for the same names and with
 * different kinds of key (RSA and ECDSA) share one OpenSSL context, which then
 * serves what the client understands; each other set of names has a context of
 * its own. A session begins with the first one, and the server name that the
 * client asks for may move it to another.
 */
#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/digest.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/tls.h"
#include "base/tls_chain.h"
#include "base/tls_session.h"
#include "base/tls_tickets.h"

enum { KEY_KINDS_MAX = 4, SECURITY_LEVEL = 2 };

/* Certificates that stand for the same names. */
struct certificate_set {
	struct certificate_set	*next;
	SSL_CTX			*context;	/* owned */
	X509			*certificate;	/* owned; the first leaf */
	char			*name;		/* owned; as configured */
	int			 kinds[KEY_KINDS_MAX];	/* EVP_PKEY_* */
	unsigned		 kind_count;
};

struct tls_server {
	struct certificate_set	*sets;		/* owned, in order of adding */
	unsigned		 references;
	bool			 asks;		/* for a certificate */
	bool			 refuses;	/* unknown names */
	struct tls_tickets	*tickets;	/* outlives us; null: none */
	char			*name;		/* owned; of the listener */
};

struct tls_server *tls_server_new(void)
{
	struct tls_server *server = mem_alloc(sizeof *server);

	server->references = 1;
	return server;
}

struct tls_server *tls_server_share(struct tls_server *server)
{
	server->references++;
	return server;
}

static void free_set(struct certificate_set *set)
{
	SSL_CTX_free(set->context);
	X509_free(set->certificate);
	mem_free(set->name);
	mem_free(set);
}

void tls_server_free(struct tls_server *server)
{
	if (server == NULL || --server->references > 0)
		return;
	while (server->sets != NULL) {
		struct certificate_set *set = server->sets;

		server->sets = set->next;
		free_set(set);
	}
	mem_free(server->name);
	mem_free(server);
}

void tls_server_refuse_unknown(struct tls_server *server)
{
	server->refuses = true;
}

/* --- certificates of clients --- */

/*
 * Nobody's word is asked about a client's certificate: it is known by its
 * digest or not at all. OpenSSL has checked that the client has the key.
 */
static int believe(X509_STORE_CTX *store, void *arg)
{
	(void)arg;
	X509_STORE_CTX_set_error(store, X509_V_OK);
	return 1;
}

/* --- tickets --- */

/* Gives the ciphers their keys: to seal with new ones, or to open. */
static int use_keys(const struct tls_ticket_keys *keys, unsigned char *iv,
    EVP_CIPHER_CTX *cipher, EVP_MAC_CTX *mac, int seal)
{
	char digest[] = "SHA256";
	OSSL_PARAM parameters[] = {
		OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST,
		    digest, 0),
		OSSL_PARAM_construct_end(),
	};

	if (EVP_MAC_init(mac, keys->mac, sizeof keys->mac, parameters) != 1)
		return -1;
	return EVP_CipherInit_ex(cipher, EVP_aes_256_cbc(), NULL,
	    keys->cipher, iv, seal) == 1 ? 1 : -1;
}

/* 1: done; 2: opened, and time for a new one; 0: not ours. */
static int on_ticket(SSL *ssl, unsigned char *name, unsigned char *iv,
    EVP_CIPHER_CTX *cipher, EVP_MAC_CTX *mac, int seal)
{
	const struct tls_server *server = SSL_CTX_get_app_data(
	    SSL_get_SSL_CTX(ssl));
	/* RFC 8446 C.4: a client uses each of them once. */
	bool renews = SSL_version(ssl) == TLS1_3_VERSION;
	struct tls_ticket_keys keys;
	int result = 0;

	if (seal) {
		if (tls_tickets_keys(server->tickets, server->name, 0,
		    &keys) != 0)
			return -1;
		memcpy(name, keys.name, sizeof keys.name);
		random_bytes(iv, EVP_MAX_IV_LENGTH);
		result = use_keys(&keys, iv, cipher, mac, 1);
	}
	for (unsigned age = 0; !seal && result == 0 && age < 2; age++)
		if (tls_tickets_keys(server->tickets, server->name, age,
		    &keys) == 0 &&
		    memcmp(name, keys.name, sizeof keys.name) == 0)
			result = use_keys(&keys, iv, cipher, mac, 0) == 1 ?
			    (renews || age > 0 ? 2 : 1) : -1;
	mem_wipe(&keys, sizeof keys);
	return result;
}

/*
 * A ticket of a client that showed a certificate is never renewed: who stole
 * it would else do without the key for ever. It opens until it is too old, and
 * then the client signs again.
 */
static SSL_TICKET_RETURN on_opened(SSL *ssl, SSL_SESSION *session,
    const unsigned char *name, size_t length, SSL_TICKET_STATUS status,
    void *arg)
{
	(void)ssl, (void)name, (void)length, (void)arg;
	switch (status) {
	case SSL_TICKET_SUCCESS:
		return SSL_TICKET_RETURN_USE;
	case SSL_TICKET_SUCCESS_RENEW:
		return SSL_SESSION_get0_peer(session) != NULL ?
		    SSL_TICKET_RETURN_USE : SSL_TICKET_RETURN_USE_RENEW;
	default:
		return SSL_TICKET_RETURN_IGNORE_RENEW;
	}
}

/* Sessions of one listener mean nothing at another, nor where certificates
 * are asked for now and were not then. */
static void set_session_context(const struct tls_server *server,
    SSL_CTX *context)
{
	uint8_t id[DIGEST_BYTES];
	struct digest *digest = digest_new();

	digest_add(digest, server->asks ? "asks" : "none", 5);
	if (server->name != NULL)
		digest_add(digest, server->name, strlen(server->name));
	digest_end(digest, id);
	if (SSL_CTX_set_session_id_context(context, id, sizeof id) != 1)
		fatal("tls-context");
}

/* What the server wants goes into a context of its. */
static void apply(struct tls_server *server, SSL_CTX *context)
{
	SSL_CTX_set_app_data(context, server);
	set_session_context(server, context);
	if (server->asks) {
		SSL_CTX_set_verify(context, SSL_VERIFY_PEER, NULL);
		SSL_CTX_set_cert_verify_callback(context, believe, NULL);
	}
	if (server->tickets == NULL)
		return;
	SSL_CTX_clear_options(context, SSL_OP_NO_TICKET);
	SSL_CTX_set_timeout(context, TLS_TICKET_HOURS * 3600);
	if (SSL_CTX_set_num_tickets(context, 1) != 1 ||
	    SSL_CTX_set_max_early_data(context, 0) != 1 ||
	    SSL_CTX_set_tlsext_ticket_key_evp_cb(context, on_ticket) != 1 ||
	    SSL_CTX_set_session_ticket_cb(context, NULL, on_opened,
	    NULL) != 1)
		fatal("tls-context");
}

static void apply_to_all(struct tls_server *server)
{
	for (struct certificate_set *set = server->sets; set != NULL;
	    set = set->next)
		apply(server, set->context);
}

void tls_server_ask_certificate(struct tls_server *server)
{
	server->asks = true;
	apply_to_all(server);
}

void tls_server_give_tickets(struct tls_server *server,
    struct tls_tickets *tickets, const char *name)
{
	mem_free(server->name);
	server->name = mem_dup_string(name);
	server->tickets = tickets;
	apply_to_all(server);
}

bool tls_server_is_empty(const struct tls_server *server)
{
	return server->sets == NULL;
}

/* --- choosing a set --- */

struct name_search {
	const char	*name;		/* what is looked for */
	X509		*other;		/* or: whose names are compared */
};

/* Is this name of the certificate the one that was asked for? */
static bool answers_to(void *arg, const char *name)
{
	const struct name_search *search = arg;

	return tls_name_matches(name, search->name);
}

static bool is_same(void *arg, const char *name)
{
	const struct name_search *search = arg;

	return strcasecmp(search->name, name) == 0;
}

/* Is this name missing in the other certificate? */
static bool is_missing(void *arg, const char *name)
{
	const struct name_search *search = arg;
	struct name_search inner = { .name = name };

	return !tls_each_name(search->other, is_same, &inner);
}

static bool have_same_names(X509 *one, X509 *other)
{
	struct name_search in_other = { .other = other };
	struct name_search in_one = { .other = one };

	return !tls_each_name(one, is_missing, &in_other) &&
	    !tls_each_name(other, is_missing, &in_one);
}

static bool has_kind(const struct certificate_set *set, int kind)
{
	unsigned i;

	for (i = 0; i < set->kind_count; i++)
		if (set->kinds[i] == kind)
			return true;
	return false;
}

/* The set that this certificate completes, or null. */
static struct certificate_set *find_sibling(const struct tls_server *server,
    const char *name, X509 *leaf, int kind)
{
	struct certificate_set *set;

	for (set = server->sets; set != NULL; set = set->next)
		if (set->kind_count < KEY_KINDS_MAX && !has_kind(set, kind) &&
		    (strcasecmp(set->name, name) == 0 ||
		    have_same_names(set->certificate, leaf)))
			return set;
	return NULL;
}

/* Unknown names get the first certificate without a complaint: RFC 7672 8.1,
 * RFC 8461 7.1 (TLS-119). */
static int on_server_name(SSL *ssl, int *alert, void *arg)
{
	const struct tls_server *server = arg;
	const char *asked = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);
	struct certificate_set *set;
	struct name_search search = { .name = asked };

	if (asked == NULL)
		return SSL_TLSEXT_ERR_NOACK;
	for (set = server->sets; set != NULL; set = set->next) {
		if (!tls_each_name(set->certificate, answers_to, &search))
			continue;
		if (SSL_set_SSL_CTX(ssl, set->context) == NULL)
			return SSL_TLSEXT_ERR_ALERT_FATAL;
		return SSL_TLSEXT_ERR_OK;
	}
	*alert = SSL_AD_UNRECOGNIZED_NAME;
	return server->refuses ? SSL_TLSEXT_ERR_ALERT_FATAL :
	    SSL_TLSEXT_ERR_NOACK;
}

static struct certificate_set *new_set(struct tls_server *server,
    const char *name, X509 *leaf)
{
	struct certificate_set *set = mem_alloc(sizeof *set);

	set->context = tls_context_new(true, SECURITY_LEVEL);
	apply(server, set->context);
	SSL_CTX_set_tlsext_servername_callback(set->context, on_server_name);
	SSL_CTX_set_tlsext_servername_arg(set->context, server);
	X509_up_ref(leaf);
	set->certificate = leaf;
	set->name = mem_dup_string(name);
	return set;
}

static void append_set(struct tls_server *server, struct certificate_set *set)
{
	struct certificate_set **end = &server->sets;

	while (*end != NULL)
		end = &(*end)->next;
	*end = set;
}

/* An expired certificate is still better than none: peers that authenticate
 * by DANE-EE or not at all do not look. */
static void warn_of_dates(const char *name, X509 *leaf)
{
	if (X509_cmp_current_time(X509_get0_notAfter(leaf)) < 0)
		log_warn("certificate-expired", log_text("name", name));
	else if (X509_cmp_current_time(X509_get0_notBefore(leaf)) > 0)
		log_warn("certificate-not-yet-valid", log_text("name", name));
}

/* Puts the pair into a set; a sentence about why not goes to error. */
static int install(struct tls_server *server, const char *name,
    const struct tls_chain *pair, char *error, size_t size)
{
	int kind = EVP_PKEY_get_base_id(pair->key);
	struct certificate_set *sibling = find_sibling(server, name,
	    pair->leaf, kind);
	struct certificate_set *set = sibling != NULL ? sibling :
	    new_set(server, name, pair->leaf);
	char why[160];

	ERR_clear_error();
	if (SSL_CTX_use_cert_and_key(set->context, pair->leaf, pair->key,
	    pair->chain, 1) != 1) {
		tls_describe_error(why, sizeof why, "unknown reason");
		snprintf(error, size,
		    "certificate %s: not usable for TLS: %s", name, why);
		if (sibling == NULL)
			free_set(set);
		return -1;
	}
	set->kinds[set->kind_count++] = kind;
	if (sibling == NULL)
		append_set(server, set);
	warn_of_dates(name, pair->leaf);
	return 0;
}

int tls_server_add(struct tls_server *server, const char *name,
    const char *chain_pem, const char *key_pem, char *error, size_t size)
{
	struct tls_chain pair = { 0 };
	const char *problem = tls_chain_read(&pair, chain_pem, key_pem);
	int result = -1;

	if (problem != NULL)
		snprintf(error, size, "certificate %s: %s", name, problem);
	else
		result = install(server, name, &pair, error, size);
	tls_chain_release(&pair);
	return result;
}

struct ssl_st *tls_server_session(struct tls_server *server)
{
	SSL *ssl;

	if (server->sets == NULL)
		bug("tls-server-without-certificate");
	ssl = SSL_new(server->sets->context);
	if (ssl == NULL)
		fatal("tls-session");
	SSL_set_accept_state(ssl);
	return ssl;
}
