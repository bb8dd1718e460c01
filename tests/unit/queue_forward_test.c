/* SPDX-License-Identifier: ISC */
/*
 * Recipients that an alias sends out of our domains: a slice of their own, the
 * rewritten sender in their jobs, reports to the true sender (SMTP-133,
 * SMTP-182); aliases of several (RFC 3461 5.2.7); rows of earlier versions.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <jansson.h>
#include <string.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/status.h"
#include "base/wire.h"
#include "queue/client.h"
#include "queue/envelope.h"
#include "queue/message.h"
#include "queue/queue.h"
#include "queue/record.h"
#include "queue/rows.h"
#include "queue/store.h"
#include "tests/queue_world.h"

#define REWRITTEN "SRS0=abcd=AA=sender.test=a@fwd.test"

static struct world world;
static struct arena *arena;

static int setup(void **state)
{
	(void)state;
	world_open(&world, "");
	arena = arena_new(1 << 20);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	arena_free(arena);
	world_close(&world);
	return 0;
}

static void on_answer(void *arg, const struct status *status, uint64_t id)
{
	struct world_answer *answer = arg;

	answer->came = true;
	answer->status = *status;
	answer->id = id;
}

static struct envelope *make(void)
{
	struct envelope *envelope = envelope_new(arena);

	envelope->sender = arena_dup_string(arena, "a@sender.test");
	envelope->forward_sender = arena_dup_string(arena, REWRITTEN);
	envelope->prefix = arena_dup_string(arena, "Received: by test\r\n");
	envelope->prefix_length = strlen(envelope->prefix);
	return envelope;
}

static void add(struct envelope *envelope, const char *address, unsigned flags,
    unsigned notify)
{
	envelope_add_recipient(envelope, arena, address,
	    "rfc822;team+2Bx@one.test", notify);
	envelope->recipients[envelope->recipient_count - 1].flags =
	    (uint8_t)flags;
}

static uint64_t send_it(const struct envelope *envelope, const char *body)
{
	struct world_answer answer = { .came = false };
	struct submission *submission = submission_begin(world.client,
	    queue_client_next_id(world.client), envelope, NULL, NULL);

	submission_data(submission, body, strlen(body));
	submission_end(submission, 0, on_answer, &answer);
	assert_true(world_wait_answer(&answer));
	return answer.status.outcome == STATUS_RELAYED ? answer.id : 0;
}

/* The job of those at that domain with that sender. */
static struct job *find_job(const char *domain, const char *sender)
{
	for (size_t i = 0; i < world.job_count; i++)
		if (strcmp(world.jobs[i]->domain, domain) == 0 &&
		    strcmp(world.jobs[i]->sender, sender) == 0)
			return world.jobs[i];
	fail_msg("no job for %s from %s", domain, sender);
	return NULL;
}

static void test_slices(void **state)
{
	struct envelope *envelope = make();

	(void)state;
	add(envelope, "one@far.test", 0, 0);
	add(envelope, "two@far.test", RECIPIENT_FORWARDED, 0);
	add(envelope, "three@far.test", 0, 0);
	add(envelope, "four@far.test", RECIPIENT_FORWARDED, 0);
	add(envelope, "five@other.test", RECIPIENT_FORWARDED, 0);
	assert_true(send_it(envelope, "Subject: x\r\n\r\nx\r\n") != 0);
	assert_true(world_wait_jobs(&world, 3));
	assert_int_equal(find_job("far.test",
	    "a@sender.test")->recipient_count, 2);
	assert_string_equal(find_job("far.test",
	    "a@sender.test")->recipients[1].address, "three@far.test");
	assert_int_equal(find_job("far.test", REWRITTEN)->recipient_count, 2);
	assert_string_equal(find_job("far.test",
	    REWRITTEN)->recipients[0].address, "two@far.test");
	assert_int_equal(find_job("other.test",
	    REWRITTEN)->recipient_count, 1);
}

/* Without SRS the sender is said as it is. */
static void test_no_rewriting(void **state)
{
	struct envelope *envelope = make();

	(void)state;
	envelope->forward_sender = NULL;
	add(envelope, "two@far.test", RECIPIENT_FORWARDED, 0);
	assert_true(send_it(envelope, "x\r\n") != 0);
	assert_true(world_wait_jobs(&world, 1));
	assert_string_equal(world.jobs[0]->sender, "a@sender.test");
}

/* Refused there: the report goes to who wrote it, and names the alias. */
static void test_report(void **state)
{
	struct envelope *envelope = make();
	struct status refused;
	struct job *report;

	(void)state;
	add(envelope, "two@far.test", RECIPIENT_FORWARDED, 0);
	assert_true(send_it(envelope, "Subject: x\r\n\r\nx\r\n") != 0);
	assert_true(world_wait_jobs(&world, 1));
	world_refused(&refused);
	world_finish(&world, 0, &refused);
	assert_true(world_wait_jobs(&world, 1));
	report = find_job("sender.test", "");
	assert_string_equal(report->recipients[0].address, "a@sender.test");
	assert_non_null(strstr(report->body,
	    "Original-Recipient: rfc822; team+x@one.test\r\n"));
	assert_non_null(strstr(report->body,
	    "Final-Recipient: rfc822; two@far.test\r\n"));
}

static unsigned count_parts(const char *text, const char *part)
{
	unsigned count = 0;

	while ((text = strstr(text, part)) != NULL) {
		text += strlen(part);
		count++;
	}
	return count;
}

/* The alias itself gets no mail; who asked to hear of success hears "expanded"
 * with the message itself at hand, large or small, and nothing more. */
static void test_expanded(void **state)
{
	static char body[200000];

	(void)state;
	memset(body, 'x', sizeof(body) - 1);
	memcpy(body, "Subject: yes\r\n\r\n", 16);
	memcpy(body + sizeof(body) - 3, "\r\n", 2);
	for (size_t i = 76; i + 80 < sizeof(body); i += 76)
		memcpy(body + i, "\r\n", 2);
	for (int large = 0; large < 2; large++) {
		struct envelope *envelope = make();
		struct job *report;
		size_t first = world.job_count;

		add(envelope, "team@one.test", RECIPIENT_EXPANDED,
		    NOTIFY_SUCCESS);
		add(envelope, "two@far.test", RECIPIENT_FORWARDED,
		    NOTIFY_NEVER);
		add(envelope, "x@one.test", 0, NOTIFY_NEVER);
		assert_true(send_it(envelope, large ? body :
		    "Subject: yes\r\n\r\nx\r\n") != 0);
		assert_true(world_wait_jobs(&world, first + 3));
		report = find_job("sender.test", "");
		assert_string_equal(report->recipients[0].address,
		    "a@sender.test");
		assert_non_null(strstr(report->body, "Action: expanded\r\n"));
		assert_non_null(strstr(report->body,
		    "Final-Recipient: rfc822; team@one.test\r\n"));
		assert_non_null(strstr(report->body, "Subject: yes\r\n"));
		assert_int_equal(count_parts(report->body, "Action: "), 1);
		while (world.job_count > 0) {
			struct status delivered;

			world_delivered(&delivered);
			world_finish(&world, 0, &delivered);
		}
		world_turn(50);
		assert_int_equal(world.job_count, 0);
		assert_true(world_wait_empty(&world));
	}
}

/* Nobody who gets the mail: what no smtpd of ours says. */
static void test_nobody(void **state)
{
	struct envelope *envelope = make();
	struct world_answer answer = { .came = false };
	struct submission *submission;

	(void)state;
	add(envelope, "team@one.test", RECIPIENT_EXPANDED, NOTIFY_SUCCESS);
	submission = submission_begin(world.client,
	    queue_client_next_id(world.client), envelope, NULL, NULL);
	submission_end(submission, 0, on_answer, &answer);
	assert_true(world_wait_answer(&answer));
	assert_int_not_equal(answer.status.outcome, STATUS_RELAYED);
	assert_int_equal(world_count_messages(&world), 0);
}

/* `postern queue show` says both senders and what was written to. */
static void test_show(void **state)
{
	struct envelope *envelope = make();
	json_t *lines, *one;

	(void)state;
	world_drop_worker(&world, DESTINATION_DELIVERY);
	add(envelope, "two@far.test", RECIPIENT_FORWARDED, 0);
	assert_true(send_it(envelope, "x\r\n") != 0);
	assert_int_equal(world_command(&world, "show", "{}", true, &lines), 0);
	one = json_array_get(json_object_get(json_array_get(lines, 0),
	    "recipients"), 0);
	assert_non_null(one);
	assert_string_equal(json_string_value(json_object_get(json_array_get(
	    lines, 0), "sender")), "a@sender.test");
	assert_string_equal(json_string_value(json_object_get(one, "sender")),
	    REWRITTEN);
	assert_string_equal(json_string_value(json_object_get(one,
	    "original")), "team+x@one.test");
	assert_true(json_is_true(json_object_get(one, "forwarded")));
	json_decref(lines);
}

/* --- rows of earlier versions --- */

/* The message's row as version 1 had it, the slice's as version 2. */
static void write_old_rows(uint64_t id)
{
	struct store *store = world.queue->store;
	struct arena *here = arena_new(RECORD_ARENA_MAX);
	struct record_message *message = rows_find_message(store, id, here);
	struct record_slice *slice = rows_find_slice(store, id, 0, here);
	struct wire_writer writer;
	struct record_key key;
	struct buf row;

	buf_init(&row, RECORD_SLICE_MAX);
	wire_write_begin(&writer, &row);
	wire_put_u8(&writer, 1);
	wire_put_u64(&writer, (uint64_t)message->arrival);
	wire_put_u64(&writer, message->body_length);
	wire_put_u32(&writer, 1);
	wire_put_u32(&writer, 1);
	wire_put_bytes(&writer, message->digest, DIGEST_BYTES);
	envelope_put_head(&writer, message->envelope);
	record_key_message(&key, id);
	store_put(store, STORE_MESSAGES, (struct store_bytes){ key.bytes,
	    key.length }, (struct store_bytes){ buf_data(&row),
	    buf_length(&row) });
	buf_reset(&row);
	wire_put_u8(&writer, 2);
	wire_put_text(&writer, slice->domain);
	wire_put_u32(&writer, 0);
	wire_put_text(&writer, "");
	wire_put_u64(&writer, (uint64_t)slice->arrival);
	wire_put_u64(&writer, (uint64_t)slice->due);
	wire_put_u64(&writer, 0);
	wire_put_u64(&writer, 0);
	wire_put_u32(&writer, 0);
	wire_put_u64(&writer, 0);
	wire_put_u8(&writer, 0);
	wire_put_text(&writer, "");
	wire_put_text(&writer, "");
	wire_put_u64(&writer, 0);
	wire_put_u32(&writer, 1);
	wire_put_u32(&writer, 0);
	envelope_put_recipient(&writer, &slice->recipients[0].who);
	wire_put_u8(&writer, 0);
	record_key_slice(&key, id, 0);
	store_put(store, STORE_SLICES, (struct store_bytes){ key.bytes,
	    key.length }, (struct store_bytes){ buf_data(&row),
	    buf_length(&row) });
	buf_release(&row);
	arena_free(here);
}

/* Mail that an earlier version took in goes out, with a restart between. */
static void test_old_rows(void **state)
{
	struct status delivered;
	uint64_t id;

	(void)state;
	world_drop_worker(&world, DESTINATION_DELIVERY);
	id = world_send(&world, "a@sender.test", "b@far.test", "x\r\n");
	assert_true(id != 0);
	write_old_rows(id);
	world_turn(5);
	world_stop_queue(&world);
	world_start_queue(&world);
	world_new_worker(&world, DESTINATION_DELIVERY);
	assert_true(world_wait_jobs(&world, 1));
	assert_string_equal(world.jobs[0]->sender, "a@sender.test");
	assert_string_equal(world.jobs[0]->recipients[0].address,
	    "b@far.test");
	world_delivered(&delivered);
	world_finish(&world, 0, &delivered);
	assert_true(world_wait_empty(&world));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_slices), TEST(test_no_rewriting), TEST(test_report),
		TEST(test_expanded), TEST(test_nobody), TEST(test_show),
		TEST(test_old_rows),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
