/* SPDX-License-Identifier: ISC */
/*
 * Frames over a stream socket pair. Whole frames are handed out straight from
 * the input buffer; what is sent gathers in the output buffer and leaves at
 * the end of the turn, one write for all of it.
 *
 * Descriptors: a frame with one is sent by a sendmsg() of its own. The kernel
 * ends a read behind the bytes that a descriptor came with, so the last byte
 * of that read lies in the frame that it belongs to, and that frame began in
 * the same read. This is checked by positions in the stream: no trick with the
 * order of writes can move a descriptor to another frame.
 *
 * Runs in every role; nothing here trusts the other end.
 */
#include "base/channel.h"

#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/loop.h"
#include "base/mem.h"

enum {
	HEADER_BYTES = 12,
	LENGTH_BYTES = 4,	/* of the header; not counted by the length */
	SLICE_BYTES = 256 << 10,	/* one read */
	SPARE_BYTES = 1 << 20,	/* an empty buffer above this is freed */
	/* One in the frame that is incomplete, one at the end of a read. */
	INCOMING_MAX = 2,
	OUTGOING_MAX = 64	/* descriptors that wait to be sent */
};

/*
 *	OPEN ---- end, error or refused frame, seen by the loop ----> CLOSED
 *	  |                                                             ^
 *	  `-- ceiling passed, inside a call --> FAILING -- next turn ---'
 *
 * closed() is called on entering CLOSED. A write that fails does not change
 * the state: what the peer sent before it died is read first (is_deaf).
 */
enum channel_state { CHANNEL_OPEN, CHANNEL_FAILING, CHANNEL_CLOSED };

/* A descriptor that came with the bytes [from, to) of the input stream. */
struct incoming {
	int		 fd;		/* owned */
	uint64_t	 from;
	uint64_t	 to;
};

/* A descriptor for the frame at offset of the output stream. */
struct outgoing {
	int		 fd;		/* owned */
	uint64_t	 offset;
	size_t		 length;	/* of the frame */
};

struct frame {
	size_t				 size;		/* with its length */
	uint16_t			 type;
	uint32_t			 request;
	const struct channel_rule	*rule;
};

struct channel {
	int				 fd;		/* owned; -1 closed */
	char				*peer;		/* owned */
	const struct channel_handler	*handler;	/* outlives us */
	void				*arg;
	struct watch			 watch;
	enum channel_state		 state;		/* channel_enter() */
	unsigned			 depth;		/* callbacks running */
	bool				 freed;		/* by one of them */
	bool				 is_paused;
	bool				 is_deaf;	/* peer reads no more */
	uint32_t			 last_request;

	/* what comes in */
	struct buf			 input;
	uint64_t			 dispatched;	/* bytes, since birth */
	uint64_t			 received;
	struct incoming			 incoming[INCOMING_MAX];
	unsigned			 incoming_count;
	bool				 dispatch_deferred;

	/* what goes out */
	struct buf			 output;
	uint64_t			 sent;		/* bytes, since birth */
	struct outgoing			 outgoing[OUTGOING_MAX];	/* ring */
	unsigned			 outgoing_first;
	unsigned			 outgoing_count;
	bool				 flush_deferred;
	bool				 is_full;	/* wait for POLLOUT */
	bool				 was_high;	/* drained() is due */

	/* between begin and end */
	bool				 frame_is_open;
	size_t				 frame_start;	/* in output */
	struct wire_writer		 writer;
};

/*
 * Our deferred calls carry the address of the watch, so that forgetting them
 * leaves alone what the owner deferred with the channel itself.
 */
static struct channel *channel_of(void *watch)
{
	return (struct channel *)(void *)((char *)watch -
	    offsetof(struct channel, watch));
}

/* --- ends --- */

static void channel_enter(struct channel *channel, enum channel_state state)
{
	channel->state = state;
}

/* Drops what waits to be sent. */
static void drop_output(struct channel *channel)
{
	struct outgoing *outgoing;

	while (channel->outgoing_count > 0) {
		outgoing = &channel->outgoing[channel->outgoing_first];
		close(outgoing->fd);
		channel->outgoing_first = (channel->outgoing_first + 1) %
		    OUTGOING_MAX;
		channel->outgoing_count--;
	}
	buf_release(&channel->output);
}

/* The input stays: a handler that is running may still look at it. */
static void disconnect(struct channel *channel)
{
	drop_output(channel);
	while (channel->incoming_count > 0)
		close(channel->incoming[--channel->incoming_count].fd);
	watch_release(&channel->watch);
	if (channel->fd >= 0)
		close(channel->fd);
	channel->fd = -1;
}

static void destroy(struct channel *channel)
{
	buf_release(&channel->input);
	mem_free(channel->peer);
	mem_free(channel);
}

/* The end of a callback. False if the channel does not exist any more. */
static bool leave_callback(struct channel *channel)
{
	bool exists = !channel->freed;

	if (--channel->depth == 0 && channel->freed)
		destroy(channel);
	return exists;
}

/* Called by the loop only; the channel may be gone afterwards. */
static void finish(struct channel *channel)
{
	channel_enter(channel, CHANNEL_CLOSED);
	loop_undefer(&channel->watch);
	disconnect(channel);
	channel->depth++;
	channel->handler->closed(channel->arg, channel);
	leave_callback(channel);
}

static void on_failing(void *arg)
{
	finish(channel_of(arg));
}

/* For failures found inside a call of the owner. */
static void finish_later(struct channel *channel)
{
	channel_enter(channel, CHANNEL_FAILING);
	drop_output(channel);
	watch_set(&channel->watch, 0);
	loop_defer(on_failing, &channel->watch);
}

/* The one line about a peer that broke the rules; always -1. */
static int refuse(const struct channel *channel, const char *reason,
    int64_t type, int64_t length)
{
	log_warn("channel-refused", log_text("peer", channel->peer),
	    log_text("reason", reason), log_number("type", type),
	    log_number("length", length));
	return -1;
}

static void set_watch(struct channel *channel)
{
	watch_set(&channel->watch, (channel->is_paused ? 0 : WATCH_READ) |
	    (channel->is_full ? WATCH_WRITE : 0));
}

/* --- input --- */

/* Keeps the descriptor that came with the last read. -1 if it is one too
 * many; it is closed then. */
static int keep_incoming(struct channel *channel, int fd, size_t length)
{
	struct incoming *incoming;

	if (channel->incoming_count == INCOMING_MAX) {
		close(fd);
		return refuse(channel, "descriptors without frames", -1, -1);
	}
	incoming = &channel->incoming[channel->incoming_count++];
	incoming->fd = fd;
	incoming->from = channel->received;
	incoming->to = channel->received + length;
	return 0;
}

/* Finds the descriptors that came with length bytes; at most one may. */
static int take_descriptors(struct channel *channel, struct msghdr *message,
    size_t length)
{
	struct cmsghdr *control;
	const unsigned char *data;
	size_t count = 0, i, total;
	int first = -1, fd;

	for (control = CMSG_FIRSTHDR(message); control != NULL;
	    control = CMSG_NXTHDR(message, control)) {
		if (control->cmsg_level != SOL_SOCKET ||
		    control->cmsg_type != SCM_RIGHTS)
			continue;
		data = CMSG_DATA(control);
		total = (control->cmsg_len - CMSG_LEN(0)) / sizeof(fd);
		for (i = 0; i < total; i++) {
			memcpy(&fd, data + i * sizeof(fd), sizeof(fd));
			if (count++ == 0)
				first = fd;
			else
				close(fd);
		}
	}
	/* Cut: the peer sent too many, or we have no descriptor left. */
	if (count > 1 || message->msg_flags & MSG_CTRUNC) {
		if (first >= 0)
			close(first);
		return refuse(channel, "descriptors lost or too many", -1, -1);
	}
	return count == 1 ? keep_incoming(channel, first, length) : 0;
}

/* One read. 1 if something came, 0 if not yet, -1 at the end. */
static int receive(struct channel *channel)
{
	union {
		struct cmsghdr	 aligned;
		char		 bytes[CMSG_SPACE(2 * sizeof(int))];
	} control;
	struct iovec slice = { buf_reserve(&channel->input, SLICE_BYTES),
	    SLICE_BYTES };
	struct msghdr message = { .msg_iov = &slice, .msg_iovlen = 1,
	    .msg_control = &control, .msg_controllen = sizeof(control) };
	ssize_t length;

	if (slice.iov_base == NULL)
		bug("input-ceiling");
	length = recvmsg(channel->fd, &message, MSG_DONTWAIT |
	    MSG_CMSG_CLOEXEC);
	if (length < 0) {
		if (errno == EAGAIN || errno == EINTR)
			return 0;
		/* The peer ended before it had read everything. */
		if (errno != ECONNRESET)
			log_warn("channel-failed", log_text("peer",
			    channel->peer), log_errno(errno));
		return -1;
	}
	if (length == 0)
		return buf_length(&channel->input) == 0 ? -1 :
		    refuse(channel, "truncated", -1,
		    (int64_t)buf_length(&channel->input));
	if (take_descriptors(channel, &message, (size_t)length) != 0)
		return -1;
	buf_commit(&channel->input, (size_t)length);
	channel->received += (uint64_t)length;
	return 1;
}

static const struct channel_rule *find_rule(const struct channel *channel,
    uint16_t type)
{
	size_t i;

	for (i = 0; i < channel->handler->rule_count; i++)
		if (channel->handler->rules[i].type == type)
			return &channel->handler->rules[i];
	return NULL;
}

/*
 * Looks at the head of the frame in front, as soon as it is there, so that
 * nothing is stored for a frame that is going to be refused. 1 if the frame
 * is whole, 0 if not yet, -1 if refused.
 */
static int next_frame(const struct channel *channel, struct frame *frame)
{
	size_t have = buf_length(&channel->input);
	struct wire_reader reader;
	uint32_t length;

	if (have < LENGTH_BYTES)
		return 0;
	wire_read_begin(&reader, buf_data(&channel->input), have);
	length = wire_get_u32(&reader);
	if (length < HEADER_BYTES - LENGTH_BYTES)
		return refuse(channel, "shorter than its header", -1, length);
	if (have < HEADER_BYTES)
		return 0;
	frame->type = wire_get_u16(&reader);
	if (wire_get_u16(&reader) != 0)
		return refuse(channel, "unknown flags", frame->type, length);
	frame->request = wire_get_u32(&reader);
	frame->rule = find_rule(channel, frame->type);
	if (frame->rule == NULL)
		return refuse(channel, "unknown type", frame->type, length);
	if (length - (HEADER_BYTES - LENGTH_BYTES) > frame->rule->max)
		return refuse(channel, "too long", frame->type, length);
	frame->size = LENGTH_BYTES + (size_t)length;
	return have >= frame->size;
}

/* Gives the descriptor of the frame in front, if one came, in *fd. -1 if the
 * rules are broken; what is left is closed with the channel. */
static int frame_descriptor(struct channel *channel, const struct frame *frame,
    int *fd)
{
	struct incoming *incoming = channel->incoming;
	uint64_t end = channel->dispatched + frame->size;

	*fd = -1;
	if (channel->incoming_count > 1 && incoming[1].to <= end)
		return refuse(channel, "several descriptors", frame->type,
		    (int64_t)frame->size);
	if (channel->incoming_count == 0 || incoming->to > end) {
		if (!frame->rule->with_fd)
			return 0;
		return refuse(channel, "descriptor missing", frame->type,
		    (int64_t)frame->size);
	}
	if (!frame->rule->with_fd || incoming->from > channel->dispatched)
		return refuse(channel, "descriptor not allowed", frame->type,
		    (int64_t)frame->size);
	*fd = incoming->fd;
	incoming[0] = incoming[1];
	channel->incoming_count--;
	return 0;
}

/* Hands out the frame in front. False if the channel is gone. */
static bool deliver(struct channel *channel, const struct frame *frame, int fd)
{
	struct channel_message message = { .type = frame->type,
	    .request = frame->request, .fd = fd };

	wire_read_begin(&message.body, buf_data(&channel->input) +
	    HEADER_BYTES, frame->size - HEADER_BYTES);
	channel->depth++;
	channel->handler->message(channel->arg, channel, &message);
	if (message.fd >= 0)
		close(message.fd);
	if (!leave_callback(channel))
		return false;
	buf_consume(&channel->input, frame->size);
	channel->dispatched += frame->size;
	return true;
}

/* Hands out all whole frames. False if reading is over for now or for ever;
 * the channel may be gone then. */
static bool dispatch(struct channel *channel)
{
	struct frame frame = { 0 };
	int whole, fd;

	for (;;) {
		if (channel->state != CHANNEL_OPEN || channel->is_paused)
			return false;
		whole = next_frame(channel, &frame);
		if (whole == 0)
			break;
		if (whole < 0 || frame_descriptor(channel, &frame, &fd) != 0) {
			finish(channel);
			return false;
		}
		if (!deliver(channel, &frame, fd))
			return false;
	}
	if (buf_length(&channel->input) == 0 &&
	    channel->input.size > SPARE_BYTES)
		buf_release(&channel->input);
	return true;
}

static void on_dispatch(void *arg)
{
	struct channel *channel = channel_of(arg);

	channel->dispatch_deferred = false;
	dispatch(channel);
}

static void on_readable(struct channel *channel)
{
	/* Frames that waited during a pause come before new ones. */
	if (!dispatch(channel))
		return;
	switch (receive(channel)) {
	case 1: dispatch(channel); break;
	case 0: break;
	default: finish(channel); break;
	}
}

/* --- output --- */

static ssize_t send_bytes(int socket, const char *data, size_t length, int fd)
{
	union {
		struct cmsghdr	 aligned;
		char		 bytes[CMSG_SPACE(sizeof(int))];
	} control;
	struct iovec bytes = { (void *)(uintptr_t)data, length };
	struct msghdr message = { .msg_iov = &bytes, .msg_iovlen = 1 };
	struct cmsghdr *head;

	if (fd < 0)
		return send(socket, data, length, MSG_DONTWAIT | MSG_NOSIGNAL);
	memset(&control, 0, sizeof(control));
	message.msg_control = &control;
	message.msg_controllen = sizeof(control);
	head = CMSG_FIRSTHDR(&message);
	head->cmsg_level = SOL_SOCKET;
	head->cmsg_type = SCM_RIGHTS;
	head->cmsg_len = CMSG_LEN(sizeof(fd));
	memcpy(CMSG_DATA(head), &fd, sizeof(fd));
	return sendmsg(socket, &message, MSG_DONTWAIT | MSG_NOSIGNAL);
}

/* What goes into the next write: its length, and in *fd what goes with it. */
static size_t next_write(const struct channel *channel, int *fd)
{
	const struct outgoing *outgoing;

	*fd = -1;
	if (channel->outgoing_count == 0)
		return buf_length(&channel->output);
	outgoing = &channel->outgoing[channel->outgoing_first];
	if (outgoing->offset > channel->sent)
		return (size_t)(outgoing->offset - channel->sent);
	*fd = outgoing->fd;
	return outgoing->length;
}

/* Writes what the socket takes. 0: everything, 1: it is full, -1: error. */
static int write_out(struct channel *channel)
{
	ssize_t written;
	size_t length;
	int fd;

	while (buf_length(&channel->output) > 0) {
		length = next_write(channel, &fd);
		written = send_bytes(channel->fd, buf_data(&channel->output),
		    length, fd);
		if (written < 0 && errno == EINTR)
			continue;
		if (written < 0)
			return errno == EAGAIN ? 1 : -1;
		if (fd >= 0) {
			/* It left with the first byte, even if not all did. */
			close(fd);
			channel->outgoing_first = (channel->outgoing_first +
			    1) % OUTGOING_MAX;
			channel->outgoing_count--;
		}
		channel->sent += (uint64_t)written;
		buf_consume(&channel->output, (size_t)written);
	}
	return 0;
}

/*
 * The peer does not read any more. What it sent before is still read, then
 * comes the end: our own shutdown sees to that, whatever the peer does. While
 * paused nobody would notice, so then it ends at once.
 */
static void become_deaf(struct channel *channel)
{
	if (errno != EPIPE && errno != ECONNRESET)
		log_warn("channel-failed", log_text("peer", channel->peer),
		    log_errno(errno));
	channel->is_deaf = true;
	channel->is_full = false;
	drop_output(channel);
	shutdown(channel->fd, SHUT_RDWR);
	if (channel->is_paused)
		finish_later(channel);
	else
		set_watch(channel);
}

/* Writes; keeps the watch and the memory as they should be. -1 on error. */
static int flush_output(struct channel *channel)
{
	int result = write_out(channel);

	if (result < 0) {
		become_deaf(channel);
		return -1;
	}
	channel->is_full = result == 1;
	set_watch(channel);
	if (buf_length(&channel->output) == 0 &&
	    channel->output.size > SPARE_BYTES)
		buf_release(&channel->output);
	return result;
}

/* Called by the loop only. */
static void on_writable(struct channel *channel)
{
	if (channel->state != CHANNEL_OPEN || channel->is_deaf ||
	    flush_output(channel) < 0)
		return;
	if (!channel->was_high ||
	    buf_length(&channel->output) >= channel->output.max / 4)
		return;
	channel->was_high = false;
	if (channel->handler->drained == NULL)
		return;
	channel->depth++;
	channel->handler->drained(channel->arg, channel);
	leave_callback(channel);
}

static void on_output(void *arg)
{
	struct channel *channel = channel_of(arg);

	channel->flush_deferred = false;
	on_writable(channel);
}

static void schedule_output(struct channel *channel)
{
	if (channel->flush_deferred)
		return;
	channel->flush_deferred = true;
	loop_defer_output(on_output, &channel->watch);
}

static void on_ready(void *arg, int flags)
{
	if (flags & WATCH_READ)
		on_readable(arg);
	else
		on_writable(arg);
}

/* Takes the frame back and lets the channel end; always -1. */
static int abandon(struct channel *channel, const char *reason, int error)
{
	size_t queued = channel->frame_start;

	log_warn("channel-full", log_text("peer", channel->peer),
	    log_text("reason", reason), log_number("queued", (int64_t)queued),
	    log_errno(error));
	finish_later(channel);
	return -1;
}

/* Notes a copy of fd for the frame that is being ended. */
static int attach(struct channel *channel, size_t frame_size, int fd)
{
	struct outgoing *outgoing;
	int copy;

	if (channel->outgoing_count == OUTGOING_MAX)
		return abandon(channel, "descriptors", ENOBUFS);
	copy = fcntl(fd, F_DUPFD_CLOEXEC, 0);
	if (copy < 0)
		return abandon(channel, "descriptors", errno);
	outgoing = &channel->outgoing[(channel->outgoing_first +
	    channel->outgoing_count++) % OUTGOING_MAX];
	outgoing->fd = copy;
	outgoing->offset = channel->sent + channel->frame_start;
	outgoing->length = frame_size;
	return 0;
}

/* --- the owner's side --- */

static size_t largest_body(const struct channel_handler *handler)
{
	size_t largest = 0, i;

	for (i = 0; i < handler->rule_count; i++)
		if (handler->rules[i].max > largest)
			largest = handler->rules[i].max;
	return largest;
}

struct channel *channel_new(int fd, const char *peer,
    const struct channel_handler *handler, void *arg, size_t max_queued_bytes)
{
	struct channel *channel = mem_alloc(sizeof(*channel));

	channel->fd = fd;
	channel->peer = mem_dup_string(peer);
	channel->handler = handler;
	channel->arg = arg;
	buf_init(&channel->input, HEADER_BYTES + largest_body(handler) +
	    SLICE_BYTES);
	buf_init(&channel->output, max_queued_bytes);
	if (handler->secret) {
		buf_keep_secret(&channel->input);
		buf_keep_secret(&channel->output);
	}
	/* Programs that a role starts do not get its channels. */
	fcntl(fd, F_SETFD, FD_CLOEXEC);
	watch_init(&channel->watch, fd, on_ready, channel);
	watch_set(&channel->watch, WATCH_READ);
	return channel;
}

void channel_free(struct channel *channel)
{
	if (channel == NULL)
		return;
	channel_enter(channel, CHANNEL_CLOSED);
	loop_undefer(&channel->watch);
	disconnect(channel);
	channel->freed = true;
	if (channel->depth == 0)
		destroy(channel);
}

struct wire_writer *channel_begin(struct channel *channel, uint16_t type,
    uint32_t request)
{
	struct wire_writer *writer = &channel->writer;

	if (channel->frame_is_open)
		bug("frame-is-open");
	channel->frame_is_open = true;
	channel->frame_start = buf_length(&channel->output);
	wire_write_begin(writer, &channel->output);
	writer->failed = channel->state != CHANNEL_OPEN || channel->is_deaf;
	wire_put_u32(writer, 0);	/* its length, when that is known */
	wire_put_u16(writer, type);
	wire_put_u16(writer, 0);
	wire_put_u32(writer, request);
	return writer;
}

int channel_end_fd(struct channel *channel, int fd)
{
	size_t size = buf_length(&channel->output) - channel->frame_start;
	uint32_t length = htobe32((uint32_t)(size - LENGTH_BYTES));

	if (!channel->frame_is_open)
		bug("no-frame-is-open");
	channel->frame_is_open = false;
	if (channel->state != CHANNEL_OPEN || channel->is_deaf)
		return -1;
	if (wire_write_end(&channel->writer) != 0 || size > UINT32_MAX)
		return abandon(channel, "ceiling", ENOBUFS);
	if (fd >= 0 && attach(channel, size, fd) != 0)
		return -1;
	buf_patch(&channel->output, channel->frame_start, &length,
	    sizeof(length));
	if (buf_length(&channel->output) >= channel->output.max / 4)
		channel->was_high = true;
	if (!channel->is_full)
		schedule_output(channel);
	return 0;
}

int channel_end(struct channel *channel)
{
	return channel_end_fd(channel, -1);
}

uint32_t channel_next_request(struct channel *channel)
{
	if (++channel->last_request == 0)
		channel->last_request = 1;
	return channel->last_request;
}

size_t channel_queued(const struct channel *channel)
{
	return buf_length(&channel->output);
}

void channel_pause(struct channel *channel)
{
	channel->is_paused = true;
	if (channel->state != CHANNEL_OPEN)
		return;
	if (channel->is_deaf)
		finish_later(channel);
	else
		set_watch(channel);
}

void channel_resume(struct channel *channel)
{
	if (!channel->is_paused)
		return;
	channel->is_paused = false;
	if (channel->state != CHANNEL_OPEN)
		return;
	set_watch(channel);
	if (buf_length(&channel->input) > 0 && !channel->dispatch_deferred) {
		channel->dispatch_deferred = true;
		loop_defer(on_dispatch, &channel->watch);
	}
}

int channel_flush(struct channel *channel, int milliseconds)
{
	int64_t deadline = clock_monotonic() + milliseconds;
	struct pollfd ready = { .fd = channel->fd, .events = POLLOUT };
	int64_t left;
	int result;

	if (channel->frame_is_open)
		bug("frame-is-open");
	if (channel->state != CHANNEL_OPEN || channel->is_deaf)
		return -1;
	while ((result = flush_output(channel)) == 1) {
		left = deadline - clock_monotonic();
		if (left <= 0 || poll(&ready, 1, (int)left) == 0)
			break;
	}
	/* drained() comes from the loop. */
	if (result == 0 && channel->was_high)
		schedule_output(channel);
	return result == 0 ? 0 : -1;
}

const char *channel_peer(const struct channel *channel)
{
	return channel->peer;
}
