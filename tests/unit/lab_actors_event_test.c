/* SPDX-License-Identifier: ISC */
/*
 * Events as their reader gets them: whole whoever writes, never too long for a
 * datagram, always JSON whatever a peer said, and never worth waiting for
 * without end.
 */
#include "tools/lab/event.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"
#include "tests/unit/base_child.h"

static int ends[2];

static int open_pair(void **state)
{
	(void)state;
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0)
		return -1;
	lab_event_open(ends[1]);
	return 0;
}

static int close_pair(void **state)
{
	(void)state;
	lab_event_open(-1);
	close(ends[0]);
	close(ends[1]);
	return 0;
}

/* The next one; its length in bytes. */
static json_t *next_event(size_t *length)
{
	static char text[128 << 10];
	ssize_t got = recv(ends[0], text, sizeof(text), MSG_DONTWAIT);
	json_t *event;

	assert_true(got > 0);
	if (length != NULL)
		*length = (size_t)got;
	event = json_loadb(text, (size_t)got, JSON_REJECT_DUPLICATES, NULL);
	assert_non_null(event);
	return event;
}

static const char *text_of(const json_t *event, const char *key)
{
	const char *text = json_string_value(json_object_get(event, key));

	assert_non_null(text);
	return text;
}

static void members_are_added(void **state)
{
	int64_t before = clock_wall();
	json_t *event;

	(void)state;
	lab_event("mx", "connect", json_pack("{s:s}", "client", "192.0.2.1"));
	lab_event("mx", "end", NULL);
	event = next_event(NULL);
	assert_string_equal(text_of(event, "actor"), "mx");
	assert_string_equal(text_of(event, "event"), "connect");
	assert_string_equal(text_of(event, "client"), "192.0.2.1");
	assert_true(json_integer_value(json_object_get(event, "time")) >=
	    before);
	assert_int_equal(json_object_size(event), 4);
	json_decref(event);
	event = next_event(NULL);
	assert_string_equal(text_of(event, "event"), "end");
	assert_int_equal(json_object_size(event), 3);
	json_decref(event);
}

static void bytes_are_told(void **state)
{
	static const struct { const char *bytes; size_t length; const char
	    *text; size_t text_length; } rows[] = {
		{ "plain", 5, "plain", 5 },
		{ "a\0b", 3, "a\xe2\x90\x80" "b", 5 },
		{ "\x1b[0m\r\t\"\\", 8, "\x1b[0m\r\t\"\\", 8 },
		{ "z\xc3\xbcrich", 7, "z\xc3\xbcrich", 7 },
		{ "z\xfcrich", 6, "z\xc3\xbcrich", 7 },
		{ "\xc3\xbc\xff\x80", 4,
		    "\xc3\x83\xc2\xbc\xc3\xbf\xc2\x80", 8 },
		{ "", 0, "", 0 }
	};
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		json_t *event, *line;

		lab_event("mx", "command", json_pack("{s:o}", "line",
		    lab_event_bytes(rows[i].bytes, rows[i].length)));
		event = next_event(NULL);
		line = json_object_get(event, "line");
		assert_int_equal(json_string_length(line),
		    rows[i].text_length);
		assert_memory_equal(json_string_value(line), rows[i].text,
		    rows[i].text_length);
		json_decref(event);
	}
}

/* A string of two-byte characters: what is cut must not be torn. */
static char *long_text(size_t length)
{
	char *text = calloc(1, length + 1);
	size_t i;

	assert_non_null(text);
	for (i = 0; i + 1 < length; i += 2)
		memcpy(text + i, "\xc3\xbc", 2);
	return text;
}

static void long_ones_are_cut(void **state)
{
	char *text = long_text(100 << 10), key[16];
	json_t *members = json_object(), *list = json_array(), *event;
	size_t length;
	int i;

	(void)state;
	for (i = 0; i < 10000; i++)
		json_array_append_new(list, json_string("b@rcpt.example"));
	json_object_set_new(members, "line", json_string(text));
	json_object_set_new(members, "recipients", list);
	json_object_set_new(members, "marker", json_string("m1"));
	lab_event("mx", "message", members);
	event = next_event(&length);
	assert_true(length <= 32 << 10);
	assert_true(json_is_true(json_object_get(event, "cut")));
	assert_string_equal(text_of(event, "marker"), "m1");
	assert_string_equal(text_of(event, "event"), "message");
	assert_memory_equal(text_of(event, "line"), text,
	    strlen(text_of(event, "line")));
	assert_true(json_array_size(json_object_get(event, "recipients")) > 0);
	json_decref(event);

	/* So many members that shortening them is not enough. */
	members = json_object();
	for (i = 0; i < 2000; i++) {
		snprintf(key, sizeof(key), "k%d", i);
		json_object_set_new(members, key, json_string(text + 90000));
	}
	lab_event("mx", "odd", members);
	event = next_event(&length);
	assert_true(length <= 32 << 10);
	assert_string_equal(text_of(event, "event"), "odd");
	assert_true(json_is_true(json_object_get(event, "cut")));
	json_decref(event);
	free(text);
}

/* Many processes at once; each event comes whole and none is lost. */
static void processes_share_it(void **state)
{
	enum { WRITERS = 8, EACH = 300 };
	int seen[WRITERS] = { 0 }, i, k, status;

	(void)state;
	for (i = 0; i < WRITERS; i++) {
		pid_t child = fork();

		assert_int_not_equal(child, -1);
		if (child == 0) {
			for (k = 0; k < EACH; k++)
				lab_event("mx", "count", json_pack(
				    "{s:i,s:i}", "writer", i, "number", k));
			_exit(0);
		}
	}
	for (k = 0; k < WRITERS * EACH; k++) {
		static char text[4096];
		ssize_t got = recv(ends[0], text, sizeof(text), 0);
		json_t *event = json_loadb(text, (size_t)got, 0, NULL);
		int writer;

		assert_non_null(event);
		writer = (int)json_integer_value(json_object_get(event,
		    "writer"));
		assert_in_range(writer, 0, WRITERS - 1);
		assert_int_equal(json_integer_value(json_object_get(event,
		    "number")), seen[writer]++);
		json_decref(event);
	}
	for (i = 0; i < WRITERS; i++) {
		assert_true(waitpid(-1, &status, 0) > 0);
		assert_int_equal(status, 0);
	}
}

/* Nobody reads: the writer goes on, and says what is lost. */
static void writers_are_not_held(void **state)
{
	struct capture capture;
	char said[4096];

	(void)state;
	while (send(ends[1], "x", 1, MSG_DONTWAIT) == 1)
		continue;
	capture_begin(&capture);
	lab_event("mx", "lost", NULL);
	capture_end(&capture, said, sizeof(said));
	assert_non_null(strstr(said, "an event is lost"));
	assert_non_null(strstr(said, "\"lost\""));

	/* Nor when the reader is gone. */
	shutdown(ends[0], SHUT_RDWR);
	capture_begin(&capture);
	lab_event("mx", "gone", NULL);
	capture_end(&capture, said, sizeof(said));
	assert_non_null(strstr(said, "\"gone\""));
}

static void nowhere_to_write(void **state)
{
	(void)state;
	lab_event("mx", "connect", json_pack("{s:s}", "client", "x"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nowhere_to_write),
		cmocka_unit_test_setup_teardown(members_are_added, open_pair,
		    close_pair),
		cmocka_unit_test_setup_teardown(bytes_are_told, open_pair,
		    close_pair),
		cmocka_unit_test_setup_teardown(long_ones_are_cut, open_pair,
		    close_pair),
		cmocka_unit_test_setup_teardown(processes_share_it, open_pair,
		    close_pair),
		cmocka_unit_test_setup_teardown(writers_are_not_held,
		    open_pair, close_pair)
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
