/* SPDX-License-Identifier: ISC */
/*
 * Lists of words: see words.h.
 */
#include "base/words.h"

#include <string.h>
#include <strings.h>

bool words_contain(const char *list, const char *word)
{
	size_t length = strlen(word), here;

	for (; *list != '\0'; list += here) {
		list += strspn(list, " ");
		here = strcspn(list, " ");
		if (here > 0 && here == length &&
		    strncasecmp(list, word, length) == 0)
			return true;
	}
	return false;
}
