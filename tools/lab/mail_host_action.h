/* SPDX-License-Identifier: ISC */
/*
 * One line of a host's behaviour as data: at which stage, for which visits,
 * what is done; the meaning of the words is in mail_host.h. A table says which
 * action means anything at which stage, and nothing else is read.
 */
#ifndef POSTERN_TOOLS_LAB_MAIL_HOST_ACTION_H
#define POSTERN_TOOLS_LAB_MAIL_HOST_ACTION_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"
#include "tools/lab/mail_host.h"

/* In the order of lab_stage_words. */
enum lab_stage { LAB_STAGE_CONNECT, LAB_STAGE_GREETING, LAB_STAGE_EHLO,
    LAB_STAGE_HELO, LAB_STAGE_STARTTLS, LAB_STAGE_HANDSHAKE, LAB_STAGE_FLIGHT,
    LAB_STAGE_SECURED, LAB_STAGE_MAIL, LAB_STAGE_RCPT, LAB_STAGE_DATA,
    LAB_STAGE_MESSAGE, LAB_STAGE_IDLE, LAB_STAGE_QUIT, LAB_STAGES };

/* In the order of lab_action_words; a reply has no word of its own. */
enum lab_act { LAB_ACT_CLOSE, LAB_ACT_CUT, LAB_ACT_RESET, LAB_ACT_STALL,
    LAB_ACT_GARBAGE, LAB_ACT_ALERT, LAB_ACT_CORRUPT, LAB_ACT_TARPIT,
    LAB_ACT_BYTES, LAB_ACT_FLOOD, LAB_ACT_LONG, LAB_ACT_BARE, LAB_ACT_HALF,
    LAB_ACT_UNWRAP, LAB_ACT_RAW, LAB_ACT_REPLY, LAB_ACTS };

struct lab_action {
	enum lab_stage		 stage;
	struct lab_visits	 visits;
	enum lab_act		 act;
	const char		*words;	/* the whole line; borrowed */
	const char		*alert;	/* its name, "" none; borrowed */
	struct buf		 text;	/* of REPLY, UNWRAP (with line ends)
					 * and RAW: bytes; owned */
	int			 code;	/* of REPLY and UNWRAP */
};

/* "STAGE ACTION"; 0, or -1 when it means nothing (there is nothing to release
 * then). */
int	 lab_action_read(struct lab_action *action, const char *text);
void	 lab_action_release(struct lab_action *action);
/* It is about a connection under TLS and is passed over in clear. */
bool	 lab_action_needs_tls(const struct lab_action *action);

#endif
