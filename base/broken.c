/* SPDX-License-Identifier: ISC */
/*
 * See broken.h. Defects that are switched on are said at the first question, loudly.
 */
#include "base/broken.h"

#ifdef POSTERN_BREAKABLE

#include <stdlib.h>
#include <string.h>

#include "base/log.h"

bool broken(const char *defect)
{
	static bool told;
	const char *defects = getenv("POSTERN_BROKEN");
	size_t length = strlen(defect);

	if (defects == NULL)
		return false;
	if (!told)
		log_error("deliberate defects are switched on: only for tests",
		    log_text("defects", defects));
	told = true;
	while (defects != NULL && *defects != '\0') {
		if (strncmp(defects, defect, length) == 0 &&
		    (defects[length] == ',' || defects[length] == '\0'))
			return true;
		defects = strchr(defects, ',');
		if (defects != NULL)
			defects++;
	}
	return false;
}

#else

/* ISO C wants a declaration in each file. */
typedef int broken_is_not_built_in;

#endif
