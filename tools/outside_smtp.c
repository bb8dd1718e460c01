/* SPDX-License-Identifier: ISC */
/*
 * A mail host up to the end of its handshake, as a sender comes to it:
 *
 *	GREETING -> HELLO -> STARTTLS -> HANDSHAKE -> (goodbye)
 *
 * Nothing but a reply's code matters, and whether STARTTLS is offered. Each
 * address gets its time; the first that is reached decides.
 */
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/buf.h"
#include "base/loop.h"
#include "base/net.h"
#include "base/stream.h"
#include "conf/conf.h"
#include "tools/outside.h"

enum { ADDRESSES_MAX = 4, ADDRESS_MS = 15 * 1000, INPUT_MAX = 16 << 10,
    FINISH_MS = 500 };

enum visit_state { VISIT_GREETING, VISIT_HELLO, VISIT_STARTTLS,
    VISIT_HANDSHAKE, VISIT_OVER };

struct visit {
	enum visit_state	 state;
	const char		*hello;		/* our name */
	struct tls_client	*client;	/* borrowed */
	struct tls_expect	 expect;
	struct stream		*stream;	/* owned */
	struct outside_smtp	*shown;
	int			 code;		/* of the reply being read */
};

static void visit_end(struct visit *visit, const char *problem)
{
	if (visit->state == VISIT_OVER)
		return;
	visit->state = VISIT_OVER;
	snprintf(visit->shown->problem, sizeof(visit->shown->problem), "%s",
	    problem);
	loop_stop();
}

static void say(struct visit *visit, const char *text)
{
	stream_write(visit->stream, text, strlen(text));
}

/* The whole reply is here. */
static void on_reply(struct visit *visit)
{
	char line[300];

	if (visit->code / 100 != 2) {
		snprintf(line, sizeof(line), "it answers with %d where TLS "
		    "should begin", visit->code);
		visit_end(visit, line);
	} else if (visit->state == VISIT_GREETING) {
		visit->state = VISIT_HELLO;
		snprintf(line, sizeof(line), "EHLO %s\r\n", visit->hello);
		say(visit, line);
	} else if (visit->state == VISIT_HELLO && !visit->shown->offers) {
		visit_end(visit, "it does not offer STARTTLS");
	} else if (visit->state == VISIT_HELLO) {
		visit->state = VISIT_STARTTLS;
		say(visit, "STARTTLS\r\n");
	} else if (visit->state == VISIT_STARTTLS) {
		visit->state = VISIT_HANDSHAKE;
		stream_secure_client(visit->stream, visit->client,
		    &visit->expect);
	}
}

/* True when it was the last one of a reply. */
static bool read_line(struct visit *visit, const char *line, size_t length)
{
	static const char word[] = "STARTTLS";

	if (length < 3 || line[0] < '2' || line[0] > '5' || line[1] < '0' ||
	    line[1] > '9' || line[2] < '0' || line[2] > '9') {
		visit_end(visit, "it does not speak SMTP");
		return false;
	}
	visit->code = (line[0] - '0') * 100 + (line[1] - '0') * 10 +
	    (line[2] - '0');
	if (visit->state == VISIT_HELLO && length == 4 + strlen(word) &&
	    strncasecmp(line + 4, word, strlen(word)) == 0)
		visit->shown->offers = true;
	return length == 3 || line[3] != '-';
}

static void on_input(struct visit *visit)
{
	struct buf *input = stream_input(visit->stream);
	long end;

	while (visit->state < VISIT_HANDSHAKE &&
	    (end = buf_find(input, '\n', 0)) != -1) {
		const char *line = buf_data(input);
		size_t length = (size_t)end;
		bool last;

		if (length > 0 && line[length - 1] == '\r')
			length--;
		last = read_line(visit, line, length);
		buf_consume(input, (size_t)end + 1);
		if (last)
			on_reply(visit);
	}
	if (visit->state < VISIT_HANDSHAKE && buf_room(input) == 0)
		visit_end(visit, "it says too much");
	else
		stream_consumed(visit->stream);
}

static void on_secured(struct visit *visit)
{
	const struct tls_facts *facts = stream_facts(visit->stream);
	bool dane = visit->expect.check == TLS_CHECK_DANE;

	visit->shown->reached = true;
	visit->shown->matched = dane && facts->verified;
	visit->shown->trusted = dane ? facts->note_met : facts->verified;
	say(visit, "QUIT\r\n");
	visit_end(visit, visit->shown->trusted ? "" : dane &&
	    facts->verified ? facts->noted : facts->problem);
}

static void on_event(void *arg, struct stream *stream,
    enum stream_event event)
{
	struct visit *visit = arg;

	switch (event) {
	case STREAM_CONNECTED:
	case STREAM_DRAINED:
		break;
	case STREAM_INPUT:
		on_input(visit);
		break;
	case STREAM_SECURED:
		on_secured(visit);
		break;
	case STREAM_DEADLINE:
		visit_end(visit, "it does not answer in time");
		break;
	case STREAM_FAILED:
		visit_end(visit, stream_problem(stream));
		break;
	default:
		visit_end(visit, "it closes the connection");
		break;
	}
}

static void visit_host(struct visit *visit, const struct endpoint *address)
{
	visit->state = VISIT_GREETING;
	visit->shown->offers = false;
	endpoint_format(address, visit->shown->address,
	    sizeof(visit->shown->address));
	visit->stream = stream_connect(address, NULL, INPUT_MAX, on_event,
	    visit);
	stream_deadline(visit->stream, ADDRESS_MS);
	loop_run();
	if (visit->shown->reached)
		stream_finish(visit->stream, FINISH_MS);
	else
		stream_free(visit->stream);
	visit->stream = NULL;
}

void outside_smtp(struct outside *outside, const char *host, uint16_t port,
    const struct tls_tlsa *tlsa, size_t tlsa_count,
    struct outside_smtp *shown)
{
	enum tls_check check = tlsa_count > 0 ? TLS_CHECK_DANE :
	    TLS_CHECK_NAME;
	struct endpoint addresses[ADDRESSES_MAX];
	struct visit visit = {
		.hello = outside->conf->hostname,
		.shown = shown,
		.expect = { .check = check, .sni = host, .names = &host,
		    .name_count = 1, .tlsa = tlsa, .tlsa_count = tlsa_count,
		    .note_name = tlsa_count > 0 ? host : NULL },
	};
	size_t count = outside_addresses(outside, host, port, addresses,
	    ADDRESSES_MAX);
	char error[256] = "";

	memset(shown, 0, sizeof(*shown));
	snprintf(shown->problem, sizeof(shown->problem),
	    "it has no address");
	if (count == 0)
		return;
	visit.client = tls_client_new(check, outside->trust_pem, error,
	    sizeof(error));
	if (visit.client == NULL) {
		snprintf(shown->problem, sizeof(shown->problem), "%s", error);
		return;
	}
	for (size_t i = 0; i < count && !shown->reached; i++)
		visit_host(&visit, &addresses[i]);
	tls_client_free(visit.client);
}
