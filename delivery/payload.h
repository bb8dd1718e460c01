/* SPDX-License-Identifier: ISC */
/*
 * The message on its way to the wire: prefix, then the stored body, read in
 * pieces through the queue as the connection takes them. Never more than a
 * window is held, however large the message and however slow the peer.
 *
 * Whatever is stored, only CRLF leaves as a line end, and no line but the last
 * one of all is a lone dot (SMTP-3, SMTP-6, SMTP-59): a bare CR or LF becomes
 * CRLF before dots are doubled.
 */
#ifndef POSTERN_DELIVERY_PAYLOAD_H
#define POSTERN_DELIVERY_PAYLOAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"

struct job;
struct stream;

/* --- the form of the bytes --- */

/* counted: for BDAT, where nothing in the message means an end. */
struct payload_encoder {
	bool	 counted;
	bool	 line_start;
	bool	 carriage;	/* a CR was read, its LF not yet */
};
void	 payload_encode_begin(struct payload_encoder *encoder, bool counted);
/* Adds at most twice length plus two bytes; out must have that much room. */
void	 payload_encode(struct payload_encoder *encoder, const char *data,
	    size_t length, struct buf *out);
/* Ends the last line if need be, then the message: CRLF "." CRLF. A counted
 * one ends with its last line. */
void	 payload_encode_end(struct payload_encoder *encoder, struct buf *out);

/* --- the transport --- */

enum { PAYLOAD_PIECE = 32 << 10, PAYLOAD_WINDOW = 128 << 10,
    PAYLOAD_REST_MAX = 16 << 10 };

enum payload_event {
	PAYLOAD_SAID,	/* everything was written, the final dot included */
	PAYLOAD_FAILED	/* it cannot be read: the dot must not be said */
};

typedef void payload_callback(void *arg, enum payload_event event);

struct payload {
	struct job		*job;		/* borrowed; null: not active */
	struct stream		*stream;	/* borrowed */
	payload_callback	*callback;
	void			*arg;
	struct payload_encoder	 encoder;
	size_t			 prefix_offset;
	uint64_t		 offset;	/* of the body */
	bool			 reading;	/* a worker_read is under way */
	struct buf		 wire;		/* one piece, encoded */
};

void	 payload_init(struct payload *payload);
void	 payload_release(struct payload *payload);
/* The callback comes once, perhaps before this returns: the caller expects
 * PAYLOAD_SAID at any time. */
void	 payload_start(struct payload *payload, struct job *job,
	    struct stream *stream, payload_callback *callback, void *arg);
/* A small message that is all here may be counted first, and go in one piece
 * behind its BDAT. */
bool	 payload_may_count(const struct job *job);
/* The message as it is sent behind BDAT: its length, and the bytes until the
 * next call or payload_start(). */
size_t	 payload_count(struct payload *payload, const struct job *job,
	    const void **data);
/* The stream has room again. */
void	 payload_pump(struct payload *payload);
bool	 payload_is_active(const struct payload *payload);
/* Nothing is to be sent for some time: keeps no large buffer. */
void	 payload_rest(struct payload *payload);
/* Forgets the message; no callback comes. */
void	 payload_stop(struct payload *payload);

#endif
