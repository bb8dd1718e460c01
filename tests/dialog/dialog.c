/* SPDX-License-Identifier: ISC */
/*
 * The runner of dialogues: see dialog.h. Steps are taken in turns of the loop,
 * so client and server take turns as two processes would.
 */
#include "tests/dialog/dialog.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/loop.h"
#include "base/mem.h"
#include "base/stream.h"
#include "base/tls.h"
#include "queue/envelope.h"
#include "smtpd/rules.h"
#include "smtpd/session.h"
#include "smtpd/spool.h"
#include "tests/scripted_filter.h"
#include "tests/smtpd_world.h"

enum { SCRIPT_MAX = 2000, STEP_SECONDS = 20, QUIET_TURNS = 12 };

enum progress { DONE, AGAIN, FAILED };

struct dialog;

struct line {
	int	 number;
	char	*kind;
	char	*text;
};

struct dialog {
	const char	*path;
	char		*file;		/* owned; lines point into it */
	struct line	 lines[SCRIPT_MAX];
	unsigned	 count, at;
	bool		 bytewise;

	struct world	 world;
	char		*conf, *listener;	/* owned */
	char		*filters;		/* owned; names of the chain */
	bool		 certificate;
	const char	*address;
	struct buf	 early;

	struct stream	*client;	/* owned; null before the first step */
	struct tls_client *tls;
	struct tls_identity *identity;	/* owned; null */
	char		*certificates;	/* owned; null: none is listed */
	struct tls_expect expect;
	bool		 ended, secured;
	struct buf	 sending;
	bool		 sending_split;
	bool		 begun;		/* this step */
	unsigned	 turns;
	bool		 changed;	/* S-first: */
	int64_t		 limit;		/* monotonic */
	int64_t		 wait_end;	/* monotonic */
	bool		 server_idle;
	struct timer	 timer;
	int		 log, stderr_was;	/* -1: the log is not kept */
	char		*why;
	size_t		 why_size;
	bool		 failed;
};

static enum progress fail(struct dialog *dialog, const char *format, ...)
{
	va_list arguments;
	int length;

	length = snprintf(dialog->why, dialog->why_size, "%s:%d: ",
	    dialog->path, dialog->at < dialog->count ?
	    dialog->lines[dialog->at].number : 0);
	va_start(arguments, format);
	vsnprintf(dialog->why + length, dialog->why_size - (size_t)length,
	    format, arguments);
	va_end(arguments);
	dialog->failed = true;
	return FAILED;
}

static bool glob(const char *pattern, const char *text)
{
	for (; *pattern != '*'; pattern++, text++) {
		if (*pattern != *text)
			return false;
		if (*pattern == '\0')
			return true;
	}
	do
		if (glob(pattern + 1, text))
			return true;
	while (*text++ != '\0');
	return false;
}

/* Adds text with its escapes resolved. */
static void add_escaped(struct buf *out, const char *text)
{
	char hex[3] = "";

	for (; *text != '\0'; text++) {
		if (*text != '\\') {
			buf_add_byte(out, *text);
			continue;
		}
		switch (*++text) {
		case 'r': buf_add_byte(out, '\r'); break;
		case 'n': buf_add_byte(out, '\n'); break;
		case '0': buf_add_byte(out, '\0'); break;
		case 's': buf_add_byte(out, ' '); break;
		case 't': buf_add_byte(out, '\t'); break;
		case 'x':
			hex[0] = text[1];
			hex[1] = text[2];
			buf_add_byte(out, (char)strtol(hex, NULL, 16));
			text += 2;
			break;
		default: buf_add_byte(out, *text); break;
		}
	}
}

static void take_steps(void *arg);

static void on_client(void *arg, struct stream *stream,
    enum stream_event event)
{
	struct dialog *dialog = arg;

	(void)stream;
	if (event == STREAM_END || event == STREAM_TRUNCATED ||
	    event == STREAM_FAILED)
		dialog->ended = true;
	if (event == STREAM_SECURED)
		dialog->secured = true;
	timer_start(&dialog->timer, 0, take_steps, dialog);
}

static bool connect_pair(struct dialog *dialog)
{
	struct rules *rules;
	char error[200], *conf;
	int pair[2];

	conf = mem_print("milters = { %s }\n%s", dialog->filters,
	    dialog->conf);
	rules = world_rules(conf, dialog->listener, dialog->certificate);
	mem_free(conf);
	if (rules == NULL) {
		fail(dialog, "the configuration is wrong");
		return false;
	}
	server_set_rules(&dialog->world.server, rules);
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0,
	    pair) < 0)
		abort();
	if (buf_length(&dialog->early) > 0 && write(pair[0],
	    buf_data(&dialog->early), buf_length(&dialog->early)) < 0)
		abort();
	if (dialog->tls == NULL)
		dialog->tls = tls_client_new(TLS_CHECK_NONE, NULL, error,
		    sizeof(error));
	dialog->client = stream_new(pair[0], 1 << 20, on_client, dialog);
	stream_set_max_output(dialog->client, 64 << 20);
	world_session(&dialog->world, pair[1], dialog->address);
	return true;
}

/* --- steps before the connection --- */

static enum progress do_nothing(struct dialog *dialog, const char *text)
{
	(void)dialog;
	(void)text;
	return DONE;
}

static enum progress do_conf(struct dialog *dialog, const char *text)
{
	char *old = dialog->conf;

	dialog->conf = mem_print("%s%s\n", old, text);
	mem_free(old);
	return DONE;
}

/* NAME and the settings of its section. */
static enum progress do_filter(struct dialog *dialog, const char *text)
{
	char *conf = dialog->conf, *filters = dialog->filters;
	char name[32] = "";
	int used = 0;

	sscanf(text, "%31s %n", name, &used);
	dialog->conf = mem_print("%smilter %s { socket = \"/run/%s\" %s }\n",
	    conf, name, name, text + used);
	dialog->filters = mem_print("%s%s%s", filters,
	    filters[0] == '\0' ? "" : ", ", name);
	mem_free(conf);
	mem_free(filters);
	return DONE;
}

static enum progress do_listener(struct dialog *dialog, const char *text)
{
	mem_free(dialog->listener);
	dialog->listener = mem_dup_string(text);
	return DONE;
}

static enum progress do_no_certificate(struct dialog *dialog, const char *text)
{
	(void)text;
	dialog->certificate = false;
	return DONE;
}

static enum progress do_from(struct dialog *dialog, const char *text)
{
	dialog->address = text;
	return DONE;
}

static enum progress do_listed(struct dialog *dialog, const char *text)
{
	mem_free(dialog->certificates);
	dialog->certificates = world_certificate_line(text);
	world_certificates = dialog->certificates;
	return DONE;
}

static enum progress do_early(struct dialog *dialog, const char *text)
{
	add_escaped(&dialog->early, text);
	return DONE;
}

/* "CODE ENHANCED TEXT", escapes in TEXT resolved: what the queue says to a
 * message. The text goes past status_from_reply(), which would clean it. */
static void set_answer(const char *value)
{
	const char *rest = strchr(value + 4, ' ');
	struct buf text;

	buf_init(&text, 1024);
	add_escaped(&text, rest == NULL ? "" : rest + 1);
	status_from_reply(&fake_peers.answer, (int)strtol(value, NULL, 10),
	    value + 4);
	snprintf(fake_peers.answer.text, sizeof(fake_peers.answer.text), "%s",
	    buf_string(&text));
	buf_release(&text);
}

static enum progress do_set(struct dialog *dialog, const char *text)
{
	char name[32] = "", value[1200] = "";
	long long number;

	sscanf(text, "%31s %1199[^\n]", name, value);
	number = strtoll(value, NULL, 10);
	if (strcmp(name, "queue-down") == 0)
		fake_peers.queue_down = number != 0;
	else if (strcmp(name, "queue-silent") == 0)
		fake_peers.queue_silent = number != 0;
	else if (strcmp(name, "no-identifiers") == 0)
		fake_peers.no_identifiers = number != 0;
	else if (strcmp(name, "space") == 0)
		fake_peers.space = (uint64_t)number;
	else if (strcmp(name, "window") == 0)
		fake_peers.window = (size_t)number;
	else if (strcmp(name, "directory-down") == 0)
		fake_peers.directory_down = number != 0;
	else if (strcmp(name, "directory-silent") == 0)
		fake_peers.directory_silent = number != 0;
	else if (strcmp(name, "login-silent") == 0)
		fake_peers.login_silent = number != 0;
	else if (strcmp(name, "login-external") == 0)
		fake_peers.login_external = number != 0;
	else if (strcmp(name, "directory-disowns") == 0)
		fake_peers.directory_disowns = number != 0;
	else if (strcmp(name, "no-postmaster") == 0)
		fake_peers.no_postmaster = number != 0;
	else if (strcmp(name, "no-name") == 0)
		fake_peers.reverse_name = NULL;
	else if (strcmp(name, "name-failed") == 0)
		fake_peers.reverse_name = "";
	else if (strcmp(name, "name-silent") == 0)
		fake_peers.reverse_silent = number != 0;
	else if (strcmp(name, "answer") == 0)
		set_answer(value);
	else if (strcmp(name, "answer-lost") == 0)
		status_set(&fake_peers.answer, STATUS_DEFERRED, REASON_LOST,
		    "4.3.0", "the queue went away");
	else if (!fake_smtpd_policy_set(name, value))
		return fail(dialog, "nothing to set is named %s", name);
	return DONE;
}

/* --- the client --- */

static enum progress send_on(struct dialog *dialog)
{
	struct buf *sending = &dialog->sending;
	size_t length = buf_length(sending);

	if (length > 0 && (dialog->bytewise || dialog->sending_split))
		length = 1;
	if (dialog->ended) {
		buf_reset(sending);	/* the server may close at any time */
		return DONE;
	}
	stream_write(dialog->client, buf_data(sending), length);
	buf_consume(sending, length);
	if (buf_length(sending) > 0) {
		timer_start(&dialog->timer, 0, take_steps, dialog);
		return AGAIN;
	}
	return DONE;
}

static enum progress do_client(struct dialog *dialog, const char *text)
{
	if (!dialog->begun)
		buf_print(&dialog->sending, "%s\r\n", text);
	return send_on(dialog);
}

static enum progress do_client_raw(struct dialog *dialog, const char *text)
{
	if (!dialog->begun)
		add_escaped(&dialog->sending, text);
	return send_on(dialog);
}

static enum progress do_client_split(struct dialog *dialog, const char *text)
{
	dialog->sending_split = true;
	return do_client(dialog, text);
}

/* NNNNNN in it is another number each time. */
static enum progress do_client_repeat(struct dialog *dialog, const char *text)
{
	char *rest;
	long times = strtol(text, &rest, 10);
	const char *place;
	struct buf piece;

	buf_init(&piece, 1 << 20);
	add_escaped(&piece, rest + 1);
	place = strstr(buf_string(&piece), "NNNNNN");
	for (long i = 0; i < times; i++) {
		char digits[24];

		snprintf(digits, sizeof(digits), "%06ld", i);
		if (place != NULL)
			buf_patch(&piece, (size_t)(place - buf_data(&piece)),
			    digits, 6);
		stream_write(dialog->client, buf_data(&piece),
		    buf_length(&piece));
	}
	buf_release(&piece);
	return DONE;
}

static enum progress do_client_end(struct dialog *dialog, const char *text)
{
	(void)text;
	if (stream_pending(dialog->client) > 0)
		return AGAIN;
	shutdown(stream_fd(dialog->client), SHUT_WR);
	return DONE;
}

static enum progress do_client_drop(struct dialog *dialog, const char *text)
{
	(void)text;
	if (stream_pending(dialog->client) > 0)
		return AGAIN;
	stream_free(dialog->client);
	dialog->client = NULL;
	return DONE;
}

static enum progress do_tls(struct dialog *dialog, const char *text)
{
	if (!dialog->begun) {
		dialog->expect.check = TLS_CHECK_NONE;
		if (strcmp(text, "certificate") == 0) {
			tls_identity_free(dialog->identity);
			dialog->identity = world_identity();
			dialog->expect.identity = dialog->identity;
		}
		dialog->expect.sni = "mx.example.org";
		dialog->secured = false;
		if (buf_length(stream_input(dialog->client)) > 0)
			return fail(dialog, "there is input before TLS");
		stream_secure_client(dialog->client, dialog->tls,
		    &dialog->expect);
	}
	if (dialog->ended)
		return fail(dialog, "no TLS: %s",
		    stream_problem(dialog->client));
	return dialog->secured ? DONE : AGAIN;
}

/* --- what the server says --- */

/* The next line without CRLF; null if there is none yet. Owned. */
static char *take_line(struct dialog *dialog)
{
	struct buf *input = stream_input(dialog->client);
	long end = buf_find(input, '\n', 0);
	char *line;

	if (end < 0)
		return NULL;
	line = mem_dup(buf_data(input), (size_t)end + 1);
	if (end == 0 || line[end - 1] != '\r') {
		line[end] = '\0';
		fail(dialog, "a reply line without CRLF: %s", line);
	} else {
		line[end - 1] = '\0';
	}
	buf_consume(input, (size_t)end + 1);
	stream_consumed(dialog->client);
	return line;
}

static enum progress no_line(struct dialog *dialog, const char *wanted)
{
	if (dialog->ended)
		return fail(dialog, "the server closed; wanted: %s", wanted);
	return AGAIN;
}

static enum progress do_server(struct dialog *dialog, const char *text)
{
	char *line = take_line(dialog);
	enum progress result = DONE;

	if (line == NULL)
		return no_line(dialog, text);
	if (!glob(text, line))
		result = fail(dialog, "got \"%s\"; wanted \"%s\"", line, text);
	else if (strlen(line) > 510)
		result = fail(dialog, "a reply line is too long");
	mem_free(line);
	return result;
}

/* SMTP-32, SMTP-113: all lines of one code, the last with a space. */
static enum progress do_server_all(struct dialog *dialog, const char *text)
{
	char *line;
	bool last;

	while ((line = take_line(dialog)) != NULL) {
		if (strlen(line) < 4 || strncmp(line, text, 3) != 0 ||
		    (line[3] != '-' && line[3] != ' ')) {
			fail(dialog, "got \"%s\"; wanted %s", line, text);
			mem_free(line);
			return FAILED;
		}
		last = line[3] == ' ';
		mem_free(line);
		if (last)
			return DONE;
	}
	return no_line(dialog, text);
}

/* So many replies of that code. */
static enum progress do_server_count(struct dialog *dialog, const char *text)
{
	char *code;
	long wanted = strtol(text, &code, 10);
	enum progress result;

	if (!dialog->begun)
		dialog->turns = (unsigned)wanted;
	while (dialog->turns > 0) {
		result = do_server_all(dialog, code + 1);
		if (result != DONE)
			return result;
		dialog->turns--;
		dialog->limit = clock_monotonic() + STEP_SECONDS * 1000;
	}
	return DONE;
}

/* Where the change is depends on sizes that are nobody's promise. */
static enum progress do_server_first(struct dialog *dialog, const char *text)
{
	char code[4] = "", rest[4] = "", *line;
	unsigned wanted = 0;
	bool is_first;

	sscanf(text, "%u %3s %3s", &wanted, code, rest);
	if (!dialog->begun) {
		dialog->turns = wanted;
		dialog->changed = false;
	}
	while (dialog->turns > 0) {
		line = take_line(dialog);
		if (line == NULL)
			return no_line(dialog, text);
		is_first = strncmp(line, code, 3) == 0;
		if (!is_first && dialog->turns < wanted)
			dialog->changed = true;
		if (dialog->changed == is_first ||
		    (!is_first && strncmp(line, rest, 3) != 0))
			fail(dialog, "got \"%s\"; wanted %s", line, text);
		mem_free(line);
		if (dialog->failed)
			return FAILED;
		dialog->turns--;
		dialog->limit = clock_monotonic() + STEP_SECONDS * 1000;
	}
	return dialog->changed ? DONE : fail(dialog, "never %s", rest);
}

static enum progress do_deaf(struct dialog *dialog, const char *text)
{
	if (*text == '1')
		stream_pause(dialog->client);
	else
		stream_resume(dialog->client);
	return DONE;
}

static enum progress do_ended(struct dialog *dialog, const char *text)
{
	struct buf *input = stream_input(dialog->client);

	(void)text;
	if (buf_length(input) > 0)
		return fail(dialog, "the server said more: %s",
		    buf_string(input));
	return dialog->ended ? DONE : AGAIN;
}

static enum progress do_quiet(struct dialog *dialog, const char *text)
{
	(void)text;
	if (!dialog->begun)
		dialog->turns = QUIET_TURNS;
	if (buf_length(stream_input(dialog->client)) > 0)
		return fail(dialog, "the server said: %s",
		    buf_string(stream_input(dialog->client)));
	if (dialog->ended)
		return fail(dialog, "the server closed");
	if (dialog->turns-- == 0)
		return DONE;
	timer_start(&dialog->timer, 0, take_steps, dialog);
	return AGAIN;
}

static void on_server_idle(void *arg)
{
	(void)arg;
}

static enum progress do_stop(struct dialog *dialog, const char *text)
{
	(void)text;
	server_stop(&dialog->world.server, on_server_idle);
	return DONE;
}

static enum progress do_stop_now(struct dialog *dialog, const char *text)
{
	(void)text;
	server_stop_now(&dialog->world.server);
	return DONE;
}

static enum progress do_wait(struct dialog *dialog, const char *text)
{
	int64_t now = clock_monotonic();

	/* What comes from the server meanwhile ends no pause. */
	if (!dialog->begun)
		dialog->wait_end = now + strtol(text, NULL, 10);
	if (now >= dialog->wait_end)
		return DONE;
	timer_start(&dialog->timer, dialog->wait_end - now, take_steps,
	    dialog);
	return AGAIN;
}

static enum progress do_sessions(struct dialog *dialog, const char *text)
{
	unsigned count = dialog->world.server.session_count;

	if (count != (unsigned)strtol(text, NULL, 10))
		return fail(dialog, "the server has %u sessions", count);
	return DONE;
}

static enum progress do_reload(struct dialog *dialog, const char *text)
{
	struct rules *rules = world_rules(text, dialog->listener, true);

	if (rules == NULL)
		return fail(dialog, "the new configuration is wrong");
	server_set_rules(&dialog->world.server, rules);
	return DONE;
}

static enum progress do_unlisted(struct dialog *dialog, const char *text)
{
	(void)text;
	world_certificates = "";
	return do_reload(dialog, dialog->conf);
}

/* --- what the queue got --- */

static enum progress compare(struct dialog *dialog, const char *got,
    const char *wanted)
{
	if (glob(wanted, got == NULL ? "(none)" : got))
		return DONE;
	return fail(dialog, "the queue got \"%s\"; wanted \"%s\"",
	    got == NULL ? "(none)" : got, wanted);
}

static enum progress compare_number(struct dialog *dialog, uint64_t got,
    const char *wanted)
{
	char text[32];

	snprintf(text, sizeof(text), "%llu", (unsigned long long)got);
	return compare(dialog, text, wanted);
}

static enum progress compare_body(struct dialog *dialog, const char *wanted)
{
	const struct buf *body = &fake_peers.body;
	struct buf expected;
	enum progress result = DONE;

	buf_init(&expected, 1 << 20);
	add_escaped(&expected, wanted);
	if (buf_length(body) != buf_length(&expected) ||
	    memcmp(buf_data(body), buf_data(&expected),
	    buf_length(body)) != 0)
		result = fail(dialog, "the queue got another body (%zu bytes)",
		    buf_length(body));
	buf_release(&expected);
	return result;
}

/* The Received field is compared unfolded. */
static enum progress compare_prefix(struct dialog *dialog, const char *wanted)
{
	char *text = mem_dup_string(fake_peers.prefix), *to = text;
	enum progress result;

	for (const char *from = text; *from != '\0'; from++) {
		if (from[0] == '\r' && from[1] == '\n' && from[2] == '\t') {
			*to++ = ' ';
			from += 2;
		} else {
			*to++ = *from;
		}
	}
	*to = '\0';
	result = compare(dialog, text, wanted);
	mem_free(text);
	return result;
}

/* Line ends as "|". */
static enum progress compare_extra(struct dialog *dialog, const char *wanted)
{
	char *text = mem_dup_string(fake_peers.extra == NULL ? "(none)" :
	    fake_peers.extra);
	char *to = text;
	enum progress result;

	for (const char *from = text; *from != '\0'; from++)
		if (*from != '\r')
			*to++ = *from == '\n' ? '|' : *from;
	*to = '\0';
	result = compare(dialog, text, wanted);
	mem_free(text);
	return result;
}

static enum progress compare_view(struct dialog *dialog, const char *wanted)
{
	char *text = mem_dup_string(buf_string(&fake_peers.view));
	char *to = text;
	enum progress result;

	for (const char *from = text; *from != '\0'; from++)
		if (*from != '\r')
			*to++ = *from == '\n' ? '|' : *from;
	*to = '\0';
	result = compare(dialog, text, wanted);
	mem_free(text);
	return result;
}

static const char *tag_of(uint32_t flags)
{
	const char *tag = envelope_tls_tag(&(struct envelope){
	    .flags = flags });

	return tag == NULL ? "none" : tag;
}

static enum progress check_message(struct dialog *dialog, const char *name,
    const char *wanted)
{
	if (strcmp(name, "from") == 0)
		return compare(dialog, fake_peers.sender, wanted);
	if (strcmp(name, "to") == 0)
		return compare(dialog, fake_peers.recipients, wanted);
	if (strcmp(name, "forward") == 0)
		return compare(dialog, fake_peers.forward_sender, wanted);
	if (strcmp(name, "originals") == 0)
		return compare(dialog, fake_peers.originals, wanted);
	if (strcmp(name, "envid") == 0)
		return compare(dialog, fake_peers.envid, wanted);
	if (strcmp(name, "client") == 0)
		return compare(dialog, fake_peers.client, wanted);
	if (strcmp(name, "protocol") == 0)
		return compare(dialog, fake_peers.protocol, wanted);
	if (strcmp(name, "asked") == 0)
		return compare(dialog, fake_smtpd_policy.asked, wanted);
	if (strcmp(name, "login") == 0)
		return compare(dialog, fake_peers.login_seen, wanted);
	if (strcmp(name, "flags") == 0)
		return compare_number(dialog, fake_peers.flags, wanted);
	if (strcmp(name, "tag") == 0)
		return compare(dialog, tag_of(fake_peers.flags), wanted);
	if (strcmp(name, "begun") == 0)
		return compare_number(dialog, fake_peers.begun, wanted);
	if (strcmp(name, "ended") == 0)
		return compare_number(dialog, fake_peers.ended, wanted);
	if (strcmp(name, "cancelled") == 0)
		return compare_number(dialog, fake_peers.cancelled, wanted);
	if (strcmp(name, "lookups") == 0)
		return compare_number(dialog, fake_peers.lookups, wanted);
	if (strcmp(name, "size") == 0)
		return compare_number(dialog, buf_length(&fake_peers.body),
		    wanted);
	if (strcmp(name, "body") == 0)
		return compare_body(dialog, wanted);
	if (strcmp(name, "view") == 0)
		return compare_view(dialog, wanted);
	if (strcmp(name, "hold") == 0)
		return compare(dialog, fake_peers.hold, wanted);
	if (strcmp(name, "extra") == 0)
		return compare_extra(dialog, wanted);
	if (strcmp(name, "received") == 0)
		return compare_prefix(dialog, wanted);
	return fail(dialog, "nothing to check is named %s", name);
}

/* --- filters --- */

/* Takes the name off; false: there is nothing behind it. */
static bool split_name(const char *text, char name[32], const char **rest)
{
	int used = 0;

	name[0] = '\0';
	sscanf(text, "%31s %n", name, &used);
	*rest = text + used;
	return used > 0 && **rest != '\0';
}

static enum progress do_script(struct dialog *dialog, const char *text)
{
	const char *rest;
	char name[32];

	return split_name(text, name, &rest) &&
	    scripted_filter_set(name, rest) ? DONE :
	    fail(dialog, "no line of a filter: %s", text);
}

static enum progress do_down(struct dialog *dialog, const char *text)
{
	const char *rest;
	char name[32];

	if (!split_name(text, name, &rest))
		return fail(dialog, "NAME 0 or NAME 1");
	scripted_filter_down(name, rest[0] == '1');
	return DONE;
}

static bool was_told(const char *name, const char *pattern)
{
	char *text = mem_dup_string(scripted_filter_told(name));
	char *rest = text, *line;
	bool found = false;

	while (!found && (line = strsep(&rest, "\n")) != NULL)
		found = glob(pattern, line);
	mem_free(text);
	return found;
}

static enum progress do_told(struct dialog *dialog, const char *text)
{
	const char *rest;
	char name[32];

	/* It may still have to read it. */
	if (!dialog->begun)
		dialog->turns = QUIET_TURNS;
	if (split_name(text, name, &rest) && was_told(name, rest))
		return DONE;
	if (dialog->turns-- == 0)
		return fail(dialog, "not told: %s, but\n%s", text,
		    scripted_filter_told(name));
	timer_start(&dialog->timer, 0, take_steps, dialog);
	return AGAIN;
}

static enum progress do_told_none(struct dialog *dialog, const char *text)
{
	const char *rest;
	char name[32];

	return split_name(text, name, &rest) && was_told(name, rest) ?
	    fail(dialog, "told: %s", text) : DONE;
}

static enum progress do_forget(struct dialog *dialog, const char *text)
{
	(void)dialog;
	scripted_filter_forget(text);
	return DONE;
}

static enum progress do_connections(struct dialog *dialog, const char *text)
{
	const char *rest;
	char name[32];

	return split_name(text, name, &rest) ? compare_number(dialog,
	    scripted_filter_connections(name), rest) :
	    fail(dialog, "NAME N");
}

/* --- the log --- */

static enum progress do_logged(struct dialog *dialog, const char *text)
{
	(void)text;
	dialog->log = memfd_create("log", MFD_CLOEXEC);
	dialog->stderr_was = dup(STDERR_FILENO);
	if (dialog->log == -1 || dialog->stderr_was == -1 ||
	    dup2(dialog->log, STDERR_FILENO) == -1)
		return fail(dialog, "the log cannot be kept");
	log_set_level(LOG_LEVEL_INFO);
	return DONE;
}

static void stop_log(struct dialog *dialog)
{
	if (dialog->log == -1)
		return;
	log_flush();
	log_set_level(LOG_LEVEL_ERROR);
	dup2(dialog->stderr_was, STDERR_FILENO);
	close(dialog->stderr_was);
	close(dialog->log);
}

static bool is_logged(struct dialog *dialog, const char *pattern)
{
	char text[64 << 10], *rest = text, *line;
	ssize_t length;

	log_flush();
	length = pread(dialog->log, text, sizeof(text) - 1, 0);
	text[length < 0 ? 0 : length] = '\0';
	while ((line = strsep(&rest, "\n")) != NULL)
		if (glob(pattern, line))
			return true;
	return false;
}

static enum progress do_log(struct dialog *dialog, const char *text)
{
	return is_logged(dialog, text) ? DONE : fail(dialog, "not logged: %s",
	    text);
}

static enum progress do_log_none(struct dialog *dialog, const char *text)
{
	return is_logged(dialog, text) ? fail(dialog, "logged: %s", text) :
	    DONE;
}

static const struct {
	const char	*kind;
	bool		 connected;	/* needs the connection */
	enum progress	(*take)(struct dialog *dialog, const char *text);
} steps[] = {
	{ "conf", false, do_conf },
	{ "listener", false, do_listener },
	{ "filter", false, do_filter },
	{ "F", false, do_script },
	{ "F-down", false, do_down },
	{ "F-told", true, do_told },
	{ "F-none", true, do_told_none },
	{ "F-forget", true, do_forget },
	{ "F-connections", true, do_connections },
	{ "no-certificate", false, do_no_certificate },
	{ "from", false, do_from },
	{ "listed", false, do_listed },
	{ "once", false, do_nothing },
	{ "set", false, do_set },
	{ "early", false, do_early },
	{ "logged", false, do_logged },
	{ "C", true, do_client },
	{ "C-raw", true, do_client_raw },
	{ "C-split", true, do_client_split },
	{ "C-repeat", true, do_client_repeat },
	{ "C-end", true, do_client_end },
	{ "C-drop", true, do_client_drop },
	{ "TLS", true, do_tls },
	{ "S", true, do_server },
	{ "S-all", true, do_server_all },
	{ "S-count", true, do_server_count },
	{ "S-first", true, do_server_first },
	{ "C-deaf", true, do_deaf },
	{ "E", true, do_ended },
	{ "L", true, do_log },
	{ "L-none", true, do_log_none },
	{ "quiet", true, do_quiet },
	{ "wait", true, do_wait },
	{ "sessions", true, do_sessions },
	{ "stop", true, do_stop },
	{ "stop-now", true, do_stop_now },
	{ "reload", true, do_reload },
	{ "unlisted", true, do_unlisted },
};

static enum progress take_step(struct dialog *dialog, const struct line *line)
{
	if (strncmp(line->kind, "M-", 2) == 0)
		return check_message(dialog, line->kind + 2, line->text);
	for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
		if (strcmp(steps[i].kind, line->kind) != 0)
			continue;
		if (steps[i].connected && dialog->client == NULL &&
		    !connect_pair(dialog))
			return FAILED;
		return steps[i].take(dialog, line->text);
	}
	return fail(dialog, "no step is named %s", line->kind);
}

static void take_steps(void *arg)
{
	struct dialog *dialog = arg;
	enum progress progress = DONE;

	while (dialog->at < dialog->count) {
		progress = take_step(dialog, &dialog->lines[dialog->at]);
		dialog->begun = true;
		if (progress != DONE || dialog->failed)
			break;
		dialog->at++;
		dialog->begun = false;
		dialog->sending_split = false;
		dialog->limit = clock_monotonic() + STEP_SECONDS * 1000;
	}
	if (progress == AGAIN && clock_monotonic() > dialog->limit)
		progress = fail(dialog, "nothing happens");
	if (progress == AGAIN && !dialog->failed) {
		if (!timer_is_running(&dialog->timer))
			timer_start(&dialog->timer, 10, take_steps, dialog);
		return;
	}
	loop_stop();
}

/* --- the script --- */

static char *read_file(const char *path)
{
	FILE *file = fopen(path, "rb");
	struct buf text;
	char block[4096];
	size_t length;

	if (file == NULL)
		return NULL;
	buf_init(&text, 1 << 20);
	while ((length = fread(block, 1, sizeof(block), file)) > 0)
		buf_add(&text, block, length);
	fclose(file);
	return buf_take(&text);
}

static bool parse(struct dialog *dialog)
{
	char *rest = dialog->file, *text, *colon;

	for (int number = 1; (text = strsep(&rest, "\n")) != NULL; number++) {
		if (*text == '\0' || *text == '#')
			continue;
		colon = strchr(text, ':');
		if (colon == NULL || dialog->count == SCRIPT_MAX) {
			snprintf(dialog->why, dialog->why_size,
			    "%s:%d: no step", dialog->path, number);
			return false;
		}
		*colon++ = '\0';
		if (*colon == ' ')
			colon++;
		dialog->lines[dialog->count++] = (struct line){
		    .number = number, .kind = text, .text = colon };
	}
	return dialog->count > 0;
}

static void finish(struct dialog *dialog)
{
	struct buf *input;

	timer_stop(&dialog->timer);
	if (dialog->client != NULL) {
		input = stream_input(dialog->client);
		if (!dialog->failed && buf_length(input) > 0)
			fail(dialog, "the server said more: %s",
			    buf_string(input));
		stream_free(dialog->client);
	}
	if (dialog->tls != NULL)
		tls_client_free(dialog->tls);
	tls_identity_free(dialog->identity);
	world_release(&dialog->world);
	stop_log(dialog);
	if (!dialog->failed && fake_peers_open() != 0)
		fail(dialog, "%u requests were left open", fake_peers_open());
	if (!dialog->failed && scripted_filters_open() != 0)
		fail(dialog, "connections to filters were left open");
	if (!dialog->failed && spool_total() != 0)
		fail(dialog, "memory of filters was not given back");
	scripted_filters_reset();
	fake_peers_reset();
	mem_free(dialog->conf);
	mem_free(dialog->listener);
	mem_free(dialog->filters);
	world_certificates = "";
	mem_free(dialog->certificates);
	mem_free(dialog->file);
	buf_release(&dialog->early);
	buf_release(&dialog->sending);
}

bool dialog_is_once(const char *path)
{
	char *text = read_file(path);
	bool once = text != NULL && strstr(text, "\nonce:") != NULL;

	mem_free(text);
	return once;
}

bool dialog_run(const char *path, bool bytewise, char *why, size_t size)
{
	struct dialog *dialog = mem_alloc(sizeof(*dialog));
	bool failed;

	dialog->path = strrchr(path, '/') == NULL ? path :
	    strrchr(path, '/') + 1;
	dialog->bytewise = bytewise;
	dialog->why = why;
	dialog->why_size = size;
	dialog->file = read_file(path);
	if (dialog->file == NULL || !parse(dialog)) {
		if (dialog->file == NULL)
			snprintf(why, size, "%s: cannot be read", path);
		mem_free(dialog->file);
		mem_free(dialog);
		return false;
	}
	dialog->conf = mem_dup_string("");
	dialog->listener = mem_dup_string("");
	dialog->filters = mem_dup_string("");
	dialog->certificate = true;
	dialog->log = -1;
	dialog->address = "198.51.100.7";
	buf_init(&dialog->early, 64 << 10);
	buf_init(&dialog->sending, 1 << 20);
	world_init(&dialog->world);
	dialog->limit = clock_monotonic() + STEP_SECONDS * 1000;
	timer_start(&dialog->timer, 0, take_steps, dialog);
	loop_run();
	finish(dialog);
	failed = dialog->failed;
	mem_free(dialog);
	return !failed;
}
