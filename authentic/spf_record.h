/* SPDX-License-Identifier: ISC */
/*
 * The text of an SPF record (RFC 7208 3, 4.5, 4.6, 12), without its meaning:
 * terms point into it.
 */
#ifndef POSTERN_AUTHENTIC_SPF_RECORD_H
#define POSTERN_AUTHENTIC_SPF_RECORD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "authentic/proof.h"

struct arena;

/* Longer ones are a permerror; the DNS would carry 65 kB. */
enum { SPF_RECORD_MAX = 8192, SPF_DOMAIN_MAX = 1024 };

enum spf_term_type { SPF_ALL, SPF_INCLUDE, SPF_A, SPF_MX, SPF_PTR, SPF_IP4,
    SPF_IP6, SPF_EXISTS, SPF_REDIRECT, SPF_EXPLANATION, SPF_UNKNOWN };

struct spf_term {
	const char		*text;		/* as written */
	size_t			 length;
	enum spf_term_type	 type;
	enum proof		 proof;		/* of a mechanism's qualifier */
	const char		*domain;	/* domain-spec; null: none */
	size_t			 domain_length;
	uint8_t			 address[16];	/* ip4 uses the first four */
	unsigned		 bits4;		/* prefix lengths */
	unsigned		 bits6;
};

/* Is this TXT an SPF record at all? */
bool		 spf_record_is_one(const char *text, size_t length);
/* The term at or behind position at (0: the first), and where to go on; false
 * at the end. Of a term that is wrong problem says what, else it is null. */
bool		 spf_record_next(const char *text, size_t length, size_t *at,
		    struct spf_term *term, const char **problem);
/* Null, or what is wrong with the record and where. */
const char	*spf_record_problem(const char *text, size_t length,
		    struct arena *arena);
/* The last of these terms; there is one at most of redirect and exp. */
bool		 spf_record_find(const char *text, size_t length,
		    enum spf_term_type type, struct spf_term *term);

#endif
