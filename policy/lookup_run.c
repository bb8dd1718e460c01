/* SPDX-License-Identifier: ISC */
/*
 * A name that cannot be in the DNS (an empty label, one of 64 bytes) is not
 * asked for: there is no such name. Other bytes than those of host names are
 * escaped as dns.c writes them, so that the answer is found under the name.
 */
#include "policy/lookup_run.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "base/arena.h"
#include "base/loop.h"
#include "base/mem.h"
#include "policy/resolver.h"

enum { LABEL_MAX = 63, NAME_BYTES_MAX = 253,	/* RFC 1035 3.1 as text */
    ESCAPED_MAX = 4 * DNS_NAME_MAX + 1,
    OVERHEAD = 512 };		/* of one answer: its name */

struct lookup_run {
	struct resolver		*resolver;	/* outlives us */
	struct resolver_query	*query;		/* under way, or null */
	struct arena		*kept;		/* owned: names, answers */
	struct arena		*scratch;	/* owned: the last step's */
	size_t			 bytes;		/* of records, at most */
	struct lookup_answer	 items[LOOKUP_RUN_LOOKUPS_MAX];
	struct lookup_answers	 answers;
	struct timer		 deadline;
	struct timer		 turn;		/* done, or an answer that needs
						 * no DNS, in the next turn */
	lookup_run_step		*step;
	lookup_run_done		*done;
	void			*arg;
};

void lookup_run_cancel(struct lookup_run *run)
{
	if (run->query != NULL)
		resolver_cancel(run->query);
	timer_stop(&run->deadline);
	timer_stop(&run->turn);
	arena_free(run->scratch);
	arena_free(run->kept);
	mem_free(run);
}

static void finish(struct lookup_run *run, bool finished)
{
	if (run->query != NULL)
		resolver_cancel(run->query);
	run->query = NULL;
	timer_stop(&run->deadline);
	timer_stop(&run->turn);
	run->done(run->arg, finished);
	lookup_run_cancel(run);
}

static void on_deadline(void *arg)
{
	finish(arg, false);
}

static void on_finished(void *arg)
{
	finish(arg, true);
}

/* --- names --- */

static bool is_possible(const char *name)
{
	size_t label = 0, i;

	for (i = 0; name[i] != '\0'; i++) {
		if (name[i] != '.') {
			label++;
			continue;
		}
		if (label == 0 || label > LABEL_MAX)
			return false;
		label = 0;
	}
	return label > 0 && label <= LABEL_MAX && i <= NAME_BYTES_MAX;
}

static void escape(const char *name, char *out, size_t size)
{
	size_t used = 0;

	for (; *name != '\0' && used + 5 < size; name++) {
		if (isalnum((unsigned char)*name) ||
		    strchr("-_.", *name) != NULL)
			out[used++] = *name;
		else
			used += (size_t)snprintf(out + used, 5, "\\%03u",
			    (unsigned char)*name);
	}
	out[used] = '\0';
}

static char *lower(struct arena *arena, const char *name)
{
	char *copy = arena_dup_string(arena, name), *at;

	for (at = copy; *at != '\0'; at++)
		*at = (char)tolower((unsigned char)*at);
	return copy;
}

/* --- answers --- */

static enum lookup_status status_of(enum fact_result result)
{
	switch (result) {
	case FACT_DATA: return LOOKUP_FOUND;
	case FACT_NODATA: return LOOKUP_EMPTY;
	case FACT_NXDOMAIN: return LOOKUP_MISSING;
	default: return LOOKUP_FAILED;
	}
}

/* "" for the root: nobody's name. */
static const char *name_text(const char *name)
{
	return strcmp(name, ".") == 0 ? "" : name;
}

/* One record of the answer, its text borrowed. */
static struct lookup_record record_of(enum lookup_type type,
    const struct dns_answer *answer, size_t index)
{
	struct lookup_record record = { .text = "" };

	switch (type) {
	case LOOKUP_TXT:
		record.text = answer->texts[index];
		record.length = answer->text_lengths[index];
		return record;
	case LOOKUP_A:
	case LOOKUP_AAAA:
		record.address = answer->addresses[index];
		return record;
	case LOOKUP_MX:
		record.preference = answer->mx[index].preference;
		record.text = name_text(answer->mx[index].host);
		break;
	case LOOKUP_PTR:
		record.text = name_text(answer->names[index]);
		break;
	}
	record.length = strlen(record.text);
	return record;
}

/* How much all of them take. */
static size_t cost_of(enum lookup_type type, const struct dns_answer *answer)
{
	size_t bytes = 0, i;

	for (i = 0; i < answer->count; i++)
		bytes += sizeof(struct lookup_record) + 32 +
		    record_of(type, answer, i).length;
	return bytes;
}

static void keep(struct lookup_run *run, struct lookup_answer *item,
    const struct dns_answer *answer)
{
	struct lookup_record record;
	size_t i;

	item->status = status_of(answer->result);
	if (item->status != LOOKUP_FOUND)
		return;
	run->bytes += cost_of(item->type, answer);
	if (run->bytes > LOOKUP_RUN_BYTES_MAX) {
		item->status = LOOKUP_FAILED;
		return;
	}
	item->count = answer->count;
	item->records = arena_alloc_array(run->kept, item->count,
	    sizeof(*item->records));
	for (i = 0; i < item->count; i++) {
		record = record_of(item->type, answer, i);
		record.text = arena_dup_text(run->kept, record.text,
		    record.length);
		item->records[i] = record;
	}
}

static void go_on(struct lookup_run *run);

static void on_answer(void *arg, const struct dns_answer *answer)
{
	struct lookup_run *run = arg;

	run->query = NULL;
	keep(run, &run->items[run->answers.count++], answer);
	go_on(run);
}

static void on_impossible(void *arg)
{
	struct lookup_run *run = arg;

	run->items[run->answers.count++].status = LOOKUP_MISSING;
	go_on(run);
}

/* --- steps --- */

static enum dns_type dns_type_of(enum lookup_type type)
{
	switch (type) {
	case LOOKUP_TXT: return DNS_TXT;
	case LOOKUP_A: return DNS_A;
	case LOOKUP_AAAA: return DNS_AAAA;
	case LOOKUP_MX: return DNS_MX;
	case LOOKUP_PTR: break;
	}
	return DNS_PTR;
}

/* The next item becomes its place, counted when the answer is there. */
static void ask(struct lookup_run *run, const struct lookup_need *need)
{
	struct lookup_answer *item = &run->items[run->answers.count];
	char escaped[ESCAPED_MAX];

	item->name = lower(run->kept, need->name);
	item->type = need->type;
	if (!is_possible(need->name)) {
		timer_start(&run->turn, 0, on_impossible, run);
		return;
	}
	escape(item->name, escaped, sizeof(escaped));
	run->query = resolver_lookup(run->resolver, escaped,
	    dns_type_of(need->type), on_answer, run);
}

static void go_on(struct lookup_run *run)
{
	struct lookup_need need = { .name = "" };

	arena_free(run->scratch);
	run->scratch = arena_new(LOOKUP_RUN_SCRATCH_MAX);
	if (run->step(run->arg, &run->answers, run->scratch, &need)) {
		timer_start(&run->turn, 0, on_finished, run);
		return;
	}
	if (run->answers.count == LOOKUP_RUN_LOOKUPS_MAX ||
	    strlen(need.name) > NAME_BYTES_MAX) {
		timer_start(&run->turn, 0, on_deadline, run);
		return;
	}
	ask(run, &need);
	arena_free(run->scratch);
	run->scratch = NULL;
}

struct lookup_run *lookup_run_start(struct resolver *resolver,
    lookup_run_step *step, lookup_run_done *done, void *arg)
{
	struct lookup_run *run = mem_alloc(sizeof(*run));

	run->resolver = resolver;
	run->kept = arena_new(LOOKUP_RUN_BYTES_MAX +
	    LOOKUP_RUN_LOOKUPS_MAX * OVERHEAD);
	run->answers.items = run->items;
	run->step = step;
	run->done = done;
	run->arg = arg;
	timer_start(&run->deadline, LOOKUP_RUN_MILLISECONDS, on_deadline, run);
	go_on(run);
	return run;
}
