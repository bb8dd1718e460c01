/* SPDX-License-Identifier: ISC */
/*
 * backup: a copy of the whole queue, made while it is at work. The answer:
 *
 *	{"progress":{"seen":BYTES,"total":BYTES}}	now and then
 *	{"copy":"backup.5f3c","bytes":N}		it is there, and durable
 *
 * and no end: the command moves the folder away, or reads it, and goes; what
 * is left of the folder is removed then. One at a time.
 */
#include "queue/copy.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>
#include <sys/queue.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/control.h"
#include "base/log.h"
#include "base/loop.h"
#include "base/mem.h"
#include "base/process.h"
#include "queue/queue.h"
#include "queue/store.h"
#include "queue/verbs.h"

enum { PROGRESS_MILLISECONDS = 500, REMOVE_MILLISECONDS = 5,
    PATIENCE_MILLISECONDS = 24 * 3600 * 1000, ROOM_MARGIN = 64 << 20,
    STOP_MILLISECONDS = 500 };

static const char prefix[] = "backup.";

struct copy {
	LIST_ENTRY(copy) link;
	struct control	*control;	/* null: the command is gone */
	char		*path;		/* owned */
	uint64_t	 total;		/* bytes, as they were at first */
	bool		 copying;	/* the thread of the store */
	struct timer	 timer;		/* progress, then removal */
};

/* A process has one queue, and a queue one of these. */
static struct copy *current;
/* It, and those that are being removed. */
static LIST_HEAD(, copy) copies = LIST_HEAD_INITIALIZER(copies);

static const char *name_of(const char *path)
{
	return strrchr(path, '/') + 1;
}

/* One file of a folder; false: none is left, and the folder is gone. */
static bool remove_some(const char *path)
{
	DIR *stream = opendir(path);
	struct dirent *entry;
	bool removed = false;

	while (stream != NULL && !removed &&
	    (entry = readdir(stream)) != NULL) {
		if (strcmp(entry->d_name, ".") == 0 ||
		    strcmp(entry->d_name, "..") == 0)
			continue;
		removed = unlinkat(dirfd(stream), entry->d_name, 0) == 0;
	}
	if (stream != NULL)
		closedir(stream);
	/* It may have been moved away. */
	if (!removed && rmdir(path) != 0 && errno != ENOENT)
		log_warn("cannot remove", log_text("path", path),
		    log_errno(errno));
	return removed;
}

void copy_sweep(const char *directory)
{
	DIR *stream = opendir(directory);
	struct dirent *entry;

	while (stream != NULL && (entry = readdir(stream)) != NULL) {
		char *path;

		if (strncmp(entry->d_name, prefix, sizeof(prefix) - 1) != 0)
			continue;
		path = mem_print("%s/%s", directory, entry->d_name);
		log_info("removing what is left of a backup",
		    log_text("path", path));
		while (remove_some(path))
			continue;
		mem_free(path);
	}
	if (stream != NULL)
		closedir(stream);
}

/* --- its end --- */

static void copy_free(struct copy *copy)
{
	timer_stop(&copy->timer);
	LIST_REMOVE(copy, link);
	mem_free(copy->path);
	mem_free(copy);
}

static void remove_step(void *arg)
{
	struct copy *copy = arg;

	if (remove_some(copy->path)) {
		timer_start(&copy->timer, REMOVE_MILLISECONDS, remove_step,
		    copy);
		return;
	}
	copy_free(copy);
}

static void remove_begin(struct copy *copy)
{
	current = NULL;
	timer_start(&copy->timer, 0, remove_step, copy);
}

/* The command is gone: with what it was after. */
static void on_gone(void *arg)
{
	struct copy *copy = arg;

	copy->control = NULL;
	if (!copy->copying)
		remove_begin(copy);
}

static void on_copied(void *arg, bool success)
{
	struct copy *copy = arg;

	copy->copying = false;
	timer_stop(&copy->timer);
	if (copy->control == NULL) {
		remove_begin(copy);
		return;
	}
	log_info("backup", log_text("path", copy->path), log_text("result",
	    success ? "complete" : "failed"));
	if (!success) {
		control_end(copy->control, CONTROL_TEMPORARY,
		    "the copy failed: see the log");
		return;
	}
	control_wait(copy->control, PATIENCE_MILLISECONDS);
	control_send(copy->control, json_pack("{s:s, s:I}", "copy",
	    name_of(copy->path), "bytes",
	    (json_int_t)store_backup_bytes(copy->path)));
}

/* What was cut off goes, as far as that is quick; the next start removes the
 * rest, and what somebody may still read. */
void verb_backup_end_all(void)
{
	int64_t until = clock_monotonic() + STOP_MILLISECONDS;
	struct copy *copy;

	while ((copy = LIST_FIRST(&copies)) != NULL) {
		while (copy->copying && clock_monotonic() < until &&
		    remove_some(copy->path))
			continue;
		copy_free(copy);
	}
	current = NULL;
}

/* --- its beginning --- */

static void tell(void *arg)
{
	struct copy *copy = arg;

	if (copy->control != NULL)
		control_send(copy->control, json_pack("{s:{s:I, s:I}}",
		    "progress", "seen",
		    (json_int_t)store_backup_bytes(copy->path), "total",
		    (json_int_t)copy->total));
	timer_start(&copy->timer, PROGRESS_MILLISECONDS, tell, copy);
}

/* What is said comes by itself. */
static void produce(struct control *control, void *arg)
{
	(void)control;
	(void)arg;
}

static void start(struct control *control, struct store *store, uint64_t total)
{
	struct copy *copy = mem_alloc(sizeof(*copy));

	copy->control = control;
	copy->total = total;
	copy->path = mem_print("%s/%s%llx", store_directory(store), prefix,
	    (unsigned long long)clock_wall());
	if (store_backup(store, copy->path, on_copied, copy) != 0) {
		mem_free(copy->path);
		mem_free(copy);
		control_end(control, CONTROL_TEMPORARY,
		    "another backup is being made");
		return;
	}
	log_info("operator", log_text("verb", "backup"), log_text("path",
	    copy->path), log_number("uid",
	    (int64_t)control_caller(control)->uid));
	copy->copying = true;
	LIST_INSERT_HEAD(&copies, copy, link);
	current = copy;
	control_produce(control, produce, on_gone, copy);
	tell(copy);
}

void verb_backup(struct control *control, const json_t *arguments)
{
	struct store *store = verbs_queue()->store;
	uint64_t total = store_backup_bytes(store_directory(store));
	char text[160];

	(void)arguments;
	if (current != NULL) {
		control_end(control, CONTROL_TEMPORARY,
		    "another backup is being made");
		return;
	}
	if (store_space(store) < total + ROOM_MARGIN) {
		snprintf(text, sizeof(text), "no room for a copy beside the "
		    "queue: it takes %llu MiB, and %llu MiB may be used",
		    (unsigned long long)((total + ROOM_MARGIN) >> 20),
		    (unsigned long long)(store_space(store) >> 20));
		control_end(control, CONTROL_TEMPORARY, text);
		return;
	}
	start(control, store, total);
}
