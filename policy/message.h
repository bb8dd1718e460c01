/* SPDX-License-Identifier: ISC */
/*
 * Messages between policy and those who ask it (delivery, smtpd).
 */
#ifndef POSTERN_POLICY_MESSAGE_H
#define POSTERN_POLICY_MESSAGE_H

#include "policy/plan.h"

enum policy_message {
	POLICY_PLAN = 1,	/* request; text domain, text host, u16 port,
				 * u8 mx, u8 implicit TLS, u64 waited, u8 wish,
				 * u8 message level plus one (0: none) */
	POLICY_PLAN_ANSWER,	/* request; the plan */
	POLICY_REVERSE,		/* request; u8 family (4, 6), bytes,
				 * u32 milliseconds */
	POLICY_REVERSE_ANSWER,	/* request; text name, empty for none, or
				 * POLICY_NAME_UNKNOWN */
	POLICY_CANCEL,		/* request; nothing: the answer is not wanted
				 * any more and will not come, unless it is on
				 * its way */
	POLICY_OBSERVED,	/* delivery -> policy; an observation */
	POLICY_CHANGED,		/* policy -> delivery; text pattern ("": all):
				 * plans for it may be others from now on */

	/* smtpd's questions about a client or a message, and the answers;
	 * bodies as policy/check_message.h writes them */
	POLICY_SPF, POLICY_SPF_ANSWER,
	POLICY_TEXT, POLICY_TEXT_ANSWER,
	POLICY_DMARC, POLICY_DMARC_ANSWER,
	POLICY_LISTED, POLICY_LISTED_ANSWER,
	POLICY_GREYLIST, POLICY_GREYLIST_ANSWER
};

/* No name has that character. */
#define POLICY_NAME_UNKNOWN	"?"

enum { POLICY_PLAN_MAX = PLAN_WIRE_MAX, POLICY_NAME_MAX = 255,
    POLICY_QUESTION_MAX = 2 * POLICY_NAME_MAX + 28,
    POLICY_TEXT_MAX = 16 << 10,		/* TXT records, joined */
    POLICY_WORDS_MAX = 255,		/* explanations, reasons */
    POLICY_CHECK_QUESTION_MAX = 8 << 10,	/* of any of them */
    POLICY_CHECK_ANSWER_MAX = POLICY_TEXT_MAX + 64 };

#endif
