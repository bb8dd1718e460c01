/* SPDX-License-Identifier: ISC */
/*
 * UTF-8 as RFC 3629 has it: no overlong forms, no surrogates, nothing above
 * U+10FFFF. Text is checked and passed on as it is; nothing here changes its
 * normal form.
 */
#ifndef POSTERN_BASE_UTF8_H
#define POSTERN_BASE_UTF8_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Bytes of the character at text, of which left bytes may be looked at; 0 if
 * there is none. point gets its number and may be null. */
size_t	 utf8_read(const char *text, size_t left, uint32_t *point);
/* Adds no terminator; 1 to 4. The number is one of a character. */
size_t	 utf8_write(char out[4], uint32_t point);
bool	 utf8_is_valid(const char *text, size_t length);
/* No byte above 127: needs no SMTPUTF8. */
bool	 utf8_is_ascii(const char *text);

#endif
