/* SPDX-License-Identifier: ISC */
/*
 * postern queue top: what the queue does, again and again. On a terminal it is
 * one picture that changes; into a file or a pipe, and with --count or --json,
 * what is seen each time comes one after the other.
 *
 * A server that does not answer keeps nobody waiting: keys are heard while an
 * answer is awaited, and after a deadline it is asked anew.
 */
#include "tools/command_queue.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/control.h"
#include "base/mem.h"
#include "tools/command_text.h"
#include "tools/control_client.h"
#include "tools/live_screen.h"
#include "tools/queue_top_view.h"

enum { INTERVAL_DEFAULT = 2, INTERVAL_MAX = 3600, ROWS_DEFAULT = 20,
    ROWS_MAX = 1000, ANSWER_MILLISECONDS = 10000,
    /* A thousand places are far less. */
    ANSWER_MAX = 4 << 20, READ_BYTES = 64 << 10 };

struct top {
	struct queue_request	*request;
	int64_t			 interval;	/* ms */
	long long		 left;		/* pictures; -1: no end */
	bool			 live;
	bool			 quit;
	size_t			 order;
	struct queue_top_view	 view;
	char			 trouble[256];	/* of the last asking, or "" */
	json_t			*answers;	/* owned; the last whole ones */

	/* an answer on its way */
	int			 fd;		/* -1: none */
	char			*text;		/* owned */
	size_t			 length, size;
	int64_t			 deadline;	/* monotonic, ms */
};

static const char *const orders[] = { "waiting", "rate", "trouble", "name" };
enum { ORDERS = sizeof(orders) / sizeof(orders[0]) };

static const char *order_words(size_t i)
{
	return i < ORDERS ? orders[i] : NULL;
}

/* --- asking --- */

static void hang_up(struct top *top)
{
	if (top->fd != -1)
		close(top->fd);
	top->fd = -1;
	top->length = 0;
}

static json_t *arguments_of(const struct top *top)
{
	json_int_t limit = number_of(top->request->own, "limit");
	size_t width, height;

	live_screen_size(&width, &height);
	if (limit == 0)
		limit = !top->live ? ROWS_DEFAULT :
		    height > ROWS_MAX ? ROWS_MAX : (json_int_t)height;
	return json_pack("{s:s, s:I}", "sort", orders[top->order],
	    "limit", limit);
}

/* 0, or the exit status; on the screen the trouble is shown instead, and the
 * server is asked again. */
static int call(struct top *top)
{
	const struct conf *conf = top->request->conf;
	int error = top->live ? control_client_try(conf) : 0;

	top->deadline = clock_monotonic() + ANSWER_MILLISECONDS;
	snprintf(top->trouble, sizeof(top->trouble), "%s", error == EACCES ?
	    "you may not ask the server" : "the server is not running");
	if (error == 0)
		top->fd = control_client_open(conf, ROLE_QUEUE, "top",
		    arguments_of(top));
	if (top->fd != -1)
		top->trouble[0] = '\0';
	if (top->fd != -1 || top->live)
		return 0;
	return errno == EACCES ? CONTROL_DENIED : CONTROL_UNAVAILABLE;
}

/* The line with "end": whether it was a good one. */
static int take_end(struct top *top, const json_t *line)
{
	int code = (int)number_of(line, "end");

	if (code == CONTROL_OK)
		top->trouble[0] = '\0';
	else
		text_clean(text_of(line, "message"), top->trouble,
		    sizeof(top->trouble));
	return code;
}

/* All lines are there: they become the answers. -1: that is no answer. */
static int take_answer(struct top *top)
{
	json_t *answers = json_array();
	char *rest = top->text, *text;
	int code = -1;

	while (code == -1 && (text = strsep(&rest, "\n")) != NULL) {
		json_t *line = text_read_answer(text, strlen(text));

		if (json_object_get(line, "end") != NULL)
			code = take_end(top, line);
		else if (line != NULL)
			json_array_append(answers, line);
		json_decref(line);
	}
	if (code == CONTROL_OK) {
		json_decref(top->answers);
		top->answers = answers;
		return 0;
	}
	json_decref(answers);
	if (code == -1)
		snprintf(top->trouble, sizeof(top->trouble),
		    "the server closed the connection before its answer was "
		    "complete");
	return -1;
}

enum progress { MORE, COMPLETE, FAILED };

/* Reads what there is. */
static enum progress read_some(struct top *top)
{
	ssize_t got;

	if (top->length + READ_BYTES >= top->size) {
		top->size += 4 * READ_BYTES;
		top->text = mem_resize(top->text, top->size, 1);
	}
	got = read(top->fd, top->text + top->length, READ_BYTES);
	if (got == -1 && (errno == EINTR || errno == EAGAIN))
		return MORE;
	if (got > 0)
		top->length += (size_t)got;
	if (got > 0 && top->length < ANSWER_MAX)
		return MORE;
	top->text[top->length] = '\0';
	return take_answer(top) == 0 ? COMPLETE : FAILED;
}

/* --- showing --- */

static void draw_foot(const struct top *top, size_t width)
{
	char foot[QUEUE_TOP_WIDTH_MAX + 1];

	if (width > QUEUE_TOP_WIDTH_MAX)
		width = QUEUE_TOP_WIDTH_MAX;
	snprintf(foot, width + 1, "%s%sq quit   s sort (%s)   space now",
	    top->trouble, top->trouble[0] == '\0' ? "" : "   ",
	    orders[top->order]);
	live_screen_line(foot, top->trouble[0] != '\0', true);
}

static void draw(struct top *top)
{
	size_t width, height;

	live_screen_size(&width, &height);
	queue_top_view_fill(&top->view, top->answers, width, height - 1);
	live_screen_begin();
	for (size_t i = 0; i < top->view.count; i++)
		live_screen_line(top->view.lines[i], i == top->view.heading,
		    false);
	draw_foot(top, width);
	live_screen_end();
}

static void print_all(struct top *top)
{
	json_t *line;
	size_t i;

	if (top->request->json) {
		json_array_foreach(top->answers, i, line)
			text_print_json(line);
	} else {
		queue_top_view_fill(&top->view, top->answers,
		    QUEUE_TOP_WIDTH_MAX, QUEUE_TOP_LINES_MAX);
		for (i = 0; i < top->view.count; i++)
			printf("%s\n", top->view.lines[i]);
		printf("\n");
	}
	/* Whoever reads wants it now; who does not read any more ends it. */
	if (fflush(stdout) == EOF)
		top->quit = true;
}

static void show(struct top *top)
{
	if (top->live)
		draw(top);
	else
		print_all(top);
	if (top->left > 0)
		top->left--;
}

/* --- waiting --- */

/* Whether the server is to be asked at once. */
static bool take_keys(struct top *top)
{
	bool now = false;
	int key;

	while ((key = live_screen_key()) != 0) {
		switch (key) {
		case 'q': case 'Q':
			top->quit = true;
			return false;
		case 's': case 'S':
			top->order = (top->order + 1) % ORDERS;
			now = true;
			break;
		case ' ': case 'r':
			now = true;
			break;
		default:
			break;
		}
	}
	return now;
}

/* For an answer or until a time; returns whether there is something to read. */
static bool wait_until(struct top *top, int64_t when, bool *now)
{
	struct pollfd watched[2] = { { .fd = top->fd, .events = POLLIN },
	    { .fd = top->live ? STDIN_FILENO : -1, .events = POLLIN } };
	int64_t left = when - clock_monotonic();

	if (live_screen_poll(watched, 2, left < 0 ? 0 : (int)left) == -1)
		watched[0].revents = watched[1].revents = 0;
	if (top->live && live_screen_is_stale())
		draw(top);
	if (watched[1].revents & (POLLHUP | POLLERR | POLLNVAL))
		top->quit = true;	/* the terminal is gone */
	else if (watched[1].revents != 0)
		*now |= take_keys(top);
	return watched[0].revents != 0;
}

/* One question: 0, or the exit status where nothing can be shown. */
static int ask(struct top *top, bool *again)
{
	enum progress progress = MORE;
	int status = call(top);

	while (status == 0 && top->fd != -1 && progress == MORE &&
	    !top->quit && clock_monotonic() < top->deadline)
		if (wait_until(top, top->deadline, again))
			progress = read_some(top);
	if (status == 0 && progress == MORE && top->fd != -1)
		snprintf(top->trouble, sizeof(top->trouble), "no answer "
		    "within %d seconds", ANSWER_MILLISECONDS / 1000);
	hang_up(top);
	if (status != 0 || top->live || top->quit || progress == COMPLETE)
		return status;
	fprintf(stderr, "postern: %s\n", top->trouble);
	return CONTROL_UNAVAILABLE;
}

static int watch(struct top *top)
{
	int64_t next;
	bool now;
	int status;

	for (;;) {
		next = clock_monotonic() + top->interval;
		now = false;
		status = ask(top, &now);
		if (status != 0 || top->quit)
			return status;
		show(top);
		if (top->left == 0 || top->quit)
			return CONTROL_OK;
		while (!now && !top->quit && clock_monotonic() < next)
			wait_until(top, next, &now);
		if (top->quit)
			return CONTROL_OK;
	}
}

/* -1: the options are good. */
static int read_own(struct top *top)
{
	struct queue_request *request = top->request;
	const json_t *interval = json_object_get(request->own, "interval");
	const json_t *count = json_object_get(request->own, "count");
	const json_t *limit = json_object_get(request->own, "limit");
	const char *order = text_of(request->own, "sort");

	while (order[0] != '\0' && top->order < ORDERS &&
	    strcmp(orders[top->order], order) != 0)
		top->order++;
	if (top->order == ORDERS)
		return queue_request_wrong(request, "sort", order,
		    "waiting, rate, trouble or name is expected");
	top->interval = interval == NULL ? INTERVAL_DEFAULT :
	    json_integer_value(interval);
	if (top->interval < 1 || top->interval > INTERVAL_MAX)
		return queue_request_usage(request,
		    "--interval: 1 second to an hour");
	top->interval *= 1000;
	if (limit != NULL && (json_integer_value(limit) < 1 ||
	    json_integer_value(limit) > ROWS_MAX))
		return queue_request_usage(request, "--limit: 1 to 1000");
	top->left = count == NULL ? -1 : json_integer_value(count);
	if (top->left == 0)
		return queue_request_usage(request, "--count: 1 at least");
	return -1;
}

static int run(struct queue_request *request)
{
	struct top top = { .request = request, .fd = -1 };
	int status = read_own(&top);

	if (status != -1)
		return status;
	top.live = !request->json && top.left == -1 &&
	    live_screen_is_possible();
	queue_top_view_init(&top.view);
	if (top.live) {
		live_screen_enter();
		draw(&top);
	}
	status = watch(&top);
	if (top.live)
		live_screen_leave();
	queue_top_view_release(&top.view);
	json_decref(top.answers);
	mem_free(top.text);
	return status;
}

static const struct queue_option options[] = {
	{ .name = "interval", .kind = QUEUE_AGE, .value = "TIME",
	    .help = "between two looks; 2 seconds", .local = true },
	{ .name = "count", .letter = 'n', .kind = QUEUE_COUNT,
	    .value = "NUMBER", .help = "of looks, printed one after the "
	    "other; without it, until q is pressed", .local = true },
	{ .name = "sort", .kind = QUEUE_WORD, .value = "ORDER",
	    .help = "waiting (default), rate, trouble or name",
	    .local = true, .words = order_words },
	{ .name = "limit", .kind = QUEUE_COUNT, .value = "NUMBER",
	    .help = "of destinations; what fits on the screen, else 20",
	    .local = true },
	{ .name = NULL }
};

const struct queue_command queue_command_top = { .name = "top",
    .summary = "watch the queue: destinations, what waits for them, and why",
    .options = options,
    .help = "On a terminal: q quits, s sorts anew, space looks at once.\n",
    .run = run };
