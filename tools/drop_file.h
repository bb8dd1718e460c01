/* SPDX-License-Identifier: ISC */
/*
 * A mail in the drop directory, where sendmail(8) leaves it while the server
 * is down. The file belongs to the user who sent it. First a line with the
 * version, then the envelope, a line for each thing, an empty line, and the
 * message as it goes to the server:
 *
 *	postern-drop 1
 *	from SENDER
 *	to RECIPIENT			(one or more)
 *	body 8BITMIME			(these four only where they are needed)
 *	notify FAILURE,DELAY
 *	ret HDRS
 *	envid XTEXT
 *	size BYTES			(of the message)
 *
 * A file has its final name only once all of it is on the disk. Reading takes
 * every byte as hostile and gives the whole or nothing.
 */
#ifndef POSTERN_TOOLS_DROP_FILE_H
#define POSTERN_TOOLS_DROP_FILE_H

#include <stdbool.h>
#include <stddef.h>

struct outgoing;

enum { DROP_NAME_MAX = 64, DROP_PROBLEM = 300,
    /* More than any envelope needs. */
    DROP_HEAD_MAX = 8 << 20 };

/* How the names of files begin; 32 hexadecimal digits follow. */
#define DROP_PREFIX	"drop-"		/* whole, to be sent */
#define DROP_TEMPORARY	"temp-"		/* being written, or left behind */
#define DROP_REFUSED	"refused-"	/* cannot be sent; for people */

/* Does a name begin so and go on with 32 hexadecimal digits? */
bool	 drop_is_name(const char *name, const char *prefix);
/* 0 once the mail is safe, or -1 with a sentence in problem (DROP_PROBLEM
 * bytes) and nothing left behind. */
int	 drop_write(const char *directory, const struct outgoing *outgoing,
	    char *problem);
/* Reads a file's text; outgoing is as from outgoing_init(). */
int	 drop_read(struct outgoing *outgoing, const char *text, size_t length,
	    char *problem);

#endif
