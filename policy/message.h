/* SPDX-License-Identifier: ISC */
/*
 * Messages between policy and those who ask it (delivery, smtpd).
 */
#ifndef POSTERN_POLICY_MESSAGE_H
#define POSTERN_POLICY_MESSAGE_H

enum policy_message {
	POLICY_PLAN = 1,	/* request; text domain, text host, u16 port,
				 * u8 mx */
	POLICY_PLAN_ANSWER,	/* request; the plan */
	POLICY_REVERSE,		/* request; u8 family (4, 6), bytes,
				 * u32 milliseconds */
	POLICY_REVERSE_ANSWER	/* request; text name, empty for none */
};

enum { POLICY_PLAN_MAX = 256 << 10, POLICY_NAME_MAX = 255 };

#endif
