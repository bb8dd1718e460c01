/* SPDX-License-Identifier: ISC */
/*
 * An SMTP server that is good unless its section says otherwise. What a
 * section's `behaviour` means here, stage by stage:
 *
 * connect	before anything is said, and before implicit TLS; a reply is
 *		said in clear, and the connection ends
 * greeting, ehlo, secured, mail, rcpt, data, message, quit
 *		in place of the true reply; what follows is as the reply says:
 *		what was refused is not done, after 421 the connection ends
 * starttls	the same; TLS begins after 220 only
 * handshake	once the client's first bytes are there, in their answer's
 *		place, and the connection ends
 *
 * close is in order (close_notify, FIN), reset is RST, stall holds the
 * connection open without a word for LAB_STALL_MS, garbage is a line of bytes
 * and FIN, alert the bytes of a fatal handshake_failure and FIN; but at
 * `secured` it is the alert of TLS 1.3 that comes when the client believes the
 * handshake done (certificate_required).
 */
#ifndef POSTERN_TOOLS_LAB_MAIL_HOST_H
#define POSTERN_TOOLS_LAB_MAIL_HOST_H

#include <stddef.h>

struct lab_host;
struct lab_identities;
struct lab_mail_host;

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
/* Takes the descriptor; returns when the connection is over. */
void			 lab_mail_host_serve(const struct lab_mail_host *host,
			    int fd, const char *client);

#endif
