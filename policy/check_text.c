/* SPDX-License-Identifier: ISC */
/*
 * The TXT records at a name. A record with a zero byte, or one longer than any
 * key, is no DKIM key, and not handed on; a line feed within one is white space
 * there (RFC 6376 3.2), so that records can be told apart by it.
 */
#include <string.h>

#include "base/arena.h"
#include "base/mem.h"
#include "policy/check.h"
#include "policy/lookup_run.h"
#include "policy/message.h"

struct check_text {
	struct check		 check;
	struct lookup_run	*run;		/* owned; null in done */
	char			 name[POLICY_NAME_MAX + 1];
	enum dkim_key_answer	 answer;
	const char		*text;		/* in the run's arena */
	policy_text_done	*done;
	void			*arg;
};

static void cancel(struct check *check)
{
	struct check_text *text = (struct check_text *)check;

	if (text->run != NULL)
		lookup_run_cancel(text->run);
	mem_free(text);
}

static size_t add(char *out, size_t used, const struct lookup_record *record)
{
	size_t i;

	if (record->length > DKIM_KEY_RECORD_MAX ||
	    memchr(record->text, '\0', record->length) != NULL ||
	    used + record->length + 1 > POLICY_TEXT_MAX)
		return used;
	if (used > 0)
		out[used++] = '\n';
	for (i = 0; i < record->length; i++)
		out[used++] = record->text[i] == '\n' ? ' ' :
		    record->text[i];
	return used;
}

static void take(struct check_text *text, const struct lookup_answer *answer,
    struct arena *arena)
{
	char *out = arena_alloc(arena, POLICY_TEXT_MAX + 1);
	size_t used = 0, i;

	for (i = 0; i < answer->count; i++)
		used = add(out, used, &answer->records[i]);
	out[used] = '\0';
	text->text = out;
	text->answer = answer->status == LOOKUP_FAILED ?
	    DKIM_KEY_UNREACHABLE : used > 0 ? DKIM_KEY_FOUND :
	    DKIM_KEY_MISSING;
}

static bool on_step(void *arg, const struct lookup_answers *answers,
    struct arena *arena, struct lookup_need *need)
{
	struct check_text *text = arg;

	need->type = LOOKUP_TXT;
	need->name = text->name;
	if (answers->count == 0)
		return false;
	take(text, &answers->items[0], arena);
	return true;
}

static void on_done(void *arg, bool finished)
{
	struct check_text *text = arg;

	text->run = NULL;
	text->done(text->arg, finished ? text->answer : DKIM_KEY_UNREACHABLE,
	    finished ? text->text : "");
	mem_free(text);
}

struct check *check_text_start(struct resolver *resolver, const char *name,
    policy_text_done *done, void *arg)
{
	struct check_text *text = mem_alloc(sizeof(*text));

	text->check.cancel = cancel;
	text->done = done;
	text->arg = arg;
	if (strlen(name) <= POLICY_NAME_MAX)
		memcpy(text->name, name, strlen(name) + 1);
	text->run = lookup_run_start(resolver, on_step, on_done, text);
	return &text->check;
}
