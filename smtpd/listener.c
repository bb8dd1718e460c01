/* SPDX-License-Identifier: ISC */
/*
 * Accepting. The limit on all sessions is this process's share of it, which
 * bounds its memory; the limit per client is on all processes together. Two
 * that accept at the same moment may each let in the last one. Connections
 * that a load balancer passes on are counted before they say whose they are,
 * and again, as the client's, behind that.
 */
#include "smtpd/listener.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sched.h>
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
#include "smtpd/origin.h"
#include "smtpd/proxy.h"
#include "smtpd/refusal.h"
#include "smtpd/rules.h"
#include "smtpd/server.h"
#include "smtpd/session.h"
#include "smtpd/smtpd_log.h"

enum {
	/* Per turn and socket: others accept from it, too. */
	ACCEPT_MAX = 16,
	/* After an error that another try would only repeat, and without an
	 * offer to take more after a refusal. */
	PAUSE_MS = 250,
	/* Turns of the loop in which others with fewer sessions may take what
	 * has come, and how often that is done in vain. */
	SKIPS_MAX = 64,
	VAIN_MAX = 16,
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
	bool			 rests;		/* pause is running */
	unsigned		 skips;		/* turns, in a row */
	unsigned		 vain;		/* ... as many as there may be */
	unsigned		 least;		/* sessions of others, then */
	struct endpoint		 local;		/* length 0: of any address */
	int			 family;
	int64_t			 complained;	/* monotonic */
	LIST_HEAD(, arrival)	 arrivals;	/* owned */
};

/* A connection from a load balancer whose PROXY header is not whole yet. */
struct arrival {
	LIST_ENTRY(arrival)	 link;
	struct listener		*listener;	/* outlives us */
	int			 fd;		/* owned */
	struct origin		 origin;	/* the balancer's */
	struct watch		 watch;
	struct timer		 deadline;
	unsigned char		 header[PROXY_BYTES_MAX];
	size_t			 length;	/* taken from the socket */
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

/* Others count on us while all of our listeners accept, and what comes is not
 * refused: the fewest sessions would draw all connections there. */
static void offer(struct listeners *listeners)
{
	client_table_offer(listeners->server->clients,
	    listeners->resting == 0 &&
	    !timer_is_running(&listeners->refusing));
}

static void on_refusing_over(void *arg)
{
	offer(arg);
}

/* There is no room, or there are no descriptors. */
static void withdraw(struct listeners *listeners)
{
	timer_start(&listeners->refusing, PAUSE_MS, on_refusing_over,
	    listeners);
	offer(listeners);
}

static bool is_full(const struct listeners *listeners)
{
	return listeners->server->session_count + listeners->arrivals >=
	    server_session_limit(listeners->server);
}

/* Before anything is known of the client: is there room for one more, and
 * does it belong to a listener that is still there? Null after a refusal. */
static const struct reception *admit(struct listener *listener, int fd,
    const struct endpoint *address)
{
	struct listeners *listeners = listener->listeners;
	struct server *server = listeners->server;
	const struct reception *reception = rules_reception_find(server->rules,
	    listener->conf_name);

	if (reception == NULL || server->stopping) {
		turn_away(listener, fd, address, &refusal_stopping);
	} else if (is_full(listeners)) {
		withdraw(listeners);
		turn_away(listener, fd, address, &refusal_busy);
	} else {
		return reception;
	}
	return NULL;
}

/* The limit of the listener holds for its sessions, that of all for those
 * that come elsewhere. */
static bool is_busy(const struct server *server,
    const struct conf_listener *listener, const struct origin *origin)
{
	int64_t own = listener->max_sessions_per_client;
	int64_t limit = own > 0 ? own :
	    server->rules->conf->max_sessions_per_client;

	return client_sessions(server->clients, origin,
	    own > 0 ? listener : NULL) >= (uint64_t)limit;
}

static void begin_session(struct listener *listener, int fd,
    const struct origin *origin, const struct reception *reception)
{
	struct server *server = listener->listeners->server;

	if (is_busy(server, reception->listener, origin))
		turn_away(listener, fd, &origin->address,
		    &refusal_busy_client);
	else
		session_start(server, fd, origin, reception);
}

/* --- behind a load balancer --- */

static void count_arrivals(struct listeners *listeners, unsigned arrivals)
{
	listeners->arrivals = arrivals;
	client_table_arrivals(listeners->server->clients, arrivals);
}

static void arrival_free(struct arrival *arrival)
{
	struct listeners *listeners = arrival->listener->listeners;

	LIST_REMOVE(arrival, link);
	count_arrivals(listeners, listeners->arrivals - 1);
	timer_stop(&arrival->deadline);
	watch_release(&arrival->watch);
	if (arrival->fd != -1)
		close(arrival->fd);
	mem_free(arrival);
}

/* Not a word to it: whoever is there does not speak as agreed. */
static void arrival_fail(struct arrival *arrival, const char *reason)
{
	smtpd_log_refused(&arrival->origin.address, reason);
	arrival_free(arrival);
}

static void on_arrival_time(void *arg)
{
	arrival_fail(arg, "no PROXY header in time");
}

/* The header is whole and gone from the socket. */
static void arrival_end(struct arrival *arrival, const struct proxy *proxy,
    enum proxy_result result)
{
	struct listener *listener = arrival->listener;
	struct origin origin = arrival->origin;
	const struct reception *reception;
	int fd = arrival->fd;

	if (result == PROXY_CLIENT) {
		origin.address = proxy->client;
		origin.local = proxy->local;
	}
	origin.is_nameless = result == PROXY_UNKNOWN;
	arrival->fd = -1;
	arrival_free(arrival);
	reception = admit(listener, fd, &origin.address);
	if (reception != NULL)
		begin_session(listener, fd, &origin, reception);
}

/*
 * Looks at what is there and takes no byte behind the header: those are the
 * client's, and may be TLS.
 */
static void on_arrival(void *arg, int flags)
{
	struct arrival *arrival = arg;
	unsigned char *end = arrival->header + arrival->length;
	size_t room = sizeof(arrival->header) - arrival->length;
	enum proxy_result result;
	struct proxy proxy;
	ssize_t seen;

	(void)flags;
	seen = recv(arrival->fd, end, room, MSG_PEEK | MSG_DONTWAIT);
	if (seen < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (seen <= 0) {
		arrival_fail(arrival, "closed before its PROXY header");
		return;
	}
	result = proxy_parse(&proxy, arrival->header,
	    arrival->length + (size_t)seen);
	if (result == PROXY_BAD ||
	    (result == PROXY_MORE && (size_t)seen == room)) {
		arrival_fail(arrival, "no PROXY header");
		return;
	}
	if (result != PROXY_MORE)
		seen = (ssize_t)(proxy.used - arrival->length);
	/* It is there: this cannot come short. */
	if (recv(arrival->fd, end, (size_t)seen, MSG_DONTWAIT) != seen) {
		arrival_fail(arrival, "no PROXY header");
		return;
	}
	arrival->length += (size_t)seen;
	if (result != PROXY_MORE)
		arrival_end(arrival, &proxy, result);
}

static void arrival_start(struct listener *listener, int fd,
    const struct origin *origin)
{
	const struct conf *conf = listener->listeners->server->rules->conf;
	struct arrival *arrival = mem_alloc(sizeof(*arrival));

	arrival->listener = listener;
	arrival->fd = fd;
	arrival->origin = *origin;
	LIST_INSERT_HEAD(&listener->arrivals, arrival, link);
	count_arrivals(listener->listeners, listener->listeners->arrivals + 1);
	watch_init(&arrival->watch, fd, on_arrival, arrival);
	watch_set(&arrival->watch, WATCH_READ);
	timer_start(&arrival->deadline, conf->handshake_timeout * 1000,
	    on_arrival_time, arrival);
}

/* --- accepting --- */

/* The user behind a Unix socket, as the kernel saw him connect. */
static int64_t find_user(const struct listener *listener, int fd)
{
	struct ucred user;
	socklen_t length = sizeof(user);

	if (listener->family != AF_UNIX ||
	    getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &user, &length) != 0)
		return -1;
	return (int64_t)user.uid;
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

static void complain(struct listener *listener, int error)
{
	if (may_complain(listener))
		log_warn("accept", log_text("listener", listener->name),
		    log_errno(error));
}

/* The descriptors that are left are for others than clients. */
static void refuse_scarce(struct listener *listener, int fd,
    const struct endpoint *address)
{
	complain(listener, EMFILE);
	withdraw(listener->listeners);
	turn_away(listener, fd, address, &refusal_busy);
}

static void begin(struct listener *listener, int fd,
    const struct endpoint *address)
{
	struct origin origin = { .address = *address };
	const struct reception *reception = admit(listener, fd, address);

	if (reception == NULL)
		return;
	if (listener->local.length > 0)
		origin.local = listener->local;
	else
		net_local(fd, &origin.local);
	origin.uid = find_user(listener, fd);
	if (conf_networks_contain(&reception->listener->proxy_from, address))
		arrival_start(listener, fd, &origin);
	else
		begin_session(listener, fd, &origin, reception);
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

static void set_resting(struct listener *listener, bool rests)
{
	struct listeners *listeners = listener->listeners;

	if (listener->rests == rests)
		return;
	listener->rests = rests;
	listeners->resting += rests ? 1 : -1;
	offer(listeners);
}

static void on_pause_over(void *arg)
{
	struct listener *listener = arg;

	set_resting(listener, false);
	watch_set(&listener->watch, WATCH_READ);
}

static void rest(struct listener *listener, int milliseconds)
{
	set_resting(listener, true);
	watch_set(&listener->watch, 0);
	timer_start(&listener->pause, milliseconds, on_pause_over, listener);
}

static enum client_room find_room(const struct listeners *listeners)
{
	if (timer_is_running(&listeners->refusing))
		return CLIENT_ROOM_NONE;
	return is_full(listeners) ? CLIENT_ROOM_FULL : CLIENT_ROOM_THERE;
}

/*
 * Where another process has fewer sessions it goes first: it was woken by the
 * same connection. For some turns it is left there, and the processor to whom
 * it may concern; then we take it. Who never comes, and has no other number of
 * sessions than before, may be dead or stuck: that ends the courtesy.
 */
static bool let_others_go_first(struct listener *listener)
{
	const struct listeners *listeners = listener->listeners;
	unsigned least;
	bool is_ahead = client_table_is_ahead(listeners->server->clients,
	    find_room(listeners), &least);

	if (!is_ahead || least != listener->least)
		listener->skips = listener->vain = 0;
	listener->least = least;
	if (!is_ahead || listener->vain >= VAIN_MAX)
		return false;
	if (listener->skips++ < SKIPS_MAX) {
		sched_yield();
		return true;
	}
	listener->skips = 0;
	listener->vain++;
	return false;
}

static void begin_accepting(void *arg)
{
	struct listener *listener = arg;

	set_resting(listener, true);
	if (listener->pauses++ < QUEUE_PAUSES &&
	    !queue_client_is_connected(listener->listeners->server->queue))
		timer_start(&listener->pause, QUEUE_PAUSE_MS, begin_accepting,
		    listener);
	else
		on_pause_over(listener);
}

/* True when it makes sense to try again at once. */
static bool on_accept_error(struct listener *listener, int error)
{
	bool full = error == EMFILE || error == ENFILE;

	if (full) {
		complain(listener, error);
		withdraw(listener->listeners);
		error = shed(listener);
	}
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
	complain(listener, error);
	rest(listener, PAUSE_MS);
	return false;
}

static void on_readable(void *arg, int flags)
{
	struct listener *listener = arg;
	struct endpoint address;
	int fd;

	(void)flags;
	for (unsigned i = 0; i < ACCEPT_MAX; i++) {
		if (let_others_go_first(listener))
			return;
		fd = net_accept(listener->fd, &address);
		if (fd != -1 && net_is_scarce(fd))
			refuse_scarce(listener, fd, &address);
		else if (fd != -1)
			begin(listener, fd, &address);
		else if (!on_accept_error(listener, errno))
			return;
	}
}

static void listener_free(struct listener *listener)
{
	while (!LIST_EMPTY(&listener->arrivals))
		arrival_free(LIST_FIRST(&listener->arrivals));
	LIST_REMOVE(listener, link);
	timer_stop(&listener->pause);
	set_resting(listener, false);
	watch_release(&listener->watch);
	close(listener->fd);
	mem_free(listener->name);
	mem_free(listener->conf_name);
	mem_free(listener);
}

/* Bound to one address it needs not be asked for with each connection. */
static void find_local(struct listener *listener)
{
	struct endpoint *local = &listener->local;
	static const struct in6_addr any;

	net_local(listener->fd, local);
	listener->family = local->length == 0 ? AF_UNSPEC :
	    local->address.any.sa_family;
	if (listener->family == AF_INET ?
	    local->address.v4.sin_addr.s_addr == INADDR_ANY :
	    listener->family == AF_INET6 &&
	    memcmp(&local->address.v6.sin6_addr, &any, sizeof(any)) == 0)
		memset(local, 0, sizeof(*local));
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
	find_local(listener);
	LIST_INIT(&listener->arrivals);
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
	timer_stop(&listeners->refusing);
	client_table_offer(listeners->server->clients, false);
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
