/* SPDX-License-Identifier: ISC */
/*
 * What an operator selects and changes: criteria that combine, dry runs,
 * redirect, messages so wide that one step does not do, progress, and a walk
 * that is told to stop.
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
#include "base/clock.h"
#include "base/control.h"
#include "base/digest.h"
#include "base/mem.h"
#include "base/process.h"
#include "base/status.h"
#include "queue/commit.h"
#include "queue/envelope.h"
#include "queue/message.h"
#include "queue/queue.h"
#include "queue/readers.h"
#include "queue/record.h"
#include "queue/rows.h"
#include "queue/schedule.h"
#include "queue/selector.h"
#include "tests/queue_world.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static struct world world;
static uint64_t ids[4];

static void defer_it(struct world *w, struct job *job)
{
	struct status statuses[QUEUE_SLICE_RECIPIENTS];
	bool first = strcmp(job->domain, "one.test") == 0;

	(void)w;
	for (size_t i = 0; i < job->recipient_count; i++) {
		status_from_reply(&statuses[i], 450, "4.2.2 full");
		status_set_host(&statuses[i], first ? "mx.one.test" :
		    "[192.0.2.9]", first ? "192.0.2.7" : "192.0.2.9");
	}
	worker_finish(job, statuses, false);
}

/* Four messages, each with something of its own, that wait after a try. */
static int setup(void **state)
{
	static char large[3000];

	(void)state;
	world_open(&world, "retry-first = 1h");
	world.on_job = defer_it;
	memset(large, 'x', sizeof(large) - 3);
	memcpy(large + sizeof(large) - 3, "\r\n", 3);
	world.user = "ann@sender.test";
	ids[0] = world_send(&world, "ann@sender.test", "joe@one.test", "x\r\n");
	world.user = "uid 1000";
	world.envelope_flags = ENVELOPE_REQUIRETLS;
	ids[1] = world_send(&world, "bob@sender.test",
	    "joe@one.test eve@two.test", large);
	world.user = NULL;
	world.envelope_flags = ENVELOPE_TLS_OPTIONAL;
	ids[2] = world_send(&world, "", "joe@three.test", "x\r\n");
	world.envelope_flags = 0;
	ids[3] = world_send(&world, "ann@other.test",
	    "a@two.test eve@two.test kim@three.test", "x\r\n");
	world_turn(50);
	return 0;
}

static int setup_empty(void **state)
{
	(void)state;
	world_open(&world, "");
	world_drop_worker(&world, DESTINATION_DELIVERY);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	readers_install(NULL);
	memset(ids, 0, sizeof(ids));
	world_close(&world);
	world = (struct world){ .queue = NULL };
	return 0;
}

static const char *text_at(const json_t *object, const char *name)
{
	return json_string_value(json_object_get(object, name));
}

static int number_at(const json_t *object, const char *name)
{
	return (int)json_integer_value(json_object_get(object, name));
}

/* --- selection --- */

static size_t listed(const char *arguments)
{
	json_t *lines;
	size_t count;

	world_command(&world, "list", arguments, false, &lines);
	count = json_array_size(lines) - 1;
	json_decref(lines);
	return count;
}

static void test_selectors(void **state)
{
	static const struct {
		const char	*arguments;
		size_t		 count;
	} cases[] = {
		{ "{\"user\":\"ann@sender.test\"}", 1 },
		{ "{\"user\":\"ANN@*\"}", 1 },
		{ "{\"user\":\"uid 1000\"}", 1 },
		{ "{\"user\":\"uid *\"}", 1 },
		{ "{\"user\":\"*\"}", 4 },
		{ "{\"user\":\"<>\"}", 2 },	/* nobody's */
		{ "{\"host\":\"mx.one.test\"}", 2 },
		{ "{\"host\":\"192.0.2.7\"}", 2 },
		{ "{\"host\":\"mx.one.test[192.0.2.7]\"}", 2 },
		{ "{\"host\":\"*.one.test\"}", 2 },
		{ "{\"host\":\"192.0.2.9\"}", 3 },
		{ "{\"host\":\"192.0.2.*\"}", 4 },
		{ "{\"host\":\"mx\"}", 0 },
		{ "{\"larger\":3000}", 1 },
		{ "{\"smaller\":3000}", 3 },
		{ "{\"larger\":22,\"smaller\":23}", 3 },
		{ "{\"larger\":23,\"smaller\":23}", 0 },
		{ "{\"larger\":0}", 4 },
		{ "{\"tag\":\"requiretls\"}", 1 },
		{ "{\"tag\":\"optional\"}", 1 },
		{ "{\"tag\":\"none\"}", 2 },
		{ "{\"host\":\"mx.one.test\",\"user\":\"uid 1000\"}", 1 },
		{ "{\"host\":\"mx.one.test\",\"domain\":\"two.test\"}", 0 },
		{ "{\"domain\":\"two.test\",\"state\":\"deferred\","
		    "\"larger\":3000,\"tag\":\"requiretls\","
		    "\"reason\":\"reply\"}", 1 },
		{ "{\"host\":\"192.0.2.9\",\"limit\":2}", 2 },
		{ "{\"domain\":\"t*.test\",\"limit\":2}", 2 },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		size_t count = listed(cases[i].arguments);

		if (count != cases[i].count)
			fail_msg("%s: %zu", cases[i].arguments, count);
	}
}

/* However it is written, it is one message, and counts once. */
static void test_identifiers(void **state)
{
	char arguments[200];

	(void)state;
	snprintf(arguments, sizeof(arguments), "{\"id\":[\"%llx\","
	    "\"%llX\",\"%016llx\",\"%llx\"]}", (unsigned long long)ids[1],
	    (unsigned long long)ids[1], (unsigned long long)ids[1],
	    (unsigned long long)ids[0]);
	assert_int_equal(listed(arguments), 2);
}

static void test_bad_arguments(void **state)
{
	static const struct { const char *verb, *arguments; } bad[] = {
		{ "list", "{\"user\":\"\"}" }, { "list", "{\"user\":7}" },
		{ "list", "{\"host\":\"\"}" }, { "list", "{\"larger\":-1}" },
		{ "list", "{\"smaller\":\"1M\"}" },
		{ "list", "{\"tag\":\"tls\"}" }, { "list", "{\"tag\":1}" },
		{ "list", "{\"note\":\"x\"}" },
		{ "list", "{\"dry-run\":true}" },
		{ "list", "{\"original\":true}" },
		{ "delete", "{\"limit\":5}" },
		{ "delete", "{\"all\":true,\"to\":\"a@b.test\"}" },
		{ "delete", "{\"all\":true,\"each\":true}" },
		{ "delete", "{\"all\":true,\"level\":\"may\"}" },
		{ "cat", "{\"limit\":1}" },
		{ "redirect", "{\"to\":\"a@b.test\"}" },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(bad); i++)
		if (world_command(&world, bad[i].verb, bad[i].arguments, true,
		    NULL) != CONTROL_USAGE)
			fail_msg("%s %s", bad[i].verb, bad[i].arguments);
	assert_int_equal(world_count_messages(&world), 4);
}

/* --- dry runs --- */

/* The answer's last line but one, and the lines before it in *each. */
static json_t *answer_of(const char *verb, const char *arguments,
    size_t *each)
{
	json_t *lines, *answer;
	size_t count;

	assert_int_equal(world_command(&world, verb, arguments, true, &lines),
	    CONTROL_OK);
	count = json_array_size(lines);
	assert_true(count >= 2);
	answer = json_incref(json_array_get(lines, count - 2));
	if (each != NULL)
		*each = count - 2;
	json_decref(lines);
	return answer;
}

/* A dry run says what the change does after it, and changes nothing. */
static void test_dry_run(void **state)
{
	static const struct {
		const char	*verb, *arguments;
		int		 messages, recipients;
	} cases[] = {
		{ "retry", "\"domain\":\"two.test\"", 2, 3 },
		{ "hold", "\"domain\":\"three.test\"", 2, 2 },
		{ "release", "\"state\":\"held\"", 2, 2 },
		{ "set-tls", "\"sender\":\"ann*\",\"level\":\"dane\","
		    "\"note\":\"x\"", 2, 4 },
		{ "redirect", "\"to\":\"new@four.test\",\"recipient\":"
		    "\"eve@*\"", 2, 2 },
		{ "delete", "\"recipient\":\"joe@*\"", 3, 3 },
		{ "bounce", "\"sender\":\"ann@other.test\",\"limit\":1,"
		    "\"domain\":\"two.test\"", 1, 1 },
	};
	char dry[200], real[200];

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		size_t slices = world_count_slices(&world), each;
		size_t schedule = world_count_schedule(&world);
		json_t *answer;

		snprintf(dry, sizeof(dry),
		    "{%s,\"dry-run\":true,\"each\":true}", cases[i].arguments);
		snprintf(real, sizeof(real), "{%s}", cases[i].arguments);
		answer = answer_of(cases[i].verb, dry, &each);
		assert_true(json_is_true(json_object_get(answer, "dry-run")));
		assert_int_equal(each, cases[i].messages);
		assert_int_equal(number_at(answer, "messages"),
		    cases[i].messages);
		if (number_at(answer, "recipients") != cases[i].recipients)
			fail_msg("%s: %d", cases[i].verb,
			    number_at(answer, "recipients"));
		json_decref(answer);
		assert_int_equal(world_count_slices(&world), slices);
		assert_int_equal(world_count_schedule(&world), schedule);
		answer = answer_of(cases[i].verb, real, &each);
		assert_null(json_object_get(answer, "dry-run"));
		assert_int_equal(each, 0);
		assert_int_equal(number_at(answer, "messages"),
		    cases[i].messages);
		assert_int_equal(number_at(answer, "recipients"),
		    cases[i].recipients);
		json_decref(answer);
		world_turn(50);
	}
}

static void test_dry_run_line(void **state)
{
	json_t *lines;
	const json_t *line;
	char id[32];

	(void)state;
	assert_int_equal(world_command(&world, "delete", "{\"tag\":"
	    "\"requiretls\",\"dry-run\":true,\"each\":true}", true, &lines),
	    CONTROL_OK);
	line = json_array_get(lines, 0);
	snprintf(id, sizeof(id), "%llx", (unsigned long long)ids[1]);
	assert_string_equal(text_at(line, "would"), "delete");
	assert_string_equal(text_at(line, "id"), id);
	assert_string_equal(text_at(line, "sender"), "bob@sender.test");
	assert_int_equal(number_at(line, "recipients"), 2);
	json_decref(lines);
	assert_int_equal(world_count_messages(&world), 4);
	assert_int_equal(world_command(&world, "delete", "{\"state\":"
	    "\"held\",\"dry-run\":true}", true, NULL), CONTROL_NONE_MATCHED);
}

/* --- redirect --- */

static struct {
	char	 recipients[10][200];	/* "a@b.test rfc822;c@d.test 0" */
	int64_t	 arrival;
	char	 sender[100];
	size_t	 count;
} seen;

static void see(struct world *w, struct job *job)
{
	for (size_t i = 0; i < job->recipient_count; i++) {
		const struct job_recipient *one = &job->recipients[i];

		assert_true(seen.count < COUNT(seen.recipients));
		snprintf(seen.recipients[seen.count++], 200, "%s %s %u",
		    one->address, one->original, one->notify);
	}
	seen.arrival = job->arrival;
	snprintf(seen.sender, sizeof(seen.sender), "%s", job->sender);
	defer_it(w, job);
}

static int redirect(const char *to, const char *selection)
{
	char arguments[300];
	int code;

	memset(&seen, 0, sizeof(seen));
	world.on_job = see;
	snprintf(arguments, sizeof(arguments), "{\"to\":\"%s\",%s}", to,
	    selection);
	code = world_command(&world, "redirect", arguments, true, NULL);
	world_turn(100);
	return code;
}

/* Several become one, who is due at once and says whom it was for; the others
 * stay. Once more is no more. */
static void test_redirect(void **state)
{
	json_t *lines;

	(void)state;
	assert_int_equal(redirect("new@Four.test",
	    "\"sender\":\"ann@other.test\",\"domain\":\"two.test\""),
	    CONTROL_OK);
	assert_int_equal(seen.count, 1);
	assert_string_equal(seen.recipients[0],
	    "new@four.test rfc822;a@two.test 0");
	assert_string_equal(seen.sender, "ann@other.test");
	assert_int_equal(listed("{\"sender\":\"ann@other.test\","
	    "\"domain\":\"two.test\"}"), 0);
	assert_int_equal(listed("{\"domain\":\"four.test\","
	    "\"reason\":\"reply\"}"), 1);
	assert_int_equal(listed("{\"sender\":\"ann@other.test\","
	    "\"recipient\":\"kim@three.test\"}"), 1);
	assert_int_equal(world_count_messages(&world), 4);
	assert_int_equal(redirect("new@four.test",
	    "\"sender\":\"ann@other.test\",\"domain\":\"four.test\""),
	    CONTROL_NONE_MATCHED);
	assert_int_equal(seen.count, 0);
	/* Who is there already is not there twice; ORCPT stays the first. */
	assert_int_equal(redirect("new@four.test",
	    "\"sender\":\"ann@other.test\""), CONTROL_OK);
	assert_int_equal(seen.count, 0);
	assert_int_equal(redirect("newer@five.test",
	    "\"sender\":\"ann@other.test\""), CONTROL_OK);
	assert_int_equal(seen.count, 1);
	assert_string_equal(seen.recipients[0],
	    "newer@five.test rfc822;a@two.test 0");
	/* All of it is in the store. */
	world_stop_queue(&world);
	world_start_queue(&world);
	world_connect(&world);
	assert_int_equal(world_command(&world, "list",
	    "{\"sender\":\"ann@other.test\"}", false, &lines), CONTROL_OK);
	assert_int_equal(number_at(json_array_get(lines, 0), "selected"), 1);
	json_decref(lines);
	assert_int_equal(world_count_slices(&world), 5);
	assert_int_equal(world_count_schedule(&world), 5);
}

/* Numbers of slices are not given again while an old job is under way: its
 * result finds nothing to be applied to. */
static void test_redirect_in_flight(void **state)
{
	struct status status;

	(void)state;
	world.on_job = NULL;
	world_send(&world, "a@sender.test", "b@six.test", "x\r\n");
	assert_true(world_wait_jobs(&world, 1));
	assert_int_equal(world_command(&world, "redirect", "{\"to\":"
	    "\"c@seven.test\",\"domain\":\"six.test\"}", true, NULL),
	    CONTROL_OK);
	assert_true(world_wait_jobs(&world, 2));
	world_refused(&status);
	world_finish(&world, strcmp(world.jobs[0]->domain, "six.test") == 0 ?
	    0 : 1, &status);
	world_turn(50);
	assert_int_equal(listed("{\"domain\":\"seven.test\"}"), 1);
	assert_int_equal(world_count_messages(&world), 5);
	world_delivered(&status);
	world_finish(&world, 0, &status);
	world_turn(50);
	assert_int_equal(world_count_messages(&world), 4);
	assert_int_equal(schedule_in_flight(world.queue->schedule), 0);
}

static void test_redirect_held(void **state)
{
	(void)state;
	world_command(&world, "hold", "{\"sender\":\"ann@other.test\"}", true,
	    NULL);
	assert_int_equal(redirect("new@four.test",
	    "\"sender\":\"ann@other.test\""), CONTROL_OK);
	assert_int_equal(seen.count, 0);
	assert_int_equal(listed("{\"domain\":\"four.test\","
	    "\"state\":\"held\"}"), 1);
	assert_int_equal(world_command(&world, "release",
	    "{\"domain\":\"four.test\"}", true, NULL), CONTROL_OK);
	world_turn(50);
	assert_int_equal(seen.count, 1);
}

static void test_redirect_tag(void **state)
{
	json_t *lines;

	(void)state;
	assert_int_equal(redirect("new@four.test", "\"all\":true"),
	    CONTROL_OK);
	assert_int_equal(seen.count, 4);
	assert_int_equal(world_command(&world, "list",
	    "{\"tag\":\"requiretls\"}", false, &lines), CONTROL_OK);
	json_decref(lines);
	assert_int_equal(world_count_slices(&world), 4);
}

static void test_redirect_refused(void **state)
{
	static const char *const bad[] = { "", "joe", "joe@", "@four.test",
	    "<>", "<joe@four.test>", "joe@four..test", "joe@four.test x",
	    "joe@[999.0.0.1]", "j\xc3\xb6@four.test" };

	(void)state;
	for (size_t i = 0; i < COUNT(bad); i++)
		if (redirect(bad[i], "\"all\":true") != CONTROL_USAGE)
			fail_msg("%s", bad[i]);
	assert_int_equal(world_command(&world, "redirect",
	    "{\"all\":true}", true, NULL), CONTROL_USAGE);
	assert_int_equal(world_command(&world, "redirect", "{\"to\":3,"
	    "\"all\":true}", true, NULL), CONTROL_USAGE);
	assert_int_equal(listed("{\"domain\":\"four.test\"}"), 0);
	assert_int_equal(redirect("\\\"o d\\\"@four.test",
	    "\"domain\":\"one.test\""), CONTROL_OK);
	assert_int_equal(seen.count, 2);
}

/* "team" is two, one of them elsewhere; "nobody" is nobody; "crowd" too many.
 */
static bool each_reader(const char *address, readers_visit *visit, void *arg)
{
	char name[64];

	if (strcmp(address, "nobody@local.test") == 0)
		return false;
	if (strcmp(address, "team@local.test") == 0) {
		visit(arg, "joe@local.test", false);
		visit(arg, "far@away.test", true);
		visit(arg, "joe@local.test", false);
		return true;
	}
	for (int i = 0; strcmp(address, "crowd@local.test") == 0 && i < 101;
	    i++) {
		snprintf(name, sizeof(name), "u%d@local.test", i);
		visit(arg, name, false);
	}
	if (strcmp(address, "crowd@local.test") != 0)
		visit(arg, address, false);
	return true;
}

static void test_redirect_aliases(void **state)
{
	static const struct readers readers = { .each = each_reader };

	(void)state;
	readers_install(&readers);
	assert_int_equal(redirect("nobody@local.test", "\"all\":true"),
	    CONTROL_USAGE);
	assert_int_equal(redirect("crowd@local.test", "\"all\":true"),
	    CONTROL_USAGE);
	assert_int_equal(redirect("team@local.test",
	    "\"sender\":\"ann@sender.test\""), CONTROL_OK);
	assert_int_equal(seen.count, 2);
	assert_int_equal(listed("{\"recipient\":\"joe@local.test\"}"), 1);
	assert_int_equal(listed("{\"recipient\":\"far@away.test\"}"), 1);
	assert_int_equal(listed("{\"recipient\":\"joe@one.test\"}"), 1);
}

/* "ann" as she is rewritten where mail leaves. */
static char *forward_sender(const char *sender, struct arena *arena)
{
	return strcmp(sender, "ann@other.test") != 0 ? NULL :
	    arena_dup_string(arena, "SRS0=ann@mx.test");
}

/* What was for us, and leads out now, says the sender that an alias would have
 * it say; what goes on to where others are does not (SMTP-182). */
static void test_redirect_sender(void **state)
{
	static const struct readers readers = { .each = each_reader,
	    .forward_sender = forward_sender };

	(void)state;
	readers_install(&readers);
	assert_int_equal(redirect("new@four.test",
	    "\"sender\":\"ann@other.test\""), CONTROL_OK);
	assert_string_equal(seen.sender, "ann@other.test");
	assert_int_equal(redirect("joe@local.test",
	    "\"sender\":\"ann@other.test\""), CONTROL_OK);
	assert_string_equal(seen.sender, "ann@other.test");
	assert_int_equal(redirect("new@five.test",
	    "\"sender\":\"ann@other.test\""), CONTROL_OK);
	assert_string_equal(seen.sender, "SRS0=ann@mx.test");
	/* Whose sender is one of ours stays as he is. */
	assert_int_equal(redirect("joe@local.test",
	    "\"sender\":\"bob@sender.test\""), CONTROL_OK);
	assert_int_equal(redirect("new@five.test",
	    "\"sender\":\"bob@sender.test\""), CONTROL_OK);
	assert_string_equal(seen.sender, "bob@sender.test");
}

/* --- cat --- */

static void test_cat_several(void **state)
{
	json_t *lines, *line;
	size_t i, heads = 0, bytes = 0, announced = 0;

	(void)state;
	assert_int_equal(world_command(&world, "cat",
	    "{\"sender\":\"ann@*\"}", true, &lines), CONTROL_OK);
	json_array_foreach(lines, i, line) {
		if (json_object_get(line, "hex") != NULL) {
			bytes += strlen(text_at(line, "hex")) / 2;
		} else if (json_object_get(line, "id") != NULL) {
			heads++;
			announced += (size_t)number_at(line, "size");
		}
	}
	json_decref(lines);
	assert_int_equal(heads, 2);
	assert_int_equal(bytes, announced);
	assert_int_equal(bytes, 2 * strlen("Received: by test\r\nx\r\n"));
	assert_int_equal(world_command(&world, "cat",
	    "{\"domain\":\"nowhere.test\"}", true, NULL),
	    CONTROL_NONE_MATCHED);
}

/* --- much of it --- */

enum { WIDE = 1500, MANY = 6000 };

static void send_wide(void)
{
	char *recipients = mem_alloc(WIDE * 24);
	size_t used = 0;

	for (int i = 0; i < WIDE; i++)
		used += (size_t)snprintf(recipients + used, 24,
		    "%sa@d%d.test", i == 0 ? "" : " ", i);
	assert_true(world_send(&world, "b@sender.test", recipients,
	    "x\r\n") != 0);
	mem_free(recipients);
}

/* A message with a slice for each of many domains is changed over several
 * turns, and counts once. */
static void test_wide(void **state)
{
	json_t *answer;

	(void)state;
	send_wide();
	assert_int_equal(world_count_slices(&world), WIDE);
	answer = answer_of("hold", "{\"all\":true}", NULL);
	assert_int_equal(number_at(answer, "messages"), 1);
	assert_int_equal(number_at(answer, "recipients"), WIDE);
	json_decref(answer);
	assert_int_equal(world_count_schedule(&world), 0);
	/* Selected by what the change takes away from it. */
	answer = answer_of("release", "{\"state\":\"held\"}", NULL);
	assert_int_equal(number_at(answer, "messages"), 1);
	assert_int_equal(number_at(answer, "recipients"), WIDE);
	json_decref(answer);
	assert_int_equal(world_count_schedule(&world), WIDE);
	answer = answer_of("delete", "{\"all\":true}", NULL);
	assert_int_equal(number_at(answer, "messages"), 1);
	assert_int_equal(number_at(answer, "recipients"), WIDE);
	json_decref(answer);
	assert_int_equal(world_count_slices(&world), 0);
	assert_int_equal(world_count_messages(&world), 0);
}

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

static void begin(struct talk *talk, const char *request)
{
	struct process_caller caller = { .uid = 1, .privileged = true };
	int fds[2];

	memset(talk, 0, sizeof(*talk));
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0,
	    fds), 0);
	talk->fd = fds[1];
	queue_control(world.queue, fds[0], &caller);
	assert_int_equal(write(talk->fd, request, strlen(request)),
	    strlen(request));
}

/* The new one is there, and some of the old ones are, too. */
static void redirect_half(struct talk *talk)
{
	send_wide();
	begin(talk, "{\"verb\":\"redirect\",\"arguments\":{\"to\":"
	    "\"new@four.test\",\"state\":\"active\"}}\n");
	while (listed("{\"domain\":\"four.test\"}") == 0)
		if (has_ended(talk))
			fail_msg("%s", talk->text);
	assert_true(world_count_slices(&world) > 1);
}

/* A message of very many domains gives way step by step, and all of it, though
 * its state is another by then and the caller has enough. */
static void test_redirect_wide(void **state)
{
	struct talk *talk = mem_alloc(sizeof(*talk));

	(void)state;
	redirect_half(talk);
	assert_int_equal(write(talk->fd, "{\"stop\":true}\n", 14), 14);
	world_command(&world, "hold", "{\"domain\":\"d*.test\"}", true,
	    NULL);
	assert_true(world_wait(has_ended, talk, 60000));
	assert_int_equal(world_count_slices(&world), 1);
	assert_int_equal(listed("{\"domain\":\"four.test\"}"), 1);
	assert_non_null(strstr(talk->text, "\"messages\":1,\"recipients\":"
	    "1500"));
	assert_non_null(strstr(talk->text, "{\"end\":130"));
	close(talk->fd);
	mem_free(talk);
}

static void test_redirect_gone(void **state)
{
	struct talk *talk = mem_alloc(sizeof(*talk));

	(void)state;
	redirect_half(talk);
	close(talk->fd);
	world_turn(50);
	assert_int_equal(world_count_slices(&world), 1);
	assert_int_equal(listed("{\"domain\":\"four.test\"}"), 1);
	mem_free(talk);
}

/* Told to stop it stops, keeps what it did and says how much that is; and it
 * had said how far it was, since it was asked to. */
static void test_stop(void **state)
{
	struct talk *talk = mem_alloc(sizeof(*talk));
	size_t left;
	const char *end;
	json_t *answer;
	char *line;

	(void)state;
	world_fill(&world, MANY);
	begin(talk, "{\"verb\":\"delete\",\"arguments\":{\"all\":true,"
	    "\"progress\":true}}\n");
	world_turn(0);
	usleep(300000);
	while (strchr(talk->text, '\n') == NULL) {
		world_turn(0);
		if (has_ended(talk))
			fail_msg("%s", talk->text);
	}
	assert_memory_equal(talk->text, "{\"progress\":{\"seen\":", 20);
	assert_int_equal(write(talk->fd, "{\"stop\":true}\n", 14), 14);
	assert_true(world_wait(has_ended, talk, 60000));
	left = world_count_messages(&world);
	assert_true(left > 0 && left < MANY);
	line = strstr(talk->text, "{\"verb\":\"delete\"");
	assert_non_null(line);
	end = strstr(line, "{\"end\":130");
	assert_non_null(end);
	assert_non_null(strstr(end, "stopped"));
	answer = json_loads(line, JSON_DISABLE_EOF_CHECK, NULL);
	assert_int_equal(number_at(answer, "messages"), MANY - left);
	json_decref(answer);
	close(talk->fd);
	/* The rest goes when nobody stops it. */
	answer = answer_of("delete", "{\"domain\":\"d*.test\"}", NULL);
	assert_int_equal(number_at(answer, "messages"), left);
	json_decref(answer);
	assert_int_equal(world_count_messages(&world), 0);
	mem_free(talk);
}

/* A caller who goes away takes the walk along, and nothing else. */
static void test_gone(void **state)
{
	struct talk *talk = mem_alloc(sizeof(*talk));
	size_t left;

	(void)state;
	world_fill(&world, MANY);
	begin(talk, "{\"verb\":\"delete\",\"arguments\":{\"all\":true}}\n");
	world_turn(0);
	close(talk->fd);
	world_turn(20);
	left = world_count_messages(&world);
	assert_true(left > 0 && left < MANY);
	world_turn(20);
	assert_int_equal(world_count_messages(&world), left);
	assert_int_equal(listed("{\"limit\":10}"), 10);
	mem_free(talk);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
#define EMPTY(f) cmocka_unit_test_setup_teardown(f, setup_empty, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_selectors),
		TEST(test_identifiers),
		TEST(test_bad_arguments),
		TEST(test_dry_run),
		TEST(test_dry_run_line),
		TEST(test_redirect),
		TEST(test_redirect_in_flight),
		TEST(test_redirect_held),
		TEST(test_redirect_tag),
		TEST(test_redirect_refused),
		TEST(test_redirect_aliases),
		TEST(test_redirect_sender),
		TEST(test_cat_several),
		EMPTY(test_wide),
		EMPTY(test_redirect_wide),
		EMPTY(test_redirect_gone),
		EMPTY(test_stop),
		EMPTY(test_gone),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
