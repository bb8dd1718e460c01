/* SPDX-License-Identifier: ISC */
/*
 * SHA-256 over data that arrives in pieces, random bytes, hexadecimal and
 * base64. OpenSSL behind it.
 */
#ifndef POSTERN_BASE_DIGEST_H
#define POSTERN_BASE_DIGEST_H

#include <stddef.h>
#include <stdint.h>

enum { DIGEST_BYTES = 32 };

struct digest;

struct digest	*digest_new(void);
void		 digest_add(struct digest *digest, const void *data,
		    size_t length);
/* Writes DIGEST_BYTES and frees the digest. */
void		 digest_end(struct digest *digest, uint8_t *out);
void		 digest_free(struct digest *digest);
void		 digest_of(const void *data, size_t length, uint8_t *out);

/* Lower-case; out holds 2 * length + 1. */
void	 hex_format(const uint8_t *data, size_t length, char *out, size_t size);
/* Number of bytes, or -1; colons between pairs are allowed. */
int	 hex_parse(uint8_t *out, size_t size, const char *text);
/* Number of bytes, or -1; whole groups of four, nothing between them. */
int	 base64_parse(uint8_t *out, size_t size, const char *text);
/* Cryptographically random; ends the process when there is none. */
void	 random_bytes(void *out, size_t length);
uint32_t random_below(uint32_t limit);

#endif
