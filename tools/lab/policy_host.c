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

#include "base/clock.h"
#include "base/mem.h"
#include "tools/lab/actors_link.h"
#include "tools/lab/certificate.h"
#include "tools/lab/event.h"
#include "tools/lab/scenario.h"

enum { HEADERS_MAX = 100, DRIP_MS = 1000, CHUNK_MS = 10,
    SHORT_BY = 100 };		/* bytes announced and never sent */

static const char well_known[] = "/.well-known/mta-sts.txt";

enum fault { FAULT_NONE, FAULT_CLOSE, FAULT_RESET, FAULT_STALL, FAULT_DRIP,
    FAULT_SHORT, FAULT_ENDLESS, FAULT_BLOCK, FAULT_REFUSE, FAULTS };

static const char *const fault_names[FAULTS] = { "", "close", "reset",
    "stall", "drip", "short", "endless", "block", "refuse" };

struct lab_policy_host {
	const struct lab_policy	*policy;	/* outlives us */
	char			*name;		/* of the actor; owned */
	enum fault		 fault;
	SSL_CTX			*context;	/* owned */
};

struct request {
	char	 method[16];
	char	 path[1024];
	char	 host[256];
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

/* Until the client has enough or the connection's time is over. */
static void pour(struct lab_link *link)
{
	static const char line[] = "x-more: of the same, and of the same\r\n";
	int64_t deadline = clock_monotonic() + LAB_STALL_MS;
	struct buf chunk;
	int i;

	buf_init(&chunk, 16384);
	buf_print(&chunk, "%zx\r\n", 100 * (sizeof(line) - 1));
	for (i = 0; i < 100; i++)
		buf_add_string(&chunk, line);
	buf_add_string(&chunk, "\r\n");
	while (clock_monotonic() < deadline && lab_link_write(link,
	    buf_data(&chunk), buf_length(&chunk)) == 0)
		wait_ms(link, CHUNK_MS);
	buf_release(&chunk);
	lab_link_cut(link);
}

/* The words do not matter: RFC 9112 4. */
static const char *reason_of(int status)
{
	return status / 100 == 2 ? "OK" : status / 100 == 3 ? "Elsewhere" :
	    "Not so";
}

static void add_head(const struct lab_policy_host *host, struct buf *answer,
    int status, size_t length)
{
	const struct lab_policy *policy = host->policy;
	size_t i;

	buf_print(answer, "HTTP/1.1 %d %s\r\nConnection: close\r\n", status,
	    reason_of(status));
	if (*policy->type != '\0')
		buf_print(answer, "Content-Type: %s\r\n", policy->type);
	for (i = 0; i < policy->headers.count; i++)
		buf_print(answer, "%s\r\n", policy->headers.items[i]);
	if (host->fault == FAULT_ENDLESS)
		buf_add_string(answer, "Transfer-Encoding: chunked\r\n\r\n");
	else
		buf_print(answer, "Content-Length: %zu\r\n\r\n", length +
		    (host->fault == FAULT_SHORT ? SHORT_BY : 0));
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
	bool ours = status == (int)host->policy->status;
	const char *body = ours ? host->policy->body : "Not here.\r\n";
	size_t length = strlen(body);
	struct buf answer;

	buf_init(&answer, (1 << 20) + length);
	add_head(host, &answer, status, length);
	if (host->fault == FAULT_ENDLESS)
		buf_print(&answer, "%zx\r\n%s\r\n", length, body);
	else
		buf_add(&answer, body, length);
	if (host->fault == FAULT_DRIP)
		drip(link, buf_data(&answer), buf_length(&answer));
	else
		lab_link_write(link, buf_data(&answer), buf_length(&answer));
	if (host->fault == FAULT_ENDLESS)
		pour(link);
	buf_release(&answer);
	lab_link_close(link);
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
	    fault_names[host->fault]));
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

struct lab_policy_host *lab_policy_host_new(const struct lab_policy *policy,
    const struct lab_identities *identities, char *error, size_t size)
{
	const struct lab_identity *identity = NULL;
	struct lab_policy_host *host;
	int fault = 0;

	while (fault < FAULTS && strcmp(fault_names[fault], policy->fault) !=
	    0)
		fault++;
	if (*policy->certificate != '\0')
		identity = lab_identity_find(identities, policy->certificate);
	if (fault == FAULTS || (identity == NULL &&
	    *policy->certificate != '\0')) {
		snprintf(error, size, "policy %s: there is no %s %s",
		    policy->domain, fault == FAULTS ? "fault" : "certificate",
		    fault == FAULTS ? policy->fault : policy->certificate);
		return NULL;
	}
	host = mem_alloc(sizeof(*host));
	host->policy = policy;
	host->fault = (enum fault)fault;
	host->name = mem_print("mta-sts.%s", policy->domain);
	host->context = lab_link_context(identity);
	return host;
}

void lab_policy_host_free(struct lab_policy_host *host)
{
	SSL_CTX_free(host->context);
	mem_free(host->name);
	mem_free(host);
}
