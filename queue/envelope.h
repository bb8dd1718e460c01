/* SPDX-License-Identifier: ISC */
/*
 * The envelope of a message: who sent it, to whom, with which options, and the
 * header prefix that goes before the immutable body. It travels from smtpd to
 * the queue, is stored there, and part of it goes on to delivery. Everything
 * is allocated in the arena it was made with.
 */
#ifndef POSTERN_QUEUE_ENVELOPE_H
#define POSTERN_QUEUE_ENVELOPE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/digest.h"

struct arena;
struct wire_reader;
struct wire_writer;

/* RFC 3461 4.1; none of the three given: failures and delays as by default. */
enum notify_flag { NOTIFY_NEVER = 1 << 0, NOTIFY_SUCCESS = 1 << 1,
    NOTIFY_FAILURE = 1 << 2, NOTIFY_DELAY = 1 << 3 };

enum envelope_flag {
	ENVELOPE_8BIT = 1 << 0,		/* BODY=8BITMIME was declared */
	ENVELOPE_HAS_8BIT = 1 << 1,	/* 8-bit bytes were seen */
	ENVELOPE_UTF8 = 1 << 2,		/* SMTPUTF8 was said */
	ENVELOPE_BOUNCE = 1 << 3,	/* made here: a delivery notification */
	ENVELOPE_RET_FULL = 1 << 4,	/* RET=FULL */
	ENVELOPE_RET_HEADERS = 1 << 5,	/* RET=HDRS */
	ENVELOPE_REQUIRETLS = 1 << 6,	/* RFC 8689 2; never with the next */
	ENVELOPE_TLS_OPTIONAL = 1 << 7,	/* TLS-Required: No, RFC 8689 3 */
	ENVELOPE_UTF8_HEADER = 1 << 8	/* and its header is not ASCII */
};

enum recipient_flag {
	RECIPIENT_FORWARDED = 1 << 0,	/* an alias sends it out of our
					 * domains: forward_sender holds */
	RECIPIENT_EXPANDED = 1 << 1	/* an alias of several others who are
					 * there, too: gets no mail; the sender
					 * hears of it (RFC 3461 5.2.7) */
};

struct envelope_recipient {
	char	*address;	/* as it will be sent: local@domain */
	char	*domain;	/* lower case; what routing looks at */
	char	*original;	/* ORCPT, "type;xtext", or null */
	uint8_t	 notify;	/* enum notify_flag */
	uint8_t	 flags;		/* enum recipient_flag */
};

/*
 * A part of the content as it goes out: bytes of the stored body, or (text not
 * null) bytes of our own. The stored body is never rewritten: what filters
 * change is a list of these (new bodies are stored behind the original one).
 * Lines of a text end with CRLF, and nothing else in it is CR, LF or NUL.
 */
struct envelope_piece {
	uint64_t	 offset;	/* in the stored body; 0 with text */
	uint64_t	 length;
	const char	*text;		/* null: of the stored body */
};

struct envelope {
	char			*sender;	/* "" is the null sender */
	/* Who is said to send it to recipients that are forwarded (SRS);
	 * null: sender. Our own reports go to sender all the same. */
	char			*forward_sender;
	char			*envid;		/* ENVID as xtext, or null */
	uint32_t		 flags;		/* enum envelope_flag */
	struct envelope_recipient *recipients;
	size_t			 recipient_count;

	/* for history and log: where it came from */
	char			*client;	/* "name [192.0.2.1]" */
	char			*helo;
	char			*protocol;	/* "ESMTPS" */
	char			*tls;		/* version and cipher, or null */
	/* Who is answerable for it here: the login, "certificate NAME" of a
	 * client that may relay, "uid 1000" of a user of this machine; ""
	 * for everybody else. For the operator only: it goes into no message
	 * and no notification. */
	char			*user;

	/* goes before the body on the wire: our Received line, CRLF-ended */
	char			*prefix;
	size_t			 prefix_length;

	/* The content behind the prefix; none: the stored body as it is. */
	struct envelope_piece	*pieces;
	size_t			 piece_count;
	/* With pieces: bytes of the stored body that came in; what lies behind
	 * them is of filters. */
	uint64_t		 original_length;
	/* Why it is held from the beginning (a filter's quarantine): a text as
	 * all others here; null: it is not. */
	char			*hold;
};

/* An envelope as written may have ENVELOPE_WIRE_MAX bytes; read, it takes less
 * than ENVELOPE_ARENA_MAX of an arena, whatever is in it. */
enum { ENVELOPE_RECIPIENTS_MAX = 50000, ENVELOPE_PREFIX_MAX = 16384,
    ENVELOPE_PIECES_MAX = 4096, ENVELOPE_PIECE_TEXT_MAX = 512 << 10,
    ENVELOPE_TEXT_MAX = 1024, ENVELOPE_WIRE_MAX = 12 << 20,
    ENVELOPE_ARENA_MAX = 48 << 20 };

struct envelope	*envelope_new(struct arena *arena);
/* Grows the array as needed; address is copied, the domain found in it. Not
 * for an envelope that came from envelope_get(). */
void		 envelope_add_recipient(struct envelope *envelope,
		    struct arena *arena, const char *address,
		    const char *original, unsigned notify);
/* "requiretls", "optional"; null for neither. */
const char	*envelope_tls_tag(const struct envelope *envelope);
/* Whether pieces and original_length can be those of a stored body of that
 * length: within its bounds, and within ours. */
bool		 envelope_content_fits(const struct envelope *envelope,
		    uint64_t body_length);
void		 envelope_put(struct wire_writer *writer,
		    const struct envelope *envelope);
/* Null when the bytes are no envelope or pass a limit. */
struct envelope	*envelope_get(struct wire_reader *reader, struct arena *arena);

/*
 * The parts, for rows and jobs, which keep recipients elsewhere. Readers mark
 * the reader bad for texts with control characters, over ENVELOPE_TEXT_MAX, or
 * for an address without a domain. The head is everything but the recipients,
 * forward_sender, content and user, null when bad; a recipient everything but
 * its flags: what came later stands by itself, since rows of earlier versions
 * lack it. The content is pieces, original_length and hold.
 */
void	 envelope_put_head(struct wire_writer *writer,
	    const struct envelope *envelope);
struct envelope	*envelope_get_head(struct wire_reader *reader,
		    struct arena *arena);
void	 envelope_put_recipient(struct wire_writer *writer,
	    const struct envelope_recipient *recipient);
void	 envelope_get_recipient(struct wire_reader *reader,
	    struct arena *arena, struct envelope_recipient *recipient);
void	 envelope_put_forward_sender(struct wire_writer *writer,
	    const struct envelope *envelope);
void	 envelope_get_forward_sender(struct wire_reader *reader,
	    struct arena *arena, struct envelope *envelope);
void	 envelope_put_content(struct wire_writer *writer,
	    const struct envelope *envelope);
void	 envelope_get_content(struct wire_reader *reader,
	    struct arena *arena, struct envelope *envelope);
void	 envelope_put_user(struct wire_writer *writer,
	    const struct envelope *envelope);
void	 envelope_get_user(struct wire_reader *reader, struct arena *arena,
	    struct envelope *envelope);
uint8_t	 envelope_get_recipient_flags(struct wire_reader *reader);
char	*envelope_get_text(struct wire_reader *reader, struct arena *arena);
/* Text or null. */
void	 envelope_put_optional(struct wire_writer *writer, const char *text);
char	*envelope_get_optional(struct wire_reader *reader,
	    struct arena *arena);

#endif
