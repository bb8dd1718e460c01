/* SPDX-License-Identifier: ISC */
/*
 * One connection as an actor has it, in a process of its own: calls block, but
 * each has a deadline and so has the connection; TLS may begin at any time;
 * and it can be ended in every way that a peer may have to live with. A
 * failure leaves a sentence in `problem`; after that, and after the end, the
 * calls fail.
 */
#ifndef POSTERN_TOOLS_LAB_ACTORS_LINK_H
#define POSTERN_TOOLS_LAB_ACTORS_LINK_H

#include <openssl/ssl.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/buf.h"

struct lab_identity;

enum {
	LAB_LINE_MAX = 16384,
	LAB_STALL_MS = 60000,		/* how long a stalled peer is held */
	LAB_WAIT_MS = 60000,		/* for the peer's next bytes */
	LAB_CONNECTION_MS = 600000	/* for everything */
};

struct lab_link {
	int		 fd;		/* owned; -1 once it is ended */
	SSL		*ssl;		/* owned; null in clear */
	struct buf	 input;
	int64_t		 until;		/* of the connection; monotonic ms */
	char		 problem[160];	/* "" as long as there is none */
};

enum lab_line_end { LAB_LINE_CRLF, LAB_LINE_LF,
    LAB_LINE_CUT };		/* LAB_LINE_MAX bytes of a longer one */

struct lab_line {
	char			 text[LAB_LINE_MAX + 1];
	size_t			 length;	/* without its end */
	enum lab_line_end	 end;
};

/* Takes the descriptor. */
void	 lab_link_init(struct lab_link *link, int fd);
/* Frees the memory; closes without ado if nothing ended it. */
void	 lab_link_release(struct lab_link *link);

/* Server contexts; certificate null: it has none, every handshake fails. */
SSL_CTX	*lab_link_context(const struct lab_identity *identity);
/* The server's side of a handshake. A demand for a client certificate makes
 * TLS 1.3 fail by an alert that comes when the client believes to be done. */
int	 lab_link_secure(struct lab_link *link, SSL_CTX *context,
	    bool demand_certificate);

/* Bytes, 0 at the end, -1. */
ssize_t	 lab_link_read(struct lab_link *link, char *data, size_t size);
/* 1, 0 at the end (an unfinished line is dropped), -1. */
int	 lab_link_line(struct lab_link *link, struct lab_line *line);
/* Forgets what came in and was not yet read: RFC 3207 4.2. */
void	 lab_link_discard(struct lab_link *link);
int	 lab_link_write(struct lab_link *link, const void *data,
	    size_t length);
/* Past TLS, straight to the socket. */
int	 lab_link_write_raw(struct lab_link *link, const void *data,
	    size_t length);
/* Until something is there to read, or the wait is over. */
void	 lab_link_await(struct lab_link *link);

/* In order: close_notify when under TLS, FIN, and what still comes is read. */
void	 lab_link_close(struct lab_link *link);
/* FIN without close_notify: as if cut through. */
void	 lab_link_cut(struct lab_link *link);
void	 lab_link_reset(struct lab_link *link);
/* Silence until the peer goes or LAB_STALL_MS are over. */
void	 lab_link_stall(struct lab_link *link);

#endif
