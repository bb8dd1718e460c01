/* SPDX-License-Identifier: ISC */
/*
 * Starting a role: a socket pair for its channel, a pipe for its log, and this
 * very binary again, so that every role begins with a clean address space.
 */
#include "tools/child.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/channel.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/process_message.h"
#include "base/table.h"
#include "conf/bundle.h"
#include "tools/log_sink.h"

enum { QUEUED_MAX = 32 << 20, LOG_PIPE_BYTES = 1 << 20,
    HEALTHY_MILLISECONDS = 60000, DELAY_FIRST = 100, DELAY_MAX = 10000,
    /* What counts at most of a role that gets ready, which makes 400 ms: mail
     * is to flow again within 5 s, however often it is killed. */
    READY_FAILURES_MAX = 4 };

static void child_enter(struct child *child, enum child_state state)
{
	log_debug("child", log_text("role", role_name(child->role)),
	    log_number("instance", child->instance),
	    log_text("from", child_state_name(child->state)),
	    log_text("to", child_state_name(state)));
	child->state = state;
	if (state == CHILD_STARTING) {
		child->started = clock_monotonic();
		child->started_wall = clock_wall();
	}
}

static void on_result(struct child *child, struct channel_message *message)
{
	char text[PROCESS_RESULT_TEXT + 1];
	const void *bytes;
	uint32_t failed;
	size_t length;

	failed = wire_get_u32(&message->body);
	bytes = wire_get_bytes(&message->body, PROCESS_RESULT_TEXT, &length);
	if (wire_read_end(&message->body) == -1) {
		log_error("malformed result: ending the role",
		    log_text("role", role_name(child->role)));
		kill(child->pid, SIGKILL);
		return;
	}
	memcpy(text, bytes, length);
	text[length] = '\0';
	child->events->result(child, message->request, failed != 0, text);
}

static void on_peer_lost(struct child *child, struct channel_message *message)
{
	enum role role = wire_get_enum(&message->body, ROLE_COUNT);
	unsigned instance = wire_get_u32(&message->body);

	if (wire_read_end(&message->body) == 0)
		child->events->peer_lost(child, role, instance);
}

static void on_connect(struct child *child, struct channel_message *message)
{
	size_t length;
	const char *path = wire_get_bytes(&message->body, PROCESS_PATH_BYTES,
	    &length);

	if (wire_read_end(&message->body) == -1 ||
	    length != PROCESS_PATH_BYTES || path[length - 1] != '\0' ||
	    message->request == 0)
		log_error("malformed request for a connection",
		    log_text("role", role_name(child->role)));
	else
		child->events->connect(child, message->request, path);
}

static void on_message(void *arg, struct channel *channel,
    struct channel_message *message)
{
	struct child *child = arg;

	(void)channel;
	if (message->type == PROCESS_RESULT) {
		on_result(child, message);
	} else if (message->type == PROCESS_CONNECT) {
		on_connect(child, message);
	} else if (message->type == PROCESS_PEER_LOST) {
		on_peer_lost(child, message);
	} else if (child->state == CHILD_STARTING) {
		child_enter(child, CHILD_RUNNING);
		child->was_ready = true;
		child->events->ready(child);
	}
}

/* The exit status comes by SIGCHLD; a role that only closed its channel is of
 * no use any more. */
static void on_closed(void *arg, struct channel *channel)
{
	struct child *child = arg;

	channel_free(channel);
	child->channel = NULL;
	if (child->pid != 0 && child->state != CHILD_STOPPING)
		kill(child->pid, SIGKILL);
}

static const struct channel_rule rules[] = {
	{ .type = PROCESS_READY, .max = 0 },
	{ .type = PROCESS_PEER_LOST, .max = 5 },
	{ .type = PROCESS_RESULT, .max = 4 + 4 + PROCESS_RESULT_TEXT },
	{ .type = PROCESS_CONNECT, .max = 4 + PROCESS_PATH_BYTES },
};

static const struct channel_handler handler = {
	.rules = rules,
	.rule_count = sizeof(rules) / sizeof(rules[0]),
	.message = on_message,
	.closed = on_closed,
	.secret = true,
};

static void become(const struct child *child, int channel_fd, int log_fd)
{
	char role[32], instance[32];
	char *arguments[] = { (char *)"postern", role, instance, NULL };
	sigset_t none;

	snprintf(role, sizeof(role), "--role=%s", role_name(child->role));
	snprintf(instance, sizeof(instance), "--instance=%u",
	    child->instance);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	setpgid(0, 0);		/* a terminal's ^C is the supervisor's */
	/* log_fd first: it may itself be 3 */
	if (dup2(log_fd, STDERR_FILENO) == -1 ||
	    dup2(channel_fd, PROCESS_CHANNEL_FD) == -1)
		_exit(71);
	if (channel_fd == PROCESS_CHANNEL_FD)
		fcntl(channel_fd, F_SETFD, 0);
	execv("/proc/self/exe", arguments);
	_exit(72);
}

static void send_orders(struct child *child, const struct child_order *order)
{
	struct wire_writer *writer;

	writer = channel_begin(child->channel, PROCESS_BEGIN, 0);
	wire_put_text(writer, order->user);
	wire_put_text(writer, order->root);
	wire_put_u32(writer, order->log_level);
	wire_put_u64(writer, order->address_space);
	wire_put_u32(writer, order->descriptors);
	channel_end(child->channel);
	if (order->files != NULL)
		child_send_tables(child, order->files);
	child_send_configuration(child, order->bundle, 0);
	channel_begin(child->channel, PROCESS_START, 0);
	channel_end(child->channel);
}

int child_spawn(struct child *child, const struct child_order *order)
{
	int channel_fds[2], log_fds[2];
	pid_t pid;

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0,
	    channel_fds) == -1) {
		log_error("cannot make a channel", log_errno(errno));
		return -1;
	}
	if (pipe2(log_fds, O_CLOEXEC | O_NONBLOCK) == -1) {
		log_error("cannot make a log pipe", log_errno(errno));
		close(channel_fds[0]);
		close(channel_fds[1]);
		return -1;
	}
	(void)fcntl(log_fds[1], F_SETPIPE_SZ, LOG_PIPE_BYTES);
	log_flush();
	pid = fork();
	if (pid == 0)
		become(child, channel_fds[1], log_fds[1]);
	close(channel_fds[1]);
	close(log_fds[1]);
	if (pid == -1) {
		log_error("cannot start a role", log_errno(errno));
		close(channel_fds[0]);
		close(log_fds[0]);
		return -1;
	}
	child->pid = pid;
	log_source_new(log_fds[0]);
	child->channel = channel_new(channel_fds[0], role_name(child->role),
	    &handler, child, QUEUED_MAX);
	child_enter(child, CHILD_STARTING);
	send_orders(child, order);
	return 0;
}

void child_exited(struct child *child, int wait_status)
{
	bool clean = WIFEXITED(wait_status) && WEXITSTATUS(wait_status) == 0;

	if (child->state == CHILD_STOPPING && clean)
		log_debug("role ended", log_text("role",
		    role_name(child->role)));
	else
		log_error("role died", log_text("role",
		    role_name(child->role)),
		    log_number("instance", child->instance),
		    log_number("pid", child->pid),
		    WIFSIGNALED(wait_status) ?
		    log_text("signal", strsignal(WTERMSIG(wait_status))) :
		    log_number("status", WEXITSTATUS(wait_status)));
	if (clock_monotonic() - child->started > HEALTHY_MILLISECONDS)
		child->failures = 0;
	child->failures++;
	if (child->state == CHILD_RUNNING &&
	    child->failures > READY_FAILURES_MAX)
		child->failures = READY_FAILURES_MAX;
	child->pid = 0;
	if (child->channel != NULL)
		channel_free(child->channel);
	child->channel = NULL;
	child_enter(child, CHILD_DOWN);
}

int64_t child_restart_delay(const struct child *child)
{
	unsigned doublings;

	if (child->failures <= 1)
		return 0;
	doublings = child->failures - 2;
	if (doublings > 7)
		doublings = 7;
	return (int64_t)DELAY_FIRST << doublings > DELAY_MAX ? DELAY_MAX :
	    (int64_t)DELAY_FIRST << doublings;
}

void child_send_tables(struct child *child, const struct bundle *files)
{
	const struct bundle_file *file = NULL;

	while (child->channel != NULL && (file = bundle_next_table(files,
	    child->role, file)) != NULL) {
		wire_put_text(channel_begin(child->channel, PROCESS_TABLE, 0),
		    file->path);
		/* At once, as with listeners. */
		if (channel_end_fd(child->channel,
		    table_descriptor(file->table)) == 0)
			channel_flush(child->channel, 0);
	}
}

void child_send_configuration(struct child *child, const struct buf *bundle,
    uint32_t request)
{
	struct wire_writer *writer;

	if (child->channel == NULL)
		return;
	writer = channel_begin(child->channel, PROCESS_CONFIGURE, request);
	wire_put_bytes(writer, buf_data(bundle), buf_length(bundle));
	channel_end(child->channel);
}

void child_send_peer(struct child *child, const struct child *peer, int fd)
{
	struct wire_writer *writer;

	if (child->channel == NULL)
		return;
	writer = channel_begin(child->channel, PROCESS_PEER, 0);
	wire_put_u8(writer, (uint8_t)peer->role);
	wire_put_u32(writer, peer->instance);
	channel_end_fd(child->channel, fd);
}

void child_send_listener(struct child *child, const char *name, int fd)
{
	if (child->channel == NULL)
		return;
	wire_put_text(channel_begin(child->channel, PROCESS_LISTENER, 0),
	    name);
	/* At once: a channel holds few descriptors, and a machine may listen
	 * on hundreds of addresses. */
	if (channel_end_fd(child->channel, fd) == 0)
		channel_flush(child->channel, 0);
}

void child_send_listener_gone(struct child *child, const char *name)
{
	if (child->channel == NULL)
		return;
	wire_put_text(channel_begin(child->channel, PROCESS_LISTENER_GONE, 0),
	    name);
	channel_end(child->channel);
}

void child_send_control(struct child *child, uid_t uid, gid_t gid,
    bool privileged, int fd)
{
	struct wire_writer *writer;

	if (child->channel == NULL)
		return;
	writer = channel_begin(child->channel, PROCESS_CONTROL, 0);
	wire_put_u32(writer, uid);
	wire_put_u32(writer, gid);
	wire_put_u8(writer, privileged);
	channel_end_fd(child->channel, fd);
}

void child_send_connection(struct child *child, uint32_t request, int fd,
    int error)
{
	if (child->channel == NULL)
		return;
	if (fd != -1) {
		channel_begin(child->channel, PROCESS_CONNECTED, request);
		/* At once, as with listeners. */
		if (channel_end_fd(child->channel, fd) == 0)
			channel_flush(child->channel, 0);
	} else {
		wire_put_u32(channel_begin(child->channel,
		    PROCESS_NOT_CONNECTED, request), (uint32_t)error);
		channel_end(child->channel);
	}
}

void child_stop(struct child *child)
{
	if (child->channel == NULL || child->state == CHILD_STOPPING)
		return;
	child_enter(child, CHILD_STOPPING);
	channel_begin(child->channel, PROCESS_STOP, 0);
	channel_end(child->channel);
}

const char *child_state_name(enum child_state state)
{
	static const char *const names[] = { [CHILD_DOWN] = "down",
	    [CHILD_STARTING] = "starting", [CHILD_RUNNING] = "running",
	    [CHILD_STOPPING] = "stopping" };

	return names[state];
}
