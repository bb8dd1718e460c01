/* SPDX-License-Identifier: ISC */
/*
 * What filters do to a message: view.c piece by piece, and edited, replaced and
 * held mail through client, intake, store, jobs, notifications and commands.
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

#include "base/arena.h"
#include "base/buf.h"
#include "base/channel.h"
#include "base/control.h"
#include "base/digest.h"
#include "base/mem.h"
#include "base/wire.h"
#include "queue/client.h"
#include "queue/envelope.h"
#include "queue/intake.h"
#include "queue/message.h"
#include "queue/queue.h"
#include "queue/record.h"
#include "queue/rows.h"
#include "queue/store.h"
#include "queue/view.h"
#include "tests/queue_world.h"

enum { LARGE = 300000, TEXT_MOST = 4 << 20 };

static struct world world;
static struct arena *arena;

static int setup(void **state)
{
	(void)state;
	arena = arena_new(64 << 20);
	world_open(&world, "max-message-size = 1M\nretry-first = 1s\n"
	    "retry-max = 2s");
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	world_close(&world);
	arena_free(arena);
	return 0;
}

/* --- the view --- */

static struct envelope_piece stored(uint64_t offset, uint64_t length)
{
	return (struct envelope_piece){ offset, length, NULL };
}

static struct envelope_piece text_of(const char *text)
{
	return (struct envelope_piece){ 0, strlen(text), text };
}

static void read_view(const struct view *view, const char *body,
    uint64_t offset, size_t most, struct buf *out)
{
	struct view_part part;

	for (size_t done = 0; view_part(view, offset + done, most - done,
	    &part); done += part.length) {
		assert_true(part.length > 0);
		buf_add(out, part.text == NULL ? body + part.offset :
		    part.text, part.length);
	}
}

/* Every range of every view is that range of the pieces laid end to end. */
static void test_view(void **state)
{
	static const char body[] = "0123456789abcdef";
	const struct envelope_piece pieces[] = { text_of("X: 1\r\n"),
	    stored(0, 4), text_of(""), stored(8, 0), stored(10, 6),
	    stored(2, 3), text_of("end\r\n") };
	const char *whole = "X: 1\r\n0123abcdef234end\r\n";
	struct envelope envelope = { .pieces = (struct envelope_piece *)pieces,
	    .piece_count = 7 };
	struct view view;
	struct buf out;

	(void)state;
	buf_init(&out, 100);
	view_init(&view, &envelope, 16);
	assert_int_equal(view_length(&view), strlen(whole));
	for (size_t from = 0; from <= strlen(whole) + 2; from++) {
		for (size_t most = 0; most < strlen(whole) + 2; most++) {
			size_t left = from > strlen(whole) ? 0 :
			    strlen(whole) - from;

			buf_reset(&out);
			read_view(&view, body, from, most, &out);
			assert_int_equal(buf_length(&out), most < left ?
			    most : left);
			assert_memory_equal(buf_data(&out), whole + (left == 0 ?
			    0 : from), buf_length(&out));
		}
	}
	view_init(&view, NULL, 16);
	assert_int_equal(view_length(&view), 16);
	buf_reset(&out);
	read_view(&view, body, 3, 99, &out);
	assert_memory_equal(buf_data(&out), "3456789abcdef", 13);
	view_init(&view, &(struct envelope){ .piece_count = 0 }, 0);
	assert_int_equal(view_length(&view), 0);
	buf_release(&out);
}

/* --- sending edited mail --- */

struct mail {
	struct envelope		*first;
	struct envelope		*revised;	/* null: none */
	const char		*body;
	size_t			 length;
	size_t			 given;
	struct submission	*submission;
	struct world_answer	 answer;
};

static struct envelope *make_envelope(const char *recipient)
{
	struct envelope *envelope = envelope_new(arena);

	envelope->sender = arena_dup_string(arena, "a@sender.test");
	envelope->prefix = arena_dup_string(arena, "Received: first\r\n");
	envelope->prefix_length = strlen(envelope->prefix);
	envelope_add_recipient(envelope, arena, recipient, NULL, 0);
	return envelope;
}

static struct envelope *make_revised(const struct envelope_piece *pieces,
    size_t count)
{
	struct envelope *envelope = make_envelope("changed@one.test");

	envelope->sender = arena_dup_string(arena, "other@sender.test");
	envelope->prefix = arena_dup_string(arena, "Received: revised\r\n");
	envelope->prefix_length = strlen(envelope->prefix);
	envelope->pieces = arena_dup(arena, pieces, count * sizeof(*pieces));
	envelope->piece_count = count;
	return envelope;
}

static void on_done(void *arg, const struct status *status, uint64_t id)
{
	struct mail *mail = arg;

	mail->answer.came = true;
	mail->answer.status = *status;
	mail->answer.id = id;
}

static void push(void *arg)
{
	struct mail *mail = arg;

	while (mail->given < mail->length) {
		size_t step = submission_room(mail->submission);

		if (step == 0)
			return;
		if (step > mail->length - mail->given)
			step = mail->length - mail->given;
		submission_data(mail->submission, mail->body + mail->given,
		    step);
		mail->given += step;
	}
	if (mail->revised != NULL)
		submission_revise(mail->submission, mail->revised);
	submission_end(mail->submission, 0, on_done, mail);
}

/* Returns the reply's code. */
static int send_mail(struct mail *mail)
{
	if (mail->first == NULL)
		mail->first = make_envelope("first@one.test");
	mail->submission = submission_begin(world.client,
	    queue_client_next_id(world.client), mail->first, push, mail);
	push(mail);
	assert_true(world_wait_answer(&mail->answer));
	return mail->answer.status.code;
}

/* Lines of text that tell where they stand. */
static char *make_body(size_t length)
{
	char *body = arena_alloc(arena, length + 16);

	for (size_t i = 0; i < length; i += 16)
		snprintf(body + i, 17, "%013u.\r\n", (unsigned)i);
	body[length] = '\0';
	return body;
}

/* A header of 32 bytes is replaced by one field, the second line of the body is
 * left out. */
static struct mail make_edited(size_t length, char **view)
{
	const struct envelope_piece pieces[] = { text_of("X-Spam: no\r\n\r\n"),
	    stored(32, 16), stored(64, length - 64) };
	struct mail mail = { .body = make_body(length), .length = length,
	    .revised = make_revised(pieces, 3) };
	struct buf out;

	buf_init(&out, TEXT_MOST);
	buf_add_string(&out, "X-Spam: no\r\n\r\n");
	buf_add(&out, mail.body + 32, 16);
	buf_add(&out, mail.body + 64, length - 64);
	*view = arena_dup_text(arena, buf_data(&out), buf_length(&out));
	buf_release(&out);
	return mail;
}

struct reading {
	struct buf	 data;
	bool		 ended, failed;
	struct job	*job;
};

static void on_body(void *arg, const void *data, size_t length, bool failed)
{
	struct reading *reading = arg;

	reading->failed = failed;
	reading->ended = failed || length == 0;
	if (!failed)
		buf_add(&reading->data, data, length);
	if (!reading->ended && buf_length(&reading->data) <
	    reading->job->body_length)
		worker_read(reading->job, buf_length(&reading->data), on_body,
		    reading);
	else
		reading->ended = true;
}

static bool has_ended(void *arg)
{
	return ((struct reading *)arg)->ended;
}

/* Reads the job's body as delivery does: from the front to its length. */
static void read_job(struct job *job, struct reading *reading)
{
	memset(reading, 0, sizeof(*reading));
	reading->job = job;
	buf_init(&reading->data, TEXT_MOST);
	worker_read(job, 0, on_body, reading);
	assert_true(world_wait(has_ended, reading, 20000));
}

static void check_job(struct job *job, const char *view)
{
	struct reading reading;

	assert_string_equal(job->sender, "other@sender.test");
	assert_int_equal(job->recipient_count, 1);
	assert_string_equal(job->recipients[0].address, "changed@one.test");
	assert_string_equal(job->prefix, "Received: revised\r\n");
	assert_int_equal(job->body_length, strlen(view));
	assert_true((job->body != NULL) == (strlen(view) <=
	    WORKER_INLINE_MAX));
	read_job(job, &reading);
	assert_false(reading.failed);
	assert_int_equal(buf_length(&reading.data), strlen(view));
	assert_memory_equal(buf_data(&reading.data), view, strlen(view));
	buf_release(&reading.data);
}

/* The same before and after both sides of the queue have died. */
static void check_delivery(const char *view)
{
	struct status status;

	assert_true(world_wait_jobs(&world, 1));
	check_job(world.jobs[0], view);
	world_drop_worker(&world, DESTINATION_DELIVERY);
	world_stop_queue(&world);
	world_start_queue(&world);
	world_new_worker(&world, DESTINATION_DELIVERY);
	assert_true(world_wait_jobs(&world, 1));
	check_job(world.jobs[0], view);
	world_delivered(&status);
	world_finish(&world, 0, &status);
	assert_true(world_wait_empty(&world));
	world_connect(&world);
}

/* Small bodies come with the job, large ones are read; either is the view. */
static void test_edited(void **state)
{
	static const size_t sizes[] = { 64, 1600, 70400, LARGE };
	char *view;

	(void)state;
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		struct mail mail = make_edited(sizes[i], &view);

		assert_int_equal(send_mail(&mail), 250);
		check_delivery(view);
	}
}

/* An envelope may change without an edit of the content, and pieces may be
 * nothing but text. */
static void test_revised_only(void **state)
{
	struct mail mail = { .body = make_body(LARGE), .length = LARGE,
	    .revised = make_revised(NULL, 0) };
	struct envelope_piece text = text_of("S: x\r\n\r\nnew\r\n");
	struct mail other = { .body = mail.body, .length = LARGE,
	    .revised = make_revised(&text, 1) };

	(void)state;
	assert_int_equal(send_mail(&mail), 250);
	check_delivery(mail.body);
	assert_int_equal(send_mail(&other), 250);
	check_delivery(text.text);
}

/* A job that a worker has of an earlier queue is read on there. */
static void test_adopted(void **state)
{
	char *view;
	struct mail mail = make_edited(LARGE, &view);

	(void)state;
	assert_int_equal(send_mail(&mail), 250);
	assert_true(world_wait_jobs(&world, 1));
	world_stop_queue(&world);
	world_start_queue(&world);
	world_connect(&world);
	check_job(world.jobs[0], view);
	assert_int_equal(world.taken, 1);
}

/* --- new bodies --- */

/* The original and behind it a new body of that length, which goes out. */
static struct mail make_replaced(size_t original, size_t length)
{
	const struct envelope_piece pieces[] = { stored(0, 32),
	    text_of("X-Filter: yes\r\n\r\n"), stored(original, length) };
	struct mail mail = { .body = make_body(original + length),
	    .length = original + length, .revised = make_revised(pieces, 3) };

	mail.revised->original_length = original;
	return mail;
}

static char *view_of(const struct mail *mail)
{
	struct view view;
	struct buf out;
	char *text;

	buf_init(&out, TEXT_MOST);
	view_init(&view, mail->revised, mail->length);
	read_view(&view, mail->body, 0, TEXT_MOST, &out);
	text = arena_dup_text(arena, buf_data(&out), buf_length(&out));
	buf_release(&out);
	return text;
}

static void test_replaced(void **state)
{
	static const size_t sizes[][2] = { { 1 << 20, 1 << 20 },
	    { 1 << 20, 160 }, { 1600, 1 << 20 } };

	(void)state;
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		struct mail mail = make_replaced(sizes[i][0], sizes[i][1]);

		assert_int_equal(send_mail(&mail), 250);
		check_delivery(view_of(&mail));
	}
}

/* Twice max-message-size only for who has a new body; and nothing may
 * grow beyond it by being sent several times over. */
static void test_sizes(void **state)
{
	enum { SIZE = 1 << 20, TOO_LARGE = SIZE + (70 << 10) };
	struct envelope_piece again[4];
	struct mail plain = { .body = make_body(TOO_LARGE),
	    .length = TOO_LARGE };
	struct mail unedited = { .body = plain.body, .length = TOO_LARGE,
	    .revised = make_revised(NULL, 0) };
	struct mail twice = make_replaced(SIZE, TOO_LARGE * 2);
	struct mail echo = { .body = plain.body, .length = SIZE };

	(void)state;
	for (size_t i = 0; i < 4; i++)
		again[i] = stored(0, SIZE);
	echo.revised = make_revised(again, 4);
	assert_int_equal(send_mail(&plain), 552);
	assert_int_equal(send_mail(&unedited), 552);
	assert_int_equal(send_mail(&twice), 552);
	assert_int_equal(send_mail(&echo), 552);
	assert_int_equal(world_count_messages(&world), 0);
	assert_int_equal(intake_open(world.queue->intake), 0);
}

/* --- damage --- */

/* One bit of the stored body, in a chunk that is right in itself. */
static void damage(const struct mail *mail, size_t where)
{
	struct store *store = world.queue->store;
	char *body = arena_dup(arena, mail->body, mail->length);

	body[where] ^= 1;
	store_body_delete(store, mail->answer.id, mail->length);
	store_body_put(store, mail->answer.id, (struct store_bytes){ body,
	    mail->length });
}

static void check_quarantine(uint64_t id)
{
	struct record_slice *slice = rows_find_slice(world.queue->store, id,
	    0, arena);

	assert_non_null(slice);
	assert_int_equal(slice->flags & (SLICE_HELD | SLICE_DAMAGED),
	    SLICE_HELD | SLICE_DAMAGED);
	assert_int_equal(world_count_schedule(&world), 0);
}

/* Wherever the damage is, also where no piece looks: the last byte of the view
 * stays in the house. */
static void test_damaged(void **state)
{
	static const size_t places[] = { 0, 40, 50, 70, LARGE / 2, LARGE - 1,
	    LARGE + 10, LARGE * 2 - 1 };
	struct reading reading;

	(void)state;
	for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
		struct mail mail = make_replaced(LARGE, LARGE);

		assert_int_equal(send_mail(&mail), 250);
		assert_true(world_wait_jobs(&world, 1));
		damage(&mail, places[i]);
		read_job(world.jobs[0], &reading);
		assert_true(reading.failed);
		assert_true(buf_length(&reading.data) <
		    world.jobs[0]->body_length);
		buf_release(&reading.data);
		check_quarantine(mail.answer.id);
		assert_int_equal(world_command(&world, "delete",
		    "{\"all\": true}", true, NULL), 0);
		world_drop_worker(&world, DESTINATION_DELIVERY);
		world_new_worker(&world, DESTINATION_DELIVERY);
	}
}

/* Jumping about does not help, nor does asking again. */
static void test_damaged_jump(void **state)
{
	struct mail mail = make_replaced(LARGE, LARGE);
	struct reading reading = { .failed = false };

	(void)state;
	assert_int_equal(send_mail(&mail), 250);
	assert_true(world_wait_jobs(&world, 1));
	damage(&mail, 100);
	reading.job = world.jobs[0];
	buf_init(&reading.data, TEXT_MOST);
	for (int i = 0; i < 3; i++) {
		reading.ended = false;
		worker_read(reading.job, reading.job->body_length - 1,
		    on_body, &reading);
		assert_true(world_wait(has_ended, &reading, 20000));
		assert_true(reading.failed);
	}
	assert_int_equal(buf_length(&reading.data), 0);
	buf_release(&reading.data);
	check_quarantine(mail.answer.id);
}

static bool is_held(void *arg)
{
	(void)arg;
	return world_count_schedule(&world) == 0;
}

/* A small view comes with the job: then there is no job. */
static void test_damaged_inline(void **state)
{
	struct mail mail = make_replaced(LARGE, 160);
	struct status status;

	(void)state;
	assert_int_equal(send_mail(&mail), 250);
	assert_true(world_wait_jobs(&world, 1));
	damage(&mail, LARGE / 2);
	status_from_reply(&status, 450, "4.2.0 later");
	world_finish(&world, 0, &status);
	world_turn(20);
	world_command(&world, "retry", "{\"all\": true}", true, NULL);
	assert_true(world_wait(is_held, NULL, 20000));
	assert_int_equal(world.job_count, 0);
	check_quarantine(mail.answer.id);
}

/* --- notifications --- */

static void has(const char *message, const char *part)
{
	if (strstr(message, part) == NULL)
		fail_msg("no \"%s\" in:\n%s", part, message);
}

static void lacks(const char *message, const char *part)
{
	if (strstr(message, part) != NULL)
		fail_msg("\"%s\" in:\n%s", part, message);
}

static const char *refuse(void)
{
	struct status status;

	world_refused(&status);
	assert_true(world_wait_jobs(&world, 1));
	world_finish(&world, 0, &status);
	assert_true(world_wait_jobs(&world, 1));
	assert_true(world.jobs[0]->flags & ENVELOPE_BOUNCE);
	return world.jobs[0]->body;
}

/* What is returned is what was sent, to who is said to have sent it. */
static void test_returned(void **state)
{
	static const char body[] = "Subject: secret\r\nX: y\r\n\r\nold\r\n"
	    "new\r\n";
	const struct envelope_piece pieces[] = { text_of("Added: 1\r\n"),
	    stored(17, 8), stored(30, 5) };
	struct status status;
	const char *text;

	(void)state;
	for (int whole = 0; whole < 2; whole++) {
		struct mail mail = { .body = body, .length = strlen(body),
		    .revised = make_revised(pieces, 3) };

		if (whole)
			mail.revised->flags = ENVELOPE_RET_FULL;
		assert_int_equal(send_mail(&mail), 250);
		text = refuse();
		assert_string_equal(world.jobs[0]->recipients[0].address,
		    "other@sender.test");
		has(text, "Received: revised\r\nAdded: 1\r\nX: y\r\n\r\n");
		lacks(text, "Subject: secret");
		lacks(text, "old");
		(whole ? has : lacks)(text, "X: y\r\n\r\nnew\r\n");
		world_delivered(&status);
		world_finish(&world, 0, &status);
		assert_true(world_wait_empty(&world));
	}
}

/* --- hold --- */

static json_t *first_recipient(json_t *lines)
{
	return json_array_get(json_object_get(json_array_get(lines, 0),
	    "recipients"), 0);
}

static void check_listed(const char *verb, const char *reason,
    const char *holder, const char *state)
{
	json_t *lines, *one;

	assert_int_equal(world_command(&world, verb, "{\"all\": true}", true,
	    &lines), 0);
	one = first_recipient(lines);
	assert_string_equal(json_string_value(json_object_get(one, "held")),
	    reason);
	assert_string_equal(json_string_value(json_object_get(one, "state")),
	    state);
	if (holder == NULL)
		assert_true(json_is_null(json_object_get(one, "held-by")));
	else
		assert_string_equal(json_string_value(json_object_get(one,
		    "held-by")), holder);
	json_decref(lines);
}

/* Taken in, and not tried before somebody lets it go: not by a restart, not by
 * retry. */
static void test_hold(void **state)
{
	struct mail mail = { .body = "x\r\n", .length = 3,
	    .revised = make_revised(NULL, 0) };

	(void)state;
	mail.revised->hold = arena_dup_string(arena, "virus found");
	envelope_add_recipient(mail.revised, arena, "b@two.test", NULL, 0);
	assert_int_equal(send_mail(&mail), 250);
	assert_int_equal(world_count_messages(&world), 1);
	assert_int_equal(world_count_slices(&world), 2);
	assert_int_equal(world_count_schedule(&world), 0);
	check_listed("list", "virus found", "filter", "held");
	check_listed("show", "virus found", "filter", "held");
	world_stop_queue(&world);
	world_start_queue(&world);
	world_connect(&world);
	world_command(&world, "retry", "{\"all\": true}", true, NULL);
	world_turn(50);
	assert_int_equal(world.taken, 0);
	assert_int_equal(world_count_schedule(&world), 0);
	check_listed("list", "virus found", "filter", "held");
	assert_int_equal(world_command(&world, "release", "{\"all\": true}",
	    true, NULL), 0);
	assert_true(world_wait_jobs(&world, 2));
	assert_int_equal(world_count_schedule(&world), 2);
	check_listed("show", "", NULL, "active");
	assert_int_equal(world_command(&world, "hold",
	    "{\"all\": true, \"note\": \"no\"}", true, NULL), 0);
	check_listed("show", "no", "operator", "held");
}

/* --- cat --- */

static char *cat(uint64_t id, const char *more)
{
	char *arguments = mem_print("{\"id\": \"%llx\"%s}",
	    (unsigned long long)id, more);
	json_t *lines, *line;
	struct buf out;
	uint8_t bytes[32 << 10];
	size_t i;
	char *text;

	buf_init(&out, TEXT_MOST);
	assert_int_equal(world_command(&world, "cat", arguments, true, &lines),
	    0);
	json_array_foreach(lines, i, line) {
		const char *hex = json_string_value(json_object_get(line,
		    "hex"));

		if (hex != NULL)
			buf_add(&out, bytes, (size_t)hex_parse(bytes,
			    sizeof(bytes), hex));
	}
	json_decref(lines);
	mem_free(arguments);
	text = arena_dup_text(arena, buf_data(&out), buf_length(&out));
	buf_release(&out);
	return text;
}

static void test_cat(void **state)
{
	struct mail mail = make_replaced(LARGE, LARGE);
	char *view = view_of(&mail), *original;

	(void)state;
	assert_int_equal(send_mail(&mail), 250);
	original = arena_dup_text(arena, mail.body, LARGE);
	view = arena_print(arena, "Received: revised\r\n%s", view);
	assert_string_equal(cat(mail.answer.id, ""), view);
	assert_string_equal(cat(mail.answer.id, ", \"original\": false"),
	    view);
	assert_string_equal(cat(mail.answer.id, ", \"original\": true"),
	    original);
	mail = (struct mail){ .body = "x\r\n", .length = 3 };
	assert_int_equal(send_mail(&mail), 250);
	assert_string_equal(cat(mail.answer.id, ", \"original\": true"),
	    "x\r\n");
	/* Elsewhere it is a mistake, not a selection. */
	assert_int_equal(world_command(&world, "delete",
	    "{\"all\": true, \"original\": true}", true, NULL),
	    CONTROL_USAGE);
}

/* --- revisions that cannot be --- */

/* Our own client does not send them: the others of this smtpd go on. */
static void test_client_refuses(void **state)
{
	struct envelope_piece outside = stored(0, 17);
	struct mail bad = { .body = make_body(16), .length = 16,
	    .revised = make_revised(&outside, 1) };
	struct mail good = { .body = "x\r\n", .length = 3 };

	(void)state;
	assert_int_equal(send_mail(&bad), 451);
	assert_int_equal(send_mail(&good), 250);
	assert_int_equal(intake_open(world.queue->intake), 0);
	assert_int_equal(world_count_messages(&world), 1);
}

struct rogue {
	struct channel	*channel;
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
	rogue->answered = rogue->answered || message->type == QUEUE_ACCEPTED;
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

static void put_envelope(struct buf *buf, const struct envelope *envelope)
{
	struct wire_writer writer;

	buf_init(buf, 1 << 20);
	wire_write_begin(&writer, buf);
	envelope_put(&writer, envelope);
	assert_int_equal(wire_write_end(&writer), 0);
}

/* A message of 16 bytes whose end has this envelope and these extra bytes;
 * whether it was taken. */
static bool is_taken(struct envelope *first, const struct envelope *revised,
    const char *extra)
{
	struct rogue rogue = { .closed = false };
	struct queue_end end = { .length = 16, .extra = extra,
	    .extra_length = strlen(extra) };
	struct buf begin, again;
	int fds[2];
	bool taken;

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0,
	    fds), 0);
	queue_connect(world.queue, ROLE_SMTPD, 7, fds[0]);
	rogue.channel = channel_new(fds[1], "queue", &handler, &rogue,
	    1 << 20);
	assert_true(world_wait(has_identifiers, &rogue, 20000));
	put_envelope(&begin, first);
	put_envelope(&again, revised);
	queue_put_begin(channel_begin(rogue.channel, QUEUE_BEGIN, 1),
	    &(struct queue_begin){ rogue.identifiers.first, buf_data(&begin),
	    buf_length(&begin) });
	channel_end(rogue.channel);
	queue_put_data(channel_begin(rogue.channel, QUEUE_DATA, 1),
	    "0123456789abcd\r\n", 16);
	channel_end(rogue.channel);
	digest_of("0123456789abcd\r\n", 16, end.digest);
	end.envelope = buf_data(&again);
	end.envelope_length = buf_length(&again);
	queue_put_end(channel_begin(rogue.channel, QUEUE_END, 1), &end);
	channel_end(rogue.channel);
	assert_true(world_wait(is_over, &rogue, 20000));
	taken = rogue.answered;
	if (rogue.channel != NULL)
		channel_free(rogue.channel);
	buf_release(&begin);
	buf_release(&again);
	world_turn(2);
	return taken;
}

/* REQ-15: what the sender was promised stays, whatever a filter wants;
 * nobody makes mail a notification of ours, which would not be returned. */
static void test_promises(void **state)
{
	static const struct {
		uint32_t	 before, after;
		bool		 taken;
	} cases[] = {
		{ 0, 0, true },
		{ ENVELOPE_8BIT, 0, true },
		{ 0, ENVELOPE_RET_FULL, true },
		{ ENVELOPE_UTF8, ENVELOPE_UTF8 | ENVELOPE_8BIT, true },
		{ ENVELOPE_UTF8, 0, false },
		{ ENVELOPE_REQUIRETLS, ENVELOPE_REQUIRETLS, true },
		{ ENVELOPE_REQUIRETLS, 0, false },
		{ ENVELOPE_REQUIRETLS, ENVELOPE_TLS_OPTIONAL, false },
		{ 0, ENVELOPE_REQUIRETLS | ENVELOPE_TLS_OPTIONAL, false },
		{ 0, ENVELOPE_BOUNCE, false },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct envelope *first = make_envelope("b@one.test");
		struct envelope *revised = make_revised(NULL, 0);

		first->flags = cases[i].before;
		revised->flags = cases[i].after;
		if (is_taken(first, revised, "") != cases[i].taken)
			fail_msg("case %zu", i);
	}
}

static void test_hostile(void **state)
{
	static const char *const texts[] = { "a: b\n", "\r", "a\rb\r\n",
	    "\n", "x\r\n\n" };
	const struct envelope_piece pieces[] = { stored(0, 17), stored(17, 0),
	    stored(UINT64_MAX, 2), stored(2, UINT64_MAX), { 0, 3, "a\0b" } };
	struct envelope *first = make_envelope("b@one.test"), *revised;
	struct envelope_piece good[] = { stored(16, 0), stored(0, 16) };

	(void)state;
	assert_true(is_taken(first, make_revised(good, 2), ""));
	/* More prefix goes with the first envelope only. */
	assert_false(is_taken(first, make_revised(good, 2), "A: b\r\n"));
	for (size_t i = 0; i < sizeof(pieces) / sizeof(pieces[0]); i++)
		assert_false(is_taken(first, make_revised(&pieces[i], 1),
		    ""));
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		struct envelope_piece piece = text_of(texts[i]);

		assert_false(is_taken(first, make_revised(&piece, 1), ""));
	}
	revised = make_revised(good, 2);
	revised->original_length = 17;
	assert_false(is_taken(first, revised, ""));
	revised = make_revised(good, 2);
	revised->recipients[0].flags = RECIPIENT_EXPANDED;
	assert_false(is_taken(first, revised, ""));
	revised = make_revised(good, 2);
	revised->recipient_count = 0;
	assert_false(is_taken(first, revised, ""));
	revised = make_revised(good, 2);
	revised->hold = arena_dup_string(arena, "a\r\nb");
	assert_false(is_taken(first, revised, ""));
	/* The first envelope has nothing to be a view of. */
	assert_false(is_taken(make_revised(good, 2), first, ""));
	assert_int_equal(world_count_messages(&world), 1);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_view),
		TEST(test_edited),
		TEST(test_revised_only),
		TEST(test_adopted),
		TEST(test_replaced),
		TEST(test_sizes),
		TEST(test_damaged),
		TEST(test_damaged_jump),
		TEST(test_damaged_inline),
		TEST(test_returned),
		TEST(test_hold),
		TEST(test_cat),
		TEST(test_client_refuses),
		TEST(test_promises),
		TEST(test_hostile),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
