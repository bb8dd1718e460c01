/* SPDX-License-Identifier: ISC */
/*
 * Opening the sockets of the configuration. "0.0.0.0" and "::" by default; a
 * machine without IPv6 is not an error when the address was the default one.
 * Mail of this machine's programs has a socket without a section of its own.
 */
#include "tools/listeners.h"

#include <errno.h>
#include <grp.h>
#include <stdbool.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/net.h"
#include "conf/conf.h"

enum { BACKLOG = 1024, SOCKET_MODE = 0660, LOCAL_MODE = 0666 };

/* A socket that is wanted. */
struct want {
	char		*name;		/* owned */
	enum role	 role;
};

/* The path in the name of a Unix socket, else null. */
static const char *path_of(const char *name)
{
	const char *place = strchr(name, '@');

	return strncmp(place, "@unix:/", 7) == 0 ? place + 6 : NULL;
}

static void add(struct listeners *listeners, const struct want *want, int fd)
{
	const char *path = path_of(want->name);
	struct listener *item;
	struct stat status;

	listeners->items = mem_resize(listeners->items, listeners->count + 1,
	    sizeof(*listeners->items));
	item = &listeners->items[listeners->count++];
	*item = (struct listener){ .name = mem_dup_string(want->name),
	    .fd = fd, .role = want->role };
	if (path != NULL && lstat(path, &status) == 0) {
		item->device = status.st_dev;
		item->inode = status.st_ino;
	}
}

static enum role role_of(const struct conf_listener *conf)
{
	return conf->service == SERVICE_MTA_STS ? ROLE_STS : ROLE_SMTPD;
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
	struct want want = { .role = role_of(conf) };
	struct endpoint endpoint;
	int fd, result = 0;

	want.name = mem_print("%s@%s:%d", conf->name, address,
	    (int)conf->port);
	fd = take_over(old, want.name);
	if (fd == -1) {
		if (endpoint_parse(&endpoint, address,
		    (uint16_t)conf->port) == -1) {
			*errors = mem_print("listen %s: \"%s\" is not an "
			    "address", conf->name, address);
			mem_free(want.name);
			return -1;
		}
		fd = net_listen(&endpoint, BACKLOG);
	}
	if (fd != -1) {
		add(listeners, &want, fd);
	} else if (optional && (errno == EAFNOSUPPORT ||
	    errno == EADDRNOTAVAIL)) {
		log_warn("no IPv6 on this machine: not listening",
		    log_text("listener", want.name));
	} else {
		explain(errors, want.name, old);
		result = -1;
	}
	mem_free(want.name);
	return result;
}

/* Its members may connect; unprivileged, only we and root. */
static void give_to_group(const char *path, const char *name)
{
	const struct group *group;

	if (geteuid() != 0 || name[0] == '\0')
		return;
	group = getgrnam(name);
	if (group == NULL)
		log_warn("no such group: only root may use this socket",
		    log_text("group", name), log_text("path", path));
	else if (lchown(path, 0, group->gr_gid) == -1)
		log_warn("cannot give a socket to its group",
		    log_text("path", path), log_errno(errno));
}

/* The group may have changed while the socket stayed. A path that somebody
 * removed under us is made anew. */
static int open_unix(struct listeners *listeners, const struct want *want,
    mode_t mode, struct listeners *old, char **errors)
{
	const char *path = path_of(want->name);
	int at = find_bound(old, want->name), fd = -1;
	struct stat status;

	if (at != -1 && lstat(path, &status) == 0 &&
	    status.st_ino == old->items[at].inode &&
	    status.st_dev == old->items[at].device)
		fd = take_over(old, want->name);
	if (fd == -1)
		fd = net_listen_unix(path, mode, BACKLOG);
	if (fd == -1) {
		*errors = mem_print("cannot listen on %s: %s%s", want->name,
		    strerror(errno), errno == EADDRINUSE ? ": another program "
		    "listens there" :
		    errno == ENOENT ? ": its directory is not there" : "");
		return -1;
	}
	add(listeners, want, fd);
	return 0;
}

static int open_section(struct listeners *listeners,
    const struct conf_listener *conf, struct listeners *old, char **errors)
{
	struct want want = { .role = role_of(conf) };
	int result = 0;

	if (conf->socket == NULL || conf->socket[0] == '\0') {
		for (size_t i = 0; i < conf->addresses.count && result == 0;
		    i++)
			result = open_one(listeners, conf,
			    conf->addresses.items[i], old, errors);
		return result;
	}
	want.name = mem_print("%s@unix:%s", conf->name, conf->socket);
	result = open_unix(listeners, &want, SOCKET_MODE, old, errors);
	if (result == 0)
		give_to_group(conf->socket, conf->socket_group);
	mem_free(want.name);
	return result;
}

static int open_local(struct listeners *listeners, const struct conf *conf,
    struct listeners *old, char **errors)
{
	struct want want = { .role = ROLE_SMTPD };
	int result;

	if (conf->local_socket == NULL)
		return 0;
	want.name = mem_print("%s@unix:%s", LISTENERS_LOCAL,
	    conf->local_socket);
	result = open_unix(listeners, &want, LOCAL_MODE, old, errors);
	mem_free(want.name);
	return result;
}

/* Gives the sockets that moved back to where they were. */
static void give_back(struct listeners *listeners, struct listeners *old)
{
	size_t i;
	int at;

	for (i = 0; old != NULL && i < listeners->count; i++) {
		at = find_bound(old, listeners->items[i].name);
		if (at != -1 && old->items[at].fd == -1) {
			old->items[at].fd = listeners->items[i].fd;
			listeners->items[i].fd = -1;
		}
	}
	listeners_release(listeners);
}

int listeners_open(struct listeners *listeners, const struct conf *conf,
    struct listeners *old, char **errors)
{
	int result = 0;

	memset(listeners, 0, sizeof(*listeners));
	for (size_t i = 0; i < conf->listener_count && result == 0; i++)
		result = open_section(listeners, &conf->listeners[i], old,
		    errors);
	if (result == 0)
		result = open_local(listeners, conf, old, errors);
	if (result == -1)
		give_back(listeners, old);
	return result;
}

/* The path of a socket of ours; somebody else's at the same place stays. */
static void remove_path(const struct listener *item)
{
	const char *path = path_of(item->name);
	struct stat status;

	if (path != NULL && lstat(path, &status) == 0 &&
	    S_ISSOCK(status.st_mode) && status.st_dev == item->device &&
	    status.st_ino == item->inode)
		unlink(path);
}

void listeners_release(struct listeners *listeners)
{
	struct listener *item;
	size_t i;

	for (i = 0; i < listeners->count; i++) {
		item = &listeners->items[i];
		if (item->fd != -1) {
			remove_path(item);
			close(item->fd);
		}
		mem_free(item->name);
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

int listeners_find_role(const struct listeners *listeners, const char *name,
    enum role role)
{
	int at = listeners_find(listeners, name);

	return at != -1 && listeners->items[at].role == role ? at : -1;
}
