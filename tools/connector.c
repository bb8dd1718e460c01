/* SPDX-License-Identifier: ISC */
/*
 * A connect() to a Unix socket is over at once, but for a full backlog, which
 * is EAGAIN: then a timer tries again, shorter than the role waits.
 */
#include "tools/connector.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>
#include <sys/queue.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/loop.h"
#include "base/mem.h"
#include "base/net.h"
#include "base/process.h"
#include "base/process_message.h"
#include "conf/conf.h"
#include "tools/child.h"

enum { AGAIN_MILLISECONDS = 50,
    PATIENCE_MILLISECONDS = (PROCESS_CONNECT_SECONDS - 2) * 1000 };

/* A connection to a server that is busy. */
struct attempt {
	struct child		*child;		/* outlives us */
	uint32_t		 request;
	char			*path;		/* owned */
	int64_t			 deadline;	/* monotonic, ms */
	struct timer		 timer;
	LIST_ENTRY(attempt)	 link;
};

static LIST_HEAD(, attempt) attempts = LIST_HEAD_INITIALIZER(attempts);

/* Does the configuration name that socket for that role? */
static bool is_named(const struct conf *conf, enum role role, const char *path)
{
	if (path[0] == '\0')
		return false;
	if (role == ROLE_DIRECTORY)
		return strcmp(conf->auth_socket, path) == 0;
	for (size_t i = 0; role == ROLE_SMTPD && i < conf->milter_count; i++)
		if (strcmp(conf->milters[i].socket, path) == 0)
			return true;
	for (size_t i = 0; role == ROLE_DELIVERY && i < conf->route_count; i++)
		if (conf->routes[i].transport == TRANSPORT_LMTP &&
		    strcmp(conf->routes[i].socket, path) == 0)
			return true;
	return false;
}

static void forget(struct attempt *attempt)
{
	timer_stop(&attempt->timer);
	LIST_REMOVE(attempt, link);
	mem_free(attempt->path);
	mem_free(attempt);
}

/* 0 if the child has its answer, -1 if it is to be tried again. */
static int try(struct child *child, uint32_t request, const char *path,
    bool last)
{
	int fd = net_connect_unix(path);
	int error = errno;

	if (fd == -1 && error == EAGAIN && !last)
		return -1;
	if (fd == -1)
		log_info("cannot connect for a role",
		    log_text("role", role_name(child->role)),
		    log_text("path", path), log_errno(error));
	child_send_connection(child, request, fd, error);
	if (fd != -1)
		close(fd);
	return 0;
}

static void on_again(void *arg)
{
	struct attempt *attempt = arg;

	if (try(attempt->child, attempt->request, attempt->path,
	    clock_monotonic() >= attempt->deadline) == 0)
		forget(attempt);
	else
		timer_start(&attempt->timer, AGAIN_MILLISECONDS, on_again,
		    attempt);
}

static unsigned attempts_of(const struct child *child)
{
	const struct attempt *attempt;
	unsigned found = 0;

	LIST_FOREACH(attempt, &attempts, link)
		found += attempt->child == child;
	return found;
}

void connector_ask(const struct conf *conf, struct child *child,
    uint32_t request, const char *path)
{
	struct attempt *attempt;

	if (!is_named(conf, child->role, path)) {
		log_warn("a role asks for a socket that is not its",
		    log_text("role", role_name(child->role)),
		    log_text("path", path));
		child_send_connection(child, request, -1, EACCES);
		return;
	}
	if (try(child, request, path,
	    attempts_of(child) >= PROCESS_CONNECT_MAX) == 0)
		return;
	attempt = mem_alloc(sizeof(*attempt));
	attempt->child = child;
	attempt->request = request;
	attempt->path = mem_dup_string(path);
	attempt->deadline = clock_monotonic() + PATIENCE_MILLISECONDS;
	LIST_INSERT_HEAD(&attempts, attempt, link);
	timer_start(&attempt->timer, AGAIN_MILLISECONDS, on_again, attempt);
}

void connector_forget(const struct child *child)
{
	struct attempt *attempt, *next;

	for (attempt = LIST_FIRST(&attempts); attempt != NULL;
	    attempt = next) {
		next = LIST_NEXT(attempt, link);
		if (attempt->child == child)
			forget(attempt);
	}
}
