/* SPDX-License-Identifier: ISC */
/*
 * Messages between the queue and its peers; see client.h for what they are
 * for. Bodies are written and read in message.c, one pair each, nowhere else.
 * A reader returns -1 for anything that the writer cannot have made; what
 * then happens is its caller's business (the channel is closed).
 */
#ifndef POSTERN_QUEUE_MESSAGE_H
#define POSTERN_QUEUE_MESSAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/digest.h"
#include "base/status.h"

struct arena;
struct job;
struct wire_reader;
struct wire_writer;

enum queue_message {
	/* queue -> smtpd */
	QUEUE_IDENTIFIERS = 1,	/* u64 first, u32 count */
	QUEUE_SPACE,		/* u64 bytes that may be taken in */
	QUEUE_CREDIT,		/* request; u32 bytes */
	QUEUE_ACCEPTED,		/* request; status */

	/* smtpd -> queue */
	QUEUE_WANT_IDENTIFIERS,	/* nothing */
	QUEUE_BEGIN,		/* request; u64 id, envelope */
	QUEUE_DATA,		/* request; bytes */
	QUEUE_END,		/* request; u32 flags, u64 length, digest, bytes
				 * of more prefix, of another envelope */
	QUEUE_CANCEL,		/* request */

	/* queue -> delivery, mailbox */
	QUEUE_JOB,		/* the job */
	QUEUE_BODY,		/* request; u64 job, u8 failed, bytes */
	QUEUE_SETTLED,		/* u64 job: the result is durable */
	QUEUE_PAUSES,		/* u32 n, { place, reason }: all there are */

	/* delivery, mailbox -> queue */
	QUEUE_SLOTS,		/* u32 jobs that may be open; u32 n, { u64 job,
				 * u64 message, u32 slice }: taken from an
				 * earlier queue and not yet settled */
	QUEUE_READ,		/* request; u64 job, u64 message, u64 offset */
	QUEUE_RESULT		/* u64 job, u64 message, u32 slice, u8 tls
				 * trouble, u32 n, { u32 index, status } */
};

enum {
	/* Body bytes smtpd may send before the first QUEUE_CREDIT. */
	QUEUE_CREDIT_WINDOW = 256 << 10,
	QUEUE_DATA_MAX = 64 << 10,
	/* Identifiers per block; blocks are aligned to it. */
	QUEUE_IDENTIFIER_BLOCK = 1024,
	/* Recipients of one slice, and so of one job (RFC 5321 4.5.3.1.8). */
	QUEUE_SLICE_RECIPIENTS = 100,
	QUEUE_SLOTS_MAX = 16384,
	/* Ceilings of the frames that are not of fixed size. */
	QUEUE_BEGIN_BYTES = (12 << 20) + 64,
	QUEUE_END_BYTES = QUEUE_BEGIN_BYTES + (2 << 10),
	QUEUE_JOB_BYTES = 512 << 10,
	QUEUE_RESULT_BYTES = 192 << 10,
	QUEUE_SLOTS_BYTES = QUEUE_SLOTS_MAX * 20 + 64,
	QUEUE_STATUS_BYTES = 2048,
	QUEUE_PAUSES_MAX = 1000,
	QUEUE_PAUSE_TEXT_MAX = 320,
	QUEUE_PAUSES_BYTES = QUEUE_PAUSES_MAX * 2 *
	    (QUEUE_PAUSE_TEXT_MAX + 4) + 64
};

struct queue_identifiers {
	uint64_t	 first;
	uint32_t	 count;
};
void	 queue_put_identifiers(struct wire_writer *writer,
	    const struct queue_identifiers *identifiers);
int	 queue_get_identifiers(struct wire_reader *reader,
	    struct queue_identifiers *identifiers);

void	 queue_put_space(struct wire_writer *writer, uint64_t bytes);
int	 queue_get_space(struct wire_reader *reader, uint64_t *bytes);

void	 queue_put_credit(struct wire_writer *writer, uint32_t bytes);
int	 queue_get_credit(struct wire_reader *reader, uint32_t *bytes);

void	 queue_put_accepted(struct wire_writer *writer,
	    const struct status *status);
int	 queue_get_accepted(struct wire_reader *reader, struct status *status);

/* The envelope is already written (queue/envelope.h): its size had to be
 * known before. What is read is borrowed from the message. */
struct queue_begin {
	uint64_t	 id;
	const void	*envelope;
	size_t		 envelope_length;
};
void	 queue_put_begin(struct wire_writer *writer,
	    const struct queue_begin *begin);
int	 queue_get_begin(struct wire_reader *reader, struct queue_begin *begin);

void	 queue_put_data(struct wire_writer *writer, const void *data,
	    size_t length);
int	 queue_get_data(struct wire_reader *reader, const void **data,
	    size_t *length);

struct queue_end {
	uint32_t	 flags;		/* enum envelope_flag */
	uint64_t	 length;
	uint8_t		 digest[DIGEST_BYTES];	/* of the whole body */
	const char	*extra;		/* more prefix; borrowed */
	size_t		 extra_length;
	/* Written already, and borrowed, as that of BEGIN, which it replaces;
	 * 0 bytes: it does not. */
	const void	*envelope;
	size_t		 envelope_length;
};
void	 queue_put_end(struct wire_writer *writer,
	    const struct queue_end *end);
int	 queue_get_end(struct wire_reader *reader, struct queue_end *end);

/* A job's slice is nobody's business but ours: it is not in struct job. */
void	 queue_put_job(struct wire_writer *writer, const struct job *job,
	    uint32_t slice);
/* job->arena is set; everything is allocated there. */
int	 queue_get_job(struct wire_reader *reader, struct job *job,
	    uint32_t *slice);

struct queue_body {
	uint64_t	 job;
	bool		 failed;
	const void	*data;		/* borrowed */
	size_t		 length;
};
void	 queue_put_body(struct wire_writer *writer,
	    const struct queue_body *body);
int	 queue_get_body(struct wire_reader *reader, struct queue_body *body);

void	 queue_put_settled(struct wire_writer *writer, uint64_t job);
int	 queue_get_settled(struct wire_reader *reader, uint64_t *job);

struct queue_open_job {
	uint64_t	 job;
	uint64_t	 message;
	uint32_t	 slice;
};
struct queue_slots {
	uint32_t		 slots;
	struct queue_open_job	*jobs;	/* read: owned by the caller */
	uint32_t		 job_count;
};
void	 queue_put_slots(struct wire_writer *writer,
	    const struct queue_slots *slots);
int	 queue_get_slots(struct wire_reader *reader, struct queue_slots *slots);

/* What no host may be tried for: all of it, each time. */
struct queue_pause {
	const char	*place;		/* a pattern (queue/pattern.h) */
	const char	*reason;
};
struct queue_pauses {
	struct queue_pause	*list;	/* read: in the arena, as its texts */
	uint32_t		 count;
};
void	 queue_put_pauses(struct wire_writer *writer,
	    const struct queue_pauses *pauses);
int	 queue_get_pauses(struct wire_reader *reader, struct arena *arena,
	    struct queue_pauses *pauses);

struct queue_read {
	uint64_t	 job;
	uint64_t	 message;
	uint64_t	 offset;
};
void	 queue_put_read(struct wire_writer *writer,
	    const struct queue_read *read);
int	 queue_get_read(struct wire_reader *reader, struct queue_read *read);

/* Statuses are large: they are visited one by one, never held together. */
struct queue_result {
	uint64_t	 job;
	uint64_t	 message;
	uint32_t	 slice;
	bool		 tls_trouble;
	uint32_t	 count;
};
void	 queue_put_result(struct wire_writer *writer,
	    const struct queue_result *result);
int	 queue_get_result(struct wire_reader *reader,
	    struct queue_result *result);
void	 queue_put_result_item(struct wire_writer *writer, uint32_t index,
	    const struct status *status);
/* -1 if it is bad, or if the last one leaves bytes over. */
int	 queue_get_result_item(struct wire_reader *reader, bool last,
	    uint32_t *index, struct status *status);

#endif
