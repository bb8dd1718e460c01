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
 * and the end: OK, or DATA when there are problems. However many there are, a
 * line is made when the ones before it have been read; the log has the first of
 * them.
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
    LOGGED_MOST = 1000, OUTPUT_PAGE = 256, LINE_MOST = 4096 };

struct run {
	struct control	*control;	/* outlives us */
	struct verify	*verify;	/* owned */
	struct timer	 timer;
	int64_t		 said_at;	/* monotonic, ms */
	uint64_t	 findings;
	unsigned	 lines;		/* since the output was drained */
	bool		 looked;	/* all was seen: the reports follow */
	DIR		*folders;	/* owned; null: not begun, or the end */
	char		*folder;	/* owned; of the report at hand */
	FILE		*report;	/* owned; null: between two */
};

static void report_end(struct run *run)
{
	if (run->report != NULL)
		fclose(run->report);
	mem_free(run->folder);
	run->report = NULL;
	run->folder = NULL;
}

static void run_free(void *arg)
{
	struct run *run = arg;

	timer_stop(&run->timer);
	report_end(run);
	if (run->folders != NULL)
		closedir(run->folders);
	verify_free(run->verify);
	mem_free(run);
}

static void send_line(struct run *run, json_t *line)
{
	run->lines++;
	control_send(run->control, line);
}

static void log_finding(struct run *run, const struct verify_finding *finding)
{
	if (run->findings < LOGGED_MOST)
		log_error("verify-finding", log_message(finding->place.id),
		    log_text("problem",
		    verify_problem_name(finding->problem)));
	else if (run->findings == LOGGED_MOST)
		log_error("verify-findings", log_text("effect", "there are "
		    "more, which are not in the log"));
}

static void on_finding(void *arg, const struct verify_finding *finding)
{
	struct run *run = arg;
	char id[24];

	log_finding(run, finding);
	run->findings++;
	snprintf(id, sizeof(id), "%llx",
	    (unsigned long long)finding->place.id);
	send_line(run, json_pack("{s:s, s:s, s:s}", "problem",
	    verify_problem_name(finding->problem), "message", id, "text",
	    verify_problem_text(finding->problem)));
}

/* --- what was salvaged before --- */

static void send_report_line(struct run *run)
{
	char line[LINE_MOST];
	json_t *finding;

	if (fgets(line, sizeof(line), run->report) == NULL) {
		report_end(run);
		return;
	}
	finding = json_loads(line, 0, NULL);
	if (finding != NULL)
		send_line(run, json_pack("{s:s, s:o}", "salvaged",
		    run->folder, "finding", finding));
}

/* False: there is none. */
static bool open_report(struct run *run)
{
	struct dirent *entry;
	char *path;

	while ((entry = readdir(run->folders)) != NULL)
		if (strncmp(entry->d_name, "damaged.", 8) == 0)
			break;
	if (entry == NULL)
		return false;
	path = mem_print("%s/%s/report", store_directory(
	    verbs_queue()->store), entry->d_name);
	run->folder = mem_dup_string(entry->d_name);
	run->report = fopen(path, "re");
	mem_free(path);
	if (run->report == NULL)
		report_end(run);
	return true;
}

/* False: all was said. */
static bool send_reports(struct run *run)
{
	if (run->folders == NULL)
		run->folders = opendir(store_directory(
		    verbs_queue()->store));
	while (run->folders != NULL && run->lines < OUTPUT_PAGE) {
		if (run->report != NULL)
			send_report_line(run);
		else if (!open_report(run))
			return false;
	}
	return run->folders != NULL;
}

/* --- steps --- */

static void finish(struct run *run)
{
	uint64_t problems = verify_counts(run->verify)->problems;
	char text[80];

	control_send(run->control, verify_summary(run->verify));
	snprintf(text, sizeof(text), problems == 1 ? "%llu problem was found" :
	    "%llu problems were found", (unsigned long long)problems);
	control_end(run->control, problems == 0 ? CONTROL_OK : CONTROL_DATA,
	    problems == 0 ? "" : text);
}

static void step(void *arg)
{
	struct run *run = arg;
	int64_t now = clock_monotonic();

	if (!run->looked)
		run->looked = !verify_step(run->verify);
	if (run->looked && !send_reports(run)) {
		finish(run);
		return;
	}
	if (now - run->said_at >= PROGRESS_MILLISECONDS) {
		run->said_at = now;
		control_send(run->control, json_pack("{s:{s:I}}", "progress",
		    "seen", (json_int_t)verify_counts(run->verify)->bodies));
	}
	/* Else when the output has drained. */
	if (run->lines < OUTPUT_PAGE)
		timer_start(&run->timer, PAUSE_MILLISECONDS, step, run);
}

static void produce(struct control *control, void *arg)
{
	struct run *run = arg;

	(void)control;
	run->lines = 0;
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
