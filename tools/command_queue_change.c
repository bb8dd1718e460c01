/* SPDX-License-Identifier: ISC */
/*
 * hold, release, retry, delete, bounce, set-tls and redirect: what changes the
 * mail that is there.
 */
#include "tools/command_queue.h"

#include "tools/queue_options.h"
#include "tools/queue_print.h"

enum { CHANGES = QUEUE_SELECTORS | QUEUE_DRY_RUN | QUEUE_PROGRESS };

/* The verb's name is the command's. */
static int run(struct queue_request *request)
{
	return queue_request_ask(request, request->command->name,
	    queue_print_change, NULL);
}

static int run_set_tls(struct queue_request *request)
{
	if (json_string_length(json_object_get(request->arguments,
	    "note")) == 0)
		return queue_request_usage(request, "--reason: why? a few "
		    "words that are kept with the messages, such as \"ticket "
		    "41\"");
	json_object_set_new(request->arguments, "level",
	    json_string(request->after));
	return run(request);
}

static int run_redirect(struct queue_request *request)
{
	json_object_set_new(request->arguments, "to",
	    json_string(request->before));
	return run(request);
}

static const struct queue_option note_options[] = {
	{ .name = "note", .kind = QUEUE_TEXT, .value = "TEXT",
	    .help = "why; whoever meets the result can read it" },
	{ .name = NULL }
};

/* The selector of that name has another one here. */
static const struct queue_option set_tls_options[] = {
	{ .name = "reason", .kind = QUEUE_TEXT, .value = "TEXT",
	    .help = "why; it is kept with the messages (the selector by "
	    "reason is --failure here)", .member = "note", .needed = true },
	{ .name = "note", .kind = QUEUE_TEXT, .value = "TEXT",
	    .help = "the same as --reason" },
	{ .name = NULL }
};

static const char set_tls_help[] =
"LEVEL, the last word of the line, replaces the level of the destination for\n"
"these messages, and what an exception says; it does not weaken REQUIRETLS:\n"
"  none, may, encrypt, auto, dane, dane-only, sts, strict (postern.conf(5)),\n"
"  or default to take back what was set\n"
"The messages are tried at once, unless they are held.\n";

const struct queue_command queue_command_hold = { .name = "hold",
    .summary = "keep messages until they are released", .takes = CHANGES,
    .options = note_options, .run = run };

const struct queue_command queue_command_release = { .name = "release",
    .summary = "let held messages go on", .takes = CHANGES, .run = run };

const struct queue_command queue_command_retry = { .name = "retry",
    .summary = "try messages now", .takes = CHANGES, .run = run };

const struct queue_command queue_command_delete = { .name = "delete",
    .summary = "remove messages; nobody is told", .takes = CHANGES,
    .run = run };

const struct queue_command queue_command_bounce = { .name = "bounce",
    .summary = "return messages to their senders", .takes = CHANGES,
    .options = note_options, .run = run };

const struct queue_command queue_command_set_tls = { .name = "set-tls",
    .summary = "what TLS messages need from now on, instead of what their "
    "destinations need", .after = "LEVEL",
    .after_words = queue_options_levels, .takes = CHANGES,
    .options = set_tls_options, .help = set_tls_help, .run = run_set_tls };

const struct queue_command queue_command_redirect = { .name = "redirect",
    .summary = "send messages to another recipient instead",
    .before = "ADDRESS", .takes = CHANGES, .run = run_redirect };
