/* SPDX-License-Identifier: ISC */
/*
 * DNS answers as facts for the pure machines of this folder (spf.h, dmarc.h):
 * a machine says which lookup it needs; whoever drives it puts the answer here
 * and asks again.
 */
#ifndef POSTERN_AUTHENTIC_LOOKUP_H
#define POSTERN_AUTHENTIC_LOOKUP_H

#include <stdbool.h>
#include <stddef.h>

#include "base/net.h"

enum lookup_type { LOOKUP_TXT, LOOKUP_A, LOOKUP_AAAA, LOOKUP_MX, LOOKUP_PTR };

/* Records; none of that type (NODATA); no such name (NXDOMAIN); not known now
 * (SERVFAIL, time-out, bogus, malformed). */
enum lookup_status { LOOKUP_FOUND, LOOKUP_EMPTY, LOOKUP_MISSING,
    LOOKUP_FAILED };

struct lookup_record {
	struct endpoint	 address;	/* A, AAAA; port 0 */
	unsigned	 preference;	/* MX */
	const char	*text;		/* TXT: strings joined, null behind;
					 * MX, PTR: name without last dot */
	size_t		 length;	/* of text: TXT may hold zero bytes */
};

struct lookup_answer {
	enum lookup_type	 type;
	const char		*name;	/* lower case, without last dot */
	enum lookup_status	 status;
	struct lookup_record	*records;
	size_t			 count;
};

struct lookup_answers {
	struct lookup_answer	*items;
	size_t			 count;
};

enum { LOOKUP_NAME_MAX = 253, LOOKUP_LABEL_MAX = 63 };

/* Can the DNS be asked for it: labels of 1 to 63 printable bytes, with dots
 * between? */
bool	 lookup_name_is_valid(const char *name);
/* Null: not asked yet. */
const struct lookup_answer	*lookup_find(
				    const struct lookup_answers *answers,
				    enum lookup_type type, const char *name);

#endif
