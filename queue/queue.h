/* SPDX-License-Identifier: ISC */
/*
 * The queue role: the one process that owns accepted mail. Its parts hang on
 * one struct queue and find each other there; each part owns its own state and
 * is documented in its header. README says which promise lives where.
 */
#ifndef POSTERN_QUEUE_QUEUE_H
#define POSTERN_QUEUE_QUEUE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/loop.h"
#include "base/role.h"

struct census;
struct commit;
struct conf;
struct dispatch;
struct flow;
struct history;
struct imported;
struct intake;
struct orders;
struct process_caller;
struct schedule;
struct space;
struct store;
struct warnings;

extern const struct role_entry queue_entry;

struct queue {
	struct conf	*conf;		/* owned; replaced by a reload */
	struct store	*store;		/* owned */
	uint64_t	 next_id;	/* message identifiers */
	uint64_t	 last_id;	/* reserved in the store up to here */
	struct orders	*orders;	/* owned, all of these */
	struct commit	*commit;
	struct schedule	*schedule;
	struct intake	*intake;
	struct dispatch	*dispatch;
	struct space	*space;
	struct census	*census;
	struct flow	*flow;
	struct history	*history;
	struct warnings	*warnings;
	struct imported	*imported;

	/* while stopping */
	bool		 stopping;
	struct timer	 stop_timer;
	int64_t		 stop_deadline;	/* monotonic, ms */
	void		(*stopped)(void *arg);
	void		*stopped_arg;
};

/*
 * Opens the store in directory and starts to work. Owns conf. Null, with the
 * reason in the log, when the store cannot be opened. The loop must be
 * initialised.
 */
struct queue	*queue_open(struct conf *conf, const char *directory);
/* Flushes what waits and closes. What is in flight is forgotten. */
void	 queue_close(struct queue *queue);
void	 queue_reload(struct queue *queue, struct conf *conf);
/* A channel of a sibling; owns fd. */
void	 queue_connect(struct queue *queue, enum role role, unsigned instance,
	    int fd);
void	 queue_control(struct queue *queue, int fd,
	    const struct process_caller *caller);
/* No new jobs; done comes when nothing is in flight or time is up. */
void	 queue_stop(struct queue *queue, int64_t milliseconds,
	    void (*done)(void *arg), void *arg);

/* A fresh identifier, or the first of a block aligned to its size. */
uint64_t queue_take_id(struct queue *queue);
uint64_t queue_take_ids(struct queue *queue, uint32_t count);

#endif
