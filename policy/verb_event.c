/* SPDX-License-Identifier: ISC */
/*
 * events: what was expected and not seen, of late.
 */
#include "policy/verbs.h"

#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "policy/event.h"
#include "policy/policy.h"
#include "policy/records.h"

/* Ten years; what is older has made room long ago. */
enum { SINCE_MAX = 3650 * 86400, PAGE_COUNT = 64, PAGE_COST = 768 };

struct choice {
	struct verbs_page	*page;		/* of this turn */
	struct events_page	 wanted;
	char			 domain[256];	/* "": all */
};

static bool names_it(const json_t *object, const char *domain)
{
	const char *one = json_string_value(json_object_get(object, "domain"));
	const json_t *all = json_object_get(object, "destinations");
	size_t i;

	if (one != NULL && strcmp(one, domain) == 0)
		return true;
	for (i = 0; i < json_array_size(all); i++) {
		one = json_string_value(json_array_get(all, i));
		if (one != NULL && strcmp(one, domain) == 0)
			return true;
	}
	return false;
}

static void choose(void *arg, json_t *object)
{
	const struct choice *choice = arg;

	if (choice->domain[0] == '\0' || names_it(object, choice->domain))
		verbs_page_add(choice->page, object);
	else
		json_decref(object);
}

/* Each page looks for its place from the first one on, and objects that are
 * not chosen were made, too. */
static unsigned list_more(void *arg, struct verbs_page *page)
{
	struct choice *choice = arg;

	choice->page = page;
	choice->wanted.after = events_page(policy_records()->events,
	    &choice->wanted, choose, choice);
	return choice->wanted.after == 0 ? 0 : PAGE_COST;
}

void verb_events(struct control *control, const json_t *arguments)
{
	const json_t *since = json_object_get(arguments, "since");
	struct choice *choice;
	char domain[256] = "";

	if (!json_is_integer(since) || json_integer_value(since) < 0 ||
	    json_integer_value(since) > SINCE_MAX) {
		control_end(control, CONTROL_USAGE, "argument \"since\": a "
		    "number of seconds is expected, of ten years at most");
		return;
	}
	if (json_object_get(arguments, "domain") != NULL &&
	    verbs_read_domain(control, arguments, "domain", domain,
	    sizeof(domain)) == -1)
		return;
	choice = mem_alloc(sizeof(*choice));
	memcpy(choice->domain, domain, sizeof(domain));
	choice->wanted.count = PAGE_COUNT;
	choice->wanted.since = clock_wall() -
	    json_integer_value(since) * 1000;
	verbs_send(control, list_more, mem_free, choice,
	    "nothing of that kind happened");
}
