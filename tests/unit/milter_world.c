/* SPDX-License-Identifier: ISC */
/*
 * One loop for the milter and its filter; a timer ends what hangs.
 */
#include "tests/unit/milter_world.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/loop.h"
#include "base/mem.h"

enum { GIVE_UP_MS = 20000 };

static struct timer clock_timer;
static bool running, late;

static const char *macro(void *arg, const char *name)
{
	static const char *const set[][2] = { { "j", "mx.example.org" },
	    { "{daemon_name}", "smtp" }, { "_", "client [192.0.2.7]" },
	    { "{tls_version}", "TLSv1.3" }, { "i", "4711" },
	    { "{auth_authen}", "bob" }, { "{mail_addr}", "a@example.net" },
	    { "{rcpt_mailer}", "local" }, { "{msg_id}", "<1@example.net>" } };

	(void)arg;
	for (size_t i = 0; i < sizeof(set) / sizeof(set[0]); i++)
		if (strcmp(set[i][0], name) == 0)
			return set[i][1];
	return NULL;
}

static void done(void *arg, const struct milter_answer *answer)
{
	struct milter_world *world = arg;
	void (*react)(struct milter_world *) = world->react;

	assert_true(running);		/* never before the call returns */
	world->answers++;
	world->action = answer->action;
	world->code = answer->code;
	snprintf(world->enhanced, sizeof(world->enhanced), "%s",
	    answer->enhanced);
	snprintf(world->text, sizeof(world->text), "%s", answer->text);
	snprintf(world->why, sizeof(world->why), "%s",
	    answer->action == MILTER_FAILED ? answer->why : "");
	if (react != NULL) {
		world->react = NULL;
		world->answers--;
		react(world);
		/* Borrowed until done returns, whatever was done in it. */
		assert_true(strlen(answer->text) < sizeof(world->text));
		assert_true(strlen(answer->why) < sizeof(world->why));
		return;
	}
	loop_stop();
}

static void stop(void *arg)
{
	(void)arg;
	late = true;
	loop_stop();
}

/* Until then, or until one of these is no longer what it was. */
static void run(int milliseconds, const unsigned *answers, const bool *ended)
{
	unsigned before = answers == NULL ? 0 : *answers;

	timer_start(&clock_timer, milliseconds, stop, NULL);
	late = false;
	running = true;
	while (!late && (answers == NULL || *answers == before) &&
	    (ended == NULL || !*ended))
		loop_run();
	running = false;
	timer_stop(&clock_timer);
}

enum milter_action milter_world_run(struct milter_world *world)
{
	unsigned before = world->answers;

	run(GIVE_UP_MS, &world->answers, NULL);
	assert_int_equal(world->answers, before + 1);
	return world->action;
}

void milter_world_pass(struct milter_world *world, int milliseconds)
{
	run(milliseconds, NULL, &world->filter.ended);
}

void milter_world_fail(struct milter_world *world)
{
	int64_t limit = clock_monotonic() + GIVE_UP_MS;

	while (!milter_has_failed(world->milter) && clock_monotonic() < limit)
		run(1, NULL, NULL);
	assert_true(milter_has_failed(world->milter));
}

static size_t read_body(void *arg, uint64_t offset, char *out, size_t size)
{
	struct milter_world *world = arg;
	size_t left = buf_length(&world->body);

	assert_true(offset <= left);
	left -= (size_t)offset;
	if (left > size)
		left = size;
	if (world->piece > 0 && left > world->piece)
		left = world->piece;
	memcpy(out, buf_data(&world->body) + offset, left);
	return left;
}

void milter_world_message(struct milter_world *world, const char *header,
    const char *body, size_t length)
{
	fields_free(world->fields);
	world->fields = fields_new();
	fields_feed(world->fields, header, strlen(header));
	fields_feed(world->fields, "\r\n", 2);
	fields_finish(world->fields);
	buf_release(&world->body);
	buf_init(&world->body, 64 << 20);
	buf_add(&world->body, body, length);
	world->content = (struct milter_content){ world->fields, read_body,
	    world };
}

void milter_world_prepare(void)
{
	log_init("test", LOG_LEVEL_FATAL);
	loop_init();
}

void milter_world_init(struct milter_world *world)
{
	memset(world, 0, sizeof(*world));
	milter_filter_init(&world->filter);
	world->settings = (struct milter_settings){ .name = "test",
	    .session = 17, .socket = "/run/filter", .host = "",
	    .connect_ms = 15000, .reply_ms = 15000, .message_ms = 18000,
	    .replace_max = 1 << 20 };
	buf_init(&world->body, 64 << 20);
	milter_world_message(world, "From: a@example.net\r\n"
	    "Subject:  one\r\n\ttwo\r\n", "Hello\r\n.\r\n", 10);
}

static struct milter *milter_of(struct milter_world *world)
{
	if (world->milter == NULL)
		world->milter = milter_new(&world->settings, macro, done,
		    world);
	return world->milter;
}

void milter_world_prepare_milter(struct milter_world *world)
{
	milter_of(world);
}

void milter_world_release(struct milter_world *world)
{
	milter_free(world->milter);
	if (world->filter.stream != NULL && !world->filter.deaf)
		milter_world_pass(world, 1000);
	fields_free(world->fields);
	buf_release(&world->body);
	milter_filter_release(&world->filter);
	run(0, NULL, NULL);
}

enum milter_action milter_world_connect(struct milter_world *world)
{
	struct endpoint client;

	endpoint_parse(&client, "192.0.2.7", 4321);
	milter_connected(milter_of(world), "client.example", &client);
	return milter_world_run(world);
}

enum milter_action milter_world_hello(struct milter_world *world)
{
	milter_hello(milter_of(world), "client.example");
	return milter_world_run(world);
}

enum milter_action milter_world_mail(struct milter_world *world)
{
	static const char *const parameters[] = { "SIZE=100",
	    "BODY=8BITMIME", NULL };

	milter_mail(milter_of(world), "a@example.net", parameters);
	return milter_world_run(world);
}

enum milter_action milter_world_recipient(struct milter_world *world,
    const char *recipient)
{
	milter_recipient(milter_of(world), recipient, NULL);
	return milter_world_run(world);
}

enum milter_action milter_world_data(struct milter_world *world)
{
	milter_data(milter_of(world));
	return milter_world_run(world);
}

enum milter_action milter_world_content(struct milter_world *world)
{
	milter_content(milter_of(world), &world->content);
	return milter_world_run(world);
}

enum milter_action milter_world_whole(struct milter_world *world)
{
	enum milter_action action = milter_world_connect(world);

	if (action == MILTER_CONTINUE)
		action = milter_world_hello(world);
	if (action == MILTER_CONTINUE)
		action = milter_world_mail(world);
	if (action == MILTER_CONTINUE)
		action = milter_world_recipient(world, "b@example.org");
	if (action == MILTER_CONTINUE)
		action = milter_world_data(world);
	if (action == MILTER_CONTINUE)
		action = milter_world_content(world);
	return action;
}

const char *milter_world_edits(struct milter_world *world)
{
	static const char letters[] = "himf+-bq";
	static char text[4096];
	const struct milter_edit *edit;
	size_t used = 0;

	text[0] = '\0';
	TAILQ_FOREACH(edit, milter_edits(world->milter), link)
		used += (size_t)snprintf(text + used, sizeof(text) - used,
		    "%c%u %s|%s;", letters[edit->kind], (unsigned)edit->index,
		    edit->name == NULL ? "" : edit->name,
		    edit->value == NULL ? "-" : edit->value);
	return text;
}
