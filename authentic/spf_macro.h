/* SPDX-License-Identifier: ISC */
/*
 * Macros in SPF records and explanations (RFC 7208 7): their syntax, and their
 * expansion into the name of a lookup or into text.
 */
#ifndef POSTERN_AUTHENTIC_SPF_MACRO_H
#define POSTERN_AUTHENTIC_SPF_MACRO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct arena;
struct endpoint;

/* What a macro-string is for: c, r and t are for explanations only. */
enum spf_macro_use { SPF_MACRO_NAME, SPF_MACRO_TEXT };

/* More of what a macro stands for is cut off. */
enum { SPF_VALUE_MAX = 1023 };

struct spf_macros {
	const char		*sender;	/* s */
	const char		*local;		/* l */
	const char		*sender_domain;	/* o */
	const char		*domain;	/* d */
	const char		*hello;		/* h */
	const char		*receiver;	/* r */
	const char		*validated;	/* p: "unknown" if nothing is */
	const struct endpoint	*client;	/* i, c, v */
	int64_t			 now;		/* t */
};

/* Is it a macro-string (text: an explain-string)? */
bool	 spf_macro_is_valid(const char *text, size_t length,
	    enum spf_macro_use use);
/* Is it a domain-spec? */
bool	 spf_macro_is_domain(const char *text, size_t length);
/* Has a valid one a macro of these (small) letters, in either case? */
bool	 spf_macro_has(const char *text, size_t length, const char *letters);

/* The name, lower case, cut from the left to LOOKUP_NAME_MAX (RFC 7208 7.3),
 * without a last dot. It may still be none: see lookup_name_is_valid(). */
const char	*spf_macro_name(const struct spf_macros *macros,
		    const char *text, size_t length, struct arena *arena);
/* At most max bytes of text. */
const char	*spf_macro_text(const struct spf_macros *macros,
		    const char *text, size_t length, size_t max,
		    struct arena *arena);

#endif
