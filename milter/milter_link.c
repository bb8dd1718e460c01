/* SPDX-License-Identifier: ISC */
/*
 * Connecting, negotiating, frames in and out, and every way in which it can
 * fail. The timer runs whenever something is expected of the filter.
 */
#include "milter/milter_internal.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "base/log.h"
#include "base/process.h"
#include "base/stream.h"
#include "milter/packet.h"
#include "milter/reply.h"

enum { FINISH_MS = 2000 };

void milter_enter(struct milter *milter, enum milter_state state)
{
	milter->state = state;
}

void milter_disconnect(struct milter *milter)
{
	static const char quit[] = { 0, 0, 0, 1, COMMAND_QUIT };

	timer_stop(&milter->deadline);
	timer_stop(&milter->patience);
	if (milter->state == STATE_CONNECTING)
		process_connect_cancel(milter);
	if (milter->state == STATE_READY || milter->state == STATE_ASKED) {
		/* One that does not read will not miss it. */
		if (stream_write(milter->stream, quit, sizeof(quit)) != 0)
			stream_free(milter->stream);
		else
			stream_finish(milter->stream, FINISH_MS);
	} else {
		stream_free(milter->stream);
	}
	milter->stream = NULL;
}

void milter_fail(struct milter *milter, const char *format, ...)
{
	const struct milter_settings *settings = &milter->settings;
	va_list arguments;

	if (milter->state == STATE_GONE)
		return;
	va_start(arguments, format);
	vsnprintf(milter->why, sizeof(milter->why), format, arguments);
	va_end(arguments);
	if (settings->session != 0)
		log_warn("milter-failed", log_session(settings->session),
		    log_text("milter", settings->name),
		    log_text("reason", milter->why));
	else
		log_warn("milter-failed", log_text("milter", settings->name),
		    log_text("reason", milter->why));
	timer_stop(&milter->deadline);
	timer_stop(&milter->patience);
	if (milter->state == STATE_CONNECTING)
		process_connect_cancel(milter);
	stream_free(milter->stream);
	milter->stream = NULL;
	milter->answer_due = false;
	milter->abandoned = 0;
	milter_enter(milter, STATE_GONE);
	/* What it has said in full stays said. */
	if (milter->asked && !milter->answered) {
		changes_reset(&milter->changes);
		milter_answer(milter, MILTER_FAILED);
	}
}

static void on_deadline(void *arg)
{
	struct milter *milter = arg;

	switch (milter->state) {
	case STATE_CONNECTING:
	case STATE_NEGOTIATING:
		milter_fail(milter, "no connection within %lld ms%s",
		    (long long)milter->settings.connect_ms,
		    milter->state == STATE_NEGOTIATING ? " that speaks the "
		    "milter protocol" : "");
		break;
	case STATE_READY:
	case STATE_ASKED:
		milter_fail(milter, milter->draining ?
		    "it has not read for %lld ms" :
		    "no answer within %lld ms",
		    (long long)milter->settings.reply_ms);
		break;
	default:
		bug("milter-deadline-state");
	}
}

void milter_wait(struct milter *milter, int64_t milliseconds)
{
	timer_start(&milter->deadline, milliseconds, on_deadline, milter);
}

/* --- frames out --- */

static void send_frames(struct milter *milter, const struct buf *out)
{
	if (stream_write(milter->stream, buf_data(out), buf_length(out)) != 0)
		milter_fail(milter, "it does not read what it is sent");
}

void milter_send_abort(struct milter *milter)
{
	struct packet_writer writer;
	struct buf out;

	buf_init(&out, PACKET_LENGTH_BYTES + 1);
	packet_begin(&writer, &out, COMMAND_ABORT);
	packet_end(&writer);
	send_frames(milter, &out);
	buf_release(&out);
}

void milter_send(struct milter *milter, enum stage stage, const void *data,
    size_t length)
{
	struct packet_writer writer;
	struct buf out;

	buf_init(&out, MILTER_OUTPUT_MAX);
	if (stage_macros(stage) != MACRO_NONE)
		macros_write(&milter->macros, stage_macros(stage),
		    stage_command(stage), milter->macro, milter->arg, &out);
	packet_begin(&writer, &out, stage_command(stage));
	packet_put_bytes(&writer, data, length);
	packet_end(&writer);
	if (stage_is_of_message(stage))
		milter->begun = true;
	send_frames(milter, &out);
	buf_release(&out);
}

/* --- frames in --- */

static void on_options(struct milter *milter, const struct packet *packet)
{
	const char *why = NULL;

	if (negotiate_read(&milter->options, &milter->macros, packet,
	    &why) != 0) {
		milter_fail(milter, "%s", why);
		return;
	}
	timer_stop(&milter->deadline);
	milter_enter(milter, STATE_READY);
	if (milter->asked)
		milter_pose(milter);
}

static void on_packet(struct milter *milter, const struct packet *packet)
{
	const char *why = NULL;
	struct reply reply;

	if (milter->state == STATE_NEGOTIATING)
		on_options(milter, packet);
	else if (!milter->answer_due && milter->abandoned == 0)
		milter_fail(milter, "it spoke without being asked");
	else if (reply_read(&reply, packet, &why) != 0)
		milter_fail(milter, "%s", why);
	else
		milter_heard(milter, &reply);
}

/*
 * Filters write each change with a call of its own and without TCP_NODELAY:
 * their kernel holds the next one back until ours has acknowledged this one,
 * which may take 40 ms. Linux forgets this wish again, so it is said each time;
 * on a Unix socket it fails and does not matter.
 */
static void acknowledge(struct milter *milter)
{
	int one = 1;

	if (milter->settings.socket[0] != '\0')
		return;
	setsockopt(stream_fd(milter->stream), IPPROTO_TCP, TCP_QUICKACK,
	    &one, sizeof(one));
}

static void on_input(struct milter *milter)
{
	struct buf *input = stream_input(milter->stream);
	enum packet_found found = PACKET_WHOLE;
	struct packet packet;

	while (milter->state != STATE_GONE && found == PACKET_WHOLE) {
		found = packet_find(input, &packet);
		if (found == PACKET_WHOLE) {
			on_packet(milter, &packet);
			if (milter->state != STATE_GONE)
				buf_consume(input, packet_size(&packet));
		} else if (found == PACKET_BAD) {
			milter_fail(milter, "it sent what is no frame, or one "
			    "that is too large");
		}
	}
	if (milter->state == STATE_GONE)
		return;
	stream_consumed(milter->stream);
	if (milter->answer_due)
		acknowledge(milter);
}

static void negotiate(struct milter *milter)
{
	struct buf out;

	milter_enter(milter, STATE_NEGOTIATING);
	stream_set_max_output(milter->stream, MILTER_OUTPUT_MAX);
	buf_init(&out, 64);
	negotiate_offer(&out);
	send_frames(milter, &out);
	buf_release(&out);
}

static void on_drained(struct milter *milter)
{
	if (!milter->draining)
		return;
	milter->draining = false;
	timer_stop(&milter->deadline);
	milter_content_go_on(milter);
}

static void on_stream(void *arg, struct stream *stream,
    enum stream_event event)
{
	struct milter *milter = arg;

	switch (event) {
	case STREAM_CONNECTED:
		negotiate(milter);
		break;
	case STREAM_INPUT:
		on_input(milter);
		break;
	case STREAM_DRAINED:
		on_drained(milter);
		break;
	case STREAM_END:
		milter_fail(milter, "it closed the connection");
		break;
	case STREAM_FAILED:
		if (milter->settings.socket[0] != '\0')
			milter_fail(milter, "%s: %s", milter->settings.socket,
			    stream_problem(stream));
		else
			milter_fail(milter, "%s port %d: %s",
			    milter->settings.host, (int)milter->settings.port,
			    stream_problem(stream));
		break;
	default:
		bug("milter-stream-event");
	}
}

/* --- connecting --- */

static void on_connected(void *arg, int fd, int error)
{
	struct milter *milter = arg;

	if (fd == -1) {
		milter_fail(milter, "%s: %s", milter->settings.socket,
		    strerror(error));
		return;
	}
	milter->stream = stream_new(fd, MILTER_INPUT_MAX, on_stream, milter);
	negotiate(milter);
}

void milter_connect(struct milter *milter)
{
	const struct milter_settings *settings = &milter->settings;
	struct endpoint remote;

	milter_enter(milter, STATE_CONNECTING);
	milter_wait(milter, settings->connect_ms);
	if (settings->socket[0] != '\0')
		process_connect(settings->socket, on_connected, milter);
	else if (endpoint_parse(&remote, settings->host, settings->port) != 0)
		milter_fail(milter, "%s is no address", settings->host);
	else
		milter->stream = stream_connect(&remote, NULL,
		    MILTER_INPUT_MAX, on_stream, milter);
}
