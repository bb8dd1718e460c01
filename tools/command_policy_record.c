/* SPDX-License-Identifier: ISC */
/*
 * postern policy events and outcomes: what was written down, for looking only.
 */
#include "tools/command_policy.h"

#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/control.h"
#include "tools/command_policy_table.h"
#include "tools/command_text.h"
#include "tools/command_time.h"

/* Without --since: a week; at most what the verb takes. */
enum { SINCE_DEFAULT = 7 * 86400, SINCE_MAX = 3650 * 86400 };

static const struct command events_command = { "events",
    "[--since TIME] [DOMAIN] [-j] [-c FILE]",
    "Downgrades and their like: what was expected, and by whom, against what "
    "was seen.", command_policy_events };
static const struct command outcomes_command = { "outcomes",
    "[--day DAY] [-j] [-c FILE]",
    "The TLS results of one day, counted by policy and host as reports want "
    "them\n(RFC 8460).", command_policy_outcomes };

static const struct policy_form events_form = { "postern policy",
    &events_command, "S", 0, 1, "one domain at most is expected",
    "  --since TIME  so long ago: 90m, 72h, 3d; or since 2026-11-22 (its\n"
    "                beginning, UTC), 2026-11-22T12:00Z; a week if not given\n"
};
static const struct policy_form outcomes_form = { "postern policy",
    &outcomes_command, "D", 0, 0, "no argument is expected",
    "  --day DAY  2026-11-22, today or yesterday; in UTC; today if not "
    "given\n" };

static void on_event(void *arg, const json_t *object)
{
	const struct policy_arguments *arguments = arg;

	if (arguments->options.json)
		text_print_json(object);
	else
		policy_print_event(object);
}

static void on_outcome(void *arg, const json_t *object)
{
	const struct policy_arguments *arguments = arg;

	if (arguments->options.json)
		text_print_json(object);
	else
		policy_print_outcome(object);
}

static int read_since(const struct policy_arguments *arguments,
    int64_t *seconds)
{
	const char *text = arguments->since;
	int64_t moment, now = clock_wall() / 1000;

	*seconds = text == NULL ? SINCE_DEFAULT : command_read_age(text);
	if (*seconds < 0) {
		moment = command_read_moment(text);
		if (moment < 0)
			return policy_arguments_wrong(arguments, "--since",
			    text, "accepted are 90m, 72h, 3d ago, or a time "
			    "such as 2026-11-22, 2026-11-22T12:00Z");
		*seconds = moment > now ? 0 : now - moment;
	}
	if (*seconds > SINCE_MAX)
		*seconds = SINCE_MAX;
	return -1;
}

int command_policy_events(int argc, char **argv)
{
	struct policy_arguments arguments;
	char domain[256] = "";
	int64_t seconds = 0;
	json_t *request;
	int status = policy_arguments_read(&arguments, &events_form, argc,
	    argv);

	if (status == -1 && arguments.operand_count > 0)
		status = policy_read_target(&arguments, arguments.operands[0],
		    domain, sizeof(domain));
	if (status == -1)
		status = read_since(&arguments, &seconds);
	if (status != -1)
		return status;
	request = json_pack("{s:I}", "since", (json_int_t)seconds);
	if (domain[0] != '\0')
		json_object_set_new(request, "domain", json_string(domain));
	return policy_ask(&arguments, "events", request, on_event, &arguments);
}

int command_policy_outcomes(int argc, char **argv)
{
	struct policy_arguments arguments;
	char day[16];
	int status = policy_arguments_read(&arguments, &outcomes_form, argc,
	    argv);

	if (status == -1 && command_read_day(arguments.day == NULL ? "today" :
	    arguments.day, clock_wall() / 1000, day, sizeof(day)) == -1)
		status = policy_arguments_wrong(&arguments, "--day",
		    arguments.day, "accepted are a day such as 2026-11-22, "
		    "today and yesterday");
	return status != -1 ? status : policy_ask(&arguments, "outcomes",
	    json_pack("{s:s}", "day", day), on_outcome, &arguments);
}
