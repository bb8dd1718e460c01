/* SPDX-License-Identifier: ISC */
/*
 * What a server offers. Security level 0 throughout: a lab has to serve what
 * nobody should, and OpenSSL at a higher level refuses even to load a key of
 * 1024 bits. What a good server offers is then a matter of the versions and
 * of OpenSSL's default list, which has nothing anonymous or unencrypted in it.
 *
 * Debian 12's OpenSSL is built without RC4, single and triple DES in TLS,
 * export ciphers and SSL 3.0: there are no words for them, and a list that has
 * one is refused, rather than served without it.
 */
#include "tools/lab/actors_link.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "tools/lab/certificate.h"
#include "tools/lab/scenario_options.h"

/* In the order of lab_version_words. */
static const struct {
	int		 number;
	uint64_t	 without;	/* the option that leaves it out */
} versions[] = {
	{ TLS1_VERSION, SSL_OP_NO_TLSv1 },
	{ TLS1_1_VERSION, SSL_OP_NO_TLSv1_1 },
	{ TLS1_2_VERSION, SSL_OP_NO_TLSv1_2 },
	{ TLS1_3_VERSION, SSL_OP_NO_TLSv1_3 }
};

enum { VERSIONS = sizeof(versions) / sizeof(versions[0]) };

static void add_chain(SSL_CTX *context, const char *pem)
{
	BIO *bio = BIO_new_mem_buf(pem, -1);
	X509 *leaf = PEM_read_bio_X509(bio, NULL, NULL, NULL), *next;

	if (leaf == NULL || SSL_CTX_use_certificate(context, leaf) != 1)
		fatal("lab-tls", log_text("failed", "certificate"));
	X509_free(leaf);
	while ((next = PEM_read_bio_X509(bio, NULL, NULL, NULL)) != NULL)
		if (SSL_CTX_add0_chain_cert(context, next) != 1)
			fatal("lab-tls", log_text("failed", "chain"));
	ERR_clear_error();	/* "no start line": the end of the text */
	BIO_free(bio);
}

static void add_key(SSL_CTX *context, const char *pem)
{
	BIO *bio = BIO_new_mem_buf(pem, -1);
	EVP_PKEY *key = PEM_read_bio_PrivateKey(bio, NULL, NULL, NULL);

	if (key == NULL || SSL_CTX_use_PrivateKey(context, key) != 1)
		fatal("lab-tls", log_text("failed", "key"));
	EVP_PKEY_free(key);
	BIO_free(bio);
}

/* The versions need not be neighbours. */
static int set_versions(SSL_CTX *context, const struct lab_texts *words,
    char *error, size_t size)
{
	bool wanted[VERSIONS] = { [2] = true, [3] = true };
	int i, index;

	if (words != NULL && words->count > 0)
		memset(wanted, 0, sizeof(wanted));
	for (i = 0; words != NULL && (size_t)i < words->count; i++) {
		index = lab_word_index(lab_version_words, words->items[i],
		    strlen(words->items[i]));
		if (index < 0 || index >= VERSIONS) {
			snprintf(error, size, "there is no version \"%s\" of "
			    "TLS: 1.0, 1.1, 1.2, 1.3", words->items[i]);
			return -1;
		}
		wanted[index] = true;
	}
	SSL_CTX_set_min_proto_version(context, TLS1_VERSION);
	SSL_CTX_set_max_proto_version(context, TLS1_3_VERSION);
	for (i = 0; i < VERSIONS; i++)
		if (wanted[i])
			SSL_CTX_clear_options(context, versions[i].without);
		else
			SSL_CTX_set_options(context, versions[i].without);
	return 0;
}

/* OpenSSL passes over words it does not know as long as one is left: so each
 * is tried alone, but for those that take away, move or set a level. */
int lab_link_set_ciphers(SSL_CTX *context, const char *ciphers, char *error,
    size_t size)
{
	static const char separators[] = ":,; ", operators[] = "!-+@";
	const char *at = ciphers + strspn(ciphers, separators);
	char word[64];

	while (*at != '\0') {
		size_t length = strcspn(at, separators);

		snprintf(word, sizeof(word), "%.*s", (int)length, at);
		if (strchr(operators, at[0]) == NULL &&
		    SSL_CTX_set_cipher_list(context, word) != 1)
			break;
		at += length;
		at += strspn(at, separators);
	}
	if (*at == '\0' && SSL_CTX_set_cipher_list(context, ciphers) == 1)
		return 0;
	ERR_clear_error();
	snprintf(error, size, "OpenSSL has no ciphers for \"%s\"",
	    *at != '\0' ? word : ciphers);
	return -1;
}

/* Certificates of clients are taken as they come. */
static int accept_any(int good, X509_STORE_CTX *store)
{
	(void)good;
	(void)store;
	return 1;
}

static void set_client(SSL_CTX *context, enum lab_client_certificate client)
{
	static const int modes[] = {
		[LAB_CLIENT_IGNORED] = SSL_VERIFY_NONE,
		[LAB_CLIENT_ASKED] = SSL_VERIFY_PEER,
		[LAB_CLIENT_DEMANDED] = SSL_VERIFY_PEER |
		    SSL_VERIFY_FAIL_IF_NO_PEER_CERT
	};

	SSL_CTX_set_verify(context, modes[client], accept_any);
}

/* RFC 8446 4.6.1 and RFC 5077: none means that nothing can be resumed, in any
 * version; for TLS up to 1.2 any other number means one. */
static void set_tickets(SSL_CTX *context, int64_t tickets)
{
	SSL_CTX_set_num_tickets(context, tickets > 0 ? (size_t)tickets : 0);
	if (tickets > 0)
		return;
	SSL_CTX_set_options(context, SSL_OP_NO_TICKET);
	SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
}

/* --- secrets --- */

static int keylog = -1;

void lab_link_keylog(int fd)
{
	keylog = fd;
}

/* One write a line: several processes share the file. */
static void write_secret(const SSL *ssl, const char *line)
{
	(void)ssl;
	dprintf(keylog, "%s\n", line);
}

void lab_link_log_keys(SSL_CTX *context)
{
	if (keylog != -1)
		SSL_CTX_set_keylog_callback(context, write_secret);
}

SSL_CTX *lab_link_context(const struct lab_identity *identity,
    const struct lab_tls_manner *manner, char *error, size_t size)
{
	bool has_ciphers = manner->ciphers != NULL &&
	    manner->ciphers[0] != '\0';
	SSL_CTX *context = SSL_CTX_new(TLS_server_method());

	if (context == NULL)
		fatal("lab-tls", log_text("failed", "SSL_CTX_new"));
	SSL_CTX_set_security_level(context, 0);
	SSL_CTX_set_mode(context, SSL_MODE_AUTO_RETRY);
	/* Nothing but the chain as it was made: a server that completes it
	 * from the machine's own store would hide that it is incomplete. */
	SSL_CTX_set_mode(context, SSL_MODE_NO_AUTO_CHAIN);
	SSL_CTX_set_session_id_context(context,
	    (const unsigned char *)"lab", 3);
	if (set_versions(context, manner->versions, error, size) == -1 ||
	    (has_ciphers && lab_link_set_ciphers(context, manner->ciphers,
	    error, size) == -1)) {
		SSL_CTX_free(context);
		return NULL;
	}
	/* Ciphers by name may need a group of their own: ADH, DHE. */
	if (has_ciphers)
		SSL_CTX_set_dh_auto(context, 1);
	lab_link_log_keys(context);
	set_client(context, manner->client);
	set_tickets(context, manner->tickets);
	if (identity != NULL) {
		add_chain(context, identity->chain_pem);
		add_key(context, identity->key_pem);
	}
	return context;
}
