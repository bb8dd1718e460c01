/* SPDX-License-Identifier: ISC */
/*
 * What event.c (what is an event), event_share.c (many destinations at once)
 * and event_rows.c (the ledger's rows, and JSON) share; nobody else includes
 * it. Rows are "event:ID", ID in 16 hexadecimal digits.
 */
#ifndef POSTERN_POLICY_EVENT_INTERNAL_H
#define POSTERN_POLICY_EVENT_INTERNAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

#include "base/loop.h"
#include "policy/event.h"
#include "policy/observation.h"

struct hash;

#define EVENT_PREFIX "event:"

/* What became of the mail, the worst last. */
enum event_mail { MAIL_UNTOLD, MAIL_TLS, MAIL_WAITED, MAIL_CLEAR, MAILS };

struct event_record {
	uint64_t		 id;	/* made from the time; never again */
	enum event_kind		 kind;
	enum event_signature	 signature;
	int64_t			 first, last;	/* wall, ms */
	int64_t			 over;		/* of a share; 0: not yet */
	uint64_t		 count;
	bool			 memory;	/* memory expected it */
	bool			 observed;	/* else a plan's */
	enum event_mail		 mail;
	struct observation	 seen;		/* the last one */
	char			*destinations[EVENT_NAMED_MAX];	/* owned */
	size_t			 destination_count;
	TAILQ_ENTRY(event_record)	 entry;
};

/* A destination that memory knows for TLS, as it was last seen. */
struct share_member {
	char			*name;		/* owned */
	int64_t			 seen;		/* monotonic, ms */
	bool			 lost;
	TAILQ_ENTRY(share_member)	 entry;
};

struct share {
	TAILQ_HEAD(share_members, share_member)	 all;	/* longest ago first */
	struct hash		*by_name;	/* the same */
	unsigned		 total, lost;
	int64_t			 lost_at;	/* the last time; monotonic */
	struct event_record	*open;		/* one of events; or null */
	struct timer		 tick;		/* while it is open */
};

struct events {
	struct ledger		*ledger;	/* outlives us */
	TAILQ_HEAD(event_list, event_record)	 all;	/* by id; owned */
	unsigned		 count;
	struct hash		*latest;	/* of each key: event.c */
	uint64_t		 last_id;
	struct share		 share;
};

/* --- event.c --- */

/* A new one, in its place, with its first and last time. */
struct event_record	*events_add(struct events *events,
			    const struct event_record *wanted);

/* --- event_share.c --- */

void	 share_init(struct events *events);
void	 share_release(struct events *events);
void	 share_observe(struct events *events, const char *domain, bool lost);
/* One that was open when the process ended. */
void	 share_resume(struct events *events, struct event_record *event);
/* The event makes room. */
void	 share_forget(struct events *events,
	    const struct event_record *event);

/* --- event_rows.c --- */

void	 event_release(struct event_record *event);
void	 event_save(struct events *events, const struct event_record *event);
void	 event_unsave(struct events *events,
	    const struct event_record *event);
/* 0: event owns its destinations. */
int	 event_read_row(struct event_record *event, const char *key,
	    const void *value, size_t length);

#endif
