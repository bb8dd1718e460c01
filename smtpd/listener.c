/* SPDX-License-Identifier: ISC */
/*
 * Accepting. The limit on all sessions is this process's share of it, which
 * bounds its memory; the limit per client is on all processes together. Two
 * that accept at the same moment may each let in the last one.
 */
#include "smtpd/listener.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/loop.h"
#include "base/mem.h"
#include "base/net.h"
#include "conf/conf.h"
#include "queue/client.h"
#include "smtpd/client.h"
#include "smtpd/refusal.h"
#include "smtpd/rules.h"
#include "smtpd/server.h"
#include "smtpd/session.h"
#include "smtpd/smtpd_log.h"

enum {
	/* Per turn and socket: others accept from it, too. */
	ACCEPT_MAX = 16,
	/* After an error that another try would only repeat. */
	PAUSE_MS = 250,
	/* A new process gives the queue so long before it greets anybody:
	 * without it there is only 451 to be had. */
	QUEUE_PAUSE_MS = 20,
	QUEUE_PAUSES = 100,
	COMPLAIN_MS = 10 * 1000
};

struct listener {
	LIST_ENTRY(listener)	 link;
	struct listeners	*listeners;	/* outlives us */
	char			*name;		/* owned; "smtp@192.0.2.1:25" */
	char			*conf_name;	/* owned; "smtp" */
	int			 fd;		/* owned */
	struct watch		 watch;
	struct timer		 pause;
	unsigned		 pauses;	/* for the queue */
	int64_t			 complained;	/* monotonic */
};

/* One line and away: a stranger in a full house costs no session. */
static void turn_away(struct listener *listener, int fd,
    const struct endpoint *address, const struct refusal *refusal)
{
	const struct rules *rules = listener->listeners->server->rules;
	char line[512];
	int length;

	length = snprintf(line, sizeof(line), "%u %s %s %s\r\n",
	    (unsigned)refusal->code, refusal->enhanced, rules->conf->hostname,
	    refusal->text);
	smtpd_log_refused(address, refusal->text);
	/* A new socket has room for a line; if not, so be it. */
	if (length > 0 && (size_t)length < sizeof(line))
		(void)!send(fd, line, (size_t)length,
		    MSG_DONTWAIT | MSG_NOSIGNAL);
	close(fd);
}

static void begin(struct listener *listener, int fd,
    const struct endpoint *address)
{
	struct server *server = listener->listeners->server;
	const struct conf *conf = server->rules->conf;
	const struct conf_listener *rules =
	    rules_listener_find(server->rules, listener->conf_name);

	if (rules == NULL || server->stopping)
		turn_away(listener, fd, address, &refusal_stopping);
	else if (server->session_count >= server_session_limit(server))
		turn_away(listener, fd, address, &refusal_busy);
	else if (client_sessions(server->clients, address) >=
	    (uint64_t)conf->max_sessions_per_client)
		turn_away(listener, fd, address, &refusal_busy_client);
	else
		session_start(server, fd, address, rules);
}

static bool may_complain(struct listener *listener)
{
	int64_t now = clock_monotonic();

	if (listener->complained != 0 &&
	    now - listener->complained < COMPLAIN_MS)
		return false;
	listener->complained = now;
	return true;
}

/*
 * No descriptor is left: with the spare one the client is taken off the queue
 * and dropped, so that it tries another host, and the loop does not spin.
 * Returns the errno of the accept, 0 if a client was dropped; the kernel says
 * EMFILE also when nobody waits.
 */
static int shed(struct listener *listener)
{
	struct listeners *listeners = listener->listeners;
	struct endpoint address;
	int fd, error = 0;

	if (listeners->spare != -1)
		close(listeners->spare);
	fd = net_accept(listener->fd, &address);
	if (fd != -1)
		turn_away(listener, fd, &address, &refusal_busy);
	else
		error = errno;
	listeners->spare = fcntl(listener->fd, F_DUPFD_CLOEXEC, 0);
	return error;
}

static void on_pause_over(void *arg)
{
	struct listener *listener = arg;

	watch_set(&listener->watch, WATCH_READ);
}

static void begin_accepting(void *arg)
{
	struct listener *listener = arg;

	if (listener->pauses++ < QUEUE_PAUSES &&
	    !queue_client_is_connected(listener->listeners->server->queue))
		timer_start(&listener->pause, QUEUE_PAUSE_MS, begin_accepting,
		    listener);
	else
		watch_set(&listener->watch, WATCH_READ);
}

/* True when it makes sense to try again at once. */
static bool on_accept_error(struct listener *listener, int error)
{
	bool full = error == EMFILE || error == ENFILE;

	if (full && may_complain(listener))
		log_warn("accept", log_text("listener", listener->name),
		    log_errno(error));
	if (full)
		error = shed(listener);
	switch (error) {
	case EAGAIN:
		return false;
	case 0:
	case EINTR:
	case ECONNABORTED:
	case EPROTO:
		return true;
	default:
		break;
	}
	if (may_complain(listener))
		log_warn("accept", log_text("listener", listener->name),
		    log_errno(error));
	watch_set(&listener->watch, 0);
	timer_start(&listener->pause, PAUSE_MS, on_pause_over, listener);
	return false;
}

static void on_readable(void *arg, int flags)
{
	struct listener *listener = arg;
	struct endpoint address;
	int fd;

	(void)flags;
	for (unsigned i = 0; i < ACCEPT_MAX; i++) {
		fd = net_accept(listener->fd, &address);
		if (fd != -1)
			begin(listener, fd, &address);
		else if (!on_accept_error(listener, errno))
			return;
	}
}

static void listener_free(struct listener *listener)
{
	LIST_REMOVE(listener, link);
	timer_stop(&listener->pause);
	watch_release(&listener->watch);
	close(listener->fd);
	mem_free(listener->name);
	mem_free(listener->conf_name);
	mem_free(listener);
}

static void listener_new(struct listeners *listeners, const char *name, int fd)
{
	struct listener *listener = mem_alloc(sizeof(*listener));
	char *at;

	listener->listeners = listeners;
	listener->name = mem_dup_string(name);
	listener->conf_name = mem_dup_string(name);
	at = strchr(listener->conf_name, '@');
	if (at != NULL)
		*at = '\0';
	listener->fd = fd;
	watch_init(&listener->watch, fd, on_readable, listener);
	begin_accepting(listener);
	LIST_INSERT_HEAD(&listeners->items, listener, link);
}

void listeners_init(struct listeners *listeners, struct server *server)
{
	memset(listeners, 0, sizeof(*listeners));
	listeners->server = server;
	LIST_INIT(&listeners->items);
	/* Any descriptor will do; there may be no file system to open. */
	listeners->spare = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 0);
}

void listeners_end(struct listeners *listeners)
{
	while (!LIST_EMPTY(&listeners->items))
		listener_free(LIST_FIRST(&listeners->items));
	if (listeners->spare != -1)
		close(listeners->spare);
	listeners->spare = -1;
}

void listeners_set(struct listeners *listeners, const char *name, int fd)
{
	struct listener *listener;

	LIST_FOREACH(listener, &listeners->items, link)
		if (strcmp(listener->name, name) == 0) {
			listener_free(listener);
			break;
		}
	if (fd != -1)
		listener_new(listeners, name, fd);
}
