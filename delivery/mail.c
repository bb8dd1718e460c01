/* SPDX-License-Identifier: ISC */
/*
 * States and statuses of the recipients of one attempt.
 */
#include "delivery/mail.h"

#include <string.h>

#include "base/mem.h"

void mail_init(struct mail *mail, struct job *job)
{
	mail->job = job;
	mail->states = mem_alloc_array(job->recipient_count,
	    sizeof(*mail->states));
	mail->statuses = mem_alloc_array(job->recipient_count,
	    sizeof(*mail->statuses));
	mail->logged = mem_alloc_array(job->recipient_count,
	    sizeof(*mail->logged));
}

void mail_release(struct mail *mail)
{
	mem_free(mail->states);
	mem_free(mail->statuses);
	mem_free(mail->logged);
	memset(mail, 0, sizeof(*mail));
}

size_t mail_count(const struct mail *mail, enum recipient_state state)
{
	size_t i, count = 0;

	for (i = 0; i < mail->job->recipient_count; i++)
		count += mail->states[i] == state;
	return count;
}

void mail_move(struct mail *mail, enum recipient_state from,
    enum recipient_state to)
{
	size_t i;

	for (i = 0; i < mail->job->recipient_count; i++)
		if (mail->states[i] == from)
			mail->states[i] = to;
}

void mail_settle(struct mail *mail, enum recipient_state from,
    enum recipient_state to, const struct status *status)
{
	size_t i;

	for (i = 0; i < mail->job->recipient_count; i++) {
		if (mail->states[i] != from)
			continue;
		mail->states[i] = to;
		mail->statuses[i] = *status;
	}
}

uint64_t mail_size(const struct mail *mail)
{
	return mail->job->prefix_length + mail->job->body_length;
}
