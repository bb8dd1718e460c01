/* SPDX-License-Identifier: ISC */
/*
 * Looks at the certificates of a configuration before anybody serves with
 * them: chain and key readable, belonging together, strong enough.
 */
#ifndef POSTERN_TOOLS_CERTIFICATES_H
#define POSTERN_TOOLS_CERTIFICATES_H

struct bundle;
struct conf;

/* 0, or -1 with a sentence naming file and remedy (owned by the caller). */
int	 certificates_check(const struct conf *conf,
	    const struct bundle *bundle, char **errors);

#endif
