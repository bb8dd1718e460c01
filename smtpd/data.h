/* SPDX-License-Identifier: ISC */
/*
 * Reads message text as it comes and gives it out as canonical lines, in
 * pieces of any size. It promises, whatever the segmentation:
 *
 *  - only the octets CRLF "." CRLF (or "." CRLF at the very start) end DATA;
 *    a chunk of BDAT is ended by its count alone;
 *  - bare CR, bare LF and NUL are found; with DATA_NORMALISE the first two
 *    become CRLF in what is given out and still never help to end the text.
 *
 * After a problem was found, reading goes on to the true end so that nothing
 * behind it is ever taken for a command; what is given out is worthless then.
 */
#ifndef POSTERN_SMTPD_DATA_H
#define POSTERN_SMTPD_DATA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum data_flag {
	DATA_DOTS = 1 << 0,		/* DATA: dot-stuffed, ended by a dot */
	DATA_NORMALISE = 1 << 1		/* SMTP-4: old devices we know */
};

enum data_problem { DATA_FINE, DATA_BARE_CR, DATA_BARE_LF, DATA_NUL,
    DATA_LONG_LINE };

/*
 *	START --"."--> DOT --CR--> DOT_CR --LF--> ENDED
 *	  ^  \          |            |
 *	 LF   other   other        other
 *	  |     v       v            v
 *	  CR <-- TEXT <-'            CR (and that byte again)
 *
 * START is behind a CRLF; DOT and below only with DATA_DOTS.
 */
enum data_state { DATA_START, DATA_TEXT, DATA_CR, DATA_DOT, DATA_DOT_CR,
    DATA_ENDED };

struct data_reader {
	enum data_state		 state;
	unsigned		 flags;
	enum data_problem	 problem;	/* the first one found */
	uint64_t		 column;	/* bytes of the line given out */
	uint64_t		 max_line;	/* with CRLF */
};

/* What one byte can become at most. */
enum { DATA_ROOM_MIN = 4 };

void	 data_reader_init(struct data_reader *reader, unsigned flags,
	    uint64_t max_line);
/*
 * Reads from the length bytes at text and writes to the room bytes at out (at
 * least DATA_ROOM_MIN). Returns how many bytes were used: fewer than length
 * only when out is full or the text ended (state DATA_ENDED). made gets how
 * many were written.
 */
size_t	 data_read(struct data_reader *reader, const char *text, size_t length,
	    char *out, size_t room, size_t *made);
/* For the last chunk of BDAT: writes what is missing to the final CRLF (to
 * DATA_ROOM_MIN bytes), and finds a CR that nothing follows. */
size_t	 data_finish(struct data_reader *reader, char *out);

#endif
