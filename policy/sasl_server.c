/* SPDX-License-Identifier: ISC */
/*
 * One function per step of each mechanism; sasl->next is the one that the
 * client's next message goes to:
 *
 *	PLAIN	[empty challenge] -> message
 *	LOGIN	[user challenge] -> user -> password
 *	SCRAM	[empty challenge] -> first -> final -> thanks
 *	EXTERNAL [empty challenge] -> identity
 *
 * The challenge in brackets is for a client that began without a response
 * (RFC 4954 4). What SCRAM's server says last is a challenge, too, since SMTP
 * has no room for it in the 235; the client thanks with an empty response.
 */
#include "policy/sasl_server.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/buf.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/scram.h"

typedef enum sasl_result sasl_function(struct sasl_server *sasl,
    const char *message, size_t length, struct buf *out);

struct sasl_server {
	enum sasl_mechanism mechanism;
	struct sasl_context context;
	sasl_function	*next;
	struct scram_server *scram;	/* owned; SCRAM only */
	bool		 begun;
	char		 certificate[SCRAM_NAME_MAX + 1];
	char		 user[SCRAM_NAME_MAX + 1];
	char		 password[SCRAM_PASSWORD_MAX + 1];
};

/* A piece of a message, prepared into out. */
static int take(char *out, size_t size, const char *text, size_t length)
{
	char copy[SCRAM_PASSWORD_MAX * 2 + 1];
	int result = -1;

	if (length < sizeof(copy) && memchr(text, '\0', length) == NULL) {
		memcpy(copy, text, length);
		copy[length] = '\0';
		result = scram_prepare(out, size, copy);
	}
	mem_wipe(copy, sizeof(copy));
	return result;
}

/* RFC 4616 2: [authzid] NUL authcid NUL passwd */
static enum sasl_result step_plain(struct sasl_server *sasl,
    const char *message, size_t length, struct buf *out)
{
	char acts_for[SCRAM_NAME_MAX + 1] = "";
	const char *end = message + length;
	const char *user = memchr(message, '\0', length), *password;

	(void)out;
	if (user == NULL)
		return SASL_MALFORMED;
	if (user > message && take(acts_for, sizeof(acts_for), message,
	    (size_t)(user - message)) == -1)
		return SASL_MALFORMED;
	user++;
	password = memchr(user, '\0', (size_t)(end - user));
	if (password == NULL || take(sasl->user, sizeof(sasl->user), user,
	    (size_t)(password - user)) == -1)
		return SASL_MALFORMED;
	password++;
	if (take(sasl->password, sizeof(sasl->password), password,
	    (size_t)(end - password)) == -1)
		return SASL_MALFORMED;
	/* Nobody acts for somebody else. */
	if (acts_for[0] != '\0' && strcasecmp(acts_for, sasl->user) != 0)
		return SASL_REJECTED;
	return SASL_PASSWORD;
}

static enum sasl_result step_login_password(struct sasl_server *sasl,
    const char *message, size_t length, struct buf *out)
{
	(void)out;
	return take(sasl->password, sizeof(sasl->password), message,
	    length) == -1 ? SASL_MALFORMED : SASL_PASSWORD;
}

static enum sasl_result step_login_user(struct sasl_server *sasl,
    const char *message, size_t length, struct buf *out)
{
	if (take(sasl->user, sizeof(sasl->user), message, length) == -1)
		return SASL_MALFORMED;
	buf_add_string(out, "Password:");
	sasl->next = step_login_password;
	return SASL_CHALLENGE;
}

static enum sasl_result result_of(enum scram_result result)
{
	return result == SCRAM_MALFORMED ? SASL_MALFORMED : SASL_REJECTED;
}

static enum sasl_result step_scram_thanks(struct sasl_server *sasl,
    const char *message, size_t length, struct buf *out)
{
	(void)sasl;
	(void)message;
	(void)out;
	return length == 0 ? SASL_PROVEN : SASL_MALFORMED;
}

static enum sasl_result step_scram_final(struct sasl_server *sasl,
    const char *message, size_t length, struct buf *out)
{
	enum scram_result result = scram_server_final(sasl->scram, message,
	    length, out);

	if (result != SCRAM_OK)
		return result_of(result);
	sasl->next = step_scram_thanks;
	return SASL_CHALLENGE;
}

static enum sasl_result step_scram_first(struct sasl_server *sasl,
    const char *message, size_t length, struct buf *out)
{
	enum scram_result result = scram_server_first(sasl->scram, message,
	    length);
	struct scram_secret secret;
	const char *acts_for;

	snprintf(sasl->user, sizeof(sasl->user), "%s",
	    scram_server_user(sasl->scram));
	if (result != SCRAM_OK)
		return result_of(result);
	acts_for = scram_server_acts_for(sasl->scram);
	if (*acts_for != '\0' && strcasecmp(acts_for, sasl->user) != 0)
		return SASL_REJECTED;
	sasl->context.find(sasl->context.arg, sasl->user, &secret);
	scram_server_challenge(sasl->scram, &secret, out);
	mem_wipe(&secret, sizeof(secret));
	sasl->next = step_scram_final;
	return SASL_CHALLENGE;
}

/* RFC 4422 A: the identity to act for, or nothing. */
static enum sasl_result step_external(struct sasl_server *sasl,
    const char *message, size_t length, struct buf *out)
{
	char acts_for[SCRAM_NAME_MAX + 1];

	(void)out;
	if (length > 0 && take(acts_for, sizeof(acts_for), message,
	    length) == -1)
		return SASL_MALFORMED;
	if (sasl->certificate[0] == '\0' || (length > 0 &&
	    strcasecmp(acts_for, sasl->certificate) != 0))
		return SASL_REJECTED;
	snprintf(sasl->user, sizeof(sasl->user), "%s", sasl->certificate);
	return SASL_CERTIFICATE;
}

static const struct {
	const char	*name;
	sasl_function	*first;
	const char	*challenge;	/* when nothing came with AUTH */
} mechanisms[SASL_MECHANISMS] = {
	[SASL_PLAIN] = { "PLAIN", step_plain, "" },
	[SASL_LOGIN] = { "LOGIN", step_login_user, "Username:" },
	[SASL_SCRAM] = { "SCRAM-SHA-256", step_scram_first, "" },
	[SASL_SCRAM_PLUS] = { "SCRAM-SHA-256-PLUS", step_scram_first, "" },
	[SASL_EXTERNAL] = { "EXTERNAL", step_external, "" },
};

enum sasl_mechanism sasl_server_find(const char *name)
{
	enum sasl_mechanism i = 0;

	while (i < SASL_MECHANISMS && strcasecmp(mechanisms[i].name,
	    name) != 0)
		i++;
	return i;
}

const char *sasl_server_name(enum sasl_mechanism mechanism)
{
	return mechanisms[mechanism].name;
}

struct sasl_server *sasl_server_new(enum sasl_mechanism mechanism,
    const struct sasl_context *context)
{
	struct sasl_server *sasl = mem_alloc(sizeof(*sasl));
	bool plus = mechanism == SASL_SCRAM_PLUS;

	sasl->mechanism = mechanism;
	sasl->next = mechanisms[mechanism].first;
	sasl->context = *context;
	snprintf(sasl->certificate, sizeof(sasl->certificate), "%s",
	    context->certificate);
	if (plus || mechanism == SASL_SCRAM)
		sasl->scram = scram_server_new(plus, context->plus_offered,
		    context->binding, context->binding_length);
	return sasl;
}

void sasl_server_free(struct sasl_server *sasl)
{
	if (sasl == NULL)
		return;
	scram_server_free(sasl->scram);
	mem_wipe(sasl, sizeof(*sasl));
	mem_free(sasl);
}

enum sasl_result sasl_server_step(struct sasl_server *sasl, const void *message,
    size_t length, struct buf *out)
{
	bool first = !sasl->begun;

	sasl->begun = true;
	if (message != NULL)
		return sasl->next(sasl, message, length, out);
	if (!first)
		bug("sasl-without-response");
	buf_add_string(out, mechanisms[sasl->mechanism].challenge);
	return SASL_CHALLENGE;
}

const char *sasl_server_user(const struct sasl_server *sasl)
{
	return sasl->user;
}

const char *sasl_server_password(const struct sasl_server *sasl)
{
	return sasl->password;
}
