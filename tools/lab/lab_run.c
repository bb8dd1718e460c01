/* SPDX-License-Identifier: ISC */
/*
 * `run`: rounds times scenarios times profiles times MTAs, in this order; and
 * `random`, which makes its scenarios itself. What was seen is dropped once it
 * is told and kept: a large run has more of it than memory should hold.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/control.h"
#include "base/mem.h"
#include "config.h"
#include "tools/lab/lab_private.h"
#include "tools/lab/namespace.h"
#include "tools/lab/random.h"

struct progress {
	struct lab_report	*report;
	struct lab_trial	*trials;
	size_t			 ready;		/* MTAs of this row */
};

static void on_done(void *arg, const struct lab_trial *trial)
{
	struct progress *progress = arg;
	size_t all = progress->report->driver_count;
	size_t last = (size_t)(trial - progress->trials);

	if (++progress->ready < all)
		return;
	progress->ready = 0;
	lab_report_row(progress->report, trial - (all - 1));
	for (size_t i = 0; i < all; i++)
		lab_trial_forget(&progress->trials[last - i]);
}

static size_t count_trials(const struct lab_request *request)
{
	return request->rounds * request->scenario_count *
	    request->profile_count * request->driver_count;
}

static struct lab_trial *make_trials(const struct lab_request *request,
    bool want_log)
{
	size_t count = count_trials(request);
	struct lab_trial *trials = mem_alloc_array(count, sizeof(*trials));
	size_t drivers = request->driver_count;
	size_t profiles = request->profile_count;
	size_t scenarios = request->scenario_count;

	for (size_t i = 0; i < count; i++) {
		size_t row = i / drivers;

		trials[i].round = (unsigned)(row / profiles / scenarios) + 1;
		trials[i].run = (struct lab_run){
		    .scenario = request->scenarios[row / profiles % scenarios],
		    .driver = &request->drivers[i % drivers],
		    .places = &request->places,
		    .profile = request->profiles[row % profiles],
		    .want_log = want_log };
	}
	return trials;
}

static int check_machine(void)
{
	char error[600];

	if (lab_namespace_check(error, sizeof(error)) == 0)
		return 0;
	fprintf(stderr, "postern-lab: the lab cannot run here: %s\n", error);
	return -1;
}

/* --- what is kept --- */

/* A place that the user names must be there; without the usual one it goes on
 * all the same. */
static int open_keep(const struct lab_request *request, struct lab_keep **keep)
{
	bool none = request->keep != NULL && strcmp(request->keep, "none") == 0;
	char error[600];

	*keep = NULL;
	if (none && request->record) {
		lab_misuse("--record needs a place: --keep none has none");
		return CONTROL_USAGE;
	}
	if (none)
		return 0;
	*keep = lab_keep_new(request->keep, error, sizeof(error));
	if (*keep != NULL)
		return 0;
	if (request->keep != NULL || request->record) {
		fprintf(stderr, "postern-lab: %s\n", error);
		return CONTROL_DATA;
	}
	fprintf(stderr, "postern-lab: what is seen is not kept: %s\n", error);
	return 0;
}

/* Packets lie beside what else was seen; those of several rounds, which have
 * the same names, in a directory each. */
static int make_records(const struct lab_request *request,
    const struct lab_report *report, struct lab_trial *trials)
{
	const char *place = lab_keep_directory(report->keep);

	for (size_t i = 0; i < count_trials(request); i++) {
		trials[i].record = request->rounds == 1 ?
		    mem_dup_string(place) :
		    mem_print("%s/round-%u", place, trials[i].round);
		trials[i].run.record = trials[i].record;
		if (mkdir(trials[i].record, 0777) == -1 && errno != EEXIST) {
			fprintf(stderr, "postern-lab: %s: %s\n",
			    trials[i].record, strerror(errno));
			return -1;
		}
	}
	return 0;
}

static void keep_beginning(const struct lab_request *request,
    struct lab_keep *keep)
{
	json_t *mtas = json_array(), *profiles = json_array();
	char when[32];

	clock_format_iso(clock_wall(), when, sizeof(when));
	for (size_t i = 0; i < request->driver_count; i++)
		json_array_append_new(mtas,
		    json_string(request->drivers[i].name));
	for (size_t i = 0; i < request->profile_count; i++)
		json_array_append_new(profiles, json_string(
		    lab_profile_name(request->profiles[i])));
	lab_keep_line(keep, json_pack("{s:s, s:s, s:o, s:o, s:i, s:i}",
	    "started", when, "version", POSTERN_VERSION, "mtas", mtas,
	    "profiles", profiles, "rounds", (int)request->rounds,
	    "scenarios", (int)request->scenario_count));
}

static void keep_end(struct lab_keep *keep, int status)
{
	char when[32];

	clock_format_iso(clock_wall(), when, sizeof(when));
	lab_keep_line(keep, json_pack("{s:s, s:i}", "ended", when, "status",
	    status));
}

/* --- the commands --- */

static int run_trials(const struct lab_request *request,
    struct lab_report *report)
{
	size_t total = count_trials(request);
	struct lab_trial *trials = make_trials(request, report->keep != NULL);
	struct progress progress = { .report = report, .trials = trials };
	int stopped, status = CONTROL_DATA;

	if (!request->record || make_records(request, report, trials) == 0) {
		lab_report_begin(report, trials, total);
		stopped = lab_trials_run(trials, total, request->jobs,
		    on_done, &progress);
		status = stopped == 0 ? lab_report_end(report, trials,
		    total) : 128 + stopped;
	}
	for (size_t i = 0; i < total; i++)
		lab_trial_release(&trials[i]);
	mem_free(trials);
	return status;
}

int lab_command_run(struct lab_request *request, int count, char **names)
{
	struct lab_report report = { .format = request->format, .out = stdout,
	    .drivers = request->drivers,
	    .driver_count = request->driver_count,
	    .profiles = request->profile_count > 1,
	    .rounds = request->rounds };
	int status;

	if (lab_select(request, count, names) == -1)
		return CONTROL_DATA;
	if (check_machine() == -1)
		return LAB_UNAVAILABLE;
	status = open_keep(request, &report.keep);
	if (status != 0)
		return status;
	if (report.keep != NULL)
		keep_beginning(request, report.keep);
	status = run_trials(request, &report);
	if (report.keep != NULL)
		keep_end(report.keep, status);
	lab_keep_free(report.keep);
	return status;
}

int lab_command_random(struct lab_request *request, int count, char **names)
{
	struct lab_random random = { .places = &request->places,
	    .driver = &request->drivers[0], .format = request->format,
	    .profile = request->profiles[0], .seed = request->seed,
	    .first = request->first, .count = request->count,
	    .jobs = request->jobs, .keep = request->keep,
	    .print = request->print };

	if (count > 0)
		return lab_misuse("random takes no names, so not %s",
		    names[0]);
	if (request->driver_count > 1)
		return lab_misuse("random takes one --mta");
	if (!request->has_seed) {
		random.seed = (uint64_t)clock_wall();
		fprintf(stderr, "postern-lab: --seed %llu\n",
		    (unsigned long long)random.seed);
	}
	if (random.keep != NULL && strcmp(random.keep, "none") == 0)
		random.keep = NULL;
	if (random.keep != NULL && mkdir(random.keep, 0777) == -1 &&
	    errno != EEXIST) {
		fprintf(stderr, "postern-lab: %s: %s\n", random.keep,
		    strerror(errno));
		return CONTROL_DATA;
	}
	if (!random.print && check_machine() == -1)
		return LAB_UNAVAILABLE;
	return lab_random_main(&random);
}
