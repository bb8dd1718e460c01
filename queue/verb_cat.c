/* SPDX-License-Identifier: ISC */
/*
 * cat: messages as they would be sent, prefix and content. First a line {"id",
 * "sender","arrival","size"}, then lines {"id","hex"}; the bytes of a message
 * need not be text. With "original" it is what came in, before filters and
 * without what we put above it. The body is checked on the way like any other
 * reader's.
 */
#include <stdio.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/control.h"
#include "base/digest.h"
#include "base/log.h"
#include "base/mem.h"
#include "queue/body.h"
#include "queue/queue.h"
#include "queue/record.h"
#include "queue/rows.h"
#include "queue/verbs.h"
#include "queue/view.h"
#include "queue/walk.h"

enum { LINE_BYTES = 32 << 10, LINES_A_TURN = 4 };

struct cat {
	bool		 original;
	uint64_t	 id;		/* of what is open; 0: nothing */
	struct arena	*arena;		/* owned: the message and its pieces */
	struct view	 view;		/* of them */
	struct body	 body;
	uint64_t	 offset;
};

static void close_message(struct cat *cat)
{
	if (cat->id == 0)
		return;
	body_release(&cat->body);
	arena_free(cat->arena);
	cat->id = 0;
}

static void release(struct walk *walk)
{
	close_message(walk->own);
	mem_free(walk->own);
}

static void send_bytes(struct walk *walk, const char *data, size_t length)
{
	const struct cat *cat = walk->own;
	char *text = mem_alloc(2 * length + 1), name[32];

	snprintf(name, sizeof(name), "%llx", (unsigned long long)cat->id);
	hex_format((const uint8_t *)data, length, text, 2 * length + 1);
	walk_send(walk, json_pack("{s:s, s:s}", "id", name, "hex", text));
	mem_free(text);
}

/* False at the end of the message, or of the answer. */
static bool send_line(struct walk *walk, struct cat *cat)
{
	struct buf part;
	bool more = false;

	buf_init(&part, LINE_BYTES);
	if (body_read(&cat->body, &cat->view, cat->offset, LINE_BYTES,
	    &part) < 0) {
		walk_fail(walk, CONTROL_DATA, "the stored message is damaged");
	} else if (buf_length(&part) > 0) {
		cat->offset += buf_length(&part);
		send_bytes(walk, buf_data(&part), buf_length(&part));
		more = true;
	}
	buf_release(&part);
	return more;
}

static void send_head(struct walk *walk, const struct record_message *message)
{
	const struct cat *cat = walk->own;
	const struct envelope *envelope = message->envelope;
	uint64_t size = view_length(&cat->view);
	char name[32], arrival[64];

	if (!cat->original)
		size += envelope->prefix_length;
	snprintf(name, sizeof(name), "%llx", (unsigned long long)cat->id);
	clock_format_iso(message->arrival, arrival, sizeof(arrival));
	walk_send(walk, json_pack("{s:s, s:o, s:s, s:I}", "id", name,
	    "sender", control_text(envelope->sender), "arrival", arrival,
	    "size", (json_int_t)size));
	if (!cat->original && envelope->prefix_length > 0)
		send_bytes(walk, envelope->prefix, envelope->prefix_length);
}

/* What came in, or what goes out. The walk's record does not live on. */
static void open_message(struct walk *walk, uint64_t id)
{
	struct cat *cat = walk->own;
	struct record_message *message;
	const struct envelope *envelope;

	cat->arena = arena_new(RECORD_ARENA_MAX);
	message = rows_find_message(walk->queue->store, id, cat->arena);
	if (message == NULL) {
		arena_free(cat->arena);
		return;
	}
	cat->id = id;
	cat->offset = 0;
	envelope = message->envelope;
	body_init(&cat->body, walk->queue->store, id, message);
	if (cat->original)
		view_init(&cat->view, NULL, envelope->piece_count == 0 ?
		    message->body_length : envelope->original_length);
	else
		view_init(&cat->view, envelope, message->body_length);
	log_info("operator", log_message(id), log_text("verb", "cat"),
	    log_number("uid", (int64_t)walk->uid));
	send_head(walk, message);
}

static bool visit(struct walk *walk, uint64_t id,
    const struct record_message *message)
{
	struct cat *cat = walk->own;

	if (cat->id != id) {
		close_message(cat);
		if (!walk_selects(walk, id))
			return true;
		open_message(walk, id);
		return cat->id == 0;
	}
	for (unsigned i = 0; i < LINES_A_TURN; i++)
		if (!send_line(walk, cat)) {
			close_message(cat);
			walk->messages++;
			walk->recipients += message->recipient_count;
			return true;
		}
	return false;
}

static const char *read_original(struct walk *walk, const json_t *arguments)
{
	struct cat *cat = mem_alloc(sizeof(*cat));

	walk->own = cat;
	cat->original = json_is_true(json_object_get(arguments, "original"));
	return NULL;
}

void verb_cat(struct control *control, const json_t *arguments)
{
	static const char *const own[] = { "original", NULL };
	static const struct walk_verb verb = { .name = "cat",
	    .wants_selection = true, .page = 1, .visit = visit,
	    .arguments = own, .read = read_original, .release = release };

	walk_start(verbs_queue(), control, arguments, &verb);
}
