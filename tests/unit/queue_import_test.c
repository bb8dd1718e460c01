/* SPDX-License-Identifier: ISC */
/*
 * import at the control socket: what an archive says of times is not believed
 * where it would make mail wait for ever, complaints say of which message they
 * are, and what came before is known again, for a while.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/control.h"
#include "base/mem.h"
#include "base/process.h"
#include "conf/conf.h"
#include "queue/imported.h"
#include "queue/queue.h"
#include "queue/record.h"
#include "queue/rows.h"
#include "tests/queue_world.h"

static const int64_t day = INT64_C(86400000);

static struct world world;

static int setup(void **state)
{
	(void)state;
	world_open(&world, "");
	world_drop_worker(&world, DESTINATION_DELIVERY);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	world_close(&world);
	world = (struct world){ .queue = NULL };
	return 0;
}

/* --- the command's end --- */

struct talk {
	int	 fd;
	char	 text[65536];
	size_t	 length;
};

static bool has_ended(void *arg)
{
	struct talk *talk = arg;
	ssize_t got;

	while ((got = read(talk->fd, talk->text + talk->length,
	    sizeof(talk->text) - 1 - talk->length)) > 0)
		talk->length += (size_t)got;
	talk->text[talk->length] = '\0';
	return got == 0;
}

/* Says all of it, and returns the answer. */
static void import(struct talk *talk, const char *lines)
{
	static const char request[] = "{\"verb\":\"import\",\"arguments\":"
	    "{\"archive\":\"mail\"}}\n";
	struct process_caller caller = { .uid = 1, .privileged = true };
	int fds[2];

	memset(talk, 0, sizeof(*talk));
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0,
	    fds), 0);
	talk->fd = fds[1];
	queue_control(world.queue, fds[0], &caller);
	assert_int_equal(write(talk->fd, request, strlen(request)),
	    strlen(request));
	while (strstr(talk->text, "ready") == NULL) {
		world_turn(1);
		assert_false(has_ended(talk));
	}
	assert_int_equal(write(talk->fd, lines, strlen(lines)),
	    strlen(lines));
	assert_true(world_wait(has_ended, talk, 60000));
	close(talk->fd);
}

/* --- an archive --- */

static void add_line(struct buf *out, json_t *line)
{
	char *text = json_dumps(line, JSON_COMPACT);

	buf_print(out, "%s\n", text);
	mem_free(text);
	json_decref(line);
}

/* The row of recipients with times that lie so far ahead. */
static json_t *move_slice(const json_t *row, int64_t ahead)
{
	struct arena *arena = arena_new(RECORD_ARENA_MAX);
	struct record_slice *slice;
	struct buf out;
	size_t length;
	uint8_t *data = control_bytes(row, RECORD_SLICE_MAX, &length);
	json_t *moved;

	slice = record_get_slice(data, length, arena);
	mem_free(data);
	assert_non_null(slice);
	slice->due += ahead;
	slice->arrival += ahead;
	slice->tried_at = clock_wall() + ahead;
	buf_init(&out, RECORD_SLICE_MAX);
	assert_int_equal(record_put_slice(&out, slice), 0);
	moved = control_base64(buf_data(&out), buf_length(&out));
	buf_release(&out);
	arena_free(arena);
	return moved;
}

/* What export says of the one message there is, as lines of an import; then it
 * is deleted. */
static void make_lines(struct buf *out, int64_t ahead)
{
	json_t *lines, *line;
	size_t i;

	buf_init(out, 1 << 20);
	assert_int_equal(world_command(&world, "export", "{\"all\":true}",
	    true, &lines), CONTROL_OK);
	json_array_foreach(lines, i, line) {
		if (json_object_get(line, "slice") != NULL)
			json_object_set_new(line, "row", move_slice(
			    json_object_get(line, "row"), ahead));
		if (json_object_get(line, "done") != NULL)
			add_line(out, json_pack("{s:O}", "commit",
			    json_object_get(line, "done")));
		else if (json_object_get(line, "end") == NULL)
			add_line(out, json_incref(line));
	}
	json_decref(lines);
	add_line(out, json_pack("{s:b}", "finish", 1));
	assert_int_equal(world_command(&world, "delete", "{\"all\":true}",
	    true, NULL), CONTROL_OK);
}

static void keep_slice(void *arg, uint64_t id, uint32_t number,
    const struct record_slice *slice)
{
	(void)id;
	(void)number;
	*(struct record_slice *)arg = *slice;
}

static void test_future(void **state)
{
	struct talk *talk = mem_alloc(sizeof(*talk));
	struct record_slice slice = { .due = 0 };
	int64_t now;
	struct buf lines;

	(void)state;
	world_send(&world, "ann@sender.test", "joe@one.test", "x\r\n");
	make_lines(&lines, 400 * day);
	import(talk, buf_string(&lines));
	assert_non_null(strstr(talk->text, "{\"end\":0"));
	now = clock_wall();
	assert_int_equal(rows_each_slice(world.queue->store, 0, 0, 10,
	    keep_slice, &slice), 1);
	assert_true(slice.arrival <= now && slice.tried_at <= now);
	assert_true(slice.due > now - 60000);
	assert_true(slice.due <= now + world.queue->conf->retry_max * 1000);
	buf_release(&lines);
	mem_free(talk);
}

/* A complaint says where it is. */
static void test_named(void **state)
{
	struct talk *talk = mem_alloc(sizeof(*talk));
	char id[40];
	struct buf lines;
	char *row;

	(void)state;
	snprintf(id, sizeof(id), "\"message\":\"%llx: ",
	    (unsigned long long)world_send(&world, "ann@sender.test",
	    "joe@one.test", "x\r\n"));
	make_lines(&lines, 0);
	row = strstr(buf_string(&lines), "{\"slice\":0,\"row\":\"") + 18;
	memcpy(row, "////", 4);
	import(talk, buf_string(&lines));
	assert_non_null(strstr(talk->text, "{\"end\":65"));
	assert_non_null(strstr(talk->text, id));
	assert_int_equal(world_count_messages(&world), 0);
	buf_release(&lines);
	mem_free(talk);
}

/* "known" is said when what it rests on is durable, not before the "taken" of
 * the one that is on its way to the disk. */
static void test_known_in_order(void **state)
{
	struct talk *talk = mem_alloc(sizeof(*talk));
	struct buf lines, twice;
	const char *taken, *known;
	size_t once;

	(void)state;
	world_send(&world, "ann@sender.test", "joe@one.test", "x\r\n");
	make_lines(&lines, 0);
	once = (size_t)(strstr(buf_string(&lines), "{\"finish\"") -
	    buf_string(&lines));
	buf_init(&twice, 2 << 20);
	assert_int_equal(buf_add(&twice, buf_data(&lines), once), 0);
	assert_int_equal(buf_add(&twice, buf_data(&lines), buf_length(&lines)),
	    0);
	import(talk, buf_string(&twice));
	taken = strstr(talk->text, "\"taken\"");
	known = strstr(talk->text, "\"known\"");
	assert_true(taken != NULL && known != NULL && taken < known);
	assert_non_null(strstr(known, "{\"end\":0"));
	assert_int_equal(world_count_messages(&world), 1);
	buf_release(&twice);
	buf_release(&lines);
	mem_free(talk);
}

/* --- what is remembered --- */

static bool is_forgotten(void *arg)
{
	(void)arg;
	return imported_find(world.queue, "mail", "1") == 0;
}

/* A month later nobody goes on with that import: its rows go. */
static void test_remembered(void **state)
{
	struct talk *talk = mem_alloc(sizeof(*talk));
	uint64_t now = (uint64_t)clock_wall() / 1000, fresh;
	char from[24];
	struct buf lines;

	(void)state;
	snprintf(from, sizeof(from), "%llx", (unsigned long long)world_send(
	    &world, "ann@sender.test", "joe@one.test", "x\r\n"));
	make_lines(&lines, 0);
	import(talk, buf_string(&lines));
	assert_non_null(strstr(talk->text, "\"taken\""));
	fresh = imported_find(world.queue, "mail", from);
	assert_true(fresh != 0);
	import(talk, buf_string(&lines));
	assert_non_null(strstr(talk->text, "\"known\""));
	assert_int_equal(world_count_messages(&world), 1);
	imported_put(world.queue, "mail", "1", (now - 31 * 86400) << 20);
	imported_put(world.queue, "mail", "2", (now - 29 * 86400) << 20);
	assert_true(imported_find(world.queue, "mail", "1") != 0);
	assert_true(world_wait(is_forgotten, NULL, 60000));
	assert_true(imported_find(world.queue, "mail", "2") != 0);
	assert_int_equal(imported_find(world.queue, "mail", from), fresh);
	buf_release(&lines);
	mem_free(talk);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_future),
		TEST(test_named),
		TEST(test_known_in_order),
		TEST(test_remembered),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
