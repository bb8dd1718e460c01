/* SPDX-License-Identifier: ISC */
/*
 * The store says what the disk can take; low-space is what the administrator
 * keeps free on top of that.
 */
#include "queue/space.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/loop.h"
#include "base/mem.h"
#include "conf/conf.h"
#include "queue/intake.h"
#include "queue/queue.h"
#include "queue/store.h"

enum {
	LOOK_MILLISECONDS = 500,
	/* Told again though nothing changed much. */
	TELL_MILLISECONDS = 5000,
	/* A body is written to the log and to its table, with headroom. */
	MARGIN = 3
};

struct space {
	struct queue	*queue;		/* outlives us */
	struct timer	 timer;
	uint64_t	 left;
	uint64_t	 told;
	int64_t		 told_at;	/* monotonic */
};

static uint64_t look(const struct space *space)
{
	uint64_t keep = (uint64_t)space->queue->conf->low_space;
	uint64_t free_bytes = store_space(space->queue->store);

	return free_bytes > keep ? (free_bytes - keep) / MARGIN : 0;
}

/* Worth telling: it ran out, it came back, or it changed by an eighth. */
static bool has_changed(const struct space *space)
{
	uint64_t less = space->told - space->told / 8;
	uint64_t more = space->told + space->told / 8;

	return (space->left == 0) != (space->told == 0) ||
	    space->left < less || space->left > more;
}

static void tell(struct space *space)
{
	if ((space->left == 0) != (space->told == 0)) {
		if (space->left == 0)
			log_error("low-space", log_text("effect",
			    "no mail is taken in"));
		else
			log_info("space-is-back", log_number("bytes",
			    (int64_t)space->left));
	}
	space->told = space->left;
	space->told_at = clock_monotonic();
	intake_tell_space(space->queue->intake, space->left);
}

static void on_timer(void *arg)
{
	struct space *space = arg;

	space->left = look(space);
	if (has_changed(space) ||
	    clock_monotonic() - space->told_at >= TELL_MILLISECONDS)
		tell(space);
	timer_start(&space->timer, LOOK_MILLISECONDS, on_timer, space);
}

struct space *space_new(struct queue *queue)
{
	struct space *space = mem_alloc(sizeof(*space));

	space->queue = queue;
	space->left = look(space);
	space->told = space->left;
	space->told_at = clock_monotonic();
	timer_start(&space->timer, LOOK_MILLISECONDS, on_timer, space);
	return space;
}

void space_free(struct space *space)
{
	if (space == NULL)
		return;
	timer_stop(&space->timer);
	mem_free(space);
}

uint64_t space_left(const struct space *space)
{
	return space->left;
}

void space_used(struct space *space, uint64_t bytes)
{
	space->left -= bytes < space->left ? bytes : space->left;
	if (space->left == 0)
		tell(space);
}
