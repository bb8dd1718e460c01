/* SPDX-License-Identifier: ISC */
/*
 * What a filter changes in the envelope, in the order in which it says so. A
 * filter is the administrator's: whom it adds need not be somebody whom the
 * client might send to. Addresses of our own domains are asked of the directory
 * as those of RCPT are; others stand as they are.
 */
#include "smtpd/filter_internal.h"

#include <string.h>

#include "base/address.h"
#include "base/arena.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/utf8.h"
#include "conf/conf.h"
#include "policy/directory_client.h"
#include "queue/envelope.h"
#include "smtpd/filter.h"
#include "smtpd/parameter.h"
#include "smtpd/recipients.h"
#include "smtpd/refusal.h"
#include "smtpd/rules.h"
#include "smtpd/server.h"
#include "smtpd/session.h"
#include "smtpd/transaction.h"

/* --- who was named, and who gets it --- */

/* The one that waits. found: null, then target gets it. */
static void keep(struct filters *filters, const struct directory_found *found,
    const char *target)
{
	const struct transaction *transaction = filters->session->transaction;
	struct filter_recipient *recipient = mem_alloc(sizeof(*recipient));

	recipient->given = mem_dup_string(transaction->waiting_address);
	recipient->count = found == NULL ? 1 : found->count;
	recipient->targets = mem_alloc_array(recipient->count,
	    sizeof(recipient->targets[0]));
	for (size_t i = 0; i < recipient->count; i++)
		recipient->targets[i] = mem_dup_string(found == NULL ?
		    target : found->targets[i].address);
	TAILQ_INSERT_TAIL(&filters->recipients, recipient, link);
}

void filter_taken(struct session *session, const struct directory_found *found)
{
	if (session->filters != NULL)
		keep(session->filters, found,
		    session->transaction->waiting_target);
}

static void release(struct filter_recipient *recipient)
{
	for (size_t i = 0; i < recipient->count; i++)
		mem_free(recipient->targets[i]);
	mem_free(recipient->targets);
	mem_free(recipient->given);
	mem_free(recipient);
}

void filter_forget_recipients(struct filters *filters)
{
	struct filter_recipient *recipient;

	while ((recipient = TAILQ_FIRST(&filters->recipients)) != NULL) {
		TAILQ_REMOVE(&filters->recipients, recipient, link);
		release(recipient);
	}
}

bool filter_has_recipients(const struct filters *filters)
{
	const struct envelope *envelope =
	    filters->session->transaction->envelope;

	for (size_t i = 0; i < envelope->recipient_count; i++)
		if (!(envelope->recipients[i].flags & RECIPIENT_EXPANDED))
			return true;
	return false;
}

/* Whether it is there for another one that was named, too. */
static bool is_shared(const struct filters *filters, const char *target)
{
	const struct filter_recipient *recipient;

	TAILQ_FOREACH(recipient, &filters->recipients, link)
		for (size_t i = 0; i < recipient->count; i++)
			if (strcmp(recipient->targets[i], target) == 0)
				return true;
	return false;
}

/* Everybody who is there for its sake only. It is not in the list any more. */
static void remove_targets(struct filters *filters,
    const struct filter_recipient *recipient)
{
	for (size_t i = 0; i < recipient->count; i++)
		if (!is_shared(filters, recipient->targets[i]))
			recipients_remove(filters->session,
			    recipient->targets[i]);
	if (!is_shared(filters, recipient->given))
		recipients_remove(filters->session, recipient->given);
}

static struct filter_recipient *find_named(const struct filters *filters,
    const char *address)
{
	struct filter_recipient *recipient;

	TAILQ_FOREACH(recipient, &filters->recipients, link)
		if (strcmp(recipient->given, address) == 0)
			return recipient;
	return NULL;
}

/* However often it was named: with the last of them it goes. */
static bool remove_named(struct filters *filters, const char *address)
{
	struct filter_recipient *recipient;
	bool found = false;

	while ((recipient = find_named(filters, address)) != NULL) {
		TAILQ_REMOVE(&filters->recipients, recipient, link);
		remove_targets(filters, recipient);
		release(recipient);
		found = true;
	}
	return found;
}

/* --- one wish --- */

static void log_unfulfilled(const struct filters *filters,
    const struct milter_edit *edit, const char *reason)
{
	log_warn("milter-address", log_session(filters->session->id),
	    log_text("milter", filters->chain[filters->at].conf->name),
	    log_text("address", edit->name), log_text("ignored", reason));
}

/* In the form in which addresses are kept. -1: it is none. */
static int read_address(const struct filters *filters,
    const struct milter_edit *edit, char out[ADDRESS_MAX + 1])
{
	const struct envelope *envelope =
	    filters->session->transaction->envelope;
	struct address address;
	enum address_error error = address_parse(&address, edit->name);

	if (error != ADDRESS_OK) {
		log_unfulfilled(filters, edit, address_error_text(error));
		return -1;
	}
	address_format(&address, out, ADDRESS_MAX + 1);
	if (utf8_is_ascii(out) || envelope->flags & ENVELOPE_UTF8)
		return 0;
	log_unfulfilled(filters, edit, "it needs SMTPUTF8");
	return -1;
}

static void change_sender(struct filters *filters,
    const struct milter_edit *edit)
{
	struct session *session = filters->session;
	struct envelope *envelope = session->transaction->envelope;
	char text[ADDRESS_MAX + 1] = "";

	if (edit->name[0] != '\0' && read_address(filters, edit, text) < 0)
		return;
	if (!recipients_have_room(session)) {
		log_unfulfilled(filters, edit, "there is no room for it");
		return;
	}
	envelope->sender = arena_dup_string(session->arena, text);
	/* To the null sender nothing is ever returned, by nobody. */
	if (text[0] == '\0')
		envelope->forward_sender = NULL;
	session->transaction->revised = true;
}

static void remove_recipient(struct filters *filters,
    const struct milter_edit *edit)
{
	struct transaction *transaction = filters->session->transaction;
	char text[ADDRESS_MAX + 1];

	transaction->revised = true;
	/* "postmaster" alone is a name that RCPT takes. */
	if (remove_named(filters, edit->name))
		return;
	if (read_address(filters, edit, text) < 0 ||
	    remove_named(filters, text))
		return;
	recipients_remove(filters->session, text);
}

static void quarantine(struct filters *filters, const struct milter_edit *edit)
{
	struct session *session = filters->session;
	struct transaction *transaction = session->transaction;

	if (transaction->envelope->hold != NULL)
		return;		/* the first reason is the reason */
	transaction->envelope->hold = arena_print(session->arena,
	    "%.64s: %.800s", filters->chain[filters->at].conf->name,
	    edit->value == NULL || edit->value[0] == '\0' ? "quarantine" :
	    edit->value);
	transaction->revised = true;
	log_info("milter", log_session(session->id),
	    log_message(transaction->id),
	    log_text("milter", filters->chain[filters->at].conf->name),
	    log_text("action", "quarantine"), log_text("reason", edit->value));
}

/* --- a recipient more --- */

/* The arguments of the RCPT that would have been said. */
static void begin_recipient(struct filters *filters,
    const struct milter_edit *edit, const char *address)
{
	struct session *session = filters->session;
	struct transaction *transaction = session->transaction;
	bool utf8 = (transaction->envelope->flags & ENVELOPE_UTF8) != 0;
	struct recipient_parameters parameters;
	char *text;

	transaction->waiting_address = arena_dup_string(session->arena,
	    address);
	transaction->waiting_original = NULL;
	transaction->waiting_notify = 0;
	if (edit->value == NULL)
		return;
	text = arena_print(session->arena, "%s%s",
	    edit->value[0] == ' ' ? "" : " ", edit->value);
	if (parameters_of_recipient(&parameters, text, utf8) != NULL) {
		log_unfulfilled(filters, edit, "its parameters");
		return;
	}
	transaction->waiting_original = parameters.original;
	transaction->waiting_notify = parameters.notify;
}

static void end_recipient(struct filters *filters)
{
	struct transaction *transaction = filters->session->transaction;

	transaction->waiting_address = NULL;
	transaction->waiting_original = NULL;
	transaction->waiting_notify = 0;
	transaction->revised = true;
}

static void add_found(struct filters *filters,
    const struct directory_found *targets)
{
	const struct refusal *refusal = recipients_add_found(filters->session,
	    targets);

	if (refusal == NULL)
		keep(filters, targets, NULL);
	else
		log_unfulfilled(filters, filters->edit, refusal->text);
}

static void add_one(struct filters *filters, const char *target)
{
	recipients_add(filters->session, target);
	keep(filters, NULL, target);
}

static enum check_answer take_answer(struct filters *filters,
    enum directory_answer found, const struct directory_found *targets)
{
	struct session *session = filters->session;
	const char *postmaster;

	switch (found) {
	case DIRECTORY_FOUND:
		add_found(filters, targets);
		return CHECK_PASS;
	case DIRECTORY_NO_USER:
		postmaster = recipients_postmaster(session,
		    session->transaction->waiting_address);
		if (postmaster != NULL)
			add_one(filters, postmaster);
		else
			log_unfulfilled(filters, filters->edit,
			    "no such user");
		return CHECK_PASS;
	default:
		return checks_stop(session, MODE_ON, refusal_directory.code,
		    refusal_directory.enhanced, "%s", refusal_directory.text);
	}
}

static void on_directory(void *arg, enum directory_answer found,
    const struct directory_found *targets)
{
	struct filters *filters = arg;
	enum check_answer answer;

	filters->lookup = NULL;
	answer = take_answer(filters, found, targets);
	end_recipient(filters);
	if (answer == CHECK_PASS) {
		filters->edit = TAILQ_NEXT(filters->edit, link);
		answer = filter_edit_envelope(filters);
	}
	if (answer != CHECK_WAIT)
		filter_chain_continue(filters, answer);
}

static enum check_answer add_recipient(struct filters *filters,
    const struct milter_edit *edit)
{
	struct session *session = filters->session;
	char text[ADDRESS_MAX + 1];

	if (read_address(filters, edit, text) < 0)
		return CHECK_PASS;
	if (!recipients_have_room(session)) {
		log_unfulfilled(filters, edit, "there are too many already");
		return CHECK_PASS;
	}
	begin_recipient(filters, edit, text);
	if (conf_domain_find(session->rules->conf, strrchr(text, '@') + 1) !=
	    NULL) {
		filters->lookup = directory_check(session->server->directory,
		    text, session->transaction->envelope->sender,
		    on_directory, filters);
		return CHECK_WAIT;
	}
	add_one(filters, text);
	end_recipient(filters);
	return CHECK_PASS;
}

enum check_answer filter_edit_envelope(struct filters *filters)
{
	enum check_answer answer = CHECK_PASS;

	for (; filters->edit != NULL;
	    filters->edit = TAILQ_NEXT(filters->edit, link)) {
		switch (filters->edit->kind) {
		case MILTER_CHANGE_SENDER:
			change_sender(filters, filters->edit);
			break;
		case MILTER_ADD_RECIPIENT:
			answer = add_recipient(filters, filters->edit);
			break;
		case MILTER_REMOVE_RECIPIENT:
			remove_recipient(filters, filters->edit);
			break;
		case MILTER_QUARANTINE:
			quarantine(filters, filters->edit);
			break;
		default:	/* of the content */
			break;
		}
		if (answer != CHECK_PASS)
			return answer;
	}
	return CHECK_PASS;
}
