/* SPDX-License-Identifier: ISC */
/*
 * The life of a role; see process.h for the order of things. Confinement is
 * here and nowhere else: limits, no_new_privs, chroot, change of user. A role
 * that was told to change its user and cannot ends at once.
 */
#include "base/process.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/queue.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/channel.h"
#include "base/log.h"
#include "base/loop.h"
#include "base/mem.h"
#include "base/process_message.h"
#include "base/stream.h"
#include "base/tls.h"

enum { NAME_MAX_BYTES = 4096 };

/* A connection that the supervisor was asked for. */
struct connection_wait {
	uint32_t			 request;
	process_connected		*done;
	void				*arg;
	struct timer			 timer;	/* deadline, or a failure */
	int				 error;	/* what the timer says */
	LIST_ENTRY(connection_wait)	 link;
};

LIST_HEAD(connection_waits, connection_wait);

/* A table that came ahead of its configuration. */
struct waiting_table {
	char	*path;		/* owned */
	int	 fd;		/* owned */
};

/* One role a process: this is its whole state. */
static struct {
	const struct role_entry	*entry;
	unsigned		 instance;
	struct channel		*supervisor;	/* owned */
	char			*user;		/* owned; empty: stay */
	char			*root;		/* owned; empty: no chroot */
	uint64_t		 address_space;	/* bytes; 0: no limit */
	uint32_t		 descriptors;
	bool			 configured;
	bool			 started;
	bool			 confined;
	bool			 stopping;
	int			 status;
	struct waiting_table	 tables[PROCESS_TABLES_MAX];
	size_t			 table_count;
	struct connection_waits	 waits;		/* owned */
	unsigned		 wait_count;
} process;

static void answer(uint32_t request, bool failed, const char *text)
{
	struct wire_writer *writer;
	char fixed[PROCESS_RESULT_TEXT] = "";

	snprintf(fixed, sizeof(fixed), "%s", text);
	writer = channel_begin(process.supervisor, PROCESS_RESULT, request);
	wire_put_u32(writer, failed);
	wire_put_bytes(writer, fixed, sizeof(fixed));
	channel_end(process.supervisor);
}

static void on_begin(struct channel_message *message)
{
	struct arena *arena = arena_new(64 << 10);

	process.user = mem_dup_string(wire_get_text(&message->body, arena,
	    NAME_MAX_BYTES));
	process.root = mem_dup_string(wire_get_text(&message->body, arena,
	    NAME_MAX_BYTES));
	log_set_level(wire_get_u32(&message->body));
	process.address_space = wire_get_u64(&message->body);
	process.descriptors = wire_get_u32(&message->body);
	if (wire_read_end(&message->body) == -1)
		bug("malformed begin");
	arena_free(arena);
}

static void on_table(struct channel_message *message)
{
	struct arena *arena = arena_new(16 << 10);
	struct waiting_table *table = &process.tables[process.table_count];
	const char *path;

	path = wire_get_text(&message->body, arena, NAME_MAX_BYTES);
	if (wire_read_end(&message->body) == -1 ||
	    process.table_count == PROCESS_TABLES_MAX)
		bug("malformed table");
	process.table_count++;
	table->path = mem_dup_string(path);
	table->fd = message->fd;
	message->fd = -1;
	arena_free(arena);
}

int process_take_table(const char *path)
{
	size_t i;
	int fd;

	for (i = 0; i < process.table_count; i++)
		if (process.tables[i].fd != -1 &&
		    strcmp(process.tables[i].path, path) == 0)
			break;
	if (i == process.table_count)
		return -1;
	fd = process.tables[i].fd;
	process.tables[i].fd = -1;
	return fd;
}

/* Those that no configuration took. */
static void forget_tables(void)
{
	while (process.table_count > 0) {
		struct waiting_table *table =
		    &process.tables[--process.table_count];

		mem_free(table->path);
		if (table->fd != -1)
			close(table->fd);
	}
}

static void on_configure(struct channel_message *message)
{
	char error[PROCESS_RESULT_TEXT] = "";
	const void *bundle;
	size_t length;
	int failed;

	bundle = wire_get_bytes(&message->body, PROCESS_BUNDLE_MAX, &length);
	if (wire_read_end(&message->body) == -1)
		bug("malformed configuration");
	failed = process.entry->configure(bundle, length, error,
	    sizeof(error));
	forget_tables();
	if (failed && !process.configured)
		fatal("configuration refused", log_text("reason", error));
	process.configured = true;
	answer(message->request, failed != 0, error);
}

static void limit(int resource, const char *name, rlim_t value)
{
	struct rlimit limits;

	if (getrlimit(resource, &limits) == -1)
		fatal("cannot read limit", log_text("limit", name),
		    log_errno(errno));
	if (limits.rlim_max != RLIM_INFINITY && value > limits.rlim_max)
		value = limits.rlim_max;
	limits.rlim_cur = value;
	limits.rlim_max = value;
	if (setrlimit(resource, &limits) == -1)
		fatal("cannot set limit", log_text("limit", name),
		    log_errno(errno));
}

static void change_user(const struct passwd *user)
{
	if (setgroups(0, NULL) == -1 ||
	    setresgid(user->pw_gid, user->pw_gid, user->pw_gid) == -1 ||
	    setresuid(user->pw_uid, user->pw_uid, user->pw_uid) == -1)
		fatal("cannot change user", log_text("user", process.user),
		    log_errno(errno));
	if (setuid(0) != -1 || seteuid(0) != -1)
		bug("privileges came back");
}

static void confine(void)
{
	struct passwd *user = NULL;

	if (process.user[0] != '\0') {
		errno = 0;
		user = getpwnam(process.user);
		if (user == NULL)
			fatal("no such user: run systemd-sysusers, or set "
			    "drop-privileges = no", log_text("user",
			    process.user));
	}
	if (process.root[0] != '\0' &&
	    (chroot(process.root) == -1 || chdir("/") == -1))
		fatal("cannot change root", log_text("path", process.root),
		    log_errno(errno));
	if (process.descriptors != 0)
		limit(RLIMIT_NOFILE, "descriptors", process.descriptors);
#ifndef __SANITIZE_ADDRESS__
	/* The shadow memory of a sanitizer is larger than any limit. */
	if (process.address_space != 0)
		limit(RLIMIT_AS, "address space", process.address_space);
#endif
	if (user != NULL) {
		limit(RLIMIT_CORE, "core", 0);	/* keys would be in it */
		change_user(user);
		process.confined = true;
	}
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == -1)
		fatal("cannot set no_new_privs", log_errno(errno));
}

static void on_start(void)
{
	if (!process.configured || process.user == NULL || process.started)
		bug("started out of order");
	if (process.entry->prepare != NULL)
		process.entry->prepare();
	confine();
	process.started = true;
	process.entry->start();
	channel_begin(process.supervisor, PROCESS_READY, 0);
	channel_end(process.supervisor);
}

static void on_peer(struct channel_message *message)
{
	struct process_peer peer;

	peer.role = wire_get_enum(&message->body, ROLE_COUNT);
	peer.instance = wire_get_u32(&message->body);
	if (wire_read_end(&message->body) == -1)
		bug("malformed peer");
	process.entry->peer(&peer, message->fd);
	message->fd = -1;
}

static void on_listener(struct channel_message *message, bool gone)
{
	struct arena *arena = arena_new(16 << 10);
	const char *name;

	name = wire_get_text(&message->body, arena, NAME_MAX_BYTES);
	if (wire_read_end(&message->body) == -1 ||
	    process.entry->listener == NULL)
		bug("malformed listener");
	process.entry->listener(name, gone ? -1 : message->fd);
	message->fd = -1;
	arena_free(arena);
}

static void on_control(struct channel_message *message)
{
	struct process_caller caller;

	caller.uid = wire_get_u32(&message->body);
	caller.gid = wire_get_u32(&message->body);
	caller.privileged = wire_get_u8(&message->body) != 0;
	if (wire_read_end(&message->body) == -1)
		bug("malformed control connection");
	/* Who may open the socket chose the role: that is not our bug. */
	if (process.entry->control == NULL)
		return;		/* and the connection ends */
	process.entry->control(message->fd, &caller);
	message->fd = -1;
}

/* --- connections made by the supervisor --- */

static void forget_wait(struct connection_wait *wait)
{
	timer_stop(&wait->timer);
	LIST_REMOVE(wait, link);
	process.wait_count--;
	mem_free(wait);
}

static void end_wait(struct connection_wait *wait, int fd, int error)
{
	process_connected *done = wait->done;
	void *arg = wait->arg;

	forget_wait(wait);
	done(arg, fd, error);
}

static void on_wait_timer(void *arg)
{
	struct connection_wait *wait = arg;

	end_wait(wait, -1, wait->error);
}

/* For what cannot be answered before process_connect() has returned. */
static void fail_wait(struct connection_wait *wait, int error)
{
	wait->error = error;
	timer_start(&wait->timer, 0, on_wait_timer, wait);
}

static void fail_all_waits(int error)
{
	struct connection_wait *wait;

	LIST_FOREACH(wait, &process.waits, link)
		fail_wait(wait, error);
}

static void on_connected(struct channel_message *message, bool failed)
{
	int error = failed ? (int)wire_get_u32(&message->body) : 0;
	struct connection_wait *wait;

	if (wire_read_end(&message->body) == -1 || (failed && error <= 0))
		bug("malformed connection");
	LIST_FOREACH(wait, &process.waits, link)
		if (wait->request == message->request)
			break;
	if (wait == NULL)
		return;		/* cancelled, or too late: fd is closed */
	end_wait(wait, message->fd, error);
	message->fd = -1;
}

static void stop(void)
{
	if (process.stopping)
		return;
	process.stopping = true;
	if (process.started)
		process.entry->stop();
	else
		process_exit(0);
}

static void on_message(void *arg, struct channel *channel,
    struct channel_message *message)
{
	(void)arg;
	(void)channel;
	switch ((enum process_message)message->type) {
	case PROCESS_BEGIN: on_begin(message); break;
	case PROCESS_TABLE: on_table(message); break;
	case PROCESS_CONFIGURE: on_configure(message); break;
	case PROCESS_START: on_start(); break;
	case PROCESS_PEER: on_peer(message); break;
	case PROCESS_LISTENER: on_listener(message, false); break;
	case PROCESS_LISTENER_GONE: on_listener(message, true); break;
	case PROCESS_CONTROL: on_control(message); break;
	case PROCESS_STOP: stop(); break;
	case PROCESS_LOG_LEVEL:
		log_set_level(wire_get_u32(&message->body));
		break;
	case PROCESS_CONNECTED: on_connected(message, false); break;
	case PROCESS_NOT_CONNECTED: on_connected(message, true); break;
	default: bug("message from the supervisor");
	}
}

static void on_closed(void *arg, struct channel *channel)
{
	(void)arg;
	log_warn("the supervisor is gone: stopping");
	channel_free(channel);
	process.supervisor = NULL;
	fail_all_waits(ECONNRESET);
	stop();
}

static const struct channel_rule rules[] = {
	{ .type = PROCESS_BEGIN, .max = 16 << 10 },
	{ .type = PROCESS_CONFIGURE, .max = 4 + PROCESS_BUNDLE_MAX },
	{ .type = PROCESS_START, .max = 0 },
	{ .type = PROCESS_PEER, .with_fd = true, .max = 16 },
	{ .type = PROCESS_LISTENER, .with_fd = true, .max = NAME_MAX_BYTES },
	{ .type = PROCESS_LISTENER_GONE, .max = NAME_MAX_BYTES },
	{ .type = PROCESS_CONTROL, .with_fd = true, .max = 16 },
	{ .type = PROCESS_STOP, .max = 0 },
	{ .type = PROCESS_LOG_LEVEL, .max = 4 },
	{ .type = PROCESS_CONNECTED, .with_fd = true, .max = 0 },
	{ .type = PROCESS_NOT_CONNECTED, .max = 4 },
	{ .type = PROCESS_TABLE, .with_fd = true, .max = NAME_MAX_BYTES },
};

static const struct channel_handler handler = {
	.rules = rules,
	.rule_count = sizeof(rules) / sizeof(rules[0]),
	.message = on_message,
	.closed = on_closed,
	.secret = true,
};

int process_run(const struct role_entry *entry, unsigned instance)
{
	process.entry = entry;
	process.instance = instance;
	log_init(role_name(entry->role), LOG_LEVEL_INFO);
	log_set_style(LOG_MARKED);
	tzset();	/* reads the zone before any chroot */
	tls_init();
	loop_init();
	fcntl(PROCESS_CHANNEL_FD, F_SETFD, FD_CLOEXEC);
	process.supervisor = channel_new(PROCESS_CHANNEL_FD, "supervisor",
	    &handler, NULL, 1 << 20);
	loop_run();
	stream_end_all();
	if (process.supervisor != NULL)
		channel_free(process.supervisor);
	while (!LIST_EMPTY(&process.waits))
		forget_wait(LIST_FIRST(&process.waits));
	forget_tables();
	mem_free(process.user);
	mem_free(process.root);
	loop_release();
	log_flush();
	return process.status;
}

void process_peer_lost(enum role role, unsigned instance)
{
	struct wire_writer *writer;

	if (process.supervisor == NULL || process.stopping)
		return;
	writer = channel_begin(process.supervisor, PROCESS_PEER_LOST, 0);
	wire_put_u8(writer, (uint8_t)role);
	wire_put_u32(writer, instance);
	channel_end(process.supervisor);
}

static void ask_connection(struct connection_wait *wait, const char *path)
{
	char fixed[PROCESS_PATH_BYTES] = "";
	struct wire_writer *writer;

	memcpy(fixed, path, strlen(path));
	wait->request = channel_next_request(process.supervisor);
	writer = channel_begin(process.supervisor, PROCESS_CONNECT,
	    wait->request);
	wire_put_bytes(writer, fixed, sizeof(fixed));
	channel_end(process.supervisor);
}

void process_connect(const char *path, process_connected *done, void *arg)
{
	struct connection_wait *wait = mem_alloc(sizeof(*wait));

	wait->done = done;
	wait->arg = arg;
	LIST_INSERT_HEAD(&process.waits, wait, link);
	if (++process.wait_count > PROCESS_CONNECT_MAX) {
		fail_wait(wait, EAGAIN);
	} else if (process.supervisor == NULL) {
		fail_wait(wait, ECONNRESET);
	} else if (strlen(path) >= PROCESS_PATH_BYTES) {
		fail_wait(wait, ENAMETOOLONG);
	} else {
		ask_connection(wait, path);
		wait->error = ETIMEDOUT;
		timer_start(&wait->timer,
		    (int64_t)PROCESS_CONNECT_SECONDS * 1000, on_wait_timer,
		    wait);
	}
}

void process_connect_cancel(void *arg)
{
	struct connection_wait *wait, *next;

	for (wait = LIST_FIRST(&process.waits); wait != NULL; wait = next) {
		next = LIST_NEXT(wait, link);
		if (wait->arg == arg)
			forget_wait(wait);
	}
}

void process_exit(int status)
{
	process.status = status;
	loop_stop();
}

unsigned
process_instance(void)
{
	return process.instance;
}

bool process_is_confined(void)
{
	return process.confined;
}

const char *process_directory(const char *configured)
{
	bool changed = process.started && process.root[0] != '\0';

	return changed ? "/" : configured;
}
