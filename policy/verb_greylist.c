/* SPDX-License-Identifier: ISC */
/*
 * greylist-list, -forget: who waits and who is known. All keys are gathered
 * first and put in order, a little at a time; each is looked up again when it
 * is its turn.
 */
#include "policy/verbs.h"

#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "policy/greylist.h"
#include "policy/names.h"
#include "policy/policy.h"
#include "policy/records.h"

struct greylist_walk {
	struct names	*names;		/* owned; keys */
	char		 name[GREYLIST_TEXT_MAX + 1];	/* "": all */
	bool		 gathered;
	uint64_t	 cursor;
	unsigned	 cost;		/* of this step */
};

static void put_time(json_t *object, const char *key, int64_t wall)
{
	char text[40];

	clock_format_iso(wall, text, sizeof(text));
	json_object_set_new(object, key, json_string(text));
}

/* Bytes that are no UTF-8 are in no string of JSON. */
static void put_text(json_t *object, const char *key, const char *text)
{
	json_t *string = json_string(text);

	json_object_set_new(object, key, string != NULL ? string :
	    json_string("?"));
}

static json_t *entry_object(const struct greylist_entry *entry)
{
	json_t *object = json_object();

	put_text(object, "state", entry->known ? "known" : "waiting");
	put_text(object, "network", entry->network);
	put_text(object, entry->known ? "domain" : "sender", entry->sender);
	if (!entry->known)
		put_text(object, "recipient", entry->recipient);
	put_time(object, "first", entry->first);
	if (entry->known)
		put_time(object, "last", entry->last);
	else
		put_time(object, "from", entry->from);
	put_time(object, "until", entry->until);
	return object;
}

static void gather(void *arg, const char *key)
{
	struct greylist_walk *walk = arg;

	walk->cost++;
	if (names_add(walk->names, key))
		walk->cost += NAMES_RUN;
}

static unsigned more(void *arg, struct verbs_page *page)
{
	struct greylist *greylist = policy_records()->greylist;
	struct greylist_walk *walk = arg;
	struct greylist_entry entry;
	const char *key;

	walk->cost = 1;
	if (!walk->gathered) {
		walk->cursor = greylist_scan(greylist, walk->cursor, gather,
		    walk);
		walk->gathered = walk->cursor == 0;
		return walk->cost;
	}
	key = names_next(walk->names);
	if (key == NULL)
		return 0;
	if (greylist_find(greylist, key, &entry) && (walk->name[0] == '\0' ||
	    greylist_is_about(greylist, &entry, walk->name)))
		verbs_page_add(page, entry_object(&entry));
	return walk->cost;
}

static void release(void *arg)
{
	struct greylist_walk *walk = arg;

	names_free(walk->names);
	mem_free(walk);
}

/* -1: the connection has been ended with a sentence. */
static int read_name(struct control *control, const json_t *arguments,
    char *name, size_t size)
{
	const json_t *value = json_object_get(arguments, "name");
	const char *given = json_string_value(value);

	if (given == NULL || given[0] == '\0' || strlen(given) >= size ||
	    strlen(given) != json_string_length(value)) {
		control_end(control, CONTROL_USAGE, "argument \"name\": a "
		    "network, an address, a domain, a sender or a recipient "
		    "is expected");
		return -1;
	}
	memcpy(name, given, strlen(given) + 1);
	return 0;
}

void verb_greylist_list(struct control *control, const json_t *arguments)
{
	struct greylist_walk *walk = mem_alloc(sizeof(*walk));

	if (json_object_get(arguments, "name") != NULL && read_name(control,
	    arguments, walk->name, sizeof(walk->name)) == -1) {
		mem_free(walk);
		return;
	}
	walk->names = names_new();
	verbs_send(control, more, release, walk, walk->name[0] == '\0' ?
	    "nobody waits and nobody is known" :
	    "nothing of that name waits or is known");
}

void verb_greylist_forget(struct control *control, const json_t *arguments)
{
	char name[GREYLIST_TEXT_MAX + 1], detail[60];
	size_t count;

	if (read_name(control, arguments, name, sizeof(name)) == -1)
		return;
	count = greylist_forget(policy_records()->greylist, name);
	if (count == 0) {
		control_end(control, CONTROL_NONE_MATCHED,
		    "nothing of that name waits or is known");
		return;
	}
	snprintf(detail, sizeof(detail), "%zu entries", count);
	verbs_log(control, "greylist-forget", name, detail);
	control_send(control, json_pack("{s:I, s:s}", "forgotten",
	    (json_int_t)count, "name", name));
	control_end(control, CONTROL_OK, NULL);
}
