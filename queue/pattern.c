/* SPDX-License-Identifier: ISC */
/*
 * fnmatch(3) knows classes and escapes, too: they are taken from it.
 */
#include "queue/pattern.h"

#include <fnmatch.h>
#include <stddef.h>
#include <string.h>
#include <strings.h>

enum { PATTERN_BYTES = 2048 };

bool pattern_matches(const char *pattern, const char *text)
{
	char escaped[PATTERN_BYTES];
	size_t length = 0;

	if (pattern == NULL)
		return true;
	if (pattern[0] == '\0')
		return text[0] == '\0';
	if (strpbrk(pattern, "*?") == NULL)
		return strcasecmp(pattern, text) == 0;
	for (; *pattern != '\0' && length + 3 < sizeof(escaped); pattern++) {
		if (strchr("[]\\", *pattern) != NULL)
			escaped[length++] = '\\';
		escaped[length++] = *pattern;
	}
	escaped[length] = '\0';
	return *pattern == '\0' &&
	    fnmatch(escaped, text, FNM_CASEFOLD) == 0;
}
