/* SPDX-License-Identifier: ISC */
/*
 * See fake_smtpd_peers.h. A broken rule of the contract ends the test program
 * with a word, as it would end the role.
 */
#include "tests/fake_smtpd_peers.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/arena.h"
#include "base/loop.h"
#include "base/mem.h"
#include "base/net.h"
#include "base/wire.h"
#include "policy/client.h"
#include "policy/directory_client.h"
#include "queue/client.h"
#include "queue/envelope.h"

struct fake_peers fake_peers;

static unsigned open_count;

struct queue_client { int unused; };
struct policy_client { int unused; };
struct directory_client { int unused; };

struct submission {
	uint64_t	 id;
	const struct envelope *revised;	/* borrowed; null */
	size_t		 credit;
	bool		 starved, ended;
	void		(*ready)(void *arg);
	void		*ready_arg;
	submission_done	*done;
	void		*done_arg;
	struct timer	 timer;
};

struct directory_request {
	directory_done	*done;
	owner_done	*owner;		/* instead of done */
	void		*arg;
	char		*address;
	char		*sender;
	struct timer	 timer;
};

static void broken(const char *rule)
{
	fprintf(stderr, "contract broken: %s\n", rule);
	abort();
}

static void forget_message(void)
{
	mem_free(fake_peers.sender);
	mem_free(fake_peers.forward_sender);
	mem_free(fake_peers.recipients);
	mem_free(fake_peers.originals);
	mem_free(fake_peers.prefix);
	mem_free(fake_peers.extra);
	mem_free(fake_peers.client);
	mem_free(fake_peers.protocol);
	mem_free(fake_peers.envid);
	mem_free(fake_peers.hold);
	fake_peers.hold = NULL;
	buf_release(&fake_peers.body);
	buf_release(&fake_peers.view);
}

void fake_peers_reset(void)
{
	forget_message();
	fake_smtpd_policy_reset();
	memset(&fake_peers, 0, sizeof(fake_peers));
	buf_init(&fake_peers.body, 64 << 20);
	buf_init(&fake_peers.view, 64 << 20);
	fake_peers.space = UINT64_MAX;
	fake_peers.window = 256 << 10;
	fake_peers.next_id = 0x7c31;
	fake_peers.reverse_name = "mail.client.example";
	status_set(&fake_peers.answer, STATUS_RELAYED, REASON_NONE, "2.0.0",
	    "queued");
}

unsigned fake_peers_open(void)
{
	return open_count + fake_smtpd_policy_open();
}

/* --- queue --- */

struct queue_client *queue_client_new(void)
{
	return mem_alloc(sizeof(struct queue_client));
}

void queue_client_free(struct queue_client *client)
{
	mem_free(client);
}

void queue_client_connect(struct queue_client *client, int fd)
{
	(void)client;
	(void)fd;
}

bool queue_client_has_room(const struct queue_client *client, uint64_t size)
{
	(void)client;
	return fake_peers.space > size;
}

bool queue_client_is_connected(const struct queue_client *client)
{
	(void)client;
	return !fake_peers.queue_down;
}

uint64_t queue_client_next_id(struct queue_client *client)
{
	(void)client;
	if (fake_peers.no_identifiers || fake_peers.queue_down)
		return 0;
	return fake_peers.next_id++;
}

/* As the queue reads it: what it does not take costs the channel. */
static bool is_read(const struct buf *written)
{
	struct arena *arena = arena_new(ENVELOPE_ARENA_MAX);
	struct wire_reader reader;
	bool result;

	wire_read_begin(&reader, buf_data(written), buf_length(written));
	result = envelope_get(&reader, arena) != NULL &&
	    wire_read_end(&reader) == 0;
	arena_free(arena);
	return result;
}

static bool fits(const struct envelope *envelope)
{
	struct wire_writer writer;
	struct buf buf;
	bool result;

	buf_init(&buf, ENVELOPE_WIRE_MAX);
	wire_write_begin(&writer, &buf);
	envelope_put(&writer, envelope);
	result = wire_write_end(&writer) == 0 && is_read(&buf);
	buf_release(&buf);
	return result;
}

static char *join_recipients(const struct envelope *envelope)
{
	struct buf out;

	buf_init(&out, ENVELOPE_WIRE_MAX);
	for (size_t i = 0; i < envelope->recipient_count; i++)
		buf_print(&out, "%s%s%s", i == 0 ? "" : " ",
		    envelope->recipients[i].flags & RECIPIENT_FORWARDED ?
		    ">" : envelope->recipients[i].flags &
		    RECIPIENT_EXPANDED ? "=" : "",
		    envelope->recipients[i].address);
	return buf_take(&out);
}

static char *join_originals(const struct envelope *envelope)
{
	struct buf out;

	buf_init(&out, ENVELOPE_WIRE_MAX);
	for (size_t i = 0; i < envelope->recipient_count; i++)
		buf_print(&out, "%s%s/%u", i == 0 ? "" : " ",
		    envelope->recipients[i].original == NULL ? "-" :
		    envelope->recipients[i].original,
		    (unsigned)envelope->recipients[i].notify);
	return buf_take(&out);
}

/* What may change until the end. */
static void keep_envelope(const struct envelope *envelope)
{
	fake_peers.sender = mem_dup_string(envelope->sender);
	fake_peers.forward_sender = mem_dup_string(envelope->forward_sender);
	fake_peers.recipients = join_recipients(envelope);
	fake_peers.originals = join_originals(envelope);
	fake_peers.prefix = mem_alloc(envelope->prefix_length + 1);
	memcpy(fake_peers.prefix, envelope->prefix, envelope->prefix_length);
	fake_peers.hold = mem_dup_string(envelope->hold);
}

/* The content as it would go out. */
static void make_view(const struct envelope *envelope)
{
	const struct envelope_piece *piece;

	if (!envelope_content_fits(envelope, buf_length(&fake_peers.body)))
		broken("pieces that do not fit");
	for (size_t i = 0; i < envelope->piece_count; i++) {
		piece = &envelope->pieces[i];
		buf_add(&fake_peers.view, piece->text != NULL ? piece->text :
		    buf_data(&fake_peers.body) + piece->offset,
		    (size_t)piece->length);
	}
	if (envelope->piece_count == 0)
		buf_add(&fake_peers.view, buf_data(&fake_peers.body),
		    envelope->original_length > 0 ?
		    (size_t)envelope->original_length :
		    buf_length(&fake_peers.body));
}

static void take_revised(const struct envelope *envelope)
{
	if (envelope->recipient_count == 0 || !fits(envelope) ||
	    fake_peers.extra != NULL)
		broken("submission_revise");
	mem_free(fake_peers.sender);
	mem_free(fake_peers.forward_sender);
	mem_free(fake_peers.recipients);
	mem_free(fake_peers.originals);
	mem_free(fake_peers.prefix);
	keep_envelope(envelope);
}

struct submission *submission_begin(struct queue_client *client, uint64_t id,
    const struct envelope *envelope, void (*ready)(void *arg), void *arg)
{
	struct submission *submission = mem_alloc(sizeof(*submission));

	(void)client;
	if (id == 0 || envelope->recipient_count == 0 ||
	    envelope->prefix == NULL || !fits(envelope))
		broken("submission_begin");
	forget_message();
	buf_init(&fake_peers.body, 64 << 20);
	buf_init(&fake_peers.view, 64 << 20);
	keep_envelope(envelope);
	fake_peers.extra = NULL;
	fake_peers.client = mem_dup_string(envelope->client);
	fake_peers.protocol = mem_dup_string(envelope->protocol);
	fake_peers.envid = mem_dup_string(envelope->envid);
	fake_peers.flags = envelope->flags;
	fake_peers.begun++;
	open_count++;
	submission->id = id;
	submission->credit = fake_peers.window;
	submission->ready = ready;
	submission->ready_arg = arg;
	return submission;
}

static void refill(void *arg)
{
	struct submission *submission = arg;

	submission->credit = fake_peers.window;
	if (!submission->starved)
		return;
	submission->starved = false;
	submission->ready(submission->ready_arg);
}

size_t submission_room(const struct submission *submission)
{
	struct submission *writable = (struct submission *)submission;

	if (submission->ended)
		broken("submission_room after the end");
	if (submission->credit == 0)
		writable->starved = true;
	return submission->credit;
}

void submission_data(struct submission *submission, const void *data,
    size_t length)
{
	if (submission->ended || length > submission->credit)
		broken("submission_data beyond the credit");
	submission->credit -= length;
	if (buf_add(&fake_peers.body, data, length) < 0)
		broken("submission_data without end");
	timer_start(&submission->timer, 0, refill, submission);
}

static void submission_free(struct submission *submission)
{
	timer_stop(&submission->timer);
	mem_free(submission);
	open_count--;
}

static void finish(void *arg)
{
	struct submission *submission = arg;
	submission_done *done = submission->done;
	void *done_arg = submission->done_arg;
	struct status status = fake_peers.answer;
	uint64_t id = submission->id;

	submission_free(submission);
	done(done_arg, &status, id);
}

void submission_extend(struct submission *submission, const char *text,
    size_t length)
{
	if (submission->ended || length > QUEUE_EXTRA_MAX)
		broken("submission_extend");
	mem_free(fake_peers.extra);
	fake_peers.extra = mem_alloc(length + 1);
	memcpy(fake_peers.extra, text, length);
}

void submission_revise(struct submission *submission,
    const struct envelope *envelope)
{
	submission->revised = envelope;
}

void submission_end(struct submission *submission, uint32_t flags,
    submission_done *done, void *arg)
{
	if (submission->ended)
		broken("submission_end twice");
	submission->ended = true;
	submission->done = done;
	submission->done_arg = arg;
	fake_peers.flags |= flags;
	fake_peers.ended++;
	if (submission->revised != NULL) {
		take_revised(submission->revised);
		make_view(submission->revised);
	} else {
		buf_add(&fake_peers.view, buf_data(&fake_peers.body),
		    buf_length(&fake_peers.body));
	}
	timer_stop(&submission->timer);
	if (!fake_peers.queue_silent)
		timer_start(&submission->timer, 0, finish, submission);
}

void submission_cancel(struct submission *submission)
{
	fake_peers.cancelled++;
	submission_free(submission);
}

/* --- policy; the rest of it is in fake_smtpd_policy.c --- */

struct policy_client *policy_client_new(void)
{
	return mem_alloc(sizeof(struct policy_client));
}

void policy_client_free(struct policy_client *client)
{
	mem_free(client);
}

void policy_client_connect(struct policy_client *client, int fd)
{
	(void)client;
	(void)fd;
}

/* --- directory --- */

struct directory_client *directory_client_new(void)
{
	return mem_alloc(sizeof(struct directory_client));
}

void directory_client_free(struct directory_client *client)
{
	mem_free(client);
}

void directory_client_connect(struct directory_client *client, int fd)
{
	(void)client;
	(void)fd;
}

enum { FAKE_TEAM = 3, FAKE_LIST = 1000 };

/* The targets of an address, for example.org; 0 if it has none. */
static size_t list_targets(const char *local, char texts[][64],
    struct directory_target *targets, bool *by_alias)
{
	size_t count = 1;

	*by_alias = true;
	snprintf(texts[0], 64, "alice@example.org");
	targets[0].forwarded = false;
	if (strncasecmp(local, "postmaster", 10) == 0)
		snprintf(texts[0], 64, "postmaster@example.org");
	if (strncasecmp(local, "bob", 3) == 0)
		snprintf(texts[0], 64, "bob@example.org");
	*by_alias = strcmp(local, "team") == 0 || strcasecmp(local, "list") == 0 ||
	    strcmp(local, "info") == 0 || strcmp(local, "away") == 0;
	if (strcmp(local, "away") == 0) {
		snprintf(texts[0], 64, "alice@elsewhere.example");
		targets[0].forwarded = true;
	} else if (strcmp(local, "team") == 0) {
		count = FAKE_TEAM;
		snprintf(texts[1], 64, "bob@example.org");
		snprintf(texts[2], 64, "carol@elsewhere.example");
		targets[2].forwarded = true;
	} else if (strcasecmp(local, "list") == 0) {
		for (count = 0; count < FAKE_LIST; count++)
			snprintf(texts[count], 64, "m%zu@example.org", count);
	}
	return count;
}

static bool is_known(const char *local)
{
	static const char *const names[] = { "alice", "bob", "info", "team",
	    "away", "list" };

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (strcasecmp(local, names[i]) == 0)
			return true;
	return false;
}

static enum directory_answer look_up(const char *address, char *local,
    size_t size)
{
	const char *at = strrchr(address, '@');
	size_t length = at == NULL ? strlen(address) : (size_t)(at - address);

	snprintf(local, size, "%.*s", (int)length, address);
	if (fake_peers.directory_down)
		return DIRECTORY_UNAVAILABLE;
	if (at != NULL && (fake_peers.directory_disowns ||
	    (strcmp(at + 1, "example.org") != 0 &&
	    strcmp(at + 1, "second.example") != 0)))
		return DIRECTORY_NOT_OURS;
	if (strcasecmp(local, "postmaster") == 0)
		return fake_peers.no_postmaster ? DIRECTORY_NO_USER :
		    DIRECTORY_FOUND;
	return is_known(local) ? DIRECTORY_FOUND : DIRECTORY_NO_USER;
}

static void answer_lookup(void *arg)
{
	static char texts[FAKE_LIST][64];
	static struct directory_target targets[FAKE_LIST];
	struct directory_request *request = arg;
	directory_done *done = request->done;
	void *done_arg = request->arg;
	bool null_sender = request->sender[0] == '\0';
	struct directory_found found = { .targets = targets };
	enum directory_answer answer;
	char local[128];

	answer = look_up(request->address, local, sizeof(local));
	memset(targets, 0, sizeof(targets));
	if (answer == DIRECTORY_FOUND)
		found.count = list_targets(local, texts, targets,
		    &found.by_alias);
	for (size_t i = 0; i < found.count; i++) {
		targets[i].address = texts[i];
		if (targets[i].forwarded && !null_sender)
			found.forward_sender = "srs0=x@example.org";
	}
	directory_cancel(request);
	done(done_arg, answer, answer == DIRECTORY_FOUND ? &found : NULL);
}

struct directory_request *directory_check(struct directory_client *client,
    const char *address, const char *sender, directory_done *done, void *arg)
{
	struct directory_request *request = mem_alloc(sizeof(*request));

	(void)client;
	request->done = done;
	request->arg = arg;
	request->address = mem_dup_string(address);
	request->sender = mem_dup_string(sender);
	fake_peers.lookups++;
	open_count++;
	if (!fake_peers.directory_silent)
		timer_start(&request->timer, 0, answer_lookup, request);
	return request;
}

void directory_cancel(struct directory_request *request)
{
	timer_stop(&request->timer);
	mem_free(request->address);
	mem_free(request->sender);
	mem_free(request);
	open_count--;
}

/* --- logins --- */

/* What was said of one login; challenge: which one waits for its response. */
struct directory_login {
	struct timer	 timer;
	bool		 plain;
	bool		 external;
	unsigned	 challenge;
	char		 user[LOGIN_USER_MAX + 1];
	enum login_answer answer;
	const char	*data;
	login_done	*done;
	void		*arg;
};

static void answer_login(void *arg)
{
	struct directory_login *login = arg;
	struct directory_login kept = *login;

	if (login->answer != LOGIN_CHALLENGE)
		directory_login_cancel(login);
	kept.done(kept.arg, kept.answer, kept.data, strlen(kept.data),
	    kept.answer == LOGIN_ACCEPTED ? "alice@example.org" : NULL);
}

static void login_answers(struct directory_login *login,
    enum login_answer answer, const char *data)
{
	login->answer = answer;
	login->data = data;
	if (!fake_peers.login_silent)
		timer_start(&login->timer, 0, answer_login, login);
}

static enum login_answer judge_login(const char *user, const char *password)
{
	if (fake_peers.directory_down)
		return LOGIN_UNAVAILABLE;
	if (strcmp(user, "later") == 0)
		return LOGIN_LATER;
	return strcmp(user, "alice") == 0 &&
	    strcmp(password, "secret") == 0 ? LOGIN_ACCEPTED : LOGIN_REJECTED;
}

static void hear_plain(struct directory_login *login, const char *text,
    size_t length)
{
	const char *user = memchr(text, '\0', length);
	const char *password = user == NULL ? NULL : memchr(user + 1, '\0',
	    length - (size_t)(user + 1 - text));
	char copy[256] = "";

	if (password == NULL || length >= sizeof(copy)) {
		login_answers(login, LOGIN_MALFORMED, "");
		return;
	}
	memcpy(copy, text, length);
	copy[length] = '\0';
	login_answers(login, judge_login(copy + (user + 1 - text),
	    copy + (password + 1 - text)), "");
}

void directory_login_go_on(struct directory_login *login,
    const void *response, size_t length)
{
	char copy[256];

	if (timer_is_running(&login->timer))
		abort();	/* it was not asked */
	snprintf(copy, sizeof(copy), "%.*s", (int)length,
	    (const char *)response);
	if (login->plain) {
		hear_plain(login, response, length);
	} else if (login->external) {
		login_answers(login, LOGIN_ACCEPTED, "");
	} else if (++login->challenge == 1) {
		snprintf(login->user, sizeof(login->user), "%.200s", copy);
		login_answers(login, LOGIN_CHALLENGE, "Password:");
	} else {
		login_answers(login, judge_login(login->user, copy), "");
	}
}

struct directory_login *directory_login(struct directory_client *client,
    const struct login_context *context, const void *initial, size_t length,
    login_done *done, void *arg)
{
	struct directory_login *login = mem_alloc(sizeof(*login));

	(void)client;
	login->done = done;
	login->arg = arg;
	open_count++;
	snprintf(fake_peers.login_seen, sizeof(fake_peers.login_seen),
	    "%.40s %.60s", context->mechanism, context->certificate);
	login->plain = strcasecmp(context->mechanism, "PLAIN") == 0;
	login->external = fake_peers.login_external &&
	    context->certificate[0] != '\0' &&
	    strcasecmp(context->mechanism, "EXTERNAL") == 0;
	if (!login->plain && !login->external &&
	    strcasecmp(context->mechanism, "LOGIN") != 0)
		login_answers(login, LOGIN_UNKNOWN, "");
	else if (initial != NULL)
		directory_login_go_on(login, initial, length);
	else
		login_answers(login, LOGIN_CHALLENGE, login->plain ||
		    login->external ? "" : "Username:");
	return login;
}

void directory_login_cancel(struct directory_login *login)
{
	timer_stop(&login->timer);
	mem_free(login);
	open_count--;
}

const char *directory_mechanisms(const struct directory_client *client)
{
	(void)client;
	return "";
}

static void answer_owner(void *arg)
{
	struct directory_request *request = arg;
	owner_done *owner = request->owner;
	void *owner_arg = request->arg;
	enum owner_answer answer = fake_peers.directory_down ?
	    OWNER_UNAVAILABLE : fake_peers.directory_disowns ? OWNER_NO :
	    request->address[0] == '\0' ||
	    (strncmp(request->address, "alice", 5) == 0 &&
	    strstr(request->address, "@example.org") != NULL) ? OWNER_YES :
	    OWNER_NO;

	directory_cancel(request);
	owner(owner_arg, answer);
}

struct directory_request *directory_owns(struct directory_client *client,
    const char *user, const char *address, owner_done *done, void *arg)
{
	struct directory_request *request = mem_alloc(sizeof(*request));

	(void)client;
	request->owner = done;
	request->arg = arg;
	request->address = mem_dup_string(address);
	request->sender = mem_dup_string(user);
	open_count++;
	if (!fake_peers.directory_silent)
		timer_start(&request->timer, 0, answer_owner, request);
	return request;
}
