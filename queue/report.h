/* SPDX-License-Identifier: ISC */
/*
 * What a tally says just now, as tables. Of a tally that is kept (census.h) the
 * rows say when slices are due, and this adds what is only in memory: which
 * destinations rest or are paused, and what is in flight. It is made in one
 * turn and does not change.
 */
#ifndef POSTERN_QUEUE_REPORT_H
#define POSTERN_QUEUE_REPORT_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct destination;
struct queue;
struct report;
struct tally;
struct tally_domain;
struct tally_group;

/* Whose states and statuses are to be looked up; or final: they were when the
 * slices were put in (DUE is active then, PENDING is deferred). */
enum report_source { REPORT_KEPT, REPORT_FINAL };

enum report_table { REPORT_DOMAINS, REPORT_HOSTS, REPORT_STATES,
    REPORT_REASONS, REPORT_AGES, REPORT_TABLES };

/* Who wants to see each group on the way, with its destination (or null). */
struct report_each {
	void	(*visit)(void *arg, const struct tally_domain *domain,
		    const struct tally_group *group,
		    const struct destination *destination);
	void	*arg;
};

/* each: null, or for REPORT_KEPT only. */
struct report	*report_new(struct queue *queue, const struct tally *tally,
		    enum report_source source,
		    const struct report_each *each);
void		 report_free(struct report *report);
/* -1 if there is no such table; the first has number 0. */
int		 report_table_find(const char *name);
size_t		 report_rows(const struct report *report,
		    enum report_table table);
/* Row i, the largest first; a new reference. */
json_t		*report_row(const struct report *report,
		    enum report_table table, size_t i);
json_t		*report_total(const struct report *report);

#endif
