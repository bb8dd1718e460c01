/* SPDX-License-Identifier: ISC */
/*
 * The store's threads. The flusher makes all committed batches durable with
 * one log flush each time it comes round, then wakes the loop. The housekeeper
 * writes dirty pages ahead of need, takes checkpoints, removes log files that
 * recovery no longer needs, prepares the next one, and measures the room on
 * the disk. A backup has a thread of its own while it runs.
 */
#include "queue/store_internal.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <time.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"

enum {
	ROUND_MILLISECONDS = 100,
	TRICKLE_ROUNDS = 10,		/* once a second */
	TRICKLE_PERCENT = 20,		/* of the cache kept clean */
	IDLE_CHECKPOINT_MS = 60000,	/* when anything was written */
	LOG_HEADROOM = 6		/* checkpoints' worth of log */
};

static void *flusher_main(void *arg)
{
	struct store *store = arg;
	uint64_t target;
	int error;

	pthread_mutex_lock(&store->lock);
	for (;;) {
		while (store->committed == store->flushed && !store->stopping)
			pthread_cond_wait(&store->wanted, &store->lock);
		if (store->committed == store->flushed)
			break;
		target = store->committed;
		pthread_mutex_unlock(&store->lock);
		error = store->env->log_flush(store->env, NULL);
		if (error != 0)
			store_fail(store, "log flush", error);
		atomic_fetch_add(&store->flushes, 1);
		pthread_mutex_lock(&store->lock);
		store->flushed = target;
		store_progress_flushed(store->progress, target);
		pthread_cond_broadcast(&store->flushed_some);
		loop_notify_send(&store->notify);
	}
	pthread_mutex_unlock(&store->lock);
	return NULL;
}

/* Log written since the last checkpoint. */
static uint64_t log_since_checkpoint(struct store *store)
{
	DB_LOG_STAT *stat;
	uint64_t bytes;
	int error = store->env->log_stat(store->env, &stat, 0);

	if (error != 0)
		store_fail(store, "log statistics", error);
	bytes = ((uint64_t)stat->st_wc_mbytes << 20) + stat->st_wc_bytes;
	free(stat);
	return bytes;
}

/* With the pages held. */
static void checkpoint(struct store *store)
{
	int64_t started = clock_monotonic();
	uint64_t spent;
	int error = store_pages_settle() != 0 ? ENOSPC :
	    store->env->txn_checkpoint(store->env, 0, 0, DB_FORCE);

	/* Pages that found no room stay in memory, and the log stays. */
	if (error == ENOSPC || error == EDQUOT)
		return;
	if (error != 0)
		store_fail(store, "checkpoint", error);
	spent = (uint64_t)(clock_monotonic() - started) * 1000;
	atomic_fetch_add(&store->checkpoints, 1);
	if (spent > atomic_load(&store->checkpoint_longest_us))
		atomic_store(&store->checkpoint_longest_us, spent);
	error = store->env->log_archive(store->env, NULL, DB_ARCH_REMOVE);
	if (error != 0)
		store_fail(store, "log removal", error);
}

/*
 * None while a backup runs: the copy is recovered from the last checkpoint that
 * its log names, and has of each page what stood there when that page's turn
 * came. What a checkpoint wrote after that would be lacking.
 */
void store_checkpoint(struct store *store)
{
	pthread_mutex_lock(&store->pages);
	if (!atomic_load(&store->backup_running))
		checkpoint(store);
	pthread_mutex_unlock(&store->pages);
}

void store_space_update(struct store *store)
{
	const struct store_options *options = &store->options;
	uint64_t headroom = options->checkpoint_bytes * LOG_HEADROOM +
	    options->log_file_bytes * 2 + options->segment_bytes;
	struct statvfs about;
	uint64_t free_bytes, inside, used;

	if (statvfs(store->directory, &about) != 0) {
		log_warn("cannot measure the disk", log_text("path",
		    store->directory), log_errno(errno));
		return;
	}
	free_bytes = (uint64_t)about.f_bavail * about.f_frsize;
	if (!store_os_reserve_is_whole() &&
	    free_bytes > headroom + options->reserve_bytes * 2)
		store_os_reserve_restore();
	inside = store_os_file_bytes(store->directory, "strays.db");
	used = store->stray_bytes + store->stray_bytes / 16;
	free_bytes += inside > used ? inside - used : 0;
	if (!store_os_reserve_is_whole() || free_bytes <= headroom)
		free_bytes = headroom;
	atomic_store(&store->space, free_bytes - headroom);
}

/* Sleeps a round; true when it is time to end. */
static bool round_wait(struct store *store)
{
	struct timespec until;
	bool stop;

	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_nsec += ROUND_MILLISECONDS * 1000000L;
	until.tv_sec += until.tv_nsec / 1000000000;
	until.tv_nsec %= 1000000000;
	pthread_mutex_lock(&store->lock);
	if (!store->stopping)
		pthread_cond_timedwait(&store->stop, &store->lock, &until);
	stop = store->stopping;
	pthread_mutex_unlock(&store->lock);
	return stop;
}

/* Pages that will not be written at all, of segments that go, are most of those
 * that are dirty: none is written before there is need of its room. */
static bool cache_is_filling(struct store *store)
{
	DB_MPOOL_STAT *stat;
	uint64_t bytes;
	int error = store->env->memp_stat(store->env, &stat, NULL, 0);

	if (error != 0)
		store_fail(store, "cache statistics", error);
	bytes = (uint64_t)stat->st_pages * STORE_PAGE_BYTES;
	free(stat);
	return bytes > store->options.cache_bytes / 2;
}

static void trickle(struct store *store)
{
	int error;

	if (!cache_is_filling(store))
		return;
	pthread_mutex_lock(&store->pages);
	error = store->env->memp_trickle(store->env, TRICKLE_PERCENT, NULL);
	pthread_mutex_unlock(&store->pages);
	if (error != 0 && error != ENOSPC && error != EDQUOT)
		store_fail(store, "trickle", error);
}

static void *housekeeper_main(void *arg)
{
	struct store *store = arg;
	int64_t last = clock_monotonic();
	unsigned round = 0;

	while (!round_wait(store)) {
		uint64_t written = log_since_checkpoint(store);
		bool idle_long = clock_monotonic() - last > IDLE_CHECKPOINT_MS;

		store_space_update(store);
		if (store_os_reserve_is_whole())
			store_os_spare(store->directory,
			    store->options.log_file_bytes);
		/* While a backup runs there is none: pages are written ahead
		 * all the same. */
		if (!atomic_load(&store->backup_running) &&
		    (written >= store->options.checkpoint_bytes ||
		    (idle_long && written > 4096))) {
			store_checkpoint(store);
			last = clock_monotonic();
		} else if (++round % TRICKLE_ROUNDS == 0) {
			trickle(store);
		}
	}
	return NULL;
}

static void thread_start(pthread_t *thread, void *(*body)(void *), void *arg)
{
	int error = pthread_create(thread, NULL, body, arg);

	if (error != 0)
		fatal("cannot start a thread", log_errno(error));
}

void store_threads_start(struct store *store)
{
	pthread_mutex_init(&store->lock, NULL);
	pthread_mutex_init(&store->pages, NULL);
	pthread_cond_init(&store->wanted, NULL);
	pthread_cond_init(&store->stop, NULL);
	pthread_cond_init(&store->flushed_some, NULL);
	store_space_update(store);
	thread_start(&store->flusher, flusher_main, store);
	thread_start(&store->housekeeper, housekeeper_main, store);
	store->threads_run = true;
}

/* A backup is not waited for: it may have gigabytes before it. */
void store_threads_stop(struct store *store)
{
	int error;

	store_os_copy_stop(true);
	pthread_mutex_lock(&store->lock);
	store->stopping = true;
	store->committed++;	/* a last flush for what was just committed */
	pthread_cond_signal(&store->wanted);
	pthread_cond_signal(&store->stop);
	pthread_mutex_unlock(&store->lock);
	pthread_join(store->flusher, NULL);
	pthread_join(store->housekeeper, NULL);
	if (store->backup_directory != NULL)
		pthread_join(store->backup_thread, NULL);
	mem_free(store->backup_directory);
	store_checkpoint(store);
	error = store->env->log_flush(store->env, NULL);
	if (error != 0)
		store_fail(store, "log flush", error);
	pthread_mutex_destroy(&store->lock);
	pthread_mutex_destroy(&store->pages);
	pthread_cond_destroy(&store->wanted);
	pthread_cond_destroy(&store->stop);
	pthread_cond_destroy(&store->flushed_some);
}

const char *store_directory(const struct store *store)
{
	return store->directory;
}

uint64_t store_backup_bytes(const char *directory)
{
	DIR *stream = opendir(directory);
	struct dirent *entry;
	struct stat about;
	uint64_t bytes = 0;

	while (stream != NULL && (entry = readdir(stream)) != NULL) {
		const char *dot = strrchr(entry->d_name, '.');

		if ((strncmp(entry->d_name, "log.", 4) == 0 ||
		    (dot != NULL && strcmp(dot, ".db") == 0)) &&
		    fstatat(dirfd(stream), entry->d_name, &about,
		    AT_SYMLINK_NOFOLLOW) == 0)
			bytes += (uint64_t)about.st_size;
	}
	if (stream != NULL)
		closedir(stream);
	return bytes;
}

static void *backup_main(void *arg)
{
	struct store *store = arg;
	int error, cause;

	/* A checkpoint that is under way ends first. */
	pthread_mutex_lock(&store->pages);
	pthread_mutex_unlock(&store->pages);
	store_os_copy(store->backup_directory);
	error = store->env->backup(store->env, store->backup_directory,
	    DB_CREATE | DB_EXCL);
	store_os_copy(NULL);
	cause = store_os_copy_error();
	if (error != 0 && cause == ECANCELED)
		log_info("backup was cut off", log_text("path",
		    store->backup_directory));
	else if (error != 0)
		log_error("backup failed", log_text("path",
		    store->backup_directory), log_text("error",
		    db_strerror(cause != 0 ? cause : error)));
	else
		store_os_sync_directory(store->backup_directory);
	store->backup_success = error == 0;
	atomic_store(&store->backup_running, false);
	atomic_store(&store->backup_finished, true);
	loop_notify_send(&store->notify);
	return NULL;
}

int store_backup(struct store *store, const char *directory,
    store_backup_done *done, void *arg)
{
	if (store->backup_directory != NULL)
		return -1;
	store->backup_directory = mem_dup_string(directory);
	store->backup_done = done;
	store->backup_arg = arg;
	atomic_store(&store->backup_running, true);
	store_os_copy_stop(false);
	thread_start(&store->backup_thread, backup_main, store);
	return 0;
}

uint64_t store_space(const struct store *store)
{
	return atomic_load(&store->space);
}

void store_stats(const struct store *store, struct store_stats *stats)
{
	*stats = (struct store_stats){
		.commits = store->commits,
		.flushes = store->flushes,
		.checkpoints = store->checkpoints,
		.segments = store->segment_count,
		.segments_dropped = store->segments_dropped,
		.bodies_moved = store->bodies_moved,
		.body_bytes_live = store->stray_bytes,
		.checkpoint_longest = (double)store->checkpoint_longest_us /
		    1e6,
		.open_seconds = store->open_seconds,
	};
	store_os_counts(&stats->log_bytes, &stats->page_bytes);
	for (size_t i = 0; i < store->segment_count; i++) {
		stats->body_bytes_live += store->segments[i].live_bytes;
		stats->body_bytes_stored += store->segments[i].bytes;
	}
}
