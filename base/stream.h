/* SPDX-License-Identifier: ISC */
/*
 * A byte stream over a connected socket, in clear or under TLS, on the loop.
 * It owns the descriptor and both buffers.
 *
 * Promises:
 *  - stream_secure_*() refuses (closes) when a byte waits in either buffer, so
 *    nothing said in clear is ever read as if it came under TLS (RFC 3207 6,
 *    CVE-2011-0411), and TLS never goes back to clear.
 *  - Under TLS an end without close_notify is reported as STREAM_TRUNCATED.
 *  - All that is written in one turn leaves in one write, under TLS too
 *    (net_listen() and net_connect() have set TCP_NODELAY).
 *  - There is one total deadline; setting it again replaces it. It covers
 *    handshakes too. Nothing waits without one: a stream without a deadline
 *    that waits for its peer is a bug of its owner.
 *  - Events come from the loop, never from inside a call, and none comes after
 *    stream_free().
 */
#ifndef POSTERN_BASE_STREAM_H
#define POSTERN_BASE_STREAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct buf;
struct endpoint;
struct stream;
struct tls_client;
struct tls_expect;
struct tls_facts;
struct tls_server;

enum stream_event {
	STREAM_CONNECTED,	/* connect finished */
	STREAM_INPUT,		/* bytes were added to the input */
	STREAM_DRAINED,		/* everything written has left */
	STREAM_SECURED,		/* the handshake is done; see stream_facts */
	STREAM_END,		/* the peer closed properly; input may remain */
	STREAM_TRUNCATED,	/* TLS ended without close_notify */
	STREAM_DEADLINE,	/* the total deadline passed */
	STREAM_FAILED		/* see stream_problem(), stream_failure() */
};

/* What failed, when STREAM_FAILED. */
enum stream_failure { STREAM_FAILURE_NONE, STREAM_FAILURE_CONNECT,
    STREAM_FAILURE_IO, STREAM_FAILURE_HANDSHAKE, STREAM_FAILURE_INJECTION,
    STREAM_FAILURE_SHORTAGE	/* we have no descriptor or memory to connect */
};

typedef void stream_callback(void *arg, struct stream *stream,
    enum stream_event event);

/* Takes a connected (or accepted) non-blocking socket. The input buffer never
 * holds more than max_input bytes: reading pauses there. */
struct stream	*stream_new(int fd, size_t max_input, stream_callback *callback,
		    void *arg);
/* Starts connecting; STREAM_CONNECTED or STREAM_FAILED follows, also when it
 * failed at once. local may be null. */
struct stream	*stream_connect(const struct endpoint *remote,
		    const struct endpoint *local, size_t max_input,
		    stream_callback *callback, void *arg);
/* Drops everything at once. Allowed inside the callback. */
void		 stream_free(struct stream *stream);
/* Sends what waits and close_notify, then closes and frees itself, within
 * milliseconds. The owner hears nothing more. */
void		 stream_finish(struct stream *stream, int milliseconds);
/* The same for a peer that has said that it goes (QUIT) and waits for the last
 * words alone: nothing is waited for once they are the kernel's, unless
 * something lies unread. */
void		 stream_leave(struct stream *stream, int milliseconds);
/* Cuts short what stream_finish() began: behind the last turn of a loop. */
void		 stream_end_all(void);
void		 stream_set_callback(struct stream *stream,
		    stream_callback *callback, void *arg);

/* The input; consume through buf_consume(), then stream_consumed(). */
struct buf	*stream_input(struct stream *stream);
/* Says that input was consumed: reading goes on if it was full; bytes that
 * TLS holds back come as STREAM_INPUT in a later turn. */
void		 stream_consumed(struct stream *stream);
/* Stops looking at the socket for input (events for what is already in the
 * input are the owner's business), and goes on again. */
void		 stream_pause(struct stream *stream);
void		 stream_resume(struct stream *stream);

/* Queues bytes; -1 when max_output (1 MiB unless set) would be passed. */
int		 stream_write(struct stream *stream, const void *data,
		    size_t length);
size_t		 stream_pending(const struct stream *stream);
/* STREAM_DRAINED is told only when more bytes than that had waited. */
void		 stream_set_drained_above(struct stream *stream, size_t bytes);
void		 stream_set_max_output(struct stream *stream, size_t bytes);

/* Passwords may pass, from now on: what is consumed, or written and has left,
 * is overwritten. Under TLS, say it when that is there. */
void		 stream_keep_secret(struct stream *stream);

/* Total deadline from now; STREAM_DEADLINE once. 0 means none. */
void		 stream_deadline(struct stream *stream, int64_t milliseconds);

/* Upgrades once the queued output has left; then STREAM_SECURED or FAILED. The
 * input must be empty now, and stays checked until the output has left. */
void		 stream_secure_server(struct stream *stream,
		    struct tls_server *server);
/* With check NAME, FINGERPRINT or DANE the handshake still completes when the
 * peer does not match: facts.verified tells, and the owner decides (so that
 * the refusal can be explained and QUIT sent). */
void		 stream_secure_client(struct stream *stream,
		    struct tls_client *client, const struct tls_expect *expect);

bool		 stream_is_secure(const struct stream *stream);
/* Null unless secured; borrowed. */
const struct tls_facts	*stream_facts(const struct stream *stream);
enum { STREAM_BINDING_BYTES = 32 };

/*
 * What both ends of this one TLS session have and nobody else: the channel
 * binding tls-exporter (RFC 9266). Bytes written to out; 0 in clear, under
 * TLS 1.2 (where it would be unique only by an extension that the peer may
 * lack) and when size is under STREAM_BINDING_BYTES.
 */
size_t		 stream_binding(const struct stream *stream, uint8_t *out,
		    size_t size);
/* The server name the client asked for; empty if none. */
const char	*stream_sni(const struct stream *stream);
enum stream_failure	 stream_failure(const struct stream *stream);
/* After STREAM_FAILED: the connection ended under us. Otherwise the peer's TLS
 * said what it does not like, or ours did. */
bool		 stream_was_lost(const struct stream *stream);
/* One line about the last failure: "Connection refused", "handshake:
 * tlsv1 alert protocol version"; borrowed. */
const char	*stream_problem(const struct stream *stream);
int		 stream_fd(const struct stream *stream);
uint64_t	 stream_bytes_in(const struct stream *stream);
uint64_t	 stream_bytes_out(const struct stream *stream);

#endif
