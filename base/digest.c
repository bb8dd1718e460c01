/* SPDX-License-Identifier: ISC */
/*
 * SHA-256, random bytes, hexadecimal and base64. A failure of OpenSSL here means that
 * the process has no memory or no provider: the world is broken, so callers
 * have no error to look at.
 */
#include "base/digest.h"

#include <limits.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/rand.h>
#include <pthread.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"

struct digest {
	EVP_MD_CTX	*context;	/* owned */
};

/* Looked up among the providers once, and not with each digest. */
static EVP_MD *sha256;
static pthread_once_t sha256_once = PTHREAD_ONCE_INIT;

static void fetch_sha256(void)
{
	sha256 = EVP_MD_fetch(NULL, "SHA256", NULL);
	if (sha256 == NULL)
		fatal("digest-unavailable");
}

static const EVP_MD *find_sha256(void)
{
	pthread_once(&sha256_once, fetch_sha256);
	return sha256;
}

struct digest *digest_new(void)
{
	struct digest *digest = mem_alloc(sizeof *digest);

	digest->context = EVP_MD_CTX_new();
	if (digest->context == NULL ||
	    EVP_DigestInit_ex(digest->context, find_sha256(), NULL) != 1)
		fatal("digest-unavailable");
	return digest;
}

void digest_add(struct digest *digest, const void *data, size_t length)
{
	if (EVP_DigestUpdate(digest->context, data, length) != 1)
		fatal("digest-failed");
}

void digest_end(struct digest *digest, uint8_t *out)
{
	if (EVP_DigestFinal_ex(digest->context, out, NULL) != 1)
		fatal("digest-failed");
	digest_free(digest);
}

void digest_free(struct digest *digest)
{
	if (digest == NULL)
		return;
	EVP_MD_CTX_free(digest->context);
	mem_free(digest);
}

void digest_of(const void *data, size_t length, uint8_t *out)
{
	if (EVP_Digest(data, length, out, NULL, find_sha256(), NULL) != 1)
		fatal("digest-failed");
}

void digest_keyed(const void *key, size_t key_length, const void *data,
    size_t length, uint8_t *out)
{
	if (key_length > INT_MAX || HMAC(EVP_sha256(), key, (int)key_length,
	    data, length, out, NULL) == NULL)
		fatal("digest-failed");
}

void digest_keyed_sha1(const void *key, size_t key_length, const void *data,
    size_t length, uint8_t *out)
{
	if (key_length > INT_MAX || HMAC(EVP_sha1(), key, (int)key_length,
	    data, length, out, NULL) == NULL)
		fatal("digest-failed");
}

void digest_stretch(const char *password, const void *salt,
    size_t salt_length, uint32_t iterations, uint8_t *out)
{
	if (salt_length > INT_MAX || iterations > INT_MAX ||
	    PKCS5_PBKDF2_HMAC(password, -1, salt, (int)salt_length,
	    (int)iterations, EVP_sha256(), DIGEST_BYTES, out) != 1)
		fatal("digest-failed");
}

bool digest_is_equal(const void *one, const void *other, size_t length)
{
	return CRYPTO_memcmp(one, other, length) == 0;
}

void hex_format(const uint8_t *data, size_t length, char *out, size_t size)
{
	static const char digits[] = "0123456789abcdef";
	size_t i;

	if (size < 2 * length + 1)
		bug("hex-buffer-too-small");
	for (i = 0; i < length; i++) {
		out[2 * i] = digits[data[i] >> 4];
		out[2 * i + 1] = digits[data[i] & 15];
	}
	out[2 * length] = '\0';
}

static int hex_value(char digit)
{
	if (digit >= '0' && digit <= '9')
		return digit - '0';
	if (digit >= 'a' && digit <= 'f')
		return digit - 'a' + 10;
	if (digit >= 'A' && digit <= 'F')
		return digit - 'A' + 10;
	return -1;
}

int hex_parse(uint8_t *out, size_t size, const char *text)
{
	size_t count = 0;

	while (*text != '\0') {
		int high = hex_value(text[0]);
		int low = high < 0 ? -1 : hex_value(text[1]);

		if (low < 0 || count == size)
			return -1;
		out[count++] = (uint8_t)(high << 4 | low);
		text += 2;
		/* A colon stands between two pairs, never at the end. */
		if (text[0] == ':' && text[1] != '\0')
			text++;
	}
	return (int)count;
}

int base64_parse(uint8_t *out, size_t size, const char *text)
{
	size_t length = strlen(text), padding = 0;
	int got;

	/* OpenSSL skips white space at both ends, and is content with "=" in
	 * the middle. */
	if (length % 4 != 0 || length / 4 * 3 > size || length > INT_MAX ||
	    strspn(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
	    "0123456789+/") + 2 < length)
		return -1;
	while (padding < length && text[length - 1 - padding] == '=')
		padding++;
	if (padding > 2 || memchr(text, '=', length - padding) != NULL)
		return -1;
	got = EVP_DecodeBlock(out, (const unsigned char *)text, (int)length);
	return got < 0 ? -1 : got - (int)padding;
}

void base64_format(const void *data, size_t length, char *out, size_t size)
{
	if (length > INT_MAX / 2 || size < BASE64_LENGTH(length) + 1)
		bug("base64-buffer-too-small");
	out[0] = '\0';
	EVP_EncodeBlock((unsigned char *)out, data, (int)length);
}

void random_bytes(void *out, size_t length)
{
	unsigned char *bytes = out;

	while (length > 0) {
		int part = length > 1 << 20 ? 1 << 20 : (int)length;

		if (RAND_bytes(bytes, part) != 1)
			fatal("random-unavailable");
		bytes += part;
		length -= (size_t)part;
	}
}

uint32_t random_below(uint32_t limit)
{
	uint32_t value;
	/* Values below this would favour small results: draw again. */
	uint32_t least;

	if (limit == 0)
		bug("random-below-zero");
	least = (0u - limit) % limit;
	do
		random_bytes(&value, sizeof value);
	while (value < least);
	return value % limit;
}
