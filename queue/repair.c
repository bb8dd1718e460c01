/* SPDX-License-Identifier: ISC */
/*
 * Findings of verify.c, each put right in the turn in which it is found. The
 * report is flushed before the batch is: what was changed is always named.
 */
#include "queue/repair.h"

#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/control.h"
#include "base/log.h"
#include "base/mem.h"
#include "queue/record.h"
#include "queue/rows.h"
#include "queue/verify.h"

#define LOST_DOMAIN "recipients-lost.invalid"

struct repair {
	struct store	*store;
	struct arena	*arena;		/* owned; of the finding at hand */
	FILE		*report;	/* owned */
	uint64_t	 held, gone, mended;
};

/* --- what is done --- */

static void schedule_put(struct repair *repair, const struct place *place,
    const struct record_slice *slice)
{
	struct record_schedule row = { .attempt = slice->attempt,
	    .domain = slice->domain, .lane = record_slice_lane(slice) };
	struct record_message *message = rows_find_message(repair->store,
	    place->id, repair->arena);

	if (message != NULL)
		row.group = record_group(message->envelope);
	rows_put_schedule(repair->store, place, &row);
}

static void slice_hold_damaged(struct repair *repair, uint64_t id,
    uint32_t number, struct record_slice *slice)
{
	struct place place = { slice->due, id, number };

	rows_delete_schedule(repair->store, &place);
	slice->flags |= SLICE_HELD | SLICE_DAMAGED;
	slice->held_reason = arena_dup_string(repair->arena,
	    "the stored message is damaged");
	rows_put_slice(repair->store, id, number, slice);
}

static const char *hold_message(struct repair *repair, uint64_t id)
{
	struct arena *arena = arena_new(RECORD_ARENA_MAX);
	struct record_slice *slice;
	uint32_t number = 0;

	while (rows_next_slice(repair->store, id, &number, arena, &slice)) {
		if (slice != NULL)
			slice_hold_damaged(repair, id, number, slice);
		arena_reset(arena);
		if (++number == 0)
			break;
	}
	arena_free(arena);
	repair->held++;
	return "held; it will not be sent";
}

/* Somebody has to be told: whoever looks at what is held. */
static const char *put_unknown(struct repair *repair, uint64_t id)
{
	struct record_message *message = rows_find_message(repair->store, id,
	    repair->arena);
	struct record_recipient nobody = { .who = {
	    .address = arena_dup_string(repair->arena, "unknown@" LOST_DOMAIN),
	    .domain = arena_dup_string(repair->arena, LOST_DOMAIN) } };
	struct record_slice slice = { .domain = nobody.who.domain,
	    .flags = SLICE_HELD | SLICE_DAMAGED, .tls_level = -1,
	    .recipients = &nobody, .recipient_count = 1,
	    .held_reason = arena_dup_string(repair->arena,
	    "its recipients were lost with a damaged page") };

	if (message == NULL)
		return "nothing is left of it";
	if (message->envelope->flags & ENVELOPE_BOUNCE)
		slice.flags |= SLICE_BOUNCE;
	if (message->envelope->flags & ENVELOPE_REQUIRETLS)
		slice.flags |= SLICE_REQUIRETLS;
	if (message->envelope->flags & ENVELOPE_TLS_OPTIONAL)
		slice.flags |= SLICE_TLS_OPTIONAL;
	slice.arrival = slice.due = message->arrival;
	rows_put_slice(repair->store, id, 0, &slice);
	repair->held++;
	return "held for unknown@" LOST_DOMAIN ": redirect, bounce or delete "
	    "it";
}

static void row_delete(struct repair *repair,
    const struct verify_finding *finding)
{
	if (finding->key.length > 0)
		store_delete(repair->store, finding->table, finding->key);
}

static const char *drop_slice(struct repair *repair,
    const struct verify_finding *finding)
{
	rows_delete_schedule(repair->store, &finding->place);
	row_delete(repair, finding);
	repair->gone++;
	return "removed; nobody knows what to send them";
}

static const char *drop_unreadable_slice(struct repair *repair,
    const struct verify_finding *finding)
{
	row_delete(repair, finding);
	if (rows_has_slices(repair->store, finding->place.id)) {
		repair->gone++;
		return "removed; others of the message are there";
	}
	return put_unknown(repair, finding->place.id);
}

/* Of slice the row that says when it is tried; or none. */
static const char *mend_schedule(struct repair *repair,
    const struct verify_finding *finding)
{
	struct record_slice *slice = rows_find_slice(repair->store,
	    finding->place.id, finding->place.slice, repair->arena);
	struct place place = finding->place;

	repair->mended++;
	if (finding->table == STORE_SCHEDULE)
		row_delete(repair, finding);
	if (slice == NULL || slice->flags & SLICE_HELD ||
	    slice->due != place.due)
		return "removed";
	schedule_put(repair, &place, slice);
	return "made again";
}

static const char *put_right(struct repair *repair,
    const struct verify_finding *finding)
{
	switch (finding->problem) {
	case VERIFY_MESSAGE_UNREADABLE:
		row_delete(repair, finding);
		repair->gone++;
		return "removed";
	case VERIFY_RECIPIENTS_LOST:
		return put_unknown(repair, finding->place.id);
	case VERIFY_BODY_DAMAGED:
		return hold_message(repair, finding->place.id);
	case VERIFY_SLICE_UNREADABLE:
		return drop_unreadable_slice(repair, finding);
	case VERIFY_ENVELOPE_LOST:
		return drop_slice(repair, finding);
	case VERIFY_NOT_SCHEDULED:
	case VERIFY_SCHEDULE_UNREADABLE:
	case VERIFY_SCHEDULE_ASTRAY:
		return mend_schedule(repair, finding);
	case VERIFY_ATTEMPTS_ASTRAY:
		row_delete(repair, finding);
		repair->mended++;
		return "removed";
	case VERIFY_PROBLEMS:
	default:
		bug("finding");
	}
}

/* --- what is said --- */

static void name_recipients(struct repair *repair,
    const struct verify_finding *finding, json_t *line)
{
	struct record_slice *slice = rows_find_slice(repair->store,
	    finding->place.id, finding->place.slice, repair->arena);
	json_t *list = json_array();

	for (uint32_t i = 0; slice != NULL && i < slice->recipient_count; i++)
		json_array_append_new(list, control_text(
		    slice->recipients[i].who.address));
	json_object_set_new(line, "recipients", list);
}

static void name_message(struct repair *repair,
    const struct verify_finding *finding, json_t *line)
{
	struct record_message *message = rows_find_message(repair->store,
	    finding->place.id, repair->arena);

	if (message == NULL)
		return;
	json_object_set_new(line, "sender", control_text(
	    message->envelope->sender));
	json_object_set_new(line, "client", control_text(
	    message->envelope->client));
	json_object_set_new(line, "arrival", json_integer(message->arrival /
	    1000));
}

static void on_finding(void *arg, const struct verify_finding *finding)
{
	struct repair *repair = arg;
	const char *problem = verify_problem_name(finding->problem), *effect;
	char id[24];
	json_t *line;

	arena_reset(repair->arena);
	snprintf(id, sizeof(id), "%llx",
	    (unsigned long long)finding->place.id);
	line = json_pack("{s:s, s:s}", "message", id, "problem", problem);
	name_message(repair, finding, line);
	if (finding->problem == VERIFY_ENVELOPE_LOST)
		name_recipients(repair, finding, line);
	effect = put_right(repair, finding);
	json_object_set_new(line, "effect", json_string(effect));
	if (json_dumpf(line, repair->report, JSON_COMPACT) != 0 ||
	    fputc('\n', repair->report) == EOF)
		fatal("cannot write the report of a salvage",
		    log_errno(errno));
	json_decref(line);
	log_error("salvage-finding", log_message(finding->place.id),
	    log_text("problem", problem), log_text("what",
	    verify_problem_text(finding->problem)),
	    log_text("effect", effect));
}

static void report_flush(struct repair *repair)
{
	if (fflush(repair->report) != 0 ||
	    fdatasync(fileno(repair->report)) != 0)
		fatal("cannot write the report of a salvage",
		    log_errno(errno));
}

void repair_run(struct store *store)
{
	struct repair repair = { .store = store };
	const struct verify_counts *counts;
	struct verify *verify;
	char *path;

	if (store_salvaged(store) == NULL)
		return;
	path = mem_print("%s/report", store_salvaged(store));
	log_warn("looking at what was salvaged", log_text("report", path));
	repair.report = fopen(path, "ae");
	if (repair.report == NULL)
		fatal("cannot write", log_text("path", path),
		    log_errno(errno));
	repair.arena = arena_new(RECORD_ARENA_MAX);
	verify = verify_new(store, on_finding, &repair);
	while (verify_step(verify)) {
		report_flush(&repair);
		store_commit_wait(store);
	}
	counts = verify_counts(verify);
	log_warn("salvage-report", log_text("path", path),
	    log_number("messages", (int64_t)counts->rows[STORE_MESSAGES]),
	    log_number("problems", (int64_t)counts->problems),
	    log_number("held", (int64_t)repair.held),
	    log_number("lost", (int64_t)repair.gone),
	    log_number("mended", (int64_t)repair.mended));
	verify_free(verify);
	arena_free(repair.arena);
	fclose(repair.report);
	store_salvage_settled(store);
	store_commit_wait(store);
	mem_free(path);
}
