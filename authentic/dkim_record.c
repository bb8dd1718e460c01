/* SPDX-License-Identifier: ISC */
/*
 * OpenSSL reads and judges the keys. Whatever it has to say about bytes of
 * others is forgotten at once: its error queue belongs to the next TLS call.
 */
#include "authentic/dkim_record.h"

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/x509.h>
#include <string.h>

#include "authentic/dkim_tags.h"

/* A key of 4096 bits has about 550; an exponent beyond 64 bits is made only to
 * cost us time. */
enum { KEY_BYTES_MAX = 1100, ED25519_BYTES = 32, RSA_BITS_MIN = 1024,
    RSA_BITS_MAX = 4096, EXPONENT_BITS_MAX = 64 };

static const char *judge_rsa(EVP_PKEY *key)
{
	BIGNUM *exponent = NULL;
	const char *wrong = NULL;
	int bits = EVP_PKEY_get_bits(key);

	if (bits < RSA_BITS_MIN)
		wrong = "the RSA key has less than 1024 bits";
	else if (bits > RSA_BITS_MAX)
		wrong = "the RSA key has more than 4096 bits";
	else if (EVP_PKEY_get_bn_param(key, OSSL_PKEY_PARAM_RSA_E,
	    &exponent) != 1 || BN_num_bits(exponent) > EXPONENT_BITS_MAX)
		wrong = "the exponent of the RSA key is too large";
	BN_free(exponent);
	return wrong;
}

/* What most publish (SubjectPublicKeyInfo), or what the text of RFC 6376
 * 3.6.1 says (RSAPublicKey). */
static const char *read_rsa(struct dkim_record *record, const uint8_t *bytes,
    int length)
{
	const unsigned char *at = bytes;
	const char *wrong = "the RSA key cannot be read";
	EVP_PKEY *key = d2i_PUBKEY(NULL, &at, length);

	if (key == NULL) {
		at = bytes;
		key = d2i_PublicKey(EVP_PKEY_RSA, NULL, &at, length);
	}
	if (key != NULL && at == bytes + length &&
	    EVP_PKEY_get_base_id(key) == EVP_PKEY_RSA)
		wrong = judge_rsa(key);
	if (wrong != NULL)
		EVP_PKEY_free(key);
	else
		record->key = key;
	return wrong;
}

static const char *read_ed25519(struct dkim_record *record,
    const uint8_t *bytes, int length)
{
	if (length == ED25519_BYTES)
		record->key = EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519,
		    NULL, bytes, ED25519_BYTES);
	return record->key != NULL ? NULL : "the Ed25519 key cannot be read";
}

static const char *read_key(struct dkim_record *record,
    const struct dkim_tag *tag)
{
	uint8_t bytes[KEY_BYTES_MAX];
	const char *wrong;
	int length;

	if (tag == NULL)
		return "the key record has no p=";
	if (tag->value_length == 0)
		return "the key is revoked";
	length = dkim_tag_base64(tag, bytes, sizeof(bytes));
	if (length <= 0)
		return "p= of the key record is not base64";
	wrong = record->algorithm == DKIM_RSA ?
	    read_rsa(record, bytes, length) :
	    read_ed25519(record, bytes, length);
	ERR_clear_error();
	return wrong;
}

/* All but the key itself. */
static const char *read_terms(struct dkim_record *record,
    const struct dkim_tags *tags)
{
	const struct dkim_tag *version = dkim_tags_find(tags, "v");
	const struct dkim_tag *kind = dkim_tags_find(tags, "k");
	const struct dkim_tag *hashes = dkim_tags_find(tags, "h");
	const struct dkim_tag *services = dkim_tags_find(tags, "s");
	const struct dkim_tag *flags = dkim_tags_find(tags, "t");

	if (version != NULL && (version != &tags->items[0] ||
	    !dkim_tag_is(version, "DKIM1")))
		return "the key record does not begin with v=DKIM1";
	if (kind == NULL || dkim_tag_is(kind, "rsa"))
		record->algorithm = DKIM_RSA;
	else if (dkim_tag_is(kind, "ed25519"))
		record->algorithm = DKIM_ED25519;
	else
		return "the key is of an unknown kind";
	if (hashes != NULL && !dkim_tag_lists(hashes, "sha256"))
		return "the key is not for sha256";
	if (services != NULL && !dkim_tag_lists(services, "*") &&
	    !dkim_tag_lists(services, "email"))
		return "the key is not for mail";
	record->testing = flags != NULL && dkim_tag_lists(flags, "y");
	record->no_subdomains = flags != NULL && dkim_tag_lists(flags, "s");
	return NULL;
}

const char *dkim_record_read(struct dkim_record *record, const char *text,
    size_t length)
{
	struct dkim_tags tags;
	const char *wrong;

	memset(record, 0, sizeof(*record));
	if (dkim_tags_read(&tags, text, length) != NULL)
		return "the key record cannot be read";
	wrong = read_terms(record, &tags);
	return wrong != NULL ? wrong :
	    read_key(record, dkim_tags_find(&tags, "p"));
}

void dkim_record_release(struct dkim_record *record)
{
	EVP_PKEY_free(record->key);
	record->key = NULL;
}
