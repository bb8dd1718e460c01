/* SPDX-License-Identifier: ISC */
/*
 * The catalogue of what can befall TLS between mail servers: rows with an id,
 * in catalogue.json. Each is shown by scenarios, which name it, or is left out
 * for a reason that is written there.
 *
 *	[{"id": "N-01", "title": "...", "left-out": "why"}, ...]
 */
#ifndef POSTERN_TOOLS_LAB_CATALOGUE_H
#define POSTERN_TOOLS_LAB_CATALOGUE_H

#include <stdbool.h>
#include <stddef.h>

#include "tools/lab/scenario.h"

struct lab_catalogue;

struct lab_row {		/* borrowed from the catalogue */
	const char	*id, *title;
	const char	*left_out;	/* null: there are scenarios */
};

/* Null with lines of errors (owned by the caller). */
struct lab_catalogue	*lab_catalogue_read(const char *path, char **errors);
void			 lab_catalogue_free(struct lab_catalogue *catalogue);
size_t			 lab_catalogue_count(
			    const struct lab_catalogue *catalogue);
struct lab_row		 lab_catalogue_row(
			    const struct lab_catalogue *catalogue, size_t i);
/* Does the scenario name this row? */
bool			 lab_catalogue_shows(
			    const struct lab_scenario *scenario,
			    const char *id);
/* Rows without scenario or reason, with both, and scenarios of unknown rows:
 * lines, owned by the caller; null: it is complete. */
char			*lab_catalogue_problems(
			    const struct lab_catalogue *catalogue,
			    struct lab_scenario *const *scenarios,
			    size_t count);

#endif
