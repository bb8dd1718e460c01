/* SPDX-License-Identifier: ISC */
/*
 * outcomes: what became of each session, counted for one day.
 */
#include "policy/verbs.h"

#include <stdio.h>

#include "base/clock.h"
#include "base/mem.h"
#include "policy/outcome.h"
#include "policy/policy.h"
#include "policy/records.h"

/* Each page looks for its place from the first one on. */
enum { PAGE_COST = 512 };

struct walk {
	char	 day[16];
	size_t	 count;		/* that were sent */
};

static void add(void *arg, json_t *object)
{
	verbs_page_add(arg, object);
}

static unsigned walk_more(void *arg, struct verbs_page *page)
{
	struct walk *walk = arg;
	size_t more = outcomes_page(policy_records()->outcomes, walk->day,
	    walk->count, add, page);

	walk->count += more;
	return more == 0 ? 0 : PAGE_COST;
}

void verb_outcomes(struct control *control, const json_t *arguments)
{
	const json_t *value = json_object_get(arguments, "day");
	const char *day = json_string_value(value);
	struct walk *walk;
	char today[40];

	clock_format_iso(clock_wall(), today, sizeof(today));
	today[10] = '\0';
	if (value == NULL)
		day = today;
	if (day == NULL || !outcomes_is_day(day)) {
		control_end(control, CONTROL_USAGE, "argument \"day\": a day "
		    "in UTC is expected, in the form 2026-11-22");
		return;
	}
	walk = mem_alloc(sizeof(*walk));
	snprintf(walk->day, sizeof(walk->day), "%.10s", day);
	verbs_send(control, walk_more, mem_free, walk,
	    "nothing was counted on that day");
}
