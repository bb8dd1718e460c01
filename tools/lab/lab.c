/* SPDX-License-Identifier: ISC */
/*
 * What the user asked for: which scenarios, which MTAs, in which form; and
 * where the lab's own files are.
 */
#include "tools/lab/lab.h"

#include <errno.h>
#include <getopt.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/control.h"
#include "base/log.h"
#include "base/mem.h"
#include "config.h"
#include "tools/lab/driver.h"
#include "tools/lab/namespace.h"
#include "tools/lab/report.h"
#include "tools/lab/scenario.h"
#include "tools/lab/trial.h"

enum { MTAS_MAX = 8, FAULTS_MAX = 16, JOBS_MOST = 64 };

struct request {
	struct lab_places	 places;
	struct lab_driver	 drivers[MTAS_MAX];
	size_t			 driver_count;
	char			*faults[FAULTS_MAX];	/* borrowed */
	size_t			 fault_count;
	struct lab_scenario	**scenarios;	/* owned */
	size_t			 scenario_count;
	enum lab_format		 format;
	unsigned		 jobs;
	const char		*keep;
};

static const char usage_text[] =
"usage: postern lab list [--json] [NAME|FILE...]\n"
"       postern lab run [--mta NAME|FILE]... [--json|--tap] [--jobs N]\n"
"                       [--keep DIR] [NAME|FILE...]\n"
"       postern lab shell [--mta NAME|FILE] [--fault FAULT]... NAME|FILE\n"
"                         [-- COMMAND...]\n"
"       postern lab faults [FAULT...]\n"
"\n"
"  list   the scenarios there are; with names, what each is about\n"
"  run    all of them, or those named, and say whether the outcome is correct\n"
"  shell  a shell, or a command, inside the world of one, with the MTA in it\n"
"  faults from inside: these faults from now on, and no others\n"
"\n"
"  --mta NAME   the mail server under test: postern (default), postfix, or\n"
"               the path of a driver; the first is judged, others stand\n"
"               beside it; for shell also none\n"
"  --fault F    a fault of the scenario that is in force in the shell\n"
"  --json       one JSON object a scenario, with all that was seen\n"
"  --tap        Test Anything Protocol 14\n"
"  --jobs N     so many at a time; default: the number of processors\n"
"  --keep DIR   write logs and events of each run there\n"
"  --data DIR   where scenarios/ and drivers/ are\n"
"\n"
"A name with a slash, or ending in .scenario, is a file. See postern-lab(7).\n";

static int usage(const char *problem, const char *word)
{
	if (problem != NULL)
		fprintf(stderr, "postern-lab: %s%s\n", problem, word);
	fputs(usage_text, problem != NULL ? stderr : stdout);
	return problem != NULL ? CONTROL_USAGE : CONTROL_OK;
}

/* --- where things are --- */

/* The directory of our own executable; owned. */
static char *own_directory(void)
{
	char path[PATH_MAX];
	ssize_t length = readlink("/proc/self/exe", path, sizeof(path) - 1);

	if (length <= 0)
		return mem_dup_string(".");
	path[length] = '\0';
	*strrchr(path, '/') = '\0';
	return mem_dup_string(path);
}

/* The first of these that is there; else the last. Owned. */
static char *first_there(char *const *paths, size_t count)
{
	char *found = NULL;

	for (size_t i = 0; i < count; i++) {
		char *whole = NULL;

		if (paths[i] != NULL && found == NULL &&
		    (access(paths[i], F_OK) == 0 || i == count - 1)) {
			whole = realpath(paths[i], NULL);
			found = mem_dup_string(whole != NULL ? whole :
			    paths[i]);
			free(whole);
		}
		mem_free(paths[i]);
	}
	return found;
}

static char *variable(const char *name)
{
	const char *value = getenv(name);

	return value != NULL && *value != '\0' ? mem_dup_string(value) : NULL;
}

/* What the user named is taken as it is, or missed. */
static char *find_data(const char *own, const char *named)
{
	char *paths[] = { mem_print("%s/tools/lab", own),
	    mem_print("%s/../tools/lab", own),
	    mem_dup_string(POSTERN_LAB_DIR) };
	char *wanted = named != NULL ? mem_dup_string(named) :
	    variable("POSTERN_LAB_DATA");
	char *found = first_there(paths, 3);

	if (wanted == NULL)
		return found;
	mem_free(found);
	return first_there(&wanted, 1);
}

static void find_places(struct lab_places *places, const char *data)
{
	char *own = own_directory();
	char *binaries[] = { variable("LAB_POSTERN"), variable("POSTERN"),
	    mem_print("%s/postern", own),
	    mem_dup_string(POSTERN_LIB_DIR "/../../sbin/postern") };
	char *peers[] = { variable("POSTERN_PEERS"),
	    mem_print("%s/build-peers", own),
	    mem_print("%s/../build-peers", own), mem_dup_string("") };

	places->data = find_data(own, data);
	places->postern = first_there(binaries, 4);
	places->peers = first_there(peers, 4);
	mem_free(own);
}

/* --- scenarios --- */

static int add_scenario(struct request *request, const char *name)
{
	size_t length = strlen(name), ending = strlen(".scenario");
	bool is_file = strchr(name, '/') != NULL || (length > ending &&
	    strcmp(name + length - ending, ".scenario") == 0);
	char *path = is_file ? mem_dup_string(name) :
	    mem_print("%s/scenarios/%s.scenario", request->places.data, name);
	struct lab_scenario *scenario = NULL;
	char *errors = NULL;

	if (!is_file && access(path, F_OK) == -1)
		fprintf(stderr, "postern-lab: there is no scenario %s in "
		    "%s/scenarios; postern lab list shows those there are\n",
		    name, request->places.data);
	else
		scenario = lab_scenario_read(path, &errors);
	if (errors != NULL)
		fputs(errors, stderr);
	mem_free(errors);
	mem_free(path);
	if (scenario == NULL)
		return -1;
	request->scenarios = mem_resize(request->scenarios,
	    request->scenario_count + 1, sizeof(*request->scenarios));
	request->scenarios[request->scenario_count++] = scenario;
	return 0;
}

static int add_all(struct request *request)
{
	char *directory = mem_print("%s/scenarios", request->places.data);
	size_t count;
	char **names = lab_list_names(directory, ".scenario", &count);
	int result = 0;

	if (count == 0) {
		fprintf(stderr, "postern-lab: there are no scenarios in %s; "
		    "--data or POSTERN_LAB_DATA names another directory\n",
		    directory);
		result = -1;
	}
	for (size_t i = 0; i < count; i++) {
		if (add_scenario(request, names[i]) == -1)
			result = -1;
		mem_free(names[i]);
	}
	mem_free(names);
	mem_free(directory);
	return result;
}

static int add_scenarios(struct request *request, int count, char **names)
{
	int result = 0;

	if (count == 0)
		return add_all(request);
	for (int i = 0; i < count; i++)
		if (add_scenario(request, names[i]) == -1)
			result = -1;
	return result;
}

/* --- commands --- */

static int list(struct request *request, int count, char **names)
{
	if (add_scenarios(request, count, names) == -1)
		return CONTROL_DATA;
	lab_report_list(request->scenarios, request->scenario_count,
	    request->format, count > 0);
	return CONTROL_OK;
}

struct progress {
	struct lab_report	*report;
	size_t			 ready;		/* MTAs of this scenario */
};

static void on_done(void *arg, const struct lab_trial *trial)
{
	struct progress *progress = arg;
	size_t all = progress->report->driver_count;

	if (++progress->ready < all)
		return;
	progress->ready = 0;
	lab_report_scenario(progress->report, trial - (all - 1));
}

static struct lab_trial *make_trials(const struct request *request,
    size_t count)
{
	struct lab_trial *trials = mem_alloc_array(count, sizeof(*trials));

	for (size_t i = 0; i < count; i++)
		trials[i].run = (struct lab_run){
		    .scenario = request->scenarios[i / request->driver_count],
		    .driver = &request->drivers[i % request->driver_count],
		    .places = &request->places,
		    .want_log = request->keep != NULL };
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

static int run(struct request *request, int count, char **names)
{
	struct lab_report report = { .format = request->format,
	    .drivers = request->drivers,
	    .driver_count = request->driver_count, .keep = request->keep };
	struct progress progress = { .report = &report };
	struct lab_trial *trials;
	size_t total;
	int stopped, status;

	if (add_scenarios(request, count, names) == -1)
		return CONTROL_DATA;
	if (request->keep != NULL && mkdir(request->keep, 0777) == -1 &&
	    errno != EEXIST) {
		fprintf(stderr, "postern-lab: %s: %s\n", request->keep,
		    strerror(errno));
		return CONTROL_DATA;
	}
	if (check_machine() == -1)
		return LAB_UNAVAILABLE;
	total = request->scenario_count * request->driver_count;
	trials = make_trials(request, total);
	lab_report_begin(&report, request->scenarios,
	    request->scenario_count);
	fflush(stdout);
	stopped = lab_trials_run(trials, total, request->jobs, on_done,
	    &progress);
	status = stopped == 0 ? lab_report_end(&report) : 128 + stopped;
	for (size_t i = 0; i < total; i++)
		lab_trial_release(&trials[i]);
	mem_free(trials);
	return status;
}

static int check_faults(const struct request *request)
{
	const struct lab_scenario *scenario = request->scenarios[0];

	for (size_t i = 0; i < request->fault_count; i++) {
		size_t k = 0;

		while (k < scenario->fault_count &&
		    strcmp(scenario->faults[k].name, request->faults[i]) != 0)
			k++;
		if (k < scenario->fault_count)
			continue;
		fprintf(stderr, "postern-lab: %s has no fault %s; it has:",
		    scenario->name, request->faults[i]);
		for (k = 0; k < scenario->fault_count; k++)
			fprintf(stderr, " %s", scenario->faults[k].name);
		fprintf(stderr, "\n");
		return -1;
	}
	return 0;
}

static int shell(struct request *request, int count, char **names)
{
	struct lab_run one = { .driver = request->driver_count > 0 ?
	    &request->drivers[0] : NULL, .places = &request->places,
	    .faults = { request->faults, request->fault_count },
	    .command = count > 1 ? names + 1 : NULL };
	char error[600];
	int status;
	pid_t pid;

	if (count < 1)
		return usage("shell takes a scenario", "");
	if (add_scenarios(request, 1, names) == -1 ||
	    check_faults(request) == -1)
		return CONTROL_DATA;
	one.scenario = request->scenarios[0];
	/* Control-C is for what runs in the shell. */
	signal(SIGINT, SIG_IGN);
	pid = lab_run_shell(&one, error, sizeof(error));
	if (pid == -1) {
		fprintf(stderr, "postern-lab: the lab cannot run here: %s\n",
		    error);
		return LAB_UNAVAILABLE;
	}
	while (waitpid(pid, &status, 0) == -1)
		if (errno != EINTR)
			return 1;
	return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}

static int faults(struct request *request, int count, char **names)
{
	char error[600];

	(void)request;
	if (lab_run_faults(names, (size_t)count, error, sizeof(error)) == 0)
		return CONTROL_OK;
	fprintf(stderr, "postern-lab: %s\n", error);
	return CONTROL_DATA;
}

static const struct lab_command {
	const char	*name;
	int		(*run)(struct request *request, int count,
			    char **names);
	enum { MTA_UNUSED, MTA_OPTIONAL, MTA_NEEDED } mta;
} commands[] = { { "list", list, MTA_UNUSED }, { "run", run, MTA_NEEDED },
    { "shell", shell, MTA_OPTIONAL }, { "faults", faults, MTA_UNUSED } };

enum { COMMANDS = sizeof(commands) / sizeof(commands[0]) };

/* --- the command line --- */

static const struct option longs[] = {
	{ "mta", required_argument, NULL, 'm' },
	{ "fault", required_argument, NULL, 'f' },
	{ "json", no_argument, NULL, 'j' },
	{ "tap", no_argument, NULL, 't' },
	{ "jobs", required_argument, NULL, 'n' },
	{ "keep", required_argument, NULL, 'k' },
	{ "data", required_argument, NULL, 'd' },
	{ "help", no_argument, NULL, 'h' },
	{ NULL, 0, NULL, 0 }
};

struct words {
	const char	*mtas[MTAS_MAX];
	size_t		 mta_count;
	const char	*data, *jobs;
	bool		 help;
};

/* -1 when a word is wrong or is one too many. */
static int take_option(struct request *request, struct words *words,
    int letter)
{
	switch (letter) {
	case 'm':
		if (words->mta_count == MTAS_MAX)
			return -1;
		words->mtas[words->mta_count++] = optarg;
		return 0;
	case 'f':
		if (request->fault_count == FAULTS_MAX)
			return -1;
		request->faults[request->fault_count++] = optarg;
		return 0;
	case 'j': request->format = LAB_JSON; return 0;
	case 't': request->format = LAB_TAP; return 0;
	case 'n': words->jobs = optarg; return 0;
	case 'k': request->keep = optarg; return 0;
	case 'd': words->data = optarg; return 0;
	case 'h': words->help = true; return 0;
	default: return -1;
	}
}

static int set_jobs(struct request *request, const char *word)
{
	long online = sysconf(_SC_NPROCESSORS_ONLN), number;
	char *end;

	request->jobs = online > 0 ? (unsigned)online : 1;
	if (word == NULL)
		return 0;
	number = strtol(word, &end, 10);
	if (*end != '\0' || number < 1 || number > JOBS_MOST)
		return -1;
	request->jobs = (unsigned)number;
	return 0;
}

static int find_drivers(struct request *request, struct words *words,
    const struct lab_command *command)
{
	char error[600];

	if (words->mta_count == 0)
		words->mtas[words->mta_count++] = "postern";
	if (command->mta == MTA_UNUSED || (command->mta == MTA_OPTIONAL &&
	    words->mta_count == 1 && strcmp(words->mtas[0], "none") == 0))
		return 0;
	for (size_t i = 0; i < words->mta_count; i++) {
		if (lab_driver_find(&request->drivers[i], &request->places,
		    words->mtas[i], error, sizeof(error)) == -1) {
			fprintf(stderr, "postern-lab: %s\n", error);
			return -1;
		}
		request->driver_count++;
	}
	return 0;
}

static void release(struct request *request)
{
	for (size_t i = 0; i < request->driver_count; i++)
		lab_driver_release(&request->drivers[i]);
	for (size_t i = 0; i < request->scenario_count; i++)
		lab_scenario_free(request->scenarios[i]);
	mem_free(request->scenarios);
	mem_free(request->places.data);
	mem_free(request->places.postern);
	mem_free(request->places.peers);
}

static int serve(const struct lab_command *command, int argc, char **argv)
{
	struct request request = { .format = LAB_TABLE };
	struct words words = { .mta_count = 0 };
	int letter, status = CONTROL_USAGE;

	opterr = 0;
	while ((letter = getopt_long(argc, argv, "jh", longs, NULL)) != -1)
		if (take_option(&request, &words, letter) == -1)
			return usage("this option is not known here, or its "
			    "value is missing: ", argv[optind - 1]);
	if (words.help)
		return usage(NULL, NULL);
	if (set_jobs(&request, words.jobs) == -1)
		return usage("--jobs takes a number from 1 to 64, not ",
		    words.jobs);
	find_places(&request.places, words.data);
	if (find_drivers(&request, &words, command) == 0)
		status = command->run(&request, argc - optind, argv + optind);
	release(&request);
	return status;
}

int lab_main(int argc, char **argv)
{
	log_init("lab", LOG_LEVEL_WARN);
	if (argc < 2)
		return usage("a command is missing", "");
	if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0 ||
	    strcmp(argv[1], "help") == 0)
		return usage(NULL, NULL);
	for (size_t i = 0; i < COMMANDS; i++)
		if (strcmp(argv[1], commands[i].name) == 0)
			return serve(&commands[i], argc - 1, argv + 1);
	return usage("there is no command ", argv[1]);
}
