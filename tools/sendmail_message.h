/* SPDX-License-Identifier: ISC */
/*
 * The message as a program writes it becomes one as RFC 5322 has it: CRLF line
 * ends, fields that must be there added, fields that say who got a blind copy
 * removed. Everything else stays as it was, byte for byte.
 */
#ifndef POSTERN_TOOLS_SENDMAIL_MESSAGE_H
#define POSTERN_TOOLS_SENDMAIL_MESSAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "tools/address_list.h"

struct buf;
struct outgoing;

enum { MESSAGE_PROBLEM = ADDRESS_LIST_PROBLEM + 100 };

/* Where lines may come from: how they end, and how long they may be. */
struct message_rules {
	bool	 dots;		/* a line of one dot is text, not the end */
	size_t	 max_line;	/* bytes with CRLF; longer ones are broken */
};

/* What is added where the message does not say it. */
struct message_facts {
	const char	*domain;	/* for addresses without one */
	const char	*from;		/* address for the From field */
	const char	*full_name;	/* beside it; "" for none */
	const char	*hostname;	/* for the Message-ID */
	int64_t		 wall;		/* now, ms */
	bool		 take_recipients;	/* -t */
};

/* Reads fd to its end. 0, or -1 with a sentence. */
int	 message_read(struct buf *out, int fd, const struct message_rules *rules,
	    char *problem);
/* Takes in what was read; recipients that the header names are added when
 * they are asked for. 0, or -1 with a sentence. */
int	 message_complete(struct outgoing *outgoing, const struct buf *text,
	    const struct message_facts *facts, char *problem);

#endif
