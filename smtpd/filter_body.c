/* SPDX-License-Identifier: ISC */
/*
 * A new body from a filter: made canonical as if a client had sent it, kept in
 * the spool behind what came in, and at the end given to the queue behind what
 * it has: there the pieces of the envelope find it.
 */
#include "smtpd/filter_internal.h"

#include "conf/conf.h"
#include "queue/client.h"
#include "smtpd/data.h"
#include "smtpd/rules.h"
#include "smtpd/session.h"
#include "smtpd/spool.h"
#include "smtpd/transaction.h"

enum { PIECE_MAX = 64 << 10 };

static char piece[PIECE_MAX];

static void note_8bit(struct header_scan *scan, const char *data,
    size_t length)
{
	for (size_t i = 0; i < length && !scan->has_8bit; i++)
		scan->has_8bit = (unsigned char)data[i] >= 0x80;
}

static const char *problem_of(enum data_problem problem)
{
	switch (problem) {
	case DATA_NUL:
		return "its new body has a NUL in it";
	case DATA_LONG_LINE:
		return "its new body has a line over max-line";
	default:
		return NULL;	/* line ends have been made proper */
	}
}

/* Adds length bytes of piece. */
static int add(struct session *session, struct spool *spool, size_t length,
    const char **reason)
{
	note_8bit(&session->transaction->scan, piece, length);
	if (spool_add(spool, piece, length) == 0)
		return 0;
	session->filters->overflowed = true;
	*reason = "there is no memory for its new body";
	return -1;
}

static int store(struct session *session, struct spool *spool,
    const struct milter_edit *edit, const char **reason)
{
	struct data_reader reader;
	size_t used = 0, made;

	data_reader_init(&reader, DATA_NORMALISE,
	    (uint64_t)session->rules->conf->max_line);
	while (used < edit->length) {
		used += data_read(&reader, edit->value + used,
		    edit->length - used, piece, sizeof(piece), &made);
		*reason = problem_of(reader.problem);
		if (*reason != NULL || add(session, spool, made, reason) < 0)
			return -1;
	}
	return add(session, spool, data_finish(&reader, piece), reason);
}

int filter_body_store(struct session *session, struct spool *spool,
    const struct milter_edit *edit, const char **reason)
{
	uint64_t max = (uint64_t)session->rules->conf->max_message_size;
	uint64_t before = spool_length(spool);

	if (store(session, spool, edit, reason) == 0) {
		if (spool_length(spool) - before <= max)
			return 0;
		*reason = "its new body is over max-message-size";
	}
	spool_drop(spool, before, spool_length(spool) - before);
	return -1;
}

enum check_answer filter_body_give(struct filters *filters)
{
	struct submission *submission =
	    filters->session->transaction->submission;
	size_t room;

	while (submission != NULL &&
	    filters->given < spool_length(filters->spool)) {
		room = submission_room(submission);
		if (room == 0) {
			filters->waits_for_credit = true;
			return CHECK_WAIT;
		}
		room = spool_read(filters->spool, filters->given, piece,
		    room < sizeof(piece) ? room : sizeof(piece));
		submission_data(submission, piece, room);
		filters->given += room;
	}
	return CHECK_PASS;
}
