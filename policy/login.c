/* SPDX-License-Identifier: ISC */
/*
 * An exchange is one login. Its messages go through a machine of sasl.c, or to
 * Dovecot; passwords go through the hasher's threads; the end of it goes into
 * the throttle, and to smtpd. An exchange that has ended is gone: what smtpd
 * still says about it is passed over.
 */
#include "policy/login.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/queue.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/channel.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/loop.h"
#include "base/mem.h"
#include "base/words.h"
#include "conf/bundle.h"
#include "conf/conf.h"
#include "policy/accounts.h"
#include "policy/dovecot_auth.h"
#include "policy/hasher.h"
#include "policy/owner.h"
#include "policy/password.h"
#include "policy/sasl_server.h"
#include "policy/throttle.h"

enum { PEERS_MAX = 64 };

/* Where the exchange is told of, and under which number. */
struct place {
	struct channel	*channel;
	uint32_t	 request;
	uint32_t	 zero;		/* no padding: it is hashed */
};

struct exchange {
	struct logins	*logins;
	struct place	 place;
	struct endpoint	 client;
	bool		 is_named;	/* the throttle was asked by name */
	struct timer	 timer;		/* end of all patience */
	LIST_ENTRY(exchange) entry;

	/* one of these */
	struct sasl_server	*sasl;		/* owned */
	struct dovecot_login *dovecot;	/* owned */

	struct hasher_job *job;		/* owned; SASL_PASSWORD only */
};

struct logins {
	const struct conf	*conf;		/* outlives us */
	const struct expander	*expander;	/* outlives us */
	struct accounts		*accounts;	/* owned */
	struct hasher		*hasher;	/* owned */
	struct throttle		*throttle;	/* owned */
	struct dovecot_auth	*dovecot;	/* owned; or null */
	char			*dovecot_path;	/* owned; or null */
	struct hash		*places;	/* place -> exchange */
	LIST_HEAD(, exchange)	 exchanges;
	struct channel		*peers[PEERS_MAX];	/* borrowed */
};

/* --- exchanges --- */

static void free_exchange(struct exchange *exchange)
{
	hash_remove(exchange->logins->places, &exchange->place,
	    sizeof(exchange->place));
	timer_stop(&exchange->timer);
	if (exchange->job != NULL)
		hasher_cancel(exchange->job);
	if (exchange->dovecot != NULL)
		dovecot_login_cancel(exchange->dovecot);
	sasl_server_free(exchange->sasl);
	LIST_REMOVE(exchange, entry);
	mem_free(exchange);
}

static struct exchange *find(struct logins *logins, struct channel *channel,
    uint32_t request)
{
	const struct place place = { .channel = channel, .request = request };

	return hash_find(logins->places, &place, sizeof(place));
}

static void say(struct channel *channel, uint32_t request,
    enum login_answer answer, const struct buf *data, const char *user)
{
	struct wire_writer *writer = channel_begin(channel,
	    DIRECTORY_LOGIN_ANSWER, request);

	wire_put_u8(writer, (uint8_t)answer);
	wire_put_bytes(writer, data == NULL ? "" : buf_data(data),
	    data == NULL ? 0 : buf_length(data));
	wire_put_text(writer, user);
	channel_end(channel);
}

/* The exchange ends; a failure counts against client and name. */
static void end(struct exchange *exchange, enum login_answer answer,
    const char *user)
{
	struct logins *logins = exchange->logins;

	if (answer == LOGIN_ACCEPTED && user[0] != '\0')
		throttle_succeeded(logins->throttle, &exchange->client, user);
	if (answer == LOGIN_REJECTED)
		throttle_failed(logins->throttle, &exchange->client, user);
	say(exchange->place.channel, exchange->place.request, answer, NULL,
	    answer == LOGIN_ACCEPTED ? user : "");
	free_exchange(exchange);
}

/* Who tried is told for names that are accounts only: what else was typed may
 * be a password in the wrong field. */
static void reject(struct exchange *exchange, const char *user)
{
	const struct account *account =
	    accounts_find(exchange->logins->accounts, user);
	char address[ENDPOINT_TEXT_MAX];

	endpoint_format(&exchange->client, address, sizeof(address));
	log_info("login-rejected", log_text("user", account == NULL ? NULL :
	    account->name), log_text("addr", address),
	    log_text("disabled", account != NULL && account->disabled ?
	    "yes" : "no"));
	end(exchange, LOGIN_REJECTED, user);
}

/* A user who may log in; null: there is none, or not now. */
static struct account *find_able(const struct logins *logins,
    const char *user)
{
	struct account *account = accounts_find(logins->accounts, user);

	return account == NULL || account->disabled ? NULL : account;
}

static void accept_user(struct exchange *exchange, const char *user)
{
	const struct account *account = find_able(exchange->logins, user);

	if (account == NULL)
		reject(exchange, user);
	else
		end(exchange, LOGIN_ACCEPTED, account->name);
}

/* --- our own accounts --- */

/* Both are computed for everybody. */
static void find_keys(void *arg, const char *user,
    struct scram_secret *secret)
{
	const struct logins *logins = arg;
	const struct account *account = find_able(logins, user);

	accounts_invent(logins->accounts, user, secret);
	if (account != NULL && account->scram.salt_length > 0)
		*secret = account->scram;
}

static void on_hashed(void *arg, bool right)
{
	struct exchange *exchange = arg;
	const char *user = sasl_server_user(exchange->sasl);

	exchange->job = NULL;
	if (right)
		accept_user(exchange, user);
	else
		reject(exchange, user);
}

static void check_password(struct exchange *exchange)
{
	struct logins *logins = exchange->logins;
	const struct account *account = find_able(logins,
	    sasl_server_user(exchange->sasl));
	const char *hash = account == NULL || account->password == NULL ?
	    password_hash_of_nobody() : account->password;

	exchange->job = hasher_check(logins->hasher,
	    sasl_server_password(exchange->sasl), hash, on_hashed, exchange);
	if (exchange->job == NULL)
		end(exchange, LOGIN_LATER, "");
}

/* As soon as a name is known it is asked whether it may be tried now. */
static bool is_stopped(struct exchange *exchange)
{
	const char *user = sasl_server_user(exchange->sasl);

	if (exchange->is_named || user[0] == '\0')
		return false;
	exchange->is_named = true;
	return !throttle_allows_name(exchange->logins->throttle,
	    &exchange->client, user);
}

/* A certificate of which no account speaks has the rights of the list, and
 * nothing to add to them. */
static void accept_certificate(struct exchange *exchange)
{
	const char *name = sasl_server_user(exchange->sasl);

	if (accounts_find(exchange->logins->accounts, name) != NULL)
		accept_user(exchange, name);
	else
		end(exchange, LOGIN_ACCEPTED, "");
}

static void step(struct exchange *exchange, const void *message,
    size_t length)
{
	enum sasl_result result;
	struct buf out;

	buf_init(&out, LOGIN_DATA_MAX);
	result = sasl_server_step(exchange->sasl, message, length, &out);
	if (is_stopped(exchange)) {
		end(exchange, LOGIN_LATER, "");
		buf_release(&out);
		return;
	}
	switch (result) {
	case SASL_CHALLENGE:
		say(exchange->place.channel, exchange->place.request,
		    LOGIN_CHALLENGE, &out, "");
		break;
	case SASL_PASSWORD:
		check_password(exchange);
		break;
	case SASL_PROVEN:
		accept_user(exchange, sasl_server_user(exchange->sasl));
		break;
	case SASL_CERTIFICATE:
		accept_certificate(exchange);
		break;
	case SASL_REJECTED:
		reject(exchange, sasl_server_user(exchange->sasl));
		break;
	case SASL_MALFORMED:
		end(exchange, LOGIN_MALFORMED, "");
		break;
	default:
		bug("sasl-result");
	}
	buf_release(&out);
}

/* --- Dovecot's --- */

static void on_dovecot(void *arg, enum login_answer answer, const void *data,
    size_t length, const char *user)
{
	struct exchange *exchange = arg;
	struct buf challenge;

	if (answer == LOGIN_CHALLENGE) {
		buf_init(&challenge, LOGIN_DATA_MAX);
		buf_add(&challenge, data, length);
		say(exchange->place.channel, exchange->place.request, answer,
		    &challenge, "");
		buf_release(&challenge);
		return;
	}
	exchange->dovecot = NULL;
	if (answer == LOGIN_REJECTED)
		reject(exchange, user == NULL ? "" : user);
	else
		end(exchange, answer, user == NULL ? "" : user);
}

static void tell_mechanisms(struct logins *logins, struct channel *channel)
{
	wire_put_text(channel_begin(channel, DIRECTORY_MECHANISMS, 0),
	    logins->dovecot == NULL ? "" :
	    dovecot_auth_mechanisms(logins->dovecot));
	channel_end(channel);
}

static void on_dovecot_changed(void *arg)
{
	struct logins *logins = arg;

	for (size_t i = 0; i < PEERS_MAX; i++)
		if (logins->peers[i] != NULL)
			tell_mechanisms(logins, logins->peers[i]);
}

/* --- messages --- */

static bool is_configured(const struct conf *conf, const char *mechanism)
{
	for (size_t i = 0; i < conf->auth_mechanisms.count; i++)
		if (strcasecmp(conf->auth_mechanisms.items[i],
		    mechanism) == 0)
			return true;
	return false;
}

/* The list of certificates is ours, whoever has the passwords. */
static bool is_ours(const struct logins *logins, const char *mechanism)
{
	return logins->dovecot == NULL ||
	    sasl_server_find(mechanism) == SASL_EXTERNAL;
}

/* Null when the mechanism cannot be. */
static struct sasl_server *make_sasl(struct logins *logins,
    const struct login_context *context)
{
	enum sasl_mechanism mechanism = sasl_server_find(context->mechanism);
	bool bound = context->binding_length > 0;

	if (mechanism == SASL_MECHANISMS ||
	    (mechanism == SASL_SCRAM_PLUS && !bound) ||
	    (mechanism == SASL_EXTERNAL && context->certificate[0] == '\0'))
		return NULL;
	return sasl_server_new(mechanism, &(struct sasl_context){
	    .certificate = context->certificate,
	    .binding = context->binding,
	    .binding_length = context->binding_length,
	    .plus_offered = bound && is_configured(logins->conf,
	    sasl_server_name(SASL_SCRAM_PLUS)),
	    .find = find_keys, .arg = logins });
}

static void on_patience(void *arg)
{
	end(arg, LOGIN_UNAVAILABLE, "");
}

static struct exchange *new_exchange(struct logins *logins,
    struct channel *channel, uint32_t request,
    const struct endpoint *client)
{
	struct exchange *exchange = mem_alloc(sizeof(*exchange));

	exchange->logins = logins;
	exchange->place.channel = channel;
	exchange->place.request = request;
	exchange->client = *client;
	hash_put(logins->places, &exchange->place, sizeof(exchange->place),
	    exchange);
	LIST_INSERT_HEAD(&logins->exchanges, exchange, entry);
	timer_start(&exchange->timer, LOGIN_EXCHANGE_MS, on_patience,
	    exchange);
	return exchange;
}

/* Why this login does not begin; LOGIN_CHALLENGE: it does. */
static enum login_answer objection(struct logins *logins,
    const struct login_context *context)
{
	if (hash_count(logins->places) >= LOGINS_MAX)
		return LOGIN_UNAVAILABLE;
	if (!throttle_allows(logins->throttle, context->client))
		return LOGIN_LATER;
	if (!is_configured(logins->conf, context->mechanism))
		return LOGIN_UNKNOWN;
	if (!is_ours(logins, context->mechanism) &&
	    dovecot_auth_mechanisms(logins->dovecot)[0] != '\0' &&
	    !words_contain(dovecot_auth_mechanisms(logins->dovecot),
	    context->mechanism))
		return LOGIN_UNKNOWN;
	return LOGIN_CHALLENGE;
}

struct opening {
	struct login_context context;
	struct endpoint	 client, local;
	const void	*initial;	/* null: none came */
	size_t		 length;
};

static void open_exchange(struct logins *logins, struct channel *channel,
    uint32_t request, const struct opening *opening)
{
	enum login_answer no = objection(logins, &opening->context);
	struct exchange *exchange;
	struct sasl_server *sasl = NULL;

	if (no == LOGIN_CHALLENGE && is_ours(logins,
	    opening->context.mechanism)) {
		sasl = make_sasl(logins, &opening->context);
		if (sasl == NULL)
			no = LOGIN_UNKNOWN;
	}
	if (no != LOGIN_CHALLENGE) {
		say(channel, request, no, NULL, "");
		return;
	}
	exchange = new_exchange(logins, channel, request, &opening->client);
	exchange->sasl = sasl;
	if (sasl != NULL)
		step(exchange, opening->initial, opening->length);
	else
		exchange->dovecot = dovecot_auth_login(logins->dovecot,
		    &opening->context, opening->initial, opening->length,
		    on_dovecot, exchange);
}

static void get_endpoint(struct wire_reader *body, struct arena *arena,
    struct endpoint *out)
{
	const char *text = wire_get_text(body, arena, ENDPOINT_TEXT_MAX);
	uint16_t port = wire_get_u16(body);

	memset(out, 0, sizeof(*out));
	if (endpoint_parse(out, text, port) == -1)
		out->length = 0;	/* "local": a Unix socket */
}

static int take_login(struct logins *logins, struct channel *channel,
    struct channel_message *message)
{
	struct arena *arena = arena_new(4096);
	struct wire_reader *body = &message->body;
	struct opening opening = { .length = 0 };
	const void *binding;
	size_t binding_length;
	bool began;
	int result;

	opening.context.mechanism = wire_get_text(body, arena, 64);
	get_endpoint(body, arena, &opening.client);
	get_endpoint(body, arena, &opening.local);
	opening.context.client = &opening.client;
	opening.context.local = &opening.local;
	opening.context.certificate = wire_get_text(body, arena,
	    LOGIN_USER_MAX);
	binding = wire_get_bytes(body, LOGIN_BINDING_MAX, &binding_length);
	began = wire_get_enum(body, 2) == 1;
	opening.initial = wire_get_bytes(body, LOGIN_DATA_MAX,
	    &opening.length);
	result = wire_read_end(body);
	/* One number, one login: LOGINS_MAX counts numbers. */
	if (find(logins, channel, message->request) != NULL)
		result = -1;
	if (result == 0) {
		memcpy(opening.context.binding, binding, binding_length);
		opening.context.binding_length = binding_length;
		if (!began)
			opening.initial = NULL;
		open_exchange(logins, channel, message->request, &opening);
	}
	arena_free(arena);
	return result;
}

static int take_more(struct logins *logins, struct channel *channel,
    struct channel_message *message)
{
	struct exchange *exchange = find(logins, channel, message->request);
	size_t length;
	const void *data = wire_get_bytes(&message->body, LOGIN_DATA_MAX,
	    &length);

	if (wire_read_end(&message->body) == -1)
		return -1;
	if (exchange == NULL)
		return 0;
	if (exchange->job != NULL)	/* we have not asked for more */
		return -1;
	if (exchange->sasl != NULL)
		step(exchange, data, length);
	else
		dovecot_login_go_on(exchange->dovecot, data, length);
	return 0;
}

static int take_cancel(struct logins *logins, struct channel *channel,
    struct channel_message *message)
{
	struct exchange *exchange = find(logins, channel, message->request);

	if (wire_read_end(&message->body) == -1)
		return -1;
	if (exchange != NULL)
		free_exchange(exchange);
	return 0;
}

/* Who logged in and was disabled or removed since sends no more: the session
 * may last for hours. Dovecot's users need no account here. */
static bool is_still_let_in(const struct logins *logins,
    const struct account *account)
{
	return account == NULL ? logins->dovecot != NULL : !account->disabled;
}

static int take_owns(struct logins *logins, struct channel *channel,
    struct channel_message *message)
{
	struct arena *arena = arena_new(4096);
	const char *user = wire_get_text(&message->body, arena,
	    LOGIN_USER_MAX);
	const char *address = wire_get_text(&message->body, arena,
	    DIRECTORY_TEXT_MAX);
	int result = wire_read_end(&message->body);
	struct account *account;
	bool owns;

	if (result == 0) {
		account = accounts_find(logins->accounts, user);
		owns = is_still_let_in(logins, account) &&
		    (address[0] == '\0' || owner_is(logins->conf,
		    logins->expander, account, user, address));
		wire_put_u8(channel_begin(channel, DIRECTORY_OWNER,
		    message->request), owns ? OWNER_YES : OWNER_NO);
		channel_end(channel);
	}
	arena_free(arena);
	return result;
}

/* --- entry points --- */

int logins_message(struct logins *logins, struct channel *channel,
    struct channel_message *message)
{
	switch (message->type) {
	case DIRECTORY_LOGIN:
		return take_login(logins, channel, message);
	case DIRECTORY_LOGIN_MORE:
		return take_more(logins, channel, message);
	case DIRECTORY_LOGIN_CANCEL:
		return take_cancel(logins, channel, message);
	case DIRECTORY_OWNS:
		return take_owns(logins, channel, message);
	default:
		return -1;
	}
}

void logins_connect(struct logins *logins, struct channel *channel)
{
	size_t i = 0;

	while (i < PEERS_MAX && logins->peers[i] != NULL)
		i++;
	if (i == PEERS_MAX)
		bug("logins-peers");
	logins->peers[i] = channel;
	if (logins->dovecot != NULL)
		tell_mechanisms(logins, channel);
}

void logins_disconnect(struct logins *logins, struct channel *channel)
{
	struct exchange *exchange, *next;

	for (size_t i = 0; i < PEERS_MAX; i++)
		if (logins->peers[i] == channel)
			logins->peers[i] = NULL;
	for (exchange = LIST_FIRST(&logins->exchanges); exchange != NULL;
	    exchange = next) {
		next = LIST_NEXT(exchange, entry);
		if (exchange->place.channel == channel)
			free_exchange(exchange);
	}
}

struct accounts *logins_read(const struct conf *conf,
    const struct bundle *bundle, char *error, size_t size)
{
	const struct bundle_file *file = bundle_file(bundle,
	    conf->accounts_file);

	if (file == NULL)
		return accounts_new();
	return accounts_parse(file->path, file->contents, file->length, error,
	    size);
}

struct logins *logins_new(void)
{
	struct logins *logins = mem_alloc(sizeof(*logins));

	logins->hasher = hasher_new();
	logins->throttle = throttle_new();
	logins->places = hash_new();
	LIST_INIT(&logins->exchanges);
	return logins;
}

static void end_dovecot(struct logins *logins)
{
	struct exchange *exchange, *next;

	for (exchange = LIST_FIRST(&logins->exchanges); exchange != NULL;
	    exchange = next) {
		next = LIST_NEXT(exchange, entry);
		if (exchange->sasl == NULL)
			end(exchange, LOGIN_UNAVAILABLE, "");
	}
	dovecot_auth_free(logins->dovecot);
	mem_free(logins->dovecot_path);
	logins->dovecot = NULL;
	logins->dovecot_path = NULL;
}

void logins_free(struct logins *logins)
{
	if (logins == NULL)
		return;
	while (!LIST_EMPTY(&logins->exchanges))
		free_exchange(LIST_FIRST(&logins->exchanges));
	end_dovecot(logins);
	hasher_free(logins->hasher);
	throttle_free(logins->throttle);
	accounts_free(logins->accounts);
	hash_free(logins->places);
	mem_free(logins);
}

void logins_configure(struct logins *logins, const struct conf *conf,
    const struct expander *expander, struct accounts *accounts)
{
	const char *path = conf->auth_socket;

	logins->conf = conf;
	logins->expander = expander;
	accounts_free(logins->accounts);
	logins->accounts = accounts;
	if (logins->dovecot != NULL && strcmp(logins->dovecot_path,
	    path) != 0) {
		end_dovecot(logins);
		on_dovecot_changed(logins);
	}
	if (logins->dovecot == NULL && path[0] != '\0') {
		logins->dovecot = dovecot_auth_new(path, on_dovecot_changed,
		    logins);
		logins->dovecot_path = mem_dup_string(path);
	}
}
