/* SPDX-License-Identifier: ISC */
/*
 * The header section of a message as a list of fields, taken from content as
 * it passes. Signing, verifying and filters look at the same list; offsets are
 * those of the content, so that an edit can name a field. Field text is raw:
 * folded, with its CRLF.
 */
#ifndef POSTERN_AUTHENTIC_FIELDS_H
#define POSTERN_AUTHENTIC_FIELDS_H

#include <stdbool.h>
#include <stddef.h>

struct buf;

/* A larger header is still accepted as mail, but nothing is proved by it. */
enum { FIELDS_BYTES_MAX = 256 << 10, FIELDS_MAX = 4096 };

struct field {
	const char	*text;		/* name, colon, value, CRLF; borrowed */
	size_t		 length;
	size_t		 name_length;	/* without white space; 0: no field at
					 * all (a line without a colon) */
	size_t		 value;		/* offset in text, behind the colon */
	size_t		 offset;	/* in the content */
};

struct fields {
	struct field	*items;		/* valid once ended or finished */
	size_t		 count;
	size_t		 length;	/* of the section, with the empty line
					 * if there is one */
	bool		 ended;		/* nothing more is taken */
	bool		 has_body;	/* the empty line was seen */
	bool		 too_large;	/* ended early: a ceiling was hit */
	struct buf	*text;		/* owned */
};

struct fields	*fields_new(void);
void		 fields_free(struct fields *fields);
/* How many of these bytes were header; the rest is body (all 0 once ended). */
size_t		 fields_feed(struct fields *fields, const char *data,
		    size_t length);
/* The content is whole: a header without an empty line ends here. */
void		 fields_finish(struct fields *fields);
/* From below (the last one) upwards, before `before` (count to begin); null:
 * none. Names compare without case. */
const struct field	*fields_find_last(const struct fields *fields,
			    const char *name, size_t before);
const struct field	*fields_find(const struct fields *fields,
			    const char *name, size_t from);
size_t			 fields_count(const struct fields *fields,
			    const char *name);

#endif
