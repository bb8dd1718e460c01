/* SPDX-License-Identifier: ISC */
/*
 * queue/client.c against queue/intake.c and commit.c over a real channel and a
 * real store: what is accepted is there after a restart, what is not accepted
 * leaves nothing, and a peer that breaks the rules loses its channel only.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/channel.h"
#include "base/loop.h"
#include "base/mem.h"
#include "base/wire.h"
#include "conf/conf.h"
#include "queue/client.h"
#include "queue/envelope.h"
#include "queue/intake.h"
#include "queue/message.h"
#include "queue/queue.h"
#include "queue/record.h"
#include "queue/rows.h"
#include "queue/store.h"
#include "tests/queue_world.h"

static struct world world;

static int setup(void **state)
{
	(void)state;
	world_open(&world, "max-message-size = 8M");
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	world_close(&world);
	return 0;
}

static struct envelope *make_envelope(struct arena *arena)
{
	struct envelope *envelope = envelope_new(arena);

	envelope->sender = arena_dup_string(arena, "a@sender.test");
	envelope_add_recipient(envelope, arena, "b@remote.test", NULL, 0);
	return envelope;
}

/* --- small messages --- */

/* REQ-15 to REQ-18, REQ-22: the tag reaches every slice and every job of the
 * message, and is there after a restart. What the header says is nothing next
 * to REQUIRETLS; and nothing else can come in at the end. */
static void test_tags(void **state)
{
	static const struct {
		uint32_t	 envelope, end, kept;
		unsigned	 lane;
	} cases[] = {
		{ ENVELOPE_REQUIRETLS, 0, ENVELOPE_REQUIRETLS,
		    LANE_REQUIRETLS },
		{ ENVELOPE_REQUIRETLS | ENVELOPE_RET_FULL,
		    ENVELOPE_TLS_OPTIONAL, ENVELOPE_REQUIRETLS |
		    ENVELOPE_RET_FULL, LANE_REQUIRETLS },
		{ 0, ENVELOPE_TLS_OPTIONAL | ENVELOPE_HAS_8BIT,
		    ENVELOPE_TLS_OPTIONAL | ENVELOPE_HAS_8BIT,
		    LANE_OPTIONAL },
		{ 0, ENVELOPE_REQUIRETLS | ENVELOPE_BOUNCE |
		    ENVELOPE_RET_FULL, 0, LANE_COMMON },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct arena *arena = arena_new(RECORD_ARENA_MAX);
		struct status status;
		uint64_t id;

		world.envelope_flags = cases[i].envelope;
		world.end_flags = cases[i].end;
		id = world_send(&world, "a@sender.test", "b@one.test "
		    "c@two.test d@one.test", "x\r\n");
		assert_true(world_wait_jobs(&world, 2));
		world_drop_worker(&world, DESTINATION_DELIVERY);
		world_stop_queue(&world);
		world_start_queue(&world);
		world_connect_worker(&world, DESTINATION_MAILBOX, 200);
		world_new_worker(&world, DESTINATION_DELIVERY);
		assert_true(world_wait_jobs(&world, 2));
		for (size_t n = 0; n < 2; n++) {
			assert_int_equal(world.jobs[n]->flags, cases[i].kept);
			assert_int_equal(world.jobs[n]->tls_level, -1);
			assert_int_equal(record_slice_lane(rows_find_slice(
			    world.queue->store, id, (uint32_t)n, arena)),
			    cases[i].lane);
		}
		world_delivered(&status);
		world_finish(&world, 1, &status);
		world_finish(&world, 0, &status);
		assert_true(world_wait_empty(&world));
		world_connect(&world);
		arena_free(arena);
	}
}

static void test_accept(void **state)
{
	uint64_t id = world_send(&world, "a@sender.test",
	    "b@remote.test c@remote.test d@local.test", "Subject: x\r\n\r\n");

	(void)state;
	assert_int_not_equal(id, 0);
	assert_int_equal(world_count_messages(&world), 1);
	assert_int_equal(world_count_slices(&world), 2);
	assert_int_equal(world_count_schedule(&world), 2);
	assert_true(world_wait_jobs(&world, 2));
	/* Another process finds it, and workers that know nothing get it. */
	for (int kind = 0; kind < DESTINATION_KINDS; kind++)
		world_drop_worker(&world, (enum destination_kind)kind);
	world_stop_queue(&world);
	world_start_queue(&world);
	for (int kind = 0; kind < DESTINATION_KINDS; kind++)
		world_new_worker(&world, (enum destination_kind)kind);
	assert_true(world_wait_jobs(&world, 2));
	assert_true(world.jobs[0]->message == id);
}

static void test_identifiers(void **state)
{
	uint64_t last = 0;

	(void)state;
	for (int i = 0; i < 3000; i++) {
		uint64_t id = queue_client_next_id(world.client);

		if (id == 0)
			world_turn(20);
		else
			assert_true(id > last);
		last = id == 0 ? last : id;
	}
	/* Never the same again, also when the clock stands still. */
	world_stop_queue(&world);
	world_start_queue(&world);
	world_connect(&world);
	assert_true(queue_client_next_id(world.client) > last);
}

/* --- large bodies --- */

struct upload {
	struct submission	*submission;
	struct world_answer	 answer;
	size_t			 left;
	char			 block[100000];
};

static void on_done(void *arg, const struct status *status, uint64_t id)
{
	struct upload *upload = arg;

	upload->answer.came = true;
	upload->answer.status = *status;
	upload->answer.id = id;
	upload->submission = NULL;
}

static void push(void *arg)
{
	struct upload *upload = arg;

	while (upload->left > 0) {
		size_t room = submission_room(upload->submission);
		size_t step = sizeof(upload->block);

		if (room == 0)
			return;
		step = step < room ? step : room;
		step = step < upload->left ? step : upload->left;
		submission_data(upload->submission, upload->block, step);
		upload->left -= step;
	}
	submission_end(upload->submission, ENVELOPE_HAS_8BIT, on_done,
	    upload);
}

static void upload_start(struct upload *upload, size_t size)
{
	struct arena *arena = arena_new(1 << 20);

	memset(upload, 0, sizeof(*upload));
	memset(upload->block, 'x', sizeof(upload->block));
	upload->left = size;
	upload->submission = submission_begin(world.client,
	    queue_client_next_id(world.client), make_envelope(arena), push,
	    upload);
	arena_free(arena);
	push(upload);
}

static void test_large(void **state)
{
	enum { SIZE = 5000000 };
	struct upload upload;
	struct arena *arena = arena_new(RECORD_ARENA_MAX);
	struct record_message *message;
	struct buf body;

	(void)state;
	upload_start(&upload, SIZE);
	assert_true(upload.left > 0);	/* credit ran out: it waits */
	assert_true(world_wait_answer(&upload.answer));
	assert_int_equal(upload.answer.status.outcome, STATUS_RELAYED);
	assert_int_equal(upload.answer.status.code, 250);
	message = rows_find_message(world.queue->store, upload.answer.id,
	    arena);
	assert_non_null(message);
	assert_int_equal(message->body_length, SIZE);
	assert_true(message->envelope->flags & ENVELOPE_HAS_8BIT);
	buf_init(&body, SIZE);
	assert_int_equal(store_body_read(world.queue->store, upload.answer.id,
	    0, SIZE, &body), STORE_OK);
	for (size_t i = 0; i < SIZE; i++)
		assert_true(buf_data(&body)[i] == 'x');
	buf_release(&body);
	arena_free(arena);
}

/* SMTP-151: header fields that were found missing stand between our prefix and
 * the body, in the same message. */
static void test_extra(void **state)
{
	static const char prefix[] = "Received: by test\r\n";
	static const char extra[] = "Date: now\r\nMessage-ID: <1@test>\r\n";
	struct arena *arena = arena_new(RECORD_ARENA_MAX);
	struct record_message *message;
	struct envelope *envelope;
	struct upload upload;

	(void)state;
	for (size_t size = 0; size < sizeof(prefix); size += sizeof(prefix) -
	    1) {
		memset(&upload, 0, sizeof(upload));
		envelope = make_envelope(arena);
		envelope->prefix = arena_dup_text(arena, prefix, size);
		envelope->prefix_length = size;
		upload.submission = submission_begin(world.client,
		    queue_client_next_id(world.client), envelope, NULL, NULL);
		submission_extend(upload.submission, "old\r\n", 5);
		submission_extend(upload.submission, extra, strlen(extra));
		push(&upload);
		assert_true(world_wait_answer(&upload.answer));
		assert_int_equal(upload.answer.status.code, 250);
		message = rows_find_message(world.queue->store,
		    upload.answer.id, arena);
		assert_non_null(message);
		assert_int_equal(message->envelope->prefix_length,
		    size + strlen(extra));
		assert_memory_equal(message->envelope->prefix, prefix, size);
		assert_memory_equal(message->envelope->prefix + size, extra,
		    strlen(extra));
	}
	arena_free(arena);
}

static void test_too_large(void **state)
{
	struct upload upload;

	(void)state;
	upload_start(&upload, 9 << 20);
	assert_true(world_wait_answer(&upload.answer));
	assert_int_equal(upload.answer.status.outcome, STATUS_FAILED);
	assert_int_equal(upload.answer.status.code, 552);
	assert_int_equal(world_count_messages(&world), 0);
}

static bool is_under_way(void *arg)
{
	const struct upload *upload = arg;

	return upload->left < 7 << 20;
}

static bool is_forgotten(void *arg)
{
	(void)arg;
	return intake_open(world.queue->intake) == 0;
}

static void test_cancel(void **state)
{
	struct upload upload;

	(void)state;
	upload_start(&upload, 8 << 20);
	assert_true(world_wait(is_under_way, &upload, 20000));
	assert_true(upload.left > 0);
	submission_cancel(upload.submission);
	assert_true(world_wait(is_forgotten, NULL, 20000));
	assert_int_equal(world_count_messages(&world), 0);
}

/* The queue dies in the middle: 451, and later the client works again. */
static void test_restart(void **state)
{
	struct upload upload;
	struct world_answer answer;

	(void)state;
	upload_start(&upload, 600000);
	world_submit(&world, "a@sender.test", "b@remote.test", "x\r\n",
	    &answer);
	world_stop_queue(&world);
	assert_true(world_wait_answer(&upload.answer));
	assert_true(world_wait_answer(&answer));
	assert_int_equal(upload.answer.status.outcome, STATUS_DEFERRED);
	assert_int_equal(upload.answer.status.code, 451);
	assert_int_equal(answer.status.code, 451);
	assert_false(queue_client_is_connected(world.client));
	assert_int_equal(queue_client_next_id(world.client), 0);
	/* Without a queue everything is 451. */
	world_submit(&world, "a@sender.test", "b@remote.test", "x\r\n",
	    &answer);
	assert_false(answer.came);
	assert_true(world_wait_answer(&answer));
	assert_int_equal(answer.status.code, 451);
	world_start_queue(&world);
	world_connect(&world);
	assert_int_equal(world_count_messages(&world), 0);
	assert_int_not_equal(world_send(&world, "a@sender.test",
	    "b@remote.test", "x\r\n"), 0);
}

static bool has_no_room(void *arg)
{
	(void)arg;
	return !queue_client_has_room(world.client, 1000);
}

static bool has_room(void *arg)
{
	return !has_no_room(arg);
}

static void configure(const char *low_space)
{
	char *text = mem_print("hostname = mx.test\nlow-space = %s\n",
	    low_space);
	char *errors = NULL;
	struct conf *conf = conf_read("test.conf", text, &errors);

	assert_non_null(conf);
	queue_reload(world.queue, conf);
	mem_free(text);
}

/* SMTP-93: without space 452 4.3.1, before and after the
 * body; and it ends by itself. */
static void test_low_space(void **state)
{
	struct world_answer answer;

	(void)state;
	configure("1000G");
	assert_true(world_wait(has_no_room, NULL, 20000));
	world_submit(&world, "a@sender.test", "b@remote.test", "x\r\n",
	    &answer);
	assert_true(world_wait_answer(&answer));
	assert_int_equal(answer.status.code, 452);
	assert_int_equal(answer.status.enhanced_subject, 3);
	assert_int_equal(answer.status.enhanced_detail, 1);
	configure("1M");
	assert_true(world_wait(has_room, NULL, 20000));
	assert_int_not_equal(world_send(&world, "a@sender.test",
	    "b@remote.test", "x\r\n"), 0);
}

/* Each 250 comes after the flush of its batch, and batches are shared. */
static void test_group_commit(void **state)
{
	enum { COUNT = 500 };
	struct world_answer *answers = mem_alloc_array(COUNT,
	    sizeof(*answers));
	struct store_stats before, after;

	(void)state;
	store_stats(world.queue->store, &before);
	for (int i = 0; i < COUNT; i++) {
		world_submit(&world, "a@sender.test", "b@remote.test",
		    "body\r\n", &answers[i]);
		assert_false(answers[i].came);
	}
	for (int i = 0; i < COUNT; i++) {
		assert_true(world_wait_answer(&answers[i]));
		assert_int_equal(answers[i].status.outcome, STATUS_RELAYED);
	}
	store_stats(world.queue->store, &after);
	assert_int_equal(world_count_messages(&world), COUNT);
	assert_true(after.flushes - before.flushes < COUNT / 4);
	mem_free(answers);
}

/* --- peers that break the rules --- */

struct rogue {
	struct channel	*channel;
	struct status	 status;
	bool		 answered, closed;
	struct queue_identifiers identifiers;
};

static void on_message(void *arg, struct channel *channel,
    struct channel_message *message)
{
	struct rogue *rogue = arg;

	(void)channel;
	if (message->type == QUEUE_IDENTIFIERS)
		queue_get_identifiers(&message->body, &rogue->identifiers);
	if (message->type == QUEUE_ACCEPTED) {
		queue_get_accepted(&message->body, &rogue->status);
		rogue->answered = true;
	}
}

static void on_closed(void *arg, struct channel *channel)
{
	struct rogue *rogue = arg;

	channel_free(channel);
	rogue->channel = NULL;
	rogue->closed = true;
}

static const struct channel_rule rules[] = {
	{ QUEUE_IDENTIFIERS, false, 1000 }, { QUEUE_SPACE, false, 1000 },
	{ QUEUE_CREDIT, false, 1000 }, { QUEUE_ACCEPTED, false, 4000 },
};
static const struct channel_handler handler = { .rules = rules,
    .rule_count = 4, .message = on_message, .closed = on_closed };

static bool has_identifiers(void *arg)
{
	return ((struct rogue *)arg)->identifiers.count > 0;
}

static bool is_over(void *arg)
{
	struct rogue *rogue = arg;

	return rogue->answered || rogue->closed;
}

static void rogue_start(struct rogue *rogue)
{
	int fds[2];

	memset(rogue, 0, sizeof(*rogue));
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0,
	    fds), 0);
	queue_connect(world.queue, ROLE_SMTPD, 7, fds[0]);
	rogue->channel = channel_new(fds[1], "queue", &handler, rogue,
	    1 << 20);
	assert_true(world_wait(has_identifiers, rogue, 20000));
}

static void rogue_begin(struct rogue *rogue, uint64_t id)
{
	struct arena *arena = arena_new(1 << 20);
	struct wire_writer writer;
	struct buf buf;

	buf_init(&buf, 1 << 16);
	wire_write_begin(&writer, &buf);
	envelope_put(&writer, make_envelope(arena));
	queue_put_begin(channel_begin(rogue->channel, QUEUE_BEGIN, 1),
	    &(struct queue_begin){ id, buf_data(&buf), buf_length(&buf) });
	channel_end(rogue->channel);
	buf_release(&buf);
	arena_free(arena);
}

static void rogue_data(struct rogue *rogue, size_t length)
{
	char *data = mem_alloc(length);

	queue_put_data(channel_begin(rogue->channel, QUEUE_DATA, 1), data,
	    length);
	channel_end(rogue->channel);
	mem_free(data);
}

static void rogue_stop(struct rogue *rogue)
{
	if (rogue->channel != NULL)
		channel_free(rogue->channel);
	world_turn(5);
	/* Nobody else is hurt. */
	assert_int_not_equal(world_send(&world, "a@sender.test",
	    "b@remote.test", "x\r\n"), 0);
}

/* An identifier that was not given, or is used: the message would replace
 * another one. */
static void test_stolen_identifier(void **state)
{
	uint64_t id = world_send(&world, "a@sender.test", "b@remote.test",
	    "x\r\n");
	struct rogue rogue;

	(void)state;
	rogue_start(&rogue);
	rogue_begin(&rogue, id);
	assert_true(world_wait(is_over, &rogue, 60000));
	assert_true(rogue.answered);
	assert_int_equal(rogue.status.code, 451);
	rogue.answered = false;
	rogue_begin(&rogue, rogue.identifiers.first + 5);
	queue_put_end(channel_begin(rogue.channel, QUEUE_END, 1),
	    &(struct queue_end){ .length = 0 });
	channel_end(rogue.channel);
	assert_true(world_wait(is_over, &rogue, 60000));
	/* The digest was wrong: nothing came in. */
	assert_int_equal(rogue.status.code, 451);
	assert_int_equal(world_count_messages(&world), 1);
	rogue.answered = false;
	rogue_begin(&rogue, rogue.identifiers.first + 5);
	assert_true(world_wait(is_over, &rogue, 60000));
	assert_int_equal(rogue.status.code, 451);
	rogue_stop(&rogue);
}

/* More than the window at once. */
static void test_too_much(void **state)
{
	struct rogue rogue;

	(void)state;
	rogue_start(&rogue);
	rogue_begin(&rogue, rogue.identifiers.first);
	for (int i = 0; i < QUEUE_CREDIT_WINDOW / QUEUE_DATA_MAX + 1; i++)
		rogue_data(&rogue, QUEUE_DATA_MAX);
	assert_true(world_wait(is_over, &rogue, 60000));
	assert_true(rogue.closed);
	rogue_stop(&rogue);
	assert_int_equal(world_count_messages(&world), 1);
}

/* A worker's message from an smtpd. */
static void test_wrong_role(void **state)
{
	struct rogue rogue;

	(void)state;
	rogue_start(&rogue);
	queue_put_read(channel_begin(rogue.channel, QUEUE_READ, 1),
	    &(struct queue_read){ 1, 2, 3 });
	channel_end(rogue.channel);
	assert_true(world_wait(is_over, &rogue, 60000));
	assert_true(rogue.closed);
	rogue_stop(&rogue);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_accept),
		TEST(test_tags),
		TEST(test_identifiers),
		TEST(test_large), TEST(test_extra),
		TEST(test_too_large),
		TEST(test_cancel),
		TEST(test_restart),
		TEST(test_low_space),
		TEST(test_group_commit),
		TEST(test_stolen_identifier),
		TEST(test_too_much),
		TEST(test_wrong_role),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
