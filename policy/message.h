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
	POLICY_REVERSE_ANSWER,	/* request; text name, empty for none */
	POLICY_CANCEL,		/* request; nothing: the answer is not wanted
				 * any more and will not come, unless it is on
				 * its way */
	POLICY_OBSERVED,	/* delivery -> policy; an observation */
	POLICY_CHANGED		/* policy -> delivery; text pattern ("": all):
				 * plans for it may be others from now on */
};

enum { POLICY_PLAN_MAX = PLAN_WIRE_MAX, POLICY_NAME_MAX = 255,
    POLICY_QUESTION_MAX = 2 * POLICY_NAME_MAX + 28 };

#endif
