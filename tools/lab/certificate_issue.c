/* SPDX-License-Identifier: ISC */
/*
 * What is in a certificate, field by field. Names are put together from bytes
 * and not from OpenSSL's text forms: a comma would end a name there, and a NUL
 * could not be in one.
 */
#include "tools/lab/certificate_issue.h"

#include <openssl/evp.h>
#include <openssl/rand.h>
#include <openssl/rsa.h>
#include <openssl/x509v3.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"

/* A verifier may allow a day of wrong clock, so dates are two off at least. */
enum { DAYS_OFF = 3, DAYS_LONG = 60 };
enum { COMMON_NAME_MAX = 64 };		/* X.520 */

struct kept_key {
	char		*name;		/* owned */
	EVP_PKEY	*key;		/* owned */
	struct kept_key	*next;		/* owned */
};

/* Keys that have a name; they live as long as the process. */
static struct kept_key *kept_keys;

void lab_pair_need(bool worked, const char *what)
{
	if (!worked)
		fatal("lab-certificate", log_text("failed", what));
}

void lab_pair_release(struct lab_pair *pair)
{
	X509_free(pair->x509);
	EVP_PKEY_free(pair->key);
}

/* --- keys --- */

static EVP_PKEY *new_key(enum lab_key kind)
{
	switch (kind) {
	case LAB_KEY_P256:
		return EVP_EC_gen("P-256");
	case LAB_KEY_P384:
		return EVP_EC_gen("P-384");
	case LAB_KEY_ED25519:
		return EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
	case LAB_KEY_RSA2048:
		return EVP_RSA_gen(2048);
	case LAB_KEY_RSA1024:
		return EVP_RSA_gen(1024);
	default:
		bug("lab-key");
	}
}

/* A reference of the caller's own. */
static EVP_PKEY *find_key(const struct lab_order *order)
{
	struct kept_key *kept = kept_keys;

	if (order->key_name == NULL)
		return new_key(order->key);
	while (kept != NULL && strcmp(kept->name, order->key_name) != 0)
		kept = kept->next;
	if (kept == NULL) {
		kept = mem_alloc(sizeof(*kept));
		kept->name = mem_print("%s", order->key_name);
		kept->key = new_key(order->key);
		kept->next = kept_keys;
		kept_keys = kept;
	}
	lab_pair_need(kept->key != NULL && EVP_PKEY_up_ref(kept->key) == 1,
	    "key");
	return kept->key;
}

/* --- names --- */

static int digit_of(char c)
{
	const char *digits = "0123456789abcdef", *at;

	at = c != '\0' ? strchr(digits, c >= 'A' && c <= 'F' ? c + 32 : c) :
	    NULL;
	return at != NULL ? (int)(at - digits) : -1;
}

/* Bytes, as many as length says; owned by the caller. */
static unsigned char *decode(const char *text, int *length)
{
	unsigned char *bytes = mem_alloc(strlen(text) + 1);
	int count = 0;

	for (; *text != '\0'; text++) {
		bytes[count] = (unsigned char)*text;
		if (*text == '%' && digit_of(text[1]) != -1 &&
		    digit_of(text[2]) != -1) {
			bytes[count] = (unsigned char)(digit_of(text[1]) * 16 +
			    digit_of(text[2]));
			text += 2;
		}
		count++;
	}
	*length = count;
	return bytes;
}

static void add_subject(X509 *x509, int kind, const char *text)
{
	X509_NAME *name = X509_get_subject_name(x509);
	int length;
	unsigned char *bytes = decode(text, &length);

	/* A longer name has its SAN only. */
	if (length > 0 && length <= COMMON_NAME_MAX)
		lab_pair_need(X509_NAME_add_entry_by_NID(name, kind,
		    V_ASN1_UTF8STRING, bytes, length, -1, 0) == 1, text);
	mem_free(bytes);
}

static void add_dns_name(GENERAL_NAMES *list, const char *text)
{
	GENERAL_NAME *name = GENERAL_NAME_new();
	ASN1_IA5STRING *value = ASN1_IA5STRING_new();
	int length;
	unsigned char *bytes = decode(text, &length);

	lab_pair_need(name != NULL && value != NULL &&
	    ASN1_STRING_set(value, bytes, length) == 1 &&
	    sk_GENERAL_NAME_push(list, name) > 0, text);
	GENERAL_NAME_set0_value(name, GEN_DNS, value);
	mem_free(bytes);
}

static void add_address(GENERAL_NAMES *list, const char *text)
{
	GENERAL_NAME *name = GENERAL_NAME_new();
	ASN1_OCTET_STRING *value = a2i_IPADDRESS(text);

	lab_pair_need(name != NULL && value != NULL &&
	    sk_GENERAL_NAME_push(list, name) > 0, text);
	GENERAL_NAME_set0_value(name, GEN_IPADD, value);
}

static void add_names(X509 *x509, const struct lab_order *order)
{
	GENERAL_NAMES *list = GENERAL_NAMES_new();
	size_t i;

	lab_pair_need(list != NULL, "names");
	for (i = 0; order->names != NULL && i < order->names->count; i++)
		add_dns_name(list, order->names->items[i]);
	for (i = 0; order->addresses != NULL && i < order->addresses->count;
	    i++)
		add_address(list, order->addresses->items[i]);
	if (sk_GENERAL_NAME_num(list) > 0)
		lab_pair_need(X509_add1_ext_i2d(x509, NID_subject_alt_name,
		    list, 0, 0) == 1, "names");
	GENERAL_NAMES_free(list);
}

/* --- the rest of it --- */

static void add_extension(X509 *x509, X509 *issuer, int kind,
    const char *value)
{
	X509V3_CTX context;
	X509_EXTENSION *extension;

	X509V3_set_ctx(&context, issuer, x509, NULL, NULL, 0);
	extension = X509V3_EXT_conf_nid(NULL, &context, kind, value);
	lab_pair_need(extension != NULL, value);
	lab_pair_need(X509_add_ext(x509, extension, -1) == 1, value);
	X509_EXTENSION_free(extension);
}

static bool is_rsa(enum lab_key kind)
{
	return kind == LAB_KEY_RSA2048 || kind == LAB_KEY_RSA1024;
}

static void add_extensions(X509 *x509, X509 *issuer,
    const struct lab_order *order)
{
	add_extension(x509, issuer, NID_subject_key_identifier, "hash");
	if (issuer != x509)
		add_extension(x509, issuer, NID_authority_key_identifier,
		    "keyid:always");
	add_extension(x509, issuer, NID_basic_constraints,
	    order->authority ? "critical,CA:TRUE" : "critical,CA:FALSE");
	/* Key exchange by RSA itself, in old versions, wants the second. */
	add_extension(x509, issuer, NID_key_usage, order->signs ?
	    "critical,keyCertSign,cRLSign" : is_rsa(order->key) ?
	    "critical,digitalSignature,keyEncipherment" :
	    "critical,digitalSignature");
	if (!order->signs && order->usage != LAB_USAGE_NONE)
		add_extension(x509, issuer, NID_ext_key_usage, order->usage ==
		    LAB_USAGE_SERVER ? "serverAuth" : "clientAuth");
	add_names(x509, order);
}

static void set_dates(X509 *x509, enum lab_validity validity)
{
	const long day = 24 * 60 * 60;
	long from = -DAYS_OFF, until = DAYS_LONG;

	if (validity == LAB_EXPIRED) {
		from = -DAYS_LONG;
		until = -DAYS_OFF;
	} else if (validity == LAB_FUTURE) {
		from = DAYS_OFF;
	}
	X509_gmtime_adj(X509_getm_notBefore(x509), from * day);
	X509_gmtime_adj(X509_getm_notAfter(x509), until * day);
}

static void set_serial(X509 *x509)
{
	unsigned char bytes[8];
	BIGNUM *number;

	lab_pair_need(RAND_bytes(bytes, sizeof(bytes)) == 1, "serial");
	bytes[0] = (bytes[0] & 0x7f) | 0x40;	/* positive, never short */
	number = BN_bin2bn(bytes, sizeof(bytes), NULL);
	lab_pair_need(number != NULL && BN_to_ASN1_INTEGER(number,
	    X509_get_serialNumber(x509)) != NULL, "serial");
	BN_free(number);
}

/* Null for a key that digests in its own way (RFC 8410 3). */
static const EVP_MD *digest_for(const EVP_PKEY *signer,
    enum lab_digest digest)
{
	if (EVP_PKEY_is_a(signer, "ED25519"))
		return NULL;
	return digest == LAB_DIGEST_MD5 ? EVP_md5() :
	    digest == LAB_DIGEST_SHA1 ? EVP_sha1() : EVP_sha256();
}

struct lab_pair lab_pair_issue(const struct lab_order *order)
{
	struct lab_pair pair = { X509_new(), find_key(order) };
	const struct lab_pair *issuer = order->issuer != NULL ?
	    order->issuer : &pair;

	lab_pair_need(pair.x509 != NULL && pair.key != NULL, "key");
	X509_set_version(pair.x509, X509_VERSION_3);
	set_serial(pair.x509);
	add_subject(pair.x509, NID_organizationName, order->organization);
	add_subject(pair.x509, NID_commonName, order->common_name);
	X509_set_issuer_name(pair.x509, X509_get_subject_name(issuer->x509));
	lab_pair_need(X509_set_pubkey(pair.x509, pair.key) == 1, "public key");
	set_dates(pair.x509, order->validity);
	add_extensions(pair.x509, issuer->x509, order);
	lab_pair_need(X509_sign(pair.x509, issuer->key, digest_for(issuer->key,
	    order->digest)) > 0, "signature");
	return pair;
}
