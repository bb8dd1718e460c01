/* SPDX-License-Identifier: ISC */
/*
 * The header section of a message as bytes: finding fields, counting them,
 * folding what we write. Nothing here changes a message. Works on any number
 * of header bytes seen so far, so that it can run while data streams in.
 */
#ifndef POSTERN_BASE_HEADER_H
#define POSTERN_BASE_HEADER_H

#include <stdbool.h>
#include <stddef.h>

struct buf;

/* Fed with the message as it arrives; stops at the empty line. */
struct header_scan {
	unsigned	 received_count;	/* RFC 5321 6.3 loop detection */
	size_t		 header_bytes;		/* so far, with the empty line */
	bool		 ended;			/* the empty line was seen */
	bool		 has_8bit;		/* in header or body so far */
	bool		 has_utf8_header;	/* bytes above 127 in the header */
	/* TLS-Required fields of the outer header (RFC 8689 3): how many, and
	 * how many of them say No. One that says No, and no other, is a tag. */
	unsigned	 tls_required_count;
	unsigned	 tls_required_no;
	/* What a submitted message must have (RFC 6409 8). */
	bool		 has_date;
	bool		 has_message_id;
	/* private: name of the field now being read */
	char		 name[32];
	unsigned	 name_length;
	unsigned	 column;
	bool		 in_name;
	/*
	 * private: the value of the TLS-Required field now being read. The
	 * counts are right after every byte, as if the message ended there:
	 * a header without an empty line is whole, too.
	 *
	 *	         blank      "n"        "o"       blank
	 *	NONE --> START --+--> N --+--> NO --+--> NO
	 *	  ^              '--------'---------'--> OTHER
	 *	  '-- the next field, from anywhere
	 */
	enum { HEADER_TLS_NONE, HEADER_TLS_START, HEADER_TLS_N, HEADER_TLS_NO,
	    HEADER_TLS_OTHER } tls_required;
};
void	 header_scan_init(struct header_scan *scan);
void	 header_scan_feed(struct header_scan *scan, const char *data,
	    size_t length);

/* The unfolded value of the first field of that name in a header section,
 * added to out (cut at its ceiling). False if there is none. */
bool	 header_find(const char *header, size_t length, const char *name,
	    struct buf *out);
/* Length of the header section including the empty line. */
size_t	 header_length(const char *message, size_t length);
/* Adds "Name: value\r\n", folded at white space near 78 columns; line ends in
 * the value become spaces. -1 (and nothing is added) when out's ceiling or
 * the 998 columns of RFC 5322 2.1.1 would be passed. */
int	 header_add(struct buf *out, const char *name, const char *value);

#endif
