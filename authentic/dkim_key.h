/* SPDX-License-Identifier: ISC */
/*
 * DKIM keys: the private ones that sign, as a text file that `postern dkim`
 * keeps, and the public ones of others, as TXT records (RFC 6376 3.6).
 *
 * The file has one key a line, in this order, separated by one blank:
 *
 *	DOMAIN SELECTOR rsa|ed25519 STATE CREATED CHANGED KEY
 *
 * STATE is waiting (made; signs once its record was seen in the DNS), active
 * (signs), or retired (signs no more; its record stays until mail in flight is
 * gone). CREATED and CHANGED are RFC 3339 in UTC, KEY the PKCS#8 DER in base64.
 */
#ifndef POSTERN_AUTHENTIC_DKIM_KEY_H
#define POSTERN_AUTHENTIC_DKIM_KEY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct buf;

enum dkim_algorithm { DKIM_RSA, DKIM_ED25519 };
enum dkim_state { DKIM_WAITING, DKIM_ACTIVE, DKIM_RETIRED };

struct dkim_key {
	char			*domain;	/* lower case, A-labels */
	char			*selector;
	enum dkim_algorithm	 algorithm;
	enum dkim_state		 state;
	int64_t			 created;	/* wall, ms */
	int64_t			 changed;
	void			*key;		/* EVP_PKEY; owned */
};

struct dkim_keys {
	struct dkim_key	*items;
	size_t		 count;
};

enum { DKIM_KEYS_MAX = 1000, DKIM_SELECTOR_MAX = 63 };

/* Null with lines "NAME:LINE: what is wrong; remedy" in errors (owned), which
 * repeat nothing of a key. An empty text is no keys; empty lines and those that
 * begin with # are passed over (and not printed again). */
struct dkim_keys	*dkim_keys_read(const char *name, const char *text,
			    char **errors);
/* Wipes them. Null is allowed. */
void			 dkim_keys_free(struct dkim_keys *keys);
/* Wipes one of them; those behind it move. */
void			 dkim_keys_remove(struct dkim_keys *keys, size_t index);
/* The whole file, to be written; the caller wipes. */
int			 dkim_keys_print(const struct dkim_keys *keys,
			    struct buf *out);
/* Makes a key of 2048 bits or of Ed25519 and adds it, waiting; -1 when the
 * library cannot, the names are not such, the selector has a key there, or
 * there are DKIM_KEYS_MAX. Moves items. */
int			 dkim_keys_make(struct dkim_keys *keys,
			    const char *domain, const char *selector,
			    enum dkim_algorithm algorithm, int64_t wall);
/* The record to publish: "v=DKIM1; k=rsa; p=..." */
int			 dkim_key_record(const struct dkim_key *key,
			    struct buf *out);
/* Does a TXT record (strings joined) hold this key, and let it sign mail? */
bool			 dkim_key_is_published(const struct dkim_key *key,
			    const char *record, size_t length);
/* "waiting", ...; "rsa", "ed25519" */
const char		*dkim_state_name(enum dkim_state state);
const char		*dkim_algorithm_name(enum dkim_algorithm algorithm);
/* The active key of that domain and algorithm that changed last; null. A
 * domain signs by its own keys, or by those of the nearest domain above it that
 * has any active (d= may be a parent of From's: relaxed alignment); so all its
 * signatures have one d=. */
const struct dkim_key	*dkim_keys_active(const struct dkim_keys *keys,
			    const char *domain, enum dkim_algorithm algorithm);

#endif
