/* SPDX-License-Identifier: ISC */
/*
 * The check runs in a child: a damaged page ends the process that reads it, and
 * what was found until then is said all the same.
 */
#include "tools/queue_copy.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/control.h"
#include "base/log.h"
#include "base/loop.h"
#include "base/mem.h"
#include "conf/conf.h"
#include "queue/store.h"
#include "queue/verify.h"
#include "tools/command_text.h"
#include "tools/control_client.h"
#include "tools/queue_progress.h"
#include "tools/queue_request.h"

/* --- a copy from the role --- */

/* Takes the answer's next line; -1: go on, else a code. */
static int take_line(struct queue_request *request, struct queue_copy *copy,
    struct queue_progress *progress, const char *line)
{
	json_t *object = json_loads(line, 0, NULL);
	const json_t *end = json_object_get(object, "end");
	const char *name = json_string_value(json_object_get(object, "copy"));
	int code = -1;

	if (name != NULL && strchr(name, '/') == NULL) {
		copy->path = mem_print("%s/%s", request->conf->queue_directory,
		    name);
		copy->bytes = (uint64_t)number_of(object, "bytes");
		code = CONTROL_OK;
	} else if (end != NULL) {
		queue_progress_clear(progress);
		fprintf(stderr, "postern: %s\n", text_of(object, "message"));
		code = (int)json_integer_value(end);
	} else {
		queue_progress_take(progress, object);
	}
	json_decref(object);
	return code;
}

int queue_copy_begin(struct queue_request *request, struct queue_copy *copy)
{
	struct queue_progress progress;
	char *line = NULL;
	size_t size = 0;
	int code = -1, fd;

	memset(copy, 0, sizeof(*copy));
	fd = control_client_open(request->conf, ROLE_QUEUE, "backup", NULL);
	if (fd == -1)
		return errno == EACCES ? CONTROL_DENIED : CONTROL_UNAVAILABLE;
	copy->answer = fdopen(fd, "r");
	queue_progress_init(&progress, !request->json);
	while (code == -1 && getline(&line, &size, copy->answer) > 0)
		code = take_line(request, copy, &progress, line);
	queue_progress_clear(&progress);
	free(line);
	if (code == -1)
		fprintf(stderr, "postern: the queue went away before the copy "
		    "was complete: see the log\n");
	if (code != CONTROL_OK)
		queue_copy_end(copy);
	return code == -1 ? CONTROL_UNAVAILABLE : code;
}

void queue_copy_end(struct queue_copy *copy)
{
	if (copy->answer != NULL)
		fclose(copy->answer);
	mem_free(copy->path);
	memset(copy, 0, sizeof(*copy));
}

/* --- what is said --- */

static void print_summary(const json_t *object)
{
	const json_t *rows = json_object_get(object, "rows"), *value;
	const char *name;

	printf("rows:");
	json_object_foreach((json_t *)(uintptr_t)rows, name, value)
		printf(" %s %lld", name, (long long)json_integer_value(value));
	printf("\nbodies: %lld, %lld bytes\n", number_of(object, "bodies"),
	    number_of(object, "bytes"));
}

void queue_copy_print(const json_t *object, bool json)
{
	const json_t *finding = json_object_get(object, "finding");

	if (json) {
		json_dumpf(object, stdout, JSON_COMPACT);
		printf("\n");
	} else if (json_object_get(object, "rows") != NULL) {
		print_summary(object);
	} else if (finding != NULL) {
		printf("salvaged before, see ");
		text_print(text_of(object, "salvaged"), 0);
		printf(": %s %s: ", text_of(finding, "message"),
		    text_of(finding, "problem"));
		text_print(text_of(finding, "effect"), 0);
		printf("\n");
	} else {
		printf("%s %s: ", text_of(object, "message"),
		    text_of(object, "problem"));
		text_print(text_of(object, "text"), 0);
		printf("\n");
	}
	fflush(stdout);
}

/* --- the check --- */

struct check {
	bool	 json;
};

static void on_finding(void *arg, const struct verify_finding *finding)
{
	struct check *check = arg;
	char id[24];
	json_t *line;

	snprintf(id, sizeof(id), "%llx",
	    (unsigned long long)finding->place.id);
	line = json_pack("{s:s, s:s, s:s}", "problem",
	    verify_problem_name(finding->problem), "message", id, "text",
	    verify_problem_text(finding->problem));
	queue_copy_print(line, check->json);
	json_decref(line);
}

/* Only the owner of the directory may do there what we do. */
static void confine(const char **directory)
{
	struct stat about;

	if (stat(*directory, &about) == -1)
		fatal("cannot look at", log_text("path", *directory),
		    log_errno(errno));
	if (geteuid() != 0 || about.st_uid == 0)
		return;
	if (chroot(*directory) == -1 || chdir("/") == -1 ||
	    setgroups(0, NULL) == -1 || setgid(about.st_gid) == -1 ||
	    setuid(about.st_uid) == -1)
		fatal("cannot become the owner", log_text("path", *directory),
		    log_errno(errno));
	*directory = "/";
}

/* What a start makes beside the tables, and makes again. */
static void forget_spares(const char *directory)
{
	static const char *const names[] = { "reserve", "spare", "spare.new",
	    "lock", "progress" };

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		char *path = mem_print("%s/%s", directory, names[i]);

		(void)unlink(path);
		mem_free(path);
	}
}

static struct store *open_copy(const char *directory)
{
	return store_open(&(struct store_options){ .directory = directory,
	    .reserve_bytes = 4096, .as_it_is = true });
}

static int check_rows(const char *directory, bool json)
{
	struct store *store = open_copy(directory);
	struct check check = { json };
	struct verify *verify;
	json_t *summary;
	uint64_t problems;

	if (store == NULL)
		return CONTROL_DATA;
	verify = verify_new(store, on_finding, &check);
	while (verify_step(verify))
		continue;
	problems = verify_counts(verify)->problems;
	summary = verify_summary(verify);
	queue_copy_print(summary, json);
	json_decref(summary);
	verify_free(verify);
	store_close(store);
	return problems == 0 ? CONTROL_OK : CONTROL_DATA;
}

/* First it is opened and closed, so that what its log says is in its pages. */
static int check(const char *directory, bool json)
{
	struct store *store;
	int code;

	log_init("verify", LOG_LEVEL_ERROR);
	loop_init();
	confine(&directory);
	store = open_copy(directory);
	if (store == NULL)
		return CONTROL_DATA;
	store_close(store);
	code = store_is_sound(directory) ? check_rows(directory, json) :
	    CONTROL_DATA;
	forget_spares(directory);
	return code;
}

int queue_copy_check(const char *path, bool json)
{
	char *whole = realpath(path, NULL);
	int status;
	pid_t pid;

	if (whole == NULL) {
		fprintf(stderr, "postern: %s: %s\n", path, strerror(errno));
		return CONTROL_USAGE;
	}
	fflush(NULL);
	pid = fork();
	if (pid == 0)
		_exit(check(whole, json));
	free(whole);
	if (pid == -1 || waitpid(pid, &status, 0) == -1) {
		fprintf(stderr, "postern: cannot start a process: %s\n",
		    strerror(errno));
		return CONTROL_INTERNAL;
	}
	/* It died of what it read. */
	if (!WIFEXITED(status) || WEXITSTATUS(status) == 1)
		return CONTROL_DATA;
	return WEXITSTATUS(status);
}
