/* SPDX-License-Identifier: ISC */
/*
 * Messages between two roles over a socket pair. A frame is
 *
 *	u32 length of what follows | u16 type | u16 flags | u32 request | body
 *
 * and may carry one descriptor. Each side says which types it takes from this
 * peer and how large each may be; anything else closes the channel with one
 * log line naming the peer. Sending never blocks: frames wait in a buffer with
 * a ceiling, and a peer that lets it fill is treated as dead. One write per
 * turn of the loop carries all frames of that turn.
 *
 * `request` pairs an answer with its question; 0 means no answer is expected.
 */
#ifndef POSTERN_BASE_CHANNEL_H
#define POSTERN_BASE_CHANNEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/wire.h"

struct channel;

/* One frame that arrived. Everything is borrowed until the handler returns. */
struct channel_message {
	struct wire_reader	 body;
	uint16_t		 type;
	uint32_t		 request;
	int			 fd;	/* -1, or taken by setting it to -1 */
};

/* Which types this side accepts, and the largest body of each, in bytes. */
struct channel_rule {
	uint16_t	 type;
	bool		 with_fd;	/* a descriptor must come with it */
	uint32_t	 max;
};

struct channel_handler {
	const struct channel_rule	*rules;		/* outlive the channel */
	size_t				 rule_count;
	void	(*message)(void *arg, struct channel *channel,
		    struct channel_message *message);
	/* Keys or passwords pass: no byte stays in our buffers. */
	bool				 secret;
	/* The peer is gone or broke the rules; free the channel here or later. */
	void	(*closed)(void *arg, struct channel *channel);
	/* What waited to be sent fell below a quarter of the ceiling; may be null. */
	void	(*drained)(void *arg, struct channel *channel);
};

/* Owns fd. peer names the other end in the log ("queue", "smtpd 1"). */
struct channel	*channel_new(int fd, const char *peer,
		    const struct channel_handler *handler, void *arg,
		    size_t max_queued_bytes);
/* Closes; no callback comes afterwards. Allowed inside callbacks. */
void		 channel_free(struct channel *channel);

/*
 * Sends one frame: begin, put the fields, end. Nothing else may be sent in
 * between. fd is -1 or a descriptor that is duplicated for the peer (the
 * caller keeps its own). channel_end returns -1 when the frame passes the
 * ceiling: nothing was sent then, and closed() comes in the next turn.
 */
struct wire_writer	*channel_begin(struct channel *channel, uint16_t type,
			    uint32_t request);
int			 channel_end(struct channel *channel);
int			 channel_end_fd(struct channel *channel, int fd);

/* A request number that is not 0 and not in recent use. */
uint32_t	 channel_next_request(struct channel *channel);
/* Bytes that wait to be written. */
size_t		 channel_queued(const struct channel *channel);
/* Stops and resumes reading from the peer: back-pressure. */
void		 channel_pause(struct channel *channel);
void		 channel_resume(struct channel *channel);
/* Tries to write everything now, up to the deadline: before an exit. */
int		 channel_flush(struct channel *channel, int milliseconds);
const char	*channel_peer(const struct channel *channel);

#endif
