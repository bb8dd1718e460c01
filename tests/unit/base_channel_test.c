/* SPDX-License-Identifier: ISC */
/*
 * base/channel.c: frames and their descriptors arrive in order and whole, the
 * ceiling holds, and whatever a hostile end sends leads to closed() and one
 * line in the log.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <cmocka.h>

#include "base/channel.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/loop.h"
#include "base/mem.h"
#include "tests/unit/base_child.h"

enum { PLAIN = 1, WITH_FD = 2, EMPTY = 3, LARGE = 4 };
enum { PLAIN_MAX = 100, LARGE_MAX = 3 << 20, CEILING = 64 << 10,
    PATIENCE_MILLISECONDS = 30000 };

static const struct channel_rule rules[] = {
	{ .type = PLAIN, .max = PLAIN_MAX },
	{ .type = WITH_FD, .with_fd = true, .max = PLAIN_MAX },
	{ .type = EMPTY, .max = 0 },
	{ .type = LARGE, .max = LARGE_MAX },
};

/* Where the channel under test does something in its callback. */
enum act { ACT_NOTHING, ACT_FREE_IN_MESSAGE, ACT_FREE_IN_CLOSED,
    ACT_FREE_IN_DRAINED, ACT_PAUSE, ACT_PAUSE_RESUME };

/* A channel, and the other end as a plain descriptor. */
struct end {
	struct channel	*channel;
	int		 raw;
	enum act	 act;
	char		 story[4096];	/* what happened, one word each */
};

static struct timer patience;
static int sends;			/* calls of send() so far */

/* Takes the place of the C library's, to count writes. */
ssize_t send(int fd, const void *data, size_t length, int flags)
{
	sends++;
	return syscall(SYS_sendto, fd, data, length, flags, NULL, 0);
}

static void on_no_patience(void *unused)
{
	(void)unused;
	fail_msg("nothing happened for too long");
}

static int setup(void **unused)
{
	(void)unused;
	log_init("", LOG_LEVEL_INFO);
	loop_init();
	timer_start(&patience, PATIENCE_MILLISECONDS, on_no_patience, NULL);
	return 0;
}

static int teardown(void **unused)
{
	(void)unused;
	timer_stop(&patience);
	loop_release();
	return 0;
}

static void end_free(struct end *end)
{
	channel_free(end->channel);
	end->channel = NULL;
}

static void tell(struct end *end, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
static void tell(struct end *end, const char *format, ...)
{
	size_t used = strlen(end->story);
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(end->story + used, sizeof(end->story) - used, format,
	    arguments);
	va_end(arguments);
}

/* The body is touched to its last byte after every act. */
static void on_message(void *arg, struct channel *channel,
    struct channel_message *message)
{
	struct end *end = arg;
	const uint8_t *byte;
	unsigned sum = 0;

	tell(end, "%u:%u%s ", message->type, message->request,
	    message->fd >= 0 ? "+fd" : "");
	if (end->act == ACT_FREE_IN_MESSAGE)
		end_free(end);
	if (end->act == ACT_PAUSE || end->act == ACT_PAUSE_RESUME)
		channel_pause(channel);
	if (end->act == ACT_PAUSE_RESUME)
		channel_resume(channel);
	for (byte = message->body.position; byte < message->body.end; byte++)
		sum += *byte;
	if (sum == 1)
		tell(end, "one ");
	if (end->act == ACT_FREE_IN_MESSAGE || end->act == ACT_PAUSE)
		loop_stop();
}

static void on_closed(void *arg, struct channel *channel)
{
	struct end *end = arg;

	tell(end, "closed ");
	assert_ptr_equal(channel, end->channel);
	if (end->act == ACT_FREE_IN_CLOSED)
		end_free(end);
	loop_stop();
}

static void on_drained(void *arg, struct channel *channel)
{
	struct end *end = arg;

	tell(end, "drained ");
	assert_true(channel_queued(channel) < CEILING / 4);
	if (end->act == ACT_FREE_IN_DRAINED)
		end_free(end);
	loop_stop();
}

static void on_stop(void *unused)
{
	(void)unused;
	loop_stop();
}

static const struct channel_handler handler = {
	.rules = rules, .rule_count = sizeof(rules) / sizeof(rules[0]),
	.message = on_message, .closed = on_closed, .drained = on_drained,
};

static void end_init(struct end *end, enum act act)
{
	int ends[2];

	memset(end, 0, sizeof(*end));
	must(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends));
	end->raw = ends[1];
	end->act = act;
	end->channel = channel_new(ends[0], "tester", &handler, end, CEILING);
}

static void end_release(struct end *end)
{
	end_free(end);
	if (end->raw >= 0)
		close(end->raw);
}

static int open_descriptors(void)
{
	int fd, count = 0;

	for (fd = 0; fd < 256; fd++)
		count += fcntl(fd, F_GETFD) >= 0;
	return count;
}

/* One sendmsg() with so many copies of descriptor 0. */
static void raw_send(int raw, const char *bytes, size_t length, int fds)
{
	char control[CMSG_SPACE(32 * sizeof(int))] = { 0 };
	struct iovec slice = { (void *)(uintptr_t)bytes, length };
	struct msghdr message = { .msg_iov = &slice, .msg_iovlen = 1 };
	struct cmsghdr *head;

	if (fds > 0) {
		message.msg_control = control;
		message.msg_controllen = CMSG_SPACE((size_t)fds * sizeof(int));
		head = CMSG_FIRSTHDR(&message);
		head->cmsg_level = SOL_SOCKET;
		head->cmsg_type = SCM_RIGHTS;
		head->cmsg_len = CMSG_LEN((size_t)fds * sizeof(int));
	}
	assert_int_equal(sendmsg(raw, &message, MSG_NOSIGNAL), length);
}

/* --- what a hostile end may send --- */

#define HEAD(length, type, request) \
    "\0\0\0" length "\0" type "\0\0" "\0\0\0" request
#define PLAIN_FRAME HEAD("\x09", "\x01", "\x07") "a"
#define FD_FRAME HEAD("\x0b", "\x02", "\x08") "abc"
#define EMPTY_FRAME HEAD("\x08", "\x03", "\0")

enum { STEPS = 4 };

struct step {
	const char	*bytes;
	size_t		 length;
	int		 fds;
};

#define SEND(bytes) { bytes, sizeof(bytes) - 1, 0 }
#define SEND_FDS(bytes, fds) { bytes, sizeof(bytes) - 1, fds }

/* Each step is sent in a turn of its own; then the end is closed, if so. */
static const struct {
	struct step	 steps[STEPS];
	bool		 then_close;
	const char	*story;
	const char	*reason;	/* in the log; null: no line at all */
} streams[] = {
	/* what is right */
	{ { SEND(PLAIN_FRAME) }, true, "1:7 closed ", NULL },
	{ { SEND(EMPTY_FRAME EMPTY_FRAME) }, true, "3:0 3:0 closed ", NULL },
	{ { { "", 0, 0 } }, true, "closed ", NULL },
	{ { SEND_FDS(FD_FRAME, 1) }, true, "2:8+fd closed ", NULL },
	{ { SEND(PLAIN_FRAME), SEND_FDS(FD_FRAME, 1), SEND_FDS(FD_FRAME, 1),
	    SEND(PLAIN_FRAME) }, true, "1:7 2:8+fd 2:8+fd 1:7 closed ",
	  NULL },
	{ { SEND_FDS("\0\0", 1), SEND("\0\x0b\0\x02\0"),
	    SEND("\0\0\0\0\x08" "ab"), SEND("c" EMPTY_FRAME) }, true,
	  "2:8+fd 3:0 closed ", NULL },
	/* lengths */
	{ { SEND("\0\0\0\0") }, false, "closed ", "shorter than its header" },
	{ { SEND("\0\0\0\x03") }, false, "closed ",
	  "shorter than its header" },
	{ { SEND("\0\0\0\x07" "abcdefgh") }, false, "closed ",
	  "shorter than its header" },
	{ { SEND("\xff\xff\xff\xff" "\0\x01\0\0\0\0\0\0") }, false,
	  "closed ", "too long" },
	{ { SEND("\x80\0\0\0" "\0\x04\0\0\0\0\0\0") }, false, "closed ",
	  "too long" },
	{ { SEND(HEAD("\x6d", "\x01", "\0")) }, false, "closed ",
	  "too long" },				/* 101 bytes */
	{ { SEND(HEAD("\x09", "\x03", "\0") "x") }, false, "closed ",
	  "too long" },
	/* types and flags */
	{ { SEND(HEAD("\x08", "\0", "\0")) }, false, "closed ",
	  "unknown type" },
	{ { SEND(PLAIN_FRAME HEAD("\x08", "\x09", "\0")) }, false,
	  "1:7 closed ", "unknown type" },
	{ { SEND("\0\0\0\x08\xff\xff\0\0\0\0\0\0") }, false, "closed ",
	  "unknown type" },
	{ { SEND("\0\0\0\x08\0\x03\0\x01\0\0\0\0") }, false, "closed ",
	  "unknown flags" },
	/* cut short */
	{ { SEND("\0") }, true, "closed ", "truncated" },
	{ { SEND("\0\0\0\x08\0\x03\0") }, true, "closed ", "truncated" },
	{ { SEND(PLAIN_FRAME), SEND(HEAD("\x09", "\x01", "\0")) }, true,
	  "1:7 closed ", "truncated" },
	/* descriptors */
	{ { SEND(FD_FRAME) }, false, "closed ", "descriptor missing" },
	{ { SEND_FDS(PLAIN_FRAME, 1) }, false, "closed ",
	  "descriptor not allowed" },
	{ { SEND_FDS(EMPTY_FRAME, 1) }, false, "closed ",
	  "descriptor not allowed" },
	{ { SEND_FDS(FD_FRAME, 2) }, false, "closed ",
	  "lost or too many" },
	{ { SEND_FDS(FD_FRAME, 32) }, false, "closed ", "lost or too many" },
	{ { SEND_FDS(PLAIN_FRAME, 32) }, false, "closed ",
	  "lost or too many" },
	/* for the frame behind the one that needs it */
	{ { SEND(FD_FRAME), SEND_FDS(FD_FRAME, 1) }, false, "closed ",
	  "descriptor missing" },
	{ { SEND_FDS(FD_FRAME FD_FRAME, 1) }, false, "closed ",
	  "descriptor missing" },
	{ { SEND_FDS(FD_FRAME PLAIN_FRAME, 1) }, false, "closed ",
	  "descriptor missing" },
	{ { SEND_FDS(PLAIN_FRAME FD_FRAME, 1) }, true, "1:7 2:8+fd closed ",
	  NULL },
	/* in the middle of a frame, or more than one there */
	{ { SEND("\0\0\0\x0b"), SEND_FDS("\0\x02\0\0\0\0\0\x08" "abc", 1) },
	  false, "closed ", "descriptor not allowed" },
	{ { SEND_FDS("\0\0\0\x0b", 1),
	    SEND_FDS("\0\x02\0\0\0\0\0\x08" "abc", 1) }, false, "closed ",
	  "several descriptors" },
	{ { SEND_FDS("\0\0\0\x0b", 1), SEND_FDS("\0", 1), SEND_FDS("\x02", 1) },
	  false, "closed ", "descriptors without frames" },
	{ { SEND_FDS("\0\0\0\x0b", 1) }, true, "closed ", "truncated" },
};

struct sender {
	struct end		*end;
	const struct step	*steps;
	size_t			 next;
	size_t			 offset;	/* in the step */
	bool			 byte_by_byte;
	bool			 then_close;
};

static void on_nothing(void *unused)
{
	(void)unused;
}

/* A turn-end hook: the next step, or the next byte of it. */
static void send_next(void *arg)
{
	struct sender *sender = arg;
	const struct step *step = &sender->steps[sender->next];
	size_t length;

	/* A channel that has closed its end takes no more. */
	if (strstr(sender->end->story, "closed") != NULL)
		return;
	if (sender->next < STEPS && step->length > 0) {
		length = sender->byte_by_byte ? 1 : step->length;
		raw_send(sender->end->raw, step->bytes + sender->offset,
		    length, sender->offset == 0 ? step->fds : 0);
		sender->offset += length;
		if (sender->offset == step->length) {
			sender->offset = 0;
			sender->next++;
		}
		loop_defer(on_nothing, NULL);
	} else if (sender->then_close && sender->end->raw >= 0) {
		close(sender->end->raw);
		sender->end->raw = -1;
	}
}

static void run_stream(size_t i, bool byte_by_byte)
{
	int before = open_descriptors(), lines = 0;
	struct end end;
	struct sender sender = { .end = &end, .steps = streams[i].steps,
	    .byte_by_byte = byte_by_byte,
	    .then_close = streams[i].then_close };
	struct capture capture;
	char text[4096], *line;

	end_init(&end, i % 2 ? ACT_NOTHING : ACT_FREE_IN_CLOSED);
	loop_at_turn_end(send_next, &sender);
	loop_defer(on_nothing, NULL);
	capture_begin(&capture);
	loop_run();
	capture_end(&capture, text, sizeof(text));
	assert_string_equal(end.story, streams[i].story);
	for (line = text; (line = strchr(line, '\n')) != NULL; line++)
		lines++;
	assert_int_equal(lines, streams[i].reason != NULL);
	if (streams[i].reason != NULL) {
		assert_non_null(strstr(text, streams[i].reason));
		assert_non_null(strstr(text, "peer=tester"));
	}
	end_release(&end);
	assert_int_equal(open_descriptors(), before);
}

static void test_streams(void **unused)
{
	size_t i;

	for (i = 0; i < sizeof(streams) / sizeof(streams[0]); i++) {
		teardown(unused);
		setup(unused);
		run_stream(i, false);
	}
}

/* Byte by byte the descriptor comes with the first byte of its step, so this
 * is for the streams in which each step is one frame or none has any. */
static void test_streams_byte_by_byte(void **unused)
{
	size_t i;

	for (i = 0; i < sizeof(streams) / sizeof(streams[0]); i++) {
		if (streams[i].reason != NULL && strstr(streams[i].reason,
		    "escriptor") != NULL)
			continue;
		if (strstr(streams[i].story, "1:7 2:8+fd closed") != NULL)
			continue;
		teardown(unused);
		setup(unused);
		run_stream(i, true);
	}
}

/* --- two channels: order, descriptors, partial writes --- */

enum { REQUESTS = 3000, ROUND_TRIP_CEILING = 8 << 20 };

struct asker {
	struct channel	*channel;
	uint32_t	 asked;
	uint32_t	 answered;
};

struct answerer {
	struct channel	*channel;
	uint32_t	 seen;
};

/* A descriptor that says a number when asked. */
static int number_descriptor(uint32_t number)
{
	int fd = must(memfd_create("number", MFD_CLOEXEC));

	must((int)pwrite(fd, &number, sizeof(number), 0));
	return fd;
}

static void put_filler(struct wire_writer *writer, uint32_t number)
{
	static uint8_t filler[LARGE_MAX];
	size_t length = number % 500 == 7 ? LARGE_MAX - 100 : number % 3000;

	memset(filler, (int)(number % 251), length);
	wire_put_u32(writer, number);
	wire_put_bytes(writer, filler, length);
}

static void check_filler(struct wire_reader *reader, uint32_t number)
{
	size_t length, i;
	const uint8_t *filler;

	assert_int_equal(wire_get_u32(reader), number);
	filler = wire_get_bytes(reader, LARGE_MAX, &length);
	assert_int_equal(wire_read_end(reader), 0);
	assert_int_equal(length, number % 500 == 7 ? LARGE_MAX - 100 :
	    number % 3000);
	for (i = 0; i < length; i += 97)
		assert_int_equal(filler[i], number % 251);
}

static void ask(struct asker *asker)
{
	uint32_t number = ++asker->asked;
	struct wire_writer *writer;
	int fd;

	assert_int_equal(channel_next_request(asker->channel), number);
	if (number % 5 != 0) {
		writer = channel_begin(asker->channel, LARGE, number);
		put_filler(writer, number);
		assert_int_equal(channel_end(asker->channel), 0);
		return;
	}
	fd = number_descriptor(number);
	writer = channel_begin(asker->channel, WITH_FD, number);
	wire_put_u32(writer, number);
	assert_int_equal(channel_end_fd(asker->channel, fd), 0);
	close(fd);
}

static void on_question(void *arg, struct channel *channel,
    struct channel_message *message)
{
	struct answerer *answerer = arg;
	uint32_t number, said;

	number = ++answerer->seen;
	assert_int_equal(message->request, number);
	if (message->type == LARGE) {
		check_filler(&message->body, number);
		assert_int_equal(message->fd, -1);
	} else {
		assert_int_equal(wire_get_u32(&message->body), number);
		assert_int_equal(pread(message->fd, &said, sizeof(said), 0),
		    sizeof(said));
		assert_int_equal(said, number);
		assert_int_equal(fcntl(message->fd, F_GETFD), FD_CLOEXEC);
		if (number % 2 == 0) {
			close(message->fd);	/* taken */
			message->fd = -1;
		}
	}
	put_filler(channel_begin(channel, LARGE, number), number);
	assert_int_equal(channel_end(channel), 0);
}

/* A few at a time, so that both directions are busy at once. */
static void on_answer(void *arg, struct channel *channel,
    struct channel_message *message)
{
	struct asker *asker = arg;
	int i;

	(void)channel;
	assert_int_equal(message->request, ++asker->answered);
	check_filler(&message->body, asker->answered);
	for (i = 0; i < 2 && asker->asked < REQUESTS &&
	    asker->asked < asker->answered + 20; i++)
		ask(asker);
	if (asker->answered == REQUESTS)
		loop_stop();
}

static void on_closed_wrongly(void *arg, struct channel *channel)
{
	(void)arg;
	(void)channel;
	fail_msg("closed");
}

static void test_round_trips(void **unused)
{
	const struct channel_handler ask_handler = { .rules = rules,
	    .rule_count = 4, .message = on_answer,
	    .closed = on_closed_wrongly };
	const struct channel_handler answer_handler = { .rules = rules,
	    .rule_count = 4, .message = on_question,
	    .closed = on_closed_wrongly };
	int ends[2], small = 4096, before = open_descriptors();
	struct asker asker = { 0 };
	struct answerer answerer = { 0 };

	(void)unused;
	must(socketpair(AF_UNIX, SOCK_STREAM, 0, ends));
	must(setsockopt(ends[0], SOL_SOCKET, SO_SNDBUF, &small,
	    sizeof(small)));
	asker.channel = channel_new(ends[0], "answerer", &ask_handler, &asker,
	    ROUND_TRIP_CEILING);
	answerer.channel = channel_new(ends[1], "asker", &answer_handler,
	    &answerer, ROUND_TRIP_CEILING);
	ask(&asker);
	loop_run();
	assert_int_equal(answerer.seen, REQUESTS);
	channel_free(asker.channel);
	channel_free(answerer.channel);
	assert_int_equal(open_descriptors(), before);
}

struct numbers {
	uint32_t	 seen[4];
	size_t		 count;
};

static void on_number(void *arg, struct channel *channel,
    struct channel_message *message)
{
	struct numbers *numbers = arg;

	(void)channel;
	assert_int_equal(pread(message->fd, &numbers->seen[numbers->count++],
	    sizeof(uint32_t), 0), sizeof(uint32_t));
	if (numbers->count == 2)
		loop_stop();
}

static void raw_send_number(int raw, const char *bytes, size_t length,
    uint32_t number)
{
	int saved = must(dup(0)), fd = number_descriptor(number);

	must(dup2(fd, 0));
	raw_send(raw, bytes, length, 1);
	must(dup2(saved, 0));
	close(saved);
	close(fd);
}

/* One descriptor waits for the rest of its frame while the next arrives: the
 * read that ends the first frame also brings the second. */
static void test_two_descriptors_wait(void **unused)
{
	const struct channel_handler number_handler = { .rules = rules,
	    .rule_count = 4, .message = on_number,
	    .closed = on_closed_wrongly };
	struct numbers numbers = { .count = 0 };
	struct channel *channel;
	int ends[2];

	(void)unused;
	must(socketpair(AF_UNIX, SOCK_STREAM, 0, ends));
	channel = channel_new(ends[0], "tester", &number_handler, &numbers,
	    CEILING);
	raw_send_number(ends[1], FD_FRAME, 5, 11);
	loop_defer(on_stop, NULL);
	loop_run();
	assert_int_equal(numbers.count, 0);
	raw_send(ends[1], &FD_FRAME[5], sizeof(FD_FRAME) - 1 - 5, 0);
	raw_send_number(ends[1], FD_FRAME, sizeof(FD_FRAME) - 1, 22);
	loop_run();
	assert_int_equal(numbers.seen[0], 11);
	assert_int_equal(numbers.seen[1], 22);
	channel_free(channel);
	close(ends[1]);
}

/* --- sending --- */

static int send_frame(struct channel *channel, size_t size)
{
	static char body[LARGE_MAX];

	wire_put_bytes(channel_begin(channel, LARGE, 0), body, size);
	return channel_end(channel);
}

/* All that is sent in one turn leaves in one write. */
static void on_send_hundred(void *arg)
{
	struct end *end = arg;
	int i;

	for (i = 0; i < 100; i++)
		assert_int_equal(send_frame(end->channel, 50), 0);
	assert_int_equal(sends, 0);
	assert_int_equal(channel_queued(end->channel), 100 * (12 + 4 + 50));
	loop_defer(on_stop, NULL);
}

static void test_one_write_a_turn(void **unused)
{
	char bytes[100 * 66 + 1];
	struct end end;

	(void)unused;
	end_init(&end, ACT_NOTHING);
	sends = 0;
	loop_defer(on_send_hundred, &end);
	loop_run();
	assert_int_equal(sends, 1);
	assert_int_equal(channel_queued(end.channel), 0);
	assert_int_equal(recv(end.raw, bytes, sizeof(bytes), 0), 100 * 66);
	end_release(&end);
}

static void test_ceiling(void **unused)
{
	struct capture capture;
	char text[1000];
	struct end end;
	int sent = 0;

	(void)unused;
	end_init(&end, ACT_NOTHING);
	capture_begin(&capture);
	while (send_frame(end.channel, 1000) == 0)
		sent++;
	assert_int_equal(sent, CEILING / (12 + 4 + 1000));
	assert_string_equal(end.story, "");	/* not from inside */
	assert_int_equal(send_frame(end.channel, 1), -1);
	assert_int_equal(channel_queued(end.channel), 0);
	loop_run();
	capture_end(&capture, text, sizeof(text));
	assert_string_equal(end.story, "closed ");
	assert_string_equal(strchr(text, '\n'), "\n");
	assert_non_null(strstr(text, "channel-full peer=tester"));
	assert_int_equal(send_frame(end.channel, 1), -1);
	assert_int_equal(channel_flush(end.channel, 10), -1);
	channel_pause(end.channel);
	channel_resume(end.channel);
	assert_int_equal(recv(end.raw, text, sizeof(text), 0), 0);
	end_release(&end);
}

/* A frame that passes the ceiling leaves the ones before it whole. */
static void test_too_large_at_once(void **unused)
{
	struct capture capture;
	char text[1000];
	struct end end;

	(void)unused;
	end_init(&end, ACT_NOTHING);
	capture_begin(&capture);
	assert_int_equal(send_frame(end.channel, 10), 0);
	assert_int_equal(channel_flush(end.channel, 1000), 0);
	assert_int_equal(send_frame(end.channel, CEILING), -1);
	loop_run();
	capture_end(&capture, text, sizeof(text));
	assert_int_equal(recv(end.raw, text, sizeof(text), MSG_WAITALL), 26);
	assert_string_equal(end.story, "closed ");
	end_release(&end);
}

static void test_too_many_descriptors(void **unused)
{
	int before = open_descriptors(), sent = 0;
	struct capture capture;
	char text[1000];
	struct end end;

	(void)unused;
	end_init(&end, ACT_NOTHING);
	capture_begin(&capture);
	do
		channel_begin(end.channel, WITH_FD, 0);
	while (channel_end_fd(end.channel, 0) == 0 && ++sent < 1000);
	assert_int_equal(sent, 64);
	loop_run();
	capture_end(&capture, text, sizeof(text));
	assert_string_equal(end.story, "closed ");
	end_release(&end);
	assert_int_equal(open_descriptors(), before);
}

static void on_read_all(void *arg)
{
	static char bytes[CEILING * 2];
	struct end *end = arg;

	while (recv(end->raw, bytes, sizeof(bytes), MSG_DONTWAIT) > 0)
		;
}

static void test_drained(void **unused)
{
	enum act acts[] = { ACT_NOTHING, ACT_FREE_IN_DRAINED };
	int small = 1, i;
	struct end end;

	(void)unused;
	for (i = 0; i < 2; i++) {
		end_init(&end, acts[i]);
		must(setsockopt(end.raw, SOL_SOCKET, SO_RCVBUF, &small,
		    sizeof(small)));
		loop_at_turn_end(on_read_all, &end);
		/* Below a quarter nobody is told. */
		assert_int_equal(send_frame(end.channel, CEILING / 8), 0);
		loop_defer(on_stop, NULL);
		loop_run();
		assert_string_equal(end.story, "");
		while (channel_queued(end.channel) < CEILING / 2)
			assert_int_equal(send_frame(end.channel, 500), 0);
		loop_run();
		assert_string_equal(end.story, "drained ");
		/* Once each time it was high. */
		if (end.channel != NULL) {
			assert_int_equal(send_frame(end.channel, 100), 0);
			loop_defer(on_stop, NULL);
			loop_run();
			assert_string_equal(end.story, "drained ");
		}
		end_release(&end);
		teardown(NULL);
		setup(NULL);
	}
}

static void test_flush(void **unused)
{
	static char bytes[CEILING];
	int64_t begin;
	struct end end;
	int i;

	(void)unused;
	end_init(&end, ACT_NOTHING);
	assert_int_equal(channel_flush(end.channel, 0), 0);
	for (i = 0; i < 50; i++)
		assert_int_equal(send_frame(end.channel, 84), 0);
	assert_int_equal(channel_flush(end.channel, 1000), 0);
	assert_int_equal(recv(end.raw, bytes, sizeof(bytes), MSG_DONTWAIT),
	    5000);
	/* Nobody reads: until the deadline, no longer. */
	begin = clock_monotonic();
	do
		assert_int_equal(send_frame(end.channel, 30000), 0);
	while (channel_flush(end.channel, 50) == 0);
	assert_true(clock_monotonic() - begin >= 49);
	assert_true(channel_queued(end.channel) > 0);
	assert_string_equal(end.story, "");
	end_release(&end);
}

/* --- the peer goes away --- */

/* What it sent before is delivered, although writing to it fails. */
static void test_peer_dies(void **unused)
{
	struct end end;

	(void)unused;
	end_init(&end, ACT_NOTHING);
	assert_int_equal(send_frame(end.channel, 100), 0);
	raw_send(end.raw, PLAIN_FRAME PLAIN_FRAME, 26, 0);
	close(end.raw);
	end.raw = -1;
	assert_int_equal(channel_flush(end.channel, 100), -1);
	assert_int_equal(send_frame(end.channel, 100), -1);
	loop_run();
	assert_string_equal(end.story, "1:7 1:7 closed ");
	end_release(&end);
}

/* It stops reading but keeps the connection: that is the end as well. */
static void test_peer_reads_no_more(void **unused)
{
	struct end end;

	(void)unused;
	end_init(&end, ACT_NOTHING);
	must(shutdown(end.raw, SHUT_RD));
	raw_send(end.raw, PLAIN_FRAME, 13, 0);
	assert_int_equal(send_frame(end.channel, 100), 0);
	loop_run();
	assert_string_equal(end.story, "1:7 closed ");
	end_release(&end);
}

static void test_peer_dies_while_paused(void **unused)
{
	struct end end;

	(void)unused;
	end_init(&end, ACT_NOTHING);
	channel_pause(end.channel);
	assert_int_equal(send_frame(end.channel, 100), 0);
	close(end.raw);
	end.raw = -1;
	loop_run();
	assert_string_equal(end.story, "closed ");
	end_release(&end);

	end_init(&end, ACT_NOTHING);
	assert_int_equal(send_frame(end.channel, 100), 0);
	close(end.raw);
	end.raw = -1;
	assert_int_equal(channel_flush(end.channel, 100), -1);
	channel_pause(end.channel);
	loop_run();
	assert_string_equal(end.story, "closed ");
	end_release(&end);
}

/* --- what callbacks may do --- */

static void test_free_in_message(void **unused)
{
	int before = open_descriptors();
	struct end end;

	(void)unused;
	end_init(&end, ACT_FREE_IN_MESSAGE);
	assert_int_equal(send_frame(end.channel, 100), 0);
	raw_send(end.raw, PLAIN_FRAME PLAIN_FRAME, 26, 0);
	loop_run();
	assert_string_equal(end.story, "1:7 ");
	end_release(&end);

	end_init(&end, ACT_FREE_IN_MESSAGE);
	raw_send(end.raw, FD_FRAME, 15, 1);
	raw_send(end.raw, FD_FRAME, 15, 1);
	loop_run();
	assert_string_equal(end.story, "2:8+fd ");
	end_release(&end);
	assert_int_equal(open_descriptors(), before);
}

static void test_free_before_callbacks(void **unused)
{
	struct end end;

	(void)unused;
	end_init(&end, ACT_NOTHING);
	raw_send(end.raw, PLAIN_FRAME, 13, 0);
	assert_int_equal(send_frame(end.channel, CEILING), -1);
	end_free(&end);
	channel_free(NULL);
	loop_defer(on_stop, NULL);
	loop_run();
	assert_string_equal(end.story, "");
	end_release(&end);
}

static void on_owner_frees(void *channel)
{
	channel_free(channel);
	loop_stop();
}

/* A call that the owner deferred with the channel as its argument comes,
 * although the channel ends before and forgets its own. */
static void test_owner_may_defer_free(void **unused)
{
	struct end end;

	(void)unused;
	end_init(&end, ACT_NOTHING);
	channel_pause(end.channel);
	assert_int_equal(send_frame(end.channel, 10), 0);
	assert_int_equal(send_frame(end.channel, CEILING), -1);
	loop_defer(on_owner_frees, end.channel);
	loop_run();
	assert_string_equal(end.story, "closed ");
	end.channel = NULL;
	end_release(&end);
}

/* Frames that are in the buffer already wait too, in order, descriptors and
 * all; resuming delivers from the loop, not from inside. */
static void test_pause(void **unused)
{
	static const char *const stories[] = { "1:7 ", "1:7 2:8+fd ",
	    "1:7 2:8+fd 2:8+fd ", "1:7 2:8+fd 2:8+fd 3:0 " };
	struct end end;
	int i;

	(void)unused;
	end_init(&end, ACT_PAUSE);
	raw_send(end.raw, PLAIN_FRAME, 13, 0);
	raw_send(end.raw, FD_FRAME, 15, 1);
	raw_send(end.raw, FD_FRAME, 15, 1);
	raw_send(end.raw, EMPTY_FRAME, 12, 0);
	for (i = 0; i < 4; i++) {
		loop_run();
		assert_string_equal(end.story, stories[i]);
		/* Nothing comes while paused. */
		loop_defer(on_stop, NULL);
		loop_run();
		assert_string_equal(end.story, stories[i]);
		channel_resume(end.channel);
		channel_resume(end.channel);
		assert_string_equal(end.story, stories[i]);
	}
	close(end.raw);
	end.raw = -1;
	loop_run();
	assert_string_equal(end.story, "1:7 2:8+fd 2:8+fd 3:0 closed ");
	end_release(&end);
}

/* What waits in the buffer comes although nothing new arrives. */
static void test_resume_without_input(void **unused)
{
	struct end end;

	(void)unused;
	end_init(&end, ACT_PAUSE);
	raw_send(end.raw, PLAIN_FRAME EMPTY_FRAME, 25, 0);
	loop_run();
	assert_string_equal(end.story, "1:7 ");
	channel_resume(end.channel);
	loop_run();
	assert_string_equal(end.story, "1:7 3:0 ");
	end_release(&end);
}

static void test_pause_and_resume_at_once(void **unused)
{
	struct end end;

	(void)unused;
	end_init(&end, ACT_PAUSE_RESUME);
	raw_send(end.raw, PLAIN_FRAME PLAIN_FRAME EMPTY_FRAME, 38, 0);
	close(end.raw);
	end.raw = -1;
	loop_run();
	assert_string_equal(end.story, "1:7 1:7 3:0 closed ");
	end_release(&end);
}

static void test_small_things(void **unused)
{
	struct end end;
	int i;

	(void)unused;
	end_init(&end, ACT_NOTHING);
	assert_string_equal(channel_peer(end.channel), "tester");
	for (i = 1; i < 100; i++)
		assert_int_equal(channel_next_request(end.channel), i);
	end_release(&end);
}

static void begin_twice(void)
{
	struct end end;

	loop_init();
	end_init(&end, ACT_NOTHING);
	channel_begin(end.channel, PLAIN, 0);
	channel_begin(end.channel, PLAIN, 0);
}

static void end_without_begin(void)
{
	struct end end;

	loop_init();
	end_init(&end, ACT_NOTHING);
	channel_end(end.channel);
}

static void test_misuse_is_a_bug(void **unused)
{
	(void)unused;
	assert_bug(begin_twice, "frame-is-open");
	assert_bug(end_without_begin, "no-frame-is-open");
}

#define channel_test(test) \
    cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		channel_test(test_streams),
		channel_test(test_streams_byte_by_byte),
		channel_test(test_round_trips),
		channel_test(test_two_descriptors_wait),
		channel_test(test_one_write_a_turn),
		channel_test(test_ceiling),
		channel_test(test_too_large_at_once),
		channel_test(test_too_many_descriptors),
		channel_test(test_drained),
		channel_test(test_flush),
		channel_test(test_peer_dies),
		channel_test(test_peer_reads_no_more),
		channel_test(test_peer_dies_while_paused),
		channel_test(test_free_in_message),
		channel_test(test_free_before_callbacks),
		channel_test(test_owner_may_defer_free),
		channel_test(test_pause),
		channel_test(test_resume_without_input),
		channel_test(test_pause_and_resume_at_once),
		channel_test(test_small_things),
		channel_test(test_misuse_is_a_bug),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
