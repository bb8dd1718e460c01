/* SPDX-License-Identifier: ISC */
/*
 * cat: the message as it would be sent, prefix and content, in lines
 * {"hex": "..."}; the bytes of a message need not be text. With "original" it
 * is what came in, before filters and without what we put above it. The body is
 * checked on the way like any other reader's.
 */
#include "base/arena.h"
#include "base/buf.h"
#include "base/control.h"
#include "base/digest.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/process.h"
#include "queue/body.h"
#include "queue/queue.h"
#include "queue/record.h"
#include "queue/rows.h"
#include "queue/selector.h"
#include "queue/verbs.h"
#include "queue/view.h"

enum { LINE_BYTES = 32 << 10, LINES_A_TURN = 4 };

struct cat {
	struct control	*control;	/* outlives us */
	struct arena	*arena;		/* owned: the message and its pieces */
	struct view	 view;		/* of them */
	struct body	 body;
	uint64_t	 offset;
};

static void cat_free(void *arg)
{
	struct cat *cat = arg;

	body_release(&cat->body);
	arena_free(cat->arena);
	mem_free(cat);
}

static void send_bytes(struct control *control, const char *data,
    size_t length)
{
	char *text = mem_alloc(2 * length + 1);

	hex_format((const uint8_t *)data, length, text, 2 * length + 1);
	control_send(control, json_pack("{s:s}", "hex", text));
	mem_free(text);
}

/* False when the answer has ended. */
static bool send_line(struct cat *cat)
{
	struct buf part;
	bool on = true;

	buf_init(&part, LINE_BYTES);
	if (body_read(&cat->body, &cat->view, cat->offset, LINE_BYTES,
	    &part) < 0) {
		control_end(cat->control, CONTROL_DATA,
		    "the stored message is damaged");
		on = false;
	} else if (buf_length(&part) == 0) {
		control_end(cat->control, CONTROL_OK, "");
		on = false;
	} else {
		cat->offset += buf_length(&part);
		send_bytes(cat->control, buf_data(&part), buf_length(&part));
	}
	buf_release(&part);
	return on;
}

static void produce(struct control *control, void *arg)
{
	(void)control;
	for (unsigned i = 0; i < LINES_A_TURN; i++) {
		if (!send_line(arg))
			return;
	}
}

/* What came in; or what goes out, whose prefix is sent at once. */
static void choose_view(struct cat *cat, const struct record_message *message,
    bool original)
{
	const struct envelope *envelope = message->envelope;

	if (original) {
		view_init(&cat->view, NULL, envelope->piece_count == 0 ?
		    message->body_length : envelope->original_length);
		return;
	}
	view_init(&cat->view, envelope, message->body_length);
	if (envelope->prefix_length > 0)
		send_bytes(cat->control, envelope->prefix,
		    envelope->prefix_length);
}

static void start(struct control *control, uint64_t id, bool original)
{
	struct queue *queue = verbs_queue();
	struct arena *arena = arena_new(RECORD_ARENA_MAX);
	struct record_message *message = rows_find_message(queue->store, id,
	    arena);
	struct cat *cat;

	if (message == NULL) {
		arena_free(arena);
		control_end(control, CONTROL_NONE_MATCHED,
		    "there is no such message");
		return;
	}
	log_info("operator", log_message(id), log_text("verb", "cat"),
	    log_number("uid", (int64_t)control_caller(control)->uid));
	cat = mem_alloc(sizeof(*cat));
	cat->control = control;
	cat->arena = arena;
	body_init(&cat->body, queue->store, id, message);
	choose_view(cat, message, original);
	control_produce(control, produce, cat_free, cat);
}

void verb_cat(struct control *control, const json_t *arguments)
{
	struct selector selector;
	const char *error = selector_read(&selector, arguments);
	uint64_t id;

	if (error == NULL && selector.id_count != 1) {
		selector_release(&selector);
		error = "cat wants one identifier";
	}
	if (error != NULL) {
		control_end(control, CONTROL_USAGE, error);
		return;
	}
	id = selector.ids[0];
	selector_release(&selector);
	start(control, id, json_is_true(json_object_get(arguments,
	    "original")));
}
