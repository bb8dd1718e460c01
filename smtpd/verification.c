/* SPDX-License-Identifier: ISC */
/*
 * Results come in any order: SPF while recipients are named, keys while the
 * body passes. CONTENT waits for all of them, then asks for DMARC:
 *
 *	NEW --MAIL--> SENDER --content--> HEADER --whole--> PROOFS --> DMARC
 *
 * SPF is enforced for each recipient by its own domain; DMARC, which comes when
 * recipients cannot be told apart any more, only where all of them enforce it.
 */
#include "smtpd/verification.h"

#include <string.h>

#include "authentic/dkim_verify.h"
#include "authentic/dmarc.h"
#include "authentic/fields.h"
#include "authentic/results.h"
#include "base/arena.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "conf/conf.h"
#include "policy/client.h"
#include "queue/envelope.h"
#include "smtpd/client.h"
#include "smtpd/edits.h"
#include "smtpd/rules.h"
#include "smtpd/server.h"
#include "smtpd/session.h"
#include "smtpd/transaction.h"

enum { RESULTS_MAX = 8192 };

struct key_lookup {
	struct verification	*verification;
	struct policy_request	*request;	/* owned; null: answered */
	size_t			 index;
};

struct verification {
	struct session		*session;	/* outlives us */
	bool			 waited_for;	/* by a check */

	/* what the domains of those who were taken make of DMARC, and that of
	 * the RCPT under way */
	bool			 any_recipient;
	bool			 all_enforce;
	bool			 named_enforces;

	struct policy_request	*spf_request;	/* owned */
	bool			 spf_done;
	enum proof		 spf;
	bool			 spf_of_hello;
	const char		*spf_domain;	/* in the session's arena */
	enum proof		 mail_from;	/* as DMARC wants it */
	const char		*mail_from_domain;
	const char		*spf_reason;

	struct dkim_verifier	*dkim;		/* owned; null: not wanted */
	struct key_lookup	 keys[DKIM_SIGNATURES_MAX];
	unsigned		 keys_missing;
	bool			 dkim_done;

	struct policy_request	*dmarc_request;	/* owned */
	bool			 dmarc_done;
	enum proof		 dmarc;
	enum dmarc_wish		 dmarc_wish;
	bool			 dmarc_record;
	const char		*author;	/* From's domain; null */
};

/* Mail from outside; clients in allow-from are not tested, but what claims to
 * be ours is taken out of their mail, too (AUTHN-34). */
static bool is_stranger(const struct session *session)
{
	return session->uid < 0 && !session_speaks_lmtp(session) &&
	    !session_is_known(session);
}

static enum conf_verify of_domain(enum conf_verify top, enum conf_verify own)
{
	return own == VERIFY_BY_TOP ? top : own;
}

static struct verification *verification_of(struct session *session)
{
	struct transaction *transaction = session->transaction;
	struct verification *verification = transaction->verification;

	if (verification == NULL) {
		verification = mem_alloc(sizeof(*verification));
		verification->session = session;
		verification->all_enforce = true;
		transaction->verification = verification;
	}
	return verification;
}

/* A check waits for what has just come. */
static void wake(struct verification *verification,
    enum check_answer (*run)(struct session *session))
{
	struct session *session = verification->session;
	enum check_answer answer;

	if (!verification->waited_for)
		return;
	verification->waited_for = false;
	answer = run(session);
	if (answer != CHECK_WAIT)
		checks_continue(session, answer);
}

static enum check_answer wait_for(struct verification *verification)
{
	verification->waited_for = true;
	return CHECK_WAIT;
}

/* --- SPF --- */

static void on_spf(void *arg, const struct policy_spf_answer *spf)
{
	struct verification *verification = arg;
	struct session *session = verification->session;

	verification->spf_request = NULL;
	verification->spf_done = true;
	verification->spf = spf->proof;
	verification->spf_of_hello = spf->of_hello;
	verification->mail_from = spf->mail_from;
	verification->mail_from_domain = arena_dup_string(session->arena,
	    spf->mail_from_domain);
	verification->spf_domain = arena_dup_string(session->arena,
	    spf->domain);
	/* RFC 7208 6.2: whose words they are. */
	verification->spf_reason = arena_print(session->arena, "%s%s",
	    spf->explanation[0] != '\0' ? "it explains: " : "",
	    spf->explanation[0] != '\0' ? spf->explanation : spf->mechanism);
	checks_note(session, "spf", proof_name(spf->proof), "%s %s: %s",
	    spf->of_hello ? "HELO" : "MAIL FROM", spf->domain,
	    spf->mechanism);
	wake(verification, session->check_point == CHECK_CONTENT ?
	    verification_content : verification_recipient);
}

enum check_answer verification_mail(struct session *session)
{
	const struct conf *conf = session->rules->conf;
	const struct policy_spf_question question = {
		.client = &session->address, .hello = session->hello,
		.sender = session->transaction->envelope->sender,
		.receiver = conf->hostname };
	struct verification *verification;

	if (!session->rules->wants_spf || !checks_concern(session))
		return CHECK_PASS;
	verification = verification_of(session);
	verification->spf_request = policy_spf(session->server->policy,
	    &question, on_spf, verification);
	return CHECK_PASS;
}

/* The domain of the recipient that was named; null: "postmaster" alone is of
 * none, and what holds at the top holds for it. */
static const struct conf_domain *named_domain(const struct session *session)
{
	const char *at = strrchr(session->transaction->waiting_address, '@');

	return at == NULL ? NULL :
	    conf_domain_find(session->rules->conf, at + 1);
}

static enum check_answer judge_spf(struct session *session,
    const struct verification *verification)
{
	if (verification->spf == PROOF_FAIL)
		return checks_stop(session, MODE_ON, 550, "5.7.23",
		    "SPF: %s does not let this address send its mail (%s)",
		    verification->spf_domain, verification->spf_reason);
	if (verification->spf == PROOF_TEMPERROR)	/* RFC 7208 8.6 */
		return checks_stop(session, MODE_ON, 451, "4.4.3",
		    "SPF: the record of %s cannot be had now",
		    verification->spf_domain);
	return CHECK_PASS;
}

enum check_answer verification_recipient(struct session *session)
{
	const struct conf *conf = session->rules->conf;
	struct verification *verification =
	    session->transaction->verification;
	const struct conf_domain *domain;
	enum check_answer answer = CHECK_PASS;

	if (verification == NULL)
		return CHECK_PASS;
	domain = named_domain(session);
	if (of_domain(conf->spf, domain == NULL ? VERIFY_BY_TOP :
	    domain->spf) == VERIFY_ENFORCE) {
		if (!verification->spf_done)
			return wait_for(verification);
		answer = judge_spf(session, verification);
	}
	verification->named_enforces = of_domain(conf->dmarc, domain == NULL ?
	    VERIFY_BY_TOP : domain->dmarc) == VERIFY_ENFORCE;
	return answer;
}

/* Not before: who is refused by another check says nothing about the rest. */
void verification_accepted(struct session *session)
{
	struct verification *verification =
	    session->transaction->verification;

	if (verification == NULL)
		return;
	verification->any_recipient = true;
	verification->all_enforce &= verification->named_enforces;
}

/* --- DKIM --- */

static void on_key(void *arg, enum dkim_key_answer answer, const char *text)
{
	struct key_lookup *key = arg;
	struct verification *verification = key->verification;

	key->request = NULL;
	verification->keys_missing--;
	dkim_verifier_key(verification->dkim, key->index, answer, text);
	if (verification->keys_missing == 0)
		wake(verification, verification_content);
}

bool verification_begin(struct session *session)
{
	return is_stranger(session);
}

void verification_header(struct session *session)
{
	struct transaction *transaction = session->transaction;
	struct verification *verification;
	const char *name;

	if (!session->rules->wants_dkim || !checks_concern(session))
		return;
	/* It was one of ours at MAIL, and its right was taken away since: what
	 * SPF would have said is not known. */
	if (transaction->verification == NULL && session->rules->wants_spf)
		return;
	verification = verification_of(session);
	verification->dkim = dkim_verifier_new(transaction->fields,
	    clock_wall());
	for (size_t i = 0; i < dkim_verifier_count(verification->dkim); i++) {
		struct key_lookup *key = &verification->keys[i];

		name = dkim_verifier_query(verification->dkim, i);
		if (name == NULL)
			continue;
		key->verification = verification;
		key->index = i;
		key->request = policy_text(session->server->policy, name,
		    on_key, key);
		verification->keys_missing++;
	}
}

void verification_body(struct session *session, const char *data,
    size_t length)
{
	struct verification *verification =
	    session->transaction->verification;

	if (verification != NULL && verification->dkim != NULL)
		dkim_verifier_body(verification->dkim, data, length);
}

static size_t dkim_count(const struct verification *verification)
{
	return verification->dkim == NULL ? 0 :
	    dkim_verifier_count(verification->dkim);
}

static void finish_dkim(struct verification *verification)
{
	if (verification->dkim == NULL || verification->dkim_done)
		return;
	verification->dkim_done = true;
	dkim_verifier_finish(verification->dkim);
	for (size_t i = 0; i < dkim_count(verification); i++) {
		const struct dkim_result *result =
		    dkim_verifier_result(verification->dkim, i);

		checks_note(verification->session, "dkim",
		    proof_name(result->proof), "%s %s %s: %s",
		    result->domain, result->selector, result->algorithm,
		    result->reason);
	}
	if (dkim_count(verification) == 0)
		checks_note(verification->session, "dkim", "none",
		    "no signature");
}

/* --- DMARC --- */

static void on_dmarc(void *arg, const struct dmarc_step *dmarc)
{
	struct verification *verification = arg;

	verification->dmarc_request = NULL;
	verification->dmarc_done = true;
	verification->dmarc = dmarc->proof;
	verification->dmarc_wish = dmarc->wish;
	verification->dmarc_record = dmarc->has_record;
	if (dmarc->has_record)
		checks_note(verification->session, "dmarc",
		    proof_name(dmarc->proof), "%s, whose record at %s asks "
		    "for %s: %s", verification->author, dmarc->record_domain,
		    dmarc_wish_name(dmarc->wish), dmarc->reason);
	else
		checks_note(verification->session, "dmarc",
		    proof_name(dmarc->proof), "%s: %s", verification->author,
		    dmarc->reason);
	wake(verification, verification_content);
}

static void ask_dmarc(struct verification *verification)
{
	struct session *session = verification->session;
	const char *domains[DKIM_SIGNATURES_MAX];
	struct dmarc_question question = {
		.author = verification->author,
		.spf_pass = verification->mail_from == PROOF_PASS,
		.spf_domain = verification->mail_from_domain,
		.dkim_domains = domains,
		.temporary = verification->mail_from == PROOF_TEMPERROR };

	for (size_t i = 0; i < dkim_count(verification); i++) {
		const struct dkim_result *result =
		    dkim_verifier_result(verification->dkim, i);

		if (result->proof == PROOF_PASS)
			domains[question.dkim_count++] = result->domain;
		if (result->proof == PROOF_TEMPERROR)
			question.temporary = true;
	}
	verification->dmarc_request = policy_dmarc(session->server->policy,
	    &question, on_dmarc, verification);
}

/* Whether DMARC has still to be asked. */
static bool needs_dmarc(struct verification *verification)
{
	struct session *session = verification->session;

	if (verification->dmarc_done || !session->rules->wants_dmarc)
		return false;
	verification->author = dmarc_author_domain(
	    session->transaction->fields, session->arena);
	if (verification->author != NULL)
		return true;
	checks_note(session, "dmarc", "none",
	    "there is no single domain in From");
	return false;
}

static const char *dkim_word(const struct verification *verification)
{
	const struct dkim_result *first = NULL;

	if (!verification->dkim_done)
		return NULL;
	for (size_t i = 0; i < dkim_count(verification); i++) {
		const struct dkim_result *one =
		    dkim_verifier_result(verification->dkim, i);

		if (first == NULL || one->proof == PROOF_PASS)
			first = one;
		if (one->proof == PROOF_PASS)
			break;
	}
	return proof_name(first == NULL ? PROOF_NONE : first->proof);
}

void verification_tell(const struct session *session,
    struct verification_words *words)
{
	const struct verification *verification =
	    session->transaction->verification;

	memset(words, 0, sizeof(*words));
	if (verification == NULL)
		return;
	if (verification->spf_done)
		words->spf = proof_name(verification->spf);
	words->dkim = dkim_word(verification);
	if (verification->dmarc_done)
		words->dmarc = proof_name(verification->dmarc);
}

static enum check_answer judge_dmarc(struct session *session,
    const struct verification *verification)
{
	if (!verification->any_recipient || !verification->all_enforce ||
	    !session->rules->wants_dmarc)
		return CHECK_PASS;
	/* RFC 7489 6.6.1: what cannot be looked at must not pass by it. */
	if (verification->author == NULL)
		return checks_stop(session, MODE_ON, 550, "5.7.1",
		    "DMARC: From must name one author domain");
	if (verification->dmarc == PROOF_FAIL &&
	    verification->dmarc_wish == DMARC_WISH_REJECT)
		return checks_stop(session, MODE_ON, 550, "5.7.1",
		    "DMARC: the policy of %s asks to refuse this message "
		    "(SPF %s, DKIM %s; neither for that domain)",
		    verification->author, proof_name(verification->spf),
		    verification->dkim_done ? dkim_word(verification) :
		    "none");
	/* AUTHN-75: where nobody asks to refuse anything, nothing is held up. */
	if (verification->dmarc == PROOF_TEMPERROR &&
	    (!verification->dmarc_record ||
	    verification->dmarc_wish == DMARC_WISH_REJECT))
		return checks_stop(session, MODE_ON, 451, "4.7.5",
		    "DMARC: who sends for %s cannot be found out now",
		    verification->author);
	return CHECK_PASS;
}

/* --- the field --- */

/* AUTHN-34: also where nothing is verified, for who reads the mail may trust
 * the name. */
static bool cut_forged(struct session *session)
{
	const struct fields *fields = session->transaction->fields;
	const char *name = session->rules->conf->authentication_name;
	size_t count = 0;

	/* From below: what is cut moves what stands behind it. */
	for (size_t i = fields->count; i-- > 0;) {
		const struct field *field = &fields->items[i];

		if (!results_field_is_ours(field, name))
			continue;
		if (edits_cut(edits_of(session), field->offset,
		    field->length) < 0)
			return false;
		count++;
	}
	if (count > 0)
		checks_note(session, "results", "cut",
		    "%zu from outside that could claim to be ours", count);
	return true;
}

static const char *policy_word(const struct verification *verification)
{
	return verification->dmarc_record ?
	    dmarc_wish_name(verification->dmarc_wish) : "";
}

/* Has the DNS led from the address to a name and back? Addresses of this
 * machine are not asked about. */
static bool has_proved_name(const struct session *session)
{
	const char *name = client_name(session);

	return strcmp(name, "unknown") != 0 && strcmp(name, "localhost") != 0;
}

static void add_results(struct session *session,
    const struct verification *verification)
{
	const struct envelope *envelope = session->transaction->envelope;
	const struct dkim_result *dkim[DKIM_SIGNATURES_MAX];
	char address[ENDPOINT_TEXT_MAX];
	struct results results = {
		.name = session->rules->conf->authentication_name,
		.spf_done = verification->spf_done,
		.spf = verification->spf,
		.spf_of_hello = verification->spf_of_hello,
		.spf_domain = verification->spf_domain,
		.dkim = dkim, .dkim_count = dkim_count(verification),
		.dkim_done = verification->dkim_done,
		.dmarc_done = verification->dmarc_done,
		.dmarc = verification->dmarc,
		.dmarc_domain = verification->author,
		.dmarc_policy = policy_word(verification),
		.iprev_done = has_proved_name(session),
		.iprev = PROOF_PASS, .client = address,
		.utf8 = (envelope->flags & ENVELOPE_UTF8) != 0 };
	struct buf out;

	endpoint_format(&session->address, address, sizeof(address));
	for (size_t i = 0; i < results.dkim_count; i++)
		dkim[i] = dkim_verifier_result(verification->dkim, i);
	buf_init(&out, RESULTS_MAX);
	if (results_print(&results, &out) < 0 ||
	    transaction_add_prefix(session, buf_data(&out),
	    buf_length(&out)) < 0)
		log_error("no-authentication-results",
		    log_session(session->id),
		    log_text("reason", "it would be too long"));
	buf_release(&out);
}

enum check_answer verification_content(struct session *session)
{
	struct transaction *transaction = session->transaction;
	struct verification *verification = transaction->verification;
	enum check_answer answer;

	if (transaction->fields == NULL || !is_stranger(session))
		return CHECK_PASS;
	/* What is beyond could be a forged result. */
	if (transaction->fields->too_large)
		return checks_stop(session, MODE_ON, 552, "5.3.4",
		    "the header has more than %d bytes or %d fields",
		    FIELDS_BYTES_MAX, FIELDS_MAX);
	if (!transaction->cleaned && !cut_forged(session))
		return checks_stop(session, MODE_ON, 554, "5.6.0",
		    "too many Authentication-Results fields");
	transaction->cleaned = true;
	if (verification == NULL)
		return CHECK_PASS;
	if (verification->spf_request != NULL ||
	    verification->keys_missing > 0 ||
	    verification->dmarc_request != NULL)
		return wait_for(verification);
	finish_dkim(verification);
	if (needs_dmarc(verification)) {
		ask_dmarc(verification);
		return wait_for(verification);
	}
	answer = judge_dmarc(session, verification);
	if (answer == CHECK_PASS)
		add_results(session, verification);
	return answer;
}

void verification_free(struct session *session)
{
	struct transaction *transaction = session->transaction;
	struct verification *verification = transaction->verification;

	if (verification == NULL)
		return;
	if (verification->spf_request != NULL)
		policy_cancel(verification->spf_request);
	if (verification->dmarc_request != NULL)
		policy_cancel(verification->dmarc_request);
	for (size_t i = 0; i < DKIM_SIGNATURES_MAX; i++)
		if (verification->keys[i].request != NULL)
			policy_cancel(verification->keys[i].request);
	if (verification->dkim != NULL)
		dkim_verifier_free(verification->dkim);
	mem_free(verification);
	transaction->verification = NULL;
}
