/* SPDX-License-Identifier: ISC */
/*
 * The worker side of queue/client.h without a queue: a test makes a job, hands
 * it to the code under test, and gets the statuses back. Bodies lie in memory
 * and are read in pieces through the loop, as from the queue.
 */
#ifndef POSTERN_TESTS_FAKE_WORKER_H
#define POSTERN_TESTS_FAKE_WORKER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "queue/client.h"

struct fake_job {
	const char	*sender;
	const char	*domain;
	const char	*prefix;
	const char	*body;
	size_t		 body_length;
	bool		 inlined;	/* the body comes with the job */
	uint32_t	 flags;
	int64_t		 tls_trouble_since;
	int64_t		 age;		/* seconds since it arrived */
	enum conf_transport transport;
	const char	*envid;
	int		 tls_level;	/* enum conf_level; 0: none */
	size_t		 piece;		/* of a read; 0: the most allowed */
	uint64_t	 fail_at;	/* the read at this offset fails */
	bool		 fails;
	unsigned	 attempt;	/* 0: the first */
};

/* The strings are copied, the body is borrowed. */
struct job	*fake_job_new(const struct fake_job *plan);
void		 fake_job_add(struct job *job, const char *address,
		    const char *original, unsigned notify);
/* For jobs that were never finished. */
void		 fake_job_free(struct job *job);

/* Called by worker_finish(); job is freed afterwards. */
extern void	(*fake_worker_finished)(const struct job *job,
		    const struct status *statuses, bool tls_trouble);
/* Reads answered so far, and the largest offset asked for. */
extern unsigned	 fake_worker_reads;
extern uint64_t	 fake_worker_offset;
/* What worker_paused() finds, and why it is; null: nothing. */
extern const char	*fake_worker_pause;

#endif
