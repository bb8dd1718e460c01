/* SPDX-License-Identifier: ISC */
/*
 * history: what became of recipients that are done with, newest first. A line
 * for each; with --verbose, or when messages are named, what is known of the
 * message and each attempt below it.
 */
#include "tools/command_queue.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "base/control.h"
#include "tools/command_text.h"
#include "tools/command_time.h"
#include "tools/queue_options.h"
#include "tools/queue_print.h"

/* A screen or two; a pipe gets all. */
enum { TERMINAL_LIMIT = 50 };

/* --- printing --- */

static void print_recipient(const json_t *object, const json_t *recipient)
{
	const char *original = text_of(recipient, "original");

	printf("%s  %s  %-10s  ", text_of(recipient, "finished"),
	    text_of(object, "id"), text_of(recipient, "outcome"));
	text_print(text_of(recipient, "address"), 0);
	if (original[0] != '\0') {
		printf(" (");
		text_print(original, 0);
		printf(")");
	}
	printf(" from <");
	text_print(text_of(object, "sender"), 0);
	printf(">");
	queue_print_reply(recipient);
	printf("\n");
}

static void print_origin(const json_t *object)
{
	static const char *const names[] = { "user", "client", "helo",
	    "protocol", "tls", "tls-tag" };

	printf("    arrived %s, %lld bytes, for %lld recipient(s)%s\n",
	    text_of(object, "arrival"), number_of(object, "size"),
	    number_of(object, "accepted"), is_true(object, "notification") ?
	    ", a notification of ours" : "");
	queue_print_texts(object, names, sizeof(names) / sizeof(names[0]));
	if (number_of(object, "unkept") > 0)
		printf("    %lld attempt(s) were not kept\n",
		    number_of(object, "unkept"));
}

static void print_object(void *arg, const json_t *object)
{
	const json_t *recipients = json_object_get(object, "recipients");
	const json_t *attempts = json_object_get(object, "attempts");
	size_t i;

	(void)arg;
	for (i = 0; i < json_array_size(recipients); i++)
		print_recipient(object, json_array_get(recipients, i));
	if (attempts == NULL)
		return;
	print_origin(object);
	queue_print_attempts(attempts);
}

/* --- the command line --- */

/* -1: all is well; else the exit status. */
static int put_moment(struct queue_request *request, const char *name)
{
	const char *text = json_string_value(json_object_get(request->own,
	    name));
	int64_t moment;

	if (text == NULL)
		return -1;
	moment = command_read_moment(text);
	if (moment <= 0)
		return queue_request_wrong(request, name, text, "a moment is "
		    "expected: 2026-12-24, or 2026-12-24T12:00Z");
	json_object_set_new(request->arguments, name, json_integer(moment));
	return -1;
}

static int run(struct queue_request *request)
{
	json_t *arguments = request->arguments;
	bool names_ids = json_object_get(arguments, "id") != NULL;
	int status = put_moment(request, "since");

	if (status == -1)
		status = put_moment(request, "until");
	if (status != -1)
		return status;
	if (request->json || names_ids ||
	    json_is_true(json_object_get(request->own, "verbose")))
		json_object_set_new(arguments, "attempts", json_true());
	if (!request->json && !names_ids && isatty(STDOUT_FILENO) &&
	    json_object_get(arguments, "limit") == NULL &&
	    json_object_get(arguments, "all") == NULL)
		json_object_set_new(arguments, "limit",
		    json_integer(TERMINAL_LIMIT));
	return queue_request_ask(request, "history", print_object, NULL);
}

static const char *outcomes(size_t i)
{
	static const char *const words[] = { "delivered", "relayed", "failed",
	    "expired", "bounced", "deleted", "redirected" };

	return i < sizeof(words) / sizeof(words[0]) ? words[i] : NULL;
}

static const struct queue_option options[] = {
	{ .name = "outcome", .kind = QUEUE_WORD, .value = "OUTCOME",
	    .help = "delivered, relayed, failed, expired, bounced, deleted or "
	    "redirected", .words = outcomes },
	{ .name = "host", .kind = QUEUE_DOMAIN, .value = "HOST",
	    .help = "of any attempt: its name, or its address" },
	{ .name = "reason", .kind = QUEUE_WORD, .value = "REASON",
	    .help = "of any attempt; a word of those below",
	    .words = queue_options_reasons },
	{ .name = "older", .kind = QUEUE_AGE, .value = "TIME",
	    .help = "done with so long ago: seconds, or with s, m, h, d" },
	{ .name = "newer", .kind = QUEUE_AGE, .value = "TIME",
	    .help = "done with since then" },
	{ .name = "since", .kind = QUEUE_TEXT, .value = "WHEN",
	    .help = "done with from then on: 2026-12-24, or "
	    "2026-12-24T12:00Z", .local = true },
	{ .name = "until", .kind = QUEUE_TEXT, .value = "WHEN",
	    .help = "done with before that", .local = true },
	{ .name = "limit", .kind = QUEUE_COUNT, .value = "NUMBER",
	    .help = "so many entries; on a terminal 50 if nothing is said" },
	{ .name = "verbose", .letter = 'v', .kind = QUEUE_FLAG,
	    .help = "each attempt, and where the message came from",
	    .local = true },
	{ .name = NULL }
};

const struct queue_command queue_command_history = { .name = "history",
    .summary = "what became of recipients that are done with, newest first",
    .takes = QUEUE_SELECTORS, .options = options, .run = run };
