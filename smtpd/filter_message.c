/* SPDX-License-Identifier: ISC */
/*
 * The message that filters see: its view (edits.h over the spool), with the
 * header as fields. What one filter changes is tried on a copy of the edits
 * first, so that a filter that wants the impossible has changed nothing.
 */
#include "smtpd/filter_internal.h"

#include <string.h>

#include "authentic/fields.h"
#include "base/log.h"
#include "conf/conf.h"
#include "smtpd/edits.h"
#include "smtpd/filter.h"
#include "smtpd/session.h"
#include "smtpd/spool.h"
#include "smtpd/transaction.h"

enum { PIECE_MAX = 16 << 10 };

static size_t read_stored(void *arg, uint64_t offset, char *out, size_t size)
{
	return spool_read(arg, offset, out, size);
}

static size_t read_view(const struct filters *filters,
    const struct edits *edits, uint64_t offset, char *out, size_t size)
{
	if (edits == NULL)
		return spool_read(filters->spool, offset, out, size);
	return edits_read(edits, offset, out, size, read_stored,
	    filters->spool);
}

size_t filter_read(const struct session *session, uint64_t offset, char *out,
    size_t size)
{
	const struct filters *filters = session->filters;

	if (filters == NULL || filters->spool == NULL)
		return 0;
	return read_view(filters, session->transaction->edits, offset, out,
	    size);
}

/* milter_content */
static size_t read_body(void *arg, uint64_t offset, char *out, size_t size)
{
	struct filters *filters = arg;
	const struct transaction *transaction = filters->session->transaction;

	return read_view(filters, transaction->edits,
	    transaction->fields->length + offset, out, size);
}

/* Null: the header is larger than it may be. */
static struct fields *read_fields(const struct filters *filters,
    const struct edits *edits)
{
	static char piece[PIECE_MAX];
	struct fields *fields = fields_new();
	uint64_t offset = 0;
	size_t length;

	while (!fields->ended && (length = read_view(filters, edits, offset,
	    piece, sizeof(piece))) > 0) {
		fields_feed(fields, piece, length);
		offset += length;
	}
	fields_finish(fields);
	if (!fields->too_large)
		return fields;
	fields_free(fields);
	return NULL;
}

static void set_fields(struct filters *filters, struct fields *fields)
{
	struct transaction *transaction = filters->session->transaction;

	if (fields != transaction->fields)
		fields_free(transaction->fields);
	transaction->fields = fields;
	filters->content.fields = fields;
	filters->content.read = read_body;
	filters->content.arg = filters;
}

enum check_answer filter_message_stop_full(struct session *session)
{
	return checks_stop(session, MODE_ON, 452, "4.3.1",
	    "too much mail is with the filters, please try again later");
}

/* by: a filter's name, or why nobody would get it. */
static enum check_answer stop_discard(struct session *session, const char *by)
{
	enum check_answer answer = checks_stop(session, MODE_ON, 250, "2.0.0",
	    "discarded: %s", by);

	session->outcome.discard = true;
	session->outcome.check = by;
	return answer;
}

/* Fields that a submission lacked are in front of what came in; filters see
 * them. */
static int show_added(struct session *session)
{
	struct transaction *transaction = session->transaction;

	if (transaction->added[0] == '\0')
		return 0;
	if (edits_insert(edits_of(session), 0, transaction->added,
	    strlen(transaction->added)) < 0)
		return -1;
	transaction->added = "";
	return 0;
}

enum check_answer filter_message_begin(struct filters *filters)
{
	struct session *session = filters->session;
	struct transaction *transaction = session->transaction;
	struct fields *fields = transaction->fields;

	if (filters->discards != NULL)
		return stop_discard(session, filters->discards->name);
	if (filters->overflowed)
		return filter_message_stop_full(session);
	filters->original = spool_length(filters->spool);
	if (fields->too_large || show_added(session) < 0)
		fields = NULL;
	else if (edits_changed(transaction->edits))
		fields = read_fields(filters, transaction->edits);
	if (fields == NULL)
		return checks_stop(session, MODE_ON, 552, "5.3.4",
		    "the header is too large");
	set_fields(filters, fields);
	return CHECK_PASS;
}

/* --- what a filter changes --- */

static const struct milter_edit *find_body(const struct milter_edits *wanted)
{
	const struct milter_edit *edit;

	TAILQ_FOREACH(edit, wanted, link)
		if (edit->kind == MILTER_REPLACE_BODY)
			return edit;
	return NULL;
}

static bool is_of_content(const struct milter_edits *wanted)
{
	const struct milter_edit *edit;

	TAILQ_FOREACH(edit, wanted, link)
		if (edit->kind == MILTER_ADD_HEADER ||
		    edit->kind == MILTER_INSERT_HEADER ||
		    edit->kind == MILTER_CHANGE_HEADER ||
		    edit->kind == MILTER_REPLACE_BODY)
			return true;
	return false;
}

/* Stored it will be where what came in ends, whatever is there now. */
static int replace_body(const struct filters *filters, struct edits *edits,
    uint64_t length)
{
	const struct fields *fields = filters->session->transaction->fields;
	uint64_t at = fields->length;

	if (edits_cut(edits, at, edits_length(edits) - at) < 0)
		return -1;
	if (!fields->has_body) {
		if (edits_insert(edits, at, "\r\n", 2) < 0)
			return -1;
		at += 2;
	}
	return edits_insert_stored(edits, at, filters->original, length);
}

/* The body first: its place is known by the header that the filter has seen. */
static struct fields *try_edits(struct filters *filters, struct edits *edits,
    const struct milter_edits *wanted, uint64_t body_length,
    const char **reason)
{
	struct fields *fields;

	*reason = "it changes more than a message can hold";
	if (find_body(wanted) != NULL &&
	    replace_body(filters, edits, body_length) < 0)
		return NULL;
	if (filter_edit_header(filters->session, edits, wanted, reason) < 0)
		return NULL;
	fields = read_fields(filters, edits);
	if (fields == NULL)
		*reason = "it makes the header too large";
	return fields;
}

static int make_changes(struct filter *filter, const char **reason)
{
	struct filters *filters = filter->filters;
	struct session *session = filters->session;
	struct transaction *transaction = session->transaction;
	const struct milter_edits *wanted = milter_edits(filter->milter);
	const struct milter_edit *body = find_body(wanted);
	uint64_t before = spool_length(filters->spool);
	struct fields *fields;
	struct edits *edits;

	if (body != NULL && filter_body_store(session, filters->spool, body,
	    reason) < 0)
		return -1;
	edits = edits_copy(edits_of(session));
	fields = try_edits(filters, edits, wanted,
	    spool_length(filters->spool) - before, reason);
	if (fields == NULL) {
		edits_free(edits);
		spool_drop(filters->spool, before,
		    spool_length(filters->spool) - before);
		return -1;
	}
	edits_free(transaction->edits);
	transaction->edits = edits;
	set_fields(filters, fields);
	if (body != NULL)	/* an earlier filter's is not needed any more */
		spool_drop(filters->spool, filters->original,
		    before - filters->original);
	return 0;
}

int filter_message_edit(struct filter *filter, const char **reason)
{
	struct transaction *transaction =
	    filter->filters->session->transaction;
	struct header_scan before = transaction->scan;

	if (!is_of_content(milter_edits(filter->milter)) ||
	    make_changes(filter, reason) == 0)
		return 0;
	transaction->scan = before;
	return -1;
}

enum check_answer filter_message_end(struct filters *filters)
{
	if (!filter_has_recipients(filters))
		return stop_discard(filters->session, "no recipient is left");
	filters->given = filters->original;
	return filter_body_give(filters);
}
