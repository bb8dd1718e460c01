/* SPDX-License-Identifier: ISC */
/*
 * One thread, one table, one transaction per batch, flushed by its commit.
 * Recovery runs at every opening; a lock beside the directory keeps a second
 * process out (it stays where it is when the directory is moved aside).
 *
 * Berkeley DB 5.3 tries a failed flush again, which then succeeds although the
 * data is gone, never flushes a directory, and reports a write that failed
 * while it opens as an environment to be recovered, which looks like damage:
 * all three are mended by hooks, which are the process's. The queue's store has
 * hooks of its own; it is in another process.
 */
#include "policy/store.h"

#include <db.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"

enum { PAGE_BYTES = 4096, CACHE_BYTES = 1 << 20, LOG_FILE_BYTES = 1 << 20,
    LOG_BUFFER_BYTES = 128 << 10, CHECKPOINT_CHANGES = 64,
    CHECKPOINT_BYTES = 1 << 20, ASIDE_MAX = 100 };

struct policy_store {
	char		*directory;	/* owned */
	int		 lock_fd;
	DB_ENV		*env;
	DB		*table;
	bool		 quiet;		/* opened again: until it works */
	bool		 anew;		/* the rows are gone */

	/* since the last checkpoint */
	unsigned	 changes;
	size_t		 bytes;
};

/* --- between Berkeley DB and the kernel --- */

/* What the kernel refused last (no room, no right), or 0. */
static int refused;

/* Into parent: what is before the last slash. */
static void parent_of(const char *path, char *parent)
{
	const char *slash = strrchr(path, '/');

	if (slash == NULL || slash == path)
		snprintf(parent, PATH_MAX, "/");
	else
		snprintf(parent, PATH_MAX, "%.*s", (int)(slash - path), path);
}

static void sync_directory(const char *path)
{
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd == -1 || fsync(fd) == -1)
		fatal("cannot flush directory", log_text("path", path),
		    log_errno(errno));
	close(fd);
}

static void sync_parent(const char *path)
{
	char parent[PATH_MAX];

	parent_of(path, parent);
	sync_directory(parent);
}

static int hook_fsync(int fd)
{
	if (fdatasync(fd) == -1)
		fatal("cannot flush", log_errno(errno));
	return 0;
}

/* It is gone whatever close says; Berkeley DB would close it again, and use
 * what it has freed. */
static int hook_close(int fd)
{
	if (close(fd) == -1 && errno != EINTR)
		fatal("cannot close", log_errno(errno));
	return 0;
}

static int hook_open(const char *path, int flags, ...)
{
	bool creates = (flags & O_CREAT) != 0;
	mode_t mode = 0600;
	va_list list;
	int fd;

	if (creates) {
		va_start(list, flags);
		mode = (mode_t)va_arg(list, int);
		va_end(list);
	}
	fd = open(path, flags | O_CLOEXEC | O_NOFOLLOW, mode);
	if (fd == -1 && errno != ENOENT && errno != EEXIST)
		refused = errno;
	if (fd != -1 && creates)
		sync_parent(path);
	return fd;
}

static int hook_rename(const char *from, const char *to)
{
	if (rename(from, to) == -1) {
		refused = errno;
		return -1;
	}
	sync_parent(to);
	return 0;
}

static ssize_t hook_write(int fd, const void *data, size_t length)
{
	ssize_t n = write(fd, data, length);

	if (n == -1 && errno != EINTR)
		refused = errno;
	return n;
}

static ssize_t hook_pwrite(int fd, const void *data, size_t length, off_t at)
{
	ssize_t n = pwrite(fd, data, length, at);

	if (n == -1 && errno != EINTR)
		refused = errno;
	return n;
}

static void install_hooks(void)
{
	static bool installed;

	if (installed)
		return;
	if (db_env_set_func_fsync(hook_fsync) != 0 ||
	    db_env_set_func_close(hook_close) != 0 ||
	    db_env_set_func_open(hook_open) != 0 ||
	    db_env_set_func_rename(hook_rename) != 0 ||
	    db_env_set_func_write(hook_write) != 0 ||
	    db_env_set_func_pwrite(hook_pwrite) != 0)
		bug("hooks");
	installed = true;
}

static void on_message(const DB_ENV *env, const char *prefix, const char *text)
{
	(void)env;
	(void)prefix;
	log_warn("berkeley db", log_text("text", text));
}

/* Without any callback it would write to descriptor 2 itself. */
static void on_quiet_message(const DB_ENV *env, const char *prefix,
    const char *text)
{
	(void)env;
	(void)prefix;
	log_debug("berkeley db", log_text("text", text));
}

/* --- errors --- */

/* Unless the disk, memory or rights said no, the files are in doubt. */
static bool is_damage(int error)
{
	if (refused != 0)
		return false;
	switch (error) {
	case 0:
	case ENOSPC:
	case EDQUOT:
	case EIO:
	case ENOMEM:
	case EMFILE:
	case ENFILE:
	case EACCES:
	case EPERM:
	case EROFS:
	case EINTR:
		return false;
	default:
		return true;
	}
}

static int failed(const struct policy_store *store, const char *what,
    int error)
{
	log_write(store->quiet ? LOG_LEVEL_DEBUG : LOG_LEVEL_ERROR,
	    "policy store failed", LOG_FIELDS(
	    log_text("path", store->directory), log_text("what", what),
	    log_text("error", db_strerror(error))));
	return -1;
}

static int refused_by_system(const struct policy_store *store,
    const char *what, const char *path, int error)
{
	log_write(store->quiet ? LOG_LEVEL_DEBUG : LOG_LEVEL_ERROR, what,
	    LOG_FIELDS(log_text("path", path), log_errno(error)));
	return -1;
}

static void speak(struct policy_store *store)
{
	store->env->set_errcall(store->env, on_message);
	store->quiet = false;
}

/* --- rows --- */

static int checkpoint(struct policy_store *store)
{
	int error;

	if (++store->changes < CHECKPOINT_CHANGES &&
	    store->bytes < CHECKPOINT_BYTES)
		return 0;
	store->changes = 0;
	store->bytes = 0;
	error = store->env->txn_checkpoint(store->env, 0, 0, 0);
	return error == 0 ? 0 : failed(store, "checkpoint", error);
}

/* The end of a batch: durable, or undone. */
static int end(struct policy_store *store, DB_TXN *txn, int error)
{
	if (error != 0) {
		txn->abort(txn);
		return failed(store, "change", error);
	}
	error = txn->commit(txn, DB_TXN_SYNC);
	if (error != 0)
		return failed(store, "commit", error);
	if (store->quiet)
		speak(store);
	return checkpoint(store);
}

static DBT key_of(const char *key)
{
	size_t length = strlen(key);

	if (length == 0 || length > POLICY_STORE_KEY_MAX)
		bug("key of the policy store");
	return (DBT){ .data = (void *)(uintptr_t)key,
	    .size = (uint32_t)length };
}

/* Berkeley DB's error. */
static int change(struct policy_store *store, DB_TXN *txn,
    const struct policy_store_change *wanted)
{
	DBT at = key_of(wanted->key);
	DBT data = { .data = (void *)(uintptr_t)wanted->value,
	    .size = (uint32_t)wanted->length };
	int error;

	if (wanted->length > POLICY_STORE_VALUE_MAX)
		bug("value of the policy store");
	store->bytes += at.size + data.size;
	if (wanted->value != NULL)
		return store->table->put(store->table, txn, &at, &data, 0);
	error = store->table->del(store->table, txn, &at, 0);
	return error == DB_NOTFOUND ? 0 : error;
}

int policy_store_apply(struct policy_store *store,
    const struct policy_store_change *changes, size_t count)
{
	DB_TXN *txn;
	size_t i;
	int error;

	if (count == 0)
		return 0;
	error = store->env->txn_begin(store->env, NULL, &txn, 0);
	if (error != 0)
		return failed(store, "begin", error);
	for (i = 0; i < count && error == 0; i++)
		error = change(store, txn, &changes[i]);
	return end(store, txn, error);
}

int policy_store_put(struct policy_store *store, const char *key,
    const void *value, size_t length)
{
	return policy_store_apply(store, &(struct policy_store_change){
	    .key = key, .value = length > 0 ? value : "", .length = length },
	    1);
}

int policy_store_delete(struct policy_store *store, const char *key)
{
	return policy_store_apply(store,
	    &(struct policy_store_change){ .key = key }, 1);
}

static void show_row(const DBT *key, const DBT *data,
    policy_store_visit *visit, void *arg)
{
	char text[POLICY_STORE_KEY_MAX + 1];

	if (key->size > POLICY_STORE_KEY_MAX)
		return;
	memcpy(text, key->data, key->size);
	text[key->size] = '\0';
	if (strlen(text) == key->size)
		visit(arg, text, data->data, data->size);
}

/* Berkeley DB's error. */
static int scan(struct policy_store *store, policy_store_visit *visit,
    void *arg)
{
	DBT key = { 0 }, data = { 0 };
	DBC *cursor;
	int error = store->table->cursor(store->table, NULL, &cursor, 0), end_error;

	if (error != 0)
		return error;
	while ((error = cursor->get(cursor, &key, &data, DB_NEXT)) == 0)
		show_row(&key, &data, visit, arg);
	end_error = cursor->close(cursor);
	return error == DB_NOTFOUND ? end_error : error;
}

int policy_store_each(struct policy_store *store, policy_store_visit *visit,
    void *arg)
{
	int error = scan(store, visit, arg);

	return error == 0 ? 0 : failed(store, "read", error);
}

/* --- opening --- */

static int lock(struct policy_store *store)
{
	struct flock whole = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
	char path[PATH_MAX];

	if (snprintf(path, sizeof(path), "%s.lock", store->directory) >=
	    (int)sizeof(path))
		fatal("path is too long", log_text("path", store->directory));
	store->lock_fd = open(path, O_CREAT | O_RDWR | O_CLOEXEC | O_NOFOLLOW,
	    0600);
	if (store->lock_fd != -1 &&
	    fcntl(store->lock_fd, F_SETLK, &whole) == 0)
		return 0;
	if (store->lock_fd != -1 && (errno == EACCES || errno == EAGAIN))
		return refused_by_system(store, "the policy store is in use by "
		    "another process", store->directory, errno);
	return refused_by_system(store, "cannot lock", path, errno);
}

static int make_directory(struct policy_store *store)
{
	if (mkdir(store->directory, 0700) == 0) {
		sync_parent(store->directory);
		return 0;
	}
	if (errno == EEXIST)
		return 0;
	return refused_by_system(store, "cannot make directory",
	    store->directory, errno);
}

/* Berkeley DB would read settings from it; nobody else may change ours. */
static void remove_settings(const struct policy_store *store)
{
	char path[PATH_MAX];

	if (snprintf(path, sizeof(path), "%s/DB_CONFIG", store->directory) <
	    (int)sizeof(path) && unlink(path) == 0)
		log_warn("removed a settings file", log_text("path", path));
}

static void close_tables(struct policy_store *store)
{
	if (store->table != NULL)
		store->table->close(store->table, 0);
	if (store->env != NULL)
		store->env->close(store->env, 0);
	store->table = NULL;
	store->env = NULL;
}

static int open_environment(struct policy_store *store)
{
	int error = db_env_create(&store->env, 0);

	if (error != 0) {
		store->env = NULL;
		return error;
	}
	store->env->set_errcall(store->env, store->quiet ? on_quiet_message :
	    on_message);
	store->env->set_cachesize(store->env, 0, CACHE_BYTES, 1);
	store->env->set_lg_max(store->env, LOG_FILE_BYTES);
	store->env->set_lg_bsize(store->env, LOG_BUFFER_BYTES);
	store->env->log_set_config(store->env, DB_LOG_AUTO_REMOVE, 1);
	store->env->set_flags(store->env, DB_NOMMAP, 1);
	return store->env->open(store->env, store->directory, DB_CREATE |
	    DB_PRIVATE | DB_RECOVER | DB_INIT_MPOOL | DB_INIT_LOG |
	    DB_INIT_TXN, 0600);
}

static void ignore_row(void *arg, const char *key, const void *value,
    size_t length)
{
	(void)arg;
	(void)key;
	(void)value;
	(void)length;
}

/* Everything is read once, so that damage shows now and not later. */
static int open_tables(struct policy_store *store)
{
	int error = open_environment(store);

	if (error == 0)
		error = db_create(&store->table, store->env, 0);
	if (error != 0)
		return error;
	store->table->set_pagesize(store->table, PAGE_BYTES);
	store->table->set_flags(store->table, DB_CHKSUM);
	error = store->table->open(store->table, NULL, "policy.db", NULL,
	    DB_BTREE, DB_CREATE | DB_AUTO_COMMIT, 0600);
	if (error == 0)
		error = scan(store, ignore_row, NULL);
	if (error == 0)
		error = store->env->txn_checkpoint(store->env, 0, 0, 0);
	return error;
}

/* The damaged files stay, an operator's evidence. */
static int set_aside(struct policy_store *store, int error)
{
	time_t now = (time_t)(clock_wall() / 1000);
	char path[PATH_MAX], stamp[32];
	struct tm broken_down;
	int i;

	gmtime_r(&now, &broken_down);
	strftime(stamp, sizeof(stamp), "%Y%m%dT%H%M%SZ", &broken_down);
	for (i = 0; i < ASIDE_MAX; i++) {
		if (snprintf(path, sizeof(path), i == 0 ? "%s.damaged-%s" :
		    "%s.damaged-%s.%d", store->directory, stamp, i) >=
		    (int)sizeof(path))
			return -1;
		if (access(path, F_OK) == -1 &&
		    rename(store->directory, path) == 0)
			break;
	}
	if (i == ASIDE_MAX)
		return refused_by_system(store, "cannot move the damaged "
		    "policy store aside", store->directory, errno);
	sync_parent(store->directory);
	log_error("the policy store was damaged: what it remembered is lost, "
	    "and begun anew", log_text("path", store->directory),
	    log_text("kept", path), log_text("error", db_strerror(error)));
	store->anew = true;
	return 0;
}

static int open_whole(struct policy_store *store)
{
	int error;

	refused = 0;
	error = open_tables(store);
	if (error == 0)
		return 0;
	close_tables(store);
	if (!is_damage(error))
		return failed(store, "open", refused != 0 ? refused : error);
	if (set_aside(store, error) == -1 || make_directory(store) == -1)
		return -1;
	error = open_tables(store);
	return error == 0 ? 0 : failed(store, "open anew", error);
}

static struct policy_store *open_store(const char *directory, bool quiet)
{
	struct policy_store *store = mem_alloc(sizeof(*store));

	if (directory[0] != '/')
		bug("the policy store's directory is not absolute");
	store->directory = mem_dup_string(directory);
	store->quiet = quiet;
	install_hooks();
	if (lock(store) == -1 || make_directory(store) == -1) {
		policy_store_close(store);
		return NULL;
	}
	remove_settings(store);
	if (open_whole(store) == -1) {
		policy_store_close(store);
		return NULL;
	}
	return store;
}

struct policy_store *policy_store_open(const char *directory)
{
	return open_store(directory, false);
}

struct policy_store *policy_store_open_again(const char *directory)
{
	return open_store(directory, true);
}

bool policy_store_is_anew(const struct policy_store *store)
{
	return store->anew;
}

void policy_store_close(struct policy_store *store)
{
	if (store == NULL)
		return;
	close_tables(store);
	if (store->lock_fd != -1)
		close(store->lock_fd);
	mem_free(store->directory);
	mem_free(store);
}
