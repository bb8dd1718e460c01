/* SPDX-License-Identifier: ISC */
/*
 * Finding an answer: there are some dozens at most. Names that can be asked
 * for.
 */
#include "authentic/lookup.h"

#include <strings.h>

const struct lookup_answer *lookup_find(const struct lookup_answers *answers,
    enum lookup_type type, const char *name)
{
	for (size_t i = 0; i < answers->count; i++)
		if (answers->items[i].type == type &&
		    strcasecmp(answers->items[i].name, name) == 0)
			return &answers->items[i];
	return NULL;
}

/* A backslash is left out, as resolvers read more into it. */
bool lookup_name_is_valid(const char *name)
{
	size_t label = 0, i;

	for (i = 0; name[i] != '\0' && i <= LOOKUP_NAME_MAX; i++) {
		if (name[i] == '.') {
			if (label == 0)
				return false;
			label = 0;
		} else if (name[i] < ' ' || name[i] > '~' ||
		    name[i] == '\\' || ++label > LOOKUP_LABEL_MAX) {
			return false;
		}
	}
	return label > 0 && i <= LOOKUP_NAME_MAX;
}
