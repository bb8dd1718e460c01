/* SPDX-License-Identifier: ISC */
/*
 * Where accepted mail lives. Rows in tables, bodies in chunks, and one promise:
 * when done() of store_commit_durable() is called, everything written before
 * it is on the disk. There is nothing to undo and no error to handle between:
 * a store that cannot keep the promise ends the process, and the next start
 * recovers what was promised. All calls are made on the loop's thread; one
 * store per process. Transactions, cursors and log positions stay inside.
 *
 * The owner of the queue keeps one rule: a body has a row in STORE_MESSAGES
 * under the same id exactly as long as it is owned (claimed or put, and not
 * deleted); row and body change in the same turn.
 */
#ifndef POSTERN_QUEUE_STORE_H
#define POSTERN_QUEUE_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct buf;
struct store;

enum store_table { STORE_META, STORE_MESSAGES, STORE_SLICES, STORE_SCHEDULE,
    STORE_ORDERS, STORE_ATTEMPTS, STORE_TABLE_COUNT,
    STORE_VOLUME = STORE_TABLE_COUNT };	/* see volumes, below */

enum { STORE_KEY_MAX = 512, STORE_VALUE_MAX = 1 << 20 };

/* Zero members take the default: what is said here, less on a small disk. */
struct store_options {
	const char	*directory;	/* absolute; ours alone */
	uint64_t	 cache_bytes;		/* 64 MiB */
	uint64_t	 log_file_bytes;	/* 32 MiB */
	uint64_t	 checkpoint_bytes;	/* 64 MiB of log between two */
	uint64_t	 segment_bytes;		/* 16 MiB of bodies in a file */
	uint64_t	 reserve_bytes;		/* 64 MiB for a full disk */
	uint64_t	 double_bytes;		/* 8 MiB of pages.double */
	/* A copy to be looked at: neither upgraded nor salvaged. */
	bool		 as_it_is;
};

/* Recovers, checks the version, sweeps bodies that nobody owns. Null: another
 * process has it, its version is a later one or too old, the disk fails;
 * logged. */
struct store	*store_open(const struct store_options *options);
/* Waits until all is durable; done() of what was waiting is not called. */
void		 store_close(struct store *store);

/* --- rows --- */

struct store_bytes {
	const void	*data;
	size_t		 length;
};

/* Part of this turn's batch; visible to reads at once. */
void	 store_put(struct store *store, enum store_table table,
	    struct store_bytes key, struct store_bytes value);
/* What is not there is deleted already. */
void	 store_delete(struct store *store, enum store_table table,
	    struct store_bytes key);
/* Appends the value to out, which has room for it; false: no such row. */
bool	 store_get(struct store *store, enum store_table table,
	    struct store_bytes key, struct buf *out);

struct store_row {
	struct store_bytes	 key;
	struct store_bytes	 value;
};
/* A copy of some rows in key order; no cursor stays behind. */
struct store_page {
	struct store_row	*rows;
	size_t			 count;
	bool			 more;		/* there are rows behind */
	char			*memory;	/* the rows' bytes */
	size_t			 used, size;
};
struct store_scan {
	enum store_table	 table;
	uint64_t		 volume;	/* of STORE_VOLUME: its number */
	struct store_bytes	 from;		/* no data: the first row */
	bool			 after;		/* begin behind `from` */
	struct store_bytes	 until;		/* not included; no data: end */
	/* From the last row before `from` on (no data: the last of all), down to
	 * the first of the table: neither after nor until count. */
	bool			 backwards;
	size_t			 max_rows;
	size_t			 max_bytes;	/* stops after passing it */
	bool			 keys_only;
};
/* page: zeroed, or from an earlier scan (its memory is used again). */
void	 store_scan(struct store *store, const struct store_scan *scan,
	    struct store_page *page);
void	 store_page_release(struct store_page *page);

/* --- volumes --- */

/*
 * Tables for rows that are only added: what was written first goes first, by
 * the file, at no cost, and gives its room back. Rows go to the last volume;
 * there always is one. A new one is begun, and the oldest dropped, when the
 * batch at hand is over (or later, if a backup runs); a dropped one is not
 * seen any more from the call on. The last is never dropped.
 */
enum { STORE_VOLUMES_MAX = 32 };
struct store_volume {
	uint64_t	 number;
	int64_t		 begun;		/* what the caller said; 0: the first */
};
/* Oldest first; returns how many. */
size_t	 store_volumes(const struct store *store,
	    struct store_volume out[STORE_VOLUMES_MAX]);
uint64_t store_volume_bytes(struct store *store, uint64_t number);
void	 store_volume_begin(struct store *store, int64_t begun);
void	 store_volume_drop(struct store *store);
/* As store_put() and store_get(). */
void	 store_volume_put(struct store *store, struct store_bytes key,
	    struct store_bytes value);
bool	 store_volume_get(struct store *store, uint64_t number,
	    struct store_bytes key, struct buf *out);

/* --- bodies --- */

enum store_answer { STORE_OK, STORE_DAMAGED };

/* A small body in one piece, owned at once. */
void	 store_body_put(struct store *store, uint64_t id,
	    struct store_bytes body);
/* A large one in pieces, over several turns; nobody owns it until it is
 * claimed. A restart before that sweeps it. */
void	 store_body_append(struct store *store, uint64_t id,
	    struct store_bytes piece);
/* Its owner's row is in the same batch. */
void	 store_body_claim(struct store *store, uint64_t id);
/* Gives up a body that was not claimed; none is all right. */
void	 store_body_discard(struct store *store, uint64_t id);
/* An owned body of that length; its row goes in the same batch. */
void	 store_body_delete(struct store *store, uint64_t id, uint64_t length);
/* Appends bytes [offset, offset + length) to out, which has room for them.
 * STORE_DAMAGED: a chunk is missing or not what was written. */
enum store_answer store_body_read(struct store *store, uint64_t id,
	    uint64_t offset, size_t length, struct buf *out);

/* --- durability --- */

typedef void store_done(void *arg);

/* Ends this turn's batch. done (may be null) is called on the loop's thread,
 * in a later turn and in order, when all written until now is durable. */
void	 store_commit_durable(struct store *store, store_done *done, void *arg);

/* The same, and waits for it: for what is done before the loop serves anyone.
 */
void	 store_commit_wait(struct store *store);

/* --- upgrades --- */

/*
 * A store of an earlier version opens with a mark in it, durable before
 * anything else is changed, that makes programs of that version refuse it;
 * from then on its owner brings the rows up to date (queue/upgrade.h), in
 * batches with a mark of their own. 0: the rows are of our version.
 */
uint32_t store_upgrade_from(const struct store *store);
/* How far the step from that version has come: what was marked in the last
 * batch that is there; nothing at its beginning. */
enum { STORE_UPGRADE_MARK_MAX = STORE_KEY_MAX + 16 };
void	 store_upgrade_mark(struct store *store, struct store_bytes mark);
void	 store_upgrade_marked(struct store *store, struct buf *out);
/* All rows have this version now. */
void	 store_upgrade_to(struct store *store, uint32_t version);

/* --- after damage --- */

/* The folder with the damaged files of a salvage whose outcome was not looked
 * at yet (its path); null: none. Borrowed. */
const char	*store_salvaged(const struct store *store);
/* It was: part of this turn's batch. */
void		 store_salvage_settled(struct store *store);

/* --- care --- */

/* Bytes that may still be taken in: free space of the file system and pages
 * free inside, less what log and housekeeping need. 0 while the reserve is in
 * use: answer 452. Cheap; a tenth of a second old at most. */
uint64_t store_space(const struct store *store);

/* Absolute, as it was opened; borrowed. */
const char	*store_directory(const struct store *store);
/* Bytes of the files that a copy has, as they are now in a directory. */
uint64_t store_backup_bytes(const char *directory);
/* A copy of the whole store in a new directory, opened like the original.
 * In a thread; one at a time (-1: one is running). done is called once, unless
 * the store is closed before: a copy that is not complete then stays as it is.
 */
typedef void store_backup_done(void *arg, bool success);
int	 store_backup(struct store *store, const char *directory,
	    store_backup_done *done, void *arg);

/* Whether each table of a store that is closed, and was closed well, is whole:
 * every checksum, then what Berkeley DB says of it; logged. */
bool	 store_is_sound(const char *directory);

struct store_stats {
	uint64_t	 commits, flushes, checkpoints;
	uint64_t	 log_bytes, page_bytes;		/* written since open */
	uint64_t	 segments, segments_dropped, bodies_moved;
	uint64_t	 body_bytes_live, body_bytes_stored;
	double		 checkpoint_longest, open_seconds;	/* seconds */
};
void	 store_stats(const struct store *store, struct store_stats *stats);

/* --- tests --- */

enum store_fault_call { STORE_FAULT_NONE, STORE_FAULT_LOG_WRITE,
    STORE_FAULT_PAGE_WRITE, STORE_FAULT_THROUGH_WRITE, STORE_FAULT_FSYNC,
    STORE_FAULT_OPEN, STORE_FAULT_DOUBLE_WRITE, STORE_FAULT_DOUBLE_FLUSH,
    STORE_FAULT_DOUBLE_FILL, STORE_FAULT_COPY_WRITE };
enum { STORE_FAULT_KILL = -1 };
/* Pretends an errno below Berkeley DB: after so many calls, so many times (-1:
 * for ever). Null: never again. PAGE_WRITE is of pages that can wait in memory,
 * THROUGH_WRITE of the rest, such as a new table's first. */
struct store_fault {
	enum store_fault_call	 call;
	int			 error;		/* or STORE_FAULT_KILL */
	long			 after, times;
};
void	 store_fault_set(const struct store_fault *fault);

#endif
