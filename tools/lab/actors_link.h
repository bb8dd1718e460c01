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
#include "tools/lab/scenario.h"

struct lab_identity;

enum {
	LAB_LINE_MAX = 16384,
	LAB_STALL_MS = 60000,		/* how long a stalled peer is held */
	LAB_WAIT_MS = 60000,		/* for the peer's next bytes */
	LAB_CONNECTION_MS = 600000	/* for everything */
};

/* After unwrapping: records of the peer's that were still under way. */
struct lab_leftovers {
	bool		 possible;	/* until its first byte in clear */
	unsigned char	 header[5];
	size_t		 header_length;
	size_t		 body;		/* bytes still to be dropped */
};

struct lab_link {
	int		 fd;		/* owned; -1 once it is ended */
	SSL		*ssl;		/* owned; null in clear */
	struct lab_leftovers leftovers;
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

/* What a server's section says of its TLS; everything borrowed. All zero but
 * tickets is a good server. */
struct lab_tls_manner {
	const struct lab_texts		*versions;	/* null: 1.2, 1.3 */
	const char			*ciphers;	/* null or "": its own */
	int64_t				 tickets;
	enum lab_client_certificate	 client;
};

/* Server contexts; certificate null: it has none, and every handshake fails but
 * one with anonymous ciphers.
 * Old versions, weak keys and ciphers without encryption or authentication
 * work when they are asked for (security level 0). Null with a sentence in
 * error when OpenSSL does not know the words. */
SSL_CTX	*lab_link_context(const struct lab_identity *identity,
	    const struct lab_tls_manner *manner, char *error, size_t size);
/* From now on the secrets of every connection, of servers and clients, go to
 * this descriptor too, in the form that packet analysers read (NSS key log). */
void	 lab_link_keylog(int fd);
/* The server's side of a handshake. A demand for a client certificate makes
 * TLS 1.3 fail by an alert that comes when the client believes to be done. */
int	 lab_link_secure(struct lab_link *link, SSL_CTX *context,
	    bool demand_certificate);
/* Half of the server's first flight (ServerHello and what follows it), and no
 * more of TLS. 0, or -1 when it did not come to that. */
int	 lab_link_secure_half(struct lab_link *link, SSL_CTX *context);
/* The client's side, without any judgement of the server; a session offered
 * for resumption, or null. */
struct lab_tls_request {
	const char	*name;			/* SNI; null none */
	int		 least, most;		/* versions; 0: OpenSSL's */
	const char	*ciphers;		/* null: its own */
	SSL_SESSION	*session;		/* borrowed */
};
int	 lab_link_secure_client(struct lab_link *link,
	    const struct lab_tls_request *request);
/* The bytes of a fatal alert of this name (RFC 8446 6: "handshake_failure"),
 * in clear, whatever the link is in. -1 also for an unknown name. */
int	 lab_link_alert(struct lab_link *link, const char *name);
bool	 lab_link_knows_alert(const char *name, size_t length);
/* Under TLS: a record whose seal does not fit (RFC 8446 5.2), then FIN. */
void	 lab_link_corrupt(struct lab_link *link);
/* Under TLS: close_notify; after it the link is in clear. It does not wait for
 * the peer's, so that the next bytes can come with ours; records that come
 * before the peer's first byte in clear are dropped. */
int	 lab_link_unwrap(struct lab_link *link);

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

/* For who calls OpenSSL on a link. The sentence is kept if it is the first;
 * -1. */
int	 lab_link_fail(struct lab_link *link, const char *problem);
/* From now on, but not beyond the connection's own; monotonic ms. */
int64_t	 lab_link_deadline(const struct lab_link *link, int64_t milliseconds);
/* After an SSL_*() that did not do what was asked, errno being its: 1 to try
 * again (it has waited), 0 at the end of the peer's data, -1. */
int	 lab_link_settle_tls(struct lab_link *link, int result,
	    int64_t deadline);
/* A list in OpenSSL's words, each of which must be known to it. -1 with a
 * sentence. */
int	 lab_link_set_ciphers(SSL_CTX *context, const char *ciphers,
	    char *error, size_t size);
/* The secrets of its connections go where lab_link_keylog() said. */
void	 lab_link_log_keys(SSL_CTX *context);

/* In order: close_notify when under TLS, FIN, and what still comes is read. */
void	 lab_link_close(struct lab_link *link);
/* FIN without close_notify: as if cut through. */
void	 lab_link_cut(struct lab_link *link);
void	 lab_link_reset(struct lab_link *link);
/* Silence until the peer goes or LAB_STALL_MS are over. */
void	 lab_link_stall(struct lab_link *link);

#endif
