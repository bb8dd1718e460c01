/* SPDX-License-Identifier: ISC */
/*
 * A small DNS out of JSON for the pure machines of authentic/: it answers what
 * they ask for and writes down the order.
 */
#ifndef POSTERN_TESTS_UNIT_AUTHENTIC_DNS_H
#define POSTERN_TESTS_UNIT_AUTHENTIC_DNS_H

#include <stdbool.h>
#include <stddef.h>

#include <jansson.h>

#include "authentic/lookup.h"

struct arena;

enum { SMALL_DNS_LOOKUPS_MAX = 256 };

struct small_dns {
	struct arena		*arena;		/* owned */
	const json_t		*names;		/* outlives us */
	struct lookup_answers	 answers;	/* of what was asked for */
	char			*log[SMALL_DNS_LOOKUPS_MAX];	/* "TXT example.org" */
};

void	 small_dns_init(struct small_dns *dns, const json_t *names);
void	 small_dns_release(struct small_dns *dns);
/* Adds the answer; the same question twice, or one too many, is a failure. */
void	 small_dns_answer(struct small_dns *dns, enum lookup_type type,
	    const char *name);
/* The log against ["TXT example.org", ...]. */
void	 small_dns_compare(const struct small_dns *dns, const json_t *queries);

const char	*vector_text(const json_t *object, const char *key,
		    const char *fallback);
bool		 vector_flag(const json_t *object, const char *key);
/* A test for each case of the files, named by its requirements and its name;
 * its state is the case. The number of failures. */
int		 vector_run(const char *group, const char *const *files,
		    size_t count, void (*test)(void **state));

#endif
