/* SPDX-License-Identifier: ISC */
/*
 * An SMTP server that is good unless its section says otherwise. What a
 * section's `behaviour` means here, stage by stage:
 *
 * connect	before anything is said, and before implicit TLS; a reply is
 *		said in clear, and the connection ends; raw bytes only come
 *		before the rest
 * greeting, ehlo, helo, secured (the EHLO under TLS), mail, rcpt, data,
 * message, quit
 *		in place of the true reply; what follows is as the reply says:
 *		what was refused is not done, after 421 the connection ends
 * starttls	the same; TLS begins after 220 only
 * handshake	once the client's first bytes are there, in their answer's
 *		place, and the connection ends
 * flight	after half of the server's own first flight
 * idle		right after the reply to a message, whichever, unasked
 *
 * Actions, each at any stage where it means something (the reader refuses it
 * elsewhere: lab_action_fits()). There is no true reply at connect, handshake,
 * flight and idle; in the middle of a flight only silence and ends can be told
 * apart; corrupt and unwrap are passed over when the connection is in clear,
 * and cannot be where it always is. Of those that fit a stage and a visit the
 * first rules.
 *
 * REPLY	the words; lines with "|" between, "%HH" a byte, "%25" a
 *		per cent sign
 * raw TEXT	these bytes, with "|" and "%HH" as in a reply; not a reply:
 *		what was asked for is not done, the connection goes on
 * close	in order (close_notify, FIN)
 * cut		FIN without close_notify
 * reset	RST
 * stall	not a word more, for LAB_STALL_MS
 * garbage	a line of bytes, then FIN
 * alert [NAME]	the bytes of a fatal alert, in clear, then FIN; "alert"
 *		is handshake_failure; but "alert" without a name at `secured`
 *		is the one of TLS 1.3 that comes when the client believes the
 *		handshake done (certificate_required)
 * corrupt	under TLS: a record whose seal does not fit, then FIN
 * tarpit	the true reply, a byte a second
 * bytes	the true reply, a byte a segment
 * flood	continuation lines of the true reply's code without end, until
 *		the client goes or LAB_FLOOD_MAX bytes are written; then FIN
 * long		the true reply, its first line LAB_LONG_LINE bytes long
 * bare		the true reply, lines ended by LF alone
 * half		half of the true reply's bytes, then FIN without close_notify
 * unwrap REPLY	under TLS: close_notify, then the reply in clear on the same
 *		connection, which goes on in clear; what came under TLS and
 *		was not read is forgotten
 *
 * A message is taken, and told to be, with the last byte of a reply 2xx to it:
 * so not with half, flood and raw, nor when the client leaves a tarpit before.
 * With `message unwrap` it is not, either: who sent it under TLS may not
 * believe what is said without, and whoever does has lost it.
 *
 * "STAGE#N" and "STAGE#N-" are for the Nth connection to this host, and from
 * it on; they are counted from 1 by lab_actors while a world stands.
 *
 * Every reply that is said is told as an event, too; so are garbage and raw.
 */
#ifndef POSTERN_TOOLS_LAB_MAIL_HOST_H
#define POSTERN_TOOLS_LAB_MAIL_HOST_H

#include <stdbool.h>
#include <stddef.h>

struct lab_host;
struct lab_identities;
struct lab_mail_host;

enum {
	LAB_LONG_LINE = 64 << 10,	/* with its end */
	LAB_FLOOD_MAX = 16 << 20	/* a million lines */
};

/* Which connections to a host: the first of them is number 1. */
struct lab_visits {
	unsigned	first, last;	/* both included */
};
/* Reads WORD, WORD#N or WORD#N-, the first `length` bytes of text; the length
 * of WORD, or 0 when it is not like this. */
size_t			 lab_visits_read(const char *text, size_t length,
			    struct lab_visits *visits);
/* For who reads a scenario: STAGE, also with its visit, and the whole of what
 * stands behind it; is it something that means anything there? */
bool			 lab_action_fits(const char *stage,
			    const char *action);

enum lab_part {
	LAB_PART_TRUE,
	LAB_PART_TWIN,		/* the true host of a twin world: it shows its
				 * impostor's certificate, and what it takes
				 * counts as delivered */
	LAB_PART_IMPOSTOR	/* in the path: what it takes is lost, and
				 * marked "impostor" in events */
};

/* Borrows host and identities. Null with a sentence in error. */
struct lab_mail_host	*lab_mail_host_new(const struct lab_host *host,
			    const struct lab_identities *identities,
			    enum lab_part part, char *error, size_t size);
void			 lab_mail_host_free(struct lab_mail_host *host);

struct lab_visit {
	const char	*client;	/* its address */
	unsigned	 number;	/* of the connections to this host */
};
/* Takes the descriptor; returns when the connection is over. */
void			 lab_mail_host_serve(const struct lab_mail_host *host,
			    int fd, const struct lab_visit *visit);

#endif
