/* SPDX-License-Identifier: ISC */
/*
 * The sender of a scenario's messages: a small SMTP client that hands them to
 * the MTA under test.
 */
#ifndef POSTERN_TOOLS_LAB_RUN_MESSAGE_H
#define POSTERN_TOOLS_LAB_RUN_MESSAGE_H

#include <stddef.h>

enum { LAB_PORT = 2525, LAB_SUBMISSION_PORT = 2587,
    LAB_SUBMISSIONS_PORT = 2465 };
#define LAB_SENDER "alice@origin.example"

/* Waits until the MTA greets on the port; -1 with a sentence. */
int	 lab_message_wait(unsigned seconds, char *error, size_t size);
/* A message with the header X-Postern-Lab: marker; the reply to it in reply.
 * -1 with a sentence when the MTA did not take it. */
int	 lab_message_send(const char *to, int marker, char *reply, size_t size,
	    char *error, size_t error_size);

#endif
