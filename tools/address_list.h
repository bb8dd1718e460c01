/* SPDX-License-Identifier: ISC */
/*
 * Address lists as header fields and command lines have them (RFC 5322 3.4):
 * display names, groups, comments, quoted strings, folding, and the obsolete
 * forms of 4.4 that cannot be mistaken for something else. Strict otherwise: a
 * list that is not one is refused whole, with a sentence, and never guessed at.
 * The addresses that come out are as SMTP has them.
 */
#ifndef POSTERN_TOOLS_ADDRESS_LIST_H
#define POSTERN_TOOLS_ADDRESS_LIST_H

#include <stddef.h>

enum { ADDRESS_LIST_MAX = 10000, ADDRESS_LIST_BYTES = 1 << 20,
    ADDRESS_LIST_PROBLEM = 200 };

struct address_list {
	char	**items;	/* owned, each of them too: "local@domain" */
	size_t	 count;		/* at most ADDRESS_LIST_MAX */
};

void	 address_list_init(struct address_list *list);
void	 address_list_release(struct address_list *list);
/*
 * Adds what is in the text; an address that is there already is not added
 * again. A local part alone gets the domain given. 0, or -1 with a sentence in
 * problem (ADDRESS_LIST_PROBLEM bytes, nothing from the text but printable
 * ASCII); the list is as it was then. An empty list of addresses is right.
 */
int	 address_list_parse(struct address_list *list, const char *text,
	    size_t length, const char *domain, char *problem);
/* Exactly one address, owned by the caller; null with a sentence. */
char	*address_list_parse_one(const char *text, const char *domain,
	    char *problem);

#endif
