/* SPDX-License-Identifier: ISC */
/*
 * The queue's door. Two kinds of callers:
 *
 *  smtpd hands mail in (submission):
 *	queue_client_next_id()		an identifier, from a block the queue
 *					gave: known before the body, so that it
 *					can stand in the Received line
 *	submission_begin()		envelope goes over
 *	submission_data()		body bytes, within the credit
 *	submission_end()		-> done(status, id) once it is durable
 *	submission_cancel()		forget it all
 *
 *  delivery and mailbox take jobs (worker):
 *	a job is one message for some recipients at one next hop. The worker
 *	reads the body as it needs it and reports one status per recipient; it
 *	keeps the result until the queue says it is committed, and sends it
 *	again over a new channel if the queue was restarted meanwhile.
 */
#ifndef POSTERN_QUEUE_CLIENT_H
#define POSTERN_QUEUE_CLIENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/status.h"
#include "conf/conf.h"

struct arena;
struct envelope;

/* --- smtpd: one client per process --- */

struct queue_client;
struct submission;

/* status.outcome STATUS_RELAYED means: durable, 250 may be said. DEFERRED:
 * 4xx with the status's code and text; nothing was queued, except when the
 * reason is REASON_LOST: the queue went away before it answered, and the
 * message may or may not be kept. No reply is true then: close without one,
 * and the sender knows that it may send twice. */
typedef void submission_done(void *arg, const struct status *status,
    uint64_t id);

/* Works without a channel too: everything answers 451 then. */
struct queue_client	*queue_client_new(void);
void	 queue_client_free(struct queue_client *client);
/* A new channel to the queue (owns fd); pending submissions on the old one
 * are answered 451 4.3.0. */
void	 queue_client_connect(struct queue_client *client, int fd);
/* Whether there is room for a message of that size (0: unknown size): the
 * queue broadcasts its free space; false means 452 4.3.1 now. */
bool	 queue_client_has_room(const struct queue_client *client,
	    uint64_t size_bytes);
/* And has identifiers: a transaction that begins now can be taken. */
bool	 queue_client_is_connected(const struct queue_client *client);
/* 0 when no identifier is at hand (not connected): answer 451. */
uint64_t queue_client_next_id(struct queue_client *client);

/* id from queue_client_next_id(). The envelope is sent, not kept. ready (may
 * be called many times) says that room for data came back. */
struct submission	*submission_begin(struct queue_client *client,
			    uint64_t id, const struct envelope *envelope,
			    void (*ready)(void *arg), void *arg);
/* How many bytes may be given now; 0: wait for ready. */
size_t	 submission_room(const struct submission *submission);
void	 submission_data(struct submission *submission, const void *data,
	    size_t length);
/*
 * Header fields that go behind the envelope's prefix and before the body: what
 * was found missing once the header had passed. Whole lines, and
 * QUEUE_EXTRA_MAX bytes at most; kept until the end, and durable with it. */
enum { QUEUE_EXTRA_MAX = 1024 };
void	 submission_extend(struct submission *submission, const char *text,
	    size_t length);
/*
 * The envelope as tests and filters have left it, with the end instead of the
 * first one: other recipients, another sender, prefix, pieces (of the bytes
 * given), hold. Sent with the end; not together with submission_extend(). The
 * envelope must live until submission_end(). It keeps REQUIRETLS and SMTPUTF8
 * of the first one and has a recipient who gets mail: else the queue gives up
 * the channel. Pieces that are not envelope_content_fits() of the bytes given,
 * and an envelope too large to be sent, are answered 451. */
void	 submission_revise(struct submission *submission,
	    const struct envelope *envelope);
/* The body is whole: extra flags found while it passed (ENVELOPE_HAS_8BIT,
 * ENVELOPE_UTF8_HEADER, ENVELOPE_TLS_OPTIONAL; the queue ignores others).
 * The digest of all bytes given is made and sent along. */
void	 submission_end(struct submission *submission, uint32_t flags,
	    submission_done *done, void *arg);
/* Not after done was called. */
void	 submission_cancel(struct submission *submission);

/* --- delivery and mailbox --- */

struct worker;

struct job_recipient {
	uint32_t	 index;		/* within the slice */
	char		*address;
	char		*original;	/* ORCPT or null */
	uint8_t		 notify;
};

/* All in the job's own arena; freed by worker_finish(). */
struct job {
	uint64_t		 key;		/* pairs result with job */
	uint64_t		 message;	/* queue id */
	struct conf_next_hop	 next;		/* next.local is null: the
						 * mailbox role finds it by
						 * domain */
	char			*domain;	/* of the recipients */
	char			*sender;
	char			*envid;
	uint32_t		 flags;		/* enum envelope_flag */
	int64_t			 arrival;	/* wall, ms */
	/* when an opportunistic TLS failure was first seen for this message at
	 * this domain (wall ms; 0: never): clear-after T counts from here */
	int64_t			 tls_trouble_since;
	/* the operator's level for this message (enum conf_level); -1: none */
	int			 tls_level;
	unsigned		 attempt;	/* 1 is the first */
	struct job_recipient	*recipients;
	size_t			 recipient_count;
	char			*prefix;
	size_t			 prefix_length;
	uint64_t		 body_length;	/* without the prefix */
	/* bodies up to WORKER_INLINE_MAX come with the job (not for discard);
	 * null otherwise */
	const char		*body;
	struct arena		*arena;
	struct worker		*worker;
	void			*owner;		/* the worker's own business */
};

enum { WORKER_INLINE_MAX = 64 << 10, WORKER_READ_MAX = 64 << 10 };

typedef void worker_job(void *arg, struct job *job);
typedef void worker_body(void *arg, const void *data, size_t length,
    bool failed);

struct worker	*worker_new(worker_job *take, void *arg);
void		 worker_free(struct worker *worker);
/* A new channel to the queue (owns fd). Jobs not finished stay the owner's
 * business; finished and unacknowledged results are sent again. The queue is
 * told how many jobs may be open at once. */
void		 worker_connect(struct worker *worker, int fd, unsigned slots);
/* Reads up to WORKER_READ_MAX bytes of the body at offset; one read at a time
 * per job. failed when the channel went away or the body is damaged. */
void		 worker_read(struct job *job, uint64_t offset,
		    worker_body *done, void *arg);
void		 worker_read_cancel(struct job *job);
/* statuses[i] belongs to recipients[i]. tls_trouble: this attempt met broken
 * or missing TLS at an opportunistic host. The job is void afterwards. */
void		 worker_finish(struct job *job, const struct status *statuses,
		    bool tls_trouble);
/* Why the operator lets nothing go to a host, by its name or address; null: it
 * may. The queue itself keeps to pauses of domains. */
const char	*worker_paused(const struct worker *worker, const char *host);
/* Jobs taken and not finished. */
unsigned	 worker_open_jobs(const struct worker *worker);
/* Calls idle once no result waits for its acknowledgement (for stopping), or
 * when there is no queue that could send one: who stops gets no other. */
void		 worker_when_settled(struct worker *worker,
		    void (*idle)(void *arg), void *arg);

#endif
