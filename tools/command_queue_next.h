/* SPDX-License-Identifier: ISC */
/*
 * What the next attempt of queued mail will do: policy is asked, for each
 * domain of a message, as delivery will ask it: with the wish of the message,
 * the level that an operator gave it, and its age. Questions are asked one
 * after the other, and not many.
 */
#ifndef POSTERN_TOOLS_COMMAND_QUEUE_NEXT_H
#define POSTERN_TOOLS_COMMAND_QUEUE_NEXT_H

#include <jansson.h>
#include <stdbool.h>

struct conf;

/* Messages whose next attempts are asked for; domains of one. */
enum { QUEUE_NEXT_MESSAGES = 50, QUEUE_NEXT_DOMAINS = 10 };

/* message: as `show` prints it. Blocks for people, or one JSON object for each
 * domain: {"id", "domain", "policy": what explain prints, or "problem"}. */
void	 queue_next_tell(const struct conf *conf, const json_t *message,
	    bool json);

#endif
