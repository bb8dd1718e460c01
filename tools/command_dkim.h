/* SPDX-License-Identifier: ISC */
/*
 * postern dkim, and what `postern dns` prints of it.
 */
#ifndef POSTERN_TOOLS_COMMAND_DKIM_H
#define POSTERN_TOOLS_COMMAND_DKIM_H

#include <stddef.h>

struct dkim_key;

int	 command_dkim(int argc, char **argv);
enum { DKIM_QUOTED_MAX = 2200 };
/* The TXT record of a key as quoted strings of a zone file. -1 if it cannot be
 * made. */
int	 dkim_quote_record(const struct dkim_key *key,
	    char out[DKIM_QUOTED_MAX]);
/* "SELECTOR._domainkey.DOMAIN" */
void	 dkim_record_name(const struct dkim_key *key, char *out, size_t size);

#endif
