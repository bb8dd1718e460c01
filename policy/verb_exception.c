/* SPDX-License-Identifier: ISC */
/*
 * exception-add, -list, -revoke: a level for one destination, until a time, for
 * a reason. Each is a line in the log, with who it was.
 */
#include "policy/verbs.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/mem.h"
#include "policy/exception.h"
#include "policy/policy.h"
#include "policy/records.h"

enum { PAGE_COUNT = 64, PAGE_COST = 512 };

#define EXCEPTION_LEVELS (1u << LEVEL_NONE | 1u << LEVEL_MAY | \
    1u << LEVEL_ENCRYPT)

static void put_time(json_t *object, const char *key, int64_t wall)
{
	char text[40];

	if (wall == 0)
		return;
	clock_format_iso(wall, text, sizeof(text));
	json_object_set_new(object, key, json_string(text));
}

static json_t *exception_object(const struct exception *exception)
{
	json_t *object = json_pack("{s:I, s:s, s:s, s:s, s:s}", "id",
	    (json_int_t)exception->id, "domain", exception->pattern, "level",
	    conf_level_name(exception->level), "reason", exception->reason,
	    "author", exception->author);

	put_time(object, "made", exception->made);
	put_time(object, "until", exception->until);
	json_object_set_new(object, "uses",
	    json_integer((json_int_t)exception->uses));
	put_time(object, "used", exception->used);
	return object;
}

/* --- times --- */

/* The digits at text as a number within bounds; -1 if they are none. */
static int number(const char *text, int digits, int lowest, int highest)
{
	int value = 0, i;

	for (i = 0; i < digits; i++) {
		if (text[i] < '0' || text[i] > '9')
			return -1;
		value = value * 10 + (text[i] - '0');
	}
	return value < lowest || value > highest ? -1 : value;
}

/* "Z", or "+01:00": seconds east of Greenwich. */
static int read_zone(const char *text, int *seconds)
{
	int hours, minutes;

	*seconds = 0;
	if ((text[0] == 'Z' || text[0] == 'z') && text[1] == '\0')
		return 0;
	if ((text[0] != '+' && text[0] != '-') || strlen(text) != 6 ||
	    text[3] != ':')
		return -1;
	hours = number(text + 1, 2, 0, 23);
	minutes = number(text + 4, 2, 0, 59);
	if (hours == -1 || minutes == -1)
		return -1;
	*seconds = (hours * 60 + minutes) * 60;
	if (text[0] == '-')
		*seconds = -*seconds;
	return 0;
}

/* RFC 3339 5.6: "2026-11-22T12:42:06Z"; wall, ms. */
static int read_time(const char *text, int64_t *wall)
{
	static const char shape[] = "dddd-dd-ddTdd:dd:dd";
	struct tm parts = { .tm_isdst = 0 }, made;
	int zone;
	size_t i;

	for (i = 0; i < sizeof(shape) - 1; i++)
		if (shape[i] == 'd' ? text[i] < '0' || text[i] > '9' :
		    text[i] != shape[i] && (text[i] != 't' || shape[i] != 'T'))
			return -1;
	parts.tm_year = number(text, 4, 1970, 9999) - 1900;
	parts.tm_mon = number(text + 5, 2, 1, 12) - 1;
	parts.tm_mday = number(text + 8, 2, 1, 31);
	parts.tm_hour = number(text + 11, 2, 0, 23);
	parts.tm_min = number(text + 14, 2, 0, 59);
	parts.tm_sec = number(text + 17, 2, 0, 60);
	text += i;
	if (text[0] == '.')
		text += 1 + strspn(text + 1, "0123456789");
	if (parts.tm_year < 0 || parts.tm_mon < 0 || parts.tm_mday < 0 ||
	    parts.tm_hour < 0 || parts.tm_min < 0 || parts.tm_sec < 0 ||
	    read_zone(text, &zone) == -1)
		return -1;
	made = parts;
	*wall = ((int64_t)timegm(&made) - zone) * 1000;
	/* The 30th of February is no day. */
	return made.tm_mday == parts.tm_mday || parts.tm_sec == 60 ? 0 : -1;
}

static int read_until(struct control *control, const json_t *arguments,
    int64_t *until)
{
	const json_t *value = json_object_get(arguments, "until");
	json_int_t seconds = json_integer_value(value);
	int64_t now = clock_wall();

	if (json_is_integer(value) && seconds > 0 &&
	    seconds <= EXCEPTION_LENGTH_MAX / 1000) {
		*until = now + seconds * 1000;
		return 0;
	}
	if (json_is_string(value) && read_time(json_string_value(value),
	    until) == 0 && *until > now && *until - now <=
	    EXCEPTION_LENGTH_MAX)
		return 0;
	control_end(control, CONTROL_USAGE, "argument \"until\": a time in the "
	    "form 2026-11-22T12:42:06Z or a number of seconds is expected, "
	    "within 90 days from now");
	return -1;
}

/* --- verbs --- */

static void log_change(const struct control *control, const char *verb,
    const struct exception *exception)
{
	char detail[EXCEPTION_REASON_MAX + 120], until[40];

	clock_format_iso(exception->until, until, sizeof(until));
	snprintf(detail, sizeof(detail), "id %llu level %s until %s: %s",
	    (unsigned long long)exception->id,
	    conf_level_name(exception->level), until, exception->reason);
	verbs_log(control, verb, exception->pattern, detail);
}

void verb_exception_add(struct control *control, const json_t *arguments)
{
	struct exception wanted = { .id = 0 }, made;
	const char *problem;

	if (verbs_read_pattern(control, arguments, "domain", wanted.pattern,
	    sizeof(wanted.pattern)) == -1 ||
	    verbs_read_level(control, arguments, EXCEPTION_LEVELS,
	    &wanted.level) == -1 ||
	    read_until(control, arguments, &wanted.until) == -1 ||
	    verbs_read_reason(control, arguments, wanted.reason,
	    sizeof(wanted.reason)) == -1)
		return;
	verbs_author(control, wanted.author, sizeof(wanted.author));
	problem = exceptions_add(policy_records()->exceptions, &wanted, &made);
	if (problem != NULL) {
		control_end(control, CONTROL_USAGE, problem);
		return;
	}
	log_change(control, "exception-add", &made);
	control_send(control, exception_object(&made));
	control_end(control, CONTROL_OK, NULL);
}

static void add_exception(void *arg, const struct exception *exception)
{
	verbs_page_add(arg, exception_object(exception));
}

/* Each page looks for its place from the first one on: that costs more than
 * what is in it. */
static unsigned list_more(void *arg, struct verbs_page *page)
{
	uint64_t *last = arg;

	*last = exceptions_page(policy_records()->exceptions, *last,
	    PAGE_COUNT, add_exception, page);
	return *last == 0 ? 0 : PAGE_COST;
}

void verb_exception_list(struct control *control, const json_t *arguments)
{
	(void)arguments;
	verbs_send(control, list_more, mem_free, mem_alloc(sizeof(uint64_t)),
	    "no exception is in force");
}

void verb_exception_revoke(struct control *control, const json_t *arguments)
{
	const json_t *id = json_object_get(arguments, "id");
	struct exception revoked;

	if (!json_is_integer(id) || json_integer_value(id) <= 0) {
		control_end(control, CONTROL_USAGE, "argument \"id\": the "
		    "number of an exception is expected, as exception-list "
		    "tells it");
		return;
	}
	if (!exceptions_revoke(policy_records()->exceptions,
	    (uint64_t)json_integer_value(id), &revoked)) {
		control_end(control, CONTROL_NONE_MATCHED,
		    "no exception of that number is in force");
		return;
	}
	log_change(control, "exception-revoke", &revoked);
	control_send(control, exception_object(&revoked));
	control_end(control, CONTROL_OK, NULL);
}
