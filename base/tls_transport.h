/* SPDX-License-Identifier: ISC */
/*
 * The bytes of one socket, in clear first and under TLS once the handshake is
 * done: a single read, write, handshake step or goodbye each, none of which
 * waits. No events and no decisions: those are stream.c's, the only user. Once
 * secure, nothing is read or written in clear again.
 *
 * Records that TLS makes are held until transport_push(), so that those of a
 * turn leave in one write: a ticket with the answer behind it, the last line
 * with close_notify. Of the socket as much is read as is there, many records
 * at a time.
 */
#ifndef POSTERN_BASE_TLS_TRANSPORT_H
#define POSTERN_BASE_TLS_TRANSPORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"

struct ssl_st;

struct transport {
	int		 fd;		/* borrowed; -1: none */
	struct ssl_st	*ssl;		/* owned; null before TLS */
	bool		 secure;	/* the handshake is done */
	bool		 broken;	/* no close_notify can follow */
	bool		 lost;		/* ended, and TLS did not say why */
	bool		 ended;		/* the socket has no more to read */
	bool		 said_goodbye;	/* close_notify is made */
	bool		 clogged;	/* the socket took not all of held */
	/* Set by the user: the FIN comes right behind what is written now, and
	 * sends it. */
	bool		 is_last;
	struct buf	 held;		/* records for the socket */
	/* WATCH_*: what the next attempt has to wait for. */
	int		 read_wants;
	int		 write_wants;
	char		 problem[256];	/* after MOVED_FAILED: one line */
};

/* What an attempt came to. */
enum moved {
	MOVED_SOME,
	MOVED_LATER,	/* nothing now; see read_wants, write_wants */
	MOVED_END,	/* the peer closed properly */
	MOVED_CUT,	/* TLS ended without close_notify */
	MOVED_FAILED	/* see problem */
};

void	 transport_init(struct transport *transport, int fd);
/* Frees the session; the descriptor stays open. */
void	 transport_release(struct transport *transport);
/* From now on through ssl, which is owned; the handshake comes next. */
void	 transport_begin_tls(struct transport *transport, struct ssl_st *ssl);

/* room and length are not 0; what was moved goes to got and put. */
enum moved	 transport_read(struct transport *transport, void *data,
		    size_t room, size_t *got);
enum moved	 transport_write(struct transport *transport, const void *data,
		    size_t length, size_t *put);
/* A step of the handshake; MOVED_SOME when it is done (and secure is set):
 * what it made last is still held then. It waits for read_wants alone. */
enum moved	 transport_shake(struct transport *transport);
/* Writes what is held; MOVED_SOME when nothing is left of it. */
enum moved	 transport_push(struct transport *transport);
bool		 transport_is_holding(const struct transport *transport);
/* Sends close_notify if there is TLS, and what is held; MOVED_LATER or done. */
enum moved	 transport_goodbye(struct transport *transport);

/* TLS keeps no copy of what is read from now on. */
void		 transport_keep_secret(struct transport *transport);
/* Bytes that were read from the socket, which will not announce them. */
bool		 transport_holds_back(const struct transport *transport);
/* Looks at the socket below TLS without taking anything: MOVED_SOME, LATER
 * (nothing there) or END. */
enum moved	 transport_peek(const struct transport *transport);
/* Reads below TLS and forgets; true when the peer has closed too. */
bool		 transport_discard(struct transport *transport, size_t most);
/* Writes length bytes of the binding tls-exporter (RFC 9266) and returns
 * length; 0 if there is none. */
size_t		 transport_binding(const struct transport *transport,
		    uint8_t *out, size_t length);
/* Empty if the client asked for none. */
const char	*transport_server_name(const struct transport *transport);

#endif
