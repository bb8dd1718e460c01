/* SPDX-License-Identifier: ISC */
/*
 * Passwords as they are kept: yescrypt by libcrypt (crypt(5), "$y$"), and the
 * keys of SCRAM beside it, which cannot be had from the other. Both functions
 * take tens of milliseconds by intent, and may be called on any thread.
 */
#ifndef POSTERN_POLICY_PASSWORD_H
#define POSTERN_POLICY_PASSWORD_H

#include <stdbool.h>
#include <stddef.h>

/* "$y$j9T$" salt "$" hash is 73 bytes; others of crypt(5) are longer. */
enum { PASSWORD_HASH_MAX = 383 };

/* Of a password that scram_prepare() made. -1: libcrypt cannot (logged). */
int	 password_hash(const char *prepared, char *out, size_t size);
/* Is it the password of that hash? Any method that crypt(5) has. */
bool	 password_is_right(const char *prepared, const char *hash);
/* Could it be one: method, salt and length as libcrypt wants them? */
bool	 password_hash_is_sound(const char *hash);
/* A hash that nothing matches, as costly to ask as those that are made. */
const char	*password_hash_of_nobody(void);

#endif
