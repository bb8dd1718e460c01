/* SPDX-License-Identifier: ISC */
/*
 * Header bytes go into the list of fields, body bytes to those who hash them,
 * all of it into the spool.
 */
#include "smtpd/content.h"

#include <stdbool.h>

#include "authentic/fields.h"
#include "smtpd/edits.h"
#include "smtpd/filter.h"
#include "smtpd/session.h"
#include "smtpd/signing.h"
#include "smtpd/transaction.h"
#include "smtpd/verification.h"

void content_begin(struct session *session)
{
	struct transaction *transaction = session->transaction;
	bool verify = verification_begin(session);
	bool sign = signing_begin(session);
	bool filter = filter_begin(session);

	if (verify || sign || filter)
		transaction->fields = fields_new();
}

void content_feed(struct session *session, const char *data, size_t length)
{
	struct transaction *transaction = session->transaction;
	bool ended;
	size_t used;

	if (transaction->fields == NULL)
		return;
	filter_feed(session, data, length);
	ended = transaction->fields->ended;
	used = fields_feed(transaction->fields, data, length);
	if (!ended && transaction->fields->ended)
		verification_header(session);
	if (used < length) {
		verification_body(session, data + used, length - used);
		signing_body(session, data + used, length - used);
	}
}

void content_end(struct session *session)
{
	struct fields *fields = session->transaction->fields;

	if (fields == NULL || fields->ended)
		return;
	fields_finish(fields);
	verification_header(session);
}

void content_release(struct session *session)
{
	struct transaction *transaction = session->transaction;

	filter_release(session);
	verification_free(session);
	signing_free(session);
	if (transaction->fields != NULL)
		fields_free(transaction->fields);
	transaction->fields = NULL;
	edits_free(transaction->edits);
	transaction->edits = NULL;
}
