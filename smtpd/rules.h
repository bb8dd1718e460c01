/* SPDX-License-Identifier: ISC */
/*
 * A configuration as sessions use it: the options, and for each listener its
 * certificates and the texts that are the same for all its clients, made once;
 * the client certificates that may relay. Read-only.
 *
 * Reference counted, against the house rule: a reload must not change the
 * rules (or the certificate) of a session that began under the old ones, and
 * the old ones must go when the last such session ends.
 */
#ifndef POSTERN_SMTPD_RULES_H
#define POSTERN_SMTPD_RULES_H

#include <stdbool.h>
#include <stddef.h>

#include "smtpd/certificates.h"

struct bundle;
struct conf;
struct conf_listener;
struct dkim_keys;
struct tls_server;
struct tls_tickets;

/* The listener of the supervisor's own socket for sendmail(8), of which no
 * section speaks: its clients are the users of this machine. */
#define LOCAL_LISTENER "local"

/* What the clients of one listener get. */
struct reception {
	const struct conf_listener *listener;	/* in conf; or our own */
	bool			 is_local;	/* LOCAL_LISTENER */
	struct tls_server	*tls;		/* owned; may hold no chain */
	char			*greeting;	/* owned; with CRLF */
	/* The answer to EHLO or LHLO but its last line, and but AUTH, which
	 * depends on the session: in clear, and under TLS. */
	char			*hello;		/* owned */
	char			*hello_secure;	/* owned */
};

struct rules {
	struct conf		*conf;		/* owned */
	struct reception	*receptions;	/* owned; the local one last */
	size_t			 reception_count;
	struct certificates	 certificates;	/* of clients */
	struct dkim_keys	*dkim_keys;	/* owned; null: none */
	/* Whether any domain wants it; dmarc needs both others. */
	bool			 wants_spf, wants_dkim, wants_dmarc;
	unsigned		 references;
};

/*
 * Takes conf, also when it fails: null with a sentence in error. bundle has
 * the files that conf names; null: there is no certificate. tickets outlives
 * all sessions; null: none are given. One reference belongs to the caller.
 */
struct rules	*rules_new(struct conf *conf, const struct bundle *bundle,
		    struct tls_tickets *tickets, char *error, size_t size);
/* From conf/bundle.h's encoding; null with a sentence in error. */
struct rules	*rules_from_bundle(const void *data, size_t length,
		    struct tls_tickets *tickets, char *error, size_t size);
/* SMTP-20: has a dot, is a literal, or is one of our own domains. */
bool		 rules_is_qualified(const struct rules *rules,
		    const char *domain);
struct rules	*rules_share(struct rules *rules);
void		 rules_release(struct rules *rules);
/* By the listener's name; null if there is none. */
const struct reception	*rules_reception_find(const struct rules *rules,
			    const char *name);

#endif
