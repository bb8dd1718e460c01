/* SPDX-License-Identifier: ISC */
/*
 * Lists of tags (RFC 6376 3.2): "v=1; a=rsa-sha256; ...", as signatures and
 * key records have them. Nothing is copied: tags point into the text, which
 * may be folded. Bytes above 127 are taken when they are UTF-8 (RFC 8616).
 */
#ifndef POSTERN_AUTHENTIC_DKIM_TAGS_H
#define POSTERN_AUTHENTIC_DKIM_TAGS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { DKIM_TAGS_MAX = 64 };

struct dkim_tag {
	const char	*name;
	size_t		 name_length;
	const char	*value;		/* without white space at its ends */
	size_t		 value_length;
	size_t		 from, to;	/* offsets of the value with it */
};

struct dkim_tags {
	struct dkim_tag	 items[DKIM_TAGS_MAX];
	size_t		 count;
};

/* Null, or what is wrong. */
const char		*dkim_tags_read(struct dkim_tags *tags,
			    const char *text, size_t length);
/* Null: not there. */
const struct dkim_tag	*dkim_tags_find(const struct dkim_tags *tags,
			    const char *name);
/* The value is that word, case and all; a missing tag is none. */
bool			 dkim_tag_is(const struct dkim_tag *tag,
			    const char *word);
/* Is the word in a list with colons between? Other words do not matter. */
bool			 dkim_tag_lists(const struct dkim_tag *tag,
			    const char *word);
/* The next word of such a list; *offset is 0 to begin. False: no more. */
bool			 dkim_tag_next(const struct dkim_tag *tag,
			    size_t *offset, const char **word,
			    size_t *length);
/* The value as a string, and what of it is no white space. Owned. */
char			*dkim_tag_text(const struct dkim_tag *tag);
char			*dkim_tag_packed(const struct dkim_tag *tag);
/* Base64 with white space in it: the number of bytes, or -1. */
int			 dkim_tag_base64(const struct dkim_tag *tag,
			    uint8_t *out, size_t size);
/* Up to max decimal digits. -1: something else. */
int			 dkim_tag_number(const struct dkim_tag *tag,
			    size_t max, uint64_t *number);

#endif
