/* SPDX-License-Identifier: ISC */
/*
 * DKIM signatures on our own notifications (RFC 6376). The keys come with the
 * configuration and belong to the process, as the aliases do (readers.h).
 */
#ifndef POSTERN_QUEUE_DSN_SIGN_H
#define POSTERN_QUEUE_DSN_SIGN_H

#include <stddef.h>
#include <stdint.h>

struct buf;
struct bundle;
struct conf;
struct dkim_keys;

/* The keys of a bundle, none if it has no file of them; null with a word. */
struct dkim_keys	*dsn_sign_read(const struct bundle *bundle,
			    const struct conf *conf, char *error, size_t size);
/* From now on these (null: none) are in force; the former ones are wiped. */
void		 dsn_sign_use(struct dkim_keys *keys);
/*
 * The domain that notifications come from: hostname; but the postmaster's
 * domain when that can sign and hostname cannot, since a signature proves a
 * message only if its domain is that of From or above it. Borrowed.
 */
const char	*dsn_sign_domain(const struct conf *conf);
/*
 * Adds the DKIM-Signature fields of a whole message from that domain to out,
 * one for each algorithm with an active key; none is all right. -1, and the log
 * says so, when it cannot be signed.
 */
int		 dsn_sign_add(const struct conf *conf, const char *domain,
		    const char *text, size_t length, int64_t now,
		    struct buf *out);

#endif
