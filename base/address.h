/* SPDX-License-Identifier: ISC */
/*
 * Mail addresses and domain names by RFC 5321 4.1.2 and 4.1.3. Parsing is
 * strict, never allocates, and says how much it read. The text form is kept
 * as it came for the local part (case and quoting), with needless quoting
 * removed (SMTP-17); domains are lower-cased A-labels.
 *
 * With SMTPUTF8 (RFC 6531 3.3) local parts may be UTF-8, kept byte for byte:
 * no normal form is made of them. Domains of U-labels are read too, and become
 * A-labels: so they can be looked up as they stand, and mail needs no SMTPUTF8
 * for the sake of a domain (SMTP-139, SMTP-141).
 */
#ifndef POSTERN_BASE_ADDRESS_H
#define POSTERN_BASE_ADDRESS_H

#include <stdbool.h>
#include <stddef.h>

enum { ADDRESS_LOCAL_MAX = 64, ADDRESS_DOMAIN_MAX = 255,
    ADDRESS_MAX = ADDRESS_LOCAL_MAX * 2 + 2 + 1 + ADDRESS_DOMAIN_MAX };

struct address {
	/* Unquoted; empty only in the null address. Valid UTF-8 without control
	 * characters; bytes are counted, not characters. */
	char	 local[ADDRESS_LOCAL_MAX + 1];
	/* Lower case; "[192.0.2.1]" or "[ipv6:...]" for a literal; empty for
	 * the null address and for bare postmaster. */
	char	 domain[ADDRESS_DOMAIN_MAX + 1];
};

enum address_error {
	ADDRESS_OK, ADDRESS_SYNTAX, ADDRESS_LOCAL_TOO_LONG,
	ADDRESS_DOMAIN_SYNTAX, ADDRESS_DOMAIN_TOO_LONG, ADDRESS_NOT_QUALIFIED,
	ADDRESS_NOT_ASCII
};

enum address_flag {
	ADDRESS_ALLOW_NULL = 1 << 0,		/* "<>" (MAIL) */
	ADDRESS_ALLOW_POSTMASTER = 1 << 1,	/* "<Postmaster>" (RCPT) */
	ADDRESS_ALLOW_UTF8 = 1 << 2		/* SMTPUTF8 */
};

/*
 * Reads a path "<...>" at text: source routes are read and dropped (SMTP-16).
 * used gets the number of bytes up to and including '>'.
 */
enum address_error	 address_parse_path(struct address *address,
			    const char *text, size_t length, int flags,
			    size_t *used);
/* Reads "local@domain" with nothing around it: configuration, commands, what
 * was accepted before. UTF-8 is allowed. */
enum address_error	 address_parse(struct address *address,
			    const char *text);
/* A sentence for people, without the value. */
const char	*address_error_text(enum address_error error);

bool	 address_is_null(const struct address *address);
bool	 address_is_postmaster(const struct address *address);
/* Local parts compare by case except postmaster; domains are lower already. */
bool	 address_equal(const struct address *one, const struct address *other);
/* "local@domain", quoted where needed; "" for null. out: ADDRESS_MAX + 1. */
void	 address_format(const struct address *address, char *out, size_t size);

/* LDH labels of 1..63, 255 in all, lower-cased into out; a final dot is
 * removed; a single label is allowed. -1 if it is not a domain name. */
int	 domain_parse(char *out, size_t size, const char *text, size_t length);
/* "[...]": an address literal with valid contents. */
bool	 domain_is_literal(const char *domain);
/* True for example.org and pattern "example.org" or ".org"/"*.example.org"
 * (a leading dot or star matches one or more labels), or "*". */
bool	 domain_match(const char *domain, const char *pattern);

#endif
