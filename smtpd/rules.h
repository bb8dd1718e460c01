/* SPDX-License-Identifier: ISC */
/*
 * A configuration as sessions use it: the options, the certificates, and the
 * texts that are the same for every client, made once. Read-only.
 *
 * Reference counted, against the house rule: a reload must not change the
 * rules (or the certificate) of a session that began under the old ones, and
 * the old ones must go when the last such session ends.
 */
#ifndef POSTERN_SMTPD_RULES_H
#define POSTERN_SMTPD_RULES_H

#include <stdbool.h>
#include <stddef.h>

struct conf;
struct conf_listener;
struct tls_server;

struct rules {
	struct conf		*conf;		/* owned */
	struct tls_server	*tls;		/* owned; may hold no chain */
	unsigned		 references;

	char			*greeting;	/* owned; with CRLF */
	/* The answer to EHLO, all lines: in clear without and with STARTTLS,
	 * and under TLS. */
	char			*hello;		/* owned */
	char			*hello_starttls;	/* owned */
	char			*hello_secure;	/* owned */
};

/* Takes both; one reference belongs to the caller. */
struct rules	*rules_new(struct conf *conf, struct tls_server *tls);
/* From conf/bundle.h's encoding; null with a sentence in error. */
struct rules	*rules_from_bundle(const void *bundle, size_t length,
		    char *error, size_t size);
/* SMTP-20: has a dot, is a literal, or is one of our own domains. */
bool		 rules_is_qualified(const struct rules *rules,
		    const char *domain);
struct rules	*rules_share(struct rules *rules);
void		 rules_release(struct rules *rules);
/* Null if there is none of that name. */
const struct conf_listener	*rules_listener_find(
				    const struct rules *rules,
				    const char *name);

#endif
