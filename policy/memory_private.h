/* SPDX-License-Identifier: ISC */
/*
 * What the files of TLS memory share. memory_table.c keeps the records and
 * knows which of them bind; memory_rows.c takes them to the disk and back;
 * memory_pin.c has the pins; memory_json.c speaks to operators, memory_walk.c
 * at length; memory.c is what the role and the plan ask.
 */
#ifndef POSTERN_POLICY_MEMORY_PRIVATE_H
#define POSTERN_POLICY_MEMORY_PRIVATE_H

#include "base/heap.h"
#include "base/loop.h"
#include "policy/memory.h"

struct hash;

/* One name of one kind; small, since there are many. Times of day are as they
 * were when it happened, for people and for the disk; ages are counted from the
 * monotonic ones. */
struct memory_record {
	struct heap_node	 seen;	/* due: seen last; monotonic */
	struct heap_node	 binds;	/* due: TLS was seen last; monotonic */
	int64_t			 first, last, tls_last, clear_last, lost_since,
				 dane_last, sts_last;	/* wall */
	int64_t			 tls_then, dane_then, sts_then; /* monotonic */
	uint32_t		 tls_count, clear_count, web_count, dane_count,
				 sts_count;
	uint8_t			 kind;
	bool			 expected;	/* it binds */
	bool			 known_clear;
	char			 version[16];
	char			 name[];
};

enum { RECORDS_OTHER, RECORDS_EXPECTED, RECORD_CLASSES };

struct memory {
	struct ledger	*ledger;		/* outlives us */
	void		(*changed)(void *arg, const char *domain);
	void		*arg;
	uint32_t	 observations;		/* until it is expected */
	int64_t		 age;			/* ms */
	bool		 defers;		/* some destination's memory
						 * does: only then a host that
						 * begins to bind changes what
						 * a plan asks for */

	struct hash	*names[MEMORY_KINDS];	/* -> record, owned */
	size_t		 count;			/* of records */
	struct heap	 seen[RECORD_CLASSES];	/* each record is in one */
	struct heap	 binding;		/* those that are expected */
	struct timer	 ageing;		/* runs while it is not empty */
	bool		 silent;		/* changes are not told */
	struct timer	 telling;		/* runs while hosts changed and
						 * it was not told */
	int64_t		 told_at;		/* monotonic; 0: never */
	int64_t		 full_at;		/* the same, of the log line */

	struct hash	*pins;			/* domain -> plan_pin, owned */
	char		 problem[200];		/* of the last import */
};

/* --- memory_table.c --- */

/* The name as it is kept: lower case, no final dot. -1 if it is none. */
int	 memory_read_name(const char *text, char *out, size_t size);
struct memory_record	*memory_find(const struct memory *memory,
			    enum memory_kind kind, const char *name);
/* The same, or a new one, for which another may have to go. */
struct memory_record	*memory_make(struct memory *memory,
			    enum memory_kind kind, const char *name);
void	 memory_remove(struct memory *memory, struct memory_record *record);
/* After each change of a record: does it bind now, and is it to be told? */
void	 memory_settle(struct memory *memory, struct memory_record *record);
void	 memory_settle_all(struct memory *memory);
/* Seen within memory-age? */
bool	 memory_is_fresh(const struct memory *memory, int64_t then);
void	 memory_tell(struct memory *memory, const char *domain);
void	 memory_entry_of(const struct memory_record *record,
	    struct memory_entry *entry);
/* Puts an entry to what is known of its name. */
struct memory_record	*memory_merge(struct memory *memory,
			    const struct memory_entry *entry);
void	 memory_each_record(const struct memory *memory,
	    void (*visit)(void *arg, struct memory_record *record), void *arg);

/* --- memory_rows.c --- */

/* A date that can be told and read again (memory_json.c): up to 9999. */
bool	 memory_is_date(uint64_t wall);

void	 memory_write_soon(struct memory *memory,
	    const struct memory_record *record);
void	 memory_delete_row(struct memory *memory,
	    const struct memory_record *record, bool at_once);
void	 memory_add_rows(struct memory *memory);

/* --- memory_json.c --- */

json_t	*memory_record_object(struct memory *memory,
	    const struct memory_record *record);
json_t	*memory_pin_object(const struct plan_pin *pin);

/* --- memory_pin.c --- */

void	 memory_each_pin(const struct memory *memory,
	    void (*visit)(void *arg, const struct plan_pin *pin), void *arg);
void	 memory_add_pins(struct memory *memory);
void	 memory_free_pins(struct memory *memory);

#endif
