/* SPDX-License-Identifier: ISC */
/*
 * A connection that says nothing, or nonsense, is closed and touches nothing
 * else. At most HELLO_COUNT wait to be read at once.
 */
#include "tools/control_socket.h"

#include <errno.h>
#include <grp.h>
#include <stdbool.h>
#include <string.h>
#include <sys/queue.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "base/loop.h"
#include "base/mem.h"
#include "base/net.h"
#include "conf/conf.h"

enum { HELLO_MILLISECONDS = 5000, HELLO_COUNT = 64, BACKLOG = 64,
    SOCKET_MODE = 0660,
    /* After an error that another try would only repeat. */
    PAUSE_MILLISECONDS = 250 };

struct control_socket {
	struct watch	 watch;
	struct timer	 pause;
	int		 fd;		/* owned */
	char		*path;		/* owned */
	control_wanted	*wanted;
	TAILQ_HEAD(, hello) hellos;	/* oldest first; each owns itself */
	unsigned	 waiting;	/* how many they are */
	unsigned	 waiting_max;
};

struct hello {
	struct control_socket	*socket;	/* outlives us */
	TAILQ_ENTRY(hello)	 link;
	struct watch		 watch;
	struct timer		 timer;
	int			 fd;		/* owned until passed on */
};

static void hello_free(struct hello *hello)
{
	watch_release(&hello->watch);
	timer_stop(&hello->timer);
	if (hello->fd != -1)
		close(hello->fd);
	TAILQ_REMOVE(&hello->socket->hellos, hello, link);
	hello->socket->waiting--;
	mem_free(hello);
}

static void hello_late(void *arg)
{
	hello_free(arg);
}

static int find_caller(int fd, struct process_caller *caller)
{
	struct ucred credentials;
	socklen_t length = sizeof(credentials);

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &credentials,
	    &length) == -1)
		return -1;
	caller->uid = credentials.uid;
	caller->gid = credentials.gid;
	caller->privileged = credentials.uid == 0 ||
	    credentials.uid == geteuid();
	return 0;
}

/* The command writes its hello in one go, so it is read in one go. */
static void hello_readable(void *arg, int flags)
{
	struct hello *hello = arg;
	struct control_hello said;
	struct process_caller caller;
	int fd = hello->fd;
	ssize_t got;

	(void)flags;
	got = recv(fd, &said, sizeof(said), 0);
	if (got == -1 && (errno == EAGAIN || errno == EINTR))
		return;
	if (got == sizeof(said) &&
	    memcmp(said.magic, CONTROL_MAGIC, sizeof(said.magic)) == 0 &&
	    said.role < ROLE_COUNT && find_caller(fd, &caller) == 0) {
		/* Before the descriptor goes to a role, where it stays open:
		 * the loop would go on to hear of it under a number that the
		 * next connection gets. */
		watch_release(&hello->watch);
		hello->fd = -1;
		hello->socket->wanted(said.role, said.verb, fd, &caller);
	} else {
		log_warn("control connection refused: not a Postern command");
	}
	hello_free(hello);
}

static void on_pause_over(void *arg)
{
	struct control_socket *listening = arg;

	watch_set(&listening->watch, WATCH_READ);
}

/* A command says its hello at once: the oldest is no command. */
static bool drop_oldest(struct control_socket *listening)
{
	if (listening->waiting == 0)
		return false;
	hello_free(TAILQ_FIRST(&listening->hellos));
	return true;
}

/* The loop would come back at once for whoever waits. */
static void on_accept_error(struct control_socket *listening, int error)
{
	if (error == EAGAIN || error == EINTR || error == ECONNABORTED)
		return;
	if ((error == EMFILE || error == ENFILE) && drop_oldest(listening))
		return;
	watch_set(&listening->watch, 0);
	timer_start(&listening->pause, PAUSE_MILLISECONDS, on_pause_over,
	    listening);
}

static void on_connection(void *arg, int flags)
{
	struct control_socket *listening = arg;
	struct endpoint nobody;
	struct hello *hello;
	int fd;

	(void)flags;
	fd = net_accept(listening->fd, &nobody);
	if (fd == -1) {
		on_accept_error(listening, errno);
		return;
	}
	if (listening->waiting >= listening->waiting_max)
		drop_oldest(listening);
	hello = mem_alloc(sizeof(*hello));
	hello->socket = listening;
	hello->fd = fd;
	TAILQ_INSERT_TAIL(&listening->hellos, hello, link);
	listening->waiting++;
	watch_init(&hello->watch, fd, hello_readable, hello);
	watch_set(&hello->watch, WATCH_READ);
	timer_start(&hello->timer, HELLO_MILLISECONDS, hello_late, hello);
}

/* The group may read metadata; without the group only root reaches us. */
static void give_to_group(const struct conf *conf)
{
	struct group *group;

	if (geteuid() != 0 || conf->control_group[0] == '\0')
		return;
	group = getgrnam(conf->control_group);
	if (group == NULL)
		log_warn("no such group: only root may use the control socket",
		    log_text("group", conf->control_group));
	else if (chown(conf->control_socket, 0, group->gr_gid) == -1)
		log_warn("cannot give the control socket to its group",
		    log_text("path", conf->control_socket), log_errno(errno));
}

struct control_socket *control_socket_open(const struct conf *conf,
    control_wanted *wanted, char **errors)
{
	struct control_socket *listening;
	int fd;

	/* The lock on the run directory is ours, so a socket that lies there
	 * is left over from a process that is gone. */
	if (unlink(conf->control_socket) == -1 && errno != ENOENT) {
		*errors = mem_print("%s: %s", conf->control_socket,
		    strerror(errno));
		return NULL;
	}
	fd = net_listen_unix(conf->control_socket, SOCKET_MODE, BACKLOG);
	if (fd == -1) {
		*errors = mem_print("%s: %s", conf->control_socket,
		    strerror(errno));
		return NULL;
	}
	give_to_group(conf);
	listening = mem_alloc(sizeof(*listening));
	listening->fd = fd;
	listening->path = mem_dup_string(conf->control_socket);
	listening->wanted = wanted;
	TAILQ_INIT(&listening->hellos);
	/* The supervisor needs descriptors to start a role anew. */
	listening->waiting_max = net_room() / 4 < HELLO_COUNT ?
	    net_room() / 4 : HELLO_COUNT;
	watch_init(&listening->watch, fd, on_connection, listening);
	watch_set(&listening->watch, WATCH_READ);
	return listening;
}

void control_socket_close(struct control_socket *listening)
{
	if (listening == NULL)
		return;
	while (!TAILQ_EMPTY(&listening->hellos))
		hello_free(TAILQ_FIRST(&listening->hellos));
	unlink(listening->path);
	timer_stop(&listening->pause);
	watch_release(&listening->watch);
	close(listening->fd);
	mem_free(listening->path);
	mem_free(listening);
}
