/* SPDX-License-Identifier: ISC */
/*
 * list, show and cat: what is there. show asks policy, too, what the next
 * attempts will do, when the queue has said all it has.
 */
#include "tools/command_queue.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/control.h"
#include "tools/command_queue_next.h"
#include "tools/command_text.h"
#include "tools/queue_print.h"
#include "tools/queue_totals.h"

/* A screen is not for the thousand recipients of one message; a pipe gets what
 * there is. */
enum { TERMINAL_RECIPIENTS = 5 };

struct list {
	size_t		 most;		/* recipients of each; 0: all */
	long long	 messages, recipients, bytes;
};

static void print_message(void *arg, const json_t *object)
{
	struct list *list = arg;

	list->messages++;
	list->recipients += number_of(object, "selected");
	list->bytes += number_of(object, "size");
	queue_print_message(object, list->most);
}

static void print_total(const struct list *list)
{
	char size[32];

	queue_totals_size(list->bytes, size, sizeof(size));
	printf("%lld message%s, %lld recipient%s, %s%s\n", list->messages,
	    list->messages == 1 ? "" : "s", list->recipients,
	    list->recipients == 1 ? "" : "s", size,
	    list->bytes < 1000 ? " bytes" : "");
}

/* The total is one if nothing was left out. */
static int run_list(struct queue_request *request)
{
	const json_t *limit = json_object_get(request->arguments, "limit");
	bool all = json_object_get(request->arguments,
	    "all-recipients") != NULL;
	struct list list = { .most = !all && isatty(STDOUT_FILENO) ?
	    TERMINAL_RECIPIENTS : 0 };
	int status = queue_request_ask(request, "list", print_message, &list);

	if (status == CONTROL_OK && !request->json && (limit == NULL ||
	    list.messages < json_integer_value(limit)))
		print_total(&list);
	return status;
}

/* --- show --- */

struct show {
	const struct queue_request *request;
	/* Messages that policy will be asked about; null when there are too
	 * many. */
	json_t	*kept;		/* owned */
};

static void show(const struct show *shown, const json_t *object)
{
	if (shown->request->json)
		text_print_json(object);
	else
		queue_print_message(object, 0);
}

/* When there are more than policy is asked about, nothing is kept any more. */
static void keep(void *arg, const json_t *object)
{
	struct show *shown = arg;
	const json_t *message;
	size_t i;

	if (shown->kept == NULL) {
		show(shown, object);
		return;
	}
	json_array_append(shown->kept, (json_t *)object);
	if (json_array_size(shown->kept) <= QUEUE_NEXT_MESSAGES)
		return;
	json_array_foreach(shown->kept, i, message)
		show(shown, message);
	json_decref(shown->kept);
	shown->kept = NULL;
}

static int run_show(struct queue_request *request)
{
	struct show shown = { .request = request, .kept = json_array() };
	int status = queue_request_ask_all(request, "show", keep, &shown);
	const json_t *message;
	size_t i;

	if (shown.kept == NULL) {
		fflush(stdout);
		fprintf(stderr, "postern: policy was not asked what the next "
		    "attempts will do, since there are more than %d messages; "
		    "choose fewer\n", QUEUE_NEXT_MESSAGES);
		return status;
	}
	json_array_foreach(shown.kept, i, message) {
		show(&shown, message);
		fflush(stdout);
		queue_next_tell(request->conf, message, request->json);
	}
	json_decref(shown.kept);
	return status;
}

/* --- cat --- */

struct cat {
	bool	 alone;		/* the message that was asked for, no other */
	bool	 mid_line;	/* in what was printed */
};

/* Bytes as they are; before each of several messages a line says which it is,
 * and how many bytes of it follow. */
static void print_piece(void *arg, const json_t *object)
{
	struct cat *cat = arg;
	const char *hex = json_string_value(json_object_get(object, "hex"));
	size_t length = hex == NULL ? 0 : strlen(hex);

	if (hex != NULL) {
		queue_print_bytes(hex);
		if (length >= 2)
			cat->mid_line = strcmp(hex + length - 2, "0a") != 0;
		return;
	}
	if (cat->alone)
		return;
	printf("%s==> %s, %lld bytes, from <", cat->mid_line ? "\n" : "",
	    text_of(object, "id"), number_of(object, "size"));
	text_print(text_of(object, "sender"), 0);
	printf("> <==\n");
	cat->mid_line = false;
}

static int run_cat(struct queue_request *request)
{
	const json_t *ids = json_object_get(request->arguments, "id");
	struct cat cat = { .alone = json_array_size(ids) == 1 };

	return queue_request_ask(request, "cat", print_piece, &cat);
}

/* --- the rows --- */

static const struct queue_option list_options[] = {
	{ .name = "all-recipients", .kind = QUEUE_FLAG, .help = "1,500 "
	    "recipients of a message instead of 100, and of 5 on a terminal" },
	{ .name = NULL }
};

static const struct queue_option cat_options[] = {
	{ .name = "original", .kind = QUEUE_FLAG,
	    .help = "as it came in, before filters changed it" },
	{ .name = NULL }
};

static const char cat_help[] =
"Of one ID the message is printed and nothing else. Before each of several\n"
"stands a line \"==> ID, SIZE bytes, from <SENDER> <==\".\n";

const struct queue_command queue_command_list = { .name = "list",
    .summary = "one entry a message, and how many there are",
    .takes = QUEUE_SELECTORS | QUEUE_PROGRESS, .options = list_options,
    .run = run_list };

const struct queue_command queue_command_show = { .name = "show",
    .summary = "everything about messages: each recipient, its last attempt, "
    "and what the next one will ask for",
    .takes = QUEUE_SELECTORS | QUEUE_PROGRESS, .run = run_show };

const struct queue_command queue_command_cat = { .name = "cat",
    .summary = "print messages themselves, as they will be sent",
    .takes = QUEUE_SELECTORS | QUEUE_PROGRESS, .options = cat_options,
    .help = cat_help, .run = run_cat };
