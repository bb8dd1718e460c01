/* SPDX-License-Identifier: ISC */
/*
 * States and statuses of the recipients of one attempt.
 */
#include "delivery/mail.h"

#include <string.h>

#include "base/mem.h"
#include "base/utf8.h"
#include "delivery/capability.h"
#include "queue/envelope.h"

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

static bool has_8bit(const struct job *job)
{
	return (job->flags & ENVELOPE_HAS_8BIT) != 0;
}

bool mail_is_international(const struct mail *mail)
{
	const uint32_t both = ENVELOPE_UTF8 | ENVELOPE_UTF8_HEADER;

	return (mail->job->flags & both) == both ||
	    !utf8_is_ascii(mail->job->sender);
}

static bool is_needy(const struct mail *mail, size_t index)
{
	return mail->states[index] != RECIPIENT_DONE &&
	    !utf8_is_ascii(mail->job->recipients[index].address);
}

bool mail_needs_utf8(const struct mail *mail)
{
	bool needs = mail_is_international(mail);

	for (size_t i = 0; i < mail->job->recipient_count && !needs; i++)
		needs = is_needy(mail, i);
	return needs;
}

size_t mail_settle_international(struct mail *mail,
    const struct status *status)
{
	if (mail_is_international(mail))
		return 0;
	for (size_t i = 0; i < mail->job->recipient_count; i++) {
		if (!is_needy(mail, i))
			continue;
		mail->states[i] = RECIPIENT_DONE;
		mail->statuses[i] = *status;
	}
	return mail_count(mail, RECIPIENT_OPEN);
}

bool mail_fits(const struct mail *mail, const struct capability *capability,
    struct status *status)
{
	const struct job *job = mail->job;

	if (capability->size && capability->size_limit > 0 &&
	    mail_size(mail) > capability->size_limit) {
		status_print(status, STATUS_FAILED, REASON_MEDIA, "5.3.4",
		    "the message has %llu bytes, the server takes %llu",
		    (unsigned long long)mail_size(mail),
		    (unsigned long long)capability->size_limit);
		return false;
	}
	if (mail_needs_utf8(mail) && !capability->utf8) {
		status_set(status, STATUS_FAILED, REASON_MEDIA, "5.6.7",
		    "the message needs SMTPUTF8, which the server has not");
		return false;
	}
	if (has_8bit(job) && !capability->eight_bit) {
		status_set(status, STATUS_FAILED, REASON_MEDIA, "5.6.3",
		    "the message has 8-bit text and the server no 8BITMIME");
		return false;
	}
	return true;
}

enum plan_wish mail_wish(const struct mail *mail)
{
	const struct job *job = mail->job;

	if ((job->flags & ENVELOPE_REQUIRETLS) != 0)
		return job->sender[0] == '\0' ? WISH_REQUIRETLS_BOUNCE :
		    WISH_REQUIRETLS;
	return (job->flags & ENVELOPE_TLS_OPTIONAL) != 0 ? WISH_OPTIONAL :
	    WISH_NONE;
}

/* An address that would not stay inside its command. The length is a bound
 * of ours; servers have smaller ones. */
static bool is_unsafe(const char *address)
{
	if (strlen(address) > ENVELOPE_TEXT_MAX ||
	    !utf8_is_valid(address, strlen(address)))
		return true;
	for (; *address != '\0'; address++)
		if ((unsigned char)*address < ' ' || *address == 0x7f)
			return true;
	return false;
}

void mail_refuse_unsafe(struct mail *mail)
{
	const struct job *job = mail->job;
	struct status status;
	size_t i;

	status_set(&status, STATUS_FAILED, REASON_LOCAL, "5.1.3",
	    "the address cannot stand in a command");
	for (i = 0; i < job->recipient_count; i++) {
		if (!is_unsafe(job->sender) &&
		    !is_unsafe(job->recipients[i].address))
			continue;
		mail->states[i] = RECIPIENT_DONE;
		mail->statuses[i] = status;
	}
}
