/* SPDX-License-Identifier: ISC */
/*
 * One process, one supervisor: its state is the struct below.
 *
 * Start: every role is started, channels are made as roles report READY, and
 * the listening sockets go to smtpd when all roles have been ready once.
 *
 * Reload: read the new configuration, check its certificates, open its
 * sockets; only then tell the roles. Anything wrong before that leaves the old
 * state in force and is said to whoever asked.
 *
 * Stop: smtpd first (it needs the queue to finish), then delivery and mailbox,
 * then the queue, then the rest; what does not end in time is killed, and the
 * queue recovers at the next start as after a crash.
 */
#include "tools/supervisor.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/queue.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/channel.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/loop.h"
#include "base/mem.h"
#include "base/process_message.h"
#include "base/stream.h"
#include "base/tls.h"
#include "conf/bundle.h"
#include "conf/conf.h"
#include "smtpd/counters.h"
#include "tools/certificates.h"
#include "tools/child.h"
#include "tools/connector.h"
#include "tools/control_client.h"
#include "tools/control_socket.h"
#include "tools/directories.h"
#include "tools/drain.h"
#include "tools/listeners.h"
#include "tools/log_sink.h"
#include "tools/notify.h"

enum { CHILDREN_MAX = 64, RELOAD_MILLISECONDS = 30000,
    KILL_MILLISECONDS = 2000, RECONNECT_MILLISECONDS = 1000,
    DESCRIPTORS = 65536 };
#define ADDRESS_SPACE ((uint64_t)4 << 30)

/* The order in which roles are stopped. */
static const enum role stop_order[][2] = {
	{ ROLE_SMTPD, ROLE_STS },
	{ ROLE_DELIVERY, ROLE_MAILBOX },
	{ ROLE_QUEUE, ROLE_QUEUE },
	{ ROLE_POLICY, ROLE_DIRECTORY },
};
enum { STOP_STAGES = sizeof(stop_order) / sizeof(stop_order[0]) };

static struct {
	const char		*path;		/* of the configuration */
	struct conf		*conf;		/* owned */
	struct bundle		*bundle;	/* owned */
	struct listeners	 listeners;
	struct control_socket	*control;	/* owned */
	int			 lock;		/* of the run directory */
	int			 counters;	/* smtpd's; -1: there are none */
	int64_t			 started;	/* wall, ms */

	struct child		 children[CHILDREN_MAX];
	unsigned		 child_count;
	bool			 serving;	/* listeners were handed out */
	/* when a pair last got a channel: monotonic, ms */
	int64_t			 connected[CHILDREN_MAX][CHILDREN_MAX];

	bool			 stopping;
	int			 stop_stage;
	struct timer		 stop_timer;

	/* a reload under way: answers that are still missing */
	unsigned		 reload_pending;
	uint32_t		 reload_request;
	char			*reload_problem;	/* owned; first one */
	struct control		*reload_asker;	/* null: a signal, or gone */
	struct timer		 reload_timer;
	bool			 reload_again;	/* asked for meanwhile */
} supervisor;

/* --- children --- */

static unsigned log_level(const struct conf *conf)
{
	static const char *const names[] = { [LOG_LEVEL_DEBUG] = "debug",
	    [LOG_LEVEL_INFO] = "info", [LOG_LEVEL_WARN] = "warn",
	    [LOG_LEVEL_ERROR] = "error" };
	unsigned i;

	for (i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (strcmp(names[i], conf->log_level) == 0)
			return i;
	return LOG_LEVEL_INFO;
}

static void	restart_child(void *arg);

static void start_child(struct child *child)
{
	struct child_order order = { .descriptors = DESCRIPTORS };
	char *user = directories_user(supervisor.conf, child->role);
	char *root = directories_root(supervisor.conf, child->role);
	struct buf bundle;

	buf_init(&bundle, PROCESS_BUNDLE_MAX);
	if (bundle_encode(supervisor.bundle, child->role, &bundle) == -1)
		fatal("the configuration and its files are too large");
	order.user = user;
	order.root = root;
	order.bundle = &bundle;
	order.files = supervisor.bundle;
	order.log_level = log_level(supervisor.conf);
	order.address_space = ADDRESS_SPACE;
	if (child->role == ROLE_QUEUE)
		order.address_space += (uint64_t)supervisor.conf->queue_cache;
	if (child_spawn(child, &order) == -1) {
		child->failures++;
		timer_start(&child->restart, child_restart_delay(child),
		    restart_child, child);
	}
	buf_wipe(&bundle);
	mem_free(user);
	mem_free(root);
}

static void start_again(void *arg)
{
	struct child *child = arg;

	if (!supervisor.stopping && child->wanted && child->pid == 0)
		start_child(child);
}

static void restart_child(void *arg)
{
	struct child *child = arg;

	child->restarts++;
	start_again(child);
}

static void connect_later(struct child *one, struct child *other);

static int64_t *connected_at(const struct child *one,
    const struct child *other)
{
	ptrdiff_t first = one - supervisor.children;
	ptrdiff_t second = other - supervisor.children;

	return first < second ? &supervisor.connected[first][second] :
	    &supervisor.connected[second][first];
}

/* A fresh channel between two roles; each gets its end. */
static void connect_children(struct child *one, struct child *other)
{
	int fds[2];

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0,
	    fds) == -1) {
		log_error("cannot make a channel", log_errno(errno));
		connect_later(one, other);
		return;
	}
	child_send_peer(one, other, fds[0]);
	child_send_peer(other, one, fds[1]);
	close(fds[0]);
	close(fds[1]);
	*connected_at(one, other) = clock_monotonic();
}

/* A pair whose channel is to be made anew. */
struct reconnection {
	struct child	*one;		/* outlive us */
	struct child	*other;
	int64_t		 seen;		/* connected_at() when asked for */
	struct timer	 timer;
	LIST_ENTRY(reconnection) link;
};

/* One a pair at most, whatever a role says. */
static LIST_HEAD(, reconnection) reconnections =
    LIST_HEAD_INITIALIZER(reconnections);

/* A pair that has another channel by now, or of which one was started since
 * then, needs none of ours. */
static void on_reconnection(void *arg)
{
	struct reconnection *reconnection = arg;
	struct child *one = reconnection->one, *other = reconnection->other;

	timer_stop(&reconnection->timer);
	LIST_REMOVE(reconnection, link);
	if (!supervisor.stopping && one->state == CHILD_RUNNING &&
	    other->state == CHILD_RUNNING &&
	    *connected_at(one, other) == reconnection->seen)
		connect_children(one, other);
	mem_free(reconnection);
}

static void connect_later(struct child *one, struct child *other)
{
	struct reconnection *reconnection;

	LIST_FOREACH(reconnection, &reconnections, link)
		if (connected_at(reconnection->one, reconnection->other) ==
		    connected_at(one, other)) {
			reconnection->seen = *connected_at(one, other);
			return;
		}
	reconnection = mem_alloc(sizeof(*reconnection));
	LIST_INSERT_HEAD(&reconnections, reconnection, link);
	reconnection->one = one;
	reconnection->other = other;
	reconnection->seen = *connected_at(one, other);
	timer_start(&reconnection->timer, RECONNECT_MILLISECONDS,
	    on_reconnection, reconnection);
}

static void on_peer_lost(struct child *child, enum role role,
    unsigned instance)
{
	struct child *other;
	unsigned i;

	for (i = 0; i < supervisor.child_count; i++) {
		other = &supervisor.children[i];
		if (other->role == role && other->instance == instance &&
		    role_may_talk(child->role, role))
			connect_later(child, other);
	}
}

static void on_connect(struct child *child, uint32_t request, const char *path)
{
	connector_ask(supervisor.conf, child, request, path);
}

/* Those that its role serves. */
static void send_listeners(struct child *child)
{
	const struct listener *item;
	size_t i;

	if (child->role == ROLE_SMTPD && supervisor.counters != -1)
		child_send_listener(child, COUNTERS_NAME, supervisor.counters);
	for (i = 0; i < supervisor.listeners.count; i++) {
		item = &supervisor.listeners.items[i];
		if (item->role == child->role)
			child_send_listener(child, item->name, item->fd);
	}
}

/* All roles, but one that has nothing to serve. */
static bool is_wanted(enum role role, const struct listeners *listeners)
{
	size_t i;

	for (i = 0; role == ROLE_STS && i < listeners->count; i++)
		if (listeners->items[i].role == role)
			return true;
	return role != ROLE_STS;
}

static bool everyone_was_ready(void)
{
	unsigned i;

	for (i = 0; i < supervisor.child_count; i++)
		if (supervisor.children[i].wanted &&
		    !supervisor.children[i].was_ready)
			return false;
	return true;
}

static void begin_serving(void)
{
	unsigned i;

	supervisor.serving = true;
	for (i = 0; i < supervisor.child_count; i++)
		send_listeners(&supervisor.children[i]);
	log_info("ready", log_text("hostname", supervisor.conf->hostname),
	    log_number("listeners", (int64_t)supervisor.listeners.count),
	    log_text("configuration", supervisor.path));
	notify_state("READY=1");
	drain_configure(supervisor.conf);
}

static void on_ready(struct child *child)
{
	struct child *other;
	unsigned i;

	for (i = 0; i < supervisor.child_count; i++) {
		other = &supervisor.children[i];
		if (other != child && other->state == CHILD_RUNNING &&
		    role_may_talk(child->role, other->role))
			connect_children(child, other);
	}
	if (supervisor.serving) {
		send_listeners(child);
	} else if (everyone_was_ready()) {
		begin_serving();
	}
}

/* --- reload --- */

static void	reload(void);

static void reload_finish(void)
{
	const char *problem = supervisor.reload_problem;
	unsigned i;

	for (i = 0; i < supervisor.child_count; i++)
		supervisor.children[i].reloading = false;
	timer_stop(&supervisor.reload_timer);
	supervisor.reload_pending = 0;
	if (problem == NULL)
		log_info("reloaded", log_text("configuration",
		    supervisor.path));
	else
		log_error("reload failed", log_text("reason", problem));
	if (supervisor.reload_asker != NULL)
		control_end(supervisor.reload_asker, problem == NULL ?
		    CONTROL_OK : CONTROL_CONFIG, problem == NULL ?
		    "reloaded" : problem);
	supervisor.reload_asker = NULL;
	mem_free(supervisor.reload_problem);
	supervisor.reload_problem = NULL;
	if (supervisor.serving)
		notify_state("READY=1");
	if (supervisor.reload_again) {
		supervisor.reload_again = false;
		reload();
	}
}

/* The first problem is the answer. Sentences about a file end with a line feed,
 * the log's and the command's do not. */
static void reload_fail(char *problem)
{
	size_t length = strlen(problem);

	while (length > 0 && problem[length - 1] == '\n')
		problem[--length] = '\0';
	if (supervisor.reload_problem == NULL)
		supervisor.reload_problem = problem;
	else
		mem_free(problem);
}

static void reload_late(void *arg)
{
	(void)arg;
	reload_fail(mem_dup_string("a role did not answer in time"));
	reload_finish();
}

/* One answer less to wait for. A role that died has none to give: it starts
 * again with what it should have taken over. */
static void reload_answered(struct child *child)
{
	if (!child->reloading)
		return;
	child->reloading = false;
	if (--supervisor.reload_pending == 0)
		reload_finish();
}

static void on_result(struct child *child, uint32_t request, bool failed,
    const char *text)
{
	if (!child->reloading || request != supervisor.reload_request)
		return;		/* the first configuration, or too late */
	if (failed)
		reload_fail(mem_print("%s keeps the old configuration: %s",
		    role_name(child->role), text));
	reload_answered(child);
}

static void tell_roles(void)
{
	struct child *child;
	struct buf bundle;
	unsigned i;

	if (++supervisor.reload_request == 0)
		supervisor.reload_request = 1;
	for (i = 0; i < supervisor.child_count; i++) {
		child = &supervisor.children[i];
		if (child->channel == NULL || !child->wanted)
			continue;	/* it will start with the new one */
		buf_init(&bundle, PROCESS_BUNDLE_MAX);
		if (bundle_encode(supervisor.bundle, child->role,
		    &bundle) == -1)
			bug("a bundle that fitted does not fit");
		child_send_tables(child, supervisor.bundle);
		child_send_configuration(child, &bundle,
		    supervisor.reload_request);
		buf_wipe(&bundle);
		child->reloading = true;
		supervisor.reload_pending++;
	}
	timer_start(&supervisor.reload_timer, RELOAD_MILLISECONDS, reload_late,
	    NULL);
}

static void tell_what_went(struct child *child, const struct listeners *fresh,
    const struct listeners *old)
{
	size_t i;

	for (i = 0; i < old->count; i++)
		if (old->items[i].role == child->role &&
		    listeners_find_role(fresh, old->items[i].name,
		    child->role) == -1)
			child_send_listener_gone(child, old->items[i].name);
}

/* The new set is open: the roles hear what came and what went. */
static void exchange_listeners(struct listeners *fresh, struct listeners *old)
{
	struct listeners before = *old;
	struct child *child;
	unsigned i;

	supervisor.listeners = *fresh;
	for (i = 0; i < supervisor.child_count; i++) {
		child = &supervisor.children[i];
		if (!supervisor.serving || child->state != CHILD_RUNNING)
			continue;
		tell_what_went(child, fresh, &before);
		send_listeners(child);
	}
	listeners_release(&before);
}

static void kill_child(void *arg)
{
	struct child *child = arg;

	if (child->pid != 0)
		kill(child->pid, SIGKILL);
}

/* A role that is there only while it has something to serve. One that is not
 * wanted any more uses the timer of its restart for its end. */
static void follow_listeners(const struct listeners *fresh)
{
	struct child *child;
	bool before;
	unsigned i;

	for (i = 0; i < supervisor.child_count; i++) {
		child = &supervisor.children[i];
		before = child->wanted;
		child->wanted = is_wanted(child->role, fresh);
		if (child->wanted == before)
			continue;
		if (child->wanted && child->pid == 0)
			timer_start(&child->restart, 0, start_again, child);
		else if (!child->wanted) {
			child->was_ready = false;
			timer_start(&child->restart,
			    supervisor.conf->stop_seconds * 1000, kill_child,
			    child);
			child_stop(child);
		}
	}
}

/* Each role's part of the bundle must go into one message; said before anything
 * is done with it, since later nobody could be asked for less. */
static int check_size(const struct bundle *bundle, char **errors)
{
	struct buf part;
	int role, failed = 0;

	for (role = ROLE_SUPERVISOR + 1; role < ROLE_COUNT && !failed;
	    role++) {
		buf_init(&part, PROCESS_BUNDLE_MAX);
		failed = bundle_encode(bundle, (enum role)role, &part);
		buf_wipe(&part);
		if (failed)
			*errors = mem_print("the configuration and the files "
			    "that it names for the %s process are larger than "
			    "%d MiB together", role_name((enum role)role),
			    PROCESS_BUNDLE_MAX >> 20);
	}
	return failed ? -1 : 0;
}

/* What the configuration may do and its reader advises against. */
static void warn_of(const struct conf *conf)
{
	char *copy, *rest, *line;

	if (conf->warnings == NULL)
		return;
	copy = rest = mem_dup_string(conf->warnings);
	while ((line = strsep(&rest, "\n")) != NULL)
		if (line[0] != '\0')
			log_warn("configuration", log_text("advice", line));
	mem_free(copy);
}

static bool needs_restart(const struct conf *old, const struct conf *new)
{
	return strcmp(old->queue_directory, new->queue_directory) != 0 ||
	    strcmp(old->mail_directory, new->mail_directory) != 0 ||
	    strcmp(old->state_directory, new->state_directory) != 0 ||
	    strcmp(old->run_directory, new->run_directory) != 0 ||
	    strcmp(old->control_socket, new->control_socket) != 0 ||
	    old->smtpd_workers != new->smtpd_workers ||
	    old->queue_cache != new->queue_cache ||
	    old->drop_privileges != new->drop_privileges;
}

static void reload(void)
{
	struct listeners fresh;
	struct bundle *bundle;
	struct conf *conf;
	char *errors = NULL;

	if (supervisor.stopping)
		return;
	if (supervisor.reload_pending > 0) {
		/* What was read may be older than what is there now. */
		supervisor.reload_again = true;
		return;
	}
	notify_reloading();
	bundle = bundle_load(supervisor.path, &conf, &errors);
	if (bundle != NULL && (check_size(bundle, &errors) == -1 ||
	    certificates_check(conf, bundle, &errors) == -1 ||
	    listeners_open(&fresh, conf, &supervisor.listeners,
	    &errors) == -1)) {
		bundle_free(bundle);
		conf_free(conf);
		bundle = NULL;
	}
	if (bundle == NULL) {
		reload_fail(errors);
		reload_finish();
		return;
	}
	warn_of(conf);
	if (needs_restart(supervisor.conf, conf))
		log_warn("some changes take effect only after a restart: "
		    "directories, control-socket, smtpd-workers, queue-cache, "
		    "drop-privileges");
	bundle_free(supervisor.bundle);
	conf_free(supervisor.conf);
	supervisor.bundle = bundle;
	supervisor.conf = conf;
	log_set_level(log_level(conf));
	follow_listeners(&fresh);
	tell_roles();
	exchange_listeners(&fresh, &supervisor.listeners);
	if (directories_make_drop(conf, &errors) == -1) {
		log_error("no drop directory", log_text("reason", errors));
		mem_free(errors);
	}
	if (supervisor.serving)
		drain_configure(conf);
	if (supervisor.reload_pending == 0)
		reload_finish();
}

/* --- stop --- */

static bool in_stage(const struct child *child, int stage)
{
	return child->role == stop_order[stage][0] ||
	    child->role == stop_order[stage][1];
}

/* Begins the first stage that still has somebody in it. */
static void stop_next(void)
{
	struct child *child;
	bool waiting = false;
	unsigned i;

	while (supervisor.stop_stage < STOP_STAGES && !waiting) {
		for (i = 0; i < supervisor.child_count; i++) {
			child = &supervisor.children[i];
			if (child->pid == 0 ||
			    !in_stage(child, supervisor.stop_stage))
				continue;
			child_stop(child);
			waiting = true;
		}
		if (!waiting)
			supervisor.stop_stage++;
	}
	if (!waiting && !drain_is_busy())
		loop_stop();
}

static void stop_late(void *arg)
{
	unsigned i;

	(void)arg;
	for (i = 0; i < supervisor.child_count; i++)
		if (supervisor.children[i].pid != 0) {
			log_warn("role did not stop in time: killed",
			    log_text("role",
			    role_name(supervisor.children[i].role)));
			kill(supervisor.children[i].pid, SIGKILL);
		}
	drain_kill();
	timer_start(&supervisor.stop_timer, KILL_MILLISECONDS, stop_late,
	    NULL);
}

static void stop(void)
{
	unsigned i;

	if (supervisor.stopping)
		return;
	supervisor.stopping = true;
	log_info("stopping");
	notify_state("STOPPING=1");
	drain_stop();
	/* smtpd closes its own: who connects now is refused, not kept. */
	listeners_release(&supervisor.listeners);
	for (i = 0; i < supervisor.child_count; i++)
		timer_stop(&supervisor.children[i].restart);
	timer_start(&supervisor.stop_timer, supervisor.conf->stop_seconds *
	    1000, stop_late, NULL);
	stop_next();
}

/* --- signals --- */

static struct child *child_by_pid(pid_t pid)
{
	unsigned i;

	for (i = 0; i < supervisor.child_count; i++)
		if (supervisor.children[i].pid == pid)
			return &supervisor.children[i];
	return NULL;
}

static void on_child_signal(void *arg)
{
	struct child *child;
	int wait_status;
	pid_t pid;

	(void)arg;
	while ((pid = waitpid(-1, &wait_status, WNOHANG)) > 0) {
		child = child_by_pid(pid);
		if (child == NULL) {
			(void)drain_exited(pid, wait_status);
			continue;
		}
		log_sink_drain();	/* its last words first */
		child_exited(child, wait_status);
		if (child->role == ROLE_SMTPD && supervisor.counters != -1)
			counters_forget(supervisor.counters, child->instance);
		connector_forget(child);
		reload_answered(child);
		timer_stop(&child->restart);
		if (!supervisor.stopping && child->wanted)
			timer_start(&child->restart,
			    child_restart_delay(child), restart_child, child);
	}
	if (supervisor.stopping)
		stop_next();
}

static void on_reload_signal(void *arg)
{
	(void)arg;
	reload();
}

static void on_stop_signal(void *arg)
{
	(void)arg;
	stop();
}

/* --- operators --- */

static void answer_status(struct control *control)
{
	const struct child *child;
	char since[40];
	unsigned i;

	clock_format_iso(supervisor.started, since, sizeof(since));
	control_send(control, json_pack("{s:s, s:i, s:s, s:s, s:s, s:b}",
	    "role", "supervisor", "pid", (int)getpid(), "since", since,
	    "configuration", supervisor.path, "hostname",
	    supervisor.conf->hostname, "serving", supervisor.serving));
	for (i = 0; i < supervisor.child_count; i++) {
		child = &supervisor.children[i];
		if (!child->wanted && child->pid == 0)
			continue;
		clock_format_iso(child->started_wall, since, sizeof(since));
		control_send(control, json_pack("{s:s, s:i, s:i, s:s, s:s, "
		    "s:i}", "role", role_name(child->role), "instance",
		    (int)child->instance, "pid", (int)child->pid, "state",
		    child_state_name(child->state), "since", since,
		    "restarts", (int)child->restarts));
	}
	for (i = 0; i < supervisor.listeners.count; i++)
		control_send(control, json_pack("{s:s}", "listener",
		    supervisor.listeners.items[i].name));
	control_end(control, CONTROL_OK, NULL);
}

static void asker_waits(struct control *control, void *arg)
{
	(void)control;
	(void)arg;
}

static void asker_gone(void *arg)
{
	(void)arg;
	supervisor.reload_asker = NULL;
}

static void answer_reload(struct control *control)
{
	if (supervisor.reload_pending > 0) {
		control_end(control, CONTROL_TEMPORARY,
		    "a reload is under way already");
		return;
	}
	supervisor.reload_asker = control;
	control_produce(control, asker_waits, asker_gone, NULL);
	reload();
}

static void answer_own(struct control *control, unsigned verb)
{
	bool privileged = control_caller(control)->privileged;

	if (verb == CONTROL_STATUS) {
		answer_status(control);
	} else if (!privileged) {
		control_end(control, CONTROL_DENIED, "permission denied: only "
		    "root, or the user who runs the server, may do this");
	} else if (verb == CONTROL_RELOAD) {
		answer_reload(control);
	} else if (verb == CONTROL_STOP) {
		log_info("stop", log_number("uid",
		    control_caller(control)->uid));
		control_send(control, json_pack("{s:i}", "pid",
		    (int)getpid()));
		control_end(control, CONTROL_OK, "stopping");
		stop();
	} else {
		control_end(control, CONTROL_USAGE, "unknown verb");
	}
}

static void on_wanted(enum role role, unsigned verb, int fd,
    const struct process_caller *caller)
{
	unsigned i;

	if (role == ROLE_SUPERVISOR) {
		answer_own(control_open(fd, caller), verb);
		return;
	}
	if (role != ROLE_QUEUE && role != ROLE_POLICY &&
	    role != ROLE_DELIVERY && role != ROLE_SMTPD) {
		control_end(control_open(fd, caller), CONTROL_USAGE,
		    "that part of the server takes no commands");
		return;
	}
	for (i = 0; i < supervisor.child_count; i++)
		if (supervisor.children[i].role == role &&
		    supervisor.children[i].state == CHILD_RUNNING)
			break;
	if (i == supervisor.child_count) {
		control_end(control_open(fd, caller), CONTROL_UNAVAILABLE,
		    "that part of the server is not running: see its log");
		return;
	}
	child_send_control(&supervisor.children[i], caller->uid, caller->gid,
	    caller->privileged, fd);
	close(fd);
}

/* --- start --- */

static void add_child(enum role role, unsigned instance)
{
	static const struct child_events events = { .ready = on_ready,
	    .result = on_result, .peer_lost = on_peer_lost,
	    .connect = on_connect };
	struct child *child = &supervisor.children[supervisor.child_count++];

	child->role = role;
	child->instance = instance;
	child->events = &events;
	child->wanted = is_wanted(role, &supervisor.listeners);
}

static void start_children(void)
{
	unsigned workers = (unsigned)supervisor.conf->smtpd_workers;
	unsigned i;

	if (workers == 0)
		workers = (unsigned)sysconf(_SC_NPROCESSORS_ONLN);
	if (workers < 1)
		workers = 1;
	if (workers > CHILDREN_MAX - 8)
		workers = CHILDREN_MAX - 8;
	add_child(ROLE_QUEUE, 0);
	add_child(ROLE_POLICY, 0);
	add_child(ROLE_DIRECTORY, 0);
	add_child(ROLE_DELIVERY, 0);
	add_child(ROLE_MAILBOX, 0);
	add_child(ROLE_STS, 0);
	for (i = 0; i < workers; i++)
		add_child(ROLE_SMTPD, i);
	supervisor.counters = counters_create();
	for (i = 0; i < supervisor.child_count; i++)
		if (supervisor.children[i].wanted)
			start_child(&supervisor.children[i]);
}

/* One supervisor a run directory; the lock goes with the process. */
static int lock_run_directory(char **errors)
{
	char *path = mem_print("%s/postern.pid",
	    supervisor.conf->run_directory);
	char text[32];
	int length;

	supervisor.lock = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW,
	    0644);
	if (supervisor.lock == -1) {
		*errors = mem_print("%s: %s", path, strerror(errno));
	} else if (flock(supervisor.lock, LOCK_EX | LOCK_NB) == -1) {
		*errors = mem_print("%s is locked: Postern runs already with "
		    "this run-directory (see \"postern status\")", path);
		close(supervisor.lock);
		supervisor.lock = -1;
	} else {
		length = snprintf(text, sizeof(text), "%d\n", (int)getpid());
		if (ftruncate(supervisor.lock, 0) == -1 ||
		    write(supervisor.lock, text, (size_t)length) != length)
			log_warn("cannot write", log_text("path", path),
			    log_errno(errno));
	}
	mem_free(path);
	return supervisor.lock == -1 ? -1 : 0;
}

static int prepare(char **errors)
{
	supervisor.bundle = bundle_load(supervisor.path, &supervisor.conf,
	    errors);
	if (supervisor.bundle == NULL)
		return -1;
	log_set_level(log_level(supervisor.conf));
	warn_of(supervisor.conf);
	if (check_size(supervisor.bundle, errors) == -1 ||
	    certificates_check(supervisor.conf, supervisor.bundle,
	    errors) == -1 ||
	    directories_make(supervisor.conf, errors) == -1 ||
	    lock_run_directory(errors) == -1 ||
	    listeners_open(&supervisor.listeners, supervisor.conf, NULL,
	    errors) == -1)
		return -1;
	supervisor.control = control_socket_open(supervisor.conf, on_wanted,
	    errors);
	return supervisor.control == NULL ? -1 : 0;
}

static void standard_descriptors(void)
{
	int null = open("/dev/null", O_RDWR);

	if (null == -1)
		return;
	dup2(null, STDIN_FILENO);
	dup2(null, STDOUT_FILENO);
	if (null > STDERR_FILENO)
		close(null);
}

static void tear_down(void)
{
	stream_end_all();
	control_socket_close(supervisor.control);
	listeners_release(&supervisor.listeners);
	if (supervisor.bundle != NULL)
		bundle_free(supervisor.bundle);
	if (supervisor.conf != NULL)
		conf_free(supervisor.conf);
	if (supervisor.lock != -1)
		close(supervisor.lock);
	if (supervisor.counters != -1)
		close(supervisor.counters);
	log_flush();
}

int supervisor_run(const char *configuration_path)
{
	char *errors = NULL;

	supervisor.path = configuration_path;
	supervisor.started = clock_wall();
	supervisor.lock = -1;
	supervisor.counters = -1;
	log_init("supervisor", LOG_LEVEL_INFO);
	log_set_style(getenv("JOURNAL_STREAM") == NULL ? LOG_STAMPED :
	    LOG_MARKED);
	umask(0077);
	tls_init();
	loop_init();
	if (prepare(&errors) == -1) {
		control_client_complain(errors);
		mem_free(errors);
		tear_down();
		return CONTROL_CONFIG;
	}
	standard_descriptors();
	loop_on_signal(SIGCHLD, on_child_signal, NULL);
	loop_on_signal(SIGHUP, on_reload_signal, NULL);
	loop_on_signal(SIGTERM, on_stop_signal, NULL);
	loop_on_signal(SIGINT, on_stop_signal, NULL);
	start_children();
	loop_run();
	log_sink_drain();
	log_info("stopped");
	tear_down();
	return CONTROL_OK;
}
