/* SPDX-License-Identifier: ISC */
/*
 * queue/envelope.c, record.c and message.c: what is written is read back, cut
 * at any byte it is refused, and no hostile field comes through.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/mem.h"
#include "base/status.h"
#include "base/wire.h"
#include "conf/conf.h"
#include "queue/client.h"
#include "queue/destination.h"
#include "queue/envelope.h"
#include "queue/message.h"
#include "queue/record.h"
#include "queue/rows.h"

enum { ARENA = 8 << 20 };

static struct arena *arena;
static struct buf buf;
static struct wire_writer writer;
static struct wire_reader reader;

static int setup(void **state)
{
	(void)state;
	arena = arena_new(ARENA);
	buf_init(&buf, 4 << 20);
	wire_write_begin(&writer, &buf);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	arena_free(arena);
	buf_release(&buf);
	return 0;
}

static struct envelope *sample(void)
{
	struct envelope *envelope = envelope_new(arena);

	envelope->sender = arena_dup_string(arena, "a@sender.test");
	envelope->envid = arena_dup_string(arena, "QQ+2B1");
	envelope->flags = ENVELOPE_8BIT | ENVELOPE_RET_FULL;
	envelope->client = arena_dup_string(arena, "c.test [192.0.2.1]");
	envelope->helo = arena_dup_string(arena, "c.test");
	envelope->protocol = arena_dup_string(arena, "ESMTPS");
	envelope->tls = arena_dup_string(arena, "TLSv1.3");
	envelope->prefix = arena_dup_string(arena, "Received: x\r\n\ty\r\n");
	envelope->prefix_length = strlen(envelope->prefix);
	envelope_add_recipient(envelope, arena, "Joe@One.TEST",
	    "rfc822;joe+40one.test", NOTIFY_SUCCESS | NOTIFY_FAILURE);
	envelope_add_recipient(envelope, arena, "\"a@b\"@two.test", NULL, 0);
	envelope->piece_count = 3;
	envelope->pieces = arena_alloc_array(arena, 3,
	    sizeof(*envelope->pieces));
	envelope->pieces[0] = (struct envelope_piece){ 0, 6, "A: b\r\n" };
	envelope->pieces[1] = (struct envelope_piece){ 70, 900, NULL };
	envelope->pieces[2] = (struct envelope_piece){ 0, 0, "" };
	envelope->original_length = 800;
	envelope->hold = arena_dup_string(arena, "virus");
	envelope->user = arena_dup_string(arena, "joe@sender.test");
	return envelope;
}

static void check_envelope(const struct envelope *envelope)
{
	assert_string_equal(envelope->sender, "a@sender.test");
	assert_string_equal(envelope->envid, "QQ+2B1");
	assert_int_equal(envelope->flags, ENVELOPE_8BIT | ENVELOPE_RET_FULL);
	assert_string_equal(envelope->client, "c.test [192.0.2.1]");
	assert_string_equal(envelope->helo, "c.test");
	assert_string_equal(envelope->protocol, "ESMTPS");
	assert_string_equal(envelope->tls, "TLSv1.3");
	assert_int_equal(envelope->prefix_length, 17);
	assert_string_equal(envelope->prefix, "Received: x\r\n\ty\r\n");
	assert_int_equal(envelope->piece_count, 3);
	assert_int_equal(envelope->pieces[0].length, 6);
	assert_string_equal(envelope->pieces[0].text, "A: b\r\n");
	assert_int_equal(envelope->pieces[1].offset, 70);
	assert_int_equal(envelope->pieces[1].length, 900);
	assert_null(envelope->pieces[1].text);
	assert_string_equal(envelope->pieces[2].text, "");
	assert_int_equal(envelope->original_length, 800);
	assert_string_equal(envelope->user, "joe@sender.test");
	assert_string_equal(envelope->hold, "virus");
}

static bool fits(struct envelope *envelope, const struct envelope_piece *piece,
    uint64_t body_length)
{
	envelope->pieces[2] = *piece;
	return envelope_content_fits(envelope, body_length);
}

/* Pieces lie within the body, however large their numbers are; texts are lines,
 * and all of them together have a ceiling. */
static void test_content_fits(void **state)
{
	struct envelope *envelope = sample();
	char *large = arena_alloc(arena, ENVELOPE_PIECE_TEXT_MAX + 1);
	struct envelope_piece piece = { 0, ENVELOPE_PIECE_TEXT_MAX - 6,
	    large };

	(void)state;
	assert_true(envelope_content_fits(envelope, 970));
	assert_false(envelope_content_fits(envelope, 969));
	envelope->original_length = 971;
	assert_false(envelope_content_fits(envelope, 970));
	envelope->original_length = 0;
	memset(large, 'x', ENVELOPE_PIECE_TEXT_MAX);
	assert_true(fits(envelope, &piece, 970));
	piece.length++;
	assert_false(fits(envelope, &piece, 970));
	piece = (struct envelope_piece){ 970, 0, NULL };
	assert_true(fits(envelope, &piece, 970));
	piece.length = 1;
	assert_false(fits(envelope, &piece, 970));
	piece = (struct envelope_piece){ UINT64_MAX, 971, NULL };
	assert_false(fits(envelope, &piece, 970));
	/* Each is within it, and the sum is no number any more. */
	piece = (struct envelope_piece){ 0, UINT64_MAX, NULL };
	assert_false(fits(envelope, &piece, UINT64_MAX));
	envelope->piece_count = ENVELOPE_PIECES_MAX + 1;
	assert_false(envelope_content_fits(envelope, 970));
}

/* Many pieces that are not there may not make us allocate for them; too much
 * text is not taken in. */
static void test_content_count(void **state)
{
	char *large = arena_alloc(arena, ENVELOPE_PIECE_TEXT_MAX);
	struct envelope *envelope = envelope_new(arena);

	(void)state;
	wire_put_u64(&writer, 0);
	wire_put_u32(&writer, ENVELOPE_PIECES_MAX);
	wire_read_begin(&reader, buf_data(&buf), buf_length(&buf));
	envelope_get_content(&reader, arena, envelope);
	assert_true(reader.bad);
	memset(large, 'x', ENVELOPE_PIECE_TEXT_MAX);
	for (int more = 0; more < 2; more++) {
		struct envelope_piece pieces[] = { { 0, (uint64_t)more, "y" },
		    { 0, ENVELOPE_PIECE_TEXT_MAX, large } };

		buf_reset(&buf);
		envelope->pieces = pieces;
		envelope->piece_count = 2;
		envelope_put_content(&writer, envelope);
		wire_read_begin(&reader, buf_data(&buf), buf_length(&buf));
		envelope_get_content(&reader, arena, envelope);
		assert_int_equal(reader.bad, more);
	}
}

static void test_envelope(void **state)
{
	struct envelope *envelope;

	(void)state;
	envelope_put(&writer, sample());
	assert_int_equal(wire_write_end(&writer), 0);
	wire_read_begin(&reader, buf_data(&buf), buf_length(&buf));
	envelope = envelope_get(&reader, arena);
	assert_non_null(envelope);
	assert_int_equal(wire_read_end(&reader), 0);
	check_envelope(envelope);
	assert_int_equal(envelope->recipient_count, 2);
	assert_string_equal(envelope->recipients[0].address, "Joe@One.TEST");
	assert_string_equal(envelope->recipients[0].domain, "one.test");
	assert_string_equal(envelope->recipients[0].original,
	    "rfc822;joe+40one.test");
	assert_int_equal(envelope->recipients[0].notify,
	    NOTIFY_SUCCESS | NOTIFY_FAILURE);
	assert_string_equal(envelope->recipients[1].domain, "two.test");
	assert_null(envelope->recipients[1].original);
}

/* A copy of exactly so many bytes, so that the sanitizer sees every overrun. */
static void read_cut(size_t length, int (*read)(struct wire_reader *))
{
	char *copy = mem_dup(buf_data(&buf), length == 0 ? 1 : length);

	arena_reset(arena);
	wire_read_begin(&reader, copy, length);
	assert_int_equal(read(&reader), -1);
	mem_free(copy);
}

static void check_cuts(int (*read)(struct wire_reader *))
{
	for (size_t length = 0; length < buf_length(&buf); length++)
		read_cut(length, read);
	wire_read_begin(&reader, buf_data(&buf), buf_length(&buf));
	assert_int_equal(read(&reader), 0);
	buf_add_byte(&buf, 'x');		/* something left over */
	read_cut(buf_length(&buf), read);
}

static int read_envelope(struct wire_reader *from)
{
	return envelope_get(from, arena) == NULL ? -1 : wire_read_end(from);
}

static void test_envelope_cuts(void **state)
{
	(void)state;
	envelope_put(&writer, sample());
	check_cuts(read_envelope);
}

static void test_envelope_hostile(void **state)
{
	static const char *const bad[] = { "no-domain", "@x.test",
	    "a@", "a\r\nRCPT TO:<b>@x.test", "a\x7f@x.test" };

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct envelope *envelope = sample();

		buf_reset(&buf);
		envelope_add_recipient(envelope, arena, bad[i], NULL, 0);
		envelope_put(&writer, envelope);
		wire_read_begin(&reader, buf_data(&buf), buf_length(&buf));
		assert_null(envelope_get(&reader, arena));
	}
}

/* A prefix that is no whole lines, or holds a NUL, would change the message. */
static void test_envelope_prefix(void **state)
{
	static const char *const bad[] = { "x", "Received: x\n", "\r", "a\rb" };

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct envelope *envelope = sample();

		buf_reset(&buf);
		envelope->prefix = arena_dup_string(arena, bad[i]);
		envelope->prefix_length = strlen(bad[i]);
		envelope_put(&writer, envelope);
		wire_read_begin(&reader, buf_data(&buf), buf_length(&buf));
		assert_null(envelope_get(&reader, arena));
	}
}

/* Many recipients that are not there may not make us allocate for them. */
static void test_envelope_count(void **state)
{
	struct envelope *envelope = envelope_new(arena);

	(void)state;
	envelope_put_head(&writer, envelope);
	wire_put_u32(&writer, ENVELOPE_RECIPIENTS_MAX);
	wire_read_begin(&reader, buf_data(&buf), buf_length(&buf));
	assert_null(envelope_get(&reader, arena));
}

static void test_many_recipients(void **state)
{
	struct envelope *envelope = envelope_new(arena);
	char address[64];

	(void)state;
	for (int i = 0; i < 1000; i++) {
		snprintf(address, sizeof(address), "u%d@d.test", i);
		envelope_add_recipient(envelope, arena, address, NULL, 0);
	}
	for (int i = 0; i < 1000; i++) {
		snprintf(address, sizeof(address), "u%d@d.test", i);
		assert_string_equal(envelope->recipients[i].address, address);
	}
}

/* --- rows --- */

static int read_message_row(struct wire_reader *from)
{
	return record_get_message(from->position,
	    (size_t)(from->end - from->position), arena) == NULL ? -1 : 0;
}

static void test_message_row(void **state)
{
	struct record_message message = { .envelope = sample(),
	    .arrival = 1700000000123, .body_length = 5000000000,
	    .slice_count = 2, .recipient_count = 3 };
	struct record_message *copy;

	(void)state;
	memset(message.digest, 0xab, sizeof(message.digest));
	assert_int_equal(record_put_message(&buf, &message), 0);
	copy = record_get_message(buf_data(&buf), buf_length(&buf), arena);
	assert_non_null(copy);
	check_envelope(copy->envelope);
	assert_int_equal(copy->arrival, message.arrival);
	assert_int_equal(copy->body_length, message.body_length);
	assert_int_equal(copy->slice_count, 2);
	assert_int_equal(copy->recipient_count, 3);
	assert_memory_equal(copy->digest, message.digest, DIGEST_BYTES);
	check_cuts(read_message_row);
}

/* Pieces of a row lie within its own body. */
static void test_message_bounds(void **state)
{
	struct record_message message = { .envelope = sample() };

	(void)state;
	for (message.body_length = 968; message.body_length < 972;
	    message.body_length++) {
		buf_reset(&buf);
		assert_int_equal(record_put_message(&buf, &message), 0);
		assert_true((record_get_message(buf_data(&buf),
		    buf_length(&buf), arena) != NULL) ==
		    (message.body_length >= 970));
	}
}

/* The largest that may be kept has room in a row. */
static void test_message_largest(void **state)
{
	struct record_message message = { .envelope = sample(),
	    .body_length = 1000 };
	struct envelope *envelope = message.envelope;
	char *text = arena_alloc(arena, ENVELOPE_PREFIX_MAX + 1);
	struct buf row;

	(void)state;
	memset(text, 'x', ENVELOPE_PREFIX_MAX);
	memcpy(text + ENVELOPE_PREFIX_MAX - 2, "\r\n", 2);
	envelope->prefix = text;
	envelope->prefix_length = ENVELOPE_PREFIX_MAX;
	text = arena_alloc(arena, ENVELOPE_TEXT_MAX + 1);
	memset(text, 'x', ENVELOPE_TEXT_MAX);
	envelope->client = envelope->helo = envelope->protocol = text;
	envelope->tls = envelope->envid = envelope->hold = text;
	text = arena_alloc(arena, ENVELOPE_PIECE_TEXT_MAX);
	memset(text, 'x', ENVELOPE_PIECE_TEXT_MAX);
	envelope->piece_count = ENVELOPE_PIECES_MAX;
	envelope->pieces = arena_alloc_array(arena, ENVELOPE_PIECES_MAX,
	    sizeof(*envelope->pieces));
	envelope->pieces[7] = (struct envelope_piece){ 0,
	    ENVELOPE_PIECE_TEXT_MAX, text };
	buf_init(&row, RECORD_MESSAGE_MAX);
	assert_int_equal(record_put_message(&row, &message), 0);
	assert_non_null(record_get_message(buf_data(&row), buf_length(&row),
	    arena));
	buf_release(&row);
}

/* Rows of all versions, byte for byte as they were written. */
static void test_old_messages(void **state)
{
	(void)state;
	for (uint8_t version = 1; version <= 4; version++) {
		struct record_message *message;
		struct envelope *envelope = sample();
		uint8_t digest[DIGEST_BYTES] = { 0xab };

		buf_reset(&buf);
		wire_put_u8(&writer, version);
		wire_put_u64(&writer, 5);
		wire_put_u64(&writer, 1000);
		wire_put_u32(&writer, 1);
		wire_put_u32(&writer, 2);
		wire_put_bytes(&writer, digest, sizeof(digest));
		envelope_put_head(&writer, envelope);
		envelope->forward_sender = arena_dup_string(arena, "r@s.test");
		if (version >= 2)
			envelope_put_forward_sender(&writer, envelope);
		if (version >= 3)
			envelope_put_content(&writer, envelope);
		if (version >= 4)
			envelope_put_user(&writer, envelope);
		message = record_get_message(buf_data(&buf),
		    buf_length(&buf), arena);
		assert_non_null(message);
		assert_int_equal(message->body_length, 1000);
		assert_string_equal(message->envelope->sender,
		    "a@sender.test");
		assert_int_equal(message->envelope->forward_sender != NULL,
		    version >= 2);
		assert_int_equal(message->envelope->piece_count,
		    version >= 3 ? 3 : 0);
		assert_int_equal(message->envelope->hold != NULL,
		    version >= 3);
		assert_string_equal(message->envelope->user, version >= 4 ?
		    "joe@sender.test" : "");
		check_cuts(read_message_row);
	}
}

static int read_slice_row(struct wire_reader *from)
{
	return record_get_slice(from->position,
	    (size_t)(from->end - from->position), arena) == NULL ? -1 : 0;
}

static void test_slice_row(void **state)
{
	struct envelope *envelope = sample();
	struct status status;
	struct record_recipient recipients[] = {
	    { 4, envelope->recipients[0], &status },
	    { 9, envelope->recipients[1], NULL } };
	struct record_slice slice = { .domain = (char[]){ "one.test" },
	    .flags = SLICE_HELD | SLICE_BOUNCE,
	    .held_reason = (char[]){ "why" }, .arrival = 5, .due = 6,
	    .tried_at = 7, .tls_trouble_since = 8,
	    .tls_level = LEVEL_DANE_ONLY,
	    .tls_reason = (char[]){ "ticket 41" },
	    .tls_author = (char[]){ "uid 0" }, .tls_set = 11, .attempt = 9,
	    .last_job = 10, .recipients = recipients, .recipient_count = 2 };
	struct record_slice *copy;

	(void)state;
	status_from_reply(&status, 450, "4.2.2 full");
	assert_int_equal(record_put_slice(&buf, &slice), 0);
	copy = record_get_slice(buf_data(&buf), buf_length(&buf), arena);
	assert_non_null(copy);
	assert_string_equal(copy->domain, "one.test");
	assert_int_equal(copy->flags, SLICE_HELD | SLICE_BOUNCE);
	assert_string_equal(copy->held_reason, "why");
	assert_int_equal(copy->arrival, 5);
	assert_int_equal(copy->due, 6);
	assert_int_equal(copy->tried_at, 7);
	assert_int_equal(copy->tls_trouble_since, 8);
	assert_int_equal(copy->attempt, 9);
	assert_int_equal(copy->last_job, 10);
	assert_int_equal(copy->tls_level, LEVEL_DANE_ONLY);
	assert_string_equal(copy->tls_reason, "ticket 41");
	assert_string_equal(copy->tls_author, "uid 0");
	assert_int_equal(copy->tls_set, 11);
	assert_int_equal(copy->recipients[0].index, 4);
	assert_int_equal(copy->recipients[0].status->code, 450);
	assert_string_equal(copy->recipients[0].status->text, "full");
	assert_null(copy->recipients[1].status);
	check_cuts(read_slice_row);
}

/* Every level, and none, comes back; a number that is no level does not. */
static void test_slice_levels(void **state)
{
	struct envelope *envelope = sample();
	struct record_recipient recipient = { 0, envelope->recipients[0],
	    NULL };
	struct record_slice slice = { .domain = (char[]){ "one.test" },
	    .recipients = &recipient, .recipient_count = 1 };
	struct record_slice *copy;

	(void)state;
	for (int level = -1; level <= LEVEL_COUNT; level++) {
		buf_reset(&buf);
		slice.tls_level = level;
		assert_int_equal(record_put_slice(&buf, &slice), 0);
		copy = record_get_slice(buf_data(&buf), buf_length(&buf),
		    arena);
		if (level == LEVEL_COUNT) {
			assert_null(copy);
			continue;
		}
		assert_int_equal(copy->tls_level, level);
		assert_string_equal(copy->tls_reason, "");
		assert_string_equal(copy->tls_author, "");
	}
}

static void put_old_slice(struct wire_writer *to, const char *held,
    uint32_t flags)
{
	wire_put_u8(to, 1);
	wire_put_text(to, "one.test");
	wire_put_u32(to, flags);
	wire_put_text(to, held);
	for (uint64_t time = 5; time <= 8; time++)
		wire_put_u64(to, time);
	wire_put_u32(to, 9);
	wire_put_u64(to, 10);
	wire_put_u32(to, 1);
	wire_put_u32(to, 4);
	envelope_put_recipient(to, &sample()->recipients[1]);
	wire_put_u8(to, 0);
}

/* Rows of version 1, byte for byte as they were written, are read; what they do
 * not say is "nothing was set". They are written in the latest version. */
static void test_old_rows(void **state)
{
	struct record_slice *slice;
	struct record_schedule *row;

	(void)state;
	put_old_slice(&writer, "why", SLICE_HELD);
	assert_int_equal(wire_write_end(&writer), 0);
	slice = record_get_slice(buf_data(&buf), buf_length(&buf), arena);
	assert_non_null(slice);
	assert_string_equal(slice->domain, "one.test");
	assert_int_equal(slice->flags, SLICE_HELD);
	assert_string_equal(slice->held_reason, "why");
	assert_int_equal(slice->tls_trouble_since, 8);
	assert_int_equal(slice->last_job, 10);
	assert_int_equal(slice->recipient_count, 1);
	assert_string_equal(slice->recipients[0].who.address,
	    "\"a@b\"@two.test");
	assert_int_equal(slice->tls_level, -1);
	assert_int_equal(slice->tls_set, 0);
	assert_string_equal(slice->tls_reason, "");
	assert_string_equal(slice->tls_author, "");
	assert_int_equal(record_slice_lane(slice), LANE_COMMON);
	check_cuts(read_slice_row);

	buf_reset(&buf);
	wire_put_u8(&writer, 1);
	wire_put_u32(&writer, 3);
	wire_put_text(&writer, "x.test");
	row = record_get_schedule(buf_data(&buf), buf_length(&buf), arena);
	assert_non_null(row);
	assert_int_equal(row->attempt, 3);
	assert_int_equal(row->group, 0);
	assert_string_equal(row->domain, "x.test");
	assert_int_equal(row->lane, LANE_COMMON);
	/* The rest of a newer row is no part of an old one. */
	wire_put_u8(&writer, 0);
	assert_null(record_get_schedule(buf_data(&buf), buf_length(&buf),
	    arena));
}

static void test_lanes(void **state)
{
	static const struct {
		uint32_t	 flags;
		int		 level;
		unsigned	 lane;
	} cases[] = {
		{ 0, -1, LANE_COMMON },
		{ SLICE_BOUNCE | SLICE_HELD, -1, LANE_COMMON },
		{ SLICE_REQUIRETLS, -1, LANE_REQUIRETLS },
		{ SLICE_REQUIRETLS, LEVEL_NONE, LANE_REQUIRETLS },
		{ SLICE_TLS_OPTIONAL, -1, LANE_OPTIONAL },
		{ SLICE_TLS_OPTIONAL, LEVEL_DANE, LANE_LEVEL + LEVEL_DANE },
		{ 0, LEVEL_AUTO, LANE_LEVEL },
		{ 0, LEVEL_FINGERPRINT, LANE_COUNT - 1 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct record_slice slice = { .flags = cases[i].flags,
		    .tls_level = cases[i].level };
		struct record_schedule row = { 1, (char[]){ "x.test" },
		    record_slice_lane(&slice), 0x89abcdef }, *read;

		assert_int_equal(row.lane, cases[i].lane);
		buf_reset(&buf);
		assert_int_equal(record_put_schedule(&buf, &row), 0);
		read = record_get_schedule(buf_data(&buf), buf_length(&buf),
		    arena);
		assert_non_null(read);
		assert_int_equal(read->lane, row.lane);
		assert_int_equal(read->group, row.group);
	}
	buf_reset(&buf);
	assert_int_equal(record_put_schedule(&buf, &(struct record_schedule){
	    1, (char[]){ "x.test" }, LANE_COUNT, 0 }), 0);
	assert_null(record_get_schedule(buf_data(&buf), buf_length(&buf),
	    arena));
}

static uint32_t group_of(const char *sender, const char *user)
{
	struct envelope *envelope = sample();

	envelope->sender = arena_dup_string(arena, sender);
	envelope->user = user == NULL ? NULL : arena_dup_string(arena, user);
	return record_group(envelope);
}

/* Who takes turns with whom: users as such, strangers by their sender, a list
 * as one sender whomever it wrote to. Rows keep the number: it is the same in
 * each process. */
static void test_groups(void **state)
{
	(void)state;
	assert_int_equal(group_of("a@x.test", NULL), group_of("a@x.test", ""));
	assert_int_not_equal(group_of("a@x.test", ""),
	    group_of("b@x.test", ""));
	assert_int_not_equal(group_of("a@x.test", ""),
	    group_of("a@y.test", ""));
	assert_int_equal(group_of("a@x.test", "alice"),
	    group_of("b@y.test", "alice"));
	assert_int_not_equal(group_of("a@x.test", "alice"),
	    group_of("a@x.test", "bob"));
	assert_int_equal(group_of("list+joe=one.test@x.test", ""),
	    group_of("list+ann=two.test@x.test", ""));
	assert_int_equal(group_of("", ""), group_of("", NULL));
	assert_int_equal(group_of("", ""), 2166136261u);
	assert_int_equal(group_of("a@b", ""), 0x11930f92u);
}

/* REQ-17: one tag or the other. */
static void test_envelope_tags(void **state)
{
	static const uint32_t flags[] = { 0, ENVELOPE_REQUIRETLS,
	    ENVELOPE_TLS_OPTIONAL, ENVELOPE_REQUIRETLS |
	    ENVELOPE_TLS_OPTIONAL };
	static const char *const tags[] = { NULL, "requiretls", "optional" };

	(void)state;
	for (size_t i = 0; i < 4; i++) {
		struct envelope *envelope = sample();

		buf_reset(&buf);
		envelope->flags = ENVELOPE_8BIT | flags[i];
		envelope_put(&writer, envelope);
		wire_read_begin(&reader, buf_data(&buf), buf_length(&buf));
		envelope = envelope_get(&reader, arena);
		if (i == 3) {
			assert_null(envelope);
			continue;
		}
		assert_int_equal(envelope->flags, ENVELOPE_8BIT | flags[i]);
		if (tags[i] == NULL)
			assert_null(envelope_tls_tag(envelope));
		else
			assert_string_equal(envelope_tls_tag(envelope),
			    tags[i]);
	}
}

/* A later version is not guessed at. */
static void test_row_version(void **state)
{
	struct record_schedule row = { 3, (char[]){ "x.test" }, LANE_COMMON,
	    7 };
	char *bytes;

	(void)state;
	assert_int_equal(record_put_schedule(&buf, &row), 0);
	assert_non_null(record_get_schedule(buf_data(&buf), buf_length(&buf),
	    arena));
	bytes = mem_dup(buf_data(&buf), buf_length(&buf));
	bytes[0]++;
	assert_null(record_get_schedule(bytes, buf_length(&buf), arena));
	mem_free(bytes);
}

static void test_keys(void **state)
{
	static const struct place places[] = { { 1, 9, 9 }, { 2, 1, 1 },
	    { 2, 1, 2 }, { 2, 256, 0 }, { 300, 0, 0 } };
	struct record_key before, after;
	struct place read;

	(void)state;
	for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
		const struct place *place = &places[i];

		record_key_schedule(&after, place->due, place->id,
		    place->slice);
		assert_int_equal(record_key_get_schedule(after.bytes,
		    after.length, &read.due, &read.id, &read.slice), 0);
		assert_int_equal(place_compare(&read, place), 0);
		assert_int_equal(record_key_get_schedule(after.bytes,
		    after.length - 1, &read.due, &read.id, &read.slice), -1);
		if (i > 0)
			assert_true(memcmp(before.bytes, after.bytes,
			    after.length) < 0);
		before = after;
	}
}

/* --- messages --- */

static void fill_job(struct job *job)
{
	job->arena = arena;
	job->key = 77;
	job->message = 0x1234;
	job->next = (struct conf_next_hop){ .transport = TRANSPORT_SMTP,
	    .host = "mx.test", .port = 2525, .mx = true,
	    .implicit_tls = true, .routed = true };
	job->domain = arena_dup_string(arena, "one.test");
	job->sender = arena_dup_string(arena, "");
	job->envid = NULL;
	job->flags = ENVELOPE_BOUNCE;
	job->arrival = 99;
	job->tls_trouble_since = 5;
	job->tls_level = LEVEL_STRICT;
	job->attempt = 3;
	job->prefix = arena_dup_string(arena, "X: y\r\n");
	job->prefix_length = 6;
	job->body = arena_dup_string(arena, "body\r\n");
	job->body_length = 6;
	job->recipient_count = 2;
	job->recipients = arena_alloc_array(arena, 2,
	    sizeof(*job->recipients));
	job->recipients[0].address = arena_dup_string(arena, "a@one.test");
	job->recipients[1] = (struct job_recipient){ 8,
	    arena_dup_string(arena, "b@one.test"),
	    arena_dup_string(arena, "rfc822;b"), NOTIFY_NEVER };
}

static int read_job(struct wire_reader *from)
{
	struct job job = { .arena = arena };
	uint32_t slice;

	return queue_get_job(from, &job, &slice);
}

static void test_job(void **state)
{
	struct job job = { 0 }, copy = { .arena = arena };
	uint32_t slice;

	(void)state;
	fill_job(&job);
	queue_put_job(&writer, &job, 42);
	wire_read_begin(&reader, buf_data(&buf), buf_length(&buf));
	assert_int_equal(queue_get_job(&reader, &copy, &slice), 0);
	assert_int_equal(slice, 42);
	assert_int_equal(copy.key, 77);
	assert_int_equal(copy.message, 0x1234);
	assert_string_equal(copy.next.host, "mx.test");
	assert_int_equal(copy.next.port, 2525);
	assert_true(copy.next.mx);
	assert_true(copy.next.implicit_tls);
	assert_true(copy.next.routed);
	assert_string_equal(copy.sender, "");
	assert_null(copy.envid);
	assert_int_equal(copy.attempt, 3);
	assert_int_equal(copy.tls_trouble_since, 5);
	assert_int_equal(copy.tls_level, LEVEL_STRICT);
	assert_memory_equal(copy.prefix, "X: y\r\n", 6);
	assert_memory_equal(copy.body, "body\r\n", 6);
	assert_int_equal(copy.recipient_count, 2);
	assert_int_equal(copy.recipients[1].index, 8);
	assert_string_equal(copy.recipients[1].original, "rfc822;b");
	check_cuts(read_job);
}

/* The level goes over as it is, none at all included. */
static void test_job_levels(void **state)
{
	struct job job = { 0 }, copy = { .arena = arena };
	uint32_t slice;

	(void)state;
	fill_job(&job);
	for (int level = -1; level <= LEVEL_COUNT; level++) {
		buf_reset(&buf);
		job.tls_level = level;
		queue_put_job(&writer, &job, 42);
		wire_read_begin(&reader, buf_data(&buf), buf_length(&buf));
		assert_int_equal(queue_get_job(&reader, &copy, &slice),
		    level < LEVEL_COUNT ? 0 : -1);
		if (level < LEVEL_COUNT)
			assert_int_equal(copy.tls_level, level);
	}
}

static int read_end(struct wire_reader *from)
{
	struct queue_end end;

	return queue_get_end(from, &end);
}

static int read_begin(struct wire_reader *from)
{
	struct queue_begin begin;

	return queue_get_begin(from, &begin);
}

static int read_identifiers(struct wire_reader *from)
{
	struct queue_identifiers identifiers;

	return queue_get_identifiers(from, &identifiers);
}

static int read_body(struct wire_reader *from)
{
	struct queue_body body;

	return queue_get_body(from, &body);
}

static int read_slots(struct wire_reader *from)
{
	struct queue_slots slots;
	int result = queue_get_slots(from, &slots);

	if (result == 0) {
		assert_int_equal(slots.slots, 20);
		assert_int_equal(slots.job_count, 2);
		assert_int_equal(slots.jobs[1].slice, 6);
		mem_free(slots.jobs);
	}
	return result;
}

static int read_read(struct wire_reader *from)
{
	struct queue_read read;

	return queue_get_read(from, &read);
}

static int read_result(struct wire_reader *from)
{
	struct queue_result result;
	struct status status;
	uint32_t index;

	if (queue_get_result(from, &result) < 0)
		return -1;
	for (uint32_t i = 0; i < result.count; i++) {
		if (queue_get_result_item(from, i + 1 == result.count, &index,
		    &status) < 0)
			return -1;
	}
	return 0;
}

static void test_small_messages(void **state)
{
	struct queue_open_job jobs[] = { { 1, 2, 3 }, { 4, 5, 6 } };
	struct status status;

	(void)state;
	queue_put_end(&writer, &(struct queue_end){ .flags = 1, .length = 2,
	    .digest = { 3 }, .extra = "a: b\r\n", .extra_length = 6 });
	check_cuts(read_end);
	buf_reset(&buf);
	queue_put_end(&writer, &(struct queue_end){ .envelope = "abc",
	    .envelope_length = 3 });
	check_cuts(read_end);
	/* Half a line would swallow the first one of the body. */
	buf_reset(&buf);
	queue_put_end(&writer, &(struct queue_end){ .extra = "a: b\n",
	    .extra_length = 5 });
	wire_read_begin(&reader, buf_data(&buf), buf_length(&buf));
	assert_int_equal(read_end(&reader), -1);
	buf_reset(&buf);
	queue_put_begin(&writer, &(struct queue_begin){ 5, "abc", 3 });
	check_cuts(read_begin);
	buf_reset(&buf);
	queue_put_identifiers(&writer, &(struct queue_identifiers){ 9, 8 });
	check_cuts(read_identifiers);
	buf_reset(&buf);
	queue_put_body(&writer, &(struct queue_body){ 1, true, "data", 4 });
	check_cuts(read_body);
	buf_reset(&buf);
	queue_put_slots(&writer, &(struct queue_slots){ 20, jobs, 2 });
	check_cuts(read_slots);
	buf_reset(&buf);
	queue_put_read(&writer, &(struct queue_read){ 1, 2, 3 });
	check_cuts(read_read);
	buf_reset(&buf);
	status_from_reply(&status, 250, "ok");
	queue_put_result(&writer, &(struct queue_result){ 1, 2, 3, true, 2 });
	queue_put_result_item(&writer, 0, &status);
	queue_put_result_item(&writer, 1, &status);
	check_cuts(read_result);
}

/* Any bytes may come: nothing but a refusal may follow. */
static void test_noise(void **state)
{
	static int (*const readers[])(struct wire_reader *) = {
	    read_envelope, read_message_row, read_slice_row, read_job,
	    read_end, read_begin, read_identifiers, read_body, read_read,
	    read_result };
	unsigned char noise[200];

	(void)state;
	srand(1);
	for (int round = 0; round < 20000; round++) {
		size_t length = (size_t)rand() % sizeof(noise);

		for (size_t i = 0; i < length; i++)
			noise[i] = rand() % 3 ? 0 : (unsigned char)rand();
		arena_reset(arena);
		wire_read_begin(&reader, noise, length);
		(void)readers[(size_t)round % (sizeof(readers) /
		    sizeof(readers[0]))](&reader);
	}
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_envelope),
		TEST(test_envelope_cuts),
		TEST(test_envelope_hostile),
		TEST(test_envelope_prefix),
		TEST(test_envelope_count),
		TEST(test_content_fits),
		TEST(test_content_count),
		TEST(test_many_recipients),
		TEST(test_message_row),
		TEST(test_message_bounds),
		TEST(test_message_largest),
		TEST(test_old_messages),
		TEST(test_slice_row),
		TEST(test_slice_levels),
		TEST(test_old_rows),
		TEST(test_lanes),
		TEST(test_groups),
		TEST(test_envelope_tags),
		TEST(test_row_version),
		TEST(test_keys),
		TEST(test_job),
		TEST(test_job_levels),
		TEST(test_small_messages),
		TEST(test_noise),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
