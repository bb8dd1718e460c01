/* SPDX-License-Identifier: ISC */
/*
 * Between the files of a dialogue: dialogue_moves.c reads moves (and knows no
 * socket), dialogue_client.c makes single ones, dialogue_tls.c those of TLS,
 * dialogue_hello.c those with a ClientHello of its own making, and dialogue.c
 * walks through them.
 */
#ifndef POSTERN_TOOLS_LAB_DIALOGUE_PRIVATE_H
#define POSTERN_TOOLS_LAB_DIALOGUE_PRIVATE_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "tools/lab/actors_link.h"
#include "tools/lab/dialogue.h"

enum {
	LAB_BYTES_MAX = 1 << 20,	/* of one move */
	LAB_SUITES_MAX = 32
};

enum lab_verb { LAB_VERB_CONNECT, LAB_VERB_SECURE, LAB_VERB_INSECURE,
    LAB_VERB_ACCEPTS, LAB_VERB_REFUSES, LAB_VERB_RENEGOTIATE, LAB_VERB_KEEP,
    LAB_VERB_FRESH, LAB_VERB_UNASKED, LAB_VERB_SAY, LAB_VERB_SEND,
    LAB_VERB_REPEAT, LAB_VERB_PIECES, LAB_VERB_CUT,
    LAB_VERB_WANT, LAB_VERB_ONLY, LAB_VERB_ENOUGH, LAB_VERB_OFFERS,
    LAB_VERB_LACKS, LAB_VERB_NEEDS, LAB_VERB_QUIET, LAB_VERB_CLOSED,
    LAB_VERB_UNWRAP, LAB_VERB_CLOSE, LAB_VERB_DROP, LAB_VERB_RESET,
    LAB_VERB_WAIT, LAB_VERBS };

/* Words of secure and insecure. */
struct lab_handshake {
	char	 name[256];		/* "" the MTA's */
	bool	 no_name;
	int	 version;		/* 0: any */
	char	 ciphers[256];		/* "" OpenSSL's own */
	bool	 resume, early, may_fail;
};

/* Words of accepts and refuses: a ClientHello made by hand. */
struct lab_hello {
	int		 version;
	uint16_t	 suites[LAB_SUITES_MAX];
	size_t		 count;
	bool		 is_long;	/* more than a record holds */
};

struct lab_move {
	enum lab_verb		 verb;
	const char		*text;		/* the whole move; borrowed */
	const char		*argument;	/* behind verb and number */
	int64_t			 number;	/* of repeat, pieces, quiet,
						 * wait */
	bool			 in_pieces;	/* of connect */
	struct lab_handshake	 handshake;
	struct lab_hello	 hello;
};

/* Null, or what is accepted in the place of the text. */
const char	*lab_move_read(struct lab_move *move, const char *text);
/* TEXT or BYTES as bytes. -1 when they are too many. */
int		 lab_move_bytes(const char *text, struct buf *bytes);
/* Is a reply that begins with these three digits one of "250,4xx"? */
bool		 lab_codes_match(const char *codes, const char *reply);

enum { LAB_REPLY_MAX = 64 << 10, LAB_SAID_MAX = 400 };

/* The client as it stands. */
struct lab_client {
	struct lab_link	 link;
	bool		 is_connected;	/* the link is to be released */
	struct buf	 reply;		/* the last whole one; lines end in
					 * one "\n" each */
	SSL_SESSION	*kept;		/* owned; null none */
	pid_t		 relay;		/* 0 none: what cuts into pieces */
	char		 said[LAB_SAID_MAX];
};

/* What came of a move; with a sentence in client->said unless it holds. */
enum lab_move_end {
	LAB_MOVE_HOLDS,
	LAB_MOVE_ENDS,		/* the dialogue ends here, and is safe so far */
	LAB_MOVE_UNSERVED,
	LAB_MOVE_UNSAFE
};

/* dialogue_tls.c */
enum lab_move_end	 lab_client_secure(struct lab_client *client,
			    const struct lab_handshake *handshake);
enum lab_move_end	 lab_client_insecure(struct lab_client *client,
			    const struct lab_handshake *handshake);
enum lab_move_end	 lab_client_renegotiate(struct lab_client *client);
enum lab_move_end	 lab_client_fresh(struct lab_client *client);
enum lab_move_end	 lab_client_unasked(struct lab_client *client);
void			 lab_client_keep(struct lab_client *client);

/* dialogue_hello.c */
enum lab_move_end	 lab_client_hello(struct lab_client *client,
			    const struct lab_hello *hello, bool accepted);

/* dialogue_client.c. cut_at: where the sweep cuts, 0 nowhere. */
enum lab_move_end	 lab_client_move(struct lab_client *client,
			    const struct lab_move *move, size_t cut_at);
void			 lab_client_init(struct lab_client *client);
void			 lab_client_release(struct lab_client *client);
/* Sets client->said, and returns end. */
enum lab_move_end	 lab_client_say(struct lab_client *client,
			    enum lab_move_end end, const char *format, ...)
			    __attribute__((format(printf, 3, 4)));
/* How reads and writes go from here on: they end after ms. */
void			 lab_client_hurry(struct lab_client *client,
			    int64_t ms);
/* Did the last one fail because its time was over? Forgets it then. */
bool			 lab_client_is_late(struct lab_client *client);

#endif
