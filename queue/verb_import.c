/* SPDX-License-Identifier: ISC */
/*
 * import: whole messages that another queue exported (verb_export.c), with new
 * identifiers. Arguments: "archive", a name for what they come from; "again":
 * true, those that came from it before, too; "hold": true. The connection goes
 * on with lines from the command,
 *
 *	{"message":{"id","length","row"}} {"slice":N,"row"}... {"body"}...
 *	{"commit":ID}		the message is complete
 *	{"finish":true}
 *
 * and answers, in order, each when what it says is durable:
 *
 *	{"taken":{"from":ID,"id":NEW}}	or "known", if it had come before
 *	{"end":CODE,"message":TEXT}
 *
 * Every line is hostile: rows are read as those of a damaged table would be,
 * and nothing is queued whose body has another digest. Times that have not come
 * yet are now, but for the next attempt, which is retry-max away at most: a
 * message from the future would wait for ever.
 */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/queue.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/control.h"
#include "base/digest.h"
#include "base/log.h"
#include "base/loop.h"
#include "base/mem.h"
#include "base/process.h"
#include "base/stream.h"
#include "conf/conf.h"
#include "queue/census.h"
#include "queue/commit.h"
#include "queue/imported.h"
#include "queue/queue.h"
#include "queue/record.h"
#include "queue/rows.h"
#include "queue/schedule.h"
#include "queue/store.h"
#include "queue/verbs.h"

enum { LINE_MAX_BYTES = 3 << 19, PATIENCE_MILLISECONDS = 60000,
    FINISH_MILLISECONDS = 10000, ARCHIVE_MAX = 64, PENDING_MOST = 256,
    SLICES_MOST = ENVELOPE_RECIPIENTS_MAX, MESSAGE_ARENA = 160 << 20,
    ROWS_MOST = MESSAGE_ARENA - RECORD_ARENA_MAX };

static const char disk_is_full[] = "the disk is full";

/* A message whose batch is on its way to the disk; or one that is known, whose
 * batch may be so, too: it came with another import a moment ago. */
struct taken {
	LIST_ENTRY(taken)	 link;
	struct import		*import;	/* null: the command is gone */
	struct queue		*queue;
	struct commit_wait	 wait;
	struct arena		*arena;		/* owned; we are in it */
	bool			 known;		/* no slices then */
	uint64_t		 id;
	char			*from;
	struct taken_slice {
		struct place		 place;
		struct record_schedule	 row;
	}			*slices;	/* those that are not held */
	uint32_t		 slice_count;
};

struct import {
	LIST_ENTRY(import) link;
	struct stream	*stream;	/* owned; null: it is ending */
	struct queue	*queue;
	char		 archive[ARCHIVE_MAX + 1];
	bool		 again, hold;
	LIST_HEAD(, taken) pending;
	unsigned	 pending_count;
	bool		 finishing, ended;
	uint64_t	 count;

	/* the message at hand */
	struct arena		*arena;		/* owned; null: there is none */
	char			*from;		/* in it, as all below */
	uint64_t		 id;		/* new */
	uint64_t		 known;		/* came before, with this one */
	struct record_message	*message;
	struct record_slice	**slices;
	uint32_t		 slice_count, slice_room;
	uint64_t		 body_length;	/* so far */
	struct digest		*digest;	/* owned */
};

static LIST_HEAD(, import) imports = LIST_HEAD_INITIALIZER(imports);

/* --- ending --- */

static void message_drop(struct import *import)
{
	if (import->arena == NULL)
		return;
	if (import->known == 0)
		store_body_discard(import->queue->store, import->id);
	digest_free(import->digest);
	arena_free(import->arena);
	import->digest = NULL;
	import->arena = NULL;
}

static void import_free(void *arg)
{
	struct import *import = arg;
	struct taken *taken;

	message_drop(import);
	while ((taken = LIST_FIRST(&import->pending)) != NULL) {
		LIST_REMOVE(taken, link);
		taken->import = NULL;
	}
	if (import->stream != NULL)
		stream_free(import->stream);
	LIST_REMOVE(import, link);
	mem_free(import);
}

void verb_import_end_all(void)
{
	struct import *import;

	while ((import = LIST_FIRST(&imports)) != NULL) {
		loop_undefer(import);
		import_free(import);
	}
}

static void say(struct import *import, json_t *line)
{
	char *text = json_dumps(line, JSON_COMPACT);

	json_decref(line);
	if (import->stream != NULL && text != NULL) {
		(void)stream_write(import->stream, text, strlen(text));
		(void)stream_write(import->stream, "\n", 1);
	}
	mem_free(text);
}

/* What was taken in stays, and is told of if the command still listens. */
static void end(struct import *import, enum control_code code,
    const char *message)
{
	if (import->ended)
		return;
	import->ended = true;
	log_info("import", log_text("archive", import->archive),
	    log_number("messages", (int64_t)import->count),
	    log_text("result", code == CONTROL_OK ? "complete" : message));
	say(import, json_pack("{s:i, s:s}", "end", (int)code, "message",
	    message));
	stream_finish(import->stream, FINISH_MILLISECONDS);
	import->stream = NULL;
	loop_defer(import_free, import);
}

/* --- one message --- */

static bool is_id(const char *text)
{
	return text != NULL && text[0] != '\0' && strlen(text) <= 16 &&
	    text[strspn(text, "0123456789abcdef")] == '\0';
}

static void be_past(int64_t *moment, int64_t now)
{
	if (*moment > now)
		*moment = now;
}

static void take_times(const struct import *import, struct record_slice *slice)
{
	int64_t now = clock_wall();

	be_past(&slice->arrival, now);
	be_past(&slice->tried_at, now);
	be_past(&slice->tls_trouble_since, now);
	be_past(&slice->tls_set, now);
	be_past(&slice->due, now + import->queue->conf->retry_max * 1000);
}

static const char *begin(struct import *import, const json_t *about)
{
	const char *from = json_string_value(json_object_get(about, "id"));
	uint8_t *row;
	size_t length;

	if (import->arena != NULL || !is_id(from))
		return "a message is out of place";
	row = control_bytes(json_object_get(about, "row"), RECORD_MESSAGE_MAX,
	    &length);
	if (row == NULL)
		return "the row of an envelope is malformed";
	import->arena = arena_new(MESSAGE_ARENA);
	import->from = arena_dup_string(import->arena, from);
	import->message = record_get_message(row, length, import->arena);
	mem_free(row);
	import->slices = NULL;
	import->slice_count = import->slice_room = 0;
	import->body_length = 0;
	import->digest = digest_new();
	import->known = import->again ? 0 : imported_find(import->queue,
	    import->archive, from);
	import->id = import->known == 0 ? queue_take_id(import->queue) : 0;
	if (import->message == NULL)
		return "the row of an envelope cannot be read";
	be_past(&import->message->arrival, clock_wall());
	/* With what filters made of it: see queue/README. */
	if (import->message->body_length > 2 *
	    (uint64_t)import->queue->conf->max_message_size)
		return "a message is larger than max-message-size allows";
	if (import->known == 0 && store_space(import->queue->store) <
	    import->message->body_length)
		return disk_is_full;
	return NULL;
}

static void slice_room(struct import *import)
{
	struct record_slice **larger;

	if (import->slice_count < import->slice_room)
		return;
	import->slice_room = import->slice_room * 2 + 8;
	larger = arena_alloc_array(import->arena, import->slice_room,
	    sizeof(*larger));
	if (import->slice_count > 0)
		memcpy(larger, import->slices, import->slice_count *
		    sizeof(*larger));
	import->slices = larger;
}

/* A row that says less would send it where the sender does not want it. */
static void take_wishes(struct record_slice *slice, uint32_t flags)
{
	slice->flags &= ~(uint32_t)(SLICE_BOUNCE | SLICE_REQUIRETLS |
	    SLICE_TLS_OPTIONAL);
	if (flags & ENVELOPE_BOUNCE)
		slice->flags |= SLICE_BOUNCE;
	if (flags & ENVELOPE_REQUIRETLS)
		slice->flags |= SLICE_REQUIRETLS;
	if (flags & ENVELOPE_TLS_OPTIONAL)
		slice->flags |= SLICE_TLS_OPTIONAL;
}

/* Mail goes by the domain of the slice: it is that of its recipients. */
static bool is_of_its_domain(const struct record_slice *slice)
{
	for (uint32_t i = 0; i < slice->recipient_count; i++)
		if (strcasecmp(slice->recipients[i].who.domain,
		    slice->domain) != 0)
			return false;
	return true;
}

static const char *take_slice(struct import *import, const json_t *row)
{
	struct record_slice *slice;
	uint8_t *data;
	size_t length;

	if (import->arena == NULL || import->slice_count >= SLICES_MOST ||
	    arena_used(import->arena) > ROWS_MOST)
		return "recipients are out of place, or too many";
	data = control_bytes(row, RECORD_SLICE_MAX, &length);
	if (data == NULL)
		return "the row of recipients is malformed";
	slice = record_get_slice(data, length, import->arena);
	mem_free(data);
	if (slice == NULL)
		return "the row of recipients cannot be read";
	if (!is_of_its_domain(slice))
		return "recipients stand under another domain than theirs";
	/* Numbers of jobs are those of the other queue. */
	slice->last_job = 0;
	slice->flags &= ~(uint32_t)(SLICE_AGAIN | SLICE_NOTED);
	take_wishes(slice, import->message->envelope->flags);
	take_times(import, slice);
	if (import->hold && !(slice->flags & SLICE_HELD)) {
		slice->flags |= SLICE_HELD;
		slice->held_reason = arena_dup_string(import->arena,
		    "imported to be held");
	}
	slice_room(import);
	import->slices[import->slice_count++] = slice;
	return NULL;
}

static const char *take_body(struct import *import, const json_t *piece)
{
	uint8_t *data;
	size_t length;

	if (import->arena == NULL)
		return "a body is out of place";
	data = control_bytes(piece, LINE_MAX_BYTES, &length);
	if (data == NULL)
		return "a piece of a body is malformed";
	import->body_length += length;
	digest_add(import->digest, data, length);
	if (import->known == 0 &&
	    import->body_length <= import->message->body_length)
		store_body_append(import->queue->store, import->id,
		    (struct store_bytes){ data, length });
	mem_free(data);
	return import->body_length > import->message->body_length ?
	    "a body is longer than its envelope says" : NULL;
}

/* --- taking it in --- */

static void	take_lines(struct import *import);

/* Lines waited for room. */
static void go_on(void *arg)
{
	struct import *import = arg;

	if (!import->ended)
		take_lines(import);
}

static void on_safe(void *arg)
{
	struct taken *taken = arg;
	struct schedule *schedule = taken->queue->schedule;
	struct import *import = taken->import;
	char id[24];

	if (!taken->known)
		schedule_safe(schedule, taken->id);
	for (uint32_t i = 0; i < taken->slice_count; i++)
		schedule_added(schedule, &taken->slices[i].place,
		    &taken->slices[i].row);
	if (import != NULL) {
		LIST_REMOVE(taken, link);
		import->pending_count--;
		snprintf(id, sizeof(id), "%llx",
		    (unsigned long long)taken->id);
		say(import, json_pack("{s:{s:s, s:s}}", taken->known ?
		    "known" : "taken", "from", taken->from, "id", id));
		if (import->finishing && import->pending_count == 0)
			end(import, CONTROL_OK, "");
		else if (!import->ended &&
		    import->pending_count == PENDING_MOST - 1)
			loop_defer(go_on, import);
	}
	arena_free(taken->arena);
}

static void put_slice(struct import *import, struct taken *taken,
    uint32_t number)
{
	struct store *store = import->queue->store;
	struct record_slice *slice = import->slices[number];
	struct taken_slice *place = &taken->slices[taken->slice_count];

	rows_put_slice(store, import->id, number, slice);
	census_accepted(import->queue->census, import->id, number, slice,
	    number == 0 ? NULL : import->slices[number - 1]->domain,
	    import->message->body_length);
	if (slice->flags & SLICE_HELD)
		return;
	place->place = (struct place){ slice->due, import->id, number };
	place->row = (struct record_schedule){ .attempt = slice->attempt,
	    .domain = slice->domain, .lane = record_slice_lane(slice),
	    .group = record_group(import->message->envelope) };
	rows_put_schedule(store, &place->place, &place->row);
	taken->slice_count++;
}

/* Answers when the batch of this turn, and all before it, is durable. */
static struct taken *answer_later(struct import *import, uint64_t id)
{
	struct taken *taken = arena_alloc(import->arena, sizeof(*taken));

	taken->import = import;
	taken->queue = import->queue;
	taken->arena = import->arena;
	taken->known = import->known != 0;
	taken->id = id;
	taken->from = import->from;
	LIST_INSERT_HEAD(&import->pending, taken, link);
	import->pending_count++;
	commit_wait(import->queue->commit, &taken->wait, on_safe, taken);
	return taken;
}

/* All of it in this turn's batch. */
static void put_message(struct import *import)
{
	struct taken *taken = answer_later(import, import->id);
	uint32_t recipients = 0;

	taken->slices = arena_alloc_array(import->arena, import->slice_count,
	    sizeof(*taken->slices));
	store_body_claim(import->queue->store, import->id);
	for (uint32_t i = 0; i < import->slice_count; i++) {
		put_slice(import, taken, i);
		recipients += import->slices[i]->recipient_count;
	}
	import->message->slice_count = import->slice_count;
	rows_put_message(import->queue->store, import->id, import->message);
	imported_put(import->queue, import->archive, import->from,
	    import->id);
	log_info("imported", log_message(import->id), log_text("archive",
	    import->archive), log_text("from", import->from),
	    log_number("rcpts", recipients));
	schedule_expect(import->queue->schedule, import->id);
}

static const char *commit(struct import *import)
{
	uint8_t digest[DIGEST_BYTES];

	if (import->arena == NULL || import->slice_count == 0)
		return "a message without recipients";
	digest_end(import->digest, digest);
	import->digest = NULL;
	if (import->body_length != import->message->body_length ||
	    memcmp(digest, import->message->digest, DIGEST_BYTES) != 0)
		return "a body is not what its envelope says";
	import->count++;
	/* Another import of the same archive may have been faster. */
	if (import->known == 0 && !import->again) {
		import->known = imported_find(import->queue, import->archive,
		    import->from);
		if (import->known != 0)
			store_body_discard(import->queue->store, import->id);
	}
	if (import->known != 0)
		answer_later(import, import->known);
	else
		put_message(import);
	import->arena = NULL;
	return NULL;
}

/* --- lines --- */

static const char *take_line(struct import *import, const json_t *line)
{
	const json_t *value;

	if ((value = json_object_get(line, "body")) != NULL)
		return take_body(import, value);
	if (json_object_get(line, "slice") != NULL)
		return take_slice(import, json_object_get(line, "row"));
	if ((value = json_object_get(line, "message")) != NULL)
		return begin(import, value);
	if (json_object_get(line, "commit") != NULL)
		return commit(import);
	if (json_object_get(line, "finish") == NULL)
		return "a line that nobody knows";
	if (import->arena != NULL)
		return "a message is not complete";
	import->finishing = true;
	return NULL;
}

/* Of which message it is, if one is at hand. */
static void complain(struct import *import, const char *wrong)
{
	char text[200];

	snprintf(text, sizeof(text), "%s%s%s", import->arena == NULL ? "" :
	    import->from, import->arena == NULL ? "" : ": ", wrong);
	end(import, wrong == disk_is_full ? CONTROL_TEMPORARY : CONTROL_DATA,
	    text);
}

static void take_lines(struct import *import)
{
	struct buf *input = stream_input(import->stream);
	const char *wrong = NULL;
	long length;

	while (wrong == NULL && import->pending_count < PENDING_MOST &&
	    !import->finishing &&
	    (length = buf_find(input, '\n', 0)) != -1) {
		json_t *line = json_loadb(buf_data(input), (size_t)length,
		    JSON_REJECT_DUPLICATES, NULL);

		buf_consume(input, (size_t)length + 1);
		wrong = line == NULL ? "a line is no JSON" :
		    take_line(import, line);
		json_decref(line);
	}
	if (wrong == NULL && buf_room(input) == 0 &&
	    buf_find(input, '\n', 0) == -1)
		wrong = "a line is too long";
	if (wrong != NULL)
		complain(import, wrong);
	else if (import->finishing && import->pending_count == 0)
		end(import, CONTROL_OK, "");
	else
		stream_consumed(import->stream);
}

static void on_event(void *arg, struct stream *stream, enum stream_event event)
{
	struct import *import = arg;

	if (import->ended)
		return;
	switch (event) {
	case STREAM_INPUT:
	case STREAM_DRAINED:
		stream_deadline(stream, PATIENCE_MILLISECONDS);
		take_lines(import);
		break;
	case STREAM_CONNECTED:
	case STREAM_SECURED:
		break;
	case STREAM_END:
	case STREAM_TRUNCATED:
	case STREAM_DEADLINE:
	case STREAM_FAILED:
		import->ended = true;
		loop_defer(import_free, import);
		break;
	default:
		bug("stream event");
	}
}

/* Letters that need no care in a key and in a log. */
static bool is_archive(const char *text)
{
	return text != NULL && text[0] != '\0' &&
	    strlen(text) <= ARCHIVE_MAX && text[strspn(text,
	    "0123456789abcdefghijklmnopqrstuvwxyz-")] == '\0';
}

void verb_import(struct control *control, const json_t *arguments)
{
	const char *archive = json_string_value(json_object_get(arguments,
	    "archive"));
	struct import *import;
	int fd;

	if (!is_archive(archive)) {
		control_end(control, CONTROL_USAGE,
		    "import: a name of the archive is expected");
		return;
	}
	log_info("operator", log_text("verb", "import"), log_text("archive",
	    archive), log_number("uid",
	    (int64_t)control_caller(control)->uid));
	import = mem_alloc(sizeof(*import));
	snprintf(import->archive, sizeof(import->archive), "%s", archive);
	import->queue = verbs_queue();
	import->again = json_is_true(json_object_get(arguments, "again"));
	import->hold = json_is_true(json_object_get(arguments, "hold"));
	LIST_INIT(&import->pending);
	fd = control_detach(control);
	if (fd == -1) {
		mem_free(import);
		return;
	}
	LIST_INSERT_HEAD(&imports, import, link);
	import->stream = stream_new(fd, LINE_MAX_BYTES, on_event, import);
	stream_deadline(import->stream, PATIENCE_MILLISECONDS);
	say(import, json_pack("{s:b}", "ready", 1));
}
