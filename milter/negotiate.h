/* SPDX-License-Identifier: ISC */
/*
 * What a filter and we agree on: the version, what it may change, which
 * stages it wants to see and answers. Everything that is offered is kept; a
 * filter that asks for more than was offered is refused.
 */
#ifndef POSTERN_MILTER_NEGOTIATE_H
#define POSTERN_MILTER_NEGOTIATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "milter/macros.h"

struct buf;
struct packet;

enum { NEGOTIATE_VERSION_MIN = 2, NEGOTIATE_VERSION = 6 };

/* What it may change (SMFIF_*). */
enum negotiate_change {
	CHANGE_ADD_HEADER	= 1 << 0,	/* ADDHDRS: add, insert */
	CHANGE_BODY		= 1 << 1,	/* CHGBODY */
	CHANGE_ADD_RECIPIENT	= 1 << 2,	/* ADDRCPT */
	CHANGE_REMOVE_RECIPIENT	= 1 << 3,	/* DELRCPT */
	CHANGE_HEADER		= 1 << 4,	/* CHGHDRS */
	CHANGE_QUARANTINE	= 1 << 5,	/* QUARANTINE */
	CHANGE_SENDER		= 1 << 6,	/* CHGFROM */
	CHANGE_ADD_RECIPIENT_WITH = 1 << 7,	/* ADDRCPT_PAR */
	CHANGE_MACROS		= 1 << 8,	/* SETSYMLIST */
	CHANGES_OFFERED		= (1 << 9) - 1
};

/* Bits of the protocol steps (SMFIP_*). */
enum negotiate_step {
	STEP_NO_CONNECT		= 1 << 0,
	STEP_NO_HELO		= 1 << 1,
	STEP_NO_MAIL		= 1 << 2,
	STEP_NO_RECIPIENT	= 1 << 3,
	STEP_NO_BODY		= 1 << 4,
	STEP_NO_HEADER		= 1 << 5,
	STEP_NO_END_OF_HEADER	= 1 << 6,
	STEP_SILENT_HEADER	= 1 << 7,	/* NR_HDR: no reply to it */
	STEP_NO_UNKNOWN		= 1 << 8,	/* we never send those */
	STEP_NO_DATA		= 1 << 9,
	STEP_SKIP		= 1 << 10,	/* it may say SKIP */
	STEP_REFUSED_RECIPIENT	= 1 << 11,	/* RCPT_REJ: tell those too */
	STEP_SILENT_CONNECT	= 1 << 12,
	STEP_SILENT_HELO	= 1 << 13,
	STEP_SILENT_MAIL	= 1 << 14,
	STEP_SILENT_RECIPIENT	= 1 << 15,
	STEP_SILENT_DATA	= 1 << 16,
	STEP_SILENT_UNKNOWN	= 1 << 17,
	STEP_SILENT_END_OF_HEADER = 1 << 18,
	STEP_SILENT_BODY	= 1 << 19,
	STEP_LEADING_SPACE	= 1 << 20,	/* HDR_LEADSPC, both ways */
	STEP_256K		= 1 << 28,	/* larger frames */
	STEP_1M			= 1 << 29,
	STEPS_OFFERED		= ((1 << 21) - 1) | STEP_256K | STEP_1M
};

/* What is asked about, in the order of a session. */
enum stage { STAGE_CONNECT, STAGE_HELO, STAGE_MAIL, STAGE_RECIPIENT,
    STAGE_DATA, STAGE_HEADER, STAGE_END_OF_HEADER, STAGE_BODY, STAGE_END,
    STAGES };

struct negotiated {
	uint32_t	 version;
	uint32_t	 changes;	/* bits of enum negotiate_change */
	uint32_t	 steps;		/* bits of enum negotiate_step */
};

void	 negotiate_offer(struct buf *out);
/* Its answer. 0, or -1 with a sentence about the filter in why. */
int	 negotiate_read(struct negotiated *negotiated, struct macros *macros,
	    const struct packet *packet, const char **why);
/* Is it asked at this stage, and does it answer there? */
bool	 negotiated_wants(const struct negotiated *negotiated,
	    enum stage stage);
bool	 negotiated_answers(const struct negotiated *negotiated,
	    enum stage stage);
/* Bytes of data that it takes in one frame. */
size_t	 negotiated_data_max(const struct negotiated *negotiated);

char			 stage_command(enum stage stage);
/* MACRO_NONE where there are none. */
enum macro_stage	 stage_macros(enum stage stage);
bool			 stage_is_of_message(enum stage stage);

#endif
