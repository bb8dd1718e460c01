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

static const char prefix[] = "backup.";

/* --- a copy from the role --- */

/*
 * The role may have been taken over, and the name lead to another directory
 * (a link): one that it may not touch itself is none of its copies.
 */
static int open_made(struct queue_copy *copy, const char *queue_directory)
{
	struct stat about, queue;

	copy->directory = open(copy->path, O_RDONLY | O_DIRECTORY |
	    O_NOFOLLOW | O_CLOEXEC);
	if (copy->directory != -1 && fstat(copy->directory, &about) == 0 &&
	    stat(queue_directory, &queue) == 0 &&
	    about.st_uid == queue.st_uid)
		return CONTROL_OK;
	fprintf(stderr, "postern: %s: no copy that the queue made\n",
	    copy->path);
	return CONTROL_INTERNAL;
}

/* Takes the answer's next line; -1: go on, else a code. */
static int take_line(struct queue_request *request, struct queue_copy *copy,
    struct queue_progress *progress, const char *line)
{
	json_t *object = text_read_answer(line, strlen(line));
	const json_t *end = json_object_get(object, "end");
	const char *name = json_string_value(json_object_get(object, "copy"));
	int code = -1;

	if (name != NULL && strncmp(name, prefix, sizeof(prefix) - 1) == 0 &&
	    name[sizeof(prefix) - 1 + strspn(name + sizeof(prefix) - 1,
	    "0123456789abcdef")] == '\0') {
		copy->path = mem_print("%s/%s", request->conf->queue_directory,
		    name);
		copy->bytes = (uint64_t)number_of(object, "bytes");
		code = CONTROL_OK;
	} else if (end != NULL) {
		queue_progress_clear(progress);
		fprintf(stderr, "postern: %s\n", text_of(object,
		    "message"));
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

	*copy = (struct queue_copy){ .directory = -1 };
	fd = control_client_open(request->conf, ROLE_QUEUE, "backup", NULL);
	if (fd == -1)
		return errno == EACCES ? CONTROL_DENIED : CONTROL_UNAVAILABLE;
	copy->answer = fdopen(fd, "r");
	queue_progress_init(&progress, !request->json);
	while (code == -1 && getline(&line, &size, copy->answer) > 0)
		code = take_line(request, copy, &progress, line);
	queue_progress_clear(&progress);
	free(line);
	if (code == CONTROL_OK && copy->path != NULL)
		code = open_made(copy, request->conf->queue_directory);
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
	if (copy->directory != -1)
		close(copy->directory);
	mem_free(copy->path);
	*copy = (struct queue_copy){ .directory = -1 };
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

static void print_more(uint64_t count, const char *what)
{
	if (count > QUEUE_COPY_FINDINGS)
		printf("(+%llu more %s: --json has all of them)\n",
		    (unsigned long long)(count - QUEUE_COPY_FINDINGS), what);
}

static void print_salvaged(const json_t *object)
{
	const json_t *finding = json_object_get(object, "finding");

	printf("salvaged before, see ");
	text_print(text_of(object, "salvaged"), 0);
	printf(": %s %s: ", text_of(finding, "message"),
	    text_of(finding, "problem"));
	text_print(text_of(finding, "effect"), 0);
	printf("\n");
}

static void print_finding(const json_t *object)
{
	printf("%s %s: ", text_of(object, "message"), text_of(object,
	    "problem"));
	text_print(text_of(object, "text"), 0);
	printf("\n");
}

void queue_copy_print(struct queue_copy_report *report, const json_t *object)
{
	if (report->json) {
		text_print_json(object);
	} else if (json_object_get(object, "rows") != NULL) {
		print_more(report->findings, "findings");
		print_more(report->salvaged, "findings of salvages before");
		print_summary(object);
	} else if (json_object_get(object, "finding") != NULL) {
		if (report->salvaged++ < QUEUE_COPY_FINDINGS)
			print_salvaged(object);
	} else if (json_object_get(object, "problem") != NULL) {
		if (report->findings++ < QUEUE_COPY_FINDINGS)
			print_finding(object);
	}
	fflush(stdout);
}

/* --- the check --- */

static void on_finding(void *arg, const struct verify_finding *finding)
{
	char id[24];
	json_t *line;

	snprintf(id, sizeof(id), "%llx",
	    (unsigned long long)finding->place.id);
	line = json_pack("{s:s, s:s, s:s}", "problem",
	    verify_problem_name(finding->problem), "message", id, "text",
	    verify_problem_text(finding->problem));
	queue_copy_print(arg, line);
	json_decref(line);
}

/* Only the owner of the directory may do there what we do, and only there. */
static void confine(int fd, const char **directory)
{
	struct stat about;

	if (geteuid() != 0)
		return;
	if (fstat(fd, &about) == -1 || fchdir(fd) == -1 ||
	    chroot(".") == -1 || (about.st_uid != 0 &&
	    (setgroups(0, NULL) == -1 || setgid(about.st_gid) == -1 ||
	    setuid(about.st_uid) == -1)))
		fatal("cannot become the owner", log_text("path", *directory),
		    log_errno(errno));
	*directory = "/";
}

/* What a start makes beside the tables, and makes again. */
static const char *const spares[] = { "reserve", "spare", "spare.new",
    "lock", "progress" };
enum { SPARES = sizeof(spares) / sizeof(spares[0]) };

static void look_for_spares(const char *directory, bool *there)
{
	for (size_t i = 0; i < SPARES; i++) {
		char *path = mem_print("%s/%s", directory, spares[i]);

		there[i] = access(path, F_OK) == 0;
		mem_free(path);
	}
}

/* Those that came with us: a server may have been started here meanwhile. */
static void forget_spares(const char *directory, const bool *there)
{
	for (size_t i = 0; i < SPARES; i++) {
		char *path = mem_print("%s/%s", directory, spares[i]);

		if (!there[i])
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
	struct queue_copy_report report = { .json = json };
	struct verify *verify;
	json_t *summary;
	uint64_t problems;

	if (store == NULL)
		return CONTROL_DATA;
	verify = verify_new(store, on_finding, &report);
	while (verify_step(verify))
		continue;
	problems = verify_counts(verify)->problems;
	summary = verify_summary(verify);
	queue_copy_print(&report, summary);
	json_decref(summary);
	verify_free(verify);
	store_close(store);
	return problems == 0 ? CONTROL_OK : CONTROL_DATA;
}

static bool is_in_use(const char *directory)
{
	struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
	char *path = mem_print("%s/lock", directory);
	int fd = open(path, O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	bool used = fd != -1 && fcntl(fd, F_GETLK, &lock) == 0 &&
	    lock.l_type != F_UNLCK;

	if (fd != -1)
		close(fd);
	mem_free(path);
	return used;
}

/* Anything else would become an empty queue when it is opened. */
static bool is_queue(const char *directory)
{
	char *path = mem_print("%s/store.db", directory);
	bool found = access(path, F_OK) == 0;

	mem_free(path);
	return found;
}

/* First it is opened and closed, so that what its log says is in its pages. */
static int check(int fd, const char *path, bool json)
{
	const char *directory = path;
	struct store *store;
	bool there[SPARES];
	int code;

	log_init("verify", LOG_LEVEL_ERROR);
	loop_init();
	confine(fd, &directory);
	if (is_in_use(directory)) {
		fprintf(stderr, "postern: %s: a server works on it; verify "
		    "without --directory asks that\n", path);
		return CONTROL_TEMPORARY;
	}
	if (!is_queue(directory)) {
		fprintf(stderr, "postern: %s: this is no queue, and no backup "
		    "of one: it has no store.db\n", path);
		return CONTROL_USAGE;
	}
	look_for_spares(directory, there);
	store = open_copy(directory);
	if (store == NULL)
		return CONTROL_DATA;
	store_close(store);
	code = store_is_sound(directory) ? check_rows(directory, json) :
	    CONTROL_DATA;
	forget_spares(directory, there);
	return code;
}

int queue_copy_check_open(int directory, const char *path, bool json)
{
	int status;
	pid_t pid;

	fflush(NULL);
	pid = fork();
	if (pid == 0)
		_exit(check(directory, path, json));
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

int queue_copy_check(const char *path, bool json)
{
	char *whole = realpath(path, NULL);
	int fd = whole == NULL ? -1 : open(whole, O_RDONLY | O_DIRECTORY |
	    O_NOFOLLOW | O_CLOEXEC);
	int code = CONTROL_USAGE;

	if (fd == -1) {
		fprintf(stderr, "postern: %s: %s\n", path, strerror(errno));
	} else {
		code = queue_copy_check_open(fd, whole, json);
		close(fd);
	}
	free(whole);
	return code;
}
