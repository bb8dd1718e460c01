/* SPDX-License-Identifier: ISC */
/*
 * Asking one filter after the other. One that has failed is left alone until
 * the next message, for which a connection is made anew and told first what it
 * missed: who the client is and what it calls itself.
 */
#include "smtpd/filter_internal.h"

#include <inttypes.h>
#include <stdio.h>

#include "base/log.h"
#include "base/mem.h"
#include "conf/conf.h"
#include "queue/envelope.h"
#include "smtpd/client.h"
#include "smtpd/rules.h"
#include "smtpd/session.h"
#include "smtpd/transaction.h"

/* Parameters of a command, made again from what they meant. */
enum { PARAMETERS_MAX = 6, PARAMETER_TEXT_MAX = 600 };

struct parameters {
	const char	*items[PARAMETERS_MAX + 1];	/* null ends them */
	char		 text[2][PARAMETER_TEXT_MAX];
};

static const struct conf_texts *names_of(const struct session *session)
{
	return session->reception->is_local ?
	    &session->rules->conf->milter_chain :
	    &session->listener->milters;
}

/* --- questions --- */

static void ask_client(struct filter *filter)
{
	const struct session *session = filter->filters->session;
	bool is_local = session->uid >= 0;

	milter_connected(filter->milter, is_local ? "localhost" :
	    client_name(session), is_local ? NULL : &session->address);
}

static void ask_sender(struct filter *filter)
{
	const struct transaction *transaction =
	    filter->filters->session->transaction;
	const struct envelope *envelope = transaction->envelope;
	struct parameters parameters;
	const char **item = parameters.items;

	if (transaction->declared > 0) {
		snprintf(parameters.text[0], PARAMETER_TEXT_MAX,
		    "SIZE=%" PRIu64, transaction->declared);
		*item++ = parameters.text[0];
	}
	if (envelope->flags & ENVELOPE_8BIT)
		*item++ = "BODY=8BITMIME";
	if (envelope->flags & ENVELOPE_UTF8)
		*item++ = "SMTPUTF8";
	if (envelope->flags & ENVELOPE_REQUIRETLS)
		*item++ = "REQUIRETLS";
	if (envelope->flags & (ENVELOPE_RET_FULL | ENVELOPE_RET_HEADERS))
		*item++ = envelope->flags & ENVELOPE_RET_FULL ? "RET=FULL" :
		    "RET=HDRS";
	if (envelope->envid != NULL) {
		snprintf(parameters.text[1], PARAMETER_TEXT_MAX, "ENVID=%s",
		    envelope->envid);
		*item++ = parameters.text[1];
	}
	*item = NULL;
	milter_mail(filter->milter, envelope->sender, parameters.items);
}

static const char *notify_text(unsigned notify)
{
	static const char *const texts[] = {
		[NOTIFY_NEVER] = "NOTIFY=NEVER",
		[NOTIFY_SUCCESS] = "NOTIFY=SUCCESS",
		[NOTIFY_FAILURE] = "NOTIFY=FAILURE",
		[NOTIFY_DELAY] = "NOTIFY=DELAY",
		[NOTIFY_SUCCESS | NOTIFY_FAILURE] = "NOTIFY=SUCCESS,FAILURE",
		[NOTIFY_SUCCESS | NOTIFY_DELAY] = "NOTIFY=SUCCESS,DELAY",
		[NOTIFY_FAILURE | NOTIFY_DELAY] = "NOTIFY=FAILURE,DELAY",
		[NOTIFY_SUCCESS | NOTIFY_FAILURE | NOTIFY_DELAY] =
		    "NOTIFY=SUCCESS,FAILURE,DELAY",
	};

	return notify < sizeof(texts) / sizeof(texts[0]) ? texts[notify] :
	    NULL;
}

static void list_recipient_parameters(const struct transaction *transaction,
    struct parameters *parameters)
{
	const char *notify = notify_text(transaction->waiting_notify);
	const char **item = parameters->items;

	if (notify != NULL)
		*item++ = notify;
	if (transaction->waiting_original != NULL) {
		snprintf(parameters->text[0], PARAMETER_TEXT_MAX, "ORCPT=%s",
		    transaction->waiting_original);
		*item++ = parameters->text[0];
	}
	*item = NULL;
}

static void ask_recipient(struct filter *filter)
{
	const struct transaction *transaction =
	    filter->filters->session->transaction;
	struct parameters parameters;

	list_recipient_parameters(transaction, &parameters);
	milter_recipient(filter->milter, transaction->waiting_address,
	    parameters.items);
}

/* What has to be asked first. */
static enum filter_stage next_stage(const struct filter *filter)
{
	enum filter_stage stage = filter->filters->stage;

	if (!filter->knows_client)
		return FILTER_CONNECT;
	if (!filter->knows_hello && stage > FILTER_HELLO)
		return FILTER_HELLO;
	return stage;
}

static void pose(struct filter *filter)
{
	struct filters *filters = filter->filters;

	filter->asked = next_stage(filter);
	/* Each has its own time for its answer. */
	session_enter(filters->session, filters->session->state);
	switch (filter->asked) {
	case FILTER_CONNECT:
		ask_client(filter);
		break;
	case FILTER_HELLO:
		milter_hello(filter->milter, filters->session->hello);
		break;
	case FILTER_MAIL:
		ask_sender(filter);
		break;
	case FILTER_RECIPIENT:
		ask_recipient(filter);
		break;
	case FILTER_DATA:
		milter_data(filter->milter);
		break;
	case FILTER_CONTENT:
		milter_content(filter->milter, &filters->content);
		break;
	default:
		bug("filter-stage");
	}
}

/* --- answers --- */

static enum check_answer advance(struct filters *filters);

/* All of the chain have agreed to this stage. */
static enum check_answer end_stage(struct filters *filters)
{
	switch (filters->stage) {
	case FILTER_DATA:
		return filter_chain_ask(filters, FILTER_CONTENT);
	case FILTER_CONTENT:
		return filter_message_end(filters);
	default:
		return CHECK_PASS;
	}
}

void filter_chain_continue(struct filters *filters, enum check_answer answer)
{
	if (answer == CHECK_PASS) {
		filters->at++;
		answer = advance(filters);
	}
	if (answer != CHECK_WAIT)
		checks_continue(filters->session, answer);
}

static void on_answer(void *arg, const struct milter_answer *answer)
{
	struct filter *filter = arg;
	bool agreed = answer->action == MILTER_CONTINUE ||
	    answer->action == MILTER_ACCEPT;
	enum check_answer result;

	if (filter->asked == FILTER_CONNECT)
		filter->knows_client = true;
	else if (filter->asked == FILTER_HELLO)
		filter->knows_hello = true;
	if (agreed && filter->asked != filter->filters->stage) {
		pose(filter);
		return;
	}
	result = filter_judge(filter, answer);
	if (result != CHECK_WAIT)
		filter_chain_continue(filter->filters, result);
}

/* --- the chain --- */

/* A connection of its own for each session; made when it is first asked. */
static void make_milter(struct filter *filter)
{
	const struct session *session = filter->filters->session;
	const struct conf_milter *conf = filter->conf;
	struct milter_settings settings = {
		.name = conf->name, .session = session->id,
		.socket = conf->socket, .host = conf->host,
		.port = (uint16_t)conf->port,
		.connect_ms = conf->connect_timeout * 1000,
		.reply_ms = conf->reply_timeout * 1000,
		.message_ms = conf->message_timeout * 1000,
		.replace_max = (size_t)session->rules->conf->max_message_size,
	};

	milter_free(filter->milter);
	filter->milter = milter_new(&settings, filter_macro, on_answer,
	    filter);
	filter->knows_client = false;
	filter->knows_hello = false;
}

/* It has failed, and there is no message that would have to suffer for it; or
 * this one goes on without it. */
static bool is_left_alone(const struct filter *filter)
{
	return filter->skipped || (milter_has_failed(filter->milter) &&
	    filter->filters->stage < FILTER_MAIL);
}

static enum check_answer advance(struct filters *filters)
{
	for (; filters->at < filters->count; filters->at++) {
		struct filter *filter = &filters->chain[filters->at];

		if (filters->stage == FILTER_MAIL &&
		    milter_has_failed(filter->milter))
			make_milter(filter);
		if (is_left_alone(filter))
			continue;
		pose(filter);
		return CHECK_WAIT;
	}
	return end_stage(filters);
}

enum check_answer filter_chain_ask(struct filters *filters,
    enum filter_stage stage)
{
	filters->stage = stage;
	filters->at = 0;
	return advance(filters);
}

void filter_chain_abort(struct filters *filters)
{
	for (size_t i = 0; i < filters->count; i++) {
		milter_abort(filters->chain[i].milter);
		filters->chain[i].skipped = false;
	}
}

void filter_chain_refused(struct filters *filters, const char *recipient)
{
	struct parameters parameters;

	list_recipient_parameters(filters->session->transaction, &parameters);
	for (size_t i = 0; i < filters->count; i++)
		if (!filters->chain[i].skipped)
			milter_refused(filters->chain[i].milter, recipient,
			    parameters.items);
}

struct filters *filter_chain_new(struct session *session)
{
	const struct conf *conf = session->rules->conf;
	const struct conf_texts *names = names_of(session);
	struct filters *filters;

	if (names->count == 0)
		return NULL;
	filters = mem_alloc(sizeof(*filters));
	filters->session = session;
	TAILQ_INIT(&filters->recipients);
	filters->chain = mem_alloc_array(names->count,
	    sizeof(filters->chain[0]));
	for (size_t i = 0; i < names->count; i++) {
		struct filter *filter = &filters->chain[filters->count];

		filter->conf = conf_milter_find(conf, names->items[i]);
		if (filter->conf == NULL)
			bug("filter-name");	/* conf/check_filter.c */
		filter->filters = filters;
		make_milter(filter);
		filters->count++;
	}
	return filters;
}

void filter_chain_free(struct filters *filters)
{
	for (size_t i = 0; i < filters->count; i++)
		milter_free(filters->chain[i].milter);
	mem_free(filters->chain);
	mem_free(filters);
}
