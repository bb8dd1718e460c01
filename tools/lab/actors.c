/* SPDX-License-Identifier: ISC */
/*
 * Listeners, and a process for each connection. The kernel ends those with
 * the process that started them (PR_SET_PDEATHSIG), however that ends, so
 * there is nothing to clean up and nothing is left behind. When LAB_CHILDREN
 * are busy, connections wait in the kernel's queue. Connections to a host are
 * counted here, over all its addresses, before anybody serves them: their
 * order is that of accept().
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
#include "tools/lab/actors_link.h"
#include "tools/lab/event.h"
#include "tools/lab/mail_host.h"
#include "tools/lab/path.h"
#include "tools/lab/policy_host.h"

enum { LAB_CHILDREN = 64, LISTEN_BACKLOG = 64, LISTEN_TRIES = 50,
    LISTEN_PAUSE_MS = 20, HTTPS_PORT = 443,
    LAST_RESORT_S = LAB_CONNECTION_MS / 1000 + 5 };

/* A mail host and what is in the path to it. */
struct site {
	const struct lab_host	*host;		/* outlives us */
	enum lab_path		 path;
	struct lab_visits	 when;		/* of the path */
	struct lab_mail_host	*mail;		/* owned */
	struct lab_mail_host	*impostor;	/* owned; null unless in path */
	unsigned		 visits;	/* so far */
};

/* Of a site or of a policy host. */
struct listener {
	int				 fd;	/* owned; -1 once closed */
	struct site			*site;	/* of the actors; or null */
	const struct lab_policy_host	*policy;	/* of the actors */
};

struct lab_actors {
	struct site		 *sites;	/* owned */
	size_t			  site_count;
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
	/* Whoever keeps to his deadlines is gone before that. */
	signal(SIGALRM, SIG_DFL);
	alarm(LAST_RESORT_S);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
}

/* The true server is a child of the middlebox, and waited for, so that its
 * last event is written. */
static void serve_behind(const struct site *site, int client,
    const struct lab_visit *visit)
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
		lab_mail_host_serve(site->mail, ends[1], visit);
		_exit(0);
	}
	close(ends[1]);
	lab_path_relay(site->path, client, ends[0]);
	while (waitpid(child, NULL, 0) == -1 && errno == EINTR)
		continue;
}

static void serve_reset(const struct site *site, int fd,
    const struct lab_visit *visit)
{
	lab_event(site->host->name, "connect", json_pack("{s:s,s:I}",
	    "client", visit->client, "visit", (json_int_t)visit->number));
	lab_path_reset(fd);
	lab_event(site->host->name, "end", json_pack("{s:s}", "problem",
	    "reset in the path"));
}

/* It was connected before the path was blocked. */
static void serve_nothing(int fd)
{
	const struct timespec long_enough = {
	    .tv_sec = LAB_STALL_MS / 1000 };

	if (lab_path_block(fd) == 0)
		nanosleep(&long_enough, NULL);
	lab_path_reset(fd);
}

static bool is_among(const struct lab_visits *visits, unsigned number)
{
	return number >= visits->first && number <= visits->last;
}

static void serve_site(const struct site *site, int fd,
    const struct lab_visit *visit)
{
	switch (is_among(&site->when, visit->number) ? site->path :
	    LAB_PATH_NONE) {
	case LAB_PATH_NONE:
		lab_mail_host_serve(site->mail, fd, visit);
		break;
	case LAB_PATH_IMPOSTOR:
		lab_mail_host_serve(site->impostor, fd, visit);
		break;
	case LAB_PATH_RESET:
		serve_reset(site, fd, visit);
		break;
	case LAB_PATH_REFUSE:
		lab_path_reset(fd);
		break;
	case LAB_PATH_BLOCK:
		serve_nothing(fd);
		break;
	default:
		serve_behind(site, fd, visit);
	}
}

static void close_listeners(struct lab_actors *actors)
{
	size_t i;

	for (i = 0; i < actors->listener_count; i++)
		if (actors->listeners[i].fd != -1)
			close(actors->listeners[i].fd);
}

/* Before connection `number` of a site comes: is it the first that is not to
 * come through? Then no later one is, either. */
static void shut_path(struct lab_actors *actors, const struct site *site,
    unsigned number)
{
	size_t i;

	if (number != site->when.first ||
	    (site->path != LAB_PATH_BLOCK && site->path != LAB_PATH_REFUSE))
		return;
	for (i = 0; i < actors->listener_count; i++) {
		struct listener *listener = &actors->listeners[i];

		if (listener->site != site)
			continue;
		if (site->path == LAB_PATH_BLOCK) {
			if (lab_path_block(listener->fd) == -1)
				fatal("lab-path", log_errno(errno));
			continue;
		}
		close(listener->fd);
		listener->fd = actors->polls[i].fd = -1;
	}
}

static void serve_connection(const struct listener *listener, int fd,
    const char *client)
{
	const struct lab_visit visit = { client,
	    listener->site != NULL ? listener->site->visits : 0 };

	if (listener->policy != NULL)
		lab_policy_host_serve(listener->policy, fd, client);
	else
		serve_site(listener->site, fd, &visit);
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
	if (listener->site != NULL)
		listener->site->visits++;
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
	if (listener->site != NULL)
		shut_path(actors, listener->site, listener->site->visits + 1);
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
			    actors->listeners[i].fd != -1 &&
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

/* Binds; 0 or -1 with errno. */
static int add_listener(struct lab_actors *actors, struct listener listener,
    const char *address, int64_t port)
{
	struct endpoint endpoint;

	errno = EINVAL;
	if (port < 1 || port > UINT16_MAX ||
	    endpoint_parse(&endpoint, address, (uint16_t)port) == -1)
		return -1;
	listener.fd = listen_patiently(&endpoint);
	if (listener.fd == -1)
		return -1;
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

/* What a world is made into actors with. */
struct making {
	struct lab_actors		*actors;
	const struct lab_identities	*identities;
	bool				 twin;
	char				*error;
	size_t				 size;
};

static int read_path(struct site *site, const char *text)
{
	size_t length = lab_visits_read(text, strlen(text), &site->when);
	int path = length == 0 && *text != '\0' ? -1 : lab_path_find(text,
	    length);

	if (path == -1)
		return -1;
	site->path = (enum lab_path)path;
	return (site->path == LAB_PATH_BLOCK ||
	    site->path == LAB_PATH_REFUSE) && site->when.last != UINT32_MAX ?
	    -1 : 0;
}

bool lab_actors_path_fits(const char *path)
{
	struct site site;

	return read_path(&site, path) == 0;
}

static int add_servers(const struct making *making, struct site *site)
{
	site->mail = lab_mail_host_new(site->host, making->identities,
	    making->twin ? LAB_PART_TWIN : LAB_PART_TRUE, making->error,
	    making->size);
	if (site->mail == NULL)
		return -1;
	if (site->path != LAB_PATH_IMPOSTOR)
		return 0;
	site->impostor = lab_mail_host_new(site->host, making->identities,
	    LAB_PART_IMPOSTOR, making->error, making->size);
	return site->impostor != NULL ? 0 : -1;
}

/* What is refused from the first one on has no listener at all. */
static int add_site(const struct making *making, const struct lab_host *host)
{
	struct lab_actors *actors = making->actors;
	struct site *site = &actors->sites[actors->site_count++];
	const struct listener listener = { .site = site };
	size_t i;

	site->host = host;
	if (read_path(site, host->path) == -1) {
		snprintf(making->error, making->size, "host %s: nothing is "
		    "called \"%s\" in a path", host->name, host->path);
		return -1;
	}
	if (add_servers(making, site) == -1)
		return -1;
	if (site->path == LAB_PATH_REFUSE && site->when.first == 1)
		return 0;
	for (i = 0; i < host->addresses.count; i++)
		if (add_listener(actors, listener, host->addresses.items[i],
		    host->port) == -1)
			return say_error(making->error, making->size,
			    host->name, host->addresses.items[i], host->port);
	shut_path(actors, site, 1);
	return 0;
}

static int add_policy(const struct making *making,
    const struct lab_policy *policy)
{
	struct lab_actors *actors = making->actors;
	struct listener listener = { .policy = NULL };
	struct lab_policy_host *host = lab_policy_host_new(policy,
	    making->identities, making->error, making->size);
	size_t i;

	if (host == NULL)
		return -1;
	listener.policy = actors->policies[actors->policy_count++] = host;
	/* The same words for the same things as in the path of a mail host. */
	if (strcmp(policy->fault, "refuse") == 0)
		return 0;
	for (i = 0; i < policy->addresses.count; i++) {
		const char *address = policy->addresses.items[i];
		int result = add_listener(actors, listener, address,
		    HTTPS_PORT);

		if (result == 0 && strcmp(policy->fault, "block") == 0)
			result = lab_path_block(actors->listeners[
			    actors->listener_count - 1].fd);
		if (result == -1)
			return say_error(making->error, making->size,
			    policy->domain, address, HTTPS_PORT);
	}
	return 0;
}

static struct lab_actors *make_room(const struct lab_world *world)
{
	struct lab_actors *actors = mem_alloc(sizeof(*actors));
	size_t count = 0, i;

	for (i = 0; i < world->host_count; i++)
		count += world->hosts[i].addresses.count;
	for (i = 0; i < world->policy_count; i++)
		count += world->policies[i].addresses.count;
	actors->sites = mem_alloc_array(world->host_count,
	    sizeof(struct site));
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
		result = add_site(&making, &world->hosts[i]);
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
	for (i = 0; i < actors->site_count; i++) {
		lab_mail_host_free(actors->sites[i].mail);
		lab_mail_host_free(actors->sites[i].impostor);
	}
	for (i = 0; i < actors->policy_count; i++)
		lab_policy_host_free(actors->policies[i]);
	mem_free(actors->sites);
	mem_free(actors->policies);
	mem_free(actors->listeners);
	mem_free(actors->polls);
	mem_free(actors);
}
