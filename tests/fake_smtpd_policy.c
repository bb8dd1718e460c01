/* SPDX-License-Identifier: ISC */
/*
 * See fake_smtpd_policy.h. Each request is answered in the next turn by what is
 * set then, so that a script may change its mind.
 */
#include "tests/fake_smtpd_policy.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/loop.h"
#include "base/mem.h"
#include "policy/client.h"
#include "tests/fake_smtpd_peers.h"

struct fake_smtpd_policy fake_smtpd_policy;

static unsigned open_count;

struct policy_request {
	void	(*answer)(struct policy_request *request);
	union {
		policy_reverse_done	*reverse;
		policy_spf_done		*spf;
		policy_text_done	*text;
		policy_dmarc_done	*dmarc;
		policy_listed_done	*listed;
		policy_greylist_done	*greylist;
	}		 done;
	void		*arg;
	char		*name;		/* owned: domain, TXT name, zone */
	bool		 of_hello;
	struct timer	 timer;
};

void fake_smtpd_policy_reset(void)
{
	for (size_t i = 0; i < fake_smtpd_policy.text_count; i++) {
		mem_free(fake_smtpd_policy.texts[i].name);
		mem_free(fake_smtpd_policy.texts[i].text);
	}
	memset(&fake_smtpd_policy, 0, sizeof(fake_smtpd_policy));
}

unsigned fake_smtpd_policy_open(void)
{
	return open_count;
}

static void __attribute__((format(printf, 1, 2))) note(const char *format, ...)
{
	size_t used = strlen(fake_smtpd_policy.asked);
	size_t room = sizeof(fake_smtpd_policy.asked) - used;
	va_list arguments;
	int length;

	length = snprintf(fake_smtpd_policy.asked + used, room, "%s",
	    used == 0 ? "" : "; ");
	if ((size_t)length >= room)
		return;
	va_start(arguments, format);
	vsnprintf(fake_smtpd_policy.asked + used + length,
	    room - (size_t)length, format, arguments);
	va_end(arguments);
}

/* --- requests --- */

void policy_cancel(struct policy_request *request)
{
	timer_stop(&request->timer);
	mem_free(request->name);
	mem_free(request);
	open_count--;
}

static void on_turn(void *arg)
{
	struct policy_request *request = arg;

	open_count--;
	request->answer(request);
	timer_stop(&request->timer);
	mem_free(request->name);
	mem_free(request);
}

static struct policy_request *request_new(const char *name,
    void (*answer)(struct policy_request *request), void *arg)
{
	struct policy_request *request = mem_alloc(sizeof(*request));

	request->name = mem_dup_string(name);
	request->answer = answer;
	request->arg = arg;
	open_count++;
	return request;
}

static struct policy_request *asked(struct policy_request *request)
{
	fake_smtpd_policy.questions++;
	if (!fake_smtpd_policy.silent)
		timer_start(&request->timer, 0, on_turn, request);
	return request;
}

/* --- names --- */

static void answer_name(struct policy_request *request)
{
	request->done.reverse(request->arg, fake_peers.reverse_name);
}

struct policy_request *policy_reverse(struct policy_client *client,
    const struct endpoint *address, int milliseconds,
    policy_reverse_done *done, void *arg)
{
	struct policy_request *request = request_new("", answer_name, arg);

	(void)client;
	(void)address;
	request->done.reverse = done;
	timer_start(&request->timer, fake_peers.reverse_silent ?
	    milliseconds : 0, on_turn, request);
	return request;
}

/* --- SPF --- */

static void answer_spf(struct policy_request *request)
{
	struct policy_spf_answer answer = {
		.proof = fake_smtpd_policy.spf,
		.of_hello = request->of_hello ||
		    fake_smtpd_policy.spf_of_hello,
		.domain = fake_smtpd_policy.spf_domain[0] != '\0' ?
		    fake_smtpd_policy.spf_domain : request->name,
		.mechanism = "all",
		.explanation = fake_smtpd_policy.spf_explanation,
	};

	answer.mail_from = fake_smtpd_policy.spf_of_hello ? PROOF_PASS :
	    answer.proof;
	answer.mail_from_domain = request->name;
	request->done.spf(request->arg, &answer);
}

struct policy_request *policy_spf(struct policy_client *client,
    const struct policy_spf_question *question, policy_spf_done *done,
    void *arg)
{
	const char *at = strrchr(question->sender, '@');
	struct policy_request *request = request_new(at == NULL ?
	    question->hello : at + 1, answer_spf, arg);
	char address[ENDPOINT_TEXT_MAX];

	(void)client;
	endpoint_format(question->client, address, sizeof(address));
	note("spf %s %s <%s> %s", address, question->hello, question->sender,
	    question->receiver);
	request->of_hello = at == NULL;
	request->done.spf = done;
	return asked(request);
}

/* --- TXT --- */

static void answer_text(struct policy_request *request)
{
	char joined[8192] = "";
	bool failed = false;
	size_t used = 0;

	for (size_t i = 0; i < fake_smtpd_policy.text_count; i++) {
		const struct fake_text *text = &fake_smtpd_policy.texts[i];

		if (strcasecmp(text->name, request->name) != 0)
			continue;
		if (text->text == NULL)
			failed = true;
		else
			used += (size_t)snprintf(joined + used,
			    sizeof(joined) - used, "%s%s", used == 0 ? "" :
			    "\n", text->text);
	}
	request->done.text(request->arg, failed ? DKIM_KEY_UNREACHABLE :
	    used > 0 ? DKIM_KEY_FOUND : DKIM_KEY_MISSING, failed ? "" :
	    joined);
}

struct policy_request *policy_text(struct policy_client *client,
    const char *name, policy_text_done *done, void *arg)
{
	struct policy_request *request = request_new(name, answer_text, arg);

	(void)client;
	note("text %s", name);
	request->done.text = done;
	return asked(request);
}

/* --- DMARC --- */

static void answer_dmarc(struct policy_request *request)
{
	const struct dmarc_step step = {
		.done = true,
		.name = "",
		.proof = fake_smtpd_policy.dmarc,
		.has_record = fake_smtpd_policy.dmarc == PROOF_PASS ||
		    fake_smtpd_policy.dmarc == PROOF_FAIL ||
		    fake_smtpd_policy.dmarc_domain[0] != '\0',
		.wish = fake_smtpd_policy.dmarc_wish,
		.record_domain = fake_smtpd_policy.dmarc_domain[0] != '\0' ?
		    fake_smtpd_policy.dmarc_domain : request->name,
		.organization = request->name,
		.reason = "",
	};

	request->done.dmarc(request->arg, &step);
}

struct policy_request *policy_dmarc(struct policy_client *client,
    const struct dmarc_question *question, policy_dmarc_done *done, void *arg)
{
	struct policy_request *request = request_new(question->author,
	    answer_dmarc, arg);
	char domains[2048] = "-";
	size_t used = 0;

	(void)client;
	for (size_t i = 0; i < question->dkim_count &&
	    used < sizeof(domains) - 300; i++)
		used += (size_t)snprintf(domains + used,
		    sizeof(domains) - used, "%s%.255s", i == 0 ? "" : ",",
		    question->dkim_domains[i]);
	note("dmarc %s spf=%s dkim=%s%s", question->author,
	    question->spf_pass ? question->spf_domain : "-", domains,
	    question->temporary ? " temporary" : "");
	request->done.dmarc = done;
	return asked(request);
}

/* --- lists --- */

static void answer_listed(struct policy_request *request)
{
	for (size_t i = 0; i < fake_smtpd_policy.list_count; i++) {
		const struct fake_list *list = &fake_smtpd_policy.lists[i];

		if (strcasecmp(list->zone, request->name) != 0)
			continue;
		request->done.listed(request->arg, list->failed,
		    list->answers, list->failed ? 0 : list->count);
		return;
	}
	request->done.listed(request->arg, false, NULL, 0);
}

struct policy_request *policy_listed(struct policy_client *client,
    const struct endpoint *address, const char *zone,
    policy_listed_done *done, void *arg)
{
	struct policy_request *request = request_new(zone, answer_listed, arg);
	char text[ENDPOINT_TEXT_MAX];

	(void)client;
	endpoint_format(address, text, sizeof(text));
	note("listed %s %s", text, zone);
	request->done.listed = done;
	return asked(request);
}

/* --- greylisting --- */

static void answer_greylist(struct policy_request *request)
{
	request->done.greylist(request->arg, fake_smtpd_policy.greylist_wait);
}

struct policy_request *policy_greylist(struct policy_client *client,
    const struct policy_greylist_question *question,
    policy_greylist_done *done, void *arg)
{
	struct policy_request *request = request_new("", answer_greylist, arg);
	char address[ENDPOINT_TEXT_MAX];

	(void)client;
	endpoint_format(question->client, address, sizeof(address));
	note("greylist %s <%s> <%s>%s", address, question->sender,
	    question->recipient, question->look_only ? " look" : "");
	request->done.greylist = done;
	return asked(request);
}

/* --- what a script sets --- */

/* The rest behind the first word of value, which goes into word. */
static const char *take_word(const char *value, char *word, size_t size)
{
	size_t length = strcspn(value, " ");

	snprintf(word, size, "%.*s", (int)length, value);
	value += length;
	return value + strspn(value, " ");
}

static bool read_proof(const char *word, enum proof *proof)
{
	for (int i = 0; i < PROOF_COUNT; i++)
		if (strcmp(proof_name((enum proof)i), word) == 0) {
			*proof = (enum proof)i;
			return true;
		}
	return false;
}

static bool set_spf(const char *value, bool of_hello)
{
	char word[32];

	value = take_word(value, word, sizeof(word));
	value = take_word(value, fake_smtpd_policy.spf_domain,
	    sizeof(fake_smtpd_policy.spf_domain));
	snprintf(fake_smtpd_policy.spf_explanation,
	    sizeof(fake_smtpd_policy.spf_explanation), "%s", value);
	fake_smtpd_policy.spf_of_hello = of_hello;
	return read_proof(word, &fake_smtpd_policy.spf);
}

static bool set_dmarc(const char *value)
{
	static const char *const wishes[] = { "none", "quarantine",
	    "reject" };
	char word[32], wish[32];

	value = take_word(value, word, sizeof(word));
	value = take_word(value, wish, sizeof(wish));
	snprintf(fake_smtpd_policy.dmarc_domain,
	    sizeof(fake_smtpd_policy.dmarc_domain), "%s", value);
	fake_smtpd_policy.dmarc_wish = DMARC_WISH_NONE;
	for (int i = 0; i < 3; i++)
		if (strcmp(wish, wishes[i]) == 0)
			fake_smtpd_policy.dmarc_wish = (enum dmarc_wish)i;
	return read_proof(word, &fake_smtpd_policy.dmarc);
}

static bool set_text(const char *value, bool failed)
{
	struct fake_text *text =
	    &fake_smtpd_policy.texts[fake_smtpd_policy.text_count];
	char name[256];

	if (fake_smtpd_policy.text_count == FAKE_TEXTS_MAX)
		return false;
	value = take_word(value, name, sizeof(name));
	text->name = mem_dup_string(name);
	text->text = failed ? NULL : mem_dup_string(value);
	fake_smtpd_policy.text_count++;
	return true;
}

static bool set_listed(const char *value)
{
	struct fake_list *list =
	    &fake_smtpd_policy.lists[fake_smtpd_policy.list_count];
	char word[64];

	if (fake_smtpd_policy.list_count == FAKE_LISTS_MAX)
		return false;
	fake_smtpd_policy.list_count++;
	value = take_word(value, list->zone, sizeof(list->zone));
	while (*value != '\0') {
		value = take_word(value, word, sizeof(word));
		if (strcmp(word, "failed") == 0)
			list->failed = true;
		else if (list->count == FAKE_ANSWERS_MAX || endpoint_parse(
		    &list->answers[list->count++], word, 0) == -1)
			return false;
	}
	return true;
}

bool fake_smtpd_policy_set(const char *name, const char *value)
{
	if (strcmp(name, "policy-silent") == 0)
		fake_smtpd_policy.silent = strcmp(value, "0") != 0;
	else if (strcmp(name, "spf") == 0)
		return set_spf(value, false);
	else if (strcmp(name, "spf-hello") == 0)
		return set_spf(value, true);
	else if (strcmp(name, "dmarc") == 0)
		return set_dmarc(value);
	else if (strcmp(name, "text") == 0)
		return set_text(value, false);
	else if (strcmp(name, "text-failed") == 0)
		return set_text(value, true);
	else if (strcmp(name, "listed") == 0)
		return set_listed(value);
	else if (strcmp(name, "greylist") == 0)
		fake_smtpd_policy.greylist_wait = strtoll(value, NULL, 10);
	else
		return false;
	return true;
}
