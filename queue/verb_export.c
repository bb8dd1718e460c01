/* SPDX-License-Identifier: ISC */
/*
 * export: whole messages, as they are stored, for an archive. Of each one that
 * has a selected recipient, in this order:
 *
 *	{"message":{"id","length","in-flight","row"}}	row: base64 of the
 *				row of the envelope (queue/record.h)
 *	{"slice":N,"row":BASE64}	recipients, one line or more
 *	{"body":BASE64}		the stored body, in pieces
 *	{"done":ID,"sha256":HEX}
 *
 * A message that leaves meanwhile ends without the last line; one whose body
 * is damaged with {"damaged":ID}. Nothing is changed.
 */
#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/control.h"
#include "base/digest.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/process.h"
#include "queue/queue.h"
#include "queue/record.h"
#include "queue/rows.h"
#include "queue/schedule.h"
#include "queue/store.h"
#include "queue/verbs.h"
#include "queue/walk.h"

enum { PIECE_BYTES = 48 << 10, VISIT_BYTES = 512 << 10 };

struct export {
	uint64_t	 id;		/* of the message at hand; 0: none */
	bool		 slices_done;
	uint32_t	 next_slice;
	uint64_t	 offset;	/* of the body */
	struct digest	*digest;	/* owned */
};

static void format_id(uint64_t id, char out[24])
{
	snprintf(out, 24, "%llx", (unsigned long long)id);
}

static bool is_in_flight(struct walk *walk, uint64_t id)
{
	struct arena *arena = arena_new(RECORD_ARENA_MAX);
	struct record_slice *record;
	uint32_t number = 0;
	bool found = false;

	while (!found && rows_next_slice(walk->queue->store, id, &number,
	    arena, &record)) {
		arena_reset(arena);
		found = schedule_is_in_flight(walk->queue->schedule, id,
		    number);
		if (++number == 0)
			break;
	}
	arena_free(arena);
	return found;
}

static void begin(struct walk *walk, struct export *export, uint64_t id,
    const struct record_message *message)
{
	char text[24];
	struct buf row;

	digest_free(export->digest);
	*export = (struct export){ .id = id, .digest = digest_new() };
	format_id(id, text);
	buf_init(&row, RECORD_MESSAGE_MAX);
	if (record_put_message(&row, message) < 0)
		bug("message-row");
	walk_send(walk, json_pack("{s:{s:s, s:I, s:b, s:o}}", "message", "id",
	    text, "length", (json_int_t)message->body_length, "in-flight",
	    is_in_flight(walk, id), "row", control_base64(buf_data(&row),
	    buf_length(&row))));
	buf_release(&row);
}

/* Bytes that were said. */
static size_t send_slice(struct walk *walk, struct export *export)
{
	struct arena *arena = arena_new(RECORD_ARENA_MAX);
	struct record_slice *record = NULL;
	struct buf row;
	size_t length = 0;

	export->slices_done = !rows_next_slice(walk->queue->store, export->id,
	    &export->next_slice, arena, &record);
	buf_init(&row, RECORD_SLICE_MAX);
	if (!export->slices_done && record != NULL &&
	    record_put_slice(&row, record) == 0) {
		length = buf_length(&row);
		walk_send(walk, json_pack("{s:I, s:o}", "slice",
		    (json_int_t)export->next_slice, "row",
		    control_base64(buf_data(&row), length)));
		walk->recipients += record->recipient_count;
	}
	export->next_slice++;
	buf_release(&row);
	arena_free(arena);
	return length;
}

/* -1: it is not what was accepted. */
static int send_piece(struct walk *walk, struct export *export,
    uint64_t length)
{
	uint64_t left = length - export->offset;
	size_t step = left < PIECE_BYTES ? (size_t)left : PIECE_BYTES;
	struct buf piece;
	int result = -1;

	buf_init(&piece, PIECE_BYTES);
	if (store_body_read(walk->queue->store, export->id, export->offset,
	    step, &piece) == STORE_OK) {
		digest_add(export->digest, buf_data(&piece), step);
		export->offset += step;
		walk_send(walk, json_pack("{s:o}", "body",
		    control_base64(buf_data(&piece), step)));
		result = 0;
	}
	buf_release(&piece);
	return result;
}

static void end(struct walk *walk, struct export *export,
    const struct record_message *message, bool readable)
{
	uint8_t digest[DIGEST_BYTES];
	char text[24], hex[2 * DIGEST_BYTES + 1];

	digest_end(export->digest, digest);
	export->digest = NULL;
	format_id(export->id, text);
	hex_format(digest, sizeof(digest), hex, sizeof(hex));
	if (!readable || memcmp(digest, message->digest, DIGEST_BYTES) != 0) {
		log_error("damaged-message", log_message(export->id),
		    log_text("effect", "not exported"));
		walk_send(walk, json_pack("{s:s}", "damaged", text));
	} else {
		walk_send(walk, json_pack("{s:s, s:s}", "done", text,
		    "sha256", hex));
	}
	walk->messages++;
	export->id = 0;
}

static bool visit(struct walk *walk, uint64_t id,
    const struct record_message *message)
{
	struct export *export = walk->own;
	size_t said = 0;
	bool readable = true;

	if (export == NULL)
		walk->own = export = mem_alloc(sizeof(*export));
	if (export->id != id) {
		if (!walk_selects(walk, id))
			return true;
		begin(walk, export, id, message);
	}
	while (said < VISIT_BYTES && !export->slices_done)
		said += send_slice(walk, export);
	while (said < VISIT_BYTES && readable && export->slices_done &&
	    export->offset < message->body_length) {
		readable = send_piece(walk, export, message->body_length) == 0;
		said += PIECE_BYTES;
	}
	if (readable && (!export->slices_done ||
	    export->offset < message->body_length))
		return false;
	end(walk, export, message, readable);
	return true;
}

static void release(struct walk *walk)
{
	struct export *export = walk->own;

	digest_free(export->digest);
	mem_free(export);
}

void verb_export(struct control *control, const json_t *arguments)
{
	static const struct walk_verb verb = { .name = "export",
	    .wants_selection = true, .page = 1, .visit = visit,
	    .release = release };

	log_info("operator", log_text("verb", "export"), log_number("uid",
	    (int64_t)control_caller(control)->uid));
	walk_start(verbs_queue(), control, arguments, &verb);
}
