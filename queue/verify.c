/* SPDX-License-Identifier: ISC */
/*
 * Table after table, in key order. Rows of a step are a copy; what they refer
 * to is read in the same turn, so that all that is compared belongs to one
 * moment. A large body takes several steps: when it fails, it counts only if
 * its message is still there.
 */
#include "queue/verify.h"

#include <endian.h>
#include <string.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/digest.h"
#include "base/mem.h"
#include "queue/record.h"
#include "queue/rows.h"

enum { STEP_ROWS = 512, STEP_BYTES = 1 << 20, READ_BYTES = 64 << 10 };

struct verify {
	struct store	*store;
	void		(*found)(void *arg,
			    const struct verify_finding *finding);
	void		*arg;
	struct verify_counts counts;

	unsigned	 phase;		/* of the table of phases */
	enum store_table at;		/* what it looks at */
	uint64_t	 volume;	/* of the history; 0: before the first */
	unsigned char	 from[STORE_KEY_MAX];	/* the last key that is done */
	size_t		 from_length;
	struct store_page page;		/* rows of this step */
	size_t		 next;		/* of them */
	struct arena	*row_arena;	/* owned; of the row at hand */
	struct arena	*other_arena;	/* owned; of what it refers to */

	/* the body that is being read */
	uint64_t	 body;		/* 0: none */
	uint64_t	 body_length, body_done;
	uint8_t		 body_digest[DIGEST_BYTES];
	struct digest	*digest;	/* owned */
	struct buf	 part;		/* owned */
};

static const struct {
	const char	*name, *text;
} problems[VERIFY_PROBLEMS] = {
	[VERIFY_MESSAGE_UNREADABLE] = { "envelope-damaged",
	    "the envelope cannot be read" },
	[VERIFY_RECIPIENTS_LOST] = { "recipients-lost",
	    "a message without recipients" },
	[VERIFY_BODY_DAMAGED] = { "body-damaged",
	    "the body is not what was accepted" },
	[VERIFY_SLICE_UNREADABLE] = { "recipients-damaged",
	    "recipients that cannot be read" },
	[VERIFY_ENVELOPE_LOST] = { "envelope-lost",
	    "recipients without their message" },
	[VERIFY_NOT_SCHEDULED] = { "not-scheduled",
	    "recipients that would not be tried again" },
	[VERIFY_SCHEDULE_UNREADABLE] = { "schedule-damaged",
	    "a time in the schedule that cannot be read" },
	[VERIFY_SCHEDULE_ASTRAY] = { "schedule-astray",
	    "a time in the schedule for nothing" },
	[VERIFY_ATTEMPTS_ASTRAY] = { "attempts-astray",
	    "attempts of a message that is not there" },
};

const char *verify_problem_name(enum verify_problem problem)
{
	return problems[problem].name;
}

const char *verify_problem_text(enum verify_problem problem)
{
	return problems[problem].text;
}

const char *verify_table_name(enum store_table table)
{
	static const char *const names[STORE_TABLE_COUNT + 1] = {
		[STORE_META] = "meta", [STORE_MESSAGES] = "messages",
		[STORE_SLICES] = "slices", [STORE_SCHEDULE] = "schedule",
		[STORE_ORDERS] = "orders", [STORE_ATTEMPTS] = "attempts",
		[STORE_VOLUME] = "history",
	};

	return names[table];
}

static void say(struct verify *verify, enum verify_problem problem,
    const struct place *place)
{
	struct verify_finding finding = { .problem = problem,
	    .place = *place, .table = verify->at };

	finding.key = (struct store_bytes){ verify->from,
	    verify->from_length };
	verify->counts.problems++;
	verify->found(verify->arg, &finding);
}

/* --- bodies --- */

static void body_begin(struct verify *verify, uint64_t id,
    const struct record_message *message)
{
	verify->body = id;
	verify->body_length = message->body_length;
	verify->body_done = 0;
	memcpy(verify->body_digest, message->digest, DIGEST_BYTES);
	verify->digest = digest_new();
}

static bool message_is_there(struct verify *verify, uint64_t id)
{
	arena_reset(verify->other_arena);
	return rows_find_message(verify->store, id, verify->other_arena) !=
	    NULL;
}

static void body_end(struct verify *verify, bool readable)
{
	struct place place = { .id = verify->body };
	uint8_t digest[DIGEST_BYTES];

	digest_end(verify->digest, digest);
	verify->digest = NULL;
	verify->body = 0;
	verify->counts.bodies++;
	verify->counts.body_bytes += verify->body_done;
	if ((!readable || memcmp(digest, verify->body_digest,
	    sizeof(digest)) != 0) && message_is_there(verify, place.id))
		say(verify, VERIFY_BODY_DAMAGED, &place);
}

/* Reads on; returns the bytes that were read. */
static size_t body_go_on(struct verify *verify, size_t most)
{
	size_t done = 0;

	while (done < most && verify->body_done < verify->body_length) {
		uint64_t left = verify->body_length - verify->body_done;
		size_t step = left < READ_BYTES ? (size_t)left : READ_BYTES;

		buf_reset(&verify->part);
		if (store_body_read(verify->store, verify->body,
		    verify->body_done, step, &verify->part) != STORE_OK) {
			body_end(verify, false);
			return done + step;
		}
		digest_add(verify->digest, buf_data(&verify->part), step);
		verify->body_done += step;
		done += step;
	}
	if (verify->body_done == verify->body_length)
		body_end(verify, true);
	return done;
}

/* --- rows --- */

typedef void row_look(struct verify *verify, const struct store_row *row);

static void look_at_message(struct verify *verify, const struct store_row *row)
{
	struct record_message *message;
	struct place place = { 0 };

	if (record_key_get_message(row->key.data, row->key.length,
	    &place.id) < 0) {
		say(verify, VERIFY_MESSAGE_UNREADABLE, &place);
		return;
	}
	message = record_get_message(row->value.data, row->value.length,
	    verify->row_arena);
	/* The page may be of an earlier turn. */
	if (message == NULL || !message_is_there(verify, place.id)) {
		if (message == NULL)
			say(verify, VERIFY_MESSAGE_UNREADABLE, &place);
		return;
	}
	if (!rows_has_slices(verify->store, place.id))
		say(verify, VERIFY_RECIPIENTS_LOST, &place);
	body_begin(verify, place.id, message);
}

static bool has_schedule(struct verify *verify, const struct place *place)
{
	struct record_key key;
	struct store_bytes bytes;
	struct buf row;
	bool found;

	record_key_schedule(&key, place->due, place->id, place->slice);
	bytes = (struct store_bytes){ key.bytes, key.length };
	buf_init(&row, STORE_VALUE_MAX);
	found = store_get(verify->store, STORE_SCHEDULE, bytes, &row);
	buf_release(&row);
	return found;
}

static void look_at_slice(struct verify *verify, const struct store_row *row)
{
	struct record_slice *slice = NULL;
	struct place place = { 0 };

	if (record_key_get_slice(row->key.data, row->key.length, &place.id,
	    &place.slice) == 0)
		slice = record_get_slice(row->value.data, row->value.length,
		    verify->row_arena);
	if (slice == NULL) {
		say(verify, VERIFY_SLICE_UNREADABLE, &place);
		return;
	}
	place.due = slice->due;
	if (!message_is_there(verify, place.id))
		say(verify, VERIFY_ENVELOPE_LOST, &place);
	else if (!(slice->flags & SLICE_HELD) && !has_schedule(verify, &place))
		say(verify, VERIFY_NOT_SCHEDULED, &place);
}

static void look_at_schedule(struct verify *verify,
    const struct store_row *row)
{
	struct record_slice *slice;
	struct place place = { 0 };

	if (record_key_get_schedule(row->key.data, row->key.length,
	    &place.due, &place.id, &place.slice) != 0 ||
	    record_get_schedule(row->value.data, row->value.length,
	    verify->row_arena) == NULL) {
		say(verify, VERIFY_SCHEDULE_UNREADABLE, &place);
		return;
	}
	arena_reset(verify->other_arena);
	slice = rows_find_slice(verify->store, place.id, place.slice,
	    verify->other_arena);
	if (slice == NULL || slice->flags & SLICE_HELD ||
	    slice->due != place.due)
		say(verify, VERIFY_SCHEDULE_ASTRAY, &place);
}

/* The key begins with the message. */
static void look_at_attempts(struct verify *verify,
    const struct store_row *row)
{
	struct place place = { 0 };

	if (row->key.length >= sizeof(place.id)) {
		memcpy(&place.id, row->key.data, sizeof(place.id));
		place.id = be64toh(place.id);
	}
	if (!message_is_there(verify, place.id))
		say(verify, VERIFY_ATTEMPTS_ASTRAY, &place);
}

/* --- steps --- */

static const struct phase {
	enum store_table table;
	row_look	*look;		/* null: it is enough that it reads */
} phases[] = {
	{ STORE_META, NULL },
	{ STORE_MESSAGES, look_at_message },
	{ STORE_SLICES, look_at_slice },
	{ STORE_SCHEDULE, look_at_schedule },
	{ STORE_ATTEMPTS, look_at_attempts },
	{ STORE_ORDERS, NULL },
	{ STORE_VOLUME, NULL },
};
enum { PHASES = sizeof(phases) / sizeof(phases[0]) };

/* To the next volume of the history; false: there is none. */
static bool volume_next(struct verify *verify)
{
	struct store_volume volumes[STORE_VOLUMES_MAX];
	size_t count = store_volumes(verify->store, volumes);

	for (size_t i = 0; i < count; i++) {
		if (volumes[i].number <= verify->volume)
			continue;
		verify->volume = volumes[i].number;
		return true;
	}
	return false;
}

static bool volume_is_there(struct verify *verify)
{
	struct store_volume volumes[STORE_VOLUMES_MAX];
	size_t count = store_volumes(verify->store, volumes);

	for (size_t i = 0; i < count; i++)
		if (volumes[i].number == verify->volume)
			return true;
	return false;
}

/* The table at hand is done: the next one, or the next volume. */
static void table_next(struct verify *verify)
{
	verify->from_length = 0;
	if (phases[verify->phase].table == STORE_VOLUME &&
	    volume_next(verify))
		return;
	verify->phase++;
	if (verify->phase < PHASES &&
	    phases[verify->phase].table == STORE_VOLUME &&
	    !volume_next(verify))
		verify->phase++;
}

/* The next page of the table at hand, or of the next one; false: no more. */
static bool page_next(struct verify *verify)
{
	while (verify->phase < PHASES) {
		struct store_scan scan = {
		    .table = phases[verify->phase].table,
		    .max_rows = STEP_ROWS, .max_bytes = STEP_BYTES };

		if (verify->from_length > 0) {
			scan.from = (struct store_bytes){ verify->from,
			    verify->from_length };
			scan.after = true;
		}
		scan.volume = verify->volume;
		verify->next = verify->page.count = 0;
		if (scan.table != STORE_VOLUME || volume_is_there(verify))
			store_scan(verify->store, &scan, &verify->page);
		if (verify->page.count > 0)
			return true;
		table_next(verify);
	}
	return false;
}

static void row_done(struct verify *verify, const struct store_row *row)
{
	memcpy(verify->from, row->key.data, row->key.length);
	verify->from_length = row->key.length;
	verify->at = phases[verify->phase].table;
	verify->counts.rows[verify->at]++;
}

/*
 * What is left of a page when the step is over is scanned again by the next
 * one: nothing that was copied is compared with what another turn made of it.
 */
bool verify_step(struct verify *verify)
{
	size_t bytes = 0;

	if (verify->body != 0)
		bytes += body_go_on(verify, STEP_BYTES);
	if (verify->body != 0)
		return true;
	if (!page_next(verify))
		return false;
	while (verify->next < verify->page.count && bytes < STEP_BYTES) {
		struct store_row *row = &verify->page.rows[verify->next++];
		row_look *look = phases[verify->phase].look;

		row_done(verify, row);
		arena_reset(verify->row_arena);
		if (look != NULL)
			look(verify, row);
		if (verify->body != 0)
			bytes += body_go_on(verify, STEP_BYTES - bytes);
		if (verify->body != 0)
			break;
	}
	return true;
}

struct verify *verify_new(struct store *store, void (*found)(void *arg,
    const struct verify_finding *finding), void *arg)
{
	struct verify *verify = mem_alloc(sizeof(*verify));

	verify->store = store;
	verify->found = found;
	verify->arg = arg;
	verify->row_arena = arena_new(RECORD_ARENA_MAX);
	verify->other_arena = arena_new(RECORD_ARENA_MAX);
	buf_init(&verify->part, READ_BYTES);
	return verify;
}

void verify_free(struct verify *verify)
{
	digest_free(verify->digest);
	store_page_release(&verify->page);
	arena_free(verify->row_arena);
	arena_free(verify->other_arena);
	buf_release(&verify->part);
	mem_free(verify);
}

const struct verify_counts *verify_counts(const struct verify *verify)
{
	return &verify->counts;
}

json_t *verify_summary(const struct verify *verify)
{
	const struct verify_counts *counts = verify_counts(verify);
	json_t *rows = json_object();

	for (int i = 0; i <= STORE_TABLE_COUNT; i++)
		json_object_set_new(rows, verify_table_name(
		    (enum store_table)i), json_integer((json_int_t)
		    counts->rows[i]));
	return json_pack("{s:o, s:I, s:I, s:I}", "rows", rows, "bodies",
	    (json_int_t)counts->bodies, "bytes",
	    (json_int_t)counts->body_bytes, "problems",
	    (json_int_t)counts->problems);
}
