/* SPDX-License-Identifier: ISC */
/*
 * International names as people write them ("bücher.example") to the A-labels
 * that everything else here works with: IDNA2008, non-transitional, with the
 * case folding and width mapping of UTS 46 (DANE-57, DANE-113, STS-21). For
 * what operators type and configure, in UTF-8; never for names from the wire,
 * where a name that is not ASCII is an error. Names in ASCII, also those with
 * A-labels, pass unchanged but for case: what is in the DNS is the registry's
 * affair.
 */
#ifndef POSTERN_BASE_IDN_H
#define POSTERN_BASE_IDN_H

#include <stdbool.h>
#include <stddef.h>

/* Longest text that is looked at, in bytes. */
enum { IDN_TEXT_MAX = 1000 };

/* Has it a byte outside of ASCII? */
bool		 idn_is_needed(const char *text);
/*
 * Null, with the name in out as domain_parse() writes it; or a sentence,
 * without the name, about what is wrong with it. size is ADDRESS_DOMAIN_MAX + 1
 * or more.
 */
const char	*domain_to_ascii(char *out, size_t size, const char *text);
/* The same for patterns: what domain_match() takes, ".domain" and "*.domain",
 * keeps its beginning; a "*" or "?" elsewhere is for names in ASCII, which are
 * not checked then but only lower-cased. size: two bytes more. */
const char	*domain_pattern_to_ascii(char *out, size_t size,
		    const char *text);
/* "local@domain": the domain only. Texts without "@" are domain patterns if
 * they are not ASCII, else left as they are. */
const char	*address_pattern_to_ascii(char *out, size_t size,
		    const char *text);

#endif
