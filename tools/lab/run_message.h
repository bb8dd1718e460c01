/* SPDX-License-Identifier: ISC */
/*
 * The sender of a scenario's messages: a small SMTP client that hands them to
 * the MTA under test, in clear, or under TLS where a message requires that.
 */
#ifndef POSTERN_TOOLS_LAB_RUN_MESSAGE_H
#define POSTERN_TOOLS_LAB_RUN_MESSAGE_H

#include <stddef.h>

enum { LAB_PORT = 2525, LAB_SUBMISSION_PORT = 2587,
    LAB_SUBMISSIONS_PORT = 2465, LAB_MESSAGE_LINE_MAX = 500 };
#define LAB_SENDER "alice@origin.example"
#define LAB_TEXT "Text."		/* the last line of every message */

struct lab_step;

/* What came of handing a message over. */
struct lab_handover {
	char	reply[400];	/* the MTA's last one */
	char	error[500];	/* why it was not taken: a sentence */
};

/* Waits until the MTA greets on the port; -1 with a sentence. */
int	 lab_message_wait(unsigned seconds, char *error, size_t size);
/* The message of a step (to, requiretls, parameters, header, body) with the
 * header X-Postern-Lab: marker. -1 when the MTA did not take it, which it also
 * does not when it offers no REQUIRETLS to a message that asks for it. */
int	 lab_message_send(const struct lab_step *step, int marker,
	    struct lab_handover *handover);

#endif
