/* SPDX-License-Identifier: ISC */
/*
 * HTTP/1.1 by hand, because what this server is for is to break its rules: a
 * library would mend the length, end the chunks and finish the answer. One
 * request a connection, and "Connection: close" (RFC 9112 9.6).
 */
#include "tools/lab/policy_host.h"

#include <jansson.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <zlib.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "tools/lab/actors_link.h"
#include "tools/lab/certificate.h"
#include "tools/lab/event.h"
#include "tools/lab/namespace_network.h"
#include "tools/lab/scenario.h"
#include "tools/lab/scenario_options.h"

enum { HEADERS_MAX = 100, DRIP_MS = 1000, POUR_MS = 10,
    POUR_LINES = 100,		/* a write has so many */
    SHORT_BY = 100,		/* bytes announced and never sent */
    PADDING_LINE = 64, PADDING_LEAST = 10,
    HEAD_MAX = 1 << 20,
    BODY_MAX = 64 << 20 };	/* the reader allows a quarter of it */

static const char well_known[] = "/.well-known/mta-sts.txt";

/* In the order of lab_policy_fault_words. */
enum fault { FAULT_NONE, FAULT_CLOSE, FAULT_RESET, FAULT_STALL, FAULT_DRIP,
    FAULT_SHORT, FAULT_ENDLESS, FAULT_BLOCK, FAULT_REFUSE, FAULT_CUT,
    FAULT_CUT_CHUNK, FAULT_GZIP, FAULT_HEADERS, FAULT_INFORMATIONAL, FAULTS };

struct lab_policy_host {
	const struct lab_policy	*policy;	/* outlives us */
	char			*name;		/* of actor and server; owned */
	enum fault		 fault;
	struct buf		 body;		/* as it is sent */
	SSL_CTX			*context;	/* owned */
};

struct request {
	char	 method[16];
	char	 path[1024];
	char	 host[256];
};

/* An answer on its way: a head, and what is behind it. */
struct answer {
	int		 status;
	const char	*body;		/* borrowed */
	size_t		 length;
};

/* A request's head. 0, or -1 when there is none or it is no HTTP. */
static int read_request(struct lab_link *link, struct request *request)
{
	struct lab_line *line = mem_alloc(sizeof(*line));
	int result = -1, i;
	char minor[2];

	if (lab_link_line(link, line) == 1 && sscanf(line->text,
	    "%15s %1023s HTTP/1.%1[01]", request->method, request->path,
	    minor) == 3) {
		for (i = 0; i < HEADERS_MAX && lab_link_line(link, line) == 1;
		    i++) {
			if (line->length == 0) {
				result = 0;
				break;
			}
			sscanf(line->text, "%*1[Hh]%*1[Oo]%*1[Ss]%*1[Tt]: "
			    "%255s", request->host);
		}
	}
	mem_free(line);
	return result;
}

/* --- sending --- */

static void wait_ms(struct lab_link *link, int milliseconds)
{
	struct pollfd gone = { .fd = link->fd, .events = POLLRDHUP };

	if (poll(&gone, 1, milliseconds) > 0)
		lab_link_cut(link);
}

static void drip(struct lab_link *link, const char *data, size_t length)
{
	size_t i;

	for (i = 0; i < length && lab_link_write(link, data + i, 1) == 0; i++)
		wait_ms(link, DRIP_MS);
}

/* The same again and again, until the client has enough or the connection's
 * time is over. */
static void pour(struct lab_link *link, const char *piece)
{
	int64_t deadline = clock_monotonic() + LAB_STALL_MS;
	struct buf many;
	int i;

	buf_init(&many, POUR_LINES * strlen(piece));
	for (i = 0; i < POUR_LINES; i++)
		buf_add_string(&many, piece);
	while (clock_monotonic() < deadline && lab_link_write(link,
	    buf_data(&many), buf_length(&many)) == 0)
		wait_ms(link, POUR_MS);
	buf_release(&many);
	lab_link_cut(link);
}

/* The words do not matter: RFC 9112 4. */
static const char *reason_of(int status)
{
	return status / 100 == 2 ? "OK" : status / 100 == 3 ? "Elsewhere" :
	    "Not so";
}

/* How the length of the body is said: RFC 9112 6. */
static void add_framing(enum fault fault, struct buf *out, size_t length)
{
	switch (fault) {
	case FAULT_ENDLESS:
	case FAULT_CUT_CHUNK:
		buf_add_string(out, "Transfer-Encoding: chunked\r\n");
		break;
	case FAULT_CUT:
		break;		/* it ends with the connection */
	case FAULT_SHORT:
		length += SHORT_BY;
		/* fall through */
	default:
		buf_print(out, "Content-Length: %zu\r\n", length);
	}
}

static void add_head(const struct lab_policy_host *host,
    const struct answer *answer, struct buf *out)
{
	const struct lab_policy *policy = host->policy;
	size_t i;

	buf_print(out, "HTTP/1.1 %d %s\r\nConnection: close\r\n",
	    answer->status, reason_of(answer->status));
	if (*policy->type != '\0')
		buf_print(out, "Content-Type: %s\r\n", policy->type);
	for (i = 0; i < policy->headers.count; i++)
		buf_print(out, "%s\r\n", policy->headers.items[i]);
	if (host->fault == FAULT_GZIP)
		buf_add_string(out, "Content-Encoding: gzip\r\n");
	if (host->fault == FAULT_HEADERS)
		return;		/* there is more of them to come */
	add_framing(host->fault, out, answer->length);
	buf_add_string(out, "\r\n");
}

/* The middle of the last line that is not empty, so that what is there still
 * looks like a policy, but for one value. */
static size_t middle_of_last_line(const char *body, size_t length)
{
	size_t end = length, start;

	while (end > 0 && (body[end - 1] == '\n' || body[end - 1] == '\r'))
		end--;
	for (start = end; start > 0 && body[start - 1] != '\n'; start--)
		continue;
	return start + (end - start) / 2;
}

static void add_chunk(struct buf *out, const char *data, size_t length)
{
	buf_print(out, "%zx\r\n", length);
	buf_add(out, data, length);
	buf_add_string(out, "\r\n");
}

/* A whole chunk, and one of which the end is missing. */
static void add_cut_chunk(struct buf *out, const struct answer *answer)
{
	size_t half = answer->length / 2;
	size_t there = middle_of_last_line(answer->body, answer->length);

	if (there <= half)
		half = there / 2;
	if (half > 0)	/* a chunk of no bytes would be the last one */
		add_chunk(out, answer->body, half);
	buf_print(out, "%zx\r\n", answer->length - half);
	buf_add(out, answer->body + half, there - half);
}

static void add_body(const struct lab_policy_host *host,
    const struct answer *answer, struct buf *out)
{
	switch (host->fault) {
	case FAULT_ENDLESS:
		add_chunk(out, answer->body, answer->length);
		break;
	case FAULT_CUT:
		buf_add(out, answer->body, middle_of_last_line(answer->body,
		    answer->length));
		break;
	case FAULT_CUT_CHUNK:
		add_cut_chunk(out, answer);
		break;
	case FAULT_HEADERS:
		break;
	default:
		buf_add(out, answer->body, answer->length);
	}
}

/* What comes behind the answer, and how it ends. */
static void end_answer(const struct lab_policy_host *host,
    struct lab_link *link)
{
	/* one chunk of 16 bytes each */
	static const char chunk[] = "10\r\nx-more: of that\r\n\r\n";

	if (host->fault == FAULT_ENDLESS)
		pour(link, chunk);
	else if (host->fault == FAULT_HEADERS)
		pour(link, "X-More: of the same, and of the same\r\n");
	else if (host->fault == FAULT_CUT)
		lab_link_cut(link);
	else
		lab_link_close(link);
}

/* What a server that is in order would do with such a request. */
static int status_of(const struct lab_policy_host *host,
    const struct request *request)
{
	if (strcmp(request->method, "GET") != 0)
		return 405;
	return strcmp(request->path, well_known) == 0 ?
	    (int)host->policy->status : 404;
}

static void send_answer(const struct lab_policy_host *host,
    struct lab_link *link, int status)
{
	static const char elsewhere[] = "Not here.\r\n";
	bool ours = status == (int)host->policy->status;
	const struct answer answer = { .status = status,
	    .body = ours ? buf_data(&host->body) : elsewhere,
	    .length = ours ? buf_length(&host->body) :
	    sizeof(elsewhere) - 1 };
	struct buf out;

	buf_init(&out, HEAD_MAX + answer.length);
	add_head(host, &answer, &out);
	add_body(host, &answer, &out);
	if (host->fault == FAULT_DRIP)
		drip(link, buf_data(&out), buf_length(&out));
	else
		lab_link_write(link, buf_data(&out), buf_length(&out));
	buf_release(&out);
	end_answer(host, link);
}

/* --- the connection --- */

static void tell_fetch(const struct lab_policy_host *host,
    const struct lab_link *link, const struct request *request, int status)
{
	const char *sni = SSL_get_servername(link->ssl,
	    TLSEXT_NAMETYPE_host_name);

	lab_event(host->name, "fetch", json_pack("{s:o,s:o,s:o,s:i,s:s}",
	    "path", lab_event_bytes(request->path, strlen(request->path)),
	    "host", lab_event_bytes(request->host, strlen(request->host)),
	    "sni", sni != NULL ? lab_event_bytes(sni, strlen(sni)) :
	    json_null(), "status", status, "fault",
	    lab_policy_fault_words[host->fault]));
}

static void tell_handshake(const struct lab_policy_host *host,
    const struct lab_link *link, bool worked)
{
	json_t *members = json_object();

	if (worked)
		json_object_set_new(members, "version",
		    json_string(SSL_get_version(link->ssl)));
	else
		json_object_set_new(members, "problem", lab_event_bytes(
		    link->problem, strlen(link->problem)));
	lab_event(host->name, "handshake", members);
}

static void run_connection(const struct lab_policy_host *host,
    struct lab_link *link)
{
	struct request request = { .host = "" };
	bool silent = host->fault == FAULT_CLOSE || host->fault == FAULT_STALL;
	bool worked;
	int status;

	if (host->fault == FAULT_RESET) {
		lab_link_reset(link);
		return;
	}
	worked = lab_link_secure(link, host->context, false) == 0;
	tell_handshake(host, link, worked);
	if (!worked || read_request(link, &request) == -1)
		return;
	/* Status 0: no answer at all. */
	status = silent ? 0 : status_of(host, &request);
	tell_fetch(host, link, &request, status);
	if (host->fault == FAULT_CLOSE)
		lab_link_cut(link);
	else if (host->fault == FAULT_STALL)
		lab_link_stall(link);
	else if (host->fault == FAULT_INFORMATIONAL)
		pour(link, "HTTP/1.1 103 Early Hints\r\n"
		    "Link: </style.css>; rel=preload\r\n\r\n");
	else
		send_answer(host, link, status);
}

void lab_policy_host_serve(const struct lab_policy_host *host, int fd,
    const char *client)
{
	struct lab_link link;

	lab_link_init(&link, fd);
	lab_event(host->name, "connect", json_pack("{s:s}", "client",
	    client));
	run_connection(host, &link);
	lab_link_close(&link);
	lab_event(host->name, "end", json_pack("{s:o}", "problem",
	    link.problem[0] != '\0' ? lab_event_bytes(link.problem,
	    strlen(link.problem)) : json_null()));
	lab_link_release(&link);
}

/* --- life cycle --- */

static void add_lines(struct buf *body, const struct lab_policy *policy)
{
	const char *at;

	for (at = policy->body; *at != '\0'; at++)
		if (policy->line_ends != LAB_ENDS_LF || at[0] != '\r' ||
		    at[1] != '\n')
			buf_add_byte(body, *at);
}

/* Lines with a key that nobody knows (RFC 8461 3.2 allows it): so many bytes
 * and no more, their ends included. */
static void add_padding(struct buf *body, const struct lab_policy *policy)
{
	const char *end = policy->line_ends == LAB_ENDS_LF ? "\n" : "\r\n";
	int64_t left = policy->padding;

	while (left >= PADDING_LEAST) {
		int64_t length = left < PADDING_LINE + PADDING_LEAST ? left :
		    PADDING_LINE;
		int64_t fill = length - (int64_t)strlen("x-pad: ") -
		    (int64_t)strlen(end);

		left -= length;
		buf_add_string(body, "x-pad: ");
		while (fill-- > 0)
			buf_add_byte(body, 'x');
		buf_add_string(body, end);
	}
}

/* RFC 1952, of all that is in the buffer. */
static void compress_body(struct buf *body)
{
	size_t length = buf_length(body), most = compressBound(length) + 64;
	z_stream stream = { .next_in = (unsigned char *)mem_dup(
	    buf_data(body), length), .avail_in = (unsigned)length };
	unsigned char *in = stream.next_in, *out = mem_alloc(most);

	stream.next_out = out;
	stream.avail_out = (unsigned)most;
	if (deflateInit2(&stream, Z_DEFAULT_COMPRESSION, Z_DEFLATED, 15 + 16,
	    8, Z_DEFAULT_STRATEGY) != Z_OK ||
	    deflate(&stream, Z_FINISH) != Z_STREAM_END)
		fatal("lab-gzip", log_text("failed", "deflate"));
	buf_reset(body);
	buf_add(body, out, most - stream.avail_out);
	deflateEnd(&stream);
	mem_free(in);
	mem_free(out);
}

/* Called for clients without a name, too (SNI: RFC 6066 3). */
static int on_name(SSL *ssl, int *alert, void *arg)
{
	const struct lab_policy_host *host = arg;
	const char *name = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);

	if (name != NULL && strcasecmp(name, host->name) == 0)
		return SSL_TLSEXT_ERR_OK;
	*alert = SSL_AD_UNRECOGNIZED_NAME;
	return SSL_TLSEXT_ERR_ALERT_FATAL;
}

static SSL_CTX *make_context(struct lab_policy_host *host,
    const struct lab_identity *identity, char *error, size_t size)
{
	const struct lab_policy *policy = host->policy;
	const struct lab_tls_manner manner = { .tickets = 2,
	    .versions = policy->versions.count > 0 ? &policy->versions :
	    NULL };
	char problem[200] = "";
	SSL_CTX *context = lab_link_context(identity, &manner, problem,
	    sizeof(problem));

	if (context == NULL)
		snprintf(error, size, "policy %s: %s", policy->domain,
		    problem);
	else if (policy->needs_name) {
		SSL_CTX_set_tlsext_servername_callback(context, on_name);
		SSL_CTX_set_tlsext_servername_arg(context, host);
	}
	return context;
}

/* Addresses that a network of the lab's does not have by itself. */
static int reach(const struct lab_policy *policy, char *error, size_t size)
{
	size_t i;

	for (i = 0; i < policy->addresses.count; i++)
		if (lab_network_add(policy->addresses.items[i], error,
		    size) == -1)
			return -1;
	return 0;
}

void lab_policy_host_free(struct lab_policy_host *host)
{
	SSL_CTX_free(host->context);
	buf_release(&host->body);
	mem_free(host->name);
	mem_free(host);
}

struct lab_policy_host *lab_policy_host_new(const struct lab_policy *policy,
    const struct lab_identities *identities, char *error, size_t size)
{
	const struct lab_identity *identity = NULL;
	int fault = lab_word_index(lab_policy_fault_words, policy->fault,
	    strlen(policy->fault));
	struct lab_policy_host *host;

	if (*policy->certificate != '\0')
		identity = lab_identity_find(identities, policy->certificate);
	if (fault == -1 || (identity == NULL &&
	    *policy->certificate != '\0')) {
		snprintf(error, size, "policy %s: there is no %s %s",
		    policy->domain, fault == -1 ? "fault" : "certificate",
		    fault == -1 ? policy->fault : policy->certificate);
		return NULL;
	}
	if (reach(policy, error, size) == -1)
		return NULL;
	host = mem_alloc(sizeof(*host));
	host->policy = policy;
	host->fault = (enum fault)fault;
	host->name = mem_print("mta-sts.%s", policy->domain);
	buf_init(&host->body, BODY_MAX);
	add_lines(&host->body, policy);
	add_padding(&host->body, policy);
	if (host->fault == FAULT_GZIP)
		compress_body(&host->body);
	host->context = make_context(host, identity, error, size);
	if (host->context != NULL)
		return host;
	lab_policy_host_free(host);
	return NULL;
}
