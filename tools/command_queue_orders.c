/* SPDX-License-Identifier: ISC */
/*
 * Standing orders at the command line: hold-rule add, list and remove; pause,
 * resume, and what is paused.
 */
#include "tools/command_queue.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/control.h"
#include "tools/command_text.h"
#include "tools/control_client.h"
#include "tools/queue_request.h"

/* --- printing --- */

static void print_part(const json_t *order, const char *name)
{
	const json_t *value = json_object_get(order, name);

	if (value == NULL)
		return;
	printf("  %s ", name);
	if (json_is_integer(value))
		printf("%lld", (long long)json_integer_value(value));
	else
		text_print(json_string_length(value) == 0 ? "<>" :
		    json_string_value(value), 0);
}

static void print_end(const json_t *order)
{
	const char *ends = text_of(order, "ends");

	printf("    ");
	text_print(text_of(order, "reason"), 0);
	printf(" (%s by ", text_of(order, "made"));
	text_print(text_of(order, "author"), 0);
	printf(ends[0] == '\0' ? ")\n" : ", until %s)\n", ends);
}

static void print_order(void *arg, const json_t *order)
{
	static const char *const parts[] = { "sender", "recipient", "domain",
	    "client", "user", "larger" };
	unsigned *count = arg;
	size_t i;

	(*count)++;
	if (text_of(order, "place")[0] != '\0') {
		text_print(text_of(order, "place"), 0);
		printf("\n");
		print_end(order);
		return;
	}
	printf("%lld", number_of(order, "number"));
	for (i = 0; i < sizeof(parts) / sizeof(parts[0]); i++)
		print_part(order, parts[i]);
	printf("  held %lld\n", number_of(order, "held"));
	print_end(order);
}

static void print_added(void *arg, const json_t *order)
{
	(void)arg;
	printf("rule %lld\n", number_of(order, "number"));
}

static void print_removed(void *arg, const json_t *object)
{
	(void)arg;
	printf("rule %lld removed\n", number_of(object, "number"));
}

static void print_paused(void *arg, const json_t *order)
{
	(void)arg;
	text_print(text_of(order, "place"), 0);
	printf(" paused\n");
}

static void print_resumed(void *arg, const json_t *object)
{
	(void)arg;
	text_print(text_of(object, "place"), 0);
	printf(" resumed\n");
}

/* --- what both have --- */

/* -1: go on, else the exit status. */
static int check_terms(const struct queue_request *request)
{
	const json_t *ends = json_object_get(request->arguments, "ends");

	if (json_string_length(json_object_get(request->arguments,
	    "reason")) == 0)
		return queue_request_usage(request, "--reason: why? a few "
		    "words that are kept and shown, such as \"ticket 7\"");
	/* Zero is no end for the queue. */
	if (json_is_integer(ends) && json_integer_value(ends) == 0)
		return queue_request_usage(request, "--for: 1 second at "
		    "least");
	return -1;
}

/* --- hold-rule --- */

/* "<>" is the null sender, as everywhere. */
static int run_add(struct queue_request *request)
{
	const char *sender = json_string_value(json_object_get(
	    request->arguments, "sender"));
	int status = check_terms(request);

	if (status != -1)
		return status;
	if (sender != NULL && strcmp(sender, "<>") == 0)
		json_object_set_new(request->arguments, "sender",
		    json_string(""));
	return queue_request_ask(request, "hold-rule-add", print_added, NULL);
}

/* Silence could be anything. */
static int list(struct queue_request *request, const char *none)
{
	unsigned count = 0;
	int status = queue_request_ask(request, "hold-rule-list", print_order,
	    &count);

	if (status == CONTROL_OK && count == 0 && !request->json)
		fprintf(stderr, "postern: %s\n", none);
	return status;
}

static int run_list(struct queue_request *request)
{
	return list(request, "there are no rules");
}

static int run_remove(struct queue_request *request)
{
	char *end;
	long long number = strtoll(request->before, &end, 10);

	if (end == request->before || *end != '\0' || number < 1)
		return queue_request_usage(request, "the number of a rule is "
		    "expected, as `postern queue hold-rule list` shows it");
	json_object_set_new(request->arguments, "number",
	    json_integer(number));
	return queue_request_ask(request, "hold-rule-remove", print_removed,
	    NULL);
}

static const struct queue_option add_options[] = {
	{ .name = "sender", .kind = QUEUE_ADDRESS, .value = "ADDRESS",
	    .help = "sender; * stands for anything, <> for none" },
	{ .name = "recipient", .kind = QUEUE_ADDRESS, .value = "ADDRESS",
	    .help = "recipient: only those it fits are held" },
	{ .name = "domain", .kind = QUEUE_DOMAIN, .value = "DOMAIN",
	    .help = "domain of a recipient" },
	{ .name = "client", .kind = QUEUE_TEXT, .value = "PATTERN",
	    .help = "who hands it in, \"name [address]\": \"*[192.0.2.*]\"" },
	{ .name = "user", .kind = QUEUE_TEXT, .value = "USER",
	    .help = "who has logged in to hand it in" },
	{ .name = "larger", .kind = QUEUE_SIZE, .value = "SIZE",
	    .help = "at least so large" },
	{ .name = "reason", .kind = QUEUE_TEXT, .value = "TEXT",
	    .help = "why; it is shown with what is held", .needed = true },
	{ .name = "for", .kind = QUEUE_AGE, .value = "TIME", .member = "ends",
	    .help = "the rule ends by itself after that time" },
	{ .name = NULL }
};

static const struct queue_command command_add = {
	.name = "add", .summary = "hold what comes in and fits",
	.options = add_options, .run = run_add,
	.help = "All that are given must fit. What is held waits for `postern "
	"queue release`, also when\nthe rule has ended.\n" };
static const struct queue_command command_list = {
	.name = "list", .summary = "the rules there are", .run = run_list };
static const struct queue_command command_remove = {
	.name = "remove", .summary = "end a rule", .before = "NUMBER",
	.run = run_remove };

static const struct queue_command *const rule_commands[] = { &command_add,
    &command_list, &command_remove, NULL };

const struct queue_command queue_command_hold_rule = {
	.name = "hold-rule", .summary = "hold what comes in, by rule",
	.commands = rule_commands };

/* --- pause and resume --- */

static int run_pause(struct queue_request *request)
{
	int status = check_terms(request);

	if (status != -1)
		return status;
	json_object_set_new(request->arguments, "place",
	    json_string(request->before));
	return queue_request_ask(request, "pause", print_paused, NULL);
}

/* What waits for its host tries now: the queue knows that it was for a pause.
 * Others that are still paused wait on, and there may be none. */
static void retry(const struct queue_request *request)
{
	struct control_client_answer answer = { .line = NULL };
	int status = control_client_ask_quietly(request->conf, ROLE_QUEUE,
	    "retry", json_pack("{s:s}", "reason", "paused"), &answer);

	if (status != CONTROL_OK && status != CONTROL_NONE_MATCHED)
		fprintf(stderr, "postern: %s\n", answer.message);
}

static int run_resume(struct queue_request *request)
{
	int status;

	json_object_set_new(request->arguments, "place",
	    json_string(request->before));
	status = queue_request_ask(request, "resume", print_resumed, NULL);
	if (status == CONTROL_OK)
		retry(request);
	return status;
}

static int run_pauses(struct queue_request *request)
{
	json_object_set_new(request->arguments, "kind", json_string("pause"));
	return list(request, "nothing is paused");
}

static const struct queue_option pause_options[] = {
	{ .name = "reason", .kind = QUEUE_TEXT, .value = "TEXT",
	    .help = "why; it is shown with what waits", .needed = true },
	{ .name = "for", .kind = QUEUE_AGE, .value = "TIME", .member = "ends",
	    .help = "it ends by itself after that time" },
	{ .name = NULL }
};

const struct queue_command queue_command_pause = {
	.name = "pause", .before = "DESTINATION|HOST",
	.summary = "nothing is sent there until resume",
	.options = pause_options, .run = run_pause,
	.help = "A domain of recipients, the host of a route, the name or the "
	"address of a host\nthat takes mail for many domains; \"*\" stands for "
	"anything. What is under way ends.\nNothing is given up meanwhile.\n" };
const struct queue_command queue_command_resume = {
	.name = "resume", .before = "DESTINATION|HOST",
	.summary = "ends a pause; what waited is tried", .run = run_resume };
const struct queue_command queue_command_pauses = {
	.name = "pauses", .summary = "what is paused", .run = run_pauses };
