/* SPDX-License-Identifier: ISC */
/*
 * Names of subjects, and what is said to who has used up a limit: which one,
 * whose, and when to come again.
 */
#include "smtpd/limits.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/address.h"
#include "base/net.h"
#include "conf/conf.h"
#include "queue/envelope.h"
#include "smtpd/rates.h"
#include "smtpd/rules.h"
#include "smtpd/server.h"
#include "smtpd/session.h"
#include "smtpd/transaction.h"

enum { NAME_MAX_BYTES = ADDRESS_MAX + 1, CLIENT_IPV4_BITS = 32,
    CLIENT_IPV6_BITS = 64 };

enum check_answer limits_denied(struct session *session)
{
	const struct conf *conf = session->rules->conf;
	char address[ENDPOINT_TEXT_MAX];

	if (!conf_networks_contain(&conf->deny_from, &session->address) ||
	    conf_networks_contain(&conf->allow_from, &session->address))
		return CHECK_PASS;
	endpoint_format(&session->address, address, sizeof(address));
	return checks_close(session, MODE_ON, 554, "5.7.1",
	    "no mail is taken from %s", address);
}

/* What all limits have in common; who names the subject to the client. */
static enum check_answer limit(struct session *session,
    const struct conf_rate *rate, const struct rate_subject *subject,
    const char *who)
{
	bool connecting = session->check_point == CHECK_CONNECT;
	const char *format = "%s of %.200s is used up (%" PRId64 " in %" PRId64
	    " s), come again in %" PRId64 " seconds";
	enum conf_mode mode = rate->warn ? MODE_WARN : MODE_ON;
	int64_t wait = rates_take(session->server->rates, subject, rate,
	    session->trial);

	if (wait == 0)
		return CHECK_PASS;
	if (connecting)
		return checks_close(session, mode, 421, "4.7.0", format,
		    checks_name(session), who, rate->count, rate->seconds,
		    wait);
	return checks_stop(session, mode, 450, "4.7.1", format,
	    checks_name(session), who, rate->count, rate->seconds, wait);
}

/* --- by address --- */

/* The address without what is behind its first bits. */
static void cut(const struct endpoint *address, int64_t bits, uint8_t *bytes)
{
	bool v6 = address->address.any.sa_family == AF_INET6;
	size_t size = v6 ? 16 : 4;

	memset(bytes, 0, 16);
	if (v6)
		memcpy(bytes, &address->address.v6.sin6_addr, size);
	else
		memcpy(bytes, &address->address.v4.sin_addr, size);
	for (size_t i = 0; i < size; i++, bits -= 8)
		if (bits < 8)
			bytes[i] &= (uint8_t)(bits <= 0 ? 0 :
			    0xff << (8 - bits));
}

/* Of an IPv4 address so many bits, of an IPv6 address so many. */
static enum check_answer limit_address(struct session *session,
    const struct conf_rate *rate, enum rate_kind kind, int64_t ipv4_bits,
    int64_t ipv6_bits)
{
	bool v6 = session->address.length > 0 &&
	    session->address.address.any.sa_family == AF_INET6;
	int64_t bits = v6 ? ipv6_bits : ipv4_bits;
	char text[ENDPOINT_TEXT_MAX], who[ENDPOINT_TEXT_MAX + 8];
	uint8_t name[17];
	const struct rate_subject subject = { kind, name, sizeof(name) };
	struct endpoint network;

	if (rate->seconds == 0 || !checks_concern(session) ||
	    session->address.length == 0)
		return CHECK_PASS;
	name[16] = v6 ? 6 : 4;
	cut(&session->address, bits, name);
	endpoint_from_bytes(&network, v6 ? AF_INET6 : AF_INET, name, 0);
	endpoint_format(&network, text, sizeof(text));
	if (bits == 32 && !v6)
		snprintf(who, sizeof(who), "%s", text);
	else
		snprintf(who, sizeof(who), "%s/%d", text, (int)bits);
	return limit(session, rate, &subject, who);
}

static enum check_answer limit_client(struct session *session,
    const struct conf_rate *rate, enum rate_kind kind)
{
	return limit_address(session, rate, kind, CLIENT_IPV4_BITS,
	    CLIENT_IPV6_BITS);
}

static enum check_answer limit_network(struct session *session,
    const struct conf_rate *rate, enum rate_kind kind)
{
	const struct conf *conf = session->rules->conf;

	return limit_address(session, rate, kind, conf->network_ipv4,
	    conf->network_ipv6);
}

enum check_answer limits_connection(struct session *session)
{
	return limit_client(session, &session->rules->conf->connection_rate,
	    RATE_CONNECTION);
}

enum check_answer limits_network_connection(struct session *session)
{
	return limit_network(session,
	    &session->rules->conf->network_connection_rate,
	    RATE_NETWORK_CONNECTION);
}

enum check_answer limits_message(struct session *session)
{
	return limit_client(session, &session->rules->conf->message_rate,
	    RATE_MESSAGE);
}

enum check_answer limits_recipient(struct session *session)
{
	return limit_client(session, &session->rules->conf->recipient_rate,
	    RATE_RECIPIENT);
}

enum check_answer limits_network_recipient(struct session *session)
{
	return limit_network(session,
	    &session->rules->conf->network_recipient_rate,
	    RATE_NETWORK_RECIPIENT);
}

/* --- by name --- */

/* Not of the null sender, whom all have in common. Case makes no other sender,
 * or a limit would be worth nothing. */
enum check_answer limits_sender(struct session *session)
{
	const struct conf_rate *rate = &session->rules->conf->sender_rate;
	const char *sender = session->transaction->envelope->sender;
	char name[NAME_MAX_BYTES];
	struct rate_subject subject = { RATE_SENDER, name, 0 };

	if (rate->seconds == 0 || !checks_concern(session) ||
	    sender[0] == '\0')
		return CHECK_PASS;
	for (; sender[subject.length] != '\0' &&
	    subject.length < sizeof(name); subject.length++)
		name[subject.length] = (char)tolower((unsigned char)
		    sender[subject.length]);
	return limit(session, rate, &subject, sender);
}

/* Whom the log would name, too; false: we know a network only, or nobody. */
static bool user_name(const struct session *session, char *name, size_t size)
{
	if (session->user[0] != '\0')
		snprintf(name, size, "user %s", session->user);
	else if (session->certificate[0] != '\0')
		snprintf(name, size, "certificate %s", session->certificate);
	else if (session->uid >= 0)
		snprintf(name, size, "uid %" PRId64, session->uid);
	else
		return false;
	return true;
}

static enum check_answer limit_user(struct session *session,
    const struct conf_rate *rate, enum rate_kind kind)
{
	char name[NAME_MAX_BYTES];
	struct rate_subject subject = { kind, name, 0 };

	if (rate->seconds == 0 || session_speaks_lmtp(session) ||
	    !user_name(session, name, sizeof(name)))
		return CHECK_PASS;
	subject.length = strlen(name);
	return limit(session, rate, &subject, name);
}

enum check_answer limits_user(struct session *session)
{
	return limit_user(session, &session->rules->conf->user_rate,
	    RATE_USER);
}

enum check_answer limits_user_recipient(struct session *session)
{
	return limit_user(session, &session->rules->conf->user_recipient_rate,
	    RATE_USER_RECIPIENT);
}
