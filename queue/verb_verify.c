/* SPDX-License-Identifier: ISC */
/*
 * verify: looks at every row and every body of the queue at work (verify.h), a
 * step a turn. The answer:
 *
 *	{"progress":{"seen":MESSAGES,"total":MESSAGES}}	now and then; no total
 *	{"problem":"body-damaged","message":ID,"text":"..."}	each finding
 *	{"salvaged":"damaged.1","finding":{...}}	what an earlier
 *					salvage reported, a line each
 *	{"rows":{"messages":N,...},"bodies":N,"bytes":N,"problems":N}
 *
 * and the end: OK, or DATA when there are problems.
 */
#include <dirent.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/control.h"
#include "base/log.h"
#include "base/loop.h"
#include "base/mem.h"
#include "base/process.h"
#include "queue/queue.h"
#include "queue/verbs.h"
#include "queue/verify.h"

enum { PROGRESS_MILLISECONDS = 500, PAUSE_MILLISECONDS = 1,
    FINDINGS_MOST = 10000, REPORT_LINES_MOST = 1000, OUTPUT_PAGE = 256 };

struct run {
	struct control	*control;	/* outlives us */
	struct verify	*verify;	/* owned */
	struct timer	 timer;
	int64_t		 said_at;	/* monotonic, ms */
	unsigned	 findings;	/* that were sent */
	bool		 full;		/* wait until the output has drained */
};

static void run_free(void *arg)
{
	struct run *run = arg;

	timer_stop(&run->timer);
	verify_free(run->verify);
	mem_free(run);
}

static void on_finding(void *arg, const struct verify_finding *finding)
{
	struct run *run = arg;
	char id[24];

	log_error("verify-finding", log_message(finding->place.id),
	    log_text("problem", verify_problem_name(finding->problem)));
	if (run->findings++ >= FINDINGS_MOST)
		return;
	if (run->findings % OUTPUT_PAGE == 0)
		run->full = true;
	snprintf(id, sizeof(id), "%llx",
	    (unsigned long long)finding->place.id);
	control_send(run->control, json_pack("{s:s, s:s, s:s}", "problem",
	    verify_problem_name(finding->problem), "message", id, "text",
	    verify_problem_text(finding->problem)));
}

/* --- what was salvaged before --- */

static void send_report(struct run *run, const char *folder)
{
	char *path = mem_print("%s/%s/report", store_directory(
	    verbs_queue()->store), folder);
	FILE *file = fopen(path, "re");
	char *line = NULL;
	size_t size = 0;

	for (int i = 0; file != NULL && i < REPORT_LINES_MOST &&
	    getline(&line, &size, file) > 0; i++) {
		json_t *finding = json_loads(line, 0, NULL);

		if (finding != NULL)
			control_send(run->control, json_pack("{s:s, s:o}",
			    "salvaged", folder, "finding", finding));
	}
	free(line);
	if (file != NULL)
		fclose(file);
	mem_free(path);
}

static void send_reports(struct run *run)
{
	DIR *stream = opendir(store_directory(verbs_queue()->store));
	struct dirent *entry;

	while (stream != NULL && (entry = readdir(stream)) != NULL)
		if (strncmp(entry->d_name, "damaged.", 8) == 0)
			send_report(run, entry->d_name);
	if (stream != NULL)
		closedir(stream);
}

/* --- steps --- */

static void finish(struct run *run)
{
	uint64_t problems = verify_counts(run->verify)->problems;
	char text[80];

	send_reports(run);
	control_send(run->control, verify_summary(run->verify));
	snprintf(text, sizeof(text), "%llu problems were found",
	    (unsigned long long)problems);
	control_end(run->control, problems == 0 ? CONTROL_OK : CONTROL_DATA,
	    problems == 0 ? "" : text);
}

static void step(void *arg)
{
	struct run *run = arg;
	int64_t now = clock_monotonic();

	if (!verify_step(run->verify)) {
		finish(run);
		return;
	}
	if (now - run->said_at >= PROGRESS_MILLISECONDS) {
		run->said_at = now;
		control_send(run->control, json_pack("{s:{s:I}}", "progress",
		    "seen", (json_int_t)verify_counts(run->verify)->bodies));
	}
	if (!run->full)
		timer_start(&run->timer, PAUSE_MILLISECONDS, step, run);
}

static void produce(struct control *control, void *arg)
{
	struct run *run = arg;

	(void)control;
	run->full = false;
	if (!timer_is_running(&run->timer))
		timer_start(&run->timer, 0, step, run);
}

void verb_verify(struct control *control, const json_t *arguments)
{
	struct run *run = mem_alloc(sizeof(*run));

	(void)arguments;
	log_info("operator", log_text("verb", "verify"), log_number("uid",
	    (int64_t)control_caller(control)->uid));
	run->control = control;
	run->said_at = clock_monotonic();
	run->verify = verify_new(verbs_queue()->store, on_finding, run);
	control_produce(control, produce, run_free, run);
}
