/* SPDX-License-Identifier: ISC */
/*
 * What the files of the store share; nobody else includes this. Besides the
 * callers' tables there are:
 *
 *	store.db	version, how far an upgrade and a salvage have come, one
 *			row for each segment, loose and purge marks
 *	strays.db	bodies moved out of segments, deleted chunk by chunk
 *	segment.*.db	bodies as they came; dropped whole when none lives
 *	history.*.db	volumes, one after the other, dropped whole
 */
#ifndef POSTERN_QUEUE_STORE_INTERNAL_H
#define POSTERN_QUEUE_STORE_INTERNAL_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

#include <db.h>

#include "base/loop.h"
#include "queue/store.h"
#include "queue/store_pages.h"

struct hash;
struct store_recent;
struct store_volumes;

enum {
	STORE_VERSION = 2,
	STORE_VERSION_OLDEST = 1,	/* that we can upgrade */
	/* With its checksum a chunk fills one overflow page of 4,064 bytes. */
	STORE_CHUNK_BYTES = 4056,
	STORE_CHUNK_MAX = STORE_CHUNK_BYTES + 8,
	STORE_STEP_CHUNKS = 64		/* of housekeeping in one turn */
};

/* Bodies with ids in [first, end). Ids up to moved_to live in strays. */
struct segment {
	uint64_t	 first, end;	/* end: UINT64_MAX while it is filled */
	uint64_t	 bytes;		/* ever put into it */
	uint64_t	 live;		/* bodies, loose ones too */
	uint64_t	 live_bytes;	/* of owned bodies */
	uint64_t	 moved_to;

	/* not stored */
	unsigned	 loose;
	bool		 changed;	/* row to be written at the commit */
	DB		*db;		/* null while closed */
	uint64_t	 used_at;	/* for closing the least used */
	int64_t		 dying_since;	/* monotonic; 0: it is not */
};

/* One that has no row any more: its file goes when that is durable. */
struct segment_gone {
	DB		*db;
	uint64_t	 batch;
};

struct waiter {			/* of one commit */
	uint64_t	 batch;
	store_done	*done;
	void		*arg;
};

struct store {
	struct store_options	 options;	/* defaults filled in */
	char			*directory;	/* owned */
	int			 lock_fd;
	struct store_progress	*progress;	/* mapped; may be null */
	DB_ENV			*env;
	DB			*tables[STORE_TABLE_COUNT];
	DB			*internal;
	DB			*strays;
	DB_TXN			*batch;		/* null: nothing written yet */
	unsigned char		*scratch;	/* STORE_VALUE_MAX; owned */
	struct store_recent	*recent_messages;	/* owned, as this: */
	struct store_recent	*recent_slices;
	double			 open_seconds;
	struct store_volumes	*volumes;	/* owned */
	uint32_t		 upgrade_from;	/* 0: the rows are ours */
	char			*salvaged;	/* owned; null: no news */
	/* It was marked, and nothing was found: pages of zeros that are read
	 * belong to nothing. */
	bool			 was_cleared;

	struct segment		*segments;	/* ascending; owned */
	size_t			 segment_count, segments_open;
	struct segment_gone	*gone;		/* oldest first, open; owned */
	size_t			 gone_count;
	uint64_t		 use_counter;
	uint64_t		 highest_id;	/* body ever put */
	atomic_uint_fast64_t	 stray_bytes;	/* live in strays */
	bool			 stray_changed;
	struct hash		*loose;		/* id -> struct loose */
	LIST_HEAD(, loose)	 unmarked;	/* chunks, but no row yet */
	uint64_t		*purges;	/* ids to take out of strays */
	size_t			 purge_count;
	uint64_t		 segments_dropped, bodies_moved, commits;
	struct timer		 care;		/* bounded steps of moving */
	int64_t			 move_delay;	/* ms; less only in tests */

	/* loop's thread and the others, under lock */
	pthread_mutex_t		 lock;
	pthread_cond_t		 wanted;	/* flusher: something to do */
	pthread_cond_t		 stop;		/* housekeeper: end now */
	pthread_cond_t		 flushed_some;
	uint64_t		 committed, flushed;	/* batch numbers */
	bool			 stopping;
	bool			 threads_run;
	pthread_t		 flusher, housekeeper, backup_thread;
	/* Held while pages are written and while a table is dropped: Berkeley
	 * DB would look for the pages of a file that has just gone. */
	pthread_mutex_t		 pages;

	struct loop_notify	 notify;
	struct waiter		*waiters;	/* ring; owned */
	size_t			 waiter_first, waiter_count, waiter_size;

	/* backup: the loop's thread starts it, its thread sets finished */
	char			*backup_directory;	/* owned; null: none */
	store_backup_done	*backup_done;
	void			*backup_arg;
	bool			 backup_success;
	atomic_bool		 backup_finished;
	/* no log file and no segment goes away while it runs */
	atomic_bool		 backup_running;

	atomic_uint_fast64_t	 space;
	atomic_uint_fast64_t	 flushes, checkpoints, checkpoint_longest_us;
};

/* store_progress.c */
struct store_progress	*store_progress_open(const char *directory);
void	 store_progress_committed(struct store_progress *progress,
	    uint64_t batch);
void	 store_progress_flushed(struct store_progress *progress,
	    uint64_t batch);
void	 store_progress_close(struct store_progress *progress);

/* store_os.c */
void	 store_os_install(void);
void	 store_os_counts(uint64_t *log_bytes, uint64_t *page_bytes);
/* Locks the directory; -1: logged, names the holder. */
int	 store_os_lock(const char *directory);
void	 store_os_reserve(const char *directory, uint64_t bytes);
/* Whether the reserve is whole; makes it again when there is room. */
bool	 store_os_reserve_is_whole(void);
void	 store_os_reserve_restore(void);
/* A write failed for want of space since the store was opened: what Berkeley
 * DB makes of it says nothing about the tables. */
bool	 store_os_met_full_disk(void);
/* So it does when a file could not be opened or renamed. */
bool	 store_os_met_refusal(void);
/* From now on a page of zeros that is read from a table ends the process, with
 * a mark in that directory (borrowed); null: no more. Not while recovery or
 * salvage read. */
void	 store_os_strict(const char *directory);
/* What this thread makes in that folder (borrowed) from now on is a backup's
 * copy, which may fail and gets no reserve; null: no more. */
void	 store_os_copy(const char *directory);
/* errno that this thread's last copy met first, which Berkeley DB does not
 * always tell; 0: none. */
int	 store_os_copy_error(void);
/* Whether writing to a copy fails from now on, in whatever thread. */
void	 store_os_copy_stop(bool stop);
/* The next log file, written with zeros, so that a flush allocates nothing. */
void	 store_os_spare(const char *directory, uint64_t bytes);
/* Before recovery: takes away a spare that was never begun as a log file. */
void	 store_os_log_tail(const char *directory);
/* After recovery, which ended there: what lies behind is never read as log. */
void	 store_os_log_rest(const char *directory, uint32_t number,
	    uint32_t from);
void	 store_os_sync_directory(const char *directory);
/* A file that says that the next start must look closer. */
void	 store_os_mark_damaged(const char *directory);
bool	 store_os_is_marked(const char *directory);
void	 store_os_unmark(const char *directory);
/* All of it at that place, with the help of the reserve, or -1: errno. */
int	 store_os_write_at(int fd, const void *data, size_t length,
	    off_t offset, enum store_fault_call fault);
/* fdatasync; -1: errno. */
int	 store_os_flush(int fd, enum store_fault_call fault);
/* Size of a file in the directory; 0: none. */
uint64_t store_os_file_bytes(const char *directory, const char *name);

/* store.c */
void	 store_fail(struct store *store, const char *what, int error)
	    __attribute__((noreturn));
DB_TXN	*store_batch(struct store *store);
/* Housekeeping is wanted, in one of the next turns. */
void	 store_care(struct store *store);
void	 store_db_put(struct store *store, DB *db, struct store_bytes key,
	    struct store_bytes value);
void	 store_db_delete(struct store *store, DB *db, struct store_bytes key);
/* Length of the value, now in store->scratch; -1: no such row. */
int64_t	 store_db_get(struct store *store, DB *db, struct store_bytes key);
/* First row at or behind key (keeps to size): key and value are copied. */
bool	 store_db_next(struct store *store, DB *db, unsigned char *key,
	    size_t *key_length, size_t key_size);
int	 store_db_open(DB_ENV *env, DB_TXN *txn, const char *name, DB **db);
int	 store_environment_open(const struct store_options *options,
	    const char *directory, DB_ENV **env);
extern const char *const store_table_names[STORE_TABLE_COUNT];

/* store_thread.c */
void	 store_threads_start(struct store *store);
void	 store_threads_stop(struct store *store);
void	 store_checkpoint(struct store *store);
void	 store_space_update(struct store *store);

/* store_segment.c */
void	 store_segments_open(struct store *store);
void	 store_segments_close(struct store *store);
/* Where body id is, or goes: its segment, or null for strays. */
struct segment	*store_segment_of(struct store *store, uint64_t id);
DB	*store_segment_db(struct store *store, struct segment *segment);
/* Writes the rows of changed segments into the batch. */
void	 store_segments_note(struct store *store);
/* Between batches: begins and drops segments. True: more to drop. */
bool	 store_segments_turn(struct store *store);
/* One bounded step of moving bodies out of old segments. True: more to do. */
bool	 store_segments_move(struct store *store);

/* store_stock.c */
void	 store_stock_open(struct store *store);
/* Whether a key is that of the row that keeps the last page. */
bool	 store_stock_is(const void *key, size_t length);

/* store_volume.c */
void	 store_volumes_open(struct store *store);
void	 store_volumes_close(struct store *store);
/* Between batches: begins and drops volumes. True: more to do. */
bool	 store_volumes_turn(struct store *store);
bool	 store_volume_is_orphan(const struct store *store, const char *name);
/* Null: no such volume. */
DB	*store_volume_db(struct store *store, uint64_t number);

/* store_body.c */
void	 store_bodies_sweep(struct store *store);
void	 store_bodies_release(struct store *store);
/* What is loose and not yet marked is marked in this batch. */
void	 store_bodies_note(struct store *store);
/* One bounded step of deleting from strays. True: more to do. */
bool	 store_bodies_purge(struct store *store);
void	 store_purge_add(struct store *store, uint64_t id);
/* Chunks taken from strays, or put there (negative: taken). */
void	 store_strays_count(struct store *store, int64_t bytes);
void	 store_chunk_key(uint64_t id, uint32_t chunk, unsigned char *key);
enum { STORE_CHUNK_KEY = 12 };

/* store_upgrade.c: see queue/store.h. -1: not ours to open; logged. */
int	 store_version_check(struct store *store);

/* store_salvage.c: makes a sound store of a damaged one, and leaves a row that
 * says so under this key: the folder with the damaged files. */
#define STORE_SALVAGED_KEY "salvaged"
void	 store_salvage(const struct store_options *options,
	    const char *directory);
/* One was stopped half way: the tables are not what they seem. */
bool	 store_salvage_is_begun(const char *directory);

#endif
