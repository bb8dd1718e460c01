/* SPDX-License-Identifier: ISC */
/*
 * The certificates of one listener. Certificates for the same names and with
 * different kinds of key (RSA and ECDSA) share one OpenSSL context, which then
 * serves what the client understands; each other set of names has a context of
 * its own. A session begins with the first one, and the server name that the
 * client asks for may move it to another.
 */
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/tls.h"
#include "base/tls_session.h"

enum { KEY_KINDS_MAX = 4, SECURITY_LEVEL = 2,
    /* RSA of 2048 bits, curves of 224: RFC 9325 4.5 */
    SECURITY_BITS_MIN = 112 };

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
};

/* What a PEM pair was made of, until a context has it. */
struct pair {
	X509		*leaf;
	STACK_OF(X509)	*chain;		/* without the leaf */
	EVP_PKEY	*key;
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
	mem_free(server);
}

bool tls_server_is_empty(const struct tls_server *server)
{
	return server->sets == NULL;
}

/* --- reading a pair --- */

/* Without it OpenSSL would ask for a pass phrase at the terminal. */
static int no_password(char *out, int size, int writing, void *arg)
{
	(void)out;
	(void)size;
	(void)writing;
	*(bool *)arg = true;
	return -1;
}

/* Reading a list of PEM blocks ends with this error when all went well. */
static bool at_end_of_pem(void)
{
	unsigned long error = ERR_peek_last_error();

	return ERR_GET_LIB(error) == ERR_LIB_PEM &&
	    ERR_GET_REASON(error) == PEM_R_NO_START_LINE;
}

static const char *read_chain(struct pair *pair, const char *pem)
{
	BIO *bio = tls_open_text(pem);
	const char *problem = NULL;
	X509 *certificate;

	pair->chain = sk_X509_new_null();
	ERR_clear_error();
	pair->leaf = PEM_read_bio_X509(bio, NULL, NULL, NULL);
	while (pair->leaf != NULL &&
	    (certificate = PEM_read_bio_X509(bio, NULL, NULL, NULL)) != NULL)
		if (sk_X509_push(pair->chain, certificate) == 0)
			fatal("tls-memory");
	if (pair->leaf == NULL)
		problem = "there is no certificate in PEM form in the chain";
	else if (!at_end_of_pem())
		problem = "a certificate of the chain is damaged";
	ERR_clear_error();
	BIO_free(bio);
	return problem;
}

static const char *read_key(struct pair *pair, const char *pem)
{
	BIO *bio = tls_open_text(pem);
	bool encrypted = false;

	pair->key = PEM_read_bio_PrivateKey(bio, NULL, no_password,
	    &encrypted);
	ERR_clear_error();
	BIO_free(bio);
	if (encrypted)
		return "the private key is encrypted; store it without a "
		    "pass phrase";
	if (pair->key == NULL)
		return "there is no private key in PEM form";
	if (X509_check_private_key(pair->leaf, pair->key) != 1) {
		ERR_clear_error();
		return "the private key does not belong to the first "
		    "certificate of the chain";
	}
	if (EVP_PKEY_get_security_bits(pair->key) < SECURITY_BITS_MIN)
		return "the key is too weak: RSA needs 2048 bits, ECDSA 224 "
		    "(RFC 9325 4.5)";
	return NULL;
}

static void release_pair(struct pair *pair)
{
	X509_free(pair->leaf);
	sk_X509_pop_free(pair->chain, X509_free);
	EVP_PKEY_free(pair->key);
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

	(void)alert;
	if (asked == NULL)
		return SSL_TLSEXT_ERR_NOACK;
	for (set = server->sets; set != NULL; set = set->next) {
		if (!tls_each_name(set->certificate, answers_to, &search))
			continue;
		if (SSL_set_SSL_CTX(ssl, set->context) == NULL)
			return SSL_TLSEXT_ERR_ALERT_FATAL;
		return SSL_TLSEXT_ERR_OK;
	}
	return SSL_TLSEXT_ERR_NOACK;
}

static struct certificate_set *new_set(struct tls_server *server,
    const char *name, X509 *leaf)
{
	struct certificate_set *set = mem_alloc(sizeof *set);

	set->context = tls_context_new(true, SECURITY_LEVEL);
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
    const struct pair *pair, char *error, size_t size)
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
	struct pair pair = { 0 };
	const char *problem;
	int result = -1;

	problem = read_chain(&pair, chain_pem);
	if (problem == NULL)
		problem = read_key(&pair, key_pem);
	if (problem != NULL)
		snprintf(error, size, "certificate %s: %s", name, problem);
	else
		result = install(server, name, &pair, error, size);
	release_pair(&pair);
	return result;
}

struct ssl_st *tls_server_session(struct tls_server *server, int fd)
{
	SSL *ssl;

	if (server->sets == NULL)
		bug("tls-server-without-certificate");
	ssl = SSL_new(server->sets->context);
	if (ssl == NULL || SSL_set_fd(ssl, fd) != 1)
		fatal("tls-session");
	SSL_set_accept_state(ssl);
	return ssl;
}
