/* SPDX-License-Identifier: ISC */
/*
 * Answers of the queue (queue/README, Commands) as text on standard output.
 * Strangers' words are escaped.
 */
#ifndef POSTERN_TOOLS_QUEUE_PRINT_H
#define POSTERN_TOOLS_QUEUE_PRINT_H

#include <jansson.h>
#include <stddef.h>

/* Of list and show, with so many recipients; 0: as many as there are. */
void	 queue_print_message(const json_t *object, size_t most);
/* What a server said, or what became of an attempt, behind other words of a
 * line. */
void	 queue_print_reply(const json_t *object);
/* Of show and history: lines below the message. */
void	 queue_print_attempts(const json_t *attempts);
/* What a change did, or would do; for queue_request_ask(). */
void	 queue_print_change(void *arg, const json_t *object);
/* A line "    name: text" for each of these members that has a text. */
void	 queue_print_texts(const json_t *object, const char *const *names,
	    size_t count);
/* A piece of a message: bytes as they are, since a file or a pipe wants them so;
 * a terminal gets what it can show. */
void	 queue_print_bytes(const char *hex);

#endif
