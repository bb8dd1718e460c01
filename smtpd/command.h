/* SPDX-License-Identifier: ISC */
/*
 * Takes command lines out of the input. Only CRLF ends a line (SMTP-1); a CR
 * or LF by itself is never an end and never skipped over, so that nobody can
 * hide one command inside what another server took for text (SMTP-4). An
 * over-long line is consumed up to its CRLF and no part of it is executed
 * (SMTP-24).
 */
#ifndef POSTERN_SMTPD_COMMAND_H
#define POSTERN_SMTPD_COMMAND_H

#include <stdbool.h>
#include <stddef.h>

struct buf;

/* Bytes with CRLF: RFC 5321 4.5.3.1.4 asks for 512 and more by extension, 11 of
 * them for REQUIRETLS (RFC 8689 2); this is above the sum of all (SMTP-23). What
 * is skipped of one endless line before we give up. */
enum { COMMAND_MAX = 4096, COMMAND_SKIP_MAX = 64 << 10 };

enum command_result {
	COMMAND_NONE,		/* more input is needed */
	COMMAND_LINE,
	COMMAND_TOO_LONG,	/* consumed */
	COMMAND_NUL,		/* consumed */
	COMMAND_8BIT,		/* a line with bytes above 127: SMTP-9 */
	COMMAND_ENDLESS,	/* close */
	COMMAND_BARE		/* close: bare CR or LF */
};

struct command_splitter {
	bool	 skipping;	/* inside an over-long line */
	bool	 after_cr;	/* the last byte skipped was CR */
	size_t	 skipped;	/* bytes */
};

void	 command_splitter_init(struct command_splitter *splitter);
/* On COMMAND_LINE and COMMAND_8BIT, line (COMMAND_MAX bytes) holds the text without CRLF and
 * without white space at its end (SMTP-13), null-terminated. */
enum command_result	 command_take(struct command_splitter *splitter,
			    struct buf *input, char *line);

#endif
