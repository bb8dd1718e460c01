/* SPDX-License-Identifier: ISC */
/*
 * The running digest follows reads that go on where the last one ended. What a
 * view leaves out is read only for the digest: small gaps on the way, large ones
 * (a body that a filter has replaced) a step with each read, so that as little
 * as may be is left for the last one.
 */
#include "queue/body.h"

#include <string.h>

#include "base/buf.h"
#include "queue/record.h"
#include "queue/store.h"
#include "queue/view.h"

enum { STEP_BYTES = 256 << 10 };

void body_init(struct body *body, struct store *store, uint64_t id,
    const struct record_message *message)
{
	memset(body, 0, sizeof(*body));
	body->store = store;
	body->id = id;
	body->stored = message->body_length;
	body->is_edited = message->envelope->piece_count > 0;
	memcpy(body->expected, message->digest, DIGEST_BYTES);
}

void body_release(struct body *body)
{
	digest_free(body->running);
	body->running = NULL;
}

/* Adds the next bytes to the digest; at the end it is judged. */
static int check(struct body *body, const void *data, size_t length)
{
	uint8_t digest[DIGEST_BYTES];

	if (body->running == NULL)
		body->running = digest_new();
	digest_add(body->running, data, length);
	body->checked += length;
	if (body->checked < body->stored)
		return 0;
	digest_end(body->running, digest);
	body->running = NULL;
	body->is_whole = memcmp(digest, body->expected, sizeof(digest)) == 0;
	return body->is_whole ? 0 : -1;
}

/* Reads what was not read yet, up to there, only to check it. */
static int check_until(struct body *body, uint64_t until)
{
	struct buf part;
	int result = 0;

	buf_init(&part, STEP_BYTES);
	while (body->checked < until && result == 0) {
		uint64_t left = until - body->checked;
		size_t step = left < STEP_BYTES ? (size_t)left : STEP_BYTES;

		buf_reset(&part);
		if (store_body_read(body->store, body->id, body->checked,
		    step, &part) != STORE_OK)
			result = -1;
		else
			result = check(body, buf_data(&part), step);
	}
	buf_release(&part);
	return result;
}

static int check_all(struct body *body)
{
	if (body->stored == 0)
		return check(body, "", 0);
	if (check_until(body, body->stored) < 0)
		return -1;
	return body->is_whole ? 0 : -1;
}

/* A step of what the view leaves out. */
static int catch_up(struct body *body)
{
	uint64_t left = body->stored - body->checked;

	return check_until(body, body->checked +
	    (left < STEP_BYTES ? left : STEP_BYTES));
}

/* Stored bytes; those that the digest waits for go to it as well. */
static int read_stored(struct body *body, const struct view_part *part,
    struct buf *out)
{
	size_t before = buf_length(out);

	if (!body->is_whole && part->offset > body->checked) {
		if (part->offset - body->checked > STEP_BYTES ?
		    catch_up(body) < 0 : check_until(body, part->offset) < 0)
			return -1;
	}
	if (store_body_read(body->store, body->id, part->offset, part->length,
	    out) != STORE_OK)
		return -1;
	if (body->is_whole || part->offset != body->checked)
		return 0;
	return check(body, buf_data(out) + before, part->length);
}

int body_read(struct body *body, const struct view *view, uint64_t offset,
    size_t length, struct buf *out)
{
	uint64_t total = view_length(view);
	struct view_part part;
	size_t done;

	if (offset > total)
		offset = total;
	if (length > total - offset)
		length = (size_t)(total - offset);
	for (done = 0; view_part(view, offset + done, length - done, &part);
	    done += part.length) {
		if (part.text != NULL)
			(void)buf_add(out, part.text, part.length);
		else if (read_stored(body, &part, out) < 0)
			return -1;
	}
	if (offset + length == total && !body->is_whole)
		return check_all(body);
	return 0;
}

int body_peek(struct store *store, uint64_t id, const struct view *view,
    size_t length, struct buf *out)
{
	struct view_part part;

	for (size_t done = 0; view_part(view, done, length - done, &part);
	    done += part.length) {
		if (part.text != NULL)
			(void)buf_add(out, part.text, part.length);
		else if (store_body_read(store, id, part.offset, part.length,
		    out) != STORE_OK)
			return -1;
	}
	return 0;
}
