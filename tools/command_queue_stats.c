/* SPDX-License-Identifier: ISC */
/*
 * postern queue stats: how much is there, and of what. Tables follow each other
 * as the queue sends them; a line of another kind begins the next one.
 */
#include "tools/command_queue.h"

#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "tools/command_text.h"
#include "tools/queue_totals.h"

enum { ROWS_DEFAULT = 20 };

/* The tables, by the member that names a row. */
enum kind { KIND_DOMAIN, KIND_HOST, KIND_STATE, KIND_REASON, KIND_CLASS,
    KIND_AGE, KIND_TOTAL, KINDS };

static const char *const members[KINDS] = { [KIND_DOMAIN] = "domain",
    [KIND_HOST] = "host", [KIND_STATE] = "state", [KIND_REASON] = "reason",
    [KIND_CLASS] = "class", [KIND_AGE] = "age", [KIND_TOTAL] = "total" };

struct printing {
	int		 kind;		/* of the line before; -1: none */
	long long	 domains;	/* lines about domains so far */
};

static enum kind kind_of(const json_t *object)
{
	enum kind kind = KIND_DOMAIN;

	while (kind < KIND_TOTAL && json_object_get(object,
	    members[kind]) == NULL)
		kind++;
	return kind;
}

static void print_heading(enum kind kind)
{
	switch (kind) {
	case KIND_DOMAIN:
		printf("%-30s %8s %10s %6s %8s %8s %6s  %s\n", "domain",
		    "messages", "recipients", "bytes", "active", "deferred",
		    "held", "oldest");
		return;
	case KIND_AGE:
		printf("%-30s %8s %10s %6s\n", "age", "messages",
		    "recipients", "bytes");
		return;
	default:
		printf("%-39s %10s\n", kind == KIND_CLASS ?
		    "class of reasons" : members[kind], "recipients");
	}
}

static void print_sums(const char *name, const json_t *row)
{
	char bytes[32];

	queue_totals_size(number_of(row, "bytes"), bytes, sizeof(bytes));
	text_print(name, 30);
	printf(" %8lld %10lld %6s", number_of(row, "messages"),
	    number_of(row, "recipients"), bytes);
}

static void print_counts(const char *name, const json_t *row)
{
	print_sums(name, row);
	printf(" %8lld %8lld %6lld  %s\n", number_of(row, "active"),
	    number_of(row, "deferred"), number_of(row, "held"),
	    text_of(row, "oldest"));
}

static void print_total(const struct printing *printing, const json_t *total)
{
	char lines[QUEUE_TOTALS_LINES][QUEUE_TOTALS_LINE];
	long long more = number_of(total, "domains") - printing->domains;
	int count = queue_totals_lines(total, lines, QUEUE_TOTALS_LINES);

	if (printing->kind != KIND_DOMAIN) {
		if (printing->kind != -1)
			printf("\n");
		print_heading(KIND_DOMAIN);
	}
	print_counts("(all)", total);
	if (printing->domains > 0 && more > 0)
		printf("%lld more domain(s): --limit shows more\n", more);
	printf("\n");
	for (int i = 0; i < count; i++)
		text_line(0, lines[i]);
}

static void print_line(void *arg, const json_t *object)
{
	struct printing *printing = arg;
	enum kind kind = kind_of(object);
	const char *name = text_of(object, members[kind]);

	if (kind == KIND_TOTAL) {
		print_total(printing, json_object_get(object, "total"));
		return;
	}
	if (printing->kind != (int)kind) {
		if (printing->kind != -1)
			printf("\n");
		print_heading(kind);
	}
	printing->kind = (int)kind;
	if (kind == KIND_DOMAIN) {
		printing->domains++;
		print_counts(name, object);
	} else if (kind == KIND_AGE) {
		print_sums(name, object);
		printf("\n");
	} else {
		text_print(name, 39);
		printf(" %10lld\n", number_of(object, "recipients"));
	}
}

/* "host,reason" as a list. */
static void split_tables(struct queue_request *request)
{
	const char *text = json_string_value(json_object_get(
	    request->arguments, "by"));
	json_t *tables = json_array();
	char *copy, *rest, *word;

	if (text == NULL) {
		json_decref(tables);
		return;
	}
	copy = rest = mem_dup_string(text);
	while ((word = strsep(&rest, ",")) != NULL)
		json_array_append_new(tables, json_string(word));
	mem_free(copy);
	json_object_set_new(request->arguments, "by", tables);
}

static int run(struct queue_request *request)
{
	struct printing printing = { .kind = -1 };

	split_tables(request);
	if (!request->json && json_object_get(request->arguments,
	    "limit") == NULL)
		json_object_set_new(request->arguments, "limit",
		    json_integer(ROWS_DEFAULT));
	return queue_request_ask(request, "stats", print_line, &printing);
}

static const char *tables(size_t i)
{
	static const char *const words[] = { "domain", "host", "state",
	    "reason", "age", "all" };

	return i < sizeof(words) / sizeof(words[0]) ? words[i] : NULL;
}

static const struct queue_option options[] = {
	{ .name = "by", .kind = QUEUE_WORD, .value = "TABLE", .help =
	    "domain (default), host, state, reason, age or all; several with "
	    "commas between", .words = tables },
	{ .name = "limit", .kind = QUEUE_COUNT, .value = "NUMBER", .help =
	    "of rows of a table, the largest first; 20, with --json all" },
	{ .name = NULL }
};

const struct queue_command queue_command_stats = { .name = "stats",
    .summary = "how much is queued, by domain, host, state, reason or age",
    .takes = QUEUE_SELECTORS | QUEUE_PROGRESS, .options = options,
    .help = "Without selectors the answer is at hand, however large the "
    "queue; with them\nall of it is read.\n", .run = run };
