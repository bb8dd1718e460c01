/* SPDX-License-Identifier: ISC */
/*
 * What happened to mail since this process began, and in the last minute:
 * messages that came in and that are gone, recipients by what became of them.
 */
#ifndef POSTERN_QUEUE_FLOW_H
#define POSTERN_QUEUE_FLOW_H

#include <jansson.h>
#include <stdint.h>

#include "base/status.h"

struct flow;

enum flow_counter {
	FLOW_ACCEPTED,	/* messages, our notifications among them */
	FLOW_RECIPIENTS,	/* of these */
	FLOW_DELIVERED,	/* recipients: in a mailbox of ours */
	FLOW_RELAYED,	/* handed to another server */
	FLOW_DEFERRED,	/* tried, to be tried again: each time */
	FLOW_FAILED,		/* given up, or returned by an operator */
	FLOW_DELETED,	/* by an operator */
	FLOW_REMOVED,	/* messages of which nothing is left */
	FLOW_COUNTERS
};

struct flow	*flow_new(void);
void		 flow_free(struct flow *flow);
void		 flow_add(struct flow *flow, enum flow_counter which,
		    uint64_t count);
/* The counter of an outcome, one recipient. */
void		 flow_outcome(struct flow *flow,
		    enum status_outcome outcome);

/* {"since", "accepted": {"count", "rate"}, ...}: rate is a second, over the
 * last minute or since the start. A new reference. */
json_t		*flow_value(const struct flow *flow);

#endif
