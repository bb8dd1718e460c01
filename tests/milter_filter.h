/* SPDX-License-Identifier: ISC */
/*
 * A scripted filter for the machine of milter/, on the same loop: it answers
 * each command by the first rule that fits, or with CONTINUE, and keeps what
 * it was told as text. process_connect() leads to it. What it says is bytes, so
 * that it can break each rule; whole conversations in words, for smtpd, are
 * scripted_filter.h's.
 */
#ifndef POSTERN_TESTS_MILTER_FILTER_H
#define POSTERN_TESTS_MILTER_FILTER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/loop.h"

struct stream;

enum { FILTER_FRAMES_MAX = 8 };

/* A reply: code and data, as in FILTER_SAYS("hX-A\0" "one\0"). */
struct milter_filter_frame {
	const char	*bytes;
	size_t		 length;
};
#define FILTER_SAYS(text) { text, sizeof(text) - 1 }

struct milter_filter_rule {
	char		 command;	/* 0 ends the rules */
	unsigned	 nth;		/* only at the nth of them; 0: each */
	struct milter_filter_frame frames[FILTER_FRAMES_MAX];
	bool		 raw;		/* frames have lengths of their own */
	bool		 closes;	/* behind it */
};

struct milter_filter {
	/* set by the test */
	uint32_t		 version;	/* 0: 6 */
	uint32_t		 changes;
	uint32_t		 steps;
	struct milter_filter_frame	 lists;		/* behind the options */
	const struct milter_filter_rule *rules;	/* or null */
	bool			 trickles;	/* a byte a turn */
	int64_t			 progress;	/* between signs; 0: none */
	char			 progress_at;	/* the command */
	bool			 deaf;		/* reads no more than options */
	int			 connect_error;	/* refused with this */
	bool			 absent;	/* connecting never ends */

	/* what it has seen */
	struct buf		 told;		/* a line each; NUL is "|",
						 * LF "/" */
	struct buf		 body;
	uint32_t		 offered[3];	/* version, changes, steps */
	unsigned		 connections;
	bool			 ended;		/* the other side closed; the
						 * loop is stopped then */

	/* its own */
	struct stream		*stream;
	struct buf		 out;		/* TRICKLES: what is to go */
	struct timer		 timer;
	unsigned		 counts[256];
};

/* The one that process_connect() leads to from now on. */
void	 milter_filter_init(struct milter_filter *filter);
void	 milter_filter_release(struct milter_filter *filter);
const char	*milter_filter_told(struct milter_filter *filter);

#endif
