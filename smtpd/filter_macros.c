/* SPDX-License-Identifier: ISC */
/*
 * What a session says of itself to filters: macros, by the names that they have
 * had since Sendmail. A table from name to function; what is not known, or not
 * there, is null and does not go over.
 */
#include "smtpd/filter_internal.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "authentic/fields.h"
#include "base/stream.h"
#include "base/tls.h"
#include "conf/conf.h"
#include "config.h"
#include "queue/envelope.h"
#include "smtpd/client.h"
#include "smtpd/rules.h"
#include "smtpd/session.h"
#include "smtpd/transaction.h"

typedef const char *macro_function(struct filters *filters);

static const char *text_or_null(const char *text)
{
	return text == NULL || text[0] == '\0' ? NULL : text;
}

/* Kept until the next macro is asked for. */
static const char *keep(struct filters *filters, const char *text,
    size_t length)
{
	if (length >= sizeof(filters->macro))
		length = sizeof(filters->macro) - 1;
	memcpy(filters->macro, text, length);
	filters->macro[length] = '\0';
	return text_or_null(filters->macro);
}

/* --- the connection --- */

static const char *get_host(struct filters *filters)
{
	return filters->session->rules->conf->hostname;
}

static const char *get_version(struct filters *filters)
{
	(void)filters;
	return "Postern " POSTERN_VERSION;
}

static const char *get_listener(struct filters *filters)
{
	return filters->session->listener->name;
}

static const char *get_address(struct filters *filters,
    const struct endpoint *endpoint)
{
	if (endpoint->length == 0 || filters->session->uid >= 0)
		return NULL;
	endpoint_format(endpoint, filters->macro, sizeof(filters->macro));
	return filters->macro;
}

static const char *get_port(struct filters *filters,
    const struct endpoint *endpoint)
{
	if (endpoint->length == 0 || filters->session->uid >= 0)
		return NULL;
	snprintf(filters->macro, sizeof(filters->macro), "%u",
	    (unsigned)endpoint_port(endpoint));
	return filters->macro;
}

static const char *get_local_address(struct filters *filters)
{
	return get_address(filters, &filters->session->local);
}

static const char *get_local_port(struct filters *filters)
{
	return get_port(filters, &filters->session->local);
}

static const char *get_client_address(struct filters *filters)
{
	return get_address(filters, &filters->session->address);
}

static const char *get_client_port(struct filters *filters)
{
	return get_port(filters, &filters->session->address);
}

static const char *get_client_name(struct filters *filters)
{
	return filters->session->uid >= 0 ? "localhost" :
	    client_name(filters->session);
}

static const char *get_client_pair(struct filters *filters)
{
	char literal[ENDPOINT_TEXT_MAX + 8];

	if (filters->session->uid >= 0)
		return "localhost";
	endpoint_format_literal(&filters->session->address, literal,
	    sizeof(literal));
	snprintf(filters->macro, sizeof(filters->macro), "%s %s",
	    client_name(filters->session), literal);
	return filters->macro;
}

static const char *get_hello(struct filters *filters)
{
	return text_or_null(filters->session->hello);
}

/* --- TLS, and who it is --- */

static const struct tls_facts *facts_of(struct filters *filters)
{
	return stream_facts(filters->session->stream);
}

static const char *get_tls_version(struct filters *filters)
{
	const struct tls_facts *facts = facts_of(filters);

	return facts == NULL ? NULL : facts->version;
}

static const char *get_cipher(struct filters *filters)
{
	const struct tls_facts *facts = facts_of(filters);

	return facts == NULL ? NULL : facts->cipher;
}

static const char *get_cipher_bits(struct filters *filters)
{
	const struct tls_facts *facts = facts_of(filters);

	if (facts == NULL)
		return NULL;
	snprintf(filters->macro, sizeof(filters->macro), "%d", facts->bits);
	return filters->macro;
}

static const char *get_subject(struct filters *filters)
{
	const struct tls_facts *facts = facts_of(filters);

	return facts == NULL || !facts->has_peer ? NULL :
	    text_or_null(facts->subject);
}

static const char *get_issuer(struct filters *filters)
{
	const struct tls_facts *facts = facts_of(filters);

	return facts == NULL || !facts->has_peer ? NULL :
	    text_or_null(facts->issuer);
}

static const char *get_login(struct filters *filters)
{
	return text_or_null(filters->session->user);
}

static const char *get_mechanism(struct filters *filters)
{
	return filters->session->user[0] == '\0' ? NULL :
	    text_or_null(filters->session->mechanism);
}

/* --- the message --- */

static const char *get_id(struct filters *filters)
{
	const struct transaction *transaction = filters->session->transaction;

	if (transaction == NULL || transaction->id == 0)
		return NULL;
	snprintf(filters->macro, sizeof(filters->macro), "%" PRIx64,
	    transaction->id);
	return filters->macro;
}

static const char *get_message_id(struct filters *filters)
{
	const struct transaction *transaction = filters->session->transaction;
	const struct fields *fields = transaction == NULL ? NULL :
	    transaction->fields;
	const struct field *field = fields == NULL ? NULL :
	    fields_find(fields, "Message-ID", 0);
	const char *start, *end;

	if (field == NULL)
		return NULL;
	start = field->text + field->value;
	end = field->text + field->length;
	while (start < end && (*start == ' ' || *start == '\t'))
		start++;
	while (end > start && (end[-1] == '\r' || end[-1] == '\n' ||
	    end[-1] == ' '))
		end--;
	if (memchr(start, '\n', (size_t)(end - start)) != NULL)
		return NULL;
	return keep(filters, start, (size_t)(end - start));
}

static const char *get_sender(struct filters *filters)
{
	const struct transaction *transaction = filters->session->transaction;

	return transaction == NULL ? NULL : transaction->envelope->sender;
}

static const char *get_recipient(struct filters *filters)
{
	const struct transaction *transaction = filters->session->transaction;

	if (filters->refused_text != NULL)
		return filters->refused_text;
	return transaction == NULL ? NULL : transaction->waiting_address;
}

static const char *host_of(struct filters *filters, const char *address)
{
	const char *at = address == NULL ? NULL : strrchr(address, '@');

	return at == NULL ? filters->session->rules->conf->hostname : at + 1;
}

/* "local" for our own domains. */
static const char *mailer_of(struct filters *filters, const char *address)
{
	const struct conf *conf = filters->session->rules->conf;

	return conf_domain_find(conf, host_of(filters, address)) != NULL ?
	    "local" : "esmtp";
}

static const char *get_sender_host(struct filters *filters)
{
	return host_of(filters, get_sender(filters));
}

static const char *get_sender_mailer(struct filters *filters)
{
	return mailer_of(filters, get_sender(filters));
}

static const char *get_recipient_host(struct filters *filters)
{
	return filters->refused_text != NULL ? filters->refused_enhanced :
	    host_of(filters, get_recipient(filters));
}

static const char *get_recipient_mailer(struct filters *filters)
{
	return filters->refused_text != NULL ? "error" :
	    mailer_of(filters, get_recipient(filters));
}

static const struct {
	const char	*name;
	macro_function	*get;
} macros[] = {
	{ "i", get_id },
	{ "j", get_host },
	{ "s", get_hello },
	{ "v", get_version },
	{ "_", get_client_pair },
	{ "if_name", get_host },
	{ "if_addr", get_local_address },
	{ "daemon_name", get_listener },
	{ "daemon_addr", get_local_address },
	{ "daemon_port", get_local_port },
	{ "client_addr", get_client_address },
	{ "client_port", get_client_port },
	{ "client_name", get_client_name },
	{ "client_ptr", get_client_name },
	{ "tls_version", get_tls_version },
	{ "cipher", get_cipher },
	{ "cipher_bits", get_cipher_bits },
	{ "cert_subject", get_subject },
	{ "cert_issuer", get_issuer },
	{ "auth_type", get_mechanism },
	{ "auth_authen", get_login },
	{ "auth_author", get_login },
	{ "mail_addr", get_sender },
	{ "mail_host", get_sender_host },
	{ "mail_mailer", get_sender_mailer },
	{ "rcpt_addr", get_recipient },
	{ "rcpt_host", get_recipient_host },
	{ "rcpt_mailer", get_recipient_mailer },
	{ "msg_id", get_message_id },
};

const char *filter_macro(void *arg, const char *name)
{
	struct filter *filter = arg;
	size_t length = strlen(name);

	if (length > 2 && name[0] == '{' && name[length - 1] == '}') {
		name++;
		length -= 2;
	}
	for (size_t i = 0; i < sizeof(macros) / sizeof(macros[0]); i++)
		if (strlen(macros[i].name) == length &&
		    memcmp(macros[i].name, name, length) == 0)
			return macros[i].get(filter->filters);
	return NULL;
}
