/* SPDX-License-Identifier: ISC */
/*
 * See scripted_filter.h. Frames are read and written by hand here.
 */
#include "tests/scripted_filter.h"

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/loop.h"
#include "base/mem.h"
#include "base/process.h"
#include "base/stream.h"

enum { RULES_MAX = 32, STREAM_MAX = 16 << 20, TEXT_MAX = 4096 };

struct rule {
	char		 command;
	unsigned	 nth;		/* 0: each */
	char		*words;		/* owned */
};

struct scripted {
	LIST_ENTRY(scripted) link;
	char		 name[32];
	struct rule	 rules[RULES_MAX];
	unsigned	 rule_count;
	bool		 down;
	uint32_t	 steps;
	struct buf	 told;
	unsigned	 connections;
};

struct connection {
	LIST_ENTRY(connection) link;
	struct scripted	*filter;
	struct stream	*stream;	/* owned */
	unsigned	 counts[256];
	struct timer	 timer;
	const char	*rest;		/* words behind a slow one */
	int64_t		 left, every;	/* of it */
	bool		 gone;		/* to be freed */
};

/* A connection that is being made. */
struct waiting {
	LIST_ENTRY(waiting) link;
	process_connected *done;
	void		*arg;
	int		 fd;		/* -1: refused */
};

static LIST_HEAD(, scripted) filters;
static LIST_HEAD(, connection) connections;
static LIST_HEAD(, waiting) waitings;

static struct scripted *find(const char *name)
{
	struct scripted *filter;

	LIST_FOREACH(filter, &filters, link)
		if (strcmp(filter->name, name) == 0)
			return filter;
	filter = mem_alloc(sizeof(*filter));
	snprintf(filter->name, sizeof(filter->name), "%s", name);
	buf_init(&filter->told, STREAM_MAX);
	LIST_INSERT_HEAD(&filters, filter, link);
	return filter;
}

/* --- saying --- */

static void end_connection(struct connection *connection)
{
	timer_stop(&connection->timer);
	if (connection->stream != NULL)
		stream_free(connection->stream);
	connection->stream = NULL;
	LIST_REMOVE(connection, link);
	mem_free(connection);
}

static void say(struct connection *connection, const struct buf *frame)
{
	size_t length = buf_length(frame);
	const unsigned char head[4] = { (unsigned char)(length >> 24),
	    (unsigned char)(length >> 16), (unsigned char)(length >> 8),
	    (unsigned char)length };

	stream_write(connection->stream, head, sizeof(head));
	stream_write(connection->stream, buf_data(frame), length);
}

static void add_number(struct buf *out, uint32_t number)
{
	for (int shift = 24; shift >= 0; shift -= 8)
		buf_add_byte(out, (char)(number >> shift));
}

static void add_escaped(struct buf *out, const char *text)
{
	char hex[3] = "";

	for (; *text != '\0'; text++) {
		if (*text != '\\' || text[1] == '\0') {
			buf_add_byte(out, *text);
			continue;
		}
		switch (*++text) {
		case 'r': buf_add_byte(out, '\r'); break;
		case 'n': buf_add_byte(out, '\n'); break;
		case 's': buf_add_byte(out, ' '); break;
		case 't': buf_add_byte(out, '\t'); break;
		case 'x':
			if (text[1] == '\0' || text[2] == '\0')
				return;
			hex[0] = text[1];
			hex[1] = text[2];
			buf_add_byte(out, (char)strtol(hex, NULL, 16));
			text += 2;
			break;
		default: buf_add_byte(out, *text); break;
		}
	}
}

/* The next word of text, taken off it. */
static const char *take_word(char **text)
{
	char *word = *text + strspn(*text, " ");

	*text = word + strcspn(word, " ");
	if (**text != '\0')
		*(*text)++ = '\0';
	return word;
}

static long take_number(char **text)
{
	return strtol(take_word(text), NULL, 10);
}

static void add_text(struct buf *out, const char *text)
{
	add_escaped(out, text);
	buf_add_byte(out, '\0');
}

static void add_word(struct buf *out, char **text)
{
	add_text(out, take_word(text));
}

static void say_options(struct connection *connection)
{
	struct buf out;

	buf_init(&out, 64);
	buf_add_byte(&out, 'O');
	add_number(&out, 6);
	add_number(&out, 0x1ff);
	add_number(&out, connection->filter->steps);
	say(connection, &out);
	buf_release(&out);
}

static const struct {
	const char	*word;
	char		 code;
} plain[] = { { "continue", 'c' }, { "accept", 'a' }, { "discard", 'd' },
    { "reject", 'r' }, { "tempfail", 't' }, { "shutdown", '4' },
    { "skip", 's' } };

static void fill(struct connection *connection, size_t bytes)
{
	struct buf out;

	for (size_t done = 0; done < bytes;) {
		buf_init(&out, 64 << 10);
		buf_add_byte(&out, 'b');
		while (buf_room(&out) > 80 && done < bytes) {
			buf_print(&out, "%076zu\r\n", done);
			done += 78;
		}
		say(connection, &out);
		buf_release(&out);
	}
}

/* A word that is a frame, as a frame; false: none such. */
static bool make_frame(struct buf *out, const char *word, char *rest)
{
	for (size_t i = 0; i < sizeof(plain) / sizeof(plain[0]); i++)
		if (strcmp(plain[i].word, word) == 0)
			return buf_add_byte(out, plain[i].code) == 0;
	if (strcmp(word, "reply") == 0) {
		buf_add_byte(out, 'y');
		add_text(out, rest);
	} else if (strcmp(word, "add") == 0) {
		buf_add_byte(out, 'h');
		add_word(out, &rest);
		add_text(out, rest);
	} else if (strcmp(word, "insert") == 0 || strcmp(word, "change") == 0) {
		buf_add_byte(out, word[0] == 'i' ? 'i' : 'm');
		add_number(out, (uint32_t)take_number(&rest));
		add_word(out, &rest);
		add_text(out, rest);
	} else if (strcmp(word, "sender") == 0) {
		buf_add_byte(out, 'e');
		add_word(out, &rest);
	} else if (strcmp(word, "rcpt+") == 0) {
		bool more = strchr(rest, ' ') != NULL;

		buf_add_byte(out, more ? '2' : '+');
		add_word(out, &rest);
		if (more)
			add_text(out, rest);
	} else if (strcmp(word, "rcpt-") == 0) {
		buf_add_byte(out, '-');
		add_word(out, &rest);
	} else if (strcmp(word, "body") == 0) {
		buf_add_byte(out, 'b');
		add_escaped(out, rest);
	} else if (strcmp(word, "quarantine") == 0) {
		buf_add_byte(out, 'q');
		add_text(out, rest);
	} else {
		return false;
	}
	return true;
}

static void obey(struct connection *connection, const char *words);

static void on_slow(void *arg)
{
	struct connection *connection = arg;
	struct buf sign;

	if (connection->left <= 0) {
		obey(connection, connection->rest);
		return;
	}
	buf_init(&sign, 8);
	buf_add_byte(&sign, 'p');
	say(connection, &sign);
	buf_release(&sign);
	connection->left -= connection->every;
	timer_start(&connection->timer, connection->every, on_slow,
	    connection);
}

static void destroy(void *arg)
{
	end_connection(arg);
}

/* One word with what belongs to it; false: nothing more is to be said. */
static bool do_word(struct connection *connection, char *text,
    const char *rest)
{
	const char *word = take_word(&text);
	struct buf out;
	bool known;

	if (strcmp(word, "silent") == 0)
		return false;
	if (strcmp(word, "close") == 0) {
		connection->gone = true;
		loop_defer(destroy, connection);
		return false;
	}
	if (strcmp(word, "garbage") == 0) {
		stream_write(connection->stream, "\xff\xff\xff\xff?", 5);
		return true;
	}
	if (strcmp(word, "fill") == 0) {
		fill(connection, (size_t)take_number(&text));
		return true;
	}
	if (strcmp(word, "slow") == 0) {
		connection->left = take_number(&text);
		connection->every = take_number(&text);
		connection->rest = rest;
		on_slow(connection);
		return false;
	}
	buf_init(&out, STREAM_MAX);
	known = make_frame(&out, word, text);
	if (!known)
		abort();
	say(connection, &out);
	buf_release(&out);
	return true;
}

static void obey(struct connection *connection, const char *words)
{
	while (*words != '\0') {
		size_t length = strcspn(words, ";");
		char *text = mem_alloc(length + 1);
		bool more;

		memcpy(text, words, length);
		while (length > 0 && text[length - 1] == ' ')
			text[--length] = '\0';
		words += strcspn(words, ";");
		words += *words == ';';
		more = do_word(connection, text, words);
		mem_free(text);
		if (!more)
			return;
	}
}

/* --- listening --- */

static const char *find_words(const struct connection *connection,
    char command)
{
	const struct scripted *filter = connection->filter;
	unsigned nth = connection->counts[(unsigned char)command];

	for (unsigned i = 0; i < filter->rule_count; i++)
		if (filter->rules[i].command == command &&
		    (filter->rules[i].nth == 0 || filter->rules[i].nth == nth))
			return filter->rules[i].words;
	return NULL;
}

static void react(struct connection *connection, char command)
{
	const char *words;

	connection->counts[(unsigned char)command]++;
	words = find_words(connection, command);
	if (words != NULL)
		obey(connection, words);
	else if (command == 'O')
		say_options(connection);
	else if (strchr("CHMRTLNBE", command) != NULL)
		obey(connection, "continue");
}

static void keep(struct connection *connection, const char *frame,
    size_t length)
{
	struct buf *told = &connection->filter->told;

	if (frame[0] == 'O')
		length = 1;
	for (size_t i = 0; i < length; i++)
		if (frame[i] != '\r')
			buf_add_byte(told, frame[i] == '\0' ? '|' :
			    frame[i] == '\n' ? '/' : frame[i]);
	buf_add_byte(told, '\n');
}

static bool take_frame(struct connection *connection)
{
	struct buf *input = stream_input(connection->stream);
	const unsigned char *data = (const unsigned char *)buf_data(input);
	size_t length;
	char command;

	if (connection->gone || buf_length(input) < 5)
		return false;
	length = (size_t)data[0] << 24 | (size_t)data[1] << 16 |
	    (size_t)data[2] << 8 | data[3];
	if (length == 0 || length > STREAM_MAX / 2)
		abort();
	if (buf_length(input) < 4 + length)
		return false;
	command = (char)data[4];
	keep(connection, (const char *)data + 4, length);
	buf_consume(input, 4 + length);
	react(connection, command);
	return true;
}

static void on_stream(void *arg, struct stream *stream,
    enum stream_event event)
{
	struct connection *connection = arg;

	if (event == STREAM_INPUT) {
		while (take_frame(connection))
			continue;
		stream_consumed(stream);
	} else if ((event == STREAM_END || event == STREAM_FAILED) &&
	    !connection->gone) {
		connection->gone = true;
		timer_stop(&connection->timer);
		loop_defer(destroy, connection);
	}
}

/* --- the fake of base/process.h --- */

static void connected(void *arg)
{
	struct waiting *waiting = arg;
	struct waiting was = *waiting;

	LIST_REMOVE(waiting, link);
	mem_free(waiting);
	was.done(was.arg, was.fd, was.fd < 0 ? ECONNREFUSED : 0);
}

static int open_connection(struct scripted *filter)
{
	struct connection *connection = mem_alloc(sizeof(*connection));
	int pair[2];

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0,
	    pair) != 0)
		abort();
	connection->filter = filter;
	connection->stream = stream_new(pair[1], STREAM_MAX, on_stream,
	    connection);
	stream_set_max_output(connection->stream, STREAM_MAX);
	LIST_INSERT_HEAD(&connections, connection, link);
	return pair[0];
}

void process_connect(const char *path, process_connected *done, void *arg)
{
	struct waiting *waiting = mem_alloc(sizeof(*waiting));
	struct scripted *filter;

	if (strncmp(path, "/run/", 5) != 0)
		abort();
	filter = find(path + 5);
	filter->connections++;
	waiting->done = done;
	waiting->arg = arg;
	waiting->fd = filter->down ? -1 : open_connection(filter);
	LIST_INSERT_HEAD(&waitings, waiting, link);
	loop_defer(connected, waiting);
}

void process_connect_cancel(void *arg)
{
	struct waiting *waiting, *next;

	for (waiting = LIST_FIRST(&waitings); waiting != NULL;
	    waiting = next) {
		next = LIST_NEXT(waiting, link);
		if (waiting->arg != arg)
			continue;
		loop_undefer(waiting);
		if (waiting->fd >= 0)
			close(waiting->fd);
		LIST_REMOVE(waiting, link);
		mem_free(waiting);
	}
}

/* --- life --- */

/* Whether all words of a script are words. */
static bool are_words(const char *words)
{
	static const char *const others[] = { "reply", "add", "insert",
	    "change", "sender", "rcpt+", "rcpt-", "body", "fill",
	    "quarantine", "silent", "close", "garbage", "slow" };

	for (; *words != '\0'; words += strcspn(words, ";"),
	    words += *words == ';') {
		const char *word = words + strspn(words, " ");
		size_t length = strcspn(word, " ;");
		bool known = false;

		for (size_t i = 0; i < sizeof(plain) / sizeof(plain[0]); i++)
			known |= strlen(plain[i].word) == length &&
			    memcmp(plain[i].word, word, length) == 0;
		for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
			known |= strlen(others[i]) == length &&
			    memcmp(others[i], word, length) == 0;
		if (!known)
			return false;
	}
	return true;
}

static void mend(struct scripted *filter)
{
	for (unsigned i = 0; i < filter->rule_count; i++)
		mem_free(filter->rules[i].words);
	filter->rule_count = 0;
}

static void free_filter(struct scripted *filter)
{
	mend(filter);
	buf_release(&filter->told);
	LIST_REMOVE(filter, link);
	mem_free(filter);
}

void scripted_filters_reset(void)
{
	struct connection *connection;

	while ((connection = LIST_FIRST(&connections)) != NULL) {
		loop_undefer(connection);
		end_connection(connection);
	}
	while (!LIST_EMPTY(&filters))
		free_filter(LIST_FIRST(&filters));
}

static char command_of(const char *word)
{
	static const struct {
		const char	*word;
		char		 code;
	} rows[] = { { "options", 'O' }, { "connect", 'C' }, { "hello", 'H' },
	    { "mail", 'M' }, { "rcpt", 'R' }, { "data", 'T' },
	    { "header", 'L' }, { "eoh", 'N' }, { "body", 'B' },
	    { "end", 'E' } };

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		if (strcmp(rows[i].word, word) == 0)
			return rows[i].code;
	return '\0';
}

bool scripted_filter_set(const char *name, const char *line)
{
	struct scripted *filter = find(name);
	struct rule *rule = &filter->rules[filter->rule_count];
	char command[32] = "";
	unsigned nth = 0;
	int used = 0;

	if (sscanf(line, "steps %x", &filter->steps) == 1)
		return true;
	if (sscanf(line, "%31[a-z].%u %n", command, &nth, &used) < 2 ||
	    used == 0)
		sscanf(line, "%31[a-z] %n", command, &used);
	if (filter->rule_count == RULES_MAX || used == 0 ||
	    line[used] == '\0' || command_of(command) == '\0' ||
	    !are_words(line + used))
		return false;
	rule->command = command_of(command);
	rule->nth = nth;
	rule->words = mem_dup_string(line + used);
	filter->rule_count++;
	return true;
}

void scripted_filter_mend(const char *name)
{
	struct connection *connection;

	/* One that was slow is not any more. */
	LIST_FOREACH(connection, &connections, link)
		if (strcmp(connection->filter->name, name) == 0)
			timer_stop(&connection->timer);
	mend(find(name));
}

void scripted_filter_down(const char *name, bool down)
{
	find(name)->down = down;
}

const char *scripted_filter_told(const char *name)
{
	return buf_string(&find(name)->told);
}

void scripted_filter_forget(const char *name)
{
	buf_reset(&find(name)->told);
}

unsigned scripted_filter_connections(const char *name)
{
	return find(name)->connections;
}

unsigned scripted_filters_open(void)
{
	struct connection *connection;
	unsigned count = 0;

	LIST_FOREACH(connection, &connections, link)
		count += !connection->gone;
	return count;
}
