/* SPDX-License-Identifier: ISC */
/*
 * Four authorities, new for each run: the one the sender trusts, the one
 * nobody trusts, the one whose root is shown, and the impostors'. Each
 * certificate is issued by one of the first three, where asked for through
 * intermediates of its own; its impostor is of the same form in everything,
 * but of the fourth (or of itself, where the true one is), with other keys, so
 * that no record made for any certificate fits any impostor.
 *
 * All authorities have P-256 keys; MD5 goes with RSA only, so there each has a
 * second face, made when it is asked for.
 */
#include "tools/lab/certificate.h"

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <string.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/log.h"
#include "base/mem.h"
#include "tools/lab/certificate_issue.h"

enum { KEY_NAME_MAX = 1 << 20 };	/* a scenario file has no more */

struct authority {
	const char	*name;
	struct lab_pair	 pair;		/* owned */
	struct lab_pair	 old;		/* owned; RSA; null until wanted */
};

struct authorities {
	struct authority	 trusted, other, private, impostors;
};

/* A chain as it was made; all but the root are owned. */
struct made {
	struct lab_pair		 leaf;
	struct lab_pair		*between;	/* the leaf's issuer first */
	size_t			 count;
	const struct lab_pair	*root;		/* null: the leaf itself */
};

/* --- authorities --- */

static struct lab_pair make_authority(const char *name,
    const struct lab_pair *issuer, enum lab_key key)
{
	const struct lab_order order = { .common_name = name,
	    .organization = "", .issuer = issuer, .signs = true,
	    .authority = true, .key = key };

	return lab_pair_issue(&order);
}

static void authority_init(struct authority *authority, const char *name)
{
	authority->name = name;
	authority->pair = make_authority(name, NULL, LAB_KEY_P256);
	authority->old = (struct lab_pair){ NULL, NULL };
}

static void authority_release(struct authority *authority)
{
	lab_pair_release(&authority->pair);
	lab_pair_release(&authority->old);
}

/* RSA keys are slow to make, so the face for MD5 keeps its key. */
static const struct lab_pair *old_face(struct authority *authority)
{
	struct lab_order order = { .organization = "", .signs = true,
	    .authority = true, .key = LAB_KEY_RSA2048 };
	char *name;

	if (authority->old.x509 == NULL) {
		name = mem_print("%s of old", authority->name);
		order.common_name = order.key_name = name;
		authority->old = lab_pair_issue(&order);
		mem_free(name);
	}
	return &authority->old;
}

/* Who is to sign with this digest in the authority's name. */
static const struct lab_pair *face_of(struct authority *authority,
    enum lab_digest digest)
{
	return digest == LAB_DIGEST_MD5 ? old_face(authority) :
	    &authority->pair;
}

/* --- one chain --- */

static const char *subject(const struct lab_certificate *certificate)
{
	if (*certificate->common_name != '\0')
		return certificate->common_name;
	return certificate->names.count > 0 ? certificate->names.items[0] :
	    certificate->name;
}

/* All that a certificate says of itself: as long as it says the same, its key
 * is the same in all worlds of a run. Owned by the caller. */
static char *key_name(const struct lab_certificate *certificate,
    const char *who)
{
	struct buf text;
	size_t i;

	buf_init(&text, KEY_NAME_MAX);
	buf_print(&text, "%s %s %d %d %d %d %d %d %d %d %d %s %s", who,
	    certificate->name, (int)certificate->issuer,
	    (int)certificate->validity, (int)certificate->key,
	    (int)certificate->digest, (int)certificate->usage,
	    (int)certificate->intermediates,
	    (int)certificate->issuer_validity,
	    (int)certificate->issuer_authority, (int)certificate->chain,
	    certificate->common_name, certificate->organization);
	for (i = 0; i < certificate->names.count; i++)
		buf_print(&text, "\n%s", certificate->names.items[i]);
	for (i = 0; i < certificate->addresses.count; i++)
		buf_print(&text, "\n%s", certificate->addresses.items[i]);
	return buf_take(&text);
}

/* From the root down; the last one made is the leaf's issuer and first. */
static void make_between(struct made *made,
    const struct lab_certificate *certificate)
{
	const struct lab_pair *issuer = made->root;
	size_t i;

	made->count = (size_t)certificate->intermediates;
	made->between = mem_alloc_array(made->count + 1,
	    sizeof(*made->between));
	for (i = made->count; i-- > 0; issuer = &made->between[i]) {
		char *name = i == 0 ? mem_print("Postern Lab Intermediate") :
		    mem_print("Postern Lab Intermediate %zu", i + 1);
		struct lab_order order = { .common_name = name,
		    .organization = "", .issuer = issuer, .signs = true,
		    .authority = true };

		if (i == 0) {
			order.validity = certificate->issuer_validity;
			order.authority = certificate->issuer_authority;
			/* It has to sign the leaf with this digest. */
			if (certificate->digest == LAB_DIGEST_MD5)
				order.key = LAB_KEY_RSA2048;
		}
		made->between[i] = lab_pair_issue(&order);
		mem_free(name);
	}
}

/* authority null: it signs itself. */
static void make_chain(struct made *made,
    const struct lab_certificate *certificate, struct authority *authority,
    const char *who)
{
	bool direct = certificate->intermediates == 0;
	char *key = key_name(certificate, who);
	struct lab_order order = { .common_name = subject(certificate),
	    .organization = certificate->organization,
	    .names = &certificate->names,
	    .addresses = &certificate->addresses,
	    .validity = certificate->validity, .key = certificate->key,
	    .digest = certificate->digest, .usage = certificate->usage,
	    .key_name = key };

	*made = (struct made){ .root = NULL };
	if (authority != NULL) {
		made->root = direct ? face_of(authority, certificate->digest) :
		    &authority->pair;
		make_between(made, certificate);
		order.issuer = direct ? made->root : &made->between[0];
	}
	made->leaf = lab_pair_issue(&order);
	mem_free(key);
}

static void made_release(struct made *made)
{
	size_t i;

	for (i = 0; i < made->count; i++)
		lab_pair_release(&made->between[i]);
	mem_free(made->between);
	lab_pair_release(&made->leaf);
}

/* --- what is shown of it --- */

static void add_pem(BIO *bio, const struct lab_pair *pair)
{
	lab_pair_need(PEM_write_bio_X509(bio, pair->x509) == 1, "PEM");
}

/* An authority of nothing here. */
static void add_stranger(BIO *bio, size_t number)
{
	char *name = mem_print("Stranger %zu", number + 1);
	struct lab_pair stranger = make_authority(name, NULL, LAB_KEY_P256);

	add_pem(bio, &stranger);
	lab_pair_release(&stranger);
	mem_free(name);
}

static void add_others(BIO *bio, const struct lab_pair *const *others,
    size_t count, enum lab_chain chain)
{
	size_t i;

	for (i = 0; i < count; i++) {
		const struct lab_pair *next = others[chain ==
		    LAB_CHAIN_REVERSED ? count - 1 - i : i];

		if (chain == LAB_CHAIN_SURPLUS)
			add_stranger(bio, i);
		if (chain == LAB_CHAIN_GAP && i == 0)
			continue;
		add_pem(bio, next);
		if (chain == LAB_CHAIN_DOUBLED)
			add_pem(bio, next);
	}
	if (chain == LAB_CHAIN_SURPLUS)
		add_stranger(bio, count);
}

/* The leaf comes first in every form: RFC 8446 4.4.2. */
static void show(BIO *bio, const struct made *made,
    const struct lab_certificate *certificate)
{
	const struct lab_pair **others = mem_alloc_array(made->count + 1,
	    sizeof(*others));
	size_t count;

	for (count = 0; count < made->count; count++)
		others[count] = &made->between[count];
	if (made->root != NULL && certificate->issuer == LAB_ISSUER_PRIVATE &&
	    certificate->chain != LAB_CHAIN_NO_ROOT)
		others[count++] = made->root;
	add_pem(bio, &made->leaf);
	if (certificate->chain != LAB_CHAIN_LEAF)
		add_others(bio, others, count, certificate->chain);
	mem_free(others);
}

static char *take_text(BIO *bio, struct arena *arena)
{
	char *data, *text;
	long length = BIO_get_mem_data(bio, &data);

	text = arena_dup_text(arena, data, (size_t)length);
	BIO_free(bio);
	return text;
}

static uint8_t *take_der(const struct lab_pair *pair, size_t *length,
    struct arena *arena)
{
	unsigned char *der = NULL;
	int size = i2d_X509(pair->x509, &der);
	uint8_t *copy;

	lab_pair_need(size > 0, "DER");
	copy = arena_dup(arena, der, (size_t)size);
	*length = (size_t)size;
	OPENSSL_free(der);
	return copy;
}

static char *key_text(const struct lab_pair *pair, struct arena *arena)
{
	BIO *bio = BIO_new(BIO_s_mem());

	lab_pair_need(bio != NULL && PEM_write_bio_PrivateKey(bio, pair->key,
	    NULL, NULL, 0, NULL, NULL) == 1, "key PEM");
	return take_text(bio, arena);
}

static struct lab_identity identify(const struct lab_certificate *certificate,
    struct authority *authority, const char *who, struct arena *arena)
{
	struct lab_identity identity = { .name = certificate->name };
	BIO *chain = BIO_new(BIO_s_mem());
	struct made made;

	lab_pair_need(chain != NULL, "memory");
	make_chain(&made, certificate, authority, who);
	show(chain, &made, certificate);
	identity.chain_pem = take_text(chain, arena);
	identity.key_pem = key_text(&made.leaf, arena);
	identity.leaf = take_der(&made.leaf, &identity.leaf_length, arena);
	identity.root = take_der(made.root != NULL ? made.root : &made.leaf,
	    &identity.root_length, arena);
	if (made.count > 0)
		identity.intermediate = take_der(&made.between[0],
		    &identity.intermediate_length, arena);
	made_release(&made);
	return identity;
}

/* Null for what signs itself. */
static struct authority *issuer_of(const struct lab_certificate *certificate,
    struct authorities *authorities)
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

static void identify_both(struct lab_identities *identities, size_t i,
    const struct lab_certificate *certificate,
    struct authorities *authorities, struct arena *arena)
{
	struct authority *issuer = issuer_of(certificate, authorities);

	identities->items[i] = identify(certificate, issuer, "true", arena);
	identities->impostors[i] = identify(certificate, issuer != NULL ?
	    &authorities->impostors : NULL, "impostor", arena);
}

static char *trusted_text(const struct authorities *authorities,
    struct arena *arena)
{
	BIO *bio = BIO_new(BIO_s_mem());

	lab_pair_need(bio != NULL, "memory");
	add_pem(bio, &authorities->trusted.pair);
	if (authorities->trusted.old.x509 != NULL)
		add_pem(bio, &authorities->trusted.old);
	return take_text(bio, arena);
}

struct lab_identities *lab_identities_new(const struct lab_world *world,
    struct arena *arena)
{
	struct lab_identities *identities = arena_alloc(arena,
	    sizeof(*identities));
	struct authorities authorities;
	size_t i;

	authority_init(&authorities.trusted, "Postern Lab Authority");
	authority_init(&authorities.other, "Authority of Nobody");
	authority_init(&authorities.private, "Private Root");
	authority_init(&authorities.impostors, "Authority of Impostors");
	identities->count = world->certificate_count;
	identities->items = arena_alloc_array(arena, identities->count + 1,
	    sizeof(*identities->items));
	identities->impostors = arena_alloc_array(arena,
	    identities->count + 1, sizeof(*identities->impostors));
	for (i = 0; i < identities->count; i++)
		identify_both(identities, i, &world->certificates[i],
		    &authorities, arena);
	identities->ca_pem = trusted_text(&authorities, arena);
	authority_release(&authorities.trusted);
	authority_release(&authorities.other);
	authority_release(&authorities.private);
	authority_release(&authorities.impostors);
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

	lab_pair_need(x509 != NULL, "certificate of our own");
	size = i2d_X509_PUBKEY(X509_get_X509_PUBKEY(x509), &key);
	lab_pair_need(size > 0, "public key");
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

/* Which of a chain's certificates; what signs itself is its own issuer. */
static const uint8_t *part_of(const struct lab_identity *identity,
    const struct lab_tlsa_form *form, size_t *length)
{
	bool by_root = form->of == LAB_TLSA_ROOT ||
	    (form->of == LAB_TLSA_BY_USAGE && (form->usage == 0 ||
	    form->usage == 2)) || (form->of == LAB_TLSA_ISSUER &&
	    identity->intermediate == NULL);

	if (by_root) {
		*length = identity->root_length;
		return identity->root;
	}
	if (form->of == LAB_TLSA_ISSUER) {
		*length = identity->intermediate_length;
		return identity->intermediate;
	}
	*length = identity->leaf_length;
	return identity->leaf;
}

char *lab_tlsa_data(const struct lab_identity *identity,
    const struct lab_tlsa_form *form, struct arena *arena)
{
	unsigned char digest[EVP_MAX_MD_SIZE], *key = NULL;
	const uint8_t *der;
	size_t length;
	unsigned size;
	char *text;

	if (form->usage < 0 || form->usage > 255 || form->selector < 0 ||
	    form->selector > 1 || form->matching < 0 || form->matching > 2)
		return NULL;
	der = part_of(identity, form, &length);
	if (form->selector == 1)
		der = key = public_key(der, length, &length);
	if (form->matching == 0) {
		text = hexadecimal(der, length, arena);
	} else {
		lab_pair_need(EVP_Digest(der, length, digest, &size,
		    form->matching == 1 ? EVP_sha256() : EVP_sha512(), NULL) ==
		    1, "digest");
		text = hexadecimal(digest, size, arena);
	}
	OPENSSL_free(key);
	return text;
}
