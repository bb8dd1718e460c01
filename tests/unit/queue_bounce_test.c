/* SPDX-License-Identifier: ISC */
/*
 * Delivery status notifications: dsn.c field by field, and bounce.c's choice
 * of who hears of what (SMTP-120 to SMTP-132, SMTP-180).
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
#include "base/clock.h"
#include "base/digest.h"
#include "base/mem.h"
#include "base/status.h"
#include "queue/bounce.h"
#include "queue/commit.h"
#include "queue/dsn.h"
#include "queue/envelope.h"
#include "queue/queue.h"
#include "queue/record.h"
#include "queue/results.h"
#include "queue/rows.h"
#include "queue/slice.h"
#include "tests/queue_world.h"

static struct world world;
static struct buf text;

static int setup_text(void **state)
{
	(void)state;
	buf_init(&text, DSN_MAX);
	return 0;
}

static int teardown_text(void **state)
{
	(void)state;
	buf_release(&text);
	return 0;
}

static int setup_world(void **state)
{
	(void)state;
	world_open(&world, "");
	return 0;
}

static int teardown_world(void **state)
{
	(void)state;
	world_close(&world);
	return 0;
}

/* --- the text --- */

static struct envelope_recipient joe = { .address = (char[]){ "joe@one.test" },
    .domain = (char[]){ "one.test" },
    .original = (char[]){ "rfc822;Joe+2Bx+40one.test" } };
static struct envelope_recipient eve = { .address = (char[]){ "eve@one.test" },
    .domain = (char[]){ "one.test" } };

static const char *write_sample(const struct status *first,
    const struct status *second)
{
	struct dsn_recipient recipients[] = {
	    { &joe, first, 1700000000000 }, { &eve, second, 0 } };
	struct dsn dsn = { .hostname = "mx.test", .to = "a@sender.test",
	    .id = 0xabc, .now = 1700000100000, .original_id = 0x123f,
	    .arrival = 1699999000000, .envid = "QQ+2B1",
	    .recipients = recipients, .recipient_count = 2,
	    .original = "Received: x\r\nSubject: hello\r\n\r\n",
	    .original_length = 31 };

	assert_int_equal(dsn_write(&text, &dsn), 0);
	return buf_string(&text);
}

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

static void samples(struct status *refused, struct status *insecure)
{
	status_from_reply(refused, 550, "5.1.1 no such user");
	status_set_host(refused, "mx1.one.test", "192.0.2.7");
	status_set(insecure, STATUS_FAILED, REASON_NO_STARTTLS, "5.7.10",
	    "mx2.one.test does not offer STARTTLS");
	memcpy(insecure->tls, "none", 5);
}

/* SMTP-128, SMTP-130, SMTP-131 */
static void test_fields(void **state)
{
	struct status refused, insecure;
	const char *message, *part;

	(void)state;
	samples(&refused, &insecure);
	message = write_sample(&refused, &insecure);
	has(message, "From: Mail Delivery System <MAILER-DAEMON@mx.test>\r\n");
	has(message, "To: <a@sender.test>\r\n");
	has(message, "Message-ID: <abc.dsn@mx.test>\r\n");
	has(message, "Auto-Submitted: auto-replied\r\n");
	has(message, "multipart/report; report-type=delivery-status;");
	part = strstr(message, "Content-Type: message/delivery-status\r\n\r\n");
	assert_non_null(part);
	has(part, "Reporting-MTA: dns; mx.test\r\n");
	has(part, "Original-Envelope-Id: QQ+1\r\n");
	has(part, "X-Postern-Queue-Id: 123f\r\n");
	has(part, "\r\n\r\nOriginal-Recipient: rfc822; Joe+x@one.test\r\n"
	    "Final-Recipient: rfc822; joe@one.test\r\n"
	    "Action: failed\r\nStatus: 5.1.1\r\n"
	    "Remote-MTA: dns; mx1.one.test\r\n"
	    "Diagnostic-Code: smtp; 550 5.1.1 no such user\r\n"
	    "Last-Attempt-Date: ");
	has(part, "\r\n\r\nFinal-Recipient: rfc822; eve@one.test\r\n"
	    "Action: failed\r\nStatus: 5.7.10\r\n"
	    "Diagnostic-Code: x-postern; no-starttls (");
	has(part, "Content-Type: text/rfc822-headers\r\n\r\n"
	    "Received: x\r\nSubject: hello\r\n\r\n");
	lacks(message, "Will-Retry-Until");	/* RFC 3464 2.3.9 */
	/* Where the remote's own log does not have it. */
	has(part, "Final-Log-ID: 123f\r\n");
	lacks(strstr(part, "Remote-MTA"), "no such user\r\nFinal-Log-ID");
}

/* SMTP-125, SMTP-132, RFC 3464 2.3.9: a delay, and until when. */
static void test_delay_fields(void **state)
{
	struct status busy, untried;
	struct dsn_recipient recipients[] = {
	    { &joe, &busy, 1700000000000 }, { &eve, &untried, 0 } };
	struct dsn dsn = { .hostname = "mx.test", .to = "a@sender.test",
	    .id = 0xabc, .now = 1700000100000, .original_id = 0x123f,
	    .arrival = 1699999000000, .recipients = recipients,
	    .recipient_count = 2, .retry_until = 1700431000000,
	    .original = "Subject: hello\r\n\r\n", .original_length = 18 };
	char until[64];
	const char *part;

	(void)state;
	status_from_reply(&busy, 450, "4.2.1 busy");
	status_set_host(&busy, "mx1.one.test", "192.0.2.7");
	status_set(&untried, STATUS_DEFERRED, REASON_NONE, "4.0.0", "not yet");
	assert_int_equal(dsn_write(&text, &dsn), 0);
	clock_format_mail(1700431000000, until, sizeof(until));
	has(buf_string(&text), "Subject: Delayed mail: ");
	has(buf_string(&text), "THIS IS A WARNING ONLY.");
	has(buf_string(&text), until);
	lacks(buf_string(&text), "will not be tried again");
	part = strstr(buf_string(&text), "message/delivery-status\r\n\r\n");
	assert_non_null(part);
	has(part, "Action: delayed\r\nStatus: 4.2.1\r\n"
	    "Remote-MTA: dns; mx1.one.test\r\n"
	    "Diagnostic-Code: smtp; 450 4.2.1 busy\r\n"
	    "Last-Attempt-Date: ");
	has(part, "Action: delayed\r\nStatus: 4.0.0\r\n"
	    "Diagnostic-Code: x-postern; none (not yet)\r\n"
	    "Final-Log-ID: 123f\r\nWill-Retry-Until: ");
}

/* There is a sentence for each reason, of failures and of delays. */
static void test_sentences(void **state)
{
	struct status status;
	struct dsn_recipient one = { .who = &eve, .status = &status };
	struct dsn dsn = { .hostname = "mx.test", .to = "a@sender.test",
	    .recipients = &one, .recipient_count = 1, .retry_until = 1 };

	(void)state;
	for (int reason = 0; reason < 2 * STATUS_REASONS; reason++) {
		bool fails = reason < STATUS_REASONS;

		status_set(&status, fails ? STATUS_FAILED : STATUS_DEFERRED,
		    (enum status_reason)(reason % STATUS_REASONS),
		    fails ? "5.0.0" : "4.0.0", "words");
		buf_reset(&text);
		assert_int_equal(dsn_write(&text, &dsn), 0);
		lacks(buf_string(&text), "(null)");
	}
}

/* The first part tells a person what happened, TLS included. */
static void test_words(void **state)
{
	struct status refused, insecure;
	const char *message;

	(void)state;
	samples(&refused, &insecure);
	message = write_sample(&refused, &insecure);
	has(message, "<joe@one.test>\r\n    The receiving mail server refused "
	    "it.\r\n    Details: 550 5.1.1 no such user\r\n"
	    "    Receiving server: mx1.one.test[192.0.2.7]\r\n");
	has(message, "A secure connection is required, but the receiving mail "
	    "server does not offer one.\r\n");
	has(message, "Security of the connection: none\r\n");
}

/* Parts end where the boundary says, and nothing from outside can end one. */
static void test_parts(void **state)
{
	struct status refused, insecure;
	const char *message, *from;
	char boundary[128];
	int count = 0;

	(void)state;
	samples(&refused, &insecure);
	message = write_sample(&refused, &insecure);
	from = strstr(message, "boundary=\"");
	assert_non_null(from);
	snprintf(boundary, sizeof(boundary), "\r\n--%.*s",
	    (int)strcspn(from + 10, "\""), from + 10);
	for (from = message; (from = strstr(from, boundary)) != NULL; from++)
		count++;
	assert_int_equal(count, 4);
	for (const char *byte = message; *byte != '\0'; byte++) {
		assert_true((unsigned char)*byte < 0x80);
		if (*byte == '\n')
			assert_true(byte > message && byte[-1] == '\r');
	}
}

static void test_no_envid(void **state)
{
	struct status refused, insecure;
	struct dsn_recipient one;
	struct dsn dsn = { .hostname = "mx.test", .to = "a@sender.test",
	    .recipients = &one, .recipient_count = 1 };

	(void)state;
	samples(&refused, &insecure);
	one = (struct dsn_recipient){ &eve, &refused, 0 };
	assert_int_equal(dsn_write(&text, &dsn), 0);
	lacks(buf_string(&text), "Original-Envelope-Id");
	lacks(buf_string(&text), "Original-Recipient");
	has(buf_string(&text), "The stored message is damaged");
}

static void test_xtext(void **state)
{
	char out[16];

	(void)state;
	dsn_read_xtext("a+2Bb+0D+0Ac", out, sizeof(out));
	assert_string_equal(out, "a+b??c");
	dsn_read_xtext("a+2", out, sizeof(out));
	assert_string_equal(out, "a+2");
	dsn_read_xtext("aaaaaaaaaaaaaaaaaaaaaaaa", out, sizeof(out));
	assert_int_equal(strlen(out), 15);
}

/* --- who hears of it --- */

static void refuse_first(void)
{
	struct status status;

	world_refused(&status);
	assert_true(world_wait_jobs(&world, 1));
	world_finish(&world, 0, &status);
}

/* SMTP-124, SMTP-129, SMTP-180 */
static void test_failure(void **state)
{
	struct job *job;

	(void)state;
	world_send(&world, "a@sender.test", "joe@one.test",
	    "Subject: secret plans\r\n\r\nthe body\r\n");
	refuse_first();
	assert_true(world_wait_jobs(&world, 1));
	job = world.jobs[0];
	assert_string_equal(job->sender, "");
	assert_null(job->envid);
	assert_true(job->flags & ENVELOPE_BOUNCE);
	assert_false(job->flags & (ENVELOPE_RET_FULL | ENVELOPE_RET_HEADERS));
	assert_int_equal(job->recipient_count, 1);
	assert_string_equal(job->recipients[0].address, "a@sender.test");
	assert_int_equal(job->recipients[0].notify, NOTIFY_NEVER);
	has(job->body, "Subject: secret plans\r\n");
	has(job->body, "Received: by test\r\n");
	lacks(job->body, "the body");		/* headers only */
	assert_int_equal(world_count_messages(&world), 1);
}

/* SMTP-127: the null sender gets nothing; the postmaster does, once. */
static void test_double(void **state)
{
	(void)state;
	world_send(&world, "", "joe@one.test", "Subject: x\r\n\r\n");
	refuse_first();
	assert_true(world_wait_jobs(&world, 1));
	assert_string_equal(world.jobs[0]->sender, "");
	assert_string_equal(world.jobs[0]->recipients[0].address,
	    "postmaster@mx.test");
	has(world.jobs[0]->body, "returned to the postmaster");
	refuse_first();
	assert_true(world_wait_empty(&world));
	assert_int_equal(world.taken, 2);
}

static void on_done(void *arg, const struct status *status, uint64_t id)
{
	(void)status;
	(void)id;
	*(bool *)arg = true;
}

static bool is_set(void *arg)
{
	return *(bool *)arg;
}

static void send_from(const char *sender, uint32_t flags, unsigned notify,
    const char *body)
{
	struct arena *arena = arena_new(1 << 20);
	struct envelope *envelope = envelope_new(arena);
	struct submission *submission;
	bool done = false;

	envelope->sender = arena_dup_string(arena, sender);
	envelope->flags = flags;
	envelope_add_recipient(envelope, arena, "joe@one.test", NULL, notify);
	submission = submission_begin(world.client,
	    queue_client_next_id(world.client), envelope, NULL, NULL);
	submission_data(submission, body, strlen(body));
	submission_end(submission, 0, on_done, &done);
	arena_free(arena);
	assert_true(world_wait(is_set, &done, 20000));
}

static void send_with(uint32_t flags, unsigned notify, const char *body)
{
	send_from("a@sender.test", flags, notify, body);
}

/* SMTP-124: NOTIFY=NEVER, and NOTIFY without FAILURE. */
static void test_notify_never(void **state)
{
	(void)state;
	send_with(0, NOTIFY_NEVER, "x\r\n");
	refuse_first();
	assert_true(world_wait_empty(&world));
	send_with(0, NOTIFY_SUCCESS, "x\r\n");
	refuse_first();
	assert_true(world_wait_empty(&world));
	assert_int_equal(world.taken, 2);
}

/* SMTP-126: asked for success, and got it. */
static void test_notify_success(void **state)
{
	struct status status;

	(void)state;
	status_set(&status, STATUS_DELIVERED, REASON_NONE, "2.0.0", "done");
	send_with(0, NOTIFY_SUCCESS, "x\r\n");
	assert_true(world_wait_jobs(&world, 1));
	world_finish(&world, 0, &status);
	assert_true(world_wait_jobs(&world, 1));
	has(world.jobs[0]->body, "Action: delivered\r\nStatus: 2.0.0\r\n");
	lacks(world.jobs[0]->body, "could not be delivered");
}

/* SMTP-122, SMTP-123: relayed to a host that notifies itself, and to one that
 * does not. */
static void test_notify_relayed(void **state)
{
	struct status status;

	(void)state;
	status_from_reply(&status, 250, "2.0.0 ok");
	status.notifies = true;
	send_with(0, NOTIFY_SUCCESS, "x\r\n");
	assert_true(world_wait_jobs(&world, 1));
	world_finish(&world, 0, &status);
	assert_true(world_wait_empty(&world));
	status.notifies = false;
	send_with(0, NOTIFY_SUCCESS, "x\r\n");
	assert_true(world_wait_jobs(&world, 1));
	world_finish(&world, 0, &status);
	assert_true(world_wait_jobs(&world, 1));
	has(world.jobs[0]->body, "Action: relayed\r\nStatus: 2.0.0\r\n");
}

/* SMTP-132 */
static void test_return_full(void **state)
{
	(void)state;
	send_with(ENVELOPE_RET_FULL, 0,
	    "Subject: x\r\n\r\nbody with \xc3\xa4\r\n");
	refuse_first();
	assert_true(world_wait_jobs(&world, 1));
	has(world.jobs[0]->body, "Content-Type: message/rfc822\r\n"
	    "Content-Transfer-Encoding: 8bit\r\n\r\nSubject: x\r\n\r\n"
	    "body with \xc3\xa4\r\n");
	assert_true(world.jobs[0]->flags & ENVELOPE_HAS_8BIT);
}

/* --- delays --- */

static int setup_delay(void **state)
{
	(void)state;
	world_open(&world, "delay-warning = 1h\nretry-first = 1s\n");
	return 0;
}

/* The oldest message there is; its first slice as if it had come so long ago. */
static void make_older(struct slice *slice, uint64_t id, int hours)
{
	assert_int_equal(slice_load(slice, world.queue, id, 0), 0);
	slice->record->arrival -= hours * INT64_C(3600000);
	slice_save(slice);
}

static void keep_id(void *arg, uint64_t id, const struct record_message *row)
{
	(void)row;
	if (*(uint64_t *)arg == 0)
		*(uint64_t *)arg = id;
}

static uint64_t first_message(void)
{
	uint64_t id = 0;

	rows_each_message(world.queue->store, 0, 1, keep_id, &id);
	return id;
}

/* Sends, waits, and lets the attempt fail for now, so many hours later. */
static void defer_late(const char *sender, unsigned notify, int hours)
{
	struct status status;
	struct slice slice;

	status_from_reply(&status, 451, "4.3.0 not now");
	send_from(sender, ENVELOPE_RET_FULL, notify,
	    "Subject: x\r\n\r\nthe body\r\n");
	assert_true(world_wait_jobs(&world, 1));
	make_older(&slice, first_message(), hours);
	world_finish(&world, 0, &status);
}

static struct job *notification(void)
{
	for (size_t i = 0; i < world.job_count; i++)
		if (world.jobs[i]->flags & ENVELOPE_BOUNCE)
			return world.jobs[i];
	return NULL;
}

static bool has_notification(void *arg)
{
	(void)arg;
	return notification() != NULL;
}

/* SMTP-125, SMTP-132: told of once, with the header only. */
static void test_delay(void **state)
{
	struct status status;
	struct job *job;

	(void)state;
	defer_late("a@sender.test", 0, 2);
	assert_true(world_wait(has_notification, NULL, 60000));
	job = notification();
	assert_string_equal(job->sender, "");
	assert_string_equal(job->recipients[0].address, "a@sender.test");
	assert_int_equal(job->recipients[0].notify, NOTIFY_NEVER);
	has(job->body, "Action: delayed\r\nStatus: 4.3.0\r\n");
	has(job->body, "\r\nWill-Retry-Until: ");
	has(job->body, "Subject: x\r\n");
	lacks(job->body, "the body");
	assert_int_equal(world_count_messages(&world), 2);
	/* It is tried again, and nothing is said again; the end is told. */
	assert_true(world_wait_jobs(&world, 2));
	status_from_reply(&status, 451, "4.3.0 not now");
	world_finish(&world, job == world.jobs[0] ? 1 : 0, &status);
	assert_true(world_wait_jobs(&world, 2));
	assert_int_equal(world_count_messages(&world), 2);
}

/* SMTP-125: not before its time, not for who does not want to hear, and not
 * for the null sender (SMTP-127). */
static void test_delay_unwanted(void **state)
{
	static const struct { const char *sender; unsigned notify; int hours; }
	    cases[] = {
		{ "a@sender.test", 0, 0 },
		{ "a@sender.test", NOTIFY_NEVER, 2 },
		{ "a@sender.test", NOTIFY_SUCCESS | NOTIFY_FAILURE, 2 },
		{ "", 0, 2 } };
	struct status status;

	(void)state;
	world_delivered(&status);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		uint64_t taken = world.taken;

		defer_late(cases[i].sender, cases[i].notify, cases[i].hours);
		/* Tried again: the only job there is. */
		assert_true(world_wait_jobs(&world, 1));
		assert_int_equal(world.taken, taken + 2);
		assert_false(world.jobs[0]->flags & ENVELOPE_BOUNCE);
		assert_int_equal(world_count_messages(&world), 1);
		if (cases[i].notify & NOTIFY_SUCCESS)
			status.notifies = true;
		world_finish(&world, 0, &status);
		assert_true(world_wait_empty(&world));
		status.notifies = false;
	}
}

static void test_delay_wanted(void **state)
{
	(void)state;
	defer_late("a@sender.test", NOTIFY_DELAY, 2);
	assert_true(world_wait(has_notification, NULL, 60000));
	has(notification()->body, "Action: delayed\r\n");
}

/* A message that came hours ago, held or in its first attempt. */
static uint64_t put_old(const char *recipients, bool is_held)
{
	char *list = mem_dup_string(recipients), *rest = list, *one;
	struct arena *arena = arena_new(4 << 20);
	struct envelope *envelope = envelope_new(arena);
	struct commit_message message = { .envelope = envelope,
	    .arrival = clock_wall() - 2 * INT64_C(3600000),
	    .body_length = 3, .rest = "x\r\n", .rest_length = 3 };
	static uint64_t number;

	message.id = ((uint64_t)message.arrival / 1000 << 20) + ++number;
	envelope->sender = arena_dup_string(arena, "a@sender.test");
	if (is_held)
		envelope->hold = arena_dup_string(arena, "suspect");
	while ((one = strsep(&rest, " ")) != NULL)
		envelope_add_recipient(envelope, arena, one, NULL, 0);
	mem_free(list);
	digest_of("x\r\n", 3, message.digest);
	commit_accept(world.queue->commit, &message, arena, NULL, NULL);
	return message.id;
}

static uint32_t flags_of(uint64_t id)
{
	struct slice slice;
	uint32_t flags;

	assert_int_equal(slice_load(&slice, world.queue, id, 0), 0);
	flags = slice.record->flags;
	slice_release(&slice);
	return flags;
}

static bool is_told(void *arg)
{
	return flags_of(*(uint64_t *)arg) & SLICE_WARNED;
}

/* SMTP-125: also when nobody tries it, and once, over a restart too; what is
 * held is not told of. */
static void test_delay_untried(void **state)
{
	uint64_t held, other, id;

	(void)state;
	world_connect_worker(&world, DESTINATION_DELIVERY, 0);
	held = put_old("joe@one.test", true);
	id = put_old("joe@one.test", false);
	assert_true(world_wait(is_told, &id, 60000));
	world_connect_worker(&world, DESTINATION_DELIVERY, 100);
	assert_true(world_wait(has_notification, NULL, 60000));
	has(notification()->body, "Action: delayed\r\nStatus: 4.0.0\r\n");
	has(notification()->body, "It has not been tried yet");
	assert_false(flags_of(held) & SLICE_WARNED);
	assert_int_equal(world_count_messages(&world), 3);
	world_stop_queue(&world);
	world_start_queue(&world);
	world_connect(&world);
	world_connect_worker(&world, DESTINATION_DELIVERY, 0);
	other = put_old("joe@one.test", false);
	assert_true(world_wait(is_told, &other, 60000));
	assert_int_equal(world_count_messages(&world), 5);
}

/* SMTP-125: one notification for all that are late then, wherever they are. */
static void test_delay_together(void **state)
{
	const char *body;
	uint64_t id;

	(void)state;
	world_connect_worker(&world, DESTINATION_DELIVERY, 0);
	id = put_old("joe@one.test eve@two.test kim@three.test bob@one.test",
	    false);
	assert_true(world_wait(is_told, &id, 60000));
	assert_int_equal(world_count_messages(&world), 2);
	world_connect_worker(&world, DESTINATION_DELIVERY, 100);
	assert_true(world_wait(has_notification, NULL, 60000));
	body = notification()->body;
	has(body, "Final-Recipient: rfc822; joe@one.test\r\n");
	has(body, "Final-Recipient: rfc822; bob@one.test\r\n");
	has(body, "Final-Recipient: rfc822; eve@two.test\r\n");
	has(body, "Final-Recipient: rfc822; kim@three.test\r\n");
}

/* Who is being tried is not told of: he may have it in a moment. */
static void test_delay_in_flight(void **state)
{
	struct status status;
	struct job *job;

	(void)state;
	put_old("joe@one.test eve@two.test", false);
	assert_true(world_wait_jobs(&world, 2));
	job = world.jobs[0];
	status_from_reply(&status, 451, "4.3.0 not now");
	if (strcmp(job->domain, "one.test") == 0)
		world_finish(&world, 0, &status);
	else
		world_finish(&world, 1, &status);
	assert_true(world_wait(has_notification, NULL, 60000));
	has(notification()->body, "rfc822; joe@one.test\r\n");
	lacks(notification()->body, "eve@two.test");
}

/* --- UTF-8 --- */

static struct envelope_recipient jorg = {
    .address = (char[]){ "j\xc3\xb6rg@one.test" },
    .domain = (char[]){ "one.test" },
    .original = (char[]){ "utf-8;\\x{7528}@one.test" } };

static const char *write_utf8_sample(bool utf8, const char *original,
    bool whole)
{
	struct status refused, insecure;
	struct dsn_recipient one;
	struct dsn dsn = { .hostname = "mx.test", .to = "a@sender.test",
	    .recipients = &one, .recipient_count = 1, .utf8 = utf8,
	    .original = original, .original_length = strlen(original),
	    .original_is_whole = whole };

	samples(&refused, &insecure);
	one = (struct dsn_recipient){ &jorg, &refused, 0 };
	buf_reset(&text);
	assert_int_equal(dsn_write(&text, &dsn), 0);
	return buf_string(&text);
}

static void is_7bit(const char *message)
{
	for (; *message != '\0'; message++)
		assert_true((unsigned char)*message < 0x80);
}

/* SMTP-143: to a sender who said SMTPUTF8, the types of RFC 6533, 7-bit on
 * the way. */
static void test_utf8(void **state)
{
	const char *message = write_utf8_sample(true,
	    "Subject: \xc3\xbc \r\n\r\n", false);

	(void)state;
	is_7bit(message);
	has(message, "Content-Type: text/plain; charset=utf-8\r\n"
	    "Content-Transfer-Encoding: quoted-printable\r\n\r\n");
	has(message, "<j=C3=B6rg@one.test>\r\n");
	has(message, "Content-Type: message/global-delivery-status\r\n"
	    "Content-Transfer-Encoding: quoted-printable\r\n\r\n");
	has(message, "\r\nOriginal-Recipient: utf-8; =E7=94=A8@one.test\r\n"
	    "Final-Recipient: utf-8; j=C3=B6rg@one.test\r\n");
	has(message, "Content-Type: message/global-headers\r\n"
	    "Content-Transfer-Encoding: quoted-printable\r\n\r\n"
	    "Subject: =C3=BC=20\r\n");
	message = write_utf8_sample(true, "Subject: \xc3\xbc\r\n\r\nx\r\n",
	    true);
	is_7bit(message);
	has(message, "Content-Type: message/global\r\n");
	message = write_utf8_sample(true, "Subject: x\r\n\r\n", false);
	has(message, "Content-Type: text/rfc822-headers\r\n\r\nSubject: x");
}

/* SMTP-143: to one who did not, the ASCII form of the same. */
static void test_utf8_unknown(void **state)
{
	const char *message = write_utf8_sample(false,
	    "Subject: \xc3\xbc\xff\r\n\r\n", false);

	(void)state;
	is_7bit(message);
	lacks(message, "global");
	has(message, "Content-Type: message/delivery-status\r\n\r\n");
	has(message, "Original-Recipient: utf-8; \\x{7528}@one.test\r\n"
	    "Final-Recipient: utf-8; j\\x{F6}rg@one.test\r\n");
	has(message, "Content-Type: text/rfc822-headers\r\n"
	    "Content-Transfer-Encoding: quoted-printable\r\n\r\n"
	    "Subject: =C3=BC=FF\r\n");
	lacks(message, "Content-Transfer-Encoding: 8bit");
}

/* A reader whose address needs SMTPUTF8: so does what he is sent. */
static void test_utf8_reader(void **state)
{
	const uint32_t both = ENVELOPE_UTF8 | ENVELOPE_UTF8_HEADER;

	(void)state;
	send_from("j\xc3\xb6rg@sender.test", ENVELOPE_UTF8, 0, "x\r\n");
	refuse_first();
	assert_true(world_wait_jobs(&world, 1));
	assert_string_equal(world.jobs[0]->recipients[0].address,
	    "j\xc3\xb6rg@sender.test");
	assert_int_equal(world.jobs[0]->flags & both, both);
	has(world.jobs[0]->body, "To: <j\xc3\xb6rg@sender.test>\r\n");
}

static void test_ascii_reader(void **state)
{
	(void)state;
	send_from("a@sender.test", ENVELOPE_UTF8 | ENVELOPE_UTF8_HEADER, 0,
	    "Subject: \xc3\xb6\r\n\r\nx\r\n");
	refuse_first();
	assert_true(world_wait_jobs(&world, 1));
	assert_int_equal(world.jobs[0]->flags, ENVELOPE_BOUNCE);
	has(world.jobs[0]->body, "message/global-headers\r\n");
}

/* --- REQUIRETLS --- */

static const char secret[] = "Subject: plans\r\n\r\nthe body\r\n";

/* What comes back of it: sent with REQUIRETLS, from nobody, with the header and
 * no more. */
static void check_protected(const char *to)
{
	const struct job *job = world.jobs[0];

	assert_string_equal(job->sender, "");			/* REQ-72 */
	assert_string_equal(job->recipients[0].address, to);
	assert_true(job->flags & ENVELOPE_REQUIRETLS);		/* REQ-70 */
	assert_true(job->flags & ENVELOPE_BOUNCE);
	assert_false(job->flags & (ENVELOPE_TLS_OPTIONAL | ENVELOPE_RET_FULL |
	    ENVELOPE_RET_HEADERS));
	has(job->body, "Content-Type: text/rfc822-headers\r\n\r\n"
	    "Subject: plans\r\n\r\n");
	lacks(job->body, "the body");				/* REQ-71 */
}

/* REQ-70, REQ-71, REQ-72: whatever RET says, and whatever it failed for. */
static void test_requiretls(void **state)
{
	static const uint32_t flags[] = { 0, ENVELOPE_RET_FULL,
	    ENVELOPE_RET_HEADERS };
	struct status status;

	(void)state;
	for (size_t i = 0; i < sizeof(flags) / sizeof(flags[0]); i++) {
		send_with(ENVELOPE_REQUIRETLS | flags[i], 0, secret);
		refuse_first();
		assert_true(world_wait_jobs(&world, 1));
		check_protected("a@sender.test");
		has(world.jobs[0]->body, "no more\r\nthan its header is "
		    "returned.\r\n");
		world_delivered(&status);
		world_finish(&world, 0, &status);
		assert_true(world_wait_empty(&world));
	}
	/* The others are told as ever. */
	send_with(ENVELOPE_RET_FULL | ENVELOPE_TLS_OPTIONAL, 0, secret);
	refuse_first();
	assert_true(world_wait_jobs(&world, 1));
	assert_int_equal(world.jobs[0]->flags, ENVELOPE_BOUNCE);
	has(world.jobs[0]->body, "the body");
	lacks(world.jobs[0]->body, "returned.\r\n");
}

/* REQ-43, REQ-44, REQ-90: the codes of RFC 8689 reach the sender. */
static void test_requiretls_codes(void **state)
{
	static const struct {
		const char	*enhanced;
		const char	*text;
	} cases[] = {
		{ "5.7.30", "mx1.one.test does not offer REQUIRETLS" },
		{ "5.7.10", "no TLS with mx1.one.test" },
	};
	struct status status;
	char wanted[200];

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		send_with(ENVELOPE_REQUIRETLS, 0, secret);
		assert_true(world_wait_jobs(&world, 1));
		status_set(&status, STATUS_FAILED, REASON_REQUIRETLS,
		    cases[i].enhanced, cases[i].text);
		world_finish(&world, 0, &status);
		assert_true(world_wait_jobs(&world, 1));
		check_protected("a@sender.test");
		snprintf(wanted, sizeof(wanted), "Action: failed\r\n"
		    "Status: %s\r\n", cases[i].enhanced);
		has(world.jobs[0]->body, wanted);
		has(world.jobs[0]->body, cases[i].text);
		has(world.jobs[0]->body, "handed on by secure connections");
		world_delivered(&status);
		world_finish(&world, 0, &status);
		assert_true(world_wait_empty(&world));
	}
}

/* REQ-74: what tells of success, too. */
static void test_requiretls_success(void **state)
{
	struct status status;

	(void)state;
	status_set(&status, STATUS_DELIVERED, REASON_NONE, "2.0.0", "done");
	send_with(ENVELOPE_REQUIRETLS | ENVELOPE_RET_FULL, NOTIFY_SUCCESS,
	    secret);
	assert_true(world_wait_jobs(&world, 1));
	world_finish(&world, 0, &status);
	assert_true(world_wait_jobs(&world, 1));
	check_protected("a@sender.test");
	has(world.jobs[0]->body, "Action: delivered\r\n");
}

/* A notification that fails: the postmaster's copy is no weaker, over a restart
 * of the queue as well. */
static void test_requiretls_double(void **state)
{
	(void)state;
	send_from("", ENVELOPE_REQUIRETLS | ENVELOPE_RET_FULL, 0, secret);
	refuse_first();
	assert_true(world_wait_jobs(&world, 1));
	check_protected("postmaster@mx.test");
	world_drop_worker(&world, DESTINATION_MAILBOX);
	world_stop_queue(&world);
	world_start_queue(&world);
	world_new_worker(&world, DESTINATION_MAILBOX);
	assert_true(world_wait_jobs(&world, 1));
	check_protected("postmaster@mx.test");
}

int main(void)
{
#define TEXT(f) cmocka_unit_test_setup_teardown(f, setup_text, teardown_text)
#define WORLD(f) cmocka_unit_test_setup_teardown(f, setup_world, \
    teardown_world)
#define DELAY(f) cmocka_unit_test_setup_teardown(f, setup_delay, \
    teardown_world)
	const struct CMUnitTest tests[] = {
		TEXT(test_fields),
		TEXT(test_delay_fields),
		TEXT(test_sentences),
		TEXT(test_words),
		TEXT(test_parts),
		TEXT(test_no_envid),
		TEXT(test_xtext),
		TEXT(test_utf8),
		TEXT(test_utf8_unknown),
		WORLD(test_utf8_reader),
		WORLD(test_ascii_reader),
		WORLD(test_failure),
		WORLD(test_double),
		WORLD(test_notify_never),
		WORLD(test_notify_success),
		WORLD(test_notify_relayed),
		WORLD(test_return_full),
		DELAY(test_delay),
		DELAY(test_delay_unwanted),
		DELAY(test_delay_wanted),
		DELAY(test_delay_untried),
		DELAY(test_delay_together),
		DELAY(test_delay_in_flight),
		WORLD(test_requiretls),
		WORLD(test_requiretls_codes),
		WORLD(test_requiretls_success),
		WORLD(test_requiretls_double),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
