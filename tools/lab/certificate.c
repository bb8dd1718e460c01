/* SPDX-License-Identifier: ISC */
/*
 * Four authorities, new for each run: the one the sender trusts, the one
 * nobody trusts, the one whose root is shown, and the impostors'. Each
 * certificate is issued by one of the first three, where asked for through an
 * intermediate of its own; its impostor has the same names, dates and form of
 * chain, but is of the fourth, so that no record made for any certificate fits
 * any impostor. Making them cannot fail unless OpenSSL does, and that ends the
 * process.
 */
#include "tools/lab/certificate.h"

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509v3.h>
#include <string.h>

#include "base/arena.h"
#include "base/log.h"

/* A verifier may allow a day of wrong clock, so dates are two off at least. */
enum { DAYS_OFF = 3, DAYS_LONG = 60 };

struct pair {
	X509		*x509;		/* owned */
	EVP_PKEY	*key;		/* owned */
};

struct authorities {
	struct pair	 trusted, other, private, impostors;
};

/* What a certificate is to be. */
struct order {
	const char		*common_name;	/* "": no subject */
	const struct lab_texts	*names;		/* SAN; null or empty: none */
	const struct pair	*issuer;	/* null: itself */
	bool			 authority;
	enum lab_validity	 validity;
};

static void need(bool worked, const char *what)
{
	if (!worked)
		fatal("lab-certificate", log_text("failed", what));
}

static void release(struct pair *pair)
{
	X509_free(pair->x509);
	EVP_PKEY_free(pair->key);
}

static void add_extension(X509 *x509, X509 *issuer, int kind,
    const char *value)
{
	X509V3_CTX context;
	X509_EXTENSION *extension;

	X509V3_set_ctx(&context, issuer, x509, NULL, NULL, 0);
	extension = X509V3_EXT_conf_nid(NULL, &context, kind, value);
	need(extension != NULL, value);
	need(X509_add_ext(x509, extension, -1) == 1, value);
	X509_EXTENSION_free(extension);
}

/* Put together by hand: in OpenSSL's text form a comma in a name would end
 * it. */
static void add_names(X509 *x509, const struct lab_texts *names)
{
	GENERAL_NAMES *list = GENERAL_NAMES_new();
	size_t i;

	need(list != NULL, "names");
	for (i = 0; i < names->count; i++) {
		GENERAL_NAME *name = GENERAL_NAME_new();
		ASN1_IA5STRING *text = ASN1_IA5STRING_new();

		need(name != NULL && text != NULL &&
		    ASN1_STRING_set(text, names->items[i], -1) == 1 &&
		    sk_GENERAL_NAME_push(list, name) > 0, "name");
		GENERAL_NAME_set0_value(name, GEN_DNS, text);
	}
	need(X509_add1_ext_i2d(x509, NID_subject_alt_name, list, 0, 0) == 1,
	    "names");
	GENERAL_NAMES_free(list);
}

static void add_extensions(X509 *x509, X509 *issuer,
    const struct order *order)
{
	add_extension(x509, issuer, NID_subject_key_identifier, "hash");
	if (issuer != x509)
		add_extension(x509, issuer, NID_authority_key_identifier,
		    "keyid:always");
	add_extension(x509, issuer, NID_basic_constraints,
	    order->authority ? "critical,CA:TRUE" : "critical,CA:FALSE");
	add_extension(x509, issuer, NID_key_usage, order->authority ?
	    "critical,keyCertSign,cRLSign" : "critical,digitalSignature");
	if (!order->authority)
		add_extension(x509, issuer, NID_ext_key_usage, "serverAuth");
	if (order->names != NULL && order->names->count > 0)
		add_names(x509, order->names);
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

	need(RAND_bytes(bytes, sizeof(bytes)) == 1, "serial");
	bytes[0] = (bytes[0] & 0x7f) | 0x40;	/* positive, never short */
	number = BN_bin2bn(bytes, sizeof(bytes), NULL);
	need(number != NULL && BN_to_ASN1_INTEGER(number,
	    X509_get_serialNumber(x509)) != NULL, "serial");
	BN_free(number);
}

static struct pair make(const struct order *order)
{
	struct pair pair = { X509_new(), EVP_EC_gen("P-256") };
	X509 *issuer;

	need(pair.x509 != NULL && pair.key != NULL, "key");
	issuer = order->issuer != NULL ? order->issuer->x509 : pair.x509;
	X509_set_version(pair.x509, X509_VERSION_3);
	set_serial(pair.x509);
	/* X.520 allows 64 characters: a longer name has its SAN only. */
	if (*order->common_name != '\0' && strlen(order->common_name) <= 64)
		need(X509_NAME_add_entry_by_txt(
		    X509_get_subject_name(pair.x509), "CN", MBSTRING_UTF8,
		    (const unsigned char *)order->common_name, -1, -1, 0) == 1,
		    "common name");
	X509_set_issuer_name(pair.x509, X509_get_subject_name(issuer));
	need(X509_set_pubkey(pair.x509, pair.key) == 1, "public key");
	set_dates(pair.x509, order->validity);
	add_extensions(pair.x509, issuer, order);
	need(X509_sign(pair.x509, order->issuer != NULL ? order->issuer->key :
	    pair.key, EVP_sha256()) > 0, "signature");
	return pair;
}

static struct pair make_authority(const char *name, const struct pair *issuer)
{
	const struct order order = { .common_name = name, .issuer = issuer,
	    .authority = true };

	return make(&order);
}

static void add_pem(BIO *bio, const struct pair *pair)
{
	need(PEM_write_bio_X509(bio, pair->x509) == 1, "PEM");
}

static char *take_text(BIO *bio, struct arena *arena)
{
	char *data, *text;
	long length = BIO_get_mem_data(bio, &data);

	text = arena_dup_text(arena, data, (size_t)length);
	BIO_free(bio);
	return text;
}

static uint8_t *take_der(const struct pair *pair, size_t *length,
    struct arena *arena)
{
	unsigned char *der = NULL;
	int size = i2d_X509(pair->x509, &der);
	uint8_t *copy;

	need(size > 0, "DER");
	copy = arena_dup(arena, der, (size_t)size);
	*length = (size_t)size;
	OPENSSL_free(der);
	return copy;
}

static char *key_text(const struct pair *pair, struct arena *arena)
{
	BIO *bio = BIO_new(BIO_s_mem());

	need(bio != NULL && PEM_write_bio_PrivateKey(bio, pair->key, NULL,
	    NULL, 0, NULL, NULL) == 1, "key PEM");
	return take_text(bio, arena);
}

static const char *subject(const struct lab_certificate *certificate)
{
	if (*certificate->common_name != '\0')
		return certificate->common_name;
	return certificate->names.count > 0 ? certificate->names.items[0] :
	    certificate->name;
}

/* root is null for a certificate that signs itself. */
static struct lab_identity identify(const struct lab_certificate *certificate,
    const struct pair *root, struct arena *arena)
{
	struct lab_identity identity = { .name = certificate->name };
	struct order order = { .common_name = subject(certificate),
	    .names = &certificate->names, .issuer = root,
	    .validity = certificate->validity };
	struct pair between = { NULL, NULL }, leaf;
	BIO *chain = BIO_new(BIO_s_mem());

	need(chain != NULL, "memory");
	if (certificate->intermediate && root != NULL) {
		between = make_authority("Postern Lab Intermediate", root);
		identity.intermediate = take_der(&between,
		    &identity.intermediate_length, arena);
		order.issuer = &between;
	}
	leaf = make(&order);
	add_pem(chain, &leaf);
	if (certificate->send_chain && between.x509 != NULL)
		add_pem(chain, &between);
	if (certificate->send_chain && root != NULL &&
	    certificate->issuer == LAB_ISSUER_PRIVATE)
		add_pem(chain, root);
	identity.chain_pem = take_text(chain, arena);
	identity.key_pem = key_text(&leaf, arena);
	identity.leaf = take_der(&leaf, &identity.leaf_length, arena);
	identity.root = take_der(root != NULL ? root : &leaf,
	    &identity.root_length, arena);
	release(&leaf);
	release(&between);
	return identity;
}

static const struct pair *issuer_of(const struct lab_certificate *certificate,
    const struct authorities *authorities)
{
	switch (certificate->issuer) {
	case LAB_ISSUER_CA:
		return &authorities->trusted;
	case LAB_ISSUER_SELF:
		return NULL;
	case LAB_ISSUER_OTHER:
		return &authorities->other;
	case LAB_ISSUER_PRIVATE:
		return &authorities->private;
	default:
		bug("lab-issuer");
	}
}

struct lab_identities *lab_identities_new(const struct lab_world *world,
    struct arena *arena)
{
	struct lab_identities *identities = arena_alloc(arena,
	    sizeof(*identities));
	struct authorities authorities = {
		.trusted = make_authority("Postern Lab Authority", NULL),
		.other = make_authority("Authority of Nobody", NULL),
		.private = make_authority("Private Root", NULL),
		.impostors = make_authority("Authority of Impostors", NULL)
	};
	BIO *ca = BIO_new(BIO_s_mem());
	size_t i;

	need(ca != NULL, "memory");
	add_pem(ca, &authorities.trusted);
	identities->ca_pem = take_text(ca, arena);
	identities->count = world->certificate_count;
	identities->items = arena_alloc_array(arena, identities->count + 1,
	    sizeof(*identities->items));
	identities->impostors = arena_alloc_array(arena,
	    identities->count + 1, sizeof(*identities->impostors));
	for (i = 0; i < identities->count; i++) {
		const struct lab_certificate *certificate =
		    &world->certificates[i];

		identities->items[i] = identify(certificate,
		    issuer_of(certificate, &authorities), arena);
		identities->impostors[i] = identify(certificate,
		    &authorities.impostors, arena);
	}
	release(&authorities.trusted);
	release(&authorities.other);
	release(&authorities.private);
	release(&authorities.impostors);
	return identities;
}

const struct lab_identity *lab_identity_find(
    const struct lab_identities *identities, const char *name)
{
	size_t i;

	for (i = 0; i < identities->count; i++)
		if (strcmp(identities->items[i].name, name) == 0)
			return &identities->items[i];
	return NULL;
}

/* The SubjectPublicKeyInfo of a certificate; owned by the caller. */
static unsigned char *public_key(const uint8_t *der, size_t length,
    size_t *key_length)
{
	const unsigned char *end = der;
	X509 *x509 = d2i_X509(NULL, &end, (long)length);
	unsigned char *key = NULL;
	int size;

	need(x509 != NULL, "certificate of our own");
	size = i2d_X509_PUBKEY(X509_get_X509_PUBKEY(x509), &key);
	need(size > 0, "public key");
	X509_free(x509);
	*key_length = (size_t)size;
	return key;
}

static char *hexadecimal(const unsigned char *data, size_t length,
    struct arena *arena)
{
	static const char digits[] = "0123456789abcdef";
	char *text = arena_alloc(arena, length * 2 + 1);
	size_t i;

	for (i = 0; i < length; i++) {
		text[i * 2] = digits[data[i] >> 4];
		text[i * 2 + 1] = digits[data[i] & 15];
	}
	return text;
}

char *lab_tlsa_data(const struct lab_identity *identity, int usage,
    int selector, int matching, struct arena *arena)
{
	bool of_issuer = usage == 0 || usage == 2;
	const uint8_t *der = of_issuer ? identity->root : identity->leaf;
	size_t length = of_issuer ? identity->root_length :
	    identity->leaf_length;
	unsigned char digest[EVP_MAX_MD_SIZE], *key = NULL;
	unsigned size;
	char *text;

	if (usage < 0 || usage > 3 || selector < 0 || selector > 1 ||
	    matching < 0 || matching > 2)
		return NULL;
	if (selector == 1)
		der = key = public_key(der, length, &length);
	if (matching == 0) {
		text = hexadecimal(der, length, arena);
	} else {
		need(EVP_Digest(der, length, digest, &size, matching == 1 ?
		    EVP_sha256() : EVP_sha512(), NULL) == 1, "digest");
		text = hexadecimal(digest, size, arena);
	}
	OPENSSL_free(key);
	return text;
}
