/* SPDX-License-Identifier: ISC */
/*
 * A queue with a real store in a directory of its own, one smtpd's client and
 * both workers, all in this process on one loop, joined by socket pairs. The
 * queue can be closed and opened again under its peers.
 */
#ifndef POSTERN_TESTS_QUEUE_WORLD_H
#define POSTERN_TESTS_QUEUE_WORLD_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/status.h"
#include "queue/client.h"
#include "queue/destination.h"

struct queue;

enum { WORLD_JOBS = 4096, WORLD_LINES = 64 };

struct world_answer {
	bool		 came;
	struct status	 status;
	uint64_t	 id;
};

struct world {
	char			 directory[64];
	const char		*options;	/* more configuration */
	struct queue		*queue;		/* null while it is down */
	struct queue_client	*client;
	struct worker		*workers[DESTINATION_KINDS];
	/* What a job is answered with at once; null: it is kept in jobs. */
	void			(*on_job)(struct world *world, struct job *job);
	struct job		*jobs[WORLD_JOBS];
	size_t			 job_count;
	uint64_t		 taken;		/* jobs in all */
	/* enum envelope_flag of the messages that world_submit() sends: with
	 * the envelope, and at the end */
	uint32_t		 envelope_flags, end_flags;
	const char		*user;		/* who submits it; null: "" */
};

/* options: more lines of configuration, or "". */
void	 world_open(struct world *world, const char *options);
void	 world_close(struct world *world);
void	 world_stop_queue(struct world *world);
void	 world_start_queue(struct world *world);
void	 world_connect(struct world *world);
void	 world_connect_worker(struct world *world,
	    enum destination_kind kind, unsigned slots);

/* The process dies with its jobs; a new one starts. */
void	 world_drop_worker(struct world *world, enum destination_kind kind);
void	 world_new_worker(struct world *world, enum destination_kind kind);

/* Turns the loop until done(arg), at most so long. */
bool	 world_wait(bool (*done)(void *arg), void *arg, int milliseconds);
void	 world_turn(int milliseconds);
bool	 world_wait_jobs(struct world *world, size_t count);
bool	 world_wait_answer(struct world_answer *answer);
/* Until nothing is in the store. */
bool	 world_wait_empty(struct world *world);

/* One message; recipients separated by spaces. */
void	 world_submit(struct world *world, const char *sender,
	    const char *recipients, const char *body,
	    struct world_answer *answer);
/* The same, and waits for the answer: the identifier, or 0. */
uint64_t world_send(struct world *world, const char *sender,
	    const char *recipients, const char *body);
/* So many for 500 domains (d0.test and so on), put into the queue at once. */
void	 world_fill(struct world *world, int count);
/* Finishes job number i with this status for everybody. */
void	 world_finish(struct world *world, size_t i,
	    const struct status *status);
void	 world_delivered(struct status *status);
void	 world_refused(struct status *status);

/* An operator's command; lines of the answer in out (an array, owned by the
 * caller); returns the code at the end, -1 for none. */
int	 world_command(struct world *world, const char *verb,
	    const char *arguments, bool privileged, json_t **out);
size_t	 world_count_messages(struct world *world);
size_t	 world_count_schedule(struct world *world);
size_t	 world_count_slices(struct world *world);

#endif
