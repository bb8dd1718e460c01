/* SPDX-License-Identifier: ISC */
/*
 * The operator's verbs over the control connection: selection, what each verb
 * does to the store, who may do what, and that a large queue is not read into
 * memory.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/clock.h"
#include "base/control.h"
#include "base/digest.h"
#include "base/mem.h"
#include "base/process.h"
#include "conf/conf.h"
#include "queue/commit.h"
#include "queue/envelope.h"
#include "queue/queue.h"
#include "queue/record.h"
#include "queue/rows.h"
#include "queue/schedule.h"
#include "queue/slice.h"
#include "tests/queue_world.h"

static struct world world;

/* Four messages; delivery took what it could and holds on to nothing. */
static uint64_t ids[4];

static void defer_it(struct world *w, struct job *job)
{
	struct status statuses[8];

	(void)w;
	for (size_t i = 0; i < job->recipient_count; i++) {
		status_from_reply(&statuses[i], 450, "4.2.2 full");
		status_set_host(&statuses[i], "mx.one.test", "192.0.2.7");
	}
	worker_finish(job, statuses, false);
}

static int setup(void **state)
{
	(void)state;
	world_open(&world, "retry-first = 1h");
	world.on_job = defer_it;
	ids[0] = world_send(&world, "ann@sender.test", "joe@one.test", "x\r\n");
	ids[1] = world_send(&world, "bob@sender.test",
	    "joe@one.test eve@two.test", "x\r\n");
	ids[2] = world_send(&world, "", "joe@three.test", "x\r\n");
	ids[3] = world_send(&world, "ann@other.test",
	    "a[1]@two.test eve@two.test", "line one\r\nline two\r\n");
	world_turn(50);
	return 0;
}

static int setup_empty(void **state)
{
	(void)state;
	world_open(&world, "active-messages = 10000");
	world_drop_worker(&world, DESTINATION_DELIVERY);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	world_close(&world);
	return 0;
}

static const char *text_at(const json_t *object, const char *name)
{
	return json_string_value(json_object_get(object, name));
}

/* How many messages list shows. */
static size_t listed(const char *arguments)
{
	json_t *lines;
	int code = world_command(&world, "list", arguments, false, &lines);
	size_t count = json_array_size(lines) - 1;

	json_decref(lines);
	assert_int_equal(code, count == 0 ? CONTROL_NONE_MATCHED :
	    CONTROL_OK);
	return count;
}

static void test_list(void **state)
{
	json_t *lines, *message, *recipient;
	char arguments[64];

	(void)state;
	snprintf(arguments, sizeof(arguments), "{\"id\":\"%llx\"}",
	    (unsigned long long)ids[0]);
	assert_int_equal(world_command(&world, "list", arguments, false,
	    &lines), CONTROL_OK);
	assert_int_equal(json_array_size(lines), 2);
	message = json_array_get(lines, 0);
	assert_true(strtoull(text_at(message, "id"), NULL, 16) == ids[0]);
	assert_string_equal(text_at(message, "sender"), "ann@sender.test");
	assert_string_equal(text_at(message, "state"), "deferred");
	assert_int_equal(json_integer_value(json_object_get(message, "size")),
	    22);
	assert_int_equal(strlen(text_at(message, "arrival")), 20);
	recipient = json_array_get(json_object_get(message, "recipients"), 0);
	assert_string_equal(text_at(recipient, "address"), "joe@one.test");
	assert_string_equal(text_at(recipient, "state"), "deferred");
	assert_int_equal(json_integer_value(json_object_get(recipient,
	    "attempts")), 1);
	assert_string_equal(text_at(recipient, "reason"), "reply");
	assert_string_equal(text_at(recipient, "status"), "4.2.2");
	assert_string_equal(text_at(recipient, "text"), "full");
	assert_string_equal(text_at(recipient, "host"),
	    "mx.one.test[192.0.2.7]");
	assert_int_equal(strlen(text_at(recipient, "next")), 20);
	json_decref(lines);
}

static void test_selectors(void **state)
{
	static const struct {
		const char	*arguments;
		size_t		 count;
	} cases[] = {
		{ "{}", 4 },
		{ "{\"sender\":\"ann@sender.test\"}", 1 },
		{ "{\"sender\":\"ANN@*\"}", 2 },
		{ "{\"sender\":\"<>\"}", 1 },
		{ "{\"recipient\":\"joe@*\"}", 3 },
		{ "{\"recipient\":\"a[1]@two.test\"}", 1 },
		{ "{\"recipient\":\"a1@two.test\"}", 0 },
		{ "{\"domain\":\"two.test\"}", 2 },
		{ "{\"domain\":\"t*.test\"}", 3 },
		{ "{\"older\":3600}", 0 },
		{ "{\"newer\":3600}", 4 },
		{ "{\"state\":\"deferred\"}", 4 },
		{ "{\"state\":\"held\"}", 0 },
		{ "{\"reason\":\"reply\"}", 4 },
		{ "{\"reason\":\"connect\"}", 0 },
		{ "{\"reason\":[\"connect\",\"reply\"]}", 4 },
		{ "{\"reason\":[\"connect\",\"tls\"]}", 0 },
		{ "{\"domain\":\"two.test\",\"sender\":\"bob@*\"}", 1 },
		{ "{\"domain\":\"one.test\",\"recipient\":\"eve@*\"}", 0 },
		{ "{\"limit\":2}", 2 },
		{ "{\"id\":[\"1\",\"2\"]}", 0 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		size_t count = listed(cases[i].arguments);

		if (count != cases[i].count)
			fail_msg("%s: %zu", cases[i].arguments, count);
	}
}

static void test_bad_arguments(void **state)
{
	static const char *const bad[] = { "{\"sendr\":\"x\"}",
	    "{\"id\":\"xyz\"}", "{\"id\":7}", "{\"id\":[]}",
	    "{\"state\":\"gone\"}", "{\"reason\":\"why\"}",
	    "{\"older\":\"1h\"}", "{\"older\":-1}", "{\"limit\":0}",
	    "{\"sender\":\"\"}", "{\"note\":\"a\\nb\"}",
	    "{\"note\":5}", "{\"reason\":[]}",
	    "{\"reason\":[\"reply\",\"why\"]}", "{\"reason\":3}",
	    "{\"level\":\"may\"}" };

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(world_command(&world, "list", bad[i], true,
		    NULL), CONTROL_USAGE);
	/* What changes something must be told what. */
	assert_int_equal(world_command(&world, "delete", "{}", true, NULL),
	    CONTROL_USAGE);
	assert_int_equal(world_count_messages(&world), 4);
}

static void test_permission(void **state)
{
	static const char *const verbs[] = { "cat", "hold", "release",
	    "retry", "flush", "delete", "bounce", "set-tls" };

	(void)state;
	for (size_t i = 0; i < sizeof(verbs) / sizeof(verbs[0]); i++)
		assert_int_equal(world_command(&world, verbs[i],
		    "{\"all\":true}", false, NULL), CONTROL_DENIED);
	assert_int_equal(world_command(&world, "set-tls", "{\"all\":true,"
	    "\"level\":\"may\",\"note\":\"x\"}", false, NULL),
	    CONTROL_DENIED);
	assert_int_equal(world_count_messages(&world), 4);
}

static void test_hold(void **state)
{
	json_t *lines;

	(void)state;
	assert_int_equal(world_command(&world, "hold",
	    "{\"domain\":\"two.test\",\"note\":\"asked first\"}", true,
	    &lines), CONTROL_OK);
	assert_int_equal(json_integer_value(json_object_get(json_array_get(
	    lines, 0), "messages")), 2);
	assert_int_equal(json_integer_value(json_object_get(json_array_get(
	    lines, 0), "recipients")), 3);
	json_decref(lines);
	assert_int_equal(listed("{\"state\":\"held\"}"), 2);
	assert_int_equal(world_count_schedule(&world), 3);
	/* Held twice is held once; held mail is not retried. */
	assert_int_equal(world_command(&world, "hold",
	    "{\"state\":\"held\"}", true, NULL), CONTROL_NONE_MATCHED);
	assert_int_equal(world_command(&world, "retry",
	    "{\"state\":\"held\"}", true, NULL), CONTROL_NONE_MATCHED);
	/* It stays so over a restart. */
	world_stop_queue(&world);
	world_start_queue(&world);
	world_connect(&world);
	assert_int_equal(listed("{\"state\":\"held\"}"), 2);
	world.taken = 0;
	assert_int_equal(world_command(&world, "release",
	    "{\"state\":\"held\"}", true, NULL), CONTROL_OK);
	world_turn(100);
	assert_int_equal(listed("{\"state\":\"held\"}"), 0);
	assert_int_equal(world.taken, 2);
	assert_int_equal(world_count_schedule(&world), 5);
}

static void test_retry(void **state)
{
	(void)state;
	world.taken = 0;
	assert_int_equal(world_command(&world, "retry",
	    "{\"sender\":\"bob@*\"}", true, NULL), CONTROL_OK);
	world_turn(100);
	assert_int_equal(world.taken, 2);
	assert_int_equal(world_command(&world, "flush", "{}", true, NULL),
	    CONTROL_OK);
	world_turn(100);
	assert_int_equal(world.taken, 2 + 5);
	assert_int_equal(world_count_schedule(&world), 5);
}

static void test_delete(void **state)
{
	(void)state;
	/* One recipient of two, in the middle of a slice. */
	assert_int_equal(world_command(&world, "delete",
	    "{\"recipient\":\"eve@two.test\"}", true, NULL), CONTROL_OK);
	assert_int_equal(listed("{\"recipient\":\"eve@*\"}"), 0);
	assert_int_equal(world_count_messages(&world), 4);
	assert_int_equal(world_count_slices(&world), 4);
	assert_int_equal(world_command(&world, "delete", "{\"all\":true}",
	    true, NULL), CONTROL_OK);
	assert_int_equal(world_count_messages(&world), 0);
	assert_int_equal(world_count_slices(&world), 0);
	assert_int_equal(world_count_schedule(&world), 0);
	assert_int_equal(world_command(&world, "list", "{}", false, NULL),
	    CONTROL_NONE_MATCHED);
}

/* A job under way whose message is deleted: the result finds nothing. */
static void test_delete_in_flight(void **state)
{
	struct status status;

	(void)state;
	world.on_job = NULL;
	world_delivered(&status);
	world_send(&world, "a@sender.test", "b@four.test", "x\r\n");
	assert_true(world_wait_jobs(&world, 1));
	assert_int_equal(listed("{\"state\":\"active\"}"), 1);
	assert_int_equal(world_command(&world, "delete",
	    "{\"domain\":\"four.test\"}", true, NULL), CONTROL_OK);
	world_finish(&world, 0, &status);
	world_turn(50);
	assert_int_equal(world_count_messages(&world), 4);
	assert_int_equal(schedule_in_flight(world.queue->schedule), 0);
}

/* Held while it is tried: deferred, it is not tried again. */
static void test_hold_in_flight(void **state)
{
	struct status status;

	(void)state;
	world.on_job = NULL;
	world_send(&world, "a@sender.test", "b@four.test", "x\r\n");
	assert_true(world_wait_jobs(&world, 1));
	assert_int_equal(world_command(&world, "hold",
	    "{\"domain\":\"four.test\"}", true, NULL), CONTROL_OK);
	status_from_reply(&status, 450, "4.2.0 later");
	world_finish(&world, 0, &status);
	world_turn(50);
	assert_int_equal(listed("{\"domain\":\"four.test\","
	    "\"state\":\"held\"}"), 1);
	assert_int_equal(world_count_schedule(&world), 5);
}

static void test_bounce(void **state)
{
	(void)state;
	world.on_job = NULL;
	assert_int_equal(world_command(&world, "bounce",
	    "{\"sender\":\"bob@*\",\"recipient\":\"eve@*\","
	    "\"note\":\"wrong address\"}", true, NULL), CONTROL_OK);
	assert_true(world_wait_jobs(&world, 1));
	assert_string_equal(world.jobs[0]->recipients[0].address,
	    "bob@sender.test");
	assert_non_null(strstr(world.jobs[0]->body, "wrong address"));
	assert_non_null(strstr(world.jobs[0]->body,
	    "Final-Recipient: rfc822; eve@two.test\r\n"));
	assert_null(strstr(world.jobs[0]->body, "rfc822; joe@one.test"));
	/* bounce of everything does not bounce what it makes. */
	assert_int_equal(world_command(&world, "bounce", "{\"all\":true}",
	    true, NULL), CONTROL_OK);
	assert_true(world_count_messages(&world) > 0);
}

static void test_cat(void **state)
{
	static const char expected[] =
	    "Received: by test\r\nline one\r\nline two\r\n";
	char arguments[64], content[256];
	size_t length = 0;
	json_t *lines;

	(void)state;
	snprintf(arguments, sizeof(arguments), "{\"id\":\"%llx\"}",
	    (unsigned long long)ids[3]);
	assert_int_equal(world_command(&world, "cat", arguments, true,
	    &lines), CONTROL_OK);
	assert_int_equal(json_integer_value(json_object_get(json_array_get(
	    lines, 0), "size")), sizeof(expected) - 1);
	for (size_t i = 1; i + 1 < json_array_size(lines); i++)
		length += (size_t)hex_parse((uint8_t *)content + length,
		    sizeof(content) - length,
		    text_at(json_array_get(lines, i), "hex"));
	json_decref(lines);
	assert_int_equal(length, sizeof(expected) - 1);
	assert_memory_equal(content, expected, length);
	assert_int_equal(world_command(&world, "cat", "{\"id\":\"1\"}", true,
	    NULL), CONTROL_NONE_MATCHED);
	assert_int_equal(world_command(&world, "cat", "{}", true, NULL),
	    CONTROL_USAGE);
}

static void test_show(void **state)
{
	char arguments[64];
	json_t *lines;

	(void)state;
	snprintf(arguments, sizeof(arguments), "{\"id\":\"%llx\"}",
	    (unsigned long long)ids[1]);
	assert_int_equal(world_command(&world, "show", arguments, false,
	    &lines), CONTROL_OK);
	assert_int_equal(json_array_size(json_object_get(json_array_get(
	    lines, 0), "recipients")), 2);
	assert_non_null(json_object_get(json_array_get(lines, 0), "client"));
	assert_int_equal(json_integer_value(json_object_get(json_array_get(
	    lines, 0), "accepted")), 2);
	json_decref(lines);
}

/* --- reasons --- */

static enum status_reason next_reason;

static void defer_for(struct world *w, struct job *job)
{
	struct status statuses[8];

	(void)w;
	for (size_t i = 0; i < job->recipient_count; i++)
		status_set(&statuses[i], STATUS_DEFERRED, next_reason,
		    "4.7.5", "x");
	worker_finish(job, statuses, false);
}

/* One message for each reason: a word selects those that it names. */
static void test_reason_words(void **state)
{
	static const struct {
		const char	*word;
		size_t		 count;
	} cases[] = {
		{ "dane-mismatch", 1 }, { "sts-mx", 1 }, { "sts-cert", 1 },
		{ "requiretls", 1 }, { "no-starttls", 1 }, { "dns-bogus", 1 },
		{ "broken-tls", 2 }, { "temporary-dns", 2 }, { "tls", 10 },
	};
	char text[64];

	(void)state;
	world_command(&world, "delete", "{\"all\":true}", true, NULL);
	world.on_job = defer_for;
	for (int reason = REASON_REPLY; reason < STATUS_REASONS; reason++) {
		next_reason = (enum status_reason)reason;
		snprintf(text, sizeof(text), "b@r%d.test", reason);
		world_send(&world, "a@sender.test", text, "x\r\n");
		world_turn(5);
	}
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		snprintf(text, sizeof(text), "{\"reason\":\"%s\"}",
		    cases[i].word);
		if (listed(text) != cases[i].count)
			fail_msg("%s: %zu", text, listed(text));
	}
	assert_int_equal(listed("{\"reason\":[\"broken-tls\","
	    "\"temporary-dns\",\"dns\"]}"), 4);
}

/* --- set-tls --- */

/* The first recipient of the only message that is selected. */
static json_t *shown(const char *verb, const char *arguments)
{
	json_t *lines, *recipient;

	assert_int_equal(world_command(&world, verb, arguments, false,
	    &lines), CONTROL_OK);
	assert_int_equal(json_array_size(lines), 2);
	recipient = json_incref(json_array_get(json_object_get(json_array_get(
	    lines, 0), "recipients"), 0));
	json_decref(lines);
	return recipient;
}

static int set_tls(const char *arguments, json_t **answer)
{
	json_t *lines;
	int code = world_command(&world, "set-tls", arguments, true, &lines);

	if (answer != NULL)
		*answer = json_incref(json_array_get(lines, 0));
	json_decref(lines);
	return code;
}

static int last_level;

static void note_level(struct world *w, struct job *job)
{
	last_level = job->tls_level;
	defer_it(w, job);
}

/* What is set reaches the next job, at once, and stays in the row with who and
 * why; "default" takes it back and is told as well. */
static void test_set_tls(void **state)
{
	json_t *recipient, *answer;

	(void)state;
	world.on_job = note_level;
	recipient = shown("show", "{\"sender\":\"ann@sender.test\"}");
	assert_string_equal(text_at(recipient, "domain"), "one.test");
	assert_true(json_is_null(json_object_get(recipient, "tls-level")));
	assert_string_equal(text_at(recipient, "tls-reason"), "");
	assert_string_equal(text_at(recipient, "tls-author"), "");
	assert_true(json_is_null(json_object_get(recipient, "tls-set")));
	assert_true(json_is_null(json_object_get(recipient, "tls-trouble")));
	json_decref(recipient);

	world.taken = 0;
	assert_int_equal(set_tls("{\"sender\":\"ann@sender.test\","
	    "\"level\":\"dane-only\",\"note\":\"ticket 41\"}", &answer),
	    CONTROL_OK);
	assert_string_equal(text_at(answer, "verb"), "set-tls");
	assert_string_equal(text_at(answer, "level"), "dane-only");
	assert_int_equal(json_integer_value(json_object_get(answer,
	    "messages")), 1);
	assert_null(json_object_get(answer, "notice"));
	json_decref(answer);
	world_turn(100);
	assert_int_equal(world.taken, 1);	/* due now, once */
	assert_int_equal(last_level, LEVEL_DANE_ONLY);

	/* It is in the row: a restart changes nothing. */
	world_stop_queue(&world);
	world_start_queue(&world);
	world_connect(&world);
	recipient = shown("show", "{\"sender\":\"ann@sender.test\"}");
	assert_string_equal(text_at(recipient, "tls-level"), "dane-only");
	assert_string_equal(text_at(recipient, "tls-reason"), "ticket 41");
	assert_string_equal(text_at(recipient, "tls-author"), "uid 1234");
	assert_int_equal(strlen(text_at(recipient, "tls-set")), 20);
	assert_int_equal(json_integer_value(json_object_get(recipient,
	    "attempts")), 2);
	json_decref(recipient);
	recipient = shown("list", "{\"sender\":\"ann@sender.test\"}");
	assert_string_equal(text_at(recipient, "tls-level"), "dane-only");
	assert_string_equal(text_at(recipient, "domain"), "one.test");
	assert_null(json_object_get(recipient, "tls-reason"));
	json_decref(recipient);
	/* Nobody else's. */
	recipient = shown("show", "{\"domain\":\"three.test\"}");
	assert_true(json_is_null(json_object_get(recipient, "tls-level")));
	json_decref(recipient);

	assert_int_equal(set_tls("{\"domain\":\"one.test\",\"sender\":"
	    "\"ann@*\",\"level\":\"default\",\"note\":\"mended\"}",
	    &answer), CONTROL_OK);
	assert_string_equal(text_at(answer, "level"), "default");
	json_decref(answer);
	world_turn(100);
	assert_int_equal(world.taken, 2);
	assert_int_equal(last_level, -1);
	recipient = shown("show", "{\"sender\":\"ann@sender.test\"}");
	assert_true(json_is_null(json_object_get(recipient, "tls-level")));
	assert_string_equal(text_at(recipient, "tls-reason"), "mended");
	json_decref(recipient);
	assert_int_equal(world_count_schedule(&world), 5);
}

static void test_set_tls_words(void **state)
{
	static const char *const good[] = { "none", "may", "encrypt", "auto",
	    "dane", "dane-only", "sts", "strict", "default" };
	static const char *const bad[] = { "\"level\":\"verify\"",
	    "\"level\":\"secure\"", "\"level\":\"fingerprint\"",
	    "\"level\":\"tls\"", "\"level\":\"\"", "\"level\":3",
	    "\"level\":null", "\"limit\":5" };
	char arguments[200];
	json_t *recipient, *lines;

	(void)state;
	world_drop_worker(&world, DESTINATION_DELIVERY);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		snprintf(arguments, sizeof(arguments),
		    "{\"all\":true,\"note\":\"x\",%s}", bad[i]);
		assert_int_equal(set_tls(arguments, NULL), CONTROL_USAGE);
	}
	/* A reason is wanted, and a selection. */
	assert_int_equal(set_tls("{\"all\":true,\"level\":\"may\"}", NULL),
	    CONTROL_USAGE);
	assert_int_equal(set_tls("{\"all\":true,\"level\":\"may\","
	    "\"note\":\"\"}", NULL), CONTROL_USAGE);
	assert_int_equal(set_tls("{\"level\":\"may\",\"note\":\"x\"}",
	    NULL), CONTROL_USAGE);
	/* Those that need names say so. */
	assert_int_equal(world_command(&world, "set-tls", "{\"all\":true,"
	    "\"level\":\"secure\",\"note\":\"x\"}", true, &lines),
	    CONTROL_USAGE);
	assert_non_null(strstr(text_at(json_array_get(lines, 0), "message"),
	    "configuration"));
	json_decref(lines);
	recipient = shown("show", "{\"domain\":\"three.test\"}");
	assert_true(json_is_null(json_object_get(recipient, "tls-set")));
	json_decref(recipient);
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		snprintf(arguments, sizeof(arguments), "{\"domain\":"
		    "\"three.test\",\"note\":\"x\",\"level\":\"%s\"}",
		    good[i]);
		assert_int_equal(set_tls(arguments, NULL), CONTROL_OK);
		recipient = shown("show", "{\"domain\":\"three.test\"}");
		if (strcmp(good[i], "default") == 0)
			assert_true(json_is_null(json_object_get(recipient,
			    "tls-level")));
		else
			assert_string_equal(text_at(recipient, "tls-level"),
			    good[i]);
		json_decref(recipient);
	}
}

/* Held mail keeps its place; its level is there when it is released. */
static void test_set_tls_held(void **state)
{
	static const char which[] = "{\"domain\":\"three.test\"}";

	(void)state;
	world.on_job = note_level;
	last_level = -2;
	world_command(&world, "hold", which, true, NULL);
	world.taken = 0;
	assert_int_equal(set_tls("{\"domain\":\"three.test\",\"level\":"
	    "\"none\",\"note\":\"x\"}", NULL), CONTROL_OK);
	world_turn(100);
	assert_int_equal(world.taken, 0);
	assert_int_equal(listed("{\"state\":\"held\"}"), 1);
	world_command(&world, "release", which, true, NULL);
	world_turn(100);
	assert_int_equal(world.taken, 1);
	assert_int_equal(last_level, LEVEL_NONE);
}

/* Set while it is tried: the try ends as it began, and when it was in vain the
 * next one comes at once, with the level; the one after that waits as ever. */
static void test_set_tls_in_flight(void **state)
{
	struct status status;

	(void)state;
	world.on_job = NULL;
	world_send(&world, "a@sender.test", "b@four.test", "x\r\n");
	assert_true(world_wait_jobs(&world, 1));
	assert_int_equal(set_tls("{\"domain\":\"four.test\",\"level\":"
	    "\"encrypt\",\"note\":\"x\"}", NULL), CONTROL_OK);
	assert_int_equal(world.jobs[0]->tls_level, -1);
	status_from_reply(&status, 450, "4.2.0 later");
	world_finish(&world, 0, &status);
	assert_true(world_wait_jobs(&world, 1));
	assert_int_equal(world.jobs[0]->tls_level, LEVEL_ENCRYPT);
	assert_int_equal(world.jobs[0]->attempt, 2);
	world_finish(&world, 0, &status);
	world_turn(100);
	assert_int_equal(world.job_count, 0);
	assert_int_equal(listed("{\"domain\":\"four.test\","
	    "\"state\":\"deferred\"}"), 1);
	assert_int_equal(schedule_in_flight(world.queue->schedule), 0);
	assert_int_equal(world_count_schedule(&world), 6);
}

/* REQ-22: the tag is shown; and it stays, whatever the operator sets. */
static void test_set_tls_tags(void **state)
{
	static const struct {
		uint32_t	 flags;
		const char	*tag, *level;
		bool		 notice;
	} cases[] = {
		{ ENVELOPE_REQUIRETLS, "requiretls", "none", true },
		{ ENVELOPE_REQUIRETLS, "requiretls", "may", true },
		{ ENVELOPE_REQUIRETLS, "requiretls", "encrypt", true },
		{ ENVELOPE_REQUIRETLS, "requiretls", "strict", false },
		{ ENVELOPE_REQUIRETLS, "requiretls", "default", false },
		{ ENVELOPE_TLS_OPTIONAL, "optional", "may", false },
		{ 0, NULL, "may", false },
	};
	json_t *lines, *answer;
	char arguments[200];

	(void)state;
	world_command(&world, "delete", "{\"all\":true}", true, NULL);
	world.on_job = NULL;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct status status;

		world.envelope_flags = cases[i].flags;
		world_send(&world, "a@sender.test", "b@four.test", "x\r\n");
		assert_true(world_wait_jobs(&world, 1));
		status_from_reply(&status, 450, "4.2.0 later");
		world_finish(&world, 0, &status);
		world_turn(20);
		snprintf(arguments, sizeof(arguments), "{\"all\":true,"
		    "\"note\":\"x\",\"level\":\"%s\"}", cases[i].level);
		assert_int_equal(set_tls(arguments, &answer), CONTROL_OK);
		assert_int_equal(json_object_get(answer, "notice") != NULL,
		    cases[i].notice);
		assert_int_equal(json_integer_value(json_object_get(answer,
		    "requiretls")), cases[i].notice);
		json_decref(answer);
		for (int show = 0; show <= 1; show++) {
			const char *tag;

			assert_int_equal(world_command(&world, show ?
			    "show" : "list", "{}", false, &lines),
			    CONTROL_OK);
			tag = text_at(json_array_get(lines, 0), "tls-tag");
			if (cases[i].tag == NULL)
				assert_null(tag);
			else
				assert_string_equal(tag, cases[i].tag);
			json_decref(lines);
		}
		assert_true(world_wait_jobs(&world, 1));
		assert_int_equal(world.jobs[0]->flags, cases[i].flags);
		world_delivered(&status);
		world_finish(&world, 0, &status);
		assert_true(world_wait_empty(&world));
	}
}

static void test_stats(void **state)
{
	json_t *lines, *first, *total;

	(void)state;
	assert_int_equal(world_command(&world, "stats", "{}", false, &lines),
	    CONTROL_OK);
	assert_int_equal(json_array_size(lines), 3 + 1 + 1);
	first = json_array_get(lines, 0);
	assert_string_equal(text_at(first, "domain"), "two.test");
	assert_int_equal(json_integer_value(json_object_get(first,
	    "messages")), 2);
	assert_int_equal(json_integer_value(json_object_get(first,
	    "recipients")), 3);
	assert_int_equal(json_integer_value(json_object_get(first,
	    "deferred")), 3);
	total = json_object_get(json_array_get(lines, 3), "total");
	assert_int_equal(json_integer_value(json_object_get(total,
	    "messages")), 4);
	assert_int_equal(json_integer_value(json_object_get(total,
	    "recipients")), 6);
	assert_int_equal(json_integer_value(json_object_get(total,
	    "in_flight")), 0);
	json_decref(lines);
}

/* --- the queue goes --- */

static int begin_command(const char *request)
{
	struct process_caller caller = { .uid = 1, .privileged = true };
	int fds[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0,
	    fds), 0);
	queue_control(world.queue, fds[0], &caller);
	assert_int_equal(write(fds[1], request, strlen(request)),
	    strlen(request));
	return fds[1];
}

/* Nothing that was under way for a command touches a queue that has gone. */
static void test_close(void **state)
{
	static const char *const requests[] = {
	    "{\"verb\":\"list\",\"arguments\":{}}\n",
	    "{\"verb\":\"stats\",\"arguments\":{\"domain\":\"*\"}}\n",
	    "{\"verb\":\"hold\",\"arguments\":{\"all\":true}}\n",
	    "{\"verb\":\"verify\",\"arguments\":{}}\n",
	    "{\"verb\":\"pause\",\"arguments\":{\"place\":\"x.test\","
	    "\"reason\":\"r\"}}\n",
	    "{\"verb\":\"import\",\"arguments\":{\"archive\":\"a\"}}\n",
	    "{\"verb\":" };
	enum { COUNT = sizeof(requests) / sizeof(requests[0]) };
	int fds[COUNT];

	(void)state;
	world_fill(&world, 2000);
	for (int turns = 1; turns < 12; turns++) {
		for (int i = 0; i < COUNT; i++)
			fds[i] = begin_command(requests[i]);
		world_turn(turns);
		world_stop_queue(&world);
		world_turn(20);
		for (int i = 0; i < COUNT; i++)
			close(fds[i]);
		world_turn(5);
		world_start_queue(&world);
	}
	world_connect(&world);
}

struct answer {
	int	 fd;
	size_t	 length;
	char	 text[4096];
};

static bool has_answer(void *arg)
{
	struct answer *answer = arg;
	ssize_t got;

	while ((got = read(answer->fd, answer->text + answer->length,
	    sizeof(answer->text) - 1 - answer->length)) > 0)
		answer->length += (size_t)got;
	return got == 0 || strstr(answer->text, "\"copy\"") != NULL;
}

/* A backup that the end of the queue has cut off is not in the way of the next
 * one. */
static void test_backup_again(void **state)
{
	static const char request[] = "{\"verb\":\"backup\","
	    "\"arguments\":{}}\n";
	struct answer answer = { .length = 0 };
	int fd;

	(void)state;
	world_fill(&world, 2000);
	fd = begin_command(request);
	world_turn(1);
	world_stop_queue(&world);
	world_turn(20);
	close(fd);
	world_start_queue(&world);
	answer.fd = begin_command(request);
	assert_true(world_wait(has_answer, &answer, 60000));
	assert_non_null(strstr(answer.text, "\"copy\""));
	close(answer.fd);
	world_turn(20);
	world_connect(&world);
}

/* --- many messages --- */

enum { FINDINGS = 12000, MANY = 100000 };

struct stream_count {
	int	 fd;
	size_t	 lines;
	size_t	 bytes;
	char	 block[65536];
};

static bool count_lines(void *arg)
{
	struct stream_count *count = arg;
	ssize_t got;

	while ((got = read(count->fd, count->block, sizeof(count->block))) >
	    0) {
		count->bytes += (size_t)got;
		for (ssize_t i = 0; i < got; i++)
			count->lines += count->block[i] == '\n';
	}
	return got == 0;
}

static long memory_now(void)
{
	struct rusage usage;

	getrusage(RUSAGE_SELF, &usage);
	return usage.ru_maxrss;		/* KiB */
}

/* The answer is read as it comes and thrown away: what grows is the queue's. */
static void list_all(struct stream_count *count)
{
	static const char request[] = "{\"verb\":\"list\",\"arguments\":{}}\n";
	struct process_caller caller = { .uid = 1 };
	int fds[2];

	memset(count, 0, sizeof(*count));
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0,
	    fds), 0);
	count->fd = fds[1];
	queue_control(world.queue, fds[0], &caller);
	assert_true(write(fds[1], request, sizeof(request) - 1) > 0);
	assert_true(world_wait(count_lines, count, 120000));
	close(fds[1]);
}

static void test_many(void **state)
{
	struct stream_count *count = mem_alloc(sizeof(*count));
	int64_t began;
	long before;
	json_t *lines;

	(void)state;
	world_fill(&world, MANY);
	/* The window is bounded, whatever is on the disk. */
	assert_true(schedule_window(world.queue->schedule) <= 10000);
	before = memory_now();
	began = clock_monotonic();
	list_all(count);
	print_message("list of %d: %lld ms, %zu bytes, memory +%ld KiB\n",
	    MANY, (long long)(clock_monotonic() - began), count->bytes,
	    memory_now() - before);
	assert_int_equal(count->lines, MANY + 1);
#ifndef __SANITIZE_ADDRESS__
	/* The cache of the store may still fill. */
	assert_true(memory_now() - before < 24 * 1024);
#endif
	began = clock_monotonic();
	assert_int_equal(world_command(&world, "stats", "{}", false, &lines),
	    CONTROL_OK);
	print_message("stats: %lld ms\n",
	    (long long)(clock_monotonic() - began));
	assert_int_equal(json_array_size(lines), 500 + 2);
	json_decref(lines);
	assert_int_equal(listed("{\"domain\":\"d7.test\"}"), MANY / 500);
	mem_free(count);
}

/* However much is found, each finding is said, and the answer is read as it is
 * made. */
static void test_verify_many(void **state)
{
	json_t *lines, *line;
	size_t i, found = 0;
	char key[24];

	(void)state;
	for (i = 0; i < FINDINGS; i++) {
		snprintf(key, sizeof(key), "astray %06zu", i);
		store_put(world.queue->store, STORE_ATTEMPTS,
		    (struct store_bytes){ key, strlen(key) },
		    (struct store_bytes){ "x", 1 });
	}
	assert_int_equal(world_command(&world, "verify", "{}", true, &lines),
	    CONTROL_DATA);
	json_array_foreach(lines, i, line)
		found += json_object_get(line, "problem") != NULL;
	assert_int_equal(found, FINDINGS);
	line = json_array_get(lines, json_array_size(lines) - 2);
	assert_int_equal(json_integer_value(json_object_get(line,
	    "problems")), FINDINGS);
	json_decref(lines);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_list),
		TEST(test_selectors),
		TEST(test_bad_arguments),
		TEST(test_permission),
		TEST(test_hold),
		TEST(test_retry),
		TEST(test_delete),
		TEST(test_delete_in_flight),
		TEST(test_hold_in_flight),
		TEST(test_bounce),
		TEST(test_cat),
		TEST(test_show),
		TEST(test_reason_words),
		TEST(test_set_tls),
		TEST(test_set_tls_words),
		TEST(test_set_tls_held),
		TEST(test_set_tls_in_flight),
		TEST(test_set_tls_tags),
		TEST(test_stats),
		TEST(test_verify_many),
		TEST(test_close),
		TEST(test_backup_again),
		cmocka_unit_test_setup_teardown(test_many, setup_empty,
		    teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
