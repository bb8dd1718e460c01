/* SPDX-License-Identifier: ISC */
/*
 * A hostile other end. The input is a list of steps, each a byte that says
 * what to do and for writes two bytes of length and the bytes themselves; the
 * loop turns between them. Checked: every message handed out is the next frame
 * of the stream as it was written, keeps its rule, has its descriptor or none;
 * closed() comes once and is the last; no descriptor leaks.
 */
#include <fcntl.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "base/channel.h"
#include "base/log.h"
#include "base/loop.h"

enum { HEADER = 12, STREAM_MAX = 64 << 10, STEPS_MAX = 200, FDS_MAX = 3,
    CEILING = 4096 };

/* Low four bits of a step. */
enum step { STEP_PAUSE = 12, STEP_RESUME, STEP_ANSWER, STEP_CLOSE };

static const struct channel_rule rules[] = {
	{ .type = 1, .max = 64 },
	{ .type = 2, .with_fd = true, .max = 64 },
	{ .type = 3, .max = 0 },
	{ .type = 4, .max = 16384 },
	{ .type = 5, .with_fd = true, .max = 0 },
};

static struct {
	struct channel	*channel;
	int		 raw;			/* -1 when closed */
	uint8_t		 stream[STREAM_MAX];	/* what was written */
	size_t		 written;
	size_t		 read;			/* handed out so far */
	int		 closed;
} world;

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(int is_right)
{
	if (!is_right)
		abort();
}

static uint32_t big_endian(const uint8_t *bytes, size_t length)
{
	uint32_t value = 0;

	while (length-- > 0)
		value = value << 8 | *bytes++;
	return value;
}

static void on_message(void *arg, struct channel *channel,
    struct channel_message *message)
{
	const uint8_t *frame = world.stream + world.read;
	size_t body = (size_t)(message->body.end - message->body.position);

	check(arg == &world && channel == world.channel && !world.closed);
	check(world.written - world.read >= HEADER + body);
	check(big_endian(frame, 4) == HEADER - 4 + body);
	check(big_endian(frame + 4, 2) == message->type);
	check(big_endian(frame + 8, 4) == message->request);
	check(body == 0 || memcmp(frame + HEADER, message->body.position,
	    body) == 0);
	check(message->type >= 1 && message->type <= 5);
	check(body <= rules[message->type - 1].max);
	check((message->fd >= 0) == rules[message->type - 1].with_fd);
	check(message->fd < 0 || fcntl(message->fd, F_GETFD) == FD_CLOEXEC);
	world.read += HEADER + body;
	/* What the peer can choose: a channel that dies under the handler. */
	if (message->request == 0xdead) {
		channel_free(channel);
		world.channel = NULL;
	} else if (message->request == 0xaa) {
		channel_pause(channel);
	}
}

static void on_closed(void *arg, struct channel *channel)
{
	check(arg == &world && channel == world.channel);
	check(world.closed++ == 0);
}

static const struct channel_handler handler = {
	.rules = rules, .rule_count = sizeof(rules) / sizeof(rules[0]),
	.message = on_message, .closed = on_closed,
};

static void on_stop(void *unused)
{
	(void)unused;
	loop_stop();
}

static void turn(void)
{
	loop_defer(on_stop, NULL);
	loop_run();
}

static void raw_send(const uint8_t *bytes, size_t length, size_t fds)
{
	union {
		struct cmsghdr	 aligned;
		char		 bytes[CMSG_SPACE(FDS_MAX * sizeof(int))];
	} control = { 0 };
	struct iovec slice = { world.stream + world.written, length };
	struct msghdr message = { .msg_iov = &slice, .msg_iovlen = 1 };
	ssize_t sent;

	if (world.raw < 0 || length == 0 ||
	    length > STREAM_MAX - world.written)
		return;
	memcpy(world.stream + world.written, bytes, length);
	if (fds > 0) {
		/* Zeros: so many copies of descriptor 0. */
		message.msg_control = &control;
		message.msg_controllen = CMSG_SPACE(fds * sizeof(int));
		control.aligned.cmsg_level = SOL_SOCKET;
		control.aligned.cmsg_type = SCM_RIGHTS;
		control.aligned.cmsg_len = CMSG_LEN(fds * sizeof(int));
	}
	sent = sendmsg(world.raw, &message, MSG_DONTWAIT | MSG_NOSIGNAL);
	if (sent > 0)
		world.written += (size_t)sent;
}

/* A frame the other way, without anybody who reads it. */
static void answer(void)
{
	static const char body[1000];

	if (world.channel == NULL)
		return;
	wire_put_bytes(channel_begin(world.channel, 1,
	    channel_next_request(world.channel)), body, sizeof(body));
	channel_end_fd(world.channel, world.written % 2 ? 0 : -1);
}

static void other_step(uint8_t step)
{
	switch (step) {
	case STEP_PAUSE:
		if (world.channel != NULL)
			channel_pause(world.channel);
		break;
	case STEP_RESUME:
		if (world.channel != NULL)
			channel_resume(world.channel);
		break;
	case STEP_ANSWER:
		answer();
		break;
	default:
		if (world.raw >= 0)
			close(world.raw);
		world.raw = -1;
	}
}

/* Writes are steps 0 to 11: descriptors, and whether the loop turns. */
static void run_steps(const uint8_t *data, size_t size)
{
	size_t steps, length;
	uint8_t step;

	for (steps = 0; size > 0 && steps < STEPS_MAX; steps++) {
		step = *data & 15;
		data++, size--;
		if (step >= STEP_PAUSE) {
			other_step(step);
			turn();
			continue;
		}
		if (size < 2)
			break;
		length = big_endian(data, 2);
		data += 2, size -= 2;
		if (length > size)
			length = size;
		raw_send(data, length, step & 3);
		data += length, size -= length;
		if (step & 4)
			turn();
	}
}

/* A read a turn, and a pause for each frame at most, then the end comes. */
static void see_the_end(void)
{
	int turns = STREAM_MAX / HEADER + STEPS_MAX + 2;

	while (world.channel != NULL && world.closed == 0) {
		check(turns-- > 0);
		channel_resume(world.channel);
		turn();
	}
	turn();
	check(world.closed == (world.channel != NULL));
}

/* The least descriptor that is free. */
static int next_descriptor(void)
{
	int fd = fcntl(0, F_DUPFD_CLOEXEC, 0);

	check(fd >= 0);
	close(fd);
	return fd;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static bool is_ready;
	int ends[2], before;

	if (!is_ready) {
		is_ready = true;
		log_init("fuzz", LOG_LEVEL_ERROR);
		loop_init();
		turn();
	}
	before = next_descriptor();
	check(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) == 0);
	memset(&world, 0, offsetof(__typeof__(world), stream));
	world.written = world.read = 0;
	world.closed = 0;
	world.raw = ends[1];
	world.channel = channel_new(ends[0], "fuzz", &handler, &world,
	    CEILING);
	run_steps(data, size);
	other_step(STEP_CLOSE);
	see_the_end();
	channel_free(world.channel);
	check(next_descriptor() == before);
	return 0;
}
