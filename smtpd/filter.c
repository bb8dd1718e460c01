/* SPDX-License-Identifier: ISC */
/*
 * The filters' rows of the table of checks, and the life of what they hold.
 */
#include "smtpd/filter.h"

#include "authentic/fields.h"
#include "conf/conf.h"
#include "policy/directory_client.h"
#include "queue/client.h"
#include "smtpd/client.h"
#include "smtpd/filter_internal.h"
#include "smtpd/rules.h"
#include "smtpd/server.h"
#include "smtpd/session.h"
#include "smtpd/spool.h"
#include "smtpd/transaction.h"

/* --- the content --- */

static bool somebody_listens(const struct filters *filters)
{
	for (size_t i = 0; i < filters->count; i++)
		if (!filters->chain[i].skipped)
			return true;
	return false;
}

bool filter_begin(struct session *session)
{
	struct filters *filters = session->filters;

	if (filters == NULL || filters->discards != NULL ||
	    !somebody_listens(filters))
		return false;
	filters->spool = spool_new(
	    (uint64_t)session->rules->conf->filter_memory);
	return true;
}

void filter_feed(struct session *session, const char *data, size_t length)
{
	struct filters *filters = session->filters;

	if (filters == NULL || filters->spool == NULL ||
	    spool_add(filters->spool, data, length) == 0)
		return;
	/* Nothing is promised yet: filter_content() says so. */
	spool_free(filters->spool);
	filters->spool = NULL;
	filters->overflowed = true;
}

void filter_release(struct session *session)
{
	struct filters *filters = session->filters;

	if (filters == NULL)
		return;
	if (filters->lookup != NULL)
		directory_cancel(filters->lookup);
	filters->lookup = NULL;
	filters->edit = NULL;
	filters->discards = NULL;
	filters->overflowed = false;
	filters->refused_by_one = false;
	filters->waits_for_credit = false;
	filter_chain_abort(filters);
	filter_forget_recipients(filters);
	spool_free(filters->spool);
	filters->spool = NULL;
}

void filter_free(struct session *session)
{
	if (session->filters == NULL)
		return;
	filter_release(session);
	filter_chain_free(session->filters);
	session->filters = NULL;
}

void filter_ready(struct session *session)
{
	struct filters *filters = session->filters;
	enum check_answer answer;

	if (filters == NULL || !filters->waits_for_credit)
		return;
	filters->waits_for_credit = false;
	answer = filter_body_give(filters);
	if (answer != CHECK_WAIT)
		checks_continue(session, answer);
}

/* --- rows --- */

/* The chain as the listener has it now; the name of the client is said first
 * of all. */
enum check_answer filter_connect(struct session *session)
{
	struct filters *filters = filter_chain_new(session);

	session->filters = filters;
	if (filters == NULL)
		return CHECK_PASS;
	if (!client_name_pending(session))
		return filter_chain_ask(filters, FILTER_CONNECT);
	filters->waits_for_name = true;
	return CHECK_WAIT;
}

void filter_name_known(struct session *session)
{
	struct filters *filters = session->filters;
	enum check_answer answer;

	if (filters == NULL || !filters->waits_for_name)
		return;
	filters->waits_for_name = false;
	answer = filter_chain_ask(filters, FILTER_CONNECT);
	if (answer != CHECK_WAIT)
		checks_continue(session, answer);
}

enum check_answer filter_hello(struct session *session)
{
	return session->filters == NULL ? CHECK_PASS :
	    filter_chain_ask(session->filters, FILTER_HELLO);
}

/* Filters name messages by our identifier from here on; without one there is
 * no content either. */
enum check_answer filter_mail(struct session *session)
{
	struct transaction *transaction = session->transaction;

	if (session->filters == NULL)
		return CHECK_PASS;
	if (transaction->id == 0)
		transaction->id = queue_client_next_id(
		    session->server->queue);
	return filter_chain_ask(session->filters, FILTER_MAIL);
}

enum check_answer filter_recipient(struct session *session)
{
	struct filters *filters = session->filters;

	return filters == NULL || filters->discards != NULL ? CHECK_PASS :
	    filter_chain_ask(filters, FILTER_RECIPIENT);
}

void filter_refused(struct session *session, const char *recipient,
    const char *enhanced, const char *text)
{
	struct filters *filters = session->filters;

	if (filters == NULL || filters->discards != NULL)
		return;
	if (filters->refused_by_one) {	/* some have heard of it already */
		filters->refused_by_one = false;
		return;
	}
	filters->refused_enhanced = enhanced;
	filters->refused_text = text;
	filter_chain_refused(filters, recipient);
	filters->refused_text = NULL;
}

enum check_answer filter_content(struct session *session)
{
	struct filters *filters = session->filters;
	enum check_answer answer;

	if (filters == NULL || (filters->discards == NULL &&
	    !filters->overflowed && filters->spool == NULL))
		return CHECK_PASS;
	answer = filter_message_begin(filters);
	return answer != CHECK_PASS ? answer :
	    filter_chain_ask(filters, FILTER_DATA);
}
