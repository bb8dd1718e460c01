/* SPDX-License-Identifier: ISC */
/*
 * What the files of the storage benchmark share: settings of one run, the
 * engine (environment, tables, flusher and housekeeper threads), messages,
 * faults and figures. It stands alone on purpose: it uses nothing of the
 * server, so that it can judge the store's choices from outside. Any error
 * that a phase does not expect ends the process with status 70.
 */
#ifndef POSTERN_TESTS_BENCH_STORE_BENCH_H
#define POSTERN_TESTS_BENCH_STORE_BENCH_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <db.h>
#include <jansson.h>

enum table { TABLE_META, TABLE_MESSAGES, TABLE_SLICES, TABLE_SCHEDULE,
    TABLE_BODIES, TABLE_COUNT };

struct settings {
	const char	*home;		/* absolute */
	uint32_t	 page_bytes;
	uint32_t	 chunk_bytes;
	uint64_t	 cache_bytes;
	uint64_t	 log_file_bytes;
	uint64_t	 checkpoint_bytes;	/* of log between checkpoints */
	uint32_t	 commit_flag;	/* DB_TXN_NOSYNC or DB_TXN_WRITE_NOSYNC */
	bool		 locks;		/* with Berkeley DB's lock manager */
	bool		 zero_log;	/* DB_LOG_ZERO */
	bool		 spare_log;	/* housekeeper prepares the next file */
	bool		 early_writes;	/* start write-back as pages are written */
	uint64_t	 segment_bytes;	/* bodies in tables of this size, dropped
					   whole when empty; 0: one table */
};

/* A table of bodies: ids from first_id up to the next segment's. */
struct segment {
	uint64_t	 first_id, bytes, live;
	DB		*db;
};

/* Log-linear histogram of microseconds. */
enum { HISTOGRAM_BUCKETS = 64 * 16 };
struct histogram {
	uint64_t	 counts[HISTOGRAM_BUCKETS];
	uint64_t	 total;
	uint64_t	 max;
};

enum { BATCH_RING = 256 };

struct engine {
	struct settings	 settings;
	DB_ENV		*env;
	DB		*tables[TABLE_COUNT];
	double		 open_seconds;	/* recovery included */
	struct segment	*segments;	/* owned; ascending by first_id */
	size_t		 segment_count;
	uint64_t	 segments_dropped;

	pthread_mutex_t	 lock;
	pthread_cond_t	 wanted, done;
	pthread_t	 flusher, housekeeper;
	/* Held while pages are written and while a table is dropped: else a
	 * checkpoint looks for the pages of a file that has just gone. */
	pthread_mutex_t	 pages;
	uint64_t	 committed, flushed;	/* batch numbers */
	uint64_t	 durable_at[BATCH_RING];
	bool		 stopping;
	uint64_t	 flushes;

	atomic_bool	 checkpointing;
	uint64_t	 checkpoints;
	double		 checkpoint_seconds, checkpoint_longest;
	atomic_uint_fast64_t log_highest;	/* bytes of log files, at most */
};

/* segment.c: bodies in tables that are dropped whole. */
void	 segment_open_all(struct engine *engine);
void	 segment_close_all(struct engine *engine);
struct segment	*segment_of(struct engine *engine, uint64_t id);
/* Outside a transaction: a new segment if the last is full; drops dead ones. */
void	 segment_turn(struct engine *engine, uint64_t next_id);
/* Counts what lives, from the envelopes, after an open. */
void	 segment_recount(struct engine *engine);

/* fault.c: the hooks below Berkeley DB, counters and injected errors. */
enum fault_call { FAULT_NONE, FAULT_LOG_WRITE, FAULT_PAGE_WRITE, FAULT_FSYNC,
    FAULT_OPEN };
struct fault {
	enum fault_call	 call;
	int		 error;		/* errno to pretend */
	long		 after;		/* let so many calls pass */
	long		 times;		/* then fail so many; -1 for ever */
	bool		 strict;	/* a failed call ends the process */
};
enum { EXIT_SOFTWARE = 70, EXIT_FAULT = 74 };
struct hook_counts {
	atomic_uint_fast64_t log_writes, log_bytes, page_writes, page_bytes,
	    fsyncs, no_space;
};
extern struct hook_counts hook_counts;
void	 fault_install(void);
void	 fault_set(const struct fault *fault);
void	 fault_early_writes(bool on);
/* Space kept aside that a full disk may use up; null: none. */
void	 fault_reserve(const char *path, uint64_t bytes);
bool	 fault_reserve_is_used(void);

/* figures.c */
uint64_t now_micro(void);
void	 histogram_add(struct histogram *histogram, uint64_t micro);
uint64_t histogram_at(const struct histogram *histogram, double share);
json_t	*histogram_json(const struct histogram *histogram);
void	 die(const char *what, int error) __attribute__((noreturn));
uint64_t directory_bytes(const char *path, const char *prefix);
uint64_t cpu_micro(void);

/* engine.c */
void	 engine_open(struct engine *engine, const struct settings *settings);
void	 engine_close(struct engine *engine);
DB_TXN	*engine_begin(struct engine *engine);
/* Commits and asks for a flush; returns the batch's number. */
uint64_t engine_commit(struct engine *engine, DB_TXN *txn);
/* True when batch is durable; waits for it if wait is set. */
bool	 engine_is_durable(struct engine *engine, uint64_t batch, bool wait,
	    uint64_t *at);
void	 engine_checkpoint(struct engine *engine);
DB	*engine_table_open(struct engine *engine, const char *name);
json_t	*engine_space(struct engine *engine);

/* message.c: one message of the schema, written, read, removed. */
struct message {
	uint64_t	 id;
	uint64_t	 size;		/* of the body */
};
enum { SPILL_BYTES = 256 << 10 };	/* larger bodies go ahead in turns */
void	 message_setup(void);
/* Body of a large message, in transactions of its own; nothing if small. */
void	 message_spill(struct engine *engine, struct message message);
void	 message_put(struct engine *engine, DB_TXN *txn,
	    struct message message);
void	 message_remove(struct engine *engine, DB_TXN *txn,
	    struct message message);
/* What message_remove left of a large body. */
void	 message_unspill(struct engine *engine, struct message message);
/* 1: there and intact; 0: not there; -1: damaged or incomplete. */
int	 message_check(struct engine *engine, struct message message);
/* Size of body id from its envelope, or -1. */
int64_t	 message_size(struct engine *engine, uint64_t id);
/* Chunks whose envelope never came: removes them, returns how many bodies. */
uint64_t message_sweep(struct engine *engine);
/* Up to max due messages from the front of the schedule. */
size_t	 message_due(struct engine *engine, struct message *out, size_t max);
/* Next message behind *id in the envelope table; false at the end. */
bool	 message_next(struct engine *engine, struct message *message);

/* load.c: accepting and removing at a given batch size. */
struct load {
	int		 batch;		/* messages in a transaction */
	int		 depth;		/* batches in flight */
	bool		 remove;	/* take away the oldest as well */
	bool		 read;		/* read a body before removing it */
	bool		 mixed;		/* 1 KiB to 25 MB; else size */
	uint64_t	 size;
	uint64_t	 seconds;	/* stop after; 0: by count */
	uint64_t	 count;		/* messages accepted; 0: by seconds */
	uint64_t	 standing;	/* queue kept before removing starts */
	int		 drain;		/* from the schedule: so many removed for
					   each accepted, until it is empty */
	uint64_t	 max_seconds;	/* of a drain */
	int		 ledger;	/* descriptor for the crash test, or -1 */
	uint64_t	 first_id;
	bool		 heed_space;	/* stop accepting when the reserve is used */
};
enum ledger_event { LEDGER_SAFE = 1, LEDGER_REMOVING, LEDGER_REMOVED };
struct ledger_record {
	uint64_t	 id, size, event;
};
json_t	*load_run(struct engine *engine, const struct load *load);
uint64_t mixed_size(uint64_t *seed);

/* crash.c, phases.c */
json_t	*crash_rounds(const struct settings *settings, int rounds,
	    uint64_t backlog, const char *device);
json_t	*fault_rounds(const struct settings *settings);
json_t	*space_round(const struct settings *settings, const char *scratch);
/* Runs body in a child; its figures, or {"exit": n}. */
typedef json_t *phase_body(const struct settings *settings, const void *arg);
json_t	*phase_run(phase_body *body, const struct settings *settings,
	    const void *arg);
json_t	*phase_rates(const struct settings *settings, uint64_t seconds);
json_t	*phase_variants(const struct settings *settings, uint64_t seconds);
json_t	*phase_backlog(const struct settings *settings, uint64_t count,
	    uint64_t seconds);
json_t	*phase_steady(const struct settings *settings, uint64_t seconds);
void	 home_clear(const char *home);

/* command.c: a program and its arguments, null-ended; dies if it fails. */
void	 command_run(const char *const *words);
/* The first line of what it writes. */
void	 command_read(const char *const *words, char *line, size_t size);

#endif
