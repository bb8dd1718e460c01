/* SPDX-License-Identifier: ISC */
/*
 * What both sides of TLS share: the profile that every context gets, the
 * names in a certificate, and turning a handshake into facts or into words.
 */
#include "base/tls.h"

#include <openssl/bio.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include "base/log.h"
#include "base/tls_session.h"
#include "base/tls_wanted.h"

/*
 * TLS 1.2: forward secrecy by ECDHE only, authenticated encryption (TLS-109 to
 * TLS-112). As a client we have CBC at the end for hosts that have nothing
 * else, and ask for encrypt-then-MAC with it; as a server there is none.
 */
#define AUTHENTICATED "ECDHE+AESGCM:ECDHE+CHACHA20:"
#define NEVER "!aNULL:!eNULL:!EXPORT:!PSK:!SRP:!MD5"
static const char server_list[] = AUTHENTICATED NEVER;
static const char client_list[] = AUTHENTICATED "ECDHE+AES:" NEVER;
static const char group_list[] = "X25519:P-256:P-384:P-521";

void tls_init(void)
{
	unsigned char byte;

	if (OPENSSL_init_ssl(OPENSSL_INIT_LOAD_SSL_STRINGS |
	    OPENSSL_INIT_LOAD_CRYPTO_STRINGS, NULL) != 1 ||
	    RAND_bytes(&byte, sizeof byte) != 1)
		fatal("tls-init");
	/* A context of each kind makes the providers load what they need. */
	SSL_CTX_free(tls_context_new(true, 2));
	SSL_CTX_free(tls_context_new(false, 1));
}

struct ssl_ctx_st *tls_context_new(bool server, int level)
{
	SSL_CTX *context = SSL_CTX_new(server ? TLS_server_method() :
	    TLS_client_method());

	if (context == NULL)
		fatal("tls-context");
	SSL_CTX_set_security_level(context, level);
	if (SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION) != 1 ||
	    SSL_CTX_set_max_proto_version(context, 0) != 1 ||
	    SSL_CTX_set_cipher_list(context, server ? server_list :
	    client_list) != 1 ||
	    SSL_CTX_set1_groups_list(context, group_list) != 1)
		fatal("tls-context");
	/* The system's openssl.cnf may have set these. */
	SSL_CTX_clear_options(context, SSL_OP_LEGACY_SERVER_CONNECT |
	    SSL_OP_ALLOW_UNSAFE_LEGACY_RENEGOTIATION |
	    SSL_OP_IGNORE_UNEXPECTED_EOF | SSL_OP_NO_ENCRYPT_THEN_MAC |
	    SSL_OP_NO_EXTENDED_MASTER_SECRET | SSL_OP_NO_TLSv1_2 |
	    SSL_OP_NO_TLSv1_3);
	SSL_CTX_set_options(context, SSL_OP_NO_RENEGOTIATION |
	    SSL_OP_NO_COMPRESSION | SSL_OP_NO_TICKET |
	    SSL_OP_CIPHER_SERVER_PREFERENCE | SSL_OP_PRIORITIZE_CHACHA);
	SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
	SSL_CTX_set_mode(context, SSL_MODE_ENABLE_PARTIAL_WRITE |
	    SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER | SSL_MODE_RELEASE_BUFFERS);
	SSL_CTX_clear_mode(context, SSL_MODE_AUTO_RETRY);
	SSL_CTX_set_verify(context, SSL_VERIFY_NONE, NULL);
	SSL_CTX_set_verify_depth(context, TLS_DEPTH_MAX);
	if (server && SSL_CTX_set_num_tickets(context, 0) != 1)
		fatal("tls-context");
	return context;
}

struct bio_st *tls_open_text(const char *text)
{
	BIO *bio = BIO_new_mem_buf(text, -1);

	if (bio == NULL)
		fatal("tls-memory");
	return bio;
}

/* --- names --- */

bool tls_name_matches(const char *pattern, const char *name)
{
	const char *parent;

	if (pattern[0] != '*')
		return strcasecmp(pattern, name) == 0;
	/* "*" alone in its label, and no wildcard for a whole top domain. */
	if (pattern[1] != '.' || strchr(pattern + 2, '.') == NULL ||
	    strchr(pattern + 1, '*') != NULL)
		return false;
	parent = strchr(name, '.');
	return parent != NULL && parent > name &&
	    strcasecmp(pattern + 1, parent) == 0;
}

bool tls_each_name(struct x509_st *certificate,
    bool (*visit)(void *arg, const char *name), void *arg)
{
	GENERAL_NAMES *names = X509_get_ext_d2i(certificate,
	    NID_subject_alt_name, NULL, NULL);
	bool done = false;
	int i;

	for (i = 0; i < sk_GENERAL_NAME_num(names) && !done; i++) {
		const GENERAL_NAME *name = sk_GENERAL_NAME_value(names, i);
		char text[256];
		int length;

		if (name->type != GEN_DNS)
			continue;
		length = ASN1_STRING_length(name->d.dNSName);
		if (length <= 0 || (size_t)length >= sizeof text)
			continue;
		memcpy(text, ASN1_STRING_get0_data(name->d.dNSName),
		    (size_t)length);
		text[length] = '\0';
		/* A null byte inside would hide what comes behind it. */
		if (strlen(text) == (size_t)length)
			done = visit(arg, text);
	}
	GENERAL_NAMES_free(names);
	return done;
}

/* --- facts --- */

static void copy_name(char *out, size_t size, const X509_NAME *name)
{
	BIO *bio = BIO_new(BIO_s_mem());
	int length;

	if (bio == NULL)
		fatal("tls-memory");
	/* RFC 2253 with control and high bytes escaped: plain ASCII. */
	X509_NAME_print_ex(bio, name, 0, XN_FLAG_RFC2253);
	length = BIO_read(bio, out, (int)size - 1);
	out[length > 0 ? length : 0] = '\0';
	BIO_free(bio);
}

static void copy_time(char *out, size_t size, const ASN1_TIME *when)
{
	struct tm parts;

	*out = '\0';
	if (ASN1_TIME_to_tm(when, &parts) == 1)
		strftime(out, size, "%Y-%m-%dT%H:%M:%SZ", &parts);
}

struct name_list {
	char	*text;
	size_t	 size, length;
};

/* Whole names only, with spaces between; nothing unprintable. */
static bool add_name(void *arg, const char *name)
{
	struct name_list *list = arg;
	size_t space = list->length > 0;

	if (list->length + space + strlen(name) >= list->size)
		return true;
	if (space)
		list->text[list->length++] = ' ';
	for (; *name != '\0'; name++)
		list->text[list->length++] = *name > ' ' && *name < 0x7f ?
		    *name : '?';
	list->text[list->length] = '\0';
	return false;
}

static void fill_shown(struct tls_shown *shown, X509 *certificate)
{
	struct name_list list = { shown->names, sizeof shown->names, 0 };
	unsigned int size = sizeof shown->certificate_digest;
	unsigned char *key = NULL;
	int length;

	if (X509_digest(certificate, EVP_sha256(), shown->certificate_digest,
	    &size) != 1)
		fatal("tls-digest");
	/* The whole SubjectPublicKeyInfo; X509_pubkey_digest() would leave
	 * the algorithm out. */
	length = i2d_X509_PUBKEY(X509_get_X509_PUBKEY(certificate), &key);
	if (length <= 0)
		fatal("tls-digest");
	digest_of(key, (size_t)length, shown->key_digest);
	OPENSSL_free(key);
	copy_name(shown->subject, sizeof shown->subject,
	    X509_get_subject_name(certificate));
	copy_name(shown->issuer, sizeof shown->issuer,
	    X509_get_issuer_name(certificate));
	tls_each_name(certificate, add_name, &list);
	copy_time(shown->not_before, sizeof shown->not_before,
	    X509_get0_notBefore(certificate));
	copy_time(shown->not_after, sizeof shown->not_after,
	    X509_get0_notAfter(certificate));
}

int tls_certificate_read(const char *pem, struct tls_shown *shown)
{
	BIO *bio = tls_open_text(pem);
	X509 *certificate = PEM_read_bio_X509(bio, NULL, NULL, NULL);

	ERR_clear_error();
	BIO_free(bio);
	if (certificate == NULL)
		return -1;
	memset(shown, 0, sizeof *shown);
	fill_shown(shown, certificate);
	X509_free(certificate);
	return 0;
}

static void fill_peer(struct tls_facts *facts, X509 *certificate,
    STACK_OF(X509) *chain)
{
	struct tls_shown *leaf = &facts->chain[0];
	size_t i, count = chain == NULL ? 0 : (size_t)sk_X509_num(chain);

	facts->has_peer = true;
	fill_shown(leaf, certificate);
	facts->chain_count = count > 1 ? count : 1;
	for (i = 1; i < count && i < TLS_CHAIN_MAX; i++)
		fill_shown(&facts->chain[i], sk_X509_value(chain, (int)i));
	memcpy(facts->certificate_digest, leaf->certificate_digest,
	    DIGEST_BYTES);
	memcpy(facts->key_digest, leaf->key_digest, DIGEST_BYTES);
	memcpy(facts->not_after, leaf->not_after, sizeof leaf->not_after);
	copy_name(facts->subject, sizeof facts->subject,
	    X509_get_subject_name(certificate));
	copy_name(facts->issuer, sizeof facts->issuer,
	    X509_get_issuer_name(certificate));
}

void tls_facts_fill(struct tls_facts *facts, struct ssl_st *ssl)
{
	X509 *certificate = SSL_get0_peer_certificate(ssl);
	int group = (int)SSL_get_negotiated_group(ssl);
	const char *name;

	memset(facts, 0, sizeof *facts);
	snprintf(facts->version, sizeof facts->version, "%s",
	    SSL_get_version(ssl));
	snprintf(facts->cipher, sizeof facts->cipher, "%s",
	    SSL_get_cipher_name(ssl));
	facts->bits = SSL_get_cipher_bits(ssl, NULL);
	facts->resumed = SSL_session_reused(ssl) == 1;
	name = EC_curve_nid2nist(group);
	if (name == NULL && group != NID_undef)
		name = OBJ_nid2sn(group);
	snprintf(facts->group, sizeof facts->group, "%s",
	    name != NULL ? name : "");
	/* A client's chain begins with the leaf, a server's behind it. */
	if (certificate != NULL)
		fill_peer(facts, certificate, SSL_is_server(ssl) ? NULL :
		    SSL_get_peer_cert_chain(ssl));
}

bool tls_is_acceptable(struct ssl_st *ssl)
{
	return SSL_version(ssl) != TLS1_2_VERSION ||
	    SSL_get_secure_renegotiation_support(ssl) == 1;
}

/* --- errors --- */

bool tls_error_is_end(void)
{
	unsigned long error = ERR_peek_error();

	return ERR_GET_LIB(error) == ERR_LIB_SSL &&
	    ERR_GET_REASON(error) == SSL_R_UNEXPECTED_EOF_WHILE_READING;
}

/* OpenSSL's words are for people who know its record layer. */
static const char *own_words(unsigned long error)
{
	if (ERR_GET_LIB(error) != ERR_LIB_SSL)
		return NULL;
	switch (ERR_GET_REASON(error)) {
	case SSL_R_WRONG_VERSION_NUMBER:
	case SSL_R_HTTP_REQUEST:
	case SSL_R_HTTPS_PROXY_REQUEST:
		return "peer sent clear text instead of TLS";
	case SSL_R_UNEXPECTED_EOF_WHILE_READING:
		return "the peer closed the connection";
	case SSL_R_UNSUPPORTED_PROTOCOL:
		return "unsupported protocol: the peer has no TLS 1.2 or 1.3";
	case SSL_R_NO_SHARED_CIPHER:
		return "no shared cipher";
	case SSL_R_UNSAFE_LEGACY_RENEGOTIATION_DISABLED:
		return "the peer lacks secure renegotiation (RFC 5746)";
	default:
		return NULL;
	}
}

void tls_describe_error(char *out, size_t size, const char *fallback)
{
	unsigned long error = ERR_peek_error();
	const char *words = own_words(error);

	if (words == NULL)
		words = ERR_reason_error_string(error);
	snprintf(out, size, "%s", words != NULL ? words : fallback);
	ERR_clear_error();
}
