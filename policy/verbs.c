/* SPDX-License-Identifier: ISC */
/*
 * The table of verbs, and what their files share: arguments that are checked
 * with a sentence, the line in the log about a change, and long answers, which
 * are made a little at a time.
 */
#include "policy/verbs.h"

#include <stdio.h>
#include <string.h>
#include <sys/queue.h>

#include "base/address.h"
#include "base/idn.h"
#include "base/log.h"
#include "base/loop.h"
#include "base/mem.h"
#include "base/process.h"

/* --- arguments --- */

static int wrong(struct control *control, const char *name,
    const char *accepted)
{
	char sentence[300];

	snprintf(sentence, sizeof(sentence), "argument \"%s\": %s", name,
	    accepted);
	control_end(control, CONTROL_USAGE, sentence);
	return -1;
}

/* 0: domain is filled. */
static int take_domain(const json_t *value, char *domain, size_t size)
{
	const char *given = json_string_value(value);

	if (given == NULL)
		return -1;
	if (domain_is_literal(given) && json_string_length(value) < size) {
		snprintf(domain, size, "%s", given);
		return 0;
	}
	return strlen(given) == json_string_length(value) &&
	    domain_to_ascii(domain, size, given) == NULL ? 0 : -1;
}

int verbs_read_domain(struct control *control, const json_t *arguments,
    const char *name, char *domain, size_t size)
{
	if (take_domain(json_object_get(arguments, name), domain, size) == 0)
		return 0;
	return wrong(control, name, "a domain is expected, or an address in "
	    "brackets");
}

int verbs_read_pattern(struct control *control, const json_t *arguments,
    const char *name, char *domain, size_t size)
{
	const json_t *value = json_object_get(arguments, name);
	const char *given = json_string_value(value);

	if (take_domain(value, domain, size) == 0)
		return 0;
	if (given != NULL && strncmp(given, "*.", 2) == 0)
		given++;
	domain[0] = '.';
	if (given != NULL && given[0] == '.' &&
	    domain_to_ascii(domain + 1, size - 1, given + 1) == NULL)
		return 0;
	return wrong(control, name, "a domain is expected, or one with a dot "
	    "in front for all that are below it");
}

int verbs_read_reason(struct control *control, const json_t *arguments,
    char *reason, size_t size)
{
	const json_t *value = json_object_get(arguments, "reason");
	const char *given = json_string_value(value);
	size_t length = json_string_length(value), i, visible = 0;
	char accepted[100];

	for (i = 0; i < length; i++) {
		if ((unsigned char)given[i] < ' ' || given[i] == 0x7f)
			break;
		visible += given[i] != ' ';
	}
	if (visible > 0 && i == length && length < size) {
		memcpy(reason, given, length + 1);
		return 0;
	}
	snprintf(accepted, sizeof(accepted), "one line of text is expected, of "
	    "at most %zu bytes", size - 1);
	return wrong(control, "reason", accepted);
}

int verbs_read_level(struct control *control, const json_t *arguments,
    unsigned accepted, enum conf_level *level)
{
	const char *given = json_string_value(json_object_get(arguments,
	    "level"));
	char sentence[200] = "one of these is expected:";
	enum conf_level one;
	size_t used;

	for (one = 0; one < LEVEL_COUNT; one++) {
		if ((accepted & 1u << one) == 0)
			continue;
		*level = one;
		if (given != NULL && strcmp(given, conf_level_name(one)) == 0)
			return 0;
		used = strlen(sentence);
		snprintf(sentence + used, sizeof(sentence) - used, " %s",
		    conf_level_name(one));
	}
	return wrong(control, "level", sentence);
}

/* --- changes --- */

void verbs_author(const struct control *control, char *out, size_t size)
{
	uid_t uid = control_caller(control)->uid;

	if (uid == 0)
		snprintf(out, size, "root (uid 0)");
	else
		snprintf(out, size, "uid %lu", (unsigned long)uid);
}

void verbs_log(const struct control *control, const char *verb,
    const char *domain, const char *detail)
{
	log_info("operator", log_text("verb", verb),
	    log_text("domain", domain), log_text("detail", detail),
	    log_number("uid", (int64_t)control_caller(control)->uid));
}

/* --- long answers --- */

struct verbs_page {
	struct control	*control;
	verbs_more	*more;		/* null: the tables are gone */
	void		(*release)(void *arg);	/* may be null */
	void		*arg;
	const char	*none;		/* a literal */
	bool		 any;		/* something was sent */
	size_t		 bytes;		/* in this turn */
	struct timer	 again;		/* while nothing is to be drained */
	LIST_ENTRY(verbs_page) entry;
};

static LIST_HEAD(, verbs_page) pages = LIST_HEAD_INITIALIZER(pages);

void verbs_page_add(struct verbs_page *page, json_t *object)
{
	page->bytes += control_send(page->control, object);
	page->any = true;
}

static void page_free(void *arg)
{
	struct verbs_page *page = arg;

	LIST_REMOVE(page, entry);
	timer_stop(&page->again);
	if (page->release != NULL)
		page->release(page->arg);
	mem_free(page);
}

static void page_end(struct verbs_page *page)
{
	control_end(page->control, page->any ? CONTROL_OK :
	    CONTROL_NONE_MATCHED, page->any ? NULL : page->none);
}

static void on_again(void *arg);

/* One turn. Output that drains calls for the next one; without any, we do. */
static void produce(struct control *control, void *arg)
{
	struct verbs_page *page = arg;
	size_t cost = 0;
	unsigned one;

	(void)control;
	if (page->more == NULL)
		return;
	page->bytes = 0;
	while (cost + page->bytes / VERBS_BYTES_PER_COST < VERBS_TURN_COST) {
		one = page->more(page->arg, page);
		if (one == 0) {
			page_end(page);
			return;
		}
		cost += one;
	}
	if (page->bytes == 0)
		timer_start(&page->again, 0, on_again, page);
}

static void on_again(void *arg)
{
	struct verbs_page *page = arg;

	produce(page->control, page);
}

void verbs_send(struct control *control, verbs_more *more,
    void (*release)(void *arg), void *arg, const char *none)
{
	struct verbs_page *page = mem_alloc(sizeof(*page));

	page->control = control;
	page->more = more;
	page->release = release;
	page->arg = arg;
	page->none = none;
	LIST_INSERT_HEAD(&pages, page, entry);
	control_produce(control, produce, page_free, page);
}

void verbs_stop_pages(void)
{
	struct verbs_page *page;

	LIST_FOREACH(page, &pages, entry)
		page->more = NULL;
}

/* --- the table --- */

static const struct control_verb verbs[] = {
	{ "explain", false, verb_explain },
	{ "sts-list", false, verb_sts_list },
	{ "sts-forget", true, verb_sts_forget },
	{ "memory-list", false, verb_memory_list },
	{ "memory-show", false, verb_memory_show },
	{ "memory-forget", true, verb_memory_forget },
	{ "memory-pin", true, verb_memory_pin },
	{ "memory-unpin", true, verb_memory_unpin },
	{ "memory-import", true, verb_memory_import },
	{ "memory-export", false, verb_memory_export },
	{ "exception-add", true, verb_exception_add },
	{ "exception-list", false, verb_exception_list },
	{ "exception-revoke", true, verb_exception_revoke },
	{ "events", false, verb_events },
	{ "outcomes", false, verb_outcomes },
	{ "greylist-list", false, verb_greylist_list },
	{ "greylist-forget", true, verb_greylist_forget },
};

void verbs_accept(int fd, const struct process_caller *caller)
{
	control_accept(fd, caller, verbs, sizeof(verbs) / sizeof(verbs[0]));
}
