/* SPDX-License-Identifier: ISC */
/*
 * Domains are gone through once; each of their groups asks for its destination.
 */
#include "queue/report.h"

#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/clock.h"
#include "base/control.h"
#include "base/hash.h"
#include "base/mem.h"
#include "base/status.h"
#include "queue/destination.h"
#include "queue/queue.h"
#include "queue/record.h"
#include "queue/rows.h"
#include "queue/schedule.h"
#include "queue/selector.h"
#include "queue/tally.h"

/* A row of any table; what a table does not know stays 0. */
struct row {
	char		*name;		/* owned */
	uint64_t	 messages;
	uint64_t	 recipients;
	uint64_t	 bytes;
	uint64_t	 by_state[SLICE_IS_HELD + 1];	/* recipients */
	int64_t		 oldest;	/* arrival, wall ms; 0: none */
};

struct rows {
	struct row	*rows;		/* owned */
	size_t		 count, size;
};

struct report {
	struct queue		*queue;		/* while it is made */
	const struct tally	*tally;
	enum report_source	 source;
	const struct report_each *each;		/* null: nobody */
	int64_t			 now;
	bool			 any_waits;	/* resting or paused */
	struct hash		*by_domain;	/* number + 1, as pointers */
	struct hash		*by_host;
	uint64_t		*hosts;		/* owned; recipients, by number */
	uint64_t		 reasons[STATUS_REASONS];
	struct rows		 tables[REPORT_TABLES];
	struct row		 total;
};

static const char *const table_names[REPORT_TABLES] = {
	[REPORT_DOMAINS] = "domain", [REPORT_HOSTS] = "host",
	[REPORT_STATES] = "state", [REPORT_REASONS] = "reason",
	[REPORT_AGES] = "age"
};

/* Sets of reasons that have a word of their own (base/status.h). */
static const char *const classes[] = { "broken-tls", "tls", "temporary-dns" };
enum { CLASSES = sizeof(classes) / sizeof(classes[0]) };

static const struct { const char *name; uint32_t minutes; } ages[] = {
	{ "<1h", 60 }, { "<4h", 240 }, { "<1d", 1440 }, { "<2d", 2880 },
	{ "older", UINT32_MAX }
};
enum { AGES = sizeof(ages) / sizeof(ages[0]) };

int report_table_find(const char *name)
{
	for (int i = 0; i < REPORT_TABLES; i++)
		if (strcmp(name, table_names[i]) == 0)
			return i;
	return -1;
}

static struct row *row_add(struct rows *rows, const char *name)
{
	struct row *row;

	if (rows->count == rows->size) {
		rows->size = rows->size * 2 + 16;
		rows->rows = mem_resize(rows->rows, rows->size,
		    sizeof(*rows->rows));
	}
	row = &rows->rows[rows->count++];
	*row = (struct row){ .name = mem_dup_string(name) };
	return row;
}

/* --- hosts --- */

static void add_host(struct report *report, const char *name, size_t length,
    uint64_t recipients)
{
	struct rows *rows = &report->tables[REPORT_HOSTS];
	uintptr_t number = (uintptr_t)hash_find(report->by_host, name,
	    length);
	char *copy;

	if (number == 0) {
		copy = mem_alloc(length + 1);
		memcpy(copy, name, length);
		row_add(rows, copy);
		mem_free(copy);
		number = rows->count;
		hash_put(report->by_host, name, length, (void *)number);
	}
	rows->rows[number - 1].recipients += recipients;
}

static void add_host_text(struct report *report, const char *name,
    uint64_t recipients)
{
	add_host(report, name, strlen(name), recipients);
}

/* Recipients that wait because of a status that is their destination's. */
static void add_trouble(struct report *report, const struct status *trouble,
    uint64_t recipients)
{
	size_t length = tally_host_length(trouble->host);

	report->reasons[trouble->reason] += recipients;
	if (length == 0)
		report->hosts[TALLY_NO_HOST] += recipients;
	else
		add_host(report, trouble->host, length, recipients);
}

/* What was only numbered so far. */
static void name_hosts(struct report *report)
{
	static const char *const others[] = { [TALLY_UNTRIED] = "(untried)",
	    [TALLY_NO_HOST] = "(none)", [TALLY_OTHER_HOSTS] = "(others)" };
	uint32_t count = tally_hosts(report->tally);

	for (uint32_t i = 0; i < count; i++) {
		if (report->hosts[i] > 0)
			add_host_text(report, i < TALLY_FIRST_HOST ? others[i] :
			    tally_host_name(report->tally, i),
			    report->hosts[i]);
	}
}

/* --- domains --- */

static bool waits(const struct report *report,
    const struct destination *destination)
{
	return destination != NULL && (destination->paused ||
	    destination_is_resting(destination, report->now));
}

/* Null where the slices' own rows say everything. */
static const struct destination *waits_for(const struct report *report,
    const struct tally_domain *domain, const struct tally_group *group)
{
	struct destination *destination;

	if (report->source == REPORT_FINAL)
		return NULL;
	destination = domain->is_others ? NULL : destination_find(
	    schedule_destinations(report->queue->schedule), domain->name,
	    group->lane);
	if (report->each != NULL)
		report->each->visit(report->each->arg, domain, group,
		    destination);
	return waits(report, destination) ? destination : NULL;
}

/* As slice_trouble() has it for a single recipient. */
static void add_cells(struct report *report, const struct tally_group *group,
    const struct destination *destination)
{
	for (uint32_t i = 0; i < group->cell_count; i++) {
		const struct tally_cell *cell = &group->cells[i];

		if (destination != NULL && (destination->paused ||
		    cell->host == TALLY_UNTRIED)) {
			add_trouble(report, &destination->trouble,
			    cell->recipients);
			continue;
		}
		report->reasons[cell->reason] += cell->recipients;
		report->hosts[cell->host] += cell->recipients;
	}
}

static void add_group(struct report *report, struct row *row,
    const struct tally_domain *domain, const struct tally_group *group)
{
	const struct destination *destination = waits_for(report, domain,
	    group);
	enum slice_state due = destination == NULL ? SLICE_IS_ACTIVE :
	    SLICE_IS_DEFERRED;

	report->any_waits |= destination != NULL;
	row->by_state[SLICE_IS_HELD] += group->states[TALLY_HELD];
	row->by_state[SLICE_IS_DEFERRED] += group->states[TALLY_PENDING];
	row->by_state[due] += group->states[TALLY_DUE];
	add_cells(report, group, destination);
}

static void add_domain(void *arg, const struct tally_domain *domain)
{
	struct report *report = arg;
	struct rows *rows = &report->tables[REPORT_DOMAINS];
	struct row *row = row_add(rows, domain->name);
	const struct tally_group *group;

	row->messages = domain->messages;
	row->recipients = domain->recipients;
	row->bytes = domain->bytes;
	row->oldest = tally_domain_oldest(domain);
	for (group = domain->groups; group != NULL; group = group->next)
		add_group(report, row, domain, group);
	hash_put_text(report->by_domain, domain->name,
	    (void *)(uintptr_t)rows->count);
}

/* What is in flight is active, though its destination rests since. */
static void add_flight(void *arg, uint64_t id, uint32_t number)
{
	struct report *report = arg;
	struct arena *arena = arena_new(RECORD_ARENA_MAX);
	struct record_slice *slice = rows_find_slice(report->queue->store, id,
	    number, arena);
	uintptr_t at = slice == NULL || slice->flags & SLICE_HELD ? 0 :
	    (uintptr_t)hash_find_text(report->by_domain, slice->domain);
	const struct destination *destination = at == 0 ? NULL :
	    destination_find(schedule_destinations(report->queue->schedule),
	    slice->domain, record_slice_lane(slice));

	if (waits(report, destination)) {
		uint64_t *by_state =
		    report->tables[REPORT_DOMAINS].rows[at - 1].by_state;

		by_state[SLICE_IS_ACTIVE] += slice->recipient_count;
		by_state[SLICE_IS_DEFERRED] -= slice->recipient_count;
	}
	arena_free(arena);
}

/* --- the other tables --- */

static void add_total(struct report *report)
{
	const struct rows *domains = &report->tables[REPORT_DOMAINS];
	struct row *total = &report->total;

	for (size_t i = 0; i < domains->count; i++) {
		const struct row *row = &domains->rows[i];

		total->recipients += row->recipients;
		for (int state = 0; state <= SLICE_IS_HELD; state++)
			total->by_state[state] += row->by_state[state];
		if (total->oldest == 0 || (row->oldest != 0 &&
		    row->oldest < total->oldest))
			total->oldest = row->oldest;
	}
	total->messages = tally_messages(report->tally);
	total->bytes = tally_bytes(report->tally);
}

static void add_states(struct report *report)
{
	for (int i = SLICE_IS_ACTIVE; i <= SLICE_IS_HELD; i++)
		row_add(&report->tables[REPORT_STATES], slice_state_name(
		    (enum slice_state)i))->recipients =
		    report->total.by_state[i];
}

/* Behind the reasons, the classes that they belong to. */
static void add_reasons(struct report *report)
{
	struct rows *rows = &report->tables[REPORT_REASONS];

	for (int i = 0; i < STATUS_REASONS; i++)
		if (report->reasons[i] > 0)
			row_add(rows, status_reason_name(
			    (enum status_reason)i))->recipients =
			    report->reasons[i];
}

static void add_classes(struct report *report)
{
	struct rows *rows = &report->tables[REPORT_REASONS];

	for (size_t i = 0; i < CLASSES; i++) {
		uint64_t set = status_reason_set(classes[i]);
		struct row *row = row_add(rows, classes[i]);

		for (int reason = 0; reason < STATUS_REASONS; reason++)
			if (set >> reason & 1)
				row->recipients += report->reasons[reason];
	}
}

static size_t age_class(uint32_t now, uint32_t minute)
{
	uint32_t age = minute > now ? 0 : now - minute;
	size_t i = 0;

	while (i + 1 < AGES && age >= ages[i].minutes)
		i++;
	return i;
}

static void add_ages(struct report *report)
{
	struct rows *rows = &report->tables[REPORT_AGES];
	const struct tally_minute *minutes;
	size_t count = tally_minutes(report->tally, &minutes);
	uint32_t now = (uint32_t)(report->now / 60000);

	for (size_t i = 0; i < AGES; i++)
		row_add(rows, ages[i].name);
	for (size_t i = 0; i < count; i++) {
		struct row *row = &rows->rows[age_class(now,
		    minutes[i].minute)];

		row->messages += minutes[i].messages;
		row->recipients += minutes[i].recipients;
		row->bytes += minutes[i].bytes;
	}
}

/* --- all of it --- */

static int compare(const void *left, const void *right)
{
	const struct row *one = left;
	const struct row *other = right;

	if (one->recipients != other->recipients)
		return one->recipients > other->recipients ? -1 : 1;
	return strcmp(one->name, other->name);
}

static void sort(struct report *report, enum report_table table)
{
	struct rows *rows = &report->tables[table];

	if (rows->count > 1)
		qsort(rows->rows, rows->count, sizeof(rows->rows[0]),
		    compare);
}

struct report *report_new(struct queue *queue, const struct tally *tally,
    enum report_source source, const struct report_each *each)
{
	struct report *report = mem_alloc(sizeof(*report));

	report->queue = queue;
	report->tally = tally;
	report->source = source;
	report->each = each;
	report->now = clock_wall();
	report->by_domain = hash_new();
	report->by_host = hash_new();
	report->hosts = mem_alloc_array(tally_hosts(tally),
	    sizeof(report->hosts[0]));
	tally_each_domain(tally, add_domain, report);
	if (report->any_waits)
		schedule_each_in_flight(queue->schedule, add_flight, report);
	add_total(report);
	name_hosts(report);
	add_states(report);
	add_reasons(report);
	add_ages(report);
	sort(report, REPORT_DOMAINS);
	sort(report, REPORT_HOSTS);
	sort(report, REPORT_REASONS);
	add_classes(report);
	hash_free(report->by_domain);
	hash_free(report->by_host);
	mem_free(report->hosts);
	return report;
}

void report_free(struct report *report)
{
	if (report == NULL)
		return;
	for (int table = 0; table < REPORT_TABLES; table++) {
		for (size_t i = 0; i < report->tables[table].count; i++)
			mem_free(report->tables[table].rows[i].name);
		mem_free(report->tables[table].rows);
	}
	mem_free(report);
}

size_t report_rows(const struct report *report, enum report_table table)
{
	return report->tables[table].count;
}

static json_t *counts(const struct row *row)
{
	char oldest[64] = "";

	if (row->oldest != 0)
		clock_format_iso(row->oldest, oldest, sizeof(oldest));
	return json_pack("{s:I, s:I, s:I, s:I, s:I, s:I, s:s}",
	    "messages", (json_int_t)row->messages,
	    "recipients", (json_int_t)row->recipients,
	    "bytes", (json_int_t)row->bytes,
	    "active", (json_int_t)row->by_state[SLICE_IS_ACTIVE],
	    "deferred", (json_int_t)row->by_state[SLICE_IS_DEFERRED],
	    "held", (json_int_t)row->by_state[SLICE_IS_HELD],
	    "oldest", oldest);
}

json_t *report_row(const struct report *report, enum report_table table,
    size_t i)
{
	const struct rows *rows = &report->tables[table];
	const struct row *row = &rows->rows[i];
	const char *name = table_names[table];
	json_t *value;

	switch (table) {
	case REPORT_DOMAINS:
		value = counts(row);
		break;
	case REPORT_AGES:
		value = json_pack("{s:I, s:I, s:I}",
		    "messages", (json_int_t)row->messages,
		    "recipients", (json_int_t)row->recipients,
		    "bytes", (json_int_t)row->bytes);
		break;
	default:
		if (table == REPORT_REASONS && i >= rows->count - CLASSES)
			name = "class";
		value = json_pack("{s:I}", "recipients",
		    (json_int_t)row->recipients);
	}
	json_object_set_new(value, name, control_text(row->name));
	return value;
}

json_t *report_total(const struct report *report)
{
	json_t *total = counts(&report->total);

	json_object_set_new(total, "domains", json_integer(
	    (json_int_t)report->tables[REPORT_DOMAINS].count));
	return total;
}
