/* SPDX-License-Identifier: ISC */
/*
 * The queue of an earlier version (tests/fixtures/queue-version-1) under
 * today's program: upgraded with a kill at every moment of the migration,
 * everything in it as it was, refused by programs of its own version while it
 * is half way, and delivered.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <endian.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/control.h"
#include "base/digest.h"
#include "base/log.h"
#include "base/loop.h"
#include "base/mem.h"
#include "conf/conf.h"
#include "queue/envelope.h"
#include "queue/queue.h"
#include "queue/store_internal.h"
#include "queue/upgrade.h"
#include "tests/queue_world.h"

enum { ROWS = 3, BATCHES_MOST = 200, KILLED = 42, BODY_MOST = 4 << 20 };

static struct world world;
static json_t *expected;

/* The status of a shell. */
static int shell(const char *command)
{
	int status = -1;
	pid_t pid;

	fflush(NULL);
	pid = fork();
	if (pid == 0) {
		execl("/bin/sh", "sh", "-c", command, (char *)NULL);
		_exit(127);
	}
	return pid == -1 || waitpid(pid, &status, 0) != pid ? -1 : status;
}

/* What the world made goes, and the fixture takes its place. */
static void unpack(void)
{
	const char *top = getenv("POSTERN_SRCDIR");
	char *command = mem_print("cd '%s' && rm -rf -- ./* && tar -xzf "
	    "'%s/tests/fixtures/queue-version-1/queue.tar.gz'",
	    world.directory, top == NULL ? "." : top);

	assert_int_equal(shell(command), 0);
	mem_free(command);
}

/* What is in it grows older every day: nobody is told of that, and nothing is
 * given up. */
static void start_queue(void)
{
	world_start_queue(&world);
	world.queue->conf->delay_warning = 0;
	world.queue->conf->message_expiry = INT32_MAX;
	world.queue->conf->bounce_expiry = INT32_MAX;
}

static int setup(void **state)
{
	(void)state;
	world_open(&world, "retry-first = 1h\nretry-max = 1h\n");
	world_stop_queue(&world);
	unpack();
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	upgrade_watch(0, NULL);
	world_close(&world);
	return 0;
}

/* --- what is in it --- */

static void is_same(const json_t *one, const json_t *other, const char *name)
{
	const json_t *left = json_object_get(one, name);
	const json_t *right = json_object_get(other, name);

	if ((left != NULL || right != NULL) && !json_equal(left, right))
		fail_msg("%s: %s is %s, not %s", json_string_value(
		    json_object_get(one, "id")), name,
		    json_dumps(right, JSON_ENCODE_ANY),
		    json_dumps(left, JSON_ENCODE_ANY));
}

static void recipient_is_same(const json_t *one, const json_t *other)
{
	static const char *const names[] = { "address", "attempts", "domain",
	    "forwarded", "held", "held-by", "original", "sender", "tls-author",
	    "tls-level", "tls-reason", "tls-set", "tls-trouble", "tried" };
	/* of a first attempt that was not made: of the host, in memory */
	static const char *const last[] = { "reason", "status", "text", "host",
	    "tls" };

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		is_same(one, other, names[i]);
	if (json_integer_value(json_object_get(one, "attempts")) == 0)
		return;
	for (size_t i = 0; i < sizeof(last) / sizeof(last[0]); i++)
		is_same(one, other, last[i]);
}

static void message_is_same(const json_t *one, const json_t *other)
{
	static const char *const names[] = { "id", "accepted", "arrival",
	    "client", "edited", "envid", "helo", "notification", "protocol",
	    "selected", "sender", "size", "tls", "tls-tag" };
	const json_t *recipients = json_object_get(one, "recipients");
	const json_t *others = json_object_get(other, "recipients");

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		is_same(one, other, names[i]);
	assert_int_equal(json_array_size(recipients), json_array_size(others));
	for (size_t i = 0; i < json_array_size(recipients); i++)
		recipient_is_same(json_array_get(recipients, i),
		    json_array_get(others, i));
}

/* What `postern queue cat` prints. */
static void content_is_same(const json_t *one)
{
	const char *id = json_string_value(json_object_get(one, "id"));
	char *arguments = mem_print("{\"id\":\"%s\"}", id);
	char text[2 * DIGEST_BYTES + 1];
	uint8_t digest[DIGEST_BYTES];
	struct buf content;
	json_t *lines, *line;
	size_t i;

	assert_int_equal(world_command(&world, "cat", arguments, true, &lines),
	    CONTROL_OK);
	buf_init(&content, BODY_MOST);
	json_array_foreach(lines, i, line) {
		const char *hex = json_string_value(json_object_get(line,
		    "hex"));
		unsigned byte;

		for (; hex != NULL && *hex != '\0'; hex += 2) {
			assert_int_equal(sscanf(hex, "%2x", &byte), 1);
			buf_add(&content, &(char){ (char)byte }, 1);
		}
	}
	assert_int_equal(buf_length(&content), json_integer_value(
	    json_object_get(one, "content-length")));
	digest_of(buf_data(&content), buf_length(&content), digest);
	hex_format(digest, sizeof(digest), text, sizeof(text));
	assert_string_equal(text, json_string_value(json_object_get(one,
	    "sha256")));
	buf_release(&content);
	json_decref(lines);
	mem_free(arguments);
}

static void all_is_there(void)
{
	json_t *found, *one;
	size_t i;

	assert_int_equal(world_command(&world, "show", "{\"all\":true}", true,
	    &found), CONTROL_OK);
	assert_int_equal(json_array_size(found),
	    json_array_size(expected) + 1);	/* and the end */
	json_array_foreach(expected, i, one) {
		message_is_same(one, json_array_get(found, i));
		content_is_same(one);
	}
	json_decref(found);
}

/* --- delivering it --- */

static json_t *delivered;	/* address: how many times */

static void deliver(struct world *it, struct job *job)
{
	struct status statuses[100];

	(void)it;
	for (size_t i = 0; i < job->recipient_count; i++) {
		const char *who = job->recipients[i].address;
		json_int_t before = json_integer_value(json_object_get(
		    delivered, who));

		json_object_set_new(delivered, who, json_integer(before + 1));
		world_delivered(&statuses[i]);
	}
	worker_finish(job, statuses, false);
}

static void all_is_delivered(void)
{
	json_t *one, *lines, *recipient;
	size_t i, j;

	delivered = json_object();
	world.on_job = deliver;
	world_connect(&world);
	assert_int_equal(world_command(&world, "release", "{\"all\":true}",
	    true, &lines), CONTROL_OK);
	json_decref(lines);
	world_command(&world, "retry", "{\"all\":true}", true, &lines);
	json_decref(lines);
	assert_true(world_wait_empty(&world));
	json_array_foreach(expected, i, one)
		json_array_foreach(json_object_get(one, "recipients"), j,
		    recipient)
			assert_int_equal(json_integer_value(json_object_get(
			    delivered, json_string_value(json_object_get(
			    recipient, "address")))), 1);
	json_decref(delivered);
}

/* --- the ways there --- */

static void test_upgraded(void **state)
{
	(void)state;
	start_queue();
	assert_int_equal(store_upgrade_from(world.queue->store), 0);
	all_is_there();
	world_stop_queue(&world);
	start_queue();
	all_is_there();
	all_is_delivered();
}

static enum upgrade_moment kill_moment;
static unsigned kill_batch;

static void visit_and_die(enum upgrade_moment moment, unsigned batch)
{
	if (moment == kill_moment && batch == kill_batch)
		_exit(KILLED);
}

/* A process that upgrades and dies at that moment; false: it was not met. */
static bool upgrade_and_die(enum upgrade_moment moment, unsigned batch)
{
	int status;
	pid_t pid;

	fflush(NULL);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		struct store_options options = {
		    .directory = world.directory, .cache_bytes = 4 << 20,
		    .reserve_bytes = 1 << 20 };
		struct store *store;

		loop_init();
		kill_moment = moment;
		kill_batch = batch;
		upgrade_watch(ROWS, visit_and_die);
		store = store_open(&options);
		if (store == NULL)
			_exit(1);
		upgrade_run(store);
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	assert_true(WEXITSTATUS(status) == KILLED || WEXITSTATUS(status) == 0);
	return WEXITSTATUS(status) == KILLED;
}

/* Each process gets one batch further, or dies before it has written one. */
static void test_killed_at_every_batch(void **state)
{
	unsigned deaths = 0;

	(void)state;
	assert_true(upgrade_and_die(UPGRADE_WRITTEN, 0));
	while (upgrade_and_die(UPGRADE_DURABLE, 0) && deaths < BATCHES_MOST) {
		upgrade_and_die(UPGRADE_WRITTEN, 0);
		deaths++;
	}
	/* some fifty rows in three tables, so many at a time */
	assert_in_range(deaths, 15, BATCHES_MOST - 1);
	start_queue();
	all_is_there();
	all_is_delivered();
}

/* And from the beginning, to each of its moments. */
static void test_killed_once(void **state)
{
	unsigned batch = 0;

	(void)state;
	for (; batch < BATCHES_MOST && upgrade_and_die(UPGRADE_WRITTEN, batch);
	    batch += 5) {
		start_queue();
		all_is_there();
		world_stop_queue(&world);
		unpack();
	}
	assert_in_range(batch, 15, BATCHES_MOST - 1);
}

/* Programs of version 1 look for that number, and nothing else will do. */
static void test_others_are_refused(void **state)
{
	static const struct store_bytes key = { "version", 7 };
	uint32_t version = 0;
	struct store_options options = { .directory = world.directory,
	    .cache_bytes = 4 << 20 };
	struct store *store;

	(void)state;
	assert_true(upgrade_and_die(UPGRADE_WRITTEN, 0));
	store = store_open(&options);
	assert_non_null(store);
	assert_int_equal(store_upgrade_from(store), 1);
	assert_int_equal(store_db_get(store, store->internal, key), 4);
	memcpy(&version, store->scratch, sizeof(version));
	assert_int_equal(be32toh(version), STORE_VERSION);
	store_close(store);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_upgraded, setup,
		    teardown),
		cmocka_unit_test_setup_teardown(test_killed_at_every_batch,
		    setup, teardown),
		cmocka_unit_test_setup_teardown(test_killed_once, setup,
		    teardown),
		cmocka_unit_test_setup_teardown(test_others_are_refused,
		    setup, teardown),
	};
	const char *top = getenv("POSTERN_SRCDIR");
	char *path = mem_print("%s/tests/fixtures/queue-version-1/"
	    "expected.json", top == NULL ? "." : top);

	expected = json_load_file(path, 0, NULL);
	mem_free(path);
	if (expected == NULL)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
