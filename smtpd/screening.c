/* SPDX-License-Identifier: ISC */
/*
 * What one session's tests hold, and what each of them waits for. A walk of
 * checks waits for one thing at a time; answers to other questions are kept
 * until their row comes.
 */
#include "smtpd/screening.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/loop.h"
#include "base/mem.h"
#include "base/net.h"
#include "base/stream.h"
#include "conf/conf.h"
#include "conf/listing.h"
#include "policy/client.h"
#include "queue/envelope.h"
#include "smtpd/client.h"
#include "smtpd/rules.h"
#include "smtpd/server.h"
#include "smtpd/session.h"
#include "smtpd/transaction.h"

enum { LISTS_MS = 10 * 1000, COMPLAINT_MS = 3600 * 1000,
    COMPLAINTS = 2 * CONF_LISTINGS_MAX };

enum awaited { AWAIT_NOTHING, AWAIT_DELAY, AWAIT_GOOD, AWAIT_BAD, AWAIT_NAME,
    AWAIT_GREYLIST };

/* One list and this client. */
struct question {
	struct screening	*screening;	/* outlives us */
	struct conf_listing	 listing;
	bool			 good;		/* of dnswl */
	struct policy_request	*request;	/* owned; null: answered */
	bool			 listed;
	bool			 refused;	/* the list does not answer us */
	char			 answer[ENDPOINT_TEXT_MAX];
};

struct screening {
	struct session		*session;
	enum awaited		 awaited;
	struct question		*questions;	/* owned; null: not any more */
	size_t			 count;
	struct timer		 lists;		/* their deadline */
	struct timer		 delay;		/* of the greeting */
	bool			 good;		/* it is in a dnswl */
	struct policy_request	*greylist;	/* owned */
};

/* --- lists that do not answer --- */

static struct {
	char	 zone[ADDRESS_DOMAIN_MAX + 1];
	int64_t	 when;
} complaints[COMPLAINTS];

/* Once an hour for each list; of very many the oldest is forgotten. */
static bool may_complain(const char *zone)
{
	int64_t now = clock_monotonic();
	size_t place = 0;

	for (size_t i = 0; i < COMPLAINTS; i++) {
		if (strcmp(complaints[i].zone, zone) == 0) {
			place = i;
			break;
		}
		if (complaints[i].when < complaints[place].when)
			place = i;
	}
	if (strcmp(complaints[place].zone, zone) == 0 &&
	    now - complaints[place].when < COMPLAINT_MS)
		return false;
	snprintf(complaints[place].zone, sizeof(complaints[place].zone), "%s",
	    zone);
	complaints[place].when = now;
	return true;
}

static void complain(const struct question *question, const char *event,
    const char *answer)
{
	if (may_complain(question->listing.zone))
		log_warn(event, log_text("list", question->listing.zone),
		    log_text("answer", answer));
}

/* --- lists --- */

static struct screening *screening_of(struct session *session)
{
	if (session->screening == NULL) {
		session->screening = mem_alloc(sizeof(struct screening));
		session->screening->session = session;
	}
	return session->screening;
}

/* Who is tested before the greeting. */
static bool is_stranger(const struct session *session)
{
	return session->listener->service == SERVICE_SMTP &&
	    session->address.length > 0 && checks_concern(session);
}

static const char *kind_name(bool good)
{
	return good ? "dnswl" : "dnsbl";
}

static void forget_questions(struct screening *screening)
{
	timer_stop(&screening->lists);
	for (size_t i = 0; i < screening->count; i++)
		if (screening->questions[i].request != NULL)
			policy_cancel(screening->questions[i].request);
	mem_free(screening->questions);
	screening->questions = NULL;
	screening->count = 0;
}

/* Is an answer still due that could change something? */
static bool is_open(const struct screening *screening, bool good)
{
	bool open = false;

	for (size_t i = 0; i < screening->count; i++) {
		const struct question *question = &screening->questions[i];

		if (question->good != good)
			continue;
		if (question->listed)
			return false;
		open = open || question->request != NULL;
	}
	return open;
}

static const struct question *find_listed(const struct screening *screening,
    bool good)
{
	for (size_t i = 0; i < screening->count; i++)
		if (screening->questions[i].good == good &&
		    screening->questions[i].listed)
			return &screening->questions[i];
	return NULL;
}

static enum check_answer judge_good(struct session *session)
{
	struct screening *screening = session->screening;
	const struct question *listed = find_listed(screening, true);

	if (listed == NULL)
		return CHECK_PASS;
	screening->good = true;
	checks_note(session, "dnswl", "listed", "%s %s",
	    listed->listing.zone, listed->answer);
	return CHECK_PASS;
}

/* Nothing more is asked for behind this row. */
static enum check_answer judge_bad(struct session *session)
{
	struct screening *screening = session->screening;
	enum conf_mode mode = session->rules->conf->dnsbl_mode;
	const struct question *listed = find_listed(screening, false);
	enum check_answer answer = CHECK_PASS;
	char address[ENDPOINT_TEXT_MAX];

	endpoint_format(&session->address, address, sizeof(address));
	if (listed != NULL)
		answer = checks_close(session, mode, 554, "5.7.1",
		    "%s is listed in %.120s (%s)", address,
		    listed->listing.zone, listed->answer);
	forget_questions(screening);
	return answer;
}

/* Something has been answered, or never will be. */
static void on_progress(struct screening *screening)
{
	struct session *session = screening->session;
	enum awaited awaited = screening->awaited;
	bool good = awaited == AWAIT_GOOD;

	if ((awaited != AWAIT_GOOD && awaited != AWAIT_BAD) ||
	    is_open(screening, good))
		return;
	screening->awaited = AWAIT_NOTHING;
	checks_continue(session, good ? judge_good(session) :
	    judge_bad(session));
}

static void take_answers(struct question *question,
    const struct endpoint *answers, size_t count)
{
	char text[ENDPOINT_TEXT_MAX];

	for (size_t i = 0; i < count && !question->listed; i++) {
		endpoint_format(&answers[i], text, sizeof(text));
		switch (conf_listing_judge(&question->listing, &answers[i])) {
		case LISTING_LISTED:
			question->listed = true;
			memcpy(question->answer, text, sizeof(text));
			break;
		case LISTING_REFUSED:
			complain(question, "list-refuses", text);
			question->refused = true;
			return;
		case LISTING_OTHER:
		default:
			break;
		}
	}
}

static void on_listed(void *arg, bool failed, const struct endpoint *answers,
    size_t count)
{
	struct question *question = arg;
	struct screening *screening = question->screening;
	struct session *session = screening->session;

	question->request = NULL;
	if (failed)
		complain(question, "list-failed", NULL);
	else
		take_answers(question, answers, count);
	checks_note(session, kind_name(question->good),
	    failed ? "failed" : question->refused ? "refuses" :
	    question->listed ? "listed" : "not-listed",
	    "%s %s", question->listing.zone, question->answer);
	if (session->state != SESSION_CLOSED)
		on_progress(screening);
}

static void on_lists_late(void *arg)
{
	struct screening *screening = arg;
	struct session *session = screening->session;

	for (size_t i = 0; i < screening->count; i++) {
		struct question *question = &screening->questions[i];

		if (question->request == NULL)
			continue;
		policy_cancel(question->request);
		question->request = NULL;
		complain(question, "list-failed", NULL);
		checks_note(session, kind_name(question->good), "failed",
		    "%s no answer in time", question->listing.zone);
		if (session->state == SESSION_CLOSED)
			return;
	}
	on_progress(screening);
}

static void ask(struct screening *screening, const struct conf_texts *lists,
    bool good)
{
	struct session *session = screening->session;

	for (size_t i = 0; i < lists->count; i++) {
		struct question *question =
		    &screening->questions[screening->count];

		if (!conf_listing_read(&question->listing, lists->items[i]))
			continue;
		screening->count++;
		question->screening = screening;
		question->good = good;
		question->request = policy_listed(session->server->policy,
		    &session->address, question->listing.zone, on_listed,
		    question);
	}
}

static void ask_lists(struct session *session)
{
	const struct conf *conf = session->rules->conf;
	bool bad = conf->dnsbl_mode != MODE_OFF;
	size_t count = conf->dnswl.count + (bad ? conf->dnsbl.count : 0);
	struct screening *screening;

	if (count == 0)
		return;
	screening = screening_of(session);
	screening->questions = mem_alloc_array(count,
	    sizeof(*screening->questions));
	ask(screening, &conf->dnswl, true);
	if (bad)
		ask(screening, &conf->dnsbl, false);
	timer_start(&screening->lists, LISTS_MS, on_lists_late, screening);
}

/* Waits until a list of the kind has answered for all, or all have. */
static enum check_answer lists_row(struct session *session, bool good,
    enum check_answer (*judge)(struct session *session))
{
	struct screening *screening = session->screening;

	if (screening == NULL || screening->questions == NULL)
		return CHECK_PASS;
	if (!is_open(screening, good))
		return judge(session);
	screening->awaited = good ? AWAIT_GOOD : AWAIT_BAD;
	return CHECK_WAIT;
}

enum check_answer screening_good_lists(struct session *session)
{
	return lists_row(session, true, judge_good);
}

enum check_answer screening_bad_lists(struct session *session)
{
	if (session->screening != NULL && session->screening->good) {
		forget_questions(session->screening);
		return CHECK_PASS;
	}
	return lists_row(session, false, judge_bad);
}

/* --- the greeting --- */

static void on_delay_over(void *arg)
{
	struct screening *screening = arg;

	screening->awaited = AWAIT_NOTHING;
	checks_continue(screening->session, CHECK_PASS);
}

/* Not for one that has talked already, and for nobody when the time would cost
 * room that others need. */
enum check_answer screening_delay(struct session *session)
{
	int64_t seconds = session->rules->conf->greeting_delay;
	struct screening *screening;

	if (!is_stranger(session))
		return CHECK_PASS;
	ask_lists(session);
	if (seconds == 0 || session->early || session->trial ||
	    server_is_crowded(session->server))
		return CHECK_PASS;
	screening = screening_of(session);
	screening->awaited = AWAIT_DELAY;
	timer_start(&screening->delay, seconds * 1000, on_delay_over,
	    screening);
	return CHECK_WAIT;
}

void screening_heard(struct session *session)
{
	struct screening *screening = session->screening;

	if (screening == NULL || screening->awaited != AWAIT_DELAY)
		return;
	session->early = true;
	timer_stop(&screening->delay);
	on_delay_over(screening);
}

/* SMTP-8 */
enum check_answer screening_early(struct session *session)
{
	const struct conf *conf = session->rules->conf;

	if (!session->early || conf->early_talker == MODE_OFF ||
	    conf_networks_contain(&conf->allow_from, &session->address))
		return CHECK_PASS;
	return checks_close(session, conf->early_talker, refusal_early.code,
	    refusal_early.enhanced, "%s", refusal_early.text);
}

/* --- the reverse name --- */

static enum check_answer judge_name(struct session *session)
{
	enum conf_mode mode = session->rules->conf->reverse_name;
	char address[ENDPOINT_TEXT_MAX];

	endpoint_format(&session->address, address, sizeof(address));
	switch (client_name_state(session)) {
	case CLIENT_NAME_NONE:
		return checks_close(session, mode, 550, "5.7.25",
		    "%s has no name that leads back to it", address);
	case CLIENT_NAME_FAILED:
		return checks_close(session, mode, 421, "4.7.25",
		    "the name of %s cannot be looked up now", address);
	default:
		return CHECK_PASS;
	}
}

enum check_answer screening_reverse(struct session *session)
{
	if (session->rules->conf->reverse_name == MODE_OFF ||
	    !is_stranger(session) ||
	    (session->screening != NULL && session->screening->good))
		return CHECK_PASS;
	if (!client_name_pending(session))
		return judge_name(session);
	screening_of(session)->awaited = AWAIT_NAME;
	return CHECK_WAIT;
}

void screening_name_known(struct session *session)
{
	struct screening *screening = session->screening;

	if (screening == NULL || screening->awaited != AWAIT_NAME)
		return;
	screening->awaited = AWAIT_NOTHING;
	checks_continue(session, judge_name(session));
}

/* --- greylisting --- */

static void on_greylist(void *arg, int64_t wait)
{
	struct screening *screening = arg;
	struct session *session = screening->session;
	enum check_answer answer = CHECK_PASS;

	screening->greylist = NULL;
	screening->awaited = AWAIT_NOTHING;
	if (wait > 0)
		answer = checks_stop(session,
		    session->rules->conf->greylist, 451, "4.7.1",
		    "greylisted, come again in %" PRId64 " seconds", wait);
	checks_continue(session, answer);
}

/* The null sender is no exception, or it would be everybody's who does not
 * come again. */
enum check_answer screening_greylist(struct session *session)
{
	struct transaction *transaction = session->transaction;
	struct policy_greylist_question question = {
		.client = &session->address,
		.sender = transaction->envelope->sender,
		.recipient = transaction->waiting_address,
		.look_only = session->trial,
	};
	struct screening *screening;

	if (session->rules->conf->greylist == MODE_OFF ||
	    session->address.length == 0 || !checks_concern(session) ||
	    (session->screening != NULL && session->screening->good))
		return CHECK_PASS;
	screening = screening_of(session);
	screening->awaited = AWAIT_GREYLIST;
	screening->greylist = policy_greylist(session->server->policy,
	    &question, on_greylist, screening);
	return CHECK_WAIT;
}

void screening_free(struct session *session)
{
	struct screening *screening = session->screening;

	if (screening == NULL)
		return;
	forget_questions(screening);
	timer_stop(&screening->delay);
	if (screening->greylist != NULL)
		policy_cancel(screening->greylist);
	mem_free(screening);
	session->screening = NULL;
}
