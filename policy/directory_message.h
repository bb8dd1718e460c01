/* SPDX-License-Identifier: ISC */
/*
 * Messages between smtpd and the directory.
 */
#ifndef POSTERN_POLICY_DIRECTORY_MESSAGE_H
#define POSTERN_POLICY_DIRECTORY_MESSAGE_H

#include "base/address.h"

enum directory_message {
	DIRECTORY_CHECK = 1,	/* request; text address */
	DIRECTORY_ANSWER	/* request; u8 enum directory_answer, text */
};

enum { DIRECTORY_TEXT_MAX = ADDRESS_MAX + 16 };

#endif
