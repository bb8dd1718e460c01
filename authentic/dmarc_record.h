/* SPDX-License-Identifier: ISC */
/*
 * A DMARC policy record (RFC 9989 4.7, 4.8; RFC 7489 6.3, 6.4). What is wrong
 * behind the version is as if it were not there; tags of reports only count as
 * far as they decide whether a record without a policy is one.
 */
#ifndef POSTERN_AUTHENTIC_DMARC_RECORD_H
#define POSTERN_AUTHENTIC_DMARC_RECORD_H

#include <stdbool.h>
#include <stddef.h>

#include "authentic/dmarc.h"

enum dmarc_psd { DMARC_PSD_UNKNOWN, DMARC_PSD_YES, DMARC_PSD_NO };

struct dmarc_record {
	bool		 strict_dkim;	/* adkim=s */
	bool		 strict_spf;	/* aspf=s */
	enum dmarc_psd	 psd;
	bool		 testing;	/* t=y */
	bool		 usable;	/* false: no policy, and nobody to tell */
	enum dmarc_wish	 policy;	/* p, before t */
	enum dmarc_wish	 subdomain;	/* sp, or p */
	enum dmarc_wish	 nonexistent;	/* np, or sp, or p */
};

/* False: the text is no DMARC record (of this version) at all. */
bool	 dmarc_record_read(const char *text, size_t length,
	    struct dmarc_record *record);

#endif
