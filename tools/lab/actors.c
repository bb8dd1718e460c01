/* SPDX-License-Identifier: ISC */
/*
 * Listeners, and a process for each connection. The kernel ends those with
 * the process that started them (PR_SET_PDEATHSIG), however that ends, so
 * there is nothing to clean up and nothing is left behind. When LAB_CHILDREN
 * are busy, connections wait in the kernel's queue.
 */
#include "tools/lab/actors.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/net.h"
#include "tools/lab/event.h"
#include "tools/lab/mail_host.h"
#include "tools/lab/path.h"
#include "tools/lab/policy_host.h"

enum { LAB_CHILDREN = 64, LISTEN_BACKLOG = 64, LISTEN_TRIES = 50,
    LISTEN_PAUSE_MS = 20, HTTPS_PORT = 443 };

/* Of a mail host (host and mail) or of a policy host (policy). */
struct listener {
	int				 fd;		/* owned */
	enum lab_path			 path;
	const struct lab_host		*host;		/* outlives us */
	const struct lab_mail_host	*mail;		/* of the actors */
	const struct lab_policy_host	*policy;	/* of the actors */
};

struct lab_actors {
	struct lab_mail_host	**mails;	/* owned, and each */
	size_t			  mail_count;
	struct lab_policy_host	**policies;	/* owned, and each */
	size_t			  policy_count;
	struct listener		 *listeners;	/* owned */
	struct pollfd		 *polls;	/* owned; of the listeners */
	size_t			  listener_count;
	unsigned		  children;
};

/* --- one connection --- */

/* In a child: dies with its parent, and is like any process otherwise. */
static void settle_child(pid_t parent)
{
	sigset_t none;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		_exit(0);	/* it was gone before we asked */
	signal(SIGCHLD, SIG_DFL);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
}

/* The true server is a child of the middlebox, and waited for, so that its
 * last event is written. */
static void serve_behind(const struct listener *listener, int client,
    const char *name)
{
	pid_t parent = getpid(), child;
	int ends[2];

	if (lab_path_pair(ends) == -1)
		fatal("lab-path", log_errno(errno));
	child = fork();
	if (child == -1)
		fatal("lab-fork", log_errno(errno));
	if (child == 0) {
		settle_child(parent);
		close(client);
		close(ends[0]);
		lab_mail_host_serve(listener->mail, ends[1], name);
		_exit(0);
	}
	close(ends[1]);
	lab_path_relay(listener->path, client, ends[0]);
	while (waitpid(child, NULL, 0) == -1 && errno == EINTR)
		continue;
}

static void serve_reset(const struct listener *listener, int fd,
    const char *name)
{
	lab_event(listener->host->name, "connect", json_pack("{s:s}",
	    "client", name));
	lab_path_reset(fd);
	lab_event(listener->host->name, "end", json_pack("{s:s}", "problem",
	    "reset in the path"));
}

static void serve_connection(const struct listener *listener, int fd,
    const char *name)
{
	if (listener->policy != NULL)
		lab_policy_host_serve(listener->policy, fd, name);
	else if (listener->path == LAB_PATH_RESET)
		serve_reset(listener, fd, name);
	else if (listener->path == LAB_PATH_STRIP ||
	    listener->path == LAB_PATH_MANGLE)
		serve_behind(listener, fd, name);
	else
		lab_mail_host_serve(listener->mail, fd, name);
}

static void close_listeners(struct lab_actors *actors)
{
	size_t i;

	for (i = 0; i < actors->listener_count; i++)
		close(actors->listeners[i].fd);
}

static void accept_one(struct lab_actors *actors,
    const struct listener *listener)
{
	char name[ENDPOINT_TEXT_MAX];
	struct endpoint peer;
	pid_t parent = getpid(), child;
	int fd = net_accept(listener->fd, &peer);

	if (fd == -1)
		return;		/* it went away again */
	endpoint_format(&peer, name, sizeof(name));
	child = fork();
	if (child == -1)
		fatal("lab-fork", log_errno(errno));
	if (child == 0) {
		settle_child(parent);
		close_listeners(actors);
		serve_connection(listener, fd, name);
		_exit(0);
	}
	close(fd);
	actors->children++;
}

/* --- serving --- */

static void on_child(int number)
{
	(void)number;		/* wakes ppoll() */
}

static void reap(struct lab_actors *actors)
{
	while (actors->children > 0 && waitpid(-1, NULL, WNOHANG) > 0)
		actors->children--;
}

void lab_actors_serve(struct lab_actors *actors)
{
	struct sigaction action = { .sa_handler = on_child };
	sigset_t blocked, open;
	size_t i;

	signal(SIGPIPE, SIG_IGN);
	signal(SIGTERM, SIG_DFL);
	sigaction(SIGCHLD, &action, NULL);
	/* Only ppoll() is interrupted, so that no child's end is missed. */
	sigemptyset(&open);
	sigemptyset(&blocked);
	sigaddset(&blocked, SIGCHLD);
	sigprocmask(SIG_SETMASK, &blocked, NULL);
	for (;;) {
		bool full = actors->children >= LAB_CHILDREN;
		int ready = ppoll(actors->polls, full ? 0 :
		    actors->listener_count, NULL, &open);

		reap(actors);
		for (i = 0; ready > 0 && i < actors->listener_count; i++)
			if (actors->polls[i].revents != 0 &&
			    actors->children < LAB_CHILDREN)
				accept_one(actors, &actors->listeners[i]);
	}
}

/* --- life cycle --- */

/* The child of a world that was just ended may for a moment have a listener
 * of it; so an address in use is asked for again. */
static int listen_patiently(const struct endpoint *endpoint)
{
	const struct timespec pause = { .tv_nsec = LISTEN_PAUSE_MS * 1000000 };
	int fd, tries = 0;

	while ((fd = net_listen(endpoint, LISTEN_BACKLOG)) == -1 &&
	    errno == EADDRINUSE && tries++ < LISTEN_TRIES)
		nanosleep(&pause, NULL);
	return fd;
}

/* Binds; 0 or -1 with errno. What is refused has no listener at all. */
static int add_listener(struct lab_actors *actors, struct listener listener,
    const char *address, int64_t port)
{
	struct endpoint endpoint;

	if (listener.path == LAB_PATH_REFUSE)
		return 0;
	errno = EINVAL;
	if (port < 1 || port > UINT16_MAX ||
	    endpoint_parse(&endpoint, address, (uint16_t)port) == -1)
		return -1;
	listener.fd = listen_patiently(&endpoint);
	if (listener.fd == -1)
		return -1;
	if (listener.path == LAB_PATH_BLOCK &&
	    lab_path_block(listener.fd) == -1) {
		close(listener.fd);
		return -1;
	}
	actors->polls[actors->listener_count] = (struct pollfd){
	    .fd = listener.fd, .events = POLLIN };
	actors->listeners[actors->listener_count++] = listener;
	return 0;
}

static int say_error(char *error, size_t size, const char *owner,
    const char *address, int64_t port)
{
	snprintf(error, size, "%s: cannot listen on %s port %lld: %s", owner,
	    address, (long long)port, strerror(errno));
	return -1;
}

static enum lab_part part_of(enum lab_path path, bool twin)
{
	return path == LAB_PATH_IMPOSTOR ? LAB_PART_IMPOSTOR : twin ?
	    LAB_PART_TWIN : LAB_PART_TRUE;
}

/* What a world is made into actors with. */
struct making {
	struct lab_actors		*actors;
	const struct lab_identities	*identities;
	bool				 twin;
	char				*error;
	size_t				 size;
};

static int add_host(const struct making *making, const struct lab_host *host)
{
	struct lab_actors *actors = making->actors;
	struct listener listener = { .host = host };
	int path = lab_path_find(host->path);
	struct lab_mail_host *mail;
	size_t i;

	if (path == -1) {
		snprintf(making->error, making->size, "host %s: nothing is "
		    "called \"%s\" in a path", host->name, host->path);
		return -1;
	}
	listener.path = (enum lab_path)path;
	mail = lab_mail_host_new(host, making->identities,
	    part_of(listener.path, making->twin), making->error,
	    making->size);
	if (mail == NULL)
		return -1;
	listener.mail = actors->mails[actors->mail_count++] = mail;
	for (i = 0; i < host->addresses.count; i++)
		if (add_listener(actors, listener, host->addresses.items[i],
		    host->port) == -1)
			return say_error(making->error, making->size,
			    host->name, host->addresses.items[i], host->port);
	return 0;
}

static int add_policy(const struct making *making,
    const struct lab_policy *policy)
{
	struct lab_actors *actors = making->actors;
	struct listener listener = { .path = LAB_PATH_NONE };
	struct lab_policy_host *host = lab_policy_host_new(policy,
	    making->identities, making->error, making->size);

	if (host == NULL)
		return -1;
	listener.policy = actors->policies[actors->policy_count++] = host;
	/* The same words for the same things as in the path of a mail host. */
	if (strcmp(policy->fault, "block") == 0)
		listener.path = LAB_PATH_BLOCK;
	else if (strcmp(policy->fault, "refuse") == 0)
		listener.path = LAB_PATH_REFUSE;
	if (add_listener(actors, listener, policy->address, HTTPS_PORT) == -1)
		return say_error(making->error, making->size, policy->domain,
		    policy->address, HTTPS_PORT);
	return 0;
}

static struct lab_actors *make_room(const struct lab_world *world)
{
	struct lab_actors *actors = mem_alloc(sizeof(*actors));
	size_t count = world->policy_count, i;

	for (i = 0; i < world->host_count; i++)
		count += world->hosts[i].addresses.count;
	actors->mails = mem_alloc_array(world->host_count,
	    sizeof(struct lab_mail_host *));
	actors->policies = mem_alloc_array(world->policy_count,
	    sizeof(struct lab_policy_host *));
	actors->listeners = mem_alloc_array(count, sizeof(struct listener));
	actors->polls = mem_alloc_array(count, sizeof(struct pollfd));
	return actors;
}

struct lab_actors *lab_actors_new(const struct lab_world *world,
    const struct lab_identities *identities, bool twin, char *error,
    size_t size)
{
	struct lab_actors *actors = make_room(world);
	const struct making making = { actors, identities, twin, error,
	    size };
	int result = 0;
	size_t i;

	for (i = 0; result == 0 && i < world->host_count; i++)
		result = add_host(&making, &world->hosts[i]);
	for (i = 0; result == 0 && i < world->policy_count; i++)
		result = add_policy(&making, &world->policies[i]);
	if (result == 0)
		return actors;
	lab_actors_free(actors);
	return NULL;
}

void lab_actors_free(struct lab_actors *actors)
{
	size_t i;

	close_listeners(actors);
	for (i = 0; i < actors->mail_count; i++)
		lab_mail_host_free(actors->mails[i]);
	for (i = 0; i < actors->policy_count; i++)
		lab_policy_host_free(actors->policies[i]);
	mem_free(actors->mails);
	mem_free(actors->policies);
	mem_free(actors->listeners);
	mem_free(actors->polls);
	mem_free(actors);
}
