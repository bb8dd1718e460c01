/* SPDX-License-Identifier: ISC */
/*
 * Names of places get a third of the width, the last trouble what is left
 * behind the numbers.
 */
#include "tools/queue_top_view.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "tools/command_text.h"
#include "tools/command_time.h"
#include "tools/queue_totals.h"

enum { NAME_MIN = 16, NAME_MAX = 60 };

void queue_top_view_init(struct queue_top_view *view)
{
	view->lines = mem_alloc_array(QUEUE_TOP_LINES_MAX,
	    sizeof(view->lines[0]));
	view->count = 0;
	view->heading = 0;
}

void queue_top_view_release(struct queue_top_view *view)
{
	mem_free(view->lines);
	view->lines = NULL;
}

/* What is not ASCII would take an unknown number of columns. */
static void be_plain(char *text)
{
	for (; *text != '\0'; text++)
		if ((unsigned char)*text >= 0x7f || (unsigned char)*text < ' ')
			*text = '?';
}

static void clean(const char *text, char *out, size_t size)
{
	text_clean(text, out, size);
	be_plain(out);
}

struct page {
	struct queue_top_view	*view;
	size_t			 width, height;
};

__attribute__((format(printf, 2, 3)))
static void add_line(const struct page *page, const char *format, ...)
{
	char *line = page->view->lines[page->view->count];
	va_list arguments;

	if (page->view->count >= page->height)
		return;
	va_start(arguments, format);
	vsnprintf(line, page->width + 1, format, arguments);
	va_end(arguments);
	be_plain(line);
	page->view->count++;
}

static void add_totals(const struct page *page, const json_t *total)
{
	char lines[QUEUE_TOTALS_LINES][QUEUE_TOTALS_LINE];
	char now[64], bytes[32], oldest[32];
	int count = queue_totals_lines(total, lines, QUEUE_TOTALS_LINES);

	clock_format_iso(clock_wall(), now, sizeof(now));
	queue_totals_size(number_of(total, "bytes"), bytes, sizeof(bytes));
	queue_totals_age(text_of(total, "oldest"), oldest, sizeof(oldest));
	add_line(page, "queue at %s", now);
	add_line(page, "messages %lld, recipients %lld (active %lld, deferred "
	    "%lld, held %lld), %s, domains %lld%s%s",
	    number_of(total, "messages"), number_of(total, "recipients"),
	    number_of(total, "active"), number_of(total, "deferred"),
	    number_of(total, "held"), bytes, number_of(total, "domains"),
	    oldest[0] == '\0' ? "" : ", oldest ", oldest);
	for (int i = 0; i < count; i++) {
		char shown[QUEUE_TOTALS_LINE];

		clean(lines[i], shown, sizeof(shown));
		add_line(page, "%s", shown);
	}
	add_line(page, "%s", "");
}

static int name_width(const struct page *page)
{
	size_t third = page->width / 3;

	return third < NAME_MIN ? NAME_MIN : third > NAME_MAX ? NAME_MAX :
	    (int)third;
}

/* "resting 3m": how long a state lasts still. */
static void write_state(const json_t *place, char *out, size_t size)
{
	static const struct { long long seconds; char unit; } units[] = {
		{ 172800, 'd' }, { 7200, 'h' }, { 120, 'm' }, { 0, 's' } };
	int64_t until = command_read_moment(text_of(place, "until"));
	long long left = until - clock_wall() / 1000;
	size_t i = 0;

	snprintf(out, size, "%.10s", text_of(place, "state"));
	if (until < 0)
		return;
	if (left < 0)
		left = 0;
	while (left < units[i].seconds)
		i++;
	snprintf(out, size, "%.10s %lld%c", text_of(place, "state"),
	    i == 3 ? left : left / (units[i].seconds / 2), units[i].unit);
}

/* "connect: nobody answers (mx.example.org[192.0.2.1])" */
static void write_trouble(const json_t *place, char *out, size_t size)
{
	const char *reason = text_of(place, "reason");
	const char *host = text_of(place, "host");
	char text[QUEUE_TOP_WIDTH_MAX], name[QUEUE_TOP_WIDTH_MAX];

	out[0] = '\0';
	if (reason[0] == '\0' || strcmp(reason, "none") == 0)
		return;
	clean(text_of(place, "text"), text, sizeof(text));
	clean(host, name, sizeof(name));
	snprintf(out, size, "%.30s: %.300s%s%.100s%s", reason, text,
	    host[0] == '\0' ? "" : " (", name, host[0] == '\0' ? "" : ")");
}

static void add_place(const struct page *page, const json_t *place)
{
	char name[QUEUE_TOP_WIDTH_MAX], trouble[QUEUE_TOP_WIDTH_MAX];
	char state[48], flight[48] = "";

	clean(text_of(place, "destination"), name, sizeof(name));
	write_state(place, state, sizeof(state));
	write_trouble(place, trouble, sizeof(trouble));
	if (json_object_get(place, "limit") != NULL)
		snprintf(flight, sizeof(flight), "%lld/%lld",
		    number_of(place, "in_flight"), number_of(place, "limit"));
	add_line(page, "%-*.*s %8lld %6lld %7s %7.1f %-12s %s",
	    name_width(page), name_width(page), name,
	    number_of(place, "recipients"), number_of(place, "held"), flight,
	    json_number_value(json_object_get(place, "rate")), state, trouble);
}

void queue_top_view_fill(struct queue_top_view *view, const json_t *answers,
    size_t width, size_t height)
{
	struct page page = { view, width < QUEUE_TOP_WIDTH_MAX ? width :
	    QUEUE_TOP_WIDTH_MAX, height < QUEUE_TOP_LINES_MAX ? height :
	    QUEUE_TOP_LINES_MAX };
	size_t count = json_array_size(answers);

	view->count = 0;
	if (count == 0)
		return;
	add_totals(&page, json_object_get(json_array_get(answers, count - 1),
	    "total"));
	view->heading = view->count;
	add_line(&page, "%-*s %8s %6s %7s %7s %-12s %s", name_width(&page),
	    "destination", "waiting", "held", "flight", "rate/s", "state",
	    "trouble");
	for (size_t i = 0; i + 1 < count; i++)
		add_place(&page, json_array_get(answers, i));
}
