/* SPDX-License-Identifier: ISC */
/*
 * What the server of policies knows, made from one configuration: the policy
 * in force for each of our domains that has one, the certificates, and the
 * listeners. Read-only; a reload makes a new one, and connections that are
 * under way look at the new one from then on.
 */
#ifndef POSTERN_SMTPD_STS_SITE_H
#define POSTERN_SMTPD_STS_SITE_H

#include <stddef.h>

struct conf;
struct tls_server;

struct sts_page {
	char	*host;		/* owned; "mta-sts.example.org" */
	char	*text;		/* owned */
};

struct sts_site {
	struct conf		*conf;		/* owned */
	struct tls_server	*tls;		/* owned; may hold no chain */
	struct sts_page		*pages;		/* owned */
	size_t			 page_count;
};

/* From conf/bundle.h's encoding; null with a sentence in error. */
struct sts_site	*sts_site_new(const void *bundle, size_t length, char *error,
		    size_t size);
void		 sts_site_free(struct sts_site *site);
/* Null if there is none. */
const struct sts_page	*sts_site_find(const struct sts_site *site,
			    const char *host);

#endif
