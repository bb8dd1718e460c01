/* SPDX-License-Identifier: ISC */
/*
 * Logging in at a host (RFC 4954), between the last EHLO and the first mail.
 *
 * The rule of this file: credentials are said under TLS to a host that proved
 * who it is, as the plan required it to, and nowhere else; whatever made the
 * plan lower than that (a level, an exception, set-tls), the host fails. No
 * failure here is the message's: a password that does not fit is for its
 * owner to mend, and the mail waits.
 */
#include "delivery/client_private.h"

#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/stream.h"
#include "base/tls.h"
#include "delivery/credentials.h"
#include "delivery/delivery_log.h"
#include "delivery/sasl.h"

/* RFC 4954 4: a command line with an initial response is no longer than
 * others. Names may grow by escapes, and SCRAM adds a nonce. */
enum { INITIAL_MAX = 250, ESCAPED = 3 };

/* So much of a secret in base64 is enough to know it by. */
enum { CODED_START = 8 };

/* --- may we? --- */

/* Names that came from MX records nobody signed, or TLSA records of a host that
 * those named: that is who it says it is, and perhaps not whom the route means
 * (TLS-101, DANE-38). */
static bool is_named_by_stranger(const struct client *client)
{
	switch (client->source) {
	case SOURCE_HALF_DANE: return true;
	case SOURCE_DANE:
	case SOURCE_STS: return false;
	default: return client->name_from_dns;
	}
}

static bool knows_host(const struct client *client)
{
	const struct tls_facts *facts;

	switch (client->requirement) {
	case REQUIRE_NAME:
	case REQUIRE_FINGERPRINT:
	case REQUIRE_DANE: break;
	default: return false;
	}
	if (!stream_is_secure(client->stream) || client->seen.ideal ||
	    is_named_by_stranger(client))
		return false;
	facts = stream_facts(client->stream);
	return facts->verified && client->seen.verified;
}

/* 0 bytes where there is no such binding: TLS 1.2. */
static struct sasl_means means_of(const struct client *client,
    uint8_t *binding, size_t size)
{
	return (struct sasl_means){
		.credentials = client->identity.credentials,
		.certificate = client->identity.certificate != NULL,
		.binding = binding,
		.binding_length = stream_binding(client->stream, binding,
		    size),
	};
}

bool client_wants_login(const struct client *client)
{
	/* A certificate may be all that a server asks for: AUTH is said to
	 * those only that show EXTERNAL for it (RFC 8314 4.2). */
	return client->identity.credentials != NULL ||
	    (client->identity.certificate != NULL && knows_host(client) &&
	    sasl_is_offered(SASL_EXTERNAL, client->capability.auth));
}

/* --- how it fails --- */

static const char *user_of(const struct client *client)
{
	return client->identity.credentials != NULL ?
	    client->identity.credentials->user :
	    client->identity.certificate_name;
}

static void end_exchange(struct client *client)
{
	sasl_free(client->sasl);
	client->sasl = NULL;
}

static void fail_login(struct client *client, const char *enhanced,
    const char *text)
{
	struct status status;

	end_exchange(client);
	status_set(&status, STATUS_DEFERRED, REASON_LOGIN, enhanced, text);
	client_fail(client, &status);
}

static void fail_unknown_host(struct client *client)
{
	fail_login(client, "4.7.0", client->was_secure ?
	    "the host is not logged in to: its TLS does not prove who it is; "
	    "give the route level = secure, fingerprint or dane-only (an "
	    "exception or set-tls may have lowered it)" :
	    "the host is not logged in to: credentials are never said without "
	    "TLS; give the route level = secure, fingerprint or dane-only (an "
	    "exception or set-tls may have lowered it)");
}

static void fail_without_mechanism(struct client *client)
{
	struct status status;

	end_exchange(client);
	status_print(&status, STATUS_DEFERRED, REASON_LOGIN, "4.7.4",
	    "no way to log in as %.64s: the host offers %.300s",
	    user_of(client), client->capability.auth[0] == '\0' ?
	    "no AUTH" : client->capability.auth);
	client_fail(client, &status);
}

/* "*" ends an exchange (RFC 4954 4): QUIT would be a response of it. */
static void break_off(struct client *client, const char *enhanced,
    const char *text)
{
	if (client->reply.code == 334) {
		buf_add_string(&client->command, "*");
		client_write_command(client);
	}
	if (client->state == CLIENT_STATE_OPENING)
		fail_login(client, enhanced, text);
}

static bool has_coded(const char *text, const struct buf *secret)
{
	size_t size = BASE64_LENGTH(buf_length(secret)) + 1;
	char *coded = mem_alloc(size);
	bool found;

	base64_format(buf_data(secret), buf_length(secret), coded, size);
	if (size > CODED_START)
		coded[CODED_START] = '\0';
	found = strstr(text, coded) != NULL;
	mem_wipe(coded, size);
	mem_free(coded);
	return found;
}

/* A server that made nothing of a line may say it back to us, as PLAIN or LOGIN
 * have it; what it says stands in logs, in the queue and in notifications. */
static bool repeats_password(const struct client *client, const char *text)
{
	const struct credentials *own = client->identity.credentials;
	struct buf secret;
	bool found;

	if (own == NULL)
		return false;
	buf_init(&secret, SASL_MESSAGE_MAX);
	buf_reserve(&secret, SASL_MESSAGE_MAX);
	buf_add_string(&secret, own->password);
	found = strstr(text, own->password) != NULL ||
	    has_coded(text, &secret);
	buf_reset(&secret);
	buf_add_byte(&secret, '\0');
	buf_add_string(&secret, own->user);
	buf_add_byte(&secret, '\0');
	buf_add_string(&secret, own->password);
	found |= has_coded(text, &secret);
	buf_wipe(&secret);
	return found;
}

static void fail_refused(struct client *client)
{
	char said[400];
	struct status status;
	bool wrong = client->reply.code == 535;

	client_describe_reply(client, said, sizeof(said));
	if (repeats_password(client, said)) {
		mem_wipe(said, sizeof(said));
		snprintf(said, sizeof(said), "%d (its words repeat what was "
		    "said, so they are left out)", client->reply.code);
	}
	end_exchange(client);
	status_print(&status, STATUS_DEFERRED, REASON_LOGIN, wrong ? "4.7.8" :
	    "4.7.0", "login as %.64s by %s was refused: %.300s",
	    user_of(client),
	    sasl_name((enum sasl_mechanism)client->mechanism), said);
	client_fail(client, &status);
}

/* --- saying it --- */

/* A line that held a secret leaves nothing behind. */
static void write_secret(struct client *client)
{
	client_write_command(client);
	buf_wipe(&client->command);
}

/* Behind what is in the command; "=" stands for an empty one when that must
 * be seen (RFC 4954 4). */
static void add_response(struct client *client, const struct buf *response,
    const char *empty)
{
	size_t size = BASE64_LENGTH(buf_length(response)) + 1;
	char *text = mem_alloc(size);

	base64_format(buf_data(response), buf_length(response), text, size);
	buf_add_string(&client->command, text[0] == '\0' ? empty : text);
	mem_wipe(text, size);
	mem_free(text);
}

/* Would AUTH with the initial response be too long for a command? */
static bool is_too_long(const struct client *client)
{
	const struct credentials *own = client->identity.credentials;

	return own != NULL && ESCAPED * strlen(own->user) +
	    strlen(own->password) > INITIAL_MAX;
}

void step_send_auth(struct client *client)
{
	struct buf response;

	buf_init(&response, SASL_MESSAGE_MAX);
	buf_reserve(&response, SASL_MESSAGE_MAX);
	buf_reserve(&client->command, CLIENT_COMMAND_MAX);
	buf_print(&client->command, "AUTH %s",
	    sasl_name((enum sasl_mechanism)client->mechanism));
	client->sasl_begins = is_too_long(client);
	if (!client->sasl_begins && sasl_begin(client->sasl, &response)) {
		buf_add_byte(&client->command, ' ');
		add_response(client, &response, "=");
	}
	buf_wipe(&response);
	write_secret(client);
}

/* Made by step_on_auth(), which may find that there is none. */
void step_send_response(struct client *client)
{
	write_secret(client);
}

static void begin(struct client *client)
{
	uint8_t binding[SASL_BINDING_MAX];
	struct sasl_means means = means_of(client, binding, sizeof(binding));
	enum sasl_mechanism chosen = sasl_choose(&means,
	    client->capability.auth, client->mechanisms_refused);

	end_exchange(client);
	if (chosen == SASL_MECHANISMS && client->mechanisms_refused != 0)
		fail_refused(client);
	else if (chosen == SASL_MECHANISMS)
		fail_without_mechanism(client);
	if (chosen == SASL_MECHANISMS)
		return;
	client->mechanism = (int)chosen;
	client->sasl = sasl_new(chosen, &means, client->capability.auth);
	client_say(client, STEP_AUTH);
}

void client_log_in(struct client *client)
{
	if (!knows_host(client)) {
		fail_unknown_host(client);
		return;
	}
	/* The password goes through its buffers. */
	if (client->identity.credentials != NULL)
		stream_keep_secret(client->stream);
	begin(client);
}

/* --- replies --- */

/* The text of a 334 as bytes; -1 when it is not base64. */
static int read_challenge(struct client *client, uint8_t *out, size_t size)
{
	char text[SASL_CHALLENGE_TEXT_MAX + 1];
	size_t length = strcspn(answer_text(&client->reply), "\n");

	if (client->reply.line_count != 1 || length > SASL_CHALLENGE_TEXT_MAX)
		return -1;
	memcpy(text, answer_text(&client->reply), length);
	text[length] = '\0';
	return length == 0 ? 0 : base64_parse(out, size, text);
}

static enum sasl_result respond(struct client *client,
    const uint8_t *challenge, size_t length, struct buf *response)
{
	if (!client->sasl_begins)
		return sasl_go_on(client->sasl, challenge, length, response);
	client->sasl_begins = false;
	if (sasl_begin(client->sasl, response))
		return length == 0 ? SASL_OK : SASL_ODD;
	return sasl_go_on(client->sasl, challenge, length, response);
}

static void go_on(struct client *client)
{
	uint8_t challenge[SASL_CHALLENGE_TEXT_MAX];
	int length = read_challenge(client, challenge, sizeof(challenge));
	enum sasl_result result = SASL_ODD;
	struct buf response;

	buf_init(&response, SASL_MESSAGE_MAX);
	buf_reserve(&response, SASL_MESSAGE_MAX);
	if (length >= 0)
		result = respond(client, challenge, (size_t)length, &response);
	if (result == SASL_OK) {
		buf_reserve(&client->command, CLIENT_COMMAND_MAX);
		add_response(client, &response, "");
		client_say(client, STEP_RESPONSE);
	} else if (result == SASL_FALSE_SERVER) {
		break_off(client, "4.7.0", "the host does not know our "
		    "password, or refused our proof of it");
	} else {
		break_off(client, "4.7.0", "a challenge that the mechanism "
		    "has not");
	}
	buf_wipe(&response);
}

static void succeed(struct client *client)
{
	/* RFC 5802 3: whoever cannot prove that may be anybody. */
	if (sasl_end(client->sasl) != SASL_OK) {
		break_off(client, "4.7.0", "the host says that we are logged "
		    "in and did not prove that it knows our password");
		return;
	}
	log_debug("logged-in", log_session(client->id),
	    log_text("user", user_of(client)), log_text("mechanism",
	    sasl_name((enum sasl_mechanism)client->mechanism)));
	end_exchange(client);
	client_become_ready(client);
}

/* 504: it is in the list, and is not there; 534: too weak for this user. */
static bool wants_another(const struct client *client)
{
	return client->reply.code == 504 || client->reply.code == 534;
}

void step_on_auth(struct client *client)
{
	if (client->reply.code == 334) {
		go_on(client);
	} else if (client->reply.code == 235) {
		succeed(client);
	} else if (wants_another(client)) {
		client->mechanisms_refused |= 1u << client->mechanism;
		begin(client);
	} else {
		fail_refused(client);
	}
}

bool client_is_told_to_log_in(const struct client *client)
{
	switch (client->reply.code) {
	case 530: case 534: case 535: case 538:
		return client->identity.by_route;
	default:
		return false;
	}
}
