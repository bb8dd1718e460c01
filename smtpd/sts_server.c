/* SPDX-License-Identifier: ISC */
/*
 * One connection:
 *
 *	HANDSHAKE -> REQUEST <-> ANSWER -> (gone)
 *
 * Each state has its own deadline, and a connection as a whole one more; how
 * many requests it may make is bounded, too. A client can make us hold one
 * request head and one answer. What is not a request that we understand ends
 * the connection, so no two programs can disagree on where the next begins.
 */
#include "smtpd/sts_server.h"

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/queue.h>
#include <time.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/loop.h"
#include "base/mem.h"
#include "base/net.h"
#include "base/process.h"
#include "base/stream.h"
#include "base/tls.h"
#include "conf/conf.h"
#include "smtpd/sts_request.h"
#include "smtpd/sts_site.h"

enum {
	CONNECTIONS_MAX = 256,
	CONNECTIONS_OF_ONE_MAX = 16,	/* IPv4 address, IPv6 /64 */
	REQUESTS_MAX = 20,		/* of one connection */
	STEP_MS = 10 * 1000,
	CONNECTION_MS = 60 * 1000,	/* RFC 8461 3.3: they wait no longer */
	FINISH_MS = 1000,
	ACCEPT_MAX = 16,		/* per turn and socket */
	PAUSE_MS = 250,			/* no descriptor left */
	REPORT_MS = 3600 * 1000,
	EXIT_MS = 100,
	HEAD_MAX = 512, KEY_BYTES = 8
};

enum connection_state { CONNECTION_HANDSHAKE, CONNECTION_REQUEST,
    CONNECTION_ANSWER };

struct connection {
	TAILQ_ENTRY(connection)	 link;
	enum connection_state	 state;		/* connection_enter() only */
	struct stream		*stream;	/* owned */
	struct tls_server	*tls;		/* a reference */
	struct endpoint		 address;
	int64_t			 started;	/* monotonic, ms */
	unsigned		 requests;
	bool			 last;		/* close after the answer */
};

struct listener {
	LIST_ENTRY(listener)	 link;
	char			*name;		/* owned */
	int			 fd;		/* owned */
	struct watch		 watch;
	struct timer		 pause;
};

static struct {
	struct sts_site				*site;	/* owned */
	bool					 started;
	TAILQ_HEAD(, connection)		 connections;
	unsigned				 connection_count;
	LIST_HEAD(, listener)			 listeners;
	struct timer				 report, stop;

	/* since the last report */
	int64_t					 served, refused, failed,
						 turned_away;
} role;

/* --- counts --- */

static void report(void *arg)
{
	(void)arg;
	if (role.served + role.refused + role.failed + role.turned_away > 0)
		log_info("sts-requests", log_number("served", role.served),
		    log_number("refused", role.refused),
		    log_number("failed", role.failed),
		    log_number("turned-away", role.turned_away));
	role.served = role.refused = role.failed = role.turned_away = 0;
	timer_start(&role.report, REPORT_MS, report, NULL);
}

/* --- connections --- */

/* The unit that one holder of addresses has at will. */
static void make_key(uint8_t key[KEY_BYTES], const struct endpoint *address)
{
	memset(key, 0, KEY_BYTES);
	if (address->length == 0)
		return;
	if (address->address.any.sa_family == AF_INET)
		memcpy(key, &address->address.v4.sin_addr, 4);
	else if (address->address.any.sa_family == AF_INET6)
		memcpy(key, &address->address.v6.sin6_addr, KEY_BYTES);
}

static unsigned count_of(const struct endpoint *address)
{
	uint8_t key[KEY_BYTES], other[KEY_BYTES];
	const struct connection *connection;
	unsigned count = 0;

	make_key(key, address);
	TAILQ_FOREACH(connection, &role.connections, link) {
		make_key(other, &connection->address);
		count += memcmp(key, other, KEY_BYTES) == 0;
	}
	return count;
}

/* The stream has been freed or is ending by itself. */
static void connection_free(struct connection *connection)
{
	TAILQ_REMOVE(&role.connections, connection, link);
	role.connection_count--;
	tls_server_free(connection->tls);
	mem_free(connection);
}

static void connection_drop(struct connection *connection, const char *why)
{
	char address[ENDPOINT_TEXT_MAX];

	endpoint_format(&connection->address, address, sizeof(address));
	log_debug("sts-drop", log_text("addr", address), log_text("reason",
	    why));
	stream_free(connection->stream);
	connection_free(connection);
}

static void connection_finish(struct connection *connection)
{
	stream_finish(connection->stream, FINISH_MS);
	connection_free(connection);
}

static void connection_enter(struct connection *connection,
    enum connection_state state)
{
	int64_t left = connection->started + CONNECTION_MS -
	    clock_monotonic();

	connection->state = state;
	stream_deadline(connection->stream, left < 1 ? 1 : left < STEP_MS ?
	    left : STEP_MS);
}

/* --- one request --- */

/* The status of a request that was understood. */
static int judge(const struct connection *connection,
    const struct sts_request *request, const struct sts_page **page)
{
	const char *sni = stream_sni(connection->stream);

	*page = NULL;
	if (request->status != 200)
		return request->status;
	/* RFC 9110 7.4: what was authenticated is what is served. */
	if (sni[0] != '\0' && strcasecmp(sni, request->host) != 0)
		return 421;
	if (request->policy)
		*page = sts_site_find(role.site, request->host);
	return *page != NULL ? 200 : 404;
}

static void log_request(const struct connection *connection,
    const struct sts_request *request, int status)
{
	char address[ENDPOINT_TEXT_MAX];

	endpoint_format(&connection->address, address, sizeof(address));
	log_debug("sts-request", log_text("addr", address),
	    log_text("host", request->host), log_number("status", status),
	    log_text("method", request->status != 200 ? "-" :
	    request->head ? "HEAD" : "GET"));
}

/* RFC 9110 5.6.7, whatever the locale. */
static void format_date(char *out, size_t size)
{
	static const char *const days[] = { "Sun", "Mon", "Tue", "Wed", "Thu",
	    "Fri", "Sat" };
	static const char *const months[] = { "Jan", "Feb", "Mar", "Apr",
	    "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec" };
	time_t now = (time_t)(clock_wall() / 1000);
	struct tm utc;

	if (gmtime_r(&now, &utc) == NULL)
		bug("date");
	snprintf(out, size, "%s, %02d %s %04d %02d:%02d:%02d GMT",
	    days[utc.tm_wday % 7], utc.tm_mday, months[utc.tm_mon % 12],
	    utc.tm_year + 1900, utc.tm_hour, utc.tm_min, utc.tm_sec);
}

/* RFC 8461 3.3: nobody between may keep it, and senders do not. */
static void answer(struct connection *connection,
    const struct sts_request *request)
{
	const struct sts_page *page;
	int status = judge(connection, request, &page);
	const char *text = page != NULL ? page->text :
	    sts_request_reason(status);
	char head[HEAD_MAX], date[40];
	int length;

	connection->last = !request->keep ||
	    ++connection->requests >= REQUESTS_MAX;
	log_request(connection, request, status);
	if (status == 200)
		role.served++;
	else
		role.refused++;
	format_date(date, sizeof(date));
	length = snprintf(head, sizeof(head), "HTTP/1.1 %d %s\r\n"
	    "Date: %s\r\nContent-Type: text/plain\r\nContent-Length: %zu\r\n"
	    "Cache-Control: no-store\r\n%sConnection: %s\r\n\r\n", status,
	    sts_request_reason(status), date, strlen(text), status == 405 ?
	    "Allow: GET, HEAD\r\n" : "", connection->last ? "close" :
	    "keep-alive");
	if (length < 0 || (size_t)length >= sizeof(head))
		bug("an answer's head is too long");
	connection_enter(connection, CONNECTION_ANSWER);
	if (stream_write(connection->stream, head, (size_t)length) == -1 ||
	    (!request->head && stream_write(connection->stream, text,
	    strlen(text)) == -1))
		bug("an answer is too long");
}

/* One at a time: the next is read when the answer has left. */
static void read_request(struct connection *connection)
{
	struct buf *input = stream_input(connection->stream);
	struct sts_request request;

	if (connection->state != CONNECTION_REQUEST)
		return;
	sts_request_read(&request, buf_data(input), buf_length(input));
	if (request.status == 0)
		return;
	buf_consume(input, request.length);
	stream_consumed(connection->stream);
	answer(connection, &request);
}

static void on_drained(struct connection *connection)
{
	if (connection->state != CONNECTION_ANSWER)
		return;
	if (connection->last) {
		connection_finish(connection);
		return;
	}
	connection_enter(connection, CONNECTION_REQUEST);
	read_request(connection);
}

static void on_event(void *arg, struct stream *stream,
    enum stream_event event)
{
	struct connection *connection = arg;

	switch (event) {
	case STREAM_SECURED:
		connection_enter(connection, CONNECTION_REQUEST);
		read_request(connection);
		break;
	case STREAM_INPUT:
		read_request(connection);
		break;
	case STREAM_DRAINED:
		on_drained(connection);
		break;
	case STREAM_END:
		/* Who has said all may still wait for the answer. */
		if (connection->state == CONNECTION_ANSWER)
			connection->last = true;
		else
			connection_finish(connection);
		break;
	case STREAM_DEADLINE:
		role.failed++;
		connection_drop(connection, "deadline");
		break;
	default:
		role.failed += event == STREAM_FAILED;
		connection_drop(connection, event == STREAM_FAILED ?
		    stream_problem(stream) : "truncated");
		break;
	}
}

static void begin(int fd, const struct endpoint *address)
{
	struct connection *connection;

	if (role.connection_count >= CONNECTIONS_MAX || net_is_scarce(fd) ||
	    count_of(address) >= CONNECTIONS_OF_ONE_MAX ||
	    tls_server_is_empty(role.site->tls)) {
		role.turned_away++;
		close(fd);
		return;
	}
	connection = mem_alloc(sizeof(*connection));
	connection->address = *address;
	connection->started = clock_monotonic();
	connection->tls = tls_server_share(role.site->tls);
	connection->stream = stream_new(fd, STS_REQUEST_MAX, on_event,
	    connection);
	TAILQ_INSERT_TAIL(&role.connections, connection, link);
	role.connection_count++;
	connection_enter(connection, CONNECTION_HANDSHAKE);
	stream_secure_server(connection->stream, connection->tls);
}

/* --- listeners --- */

static void on_pause_over(void *arg)
{
	struct listener *listener = arg;

	watch_set(&listener->watch, WATCH_READ);
}

static void on_readable(void *arg, int flags)
{
	struct listener *listener = arg;
	struct endpoint address;
	int fd;

	(void)flags;
	for (unsigned i = 0; i < ACCEPT_MAX; i++) {
		fd = net_accept(listener->fd, &address);
		if (fd != -1) {
			begin(fd, &address);
		} else if (errno != EINTR && errno != ECONNABORTED &&
		    errno != EPROTO) {
			if (errno == EAGAIN)
				return;
			log_warn("accept", log_text("listener",
			    listener->name), log_errno(errno));
			watch_set(&listener->watch, 0);
			timer_start(&listener->pause, PAUSE_MS, on_pause_over,
			    listener);
			return;
		}
	}
}

static void listener_free(struct listener *listener)
{
	LIST_REMOVE(listener, link);
	timer_stop(&listener->pause);
	watch_release(&listener->watch);
	close(listener->fd);
	mem_free(listener->name);
	mem_free(listener);
}

static void set_listener(const char *name, int fd)
{
	struct listener *listener;

	LIST_FOREACH(listener, &role.listeners, link)
		if (strcmp(listener->name, name) == 0) {
			listener_free(listener);
			break;
		}
	if (fd == -1)
		return;
	listener = mem_alloc(sizeof(*listener));
	listener->name = mem_dup_string(name);
	listener->fd = fd;
	watch_init(&listener->watch, fd, on_readable, listener);
	watch_set(&listener->watch, WATCH_READ);
	LIST_INSERT_HEAD(&role.listeners, listener, link);
}

/* --- the role --- */

static int configure(const void *bundle, size_t length, char *error,
    size_t size)
{
	struct sts_site *site = sts_site_new(bundle, length, error, size);

	if (site == NULL)
		return -1;
	sts_site_free(role.site);
	role.site = site;
	return 0;
}

static void prepare(void)
{
	tls_init();
}

static void start(void)
{
	TAILQ_INIT(&role.connections);
	LIST_INIT(&role.listeners);
	role.started = true;
	report(NULL);
}

/* It talks to nobody. */
static void peer(const struct process_peer *from, int fd)
{
	log_error("unexpected-peer", log_text("peer", role_name(from->role)));
	close(fd);
}

static void leave(void *arg)
{
	(void)arg;
	timer_stop(&role.report);
	timer_stop(&role.stop);
	process_exit(0);
}

/* A fetch that is cut off is tried again. */
static void stop(void)
{
	struct connection *connection, *next;

	if (!role.started) {
		process_exit(0);
		return;
	}
	while (!LIST_EMPTY(&role.listeners))
		listener_free(LIST_FIRST(&role.listeners));
	report(NULL);
	for (connection = TAILQ_FIRST(&role.connections); connection != NULL;
	    connection = next) {
		next = TAILQ_NEXT(connection, link);
		connection_finish(connection);
	}
	timer_start(&role.stop, EXIT_MS, leave, NULL);
}

const struct role_entry sts_entry = {
	.role = ROLE_STS,
	.configure = configure,
	.prepare = prepare,
	.start = start,
	.peer = peer,
	.listener = set_listener,
	.stop = stop,
};
