/* SPDX-License-Identifier: ISC */
/*
 * Who may log in: the accounts file, as `postern user` keeps it and the
 * directory reads it. One account a line, words with spaces between:
 *
 *	alice@example.org password=$y$... scram=N,SALT,STORED,SERVER
 *	    address=info@example.org address=@example.net disabled
 *
 * (on one line). "#" begins a comment. A name is one address, or a local part
 * of the first domain; names compare without regard to the case of ASCII. An
 * address of "*" lets its user send as anybody, "@domain" as anybody there. The
 * line of the name "*" holds the secret behind answers about users who are not
 * there.
 */
#ifndef POSTERN_POLICY_ACCOUNTS_H
#define POSTERN_POLICY_ACCOUNTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/digest.h"
#include "base/scram.h"

struct accounts;
struct buf;

enum { ACCOUNT_NAME_MAX = SCRAM_NAME_MAX, ACCOUNT_ADDRESSES_MAX = 1000,
    ACCOUNTS_LINE_MAX = 64 << 10, ACCOUNTS_FILE_MAX = 4 << 20,
    ACCOUNT_ITERATIONS = 10000, ACCOUNT_SALT = 16 };

struct account {
	char			*name;		/* lower case */
	char			*password;	/* crypt(5); null: none */
	struct scram_secret	 scram;		/* salt_length 0: none */
	bool			 disabled;
	char			**addresses;	/* owned, as the texts */
	size_t			 address_count;
};

/* None, with a new secret. */
struct accounts	*accounts_new(void);
void		 accounts_free(struct accounts *accounts);
/* The text of a file; null with "PATH:LINE: what is wrong" in error. */
struct accounts	*accounts_parse(const char *path, const char *text,
		    size_t length, char *error, size_t size);
/* As accounts_parse() reads it; -1 when out is full. */
int		 accounts_print(const struct accounts *accounts,
		    struct buf *out);
size_t		 accounts_count(const struct accounts *accounts);
/* In the order of the file; index is below accounts_count(). */
struct account	*accounts_get(const struct accounts *accounts, size_t index);
/* Null if there is none; the name in any form that a client may use. */
struct account	*accounts_find(const struct accounts *accounts,
		    const char *name);
/* The one of that name, new if need be. Null: not a name. */
struct account	*accounts_add(struct accounts *accounts, const char *name);
void		 accounts_remove(struct accounts *accounts,
		    struct account *account);

/* Both kinds of keys for it; slow. -1: not a password (scram_prepare()). */
int		 account_set_password(struct account *account,
		    const char *password);
/* "local@domain", "@domain" or "*"; false: none of them, or one too many. One
 * that is there already is kept once. */
bool		 account_add_address(struct account *account,
		    const char *address);
/* False: it was not there. */
bool		 account_remove_address(struct account *account,
		    const char *address);

/* What a client is shown for a user who is not there: the same each time, and
 * nothing proves it. */
void		 accounts_invent(const struct accounts *accounts,
		    const char *name, struct scram_secret *secret);

#endif
