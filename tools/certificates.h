/* SPDX-License-Identifier: ISC */
/*
 * Looks at what the files of a configuration hold before any role is given
 * them: chains and keys readable, belonging together, strong enough; trusted
 * certificates that are some; a trust anchor that is one; keys that sign mail.
 * So a reload, and a start, is refused before anything was changed.
 */
#ifndef POSTERN_TOOLS_CERTIFICATES_H
#define POSTERN_TOOLS_CERTIFICATES_H

struct bundle;
struct conf;

/* 0, or -1 with a sentence naming file and remedy (owned by the caller). */
int	 certificates_check(const struct conf *conf,
	    const struct bundle *bundle, char **errors);

#endif
