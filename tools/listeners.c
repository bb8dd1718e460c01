/* SPDX-License-Identifier: ISC */
/*
 * Opening the sockets of the configuration. "0.0.0.0" and "::" by default; a
 * machine without IPv6 is not an error when the address was the default one.
 */
#include "tools/listeners.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/net.h"
#include "conf/conf.h"

enum { BACKLOG = 1024 };

static void add(struct listeners *listeners, const char *name, int fd)
{
	listeners->items = mem_resize(listeners->items, listeners->count + 1,
	    sizeof(*listeners->items));
	listeners->items[listeners->count].name = mem_dup_string(name);
	listeners->items[listeners->count].fd = fd;
	listeners->count++;
}

/* The socket in listeners that is bound as name says, whatever its section is
 * called: a name is SECTION@ADDRESS:PORT. -1 if there is none. */
static int find_bound(const struct listeners *listeners, const char *name)
{
	const char *place = strchr(name, '@');
	size_t i;

	for (i = 0; listeners != NULL && i < listeners->count; i++)
		if (strcmp(strchr(listeners->items[i].name, '@'), place) == 0)
			return (int)i;
	return -1;
}

/* The name of a socket with the same port; null if there is none. */
static const char *find_port(const struct listeners *listeners,
    const char *name)
{
	const char *port = strrchr(name, ':');
	size_t i;

	for (i = 0; listeners != NULL && i < listeners->count; i++)
		if (strcmp(strrchr(listeners->items[i].name, ':'), port) == 0)
			return listeners->items[i].name;
	return NULL;
}

static void explain(char **errors, const char *name,
    const struct listeners *old)
{
	int error_number = errno;
	const char *remedy = "", *ours = find_port(old, name);

	if (error_number == EADDRINUSE && ours != NULL) {
		*errors = mem_print("cannot listen on %s while this server "
		    "listens on %s: the address of a port changes with a "
		    "restart only", name, ours);
		return;
	}
	if (error_number == EADDRINUSE)
		remedy = ": another program (or another Postern) listens "
		    "there; stop it, or choose another port";
	else if (error_number == EACCES)
		remedy = ": ports below 1024 need root or "
		    "CAP_NET_BIND_SERVICE";
	else if (error_number == EADDRNOTAVAIL)
		remedy = ": this machine does not have that address";
	*errors = mem_print("cannot listen on %s: %s%s", name,
	    strerror(error_number), remedy);
}

/* A socket that is open already moves over to the new set. */
static int take_over(struct listeners *old, const char *name)
{
	int i = find_bound(old, name);
	int fd;

	if (i == -1)
		return -1;
	fd = old->items[i].fd;
	old->items[i].fd = -1;
	return fd;
}

static int open_one(struct listeners *listeners,
    const struct conf_listener *conf, const char *address,
    struct listeners *old, char **errors)
{
	bool optional = strcmp(address, "::") == 0 &&
	    conf->addresses.count > 1;
	struct endpoint endpoint;
	int fd, result = 0;
	char *name;

	name = mem_print("%s@%s:%d", conf->name, address, (int)conf->port);
	fd = take_over(old, name);
	if (fd == -1) {
		if (endpoint_parse(&endpoint, address,
		    (uint16_t)conf->port) == -1) {
			*errors = mem_print("listen %s: \"%s\" is not an "
			    "address", conf->name, address);
			mem_free(name);
			return -1;
		}
		fd = net_listen(&endpoint, BACKLOG);
	}
	if (fd != -1) {
		add(listeners, name, fd);
	} else if (optional && (errno == EAFNOSUPPORT ||
	    errno == EADDRNOTAVAIL)) {
		log_warn("no IPv6 on this machine: not listening",
		    log_text("listener", name));
	} else {
		explain(errors, name, old);
		result = -1;
	}
	mem_free(name);
	return result;
}

/* Gives the sockets that moved back to where they were. */
static void give_back(struct listeners *listeners, struct listeners *old)
{
	size_t i;
	int at;

	for (i = 0; old != NULL && i < listeners->count; i++) {
		at = find_bound(old, listeners->items[i].name);
		if (at != -1) {
			old->items[at].fd = listeners->items[i].fd;
			listeners->items[i].fd = -1;
		}
	}
	listeners_release(listeners);
}

int listeners_open(struct listeners *listeners, const struct conf *conf,
    struct listeners *old, char **errors)
{
	const struct conf_listener *one;
	size_t i, j;

	memset(listeners, 0, sizeof(*listeners));
	for (i = 0; i < conf->listener_count; i++) {
		one = &conf->listeners[i];
		for (j = 0; j < one->addresses.count; j++)
			if (open_one(listeners, one, one->addresses.items[j],
			    old, errors) == -1) {
				give_back(listeners, old);
				return -1;
			}
	}
	return 0;
}

void listeners_release(struct listeners *listeners)
{
	size_t i;

	for (i = 0; i < listeners->count; i++) {
		if (listeners->items[i].fd != -1)
			close(listeners->items[i].fd);
		mem_free(listeners->items[i].name);
	}
	mem_free(listeners->items);
	memset(listeners, 0, sizeof(*listeners));
}

int listeners_find(const struct listeners *listeners, const char *name)
{
	size_t i;

	for (i = 0; i < listeners->count; i++)
		if (strcmp(listeners->items[i].name, name) == 0)
			return (int)i;
	return -1;
}
