/* SPDX-License-Identifier: ISC */
/*
 * The environment, its five tables, and the two threads: the flusher makes
 * committed batches durable with one log flush each time it comes round; the
 * housekeeper trickles dirty pages, takes checkpoints, removes old log files
 * and prepares the next one.
 */
#include "tests/bench/store/bench.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const char *const table_names[TABLE_COUNT] = {
	[TABLE_META] = "meta", [TABLE_MESSAGES] = "messages",
	[TABLE_SLICES] = "slices", [TABLE_SCHEDULE] = "schedule",
	[TABLE_BODIES] = "bodies",
};

static void *flusher_main(void *arg)
{
	struct engine *engine = arg;
	uint64_t target, first, at;
	int error;

	pthread_mutex_lock(&engine->lock);
	for (;;) {
		while (engine->committed == engine->flushed &&
		    !engine->stopping)
			pthread_cond_wait(&engine->wanted, &engine->lock);
		if (engine->committed == engine->flushed)
			break;
		target = engine->committed;
		first = engine->flushed + 1;
		pthread_mutex_unlock(&engine->lock);
		error = engine->env->log_flush(engine->env, NULL);
		if (error != 0)
			die("log_flush", error);
		at = now_micro();
		pthread_mutex_lock(&engine->lock);
		for (uint64_t batch = first; batch <= target; batch++)
			engine->durable_at[batch % BATCH_RING] = at;
		engine->flushed = target;
		engine->flushes++;
		pthread_cond_broadcast(&engine->done);
	}
	pthread_mutex_unlock(&engine->lock);
	return NULL;
}

static uint64_t log_since_checkpoint(struct engine *engine)
{
	DB_LOG_STAT *stat;
	uint64_t bytes;
	int error = engine->env->log_stat(engine->env, &stat, 0);

	if (error != 0)
		die("log_stat", error);
	bytes = ((uint64_t)stat->st_wc_mbytes << 20) + stat->st_wc_bytes;
	free(stat);
	return bytes;
}

/* The next log file, written with zeros so that appending never allocates. */
static void prepare_spare(const struct settings *settings)
{
	static char zeros[1 << 20];
	char path[4096], draft[4096];
	uint64_t left = settings->log_file_bytes;
	int fd;

	snprintf(path, sizeof(path), "%s/spare", settings->home);
	snprintf(draft, sizeof(draft), "%s/spare.new", settings->home);
	if (access(path, F_OK) == 0)
		return;
	fd = open(draft, O_CREAT | O_TRUNC | O_RDWR | O_CLOEXEC, 0600);
	if (fd < 0)
		die(draft, errno);
	while (left > 0) {
		size_t step = left < sizeof(zeros) ? left : sizeof(zeros);

		if (write(fd, zeros, step) != (ssize_t)step) {
			close(fd);
			unlink(draft);
			return;
		}
		left -= step;
	}
	if (fsync(fd) != 0 || close(fd) != 0 || rename(draft, path) != 0)
		die(draft, errno);
}

void engine_checkpoint(struct engine *engine)
{
	uint64_t start = now_micro(), bytes;
	double seconds;
	int error;

	bytes = directory_bytes(engine->settings.home, "log.");
	if (bytes > engine->log_highest)
		engine->log_highest = bytes;
	pthread_mutex_lock(&engine->pages);
	engine->checkpointing = true;
	error = engine->env->txn_checkpoint(engine->env, 0, 0, DB_FORCE);
	engine->checkpointing = false;
	pthread_mutex_unlock(&engine->pages);
	if (error != 0 && error != ENOSPC)
		die("txn_checkpoint", error);
	seconds = (double)(now_micro() - start) / 1e6;
	engine->checkpoints++;
	engine->checkpoint_seconds += seconds;
	if (seconds > engine->checkpoint_longest)
		engine->checkpoint_longest = seconds;
	error = engine->env->log_archive(engine->env, NULL, DB_ARCH_REMOVE);
	if (error != 0)
		die("log_archive", error);
}

static void *housekeeper_main(void *arg)
{
	struct engine *engine = arg;
	bool stop = false;
	int round = 0, wrote;

	while (!stop) {
		usleep(50000);
		pthread_mutex_lock(&engine->lock);
		stop = engine->stopping;
		pthread_mutex_unlock(&engine->lock);
		if (engine->settings.spare_log && !fault_reserve_is_used())
			prepare_spare(&engine->settings);
		if (log_since_checkpoint(engine) >=
		    engine->settings.checkpoint_bytes)
			engine_checkpoint(engine);
		else if (++round % 20 == 0) {
			pthread_mutex_lock(&engine->pages);
			engine->env->memp_trickle(engine->env, 10, &wrote);
			pthread_mutex_unlock(&engine->pages);
		}
	}
	return NULL;
}

static void on_message(const DB_ENV *env, const char *prefix, const char *text)
{
	(void)env;
	(void)prefix;
	if (getenv("STORE_BENCH_VERBOSE") != NULL)
		fprintf(stderr, "db: %s\n", text);
}

static void environment_open(struct engine *engine)
{
	const struct settings *settings = &engine->settings;
	uint32_t flags = DB_CREATE | DB_PRIVATE | DB_RECOVER | DB_THREAD |
	    DB_INIT_MPOOL | DB_INIT_LOG | DB_INIT_TXN;
	DB_ENV *env;
	int error = db_env_create(&env, 0);

	if (error != 0)
		die("db_env_create", error);
	engine->env = env;
	if (settings->locks)
		flags |= DB_INIT_LOCK;
	env->set_errcall(env, on_message);
	env->set_cachesize(env, (uint32_t)(settings->cache_bytes >> 30),
	    (uint32_t)(settings->cache_bytes & ((1 << 30) - 1)), 1);
	env->set_lg_max(env, (uint32_t)settings->log_file_bytes);
	env->set_lg_bsize(env, 4 << 20);
	env->set_lg_regionmax(env, 1 << 20);
	env->set_tx_max(env, 64);
	env->set_lk_max_locks(env, 200000);
	env->set_lk_max_objects(env, 200000);
	env->set_lk_max_lockers(env, 1000);
	env->set_mp_mmapsize(env, 0);
	env->set_mp_max_write(env, 64, 500);
	if (settings->zero_log)
		env->log_set_config(env, DB_LOG_ZERO, 1);
	error = env->open(env, settings->home, flags, 0600);
	if (error != 0)
		die("environment", error);
}

DB *
engine_table_open(struct engine *engine, const char *name)
{
	DB *db;
	int error = db_create(&db, engine->env, 0);

	if (error != 0)
		die("db_create", error);
	db->set_pagesize(db, engine->settings.page_bytes);
	db->set_flags(db, DB_CHKSUM);
	error = db->open(db, NULL, name, NULL, DB_BTREE,
	    DB_CREATE | DB_AUTO_COMMIT | DB_THREAD, 0600);
	if (error != 0)
		die(name, error);
	return db;
}

static void tables_open(struct engine *engine)
{
	char name[64];

	for (int i = 0; i < TABLE_COUNT; i++) {
		snprintf(name, sizeof(name), "%s.db", table_names[i]);
		engine->tables[i] = engine_table_open(engine, name);
	}
	if (engine->settings.segment_bytes > 0)
		segment_open_all(engine);
}

/* A spare that took a log file's name and was never flushed: recovery would
 * refuse it, and nothing rests on it. */
static void log_tail_remove(const char *home)
{
	char last[256] = "", path[4096], head[64];
	static const char zeros[sizeof(head)];
	struct dirent *entry;
	DIR *directory = opendir(home);
	ssize_t length;
	int fd;

	while (directory != NULL && (entry = readdir(directory)) != NULL)
		if (strncmp(entry->d_name, "log.", 4) == 0 &&
		    strcmp(entry->d_name, last) > 0)
			snprintf(last, sizeof(last), "%s", entry->d_name);
	if (directory != NULL)
		closedir(directory);
	snprintf(path, sizeof(path), "%s/%s", home, last);
	fd = last[0] != '\0' ? open(path, O_RDONLY | O_CLOEXEC) : -1;
	if (fd < 0)
		return;
	length = read(fd, head, sizeof(head));
	close(fd);
	if (length == sizeof(head) && memcmp(head, zeros, sizeof(head)) == 0 &&
	    unlink(path) != 0)
		die(path, errno);
}

void engine_open(struct engine *engine, const struct settings *settings)
{
	uint64_t start = now_micro();

	memset(engine, 0, sizeof(*engine));
	engine->settings = *settings;
	if (mkdir(settings->home, 0700) != 0 && errno != EEXIST)
		die(settings->home, errno);
	fault_early_writes(settings->early_writes);
	log_tail_remove(settings->home);
	environment_open(engine);
	tables_open(engine);
	engine->open_seconds = (double)(now_micro() - start) / 1e6;
	pthread_mutex_init(&engine->lock, NULL);
	pthread_mutex_init(&engine->pages, NULL);
	pthread_cond_init(&engine->wanted, NULL);
	pthread_cond_init(&engine->done, NULL);
	if (pthread_create(&engine->flusher, NULL, flusher_main, engine) != 0 ||
	    pthread_create(&engine->housekeeper, NULL, housekeeper_main,
	    engine) != 0)
		die("threads", 0);
}

void engine_close(struct engine *engine)
{
	int error;

	pthread_mutex_lock(&engine->lock);
	engine->stopping = true;
	pthread_cond_signal(&engine->wanted);
	pthread_mutex_unlock(&engine->lock);
	pthread_join(engine->flusher, NULL);
	pthread_join(engine->housekeeper, NULL);
	segment_close_all(engine);
	for (int i = 0; i < TABLE_COUNT; i++) {
		error = engine->tables[i]->close(engine->tables[i], 0);
		if (error != 0)
			die(table_names[i], error);
	}
	engine_checkpoint(engine);
	error = engine->env->close(engine->env, 0);
	if (error != 0)
		die("close", error);
}

DB_TXN *
engine_begin(struct engine *engine)
{
	DB_TXN *txn;
	int error = engine->env->txn_begin(engine->env, NULL, &txn, 0);

	if (error != 0)
		die("txn_begin", error);
	return txn;
}

uint64_t engine_commit(struct engine *engine, DB_TXN *txn)
{
	uint64_t batch;
	int error = txn->commit(txn, engine->settings.commit_flag);

	if (error != 0)
		die("commit", error);
	pthread_mutex_lock(&engine->lock);
	while (engine->committed - engine->flushed >= BATCH_RING - 1)
		pthread_cond_wait(&engine->done, &engine->lock);
	batch = ++engine->committed;
	pthread_cond_signal(&engine->wanted);
	pthread_mutex_unlock(&engine->lock);
	return batch;
}

bool engine_is_durable(struct engine *engine, uint64_t batch, bool wait,
    uint64_t *at)
{
	bool durable;

	pthread_mutex_lock(&engine->lock);
	while (wait && engine->flushed < batch)
		pthread_cond_wait(&engine->done, &engine->lock);
	durable = engine->flushed >= batch;
	*at = engine->durable_at[batch % BATCH_RING];
	pthread_mutex_unlock(&engine->lock);
	return durable;
}

json_t *engine_space(struct engine *engine)
{
	const char *home = engine->settings.home;
	uint64_t data = 0;

	for (int i = 0; i < TABLE_COUNT; i++)
		data += directory_bytes(home, table_names[i]);
	data += directory_bytes(home, "segment.");
	return json_pack("{s:f,s:f,s:f}",
	    "data_MB", (double)data / 1e6,
	    "log_MB", (double)directory_bytes(home, "log.") / 1e6,
	    "log_highest_MB", (double)engine->log_highest / 1e6);
}
