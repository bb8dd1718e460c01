/* SPDX-License-Identifier: ISC */
/*
 * The running digest follows reads that go on where the last one ended.
 */
#include "queue/body.h"

#include <string.h>

#include "base/buf.h"
#include "queue/record.h"
#include "queue/store.h"

enum { STEP_BYTES = 256 << 10 };

void body_init(struct body *body, struct store *store, uint64_t id,
    const struct record_message *message)
{
	memset(body, 0, sizeof(*body));
	body->store = store;
	body->id = id;
	body->length = message->body_length;
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
	if (body->checked < body->length)
		return 0;
	digest_end(body->running, digest);
	body->running = NULL;
	body->is_whole = memcmp(digest, body->expected, sizeof(digest)) == 0;
	return body->is_whole ? 0 : -1;
}

/* Reads what was not read yet, only to check it. */
static int check_rest(struct body *body)
{
	struct buf part;
	int result = 0;

	buf_init(&part, STEP_BYTES);
	while (!body->is_whole && result == 0) {
		uint64_t left = body->length - body->checked;
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

int body_read(struct body *body, uint64_t offset, size_t length,
    struct buf *out)
{
	size_t before = buf_length(out);

	if (offset > body->length)
		offset = body->length;
	if (length > body->length - offset)
		length = (size_t)(body->length - offset);
	if (length > 0 && store_body_read(body->store, body->id, offset,
	    length, out) != STORE_OK)
		return -1;
	if (body->is_whole)
		return 0;
	if (offset == body->checked &&
	    check(body, buf_data(out) + before, length) < 0)
		return -1;
	if (offset + length == body->length && !body->is_whole)
		return check_rest(body);
	return 0;
}
