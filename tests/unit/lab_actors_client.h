/* SPDX-License-Identifier: ISC */
/*
 * An SMTP client that notes what it meets: one word for each reply ("250",
 * "250+" when STARTTLS was offered, "TLS" for a handshake) and one for how the
 * connection ended: eof, cut (without close_notify), reset, stall, garbage,
 * alert, refused, flood (more than it takes); "down" is the end of TLS and not
 * of the connection. It is told what to expect only to know how long to wait
 * where silence is expected.
 */
#ifndef POSTERN_TESTS_UNIT_LAB_ACTORS_CLIENT_H
#define POSTERN_TESTS_UNIT_LAB_ACTORS_CLIENT_H

#include <openssl/ssl.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct call {
	const char	*address;
	int		 port;
	bool		 implicit;	/* TLS first */
	bool		 insist;	/* STARTTLS even when not offered */
	bool		 careless;	/* goes on in clear behind TLS */
	const char	*servername;	/* null: none */
	const char	*sender;	/* null: "a@sender.example" */
	const char	*parameters;	/* behind MAIL FROM; null: none */
	const char	*content;	/* null: a short one */
	const char	*expected;	/* words */
};

struct talk {
	char	 words[512];		/* what was met */
	char	 greeting[256];
	char	 ehlo[2048];		/* the whole of the first reply */
	uint8_t	 key_digest[32];	/* SHA-256 of the server's public key */
	bool	 has_key;
};

void	 call_make(const struct call *call, struct talk *talk);

/* The pieces. A socket with time-outs of `milliseconds`, or -1. */
int	 call_connect(const char *address, int port, int milliseconds);
void	 call_patience(int fd, int milliseconds);

#endif
