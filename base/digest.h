/* SPDX-License-Identifier: ISC */
/*
 * SHA-256 over data that arrives in pieces, keyed and stretched; random bytes,
 * hexadecimal and base64. OpenSSL behind it.
 */
#ifndef POSTERN_BASE_DIGEST_H
#define POSTERN_BASE_DIGEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { DIGEST_BYTES = 32, DIGEST_SHA1_BYTES = 20 };

struct digest;

struct digest	*digest_new(void);
void		 digest_add(struct digest *digest, const void *data,
		    size_t length);
/* Writes DIGEST_BYTES and frees the digest. */
void		 digest_end(struct digest *digest, uint8_t *out);
void		 digest_free(struct digest *digest);
void		 digest_of(const void *data, size_t length, uint8_t *out);
/* HMAC-SHA-256 (RFC 2104). */
void		 digest_keyed(const void *key, size_t key_length,
		    const void *data, size_t length, uint8_t *out);
/* HMAC-SHA-1, for what others have fixed: writes DIGEST_SHA1_BYTES. */
void		 digest_keyed_sha1(const void *key, size_t key_length,
		    const void *data, size_t length, uint8_t *out);
/* PBKDF2 with HMAC-SHA-256 (RFC 8018 5.2), one block: slow, by the iterations. */
void		 digest_stretch(const char *password, const void *salt,
		    size_t salt_length, uint32_t iterations, uint8_t *out);
/* In a time that does not depend on where they differ. */
bool		 digest_is_equal(const void *one, const void *other,
		    size_t length);

/* Lower-case; out holds 2 * length + 1. */
void	 hex_format(const uint8_t *data, size_t length, char *out, size_t size);
/* Number of bytes, or -1; colons between pairs are allowed. */
int	 hex_parse(uint8_t *out, size_t size, const char *text);
/* Number of bytes, or -1; whole groups of four, nothing between them. */
int	 base64_parse(uint8_t *out, size_t size, const char *text);
/* In groups of four; out holds BASE64_LENGTH(length) + 1. */
#define BASE64_LENGTH(length) (((length) + 2) / 3 * 4)
void	 base64_format(const void *data, size_t length, char *out, size_t size);
/* Cryptographically random; ends the process when there is none. */
void	 random_bytes(void *out, size_t length);
uint32_t random_below(uint32_t limit);

#endif
